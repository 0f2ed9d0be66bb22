#include "common/bus/local_log.h"

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/bus/migrations.h"
#include "common/executor/deterministic.h"
#include "common/store/sqlite.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::bus {
namespace {

using store::CommitResult;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Counts commits, and answers the next ones as it is told.
class FaultyStore : public store::Store {
 public:
  explicit FaultyStore(store::Store* store) : store_(store) {}
  CommitResult Commit(const std::vector<store::Write>& batch) override {
    ++commits_;
    if (!fault_.has_value()) return store_->Commit(batch);
    if (applies_) {
      EXPECT_EQ(store_->Commit(batch).kind, CommitResult::Kind::kCommitted);
    }
    return *std::exchange(fault_, std::nullopt);
  }
  store::Reader& reader() override { return store_->reader(); }
  absl::StatusOr<std::unique_ptr<store::Reader>> OpenReader() override {
    return store_->OpenReader();
  }
  // The next commit answers `fault`; whether it `applies` is another matter.
  void FailNext(CommitResult fault, bool applies) {
    fault_ = std::move(fault);
    applies_ = applies;
  }
  int commits() const { return commits_; }

 private:
  store::Store* const store_;
  std::optional<CommitResult> fault_;
  bool applies_ = false;
  int commits_ = 0;
};

class Ear : public Listener {
 public:
  void Assigned(std::vector<int> partitions) override { assigned = std::move(partitions); }
  void Revoked(std::vector<int> /*partitions*/) override {}
  void Records(int /*partition*/, int64_t /*generation*/, std::vector<RecordPtr> records) override {
    ++deliveries;
    for (const RecordPtr& record : records) {
      heard.push_back(record->event.id);
      offsets.push_back(record->offset);
    }
  }
  void Stopped(int partition, absl::Status why) override { stops.push_back({partition, why}); }

