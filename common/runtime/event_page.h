// Events of a log as the operator's service tells them.
#ifndef TANDEM_COMMON_RUNTIME_EVENT_PAGE_H_
#define TANDEM_COMMON_RUNTIME_EVENT_PAGE_H_

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "common/bus/log_reader.h"
#include "tandem/admin/v1/admin_service.pb.h"

namespace tandem::runtime {

// What ReadEvents answers to `request` at once: partition after partition, from the offset that it
// names for one, else from its first (from_beginning) or its end, at most page_size events (100 if
// that is 0), only those of `key` if one is named. The offsets of the answer have every partition.
// May wait for the log as `log` does.
//
// OUT_OF_RANGE OFFSET_OUTSIDE_LOG names every offset that the log does not have (its end is one
// that it has), with both ends of its partition, in the message and as metadata. Else errors as
// ReadRange, and those of `bounds_of`.
absl::StatusOr<admin::v1::ReadEventsResponse> ReadEventPage(
    bus::LogReader& log, int partitions,
    absl::FunctionRef<absl::StatusOr<bus::Bounds>(int partition)> bounds_of,
    const admin::v1::ReadEventsRequest& request);

}  // namespace tandem::runtime

#endif  // TANDEM_COMMON_RUNTIME_EVENT_PAGE_H_
