// What the protos say about their fields: limits and meaning stand there once, and help shows them.
#ifndef TANDEM_SERVICES_TANDEMCTL_PROTO_COMMENTS_H_
#define TANDEM_SERVICES_TANDEMCTL_PROTO_COMMENTS_H_

#include <string>
#include <string_view>

#include "google/protobuf/descriptor.h"

namespace tandem::tandemctl {

// The comment above a field, on one line; empty when there is none.
std::string CommentOf(const google::protobuf::FieldDescriptor& field);

// All protos as a FileDescriptorSet with their comments, which generated code leaves out.
std::string_view DescriptorSetBytes();

}  // namespace tandem::tandemctl

#endif  // TANDEM_SERVICES_TANDEMCTL_PROTO_COMMENTS_H_
