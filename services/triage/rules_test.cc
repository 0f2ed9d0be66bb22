#include "services/triage/rules.h"

#include <tuple>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace tandem::triage {
namespace {

using namespace type::v1;  // NOLINT
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

template <typename M>
M Parse(const std::string& text) {
  M message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

std::shared_ptr<const Rules> Make(const std::string& text) {
  corridor::Violations violations;
  auto rules = Rules::Make(Parse<v1::TriagePolicy>(text), violations);
  EXPECT_TRUE(violations.ok()) << violations.status();
  return rules;
}

Classification Classify(const Rules& rules, const std::string& facts,
                        std::set<std::string> text_matches = {}) {
  return rules.Classify(Parse<v1::TicketFacts>(facts), text_matches, SEVERITY_UNSPECIFIED);
}

absl::Time At(const std::string& text) {
  absl::Time at;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, text, &at, &error)) << error;
  return at;
}

TEST(SeverityMatrix, IsTheProducts) {
  const auto rules = Make("");
  const std::vector<std::tuple<Impact, Urgency, Severity>> cells = {
      {IMPACT_HIGH, URGENCY_HIGH, SEVERITY_CRITICAL},
      {IMPACT_HIGH, URGENCY_MEDIUM, SEVERITY_URGENT},
      {IMPACT_MEDIUM, URGENCY_HIGH, SEVERITY_URGENT},
      {IMPACT_HIGH, URGENCY_LOW, SEVERITY_NORMAL},
      {IMPACT_MEDIUM, URGENCY_MEDIUM, SEVERITY_NORMAL},
      {IMPACT_LOW, URGENCY_HIGH, SEVERITY_NORMAL},
      {IMPACT_MEDIUM, URGENCY_LOW, SEVERITY_GENERAL},
      {IMPACT_LOW, URGENCY_MEDIUM, SEVERITY_GENERAL},
      {IMPACT_LOW, URGENCY_LOW, SEVERITY_GENERAL},
      {IMPACT_UNSPECIFIED, URGENCY_UNSPECIFIED, SEVERITY_NORMAL},  // missing = MEDIUM
      {IMPACT_HIGH, URGENCY_UNSPECIFIED, SEVERITY_URGENT},
      {IMPACT_UNSPECIFIED, URGENCY_LOW, SEVERITY_GENERAL},
  };
  for (const auto& [impact, urgency, severity] : cells) {
    v1::TicketFacts facts;
    facts.set_impact(impact);
    facts.set_urgency(urgency);
    EXPECT_EQ(rules->Classify(facts, {}, SEVERITY_UNSPECIFIED).severity, severity)
        << Impact_Name(impact) << " x " << Urgency_Name(urgency);
  }
}

TEST(SeverityMatrix, IsChangedByThePolicy) {
  const auto rules =
      Make("matrix { impact: IMPACT_LOW urgency: URGENCY_LOW severity: SEVERITY_NORMAL }");
  EXPECT_EQ(Classify(*rules, "impact: IMPACT_LOW urgency: URGENCY_LOW").severity, SEVERITY_NORMAL);
}

constexpr char kRules[] = R"pb(
  severity_rules {
    name: "security"
    when { categories: "security" }
    raise: 1
  }
  severity_rules {
    name: "frustrated"
    when { frustrated: true }
    raise: 1
  }
  severity_rules {
    name: "trial"
    when { segments: SEGMENT_SMALL }
    lower: 3
  }
  severity_rules {
    name: "outage_words"
    text_patterns: "(?i)\\beverything is down\\b"
    fix: SEVERITY_CRITICAL
  }
)pb";

TEST(SeverityRules, ApplyOneAfterAnotherAndAreCited) {
  const auto rules = Make(kRules);
  const Classification made = Classify(*rules, R"(category: "security" frustrated: true)");
  EXPECT_EQ(made.severity, SEVERITY_CRITICAL);  // NORMAL, raised twice
  EXPECT_THAT(made.Cited(), ElementsAre("matrix", "security", "frustrated"));
  ASSERT_EQ(made.steps.size(), 5u);
  EXPECT_EQ(made.steps[0].severity(), SEVERITY_NORMAL);
  EXPECT_EQ(made.steps[1].severity(), SEVERITY_URGENT);
  EXPECT_FALSE(made.steps[3].matched());
}

TEST(SeverityRules, StopAtTheEndsOfTheScale) {
  const auto rules = Make(kRules);
  EXPECT_EQ(Classify(*rules, R"(impact: IMPACT_HIGH urgency: URGENCY_HIGH category: "security")")
                .severity,
            SEVERITY_CRITICAL);
  EXPECT_EQ(Classify(*rules, "segment: SEGMENT_SMALL").severity, SEVERITY_GENERAL);
}

TEST(SeverityRules, LookAtTheTextByItsMatches) {
  const auto rules = Make(kRules);
  EXPECT_TRUE(rules->NeedsText());
  EXPECT_FALSE(Make("")->NeedsText());
  EXPECT_THAT(rules->TextMatches("Help! Everything is DOWN since noon."),
              ElementsAre("outage_words"));
  EXPECT_THAT(rules->TextMatches("A question"), IsEmpty());
  EXPECT_EQ(Classify(*rules, "", {"outage_words"}).severity, SEVERITY_CRITICAL);
  EXPECT_EQ(Classify(*rules, "").severity, SEVERITY_NORMAL);
}

