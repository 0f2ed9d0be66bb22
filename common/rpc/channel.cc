#include "common/rpc/channel.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/rpc/bytes.h"
#include "common/rpc/health.pb.h"
#include "common/rpc/retry_budget.h"
#include "common/rpc/status.h"

namespace tandem::rpc {
namespace {

using google::protobuf::MethodDescriptor;

grpc::ChannelArguments ArgumentsFor(const ChannelOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(options.max_message_bytes);
  arguments.SetMaxSendMessageSize(options.max_message_bytes);
  arguments.SetLoadBalancingPolicyName("round_robin");
  // Retries are counted against a budget here; gRPC's own would come on top.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // A peer that comes back is found again quickly.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  return arguments;
}

// `backoff`, half of it by chance, so that callers that failed together do not return together.
absl::Duration Jittered(absl::Duration backoff) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return backoff * std::uniform_real_distribution<double>(0.5, 1.0)(random);
}

}  // namespace

class ChannelPeer::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(ChannelOptions options, executor::Executor* executor, const time::Clock* clock,
       const std::shared_ptr<grpc::ChannelCredentials>& credentials)
      : options_(std::move(options)),
        clock_(clock),
        budget_(options_.retry_percent, options_.retry_burst),
        executor_(executor) {
    std::map<std::string, std::shared_ptr<grpc::Channel>> channels;
    for (const auto& [package, target] : options_.targets) {
      std::shared_ptr<grpc::Channel>& channel = channels[target];
      if (channel == nullptr) {
        channel = grpc::CreateCustomChannel(target, credentials, ArgumentsFor(options_));
      }
      stubs_.emplace(package, std::make_shared<grpc::GenericStub>(channel));
    }
  }

  void Ask(const corridor::CallContext& context, std::string_view method,
           const corridor::MessagePtr& request, corridor::ReplyCallback done);
  void CheckHealth(const std::function<void(std::string_view target, absl::Status status)>& done);
  void Close();

 private:
  struct Question;
  struct Attempt;

  // The target that serves `method`, by its key; empty if none does.
  std::string_view TargetOf(const MethodDescriptor* method) const {
    auto found = options_.targets.find(method->service()->full_name());
    if (found == options_.targets.end()) found = options_.targets.find(method->file()->package());
    return found == options_.targets.end() ? std::string_view() : found->first;
  }

  std::shared_ptr<grpc::GenericStub> StubOf(std::string_view target) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto found = stubs_.find(absl::string_view(target.data(), target.size()));
    return found == stubs_.end() ? nullptr : found->second;
  }

  void Start(std::shared_ptr<Question> question);
  void Ended(Attempt* attempt, const grpc::Status& status);
  // Whether the question will be tried again.
  bool Retry(const std::shared_ptr<Question>& question);

  const ChannelOptions options_;
  const time::Clock* const clock_;
  RetryBudget budget_;

  absl::Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  // Empty after Close.
  absl::flat_hash_map<std::string, std::shared_ptr<grpc::GenericStub>> stubs_
      ABSL_GUARDED_BY(mutex_);
  // After Close nothing is posted any more: the executor may be gone.
  executor::Executor* const executor_ ABSL_PT_GUARDED_BY(mutex_);
  absl::flat_hash_set<Attempt*> under_way_ ABSL_GUARDED_BY(mutex_);  // may be cancelled
  int64_t unanswered_ ABSL_GUARDED_BY(mutex_) = 0;  // attempts whose end was not dealt with yet
  // Between two attempts. Held here, for a stopped executor drops its tasks.
  absl::flat_hash_set<std::shared_ptr<Question>> backing_off_ ABSL_GUARDED_BY(mutex_);
};

struct ChannelPeer::Core::Question {
  const MethodDescriptor* method;
  std::string_view target;  // by its key, which the options keep
  std::string path;
  std::string traceparent;
  absl::Time deadline;
  grpc::ByteBuffer request;
  int attempts = 0;
  bool is_once = false;  // no retries
  corridor::ReplyCallback done;

