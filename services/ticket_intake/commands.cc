#include "services/ticket_intake/commands.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/address/address.h"
#include "common/config/views.h"
#include "common/corridor/errors.h"
#include "common/time/stamp.h"
#include "services/ticket_intake/address_history.h"
#include "services/ticket_intake/fields.h"
#include "services/ticket_intake/lifecycle.h"
#include "services/ticket_intake/people.h"
#include "services/ticket_intake/records.h"
#include "services/ticket_intake/requesters.h"
#include "services/ticket_intake/ticket_change.h"
#include "tandem/triage/v1/triage_service.pb.h"

namespace tandem::ticket_intake {

using config::Absl;

namespace {

using corridor::Decision;
using corridor::Inputs;
using corridor::Loaded;
using corridor::View;
using corridor::Violations;
using intake::v1::TicketMessage;
using records::TicketRecord;
namespace iv = intake::v1;
namespace ty = type::v1;

// A follow-up may itself have been closed and followed up; a longer row of them is somebody's loop.
constexpr int kMaxFollowUps = 32;

constexpr std::string_view kAssigneeQuestion = "assignee";

absl::StatusOr<Loaded<TicketRecord>> LoadTicket(View& view, const std::string& ticket_id) {
  auto loaded = view.Load(Tickets(), ticket_id);
  if (loaded.ok() && !*loaded) return corridor::NotFound("ticket", ticket_id);
  return loaded;
}

// The ticket at the version that the caller knows; 0 = at whatever version.
absl::StatusOr<Loaded<TicketRecord>> LoadVersion(View& view, const std::string& ticket_id,
                                                 int64_t version) {
  auto loaded = LoadTicket(view, ticket_id);
  if (!loaded.ok()) return loaded;
  if (version != 0 && version != loaded->version) {
    return corridor::VersionConflict("ticket", ticket_id, version, loaded->version);
  }
  return loaded;
}

// The policy's own, tighter limits.
absl::Status CheckMessageLimits(const Rules& rules, std::string_view text,
                                const google::protobuf::RepeatedPtrField<iv::Attachment>& files) {
  Violations violations;
  violations.Require(text.size() <= rules.message_bytes(), "text",
                     absl::StrCat("must be at most ", rules.message_bytes(), " bytes"));
  violations.Count("attachments", static_cast<size_t>(files.size()), rules.attachments());
  for (const iv::Attachment& file : files) {
    violations.Range("attachments.size_bytes", file.size_bytes(), 0, rules.attachment_bytes());
  }
  return violations.status();
}

absl::Status CheckRoomForMessages(const Rules& rules, const TicketRecord& record, int64_t more) {
  if (record.messages() + more <= rules.messages_per_ticket()) return absl::OkStatus();
  return corridor::FailedPrecondition(
      "TOO_MANY_MESSAGES",
      absl::StrCat("a ticket holds at most ", rules.messages_per_ticket(), " messages"));
}

absl::Status CheckWatchers(const Rules& rules, const iv::Ticket& ticket) {
  Violations violations;
  violations.Count("watcher_contact_ids", static_cast<size_t>(ticket.watcher_contact_ids_size()),
                   rules.watchers());
  return violations.status();
}

// Makes `key` lead to the ticket. ALREADY_EXISTS, naming the other ticket, when it leads elsewhere.
absl::Status ClaimName(View& view, Decision& decision, std::string_view what, std::string key,
                       const std::string& ticket_id) {
  auto name = view.Load(Names(), key);
  if (!name.ok()) return name.status();
  if (*name) {
    if ((*name)->ticket_id() == ticket_id) return absl::OkStatus();
    return corridor::WithReason(
        absl::AlreadyExistsError(
            absl::StrCat("the ", Absl(what), " belongs to ticket ", (*name)->ticket_id())),
        "NAME_TAKEN");
  }
  records::NameRecord record;
  record.set_ticket_id(ticket_id);
  decision.Save(Names(), std::move(key), std::move(record));
  return absl::OkStatus();
}

// What TicketUpdated says after `change`.
events::v1::TicketUpdated UpdatedEvent(TicketChange& change, std::vector<std::string> changed) {
  const iv::Ticket& ticket = change.ticket();
  const TicketRecord& record = change.record();
  events::v1::TicketUpdated updated;
  std::sort(changed.begin(), changed.end());
  *updated.mutable_changed_fields() = {changed.begin(), changed.end()};
  updated.set_product(ticket.product());
  updated.set_category(ticket.category());
  updated.set_impact(ticket.impact());
  updated.set_urgency(ticket.urgency());
  updated.set_affected_users(ticket.affected_users());
  updated.set_language(ticket.language());
  *updated.mutable_tags() = ticket.tags();
  updated.set_contact_id(ticket.contact_id());
  updated.set_contact_level(record.contact_level());
  updated.set_segment(record.segment());
  updated.set_stage(record.stage());
  *updated.mutable_watcher_contact_ids() = ticket.watcher_contact_ids();
  updated.set_internal(ticket.internal());
  updated.set_suspected_spam(ticket.suspected_spam());
  return updated;
}

// Opens the ticket in `fresh` with its opening text: TicketOpened, and what its category lacks.
// The change is not saved yet.
TicketChange Open(TicketRecord fresh, TicketMessage opening, const PolicyInForce& policy,
                  const Inputs& in, Decision& decision) {
  TicketChange change(std::move(fresh), in.now, &decision);
  const std::string_view frustration = policy.made->FrustrationIn(opening.text());
  opening.set_frustration_rule(std::string(frustration));

  const iv::Ticket& ticket = change.ticket();
  events::v1::TicketOpened opened;
  opened.set_contact_id(ticket.contact_id());
  opened.set_contact_level(change.record().contact_level());
  opened.set_segment(change.record().segment());
  opened.set_stage(change.record().stage());
  opened.set_channel(ticket.channel());
  opened.set_origin(ticket.origin());
  opened.set_opened_by_staff_id(ticket.opened_by_staff_id());
  opened.set_product(ticket.product());
  opened.set_category(ticket.category());
  opened.set_impact(ticket.impact());
  opened.set_urgency(ticket.urgency());
  opened.set_affected_users(ticket.affected_users());
  opened.set_language(ticket.language());
  *opened.mutable_tags() = ticket.tags();
  opened.set_internal(ticket.internal());
  opened.set_frustration_rule(std::string(frustration));
  *opened.mutable_watcher_contact_ids() = ticket.watcher_contact_ids();
  opened.set_goal_id(ticket.goal_id());
  opened.set_follow_up_of(ticket.follow_up_of());
  opened.set_suspected_spam(ticket.suspected_spam());
  change.Store(std::move(opening));
  change.Publish(std::move(opened));
  change.ReviewContext(*policy.made, policy.ref, in.ids->Next("msg"));
  return change;
}

// A requester's message on a closed ticket: a new ticket goes on where that one ended. `decision`
// holds what was learned about the author.
absl::StatusOr<Decision> FollowUp(const Loaded<TicketRecord>& closed, TicketMessage message,
                                  const iv::AddMessageRequest& request, const PolicyInForce& policy,
                                  const Inputs& in, View& view, Decision decision) {
  const iv::Ticket& before = closed->ticket();
  TicketRecord fresh;
  fresh.set_contact_level(closed->contact_level());
  fresh.set_segment(closed->segment());
  fresh.set_stage(closed->stage());
  if (closed->has_requester()) *fresh.mutable_requester() = closed->requester();
  fresh.set_address_key(closed->address_key());
  iv::Ticket& ticket = *fresh.mutable_ticket();
  ticket.set_ticket_id(in.ids->Next("tkt"));
  ticket.set_follow_up_of(closed.key);
  ticket.set_account_id(before.account_id());
  ticket.set_contact_id(before.contact_id());
  ticket.set_subject(before.subject());
  ticket.set_channel(before.channel());
  ticket.set_origin(ty::ORIGIN_CUSTOMER);
  ticket.set_product(before.product());
  ticket.set_product_version(before.product_version());
  ticket.set_category(before.category());
  ticket.set_impact(before.impact());
  ticket.set_urgency(before.urgency());
  ticket.set_affected_users(before.affected_users());
  ticket.set_language(before.language());
  *ticket.mutable_tags() = before.tags();
  *ticket.mutable_custom_fields() = before.custom_fields();
  ticket.set_internal(before.internal());
  ticket.set_goal_id(before.goal_id());
  *ticket.mutable_watcher_contact_ids() = before.watcher_contact_ids();
  if (before.has_context()) *ticket.mutable_context() = before.context();
  const auto suspected = IsSuspected(fresh, *policy.made, in.now, view);
  if (!suspected.ok()) return suspected.status();
  ticket.set_suspected_spam(*suspected);
  const std::string message_id = message.message_id();
  const std::string author_id = message.author_id();

  TicketChange change = Open(std::move(fresh), std::move(message), policy, in, decision);
  if (!request.thread_ref().empty()) {
    const absl::Status named =
        ClaimName(view, decision, "thread_ref", ThreadKey(request.thread_ref()), change.id());
    if (!named.ok()) return named;
  }
  if (change.ticket().contact_id().empty()) {
    AskRequesterLater(*policy.made, 1, change.id(), change.ticket().bus_key(), in.now, decision);
  }
  TicketRecord old = *closed;
  old.mutable_ticket()->set_followed_up_by(change.id());
  decision.Save(Tickets(), closed.key, std::move(old));

  iv::AddMessageResponse reply;
  reply.set_ticket_id(change.id());
  reply.set_message_id(message_id);
  reply.set_version(change.version());
  reply.set_state(change.ticket().state());
  reply.set_follow_up_of(closed.key);
  reply.set_author_kind(ty::AUTHOR_KIND_REQUESTER);
  reply.set_author_id(author_id);
  *reply.mutable_posted_at() = time::Stamp(change.at());
  decision.Reply(std::move(reply));
  change.Save();
  return decision;
}

// The requester with an address in the one spelling that it is sent to.
iv::Requester Readable(iv::Requester requester) {
  if (!requester.has_address()) return requester;
  if (auto read = address::Parse(requester.address()); read.ok()) {
    requester.set_address(read->deliverable);
  }
  return requester;
}

bool IsCode(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
  });
}

}  // namespace

