// The mapping file of a replay, read and checked.
#ifndef TANDEM_SERVICES_TANDEM_REPLAY_MAPPING_H_
#define TANDEM_SERVICES_TANDEM_REPLAY_MAPPING_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/config/yaml_to_proto.h"
#include "services/tandem/replay_mapping.pb.h"

namespace tandem::programs {

// A value type.
struct Mapping {
  std::string file;  // for messages
  ReplayMapping values;
  config::SourceLines lines;
  absl::TimeZone time_zone;
};

// INVALID_ARGUMENT names file, line and key of everything that is wrong. `file` only names the
// text.
absl::StatusOr<Mapping> ParseMapping(std::string_view text, const std::string& file);
absl::StatusOr<Mapping> ReadMapping(const std::string& path);

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_REPLAY_MAPPING_H_
