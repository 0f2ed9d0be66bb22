#include "common/policy/outlook.h"

#include <algorithm>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/corridor/errors.h"
#include "google/rpc/error_details.pb.h"

namespace tandem::policy {
namespace {

// An answer's details travel in HTTP/2 trailers, of which clients read 8 KiB by default.
constexpr size_t kMostToldBytes = 2000;

constexpr char kInUse[] = "_in_use";

type::v1::PolicyEffect Effect(std::string_view code, std::string_view subject, int64_t count,
                              std::string text) {
  type::v1::PolicyEffect effect;
  effect.set_code(std::string(code));
  effect.set_subject(std::string(subject));
  effect.set_count(count);
  effect.set_text(std::move(text));
  return effect;
}

}  // namespace

void Outlook::Warn(std::string_view code, std::string_view subject, int64_t count,
                   std::string text) {
  changed_.push_back(Effect(code, subject, count, std::move(text)));
}

void Outlook::Refuse(std::string_view what, std::string_view name, int64_t count,
                     std::string text) {
  refused_.push_back(Effect(absl::StrCat(std::string(what), kInUse), name, count, std::move(text)));
}

absl::Status Outlook::status() const {
  if (refused_.empty()) return absl::OkStatus();
  google::rpc::PreconditionFailure failure;
  std::string message = "the policy would drop what is in use: ";
  size_t told = 0;
  for (const type::v1::PolicyEffect& effect : refused_) {
    if (told > 0 && message.size() + effect.text().size() > kMostToldBytes) break;
    absl::StrAppend(&message, told > 0 ? "; " : "", effect.text());
    auto& violation = *failure.add_violations();
    violation.set_type(effect.code());
    violation.set_subject(effect.subject());
    violation.set_description(effect.text());
    ++told;
  }
  if (told < refused_.size()) {
    absl::StrAppend(&message, "; and ", refused_.size() - told, " more, which a dry run shows");
  }
  absl::Status status = corridor::FailedPrecondition("POLICY_IN_USE", message);
  status.SetPayload(absl::StrCat("type.googleapis.com/",
                                 google::rpc::PreconditionFailure::descriptor()->full_name()),
                    absl::Cord(failure.SerializeAsString()));
  return status;
}

google::protobuf::RepeatedPtrField<type::v1::PolicyEffect> Outlook::effects() const {
  google::protobuf::RepeatedPtrField<type::v1::PolicyEffect> effects(refused_.begin(),
                                                                     refused_.end());
  for (const type::v1::PolicyEffect& effect : changed_) *effects.Add() = effect;
  return effects;
}

bool IsRefused(const type::v1::PolicyEffect& effect) {
  return absl::EndsWith(effect.code(), kInUse);
}

std::string SomeOf(const std::vector<std::string>& names, size_t most) {
  const size_t shown = std::min(names.size(), most);
  std::string text =
      absl::StrJoin(names.begin(), names.begin() + static_cast<ptrdiff_t>(shown), ", ");
  if (shown < names.size()) absl::StrAppend(&text, " and ", names.size() - shown, " more");
  return text;
}

}  // namespace tandem::policy
