// account_health beside the shadow of clearance, over random lives of an account: as a black box,
// through events and RPCs alone. Its peer intake answers by what it acknowledged; the events of
// that arrive up to ten minutes later.
#include <algorithm>
#include <deque>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/plant/plant.h"
#include "common/testing/service_harness.h"
#include "common/time/stamp.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/account/v1/policy_service.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/sla.pb.h"
#include "tandem/events/v1/survey.pb.h"
#include "tandem/events/v1/triage.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tandem/triage/v1/staff_service.pb.h"
#include "tests/simulation/shadow_compare.h"
#include "tests/simulation/shadow_history.h"
#include "tests/simulation/shadow_testing.h"

namespace tandem::simulation {
namespace {

namespace av = account::v1;
using type::v1::TicketState;

constexpr char kAccount[] = "acct_1";
// RuntimeOptions::keep_requests, which product and README promise.
constexpr absl::Duration kRepliesAreRemembered = absl::Hours(7 * 24);

// A ticket as intake has it.
struct IntakeTicket {
  std::string ticket_id;
  std::string account_id = kAccount;
  TicketState state = type::v1::TICKET_STATE_NEW;
  std::string contact_id;
  std::vector<std::string> watchers;
  bool internal = false;
  bool suspected_spam = false;
  type::v1::Severity severity = type::v1::SEVERITY_UNSPECIFIED;
  bool breached = false;
  int64_t version = 0;
  int64_t resolutions = 0, reopenings = 0;

  bool IsOpen() const {
    return state != type::v1::TICKET_STATE_RESOLVED && state != type::v1::TICKET_STATE_CLOSED;
  }
};

class ClearanceRun {
 public:
  explicit ClearanceRun(uint64_t seed) : dice_(seed), harness_(ServiceNamed("account_health")) {
    facts_.account_id = kAccount;
    harness_.peer().On<intake::v1::ListTicketsRequest, intake::v1::ListTicketsResponse>(
        "tandem.intake.v1.TicketService/ListTickets",
        [this](const intake::v1::ListTicketsRequest& request) { return Answer(request); });
    triage::v1::GetStaffResponse csm;
    csm.mutable_staff()->set_active(true);
    harness_.peer().Answer("tandem.triage.v1.StaffService/GetStaff", csm);
  }

  absl::Status Run() {
    absl::Status ready = Prepare();
    if (!ready.ok()) return ready;
    const int64_t steps = 30 + dice_.Below(40);
    for (int64_t i = 0; i < steps; ++i) {
      Wait();
      const absl::Status done = Step();
      if (!done.ok()) return done;
    }
    while (!on_the_way_.empty()) DeliverNext();
    harness_.Advance(absl::Seconds(1));
    return Compare();
  }

  int checks() const { return static_cast<int>(answers_.checks.size()); }
  int clearances() const { return static_cast<int>(answers_.clearances.size()); }
  int touches() const { return static_cast<int>(answers_.touches.size()); }

 private:
  struct OnTheWay {
    absl::Time arrives_at;
    std::string source;
    std::string subject;
    std::shared_ptr<const google::protobuf::Message> body;
    absl::Time at;
  };

  absl::Status Prepare() {
    av::PutAccountRequest account;
    account.set_request_id("account");
    account.mutable_account()->set_account_id(kAccount);
    account.mutable_account()->set_stage(type::v1::JOURNEY_STAGE_LOYALTY);
    account.mutable_account()->set_segment(type::v1::SEGMENT_MID);
    auto put = harness_.Call<av::PutAccountResponse>("tandem.account.v1.AccountService/PutAccount",
                                                     account);
    if (!put.ok()) return put.status();
    for (const std::string& contact : contacts_) {
      const absl::Status stored = PutContact(contact, {});
      if (!stored.ok()) return stored;
    }
    events::v1::StaffChanged lead;
    lead.set_staff_id("staff-lead");
    *lead.mutable_occurred_at() = time::Stamp(harness_.Now());
    lead.set_version(1);
    lead.set_function(type::v1::STAFF_FUNCTION_SUPPORT);
    lead.add_roles(type::v1::STAFF_ROLE_SUPPORT_LEAD);
    lead.set_active(true);
    harness_.Deliver("triage", "staff-lead", "staff-lead", lead);
    const auto policy = harness_.Call<av::GetPolicyResponse>(
        "tandem.account.v1.PolicyService/GetPolicy", av::GetPolicyRequest());
    if (!policy.ok()) return policy.status();
    policy_ = policy->policy();
    return absl::OkStatus();
  }

