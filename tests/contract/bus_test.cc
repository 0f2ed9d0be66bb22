#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/bus/local_log.h"
#include "common/bus/memory_bus.h"
#include "common/bus/migrations.h"
#include "common/executor/deterministic.h"
#include "common/executor/threaded.h"
#include "common/store/sqlite.h"
#include "common/time/system_clock.h"
#include "tests/contract/bus_contract.h"

namespace tandem::bus {
namespace {

constexpr int kPartitions = 8;

// An executor with the clock that it goes by.
class Stage {
 public:
  virtual ~Stage() = default;
  virtual executor::Executor& executor() = 0;
  virtual const time::Clock& clock() = 0;
  virtual bool RunUntil(const std::function<bool()>& reached) = 0;
  virtual void Settle() = 0;
};

class DeterministicStage : public Stage {
 public:
  explicit DeterministicStage(std::optional<uint64_t> seed)
      : scheduler_({.start = absl::FromUnixSeconds(1'795'000'000), .shuffle_seed = seed}) {}
  executor::Executor& executor() override { return *executor_; }
  const time::Clock& clock() override { return *scheduler_.clock(); }
  bool RunUntil(const std::function<bool()>& reached) override {
    const absl::Time deadline = scheduler_.clock()->Now() + absl::Seconds(10);
    while (!reached()) {
      if (scheduler_.NextInstant() > deadline || !scheduler_.Step()) return false;
    }
    return true;
  }
  void Settle() override { EXPECT_EQ(scheduler_.RunUntilIdle(), absl::OkStatus()); }

 private:
  executor::DeterministicScheduler scheduler_;
  std::unique_ptr<executor::Executor> executor_ = scheduler_.NewExecutor("bus");
};

class ThreadedStage : public Stage {
 public:
  executor::Executor& executor() override { return executor_; }
  const time::Clock& clock() override { return clock_; }
  bool RunUntil(const std::function<bool()>& reached) override {
    const absl::Time deadline = clock_.Now() + absl::Seconds(10);
    while (!reached()) {
      if (clock_.Now() > deadline || !LetEverythingWaitingRun()) return false;
    }
    return true;
  }
  void Settle() override {
    // What was asked for may take several steps, each posted by the one before.
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(LetEverythingWaitingRun());
  }

 private:
  bool LetEverythingWaitingRun() {
    const auto reached = std::make_shared<absl::Notification>();
    executor_.Post([reached] { reached->Notify(); });
    return reached->WaitForNotificationWithTimeout(absl::Seconds(10));
  }

  time::SystemClock clock_;
  executor::ThreadedExecutor executor_{"bus", &clock_};
};

using MakeStage = std::function<std::unique_ptr<Stage>()>;

class MemoryWorld : public BusWorld {
 public:
  explicit MemoryWorld(const MakeStage& make_stage)
      : stage_(make_stage()),
        bus_(&stage_->executor(), {.partitions = kPartitions, .keep_all = true}) {}
  Bus& bus() override { return bus_; }
  bool RunUntil(std::function<bool()> reached) override { return stage_->RunUntil(reached); }
  void Settle() override { stage_->Settle(); }
  void SkipOffset(int partition) override { bus_.SkipOffset(partition); }

 private:
  const std::unique_ptr<Stage> stage_;
  MemoryBus bus_;
};

// A log in a file, or in memory, which ends with the world.
class LocalLogWorld : public BusWorld {
 public:
  LocalLogWorld(MakeStage make_stage, bool in_file, LocalLogOptions options)
      : make_stage_(std::move(make_stage)), options_(options) {
    if (in_file) {
      folder_ = absl::StrCat(testing::TempDir(), "bus_contract_XXXXXX");
      EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    }
    Open();
  }
  ~LocalLogWorld() override {
    Close();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  Bus& bus() override { return *log_; }
  bool RunUntil(std::function<bool()> reached) override { return stage_->RunUntil(reached); }
  void Settle() override { stage_->Settle(); }
  void Restart() override {
    Close();
    Open();
  }
  pid_t Fork(const std::function<void()>& go) override {
    Close();  // with its thread: a child of a process with threads could not start its own
    const pid_t child = fork();
    if (child != 0) return child;
    Open();
    go();
    _exit(3);
  }

 private:
  void Open() {
    store::SqliteOptions file;
    file.path = folder_.empty() ? ":memory:" : absl::StrCat(folder_, "/log.db");
    file.schemas = {SqliteSchema()};
    auto store = store::OpenSqlite(std::move(file));
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    stage_ = make_stage_();
    auto log = LocalLog::Open(store_.get(), &stage_->clock(), &stage_->executor(), options_);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
  }
  void Close() {
    log_.reset();
    stage_.reset();
    store_.reset();
  }

  const MakeStage make_stage_;
  const LocalLogOptions options_;
  std::string folder_;  // empty = in memory
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Stage> stage_;
  std::unique_ptr<LocalLog> log_;
};

const MakeStage kDeterministic = [] { return std::make_unique<DeterministicStage>(std::nullopt); };
const MakeStage kShuffled = [] { return std::make_unique<DeterministicStage>(11); };
const MakeStage kThreaded = [] { return std::make_unique<ThreadedStage>(); };

LocalLogOptions LogOptions(size_t tail_bytes) {
  LocalLogOptions options;
  options.partitions = kPartitions;
  options.tail_bytes = tail_bytes;
  return options;
}

BusEngine Memory(const std::string& name, const MakeStage& stage) {
  return {name, [stage] { return std::make_unique<MemoryWorld>(stage); }};
}

BusEngine Log(const std::string& name, const MakeStage& stage, bool in_file, size_t tail_bytes) {
  return {name,
          [=] { return std::make_unique<LocalLogWorld>(stage, in_file, LogOptions(tail_bytes)); }};
}

const BusEngine kMemory = Memory("Memory", kDeterministic);
const BusEngine kMemoryShuffled = Memory("MemoryShuffled", kShuffled);
const BusEngine kMemoryThreaded = Memory("MemoryThreaded", kThreaded);
const BusEngine kLog = Log("LocalLog", kDeterministic, false, 1 << 20);
// Every read of it goes to the store; a few records of it do: the seam between the two moves.
const BusEngine kLogNoTail = Log("LocalLogWithoutTail", kDeterministic, false, 0);
const BusEngine kLogShortTail = Log("LocalLogShortTail", kDeterministic, false, 16'000);
const BusEngine kLogThreaded = Log("LocalLogThreaded", kThreaded, true, 1 << 20);
const BusEngine kLogThreadedNoTail = Log("LocalLogThreadedWithoutTail", kThreaded, true, 0);

INSTANTIATE_TEST_SUITE_P(, BusContract,
                         testing::Values(kMemory, kMemoryShuffled, kMemoryThreaded, kLog,
                                         kLogNoTail, kLogShortTail, kLogThreaded,
                                         kLogThreadedNoTail),
                         BusEngineName);
INSTANTIATE_TEST_SUITE_P(, SharedGroupContract,
                         testing::Values(kMemory, kMemoryShuffled, kMemoryThreaded, kLog,
                                         kLogThreaded),
                         BusEngineName);
INSTANTIATE_TEST_SUITE_P(, HoleyBusContract, testing::Values(kMemory, kMemoryThreaded),
                         BusEngineName);
INSTANTIATE_TEST_SUITE_P(, DurableBusContract, testing::Values(kLogThreaded, kLogThreadedNoTail),
                         BusEngineName);

}  // namespace
}  // namespace tandem::bus
