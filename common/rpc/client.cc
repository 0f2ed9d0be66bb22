#include "common/rpc/client.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/corridor/endpoint.h"
#include "common/rpc/bytes.h"
#include "common/rpc/status.h"

namespace tandem::rpc {
namespace {

absl::StatusOr<grpc::ByteBuffer> CallBytes(const ClientOptions& options,
                                           const std::shared_ptr<grpc::Channel>& channel,
                                           const std::string& path,
                                           const grpc::ByteBuffer& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       absl::ToChronoNanoseconds(options.timeout));
  if (!options.caller.empty()) context.AddMetadata("tandem-caller", options.caller);
  for (const auto& [key, value] : options.metadata) context.AddMetadata(key, value);
  // A queue of its own: a blocking wait on gRPC's callback threads could wait for itself.
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(channel);
  const auto call = stub.PrepareUnaryCall(&context, path, request, &queue);
  grpc::ByteBuffer reply;
  grpc::Status status;
  call->StartCall();
  call->Finish(&reply, &status, nullptr);
  void* tag = nullptr;
  bool done = false;
  queue.Next(&tag, &done);
  queue.Shutdown();
  if (!status.ok()) return FromGrpc(status);
  return reply;
}

}  // namespace

absl::StatusOr<Client> Client::Create(ClientOptions options) {
  auto credentials = ClientCredentials(options.tls);
  if (!credentials.ok()) return credentials.status();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(options.max_message_bytes);
  arguments.SetMaxSendMessageSize(-1);
  auto channel = grpc::CreateCustomChannel(options.target, *credentials, arguments);
  return Client(std::move(options), std::move(channel));
}

absl::Status Client::CallInto(std::string_view method, const google::protobuf::Message& request,
                              google::protobuf::Message* reply) const {
  const std::string name(method);
  const google::protobuf::MethodDescriptor* descriptor = corridor::FindMethod(method);
  if (descriptor == nullptr || request.GetDescriptor() != descriptor->input_type() ||
      reply->GetDescriptor() != descriptor->output_type()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " does not take ", request.GetDescriptor()->full_name(), " and answer ",
                     reply->GetDescriptor()->full_name()));
  }
  auto bytes = CallBytes(options_, channel_, absl::StrCat("/", name), ToBytes(request));
  if (!bytes.ok()) return bytes.status();
  if (!FromBytes(*bytes, reply)) {
    return absl::InternalError(
        absl::StrCat(name, " answered no ", descriptor->output_type()->full_name()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<google::protobuf::Message>> Client::Call(
    std::string_view method, const google::protobuf::Message& request) const {
  const google::protobuf::MethodDescriptor* descriptor = corridor::FindMethod(method);
  if (descriptor == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(std::string(method), " is no known method"));
  }
  std::unique_ptr<google::protobuf::Message> reply(PrototypeOf(descriptor->output_type())->New());
  const absl::Status status = CallInto(method, request, reply.get());
  if (!status.ok()) return status;
  return reply;
}

absl::StatusOr<std::string> Client::CallRaw(const std::string& path, std::string_view bytes) const {
  grpc::Slice slice(bytes.data(), bytes.size());
  auto reply = CallBytes(options_, channel_, path, grpc::ByteBuffer(&slice, 1));
  if (!reply.ok()) return reply.status();
  std::vector<grpc::Slice> slices;
  const grpc::Status dumped = reply->Dump(&slices);
  if (!dumped.ok()) return FromGrpc(dumped);
  std::string text;
  for (const grpc::Slice& part : slices) {
    text.append(reinterpret_cast<const char*>(part.begin()), part.size());
  }
  return text;
}

}  // namespace tandem::rpc
