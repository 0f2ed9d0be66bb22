#include "services/tandem/incident_log.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/config/error_list.h"
#include "common/config/nearest_name.h"
#include "common/config/utf8.h"
#include "common/config/views.h"
#include "services/tandem/csv.h"

namespace tandem::programs {
namespace {

using config::Absl;

// A value becomes part of ids, which are at most 128 bytes long.
constexpr size_t kMaxNameBytes = 48;

constexpr int kAbsent = -1;

// Where the columns stand; kAbsent = the mapping names none.
struct Places {
  int number, state, updated_at, order, opened_at, caller, location, channel, category, subcategory,
      impact, urgency, group, assignee, resolution_code, verdict, priority, reopenings, resolved_at,
      created_at;
};

constexpr std::array<std::pair<const char*, int Places::*>, 20> kColumns = {{
    {"number", &Places::number},
    {"state", &Places::state},
    {"updated_at", &Places::updated_at},
    {"order", &Places::order},
    {"opened_at", &Places::opened_at},
    {"caller", &Places::caller},
    {"location", &Places::location},
    {"channel", &Places::channel},
    {"category", &Places::category},
    {"subcategory", &Places::subcategory},
    {"impact", &Places::impact},
    {"urgency", &Places::urgency},
    {"group", &Places::group},
    {"assignee", &Places::assignee},
    {"resolution_code", &Places::resolution_code},
    {"verdict", &Places::verdict},
    {"priority", &Places::priority},
    {"reopenings", &Places::reopenings},
    {"resolved_at", &Places::resolved_at},
    {"created_at", &Places::created_at},
}};

// "category#2" → ("category", 2); without a place 0.
std::pair<std::string_view, int> SplitPlace(std::string_view name) {
  const size_t hash = name.rfind('#');
  int place = 0;
  if (hash == std::string_view::npos || !absl::SimpleAtoi(Absl(name.substr(hash + 1)), &place) ||
      place < 1) {
    return {name, 0};
  }
  return {name.substr(0, hash), place};
}

// Finds each column that the mapping names in the log's first line.
Places FindColumns(const std::vector<std::string_view>& header, const std::string& file,
                   const Mapping& mapping, config::ErrorList& errors) {
  Places places;
  for (const auto& [key, place] : kColumns) {
    places.*place = kAbsent;
    const auto* field = LogColumns::descriptor()->FindFieldByName(key);
    const std::string wanted =
        LogColumns::GetReflection()->GetString(mapping.values.columns(), field);
    if (wanted.empty()) continue;
    const auto [name, which] = SplitPlace(wanted);
    std::vector<int> found;
    for (size_t i = 0; i < header.size(); ++i) {
      if (header[i] == name) found.push_back(static_cast<int>(i));
    }
    const std::string at =
        absl::StrCat(mapping.lines.At(absl::StrCat("columns.", key)), ": columns.", key, ": ");
    if (found.empty()) {
      const std::vector<std::string> known(header.begin(), header.end());
      errors.Add(absl::StrCat(at, file, " has no column ", config::Quoted(name),
                              config::Suggestion(name, known)));
    } else if (which == 0 && found.size() > 1) {
      errors.Add(absl::StrCat(at, file, " has ", found.size(), " columns ", config::Quoted(name),
                              "; write ", std::string(name), "#1 or ", std::string(name), "#2"));
    } else if (which > static_cast<int>(found.size())) {
      errors.Add(
          absl::StrCat(at, file, " has only ", found.size(), " columns ", config::Quoted(name)));
    } else {
      places.*place = found[static_cast<size_t>(which == 0 ? 0 : which - 1)];
    }
  }
  return places;
}

// Reads values, and remembers what it has read: a log says the same over and over.
class Reader {
 public:
  Reader(const std::string& file, const std::vector<std::string_view>& header,
         const Mapping& mapping, config::ErrorList& errors)
      : file_(file), header_(header), mapping_(mapping), errors_(errors) {
    for (const auto& [value, state] : mapping.values.states()) states_[value] = state;
    for (const auto& [value, impact] : mapping.values.impacts()) impacts_[value] = impact;
    for (const auto& [value, urgency] : mapping.values.urgencies()) urgencies_[value] = urgency;
    for (const auto& [value, channel] : mapping.values.channels()) channels_[value] = channel;
  }

  void StartRow(const std::vector<std::string_view>* fields, int line) {
    fields_ = fields;
    line_ = line;
  }

