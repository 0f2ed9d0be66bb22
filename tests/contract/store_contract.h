// What every store promises (common/store/store.h), as one suite. An engine's test program includes
// this, says how its databases are opened, and instantiates StoreContract, and DurableStoreContract
// too if its commits outlive the process, and SharedStoreContract if several Stores may be open on
// one database:
//
//   INSTANTIATE_TEST_SUITE_P(PostgreSql, StoreContract, testing::Values(StoreEngine{…}),
//   EngineName);
#ifndef TANDEM_TESTS_CONTRACT_STORE_CONTRACT_H_
#define TANDEM_TESTS_CONTRACT_STORE_CONTRACT_H_

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/store/store.h"
#include "common/store/writable.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::store {

// One database, which may be opened again after it was closed.
class StoreWorld {
 public:
  virtual ~StoreWorld() = default;
  // A database with the tables of kContractTables, in the engine's dialect: empty at the first
  // call, as it was left (if it is durable) at later ones. At most one Store at a time.
  virtual absl::StatusOr<std::unique_ptr<Store>> Open() = 0;
};

struct StoreEngine {
  std::string name;
  std::function<std::unique_ptr<StoreWorld>()> make;
};

inline void PrintTo(const StoreEngine& engine, std::ostream* out) { *out << engine.name; }

inline std::string EngineName(const testing::TestParamInfo<StoreEngine>& info) {
  return info.param.name;
}

// The tables that the suite uses; `integer`, `text` and `blob` are the engine's words for 64-bit
// integers, text and bytes.
inline std::string ContractTables(const std::string& integer, const std::string& text,
                                  const std::string& blob) {
  return absl::StrCat("CREATE TABLE items (key ", text, " PRIMARY KEY, version ", integer,
                      " NOT NULL, body ", blob, ", note ", text, ");\n",
                      "CREATE TABLE others (key ", text, " PRIMARY KEY, version ", integer,
                      " NOT NULL, serial ", integer, " UNIQUE);\n");
}

// The lines that a service would write, in small.
inline Write Insert(const std::string& key, int64_t version, const std::string& body = "body") {
  return {
      "items",
      key,
      {"INSERT INTO items (key, version, body) VALUES ($1, $2, $3)", {key, version, Blob{body}}}};
}
inline Write Update(const std::string& key, int64_t base, int64_t version) {
  return {"items",
          key,
          {"UPDATE items SET version=$2 WHERE key=$1 AND version=$3", {key, version, base}}};
}
inline Write Delete(const std::string& key, int64_t base) {
  return {"items", key, {"DELETE FROM items WHERE key=$1 AND version=$2", {key, base}}};
}
inline Write CheckVersion(const std::string& key, int64_t version) {
  return {"items",
          key,
          {"SELECT 1 FROM items WHERE key=$1 AND version=$2", {key, version}},
          Expect::kFinds};
}
inline Write CheckAbsent(const std::string& key) {
  return {"items",
          key,
          {"SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM items WHERE key=$1)", {key}},
          Expect::kFinds};
}
inline Write InsertOther(const std::string& key, int64_t version, int64_t serial) {
  return {
      "others",
      key,
      {"INSERT INTO others (key, version, serial) VALUES ($1, $2, $3)", {key, version, serial}}};
}

class StoreContract : public testing::TestWithParam<StoreEngine> {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    store_.reset();
    absl::StatusOr<std::unique_ptr<Store>> opened = world_->Open();
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }

  CommitResult Commit(const std::vector<Write>& batch) { return store_->Commit(batch); }
  void Committed(const std::vector<Write>& batch) {
    const CommitResult result = Commit(batch);
    ASSERT_EQ(result.kind, CommitResult::Kind::kCommitted) << result.status;
  }
  void Missed(const std::vector<Write>& batch, size_t line) {
    const CommitResult result = Commit(batch);
    ASSERT_EQ(result.kind, CommitResult::Kind::kMissed) << result.status;
    EXPECT_THAT(result.missed, testing::Contains(line));
  }
  void Failed(const std::vector<Write>& batch, absl::StatusCode code) {
    const CommitResult result = Commit(batch);
    ASSERT_EQ(result.kind, CommitResult::Kind::kFailed);
    EXPECT_EQ(result.status.code(), code) << result.status;
  }

  // The version of an item, 0 if it is absent.
  static int64_t Version(Reader& reader, const std::string& key) {
    int64_t version = 0;
    const absl::Status status = reader.Query({"SELECT version FROM items WHERE key=$1", {key}},
                                             [&](const RowView& row) { version = row.Int(0); });
    EXPECT_TRUE(status.ok()) << status;
    return version;
  }
  int64_t Version(const std::string& key) { return Version(store_->reader(), key); }
  static int64_t Count(Reader& reader, const std::string& table) {
    int64_t count = -1;
    const absl::Status status = reader.Query({absl::StrCat("SELECT count(*) FROM ", table), {}},
                                             [&](const RowView& row) { count = row.Int(0); });
    EXPECT_TRUE(status.ok()) << status;
    return count;
  }
  int64_t Count(const std::string& table) { return Count(store_->reader(), table); }
  // The body of an item as it reads.
  std::string Body(const std::string& key) {
    std::string body = "no such row";
    const absl::Status status =
        store_->reader().Query({"SELECT body FROM items WHERE key=$1", {key}},
                               [&](const RowView& row) { body = std::string(row.Text(0)); });
    EXPECT_TRUE(status.ok()) << status;
    return body;
  }

  const std::unique_ptr<StoreWorld> world_ = GetParam().make();
  std::unique_ptr<Store> store_;
};

