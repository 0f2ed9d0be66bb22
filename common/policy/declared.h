// A service whose policy a folder declares: nobody else applies one.
#ifndef TANDEM_COMMON_POLICY_DECLARED_H_
#define TANDEM_COMMON_POLICY_DECLARED_H_

#include <vector>

#include "common/corridor/endpoint.h"

namespace tandem::policy {

// Stands before a service's door. ApplyPolicy is answered FAILED_PRECONDITION, POLICY_DECLARED,
// unless it only asks what would be; every other call goes through. `service` outlives it.
class DeclaredEndpoint : public corridor::Endpoint {
 public:
  explicit DeclaredEndpoint(corridor::Endpoint* service) : service_(service) {}

  std::vector<const google::protobuf::ServiceDescriptor*> services() const override {
    return service_->services();
  }
  void Call(const corridor::CallContext& context, const google::protobuf::MethodDescriptor* method,
            corridor::MessagePtr request, corridor::ReplyCallback done) override;

 private:
  corridor::Endpoint* const service_;
};

}  // namespace tandem::policy

#endif  // TANDEM_COMMON_POLICY_DECLARED_H_