  void Answer(absl::StatusOr<corridor::MessagePtr> reply) {
    corridor::ReplyCallback callback = std::exchange(done, nullptr);
    std::move(callback)(std::move(reply));
  }
};

// One gRPC call. Owned by its completion.
struct ChannelPeer::Core::Attempt {
  std::shared_ptr<Core> core;
  std::shared_ptr<Question> question;
  grpc::ClientContext context;
  grpc::ByteBuffer reply;
};

void ChannelPeer::Core::Ask(const corridor::CallContext& context, std::string_view method,
                            const corridor::MessagePtr& request, corridor::ReplyCallback done) {
  const MethodDescriptor* descriptor = corridor::FindMethod(method);
  bool known = false;
  if (descriptor != nullptr) {
    absl::MutexLock lock(&mutex_);
    known = closed_ || StubOf(TargetOf(descriptor)) != nullptr;
  }
  if (!known) {
    std::move(done)(
        absl::UnimplementedError(absl::StrCat("no target is known for ", std::string(method))));
    return;
  }
  auto question = std::make_shared<Question>();
  question->method = descriptor;
  question->target = TargetOf(descriptor);
  question->path = absl::StrCat("/", std::string(method));
  question->traceparent = context.traceparent;
  question->deadline = std::min(context.deadline, clock_->Now() + options_.deadline);
  question->request = ToBytes(*request);
  question->done = std::move(done);
  if (options_.answered) {
    // A question does not outlive the core, which waits for its answer.
    question->done =
        [this, target = TargetOf(descriptor), asked_at = clock_->Now(),
         tell = std::move(question->done)](absl::StatusOr<corridor::MessagePtr> reply) mutable {
          options_.answered(target, reply.status().code(), clock_->Now() - asked_at);
          std::move(tell)(std::move(reply));
        };
  }
  budget_.Called();
  Start(std::move(question));
}

void ChannelPeer::Core::CheckHealth(
    const std::function<void(std::string_view target, absl::Status status)>& done) {
  using grpc::health::v1::HealthCheckResponse;
  const MethodDescriptor* const check =
      HealthCheckResponse::descriptor()->file()->FindServiceByName("Health")->FindMethodByName(
          "Check");
  for (const auto& [target, address] : options_.targets) {
    auto question = std::make_shared<Question>();
    question->method = check;
    question->target = target;
    question->path = absl::StrCat("/", corridor::MethodName(check));
    question->deadline = clock_->Now() + options_.deadline;
    question->request = ToBytes(grpc::health::v1::HealthCheckRequest());
    question->is_once = true;
    question->done = [done, key = std::string_view(target)](
                         const absl::StatusOr<corridor::MessagePtr>& reply) {
      const bool serves = reply.ok() && static_cast<const HealthCheckResponse&>(**reply).status() ==
                                            HealthCheckResponse::SERVING;
      done(key,
           reply.ok() && !serves ? absl::UnavailableError("it does not serve") : reply.status());
    };
    Start(std::move(question));
  }
}

void ChannelPeer::Core::Start(std::shared_ptr<Question> question) {
  auto attempt = std::make_unique<Attempt>();
  attempt->core = shared_from_this();
  attempt->question = std::move(question);
  Question& asked = *attempt->question;
  ++asked.attempts;
  attempt->context.set_deadline(absl::ToChronoTime(asked.deadline));
  attempt->context.AddMetadata("tandem-caller", options_.caller);
  if (!asked.traceparent.empty()) attempt->context.AddMetadata("traceparent", asked.traceparent);
  // This thread's share: the call may have ended, and Close be through, before UnaryCall returns.
  std::shared_ptr<grpc::GenericStub> stub;
  {
    absl::MutexLock lock(&mutex_);
    if (!closed_) {
      stub = StubOf(asked.target);
      under_way_.insert(attempt.get());
      ++unanswered_;
    }
  }
  if (stub == nullptr) {
    asked.Answer(absl::CancelledError(absl::StrCat(asked.path, ": this service stops")));
    return;
  }
  Attempt* raw = attempt.release();
  stub->UnaryCall(&raw->context, asked.path, grpc::StubOptions(), &asked.request, &raw->reply,
                  [raw](const grpc::Status& status) { raw->core->Ended(raw, status); });
}

