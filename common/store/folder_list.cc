#include "common/store/folder_list.h"

#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/store/durable_file.h"

namespace tandem::store {
namespace {

namespace fs = std::filesystem;

std::string_view WordOf(Durability durability) {
  return durability == Durability::kFull ? "durable" : "volatile";
}

std::string Beside(const std::string& path, const char* name) {
  return (fs::path(path).parent_path() / name).string();
}

// "durable" or "volatile", or empty if the list does not name it. A last line without its end was
// cut by a crash and does not count: its database was not opened yet.
absl::StatusOr<std::string> Listed(const std::string& path) {
  const absl::StatusOr<std::string> list = ReadSmallFile(Beside(path, kFolderList));
  if (absl::IsNotFound(list.status())) return std::string();
  if (!list.ok()) return list.status();
  const std::string name = fs::path(path).filename().string();
  std::vector<std::string> lines = absl::StrSplit(*list, '\n');
  lines.pop_back();
  for (const std::string& line : lines) {
    const std::vector<std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 1));
    if (words.size() == 2 && words[1] == name) return words[0];
  }
  return std::string();
}

}  // namespace

absl::Status CheckFolderList(const std::string& path, Durability durability) {
  const absl::StatusOr<std::string> unfinished = ReadSmallFile(Beside(path, kFolderUnfinished));
  if (unfinished.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": ", absl::StripAsciiWhitespace(*unfinished)));
  }
  if (!absl::IsNotFound(unfinished.status())) return unfinished.status();
  const absl::StatusOr<std::string> listed = Listed(path);
  if (!listed.ok()) return listed.status();
  if (listed->empty()) return absl::OkStatus();
  if (*listed != WordOf(durability)) {
    return absl::FailedPreconditionError(
        durability == Durability::kFull
            ? absl::StrCat(path,
                           " was written by a replay, without waiting for the disk, and is not fit "
                           "to be served; name another folder")
            : absl::StrCat(path, " holds what a server wrote; name another folder"));
  }
  std::error_code error;
  const bool exists = fs::exists(path, error);
  const bool is_empty = exists && fs::file_size(path, error) == 0;
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot look at ", path));
  if (exists && !is_empty) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      path, exists ? " is empty" : " is not there",
      ", but it was in use: ", Beside(path, kFolderList),
      " names it. What it held is lost, and the databases beside it do not fit a new one. Put the "
      "file back, restore the whole folder from a backup (`tandemctl restore`), or begin anew in "
      "an empty folder."));
}

absl::Status AddToFolderList(const std::string& path, Durability durability) {
  const absl::StatusOr<std::string> listed = Listed(path);
  if (!listed.ok()) return listed.status();
  if (!listed->empty()) return absl::OkStatus();
  const std::string list = Beside(path, kFolderList);
  const absl::StatusOr<std::string> present = ReadSmallFile(list);
  const bool is_cut = present.ok() && !present->empty() && !absl::EndsWith(*present, "\n");
  return AppendDurably(list, absl::StrCat(is_cut ? "\n" : "", std::string(WordOf(durability)), " ",
                                          fs::path(path).filename().string(), "\n"));
}

absl::Status MarkFolderUnfinished(const std::string& folder, const std::string& why) {
  const std::string mark = (fs::path(folder) / kFolderUnfinished).string();
  std::error_code error;
  fs::remove(mark, error);
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot remove ", mark));
  return AppendDurably(mark, absl::StrCat(why, "\n"));
}

absl::Status ClearFolderUnfinished(const std::string& folder) {
  const std::string mark = (fs::path(folder) / kFolderUnfinished).string();
  std::error_code error;
  fs::remove(mark, error);
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot remove ", mark));
  return SyncPath(folder);
}

}  // namespace tandem::store
