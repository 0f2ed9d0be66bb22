// One service in one thread under simulated time, on whatever store and bus an engine gives it,
// with a fault at each port: what the suites of lane, timers, relay and inbox stand on.
//
// An engine's test program says how its grounds are made (sqlite_grounds.h) and instantiates the
// suites over them; the suites themselves name no engine.
#ifndef TANDEM_TESTS_CONTRACT_RIG_H_
#define TANDEM_TESTS_CONTRACT_RIG_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/bus/log_reader.h"
#include "common/corridor/definition.h"
#include "common/corridor/endpoint.h"
#include "common/executor/deterministic.h"
#include "common/id/id.h"
#include "common/id/seeded_entropy.h"
#include "common/runtime/service_runtime.h"
#include "common/store/store.h"
#include "common/testing/faulty_store.h"
#include "common/testing/ledger.h"
#include "common/testing/service_harness.h"
#include "common/time/clock.h"
#include "common/time/micros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::contract {

inline constexpr char kLedger[] = "tandem.testing.LedgerService/";

// The database of the service `ledger` (with the corridor's tables and its own), and a bus of 8
// partitions.
class Ground {
 public:
  virtual ~Ground() = default;
  virtual store::Store& store() = 0;
  // Closes the store and opens it again, if its commits outlive that; nobody uses it meanwhile.
  virtual void Reopen() = 0;
  virtual bus::Bus& bus() = 0;
  virtual bus::LogReader& log() = 0;
};

struct Engine {
  std::string name;
  // `executor` runs the bus.
  std::function<std::unique_ptr<Ground>(const time::Clock* clock, executor::Executor* executor)>
      make;
  // ctest names each test by it.
  friend void PrintTo(const Engine& engine, std::ostream* out) { *out << engine.name; }
};

inline std::string EngineName(const ::testing::TestParamInfo<Engine>& info) {
  return info.param.name;
}

// A clock that a test may set, back or forward.
class SettableClock : public time::Clock {
 public:
  explicit SettableClock(const time::Clock* base) : base_(base) {}
  absl::Time Now() const override { return base_->Now() + ahead_; }
  // The instant at which the base clock shows when this one shows `instant`.
  absl::Time ToBase(absl::Time instant) const { return instant - ahead_; }
  void Set(absl::Duration by) { ahead_ += by; }

 private:
  const time::Clock* const base_;
  absl::Duration ahead_;
};

// An executor that goes by such a clock: as the threaded one, it runs nothing before its instant,
// and finds out when the clock is set.
class SettableExecutor : public executor::Executor {
 public:
  SettableExecutor(std::unique_ptr<executor::Executor> base, const SettableClock* clock)
      : base_(std::move(base)), clock_(clock) {}
  void Post(executor::Task task) override { base_->Post(std::move(task)); }
  void PostAt(absl::Time instant, executor::Task task) override {
    if (instant <= clock_->Now()) return Post(std::move(task));
    if (instant == absl::InfiniteFuture()) return;
    timed_.emplace(instant, std::move(task));
    Arm();
  }
  void ClockWasSet() { Arm(); }

 private:
  void Arm() {
    if (timed_.empty()) return;
    const int64_t turn = ++turn_;
    base_->PostAt(clock_->ToBase(timed_.begin()->first), [this, turn] {
      if (turn != turn_) return;
      while (!timed_.empty() && timed_.begin()->first <= clock_->Now()) {
        base_->Post(std::move(timed_.begin()->second));
        timed_.erase(timed_.begin());
      }
      Arm();
    });
  }

  const std::unique_ptr<executor::Executor> base_;
  const SettableClock* const clock_;
  std::multimap<absl::Time, executor::Task> timed_;  // tasks of one instant in order of posting
  int64_t turn_ = 0;
};

// The ground's store, with faults by number, by table, or at reading.
class SpoiltStore : public store::Store {
 public:
  using Fault = testing::Fault;

