#include "common/runtime/service_runtime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "common/corridor/errors.h"
#include "common/testing/faulty_store.h"
#include "common/testing/ledger.h"
#include "common/testing/service_harness.h"
#include "google/rpc/error_details.pb.h"

namespace tandem::runtime {
namespace {

using testing::AddAsToldRequest;
using testing::AddAsToldResponse;
using testing::Added;
using testing::AddLaterRequest;
using testing::AddLaterResponse;
using testing::AddRequest;
using testing::AddResponse;
using testing::Box;
using testing::DescribeRequest;
using testing::DescribeResponse;
using testing::GetRequest;
using testing::GetResponse;
using testing::ServiceHarness;
using testing::TakeFullestRequest;
using testing::TakeFullestResponse;

constexpr char kService[] = "tandem.testing.LedgerService/";

class Ledger : public ServiceHarness {
 public:
  explicit Ledger(const testing::LedgerOptions& ledger = testing::LedgerOptions(),
                  const testing::HarnessOptions& options = testing::HarnessOptions())
      : ServiceHarness([ledger] { return testing::MakeLedger(ledger); }, options) {}

  absl::StatusOr<AddResponse> Add(const std::string& request_id, const std::string& box,
                                  int64_t amount) {
    return Call<AddResponse>(std::string(kService) + "Add", Request(request_id, box, amount));
  }
  static AddRequest Request(const std::string& request_id, const std::string& box, int64_t amount) {
    AddRequest request;
    request.set_request_id(request_id);
    request.set_box_id(box);
    request.set_amount(amount);
    return request;
  }
  // Puts the call without letting anything happen.
  template <typename Reply, typename Request>
  void Put(const std::string& method, const Request& request,
           std::vector<absl::StatusOr<Reply>>* replies) {
    corridor::CallContext context;
    context.caller = "tester";
    runtime().Call(context, corridor::FindMethod(std::string(kService) + method),
                   std::make_shared<const Request>(request),
                   [replies](absl::StatusOr<corridor::MessagePtr> reply) {
                     if (reply.ok()) {
                       replies->push_back(static_cast<const Reply&>(**reply));
                     } else {
                       replies->push_back(reply.status());
                     }
                   });
  }
  Box Get(const std::string& box) {
    GetRequest request;
    request.set_box_id(box);
    auto reply = Call<GetResponse>(std::string(kService) + "Get", request);
    return reply.ok() ? reply->box() : Box();
  }
  absl::Status Later(const std::string& request_id, const std::string& kind, const std::string& box,
                     absl::Time due, bool cancel = false) {
    AddLaterRequest request;
    request.set_request_id(request_id);
    request.set_kind(kind);
    request.set_box_id(box);
    request.set_due_us(absl::ToUnixMicros(due));
    request.set_cancel(cancel);
    return Call<AddLaterResponse>(std::string(kService) + "AddLater", request).status();
  }
  std::string DeliverAdded(const std::string& box, int64_t amount, bool poison = false) {
    Added added;
    added.set_box_id(box);
    added.set_amount(amount);
    added.set_poison(poison);
    return Deliver("elsewhere", box, box, added);
  }
};

TEST(Command, IsDecidedOnceForOneRequestId) {
  Ledger ledger;
  const auto first = ledger.Add("r1", "b", 5);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto again = ledger.Add("r1", "b", 5);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->entry_id(), first->entry_id());
  EXPECT_EQ(ledger.Get("b").balance(), 5);
  EXPECT_EQ(ledger.Published<Added>().size(), 1u);
}

TEST(Command, WithAnotherBodyUnderTheSameRequestIdIsRefused) {
  Ledger ledger;
  ASSERT_TRUE(ledger.Add("r1", "b", 5).ok());
  EXPECT_EQ(ledger.Add("r1", "b", 6).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ledger.Get("b").balance(), 5);
}

TEST(Command, ThatIsRefusedForAReasonNamesTheIdsThatItWasAbout) {
  Ledger ledger;
  const absl::Status status = ledger.Add("r1", "b", -5).status();
  const auto payload = status.GetPayload("type.googleapis.com/google.rpc.ErrorInfo");
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(payload.has_value() && info.ParseFromString(std::string(*payload)));
  EXPECT_EQ(info.reason(), "OVERDRAWN");
  EXPECT_EQ(info.metadata().size(), 1u);
  EXPECT_EQ(info.metadata().at("box_id"), "b");
}

TEST(Command, RemembersAcrossARestart) {
  Ledger ledger;
  const auto first = ledger.Add("r1", "b", 5);
  ASSERT_TRUE(first.ok());
  ledger.Restart();
  const auto again = ledger.Add("r1", "b", 5);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->entry_id(), first->entry_id());
  EXPECT_EQ(ledger.Get("b").balance(), 5);
}

TEST(Command, WhoseMarkWasPrunedMeetsItsOwnIdAndNamesIt) {
  Ledger ledger;
  const auto first = ledger.Add("r1", "b", 5);
  ASSERT_TRUE(first.ok());
  ASSERT_EQ(
      ledger.store()
          .Commit(
              {{"request_marks", "", {"DELETE FROM request_marks", {}}, store::Expect::kAnyRows}})
          .kind,
      store::CommitResult::Kind::kCommitted);
  const absl::Status again = ledger.Add("r1", "b", 5).status();
  EXPECT_EQ(again.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(again.message()), ::testing::HasSubstr(first->entry_id()));
  EXPECT_EQ(ledger.Get("b").balance(), 5);
}

TEST(Command, IsAnsweredByWhatStandsNowWhereItsMethodSaysSo) {
  Ledger ledger;
  ASSERT_TRUE(ledger.Add("r1", "b", 5).ok());
  TakeFullestRequest take;
  take.set_request_id("t1");
  const auto call = [&] {
    const auto reply =
        ledger.Call<TakeFullestResponse>(std::string(kService) + "TakeFullest", take);
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? reply->box_id() : "refused";
  };
  EXPECT_EQ(call(), "b");
  EXPECT_EQ(call(), "b") << "not the next one";
  ASSERT_TRUE(ledger.Add("r2", "b", -5).ok());
  EXPECT_EQ(call(), "");
  ledger.Restart();
  ASSERT_TRUE(ledger.Add("r3", "b", 1).ok());
  EXPECT_EQ(call(), "b");
}

// What is decided in the same batch counts, whichever came first.
TEST(Command, RepeatedInTheBatchOfAChangeIsAnsweredAsItStandsAfterIt) {
  Ledger ledger;
  ASSERT_TRUE(ledger.Add("r1", "b", 5).ok());
  TakeFullestRequest take;
  take.set_request_id("t1");
  std::vector<absl::StatusOr<TakeFullestResponse>> taken;
  std::vector<absl::StatusOr<AddResponse>> added;
  ledger.Put("TakeFullest", take, &taken);
  ledger.Put("Add", Ledger::Request("r2", "b", -5), &added);
  ledger.Put("TakeFullest", take, &taken);
  ledger.Settle();
  ASSERT_EQ(taken.size(), 2u);
  ASSERT_TRUE(taken[0].ok() && taken[1].ok());
  EXPECT_EQ(taken[0]->box_id(), "b");
  EXPECT_EQ(taken[1]->box_id(), "");
}

