// A service at work: its definition between its store and the bus. It builds the lane, relay,
// consumer and gate of one service from the ports given to it, and is the endpoint of its RPCs.
#ifndef TANDEM_COMMON_RUNTIME_SERVICE_RUNTIME_H_
#define TANDEM_COMMON_RUNTIME_SERVICE_RUNTIME_H_

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/corridor/definition.h"
#include "common/corridor/endpoint.h"
#include "common/executor/executor.h"
#include "common/executor/scope.h"
#include "common/id/entropy.h"
#include "common/inbox/consumer.h"
#include "common/lane/gatherer.h"
#include "common/lane/lane.h"
#include "common/lane/lanes.h"
#include "common/log/log.h"
#include "common/metrics/metrics.h"
#include "common/outbox/relay.h"
#include "common/runtime/call_log.h"
#include "common/runtime/lag.h"
#include "common/runtime/waiting_calls.h"
#include "common/store/store.h"
#include "common/time/clock.h"
#include "common/timer/gate.h"

namespace tandem::runtime {

struct RuntimeOptions {
  lane::LaneOptions lane;
  outbox::RelayOptions relay;
  inbox::ConsumerOptions consumer;
  timer::GateOptions gate;
  WaitingOptions waiting;
  // Of partitions, claims and the lease; where the database is shared, unlike that of any other
  // process or of an earlier start.
  std::string owner = "local";
  absl::Duration keep_requests = absl::Hours(7 * 24);  // then a repeated request is a new one
  absl::Duration prune_every = absl::Minutes(10);
  // Gauges, and what the probes say; zero = never. With a sample, a store that has taken no commit
  // for `probe_store_after` is asked to take one, and one that owes its answer for
  // `store_patience` counts as not writable.
  absl::Duration sample_every = absl::Seconds(5);
  absl::Duration probe_store_after = absl::Seconds(10);
  absl::Duration store_patience = absl::Seconds(10);
};

// What an operator asks of a service, taken at one instant.
struct ServiceSample {
  std::vector<inbox::PartitionState> partitions;
  // Where the log ends in each of them; as last seen where the bus does not say so in time.
  std::vector<int64_t> ends;
  int64_t outbox_events = 0;
  absl::Duration outbox_age;
  int64_t timers = 0;
  int64_t timers_overdue = 0;
  int64_t dead_letters = 0;
  absl::Duration dead_letter_age;  // of the oldest
  size_t lane_depth = 0;
  // Why no calls can be taken: the store cannot be read or written, or the process drains.
  std::vector<std::string> not_ready;
  // What else does not work, although calls are taken: stopped partitions, a bus that takes no
  // events, parked dead letters.
  std::vector<std::string> unhealthy;
};

// Thread-safe where not said otherwise. The executors may end before it or after it; the other
// ports outlive it. Peers may still answer after it has ended.
class ServiceRuntime : public corridor::Endpoint {
 public:
  struct Ports {
    const time::Clock* clock = nullptr;
    // Decide and commit: one executor and one store a lane. Several only on a shared database.
    std::vector<executor::Executor*> lanes;
    executor::Executor* background = nullptr;  // relay, consumer, gate
    std::vector<executor::Executor*> readers;  // answer queries, each with a reader of its own
    std::vector<store::Store*> stores;
    bus::Bus* bus = nullptr;
    corridor::Peer* peer = nullptr;  // null = everybody else is down
    id::Entropy* entropy = nullptr;
    log::Logger* logger = nullptr;         // null = silent
    metrics::Registry* metrics = nullptr;  // null = uncounted
    // What else is measured with each sample, whether or not the store can be read: by a step of
    // `background`, with a reader of the service's database. May be empty.
    std::function<void(store::Reader&)> measure = nullptr;
  };

  // Opens readers on the store. The schema must have been applied: both the corridor's and the
  // definition's.
  static absl::StatusOr<std::unique_ptr<ServiceRuntime>> Create(
      std::unique_ptr<corridor::ServiceDefinition> definition, Ports ports, RuntimeOptions options);
  ~ServiceRuntime() override;

  // Joins the bus and begins to fire timers. Once.
  absl::Status Start();
  // Takes no new calls (UNAVAILABLE), leaves the bus and stops the gate; `done` is called when
  // nothing is under way, on the background executor.
  void Drain(absl::AnyInvocable<void()> done);

  // Stops at once, as kill -9 does: no step starts after it. Services that ask each other are all
  // halted before the first of them ends. From the thread that owns it, after the last call from
  // outside.
  void Halt();

  // Endpoint
  std::vector<const google::protobuf::ServiceDescriptor*> services() const override;
  void Call(const corridor::CallContext& context, const google::protobuf::MethodDescriptor* method,
            corridor::MessagePtr request, corridor::ReplyCallback done) override;

