// The embedded engines under the suites of lane, timers, relay and inbox.
#ifndef TANDEM_TESTS_CONTRACT_SQLITE_GROUNDS_H_
#define TANDEM_TESTS_CONTRACT_SQLITE_GROUNDS_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/bus/local_log.h"
#include "common/bus/memory_bus.h"
#include "common/bus/migrations.h"
#include "common/lane/migrations.h"
#include "common/store/sqlite.h"
#include "common/testing/ledger.h"
#include "gtest/gtest.h"
#include "tests/contract/rig.h"
#include "tests/contract/temp_folder.h"

namespace tandem::contract {

inline std::unique_ptr<store::Store> OpenOrFail(const std::string& path,
                                                std::vector<store::Schema> schemas) {
  store::SqliteOptions options;
  options.path = path;
  options.durability = store::Durability::kOff;  // kill -9 takes nothing; a power cut is not tried
  options.schemas = std::move(schemas);
  auto opened = store::OpenSqlite(std::move(options));
  Rig::Must(opened.status());
  return *std::move(opened);
}

// A database in memory, which survives the service but not its own closing, and a bus in memory.
class MemoryGround : public Ground {
 public:
  MemoryGround(const time::Clock*, executor::Executor* executor)
      : store_(OpenOrFail(":memory:", {lane::SqliteSchema(), testing::MakeLedger()->schema()})),
        bus_(executor, {.partitions = 8, .keep_all = true}) {}
  store::Store& store() override { return *store_; }
  void Reopen() override {}
  bus::Bus& bus() override { return bus_; }
  bus::LogReader& log() override { return bus_; }

 private:
  const std::unique_ptr<store::Store> store_;
  bus::MemoryBus bus_;
};

// A database file, and the local log in a database of its own.
class FileGround : public Ground {
 public:
  FileGround(const time::Clock* clock, executor::Executor* executor)
      : log_store_(OpenOrFail(":memory:", {bus::SqliteSchema()})) {
    Open();
    auto log = bus::LocalLog::Open(log_store_.get(), clock, executor, {});
    Rig::Must(log.status());
    log_ = *std::move(log);
  }
  store::Store& store() override { return *store_; }
  void Reopen() override {
    store_.reset();
    Open();
  }
  bus::Bus& bus() override { return *log_; }
  bus::LogReader& log() override { return *log_; }

 private:
  void Open() {
    store_ = OpenOrFail(folder_.File("ledger.db"),
                        {lane::SqliteSchema(), testing::MakeLedger()->schema()});
  }

  const TempFolder folder_;
  const std::unique_ptr<store::Store> log_store_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<bus::LocalLog> log_;
};

template <typename G>
Engine EngineOf(std::string name) {
  return {std::move(name), [](const time::Clock* clock, executor::Executor* executor) {
            return std::make_unique<G>(clock, executor);
          }};
}

inline auto SqliteEngines() {
  return ::testing::Values(EngineOf<MemoryGround>("MemoryAndMemoryBus"),
                           EngineOf<FileGround>("FileAndLocalLog"));
}

}  // namespace tandem::contract

#endif  // TANDEM_TESTS_CONTRACT_SQLITE_GROUNDS_H_
