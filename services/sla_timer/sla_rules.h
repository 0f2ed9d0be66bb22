// A version of the SLA policy, ready to use: which rule a ticket matches and what it promises.
#ifndef TANDEM_SERVICES_SLA_TIMER_SLA_RULES_H_
#define TANDEM_SERVICES_SLA_TIMER_SLA_RULES_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/calendar/calendar.h"
#include "common/config/duration.h"
#include "common/corridor/errors.h"
#include "tandem/sla/v1/sla_policy.pb.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::sla_timer {

// The metrics that have clocks, in the order in which answers list them.
inline constexpr std::array<type::v1::SlaMetric, 3> kMetrics = {type::v1::SLA_METRIC_FIRST_RESPONSE,
                                                                type::v1::SLA_METRIC_RESOLUTION,
                                                                type::v1::SLA_METRIC_TIME_TO_OWN};
bool HasClock(type::v1::SlaMetric metric);

// What rules look at.
struct Attributes {
  type::v1::Severity severity = type::v1::SEVERITY_UNSPECIFIED;  // not classified yet
  type::v1::Segment segment = type::v1::SEGMENT_UNSPECIFIED;
  type::v1::ContactLevel contact_level = type::v1::CONTACT_LEVEL_UNSPECIFIED;  // MEMBER
  type::v1::Channel channel = type::v1::CHANNEL_UNSPECIFIED;
  std::string category = {};
};

// A warning: its name as the policy states it ("75%", "30m") and the business time that has been
// used when it is given, above 0.
struct Threshold {
  std::string name;
  absl::Duration used;
};

// A warning before the budget is known.
struct Warning {
  std::string name;
  int percent = 0;  // of the budget; 0 = `before_due` counts
  absl::Duration before_due;
};

struct Target {
  absl::Duration budget;  // zero for working days
  int working_days = 0;   // 0 = `budget` counts
  std::string text;       // as it is written
  calendar::Calendar hours;
  std::vector<Warning> warnings;
  std::vector<Threshold> thresholds;  // of `budget`, by rising use

  // The business time that a clock has which starts then; more than there is where working days end
  // beyond what the calendar covers.
  absl::Duration BudgetFrom(absl::Time start) const;
  // By rising use.
  std::vector<Threshold> ThresholdsOf(absl::Duration of_budget) const;
};

// What is wrong with `span`, which is written as `text`, for a budget by that calendar: days where
// not every hour is open, with the way to say it. Empty = nothing.
std::string DaysProblem(const config::WrittenSpan& span, const std::string& text,
                        const calendar::Calendar& hours);

struct Rule {
  std::string name;
  sla::v1::SlaCondition when;
  std::array<std::optional<Target>, type::v1::SlaMetric_ARRAYSIZE> targets;  // by metric

  const Target* TargetOf(type::v1::SlaMetric metric) const {
    const std::optional<Target>& target = targets[static_cast<size_t>(metric)];
    return target ? &*target : nullptr;
  }
};

struct Behaviour {
  sla::v1::OnChange on_reopen = sla::v1::ON_CHANGE_KEEP;
  sla::v1::OnChange on_change = sla::v1::ON_CHANGE_CARRY_OVER;
  bool paused_in_pending = false;
  bool paused_on_hold = false;

  bool PausedIn(type::v1::TicketState state) const {
    return (state == type::v1::TICKET_STATE_PENDING && paused_in_pending) ||
           (state == type::v1::TICKET_STATE_ON_HOLD && paused_on_hold);
  }
};

// How fast stored clocks are compared with a full recomputation in the background.
struct VerificationPace {
  absl::Duration every = absl::Minutes(1);  // between two steps
  int tickets = 50;                         // in one step; 0 = off
};

// Immutable; any thread. Targets and rules live as long as this does.
class SlaRules {
 public:
  // Adds a violation for everything that is wrong with `policy`; the result is of use only if there
  // is none.
  static std::shared_ptr<const SlaRules> Make(const sla::v1::SlaPolicy& policy,
                                              corridor::Violations& violations);

  // The first rule that matches; null = the ticket has no clocks.
  const Rule* Match(const Attributes& attributes) const;
  const Behaviour& BehaviourOf(type::v1::SlaMetric metric) const {
    return behaviours_[static_cast<size_t>(metric)];
  }
  // Whether this version takes tickets that are open when it is applied.
  bool takes_open_tickets() const { return takes_open_tickets_; }
  const VerificationPace& verification() const { return verification_; }
  // The policy's calendars by name, those that no target names as well.
  const std::map<std::string, calendar::Calendar, std::less<>>& calendars() const {
    return calendars_;
  }

 private:
  std::vector<Rule> rules_;
  std::array<Behaviour, type::v1::SlaMetric_ARRAYSIZE> behaviours_;
  bool takes_open_tickets_ = false;
  VerificationPace verification_;
  std::map<std::string, calendar::Calendar, std::less<>> calendars_;
};

// The versions that a ticket's evaluation may need. A small value.
class PolicyVersions {
 public:
  void Add(int64_t version, std::shared_ptr<const SlaRules> rules) {
    versions_.emplace_back(version, std::move(rules));
  }
  // Null when it was not added.
  const SlaRules* Find(int64_t version) const {
    for (const auto& [number, rules] : versions_) {
      if (number == version) return rules.get();
    }
    return nullptr;
  }

 private:
  std::vector<std::pair<int64_t, std::shared_ptr<const SlaRules>>> versions_;
};

// The policy that holds until one is applied; the same as deploy/policies/sla.yaml.
sla::v1::SlaPolicy BuiltInPolicy();

}  // namespace tandem::sla_timer

#endif  // TANDEM_SERVICES_SLA_TIMER_SLA_RULES_H_
