// What durable timers promise, whatever store and bus they stand on: the gate (common/timer), the
// lane's firing, and the position that a fact-bound timer waits for.
//
// The cases here need one process; what several show is in replicas_test.cc.
#ifndef TANDEM_TESTS_CONTRACT_TIMER_CONTRACT_H_
#define TANDEM_TESTS_CONTRACT_TIMER_CONTRACT_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "common/corridor/definition.h"
#include "common/store/record.h"
#include "common/testing/ledger.h"
#include "common/time/micros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/contract/rig.h"

namespace tandem::contract {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The ledger with more kinds of timers: plain1 to plain5 and bound1 to bound5, so that a key has
// several; `again` sets itself anew, an hour later, twice; `wrong` cannot be decided; `hindered`
// cannot be decided now; `newer` is a kind that an older binary lacks.
struct TimerKinds {
  bool knows_newer = true;
  testing::LedgerOptions ledger = {};
  std::function<bool()> is_hindered = [] { return false; };
};

inline const store::Table<testing::Box>& LedgerBoxes() {
  static const store::Table<testing::Box>* const table = new store::Table<testing::Box>(
      "boxes", {{"balance", [](const testing::Box& box) { return store::Value(box.balance()); }},
                {"taken", [](const testing::Box& box) {
                   return store::Value(int64_t{box.taken_by().empty() ? 0 : 1});
                 }}});
  return *table;
}

inline std::unique_ptr<corridor::ServiceDefinition> MakeTimers(const TimerKinds& kinds) {
  using corridor::Decision;
  using corridor::FiredTimer;
  using corridor::Inputs;
  using corridor::View;
  auto service = testing::MakeLedger(kinds.ledger);
  // The verdict says when it was judged and whether it lagged; its instant is the due instant.
  const auto judge = [](const FiredTimer& timer, const testing::AddRequest& payload,
                        const Inputs& in, View& view) -> absl::StatusOr<Decision> {
    auto box = view.Load(LedgerBoxes(), payload.box_id());
    if (!box.ok()) return box.status();
    testing::Box next;
    if (*box) next = **box;
    next.set_box_id(payload.box_id());
    next.set_timers_fired(next.timers_fired() + 1);
    testing::Added verdict;
    verdict.set_box_id(payload.box_id());
    verdict.set_amount(time::ToMicros(in.now));
    verdict.set_poison(timer.judged_while_lagging);
    Decision decision;
    decision.Publish(timer.key, timer.key, timer.due, std::move(verdict));
    decision.Save(LedgerBoxes(), payload.box_id(), std::move(next));
    return decision;
  };
  for (int i = 1; i <= 5; ++i) {
    service->OnTimer<testing::AddRequest>(absl::StrCat("plain", i), corridor::Readiness::kWhenDue,
                                          judge);
    service->OnTimer<testing::AddRequest>(absl::StrCat("bound", i), corridor::Readiness::kFactBound,
                                          judge);
  }
  service->OnTimer<testing::AddRequest>(
      "again", corridor::Readiness::kWhenDue,
      [judge](const FiredTimer& timer, const testing::AddRequest& payload, const Inputs& in,
              View& view) {
        auto decision = judge(timer, payload, in, view);
        if (decision.ok() && payload.amount() < 3) {
          testing::AddRequest next = payload;
          next.set_amount(payload.amount() + 1);
          decision->SetTimer(timer.id, timer.due + absl::Hours(1), "again", timer.key,
                             std::move(next));
        }
        return decision;
      });
  service->OnTimer<testing::AddRequest>("wrong", corridor::Readiness::kWhenDue,
                                        [](const FiredTimer&, const testing::AddRequest&,
                                           const Inputs&, View&) -> absl::StatusOr<Decision> {
                                          return absl::FailedPreconditionError("no rule fits");
                                        });
  service->OnTimer<testing::AddRequest>(
      "hindered", corridor::Readiness::kWhenDue,
      [judge, kinds](const FiredTimer& timer, const testing::AddRequest& payload, const Inputs& in,
                     View& view) -> absl::StatusOr<Decision> {
        if (kinds.is_hindered()) return absl::UnavailableError("not now");
        return judge(timer, payload, in, view);
      });
  if (kinds.knows_newer) {
    service->OnTimer<testing::AddRequest>("newer", corridor::Readiness::kWhenDue, judge);
  }
  return service;
}

class TimerContract : public ::testing::TestWithParam<Engine> {
 protected:
  struct Firing {
    std::string id;
    absl::Time due;
    absl::Time fact;     // the instant that its fact carries
    absl::Time decided;  // when the rule judged
    bool lagging = false;
  };

  static RigOptions Options(TimerKinds kinds = {}) {
    RigOptions options;
    options.make = [kinds] { return MakeTimers(kinds); };
    return options;
  }

  static testing::AddLaterRequest SetOf(const std::string& kind, const std::string& key,
                                        absl::Time due, bool cancel = false) {
    static int64_t made = 0;
    testing::AddLaterRequest request;
    request.set_request_id(absl::StrCat("set", ++made));
    request.set_kind(kind);
    request.set_box_id(key);
    request.set_due_us(time::ToMicros(due));
    request.set_cancel(cancel);
    return request;
  }
  // Sets the timer `kind`:`key`, or moves it; its id is that, too.
  static void Set(Rig& rig, const std::string& kind, const std::string& key, absl::Time due) {
    const auto reply =
        rig.Call<testing::AddLaterResponse>("AddLater", SetOf(kind, key, due)).status();
    ASSERT_TRUE(reply.ok()) << reply;
  }
  static void Cancel(Rig& rig, const std::string& kind, const std::string& key) {
    const auto reply =
        rig.Call<testing::AddLaterResponse>("AddLater", SetOf(kind, key, rig.Now(), true)).status();
    ASSERT_TRUE(reply.ok()) << reply;
  }
  // The same without letting anything happen: it waits in the lane.
  void PutSet(Rig& rig, const testing::AddLaterRequest& request) {
    rig.Put<testing::AddLaterResponse>("AddLater", request, &ignored_);
  }