  std::vector<int> assigned;
  int deliveries = 0;
  std::vector<std::string> heard;
  std::vector<int64_t> offsets;
  std::vector<std::pair<int, absl::Status>> stops;
};

const absl::Time kStart = absl::FromUnixSeconds(1'795'000'000);

class LocalLogTest : public testing::Test {
 protected:
  LocalLogTest() {
    store::SqliteOptions file;
    file.path = ":memory:";
    file.schemas = {SqliteSchema()};
    auto opened = store::OpenSqlite(std::move(file));
    EXPECT_TRUE(opened.ok()) << opened.status();
    database_ = *std::move(opened);
    store_ = std::make_unique<FaultyStore>(database_.get());
    options_.partitions = 1;
    Reopen();
  }

  void Reopen() {
    log_.reset();
    auto log = LocalLog::Open(store_.get(), scheduler_.clock(), executor_.get(), options_);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
  }

  void Run() { ASSERT_EQ(scheduler_.RunUntilIdle(), absl::OkStatus()); }

  static Event AnEvent(const std::string& id, size_t body_bytes = 0) {
    return {.id = id,
            .source = "source",
            .type = "type",
            .subject = "subject",
            .key = "key",
            .time = kStart,
            .sequence = 1,
            .cause = "cause",
            .traceparent = "",
            .body = std::string(body_bytes, 'x')};
  }

  // Posts the append and leaves its answer in answers_.
  void Post(const std::vector<std::string>& ids, size_t body_bytes = 0) {
    std::vector<Event> events;
    for (const std::string& id : ids) events.push_back(AnEvent(id, body_bytes));
    log_->Append(std::move(events),
                 [this](absl::Status status) { answers_.push_back(status.code()); });
  }

  void Append(const std::vector<std::string>& ids) {
    answers_.clear();
    Post(ids);
    Run();
    ASSERT_THAT(answers_, ElementsAre(absl::StatusCode::kOk));
  }

  std::unique_ptr<Consumer> Join(const std::string& group, Ear& ear) {
    auto consumer = log_->Join(group, &ear);
    EXPECT_TRUE(consumer.ok()) << consumer.status();
    Run();
    return *std::move(consumer);
  }

  std::vector<std::string> Stored(int64_t from = 0) {
    std::vector<std::string> ids;
    while (from < log_->BoundsOf(0).end) {
      const auto records = log_->ReadRange(0, from, 1000);
      EXPECT_TRUE(records.ok()) << records.status();
      if (!records.ok() || records->empty()) break;
      for (const RecordPtr& record : *records) {
        EXPECT_EQ(record->offset, from++);
        ids.push_back(record->event.id);
      }
    }
    return ids;
  }

  executor::DeterministicScheduler scheduler_{{.start = kStart}};
  std::unique_ptr<executor::Executor> executor_ = scheduler_.NewExecutor("log");
  std::unique_ptr<store::Store> database_;
  std::unique_ptr<FaultyStore> store_;
  LocalLogOptions options_;
  std::vector<absl::StatusCode> answers_;
  std::unique_ptr<LocalLog> log_;
};

TEST_F(LocalLogTest, CannotBeOpenedWithAnotherNumberOfPartitions) {
  log_.reset();
  options_.partitions = 8;
  const auto log = LocalLog::Open(store_.get(), scheduler_.clock(), executor_.get(), options_);
  EXPECT_EQ(log.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(log.status().message()), HasSubstr("1 partitions, not 8"));
}

TEST_F(LocalLogTest, CommitsTogetherWhatQueuedUp) {
  const int before = store_->commits();
  for (int i = 0; i < 50; ++i) Post({absl::StrCat("e", i)});
  EXPECT_THAT(answers_, IsEmpty());
  Run();
  EXPECT_EQ(answers_.size(), 50U);
  EXPECT_EQ(store_->commits(), before + 1);
}

TEST_F(LocalLogTest, CommitsABigQueueInSeveralParts) {
  options_.max_commit_events = 10;
  Reopen();
  const int before = store_->commits();
  std::vector<std::string> expected;
  for (int i = 0; i < 50; ++i) {
    expected.push_back(absl::StrCat("e", i));
    Post({expected.back()});
  }
  Run();
  EXPECT_EQ(answers_.size(), 50U);
  EXPECT_EQ(store_->commits(), before + 5);
  EXPECT_EQ(Stored(), expected);
}

TEST_F(LocalLogTest, TurnsAppendsAwayWhileTooMuchWaits) {
  options_.max_waiting_events = 3;
  Reopen();
  Post({"a", "b"});
  Post({"c"});
  Post({"one too many"});
  Run();
  EXPECT_THAT(answers_, testing::UnorderedElementsAre(absl::StatusCode::kOk, absl::StatusCode::kOk,
                                                      absl::StatusCode::kResourceExhausted));
  Append({"d"});
  EXPECT_THAT(Stored(), ElementsAre("a", "b", "c", "d"));
}

TEST_F(LocalLogTest, BoundsTheBytesThatWaitToo) {
  options_.max_waiting_bytes = 100'000;
  Reopen();
  Post({"a"}, 90'000);
  Post({"b"}, 90'000);
  Run();
  EXPECT_THAT(answers_, testing::UnorderedElementsAre(absl::StatusCode::kOk,
                                                      absl::StatusCode::kResourceExhausted));
}

TEST_F(LocalLogTest, TakesOneAppendHoweverLarge) {
  options_.max_waiting_events = 3;
  options_.max_commit_events = 2;
  Reopen();
  Append({"a", "b", "c", "d", "e"});
  EXPECT_THAT(Stored(), ElementsAre("a", "b", "c", "d", "e"));
}

TEST_F(LocalLogTest, AppendsNothingWhenTheDiskIsFull) {
  Ear ear;
  const auto consumer = Join("g", ear);
  consumer->Seek(0, 0, 1);
  consumer->More(0, 10);
  store_->FailNext({CommitResult::Kind::kFailed, {}, absl::ResourceExhaustedError("disk full")},
                   false);
  Post({"a"});
  Run();
  EXPECT_THAT(answers_, ElementsAre(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(ear.heard, IsEmpty());
  EXPECT_EQ(log_->BoundsOf(0).end, 0);
  Append({"a"});
  EXPECT_THAT(ear.heard, ElementsAre("a"));
  EXPECT_THAT(ear.offsets, ElementsAre(0));
}

TEST_F(LocalLogTest, AsksTheStoreWhenItDoesNotKnowWhetherACommitApplied) {
  Append({"before"});
  for (const bool applies : {true, false}) {
    Ear ear;
    const auto consumer = Join("g", ear);
    const int64_t start = log_->BoundsOf(0).end;
    consumer->Seek(0, start, 1);
    store_->FailNext({CommitResult::Kind::kUnknown, {}, absl::UnavailableError("who knows")},
                     applies);
    answers_.clear();
    Post({"lost?"});
    Run();
    EXPECT_THAT(answers_, ElementsAre(absl::StatusCode::kUnavailable));
    std::optional<int64_t> end;
    log_->EndOffset(0, [&](absl::StatusOr<int64_t> answer) { end = answer.value(); });
    Run();
    EXPECT_EQ(end, start + (applies ? 1 : 0));
    Append({"lost?"});
    for (int i = 0; i < 3; ++i) consumer->More(0, 10);
    Run();
    // At least once, and offsets go on without a hole.
    std::vector<int64_t> expected;
    for (int64_t offset = start; offset < start + (applies ? 2 : 1); ++offset) {
      expected.push_back(offset);
    }
    EXPECT_EQ(ear.offsets, expected);
  }
}

TEST_F(LocalLogTest, AppendsAfterAnUnknownOutcomeWithoutBeingAskedForItsEnd) {
  store_->FailNext({CommitResult::Kind::kUnknown, {}, absl::UnavailableError("who knows")}, true);
  Post({"a"});
  Run();
  answers_.clear();
  Append({"a"});
  EXPECT_THAT(Stored(), ElementsAre("a", "a"));
}

TEST_F(LocalLogTest, ReadsALongWayBackInAnySteps) {
  options_.tail_bytes = 0;
  Reopen();
  std::vector<std::string> expected;
  for (int commit = 0; commit < 30; ++commit) {
    std::vector<std::string> ids;
    for (int i = 0; i < 1 + commit * 30; ++i) ids.push_back(absl::StrCat(commit, ".", i));
    expected.insert(expected.end(), ids.begin(), ids.end());
    Append(ids);
  }
  for (const int step : {1, 7, 300, 100'000}) {
    Ear ear;
    const auto consumer = Join("g", ear);
    consumer->Seek(0, 0, step);
    while (ear.heard.size() < expected.size()) {
      const size_t before = ear.heard.size();
      consumer->More(0, step);
      Run();
      ASSERT_GT(ear.heard.size(), before);
      ASSERT_LE(ear.heard.size(), before + static_cast<size_t>(step));
    }
    EXPECT_EQ(ear.heard, expected);
  }
}

TEST_F(LocalLogTest, ShowsARangeFromMemoryAndFromTheStoreAlike) {
  for (const size_t tail_bytes : {size_t{0}, size_t{1} << 20}) {
    options_.tail_bytes = tail_bytes;
    Reopen();
    Append({"a", "b", "c"});
    const int64_t end = log_->BoundsOf(0).end;
    const auto two = log_->ReadRange(0, end - 3, 2);
    ASSERT_TRUE(two.ok());
    ASSERT_EQ(two->size(), 2U);
    EXPECT_EQ(two->front()->event.id, "a");
    EXPECT_EQ(two->back()->offset, end - 2);
    EXPECT_THAT(*log_->ReadRange(0, end, 2), IsEmpty());
    EXPECT_EQ(log_->ReadRange(0, end + 1, 2).status().code(), absl::StatusCode::kOutOfRange);
    EXPECT_EQ(log_->ReadRange(0, -1, 2).status().code(), absl::StatusCode::kOutOfRange);
    EXPECT_EQ(log_->ReadRange(1, 0, 2).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(log_->ReadRange(0, 0, 0).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(LocalLogTest, StopsAPartitionThatIsDamaged) {
  Append({"a"});
  Append({"b"});
  Append({"c"});
  Reopen();  // without a tail
  ASSERT_EQ(database_
                ->Commit({{"log_segments",
                           "x",
                           {"UPDATE log_segments SET events=$1 WHERE last_offset=1",
                            {store::Value(store::Blob{"\x01\x05"})}},
                           store::Expect::kOneRow}})
                .kind,
            CommitResult::Kind::kCommitted);
  Ear ear;
  const auto consumer = Join("g", ear);
  consumer->Seek(0, 0, 1);
  for (int i = 0; i < 3; ++i) consumer->More(0, 10);
  Run();
  EXPECT_THAT(ear.heard, ElementsAre("a"));
  ASSERT_EQ(ear.stops.size(), 1U);
  EXPECT_EQ(ear.stops.front().second.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(ear.stops.front().second.message()), HasSubstr("partition 0"));
}

TEST_F(LocalLogTest, StopsAPartitionThatLacksASegment) {
  Append({"a"});
  Append({"b"});
  Append({"c"});
  Reopen();
  ASSERT_EQ(database_
                ->Commit({{"log_segments",
                           "x",
                           {"DELETE FROM log_segments WHERE last_offset=1", {}},
                           store::Expect::kOneRow}})
                .kind,
            CommitResult::Kind::kCommitted);
  Ear ear;
  const auto consumer = Join("g", ear);
  consumer->Seek(0, 0, 1);
  for (int i = 0; i < 3; ++i) consumer->More(0, 10);
  Run();
  EXPECT_THAT(ear.heard, ElementsAre("a"));
  ASSERT_EQ(ear.stops.size(), 1U);
  EXPECT_EQ(ear.stops.front().second.code(), absl::StatusCode::kDataLoss);
}

TEST_F(LocalLogTest, TellsAGroupThatItCouldNotBeStoredAndTriesAgain) {
  store_->FailNext({CommitResult::Kind::kFailed, {}, absl::ResourceExhaustedError("disk full")},
                   false);
  Ear ear;
  const auto consumer = log_->Join("g", &ear);
  ASSERT_EQ(scheduler_.RunFor(absl::Milliseconds(500)), absl::OkStatus());
  ASSERT_EQ(ear.stops.size(), 1U);
  EXPECT_EQ(ear.stops.front().second.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(ear.assigned, IsEmpty());
  ASSERT_EQ(scheduler_.RunFor(absl::Seconds(1)), absl::OkStatus());
  EXPECT_THAT(ear.assigned, ElementsAre(0));
}

class Retention : public LocalLogTest {
 protected:
  Retention() {
    // Many segments, so that pruning takes several commits.
    for (int i = 0; i < 200; ++i) Append({absl::StrCat("old", i)});
  }
  // A week and a bit later, an append that also lets the log look for what is too old.
  void AWeekLater() {
    ASSERT_EQ(scheduler_.RunFor(options_.retention + absl::Minutes(5)), absl::OkStatus());
    Append({absl::StrCat("new", ++appends_)});
    ASSERT_EQ(scheduler_.RunFor(options_.prune_every), absl::OkStatus());
    Append({absl::StrCat("new", ++appends_)});
  }
  int appends_ = 0;
};

TEST_F(Retention, TakesWhatIsTooOldAndKeepsTheRest) {
  AWeekLater();
  EXPECT_THAT(Stored(log_->BoundsOf(0).first), ElementsAre("new1", "new2"));
  EXPECT_EQ(log_->BoundsOf(0).first, 200);
  Ear ear;
  const auto consumer = Join("late", ear);
  consumer->Seek(0, 199, 1);
  consumer->More(0, 10);
  Run();
  ASSERT_EQ(ear.stops.size(), 1U);
  EXPECT_EQ(ear.stops.front().second.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(ear.stops.front().second.message()),
              HasSubstr("offset 199 is not in the log, which has 200 up to, not including, 202"));
  Reopen();
  EXPECT_EQ(log_->BoundsOf(0).first, 200);
  EXPECT_EQ(log_->BoundsOf(0).end, 202);
}

TEST_F(Retention, TakesNothingYoung) {
  ASSERT_EQ(scheduler_.RunFor(options_.retention - absl::Minutes(1)), absl::OkStatus());
  Append({"new"});
  EXPECT_EQ(log_->BoundsOf(0).first, 0);
}

TEST_F(Retention, KeepsTheLastRecordThatOffsetsGoOnFrom) {
  ASSERT_EQ(scheduler_.RunFor(2 * options_.retention), absl::OkStatus());
  // An append of nothing writes nothing, but lets the log look.
  Append({});
  EXPECT_EQ(log_->BoundsOf(0).first, 199);
  Reopen();
  Append({"new"});
  // With a newer one behind it, the last old record goes, too.
  EXPECT_EQ(log_->BoundsOf(0).first, 200);
  EXPECT_THAT(Stored(200), ElementsAre("new"));
}

TEST_F(Retention, TakesNothingThatAGroupHasNotPassed) {
  Ear quick_ear;
  Ear slow_ear;
  const auto quick = Join("quick", quick_ear);
  const auto slow = Join("slow", slow_ear);
  quick->ReportPosition(0, 200);
  AWeekLater();
  EXPECT_EQ(log_->BoundsOf(0).first, 0) << "slow has not reported";
  slow->ReportPosition(0, 150);
  AWeekLater();
  EXPECT_EQ(log_->BoundsOf(0).first, 150);
  slow->ReportPosition(0, 200);
  AWeekLater();
  EXPECT_EQ(log_->BoundsOf(0).first, 200);
}

TEST_F(Retention, WaitsAfterARestartForEveryGroupThatEverJoined) {
  Ear ear;
  {
    const auto gone = Join("gone", ear);
    gone->ReportPosition(0, 200);
  }
  Reopen();
  AWeekLater();
  EXPECT_EQ(log_->BoundsOf(0).first, 0);
  const auto back = Join("gone", ear);
  back->ReportPosition(0, 120);
  AWeekLater();
  EXPECT_EQ(log_->BoundsOf(0).first, 120);
}

TEST_F(Retention, StandsStillWhenItCannotCommitAndGoesOnLater) {
  // The append commits; its pruning does not.
  ASSERT_EQ(scheduler_.RunFor(options_.retention + absl::Minutes(5)), absl::OkStatus());
  Post({"new"});
  while (answers_.size() < 2) ASSERT_TRUE(scheduler_.Step());
  store_->FailNext({CommitResult::Kind::kFailed, {}, absl::ResourceExhaustedError("disk full")},
                   false);
  Run();
  EXPECT_EQ(log_->BoundsOf(0).first, 0);
  AWeekLater();
  EXPECT_EQ(log_->BoundsOf(0).first, 201);
}

}  // namespace
}  // namespace tandem::bus
