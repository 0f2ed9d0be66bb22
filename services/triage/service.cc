#include "services/triage/service.h"

#include <functional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/triage/commands.h"
#include "services/triage/migrations.h"
#include "services/triage/policies.h"
#include "services/triage/policy_effects.h"
#include "services/triage/queries.h"
#include "services/triage/reactions.h"
#include "services/triage/records.h"
#include "services/triage/ticket_case.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tandem/triage/v1/policy_service.pb.h"

namespace tandem::triage {
namespace {

using corridor::Inputs;
using corridor::ServiceDefinition;
using corridor::View;
using PoliciesPtr = std::shared_ptr<const Policies>;
namespace ev = events::v1;

constexpr char kTriage[] = "tandem.triage.v1.TriageService/";
constexpr char kStaff[] = "tandem.triage.v1.StaffService/";

// Each of these binds a function that needs the policy in force.
template <typename Request>
void Command(ServiceDefinition& service, const std::string& method,
             absl::Status (*validate)(const Request&),
             CommandResult (*decide)(const Request&, const Inputs&, View&, const Policies&),
             const PoliciesPtr& policies) {
  service.OnCommand<Request>(
      method, validate, [decide, policies](const Request& request, const Inputs& in, View& view) {
        return decide(request, in, view, *policies);
      });
}
template <typename Request, typename Response>
void Query(ServiceDefinition& service, const std::string& method,
           absl::Status (*validate)(const Request&),
           absl::StatusOr<Response> (*answer)(const Request&, const Inputs&, View&,
                                              const Policies&),
           const PoliciesPtr& policies) {
  service.OnQuery<Request, Response>(
      method, validate, [answer, policies](const Request& request, const Inputs& in, View& view) {
        return answer(request, in, view, *policies);
      });
}
template <typename Fact>
void Event(ServiceDefinition& service,
           ReactionResult (*decide)(const Fact&, const bus::Event&, const Inputs&, View&,
                                    const Policies&),
           const PoliciesPtr& policies) {
  service.OnEvent<Fact>(
      [decide, policies](const Fact& fact, const bus::Event& event, const Inputs& in, View& view) {
        return decide(fact, event, in, view, *policies);
      });
}
template <typename Payload>
void Timer(ServiceDefinition& service, std::string_view kind, corridor::Readiness readiness,
           ReactionResult (*decide)(const corridor::FiredTimer&, const Payload&, const Inputs&,
                                    View&, const Policies&),
           const PoliciesPtr& policies,
           std::function<std::string(const Payload&)> subject_of = nullptr) {
  service.OnTimer<Payload>(
      std::string(kind), readiness,
      [decide, policies](const corridor::FiredTimer& timer, const Payload& payload,
                         const Inputs& in,
                         View& view) { return decide(timer, payload, in, view, *policies); },
      std::move(subject_of));
}

// Whether the ticket is open, whose it is and how severe: the answer is what intake and sla_timer
// published about it.
template <typename Request>
void RestsOnTicket(ServiceDefinition& service, const char* method) {
  service.RestsOn<Request>(absl::StrCat(kTriage, method),
                           [](const Request& request) { return request.ticket_id(); });
}

}  // namespace

std::unique_ptr<ServiceDefinition> Make(const Options& options) {
  auto made = std::make_unique<ServiceDefinition>("triage", SqliteSchema());
  ServiceDefinition& service = *made;
  // Shared by the functions bound below, so that it lives as long as they do.
  const auto policies = std::make_shared<const Policies>("triage", options.built_in_policy,
                                                         &Rules::Make, &WeighPolicy);

  service.OnQuery<v1::ClassifyTicketRequest, v1::ClassifyTicketResponse>(
      std::string(kTriage) + "ClassifyTicket", ValidateClassifyTicket,
      [policies](const v1::ClassifyTicketRequest& request, const Inputs&, View& view) {
        return ClassifyTicket(request, view, *policies);
      });
  service.OnQuery<v1::GetTriageRequest, v1::GetTriageResponse>(std::string(kTriage) + "GetTriage",
                                                               ValidateGetTriage, GetTriage);
  Command(service, std::string(kTriage) + "OverrideSeverity", ValidateOverrideSeverity,
          OverrideSeverity, policies);
  Query(service, std::string(kTriage) + "ListQueues", ValidateListQueues, ListQueues, policies);
  Query(service, std::string(kTriage) + "GetQueueLoad", ValidateGetQueueLoad, GetQueueLoad,
        policies);
  Command(service, std::string(kTriage) + "ClaimNext", ValidateClaimNext, ClaimNext, policies);
  Command(service, std::string(kTriage) + "AcceptAssignment", ValidateAcceptAssignment,
          AcceptAssignment, policies);
  Command(service, std::string(kTriage) + "ReassignTicket", ValidateReassignTicket, ReassignTicket,
          policies);
  Command(service, std::string(kTriage) + "TransferTicket", ValidateTransferTicket, TransferTicket,
          policies);
  Command(service, std::string(kTriage) + "Escalate", ValidateEscalate, Escalate, policies);
  Command(service, std::string(kTriage) + "AcknowledgeEscalation", ValidateAcknowledgeEscalation,
          AcknowledgeEscalation, policies);
  service.OnQuery<v1::GetEscalationRequest, v1::GetEscalationResponse>(
      std::string(kTriage) + "GetEscalation", ValidateGetEscalation, GetEscalation);
  service.OnQuery<v1::ListEscalationsRequest, v1::ListEscalationsResponse>(
      std::string(kTriage) + "ListEscalations", ValidateListEscalations, ListEscalations);

  // A ticket that has just been opened is known here when its event has come.
  service.Follows<intake::v1::GetTicketRequest>("ticket",
                                                "tandem.intake.v1.TicketService/GetTicket");
  RestsOnTicket<v1::ClassifyTicketRequest>(service, "ClassifyTicket");
  RestsOnTicket<v1::GetTriageRequest>(service, "GetTriage");
  RestsOnTicket<v1::OverrideSeverityRequest>(service, "OverrideSeverity");
  RestsOnTicket<v1::AcceptAssignmentRequest>(service, "AcceptAssignment");
  RestsOnTicket<v1::ReassignTicketRequest>(service, "ReassignTicket");
  RestsOnTicket<v1::TransferTicketRequest>(service, "TransferTicket");
  RestsOnTicket<v1::EscalateRequest>(service, "Escalate");
  RestsOnTicket<v1::ListEscalationsRequest>(service, "ListEscalations");

  Command(service, std::string(kStaff) + "PutStaff", ValidatePutStaff, PutStaff, policies);
  Query(service, std::string(kStaff) + "GetStaff", ValidateGetStaff, GetStaff, policies);
  Query(service, std::string(kStaff) + "ListStaff", ValidateListStaff, ListStaff, policies);
  Command(service, std::string(kStaff) + "SetAvailability", ValidateSetAvailability,
          SetAvailability, policies);
  policies->Bind<v1::ValidatePolicyRequest, v1::ValidatePolicyResponse, v1::ApplyPolicyRequest,
                 v1::ApplyPolicyResponse, v1::GetPolicyRequest, v1::GetPolicyResponse,
                 v1::ListPoliciesRequest, v1::ListPoliciesResponse>(
      "tandem.triage.v1.PolicyService", service);

  Event(service, OnTicketOpened, policies);
  Event(service, OnTicketUpdated, policies);
  Event(service, OnTicketRequesterResolved, policies);
  Event(service, OnTicketMessageAdded, policies);
  Event(service, OnTicketResolved, policies);
  Event(service, OnTicketClosed, policies);
  Event(service, OnTicketReopened, policies);
  Event(service, OnSlaWarning, policies);
  Event(service, OnSlaBreached, policies);
  service.OnEvent<ev::SlaClockStarted>(OnSlaClockStarted);
  service.OnEvent<ev::SlaClockPaused>(OnSlaClockPaused);
  service.OnEvent<ev::SlaClockResumed>(OnSlaClockResumed);
  service.OnEvent<ev::SlaMet>(OnSlaMet);
  service.OnEvent<ev::SlaStopped>(OnSlaStopped);
  service.OnEvent<ev::SlaCancelled>(OnSlaCancelled);
  Event(service, OnSlaVerdictCorrected, policies);

  service.OnParking(OnParking);

  // Whether anybody is still to be rung depends on the resolution, which comes by the bus.
  Timer(service, kEscalationTimer, corridor::Readiness::kFactBound, OnEscalationTimer, policies,
        {[](const records::EscalationTimer& payload) { return payload.ticket_id(); }});
  Timer(service, kTextTimer, corridor::Readiness::kWhenDue, OnTextTimer, policies);
  Timer(service, kStaffTimer, corridor::Readiness::kWhenDue, OnStaffTimer, policies);
  // A ticket that is resolved keeps its owner, and the resolution comes by the bus.
  Timer(service, kReleaseTimer, corridor::Readiness::kFactBound, OnReleaseTimer, policies,
        {[](const records::ReleaseTimer& payload) { return payload.ticket_id(); }});
  for (ServiceDefinition::Measure& measure : Measures()) service.Export(std::move(measure));
  return made;
}

}  // namespace tandem::triage
