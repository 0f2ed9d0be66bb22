#include "common/rpc/server.h"

#include <grpc/grpc.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/rpc_service_method.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_posix.h>
#include <grpcpp/support/server_callback.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <optional>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/config/host_port.h"
#include "common/id/id.h"
#include "common/rpc/bytes.h"
#include "common/rpc/call_metrics.h"
#include "common/rpc/health.pb.h"
#include "common/rpc/status.h"
#include "common/rpc/traceparent.h"

namespace tandem::rpc {
namespace {

using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

// How long a drain looks for a moment without calls, in which connections can be closed before the
// goodbye.
constexpr absl::Duration kBetweenCalls = absl::Seconds(1);
// How long calls that clients have sent by the goodbye may take to arrive.
constexpr absl::Duration kOnTheWire = absl::Milliseconds(500);

// The calls whose answers are not sent yet. Any thread.
class OpenCalls {
 public:
  void Began() {
    const absl::MutexLock lock(&mutex_);
    ++open_;
  }
  void Ended() {
    const absl::MutexLock lock(&mutex_);
    --open_;
  }
  // Blocks until there is none, or nobody waits for that any more.
  void AwaitNone() {
    mutex_.LockWhen(absl::Condition(
        +[](OpenCalls* calls) { return calls->open_ == 0 || calls->is_over_; }, this));
    mutex_.Unlock();
  }
  // True if there was such a moment in time.
  bool AwaitMomentWithNone(absl::Duration timeout) {
    const absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(absl::Condition(
                                       +[](int64_t* open) { return *open == 0; }, &open_),
                                   timeout);
  }
  // True if it came in time.
  bool AwaitOver(absl::Duration timeout) {
    const absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(absl::Condition(&is_over_), timeout);
  }
  void SetOver() {
    const absl::MutexLock lock(&mutex_);
    is_over_ = true;
  }

 private:
  absl::Mutex mutex_;
  int64_t open_ = 0;
  bool is_over_ = false;
};

// What the calls of one method share. Lives as long as the gRPC server.
struct Method {
  const MethodDescriptor* descriptor;
  const google::protobuf::Message* request_prototype;
  corridor::Endpoint* endpoint;
  log::Logger* logger;
  MethodMetrics metrics;
  bool has_mutual_tls;
  std::shared_ptr<OpenCalls> open_calls;
};

std::string_view View(grpc::string_ref text) { return {text.data(), text.size()}; }

// The one value of a metadata key; nullopt when it was sent more than once.
std::optional<std::string_view> Single(const grpc::CallbackServerContext& context,
                                       const char* key) {
  const auto [begin, end] = context.client_metadata().equal_range(key);
  if (begin == end) return "";
  if (std::next(begin) != end) return std::nullopt;
  return View(begin->second);
}

absl::StatusOr<std::string> CallerOf(const grpc::CallbackServerContext& context,
                                     bool has_mutual_tls) {
  if (has_mutual_tls) {
    // What the CA vouched for counts, whatever the metadata says.
    const auto names = context.auth_context()->FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME);
    if (names.size() != 1 || !id::IsWellFormed(View(names[0]))) {
      return absl::UnauthenticatedError(
          "the client certificate's subject has no common name of 1 to 128 bytes of "
          "A-Z a-z 0-9 _ . : -");
    }
    return std::string(View(names[0]));
  }
  const auto stated = Single(context, "tandem-caller");
  if (!stated.has_value() || !(stated->empty() || id::IsWellFormed(*stated))) {
    return absl::InvalidArgumentError(
        "the metadata tandem-caller must be given once, as 1 to 128 bytes of A-Z a-z 0-9 _ . : -");
  }
  return std::string(*stated);
}

// One call. Two own it: gRPC until OnDone, and the endpoint's callback until it is called or
// dropped. Whoever sets finished_ first answers; after that nothing of gRPC's may be touched from
// the endpoint's side, for the call, the method and the server may be gone.
class Call final : public grpc::ServerUnaryReactor {
 public:
  Call(const Method& method, grpc::CallbackServerContext* context, grpc::ByteBuffer* response)
      : method_(method),
        context_(context),
        response_(response),
        open_calls_(method.open_calls),
        started_(std::chrono::steady_clock::now()) {
    method_.metrics.Started();
    open_calls_->Began();
  }

