#include "common/runtime/service_runtime.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/corridor/canonical.h"
#include "common/corridor/errors.h"
#include "common/corridor/view.h"
#include "common/id/id.h"
#include "common/store/writable.h"
#include "common/time/micros.h"

namespace tandem::runtime {
namespace {

// Who asks how it stands gives up after 10 s, and asks most of all while the bus is away.
constexpr absl::Duration kEndsPatience = absl::Seconds(2);

// Committed state as a view: for queries.
class CommittedView : public corridor::View {
 public:
  explicit CommittedView(store::Reader* reader) : reader_(reader) {}

  absl::Status Query(const store::Statement& statement,
                     absl::FunctionRef<void(const store::RowView&)> on_row) override {
    return reader_->Query(statement, on_row);
  }

 protected:
  absl::StatusOr<Raw> LoadRaw(const store::RecordTable& table, std::string_view key) override {
    Raw raw;
    raw.key = std::string(key);
    absl::Status status = Parse(table, table.SelectByKey(key), /*first=*/0, [&](Raw found) {
      raw.version = found.version;
      raw.body = std::move(found.body);
    });
    if (!status.ok()) return status;
    return raw;
  }

  absl::StatusOr<std::vector<Raw>> SelectRaw(const store::RecordTable& table, std::string_view tail,
                                             std::vector<store::Value> params) override {
    std::vector<Raw> raws;
    absl::Status status = Parse(table, table.SelectWhere(tail, std::move(params)), /*first=*/1,
                                [&](Raw found) { raws.push_back(std::move(found)); });
    if (!status.ok()) return status;
    return raws;
  }

 private:
  // Columns from `first` on are version and body; before them stands the key.
  template <typename Found>
  absl::Status Parse(const store::RecordTable& table, const store::Statement& statement, int first,
                     Found found) {
    bool parsed = true;
    absl::Status status = reader_->Query(statement, [&](const store::RowView& row) {
      std::shared_ptr<google::protobuf::Message> body = table.New();
      const std::string_view bytes = row.Text(first + 1);
      parsed = parsed && body->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
      found(Raw{first == 0 ? std::string() : std::string(row.Text(0)), row.Int(first),
                std::move(body)});
    });
    if (!status.ok()) return status;
    if (!parsed)
      return absl::DataLossError(absl::StrCat("a record of ", table.name(), " is broken"));
    return absl::OkStatus();
  }

  store::Reader* const reader_;
};

std::string RequestId(const google::protobuf::Message& request) {
  const google::protobuf::FieldDescriptor* field =
      request.GetDescriptor()->FindFieldByName("request_id");
  if (field == nullptr || field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_STRING) {
    return "";
  }
  return request.GetReflection()->GetString(request, field);
}

// The bus is the one that the database knows, or the first that it meets.
absl::Status CheckPartitions(store::Store& store, const std::string& service, int partitions) {
  store::CommitResult last;
  // Others may start at the same time, and an outcome may be unknown: then the row tells.
  for (int attempt = 0; attempt < 3; ++attempt) {
    int64_t known = 0;
    absl::Status status =
        store.reader().Query({"SELECT partitions FROM bus_shape WHERE key = 'bus'", {}},
                             [&](const store::RowView& row) { known = row.Int(0); });
    if (!status.ok()) return status;
    if (known == partitions) return absl::OkStatus();
    if (known != 0) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the database of ", service, " belongs to a log of ", known, " partitions; this one has ",
          partitions, ". Use the log it belongs to: events of a key must stay in one partition"));
    }
    last = store.Commit(
        {{"bus_shape",
          "bus",
          {"INSERT INTO bus_shape (key, partitions) VALUES ('bus', $1)", {int64_t{partitions}}},
          store::Expect::kOneRow}});
    if (last.kind == store::CommitResult::Kind::kCommitted) return absl::OkStatus();
    if (last.kind == store::CommitResult::Kind::kFailed) break;
  }
  return absl::UnavailableError(absl::StrCat(
      "the database of ", service, " takes no commit: ", std::string(last.status.message())));
}

}  // namespace

// Queries of one reader, one after another.
struct ServiceRuntime::QueryLane {
  QueryLane(executor::Executor* executor, std::unique_ptr<store::Reader> its_reader)
      : reader(std::move(its_reader)), scope(executor) {}
  const std::unique_ptr<store::Reader> reader;
  executor::Scope scope;
};

