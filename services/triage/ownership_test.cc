#include "services/triage/ownership.h"

#include <string>

#include "common/time/stamp.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace tandem::triage {
namespace {

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

constexpr char kPolicy[] = R"pb(
  queues { name: "desk" }
  product_skills { product: "db" skills: "sql" }
)pb";

records::StaffRecord Person(const std::string& staff) {
  records::StaffRecord record;
  *record.mutable_staff() = Parse<v1::Staff>(staff);
  record.mutable_staff()->set_active(true);
  record.mutable_staff()->set_available(true);
  return record;
}

constexpr char kWhole[] =
    R"(queues: "desk" skills: "sql" languages: "de" support_level: SUPPORT_LEVEL_L2)";

// A ticket that somebody who fitted it in all respects owns.
records::TicketRecord Owned(const Rules& rules) {
  auto ticket = Parse<records::TicketRecord>(R"pb(
    queue: "desk"
    support_level: SUPPORT_LEVEL_L2
    facts { product: "db" language: "de-AT" })pb");
  *ticket.mutable_owner_fit() = FitOf(ticket, Person(kWhole).staff(), rules);
  return ticket;
}

TEST(Ownership, EndsWithWhatItRestedOn) {
  const auto rules = Make(kPolicy);
  const struct {
    const char* staff;
    const char* reason;
  } cases[] = {
      {kWhole, ""},
      {R"(skills: "sql" languages: "de" support_level: SUPPORT_LEVEL_L2)", "queue_left"},
      {R"(queues: "desk" languages: "de" support_level: SUPPORT_LEVEL_L2)", "skill_lost"},
      {R"(queues: "desk" skills: "sql" languages: "fr" support_level: SUPPORT_LEVEL_L2)",
       "language_lost"},
      // Who names no language speaks any.
      {R"(queues: "desk" skills: "sql" support_level: SUPPORT_LEVEL_L3)", ""},
      {R"(queues: "desk" skills: "sql" languages: "de")", "level_lost"},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(ReleaseReason(Owned(*rules), Person(one.staff), *rules, absl::UnixEpoch()),
              one.reason)
        << one.staff;
  }
  records::StaffRecord gone = Person(kWhole);
  gone.mutable_staff()->set_active(false);
  EXPECT_EQ(ReleaseReason(Owned(*rules), gone, *rules, absl::UnixEpoch()), "staff_inactive");
}

TEST(Ownership, GivenByAPersonDoesNotEndForWhatTheOwnerNeverBrought) {
  const auto rules = Make(kPolicy);
  records::TicketRecord ticket = Owned(*rules);
  *ticket.mutable_owner_fit() = FitOf(ticket, Person("").staff(), *rules);
  EXPECT_EQ(ReleaseReason(ticket, Person(""), *rules, absl::UnixEpoch()), "");
  // Written by a version that did not note it.
  ticket.clear_owner_fit();
  EXPECT_EQ(ReleaseReason(ticket, Person(""), *rules, absl::UnixEpoch()), "");
}

TEST(Ownership, OutlastsAnAbsenceForAsLongAsThePolicySays) {
  const absl::Time away = absl::FromUnixSeconds(1'000'000);
  records::StaffRecord person = Person(kWhole);
  person.mutable_staff()->set_available(false);
  *person.mutable_away_since() = time::Stamp(away);
  const auto reason = [&](const std::string& policy, absl::Duration absent) {
    const auto rules = Make(kPolicy + policy);
    return ReleaseReason(Owned(*rules), person, *rules, away + absent);
  };
  EXPECT_EQ(reason("", absl::Hours(24) - absl::Microseconds(1)), "");
  EXPECT_EQ(reason("", absl::Hours(24)), "staff_unavailable");
  EXPECT_EQ(reason("release_unavailable_after { seconds: 3600 }", absl::Hours(1)),
            "staff_unavailable");
  EXPECT_EQ(reason("release_unavailable_after {}", absl::Hours(24 * 300)), "");
}

}  // namespace
}  // namespace tandem::triage
