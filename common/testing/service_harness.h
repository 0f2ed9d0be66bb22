// One service, whole, in one thread under simulated time: SQLite in memory, a bus in memory, and
// peers that answer as the test says. What a test does happens at once; time moves only by Advance.
//
//   ServiceHarness harness(survey::Make({}), {.schemas = {survey::SqliteSchema()}});
//   harness.peer().Answer("tandem.account.v1.OutreachService/CheckOutreach", Allow());
//   harness.Deliver("ticket_intake", "tkt_1", "acct_1", Closed("tkt_1"));
//   harness.Advance(absl::Hours(24));
//   EXPECT_EQ(harness.Published<SurveyInvited>().size(), 1);
#ifndef TANDEM_COMMON_TESTING_SERVICE_HARNESS_H_
#define TANDEM_COMMON_TESTING_SERVICE_HARNESS_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/memory_bus.h"
#include "common/corridor/definition.h"
#include "common/corridor/endpoint.h"
#include "common/executor/deterministic.h"
#include "common/id/entropy.h"
#include "common/log/log.h"
#include "common/log/sink.h"
#include "common/metrics/metrics.h"
#include "common/runtime/service_runtime.h"
#include "common/store/store.h"

namespace tandem::testing {

// Peers that answer as told; a method without an answer is down.
class ScriptedPeer : public corridor::Peer {
 public:
  using Script =
      std::function<absl::StatusOr<corridor::MessagePtr>(const google::protobuf::Message&)>;

  // Every question to `method` gets `reply` from now on.
  template <typename Reply>
  void Answer(const std::string& method, Reply reply) {
    auto message = std::make_shared<const Reply>(std::move(reply));
    scripts_[method] = [message](const google::protobuf::Message&) {
      return corridor::MessagePtr(message);
    };
  }
  // Every question to `method` is answered by `script`.
  template <typename Request, typename Reply>
  void On(const std::string& method, std::function<absl::StatusOr<Reply>(const Request&)> script) {
    scripts_[method] =
        [script = std::move(script)](
            const google::protobuf::Message& request) -> absl::StatusOr<corridor::MessagePtr> {
      absl::StatusOr<Reply> reply = script(static_cast<const Request&>(request));
      if (!reply.ok()) return reply.status();
      return corridor::MessagePtr(std::make_shared<const Reply>(*std::move(reply)));
    };
  }
  void Down(const std::string& method) { scripts_.erase(method); }
  // Questions to `method` wait from now on, each until the next Release.
  void Hold(const std::string& method) { held_.insert(method); }
  void Release();
  // Questions put to `method` so far.
  int Asked(const std::string& method) const;

  void Ask(const corridor::CallContext& context, std::string_view method,
           corridor::MessagePtr request, corridor::ReplyCallback done) override;

 private:
  std::map<std::string, Script, std::less<>> scripts_;
  std::map<std::string, int, std::less<>> asked_;
  std::set<std::string, std::less<>> held_;
  std::vector<absl::AnyInvocable<void()>> waiting_;
};

struct HarnessOptions {
  absl::Time start =
      absl::FromCivil(absl::CivilSecond(2026, 11, 23, 14, 0, 0), absl::UTCTimeZone());
  runtime::RuntimeOptions runtime;
  log::Level log_level = log::Level::kInfo;
  // Takes samples and probes its store as a served service does, every runtime.sample_every.
  bool takes_samples = false;
  // The database outlives a restart only here, never in a file.
  std::string path = ":memory:";
  // Stands between the service and its store, for faults.
  std::function<std::unique_ptr<store::Store>(std::unique_ptr<store::Store>)> in_front_of_store;
  // The same for its bus; what it returns outlives the harness.
  std::function<bus::Bus*(bus::Bus*)> in_front_of_bus;
};

// One thread. A failure of the harness itself (a schema that does not apply, a livelock) ends the
// test.
class ServiceHarness {
 public:
  // `make` makes the definition, again after each Restart. Its schema and the corridor's are
  // applied.
  ServiceHarness(std::function<std::unique_ptr<corridor::ServiceDefinition>()> make,
                 const HarnessOptions& options = HarnessOptions());
  ~ServiceHarness();

  absl::Time Now() const { return scheduler_.clock()->Now(); }
  // Moves time; whatever falls due on the way happens at its own instant.
  void Advance(absl::Duration duration);
  void AdvanceTo(absl::Time instant) { Advance(instant - Now()); }
  // Lets everything happen that can happen now.
  void Settle() { Advance(absl::ZeroDuration()); }

