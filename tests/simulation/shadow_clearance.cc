#include "tests/simulation/shadow_clearance.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/time/stamp.h"
#include "tandem/events/v1/account.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/sla.pb.h"
#include "tandem/events/v1/survey.pb.h"
#include "tandem/events/v1/triage.pb.h"

namespace tandem::simulation {
namespace {

using account::v1::HoldCondition;
using account::v1::HoldRule;
using type::v1::OutreachTopic;
using type::v1::Severity;

bool IsCommercial(OutreachTopic topic) {
  return topic >= type::v1::OUTREACH_TOPIC_RENEWAL && topic <= type::v1::OUTREACH_TOPIC_SURVEY_NPS;
}

bool IsSurvey(OutreachTopic topic) {
  return topic == type::v1::OUTREACH_TOPIC_SURVEY_NPS ||
         topic == type::v1::OUTREACH_TOPIC_SURVEY_TICKET;
}

// A value that changes at instants which are known only to lie between two.
template <typename Value>
class Course {
 public:
  explicit Course(Value first) : changes_{{first, absl::InfinitePast(), absl::InfinitePast()}} {}

  void Change(Value value, absl::Time from, absl::Time until) {
    changes_.push_back({std::move(value), from, std::max(from, until)});
  }
  const Value& last() const { return changes_.back().value; }

  // Every value that it may have had at some instant between the two.
  std::vector<Value> Between(absl::Time first, absl::Time last) const {
    std::vector<Value> values;
    for (size_t i = 0; i < changes_.size(); ++i) {
      if (changes_[i].from > last) continue;
      const bool is_over =
          std::any_of(changes_.begin() + static_cast<std::ptrdiff_t>(i) + 1, changes_.end(),
                      [&](const auto& later) { return later.until <= first; });
      if (!is_over) values.push_back(changes_[i].value);
    }
    return values;
  }

 private:
  struct Step {
    Value value;
    absl::Time from;
    absl::Time until;
  };
  std::vector<Step> changes_;
};

// What ticket_intake says of a ticket in its answer.
struct Standing {
  std::string account_id;
  bool is_open = false;
  bool is_left_out = false;        // internal, or suspected to be spam
  std::set<std::string> contacts;  // the requester and the customer contacts who watch
};

// A ticket: what intake answers by, and what account_health knows from events.
struct Ticket {
  Course<Standing> standing{Standing()};
  Course<Severity> severity{type::v1::SEVERITY_UNSPECIFIED};
  Course<bool> reopened{false};
  Course<bool> frustrated{false};
  Course<bool> breached{false};
};

struct FollowUp {
  std::string contact_id;
  bool is_bad = false;
  Course<bool> open{false};
};

// A touch or an invitation.
struct Use {
  absl::Time at;        // from which the window is counted
  absl::Time known_by;  // surely
};

// Units of a contact reserved by a clearance, used by a touch, or first the one and then the other.
struct Spending {
  std::string contact_id;  // empty = every contact
  std::string clearance_id;
  std::string staff_id;  // who holds the clearance
  OutreachTopic topic = type::v1::OUTREACH_TOPIC_UNSPECIFIED;
  absl::Time from;         // may be known from here on
  absl::Time surely_from;  // is known from here on
  // Until then for those who did not use it; the infinite past = nothing was reserved.
  absl::Time reserved_to = absl::InfinitePast();
  // By contact: one who uses what was reserved for all leaves to the others what is theirs. Empty =
  // all of them.
  std::map<std::string, Use> uses;
  // An invitation was withdrawn: the units may be free again, and surely are.
  absl::Time may_be_free_at = absl::InfiniteFuture();
  absl::Time free_at = absl::InfiniteFuture();

  bool is_reserved() const { return reserved_to > absl::InfinitePast(); }
  // Whether it is what the asker holds already for the same contact and topic: an unused clearance
  // is given again, and stands in nobody's way.
  bool IsOwnOf(const OutreachQuestion& question) const {
    return !question.staff_id.empty() && staff_id == question.staff_id && topic == question.topic &&
           contact_id == question.contact_id && is_reserved();
  }
  bool IsUsedBefore(absl::Time at) const {
    return std::any_of(uses.begin(), uses.end(),
                       [&](const auto& use) { return use.second.known_by < at; });
  }

