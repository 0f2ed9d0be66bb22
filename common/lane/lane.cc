#include "common/lane/lane.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/corridor/errors.h"
#include "common/id/id.h"
#include "common/plant/plant.h"
#include "common/time/micros.h"

namespace tandem::lane {
namespace {

using store::Blob;
using store::CommitResult;
using store::Expect;

std::string Stream(const bus::Event& event) {
  return absl::StrCat(event.source, "|", event.subject, "|", event.key);
}

// Errors after which the same work may go well later. Everything else would fail again in the same
// way.
bool IsPassing(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kDataLoss:  // the database's own trouble, not the event's
      return true;
    default:
      return false;
  }
}

// A failed commit in words for those who called: the store's own name files and statements, and are
// logged. An internal error is withheld at the door.
absl::Status ForCallers(const absl::Status& status) {
  constexpr absl::Duration kRetryAfter = absl::Seconds(5);
  if (absl::IsResourceExhausted(status)) {
    return corridor::WithRetryAfter(
        corridor::WithReason(
            absl::ResourceExhaustedError("the service's database has no room left: nothing was "
                                         "changed; repeat the request when there is room again"),
            "STORE_FULL"),
        kRetryAfter);
  }
  if (absl::IsUnavailable(status)) {
    return corridor::WithRetryAfter(
        corridor::WithReason(
            absl::UnavailableError("the service's database cannot be reached: nothing was changed; "
                                   "repeat the request"),
            "STORE_UNAVAILABLE"),
        kRetryAfter);
  }
  return status;
}

// For planted mistakes: commits the lines that begin so before the others, which then stand alone.
CommitResult CommitFirst(store::Store& store, std::string_view begin,
                         std::vector<store::Write>& lines) {
  std::vector<store::Write> first;
  for (store::Write& line : lines) {
    if (line.statement.sql.text().substr(0, begin.size()) != begin) continue;
    first.push_back(line);
    line.statement = {"SELECT 1", {}};
    line.expect = Expect::kFinds;
  }
  CommitResult result;
  if (!first.empty()) result = store.Commit(first);
  // The lines are not those of the batch, so nobody can be named.
  result.missed.clear();
  return result;
}

}  // namespace

// What stands in the batch, and what happens when it is committed.
struct Lane::Member {
  Work work;
  corridor::MessagePtr reply;                           // command
  std::vector<corridor::ReplyCallback> joined;          // the same request, met again in this batch
  RunResult run;                                        // run
  RetryResult retry;                                    // retry
  std::vector<std::pair<std::string, int64_t>> parked;  // subjects parked, or unparked (version 0)
  std::vector<SetAside> dead_letters;
};

Lane::Lane(const corridor::ServiceDefinition* definition, Ports ports, LaneOptions options,
           Observer observer)
    : definition_(definition),
      ports_(ports),
      options_(options),
      observer_(std::move(observer)),
      cache_(options.cached_records),
      scope_(ports.executor) {}

Lane::~Lane() { scope_.Close(); }

bool Lane::Submit(std::unique_ptr<Command>& command) {
  absl::MutexLock lock(&mutex_);
  if (commands_waiting_ >= options_.max_waiting) return false;
  ++commands_waiting_;
  waiting_.push_back({std::move(command), ports_.clock->Now()});
  depth_.fetch_add(1, std::memory_order_relaxed);
  if (!step_posted_) {
    step_posted_ = true;
    scope_.Post([this] { Step(); });
  }
  return true;
}

void Lane::Submit(std::unique_ptr<TimerFiring> timer) { Enqueue({std::move(timer)}); }
void Lane::Submit(std::unique_ptr<Run> run) { Enqueue({std::move(run)}); }
void Lane::Submit(std::unique_ptr<Retry> retry) { Enqueue({std::move(retry)}); }
void Lane::Submit(Writes writes) { Enqueue({std::move(writes)}); }

void Lane::Enqueue(Work work) {
  work.arrived = ports_.clock->Now();
  absl::MutexLock lock(&mutex_);
  if (std::holds_alternative<std::unique_ptr<Command>>(work.what)) ++commands_waiting_;
  waiting_.push_back(std::move(work));
  depth_.fetch_add(1, std::memory_order_relaxed);
  if (!step_posted_) {
    step_posted_ = true;
    scope_.Post([this] { Step(); });
  }
}

void Lane::SubmitLazily(std::vector<store::Write> lines) {
  absl::MutexLock lock(&mutex_);
  for (store::Write& line : lines) lazy_.push_back(std::move(line));
  if (step_posted_ || lazy_step_set_) return;
  lazy_step_set_ = true;
  scope_.PostAt(ports_.clock->Now() + options_.lazy_writes_wait, [this] {
    {
      absl::MutexLock step_lock(&mutex_);
      lazy_step_set_ = false;
      if (lazy_.empty() || step_posted_) return;
      step_posted_ = true;
    }
    Step();
  });
}

bool Lane::Idle() const {
  absl::MutexLock lock(&mutex_);
  return waiting_.empty() && !step_posted_ && lazy_.empty();
}

