// What the log says of calls: every change at info, with who made it and what it was about; every
// other request at debug. Ids and codes only, never a text of the request.
#ifndef TANDEM_COMMON_RUNTIME_CALL_LOG_H_
#define TANDEM_COMMON_RUNTIME_CALL_LOG_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/corridor/endpoint.h"
#include "common/log/log.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace tandem::runtime {

// Any thread may call it.
class CallLog {
 public:
  // Null = silent. The logger outlives it.
  explicit CallLog(log::Logger* logger) : logger_(logger) {}

  // Whether a line would be written of a call that changes something, or of one that does not.
  bool Wants(bool is_change) const;

  // A call was answered. `reply` may be null where it was refused. A change that succeeded is
  // logged under "change", with the ids and versions that stand in its request and reply; all else
  // is logged under "request".
  void Answered(const corridor::CallContext& context,
                const google::protobuf::MethodDescriptor& method,
                const google::protobuf::Message& request, bool is_change,
                const absl::StatusOr<corridor::MessagePtr>& reply, absl::Duration took) const;

 private:
  log::Logger* const logger_;
};

}  // namespace tandem::runtime

#endif  // TANDEM_COMMON_RUNTIME_CALL_LOG_H_