absl::Status ValidateOpenTicket(const iv::OpenTicketRequest& request) {
  Violations violations;
  violations.Id("request_id", request.request_id());
  switch (request.requester().who_case()) {
    case iv::Requester::kContactId:
      violations.Id("requester.contact_id", request.requester().contact_id());
      break;
    case iv::Requester::kAddress:
      CheckAddress("requester.address", request.requester().address(), violations);
      break;
    case iv::Requester::kExternalId:
      CheckExternalId("requester.external_id", request.requester().external_id(), violations);
      break;
    case iv::Requester::WHO_NOT_SET:
      violations.Require(false, "requester", "needs contact_id, address or external_id");
      break;
  }
  violations.Text("text", request.text(), kMaxMessageBytes);
  violations.Require(request.channel() != ty::CHANNEL_UNSPECIFIED, "channel", "is missing");
  violations.Id("opened_by_staff_id", request.opened_by_staff_id(), true);
  const bool by_staff =
      request.origin() == ty::ORIGIN_SUCCESS || request.origin() == ty::ORIGIN_STAFF;
  violations.Require(!by_staff || !request.opened_by_staff_id().empty(), "opened_by_staff_id",
                     "is missing for this origin");
  violations.Require(
      request.origin() != ty::ORIGIN_CUSTOMER || request.opened_by_staff_id().empty(),
      "opened_by_staff_id", "does not go with origin CUSTOMER");
  CheckOpeningFields(TicketFrom(request), violations);
  CheckAttachments(request.attachments(), violations);
  violations.Line("thread_ref", request.thread_ref(), kMaxThreadRefBytes, true);
  return violations.status();
}

