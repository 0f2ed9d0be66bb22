// What the inbox (common/inbox/consumer.h, and the lane's runs) promises, whatever store and bus it
// stands between: each event in effect once, in the order of its partition, with the position
// moving in the commit of the effects.
#ifndef TANDEM_TESTS_CONTRACT_INBOX_CONTRACT_H_
#define TANDEM_TESTS_CONTRACT_INBOX_CONTRACT_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/corridor/definition.h"
#include "common/inbox/abandoned.h"
#include "common/inbox/positions.h"
#include "common/testing/ledger.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/contract/rig.h"

namespace tandem::contract {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class InboxContract : public ::testing::TestWithParam<Engine> {
 protected:
  using Kind = testing::Fault::Kind;

  // The ledger, which also reacts to two other messages as to events: AddRequest, which cannot be
  // applied while `is_hindered`, and AddAsToldRequest, which asks a peer first (`ahead`: the event
  // alone tells what to ask). Both then publish what they were told, so that order can be seen.
  struct Reactions {
    std::function<bool()> is_hindered = [] { return false; };
    bool ahead = false;
  };
  static RigOptions With(Reactions reactions) {
    using corridor::Decision;
    using corridor::Inputs;
    using corridor::View;
    RigOptions options;
    options.make = [reactions] {
      auto service = testing::MakeLedger();
      const auto say = [](const bus::Event& event, const Inputs& in) {
        Decision decision;
        decision.Publish(event.subject, event.key, in.now, testing::Added());
        return decision;
      };
      service->OnEvent<testing::AddRequest>(
          [reactions, say](const testing::AddRequest&, const bus::Event& event, const Inputs& in,
                           View&) -> absl::StatusOr<Decision> {
            if (reactions.is_hindered()) return absl::UnavailableError("not now");
            return say(event, in);
          });
      const auto question = [](const testing::AddAsToldRequest& body) {
        auto request = std::make_shared<testing::GetRequest>();
        request->set_box_id(body.box_id());
        return corridor::Question{"told", absl::StrCat(kLedger, "Get"), request};
      };
      std::function<std::vector<corridor::Question>(const testing::AddAsToldRequest&,
                                                    const bus::Event&)>
          gather;
      if (reactions.ahead) {
        gather = [question](const testing::AddAsToldRequest& body, const bus::Event&) {
          return std::vector<corridor::Question>{question(body)};
        };
      }
      service->OnEvent<testing::AddAsToldRequest>(
          [say, question](const testing::AddAsToldRequest& body, const bus::Event& event,
                          const Inputs& in, View&) -> absl::StatusOr<Decision> {
            if (in.answers->Has("told")) return say(event, in);
            Decision ask;
            ask.Ask(question(body));
            return ask;
          },
          gather);
      return service;
    };
    return options;
  }

