// The script that teaches bash tandemctl's words.
#ifndef TANDEM_SERVICES_TANDEMCTL_COMPLETION_H_
#define TANDEM_SERVICES_TANDEMCTL_COMPLETION_H_

#include <string>
#include <vector>

#include "services/tandemctl/command.h"

namespace tandem::tandemctl {

// For `source <(tandemctl completion bash)`. `global_flags` may follow every command.
std::string BashCompletion(const std::vector<Entry>& entries,
                           const std::vector<std::string>& global_flags);

}  // namespace tandem::tandemctl

#endif  // TANDEM_SERVICES_TANDEMCTL_COMPLETION_H_
