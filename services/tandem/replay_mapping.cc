#include "services/tandem/replay_mapping.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/config/error_list.h"
#include "common/config/text_file.h"
#include "common/config/yaml.h"
#include "common/time/zones.h"

namespace tandem::programs {
namespace {

constexpr int64_t kMaxRunOnSeconds = int64_t{366} * 24 * 3600;

// Columns without which there is nothing to replay.
constexpr const char* kNeeded[] = {"number",    "state",   "updated_at", "order",
                                   "opened_at", "caller",  "location",   "channel",
                                   "impact",    "urgency", "group",      "assignee"};

class Checker {
 public:
  explicit Checker(const config::SourceLines* lines) : lines_(*lines) {}
  void Require(bool holds, std::string_view path, std::string_view what) {
    if (holds) return;
    errors_.Add(absl::StrCat(lines_.At(path), ": ", std::string(path), " ", std::string(what)));
  }
  absl::Status status() const { return errors_.ToStatus(); }

 private:
  const config::SourceLines& lines_;
  config::ErrorList errors_;
};

bool IsKey(const std::string& text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_islower(static_cast<unsigned char>(c)) ||
           absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
  });
}

bool IsDateFormat(const std::string& format) {
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') continue;
    if (++i == format.size() || std::string_view("dmYHMSyb%").find(format[i]) == std::string::npos)
      return false;
  }
  const auto has = [&](const char* part) { return format.find(part) != std::string::npos; };
  return has("%d") && (has("%m") || has("%b")) && (has("%Y") || has("%y")) && has("%H");
}

}  // namespace

absl::StatusOr<Mapping> ParseMapping(std::string_view text, const std::string& file) {
  Mapping mapping;
  mapping.file = file;
  ReplayMapping& values = mapping.values;
  if (absl::Status read = config::YamlToProto(text, file, &values, &mapping.lines); !read.ok()) {
    return read;
  }
  Checker check(&mapping.lines);
  check.Require(IsKey(values.system()), "system", "must be 1 to 64 bytes of [a-z0-9_.-]");
  if (const auto zone = time::FindZone(values.time_zone()); zone) {
    mapping.time_zone = *zone;
  } else {
    check.Require(false, "time_zone", time::ZoneProblem(values.time_zone()));
  }
  check.Require(
      IsDateFormat(values.date_format()), "date_format",
      "must name day, month, year and hour by %d %m or %b %Y or %y %H, and may use %M %S");
  for (const char* name : kNeeded) {
    const auto* field = LogColumns::descriptor()->FindFieldByName(name);
    check.Require(!LogColumns::GetReflection()->GetString(values.columns(), field).empty(),
                  absl::StrCat("columns.", name), "is missing");
  }
  check.Require(!values.states().empty(), "states", "explains no state");
  check.Require(!values.impacts().empty(), "impacts", "explains no impact");
  check.Require(!values.urgencies().empty(), "urgencies", "explains no urgency");
  check.Require(!values.channels().empty(), "channels", "explains no channel");
  if (!values.columns().verdict().empty()) {
    check.Require(!values.verdict_met().empty(), "verdict_met", "is missing");
    check.Require(!values.verdict_missed().empty(), "verdict_missed", "is missing");
    check.Require(values.verdict_met() != values.verdict_missed(), "verdict_missed",
                  "is the same as verdict_met");
  }
  check.Require(values.run_on().seconds() >= 0 && values.run_on().nanos() >= 0 &&
                    values.run_on().seconds() <= kMaxRunOnSeconds,
                "run_on", "must be 0s to 366d");
  if (absl::Status status = check.status(); !status.ok()) return status;
  return mapping;
}

absl::StatusOr<Mapping> ReadMapping(const std::string& path) {
  absl::StatusOr<std::string> text = config::ReadTextFile(path, config::kMaxYamlBytes);
  if (!text.ok()) return text.status();
  return ParseMapping(*text, path);
}

}  // namespace tandem::programs
