#include "services/triage/ticket_case.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/config/views.h"
#include "common/corridor/errors.h"
#include "common/time/stamp.h"
#include "services/triage/ownership.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/events/v1/triage.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"

namespace tandem::triage {

using config::Absl;

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

// What was not said counts as MEMBER.
ContactLevel LevelOf(const TicketRecord& record) {
  return record.facts().contact_level() == CONTACT_LEVEL_UNSPECIFIED
             ? CONTACT_LEVEL_MEMBER
             : record.facts().contact_level();
}

template <typename List>
void Trim(List* list) {
  if (list->size() > kMaxHistory) list->DeleteSubrange(0, list->size() - kMaxHistory);
}

std::string EscalationTimerId(std::string_view escalation_id) {
  return absl::StrCat("escalation:", std::string(escalation_id));
}

}  // namespace

std::string ReleaseTimerId(std::string_view ticket_id) {
  return absl::StrCat("release:", std::string(ticket_id));
}

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
      cause_at_(at_),
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

Classification TicketCase::Rated() const {
  return rules().Classify(record_.facts(),
                          {record_.text_matches().begin(), record_.text_matches().end()},
                          record_.severity_by_hand());
}

absl::Status TicketCase::Classify(int text_attempt) {
  ReadText(text_attempt);
  const bool first = record_.rule_severity() == SEVERITY_UNSPECIFIED;
  const Severity before = SeverityOf(record_);
  ForgetQueueThatIsGone();
  const Classification made = Rated();
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
  SeverityIs(before, "");
  if (const absl::Status fit = RefreshOwnerFit(); !fit.ok()) return fit;
  return FollowEscalation();
}

absl::Status TicketCase::RefreshOwnerFit() {
  if (!record_.has_owner_fit()) return absl::OkStatus();
  auto owner = view_.Load(StaffTable(), record_.assignee_id());
  if (!owner.ok()) return owner.status();
  if (*owner) *record_.mutable_owner_fit() = FitOf(record_, (*owner)->staff(), rules());
  return absl::OkStatus();
}

void TicketCase::SeverityIs(Severity before, const std::string& staff_id) {
  const Severity now = SeverityOf(record_);
  if (now == before) return;
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
}