TEST(ContactLevel, AloneNeverLowersAMembersTicket) {
  corridor::Violations violations;
  EXPECT_EQ(Rules::Make(Parse<v1::TriagePolicy>(R"(
    severity_rules { name: "members" when { contact_levels: CONTACT_LEVEL_MEMBER } lower: 1 })"),
                        violations),
            nullptr);
  EXPECT_THAT(std::string(violations.status().message()), HasSubstr("MEMBER"));
  // Fixing to a lower class is lowering, too.
  const auto rules = Make(R"(
    severity_rules { name: "fixed"
                     when { contact_levels: [CONTACT_LEVEL_MEMBER, CONTACT_LEVEL_OWNER] }
                     fix: SEVERITY_GENERAL })");
  const Classification member = Classify(*rules, "contact_level: CONTACT_LEVEL_MEMBER");
  EXPECT_EQ(member.severity, SEVERITY_NORMAL);
  EXPECT_THAT(member.steps[1].note(), HasSubstr("MEMBER"));
  EXPECT_EQ(Classify(*rules, "").severity, SEVERITY_NORMAL);  // not said = MEMBER
  EXPECT_EQ(Classify(*rules, "contact_level: CONTACT_LEVEL_OWNER").severity, SEVERITY_GENERAL);
}

TEST(ContactLevel, WithAnotherConditionMayLowerAMembersTicket) {
  const auto rules = Make(R"(
    severity_rules { name: "chatter"
                     when { contact_levels: CONTACT_LEVEL_MEMBER channels: CHANNEL_CHAT } lower: 1 })");
  EXPECT_EQ(Classify(*rules, "channel: CHANNEL_CHAT").severity, SEVERITY_GENERAL);
}

TEST(Routing, TakesTheFirstRuleThatMatches) {
  const auto rules = Make(R"pb(
    queues { name: "desk" }
    queues { name: "databases" }
    queues { name: "fire" }
    routing {
      name: "critical"
      when { severities: SEVERITY_CRITICAL }
      queue: "fire"
    }
    routing {
      name: "db"
      when { products: [ "db", "cache" ] }
      queue: "databases"
    }
    support_levels {
      name: "deep"
      when { products: "db" tags: "kernel" }
      level: SUPPORT_LEVEL_L3
    }
    support_levels {
      name: "tagged"
      when { tags: "kernel" }
      level: SUPPORT_LEVEL_L2
    }
  )pb");
  Classification made = Classify(*rules, R"(product: "db" tags: ["a", "kernel"])");
  EXPECT_EQ(made.queue, "databases");
  EXPECT_EQ(made.routing_rule, "db");
  EXPECT_EQ(made.support_level, SUPPORT_LEVEL_L3);
  EXPECT_THAT(made.Cited(), ElementsAre("matrix", "deep", "db"));
  made = Classify(*rules, R"(product: "db" impact: IMPACT_HIGH urgency: URGENCY_HIGH)");
  EXPECT_EQ(made.queue, "fire");
  EXPECT_EQ(made.support_level, SUPPORT_LEVEL_L1);
  EXPECT_EQ(Classify(*rules, R"(tags: "kernel")").support_level, SUPPORT_LEVEL_L2);
  EXPECT_EQ(Classify(*rules, "").queue, "desk");
  // A severity set by hand routes, too.
  EXPECT_EQ(rules->Classify({}, {}, SEVERITY_CRITICAL).queue, "fire");
}

TEST(WaitingRise, CountsTheQueuesOpenHours) {
  const auto rules = Make(R"pb(
    calendars {
      name: "desk"
      zone: "UTC"
      weekly {
        days: [
          DAY_OF_WEEK_MONDAY,
          DAY_OF_WEEK_TUESDAY,
          DAY_OF_WEEK_WEDNESDAY,
          DAY_OF_WEEK_THURSDAY,
          DAY_OF_WEEK_FRIDAY
        ]
        start: "09:00"
        end: "17:00"
      }
    }
    queues { name: "desk" calendar: "desk" }
  )pb");
  // A Friday noon.
  const absl::Time since = At("2026-11-27T12:00:00Z");
  EXPECT_THAT(rules->RiseInstants("desk", SEVERITY_GENERAL, since),
              ElementsAre(At("2026-11-30T12:00:00Z"), At("2026-12-01T12:00:00Z")));
  EXPECT_THAT(rules->RiseInstants("desk", SEVERITY_NORMAL, since),
              ElementsAre(At("2026-11-30T12:00:00Z")));
  EXPECT_THAT(rules->RiseInstants("desk", SEVERITY_URGENT, since), IsEmpty());
  EXPECT_THAT(rules->RiseInstants("desk", SEVERITY_CRITICAL, since), IsEmpty());
  EXPECT_THAT(Make("rise_after {}")->RiseInstants("support", SEVERITY_GENERAL, since), IsEmpty());
}