  // Empty where it is missing or the log has no such column.
  std::string_view Text(int place) const {
    if (place == kAbsent) return {};
    const std::string_view text = (*fields_)[static_cast<size_t>(place)];
    return text == mapping_.values.missing() ? std::string_view() : text;
  }
  // A text that becomes part of ids.
  std::string_view Name(int place) {
    const std::string_view text = Text(place);
    if (text.size() > kMaxNameBytes) {
      Fault(place, absl::StrCat("is longer than ", kMaxNameBytes, " bytes"));
    } else if (!config::IsValidUtf8(text)) {
      Fault(place, "is not UTF-8");
    }
    return text;
  }
  std::string_view Needed(int place) {
    const std::string_view text = Name(place);
    if (text.empty()) Fault(place, "is missing");
    return text;
  }
  int64_t Number(int place) {
    const std::string_view text = Text(place);
    int64_t number = 0;
    if (place != kAbsent && !absl::SimpleAtoi(Absl(text), &number)) Fault(place, "is no number");
    return number;
  }
  // As the mapping's table explains it.
  LogState State(int place) { return Explained(place, states_, "states", LOG_STATE_UNSPECIFIED); }
  type::v1::Impact Impact(int place) {
    if (Text(place).empty()) return type::v1::IMPACT_UNSPECIFIED;
    return Explained(place, impacts_, "impacts", type::v1::IMPACT_UNSPECIFIED);
  }
  type::v1::Urgency Urgency(int place) {
    if (Text(place).empty()) return type::v1::URGENCY_UNSPECIFIED;
    return Explained(place, urgencies_, "urgencies", type::v1::URGENCY_UNSPECIFIED);
  }
  type::v1::Channel Channel(int place) {
    return Explained(place, channels_, "channels", type::v1::CHANNEL_UNSPECIFIED);
  }
  std::optional<bool> Verdict(int place) {
    const std::string_view text = Text(place);
    if (text.empty()) return std::nullopt;
    if (text == mapping_.values.verdict_met()) return true;
    if (text != mapping_.values.verdict_missed()) {
      Fault(place, "is neither verdict_met nor verdict_missed of the mapping");
    }
    return false;
  }

  struct Instant {
    absl::Time time;
    absl::Time latest;  // the second one of a local time that comes twice
    int day = 0, month = 0;
  };
  // The date format has no zone and nothing below the second, so that one text is one instant.
  Instant At(int place) {
    const std::string_view text = Text(place);
    const auto known = instants_.find(Absl(text));
    if (known != instants_.end()) return known->second;
    absl::Time civil;
    std::string error;
    if (text.empty() || !absl::ParseTime(mapping_.values.date_format(), Absl(text),
                                         absl::UTCTimeZone(), &civil, &error)) {
      Fault(place, absl::StrCat("is no instant like ", mapping_.values.date_format()));
      return {};
    }
    const absl::CivilSecond local = absl::ToCivilSecond(civil, absl::UTCTimeZone());
    const absl::TimeZone::TimeInfo info = mapping_.time_zone.At(local);
    Instant instant;
    instant.time = info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.pre;
    instant.latest = info.kind == absl::TimeZone::TimeInfo::REPEATED ? info.post : instant.time;
    instant.day = local.day();
    instant.month = local.month();
    instants_.emplace(std::string(text), instant);
    return instant;
  }

  void Fault(int place, std::string_view what) {
    const size_t column = static_cast<size_t>(place);
    errors_.Add(absl::StrCat(file_, ":", line_, ": column ", column + 1, " (",
                             std::string(header_[column]),
                             "): ", config::Quoted((*fields_)[column]), " ", std::string(what)));
  }

 private:
  template <typename E>
  E Explained(int place, const std::map<std::string, E, std::less<>>& table, const char* name,
              E otherwise) {
    const std::string_view text = Text(place);
    const auto found = table.find(text);
    if (found != table.end()) return found->second;
    Fault(place, absl::StrCat("is not explained by `", name, "` of ", mapping_.file));
    return otherwise;
  }

