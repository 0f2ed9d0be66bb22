#include "services/sla_timer/sla_rules.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/calendar/calendar_proto.h"
#include "common/time/stamp.h"

namespace tandem::sla_timer {
namespace {

using type::v1::SlaMetric;

constexpr int64_t kMostSeconds = 366 * 24 * 3600;

template <typename List, typename Value>
bool Holds(const List& list, const Value& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

bool HasClock(SlaMetric metric) { return Holds(kMetrics, metric); }

bool IsBudget(const google::protobuf::Duration& duration) {
  return duration.seconds() >= 1 && duration.seconds() <= kMostSeconds && duration.nanos() >= 0 &&
         duration.nanos() < 1'000'000'000;
}

// "4h", "1h30m", "90s": days are left as hours, for a day of open time is no day.
std::string Spell(absl::Duration duration) {
  std::string text = absl::FormatDuration(duration);
  if (absl::EndsWith(text, "m0s")) text.resize(text.size() - 2);
  if (absl::EndsWith(text, "h0m")) text.resize(text.size() - 2);
  return text;
}

template <typename List>
void NoneTwice(const List& list, std::string_view field, corridor::Violations& violations) {
  std::set<typename List::value_type> seen;
  for (const auto& value : list) {
    violations.Require(seen.insert(value).second, field, "holds a value twice");
  }
}

template <typename List>
void AllSaid(const List& list, std::string_view field, corridor::Violations& violations) {
  NoneTwice(list, field, violations);
  violations.Require(!Holds(list, 0), field, "holds an unspecified value");
}

bool Matches(const sla::v1::SlaCondition& when, const Attributes& attributes) {
  if (attributes.severity == type::v1::SEVERITY_UNSPECIFIED) {
    if (!when.unclassified() && !when.severities().empty()) return false;
  } else if (when.severities().empty() ? when.unclassified()
                                       : !Holds(when.severities(), attributes.severity)) {
    return false;
  }
  if (!when.segments().empty() && !Holds(when.segments(), attributes.segment)) return false;
  const type::v1::ContactLevel level =
      attributes.contact_level == type::v1::CONTACT_LEVEL_UNSPECIFIED
          ? type::v1::CONTACT_LEVEL_MEMBER
          : attributes.contact_level;
  if (!when.contact_levels().empty() && !Holds(when.contact_levels(), level)) return false;
  if (!when.categories().empty() && !Holds(when.categories(), attributes.category)) return false;
  return when.channels().empty() || Holds(when.channels(), attributes.channel);
}

Behaviour DefaultBehaviour(SlaMetric metric) {
  Behaviour behaviour;
  if (metric == type::v1::SLA_METRIC_RESOLUTION) {
    behaviour.on_reopen = sla::v1::ON_CHANGE_CARRY_OVER;
    behaviour.paused_in_pending = true;
  }
  return behaviour;
}

using Calendars = std::map<std::string, calendar::Calendar, std::less<>>;

Calendars ReadCalendars(const sla::v1::SlaPolicy& policy, corridor::Violations& violations) {
  Calendars calendars;
  violations.Count("calendars", static_cast<size_t>(policy.calendars_size()), 100);
  for (int i = 0; i < policy.calendars_size(); ++i) {
    const std::string at = absl::StrCat("calendars[", i, "]");
    calendar::CalendarSpec spec;
    const std::vector<calendar::Problem> problems =
        calendar::ReadCalendar(policy.calendars(i), spec);
    for (const calendar::Problem& problem : problems) {
      violations.Require(false, absl::StrCat(at, ".", problem.path), problem.what);
    }
    if (!problems.empty()) continue;
    absl::StatusOr<calendar::Calendar> calendar = calendar::Calendar::Create(std::move(spec));
    if (!calendar.ok()) {
      violations.Require(false, at, std::string(calendar.status().message()));
      continue;
    }
    const std::string name = calendar->name();
    violations.Require(calendars.emplace(name, *std::move(calendar)).second,
                       absl::StrCat(at, ".name"), "is the name of an earlier calendar");
  }
  return calendars;
}

std::optional<Target> ReadTarget(const sla::v1::SlaTarget& message, const std::string& at,
                                 const Calendars& calendars, corridor::Violations& violations) {
  violations.Require(HasClock(message.metric()), absl::StrCat(at, ".metric"),
                     "must be FIRST_RESPONSE, RESOLUTION or TIME_TO_OWN");
  const bool has_budget = violations.Require(
      IsBudget(message.budget()), absl::StrCat(at, ".budget"), "must be from 1 s to 366 d");
  const auto calendar = calendars.find(message.calendar());
  const bool has_calendar =
      violations.Require(calendar != calendars.end(), absl::StrCat(at, ".calendar"),
                         "names no sound calendar of this policy");
  violations.Count(absl::StrCat(at, ".warnings"), static_cast<size_t>(message.warnings_size()), 10);
  const absl::Duration budget = has_budget ? time::Span(message.budget()) : absl::ZeroDuration();
  std::vector<Threshold> warnings;
  std::set<std::string> names;
  for (int i = 0; i < message.warnings_size(); ++i) {
    const sla::v1::WarningThreshold& warning = message.warnings(i);
    const std::string here = absl::StrCat(at, ".warnings[", i, "]");
    Threshold threshold;
    if (warning.has_before_due()) {
      violations.Require(IsBudget(warning.before_due()), here, "must be from 1 s to 366 d");
      threshold.name = Spell(time::Span(warning.before_due()));
      threshold.used = budget - time::Span(warning.before_due());
    } else {
      violations.Require(warning.percent() >= 1 && warning.percent() <= 99, here,
                         "must be from 1 to 99 percent, or a time before the due instant");
      threshold.name = absl::StrCat(warning.percent(), "%");
      threshold.used =
          absl::Microseconds(absl::ToInt64Microseconds(budget) / 100 * warning.percent() +
                             absl::ToInt64Microseconds(budget) % 100 * warning.percent() / 100);
    }
    violations.Require(names.insert(threshold.name).second, here, "stands there twice");
    if (threshold.used > absl::ZeroDuration()) warnings.push_back(std::move(threshold));
  }
  std::stable_sort(warnings.begin(), warnings.end(),
                   [](const Threshold& a, const Threshold& b) { return a.used < b.used; });
  if (!has_budget || !has_calendar) return std::nullopt;
  // Found now rather than when the first ticket needs it. 2026 is an ordinary year.
  const absl::Status opens =
      calendar->second.Add(absl::FromCivil(absl::CivilDay(2026, 1, 1), absl::UTCTimeZone()), budget)
          .status();
  violations.Require(opens.ok(), absl::StrCat(at, ".calendar"), std::string(opens.message()));
  return Target{budget, calendar->second, std::move(warnings)};
}

void CheckCondition(const sla::v1::SlaCondition& when, const std::string& at,
                    corridor::Violations& violations) {
  AllSaid(when.severities(), absl::StrCat(at, ".severities"), violations);
  AllSaid(when.segments(), absl::StrCat(at, ".segments"), violations);
  AllSaid(when.contact_levels(), absl::StrCat(at, ".contact_levels"), violations);
  AllSaid(when.channels(), absl::StrCat(at, ".channels"), violations);
  violations.Count(absl::StrCat(at, ".categories"), static_cast<size_t>(when.categories_size()),
                   100);
  for (int i = 0; i < when.categories_size(); ++i) {
    violations.Key(absl::StrCat(at, ".categories[", i, "]"), when.categories(i));
  }
}

VerificationPace ReadPace(const sla::v1::Verification& message, corridor::Violations& violations) {
  VerificationPace pace;
  if (message.has_every()) {
    pace.every = time::Span(message.every());
    violations.Require(pace.every >= absl::Seconds(1) && pace.every <= absl::Hours(24 * 7),
                       "verification.every", "must be from 1 s to 7 d");
  }
  if (message.has_tickets()) {
    violations.Range("verification.tickets", message.tickets(), 0, 1000);
    pace.tickets = message.tickets();
  }
  return pace;
}

}  // namespace

std::shared_ptr<const SlaRules> SlaRules::Make(const sla::v1::SlaPolicy& policy,
                                               corridor::Violations& violations) {
  auto rules = std::make_shared<SlaRules>();
  rules->takes_open_tickets_ = policy.applies_to() == sla::v1::POLICY_SCOPE_OPEN_TICKETS;
  violations.Require(sla::v1::PolicyScope_IsValid(policy.applies_to()), "applies_to", "is unknown");
  rules->verification_ = ReadPace(policy.verification(), violations);
  const Calendars calendars = ReadCalendars(policy, violations);

  for (const SlaMetric metric : kMetrics) {
    rules->behaviours_[static_cast<size_t>(metric)] = DefaultBehaviour(metric);
  }
  std::set<SlaMetric> described;
  for (int i = 0; i < policy.metrics_size(); ++i) {
    const sla::v1::MetricBehaviour& message = policy.metrics(i);
    const std::string at = absl::StrCat("metrics[", i, "]");
    violations.Require(described.insert(message.metric()).second, absl::StrCat(at, ".metric"),
                       "is described twice");
    violations.Require(sla::v1::OnChange_IsValid(message.on_reopen()) &&
                           sla::v1::OnChange_IsValid(message.on_change()),
                       at, "has an unknown behaviour");
    for (const int state : message.paused_in()) {
      violations.Require(
          state == type::v1::TICKET_STATE_PENDING || state == type::v1::TICKET_STATE_ON_HOLD,
          absl::StrCat(at, ".paused_in"), "may hold PENDING and ON_HOLD");
    }
    violations.Require(!message.never_paused() || message.paused_in().empty(),
                       absl::StrCat(at, ".never_paused"), "contradicts paused_in");
    if (!violations.Require(HasClock(message.metric()), absl::StrCat(at, ".metric"),
                            "must be FIRST_RESPONSE, RESOLUTION or TIME_TO_OWN")) {
      continue;
    }
    Behaviour& behaviour = rules->behaviours_[static_cast<size_t>(message.metric())];
    if (message.on_reopen() != sla::v1::ON_CHANGE_UNSPECIFIED)
      behaviour.on_reopen = message.on_reopen();
    if (message.on_change() != sla::v1::ON_CHANGE_UNSPECIFIED)
      behaviour.on_change = message.on_change();
    if (message.never_paused() || !message.paused_in().empty()) {
      behaviour.paused_in_pending = Holds(message.paused_in(), type::v1::TICKET_STATE_PENDING);
      behaviour.paused_on_hold = Holds(message.paused_in(), type::v1::TICKET_STATE_ON_HOLD);
    }
  }

  violations.Range("rules", policy.rules_size(), 1, 500);
  std::set<std::string> names;
  rules->rules_.reserve(static_cast<size_t>(policy.rules_size()));
  for (int i = 0; i < policy.rules_size(); ++i) {
    const sla::v1::SlaRule& message = policy.rules(i);
    const std::string at = absl::StrCat("rules[", i, "]");
    if (violations.Require(!message.name().empty() && message.name().size() <= 100,
                           absl::StrCat(at, ".name"), "must have 1 to 100 bytes")) {
      violations.Require(message.name().find_first_not_of(
                             "abcdefghijklmnopqrstuvwxyz0123456789_.-") == std::string::npos,
                         absl::StrCat(at, ".name"), "may hold a-z, 0-9, '_', '.' and '-'");
    }
    violations.Require(names.insert(message.name()).second, absl::StrCat(at, ".name"),
                       "is the name of an earlier rule");
    CheckCondition(message.when(), absl::StrCat(at, ".when"), violations);
    Rule rule;
    rule.name = message.name();
    rule.when = message.when();
    std::set<SlaMetric> metrics;
    for (int t = 0; t < message.targets_size(); ++t) {
      const sla::v1::SlaTarget& target = message.targets(t);
      const std::string here = absl::StrCat(at, ".targets[", t, "]");
      violations.Require(metrics.insert(target.metric()).second, absl::StrCat(here, ".metric"),
                         "has a target already");
      std::optional<Target> read = ReadTarget(target, here, calendars, violations);
      if (read && HasClock(target.metric())) {
        rule.targets[static_cast<size_t>(target.metric())] = std::move(read);
      }
    }
    rules->rules_.push_back(std::move(rule));
  }
  return rules;
}

const Rule* SlaRules::Match(const Attributes& attributes) const {
  for (const Rule& rule : rules_) {
    if (Matches(rule.when, attributes)) return &rule;
  }
  return nullptr;
}

}  // namespace tandem::sla_timer
