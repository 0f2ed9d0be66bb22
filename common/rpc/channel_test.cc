#include "common/rpc/channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "common/corridor/errors.h"
#include "common/rpc/call_metrics.h"
#include "common/rpc/retry_budget.h"
#include "common/rpc/testing.h"
#include "google/rpc/error_details.pb.h"

namespace tandem::rpc {
namespace {

using ::testing::AllOf;
using testing::EchoRequest;
using testing::EchoResponse;
using ::testing::HasSubstr;
using testing::kEcho;

class ChannelTest : public ::testing::Test {
 protected:
  absl::StatusOr<corridor::MessagePtr> Ask(corridor::Peer& peer, std::string_view method = kEcho,
                                           absl::Duration timeout = absl::Seconds(30)) {
    std::promise<absl::StatusOr<corridor::MessagePtr>> answered;
    corridor::CallContext context;
    context.deadline = absl::Now() + timeout;
    context.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    auto request = std::make_shared<EchoRequest>();
    request->set_text("hello");
    peer.Ask(context, method, request, [&answered](absl::StatusOr<corridor::MessagePtr> reply) {
      answered.set_value(std::move(reply));
    });
    return testing::Get(answered);
  }

  // The endpoint answers `status` to the first `times` calls.
  void FailFirst(int times, const absl::Status& status) {
    world_.endpoint.answer = [this, times, status](const auto& context, const auto& request,
                                                   corridor::ReplyCallback done) {
      if (attempts_++ < times) {
        std::move(done)(status);
      } else {
        testing::Endpoint::Echo(context, request, std::move(done));
      }
    };
  }

