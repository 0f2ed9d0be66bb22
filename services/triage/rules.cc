#include "services/triage/rules.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/calendar/calendar_proto.h"
#include "common/config/views.h"
#include "common/time/stamp.h"
#include "services/triage/language.h"

namespace tandem::triage {

using config::Absl;

namespace {

using namespace type::v1;  // NOLINT: the product's own words
using google::protobuf::RepeatedPtrField;
using v1::EscalationPolicy;
using v1::EscalationTarget;
using v1::SeverityRule;
using v1::TicketConditions;
using v1::TicketFacts;
using v1::TriagePolicy;

constexpr int kMaxList = 200;
constexpr absl::Duration kLongestRetry = absl::Minutes(10);
constexpr std::string_view kOnlyQueue = "support";

re2::RE2::Options PatternOptions() {
  re2::RE2::Options options;
  options.set_log_errors(false);
  // Bounds what one pattern may cost to compile and to run: policies come from outside.
  options.set_max_mem(int64_t{1} << 20);
  return options;
}

// What was not said counts as MEMBER: support serves them most, and a mistake must not cost them.
ContactLevel LevelOf(const TicketFacts& facts) {
  return facts.contact_level() == CONTACT_LEVEL_UNSPECIFIED ? CONTACT_LEVEL_MEMBER
                                                            : facts.contact_level();
}

template <typename List, typename T>
bool Holds(const List& list, const T& value) {
  return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
}

bool Matches(const TicketConditions& when, const TicketFacts& facts, Severity severity) {
  if (!Holds(when.categories(), facts.category()) || !Holds(when.products(), facts.product()) ||
      !Holds(when.contact_levels(), static_cast<int>(LevelOf(facts))) ||
      !Holds(when.segments(), static_cast<int>(facts.segment())) ||
      !Holds(when.stages(), static_cast<int>(facts.stage())) ||
      !Holds(when.channels(), static_cast<int>(facts.channel())) ||
      !Holds(when.severities(), static_cast<int>(severity)) ||
      (when.frustrated() && !facts.frustrated())) {
    return false;
  }
  if (!when.tags().empty() &&
      std::none_of(facts.tags().begin(), facts.tags().end(),
                   [&](const std::string& tag) { return Holds(when.tags(), tag); })) {
    return false;
  }
  return when.languages().empty() ||
         std::any_of(when.languages().begin(), when.languages().end(),
                     [&](const std::string& language) {
                       return IsSameLanguage(language, facts.language());
                     });
}

// Whether the contact level is all that `rule` looks at.
bool LooksAtLevelAlone(const SeverityRule& rule) {
  const TicketConditions& when = rule.when();
  return !when.contact_levels().empty() && rule.text_patterns().empty() &&
         when.categories().empty() && when.products().empty() && when.segments().empty() &&
         when.stages().empty() && when.channels().empty() && when.tags().empty() &&
         when.languages().empty() && !when.frustrated();
}

// Severity numbers rise as the class falls.
Severity Acted(const SeverityRule& rule, Severity before) {
  switch (rule.action_case()) {
    case SeverityRule::kRaise:
      return static_cast<Severity>(std::max<int>(SEVERITY_CRITICAL, before - rule.raise()));
    case SeverityRule::kLower:
      return static_cast<Severity>(std::min<int>(SEVERITY_GENERAL, before + rule.lower()));
    case SeverityRule::kFix:
      return rule.fix();
    case SeverityRule::ACTION_NOT_SET:
      break;
  }
  return before;
}

class Checker {
 public:
  Checker(const TriagePolicy& policy, corridor::Violations& violations)
      : policy_(policy), violations_(violations) {}

