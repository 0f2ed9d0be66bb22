// How a service comes to its policy: by hand, from a folder, at a start, beside other processes.
#include "common/policy/policy.h"

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/policy/declared.h"
#include "common/policy/outlook.h"
#include "common/policy/policy_file.h"
#include "common/policy/standing.h"
#include "common/testing/service_harness.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"
#include "tandem/events/v1/policy.pb.h"
#include "tandem/survey/v1/policy_service.pb.h"
#include "tandem/survey/v1/survey_policy.pb.h"

namespace tandem::policy {
namespace {

using survey::v1::SurveyPolicy;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kService[] = "tandem.survey.v1.PolicyService";

// The rules that something in use goes by.
using InUse = std::set<std::string>;

std::unique_ptr<corridor::ServiceDefinition> Make(std::shared_ptr<const InUse> in_use) {
  using Policies = Book<SurveyPolicy, SurveyPolicy>;
  auto definition = std::make_unique<corridor::ServiceDefinition>(
      "sample", store::Schema{.component = "sample", .migrations = {}});
  const auto policies = std::make_shared<const Policies>(
      "survey", SurveyPolicy(),
      [](const SurveyPolicy& policy, corridor::Violations& violations) {
        violations.Range("few_answers_below", policy.few_answers_below(), 0, 1000);
        for (int i = 0; i < policy.rules_size(); ++i) {
          violations.Key(absl::StrCat("rules[", i, "].name"), policy.rules(i).name());
        }
        return std::make_shared<const SurveyPolicy>(policy);
      },
      [in_use](const Policies::Proposal& proposal, const corridor::Inputs&, corridor::View&,
               Outlook& outlook) {
        std::set<std::string> kept;
        for (const auto& rule : proposal.after.rules()) kept.insert(rule.name());
        for (const auto& rule : proposal.before.rules()) {
          if (kept.contains(rule.name())) continue;
          if (in_use->contains(rule.name())) {
            outlook.Refuse("rule", rule.name(), 2,
                           absl::StrCat("rule ", rule.name(), " is gone and is used by two"));
          } else {
            outlook.Warn("rule_gone", rule.name(), 0, absl::StrCat(rule.name(), " is gone"));
          }
        }
        return absl::OkStatus();
      });
  namespace sv = survey::v1;
  policies->Bind<sv::ValidatePolicyRequest, sv::ValidatePolicyResponse, sv::ApplyPolicyRequest,
                 sv::ApplyPolicyResponse, sv::GetPolicyRequest, sv::GetPolicyResponse,
                 sv::ListPoliciesRequest, sv::ListPoliciesResponse>(kService, *definition);
  // The book lives as long as the definition, which only knows it by pointer.
  definition->OnEvent<events::v1::PolicyApplied>(
      [policies](const auto&, const bus::Event&, const corridor::Inputs&, corridor::View&) {
        return corridor::Decision();
      });
  return definition;
}

PolicyFile File(std::string text, std::string name = "survey.yaml") {
  return {kService, "survey", std::move(name), std::move(text)};
}

class PolicyTest : public ::testing::Test {
 protected:
  PolicyTest() : harness_([in_use = in_use_] { return Make(in_use); }) {}