TEST_P(StoreContract, SaysThatItTakesWrites) {
  EXPECT_TRUE(CheckWritable(*store_).ok()) << CheckWritable(*store_);
  Committed({Insert("a", 1)});
  EXPECT_TRUE(CheckWritable(*store_).ok()) << CheckWritable(*store_);
}

TEST_P(StoreContract, AnEmptyBatchCommits) { Committed({}); }

TEST_P(StoreContract, ReadsWhatWasCommitted) {
  EXPECT_EQ(Version("a"), 0);
  Committed({Insert("a", 1)});
  EXPECT_EQ(Version("a"), 1);
  Committed({Update("a", 1, 2)});
  EXPECT_EQ(Version("a"), 2);
  Committed({Delete("a", 2)});
  EXPECT_EQ(Version("a"), 0);
}

TEST_P(StoreContract, RowsComeInTheOrderAskedFor) {
  Committed({Insert("b", 2), Insert("a", 3), Insert("c", 1)});
  std::vector<std::string> keys;
  ASSERT_TRUE(
      store_->reader()
          .Query({"SELECT key FROM items WHERE version>=$1 ORDER BY key DESC", {int64_t{2}}},
                 [&](const RowView& row) { keys.emplace_back(row.Text(0)); })
          .ok());
  EXPECT_THAT(keys, testing::ElementsAre("b", "a"));
}

TEST_P(StoreContract, TextsAreOrderedByTheirBytes) {
  Committed({Insert("b", 1), Insert("B", 1), Insert("a/1", 1), Insert("a1", 1), Insert("é", 1),
             Insert("A", 1), Insert("_", 1)});
  std::vector<std::string> keys;
  ASSERT_TRUE(store_->reader()
                  .Query({"SELECT key FROM items WHERE key>$1 ORDER BY key", {std::string("A")}},
                         [&](const RowView& row) { keys.emplace_back(row.Text(0)); })
                  .ok());
  EXPECT_THAT(keys, testing::ElementsAre("B", "_", "a/1", "a1", "b", "é"));
}

TEST_P(StoreContract, AMissNamesTheLineAsGiven) {
  Committed({Insert("a", 1), Insert("b", 1), Insert("c", 1)});
  // In the order of keys the line that misses is the first, in the batch it is the last.
  Missed({Update("c", 1, 2), Update("b", 1, 2), Update("a", 7, 8)}, 2);
  Missed({Update("c", 7, 8), Update("b", 1, 2), Update("a", 1, 2)}, 0);
  Missed({Delete("a", 1), Delete("absent", 1)}, 1);
}

TEST_P(StoreContract, AMissedBatchLeavesNothing) {
  Committed({Insert("a", 1), InsertOther("o", 1, 1)});
  Missed({Update("a", 1, 2), Insert("b", 1), InsertOther("p", 1, 2), Update("z", 1, 2)}, 3);
  EXPECT_EQ(Version("a"), 1);
  EXPECT_EQ(Count("items"), 1);
  EXPECT_EQ(Count("others"), 1);
  Committed({Update("a", 1, 2), Insert("b", 1)});
}

TEST_P(StoreContract, AWriteThatChangesSeveralRowsMisses) {
  Committed({Insert("a", 1), Insert("b", 1)});
  Missed({{"items", "", {"UPDATE items SET version=5 WHERE version=$1", {int64_t{1}}}}}, 0);
  EXPECT_EQ(Version("a"), 1);
}

TEST_P(StoreContract, HousekeepingMayChangeAnyNumberOfRows) {
  const auto prune = [](int64_t below) {
    return Write{"items", "", {"DELETE FROM items WHERE version<$1", {below}}, Expect::kAnyRows};
  };
  Committed({Insert("a", 1), Insert("b", 1), Insert("c", 9)});
  Committed({prune(0)});
  EXPECT_EQ(Count("items"), 3);
  Committed({prune(5)});
  EXPECT_EQ(Count("items"), 1);
}

TEST_P(StoreContract, AnInsertOfAKeyThatExistsMisses) {
  Committed({Insert("a", 1, "first")});
  Missed({Insert("b", 1), Insert("a", 1, "second")}, 1);
  EXPECT_EQ(Body("a"), "first");
  EXPECT_EQ(Count("items"), 1);
}

TEST_P(StoreContract, AnInsertThatMeetsAnotherUniqueColumnMisses) {
  Committed({InsertOther("a", 1, 7)});
  Missed({InsertOther("b", 1, 7)}, 0);
}