// Handles that go nowhere until they are registered.
struct ServiceRuntime::Instruments {
  void Register(const metrics::Scope& scope) {
    commit_seconds = scope.OneHistogram("tandem_commit_seconds",
                                        "Time of one commit of a batch, flush included.",
                                        metrics::LatencySeconds());
    batch_size = scope.OneHistogram("tandem_commit_batch_decisions",
                                    "Decisions committed together.", metrics::BatchSizes());
    events =
        scope.OneCounter("tandem_events_decided_total", "Lifecycle events written to the outbox.");
    timers = scope.OneCounter("tandem_timers_fired_total", "Timers decided.");
    lateness = scope.OneHistogram("tandem_timer_lateness_seconds",
                                  "Time from a timer's due instant to its decision.",
                                  metrics::LongSeconds());
    dead_letters_total = scope.OneCounter("tandem_dead_letters_total",
                                          "Events and timers that could not be applied.");
    const metrics::CounterFamily repeated = scope.Counters(
        "tandem_commits_repeated_total",
        "Commits that applied nothing and were decided anew: a row had changed, or the database "
        "named a conflict.",
        {{"reason", {"missed", "conflict"}}});
    missed = repeated.At({"missed"});
    conflict = repeated.At({"conflict"});
    unknown = scope.OneCounter("tandem_commits_unknown_total",
                               "Commits whose outcome was not told; they were decided anew.");
    failed = scope.OneCounter("tandem_commits_failed_total",
                              "Commits that the database refused or could not be asked for.");
    published = scope.OneCounter("tandem_events_published_total",
                                 "Events that the bus has for good, repetitions counted.");
    relay_failures =
        scope.OneCounter("tandem_relay_failures_total",
                         "Times that the outbox could not be read or the bus took no events.");
    relay_leader = scope.OneGauge("tandem_relay_leader",
                                  "1 in the process that publishes the service's events, else 0.");
    refused = scope.OneCounter("tandem_lane_refused_total",
                               "Commands refused because the lane was full.");
    lane_depth = scope.OneGauge("tandem_lane_depth", "Work waiting in the lane.");
    lane_wait = scope.OneHistogram("tandem_lane_wait_seconds",
                                   "How long the first of a batch had waited in the lane when the "
                                   "batch was begun.",
                                   metrics::LatencySeconds());
    outbox_depth = scope.OneGauge("tandem_outbox_depth", "Events waiting to be published.");
    outbox_age = scope.OneGauge("tandem_outbox_age_seconds",
                                "Age of the oldest event waiting to be published.");
    timers_pending = scope.OneGauge("tandem_timers_pending", "Timers set and not fired.");
    timers_overdue = scope.OneGauge("tandem_timers_overdue", "Timers past their due instant.");
    dead_letters = scope.OneGauge("tandem_dead_letters", "Parked events and timers.");
    dead_letter_age = scope.OneGauge("tandem_dead_letter_age_seconds",
                                     "Age of the oldest parked event or timer.");
    waiting_events =
        scope.OneGauge("tandem_consumer_waiting_events", "Events received and not yet applied.");
    lag_events = scope.OneGauge("tandem_consumer_lag_events",
                                "Events from the stored positions to the ends of this process's "
                                "partitions.");
    lag_seconds = scope.OneGauge("tandem_consumer_lag_seconds",
                                 "How long ago the log ended where the furthest behind of this "
                                 "process's partitions is.");
    partitions_stopped =
        scope.OneGauge("tandem_partitions_stopped", "Partitions that are not read any more.");
    waiting_calls = scope.OneGauge("tandem_waiting_calls",
                                   "Calls that wait for an event about a record that they name.");
    const metrics::CounterFamily waited = scope.Counters(
        "tandem_waited_calls_total",
        "Calls that named a record of another service before its event was here, by how they "
        "ended.",
        {{"end", {"answered", "unknown", "timed_out", "owner_unavailable", "refused"}}});
    waited_answered = waited.At({"answered"});
    waited_unknown = waited.At({"unknown"});
    waited_timed_out = waited.At({"timed_out"});
    waited_owner_unavailable = waited.At({"owner_unavailable"});
    waited_refused = waited.At({"refused"});
    sampled_at = scope.OneGauge("tandem_sampled_at_seconds",
                                "Unix time at which the gauges were last taken.");
  }

  void Waited(WaitingEnd end) const {
    switch (end) {
      case WaitingEnd::kAnswered:
        return waited_answered.Increment();
      case WaitingEnd::kUnknown:
        return waited_unknown.Increment();
      case WaitingEnd::kTimedOut:
        return waited_timed_out.Increment();
      case WaitingEnd::kOwnerUnavailable:
        return waited_owner_unavailable.Increment();
      case WaitingEnd::kRefused:
        return waited_refused.Increment();
    }
  }

  metrics::Histogram commit_seconds, batch_size, lane_wait, lateness;
  metrics::Counter events, timers, dead_letters_total, refused, missed, conflict, unknown, failed,
      published, relay_failures, waited_answered, waited_unknown, waited_timed_out,
      waited_owner_unavailable, waited_refused;
  metrics::Gauge lane_depth, outbox_depth, outbox_age, timers_pending, timers_overdue, dead_letters,
      dead_letter_age, waiting_events, lag_events, lag_seconds, partitions_stopped, relay_leader,
      sampled_at, waiting_calls;
};

