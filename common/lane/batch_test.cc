#include "common/lane/batch.h"

#include <memory>
#include <string>

#include "common/lane/migrations.h"
#include "common/store/sqlite.h"
#include "common/testing/ledger.h"
#include "gtest/gtest.h"

namespace tandem::lane {
namespace {

std::unique_ptr<store::Store> Open(const corridor::ServiceDefinition& definition) {
  store::SqliteOptions options;
  options.path = ":memory:";
  options.schemas = {SqliteSchema(), definition.schema()};
  auto store = store::OpenSqlite(options);
  EXPECT_TRUE(store.ok()) << store.status();
  return *std::move(store);
}

// What is only added is not kept in memory: nobody has asked for it.
TEST(Batch, RemembersWhatWasReadOrSavedAndNotWhatWasAddedUnread) {
  const auto definition = testing::MakeLedger();
  const auto store = Open(*definition);
  const store::Table<testing::Box> boxes("boxes", {});
  Cache cache(10);
  // Known to be absent, by an earlier batch; another has added it since in this one.
  cache.records.Put({"boxes", "unread"}, {0, nullptr});

  Batch batch(definition.get(), &store->reader(), &cache, /*partitions=*/1,
              /*looks_before_inserting=*/false);
  corridor::View& view = batch.Begin();
  ASSERT_TRUE(view.Load(boxes, "saved").ok());
  ASSERT_TRUE(view.Load(boxes, "read").ok());
  corridor::Decision decision;
  decision.Save(boxes, "saved", testing::Box());
  decision.Insert(boxes, "unread", testing::Box());
  ASSERT_TRUE(batch.Apply(0, decision, {"cause", "", absl::UnixEpoch()}).ok());
  ASSERT_EQ(store->Commit(batch.TakeLines()).kind, store::CommitResult::Kind::kCommitted);
  batch.Remember();

  const CachedRecord* const saved = cache.records.Find({"boxes", "saved"});
  ASSERT_NE(saved, nullptr);
  EXPECT_EQ(saved->version, 1);
  EXPECT_NE(saved->body, nullptr);
  const CachedRecord* const read = cache.records.Find({"boxes", "read"});
  ASSERT_NE(read, nullptr);
  EXPECT_EQ(read->version, 0);
  EXPECT_EQ(cache.records.Find({"boxes", "unread"}), nullptr);
}

// Reads of one decision are no snapshot: between two of them another process may commit. A refusal
// that rests on the first alone is not to be believed, whether it came from memory or not.
TEST(Batch, IsNotCurrentOnceAnotherHasChangedWhatItRead) {
  const auto definition = testing::MakeLedger();
  const auto store = Open(*definition);
  const auto write = [&](store::Statement statement) {
    const store::CommitResult result =
        store->Commit({{"boxes", "box", std::move(statement), store::Expect::kOneRow}});
    ASSERT_EQ(result.kind, store::CommitResult::Kind::kCommitted);
  };
  write({"INSERT INTO boxes (key, version, body) VALUES ('box', 1, $1)",
         {store::Blob{testing::Box().SerializeAsString()}}});

  const store::Table<testing::Box> boxes("boxes", {});
  Cache cache(10);
  Batch batch(definition.get(), &store->reader(), &cache, /*partitions=*/1,
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
