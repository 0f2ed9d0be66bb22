// Why a call failed, for the person or the script that made it.
#ifndef TANDEM_SERVICES_TANDEMCTL_ERROR_TEXT_H_
#define TANDEM_SERVICES_TANDEMCTL_ERROR_TEXT_H_

#include <map>
#include <string>

#include "absl/status/status.h"

namespace tandem::tandemctl {

// Whether nobody answered at the address at all, as against an answer that says UNAVAILABLE.
bool IsUnreachable(const absl::Status& status);

// Lines for standard error, each with its line end: what went wrong, every bad field on a line of
// its own, the reason's name, when to try again, and the way out where there is one.
// `flags` names the flag of a request's field: {"requester.address", "--requester"}.
std::string ErrorText(const absl::Status& status, const std::string& address,
                      const std::map<std::string, std::string>& flags);

// The same for scripts, as one line: {"error": {"code", "message"}} and, where they are known,
// "reason", its "metadata", "bad_fields" ({"field", "problem"}), "retry_after_seconds", the
// "request_id" to try again with and `again`, the other flags that this needs, as "repeat_with".
std::string ErrorJson(const absl::Status& status, const std::string& request_id,
                      const std::string& again = "");

}  // namespace tandem::tandemctl

#endif  // TANDEM_SERVICES_TANDEMCTL_ERROR_TEXT_H_
