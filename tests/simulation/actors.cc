#include "tests/simulation/actors.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/config/yaml_to_proto.h"
#include "common/plant/plant.h"
#include "common/policy/policy.h"
#include "common/policy/policy_file.h"
#include "common/time/stamp.h"
#include "services/tandem/policies.h"
#include "services/triage/records.pb.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/account/v1/outreach_service.pb.h"
#include "tandem/account/v1/policy_service.pb.h"
#include "tandem/intake/v1/policy_service.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tandem/sla/v1/policy_service.pb.h"
#include "tandem/survey/v1/policy_service.pb.h"
#include "tandem/survey/v1/survey_service.pb.h"
#include "tandem/triage/v1/policy_service.pb.h"
#include "tandem/triage/v1/staff_service.pb.h"
#include "tandem/triage/v1/triage_service.pb.h"

namespace tandem::simulation {
namespace {

namespace ac = account::v1;
namespace in = intake::v1;
namespace sv = survey::v1;
namespace tr = triage::v1;
namespace ty = type::v1;

constexpr char kLead[] = "lead";
constexpr char kManager[] = "csm";
constexpr absl::Duration kTimeout = absl::Seconds(2);

const std::string kTickets = "tandem.intake.v1.TicketService/";
const std::string kTriageService = "tandem.triage.v1.TriageService/";
const std::string kStaff = "tandem.triage.v1.StaffService/";
const std::string kAccounts = "tandem.account.v1.AccountService/";
const std::string kOutreach = "tandem.account.v1.OutreachService/";
const std::string kSurveys = "tandem.survey.v1.SurveyService/";

// The shares of the incident log in tests/data: 2,943 rows, of which 7.5 % have high impact and 88
// % medium, 6 % high urgency and 91 % medium. `severe` more of them are high.
int Level(Dice& dice, double high, double medium, double severe) {
  const double at = dice.Unit();
  return dice.Chance(severe) || at < high ? 1 : at < high + medium ? 2 : 3;
}

// Holidays and dates with hours of their own, within the days that the world lasts.
void AddSpecialDays(const Plan& plan, Dice dice, sla::v1::SlaPolicy& policy) {
  const absl::TimeZone utc = absl::UTCTimeZone();
  const absl::CivilDay last = absl::ToCivilDay(plan.start + plan.length, utc) + 2;
  for (sla::v1::Calendar& calendar : *policy.mutable_calendars()) {
    if (calendar.always_open()) continue;
    for (absl::CivilDay day = absl::ToCivilDay(plan.start, utc); day <= last; ++day) {
      if (!dice.Chance(0.35)) continue;
      const std::string date = absl::FormatCivilTime(day);
      const bool is_annual_one =
          (day.month() == 1 && day.day() == 1) || (day.month() == 12 && day.day() == 25);
      if (dice.Chance(0.3)) {
        if (!is_annual_one) calendar.add_holidays()->set_date(date);
        continue;
      }
      sla::v1::DateOverride& own = *calendar.add_overrides();
      own.set_date(date);
      constexpr std::pair<const char*, const char*> kHours[] = {
          {"06:00", "12:30"}, {"11:00", "11:15"}, {"00:00", "24:00"}, {"21:00", "03:00"}};
      const auto& [opens, closes] = kHours[dice.Below(std::size(kHours))];
      sla::v1::DayInterval& hours = *own.add_intervals();
      hours.set_start(opens);
      hours.set_end(closes);
    }
  }
}

// What may go well when it is sent again.
bool IsPassing(absl::StatusCode code) {
  return code == absl::StatusCode::kUnavailable || code == absl::StatusCode::kDeadlineExceeded ||
         code == absl::StatusCode::kResourceExhausted || code == absl::StatusCode::kAborted ||
         code == absl::StatusCode::kCancelled;
}

void SetRequestId(google::protobuf::Message& message, const std::string& id) {
  const auto* field = message.GetDescriptor()->FindFieldByName("request_id");
  if (field != nullptr) message.GetReflection()->SetString(&message, field, id);
}

tr::Staff Staff(const std::string& id, ty::StaffFunction function, ty::StaffRole role) {
  tr::Staff staff;
  staff.set_staff_id(id);
  staff.set_function(function);
  staff.add_roles(role);
  staff.set_display_name(absl::StrCat(std::string(kCanary), " ", id));
  staff.set_support_level(ty::SUPPORT_LEVEL_L3);
  staff.set_active(true);
  staff.set_available(true);
  return staff;
}

}  // namespace

struct Actors::Sending {
  CallRecord* record = nullptr;
  std::shared_ptr<Message> message;
  Then then;
  absl::Time patience_ends;
};

Actors::Actors(World* world)
    : world_(*world),
      plan_(world->plan()),
      stories_(static_cast<size_t>(plan_.tickets + plan_.nuisances)),
      jitter_(plan_.seed, "jitter") {}

// ---- calls

void Actors::Send(const std::string& method, std::shared_ptr<Message> message, int ticket,
                  Then then) {
  auto sending = std::make_shared<Sending>();
  sending->record = world_.ledger().NewCall();
  sending->record->method = method;
  sending->record->request_id = absl::StrCat("rq-", ++requests_);
  sending->record->sent_at = world_.Now();
  sending->record->ticket = ticket;
  SetRequestId(*message, sending->record->request_id);
  sending->record->request = message;
  sending->message = std::move(message);
  sending->then = std::move(then);
  sending->patience_ends = world_.Now() + absl::Minutes(5) + plan_.pace * 3;
  ++world_.open_calls;
  Attempt(sending);
}

void Actors::Attempt(const std::shared_ptr<Sending>& sending) {
  CallRecord& record = *sending->record;
  if (record.attempts > 0 && plant::Has(plant::Mistake::kRetryWithoutId)) {
    // A copy: the first one is still on its way.
    std::shared_ptr<Message> copy(sending->message->New());
    copy->CopyFrom(*sending->message);
    SetRequestId(*copy, absl::StrCat("rq-", ++requests_));
    sending->message = std::move(copy);
  }
  ++record.attempts;
  world_.ledger().Tell(
      absl::StrCat("asked, attempt ", record.attempts, ": ", record.method, " ", record.request_id),
      world_.ledger().is_tracing() ? sending->message->ShortDebugString() : "");
  world_.network().Send(nullptr, "actor", kTimeout, record.method, sending->message,
                        [this, sending](absl::StatusOr<corridor::MessagePtr> reply) {
                          Answered(sending, std::move(reply));
                        });
}

void Actors::Answered(const std::shared_ptr<Sending>& sending,
                      absl::StatusOr<corridor::MessagePtr> reply) {
  CallRecord& record = *sending->record;
  if (!reply.ok() && IsPassing(reply.status().code())) {
    if (world_.Now() < sending->patience_ends) {
      const absl::Duration most = std::min<absl::Duration>(
          absl::Milliseconds(100) * (1 << std::min(record.attempts, 7)), absl::Seconds(10));
      world_.outside().PostAt(world_.Now() + jitter_.Between(most / 2, most),
                              [this, sending] { Attempt(sending); });
      return;
    }
    reply = absl::UnknownError(std::string(reply.status().message()));
  }
  if (absl::IsInternal(reply.status()) || absl::IsDataLoss(reply.status())) {
    world_.ledger().Fail(absl::StrCat(record.method, " ", record.request_id, " is answered ",
                                      std::string(reply.status().ToString())));
  }
  --world_.open_calls;
  record.answered_at = world_.Now();
  record.status = reply.status();
  if (reply.ok()) record.reply = *reply;
  world_.ledger().Tell(absl::StrCat("answered: ", record.method, " ", record.request_id, ": ",
                                    reply.ok() ? (*reply)->ShortDebugString()
                                               : std::string(reply.status().ToString())),
                       world_.ledger().is_tracing() ? sending->message->ShortDebugString() : "");
  if (sending->then) sending->then(reply.ok() ? reply->get() : nullptr);
}

void Actors::Await() {
  const absl::Time limit = world_.Now() + absl::Minutes(15) + plan_.pace * 10;
  while (world_.open_calls > 0 && world_.Now() < limit && !world_.ledger().failure().has_value()) {
    world_.RunFor(absl::Milliseconds(50));
  }
}

std::string Actors::NewText(const std::string& about) {
  return absl::StrCat(about, " ", std::string(kCanary), " ", ++texts_, ".");
}

std::string Actors::Agent(Dice& dice) const {
  return absl::StrCat("agent", dice.Below(static_cast<uint64_t>(plan_.agents)));
}

// ---- before anything happens

std::shared_ptr<google::protobuf::Message> Actors::PolicyOf(const std::string& kind) {
  for (const policy::PolicyFile& file : programs::BuiltInPolicies()) {
    if (file.kind != kind) continue;
    config::SourceLines lines;
    absl::StatusOr<std::unique_ptr<Message>> request =
        policy::PolicyRequest(file, "ApplyPolicy", &lines);
    if (!request.ok()) {
      world_.ledger().Fail(std::string(request.status().message()));
      break;
    }
    std::shared_ptr<Message> message = *std::move(request);
    if (auto* intake = dynamic_cast<in::ApplyPolicyRequest*>(message.get())) {
      *intake->mutable_policy()->mutable_auto_close_after() = time::StampSpan(plan_.auto_close);
    } else if (auto* survey = dynamic_cast<sv::ApplyPolicyRequest*>(message.get())) {
      for (sv::SurveyRule& rule : *survey->mutable_policy()->mutable_rules()) {
        *rule.mutable_delay() = time::StampSpan(plan_.survey_delay);
        *rule.mutable_reminder_after() = time::StampSpan(plan_.reminder_after);
        *rule.mutable_expires_after() = time::StampSpan(plan_.expires_after);
        if (plan_.survey_at_resolution) rule.set_trigger(sv::SURVEY_TRIGGER_RESOLVED);
      }
      *survey->mutable_policy()->mutable_retry_every() = time::StampSpan(plan_.retry_every);
      *survey->mutable_policy()->mutable_retry_for() = time::StampSpan(plan_.retry_for);
    } else if (auto* sla = dynamic_cast<sla::v1::ApplyPolicyRequest*>(message.get())) {
      // Each minute of each day would be most of the work.
      *sla->mutable_policy()->mutable_verification()->mutable_every() =
          time::StampSpan(std::max<absl::Duration>(absl::Minutes(5), plan_.length / 20));
    }
    return message;
  }
  return nullptr;
}

void Actors::SetUp() {
  for (const std::string& kind : programs::PolicyKinds()) {
    if (std::shared_ptr<Message> message = PolicyOf(kind)) {
      if (auto* sla = dynamic_cast<sla::v1::ApplyPolicyRequest*>(message.get())) {
        AddSpecialDays(plan_, Dice(plan_.seed, "days"), *sla->mutable_policy());
      }
      Send(absl::StrCat("tandem.", kind, ".v1.PolicyService/ApplyPolicy"), std::move(message), -1,
           nullptr);
    }
  }
  Await();
  std::vector<tr::Staff> staff = {
      Staff(kLead, ty::STAFF_FUNCTION_SUPPORT, ty::STAFF_ROLE_SUPPORT_LEAD),
      Staff(kManager, ty::STAFF_FUNCTION_CSM, ty::STAFF_ROLE_CSM)};
  Dice dice(plan_.seed, "set-up");
  for (int i = 0; i < plan_.agents; ++i) {
    staff.push_back(
        Staff(absl::StrCat("agent", i), ty::STAFF_FUNCTION_SUPPORT, ty::STAFF_ROLE_SUPPORT_AGENT));
    staff.back().add_queues("support");
    staff.back().add_queues("incidents");
    staff.back().set_capacity(dice.Chance(0.5) ? 0 : dice.Int(3, 12));
    agents_.push_back(staff.back());
  }
  for (const tr::Staff& one : staff) {
    tr::PutStaffRequest request;
    *request.mutable_staff() = one;
    Call(kStaff + "PutStaff", request);
  }
  for (int i = 0; i < plan_.accounts; ++i) {
    ac::PutAccountRequest request;
    ac::Account& account = *request.mutable_account();
    account.set_account_id(absl::StrCat("acct", i));
    account.set_display_name(absl::StrCat(std::string(kCanary), " Ltd ", i));
    account.set_segment(static_cast<ty::Segment>(dice.Int(1, 3)));
    account.set_stage(ty::JOURNEY_STAGE_LOYALTY);
    account.add_domains(absl::StrCat("a", i, ".", std::string(kCanary), ".example"));
    Call(kAccounts + "PutAccount", request);
  }
  Await();
  Dice letters(plan_.seed, "addresses");
  // A company's, so that a contact is made of it, or nobody's.
  nuisance_ = absl::StrCat("nuisance@", letters.Chance(0.75) ? "a0." : "", std::string(kCanary),
                           ".example");
  for (int i = 0; i < plan_.accounts; ++i) {
    ac::PutAccountTeamRequest team;
    team.set_account_id(absl::StrCat("acct", i));
    ac::TeamMember& manager = *team.add_members();
    manager.set_role(ty::STAFF_ROLE_CSM);
    manager.set_staff_id(kManager);
    ac::TeamMember& lead = *team.add_members();
    lead.set_role(ty::STAFF_ROLE_SUPPORT_LEAD);
    lead.set_staff_id(kLead);
    Call(kAccounts + "PutAccountTeam", team);
    for (int j = 0; j < plan_.contacts; ++j) {
      contacts_.push_back(
          {absl::StrCat("contact", i, "-", j),
           absl::StrCat("acct", i),
           {absl::StrCat("person", j, "@a", i, ".", std::string(kCanary), ".example")}});
      // One of a domain that no company has.
      if (letters.Chance(0.4)) {
        contacts_.back().addresses.push_back(
            absl::StrCat("private", i, "-", j, "@", std::string(kCanary), ".invalid"));
      }
      ac::PutContactRequest request;
      ac::Contact& contact = *request.mutable_contact();
      contact.set_contact_id(contacts_.back().contact_id);
      contact.set_account_id(contacts_.back().account_id);
      contact.set_display_name(absl::StrCat("Ada ", std::string(kCanary)));
      *contact.mutable_addresses() = {contacts_.back().addresses.begin(),
                                      contacts_.back().addresses.end()};
      contact.set_level(static_cast<ty::ContactLevel>(dice.Int(1, 3)));
      Call(kAccounts + "PutContact", request);
    }
  }
  Await();
  for (const CallRecord& call : world_.ledger().calls()) {
    if (!call.is_acknowledged()) {
      world_.ledger().Fail(absl::StrCat("the set-up fails: ", call.method, ": ",
                                        std::string(call.status.message())));
    }
  }
}

// ---- the workload

void Actors::Begin() {
  const absl::Time now = world_.Now();
  for (const Action& action : plan_.actions) {
    world_.outside().PostAt(now + action.at, [this, &action] { Do(action); });
  }
}

void Actors::Open(const Action& action, Dice& dice, std::string address) {
  const int number = action.ticket;
  in::OpenTicketRequest request;
  const Contact& contact = dice.Pick(contacts_);
  Dice own(action.seed, "address");
  if (address.empty() && dice.Chance(0.7) && !contact.addresses.empty()) {
    address = own.Pick(contact.addresses);
    if (!moved_.empty() && own.Chance(0.4)) address = moved_;
  }
  if (address.empty()) {
    request.mutable_requester()->set_contact_id(contact.contact_id);
  } else {
    request.mutable_requester()->set_address(address);
  }
  stories_[static_cast<size_t>(number)].address = address;
  request.set_subject(NewText("Nobody can sign in"));
  request.set_text(NewText(dice.Chance(0.1) ? "This is unacceptable" : "It says no"));
  request.set_channel(static_cast<ty::Channel>(dice.Int(1, 5)));
  request.set_impact(static_cast<ty::Impact>(Level(dice, 0.075, 0.883, plan_.severe)));
  request.set_urgency(static_cast<ty::Urgency>(Level(dice, 0.058, 0.913, plan_.severe)));
  constexpr const char* kCategories[] = {
      "", "", "defect", "outage", "security", "feature_request", "how_to"};
  request.set_category(kCategories[dice.Below(std::size(kCategories))]);
  request.set_product("api");
  request.set_internal(dice.Chance(0.04));
  request.set_affected_users(dice.Int(0, 120));
  Call(kTickets + "OpenTicket", request, number, [this, number](const Message* reply) {
    if (reply == nullptr) return;
    const auto& opened = static_cast<const in::OpenTicketResponse&>(*reply);
    Story& story = stories_[static_cast<size_t>(number)];
    story.ticket_id = opened.ticket_id();
    story.account_id = opened.account_id();
    story.contact_id = opened.contact_id();
  });
}

void Actors::Write(const Action& action, Dice& dice, const std::string& text, bool by_agent,
                   bool waits) {
  const int number = action.ticket;
  Story& story = stories_[static_cast<size_t>(number)];
  in::AddMessageRequest request;
  request.set_ticket_id(story.ticket_id);
  request.set_author_kind(by_agent ? ty::AUTHOR_KIND_AGENT : ty::AUTHOR_KIND_REQUESTER);
  if (by_agent) request.set_author_id(Agent(dice));
  request.set_visibility(by_agent && dice.Chance(0.15) ? ty::VISIBILITY_INTERNAL
                                                       : ty::VISIBILITY_PUBLIC);
  request.set_text(NewText(text));
  if (waits)
    request.set_new_state(dice.Chance(0.8) ? ty::TICKET_STATE_PENDING : ty::TICKET_STATE_ON_HOLD);
  Call(kTickets + "AddMessage", request, number, [this, number](const Message* reply) {
    if (reply == nullptr) return;
    // A message on a closed ticket goes to the one that follows it up.
    stories_[static_cast<size_t>(number)].ticket_id =
        static_cast<const in::AddMessageResponse&>(*reply).ticket_id();
  });
}

// Who it was is told by the address alone: the requester, a colleague, somebody of another company,
// or a stranger.
void Actors::WriteFrom(const Action& action, Dice& dice) {
  const int number = action.ticket;
  const Story& story = stories_[static_cast<size_t>(number)];
  const Contact& contact = dice.Pick(contacts_);
  const double who = dice.Unit();
  std::string address =
      absl::StrCat("passer-by", dice.Int(0, 2), "@", std::string(kCanary), ".invalid");
  if (who < 0.3 && !contact.addresses.empty()) {
    address = dice.Pick(contact.addresses);
  } else if (who < 0.45 && !moved_.empty()) {
    address = moved_;
  } else if (who < 0.6 && !story.address.empty()) {
    address = story.address;
  }
  constexpr const char* kTexts[] = {"It still says no", "Thank you",
                                    "This is the third time, unacceptable"};
  in::AddMessageRequest request;
  request.set_ticket_id(story.ticket_id);
  request.set_author_kind(ty::AUTHOR_KIND_REQUESTER);
  request.set_visibility(ty::VISIBILITY_PUBLIC);
  request.set_text(NewText(kTexts[dice.Below(std::size(kTexts))]));
  request.set_sender_address(address);
  Call(kTickets + "AddMessage", request, number, [this, number](const Message* reply) {
    if (reply == nullptr) return;
    stories_[static_cast<size_t>(number)].ticket_id =
        static_cast<const in::AddMessageResponse&>(*reply).ticket_id();
  });
}

void Actors::PutAddresses(size_t contact, Then then) {
  const Contact& known = contacts_[contact];
  ac::PutContactRequest request;
  request.mutable_contact()->set_contact_id(known.contact_id);
  request.mutable_contact()->set_account_id(known.account_id);
  *request.mutable_contact()->mutable_addresses() = {known.addresses.begin(),
                                                     known.addresses.end()};
  request.mutable_update_mask()->add_paths("addresses");
  Call(kAccounts + "PutContact", request, -1, std::move(then));
}

// One is given the address before or after the other gives it up: between the two it is both's, or
// nobody's.
void Actors::MoveAddress(Dice& dice) {
  constexpr size_t kMostAddresses = 10;
  const size_t from = dice.Below(contacts_.size());
  size_t to = dice.Below(contacts_.size());
  if (dice.Chance(0.25)) {
    to = contacts_.size();
    const std::string account = absl::StrCat("acct", dice.Int(0, plan_.accounts - 1));
    contacts_.push_back({absl::StrCat("contact-new", to), account, {}});
  }
  if (contacts_[to].addresses.size() >= kMostAddresses) return;
  if (!strangers_.empty() && dice.Chance(0.25)) {
    moved_ = dice.Pick(strangers_);
    std::erase(contacts_[to].addresses, moved_);
    contacts_[to].addresses.push_back(moved_);
    return PutAddresses(to);
  }
  if (from == to || contacts_[from].addresses.empty()) return;
  moved_ = dice.Pick(contacts_[from].addresses);
  std::erase(contacts_[from].addresses, moved_);
  std::erase(contacts_[to].addresses, moved_);
  contacts_[to].addresses.push_back(moved_);
  const bool is_given_first = dice.Chance(0.5);
  PutAddresses(is_given_first ? to : from,
               [this, other = is_given_first ? from : to](const Message*) { PutAddresses(other); });
}

void Actors::Check(const std::string& account_id, const std::string& contact_id, Dice& dice,
                   ty::OutreachTopic topic) {
  ac::CheckOutreachRequest request;
  request.set_account_id(account_id);
  request.set_contact_id(contact_id);
  request.set_topic(dice.Chance(0.75)
                        ? static_cast<ty::OutreachTopic>(
                              dice.Int(ty::OUTREACH_TOPIC_RENEWAL, ty::OUTREACH_TOPIC_ADVOCACY))
                        : static_cast<ty::OutreachTopic>(dice.Int(1, 10)));
  if (topic != ty::OUTREACH_TOPIC_UNSPECIFIED) request.set_topic(topic);
  request.set_staff_id(kManager);
  request.set_preview(dice.Chance(0.1));
  const bool gives_back = dice.Chance(0.15);
  Call(kOutreach + "CheckOutreach", request, -1, [this, gives_back](const Message* reply) {
    if (reply == nullptr || !gives_back) return;
    const auto& answer = static_cast<const ac::CheckOutreachResponse&>(*reply);
    if (answer.clearance_state() != ac::CLEARANCE_STATE_STANDING) return;
    ac::ReleaseClearanceRequest release;
    release.set_clearance_id(answer.clearance_id());
    release.set_staff_id(kManager);
    Call(kOutreach + "ReleaseClearance", release);
  });
}

void Actors::Touch(const Contact& contact, ty::OutreachTopic topic, bool inbound) {
  ac::RecordTouchRequest request;
  request.set_account_id(contact.account_id);
  request.set_contact_id(contact.contact_id);
  request.set_topic(topic);
  request.set_staff_id(kManager);
  request.set_inbound(inbound);
  Call(kOutreach + "RecordTouch", request);
}

void Actors::UseException(Dice& dice) {
  const Contact contact = dice.Pick(contacts_);
  const absl::Time until = world_.Now() + absl::Seconds(dice.Int(2, 40));
  ac::GrantOutreachExceptionRequest request;
  request.set_account_id(contact.account_id);
  request.set_topic(ty::OUTREACH_TOPIC_RENEWAL);
  request.set_reason(NewText("They asked us to"));
  *request.mutable_until() = time::Stamp(until);
  request.set_staff_id(kLead);
  const uint64_t seed = dice.Next();
  Call(kOutreach + "GrantOutreachException", request, -1,
       [this, contact, until, seed](const Message* reply) {
         if (reply == nullptr) return;
         Dice own(seed);
         const std::string whom = own.Chance(0.5) ? contact.contact_id : "";
         Check(contact.account_id, whom, own, ty::OUTREACH_TOPIC_RENEWAL);
         const int more = own.Int(1, 4);
         for (int i = 0; i < more; ++i) {
           const absl::Time at = until + own.Between(absl::Seconds(-5), absl::Seconds(20));
           world_.outside().PostAt(
               std::max(at, world_.Now()), [this, contact, whom, once = own.Next()] {
                 Dice later(once);
                 if (later.Chance(0.6)) {
                   return Touch(contact, ty::OUTREACH_TOPIC_RENEWAL, /*inbound=*/false);
                 }
                 Check(contact.account_id, whom, later, ty::OUTREACH_TOPIC_RENEWAL);
               });
         }
       });
}

void Actors::Do(const Action& action) {
  Dice dice(action.seed);
  Story none;
  Story& story = action.ticket < 0 ? none : stories_[static_cast<size_t>(action.ticket)];
  const int number = action.ticket;
  switch (action.act) {
    case Act::kOpen:
      return Open(action, dice);
    case Act::kOpenByStranger:
      strangers_.push_back(absl::StrCat("stranger", number, "@", std::string(kCanary), ".invalid"));
      return Open(action, dice, strangers_.back());
    case Act::kOpenNuisance:
      return Open(action, dice, nuisance_);
    case Act::kCheckWhileOpening: {
      // As near to the opening as a few milliseconds, before it, and before and after its event is
      // known.
      const int checks = dice.Int(1, 6);
      for (int i = 0; i < checks; ++i) {
        const Contact contact = dice.Pick(contacts_);
        const uint64_t seed = dice.Next();
        world_.outside().PostAt(
            world_.Now() + dice.Between(absl::ZeroDuration(),
                                        absl::Milliseconds(dice.Chance(0.7) ? 30 : 3000)),
            [this, contact, seed] {
              Dice own(seed);
              Check(contact.account_id, own.Chance(0.5) ? "" : contact.contact_id, own);
            });
      }
      world_.outside().PostAt(world_.Now() + absl::Milliseconds(15), [this, &action] {
        Dice own(action.seed + 1);
        Open(action, own);
      });
      return;
    }
    case Act::kCheck: {
      const Contact& contact = dice.Pick(contacts_);
      return Check(contact.account_id, dice.Chance(0.4) ? "" : contact.contact_id, dice);
    }
    case Act::kTouch: {
      const Contact& contact = dice.Pick(contacts_);
      const auto topic = static_cast<ty::OutreachTopic>(dice.Int(1, 10));
      return Touch(contact, topic, dice.Chance(0.3));
    }
    case Act::kProve: {
      ac::ProveOutreachRequest request;
      if (dice.Chance(0.7)) request.set_account_id(dice.Pick(contacts_).account_id);
      Call(kOutreach + "ProveOutreach", request);
      return;
    }
    case Act::kGrantException: {
      if (!dice.Chance(0.5)) return;
      ac::GrantOutreachExceptionRequest request;
      request.set_account_id(dice.Pick(contacts_).account_id);
      request.set_topic(ty::OUTREACH_TOPIC_RENEWAL);
      request.set_reason(NewText("They asked us to"));
      *request.mutable_until() = time::Stamp(
          world_.Now() + (dice.Chance(0.5) ? absl::Hours(2) : absl::Seconds(dice.Int(3, 60))));
      request.set_staff_id(kLead);
      Call(kOutreach + "GrantOutreachException", request);
      return;
    }
    case Act::kUseException:
      return UseException(dice);
    case Act::kAdvanceJourney: {
      ac::AdvanceJourneyRequest request;
      request.set_account_id(dice.Pick(contacts_).account_id);
      request.set_to_stage(static_cast<ty::JourneyStage>(dice.Int(2, 7)));
      request.set_correction(dice.Chance(0.5));
      if (request.correction()) request.set_reason(NewText("Wrong stage"));
      Call(kAccounts + "AdvanceJourney", request);
      return;
    }
    case Act::kPutContact: {
      const Contact& known = dice.Pick(contacts_);
      ac::PutContactRequest request;
      ac::Contact& contact = *request.mutable_contact();
      contact.set_contact_id(known.contact_id);
      contact.set_account_id(known.account_id);
      contact.set_display_name(absl::StrCat("Ada ", std::string(kCanary), " Byron"));
      *contact.mutable_addresses() = {known.addresses.begin(), known.addresses.end()};
      contact.set_level(static_cast<ty::ContactLevel>(dice.Int(1, 3)));
      if (dice.Chance(0.2)) contact.add_opted_out(ty::OUTREACH_TOPIC_UPSELL);
      if (dice.Chance(0.5)) request.mutable_update_mask()->add_paths("*");
      Call(kAccounts + "PutContact", request);
      return;
    }
    case Act::kMoveAddress:
      return MoveAddress(dice);
    case Act::kAway: {
      tr::SetAvailabilityRequest request;
      request.set_staff_id(Agent(dice));
      request.set_available(dice.Chance(0.6));
      Call(kStaff + "SetAvailability", request);
      return;
    }
    case Act::kLeave: {
      // The first agent stays: the last shift is theirs.
      tr::Staff& agent = agents_[static_cast<size_t>(dice.Int(1, plan_.agents - 1))];
      if (agent.active() && dice.Chance(0.3)) {
        agent.clear_queues();
        agent.add_queues(dice.Chance(0.5) ? "support" : "incidents");
      } else {
        agent.set_active(!agent.active());
      }
      tr::PutStaffRequest request;
      *request.mutable_staff() = agent;
      Call(kStaff + "PutStaff", request);
      return;
    }
    case Act::kOptOut: {
      if (!dice.Chance(0.3)) return;
      sv::OptOutRequest request;
      request.set_contact_id(dice.Pick(contacts_).contact_id);
      request.set_take_back(dice.Chance(0.5));
      Call(kSurveys + "OptOut", request);
      return;
    }
    case Act::kApplyPolicy:
      return ApplyPolicy(dice);
    case Act::kApplyAsClockGoesBack: {
      world_.SetClocks(kLargestSkew);
      const std::string kind = dice.Chance(0.7) ? "sla" : "triage";
      ApplyPolicy(dice, kind, [this, &action](const Message*) {
        world_.SetClocks(-kLargestSkew);
        Dice own(action.seed + 1);
        Open(action, own);
      });
      return;
    }
    case Act::kDropInUse:
      return DropInUse(dice);
    case Act::kRetryDeadLetters:
      return SettleDeadLetters();
    case Act::kClaimNext: {
      tr::ClaimNextRequest request;
      request.set_staff_id(Agent(dice));
      request.set_queue(dice.Chance(0.7) ? "support" : "incidents");
      Call(kTriageService + "ClaimNext", request);
      return;
    }
    default:
      break;
  }
  // Everything else concerns a ticket that has been opened.
  if (story.ticket_id.empty()) return;
  switch (action.act) {
    case Act::kWrite:
      return Write(action, dice, "It still says no", false, false);
    case Act::kWriteFrom:
      return WriteFrom(action, dice);
    case Act::kComplain:
      return Write(action, dice, "This is the third time, unacceptable", false, false);
    case Act::kThank:
      return Write(action, dice, "Thank you", false, false);
    case Act::kReply:
      return Write(action, dice, "Please try again", true, false);
    case Act::kWaitForCustomer:
      return Write(action, dice, "Which version is it", true, true);
    case Act::kAnswerSurvey: {
      const std::string token = world_.mailbox().TokenFor(story.ticket_id);
      if (token.empty()) return;
      sv::AnswerSurveyRequest request;
      request.set_token(token);
      request.set_score(dice.Int(1, 5));
      request.set_text(NewText("So so"));
      Call(kSurveys + "AnswerSurvey", request, number);
      return;
    }
    case Act::kClaimTogether: {
      // Two agents, at the same instant.
      const int agents = dice.Int(2, plan_.agents);
      for (int i = 0; i < agents; ++i) {
        tr::AcceptAssignmentRequest request;
        request.set_ticket_id(story.ticket_id);
        request.set_staff_id(absl::StrCat("agent", i));
        Call(kTriageService + "AcceptAssignment", request, number);
      }
      return;
    }
    case Act::kReclassify: {
      in::UpdateTicketRequest request;
      request.set_ticket_id(story.ticket_id);
      request.mutable_ticket()->set_impact(static_cast<ty::Impact>(dice.Int(1, 3)));
      request.mutable_ticket()->set_urgency(static_cast<ty::Urgency>(dice.Int(1, 3)));
      request.mutable_update_mask()->add_paths("impact");
      request.mutable_update_mask()->add_paths("urgency");
      request.set_staff_id(Agent(dice));
      Call(kTickets + "UpdateTicket", request, number);
      return;
    }
    case Act::kMoveAccount: {
      in::UpdateTicketRequest request;
      request.set_ticket_id(story.ticket_id);
      request.mutable_ticket()->set_contact_id(dice.Pick(contacts_).contact_id);
      request.mutable_update_mask()->add_paths("contact_id");
      request.set_staff_id(Agent(dice));
      Call(kTickets + "UpdateTicket", request, number);
      return;
    }
    case Act::kConfirm: {
      in::ConfirmProblemRequest request;
      request.set_ticket_id(story.ticket_id);
      request.set_statement(NewText("They cannot sign in"));
      request.set_staff_id(Agent(dice));
      Call(kTickets + "ConfirmProblem", request, number);
      return;
    }
    case Act::kOverride: {
      tr::OverrideSeverityRequest request;
      request.set_ticket_id(story.ticket_id);
      request.set_severity(static_cast<ty::Severity>(dice.Int(0, 4)));
      request.set_staff_id(kLead);
      Call(kTriageService + "OverrideSeverity", request, number);
      return;
    }
    case Act::kReassign: {
      tr::ReassignTicketRequest request;
      request.set_ticket_id(story.ticket_id);
      request.set_staff_id(Agent(dice));
      request.set_by_staff_id(kLead);
      Call(kTriageService + "ReassignTicket", request, number);
      return;
    }
    case Act::kTransfer: {
      tr::TransferTicketRequest request;
      request.set_ticket_id(story.ticket_id);
      request.set_queue(dice.Chance(0.5) ? "support" : "incidents");
      request.set_staff_id(kLead);
      Call(kTriageService + "TransferTicket", request, number);
      return;
    }
    case Act::kEscalate: {
      tr::EscalateRequest request;
      request.set_ticket_id(story.ticket_id);
      request.set_staff_id(kLead);
      Call(kTriageService + "Escalate", request, number);
      return;
    }
    case Act::kBecomeCritical: {
      tr::OverrideSeverityRequest lesser;
      lesser.set_ticket_id(story.ticket_id);
      lesser.set_severity(static_cast<ty::Severity>(dice.Int(2, 4)));
      lesser.set_staff_id(kLead);
      const bool is_named = dice.Chance(0.2);
      Call(kTriageService + "OverrideSeverity", lesser, number,
           [this, number, is_named](const Message* reply) {
             if (reply == nullptr) return;
             const std::string ticket_id =
                 static_cast<const tr::OverrideSeverityResponse&>(*reply).ticket_id();
             tr::EscalateRequest escalate;
             escalate.set_ticket_id(ticket_id);
             escalate.set_staff_id(kLead);
             if (is_named) escalate.set_policy("ordinary");
             Call(kTriageService + "Escalate", escalate, number,
                  [this, number, ticket_id](const Message*) {
                    tr::OverrideSeverityRequest critical;
                    critical.set_ticket_id(ticket_id);
                    critical.set_severity(ty::SEVERITY_CRITICAL);
                    critical.set_staff_id(kLead);
                    Call(kTriageService + "OverrideSeverity", critical, number);
                  });
           });
      return;
    }
    case Act::kAcknowledge: {
      const std::string agent = Agent(dice);
      tr::GetTriageRequest question;
      question.set_ticket_id(story.ticket_id);
      Call(kTriageService + "GetTriage", question, number,
           [this, agent, number](const Message* reply) {
             if (reply == nullptr) return;
             const auto& triage = static_cast<const tr::GetTriageResponse&>(*reply);
             if (triage.escalation_id().empty()) return;
             tr::AcknowledgeEscalationRequest request;
             request.set_escalation_id(triage.escalation_id());
             request.set_staff_id(agent);
             Call(kTriageService + "AcknowledgeEscalation", request, number);
           });
      return;
    }
    case Act::kSelfResolve:
    case Act::kResolve: {
      in::ResolveTicketRequest request;
      request.set_ticket_id(story.ticket_id);
      const bool is_self = action.act == Act::kSelfResolve;
      request.set_resolved_by(is_self ? ty::RESOLVED_BY_SELF_SERVICE : ty::RESOLVED_BY_AGENT);
      request.set_resolution_code("FIXED");
      if (!is_self) {
        request.set_answer(NewText("It works again"));
        request.set_staff_id(Agent(dice));
      }
      Call(kTickets + "ResolveTicket", request, number);
      return;
    }
    case Act::kReopen:
    case Act::kCheckWhileReopening: {
      in::ReopenTicketRequest request;
      request.set_ticket_id(story.ticket_id);
      request.set_staff_id(Agent(dice));
      Call(kTickets + "ReopenTicket", request, number);
      if (action.act == Act::kCheckWhileReopening && !story.account_id.empty()) {
        Check(story.account_id, "", dice);
        Check(story.account_id, story.contact_id, dice);
      }
      return;
    }
    case Act::kClose:
    case Act::kSpam: {
      in::CloseTicketRequest request;
      request.set_ticket_id(story.ticket_id);
      request.set_reason(action.act == Act::kSpam ? ty::CLOSE_REASON_SPAM
                                                  : ty::CLOSE_REASON_CONFIRMED);
      request.set_staff_id(Agent(dice));
      Call(kTickets + "CloseTicket", request, number);
      return;
    }
    case Act::kNotSpam:
    case Act::kMakeInternal: {
      in::UpdateTicketRequest request;
      request.set_ticket_id(story.ticket_id);
      const bool is_review = action.act == Act::kNotSpam;
      request.mutable_ticket()->set_internal(dice.Chance(0.6));
      request.mutable_update_mask()->add_paths(is_review ? "suspected_spam" : "internal");
      request.set_staff_id(Agent(dice));
      Call(kTickets + "UpdateTicket", request, number);
      return;
    }
    case Act::kCloseFollowUp: {
      const Contact& contact = dice.Pick(contacts_);
      sv::ListFollowUpsRequest question;
      question.set_account_id(contact.account_id);
      question.set_open_only(true);
      Call(kSurveys + "ListFollowUps", question, number, [this, number](const Message* reply) {
        if (reply == nullptr) return;
        for (const sv::FollowUp& one :
             static_cast<const sv::ListFollowUpsResponse&>(*reply).follow_ups()) {
          sv::CloseFollowUpRequest request;
          request.set_follow_up_id(one.follow_up_id());
          request.set_outcome(sv::FOLLOW_UP_OUTCOME_EXPLAINED);
          request.set_staff_id(kLead);
          Call(kSurveys + "CloseFollowUp", request, number);
        }
      });
      return;
    }
    case Act::kAssignRequester: {
      const Contact contact = dice.Pick(contacts_);
      in::GetTicketRequest question;
      question.set_ticket_id(story.ticket_id);
      Call(kTickets + "GetTicket", question, number, [this, contact, number](const Message* reply) {
        if (reply == nullptr) return;
        const in::Ticket& ticket = static_cast<const in::GetTicketResponse&>(*reply).ticket();
        if (ticket.requester_id().empty()) return;
        ac::AssignRequesterRequest request;
        request.set_requester_id(ticket.requester_id());
        request.set_contact_id(contact.contact_id);
        Call(kAccounts + "AssignRequester", request, number);
      });
      return;
    }
    default:
      return;
  }
}

void Actors::ApplyPolicy(Dice& dice, std::string kind, Then then) {
  if (kind.empty()) kind = dice.Pick(programs::PolicyKinds());
  const std::shared_ptr<Message> message = PolicyOf(kind);
  if (message == nullptr) return;
  if (auto* account = dynamic_cast<ac::ApplyPolicyRequest*>(message.get())) {
    account->mutable_policy()->mutable_health()->set_hysteresis(dice.Int(0, 500));
    *account->mutable_policy()->mutable_outreach()->mutable_clearance_expiry() =
        time::StampSpan(absl::Hours(dice.Int(1, 4)));
  } else if (auto* triage = dynamic_cast<tr::ApplyPolicyRequest*>(message.get())) {
    *triage->mutable_policy()->mutable_rise_after() = time::StampSpan(absl::Hours(dice.Int(1, 8)));
  } else if (auto* sla = dynamic_cast<sla::v1::ApplyPolicyRequest*>(message.get())) {
    if (dice.Chance(0.5)) sla->mutable_policy()->set_applies_to(sla::v1::POLICY_SCOPE_OPEN_TICKETS);
    AddSpecialDays(plan_, Dice(dice.Chance(0.5) ? dice.Next() : plan_.seed, "days"),
                   *sla->mutable_policy());
    for (sla::v1::SlaRule& rule : *sla->mutable_policy()->mutable_rules()) {
      for (sla::v1::SlaTarget& target : *rule.mutable_targets()) {
        if (!target.has_budget()) continue;
        *target.mutable_budget() = time::StampSpan(time::Span(target.budget()) * dice.Int(1, 2));
        target.clear_budget_text();
      }
    }
  }
  Send(absl::StrCat("tandem.", kind, ".v1.PolicyService/ApplyPolicy"), message, -1,
       std::move(then));
}

// A queue, from which the agents were taken before or were not, or an escalation policy.
void Actors::DropInUse(Dice& dice) {
  const std::shared_ptr<Message> message = PolicyOf("triage");
  auto* const request = dynamic_cast<tr::ApplyPolicyRequest*>(message.get());
  if (request == nullptr) return;
  tr::TriagePolicy& policy = *request->mutable_policy();
  if (dice.Chance(0.6)) {
    const auto is_it = [](const auto& entry) { return entry.name() == "incidents"; };
    auto& queues = *policy.mutable_queues();
    queues.erase(std::remove_if(queues.begin(), queues.end(), is_it), queues.end());
    for (tr::RoutingRule& rule : *policy.mutable_routing()) rule.set_queue("support");
    for (tr::EscalationPolicy& escalation : *policy.mutable_escalations()) {
      for (tr::EscalationLevel& level : *escalation.mutable_levels()) {
        for (tr::EscalationTarget& target : *level.mutable_targets()) {
          if (target.has_queue()) target.set_queue("support");
        }
      }
    }
    if (dice.Chance(0.5)) {
      for (tr::Staff& agent : agents_) {
        agent.clear_queues();
        agent.add_queues("support");
        tr::PutStaffRequest put;
        *put.mutable_staff() = agent;
        Call(kStaff + "PutStaff", put);
      }
    }
  } else {
    // Who is to be rung for what is CRITICAL stays.
    constexpr const char* kOthers[] = {"executive_alignment", "urgent", "ordinary"};
    const std::string name = kOthers[dice.Below(std::size(kOthers))];
    auto& all = *policy.mutable_escalations();
    all.erase(std::remove_if(all.begin(), all.end(),
                             [&](const auto& entry) { return entry.name() == name; }),
              all.end());
  }
  world_.outside().PostAt(world_.Now() + absl::Seconds(dice.Int(0, 5)), [this, message] {
    Send("tandem.triage.v1.PolicyService/ApplyPolicy", message, -1, nullptr);
  });
}

// ---- a start with a folder of policies

absl::StatusOr<corridor::MessagePtr> Actors::AskAt(Service service, const std::string& method,
                                                   corridor::MessagePtr request) {
  Dice dice(plan_.seed + static_cast<uint64_t>(++requests_), "start");
  runtime::ServiceRuntime* const runtime = world_.AnyRuntime(service, dice);
  if (runtime == nullptr) return absl::UnavailableError("nobody serves it");
  corridor::CallContext context;
  context.caller = policy::kFileCaller;
  // May outlive this question.
  const auto answer = std::make_shared<absl::StatusOr<corridor::MessagePtr>>(
      absl::UnavailableError("nobody answers"));
  runtime->Call(
      context, corridor::FindMethod(method), std::move(request),
      [answer](absl::StatusOr<corridor::MessagePtr> reply) { *answer = std::move(reply); });
  for (int i = 0; i < 200 && absl::IsUnavailable(answer->status()); ++i) {
    world_.RunFor(absl::Milliseconds(10));
  }
  return *answer;
}

void Actors::RollOut(Dice& dice) {
  const size_t number = dice.Below(kServices);
  const auto service = static_cast<Service>(number);
  policy::PolicyStart start = programs::PolicyStarts("")[number];
  start.compares_only = !plan_.embedded && dice.Chance(0.5);
  const double what = dice.Unit();
  if (what < 0.6) {
    policy::PolicyFile file = start.built_in;
    file.name = "folder/" + file.kind + ".yaml";
    // So that it is another one than what is built in, and not verified each minute.
    const auto replace = [&](const std::string& from, const std::string& to) {
      for (size_t at = file.text.find(from); at != std::string::npos;
           at = file.text.find(from, at + to.size())) {
        file.text.replace(at, from.size(), to);
      }
    };
    replace("every: 1m", absl::StrCat("every: ", dice.Int(10, 12), "h"));
    replace("rise_after: 8h", absl::StrCat("rise_after: ", dice.Int(3, 6), "h"));
    replace("hysteresis: 300", absl::StrCat("hysteresis: ", dice.Int(100, 105)));
    if (what < 0.15) file.text += "no_such_field: 1\n";
    if (what > 0.45) {
      replace("  - {name: incidents}\n", "");
      replace("queue: incidents", "queue: support");
    }
    start.declared = std::move(file);
  } else if (what < 0.7) {
    start.declared = absl::NotFoundError("cannot read the folder");
  }
  if (dice.Chance(0.5)) world_.Restart(service);
  const auto call = [&](const std::string& method, corridor::MessagePtr request) {
    return AskAt(service, method, std::move(request));
  };
  const auto begin = [&]() -> absl::StatusOr<policy::StartedPolicy> {
    for (int attempt = 0; attempt < 30 && !world_.ledger().failure().has_value(); ++attempt) {
      if (!start.declared.has_value() && plant::Has(plant::Mistake::kBuiltInAgain)) {
        policy::ApplyPolicies({start.built_in}, call).IgnoreError();
      }
      absl::StatusOr<policy::StartedPolicy> started = policy::StartPolicy(start, call);
      if (started.ok() || absl::IsInternal(started.status())) return started;
      world_.RunFor(absl::Seconds(5));
    }
    return absl::CancelledError("nobody is there to start");
  };
  const policy::StoredPolicy before = PolicyInForce(service);
  const absl::StatusOr<policy::StartedPolicy> started = begin();
  const policy::StoredPolicy after = PolicyInForce(service);
  const auto fail = [&](const std::string& what_is_wrong) {
    world_.ledger().Fail(
        absl::StrCat("a start of ", start.built_in.kind, " with ",
                     start.declared.has_value() ? "a" : "no", " folder ", what_is_wrong,
                     ": version ", before.version(), ", then ", after.version()),
        Witness::kInvariants);
  };
  if (absl::IsCancelled(started.status())) return;
  if (!started.ok()) return fail(std::string(started.status().message()));
  if (AreOthersAtWork(service, before.version())) return;
  const bool is_taken =
      start.declared.has_value() && started->refused.ok() && started->differs.ok();
  if (!is_taken && after.version() != before.version()) return fail("replaces what was set");
  if (is_taken && after.content_hash() != started->declared_hash) {
    return fail("does not bring what it declares into force");
  }
  if (is_taken && before.content_hash() == started->declared_hash &&
      after.version() != before.version()) {
    return fail("makes a version of what is in force");
  }
  const absl::StatusOr<policy::StartedPolicy> again = begin();
  if (again.ok() && PolicyInForce(service).version() > after.version() &&
      !AreOthersAtWork(service, after.version())) {
    fail("applies again what it has applied");
  }
}

bool Actors::AreOthersAtWork(Service service, int64_t since) {
  bool is_others = false;
  world_.reader(service)
      .Query(
          {"SELECT body FROM policies WHERE key > $1 AND key < 'w'", {policy::VersionKey(since)}},
          [&](const store::RowView& row) {
            policy::StoredPolicy stored;
            const std::string_view bytes = row.Text(0);
            stored.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
            is_others = is_others || stored.applied_by() != policy::kFileCaller;
          })
      .IgnoreError();
  return is_others;
}

policy::StoredPolicy Actors::PolicyInForce(Service service) {
  policy::StoredPolicy stored;
  world_.reader(service)
      .Query({"SELECT body FROM policies WHERE key = 'current'", {}},
             [&](const store::RowView& row) {
               const std::string_view bytes = row.Text(0);
               stored.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
             })
      .IgnoreError();
  return stored;
}

// ---- operators and the last shift

void Actors::SettleDeadLetters() {
  Dice dice(plan_.seed + static_cast<uint64_t>(requests_), "operator");
  for (size_t i = 0; i < kServices; ++i) {
    const auto service = static_cast<Service>(i);
    runtime::ServiceRuntime* const runtime = world_.AnyRuntime(service, dice);
    if (runtime == nullptr) continue;
    std::vector<int64_t> poison;
    std::vector<std::string> subjects;
    world_.reader(service)
        .Query({"SELECT id, event_id FROM dead_letters ORDER BY id", {}},
               [&](const store::RowView& row) {
                 if (world_.ledger().poison_ids.contains(std::string(row.Text(1))))
                   poison.push_back(row.Int(0));
               })
        .IgnoreError();
    for (const int64_t letter : poison)
      runtime->Drop(letter, [](const absl::StatusOr<int64_t>&) {});
    if (!poison.empty()) continue;
    world_.reader(service)
        .Query({"SELECT subject FROM parked_subjects ORDER BY subject", {}},
               [&](const store::RowView& row) { subjects.emplace_back(row.Text(0)); })
        .IgnoreError();
    for (const std::string& subject : subjects) {
      runtime->Retry(subject, [](const absl::StatusOr<lane::RetryResult>&) {});
    }
  }
}

void Actors::ResolveAll() {
  // Each round settles what the one before could not: a ticket parked then, a follow-up that came
  // of an answer.
  for (int round = 0; round < 6 && !world_.ledger().failure().has_value(); ++round) {
    int64_t parked = 0;
    for (size_t i = 0; i < kServices; ++i) {
      parked += world_.Number(static_cast<Service>(i), "SELECT COUNT(*) FROM dead_letters");
    }
    if (parked > 0) {
      SettleDeadLetters();
      world_.RunFor(absl::Seconds(5));
      SettleDeadLetters();
      world_.RunFor(absl::Seconds(30));
    }
    std::vector<std::string> open, follow_ups;
    world_.reader(kIntake)
        .Query({"SELECT key FROM tickets WHERE is_open = 1 ORDER BY key", {}},
               [&](const store::RowView& row) { open.emplace_back(row.Text(0)); })
        .IgnoreError();
    world_.reader(kSurvey)
        .Query({"SELECT key FROM follow_ups WHERE is_open = 1 ORDER BY key", {}},
               [&](const store::RowView& row) { follow_ups.emplace_back(row.Text(0)); })
        .IgnoreError();
    if (open.empty() && follow_ups.empty() && parked == 0) return;
    for (const std::string& ticket_id : open) {
      tr::AcceptAssignmentRequest accept;
      accept.set_ticket_id(ticket_id);
      accept.set_staff_id("agent0");
      Call(kTriageService + "AcceptAssignment", accept, -1, [this, ticket_id](const Message*) {
        in::ResolveTicketRequest resolve;
        resolve.set_ticket_id(ticket_id);
        resolve.set_resolved_by(ty::RESOLVED_BY_AGENT);
        resolve.set_resolution_code("FIXED");
        resolve.set_answer(NewText("It works again"));
        resolve.set_staff_id("agent0");
        Call(kTickets + "ResolveTicket", resolve);
      });
    }
    for (const std::string& follow_up_id : follow_ups) {
      sv::CloseFollowUpRequest request;
      request.set_follow_up_id(follow_up_id);
      request.set_outcome(sv::FOLLOW_UP_OUTCOME_FIXED);
      request.set_staff_id(kLead);
      Call(kSurveys + "CloseFollowUp", request);
    }
    Await();
    world_.Drain();
  }
  const int64_t open = world_.Number(kIntake, "SELECT COUNT(*) FROM tickets WHERE is_open = 1");
  if (open == 0) return;
  std::string why;
  for (const CallRecord& call : world_.ledger().calls()) {
    if (!call.status.ok())
      why = absl::StrCat(call.method, ": ", std::string(call.status.message()));
  }
  world_.ledger().Fail(
      absl::StrCat(open, " tickets cannot be resolved (the last refusal: ", why, ")"));
}

}  // namespace tandem::simulation