  void StandOn(store::Store* behind) { behind_ = behind; }
  // The commit with this number (the next one has commits() + 0) goes as `fault` says.
  void FaultAt(int64_t number, Fault fault) { by_number_[number] = std::move(fault); }
  // The next commit with a line of `table` does; several are taken in order, one a commit.
  void FaultOn(const std::string& table, Fault fault) {
    by_table_.push_back({table, std::move(fault)});
  }
  // `meddle` runs once before the next commit with a line of `table`: between the decisions and
  // their commit, where another process may write.
  void Before(std::string table, std::function<void(store::Store&)> meddle) {
    meddlers_.push_back({std::move(table), std::move(meddle)});
  }
  // Every query of every reader is UNAVAILABLE while it is set.
  void FailReads(bool fail) { reads_fail_ = fail; }
  // Told each batch before its commit.
  void Watch(std::function<void(const std::vector<store::Write>&)> watch) {
    watch_ = std::move(watch);
  }
  int64_t commits() const { return commits_; }

  store::CommitResult Commit(const std::vector<store::Write>& batch) override {
    const int64_t number = commits_++;
    if (watch_) watch_(batch);
    const auto touches = [&](const std::string& table) {
      return std::any_of(batch.begin(), batch.end(),
                         [&](const store::Write& line) { return line.table == table; });
    };
    const auto meddler = std::find_if(meddlers_.begin(), meddlers_.end(),
                                      [&](const auto& one) { return touches(one.first); });
    if (meddler != meddlers_.end()) {
      const auto meddle = std::move(meddler->second);
      meddlers_.erase(meddler);
      meddle(*behind_);
    }
    if (const auto found = by_number_.find(number); found != by_number_.end()) {
      return Spoil(std::move(found->second), batch);
    }
    const auto found = std::find_if(by_table_.begin(), by_table_.end(),
                                    [&](const auto& one) { return touches(one.first); });
    if (found == by_table_.end()) return behind_->Commit(batch);
    Fault fault = std::move(found->second);
    by_table_.erase(found);
    return Spoil(std::move(fault), batch);
  }
  store::Reader& reader() override {
    own_reader_.behind = &behind_->reader();
    return own_reader_;
  }
  bool is_shared() const override { return behind_->is_shared(); }
  std::string_view SkipLocked() const override { return behind_->SkipLocked(); }
  absl::StatusOr<std::unique_ptr<store::Reader>> OpenReader() override {
    auto opened = behind_->OpenReader();
    if (!opened.ok()) return opened.status();
    auto reader = std::make_unique<SpoiltReader>(this);
    reader->behind = opened->get();
    reader->owned = *std::move(opened);
    return reader;
  }

 private:
  struct SpoiltReader : public store::Reader {
    explicit SpoiltReader(const SpoiltStore* its_store) : store(its_store) {}
    absl::Status Query(const store::Statement& statement,
                       absl::FunctionRef<void(const store::RowView&)> on_row) override {
      if (store->reads_fail_) return absl::UnavailableError("the store cannot be read now");
      return behind->Query(statement, on_row);
    }
    const SpoiltStore* const store;
    store::Reader* behind = nullptr;
    std::unique_ptr<store::Reader> owned;
  };
  struct Borrowed : public store::Store {
    explicit Borrowed(store::Store* its_behind) : behind(its_behind) {}
    store::CommitResult Commit(const std::vector<store::Write>& batch) override {
      return behind->Commit(batch);
    }
    store::Reader& reader() override { return behind->reader(); }
    absl::StatusOr<std::unique_ptr<store::Reader>> OpenReader() override {
      return behind->OpenReader();
    }
    bool is_shared() const override { return behind->is_shared(); }
    std::string_view SkipLocked() const override { return behind->SkipLocked(); }
    store::Store* const behind;
  };
  store::CommitResult Spoil(Fault fault, const std::vector<store::Write>& batch) {
    if (batch.empty()) return behind_->Commit(batch);
    testing::FaultyStore faulty(std::make_unique<Borrowed>(behind_), batch.front().table);
    faulty.Next(std::move(fault));
    return faulty.Commit(batch);
  }

  store::Store* behind_ = nullptr;
  SpoiltReader own_reader_{this};
  std::map<int64_t, Fault> by_number_;
  std::vector<std::pair<std::string, Fault>> by_table_;
  std::vector<std::pair<std::string, std::function<void(store::Store&)>>> meddlers_;
  std::function<void(const std::vector<store::Write>&)> watch_;
  bool reads_fail_ = false;
  int64_t commits_ = 0;
};

