// A historical ticket log as a mapping explains it: incidents with their rows in the order in which
// they happened.
#ifndef TANDEM_SERVICES_TANDEM_INCIDENT_LOG_H_
#define TANDEM_SERVICES_TANDEM_INCIDENT_LOG_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/tandem/replay_mapping.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::programs {

// One update of an incident. Texts are empty where the log does not know them; they refer to the
// log.
struct LogRow {
  int line = 0;
  absl::Time updated_at;
  // The second instant of a local time that comes twice; else the same as updated_at.
  absl::Time updated_at_latest;
  absl::Time opened_at;
  int64_t order = 0;
  LogState state = LOG_STATE_UNSPECIFIED;
  type::v1::Channel channel = type::v1::CHANNEL_UNSPECIFIED;
  type::v1::Impact impact = type::v1::IMPACT_UNSPECIFIED;
  type::v1::Urgency urgency = type::v1::URGENCY_UNSPECIFIED;
  std::string_view location, caller, category, subcategory, group, assignee, resolution_code;

  // For counting and comparing alone: some of it tells what had not happened yet.
  struct Hindsight {
    std::optional<bool> met;
    std::optional<absl::Time> resolved_at;
    std::string_view state, priority;  // as written
    int64_t reopenings = 0;
    bool has_created_at = false;
    int day = 0;  // of updated_at, as written
    int month = 0;
  } hindsight;
};

struct Incident {
  std::string_view number;
  // By instant, then by the order column, then as in the file. Which instant of an hour that comes
  // twice a row means follows from the order column.
  std::vector<LogRow> rows;

  // When its ticket opens: as the log says, or with a row that stands before.
  absl::Time opens_at() const;
  // The first customer and caller that any row names; empty = none does.
  std::string_view location() const;
  std::string_view caller() const;
};

// Movable; what its rows refer to moves along.
class IncidentLog {
 public:
  // In the order of the file. At least one.
  const std::vector<Incident>& incidents() const { return incidents_; }
  int64_t rows() const { return rows_; }
  // Lines that held nothing.
  int64_t blank_lines() const { return blank_lines_; }
  // Rows that mean the second instant of a local time that comes twice.
  int64_t rows_in_a_repeated_hour() const { return rows_in_a_repeated_hour_; }
  // The columns in which a value is missing, and in how many rows; in the order of the file.
  const std::vector<std::pair<std::string, int64_t>>& missing() const { return missing_; }
  absl::Time first_instant() const { return first_instant_; }
  absl::Time last_instant() const { return last_instant_; }

 private:
  friend absl::StatusOr<IncidentLog> ParseLog(std::string, const std::string&, const Mapping&);

  std::unique_ptr<const std::string> text_;
  std::deque<std::string> unquoted_;
  std::vector<Incident> incidents_;
  std::vector<std::pair<std::string, int64_t>> missing_;
  int64_t rows_ = 0;
  int64_t blank_lines_ = 0;
  int64_t rows_in_a_repeated_hour_ = 0;
  absl::Time first_instant_ = absl::InfiniteFuture();
  absl::Time last_instant_ = absl::InfinitePast();
};

// INVALID_ARGUMENT names file, line and column of what cannot be read: the first 50 such places.
// `file` only names the text. A local time that does not exist is the instant after the gap, one
// that exists twice the first, unless the order column says that the row comes after a later one.
absl::StatusOr<IncidentLog> ParseLog(std::string text, const std::string& file,
                                     const Mapping& mapping);

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_INCIDENT_LOG_H_