absl::StatusOr<Decision> OpenTicket(const iv::OpenTicketRequest& request, const Inputs& in,
                                    View& view, const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  const Rules& rules = *policy->made;
  if (const absl::Status limits = CheckMessageLimits(rules, request.text(), request.attachments());
      !limits.ok()) {
    return limits;
  }

  Decision decision;
  TicketRecord fresh;
  *fresh.mutable_ticket() = TicketFrom(request);
  iv::Ticket& ticket = *fresh.mutable_ticket();
  if (const absl::Status watchers = CheckWatchers(rules, ticket); !watchers.ok()) return watchers;
  const std::string ticket_id = in.ids->Next("tkt");
  const std::string message_id = in.ids->Next("msg");
  ticket.set_ticket_id(ticket_id);
  const iv::Requester requester = Readable(request.requester());
  const std::string requester_key = RequesterKey(requester);

  // Everybody who is named: known here, or one round of questions to their owners.
  People people(in, view);
  if (const absl::Status named = people.NameStaff(request.opened_by_staff_id()); !named.ok()) {
    return named;
  }
  for (const std::string& watcher : request.watcher_contact_ids()) {
    if (const absl::Status named = people.NameContact(watcher); !named.ok()) return named;
  }
  auto remembered = RememberedRequester(requester_key, rules, in.now, view);
  if (!remembered.ok()) return remembered.status();
  const bool asks_requester = !*remembered && !in.answers->Has(kRequesterQuestion);
  if (asks_requester || people.MustAsk()) {
    Decision questions = people.Ask();
    if (asks_requester) {
      // Nobody may come into being because somebody mistyped an id.
      questions.Ask(requester.has_contact_id()
                        ? LookUpRequester(std::string(kRequesterQuestion), requester, in.cause)
                        : AskRequester(requester, ticket_id, in.cause));
    }
    return questions;
  }
  if (const absl::Status known = people.Verdict(); !known.ok()) return known;
  people.Remember(decision);

  RequesterAnswer answer;
  if (*remembered) {
    answer.kind = RequesterAnswer::Kind::kKnown;
    answer.known = **remembered;
  } else {
    auto told = ReadRequesterAnswer(in);
    if (!told.ok()) return told.status();
    answer = *std::move(told);
    if (answer.kind == RequesterAnswer::Kind::kUnresolved && requester.has_contact_id()) {
      return corridor::NotFound("contact", requester.contact_id());
    }
    if (answer.kind == RequesterAnswer::Kind::kKnown &&
        rules.requester_valid_for() > absl::ZeroDuration()) {
      auto known = view.Load(KnownRequesters(), requester_key);
      if (!known.ok()) return known.status();
      decision.Save(KnownRequesters(), requester_key, answer.known);
    }
    const absl::Status noted = NoteRequester(answer, ticket_id, view, decision);
    if (!noted.ok()) return noted;
  }
  if (requester.has_address()) fresh.set_address_key(requester_key);
  if (answer.kind == RequesterAnswer::Kind::kKnown) {
    SetRequester(fresh, answer.known);
  } else {
    *fresh.mutable_requester() = requester;
    ticket.set_requester_id(answer.requester_id);
  }
  if (ticket.origin() == ty::ORIGIN_CUSTOMER) {  // who opens it for a customer has looked at it
    const auto suspected = IsSuspected(fresh, rules, in.now, view);
    if (!suspected.ok()) return suspected.status();
    ticket.set_suspected_spam(*suspected);
  }

  TicketMessage opening;
  opening.set_message_id(message_id);
  opening.set_author_kind(ty::AUTHOR_KIND_REQUESTER);  // also when staff typed it (product §1.4)
  opening.set_author_id(ticket.contact_id());
  opening.set_visibility(ty::VISIBILITY_PUBLIC);
  opening.set_text(request.text());
  *opening.mutable_attachments() = request.attachments();
  opening.set_thread_ref(request.thread_ref());

  for (const ty::ExternalId& external_id : ticket.external_ids()) {
    const absl::Status named =
        ClaimName(view, decision, "external id", ExternalIdKey(external_id), ticket_id);
    if (!named.ok()) return named;
  }
  if (!request.thread_ref().empty()) {
    const absl::Status named =
        ClaimName(view, decision, "thread_ref", ThreadKey(request.thread_ref()), ticket_id);
    if (!named.ok()) return named;
  }

  TicketChange change = Open(std::move(fresh), std::move(opening), *policy, in, decision);
  if (answer.kind == RequesterAnswer::Kind::kUnreachable) {
    AskRequesterLater(rules, 1, ticket_id, change.ticket().bus_key(), in.now, decision);
  }
  iv::OpenTicketResponse reply;
  reply.set_ticket_id(ticket_id);
  reply.set_version(change.version());
  reply.set_account_id(change.ticket().account_id());
  reply.set_contact_id(change.ticket().contact_id());
  *reply.mutable_opened_at() = change.ticket().opened_at();
  reply.set_message_id(message_id);
  *reply.mutable_missing_fields() = change.ticket().missing_fields();
  decision.Reply(std::move(reply));
  change.Save();
  return decision;
}