absl::StatusOr<std::unique_ptr<ServiceRuntime>> ServiceRuntime::Create(
    std::unique_ptr<corridor::ServiceDefinition> definition, Ports ports, RuntimeOptions options) {
  if (absl::Status status = definition->Check(); !status.ok()) return status;
  if (ports.lanes.empty() || ports.lanes.size() != ports.stores.size()) {
    return absl::InternalError("each lane has an executor and a store of its own");
  }
  if (ports.lanes.size() > 1 && !ports.stores.front()->is_shared()) {
    return absl::InternalError("several lanes need a database that several may write");
  }
  if (absl::Status status =
          CheckPartitions(*ports.stores.front(), definition->name(), ports.bus->partitions());
      !status.ok()) {
    return status;
  }
  auto runtime =
      std::unique_ptr<ServiceRuntime>(new ServiceRuntime(std::move(definition), ports, options));
  const auto open = [&](std::unique_ptr<store::Reader>& reader) -> absl::Status {
    absl::StatusOr<std::unique_ptr<store::Reader>> opened = ports.stores.front()->OpenReader();
    if (!opened.ok()) return opened.status();
    reader = *std::move(opened);
    return absl::OkStatus();
  };
  for (std::unique_ptr<store::Reader>* reader :
       {&runtime->relay_reader_, &runtime->consumer_reader_, &runtime->gate_reader_,
        &runtime->sample_reader_}) {
    if (absl::Status status = open(*reader); !status.ok()) return status;
  }
  for (executor::Executor* executor : ports.readers) {
    std::unique_ptr<store::Reader> reader;
    if (absl::Status status = open(reader); !status.ok()) return status;
    runtime->query_lanes_.push_back(std::make_unique<QueryLane>(executor, std::move(reader)));
  }

  ServiceRuntime* const r = runtime.get();
  const corridor::ServiceDefinition* const d = r->definition_.get();
  std::vector<lane::Lane*> lanes;
  for (size_t i = 0; i < ports.lanes.size(); ++i) {
    r->lane_list_.push_back(std::make_unique<lane::Lane>(
        d,
        lane::Lane::Ports{ports.clock, ports.lanes[i], ports.stores[i], ports.entropy,
                          &r->gatherer_, ports.bus->partitions()},
        options.lane, [r](const lane::Committed& committed) { r->Committed(committed); }));
    lanes.push_back(r->lane_list_.back().get());
  }
  r->lanes_ = std::make_unique<lane::Lanes>(lanes);
  options.relay.owner = options.gate.owner = options.owner;
  r->relay_ = std::make_unique<outbox::Relay>(
      d->name(),
      outbox::Relay::Ports{ports.clock, ports.background, r->relay_reader_.get(),
                           ports.stores.front(), ports.bus, &r->lanes_->Any()},
      options.relay, [r](int64_t published, const absl::Status& status) {
        r->instruments_->published.Increment(static_cast<double>(published));
        if (!status.ok()) r->instruments_->relay_failures.Increment();
      });
  r->consumer_ = std::make_unique<inbox::Consumer>(
      d, options.owner,
      inbox::Consumer::Ports{ports.clock, ports.background, r->consumer_reader_.get(), ports.bus,
                             r->lanes_.get(), &r->gatherer_},
      options.consumer,
      inbox::Consumer::Observer{
          [r](int partition, int64_t next_offset) { r->gate_->Moved(partition, next_offset); },
          [r](int partition, const absl::Status& why) { r->Stopped(partition, why); },
          [r](const bus::Event& event) { r->waiting_calls_->Applied(event); }});
  r->gate_ = std::make_unique<timer::Gate>(
      d,
      timer::Gate::Ports{ports.clock, ports.background, r->gate_reader_.get(), ports.stores.front(),
                         ports.bus, r->lanes_.get(), r->consumer_.get()},
      options.gate, [r](absl::Duration lateness) {
        r->instruments_->timers.Increment();
        r->instruments_->lateness.Observe(lateness);
        absl::MutexLock lock(&r->sample_mutex_);
        ++r->totals_.timers;
      });
  r->waiting_calls_ = std::make_unique<WaitingCalls>(
      d, WaitingCalls::Ports{ports.clock, ports.background, ports.peer}, options.waiting,
      [r](WaitingEnd end) { r->instruments_->Waited(end); });
  return runtime;
}

ServiceRuntime::ServiceRuntime(std::unique_ptr<corridor::ServiceDefinition> definition, Ports ports,
                               RuntimeOptions options)
    : definition_(std::move(definition)),
      ports_(std::move(ports)),
      options_(options),
      call_log_(ports_.logger),
      gatherer_(definition_->name(), ports_.peer, ports_.clock),
      scope_(ports_.background) {
  instruments_ = std::make_unique<Instruments>();
  if (ports_.metrics != nullptr) {
    const metrics::Scope scope = ports_.metrics->In({{"service", definition_->name()}});
    instruments_->Register(scope);
    for (const corridor::ServiceDefinition::Measure& measure : definition_->measures()) {
      measured_.push_back(scope.Measured(measure.name, measure.help, measure.labels));
    }
  }
}

