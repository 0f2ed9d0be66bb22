// What the tests of this room share: a Tandem that answers what a test tells it, behind a real
// door, and the program run against it.
#ifndef TANDEM_SERVICES_TANDEMCTL_TESTING_H_
#define TANDEM_SERVICES_TANDEMCTL_TESTING_H_

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "common/corridor/endpoint.h"
#include "common/id/entropy.h"
#include "common/rpc/server.h"
#include "common/time/clock.h"
#include "services/tandemctl/linked_protos.h"
#include "services/tandemctl/program.h"

namespace tandem::tandemctl::testing {

// Serves every method of Tandem. Set up before the server starts; read between two runs.
class FakeTandem : public corridor::Endpoint {
 public:
  using Answer =
      std::function<absl::StatusOr<corridor::MessagePtr>(const google::protobuf::Message&)>;

  // `answer` gives a Reply or a Status.
  template <typename Request, typename Function>
  void On(const std::string& method, Function answer) {
    answers_[method] =
        [answer](const google::protobuf::Message& request) -> absl::StatusOr<corridor::MessagePtr> {
      auto reply = answer(static_cast<const Request&>(request));
      if constexpr (std::is_same_v<decltype(reply), absl::Status>) {
        return reply;
      } else {
        return corridor::MessagePtr(std::make_shared<decltype(reply)>(std::move(reply)));
      }
    };
  }

  std::vector<const google::protobuf::ServiceDescriptor*> services() const override {
    return LinkedServices();
  }
  void Call(const corridor::CallContext& context, const google::protobuf::MethodDescriptor* method,
            corridor::MessagePtr request, corridor::ReplyCallback done) override {
    const std::string name = corridor::MethodName(method);
    Answer answer;
    {
      const std::lock_guard lock(mutex_);
      caller_ = context.caller;
      requests_.emplace_back(name, request);
      const auto found = answers_.find(name);
      if (found != answers_.end()) answer = found->second;
    }
    if (answer == nullptr) {
      std::move(done)(absl::UnimplementedError(name));
      return;
    }
    std::move(done)(answer(*request));
  }

  std::string caller() const {
    const std::lock_guard lock(mutex_);
    return caller_;
  }
  // The requests of a method so far.
  template <typename Request>
  std::vector<Request> Requests(const std::string& method) const {
    const std::lock_guard lock(mutex_);
    std::vector<Request> requests;
    for (const auto& [name, request] : requests_) {
      if (name == method) requests.push_back(static_cast<const Request&>(*request));
    }
    return requests;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Answer> answers_;
  std::string caller_;
  std::vector<std::pair<std::string, corridor::MessagePtr>> requests_;
};

class FixedClock : public time::Clock {
 public:
  absl::Time Now() const override { return now; }
  absl::Time now = absl::FromCivil(absl::CivilSecond(2026, 11, 23, 14, 0, 0), absl::UTCTimeZone());
};

class CountingEntropy : public id::Entropy {
 public:
  std::string Bytes(size_t size) override { return std::string(size, static_cast<char>(++calls_)); }

 private:
  int calls_ = 0;
};

struct Ran {
  int code = -1;
  std::string output;
  std::string messages;
};

class ProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    rpc::ServerOptions options;
    options.address = "127.0.0.1:0";
    auto started = rpc::Server::Start(options, {&tandem_}, &logger_, &registry_);
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
  }

  Ran Run(const std::vector<std::string>& arguments, const std::string& input = "") {
    std::vector<std::string> all = arguments;
    all.push_back("--address=" + server_->address());
    return RunAt(all, input);
  }
  Ran RunAt(const std::vector<std::string>& arguments, const std::string& input = "") {
    std::ostringstream output, messages;
    std::istringstream in(input);
    World world;
    world.clock = &clock_;
    world.entropy = &entropy_;
    world.pause = [this](absl::Duration duration) { pauses_.push_back(duration); };
    world.zone = absl::UTCTimeZone();
    world.caller = "ann:desk";
    world.output = {&output, false, 80};
    world.messages = &messages;
    world.input = &in;
    Ran ran;
    ran.code = tandemctl::Run(arguments, environment_, world);
    ran.output = output.str();
    ran.messages = messages.str();
    return ran;
  }

  FakeTandem tandem_;
  FixedClock clock_;
  CountingEntropy entropy_;
  std::vector<absl::Duration> pauses_;
  std::map<std::string, std::string> environment_;

  log::Logger logger_{{"test", log::Level::kError, [this] { return clock_.Now(); }},
                      std::make_shared<log::MemorySink>()};
  metrics::Registry registry_{"test"};
  std::unique_ptr<rpc::Server> server_;  // ends before what it uses
};

}  // namespace tandem::tandemctl::testing

#endif  // TANDEM_SERVICES_TANDEMCTL_TESTING_H_
