// What a lane (common/lane/lane.h) promises, whatever store it commits to: decisions one after
// another over what was decided before, commits all together, answers after the commit.
//
// The cases here need one process. What several processes on one database can show (two writers
// whose transactions overlap) stands with the store, in SharedStoreContract; two lanes with caches
// of their own over one database stand here.
#ifndef TANDEM_TESTS_CONTRACT_LANE_CONTRACT_H_
#define TANDEM_TESTS_CONTRACT_LANE_CONTRACT_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/corridor/decision.h"
#include "common/corridor/definition.h"
#include "common/corridor/errors.h"
#include "common/id/id.h"
#include "common/lane/gatherer.h"
#include "common/lane/lane.h"
#include "common/testing/ledger.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/contract/rig.h"

namespace tandem::contract {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A lane alone: no relay, gate or consumer beside it.
class LaneRig {
 public:
  using Reply = absl::StatusOr<corridor::MessagePtr>;
  using Rule = std::function<absl::StatusOr<corridor::Decision>(
      const testing::AddRequest&, const corridor::Inputs&, corridor::View&)>;

  explicit LaneRig(Rig* rig, lane::LaneOptions options = {})
      : rig_(*rig),
        definition_(testing::MakeLedger()),
        gatherer_("ledger", &rig->peer(), rig->clock()),
        lane_(definition_.get(),
              lane::Lane::Ports{rig->clock(), &rig->lane_executor(), &rig->store(), &rig->entropy(),
                                &gatherer_, rig->bus().partitions()},
              options, [this](const lane::Committed& one) { committed_.push_back(one); }) {}

  // Puts a command into the lane; false = it is full. `replies` gets the answer.
  bool Put(const corridor::ServiceDefinition::Method& method, const std::string& request_id,
           corridor::MessagePtr request, std::vector<Reply>* replies,
           absl::Time deadline = absl::InfiniteFuture(), const std::string& caller = "tester") {
    auto command = std::make_unique<lane::Command>();
    command->method = &method;
    command->context.caller = caller;
    command->context.deadline = deadline;
    command->scope = id::Derive("rq", {caller, method.descriptor->full_name(), request_id});
    command->body_hash = id::Hash({request->SerializeAsString()});
    command->request = std::move(request);
    command->done = [replies](Reply reply) { replies->push_back(std::move(reply)); };
    const bool taken = lane_.Submit(command);
    EXPECT_EQ(taken, command == nullptr) << "a refused command is left to its owner";
    return taken;
  }
  // The ledger's own.
  const corridor::ServiceDefinition::Method& Method(const std::string& name) const {
    return definition_->methods().find(absl::StrCat(kLedger, name))->second;
  }
  bool PutAdd(const std::string& request_id, const std::string& box, int64_t amount,
              std::vector<Reply>* replies, absl::Time deadline = absl::InfiniteFuture(),
              const std::string& caller = "tester") {
    return Put(Method("Add"), request_id,
               std::make_shared<testing::AddRequest>(AddOf(request_id, box, amount)), replies,
               deadline, caller);
  }
  bool PutTake(const std::string& request_id, std::vector<Reply>* replies,
               const std::string& caller = "tester") {
    auto request = std::make_shared<testing::TakeFullestRequest>();
    request->set_request_id(request_id);
    return Put(Method("TakeFullest"), request_id, request, replies, absl::InfiniteFuture(), caller);
  }
  // A command with a rule of the test's own.
  bool PutRule(const corridor::ServiceDefinition::Method& rule, const std::string& request_id,
               std::vector<Reply>* replies) {
    return Put(rule, request_id,
               std::make_shared<testing::AddRequest>(AddOf(request_id, request_id)), replies);
  }
  static corridor::ServiceDefinition::Method Of(Rule rule) {
    corridor::ServiceDefinition::Method method;
    method.descriptor = corridor::FindMethod(absl::StrCat(kLedger, "Add"));
    method.decide = [rule = std::move(rule)](const google::protobuf::Message& m,
                                             const corridor::Inputs& in, corridor::View& view) {
      return rule(static_cast<const testing::AddRequest&>(m), in, view);
    };
    return method;
  }

  Rig& rig() { return rig_; }
  lane::Lane& lane() { return lane_; }
  const std::vector<lane::Committed>& committed() const { return committed_; }
  // Sizes of the batches that were committed.
  std::vector<size_t> Batches() const {
    std::vector<size_t> sizes;
    for (const lane::Committed& one : committed_) {
      if (one.outcome == store::CommitResult::Kind::kCommitted) sizes.push_back(one.members);
    }
    return sizes;
  }

 private:
  Rig& rig_;
  const std::unique_ptr<corridor::ServiceDefinition> definition_;
  lane::Gatherer gatherer_;
  std::vector<lane::Committed> committed_;
  lane::Lane lane_;
};

class LaneContract : public ::testing::TestWithParam<Engine> {
 protected:
  using Reply = LaneRig::Reply;
  using Kind = testing::Fault::Kind;

