#include "services/account_health/policy.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/corridor/errors.h"
#include "common/time/stamp.h"
#include "services/account_health/requesters.h"
#include "services/account_health/topics.h"

namespace tandem::account_health {
namespace {

using account::v1::AccountPolicy;
using account::v1::HealthGroup;
using account::v1::HealthMeasure;
using account::v1::HealthPolicy;
using account::v1::HealthProfile;
using account::v1::MeasureKind;
using corridor::Violations;

constexpr int64_t kHour = 3600;
constexpr int64_t kDay = 24 * kHour;

void AddRow(AccountPolicy& policy, type::v1::ContactLevel level,
            std::initializer_list<type::v1::StaffRole> roles) {
  account::v1::CounterpartRow& row = *policy.add_counterparts();
  row.set_contact_level(level);
  for (const type::v1::StaffRole role : roles) row.add_roles(role);
}

HealthMeasure& AddMeasure(HealthGroup& group, MeasureKind kind, int32_t weight,
                          int64_t window_days = 0, int32_t half_at = 0) {
  HealthMeasure& measure = *group.add_measures();
  measure.set_kind(kind);
  measure.set_weight(weight);
  if (half_at != 0) measure.set_half_at(half_at);
  if (window_days != 0) measure.mutable_window()->set_seconds(window_days * kDay);
  return measure;
}

HealthGroup& AddGroup(HealthProfile& profile, std::string_view name, int32_t weight) {
  HealthGroup& group = *profile.add_groups();
  group.set_name(std::string(name));
  group.set_weight(weight);
  return group;
}

void AddRule(account::v1::OutreachPolicy& policy, account::v1::HoldCondition condition,
             account::v1::HoldScope scope) {
  account::v1::HoldRule& rule = *policy.add_rules();
  rule.set_condition(condition);
  rule.set_scope(scope);
}

AccountPolicy MakeDefault() {
  using namespace account::v1;
  using namespace type::v1;
  AccountPolicy policy;
  AddRow(policy, CONTACT_LEVEL_EXECUTIVE,
         {STAFF_ROLE_EXECUTIVE, STAFF_ROLE_PRE_SALES_PM, STAFF_ROLE_ACCOUNT_PM,
          STAFF_ROLE_SUPPORT_LEAD});
  AddRow(policy, CONTACT_LEVEL_OWNER,
         {STAFF_ROLE_PRE_SALES_LEAD, STAFF_ROLE_DELIVERY_PM, STAFF_ROLE_ACCOUNT_PM,
          STAFF_ROLE_SUPPORT_LEAD});
  AddRow(policy, CONTACT_LEVEL_MEMBER, {STAFF_ROLE_SUPPORT_AGENT});

  HealthPolicy& health = *policy.mutable_health();
  health.set_yellow_from(5000);
  health.set_green_from(7500);
  health.set_hysteresis(300);
  HealthProfile& profile = *health.add_profiles();
  profile.set_name("default");
  HealthGroup& support = AddGroup(profile, "support", 25);
  HealthMeasure& unresolved = AddMeasure(support, MEASURE_KIND_UNRESOLVED, 50, 0, 20);
  for (const auto& [severity, points] :
       std::initializer_list<std::pair<Severity, int32_t>>{{SEVERITY_CRITICAL, 20},
                                                           {SEVERITY_URGENT, 10},
                                                           {SEVERITY_NORMAL, 2},
                                                           {SEVERITY_GENERAL, 1}}) {
    SeverityPoints& one = *unresolved.add_points();
    one.set_severity(severity);
    one.set_points(points);
  }
  AddMeasure(support, MEASURE_KIND_MISSED_CYCLES, 30, 30, 5);
  AddMeasure(support, MEASURE_KIND_REOPENS, 20, 30, 3);
  HealthGroup& adoption = AddGroup(profile, "product_adoption", 30);
  AddMeasure(adoption, MEASURE_KIND_ACTIVE_USERS, 50, 28);
  AddMeasure(adoption, MEASURE_KIND_USAGE_CHANGE, 25, 28);
  AddMeasure(adoption, MEASURE_KIND_FEATURES_ADOPTED, 25, 28);
  HealthGroup& relationship = AddGroup(profile, "relationship", 15);
  AddMeasure(relationship, MEASURE_KIND_SENTIMENT, 50, 120);
  AddMeasure(relationship, MEASURE_KIND_TWO_WAY_TOUCH, 25);
  AddMeasure(relationship, MEASURE_KIND_EXECUTIVE_CONTACT, 25, 90);
  HealthGroup& outcomes = AddGroup(profile, "outcomes", 15);
  AddMeasure(outcomes, MEASURE_KIND_GOALS_CONFIRMED, 50);
  AddMeasure(outcomes, MEASURE_KIND_MILESTONES_ON_TIME, 50);
  HealthGroup& voice = AddGroup(profile, "voice_of_customer", 10);
  AddMeasure(voice, MEASURE_KIND_CSAT, 50, 90);
  AddMeasure(voice, MEASURE_KIND_NPS, 50, 180);
  HealthGroup& commercial = AddGroup(profile, "commercial", 5);
  AddMeasure(commercial, MEASURE_KIND_SEAT_CHANGE, 50);
  AddMeasure(commercial, MEASURE_KIND_RENEWAL_PLAN, 50);

  OutreachPolicy& outreach = *policy.mutable_outreach();
  AddRule(outreach, HOLD_CONDITION_UNTRIAGED_TICKET, HOLD_SCOPE_ACCOUNT);
  AddRule(outreach, HOLD_CONDITION_CRITICAL_TICKET, HOLD_SCOPE_ACCOUNT);
  AddRule(outreach, HOLD_CONDITION_URGENT_TICKET, HOLD_SCOPE_ACCOUNT);
  AddRule(outreach, HOLD_CONDITION_NORMAL_TICKET_BREACHED, HOLD_SCOPE_ACCOUNT);
  AddRule(outreach, HOLD_CONDITION_NORMAL_TICKET_REOPENED, HOLD_SCOPE_ACCOUNT);
  AddRule(outreach, HOLD_CONDITION_NORMAL_TICKET_FRUSTRATED, HOLD_SCOPE_ACCOUNT);
  AddRule(outreach, HOLD_CONDITION_NORMAL_TICKET, HOLD_SCOPE_CONTACT);
  AddRule(outreach, HOLD_CONDITION_GENERAL_TICKET, HOLD_SCOPE_CONTACT);
  AddRule(outreach, HOLD_CONDITION_BAD_SURVEY, HOLD_SCOPE_ACCOUNT);
  outreach.mutable_clearance_expiry()->set_seconds(4 * kHour);
  outreach.mutable_allowed_skew()->set_seconds(5);
  outreach.mutable_exception_limit()->set_seconds(30 * kDay);
  outreach.mutable_bad_survey()->set_csat_at_most(2);
  outreach.mutable_bad_survey()->set_ces_at_most(3);
  outreach.mutable_bad_survey()->set_nps_at_most(6);

  ContactBudget& budget = *policy.mutable_contact_budget();
  budget.set_units(4);
  budget.mutable_window()->set_seconds(30 * kDay);
  budget.set_survey_units(2);
  budget.set_commercial_units(2);
  budget.set_other_units(1);
  budget.mutable_survey_window()->set_seconds(30 * kDay);

  for (const char* domain :
       {"aol.com",     "fastmail.com", "gmail.com", "gmx.de",    "gmx.net",        "googlemail.com",
        "hotmail.com", "icloud.com",   "live.com",  "mail.com",  "mail.ru",        "me.com",
        "msn.com",     "outlook.com",  "pm.me",     "proton.me", "protonmail.com", "qq.com",
        "web.de",      "yahoo.com",    "yandex.ru", "zoho.com",  "163.com",        "126.com"}) {
    policy.add_public_mail_domains(domain);
  }
  return policy;
}

void CheckDuration(Violations& violations, const std::string& field, bool is_set,
                   const google::protobuf::Duration& duration, int64_t min_s, int64_t max_s) {
  if (!violations.Require(is_set, field, "is missing")) return;
  violations.Require(duration.seconds() >= min_s && duration.seconds() <= max_s &&
                         !(duration.seconds() == max_s && duration.nanos() > 0) &&
                         duration.nanos() >= 0,
                     field, absl::StrCat("must be ", min_s, " s to ", max_s, " s"));
}

void CheckMeasure(Violations& violations, const std::string& field, const HealthMeasure& measure) {
  const bool has_half = measure.kind() == account::v1::MEASURE_KIND_UNRESOLVED ||
                        measure.kind() == account::v1::MEASURE_KIND_MISSED_CYCLES ||
                        measure.kind() == account::v1::MEASURE_KIND_REOPENS;
  const bool counts_facts = measure.kind() == account::v1::MEASURE_KIND_MISSED_CYCLES ||
                            measure.kind() == account::v1::MEASURE_KIND_REOPENS ||
                            measure.kind() == account::v1::MEASURE_KIND_CSAT;
  violations.Require(measure.kind() != account::v1::MEASURE_KIND_UNSPECIFIED &&
                         account::v1::MeasureKind_IsValid(measure.kind()),
                     absl::StrCat(field, ".kind"), "must name a measure");
  violations.Range(absl::StrCat(field, ".weight"), measure.weight(), 1, 1000);
  if (has_half) {
    violations.Range(absl::StrCat(field, ".half_at"), measure.half_at(), 1, 1'000'000);
  } else {
    violations.Require(measure.half_at() == 0, absl::StrCat(field, ".half_at"),
                       "does not belong to this measure");
  }
  if (measure.kind() == account::v1::MEASURE_KIND_UNRESOLVED) {
    violations.Require(!measure.has_window(), absl::StrCat(field, ".window"),
                       "does not belong to this measure");
  } else if (counts_facts || measure.has_window()) {
    CheckDuration(violations, absl::StrCat(field, ".window"), measure.has_window(),
                  measure.window(), kHour, 366 * kDay);
    violations.Require(measure.window().seconds() % kHour == 0 && measure.window().nanos() == 0,
                       absl::StrCat(field, ".window"), "must be whole hours");
  }
  std::set<int> severities;
  for (int i = 0; i < measure.points_size(); ++i) {
    const account::v1::SeverityPoints& points = measure.points(i);
    const std::string at = absl::StrCat(field, ".points[", i, "]");
    violations.Require(measure.kind() == account::v1::MEASURE_KIND_UNRESOLVED, at,
                       "does not belong to this measure");
    violations.Require(points.severity() != type::v1::SEVERITY_UNSPECIFIED &&
                           type::v1::Severity_IsValid(points.severity()) &&
                           severities.insert(points.severity()).second,
                       absl::StrCat(at, ".severity"), "must name a severity, each once");
    violations.Range(absl::StrCat(at, ".points"), points.points(), 0, 10000);
  }
}

void CheckHealth(Violations& violations, const HealthPolicy& health) {
  violations.Range("health.yellow_from", health.yellow_from(), 1, 9999);
  violations.Range("health.green_from", health.green_from(),
                   std::max<int64_t>(1, int64_t{health.yellow_from()} + 1), 10000);
  violations.Range("health.hysteresis", health.hysteresis(), 0, 2000);
  if (!violations.Require(health.profiles_size() > 0, "health.profiles", "must not be empty"))
    return;
  violations.Count("health.profiles", static_cast<size_t>(health.profiles_size()), 50);
  std::set<std::string> profile_names;
  for (int p = 0; p < health.profiles_size(); ++p) {
    const HealthProfile& profile = health.profiles(p);
    const std::string at = absl::StrCat("health.profiles[", p, "]");
    violations.Text(absl::StrCat(at, ".name"), profile.name(), 100);
    violations.Require(profile_names.insert(profile.name()).second, absl::StrCat(at, ".name"),
                       "is taken by another profile");
    if (p + 1 == health.profiles_size()) {
      violations.Require(profile.stages().empty() && profile.segments().empty(), at,
                         "must fit all accounts, being the last one");
    }
    for (int i = 0; i < profile.stages_size(); ++i) {
      violations.Require(profile.stages(i) != type::v1::JOURNEY_STAGE_UNSPECIFIED &&
                             type::v1::JourneyStage_IsValid(profile.stages(i)),
                         absl::StrCat(at, ".stages[", i, "]"), "must name a stage");
    }
    for (int i = 0; i < profile.segments_size(); ++i) {
      violations.Require(profile.segments(i) != type::v1::SEGMENT_UNSPECIFIED &&
                             type::v1::Segment_IsValid(profile.segments(i)),
                         absl::StrCat(at, ".segments[", i, "]"), "must name a segment");
    }
    violations.Require(profile.groups_size() > 0, absl::StrCat(at, ".groups"), "must not be empty");
    violations.Count(absl::StrCat(at, ".groups"), static_cast<size_t>(profile.groups_size()), 20);
    std::set<std::string> group_names;
    std::set<int> kinds;
    for (int g = 0; g < profile.groups_size(); ++g) {
      const HealthGroup& group = profile.groups(g);
      const std::string in = absl::StrCat(at, ".groups[", g, "]");
      violations.Text(absl::StrCat(in, ".name"), group.name(), 100);
      violations.Require(group_names.insert(group.name()).second, absl::StrCat(in, ".name"),
                         "is taken by another group");
      violations.Range(absl::StrCat(in, ".weight"), group.weight(), 1, 1000);
      violations.Require(group.measures_size() > 0, absl::StrCat(in, ".measures"),
                         "must not be empty");
      violations.Count(absl::StrCat(in, ".measures"), static_cast<size_t>(group.measures_size()),
                       20);
      for (int m = 0; m < group.measures_size(); ++m) {
        const std::string measure = absl::StrCat(in, ".measures[", m, "]");
        CheckMeasure(violations, measure, group.measures(m));
        violations.Require(kinds.insert(group.measures(m).kind()).second,
                           absl::StrCat(measure, ".kind"), "stands twice in this profile");
      }
    }
  }
}

void CheckOutreach(Violations& violations, const account::v1::OutreachPolicy& outreach) {
  violations.Count("outreach.rules", static_cast<size_t>(outreach.rules_size()), 100);
  for (int i = 0; i < outreach.rules_size(); ++i) {
    const account::v1::HoldRule& rule = outreach.rules(i);
    const std::string at = absl::StrCat("outreach.rules[", i, "]");
    violations.Require(rule.condition() != account::v1::HOLD_CONDITION_UNSPECIFIED &&
                           account::v1::HoldCondition_IsValid(rule.condition()),
                       absl::StrCat(at, ".condition"), "must name a condition");
    violations.Require(rule.scope() != account::v1::HOLD_SCOPE_UNSPECIFIED &&
                           account::v1::HoldScope_IsValid(rule.scope()),
                       absl::StrCat(at, ".scope"), "must name a scope");
    violations.Count(absl::StrCat(at, ".topics"), static_cast<size_t>(rule.topics_size()), 10);
    for (int t = 0; t < rule.topics_size(); ++t) {
      const auto topic = static_cast<type::v1::OutreachTopic>(rule.topics(t));
      violations.Require(topic != type::v1::OUTREACH_TOPIC_UNSPECIFIED &&
                             type::v1::OutreachTopic_IsValid(topic) && !IsFree(topic),
                         absl::StrCat(at, ".topics[", t, "]"),
                         "must name a topic that can be held");
    }
  }
  CheckDuration(violations, "outreach.clearance_expiry", outreach.has_clearance_expiry(),
                outreach.clearance_expiry(), 60, 30 * kDay);
  CheckDuration(violations, "outreach.allowed_skew", outreach.has_allowed_skew(),
                outreach.allowed_skew(), 0, 60);
  CheckDuration(violations, "outreach.exception_limit", outreach.has_exception_limit(),
                outreach.exception_limit(), kHour, 366 * kDay);
  violations.Require(outreach.has_bad_survey(), "outreach.bad_survey", "is missing");
  violations.Range("outreach.bad_survey.csat_at_most", outreach.bad_survey().csat_at_most(), -1, 5);
  violations.Range("outreach.bad_survey.ces_at_most", outreach.bad_survey().ces_at_most(), -1, 7);
  violations.Range("outreach.bad_survey.nps_at_most", outreach.bad_survey().nps_at_most(), -1, 10);
}

bool IsRole(int role) {
  return role != type::v1::STAFF_ROLE_UNSPECIFIED && type::v1::StaffRole_IsValid(role);
}

}  // namespace

const AccountPolicy& DefaultPolicy() {
  static const AccountPolicy& policy = *new AccountPolicy(MakeDefault());
  return policy;
}

void CheckPolicy(const AccountPolicy& policy, Violations& violations) {
  violations.Count("counterparts", static_cast<size_t>(policy.counterparts_size()), 3);
  std::set<int> levels;
  for (int i = 0; i < policy.counterparts_size(); ++i) {
    const account::v1::CounterpartRow& row = policy.counterparts(i);
    const std::string at = absl::StrCat("counterparts[", i, "]");
    violations.Require(row.contact_level() != type::v1::CONTACT_LEVEL_UNSPECIFIED &&
                           type::v1::ContactLevel_IsValid(row.contact_level()) &&
                           levels.insert(row.contact_level()).second,
                       absl::StrCat(at, ".contact_level"), "must name a level, each once");
    violations.Require(row.roles_size() > 0, absl::StrCat(at, ".roles"), "must not be empty");
    std::set<int> roles;
    for (int r = 0; r < row.roles_size(); ++r) {
      violations.Require(IsRole(row.roles(r)) && roles.insert(row.roles(r)).second,
                         absl::StrCat(at, ".roles[", r, "]"), "must name a role, each once");
    }
  }
  std::set<int> defaults;
  for (int i = 0; i < policy.team_defaults_size(); ++i) {
    const std::string at = absl::StrCat("team_defaults[", i, "]");
    violations.Require(IsRole(policy.team_defaults(i).role()) &&
                           defaults.insert(policy.team_defaults(i).role()).second,
                       absl::StrCat(at, ".role"), "must name a role, each once");
    violations.Id(absl::StrCat(at, ".staff_id"), policy.team_defaults(i).staff_id());
  }
  if (violations.Require(policy.has_health(), "health", "is missing")) {
    CheckHealth(violations, policy.health());
  }
  if (violations.Require(policy.has_outreach(), "outreach", "is missing")) {
    CheckOutreach(violations, policy.outreach());
  }
  if (violations.Require(policy.has_contact_budget(), "contact_budget", "is missing")) {
    const account::v1::ContactBudget& budget = policy.contact_budget();
    violations.Range("contact_budget.units", budget.units(), 0, 1000);
    violations.Range("contact_budget.survey_units", budget.survey_units(), 0, 1000);
    violations.Range("contact_budget.commercial_units", budget.commercial_units(), 0, 1000);
    violations.Range("contact_budget.other_units", budget.other_units(), 0, 1000);
    CheckDuration(violations, "contact_budget.window", budget.has_window(), budget.window(), kHour,
                  366 * kDay);
    CheckDuration(violations, "contact_budget.survey_window", budget.has_survey_window(),
                  budget.survey_window(), 0, 366 * kDay);
  }
  violations.Count("public_mail_domains", static_cast<size_t>(policy.public_mail_domains_size()),
                   500);
  for (int i = 0; i < policy.public_mail_domains_size(); ++i) {
    violations.Require(IsDomain(policy.public_mail_domains(i)),
                       absl::StrCat("public_mail_domains[", i, "]"),
                       "must be a mail domain in lower case");
  }
}

std::unique_ptr<Policies> MakePolicies(const AccountPolicy& built_in, Policies::Weigh weigh,
                                       Policies::OnApplied on_applied) {
  return std::make_unique<Policies>(
      kPolicyKind, built_in.ByteSizeLong() == 0 ? DefaultPolicy() : built_in,
      [](const AccountPolicy& policy, Violations& violations) {
        CheckPolicy(policy, violations);
        return std::make_shared<const AccountPolicy>(policy);
      },
      std::move(weigh), std::move(on_applied));
}

std::vector<account::v1::Counterpart> FillTeam(const records::TeamRecord& team,
                                               const std::set<std::string>& left,
                                               const AccountPolicy& policy) {
  std::vector<account::v1::Counterpart> filled;
  for (int role = 1; type::v1::StaffRole_IsValid(role); ++role) {
    account::v1::Counterpart& place = filled.emplace_back();
    place.set_role(static_cast<type::v1::StaffRole>(role));
    const auto take = [&](const std::string& staff_id, bool is_default) {
      if (!place.staff_id().empty() || staff_id.empty()) return;
      if (left.contains(staff_id)) {
        if (place.inactive_staff_id().empty()) place.set_inactive_staff_id(staff_id);
        return;
      }
      place.set_staff_id(staff_id);
      place.set_is_default(is_default);
    };
    for (const account::v1::TeamMember& member : team.members()) {
      if (static_cast<int>(member.role()) == role) take(member.staff_id(), false);
    }
    for (const account::v1::TeamDefault& one : policy.team_defaults()) {
      if (static_cast<int>(one.role()) == role) take(one.staff_id(), true);
    }
  }
  return filled;
}

std::vector<account::v1::Counterpart> CounterpartsOf(
    type::v1::ContactLevel level, const std::vector<account::v1::Counterpart>& team,
    const AccountPolicy& policy) {
  if (level == type::v1::CONTACT_LEVEL_UNSPECIFIED) level = type::v1::CONTACT_LEVEL_MEMBER;
  std::vector<account::v1::Counterpart> counterparts;
  for (const account::v1::CounterpartRow& row : policy.counterparts()) {
    if (row.contact_level() != level) continue;
    for (const int role : row.roles()) {
      for (const account::v1::Counterpart& place : team) {
        if (static_cast<int>(place.role()) == role) counterparts.push_back(place);
      }
    }
  }
  return counterparts;
}

}  // namespace tandem::account_health