  absl::Status PutContact(const std::string& contact_id,
                          const std::vector<type::v1::OutreachTopic>& opted_out) {
    av::PutContactRequest request;
    request.set_request_id(absl::StrCat("contact-", ++requests_));
    request.mutable_contact()->set_contact_id(contact_id);
    request.mutable_contact()->set_account_id(kAccount);
    request.mutable_contact()->set_level(type::v1::CONTACT_LEVEL_MEMBER);
    for (const auto topic : opted_out) request.mutable_contact()->add_opted_out(topic);
    request.mutable_update_mask()->add_paths("level");
    request.mutable_update_mask()->add_paths("opted_out");
    return harness_
        .Call<av::PutContactResponse>("tandem.account.v1.AccountService/PutContact", request)
        .status();
  }

  // What intake acknowledged, whether account_health has heard of it or not.
  absl::StatusOr<intake::v1::ListTicketsResponse> Answer(
      const intake::v1::ListTicketsRequest& request) {
    if (intake_is_down_) return absl::UnavailableError("intake is down");
    intake::v1::ListTicketsResponse response;
    for (const IntakeTicket& ticket : tickets_) {
      if (ticket.account_id != request.account_id()) continue;
      if (request.blocking_only() && (ticket.internal || ticket.suspected_spam)) continue;
      if (!request.states().empty() && std::find(request.states().begin(), request.states().end(),
                                                 ticket.state) == request.states().end()) {
        continue;
      }
      intake::v1::Ticket* told = response.add_tickets();
      told->set_ticket_id(ticket.ticket_id);
      told->set_account_id(ticket.account_id);
      told->set_state(ticket.state);
      told->set_contact_id(ticket.contact_id);
      told->set_internal(ticket.internal);
      told->set_version(ticket.version);
      for (const std::string& watcher : ticket.watchers) told->add_watcher_contact_ids(watcher);
    }
    return response;
  }