  static RigOptions Quiet() {
    RigOptions options;
    options.start = false;
    return options;
  }
  static testing::AddResponse Added(const Reply& reply) {
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? static_cast<const testing::AddResponse&>(**reply) : testing::AddResponse();
  }
  static std::string Taken(const Reply& reply) {
    if (!reply.ok()) return std::string(absl::StatusCodeToString(reply.status().code()));
    return static_cast<const testing::TakeFullestResponse&>(**reply).box_id();
  }
  static absl::StatusCode Code(const Reply& reply) { return reply.status().code(); }
  int64_t Balance(const std::string& box) {
    return rig_.Number(
        absl::StrCat("SELECT COALESCE(SUM(balance), 0) FROM boxes WHERE key = '", box, "'"));
  }
  void ExpectNothingStored() {
    for (const char* table : {"boxes", "entries", "request_marks", "outbox", "timers"}) {
      EXPECT_EQ(rig_.Count(table), 0) << table;
    }
  }
  static const store::Table<testing::Box>& Boxes() {
    static const store::Table<testing::Box>* const table = new store::Table<testing::Box>(
        "boxes", {{"balance", [](const testing::Box& box) { return store::Value(box.balance()); }},
                  {"taken", [](const testing::Box& box) {
                     return store::Value(int64_t{box.taken_by().empty() ? 0 : 1});
                   }}});
    return *table;
  }
  // Adds 1 to `own` if `other` is empty: two of these, crosswise, must not both come true.
  static LaneRig::Rule IfEmpty(std::string own, std::string other, int* decided = nullptr) {
    return [own, other, decided](const testing::AddRequest&, const corridor::Inputs&,
                                 corridor::View& view) -> absl::StatusOr<corridor::Decision> {
      if (decided != nullptr) ++*decided;
      auto read = view.Load(Boxes(), other);
      auto mine = view.Load(Boxes(), own);
      if (!read.ok()) return read.status();
      if (!mine.ok()) return mine.status();
      if (*read && (*read)->balance() > 0) {
        return corridor::FailedPrecondition("OTHER_IS_FULL", "the other box is full");
      }
      testing::Box box;
      box.set_box_id(own);
      box.set_balance(*mine ? (*mine)->balance() + 1 : 1);
      corridor::Decision decision;
      decision.Save(Boxes(), own, std::move(box));
      decision.Reply(testing::AddResponse());
      return decision;
    };
  }