absl::Status ValidateAddMessage(const iv::AddMessageRequest& request) {
  Violations violations;
  violations.Id("request_id", request.request_id());
  violations.Id("ticket_id", request.ticket_id(), !request.in_reply_to().empty());
  violations.Count("in_reply_to", static_cast<size_t>(request.in_reply_to_size()), 20);
  for (const std::string& ref : request.in_reply_to()) {
    violations.Line("in_reply_to", ref, kMaxThreadRefBytes);
  }
  violations.Require(request.author_kind() != ty::AUTHOR_KIND_UNSPECIFIED, "author_kind",
                     "is missing");
  const bool by_agent = request.author_kind() == ty::AUTHOR_KIND_AGENT;
  const bool by_requester = request.author_kind() == ty::AUTHOR_KIND_REQUESTER;
  violations.Id("author_id", request.author_id(), !by_agent);
  violations.Require(by_agent || by_requester || request.author_id().empty(), "author_id",
                     "does not go with this author_kind");
  if (!request.sender_address().empty()) {
    CheckAddress("sender_address", request.sender_address(), violations);
    violations.Require(by_requester, "sender_address", "is for a REQUESTER's message");
    violations.Require(request.author_id().empty(), "author_id",
                       "does not go with sender_address, which tells who wrote");
  }
  violations.Require(request.visibility() != ty::VISIBILITY_UNSPECIFIED, "visibility",
                     "is missing");
  violations.Require(!by_requester || request.visibility() != ty::VISIBILITY_INTERNAL, "visibility",
                     "of a requester's message must be PUBLIC");
  violations.Text("text", request.text(), kMaxMessageBytes);
  CheckAttachments(request.attachments(), violations);
  violations.Line("thread_ref", request.thread_ref(), kMaxThreadRefBytes, true);
  violations.Require(by_agent || request.new_state() == ty::TICKET_STATE_UNSPECIFIED, "new_state",
                     "is for an agent's message");
  return violations.status();
}