// The ground's bus, with faults at appending, at asking for the end, and at delivery.
class SpoiltBus : public bus::Bus {
 public:
  enum class Append {
    kTaken,       // as it should be
    kRefused,     // UNAVAILABLE, nothing appended
    kAnswerLost,  // appended, and answered UNAVAILABLE
    kSilent,      // appended, and never answered: for kills between the append and its answer
  };
  struct Question {
    int partition;
    absl::Time at;
  };

  SpoiltBus(const time::Clock* clock, executor::Executor* executor)
      : clock_(clock), executor_(executor) {}
  void StandOn(bus::Bus* behind) { behind_ = behind; }

  void SetAppend(Append append) { append_ = append; }
  // EndOffset of every partition answers UNAVAILABLE.
  void FailEndOffset(bool fail) { end_offset_fails_ = fail; }
  // Deliveries of the partition wait until it is let go: a slow one.
  void Hold(int partition) { held_.insert(partition); }
  void LetGo(int partition) {
    held_.erase(partition);
    for (const auto& deliver : std::exchange(waiting_[partition], {})) deliver();
  }
  // What was asked and appended so far.
  const std::vector<Question>& questions() const { return questions_; }
  const std::vector<std::vector<std::string>>& appends() const { return appends_; }
  const std::vector<absl::Time>& append_instants() const { return append_instants_; }
  std::optional<int64_t> Reported(int partition) const {
    const auto found = reported_.find(partition);
    if (found == reported_.end()) return std::nullopt;
    return found->second;
  }

  int partitions() const override { return behind_->partitions(); }
  void Append(std::vector<bus::Event> events,
              absl::AnyInvocable<void(absl::Status)> done) override {
    std::vector<std::string>& ids = appends_.emplace_back();
    for (const bus::Event& event : events) ids.push_back(event.id);
    append_instants_.push_back(clock_->Now());
    const auto refuse = [this](absl::AnyInvocable<void(absl::Status)> to) {
      executor_->Post(
          [to = std::move(to)]() mutable { to(absl::UnavailableError("the bus is down")); });
    };
    switch (append_) {
      case Append::kTaken:
        behind_->Append(std::move(events), std::move(done));
        return;
      case Append::kRefused:
        refuse(std::move(done));
        return;
      case Append::kAnswerLost:
        behind_->Append(std::move(events),
                        [refuse, done = std::move(done)](const absl::Status&) mutable {
                          refuse(std::move(done));
                        });
        return;
      case Append::kSilent:
        behind_->Append(std::move(events), [](const absl::Status&) {});
        return;
    }
  }
  void EndOffset(int partition, absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done) override {
    questions_.push_back({partition, clock_->Now()});
    if (end_offset_fails_) {
      executor_->Post([done = std::move(done)]() mutable {
        done(absl::UnavailableError("the bus cannot be asked now"));
      });
      return;
    }
    behind_->EndOffset(partition, std::move(done));
  }
  absl::StatusOr<std::unique_ptr<bus::Consumer>> Join(std::string group,
                                                      bus::Listener* listener) override {
    auto member = std::make_unique<Member>(this, listener);
    auto joined = behind_->Join(std::move(group), member.get());
    if (!joined.ok()) return joined.status();
    member->behind = *std::move(joined);
    return member;
  }