TEST_P(StoreContract, AnInsertThatIgnoresItsConflictMissesToo) {
  Committed({Insert("a", 1)});
  Missed({{"items",
           "a",
           {"INSERT INTO items (key, version) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            {std::string("a"), int64_t{2}}}}},
         0);
}

TEST_P(StoreContract, ACheckHoldsOrNamesItsLine) {
  Committed({Insert("a", 3)});
  Committed({CheckVersion("a", 3), Insert("b", 1)});
  Missed({Insert("c", 1), CheckVersion("a", 2)}, 1);
  Missed({Insert("c", 1), CheckVersion("absent", 1)}, 1);
  EXPECT_EQ(Version("c"), 0);
  EXPECT_EQ(Version("a"), 3);  // A check changes nothing.
}

TEST_P(StoreContract, ACheckOfAbsenceHoldsOrNamesItsLine) {
  Committed({CheckAbsent("a"), Insert("b", 1)});
  Missed({CheckAbsent("b"), Insert("c", 1)}, 0);
  EXPECT_EQ(Version("c"), 0);
}

TEST_P(StoreContract, ACheckThatFindsSeveralRowsMisses) {
  Committed({Insert("a", 1), Insert("b", 1)});
  Missed({{"items", "", {"SELECT 1 FROM items WHERE version=$1", {int64_t{1}}}, Expect::kFinds}},
         0);
}

TEST_P(StoreContract, LinesOfOneKeyApplyInTheOrderGiven) {
  Committed({Insert("b", 1), Insert("a", 1), Update("b", 1, 2), Update("a", 1, 5),
             Update("b", 2, 3), CheckVersion("a", 5), Delete("a", 5), Insert("a", 9)});
  EXPECT_EQ(Version("b"), 3);
  EXPECT_EQ(Version("a"), 9);
  // The same lines in another order of "b" do not apply.
  Missed({Update("b", 4, 5), Update("b", 3, 4)}, 0);
}

TEST_P(StoreContract, ManyLinesOfOneKeyKeepTheirOrder) {
  std::vector<Write> batch = {Insert("k", 1)};
  for (int64_t version = 1; version < 200; ++version) {
    batch.push_back(Update("k", version, version + 1));
    batch.push_back(Insert(absl::StrCat("x", 1000 - version), 1));
  }
  Committed(batch);
  EXPECT_EQ(Version("k"), 200);
}

TEST_P(StoreContract, TwoDecisionsThatReadEachOthersRowsDoNotBothCommit) {
  Committed({Insert("x", 1), Insert("y", 1)});
  const std::vector<Write> first = {CheckVersion("y", 1), Update("x", 1, 2)};
  const std::vector<Write> second = {CheckVersion("x", 1), Update("y", 1, 2)};
  Committed(first);
  Missed(second, 0);
  EXPECT_EQ(Version("y"), 1);
}

TEST_P(StoreContract, KeepsNullsNumbersTextsAndBytes) {
  const std::string bytes("\0\x01\xff\0 end\0", 9);
  const std::string text = "Zoë 日本語 \U0001F600 it's \"quoted\" $1 %s";
  const auto put = [](const std::string& key, int64_t version, Value body, Value note) {
    return Write{"items",
                 key,
                 {"INSERT INTO items (key, version, body, note) VALUES ($1, $2, $3, $4)",
                  {key, version, std::move(body), std::move(note)}}};
  };
  Committed({put("null", 1, {}, {}), put("empty", 0, Blob{}, std::string()),
             put(text, std::numeric_limits<int64_t>::min(), Blob{bytes}, text),
             put("max", std::numeric_limits<int64_t>::max(), Blob{"'"}, std::string("-1"))});
  struct Got {
    int64_t version = 0;
    std::optional<std::string> body, note;
    bool operator==(const Got&) const = default;
  };
  const auto get = [this](const std::string& key) {
    Got got;
    int rows = 0;
    EXPECT_TRUE(store_->reader()
                    .Query({"SELECT version, body, note FROM items WHERE key=$1", {key}},
                           [&](const RowView& row) {
                             ++rows;
                             got.version = row.Int(0);
                             if (!row.IsNull(1)) got.body = std::string(row.Text(1));
                             if (!row.IsNull(2)) got.note = std::string(row.Text(2));
                           })
                    .ok());
    EXPECT_EQ(rows, 1) << key;
    return got;
  };
  EXPECT_EQ(get("null"), (Got{1, std::nullopt, std::nullopt}));
  EXPECT_EQ(get("empty"), (Got{0, "", ""}));
  EXPECT_EQ(get(text), (Got{std::numeric_limits<int64_t>::min(), bytes, text}));
  EXPECT_EQ(get("max"), (Got{std::numeric_limits<int64_t>::max(), "'", "-1"}));
}

TEST_P(StoreContract, NullReadsAsZeroAndAsEmpty) {
  int rows = 0;
  ASSERT_TRUE(store_->reader()
                  .Query({"SELECT NULL, 7", {}},
                         [&](const RowView& row) {
                           ++rows;
                           EXPECT_TRUE(row.IsNull(0));
                           EXPECT_EQ(row.Int(0), 0);
                           EXPECT_EQ(row.Text(0), "");
                           EXPECT_FALSE(row.IsNull(1));
                           EXPECT_EQ(row.Int(1), 7);
                         })
                  .ok());
  EXPECT_EQ(rows, 1);
}

TEST_P(StoreContract, ParametersAreNamesUsedTwiceAndOutOfOrder) {
  Committed({{"items",
              "k",
              {"INSERT INTO items (version, note, key) VALUES ($3, $1, $2)",
               {std::string("note"), std::string("k"), int64_t{4}}}}});
  Committed({{"items",
              "k",
              {"UPDATE items SET version=$2, note=$1 WHERE key=$1 OR (key=$3 AND version<$2)",
               {std::string("again"), int64_t{10}, std::string("k")}}}});
  std::string note;
  ASSERT_TRUE(store_->reader()
                  .Query({"SELECT note FROM items WHERE version=$2 AND key=$1 AND version<=$2",
                          {std::string("k"), int64_t{10}}},
                         [&](const RowView& row) { note = std::string(row.Text(0)); })
                  .ok());
  EXPECT_EQ(note, "again");
}

TEST_P(StoreContract, MoreThanTenParametersAreNotMistakenForEachOther) {
  std::string sum = "SELECT $1";
  std::vector<Value> params = {std::string("1")};
  for (int i = 2; i <= 12; ++i) {
    absl::StrAppend(&sum, " || $", i);
    params.emplace_back(absl::StrCat(i));
  }
  std::string got;
  const absl::Status status = store_->reader().Query(
      {sum, std::move(params)}, [&](const RowView& row) { got = std::string(row.Text(0)); });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(got, "123456789101112");
}

TEST_P(StoreContract, KeepsALargeBody) {
  std::string body(1 << 20, '\0');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 31 + (i >> 8));
  Committed({Insert("large", 1, body), Insert("small", 1, "s")});
  EXPECT_EQ(Body("large"), body);
  EXPECT_EQ(Body("small"), "s");
}

TEST_P(StoreContract, AStatementThatDoesNotFitIsInternalAndHarmless) {
  Committed({Insert("a", 1)});
  const auto write = [](const std::string& sql, std::vector<Value> params, Expect expect) {
    return Write{"items", "a", {sql, std::move(params)}, expect};
  };
  const Write good = Update("a", 1, 2);
  for (const Write& bad : {
           write("UPDATE nothing SET version=1", {}, Expect::kOneRow),
           write("UPDATE items SET no_column=1", {}, Expect::kAnyRows),
           write("not SQL", {}, Expect::kOneRow),
           write("", {}, Expect::kOneRow),
           write("INSERT INTO items (key) VALUES ($1)", {std::string("z")},
                 Expect::kOneRow),  // NOT NULL
           write("DELETE FROM items WHERE key=$1", {}, Expect::kAnyRows),
           write("DELETE FROM items WHERE key=$1", {std::string("a"), std::string("b")},
                 Expect::kAnyRows),
           write("DELETE FROM items; DELETE FROM items", {}, Expect::kAnyRows),
           write("SELECT 1 FROM items", {}, Expect::kOneRow),
           write("DELETE FROM items", {}, Expect::kFinds),
           write("COMMIT", {}, Expect::kAnyRows),
           write("ROLLBACK", {}, Expect::kAnyRows),
       }) {
    SCOPED_TRACE(bad.statement.sql);
    Failed({good, bad}, absl::StatusCode::kInternal);
    EXPECT_EQ(Version("a"), 1);
    EXPECT_EQ(Count("items"), 1);
  }
  Committed({good});
}

TEST_P(StoreContract, AQueryThatDoesNotFitIsInternalAndHarmless) {
  Committed({Insert("a", 1)});
  for (const Statement& bad : {
           Statement{"SELECT * FROM nothing", {}},
           Statement{"SELECT version FROM items WHERE key=$1", {}},
           Statement{"SELECT version FROM items WHERE key=$2",
                     {std::string("a"), std::string("a")}},
           Statement{"DELETE FROM items", {}},
           Statement{"BEGIN", {}},
           Statement{"SELECT 1; SELECT 2", {}},
       }) {
    const absl::Status status = store_->reader().Query(bad, [](const RowView&) { ADD_FAILURE(); });
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << bad.sql << ": " << status;
  }
  EXPECT_EQ(Version("a"), 1);
  Committed({Update("a", 1, 2)});
}

TEST_P(StoreContract, AnErrorNeverQuotesAValue) {
  const std::string secret = "alice@example.com";
  Committed({Insert(secret, 1)});
  const CommitResult result =
      Commit({{"items", secret, {"UPDATE items SET version=NULL WHERE key=$1", {secret}}}});
  ASSERT_EQ(result.kind, CommitResult::Kind::kFailed);
  EXPECT_THAT(std::string(result.status.message()), testing::Not(testing::HasSubstr("alice")));
}

TEST_P(StoreContract, AReaderSeesEachCommitThatReturned) {
  absl::StatusOr<std::unique_ptr<Reader>> reader = store_->OpenReader();
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(Version(**reader, "a"), 0);
  Committed({Insert("a", 1)});
  for (int64_t version = 1; version < 50; ++version) {
    ASSERT_EQ(Version(**reader, "a"), version);
    Committed({Update("a", version, version + 1)});
  }
  Missed({Update("a", 50, 51), CheckVersion("a", 1)}, 1);
  EXPECT_EQ(Version(**reader, "a"), 50);
}

TEST_P(StoreContract, AReaderThatAsksWhatIsNotThereGoesOn) {
  absl::StatusOr<std::unique_ptr<Reader>> reader = store_->OpenReader();
  ASSERT_TRUE(reader.ok()) << reader.status();
  Committed({Insert("a", 1)});
  for (const char* sql : {"SELECT * FROM nothing", "DELETE FROM items"}) {
    EXPECT_EQ((*reader)->Query({std::string(sql), {}}, [](const RowView&) {}).code(),
              absl::StatusCode::kInternal);
  }
  EXPECT_EQ(Version(**reader, "a"), 1);
}

// Two rows move together in each commit; readers on threads of their own never see one without the
// other nor anything older than what had returned.
TEST_P(StoreContract, ReadersBesideTheCommitterSeeWholeCommits) {
  constexpr int64_t kCommits = 300;
  constexpr int kReaders = 3;
  Committed({Insert("x", 1), Insert("y", 1)});
  std::vector<std::unique_ptr<Reader>> readers;
  for (int i = 0; i < kReaders; ++i) {
    absl::StatusOr<std::unique_ptr<Reader>> reader = store_->OpenReader();
    ASSERT_TRUE(reader.ok()) << reader.status();
    readers.push_back(*std::move(reader));
  }
  std::atomic<int64_t> returned{1};
  std::atomic<int64_t> torn{0}, stale{0}, errors{0}, asked{0};
  std::vector<std::thread> threads;
  for (const std::unique_ptr<Reader>& reader : readers) {
    threads.emplace_back([&, r = reader.get()] {
      for (int64_t before = 0; before < kCommits;) {
        before = returned.load();
        int64_t lowest = 0, highest = 0;
        const absl::Status status =
            r->Query({"SELECT min(version), max(version) FROM items", {}}, [&](const RowView& row) {
              lowest = row.Int(0);
              highest = row.Int(1);
            });
        errors += !status.ok();
        torn += lowest != highest;
        stale += lowest < before;
        ++asked;
      }
    });
  }
  int64_t version = 1;
  while (version < kCommits) {
    const CommitResult result =
        store_->Commit({Update("y", version, version + 1), Update("x", version, version + 1)});
    if (result.kind != CommitResult::Kind::kCommitted) {
      ADD_FAILURE() << result.status;
      break;
    }
    returned = ++version;
  }
  returned = kCommits;  // also after a failure, so that the readers end
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(version, kCommits);
  EXPECT_EQ(torn, 0);
  EXPECT_EQ(errors, 0);
  EXPECT_EQ(stale, 0);
  EXPECT_GE(asked, kReaders);
}

// Commits of these outlive the Store and the process.
using DurableStoreContract = StoreContract;

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DurableStoreContract);

TEST_P(DurableStoreContract, AStoreOpenedAgainHasWhatWasCommitted) {
  Committed({Insert("a", 1, "kept"), InsertOther("o", 1, 1)});
  Missed({Update("a", 1, 2), CheckAbsent("a")}, 1);
  Open();
  EXPECT_EQ(Version("a"), 1);
  EXPECT_EQ(Body("a"), "kept");
  EXPECT_EQ(Count("others"), 1);
  Committed({Update("a", 1, 2)});
}

// A child commits and tells of each commit through a pipe once it has returned; it is killed at an
// arbitrary instant. What was told is there, whole; at most the one commit under way may be there
// too.
TEST_P(DurableStoreContract, WhatWasAcknowledgedSurvivesAKill) {
  int64_t last = 0;  // committed by the children before
  for (int round = 0; round < 5; ++round) {
    store_.reset();
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(ends[0]);
      absl::StatusOr<std::unique_ptr<Store>> opened = world_->Open();
      if (!opened.ok()) _exit(1);
      for (int64_t n = last + 1; n < last + 100000; ++n) {
        const std::string key = absl::StrCat("k", n);
        const CommitResult result =
            (*opened)->Commit({Insert(key, n, std::string(2000, 'x')), InsertOther(key, 1, n)});
        if (result.kind != CommitResult::Kind::kCommitted) _exit(2);
        if (write(ends[1], &n, sizeof(n)) != static_cast<ssize_t>(sizeof(n))) _exit(3);
      }
      _exit(4);
    }
    close(ends[1]);
    int64_t told = 0;
    const int64_t until = last + 20 + 37 * round;
    while (told < until &&
           read(ends[0], &told, sizeof(told)) == static_cast<ssize_t>(sizeof(told))) {
    }
    kill(child, SIGKILL);
    while (read(ends[0], &told, sizeof(told)) == static_cast<ssize_t>(sizeof(told))) {
    }
    close(ends[0]);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself with " << WEXITSTATUS(status);
    ASSERT_GE(told, until);
    Open();
    const int64_t items = Count("items");
    EXPECT_EQ(items, Count("others"));
    EXPECT_GE(items, told);
    EXPECT_LE(items, told + 1);
    for (int64_t n = last + 1; n <= told; ++n) ASSERT_EQ(Version(absl::StrCat("k", n)), n);
    last = items;
  }
}

