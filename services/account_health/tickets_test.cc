#include "services/account_health/tickets.h"

#include <string>

#include "gtest/gtest.h"
#include "services/account_health/holds.h"

namespace tandem::account_health {
namespace {

using records::TicketRecord;
using type::v1::TicketState;

TicketRecord Ticket(TicketState state, const std::string& account_id = "acme") {
  TicketRecord ticket;
  ticket.set_ticket_id("t1");
  ticket.set_account_id(account_id);
  ticket.set_severity(type::v1::SEVERITY_CRITICAL);
  ticket.set_state(state);
  return ticket;
}

TEST(ATicket, IsAnIssueOfItsAccountUntilItIsResolved) {
  for (const TicketState state : {type::v1::TICKET_STATE_NEW, type::v1::TICKET_STATE_OPEN,
                                  type::v1::TICKET_STATE_PENDING, type::v1::TICKET_STATE_ON_HOLD}) {
    EXPECT_TRUE(IssueOf(Ticket(state)).has_value()) << type::v1::TicketState_Name(state);
    EXPECT_FALSE(IssueOf(Ticket(state, "")).has_value()) << type::v1::TicketState_Name(state);
    EXPECT_TRUE(IsUnattributed(Ticket(state, ""))) << type::v1::TicketState_Name(state);
  }
  for (const TicketState state : {type::v1::TICKET_STATE_RESOLVED, type::v1::TICKET_STATE_CLOSED,
                                  type::v1::TICKET_STATE_MERGED}) {
    EXPECT_FALSE(IssueOf(Ticket(state)).has_value()) << type::v1::TicketState_Name(state);
    EXPECT_FALSE(IsUnattributed(Ticket(state, ""))) << type::v1::TicketState_Name(state);
  }
}

TEST(ATicket, ThatIsInternalSpamOrMergedSaysNothingAboutItsAccount) {
  TicketRecord internal = Ticket(type::v1::TICKET_STATE_OPEN);
  internal.set_internal(true);
  TicketRecord spam = Ticket(type::v1::TICKET_STATE_CLOSED);
  spam.set_spam(true);
  const TicketRecord merged = Ticket(type::v1::TICKET_STATE_MERGED);
  for (TicketRecord ticket : {internal, spam, merged}) {
    EXPECT_TRUE(IsLeftOut(ticket));
    EXPECT_FALSE(IssueOf(ticket).has_value());
    AddReopening(ticket, absl::FromUnixSeconds(1'800'000'000));
    records::HealthRecord health;
    CountTicket(health, ticket, 1, account::v1::HealthPolicy::default_instance());
    EXPECT_EQ(health.unresolved_size(), 0);
    EXPECT_EQ(health.reopened_size(), 0);
  }
  EXPECT_FALSE(IsLeftOut(Ticket(type::v1::TICKET_STATE_RESOLVED)));
}

TEST(ATicket, SuspectedToBeSpamIsAnIssueThatHoldsNothing) {
  TicketRecord ticket = Ticket(type::v1::TICKET_STATE_OPEN);
  ticket.set_suspected_spam(true);
  EXPECT_FALSE(IsLeftOut(ticket));
  ASSERT_TRUE(IssueOf(ticket).has_value());
  EXPECT_NE(IssueOf(ticket)->flags() & kSuspected, 0u);
  ticket.clear_account_id();
  EXPECT_FALSE(IsUnattributed(ticket));
}

TEST(ATicket, MissesACycleOnce) {
  TicketRecord ticket = Ticket(type::v1::TICKET_STATE_OPEN);
  const absl::Time at = absl::FromUnixSeconds(1'800'000'000);
  const auto metric = type::v1::SLA_METRIC_RESOLUTION;
  EXPECT_TRUE(AddBreach(ticket, metric, 1, at));
  EXPECT_FALSE(AddBreach(ticket, metric, 1, at + absl::Seconds(1)));
  EXPECT_TRUE(AddBreach(ticket, metric, 2, at));
  EXPECT_TRUE(AddBreach(ticket, type::v1::SLA_METRIC_FIRST_RESPONSE, 1, at));
  EXPECT_EQ(ticket.breaches_size(), 3);
  EXPECT_TRUE(DropBreach(ticket, metric, 1));
  EXPECT_FALSE(DropBreach(ticket, metric, 1));
  EXPECT_EQ(ticket.breaches_size(), 2);
}

}  // namespace
}  // namespace tandem::account_health