 private:
  // Stands between the bus and the listener, and between the consumer and the bus.
  struct Member : public bus::Consumer, public bus::Listener {
    Member(SpoiltBus* its_bus, bus::Listener* its_listener)
        : bus(its_bus), listener(its_listener), alive(std::make_shared<bool>(true)) {}
    ~Member() override {
      *alive = false;
      behind.reset();
    }
    void Assigned(std::vector<int> partitions) override {
      listener->Assigned(std::move(partitions));
    }
    void Revoked(std::vector<int> partitions) override { listener->Revoked(std::move(partitions)); }
    void Records(int partition, int64_t generation, std::vector<bus::RecordPtr> records) override {
      if (!bus->held_.contains(partition)) {
        listener->Records(partition, generation, std::move(records));
        return;
      }
      bus->waiting_[partition].push_back(
          [is_alive = alive, this, partition, generation, records = std::move(records)] {
            if (*is_alive) listener->Records(partition, generation, records);
          });
    }
    void Stopped(int partition, absl::Status why) override {
      listener->Stopped(partition, std::move(why));
    }
    void Seek(int partition, int64_t offset, int64_t generation) override {
      behind->Seek(partition, offset, generation);
    }
    void More(int partition, int max_records) override { behind->More(partition, max_records); }
    void ReportPosition(int partition, int64_t next_offset) override {
      bus->reported_[partition] = next_offset;
      behind->ReportPosition(partition, next_offset);
    }
    SpoiltBus* const bus;
    bus::Listener* const listener;
    const std::shared_ptr<bool> alive;
    std::unique_ptr<bus::Consumer> behind;
  };

  const time::Clock* const clock_;
  executor::Executor* const executor_;
  bus::Bus* behind_ = nullptr;
  enum Append append_ = Append::kTaken;
  bool end_offset_fails_ = false;
  std::set<int> held_;
  std::map<int, std::vector<std::function<void()>>> waiting_;
  std::vector<Question> questions_;
  std::vector<std::vector<std::string>> appends_;
  std::vector<absl::Time> append_instants_;
  std::map<int, int64_t> reported_;
};

struct RigOptions {
  // The service; made anew at each start. Its schema is the ledger's.
  std::function<std::unique_ptr<corridor::ServiceDefinition>()> make = [] {
    return testing::MakeLedger();
  };
  runtime::RuntimeOptions runtime;
  // Steps of different executors in a drawn order.
  std::optional<uint64_t> shuffle = std::nullopt;
  // Whether SetClock will be called.
  bool settable_clock = false;
  bool start = true;
};

// One thread. What a test asks for happens at once; time moves only by Advance.
class Rig {
 public:
  explicit Rig(const Engine& engine, RigOptions options = {})
      : options_(std::move(options)),
        scheduler_({.start = absl::FromCivil(absl::CivilSecond(2026, 11, 23, 14, 0, 0),
                                             absl::UTCTimeZone()),
                    .shuffle_seed = options_.shuffle}),
        bus_executor_(NewExecutor("bus")),
        lane_executor_(NewExecutor("lane")),
        background_(NewExecutor("background")),
        reader_executor_(NewExecutor("reader")),
        ground_(engine.make(&clock_, bus_executor_.get())),
        bus_(&clock_, bus_executor_.get()) {
    // Nothing wakes up by itself, so that a test can tell whether the mechanism does.
    options_.runtime.sample_every = absl::ZeroDuration();
    options_.runtime.prune_every = absl::Hours(24 * 3650);
    store_.StandOn(&ground_->store());
    bus_.StandOn(&ground_->bus());
    if (options_.start) Start();
  }
  ~Rig() { Kill(); }

  absl::Time Now() const { return clock_.Now(); }
  void Advance(absl::Duration duration) { Must(scheduler_.RunFor(duration)); }
  void AdvanceTo(absl::Time instant) { Advance(instant - Now()); }
  void Settle() { Advance(absl::ZeroDuration()); }
  void SetClock(absl::Duration by) {
    clock_.Set(by);
    for (SettableExecutor* executor : settable_) executor->ClockWasSet();
    Settle();
  }

  // Ends the service without a drain, between two steps, as kill -9 does; what was committed and
  // what the bus has stays.
  void Kill() { runtime_.reset(); }
  void Start() {
    auto made = runtime::ServiceRuntime::Create(options_.make(), Ports(), options_.runtime);
    Must(made.status());
    runtime_ = *std::move(made);
    Must(runtime_->Start());
  }
  void Restart() {
    Kill();
    ground_->Reopen();
    store_.StandOn(&ground_->store());
    Start();
  }

