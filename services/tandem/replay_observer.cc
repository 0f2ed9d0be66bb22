#include "services/tandem/replay_observer.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/corridor/definition.h"
#include "common/time/stamp.h"
#include "services/tandem/held_hours.h"
#include "tandem/events/v1/account.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/sla.pb.h"
#include "tandem/events/v1/survey.pb.h"
#include "tandem/events/v1/triage.pb.h"

namespace tandem::programs {
namespace {

namespace ev = events::v1;
namespace ty = type::v1;

constexpr int kRecordsAtOnce = 1024;

void Fill(const std::map<std::string, int32_t>& counts,
          google::protobuf::RepeatedPtrField<NamedCount>* entries) {
  for (const auto& [name, count] : counts) {
    NamedCount* const entry = entries->Add();
    entry->set_name(name);
    entry->set_count(count);
  }
}

// The topics of OutreachHeld and OutreachCleared.
template <typename E>
std::vector<ty::OutreachTopic> Topics(const E& event) {
  std::vector<ty::OutreachTopic> topics;
  for (const int topic : event.topics()) topics.push_back(static_cast<ty::OutreachTopic>(topic));
  if (topics.empty()) topics.push_back(event.topic());
  return topics;
}

}  // namespace

ReplayObserver::ReplayObserver(bus::Bus* bus, executor::Executor* executor)
    : bus_(bus), scope_(executor) {}

ReplayObserver::~ReplayObserver() {
  member_.reset();
  scope_.Close();
}

absl::Status ReplayObserver::Start() {
  absl::StatusOr<std::unique_ptr<bus::Consumer>> member = bus_->Join("report", this);
  if (!member.ok()) return member.status();
  member_ = *std::move(member);
  return absl::OkStatus();
}

// The bus calls from its own steps, before Join has returned at the earliest; one thread runs all.
void ReplayObserver::Assigned(std::vector<int> partitions) {
  scope_.Post([this, partitions = std::move(partitions)] {
    for (const int partition : partitions) {
      member_->Seek(partition, 0, 1);
      member_->More(partition, kRecordsAtOnce);
    }
  });
}

void ReplayObserver::Stopped(int partition, absl::Status why) {
  scope_.Post([this, partition, why = std::move(why)] {
    trouble_.Update(absl::Status(
        why.code(), absl::StrCat("partition ", partition, ": ", std::string(why.message()))));
  });
}

void ReplayObserver::Records(int partition, int64_t, std::vector<bus::RecordPtr> records) {
  for (const bus::RecordPtr& record : records) {
    const bus::Event& event = record->event;
    ++events_;
    const auto [found, is_new] = types_.try_emplace(event.type);
    TypeCount& type = found->second;
    if (is_new) {
      const auto apply = Applies().find(event.type);
      if (apply != Applies().end()) type.apply = apply->second;
      type.source = event.source;
    }
    ++type.count;
    if (type.apply != nullptr && !type.apply(*this, event)) {
      trouble_.Update(absl::DataLossError(absl::StrCat("event ", event.id, " is no ", event.type)));
    }
  }
  member_->ReportPosition(partition, records.back()->offset + 1);
  member_->More(partition, kRecordsAtOnce);
}

template <typename E>
bool ReplayObserver::Parse(ReplayObserver& observer, const bus::Event& event) {
  E body;
  if (!body.ParseFromString(event.body)) return false;
  observer.On(body);
  return true;
}

template <typename E>
ReplayObserver::Clock& ReplayObserver::ClockOf(const E& event) {
  const ev::SlaClockRef& ref = event.clock();
  Clock& clock = clocks_[ClockKey{ref.ticket_id(), ref.metric(), ref.cycle()}];
  clock.rule = ref.policy().rule();
  clock.severity = ref.severity();
  return clock;
}

// ---- tickets
template <>
void ReplayObserver::On(const ev::TicketOpened& event) {
  TicketView& ticket = tickets_[event.ticket_id()];
  ticket.account_id = event.account_id();
  ticket.is_follow_up = !event.follow_up_of().empty();
}
template <>
void ReplayObserver::On(const ev::TicketRequesterResolved& event) {
  tickets_[event.ticket_id()].account_id = event.account_id();
}
template <>
void ReplayObserver::On(const ev::TicketStateChanged& event) {
  tickets_[event.ticket_id()].state = event.to_state();
}
template <>
void ReplayObserver::On(const ev::TicketResolved& event) {
  tickets_[event.ticket_id()].state = ty::TICKET_STATE_RESOLVED;
}
template <>
void ReplayObserver::On(const ev::TicketReopened& event) {
  tickets_[event.ticket_id()].state = event.to_state();
}
template <>
void ReplayObserver::On(const ev::TicketClosed& event) {
  tickets_[event.ticket_id()].state = ty::TICKET_STATE_CLOSED;
}
template <>
void ReplayObserver::On(const ev::TicketTriaged& event) {
  tickets_[event.ticket_id()].severity = event.severity();
}
template <>
void ReplayObserver::On(const ev::SeverityChanged& event) {
  tickets_[event.ticket_id()].severity = event.to_severity();
}
template <>
void ReplayObserver::On(const ev::AssignmentAccepted& event) {
  tickets_[event.ticket_id()].owner = event.staff_id();
}
template <>
void ReplayObserver::On(const ev::AssignmentReleased& event) {
  // A hand-over releases the old owner before or after the new one accepts.
  TicketView& ticket = tickets_[event.ticket_id()];
  if (ticket.owner == event.staff_id()) ticket.owner.clear();
}

// ---- escalations
template <>
void ReplayObserver::On(const ev::EscalationRaised& event) {
  escalations_.set_raised(escalations_.raised() + 1);
  ++triggers_[event.trigger()];
}
template <>
void ReplayObserver::On(const ev::EscalationLevelReached& event) {
  ++rings_[event.level()];
  TicketView& ticket = tickets_[event.ticket_id()];
  ticket.escalation_id = event.escalation_id();
  ticket.rung_at = time::Instant(event.occurred_at());
}
template <>
void ReplayObserver::On(const ev::EscalationAcknowledged& event) {
  escalations_.set_acknowledged(escalations_.acknowledged() + 1);
  tickets_[event.ticket_id()].escalation_id.clear();
}
template <>
void ReplayObserver::On(const ev::EscalationExhausted&) {
  escalations_.set_exhausted(escalations_.exhausted() + 1);
}
template <>
void ReplayObserver::On(const ev::EscalationClosed& event) {
  // One that another took over, or that is not for the ticket's class any more, ends apart from it.
  if (event.reason() == "resolved" || event.reason() == "closed") {
    escalations_.set_closed(escalations_.closed() + 1);
  }
  tickets_[event.ticket_id()].escalation_id.clear();
}

// ---- clocks
template <>
void ReplayObserver::On(const ev::SlaClockStarted& event) {
  Clock& clock = ClockOf(event);
  if (clock.verdict != Verdict::kBreached) clock.verdict = Verdict::kRunning;
}
template <>
void ReplayObserver::On(const ev::SlaClockResumed& event) {
  Clock& clock = ClockOf(event);
  // A reopened ticket takes its clock up again.
  if (clock.verdict != Verdict::kBreached) clock.verdict = Verdict::kRunning;
}
template <>
void ReplayObserver::On(const ev::SlaWarning& event) {
  ++warnings_[{event.clock().metric(), event.threshold()}];
}
template <>
void ReplayObserver::On(const ev::SlaBreached& event) {
  ClockOf(event).verdict = Verdict::kBreached;
}
template <>
void ReplayObserver::On(const ev::SlaMet& event) {
  Clock& clock = ClockOf(event);
  if (clock.verdict != Verdict::kBreached) clock.verdict = Verdict::kMet;
}
template <>
void ReplayObserver::On(const ev::SlaCancelled& event) {
  ClockOf(event).verdict = Verdict::kCancelled;
}
template <>
void ReplayObserver::On(const ev::SlaVerdictCorrected& event) {
  const std::string& verdict = event.to_verdict();
  ClockOf(event).verdict = verdict == "met"        ? Verdict::kMet
                           : verdict == "breached" ? Verdict::kBreached
                                                   : Verdict::kRunning;
}

// ---- surveys
template <>
void ReplayObserver::On(const ev::SurveyInvited&) {
  surveys_.set_invited(surveys_.invited() + 1);
}
template <>
void ReplayObserver::On(const ev::SurveyReminded&) {
  surveys_.set_reminded(surveys_.reminded() + 1);
}
template <>
void ReplayObserver::On(const ev::SurveyExpired&) {
  surveys_.set_expired(surveys_.expired() + 1);
}
template <>
void ReplayObserver::On(const ev::SurveyWithdrawn&) {
  surveys_.set_withdrawn(surveys_.withdrawn() + 1);
}
template <>
void ReplayObserver::On(const ev::SurveyAnswered&) {
  surveys_.set_answered(surveys_.answered() + 1);
}
template <>
void ReplayObserver::On(const ev::SurveySuppressed& event) {
  ++suppressed_[event.reason()];
}

// ---- outreach
template <>
void ReplayObserver::On(const ev::OutreachHeld& event) {
  for (const ty::OutreachTopic topic : Topics(event)) {
    Hold& hold = holds_[HoldKey{event.account_id(), event.contact_id(), topic}];
    if (!hold.since.has_value()) hold.since = time::Instant(event.occurred_at());
  }
}
template <>
void ReplayObserver::On(const ev::OutreachCleared& event) {
  for (const ty::OutreachTopic topic : Topics(event)) {
    Hold& hold = holds_[HoldKey{event.account_id(), event.contact_id(), topic}];
    if (!hold.since.has_value()) continue;
    hold.held += time::Instant(event.occurred_at()) - *hold.since;
    hold.since.reset();
  }
}

const std::map<std::string, ReplayObserver::Apply>& ReplayObserver::Applies() {
  static const auto* const applies = [] {
    auto* const made = new std::map<std::string, Apply>();
    const auto add = [made]<typename E>(const E*) {
      (*made)[E::descriptor()->full_name()] = &ReplayObserver::Parse<E>;
    };
    const auto add_all = [&]<typename... E>(const std::tuple<E...>*) {
      (add(static_cast<const E*>(nullptr)), ...);
    };
    using All =
        std::tuple<ev::TicketOpened, ev::TicketRequesterResolved, ev::TicketStateChanged,
                   ev::TicketResolved, ev::TicketReopened, ev::TicketClosed, ev::TicketTriaged,
                   ev::SeverityChanged, ev::AssignmentAccepted, ev::AssignmentReleased,
                   ev::EscalationRaised, ev::EscalationLevelReached, ev::EscalationAcknowledged,
                   ev::EscalationExhausted, ev::EscalationClosed, ev::SlaClockStarted,
                   ev::SlaClockResumed, ev::SlaWarning, ev::SlaBreached, ev::SlaMet,
                   ev::SlaCancelled, ev::SlaVerdictCorrected, ev::SurveyInvited, ev::SurveyReminded,
                   ev::SurveyExpired, ev::SurveyWithdrawn, ev::SurveyAnswered, ev::SurveySuppressed,
                   ev::OutreachHeld, ev::OutreachCleared>;
    add_all(static_cast<const All*>(nullptr));
    return made;
  }();
  return *applies;
}

const TicketView* ReplayObserver::Find(const std::string& ticket_id) const {
  const auto found = tickets_.find(ticket_id);
  return found == tickets_.end() ? nullptr : &found->second;
}

std::optional<bool> ReplayObserver::ResolutionMet(const std::string& ticket_id) const {
  // The last cycle decides, unless one was missed.
  bool is_met = false;
  for (int32_t cycle = 1;; ++cycle) {
    const auto found = clocks_.find(ClockKey{ticket_id, ty::SLA_METRIC_RESOLUTION, cycle});
    if (found == clocks_.end()) break;
    if (found->second.verdict == Verdict::kBreached) return false;
    is_met = found->second.verdict == Verdict::kMet;
  }
  if (!is_met) return std::nullopt;
  return true;
}

void ReplayObserver::Report(absl::Time begin, absl::Time end, ReplayReport* report) const {
  std::map<std::pair<ty::Severity, ty::TicketState>, std::pair<int32_t, int32_t>> tickets;
  for (const auto& [id, ticket] : tickets_) {
    auto& [own, follow_ups] = tickets[{ticket.severity, ticket.state}];
    ++(ticket.is_follow_up ? follow_ups : own);
  }
  for (const auto& [key, counts] : tickets) {
    TicketCount* const entry = report->add_tickets();
    entry->set_severity(key.first);
    entry->set_state(key.second);
    entry->set_tickets(counts.first);
    entry->set_follow_ups(counts.second);
  }

  std::map<std::tuple<ty::SlaMetric, std::string, ty::Severity>, std::map<Verdict, int32_t>> clocks;
  for (const auto& [key, clock] : clocks_) {
    ++clocks[{std::get<1>(key), clock.rule, clock.severity}][clock.verdict];
  }
  for (auto& [key, verdicts] : clocks) {
    ClockCount* const entry = report->add_clocks();
    entry->set_metric(std::get<0>(key));
    entry->set_rule(std::get<1>(key));
    entry->set_severity(std::get<2>(key));
    entry->set_met(verdicts[Verdict::kMet]);
    entry->set_breached(verdicts[Verdict::kBreached]);
    entry->set_running(verdicts[Verdict::kRunning]);
    entry->set_cancelled(verdicts[Verdict::kCancelled]);
    entry->set_is_proxy(std::get<0>(key) == ty::SLA_METRIC_FIRST_RESPONSE);
  }
  for (const auto& [key, count] : warnings_) {
    WarningCount* const entry = report->add_warnings();
    entry->set_metric(key.first);
    entry->set_threshold(key.second);
    entry->set_count(count);
  }

  *report->mutable_escalations() = escalations_;
  Fill(triggers_, report->mutable_escalations()->mutable_by_trigger());
  for (const auto& [level, rings] : rings_) {
    LevelCount* const entry = report->mutable_escalations()->add_by_level();
    entry->set_level(level);
    entry->set_rings(rings);
  }

  SurveyCounts& surveys = *report->mutable_surveys();
  surveys = surveys_;
  int32_t due = surveys_.invited();
  for (const auto& [reason, count] : suppressed_) due += count;
  surveys.set_due(due);
  Fill(suppressed_, surveys.mutable_suppressed());

  HeldHours hours;
  for (const auto& [key, hold] : holds_) {
    const auto& [account, contact, topic] = key;
    hours.Add(account, contact, topic,
              hold.held + (hold.since.has_value() ? end - *hold.since : absl::ZeroDuration()));
  }
  hours.Report(report->mutable_outreach());
  report->mutable_outreach()->set_hours_replayed(RoundedHours(end - begin));

  std::map<std::string, const TypeCount*> types;
  for (const auto& [type, count] : types_) types[type] = &count;
  for (const auto& [type, count] : types) {
    EventCount* const entry = report->add_events();
    entry->set_type(type.substr(type.rfind('.') + 1));
    entry->set_source(count->source);
    entry->set_count(static_cast<int32_t>(count->count));
  }
  report->mutable_work()->set_events(static_cast<int32_t>(events_));
}

}  // namespace tandem::programs
