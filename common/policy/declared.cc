#include "common/policy/declared.h"

#include <utility>

#include "common/corridor/errors.h"

namespace tandem::policy {
namespace {

bool OnlyAsks(const google::protobuf::Message& request) {
  const google::protobuf::FieldDescriptor* field =
      request.GetDescriptor()->FindFieldByName("validate_only");
  return field != nullptr && request.GetReflection()->GetBool(request, field);
}

}  // namespace

void DeclaredEndpoint::Call(const corridor::CallContext& context,
                            const google::protobuf::MethodDescriptor* method,
                            corridor::MessagePtr request, corridor::ReplyCallback done) {
  if (method->name() == "ApplyPolicy" && method->service()->name() == "PolicyService" &&
      !OnlyAsks(*request)) {
    std::move(done)(corridor::FailedPrecondition(
        "POLICY_DECLARED",
        "this service takes its policy from the folder that it was started with (--policies), so "
        "it "
        "is changed there: put the change into the folder's file and start or roll out again. To "
        "apply policies by hand instead, start the service without --policies"));
    return;
  }
  service_->Call(context, method, std::move(request), std::move(done));
}

}  // namespace tandem::policy