  // Puts a call and lets nothing happen.
  template <typename Reply, typename Request>
  void Put(const std::string& method, const Request& request,
           std::vector<absl::StatusOr<Reply>>* replies,
           absl::Time deadline = absl::InfiniteFuture(), const std::string& caller = "tester") {
    corridor::CallContext context;
    context.caller = caller;
    context.deadline = deadline;
    runtime_->Call(context, corridor::FindMethod(absl::StrCat(kLedger, method)),
                   std::make_shared<const Request>(request),
                   [replies](const absl::StatusOr<corridor::MessagePtr>& reply) {
                     if (reply.ok()) {
                       replies->push_back(static_cast<const Reply&>(**reply));
                     } else {
                       replies->push_back(reply.status());
                     }
                   });
  }
  // Calls, and lets it be answered without moving time.
  template <typename Reply, typename Request>
  absl::StatusOr<Reply> Call(const std::string& method, const Request& request) {
    std::vector<absl::StatusOr<Reply>> replies;
    Put<Reply>(method, request, &replies);
    Settle();
    if (replies.size() != 1) return absl::InternalError("not answered");
    return replies.front();
  }
  absl::StatusOr<testing::AddResponse> Add(const std::string& request_id, const std::string& box,
                                           int64_t amount = 1) {
    testing::AddRequest request;
    request.set_request_id(request_id);
    request.set_box_id(box);
    request.set_amount(amount);
    return Call<testing::AddResponse>("Add", request);
  }
  // The stored box; empty if there is none.
  testing::Box Get(const std::string& box) {
    testing::GetRequest request;
    request.set_box_id(box);
    const auto reply = Call<testing::GetResponse>("Get", request);
    return reply.ok() ? reply->box() : testing::Box();
  }

  // An event of another service, with the next sequence of its stream.
  bus::Event Event(const std::string& key, const google::protobuf::Message& body,
                   std::optional<std::string> subject = std::nullopt) {
    bus::Event event;
    event.id = id::Derive("ev", {"rig", absl::StrCat(made_++)});
    event.source = "elsewhere";
    event.type = body.GetDescriptor()->full_name();
    event.subject = subject.value_or(key);
    event.key = key;
    event.time = Now();
    event.sequence = ++sequences_[absl::StrCat(event.subject, "|", key)];
    event.cause = "rig";
    body.SerializeToString(&event.body);
    return event;
  }
  bus::Event Added(const std::string& key, int64_t amount = 1, bool poison = false) {
    testing::Added added;
    added.set_box_id(key);
    added.set_amount(amount);
    added.set_poison(poison);
    return Event(key, added);
  }
  // An event of a type that the service does not use.
  bus::Event Unused(const std::string& key) { return Event(key, testing::TakeFullestRequest()); }
  // Puts events on the ground's bus, past its faults, and lets nothing else happen.
  void Append(std::vector<bus::Event> events) {
    ground_->bus().Append(std::move(events), [](const absl::Status& status) { Must(status); });
  }
  void Deliver(std::vector<bus::Event> events) {
    Append(std::move(events));
    Settle();
  }

  int PartitionOf(const std::string& key) { return bus::PartitionOf(key, bus_.partitions()); }
  // The `nth` key of `partition`.
  std::string KeyIn(int partition, int nth = 0) {
    for (int i = 0;; ++i) {
      std::string key = absl::StrCat("key-", i);
      if (PartitionOf(key) == partition && nth-- == 0) return key;
    }
  }

  // All that stands in a partition of the log.
  std::vector<bus::RecordPtr> Log(int partition) {
    std::vector<bus::RecordPtr> all;
    const bus::Bounds bounds = ground_->log().BoundsOf(partition);
    for (int64_t offset = bounds.first; offset < bounds.end;) {
      auto records = ground_->log().ReadRange(partition, offset, 1000);
      Must(records.status());
      if (records->empty()) break;
      offset = records->back()->offset + 1;
      all.insert(all.end(), records->begin(), records->end());
    }
    return all;
  }
  // What the service published, repetitions and all, each partition's in its order.
  std::vector<bus::Event> PublishedRaw() {
    std::vector<bus::Event> events;
    for (int partition = 0; partition < bus_.partitions(); ++partition) {
      for (const bus::RecordPtr& record : Log(partition)) {
        if (record->event.source == "ledger") events.push_back(record->event);
      }
    }
    return events;
  }
  // The same, each once, in the order of their commits.
  std::vector<bus::Event> Published() {
    std::map<int64_t, bus::Event> by_sequence;
    for (bus::Event& event : PublishedRaw()) by_sequence.emplace(event.sequence, std::move(event));
    std::vector<bus::Event> events;
    for (auto& [sequence, event] : by_sequence) events.push_back(std::move(event));
    return events;
  }