  void Start(const grpc::ByteBuffer& bytes) {
    corridor::CallContext call_context;
    const absl::Status read = ReadContext(call_context);
    std::shared_ptr<google::protobuf::Message> request(method_.request_prototype->New());
    if (!read.ok()) {
      Refuse(read);
    } else if (!bytes.Valid() || !FromBytes(bytes, request.get())) {
      Refuse(absl::InvalidArgumentError(
          absl::StrCat("the request is no ", method_.descriptor->input_type()->full_name(),
                       ": its bytes are broken, or a text in it is not UTF-8")));
    } else {
      refs_.fetch_add(1, std::memory_order_relaxed);
      method_.endpoint->Call(call_context, method_.descriptor, std::move(request),
                             [handle = Handle(this)](absl::StatusOr<corridor::MessagePtr> reply) {
                               handle.call()->Answer(std::move(reply));
                             });
    }
  }

  // The client went away, its deadline passed or the drain ran out of time. The call ends now, even
  // if the endpoint never answers.
  void OnCancel() override {
    if (finished_.exchange(true)) return;
    const bool late = context_->deadline() <= std::chrono::system_clock::now();
    Finished(late ? absl::StatusCode::kDeadlineExceeded : absl::StatusCode::kCancelled);
    Finish(
        grpc::Status(late ? grpc::StatusCode::DEADLINE_EXCEEDED : grpc::StatusCode::CANCELLED, ""));
  }

  void OnDone() override {
    open_calls_->Ended();
    Release();
  }

  // OnDone only lets go of memory, so gRPC need not hand it to a thread of its own: without this
  // each call pays for one more thread switch.
  bool InternalInlineable() override { return true; }

 private:
  // The endpoint's share of a call. An endpoint that drops its callback (a stopped executor drops
  // its tasks) answers the call by that.
  class Handle {
   public:
    explicit Handle(Call* call) : call_(call) {}
    Handle(Handle&& other) noexcept : call_(std::exchange(other.call_, nullptr)) {}
    Handle& operator=(Handle&&) = delete;
    ~Handle() {
      if (call_ == nullptr) return;
      call_->Answer(absl::UnavailableError("the service stopped before it answered"));
      call_->Release();
    }
    Call* call() const { return call_; }

   private:
    Call* call_;
  };

  absl::Status ReadContext(corridor::CallContext& call_context) const {
    auto caller = CallerOf(*context_, method_.has_mutual_tls);
    if (!caller.ok()) return caller.status();
    call_context.caller = *std::move(caller);
    call_context.traceparent =
        ServedTraceparent(Single(*context_, "traceparent").value_or(std::string_view()));
    const gpr_timespec deadline = context_->raw_deadline();
    if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) != 0) {
      call_context.deadline = absl::FromChrono(context_->deadline());
    }
    return absl::OkStatus();
  }

  // Before an endpoint has seen it, which logs its own.
  void Refuse(const absl::Status& why) {
    method_.logger->Log(log::Level::kDebug, "request",
                        {log::Field::Id("method", corridor::MethodName(method_.descriptor)),
                         log::Field::Error(why)});
    Answer(why);
  }

  void Answer(absl::StatusOr<corridor::MessagePtr> reply) {
    if (finished_.exchange(true)) return;
    if (reply.ok() &&
        (*reply == nullptr || (*reply)->GetDescriptor() != method_.descriptor->output_type())) {
      reply = absl::InternalError(absl::StrCat("an endpoint answered ",
                                               method_.descriptor->full_name(), " with ",
                                               *reply == nullptr ? "nothing" : "another message"));
    }
    if (reply.ok()) {
      *response_ = ToBytes(**reply);
      Finished(absl::StatusCode::kOk);
      Finish(grpc::Status::OK);
      return;
    }
    absl::Status status = reply.status();
    if (IsInternal(status.code())) {
      const std::string method = corridor::MethodName(method_.descriptor);
      status = Withheld(
          status.code(),
          method_.logger->LogInternal("call failed", status, {log::Field::Id("method", method)}));
    }
    Finished(status.code());
    Finish(ToGrpc(status));
  }

  // Before Finish: afterwards the method may be gone.
  void Finished(absl::StatusCode code) {
    method_.metrics.Finished(code, absl::FromChrono(std::chrono::steady_clock::now() - started_));
  }

  void Release() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  const Method& method_;
  grpc::CallbackServerContext* const context_;
  grpc::ByteBuffer* const response_;
  const std::shared_ptr<OpenCalls> open_calls_;  // outlives the method
  const std::chrono::steady_clock::time_point started_;
  std::atomic<bool> finished_ = false;
  std::atomic<int> refs_ = 1;
};

