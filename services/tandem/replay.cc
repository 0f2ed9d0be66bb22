#include "services/tandem/replay.h"

#include <sys/resource.h>

#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/cli/json.h"
#include "common/cli/progress.h"
#include "common/cli/screen.h"
#include "common/time/system_clock.h"
#include "services/tandem/incident_log.h"
#include "services/tandem/log_file.h"
#include "services/tandem/policies.h"
#include "services/tandem/replay_folder.h"
#include "services/tandem/replay_mapping.h"
#include "services/tandem/replay_report.h"
#include "services/tandem/replay_run.h"
#include "services/tandem/services.h"

namespace tandem::programs {
namespace {

int64_t PeakMemoryBytes() {
  rusage usage = {};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return int64_t{usage.ru_maxrss} * 1024;
}

absl::StatusOr<ReplayFolder> OpenFolder(const std::string& path) {
  absl::StatusOr<std::vector<Service>> services = FiveServices({});
  if (!services.ok()) return services.status();
  std::vector<std::string> databases;
  for (const Service& service : *services) databases.push_back(service.name);
  return ReplayFolder::Open(path, databases);
}

}  // namespace

absl::StatusOr<int> Replay(const ReplayOptions& options) {
  const time::SystemClock wall;  // for the bar and the rates alone
  const absl::Time begin = wall.Now();
  absl::StatusOr<Mapping> mapping = ReadMapping(options.mapping);
  if (!mapping.ok()) return mapping.status();
  absl::StatusOr<std::string> text = ReadLogFile(options.log);
  if (!text.ok()) return text.status();
  absl::StatusOr<IncidentLog> log = ParseLog(*std::move(text), options.log, *mapping);
  if (!log.ok()) return log.status();
  absl::StatusOr<std::vector<policy::PolicyFile>> policies =
      options.policies.empty() ? BuiltInReplayPolicies() : ReadPolicies(options.policies);
  if (!policies.ok()) return policies.status();

  std::optional<ReplayFolder> folder;
  if (!options.data.empty()) {
    absl::StatusOr<ReplayFolder> opened = OpenFolder(options.data);
    if (!opened.ok()) return opened.status();
    folder.emplace(*std::move(opened));
  }
  cli::Progress progress(cli::StderrScreen(), "rows", log->rows(), [&wall] { return wall.Now(); });
  int64_t told = 0;
  absl::StatusOr<ReplayReport> report =
      RunReplay(*log, *mapping, *policies, options.data.empty() ? ":memory:" : options.data,
                [&](int64_t rows_done) {
                  progress.Advance(rows_done - told);
                  told = rows_done;
                });
  if (!report.ok()) return report.status();
  progress.Finish();
  if (folder.has_value()) {
    if (absl::Status status = folder->Complete(); !status.ok()) return status;
  }
  const ReplayPace pace = {wall.Now() - begin, PeakMemoryBytes()};
  std::cerr << PaceText(*report, pace) << "\n";
  if (options.output == "json") {
    absl::StatusOr<std::string> json = cli::ToJson(*report, cli::JsonLayout::kIndented);
    if (!json.ok()) return json.status();
    std::cout << *json;
  } else {
    std::cout << ReportText(*report, pace, cli::StdoutScreen());
  }
  std::cout.flush();
  if (!std::cout) return absl::DataLossError("the report could not be written");
  if (const std::string lost = LostText(*report); !lost.empty()) {
    std::cerr << "tandem: not all of the log was replayed: " << lost << "\n";
    return kReplayedInPart;
  }
  return 0;
}

}  // namespace tandem::programs