  static int64_t Position(Rig& rig, int partition) {
    return rig.Number(absl::StrCat(
        "SELECT COALESCE(SUM(next_offset), 0) FROM positions WHERE partition = ", partition));
  }
  static int64_t Epoch(Rig& rig, int partition) {
    return rig.Number(absl::StrCat(
        "SELECT COALESCE(SUM(epoch), 0) FROM positions WHERE partition = ", partition));
  }
  // Events of the partition's end offset up to which the service has applied all.
  static int64_t End(Rig& rig, int partition) {
    const auto log = rig.Log(partition);
    return log.empty() ? 0 : log.back()->offset + 1;
  }
  // Ids of the events that caused what was published, in order of commit.
  static std::vector<std::string> Causes(Rig& rig) {
    std::vector<std::string> causes;
    for (const bus::Event& event : rig.Published()) causes.push_back(event.cause);
    return causes;
  }
  static runtime::ServiceSample Sample(Rig& rig) {
    runtime::ServiceSample sample;
    rig.runtime().Sample([&](absl::StatusOr<runtime::ServiceSample> taken) {
      Rig::Must(taken.status());
      sample = *std::move(taken);
    });
    rig.Settle();
    return sample;
  }
  static std::vector<std::string> Ids(const std::vector<bus::Event>& events) {
    std::vector<std::string> ids;
    for (const bus::Event& event : events) ids.push_back(event.id);
    return ids;
  }
};

TEST_P(InboxContract, ThePositionMovesInTheCommitOfTheEffectsWhereverItIsKilled) {
  bool ended = false;
  int64_t kill_at = 0;
  for (; !ended; ++kill_at) {
    RigOptions options;
    options.runtime.consumer.max_run = 3;
    Rig rig(GetParam(), options);
    const std::string key = rig.KeyIn(3);
    std::vector<bus::Event> events;
    for (int i = 0; i < 8; ++i) events.push_back(rig.Added(key));
    rig.Append(events);
    const absl::Time end = rig.Now() + absl::Seconds(3);
    const auto consistent = [&] {
      // The first eight offsets are the facts, one each; what follows is the service's own.
      const int64_t applied = rig.Number("SELECT COALESCE(SUM(balance), 0) FROM boxes");
      EXPECT_EQ(std::min<int64_t>(Position(rig, 3), 8), applied);
    };
    for (int64_t step = 0; step < kill_at && !ended; ++step) {
      ended = rig.scheduler().NextInstant() > end || !rig.scheduler().Step();
      consistent();
    }
    rig.Restart();
    rig.Advance(absl::Minutes(1));
    consistent();
    EXPECT_EQ(rig.Get(key).balance(), 8);
    EXPECT_THAT(Causes(rig), ElementsAreArray(Ids(events)));
    EXPECT_EQ(Position(rig, 3), End(rig, 3));
    if (HasFailure()) FAIL() << "killed after step " << kill_at;
  }
  EXPECT_GT(kill_at, 20);
}

// After a restore the bus may hold what the source, as it is now, never decided.
TEST_P(InboxContract, WhatItsRestoredSourceDoesNotKnowIsPassedOverAndTheNewHistoryIsNot) {
  constexpr int64_t kHistory = int64_t{1} << 40;
  Rig rig(GetParam());
  const std::string key = rig.KeyIn(3);
  ASSERT_EQ(rig.store()
                .Commit({inbox::NoteAbandoned("elsewhere", 5, kHistory, 0),
                         inbox::NoteAbandoned("elsewhere", 5, kHistory, 0)})
                .kind,
            store::CommitResult::Kind::kCommitted);
  rig.Restart();
  const auto numbered = [&](int64_t sequence, int64_t amount) {
    bus::Event event = rig.Added(key, amount);
    event.sequence = sequence;
    return event;
  };
  bus::Event stranger = numbered(6, 10'000);
  stranger.source = "not restored";
  rig.Deliver({numbered(4, 1), numbered(5, 10), numbered(6, 100), numbered(7, 1'000), stranger,
               numbered(5, 10), numbered(kHistory + 1, 100'000), numbered(kHistory + 1, 100'000)});
  rig.Advance(absl::Minutes(1));
  EXPECT_EQ(rig.Get(key).balance(), 110'011);
  EXPECT_EQ(Position(rig, 3), End(rig, 3));
  EXPECT_EQ(rig.Number("SELECT COUNT(*) FROM dead_letters"), 0);
}

TEST_P(InboxContract, ADatabaseThatIsAheadOfTheLogOrOfASourceIsNoticed) {
  Rig rig(GetParam());
  const std::string key = rig.KeyIn(3);
  rig.Deliver({rig.Added(key), rig.Added(key)});
  rig.Advance(absl::Minutes(1));
  store::Reader& reader = rig.store().reader();
  struct Log : bus::LogReader {
    bus::Bounds BoundsOf(int) const override { return {0, end}; }
    absl::StatusOr<std::vector<bus::RecordPtr>> ReadRange(int, int64_t, int) override {
      return std::vector<bus::RecordPtr>();
    }
    int64_t end = 0;
  };
  Log log;
  log.end = Position(rig, 3);
  EXPECT_TRUE(inbox::CheckPositions("ledger", reader, log, 8).ok());
  --log.end;
  const absl::Status ahead = inbox::CheckPositions("ledger", reader, log, 8);
  EXPECT_EQ(ahead.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(ahead.message()),
              ::testing::AllOf(::testing::HasSubstr("ledger has applied partition 3"),
                               ::testing::HasSubstr("tandemctl backup")));
  EXPECT_TRUE(inbox::CheckApplied("ledger", reader, "elsewhere", 2).ok());
  EXPECT_TRUE(inbox::CheckApplied("ledger", reader, "else", 0).ok());
  const absl::Status unknown = inbox::CheckApplied("ledger", reader, "elsewhere", 1);
  EXPECT_EQ(unknown.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(unknown.message()),
              ::testing::HasSubstr("ledger has applied event 2 of elsewhere, which has decided 1"));
}

TEST_P(InboxContract, AnAbandonedEventAsksNobody) {
  Reactions reactions;
  reactions.ahead = true;
  Rig rig(GetParam(), With(reactions));
  ASSERT_EQ(rig.store().Commit({inbox::NoteAbandoned("elsewhere", 0, 100, 0)}).kind,
            store::CommitResult::Kind::kCommitted);
  rig.Restart();
  rig.Deliver({rig.Event(rig.KeyIn(3), testing::AddAsToldRequest())});
  rig.Advance(absl::Minutes(1));
  EXPECT_THAT(rig.Published(), IsEmpty());
  EXPECT_EQ(Position(rig, 3), End(rig, 3));
}

TEST_P(InboxContract, EachEventIsAppliedOnceWhateverBecomesOfACommit) {
  std::vector<testing::Fault> faults = CommitFaults();
  faults.push_back({Kind::kMiss, "positions", "3", {}});
  for (const testing::Fault& fault : faults) {
    int64_t commits = 1;
    for (int64_t number = 0; number < commits; ++number) {
      RigOptions options;
      options.runtime.consumer.max_run = 3;
      Rig rig(GetParam(), options);
      rig.store().FaultAt(number, fault);
      const std::string key = rig.KeyIn(3);
      std::vector<bus::Event> events;
      for (int i = 0; i < 8; ++i) events.push_back(rig.Added(key));
      rig.Deliver(events);
      rig.Advance(absl::Minutes(1));
      commits = std::max(commits, rig.store().commits());
      EXPECT_EQ(rig.Get(key).balance(), 8);
      EXPECT_THAT(Causes(rig), ElementsAreArray(Ids(events)));
      EXPECT_EQ(Position(rig, 3), End(rig, 3));
      if (HasFailure()) {
        FAIL() << "commit " << number << ", fault " << static_cast<int>(fault.kind);
      }
    }
  }
}

TEST_P(InboxContract, ADuplicateIsDroppedByItsSequence) {
  Rig rig(GetParam());
  const std::string key = rig.KeyIn(3);
  bus::Event first = rig.Added(key, 1), second = rig.Added(key, 10), third = rig.Added(key, 100);
  third.sequence = 9;                          // holes are not waited for
  rig.Deliver({first, first, second, first});  // in one run
  rig.Deliver({second});                       // in a later one
  rig.Restart();
  rig.Deliver({second, third, second, first});  // by a service that has forgotten
  bus::Event late = rig.Added(key, 1000);       // below what was applied, never seen before
  late.sequence = 5;
  rig.Deliver({late, third});
  EXPECT_EQ(rig.Get(key).balance(), 111);
  EXPECT_THAT(Causes(rig), ElementsAre(first.id, second.id, third.id));
}

TEST_P(InboxContract, SequencesOfAnotherSourceSubjectOrKeyAreOthers) {
  Rig rig(GetParam());
  bus::Event event = rig.Added("k", 1);
  std::vector<bus::Event> events(4, event);
  events[1].source = "another";
  events[2].subject = "another";
  events[3].key = "another";
  for (size_t i = 0; i < events.size(); ++i) events[i].id = absl::StrCat("e", i);
  rig.Deliver(events);
  rig.Deliver(events);
  EXPECT_EQ(rig.Get("k").balance(), 4);
}

TEST_P(InboxContract, UnusedTypesRideAlongWithTheNextThatIsUsed) {
  RigOptions options;
  options.runtime.consumer.skipped_wait = absl::Hours(1);
  Rig rig(GetParam(), options);
  const std::string key = rig.KeyIn(3);
  rig.Deliver({rig.Unused(key), rig.Unused(key)});
  const int64_t commits = rig.store().commits();
  EXPECT_EQ(Position(rig, 3), 0);
  rig.Deliver({rig.Added(key), rig.Unused(key)});
  EXPECT_EQ(Position(rig, 3), 5);  // and the service's own
  EXPECT_LE(rig.store().commits(), commits + 2);
}

TEST_P(InboxContract, UnusedTypesMoveThePositionAloneAfterTheWaitAndNoMoreOften) {
  RigOptions options;
  options.runtime.consumer.skipped_wait = absl::Seconds(1);
  Rig rig(GetParam(), options);
  rig.Advance(absl::Seconds(5));
  const std::string key = rig.KeyIn(3);
  rig.Deliver({rig.Unused(key)});
  rig.Advance(absl::Seconds(1) - absl::Microseconds(1));
  EXPECT_EQ(Position(rig, 3), 0);
  rig.Advance(absl::Microseconds(1));
  EXPECT_EQ(Position(rig, 3), 1);
  const int64_t commits = rig.store().commits();
  for (int i = 0; i < 100; ++i) {
    rig.Deliver({rig.Unused(key)});
    rig.Advance(absl::Milliseconds(100));
  }
  rig.Advance(absl::Seconds(1));
  EXPECT_EQ(Position(rig, 3), 101);
  EXPECT_LE(rig.store().commits() - commits, 11);
}

TEST_P(InboxContract, ARunIsCutBeforeWhatCannotBeAppliedNowAndTheRestFollowsInOrder) {
  const auto hindered = std::make_shared<bool>(true);
  RigOptions options = With({.is_hindered = [hindered] { return *hindered; }});
  Rig rig(GetParam(), options);
  const std::string key = rig.KeyIn(3), other = rig.KeyIn(4);
  std::vector<bus::Event> events;
  for (int i = 0; i < 3; ++i) events.push_back(rig.Added(key));
  events.push_back(rig.Event(key, AddOf("", key)));  // hindered
  for (int i = 0; i < 3; ++i) events.push_back(rig.Added(key));
  rig.Deliver(events);
  EXPECT_EQ(rig.Get(key).balance(), 3);
  EXPECT_EQ(Position(rig, 3), 3);
  // Neither RPCs nor other partitions are held back; the subject's own calls neither.
  EXPECT_TRUE(rig.Add("r", key, 100).ok());
  rig.Deliver({rig.Added(other)});
  EXPECT_EQ(rig.Get(other).balance(), 1);
  const int64_t steps = rig.scheduler().steps();
  rig.Advance(absl::Minutes(1));
  EXPECT_LT(rig.scheduler().steps() - steps, 400);  // with back-off
  EXPECT_EQ(rig.Get(key).balance(), 103);
  *hindered = false;
  rig.Advance(absl::Seconds(6));
  EXPECT_EQ(rig.Get(key).balance(), 106);
  std::vector<std::string> causes;
  const std::vector<std::string> ids = Ids(events);
  for (const std::string& cause : Causes(rig)) {
    if (std::find(ids.begin(), ids.end(), cause) != ids.end()) causes.push_back(cause);
  }
  EXPECT_THAT(causes, ElementsAreArray(ids));
  EXPECT_EQ(rig.Count("dead_letters"), 0);
}

TEST_P(InboxContract, AnEventThatAsksIsAppliedInItsPlace) {
  for (const bool ahead : {false, true}) {
    for (const bool peer_is_down : {false, true}) {
      Rig rig(GetParam(), With({.ahead = ahead}));
      if (!peer_is_down) rig.peer().Answer(absl::StrCat(kLedger, "Get"), testing::GetResponse());
      const std::string key = rig.KeyIn(3);
      testing::AddAsToldRequest asks;
      asks.set_box_id(key);
      std::vector<bus::Event> events;
      for (int i = 0; i < 12; ++i) {
        events.push_back(i % 3 == 1 ? rig.Event(key, asks) : rig.Added(key));
      }
      rig.Deliver(events);
      rig.Advance(absl::Seconds(1));
      // "The other side is down" is an answer: a dead peer stops no partition.
      EXPECT_THAT(Causes(rig), ElementsAreArray(Ids(events)));
      EXPECT_EQ(rig.peer().Asked(absl::StrCat(kLedger, "Get")), 4);
    }
  }
}

TEST_P(InboxContract, ClaimingRaisesTheEpochOfEachPartitionAndNamesTheOwner) {
  RigOptions options;
  options.runtime.owner = "me";
  Rig rig(GetParam(), options);
  for (int64_t epoch = 1; epoch <= 3; ++epoch) {
    rig.Settle();
    EXPECT_EQ(rig.Number(absl::StrCat(
                  "SELECT COUNT(*) FROM positions WHERE owner = 'me' AND epoch = ", epoch)),
              8);
    rig.Restart();
  }
}

TEST_P(InboxContract, ARunOfAFormerOwnerIsDroppedWhole) {
  for (const int64_t they_applied : {0, 2, 5}) {
    RigOptions options;
    options.runtime.owner = "me";
    Rig rig(GetParam(), options);
    rig.Settle();
    const std::string key = rig.KeyIn(3);
    std::vector<bus::Event> events;
    for (int i = 0; i < 5; ++i) events.push_back(rig.Added(key));
    bool dropped = false;
    // Decided, and before the commit another one takes the partition over and is ahead of us.
    rig.store().Before("boxes", [&](store::Store& store) {
      Rig::Write(store, "positions",
                 absl::StrCat("UPDATE positions SET epoch = epoch + 1, owner = 'them', "
                              "next_offset = ",
                              they_applied, " WHERE partition = 3"));
      dropped = true;
    });
    rig.Append(events);
    while (!dropped) ASSERT_TRUE(rig.scheduler().Step());
    EXPECT_EQ(rig.Count("boxes"), 0);
    EXPECT_EQ(rig.Count("event_marks"), 0);
    EXPECT_EQ(rig.Count("outbox"), 0);
    EXPECT_EQ(Position(rig, 3), they_applied);
    // The bus still says that it is ours: claimed again, and read on from where they were.
    rig.Advance(absl::Minutes(1));
    EXPECT_EQ(rig.Number("SELECT epoch FROM positions WHERE partition = 3 AND owner = 'me'"), 3);
    EXPECT_EQ(rig.Get(key).balance(), 5 - they_applied);
    EXPECT_EQ(Position(rig, 3), End(rig, 3));
  }
}

TEST_P(InboxContract, AFencedRunDoesNotTakeTheCallsBesideItDown) {
  Rig rig(GetParam());
  rig.Settle();
  const std::string key = rig.KeyIn(3);
  std::vector<absl::StatusOr<testing::AddResponse>> replies;
  rig.store().Before("positions", [&](store::Store& store) {
    Rig::Write(store, "positions", "UPDATE positions SET epoch = epoch + 1 WHERE partition = 3");
  });
  rig.Append({rig.Added(key, 10)});
  for (int i = 0; i < 40; ++i) {
    rig.Put<testing::AddResponse>("Add", AddOf(absl::StrCat("r", i), key), &replies);
    rig.scheduler().Step();
  }
  rig.Advance(absl::Minutes(1));
  EXPECT_THAT(replies, SizeIs(40));
  for (const auto& reply : replies) EXPECT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(rig.Get(key).balance(), 50);
}

TEST_P(InboxContract, APoisonedEventIsParkedWithItsSubjectBehindItAndThePositionMoves) {
  Rig rig(GetParam());
  const std::string bad = rig.KeyIn(3), good = rig.KeyIn(3, 1);
  bus::Event broken = rig.Added(bad);
  broken.body = "\xff\xff";
  std::vector<bus::Event> events = {rig.Added(good), broken,          rig.Added(good, 10),
                                    rig.Added(bad),  rig.Unused(bad), rig.Added(good, 100)};
  events[3].sequence = 2;
  rig.Deliver(events);
  EXPECT_EQ(rig.Get(good).balance(), 111);
  EXPECT_EQ(rig.Get(bad).balance(), 0);
  EXPECT_EQ(rig.Count("parked_subjects"), 1);
  EXPECT_EQ(rig.Count("dead_letters"), 2);
  EXPECT_EQ(rig.Number(absl::StrCat("SELECT COUNT(*) FROM dead_letters WHERE partition = 3 AND "
                                    "log_offset = 1 AND event_id = '",
                                    broken.id, "' AND reason <> 'behind'")),
            1);
  EXPECT_EQ(rig.Number("SELECT COUNT(*) FROM dead_letters WHERE log_offset = 3 AND "
                       "reason = 'behind'"),
            1);
  EXPECT_GE(Position(rig, 3), 6);
  // It stays parked, whoever comes later.
  rig.Restart();
  rig.Deliver({rig.Added(bad), rig.Added(good, 1000)});
  EXPECT_EQ(rig.Get(good).balance(), 1111);
  EXPECT_EQ(rig.Count("dead_letters"), 3);
  EXPECT_TRUE(Sample(rig).not_ready.empty());
}

TEST_P(InboxContract, ParkingIsOneCommitWithThePositionWherever) {
  bool ended = false;
  for (int64_t kill_at = 0; !ended; ++kill_at) {
    Rig rig(GetParam());
    const std::string key = rig.KeyIn(3);
    rig.Append({rig.Added(key, 1), rig.Added(key, 1, /*poison=*/true), rig.Added(key, 1)});
    const absl::Time end = rig.Now() + absl::Seconds(3);
    for (int64_t step = 0; step < kill_at && !ended; ++step) {
      ended = rig.scheduler().NextInstant() > end || !rig.scheduler().Step();
      EXPECT_EQ(rig.Count("dead_letters") == 0, Position(rig, 3) < 2);
    }
    rig.Restart();
    rig.Advance(absl::Minutes(1));
    EXPECT_EQ(rig.Number("SELECT COUNT(*) FROM dead_letters WHERE source = 'elsewhere'"), 2);
    EXPECT_EQ(rig.Get(key).balance(), 1);
    if (HasFailure()) FAIL() << "killed after step " << kill_at;
  }
}

TEST_P(InboxContract, TooManyParkedSubjectsStopThePartitionLoudlyAndNothingIsSkipped) {
  RigOptions options;
  options.runtime.lane.parked_subjects_per_minute = 3;
  Rig rig(GetParam(), options);
  std::vector<bus::Event> events;
  for (int i = 0; i < 6; ++i) events.push_back(rig.Added(rig.KeyIn(3, i), 1, /*poison=*/true));
  const std::string good = rig.KeyIn(3, 6), other = rig.KeyIn(4);
  events.push_back(rig.Added(good));
  rig.Deliver(events);
  rig.Deliver({rig.Added(other)});
  rig.Advance(absl::Seconds(30));
  EXPECT_EQ(rig.Count("parked_subjects"), 3);
  EXPECT_EQ(Position(rig, 3), 3);
  EXPECT_EQ(rig.Get(good).balance(), 0);
  EXPECT_EQ(rig.Get(other).balance(), 1);
  EXPECT_THAT(Sample(rig).unhealthy, Contains(::testing::HasSubstr("partition 3 stopped")));
  EXPECT_THAT(Sample(rig).not_ready, IsEmpty());
  // A slow trickle is what parking is for: the next process takes the next ones.
  rig.Advance(absl::Minutes(2));
  rig.Restart();
  rig.Advance(absl::Seconds(30));
  EXPECT_EQ(rig.Count("parked_subjects"), 6);
  EXPECT_EQ(rig.Get(good).balance(), 1);
  EXPECT_THAT(Sample(rig).unhealthy, Not(Contains(::testing::HasSubstr("partition 3 stopped"))));
}

TEST_P(InboxContract, ARevokedPartitionDropsWhatWaitsAndTheOthersGoOn) {
  // Takes half of the partitions and applies nothing.
  struct Idle : public bus::Listener {
    void Assigned(std::vector<int> partitions) override {
      assigned.insert(partitions.begin(), partitions.end());
    }
    void Revoked(std::vector<int>) override {}
    void Records(int, int64_t, std::vector<bus::RecordPtr>) override {}
    void Stopped(int, absl::Status) override {}
    std::set<int> assigned;
  };
  Rig rig(GetParam());
  rig.Settle();
  for (int partition = 0; partition < 8; ++partition) rig.bus().Hold(partition);
  std::vector<bus::Event> events;
  for (int partition = 0; partition < 8; ++partition) {
    for (int i = 0; i < 3; ++i) events.push_back(rig.Added(rig.KeyIn(partition)));
  }
  rig.Deliver(events);
  Idle them;
  auto joined = rig.ground().bus().Join("ledger", &them);
  ASSERT_TRUE(joined.ok()) << joined.status();
  rig.Settle();
  ASSERT_THAT(them.assigned, SizeIs(4));
  // What was under way to us arrives late, as it does to a consumer that stood still.
  for (int partition = 0; partition < 8; ++partition) rig.bus().LetGo(partition);
  rig.Advance(absl::Minutes(1));
  for (int partition = 0; partition < 8; ++partition) {
    const bool theirs = them.assigned.contains(partition);
    EXPECT_EQ(rig.Get(rig.KeyIn(partition)).balance(), theirs ? 0 : 3) << partition;
    if (theirs) {
      EXPECT_EQ(Position(rig, partition), 0) << partition;
    }
  }
  // They leave: ours again, all of it, once.
  joined->reset();
  rig.Advance(absl::Minutes(1));
  for (int partition = 0; partition < 8; ++partition) {
    EXPECT_EQ(rig.Get(rig.KeyIn(partition)).balance(), 3) << partition;
    EXPECT_EQ(Epoch(rig, partition), them.assigned.contains(partition) ? 2 : 1) << partition;
  }
}

TEST_P(InboxContract, AStoredPositionOutsideTheLogStopsThePartitionLoudly) {
  Rig rig(GetParam());
  rig.Settle();
  rig.Kill();
  rig.Write("positions", "UPDATE positions SET next_offset = 1000 WHERE partition = 3");
  rig.Restart();
  rig.Deliver({rig.Added(rig.KeyIn(3)), rig.Added(rig.KeyIn(4))});
  rig.Advance(absl::Minutes(1));
  EXPECT_EQ(rig.Get(rig.KeyIn(3)).balance(), 0);
  EXPECT_EQ(rig.Get(rig.KeyIn(4)).balance(), 1);
  EXPECT_EQ(Position(rig, 3), 1000);
  EXPECT_THAT(Sample(rig).unhealthy, ElementsAre(::testing::HasSubstr("partition 3 stopped")));
}

TEST_P(InboxContract, NoMoreThanItsLimitWaitsInMemory) {
  const auto hindered = std::make_shared<bool>(true);
  RigOptions options = With({.is_hindered = [hindered] { return *hindered; }});
  options.runtime.consumer.max_waiting = 64;
  Rig rig(GetParam(), options);
  const std::string key = rig.KeyIn(3);
  std::vector<bus::Event> events;
  for (int i = 0; i < 1000; ++i) events.push_back(rig.Event(key, AddOf("", key)));
  rig.Deliver(events);
  rig.Advance(absl::Minutes(1));
  for (const inbox::PartitionState& partition : Sample(rig).partitions) {
    EXPECT_LE(partition.backlog, 64) << partition.partition;
    if (partition.partition == 3) {
      EXPECT_GT(partition.backlog, 0);
    }
  }
  *hindered = false;
  rig.Advance(absl::Minutes(1));
  EXPECT_THAT(Causes(rig), ElementsAreArray(Ids(events)));
}

TEST_P(InboxContract, TellsTheBusHowFarTheDatabaseIs) {
  Rig rig(GetParam());
  const std::string key = rig.KeyIn(3);
  rig.Deliver({rig.Added(key), rig.Added(key)});
  rig.Advance(absl::Seconds(2));
  EXPECT_EQ(rig.bus().Reported(3), Position(rig, 3));
  rig.Restart();
  rig.Settle();
  EXPECT_EQ(rig.bus().Reported(3), Position(rig, 3));
}

TEST_P(InboxContract, NothingPollsWhileNothingHappens) {
  Rig rig(GetParam());
  rig.Deliver({rig.Added("k"), rig.Unused("k")});
  rig.Advance(absl::Seconds(5));
  const int64_t steps = rig.scheduler().steps();
  rig.Advance(absl::Hours(24 * 365));
  EXPECT_EQ(rig.scheduler().steps(), steps);
}

TEST_P(InboxContract, WhateverOrderTheThreadsTakeAPartitionKeepsItsOrder) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const auto turn = std::make_shared<uint64_t>(seed);
    RigOptions options = With(
        {.is_hindered = [turn] { return (*turn = *turn * 6364136223846793005u + 1) >> 62 == 0; },
         .ahead = seed % 2 == 0});
    options.shuffle = seed;
    options.runtime.consumer.max_run = 1 + static_cast<int>(seed % 7);
    Rig rig(GetParam(), options);
    rig.peer().Answer(absl::StrCat(kLedger, "Get"), testing::GetResponse());
    std::map<int, std::vector<std::string>> sent;
    for (int i = 0; i < 150; ++i) {
      const int partition = i % 3;
      const std::string key = rig.KeyIn(partition, i % 2);
      testing::AddAsToldRequest asks;
      asks.set_box_id(key);
      const bus::Event event = i % 5 == 0   ? rig.Event(key, AddOf("", key))
                               : i % 7 == 0 ? rig.Event(key, asks)
                                            : rig.Added(key);
      sent[partition].push_back(event.id);
      rig.Append({event});
      if (i % 11 == 0) rig.Append({event});  // published twice
      if (i % 13 == 0) rig.Advance(absl::Milliseconds(7));
      if (i % 50 == 49) rig.Restart();
    }
    rig.Advance(absl::Minutes(10));
    std::map<int, std::vector<std::string>> applied;
    for (const bus::Event& event : rig.Published()) {
      applied[rig.PartitionOf(event.key)].push_back(event.cause);
    }
    EXPECT_EQ(applied, sent) << "seed " << seed;
    EXPECT_EQ(rig.Count("dead_letters"), 0);
  }
}

TEST_P(InboxContract, OneParkedSubjectCountsOnceHoweverOftenItsCommitIsTried) {
  RigOptions options;
  options.runtime.lane.parked_subjects_per_minute = 3;
  Rig rig(GetParam(), options);
  rig.Settle();
  for (int i = 0; i < 4; ++i) rig.store().FaultOn("dead_letters", {Kind::kConflict, "", "", {}});
  rig.Deliver({rig.Added("bad", 1, /*poison=*/true)});
  rig.Deliver({rig.Added("bad2", 1, /*poison=*/true)});
  rig.Advance(absl::Seconds(30));
  EXPECT_EQ(rig.Count("parked_subjects"), 2);
  EXPECT_THAT(Sample(rig).unhealthy, Not(Contains(::testing::HasSubstr("stopped: "))));
}

TEST_P(InboxContract, ADiscardedEventIsDiscardedForGood) {
  Rig rig(GetParam());
  const bus::Event poison = rig.Added("bad", 1, /*poison=*/true);
  rig.Deliver({poison});
  absl::StatusOr<int64_t> left = -1;
  rig.runtime().Drop(rig.Number("SELECT MIN(id) FROM dead_letters"),
                     [&](absl::StatusOr<int64_t> l) { left = std::move(l); });
  rig.Settle();
  ASSERT_TRUE(left.ok()) << left.status();
  ASSERT_EQ(rig.Count("parked_subjects"), 0);
  rig.Deliver({poison});  // as a relay repeats it after a crash
  EXPECT_EQ(rig.Count("parked_subjects"), 0);
}

}  // namespace tandem::contract

#endif  // TANDEM_TESTS_CONTRACT_INBOX_CONTRACT_H_
