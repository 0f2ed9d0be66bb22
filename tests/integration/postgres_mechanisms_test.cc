// Lane, timers, relay and inbox over PostgreSQL, one process that has the database for itself: the
// suites that they pass on SQLite. Time is simulated, which the server's clock is not: what rests
// on that clock, claims and the lease, is in postgres_replicas_test.cc.
#include <memory>
#include <utility>
#include <vector>

#include "common/bus/memory_bus.h"
#include "common/lane/migrations.h"
#include "common/postgres/postgres.h"
#include "gtest/gtest.h"
#include "tests/contract/inbox_contract.h"
#include "tests/contract/lane_contract.h"
#include "tests/contract/relay_contract.h"
#include "tests/contract/rig.h"
#include "tests/contract/timer_contract.h"
#include "tests/integration/postgres_server.h"

namespace tandem::contract {
namespace {

// A database that nobody else writes.
class Alone final : public store::Store {
 public:
  explicit Alone(std::unique_ptr<store::Store> behind) : behind_(std::move(behind)) {}
  store::CommitResult Commit(const std::vector<store::Write>& batch) override {
    return behind_->Commit(batch);
  }
  store::Reader& reader() override { return behind_->reader(); }
  absl::StatusOr<std::unique_ptr<store::Reader>> OpenReader() override {
    return behind_->OpenReader();
  }

 private:
  const std::unique_ptr<store::Store> behind_;
};

// A schema of its own, which survives the service, and a bus in memory.
class PostgresGround final : public Ground {
 public:
  PostgresGround(const time::Clock*, executor::Executor* executor)
      : bus_(executor, {.partitions = 8, .keep_all = true}) {
    Open();
  }
  store::Store& store() override { return *store_; }
  void Reopen() override {
    store_.reset();
    Open();
  }
  bus::Bus& bus() override { return bus_; }
  bus::LogReader& log() override { return bus_; }

 private:
  void Open() {
    store::PostgresOptions options;
    options.uri = schema_.server().uri();
    options.schema = schema_.name();
    options.schemas = {
        lane::PostgresSchema(),
        {"ledger",
         {{1, 1, "001_ledger.postgres.sql",
           "CREATE TABLE boxes (key TEXT COLLATE \"C\" PRIMARY KEY, version BIGINT NOT NULL, "
           "body BYTEA NOT NULL, balance BIGINT, taken BIGINT);"
           "CREATE TABLE entries (key TEXT COLLATE \"C\" PRIMARY KEY, version BIGINT NOT NULL, "
           "body BYTEA NOT NULL);"}}}};
    options.migrate = true;
    auto opened = store::OpenPostgres(std::move(options));
    Rig::Must(opened.status());
    store_ = std::make_unique<Alone>(*std::move(opened));
  }

  const store::SchemaOfTest schema_{store::PostgresServer::Shared()};
  std::unique_ptr<store::Store> store_;
  bus::MemoryBus bus_;
};

auto Engines() {
  return ::testing::Values(
      Engine{"PostgresAndMemoryBus", [](const time::Clock* clock, executor::Executor* executor) {
               return std::make_unique<PostgresGround>(clock, executor);
             }});
}

INSTANTIATE_TEST_SUITE_P(PostgreSql, LaneContract, Engines(), EngineName);
INSTANTIATE_TEST_SUITE_P(PostgreSql, TimerContract, Engines(), EngineName);
INSTANTIATE_TEST_SUITE_P(PostgreSql, RelayContract, Engines(), EngineName);
INSTANTIATE_TEST_SUITE_P(PostgreSql, InboxContract, Engines(), EngineName);

}  // namespace
}  // namespace tandem::contract