// A database on which several Stores are open at once.
class SharedStoreWorld : public StoreWorld {
 public:
  // As StoreWorld::Open, any number of times, from any thread.

  // Somebody else's transaction that holds items, until it is destroyed.
  class Holder {
   public:
    virtual ~Holder() = default;
    // Asks for another item as well, and waits for it beside the caller.
    virtual void AlsoTake(const std::string& key) = 0;
  };
  virtual std::unique_ptr<Holder> Hold(const std::string& key) = 0;
  // The same by a process that then stands still (SIGSTOP) for as long as the Holder lives.
  virtual std::unique_ptr<Holder> HoldStandingStill(const std::string& key) = 0;
  // Whether soon at least this many transactions of the Stores and Holders wait for locks.
  virtual bool AwaitWaiting(int transactions) = 0;

  // A Store whose next commit after CutNextCommit loses its connection: before the server got it,
  // or after the server has committed it and before it could say so.
  virtual absl::StatusOr<std::unique_ptr<Store>> OpenCuttable() = 0;
  virtual void CutNextCommit(bool applied) = 0;
};

struct SharedStoreEngine {
  std::string name;
  std::function<std::unique_ptr<SharedStoreWorld>()> make;
};

inline void PrintTo(const SharedStoreEngine& engine, std::ostream* out) { *out << engine.name; }