TEST(Command, WhoseReplyHeldOnlyForThenIsDecidedAnew) {
  Ledger ledger;
  AddAsToldRequest request;
  request.set_request_id("r1");
  request.set_box_id("b");
  const auto call = [&] {
    return ledger.Call<AddAsToldResponse>(std::string(kService) + "AddAsTold", request);
  };
  ledger.peer().Down(std::string(kService) + "Get");
  auto reply = call();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_FALSE(reply->told());
  GetResponse told;
  told.mutable_box()->set_balance(3);
  ledger.peer().Answer(std::string(kService) + "Get", told);
  reply = call();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_TRUE(reply->told());
  EXPECT_EQ(ledger.Get("b").balance(), 3);
  ASSERT_TRUE(call().ok());
  EXPECT_EQ(ledger.Get("b").balance(), 3) << "what changed something is remembered";
}

TEST(Command, ThatFailedIsDecidedAnew) {
  Ledger ledger;
  EXPECT_FALSE(ledger.Add("r1", "b", 0).ok());
  EXPECT_TRUE(ledger.Add("r1", "b", 3).ok());
}

TEST(Command, NeedsACallerAndARequestId) {
  Ledger ledger;
  EXPECT_EQ(ledger.Add("", "b", 1).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      ledger.Call<AddResponse>(std::string(kService) + "Add", Ledger::Request("r", "b", 1), "")
          .status()
          .code(),
      absl::StatusCode::kInvalidArgument);
}

TEST(Lane, CommitsWhatHasQueuedUpTogetherAndEachSeesTheOneBefore) {
  Ledger ledger;
  const int64_t before = ledger.runtime().totals().commits;
  std::vector<absl::StatusOr<AddResponse>> replies;
  for (int i = 0; i < 50; ++i) {
    ledger.Put("Add", Ledger::Request("r" + std::to_string(i), "b", 1), &replies);
  }
  EXPECT_TRUE(replies.empty());
  ledger.Settle();
  ASSERT_EQ(replies.size(), 50u);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(replies[static_cast<size_t>(i)].ok());
    EXPECT_EQ(replies[static_cast<size_t>(i)]->balance(), i + 1);
    EXPECT_EQ(replies[static_cast<size_t>(i)]->version(), i + 1);
  }
  // The batch, and the outbox deletes that follow it at the most.
  EXPECT_LE(ledger.runtime().totals().commits - before, 2);
  EXPECT_EQ(ledger.Get("b").balance(), 50);
}

TEST(Lane, ARepeatedRequestJoinsTheFirstOfItsBatch) {
  Ledger ledger;
  std::vector<absl::StatusOr<AddResponse>> replies;
  ledger.Put("Add", Ledger::Request("r", "b", 1), &replies);
  ledger.Put("Add", Ledger::Request("r", "b", 1), &replies);
  ledger.Put("Add", Ledger::Request("r", "b", 2), &replies);
  ledger.Settle();
  ASSERT_EQ(replies.size(), 3u);
  int good = 0;
  for (const auto& reply : replies) {
    if (reply.ok()) {
      ++good;
      EXPECT_EQ(reply->balance(), 1);
    } else {
      EXPECT_EQ(reply.status().code(), absl::StatusCode::kAlreadyExists);
    }
  }
  EXPECT_EQ(good, 2);
}

TEST(Lane, AFailedDecisionDoesNotFailItsNeighbours) {
  Ledger ledger;
  std::vector<absl::StatusOr<AddResponse>> replies;
  ledger.Put("Add", Ledger::Request("r1", "b", 1), &replies);
  ledger.Put("Add", Ledger::Request("r2", "b", 0), &replies);
  ledger.Put("Add", Ledger::Request("r3", "b", 1), &replies);
  ledger.Settle();
  EXPECT_EQ(ledger.Get("b").balance(), 2);
}

TEST(Lane, ARangeReaderSeesWhatItsBatchDecidedBefore) {
  Ledger ledger;
  ASSERT_TRUE(ledger.Add("r1", "full", 10).ok());
  ASSERT_TRUE(ledger.Add("r2", "half", 5).ok());
  std::vector<absl::StatusOr<TakeFullestResponse>> replies;
  TakeFullestRequest first, second, third;
  first.set_request_id("t1");
  second.set_request_id("t2");
  third.set_request_id("t3");
  ledger.Put("TakeFullest", first, &replies);
  ledger.Put("TakeFullest", second, &replies);
  ledger.Put("TakeFullest", third, &replies);
  ledger.Settle();
  ASSERT_EQ(replies.size(), 3u);
  ASSERT_TRUE(replies[0].ok() && replies[1].ok());
  EXPECT_EQ(replies[0]->box_id(), "full");
  EXPECT_EQ(replies[1]->box_id(), "half");
  EXPECT_EQ(replies[2].status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Lane, AFullLaneRefusesBeforeAnyWork) {
  testing::HarnessOptions options;
  options.runtime.lane.max_waiting = 2;
  Ledger ledger({}, options);
  std::vector<absl::StatusOr<AddResponse>> replies;
  for (int i = 0; i < 3; ++i) {
    ledger.Put("Add", Ledger::Request("r" + std::to_string(i), "b", 1), &replies);
  }
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].status().code(), absl::StatusCode::kResourceExhausted);
  ledger.Settle();
  EXPECT_EQ(ledger.Get("b").balance(), 2);
}

// A ledger whose commits that touch `table` fail as told.
struct FaultyLedger {
  explicit FaultyLedger(const std::string& table,
                        testing::HarnessOptions options = testing::HarnessOptions()) {
    options.in_front_of_store = [this, table](std::unique_ptr<store::Store> behind) {
      auto faulty = std::make_unique<testing::FaultyStore>(std::move(behind), table);
      faults = faulty.get();
      return faulty;
    };
    ledger = std::make_unique<Ledger>(testing::LedgerOptions(), options);
  }
  testing::FaultyStore* faults = nullptr;
  std::unique_ptr<Ledger> ledger;
};

using FaultKind = testing::Fault::Kind;

TEST(Commit, ThatMissesARowDecidesItsMembersAnewAndTheOthersGoOn) {
  FaultyLedger faulty("boxes");
  Ledger& ledger = *faulty.ledger;
  std::vector<absl::StatusOr<AddResponse>> replies;
  for (int i = 0; i < 6; ++i) {
    ledger.Put("Add", Ledger::Request("r" + std::to_string(i), "b" + std::to_string(i % 2), 1),
               &replies);
  }
  ledger.Put("Add", Ledger::Request("r0", "b0", 1), &replies);
  faulty.faults->Next({FaultKind::kMiss, "boxes", "b1", {}});
  ledger.Settle();
  ASSERT_EQ(replies.size(), 7u);
  for (const auto& reply : replies) EXPECT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(ledger.Get("b0").balance(), 3);
  EXPECT_EQ(ledger.Get("b1").balance(), 3);
  EXPECT_EQ(ledger.Published<Added>().size(), 6u);
}

TEST(Commit, OfUnknownOutcomeIsSettledByItsMarks) {
  for (const FaultKind kind : {FaultKind::kUnknownApplied, FaultKind::kUnknownLost}) {
    FaultyLedger faulty("boxes");
    faulty.faults->Next({kind, "", "", {}});
    const auto reply = faulty.ledger->Add("r", "b", 2);
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(faulty.ledger->Get("b").balance(), 2);
    EXPECT_EQ(faulty.ledger->Published<Added>().size(), 1u);
  }
}

