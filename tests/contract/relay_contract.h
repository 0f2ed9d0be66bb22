// What the relay (common/outbox/relay.h) promises, whatever store and bus it stands between: every
// committed event reaches the bus, in the order of the commits, at least once, and nothing polls.
//
// The cases here need one process; what several show is in replicas_test.cc.
#ifndef TANDEM_TESTS_CONTRACT_RELAY_CONTRACT_H_
#define TANDEM_TESTS_CONTRACT_RELAY_CONTRACT_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/testing/ledger.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/contract/rig.h"

namespace tandem::contract {

using ::testing::ElementsAreArray;
using ::testing::Ge;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RelayContract : public ::testing::TestWithParam<Engine> {
 protected:
  using Append = enum SpoiltBus::Append;

  // Commits `count` events of several keys, a few a batch.
  void Commit(Rig& rig, int count, int a_batch = 5) {
    for (int i = 0; i < count; ++i) {
      const std::string id = absl::StrCat("r", ++made_);
      rig.Put<testing::AddResponse>("Add", AddOf(id, absl::StrCat("box", made_ % 7)), &replies_);
      if (i % a_batch == a_batch - 1) rig.Settle();
    }
    rig.Settle();
    EXPECT_EQ(replies_.size(), static_cast<size_t>(made_));
    for (const auto& reply : replies_) EXPECT_TRUE(reply.ok()) << reply.status();
  }
  // Writes down the ids of the events as they are committed.
  void Note(Rig& rig) {
    rig.store().Watch([this](const std::vector<store::Write>& batch) {
      for (const store::Write& line : batch) {
        if (line.table == "outbox" && line.expect == store::Expect::kOneRow) {
          committed_.push_back(std::get<std::string>(line.statement.params[0]));
        }
      }
    });
  }
  static std::vector<std::string> Flat(const std::vector<std::vector<std::string>>& appends) {
    std::vector<std::string> ids;
    for (const auto& append : appends) ids.insert(ids.end(), append.begin(), append.end());
    return ids;
  }
  static std::vector<std::string> Ids(const std::vector<bus::Event>& events) {
    std::vector<std::string> ids;
    for (const bus::Event& event : events) ids.push_back(event.id);
    return ids;
  }
  // No partition shows an event before one that was committed earlier, repetitions aside.
  static void ExpectNoneSkipped(Rig& rig) {
    for (int partition = 0; partition < rig.bus().partitions(); ++partition) {
      int64_t highest = 0;
      std::set<int64_t> seen;
      for (const bus::RecordPtr& record : rig.Log(partition)) {
        const bus::Event& event = record->event;
        if (event.source != "ledger") continue;
        if (seen.insert(event.sequence).second) {
          EXPECT_GT(event.sequence, highest) << "partition " << partition;
        }
        highest = std::max(highest, event.sequence);
      }
    }
  }

  int64_t made_ = 0;
  std::vector<absl::StatusOr<testing::AddResponse>> replies_;
  std::vector<std::string> committed_;
};

TEST_P(RelayContract, PublishesInTheOrderOfTheCommitsAPageAtATime) {
  for (const size_t page : {1u, 2u, 5u, 22u, 23u, 512u}) {
    RigOptions options;
    options.runtime.relay.max_events = page;
    Rig rig(GetParam(), options);
    committed_.clear();
    replies_.clear();
    made_ = 0;
    Note(rig);
    rig.bus().SetAppend(Append::kRefused);
    Commit(rig, 23);
    rig.bus().SetAppend(Append::kTaken);
    const size_t refused = rig.bus().appends().size();
    rig.Advance(absl::Minutes(1));
    ASSERT_THAT(committed_, SizeIs(23));
    std::vector<std::vector<std::string>> appends = rig.bus().appends();
    for (const auto& append : appends) EXPECT_LE(append.size(), page);
    appends.erase(appends.begin(), appends.begin() + static_cast<std::ptrdiff_t>(refused));
    EXPECT_THAT(Flat(appends), ElementsAreArray(committed_)) << "page " << page;
    EXPECT_THAT(Ids(rig.Published()), ElementsAreArray(committed_)) << "page " << page;
    EXPECT_EQ(appends.size(), (23 + page - 1) / page);
    EXPECT_EQ(rig.Count("outbox"), 0);
    ExpectNoneSkipped(rig);
  }
}

TEST_P(RelayContract, AnEventIsWhatTheDecisionSaid) {
  Rig rig(GetParam());
  rig.Settle();
  rig.Advance(absl::Milliseconds(1500));
  const bus::Event fact = rig.Added("k", 4);
  rig.Deliver({fact});
  rig.Deliver({rig.Added("k", 5)});
  const std::vector<bus::Event> events = rig.Published();
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_EQ(events[0].source, "ledger");
  EXPECT_EQ(events[0].type, "tandem.testing.Added");
  EXPECT_EQ(events[0].subject, "k");
  EXPECT_EQ(events[0].key, "k");
  EXPECT_EQ(events[0].cause, fact.id);
  EXPECT_EQ(events[0].time, rig.Now());
  EXPECT_GE(events[0].sequence, 1);
  EXPECT_GT(events[1].sequence, events[0].sequence);
  EXPECT_NE(events[1].id, events[0].id);
  testing::Added body;
  ASSERT_TRUE(body.ParseFromString(events[0].body));
  EXPECT_EQ(body.amount(), 4);
}

TEST_P(RelayContract, ACommitWakesItInTheSameInstant) {
  Rig rig(GetParam());
  rig.Settle();
  for (int i = 0; i < 5; ++i) {
    const absl::Time now = rig.Now();
    Commit(rig, 1);
    EXPECT_EQ(rig.Now(), now);
    EXPECT_THAT(rig.Published(), SizeIs(i + 1));
    rig.Advance(absl::Hours(1));
  }
}

TEST_P(RelayContract, ARowGoesOnlyAfterTheBusHasItForGood) {
  Rig rig(GetParam());
  rig.bus().SetAppend(Append::kSilent);
  Commit(rig, 3, 3);
  rig.Advance(absl::Hours(1));
  EXPECT_EQ(rig.Count("outbox"), 3);
  rig.bus().SetAppend(Append::kTaken);
  rig.Restart();
  rig.Advance(absl::Seconds(1));
  EXPECT_EQ(rig.Count("outbox"), 0);
}

TEST_P(RelayContract, OneAppendIsUnderWayAtATime) {
  Rig rig(GetParam());
  rig.Settle();
  rig.bus().SetAppend(Append::kSilent);
  Commit(rig, 20, 2);
  rig.Advance(absl::Hours(1));
  EXPECT_THAT(rig.bus().appends(), SizeIs(1));
  EXPECT_EQ(rig.Count("outbox"), 20);
}

TEST_P(RelayContract, PublishesAgainWhatWasNotDeletedWhenItWasKilled) {
  Rig rig(GetParam());
  Note(rig);
  rig.Settle();
  rig.bus().SetAppend(Append::kSilent);
  Commit(rig, 4, 4);
  EXPECT_THAT(rig.PublishedRaw(), SizeIs(4));
  rig.bus().SetAppend(Append::kTaken);
  rig.Restart();
  rig.Advance(absl::Seconds(1));
  EXPECT_THAT(rig.PublishedRaw(), SizeIs(8));
  const std::vector<bus::Event> events = rig.Published();
  EXPECT_THAT(Ids(events), ElementsAreArray(committed_));
  // The repetition is the same event, sequence and all: that is how consumers drop it.
  std::map<std::string, bus::Event> by_id;
  for (const bus::Event& event : rig.PublishedRaw()) {
    const auto [first, is_new] = by_id.emplace(event.id, event);
    EXPECT_TRUE(first->second == event) << event.id;
  }
  ExpectNoneSkipped(rig);
}

TEST_P(RelayContract, LosesAndSkipsNoneWhereverItsProcessIsKilled) {
  bool ended = false;
  int64_t kill_at = 0;
  for (; !ended; ++kill_at) {
    RigOptions options;
    options.runtime.relay.max_events = 2;
    Rig rig(GetParam(), options);
    rig.Settle();
    for (int i = 0; i < 5; ++i) {
      rig.Put<testing::AddResponse>("Add", AddOf(absl::StrCat("r", i), absl::StrCat("b", i % 2)),
                                    &replies_);
    }
    const absl::Time end = rig.Now() + absl::Seconds(5);
    for (int64_t step = 0; step < kill_at && !ended; ++step) {
      ended = rig.scheduler().NextInstant() > end || !rig.scheduler().Step();
    }
    // What was acknowledged by then must come.
    const int64_t committed = rig.Count("entries");
    rig.Restart();
    rig.Advance(absl::Seconds(10));
    EXPECT_THAT(rig.Published(), SizeIs(committed));
    EXPECT_EQ(rig.Count("outbox"), 0);
    ExpectNoneSkipped(rig);
    // Ids never come again, so that an order stays an order: also from an emptied table.
    const int64_t before = committed == 0 ? 0 : rig.Published().back().sequence;
    ASSERT_TRUE(rig.Add("later", "b").ok());
    EXPECT_GT(rig.Published().back().sequence, before);
    if (HasFailure()) FAIL() << "killed after step " << kill_at;
  }
  EXPECT_GT(kill_at, 10);
}

TEST_P(RelayContract, LosesAndSkipsNoneWhateverBecomesOfACommit) {
  for (const testing::Fault& fault : CommitFaults()) {
    int64_t commits = 1;
    for (int64_t number = 0; number < commits; ++number) {
      RigOptions options;
      options.runtime.relay.max_events = 2;
      Rig rig(GetParam(), options);
      rig.Advance(absl::Seconds(1));
      const int64_t before = rig.store().commits();
      rig.store().FaultAt(before + number, fault);
      for (int i = 0; i < 6; ++i) {
        rig.Put<testing::AddResponse>("Add", AddOf(absl::StrCat("r", i), absl::StrCat("b", i % 2)),
                                      &replies_);
        if (i % 2 == 1) rig.Advance(absl::Milliseconds(30));
      }
      rig.Advance(absl::Seconds(10));
      commits = std::max(commits, rig.store().commits() - before);
      EXPECT_THAT(rig.Published(), SizeIs(rig.Count("entries")));
      if (fault.kind != testing::Fault::Kind::kFailed) {
        EXPECT_EQ(rig.Count("outbox"), 0);
      }
      // Rows whose deletion failed go with the next start at the latest.
      rig.Restart();
      rig.Advance(absl::Seconds(10));
      EXPECT_EQ(rig.Count("outbox"), 0);
      EXPECT_THAT(rig.Published(), SizeIs(rig.Count("entries")));
      ExpectNoneSkipped(rig);
      if (HasFailure()) {
        FAIL() << "commit " << number << ", fault " << static_cast<int>(fault.kind);
      }
    }
  }
}

TEST_P(RelayContract, WhileTheBusIsDownItWaitsLongerAndLongerAndThenPublishesAllInOrder) {
  RigOptions options;
  options.runtime.relay.max_events = 8;
  options.runtime.relay.first_back_off = absl::Milliseconds(50);
  options.runtime.relay.last_back_off = absl::Seconds(5);
  Rig rig(GetParam(), options);
  Note(rig);
  rig.bus().SetAppend(Append::kRefused);
  Commit(rig, 30);
  rig.Advance(absl::Minutes(1));
  Commit(rig, 10);  // a wake-up does not cut the waiting short
  rig.Advance(absl::Minutes(1));
  const std::vector<absl::Time> tries = rig.bus().append_instants();
  ASSERT_THAT(tries, SizeIs(Ge(10)));
  EXPECT_LE(tries.size(), 40u);
  absl::Duration last;
  for (size_t i = 1; i < tries.size(); ++i) {
    const absl::Duration wait = tries[i] - tries[i - 1];
    EXPECT_GE(wait, std::max(last, absl::Milliseconds(50)));
    EXPECT_LE(wait, absl::Seconds(5));
    last = wait;
  }
  EXPECT_EQ(last, absl::Seconds(5));
  EXPECT_THAT(rig.PublishedRaw(), IsEmpty());
  EXPECT_EQ(rig.Count("outbox"), 40);
  rig.bus().SetAppend(Append::kTaken);
  rig.Advance(absl::Seconds(6));
  ASSERT_THAT(committed_, SizeIs(40));
  EXPECT_THAT(Ids(rig.PublishedRaw()), SizeIs(40));
  EXPECT_THAT(Ids(rig.Published()), ElementsAreArray(committed_));
  EXPECT_EQ(rig.Count("outbox"), 0);
  ExpectNoneSkipped(rig);
  // The next trouble begins with the short wait again.
  rig.bus().SetAppend(Append::kRefused);
  const size_t before = rig.bus().append_instants().size();
  Commit(rig, 1);
  rig.Advance(absl::Milliseconds(50));
  EXPECT_EQ(rig.bus().append_instants().size(), before + 2);
}

TEST_P(RelayContract, AnAppendWhoseAnswerWasLostIsRepeatedAndNothingBehindItOvertakes) {
  RigOptions options;
  options.runtime.relay.max_events = 3;
  Rig rig(GetParam(), options);
  Note(rig);
  rig.bus().SetAppend(Append::kAnswerLost);
  Commit(rig, 7, 7);
  rig.Advance(absl::Milliseconds(120));
  // The first page, again and again; none behind it.
  EXPECT_THAT(rig.Published(), SizeIs(3));
  EXPECT_THAT(rig.PublishedRaw(), SizeIs(Ge(6)));
  rig.bus().SetAppend(Append::kTaken);
  rig.Advance(absl::Seconds(10));
  EXPECT_THAT(Ids(rig.Published()), ElementsAreArray(committed_));
  EXPECT_EQ(rig.Count("outbox"), 0);
  ExpectNoneSkipped(rig);
}

TEST_P(RelayContract, AStoreThatCannotBeReadIsLookedAtAgain) {
  Rig rig(GetParam());
  rig.Settle();
  rig.bus().SetAppend(Append::kRefused);
  Commit(rig, 3);
  rig.store().FailReads(true);
  rig.bus().SetAppend(Append::kTaken);
  rig.Advance(absl::Minutes(1));
  EXPECT_THAT(rig.PublishedRaw(), IsEmpty());
  rig.store().FailReads(false);
  rig.Advance(absl::Seconds(6));
  EXPECT_THAT(rig.Published(), SizeIs(3));
}

TEST_P(RelayContract, NothingPollsWhileNothingHappens) {
  Rig rig(GetParam());
  Commit(rig, 10);
  rig.Advance(absl::Seconds(1));
  const int64_t steps = rig.scheduler().steps();
  rig.Advance(absl::Hours(24 * 365));
  EXPECT_EQ(rig.scheduler().steps(), steps);
  // Nor while the bus does not answer: its answer is the wake-up.
  rig.bus().SetAppend(Append::kSilent);
  Commit(rig, 10);
  rig.Advance(absl::Seconds(1));
  const int64_t waiting = rig.scheduler().steps();
  rig.Advance(absl::Hours(24));
  EXPECT_EQ(rig.scheduler().steps(), waiting);
}

TEST_P(RelayContract, WhateverOrderTheThreadsTakeTheEventsKeepTheirs) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    RigOptions options;
    options.shuffle = seed;
    options.runtime.relay.max_events = 1 + seed % 4;
    options.runtime.lane.max_batch = 1 + seed % 3;
    Rig rig(GetParam(), options);
    committed_.clear();
    replies_.clear();
    made_ = 0;
    Note(rig);
    Commit(rig, 40, 9);
    if (seed % 2 == 0) rig.Restart();
    Commit(rig, 10, 3);
    rig.Advance(absl::Minutes(1));
    EXPECT_THAT(Ids(rig.Published()), ElementsAreArray(committed_)) << "seed " << seed;
    EXPECT_EQ(rig.Count("outbox"), 0);
    ExpectNoneSkipped(rig);
  }
}

TEST_P(RelayContract, ADeletionThatFailedIsTriedAgainInTheSameProcess) {
  Rig rig(GetParam());
  rig.Advance(absl::Seconds(1));
  bool failed = false;
  rig.store().Watch([&](const std::vector<store::Write>& batch) {
    for (const store::Write& line : batch) {
      if (failed || line.table != "outbox" || line.expect != store::Expect::kAnyRows) continue;
      rig.store().FaultAt(rig.store().commits() - 1,
                          {testing::Fault::Kind::kFailed, "", "",
                           absl::ResourceExhaustedError("the disk is full")});
      failed = true;
    }
  });
  Commit(rig, 1);
  rig.Advance(absl::Minutes(1));
  ASSERT_TRUE(failed);
  Commit(rig, 1);  // whatever the next occasion is
  rig.Advance(absl::Minutes(1));
  EXPECT_EQ(rig.Count("outbox"), 0);
}

}  // namespace tandem::contract

#endif  // TANDEM_TESTS_CONTRACT_RELAY_CONTRACT_H_
