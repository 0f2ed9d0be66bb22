// Several processes of one service on one database and one bus, in one thread under simulated time:
// what the relay's lease, the timers' claims and the partitions' epochs promise. PostgreSQL and
// Kafka add what only they can do to it (tests/integration).
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/bus/memory_bus.h"
#include "common/corridor/endpoint.h"
#include "common/executor/deterministic.h"
#include "common/id/seeded_entropy.h"
#include "common/lane/migrations.h"
#include "common/runtime/service_runtime.h"
#include "common/store/sqlite.h"
#include "common/testing/ledger.h"
#include "common/time/micros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::runtime {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

// A bus that takes no events while it is told so.
class MoodyBus : public bus::Bus {
 public:
  MoodyBus(executor::Executor* executor, bus::Bus* behind) : executor_(executor), behind_(behind) {}
  int partitions() const override { return behind_->partitions(); }
  void Append(std::vector<bus::Event> events,
              absl::AnyInvocable<void(absl::Status)> done) override {
    if (!refuses) return behind_->Append(std::move(events), std::move(done));
    executor_->Post(
        [done = std::move(done)]() mutable { done(absl::UnavailableError("no broker")); });
  }
  void EndOffset(int partition, absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done) override {
    behind_->EndOffset(partition, std::move(done));
  }
  absl::StatusOr<std::unique_ptr<bus::Consumer>> Join(std::string group,
                                                      bus::Listener* listener) override {
    return behind_->Join(std::move(group), listener);
  }
  bool refuses = false;

 private:
  executor::Executor* const executor_;
  bus::Bus* const behind_;
};

// A store whose boxes cannot be read while it is told so.
class BlindStore : public store::Store {
 public:
  explicit BlindStore(std::unique_ptr<store::Store> behind) : behind_(std::move(behind)) {}
  store::CommitResult Commit(const std::vector<store::Write>& batch) override {
    return behind_->Commit(batch);
  }
  store::Reader& reader() override { return reader_; }
  absl::StatusOr<std::unique_ptr<store::Reader>> OpenReader() override {
    return behind_->OpenReader();
  }
  bool is_shared() const override { return behind_->is_shared(); }
  bool is_blind = false;

 private:
  class BlindReader : public store::Reader {
   public:
    explicit BlindReader(BlindStore* store) : store_(store) {}
    absl::Status Query(const store::Statement& statement,
                       absl::FunctionRef<void(const store::RowView&)> on_row) override {
      if (store_->is_blind && statement.sql.text().find("FROM boxes") != std::string_view::npos) {
        return absl::UnavailableError("not now");
      }
      return store_->behind_->reader().Query(statement, on_row);
    }

   private:
    BlindStore* const store_;
  };

  const std::unique_ptr<store::Store> behind_;
  BlindReader reader_{this};
};

