// Runs another program to its end.
#ifndef TANDEM_COMMON_SERVER_BACKUP_COMMAND_H_
#define TANDEM_COMMON_SERVER_BACKUP_COMMAND_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tandem::backup {

// Finds `words[0]` by PATH, runs it without standard input and output, and waits for its end. It
// is told to end (SIGTERM) when the calling thread ends first.
//   NOT_FOUND  there is no such program
//   ABORTED    it ended with another code than 0; the message has the last that it wrote to
//              standard error
absl::Status RunCommand(const std::vector<std::string>& words);

}  // namespace tandem::backup

#endif  // TANDEM_COMMON_SERVER_BACKUP_COMMAND_H_
