#include "common/log/log.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/log/scrub.h"

namespace tandem::log {
namespace {

constexpr size_t kMaxFields = 24;
constexpr std::string_view kRedacted = "<redacted>";

// Debian's absl::string_view does not convert from the standard one.
absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool HasForm(std::string_view text, size_t max_bytes, std::string_view punctuation) {
  return !text.empty() && text.size() <= max_bytes &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return IsAlphanumeric(c) || punctuation.find(c) != std::string_view::npos;
         });
}

std::string_view CheckedId(std::string_view id) {
  return HasForm(id, 128, "_.:/-") ? id : kRedacted;
}

std::string_view CheckedName(std::string_view name) {
  return HasForm(name, 64, "_") ? name : kRedacted;
}

std::string_view LevelName(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      return "error";
  }
  return "error";
}

// `text` is printable ASCII: only two characters need care.
void AppendString(std::string_view text, std::string* line) {
  *line += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') *line += '\\';
    *line += c;
  }
  *line += '"';
}

// One line of printable ASCII.
std::string Printable(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (c == '\n') c = ' ';
    if (c < ' ' || c > '~') c = '?';
  }
  return line;
}

void AppendName(std::string_view name, std::string* line) {
  absl::StrAppend(line, ",\"", Absl(name), "\":");
}

std::string Timestamp(absl::Time instant) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", instant, absl::UTCTimeZone());
}

}  // namespace

absl::StatusOr<Level> ParseLevel(std::string_view text) {
  for (const Level level : {Level::kDebug, Level::kInfo, Level::kWarning, Level::kError}) {
    if (text == LevelName(level)) return level;
  }
  return absl::InvalidArgumentError("expected one of debug, info, warning, error");
}

Field Field::Id(FieldName name, std::string_view id) {
  Field field(Kind::kId, name.name());
  field.text_ = id;
  return field;
}

Field Field::Enum(FieldName name, std::string_view value_name) {
  Field field(Kind::kEnum, name.name());
  field.text_ = value_name;
  return field;
}

Field Field::Count(FieldName name, int64_t count) {
  Field field(Kind::kCount, name.name());
  field.number_ = count;
  return field;
}

Field Field::Ratio(FieldName name, double ratio) {
  Field field(Kind::kRatio, name.name());
  field.ratio_ = ratio;
  return field;
}

Field Field::Flag(FieldName name, bool flag) {
  Field field(Kind::kFlag, name.name());
  field.number_ = flag ? 1 : 0;
  return field;
}

Field Field::Took(FieldName name, absl::Duration took) {
  Field field(Kind::kTook, name.name());
  field.number_ = absl::ToInt64Microseconds(took);
  return field;
}

Field Field::At(FieldName name, absl::Time instant) {
  Field field(Kind::kAt, name.name());
  field.instant_ = instant;
  return field;
}

Field Field::Code(FieldName name, absl::StatusCode code) {
  Field field(Kind::kCode, name.name());
  field.number_ = static_cast<int64_t>(code);
  return field;
}

Field Field::Error(const absl::Status& status) {
  Field field(Kind::kError, "error");
  field.status_ = &status;
  return field;
}

Field Field::Ids(FieldName name, const std::map<std::string, std::string>& ids) {
  Field field(Kind::kIds, name.name());
  field.ids_ = &ids;
  return field;
}

Field Field::Unscrubbed(const absl::Status& status) {
  Field field(Kind::kUnscrubbed, "error");
  field.status_ = &status;
  return field;
}

Field Field::Reference(std::string_view reference_id) {
  Field field(Kind::kReference, "reference_id");
  field.text_ = reference_id;
  return field;
}

Logger::Logger(LoggerOptions options, std::shared_ptr<LineSink> sink)
    : options_(std::move(options)),
      sink_(std::move(sink)),
      reference_ids_(options_.reference_seed) {}

Logger::~Logger() {
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [key, site] : sites_) {
      if (site.suppressed == 0) continue;
      std::string line = Head(options_.now(), Level::kInfo, site.event);
      absl::StrAppend(&line, ",\"suppressed\":", site.suppressed, "}");
      sink_->Write(line);
    }
  }
  sink_->Flush();
}

std::optional<int64_t> Logger::Admit(const EventText& event, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  Site& site = sites_[{event.where().file_name(), event.where().line()}];
  const bool is_new_window = site.written == 0 || now >= site.window_start + options_.window ||
                             now < site.window_start;  // the clock jumped back
  if (is_new_window) {
    site.event = event.text();
    site.window_start = now;
    site.written = 0;
  }
  if (site.written >= options_.burst) {
    ++site.suppressed;
    return std::nullopt;
  }
  ++site.written;
  return std::exchange(site.suppressed, 0);
}