TEST(ImpactScore, IsScaledToThePartsThatAreKnown) {
  const auto rules = Make("");
  EXPECT_EQ(rules->ImpactScore(0, 0), 0);
  EXPECT_EQ(rules->ImpactScore(100, 5), 100);
  EXPECT_EQ(rules->ImpactScore(100'000, 50), 100);
  EXPECT_EQ(rules->ImpactScore(100, 0), 57);
  EXPECT_EQ(rules->ImpactScore(0, 5), 42);
  EXPECT_EQ(rules->ImpactBand(70), 2);
  EXPECT_EQ(rules->ImpactBand(69), 1);
  EXPECT_EQ(rules->ImpactBand(40), 1);
  EXPECT_EQ(rules->ImpactBand(39), 0);
}

TEST(EscalationPolicies, FitByTriggerSeverityAndContactLevel) {
  const auto rules = Make(R"pb(
    escalations {
      name: "executives"
      contact_levels: CONTACT_LEVEL_EXECUTIVE
      levels {
        targets { counterparts: true }
        acknowledge_within { seconds: 600 }
      }
    }
    escalations {
      name: "critical"
      severities: SEVERITY_CRITICAL
      triggers: ESCALATION_TRIGGER_SEVERITY
      levels {
        targets { role: STAFF_ROLE_SUPPORT_LEAD }
        acknowledge_within { seconds: 600 }
      }
    }
  )pb");
  const auto name = [&](v1::EscalationTrigger trigger, Severity severity, ContactLevel level) {
    const v1::EscalationPolicy* policy = rules->EscalationFor(trigger, severity, level);
    return policy == nullptr ? std::string("none") : policy->name();
  };
  EXPECT_EQ(name(v1::ESCALATION_TRIGGER_SEVERITY, SEVERITY_CRITICAL, CONTACT_LEVEL_MEMBER),
            "critical");
  EXPECT_EQ(name(v1::ESCALATION_TRIGGER_SEVERITY, SEVERITY_CRITICAL, CONTACT_LEVEL_EXECUTIVE),
            "executives");
  EXPECT_EQ(name(v1::ESCALATION_TRIGGER_SLA_BREACH, SEVERITY_CRITICAL, CONTACT_LEVEL_MEMBER),
            "none");
  EXPECT_EQ(name(v1::ESCALATION_TRIGGER_SEVERITY, SEVERITY_URGENT, CONTACT_LEVEL_UNSPECIFIED),
            "none");
}

TEST(AcknowledgementTimeout, IsElapsedForCriticalAndUrgentAndOpenTimeOtherwise) {
  const auto rules = Make(R"pb(
    calendars {
      name: "desk"
      zone: "UTC"
      weekly {
        days: [ DAY_OF_WEEK_FRIDAY, DAY_OF_WEEK_MONDAY ]
        start: "09:00"
        end: "17:00"
      }
    }
    queues { name: "desk" calendar: "desk" }
    escalations {
      name: "any"
      levels {
        targets { assignee: true }
        acknowledge_within { seconds: 3600 }
      }
    }
  )pb");
  const v1::EscalationPolicy* any =
      rules->EscalationFor(v1::ESCALATION_TRIGGER_MANUAL, SEVERITY_NORMAL, CONTACT_LEVEL_MEMBER);
  ASSERT_NE(any, nullptr);
  const absl::Time friday = At("2026-11-27T16:30:00Z");
  EXPECT_EQ(rules->After(*any, SEVERITY_CRITICAL, "desk", friday, absl::Hours(1)),
            friday + absl::Hours(1));
  EXPECT_EQ(rules->After(*any, SEVERITY_NORMAL, "desk", friday, absl::Hours(1)),
            At("2026-11-30T09:30:00Z"));
}

TEST(TriagePolicy, NamesEveryProblem) {
  corridor::Violations violations;
  EXPECT_EQ(Rules::Make(Parse<v1::TriagePolicy>(R"pb(
                          matrix { impact: IMPACT_HIGH }
                          severity_rules { name: "a" text_patterns: "(" }
                          severity_rules { name: "a" raise: 4 }
                          queues { name: "desk" calendar: "nowhere" }
                          routing { name: "r" queue: "elsewhere" }
                          capacity_weights { severity: SEVERITY_URGENT units: 101 }
                          escalations { name: "e" repeats: 11 }
                          calendars { name: "bad" zone: "Nowhere/Town" }
                        )pb"),
                        violations),
            nullptr);
  const std::string problems(violations.status().message());
  for (const char* problem :
       {"matrix[0].urgency", "severity_rules[0].text_patterns", "severity_rules[0]: needs",
        "severity_rules[1].name", "severity_rules[1].raise", "queues[0].calendar",
        "routing[0].queue", "capacity_weights[0].units", "escalations[0].levels",
        "escalations[0].repeats", "calendars[0].zone"}) {
    EXPECT_THAT(problems, HasSubstr(problem));
  }
}

}  // namespace
}  // namespace tandem::triage