void ServiceRuntime::Halt() {
  scope_.Close();
  for (std::unique_ptr<QueryLane>& lane : query_lanes_) lane->scope.Close();
  if (waiting_calls_ != nullptr) waiting_calls_->Close();
  if (gate_ != nullptr) gate_->Close();
  if (consumer_ != nullptr) consumer_->Close();
  if (relay_ != nullptr) relay_->Close();
  for (std::unique_ptr<lane::Lane>& lane : lane_list_) lane->Close();
}

ServiceRuntime::~ServiceRuntime() {
  // Nothing runs any more; then the users of the lane end before it.
  Halt();
  waiting_calls_.reset();
  gate_.reset();
  consumer_.reset();
  relay_.reset();
  lane_list_.clear();
}

absl::Status ServiceRuntime::Start() {
  if (absl::Status status = consumer_->Start(); !status.ok()) return status;
  gate_->Start();
  relay_->Start();
  scope_.Post([this] { Maintain(); });
  if (options_.sample_every > absl::ZeroDuration()) {
    scope_.Post([this] { SampleNow(); });
  }
  return absl::OkStatus();
}

void ServiceRuntime::Committed(const lane::Committed& committed) {
  switch (committed.outcome) {
    case store::CommitResult::Kind::kCommitted:
      break;
    case store::CommitResult::Kind::kMissed:
      instruments_->missed.Increment();
      return;
    case store::CommitResult::Kind::kConflict:
      instruments_->conflict.Increment();
      return;
    case store::CommitResult::Kind::kFailed:
      instruments_->failed.Increment();
      if (ports_.logger != nullptr) {
        ports_.logger->LogInternal("a commit failed", committed.status);
      }
      return;
    case store::CommitResult::Kind::kUnknown:
      instruments_->unknown.Increment();
      relay_->Wake();
      gate_->Wake(ports_.clock->Now());
      return;
  }
  instruments_->lane_wait.Observe(committed.waited);
  instruments_->commit_seconds.Observe(committed.took);
  instruments_->batch_size.Observe(static_cast<double>(committed.members));
  instruments_->events.Increment(static_cast<double>(committed.events));
  const size_t letters = committed.dead_letters.size();
  if (letters > 0) instruments_->dead_letters_total.Increment(static_cast<double>(letters));
  if (ports_.logger != nullptr) {
    for (const lane::SetAside& letter : committed.dead_letters) {
      ports_.logger->Log(
          log::Level::kError, "dead letter parked",
          {log::Field::Id("subject", letter.subject), log::Field::Id("type", letter.type),
           log::Field::Id("event_id", letter.event_id), log::Field::Error(letter.why)});
    }
  }
  {
    absl::MutexLock lock(&sample_mutex_);
    totals_.decisions += static_cast<int64_t>(committed.members);
    totals_.lines += static_cast<int64_t>(committed.lines);
    totals_.events += static_cast<int64_t>(committed.events);
    totals_.dead_letters += static_cast<int64_t>(letters);
    ++totals_.commits;
    committed_at_ = ports_.clock->Now();
  }
  if (committed.events > 0) relay_->Wake();
  if (committed.earliest_timer < absl::InfiniteFuture()) gate_->Wake(committed.earliest_timer);
  // What was held fires now.
  if (committed.has_unparked) gate_->Wake(ports_.clock->Now());
}

ServiceRuntime::Totals ServiceRuntime::totals() const {
  absl::MutexLock lock(&sample_mutex_);
  return totals_;
}

std::vector<const google::protobuf::ServiceDescriptor*> ServiceRuntime::services() const {
  std::set<std::string> names;
  std::vector<const google::protobuf::ServiceDescriptor*> services;
  for (const auto& [name, method] : definition_->methods()) {
    if (names.insert(method.descriptor->service()->full_name()).second) {
      services.push_back(method.descriptor->service());
    }
  }
  return services;
}

