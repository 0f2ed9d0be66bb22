#include "common/rpc/library_logs.h"

#include <grpc/support/log.h>

#include <atomic>
#include <cstdlib>
#include <exception>
#include <string>

#include "absl/status/status.h"
#include "google/protobuf/stubs/logging.h"

namespace tandem::rpc {
namespace {

// The libraries take a plain function, so the way to the logger can only be a global.
std::atomic<log::Logger*> g_logger = nullptr;

void TakeGrpc(gpr_log_func_args* said) {
  log::Logger* logger = g_logger.load();
  if (logger == nullptr || said->severity != GPR_LOG_SEVERITY_ERROR) return;
  // What matters is also told by a status: this is for whoever looks for the reason behind it.
  logger->Log(log::Level::kInfo, "grpc", {log::Field::Error(absl::UnknownError(said->message))});
}

void TakeProtobuf(google::protobuf::LogLevel level, const char*, int, const std::string& said) {
  log::Logger* logger = g_logger.load();
  if (logger == nullptr || level < google::protobuf::LOGLEVEL_ERROR) return;
  logger->Log(log::Level::kInfo, "protobuf", {log::Field::Error(absl::UnknownError(said))});
}

// An exception that nobody took: its last words are a line of the log like all others.
[[noreturn]] void TakeTerminate() {
  std::string what = "no exception";
  if (const std::exception_ptr under_way = std::current_exception()) {
    what = "an exception of an unknown kind";
    try {
      std::rethrow_exception(under_way);
    } catch (const std::exception& exception) {
      what = exception.what();
    } catch (...) {  // said already
    }
  }
  if (log::Logger* logger = g_logger.load()) {
    logger->Log(log::Level::kError, "terminated", {log::Field::Error(absl::InternalError(what))});
  }
  std::abort();
}

}  // namespace

LibraryLogs::LibraryLogs(log::Logger* logger) {
  g_logger = logger;
  std::set_terminate(&TakeTerminate);
  gpr_set_log_function(&TakeGrpc);
  google::protobuf::SetLogHandler(&TakeProtobuf);
}

LibraryLogs::~LibraryLogs() { g_logger = nullptr; }

}  // namespace tandem::rpc