  // What fired and was committed, in the order of the commits. Each once, however often the relay
  // published it: a firing that was decided twice would be two events.
  static std::vector<Firing> Fired(Rig& rig) {
    std::vector<Firing> firings;
    for (const bus::Event& event : rig.Published()) {
      if (!absl::StartsWith(event.cause, "timer:")) continue;
      const std::pair<std::string, std::string> parts =
          absl::StrSplit(absl::StripPrefix(event.cause, "timer:"), absl::MaxSplits('@', 1));
      int64_t due = 0;
      EXPECT_TRUE(absl::SimpleAtoi(parts.second, &due)) << event.cause;
      testing::Added verdict;
      EXPECT_TRUE(verdict.ParseFromString(event.body));
      firings.push_back({parts.first, time::FromMicros(due), event.time,
                         time::FromMicros(verdict.amount()), verdict.poison()});
    }
    return firings;
  }
  static std::vector<std::string> FiredIds(Rig& rig) {
    std::vector<std::string> ids;
    for (const Firing& firing : Fired(rig)) ids.push_back(firing.id);
    return ids;
  }

  // Each of `ids` fired once and nothing else did; nothing is left over.
  static void ExpectFiredOnce(Rig& rig, std::vector<std::string> ids) {
    EXPECT_THAT(FiredIds(rig), ::testing::UnorderedElementsAreArray(ids));
    std::map<std::string, int64_t> by_key;
    for (const std::string& id : ids) ++by_key[id.substr(id.find(':') + 1)];
    for (const auto& [key, count] : by_key) EXPECT_EQ(rig.Get(key).timers_fired(), count) << key;
    EXPECT_EQ(rig.Count("timers"), 0);
    EXPECT_EQ(rig.Count("outbox"), 0);
  }

  // One timer of each sort, all due at one instant, of three keys in three partitions.
  static std::vector<std::string> SetOneOfEach(Rig& rig, absl::Time due) {
    const std::string a = rig.KeyIn(0), b = rig.KeyIn(1), c = rig.KeyIn(2);
    Set(rig, "plain1", a, due);
    Set(rig, "bound1", b, due);
    Set(rig, "plain2", c, due);
    Set(rig, "bound2", c, due + absl::Milliseconds(1));
    return {"plain1:" + a, "bound1:" + b, "plain2:" + c, "bound2:" + c};
  }

  void SetMoveAndCancel(uint32_t seed, const std::vector<std::string>& sorts);

  std::vector<absl::StatusOr<testing::AddLaterResponse>> ignored_;
};

TEST_P(TimerContract, NeverFiresEarlyByTheStoresClock) {
  for (const absl::Duration wait :
       {absl::Microseconds(1), absl::Milliseconds(1), absl::Seconds(59), absl::Hours(24 * 400)}) {
    Rig rig(GetParam(), Options());
    const absl::Time due = rig.Now() + wait;
    Set(rig, "plain1", "b", due);
    Set(rig, "bound1", "b", due);
    rig.AdvanceTo(due - absl::Microseconds(1));
    EXPECT_THAT(FiredIds(rig), IsEmpty()) << wait;
    EXPECT_EQ(rig.Get("b").timers_fired(), 0) << wait;
    rig.AdvanceTo(due + absl::Seconds(1));
    for (const Firing& firing : Fired(rig)) EXPECT_GE(firing.decided, due) << firing.id;
    ExpectFiredOnce(rig, {"plain1:b", "bound1:b"});
  }
}

TEST_P(TimerContract, FiresAtItsInstantAndAFactBoundOneASettleTimeLater) {
  RigOptions options = Options();
  options.runtime.gate.settle = absl::Milliseconds(250);
  Rig rig(GetParam(), options);
  const absl::Time due = rig.Now() + absl::Minutes(7);
  SetOneOfEach(rig, due);
  rig.Advance(absl::Hours(1));
  for (const Firing& firing : Fired(rig)) {
    const bool bound = absl::StartsWith(firing.id, "bound");
    EXPECT_GE(firing.decided,
              firing.due + (bound ? absl::Milliseconds(250) : absl::ZeroDuration()));
    EXPECT_LE(firing.decided, firing.due + (bound ? absl::Milliseconds(351) : absl::ZeroDuration()))
        << firing.id;
    EXPECT_EQ(firing.fact, firing.due);
    EXPECT_FALSE(firing.lagging);
  }
  EXPECT_THAT(Fired(rig), SizeIs(4));
}

TEST_P(TimerContract, ThatIsSetInThePastFiresAtOnce) {
  Rig rig(GetParam(), Options());
  const absl::Time due = rig.Now() - absl::Hours(2);
  SetOneOfEach(rig, due);
  rig.Settle();
  const std::vector<Firing> fired = Fired(rig);
  EXPECT_THAT(fired, SizeIs(4));
  for (const Firing& firing : fired) {
    EXPECT_EQ(firing.decided, rig.Now());
    EXPECT_EQ(firing.fact, firing.due);
  }
}

// Every step of the whole house is a place to die at: before the commit, after it and before its
// answer, between the append and its deletion.
TEST_P(TimerContract, FiresOnceInEffectWhereverItsProcessIsKilled) {
  bool ended = false;
  int64_t kill_at = 0;
  for (; !ended; ++kill_at) {
    Rig rig(GetParam(), Options());
    const absl::Time due = rig.Now() + absl::Seconds(10);
    const std::vector<std::string> ids = SetOneOfEach(rig, due);
    rig.AdvanceTo(due - absl::Microseconds(1));
    const absl::Time end = due + absl::Seconds(2);
    for (int64_t step = 0; step < kill_at && !ended; ++step) {
      ended = rig.scheduler().NextInstant() > end || !rig.scheduler().Step();
    }
    rig.Restart();
    rig.AdvanceTo(due + absl::Minutes(1));
    ExpectFiredOnce(rig, ids);
    for (const Firing& firing : Fired(rig)) EXPECT_GE(firing.decided, firing.due);
    if (HasFailure()) FAIL() << "killed after step " << kill_at;
  }
  EXPECT_GT(kill_at, 30);
}

TEST_P(TimerContract, FiresOnceInEffectWhateverBecomesOfACommit) {
  for (const testing::Fault& fault : CommitFaults()) {
    for (const bool killed : {false, true}) {
      int64_t commits = 1;
      for (int64_t number = 0; number < commits; ++number) {
        Rig rig(GetParam(), Options());
        const absl::Time due = rig.Now() + absl::Seconds(10);
        const std::vector<std::string> ids = SetOneOfEach(rig, due);
        rig.AdvanceTo(due - absl::Microseconds(1));
        const int64_t before = rig.store().commits();
        rig.store().FaultAt(before + number, fault);
        while (rig.store().commits() <= before + number &&
               rig.scheduler().NextInstant() < due + absl::Minutes(1)) {
          rig.scheduler().Step();
        }
        if (killed) rig.Restart();
        rig.AdvanceTo(due + absl::Minutes(2));
        commits = std::max(commits, rig.store().commits() - before);
        // A delete of published rows that fails leaves them to the next start.
        if (fault.kind == testing::Fault::Kind::kFailed && !killed) {
          rig.Restart();
          rig.Advance(absl::Minutes(1));
        }
        ExpectFiredOnce(rig, ids);
        if (HasFailure()) {
          FAIL() << "commit " << number << ", fault " << static_cast<int>(fault.kind)
                 << (killed ? ", then killed" : "");
        }
      }
    }
  }
}

TEST_P(TimerContract, OverdueAfterAStopFiresAtOnceWithItsDueInstantAsTheFacts) {
  Rig rig(GetParam(), Options());
  const absl::Time due = rig.Now() + absl::Minutes(5);
  const std::vector<std::string> ids = SetOneOfEach(rig, due);
  rig.Kill();
  rig.Advance(absl::Minutes(12));
  rig.Restart();
  rig.Settle();
  const std::vector<Firing> fired = Fired(rig);
  EXPECT_THAT(fired, SizeIs(ids.size()));
  for (const Firing& firing : fired) {
    EXPECT_EQ(firing.decided, rig.Now()) << firing.id;
    EXPECT_EQ(firing.fact, firing.due) << firing.id;
    EXPECT_FALSE(firing.lagging) << firing.id;
  }
  rig.Advance(absl::Hours(1));
  ExpectFiredOnce(rig, ids);
}

TEST_P(TimerContract, FiresInOrderOfDueInstantsPerKey) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    std::mt19937 dice(seed);
    RigOptions options = Options();
    options.shuffle = seed;
    if (seed % 2 == 1) {
      options.runtime.gate.max_scan = 4;
      options.runtime.gate.max_handed_out = 6;
    }
    Rig rig(GetParam(), options);
    const absl::Time start = rig.Now();
    const std::string sort = seed % 4 < 2 ? "plain" : "bound";
    for (int key = 0; key < 6; ++key) {
      for (int i = 1; i <= 5; ++i) {
        Set(rig, absl::StrCat(sort, i), absl::StrCat("k", key),
            start + absl::Milliseconds(1 + dice() % 5000));
      }
    }
    rig.Advance(absl::Seconds(2));
    rig.Kill();
    rig.Advance(absl::Seconds(1));
    rig.Restart();
    rig.Advance(absl::Minutes(1));
    std::map<std::string, absl::Time> last;
    for (const Firing& firing : Fired(rig)) {
      const std::string key = firing.id.substr(firing.id.find(':') + 1);
      if (last.contains(key)) {
        EXPECT_LE(last[key], firing.due) << "seed " << seed;
      }
      last[key] = firing.due;
    }
    EXPECT_THAT(Fired(rig), SizeIs(30)) << "seed " << seed;
  }
}

