#include "common/transfer/source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/bus/migrations.h"
#include "common/bus/segment.h"
#include "common/lane/migrations.h"
#include "common/postgres/copy_format.h"
#include "common/store/sqlite.h"

namespace tandem::transfer {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kPartitions = 4;

store::Write Line(std::string sql, std::vector<store::Value> params = {}) {
  return {"", "", {std::move(sql), std::move(params)}, store::Expect::kAnyRows};
}

// A folder as a program leaves it: one service, and a log whose partition 1 holds offsets 5 to 7.
class SourceTest : public ::testing::Test {
 protected:
  SourceTest() : folder_(::testing::TempDir() + "source.XXXXXX") {
    if (mkdtemp(folder_.data()) == nullptr) ADD_FAILURE() << "no folder like " << folder_;
  }
  ~SourceTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, store::Schema schema, std::vector<store::Write> lines) {
    store::SqliteOptions options;
    options.path = folder_ + "/" + name + ".db";
    options.schemas = {std::move(schema)};
    auto store = store::OpenSqlite(std::move(options));
    ASSERT_TRUE(store.ok()) << store.status();
    const store::CommitResult result = (*store)->Commit(lines);
    ASSERT_EQ(result.kind, store::CommitResult::Kind::kCommitted) << result.status;
  }
  void WriteLog() {
    std::vector<bus::RecordPtr> records;
    for (const char* id : {"five", "six", "seven"}) {
      auto record = std::make_shared<bus::Record>();
      record->event.id = id;
      records.push_back(std::move(record));
    }
    Write(
        "log", bus::SqliteSchema(),
        {Line("INSERT INTO log_shape (key, partitions) VALUES ('log', $1)", {int64_t{kPartitions}}),
         Line("INSERT INTO log_segments (partition, last_offset, first_offset, appended_at, "
              "events) VALUES (1, 7, 5, 0, $1)",
              {store::Blob{bus::EncodeSegment(records)}})});
  }
  void WriteService(std::vector<store::Write> lines, int64_t partitions = kPartitions) {
    lines.push_back(
        Line("INSERT INTO bus_shape (key, partitions) VALUES ('bus', $1)", {partitions}));
    Write("one", lane::SqliteSchema(), std::move(lines));
  }

  static absl::StatusOr<std::vector<std::string>> Rows(Source& source, const TablePlan& table,
                                                       const OffsetMap* offsets) {
    std::vector<std::string> rows;
    absl::Status read =
        source.ReadRows(0, table, offsets, [&](std::string_view row) -> absl::Status {
          rows.emplace_back(row);
          return absl::OkStatus();
        });
    if (!read.ok()) return read;
    return rows;
  }

  std::string folder_;
};

std::string Position(int64_t partition, int64_t next_offset, int64_t epoch) {
  store::CopyRow row;
  row.Start(4);
  row.AddInt(partition);
  row.AddInt(next_offset);
  row.AddInt(epoch);
  row.AddBytes("");
  return std::string(row.bytes());
}

TablePlan Positions() {
  return {.name = "positions",
          .columns = {{"partition", Kind::kInteger},
                      {"next_offset", Kind::kInteger, Rewrite::kOffset},
                      {"epoch", Kind::kInteger},
                      {"owner", Kind::kText, Rewrite::kClear}},
          .key = {"partition"},
          .partition_column = 0};
}

// The log's records at 100 and 101 and, behind a hole, 103.
OffsetMap Elsewhere() {
  OffsetMap offsets(kPartitions);
  offsets.Add(1, 5, 100);
  offsets.Add(1, 6, 101);
  offsets.Add(1, 7, 103);
  offsets.End(0, 0, 40);
  offsets.End(1, 8, 104);
  offsets.End(2, 0, 41);
  offsets.End(3, 0, 42);
  return offsets;
}