void ServiceRuntime::Call(const corridor::CallContext& context,
                          const google::protobuf::MethodDescriptor* descriptor,
                          corridor::MessagePtr request, corridor::ReplyCallback done) {
  const auto known = definition_->methods().find(corridor::MethodName(descriptor));
  const bool is_change = known != definition_->methods().end() && known->second.decide;
  if (call_log_.Wants(is_change)) {
    done = [this, context, descriptor, request, is_change, asked_at = ports_.clock->Now(),
            tell = std::move(done)](absl::StatusOr<corridor::MessagePtr> reply) mutable {
      call_log_.Answered(context, *descriptor, *request, is_change, reply,
                         ports_.clock->Now() - asked_at);
      tell(std::move(reply));
    };
  }
  if (draining_.load()) {
    done(corridor::WithRetryAfter(
        absl::UnavailableError("this process is shutting down; try another"), absl::Seconds(1)));
    return;
  }
  if (known == definition_->methods().end()) {
    done(absl::UnimplementedError(absl::StrCat(descriptor->full_name(), " is not served here")));
    return;
  }
  const corridor::ServiceDefinition::Method& method = known->second;
  corridor::Violations violations;
  corridor::CheckShape(*request, violations);
  // The service's own check sees only messages of a good shape; its list and ours go out as one.
  const bool has_shape = violations.ok();
  std::string request_id;
  if (method.decide) {
    request_id = RequestId(*request);
    violations.Id("request_id", request_id);
    violations.Require(!context.caller.empty(), "tandem-caller",
                       "name the caller in this metadata key: 1 to 128 bytes of [A-Za-z0-9_.:-]");
  }
  absl::Status status;
  if (has_shape && method.validate) {
    status = method.validate(*request);
    if (!violations.ok()) violations.Absorb(status);
  }
  if (!violations.ok()) status = violations.status();
  if (!status.ok()) {
    done(std::move(status));
    return;
  }
  calls_under_way_.fetch_add(1);
  corridor::ReplyCallback counted =
      [this, request, done = std::move(done)](absl::StatusOr<corridor::MessagePtr> reply) mutable {
        if (!reply.ok()) reply = corridor::WithIdsOf(*request, reply.status());
        done(std::move(reply));
        calls_under_way_.fetch_sub(1);
      };
  Decide(method, context, request,
         [this, &method, context, request,
          done = std::move(counted)](absl::StatusOr<corridor::MessagePtr> reply) mutable {
           std::optional<corridor::Unheard> missing =
               reply.ok() ? std::nullopt : corridor::UnheardIn(reply.status());
           if (!missing.has_value()) {
             done(std::move(reply));
             return;
           }
           WaitingCalls::Call call;
           call.context = context;
           call.decide = [this, &method, context = std::move(context),
                          request = std::move(request)](corridor::ReplyCallback decided) {
             Decide(method, context, request, std::move(decided));
           };
           call.done = std::move(done);
           waiting_calls_->Add(std::move(call), *std::move(missing));
         });
}

void ServiceRuntime::Decide(const corridor::ServiceDefinition::Method& method,
                            const corridor::CallContext& context,
                            const corridor::MessagePtr& request, corridor::ReplyCallback done) {
  if (method.decide) {
    DecideCommand(method, context, request, std::move(done));
  } else {
    AnswerQuery(method, context, request, std::move(done));
  }
}

void ServiceRuntime::DecideCommand(const corridor::ServiceDefinition::Method& method,
                                   const corridor::CallContext& context,
                                   const corridor::MessagePtr& request,
                                   corridor::ReplyCallback done) {
  auto command = std::make_unique<lane::Command>();
  command->method = &method;
  command->context = context;
  command->scope = id::Derive(
      "rq", {context.caller, corridor::MethodName(method.descriptor), RequestId(*request)});
  command->body_hash = id::Hash({corridor::CanonicalBytes(*request)});
  command->request = request;
  command->done = std::move(done);
  lane::Lane& lane = lanes_->OfKey(command->scope);
  if (lane.Submit(command)) return;
  instruments_->refused.Increment();
  command->done(corridor::WithRetryAfter(
      corridor::WithReason(absl::ResourceExhaustedError("too many requests wait; try again"),
                           "LANE_FULL", {{"limit", absl::StrCat(options_.lane.max_waiting)}}),
      absl::Milliseconds(100)));
}

void ServiceRuntime::AnswerQuery(const corridor::ServiceDefinition::Method& method,
                                 const corridor::CallContext& context,
                                 const corridor::MessagePtr& request,
                                 corridor::ReplyCallback done) {
  QueryLane& lane = *query_lanes_[next_query_lane_.fetch_add(1) % query_lanes_.size()];
  lane.scope.Post([this, &lane, &method, context, request, done = std::move(done)]() mutable {
    const absl::Time now = ports_.clock->Now();
    if (context.deadline <= now) {
      done(absl::DeadlineExceededError("the call's deadline passed before it was answered"));
      return;
    }
    if (method.subject_of) {
      bool is_parked = false;
      const std::string subject = method.subject_of(*request);
      absl::Status facts =
          lane.reader->Query({"SELECT 1 FROM parked_subjects WHERE subject = $1", {subject}},
                             [&](const store::RowView&) { is_parked = true; });
      if (facts.ok() && is_parked) facts = corridor::SubjectParked(subject);
      if (!facts.ok()) {
        done(std::move(facts));
        return;
      }
    }
    CommittedView view(lane.reader.get());
    const corridor::Answers answers;
    id::Ids ids(definition_->name(), "query");
    const corridor::Inputs inputs{now, context.caller, "query", &ids, &answers, {}};
    done(method.answer(*request, inputs, view));
  });
}

void ServiceRuntime::Maintain() {
  // A year of answered requests would be dead weight; a thousand at a time never holds the lane up.
  const int64_t before = time::ToMicros(ports_.clock->Now() - options_.keep_requests);
  lanes_->Any().SubmitLazily({{"request_marks",
                               "",
                               {"DELETE FROM request_marks WHERE rowid IN (SELECT rowid FROM "
                                "request_marks ORDER BY rowid LIMIT 1000) AND decided_at < $1",
                                {before}},
                               store::Expect::kAnyRows}});
  scope_.PostAt(ports_.clock->Now() + options_.prune_every, [this] { Maintain(); });
}

