// The triage policy made ready to use: how severe a ticket is, where it goes, what it needs. Pure.
#ifndef TANDEM_SERVICES_TRIAGE_RULES_H_
#define TANDEM_SERVICES_TRIAGE_RULES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "common/calendar/calendar.h"
#include "common/corridor/errors.h"
#include "re2/re2.h"
#include "tandem/triage/v1/triage_policy.pb.h"
#include "tandem/triage/v1/triage_service.pb.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::triage {

// What the rules made of a ticket.
struct Classification {
  type::v1::Severity severity = type::v1::SEVERITY_UNSPECIFIED;
  std::vector<v1::ClassificationStep> steps;  // the matrix, then every severity rule
  type::v1::SupportLevel support_level = type::v1::SUPPORT_LEVEL_L1;
  std::string support_level_rule;  // empty = the default
  std::string queue;
  std::string routing_rule;  // empty = the default
  // The rules that matched, in order: severity, support level, routing.
  std::vector<std::string> Cited() const;
};

// Immutable; any thread.
class Rules {
 public:
  // Adds every problem of `policy`; null when there are any.
  static std::shared_ptr<const Rules> Make(const v1::TriagePolicy& policy,
                                           corridor::Violations& violations);

  // `text_matches`: the severity rules whose patterns were found in the ticket's text.
  // `by_hand`: the severity in force where a person set it, for routing and level; unspecified =
  // none.
  Classification Classify(const v1::TicketFacts& facts, const std::set<std::string>& text_matches,
                          type::v1::Severity by_hand) const;
  // Whether any severity rule looks at the text.
  bool NeedsText() const { return needs_text_; }
  // The severity rules whose patterns are found in `text`, in order.
  std::vector<std::string> TextMatches(std::string_view text) const;

  // The skills that an agent needs for `product`.
  const std::vector<std::string>& SkillsFor(std::string_view product) const;
  int CapacityUnits(type::v1::Severity severity) const;

  // The queues, in the order of the policy; at least one.
  const std::vector<std::string>& queues() const { return queues_; }
  bool HasQueue(std::string_view queue) const { return calendar_of_queue_.contains(queue); }
  // The instants at which a ticket of `severity` that waits in `queue` since `since` rises a class,
  // at most to URGENT: none, one or two.
  std::vector<absl::Time> RiseInstants(std::string_view queue, type::v1::Severity severity,
                                       absl::Time since) const;
  // Whether `calendar` is open at `at`. No name is always open; a name that the policy does not
  // have never is: a shift that nobody knows puts nobody on duty.
  bool IsOpen(std::string_view calendar, absl::Time at) const;
  bool HasCalendar(std::string_view calendar) const { return calendars_.contains(calendar); }

  // 0 to 100 (product §2.3, the parts that triage knows): users hit, similar open tickets of 24
  // hours.
  int ImpactScore(int64_t affected_users, int64_t similar) const;
  // 2 high, 1 middle, 0 low.
  int ImpactBand(int score) const;

  // The first escalation policy that fits; null when none does.
  const v1::EscalationPolicy* EscalationFor(v1::EscalationTrigger trigger,
                                            type::v1::Severity severity,
                                            type::v1::ContactLevel level) const;
  // The escalation policy of this name; null when there is none.
  const v1::EscalationPolicy* EscalationNamed(std::string_view name) const;
  // The instant `span` after `from`: elapsed for CRITICAL and URGENT, else in the open time of the
  // escalation policy's calendar, or of the queue's (product §2.4).
  absl::Time After(const v1::EscalationPolicy& policy, type::v1::Severity severity,
                   std::string_view queue, absl::Time from, absl::Duration span) const;
  // Who holds `role` by default; empty = nobody.
  std::string_view DefaultFor(type::v1::StaffRole role) const;
  int64_t reopenings_to_escalate() const { return reopenings_to_escalate_; }
  // The wait before intake is asked again, after `attempt` failures, from 1.
  absl::Duration TextRetryAfter(int attempt) const;
  // How long somebody may be unavailable before their tickets are released; infinite = for ever.
  absl::Duration release_unavailable_after() const { return release_unavailable_after_; }

 private:
  Rules() = default;
  type::v1::Severity FromMatrix(type::v1::Impact impact, type::v1::Urgency urgency) const;
  absl::Time Add(std::string_view calendar, absl::Time from, absl::Duration span) const;

  v1::TriagePolicy policy_;
  std::map<std::pair<int, int>, type::v1::Severity> matrix_;
  // By severity rule, in order; empty where a rule has no patterns.
  std::vector<std::vector<std::unique_ptr<const re2::RE2>>> patterns_;
  bool needs_text_ = false;
  std::vector<std::string> queues_;
  std::map<std::string, std::string, std::less<>> calendar_of_queue_;
  std::map<std::string, calendar::Calendar, std::less<>> calendars_;
  std::map<std::string, std::vector<std::string>, std::less<>> skills_;
  std::map<int, int> units_;
  std::map<int, std::string> role_defaults_;
  absl::Duration rise_after_;
  int64_t users_of_full_weight_ = 0;
  int similar_of_full_weight_ = 0;
  int high_band_from_ = 0;
  int middle_band_from_ = 0;
  int64_t reopenings_to_escalate_ = 0;
  absl::Duration text_retry_after_;
  absl::Duration release_unavailable_after_;
};

}  // namespace tandem::triage

#endif  // TANDEM_SERVICES_TRIAGE_RULES_H_
