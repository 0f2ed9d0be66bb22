#include "tests/contract/lane_contract.h"
#include "tests/contract/sqlite_grounds.h"

namespace tandem::contract {
namespace {

INSTANTIATE_TEST_SUITE_P(Sqlite, LaneContract, SqliteEngines(), EngineName);

// A disk that is really full, as far as SQLite can tell.
class SmallDiskGround : public MemoryGround {
 public:
  SmallDiskGround(const time::Clock* clock, executor::Executor* executor)
      : MemoryGround(clock, executor) {
    store::SqliteOptions options;
    options.path = folder_.File("ledger.db");
    options.durability = store::Durability::kOff;
    options.max_pages = 40;
    options.schemas = {lane::SqliteSchema(), testing::MakeLedger()->schema()};
    auto opened = store::OpenSqlite(std::move(options));
    Rig::Must(opened.status());
    store_ = *std::move(opened);
  }
  store::Store& store() override { return *store_; }

 private:
  const TempFolder folder_;
  std::unique_ptr<store::Store> store_;
};

TEST(LaneOnSqlite, AFullDiskIsAnErrorAndWhatWasAcknowledgedIsThere) {
  RigOptions quiet;
  quiet.start = false;
  Rig rig(EngineOf<SmallDiskGround>("SmallDisk"), quiet);
  LaneRig lane(&rig);
  int64_t acknowledged = 0;
  int64_t refused = 0;
  for (int i = 0; i < 400; ++i) {
    std::vector<LaneRig::Reply> replies;
    for (int j = 0; j < 4; ++j) {
      lane.PutAdd(absl::StrCat("r", i, "-", j), absl::StrCat("b", i, "-", j), 1, &replies);
    }
    rig.Settle();
    ASSERT_THAT(replies, SizeIs(4));
    for (const LaneRig::Reply& reply : replies) {
      if (reply.ok()) {
        ++acknowledged;
      } else {
        ASSERT_EQ(reply.status().code(), absl::StatusCode::kResourceExhausted) << reply.status();
        ++refused;
      }
    }
    for (const char* table : {"boxes", "entries", "request_marks", "outbox"}) {
      ASSERT_EQ(rig.Count(table), acknowledged) << table;
    }
    if (refused > 40) break;
  }
  EXPECT_GT(acknowledged, 0);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace tandem::contract