  struct End {
    absl::Time surely, at_the_latest;
  };
  // Until when it counts in a window of that length.
  End EndFor(const std::string& contact, absl::Duration window, absl::Duration skew) const {
    auto use = uses.find(contact);
    if (use == uses.end()) use = uses.find("");
    absl::Time counted_to = reserved_to, at_the_latest = reserved_to;
    if (use != uses.end()) {
      at_the_latest = use->second.at + window;
      // A use that becomes known only when the reservation is over leaves a gap between the two.
      const bool is_gapless = !is_reserved() || use->second.known_by < reserved_to - skew;
      counted_to = is_gapless ? at_the_latest : std::min(at_the_latest, reserved_to);
    }
    return {std::min(counted_to, may_be_free_at), std::min(at_the_latest, free_at)};
  }
};

struct View {
  std::map<std::string, Ticket> tickets;
  std::map<std::string, FollowUp> follow_ups;
  std::map<std::string, Course<std::set<OutreachTopic>>> opt_outs;
  std::vector<Spending> spendings;
};

// Whether the policy calls that answer bad.
bool IsBad(const account::v1::BadSurvey& bad, type::v1::SurveyKind kind, int score) {
  switch (kind) {
    case type::v1::SURVEY_KIND_CSAT:
      return score <= bad.csat_at_most();
    case type::v1::SURVEY_KIND_CES:
      return score <= bad.ces_at_most();
    case type::v1::SURVEY_KIND_NPS:
      return score <= bad.nps_at_most();
    default:
      return false;
  }
}

class Reader {
 public:
  Reader(const AccountFacts& facts, const account::v1::AccountPolicy& policy)
      : account_id_(facts.account_id), policy_(policy) {}

  absl::Status Read(const KnownEvent& known) {
    if (!seen_.insert(known.event.id).second) return absl::OkStatus();
    told_at_ = known.told_at;
    known_by_ = known.known_by;
    return Try<events::v1::TicketOpened>(known) && Try<events::v1::TicketUpdated>(known) &&
                   Try<events::v1::TicketRequesterResolved>(known) &&
                   Try<events::v1::TicketStateChanged>(known) &&
                   Try<events::v1::TicketMessageAdded>(known) &&
                   Try<events::v1::TicketResolved>(known) &&
                   Try<events::v1::TicketReopened>(known) && Try<events::v1::TicketClosed>(known) &&
                   Try<events::v1::TicketTriaged>(known) &&
                   Try<events::v1::SeverityChanged>(known) && Try<events::v1::SlaBreached>(known) &&
                   Try<events::v1::SlaVerdictCorrected>(known) &&
                   Try<events::v1::SurveyFollowUpRequested>(known) &&
                   Try<events::v1::SurveyFollowUpClosed>(known) &&
                   Try<events::v1::SurveyInvited>(known) &&
                   Try<events::v1::SurveyWithdrawn>(known) &&
                   Try<events::v1::ContactChanged>(known) &&
                   Try<events::v1::ClearanceGiven>(known) &&
                   Try<events::v1::ClearanceRevoked>(known) &&
                   Try<events::v1::ClearanceReleased>(known) &&
                   Try<events::v1::TouchRecorded>(known)
               ? absl::OkStatus()
               : status_;
  }

  View& view() { return view_; }

 private:
  // False ends the search: the event was of that type, well or badly.
  template <typename E>
  bool Try(const KnownEvent& known) {
    if (known.event.type != E::descriptor()->full_name()) return true;
    E body;
    if (!body.ParseFromString(known.event.body)) {
      status_ = absl::InvalidArgumentError(
          absl::StrCat("event ", known.event.id, " has a body that is no ", known.event.type));
    } else {
      status_ = absl::OkStatus();
      Take(body);
    }
    return false;
  }

  // Intake's answers know it from the acknowledgement on.
  void Stand(const std::string& ticket_id, const Standing& standing) {
    view_.tickets[ticket_id].standing.Change(standing, told_at_, told_at_);
  }
  Standing StandingOf(const std::string& ticket_id) {
    return view_.tickets[ticket_id].standing.last();
  }