  // SELECT with one row and column.
  int64_t Number(const std::string& sql) {
    int64_t number = -1;
    Must(ground_->store().reader().Query({sql, {}},
                                         [&](const store::RowView& row) { number = row.Int(0); }));
    return number;
  }
  int64_t Count(const std::string& table) {
    return Number(absl::StrCat("SELECT COUNT(*) FROM ", table));
  }
  // A foreign write, past all faults.
  static void Write(store::Store& store, const std::string& table, const std::string& sql) {
    const store::CommitResult result =
        store.Commit({{table, "", {sql, {}}, store::Expect::kAnyRows}});
    ASSERT_EQ(result.kind, store::CommitResult::Kind::kCommitted) << result.status;
  }
  void Write(const std::string& table, const std::string& sql) {
    Write(ground_->store(), table, sql);
  }

  executor::DeterministicScheduler& scheduler() { return scheduler_; }
  executor::Executor& background() { return *background_; }
  executor::Executor& lane_executor() { return *lane_executor_; }
  const time::Clock* clock() const { return &clock_; }
  Ground& ground() { return *ground_; }
  SpoiltStore& store() { return store_; }
  SpoiltBus& bus() { return bus_; }
  testing::ScriptedPeer& peer() { return peer_; }
  id::Entropy& entropy() { return entropy_; }
  runtime::ServiceRuntime& runtime() { return *runtime_; }

  // A rig that cannot do what the test says would only confuse: it ends the program, loudly.
  static void Must(const absl::Status& status) {
    if (status.ok()) return;
    ADD_FAILURE() << "rig: " << status;
    std::abort();
  }

 private:
  std::unique_ptr<executor::Executor> NewExecutor(const std::string& name) {
    std::unique_ptr<executor::Executor> executor = scheduler_.NewExecutor(name);
    if (!options_.settable_clock) return executor;
    auto settable = std::make_unique<SettableExecutor>(std::move(executor), &clock_);
    settable_.push_back(settable.get());
    return settable;
  }
  runtime::ServiceRuntime::Ports Ports() {
    runtime::ServiceRuntime::Ports ports;
    ports.clock = &clock_;
    ports.lanes = {lane_executor_.get()};
    ports.background = background_.get();
    ports.readers = {reader_executor_.get()};
    ports.stores = {&store_};
    ports.bus = &bus_;
    ports.peer = &peer_;
    ports.entropy = &entropy_;
    return ports;
  }

  RigOptions options_;
  executor::DeterministicScheduler scheduler_;
  SettableClock clock_{scheduler_.clock()};
  std::vector<SettableExecutor*> settable_;
  const std::unique_ptr<executor::Executor> bus_executor_, lane_executor_, background_,
      reader_executor_;
  id::SeededEntropy entropy_{1};
  testing::ScriptedPeer peer_;
  const std::unique_ptr<Ground> ground_;
  SpoiltStore store_;
  SpoiltBus bus_;
  std::unique_ptr<runtime::ServiceRuntime> runtime_;
  std::map<std::string, int64_t> sequences_;
  int64_t made_ = 0;
};

inline testing::AddRequest AddOf(const std::string& request_id, const std::string& box,
                                 int64_t amount = 1) {
  testing::AddRequest request;
  request.set_request_id(request_id);
  request.set_box_id(box);
  request.set_amount(amount);
  return request;
}

// The ways in which a commit may go wrong without anybody else's doing.
inline std::vector<testing::Fault> CommitFaults() {
  using Kind = testing::Fault::Kind;
  return {{Kind::kUnknownApplied, "", "", {}},
          {Kind::kUnknownLost, "", "", {}},
          {Kind::kConflict, "", "", {}},
          {Kind::kFailed, "", "", absl::ResourceExhaustedError("the disk is full")}};
}

}  // namespace tandem::contract

#endif  // TANDEM_TESTS_CONTRACT_RIG_H_