  testing::World world_;
  std::atomic<int> attempts_ = 0;
};

TEST_F(ChannelTest, AsksAsThisServiceWithinTheTrace) {
  world_.Serve();
  const auto reply = Ask(*world_.Peer());
  ASSERT_TRUE(reply.ok()) << reply.status();
  const auto& echo = static_cast<const EchoResponse&>(**reply);
  EXPECT_EQ(echo.text(), "hello");
  EXPECT_EQ(echo.caller(), "test-peer");
  EXPECT_THAT(echo.traceparent(), HasSubstr("4bf92f3577b34da6a3ce929d0e0e4736"));
}

TEST_F(ChannelTest, BringsBackTheDetailsOfAnError) {
  FailFirst(1, corridor::NotFound("ticket", "t_1"));
  world_.Serve();
  const absl::Status status = Ask(*world_.Peer()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(testing::Detail(status, &info));
  EXPECT_EQ(info.reason(), "TICKET_NOT_FOUND");
  EXPECT_EQ(attempts_, 1) << "an answer is not asked for again";
}

TEST_F(ChannelTest, AsksAgainWhenThePeerIsUnavailable) {
  FailFirst(2, absl::UnavailableError("starting"));
  world_.Serve();
  const auto reply = Ask(*world_.Peer());
  EXPECT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(attempts_, 3);
}

TEST_F(ChannelTest, GivesUpAfterTwoRetries) {
  FailFirst(100, absl::UnavailableError("down"));
  world_.Serve();
  EXPECT_EQ(Ask(*world_.Peer()).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(attempts_, 3);
}

TEST_F(ChannelTest, StopsRetryingWhenTheBudgetIsSpent) {
  FailFirst(1000, absl::UnavailableError("down"));
  world_.Serve();
  world_.channel_options.retry_burst = 3;
  auto peer = world_.Peer();
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(Ask(*peer).ok());
  // 20 calls, the burst of 3, and 10 % of the calls: without a budget it were 60.
  EXPECT_LE(attempts_, 20 + 3 + 2);
  EXPECT_GE(attempts_, 20 + 3);
}

TEST_F(ChannelTest, TellsOnceHowEachQuestionWasAnsweredWhateverTheRetries) {
  FailFirst(2, absl::UnavailableError("starting"));
  world_.Serve();
  metrics::Registry registry("test");
  const PeerMetrics metrics(registry.In({{"service", "asker"}}), {{"tandem.rpc.testing", "echo"}});
  world_.channel_options.answered = [&metrics](std::string_view target, absl::StatusCode code,
                                               absl::Duration took) {
    EXPECT_GE(took, absl::ZeroDuration());
    metrics.Answered(target, code, took);
  };
  auto peer = world_.Peer();
  EXPECT_TRUE(Ask(*peer).ok());
  world_.server.reset();
  EXPECT_FALSE(Ask(*peer).ok());
  EXPECT_EQ(Ask(*peer, "nonsense").status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(registry.Text(),
              AllOf(HasSubstr("tandem_peer_requests_total{code=\"OK\",peer=\"echo\","
                              "service=\"asker\"} 1\n"),
                    HasSubstr("code=\"UNAVAILABLE\",peer=\"echo\",service=\"asker\"} 1\n"),
                    HasSubstr("tandem_peer_duration_seconds_count{peer=\"echo\","
                              "service=\"asker\"} 2\n")));
}

TEST_F(ChannelTest, IsUnavailableWhenNobodyListens) {
  world_.Serve();
  const std::string target = world_.server->address();
  world_.server.reset();
  world_.channel_options.targets = {{"tandem.rpc.testing", target}};
  auto peer = world_.Peer();
  EXPECT_EQ(Ask(*peer).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ChannelTest, EndsAtTheContextsDeadline) {
  testing::Held held;
  world_.endpoint.answer = held.Hold();
  world_.Serve();
  const absl::Time asked = absl::Now();
  EXPECT_EQ(Ask(*world_.Peer(), kEcho, absl::Milliseconds(50)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_LT(absl::Now() - asked, absl::Seconds(30)) << "its own deadline is a minute";
}

TEST_F(ChannelTest, EndsAtItsOwnDeadlineWhenTheContextHasNone) {
  testing::Held held;
  world_.endpoint.answer = held.Hold();
  world_.Serve();
  world_.channel_options.deadline = absl::Milliseconds(50);
  EXPECT_EQ(Ask(*world_.Peer(), kEcho, absl::InfiniteDuration()).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ChannelTest, NamesAMethodWithoutATarget) {
  world_.Serve();
  world_.channel_options.targets = {{"tandem.other.v1", world_.server->address()}};
  auto peer = world_.Peer();
  const absl::Status status = Ask(*peer).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(kEcho)));
  EXPECT_EQ(Ask(*peer, "nonsense").status().code(), absl::StatusCode::kUnimplemented);
}

TEST_F(ChannelTest, ChecksTheHealthOfItsTargets) {
  world_.Serve();
  const auto check = [](ChannelPeer& peer) {
    std::promise<absl::Status> answered;
    peer.CheckHealth([&answered](std::string_view target, const absl::Status& status) {
      EXPECT_EQ(target, "tandem.rpc.testing");
      answered.set_value(status);
    });
    return testing::Get(answered);
  };
  world_.server->SetServing(true);
  auto peer = world_.Peer();
  EXPECT_TRUE(check(*peer).ok());
  world_.server->SetServing(false);
  EXPECT_EQ(check(*peer).code(), absl::StatusCode::kUnavailable);
  world_.server.reset();
  EXPECT_EQ(check(*peer).code(), absl::StatusCode::kUnavailable);
}

TEST_F(ChannelTest, AnswersEverythingBeforeItEnds) {
  FailFirst(1000, absl::UnavailableError("down"));
  world_.Serve();
  world_.channel_options.first_backoff = absl::Seconds(20);
  auto peer = world_.Peer();
  std::promise<absl::Status> answered;
  corridor::CallContext context;
  context.deadline = absl::Now() + absl::Minutes(5);
  world_.channel_options.deadline = absl::Minutes(5);
  peer->Ask(context, kEcho, std::make_shared<EchoRequest>(),
            [&answered](const absl::StatusOr<corridor::MessagePtr>& reply) {
              answered.set_value(reply.status());
            });
  peer.reset();
  EXPECT_FALSE(testing::Get(answered).ok());
}

TEST(RetryBudget, IsAShareOfTheCallsAndABurst) {
  RetryBudget budget(10, 2);
  EXPECT_TRUE(budget.TryTake());
  EXPECT_TRUE(budget.TryTake());
  EXPECT_FALSE(budget.TryTake());
  for (int i = 0; i < 9; ++i) budget.Called();
  EXPECT_FALSE(budget.TryTake());
  budget.Called();
  EXPECT_TRUE(budget.TryTake());
  EXPECT_FALSE(budget.TryTake());
  for (int i = 0; i < 1000; ++i) budget.Called();
  EXPECT_TRUE(budget.TryTake());
  EXPECT_TRUE(budget.TryTake());
  EXPECT_FALSE(budget.TryTake()) << "no more than the burst is saved up";
}

}  // namespace
}  // namespace tandem::rpc
