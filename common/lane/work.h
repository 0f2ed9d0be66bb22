// What enters a lane: a command (RPC), a timer that fell due, a run of events of one partition,
// plain writes of the mechanism itself, and the retry or dropping of parked events.
#ifndef TANDEM_COMMON_LANE_WORK_H_
#define TANDEM_COMMON_LANE_WORK_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/corridor/decision.h"
#include "common/corridor/definition.h"
#include "common/corridor/endpoint.h"
#include "common/store/store.h"

namespace tandem::lane {

// Answers gathered for one piece of work, and how many rounds of questions it has had.
struct Gathered {
  corridor::Answers answers;
  int rounds = 0;
};

struct Command {
  const corridor::ServiceDefinition::Method* method = nullptr;
  corridor::CallContext context;
  corridor::MessagePtr request;
  std::string scope;  // hash(caller, method, request_id): the mark's key and the cause of its ids
  std::string body_hash;  // SHA-256 of the deterministic serialisation
  corridor::ReplyCallback done;
  Gathered gathered;
};

enum class TimerOutcome {
  kDecided,  // committed, or the row was gone: fired before, moved or cancelled
  kRetry,    // could not be decided now; the row still stands
};

struct TimerFiring {
  const corridor::ServiceDefinition::TimerKind* kind = nullptr;
  std::string kind_name;
  corridor::FiredTimer timer;
  corridor::MessagePtr payload;
  std::string traceparent;
  std::optional<absl::Status> effect;  // the result of an effect that was carried out
  // Whose it is to fire, and until when; empty and for ever where one process has the database.
  std::string claim;
  absl::Time claimed_until = absl::InfiniteFuture();
  absl::AnyInvocable<void(TimerOutcome)> done;
  Gathered gathered;
};

// One event of a run, parsed off the lane.
struct RunEvent {
  bus::RecordPtr record;
  const corridor::ServiceDefinition::EventReaction* reaction =
      nullptr;                // null = a type not used here
  corridor::MessagePtr body;  // null = it did not parse
  Gathered gathered;
};

// Parses the record's body if the service uses events of its type.
RunEvent Parsed(const corridor::ServiceDefinition& definition, bus::RecordPtr record);

struct RunResult {
  enum class Kind {
    kApplied,  // all of it, or the first `applied` events of it (the batch was full)
    kAsks,     // the event after the applied ones asks `questions`
    kRetry,    // the event after the applied ones failed for a passing reason
    kFenced,   // nothing: the position row did not match; claim again
    kStopped,  // nothing more: too many subjects were parked in a minute
  };
  Kind kind = Kind::kApplied;
  size_t applied = 0;
  std::vector<corridor::Question> questions;
  absl::Status why;
};

// Events of one partition in offset order, behind `stored`.
struct Run {
  int partition = 0;
  int64_t stored = 0;  // the position in the database before this run
  int64_t epoch = 0;
  std::vector<RunEvent> events;
  absl::AnyInvocable<void(RunResult)> done;
};

struct Writes {
  std::vector<store::Write> lines;
  absl::AnyInvocable<void(absl::Status)> done;  // may be empty
  bool lazy = false;                            // what failed is tried again with the next ones
};

struct RetryResult {
  int applied = 0;
  int remaining = 0;
  absl::Status why;
};

// Decides the parked events of `subject` again, in order, until one fails; or discards one letter.
struct Retry {
  std::string subject;
  std::optional<int64_t> drop;
  absl::AnyInvocable<void(absl::StatusOr<RetryResult>)> done;
  Gathered gathered;  // for the first of them
};

}  // namespace tandem::lane

#endif  // TANDEM_COMMON_LANE_WORK_H_
