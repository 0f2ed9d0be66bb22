#include "common/corridor/endpoint.h"

#include "absl/strings/str_cat.h"

namespace tandem::corridor {

const google::protobuf::MethodDescriptor* FindMethod(std::string_view method) {
  const size_t slash = method.find('/');
  if (slash == std::string_view::npos || slash == 0) return nullptr;
  const google::protobuf::ServiceDescriptor* service =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
          std::string(method.substr(0, slash)));
  if (service == nullptr) return nullptr;
  return service->FindMethodByName(std::string(method.substr(slash + 1)));
}

std::string MethodName(const google::protobuf::MethodDescriptor* method) {
  return absl::StrCat(method->service()->full_name(), "/", method->name());
}

}  // namespace tandem::corridor
