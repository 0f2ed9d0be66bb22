// What gRPC, protobuf and C++ itself would print to stderr, as lines of the program's log.
#ifndef TANDEM_COMMON_RPC_LIBRARY_LOGS_H_
#define TANDEM_COMMON_RPC_LIBRARY_LOGS_H_

#include "common/log/log.h"

namespace tandem::rpc {

// Both libraries know one log a process: make one of these in main, before anything uses them, and
// end it last. An exception that nobody takes is logged before the process ends. Texts go through
// the log's scrubber.
class LibraryLogs {
 public:
  explicit LibraryLogs(log::Logger* logger);
  ~LibraryLogs();
  LibraryLogs(const LibraryLogs&) = delete;
  LibraryLogs& operator=(const LibraryLogs&) = delete;
};

}  // namespace tandem::rpc

#endif  // TANDEM_COMMON_RPC_LIBRARY_LOGS_H_