// What protoc would generate for a protobuf service, made from its descriptor: raw callback
// methods. One object a protobuf service, for that is what health and reflection list.
class BoundService final : public grpc::Service {
 public:
  BoundService(const ServiceDescriptor* service, corridor::Endpoint* endpoint, log::Logger* logger,
               metrics::Registry* registry, bool has_mutual_tls,
               const std::shared_ptr<OpenCalls>& open_calls) {
    const ServiceMetrics metrics(service, registry);
    paths_.reserve(static_cast<size_t>(service->method_count()));
    methods_.reserve(static_cast<size_t>(service->method_count()));
    for (int i = 0; i < service->method_count(); ++i) {
      const MethodDescriptor* descriptor = service->method(i);
      methods_.push_back({descriptor, PrototypeOf(descriptor->input_type()), endpoint, logger,
                          metrics.Of(descriptor), has_mutual_tls, open_calls});
      // gRPC keeps the pointer to the name.
      paths_.push_back(absl::StrCat("/", corridor::MethodName(descriptor)));
      AddMethod(new grpc::internal::RpcServiceMethod(
          paths_.back().c_str(), grpc::internal::RpcMethod::NORMAL_RPC, nullptr));
      MarkMethodRawCallback(
          i, new grpc::internal::CallbackUnaryHandler<grpc::ByteBuffer, grpc::ByteBuffer>(
                 [method = &methods_.back()](grpc::CallbackServerContext* context,
                                             const grpc::ByteBuffer* request,
                                             grpc::ByteBuffer* response) {
                   auto* call = new Call(*method, context, response);
                   call->Start(*request);
                   return call;
                 }));
    }
  }

 private:
  std::vector<std::string> paths_;
  std::vector<Method> methods_;
};

// Why nothing can listen on `address`: gRPC does not say.
std::string WhyNot(const config::HostPort& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (error != 0) return gai_strerror(error);
  std::string reason;
  for (const addrinfo* candidate = found; candidate != nullptr && reason.empty();
       candidate = candidate->ai_next) {
    const int fd = socket(candidate->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, candidate->ai_addr, candidate->ai_addrlen) != 0 || listen(fd, 1) != 0) {
      reason = errno == EADDRINUSE ? "the port is in use" : std::generic_category().message(errno);
    }
    if (fd >= 0) close(fd);
  }
  freeaddrinfo(found);
  return reason;
}

