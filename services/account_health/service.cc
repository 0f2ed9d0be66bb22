#include "services/account_health/service.h"

#include <map>
#include <string>
#include <utility>

#include "services/account_health/account_commands.h"
#include "services/account_health/commands_work.h"
#include "services/account_health/health_commands.h"
#include "services/account_health/migrations.h"
#include "services/account_health/outreach_commands.h"
#include "services/account_health/policy.h"
#include "services/account_health/policy_effects.h"
#include "services/account_health/reactions.h"
#include "services/account_health/records.h"
#include "tandem/account/v1/policy_service.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/sla.pb.h"
#include "tandem/events/v1/survey.pb.h"
#include "tandem/events/v1/triage.pb.h"

namespace tandem::account_health {
namespace {

using corridor::Decision;
using corridor::Inputs;
using corridor::View;

// Whom an event is about, as it says itself.
struct Named {
  std::string ticket_id, account_id;
};
template <typename E>
Named NamedBy(const E& event) {
  if constexpr (requires { event.clock(); }) {
    return {event.clock().ticket_id(), event.clock().account_id()};
  } else if constexpr (requires { event.survey(); }) {
    return {event.survey().ticket_id(), event.survey().account_id()};
  } else if constexpr (requires { event.account_id(), event.ticket_id(); }) {
    return {event.ticket_id(), event.account_id()};
  } else if constexpr (requires { event.account_id(); }) {
    return {"", event.account_id()};
  } else {
    return {};
  }
}

// By event type: the account that a body names; empty when nobody can read it.
using AccountReaders = std::map<std::string, std::string (*)(const std::string& body), std::less<>>;

// Binds functions to names, and nothing else.
class Binder {
 public:
  Binder(corridor::ServiceDefinition& definition, std::shared_ptr<const Policies> policies)
      : definition_(&definition), policies_(std::move(policies)) {}

  const AccountReaders& account_readers() const { return account_readers_; }

  template <typename Request>
  void Command(const std::string& method,
               absl::StatusOr<Decision> (*decide)(const Request&, const Call&)) {
    definition_->OnCommand<Request>(
        method, [](const Request& request) { return Validate(request); },
        [policies = policies_, decide](const Request& request, const Inputs& in, View& view) {
          return decide(request, Call{*policies, in, view});
        });
  }

  // What a repeated request is answered, by how things stand then.
  template <typename Request, typename Response>
  void Repeat(const std::string& method,
              absl::StatusOr<Response> (*answer)(const Request&, const Response&, const Call&)) {
    definition_->OnRepeat<Request, Response>(
        method, [policies = policies_, answer](const Request& request, const Response& remembered,
                                               const Inputs& in, View& view) {
          return answer(request, remembered, Call{*policies, in, view});
        });
  }

  template <typename Request, typename Response>
  void Query(const std::string& method,
             absl::StatusOr<Response> (*answer)(const Request&, const Call&)) {
    definition_->OnQuery<Request, Response>(
        method, [](const Request& request) { return Validate(request); },
        [policies = policies_, answer](const Request& request, const Inputs& in, View& view) {
          return answer(request, Call{*policies, in, view});
        });
  }

  template <typename E>
  void Event(Decided (*decide)(const E&, const EventCall&)) {
    Read<E>();
    definition_->OnEvent<E>([policies = policies_, decide](const E& event,
                                                           const bus::Event& envelope,
                                                           const Inputs& in, View& view) {
      return decide(event, EventCall{*policies, envelope, in, view});
    });
  }

  // An event that is an entry of the timeline and nothing more.
  template <typename E>
  void NotedEvent() {
    Read<E>();
    definition_->OnEvent<E>([policies = policies_](const E& event, const bus::Event& envelope,
                                                   const Inputs& in, View& view) {
      const Named named = NamedBy(event);
      return NoteOnTimeline(named.ticket_id, named.account_id,
                            EventCall{*policies, envelope, in, view});
    });
  }

  template <typename Payload>
  void Timer(const std::string& kind, Decided (*decide)(const corridor::FiredTimer&, const Payload&,
                                                        const Policies&, const Inputs&, View&)) {
    definition_->OnTimer<Payload>(
        kind, corridor::Readiness::kWhenDue,
        [policies = policies_, decide](const corridor::FiredTimer& timer, const Payload& payload,
                                       const Inputs& in, View& view) {
          return decide(timer, payload, *policies, in, view);
        });
  }

 private:
  template <typename E>
  void Read() {
    account_readers_[std::string(E::descriptor()->full_name())] = [](const std::string& body) {
      E event;
      return event.ParseFromString(body) ? NamedBy(event).account_id : std::string();
    };
  }