class Replicas {
 public:
  explicit Replicas(int count, std::optional<uint64_t> shuffle = std::nullopt, int lanes = 2)
      : lanes_(lanes),
        scheduler_({.start = absl::FromUnixSeconds(1'795'000'000), .shuffle_seed = shuffle}),
        bus_executor_(scheduler_.NewExecutor("bus")),
        bus_(bus_executor_.get(), {.partitions = 8, .keep_all = true}) {
    store::SqliteOptions options;
    options.path = ":memory:";
    options.schemas = {lane::SqliteSchema(), testing::MakeLedger()->schema()};
    options.is_shared = true;
    options.now = [this] { return time::ToMicros(Now()); };
    auto opened = store::OpenSqlite(options);
    EXPECT_TRUE(opened.ok()) << opened.status();
    store_ = std::make_unique<BlindStore>(*std::move(opened));
    replicas_.resize(static_cast<size_t>(count));
    for (size_t i = 0; i < replicas_.size(); ++i) Start(i);
  }
  ~Replicas() {
    for (size_t i = 0; i < replicas_.size(); ++i) Kill(i);
  }

  absl::Time Now() const { return scheduler_.clock()->Now(); }
  void RunFor(absl::Duration span) {
    const absl::Status status = scheduler_.RunFor(span);
    EXPECT_TRUE(status.ok()) << status;
  }
  // Some steps, and then no more: wherever that is.
  void Steps(int count) {
    for (int i = 0; i < count; ++i) {
      if (!scheduler_.Step()) return;
    }
  }

  void Start(size_t i) {
    Replica& replica = replicas_[i];
    if (replica.runtime != nullptr) return;
    const std::string name = absl::StrCat("replica", i, ".", ++starts_);
    ServiceRuntime::Ports ports;
    for (int lane = 0; lane < lanes_; ++lane) {
      replica.lanes.push_back(scheduler_.NewExecutor(absl::StrCat(name, ".lane", lane)));
      ports.lanes.push_back(replica.lanes.back().get());
      ports.stores.push_back(store_.get());
    }
    replica.background = scheduler_.NewExecutor(name + ".background");
    replica.reader = scheduler_.NewExecutor(name + ".reader");
    ports.clock = scheduler_.clock();
    ports.background = replica.background.get();
    ports.readers = {replica.reader.get()};
    ports.bus = &moody_;
    ports.entropy = &entropy_;
    RuntimeOptions options;
    options.owner = name;
    options.consumer.reclaim_after = absl::Seconds(10);
    options.sample_every = absl::ZeroDuration();
    testing::LedgerOptions ledger;
    ledger.perform = [this](const std::string& box_id) {
      ++performed_[box_id];
      return absl::OkStatus();
    };
    auto runtime = ServiceRuntime::Create(testing::MakeLedger(ledger), ports, options);
    ASSERT_TRUE(runtime.ok()) << runtime.status();
    replica.runtime = *std::move(runtime);
    ASSERT_TRUE(replica.runtime->Start().ok());
  }
  // As kill -9: nothing more of it runs, nothing is given back.
  void Kill(size_t i) {
    Replica& replica = replicas_[i];
    if (replica.runtime == nullptr) return;
    replica.runtime->Halt();
    replica.runtime.reset();
    replica.lanes.clear();
    replica.background.reset();
    replica.reader.reset();
  }
  bool lives(size_t i) const { return replicas_[i].runtime != nullptr; }
  ServiceRuntime& runtime(size_t i) { return *replicas_[i].runtime; }

  // Sends a request; its answer, once there is one, is in `answers`.
  void Send(size_t i, const std::string& method, corridor::MessagePtr request,
            const std::string& request_id) {
    corridor::CallContext context;
    context.caller = "test";
    context.deadline = Now() + absl::Seconds(30);
    replicas_[i].runtime->Call(
        context, corridor::FindMethod("tandem.testing.LedgerService/" + method), std::move(request),
        [this, request_id](absl::StatusOr<corridor::MessagePtr> reply) {
          answers[request_id] = reply.status();
        });
  }
  std::string Add(size_t i, const std::string& box, int64_t amount = 1) {
    auto request = std::make_shared<testing::AddRequest>();
    request->set_request_id(absl::StrCat("r", ++requests_));
    request->set_box_id(box);
    request->set_amount(amount);
    const std::string request_id = request->request_id();
    Send(i, "Add", std::move(request), request_id);
    return request_id;
  }
  std::string AddLater(size_t i, const std::string& box, const std::string& kind, absl::Time due) {
    auto request = std::make_shared<testing::AddLaterRequest>();
    request->set_request_id(absl::StrCat("r", ++requests_));
    request->set_box_id(box);
    request->set_due_us(time::ToMicros(due));
    request->set_kind(kind);
    const std::string request_id = request->request_id();
    Send(i, "AddLater", std::move(request), request_id);
    return request_id;
  }
  // A fact from outside, under the box's key.
  void Deliver(const std::string& box, int64_t sequence, int64_t amount = 1,
               bool is_poison = false) {
    testing::Added added;
    added.set_box_id(box);
    added.set_amount(amount);
    added.set_poison(is_poison);
    bus::Event event;
    event.id = absl::StrCat("out-", box, "-", sequence);
    event.source = "outside";
    event.type = added.GetDescriptor()->full_name();
    event.subject = event.key = box;
    event.time = Now();
    event.sequence = sequence;
    event.cause = "test";
    added.SerializeToString(&event.body);
    bus_.Append({event}, [](const absl::Status&) {});
  }

  void DeliverPoison(const std::string& box, int64_t sequence) { Deliver(box, sequence, 1, true); }

  void SetBlind(bool is_blind) { store_->is_blind = is_blind; }
  void SetBusRefuses(bool refuses) { moody_.refuses = refuses; }
  std::vector<std::string> Unhealthy(size_t i) {
    std::vector<std::string> reasons;
    runtime(i).Sample([&](absl::StatusOr<ServiceSample> sample) { reasons = sample->unhealthy; });
    RunFor(absl::ZeroDuration());
    return reasons;
  }

  testing::Box BoxOf(const std::string& box_id) {
    testing::Box box;
    const absl::Status status = store_->reader().Query(
        {"SELECT body FROM boxes WHERE key = $1", {box_id}}, [&](const store::RowView& row) {
          EXPECT_TRUE(box.ParseFromString(std::string(row.Text(0))));
        });
    EXPECT_TRUE(status.ok()) << status;
    return box;
  }
  void Write(store::Write line) {
    EXPECT_EQ(store_->Commit({std::move(line)}).kind, store::CommitResult::Kind::kCommitted);
  }
  int64_t Number(const std::string& sql) {
    int64_t number = -1;
    const absl::Status status =
        store_->reader().Query({sql, {}}, [&](const store::RowView& row) { number = row.Int(0); });
    EXPECT_TRUE(status.ok()) << status;
    return number;
  }
  // What the ledger published, in the order of the partitions: event ids, with repetitions.
  std::vector<bus::RecordPtr> Published() {
    std::vector<bus::RecordPtr> published;
    for (int partition = 0; partition < bus_.partitions(); ++partition) {
      auto records = bus_.ReadRange(partition, 0, 100'000);
      EXPECT_TRUE(records.ok()) << records.status();
      for (const bus::RecordPtr& record : *records) {
        if (record->event.source == "ledger") published.push_back(record);
      }
    }
    return published;
  }

  std::map<std::string, absl::Status> answers;
  std::map<std::string, int> performed_;

 private:
  struct Replica {
    std::vector<std::unique_ptr<executor::Executor>> lanes;
    std::unique_ptr<executor::Executor> background, reader;
    std::unique_ptr<ServiceRuntime> runtime;
  };

  const int lanes_;
  executor::DeterministicScheduler scheduler_;
  const std::unique_ptr<executor::Executor> bus_executor_;
  bus::MemoryBus bus_;
  MoodyBus moody_{bus_executor_.get(), &bus_};
  std::unique_ptr<BlindStore> store_;
  id::SeededEntropy entropy_{1};
  std::vector<Replica> replicas_;
  int64_t requests_ = 0;
  int64_t starts_ = 0;
};

// A consumer that drops by sequence gets each event once and those of a subject in order.
void ExpectWholeAfterDedupe(const std::vector<bus::RecordPtr>& published, size_t events) {
  std::set<std::string> ids;
  std::map<std::string, int64_t> last;
  for (const bus::RecordPtr& record : published) {
    int64_t& sequence = last[record->event.subject];
    if (record->event.sequence <= sequence) continue;
    sequence = record->event.sequence;
    EXPECT_TRUE(ids.insert(record->event.id).second) << record->event.id;
  }
  EXPECT_EQ(ids.size(), events);
}

TEST(Replicas, PublishEachEventOnceWhileNobodyDies) {
  Replicas replicas(3);
  replicas.RunFor(absl::Seconds(1));
  for (int i = 0; i < 120; ++i) {
    replicas.Add(static_cast<size_t>(i % 3), absl::StrCat("box", i % 10));
    if (i % 7 == 0) replicas.RunFor(absl::Milliseconds(3));
  }
  replicas.RunFor(absl::Seconds(3));
  EXPECT_EQ(replicas.Number("SELECT COUNT(*) FROM outbox"), 0);
  EXPECT_THAT(replicas.Published(), SizeIs(120));
  ExpectWholeAfterDedupe(replicas.Published(), 120);
  for (const auto& [id, status] : replicas.answers) EXPECT_TRUE(status.ok()) << id << status;
}

TEST(Replicas, PublishWhatAKilledLeaderLeftOnceItsLeaseHasEnded) {
  Replicas replicas(2);
  replicas.RunFor(absl::Seconds(1));
  const int64_t epoch = replicas.Number("SELECT epoch FROM leases");
  const bool first_leads = replicas.Number("SELECT owner LIKE 'replica0%' FROM leases") == 1;
  const size_t leader = first_leads ? 0 : 1;
  const size_t other = 1 - leader;
  replicas.Kill(leader);
  for (int i = 0; i < 20; ++i) replicas.Add(other, absl::StrCat("box", i));
  replicas.RunFor(absl::Seconds(1));
  EXPECT_THAT(replicas.Published(), IsEmpty()) << "the lease is the dead one's still";
  replicas.RunFor(absl::Seconds(4));
  ExpectWholeAfterDedupe(replicas.Published(), 20);
  EXPECT_EQ(replicas.Number("SELECT epoch FROM leases"), epoch + 1);
}

// On PostgreSQL a lower id may become visible after a higher one, and the subject's next event with
// it: consumers would take the lower one, published later, for a duplicate.
TEST(Replicas, PublishARowThatBecomesVisibleLateBeforeItsSubjectsNext) {
  Replicas replicas(1);
  replicas.RunFor(absl::Seconds(1));
  for (int i = 0; i < 5; ++i) replicas.Add(0, absl::StrCat("box", i));
  replicas.RunFor(absl::Milliseconds(1500));
  ASSERT_THAT(replicas.Published(), SizeIs(5));
  testing::Added added;
  added.set_box_id("late");
  for (const int64_t id : {2, 1000}) {
    replicas.Write(
        {"outbox",
         "",
         {"INSERT INTO outbox (id, event_id, type, subject, key, time, cause, traceparent, "
          "created_at, body) VALUES ($1, $2, $3, 'late', 'late', 0, 'test', '', 0, $4)",
          {id, absl::StrCat("ev_late", id), added.GetDescriptor()->full_name(),
           store::Blob{added.SerializeAsString()}}}});
  }
  replicas.RunFor(absl::Seconds(2));
  EXPECT_THAT(replicas.Published(), SizeIs(7));
  ExpectWholeAfterDedupe(replicas.Published(), 7);
  EXPECT_EQ(replicas.Number("SELECT COUNT(*) FROM outbox"), 0);
}

TEST(Replicas, AreReadyAgainWhenAnotherHasTheTroubleWithTheBus) {
  Replicas replicas(1);
  replicas.RunFor(absl::Seconds(1));
  replicas.SetBusRefuses(true);
  replicas.Add(0, "box");
  replicas.RunFor(absl::Seconds(1));
  EXPECT_THAT(replicas.Unhealthy(0), SizeIs(1));
  replicas.Write(
      {"leases",
       "relay",
       {"UPDATE leases SET owner = 'another', held_until = database_now() + 60000000", {}},
       store::Expect::kAnyRows});
  replicas.RunFor(absl::Seconds(10));
  EXPECT_THAT(replicas.Unhealthy(0), IsEmpty());
}

TEST(Replicas, HandTheLeaseOverAtOnceWhenTheLeaderDrains) {
  Replicas replicas(2);
  replicas.RunFor(absl::Seconds(1));
  const size_t leader = replicas.Number("SELECT owner LIKE 'replica0%' FROM leases") == 1 ? 0u : 1u;
  bool drained = false;
  replicas.runtime(leader).Drain([&] { drained = true; });
  replicas.RunFor(absl::Milliseconds(100));
  EXPECT_TRUE(drained);
  EXPECT_EQ(replicas.Number("SELECT held_until FROM leases"), 0);
}

TEST(Replicas, FireEachTimerOnce) {
  Replicas replicas(3);
  replicas.RunFor(absl::Seconds(1));
  const absl::Time due = replicas.Now() + absl::Seconds(5);
  for (int i = 0; i < 60; ++i) {
    const char* kind = i % 3 == 0 ? "plain" : i % 3 == 1 ? "bound" : "effect";
    replicas.AddLater(static_cast<size_t>(i % 3), absl::StrCat("box", i), kind, due);
  }
  replicas.RunFor(absl::Seconds(4));
  EXPECT_EQ(replicas.Number("SELECT COUNT(*) FROM timers"), 60);
  replicas.RunFor(absl::Seconds(8));
  EXPECT_EQ(replicas.Number("SELECT COUNT(*) FROM timers"), 0);
  for (int i = 0; i < 60; ++i) {
    const std::string box = absl::StrCat("box", i);
    EXPECT_EQ(replicas.BoxOf(box).timers_fired() + replicas.BoxOf(box).effects_done(), 1) << box;
    EXPECT_EQ(replicas.performed_[box], i % 3 == 2 ? 1 : 0) << box;
  }
}

TEST(Replicas, ClaimATimerOnceWhileItsFiringIsUnderWay) {
  constexpr int kTimers = 3000;  // several pages of each process
  Replicas replicas(2);
  replicas.RunFor(absl::Seconds(1));
  const absl::Time due = replicas.Now() + absl::Seconds(5);
  for (int i = 0; i < kTimers; ++i) {
    replicas.AddLater(static_cast<size_t>(i % 2), absl::StrCat("box", i),
                      i % 2 == 0 ? "plain" : "bound", due);
    if (i % 100 == 99) replicas.RunFor(absl::Milliseconds(10));
  }
  replicas.Write(
      {"", "", {"CREATE TABLE claims (count INTEGER NOT NULL)", {}}, store::Expect::kAnyRows});
  replicas.Write({"", "", {"INSERT INTO claims (count) VALUES (0)", {}}, store::Expect::kAnyRows});
  replicas.Write(
      {"",
       "",
       {"CREATE TRIGGER claimed AFTER UPDATE OF claimed_until ON timers BEGIN UPDATE claims SET "
        "count = count + 1; END",
        {}},
       store::Expect::kAnyRows});
  ASSERT_EQ(replicas.Number("SELECT COUNT(*) FROM timers"), kTimers);
  replicas.RunFor(absl::Seconds(20));
  EXPECT_EQ(replicas.Number("SELECT COUNT(*) FROM timers"), 0);
  EXPECT_EQ(replicas.Number("SELECT count FROM claims"), kTimers);
}

TEST(Replicas, ClaimNoTimerThatIsHeldAndTheNextOfItsKeyInstead) {
  Replicas replicas(2);
  replicas.RunFor(absl::Seconds(1));
  replicas.AddLater(0, "box", "plain", replicas.Now() + absl::Seconds(1));
  replicas.AddLater(0, "box", "bound", replicas.Now() + absl::Seconds(2));
  replicas.RunFor(absl::Milliseconds(500));
  replicas.Write({"timers",
                  "plain:box",
                  {"UPDATE timers SET subject = 's' WHERE id = 'plain:box'", {}},
                  store::Expect::kOneRow});
  replicas.Write({"parked_subjects",
                  "s",
                  {"INSERT INTO parked_subjects (subject, version) VALUES ('s', 1)", {}},
                  store::Expect::kOneRow});
  replicas.RunFor(absl::Seconds(10));
  EXPECT_EQ(replicas.Number("SELECT COUNT(*) FROM timers WHERE id = 'bound:box'"), 0);
  EXPECT_EQ(replicas.Number("SELECT COUNT(*) FROM timers WHERE claim = ''"), 1) << "held";
  replicas.Write({"parked_subjects",
                  "s",
                  {"DELETE FROM parked_subjects WHERE subject = 's'", {}},
                  store::Expect::kOneRow});
  replicas.RunFor(absl::Seconds(3));
  EXPECT_EQ(replicas.BoxOf("box").timers_fired(), 2);
}

TEST(Replicas, PassADeadOnesClaimsOnWhenTheyHaveEnded) {
  Replicas replicas(2);
  replicas.RunFor(absl::Seconds(1));
  replicas.AddLater(0, "box", "plain", replicas.Now() + absl::Seconds(1));
  replicas.RunFor(absl::Milliseconds(900));
  // Step by step until it is claimed.
  while (replicas.Number("SELECT COUNT(*) FROM timers WHERE claim = ''") == 1) replicas.Steps(1);
  ASSERT_EQ(replicas.Number("SELECT COUNT(*) FROM timers"), 1);
  const bool first = replicas.Number("SELECT claim LIKE 'replica0%' FROM timers") == 1;
  replicas.Kill(first ? 0 : 1);
  replicas.RunFor(absl::Seconds(4));
  EXPECT_EQ(replicas.BoxOf("box").timers_fired(), 0) << "the claim has not ended";
  replicas.RunFor(absl::Seconds(3));
  EXPECT_EQ(replicas.BoxOf("box").timers_fired(), 1);
}

TEST(Replicas, FireNothingThatAnotherHasClaimedMeanwhile) {
  // Wherever the firing is on its way into the lane.
  for (const int steps : {0, 1, 2, 3, 4}) {
    SCOPED_TRACE(steps);
    Replicas replicas(1);
    replicas.RunFor(absl::Seconds(1));
    replicas.AddLater(0, "box", "plain", replicas.Now() + absl::Seconds(1));
    replicas.RunFor(absl::Milliseconds(900));
    while (replicas.Number("SELECT COUNT(*) FROM timers WHERE claim = ''") == 1) replicas.Steps(1);
    replicas.Steps(steps);
    const int64_t left = replicas.Number("SELECT COUNT(*) FROM timers");
    replicas.Write(
        {"timers",
         "plain:box",
         {"UPDATE timers SET claim = 'another', claimed_until = database_now() + 5000000 "
          "WHERE id = 'plain:box'",
          {}},
         store::Expect::kAnyRows});
    replicas.RunFor(absl::Seconds(4));
    EXPECT_EQ(replicas.BoxOf("box").timers_fired(), 1 - left);
    replicas.RunFor(absl::Seconds(3));
    EXPECT_EQ(replicas.BoxOf("box").timers_fired(), 1);
  }
}

TEST(Replicas, RefuseNothingByWhatTheyRemember) {
  Replicas replicas(2);
  replicas.RunFor(absl::Seconds(1));
  replicas.Add(0, "box", 1);
  replicas.RunFor(absl::Milliseconds(10));
  replicas.Add(1, "box", 10);
  replicas.RunFor(absl::Milliseconds(10));
  const std::string taken = replicas.Add(0, "box", -5);
  replicas.RunFor(absl::Milliseconds(10));
  EXPECT_TRUE(replicas.answers[taken].ok()) << replicas.answers[taken];
  EXPECT_EQ(replicas.BoxOf("box").balance(), 6);
  const std::string refused = replicas.Add(1, "box", -7);
  replicas.RunFor(absl::Milliseconds(10));
  EXPECT_EQ(replicas.answers[refused].code(), absl::StatusCode::kFailedPrecondition);
}

// A partition whose event can neither be applied nor set aside stops: not because of an old memory.
TEST(Replicas, SetEventsAsideByWhatIsThere) {
  for (const size_t other : {0u, 1u}) {  // one of the two has the partition and remembers
    Replicas replicas(2, std::nullopt, /*lanes=*/1);
    replicas.RunFor(absl::Seconds(1));
    replicas.Deliver("box", 1, -1);
    replicas.RunFor(absl::Seconds(1));
    ASSERT_EQ(replicas.BoxOf("box").balance(), -1);
    replicas.Add(other, "box", 5);
    replicas.RunFor(absl::Milliseconds(10));
    replicas.DeliverPoison("box", 2);
    replicas.RunFor(absl::Seconds(5));
    EXPECT_TRUE(replicas.BoxOf("box").is_parked());
    EXPECT_EQ(replicas.Number("SELECT COUNT(*) FROM dead_letters WHERE reason <> 'behind'"), 1);
  }
}

// What is remembered may be stale, and then neither a refusal nor a dead letter may come of it.
TEST(Replicas, RefuseNothingWhileTheyCannotLook) {
  Replicas replicas(2);
  replicas.RunFor(absl::Seconds(1));
  replicas.Add(0, "box", 1);
  replicas.RunFor(absl::Milliseconds(10));
  replicas.Add(1, "box", 10);
  replicas.RunFor(absl::Milliseconds(10));
  replicas.SetBlind(true);
  const std::string unsure = replicas.Add(0, "box", -5);
  replicas.RunFor(absl::Milliseconds(10));
  EXPECT_EQ(replicas.answers[unsure].code(), absl::StatusCode::kUnavailable)
      << replicas.answers[unsure];
  replicas.SetBlind(false);
  const std::string taken = replicas.Add(0, "box", -5);
  replicas.RunFor(absl::Milliseconds(10));
  EXPECT_TRUE(replicas.answers[taken].ok()) << replicas.answers[taken];
}

TEST(Replicas, AnswerARequestOnceWhoeverIsAsked) {
  Replicas replicas(2);
  replicas.RunFor(absl::Seconds(1));
  for (const size_t replica : {0u, 1u, 0u}) {
    auto request = std::make_shared<testing::AddRequest>();
    request->set_request_id("same");
    request->set_box_id("box");
    request->set_amount(1);
    replicas.Send(replica, "Add", std::move(request), absl::StrCat("same", replica));
  }
  replicas.RunFor(absl::Milliseconds(100));
  EXPECT_TRUE(replicas.answers["same0"].ok());
  EXPECT_TRUE(replicas.answers["same1"].ok());
  EXPECT_EQ(replicas.BoxOf("box").balance(), 1);
}

// Whatever order the steps take and whoever dies when: what was acknowledged is there, each event
// and timer counts once.
TEST(Replicas, KeepEverythingOverKillsAndRestarts) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    Replicas replicas(3, seed);
    std::map<std::string, std::string> added;  // request to box
    std::map<std::string, int64_t> delivered, timers;
    std::map<std::string, std::string> armed;  // request to box
    for (int round = 0; round < 60; ++round) {
      const size_t replica = random() % 3;
      const std::string box = absl::StrCat("box", random() % 12);
      switch (random() % 6) {
        case 0:
          replicas.Kill(replica);
          break;
        case 1:
          replicas.Start(replica);
          break;
        case 2:
          replicas.Deliver(box, ++delivered[box]);
          break;
        case 3:
          if (!replicas.lives(replica)) break;
          armed[replicas.AddLater(
              replica, absl::StrCat("timer", round), random() % 2 == 0 ? "plain" : "bound",
              replicas.Now() + absl::Milliseconds(random() % 3000))] = absl::StrCat("timer", round);
          break;
        default:
          if (replicas.lives(replica)) added[replicas.Add(replica, box)] = box;
      }
      if (random() % 3 == 0) {
        replicas.RunFor(absl::Milliseconds(random() % 900));
      } else {
        replicas.Steps(static_cast<int>(random() % 60));
      }
    }
    for (size_t i = 0; i < 3; ++i) replicas.Start(i);
    replicas.RunFor(absl::Seconds(60));

    EXPECT_EQ(replicas.Number("SELECT COUNT(*) FROM outbox"), 0);
    EXPECT_EQ(replicas.Number("SELECT COUNT(*) FROM timers"), 0);
    size_t events = 0;
    for (int box = 0; box < 12; ++box) {
      const std::string id = absl::StrCat("box", box);
      int64_t acknowledged = delivered[id], asked = delivered[id];
      for (const auto& [request, its_box] : added) {
        if (its_box != id) continue;
        ++asked;
        const auto answer = replicas.answers.find(request);
        if (answer != replicas.answers.end() && answer->second.ok()) ++acknowledged;
      }
      const int64_t balance = replicas.BoxOf(id).balance();
      EXPECT_GE(balance, acknowledged) << id;
      EXPECT_LE(balance, asked) << id;
      events += static_cast<size_t>(balance);
    }
    for (const auto& [request, box] : armed) {
      const auto answer = replicas.answers.find(request);
      const bool acknowledged = answer != replicas.answers.end() && answer->second.ok();
      const int64_t fired = replicas.BoxOf(box).timers_fired();
      EXPECT_LE(fired, 1) << box;
      EXPECT_GE(fired, acknowledged ? 1 : 0) << box;
      events += static_cast<size_t>(fired);
    }
    ExpectWholeAfterDedupe(replicas.Published(), events);
  }
}

}  // namespace
}  // namespace tandem::runtime
