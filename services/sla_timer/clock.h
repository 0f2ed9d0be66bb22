// The SLA clocks of one ticket, judged from its facts (product §3). Pure: the same facts, policies
// and authority give the same answer, whatever the order in which the facts arrived.
//
// Facts are taken in the order of their own instants, and time passes between them. Time alone may
// breach a clock; that needs authority, so that a timer never overtakes a fact: the evaluation
// stops at the first such instant that no timer has fired for, and leaves the later facts for then.
#ifndef TANDEM_SERVICES_SLA_TIMER_CLOCK_H_
#define TANDEM_SERVICES_SLA_TIMER_CLOCK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "services/sla_timer/facts.h"
#include "services/sla_timer/sla_rules.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::sla_timer {

// The target in force, and where it comes from. Pointers live as long as the policy versions.
struct Leg {
  int64_t policy_version = 0;
  const Rule* rule = nullptr;      // null = no rule matches
  const Target* target = nullptr;  // null = the rule has none for this metric
  absl::Duration budget;           // of the target, for a clock that started when this one did
  type::v1::Severity severity = type::v1::SEVERITY_UNSPECIFIED;

  friend bool operator==(const Leg&, const Leg&) = default;
};

enum class PieceKind { kRunning, kPending, kOnHold, kResolved, kCancelled, kNoTarget };

// A stretch of a cycle's life in which nothing changed.
struct Piece {
  absl::Time from;
  absl::Time to;
  PieceKind kind = PieceKind::kRunning;
  int fact = 0;  // the fact that began it
  Leg leg;
};

enum class Phase { kRunning, kPaused, kStopped, kCancelled };

struct Cycle {
  int number = 0;  // from 1; 0 = it never had a target and is nobody's business
  Phase phase = Phase::kRunning;
  absl::Time started_at;
  Leg leg;
  std::vector<Piece> pieces;  // closed ones, from started_at to `since`, without gap
  absl::Time since;           // where the current piece began
  PieceKind kind = PieceKind::kRunning;
  int fact = 0;         // that began the current piece
  absl::Duration used;  // business time up to `since`, overshoot included
  std::optional<absl::Time> breached_at;
  std::string breach_cause;  // "severity_change", "policy_change" or empty = time alone
  std::optional<absl::Time> ended_at;
  std::string cancel_reason;  // empty = not cancelled

  bool IsVisible() const { return number > 0; }
  bool IsLive() const { return phase == Phase::kRunning || phase == Phase::kPaused; }
  // The due instant of a visible cycle that was not cancelled: of a paused one, if it went on at
  // `now`; of a stopped one, if it had gone on. InfiniteFuture = beyond what the calendar covers.
  absl::Time Due(absl::Time now) const;
  // Business time used up to `now`, which is not before `since`.
  absl::Duration UsedAt(absl::Time now) const;

  // Set by a first classification that counts from creation on: the budget was used up then.
  std::optional<absl::Time> crossed_at;
  // Warnings up to this use are over in this leg.
  absl::Duration passed;
  // The stop that would have ended it came while it was cancelled.
  bool stop_seen = false;
};

enum class ChangeKind {
  kStarted,
  kRetargeted,
  kPaused,
  kResumed,
  kBreached,
  kMet,
  kStopped,
  kCancelled
};

// One thing that happened to a clock, in the order in which it happened.
struct Change {
  ChangeKind kind = ChangeKind::kStarted;
  absl::Time at;
  int cycle = 0;
  Leg leg;
  absl::Time started_at;
  absl::Time due;         // not for kPaused and kCancelled
  absl::Duration amount;  // kPaused, kMet: used; kStopped: overshoot
  std::string reason;     // kCancelled: why; kBreached: cause

  friend bool operator==(const Change&, const Change&) = default;
};

// The next instant at which time alone does something.
struct Pending {
  absl::Time at;  // when it is judged
  bool is_breach = false;
  absl::Time due;  // of the breach; before `at` only when a first classification found it passed
  std::string warning;  // name of the threshold
};

// How far time may be judged.
struct Authority {
  // Timers fired up to here: whatever time does at or before it is judged.
  absl::Time fired_until = absl::InfinitePast();
  // Facts were judged up to here: what time did before it cannot wait any more.
  absl::Time known_until = absl::InfinitePast();
  // Warnings that were given, as "<cycle>:<name>"; none is given again.
  std::vector<std::string> warned = {};
};

struct Evaluation {
  std::vector<Cycle> cycles;                      // visible ones, by number
  std::vector<Change> log;                        // of visible cycles
  std::optional<Pending> pending;                 // what waits for a timer
  absl::Time known_until = absl::InfinitePast();  // for the next Authority

  const Cycle* Latest() const { return cycles.empty() ? nullptr : &cycles.back(); }
};

std::string WarnedName(int cycle, const std::string& threshold);

// `facts` are sorted and begin with the opening (else the answer is empty). Policy versions that
// the facts name are in `policies`; a version that is missing there has no rules.
Evaluation Evaluate(const std::vector<Fact>& facts, type::v1::SlaMetric metric,
                    const PolicyVersions& policies, const Authority& authority);

}  // namespace tandem::sla_timer

#endif  // TANDEM_SERVICES_SLA_TIMER_CLOCK_H_
