#include "tests/simulation/invariants.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/id/id.h"
#include "common/policy/policy.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "google/protobuf/descriptor.h"
#include "services/account_health/records.pb.h"
#include "services/ticket_intake/records.pb.h"
#include "services/triage/records.pb.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/account/v1/outreach_service.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/sla.pb.h"
#include "tandem/events/v1/survey.pb.h"
#include "tandem/events/v1/triage.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tandem/sla/v1/sla_policy.pb.h"
#include "tandem/sla/v1/sla_service.pb.h"
#include "tandem/triage/v1/triage_policy.pb.h"
#include "tests/simulation/correspondents.h"
#include "tests/simulation/left_out.h"
#include "tests/simulation/world.h"

namespace tandem::simulation {
namespace {

namespace ev = events::v1;
namespace tr = triage::v1;
namespace ty = type::v1;
using google::protobuf::Message;

// The window of the shipped contact budget in which a contact gets one survey.
constexpr absl::Duration kSurveyWindow = absl::Hours(30 * 24);

int64_t IntOf(const store::Value& value) { return std::get<int64_t>(value); }
const std::string& TextOf(const store::Value& value) { return std::get<std::string>(value); }
bool Begins(const store::Write& line, std::string_view with) {
  return line.statement.sql.text().starts_with(with);
}

std::string StreamOf(const bus::Event& event) {
  return absl::StrCat(event.source, "|", event.subject, "|", event.key);
}

std::unique_ptr<Message> Parse(const std::string& type, const std::string& body) {
  const auto* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(type);
  if (descriptor == nullptr) return nullptr;
  std::unique_ptr<Message> message(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(descriptor)->New());
  if (!message->ParseFromString(body)) return nullptr;
  return message;
}

// A string field of the message, or of its "clock" or "survey".
std::string Field(const Message& message, const char* name) {
  const auto* descriptor = message.GetDescriptor();
  if (const auto* field = descriptor->FindFieldByName(name)) {
    return message.GetReflection()->GetString(message, field);
  }
  for (const char* part : {"clock", "survey"}) {
    if (const auto* field = descriptor->FindFieldByName(part)) {
      return Field(message.GetReflection()->GetMessage(message, field), name);
    }
  }
  return "";
}

std::string ShortName(std::string_view type) {
  return std::string(type.substr(type.rfind('.') + 1));
}

template <typename M>
void EachRecord(store::Reader& reader, const std::string& sql, std::vector<store::Value> params,
                const std::function<void(const std::string& key, const M& record)>& visit,
                const std::function<void(std::string)>& fail) {
  const absl::Status status =
      reader.Query({sql, std::move(params)}, [&](const store::RowView& row) {
        M record;
        const std::string_view bytes = row.Text(1);
        if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
          return fail(absl::StrCat("a record cannot be read: ", std::string(row.Text(0))));
        }
        visit(std::string(row.Text(0)), record);
      });
  if (!status.ok()) fail(absl::StrCat(sql, ": ", std::string(status.message())));
}

bool IsUnresolved(ty::TicketState state) {
  return state == ty::TICKET_STATE_NEW || state == ty::TICKET_STATE_OPEN ||
         state == ty::TICKET_STATE_PENDING || state == ty::TICKET_STATE_ON_HOLD;
}

bool IsCommercial(ty::OutreachTopic topic) {
  return topic >= ty::OUTREACH_TOPIC_RENEWAL && topic <= ty::OUTREACH_TOPIC_SURVEY_NPS;
}

// Whether an open ticket of this kind holds commercial outreach to the contact (empty = to all):
// the rules of deploy/policies/account.yaml that need no more than this.
bool Blocks(ty::Severity severity, const std::string& its_contact, const std::string& contact) {
  return severity == ty::SEVERITY_UNSPECIFIED || severity == ty::SEVERITY_CRITICAL ||
         severity == ty::SEVERITY_URGENT || contact.empty() || contact == its_contact;
}

}  // namespace

// ---- at every commit

void Watch::Knows(Service service, const corridor::ServiceDefinition& definition) {
  PerService& known = services_[service];
  known.name = definition.name();
  for (const auto& [type, reaction] : definition.events()) known.used_types.insert(type);
  for (const auto& [name, method] : definition.methods()) {
    if (method.decide) known.commands.insert(name);
  }
}

void Watch::Committed(Service service, const Process& process,
                      const std::vector<store::Write>& batch) {
  ++commits_;
  Ledger& ledger = *ports_.ledger;
  ledger.FoldIn(static_cast<uint64_t>(service));
  ledger.FoldIn(static_cast<uint64_t>(time::ToMicros(ports_.clock->Now())));
  PerService& known = services_[service];
  ++known.commits;
  std::vector<Move> moves;
  bool has_clearances = false;
  for (const store::Write& line : batch) {
    ledger.FoldIn(line.table);
    ledger.FoldIn(line.key);
    if (ledger.is_tracing() && line.table != "positions") {
      ledger.Tell(
          absl::StrCat(process.name(), " ", known.name, " writes ", line.table, " ", line.key));
    }
    if (line.table == "positions") {
      PositionLine(service, process, line, moves);
    } else if (line.table == "event_marks") {
      MarkLine(service, line);
    } else if (line.table == "timers") {
      TimerLine(service, process, line);
    } else if (line.table == "outbox") {
      OutboxLine(service, line);
    } else if (line.table == "request_marks" && Begins(line, "INSERT")) {
      known.requests.insert(TextOf(line.statement.params[0]));
    } else if (line.table == "dead_letters" && Begins(line, "INSERT")) {
      ParkedLine(service, line);
    } else if (line.table == "parked_subjects" && Begins(line, "DELETE")) {
      UnparkedLine(service, line);
    } else if (line.table == "holds" || line.table == "issues") {
      has_clearances = true;
    }
  }
  for (const Move& move : moves) CheckMove(service, move);
  if (service == kAccount && has_clearances) CheckClearances(batch);
}

void Watch::PositionLine(Service service, const Process& process, const store::Write& line,
                         std::vector<Move>& moves) {
  const auto& params = line.statement.params;
  PerService& known = services_[service];
  if (Begins(line, "UPDATE positions SET epoch")) {
    known.positions[static_cast<int>(IntOf(params[0]))].owner = TextOf(params[1]);
    return;
  }
  if (!Begins(line, "UPDATE positions SET next_offset")) return;
  const int partition = static_cast<int>(IntOf(params[1]));
  Position& position = known.positions[partition];
  const int64_t to = IntOf(params[0]);
  if (position.owner != process.name()) {
    Fail(absl::StrCat(known.name, ": ", process.name(), " moves the position of partition ",
                      partition, ", which is ", position.owner, "'s"));
  }
  if (to <= position.next_offset) {
    Fail(absl::StrCat(known.name, ": the position of partition ", partition, " goes from ",
                      position.next_offset, " to ", to));
  }
  moves.push_back({partition, position.next_offset, to});
  position.next_offset = to;
}

void Watch::Rewound(Service service, int partition, int64_t next_offset) {
  services_[service].positions[partition] = {next_offset, "operator"};
}

void Watch::MarkLine(Service service, const store::Write& line) {
  const auto& params = line.statement.params;
  const std::string& stream = TextOf(params[0]);
  const int64_t sequence = IntOf(params[1]);
  int64_t& mark = services_[service].marks[stream];
  if (sequence <= mark) {
    Fail(absl::StrCat(services_[service].name, " applies event ", sequence, " of ", stream,
                      " behind ", mark, " (an event counts once)"));
  }
  mark = sequence;
  services_[service].marked[stream].emplace_back(sequence, ports_.clock->Now());
  ++events_applied_;
}