TEST_P(TimerContract, APlainOneWaitsBehindAFactBoundOneOfItsKeyAndOthersDoNot) {
  Rig rig(GetParam(), Options());
  const absl::Time due = rig.Now() + absl::Minutes(1);
  Set(rig, "bound1", "k", due);
  Set(rig, "plain1", "k", due + absl::Milliseconds(10));
  Set(rig, "plain1", "other", due + absl::Milliseconds(20));
  rig.AdvanceTo(due + absl::Milliseconds(500));
  EXPECT_THAT(FiredIds(rig), ElementsAre("plain1:other"));
  rig.AdvanceTo(due + absl::Seconds(1));
  EXPECT_THAT(FiredIds(rig), ::testing::Contains("bound1:k"));
}

// A subject with parked events may stay so for days; what else falls due for its key cannot wait.
TEST_P(TimerContract, ThatIsHeldForAParkedSubjectStandsInFrontOfNoOtherOfItsKey) {
  for (const char* held : {"bound1", "plain1"}) {
    SCOPED_TRACE(held);
    Rig rig(GetParam(), Options());
    const absl::Time due = rig.Now() + absl::Minutes(1);
    Set(rig, held, "k", due);
    Set(rig, "bound2", "k", due + absl::Milliseconds(10));
    Set(rig, "plain2", "k", due + absl::Milliseconds(20));
    rig.Write("timers", absl::StrCat("UPDATE timers SET subject = 's' WHERE id = '", held, ":k'"));
    rig.Write("parked_subjects", "INSERT INTO parked_subjects (subject, version) VALUES ('s', 1)");
    rig.AdvanceTo(due + absl::Seconds(10));
    EXPECT_THAT(FiredIds(rig), ElementsAre("bound2:k", "plain2:k"));
    rig.Write("parked_subjects", "DELETE FROM parked_subjects");
    Set(rig, "plain3", "k", rig.Now());
    rig.Advance(absl::Seconds(3));
    EXPECT_THAT(FiredIds(rig), ::testing::Contains(absl::StrCat(held, ":k")));
  }
}

TEST_P(TimerContract, MovedFiresAtItsNewInstantAlone) {
  for (const absl::Duration by : {absl::Minutes(-20), absl::Minutes(20)}) {
    Rig rig(GetParam(), Options());
    const absl::Time due = rig.Now() + absl::Hours(1);
    SetOneOfEach(rig, due);
    rig.Advance(absl::Minutes(10));
    const std::vector<std::string> ids = SetOneOfEach(rig, due + by);
    rig.AdvanceTo(due + by - absl::Microseconds(1));
    EXPECT_THAT(FiredIds(rig), IsEmpty());
    rig.Advance(absl::Hours(3));
    ExpectFiredOnce(rig, ids);
    for (const Firing& firing : Fired(rig)) EXPECT_GE(firing.due, due + by);
  }
}

TEST_P(TimerContract, CancelledNeverFiresAndCancellingNothingDoesNothing) {
  Rig rig(GetParam(), Options());
  const absl::Time due = rig.Now() + absl::Hours(1);
  Set(rig, "plain1", "b", due);
  Set(rig, "bound1", "b", due);
  Set(rig, "plain2", "b", due);
  Cancel(rig, "plain1", "b");
  Cancel(rig, "bound1", "b");
  Cancel(rig, "plain3", "b");
  rig.Restart();
  rig.Advance(absl::Hours(2));
  ExpectFiredOnce(rig, {"plain2:b"});
  Cancel(rig, "plain2", "b");
  rig.Advance(absl::Hours(2));
  ExpectFiredOnce(rig, {"plain2:b"});
}