void Lane::Step() {
  std::deque<Work> works;
  {
    absl::MutexLock lock(&mutex_);
    step_posted_ = false;
    while (!waiting_.empty() && works.size() < options_.max_batch) {
      if (std::holds_alternative<std::unique_ptr<Command>>(waiting_.front().what)) {
        --commands_waiting_;
      }
      works.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    depth_.fetch_sub(works.size(), std::memory_order_relaxed);
    if (!lazy_.empty()) {
      works.push_back({Writes{std::move(lazy_), nullptr, /*lazy=*/true}, ports_.clock->Now()});
      lazy_.clear();
    }
    if (!waiting_.empty()) {
      step_posted_ = true;
      scope_.Post([this] { Step(); });
    }
  }
  RunBatch(std::move(works), /*alone=*/false);
}

absl::Status Lane::LoadParked() {
  if (parked_loaded_) return absl::OkStatus();
  absl::Status status = ports_.store->reader().Query(
      {"SELECT subject, version FROM parked_subjects", {}},
      [&](const store::RowView& line) { parked_[std::string(line.Text(0))] = line.Int(1); });
  parked_loaded_ = status.ok();
  return status;
}

void Lane::ForgetParked() {
  parked_loaded_ = false;
  parked_.clear();
}

absl::StatusOr<bool> Lane::IsStale(Batch& batch) const {
  if (!ports_.store->is_shared()) return false;
  const absl::StatusOr<bool> current = batch.StillCurrent();
  if (!current.ok()) return current.status();
  return !*current;
}

void Lane::RunBatch(std::deque<Work> works, bool alone) {
  // Batches follow one another until nothing is left: a range reader, a missed commit or one who
  // has to go alone begins a new one. Each pass takes something from the front or counts an
  // attempt.
  while (!works.empty()) {
    Batch batch(definition_, &ports_.store->reader(), &cache_, ports_.partitions,
                /*looks_before_inserting=*/works.front().attempts > 0);
    std::vector<Member> members;
    const absl::Duration waited = ports_.clock->Now() - works.front().arrived;
    parking_ = 0;
    // Another process parks and drains too.
    if (ports_.store->is_shared()) ForgetParked();
    while (!works.empty()) {
      Work& work = works.front();
      const bool alone_now = alone || work.attempts > options_.attempts_together;
      if (alone_now && !members.empty()) break;
      const Next next = Decide(work, batch, members);
      if (next == Next::kNeedsFreshBatch) break;
      works.pop_front();
      if (alone_now || next == Next::kAbandoned) break;
    }
    if (members.empty()) continue;

    std::vector<store::Write> lines = batch.TakeLines();
    const absl::Time before = ports_.clock->Now();
    CommitResult result;
    if (plant::Has(plant::Mistake::kReplyFirst)) AnswerEarly(members);
    if (plant::Has(plant::Mistake::kOffsetFirst)) {
      result = CommitFirst(*ports_.store, "UPDATE positions SET next_offset", lines);
    }
    if (plant::Has(plant::Mistake::kTimerFirst)) {
      result = CommitFirst(*ports_.store, "DELETE FROM timers WHERE id = $1 AND due", lines);
    }
    if (!lines.empty() && result.kind == CommitResult::Kind::kCommitted) {
      result = ports_.store->Commit(lines);
    }
    Committed committed;
    committed.outcome = result.kind;
    committed.members = members.size();
    committed.waited = waited;
    committed.took = ports_.clock->Now() - before;
    committed.status = result.status;
    if (result.kind == CommitResult::Kind::kCommitted) {
      batch.Remember();
      committed.lines = lines.size();
      committed.events = batch.events();
      committed.earliest_timer = batch.earliest_timer();
      for (Member& member : members) {
        std::move(member.dead_letters.begin(), member.dead_letters.end(),
                  std::back_inserter(committed.dead_letters));
        for (const auto& [subject, version] : member.parked) {
          committed.has_unparked = committed.has_unparked || version == 0;
        }
        Finish(member);
      }
      if (observer_ && !lines.empty()) observer_(committed);
      continue;
    }

    if (observer_) observer_(committed);
    batch.Forget();
    ForgetParked();
    if (result.kind == CommitResult::Kind::kFailed) {
      const absl::Status told = ForCallers(result.status);
      for (Member& member : members) {
        for (corridor::ReplyCallback& joined : member.joined) joined(told);
        const bool is_call = std::holds_alternative<std::unique_ptr<Command>>(member.work.what);
        Fail(member.work, is_call ? told : result.status);
      }
      continue;
    }
    // The named ones go alone, the rest together; all decide anew.
    std::vector<bool> named(members.size(), false);
    for (const size_t line : result.missed) {
      for (const size_t member : batch.MembersOf(line)) named[member] = true;
    }
    std::deque<Work> again;
    for (size_t i = 0; i < members.size(); ++i) {
      Work& work = members[i].work;
      for (size_t j = 0; j < members[i].joined.size(); ++j) Rejoin(members[i], j, again);
      if (std::holds_alternative<std::unique_ptr<Run>>(work.what) && named[i]) {
        // A run is tied to its position: what missed may be the position itself, so all of it is
        // dropped and its owner asks the database where it stands.
        RunResult fenced;
        fenced.kind = RunResult::Kind::kFenced;
        std::get<std::unique_ptr<Run>>(work.what)->done(std::move(fenced));
        continue;
      }
      ++work.attempts;
      if (named[i]) work.attempts = std::max(work.attempts, options_.attempts_together + 1);
      if (work.attempts > options_.attempts_together + options_.attempts_alone) {
        Fail(work, corridor::WithReason(
                       absl::AbortedError("others keep changing the same records; try again"),
                       "CONTENTION"));
        continue;
      }
      if (auto* command = std::get_if<std::unique_ptr<Command>>(&work.what)) {
        Refresh((*command)->gathered);
      } else if (auto* timer = std::get_if<std::unique_ptr<TimerFiring>>(&work.what)) {
        Refresh((*timer)->gathered);
      }
      again.push_back(std::move(work));
    }
    while (!again.empty()) {
      works.push_front(std::move(again.back()));
      again.pop_back();
    }
  }
}

// The same request, met while its first decision stood in a batch that missed: decided again behind
// it.
void Lane::Rejoin(Member& member, size_t joined, std::deque<Work>& again) {
  const Command& first = *std::get<std::unique_ptr<Command>>(member.work.what);
  auto command = std::make_unique<Command>();
  command->method = first.method;
  command->context = first.context;
  command->request = first.request;
  command->scope = first.scope;
  command->body_hash = first.body_hash;
  command->done = std::move(member.joined[joined]);
  again.push_back({std::move(command), member.work.arrived});
}

// A planted mistake.
void Lane::AnswerEarly(std::vector<Member>& members) {
  for (Member& member : members) {
    auto* const command = std::get_if<std::unique_ptr<Command>>(&member.work.what);
    if (command == nullptr) continue;
    (*command)->done(member.reply);
    (*command)->done = [](const absl::StatusOr<corridor::MessagePtr>&) {};
  }
}

void Lane::Finish(Member& member) {
  for (const auto& [subject, version] : member.parked) {
    if (version == 0) {
      parked_.erase(subject);
    } else {
      parked_[subject] = version;
      if (version == 1) parked_at_.push_back(ports_.clock->Now());
    }
  }
  if (auto* command = std::get_if<std::unique_ptr<Command>>(&member.work.what)) {
    for (corridor::ReplyCallback& joined : member.joined) joined(member.reply);
    (*command)->done(std::move(member.reply));
  } else if (auto* timer = std::get_if<std::unique_ptr<TimerFiring>>(&member.work.what)) {
    (*timer)->done(TimerOutcome::kDecided);
  } else if (auto* run = std::get_if<std::unique_ptr<Run>>(&member.work.what)) {
    (*run)->done(std::move(member.run));
  } else if (auto* retry = std::get_if<std::unique_ptr<Retry>>(&member.work.what)) {
    (*retry)->done(std::move(member.retry));
  } else {
    Writes& writes = std::get<Writes>(member.work.what);
    if (writes.done) writes.done(absl::OkStatus());
  }
}

void Lane::Fail(Work& work, const absl::Status& status) {
  if (auto* command = std::get_if<std::unique_ptr<Command>>(&work.what)) {
    (*command)->done(status);
  } else if (auto* timer = std::get_if<std::unique_ptr<TimerFiring>>(&work.what)) {
    (*timer)->done(TimerOutcome::kRetry);
  } else if (auto* run = std::get_if<std::unique_ptr<Run>>(&work.what)) {
    RunResult result;
    result.kind = RunResult::Kind::kRetry;
    result.why = status;
    (*run)->done(std::move(result));
  } else if (auto* retry = std::get_if<std::unique_ptr<Retry>>(&work.what)) {
    (*retry)->done(status);
  } else if (auto& writes = std::get<Writes>(work.what); writes.lazy) {
    SubmitLazily(std::move(writes.lines));
  } else if (writes.done) {
    writes.done(status);
  }
}

void Lane::Refresh(Gathered& gathered) const {
  if (gathered.answers.Oldest() + options_.answers_stay_fresh < ports_.clock->Now()) {
    gathered.answers.Clear();
  }
}

Lane::Next Lane::Decide(Work& work, Batch& batch, std::vector<Member>& members) {
  const size_t index = members.size();
  Member member;
  Next next = Next::kJoined;
  if (auto* command = std::get_if<std::unique_ptr<Command>>(&work.what)) {
    next = DecideCommand(*command, index, batch, member, members);
  } else if (auto* timer = std::get_if<std::unique_ptr<TimerFiring>>(&work.what)) {
    next = DecideTimer(*timer, /*has_missed=*/work.attempts > 0, index, batch, member);
  } else if (auto* run = std::get_if<std::unique_ptr<Run>>(&work.what)) {
    next = DecideRun(**run, index, batch, member);
  } else if (auto* retry = std::get_if<std::unique_ptr<Retry>>(&work.what)) {
    next = DecideRetry(*retry, index, batch, member);
  } else {
    Writes& writes = std::get<Writes>(work.what);
    for (const store::Write& line : writes.lines) batch.AddLine(index, line);
  }
  if (next == Next::kJoined) {
    member.work = std::move(work);
    members.push_back(std::move(member));
  }
  return next;
}

Lane::Next Lane::DecideCommand(std::unique_ptr<Command>& command, size_t index, Batch& batch,
                               Member& member, std::vector<Member>& members) {
  const absl::Time now = ports_.clock->Now();
  if (command->context.deadline <= now) {
    command->done(absl::DeadlineExceededError("the call's deadline passed before it was decided"));
    return Next::kAnswered;
  }
  absl::StatusOr<std::optional<RequestMark>> mark = batch.FindRequest(command->scope);
  if (!mark.ok()) {
    command->done(mark.status());
    return Next::kAnswered;
  }
  if (mark->has_value()) {
    if ((*mark)->body_hash != command->body_hash) {
      command->done(corridor::WithReason(
          absl::AlreadyExistsError("this request_id was used with another request; use a new one"),
          "REQUEST_ID_REUSED"));
    } else if ((*mark)->member.has_value() && !command->method->repeat) {
      members[*(*mark)->member].joined.push_back(std::move(command->done));
    } else {
      return AnswerRepeated(*command, (*mark)->reply, index, batch, member);
    }
    return Next::kAnswered;
  }

  if (command->method->subject_of) {
    const std::string subject = command->method->subject_of(*command->request);
    absl::Status status = LoadParked();
    if (status.ok() && parked_.contains(subject)) status = corridor::SubjectParked(subject);
    if (!status.ok()) {
      command->done(std::move(status));
      return Next::kAnswered;
    }
  }
  id::Ids ids(definition_->name(), command->scope);
  const corridor::Inputs inputs{now,  command->context.caller,    command->scope,
                                &ids, &command->gathered.answers, corridor::Secret(ports_.entropy)};
  absl::StatusOr<corridor::Decision> decision =
      command->method->decide(*command->request, inputs, batch.Begin());
  if (batch.NeedsFreshBatch()) return Next::kNeedsFreshBatch;
  if (decision.ok() && !decision->questions.empty()) {
    GatherForCommand(std::move(command), std::move(decision->questions));
    return Next::kAnswered;
  }
  if (decision.ok() && decision->reply == nullptr) {
    decision = absl::InternalError("a command was decided without a reply");
  }
  if (decision.ok() && !decision->is_reply_kept &&
      !(decision->saves.empty() && decision->events.empty() && decision->timers.empty() &&
        decision->cancelled_timers.empty())) {
    decision = absl::InternalError("a reply for now only was given for something that changes");
  }
  absl::Status status = decision.status();
  if (status.ok()) {
    status = batch.Apply(index, *decision, {command->scope, command->context.traceparent, now});
  }
  if (!status.ok()) {
    const absl::StatusOr<bool> is_stale = IsStale(batch);
    if (is_stale.ok() && *is_stale) return Next::kNeedsFreshBatch;
    command->done(is_stale.ok() ? std::move(status) : is_stale.status());
    return Next::kAnswered;
  }
  if (decision->is_reply_kept) {
    RequestMark own;
    own.body_hash = command->body_hash;
    decision->reply->SerializeToString(&own.reply);
    batch.MarkRequest(index, command->scope, std::move(own), now);
  }
  member.reply = decision->reply;
  return Next::kJoined;
}

Lane::Next Lane::AnswerRepeated(Command& command, const std::string& remembered, size_t index,
                                Batch& batch, Member& member) {
  std::shared_ptr<google::protobuf::Message> reply(
      google::protobuf::MessageFactory::generated_factory()
          ->GetPrototype(command.method->descriptor->output_type())
          ->New());
  if (!reply->ParseFromString(remembered)) {
    command.done(absl::DataLossError("the remembered reply is broken"));
    return Next::kAnswered;
  }
  if (!command.method->repeat) {
    command.done(corridor::MessagePtr(std::move(reply)));
    return Next::kAnswered;
  }
  // What stands now includes what this batch has decided: the answer leaves with it, and what it
  // relied on is checked in the commit.
  const absl::Time now = ports_.clock->Now();
  id::Ids ids(definition_->name(), command.scope);
  const corridor::Inputs inputs{now,  command.context.caller,    command.scope,
                                &ids, &command.gathered.answers, corridor::Secret(ports_.entropy)};
  absl::StatusOr<corridor::MessagePtr> answer =
      command.method->repeat(*command.request, *reply, inputs, batch.Begin());
  if (batch.NeedsFreshBatch()) return Next::kNeedsFreshBatch;
  absl::Status status = answer.status();
  if (status.ok()) {
    status =
        batch.Apply(index, corridor::Decision(), {command.scope, command.context.traceparent, now});
  }
  if (!status.ok()) {
    const absl::StatusOr<bool> is_stale = IsStale(batch);
    if (is_stale.ok() && *is_stale) return Next::kNeedsFreshBatch;
    command.done(is_stale.ok() ? std::move(status) : is_stale.status());
    return Next::kAnswered;
  }
  member.reply = *std::move(answer);
  return Next::kJoined;
}

Lane::Next Lane::DecideTimer(std::unique_ptr<TimerFiring>& timer, bool has_missed, size_t index,
                             Batch& batch, Member& member) {
  // Touched by an earlier decision of this batch: it is moved or cancelled if that one commits. The
  // gate looks again afterwards.
  if (batch.TimerTouched(timer->timer.id)) {
    timer->done(TimerOutcome::kRetry);
    return Next::kAnswered;
  }
  if (timer->claimed_until - options_.claim_left < ports_.clock->Now()) {
    timer->done(TimerOutcome::kRetry);
    return Next::kAnswered;
  }
  // Of a claimed row it is taken for granted, for to ask costs a round trip: the commit deletes it
  // under its claim, and where that has missed it is looked at.
  bool stands = !timer->claim.empty() && !has_missed;
  absl::Status status;
  if (!stands) {
    status = ports_.store->reader().Query(
        {"SELECT due FROM timers WHERE id = $1 AND claim = $2", {timer->timer.id, timer->claim}},
        [&](const store::RowView& line) {
          stands = line.Int(0) == time::ToMicros(timer->timer.due);
        });
  }
  if (!status.ok()) {
    timer->done(TimerOutcome::kRetry);
    return Next::kAnswered;
  }
  if (!stands) {
    timer->done(TimerOutcome::kDecided);
    return Next::kAnswered;
  }
  if (timer->kind->subject_of) {
    // Held: the facts that its verdict rests on wait among the dead letters.
    status = LoadParked();
    if (!status.ok() || parked_.contains(timer->kind->subject_of(*timer->payload))) {
      timer->done(TimerOutcome::kRetry);
      return Next::kAnswered;
    }
  }
  const absl::Time now = ports_.clock->Now();
  const std::string cause =
      absl::StrCat("timer:", timer->timer.id, "@", time::ToMicros(timer->timer.due));
  id::Ids ids(definition_->name(), cause);
  const corridor::Inputs inputs{
      now, "", cause, &ids, &timer->gathered.answers, corridor::Secret(ports_.entropy)};
  corridor::View& view = batch.Begin();
  absl::StatusOr<corridor::Decision> decision =
      timer->effect.has_value()
          ? timer->kind->decide_effect(timer->timer, *timer->payload, *timer->effect, inputs, view)
          : timer->kind->decide(timer->timer, *timer->payload, inputs, view);
  if (batch.NeedsFreshBatch()) return Next::kNeedsFreshBatch;
  if (decision.ok() && !decision->questions.empty()) {
    GatherForTimer(std::move(timer), std::move(decision->questions));
    return Next::kAnswered;
  }
  status = decision.status();
  if (status.ok()) status = batch.Apply(index, *decision, {cause, timer->traceparent, now});
  if (!status.ok() && IsPassing(status)) {
    timer->done(TimerOutcome::kRetry);
    return Next::kAnswered;
  }
  if (!status.ok()) {
    const absl::StatusOr<bool> is_stale = IsStale(batch);
    if (is_stale.ok() && *is_stale) return Next::kNeedsFreshBatch;
    if (!is_stale.ok()) {
      timer->done(TimerOutcome::kRetry);
      return Next::kAnswered;
    }
  }
  batch.DeleteTimer(index, timer->timer.id, timer->timer.due, timer->claim);
  if (!status.ok()) {
    // A timer whose rule cannot be applied is kept as a dead letter, with its reason.
    batch.AddLine(index, DeadTimer(*timer, cause, status, now));
    member.dead_letters.push_back(
        {absl::StrCat("timer:", timer->timer.id), timer->kind_name, cause, status});
  }
  return Next::kJoined;
}

store::Write Lane::DeadTimer(const TimerFiring& timer, const std::string& cause,
                             const absl::Status& status, absl::Time now) const {
  std::string payload;
  timer.payload->SerializeToString(&payload);
  return {"dead_letters",
          "",
          {"INSERT INTO dead_letters (parked_subject, event_id, source, type, subject, key, time, "
           "sequence, cause, traceparent, partition, log_offset, reason, parked_at, body) VALUES "
           "($1, $2, $3, $4, $1, $5, $6, 0, $2, $7, -1, -1, $8, $9, $10)",
           {absl::StrCat("timer:", timer.timer.id), cause, definition_->name(), timer.kind_name,
            timer.timer.key, time::ToMicros(timer.timer.due), timer.traceparent,
            std::string(status.message()), time::ToMicros(now), Blob{payload}}},
          Expect::kOneRow};
}

bool Lane::MayPark() {
  const absl::Time now = ports_.clock->Now();
  while (!parked_at_.empty() && parked_at_.front() + absl::Minutes(1) <= now) {
    parked_at_.pop_front();
  }
  return static_cast<int>(parked_at_.size()) + parking_ < options_.parked_subjects_per_minute;
}

absl::Status Lane::DecideParking(const bus::Event& event, bool parked, size_t index, Batch& batch) {
  if (!definition_->park()) return absl::OkStatus();
  const absl::Time now = ports_.clock->Now();
  const std::string cause = absl::StrCat(event.id, parked ? ":parked" : ":unparked");
  id::Ids ids(definition_->name(), cause);
  const corridor::Answers answers;
  const corridor::Inputs inputs{now, "", cause, &ids, &answers, corridor::Secret(ports_.entropy)};
  absl::StatusOr<corridor::Decision> decision =
      definition_->park()(event, parked, inputs, batch.Begin());
  absl::Status status = decision.status();
  if (status.ok() && !decision->questions.empty()) {
    status = absl::InternalError("a parking rule asks a question");
  }
  if (status.ok()) status = batch.Apply(index, *decision, {cause, event.traceparent, now});
  if (status.ok() || IsPassing(status)) return status;
  // Refused by what is remembered it is decided again, or a partition stops for ever.
  const absl::StatusOr<bool> is_stale = IsStale(batch);
  if (!is_stale.ok()) return is_stale.status();
  return *is_stale ? absl::AbortedError("what it rests on has changed") : status;
}

Lane::EventVerdict Lane::Park(const RunEvent& event, const absl::Status& why, size_t index,
                              Batch& batch, Member& member) {
  using Kind = EventVerdict::Kind;
  const bus::Event& e = event.record->event;
  const absl::Status hooked = DecideParking(e, /*parked=*/true, index, batch);
  if (batch.NeedsFreshBatch()) return {Kind::kNeedsFreshBatch, {}, absl::OkStatus()};
  if (!hooked.ok()) return {IsPassing(hooked) ? Kind::kRetry : Kind::kStopped, {}, hooked};
  batch.AddLine(
      index,
      {"dead_letters",
       "",
       {"INSERT INTO dead_letters (parked_subject, event_id, source, type, subject, key, time, "
        "sequence, cause, traceparent, partition, log_offset, reason, parked_at, body) VALUES "
        "($1, $2, $3, $4, $1, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) "
        "ON CONFLICT (event_id) DO NOTHING",
        {e.subject, e.id, e.source, e.type, e.key, time::ToMicros(e.time), e.sequence, e.cause,
         e.traceparent, int64_t{event.record->partition}, event.record->offset,
         std::string(why.message()), time::ToMicros(ports_.clock->Now()), Blob{e.body}}},
       Expect::kAnyRows});
  const auto known = parked_.find(e.subject);
  const int64_t base = known == parked_.end() ? 0 : known->second;
  if (base == 0) {
    batch.AddLine(index,
                  {"parked_subjects",
                   e.subject,
                   {"INSERT INTO parked_subjects (subject, version) VALUES ($1, 1)", {e.subject}},
                   Expect::kOneRow});
    ++parking_;
  } else {
    batch.AddLine(index,
                  {"parked_subjects",
                   e.subject,
                   {"UPDATE parked_subjects SET version = version + 1 WHERE subject = $1 AND "
                    "version = $2",
                    {e.subject, base}},
                   Expect::kOneRow});
  }
  parked_[e.subject] = base + 1;
  member.parked.emplace_back(e.subject, base + 1);
  member.dead_letters.push_back({e.subject, e.type, e.id, why});
  return {Kind::kApplied, {}, absl::OkStatus()};
}

Lane::EventVerdict Lane::DecideEvent(RunEvent& event, size_t index, Batch& batch, bool retrying,
                                     Member& member) {
  using Kind = EventVerdict::Kind;
  const bus::Event& e = event.record->event;
  const std::string stream = Stream(e);
  absl::StatusOr<int64_t> last = batch.LastSequence(stream);
  if (!last.ok()) return {Kind::kRetry, {}, last.status()};
  if (e.sequence <= *last && !plant::Has(plant::Mistake::kNoDedupe)) {
    return {Kind::kApplied, {}, absl::OkStatus()};
  }
  if (!retrying && parked_.contains(e.subject)) {
    return Park(event, absl::FailedPreconditionError("behind"), index, batch, member);
  }
  absl::Status status;
  if (event.body == nullptr) {
    status = absl::InvalidArgumentError(absl::StrCat("the body is no ", e.type));
  } else {
    const absl::Time now = ports_.clock->Now();
    id::Ids ids(definition_->name(), e.id);
    const corridor::Inputs inputs{
        now, "", e.id, &ids, &event.gathered.answers, corridor::Secret(ports_.entropy)};
    absl::StatusOr<corridor::Decision> decision =
        event.reaction->decide(*event.body, e, inputs, batch.Begin());
    if (batch.NeedsFreshBatch()) return {Kind::kNeedsFreshBatch, {}, absl::OkStatus()};
    if (decision.ok() && !decision->questions.empty()) {
      return {Kind::kAsks, std::move(decision->questions), absl::OkStatus()};
    }
    status = decision.status();
    if (status.ok()) status = batch.Apply(index, *decision, {e.id, e.traceparent, now});
  }
  if (status.ok()) {
    batch.MarkEvent(index, stream, e.sequence);
    return {Kind::kApplied, {}, absl::OkStatus()};
  }
  if (IsPassing(status)) return {Kind::kRetry, {}, status};
  if (event.body != nullptr) {
    const absl::StatusOr<bool> is_stale = IsStale(batch);
    if (!is_stale.ok()) return {Kind::kRetry, {}, is_stale.status()};
    if (*is_stale) return {Kind::kNeedsFreshBatch, {}, absl::OkStatus()};
  }
  if (retrying) return {Kind::kStopped, {}, status};
  if (!MayPark()) {
    return {Kind::kStopped,
            {},
            absl::FailedPreconditionError(
                absl::StrCat("too many subjects were parked in a minute; the last is ", e.subject,
                             ", because ", status.message()))};
  }
  return Park(event, status, index, batch, member);
}

Lane::Next Lane::DecideRun(Run& run, size_t index, Batch& batch, Member& member) {
  if (absl::Status status = LoadParked(); !status.ok()) {
    RunResult result;
    result.kind = RunResult::Kind::kRetry;
    result.why = status;
    run.done(std::move(result));
    return Next::kAnswered;
  }
  // A run whose first event needs a fresh batch goes to the next one; a later event ends the run
  // here, and its owner sends the rest again.
  size_t applied = 0;
  for (RunEvent& event : run.events) {
    if (event.reaction == nullptr) {
      ++applied;
      continue;
    }
    EventVerdict verdict = DecideEvent(event, index, batch, /*retrying=*/false, member);
    if (verdict.kind == EventVerdict::Kind::kApplied) {
      ++applied;
      continue;
    }
    if (verdict.kind == EventVerdict::Kind::kNeedsFreshBatch) {
      if (applied == 0) return Next::kNeedsFreshBatch;
      break;
    }
    member.run.questions = std::move(verdict.questions);
    member.run.why = verdict.why;
    member.run.kind = verdict.kind == EventVerdict::Kind::kAsks    ? RunResult::Kind::kAsks
                      : verdict.kind == EventVerdict::Kind::kRetry ? RunResult::Kind::kRetry
                                                                   : RunResult::Kind::kStopped;
    break;
  }
  member.run.applied = applied;
  if (applied == 0) {
    run.done(std::move(member.run));
    return Next::kAnswered;
  }
  batch.MovePosition(index, run.partition, run.stored, run.events[applied - 1].record->offset + 1,
                     run.epoch);
  return Next::kJoined;
}

absl::StatusOr<std::vector<Lane::Letter>> Lane::ReadLetters(const std::string& subject) {
  std::vector<Letter> letters;
  absl::Status status = ports_.store->reader().Query(
      {"SELECT id, event_id, source, type, subject, key, time, sequence, cause, traceparent, "
       "partition, log_offset, body FROM dead_letters WHERE parked_subject = $1 ORDER BY id",
       {subject}},
      [&](const store::RowView& line) {
        auto record = std::make_shared<bus::Record>();
        record->event.id = line.Text(1);
        record->event.source = line.Text(2);
        record->event.type = line.Text(3);
        record->event.subject = line.Text(4);
        record->event.key = line.Text(5);
        record->event.time = time::FromMicros(line.Int(6));
        record->event.sequence = line.Int(7);
        record->event.cause = line.Text(8);
        record->event.traceparent = line.Text(9);
        record->partition = static_cast<int>(line.Int(10));
        record->offset = line.Int(11);
        record->event.body = line.Text(12);
        letters.push_back({line.Int(0), Parsed(*definition_, std::move(record))});
      });
  if (!status.ok()) return status;
  return letters;
}

// What a retry or a dropping leaves of the subject: its row a version on, or gone with the last
// letter.
absl::Status Lane::LeaveParked(const bus::Event& last, bool is_empty, size_t index, Batch& batch,
                               Member& member) {
  const std::string& subject = last.subject;
  const int64_t base = parked_.find(subject)->second;
  if (!is_empty) {
    batch.AddLine(index,
                  {"parked_subjects",
                   subject,
                   {"UPDATE parked_subjects SET version = version + 1 WHERE subject = $1 AND "
                    "version = $2",
                    {subject, base}},
                   Expect::kOneRow});
    member.parked.emplace_back(subject, base + 1);
    return absl::OkStatus();
  }
  if (absl::Status status = DecideParking(last, /*parked=*/false, index, batch); !status.ok()) {
    return status;
  }
  batch.AddLine(
      index, {"parked_subjects",
              subject,
              {"DELETE FROM parked_subjects WHERE subject = $1 AND version = $2", {subject, base}},
              Expect::kOneRow});
  member.parked.emplace_back(subject, 0);
  return absl::OkStatus();
}

// A repetition of a discarded event is a duplicate, unless one of its stream still waits before it:
// a mark would discard that one too.
absl::Status Lane::MarkDropped(const std::vector<Letter>& letters, const bus::Event& dropped,
                               size_t index, Batch& batch) {
  const std::string stream = Stream(dropped);
  for (const Letter& letter : letters) {
    const bus::Event& e = letter.event.record->event;
    if (e.sequence < dropped.sequence && Stream(e) == stream) return absl::OkStatus();
  }
  const absl::StatusOr<int64_t> last = batch.LastSequence(stream);
  if (!last.ok()) return last.status();
  if (dropped.sequence > *last) batch.MarkEvent(index, stream, dropped.sequence);
  return absl::OkStatus();
}

Lane::Next Lane::DecideRetry(std::unique_ptr<Retry>& retry, size_t index, Batch& batch,
                             Member& member) {
  if (index > 0) return Next::kNeedsFreshBatch;
  absl::StatusOr<std::vector<Letter>> letters = ReadLetters(retry->subject);
  absl::Status status = letters.ok() ? LoadParked() : letters.status();
  const auto erase = [&](int64_t id) {
    batch.AddLine(
        index,
        {"dead_letters", "", {"DELETE FROM dead_letters WHERE id = $1", {id}}, Expect::kOneRow});
  };
  const bool is_parked = parked_.contains(retry->subject);
  if (status.ok() && retry->drop.has_value()) {
    const auto letter = std::find_if(letters->begin(), letters->end(),
                                     [&](const Letter& one) { return one.id == *retry->drop; });
    if (letter == letters->end()) {
      status = corridor::NotFound("dead letter", absl::StrCat(*retry->drop));
    } else {
      member.retry.remaining = static_cast<int>(letters->size()) - 1;
      erase(letter->id);
      status = MarkDropped(*letters, letter->event.record->event, index, batch);
      // A timer that could not be decided has a letter and holds nothing up.
      if (status.ok() && is_parked) {
        status = LeaveParked(letter->event.record->event, member.retry.remaining == 0, index, batch,
                             member);
      }
    }
    if (status.ok()) return Next::kJoined;
    retry->done(status);
    return Next::kAbandoned;
  }
  if (status.ok() && !is_parked) status = corridor::NotFound("parked subject", retry->subject);
  if (!status.ok()) {
    retry->done(status);
    return Next::kAnswered;
  }
  letters->front().event.gathered = retry->gathered;
  size_t applied = 0;
  for (Letter& letter : *letters) {
    if (letter.event.reaction != nullptr) {
      EventVerdict verdict = DecideEvent(letter.event, index, batch, /*retrying=*/true, member);
      if (verdict.kind == EventVerdict::Kind::kAsks) {
        if (applied == 0) {
          GatherForRetry(std::move(retry), std::move(verdict.questions));
          return Next::kAnswered;
        }
        verdict.why = absl::UnavailableError("the event asks another service; retry again");
      }
      if (verdict.kind == EventVerdict::Kind::kNeedsFreshBatch && applied == 0) {
        return Next::kNeedsFreshBatch;
      }
      if (verdict.kind != EventVerdict::Kind::kApplied) {
        member.retry.why = verdict.why;
        break;
      }
    }
    ++applied;
    erase(letter.id);
  }
  member.retry.applied = static_cast<int>(applied);
  member.retry.remaining = static_cast<int>(letters->size() - applied);
  if (applied > 0) {
    status = LeaveParked((*letters)[applied - 1].event.record->event, member.retry.remaining == 0,
                         index, batch, member);
  }
  if (!status.ok()) {
    retry->done(status);
    return Next::kAbandoned;
  }
  if (applied == 0) {
    retry->done(std::move(member.retry));
    return Next::kAnswered;
  }
  return Next::kJoined;
}

void Lane::GatherForCommand(std::unique_ptr<Command> command,
                            std::vector<corridor::Question> questions) {
  Gathered gathered = std::move(command->gathered);
  std::string traceparent = command->context.traceparent;
  ports_.gatherer->Ask(
      std::move(gathered), std::move(questions), std::move(traceparent),
      scope_.Callback<Gathered>([this, command = std::move(command)](Gathered answered) mutable {
        command->gathered = std::move(answered);
        Enqueue({std::move(command)});
      }));
}

void Lane::GatherForTimer(std::unique_ptr<TimerFiring> timer,
                          std::vector<corridor::Question> questions) {
  Gathered gathered = std::move(timer->gathered);
  std::string traceparent = timer->traceparent;
  ports_.gatherer->Ask(
      std::move(gathered), std::move(questions), std::move(traceparent),
      scope_.Callback<Gathered>([this, timer = std::move(timer)](Gathered answered) mutable {
        timer->gathered = std::move(answered);
        Enqueue({std::move(timer)});
      }));
}

void Lane::GatherForRetry(std::unique_ptr<Retry> retry, std::vector<corridor::Question> questions) {
  Gathered gathered = std::move(retry->gathered);
  ports_.gatherer->Ask(
      std::move(gathered), std::move(questions), "",
      scope_.Callback<Gathered>([this, retry = std::move(retry)](Gathered answered) mutable {
        retry->gathered = std::move(answered);
        Enqueue({std::move(retry)});
      }));
}

}  // namespace tandem::lane
