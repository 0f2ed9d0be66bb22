// Which process answers for which service.
#ifndef TANDEM_SERVICES_TANDEMCTL_ADDRESSES_H_
#define TANDEM_SERVICES_TANDEMCTL_ADDRESSES_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tandem::tandemctl {

// "ticket_intake", "triage", …, in the order in which they are shown.
const std::vector<std::string>& ServiceNames();
// "tandem.intake.v1" → "ticket_intake"; empty for what every process has (the operator's service).
std::string ServiceOfPackage(std::string_view package);

// A process that is spoken to.
struct Place {
  std::string service;  // the first that it answers for
  std::string address;
};

// A value: any thread may read it.
class Addresses {
 public:
  // Each text is HOST:PORT, which answers for all services without an address of their own, or
  // NAME=HOST:PORT. INVALID_ARGUMENT names an unknown service with the known ones, a second address
  // for the same, or a text that is neither.
  static absl::StatusOr<Addresses> Parse(const std::vector<std::string>& texts);

  // INVALID_ARGUMENT where none is given for the service, with how to give it, or there is no such
  // service, with those that there are.
  absl::StatusOr<std::string> Of(const std::string& service) const;
  // Each process once, in the order of the services; at least one.
  std::vector<Place> All() const;

 private:
  std::string everybody_;                       // empty = only those that are named
  std::map<std::string, std::string> by_name_;  // service → address
};

}  // namespace tandem::tandemctl

#endif  // TANDEM_SERVICES_TANDEMCTL_ADDRESSES_H_
