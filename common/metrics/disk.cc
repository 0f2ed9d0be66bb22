#include "common/metrics/disk.h"

#include <sys/statvfs.h>

#include <utility>

namespace tandem::metrics {

DiskGauges::DiskGauges(const Scope& scope, std::string folder)
    : folder_(std::move(folder)),
      free_(scope.OneGauge("tandem_data_free_bytes",
                           "Room that is left on the file system of the data folder.")),
      size_(scope.OneGauge("tandem_data_size_bytes",
                           "Size of the file system of the data folder.")) {}

void DiskGauges::Measure() const {
  struct statvfs disk {};
  if (statvfs(folder_.c_str(), &disk) != 0) return;
  const auto block = static_cast<double>(disk.f_frsize);
  // What the system's own administrator may use beyond it does not help a service.
  free_.Set(static_cast<double>(disk.f_bavail) * block);
  size_.Set(static_cast<double>(disk.f_blocks) * block);
}

}  // namespace tandem::metrics
