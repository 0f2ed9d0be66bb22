// The corridor with real threads, files and the durable log: many callers at once, a stop without
// warning, a start on what was committed.
#include "common/executor/threaded.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/bus/local_log.h"
#include "common/bus/migrations.h"
#include "common/id/system_entropy.h"
#include "common/lane/migrations.h"
#include "common/runtime/service_runtime.h"
#include "common/store/sqlite.h"
#include "common/testing/ledger.h"
#include "common/time/system_clock.h"
#include "tests/contract/temp_folder.h"

namespace tandem::runtime {
namespace {

using testing::AddLaterRequest;
using testing::AddLaterResponse;
using testing::AddRequest;
using testing::AddResponse;
using testing::GetRequest;
using testing::GetResponse;

// A ledger on files in a folder; its end is a stop without a drain.
class ThreadedLedger {
 public:
  explicit ThreadedLedger(const std::string& folder) {
    store::SqliteOptions log_file;
    log_file.path = folder + "/log.db";
    log_file.schemas = {bus::SqliteSchema()};
    log_store_ = *store::OpenSqlite(std::move(log_file));
    log_executor_ = Thread("log");
    log_ = *bus::LocalLog::Open(log_store_.get(), &clock_, log_executor_.get(), {});
    auto definition = testing::MakeLedger();
    store::SqliteOptions file;
    file.path = folder + "/ledger.db";
    file.schemas = {lane::SqliteSchema(), definition->schema()};
    store_ = *store::OpenSqlite(std::move(file));
    lane_ = Thread("lane");
    background_ = Thread("background");
    reader_ = Thread("reader");
    ServiceRuntime::Ports ports;
    ports.clock = &clock_;
    ports.lanes = {lane_.get()};
    ports.background = background_.get();
    ports.readers = {reader_.get()};
    ports.stores = {store_.get()};
    ports.bus = log_.get();
    ports.entropy = &entropy_;
    RuntimeOptions options;
    options.gate.settle = absl::Milliseconds(20);
    options.sample_every = absl::Milliseconds(50);
    runtime_ = *ServiceRuntime::Create(std::move(definition), ports, options);
    EXPECT_TRUE(runtime_->Start().ok());
  }
  ~ThreadedLedger() {
    runtime_->Halt();
    lane_.reset();
    background_.reset();
    reader_.reset();
    runtime_.reset();
    log_executor_.reset();
    log_.reset();
  }

  // Waits for the answer, a minute at the most.
  template <typename Reply, typename Request>
  absl::StatusOr<Reply> Call(const std::string& method, const Request& request) {
    struct Answer {
      absl::Notification given;
      absl::StatusOr<Reply> reply = absl::DeadlineExceededError("no answer within a minute");
    };
    auto answer = std::make_shared<Answer>();
    corridor::CallContext context;
    context.caller = "tester";
    runtime_->Call(context, corridor::FindMethod("tandem.testing.LedgerService/" + method),
                   std::make_shared<const Request>(request),
                   [answer](absl::StatusOr<corridor::MessagePtr> reply) {
                     if (reply.ok()) {
                       answer->reply = static_cast<const Reply&>(**reply);
                     } else {
                       answer->reply = reply.status();
                     }
                     answer->given.Notify();
                   });
    if (!answer->given.WaitForNotificationWithTimeout(absl::Minutes(1))) {
      return absl::DeadlineExceededError("no answer within a minute");
    }
    return answer->reply;
  }
  int64_t Balance(const std::string& box) {
    GetRequest request;
    request.set_box_id(box);
    const auto reply = Call<GetResponse>("Get", request);
    return reply.ok() ? reply->box().balance() : 0;
  }
  // Asks until `box` holds `balance`, a minute at the most.
  bool Await(const std::string& box, int64_t balance) {
    const absl::Time deadline = clock_.Now() + absl::Minutes(1);
    while (clock_.Now() < deadline) {
      if (Balance(box) == balance) return true;
    }
    return false;
  }
  absl::Time Now() const { return clock_.Now(); }
  ServiceRuntime& runtime() { return *runtime_; }