  AccountReaders account_readers_;
  corridor::ServiceDefinition* definition_;
  std::shared_ptr<const Policies> policies_;
};

}  // namespace

std::unique_ptr<corridor::ServiceDefinition> Make(const Options& options) {
  auto definition = std::make_unique<corridor::ServiceDefinition>(kServiceName, SqliteSchema());
  const std::shared_ptr<const Policies> policies =
      MakePolicies(options.built_in_policy, WeighPolicy, BeginPolicyWalk);
  Binder bind(*definition, policies);

  const std::string account = "tandem.account.v1.AccountService/";
  bind.Command(account + "PutAccount", PutAccount);
  bind.Query(account + "GetAccount", GetAccount);
  bind.Query(account + "ListAccounts", ListAccounts);
  bind.Command(account + "PutContact", PutContact);
  bind.Query(account + "GetContact", GetContact);
  bind.Query(account + "ListContacts", ListContacts);
  bind.Command(account + "ResolveRequester", ResolveRequester);
  bind.Command(account + "AssignRequester", AssignRequester);
  bind.Query(account + "ListUnresolvedRequesters", ListUnresolvedRequesters);
  bind.Command(account + "PutAccountTeam", PutAccountTeam);
  bind.Query(account + "GetAccountTeam", GetAccountTeam);
  bind.Query(account + "ListCounterparts", ListCounterparts);
  bind.Command(account + "AdvanceJourney", AdvanceJourney);
  bind.Query(account + "GetTimeline", GetTimeline);

  const std::string health = "tandem.account.v1.HealthService/";
  bind.Query(health + "GetHealth", GetHealth);
  bind.Query(health + "ExplainHealth", ExplainHealth);
  bind.Query(health + "ListHealth", ListHealth);

  const std::string outreach = "tandem.account.v1.OutreachService/";
  bind.Command(outreach + "CheckOutreach", CheckOutreach);
  bind.Repeat(outreach + "CheckOutreach", CheckOutreachAgain);
  bind.Query(outreach + "GetClearance", GetClearance);
  bind.Command(outreach + "ReleaseClearance", ReleaseClearance);
  bind.Command(outreach + "RecordTouch", RecordTouch);
  bind.Query(outreach + "ListTouches", ListTouches);
  bind.Query(outreach + "ListClearances", ListClearances);
  bind.Command(outreach + "GrantOutreachException", GrantOutreachException);
  // The roles of who grants are facts of that staff member; the accounts' facts are covered by the
  // hold of a parked account.
  definition->RestsOn<account::v1::GrantOutreachExceptionRequest>(
      outreach + "GrantOutreachException",
      [](const account::v1::GrantOutreachExceptionRequest& request) { return request.staff_id(); });
  bind.Query(outreach + "ProveOutreach", ProveOutreach);
  bind.Query(outreach + "ListHolds", ListHolds);

  policies->Bind<account::v1::ValidatePolicyRequest, account::v1::ValidatePolicyResponse,
                 account::v1::ApplyPolicyRequest, account::v1::ApplyPolicyResponse,
                 account::v1::GetPolicyRequest, account::v1::GetPolicyResponse,
                 account::v1::ListPoliciesRequest, account::v1::ListPoliciesResponse>(
      "tandem.account.v1.PolicyService", *definition);

  bind.Event(OnTicketOpened);
  bind.Event(OnTicketRequesterResolved);
  bind.Event(OnTicketUpdated);
  bind.Event(OnTicketMessageAdded);
  bind.Event(OnTicketResolved);
  bind.Event(OnTicketReopened);
  bind.Event(OnTicketClosed);
  bind.Event(OnTicketTriaged);
  bind.Event(OnSeverityChanged);
  bind.Event(OnSlaBreached);
  bind.Event(OnSlaVerdictCorrected);
  bind.Event(OnSurveyInvited);
  bind.Event(OnSurveyAnswered);
  bind.Event(OnSurveyWithdrawn);
  bind.Event(OnSurveyFollowUpRequested);
  bind.Event(OnSurveyFollowUpClosed);
  bind.Event(OnSurveyOptedOut);
  bind.Event(OnStaffChanged);
  bind.NotedEvent<events::v1::TicketStateChanged>();
  bind.NotedEvent<events::v1::TicketContextRequested>();
  bind.NotedEvent<events::v1::TicketContextSupplied>();
  bind.NotedEvent<events::v1::TicketQueued>();
  bind.NotedEvent<events::v1::AssignmentAccepted>();
  bind.NotedEvent<events::v1::AssignmentReleased>();
  bind.NotedEvent<events::v1::EscalationRaised>();
  bind.NotedEvent<events::v1::EscalationLevelReached>();
  bind.NotedEvent<events::v1::EscalationAcknowledged>();
  bind.NotedEvent<events::v1::EscalationExhausted>();
  bind.NotedEvent<events::v1::EscalationClosed>();
  bind.NotedEvent<events::v1::SlaClockStarted>();
  bind.NotedEvent<events::v1::SlaClockPaused>();
  bind.NotedEvent<events::v1::SlaClockResumed>();
  bind.NotedEvent<events::v1::SlaWarning>();
  bind.NotedEvent<events::v1::SlaMet>();
  bind.NotedEvent<events::v1::SlaStopped>();
  bind.NotedEvent<events::v1::SlaCancelled>();
  bind.NotedEvent<events::v1::SurveyReminded>();
  bind.NotedEvent<events::v1::SurveyExpired>();
  bind.NotedEvent<events::v1::SurveySuppressed>();

  definition->OnParking([policies, readers = bind.account_readers()](
                            const bus::Event& event, bool parked, const Inputs& in, View& view) {
    const auto reader = readers.find(event.type);
    const std::string named = reader == readers.end() ? "" : reader->second(event.body);
    return OnParking(event, parked, named, *policies, in, view);
  });

  for (corridor::ServiceDefinition::Measure& measure : Measures()) {
    definition->Export(std::move(measure));
  }

  bind.Timer("decay", OnDecay);
  bind.Timer("policy_walk", OnPolicyWalk);
  bind.Timer("staff_left", OnStaffLeft);
  bind.Timer("settle_domain", OnSettleDomain);
  bind.Timer("index_addresses", OnIndexAddresses);
  return definition;
}

}  // namespace tandem::account_health