void Watch::ParkedLine(Service service, const store::Write& line) {
  const auto& params = line.statement.params;
  PerService& known = services_[service];
  known.parked.insert(TextOf(params[1]));
  known.parked_events.push_back(
      {TextOf(params[1]), TextOf(params[0]), TextOf(params[4]), ports_.clock->Now()});
}

void Watch::UnparkedLine(Service service, const store::Write& line) {
  const std::string& subject = TextOf(line.statement.params[0]);
  for (ParkedEvent& event : services_[service].parked_events) {
    if (event.subject == subject && event.to == absl::InfiniteFuture()) {
      event.to = ports_.clock->Now();
    }
  }
}

absl::Time Watch::KnownSince(Service service, const bus::Event& event) const {
  const auto marks = services_[service].marked.find(StreamOf(event));
  if (marks == services_[service].marked.end()) return absl::InfiniteFuture();
  const auto mark =
      std::lower_bound(marks->second.begin(), marks->second.end(), event.sequence,
                       [](const auto& one, int64_t sequence) { return one.first < sequence; });
  return mark == marks->second.end() ? absl::InfiniteFuture() : mark->second;
}

// What a position has passed was applied, or set aside.
void Watch::CheckMove(Service service, const Move& move) {
  const PerService& known = services_[service];
  const std::vector<bus::RecordPtr>& log = ports_.log(move.partition);
  if (move.to > static_cast<int64_t>(log.size())) {
    return Fail(absl::StrCat(known.name, ": the position of partition ", move.partition,
                             " lies beyond the log"));
  }
  for (int64_t offset = move.from; offset < move.to; ++offset) {
    const bus::Event& event = log[static_cast<size_t>(offset)]->event;
    if (!known.used_types.contains(event.type)) continue;
    const auto mark = known.marks.find(StreamOf(event));
    if ((mark != known.marks.end() && mark->second >= event.sequence) ||
        known.parked.contains(event.id)) {
      continue;
    }
    Fail(absl::StrCat(known.name, ": the position of partition ", move.partition, " has passed ",
                      ShortName(event.type), " ", event.id, ", which was not applied"));
  }
}

void Watch::TimerLine(Service service, const Process& process, const store::Write& line) {
  const auto& params = line.statement.params;
  PerService& known = services_[service];
  if (Begins(line, "INSERT INTO timers")) {
    known.timers[TextOf(params[0])] = IntOf(params[1]);
    return;
  }
  if (!Begins(line, "DELETE FROM timers")) return;
  const std::string& id = TextOf(params[0]);
  if (params.size() == 1) {  // cancelled
    known.timers.erase(id);
    return;
  }
  ++timers_fired_;
  const absl::Time due = time::FromMicros(IntOf(params[1]));
  const auto set = known.timers.find(id);
  if (set == known.timers.end() || set->second != IntOf(params[1])) {
    Fail(absl::StrCat(known.name, ": the timer ", id, " fires although it is not set for then"));
  } else {
    known.timers.erase(set);
  }
  // By the store's clock: the database's where it is shared, else the process's, wherever it has
  // jumped meanwhile.
  const absl::Time latest =
      ports_.clock->Now() + (ports_.is_shared ? absl::ZeroDuration() : ports_.largest_skew);
  if (due > latest) {
    Fail(absl::StrCat(known.name, ": ", process.name(), " fires the timer ", id, " at ",
                      time::FormatInstant(ports_.clock->Now()), ", before it is due at ",
                      time::FormatInstant(due)));
  }
}

void Watch::OutboxLine(Service service, const store::Write& line) {
  if (!Begins(line, "INSERT")) return;
  const auto& params = line.statement.params;
  CommittedEvent event;
  event.service = service;
  event.id = TextOf(params[0]);
  event.type = TextOf(params[1]);
  event.subject = TextOf(params[2]);
  event.key = TextOf(params[3]);
  event.time = time::FromMicros(IntOf(params[4]));
  event.cause = TextOf(params[5]);
  event.body = std::get<store::Blob>(params[8]).bytes;
  event.committed_at = ports_.clock->Now();
  Ledger& ledger = *ports_.ledger;
  if (!ledger.committed_by_id.emplace(event.id, ledger.committed.size()).second) {
    Fail(absl::StrCat(services_[service].name, " decides ", ShortName(event.type), " ", event.id,
                      " a second time (cause ", event.cause, ")"));
  }
  if (ledger.is_tracing()) {
    const auto body = Parse(event.type, event.body);
    ledger.Tell(absl::StrCat(services_[service].name, " decides ", ShortName(event.type), " ",
                             event.id, " {", body == nullptr ? "" : body->ShortDebugString(),
                             "} because of ", event.cause));
  }
  ledger.committed.push_back(event);
  if (service == kTriage) CheckOwner(event);
  if (service == kTriage) CheckRing(event);
  if (service == kSurvey) CheckSurvey(event);
  if (service == kSla) CheckClock(event);
}

// Each instant rings one level, so that whoever is rung has the time that the level gives.
void Watch::CheckRing(const CommittedEvent& event) {
  if (event.type != ev::EscalationLevelReached::descriptor()->full_name()) return;
  ev::EscalationLevelReached reached;
  reached.ParseFromString(event.body);
  Ring& last = rings_[reached.escalation_id()];
  const absl::Time at = time::Instant(reached.occurred_at());
  if (at <= last.at && (reached.level() != last.level || reached.repeat() != last.repeat)) {
    Fail(absl::StrCat("escalation ", reached.escalation_id(), " rings level ", reached.level(),
                      " at ", time::FormatInstant(at), ", when it rings level ", last.level, " at ",
                      time::FormatInstant(last.at)));
  }
  if (time::Instant(reached.acknowledge_by()) <= at) {
    Fail(absl::StrCat("escalation ", reached.escalation_id(), " gives level ", reached.level(),
                      " no time to acknowledge"));
  }
  last = {reached.level(), reached.repeat(), at};
}

// No two agents own a ticket: each acceptance names whom it takes the ticket from.
void Watch::CheckOwner(const CommittedEvent& event) {
  if (event.type == ev::AssignmentAccepted::descriptor()->full_name()) {
    ev::AssignmentAccepted accepted;
    accepted.ParseFromString(event.body);
    std::string& owner = owners_[accepted.ticket_id()];
    if (accepted.previous_staff_id() != owner) {
      Fail(absl::StrCat("ticket ", accepted.ticket_id(), " is given to ", accepted.staff_id(),
                        " from \"", accepted.previous_staff_id(), "\" although \"", owner,
                        "\" owns it"));
    }
    owner = accepted.staff_id();
  } else if (event.type == ev::AssignmentReleased::descriptor()->full_name()) {
    ev::AssignmentReleased released;
    released.ParseFromString(event.body);
    std::string& owner = owners_[released.ticket_id()];
    if (released.staff_id() != owner) {
      Fail(absl::StrCat("ticket ", released.ticket_id(), " is released by ", released.staff_id(),
                        " although \"", owner, "\" owns it"));
    }
    owner.clear();
  }
}

