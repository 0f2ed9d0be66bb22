// The sample accounts, contacts, staff and teams that a first look at Tandem starts from.
#ifndef TANDEM_SERVICES_TANDEMCTL_SAMPLE_H_
#define TANDEM_SERVICES_TANDEMCTL_SAMPLE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/tandemctl/session.h"

namespace tandem::tandemctl {

struct SampleItem {
  std::string kind;  // "staff", "account", "contact", "team"
  std::string id;
  std::string yaml;  // the request that stores it
};

struct SampleKind {
  std::string put;       // the method that stores it
  std::string get;       // the method that tells whether it is there
  std::string id_field;  // of the latter
};

// In the order of storing.
const std::vector<SampleItem>& SampleItems();
const SampleKind& KindOf(const SampleItem& item);
// With a request_id that is always the same.
absl::StatusOr<MessageOwner> SampleRequest(const SampleItem& item);

}  // namespace tandem::tandemctl

#endif  // TANDEM_SERVICES_TANDEMCTL_SAMPLE_H_
