// A folder of one test, deleted with it.
#ifndef TANDEM_TESTS_CONTRACT_TEMP_FOLDER_H_
#define TANDEM_TESTS_CONTRACT_TEMP_FOLDER_H_

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "gtest/gtest.h"

namespace tandem {

class TempFolder {
 public:
  TempFolder() : path_(::testing::TempDir() + "tandem.XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) {
      ADD_FAILURE() << "cannot make a folder like " << path_;
    }
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace tandem

#endif  // TANDEM_TESTS_CONTRACT_TEMP_FOLDER_H_
