// Statuses with google.rpc details, made where the error is found and mapped to gRPC once, at the
// edge. A message names the thing and the way out; it never quotes a text that a customer wrote.
#ifndef TANDEM_COMMON_CORRIDOR_ERRORS_H_
#define TANDEM_COMMON_CORRIDOR_ERRORS_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"

namespace tandem::corridor {

// What a program needs to act on an error without reading its text: ids, limits, states. Keys are
// lower_snake_case; a value is never a text that a person wrote.
using ErrorMetadata = std::initializer_list<std::pair<std::string_view, std::string>>;

// `status` with an ErrorInfo{reason, domain "tandem", metadata}; `reason` is UPPER_SNAKE_CASE.
absl::Status WithReason(absl::Status status, std::string_view reason, ErrorMetadata metadata = {});
// `status` with a RetryInfo.
absl::Status WithRetryAfter(absl::Status status, absl::Duration after);

// NOT_FOUND "<what> <id> does not exist", reason <WHAT>_NOT_FOUND (spaces as underscores), metadata
// <what>_id.
absl::Status NotFound(std::string_view what, std::string_view id);
// FAILED_PRECONDITION SUBJECT_PARKED: facts about it wait among the dead letters.
absl::Status SubjectParked(std::string_view subject);
// FAILED_PRECONDITION with a reason.
absl::Status FailedPrecondition(std::string_view reason, std::string_view message,
                                ErrorMetadata metadata = {});

// A record of another service that a call names and that no event has brought here yet.
struct Unheard {
  std::string kind;  // as ServiceDefinition::Follows names it: "shelf"
  std::string id;
};
// What a rule of an RPC returns for it: as NotFound, but the runtime asks the record's owner first,
// and if it exists there the call waits for the event that brings it (see Follows).
absl::Status NotHeardOf(std::string_view kind, std::string_view id);
// `status` with the ids that the request names, beside what is in its ErrorInfo already; unchanged
// when it has none. Keys are the fields' names.
absl::Status WithIdsOf(const google::protobuf::Message& request, absl::Status status);
// What `status` says was not heard of; nothing for every other status.
std::optional<Unheard> UnheardIn(const absl::Status& status);
// ABORTED VERSION_CONFLICT: "<what> <id> has version <current>, not <expected>; read it again".
absl::Status VersionConflict(std::string_view what, std::string_view id, int64_t expected,
                             int64_t current);

// Collects every bad field of a request, so that one answer names them all. Not thread-safe.
class Violations {
 public:
  // Adds "<field>: <problem>" when `good` is false; returns `good`.
  bool Require(bool good, std::string_view field, std::string_view problem);
  // An id: 1 to 128 bytes of [A-Za-z0-9_.:-]; `optional` lets it be empty.
  bool Id(std::string_view field, std::string_view value, bool optional = false);
  // Valid UTF-8 without NUL of at most `max_bytes` in which a person sees something: not only
  // blanks of whatever script, zero-width or control characters. `optional` lets it be empty.
  bool Text(std::string_view field, std::string_view value, size_t max_bytes,
            bool optional = false);
  // Text of one line: no control characters, no separators of lines. Names, subjects and whatever
  // may stand in a mail's head or in one row of a table.
  bool Line(std::string_view field, std::string_view value, size_t max_bytes,
            bool optional = false);
  // A BCP 47 language tag by its form: 1 to 35 bytes of [A-Za-z0-9-]; `optional` lets it be empty.
  bool Language(std::string_view field, std::string_view value, bool optional = false);
  // A key such as a product or category: 1 to 64 bytes of [a-z0-9_.-], `optional` lets it be empty.
  bool Key(std::string_view field, std::string_view value, bool optional = false);
  // A list of at most `max` entries.
  bool Count(std::string_view field, size_t size, size_t max);
  // `min` <= value <= `max`.
  bool Range(std::string_view field, int64_t value, int64_t min, int64_t max);
  // A page size of 0 (the default) to `max`.
  bool PageSize(int64_t value, int64_t max);

  // Adds what `status` lists in its BadRequest, if it is INVALID_ARGUMENT with one, and what is not
  // listed yet: two checks may see the same.
  void Absorb(const absl::Status& status);

  bool ok() const { return violations_.empty(); }
  // OK, or INVALID_ARGUMENT that lists all, with a google.rpc.BadRequest.
  absl::Status status() const;

 private:
  struct Violation {
    std::string field, problem;
  };
  std::vector<Violation> violations_;
};

// Finds, by reflection over the whole message tree, what no field may hold whatever its meaning:
// enum numbers that the binary does not know, timestamps outside years 1970 to 9999, durations
// outside
// +-100 years, lists over 1,000 entries, strings over 1 MiB.
void CheckShape(const google::protobuf::Message& message, Violations& violations);

}  // namespace tandem::corridor

#endif  // TANDEM_COMMON_CORRIDOR_ERRORS_H_