  CallMethod Call() {
    return [this](const std::string& method, corridor::MessagePtr request) {
      absl::StatusOr<corridor::MessagePtr> answer = absl::UnavailableError("not answered");
      corridor::CallContext context;
      context.caller = kFileCaller;
      context.deadline = harness_.Now() + absl::Seconds(30);
      harness_.runtime().Call(
          context, corridor::FindMethod(method), std::move(request),
          [&](absl::StatusOr<corridor::MessagePtr> reply) { answer = std::move(reply); });
      harness_.Settle();
      return answer;
    };
  }
  StartedPolicy Begin(const PolicyStart& start) {
    const absl::StatusOr<StartedPolicy> started = StartPolicy(start, Call());
    EXPECT_TRUE(started.ok()) << started.status();
    return started.ok() ? *started : StartedPolicy();
  }
  StartedPolicy BeginBuiltIn(const std::string& text = "few_answers_below: 1") {
    return Begin({.built_in = File(text, "built-in survey.yaml"), .declared = {}});
  }
  StartedPolicy BeginDeclared(const std::string& text, bool compares_only = false) {
    return Begin({.built_in = File("few_answers_below: 1", "built-in survey.yaml"),
                  .declared = File(text),
                  .compares_only = compares_only});
  }
  absl::StatusOr<survey::v1::ApplyPolicyResponse> Apply(const SurveyPolicy& policy,
                                                        bool validate_only = false) {
    survey::v1::ApplyPolicyRequest request;
    request.set_request_id(absl::StrCat("by-hand-", ++requests_));
    *request.mutable_policy() = policy;
    request.set_validate_only(validate_only);
    return harness_.Call<survey::v1::ApplyPolicyResponse>(absl::StrCat(kService, "/ApplyPolicy"),
                                                          request);
  }
  static SurveyPolicy Few(int few) {
    SurveyPolicy policy;
    policy.set_few_answers_below(few);
    return policy;
  }
  static SurveyPolicy WithRules(const std::vector<std::string>& names) {
    SurveyPolicy policy;
    for (const std::string& name : names) policy.add_rules()->set_name(name);
    return policy;
  }
  int FewInForce() {
    const auto reply = harness_.Call<survey::v1::GetPolicyResponse>(
        absl::StrCat(kService, "/GetPolicy"), survey::v1::GetPolicyRequest());
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? reply->policy().few_answers_below() : -1;
  }

