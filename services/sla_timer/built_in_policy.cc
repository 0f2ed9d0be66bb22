#include <initializer_list>
#include <string>

#include "absl/strings/str_cat.h"
#include "services/sla_timer/sla_rules.h"

namespace tandem::sla_timer {
namespace {

constexpr char kAlways[] = "around-the-clock";
constexpr char kOffice[] = "office-hours";

// As the file writes it.
std::string Written(int minutes) {
  return minutes % 60 == 0 ? absl::StrCat(minutes / 60, "h") : absl::StrCat(minutes, "m");
}

void AddTarget(sla::v1::SlaRule& rule, type::v1::SlaMetric metric, int minutes,
               const char* calendar, std::initializer_list<int> percents, int minutes_before = 0) {
  sla::v1::SlaTarget& target = *rule.add_targets();
  target.set_metric(metric);
  target.mutable_budget()->set_seconds(minutes * 60);
  target.set_budget_text(Written(minutes));
  target.set_calendar(calendar);
  for (const int percent : percents) target.add_warnings()->set_percent(percent);
  if (minutes_before > 0) {
    sla::v1::WarningThreshold& warning = *target.add_warnings();
    warning.mutable_before_due()->set_seconds(minutes_before * 60);
    warning.set_before_due_text(Written(minutes_before));
  }
}

// A rule whose first response and ownership share a budget.
sla::v1::SlaRule& AddRule(sla::v1::SlaPolicy& policy, const char* name, int soon_minutes,
                          const char* soon_calendar, int soon_percent) {
  sla::v1::SlaRule& rule = *policy.add_rules();
  rule.set_name(name);
  AddTarget(rule, type::v1::SLA_METRIC_FIRST_RESPONSE, soon_minutes, soon_calendar, {soon_percent});
  AddTarget(rule, type::v1::SLA_METRIC_TIME_TO_OWN, soon_minutes, soon_calendar, {soon_percent});
  return rule;
}

void AddMetric(sla::v1::SlaPolicy& policy, type::v1::SlaMetric metric,
               sla::v1::OnChange on_reopen) {
  sla::v1::MetricBehaviour& behaviour = *policy.add_metrics();
  behaviour.set_metric(metric);
  behaviour.set_on_reopen(on_reopen);
  behaviour.set_on_change(sla::v1::ON_CHANGE_CARRY_OVER);
  if (metric == type::v1::SLA_METRIC_RESOLUTION) {
    behaviour.add_paused_in(type::v1::TICKET_STATE_PENDING);
  } else {
    behaviour.set_never_paused(true);
  }
}

void AddHoliday(sla::v1::Calendar& calendar, const char* annual, const char* name) {
  sla::v1::Holiday& holiday = *calendar.add_holidays();
  holiday.set_annual(annual);
  holiday.set_name(name);
}

}  // namespace

sla::v1::SlaPolicy BuiltInPolicy() {
  sla::v1::SlaPolicy policy;
  policy.set_applies_to(sla::v1::POLICY_SCOPE_NEW_TICKETS);

  policy.mutable_verification()->mutable_every()->set_seconds(60);
  policy.mutable_verification()->set_tickets(50);

  sla::v1::Calendar& always = *policy.add_calendars();
  always.set_name(kAlways);
  always.set_zone("UTC");
  always.set_always_open(true);
  sla::v1::Calendar& office = *policy.add_calendars();
  office.set_name(kOffice);
  office.set_zone("UTC");
  sla::v1::WeeklyInterval& week = *office.add_weekly();
  for (const sla::v1::DayOfWeek day :
       {sla::v1::DAY_OF_WEEK_MONDAY, sla::v1::DAY_OF_WEEK_TUESDAY, sla::v1::DAY_OF_WEEK_WEDNESDAY,
        sla::v1::DAY_OF_WEEK_THURSDAY, sla::v1::DAY_OF_WEEK_FRIDAY}) {
    week.add_days(day);
  }
  week.set_start("09:00");
  week.set_end("17:00");
  AddHoliday(office, "01-01", "New Year");
  AddHoliday(office, "12-25", "Christmas Day");

  AddMetric(policy, type::v1::SLA_METRIC_FIRST_RESPONSE, sla::v1::ON_CHANGE_KEEP);
  AddMetric(policy, type::v1::SLA_METRIC_RESOLUTION, sla::v1::ON_CHANGE_CARRY_OVER);
  AddMetric(policy, type::v1::SLA_METRIC_TIME_TO_OWN, sla::v1::ON_CHANGE_KEEP);

  constexpr type::v1::SlaMetric kResolution = type::v1::SLA_METRIC_RESOLUTION;
  sla::v1::SlaRule& unclassified = AddRule(policy, "unclassified", 60, kAlways, 75);
  unclassified.mutable_when()->set_unclassified(true);
  AddTarget(unclassified, kResolution, 24 * 60, kOffice, {75});
  sla::v1::SlaRule& critical = AddRule(policy, "critical", 15, kAlways, 50);
  critical.mutable_when()->add_severities(type::v1::SEVERITY_CRITICAL);
  AddTarget(critical, kResolution, 4 * 60, kAlways, {50, 75}, 30);
  sla::v1::SlaRule& urgent = AddRule(policy, "urgent", 60, kAlways, 75);
  urgent.mutable_when()->add_severities(type::v1::SEVERITY_URGENT);
  AddTarget(urgent, kResolution, 8 * 60, kAlways, {75}, 60);
  sla::v1::SlaRule& enterprise = AddRule(policy, "normal-enterprise", 2 * 60, kOffice, 75);
  enterprise.mutable_when()->add_severities(type::v1::SEVERITY_NORMAL);
  enterprise.mutable_when()->add_segments(type::v1::SEGMENT_ENTERPRISE);
  AddTarget(enterprise, kResolution, 16 * 60, kOffice, {75});
  sla::v1::SlaRule& normal = AddRule(policy, "normal", 4 * 60, kOffice, 75);
  normal.mutable_when()->add_severities(type::v1::SEVERITY_NORMAL);
  AddTarget(normal, kResolution, 24 * 60, kOffice, {75});
  sla::v1::SlaRule& general = AddRule(policy, "general", 8 * 60, kOffice, 75);
  general.mutable_when()->add_severities(type::v1::SEVERITY_GENERAL);
  AddTarget(general, kResolution, 40 * 60, kOffice, {75});
  return policy;
}

}  // namespace tandem::sla_timer