inline std::string SharedEngineName(const testing::TestParamInfo<SharedStoreEngine>& info) {
  return info.param.name;
}

class SharedStoreContract : public testing::TestWithParam<SharedStoreEngine> {
 protected:
  using Kind = CommitResult::Kind;

  void SetUp() override {
    one_ = Open();
    two_ = Open();
  }
  std::unique_ptr<Store> Open() {
    absl::StatusOr<std::unique_ptr<Store>> opened = world_->Open();
    if (opened.ok()) return *std::move(opened);
    ADD_FAILURE() << opened.status();
    std::abort();  // nothing that follows would make sense
  }
  void Committed(const std::vector<Write>& batch) {
    const CommitResult result = one_->Commit(batch);
    ASSERT_EQ(result.kind, Kind::kCommitted) << result.status;
  }
  static int64_t Version(Store& store, const std::string& key) {
    int64_t version = 0;
    const absl::Status status =
        store.reader().Query({"SELECT version FROM items WHERE key=$1", {key}},
                             [&](const RowView& row) { version = row.Int(0); });
    EXPECT_TRUE(status.ok()) << status;
    return version;
  }
  static bool IsMissOrConflict(const CommitResult& result) {
    return result.kind == Kind::kMissed || result.kind == Kind::kConflict;
  }
  // Commits on a thread of its own.
  class UnderWay {
   public:
    UnderWay(Store& store, std::vector<Write> batch)
        : thread_([this, &store, batch = std::move(batch)] { result_ = store.Commit(batch); }) {}
    ~UnderWay() {
      if (thread_.joinable()) thread_.join();
    }
    CommitResult Wait() {
      thread_.join();
      return result_;
    }

