#include "services/sla_timer/sla_rules.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/calendar/calendar_proto.h"
#include "common/config/duration.h"
#include "common/plant/plant.h"
#include "common/time/stamp.h"

namespace tandem::sla_timer {
namespace {

using type::v1::SlaMetric;

constexpr int64_t kMostSeconds = 366 * 24 * 3600;

template <typename List, typename Value>
bool Holds(const List& list, const Value& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
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
    if (plant::Has(plant::Mistake::kSpecialDayKept)) {
      for (calendar::DateOverride next : std::vector(spec.overrides)) {
        ++next.date;
        if (std::none_of(spec.overrides.begin(), spec.overrides.end(),
                         [&](const auto& other) { return other.date == next.date; })) {
          spec.overrides.push_back(std::move(next));
        }
      }
    }
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

// "10h" for a calendar whose open days have ten hours each; empty where they differ or there are
// none in the week.
std::string HoursADay(const calendar::Calendar& calendar) {
  // A week without a change of clocks; holidays and overrides have no say in what a day usually is.
  calendar::CalendarSpec week = calendar.spec();
  week.zone = "UTC";
  week.holidays.clear();
  week.overrides.clear();
  const absl::StatusOr<calendar::Calendar> usual = calendar::Calendar::Create(std::move(week));
  if (!usual.ok()) return "";
  absl::Duration a_day;
  for (int day = 4; day < 11; ++day) {
    const auto midnight = [](int number) {
      return absl::FromCivil(absl::CivilDay(2026, 1, number), absl::UTCTimeZone());
    };
    const absl::StatusOr<absl::Duration> open = usual->Between(midnight(day), midnight(day + 1));
    if (!open.ok() || *open == absl::ZeroDuration()) continue;
    if (a_day != absl::ZeroDuration() && a_day != *open) return "";
    a_day = *open;
  }
  return a_day == absl::ZeroDuration() ? "" : Spell(a_day);
}

// How to say what somebody meant by days of a calendar that is not always open: "50h, or 5 working
// days".
std::string InOpenTime(const config::WrittenSpan& span, const calendar::Calendar& hours) {
  absl::Duration rest;
  const int64_t days = absl::IDivDuration(span.duration, absl::Hours(24), &rest);
  const std::string working = absl::StrCat(days, days == 1 ? " working day" : " working days");
  absl::Duration a_day;
  if (!absl::ParseDuration(HoursADay(hours), &a_day) || a_day == absl::ZeroDuration()) {
    return absl::StrCat("hours of open time, or ", working);
  }
  return absl::StrCat(Spell(a_day * days + rest), " of open time",
                      rest == absl::ZeroDuration() ? absl::StrCat(", or ", working) : "");
}

// A time that is given as a duration, as a text, or as both; nullopt when it is named as a problem.
// `hours` may be null.
std::optional<config::WrittenSpan> ReadSpan(const google::protobuf::Duration* duration,
                                            const std::string& text, const std::string& at,
                                            const calendar::Calendar* hours,
                                            corridor::Violations& violations) {
  config::WrittenSpan span;
  if (!text.empty()) {
    const absl::StatusOr<config::WrittenSpan> read = config::ParseSpan(text);
    if (!violations.Require(read.ok(), at, std::string(read.status().message()))) {
      return std::nullopt;
    }
    span = *read;
    if (span.working_days > 0) {
      if (!violations.Require(duration == nullptr, at,
                              "must not be a duration as well as working days")) {
        return std::nullopt;
      }
      return span;
    }
    if (!violations.Require(duration == nullptr || time::Span(*duration) == span.duration, at,
                            absl::StrCat("is not what its text says, ", text))) {
      return std::nullopt;
    }
  } else if (duration != nullptr) {
    span.duration = time::Span(*duration);
  }
  if (!violations.Require(
          span.duration >= absl::Seconds(1) && span.duration <= absl::Seconds(kMostSeconds), at,
          "must be from 1 s to 366 d")) {
    return std::nullopt;
  }
  const std::string problem = hours == nullptr ? "" : DaysProblem(span, text, *hours);
  if (!violations.Require(problem.empty(), at, problem)) return std::nullopt;
  return span;
}

std::optional<Warning> ReadWarning(const sla::v1::WarningThreshold& message, const std::string& at,
                                   const calendar::Calendar* hours,
                                   corridor::Violations& violations) {
  Warning warning;
  if (message.has_before_due() || !message.before_due_text().empty()) {
    const std::optional<config::WrittenSpan> span =
        ReadSpan(message.has_before_due() ? &message.before_due() : nullptr,
                 message.before_due_text(), at, hours, violations);
    if (!span) return std::nullopt;
    if (!violations.Require(span->working_days == 0, at,
                            "must be hours of open time, such as 4h, or percent")) {
      return std::nullopt;
    }
    warning.before_due = span->duration;
    warning.name = Spell(span->duration);
    return warning;
  }
  if (!violations.Require(message.percent() >= 1 && message.percent() <= 99, at,
                          "must be from 1 to 99 percent, or a time before the due instant")) {
    return std::nullopt;
  }
  warning.percent = message.percent();
  warning.name = absl::StrCat(message.percent(), "%");
  return warning;
}

std::optional<Target> ReadTarget(const sla::v1::SlaTarget& message, const std::string& at,
                                 const Calendars& calendars, corridor::Violations& violations) {
  violations.Require(HasClock(message.metric()), absl::StrCat(at, ".metric"),
                     "must be FIRST_RESPONSE, RESOLUTION or TIME_TO_OWN");
  const auto calendar = calendars.find(message.calendar());
  const bool has_calendar =
      violations.Require(calendar != calendars.end(), absl::StrCat(at, ".calendar"),
                         "names no sound calendar of this policy");
  const calendar::Calendar* const hours = has_calendar ? &calendar->second : nullptr;
  const std::optional<config::WrittenSpan> budget =
      ReadSpan(message.has_budget() ? &message.budget() : nullptr, message.budget_text(),
               absl::StrCat(at, ".budget"), hours, violations);
  violations.Count(absl::StrCat(at, ".warnings"), static_cast<size_t>(message.warnings_size()), 10);
  std::vector<Warning> warnings;
  std::set<std::string> names;
  for (int i = 0; i < message.warnings_size(); ++i) {
    const std::string here = absl::StrCat(at, ".warnings[", i, "]");
    std::optional<Warning> warning = ReadWarning(message.warnings(i), here, hours, violations);
    if (!warning) continue;
    violations.Require(names.insert(warning->name).second, here, "stands there twice");
    warnings.push_back(*std::move(warning));
  }
  if (!budget || hours == nullptr) return std::nullopt;
  Target target{
      .budget = budget->duration,
      .working_days = budget->working_days,
      .text = message.budget_text().empty() ? Spell(budget->duration) : message.budget_text(),
      .hours = *hours,
      .warnings = std::move(warnings),
      .thresholds = {}};
  // Found now rather than when the first ticket needs it. 2026 is an ordinary year.
  const absl::Time begin = absl::FromCivil(absl::CivilDay(2026, 1, 1), absl::UTCTimeZone());
  const absl::Status opens = target.working_days > 0
                                 ? hours->AddWorkingDays(begin, target.working_days).status()
                                 : hours->Add(begin, target.budget).status();
  violations.Require(opens.ok(), absl::StrCat(at, ".calendar"), std::string(opens.message()));
  if (target.working_days == 0) target.thresholds = target.ThresholdsOf(target.budget);
  return target;
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

bool HasClock(SlaMetric metric) { return Holds(kMetrics, metric); }

std::string DaysProblem(const config::WrittenSpan& span, const std::string& text,
                        const calendar::Calendar& hours) {
  if (!span.has_days || hours.spec().always_open) return "";
  return absl::StrCat(text, " counts 24 hours of open time a day, and calendar \"", hours.name(),
                      "\" is not always open; write ", InOpenTime(span, hours));
}

absl::Duration Target::BudgetFrom(absl::Time start) const {
  if (working_days == 0) return budget;
  constexpr absl::Duration kNever = absl::Hours(24 * 366 * 200);
  const absl::StatusOr<absl::Time> end = hours.AddWorkingDays(start, working_days);
  if (!end.ok()) return kNever;
  const absl::StatusOr<absl::Duration> open = hours.Between(start, *end);
  return open.ok() ? *open : kNever;
}

std::vector<Threshold> Target::ThresholdsOf(absl::Duration of_budget) const {
  std::vector<Threshold> points;
  const int64_t budget_us = absl::ToInt64Microseconds(of_budget);
  for (const Warning& warning : warnings) {
    const absl::Duration used = warning.percent > 0
                                    ? absl::Microseconds(budget_us / 100 * warning.percent +
                                                         budget_us % 100 * warning.percent / 100)
                                    : of_budget - warning.before_due;
    if (used > absl::ZeroDuration()) points.push_back({warning.name, used});
  }
  std::stable_sort(points.begin(), points.end(),
                   [](const Threshold& a, const Threshold& b) { return a.used < b.used; });
  return points;
}

std::shared_ptr<const SlaRules> SlaRules::Make(const sla::v1::SlaPolicy& policy,
                                               corridor::Violations& violations) {
  auto rules = std::make_shared<SlaRules>();
  rules->takes_open_tickets_ = policy.applies_to() == sla::v1::POLICY_SCOPE_OPEN_TICKETS;
  violations.Require(sla::v1::PolicyScope_IsValid(policy.applies_to()), "applies_to", "is unknown");
  rules->verification_ = ReadPace(policy.verification(), violations);
  rules->calendars_ = ReadCalendars(policy, violations);
  const Calendars& calendars = rules->calendars_;

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