absl::Status TicketCase::Override(Severity severity, const std::string& staff_id) {
  const Severity before = SeverityOf(record_);
  record_.set_severity_by_hand(severity);
  SeverityIs(before, staff_id);
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

absl::Status TicketCase::Assign(const std::string& staff_id) {
  auto staff = view_.Load(StaffTable(), staff_id);
  if (!staff.ok()) return staff.status();
  ev::AssignmentAccepted accepted;
  accepted.set_staff_id(staff_id);
  accepted.set_queue(record_.queue());
  accepted.set_previous_staff_id(record_.assignee_id());
  Discharge();
  StopWaiting();
  record_.set_assignee_id(staff_id);
  targets_changed_ = true;
  Charge();
  loads_[staff_id].assigned = true;
  record_.clear_owner_fit();
  if (*staff) {
    *record_.mutable_owner_fit() = FitOf(record_, (*staff)->staff(), rules());
    const absl::Duration keeps = rules().release_unavailable_after();
    if (!(*staff)->staff().available() && keeps < absl::InfiniteDuration()) {
      // Whoever is away already is not looked at again until they come back and leave once more.
      records::ReleaseTimer timer;
      timer.set_ticket_id(ticket_id_);
      timer.set_staff_id(staff_id);
      decision_.SetTimer(ReleaseTimerId(ticket_id_), in_.now + keeps, std::string(kReleaseTimer),
                         record_.bus_key(), std::move(timer));
    }
  }
  Publish(std::move(accepted));
  return absl::OkStatus();
}

void TicketCase::Release(const std::string& reason) {
  if (record_.assignee_id().empty()) return;
  Discharge();
  ev::AssignmentReleased released;
  released.set_staff_id(record_.assignee_id());
  released.set_reason(reason);
  record_.clear_assignee_id();
  record_.clear_owner_fit();
  Publish(std::move(released));
}

absl::Status TicketCase::ReleaseUnlessFit() {
  if (record_.assignee_id().empty()) return absl::OkStatus();
  auto owner = view_.Load(StaffTable(), record_.assignee_id());
  if (!owner.ok()) return owner.status();
  if (!*owner) return absl::OkStatus();
  const std::string reason(ReleaseReason(record_, **owner, rules(), in_.now));
  if (reason.empty()) return absl::OkStatus();
  Release(reason);
  Queue();
  return absl::OkStatus();
}

void TicketCase::ForgetQueueThatIsGone() {
  // What a person chose and the policy no longer has is nobody's choice any more.
  if (!rules().HasQueue(record_.queue())) record_.set_queue_by_hand(false);
}

void TicketCase::Queue() {
  ForgetQueueThatIsGone();
  // While somebody owned it, routing rules moved it nowhere.
  if (!record_.queue_by_hand()) record_.set_queue(Rated().queue);
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
  CloseEscalation(phase == records::PHASE_CLOSED ? "closed" : "resolved");
  return absl::OkStatus();
}

absl::Status TicketCase::Reopen(int64_t reopenings) {
  record_.set_phase(records::PHASE_OPEN);
  record_.set_reopenings(reopenings);
  if (record_.assignee_id().empty()) {
    Queue();
  } else {
    Charge();
    // The owner may have left while it was resolved.
    if (const absl::Status fit = ReleaseUnlessFit(); !fit.ok()) return fit;
  }
  // Its escalation ended with the resolution.
  if (SeverityOf(record_) == SEVERITY_CRITICAL) return Trigger(v1::ESCALATION_TRIGGER_SEVERITY);
  return absl::OkStatus();
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
  // Asked at each ring: the team may have changed since the last one.
  if (!NeedsTeam(live_->policy())) return true;
  const ContactLevel level = LevelOf(record_);
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
    // The team as it was last, or the policy's defaults, are rung now; the next ring asks again.
    if (!live_->team_known()) live_->mutable_escalation()->set_by_defaults(true);
    return true;
  }
  live_->set_team_known(true);
  live_->mutable_escalation()->set_by_defaults(false);
  live_->clear_team();
  live_->clear_counterparts();
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

absl::StatusOr<bool> TicketCase::WorksHere(const std::string& staff_id) {
  if (staff_id.empty()) return false;
  auto staff = view_.Load(StaffTable(), staff_id);
  if (!staff.ok()) return staff.status();
  return *staff && (*staff)->staff().active();
}

absl::StatusOr<std::vector<std::string>> TicketCase::StaffOf(const v1::EscalationLevel& level) {
  std::vector<std::string> named;
  // A member of the team who left is nobody: the default stands in.
  const auto add_role = [&](StaffRole role) -> absl::Status {
    for (const v1::RoleDefault& member : live_->team()) {
      if (member.role() != role) continue;
      auto works_here = WorksHere(member.staff_id());
      if (!works_here.ok()) return works_here.status();
      if (!*works_here) continue;
      named.push_back(member.staff_id());
      return absl::OkStatus();
    }
    named.emplace_back(rules().DefaultFor(role));
    return absl::OkStatus();
  };
  for (const v1::EscalationTarget& target : level.targets()) {
    switch (target.who_case()) {
      case v1::EscalationTarget::kStaffId:
        named.push_back(target.staff_id());
        break;
      case v1::EscalationTarget::kRole:
        if (const absl::Status added = add_role(target.role()); !added.ok()) return added;
        break;
      case v1::EscalationTarget::kQueue: {
        auto roster = view_.Load(Rosters(), target.queue());
        if (!roster.ok()) return roster.status();
        if (*roster) {
          named.insert(named.end(), (*roster)->staff_ids().begin(), (*roster)->staff_ids().end());
        }
        break;
      }
      case v1::EscalationTarget::kCounterparts: {
        bool anybody = false;
        for (const std::string& staff_id : live_->counterparts()) {
          auto works_here = WorksHere(staff_id);
          if (!works_here.ok()) return works_here.status();
          if (!*works_here) continue;
          named.push_back(staff_id);
          anybody = true;
        }
        if (anybody) break;
        // Whom account_health named has left, or it named nobody.
        for (const StaffRole role : CounterpartRoles(LevelOf(record_))) {
          if (const absl::Status added = add_role(role); !added.ok()) return added;
        }
        break;
      }
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

void SetEscalationTimer(const records::EscalationRecord& escalation, absl::Time due,
                        corridor::Decision& decision) {
  records::EscalationTimer timer;
  timer.set_escalation_id(escalation.escalation().escalation_id());
  timer.set_step(escalation.step());
  timer.set_ticket_id(escalation.escalation().ticket_id());
  decision.SetTimer(EscalationTimerId(timer.escalation_id()), due, std::string(kEscalationTimer),
                    escalation.bus_key(), timer);
}

void TicketCase::SetTimer(absl::Time due) {
  live_->set_step(live_->step() + 1);
  SetEscalationTimer(*live_, due, decision_);
}

absl::Status TicketCase::RingFrom(std::optional<Rung> from) {
  live_changed_ = true;
  if (!KnowTeam()) return absl::OkStatus();
  *live_->mutable_rung_for() = time::Stamp(std::max(cause_at_, time::Instant(live_->rung_for())));
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
  absl::Time at = EscalationTime();
  if (!escalation.rings().empty()) {
    // Also by a clock that is behind the one that dated the last ring: no instant rings two levels.
    const v1::EscalationRing& last = escalation.rings(escalation.rings_size() - 1);
    at = std::max(at, time::Instant(last.rung_at()) + absl::Microseconds(1));
    *live_->mutable_last_fact_at() = time::Stamp(at);
  }
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
  SetTimer(due);
  return absl::OkStatus();
}

void TicketCase::NoteCause(v1::EscalationTrigger trigger) {
  v1::EscalationCause* cause = live_->mutable_escalation()->add_causes();
  cause->set_trigger(trigger);
  *cause->mutable_occurred_at() = time::Stamp(cause_at_);
  Trim(live_->mutable_escalation()->mutable_causes());
  live_changed_ = true;
}

bool TicketCase::IsNews(v1::EscalationTrigger trigger) const {
  const v1::Escalation& escalation = live_->escalation();
  const absl::Time rung_at =
      escalation.rings().empty()
          ? time::Instant(escalation.raised_at())
          : time::Instant(escalation.rings(escalation.rings_size() - 1).rung_at());
  if (cause_at_ <= rung_at) return false;
  // Facts are dated by their services, whose clocks may be ahead of this one; a person is here.
  return trigger == v1::ESCALATION_TRIGGER_MANUAL || cause_at_ > time::Instant(live_->rung_for());
}

TicketCase::Choice TicketCase::Choose() const {
  const Severity severity = SeverityOf(record_);
  std::vector<v1::EscalationTrigger> triggers;
  if (severity == SEVERITY_CRITICAL) triggers.push_back(v1::ESCALATION_TRIGGER_SEVERITY);
  const auto& causes = live_->escalation().causes();
  for (auto cause = causes.rbegin(); cause != causes.rend(); ++cause) {
    triggers.push_back(cause->trigger());
  }
  for (const v1::EscalationTrigger trigger : triggers) {
    const v1::EscalationPolicy* policy = rules().EscalationFor(trigger, severity, LevelOf(record_));
    if (policy != nullptr) return {policy, trigger};
  }
  return {};
}

absl::Status TicketCase::Start(v1::EscalationTrigger trigger, const v1::EscalationPolicy& policy,
                               bool is_named) {
  live_.emplace();
  live_version_ = 0;
  live_is_new_ = true;
  *live_->mutable_policy() = policy;
  live_->set_bus_key(record_.bus_key());
  live_->set_contact_level(LevelOf(record_));
  live_->set_is_named(is_named);
  v1::Escalation& escalation = *live_->mutable_escalation();
  escalation.set_escalation_id(in_.ids->Next("esc"));
  escalation.set_ticket_id(ticket_id_);
  escalation.set_account_id(record_.account_id());
  escalation.set_severity(SeverityOf(record_));
  *escalation.mutable_policy() = policy_.ref;
  escalation.mutable_policy()->set_rule(policy.name());
  *escalation.mutable_raised_at() = time::Stamp(at_);
  record_.set_escalation_id(escalation.escalation_id());
  save_ticket_ = true;
  NoteCause(trigger);
  ev::EscalationRaised raised;
  raised.set_trigger(std::string(TriggerWord(trigger)));
  *raised.mutable_policy() = escalation.policy();
  raised.set_severity(SeverityOf(record_));
  PublishEscalation(std::move(raised));
  return RingFrom(Rung{1, 0});
}

void TicketCase::CloseEscalation(const std::string& reason) {
  v1::Escalation& escalation = *live_->mutable_escalation();
  escalation.set_state(v1::ESCALATION_STATE_CLOSED);
  escalation.set_close_reason(reason);
  *escalation.mutable_closed_at() = time::Stamp(EscalationTime());
  live_->set_step(live_->step() + 1);
  decision_.CancelTimer(EscalationTimerId(escalation.escalation_id()));
  ev::EscalationClosed closed;
  closed.set_acknowledged(!escalation.acknowledged_by().empty());
  closed.set_reason(reason);
  PublishEscalation(std::move(closed));
  live_changed_ = true;
  SaveEscalation();
  record_.clear_escalation_id();
  save_ticket_ = true;
}

absl::Status TicketCase::Supersede(v1::EscalationTrigger trigger,
                                   const v1::EscalationPolicy& policy, bool is_named) {
  // What it was raised for stays a reason: the next change of class is judged by it too.
  const auto causes = live_->escalation().causes();
  CloseEscalation("superseded");
  if (const absl::Status started = Start(trigger, policy, is_named); !started.ok()) return started;
  auto& noted = *live_->mutable_escalation()->mutable_causes();
  const v1::EscalationCause own = noted[0];
  noted = causes;
  *noted.Add() = own;
  Trim(&noted);
  return absl::OkStatus();
}

absl::Status TicketCase::Trigger(v1::EscalationTrigger trigger, std::string_view policy) {
  if (!is_open()) return absl::OkStatus();
  const v1::EscalationPolicy* fits =
      policy.empty() ? rules().EscalationFor(trigger, SeverityOf(record_), LevelOf(record_))
                     : rules().EscalationNamed(policy);
  const bool is_named = !policy.empty();
  if (is_named && fits == nullptr) return corridor::NotFound("escalation policy", policy);
  if (record_.escalation_id().empty()) {
    return fits == nullptr ? absl::OkStatus() : Start(trigger, *fits, is_named);
  }
  if (const absl::Status loaded = LoadEscalation(record_.escalation_id()); !loaded.ok()) {
    return loaded;
  }
  const Rung here = {live_->level(), live_->repeat()};
  const bool is_news = IsNews(trigger);
  const v1::EscalationState state = live_->escalation().state();
  const bool is_live = state != v1::ESCALATION_STATE_EXHAUSTED;
  // What is exhausted is not live: what would start one does, by the policies as they are today.
  if (is_named ? !is_live || policy != live_->policy().name()
               : !is_live && is_news && fits != nullptr) {
    return Supersede(trigger, *fits, is_named);
  }
  NoteCause(trigger);
  if (!is_news) return absl::OkStatus();
  const auto& raised_by = live_->policy().raised_by();
  const bool raises =
      trigger == v1::ESCALATION_TRIGGER_MANUAL ||
      std::find(raised_by.begin(), raised_by.end(), static_cast<int>(trigger)) != raised_by.end();
  switch (state) {
    case v1::ESCALATION_STATE_RINGING:
      return raises ? RingFrom(After(live_->policy(), here)) : absl::OkStatus();
    case v1::ESCALATION_STATE_EXHAUSTED:
      return raises ? RingFrom(Rung{1, 0}) : absl::OkStatus();
    default:
      // Somebody has it; only who names its policy wants more.
      return is_named ? RingFrom(here.level > 0 ? After(live_->policy(), here) : Rung{1, 0})
                      : absl::OkStatus();
  }
}

absl::Status TicketCase::FollowEscalation() {
  if (!is_open()) return absl::OkStatus();
  if (record_.escalation_id().empty()) {
    return SeverityOf(record_) == SEVERITY_CRITICAL ? Trigger(v1::ESCALATION_TRIGGER_SEVERITY)
                                                    : absl::OkStatus();
  }
  if (const absl::Status loaded = LoadEscalation(record_.escalation_id()); !loaded.ok()) {
    return loaded;
  }
  const std::string before = live_->escalation().escalation_id();
  if (const absl::Status followed = FollowClass(); !followed.ok()) return followed;
  if (record_.escalation_id() != before) return absl::OkStatus();
  FollowHours();
  return targets_changed_ ? RingNewcomers() : absl::OkStatus();
}

// Numbers fall as severity and level rise.
absl::Status TicketCase::FollowClass() {
  v1::Escalation& escalation = *live_->mutable_escalation();
  const Severity severity = SeverityOf(record_);
  const ContactLevel level = LevelOf(record_);
  // Not known = as it is: written by a version that did not keep it.
  const ContactLevel level_before =
      live_->contact_level() == CONTACT_LEVEL_UNSPECIFIED ? level : live_->contact_level();
  if (escalation.account_id() != record_.account_id()) {
    // Another account has another team.
    escalation.set_account_id(record_.account_id());
    live_->clear_team();
    live_->clear_counterparts();
    live_->set_team_known(false);
    live_changed_ = targets_changed_ = true;
  }
  if (severity == escalation.severity() && level == level_before) return absl::OkStatus();
  const bool rises = severity < escalation.severity() || level < level_before;
  const v1::EscalationState state = escalation.state();
  // Whoever took responsibility for more has it.
  if (!rises && state == v1::ESCALATION_STATE_ACKNOWLEDGED) return absl::OkStatus();
  const bool became_critical = severity == SEVERITY_CRITICAL && severity != escalation.severity();
  // What a person chose stands, but not against a ticket that became CRITICAL.
  const bool rings_for_less = !rises && state != v1::ESCALATION_STATE_EXHAUSTED;
  if (became_critical || (!live_->is_named() && (rises || rings_for_less))) {
    const Choice choice = Choose();
    if (choice.policy == nullptr) {
      if (!rises) {
        CloseEscalation("reclassified");
        return absl::OkStatus();
      }
    } else if (became_critical || choice.policy->name() != live_->policy().name()) {
      return Supersede(choice.trigger, *choice.policy, false);
    }
  }
  if (level != level_before) {
    live_->clear_counterparts();
    live_->set_team_known(false);
    targets_changed_ = true;
  }
  escalation.set_severity(severity);
  live_->set_contact_level(level);
  live_changed_ = true;
  return absl::OkStatus();
}

absl::Status TicketCase::RingNewcomers() {
  const v1::Escalation& escalation = live_->escalation();
  if (escalation.state() != v1::ESCALATION_STATE_RINGING || escalation.rings().empty()) {
    return absl::OkStatus();
  }
  if (!live_->team_known() && !KnowTeam()) return absl::OkStatus();
  auto staff = StaffOf(live_->policy().levels(live_->level() - 1));
  if (!staff.ok()) return staff.status();
  const auto& rung = escalation.rings(escalation.rings_size() - 1).staff_ids();
  const bool all_rung = std::all_of(staff->begin(), staff->end(), [&](const std::string& one) {
    return std::find(rung.begin(), rung.end(), one) != rung.end();
  });
  return all_rung ? absl::OkStatus() : RingFrom(Rung{live_->level(), live_->repeat()});
}

// Of which hours a time to acknowledge is made hangs on severity and queue.
void TicketCase::FollowHours() {
  v1::Escalation& escalation = *live_->mutable_escalation();
  const auto due = [&](const google::protobuf::Timestamp& from, absl::Duration span) {
    return rules().After(live_->policy(), SeverityOf(record_), record_.queue(), time::Instant(from),
                         span);
  };
  const auto moved = [&](const google::protobuf::Timestamp& was, absl::Time is) {
    if (time::Instant(was) == is) return false;
    live_changed_ = true;
    SetTimer(std::max(is, EscalationTime()));
    return true;
  };
  if (escalation.state() == v1::ESCALATION_STATE_RINGING && !escalation.rings().empty()) {
    v1::EscalationRing& ring = *escalation.mutable_rings(escalation.rings_size() - 1);
    const absl::Duration within =
        time::Span(live_->policy().levels(live_->level() - 1).acknowledge_within());
    const absl::Time by = due(ring.rung_at(), within);
    if (moved(ring.acknowledge_by(), by)) *ring.mutable_acknowledge_by() = time::Stamp(by);
  } else if (escalation.state() == v1::ESCALATION_STATE_ACKNOWLEDGED &&
             escalation.has_holds_until()) {
    const absl::Time until =
        due(escalation.acknowledged_at(), time::Span(live_->policy().acknowledgement_holds()));
    if (moved(escalation.holds_until(), until)) {
      *escalation.mutable_holds_until() = time::Stamp(until);
    }
  }
}

absl::Status TicketCase::EscalationDue(int64_t step) {
  if (!live_ || live_->step() != step || !is_open()) return absl::OkStatus();
  const Rung here = {live_->level(), live_->repeat()};
  switch (live_->escalation().state()) {
    case v1::ESCALATION_STATE_RINGING:
      return RingFrom(After(live_->policy(), here));
    case v1::ESCALATION_STATE_ACKNOWLEDGED: {
      // The acknowledgement expired: the same level again, or the first if none has rung yet; by
      // another policy, if the ticket has become less since.
      live_->mutable_escalation()->set_state(v1::ESCALATION_STATE_RINGING);
      live_changed_ = true;
      const std::string before = live_->escalation().escalation_id();
      if (const absl::Status followed = FollowClass(); !followed.ok()) return followed;
      if (record_.escalation_id() != before) return absl::OkStatus();
      return RingFrom(here.level > 0 ? here : Rung{1, 0});
    }
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
    SetTimer(until);
  } else {
    live_->set_step(live_->step() + 1);
    decision_.CancelTimer(EscalationTimerId(escalation.escalation_id()));
  }
  live_changed_ = true;
  PublishEscalation(std::move(acknowledged));
}

void TicketCase::SaveEscalation() {
  if (!live_) return;
  std::string key = live_->escalation().escalation_id();
  if (live_is_new_) {
    decision_.Insert(Escalations(), std::move(key), *live_);
  } else if (live_changed_) {
    decision_.Save(Escalations(), std::move(key), *live_);
  }
  live_.reset();
  live_is_new_ = live_changed_ = false;
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
  SaveEscalation();
  if (save_ticket_) {
    *record_.mutable_last_fact_at() = time::Stamp(at_);
    decision_.Save(Tickets(), ticket_id_, std::move(record_));
  }
  return std::move(decision_);
}

}  // namespace tandem::triage
