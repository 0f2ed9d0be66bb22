// `tandemctl backup` and `tandemctl restore`: of the folder of a `tandem serve`.
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/backup/restore.h"
#include "common/cli/human.h"
#include "common/cli/progress.h"
#include "common/cli/table.h"
#include "common/cli/text_width.h"
#include "services/tandemctl/command.h"
#include "services/tandemctl/restore_report.pb.h"
#include "tandem/admin/v1/admin_service.pb.h"

namespace tandem::tandemctl {
namespace {

namespace v1 = admin::v1;

constexpr char kBegin[] = "tandem.admin.v1.AdminService/BeginBackup";
constexpr char kGet[] = "tandem.admin.v1.AdminService/GetBackup";
constexpr absl::Duration kLookAgain = absl::Milliseconds(200);

std::string ShowBackup(const v1::GetBackupResponse& backup, const Looks& looks) {
  cli::Table files({{"FILE", cli::Align::kLeft, true},
                    {"BYTES", cli::Align::kRight, true},
                    {"SHA-256", cli::Align::kLeft, true}});
  constexpr size_t kShown = 12;
  for (const v1::BackedUpFile& file : backup.files()) {
    files.Add({cli::Printable(file.name()), cli::HumanCount(file.bytes()),
               file.sha256().substr(0, kShown)});
  }
  return absl::StrCat(files.Text(looks.screen), "\nBacked up the state of ",
                      Cell(backup, "taken_at", Form::kPlain, looks), " into ",
                      cli::Printable(backup.folder()), "; commits stood still for ",
                      cli::HumanDuration(absl::Microseconds(backup.stood_still_us())), ".\n");
}

int RunBackup(const std::string& to, Context& context) {
  std::error_code error;
  v1::BeginBackupRequest begin;
  begin.set_folder(std::filesystem::absolute(to, error).lexically_normal().string());
  if (const auto begun = context.session->Call(kBegin, &begin); !begun.ok()) {
    return Fail(context, begun.status());
  }
  std::unique_ptr<cli::Progress> progress;
  int64_t told = 0;
  for (;;) {
    v1::GetBackupRequest get;
    const auto reply = context.session->Call(kGet, &get);
    if (!reply.ok()) return Fail(context, reply.status());
    const auto& backup = static_cast<const v1::GetBackupResponse&>(**reply);
    if (backup.state() == v1::BACKUP_STATE_FAILED || backup.folder() != begin.folder()) {
      *context.messages << "tandemctl: the backup failed: "
                        << cli::Printable(backup.state() == v1::BACKUP_STATE_FAILED
                                              ? backup.failure()
                                              : "the process was restarted")
                        << "\n  what is in " << cli::Printable(begin.folder())
                        << " is no backup; remove it\n";
      return kFailed;
    }
    if (backup.bytes_total() > 0 && progress == nullptr) {
      progress = std::make_unique<cli::Progress>(cli::StderrScreen(), "bytes", backup.bytes_total(),
                                                 [&context] { return context.clock->Now(); });
    }
    if (progress != nullptr) progress->Advance(backup.bytes_done() - told);
    told = backup.bytes_done();
    if (backup.state() == v1::BACKUP_STATE_DONE) {
      if (progress != nullptr) progress->Finish();
      return Print(context, backup, [&] { return ShowBackup(backup, context.looks); });
    }
    context.pause(kLookAgain);
  }
}

int FailWith(Context& context, const absl::Status& status) {
  if (absl::IsInvalidArgument(status)) return UsageError(context, std::string(status.message()));
  *context.messages << "tandemctl: " << absl::StatusCodeToString(status.code()) << ": "
                    << cli::Printable(std::string(status.message())) << "\n";
  return kFailed;
}

struct Restoring {
  std::string from, data;
  int64_t history = 0;
};

int RunRestore(const Restoring& restoring, Context& context) {
  backup::RestoreOptions options;
  options.backup = restoring.from;
  options.data = restoring.data;
  options.at_least_history = restoring.history;
  options.clock = context.clock;
  options.command =
      absl::StrCat("tandemctl restore --from ", restoring.from, " --data ", restoring.data);
  options.say = [&](const std::string& line) {
    *context.messages << "tandemctl: " << line << std::endl;
  };
  const absl::StatusOr<backup::RestoreReport> restored = backup::Restore(options);
  if (!restored.ok()) {
    return FailWith(context, restored.status());
  }
  RestoreReport report;
  *report.mutable_taken_at() = restored->manifest.taken_at();
  report.set_history(restored->history);
  for (const backup::BackupFile& file : restored->manifest.files()) report.add_files(file.name());
  return Print(context, report, [&] {
    return absl::StrCat("Restored ", report.files_size(), " files with the state of ",
                        Cell(report, "taken_at", Form::kPlain, context.looks), "; history ",
                        report.history(), " begins. Serve it: `tandem serve --data ",
                        cli::Printable(restoring.data), "`\n");
  });
}

}  // namespace

std::vector<Entry> BackupCommands() {
  Entry backup;
  backup.path = "backup";
  backup.help = "Copies all data of a running `tandem serve`, as it is at one instant.";
  backup.flags = {"--to"};
  backup.declare = [](config::OptionSet& options) -> Entry::Run {
    auto to = std::make_shared<std::string>();
    options.Add("to", to.get(),
                "Folder on the machine of the process; empty, or absent and then made.");
    options.Require("to");
    return [to](Context& context) { return RunBackup(*to, context); };
  };
  Entry restore;
  restore.path = "restore";
  restore.help = "Brings a backup back into a folder for `tandem serve`.";
  restore.flags = {"--from", "--data", "--history"};
  restore.declare = [](config::OptionSet& options) -> Entry::Run {
    auto restoring = std::make_shared<Restoring>();
    options.Add("from", &restoring->from, "Folder of the backup; it is not changed.");
    options.Require("from");
    options.Add("data", &restoring->data,
                "Folder to restore into: empty, or absent and then made.");
    options.Require("data");
    options.Add("history", &restoring->history,
                "Begin at least this history: one more than the last, where the same backup was "
                "restored before and others have read events since.",
                {0, 8191});
    return [restoring](Context& context) { return RunRestore(*restoring, context); };
  };
  return {backup, restore};
}

}  // namespace tandem::tandemctl
