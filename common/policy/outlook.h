// What applying a policy would do, found out before it is applied: what changes for what is there,
// and what speaks against it.
#ifndef TANDEM_COMMON_POLICY_OUTLOOK_H_
#define TANDEM_COMMON_POLICY_OUTLOOK_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::policy {

// One decision's; not thread-safe.
class Outlook {
 public:
  // Something that is there changes. `code` is lower-case words with underscores; `count` says how
  // many there are of what it happens to. The most important first.
  void Warn(std::string_view code, std::string_view subject, int64_t count, std::string text);
  // The policy no longer has a `what` ("queue") that is in use, so the code is "queue_in_use".
  // `text` says who uses it, and the way out.
  void Refuse(std::string_view what, std::string_view name, int64_t count, std::string text);

  // FAILED_PRECONDITION POLICY_IN_USE with everything that is refused, or OK.
  absl::Status status() const;
  // What is refused, then what changes.
  google::protobuf::RepeatedPtrField<type::v1::PolicyEffect> effects() const;

 private:
  std::vector<type::v1::PolicyEffect> refused_, changed_;
};

// Whether a policy with this effect is refused.
bool IsRefused(const type::v1::PolicyEffect& effect);

// "a, b, c and 4 more": at most `most` of the names.
std::string SomeOf(const std::vector<std::string>& names, size_t most = 5);

}  // namespace tandem::policy

#endif  // TANDEM_COMMON_POLICY_OUTLOOK_H_
