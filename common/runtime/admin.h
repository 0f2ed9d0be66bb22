// The operator's service (tandem.admin.v1.AdminService) over the services of one process and their
// log.
#ifndef TANDEM_COMMON_RUNTIME_ADMIN_H_
#define TANDEM_COMMON_RUNTIME_ADMIN_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/backup/backup.h"
#include "common/bus/bus.h"
#include "common/bus/log_reader.h"
#include "common/corridor/endpoint.h"
#include "common/executor/executor.h"
#include "common/executor/scope.h"
#include "common/log/log.h"
#include "common/runtime/call_log.h"
#include "common/runtime/service_runtime.h"
#include "common/time/clock.h"

namespace tandem::runtime {

// Callable from any thread. Reads of the log and its waiting are steps of `executor`.
class Admin : public corridor::Endpoint {
 public:
  struct Ports {
    const time::Clock* clock = nullptr;
    executor::Executor* executor = nullptr;
    bus::Bus* bus = nullptr;
    bus::LogReader* log = nullptr;
    log::Logger* logger = nullptr;        // null = silent
    backup::BackupJob* backup = nullptr;  // null = the databases are a server's
    // What of the process does not work beside its services, a reason each: the rest of /healthz.
    // Called from any thread; null = nothing.
    std::function<std::vector<std::string>()> unhealthy;
  };
  // `drain` begins the end of the process.
  Admin(std::string version, Ports ports, std::vector<ServiceRuntime*> services,
        std::function<void()> drain);
  ~Admin() override { scope_.Close(); }

  std::vector<const google::protobuf::ServiceDescriptor*> services() const override;
  void Call(const corridor::CallContext& context, const google::protobuf::MethodDescriptor* method,
            corridor::MessagePtr request, corridor::ReplyCallback done) override;

 private:
  // The service of that name, or NOT_FOUND with the names that there are.
  absl::StatusOr<ServiceRuntime*> Find(const std::string& name) const;
  void GetStatus(corridor::ReplyCallback done);
  void ListDeadLetters(corridor::MessagePtr request, corridor::ReplyCallback done);
  void RetryDeadLetters(corridor::MessagePtr request, corridor::ReplyCallback done);
  void DropDeadLetter(corridor::MessagePtr request, corridor::ReplyCallback done);
  void ListTimers(corridor::MessagePtr request, corridor::ReplyCallback done);
  void ListOutbox(corridor::MessagePtr request, corridor::ReplyCallback done);
  void BeginBackup(corridor::MessagePtr request, corridor::ReplyCallback done);
  void GetBackup(corridor::ReplyCallback done);
  void ReadEvents(corridor::MessagePtr request, absl::Time until, corridor::ReplyCallback done);

  const std::string version_;
  const Ports ports_;
  const CallLog call_log_;
  const std::vector<ServiceRuntime*> runtimes_;
  const std::function<void()> drain_;
  const absl::Time started_at_;
  executor::Scope scope_;
};

}  // namespace tandem::runtime

#endif  // TANDEM_COMMON_RUNTIME_ADMIN_H_