// Calls of a server to itself, over a pair of sockets instead of its port. Any thread.
class OwnCalls {
 public:
  void Call(grpc::Server* server, absl::AnyInvocable<void()> answered) {
    auto call = std::make_unique<OneCall>();
    call->answered = std::move(answered);
    std::shared_ptr<grpc::GenericStub> stub;
    {
      absl::MutexLock lock(&mutex_);
      if (under_way_ > 0) return;
      if (std::exchange(is_lost_, false)) stub_ = nullptr;
      if (stub_ == nullptr) stub_ = Connect(server);
      stub = stub_;
      if (stub != nullptr) ++under_way_;
    }
    if (stub == nullptr) return;  // out of files: the process is alive all the same
    OneCall* raw = call.release();
    stub->UnaryCall(&raw->context, "/grpc.health.v1.Health/Check", grpc::StubOptions(),
                    &raw->request, &raw->reply, [this, raw](const grpc::Status& status) {
                      absl::AnyInvocable<void()> tell = std::move(raw->answered);
                      // While it is counted: its context shares the channel, which must not end
                      // on a thread of gRPC's.
                      delete raw;
                      {
                        absl::MutexLock lock(&mutex_);
                        // The connection is gone: the next call makes another.
                        if (status.error_code() == grpc::StatusCode::UNAVAILABLE) is_lost_ = true;
                        --under_way_;
                      }
                      tell();
                    });
  }

  // Blocks until the last one is answered.
  void Close() {
    std::shared_ptr<grpc::GenericStub> stub;
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](int* calls) { return *calls == 0; }, &under_way_));
    stub.swap(stub_);
  }

 private:
  struct OneCall {
    grpc::ClientContext context;
    grpc::ByteBuffer request = ToBytes(grpc::health::v1::HealthCheckRequest());
    grpc::ByteBuffer reply;
    absl::AnyInvocable<void()> answered;
  };

  static std::shared_ptr<grpc::GenericStub> Connect(grpc::Server* server) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
      return nullptr;
    }
    grpc::AddInsecureChannelFromFd(server, ends[0]);
    return std::make_shared<grpc::GenericStub>(
        grpc::CreateInsecureChannelFromFd("tandem", ends[1]));
  }

  absl::Mutex mutex_;
  std::shared_ptr<grpc::GenericStub> stub_ ABSL_GUARDED_BY(mutex_);
  int under_way_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_lost_ ABSL_GUARDED_BY(mutex_) = false;
};

class GrpcServer final : public Server {
 public:
  GrpcServer(ServerOptions options, log::Logger* logger, metrics::Registry* registry)
      : options_(std::move(options)), logger_(logger), registry_(registry) {}

  ~GrpcServer() override {
    Drain(absl::InfinitePast());
    own_.Close();
  }

  absl::Status Listen(const std::vector<corridor::Endpoint*>& endpoints) {
    auto where = config::ParseHostPort(options_.address);
    if (!where.ok()) return where.status();
    if (!options_.tls.any() && !options_.allow_insecure && !config::IsLoopback(where->host)) {
      return absl::InvalidArgumentError(
          absl::StrCat(options_.address,
                       " can be reached from other machines: give a TLS certificate and key, or "
                       "listen on 127.0.0.1, or say --allow-insecure"));
    }
    auto credentials = ServerCredentials(options_.tls);
    if (!credentials.ok()) return credentials.status();

    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    // Links the descriptors in, for reflection.
    grpc::health::v1::HealthCheckRequest::descriptor();
    grpc::ServerBuilder builder;
    const bool has_mutual_tls = !options_.tls.ca.empty();
    std::set<std::string> names;
    for (corridor::Endpoint* endpoint : endpoints) {
      for (const ServiceDescriptor* service : endpoint->services()) {
        if (!names.insert(service->full_name()).second) {
          return absl::InvalidArgumentError(
              absl::StrCat(service->full_name(), " is served by two endpoints"));
        }
        log::Logger* const logger = options_.log_of ? options_.log_of(endpoint) : logger_;
        services_.push_back(std::make_unique<BoundService>(service, endpoint, logger, registry_,
                                                           has_mutual_tls, open_calls_));
        builder.RegisterService(services_.back().get());
      }
    }
    Limit(builder);
    builder.AddListeningPort(options_.address, *std::move(credentials), &port_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port_ == 0) {
      server_ = nullptr;
      std::string why = WhyNot(*where);
      if (why.empty()) {
        why = options_.tls.any() ? "the TLS certificate, its key or the CA is not valid"
                                 : "gRPC refused without a reason";
      }
      return absl::UnavailableError(absl::StrCat("cannot listen on ", options_.address, ": ", why));
    }
    address_ = config::JoinHostPort({where->host, port_});
    for (const std::string& name : names) {
      server_->GetHealthCheckService()->SetServingStatus(name, false);
    }
    SetServing(false);
    return absl::OkStatus();
  }