  Rig rig_{GetParam(), Quiet()};
  LaneRig lane_{&rig_};
  std::vector<Reply> replies_;
};

TEST_P(LaneContract, CommitsTogetherWhatQueuedUpAndEachSeesTheOneBefore) {
  for (int i = 1; i <= 200; ++i) ASSERT_TRUE(lane_.PutAdd(absl::StrCat("r", i), "b", 1, &replies_));
  rig_.Settle();
  ASSERT_THAT(replies_, SizeIs(200));
  for (int i = 1; i <= 200; ++i) {
    const testing::AddResponse reply = Added(replies_[static_cast<size_t>(i - 1)]);
    EXPECT_EQ(reply.balance(), i);
    EXPECT_EQ(reply.version(), i);
  }
  EXPECT_THAT(lane_.Batches(), ElementsAre(200));
  EXPECT_EQ(rig_.store().commits(), 1);
  EXPECT_EQ(Balance("b"), 200);
  // The outbox has them in the order of the decisions.
  EXPECT_EQ(rig_.Number("SELECT COUNT(*) FROM outbox a JOIN outbox b ON b.id = a.id + 1"), 199);
}

TEST_P(LaneContract, ABatchHasNoMoreThanItsLimit) {
  lane::LaneOptions options;
  options.max_batch = 3;
  LaneRig lane(&rig_, options);
  for (int i = 0; i < 8; ++i) lane.PutAdd(absl::StrCat("r", i), "b", 1, &replies_);
  rig_.Settle();
  EXPECT_THAT(replies_, SizeIs(8));
  EXPECT_THAT(lane.Batches(), ElementsAre(3, 3, 2));
  EXPECT_EQ(Balance("b"), 8);
}

TEST_P(LaneContract, NobodyIsAnsweredBeforeTheCommit) {
  int commits = 0;
  rig_.store().Watch([&](const std::vector<store::Write>&) {
    ++commits;
    EXPECT_THAT(replies_, IsEmpty());
  });
  for (int i = 0; i < 5; ++i) lane_.PutAdd(absl::StrCat("r", i), "b", 1, &replies_);
  rig_.Settle();
  EXPECT_EQ(commits, 1);
  EXPECT_THAT(replies_, SizeIs(5));
}

TEST_P(LaneContract, AFaultyMemberFailsAloneAndLeavesNothing) {
  // In every place of the batch: a rule that refuses, one that breaks the rules of a rule, and one
  // that forgets its reply.
  const auto refuses = LaneRig::Of([](const testing::AddRequest&, const corridor::Inputs&,
                                      corridor::View& view) -> absl::StatusOr<corridor::Decision> {
    (void)view.Load(Boxes(), "good");
    return absl::FailedPreconditionError("refused");
  });
  const auto saves_unseen = LaneRig::Of([](const testing::AddRequest&, const corridor::Inputs&,
                                           corridor::View&) -> absl::StatusOr<corridor::Decision> {
    corridor::Decision decision;
    decision.Save(Boxes(), "unseen", testing::Box());
    decision.Reply(testing::AddResponse());
    return decision;
  });
  const auto sets_unknown_timer =
      LaneRig::Of([](const testing::AddRequest&, const corridor::Inputs& in,
                     corridor::View& view) -> absl::StatusOr<corridor::Decision> {
        (void)view.Load(Boxes(), "unseen");
        corridor::Decision decision;
        decision.Save(Boxes(), "unseen", testing::Box());
        decision.SetTimer("t", in.now, "no such kind", "k", testing::AddRequest());
        decision.Reply(testing::AddResponse());
        return decision;
      });
  const auto says_nothing =
      LaneRig::Of([](const testing::AddRequest&, const corridor::Inputs&,
                     corridor::View& view) -> absl::StatusOr<corridor::Decision> {
        (void)view.Load(Boxes(), "unseen");
        corridor::Decision decision;
        decision.Save(Boxes(), "unseen", testing::Box());
        return decision;
      });
  const std::vector<std::pair<const corridor::ServiceDefinition::Method*, absl::StatusCode>>
      faulty = {{&refuses, absl::StatusCode::kFailedPrecondition},
                {&saves_unseen, absl::StatusCode::kInternal},
                {&sets_unknown_timer, absl::StatusCode::kInternal},
                {&says_nothing, absl::StatusCode::kInternal}};
  int64_t good = 0;
  for (const auto& [method, code] : faulty) {
    for (int place = 0; place < 3; ++place) {
      std::vector<Reply> bad, fine;
      for (int i = 0; i < 3; ++i) {
        const std::string id = absl::StrCat(static_cast<int>(good), "-", i);
        if (i == place) {
          lane_.PutRule(*method, absl::StrCat("bad", id), &bad);
        } else {
          lane_.PutAdd(id, "good", 1, &fine);
        }
      }
      rig_.Settle();
      ASSERT_THAT(bad, SizeIs(1));
      EXPECT_EQ(Code(bad.front()), code);
      ASSERT_THAT(fine, SizeIs(2));
      for (const Reply& reply : fine) EXPECT_TRUE(reply.ok()) << reply.status();
      good += 2;
      EXPECT_EQ(Balance("good"), good);
    }
  }
  EXPECT_THAT(lane_.Batches(), Each(2));
  EXPECT_EQ(rig_.Number("SELECT COUNT(*) FROM boxes WHERE key <> 'good'"), 0);
  EXPECT_EQ(rig_.Count("request_marks"), good);
  EXPECT_EQ(rig_.Count("timers"), 0);
}

TEST_P(LaneContract, ADecisionWhoseRowChangedMeanwhileIsDecidedAnew) {
  lane_.PutAdd("r1", "b", 10, &replies_);
  rig_.Settle();
  // Between decision and commit somebody else saves the row.
  rig_.store().Before("boxes", [&](store::Store& store) {
    Rig::Write(store, "boxes", "UPDATE boxes SET version = version + 1 WHERE key = 'b'");
  });
  lane_.PutAdd("r2", "b", 1, &replies_);
  lane_.PutAdd("r3", "other", 1, &replies_);
  rig_.Settle();
  ASSERT_THAT(replies_, SizeIs(3));
  std::set<int64_t> versions;
  for (const Reply& reply : replies_) versions.insert(Added(reply).version());
  EXPECT_EQ(versions, (std::set<int64_t>{1, 3}));  // b: 1 and, behind the other's 2, 3; other: 1
  EXPECT_EQ(Balance("b"), 11);
  EXPECT_EQ(Balance("other"), 1);
}

TEST_P(LaneContract, ADecisionThatReliedOnARowThatChangedIsDecidedAnew) {
  for (const bool absent : {true, false}) {
    const std::string read = absent ? "absent" : "read";
    if (!absent) {
      const auto make = LaneRig::Of(IfEmpty("read", "nobody"));
      lane_.PutRule(make, "make", &replies_);
      rig_.Settle();
      Rig::Write(rig_.ground().store(), "boxes", "UPDATE boxes SET balance = 0");
    }
    // It only read the row; saving it is somebody else's, at the worst moment.
    int decided = 0;
    const auto rule =
        LaneRig::Of([&decided, read](const testing::AddRequest&, const corridor::Inputs&,
                                     corridor::View& view) -> absl::StatusOr<corridor::Decision> {
          ++decided;
          auto seen = view.Load(Boxes(), read);
          if (!seen.ok()) return seen.status();
          if (seen->version > 1) return absl::FailedPreconditionError("too late");
          if (decided > 1 && !*seen) return absl::InternalError("decided anew on the old row");
          if (decided > 1) return absl::FailedPreconditionError("too late");
          const std::string own = "own of " + read;
          (void)view.Load(Boxes(), own);
          corridor::Decision decision;
          decision.Save(Boxes(), own, testing::Box());
          decision.Reply(testing::AddResponse());
          return decision;
        });
    rig_.store().Before("boxes", [&](store::Store& store) {
      Rig::Write(store, "boxes",
                 absent ? "INSERT INTO boxes (key, version, body, balance, taken) VALUES "
                          "('absent', 1, '', 0, 0)"
                        : "UPDATE boxes SET version = version + 1 WHERE key = 'read'");
    });
    std::vector<Reply> replies;
    lane_.PutRule(rule, absl::StrCat("rule", absent), &replies);
    rig_.Settle();
    EXPECT_EQ(decided, 2);
    ASSERT_THAT(replies, SizeIs(1));
    EXPECT_EQ(Code(replies.front()), absl::StatusCode::kFailedPrecondition) << replies[0].status();
  }
  EXPECT_EQ(rig_.Number("SELECT COUNT(*) FROM boxes WHERE key LIKE 'own%'"), 0);
}

// Two lanes over one database, each with its own memory of it.
TEST_P(LaneContract, OfTwoDecisionsThatReadEachOthersRowsOneIsDecidedAnew) {
  LaneRig second(&rig_);
  const auto read_both =
      LaneRig::Of([](const testing::AddRequest&, const corridor::Inputs&,
                     corridor::View& view) -> absl::StatusOr<corridor::Decision> {
        (void)view.Load(Boxes(), "x");
        (void)view.Load(Boxes(), "y");
        corridor::Decision decision;
        decision.Reply(testing::AddResponse());
        return decision;
      });
  lane_.PutRule(read_both, "warm1", &replies_);
  second.PutRule(read_both, "warm2", &replies_);
  rig_.Settle();
  replies_.clear();
  int decided = 0;
  const auto x_if_no_y = LaneRig::Of(IfEmpty("x", "y", &decided));
  const auto y_if_no_x = LaneRig::Of(IfEmpty("y", "x", &decided));
  lane_.PutRule(x_if_no_y, "x", &replies_);
  second.PutRule(y_if_no_x, "y", &replies_);
  rig_.Settle();
  ASSERT_THAT(replies_, SizeIs(2));
  EXPECT_TRUE(replies_[0].ok()) << replies_[0].status();
  EXPECT_EQ(Code(replies_[1]), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(decided, 3);
  EXPECT_EQ(Balance("x") + Balance("y"), 1);
}

// One lane remembers a row that another erases and makes anew: nothing about it is the same.
TEST_P(LaneContract, ARowThatCameBackIsNotTakenForTheOneThatIsRemembered) {
  static const store::Table<testing::Box>* const passing =
      new store::Table<testing::Box>("boxes", {}, store::Rows::kMayGo);
  const auto make = [](int64_t balance) {
    return LaneRig::Of([balance](const testing::AddRequest&, const corridor::Inputs&,
                                 corridor::View& view) -> absl::StatusOr<corridor::Decision> {
      auto box = view.Load(*passing, "box");
      if (!box.ok()) return box.status();
      testing::Box made;
      made.set_balance(balance);
      corridor::Decision decision;
      decision.Save(*passing, "box", made);
      decision.Reply(testing::AddResponse());
      return decision;
    });
  };
  const auto erase = LaneRig::Of([](const testing::AddRequest&, const corridor::Inputs&,
                                    corridor::View& view) -> absl::StatusOr<corridor::Decision> {
    auto box = view.Load(*passing, "box");
    if (!box.ok()) return box.status();
    corridor::Decision decision;
    decision.Erase(*passing, "box");
    decision.Reply(testing::AddResponse());
    return decision;
  });
  const auto look = LaneRig::Of([](const testing::AddRequest&, const corridor::Inputs&,
                                   corridor::View& view) -> absl::StatusOr<corridor::Decision> {
    auto box = view.Load(*passing, "box");
    if (!box.ok()) return box.status();
    testing::AddResponse seen;
    seen.set_balance((*box)->balance());
    corridor::Decision decision;
    decision.Reply(seen);
    return decision;
  });
  LaneRig second(&rig_);
  const auto made = make(1), made_anew = make(2);
  lane_.PutRule(made, "make", &replies_);
  rig_.Settle();
  second.PutRule(erase, "erase", &replies_);
  rig_.Settle();
  second.PutRule(made_anew, "make anew", &replies_);
  rig_.Settle();
  lane_.PutRule(look, "look", &replies_);
  rig_.Settle();
  ASSERT_THAT(replies_, SizeIs(4));
  EXPECT_EQ(Added(replies_[3]).balance(), 2);
}

TEST_P(LaneContract, ARowOfATableWhoseRowsStayIsNotErased) {
  lane_.PutAdd("r1", "b", 1, &replies_);
  rig_.Settle();
  const auto erase = LaneRig::Of([](const testing::AddRequest&, const corridor::Inputs&,
                                    corridor::View& view) -> absl::StatusOr<corridor::Decision> {
    (void)view.Load(Boxes(), "b");
    corridor::Decision decision;
    decision.Erase(Boxes(), "b");
    decision.Reply(testing::AddResponse());
    return decision;
  });
  lane_.PutRule(erase, "erase", &replies_);
  rig_.Settle();
  ASSERT_THAT(replies_, SizeIs(2));
  EXPECT_EQ(Code(replies_[1]), absl::StatusCode::kInternal);
  EXPECT_EQ(Balance("b"), 1);
}

TEST_P(LaneContract, TwoLanesOverOneDatabaseLoseNoUpdate) {
  LaneRig second(&rig_);
  for (int i = 0; i < 60; ++i) {
    (i % 2 == 0 ? lane_ : second)
        .PutAdd(absl::StrCat("r", i), absl::StrCat("b", i % 3), 1, &replies_);
    if (i % 5 == 0) rig_.Settle();
  }
  rig_.Settle();
  ASSERT_THAT(replies_, SizeIs(60));
  std::set<std::pair<int64_t, std::string>> seen;
  for (const Reply& reply : replies_) EXPECT_TRUE(reply.ok()) << reply.status();
  for (int box = 0; box < 3; ++box) EXPECT_EQ(Balance(absl::StrCat("b", box)), 20);
  EXPECT_EQ(rig_.Count("entries"), 60);
}

TEST_P(LaneContract, TheOneThatMissedGoesAloneAndTheOthersTogether) {
  for (int i = 0; i < 6; ++i) {
    lane_.PutAdd(absl::StrCat("r", i), absl::StrCat("b", i), 1, &replies_);
  }
  rig_.store().FaultOn("boxes", {Kind::kMiss, "boxes", "b2", {}});
  rig_.Settle();
  ASSERT_THAT(replies_, SizeIs(6));
  for (const Reply& reply : replies_) EXPECT_TRUE(reply.ok()) << reply.status();
  const std::vector<size_t> batches = lane_.Batches();
  EXPECT_THAT(batches, ::testing::Contains(1u));
  EXPECT_EQ(std::count(batches.begin(), batches.end(), 1u) <= 2, true);
  EXPECT_LE(batches.size(), 3u);
}

TEST_P(LaneContract, AConflictThatNamesNobodyDecidesAllAnewAndIsBounded) {
  for (int i = 0; i < 4; ++i) lane_.PutAdd(absl::StrCat("r", i), "b", 1, &replies_);
  rig_.store().FaultOn("boxes", {Kind::kConflict, "", "", {}});
  rig_.Settle();
  EXPECT_THAT(replies_, SizeIs(4));
  EXPECT_EQ(Balance("b"), 4);
  replies_.clear();
  const int64_t before = rig_.store().commits();
  for (int i = 0; i < 500; ++i) rig_.store().FaultOn("boxes", {Kind::kConflict, "", "", {}});
  for (int i = 4; i < 8; ++i) lane_.PutAdd(absl::StrCat("r", i), "b", 1, &replies_);
  rig_.Settle();
  ASSERT_THAT(replies_, SizeIs(4));
  for (const Reply& reply : replies_) EXPECT_EQ(Code(reply), absl::StatusCode::kAborted);
  EXPECT_LE(rig_.store().commits() - before, 60);
  EXPECT_EQ(Balance("b"), 4);
}

TEST_P(LaneContract, ARangeIsReadFirstInItsBatchSoThatTwoClaimsGetTwoBoxes) {
  lane_.PutAdd("a1", "low", 1, &replies_);
  lane_.PutTake("t1", &replies_);  // low: all that there is
  lane_.PutAdd("a2", "high", 9, &replies_);
  lane_.PutAdd("a3", "middle", 5, &replies_);
  lane_.PutTake("t2", &replies_);
  lane_.PutTake("t3", &replies_);
  lane_.PutTake("t4", &replies_);
  rig_.Settle();
  ASSERT_THAT(replies_, SizeIs(7));
  std::vector<std::string> taken;
  for (const size_t i : {1u, 4u, 5u, 6u}) taken.push_back(Taken(replies_[i]));
  EXPECT_THAT(taken, ElementsAre("low", "high", "middle", "FAILED_PRECONDITION"));
  EXPECT_EQ(rig_.Number("SELECT SUM(taken) FROM boxes"), 3);
}

TEST_P(LaneContract, ARangeReaderThatIsFirstSharesItsBatchWithThoseBehind) {
  lane_.PutAdd("a1", "b", 1, &replies_);
  rig_.Settle();
  lane_.PutTake("t1", &replies_);
  for (int i = 0; i < 5; ++i) lane_.PutAdd(absl::StrCat("r", i), "c", 1, &replies_);
  rig_.Settle();
  EXPECT_THAT(lane_.Batches(), ElementsAre(1, 6));
}

TEST_P(LaneContract, AClaimWhoseBoxWasTakenMeanwhileTakesAnother) {
  lane_.PutAdd("a1", "high", 9, &replies_);
  lane_.PutAdd("a2", "low", 1, &replies_);
  rig_.Settle();
  replies_.clear();
  rig_.store().Before("boxes", [&](store::Store& store) {
    Rig::Write(store, "boxes",
               "UPDATE boxes SET taken = 1, version = version + 1 WHERE key = 'high'");
  });
  lane_.PutTake("t", &replies_);
  rig_.Settle();
  ASSERT_THAT(replies_, SizeIs(1));
  EXPECT_EQ(Taken(replies_.front()), "low");
}

TEST_P(LaneContract, TheSameRequestHasTheSameAnswerAndAnotherBodyIsRefused) {
  lane_.PutAdd("r", "b", 5, &replies_);
  rig_.Settle();
  lane_.PutAdd("x", "b", 1, &replies_);  // the box goes on
  rig_.Settle();
  const std::string answer = Added(replies_[0]).SerializeAsString();
  LaneRig later(&rig_);  // with nothing in memory
  for (LaneRig* lane : {&lane_, &later}) {
    std::vector<Reply> again;
    lane->PutAdd("r", "b", 5, &again);
    lane->PutAdd("r", "b", 6, &again);
    lane->PutAdd("r", "c", 5, &again);
    rig_.Settle();
    ASSERT_THAT(again, SizeIs(3));
    EXPECT_EQ(Added(again[0]).SerializeAsString(), answer);
    EXPECT_EQ(Code(again[1]), absl::StatusCode::kAlreadyExists);
    EXPECT_EQ(Code(again[2]), absl::StatusCode::kAlreadyExists);
  }
  EXPECT_EQ(Balance("b"), 6);
  EXPECT_EQ(rig_.Count("outbox"), 2);
}

TEST_P(LaneContract, TheSameRequestIdOfAnotherCallerOrMethodIsAnotherRequest) {
  lane_.PutAdd("r", "b", 5, &replies_, absl::InfiniteFuture(), "one");
  lane_.PutAdd("r", "b", 5, &replies_, absl::InfiniteFuture(), "two");
  rig_.Settle();
  lane_.PutTake("r", &replies_, "one");
  rig_.Settle();
  ASSERT_THAT(replies_, SizeIs(3));
  EXPECT_EQ(Balance("b"), 10);
  EXPECT_EQ(Taken(replies_[2]), "b");
}

TEST_P(LaneContract, AFailedRequestIsDecidedAnew) {
  lane_.PutTake("t", &replies_);
  rig_.Settle();
  lane_.PutAdd("a", "b", 1, &replies_);
  lane_.PutTake("t", &replies_);
  rig_.Settle();
  ASSERT_THAT(replies_, SizeIs(3));
  EXPECT_EQ(Taken(replies_[0]), "FAILED_PRECONDITION");
  EXPECT_EQ(Taken(replies_[2]), "b");
}

TEST_P(LaneContract, ARepetitionInTheSameBatchJoinsTheFirst) {
  for (const testing::Fault& fault : [] {
         std::vector<testing::Fault> faults = CommitFaults();
         faults.pop_back();  // a commit that failed is a case of its own
         faults.push_back({Kind::kMiss, "boxes", "b", {}});
         return faults;
       }()) {
    Rig rig(GetParam(), Quiet());
    LaneRig lane(&rig);
    std::vector<Reply> replies;
    for (int i = 0; i < 3; ++i) lane.PutAdd("r", "b", 5, &replies);
    lane.PutAdd("s", "b", 5, &replies);
    lane.PutAdd("r", "b", 6, &replies);
    rig.store().FaultOn("boxes", fault);
    rig.Settle();
    ASSERT_THAT(replies, SizeIs(5)) << static_cast<int>(fault.kind);
    std::multiset<std::string> good;
    int refused = 0;
    for (const Reply& reply : replies) {
      if (reply.ok()) {
        good.insert(Added(reply).entry_id());
      } else {
        EXPECT_EQ(Code(reply), absl::StatusCode::kAlreadyExists);
        ++refused;
      }
    }
    EXPECT_EQ(refused, 1);
    EXPECT_EQ(std::set<std::string>(good.begin(), good.end()).size(), 2u);
    EXPECT_EQ(rig.Number("SELECT balance FROM boxes WHERE key = 'b'"), 10);
    EXPECT_EQ(rig.Count("outbox"), 2);
  }
}

TEST_P(LaneContract, AFullLaneRefusesBeforeAnyWorkAndOnlyCommands) {
  lane::LaneOptions options;
  options.max_waiting = 3;
  LaneRig lane(&rig_, options);
  int decided = 0;
  const auto rule = LaneRig::Of(IfEmpty("x", "y", &decided));
  std::vector<bool> taken;
  for (int i = 0; i < 5; ++i) {
    taken.push_back(lane.PutRule(rule, absl::StrCat("r", i), &replies_));
  }
  EXPECT_THAT(taken, ElementsAre(true, true, true, false, false));
  EXPECT_EQ(decided, 0);
  EXPECT_THAT(replies_, IsEmpty());
  // The mechanism's own work is bounded by its owners.
  bool written = false;
  lane.lane().Submit(lane::Writes{{}, [&](const absl::Status& status) { written = status.ok(); }});
  rig_.Settle();
  EXPECT_TRUE(written);
  EXPECT_THAT(replies_, SizeIs(3));
  EXPECT_TRUE(lane.PutRule(rule, "later", &replies_));
  rig_.Settle();
  EXPECT_EQ(decided, 4);
}

TEST_P(LaneContract, AnUnknownOutcomeIsSettledByTheMarks) {
  for (const Kind kind : {Kind::kUnknownApplied, Kind::kUnknownLost}) {
    // The answers without a fault, to compare with.
    std::vector<std::vector<std::string>> answers;
    for (const bool faulty : {false, true}) {
      Rig rig(GetParam(), Quiet());
      LaneRig lane(&rig);
      std::vector<Reply> replies;
      lane.PutAdd("a1", "full", 10, &replies);
      lane.PutAdd("a2", "half", 5, &replies);
      rig.Settle();
      if (faulty) {
        // Also while it is settled: three in a row.
        for (int i = 0; i < 3; ++i) rig.store().FaultOn("boxes", {kind, "", "", {}});
      }
      lane.PutTake("t1", &replies);
      lane.PutAdd("a3", "full", 1, &replies);
      lane.PutAdd("a4", "new", 1, &replies);
      lane.PutTake("t2", &replies);
      rig.Settle();
      ASSERT_THAT(replies, SizeIs(6));
      std::vector<std::string>& own = answers.emplace_back();
      for (const Reply& reply : replies) {
        ASSERT_TRUE(reply.ok()) << reply.status();
        own.push_back((*reply)->SerializeAsString());
      }
      std::sort(own.begin(), own.end());
      EXPECT_EQ(rig.Count("outbox"), 4);
      EXPECT_EQ(rig.Count("entries"), 4);
      EXPECT_EQ(rig.Count("request_marks"), 6);
      EXPECT_EQ(rig.Number("SELECT SUM(taken) FROM boxes"), 2);
      EXPECT_EQ(rig.Number("SELECT SUM(balance) FROM boxes"), 17);
      if (!faulty) continue;
      // Whoever waits for events and timers hears that there may be some.
      const auto& told = lane.committed();
      EXPECT_TRUE(std::any_of(told.begin(), told.end(), [](const lane::Committed& one) {
        return one.outcome == store::CommitResult::Kind::kUnknown;
      }));
    }
    EXPECT_EQ(answers[0], answers[1]);
  }
}

TEST_P(LaneContract, AFailedCommitIsAnErrorToAllAndNothingIsHalfDone) {
  for (const absl::Status& why :
       {absl::ResourceExhaustedError("the disk is full"), absl::DataLossError("the file is broken"),
        absl::UnavailableError("the store is away"), absl::InternalError("no such table")}) {
    Rig rig(GetParam(), Quiet());
    LaneRig lane(&rig);
    std::vector<Reply> replies;
    rig.store().FaultOn("boxes", {Kind::kFailed, "", "", why});
    for (int i = 0; i < 4; ++i) lane.PutAdd(absl::StrCat("r", i), "b", 1, &replies);
    rig.Settle();
    ASSERT_THAT(replies, SizeIs(4));
    for (const Reply& reply : replies) EXPECT_EQ(Code(reply), why.code());
    for (const char* table : {"boxes", "entries", "request_marks", "outbox"}) {
      EXPECT_EQ(rig.Count(table), 0) << table;
    }
    // What was decided and failed is forgotten: the next starts from what is stored.
    for (int i = 0; i < 4; ++i) lane.PutAdd(absl::StrCat("r", i), "b", 1, &replies);
    rig.Settle();
    ASSERT_THAT(replies, SizeIs(8));
    EXPECT_EQ(Added(replies.back()).balance(), 4);
    EXPECT_EQ(Added(replies.back()).version(), 4);
  }
}

TEST_P(LaneContract, AStoreThatCannotBeReadIsAnErrorAndNothingIsDone) {
  rig_.store().FailReads(true);
  lane_.PutAdd("r1", "b", 1, &replies_);
  lane_.PutTake("t1", &replies_);
  rig_.Settle();
  ASSERT_THAT(replies_, SizeIs(2));
  for (const Reply& reply : replies_) EXPECT_EQ(Code(reply), absl::StatusCode::kUnavailable);
  rig_.store().FailReads(false);
  ExpectNothingStored();
  lane_.PutAdd("r1", "b", 1, &replies_);
  rig_.Settle();
  EXPECT_EQ(Balance("b"), 1);
}

TEST_P(LaneContract, ACallWhoseDeadlinePassedIsNotDecided) {
  for (const absl::Duration left : {absl::Seconds(-1), absl::ZeroDuration()}) {
    replies_.clear();
    lane_.PutAdd(absl::StrCat("r", absl::FormatDuration(left)), "late", 1, &replies_,
                 rig_.Now() + left);
    lane_.PutAdd(absl::StrCat("s", absl::FormatDuration(left)), "good", 1, &replies_,
                 rig_.Now() + absl::Microseconds(1));
    rig_.Settle();
    ASSERT_THAT(replies_, SizeIs(2));
    EXPECT_EQ(Code(replies_[0]), absl::StatusCode::kDeadlineExceeded);
    EXPECT_TRUE(replies_[1].ok()) << replies_[1].status();
  }
  EXPECT_EQ(Balance("late"), 0);
  EXPECT_EQ(Balance("good"), 2);
  EXPECT_EQ(rig_.Count("request_marks"), 2);
}

TEST_P(LaneContract, AQuestionIsAskedOffTheLaneAndHoldsNobodyUp) {
  std::vector<Reply> asking;
  auto request = std::make_shared<testing::AddAsToldRequest>();
  request->set_request_id("ask");
  request->set_box_id("b");
  testing::GetResponse told;
  told.mutable_box()->set_balance(7);
  rig_.peer().Answer(absl::StrCat(kLedger, "Get"), told);
  lane_.Put(lane_.Method("AddAsTold"), "ask", request, &asking);
  lane_.PutAdd("r", "c", 1, &replies_);
  rig_.Settle();
  ASSERT_THAT(asking, SizeIs(1));
  ASSERT_TRUE(asking[0].ok()) << asking[0].status();
  EXPECT_EQ(rig_.peer().Asked(absl::StrCat(kLedger, "Get")), 1);
  EXPECT_EQ(Balance("b"), 7);
  EXPECT_THAT(lane_.Batches(), ElementsAre(1, 1));  // the neighbour first, without waiting
}

TEST_P(LaneContract, ARuleMayAskThreeTimesAndThenHearsThatTheOtherSideIsDown) {
  testing::GetResponse told;
  rig_.peer().Answer(absl::StrCat(kLedger, "Get"), told);
  int decided = 0;
  std::vector<absl::StatusCode> heard;
  const auto rule = LaneRig::Of([&](const testing::AddRequest&, const corridor::Inputs& in,
                                    corridor::View&) -> absl::StatusOr<corridor::Decision> {
    corridor::Decision decision;
    const std::string name = absl::StrCat("q", ++decided);
    const std::string last = absl::StrCat("q", decided - 1);
    if (decided > 1) {
      heard.push_back(in.answers->Get<testing::GetResponse>(last).status().code());
    }
    if (heard.empty() || heard.back() == absl::StatusCode::kOk) {
      decision.Ask({name, absl::StrCat(kLedger, "Get"), std::make_shared<testing::GetRequest>()});
      return decision;
    }
    decision.Reply(testing::AddResponse());
    return decision;
  });
  lane_.PutRule(rule, "r", &replies_);
  rig_.Settle();
  EXPECT_THAT(replies_, SizeIs(1));
  EXPECT_THAT(heard, ElementsAre(absl::StatusCode::kOk, absl::StatusCode::kOk,
                                 absl::StatusCode::kOk, absl::StatusCode::kUnavailable));
  EXPECT_EQ(rig_.peer().Asked(absl::StrCat(kLedger, "Get")), 3);
}

TEST_P(LaneContract, IdsComeOutTheSameHoweverOftenItIsDecided) {
  std::set<std::string> ids;
  for (const int misses : {0, 1, 4}) {
    Rig rig(GetParam(), Quiet());
    LaneRig lane(&rig);
    std::vector<Reply> replies;
    for (int i = 0; i < misses; ++i) {
      rig.store().FaultOn("boxes", {Kind::kMiss, "boxes", "b", {}});
    }
    lane.PutAdd("r", "b", 1, &replies);
    rig.Settle();
    ASSERT_THAT(replies, SizeIs(1));
    ids.insert(Added(replies.front()).entry_id());
  }
  EXPECT_THAT(ids, SizeIs(1));
}

TEST_P(LaneContract, WritesThatMayWaitRideAlongOrGoAloneAfterAWhile) {
  const auto line = [](const std::string& subject) {
    return std::vector<store::Write>{
        {"parked_subjects",
         subject,
         {"INSERT INTO parked_subjects (subject, version) VALUES ($1, 1)", {subject}},
         store::Expect::kOneRow}};
  };
  lane_.lane().SubmitLazily(line("a"));
  rig_.Advance(absl::Milliseconds(49));
  EXPECT_EQ(rig_.Count("parked_subjects"), 0);
  rig_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(rig_.Count("parked_subjects"), 1);
  lane_.lane().SubmitLazily(line("b"));
  lane_.PutAdd("r", "b", 1, &replies_);
  rig_.Settle();
  EXPECT_EQ(rig_.Count("parked_subjects"), 2);
  EXPECT_EQ(rig_.store().commits(), 2);
  rig_.Advance(absl::Minutes(1));
  EXPECT_EQ(rig_.store().commits(), 2);
  EXPECT_TRUE(lane_.lane().Idle());
  EXPECT_EQ(rig_.scheduler().NextInstant(), absl::InfiniteFuture());
}

TEST_P(LaneContract, AfterItsCloseNothingStarts) {
  lane_.PutAdd("r", "b", 1, &replies_);
  lane_.lane().Close();
  rig_.Settle();
  EXPECT_THAT(replies_, IsEmpty());
  ExpectNothingStored();
}

TEST_P(LaneContract, ARepetitionIsAnsweredAlsoWhenTheCommitFails) {
  for (int i = 0; i < 3; ++i) lane_.PutAdd("r", "b", 5, &replies_);
  rig_.store().FaultOn("boxes", {Kind::kFailed, "", "", absl::ResourceExhaustedError("disk full")});
  rig_.Settle();
  ASSERT_THAT(replies_, SizeIs(3));
  for (const Reply& reply : replies_) {
    EXPECT_EQ(Code(reply), absl::StatusCode::kResourceExhausted);
  }
}

}  // namespace tandem::contract

#endif  // TANDEM_TESTS_CONTRACT_LANE_CONTRACT_H_
