#include "common/store/record.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/store/sqlite.h"
#include "gmock/gmock.h"
#include "google/protobuf/struct.pb.h"
#include "gtest/gtest.h"

namespace tandem::store {
namespace {

using google::protobuf::Struct;
using testing::ElementsAre;

const Table<Struct>& Things() {
  static const Table<Struct> table(
      "things", {{"size", [](const Struct& s) { return Value(int64_t{s.fields_size()}); }},
                 {"title", [](const Struct& s) {
                    const auto found = s.fields().find("title");
                    return found == s.fields().end() ? Value()
                                                     : Value(found->second.string_value());
                  }}});
  return table;
}

Struct Titled(const std::string& title) {
  Struct s;
  (*s.mutable_fields())["title"].set_string_value(title);
  return s;
}

TEST(RecordTable, WritesItsSqlOnce) {
  EXPECT_EQ(Things().SelectByKey("k").sql, "SELECT version, body FROM things WHERE key=$1");
  EXPECT_EQ(Things().SelectWhere("WHERE size>$1 ORDER BY key", {int64_t{1}}).sql,
            "SELECT key, version, body FROM things WHERE size>$1 ORDER BY key");
  EXPECT_EQ(Things().Insert("k", 1, Struct()).statement.sql,
            "INSERT INTO things (key, version, body, size, title) VALUES ($1, $2, $3, $4, $5)");
  EXPECT_EQ(Things().Update("k", 1, 2, Struct(), Titled("t")).statement.sql,
            "UPDATE things SET version=$2, body=$3, size=$4, title=$5 WHERE key=$1 AND version=$6");
  EXPECT_EQ(Things().Delete("k", 1).statement.sql,
            "DELETE FROM things WHERE key=$1 AND version=$2");
  EXPECT_EQ(Things().Check("k", 1).statement.sql,
            "SELECT 1 FROM things WHERE key=$1 AND version=$2");
  EXPECT_EQ(Things().Check("k", 0).statement.sql,
            "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM things WHERE key=$1)");
}

TEST(RecordTable, SetsOnlyTheColumnsThatChange) {
  const Statement same = Things().Update("k", 1, 2, Titled("a"), Titled("a")).statement;
  EXPECT_EQ(same.sql, "UPDATE things SET version=$2, body=$3 WHERE key=$1 AND version=$4");
  EXPECT_EQ(same.params.size(), 4u);
  const Statement renamed = Things().Update("k", 1, 2, Titled("a"), Titled("b")).statement;
  EXPECT_EQ(renamed.sql,
            "UPDATE things SET version=$2, body=$3, title=$4 WHERE key=$1 AND version=$5");
  EXPECT_EQ(renamed.params[3], Value(std::string("b")));
}

TEST(RecordTable, OrdersItsLinesByTableAndKey) {
  const Write write = Things().Update("k", 4, 5, Titled("s"), Titled("t"));
  EXPECT_EQ(write.table, "things");
  EXPECT_EQ(write.key, "k");
  EXPECT_EQ(write.expect, Expect::kOneRow);
  EXPECT_EQ(Things().Check("k", 0).expect, Expect::kFinds);
  EXPECT_EQ(Things().Check("k", 1).expect, Expect::kFinds);
}

TEST(RecordTable, DerivesItsColumnsFromTheBody) {
  const Write write = Things().Insert("k", 1, Titled("t"));
  EXPECT_THAT(write.statement.params, ElementsAre(Value("k"), Value(int64_t{1}),
                                                  Value(Blob{Titled("t").SerializeAsString()}),
                                                  Value(int64_t{1}), Value("t")));
  EXPECT_THAT(
      Things().Insert("k", 1, Struct()).statement.params,
      ElementsAre(Value("k"), Value(int64_t{1}), Value(Blob{}), Value(int64_t{0}), Value()));
}

TEST(RecordTable, EqualMessagesGiveEqualBytes) {
  // A map's own order depends on how it was filled, and on its seed.
  Struct up, down;
  for (int i = 0; i < 100; ++i) (*up.mutable_fields())[std::to_string(i)].set_number_value(i);
  for (int i = 99; i >= 0; --i) (*down.mutable_fields())[std::to_string(i)].set_number_value(i);
  EXPECT_EQ(Things().Insert("k", 1, up).statement.params,
            Things().Insert("k", 1, down).statement.params);
}

TEST(RecordTable, MakesAnEmptyMessageOfItsType) {
  EXPECT_EQ(Things().New()->GetDescriptor(), Struct::descriptor());
  EXPECT_EQ(Things().New()->ByteSizeLong(), 0u);
}

// Against a real table: what is generated is what SQLite takes.
class StoredRecord : public testing::Test {
 protected:
  void SetUp() override {
    SqliteOptions options;
    options.path = ":memory:";
    options.schemas = {
        {"test",
         {{1, 1, "001_things.sqlite.sql",
           "CREATE TABLE things (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body "
           "BLOB NOT NULL, size INTEGER, title TEXT) STRICT"}}}};
    auto store = OpenSqlite(std::move(options));
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  CommitResult::Kind Commit(std::vector<Write> batch) { return store_->Commit(batch).kind; }
  // "version title" of each row found.
  std::vector<std::string> Find(const Statement& statement, int version_column) {
    std::vector<std::string> found;
    const absl::Status status = store_->reader().Query(statement, [&](const RowView& row) {
      Struct body;
      ASSERT_TRUE(body.ParseFromString(std::string(row.Text(version_column + 1))));
      found.push_back(std::to_string(row.Int(version_column)) + " " +
                      body.fields().at("title").string_value());
    });
    EXPECT_TRUE(status.ok()) << status;
    return found;
  }

  std::unique_ptr<Store> store_;
};

TEST_F(StoredRecord, IsInsertedFoundUpdatedAndDeleted) {
  using Kind = CommitResult::Kind;
  EXPECT_EQ(Commit({Things().Insert("k", 1, Titled("first"))}), Kind::kCommitted);
  EXPECT_THAT(Find(Things().SelectByKey("k"), 0), ElementsAre("1 first"));
  EXPECT_EQ(Commit({Things().Insert("k", 1, Titled("again"))}), Kind::kMissed);
  EXPECT_EQ(Commit({Things().Update("k", 2, 3, Titled("first"), Titled("late"))}), Kind::kMissed);
  EXPECT_EQ(Commit({Things().Update("k", 1, 2, Titled("first"), Titled("second"))}),
            Kind::kCommitted);
  EXPECT_THAT(Find(Things().SelectWhere("WHERE title=$1", {std::string("second")}), 1),
              ElementsAre("2 second"));
  EXPECT_EQ(Commit({Things().Check("k", 1)}), Kind::kMissed);
  EXPECT_EQ(Commit({Things().Check("k", 2)}), Kind::kCommitted);
  EXPECT_EQ(Commit({Things().Check("k", 0)}), Kind::kMissed);
  EXPECT_EQ(Commit({Things().Delete("k", 1)}), Kind::kMissed);
  EXPECT_EQ(Commit({Things().Delete("k", 2)}), Kind::kCommitted);
  EXPECT_EQ(Commit({Things().Check("k", 0)}), Kind::kCommitted);
  EXPECT_THAT(Find(Things().SelectByKey("k"), 0), ElementsAre());
}

}  // namespace
}  // namespace tandem::store
