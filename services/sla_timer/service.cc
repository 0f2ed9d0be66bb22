#include "services/sla_timer/service.h"

#include <string>
#include <utility>

#include "services/sla_timer/calendars.h"
#include "services/sla_timer/migrations.h"
#include "services/sla_timer/policy_effects.h"
#include "services/sla_timer/queries.h"
#include "services/sla_timer/reactions.h"
#include "services/sla_timer/records.h"
#include "services/sla_timer/ticket_clocks.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tandem/sla/v1/policy_service.pb.h"

namespace tandem::sla_timer {
namespace {

using corridor::Inputs;
using corridor::View;
using Definition = corridor::ServiceDefinition;
using PoliciesPtr = std::shared_ptr<const Policies>;

template <typename E>
void On(Definition& definition, const PoliciesPtr& policies,
        absl::StatusOr<corridor::Decision> (*react)(const E&, const Context&)) {
  definition.OnEvent<E>(
      [policies, react](const E& event, const bus::Event& envelope, const Inputs& in, View& view) {
        return react(event, Context{*policies, envelope, in, view});
      });
}

template <typename Request, typename Response>
void Answer(Definition& definition, const PoliciesPtr& policies, const char* method,
            absl::Status (*validate)(const Request&),
            absl::StatusOr<Response> (*answer)(const Request&, const Policies&, const Inputs&,
                                               View&)) {
  definition.OnQuery<Request, Response>(
      method, validate, [policies, answer](const Request& request, const Inputs& in, View& view) {
        return answer(request, *policies, in, view);
      });
}

template <typename Request>
void RestsOnTicket(Definition& definition, const char* method) {
  definition.RestsOn<Request>(method, [](const Request& request) { return request.ticket_id(); });
}

void BindClocks(Definition& definition, const PoliciesPtr& policies) {
  Answer(definition, policies, "tandem.sla.v1.SlaService/GetTicketSla", ValidateGetTicketSla,
         GetTicketSla);
  Answer(definition, policies, "tandem.sla.v1.SlaService/ListAtRisk", ValidateListAtRisk,
         ListAtRisk);
  Answer(definition, policies, "tandem.sla.v1.SlaService/ExplainClock", ValidateExplainClock,
         ExplainClock);
  Answer(definition, policies, "tandem.sla.v1.SlaService/RecomputeTicket", ValidateRecomputeTicket,
         RecomputeTicket);
  Answer(definition, policies, "tandem.sla.v1.SlaService/VerifyClocks", ValidateVerifyClocks,
         VerifyClocks);
  Answer(definition, policies, "tandem.sla.v1.SlaService/GetSlaReport", ValidateGetSlaReport,
         GetSlaReport);
  // A ticket's clocks are judged from its facts; lists and reports stay open to what they have.
  RestsOnTicket<sla::v1::GetTicketSlaRequest>(definition, "tandem.sla.v1.SlaService/GetTicketSla");
  RestsOnTicket<sla::v1::ExplainClockRequest>(definition, "tandem.sla.v1.SlaService/ExplainClock");
  RestsOnTicket<sla::v1::RecomputeTicketRequest>(definition,
                                                 "tandem.sla.v1.SlaService/RecomputeTicket");
}

// What callers name before its events are here.
void BindFollowed(Definition& definition) {
  definition.Follows<intake::v1::GetTicketRequest>("ticket",
                                                   "tandem.intake.v1.TicketService/GetTicket");
}

void BindCalendars(Definition& definition, const PoliciesPtr& policies) {
  Answer(definition, policies, "tandem.sla.v1.CalendarService/GetCalendar", ValidateGetCalendar,
         GetCalendar);
  Answer(definition, policies, "tandem.sla.v1.CalendarService/ListCalendars", ValidateListCalendars,
         ListCalendars);
  Answer(definition, policies, "tandem.sla.v1.CalendarService/AddBusinessTime",
         ValidateAddBusinessTime, AddBusinessTime);
  Answer(definition, policies, "tandem.sla.v1.CalendarService/SubtractBusinessTime",
         ValidateSubtractBusinessTime, SubtractBusinessTime);
  Answer(definition, policies, "tandem.sla.v1.CalendarService/BusinessTimeBetween",
         ValidateBusinessTimeBetween, BusinessTimeBetween);
  Answer(definition, policies, "tandem.sla.v1.CalendarService/NextOpening", ValidateNextOpening,
         NextOpening);
  Answer(definition, policies, "tandem.sla.v1.CalendarService/ListIntervals", ValidateListIntervals,
         ListIntervals);
}

void BindEvents(Definition& definition, const PoliciesPtr& policies) {
  On(definition, policies, OnOpened);
  On(definition, policies, OnUpdated);
  On(definition, policies, OnRequesterResolved);
  On(definition, policies, OnMessageAdded);
  On(definition, policies, OnStateChanged);
  On(definition, policies, OnResolved);
  On(definition, policies, OnReopened);
  On(definition, policies, OnClosed);
  On(definition, policies, OnTriaged);
  On(definition, policies, OnSeverityChanged);
  On(definition, policies, OnAssignmentAccepted);
}

void BindTimers(Definition& definition, const PoliciesPtr& policies, int sweep_tickets) {
  definition.OnTimer<records::ClockTimer>(
      std::string(kClockTimer), corridor::Readiness::kFactBound,
      [policies](const corridor::FiredTimer& timer, const records::ClockTimer& payload,
                 const Inputs& in,
                 View& view) { return OnClockTimer(timer, payload, *policies, in, view); },
      [](const records::ClockTimer& payload) { return payload.ticket_id(); });
  definition.OnTimer<records::PolicySweep>(
      std::string(kSweepTimer), corridor::Readiness::kWhenDue,
      [policies, sweep_tickets](const corridor::FiredTimer&, const records::PolicySweep& payload,
                                const Inputs& in, View& view) {
        return OnSweepTimer(payload, sweep_tickets, *policies, in, view);
      });
  definition.OnTimer<records::VerifyTimer>(
      std::string(kVerifyTimer), corridor::Readiness::kWhenDue,
      [policies](const corridor::FiredTimer&, const records::VerifyTimer&, const Inputs& in,
                 View& view) { return OnVerifyTimer(*policies, in, view); });
}

}  // namespace

std::unique_ptr<Definition> Make(Options options) {
  auto definition = std::make_unique<Definition>(std::string(kServiceName), SqliteSchema());
  const auto policies = std::make_shared<const Policies>(
      "sla", std::move(options.policy), &SlaRules::Make, &WeighPolicy, &OnPolicyApplied);
  BindClocks(*definition, policies);
  BindFollowed(*definition);
  BindCalendars(*definition, policies);
  BindEvents(*definition, policies);
  BindTimers(*definition, policies, options.sweep_tickets);
  policies->Bind<sla::v1::ValidatePolicyRequest, sla::v1::ValidatePolicyResponse,
                 sla::v1::ApplyPolicyRequest, sla::v1::ApplyPolicyResponse,
                 sla::v1::GetPolicyRequest, sla::v1::GetPolicyResponse,
                 sla::v1::ListPoliciesRequest, sla::v1::ListPoliciesResponse>(
      "tandem.sla.v1.PolicyService", *definition);
  for (Definition::Measure& measure : Measures()) definition->Export(std::move(measure));
  return definition;
}

}  // namespace tandem::sla_timer
