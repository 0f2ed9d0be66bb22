#include "common/lane/batch.h"

#include <memory>
#include <string>

#include "common/lane/migrations.h"
#include "common/store/sqlite.h"
#include "common/testing/ledger.h"
#include "gtest/gtest.h"

namespace tandem::lane {
namespace {

// Reads of one decision are no snapshot: between two of them another process may commit. A refusal
// that rests on the first alone is not to be believed, whether it came from memory or not.
TEST(Batch, IsNotCurrentOnceAnotherHasChangedWhatItRead) {
  const auto definition = testing::MakeLedger();
  store::SqliteOptions options;
  options.path = ":memory:";
  options.schemas = {SqliteSchema(), definition->schema()};
  auto store = store::OpenSqlite(options);
  ASSERT_TRUE(store.ok()) << store.status();
  const auto write = [&](store::Statement statement) {
    const store::CommitResult result =
        (*store)->Commit({{"boxes", "box", std::move(statement), store::Expect::kOneRow}});
    ASSERT_EQ(result.kind, store::CommitResult::Kind::kCommitted);
  };
  write({"INSERT INTO boxes (key, version, body) VALUES ('box', 1, $1)",
         {store::Blob{testing::Box().SerializeAsString()}}});

  const store::Table<testing::Box> boxes("boxes", {});
  Cache cache(10);
  Batch batch(definition.get(), &(*store)->reader(), &cache, /*partitions=*/1,
              /*looks_before_inserting=*/true);
  corridor::View& view = batch.Begin();
  ASSERT_TRUE(view.Load(boxes, "box").ok());
  ASSERT_TRUE(view.Load(boxes, "none").ok());
  EXPECT_TRUE(batch.StillCurrent().value());

  write({"UPDATE boxes SET version = 2 WHERE key = 'box'", {}});
  EXPECT_FALSE(batch.StillCurrent().value());
}

}  // namespace
}  // namespace tandem::lane