  void Take(const events::v1::TicketOpened& body) {
    Standing standing;
    standing.account_id = body.account_id();
    standing.is_open = true;
    standing.contacts.insert(body.watcher_contact_ids().begin(), body.watcher_contact_ids().end());
    standing.contacts.insert(body.contact_id());
    standing.is_left_out = body.internal() || body.suspected_spam();
    Stand(body.ticket_id(), standing);
    Frustrate(body);
  }
  void Take(const events::v1::TicketUpdated& body) {
    Standing standing = StandingOf(body.ticket_id());
    standing.account_id = body.account_id();
    standing.is_left_out = body.internal() || body.suspected_spam();
    standing.contacts.clear();
    standing.contacts.insert(body.watcher_contact_ids().begin(), body.watcher_contact_ids().end());
    standing.contacts.insert(body.contact_id());
    Stand(body.ticket_id(), standing);
  }
  void Take(const events::v1::TicketRequesterResolved& body) {
    Standing standing = StandingOf(body.ticket_id());
    standing.account_id = body.account_id();
    standing.contacts.insert(body.contact_id());
    Stand(body.ticket_id(), standing);
  }
  template <typename E>
  void Frustrate(const E& body) {
    if (body.frustration_rule().empty()) return;
    view_.tickets[body.ticket_id()].frustrated.Change(true, told_at_, known_by_);
  }
  void Take(const events::v1::TicketMessageAdded& body) { Frustrate(body); }
  template <typename E>
  void Open(const E& body, bool is_open) {
    Standing standing = StandingOf(body.ticket_id());
    standing.is_open = is_open;
    Stand(body.ticket_id(), standing);
  }
  void Take(const events::v1::TicketStateChanged& body) { Open(body, true); }
  void Take(const events::v1::TicketResolved& body) { Open(body, false); }
  void Take(const events::v1::TicketClosed& body) { Open(body, false); }
  void Take(const events::v1::TicketReopened& body) {
    Open(body, true);
    view_.tickets[body.ticket_id()].reopened.Change(true, told_at_, known_by_);
  }
  void Take(const events::v1::TicketTriaged& body) {
    view_.tickets[body.ticket_id()].severity.Change(body.severity(), told_at_, known_by_);
  }
  void Take(const events::v1::SeverityChanged& body) {
    view_.tickets[body.ticket_id()].severity.Change(body.to_severity(), told_at_, known_by_);
  }
  void Take(const events::v1::SlaBreached& body) {
    if (body.clock().metric() != type::v1::SLA_METRIC_RESOLUTION) return;
    view_.tickets[body.clock().ticket_id()].breached.Change(true, told_at_, known_by_);
  }
  void Take(const events::v1::SlaVerdictCorrected& body) {
    if (body.clock().metric() != type::v1::SLA_METRIC_RESOLUTION) return;
    // Whether a corrected breach still counts is not said: it may.
    Course<bool>& breached = view_.tickets[body.clock().ticket_id()].breached;
    breached.Change(body.to_verdict() == "breached", told_at_,
                    body.to_verdict() == "breached" ? known_by_ : absl::InfiniteFuture());
  }
  void Take(const events::v1::SurveyFollowUpRequested& body) {
    if (body.survey().account_id() != account_id_) return;
    FollowUp& follow_up = view_.follow_ups[body.follow_up_id()];
    follow_up.contact_id = body.survey().contact_id();
    follow_up.is_bad = IsBad(policy_.outreach().bad_survey(), body.survey().kind(), body.score());
    follow_up.open.Change(true, told_at_, known_by_);
  }
  void Take(const events::v1::SurveyFollowUpClosed& body) {
    if (body.survey().account_id() != account_id_) return;
    view_.follow_ups[body.follow_up_id()].open.Change(false, told_at_, known_by_);
  }
  void Take(const events::v1::ContactChanged& body) {
    if (body.account_id() != account_id_) return;
    std::set<OutreachTopic> topics;
    for (const int topic : body.opted_out()) topics.insert(static_cast<OutreachTopic>(topic));
    view_.opt_outs.try_emplace(body.contact_id(), std::set<OutreachTopic>())
        .first->second.Change(topics, told_at_, told_at_);
  }
  // Reserved until it is revoked, returned or expired, and for each contact until it is used.
  void Take(const events::v1::ClearanceGiven& body) {
    if (body.account_id() != account_id_) return;
    view_.spendings.push_back({.contact_id = body.contact_id(),
                               .clearance_id = body.clearance_id(),
                               .staff_id = body.staff_id(),
                               .topic = body.topic(),
                               .from = told_at_,
                               .surely_from = told_at_,
                               .reserved_to = time::Instant(body.expires_at()),
                               .uses = {}});
  }
  void FreeUnused(const std::string& clearance_id) {
    for (Spending& spending : view_.spendings) {
      if (spending.clearance_id == clearance_id && spending.is_reserved()) {
        spending.reserved_to = std::min(spending.reserved_to, told_at_);
      }
    }
  }
  void Take(const events::v1::ClearanceRevoked& body) { FreeUnused(body.clearance_id()); }
  void Take(const events::v1::ClearanceReleased& body) { FreeUnused(body.clearance_id()); }
  // A touch that was cleared uses what was reserved for whom it reached; without that, or the next
  // time, it costs anew. `surely_from`: of what costs anew.
  void Spend(const std::string& contact_id, const std::string& clearance_id, OutreachTopic topic,
             const Use& use, absl::Time surely_from) {
    const auto costs_anew = [&](const std::string& whom) {
      view_.spendings.push_back({.contact_id = whom,
                                 .clearance_id = clearance_id,
                                 .staff_id = "",
                                 .topic = topic,
                                 .from = told_at_,
                                 .surely_from = surely_from,
                                 .uses = {{whom, use}}});
    };
    for (Spending& spending : view_.spendings) {
      if (clearance_id.empty() || spending.clearance_id != clearance_id ||
          !spending.is_reserved() || spending.reserved_to <= told_at_) {
        continue;
      }
      const bool is_spent = spending.uses.count(contact_id) + spending.uses.count("") > 0;
      std::vector<std::string> again;
      if (contact_id.empty()) {
        for (const auto& [whom, before] : spending.uses) again.push_back(whom);
      }
      spending.uses.try_emplace(contact_id, use);
      if (is_spent) again = {contact_id};
      for (const std::string& whom : again) costs_anew(whom);
      return;
    }
    costs_anew(contact_id);
  }
  void Take(const events::v1::TouchRecorded& body) {
    if (body.account_id() != account_id_ || body.inbound()) return;
    // Whom an uncleared touch with several reached is not said: it may cost any contact.
    const bool reaches_all = !body.contact_id().empty() || !body.clearance_id().empty();
    Spend(body.contact_id(), body.clearance_id(), body.topic(),
          {time::Instant(body.occurred_at()), known_by_},
          reaches_all ? told_at_ : absl::InfiniteFuture());
  }
  void Take(const events::v1::SurveyInvited& body) {
    if (body.survey().account_id() != account_id_) return;
    Spend(body.survey().contact_id(), body.clearance_id(),
          body.survey().kind() == type::v1::SURVEY_KIND_NPS
              ? type::v1::OUTREACH_TOPIC_SURVEY_NPS
              : type::v1::OUTREACH_TOPIC_SURVEY_TICKET,
          {time::Instant(body.occurred_at()), known_by_}, known_by_);
  }
  // The budget is returned.
  void Take(const events::v1::SurveyWithdrawn& body) {
    for (Spending& spending : view_.spendings) {
      if (!body.clearance_id().empty() && spending.clearance_id == body.clearance_id()) {
        spending.may_be_free_at = std::min(spending.may_be_free_at, told_at_);
        spending.free_at = std::min(spending.free_at, known_by_);
      }
    }
  }