// Asked within the budget, reminded only while an answer is waited for, each revision once.
void Watch::CheckSurvey(const CommittedEvent& event) {
  const std::unique_ptr<Message> body = Parse(event.type, event.body);
  if (body == nullptr || body->GetDescriptor()->FindFieldByName("survey") == nullptr) return;
  const std::string id = Field(*body, "survey_id"), contact = Field(*body, "contact_id");
  SurveyLife& life = surveys_[id];
  const std::string name = ShortName(event.type);
  if (name == "SurveyInvited") {
    std::map<std::string, absl::Time>& counted = invited_[contact];
    for (const auto& [other, at] : counted) {
      if (event.time - at < kSurveyWindow) {
        Fail(absl::StrCat("contact ", contact, " is invited to ", id, " although ", other,
                          " was sent within 30 days"));
      }
    }
    counted[id] = event.time;
  } else if (name == "SurveyWithdrawn") {
    life.is_withdrawn = true;
    for (auto& [who, counted] : invited_) counted.erase(id);
  } else if (name == "SurveyReminded") {
    if (life.revision > 0 || life.is_withdrawn) {
      Fail(absl::StrCat("survey ", id, " is reminded of after it was ",
                        life.revision > 0 ? "answered" : "withdrawn"));
    }
  } else if (name == "SurveyAnswered") {
    ev::SurveyAnswered answered;
    answered.ParseFromString(event.body);
    if (answered.revision() != life.revision + 1) {
      Fail(absl::StrCat("survey ", id, " has answer ", answered.revision(), " after ",
                        life.revision));
    }
    life.revision = answered.revision();
  }
}

const std::pair<std::string, ShadowCalendar>* Watch::CalendarOf(int64_t version,
                                                                const std::string& name) {
  auto known = calendars_.find(version);
  if (known == calendars_.end()) {
    policy::StoredPolicy stored;
    sla::v1::SlaPolicy policy;
    const absl::Status read = ports_.reader(kSla).Query(
        {"SELECT body FROM policies WHERE key = $1", {policy::VersionKey(version)}},
        [&](const store::RowView& row) {
          const std::string_view bytes = row.Text(0);
          stored.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
        });
    if (!read.ok() || stored.version() != version || !policy.ParseFromString(stored.body())) {
      return nullptr;
    }
    known = calendars_.try_emplace(version).first;
    for (const sla::v1::Calendar& calendar : policy.calendars()) {
      absl::StatusOr<ShadowCalendar> made = ShadowCalendar::Make(calendar);
      if (!made.ok()) continue;
      known->second.try_emplace(calendar.name(), calendar.SerializeAsString(), *std::move(made));
    }
  }
  const auto found = known->second.find(name);
  return found == known->second.end() ? nullptr : &found->second;
}

std::optional<absl::Duration> Watch::BusinessTime(int64_t version, const std::string& calendar,
                                                  absl::Time from, absl::Time to) {
  const auto* const found = CalendarOf(version, calendar);
  if (found == nullptr) return std::nullopt;
  return found->second.OpenTime(from, to);
}

bool Watch::HaveSameHours(int64_t version, int64_t other, const std::string& calendar) {
  if (version == other) return true;
  const auto* const mine = CalendarOf(version, calendar);
  const auto* const theirs = CalendarOf(other, calendar);
  return mine != nullptr && theirs != nullptr && mine->first == theirs->first;
}

// A clock that was paused goes on with what is left of its budget, by its calendar.
void Watch::CheckClock(const CommittedEvent& event) {
  const std::unique_ptr<Message> body = Parse(event.type, event.body);
  if (body == nullptr || body->GetDescriptor()->FindFieldByName("clock") == nullptr) return;
  const auto& ref = static_cast<const ev::SlaClockRef&>(
      body->GetReflection()->GetMessage(*body, body->GetDescriptor()->FindFieldByName("clock")));
  Clock& clock =
      clocks_[absl::StrCat(ref.ticket_id(), "/", static_cast<int>(ref.metric()), "/", ref.cycle())];
  // Not the event's own instant, which never goes back within a ticket.
  const absl::Time at = time::Instant(
      static_cast<const google::protobuf::Timestamp&>(body->GetReflection()->GetMessage(
          *body, body->GetDescriptor()->FindFieldByName("occurred_at"))));
  const std::string name = ShortName(event.type);
  const std::string rule = absl::StrCat(ref.policy().version(), "/", ref.policy().rule());
  if (name == "SlaClockStarted") {
    const auto& started = static_cast<const ev::SlaClockStarted&>(*body);
    const bool is_first = !started.retargeted() && at == time::Instant(started.started_at());
    const bool is_classified = clock.is_unclassified && ref.severity() != ty::SEVERITY_UNSPECIFIED;
    if (is_first || (is_classified && !clock.is_paused)) {
      // The first classification counts from the opening on.
      clock.runs_from = time::Instant(started.started_at());
      clock.used = absl::ZeroDuration();
    } else if (clock.runs_from > absl::InfinitePast() && at >= clock.runs_from &&
               !clock.is_paused) {
      // Another target: what was used by the old one's calendar stays used.
      // A version that means other hours may have taken it before, without a word.
      const std::optional<absl::Duration> used =
          HaveSameHours(clock.version, ref.policy().version(), clock.calendar)
              ? BusinessTime(clock.version, clock.calendar, clock.runs_from, at)
              : std::nullopt;
      clock.used += used.value_or(absl::ZeroDuration());
      clock.runs_from = used.has_value() ? at : absl::InfinitePast();
    } else {
      clock.runs_from = absl::InfinitePast();
    }
    clock.is_unclassified = ref.severity() == ty::SEVERITY_UNSPECIFIED;
    clock.target = time::Span(started.target());
    clock.rule = rule;
    clock.version = ref.policy().version();
    clock.calendar = started.calendar();
    if (is_classified && clock.is_paused) {
      // It counts from the opening on here too; after several pauses no event says which pieces.
      const std::optional<absl::Duration> used =
          clock.pauses == 1 ? BusinessTime(clock.version, clock.calendar,
                                           time::Instant(started.started_at()), clock.paused_at)
                            : std::nullopt;
      if (used.has_value()) {
        clock.used = *used;
      } else {
        clock.target = absl::ZeroDuration();
      }
    }
  } else if (name == "SlaClockPaused") {
    const absl::Duration used = time::Span(static_cast<const ev::SlaClockPaused&>(*body).used());
    const std::optional<absl::Duration> since =
        clock.runs_from > absl::InfinitePast() && at >= clock.runs_from &&
                HaveSameHours(clock.version, ref.policy().version(), clock.calendar)
            ? BusinessTime(clock.version, clock.calendar, clock.runs_from, at)
            : std::nullopt;
    if (since.has_value()) {
      const absl::Duration own = clock.used + *since;
      if (own != used) {
        Fail(absl::StrCat("ticket ", ref.ticket_id(), ", ", ty::SlaMetric_Name(ref.metric()),
                          ": paused after ", absl::FormatDuration(used), " of business time (",
                          clock.calendar, "), the calendar gives ", absl::FormatDuration(own)));
      }
    }
    // What was given another target while it stood still has one that no event says.
    if (rule != clock.rule) clock.target = absl::ZeroDuration();
    clock.used = used;
    clock.is_paused = true;
    clock.paused_at = at;
    ++clock.pauses;
    clock.runs_from = absl::InfinitePast();
  } else if (name == "SlaClockResumed") {
    const absl::Time due = time::Instant(static_cast<const ev::SlaClockResumed&>(*body).due_at());
    if (rule != clock.rule) clock.target = absl::ZeroDuration();
    const std::optional<absl::Duration> left =
        clock.is_paused && clock.used < clock.target
            ? BusinessTime(clock.version, clock.calendar, at, due)
            : std::nullopt;
    if (left.has_value()) {
      if (*left != clock.target - clock.used) {
        Fail(absl::StrCat("ticket ", ref.ticket_id(), ", ", ty::SlaMetric_Name(ref.metric()),
                          ": goes on with ", absl::FormatDuration(*left), " (", clock.calendar,
                          "), ", absl::FormatDuration(clock.target - clock.used), " are left"));
      }
    }
    const bool is_known = clock.is_paused && clock.target > absl::ZeroDuration();
    clock.runs_from = is_known ? at : absl::InfinitePast();
    clock.is_paused = false;
  } else {
    // A late fact may have changed the past.
    if (name == "SlaVerdictCorrected") clock = Clock();
  }
}

