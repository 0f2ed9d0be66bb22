// What the tests of this room share: an endpoint that does what a test tells it, and a server, a
// client and a peer around it.
#ifndef TANDEM_COMMON_RPC_TESTING_H_
#define TANDEM_COMMON_RPC_TESTING_H_

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/executor/threaded.h"
#include "common/rpc/channel.h"
#include "common/rpc/client.h"
#include "common/rpc/echo.pb.h"
#include "common/rpc/server.h"
#include "common/time/system_clock.h"

namespace tandem::rpc::testing {

inline constexpr std::string_view kEcho = "tandem.rpc.testing.EchoService/Echo";

// Waits for what must come; that it does not come within a minute is a failure.
template <typename T>
T Get(std::promise<T>& promise) {
  std::future<T> future = promise.get_future();
  if (future.wait_for(std::chrono::minutes(1)) != std::future_status::ready) {
    ADD_FAILURE() << "nothing came within a minute";
    std::abort();
  }
  return future.get();
}

template <typename D>
bool Detail(const absl::Status& status, D* detail) {
  const auto payload =
      status.GetPayload(absl::StrCat("type.googleapis.com/", D::descriptor()->full_name()));
  return payload.has_value() && detail->ParseFromString(std::string(*payload));
}

// Serves EchoService by whatever `answer` holds. Callable from any thread once it is served.
class Endpoint : public corridor::Endpoint {
 public:
  using Behaviour = std::function<void(const corridor::CallContext&, const corridor::MessagePtr&,
                                       corridor::ReplyCallback)>;

  static void Echo(const corridor::CallContext& context, const corridor::MessagePtr& request,
                   corridor::ReplyCallback done) {
    auto reply = std::make_shared<EchoResponse>();
    reply->set_text(static_cast<const EchoRequest&>(*request).text());
    reply->set_caller(context.caller);
    reply->set_traceparent(context.traceparent);
    std::move(done)(corridor::MessagePtr(std::move(reply)));
  }

  std::vector<const google::protobuf::ServiceDescriptor*> services() const override {
    return {corridor::FindMethod(kEcho)->service()};
  }
  void Call(const corridor::CallContext& context, const google::protobuf::MethodDescriptor*,
            corridor::MessagePtr request, corridor::ReplyCallback done) override {
    {
      const std::lock_guard lock(mutex_);
      seen_ = context;
      ++calls_;
    }
    answer(context, request, std::move(done));
  }

  corridor::CallContext seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  int calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

  Behaviour answer = &Endpoint::Echo;  // set before the server starts

 private:
  mutable std::mutex mutex_;
  corridor::CallContext seen_;
  int calls_ = 0;
};

// Calls that stay unanswered until the test answers them.
class Held {
 public:
  Endpoint::Behaviour Hold() {
    return [this](const corridor::CallContext&, const corridor::MessagePtr& request,
                  corridor::ReplyCallback done) {
      const std::lock_guard lock(mutex_);
      held_.emplace_back(request, std::move(done));
      arrived_.notify_all();
    };
  }
  // Until a call is held.
  void Wait() {
    std::unique_lock lock(mutex_);
    WaitLocked(lock);
  }
  corridor::ReplyCallback Take() { return TakeOne().second; }
  void Answer(absl::StatusOr<corridor::MessagePtr> reply) { Take()(std::move(reply)); }
  void Echo() {
    auto [request, done] = TakeOne();
    Endpoint::Echo({}, request, std::move(done));
  }

 private:
  using Call = std::pair<corridor::MessagePtr, corridor::ReplyCallback>;

  void WaitLocked(std::unique_lock<std::mutex>& lock) {
    if (!arrived_.wait_for(lock, std::chrono::minutes(1), [this] { return !held_.empty(); })) {
      ADD_FAILURE() << "no call came within a minute";
      std::abort();
    }
  }
  Call TakeOne() {
    std::unique_lock lock(mutex_);
    WaitLocked(lock);
    Call call = std::move(held_.front());
    held_.pop_front();
    return call;
  }

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Call> held_;
};

// An endpoint behind a real server on a free port of loopback.
class World {
 public:
  World() {
    server_options.address = "127.0.0.1:0";
    channel_options.caller = "test-peer";
    channel_options.deadline = absl::Minutes(1);
    channel_options.first_backoff = absl::Milliseconds(1);
    client_options.timeout = absl::Minutes(1);
  }

  absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                std::vector<corridor::Endpoint*> endpoints) {
    return Server::Start(options, std::move(endpoints), &logger_, &registry_);
  }
  absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options) {
    return Start(options, {&endpoint});
  }
  void Serve() {
    auto started = Start(server_options);
    ASSERT_TRUE(started.ok()) << started.status();
    server = *std::move(started);
    client_options.target = server->address();
    channel_options.targets = {{"tandem.rpc.testing", server->address()}};
  }
  rpc::Client Client() const {
    auto client = rpc::Client::Create(client_options);
    if (!client.ok()) std::abort();
    return *std::move(client);
  }
  std::unique_ptr<ChannelPeer> Peer() {
    auto peer = ChannelPeer::Create(channel_options, &executor_, &clock_);
    if (!peer.ok()) std::abort();
    return *std::move(peer);
  }
  absl::StatusOr<EchoResponse> Call(const std::string& text) const {
    EchoRequest request;
    request.set_text(text);
    return Client().Call<EchoResponse>(kEcho, request);
  }
  absl::StatusOr<EchoResponse> Call(const std::string& text, absl::Duration timeout) const {
    ClientOptions hurried = client_options;
    hurried.timeout = timeout;
    EchoRequest request;
    request.set_text(text);
    return rpc::Client::Create(hurried)->Call<EchoResponse>(kEcho, request);
  }

  // The value of `name` for a method of EchoService, and a code where it has one; -1 when absent.
  double Metric(const std::string& name, const std::string& method,
                const std::string& code = "") const {
    const std::string text = registry_.Text();
    size_t line = 0;
    while (line < text.size()) {
      const size_t end = text.find('\n', line);
      const std::string one = text.substr(line, end - line);
      line = end == std::string::npos ? text.size() : end + 1;
      double value = 0;
      if (one.rfind(name + "{", 0) == 0 &&
          one.find(absl::StrCat("method=\"", method, "\"")) != std::string::npos &&
          (code.empty() || one.find(absl::StrCat("code=\"", code, "\"")) != std::string::npos) &&
          absl::SimpleAtod(one.substr(one.rfind(' ') + 1), &value)) {
        return value;
      }
    }
    return -1;
  }
  std::vector<std::string> LogLines() const { return sink_->lines(); }

  Endpoint endpoint;
  ServerOptions server_options;
  ClientOptions client_options;
  ChannelOptions channel_options;

 private:
  time::SystemClock clock_;
  std::shared_ptr<log::MemorySink> sink_ = std::make_shared<log::MemorySink>();
  log::Logger logger_{{"test", log::Level::kDebug, [this] { return clock_.Now(); }}, sink_};
  metrics::Registry registry_{"test"};
  executor::ThreadedExecutor executor_{"test", &clock_};

 public:
  std::unique_ptr<Server> server;  // ends before what it uses
};

}  // namespace tandem::rpc::testing

#endif  // TANDEM_COMMON_RPC_TESTING_H_
