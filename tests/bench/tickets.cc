#include "tests/bench/tickets.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/time/stamp.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/sla/v1/sla_policy.pb.h"

namespace tandem::bench {
namespace {

constexpr int kAccountsOfLives = 1'000;

template <typename Body>
bus::Event EventOf(int64_t number, const std::string& key, absl::Time at, const Body& body) {
  bus::Event event;
  event.id = absl::StrCat("ev_", number);
  event.source = "ticket_intake";
  event.type = body.GetDescriptor()->full_name();
  event.subject = body.ticket_id();
  event.key = key;
  event.time = at;
  event.sequence = number + 1;
  event.cause = "bench";
  body.SerializeToString(&event.body);
  return event;
}

}  // namespace

std::string AccountOf(int number) { return absl::StrCat("acme-", number); }

account::v1::PutAccountRequest PutAccount(int number) {
  account::v1::PutAccountRequest request;
  request.set_request_id(absl::StrCat("bench-account-", number));
  request.mutable_account()->set_account_id(AccountOf(number));
  request.mutable_account()->set_display_name("Acme");
  request.mutable_account()->set_stage(type::v1::JOURNEY_STAGE_LOYALTY);
  request.mutable_account()->set_segment(type::v1::SEGMENT_MID);
  return request;
}

account::v1::PutContactRequest PutContact(int number) {
  account::v1::PutContactRequest request;
  request.set_request_id(absl::StrCat("bench-contact-", number));
  request.mutable_contact()->set_contact_id(absl::StrCat("contact-", number));
  request.mutable_contact()->set_account_id(AccountOf(number));
  request.mutable_contact()->set_level(type::v1::CONTACT_LEVEL_MEMBER);
  request.mutable_contact()->add_addresses(
      absl::StrCat("somebody@", AccountOf(number), ".example"));
  return request;
}

intake::v1::OpenTicketRequest OpenTicket(const std::string& request_id, int account) {
  intake::v1::OpenTicketRequest request;
  request.set_request_id(request_id);
  request.mutable_requester()->set_address(
      absl::StrCat("somebody@", AccountOf(account), ".example"));
  request.set_subject("The press stands still");
  request.set_text(std::string(200, 'x'));
  request.set_channel(type::v1::CHANNEL_API);
  request.set_product("press");
  request.set_category("outage");
  request.set_impact(type::v1::IMPACT_MEDIUM);
  request.set_urgency(type::v1::URGENCY_MEDIUM);
  return request;
}

std::vector<const google::protobuf::ServiceDescriptor*> KnownRequester::services() const {
  return {account::v1::ResolveRequesterRequest::descriptor()->file()->FindServiceByName(
      "AccountService")};
}

void KnownRequester::Call(const corridor::CallContext&, const google::protobuf::MethodDescriptor*,
                          corridor::MessagePtr, corridor::ReplyCallback done) {
  account::v1::ResolveRequesterResponse known;
  known.set_contact_id("contact-0");
  known.set_account_id(AccountOf(0));
  known.set_contact_level(type::v1::CONTACT_LEVEL_MEMBER);
  known.set_segment(type::v1::SEGMENT_MID);
  known.set_stage(type::v1::JOURNEY_STAGE_LOYALTY);
  done(corridor::MessagePtr(
      std::make_shared<const account::v1::ResolveRequesterResponse>(std::move(known))));
}

sla::v1::ApplyPolicyRequest OneDeadline(absl::Duration budget) {
  sla::v1::ApplyPolicyRequest request;
  request.set_request_id("one-deadline");
  sla::v1::SlaPolicy& policy = *request.mutable_policy();
  policy.set_applies_to(sla::v1::POLICY_SCOPE_NEW_TICKETS);
  policy.mutable_verification()->mutable_every()->set_seconds(60);
  policy.mutable_verification()->set_tickets(50);
  sla::v1::Calendar& always = *policy.add_calendars();
  always.set_name("always");
  always.set_zone("UTC");
  always.set_always_open(true);
  sla::v1::SlaRule& unclassified = *policy.add_rules();
  unclassified.set_name("unclassified");
  unclassified.mutable_when()->set_unclassified(true);
  sla::v1::SlaRule& rest = *policy.add_rules();
  rest.set_name("rest");
  for (const auto& [metric, due] :
       {std::pair{type::v1::SLA_METRIC_FIRST_RESPONSE, budget},
        std::pair{type::v1::SLA_METRIC_RESOLUTION, budget + absl::Hours(24)}}) {
    sla::v1::MetricBehaviour& behaviour = *policy.add_metrics();
    behaviour.set_metric(metric);
    behaviour.set_on_reopen(sla::v1::ON_CHANGE_KEEP);
    behaviour.set_on_change(sla::v1::ON_CHANGE_CARRY_OVER);
    behaviour.set_never_paused(true);
    for (sla::v1::SlaRule* rule : {&unclassified, &rest}) {
      sla::v1::SlaTarget& target = *rule->add_targets();
      target.set_metric(metric);
      *target.mutable_budget() = time::StampSpan(due);
      target.set_calendar("always");
    }
  }
  return request;
}

bus::Event Opened(int64_t number, absl::Time opened_at) {
  events::v1::TicketOpened body;
  body.set_ticket_id(absl::StrCat("tkt_", number));
  body.set_version(1);
  *body.mutable_occurred_at() = time::Stamp(opened_at);
  body.set_channel(type::v1::CHANNEL_API);
  return EventOf(number, body.ticket_id(), opened_at, body);
}

bus::Event OfALife(int64_t number, absl::Time begin) {
  const int64_t ticket = number / kEventsOfALife;
  const auto age = static_cast<int>(number % kEventsOfALife);
  const absl::Time at = begin + absl::Seconds(10) * age;
  const std::string account = AccountOf(static_cast<int>(ticket % kAccountsOfLives));
  const auto event = [&](auto body) {
    body.set_ticket_id(absl::StrCat("tkt_", ticket));
    body.set_account_id(account);
    body.set_version(age + 1);
    *body.mutable_occurred_at() = time::Stamp(at);
    return EventOf(number, account, at, body);
  };
  const auto message = [&](type::v1::AuthorKind author, const char* who) {
    events::v1::TicketMessageAdded body;
    body.set_message_id(absl::StrCat("msg_", number));
    body.set_author_kind(author);
    body.set_author_id(who);
    body.set_visibility(type::v1::VISIBILITY_PUBLIC);
    return event(body);
  };
  switch (age) {
    case 0: {
      events::v1::TicketOpened body;
      body.set_contact_id("contact-0");
      body.set_contact_level(type::v1::CONTACT_LEVEL_MEMBER);
      body.set_segment(type::v1::SEGMENT_MID);
      body.set_stage(type::v1::JOURNEY_STAGE_LOYALTY);
      body.set_channel(type::v1::CHANNEL_API);
      body.set_origin(type::v1::ORIGIN_CUSTOMER);
      return event(body);
    }
    case 1: {
      events::v1::TicketStateChanged body;
      body.set_from_state(type::v1::TICKET_STATE_NEW);
      body.set_to_state(type::v1::TICKET_STATE_OPEN);
      return event(body);
    }
    case 2:
      return message(type::v1::AUTHOR_KIND_AGENT, "agent-1");
    case 3:
      return message(type::v1::AUTHOR_KIND_REQUESTER, "contact-0");
    case 4: {
      events::v1::TicketResolved body;
      body.set_from_state(type::v1::TICKET_STATE_OPEN);
      body.set_resolved_by(type::v1::RESOLVED_BY_AGENT);
      body.set_assignee_id("agent-1");
      body.set_resolution_code("fixed");
      body.set_resolution(1);
      body.set_contact_id("contact-0");
      return event(body);
    }
    default: {
      events::v1::TicketClosed body;
      body.set_from_state(type::v1::TICKET_STATE_RESOLVED);
      body.set_reason(type::v1::CLOSE_REASON_CONFIRMED);
      body.set_resolution(1);
      body.set_contact_id("contact-0");
      return event(body);
    }
  }
}

}  // namespace tandem::bench