// A clearance that stands while account_health knows of an open ticket that blocks it: either
// intake's answer had that ticket, and there was no ALLOW to give, or it had not, and the commit
// that consumed its event had to revoke.
void Watch::CheckClearances(const std::vector<store::Write>& batch) {
  std::set<std::string> accounts;
  for (const store::Write& line : batch) {
    if (line.table == "holds" || line.table == "issues") {
      accounts.insert(line.key.substr(0, line.key.find('/')));
    }
  }
  const auto fail = [this](std::string message) { Fail(std::move(message)); };
  const int64_t now_us = time::ToMicros(ports_.clock->Now() + ports_.largest_skew);
  for (const std::string& account : accounts) {
    account_health::records::HoldRecord holds;
    EachRecord<account_health::records::HoldRecord>(
        ports_.reader(kAccount), "SELECT key, body FROM holds WHERE key = $1", {account},
        [&](const std::string&, const auto& record) { holds = record; }, fail);
    if (holds.clearances().empty()) continue;
    // By ticket; a store is not asked while it answers.
    std::map<std::string, account_health::records::Issue> issues;
    EachRecord<account_health::records::Issue>(
        ports_.reader(kAccount), "SELECT key, body FROM issues WHERE key >= $1 AND key < $2",
        {account + "/", account + "0"},
        [&](const std::string&, const account_health::records::Issue& issue) {
          issues[issue.subject_id()] = issue;
        },
        fail);
    for (const auto& [subject_id, issue] : issues) {
      for (const auto& standing : holds.clearances()) {
        if (!IsCommercial(standing.topic()) || !standing.exception_id().empty() ||
            standing.expires_us() <= now_us || (issue.flags() & 32) != 0 ||  // suspected to be spam
            !Blocks(issue.severity(), issue.contact_id(), standing.contact_id())) {
          continue;
        }
        int64_t known_reopenings = 0;
        EachRecord<account_health::records::TicketRecord>(
            ports_.reader(kAccount), "SELECT key, body FROM tickets WHERE key = $1", {subject_id},
            [&](const std::string&, const account_health::records::TicketRecord& ticket) {
              known_reopenings = ticket.reopened_us_size();
            },
            fail);
        EachRecord<ticket_intake::records::TicketRecord>(
            ports_.reader(kIntake), "SELECT key, body FROM tickets WHERE key = $1", {subject_id},
            [&](const std::string&, const ticket_intake::records::TicketRecord& record) {
              const intake::v1::Ticket& ticket = record.ticket();
              // It may have been resolved when intake was asked, and known to be open from before
              // that: the next reopening revokes.
              if (!IsUnresolved(ticket.state()) || ticket.reopenings() > known_reopenings ||
                  ticket.internal() || ticket.suspected_spam() || ticket.account_id() != account ||
                  ticket.contact_id() != issue.contact_id()) {
                return;
              }
              Fail(absl::StrCat("clearance ", standing.clearance_id(), " of ", account, " (",
                                ty::OutreachTopic_Name(standing.topic()), ", contact \"",
                                standing.contact_id(), "\") stands although ticket ", subject_id,
                                " is open and known to be"));
            },
            fail);
      }
    }
  }
}

// ---- at every record

void Watch::Appended(const bus::RecordPtr& record) {
  const bus::Event& event = record->event;
  Ledger& ledger = *ports_.ledger;
  ledger.FoldIn(event.id);
  ledger.FoldIn(static_cast<uint64_t>(record->partition));
  const bool is_new = ledger.published_ids.insert(event.id).second;
  if (ledger.is_tracing()) {
    const auto body = Parse(event.type, event.body);
    ledger.Tell(absl::StrCat("on the bus: ", record->partition, ":", record->offset, " ",
                             ShortName(event.type), " ", event.id, is_new ? "" : " again", " of ",
                             event.subject),
                body == nullptr ? "" : body->ShortDebugString());
  }
  for (const std::string* text : {&event.body, &event.id, &event.subject, &event.key, &event.cause,
                                  &event.traceparent, &event.source}) {
    if (Contains(*text, kCanary)) {
      Fail(absl::StrCat("personal data on the bus: ", ShortName(event.type), " ", event.id));
    }
  }
  if (!is_new || ledger.poison_ids.contains(event.id)) return;
  ledger.published.push_back(record);
  const auto committed = ledger.committed_by_id.find(event.id);
  if (committed == ledger.committed_by_id.end()) {
    return Fail(absl::StrCat(ShortName(event.type), " ", event.id,
                             " is published and was never committed"));
  }
  Stream& stream = streams_[StreamOf(event)];
  if (event.sequence <= stream.sequence) {
    Fail(absl::StrCat(ShortName(event.type), " ", event.id, " of ", event.subject,
                      " comes behind a later event of ", event.source,
                      ": every consumer drops it"));
  }
  stream.sequence = event.sequence;
  // What a service dates itself never goes back within an aggregate.
  if (event.source == services_[kIntake].name) {
    if (event.time < stream.time) {
      Fail(absl::StrCat(ShortName(event.type), " of ", event.subject, " is dated ",
                        time::FormatInstant(event.time), ", before the fact that it follows, ",
                        time::FormatInstant(stream.time)));
    }
    stream.time = event.time;
  }
  const auto cause = ledger.committed_by_id.find(event.cause);
  if (cause != ledger.committed_by_id.end() && ledger.committed[cause->second].key == event.key &&
      !ledger.published_ids.contains(event.cause)) {
    Fail(absl::StrCat(ShortName(event.type), " ", event.id, " stands before its cause ",
                      event.cause));
  }
}

// ---- at every answer

namespace {

// An answer that promises nothing and stores nothing: why outreach is held, whether it would be,
// who somebody is.
bool HoldsForNow(const Message& request, const Message& reply) {
  if (reply.GetDescriptor() == account::v1::CheckOutreachResponse::descriptor()) {
    return static_cast<const account::v1::CheckOutreachResponse&>(reply).clearance_id().empty();
  }
  return request.GetDescriptor() == account::v1::ResolveRequesterRequest::descriptor() &&
         static_cast<const account::v1::ResolveRequesterRequest&>(request).lookup_only();
}

}  // namespace

void Watch::Answered(Service service, const corridor::CallContext& context,
                     const google::protobuf::MethodDescriptor* method, const Message& request,
                     const absl::StatusOr<corridor::MessagePtr>& reply) {
  const PerService& known = services_[service];
  const std::string name = corridor::MethodName(method);
  if (!reply.ok() || !known.commands.contains(name) || HoldsForNow(request, **reply)) return;
  const std::string request_id = Field(request, "request_id");
  if (known.requests.contains(id::Derive("rq", {context.caller, name, request_id}))) return;
  Fail(absl::StrCat(name, " ", request_id, " of ", context.caller,
                    " is acknowledged before it is committed"));
}

// ---- the committed state at any instant

namespace {

// One look at a world.
class Look {
 public:
  explicit Look(World& world) : world_(world) {}