TEST_F(SourceTest, AFileThatIsMissingIsNamedAndNotMade) {
  const auto nothing = Source::Open(folder_, {"one"});
  EXPECT_EQ(nothing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(nothing.status().message()), HasSubstr(folder_ + "/log.db"));
  WriteLog();
  const auto no_service = Source::Open(folder_, {"one"});
  EXPECT_THAT(std::string(no_service.status().message()), HasSubstr(folder_ + "/one.db"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/one.db"));
}

TEST_F(SourceTest, FilesThatAreInUseAreRefused) {
  WriteLog();
  WriteService({});
  const auto source = Source::Open(folder_, {"one"});
  ASSERT_TRUE(source.ok()) << source.status();
  const auto second = Source::Open(folder_, {"one"});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("is in use by process"));
}

TEST_F(SourceTest, AServiceOfAnotherLogIsRefused) {
  WriteLog();
  WriteService({}, /*partitions=*/12);
  const auto source = Source::Open(folder_, {"one"});
  EXPECT_EQ(source.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(source.status().message()),
              AllOf(HasSubstr("one.db belongs to a log of 12 partitions"), HasSubstr("has 4")));
}

TEST_F(SourceTest, TheLogIsReadFromWhereItBegins) {
  WriteLog();
  WriteService({});
  auto source = Source::Open(folder_, {"one"});
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ(source->partitions(), kPartitions);
  EXPECT_EQ(source->bounds(1).first, 5);
  EXPECT_EQ(source->bounds(1).end, 8);
  Records records = source->ReadLog(1, 6);
  std::vector<std::string> ids;
  for (auto record = records.Next(); record.ok() && *record != nullptr; record = records.Next()) {
    ids.push_back((*record)->event.id);
  }
  EXPECT_THAT(ids, ElementsAre("six", "seven"));
}

TEST_F(SourceTest, APositionKeepsItsRecordAndLosesItsOwner) {
  WriteLog();
  WriteService(
      {Line("INSERT INTO positions (partition, next_offset, epoch, owner) VALUES "
            "(1, 7, 3, 'gone')")});
  auto source = Source::Open(folder_, {"one"});
  ASSERT_TRUE(source.ok()) << source.status();
  const OffsetMap offsets = Elsewhere();
  const auto rows = Rows(*source, Positions(), &offsets);
  ASSERT_TRUE(rows.ok()) << rows.status();
  // Partitions that were never read begin with the other log, not with its offset 0.
  EXPECT_THAT(*rows, ElementsAre(Position(0, 40, 0), Position(1, 103, 3), Position(2, 41, 0),
                                 Position(3, 42, 0)));
}

TEST_F(SourceTest, APositionOutsideTheLogIsRefused) {
  WriteLog();
  WriteService(
      {Line("INSERT INTO positions (partition, next_offset, epoch, owner) VALUES "
            "(1, 4, 3, '')")});
  auto source = Source::Open(folder_, {"one"});
  ASSERT_TRUE(source.ok()) << source.status();
  const OffsetMap offsets = Elsewhere();
  const auto rows = Rows(*source, Positions(), &offsets);
  EXPECT_EQ(rows.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(rows.status().message()),
              HasSubstr("one, table positions: offset 4 of partition 1 is not in the log"));
}

TEST_F(SourceTest, AValueOfAnotherTypeIsNotGuessedAt) {
  WriteLog();
  WriteService({Line("INSERT INTO parked_subjects (subject, version) VALUES ('a', 'many')")});
  auto source = Source::Open(folder_, {"one"});
  ASSERT_TRUE(source.ok()) << source.status();
  const TablePlan table{.name = "parked_subjects",
                        .columns = {{"subject", Kind::kText}, {"version", Kind::kInteger}},
                        .key = {"subject"}};
  const auto rows = Rows(*source, table, nullptr);
  EXPECT_EQ(rows.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(rows.status().message()),
              HasSubstr("one, table parked_subjects: 1 rows"));
}

TEST_F(SourceTest, KnowsWhatWasCountedToEvenIfTheRowsAreGone) {
  WriteLog();
  WriteService({Line("INSERT INTO outbox (id, event_id, type, subject, key, time, cause, "
                     "traceparent, created_at, body) VALUES (41, '', '', '', '', 0, '', '', 0, "
                     "x'')"),
                Line("DELETE FROM outbox")});
  const auto source = Source::Open(folder_, {"one"});
  ASSERT_TRUE(source.ok()) << source.status();
  std::vector<std::string> names;
  for (const Table& table : source->services().front().tables) {
    names.push_back(table.name);
    if (table.name == "outbox") {
      EXPECT_EQ(table.last_id, 41);
    }
    if (table.name == "request_marks") {
      EXPECT_TRUE(table.has_rowid);
    }
    if (table.name == "timers") {
      EXPECT_FALSE(table.has_rowid);
    }
  }
  EXPECT_THAT(names, testing::Contains("outbox"));
  EXPECT_THAT(names, testing::Not(testing::Contains("sqlite_sequence")));
  EXPECT_THAT(names, testing::Not(testing::Contains("schema_migrations")));
  EXPECT_FALSE(source->services().front().steps.empty());
}

// What `tandem serve` says when it opens its log.
absl::Status Serve(const std::string& folder) {
  store::SqliteOptions options;
  options.path = folder + "/log.db";
  options.schemas = {bus::SqliteSchema()};
  return store::OpenSqlite(std::move(options)).status();
}

TEST_F(SourceTest, AFolderThatWasMovedIsNotServedAgain) {
  WriteLog();
  WriteService({});
  ASSERT_TRUE(Serve(folder_).ok());
  {
    auto source = Source::Open(folder_, {"one"});
    ASSERT_TRUE(source.ok()) << source.status();
    EXPECT_EQ(source->mark().state, FolderMark::State::kNone);
    ASSERT_TRUE(source->SetMark(Begun(folder_, "postgresql://db/tandem")).ok());
  }
  const absl::Status begun = Serve(folder_);
  EXPECT_EQ(begun.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(begun.message()),
              AllOf(HasSubstr(folder_),
                    HasSubstr("to postgresql://db/tandem has not come to its "
                              "end. Run the same move again"),
                    HasSubstr("--release")));
  {
    auto source = Source::Open(folder_, {"one"});
    ASSERT_TRUE(source.ok()) << source.status();
    EXPECT_EQ(source->mark().state, FolderMark::State::kBegun);
    EXPECT_EQ(source->mark().place, "postgresql://db/tandem");
    EXPECT_EQ(CheckMark(folder_, source->mark()).code(), absl::StatusCode::kFailedPrecondition);
    ASSERT_TRUE(source->SetMark(Moved(folder_, "postgresql://db/tandem", "2026-11-30")).ok());
  }
  const absl::Status moved = Serve(folder_);
  EXPECT_EQ(moved.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(moved.message()),
              AllOf(HasSubstr(folder_), HasSubstr("moved to postgresql://db/tandem at 2026-11-30"),
                    HasSubstr("tandemctl migrate --data " + folder_ + " --release")));
  // It is still read.
  EXPECT_TRUE(Source::Open(folder_, {"one"}).ok());
}

TEST_F(SourceTest, AFolderThatIsReleasedIsServedAgain) {
  WriteLog();
  WriteService({});
  {
    auto source = Source::Open(folder_, {"one"});
    ASSERT_TRUE(source.ok()) << source.status();
    ASSERT_TRUE(source->SetMark(Moved(folder_, "postgresql://db/tandem", "2026-11-30")).ok());
    EXPECT_EQ(ReleaseFolder(folder_).status().code(), absl::StatusCode::kFailedPrecondition);
  }
  const auto released = ReleaseFolder(folder_);
  ASSERT_TRUE(released.ok()) << released.status();
  EXPECT_EQ(released->place, "postgresql://db/tandem");
  EXPECT_TRUE(Serve(folder_).ok());
  EXPECT_EQ(ReleaseFolder(folder_)->state, FolderMark::State::kNone);
  EXPECT_EQ(ReleaseFolder(folder_ + "/nowhere").status().code(), absl::StatusCode::kNotFound);
}

TEST(Content, TellsOrderAndNumberApart) {
  Content ab, ba, a;
  ab.Add("a");
  ab.Add("b");
  ba.Add("b");
  ba.Add("a");
  a.Add("a");
  EXPECT_NE(ab, ba);
  EXPECT_NE(ab, a);
  EXPECT_THAT(Content().hash, IsEmpty());
}

}  // namespace
}  // namespace tandem::transfer
