// W3C trace context, version 00: "00-<32 hex: trace>-<16 hex: span>-<2 hex: flags>". Pure functions
// but for their randomness; any thread may call them.
#ifndef TANDEM_COMMON_RPC_TRACEPARENT_H_
#define TANDEM_COMMON_RPC_TRACEPARENT_H_

#include <string>
#include <string_view>

namespace tandem::rpc {

// Whether `text` is a traceparent that this version understands: lower-case hex, neither trace nor
// span all zero. A later version may carry more fields behind a dash.
bool IsTraceparent(std::string_view text);

// The traceparent of one call served here: the received trace and flags with a span of its own, or,
// if what was received is none, a new trace that is not sampled.
std::string ServedTraceparent(std::string_view received);

}  // namespace tandem::rpc

#endif  // TANDEM_COMMON_RPC_TRACEPARENT_H_
