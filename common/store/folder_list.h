// What a folder knows of the databases in it: a text file beside them that names each one. A
// database that is named there and is missing or empty has been lost; without the list it would be
// taken for a new one and made again, and the services beside it would go on as if nothing had
// happened.
#ifndef TANDEM_COMMON_STORE_FOLDER_LIST_H_
#define TANDEM_COMMON_STORE_FOLDER_LIST_H_

#include <string>

#include "absl/status/status.h"
#include "common/store/durability.h"

namespace tandem::store {

// One line for each database, "durable survey.db" or "volatile survey.db". Lines are only added.
inline constexpr char kFolderList[] = "tandem.databases";
// Present while the folder is being filled. Its text is what a program says that refuses it.
inline constexpr char kFolderUnfinished[] = "tandem.unfinished";

// Whether the database at `path` may be opened, or made if it is absent. FAILED_PRECONDITION, with
// the way out, if
//   * the list names it and the file is missing or empty,
//   * it was written with another durability: what a replay wrote without waiting for the disk is
//     not fit to be served, and what a server wrote is not a replay's to overwrite,
//   * the folder is being filled.
absl::Status CheckFolderList(const std::string& path, Durability durability);

// Names the database at `path` in its folder's list, unless it stands there already. Durable when
// it returns.
absl::Status AddToFolderList(const std::string& path, Durability durability);

// From now on every database in the folder is refused with `why`, which says what to do. Durable.
absl::Status MarkFolderUnfinished(const std::string& folder, const std::string& why);
absl::Status ClearFolderUnfinished(const std::string& folder);

}  // namespace tandem::store

#endif  // TANDEM_COMMON_STORE_FOLDER_LIST_H_