absl::StatusOr<ServiceSample> ServiceRuntime::TakeSample() {
  ServiceSample sample;
  const absl::Time now = ports_.clock->Now();
  absl::Status status =
      sample_reader_->Query({"SELECT COUNT(*), COALESCE(MIN(created_at), 0) FROM outbox", {}},
                            [&](const store::RowView& row) {
                              sample.outbox_events = row.Int(0);
                              if (row.Int(0) > 0)
                                sample.outbox_age = now - time::FromMicros(row.Int(1));
                            });
  if (status.ok()) {
    status = sample_reader_->Query(
        {"SELECT COUNT(*), COALESCE(SUM(CASE WHEN due <= $1 THEN 1 ELSE 0 END), 0) FROM timers",
         {time::ToMicros(now)}},
        [&](const store::RowView& row) {
          sample.timers = row.Int(0);
          sample.timers_overdue = row.Int(1);
        });
  }
  if (status.ok()) {
    status = sample_reader_->Query(
        {"SELECT COUNT(*), COALESCE(MIN(parked_at), 0) FROM dead_letters", {}},
        [&](const store::RowView& row) {
          sample.dead_letters = row.Int(0);
          if (row.Int(0) > 0) sample.dead_letter_age = now - time::FromMicros(row.Int(1));
        });
  }
  if (!status.ok()) return status;
  parked_ = sample.dead_letters;
  parked_since_ = now - sample.dead_letter_age;
  sample.partitions = consumer_->Partitions();
  sample.lane_depth = lanes_->depth();
  sample.not_ready = WhyNotReady(absl::OkStatus());
  sample.unhealthy = WhyUnhealthy();
  return sample;
}

// Only what keeps this process from taking calls: a load balancer acts on it, and what all replicas
// lack at once must not take them all out of service.
std::vector<std::string> ServiceRuntime::WhyNotReady(const absl::Status& read) const {
  std::vector<std::string> reasons;
  if (!read.ok()) {
    reasons.push_back(absl::StrCat("the store cannot be read: ", std::string(read.message())));
  }
  {
    absl::MutexLock lock(&sample_mutex_);
    const absl::Duration waited = ports_.clock->Now() - probing_since_;
    if (!written_.ok()) {
      reasons.push_back(
          absl::StrCat("the store cannot be written: ", std::string(written_.message())));
    } else if (waited >= options_.store_patience) {
      reasons.push_back(absl::StrCat("the store cannot be written: it has not answered for ",
                                     absl::ToInt64Seconds(waited), " s"));
    }
  }
  for (const store::Store* const store : ports_.stores) {
    if (const absl::Status writable = store::CheckWritable(*store); !writable.ok()) {
      reasons.push_back(
          absl::StrCat("its database takes no writes: ", std::string(writable.message())));
    }
  }
  if (draining_.load()) reasons.push_back("draining");
  return reasons;
}