  const std::string& address() const override { return address_; }
  int port() const override { return port_; }

  void SetServing(bool serving) override {
    server_->GetHealthCheckService()->SetServingStatus(serving);
  }

  void CallItself(absl::AnyInvocable<void()> answered) override {
    if (!drained_) own_.Call(server_.get(), std::move(answered));
  }

  void Drain(absl::Time deadline) override {
    if (server_ == nullptr || drained_.exchange(true)) return;
    SetServing(false);
    // From the goodbye on gRPC answers CANCELLED to a call that still comes on a connection, as one
    // does that its client has sent before it read the goodbye; clients take that for final. So
    // connections are closed before it, while there is no call: who calls then finds no connection,
    // which is UNAVAILABLE, and connects to another process.
    if (open_calls_->AwaitMomentWithNone(
            std::clamp((deadline - absl::Now()) / 4, absl::ZeroDuration(), kBetweenCalls))) {
      grpc_server_cancel_all_calls(server_->c_server());
    }
    // gRPC waits for each client to confirm the goodbye, and a client that lies idle may not look
    // at its connection before its next call. Once nothing is under way its connection is cut.
    std::thread cut([this] {
      if (open_calls_->AwaitOver(kOnTheWire)) return;
      open_calls_->AwaitNone();
      if (!open_calls_->AwaitOver(absl::ZeroDuration())) {
        grpc_server_cancel_all_calls(server_->c_server());
      }
    });
    server_->Shutdown(absl::ToChronoTime(
        std::clamp(deadline, absl::UnixEpoch(), absl::FromUnixSeconds(int64_t{1} << 32))));
    open_calls_->SetOver();
    cut.join();
  }

 private:
  void Limit(grpc::ServerBuilder& builder) const {
    builder.SetMaxReceiveMessageSize(options_.max_message_bytes);
    builder.SetMaxSendMessageSize(options_.max_message_bytes);
    // The limit on messages is checked on the wire: a compressed one could unpack to any size.
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
    // A second process on the same port would silently take half of the connections.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options_.max_concurrent_streams);
    builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 16 << 10);
    const int keepalive_ms = static_cast<int>(absl::ToInt64Milliseconds(options_.keepalive));
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_ms);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    // Connections that only stand there cost files, and gRPC has no bound on their number.
    builder.AddChannelArgument(
        GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
        static_cast<int>(absl::ToInt64Milliseconds(options_.handshake_timeout)));
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                               static_cast<int>(absl::ToInt64Milliseconds(options_.max_idle)));
    // A client may probe as often as every 10 s; more is abuse and ends the connection.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
    grpc::ResourceQuota quota("tandem");
    quota.Resize(options_.max_memory_bytes);
    // Only reflection is served by threads, one a stream.
    quota.SetMaxThreads(8);
    builder.SetResourceQuota(quota);
    builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
  }

  const ServerOptions options_;
  log::Logger* const logger_;
  metrics::Registry* const registry_;
  const std::shared_ptr<OpenCalls> open_calls_ = std::make_shared<OpenCalls>();
  std::vector<std::unique_ptr<BoundService>> services_;
  std::string address_;
  int port_ = 0;
  std::atomic<bool> drained_ = false;
  OwnCalls own_;
  std::unique_ptr<grpc::Server> server_;  // last: it ends before what its calls use
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(ServerOptions options,
                                                      std::vector<corridor::Endpoint*> endpoints,
                                                      log::Logger* logger,
                                                      metrics::Registry* registry) {
  auto server = std::make_unique<GrpcServer>(std::move(options), logger, registry);
  const absl::Status status = server->Listen(endpoints);
  if (!status.ok()) return status;
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace tandem::rpc