 private:
  std::unique_ptr<executor::ThreadedExecutor> Thread(const std::string& name) {
    return std::make_unique<executor::ThreadedExecutor>(name, &clock_);
  }
  time::SystemClock clock_;
  id::SystemEntropy entropy_;
  std::unique_ptr<store::Store> log_store_, store_;
  std::unique_ptr<executor::ThreadedExecutor> log_executor_, lane_, background_, reader_;
  std::unique_ptr<bus::LocalLog> log_;
  std::unique_ptr<ServiceRuntime> runtime_;
};

AddRequest Add(const std::string& request_id, const std::string& box) {
  AddRequest request;
  request.set_request_id(request_id);
  request.set_box_id(box);
  request.set_amount(1);
  return request;
}

TEST(Threads, ManyCallersAreDecidedEachOnceAcrossAStop) {
  TempFolder folder;
  constexpr int kCallers = 4;
  constexpr int kCalls = 50;
  std::atomic<int> failed{0};
  const auto run = [&](ThreadedLedger& ledger) {
    std::vector<std::thread> callers;
    for (int c = 0; c < kCallers; ++c) {
      callers.emplace_back([&, c] {
        for (int i = 0; i < kCalls; ++i) {
          const auto reply = ledger.Call<AddResponse>("Add", Add(absl::StrCat(c, "-", i), "b"));
          if (!reply.ok()) ++failed;
        }
      });
    }
    for (std::thread& caller : callers) caller.join();
  };
  {
    ThreadedLedger ledger(folder.path());
    run(ledger);
    EXPECT_EQ(ledger.Balance("b"), kCallers * kCalls);
  }
  // The same requests again, after a stop without a drain: remembered, every one.
  ThreadedLedger ledger(folder.path());
  run(ledger);
  EXPECT_EQ(failed.load(), 0);
  EXPECT_EQ(ledger.Balance("b"), kCallers * kCalls);
}

TEST(Threads, TimersFireOnceWhileCallersWork) {
  TempFolder folder;
  ThreadedLedger ledger(folder.path());
  const absl::Time due = ledger.Now() + absl::Milliseconds(200);
  for (int i = 0; i < 60; ++i) {
    AddLaterRequest request;
    request.set_request_id(absl::StrCat("later-", i));
    request.set_box_id(absl::StrCat("t", i));
    request.set_kind(i % 3 == 0 ? "plain" : i % 3 == 1 ? "bound" : "effect");
    request.set_due_us(absl::ToUnixMicros(due));
    ASSERT_TRUE(ledger.Call<AddLaterResponse>("AddLater", request).ok());
  }
  std::thread caller([&] {
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(ledger.Call<AddResponse>("Add", Add(absl::StrCat("add-", i), "b")).ok());
    }
  });
  for (int i = 0; i < 60; ++i) EXPECT_TRUE(ledger.Await(absl::StrCat("t", i), 1)) << i;
  caller.join();
  EXPECT_EQ(ledger.Balance("b"), 100);
}

TEST(Threads, ADrainWaitsForWhatIsUnderWay) {
  TempFolder folder;
  ThreadedLedger ledger(folder.path());
  std::atomic<int> answered{0};
  corridor::CallContext context;
  context.caller = "tester";
  for (int i = 0; i < 50; ++i) {
    ledger.runtime().Call(
        context, corridor::FindMethod("tandem.testing.LedgerService/Add"),
        std::make_shared<const AddRequest>(Add(absl::StrCat("r", i), "b")),
        [&](absl::StatusOr<corridor::MessagePtr> reply) { answered += reply.ok() ? 1 : 0; });
  }
  auto drained = std::make_shared<absl::Notification>();
  ledger.runtime().Drain([drained] { drained->Notify(); });
  ASSERT_TRUE(drained->WaitForNotificationWithTimeout(absl::Minutes(1)));
  EXPECT_EQ(answered.load(), 50);
}

}  // namespace
}  // namespace tandem::runtime