TEST_P(TimerContract, MovedInTheBatchOfItsFiringDoesNotFireAtTheOldInstant) {
  Rig rig(GetParam(), Options());
  const absl::Time due = rig.Now() + absl::Hours(1);
  // Asked for before the timer is armed, so that at the instant itself it comes first.
  rig.background().PostAt(due, [&] { PutSet(rig, SetOf("plain1", "b", due + absl::Hours(1))); });
  rig.background().PostAt(due, [&] { PutSet(rig, SetOf("plain1", "c", due, /*cancel=*/true)); });
  Set(rig, "plain1", "b", due);
  Set(rig, "plain1", "c", due);
  int64_t together = 0;
  rig.AdvanceTo(due - absl::Microseconds(1));
  rig.store().Watch([&](const std::vector<store::Write>&) { ++together; });
  rig.AdvanceTo(due + absl::Minutes(30));
  EXPECT_GT(together, 0);
  EXPECT_THAT(FiredIds(rig), IsEmpty());
  rig.AdvanceTo(due + absl::Hours(2));
  ASSERT_THAT(FiredIds(rig), ElementsAre("plain1:b"));
  EXPECT_EQ(Fired(rig).front().due, due + absl::Hours(1));
}

TEST_P(TimerContract, MovedBehindItsFiringInOneBatchIsANewTimer) {
  Rig rig(GetParam(), Options());
  const absl::Time due = rig.Now() + absl::Hours(1);
  Set(rig, "plain1", "b", due);
  Set(rig, "plain1", "c", due);
  rig.background().PostAt(due, [&] { PutSet(rig, SetOf("plain1", "b", due + absl::Hours(1))); });
  rig.background().PostAt(due, [&] { PutSet(rig, SetOf("plain1", "c", due, /*cancel=*/true)); });
  rig.AdvanceTo(due);
  EXPECT_THAT(FiredIds(rig), ::testing::UnorderedElementsAre("plain1:b", "plain1:c"));
  EXPECT_EQ(rig.Count("timers"), 1);
  rig.Advance(absl::Hours(2));
  EXPECT_THAT(FiredIds(rig), ::testing::UnorderedElementsAre("plain1:b", "plain1:c", "plain1:b"));
}

// The firing was handed out and stands in the lane when the row is moved by an earlier commit.
TEST_P(TimerContract, MovedWhileItsFiringWaitsInTheLaneFiresAtItsNewInstantAlone) {
  for (const absl::Duration by : {absl::Minutes(-1), absl::Minutes(1)}) {
    RigOptions options = Options();
    options.runtime.lane.max_batch = 1;
    Rig rig(GetParam(), options);
    const absl::Time due = rig.Now() + absl::Hours(1);
    rig.background().PostAt(due, [&, by] { PutSet(rig, SetOf("plain1", "b", due + by)); });
    Set(rig, "plain1", "b", due);
    rig.AdvanceTo(due + absl::Minutes(2));
    ASSERT_THAT(FiredIds(rig), ElementsAre("plain1:b"));
    EXPECT_EQ(Fired(rig).front().due, due + by);
  }
}

TEST_P(TimerContract, ARuleThatSetsItsOwnTimerAnewFiresOnceAPeriodOverKills) {
  Rig rig(GetParam(), Options());
  const absl::Time due = rig.Now() + absl::Minutes(30);
  Set(rig, "again", "b", due);
  for (int i = 0; i < 60; ++i) {
    rig.Advance(absl::Minutes(5));
    rig.Restart();
  }
  rig.Settle();
  std::vector<absl::Time> dues;
  for (const Firing& firing : Fired(rig)) dues.push_back(firing.due);
  EXPECT_THAT(dues, ElementsAre(due, due + absl::Hours(1), due + absl::Hours(2)));
  EXPECT_EQ(rig.Count("timers"), 0);
}

TEST_P(TimerContract, DoesNotOvertakeAFactThatWasPublishedBeforeItsInstant) {
  // Also one that was published within the settle time: its fact may be older than its publishing.
  for (const absl::Duration published : {absl::Milliseconds(-1), absl::Milliseconds(999)}) {
    RigOptions options = Options();
    options.runtime.gate.settle = absl::Seconds(1);
    Rig rig(GetParam(), options);
    const std::string key = rig.KeyIn(3);
    const absl::Time due = rig.Now() + absl::Minutes(1);
    Set(rig, "bound1", key, due);
    rig.bus().Hold(3);
    rig.AdvanceTo(due + published);
    const bus::Event fact = rig.Added(key, 7);
    rig.Append({fact});
    rig.AdvanceTo(due + absl::Seconds(30));
    EXPECT_THAT(FiredIds(rig), IsEmpty());
    rig.bus().LetGo(3);
    rig.Settle();
    // The fact's own effect was committed first.
    std::vector<std::string> causes;
    for (const bus::Event& event : rig.Published()) causes.push_back(event.cause);
    EXPECT_THAT(causes,
                ElementsAre(fact.id, absl::StrCat("timer:bound1:", key, "@", time::ToMicros(due))));
    EXPECT_FALSE(Fired(rig).front().lagging);
  }
}

TEST_P(TimerContract, AFactThatIsPublishedAfterTheQuestionDoesNotHoldItUp) {
  Rig rig(GetParam(), Options());
  const std::string key = rig.KeyIn(3);
  const absl::Time due = rig.Now() + absl::Minutes(1);
  Set(rig, "bound1", key, due);
  rig.bus().Hold(3);
  rig.AdvanceTo(due - absl::Seconds(1));
  rig.Append({rig.Added(key, 7)});
  rig.AdvanceTo(due + absl::Seconds(2));
  EXPECT_THAT(FiredIds(rig), IsEmpty());
  // The held delivery has the first fact alone; the second comes in the next one, held as well.
  rig.bus().LetGo(3);
  rig.bus().Hold(3);
  rig.Append({rig.Added(key, 8)});
  rig.Settle();
  EXPECT_THAT(FiredIds(rig), SizeIs(1));
}

TEST_P(TimerContract, AsksForTheEndAtOrAfterDueAndSettleAndOneAnswerServesAll) {
  RigOptions options = Options();
  options.runtime.gate.settle = absl::Milliseconds(700);
  Rig rig(GetParam(), options);
  const absl::Time due = rig.Now() + absl::Minutes(1);
  for (int i = 0; i < 300; ++i) Set(rig, "bound1", rig.KeyIn(i % 2, i / 2), due);
  rig.AdvanceTo(due + absl::Minutes(1));
  EXPECT_THAT(Fired(rig), SizeIs(300));
  std::map<int, int> asked;
  for (const SpoiltBus::Question& question : rig.bus().questions()) {
    EXPECT_GE(question.at, due + absl::Milliseconds(700));
    ++asked[question.partition];
  }
  EXPECT_EQ(asked, (std::map<int, int>{{0, 1}, {1, 1}}));
}

