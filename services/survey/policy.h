// The survey policy: what is sound, what holds before any was applied, and which tickets are asked
// what. Pure; any thread.
#ifndef TANDEM_SERVICES_SURVEY_POLICY_H_
#define TANDEM_SERVICES_SURVEY_POLICY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "common/corridor/errors.h"
#include "common/policy/policy.h"
#include "tandem/survey/v1/survey_policy.pb.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::survey {

inline constexpr char kPolicyKind[] = "survey";

// The product's defaults; deploy/policies/survey.yaml says the same.
const survey::v1::SurveyPolicy& DefaultPolicy();

// What a rule looks at.
struct TicketFacts {
  type::v1::Segment segment = type::v1::SEGMENT_UNSPECIFIED;
  std::string_view category;
  type::v1::Severity severity = type::v1::SEVERITY_UNSPECIFIED;
};

// A rule of the policy, defaults filled in.
struct Rule {
  std::string name;
  survey::v1::SurveyTrigger trigger = survey::v1::SURVEY_TRIGGER_NEVER;
  type::v1::SurveyKind kind = type::v1::SURVEY_KIND_UNSPECIFIED;
  absl::Duration delay;
  absl::Duration reminder_after;  // zero = none
  absl::Duration expires_after;
  int32_t bad_at_most = 0;  // 0 = no score is bad
  bool follow_up = true;

  bool IsBad(int32_t score) const { return score <= bad_at_most; }
};

// A sound policy made ready to use. Immutable.
class Rules {
 public:
  // Adds every problem of `policy`; null when there are any.
  static std::shared_ptr<const Rules> Make(const survey::v1::SurveyPolicy& policy,
                                           corridor::Violations& violations);

  // The first rule that fits; null = the ticket is not surveyed.
  const Rule* Find(const TicketFacts& ticket) const;
  // A rule by its name; null = this version has none of that name.
  const Rule* Named(std::string_view name) const;

  absl::Duration retry_for() const { return retry_for_; }
  absl::Duration retry_every() const { return retry_every_; }
  int32_t few_answers_below() const { return few_answers_below_; }

 private:
  struct Entry {
    std::set<int> segments;
    std::set<std::string, std::less<>> categories;
    std::set<int> severities;
    Rule rule;
  };
  Rules() = default;

  std::vector<Entry> entries_;
  absl::Duration retry_for_;
  absl::Duration retry_every_;
  int32_t few_answers_below_ = 0;
};

using Policies = policy::Book<survey::v1::SurveyPolicy, Rules>;
using PolicyInForce = Policies::InForce;

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_POLICY_H_
