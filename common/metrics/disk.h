// The file system of a folder: tandem_data_free_bytes and tandem_data_size_bytes.
#ifndef TANDEM_COMMON_METRICS_DISK_H_
#define TANDEM_COMMON_METRICS_DISK_H_

#include <string>

#include "common/metrics/metrics.h"

namespace tandem::metrics {

class DiskGauges {
 public:
  DiskGauges(const Scope& scope, std::string folder);
  // Asks the system, which may wait for a disk: not from a thread that answers probes. A folder
  // that cannot be asked leaves the numbers as they were.
  void Measure() const;

 private:
  const std::string folder_;
  Gauge free_, size_;
};

}  // namespace tandem::metrics

#endif  // TANDEM_COMMON_METRICS_DISK_H_
