// Messages as gRPC's buffers. Any thread may call these.
#ifndef TANDEM_COMMON_RPC_BYTES_H_
#define TANDEM_COMMON_RPC_BYTES_H_

#include <grpcpp/support/byte_buffer.h>

#include <memory>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace tandem::rpc {

// One slice, written once. The message is smaller than 2 GiB.
grpc::ByteBuffer ToBytes(const google::protobuf::Message& message);

// False when the bytes are no such message. Leaves the buffer as it is.
bool FromBytes(const grpc::ByteBuffer& bytes, google::protobuf::Message* message);

// The generated class of `type`; it lives as long as the program.
const google::protobuf::Message* PrototypeOf(const google::protobuf::Descriptor* type);

}  // namespace tandem::rpc

#endif  // TANDEM_COMMON_RPC_BYTES_H_
