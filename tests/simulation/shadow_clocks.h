// A second opinion on SLA clocks, written from the product's text and the protos alone: a ticket's
// facts in the order of their own instants, walked once for each metric. It knows nothing of
// records, timers or corrections. Every clock comes out of the facts as they are known at the end,
// whatever the order in which they arrived.
//
//   absl::StatusOr<ShadowTicket> ticket = EvaluateClocks(events, {{.version = 1, .policy =
//   policy}}, now); ticket->Latest(type::v1::SLA_METRIC_RESOLUTION)->due_at
#ifndef TANDEM_TESTS_SIMULATION_SHADOW_CLOCKS_H_
#define TANDEM_TESTS_SIMULATION_SHADOW_CLOCKS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/event.h"
#include "tandem/sla/v1/sla_policy.pb.h"
#include "tandem/sla/v1/sla_service.pb.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::simulation {

// A lifecycle event and when sla_timer could act on it. One that was never late has arrived in the
// infinite past.
struct ArrivedEvent {
  bus::Event event;
  absl::Time arrived_at = absl::InfinitePast();
};

// A version of the policy. The built-in one holds from the infinite past.
struct PolicyInForce {
  int64_t version = 0;
  absl::Time applied_at = absl::InfinitePast();
  sla::v1::SlaPolicy policy;
  // Whether it was in force when the ticket's opening was applied, by the order of the commits;
  // where that is not known, by the instants.
  std::optional<bool> at_opening = std::nullopt;
};

// A piece of a clock's time; pieces of one kind that touch are one.
struct ShadowSegment {
  absl::Time from;
  absl::Time to;
  bool counted = false;
  std::string why;  // as tandem.sla.v1.ClockSegment has it
};

// One cycle of one metric at the as-of instant.
struct ShadowClock {
  type::v1::SlaMetric metric = type::v1::SLA_METRIC_UNSPECIFIED;
  int cycle = 0;
  sla::v1::ClockPhase phase = sla::v1::CLOCK_PHASE_UNSPECIFIED;
  sla::v1::SlaVerdict verdict = sla::v1::SLA_VERDICT_UNSPECIFIED;
  absl::Time started_at;
  // For a paused clock: if it went on at the as-of instant. None when cancelled.
  std::optional<absl::Time> due_at;
  absl::Duration target;
  absl::Duration used;  // business time, overshoot included
  std::string calendar;
  std::string rule;
  int64_t policy_version = 0;
  std::optional<absl::Time> breached_at;
  std::optional<absl::Time> ended_at;
  absl::Duration overshoot;  // of a breached clock that stopped
  std::string cancel_reason;
  // From the start to the due instant or the end, whichever is later, without gap or overlap.
  std::vector<ShadowSegment> segments;
};

// A verdict that has to have been told, by an event of its own or by a correction of another one.
struct ShadowVerdict {
  enum class Kind { kWarning, kBreached, kMet, kStopped, kCancelled };
  Kind kind = Kind::kWarning;
  type::v1::SlaMetric metric = type::v1::SLA_METRIC_UNSPECIFIED;
  int cycle = 0;
  absl::Time at;          // the instant of the fact
  std::string threshold;  // of a warning
  // All facts dated up to `at` had arrived by then, so it was told as it stands. Else another
  // verdict may have been told before, and corrected, and a warning may never have been given.
  bool certain = true;
};

struct ShadowTicket {
  std::string ticket_id;
  std::vector<ShadowClock> clocks;  // by metric and cycle
  std::vector<ShadowVerdict> verdicts;
  // The first classification came after verdicts: other ones were told before, and corrected.
  bool judged_anew = false;

  // The last cycle of a metric; null when it has none.
  const ShadowClock* Latest(type::v1::SlaMetric metric) const;
};

// The clocks of one ticket. `events` are those about it, in any order, with duplicates, other types
// among them; `policies` all versions in force up to `as_of`, in order. INVALID_ARGUMENT for a body
// that is not of its type, for events of two tickets, without TicketOpened, and for a policy that
// names what it does not have. A pure function.
absl::StatusOr<ShadowTicket> EvaluateClocks(const std::vector<ArrivedEvent>& events,
                                            const std::vector<PolicyInForce>& policies,
                                            absl::Time as_of);

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_SHADOW_CLOCKS_H_
