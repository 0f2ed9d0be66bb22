#include "common/corridor/put_mask.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/field_mask_util.h"

namespace tandem::corridor {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::FieldMask;
using google::protobuf::Message;
using google::protobuf::util::FieldMaskUtil;

constexpr char kWhole[] = "*";

bool IsPresent(const Message& message, const FieldDescriptor& field) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  return field.is_repeated() ? reflection.FieldSize(message, &field) > 0
                             : reflection.HasField(message, &field);
}

}  // namespace

void CheckPutMask(const FieldMask& mask, const google::protobuf::Descriptor& message,
                  const FixedFields& fixed, Violations& violations) {
  violations.Count("update_mask.paths", static_cast<size_t>(mask.paths_size()), 50);
  std::set<std::string> seen;
  for (int i = 0; i < mask.paths_size(); ++i) {
    const std::string& path = mask.paths(i);
    const std::string at = absl::StrCat("update_mask.paths[", i, "]");
    if (path == kWhole) {
      violations.Require(mask.paths_size() == 1, at, "\"*\" stands alone");
      continue;
    }
    // Only what is a field's name is repeated: the rest may be any text.
    if (!violations.Require(message.FindFieldByName(path) != nullptr, at,
                            absl::StrCat("names no field of ", message.name()))) {
      continue;
    }
    violations.Require(!fixed.contains(path), at,
                       absl::StrCat("names ", path, ", which a put does not change"));
    violations.Require(seen.insert(path).second, at, absl::StrCat("names ", path, " twice"));
  }
}

bool Changes(const FieldMask& mask, const Message& values, std::string_view field) {
  if (mask.paths().empty()) {
    const FieldDescriptor* found = values.GetDescriptor()->FindFieldByName(std::string(field));
    return found != nullptr && IsPresent(values, *found);
  }
  return std::any_of(mask.paths().begin(), mask.paths().end(),
                     [&](const std::string& path) { return path == kWhole || path == field; });
}

void ApplyPut(const FieldMask& mask, const Message& values, const FixedFields& fixed,
              Message& stored) {
  FieldMaskUtil::MergeOptions options;
  options.set_replace_message_fields(true);
  options.set_replace_repeated_fields(true);
  const google::protobuf::Descriptor& fields = *values.GetDescriptor();
  FieldMask chosen;
  for (int i = 0; i < fields.field_count(); ++i) {
    const std::string& name = fields.field(i)->name();
    if (!fixed.contains(name) && Changes(mask, values, name)) chosen.add_paths(name);
  }
  FieldMaskUtil::MergeMessageTo(values, chosen, options, &stored);
}

}  // namespace tandem::corridor
