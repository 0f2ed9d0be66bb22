// The one place where an absl::Status becomes a grpc::Status and back. Payloads that are google.rpc
// details travel in grpc-status-details-bin, as every gRPC client family reads them.
#ifndef TANDEM_COMMON_RPC_STATUS_H_
#define TANDEM_COMMON_RPC_STATUS_H_

#include <grpcpp/support/status.h>

#include <string_view>

#include "absl/status/status.h"

namespace tandem::rpc {

// INTERNAL, UNKNOWN and DATA_LOSS: their text is about our inside and stays here.
bool IsInternal(absl::StatusCode code);

// What a caller is told instead of an internal error: its code and "internal error; reference
// <id>".
absl::Status Withheld(absl::StatusCode code, std::string_view reference_id);

// A message over 1 KiB is cut, details that would make the trailers larger than the 8 KiB that
// clients read by default are left out. The caller has withheld what is internal.
grpc::Status ToGrpc(const absl::Status& status);

// A code that gRPC does not know becomes UNKNOWN.
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace tandem::rpc

#endif  // TANDEM_COMMON_RPC_STATUS_H_
