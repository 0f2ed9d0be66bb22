#include "services/survey/commands.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/corridor/errors.h"
#include "common/time/stamp.h"
#include "services/survey/follow_up.h"
#include "services/survey/invitation.h"
#include "services/survey/records.h"
#include "services/survey/scale.h"
#include "services/survey/survey_change.h"
#include "services/survey/token.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/triage/v1/staff_service.pb.h"

namespace tandem::survey {
namespace {

using corridor::Decision;
using corridor::Inputs;
using corridor::Loaded;
using corridor::View;
using corridor::Violations;
using records::FollowUpRecord;
using records::SurveyRecord;
namespace ev = events::v1;
namespace sv = survey::v1;

constexpr size_t kMaxTextBytes = 4096;
constexpr int32_t kMaxRevisions = 100;

bool SaysTheSame(const sv::Answer& answer, const sv::AnswerSurveyRequest& request) {
  return answer.score() == request.score() && answer.text() == request.text() &&
         std::equal(answer.reasons().begin(), answer.reasons().end(), request.reasons().begin(),
                    request.reasons().end());
}

void RequestFollowUp(SurveyChange& change, const Inputs& in, Decision& decision) {
  const std::string follow_up_id = in.ids->Next("fup");
  FollowUpRecord record;
  sv::FollowUp& follow_up = *record.mutable_follow_up();
  follow_up.set_follow_up_id(follow_up_id);
  follow_up.set_survey_id(change.id());
  follow_up.set_kind(change.survey().kind());
  follow_up.set_account_id(change.survey().account_id());
  follow_up.set_contact_id(change.survey().contact_id());
  follow_up.set_ticket_id(change.survey().ticket_id());
  follow_up.set_assignee_id(change.survey().assignee_id());
  follow_up.set_score(change.survey().score());
  *follow_up.mutable_requested_at() = time::Stamp(change.at());
  decision.Insert(FollowUps(), follow_up_id, std::move(record));
  change.record().set_open_follow_up_id(follow_up_id);
  ev::SurveyFollowUpRequested requested;
  requested.set_follow_up_id(follow_up_id);
  requested.set_score(change.survey().score());
  change.Publish(std::move(requested));
}

// Ends the survey's open follow-up, which was loaded as `record`.
void EndFollowUp(SurveyChange& change, FollowUpRecord record, sv::FollowUpOutcome outcome,
                 const std::string& staff_id, const std::string& note, Decision& decision) {
  const std::string follow_up_id = record.follow_up().follow_up_id();
  record.mutable_follow_up()->set_outcome(outcome);
  record.mutable_follow_up()->set_closed_by_staff_id(staff_id);
  record.mutable_follow_up()->set_note(note);
  *record.mutable_follow_up()->mutable_closed_at() = time::Stamp(change.at());
  decision.Save(FollowUps(), follow_up_id, std::move(record));
  change.record().clear_open_follow_up_id();
  ev::SurveyFollowUpClosed closed;
  closed.set_follow_up_id(follow_up_id);
  closed.set_outcome(std::string(OutcomeKey(outcome)));
  change.Publish(std::move(closed));
}

// OK when triage says that this staff works here, or when it has to be asked first.
absl::Status NameStaff(const std::string& staff_id, const Inputs& in, Decision& decision) {
  const std::string name = absl::StrCat("staff:", staff_id);
  if (!in.answers->Has(name)) {
    auto request = std::make_shared<triage::v1::GetStaffRequest>();
    request->set_staff_id(staff_id);
    decision.Ask({name, "tandem.triage.v1.StaffService/GetStaff", std::move(request)});
    return absl::OkStatus();
  }
  const auto reply = in.answers->Get<triage::v1::GetStaffResponse>(name);
  if (absl::IsNotFound(reply.status())) return corridor::NotFound("staff", staff_id);
  if (!reply.ok()) {
    return corridor::WithRetryAfter(
        corridor::WithReason(absl::UnavailableError(absl::StrCat(
                                 "triage cannot be asked about staff ", staff_id, " now")),
                             "TRIAGE_UNREACHABLE", {{"staff_id", staff_id}}),
        absl::Seconds(1));
  }
  if ((*reply)->staff().active()) return absl::OkStatus();
  return corridor::FailedPrecondition(
      "STAFF_INACTIVE",
      absl::StrCat("staff ", staff_id, " does not work here any more; name somebody who does"),
      {{"staff_id", staff_id}});
}

}  // namespace

absl::StatusOr<Loaded<SurveyRecord>> FindByToken(View& view, const TokenKeys& keys,
                                                 std::string_view token) {
  std::optional<std::string> survey_id = keys.SurveyOf(token);
  if (!survey_id.has_value()) {
    auto known = view.Load(Tokens(), TokenHash(token));
    if (!known.ok()) return known.status();
    if (*known) survey_id = (*known)->survey_id();
  }
  if (survey_id.has_value()) {
    auto loaded = view.Load(Surveys(), *survey_id);
    if (!loaded.ok() || *loaded) return loaded;
  }
  // The token is not repeated: it would go into logs.
  return corridor::WithReason(absl::NotFoundError("there is no such invitation"),
                              "INVITATION_NOT_FOUND");
}

absl::Status CheckAnswerable(const sv::Survey& survey, absl::Time now) {
  if (survey.state() == sv::SURVEY_STATE_WITHDRAWN || survey.state() == sv::SURVEY_STATE_BOUNCED) {
    return corridor::FailedPrecondition("SURVEY_WITHDRAWN", "this survey was withdrawn");
  }
  if (survey.state() == sv::SURVEY_STATE_EXPIRED || now >= time::Instant(survey.expires_at())) {
    return corridor::FailedPrecondition("SURVEY_EXPIRED",
                                        "this survey has expired and takes no answer any more");
  }
  return absl::OkStatus();
}

absl::Status ValidateAnswerSurvey(const sv::AnswerSurveyRequest& request) {
  Violations violations;
  violations.Range("score", request.score(), 0, 10);
  violations.Text("text", request.text(), kMaxTextBytes, true);
  std::set<int> reasons;
  for (const int reason : request.reasons()) {
    violations.Require(reason != type::v1::SURVEY_REASON_UNSPECIFIED, "reasons", "names no reason");
    violations.Require(reasons.insert(reason).second, "reasons", "names a reason twice");
  }
  return violations.status();
}

absl::StatusOr<Decision> AnswerSurvey(const sv::AnswerSurveyRequest& request, const Inputs& in,
                                      View& view, const TokenKeys& keys) {
  auto loaded = FindByToken(view, keys, request.token());
  if (!loaded.ok()) return loaded.status();
  absl::Status status = CheckAnswerable((*loaded)->survey(), in.now);
  if (!status.ok()) return status;
  const type::v1::SurveyKind kind = (*loaded)->survey().kind();
  if (!IsOnScale(kind, request.score())) {
    Violations violations;
    violations.Require(
        false, "score",
        absl::StrCat("must be ", ScaleOf(kind).lowest, " to ", ScaleOf(kind).highest));
    return violations.status();
  }

  Decision decision;
  SurveyChange change(*loaded, in.now, &decision);
  sv::Survey& survey = change.survey();
  sv::AnswerSurveyResponse response;
  response.set_survey_id(change.id());
  *response.mutable_expires_at() = survey.expires_at();

  std::optional<bool> was_bad;
  if (survey.revision() > 0) {
    auto last = view.Load(Answers(), AnswerKey(change.id(), survey.revision()));
    if (!last.ok()) return last.status();
    if (!*last) return absl::DataLossError("an answer is missing in the database");
    if (SaysTheSame((*last)->answer(), request)) {
      response.set_revision(survey.revision());
      *response.mutable_answered_at() = (*last)->answer().answered_at();
      decision.Reply(std::move(response));
      return decision;
    }
    if (survey.revision() >= kMaxRevisions) {
      return corridor::FailedPrecondition(
          "TOO_MANY_ANSWERS", absl::StrCat("an answer may be changed ", kMaxRevisions, " times"));
    }
    was_bad = survey.bad();
    records::AnswerRecord history = **last;
    history.mutable_answer()->set_counts(false);
    decision.Save(Answers(), last->key, std::move(history));
  } else {
    *survey.mutable_answered_at() = time::Stamp(change.at());
    change.StopAsking();
  }

  survey.set_state(sv::SURVEY_STATE_ANSWERED);
  survey.set_score(request.score());
  survey.set_revision(survey.revision() + 1);
  survey.set_bad(IsBad(change.record().plan(), request.score()));

  records::AnswerRecord record;
  sv::Answer& answer = *record.mutable_answer();
  answer.set_survey_id(change.id());
  answer.set_revision(survey.revision());
  answer.set_kind(survey.kind());
  answer.set_account_id(survey.account_id());
  answer.set_contact_id(survey.contact_id());
  answer.set_ticket_id(survey.ticket_id());
  answer.set_resolution(survey.resolution());
  answer.set_assignee_id(survey.assignee_id());
  answer.set_score(request.score());
  *answer.mutable_reasons() = request.reasons();
  answer.set_text(request.text());
  *answer.mutable_answered_at() = time::Stamp(change.at());
  answer.set_bad(survey.bad());
  answer.set_counts(true);
  decision.Insert(Answers(), AnswerKey(change.id(), survey.revision()), std::move(record));

  ev::SurveyAnswered answered;
  answered.set_score(request.score());
  *answered.mutable_reasons() = request.reasons();
  answered.set_revision(survey.revision());
  answered.set_assignee_id(survey.assignee_id());
  answered.set_bad(survey.bad());
  change.Publish(std::move(answered));

  const std::string open = change.record().open_follow_up_id();
  switch (StepOf(change.record().plan(), was_bad, survey.bad(), !open.empty())) {
    case FollowUpStep::kNone:
      break;
    case FollowUpStep::kRequest:
      RequestFollowUp(change, in, decision);
      break;
    case FollowUpStep::kWithdraw: {
      auto follow_up = view.Load(FollowUps(), open);
      if (!follow_up.ok()) return follow_up.status();
      if (!*follow_up) return absl::DataLossError("a follow-up is missing in the database");
      EndFollowUp(change, **follow_up, sv::FOLLOW_UP_OUTCOME_WITHDRAWN, "", "", decision);
      break;
    }
  }
  response.set_revision(survey.revision());
  *response.mutable_answered_at() = time::Stamp(change.at());
  decision.Reply(std::move(response));
  change.Save();
  return decision;
}

absl::Status ValidateOptOut(const sv::OptOutRequest& request) {
  Violations violations;
  violations.Require(request.who_case() != sv::OptOutRequest::WHO_NOT_SET, "who",
                     "must be a token or a contact_id");
  if (request.who_case() == sv::OptOutRequest::kContactId) {
    violations.Id("contact_id", request.contact_id());
  } else {
    violations.Require(!request.take_back(), "take_back", "needs a contact_id");
  }
  return violations.status();
}

absl::StatusOr<Decision> OptOut(const sv::OptOutRequest& request, const Inputs& in, View& view,
                                const TokenKeys& keys) {
  std::string contact_id = request.contact_id();
  if (request.who_case() == sv::OptOutRequest::kToken) {
    auto survey = FindByToken(view, keys, request.token());
    if (!survey.ok()) return survey.status();
    contact_id = (*survey)->survey().contact_id();
  }
  auto loaded = view.Load(OptOuts(), contact_id);
  if (!loaded.ok()) return loaded.status();
  records::OptOutRecord record;
  if (*loaded) record = **loaded;
  const bool was_opted_out = *loaded && !record.has_taken_back_at();
  Decision decision;
  sv::OptOutResponse response;
  if (was_opted_out == request.take_back()) {
    // Its account is the key under which every other service hears of it.
    const std::string question = ContactQuestion(contact_id);
    if (!in.answers->Has(question)) {
      decision.Ask(AskContact(contact_id));
      return decision;
    }
    auto contact = in.answers->Get<account::v1::GetContactResponse>(question);
    if (absl::IsNotFound(contact.status())) return corridor::NotFound("contact", contact_id);
    if (!contact.ok()) {
      return corridor::WithRetryAfter(
          corridor::WithReason(
              absl::UnavailableError("account_health cannot be asked about the contact now"),
              "ACCOUNT_HEALTH_UNREACHABLE"),
          absl::Seconds(1));
    }
    // Facts never go back within a contact's opt-out.
    absl::Time at = in.now;
    if (record.has_since()) at = std::max(at, time::Instant(record.since()));
    if (record.has_taken_back_at()) at = std::max(at, time::Instant(record.taken_back_at()));
    if (request.take_back()) {
      *record.mutable_taken_back_at() = time::Stamp(at);
    } else {
      *record.mutable_since() = time::Stamp(at);
      record.clear_taken_back_at();
    }
    decision.Save(OptOuts(), contact_id, record);
    ev::SurveyOptedOut fact;
    fact.set_contact_id(contact_id);
    fact.set_account_id((*contact)->contact().account_id());
    *fact.mutable_occurred_at() = time::Stamp(at);
    fact.set_opted_out(!request.take_back());
    decision.Publish(contact_id, (*contact)->contact().account_id(), at, std::move(fact));
  }
  if (!request.take_back()) {
    response.set_opted_out(true);
    *response.mutable_since() = record.since();
  }
  decision.Reply(std::move(response));
  return decision;
}

absl::Status ValidateCloseFollowUp(const sv::CloseFollowUpRequest& request) {
  Violations violations;
  violations.Id("follow_up_id", request.follow_up_id());
  violations.Id("staff_id", request.staff_id());
  violations.Require(!OutcomeKey(request.outcome()).empty(), "outcome", "must be said");
  violations.Text("note", request.note(), kMaxTextBytes, true);
  return violations.status();
}

absl::StatusOr<Decision> CloseFollowUp(const sv::CloseFollowUpRequest& request, const Inputs& in,
                                       View& view) {
  auto follow_up = view.Load(FollowUps(), request.follow_up_id());
  if (!follow_up.ok()) return follow_up.status();
  if (!*follow_up) return corridor::NotFound("follow-up", request.follow_up_id());
  if ((*follow_up)->follow_up().has_closed_at()) {
    return corridor::FailedPrecondition("FOLLOW_UP_CLOSED", "the follow-up is closed already");
  }
  auto survey = view.Load(Surveys(), (*follow_up)->follow_up().survey_id());
  if (!survey.ok()) return survey.status();
  if (!*survey) return absl::DataLossError("a survey is missing in the database");
  Decision decision;
  absl::Status known = NameStaff(request.staff_id(), in, decision);
  if (!known.ok()) return known;
  if (!decision.questions.empty()) return decision;
  SurveyChange change(*survey, in.now, &decision);
  EndFollowUp(change, **follow_up, request.outcome(), request.staff_id(), request.note(), decision);
  sv::CloseFollowUpResponse response;
  response.set_follow_up_id(request.follow_up_id());
  *response.mutable_closed_at() = time::Stamp(change.at());
  decision.Reply(std::move(response));
  change.Save();
  return decision;
}

}  // namespace tandem::survey