  const corridor::ServiceDefinition& definition() const { return *definition_; }
  // Takes a sample; `done` on the background executor, which waits for no bus: without its answer
  // after two seconds.
  void Sample(absl::AnyInvocable<void(absl::StatusOr<ServiceSample>)> done);
  // The reasons of the last sample; empty = ready, or nothing else that does not work.
  std::vector<std::string> NotReady() const;
  std::vector<std::string> Unhealthy() const;
  // Retries a parked subject; `done` on the lane's executor.
  void Retry(std::string subject, absl::AnyInvocable<void(absl::StatusOr<lane::RetryResult>)> done);
  // Discards one parked event; `done` gets how many of its subject are left.
  void Drop(int64_t dead_letter, absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done);
  // Runs `read` with a reader of this service, on the background executor.
  void Read(absl::AnyInvocable<void(store::Reader&)> read);
  // Decisions committed, commits, events published and timers fired since the start.
  struct Totals {
    int64_t decisions = 0, commits = 0, lines = 0, events = 0, timers = 0, dead_letters = 0;
  };
  Totals totals() const;

 private:
  struct QueryLane;
  struct Instruments;

  ServiceRuntime(std::unique_ptr<corridor::ServiceDefinition> definition, Ports ports,
                 RuntimeOptions options);
  void Committed(const lane::Committed& committed);
  // Decides a call that has passed every check, in a lane or at a reader. Any thread, and again for
  // a call that has waited.
  void Decide(const corridor::ServiceDefinition::Method& method,
              const corridor::CallContext& context, const corridor::MessagePtr& request,
              corridor::ReplyCallback done);
  void DecideCommand(const corridor::ServiceDefinition::Method& method,
                     const corridor::CallContext& context, const corridor::MessagePtr& request,
                     corridor::ReplyCallback done);
  void AnswerQuery(const corridor::ServiceDefinition::Method& method,
                   const corridor::CallContext& context, const corridor::MessagePtr& request,
                   corridor::ReplyCallback done);
  void Maintain();
  void SampleNow();
  void SampleOnce();
  void ProbeStore();
  std::vector<std::string> WhyNotReady(const absl::Status& read) const;
  std::vector<std::string> WhyUnhealthy() const;
  void Stopped(int partition, const absl::Status& why);
  // Tell the metrics: what was read from the store, and what the process knows of itself.
  void Tell(const ServiceSample& sample);
  void TellOwn();
  void AskEnds();  // of the partitions, for the lag
  void TellLag();
  void FillEnds(ServiceSample& sample);  // with what was last seen
  void TakeMeasures();
  absl::StatusOr<ServiceSample> TakeSample();
  void AwaitDrained();

  const std::unique_ptr<corridor::ServiceDefinition> definition_;
  const Ports ports_;
  const RuntimeOptions options_;
  std::unique_ptr<Instruments> instruments_;
  std::vector<metrics::MeasuredGauge> measured_;  // as definition_->measures()
  std::unique_ptr<store::Reader> relay_reader_, consumer_reader_, gate_reader_, sample_reader_;
  std::vector<std::unique_ptr<QueryLane>> query_lanes_;
  std::atomic<size_t> next_query_lane_{0};
  std::atomic<int64_t> calls_under_way_{0};
  std::atomic<bool> draining_{false};
  absl::AnyInvocable<void()> drained_;
  bool released_ = false;  // the lease; steps of the background

  const CallLog call_log_;
  lane::Gatherer gatherer_;
  std::vector<std::unique_ptr<lane::Lane>> lane_list_;
  std::unique_ptr<lane::Lanes> lanes_;
  std::unique_ptr<outbox::Relay> relay_;
  std::unique_ptr<inbox::Consumer> consumer_;
  std::unique_ptr<timer::Gate> gate_;
  std::unique_ptr<WaitingCalls> waiting_calls_;
  // Steps of the background.
  Lag lag_;
  std::set<int> asking_ends_;                         // partitions
  absl::Time parked_since_ = absl::InfiniteFuture();  // the oldest dead letter
  int64_t parked_ = 0;                                // dead letters, as last counted

  mutable absl::Mutex sample_mutex_;
  std::vector<std::string> not_ready_ ABSL_GUARDED_BY(sample_mutex_);
  std::vector<std::string> unhealthy_ ABSL_GUARDED_BY(sample_mutex_);
  absl::Time committed_at_ ABSL_GUARDED_BY(sample_mutex_) = absl::InfinitePast();
  // Of the store's probe: what it came to last, and since when one is under way.
  absl::Status written_ ABSL_GUARDED_BY(sample_mutex_);
  absl::Time probing_since_ ABSL_GUARDED_BY(sample_mutex_) = absl::InfiniteFuture();
  Totals totals_ ABSL_GUARDED_BY(sample_mutex_);
  executor::Scope scope_;
};

}  // namespace tandem::runtime

#endif  // TANDEM_COMMON_RUNTIME_SERVICE_RUNTIME_H_