  // Calls an RPC and lets it be answered; time moves only as far as it has to.
  template <typename Reply, typename Request>
  absl::StatusOr<Reply> Call(const std::string& method, const Request& request,
                             const std::string& caller = "tester") {
    absl::StatusOr<corridor::MessagePtr> reply =
        CallRaw(method, std::make_shared<const Request>(request), caller);
    if (!reply.ok()) return reply.status();
    return static_cast<const Reply&>(**reply);
  }

  // The same, for a request whose type only the method knows.
  absl::StatusOr<corridor::MessagePtr> CallRaw(const std::string& method,
                                               corridor::MessagePtr request,
                                               const std::string& caller = "tester");

  // Calls an RPC that may have to wait: settles, and the answer is there once it has been given.
  template <typename Reply>
  using Pending = std::shared_ptr<std::optional<absl::StatusOr<Reply>>>;
  template <typename Reply, typename Request>
  Pending<Reply> Begin(const std::string& method, const Request& request,
                       const std::string& caller = "tester") {
    auto pending = std::make_shared<std::optional<absl::StatusOr<Reply>>>();
    BeginRaw(method, std::make_shared<const Request>(request), caller,
             [pending](absl::StatusOr<corridor::MessagePtr> reply) {
               if (reply.ok()) {
                 pending->emplace(static_cast<const Reply&>(**reply));
               } else {
                 pending->emplace(reply.status());
               }
             });
    Settle();
    return pending;
  }

  // Puts an event of another service on the bus, with the next sequence of its stream, and settles.
  // The instant of the fact is now unless given. Returns the event's id.
  template <typename E>
  std::string Deliver(const std::string& source, const std::string& subject, const std::string& key,
                      const E& body, std::optional<absl::Time> time = std::nullopt) {
    return DeliverRaw(source, subject, key, body, time.value_or(Now()));
  }
  // Puts the last delivered event on the bus again, as a relay does after a crash.
  void DeliverAgain();
  // Puts bytes that are no body of `type` on the bus.
  void DeliverBroken(const std::string& source, const std::string& subject, const std::string& key,
                     const std::string& type);

  // What the service published, in log order per key.
  std::vector<bus::Event> PublishedEvents() const;
  template <typename E>
  std::vector<E> Published() const {
    std::vector<E> found;
    for (const bus::Event& event : PublishedEvents()) {
      if (event.type != E::descriptor()->full_name()) continue;
      E body;
      body.ParseFromString(event.body);
      found.push_back(std::move(body));
    }
    return found;
  }

  // Stops without a drain, as kill -9 does, and starts again on what was committed.
  void Restart();

  ScriptedPeer& peer() { return peer_; }
  bus::MemoryBus& bus() { return *bus_; }
  store::Store& store() { return *store_; }
  runtime::ServiceRuntime& runtime() { return *runtime_; }
  // What an operator would see now, in Prometheus's text format.
  std::string Metrics();
  // The lines that the service logged.
  std::vector<std::string> Logged() const { return log_->lines(); }
  // A number from the database: SELECT with one row and column.
  int64_t Number(const std::string& sql);

 private:
  void BeginRaw(const std::string& method, corridor::MessagePtr request, const std::string& caller,
                corridor::ReplyCallback done);
  std::string DeliverRaw(const std::string& source, const std::string& subject,
                         const std::string& key, const google::protobuf::Message& body,
                         absl::Time time);
  void Append(bus::Event event);
  void Start();

  const std::function<std::unique_ptr<corridor::ServiceDefinition>()> make_;
  const HarnessOptions options_;
  executor::DeterministicScheduler scheduler_;
  std::unique_ptr<executor::Executor> bus_executor_, lane_executor_, background_, reader_executor_;
  std::unique_ptr<id::Entropy> entropy_;
  ScriptedPeer peer_;
  metrics::Registry metrics_{"test"};
  std::shared_ptr<log::MemorySink> log_ = std::make_shared<log::MemorySink>();
  log::Logger logger_{
      {.service = "test", .level = options_.log_level, .now = [this] { return Now(); }}, log_};
  std::unique_ptr<bus::MemoryBus> bus_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<runtime::ServiceRuntime> runtime_;
  std::map<std::string, int64_t> sequences_;
  bus::Event last_delivered_;
  int64_t delivered_ = 0;
};

}  // namespace tandem::testing

#endif  // TANDEM_COMMON_TESTING_SERVICE_HARNESS_H_