absl::StatusOr<Decision> AddMessage(const iv::AddMessageRequest& request, const Inputs& in,
                                    View& view, const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  const Rules& rules = *policy->made;
  if (const absl::Status limits = CheckMessageLimits(rules, request.text(), request.attachments());
      !limits.ok()) {
    return limits;
  }

  std::string ticket_id = request.ticket_id();
  if (ticket_id.empty()) {
    for (const std::string& ref : request.in_reply_to()) {
      auto name = view.Load(Names(), ThreadKey(ref));
      if (!name.ok()) return name.status();
      if (!*name) continue;
      ticket_id = (*name)->ticket_id();
      break;
    }
    if (ticket_id.empty()) {
      return corridor::WithReason(
          absl::NotFoundError("no ticket has a message that this one answers"), "TICKET_NOT_FOUND");
    }
  }
  auto loaded = LoadTicket(view, ticket_id);
  if (!loaded.ok()) return loaded.status();
  const std::string asked_for = loaded->key;
  const bool by_requester = request.author_kind() == ty::AUTHOR_KIND_REQUESTER;
  // A closed ticket that is followed up already: the message belongs to where the talk goes on.
  for (int i = 0; by_requester && (*loaded)->ticket().state() == ty::TICKET_STATE_CLOSED &&
                  !(*loaded)->ticket().followed_up_by().empty();
       ++i) {
    if (i == kMaxFollowUps) return absl::InternalError("follow-ups do not end");
    loaded = LoadTicket(view, (*loaded)->ticket().followed_up_by());
    if (!loaded.ok()) return loaded.status();
  }
  const Loaded<TicketRecord>& target = *loaded;
  const iv::Ticket& before = target->ticket();

  Decision decision;
  TicketMessage message;
  message.set_message_id(in.ids->Next("msg"));
  message.set_author_kind(request.author_kind());
  message.set_author_id(request.author_id());
  if (!request.sender_address().empty()) {
    const std::string canonical = CanonicalAddress(request.sender_address());
    auto sender = WhoSent(canonical, *target, rules, in, view, decision);
    if (!sender.ok()) return sender.status();
    if (sender->must_ask) {
      Decision question;
      question.Ask(std::move(sender->question));
      return question;
    }
    message.set_author_kind(sender->author_kind);
    message.set_author_id(sender->contact_id);
    if (sender->author_kind == ty::AUTHOR_KIND_THIRD_PARTY) message.set_sender_address(canonical);
  } else if (by_requester && message.author_id().empty()) {
    message.set_author_id(before.contact_id());
  } else {
    People people(in, view);
    absl::Status named;
    if (request.author_kind() == ty::AUTHOR_KIND_AGENT) {
      named = people.NameStaff(request.author_id());
    } else if (request.author_id() != before.contact_id()) {
      named = people.NameContact(request.author_id(), before.account_id());
    }
    if (!named.ok()) return named;
    if (people.MustAsk()) return people.Ask();
    if (const absl::Status known = people.Verdict(); !known.ok()) return known;
    people.Remember(decision);
  }
  const ty::AuthorKind author = message.author_kind();
  const bool is_customer = author == ty::AUTHOR_KIND_REQUESTER;
  message.set_visibility(request.visibility());
  message.set_text(request.text());
  *message.mutable_attachments() = request.attachments();
  message.set_thread_ref(request.thread_ref());

  const bool thank_you =
      (is_customer || author == ty::AUTHOR_KIND_THIRD_PARTY) && rules.IsThankYou(request.text());
  const MessageEffect effect = EffectOf(before.state(), author, request.visibility(), thank_you,
                                        rules.third_party_reopens());
  if (effect == MessageEffect::kFollowUp) {
    return FollowUp(target, std::move(message), request, *policy, in, view, std::move(decision));
  }
  if (effect == MessageEffect::kRefused) {
    return corridor::FailedPrecondition(
        "TICKET_CLOSED",
        absl::StrCat("ticket ", target.key, " is ", Absl(StateName(before.state())),
                     "; only its requester may write on, in a new ticket"),
        {{"ticket_id", target.key}, {"state", std::string(StateName(before.state()))}});
  }
  if (const absl::Status room = CheckRoomForMessages(rules, *target, 1); !room.ok()) return room;
  if (request.new_state() != ty::TICKET_STATE_UNSPECIFIED) {
    const absl::Status moves = CheckMove(before.state(), request.new_state());
    if (!moves.ok()) return moves;
  }
  if (is_customer) {
    message.set_frustration_rule(std::string(rules.FrustrationIn(request.text())));
  }

  TicketChange change(target, in.now, &decision);
  if (!request.thread_ref().empty()) {
    auto name = view.Load(Names(), ThreadKey(request.thread_ref()));
    if (!name.ok()) return name.status();
    if (*name) {
      return corridor::WithReason(absl::AlreadyExistsError(absl::StrCat(
                                      "the thread_ref belongs to ticket ", (*name)->ticket_id())),
                                  "NAME_TAKEN");
    }
    const absl::Status named =
        ClaimName(view, decision, "thread_ref", ThreadKey(request.thread_ref()), change.id());
    if (!named.ok()) return named;
  }
  iv::AddMessageResponse reply;
  reply.set_message_id(message.message_id());
  reply.set_thank_you(effect == MessageEffect::kThanks);
  reply.set_reopened(effect == MessageEffect::kReopens);
  reply.set_author_kind(author);
  reply.set_author_id(message.author_id());
  if (target.key != asked_for) reply.set_follow_up_of(asked_for);
  change.Post(std::move(message), effect == MessageEffect::kThanks);
  if (effect == MessageEffect::kReopens) {
    const absl::Status noted = NoteReopened(*target, view, decision);
    if (!noted.ok()) return noted;
    change.Reopen();
  }
  if (request.new_state() != ty::TICKET_STATE_UNSPECIFIED) {
    change.Move(request.new_state());
  } else if (effect == MessageEffect::kOpens) {
    change.Move(ty::TICKET_STATE_OPEN);
  }
  reply.set_ticket_id(change.id());
  reply.set_version(change.version());
  reply.set_state(change.ticket().state());
  *reply.mutable_posted_at() = time::Stamp(change.at());
  decision.Reply(std::move(reply));
  change.Save();
  return decision;
}

absl::Status ValidateUpdateTicket(const iv::UpdateTicketRequest& request) {
  Violations violations;
  violations.Id("request_id", request.request_id());
  violations.Id("ticket_id", request.ticket_id());
  violations.Require(request.version() >= 0, "version", "must not be negative");
  violations.Id("staff_id", request.staff_id(), true);
  CheckUpdate(request.ticket(), request.update_mask(), violations);
  return violations.status();
}

