#include "common/corridor/local_peer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <utility>

#include "common/rpc/echo.pb.h"

namespace tandem::corridor {
namespace {

using rpc::testing::EchoRequest;
using rpc::testing::EchoResponse;

constexpr std::string_view kEcho = "tandem.rpc.testing.EchoService/Echo";

// Keeps the tasks until the test says what time it is.
class HandDrivenExecutor : public executor::Executor {
 public:
  void Post(executor::Task task) override { PostAt(absl::InfinitePast(), std::move(task)); }
  void PostAt(absl::Time instant, executor::Task task) override {
    tasks_.emplace(instant, std::move(task));
  }
  void RunUntil(absl::Time now) {
    while (!tasks_.empty() && tasks_.begin()->first <= now) {
      executor::Task task = std::move(tasks_.begin()->second);
      tasks_.erase(tasks_.begin());
      std::move(task)();
    }
  }

 private:
  std::multimap<absl::Time, executor::Task> tasks_;
};

// Answers when the test says so.
class SlowEndpoint : public Endpoint {
 public:
  std::vector<const google::protobuf::ServiceDescriptor*> services() const override {
    return {FindMethod(kEcho)->service()};
  }
  void Call(const CallContext& context, const google::protobuf::MethodDescriptor* method,
            MessagePtr request, ReplyCallback done) override {
    caller = context.caller;
    called = method;
    seen = std::move(request);
    pending = std::move(done);
  }
  std::string caller;
  const google::protobuf::MethodDescriptor* called = nullptr;
  MessagePtr seen;
  ReplyCallback pending;
};

class LocalPeerTest : public ::testing::Test {
 protected:
  LocalPeerTest() { peer_.Add(&endpoint_); }

  void Ask(std::string_view method, absl::Time deadline) {
    CallContext context;
    context.caller = "triage";
    context.deadline = deadline;
    peer_.Ask(context, method, request_, [this](absl::StatusOr<MessagePtr> reply) {
      ++answers_;
      reply_ = std::move(reply);
    });
  }

  const absl::Time start_ = absl::FromUnixSeconds(1'700'000'000);
  const absl::Time deadline_ = start_ + absl::Milliseconds(500);
  std::shared_ptr<EchoRequest> request_ = std::make_shared<EchoRequest>();
  HandDrivenExecutor executor_;
  SlowEndpoint endpoint_;
  LocalPeer peer_{&executor_};
  int answers_ = 0;
  std::optional<absl::StatusOr<MessagePtr>> reply_;
};

TEST_F(LocalPeerTest, HandsTheVeryMessageToTheEndpoint) {
  Ask(kEcho, deadline_);
  EXPECT_EQ(endpoint_.caller, "triage");
  EXPECT_EQ(endpoint_.called, FindMethod(kEcho));
  EXPECT_EQ(endpoint_.seen, request_);
  auto reply = std::make_shared<EchoResponse>();
  endpoint_.pending(MessagePtr(reply));
  ASSERT_EQ(answers_, 1);
  EXPECT_EQ(**reply_, reply);
  executor_.RunUntil(deadline_);
  EXPECT_EQ(answers_, 1) << "the deadline came after the answer";
}

TEST_F(LocalPeerTest, GivesUpAtTheDeadlineAndDropsTheLateAnswer) {
  Ask(kEcho, deadline_);
  executor_.RunUntil(deadline_ - absl::Microseconds(1));
  EXPECT_EQ(answers_, 0);
  executor_.RunUntil(deadline_);
  ASSERT_EQ(answers_, 1);
  EXPECT_EQ(reply_->status().code(), absl::StatusCode::kDeadlineExceeded);
  endpoint_.pending(MessagePtr(std::make_shared<EchoResponse>()));
  EXPECT_EQ(answers_, 1);
}

TEST_F(LocalPeerTest, GivesAnErrorOnAsItIs) {
  Ask(kEcho, deadline_);
  endpoint_.pending(absl::NotFoundError("ticket t_1 does not exist"));
  EXPECT_EQ(reply_->status(), absl::NotFoundError("ticket t_1 does not exist"));
}

TEST_F(LocalPeerTest, SaysWhenNobodyServesTheMethod) {
  Ask("tandem.rpc.testing.OtherService/Look", deadline_);
  EXPECT_EQ(reply_->status().code(), absl::StatusCode::kUnimplemented);
  Ask("no method", deadline_);
  EXPECT_EQ(reply_->status().code(), absl::StatusCode::kUnimplemented);
}

TEST_F(LocalPeerTest, KeepsNothingOfAnAnsweredQuestionUntilTheDeadline) {
  auto held = std::make_shared<int>(1);
  CallContext context;
  context.deadline = deadline_;
  peer_.Ask(context, kEcho, request_, [held](const absl::StatusOr<MessagePtr>&) {});
  endpoint_.pending(MessagePtr(std::make_shared<EchoResponse>()));
  endpoint_.pending = nullptr;
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace tandem::corridor