  // Queues conserve tickets: who is open waits or is owned, and agents carry what they own.
  void Queues() {
    std::map<std::string, int64_t> carried;
    Each<triage::records::TicketRecord>(
        kTriage, "SELECT key, body FROM tickets",
        [&](const std::string& key, const triage::records::TicketRecord& ticket) {
          const bool is_open =
              ticket.phase() == triage::records::PHASE_OPEN && ticket.has_opened_at();
          if (is_open && ticket.has_waiting_since() != ticket.assignee_id().empty()) {
            Fail(absl::StrCat("triage: ticket ", key, " of ",
                              ticket.assignee_id().empty() ? "nobody does not wait"
                                                           : ticket.assignee_id() + " waits"));
          }
          if (ticket.is_charged()) carried[ticket.assignee_id()] += ticket.charged_units();
        });
    Each<triage::records::LoadRecord>(
        kTriage, "SELECT key, body FROM loads",
        [&](const std::string& key, const triage::records::LoadRecord& load) {
          const int64_t units = carried[key];
          if (load.load().units() != units) {
            Fail(absl::StrCat("triage: ", key, " carries ", load.load().units(),
                              " units, the tickets make ", units));
          }
        });
  }

  // What has to go on by a timer has one.
  void Timers() {
    Missing(
        kIntake, "RESOLVED ticket without its auto_close timer",
        absl::StrCat(
            "SELECT key FROM tickets t WHERE state = ", static_cast<int>(ty::TICKET_STATE_RESOLVED),
            " AND NOT EXISTS (SELECT 1 FROM timers WHERE id = 'auto_close:' || t.key) LIMIT 1"));
    Missing(
        kSurvey, "planned survey without its invite timer",
        "SELECT key FROM surveys s WHERE state = 1 AND NOT EXISTS (SELECT 1 FROM timers WHERE id = "
        "'invite:' || s.key) LIMIT 1");
    Missing(
        kSurvey, "invited survey without its expire timer",
        "SELECT key FROM surveys s WHERE state = 2 AND NOT EXISTS (SELECT 1 FROM timers WHERE id = "
        "'expire:' || s.key) LIMIT 1");
    Missing(
        kTriage, "ringing escalation without its timer",
        absl::StrCat(
            "SELECT key FROM escalations e WHERE state = ",
            static_cast<int>(triage::v1::ESCALATION_STATE_RINGING),
            " AND NOT EXISTS (SELECT 1 FROM timers WHERE id = 'escalation:' || e.key) LIMIT 1"));
    for (const char* metric : {"first_response", "resolution", "time_to_own"}) {
      Missing(kSla, absl::StrCat("running ", metric, " clock without its timer"),
              absl::StrCat("SELECT key FROM tickets t WHERE ", metric,
                           " IN (1, 3) AND NOT EXISTS (SELECT 1 FROM "
                           "timers WHERE id = '",
                           metric, ":' || t.key) LIMIT 1"));
    }
  }

  // The timeline has no holes and nothing twice.
  void Timeline() {
    std::map<std::string, int64_t> last;
    std::map<std::string, std::set<std::string>> events;
    Each<account_health::records::EntryRecord>(
        kAccount, "SELECT key, body FROM timeline ORDER BY key",
        [&](const std::string& key, const account_health::records::EntryRecord& entry) {
          const std::string account = key.substr(0, key.find('/'));
          int64_t& sequence = last[account];
          if (account[0] != '~' && entry.sequence() != ++sequence) {
            Fail(absl::StrCat("timeline of ", account, ": entry ", entry.sequence(), " where ",
                              sequence, " is due"));
          }
          if (!entry.event_id().empty() && !events[account].insert(entry.event_id()).second) {
            Fail(absl::StrCat("timeline of ", account, ": ", entry.type(), " ", entry.event_id(),
                              " twice"));
          }
        });
    Each<account_health::records::JournalRecord>(
        kAccount, "SELECT key, body FROM journals",
        [&](const std::string& key, const account_health::records::JournalRecord& journal) {
          if (journal.last_sequence() != last[key]) {
            Fail(absl::StrCat("timeline of ", key, " ends at ", last[key], ", its journal at ",
                              journal.last_sequence()));
          }
        });
  }

  // What is in use the policy still has.
  void InUse() {
    tr::TriagePolicy policy;
    const absl::Status read = world_.reader(kTriage).Query(
        {"SELECT body FROM policies WHERE key = 'current'", {}}, [&](const store::RowView& row) {
          policy::StoredPolicy stored;
          const std::string_view bytes = row.Text(0);
          stored.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
          policy.ParseFromString(stored.body());
        });
    if (!read.ok()) return Fail(std::string(read.message()));
    std::set<std::string> queues, escalations;
    for (const auto& queue : policy.queues()) queues.insert(queue.name());
    for (const auto& escalation : policy.escalations()) escalations.insert(escalation.name());
    Each<triage::records::TicketRecord>(
        kTriage, "SELECT key, body FROM tickets",
        [&](const std::string& key, const triage::records::TicketRecord& ticket) {
          if (ticket.phase() != triage::records::PHASE_OPEN || ticket.queue().empty() ||
              queues.contains(ticket.queue())) {
            return;
          }
          Fail(absl::StrCat("triage: ticket ", key, " is open in the queue ", ticket.queue(),
                            ", which the policy does not have"));
        });
    Each<triage::records::StaffRecord>(
        kTriage, "SELECT key, body FROM staff",
        [&](const std::string& key, const triage::records::StaffRecord& record) {
          for (const std::string& queue : record.staff().queues()) {
            if (!record.staff().active() || queues.contains(queue)) continue;
            Fail(absl::StrCat("triage: ", key, " claims from the queue ", queue,
                              ", which the policy does not have"));
          }
        });
    Each<triage::records::EscalationRecord>(
        kTriage, "SELECT key, body FROM escalations WHERE state < 3",
        [&](const std::string& key, const triage::records::EscalationRecord& record) {
          if (escalations.contains(record.policy().name())) return;
          Fail(absl::StrCat("triage: the escalation ", key, " goes by ", record.policy().name(),
                            ", which the policy does not have"));
        });
  }

  // Holds and health follow from the tickets as account_health knows them.
  void Holds() {
    std::map<std::string, int64_t> issues, open;
    std::set<std::string> severe;
    Each<account_health::records::Issue>(
        kAccount, "SELECT key, body FROM issues",
        [&](const std::string& key, const account_health::records::Issue& issue) {
          const std::string account = key.substr(0, key.find('/'));
          ++issues[account];
          if (issue.flags() == 0 && Blocks(issue.severity(), "somebody", "another"))
            severe.insert(account);
        });
    Each<account_health::records::TicketRecord>(
        kAccount, "SELECT key, body FROM tickets",
        [&](const std::string& key, const account_health::records::TicketRecord& ticket) {
          // Beside tickets stand stretches that one spent with an account that it has left.
          if (key != ticket.ticket_id()) return;
          if (!ticket.internal() && !ticket.suspected_spam() && IsUnresolved(ticket.state()) &&
              !ticket.account_id().empty()) {
            ++open[ticket.account_id()];
          }
        });
    Each<account_health::records::HoldRecord>(
        kAccount, "SELECT key, body FROM holds",
        [&](const std::string& account, const account_health::records::HoldRecord& holds) {
          if (holds.open_issues() != issues[account]) {
            Fail(absl::StrCat("account ", account, " counts ", holds.open_issues(),
                              " issues and has ", issues[account]));
          }
          bool is_held = false;
          for (const auto& held : holds.account().held()) is_held = is_held || held.topics() != 0;
          if (is_held && issues[account] == 0 && holds.parked().empty()) {
            Fail(absl::StrCat("account ", account, " is held although no issue is open"));
          }
          if (!is_held && severe.contains(account)) {
            Fail(
                absl::StrCat("account ", account, " is not held although a severe ticket is open"));
          }
        });
    Each<account_health::records::HealthRecord>(
        kAccount, "SELECT key, body FROM health",
        [&](const std::string& account, const account_health::records::HealthRecord& health) {
          int64_t counted = 0;
          for (const int32_t count : health.unresolved()) counted += count;
          if (counted != open[account]) {
            Fail(absl::StrCat("health of ", account, " counts ", counted,
                              " unresolved tickets, there are ", open[account]));
          }
        });
  }