absl::StatusOr<Decision> UpdateTicket(const iv::UpdateTicketRequest& request, const Inputs& in,
                                      View& view, const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  auto loaded = LoadVersion(view, request.ticket_id(), request.version());
  if (!loaded.ok()) return loaded.status();
  const iv::Ticket& before = (*loaded)->ticket();
  if (before.state() == ty::TICKET_STATE_CLOSED || before.state() == ty::TICKET_STATE_MERGED) {
    return corridor::FailedPrecondition(
        "TICKET_STATE",
        absl::StrCat("a ticket in ", Absl(StateName(before.state())), " cannot be changed"));
  }
  const bool moves = Names(request.update_mask(), "state");
  if (moves) {
    const absl::Status allowed = CheckMove(before.state(), request.ticket().state());
    if (!allowed.ok()) return allowed;
  }

  // Another requester: the account follows the contact.
  records::KnownRequesterRecord known;
  const bool gives_requester = Names(request.update_mask(), "contact_id") &&
                               request.ticket().contact_id() != before.contact_id();
  People people(in, view);
  if (const absl::Status named = people.NameStaff(request.staff_id()); !named.ok()) return named;
  if (Names(request.update_mask(), "watcher_contact_ids")) {
    const std::set<std::string> watching(before.watcher_contact_ids().begin(),
                                         before.watcher_contact_ids().end());
    for (const std::string& watcher : request.ticket().watcher_contact_ids()) {
      if (watching.contains(watcher)) continue;
      if (const absl::Status named = people.NameContact(watcher); !named.ok()) return named;
    }
  }
  const bool asks_requester = gives_requester && !in.answers->Has(kRequesterQuestion);
  if (asks_requester || people.MustAsk()) {
    Decision questions = people.Ask();
    if (asks_requester) {
      iv::Requester requester;
      requester.set_contact_id(request.ticket().contact_id());
      questions.Ask(LookUpRequester(std::string(kRequesterQuestion), requester, in.cause));
    }
    return questions;
  }
  if (const absl::Status all = people.Verdict(); !all.ok()) return all;
  if (gives_requester) {
    auto told = ReadRequesterAnswer(in);
    if (!told.ok()) return told.status();
    if (told->kind == RequesterAnswer::Kind::kUnreachable) {
      return AccountHealthUnreachable(absl::StrCat("contact ", request.ticket().contact_id()));
    }
    if (told->kind == RequesterAnswer::Kind::kUnresolved) {
      return corridor::NotFound("contact", request.ticket().contact_id());
    }
    known = std::move(told->known);
  }

  Decision decision;
  people.Remember(decision);
  TicketChange change(*loaded, in.now, &decision);
  std::vector<std::string> changed =
      ApplyMask(request.ticket(), request.update_mask(), change.ticket());
  if (const absl::Status watchers = CheckWatchers(*policy->made, change.ticket()); !watchers.ok()) {
    return watchers;
  }
  if (std::find(changed.begin(), changed.end(), "external_ids") != changed.end()) {
    std::set<std::string> keep;
    for (const ty::ExternalId& external_id : change.ticket().external_ids()) {
      keep.insert(ExternalIdKey(external_id));
    }
    for (const ty::ExternalId& external_id : before.external_ids()) {
      const std::string key = ExternalIdKey(external_id);
      if (keep.contains(key)) continue;
      auto name = view.Load(Names(), key);
      if (!name.ok()) return name.status();
      if (*name) decision.Erase(Names(), key);
    }
    for (const std::string& key : keep) {
      const absl::Status named = ClaimName(view, decision, "external id", key, change.id());
      if (!named.ok()) return named;
    }
  }

  bool facts = false;
  std::string previous_account;
  if (gives_requester) {
    if (before.contact_id().empty()) {
      change.GiveRequester(known);
      facts = true;
    } else {
      if (before.account_id() != known.account_id()) {
        previous_account = before.account_id();
        changed.push_back("account_id");
      }
      changed.push_back("contact_id");
      SetRequester(change.record(), known);
      change.record().clear_address_key();  // it was the other's
    }
  }
  if (!changed.empty()) {
    events::v1::TicketUpdated updated = UpdatedEvent(change, changed);
    updated.set_previous_account_id(previous_account);
    change.Publish(std::move(updated));
    facts = true;
  }
  if (moves && request.ticket().state() != before.state()) {
    change.Move(request.ticket().state());
    changed.push_back("state");
    facts = true;
  }
  if (facts && before.contact_id().empty() && gives_requester) changed.push_back("contact_id");

  iv::UpdateTicketResponse reply;
  if (facts) change.ReviewContext(*policy->made, policy->ref, in.ids->Next("msg"));
  std::sort(changed.begin(), changed.end());
  *reply.mutable_changed_fields() = {changed.begin(), changed.end()};
  reply.set_ticket_id(change.id());
  reply.set_version(facts ? change.version() : loaded->version);
  reply.set_state(change.ticket().state());
  reply.set_account_id(change.ticket().account_id());
  *reply.mutable_missing_fields() = change.ticket().missing_fields();
  decision.Reply(std::move(reply));
  if (facts) change.Save();
  return decision;
}

absl::Status ValidateConfirmProblem(const iv::ConfirmProblemRequest& request) {
  Violations violations;
  violations.Id("request_id", request.request_id());
  violations.Id("ticket_id", request.ticket_id());
  violations.Require(request.version() >= 0, "version", "must not be negative");
  violations.Text("statement", request.statement(), kMaxContextBytes);
  violations.Id("staff_id", request.staff_id());
  return violations.status();
}

