#include "services/survey/policy.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/time/stamp.h"
#include "services/survey/scale.h"

namespace tandem::survey {
namespace {

using corridor::Violations;
using survey::v1::SurveyPolicy;
using survey::v1::SurveyRule;

constexpr size_t kMaxRules = 100;
constexpr int32_t kFewAnswersBelow = 10;
constexpr absl::Duration kRetryFor = absl::Hours(72);
constexpr absl::Duration kRetryEvery = absl::Hours(1);
constexpr absl::Duration kExpiresAfter = absl::Hours(14 * 24);

SurveyPolicy MakeDefault() {
  SurveyPolicy policy;
  SurveyRule& rule = *policy.add_rules();
  rule.set_name("default");
  rule.set_trigger(survey::v1::SURVEY_TRIGGER_CLOSED);
  rule.set_kind(type::v1::SURVEY_KIND_CSAT);
  rule.mutable_delay()->set_seconds(3600);
  rule.mutable_reminder_after()->set_seconds(int64_t{3} * 24 * 3600);
  rule.mutable_expires_after()->set_seconds(absl::ToInt64Seconds(kExpiresAfter));
  rule.set_bad_at_most(2);
  rule.set_follow_up(true);
  policy.mutable_retry_for()->set_seconds(absl::ToInt64Seconds(kRetryFor));
  policy.mutable_retry_every()->set_seconds(absl::ToInt64Seconds(kRetryEvery));
  policy.set_few_answers_below(kFewAnswersBelow);
  return policy;
}

// `value`, or `fallback` when it is absent, within its bounds.
absl::Duration ReadDuration(Violations& violations, const std::string& field, bool given,
                            const google::protobuf::Duration& value, absl::Duration fallback,
                            absl::Duration lowest, absl::Duration highest) {
  if (!given) return fallback;
  const absl::Duration duration = time::Span(value);
  violations.Require(duration >= lowest && duration <= highest, field,
                     absl::StrCat("must be ", absl::FormatDuration(lowest), " to ",
                                  absl::FormatDuration(highest)));
  return duration;
}

template <typename List, typename IsValid>
std::set<int> ReadEnums(Violations& violations, const std::string& field, const List& list,
                        IsValid is_valid) {
  violations.Count(field, static_cast<size_t>(list.size()), 10);
  std::set<int> values;
  for (const int value : list) {
    violations.Require(value != 0 && is_valid(value), field, "names a value that is not known");
    violations.Require(values.insert(value).second, field, "names a value twice");
  }
  return values;
}

}  // namespace

const SurveyPolicy& DefaultPolicy() {
  static const SurveyPolicy policy = MakeDefault();
  return policy;
}

std::shared_ptr<const Rules> Rules::Make(const SurveyPolicy& policy, Violations& violations) {
  std::shared_ptr<Rules> rules(new Rules());
  violations.Count("rules", static_cast<size_t>(policy.rules_size()), kMaxRules);
  std::set<std::string> names;
  for (int i = 0; i < policy.rules_size(); ++i) {
    const SurveyRule& written = policy.rules(i);
    const std::string at = absl::StrCat("rules[", i, "].");
    Entry entry;
    Rule& rule = entry.rule;
    if (violations.Key(at + "name", written.name())) {
      violations.Require(names.insert(written.name()).second, at + "name",
                         "is the name of another rule");
    }
    rule.name = written.name();
    entry.segments = ReadEnums(violations, at + "segments", written.segments(),
                               [](int value) { return type::v1::Segment_IsValid(value); });
    entry.severities = ReadEnums(violations, at + "severities", written.severities(),
                                 [](int value) { return type::v1::Severity_IsValid(value); });
    violations.Count(at + "categories", static_cast<size_t>(written.categories_size()), 200);
    for (int c = 0; c < written.categories_size(); ++c) {
      violations.Key(absl::StrCat(at, "categories[", c, "]"), written.categories(c));
      entry.categories.insert(written.categories(c));
    }
    rule.trigger = written.trigger();
    violations.Require(rule.trigger != survey::v1::SURVEY_TRIGGER_UNSPECIFIED &&
                           survey::v1::SurveyTrigger_IsValid(rule.trigger),
                       at + "trigger", "must be closed, resolved or never");
    rule.kind = written.kind();
    const Scale scale = ScaleOf(rule.kind);
    if (rule.trigger != survey::v1::SURVEY_TRIGGER_NEVER) {
      violations.Require(scale.highest > 0, at + "kind", "must be csat or ces");
    }
    rule.delay = ReadDuration(violations, at + "delay", written.has_delay(), written.delay(),
                              absl::ZeroDuration(), absl::ZeroDuration(), absl::Hours(30 * 24));
    rule.expires_after =
        ReadDuration(violations, at + "expires_after", written.has_expires_after(),
                     written.expires_after(), kExpiresAfter, absl::Hours(1), absl::Hours(180 * 24));
    rule.reminder_after = ReadDuration(
        violations, at + "reminder_after", written.has_reminder_after(), written.reminder_after(),
        absl::ZeroDuration(), absl::ZeroDuration(), absl::Hours(180 * 24));
    violations.Require(rule.reminder_after < rule.expires_after, at + "reminder_after",
                       "must be less than expires_after");
    rule.bad_at_most = written.has_bad_at_most() ? written.bad_at_most() : scale.bad_at_most;
    if (scale.highest > 0) {
      violations.Range(at + "bad_at_most", rule.bad_at_most, 0, scale.highest - 1);
    }
    rule.follow_up = !written.has_follow_up() || written.follow_up();
    rules->entries_.push_back(std::move(entry));
  }
  rules->retry_for_ = ReadDuration(violations, "retry_for", policy.has_retry_for(),
                                   policy.retry_for(), kRetryFor, absl::ZeroDuration(), kRetryFor);
  rules->retry_every_ =
      ReadDuration(violations, "retry_every", policy.has_retry_every(), policy.retry_every(),
                   kRetryEvery, absl::Minutes(1), absl::Hours(24));
  violations.Range("few_answers_below", policy.few_answers_below(), 0, 1000);
  rules->few_answers_below_ =
      policy.few_answers_below() == 0 ? kFewAnswersBelow : policy.few_answers_below();
  if (!violations.ok()) return nullptr;
  return rules;
}

const Rule* Rules::Find(const TicketFacts& ticket) const {
  for (const Entry& entry : entries_) {
    if (!entry.segments.empty() && entry.segments.count(ticket.segment) == 0) continue;
    if (!entry.severities.empty() && entry.severities.count(ticket.severity) == 0) continue;
    if (!entry.categories.empty() && entry.categories.count(ticket.category) == 0) continue;
    return &entry.rule;
  }
  return nullptr;
}

const Rule* Rules::Named(std::string_view name) const {
  for (const Entry& entry : entries_) {
    if (entry.rule.name == name) return &entry.rule;
  }
  return nullptr;
}

}  // namespace tandem::survey
