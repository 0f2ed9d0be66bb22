// backup.json: which files a backup has, and how to tell that they are whole.
#ifndef TANDEM_COMMON_BACKUP_MANIFEST_H_
#define TANDEM_COMMON_BACKUP_MANIFEST_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/backup/backup.pb.h"

namespace tandem::backup {

inline constexpr char kManifest[] = "backup.json";

// Makes the folder (0700) of a backup. FAILED_PRECONDITION if it is there and not empty.
absl::Status MakeEmptyFolder(const std::string& folder);

// Describes FOLDER/NAME as it is: length and hash.
absl::StatusOr<BackupFile> Describe(const std::string& folder, const std::string& name);

// Durable when it returns.
absl::Status WriteManifest(const std::string& folder, const BackupManifest& manifest);
// NOT_FOUND if the folder holds no whole backup; FAILED_PRECONDITION if a newer program made it.
absl::StatusOr<BackupManifest> ReadManifest(const std::string& folder);
// Whether every file is there as the manifest describes it; DATA_LOSS names the first that is not.
absl::Status CheckFiles(const std::string& folder, const BackupManifest& manifest);

}  // namespace tandem::backup

#endif  // TANDEM_COMMON_BACKUP_MANIFEST_H_
