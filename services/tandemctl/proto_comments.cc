#include "services/tandemctl/proto_comments.h"

#include "absl/strings/ascii.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/descriptor_database.h"

namespace tandem::tandemctl {
namespace {

// A pool of its own: the generated one has no comments.
const google::protobuf::DescriptorPool& CommentedPool() {
  static const google::protobuf::DescriptorPool* const pool = [] {
    google::protobuf::FileDescriptorSet set;
    const std::string_view bytes = DescriptorSetBytes();
    set.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    auto* database = new google::protobuf::SimpleDescriptorDatabase();
    for (const auto& file : set.file()) database->Add(file);
    return new google::protobuf::DescriptorPool(database);
  }();
  return *pool;
}

}  // namespace

std::string CommentOf(const google::protobuf::FieldDescriptor& field) {
  const auto* commented = CommentedPool().FindFieldByName(field.full_name());
  google::protobuf::SourceLocation location;
  if (commented == nullptr || !commented->GetSourceLocation(&location)) return "";
  std::string comment = location.leading_comments;
  absl::RemoveExtraAsciiWhitespace(&comment);
  return comment;
}

}  // namespace tandem::tandemctl