TEST_P(TimerContract, AsksAPartitionForItsEndNoMoreOftenThanTheSpacing) {
  RigOptions options = Options();
  options.runtime.gate.ask_spacing = absl::Milliseconds(100);
  Rig rig(GetParam(), options);
  const absl::Time due = rig.Now() + absl::Minutes(1);
  for (int i = 0; i < 500; ++i) {
    Set(rig, "bound1", rig.KeyIn(0, i), due + absl::Milliseconds(2) * i);
  }
  rig.AdvanceTo(due + absl::Minutes(1));
  EXPECT_THAT(Fired(rig), SizeIs(500));
  const auto& questions = rig.bus().questions();
  EXPECT_LE(questions.size(), 12u);
  for (size_t i = 1; i < questions.size(); ++i) {
    EXPECT_GE(questions[i].at - questions[i - 1].at, absl::Milliseconds(100));
  }
}

TEST_P(TimerContract, WaitsWhileTheBusCannotSayItsEnd) {
  Rig rig(GetParam(), Options());
  const absl::Time due = rig.Now() + absl::Minutes(1);
  Set(rig, "bound1", "b", due);
  rig.bus().FailEndOffset(true);
  rig.AdvanceTo(due + absl::Seconds(20));
  EXPECT_THAT(FiredIds(rig), IsEmpty());
  EXPECT_GT(rig.bus().questions().size(), 1u);
  rig.bus().FailEndOffset(false);
  rig.Advance(absl::Seconds(1));
  ExpectFiredOnce(rig, {"bound1:b"});
  EXPECT_FALSE(Fired(rig).front().lagging);
}

TEST_P(TimerContract, APositionOverUnusedTypesMovesAtOnceForAWaitingTimer) {
  RigOptions options = Options();
  options.runtime.consumer.skipped_wait = absl::Hours(10);
  Rig rig(GetParam(), options);
  const std::string key = rig.KeyIn(3);
  const absl::Time due = rig.Now() + absl::Minutes(1);
  Set(rig, "bound1", key, due);
  for (int i = 0; i < 100; ++i) rig.Deliver({rig.Unused(key)});
  EXPECT_EQ(rig.Number("SELECT next_offset FROM positions WHERE partition = 3"), 0);
  rig.AdvanceTo(due + absl::Seconds(1));
  EXPECT_THAT(FiredIds(rig), SizeIs(1));
  EXPECT_GE(rig.Number("SELECT next_offset FROM positions WHERE partition = 3"), 100);
}

TEST_P(TimerContract, ASlowPartitionHoldsUpNoOther) {
  RigOptions options = Options();
  options.runtime.gate.lag_limit = absl::Hours(1);
  options.runtime.gate.max_scan = 2;
  options.runtime.gate.max_handed_out = 2;
  Rig rig(GetParam(), options);
  rig.bus().Hold(0);
  rig.Append({rig.Added(rig.KeyIn(0), 1)});
  const absl::Time due = rig.Now() + absl::Minutes(1);
  // Many that are not ready, due before those that are.
  for (int i = 0; i < 20; ++i) Set(rig, "bound1", rig.KeyIn(0, i), due - absl::Seconds(1));
  std::vector<std::string> ready;
  for (int partition = 1; partition < 8; ++partition) {
    Set(rig, "bound1", rig.KeyIn(partition), due);
    ready.push_back("bound1:" + rig.KeyIn(partition));
  }
  Set(rig, "plain1", "p", due);
  ready.push_back("plain1:p");
  rig.AdvanceTo(due + absl::Seconds(2));
  EXPECT_THAT(FiredIds(rig), ::testing::UnorderedElementsAreArray(ready));
  rig.bus().LetGo(0);
  rig.Advance(absl::Seconds(1));
  EXPECT_THAT(FiredIds(rig), SizeIs(28));
}

TEST_P(TimerContract, FiresMarkedAsLaggingAfterTheLimitOfPatience) {
  for (const bool bus_is_mute : {false, true}) {
    RigOptions options = Options();
    options.runtime.gate.lag_limit = absl::Minutes(3);
    Rig rig(GetParam(), options);
    const std::string slow = rig.KeyIn(0), good = rig.KeyIn(1);
    rig.Settle();
    rig.bus().Hold(0);
    rig.Append({rig.Added(slow, 1)});
    const absl::Time due = rig.Now() + absl::Minutes(1);
    Set(rig, "bound1", slow, due);
    Set(rig, "bound2", slow, due + absl::Minutes(1));
    if (!bus_is_mute) Set(rig, "bound1", good, due);
    rig.bus().FailEndOffset(bus_is_mute);
    rig.AdvanceTo(due + absl::Minutes(3) - absl::Microseconds(1));
    EXPECT_THAT(Fired(rig), SizeIs(bus_is_mute ? 0 : 1));
    rig.AdvanceTo(due + absl::Minutes(3) + absl::Milliseconds(100));
    const std::vector<Firing> fired = Fired(rig);
    ASSERT_THAT(fired, SizeIs(bus_is_mute ? 1 : 2));
    EXPECT_EQ(fired.back().id, "bound1:" + slow);
    EXPECT_TRUE(fired.back().lagging);
    EXPECT_EQ(fired.back().fact, due);
    if (!bus_is_mute) {
      EXPECT_FALSE(fired.front().lagging);
    }
    // The next of the same partition waits for its own limit, or for its facts.
    rig.bus().FailEndOffset(false);
    rig.bus().LetGo(0);
    rig.Advance(absl::Seconds(1));
    EXPECT_EQ(Fired(rig).back().id, "bound2:" + slow);
    EXPECT_FALSE(Fired(rig).back().lagging);
  }
}

