#include "common/runtime/event_page.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/bus/event.h"
#include "common/corridor/errors.h"
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

// "0=12,3=40".
template <typename Offsets>
std::string Listed(const std::vector<int>& partitions, const Offsets& offsets) {
  return absl::StrJoin(partitions, ",", [&](std::string* out, int partition) {
    absl::StrAppend(out, partition, "=", offsets.at(partition));
  });
}

// To pass the gap over in silence would lose events for whoever relies on the stream, and to take
// an offset beyond the end for the end would hide that this is another log.
absl::Status OutsideLog(const std::vector<int>& partitions, const v1::ReadEventsRequest& request,
                        const v1::ReadEventsResponse& bounds) {
  const std::string asked = Listed(partitions, request.offsets());
  const std::string first = Listed(partitions, bounds.first_offsets());
  const std::string end = Listed(partitions, bounds.end_offsets());
  return corridor::WithReason(
      absl::OutOfRangeError(absl::StrCat(
          "offsets ", asked, " are not in the log, which begins at ", first, " and ends before ",
          end,
          ": retention has taken what was there, or the offsets belong to another log. Begin at "
          "one of its ends")),
      "OFFSET_OUTSIDE_LOG", {{"offsets", asked}, {"first_offsets", first}, {"end_offsets", end}});
}

}  // namespace

absl::StatusOr<v1::ReadEventsResponse> ReadEventPage(
    bus::LogReader& log, int partitions,
    absl::FunctionRef<absl::StatusOr<bus::Bounds>(int partition)> bounds_of,
    const v1::ReadEventsRequest& request) {
  const int size = request.page_size() == 0 ? 100 : request.page_size();
  v1::ReadEventsResponse response;
  std::vector<bus::Bounds> all_bounds;
  std::vector<int> outside;
  for (int partition = 0; partition < partitions; ++partition) {
    const absl::StatusOr<bus::Bounds> bounds = bounds_of(partition);
    if (!bounds.ok()) return bounds.status();
    const auto named = request.offsets().find(partition);
    if (named != request.offsets().end() &&
        (named->second < bounds->first || named->second > bounds->end)) {
      outside.push_back(partition);
    }
    all_bounds.push_back(*bounds);
    (*response.mutable_first_offsets())[partition] = bounds->first;
    (*response.mutable_end_offsets())[partition] = bounds->end;
  }
  if (!outside.empty()) return OutsideLog(outside, request, response);
  for (int partition = 0; partition < partitions; ++partition) {
    const bus::Bounds& bounds = all_bounds[static_cast<size_t>(partition)];
    const auto named = request.offsets().find(partition);
    int64_t offset = named != request.offsets().end() ? named->second
                     : request.from_beginning()       ? bounds.first
                                                      : bounds.end;
    while (offset < bounds.end && response.events_size() < size) {
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