   private:
    CommitResult result_;
    std::thread thread_;
  };
  // Both at once, as nearly as threads can.
  std::pair<CommitResult, CommitResult> Race(std::vector<Write> first, std::vector<Write> second) {
    UnderWay other(*two_, std::move(second));
    CommitResult mine = one_->Commit(first);
    return {std::move(mine), other.Wait()};
  }

  const std::unique_ptr<SharedStoreWorld> world_ = GetParam().make();
  std::unique_ptr<Store> one_, two_;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SharedStoreContract);

TEST_P(SharedStoreContract, EachStoreSeesWhatTheOtherCommitted) {
  absl::StatusOr<std::unique_ptr<Reader>> reader = two_->OpenReader();
  ASSERT_TRUE(reader.ok()) << reader.status();
  for (int64_t version = 1; version < 20; ++version) {
    Committed({version == 1 ? Insert("a", 1) : Update("a", version - 1, version)});
    EXPECT_EQ(Version(*two_, "a"), version);
    int64_t seen = 0;
    ASSERT_TRUE((*reader)
                    ->Query({"SELECT version FROM items", {}},
                            [&](const RowView& row) { seen = row.Int(0); })
                    .ok());
    EXPECT_EQ(seen, version);
  }
}

TEST_P(SharedStoreContract, TwoWritersThatReadEachOthersRowsDoNotBothCommit) {
  Committed({Insert("x", 1), Insert("y", 1)});
  // Both have begun, and neither has decided anything, when the way is free.
  std::unique_ptr<SharedStoreWorld::Holder> holder = world_->Hold("x");
  UnderWay first(*one_, {CheckVersion("y", 1), Update("x", 1, 2)});
  UnderWay second(*two_, {CheckVersion("x", 1), Update("y", 1, 2)});
  ASSERT_TRUE(world_->AwaitWaiting(2));
  holder.reset();
  const CommitResult one = first.Wait(), two = second.Wait();
  const bool first_won = one.kind == Kind::kCommitted;
  EXPECT_NE(first_won, two.kind == Kind::kCommitted);
  EXPECT_TRUE(IsMissOrConflict(first_won ? two : one));
  EXPECT_EQ(Version(*one_, "x"), first_won ? 2 : 1);
  EXPECT_EQ(Version(*one_, "y"), first_won ? 1 : 2);
}