absl::StatusOr<Decision> ConfirmProblem(const iv::ConfirmProblemRequest& request, const Inputs& in,
                                        View& view) {
  auto loaded = LoadVersion(view, request.ticket_id(), request.version());
  if (!loaded.ok()) return loaded.status();
  if ((*loaded)->ticket().state() == ty::TICKET_STATE_CLOSED) {
    return corridor::FailedPrecondition("TICKET_STATE", "a closed ticket cannot be changed");
  }
  People people(in, view);
  if (const absl::Status named = people.NameStaff(request.staff_id()); !named.ok()) return named;
  if (people.MustAsk()) return people.Ask();
  if (const absl::Status known = people.Verdict(); !known.ok()) return known;
  Decision decision;
  people.Remember(decision);
  TicketChange change(*loaded, in.now, &decision);
  iv::ConfirmedProblem& problem = *change.ticket().mutable_confirmed_problem();
  problem.set_statement(request.statement());
  problem.set_staff_id(request.staff_id());
  *problem.mutable_confirmed_at() = time::Stamp(change.at());
  change.Publish(UpdatedEvent(change, {"confirmed_problem"}));
  iv::ConfirmProblemResponse reply;
  reply.set_ticket_id(change.id());
  reply.set_version(change.version());
  *reply.mutable_confirmed_at() = problem.confirmed_at();
  decision.Reply(std::move(reply));
  change.Save();
  return decision;
}

absl::Status ValidateResolveTicket(const iv::ResolveTicketRequest& request) {
  Violations violations;
  violations.Id("request_id", request.request_id());
  violations.Id("ticket_id", request.ticket_id());
  violations.Require(request.version() >= 0, "version", "must not be negative");
  violations.Require(request.resolved_by() != ty::RESOLVED_BY_UNSPECIFIED, "resolved_by",
                     "is missing");
  violations.Require(IsCode(request.resolution_code()), "resolution_code",
                     "must be 1 to 64 bytes of [A-Za-z0-9_.-]");
  violations.Text("answer", request.answer(), kMaxMessageBytes, true);
  violations.Id("staff_id", request.staff_id(), request.resolved_by() != ty::RESOLVED_BY_AGENT);
  return violations.status();
}

absl::StatusOr<Decision> ResolveTicket(const iv::ResolveTicketRequest& request, const Inputs& in,
                                       View& view, const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  auto loaded = LoadVersion(view, request.ticket_id(), request.version());
  if (!loaded.ok()) return loaded.status();
  const TicketRecord& before = **loaded;
  const bool self_service = request.resolved_by() == ty::RESOLVED_BY_SELF_SERVICE;

  People people(in, view);
  if (const absl::Status named = people.NameStaff(request.staff_id()); !named.ok()) return named;
  Decision asks = people.Ask();
  std::string assignee;
  if (!self_service && IsUnresolved(before.ticket().state())) {
    auto triage_view = view.Load(TriageViews(), loaded->key);
    if (!triage_view.ok()) return triage_view.status();
    if (*triage_view) assignee = (*triage_view)->assignee_id();
    if (assignee.empty()) {
      // Whoever claims and at once resolves is faster than the event about the claim.
      if (!in.answers->Has(kAssigneeQuestion)) {
        auto ask = std::make_shared<triage::v1::GetTriageRequest>();
        ask->set_ticket_id(loaded->key);
        corridor::Question question;
        question.name = std::string(kAssigneeQuestion);
        question.method = "tandem.triage.v1.TriageService/GetTriage";
        question.request = std::move(ask);
        asks.Ask(std::move(question));
        return asks;
      }
      const auto told = in.answers->Get<triage::v1::GetTriageResponse>(kAssigneeQuestion);
      if (told.ok()) {
        assignee = (*told)->assignee_id();
      } else if (absl::IsFailedPrecondition(told.status())) {
        return told.status();  // its facts are parked over there
      } else if (!absl::IsNotFound(told.status())) {
        return corridor::WithRetryAfter(
            corridor::WithReason(
                absl::UnavailableError("triage cannot be asked who owns the ticket now"),
                "TRIAGE_UNREACHABLE"),
            absl::Seconds(1));
      }
    }
  }
  if (!asks.questions.empty()) return asks;
  if (const absl::Status known = people.Verdict(); !known.ok()) return known;
  const bool answers = !request.answer().empty();
  ResolutionGrounds grounds;
  grounds.state = before.ticket().state();
  grounds.resolved_by = request.resolved_by();
  grounds.has_assignee = !assignee.empty();
  grounds.has_agent_answer = before.has_agent_answer() || (answers && !self_service);
  grounds.has_automatic_answer = before.has_automatic_answer() || (answers && self_service);
  if (const absl::Status allowed = CheckResolve(grounds); !allowed.ok()) return allowed;
  if (answers) {
    if (const absl::Status limits = CheckMessageLimits(*policy->made, request.answer(), {});
        !limits.ok()) {
      return limits;
    }
    const absl::Status room = CheckRoomForMessages(*policy->made, before, 1);
    if (!room.ok()) return room;
  }

  Decision decision;
  people.Remember(decision);
  if (const absl::Status noted = NoteResolved(before, view, decision); !noted.ok()) return noted;
  TicketChange change(*loaded, in.now, &decision);
  iv::ResolveTicketResponse reply;
  if (answers) {
    TicketMessage answer;
    answer.set_message_id(in.ids->Next("msg"));
    answer.set_author_kind(self_service ? ty::AUTHOR_KIND_SYSTEM : ty::AUTHOR_KIND_AGENT);
    if (!self_service) answer.set_author_id(request.staff_id());
    answer.set_visibility(ty::VISIBILITY_PUBLIC);
    answer.set_text(request.answer());
    reply.set_message_id(answer.message_id());
    change.Post(std::move(answer));
  }
  iv::Ticket& ticket = change.ticket();
  if (ticket.suspected_spam() && !self_service) {
    // Who works on it to the end has confirmed that it is none.
    ticket.set_suspected_spam(false);
    change.Publish(UpdatedEvent(change, {"suspected_spam"}));
  }
  events::v1::TicketResolved resolved;
  resolved.set_from_state(ticket.state());
  ticket.set_state(ty::TICKET_STATE_RESOLVED);
  ticket.set_resolved_by(request.resolved_by());
  ticket.set_resolution_code(request.resolution_code());
  ticket.set_resolutions(ticket.resolutions() + 1);
  *ticket.mutable_resolved_at() = time::Stamp(change.at());
  resolved.set_resolved_by(request.resolved_by());
  resolved.set_assignee_id(assignee);
  resolved.set_resolution_code(request.resolution_code());
  resolved.set_resolution(ticket.resolutions());
  resolved.set_contact_id(ticket.contact_id());
  resolved.set_problem_confirmed(ticket.has_confirmed_problem());
  change.Publish(std::move(resolved));
  const absl::Duration close_after = policy->made->auto_close_after();
  if (close_after != absl::InfiniteDuration()) {
    records::AutoCloseTimer timer;
    timer.set_ticket_id(change.id());
    timer.set_resolution(ticket.resolutions());
    decision.SetTimer(AutoCloseTimerId(change.id()), change.at() + close_after,
                      std::string(kAutoClose), ticket.bus_key(), std::move(timer));
    *reply.mutable_closes_at() = time::Stamp(change.at() + close_after);
  }
  reply.set_ticket_id(change.id());
  reply.set_version(change.version());
  *reply.mutable_resolved_at() = ticket.resolved_at();
  reply.set_resolution(ticket.resolutions());
  reply.set_assignee_id(assignee);
  decision.Reply(std::move(reply));
  change.Save();
  return decision;
}