  // Moves time; what is due on the way arrives at its own instant.
  void Wait() {
    const std::vector<int64_t> scales = {20, 600, 4 * 3'600, 5 * 86'400};
    const absl::Time until =
        harness_.Now() + absl::Microseconds(1'000 + dice_.Below(dice_.Of(scales) * 1'000'000));
    while (!on_the_way_.empty() && on_the_way_.front().arrives_at <= until) DeliverNext();
    harness_.AdvanceTo(std::max(until, harness_.Now() + absl::Microseconds(1)));
    intake_is_down_ = dice_.Percent(4);
  }

  void DeliverNext() {
    const OnTheWay next = std::move(on_the_way_.front());
    on_the_way_.pop_front();
    harness_.AdvanceTo(std::max(next.arrives_at, harness_.Now() + absl::Microseconds(1)));
    KnownEvent known;
    known.event.id = harness_.Deliver(next.source, next.subject, kAccount, *next.body, next.at);
    known.event.type = next.body->GetDescriptor()->full_name();
    known.event.time = next.at;
    next.body->SerializeToString(&known.event.body);
    known.told_at = next.at;
    known.known_by = harness_.Now();
    facts_.events.push_back(std::move(known));
    if (dice_.Percent(10)) harness_.DeliverAgain();
  }

  // One log, one order per key: nothing overtakes what was told before.
  template <typename E>
  void Tell(const std::string& source, const std::string& subject, const E& body) {
    absl::Time arrives_at = harness_.Now();
    if (dice_.Percent(40)) arrives_at += absl::Milliseconds(dice_.Below(600'000));
    if (!on_the_way_.empty()) arrives_at = std::max(arrives_at, on_the_way_.back().arrives_at);
    on_the_way_.push_back({arrives_at, source, subject, std::make_shared<E>(body), harness_.Now()});
    if (on_the_way_.size() == 1 && arrives_at == harness_.Now()) DeliverNext();
  }

  template <typename E>
  E About(IntakeTicket& ticket) {
    E body;
    body.set_ticket_id(ticket.ticket_id);
    body.set_account_id(ticket.account_id);
    *body.mutable_occurred_at() = time::Stamp(harness_.Now());
    if constexpr (requires { body.set_version(1); }) body.set_version(++ticket.version);
    return body;
  }

  absl::Status Step() {
    const int64_t what = dice_.Below(100);
    if (what < 30) return Check();
    if (what < 33) return CheckAgain();
    if (what < 35) return Release();
    if (what < 47) return Touch();
    if (what < 50) return Grant();
    if (what < 53) return OptOut();
    if (what < 57) return FollowUp(), absl::OkStatus();
    if (what < 67 || tickets_.empty()) return OpenTicket(), absl::OkStatus();
    IntakeTicket& ticket =
        tickets_[static_cast<size_t>(dice_.Below(static_cast<int64_t>(tickets_.size())))];
    if (ticket.state == type::v1::TICKET_STATE_CLOSED || ticket.account_id != kAccount) {
      return absl::OkStatus();
    }
    if (what < 77) return Classify(ticket), absl::OkStatus();
    if (what < 81) return Complain(ticket), absl::OkStatus();
    if (what < 84) return Breach(ticket), absl::OkStatus();
    if (what < 86) return Leave(ticket), absl::OkStatus();
    if (what < 89) return LeaveOut(ticket), absl::OkStatus();
    return ticket.IsOpen() ? Resolve(ticket) : ReopenOrClose(ticket), absl::OkStatus();
  }

  void OpenTicket() {
    IntakeTicket ticket;
    ticket.ticket_id = absl::StrCat("tkt_", tickets_.size());
    ticket.contact_id = dice_.Of(contacts_);
    if (dice_.Percent(30)) ticket.watchers = {dice_.Of(contacts_)};
    ticket.internal = dice_.Percent(10);
    ticket.suspected_spam = dice_.Percent(10);
    auto body = About<events::v1::TicketOpened>(ticket);
    body.set_contact_id(ticket.contact_id);
    body.set_contact_level(type::v1::CONTACT_LEVEL_MEMBER);
    body.set_segment(type::v1::SEGMENT_MID);
    body.set_stage(type::v1::JOURNEY_STAGE_LOYALTY);
    body.set_channel(type::v1::CHANNEL_EMAIL);
    body.set_internal(ticket.internal);
    body.set_suspected_spam(ticket.suspected_spam);
    for (const std::string& watcher : ticket.watchers) body.add_watcher_contact_ids(watcher);
    if (dice_.Percent(10)) body.set_frustration_rule("angry");
    tickets_.push_back(ticket);
    Tell("ticket_intake", ticket.ticket_id, body);
    if (dice_.Percent(60)) {
      harness_.Advance(absl::Milliseconds(1 + dice_.Below(500)));
      Classify(tickets_.back());
    }
  }

  void Classify(IntakeTicket& ticket) {
    const std::vector<type::v1::Severity> severities = {
        type::v1::SEVERITY_CRITICAL, type::v1::SEVERITY_URGENT, type::v1::SEVERITY_NORMAL,
        type::v1::SEVERITY_NORMAL, type::v1::SEVERITY_GENERAL};
    const type::v1::Severity before = ticket.severity;
    ticket.severity = dice_.Of(severities);
    if (before == type::v1::SEVERITY_UNSPECIFIED) {
      auto body = About<events::v1::TicketTriaged>(ticket);
      body.set_severity(ticket.severity);
      Tell("triage", ticket.ticket_id, body);
    } else if (before != ticket.severity) {
      auto body = About<events::v1::SeverityChanged>(ticket);
      body.set_from_severity(before);
      body.set_to_severity(ticket.severity);
      Tell("triage", ticket.ticket_id, body);
    }
  }

  void Complain(IntakeTicket& ticket) {
    auto body = About<events::v1::TicketMessageAdded>(ticket);
    body.set_message_id(absl::StrCat("msg_", ticket.ticket_id, "_", ticket.version));
    body.set_author_kind(type::v1::AUTHOR_KIND_REQUESTER);
    body.set_visibility(type::v1::VISIBILITY_PUBLIC);
    if (dice_.Percent(60)) body.set_frustration_rule("angry");
    Tell("ticket_intake", ticket.ticket_id, body);
  }

  void Breach(IntakeTicket& ticket) {
    if (ticket.breached) return;
    ticket.breached = true;
    events::v1::SlaBreached body;
    body.mutable_clock()->set_ticket_id(ticket.ticket_id);
    body.mutable_clock()->set_account_id(kAccount);
    body.mutable_clock()->set_metric(dice_.Percent(70) ? type::v1::SLA_METRIC_RESOLUTION
                                                       : type::v1::SLA_METRIC_FIRST_RESPONSE);
    body.mutable_clock()->set_cycle(1);
    *body.mutable_occurred_at() = time::Stamp(harness_.Now());
    *body.mutable_fired_at() = body.occurred_at();
    Tell("sla_timer", ticket.ticket_id, body);
  }

  // An agent finds that it is internal, or not, or that it is a request after all.
  void LeaveOut(IntakeTicket& ticket) {
    if (ticket.suspected_spam) {
      ticket.suspected_spam = false;
    } else {
      ticket.internal = !ticket.internal;
    }
    auto body = About<events::v1::TicketUpdated>(ticket);
    body.add_changed_fields("internal");
    body.set_contact_id(ticket.contact_id);
    for (const std::string& watcher : ticket.watchers) body.add_watcher_contact_ids(watcher);
    body.set_internal(ticket.internal);
    body.set_suspected_spam(ticket.suspected_spam);
    Tell("ticket_intake", ticket.ticket_id, body);
  }

  // To another account.
  void Leave(IntakeTicket& ticket) {
    ticket.account_id = "acct_2";
    auto body = About<events::v1::TicketUpdated>(ticket);
    body.set_previous_account_id(kAccount);
    body.add_changed_fields("account_id");
    body.set_contact_id("cont_other");
    body.set_internal(ticket.internal);
    body.set_suspected_spam(ticket.suspected_spam);
    ticket.contact_id = "cont_other";
    ticket.watchers.clear();
    Tell("ticket_intake", ticket.ticket_id, body);
  }

  void Resolve(IntakeTicket& ticket) {
    if (dice_.Percent(10)) return Close(ticket, type::v1::CLOSE_REASON_SPAM);
    if (dice_.Percent(30)) {
      auto moved = About<events::v1::TicketStateChanged>(ticket);
      moved.set_from_state(ticket.state);
      ticket.state = ticket.state == type::v1::TICKET_STATE_PENDING
                         ? type::v1::TICKET_STATE_OPEN
                         : type::v1::TICKET_STATE_PENDING;
      moved.set_to_state(ticket.state);
      return Tell("ticket_intake", ticket.ticket_id, moved);
    }
    auto body = About<events::v1::TicketResolved>(ticket);
    body.set_from_state(ticket.state);
    body.set_resolved_by(type::v1::RESOLVED_BY_AGENT);
    body.set_resolution(++ticket.resolutions);
    body.set_contact_id(ticket.contact_id);
    ticket.state = type::v1::TICKET_STATE_RESOLVED;
    Tell("ticket_intake", ticket.ticket_id, body);
  }

  void ReopenOrClose(IntakeTicket& ticket) {
    if (dice_.Percent(40)) return Close(ticket, type::v1::CLOSE_REASON_CONFIRMED);
    auto body = About<events::v1::TicketReopened>(ticket);
    body.set_to_state(type::v1::TICKET_STATE_OPEN);
    body.set_reopening(++ticket.reopenings);
    ticket.state = type::v1::TICKET_STATE_OPEN;
    Tell("ticket_intake", ticket.ticket_id, body);
  }

  void Close(IntakeTicket& ticket, type::v1::CloseReason reason) {
    auto body = About<events::v1::TicketClosed>(ticket);
    body.set_from_state(ticket.state);
    body.set_reason(reason);
    body.set_resolution(ticket.resolutions);
    body.set_contact_id(ticket.contact_id);
    ticket.state = type::v1::TICKET_STATE_CLOSED;
    Tell("ticket_intake", ticket.ticket_id, body);
  }

  void FollowUp() {
    if (!follow_ups_.empty() && dice_.Percent(60)) {
      events::v1::SurveyFollowUpClosed body;
      *body.mutable_survey() = follow_ups_.back().survey();
      *body.mutable_occurred_at() = time::Stamp(harness_.Now());
      body.set_follow_up_id(follow_ups_.back().follow_up_id());
      body.set_outcome("fixed");
      follow_ups_.pop_back();
      return Tell("survey", body.survey().survey_id(), body);
    }
    events::v1::SurveyFollowUpRequested body;
    body.mutable_survey()->set_survey_id(absl::StrCat("survey_", ++requests_));
    body.mutable_survey()->set_kind(type::v1::SURVEY_KIND_CSAT);
    body.mutable_survey()->set_account_id(kAccount);
    body.mutable_survey()->set_contact_id(dice_.Of(contacts_));
    *body.mutable_occurred_at() = time::Stamp(harness_.Now());
    body.set_follow_up_id(absl::StrCat("follow_up_", requests_));
    body.set_score(static_cast<int>(1 + dice_.Below(3)));
    follow_ups_.push_back(body);
    Tell("survey", body.survey().survey_id(), body);
  }

  type::v1::OutreachTopic DrawTopic() {
    return static_cast<type::v1::OutreachTopic>(1 + dice_.Below(10));
  }
  std::string DrawContact() { return dice_.Percent(25) ? "" : dice_.Of(contacts_); }

  absl::Status Check() {
    av::CheckOutreachRequest request;
    request.set_request_id(absl::StrCat("check-", ++requests_));
    request.set_account_id(kAccount);
    request.set_contact_id(DrawContact());
    request.set_topic(DrawTopic());
    request.set_staff_id(dice_.Percent(90) ? "staff-csm" : "");
    request.set_preview(dice_.Percent(15));
    const auto check = Ask(request);
    if (!check.ok()) return check.status();
    Remember(*check);
    return absl::OkStatus();
  }

  absl::StatusOr<OutreachCheck> Ask(const av::CheckOutreachRequest& request) {
    OutreachCheck check;
    check.request = request;
    check.intake_may_be_unreachable = intake_is_down_;
    check.asked_at = harness_.Now();
    const auto answer = harness_.Call<av::CheckOutreachResponse>(
        "tandem.account.v1.OutreachService/CheckOutreach", request);
    if (!answer.ok()) return answer.status();
    check.response = *answer;
    check.answered_at = harness_.Now();
    return check;
  }

  // An answer that was decided, and is not one about what was given before under its request id.
  void Remember(const OutreachCheck& check) {
    const std::string& clearance_id = check.response.clearance_id();
    // Whoever names a clearance first has made it; whoever names it later was given it again.
    if (!clearance_id.empty()) made_by_.try_emplace(clearance_id, check.request.request_id());
    answers_.checks.push_back(check);
  }

  // An earlier question again under its request id: never a remembered ALLOW. What a request made
  // is what it is about for ever. What it was given again, it is about while its reply is
  // remembered; afterwards it is a new question.
  absl::Status CheckAgain() {
    if (answers_.checks.empty()) return absl::OkStatus();
    const av::CheckOutreachRequest request = dice_.Of(answers_.checks).request;
    const OutreachCheck before = *std::find_if(
        answers_.checks.rbegin(), answers_.checks.rend(), [&](const OutreachCheck& check) {
          return check.request.request_id() == request.request_id();
        });
    const std::string& clearance_id = before.response.clearance_id();
    if (clearance_id.empty()) return absl::OkStatus();
    const auto again = Ask(request);
    if (!again.ok()) return again.status();
    av::GetClearanceRequest get;
    get.set_clearance_id(clearance_id);
    const auto now = harness_.Call<av::GetClearanceResponse>(
        "tandem.account.v1.OutreachService/GetClearance", get);
    if (!now.ok()) return now.status();
    const bool stands = now->clearance().state() == av::CLEARANCE_STATE_STANDING;
    const av::CheckOutreachResponse& answer = again->response;
    if (answer.clearance_id() == clearance_id &&
        answer.clearance_state() == now->clearance().state() &&
        (answer.verdict() == av::OUTREACH_VERDICT_ALLOW) == stands) {
      return absl::OkStatus();
    }
    const bool has_made_it = made_by_.at(clearance_id) == request.request_id();
    const bool is_remembered = again->asked_at - before.answered_at < kRepliesAreRemembered;
    const bool is_decided_anew = answer.clearance_id() != clearance_id &&
                                 (answer.clearance_state() == av::CLEARANCE_STATE_UNSPECIFIED ||
                                  answer.clearance_state() == av::CLEARANCE_STATE_STANDING);
    if (!has_made_it && !is_remembered && !stands && is_decided_anew) {
      Remember(*again);  // compared as any other
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(absl::StrCat(
        "clearance ", clearance_id, has_made_it ? ", made" : ", given again", " by request ",
        request.request_id(), " at ", absl::FormatTime(before.answered_at, absl::UTCTimeZone()),
        ", is ", av::ClearanceState_Name(now->clearance().state()),
        ", and the request repeated at ", absl::FormatTime(again->asked_at, absl::UTCTimeZone()),
        " was answered ", av::OutreachVerdict_Name(answer.verdict()), " ", answer.clearance_id()));
  }

  absl::Status Release() {
    if (answers_.checks.empty()) return absl::OkStatus();
    const OutreachCheck& before = answers_.checks.back();
    if (before.response.clearance_id().empty()) return absl::OkStatus();
    av::ReleaseClearanceRequest request;
    request.set_request_id(absl::StrCat("release-", ++requests_));
    request.set_clearance_id(before.response.clearance_id());
    request.set_staff_id(before.request.staff_id());
    const absl::Status released =
        harness_
            .Call<av::ReleaseClearanceResponse>(
                "tandem.account.v1.OutreachService/ReleaseClearance", request)
            .status();
    return absl::IsFailedPrecondition(released) ? absl::OkStatus() : released;
  }

  // Mostly under the last clearance, as people do.
  absl::Status Touch() {
    av::RecordTouchRequest request;
    request.set_request_id(absl::StrCat("touch-", ++requests_));
    request.set_account_id(kAccount);
    request.set_contact_id(DrawContact());
    request.set_topic(DrawTopic());
    request.set_staff_id("staff-csm");
    request.set_inbound(dice_.Percent(15));
    if (!answers_.checks.empty() && dice_.Percent(75)) {
      request.set_topic(answers_.checks.back().request.topic());
      request.set_contact_id(answers_.checks.back().request.contact_id());
    }
    if (dice_.Percent(20)) {
      *request.mutable_occurred_at() =
          time::Stamp(harness_.Now() - absl::Seconds(1 + dice_.Below(7'200)));
    }
    return harness_
        .Call<av::RecordTouchResponse>("tandem.account.v1.OutreachService/RecordTouch", request)
        .status();
  }

  absl::Status Grant() {
    av::GrantOutreachExceptionRequest request;
    request.set_request_id(absl::StrCat("grant-", ++requests_));
    request.set_account_id(kAccount);
    request.set_topic(DrawTopic());
    request.set_reason("agreed with the customer");
    request.set_staff_id("staff-lead");
    const absl::Time until =
        harness_.Now() + (dice_.Percent(50) ? absl::Hours(1 + dice_.Below(48))
                                            : absl::Seconds(1 + dice_.Below(120)));
    *request.mutable_until() = time::Stamp(until);
    const auto granted = harness_.Call<av::GrantOutreachExceptionResponse>(
        "tandem.account.v1.OutreachService/GrantOutreachException", request);
    // RESOLUTION_FOLLOW_UP is never held: there is nothing to grant.
    if (!granted.ok())
      return absl::IsInvalidArgument(granted.status()) ? absl::OkStatus() : granted.status();
    facts_.exceptions.push_back({granted->exception_id(), request.topic(), harness_.Now(),
                                 time::Instant(granted->until())});
    return absl::OkStatus();
  }

  absl::Status OptOut() {
    std::vector<type::v1::OutreachTopic> topics;
    if (dice_.Percent(60)) topics.push_back(DrawTopic());
    return PutContact(dice_.Of(contacts_), topics);
  }

  absl::Status Compare() {
    av::ListClearancesRequest list;
    list.set_account_id(kAccount);
    list.set_page_size(500);
    const auto clearances = harness_.Call<av::ListClearancesResponse>(
        "tandem.account.v1.OutreachService/ListClearances", list);
    if (!clearances.ok()) return clearances.status();
    answers_.clearances.assign(clearances->clearances().begin(), clearances->clearances().end());
    av::ProveOutreachRequest prove;
    prove.set_account_id(kAccount);
    prove.set_page_size(500);
    const auto proof = harness_.Call<av::ProveOutreachResponse>(
        "tandem.account.v1.OutreachService/ProveOutreach", prove);
    if (!proof.ok()) return proof.status();
    answers_.touches.assign(proof->touches().begin(), proof->touches().end());
    answers_.as_of = harness_.Now();
    std::map<std::string, absl::Time> recorded_at;
    for (const av::ProvenTouch& proven : answers_.touches) {
      recorded_at[proven.touch().touch_id()] = time::Instant(proven.touch().recorded_at());
    }
    for (const bus::Event& event : harness_.PublishedEvents()) {
      // A touch is dated by when it happened.
      const auto touch = recorded_at.find(event.subject);
      const absl::Time told_at = touch == recorded_at.end() ? event.time : touch->second;
      facts_.events.push_back({event, told_at, told_at});
    }
    std::stable_sort(
        facts_.events.begin(), facts_.events.end(),
        [](const KnownEvent& a, const KnownEvent& b) { return a.told_at < b.told_at; });
    const absl::Status same = CompareClearance(facts_, policy_, answers_);
    if (!same.ok() && WantsStory()) {
      for (const KnownEvent& known : facts_.events)
        TellStory(known.event, known.told_at, known.known_by);
    }
    return same;
  }

  Dice dice_;
  testing::ServiceHarness harness_;
  const std::vector<std::string> contacts_ = {"cont_1", "cont_2", "cont_3"};
  std::deque<IntakeTicket> tickets_;
  std::deque<OnTheWay> on_the_way_;
  std::vector<events::v1::SurveyFollowUpRequested> follow_ups_;
  av::AccountPolicy policy_;
  AccountFacts facts_;
  ClearanceAnswers answers_;
  std::map<std::string, std::string> made_by_;  // the request that made the clearance
  bool intake_is_down_ = false;
  int requests_ = 0;
};

TEST(AccountHealth, ClearsOutreachAsTheShadowDoes) {
  const auto [from, to] = Seeds(120);
  int checks = 0, clearances = 0, touches = 0, differing = 0;
  for (uint64_t seed = from; seed < to && differing < 10; ++seed) {
    ClearanceRun run(seed);
    const absl::Status same = run.Run();
    checks += run.checks();
    clearances += run.clearances();
    touches += run.touches();
    if (!same.ok()) {
      ++differing;
      ADD_FAILURE() << "seed " << seed << ": " << same.message();
    }
  }
  std::cout << checks << " checks, " << clearances << " clearances, " << touches << " touches\n";
  EXPECT_GT(clearances, 0);
  EXPECT_GT(touches, 0);
}

// A comparison that finds nothing proves nothing: with a mistake planted it has to.
TEST(AccountHealth, IsCaughtGoingOnWithAHoldThatIsOver) {
  plant::Set({plant::Mistake::kHoldKept});
  const absl::Cleanup restore = [] { plant::Set({}); };
  int differing = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    if (!ClearanceRun(seed).Run().ok()) ++differing;
  }
  EXPECT_GE(differing, 5);
}

}  // namespace
}  // namespace tandem::simulation