TEST_P(SharedStoreContract, OfTwoWritersInARaceOneDecidesAnew) {
  Committed({Insert("x", 1), Insert("y", 1)});
  int64_t x = 1, y = 1;
  for (int round = 0; round < 200; ++round) {
    const auto [one, two] = Race({CheckVersion("y", y), Update("x", x, x + 1)},
                                 {CheckVersion("x", x), Update("y", y, y + 1)});
    const bool first_won = one.kind == Kind::kCommitted;
    ASSERT_NE(first_won, two.kind == Kind::kCommitted) << "round " << round;
    ASSERT_TRUE(IsMissOrConflict(first_won ? two : one)) << (first_won ? two : one).status;
    ++(first_won ? x : y);
  }
}

TEST_P(SharedStoreContract, ACheckOfAbsenceHoldsAgainstAnInsertUnderWay) {
  Committed({Insert("z", 1)});
  std::unique_ptr<SharedStoreWorld::Holder> holder = world_->Hold("z");
  // The insert is done and not committed; the check comes while it stands so.
  UnderWay inserting(*one_, {Insert("k", 1), Update("z", 1, 2)});
  ASSERT_TRUE(world_->AwaitWaiting(1));
  UnderWay checking(*two_, {CheckAbsent("k"), InsertOther("relies on it", 1, 1)});
  ASSERT_TRUE(world_->AwaitWaiting(2));
  holder.reset();
  EXPECT_EQ(inserting.Wait().kind, Kind::kCommitted);
  const CommitResult checked = checking.Wait();
  EXPECT_EQ(checked.kind, Kind::kMissed) << checked.status;
  EXPECT_THAT(checked.missed, testing::ElementsAre(0));
}

TEST_P(SharedStoreContract, AnInsertHoldsAgainstACheckOfItsAbsenceUnderWay) {
  Committed({Insert("m", 1), Insert("x", 1)});
  std::unique_ptr<SharedStoreWorld::Holder> holder = world_->Hold("m");
  // It has found the key absent, and has still to write what the other relies on.
  UnderWay checking(*two_, {CheckAbsent("k"), Update("m", 1, 2), Update("x", 1, 2)});
  ASSERT_TRUE(world_->AwaitWaiting(1));
  UnderWay inserting(*one_, {Insert("k", 1), CheckVersion("x", 1)});
  EXPECT_TRUE(world_->AwaitWaiting(2));
  holder.reset();
  EXPECT_EQ(checking.Wait().kind, Kind::kCommitted);
  EXPECT_EQ(inserting.Wait().kind, Kind::kMissed);
  EXPECT_EQ(Version(*one_, "k"), 0);
}

TEST_P(SharedStoreContract, OfTwoThatInsertWhatTheOtherFoundAbsentOneDecidesAnew) {
  for (int round = 0; round < 200; ++round) {
    const std::string a = absl::StrCat("a", round), b = absl::StrCat("b", round);
    const auto [one, two] = Race({CheckAbsent(a), Insert(b, 1)}, {CheckAbsent(b), Insert(a, 1)});
    const bool first_won = one.kind == Kind::kCommitted;
    ASSERT_NE(first_won, two.kind == Kind::kCommitted) << "round " << round;
    ASSERT_TRUE(IsMissOrConflict(first_won ? two : one)) << (first_won ? two : one).status;
  }
}

TEST_P(SharedStoreContract, OfTwoInsertsOfOneKeyOneMisses) {
  for (int round = 0; round < 100; ++round) {
    const std::string key = absl::StrCat("k", round);
    const auto [one, two] = Race({Insert(key, 1)}, {Insert(key, 1)});
    const bool first_won = one.kind == Kind::kCommitted;
    ASSERT_NE(first_won, two.kind == Kind::kCommitted) << "round " << round;
    ASSERT_EQ((first_won ? two : one).kind, Kind::kMissed);
  }
}