TEST(Commit, OfUnknownOutcomeAppliesAnEventOnce) {
  for (const FaultKind kind : {FaultKind::kUnknownApplied, FaultKind::kUnknownLost}) {
    FaultyLedger faulty("boxes");
    faulty.faults->Next({kind, "", "", {}});
    faulty.ledger->DeliverAdded("b", 3);
    faulty.ledger->Advance(absl::Minutes(1));
    faulty.ledger->DeliverAdded("b", 4);
    EXPECT_EQ(faulty.ledger->Get("b").balance(), 7);
    EXPECT_EQ(faulty.ledger->Published<Added>().size(), 2u);
  }
}

TEST(Commit, OfUnknownOutcomeFiresATimerOnce) {
  for (const FaultKind kind : {FaultKind::kUnknownApplied, FaultKind::kUnknownLost}) {
    FaultyLedger faulty("boxes");
    ASSERT_TRUE(
        faulty.ledger->Later("r", "plain", "b", faulty.ledger->Now() + absl::Minutes(1)).ok());
    faulty.faults->Next({kind, "", "", {}});
    faulty.ledger->Advance(absl::Minutes(5));
    EXPECT_EQ(faulty.ledger->Get("b").timers_fired(), 1);
  }
}

TEST(Commit, ThatMissesItsPositionDropsTheRunAndReadsItAgain) {
  FaultyLedger faulty("boxes");
  faulty.faults->Next({FaultKind::kMiss, "positions", "0", {}});
  faulty.faults->Next({FaultKind::kConflict, "", "", {}});
  for (int i = 0; i < 20; ++i) faulty.ledger->DeliverAdded("b" + std::to_string(i), 1);
  faulty.ledger->Advance(absl::Minutes(1));
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(faulty.ledger->Get("b" + std::to_string(i)).balance(), 1);
  }
}

TEST(Commit, ThatKeepsMissingEndsInAborted) {
  FaultyLedger faulty("boxes");
  for (int i = 0; i < 100; ++i) faulty.faults->Next({FaultKind::kMiss, "boxes", "b", {}});
  EXPECT_EQ(faulty.ledger->Add("r", "b", 2).status().code(), absl::StatusCode::kAborted);
}