void ChannelPeer::Core::Ended(Attempt* raw, const grpc::Status& status) {
  const std::shared_ptr<Core> keep_alive = shared_from_this();
  std::unique_ptr<Attempt> attempt(raw);
  const std::shared_ptr<Question> question = attempt->question;
  const grpc::ByteBuffer bytes = attempt->reply;
  {
    absl::MutexLock lock(&mutex_);
    under_way_.erase(raw);
  }
  // Its context shares the channel, and must have let go of it when Close lets go of the last
  // share: a channel that ends on a thread of gRPC's callbacks makes gRPC wait for that very
  // thread.
  attempt.reset();
  if (status.ok()) {
    std::shared_ptr<google::protobuf::Message> reply(
        PrototypeOf(question->method->output_type())->New());
    if (FromBytes(bytes, reply.get())) {
      question->Answer(corridor::MessagePtr(std::move(reply)));
    } else {
      question->Answer(absl::InternalError(absl::StrCat(
          question->path, " answered no ", question->method->output_type()->full_name())));
    }
  } else if (status.error_code() != grpc::StatusCode::UNAVAILABLE || !Retry(question)) {
    question->Answer(FromGrpc(status));
  }
  // Last: Close returns, and the program may go on to end, when every question has been answered.
  absl::MutexLock lock(&mutex_);
  --unanswered_;
}

bool ChannelPeer::Core::Retry(const std::shared_ptr<Question>& question) {
  if (question->is_once || question->attempts > options_.max_retries) return false;
  const absl::Duration backoff =
      Jittered(options_.first_backoff * (int64_t{1} << (question->attempts - 1)));
  const absl::Time at = clock_->Now() + backoff;
  if (at >= question->deadline) return false;
  absl::MutexLock lock(&mutex_);
  if (closed_ || !budget_.TryTake()) return false;
  backing_off_.insert(question);
  executor_->PostAt(at, [core = shared_from_this(), question] {
    {
      absl::MutexLock relock(&core->mutex_);
      if (core->backing_off_.erase(question) == 0) return;  // closed meanwhile, and answered
    }
    core->Start(question);
  });
  return true;
}

void ChannelPeer::Core::Close() {
  absl::flat_hash_set<std::shared_ptr<Question>> backing_off;
  decltype(stubs_) stubs;
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
    backing_off.swap(backing_off_);
    for (Attempt* attempt : under_way_) attempt->context.TryCancel();
    mutex_.Await(absl::Condition(
        +[](int64_t* unanswered) { return *unanswered == 0; }, &unanswered_));
    stubs.swap(stubs_);
  }
  for (const auto& question : backing_off) {
    question->Answer(absl::CancelledError(absl::StrCat(question->path, ": this service stops")));
  }
}

absl::StatusOr<std::unique_ptr<ChannelPeer>> ChannelPeer::Create(ChannelOptions options,
                                                                 executor::Executor* executor,
                                                                 const time::Clock* clock) {
  auto credentials = ClientCredentials(options.tls);
  if (!credentials.ok()) return credentials.status();
  return std::unique_ptr<ChannelPeer>(
      new ChannelPeer(std::make_shared<Core>(std::move(options), executor, clock, *credentials)));
}

ChannelPeer::~ChannelPeer() { core_->Close(); }

void ChannelPeer::Ask(const corridor::CallContext& context, std::string_view method,
                      corridor::MessagePtr request, corridor::ReplyCallback done) {
  core_->Ask(context, method, request, std::move(done));
}

void ChannelPeer::CheckHealth(
    const std::function<void(std::string_view target, absl::Status status)>& done) {
  core_->CheckHealth(done);
}

}  // namespace tandem::rpc
