// What a folder knows of a move of its data: a row of schema_migrations in its log.db, which a
// program opens before any other file, so that a folder whose data lives elsewhere is not served
// beside it.
#ifndef TANDEM_COMMON_TRANSFER_FOLDER_MARK_H_
#define TANDEM_COMMON_TRANSFER_FOLDER_MARK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/store/store.h"

namespace tandem::transfer {

struct FolderMark {
  enum class State {
    kNone,
    kBegun,  // a move came to its commit, and has not told how that went
    kMoved,
  };
  State state = State::kNone;
  std::string place;    // where to, without a secret
  std::string way_out;  // as it is said to whoever would serve the folder
};

FolderMark Begun(const std::string& folder, const std::string& place);
// `moved_at` is RFC 3339.
FolderMark Moved(const std::string& folder, const std::string& place, const std::string& moved_at);

absl::StatusOr<FolderMark> ReadMark(store::Reader& log);
// Durable when it returns, in the place of any other mark; kNone takes it away.
absl::Status WriteMark(store::Store& log, const FolderMark& mark);

// FAILED_PRECONDITION with what a program that would serve the folder says; OK without a mark.
absl::Status CheckMark(const std::string& folder, const FolderMark& mark);

}  // namespace tandem::transfer

#endif  // TANDEM_COMMON_TRANSFER_FOLDER_MARK_H_