std::string Logger::Head(absl::Time now, Level level, std::string_view event) const {
  std::string line = "{\"time\":";
  AppendString(Timestamp(now), &line);
  AppendName("level", &line);
  AppendString(LevelName(level), &line);
  AppendName("service", &line);
  AppendString(CheckedId(options_.service), &line);
  AppendName("event", &line);
  AppendString(event, &line);
  return line;
}

void Logger::Log(Level level, EventText event, std::initializer_list<Field> fields) {
  if (!IsEnabled(level)) return;
  std::string reference_id;
  bool has_error = false;
  for (const Field& field : fields) {
    if (field.kind_ == Field::Kind::kReference) reference_id = std::string(field.text_);
    has_error |= field.kind_ == Field::Kind::kError;
  }
  if (has_error && reference_id.empty()) reference_id = NewReferenceId();
  Write(level, event, reference_id, fields);
}

void Logger::Write(Level level, const EventText& event, std::string_view reference_id,
                   absl::Span<const Field> fields) {
  const absl::Time now = options_.now();
  const auto suppressed = Admit(event, now);
  if (suppressed.has_value()) WriteLine(now, level, event, reference_id, *suppressed, fields);
}

void Logger::Record(Level level, EventText event, std::initializer_list<Field> fields) {
  if (IsEnabled(level)) WriteLine(options_.now(), level, event, "", 0, fields);
}

void Logger::WriteLine(absl::Time now, Level level, const EventText& event,
                       std::string_view reference_id, int64_t suppressed,
                       absl::Span<const Field> fields) {
  std::string line = Head(now, level, event.text());
  if (!reference_id.empty()) {
    AppendName("reference_id", &line);
    AppendString(CheckedId(reference_id), &line);
  }
  if (suppressed > 0) absl::StrAppend(&line, ",\"suppressed\":", suppressed);
  const size_t count = std::min(fields.size(), kMaxFields);
  for (size_t i = 0; i < count; ++i) {
    const auto has_same_name = [&](const Field& other) { return other.name_ == fields[i].name_; };
    if (std::any_of(fields.begin(), fields.begin() + i, has_same_name)) continue;
    fields[i].AppendTo(&line);
  }
  line += '}';
  sink_->Write(line);
}

void Field::AppendTo(std::string* line) const {
  switch (kind_) {
    case Kind::kId:
      AppendName(name_, line);
      AppendString(CheckedId(text_), line);
      return;
    case Kind::kEnum:
      AppendName(name_, line);
      AppendString(CheckedName(text_), line);
      return;
    case Kind::kCount:
      AppendName(name_, line);
      absl::StrAppend(line, number_);
      return;
    case Kind::kRatio:
      AppendName(name_, line);
      absl::StrAppend(line, std::isfinite(ratio_) ? absl::StrFormat("%.6g", ratio_) : "null");
      return;
    case Kind::kFlag:
      AppendName(name_, line);
      absl::StrAppend(line, number_ != 0 ? "true" : "false");
      return;
    case Kind::kTook:
      AppendName(absl::StrCat(Absl(name_), "_us"), line);
      absl::StrAppend(line, number_);
      return;
    case Kind::kAt:
      AppendName(name_, line);
      AppendString(Timestamp(instant_), line);
      return;
    case Kind::kCode:
      AppendName(name_, line);
      AppendString(CheckedName(absl::StatusCodeToString(static_cast<absl::StatusCode>(number_))),
                   line);
      return;
    case Kind::kError:
      AppendName("code", line);
      AppendString(CheckedName(absl::StatusCodeToString(status_->code())), line);
      AppendName("error", line);
      AppendString(Scrubbed({status_->message().data(), status_->message().size()}), line);
      return;
    case Kind::kIds: {
      AppendName(name_, line);
      *line += '{';
      const char* between = "";
      for (const auto& [name, id] : *ids_) {
        absl::StrAppend(line, between, "\"", Absl(CheckedName(name)), "\":");
        AppendString(CheckedId(id), line);
        between = ",";
      }
      *line += '}';
      return;
    }
    case Kind::kUnscrubbed:
      AppendName("code", line);
      AppendString(CheckedName(absl::StatusCodeToString(status_->code())), line);
      AppendName("error", line);
      AppendString(Printable({status_->message().data(), status_->message().size()}), line);
      return;
    case Kind::kReference:
      return;  // stands at the head of the line
  }
}

std::string Logger::LogInternal(EventText event, const absl::Status& status,
                                std::initializer_list<Field> fields) {
  std::string reference_id = NewReferenceId();
  if (!IsEnabled(Level::kError)) return reference_id;
  std::vector<Field> all = {Field::Error(status)};
  all.insert(all.end(), fields.begin(), fields.end());
  Write(Level::kError, event, reference_id, all);
  return reference_id;
}

}  // namespace tandem::log