  std::shared_ptr<InUse> in_use_ = std::make_shared<InUse>();
  testing::ServiceHarness harness_;
  int requests_ = 0;
};

// One service through its life: what happens, and what is in force afterwards.
struct Step {
  enum Kind { kStart, kApply, kRestart } kind = kRestart;
  std::string built_in;                 // kStart
  std::optional<std::string> declared;  // kStart
  bool compares_only = false;           // kStart
  int few = 0;                          // kApply
  int64_t version = 0;
  int in_force = 0;
  bool is_refused = false, differs = false;
};

struct Life {
  std::string name;
  std::vector<Step> steps;
};

void PrintTo(const Life& life, std::ostream* out) { *out << life.name; }

std::vector<Life> Lives() {
  const auto start = [](std::string built_in, int64_t version, int in_force) {
    return Step{Step::kStart, std::move(built_in), {}, false, 0, version, in_force, false, false};
  };
  const auto declare = [](std::string text, int64_t version, int in_force,
                          bool is_refused = false) {
    return Step{Step::kStart,
                "few_answers_below: 1",
                std::move(text),
                false,
                0,
                version,
                in_force,
                is_refused,
                false};
  };
  const auto compare = [](std::string text, int64_t version, int in_force, bool differs) {
    return Step{
        Step::kStart, "few_answers_below: 1", std::move(text), true, 0, version, in_force, false,
        differs};
  };
  const auto apply = [](int few, int64_t version) {
    return Step{Step::kApply, "", {}, false, few, version, few, false, false};
  };
  const Step restart;
  const std::string one = "few_answers_below: 1", two = "few_answers_below: 2",
                    three = "few_answers_below: 3";
  return {
      {"the built-in policy is applied once", {start(one, 1, 1), restart, start(one, 1, 1)}},
      {"what a company applied stays", {start(one, 1, 1), apply(7, 2), restart, start(one, 2, 7)}},
      {"what a company applied stays, though it was built in once",
       {start(one, 1, 1), apply(7, 2), apply(1, 3), restart, start(one, 3, 1)}},
      {"an upgrade that changes the built-in policy changes nothing that is in force",
       {start(one, 1, 1), restart, start(two, 1, 1)}},
      {"a downgrade neither", {start(two, 1, 2), restart, start(one, 1, 2)}},
      {"a folder is applied where nothing was", {declare(two, 1, 2)}},
      {"an unchanged folder is applied once",
       {declare(two, 1, 2), restart, declare(two, 1, 2), restart, declare(two, 1, 2)}},
      {"an edited folder is a new version, to and fro",
       {declare(two, 1, 2), restart, declare(three, 2, 3), restart, declare(two, 3, 2), restart,
        declare(three, 4, 3), restart, declare(three, 4, 3)}},
      {"a folder takes over from what was applied by hand",
       {start(one, 1, 1), apply(7, 2), restart, declare(two, 3, 2)}},
      {"without its folder the last policy stays", {declare(two, 1, 2), restart, start(one, 1, 2)}},
      {"a file that cannot be read keeps what is in force, and goes when it is mended",
       {declare(two, 1, 2), restart, declare("few_answers: 3", 1, 2, true), restart,
        declare(three, 2, 3)}},
      {"a file that is not sound keeps what is in force",
       {declare(two, 1, 2), restart, declare("few_answers_below: 5000", 1, 2, true)}},
      {"a file that is refused at the first start leaves the built-in policy",
       {declare("few_answers_below: 5000", 1, 1, true), restart, declare(two, 2, 2)}},
      {"a server beside others applies where nothing was", {compare(two, 1, 2, false)}},
      {"a server beside others compares",
       {compare(two, 1, 2, false), restart, compare(three, 1, 2, true), restart,
        compare(two, 1, 2, false)}},
      {"an old server that starts again puts nothing back",
       {compare(two, 1, 2, false), declare(three, 2, 3), restart, compare(two, 2, 3, true), restart,
        compare(three, 2, 3, false)}},
  };
}

class PolicyLife : public PolicyTest, public ::testing::WithParamInterface<Life> {};

TEST_P(PolicyLife, LeavesInForceWhatItShould) {
  int number = 0;
  for (const Step& step : GetParam().steps) {
    SCOPED_TRACE(absl::StrCat(GetParam().name, ": step ", ++number));
    if (step.kind == Step::kRestart) {
      harness_.Restart();
      continue;
    }
    if (step.kind == Step::kApply) {
      const auto applied = Apply(Few(step.few));
      ASSERT_TRUE(applied.ok()) << applied.status();
      EXPECT_EQ(applied->version(), step.version);
    } else {
      PolicyStart start{.built_in = File(step.built_in, "built-in survey.yaml"),
                        .declared = {},
                        .compares_only = step.compares_only};
      if (step.declared.has_value()) start.declared = File(*step.declared);
      const StartedPolicy started = Begin(start);
      EXPECT_EQ(started.version, step.version);
      EXPECT_EQ(!started.refused.ok(), step.is_refused) << started.refused;
      EXPECT_EQ(!started.differs.ok(), step.differs) << started.differs;
      EXPECT_EQ(started.is_declared, step.declared.has_value());
    }
    EXPECT_EQ(FewInForce(), step.in_force);
  }
}

INSTANTIATE_TEST_SUITE_P(Lives, PolicyLife, ::testing::ValuesIn(Lives()),
                         [](const ::testing::TestParamInfo<Life>& life) {
                           std::string name;
                           for (const char c : life.param.name) {
                             name += absl::ascii_isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           }
                           return name;
                         });

TEST_F(PolicyTest, IsAppliedOnceByTwoProcessesThatStartAtOnce) {
  // Both have seen that nothing was applied before either applies.
  int asked = 0;
  std::function<void()> other;
  const CallMethod call = Call();
  const CallMethod first = [&](const std::string& method, corridor::MessagePtr request) {
    if (method == absl::StrCat(kService, "/ApplyPolicy") && asked++ == 0) other();
    return call(method, std::move(request));
  };
  const PolicyStart start{.built_in = File("few_answers_below: 1"),
                          .declared = File("few_answers_below: 2"),
                          .compares_only = true};
  StartedPolicy second;
  other = [&] { second = Begin(start); };
  const auto started = StartPolicy(start, first);
  ASSERT_TRUE(started.ok()) << started.status();
  EXPECT_EQ(started->version, 1);
  EXPECT_EQ(second.version, 1);
  EXPECT_THAT(harness_.Published<events::v1::PolicyApplied>(), SizeIs(1));
}

TEST_F(PolicyTest, OfAFolderThatCannotBeReadTakesNothing) {
  EXPECT_EQ(BeginDeclared("few_answers_below: 2").version, 1);
  const StartedPolicy started = Begin({.built_in = File("few_answers_below: 1"),
                                       .declared = absl::NotFoundError("no such folder")});
  EXPECT_TRUE(started.is_declared);
  EXPECT_EQ(started.version, 1);
  EXPECT_THAT(std::string(started.refused.message()), HasSubstr("no such folder"));
}

TEST_F(PolicyTest, IsNotSettledWhileTheServiceCannotAnswer) {
  const auto started = StartPolicy(
      {.built_in = File("few_answers_below: 1"), .declared = File("few_answers_below: 2")},
      [](const std::string&, corridor::MessagePtr) -> absl::StatusOr<corridor::MessagePtr> {
        return absl::UnavailableError("the database is away");
      });
  EXPECT_TRUE(absl::IsUnavailable(started.status())) << started.status();
}

TEST_F(PolicyTest, ThatDropsWhatIsInUseIsRefusedByName) {
  ASSERT_TRUE(Apply(WithRules({"a", "b", "c"})).ok());
  in_use_->insert({"a", "b"});
  const auto refused = Apply(WithRules({"b"}));
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("rule a is gone and is used by two"));
  const auto payload =
      refused.status().GetPayload("type.googleapis.com/google.rpc.PreconditionFailure");
  google::rpc::PreconditionFailure failure;
  ASSERT_TRUE(payload.has_value() && failure.ParseFromString(std::string(*payload)));
  ASSERT_EQ(failure.violations_size(), 1);
  EXPECT_EQ(failure.violations(0).type(), "rule_in_use");
  EXPECT_EQ(failure.violations(0).subject(), "a");
  // From a folder it is refused as well, and stops nothing.
  const StartedPolicy started = BeginDeclared("rules:\n  - {name: b}\n");
  EXPECT_EQ(started.version, 1);
  EXPECT_THAT(std::string(started.refused.message()), HasSubstr("rule a is gone"));
}

TEST_F(PolicyTest, IsLookedAheadAtWithoutBeingApplied) {
  ASSERT_TRUE(Apply(WithRules({"a", "b"})).ok());
  in_use_->insert("b");
  const auto looked = Apply(WithRules({"c"}), /*validate_only=*/true);
  ASSERT_TRUE(looked.ok()) << looked.status();
  EXPECT_EQ(looked->version(), 1);
  EXPECT_FALSE(looked->is_new());
  ASSERT_EQ(looked->effects_size(), 2);
  EXPECT_EQ(looked->effects(0).code(), "rule_in_use");  // what is refused comes first
  EXPECT_TRUE(IsRefused(looked->effects(0)));
  EXPECT_EQ(looked->effects(1).code(), "rule_gone");
  EXPECT_FALSE(IsRefused(looked->effects(1)));
  EXPECT_THAT(harness_.Published<events::v1::PolicyApplied>(), SizeIs(1));
  survey::v1::ValidatePolicyRequest validate;
  *validate.mutable_policy() = WithRules({"c"});
  const auto validated = harness_.Call<survey::v1::ValidatePolicyResponse>(
      absl::StrCat(kService, "/ValidatePolicy"), validate);
  ASSERT_TRUE(validated.ok()) << validated.status();
  EXPECT_EQ(validated->effects_size(), 2);
  // The same told when it is applied, where nothing is refused.
  in_use_->clear();
  const auto applied = Apply(WithRules({"b"}));
  ASSERT_TRUE(applied.ok()) << applied.status();
  ASSERT_EQ(applied->effects_size(), 1);
  EXPECT_EQ(applied->effects(0).subject(), "a");
}

TEST_F(PolicyTest, OfAFolderIsAppliedByNobodyElse) {
  BeginDeclared("few_answers_below: 2");
  DeclaredEndpoint door(&harness_.runtime());
  const auto ask = [&](const std::string& method, auto request) {
    absl::StatusOr<corridor::MessagePtr> answer = absl::UnavailableError("not answered");
    corridor::CallContext context;
    context.caller = "somebody";
    context.deadline = harness_.Now() + absl::Seconds(30);
    door.Call(context, corridor::FindMethod(absl::StrCat(kService, "/", method)),
              std::make_shared<const decltype(request)>(request),
              [&](absl::StatusOr<corridor::MessagePtr> reply) { answer = std::move(reply); });
    harness_.Settle();
    return answer.status();
  };
  survey::v1::ApplyPolicyRequest apply;
  apply.set_request_id("by-hand");
  *apply.mutable_policy() = Few(7);
  const absl::Status refused = ask("ApplyPolicy", apply);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--policies"));
  const auto payload = refused.GetPayload("type.googleapis.com/google.rpc.ErrorInfo");
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(payload.has_value() && info.ParseFromString(std::string(*payload)));
  EXPECT_EQ(info.reason(), "POLICY_DECLARED");
  EXPECT_EQ(FewInForce(), 2);
  // To ask what would be is no application, and reading goes on.
  apply.set_validate_only(true);
  EXPECT_TRUE(ask("ApplyPolicy", apply).ok());
  EXPECT_TRUE(ask("GetPolicy", survey::v1::GetPolicyRequest()).ok());
}

TEST_F(PolicyTest, ReportsWhatCannotBeReadAndWhatIsNotSoundAtOnce) {
  const auto checked = CheckPolicy(
      File("retry_for: soon\nfew_answers_below: 5000\nrules:\n  - {name: UP}\n  - {nmae: x}\n"),
      Call());
  EXPECT_EQ(std::string(checked.status().message()),
            "survey.yaml:1: retry_for: expected a duration such as 30m, 4h, 1h30m or 5d, found "
            "'soon'\n"
            "survey.yaml:5: rules[1]: unknown key 'nmae'; did you mean 'name'?\n"
            "survey.yaml:2: few_answers_below: 5000 is not within 0 to 1000\n"
            "survey.yaml:4: rules[0].name: must be 1 to 64 bytes of a-z 0-9 _ . -");
}

TEST_F(PolicyTest, StandsAsItIsWhenItIsLookedAtAgain) {
  metrics::Registry registry("test");
  auto log = std::make_shared<log::MemorySink>();
  log::Logger logger({.service = "test", .now = [this] { return harness_.Now(); }}, log);
  Standing standing(registry.In({{"service", "sample"}}));
  const auto reader = harness_.store().OpenReader();
  ASSERT_TRUE(reader.ok());

  BeginDeclared("few_answers_below: 2");
  standing.Began(BeginDeclared("few_answers_below: 3", /*compares_only=*/true), logger);
  EXPECT_TRUE(standing.is_declared());
  EXPECT_TRUE(absl::IsFailedPrecondition(standing.status())) << standing.status();
  EXPECT_THAT(registry.Text(),
              HasSubstr("tandem_policy_not_in_force{reason=\"differs\",service=\"sample\"} 1"));
  EXPECT_THAT(log->lines(), ::testing::Contains(HasSubstr("declared policy is not in force")));
  standing.Look(**reader);
  EXPECT_FALSE(standing.status().ok());
  // The migration of the rollout applies it.
  EXPECT_EQ(BeginDeclared("few_answers_below: 3").version, 2);
  standing.Look(**reader);
  EXPECT_TRUE(standing.status().ok()) << standing.status();
  EXPECT_THAT(registry.Text(),
              HasSubstr("tandem_policy_not_in_force{reason=\"differs\",service=\"sample\"} 0"));
  // And the next rollout's another one.
  EXPECT_EQ(BeginDeclared("few_answers_below: 4").version, 3);
  standing.Look(**reader);
  EXPECT_FALSE(standing.status().ok());

  standing.Began(BeginDeclared("few_answers_below: 5000"), logger);
  EXPECT_THAT(std::string(standing.status().message()), HasSubstr("version 3 stays in force"));
  EXPECT_THAT(registry.Text(),
              HasSubstr("tandem_policy_not_in_force{reason=\"refused\",service=\"sample\"} 1"));
}

}  // namespace
}  // namespace tandem::policy