  const std::string& file_;
  const std::vector<std::string_view>& header_;
  const Mapping& mapping_;
  config::ErrorList& errors_;
  std::map<std::string, LogState, std::less<>> states_;
  std::map<std::string, type::v1::Impact, std::less<>> impacts_;
  std::map<std::string, type::v1::Urgency, std::less<>> urgencies_;
  std::map<std::string, type::v1::Channel, std::less<>> channels_;
  absl::flat_hash_map<std::string, Instant> instants_;
  const std::vector<std::string_view>* fields_ = nullptr;
  int line_ = 0;
};

LogRow ReadRow(Reader& reader, const Places& at, int line) {
  LogRow row;
  row.line = line;
  const Reader::Instant updated = reader.At(at.updated_at);
  row.updated_at = updated.time;
  row.updated_at_latest = updated.latest;
  row.opened_at = reader.At(at.opened_at).time;
  row.order = reader.Number(at.order);
  row.state = reader.State(at.state);
  row.channel = reader.Channel(at.channel);
  row.impact = reader.Impact(at.impact);
  row.urgency = reader.Urgency(at.urgency);
  row.location = reader.Name(at.location);
  row.caller = reader.Name(at.caller);
  row.category = reader.Name(at.category);
  row.subcategory = reader.Name(at.subcategory);
  row.group = reader.Name(at.group);
  row.assignee = reader.Name(at.assignee);
  row.resolution_code = reader.Name(at.resolution_code);
  LogRow::Hindsight& hindsight = row.hindsight;
  hindsight.met = reader.Verdict(at.verdict);
  if (!reader.Text(at.resolved_at).empty()) {
    hindsight.resolved_at = reader.At(at.resolved_at).time;
  }
  hindsight.state = reader.Text(at.state);
  hindsight.priority = reader.Text(at.priority);
  hindsight.reopenings = reader.Number(at.reopenings);
  hindsight.has_created_at = !reader.Text(at.created_at).empty();
  hindsight.day = updated.day;
  hindsight.month = updated.month;
  return row;
}

// Puts rows in the order in which they happened. A local time that comes twice means the first
// instant, unless a row that the order column puts before it stands between the two: then it can
// only be the second. Returns how many were.
int64_t PutInOrder(std::vector<LogRow>& rows) {
  std::stable_sort(rows.begin(), rows.end(),
                   [](const LogRow& a, const LogRow& b) { return a.order < b.order; });
  int64_t second = 0;
  absl::Time reached = absl::InfinitePast();
  for (LogRow& row : rows) {
    if (row.updated_at < reached && reached <= row.updated_at_latest) {
      row.updated_at = row.updated_at_latest;
      ++second;
    }
    reached = std::max(reached, row.updated_at);
  }
  std::stable_sort(rows.begin(), rows.end(), [](const LogRow& a, const LogRow& b) {
    return std::tie(a.updated_at, a.order, a.line) < std::tie(b.updated_at, b.order, b.line);
  });
  return second;
}

}  // namespace

absl::Time Incident::opens_at() const {
  return std::min(rows.front().opened_at, rows.front().updated_at);
}

std::string_view Incident::location() const {
  for (const LogRow& row : rows) {
    if (!row.location.empty()) return row.location;
  }
  return {};
}

std::string_view Incident::caller() const {
  for (const LogRow& row : rows) {
    if (!row.caller.empty()) return row.caller;
  }
  return {};
}

absl::StatusOr<IncidentLog> ParseLog(std::string text, const std::string& file,
                                     const Mapping& mapping) {
  IncidentLog log;
  log.text_ = std::make_unique<const std::string>(std::move(text));
  config::ErrorList errors;
  CsvReader csv(*log.text_, file);
  std::vector<std::string_view> header, fields;
  absl::StatusOr<bool> read = csv.Next(header);
  if (!read.ok()) return read.status();
  if (!*read) return absl::InvalidArgumentError(absl::StrCat(file, ": is empty"));
  const Places places = FindColumns(header, file, mapping, errors);
  if (!errors.empty()) return errors.ToStatus();

  Reader reader(file, header, mapping, errors);
  std::vector<int64_t> missing(header.size(), 0);
  absl::flat_hash_map<std::string_view, size_t> by_number;
  for (;;) {
    read = csv.Next(fields);
    if (!read.ok()) return read.status();
    if (!*read) break;
    if (fields.size() != header.size()) {
      return absl::InvalidArgumentError(absl::StrCat(file, ":", csv.line(), ": has ", fields.size(),
                                                     " columns, the first line has ",
                                                     header.size()));
    }
    ++log.rows_;
    for (size_t i = 0; i < fields.size(); ++i) {
      if (fields[i].empty() || fields[i] == mapping.values.missing()) ++missing[i];
    }
    reader.StartRow(&fields, csv.line());
    const std::string_view number = reader.Needed(places.number);
    const LogRow row = ReadRow(reader, places, csv.line());
    const auto [known, is_new] = by_number.try_emplace(number, log.incidents_.size());
    if (is_new) log.incidents_.push_back({number, {}});
    log.incidents_[known->second].rows.push_back(row);
    if (errors.total() > config::ErrorList::kMax) return errors.ToStatus();
  }
  if (!errors.empty()) return errors.ToStatus();
  if (log.incidents_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": holds no row beside the first line"));
  }
  log.blank_lines_ = csv.blank_lines();
  log.unquoted_ = csv.TakeUnquoted();
  for (Incident& incident : log.incidents_) {
    log.rows_in_a_repeated_hour_ += PutInOrder(incident.rows);
    log.first_instant_ = std::min(log.first_instant_, incident.opens_at());
    log.last_instant_ = std::max(log.last_instant_, incident.rows.back().updated_at);
  }
  std::map<std::string_view, int> seen;
  for (size_t i = 0; i < header.size(); ++i) {
    const int place = ++seen[header[i]];
    if (missing[i] == 0) continue;
    std::string name(header[i]);
    if (std::count(header.begin(), header.end(), header[i]) > 1) absl::StrAppend(&name, "#", place);
    log.missing_.emplace_back(std::move(name), missing[i]);
  }
  return log;
}

}  // namespace tandem::programs
