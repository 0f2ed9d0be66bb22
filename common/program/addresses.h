// What --store, --bus and --peer mean.
#ifndef TANDEM_COMMON_PROGRAM_ADDRESSES_H_
#define TANDEM_COMMON_PROGRAM_ADDRESSES_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tandem::program {

// "sqlite:FOLDER" or "postgresql://…". INVALID_ARGUMENT does not quote the address: it may hold a
// password.
struct StoreAddress {
  bool is_postgres = false;
  std::string place;  // the folder, or the whole URI
};
absl::StatusOr<StoreAddress> ParseStore(std::string_view text);

// "kafka:HOST:PORT,HOST:PORT" as "HOST:PORT,HOST:PORT". INVALID_ARGUMENT says why "local:" cannot
// be: that log belongs to one process, and a service alone in one has nobody to share it with.
absl::StatusOr<std::string> ParseBus(std::string_view text);

// The pairs as targets by protobuf package. INVALID_ARGUMENT names a peer that is missing, with how
// to give it, or one that nobody asks for.
struct KnownPeer {
  std::string name;
  std::string package;
};
absl::StatusOr<std::map<std::string, std::string, std::less<>>> TargetsOf(
    const std::map<std::string, std::string>& pairs, const std::vector<KnownPeer>& known);

}  // namespace tandem::program

#endif  // TANDEM_COMMON_PROGRAM_ADDRESSES_H_