TEST(Commit, ThatFailsIsAnsweredWithItsReasonAndLosesNoEventAndNoTimer) {
  FaultyLedger faulty("boxes");
  Ledger& ledger = *faulty.ledger;
  const absl::Status full = absl::ResourceExhaustedError("the disk is full");
  faulty.faults->Next({FaultKind::kFailed, "", "", full});
  EXPECT_EQ(ledger.Add("r", "b", 2).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(ledger.Add("r", "b", 2).ok());

  faulty.faults->Next({FaultKind::kFailed, "", "", full});
  ledger.DeliverAdded("b", 3);
  ledger.Advance(absl::Minutes(1));
  EXPECT_EQ(ledger.Get("b").balance(), 5);

  ASSERT_TRUE(ledger.Later("t", "plain", "b", ledger.Now()).ok());
  faulty.faults->Next({FaultKind::kFailed, "", "", full});
  ledger.Advance(absl::Minutes(1));
  EXPECT_EQ(ledger.Get("b").timers_fired(), 1);
}

TEST(Commit, ThatFailsTellsTheStoresOwnWordsToTheLogAlone) {
  for (const absl::StatusCode code :
       {absl::StatusCode::kResourceExhausted, absl::StatusCode::kUnavailable}) {
    FaultyLedger faulty("boxes");
    faulty.faults->Next(
        {FaultKind::kFailed, "", "", absl::Status(code, "/data/ledger.db: refused in: COMMIT")});
    const absl::Status told = faulty.ledger->Add("r", "b", 2).status();
    EXPECT_EQ(told.code(), code);
    EXPECT_THAT(told.message(), ::testing::Not(::testing::HasSubstr("ledger.db")));
    EXPECT_THAT(told.message(), ::testing::HasSubstr("nothing was changed"));
    EXPECT_TRUE(told.GetPayload("type.googleapis.com/google.rpc.RetryInfo").has_value());
    EXPECT_THAT(faulty.ledger->Logged(),
                ::testing::ElementsAre(::testing::AllOf(::testing::HasSubstr("a commit failed"),
                                                        ::testing::HasSubstr("ledger.db"))));
  }
}

TEST(Gather, AsksThePeerAndDecidesWithTheAnswer) {
  Ledger ledger;
  GetResponse told;
  told.mutable_box()->set_balance(7);
  ledger.peer().Answer(std::string(kService) + "Get", told);
  AddAsToldRequest request;
  request.set_request_id("r");
  request.set_box_id("b");
  const auto reply = ledger.Call<AddAsToldResponse>(std::string(kService) + "AddAsTold", request);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_TRUE(reply->told());
  EXPECT_EQ(ledger.Get("b").balance(), 7);
}

TEST(Gather, APeerThatIsDownIsAnAnswer) {
  Ledger ledger;
  AddAsToldRequest request;
  request.set_request_id("r");
  request.set_box_id("b");
  const auto reply = ledger.Call<AddAsToldResponse>(std::string(kService) + "AddAsTold", request);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_FALSE(reply->told());
}

TEST(Event, IsAppliedOnceHoweverOftenItComes) {
  Ledger ledger;
  ledger.DeliverAdded("b", 4);
  ledger.DeliverAgain();
  ledger.DeliverAgain();
  EXPECT_EQ(ledger.Get("b").balance(), 4);
  EXPECT_EQ(ledger.Published<Added>().size(), 1u);
}

TEST(Event, IsNotAppliedAgainAfterARestart) {
  Ledger ledger;
  ledger.DeliverAdded("b", 4);
  ledger.Restart();
  ledger.DeliverAdded("b", 1);
  EXPECT_EQ(ledger.Get("b").balance(), 5);
}

TEST(Event, ThatCannotBeAppliedIsParkedAndItsSubjectWaitsBehindIt) {
  Ledger ledger;
  ledger.DeliverAdded("bad", 1, /*poison=*/true);
  ledger.DeliverAdded("bad", 2);
  ledger.DeliverAdded("good", 3);
  EXPECT_EQ(ledger.Get("bad").balance(), 0);
  EXPECT_EQ(ledger.Get("good").balance(), 3);
  EXPECT_EQ(ledger.Number("SELECT COUNT(*) FROM dead_letters"), 2);
  EXPECT_EQ(ledger.Number("SELECT COUNT(*) FROM parked_subjects"), 1);
  // A duplicate of a parked event is not parked twice.
  ledger.DeliverAgain();
  EXPECT_EQ(ledger.Number("SELECT COUNT(*) FROM dead_letters"), 2);
}

TEST(Event, WhoseBytesDoNotParseIsParked) {
  Ledger ledger;
  ledger.DeliverBroken("elsewhere", "b", "b", "tandem.testing.Added");
  EXPECT_EQ(ledger.Number("SELECT COUNT(*) FROM dead_letters"), 1);
}

TEST(DeadLetters, TheRestIsAppliedInOrderAfterThePoisonIsDropped) {
  Ledger ledger;
  ledger.DeliverAdded("bad", 1, /*poison=*/true);
  ledger.DeliverAdded("bad", 2);
  ledger.DeliverAdded("bad", 3);
  absl::StatusOr<lane::RetryResult> retried = lane::RetryResult();
  ledger.runtime().Retry("bad", [&](absl::StatusOr<lane::RetryResult> r) { retried = r; });
  ledger.Settle();
  ASSERT_TRUE(retried.ok()) << retried.status();
  EXPECT_EQ(retried->applied, 0);
  EXPECT_EQ(retried->remaining, 3);

  absl::StatusOr<int64_t> left = -1;
  ledger.runtime().Drop(ledger.Number("SELECT MIN(id) FROM dead_letters"),
                        [&](absl::StatusOr<int64_t> l) { left = l; });
  ledger.Settle();
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_EQ(*left, 2);
  EXPECT_EQ(ledger.Get("bad").balance(), 0);

  ledger.runtime().Retry("bad", [&](absl::StatusOr<lane::RetryResult> r) { retried = r; });
  ledger.Settle();
  ASSERT_TRUE(retried.ok()) << retried.status();
  EXPECT_EQ(retried->applied, 2);
  EXPECT_EQ(retried->remaining, 0);
  EXPECT_EQ(ledger.Get("bad").balance(), 5);
  ledger.DeliverAdded("bad", 4);
  EXPECT_EQ(ledger.Get("bad").balance(), 9);
  EXPECT_EQ(ledger.Number("SELECT COUNT(*) FROM parked_subjects"), 0);
}

TEST(Parking, IsDecidedWithTheEventAndUndoneWithTheLastOfItsSubject) {
  Ledger ledger;
  ledger.DeliverAdded("bad", 1, /*poison=*/true);
  EXPECT_TRUE(ledger.Get("bad").is_parked());
  ledger.DeliverAdded("bad", 2);
  const auto drop_first = [&ledger] {
    absl::StatusOr<int64_t> left = -1;
    ledger.runtime().Drop(ledger.Number("SELECT MIN(id) FROM dead_letters"),
                          [&](absl::StatusOr<int64_t> l) { left = l; });
    ledger.Settle();
    return left;
  };
  EXPECT_EQ(drop_first().value(), 1);
  EXPECT_TRUE(ledger.Get("bad").is_parked());
  ledger.Restart();
  EXPECT_EQ(drop_first().value(), 0);
  EXPECT_FALSE(ledger.Get("bad").is_parked());
  EXPECT_EQ(ledger.Number("SELECT COUNT(*) FROM parked_subjects"), 0);
  EXPECT_EQ(drop_first().status().code(), absl::StatusCode::kNotFound);
}

TEST(Parking, EndsWithARetryThatAppliesTheLast) {
  Ledger ledger;
  ledger.DeliverAdded("bad", 1, /*poison=*/true);
  ledger.DeliverAdded("bad", 2);
  ledger.runtime().Drop(ledger.Number("SELECT MIN(id) FROM dead_letters"),
                        [](absl::StatusOr<int64_t>) {});
  ledger.Settle();
  absl::StatusOr<lane::RetryResult> retried = lane::RetryResult();
  ledger.runtime().Retry("bad", [&](absl::StatusOr<lane::RetryResult> r) { retried = r; });
  ledger.Settle();
  ASSERT_TRUE(retried.ok()) << retried.status();
  EXPECT_EQ(ledger.Get("bad").balance(), 2);
  EXPECT_FALSE(ledger.Get("bad").is_parked());
}

TEST(Parking, HoldsTheTimersThatRestOnTheSubject) {
  Ledger ledger;
  const absl::Time due = ledger.Now() + absl::Hours(1);
  ASSERT_TRUE(ledger.Later("r1", "bound", "bad", due).ok());
  ASSERT_TRUE(ledger.Later("r2", "bound", "good", due).ok());
  ledger.DeliverAdded("bad", 1, /*poison=*/true);
  ledger.Advance(absl::Hours(2));
  EXPECT_EQ(ledger.Get("good").timers_fired(), 1);
  EXPECT_EQ(ledger.Get("bad").timers_fired(), 0);
  ledger.Restart();
  ledger.Advance(absl::Hours(1));
  EXPECT_EQ(ledger.Get("bad").timers_fired(), 0);
  ledger.runtime().Drop(ledger.Number("SELECT MIN(id) FROM dead_letters"),
                        [](absl::StatusOr<int64_t>) {});
  ledger.Advance(absl::Minutes(1));
  EXPECT_EQ(ledger.Get("bad").timers_fired(), 1);
}

TEST(Parking, IsSaidByCallsThatRestOnTheSubject) {
  Ledger ledger;
  ledger.DeliverAdded("bad", 1, /*poison=*/true);
  const absl::Status added = ledger.Add("r1", "bad", 5).status();
  EXPECT_EQ(added.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(added.message()), ::testing::HasSubstr("tandemctl dead-letter"));
  GetRequest request;
  request.set_box_id("bad");
  request.set_complete(true);
  EXPECT_EQ(ledger.Call<GetResponse>(std::string(kService) + "Get", request).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(ledger.Add("r2", "good", 5).ok());
}

TEST(Measures, AreSeriesByTheRowsFound) {
  Ledger ledger;
  ASSERT_TRUE(ledger.Add("r1", "a", 5).ok());
  ASSERT_TRUE(ledger.Add("r2", "b", 7).ok());
  EXPECT_THAT(ledger.Metrics(),
              ::testing::HasSubstr("tandem_testing_boxes{service=\"ledger\",taken=\"no\"} 2"));
  TakeFullestRequest take;
  take.set_request_id("r3");
  ASSERT_TRUE(ledger.Call<TakeFullestResponse>(std::string(kService) + "TakeFullest", take).ok());
  const std::string text = ledger.Metrics();
  EXPECT_THAT(text, ::testing::HasSubstr("taken=\"no\"} 1"));
  EXPECT_THAT(text, ::testing::HasSubstr("taken=\"yes\"} 1"));
}

TEST(Metrics, CountCommitsByWhatBecameOfThem) {
  FaultyLedger faulty("boxes");
  Ledger& ledger = *faulty.ledger;
  faulty.faults->Next({FaultKind::kMiss, "boxes", "b", {}});
  faulty.faults->Next({FaultKind::kConflict, "", "", {}});
  faulty.faults->Next({FaultKind::kUnknownLost, "", "", {}});
  ASSERT_TRUE(ledger.Add("r", "b", 2).ok());
  faulty.faults->Next({FaultKind::kFailed, "", "", absl::ResourceExhaustedError("full")});
  EXPECT_FALSE(ledger.Add("s", "b", 2).ok());
  const std::string text = ledger.Metrics();
  for (const char* line :
       {"tandem_commits_repeated_total{reason=\"missed\",service=\"ledger\"} 1\n",
        "tandem_commits_repeated_total{reason=\"conflict\",service=\"ledger\"} 1\n",
        "tandem_commits_unknown_total{service=\"ledger\"} 1\n",
        "tandem_commits_failed_total{service=\"ledger\"} 1\n",
        "tandem_events_decided_total{service=\"ledger\"} 1\n"}) {
    EXPECT_THAT(text, ::testing::HasSubstr(line));
  }
}

TEST(Metrics, SayHowLongEachBatchHadWaitedInTheLane) {
  Ledger ledger;
  const int64_t before = ledger.runtime().totals().commits;
  ASSERT_TRUE(ledger.Add("r", "b", 1).ok());
  // Simulated time stands still while there is work, so each wait is the shortest that there is.
  const std::string commits = std::to_string(ledger.runtime().totals().commits);
  EXPECT_GT(ledger.runtime().totals().commits, before);
  const std::string text = ledger.Metrics();
  for (const std::string& line : {"_count{service=\"ledger\"} " + commits + "\n",
                                  "_bucket{service=\"ledger\",le=\"0.0005\"} " + commits + "\n"}) {
    EXPECT_THAT(text, ::testing::HasSubstr("tandem_lane_wait_seconds" + line));
  }
}

TEST(Metrics, SayWhatWasPublishedAndByWhom) {
  Ledger ledger;
  for (const char* request : {"r1", "r2", "r3"}) ASSERT_TRUE(ledger.Add(request, "b", 1).ok());
  const std::string text = ledger.Metrics();
  EXPECT_THAT(text, ::testing::HasSubstr("tandem_events_published_total{service=\"ledger\"} 3\n"));
  EXPECT_THAT(text, ::testing::HasSubstr("tandem_relay_failures_total{service=\"ledger\"} 0\n"));
  EXPECT_THAT(text, ::testing::HasSubstr("tandem_relay_leader{service=\"ledger\"} 1\n"));
}

TEST(Metrics, SayHowOldTheGaugesAndTheOldestDeadLetterAre) {
  Ledger ledger;
  ledger.DeliverAdded("bad", 1, /*poison=*/true);
  ledger.Advance(absl::Minutes(10));
  ledger.DeliverAdded("worse", 1, /*poison=*/true);
  const std::string text = ledger.Metrics();
  EXPECT_THAT(text, ::testing::HasSubstr("tandem_dead_letters{service=\"ledger\"} 2\n"));
  EXPECT_THAT(text,
              ::testing::HasSubstr("tandem_dead_letter_age_seconds{service=\"ledger\"} 600\n"));
  EXPECT_THAT(text,
              ::testing::HasSubstr("tandem_sampled_at_seconds{service=\"ledger\"} 1795443000\n"));
}

TEST(Metrics, CountTheLagToTheEndOfTheLogWhateverWasFetched) {
  testing::HarnessOptions options;
  options.runtime.lane.parked_subjects_per_minute = 3;
  Ledger ledger({}, options);
  const auto deliver = [&ledger](int count) {
    for (int i = 0; i < count; ++i) {
      Added added;
      added.set_box_id("b");
      added.set_poison(true);
      ledger.Deliver("elsewhere",
                     "bad" + std::to_string(ledger.Number("SELECT COUNT(*) FROM dead_letters")) +
                         "-" + std::to_string(i),
                     "one key", added);
    }
  };
  // Three are parked, then the partition stops; 512 at most are kept in memory.
  deliver(703);
  std::string text = ledger.Metrics();
  EXPECT_THAT(text, ::testing::HasSubstr("tandem_consumer_lag_events{service=\"ledger\"} 700\n"));
  EXPECT_THAT(text, ::testing::HasSubstr("tandem_consumer_lag_seconds{service=\"ledger\"} 0\n"));
  ledger.Advance(absl::Seconds(90));
  text = ledger.Metrics();
  EXPECT_THAT(text, ::testing::HasSubstr("tandem_consumer_lag_seconds{service=\"ledger\"} 90\n"));
}

TEST(DeadLetters, TooManyParkedSubjectsInAMinuteStopThePartition) {
  testing::HarnessOptions options;
  options.runtime.lane.parked_subjects_per_minute = 3;
  Ledger ledger({}, options);
  for (int i = 0; i < 40; ++i) ledger.DeliverAdded("bad" + std::to_string(i), 1, /*poison=*/true);
  EXPECT_EQ(ledger.Number("SELECT COUNT(*) FROM parked_subjects"), 3);
  absl::StatusOr<ServiceSample> sample = ServiceSample();
  ledger.runtime().Sample([&](absl::StatusOr<ServiceSample> s) { sample = std::move(s); });
  ledger.Settle();
  ASSERT_TRUE(sample.ok());
  EXPECT_FALSE(sample->unhealthy.empty());
}

TEST(DeadLetters, APartitionThatStopsIsSaidAtOnceByHealthAndByTheLogButCallsAreTaken) {
  testing::HarnessOptions options;
  options.runtime.lane.parked_subjects_per_minute = 3;
  Ledger ledger({}, options);  // takes no samples by itself
  EXPECT_THAT(ledger.runtime().Unhealthy(), ::testing::IsEmpty());
  for (int i = 0; i < 40; ++i) ledger.DeliverAdded("bad" + std::to_string(i), 1, /*poison=*/true);
  EXPECT_THAT(ledger.runtime().Unhealthy(),
              ::testing::IsSupersetOf({::testing::HasSubstr("stopped: too many subjects"),
                                       ::testing::HasSubstr("3 dead letters are parked")}));
  EXPECT_THAT(ledger.runtime().NotReady(), ::testing::IsEmpty());
  EXPECT_THAT(ledger.Logged(), ::testing::Contains(::testing::AllOf(
                                   ::testing::HasSubstr("\"level\":\"error\""),
                                   ::testing::HasSubstr("a partition is not read any more"))));
}

TEST(CallLog, SaysOfEveryChangeWhoMadeItAndWhatItWasAbout) {
  Ledger ledger;
  const auto reply = ledger.Add("r1", "b", 5);
  ASSERT_TRUE(reply.ok());
  EXPECT_THAT(
      ledger.Logged(),
      ::testing::Contains(::testing::AllOf(
          ::testing::HasSubstr("\"level\":\"info\",\"service\":\"test\",\"event\":\"change\""),
          ::testing::HasSubstr("LedgerService/Add\",\"caller\":\"tester\""),
          ::testing::HasSubstr("\"box_id\":\"b\""),
          ::testing::HasSubstr("\"entry_id\":\"" + reply->entry_id() + "\""),
          ::testing::HasSubstr("\"request_id\":\"r1\",\"trace_id\":\"none\""))));
}

TEST(CallLog, SaysOfEveryRequestHowItWasAnsweredAtDebugAlone) {
  testing::HarnessOptions options;
  options.log_level = log::Level::kDebug;
  Ledger all({}, options);
  Ledger usual;
  for (Ledger* ledger : {&all, &usual}) {
    ledger->Get("b");
    EXPECT_FALSE(ledger->Add("not an id!", "b", 5).ok());
  }
  const auto answered = [](const std::string& method, const std::string& code) {
    return ::testing::Contains(::testing::AllOf(::testing::HasSubstr("\"event\":\"request\""),
                                                ::testing::HasSubstr("LedgerService/" + method),
                                                ::testing::HasSubstr("\"code\":\"" + code + "\"")));
  };
  EXPECT_THAT(all.Logged(),
              ::testing::AllOf(answered("Get", "NOT_FOUND"), answered("Add", "INVALID_ARGUMENT")));
  EXPECT_THAT(usual.Logged(),
              ::testing::Not(::testing::Contains(::testing::HasSubstr("LedgerService/"))));
}

TEST(CallLog, HoldsEveryChangeHoweverManyThereAre) {
  Ledger ledger;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(ledger.Add("r" + std::to_string(i), "b", 1).ok());
  int changes = 0;
  for (const std::string& line : ledger.Logged()) {
    if (line.find("\"event\":\"change\"") != std::string::npos) ++changes;
  }
  EXPECT_EQ(changes, 100);
}

TEST(DeadLetters, AreLoggedWithServiceSubjectTypeAndReason) {
  Ledger ledger;
  ledger.DeliverAdded("bad", 1, /*poison=*/true);
  ledger.DeliverAdded("bad", 2);
  const auto line = [](const std::string& reason) {
    return ::testing::Contains(::testing::AllOf(
        ::testing::HasSubstr(
            "\"level\":\"error\",\"service\":\"test\",\"event\":\"dead letter parked\""),
        ::testing::HasSubstr("\"subject\":\"bad\",\"type\":\"tandem.testing.Added\""),
        ::testing::HasSubstr("\"error\":\"" + reason)));
  };
  EXPECT_THAT(ledger.Logged(), line(""));
  EXPECT_THAT(ledger.Logged(), line("behind\""));
}

TEST(Readiness, EndsWithinSecondsWhenTheStoreTakesNoWriteAlsoWithoutAnyCallAndComesBack) {
  testing::HarnessOptions options;
  options.takes_samples = true;
  FaultyLedger faulty("bus_shape", options);
  Ledger& ledger = *faulty.ledger;
  ledger.Advance(absl::Minutes(1));
  EXPECT_THAT(ledger.runtime().NotReady(), ::testing::IsEmpty());
  // Several, as each look that finds it unwritable looks again with the next sample.
  for (int i = 0; i < 10; ++i) {
    faulty.faults->Next({FaultKind::kFailed, "", "", absl::ResourceExhaustedError("disk full")});
  }
  ledger.Advance(absl::Seconds(20));
  EXPECT_THAT(ledger.runtime().NotReady(),
              ::testing::ElementsAre(::testing::HasSubstr("the store cannot be written: ")));
  ledger.Advance(absl::Minutes(2));
  EXPECT_THAT(ledger.runtime().NotReady(), ::testing::IsEmpty());
}

TEST(Readiness, IsNotAskedOfAStoreThatTakesCommitsAnyway) {
  testing::HarnessOptions options;
  options.takes_samples = true;
  FaultyLedger faulty("bus_shape", options);
  faulty.faults->Next({FaultKind::kFailed, "", "", absl::ResourceExhaustedError("disk full")});
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(faulty.ledger->Add("r" + std::to_string(i), "b", 1).ok());
    faulty.ledger->Advance(absl::Seconds(2));
  }
  EXPECT_EQ(faulty.faults->commits(), 0);
}

// A bus whose broker is away.
class AwayBus : public bus::Bus {
 public:
  int partitions() const override { return behind->partitions(); }
  void Append(std::vector<bus::Event>, absl::AnyInvocable<void(absl::Status)> done) override {
    std::move(done)(absl::UnavailableError("no broker answers"));
  }
  void EndOffset(int, absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done) override {
    std::move(done)(absl::UnavailableError("no broker answers"));
  }
  absl::StatusOr<std::unique_ptr<bus::Consumer>> Join(std::string group,
                                                      bus::Listener* listener) override {
    return behind->Join(std::move(group), listener);
  }
  bus::Bus* behind = nullptr;
};

// A bus that takes questions and answers them only when it is told to.
class SlowBus : public AwayBus {
 public:
  void EndOffset(int, absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done) override {
    questions.push_back(std::move(done));
  }
  std::vector<absl::AnyInvocable<void(absl::StatusOr<int64_t>)>> questions;
};

TEST(Sample, WaitsForASilentBusNoLongerThanWhoAsks) {
  testing::HarnessOptions options;
  SlowBus slow;
  options.in_front_of_bus = [&slow](bus::Bus* behind) {
    slow.behind = behind;
    return &slow;
  };
  Ledger ledger({}, options);
  std::optional<ServiceSample> sample;
  const auto ask = [&] {
    sample.reset();
    slow.questions.clear();
    ledger.runtime().Sample([&](absl::StatusOr<ServiceSample> s) { sample = *std::move(s); });
    ledger.Settle();
  };
  ask();
  EXPECT_FALSE(sample.has_value());
  for (auto& question : slow.questions) std::move(question)(703);
  ledger.Settle();
  ASSERT_TRUE(sample.has_value());
  EXPECT_THAT(sample->ends, ::testing::Each(703));
  EXPECT_THAT(sample->ends, ::testing::SizeIs(sample->partitions.size()));
  ask();
  ledger.Advance(absl::Seconds(2));
  ASSERT_TRUE(sample.has_value()) << "nobody waits for a bus that does not answer";
  EXPECT_THAT(sample->ends, ::testing::Each(703)) << "as last seen";
  // What comes later is too late.
  for (auto& question : slow.questions) std::move(question)(704);
  ledger.Settle();
  EXPECT_THAT(sample->ends, ::testing::Each(703));
}

TEST(Readiness, LastsForMinutesWhileTheBusTakesNothingAndPeersAreDown) {
  testing::HarnessOptions options;
  options.takes_samples = true;
  AwayBus away;
  options.in_front_of_bus = [&away](bus::Bus* behind) {
    away.behind = behind;
    return &away;
  };
  Ledger ledger({}, options);
  ASSERT_TRUE(ledger.Add("r", "b", 2).ok());
  for (int second = 0; second < 120; ++second) {
    ledger.Advance(absl::Seconds(1));
    EXPECT_THAT(ledger.runtime().NotReady(), ::testing::IsEmpty());
  }
  EXPECT_THAT(ledger.runtime().Unhealthy(),
              ::testing::ElementsAre(::testing::HasSubstr("the bus takes no events")));
}

TEST(Readiness, EndsWithinSecondsOfADatabaseThatTakesNoWritesAndComesBackWithIt) {
  testing::FaultyStore* faulty = nullptr;
  testing::HarnessOptions options;
  options.in_front_of_store = [&](std::unique_ptr<store::Store> behind) {
    auto made = std::make_unique<testing::FaultyStore>(std::move(behind), "boxes");
    faulty = made.get();
    return made;
  };
  Ledger ledger({}, options);
  const auto not_ready = [&ledger] {
    absl::StatusOr<ServiceSample> sample = ServiceSample();
    ledger.runtime().Sample([&](absl::StatusOr<ServiceSample> s) { sample = std::move(s); });
    ledger.Settle();
    return sample.ok() ? sample->not_ready : std::vector<std::string>{"no sample"};
  };
  EXPECT_THAT(not_ready(), ::testing::IsEmpty());
  faulty->SetUnwritable(absl::UnavailableError("store.db was deleted"));
  EXPECT_THAT(not_ready(),
              ::testing::ElementsAre("its database takes no writes: store.db was deleted"));
  faulty->SetUnwritable(absl::OkStatus());
  EXPECT_THAT(not_ready(), ::testing::IsEmpty());
}

TEST(Timer, FiresAtItsInstantAndNotBefore) {
  Ledger ledger;
  ASSERT_TRUE(ledger.Later("r", "plain", "b", ledger.Now() + absl::Hours(1)).ok());
  ledger.Advance(absl::Hours(1) - absl::Microseconds(1));
  EXPECT_EQ(ledger.Get("b").timers_fired(), 0);
  ledger.Advance(absl::Microseconds(1));
  EXPECT_EQ(ledger.Get("b").timers_fired(), 1);
  ledger.Advance(absl::Hours(2));
  EXPECT_EQ(ledger.Get("b").timers_fired(), 1);
}

TEST(Timer, CancelledDoesNotFire) {
  Ledger ledger;
  ASSERT_TRUE(ledger.Later("r1", "plain", "b", ledger.Now() + absl::Hours(1)).ok());
  ASSERT_TRUE(ledger.Later("r2", "plain", "b", ledger.Now(), /*cancel=*/true).ok());
  ledger.Advance(absl::Hours(2));
  EXPECT_EQ(ledger.Get("b").timers_fired(), 0);
}

TEST(Timer, FiresOnceAfterARestartAtWhichItWasOverdue) {
  Ledger ledger;
  ASSERT_TRUE(ledger.Later("r1", "plain", "b", ledger.Now() + absl::Hours(1)).ok());
  ledger.Restart();
  ledger.Advance(absl::Hours(2));
  ledger.Restart();
  ledger.Advance(absl::Hours(2));
  EXPECT_EQ(ledger.Get("b").timers_fired(), 1);
}

TEST(Timer, ThatDependsOnFactsWaitsUntilTheyAreSettled) {
  testing::HarnessOptions options;
  options.runtime.gate.settle = absl::Seconds(1);
  Ledger ledger({}, options);
  ASSERT_TRUE(ledger.Later("r1", "bound", "b", ledger.Now() + absl::Hours(1)).ok());
  ledger.Advance(absl::Hours(1));
  EXPECT_EQ(ledger.Get("b").timers_fired(), 0);
  ledger.Advance(absl::Seconds(1));
  EXPECT_EQ(ledger.Get("b").timers_fired(), 1);
}

TEST(Timer, ThatDependsOnFactsIsNotHeldUpByTypesThatNobodyUses) {
  Ledger ledger;
  ASSERT_TRUE(ledger.Later("r1", "bound", "b", ledger.Now() + absl::Hours(1)).ok());
  ledger.Advance(absl::Hours(1));
  GetRequest unused;
  ledger.Deliver("elsewhere", "x", "b", unused);
  ledger.Advance(absl::Seconds(2));
  EXPECT_EQ(ledger.Get("b").timers_fired(), 1);
}

TEST(Effect, IsTriedAgainUntilItIsDoneAndDecidedOnce) {
  int tries = 0;
  testing::LedgerOptions options;
  options.perform = [&](const std::string&) {
    return ++tries < 4 ? absl::UnavailableError("not now") : absl::OkStatus();
  };
  Ledger ledger(options);
  ASSERT_TRUE(ledger.Later("r1", "effect", "b", ledger.Now()).ok());
  ledger.Advance(absl::Minutes(1));
  EXPECT_EQ(tries, 4);
  EXPECT_EQ(ledger.Get("b").effects_done(), 1);
}

TEST(Outbox, IsEmptyOnceTheBusHasItsEvents) {
  Ledger ledger;
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(ledger.Add("r" + std::to_string(i), "b", 1).ok());
  ledger.Advance(absl::Seconds(1));
  EXPECT_EQ(ledger.Number("SELECT COUNT(*) FROM outbox"), 0);
  const std::vector<bus::Event> events = ledger.PublishedEvents();
  ASSERT_EQ(events.size(), 20u);
  for (size_t i = 1; i < events.size(); ++i) {
    EXPECT_GT(events[i].sequence, events[i - 1].sequence);
  }
}

TEST(Drain, RefusesNewCallsAndEndsWhenNothingIsUnderWay) {
  Ledger ledger;
  std::vector<absl::StatusOr<AddResponse>> replies;
  ledger.Put("Add", Ledger::Request("r1", "b", 1), &replies);
  bool drained = false;
  ledger.runtime().Drain([&] { drained = true; });
  ledger.Advance(absl::Seconds(1));
  EXPECT_TRUE(drained);
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_TRUE(replies[0].ok());
  EXPECT_EQ(ledger.Add("r2", "b", 1).status().code(), absl::StatusCode::kUnavailable);
}

// The partition was given back meanwhile, so there is nowhere to read on.
TEST(Drain, EndsWithARunWhosePositionMissedMeanwhile) {
  testing::FaultyStore* faulty = nullptr;
  testing::HarnessOptions options;
  options.in_front_of_store = [&](std::unique_ptr<store::Store> behind) {
    auto made = std::make_unique<testing::FaultyStore>(std::move(behind), "positions");
    faulty = made.get();
    return made;
  };
  Ledger ledger({}, options);
  testing::Added added;
  added.set_box_id("b");
  added.set_amount(1);
  ledger.Deliver("outside", "b", "b", added);
  ASSERT_EQ(ledger.Get("b").balance(), 1);

  bool drained = false;
  testing::Fault miss;
  miss.kind = testing::Fault::Kind::kMiss;
  miss.table = "positions";
  miss.meanwhile = [&] { ledger.runtime().Drain([&] { drained = true; }); };
  faulty->Next(miss);
  ledger.Deliver("outside", "b", "b", added);
  ledger.Advance(absl::Seconds(1));
  EXPECT_TRUE(drained);
}

constexpr char kDescribe[] = "tandem.testing.WarehouseService/Describe";

// A box of the warehouse, which may not have been heard of yet.
GetRequest OfWarehouse(const std::string& box) {
  GetRequest request;
  request.set_box_id(box);
  request.set_of_warehouse(true);
  return request;
}
AddRequest AddToWarehouse(const std::string& request_id, const std::string& box) {
  AddRequest request = Ledger::Request(request_id, box, 2);
  request.set_of_warehouse(true);
  return request;
}
std::optional<absl::Duration> RetryAfter(const absl::Status& status) {
  const auto payload = status.GetPayload("type.googleapis.com/google.rpc.RetryInfo");
  google::rpc::RetryInfo info;
  if (!payload.has_value() || !info.ParseFromString(std::string(*payload))) return std::nullopt;
  return absl::Seconds(info.retry_delay().seconds()) +
         absl::Nanoseconds(info.retry_delay().nanos());
}
std::string ReasonOf(const absl::Status& status) {
  const auto payload = status.GetPayload("type.googleapis.com/google.rpc.ErrorInfo");
  google::rpc::ErrorInfo info;
  if (payload.has_value()) info.ParseFromString(std::string(*payload));
  return info.reason();
}

TEST(WaitingCall, IsAnsweredOnceTheEventOfItsRecordArrives) {
  Ledger ledger;
  ledger.peer().Answer(kDescribe, DescribeResponse());
  std::vector<absl::StatusOr<GetResponse>> read;
  std::vector<absl::StatusOr<AddResponse>> added;
  ledger.Put("Get", OfWarehouse("b"), &read);
  ledger.Put("Add", AddToWarehouse("r1", "b"), &added);
  ledger.Advance(absl::Milliseconds(700));
  EXPECT_TRUE(read.empty());
  EXPECT_TRUE(added.empty());
  ledger.DeliverAdded("b", 5);
  ASSERT_EQ(read.size(), 1u);
  ASSERT_EQ(added.size(), 1u);
  ASSERT_TRUE(read[0].ok()) << read[0].status();
  ASSERT_TRUE(added[0].ok()) << added[0].status();
  EXPECT_EQ(added[0]->balance(), 7);
  EXPECT_EQ(ledger.peer().Asked(kDescribe), 2) << "once for each call";
}

TEST(WaitingCall, IsWokenByNoOtherRecordsEvent) {
  Ledger ledger;
  ledger.peer().Answer(kDescribe, DescribeResponse());
  std::vector<absl::StatusOr<GetResponse>> read;
  ledger.Put("Get", OfWarehouse("b"), &read);
  ledger.Settle();
  ledger.DeliverAdded("c", 5);
  ledger.Advance(absl::Seconds(1));
  EXPECT_TRUE(read.empty());
}

TEST(WaitingCall, IsRefusedWhenTheOwnerDoesNotKnowTheRecordEither) {
  Ledger ledger;
  ledger.peer().On<DescribeRequest, DescribeResponse>(
      kDescribe, [](const DescribeRequest& request) -> absl::StatusOr<DescribeResponse> {
        return corridor::NotFound("box", request.box_id());
      });
  const absl::Time before = ledger.Now();
  const absl::Status read =
      ledger.Call<GetResponse>(std::string(kService) + "Get", OfWarehouse("b")).status();
  EXPECT_EQ(read.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(read), "BOX_NOT_FOUND");
  EXPECT_FALSE(corridor::UnheardIn(read).has_value()) << "only the runtime sees the mark";
  const absl::Status added =
      ledger.Call<AddResponse>(std::string(kService) + "Add", AddToWarehouse("r1", "b")).status();
  EXPECT_EQ(added.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ledger.Now(), before) << "nobody waits for what never comes";
}

TEST(WaitingCall, IsAnsweredUnavailableAtOnceWhileTheOwnerIsDown) {
  Ledger ledger;
  const absl::Time before = ledger.Now();
  const absl::Status read =
      ledger.Call<GetResponse>(std::string(kService) + "Get", OfWarehouse("b")).status();
  EXPECT_EQ(read.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(read), "OWNER_UNAVAILABLE");
  EXPECT_EQ(RetryAfter(read), absl::Seconds(1));
  EXPECT_EQ(ledger.Now(), before);
}

TEST(WaitingCall, IsAnsweredUnavailableWhenNoEventComesInTime) {
  Ledger ledger;
  ledger.peer().Answer(kDescribe, DescribeResponse());
  const absl::Time before = ledger.Now();
  const absl::Status read =
      ledger.Call<GetResponse>(std::string(kService) + "Get", OfWarehouse("b")).status();
  EXPECT_EQ(read.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(read), "EVENTS_BEHIND");
  EXPECT_EQ(RetryAfter(read), absl::Seconds(1));
  EXPECT_EQ(ledger.Now(), before + absl::Seconds(5));
}

TEST(WaitingCall, IsAnsweredBeforeItsOwnDeadline) {
  Ledger ledger;
  ledger.peer().Answer(kDescribe, DescribeResponse());
  corridor::CallContext context;
  context.caller = "tester";
  context.deadline = ledger.Now() + absl::Milliseconds(400);
  std::optional<absl::Status> answer;
  absl::Time answered;
  ledger.runtime().Call(context, corridor::FindMethod(std::string(kService) + "Get"),
                        std::make_shared<const GetRequest>(OfWarehouse("b")),
                        [&](const absl::StatusOr<corridor::MessagePtr>& reply) {
                          answer = reply.status();
                          answered = ledger.Now();
                        });
  ledger.Advance(absl::Seconds(1));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->code(), absl::StatusCode::kUnavailable) << *answer;
  EXPECT_LT(answered, context.deadline);
}

