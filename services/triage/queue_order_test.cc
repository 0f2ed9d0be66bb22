#include "services/triage/queue_order.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::triage {
namespace {

using namespace type::v1;  // NOLINT
using ::testing::ElementsAre;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

Waiting Ticket(const std::string& id, Severity severity) {
  Waiting ticket;
  ticket.ticket_id = id;
  ticket.severity = severity;
  ticket.opened_at = kNow - absl::Hours(1);
  ticket.units = 1;
  return ticket;
}

std::vector<std::string> Order(std::vector<Waiting> queue) {
  SortQueue(queue, kNow);
  std::vector<std::string> ids;
  for (const Waiting& ticket : queue) ids.push_back(ticket.ticket_id);
  return ids;
}

TEST(QueueOrder, IsBySeverityFirst) {
  EXPECT_THAT(Order({Ticket("general", SEVERITY_GENERAL), Ticket("critical", SEVERITY_CRITICAL),
                     Ticket("normal", SEVERITY_NORMAL), Ticket("urgent", SEVERITY_URGENT)}),
              ElementsAre("critical", "urgent", "normal", "general"));
}

TEST(QueueOrder, ThenByImpactBandThenDueThenAge) {
  Waiting impact = Ticket("impact", SEVERITY_NORMAL);
  impact.impact_band = 2;
  Waiting due = Ticket("due", SEVERITY_NORMAL);
  due.due = kNow + absl::Minutes(10);
  Waiting later = Ticket("due_later", SEVERITY_NORMAL);
  later.due = kNow + absl::Minutes(20);
  Waiting old = Ticket("old", SEVERITY_NORMAL);
  old.opened_at = kNow - absl::Hours(5);
  EXPECT_THAT(
      Order({Ticket("b", SEVERITY_NORMAL), Ticket("a", SEVERITY_NORMAL), old, later, due, impact}),
      ElementsAre("impact", "due", "due_later", "old", "a", "b"));
}

TEST(QueueOrder, RisesByWaitingAtMostToUrgent) {
  const std::vector<absl::Time> rises = {kNow - absl::Hours(2), kNow};
  EXPECT_EQ(EffectiveSeverity(SEVERITY_GENERAL, rises, kNow - absl::Hours(3)), SEVERITY_GENERAL);
  EXPECT_EQ(EffectiveSeverity(SEVERITY_GENERAL, rises, kNow - absl::Hours(1)), SEVERITY_NORMAL);
  EXPECT_EQ(EffectiveSeverity(SEVERITY_GENERAL, rises, kNow), SEVERITY_URGENT);
  EXPECT_EQ(EffectiveSeverity(SEVERITY_URGENT, rises, kNow), SEVERITY_URGENT);
  Waiting waited = Ticket("waited", SEVERITY_GENERAL);
  waited.rises = rises;
  EXPECT_THAT(
      Order({Ticket("normal", SEVERITY_NORMAL), waited, Ticket("critical", SEVERITY_CRITICAL)}),
      ElementsAre("critical", "waited", "normal"));
}

v1::Staff Agent() {
  v1::Staff staff;
  staff.add_skills("db");
  staff.add_languages("de");
  staff.add_languages("en-GB");
  staff.set_support_level(SUPPORT_LEVEL_L2);
  staff.set_capacity(4);
  return staff;
}

TEST(Claim, NeedsEverySkillOfTheProduct) {
  Waiting ticket = Ticket("t", SEVERITY_NORMAL);
  ticket.skills = {"db"};
  EXPECT_EQ(WhyNot(ticket, Agent(), 0), Misfit::kNone);
  ticket.skills = {"db", "linux"};
  EXPECT_EQ(WhyNot(ticket, Agent(), 0), Misfit::kSkill);
}

TEST(Claim, NeedsTheLanguageWhateverItsRegion) {
  Waiting ticket = Ticket("t", SEVERITY_NORMAL);
  ticket.language = "en-US";
  EXPECT_EQ(WhyNot(ticket, Agent(), 0), Misfit::kNone);
  ticket.language = "fr";
  EXPECT_EQ(WhyNot(ticket, Agent(), 0), Misfit::kLanguage);
  v1::Staff anyone = Agent();
  anyone.clear_languages();
  EXPECT_EQ(WhyNot(ticket, anyone, 0), Misfit::kNone);
}

TEST(Claim, NeedsTheSupportLevelOrADeeperOne) {
  Waiting ticket = Ticket("t", SEVERITY_NORMAL);
  ticket.support_level = SUPPORT_LEVEL_L2;
  EXPECT_EQ(WhyNot(ticket, Agent(), 0), Misfit::kNone);
  ticket.support_level = SUPPORT_LEVEL_L3;
  EXPECT_EQ(WhyNot(ticket, Agent(), 0), Misfit::kLevel);
  v1::Staff unsaid = Agent();
  unsaid.clear_support_level();
  ticket.support_level = SUPPORT_LEVEL_L1;
  EXPECT_EQ(WhyNot(ticket, unsaid, 0), Misfit::kNone);
}

TEST(Claim, StaysWithinTheCapacity) {
  Waiting ticket = Ticket("t", SEVERITY_URGENT);
  ticket.units = 2;
  EXPECT_EQ(WhyNot(ticket, Agent(), 2), Misfit::kNone);
  EXPECT_EQ(WhyNot(ticket, Agent(), 3), Misfit::kCapacity);
  v1::Staff unlimited = Agent();
  unlimited.set_capacity(0);
  EXPECT_EQ(WhyNot(ticket, unlimited, 1000), Misfit::kNone);
}

Refusal Refused(std::initializer_list<Misfit> why, int64_t parked = 0) {
  Refusal refusal;
  refusal.parked = parked;
  refusal.waiting = static_cast<int64_t>(why.size()) + parked;
  for (const Misfit one : why) refusal.Count(one);
  return refusal;
}

TEST(RefusedClaim, SaysWhatStandsInTheWay) {
  EXPECT_EQ(Refused({}).Text(0, 8), "nothing waits");
  EXPECT_EQ(Refused({}).Word(), "nothing_waits");
  EXPECT_EQ(Refused({Misfit::kCapacity, Misfit::kCapacity}).Text(8, 8),
            "at capacity (8 of 8 units)");
  EXPECT_EQ(Refused({Misfit::kCapacity}).Text(7, 8),
            "1 needs more room than is left (7 of 8 units)");
  EXPECT_EQ(Refused({Misfit::kSkill, Misfit::kSkill, Misfit::kLanguage}).Text(0, 8),
            "2 need a skill that is missing; 1 needs another language");
  EXPECT_EQ(Refused({Misfit::kLevel}, 2).Text(0, 8),
            "1 needs a deeper support level; 2 are held back by dead letters");
}

TEST(RefusedClaim, IsOneWordForAProgram) {
  EXPECT_EQ(Refused({Misfit::kSkill, Misfit::kCapacity, Misfit::kSkill}).Word(), "at_capacity");
  EXPECT_EQ(Refused({Misfit::kSkill, Misfit::kLanguage, Misfit::kSkill}).Word(), "no_skill");
  EXPECT_EQ(Refused({Misfit::kLanguage}).Word(), "no_language");
  EXPECT_EQ(Refused({Misfit::kLevel}).Word(), "support_level");
  EXPECT_EQ(Refused({}, 1).Word(), "parked");
}

}  // namespace
}  // namespace tandem::triage
