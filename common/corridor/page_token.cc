#include "common/corridor/page_token.h"

#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/corridor/canonical.h"
#include "common/corridor/errors.h"
#include "common/id/id.h"
#include "google/protobuf/descriptor.h"

namespace tandem::corridor {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr size_t kSealBytes = 8;

const FieldDescriptor* TokenField(const Message& question) {
  return question.GetDescriptor()->FindFieldByName("page_token");
}

std::string SealOf(const Message& question) {
  std::unique_ptr<Message> bare(question.New());
  bare->CopyFrom(question);
  for (const char* name : {"page_token", "page_size"}) {
    const FieldDescriptor* field = bare->GetDescriptor()->FindFieldByName(name);
    if (field != nullptr) bare->GetReflection()->ClearField(bare.get(), field);
  }
  return id::Hash({question.GetDescriptor()->full_name(), CanonicalBytes(*bare)})
      .substr(0, kSealBytes);
}

}  // namespace

std::string SealPosition(const Message& question, std::string_view position) {
  return absl::WebSafeBase64Escape(absl::StrCat(SealOf(question), std::string(position)));
}

absl::StatusOr<std::string> OpenPosition(const Message& question) {
  const std::string token = question.GetReflection()->GetString(question, TokenField(question));
  if (token.empty()) return std::string();
  std::string plain;
  // A seal alone says nothing: no list answers with an empty position.
  if (!absl::WebSafeBase64Unescape(token, &plain) || plain.size() <= kSealBytes ||
      plain.compare(0, kSealBytes, SealOf(question)) != 0) {
    Violations violations;
    violations.Require(false, "page_token",
                       "is not one that this question was answered with; ask for the first page");
    return violations.status();
  }
  return plain.substr(kSealBytes);
}

}  // namespace tandem::corridor