 protected:
  template <typename M, typename Visit>
  void Each(Service service, const std::string& sql, Visit visit) {
    EachRecord<M>(world_.reader(service), sql, {}, visit,
                  [this](std::string message) { Fail(std::move(message)); });
  }
  void Missing(Service service, const std::string& what, const std::string& sql) {
    const absl::Status status =
        world_.reader(service).Query({sql, {}}, [&](const store::RowView& row) {
          Fail(absl::StrCat(what, ": ", std::string(row.Text(0))));
        });
    if (!status.ok()) Fail(absl::StrCat(sql, ": ", std::string(status.message())));
  }
  void Fail(std::string message) { world_.ledger().Fail(std::move(message), Witness::kInvariants); }

  World& world_;
};

// One look at a world that has come to rest.
class QuietLook : public Look {
 public:
  using Look::Look;

  // Nothing that was decided is missing on the bus.
  void Published() {
    for (const CommittedEvent& event : world_.ledger().committed) {
      if (!world_.ledger().published_ids.contains(event.id)) {
        Fail(absl::StrCat(ShortName(event.type), " ", event.id, " of ", event.subject,
                          " was committed and never published"));
      }
    }
  }

  // What was acknowledged is there, and what was sent twice under one id is there once.
  void Acknowledged() {
    std::map<std::string, intake::v1::Ticket> tickets;
    std::map<std::string, int> subjects;
    Each<ticket_intake::records::TicketRecord>(
        kIntake, "SELECT key, body FROM tickets",
        [&](const std::string& key, const ticket_intake::records::TicketRecord& record) {
          tickets[key] = record.ticket();
          if (record.ticket().follow_up_of().empty()) ++subjects[record.ticket().subject()];
        });
    std::map<std::string, int> texts;
    std::set<std::string> messages;
    Each<ticket_intake::records::MessageRecord>(
        kIntake, "SELECT key, body FROM messages",
        [&](const std::string&, const ticket_intake::records::MessageRecord& record) {
          if (Contains(record.message().text(), kCanary)) ++texts[record.message().text()];
          messages.insert(record.message().message_id());
        });
    for (const auto& [subject, count] : subjects) {
      if (count > 1) Fail(absl::StrCat("one opening made ", count, " tickets: ", subject));
    }
    for (const auto& [text, count] : texts) {
      if (count > 1) Fail(absl::StrCat("one message stands ", count, " times: ", text));
    }
    for (const CallRecord& call : world_.ledger().calls()) {
      if (!call.is_acknowledged()) continue;
      if (const auto* opened =
              dynamic_cast<const intake::v1::OpenTicketResponse*>(call.reply.get())) {
        if (!tickets.contains(opened->ticket_id())) Lost(call, opened->ticket_id());
        if (!messages.contains(opened->message_id())) Lost(call, opened->message_id());
      } else if (const auto* added =
                     dynamic_cast<const intake::v1::AddMessageResponse*>(call.reply.get())) {
        if (!messages.contains(added->message_id())) Lost(call, added->message_id());
      } else if (const auto* resolved =
                     dynamic_cast<const intake::v1::ResolveTicketResponse*>(call.reply.get())) {
        if (tickets[resolved->ticket_id()].resolutions() < resolved->resolution())
          Lost(call, resolved->ticket_id());
      } else if (const auto* reopened =
                     dynamic_cast<const intake::v1::ReopenTicketResponse*>(call.reply.get())) {
        if (tickets[reopened->ticket_id()].reopenings() < reopened->reopening())
          Lost(call, reopened->ticket_id());
      } else if (const auto* closed =
                     dynamic_cast<const intake::v1::CloseTicketResponse*>(call.reply.get())) {
        if (tickets[closed->ticket_id()].state() != ty::TICKET_STATE_CLOSED)
          Lost(call, closed->ticket_id());
      } else if (const auto* touched =
                     dynamic_cast<const account::v1::RecordTouchResponse*>(call.reply.get())) {
        if (world_.Number(kAccount, "SELECT COUNT(*) FROM touches WHERE key LIKE '%' || $1",
                          {touched->touch_id()}) != 1) {
          Lost(call, touched->touch_id());
        }
      }
    }
    Owners(tickets);
  }

  // Nobody who left, or is away for longer than the shipped policy allows, owns an open ticket.
  void NobodyCarriesWhoIsGone() {
    std::map<std::string, std::string> gone;
    Each<triage::records::StaffRecord>(
        kTriage, "SELECT key, body FROM staff",
        [&](const std::string& key, const triage::records::StaffRecord& record) {
          // Timers are due by the clocks of the processes, which differ.
          const absl::Duration keeps = absl::Hours(24) + absl::Minutes(1);
          if (!record.staff().active()) {
            gone[key] = "is inactive";
          } else if (record.has_away_since() &&
                     time::Instant(record.away_since()) + keeps < world_.Now()) {
            gone[key] = "is away for a day";
          }
        });
    Each<triage::records::TicketRecord>(
        kTriage, "SELECT key, body FROM tickets",
        [&](const std::string& key, const triage::records::TicketRecord& ticket) {
          const auto owner = gone.find(ticket.assignee_id());
          if (ticket.phase() != triage::records::PHASE_OPEN || ticket.is_parked() ||
              owner == gone.end()) {
            return;
          }
          Fail(absl::StrCat("triage: ticket ", key, " is ", owner->first, "'s, who ",
                            owner->second));
        });
  }

  // Whoever is to be rung for a CRITICAL ticket is rung by a policy for CRITICAL ones.
  void CriticalTicketsEscalate() {
    std::map<std::string, triage::records::EscalationRecord> escalations;
    Each<triage::records::EscalationRecord>(
        kTriage, "SELECT key, body FROM escalations",
        [&](const std::string& key, const triage::records::EscalationRecord& record) {
          escalations[key] = record;
        });
    Each<triage::records::TicketRecord>(
        kTriage, "SELECT key, body FROM tickets",
        [&](const std::string& key, const triage::records::TicketRecord& ticket) {
          const ty::Severity severity = ticket.severity_by_hand() == ty::SEVERITY_UNSPECIFIED
                                            ? ticket.rule_severity()
                                            : ticket.severity_by_hand();
          if (ticket.phase() != triage::records::PHASE_OPEN || severity != ty::SEVERITY_CRITICAL) {
            return;
          }
          const auto found = escalations.find(ticket.escalation_id());
          if (found == escalations.end()) {
            return Fail(absl::StrCat("triage: the CRITICAL ticket ", key, " has no escalation"));
          }
          const triage::records::EscalationRecord& record = found->second;
          const auto& fits = record.policy().severities();
          const bool is_for_critical =
              fits.empty() ||
              std::find(fits.begin(), fits.end(), ty::SEVERITY_CRITICAL) != fits.end();
          if (record.is_named() ||
              (is_for_critical && record.escalation().severity() == ty::SEVERITY_CRITICAL)) {
            return;
          }
          Fail(absl::StrCat("triage: the CRITICAL ticket ", key, " is escalated by ",
                            record.policy().name(), ", chosen for ",
                            ty::Severity_Name(record.escalation().severity())));
        });
  }

