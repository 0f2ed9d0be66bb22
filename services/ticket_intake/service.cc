#include "services/ticket_intake/service.h"

#include <string>
#include <utility>

#include "services/ticket_intake/commands.h"
#include "services/ticket_intake/migrations.h"
#include "services/ticket_intake/policies.h"
#include "services/ticket_intake/queries.h"
#include "services/ticket_intake/reactions.h"
#include "services/ticket_intake/records.h"
#include "services/ticket_intake/ticket_change.h"
#include "tandem/intake/v1/policy_service.pb.h"

namespace tandem::ticket_intake {
namespace {

using corridor::Inputs;
using corridor::View;
namespace ev = events::v1;
namespace iv = intake::v1;

std::string Method(const char* name) {
  return std::string("tandem.intake.v1.TicketService/") + name;
}

}  // namespace

std::unique_ptr<corridor::ServiceDefinition> Make(const Options& options) {
  auto service = std::make_unique<corridor::ServiceDefinition>("ticket_intake", SqliteSchema());
  // Shared by the functions bound below, so that it lives as long as they do.
  const auto policies =
      std::make_shared<const Policies>("intake", options.built_in_policy, &Rules::Make);

  service->OnCommand<iv::OpenTicketRequest>(
      Method("OpenTicket"), ValidateOpenTicket,
      [policies](const iv::OpenTicketRequest& request, const Inputs& in, View& view) {
        return OpenTicket(request, in, view, *policies);
      });
  service->OnCommand<iv::AddMessageRequest>(
      Method("AddMessage"), ValidateAddMessage,
      [policies](const iv::AddMessageRequest& request, const Inputs& in, View& view) {
        return AddMessage(request, in, view, *policies);
      });
  service->OnCommand<iv::UpdateTicketRequest>(
      Method("UpdateTicket"), ValidateUpdateTicket,
      [policies](const iv::UpdateTicketRequest& request, const Inputs& in, View& view) {
        return UpdateTicket(request, in, view, *policies);
      });
  service->OnCommand<iv::ConfirmProblemRequest>(Method("ConfirmProblem"), ValidateConfirmProblem,
                                                ConfirmProblem);
  service->OnCommand<iv::ResolveTicketRequest>(
      Method("ResolveTicket"), ValidateResolveTicket,
      [policies](const iv::ResolveTicketRequest& request, const Inputs& in, View& view) {
        return ResolveTicket(request, in, view, *policies);
      });
  service->OnCommand<iv::ReopenTicketRequest>(Method("ReopenTicket"), ValidateReopenTicket,
                                              ReopenTicket);
  service->OnCommand<iv::CloseTicketRequest>(
      Method("CloseTicket"), ValidateCloseTicket,
      [policies](const iv::CloseTicketRequest& request, const Inputs& in, View& view) {
        return CloseTicket(request, in, view, *policies);
      });
  service->OnQuery<iv::GetTicketRequest, iv::GetTicketResponse>(Method("GetTicket"),
                                                                ValidateGetTicket, GetTicket);
  service->OnQuery<iv::ListTicketsRequest, iv::ListTicketsResponse>(
      Method("ListTickets"), ValidateListTickets, ListTickets);
  // A person's resolution is credited to whom triage published as the assignee. Nothing else that
  // is asked here rests on the bus: the ticket is intake's own.
  service->RestsOn<iv::ResolveTicketRequest>(
      Method("ResolveTicket"), [](const iv::ResolveTicketRequest& request) {
        return request.resolved_by() == type::v1::RESOLVED_BY_SELF_SERVICE ? std::string()
                                                                           : request.ticket_id();
      });
  policies->Bind<iv::ValidatePolicyRequest, iv::ValidatePolicyResponse, iv::ApplyPolicyRequest,
                 iv::ApplyPolicyResponse, iv::GetPolicyRequest, iv::GetPolicyResponse,
                 iv::ListPoliciesRequest, iv::ListPoliciesResponse>(
      "tandem.intake.v1.PolicyService", *service);

  service->OnEvent<ev::TicketTriaged>(OnTicketTriaged);
  service->OnEvent<ev::SeverityChanged>(OnSeverityChanged);
  service->OnEvent<ev::TicketQueued>(OnTicketQueued);
  service->OnEvent<ev::AssignmentAccepted>(OnAssignmentAccepted);
  service->OnEvent<ev::AssignmentReleased>(OnAssignmentReleased);
  service->OnEvent<ev::RequesterAssigned>(OnRequesterAssigned);
  service->OnEvent<ev::StaffChanged>(OnStaffChanged);
  service->OnEvent<ev::ContactChanged>(OnContactChanged);
  service->OnEvent<ev::AccountRegistered>(OnAccountRegistered);
  service->OnEvent<ev::JourneyAdvanced>(OnJourneyAdvanced);

  for (corridor::ServiceDefinition::Measure& measure : Measures()) {
    service->Export(std::move(measure));
  }

  // Both depend on intake's own state alone, so neither waits for the bus.
  service->OnTimer<records::AutoCloseTimer>(std::string(kAutoClose), corridor::Readiness::kWhenDue,
                                            OnAutoClose);
  service->OnTimer<records::RequesterTimer>(
      std::string(kResolveRequester), corridor::Readiness::kWhenDue,
      [policies](const corridor::FiredTimer& timer, const records::RequesterTimer& payload,
                 const Inputs& in,
                 View& view) { return OnResolveRequester(timer, payload, in, view, *policies); });
  return service;
}

}  // namespace tandem::ticket_intake
