#include "services/triage/ticket_case.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/time/stamp.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/events/v1/triage.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"

namespace tandem::triage {
namespace {

using namespace type::v1;  // NOLINT: the product's own words
namespace ev = events::v1;
using records::TicketRecord;

constexpr char kTextQuestion[] = "text";
constexpr int kMaxHistory = 50;

std::string_view TriggerWord(v1::EscalationTrigger trigger) {
  switch (trigger) {
    case v1::ESCALATION_TRIGGER_SEVERITY:
      return "severity";
    case v1::ESCALATION_TRIGGER_SLA_WARNING:
      return "sla_warning";
    case v1::ESCALATION_TRIGGER_SLA_BREACH:
      return "sla_breach";
    case v1::ESCALATION_TRIGGER_FRUSTRATION:
      return "frustration";
    case v1::ESCALATION_TRIGGER_REOPENED:
      return "reopened";
    default:
      return "manual";
  }
}

// Whose roles a contact level meets (product §0), for the time when account_health cannot be asked.
std::vector<StaffRole> CounterpartRoles(ContactLevel level) {
  switch (level) {
    case CONTACT_LEVEL_EXECUTIVE:
      return {STAFF_ROLE_EXECUTIVE, STAFF_ROLE_PRE_SALES_PM, STAFF_ROLE_ACCOUNT_PM,
              STAFF_ROLE_SUPPORT_LEAD};
    case CONTACT_LEVEL_OWNER:
      return {STAFF_ROLE_PRE_SALES_LEAD, STAFF_ROLE_DELIVERY_PM, STAFF_ROLE_ACCOUNT_PM,
              STAFF_ROLE_SUPPORT_LEAD};
    default:
      return {STAFF_ROLE_SUPPORT_AGENT};
  }
}

// Whether any level reaches people whom only account_health knows.
bool NeedsTeam(const v1::EscalationPolicy& policy) {
  for (const v1::EscalationLevel& level : policy.levels()) {
    for (const v1::EscalationTarget& target : level.targets()) {
      if (target.who_case() == v1::EscalationTarget::kRole ||
          target.who_case() == v1::EscalationTarget::kCounterparts) {
        return true;
      }
    }
  }
  return false;
}

template <typename List>
void Trim(List* list) {
  if (list->size() > kMaxHistory) list->DeleteSubrange(0, list->size() - kMaxHistory);
}

std::string EscalationTimerId(std::string_view escalation_id) {
  return absl::StrCat("escalation:", std::string(escalation_id));
}

}  // namespace

bool IsOnDuty(const v1::Staff& staff, const Rules& rules, absl::Time at) {
  return staff.active() && staff.available() && rules.IsOpen(staff.shift_calendar(), at);
}

TicketCase::TicketCase(std::string ticket_id, TicketRecord record, int64_t version, absl::Time now,
                       const PolicyInForce& policy, const corridor::Inputs& in,
                       corridor::View& view)
    : ticket_id_(std::move(ticket_id)),
      record_(std::move(record)),
      version_(version),
      at_(std::max(time::TruncateToMicros(now), time::Instant(record_.last_fact_at()))),
      policy_(policy),
      in_(in),
      view_(view) {}

void TicketCase::ReadText(int attempt) {
  if (!rules().NeedsText() ||
      (record_.text_known() && record_.text_version() == policy_.ref.version())) {
    record_.set_text_pending(false);
    return;
  }
  if (!in_.answers->Has(kTextQuestion)) {
    auto request = std::make_shared<intake::v1::GetTicketRequest>();
    request->set_ticket_id(ticket_id_);
    request->set_page_size(1);
    corridor::Question question;
    question.name = kTextQuestion;
    question.method = "tandem.intake.v1.TicketService/GetTicket";
    question.request = std::move(request);
    questions_.push_back(std::move(question));
    return;
  }
  const auto told = in_.answers->Get<intake::v1::GetTicketResponse>(kTextQuestion);
  if (!told.ok()) {
    // Classified without the text; a timer asks again.
    record_.set_text_pending(true);
    records::TextTimer timer;
    timer.set_ticket_id(ticket_id_);
    timer.set_attempt(attempt + 1);
    decision_.SetTimer(absl::StrCat("text:", ticket_id_),
                       in_.now + rules().TextRetryAfter(attempt + 1), std::string(kTextTimer),
                       record_.bus_key(), std::move(timer));
    return;
  }
  std::string text = (*told)->ticket().subject();
  if ((*told)->messages_size() > 0) absl::StrAppend(&text, "\n", (*told)->messages(0).text());
  const std::vector<std::string> matches = rules().TextMatches(text);
  *record_.mutable_text_matches() = {matches.begin(), matches.end()};
  record_.set_text_version(policy_.ref.version());
  record_.set_text_known(true);
  record_.set_text_pending(false);
}

absl::Status TicketCase::Classify(int text_attempt) {
  ReadText(text_attempt);
  const bool first = record_.rule_severity() == SEVERITY_UNSPECIFIED;
  const Severity before = SeverityOf(record_);
  const Classification made = rules().Classify(
      record_.facts(), {record_.text_matches().begin(), record_.text_matches().end()},
      record_.severity_by_hand());
  const std::vector<std::string> cited = made.Cited();
  record_.set_rule_severity(made.severity);
  *record_.mutable_rules() = {cited.begin(), cited.end()};
  *record_.mutable_policy() = policy_.ref;
  if (!record_.level_by_hand()) record_.set_support_level(made.support_level);
  const bool moves = !record_.queue_by_hand() && record_.queue() != made.queue &&
                     (first || record_.has_waiting_since());
  if (moves) record_.set_queue(made.queue);

  if (first) {
    ev::TicketTriaged triaged;
    triaged.set_severity(SeverityOf(record_));
    triaged.set_support_level(record_.support_level());
    triaged.set_queue(record_.queue());
    *triaged.mutable_policy() = policy_.ref;
    *triaged.mutable_rules() = record_.rules();
    triaged.set_category(record_.facts().category());
    triaged.set_product(record_.facts().product());
    Publish(std::move(triaged));
    Queue();
    if (SeverityOf(record_) == SEVERITY_CRITICAL) return Trigger(v1::ESCALATION_TRIGGER_SEVERITY);
    return absl::OkStatus();
  }
  if (moves) Queue();
  return SeverityIs(before, "");
}

absl::Status TicketCase::SeverityIs(Severity before, const std::string& staff_id) {
  const Severity now = SeverityOf(record_);
  if (now == before) return absl::OkStatus();
  ev::SeverityChanged changed;
  changed.set_from_severity(before);
  changed.set_to_severity(now);
  changed.set_staff_id(staff_id);
  *changed.mutable_policy() = policy_.ref;
  Publish(std::move(changed));
  if (record_.is_charged()) {
    // The same ticket takes another share of its owner's capacity.
    const int units = rules().CapacityUnits(now);
    loads_[record_.assignee_id()].units += units - record_.charged_units();
    record_.set_charged_units(units);
  }
  SetRises();
  if (now == SEVERITY_CRITICAL && is_open()) return Trigger(v1::ESCALATION_TRIGGER_SEVERITY);
  return absl::OkStatus();
}

absl::Status TicketCase::Override(Severity severity, const std::string& staff_id) {
  const Severity before = SeverityOf(record_);
  record_.set_severity_by_hand(severity);
  if (const absl::Status changed = SeverityIs(before, staff_id); !changed.ok()) return changed;
  // Queue and level follow the severity in force.
  return is_open() ? Classify() : absl::OkStatus();
}

void TicketCase::SetRises() {
  record_.clear_rises_at();
  if (!record_.has_waiting_since()) return;
  for (const absl::Time rise : rules().RiseInstants(record_.queue(), SeverityOf(record_),
                                                    time::Instant(record_.waiting_since()))) {
    *record_.add_rises_at() = time::Stamp(rise);
  }
}

void TicketCase::StartWaiting() {
  // Being moved from queue to queue does not cost a ticket the time that it has waited.
  if (!record_.has_waiting_since()) *record_.mutable_waiting_since() = time::Stamp(at_);
  SetRises();
}

void TicketCase::StopWaiting() {
  record_.clear_waiting_since();
  record_.clear_rises_at();
}

void TicketCase::Charge() {
  if (record_.is_charged()) return;
  record_.set_is_charged(true);
  record_.set_charged_units(rules().CapacityUnits(SeverityOf(record_)));
  LoadChange& load = loads_[record_.assignee_id()];
  load.units += record_.charged_units();
  ++load.tickets;
}

void TicketCase::Discharge() {
  if (!record_.is_charged()) return;
  LoadChange& load = loads_[record_.assignee_id()];
  load.units -= record_.charged_units();
  --load.tickets;
  record_.set_is_charged(false);
  record_.set_charged_units(0);
}

void TicketCase::Assign(const std::string& staff_id) {
  ev::AssignmentAccepted accepted;
  accepted.set_staff_id(staff_id);
  accepted.set_queue(record_.queue());
  accepted.set_previous_staff_id(record_.assignee_id());
  Discharge();
  StopWaiting();
  record_.set_assignee_id(staff_id);
  Charge();
  loads_[staff_id].assigned = true;
  Publish(std::move(accepted));
}

void TicketCase::Release(const std::string& reason) {
  if (record_.assignee_id().empty()) return;
  Discharge();
  ev::AssignmentReleased released;
  released.set_staff_id(record_.assignee_id());
  released.set_reason(reason);
  record_.clear_assignee_id();
  Publish(std::move(released));
}

void TicketCase::Queue() {
  StartWaiting();
  ev::TicketQueued queued;
  queued.set_queue(record_.queue());
  *queued.mutable_policy() = policy_.ref;
  Publish(std::move(queued));
}

absl::Status TicketCase::End(records::Phase phase) {
  record_.set_phase(phase);
  Discharge();
  StopWaiting();
  if (record_.text_pending()) {
    record_.set_text_pending(false);
    decision_.CancelTimer(absl::StrCat("text:", ticket_id_));
  }
  if (record_.escalation_id().empty()) return absl::OkStatus();
  if (const absl::Status loaded = LoadEscalation(record_.escalation_id()); !loaded.ok()) {
    return loaded;
  }
  v1::Escalation& escalation = *live_->mutable_escalation();
  escalation.set_state(v1::ESCALATION_STATE_CLOSED);
  *escalation.mutable_closed_at() = time::Stamp(EscalationTime());
  decision_.CancelTimer(EscalationTimerId(escalation.escalation_id()));
  ev::EscalationClosed closed;
  closed.set_acknowledged(!escalation.acknowledged_by().empty());
  PublishEscalation(std::move(closed));
  live_changed_ = true;
  record_.clear_escalation_id();
  return absl::OkStatus();
}

void TicketCase::Reopen(int64_t reopenings) {
  record_.set_phase(records::PHASE_OPEN);
  record_.set_reopenings(reopenings);
  if (record_.assignee_id().empty()) {
    Queue();
  } else {
    Charge();
  }
}

absl::Status TicketCase::LoadEscalation(const std::string& escalation_id) {
  if (live_) return absl::OkStatus();
  auto loaded = view_.Load(Escalations(), escalation_id);
  if (!loaded.ok()) return loaded.status();
  if (!*loaded) return absl::InternalError("a ticket's escalation is missing");
  live_ = **loaded;
  live_version_ = loaded->version;
  return absl::OkStatus();
}

absl::Time TicketCase::EscalationTime() const {
  return std::max(at_, time::Instant(live_->last_fact_at()));
}

bool TicketCase::KnowTeam() {
  if (live_->team_known() || !NeedsTeam(live_->policy())) return true;
  const ContactLevel level = record_.facts().contact_level() == CONTACT_LEVEL_UNSPECIFIED
                                 ? CONTACT_LEVEL_MEMBER
                                 : record_.facts().contact_level();
  // Named by whom it is about: the ticket may move while it is asked, and another account has
  // another team.
  const std::string name =
      absl::StrCat("team:", record_.account_id(), ":", static_cast<int>(level));
  if (!in_.answers->Has(name)) {
    auto request = std::make_shared<account::v1::ListCounterpartsRequest>();
    request->set_account_id(record_.account_id());
    request->set_contact_level(level);
    corridor::Question question;
    question.name = name;
    question.method = "tandem.account.v1.AccountService/ListCounterparts";
    question.request = std::move(request);
    questions_.push_back(std::move(question));
    return false;
  }
  const auto told = in_.answers->Get<account::v1::ListCounterpartsResponse>(name);
  if (!told.ok()) {
    // The policy's defaults are rung now; the next ring asks again.
    live_->mutable_escalation()->set_by_defaults(true);
    return true;
  }
  live_->set_team_known(true);
  live_->mutable_escalation()->set_by_defaults(false);
  for (const account::v1::Counterpart& member : (*told)->team()) {
    if (member.staff_id().empty()) continue;
    v1::RoleDefault* role = live_->add_team();
    role->set_role(member.role());
    role->set_staff_id(member.staff_id());
  }
  for (const account::v1::Counterpart& counterpart : (*told)->counterparts()) {
    if (!counterpart.staff_id().empty()) live_->add_counterparts(counterpart.staff_id());
  }
  return true;
}

absl::StatusOr<std::vector<std::string>> TicketCase::StaffOf(const v1::EscalationLevel& level) {
  std::vector<std::string> named;
  const auto add_role = [&](StaffRole role) {
    for (const v1::RoleDefault& member : live_->team()) {
      if (member.role() == role) {
        named.push_back(member.staff_id());
        return;
      }
    }
    named.emplace_back(rules().DefaultFor(role));
  };
  for (const v1::EscalationTarget& target : level.targets()) {
    switch (target.who_case()) {
      case v1::EscalationTarget::kStaffId:
        named.push_back(target.staff_id());
        break;
      case v1::EscalationTarget::kRole:
        add_role(target.role());
        break;
      case v1::EscalationTarget::kQueue: {
        auto roster = view_.Load(Rosters(), target.queue());
        if (!roster.ok()) return roster.status();
        if (*roster) {
          named.insert(named.end(), (*roster)->staff_ids().begin(), (*roster)->staff_ids().end());
        }
        break;
      }
      case v1::EscalationTarget::kCounterparts:
        named.insert(named.end(), live_->counterparts().begin(), live_->counterparts().end());
        if (!live_->team_known()) {
          for (const StaffRole role : CounterpartRoles(record_.facts().contact_level())) {
            named.emplace_back(rules().DefaultFor(role));
          }
        }
        break;
      case v1::EscalationTarget::kAssignee:
        named.push_back(record_.assignee_id());
        break;
      case v1::EscalationTarget::WHO_NOT_SET:
        break;
    }
  }
  // Only who works here is rung, once each; who is off duty only where the level says so.
  std::vector<std::string> reached;
  std::set<std::string> seen;
  for (const std::string& staff_id : named) {
    if (staff_id.empty() || !seen.insert(staff_id).second) continue;
    auto staff = view_.Load(StaffTable(), staff_id);
    if (!staff.ok()) return staff.status();
    if (!*staff || !(*staff)->staff().active()) continue;
    if (level.ring_off_shift() || IsOnDuty((*staff)->staff(), rules(), at_)) {
      reached.push_back(staff_id);
    }
  }
  return reached;
}

void TicketCase::SetEscalationTimer(absl::Time due) {
  live_->set_step(live_->step() + 1);
  records::EscalationTimer timer;
  timer.set_escalation_id(live_->escalation().escalation_id());
  timer.set_step(live_->step());
  timer.set_ticket_id(live_->escalation().ticket_id());
  decision_.SetTimer(EscalationTimerId(timer.escalation_id()), due, std::string(kEscalationTimer),
                     record_.bus_key(), timer);
}

absl::Status TicketCase::RingFrom(std::optional<Rung> from) {
  live_changed_ = true;
  if (!KnowTeam()) return absl::OkStatus();
  absl::Status failed;
  std::optional<Ring> ring;
  if (from) {
    ring = FirstRing(live_->policy(), *from, [&](int level) {
      auto staff = StaffOf(live_->policy().levels(level - 1));
      if (staff.ok()) return *std::move(staff);
      failed = staff.status();
      return std::vector<std::string>{""};  // ends the search; the status is what counts
    });
  }
  if (!failed.ok()) return failed;
  v1::Escalation& escalation = *live_->mutable_escalation();
  if (!ring) {
    escalation.set_state(v1::ESCALATION_STATE_EXHAUSTED);
    live_->set_step(live_->step() + 1);
    decision_.CancelTimer(EscalationTimerId(escalation.escalation_id()));
    PublishEscalation(ev::EscalationExhausted());
    return absl::OkStatus();
  }
  const absl::Time at = EscalationTime();
  const v1::EscalationLevel& level = live_->policy().levels(ring->rung.level - 1);
  const absl::Time due = rules().After(live_->policy(), SeverityOf(record_), record_.queue(), at,
                                       time::Span(level.acknowledge_within()));
  escalation.set_state(v1::ESCALATION_STATE_RINGING);
  escalation.clear_holds_until();
  live_->set_level(ring->rung.level);
  live_->set_repeat(ring->rung.repeat);
  v1::EscalationRing* rung = escalation.add_rings();
  rung->set_level(ring->rung.level);
  rung->set_repeat(ring->rung.repeat);
  *rung->mutable_rung_at() = time::Stamp(at);
  *rung->mutable_staff_ids() = {ring->staff_ids.begin(), ring->staff_ids.end()};
  *rung->mutable_acknowledge_by() = time::Stamp(due);
  ev::EscalationLevelReached reached;
  reached.set_level(ring->rung.level);
  reached.set_repeat(ring->rung.repeat);
  *reached.mutable_staff_ids() = rung->staff_ids();
  *reached.mutable_acknowledge_by() = rung->acknowledge_by();
  Trim(escalation.mutable_rings());
  PublishEscalation(std::move(reached));
  SetEscalationTimer(due);
  return absl::OkStatus();
}

absl::Status TicketCase::Trigger(v1::EscalationTrigger trigger, std::string_view policy) {
  if (!is_open()) return absl::OkStatus();
  const auto note = [&] {
    v1::EscalationCause* cause = live_->mutable_escalation()->add_causes();
    cause->set_trigger(trigger);
    *cause->mutable_occurred_at() = time::Stamp(at_);
    Trim(live_->mutable_escalation()->mutable_causes());
    live_changed_ = true;
  };
  if (record_.escalation_id().empty()) {
    const v1::EscalationPolicy* fits = rules().EscalationFor(
        trigger, SeverityOf(record_), record_.facts().contact_level(), policy);
    if (fits == nullptr) return absl::OkStatus();
    live_.emplace();
    live_is_new_ = true;
    *live_->mutable_policy() = *fits;
    live_->set_bus_key(record_.bus_key());
    v1::Escalation& escalation = *live_->mutable_escalation();
    escalation.set_escalation_id(in_.ids->Next("esc"));
    escalation.set_ticket_id(ticket_id_);
    escalation.set_account_id(record_.account_id());
    escalation.set_severity(SeverityOf(record_));
    *escalation.mutable_policy() = policy_.ref;
    escalation.mutable_policy()->set_rule(fits->name());
    *escalation.mutable_raised_at() = time::Stamp(at_);
    record_.set_escalation_id(escalation.escalation_id());
    note();
    ev::EscalationRaised raised;
    raised.set_trigger(std::string(TriggerWord(trigger)));
    *raised.mutable_policy() = escalation.policy();
    raised.set_severity(SeverityOf(record_));
    PublishEscalation(std::move(raised));
    return RingFrom(Rung{1, 0});
  }
  if (const absl::Status loaded = LoadEscalation(record_.escalation_id()); !loaded.ok()) {
    return loaded;
  }
  note();
  const auto& raised_by = live_->policy().raised_by();
  if (trigger != v1::ESCALATION_TRIGGER_MANUAL &&
      std::find(raised_by.begin(), raised_by.end(), static_cast<int>(trigger)) == raised_by.end()) {
    return absl::OkStatus();
  }
  const Rung here = {live_->level(), live_->repeat()};
  switch (live_->escalation().state()) {
    case v1::ESCALATION_STATE_RINGING:
      return RingFrom(After(live_->policy(), here));
    case v1::ESCALATION_STATE_EXHAUSTED:
      return RingFrom(Rung{1, 0});
    default:
      return absl::OkStatus();  // somebody has it
  }
}

absl::Status TicketCase::EscalationDue(int64_t step) {
  if (!live_ || live_->step() != step || !is_open()) return absl::OkStatus();
  const Rung here = {live_->level(), live_->repeat()};
  switch (live_->escalation().state()) {
    case v1::ESCALATION_STATE_RINGING:
      return RingFrom(After(live_->policy(), here));
    case v1::ESCALATION_STATE_ACKNOWLEDGED:
      // The acknowledgement expired: the same level again, or the first if none has rung yet.
      return RingFrom(here.level > 0 ? here : Rung{1, 0});
    default:
      return absl::OkStatus();
  }
}

void TicketCase::Acknowledge(const std::string& staff_id) {
  v1::Escalation& escalation = *live_->mutable_escalation();
  const absl::Time at = EscalationTime();
  escalation.set_state(v1::ESCALATION_STATE_ACKNOWLEDGED);
  escalation.set_acknowledged_by(staff_id);
  *escalation.mutable_acknowledged_at() = time::Stamp(at);
  escalation.clear_holds_until();
  ev::EscalationAcknowledged acknowledged;
  acknowledged.set_staff_id(staff_id);
  acknowledged.set_level(live_->level());
  const absl::Duration holds = time::Span(live_->policy().acknowledgement_holds());
  if (holds > absl::ZeroDuration()) {
    const absl::Time until =
        rules().After(live_->policy(), SeverityOf(record_), record_.queue(), at, holds);
    *escalation.mutable_holds_until() = time::Stamp(until);
    *acknowledged.mutable_holds_until() = escalation.holds_until();
    SetEscalationTimer(until);
  } else {
    live_->set_step(live_->step() + 1);
    decision_.CancelTimer(EscalationTimerId(escalation.escalation_id()));
  }
  live_changed_ = true;
  PublishEscalation(std::move(acknowledged));
}

absl::StatusOr<corridor::Decision> TicketCase::Finish() {
  if (!questions_.empty()) {
    corridor::Decision asks;
    for (corridor::Question& question : questions_) asks.Ask(std::move(question));
    return asks;
  }
  for (const auto& [staff_id, change] : loads_) {
    if (change.units == 0 && change.tickets == 0 && !change.assigned) continue;
    auto loaded = view_.Load(Loads(), staff_id);
    if (!loaded.ok()) return loaded.status();
    records::LoadRecord record;
    if (*loaded) record = **loaded;
    v1::StaffLoad& load = *record.mutable_load();
    load.set_units(load.units() + change.units);
    load.set_tickets(load.tickets() + change.tickets);
    if (change.assigned) *load.mutable_last_assigned_at() = time::Stamp(at_);
    decision_.Save(Loads(), staff_id, std::move(record));
  }
  if (live_ && live_is_new_) {
    std::string key = live_->escalation().escalation_id();
    decision_.Insert(Escalations(), std::move(key), *live_);
  } else if (live_ && live_changed_) {
    std::string key = live_->escalation().escalation_id();
    decision_.Save(Escalations(), std::move(key), *live_);
  }
  if (save_ticket_) {
    *record_.mutable_last_fact_at() = time::Stamp(at_);
    decision_.Save(Tickets(), ticket_id_, std::move(record_));
  }
  return std::move(decision_);
}

}  // namespace tandem::triage