  // All five know the same tickets in the same state.
  void SameTickets() {
    std::map<std::string, intake::v1::Ticket> tickets;
    Each<ticket_intake::records::TicketRecord>(
        kIntake, "SELECT key, body FROM tickets",
        [&](const std::string& key, const ticket_intake::records::TicketRecord& record) {
          tickets[key] = record.ticket();
        });
    size_t in_triage = 0, in_health = 0;
    Each<triage::records::TicketRecord>(
        kTriage, "SELECT key, body FROM tickets",
        [&](const std::string& key, const triage::records::TicketRecord& ticket) {
          if (!tickets.contains(key))
            return Fail(absl::StrCat("triage knows a ticket that does not exist: ", key));
          ++in_triage;
          const ty::TicketState state = tickets[key].state();
          const triage::records::Phase phase =
              state == ty::TICKET_STATE_CLOSED     ? triage::records::PHASE_CLOSED
              : state == ty::TICKET_STATE_RESOLVED ? triage::records::PHASE_RESOLVED
                                                   : triage::records::PHASE_OPEN;
          if (ticket.phase() != phase) {
            Fail(absl::StrCat("ticket ", key, " is ", ty::TicketState_Name(state), ", triage has ",
                              triage::records::Phase_Name(ticket.phase())));
          }
          // Of a ticket that is closed for good triage hears nothing any more.
          if (ticket.phase() != triage::records::PHASE_CLOSED &&
              ticket.account_id() != tickets[key].account_id()) {
            Fail(absl::StrCat("ticket ", key, " is ", tickets[key].account_id(), "'s, triage has ",
                              ticket.account_id()));
          }
        });
    Each<account_health::records::TicketRecord>(
        kAccount, "SELECT key, body FROM tickets",
        [&](const std::string& key, const account_health::records::TicketRecord& ticket) {
          if (key != ticket.ticket_id()) return;
          ++in_health;
          if (!tickets.contains(key))
            return Fail(absl::StrCat("account_health knows a ticket that does not exist: ", key));
          if (IsUnresolved(tickets[key].state()) != IsUnresolved(ticket.state()) ||
              ticket.account_id() != tickets[key].account_id()) {
            Fail(absl::StrCat("ticket ", key, " is ", ty::TicketState_Name(tickets[key].state()),
                              " of ", tickets[key].account_id(), ", account_health has ",
                              ty::TicketState_Name(ticket.state()), " of ", ticket.account_id()));
          }
        });
    const auto in_sla = static_cast<size_t>(world_.Number(kSla, "SELECT COUNT(*) FROM tickets"));
    const auto in_survey =
        static_cast<size_t>(world_.Number(kSurvey, "SELECT COUNT(*) FROM tickets"));
    if (in_triage != tickets.size() || in_health != tickets.size() || in_sla != tickets.size() ||
        in_survey != tickets.size()) {
      Fail(absl::StrCat(tickets.size(), " tickets exist; triage knows ", in_triage, ", sla_timer ",
                        in_sla, ", survey ", in_survey, ", account_health ", in_health));
    }
  }

  // The timeline holds every event of its account that account_health uses, those of the account's
  // own key in the order of the log.
  void WholeTimeline() {
    std::map<std::string, std::map<std::string, int64_t>> entries;  // account, event: sequence
    std::set<std::string> anywhere;
    std::map<std::string, std::string> account_of;  // ticket
    Each<account_health::records::EntryRecord>(
        kAccount, "SELECT key, body FROM timeline",
        [&](const std::string& key, const account_health::records::EntryRecord& entry) {
          entries[key.substr(0, key.find('/'))][entry.event_id()] = entry.sequence();
          if (key[0] != '~') anywhere.insert(entry.event_id());
        });
    Each<account_health::records::TicketRecord>(
        kAccount, "SELECT key, body FROM tickets",
        [&](const std::string& key, const account_health::records::TicketRecord& ticket) {
          if (key == ticket.ticket_id()) account_of[key] = ticket.account_id();
        });
    std::map<std::string, std::pair<int64_t, std::string>> last;
    for (const bus::RecordPtr& record : world_.ledger().published) {
      const bus::Event& event = record->event;
      if (!world_.watch().Uses(kAccount, event.type)) continue;
      const std::unique_ptr<Message> body = Parse(event.type, event.body);
      std::string account = Field(*body, "account_id");
      const std::string ticket = Field(*body, "ticket_id");
      if (account.empty()) {
        // A survey's event without an account is about nobody. A ticket's waits until an account is
        // known, and stands with that one although the ticket may have moved on.
        if (body->GetDescriptor()->FindFieldByName("survey") != nullptr) continue;
        if (account_of[ticket].empty() || anywhere.contains(event.id)) continue;
        account = account_of[ticket];
      }
      const auto entry = entries[account].find(event.id);
      if (entry == entries[account].end()) {
        Fail(absl::StrCat("timeline of ", account, ": ", ShortName(event.type), " ", event.id,
                          " of ", event.subject, " is missing"));
        continue;
      }
      if (event.key != account || world_.watch().WasParked(kAccount, event.id)) continue;
      auto& [sequence, before] = last[account];
      if (entry->second < sequence) {
        Fail(absl::StrCat("timeline of ", account, ": ", ShortName(event.type), " ", event.id,
                          " stands before ", before));
      }
      sequence = entry->second;
      before = event.id;
    }
  }

  // The stored clocks are what the facts give.
  void Clocks() {
    Dice dice(world_.plan().seed, "verify");
    runtime::ServiceRuntime* const runtime = world_.AnyRuntime(kSla, dice);
    if (runtime == nullptr) return Fail("nobody serves sla_timer");
    auto request = std::make_shared<sla::v1::VerifyClocksRequest>();
    request->set_page_size(500);
    runtime->Call(
        {}, corridor::FindMethod("tandem.sla.v1.SlaService/VerifyClocks"), request,
        [this](absl::StatusOr<corridor::MessagePtr> reply) {
          if (!reply.ok())
            return Fail(absl::StrCat("VerifyClocks: ", std::string(reply.status().message())));
          for (const sla::v1::ClockDrift& drift :
               static_cast<const sla::v1::VerifyClocksResponse&>(**reply).drifts()) {
            Fail(absl::StrCat("sla_timer: ", drift.ShortDebugString()));
          }
        });
    world_.RunFor(absl::Milliseconds(10));
  }

  // No clearance stands against a ticket that is open.
  void NoClearanceAgainstOpenTickets() {
    std::vector<intake::v1::Ticket> open;
    Each<ticket_intake::records::TicketRecord>(
        kIntake, "SELECT key, body FROM tickets",
        [&](const std::string&, const ticket_intake::records::TicketRecord& record) {
          if (IsUnresolved(record.ticket().state()) && !record.ticket().internal() &&
              !record.ticket().suspected_spam()) {
            open.push_back(record.ticket());
          }
        });
    std::map<std::string, ty::Severity> severities;
    Each<account_health::records::TicketRecord>(
        kAccount, "SELECT key, body FROM tickets",
        [&](const std::string& key, const account_health::records::TicketRecord& ticket) {
          severities[key] = ticket.severity();
        });
    const int64_t now_us = time::ToMicros(world_.Now() + absl::Seconds(3));
    Each<account_health::records::HoldRecord>(
        kAccount, "SELECT key, body FROM holds",
        [&](const std::string& account, const account_health::records::HoldRecord& holds) {
          for (const auto& standing : holds.clearances()) {
            if (!IsCommercial(standing.topic()) || !standing.exception_id().empty() ||
                standing.expires_us() <= now_us)
              continue;
            for (const intake::v1::Ticket& ticket : open) {
              if (ticket.account_id() == account &&
                  Blocks(severities[ticket.ticket_id()], ticket.contact_id(),
                         standing.contact_id())) {
                Fail(absl::StrCat("clearance ", standing.clearance_id(), " of ", account,
                                  " stands although ticket ", ticket.ticket_id(), " is open"));
              }
            }
          }
        });
  }