TEST_P(TimerContract, TenThousandOfOneInstantAllFireOnceAFewAtATime) {
  for (const std::string sort : {"plain1", "bound1"}) {
    RigOptions options = Options();
    options.runtime.gate.max_handed_out = 256;
    options.runtime.gate.max_scan = 64;
    options.runtime.lane.max_batch = 100'000;  // so that a commit shows all that was handed out
    Rig rig(GetParam(), options);
    const absl::Time due = rig.Now() + absl::Minutes(1);
    std::set<std::string> expected;
    for (int i = 0; i < 10'000; ++i) {
      const std::string key = absl::StrCat("b", i);
      PutSet(rig, SetOf(sort, key, due));
      expected.insert(absl::StrCat(sort, ":", key));
      if (i % 2000 == 1999) rig.Settle();
    }
    ASSERT_EQ(rig.Count("timers"), 10'000);
    size_t most = 0;
    rig.store().Watch([&](const std::vector<store::Write>& batch) {
      size_t firings = 0;
      for (const store::Write& line : batch) firings += line.table == "timers" ? 1 : 0;
      most = std::max(most, firings);
    });
    rig.AdvanceTo(due + absl::Seconds(1));
    EXPECT_EQ(rig.Count("timers"), 0);
    rig.Advance(absl::Minutes(1));
    const std::vector<std::string> ids = FiredIds(rig);
    EXPECT_EQ(ids.size(), 10'000u);
    EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()), expected);
    EXPECT_GT(most, 1u);
    EXPECT_LT(most, 1'000u);
  }
}

TEST_P(TimerContract, OfAKindThatThisBinaryDoesNotKnowStaysForANewerOne) {
  const auto knows = std::make_shared<bool>(true);
  RigOptions options;
  options.make = [knows] { return MakeTimers({.knows_newer = *knows}); };
  Rig rig(GetParam(), options);
  const absl::Time due = rig.Now() + absl::Minutes(1);
  Set(rig, "newer", "b", due);
  Set(rig, "plain1", "b", due + absl::Seconds(1));
  *knows = false;
  rig.Restart();
  rig.Advance(absl::Hours(1));
  EXPECT_THAT(FiredIds(rig), ElementsAre("plain1:b"));
  EXPECT_EQ(rig.Count("timers"), 1);
  EXPECT_EQ(rig.Count("dead_letters"), 0);
  *knows = true;
  rig.Restart();
  rig.Settle();
  ExpectFiredOnce(rig, {"newer:b", "plain1:b"});
  EXPECT_EQ(Fired(rig).back().fact, due);
}

TEST_P(TimerContract, WhoseRuleFailsForAPassingReasonIsTriedAgainWithoutHurry) {
  const auto tries = std::make_shared<int>(0);
  RigOptions options;
  options.make = [tries] { return MakeTimers({.is_hindered = [tries] { return ++*tries <= 6; }}); };
  Rig rig(GetParam(), options);
  const absl::Time due = rig.Now() + absl::Minutes(1);
  Set(rig, "hindered", "b", due);
  rig.AdvanceTo(due + absl::Milliseconds(100));
  EXPECT_LE(*tries, 4);
  rig.AdvanceTo(due + absl::Minutes(1));
  EXPECT_EQ(*tries, 7);
  ExpectFiredOnce(rig, {"hindered:b"});
  EXPECT_EQ(Fired(rig).front().fact, due);
}

TEST_P(TimerContract, WhoseRuleDoesNotFitIsADeadLetterAndGone) {
  Rig rig(GetParam(), Options());
  const absl::Time due = rig.Now() + absl::Minutes(1);
  Set(rig, "wrong", "b", due);
  Set(rig, "plain1", "b", due + absl::Microseconds(1));
  rig.AdvanceTo(due + absl::Minutes(1));
  rig.Restart();
  rig.Advance(absl::Minutes(1));
  ExpectFiredOnce(rig, {"plain1:b"});
  EXPECT_EQ(rig.Count("dead_letters"), 1);
  EXPECT_EQ(rig.Number("SELECT COUNT(*) FROM dead_letters WHERE parked_subject = 'timer:wrong:b' "
                       "AND reason = 'no rule fits'"),
            1);
  EXPECT_EQ(rig.Count("parked_subjects"), 0);
}

TEST_P(TimerContract, AnEffectHappensAtLeastOnceAndIsDecidedOnceWhereverItsProcessIsKilled) {
  bool ended = false;
  int more_than_once = 0;
  for (int64_t kill_at = 0; !ended; ++kill_at) {
    const auto performed = std::make_shared<int>(0);
    TimerKinds kinds;
    kinds.ledger.perform = [performed](const std::string&) {
      ++*performed;
      return absl::OkStatus();
    };
    Rig rig(GetParam(), Options(kinds));
    const absl::Time due = rig.Now() + absl::Seconds(10);
    Set(rig, "effect", "b", due);
    rig.AdvanceTo(due - absl::Microseconds(1));
    for (int64_t step = 0; step < kill_at && !ended; ++step) {
      ended = rig.scheduler().NextInstant() > due + absl::Seconds(1) || !rig.scheduler().Step();
    }
    rig.Restart();
    rig.AdvanceTo(due + absl::Minutes(1));
    EXPECT_GE(*performed, 1);
    EXPECT_LE(*performed, 2);
    more_than_once += *performed == 2 ? 1 : 0;
    EXPECT_EQ(rig.Get("b").effects_done(), 1) << "killed after step " << kill_at;
    EXPECT_EQ(rig.Count("timers"), 0);
    if (HasFailure()) return;
  }
  // Killed between the deed and its decision it does the deed again.
  EXPECT_GT(more_than_once, 0);
}

TEST_P(TimerContract, AnEffectThatIsUnavailableIsTriedAgainAndAnyOtherResultIsDecided) {
  const auto results = std::make_shared<std::vector<absl::Status>>(std::vector<absl::Status>{
      absl::UnavailableError("down"), absl::UnavailableError("down"), absl::InternalError("no")});
  const auto performed = std::make_shared<size_t>(0);
  TimerKinds kinds;
  kinds.ledger.perform = [results, performed](const std::string&) {
    return results->at((*performed)++);
  };
  Rig rig(GetParam(), Options(kinds));
  Set(rig, "effect", "b", rig.Now());
  rig.Advance(absl::Minutes(5));
  EXPECT_EQ(*performed, 3u);
  EXPECT_EQ(rig.Get("b").effects_done(), 1);
  EXPECT_EQ(rig.Count("timers"), 0);
}

TEST_P(TimerContract, AnEffectThatWasCancelledWhileItHappenedIsNotDecided) {
  Rig* the_rig = nullptr;
  TimerKinds kinds;
  kinds.ledger.perform = [&](const std::string& box) {
    the_rig->Put<testing::AddLaterResponse>(
        "AddLater", SetOf("effect", box, the_rig->Now(), /*cancel=*/true), &ignored_);
    return absl::OkStatus();
  };
  Rig rig(GetParam(), Options(kinds));
  the_rig = &rig;
  Set(rig, "effect", "b", rig.Now());
  rig.Advance(absl::Minutes(1));
  EXPECT_EQ(rig.Get("b").effects_done(), 0);
  EXPECT_EQ(rig.Count("timers"), 0);
}

TEST_P(TimerContract, AStoreThatCannotBeReadForAWhileLosesNone) {
  Rig rig(GetParam(), Options());
  const absl::Time due = rig.Now() + absl::Minutes(1);
  const std::vector<std::string> ids = SetOneOfEach(rig, due);
  rig.AdvanceTo(due - absl::Microseconds(1));
  rig.store().FailReads(true);
  rig.AdvanceTo(due + absl::Seconds(20));
  EXPECT_THAT(FiredIds(rig), IsEmpty());
  rig.store().FailReads(false);
  rig.Advance(absl::Minutes(1));
  ExpectFiredOnce(rig, ids);
}

TEST_P(TimerContract, IsNeitherEarlyNorFiresTwiceWhenTheClockIsSetBack) {
  RigOptions options = Options();
  options.settable_clock = true;
  Rig rig(GetParam(), options);
  const absl::Time due = rig.Now() + absl::Hours(1);
  const std::vector<std::string> ids = SetOneOfEach(rig, due);
  rig.Advance(absl::Minutes(59));
  rig.SetClock(absl::Minutes(-30));
  rig.Advance(absl::Minutes(31) - absl::Microseconds(1));
  EXPECT_THAT(FiredIds(rig), IsEmpty());
  rig.Advance(absl::Seconds(2));
  ExpectFiredOnce(rig, ids);
  for (const Firing& firing : Fired(rig)) EXPECT_GE(firing.decided, firing.due);
  rig.SetClock(absl::Minutes(-30));
  rig.Advance(absl::Hours(2));
  ExpectFiredOnce(rig, ids);
}

TEST_P(TimerContract, FiresAtOnceWhenTheClockIsSetForward) {
  RigOptions options = Options();
  options.settable_clock = true;
  Rig rig(GetParam(), options);
  const std::vector<std::string> ids = SetOneOfEach(rig, rig.Now() + absl::Hours(1));
  rig.SetClock(absl::Hours(5));
  rig.Advance(absl::Seconds(1));
  ExpectFiredOnce(rig, ids);
}

TEST_P(TimerContract, NothingWakesUpBeforeTheNextIsDue) {
  Rig rig(GetParam(), Options());
  const absl::Time due = rig.Now() + absl::Hours(24 * 300);
  Set(rig, "plain1", "b", due);
  Set(rig, "bound1", "c", due + absl::Hours(1));
  rig.Advance(absl::Minutes(1));  // deletes of what was published, and the like
  EXPECT_EQ(rig.scheduler().NextInstant(), due);
  rig.AdvanceTo(due + absl::Minutes(1));
  EXPECT_EQ(rig.scheduler().NextInstant(), due + absl::Hours(1) + absl::Seconds(1));
  rig.Advance(absl::Hours(2));
  // One is left: the maintenance of the service, years away.
  EXPECT_GT(rig.scheduler().NextInstant(), rig.Now() + absl::Hours(24 * 365));
}

TEST_P(TimerContract, NothingPollsWhileAPartitionIsBehind) {
  RigOptions options = Options();
  options.runtime.gate.lag_limit = absl::Hours(24);
  Rig rig(GetParam(), options);
  const std::string key = rig.KeyIn(0);
  rig.bus().Hold(0);
  rig.Append({rig.Added(key, 1)});
  const absl::Time due = rig.Now() + absl::Minutes(1);
  Set(rig, "bound1", key, due);
  rig.AdvanceTo(due + absl::Seconds(2));
  const int64_t steps = rig.scheduler().steps();
  rig.AdvanceTo(due + absl::Hours(23));
  EXPECT_EQ(rig.scheduler().steps(), steps);
  rig.bus().LetGo(0);
  rig.Settle();
  EXPECT_THAT(FiredIds(rig), SizeIs(1));
}

// Sets, moves, cancels, stops and kills in a drawn order, with steps of different threads drawn
// too.
inline void TimerContract::SetMoveAndCancel(uint32_t seed, const std::vector<std::string>& sorts) {
  std::mt19937 dice(seed);
  const auto draw = [&dice](uint32_t below) { return static_cast<int>(dice() % below); };
  RigOptions options = Options();
  options.shuffle = seed;
  options.runtime.gate.settle = absl::Milliseconds(20);
  options.runtime.lane.max_batch = 3;
  Rig rig(GetParam(), options);
  struct Wish {
    absl::Time due;
    bool set = false;
  };
  std::map<std::string, Wish> wishes;                   // by id, the last
  std::set<std::pair<std::string, absl::Time>> wished;  // ever
  int64_t serial = 0;
  for (int i = 0; i < 120; ++i) {
    const std::string key = absl::StrCat("k", draw(4));
    const std::string kind =
        absl::StrCat(sorts[static_cast<size_t>(draw(2)) % sorts.size()], 1 + draw(2));
    const std::string id = absl::StrCat(kind, ":", key);
    const int what = draw(20);
    if (what < 14) {
      // No two of them at one instant, so that a firing tells its setting.
      const absl::Time due =
          rig.Now() + absl::Milliseconds(draw(200) - 20) + absl::Microseconds(++serial % 1000);
      PutSet(rig, SetOf(kind, key, due));
      wishes[id] = {due, true};
      wished.insert({id, due});
    } else if (what < 17) {
      PutSet(rig, SetOf(kind, key, rig.Now(), /*cancel=*/true));
      wishes[id] = {rig.Now(), false};
    } else if (what < 18) {
      rig.Settle();  // what was put was acknowledged
      rig.Restart();
    }
    if (draw(2) == 0) rig.Advance(absl::Milliseconds(draw(30)));
  }
  rig.Advance(absl::Minutes(5));
  std::set<std::pair<std::string, absl::Time>> fired;
  for (const Firing& firing : Fired(rig)) {
    EXPECT_TRUE(wished.contains({firing.id, firing.due})) << firing.id << " was never wished";
    EXPECT_TRUE(fired.insert({firing.id, firing.due}).second) << firing.id << " fired twice";
    EXPECT_GE(firing.decided, firing.due) << firing.id;
  }
  for (const auto& [id, wish] : wishes) {
    if (wish.set) {
      EXPECT_TRUE(fired.contains({id, wish.due})) << id << " was lost";
    }
  }
  EXPECT_EQ(rig.Count("timers"), 0);
  if (HasFailure()) FAIL() << "seed " << seed;
}

TEST_P(TimerContract, WhateverIsSetMovedAndCancelledFiresOnceAndInTime) {
  for (uint32_t seed = 1; seed <= 25; ++seed) SetMoveAndCancel(seed, {"plain"});
  for (uint32_t seed = 101; seed <= 125; ++seed) SetMoveAndCancel(seed, {"bound"});
}

TEST_P(TimerContract, OverdueAfterALongStopIsNotJudgedBeforeTheFactsThatCameMeanwhile) {
  RigOptions options = Options();
  options.runtime.gate.lag_limit = absl::Minutes(10);
  Rig rig(GetParam(), options);
  const std::string key = rig.KeyIn(3);
  const absl::Time due = rig.Now() + absl::Minutes(5);
  Set(rig, "bound1", key, due);
  rig.Kill();
  const bus::Event fact = rig.Added(key, 7);
  rig.Append({fact});
  rig.Advance(absl::Hours(3));
  rig.Restart();
  rig.Advance(absl::Seconds(1));
  ASSERT_THAT(FiredIds(rig), SizeIs(1));
  EXPECT_FALSE(Fired(rig).front().lagging);
  EXPECT_EQ(rig.Published().front().cause, fact.id);
}

TEST_P(TimerContract, OfBothSortsFireInOrderOfDueInstantsPerKey) {
  Rig rig(GetParam(), Options());
  const absl::Time due = rig.Now() + absl::Minutes(1);
  Set(rig, "bound1", "k", due);
  Set(rig, "plain1", "k", due + absl::Milliseconds(10));
  Set(rig, "bound2", "k", due + absl::Milliseconds(20));
  rig.bus().FailEndOffset(true);  // both fact-bound ones become ready at one look
  rig.AdvanceTo(due + absl::Seconds(5));
  rig.bus().FailEndOffset(false);
  rig.Advance(absl::Seconds(5));
  Set(rig, "plain1", "last", rig.Now());  // looks again, whatever waits
  rig.Settle();
  EXPECT_THAT(FiredIds(rig), ElementsAre("bound1:k", "plain1:k", "bound2:k", "plain1:last"));
}

TEST_P(TimerContract, ThatWaitedBehindAnotherFiresWithoutAnyOtherWakeUp) {
  Rig rig(GetParam(), Options());
  const absl::Time due = rig.Now() + absl::Minutes(1);
  Set(rig, "bound1", "k", due);
  Set(rig, "plain1", "k", due + absl::Milliseconds(10));
  rig.AdvanceTo(due + absl::Seconds(2));
  EXPECT_THAT(FiredIds(rig), ElementsAre("bound1:k", "plain1:k"));
}

TEST_P(TimerContract, NoMoreAreUnderWayThanMayBeHandedOut) {
  RigOptions options = Options();
  options.runtime.gate.max_handed_out = 100;
  options.runtime.gate.max_scan = 64;
  options.runtime.lane.max_batch = 100'000;  // so that a commit shows all that was handed out
  Rig rig(GetParam(), options);
  const absl::Time due = rig.Now() + absl::Minutes(1);
  for (int i = 0; i < 1000; ++i) PutSet(rig, SetOf("bound1", absl::StrCat("b", i), due));
  rig.Settle();
  size_t most = 0;
  rig.store().Watch([&](const std::vector<store::Write>& batch) {
    size_t firings = 0;
    for (const store::Write& line : batch) firings += line.table == "timers" ? 1 : 0;
    most = std::max(most, firings);
  });
  rig.AdvanceTo(due + absl::Minutes(1));
  EXPECT_EQ(rig.Count("timers"), 0);
  EXPECT_LE(most, 100u);
}

TEST_P(TimerContract, ManyOfAnUnknownKindStandInNobodysWay) {
  const auto knows = std::make_shared<bool>(true);
  RigOptions options;
  options.make = [knows] { return MakeTimers({.knows_newer = *knows}); };
  options.runtime.gate.max_scan = 4;
  Rig rig(GetParam(), options);
  const absl::Time due = rig.Now() + absl::Minutes(1);
  for (int i = 0; i < 10; ++i) Set(rig, "newer", absl::StrCat("n", i), due);
  Set(rig, "plain1", "b", due + absl::Seconds(1));
  *knows = false;
  rig.Restart();
  rig.Advance(absl::Hours(1));
  EXPECT_THAT(FiredIds(rig), ElementsAre("plain1:b"));
}

TEST_P(TimerContract, ManyThatCannotBeDecidedNowStandInNobodysWay) {
  const auto hindered = std::make_shared<bool>(true);
  RigOptions options;
  options.make = [hindered] {
    return MakeTimers({.is_hindered = [hindered] { return *hindered; }});
  };
  options.runtime.gate.max_scan = 4;
  options.runtime.gate.max_handed_out = 8;
  Rig rig(GetParam(), options);
  const absl::Time due = rig.Now() + absl::Minutes(1);
  for (int i = 0; i < 20; ++i) Set(rig, "hindered", absl::StrCat("h", i), due);
  Set(rig, "plain1", "b", due + absl::Seconds(1));
  rig.AdvanceTo(due + absl::Seconds(30));
  EXPECT_THAT(FiredIds(rig), ElementsAre("plain1:b"));
  *hindered = false;
  rig.Advance(absl::Minutes(2));
  EXPECT_THAT(FiredIds(rig), SizeIs(21));
}

TEST_P(TimerContract, AFactBoundOneSetAfterTheClockWentBackIsNotEarly) {
  RigOptions options = Options();
  options.settable_clock = true;
  Rig rig(GetParam(), options);
  const std::string a = rig.KeyIn(0), b = rig.KeyIn(0, 1);
  Set(rig, "bound1", a, rig.Now());
  rig.Advance(absl::Seconds(5));
  ASSERT_THAT(FiredIds(rig), SizeIs(1));
  rig.SetClock(absl::Hours(-1));
  const absl::Time due = rig.Now() + absl::Minutes(30);
  Set(rig, "bound2", a, due);
  Set(rig, "bound2", b, due + absl::Minutes(10));
  rig.AdvanceTo(due + absl::Milliseconds(999));
  EXPECT_THAT(FiredIds(rig), SizeIs(1)) << "before due + settle";
  rig.AdvanceTo(due + absl::Minutes(10) - absl::Microseconds(1));
  EXPECT_THAT(FiredIds(rig), SizeIs(2)) << "early by the store's clock, or late";
  rig.AdvanceTo(due + absl::Minutes(11));
  EXPECT_THAT(FiredIds(rig), SizeIs(3));
  for (const Firing& firing : Fired(rig)) {
    EXPECT_GE(firing.decided, firing.due) << firing.id;
    EXPECT_LE(firing.decided, firing.due + absl::Seconds(2)) << firing.id;
    EXPECT_FALSE(firing.lagging);
  }
}

TEST_P(TimerContract, WhateverOfBothSortsIsSetMovedAndCancelledFiresOnceAndInTime) {
  for (uint32_t seed = 1; seed <= 50; ++seed) SetMoveAndCancel(seed, {"plain", "bound"});
}

}  // namespace tandem::contract

#endif  // TANDEM_TESTS_CONTRACT_TIMER_CONTRACT_H_