TEST(WaitingCall, LooksAgainBecauseAnotherProcessMayApplyTheEvent) {
  Ledger ledger;
  ledger.peer().Answer(kDescribe, DescribeResponse());
  std::vector<absl::StatusOr<GetResponse>> read;
  ledger.Put("Get", OfWarehouse("b"), &read);
  ledger.Settle();
  Box box;
  box.set_box_id("b");
  box.set_balance(9);
  ASSERT_EQ(ledger.store()
                .Commit({{"boxes",
                          "b",
                          {"INSERT INTO boxes (key, version, body, balance, taken) VALUES ('b', 1, "
                           "$1, 9, 0)",
                           {store::Blob{box.SerializeAsString()}}},
                          store::Expect::kOneRow}})
                .kind,
            store::CommitResult::Kind::kCommitted);
  ledger.Advance(absl::Milliseconds(100));
  ASSERT_EQ(read.size(), 1u);
  ASSERT_TRUE(read[0].ok()) << read[0].status();
  EXPECT_EQ(read[0]->box().balance(), 9);
}

TEST(WaitingCall, WaitsForEachRecordThatItNames) {
  Ledger ledger;
  ledger.peer().Answer(kDescribe, DescribeResponse());
  AddRequest request = AddToWarehouse("r1", "b");
  request.set_beside_box_id("c");
  std::vector<absl::StatusOr<AddResponse>> added;
  ledger.Put("Add", request, &added);
  ledger.Settle();
  ledger.DeliverAdded("b", 5);
  EXPECT_TRUE(added.empty());
  ledger.DeliverAdded("c", 5);
  ASSERT_EQ(added.size(), 1u);
  EXPECT_TRUE(added[0].ok()) << added[0].status();
  EXPECT_EQ(ledger.peer().Asked(kDescribe), 2) << "once for each record";
}