  // No ALLOW once a blocking ticket was acknowledged before the check began.
  void NoClearanceBehindAnAcknowledgement() {
    struct Opened {
      std::string account, contact;
      absl::Time acknowledged_at, touched_at;
    };
    std::map<std::string, Opened> opened;
    for (const CallRecord& call : world_.ledger().calls()) {
      const auto* reply =
          call.is_acknowledged()
              ? dynamic_cast<const intake::v1::OpenTicketResponse*>(call.reply.get())
              : nullptr;
      if (reply == nullptr || reply->account_id().empty() ||
          static_cast<const intake::v1::OpenTicketRequest&>(*call.request).internal()) {
        continue;
      }
      opened[reply->ticket_id()] = {reply->account_id(), reply->contact_id(), call.answered_at,
                                    absl::InfiniteFuture()};
    }
    // One that waits for review as suspected spam blocks nothing.
    for (const CommittedEvent& event : world_.ledger().committed) {
      if (event.type != ev::TicketOpened::descriptor()->full_name()) continue;
      ev::TicketOpened told;
      told.ParseFromString(event.body);
      if (told.suspected_spam()) opened.erase(told.ticket_id());
    }
    // From the first call on that might have changed whether it blocks.
    for (const CallRecord& call : world_.ledger().calls()) {
      if (!call.method.ends_with("/ResolveTicket") && !call.method.ends_with("/CloseTicket") &&
          !call.method.ends_with("/UpdateTicket")) {
        continue;
      }
      const auto ticket = opened.find(Field(*call.request, "ticket_id"));
      if (ticket != opened.end())
        ticket->second.touched_at = std::min(ticket->second.touched_at, call.sent_at);
    }
    for (const CallRecord& call : world_.ledger().calls()) {
      const auto* reply =
          call.is_acknowledged()
              ? dynamic_cast<const account::v1::CheckOutreachResponse*>(call.reply.get())
              : nullptr;
      if (reply == nullptr || reply->verdict() != account::v1::OUTREACH_VERDICT_ALLOW ||
          !reply->exception_id().empty())
        continue;
      const auto& request = static_cast<const account::v1::CheckOutreachRequest&>(*call.request);
      if (!IsCommercial(request.topic())) continue;
      for (const auto& [id, ticket] : opened) {
        if (ticket.account == request.account_id() &&
            (request.contact_id().empty() || request.contact_id() == ticket.contact) &&
            ticket.acknowledged_at < call.sent_at && ticket.touched_at > call.answered_at) {
          Fail(absl::StrCat("clearance ", reply->clearance_id(), " of ", ticket.account,
                            " was given although ticket ", id,
                            " had been acknowledged before the check began"));
        }
      }
    }
  }

  void NoMoreDeadLetters() {
    for (size_t i = 0; i < kServices; ++i) {
      const auto service = static_cast<Service>(i);
      const absl::Status status = world_.reader(service).Query(
          {"SELECT event_id, reason FROM dead_letters", {}}, [&](const store::RowView& row) {
            if (world_.ledger().poison_ids.contains(std::string(row.Text(0)))) return;
            // Behind a poisoned event.
            if (row.Text(1) == "behind") return;
            Fail(absl::StrCat(world_.watch().NameOf(service), " cannot apply ",
                              std::string(row.Text(0)), ": ", std::string(row.Text(1))));
          });
      if (!status.ok()) Fail(std::string(status.message()));
    }
  }

  void NoPersonalDataInMetrics() {
    if (Contains(world_.metrics().Text(), kCanary)) Fail("personal data in the metrics");
  }

  // Nothing is held for ever.
  void NothingHeld() {
    Each<account_health::records::HoldRecord>(
        kAccount, "SELECT key, body FROM holds",
        [&](const std::string& account, const account_health::records::HoldRecord& holds) {
          bool is_held =
              holds.open_issues() > 0 || holds.held_contacts() > 0 || !holds.parked().empty();
          for (const auto& held : holds.account().held()) is_held = is_held || held.topics() != 0;
          if (is_held)
            Fail(absl::StrCat("account ", account,
                              " is held although all is resolved: ", holds.ShortDebugString()));
        });
    if (const int64_t rows = world_.Number(kAccount, "SELECT COUNT(*) FROM issues"); rows > 0) {
      Fail(absl::StrCat(rows, " issues are left although all is resolved"));
    }
    if (const int64_t letters = world_.Number(kAccount, "SELECT COUNT(*) FROM dead_letters");
        letters > 0) {
      Fail(absl::StrCat(letters, " dead letters are left in account_health"));
    }
    Each<triage::records::LoadRecord>(
        kTriage, "SELECT key, body FROM loads",
        [&](const std::string& key, const triage::records::LoadRecord& load) {
          if (load.load().units() != 0) {
            Fail(absl::StrCat("triage: ", key, " carries ", load.load().units(),
                              " units although all is resolved"));
          }
        });
  }

 private:
  void Lost(const CallRecord& call, const std::string& id) {
    Fail(absl::StrCat(call.method, " ", call.request_id, " was acknowledged, and ", id,
                      " is not there"));
  }
  // Who was given a ticket owns it, or was given it before somebody else was.
  void Owners(const std::map<std::string, intake::v1::Ticket>& tickets) {
    std::set<std::pair<std::string, std::string>> given;
    for (const CommittedEvent& event : world_.ledger().committed) {
      if (event.type != ev::AssignmentAccepted::descriptor()->full_name()) continue;
      ev::AssignmentAccepted accepted;
      accepted.ParseFromString(event.body);
      given.insert({accepted.ticket_id(), accepted.staff_id()});
    }
    for (const CallRecord& call : world_.ledger().calls()) {
      if (!call.is_acknowledged() ||
          !(call.method.ends_with("/ClaimNext") || call.method.ends_with("/AcceptAssignment")))
        continue;
      const std::string ticket = Field(*call.reply, "ticket_id"),
                        staff = Field(*call.request, "staff_id");
      if (!given.contains({ticket, staff}) || !tickets.contains(ticket)) Lost(call, ticket);
    }
  }
};

}  // namespace

void CheckState(World& world) {
  Look look(world);
  look.Queues();
  look.Timers();
  look.Timeline();
  look.Holds();
  look.InUse();
}

void CheckQuiet(World& world) {
  CheckState(world);
  QuietLook look(world);
  look.Published();
  look.NoMoreDeadLetters();
  CheckCorrespondents(world);
  CheckLeftOut(world);
  look.NoClearanceBehindAnAcknowledgement();
  look.NoClearanceAgainstOpenTickets();
  look.NobodyCarriesWhoIsGone();
  look.CriticalTicketsEscalate();
  look.Clocks();
}

void CheckEnd(World& world) {
  CheckState(world);
  QuietLook look(world);
  look.Published();
  look.NoMoreDeadLetters();
  look.Acknowledged();
  look.SameTickets();
  look.WholeTimeline();
  CheckCorrespondents(world);
  CheckLeftOut(world);
  look.NoClearanceBehindAnAcknowledgement();
  look.NothingHeld();
  look.Clocks();
  look.NoPersonalDataInMetrics();
}

}  // namespace tandem::simulation
