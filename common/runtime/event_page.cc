#include "common/runtime/event_page.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/bus/event.h"
#include "common/time/stamp.h"

namespace tandem::runtime {
namespace {

namespace v1 = tandem::admin::v1;

void Tell(const bus::Record& record, v1::BusEvent* event) {
  event->set_partition(record.partition);
  event->set_offset(record.offset);
  event->set_event_id(record.event.id);
  event->set_source(record.event.source);
  event->set_type(record.event.type);
  event->set_subject(record.event.subject);
  event->set_key(record.event.key);
  *event->mutable_time() = time::Stamp(record.event.time);
  event->set_sequence(record.event.sequence);
  event->set_cause(record.event.cause);
  event->set_traceparent(record.event.traceparent);
  event->set_body(record.event.body);
}

}  // namespace

absl::StatusOr<v1::ReadEventsResponse> ReadEventPage(
    bus::LogReader& log, int partitions,
    absl::FunctionRef<absl::StatusOr<bus::Bounds>(int partition)> bounds_of,
    const v1::ReadEventsRequest& request) {
  const int size = request.page_size() == 0 ? 100 : request.page_size();
  v1::ReadEventsResponse response;
  for (int partition = 0; partition < partitions; ++partition) {
    const absl::StatusOr<bus::Bounds> bounds = bounds_of(partition);
    if (!bounds.ok()) return bounds.status();
    const auto named = request.offsets().find(partition);
    int64_t offset = named != request.offsets().end() ? named->second
                     : request.from_beginning()       ? bounds->first
                                                      : bounds->end;
    // What retention took is passed over; the offsets of the events tell of the gap.
    offset = std::clamp(offset, bounds->first, bounds->end);
    while (offset < bounds->end && response.events_size() < size) {
      const absl::StatusOr<std::vector<bus::RecordPtr>> records =
          log.ReadRange(partition, offset, size - response.events_size());
      if (!records.ok()) return records.status();
      if (records->empty()) break;
      for (const bus::RecordPtr& record : *records) {
        offset = record->offset + 1;
        if (!request.key().empty() && record->event.key != request.key()) continue;
        Tell(*record, response.add_events());
      }
    }
    (*response.mutable_next_offsets())[partition] = offset;
  }
  return response;
}

}  // namespace tandem::runtime