absl::Status ValidateReopenTicket(const iv::ReopenTicketRequest& request) {
  Violations violations;
  violations.Id("request_id", request.request_id());
  violations.Id("ticket_id", request.ticket_id());
  violations.Require(request.version() >= 0, "version", "must not be negative");
  violations.Id("staff_id", request.staff_id(), true);
  return violations.status();
}

absl::StatusOr<Decision> ReopenTicket(const iv::ReopenTicketRequest& request, const Inputs& in,
                                      View& view) {
  auto loaded = LoadVersion(view, request.ticket_id(), request.version());
  if (!loaded.ok()) return loaded.status();
  if (const absl::Status allowed = CheckReopen((*loaded)->ticket().state()); !allowed.ok()) {
    return allowed;
  }
  People people(in, view);
  if (const absl::Status named = people.NameStaff(request.staff_id()); !named.ok()) return named;
  if (people.MustAsk()) return people.Ask();
  if (const absl::Status known = people.Verdict(); !known.ok()) return known;
  Decision decision;
  people.Remember(decision);
  if (const absl::Status noted = NoteReopened(**loaded, view, decision); !noted.ok()) return noted;
  TicketChange change(*loaded, in.now, &decision);
  change.Reopen();
  iv::ReopenTicketResponse reply;
  reply.set_ticket_id(change.id());
  reply.set_version(change.version());
  reply.set_state(change.ticket().state());
  reply.set_reopening(change.ticket().reopenings());
  decision.Reply(std::move(reply));
  change.Save();
  return decision;
}

absl::Status ValidateCloseTicket(const iv::CloseTicketRequest& request) {
  Violations violations;
  violations.Id("request_id", request.request_id());
  violations.Id("ticket_id", request.ticket_id());
  violations.Require(request.version() >= 0, "version", "must not be negative");
  violations.Require(
      request.reason() == ty::CLOSE_REASON_CONFIRMED || request.reason() == ty::CLOSE_REASON_SPAM,
      "reason", "must be CONFIRMED or SPAM");
  violations.Id("staff_id", request.staff_id(), true);
  return violations.status();
}

absl::StatusOr<Decision> CloseTicket(const iv::CloseTicketRequest& request, const Inputs& in,
                                     View& view, const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  auto loaded = LoadVersion(view, request.ticket_id(), request.version());
  if (!loaded.ok()) return loaded.status();
  const absl::Status allowed = CheckClose((*loaded)->ticket().state(), request.reason());
  if (!allowed.ok()) return allowed;
  People people(in, view);
  if (const absl::Status named = people.NameStaff(request.staff_id()); !named.ok()) return named;
  if (people.MustAsk()) return people.Ask();
  if (const absl::Status known = people.Verdict(); !known.ok()) return known;
  Decision decision;
  people.Remember(decision);
  TicketChange change(*loaded, in.now, &decision);
  if (request.reason() == ty::CLOSE_REASON_SPAM) {
    const absl::Status noted =
        NoteClosedAsSpam(**loaded, *policy->made, change.at(), view, decision);
    if (!noted.ok()) return noted;
  }
  change.Close(request.reason());
  iv::CloseTicketResponse reply;
  reply.set_ticket_id(change.id());
  reply.set_version(change.version());
  *reply.mutable_closed_at() = time::Stamp(change.at());
  decision.Reply(std::move(reply));
  change.Save();
  return decision;
}

}  // namespace tandem::ticket_intake