  bool Check() {
    std::set<std::pair<int, int>> cells;
    for (int i = 0; i < policy_.matrix_size(); ++i) {
      const v1::SeverityCell& cell = policy_.matrix(i);
      const std::string at = absl::StrCat("matrix[", i, "]");
      Require(cell.impact() != IMPACT_UNSPECIFIED, at + ".impact", "is missing");
      Require(cell.urgency() != URGENCY_UNSPECIFIED, at + ".urgency", "is missing");
      Require(cell.severity() != SEVERITY_UNSPECIFIED, at + ".severity", "is missing");
      Require(cells.insert({cell.impact(), cell.urgency()}).second, at, "stands there twice");
    }
    Calendars();
    Names("severity_rules", policy_.severity_rules());
    for (int i = 0; i < policy_.severity_rules_size(); ++i) {
      CheckSeverityRule(policy_.severity_rules(i), absl::StrCat("severity_rules[", i, "]"));
    }
    Names("queues", policy_.queues());
    for (int i = 0; i < policy_.queues_size(); ++i) {
      queues_.insert(policy_.queues(i).name());
      CheckCalendar(policy_.queues(i).calendar(), absl::StrCat("queues[", i, "].calendar"));
    }
    if (queues_.empty()) queues_.insert(std::string(kOnlyQueue));
    if (!policy_.default_queue().empty()) CheckQueue(policy_.default_queue(), "default_queue");
    Names("routing", policy_.routing());
    for (int i = 0; i < policy_.routing_size(); ++i) {
      CheckQueue(policy_.routing(i).queue(), absl::StrCat("routing[", i, "].queue"));
    }
    Names("support_levels", policy_.support_levels());
    for (int i = 0; i < policy_.support_levels_size(); ++i) {
      Require(policy_.support_levels(i).level() != SUPPORT_LEVEL_UNSPECIFIED,
              absl::StrCat("support_levels[", i, "].level"), "is missing");
    }
    std::set<std::string> products;
    Require(policy_.product_skills_size() <= kMaxList, "product_skills",
            "has more than 200 entries");
    for (int i = 0; i < policy_.product_skills_size(); ++i) {
      const v1::ProductSkills& line = policy_.product_skills(i);
      const std::string at = absl::StrCat("product_skills[", i, "]");
      violations_.Key(at + ".product", line.product());
      Require(products.insert(line.product()).second, at + ".product", "stands there twice");
      Require(line.skills_size() <= 20, at + ".skills", "has more than 20 entries");
      for (const std::string& skill : line.skills()) violations_.Key(at + ".skills", skill);
    }
    for (int i = 0; i < policy_.capacity_weights_size(); ++i) {
      const v1::CapacityWeight& weight = policy_.capacity_weights(i);
      const std::string at = absl::StrCat("capacity_weights[", i, "]");
      Require(weight.severity() != SEVERITY_UNSPECIFIED, at + ".severity", "is missing");
      violations_.Range(at + ".units", weight.units(), 0, 100);
    }
    Span("rise_after", policy_.has_rise_after(), policy_.rise_after(), absl::ZeroDuration(),
         absl::Hours(24 * 365));
    const v1::ImpactScoring& impact = policy_.impact();
    violations_.Range("impact.users_of_full_weight", impact.users_of_full_weight(), 0,
                      1'000'000'000);
    violations_.Range("impact.similar_of_full_weight", impact.similar_of_full_weight(), 0, 1000);
    violations_.Range("impact.high_band_from", impact.high_band_from(), 0, 100);
    violations_.Range("impact.middle_band_from", impact.middle_band_from(), 0, 100);
    Names("escalations", policy_.escalations());
    for (int i = 0; i < policy_.escalations_size(); ++i) {
      CheckEscalation(policy_.escalations(i), absl::StrCat("escalations[", i, "]"));
    }
    for (int i = 0; i < policy_.role_defaults_size(); ++i) {
      const v1::RoleDefault& role = policy_.role_defaults(i);
      const std::string at = absl::StrCat("role_defaults[", i, "]");
      Require(role.role() != STAFF_ROLE_UNSPECIFIED, at + ".role", "is missing");
      violations_.Id(at + ".staff_id", role.staff_id());
    }
    violations_.Range("reopenings_to_escalate", policy_.reopenings_to_escalate(), 0, 1000);
    Span("text_retry_after", policy_.has_text_retry_after(), policy_.text_retry_after(),
         absl::Seconds(1), kLongestRetry);
    Span("release_unavailable_after", policy_.has_release_unavailable_after(),
         policy_.release_unavailable_after(), absl::ZeroDuration(), absl::Hours(24 * 366));
    return violations_.ok();
  }

 private:
  void Require(bool good, std::string_view field, std::string_view problem) {
    violations_.Require(good, field, problem);
  }

  template <typename Named>
  void Names(const std::string& field, const RepeatedPtrField<Named>& list) {
    Require(list.size() <= kMaxList, field, "has more than 200 entries");
    std::set<std::string> names;
    for (int i = 0; i < list.size(); ++i) {
      const std::string at = absl::StrCat(field, "[", i, "].name");
      violations_.Key(at, list[i].name());
      Require(names.insert(list[i].name()).second, at,
              absl::StrCat("'", list[i].name(), "' stands there twice"));
    }
  }

  void Calendars() {
    Require(policy_.calendars_size() <= kMaxList, "calendars", "has more than 200 entries");
    for (int i = 0; i < policy_.calendars_size(); ++i) {
      calendar::CalendarSpec spec;
      for (const calendar::Problem& problem : calendar::ReadCalendar(policy_.calendars(i), spec)) {
        Require(false, absl::StrCat("calendars[", i, "].", problem.path), problem.what);
      }
      Require(calendars_.insert(spec.name).second, absl::StrCat("calendars[", i, "].name"),
              "stands there twice");
    }
  }

  void CheckCalendar(const std::string& name, const std::string& at) {
    Require(name.empty() || calendars_.contains(name), at, "names none of the policy's calendars");
  }
  void CheckQueue(const std::string& name, const std::string& at) {
    Require(queues_.contains(name), at, "names none of the policy's queues");
  }

  void Span(std::string_view field, bool given, const google::protobuf::Duration& duration,
            absl::Duration least, absl::Duration most) {
    if (!given) return;
    const absl::Duration value = time::Span(duration);
    Require(
        value >= least && value <= most, field,
        absl::StrCat("must be ", absl::FormatDuration(least), " to ", absl::FormatDuration(most)));
  }

  void CheckSeverityRule(const SeverityRule& rule, const std::string& at) {
    Require(rule.when().severities().empty(), at + ".when.severities",
            "is what the severity rules make");
    Require(rule.text_patterns_size() <= 20, at + ".text_patterns", "has more than 20 entries");
    for (const std::string& pattern : rule.text_patterns()) {
      if (pattern.empty() || pattern.size() > 1024) {
        Require(false, at + ".text_patterns", "must be 1 to 1024 bytes each");
        continue;
      }
      const re2::RE2 compiled(pattern, PatternOptions());
      Require(compiled.ok(), at + ".text_patterns", compiled.error());
    }
    switch (rule.action_case()) {
      case SeverityRule::kRaise:
        violations_.Range(at + ".raise", rule.raise(), 1, 3);
        break;
      case SeverityRule::kLower:
        violations_.Range(at + ".lower", rule.lower(), 1, 3);
        break;
      case SeverityRule::kFix:
        Require(rule.fix() != SEVERITY_UNSPECIFIED, at + ".fix", "is missing");
        break;
      case SeverityRule::ACTION_NOT_SET:
        Require(false, at, "needs raise, lower or fix");
        break;
    }
    const bool lowers = rule.action_case() == SeverityRule::kLower;
    Require(
        !lowers || !LooksAtLevelAlone(rule) ||
            std::find(rule.when().contact_levels().begin(), rule.when().contact_levels().end(),
                      static_cast<int>(CONTACT_LEVEL_MEMBER)) == rule.when().contact_levels().end(),
        at, "would lower a MEMBER's ticket for its contact level alone");
  }

  void CheckEscalation(const EscalationPolicy& policy, const std::string& at) {
    const auto triggers = [&](const google::protobuf::RepeatedField<int>& list,
                              std::string_view field) {
      for (const int trigger : list) {
        Require(trigger != v1::ESCALATION_TRIGGER_UNSPECIFIED, absl::StrCat(at, Absl(field)),
                "names no trigger");
      }
    };
    triggers(policy.triggers(), ".triggers");
    triggers(policy.raised_by(), ".raised_by");
    Require(policy.levels_size() >= 1 && policy.levels_size() <= 10, at + ".levels",
            "must be 1 to 10");
    violations_.Range(at + ".repeats", policy.repeats(), 0, 10);
    Span(at + ".acknowledgement_holds", policy.has_acknowledgement_holds(),
         policy.acknowledgement_holds(), absl::ZeroDuration(), absl::Hours(24 * 365));
    CheckCalendar(policy.calendar(), at + ".calendar");
    for (int i = 0; i < policy.levels_size(); ++i) {
      const v1::EscalationLevel& level = policy.levels(i);
      const std::string here = absl::StrCat(at, ".levels[", i, "]");
      Span(here + ".acknowledge_within", true, level.acknowledge_within(), absl::Minutes(1),
           absl::Hours(24 * 30));
      Require(level.targets_size() >= 1 && level.targets_size() <= 20, here + ".targets",
              "must be 1 to 20");
      for (int t = 0; t < level.targets_size(); ++t) {
        CheckTarget(level.targets(t), absl::StrCat(here, ".targets[", t, "]"));
      }
    }
  }

  void CheckTarget(const EscalationTarget& target, const std::string& at) {
    switch (target.who_case()) {
      case EscalationTarget::kStaffId:
        violations_.Id(at + ".staff_id", target.staff_id());
        break;
      case EscalationTarget::kRole:
        Require(target.role() != STAFF_ROLE_UNSPECIFIED, at + ".role", "is missing");
        break;
      case EscalationTarget::kQueue:
        CheckQueue(target.queue(), at + ".queue");
        break;
      case EscalationTarget::kCounterparts:
        Require(target.counterparts(), at + ".counterparts", "must be true or left out");
        break;
      case EscalationTarget::kAssignee:
        Require(target.assignee(), at + ".assignee", "must be true or left out");
        break;
      case EscalationTarget::WHO_NOT_SET:
        Require(false, at, "needs staff_id, role, queue, counterparts or assignee");
        break;
    }
  }

  const TriagePolicy& policy_;
  corridor::Violations& violations_;
  std::set<std::string> calendars_;
  std::set<std::string> queues_;
};

}  // namespace

std::vector<std::string> Classification::Cited() const {
  std::vector<std::string> cited;
  for (const v1::ClassificationStep& step : steps) {
    if (step.matched()) cited.push_back(step.rule());
  }
  if (!support_level_rule.empty()) cited.push_back(support_level_rule);
  if (!routing_rule.empty()) cited.push_back(routing_rule);
  return cited;
}

std::shared_ptr<const Rules> Rules::Make(const TriagePolicy& policy,
                                         corridor::Violations& violations) {
  if (!Checker(policy, violations).Check()) return nullptr;
  std::shared_ptr<Rules> rules(new Rules);
  rules->policy_ = policy;
  const auto cell = [&](Impact impact, Urgency urgency, Severity severity) {
    rules->matrix_[{impact, urgency}] = severity;
  };
  cell(IMPACT_HIGH, URGENCY_HIGH, SEVERITY_CRITICAL);
  cell(IMPACT_HIGH, URGENCY_MEDIUM, SEVERITY_URGENT);
  cell(IMPACT_MEDIUM, URGENCY_HIGH, SEVERITY_URGENT);
  cell(IMPACT_HIGH, URGENCY_LOW, SEVERITY_NORMAL);
  cell(IMPACT_MEDIUM, URGENCY_MEDIUM, SEVERITY_NORMAL);
  cell(IMPACT_LOW, URGENCY_HIGH, SEVERITY_NORMAL);
  cell(IMPACT_MEDIUM, URGENCY_LOW, SEVERITY_GENERAL);
  cell(IMPACT_LOW, URGENCY_MEDIUM, SEVERITY_GENERAL);
  cell(IMPACT_LOW, URGENCY_LOW, SEVERITY_GENERAL);
  for (const v1::SeverityCell& given : policy.matrix()) {
    cell(given.impact(), given.urgency(), given.severity());
  }
  for (const SeverityRule& rule : policy.severity_rules()) {
    auto& compiled = rules->patterns_.emplace_back();
    for (const std::string& pattern : rule.text_patterns()) {
      compiled.push_back(std::make_unique<const re2::RE2>(pattern, PatternOptions()));
      rules->needs_text_ = true;
    }
  }
  for (const v1::QueueSpec& queue : policy.queues()) {
    rules->queues_.push_back(queue.name());
    rules->calendar_of_queue_.emplace(queue.name(), queue.calendar());
  }
  if (rules->queues_.empty()) {
    rules->queues_.emplace_back(kOnlyQueue);
    rules->calendar_of_queue_.emplace(std::string(kOnlyQueue), "");
  }
  for (const sla::v1::Calendar& message : policy.calendars()) {
    auto calendar = calendar::CalendarFromProto(message);
    if (!calendar.ok()) {
      violations.Require(false, "calendars", std::string(calendar.status().message()));
      return nullptr;
    }
    rules->calendars_.emplace(message.name(), *std::move(calendar));
  }
  for (const v1::ProductSkills& line : policy.product_skills()) {
    rules->skills_.emplace(line.product(),
                           std::vector<std::string>(line.skills().begin(), line.skills().end()));
  }
  rules->units_ = {
      {SEVERITY_CRITICAL, 4}, {SEVERITY_URGENT, 2}, {SEVERITY_NORMAL, 1}, {SEVERITY_GENERAL, 1}};
  for (const v1::CapacityWeight& weight : policy.capacity_weights()) {
    rules->units_[weight.severity()] = weight.units();
  }
  for (const v1::RoleDefault& role : policy.role_defaults()) {
    rules->role_defaults_.emplace(role.role(), role.staff_id());
  }
  rules->rise_after_ = policy.has_rise_after() ? time::Span(policy.rise_after()) : absl::Hours(8);
  const v1::ImpactScoring& impact = policy.impact();
  rules->users_of_full_weight_ =
      impact.users_of_full_weight() == 0 ? 100 : impact.users_of_full_weight();
  rules->similar_of_full_weight_ =
      impact.similar_of_full_weight() == 0 ? 5 : impact.similar_of_full_weight();
  rules->high_band_from_ = impact.high_band_from() == 0 ? 70 : impact.high_band_from();
  rules->middle_band_from_ = impact.middle_band_from() == 0 ? 40 : impact.middle_band_from();
  rules->reopenings_to_escalate_ =
      policy.reopenings_to_escalate() == 0 ? 2 : policy.reopenings_to_escalate();
  rules->text_retry_after_ =
      policy.has_text_retry_after() ? time::Span(policy.text_retry_after()) : absl::Seconds(30);
  rules->release_unavailable_after_ = policy.has_release_unavailable_after()
                                          ? time::Span(policy.release_unavailable_after())
                                          : absl::Hours(24);
  if (rules->release_unavailable_after_ == absl::ZeroDuration()) {
    rules->release_unavailable_after_ = absl::InfiniteDuration();
  }
  return rules;
}

Severity Rules::FromMatrix(Impact impact, Urgency urgency) const {
  if (impact == IMPACT_UNSPECIFIED) impact = IMPACT_MEDIUM;
  if (urgency == URGENCY_UNSPECIFIED) urgency = URGENCY_MEDIUM;
  const auto cell = matrix_.find({impact, urgency});
  return cell == matrix_.end() ? SEVERITY_NORMAL : cell->second;
}

Classification Rules::Classify(const TicketFacts& facts, const std::set<std::string>& text_matches,
                               Severity by_hand) const {
  Classification made;
  made.severity = FromMatrix(facts.impact(), facts.urgency());
  v1::ClassificationStep& matrix = made.steps.emplace_back();
  matrix.set_rule("matrix");
  matrix.set_matched(true);
  matrix.set_severity(made.severity);
  for (const SeverityRule& rule : policy_.severity_rules()) {
    v1::ClassificationStep& step = made.steps.emplace_back();
    step.set_rule(rule.name());
    step.set_matched(Matches(rule.when(), facts, made.severity) &&
                     (rule.text_patterns().empty() || text_matches.contains(rule.name())));
    if (step.matched()) {
      const Severity after = Acted(rule, made.severity);
      if (after > made.severity && LooksAtLevelAlone(rule) &&
          LevelOf(facts) == CONTACT_LEVEL_MEMBER) {
        step.set_note("the contact level alone never lowers a MEMBER's ticket");
      } else {
        made.severity = after;
      }
    }
    step.set_severity(made.severity);
  }
  const Severity in_force = by_hand == SEVERITY_UNSPECIFIED ? made.severity : by_hand;
  for (const v1::SupportLevelRule& rule : policy_.support_levels()) {
    if (!Matches(rule.when(), facts, in_force)) continue;
    made.support_level = rule.level();
    made.support_level_rule = rule.name();
    break;
  }
  made.queue = policy_.default_queue().empty() ? queues_.front() : policy_.default_queue();
  for (const v1::RoutingRule& rule : policy_.routing()) {
    if (!Matches(rule.when(), facts, in_force)) continue;
    made.queue = rule.queue();
    made.routing_rule = rule.name();
    break;
  }
  return made;
}

std::vector<std::string> Rules::TextMatches(std::string_view text) const {
  std::vector<std::string> matches;
  for (size_t i = 0; i < patterns_.size(); ++i) {
    const bool found =
        std::any_of(patterns_[i].begin(), patterns_[i].end(), [&](const auto& pattern) {
          return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *pattern);
        });
    if (found) matches.push_back(policy_.severity_rules(static_cast<int>(i)).name());
  }
  return matches;
}

const std::vector<std::string>& Rules::SkillsFor(std::string_view product) const {
  static const std::vector<std::string> none;
  const auto found = skills_.find(product);
  return found == skills_.end() ? none : found->second;
}

int Rules::CapacityUnits(Severity severity) const {
  const auto found = units_.find(severity);
  return found == units_.end() ? 0 : found->second;
}

absl::Time Rules::Add(std::string_view calendar, absl::Time from, absl::Duration span) const {
  const auto found = calendars_.find(calendar);
  // Elapsed time also where a calendar is gone: then people are rung and tickets rise early, never
  // late.
  if (found == calendars_.end()) return from + span;
  const absl::StatusOr<absl::Time> at = found->second.Add(from, span);
  // A calendar that never opens again: the time is never used up.
  return at.ok() ? *at : absl::InfiniteFuture();
}

std::vector<absl::Time> Rules::RiseInstants(std::string_view queue, Severity severity,
                                            absl::Time since) const {
  std::vector<absl::Time> rises;
  if (rise_after_ <= absl::ZeroDuration()) return rises;
  const auto calendar = calendar_of_queue_.find(queue);
  const std::string_view name =
      calendar == calendar_of_queue_.end() ? std::string_view() : calendar->second;
  for (int i = 1; i <= severity - SEVERITY_URGENT; ++i) {
    const absl::Time at = Add(name, since, rise_after_ * i);
    if (at == absl::InfiniteFuture()) break;
    rises.push_back(at);
  }
  return rises;
}

bool Rules::IsOpen(std::string_view calendar, absl::Time at) const {
  if (calendar.empty()) return true;
  const auto found = calendars_.find(calendar);
  return found != calendars_.end() && found->second.IsOpen(at);
}

int Rules::ImpactScore(int64_t affected_users, int64_t similar) const {
  // Of the product's three parts the account's ARR percentile (30) is not known here; the other two
  // are scaled so that 100 stays the top. Whole numbers: the same score everywhere.
  const int64_t users = 40 * std::min(affected_users, users_of_full_weight_) * 1000 /
                        std::max<int64_t>(1, users_of_full_weight_);
  const int64_t alike = 30 * std::min<int64_t>(similar, similar_of_full_weight_) * 1000 /
                        std::max(1, similar_of_full_weight_);
  return static_cast<int>((users + alike) / 700);
}

int Rules::ImpactBand(int score) const {
  if (score >= high_band_from_) return 2;
  return score >= middle_band_from_ ? 1 : 0;
}

const EscalationPolicy* Rules::EscalationFor(v1::EscalationTrigger trigger, Severity severity,
                                             ContactLevel level) const {
  if (level == CONTACT_LEVEL_UNSPECIFIED) level = CONTACT_LEVEL_MEMBER;
  for (const EscalationPolicy& policy : policy_.escalations()) {
    if (Holds(policy.triggers(), static_cast<int>(trigger)) &&
        Holds(policy.severities(), static_cast<int>(severity)) &&
        Holds(policy.contact_levels(), static_cast<int>(level))) {
      return &policy;
    }
  }
  return nullptr;
}

const EscalationPolicy* Rules::EscalationNamed(std::string_view name) const {
  for (const EscalationPolicy& policy : policy_.escalations()) {
    if (policy.name() == name) return &policy;
  }
  return nullptr;
}

absl::Time Rules::After(const EscalationPolicy& policy, Severity severity, std::string_view queue,
                        absl::Time from, absl::Duration span) const {
  if (severity == SEVERITY_CRITICAL || severity == SEVERITY_URGENT) return from + span;
  std::string_view calendar = policy.calendar();
  if (calendar.empty()) {
    const auto of_queue = calendar_of_queue_.find(queue);
    if (of_queue != calendar_of_queue_.end()) calendar = of_queue->second;
  }
  const absl::Time at = Add(calendar, from, span);
  // Nobody is to wait for ever because a calendar ended: elapsed time then.
  return at == absl::InfiniteFuture() ? from + span : at;
}

std::string_view Rules::DefaultFor(StaffRole role) const {
  const auto found = role_defaults_.find(role);
  return found == role_defaults_.end() ? std::string_view() : std::string_view(found->second);
}

absl::Duration Rules::TextRetryAfter(int attempt) const {
  absl::Duration wait = text_retry_after_;
  for (int i = 1; i < attempt && wait < kLongestRetry; ++i) wait *= 2;
  return std::min(wait, kLongestRetry);
}

}  // namespace tandem::triage