std::vector<std::string> ServiceRuntime::WhyUnhealthy() const {
  std::vector<std::string> reasons;
  for (const inbox::PartitionState& partition : consumer_->Partitions()) {
    if (partition.stopped.empty()) continue;
    reasons.push_back(
        absl::StrCat("partition ", partition.partition, " stopped: ", partition.stopped));
  }
  if (!relay_->trouble().ok()) {
    reasons.push_back(
        absl::StrCat("the bus takes no events: ", std::string(relay_->trouble().message())));
  }
  if (parked_ > 0) {
    reasons.push_back(
        absl::StrCat(parked_, parked_ == 1 ? " dead letter is" : " dead letters are",
                     " parked, the oldest since ",
                     absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", parked_since_, absl::UTCTimeZone())));
  }
  return reasons;
}

// A service without calls would learn of a full or lost disk by its next caller. The line is that
// of the bus's shape, which everybody has; to write what is there is a write all the same.
void ServiceRuntime::ProbeStore() {
  const absl::Time now = ports_.clock->Now();
  {
    absl::MutexLock lock(&sample_mutex_);
    const bool is_probing = probing_since_ < absl::InfiniteFuture();
    const bool is_due = !written_.ok() || now - committed_at_ >= options_.probe_store_after;
    if (is_probing || !is_due) return;
    probing_since_ = now;
  }
  lane::Writes write;
  write.lines = {{"bus_shape",
                  "bus",
                  {"UPDATE bus_shape SET partitions = partitions WHERE key = 'bus'", {}},
                  store::Expect::kOneRow}};
  write.done = [this](const absl::Status& status) {
    absl::MutexLock lock(&sample_mutex_);
    probing_since_ = absl::InfiniteFuture();
    written_ = status;
  };
  lanes_->Any().Submit(std::move(write));
}

void ServiceRuntime::TakeMeasures() {
  const int64_t now = time::ToMicros(ports_.clock->Now());
  for (size_t i = 0; i < measured_.size(); ++i) {
    const corridor::ServiceDefinition::Measure& measure = definition_->measures()[i];
    store::Statement statement{measure.sql, {}};
    if (measure.sql.find("$1") != std::string::npos) statement.params.emplace_back(now);
    const int width = static_cast<int>(measure.labels.size());
    std::vector<metrics::MeasuredGauge::Row> rows;
    const absl::Status status = sample_reader_->Query(statement, [&](const store::RowView& line) {
      metrics::MeasuredGauge::Row& row = rows.emplace_back();
      for (int column = 0; column < width; ++column) row.labels.emplace_back(line.Text(column));
      row.value = static_cast<double>(line.Int(width));
    });
    if (status.ok()) {
      measured_[i].Set(rows);
    } else if (ports_.logger != nullptr) {
      ports_.logger->LogInternal("a measure could not be taken", status,
                                 {log::Field::Id("metric", measure.name)});
    }
  }
}

void ServiceRuntime::Tell(const ServiceSample& sample) {
  instruments_->outbox_depth.Set(static_cast<double>(sample.outbox_events));
  instruments_->outbox_age.Set(absl::ToDoubleSeconds(sample.outbox_age));
  instruments_->timers_pending.Set(static_cast<double>(sample.timers));
  instruments_->timers_overdue.Set(static_cast<double>(sample.timers_overdue));
  instruments_->dead_letters.Set(static_cast<double>(sample.dead_letters));
  instruments_->dead_letter_age.Set(absl::ToDoubleSeconds(sample.dead_letter_age));
  TakeMeasures();
  instruments_->sampled_at.Set(absl::ToDoubleSeconds(ports_.clock->Now() - absl::UnixEpoch()));
}

// Also true while the store cannot be read.
void ServiceRuntime::TellOwn() {
  int64_t waiting = 0;
  int64_t stopped = 0;
  for (const inbox::PartitionState& partition : consumer_->Partitions()) {
    waiting += partition.backlog;
    stopped += partition.stopped.empty() ? 0 : 1;
  }
  instruments_->lane_depth.Set(static_cast<double>(lanes_->depth()));
  instruments_->waiting_events.Set(static_cast<double>(waiting));
  instruments_->partitions_stopped.Set(static_cast<double>(stopped));
  instruments_->relay_leader.Set(relay_->leads() ? 1 : 0);
  instruments_->waiting_calls.Set(static_cast<double>(waiting_calls_->size()));
  // A bus that does not answer leaves the ends as they were, and time goes on.
  TellLag();
  AskEnds();
}

// The bus is asked, not the consumer: what it has not fetched is behind too.
void ServiceRuntime::AskEnds() {
  std::vector<int> owned;
  const absl::Time now = ports_.clock->Now();
  for (const inbox::PartitionState& state : consumer_->Partitions()) {
    owned.push_back(state.partition);
    // One question a partition, however long the bus takes.
    if (!asking_ends_.insert(state.partition).second) continue;
    ports_.bus->EndOffset(
        state.partition, scope_.Callback<absl::StatusOr<int64_t>>(
                             [this, now, partition = state.partition](absl::StatusOr<int64_t> end) {
                               asking_ends_.erase(partition);
                               if (end.ok()) lag_.Saw(partition, now, *end);
                               if (asking_ends_.empty()) TellLag();
                             }));
  }
  lag_.KeepOnly(owned);
}

void ServiceRuntime::TellLag() {
  int64_t events = 0;
  absl::Duration longest;
  const absl::Time now = ports_.clock->Now();
  for (const inbox::PartitionState& state : consumer_->Partitions()) {
    if (state.next_offset < 0) continue;  // not claimed yet: nobody knows where it stands
    const Lag::Behind behind = lag_.Of(state.partition, state.next_offset, now);
    events += behind.events;
    longest = std::max(longest, behind.time);
  }
  instruments_->lag_events.Set(static_cast<double>(events));
  instruments_->lag_seconds.Set(absl::ToDoubleSeconds(longest));
}

void ServiceRuntime::Stopped(int partition, const absl::Status& why) {
  if (ports_.logger != nullptr) {
    ports_.logger->LogInternal("a partition is not read any more", why,
                               {log::Field::Count("partition", partition)});
  }
  // Who asks whether the service works is told now, not with the next sample.
  SampleOnce();
}

void ServiceRuntime::SampleNow() {
  ProbeStore();
  SampleOnce();
  scope_.PostAt(ports_.clock->Now() + options_.sample_every, [this] { SampleNow(); });
}

void ServiceRuntime::SampleOnce() {
  absl::StatusOr<ServiceSample> sample = TakeSample();
  std::vector<std::string> not_ready =
      sample.ok() ? sample->not_ready : WhyNotReady(sample.status());
  std::vector<std::string> unhealthy = sample.ok() ? sample->unhealthy : WhyUnhealthy();
  {
    absl::MutexLock lock(&sample_mutex_);
    not_ready_ = std::move(not_ready);
    unhealthy_ = std::move(unhealthy);
  }
  if (ports_.measure) ports_.measure(*sample_reader_);
  if (sample.ok()) Tell(*sample);
  TellOwn();
}

void ServiceRuntime::Sample(absl::AnyInvocable<void(absl::StatusOr<ServiceSample>)> done) {
  scope_.Post([this, done = std::move(done)]() mutable {
    absl::StatusOr<ServiceSample> taken = TakeSample();
    if (taken.ok()) Tell(*taken);
    TellOwn();
    if (!taken.ok() || taken->partitions.empty()) return done(std::move(taken));
    struct Open {
      ServiceSample sample;
      absl::AnyInvocable<void(absl::StatusOr<ServiceSample>)> done;  // null once it was called
      size_t questions = 0;
    };
    auto open = std::make_shared<Open>(Open{*std::move(taken), std::move(done)});
    open->questions = open->sample.partitions.size();
    const auto answer = [this, open] {
      if (open->done == nullptr) return;
      FillEnds(open->sample);
      std::exchange(open->done, nullptr)(std::move(open->sample));
    };
    // Questions of its own: those of the lag may have been asked before the sample was taken.
    const absl::Time now = ports_.clock->Now();
    for (const inbox::PartitionState& state : open->sample.partitions) {
      ports_.bus->EndOffset(
          state.partition,
          scope_.Callback<absl::StatusOr<int64_t>>(
              [this, open, answer, now, partition = state.partition](absl::StatusOr<int64_t> end) {
                if (end.ok()) lag_.Saw(partition, now, *end);
                if (--open->questions == 0) answer();
              }));
    }
    scope_.PostAt(now + kEndsPatience, answer);
  });
}

void ServiceRuntime::FillEnds(ServiceSample& sample) {
  for (const inbox::PartitionState& state : sample.partitions) {
    const int64_t next = std::max<int64_t>(0, state.next_offset);
    sample.ends.push_back(next + lag_.Of(state.partition, next, ports_.clock->Now()).events);
  }
}

std::vector<std::string> ServiceRuntime::NotReady() const {
  absl::MutexLock lock(&sample_mutex_);
  return not_ready_;
}

std::vector<std::string> ServiceRuntime::Unhealthy() const {
  absl::MutexLock lock(&sample_mutex_);
  return unhealthy_;
}

void ServiceRuntime::Retry(std::string subject,
                           absl::AnyInvocable<void(absl::StatusOr<lane::RetryResult>)> done) {
  auto retry = std::make_unique<lane::Retry>();
  retry->subject = std::move(subject);
  retry->done = std::move(done);
  lane::Lane& lane = lanes_->OfKey(retry->subject);
  lane.Submit(std::move(retry));
}

void ServiceRuntime::Drop(int64_t dead_letter,
                          absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done) {
  scope_.Post([this, dead_letter, done = std::move(done)]() mutable {
    auto drop = std::make_unique<lane::Retry>();
    absl::Status status = sample_reader_->Query(
        {"SELECT parked_subject FROM dead_letters WHERE id = $1", {dead_letter}},
        [&](const store::RowView& row) { drop->subject = row.Text(0); });
    if (status.ok() && drop->subject.empty()) {
      status = corridor::NotFound("dead letter", absl::StrCat(dead_letter));
    }
    if (!status.ok()) {
      done(status);
      return;
    }
    drop->drop = dead_letter;
    drop->done = [done = std::move(done)](absl::StatusOr<lane::RetryResult> result) mutable {
      if (result.ok()) {
        done(result->remaining);
      } else {
        done(result.status());
      }
    };
    lane::Lane& lane = lanes_->OfKey(drop->subject);
    lane.Submit(std::move(drop));
  });
}

void ServiceRuntime::Read(absl::AnyInvocable<void(store::Reader&)> read) {
  scope_.Post([this, read = std::move(read)]() mutable { read(*sample_reader_); });
}

void ServiceRuntime::Drain(absl::AnyInvocable<void()> done) {
  draining_.store(true);
  waiting_calls_->Drain();
  consumer_->Stop();
  gate_->Stop();
  scope_.Post([this, done = std::move(done)]() mutable {
    drained_ = std::move(done);
    AwaitDrained();
  });
}

void ServiceRuntime::AwaitDrained() {
  // Nobody tells when the last call has been answered or the last event acknowledged, so it is
  // looked at; the program's own limit ends a drain that never comes to an end.
  if (calls_under_way_.load() == 0 && lanes_->Idle() && relay_->Idle()) {
    if (std::exchange(released_, true)) {
      drained_();
      return;
    }
    relay_->Release();
  }
  scope_.PostAt(ports_.clock->Now() + absl::Milliseconds(10), [this] { AwaitDrained(); });
}

}  // namespace tandem::runtime
