#include "services/survey/service.h"

#include <cstdlib>
#include <functional>
#include <string>
#include <utility>

#include "services/survey/commands.h"
#include "services/survey/letter.h"
#include "services/survey/migrations.h"
#include "services/survey/policy.h"
#include "services/survey/policy_effects.h"
#include "services/survey/queries.h"
#include "services/survey/reactions.h"
#include "services/survey/records.h"
#include "services/survey/survey_change.h"
#include "tandem/survey/v1/policy_service.pb.h"

namespace tandem::survey {
namespace {

using corridor::FiredTimer;
using corridor::Inputs;
using corridor::Readiness;
using corridor::View;
namespace ev = events::v1;
namespace sv = survey::v1;

using Done = absl::AnyInvocable<void(absl::Status)>;

std::string Method(const char* name) {
  return std::string("tandem.survey.v1.SurveyService/") + name;
}

}  // namespace

std::unique_ptr<corridor::ServiceDefinition> Make(const Options& options) {
  if (options.mailer == nullptr || options.token_keys == nullptr)
    std::abort();  // a program that was wired wrong
  auto service = std::make_unique<corridor::ServiceDefinition>("survey", SqliteSchema());
  // Shared by the functions bound below, so that it lives as long as they do.
  const auto policies = std::make_shared<const Policies>(
      kPolicyKind, options.built_in_policy.value_or(DefaultPolicy()), &Rules::Make, &WeighPolicy);
  const std::shared_ptr<const TokenKeys> keys = options.token_keys;

  service->OnCommand<sv::AnswerSurveyRequest>(
      Method("AnswerSurvey"), ValidateAnswerSurvey,
      [keys](const sv::AnswerSurveyRequest& request, const Inputs& in, View& view) {
        return AnswerSurvey(request, in, view, *keys);
      });
  service->OnCommand<sv::OptOutRequest>(
      Method("OptOut"), ValidateOptOut,
      [keys](const sv::OptOutRequest& request, const Inputs& in, View& view) {
        return OptOut(request, in, view, *keys);
      });
  service->OnCommand<sv::CloseFollowUpRequest>(Method("CloseFollowUp"), ValidateCloseFollowUp,
                                               CloseFollowUp);
  service->OnQuery<sv::GetInvitationRequest, sv::GetInvitationResponse>(
      Method("GetInvitation"), nullptr,
      [keys](const sv::GetInvitationRequest& request, const Inputs& in, View& view) {
        return GetInvitation(request, in, view, *keys);
      });
  service->OnQuery<sv::ListAnswersRequest, sv::ListAnswersResponse>(
      Method("ListAnswers"), ValidateListAnswers, ListAnswers);
  service->OnQuery<sv::GetScoresRequest, sv::GetScoresResponse>(
      Method("GetScores"), ValidateGetScores,
      [policies](const sv::GetScoresRequest& request, const Inputs& in, View& view) {
        return GetScores(request, in, view, *policies);
      });
  service->OnQuery<sv::ListFollowUpsRequest, sv::ListFollowUpsResponse>(
      Method("ListFollowUps"), ValidateListFollowUps, ListFollowUps);
  service->OnQuery<sv::ListSurveysRequest, sv::ListSurveysResponse>(
      Method("ListSurveys"), ValidateListSurveys, ListSurveys);
  // A ticket whose closing waits among the dead letters has no survey here yet. Whoever holds a
  // token is served all the same: what was asked does not change by it.
  service->RestsOn<sv::ListSurveysRequest>(
      Method("ListSurveys"),
      [](const sv::ListSurveysRequest& request) { return request.ticket_id(); });
  policies->Bind<sv::ValidatePolicyRequest, sv::ValidatePolicyResponse, sv::ApplyPolicyRequest,
                 sv::ApplyPolicyResponse, sv::GetPolicyRequest, sv::GetPolicyResponse,
                 sv::ListPoliciesRequest, sv::ListPoliciesResponse>(
      "tandem.survey.v1.PolicyService", *service);

  service->OnEvent<ev::TicketOpened>(OnTicketOpened);
  service->OnEvent<ev::TicketUpdated>(OnTicketUpdated);
  service->OnEvent<ev::TicketRequesterResolved>(OnTicketRequesterResolved);
  service->OnEvent<ev::TicketTriaged>(OnTicketTriaged);
  service->OnEvent<ev::SeverityChanged>(OnSeverityChanged);
  service->OnEvent<ev::TicketQueued>(OnTicketQueued);
  service->OnEvent<ev::TicketResolved>(
      [policies](const ev::TicketResolved& fact, const bus::Event& event, const Inputs& in,
                 View& view) { return OnTicketResolved(fact, event, in, view, *policies); });
  service->OnEvent<ev::TicketReopened>(OnTicketReopened);
  service->OnEvent<ev::TicketClosed>(
      [policies](const ev::TicketClosed& fact, const bus::Event& event, const Inputs& in,
                 View& view) { return OnTicketClosed(fact, event, in, view, *policies); });

  // Whether any of them still has something to do depends on whether the ticket was reopened.
  const auto ticket_of = [](const records::SurveyTimer& timer) { return timer.ticket_id(); };
  service->OnTimer<records::SurveyTimer>(kInvite, Readiness::kFactBound, OnInvite, ticket_of);
  service->OnTimer<records::SurveyTimer>(kRemind, Readiness::kFactBound, OnRemind, ticket_of);
  service->OnTimer<records::SurveyTimer>(kExpire, Readiness::kFactBound, OnExpire, ticket_of);

  const auto on_disk = [io = options.mail_executor](executor::Task task) {
    if (io == nullptr) {
      task();
    } else {
      io->Post(std::move(task));
    }
  };
  service->OnEffect<records::Delivery>(
      kDeliver,
      [mailer = options.mailer, keys, on_disk](
          const FiredTimer&, std::shared_ptr<const records::Delivery> delivery, Done done) {
        on_disk([mailer, keys, delivery = std::move(delivery), done = std::move(done)]() mutable {
          const std::string token = delivery->token().empty()
                                        ? keys->Make(delivery->survey_id(), delivery->ordinal())
                                        : delivery->token();
          done(mailer->Put(delivery->name(), WriteLetter(*delivery, token)));
        });
      },
      OnDelivered);
  service->OnEffect<records::Removal>(
      kRemove,
      [mailer = options.mailer, on_disk](
          const FiredTimer&, std::shared_ptr<const records::Removal> removal, Done done) {
        on_disk([mailer, removal = std::move(removal), done = std::move(done)]() mutable {
          absl::Status status;
          for (const std::string& name : removal->names()) status.Update(mailer->Remove(name));
          done(std::move(status));
        });
      },
      OnRemoved);
  for (corridor::ServiceDefinition::Measure& measure : Measures()) {
    service->Export(std::move(measure));
  }
  return service;
}

}  // namespace tandem::survey