TEST(WaitingCall, IsDecidedOnceWhenItIsRepeatedMeanwhile) {
  Ledger ledger;
  ledger.peer().Answer(kDescribe, DescribeResponse());
  std::vector<absl::StatusOr<AddResponse>> added;
  ledger.Put("Add", AddToWarehouse("r1", "b"), &added);
  ledger.Settle();
  ledger.Put("Add", AddToWarehouse("r1", "b"), &added);
  ledger.Settle();
  ledger.DeliverAdded("b", 5);
  ASSERT_EQ(added.size(), 2u);
  ASSERT_TRUE(added[0].ok() && added[1].ok());
  EXPECT_EQ(added[0]->entry_id(), added[1]->entry_id());
  EXPECT_EQ(ledger.Get("b").balance(), 7);
}

TEST(WaitingCall, IsRefusedWhenAThousandWaitAlready) {
  Ledger ledger;
  ledger.peer().Answer(kDescribe, DescribeResponse());
  std::vector<absl::StatusOr<GetResponse>> read;
  for (int i = 0; i < 1001; ++i) {
    ledger.Put("Get", OfWarehouse("b" + std::to_string(i)), &read);
  }
  ledger.Settle();
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(RetryAfter(read[0].status()), absl::Seconds(1));
  EXPECT_THAT(ledger.Metrics(),
              ::testing::HasSubstr("tandem_waiting_calls{service=\"ledger\"} 1000"));
  ledger.DeliverAdded("b7", 1);
  EXPECT_EQ(read.size(), 2u);
  // There is room again.
  ledger.Put("Get", OfWarehouse("b1000"), &read);
  ledger.Settle();
  EXPECT_EQ(read.size(), 2u);
}

TEST(WaitingCall, IsAnsweredUnavailableByAProcessThatShutsDown) {
  Ledger ledger;
  ledger.peer().Answer(kDescribe, DescribeResponse());
  std::vector<absl::StatusOr<GetResponse>> read;
  ledger.Put("Get", OfWarehouse("b"), &read);
  ledger.Settle();
  bool drained = false;
  ledger.runtime().Drain([&] { drained = true; });
  ledger.Advance(absl::Milliseconds(100));
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(drained);
}

TEST(WaitingCall, IsCountedByHowItEnded) {
  Ledger ledger;
  (void)ledger.Call<GetResponse>(std::string(kService) + "Get", OfWarehouse("b"));
  EXPECT_THAT(ledger.Metrics(),
              ::testing::HasSubstr(
                  "tandem_waited_calls_total{end=\"owner_unavailable\",service=\"ledger\"} 1"));
}

}  // namespace
}  // namespace tandem::runtime