TEST_P(SharedStoreContract, ALockThatIsNotHadInTimeIsAConflict) {
  Committed({Insert("a", 1), Insert("b", 1)});
  std::unique_ptr<SharedStoreWorld::Holder> holder = world_->Hold("b");
  const CommitResult result = two_->Commit({Update("a", 1, 2), Update("b", 1, 2)});
  EXPECT_EQ(result.kind, Kind::kConflict) << result.status;
  EXPECT_THAT(result.missed, testing::IsEmpty());
  EXPECT_EQ(Version(*two_, "a"), 1);
  holder.reset();
  EXPECT_EQ(two_->Commit({Update("a", 1, 2), Update("b", 1, 2)}).kind, Kind::kCommitted);
}

TEST_P(SharedStoreContract, ASerialisationFailureIsAConflict) {
  Committed({Insert("a", 1), Insert("b", 1), Insert("c", 1)});
  std::unique_ptr<SharedStoreWorld::Holder> holder = world_->Hold("c");
  UnderWay deadlocked(*two_, {Update("a", 1, 2), Update("b", 1, 2), Update("c", 1, 2)});
  ASSERT_TRUE(world_->AwaitWaiting(1));
  holder->AlsoTake("b");  // a circle: each waits for the other
  const CommitResult result = deadlocked.Wait();
  EXPECT_EQ(result.kind, Kind::kConflict) << result.status;
  EXPECT_THAT(result.missed, testing::IsEmpty());
  EXPECT_EQ(Version(*one_, "a"), 1);
}

TEST_P(SharedStoreContract, BatchesInOppositeOrderDoNotDeadlock) {
  const std::vector<std::string> keys = {"a", "b", "c", "d", "e", "f"};
  std::vector<Write> all;
  for (const std::string& key : keys) all.push_back(Insert(key, 1));
  Committed(all);
  const auto touch = [](const std::string& key) {
    return Write{"items", key, {"UPDATE items SET version=version+1 WHERE key=$1", {key}}};
  };
  std::vector<Write> upwards, downwards;
  for (const std::string& key : keys) upwards.push_back(touch(key));
  downwards.assign(upwards.rbegin(), upwards.rend());
  for (int round = 0; round < 200; ++round) {
    const auto [one, two] = Race(upwards, downwards);
    ASSERT_EQ(one.kind, Kind::kCommitted) << one.status;
    ASSERT_EQ(two.kind, Kind::kCommitted) << two.status;
  }
  EXPECT_EQ(Version(*one_, "f"), 401);
}

TEST_P(SharedStoreContract, ALostConnectionAtCommitIsUnknown) {
  Committed({Insert("a", 1)});
  absl::StatusOr<std::unique_ptr<Store>> opened = world_->OpenCuttable();
  ASSERT_TRUE(opened.ok()) << opened.status();
  Store& store = **opened;
  int64_t version = 1;
  for (const bool applied : {false, true, false}) {
    ASSERT_EQ(Version(store, "a"), version);
    world_->CutNextCommit(applied);
    const CommitResult result = store.Commit({Update("a", version, version + 1)});
    ASSERT_EQ(result.kind, Kind::kUnknown) << result.status;
    // The mark tells which of the two it was, over the same store and without its being opened
    // anew.
    version += applied ? 1 : 0;
    EXPECT_EQ(Version(store, "a"), version) << applied;
  }
  EXPECT_EQ(store.Commit({Update("a", version, version + 1)}).kind, Kind::kCommitted);
}

TEST_P(SharedStoreContract, AWriterStoppedInsideItsTransactionDoesNotStopTheOthers) {
  Committed({Insert("a", 1), Insert("b", 1)});
  std::unique_ptr<SharedStoreWorld::Holder> stopped = world_->HoldStandingStill("a");
  EXPECT_EQ(one_->Commit({Update("b", 1, 2)}).kind, Kind::kCommitted);
  // The row that it holds: a conflict for as long as the engine waits for a process that may only
  // be slow, then free, while the process still stands there.
  CommitResult result{Kind::kConflict, {}, absl::OkStatus()};
  for (int attempt = 0; attempt < 100 && result.kind == Kind::kConflict; ++attempt) {
    result = one_->Commit({Update("a", 1, 2)});
  }
  EXPECT_EQ(result.kind, Kind::kCommitted) << result.status;
}

TEST_P(SharedStoreContract, TwoMigratorsApplyEachStepOnce) {
  for (int round = 0; round < 5; ++round) {
    const std::unique_ptr<SharedStoreWorld> fresh = GetParam().make();
    absl::StatusOr<std::unique_ptr<Store>> other;
    std::thread beside([&] { other = fresh->Open(); });
    absl::StatusOr<std::unique_ptr<Store>> mine = fresh->Open();
    beside.join();
    ASSERT_TRUE(mine.ok()) << mine.status();
    ASSERT_TRUE(other.ok()) << other.status();
    EXPECT_EQ((*mine)->Commit({Insert("a", 1)}).kind, Kind::kCommitted);
    EXPECT_EQ((*other)->Commit({Insert("a", 1)}).kind, Kind::kMissed);
    other->reset();
    mine->reset();
  }
}

}  // namespace tandem::store

#endif  // TANDEM_TESTS_CONTRACT_STORE_CONTRACT_H_