  const std::string account_id_;
  const account::v1::AccountPolicy& policy_;
  std::set<std::string> seen_;
  absl::Time told_at_, known_by_;
  View view_;
  absl::Status status_;
};

absl::StatusOr<View> ViewOf(const AccountFacts& facts, const account::v1::AccountPolicy& policy) {
  Reader reader(facts, policy);
  for (const KnownEvent& event : facts.events) {
    const absl::Status read = reader.Read(event);
    if (!read.ok()) return read;
  }
  return std::move(reader.view());
}

// One of the worlds that a ticket may be in.
struct World {
  bool is_open;
  Severity severity;
  bool reopened;
  bool frustrated;
  bool breached;
};

bool Fits(HoldCondition condition, const World& ticket) {
  const bool normal = ticket.severity == type::v1::SEVERITY_NORMAL;
  switch (condition) {
    case account::v1::HOLD_CONDITION_UNTRIAGED_TICKET:
      return ticket.severity == type::v1::SEVERITY_UNSPECIFIED;
    case account::v1::HOLD_CONDITION_CRITICAL_TICKET:
      return ticket.severity == type::v1::SEVERITY_CRITICAL;
    case account::v1::HOLD_CONDITION_URGENT_TICKET:
      return ticket.severity == type::v1::SEVERITY_URGENT;
    case account::v1::HOLD_CONDITION_NORMAL_TICKET_BREACHED:
      return normal && ticket.breached;
    case account::v1::HOLD_CONDITION_NORMAL_TICKET_REOPENED:
      return normal && ticket.reopened;
    case account::v1::HOLD_CONDITION_NORMAL_TICKET_FRUSTRATED:
      return normal && ticket.frustrated;
    case account::v1::HOLD_CONDITION_NORMAL_TICKET:
      return normal;
    case account::v1::HOLD_CONDITION_GENERAL_TICKET:
      return ticket.severity == type::v1::SEVERITY_GENERAL;
    default:
      return false;
  }
}

std::string NameOf(HoldCondition condition) {
  switch (condition) {
    case account::v1::HOLD_CONDITION_UNTRIAGED_TICKET:
      return "untriaged_ticket";
    case account::v1::HOLD_CONDITION_CRITICAL_TICKET:
      return "critical_ticket";
    case account::v1::HOLD_CONDITION_URGENT_TICKET:
      return "urgent_ticket";
    case account::v1::HOLD_CONDITION_NORMAL_TICKET_BREACHED:
      return "normal_ticket_breached";
    case account::v1::HOLD_CONDITION_NORMAL_TICKET_REOPENED:
      return "normal_ticket_reopened";
    case account::v1::HOLD_CONDITION_NORMAL_TICKET_FRUSTRATED:
      return "normal_ticket_frustrated";
    case account::v1::HOLD_CONDITION_NORMAL_TICKET:
      return "normal_ticket_requester";
    case account::v1::HOLD_CONDITION_GENERAL_TICKET:
      return "general_ticket_requester";
    case account::v1::HOLD_CONDITION_BAD_SURVEY:
      return "bad_survey";
    default:
      return "";
  }
}

bool Concerns(const HoldRule& rule, OutreachTopic topic) {
  if (topic == type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP) return false;
  if (rule.topics().empty()) return IsCommercial(topic);
  return std::find(rule.topics().begin(), rule.topics().end(), topic) != rule.topics().end();
}

// Outreach to all contacts reaches each of them.
bool Reaches(const HoldRule& rule, const std::string& contact_id,
             const std::set<std::string>& concerned) {
  return rule.scope() == account::v1::HOLD_SCOPE_ACCOUNT || contact_id.empty() ||
         concerned.count(contact_id) > 0;
}

// The rule by which a ticket holds in one world; empty = none does.
std::string RuleFor(const account::v1::OutreachPolicy& policy, const World& world,
                    const OutreachQuestion& question, const std::set<std::string>& concerned) {
  if (!world.is_open) return "";
  for (const HoldRule& rule : policy.rules()) {
    if (Concerns(rule, question.topic) && Fits(rule.condition(), world) &&
        Reaches(rule, question.contact_id, concerned)) {
      return NameOf(rule.condition());
    }
  }
  return "";
}

void HoldForTickets(const View& view, const AccountFacts& facts,
                    const account::v1::OutreachPolicy& policy, const OutreachQuestion& question,
                    std::vector<ShadowHold>& holds) {
  const absl::Time first = question.asked_at, last = question.answered_at;
  for (const auto& [ticket_id, ticket] : view.tickets) {
    ShadowHold hold{.subject_id = ticket_id, .rules = {}, .certain = true};
    for (const Standing& standing : ticket.standing.Between(first, last)) {
      const bool is_open =
          standing.is_open && !standing.is_left_out && standing.account_id == facts.account_id;
      for (const Severity severity : ticket.severity.Between(first, last)) {
        for (const bool reopened : ticket.reopened.Between(first, last)) {
          for (const bool frustrated : ticket.frustrated.Between(first, last)) {
            for (const bool breached : ticket.breached.Between(first, last)) {
              const std::string rule =
                  RuleFor(policy, {is_open, severity, reopened, frustrated, breached}, question,
                          standing.contacts);
              if (rule.empty()) {
                hold.certain = false;
              } else {
                hold.rules.insert(rule);
              }
            }
          }
        }
      }
    }
    if (!hold.rules.empty()) holds.push_back(std::move(hold));
  }
}

void HoldForSurveys(const View& view, const account::v1::OutreachPolicy& policy,
                    const OutreachQuestion& question, std::vector<ShadowHold>& holds) {
  for (const auto& [follow_up_id, follow_up] : view.follow_ups) {
    if (!follow_up.is_bad) continue;
    const std::vector<bool> open = follow_up.open.Between(question.asked_at, question.answered_at);
    const bool may = std::find(open.begin(), open.end(), true) != open.end();
    const bool must = std::find(open.begin(), open.end(), false) == open.end();
    for (const HoldRule& rule : policy.rules()) {
      if (may && rule.condition() == account::v1::HOLD_CONDITION_BAD_SURVEY &&
          Concerns(rule, question.topic) &&
          Reaches(rule, question.contact_id, {follow_up.contact_id})) {
        holds.push_back({.subject_id = follow_up_id, .rules = {"bad_survey"}, .certain = must});
        break;
      }
    }
  }
}

// The people whom the question is about, as far as ContactChanged told of them.
std::vector<std::string> PeopleOf(const View& view, const OutreachQuestion& question) {
  if (!question.contact_id.empty()) return {question.contact_id};
  std::vector<std::string> people;
  for (const auto& [contact_id, course] : view.opt_outs) people.push_back(contact_id);
  return people;
}

void HoldForPeople(const View& view, const account::v1::ContactBudget& budget,
                   const OutreachQuestion& question, absl::Duration skew,
                   std::vector<ShadowHold>& holds) {
  if (question.topic == type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP) return;
  ShadowHold opt_out{.subject_id = "", .rules = {"opt_out"}};
  ShadowHold fatigue{.subject_id = "", .rules = {"fatigue"}};
  bool may_opt_out = false, may_fatigue = false;
  for (const std::string& contact_id : PeopleOf(view, question)) {
    const auto course = view.opt_outs.find(contact_id);
    if (course != view.opt_outs.end()) {
      bool always = true;
      for (const std::set<OutreachTopic>& topics :
           course->second.Between(question.asked_at, question.answered_at)) {
        const bool out = topics.count(question.topic) > 0;
        may_opt_out = may_opt_out || out;
        always = always && out;
      }
      opt_out.certain = opt_out.certain || always;
    }
    // Between what is spent for sure and what may be.
    int surely = 0, maybe = 0;
    bool surveyed_surely = false, surveyed_maybe = false;
    for (const Spending& spending : view.spendings) {
      if (!spending.contact_id.empty() && spending.contact_id != contact_id) continue;
      const bool is_own = spending.IsOwnOf(question);
      if (is_own && spending.uses.empty()) continue;
      const bool may_be_given_again = is_own && !spending.IsUsedBefore(question.asked_at);
      const auto counts = [&](absl::Duration window, bool surely_so) {
        const Spending::End end = spending.EndFor(contact_id, window, skew);
        return surely_so ? spending.surely_from < question.asked_at &&
                               end.surely - skew > question.answered_at
                         : spending.from <= question.answered_at &&
                               end.at_the_latest + skew >= question.asked_at;
      };
      const int units = UnitsOf(spending.topic, budget);
      const absl::Duration window = time::Span(budget.window());
      if (counts(window, true) && !may_be_given_again) surely += units;
      if (counts(window, false)) maybe += units;
      const absl::Duration survey_window = time::Span(budget.survey_window());
      if (IsSurvey(spending.topic) && survey_window > absl::ZeroDuration()) {
        surveyed_surely = surveyed_surely || (counts(survey_window, true) && !may_be_given_again);
        surveyed_maybe = surveyed_maybe || counts(survey_window, false);
      }
    }
    const int needed = UnitsOf(question.topic, budget);
    const bool survey = IsSurvey(question.topic);
    const auto exceeds = [&](int spent) { return needed > 0 && spent + needed > budget.units(); };
    if (exceeds(surely) || (survey && surveyed_surely)) fatigue.certain = true;
    if (exceeds(maybe) || (survey && surveyed_maybe)) may_fatigue = true;
  }
  if (may_opt_out) holds.push_back(std::move(opt_out));
  if (may_fatigue) holds.push_back(std::move(fatigue));
}

}  // namespace

int UnitsOf(OutreachTopic topic, const account::v1::ContactBudget& budget) {
  if (topic == type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP) return 0;
  if (IsSurvey(topic)) return budget.survey_units();
  return IsCommercial(topic) ? budget.commercial_units() : budget.other_units();
}

absl::StatusOr<std::vector<ShadowHold>> HoldsOn(const AccountFacts& facts,
                                                const account::v1::AccountPolicy& policy,
                                                const OutreachQuestion& question) {
  const absl::StatusOr<View> view = ViewOf(facts, policy);
  if (!view.ok()) return view.status();
  std::vector<ShadowHold> holds;
  HoldForTickets(*view, facts, policy.outreach(), question, holds);
  HoldForSurveys(*view, policy.outreach(), question, holds);
  // Exceptions let issues through, never opt-outs, the budget or parked events.
  for (ShadowHold& hold : holds) {
    for (const GrantedException& exception : facts.exceptions) {
      if (exception.topic != question.topic) continue;
      if (exception.granted_by < question.asked_at &&
          question.answered_at < exception.until - facts.skew) {
        hold.excepted = true;
      }
      if (exception.granted_at <= question.answered_at &&
          question.asked_at <= exception.until + facts.skew) {
        hold.may_be_excepted = true;
      }
    }
  }
  HoldForPeople(*view, policy.contact_budget(), question, facts.skew, holds);
  for (const ParkedTime& parked : facts.parked) {
    if (question.topic != type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP &&
        parked.from <= question.answered_at && question.asked_at <= parked.to) {
      holds.push_back({.subject_id = "",
                       .rules = {"account_parked"},
                       .certain = parked.certain && parked.from < question.asked_at &&
                                  parked.to > question.answered_at});
    }
  }
  return holds;
}

bool MustHold(const std::vector<ShadowHold>& holds) {
  return std::any_of(holds.begin(), holds.end(),
                     [](const ShadowHold& hold) { return hold.certain && !hold.may_be_excepted; });
}

bool MayHold(const std::vector<ShadowHold>& holds) {
  return std::any_of(holds.begin(), holds.end(),
                     [](const ShadowHold& hold) { return !hold.excepted; });
}

namespace {

// It stands as long as the policy says, but not longer than the exception that it rests on. Of an
// exception whose caller was never answered the id is not known: it may be any of its topic.
absl::Time ExpiryOf(const AccountFacts& facts, const account::v1::AccountPolicy& policy,
                    const account::v1::Clearance& clearance) {
  const absl::Time longest =
      time::Instant(clearance.given_at()) + time::Span(policy.outreach().clearance_expiry());
  if (clearance.exception_id().empty()) return longest;
  for (const GrantedException& one : facts.exceptions) {
    if (one.exception_id == clearance.exception_id()) return std::min(longest, one.until);
  }
  absl::Time expiry = longest;
  for (const GrantedException& one : facts.exceptions) {
    if (!one.exception_id.empty() || one.topic != clearance.topic()) continue;
    expiry = std::min(longest, one.until);
    if (expiry == time::Instant(clearance.expires_at())) break;
  }
  return expiry;
}

// A contact whom it reaches opts out of its topic, or joins having opted out (product §5.2: it ends
// with the earliest of its grounds).
void MayOptOut(const AccountFacts& facts, const account::v1::Clearance& clearance, absl::Time now,
               ShadowClearance& fate) {
  if (clearance.topic() == type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP) return;
  const absl::Time given_at = time::Instant(clearance.given_at());
  for (const KnownEvent& known : facts.events) {
    if (known.event.type != events::v1::ContactChanged::descriptor()->full_name()) continue;
    events::v1::ContactChanged changed;
    if (!changed.ParseFromString(known.event.body)) continue;
    const bool reaches =
        changed.account_id() == facts.account_id &&
        (clearance.contact_id().empty() || clearance.contact_id() == changed.contact_id());
    const bool is_out = std::find(changed.opted_out().begin(), changed.opted_out().end(),
                                  clearance.topic()) != changed.opted_out().end();
    if (!reaches || !is_out || known.told_at < given_at - facts.skew ||
        known.told_at > std::min(now, fate.expires_at + facts.skew)) {
      continue;
    }
    fate.may_be_opted_out = true;
    if (known.told_at <= given_at + facts.skew || known.told_at >= fate.expires_at - facts.skew) {
      continue;
    }
    if (!fate.revoked_by.has_value() || known.told_at < *fate.revoked_by) {
      fate.revoked_by = known.told_at;
      fate.revoking_event_id = known.event.id;
      fate.reason = "opt_out";
    }
  }
}

}  // namespace

absl::StatusOr<ShadowClearance> FateOf(const AccountFacts& facts,
                                       const account::v1::AccountPolicy& policy,
                                       const account::v1::Clearance& clearance, absl::Time now) {
  ShadowClearance fate;
  const absl::Time given_at = time::Instant(clearance.given_at());
  const absl::Time as_of = time::Instant(clearance.as_of());
  const absl::Duration skew = time::Span(policy.outreach().allowed_skew());
  fate.expires_at = ExpiryOf(facts, policy, clearance);
  MayOptOut(facts, clearance, now, fate);
  for (const ParkedTime& parked : facts.parked) {
    if (clearance.topic() == type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP) break;
    fate.may_revoke.insert(parked.event_id);
    if (!parked.certain || parked.from <= given_at + facts.skew || parked.from > now ||
        parked.from >= fate.expires_at - facts.skew) {
      continue;
    }
    if (!fate.revoked_by.has_value() || parked.from < *fate.revoked_by) {
      fate.revoked_by = parked.from;
      fate.revoking_event_id = parked.event_id;
      fate.reason = "account_parked";
    }
  }
  for (size_t i = 0; i < facts.events.size(); ++i) {
    const KnownEvent& known = facts.events[i];
    if (known.told_at > std::min(now, fate.expires_at + facts.skew) ||
        known.known_by < given_at - facts.skew) {
      continue;
    }
    // What stands once this event is consumed, and what stood before it.
    AccountFacts before, after;
    for (AccountFacts* side : {&before, &after}) {
      side->account_id = facts.account_id;
      side->exceptions = facts.exceptions;
    }
    for (AccountFacts* side : {&before, &after}) {
      // An issue comes of the events of its own subject. In the order in which they are consumed
      // everything up to here is known.
      for (size_t j = 0; j < i + (side == &after ? 1 : 0); ++j) {
        if (facts.events[j].event.subject != known.event.subject) continue;
        side->events.push_back(facts.events[j]);
        side->events.back().told_at = side->events.back().known_by = known.told_at;
      }
    }
    const OutreachQuestion then = {clearance.topic(), clearance.contact_id(), known.told_at,
                                   known.told_at};
    const auto issues = [&](const AccountFacts& side) {
      absl::StatusOr<std::vector<ShadowHold>> holds = HoldsOn(side, policy, then);
      std::set<std::pair<std::string, std::string>> found;
      if (!holds.ok()) return found;
      for (const ShadowHold& hold : *holds) {
        if (hold.subject_id.empty()) continue;
        for (const std::string& rule : hold.rules) found.insert({hold.subject_id, rule});
      }
      return found;
    };
    const auto held_before = issues(before), held_after = issues(after);
    std::set<std::pair<std::string, std::string>> risen;
    std::set_difference(held_after.begin(), held_after.end(), held_before.begin(),
                        held_before.end(), std::inserter(risen, risen.end()));
    if (risen.empty()) continue;
    fate.may_revoke.insert(known.event.id);
    // Intake's answer had seen what it acknowledged before; what came within the skew may have been
    // seen.
    const bool is_new = known.event.time > as_of + skew && known.told_at > given_at + facts.skew;
    const bool excepted = std::any_of(
        facts.exceptions.begin(), facts.exceptions.end(), [&](const GrantedException& exception) {
          return exception.topic == clearance.topic() && exception.granted_at <= known.known_by;
        });
    // It held nothing that this question asks about before: a ticket that held already by another
    // rule says nothing new.
    const bool begins = std::none_of(held_before.begin(), held_before.end(), [&](const auto& held) {
      return held.first == risen.begin()->first;
    });
    if (!is_new || excepted || !begins || known.known_by > now ||
        known.known_by >= fate.expires_at - facts.skew) {
      continue;
    }
    if (!fate.revoked_by.has_value() || known.known_by < *fate.revoked_by) {
      fate.revoked_by = known.known_by;
      fate.revoking_event_id = known.event.id;
      fate.reason = absl::StrCat(risen.begin()->second, " of ", risen.begin()->first);
    }
  }
  return fate;
}

}  // namespace tandem::simulation
