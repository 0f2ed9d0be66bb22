// What the services answer beside what the shadows say. Plain data in, the first difference out, in
// words that a person can act on. Pure functions.
//
//   absl::Status same = CompareClocks(events_of_the_ticket, policies, answers);
//   // "ticket tkt_1, RESOLUTION, cycle 1: used: the service says 4h10m, the rules give 4h; from
//   2026-11-23T12:00:00Z
//   //  to 2026-11-23T12:10:00Z the service counts, by the rules it is not counted (paused:
//   PENDING)"
#ifndef TANDEM_TESTS_SIMULATION_SHADOW_COMPARE_H_
#define TANDEM_TESTS_SIMULATION_SHADOW_COMPARE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/bus/event.h"
#include "tandem/account/v1/account_policy.pb.h"
#include "tandem/account/v1/outreach_service.pb.h"
#include "tandem/sla/v1/sla_service.pb.h"
#include "tests/simulation/shadow_clearance.h"
#include "tests/simulation/shadow_clocks.h"

namespace tandem::simulation {

// What sla_timer says about one ticket.
struct ClockAnswers {
  sla::v1::GetTicketSlaResponse ticket;
  // One a cycle that was asked for; the pages of an answer joined.
  std::vector<sla::v1::ExplainClockResponse> explanations;
  // Its Sla… events, in log order; duplicates are looked over.
  std::vector<bus::Event> published;
};

struct ClockTolerance {
  // How long after its instant a verdict may still be on its way: settling, a lagging bus, a stop.
  absl::Duration lag = absl::Seconds(2);
  // How much later than it happened a fact may arrive without being late: no timer overtakes it by
  // then.
  absl::Duration settle = absl::Seconds(1);
  // Whether `arrived_at` of the events is known. Else every verdict may have been told late or
  // corrected.
  bool arrivals_known = true;
};

// FAILED_PRECONDITION names the first difference; what EvaluateClocks refuses is passed on.
absl::Status CompareClocks(const std::vector<ArrivedEvent>& events,
                           const std::vector<PolicyInForce>& policies, const ClockAnswers& answers,
                           const ClockTolerance& tolerance = {});

// A question that was put to account_health, and its answer.
struct OutreachCheck {
  account::v1::CheckOutreachRequest request;
  account::v1::CheckOutreachResponse response;
  absl::Time asked_at;
  absl::Time answered_at;
  // When an ALLOW was committed, where that is known: what had been consumed by then counts for it.
  absl::Time given_at = absl::InfinitePast();
  // Whether intake may not have answered in time, which is a HOLD.
  bool intake_may_be_unreachable = false;
};

// What account_health says about one account.
struct ClearanceAnswers {
  std::vector<OutreachCheck> checks;
  std::vector<account::v1::Clearance> clearances;  // all pages of ListClearances
  std::vector<account::v1::ProvenTouch> touches;   // all pages of ProveOutreach
  absl::Time as_of;                                // when the two were asked for
};

struct ClearanceTolerance {
  // The list of events is not complete: a revocation may name one that is not in it.
  bool revokers_unknown = false;
};

// FAILED_PRECONDITION names the first difference, checks before clearances before touches.
absl::Status CompareClearance(const AccountFacts& facts, const account::v1::AccountPolicy& policy,
                              const ClearanceAnswers& answers,
                              const ClearanceTolerance& tolerance = {});

// The last part of it: what became of an account's touches under all its clearances, which may rest
// on several versions of the policy; `budget` is that of each of them. `skew` as in AccountFacts.
absl::Status CompareTouches(const std::string& account_id, const account::v1::ContactBudget& budget,
                            absl::Duration skew,
                            const std::vector<account::v1::ProvenTouch>& touches,
                            const std::vector<account::v1::Clearance>& clearances);

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_SHADOW_COMPARE_H_
