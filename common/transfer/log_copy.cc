#include "common/transfer/log_copy.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/bus/segment.h"

namespace tandem::transfer {
namespace {

// A read of the topic asks its brokers three things besides.
constexpr int kPage = 4096;

// Of the event alone: its place is another in each log.
void AddEvent(const bus::RecordPtr& record, Content& content) {
  content.Add(bus::EncodeSegment(absl::MakeConstSpan(&record, 1)));
}

absl::Status Foreign(int partition, int64_t offset, const std::string& what) {
  return absl::FailedPreconditionError(absl::StrCat(
      "the topic's partition ", partition, " holds ", what, " at offset ", offset,
      ". Only a topic that is empty, or that an earlier attempt from this folder began to fill, is "
      "filled: delete the topic if nothing in it is needed, or name another"));
}

}  // namespace

absl::StatusOr<Content> ReadCopy(Source& source, bus::KafkaLogReader& topic, int partition,
                                 OffsetMap* offsets) {
  const absl::StatusOr<bus::Bounds> bounds = topic.AskBounds(partition);
  if (!bounds.ok()) return bounds.status();
  Records originals = source.ReadLog(partition, source.bounds(partition).first);
  Content content;
  int64_t next = bounds->first;
  while (next < bounds->end) {
    const absl::StatusOr<std::vector<bus::RecordPtr>> page =
        topic.ReadRange(partition, next, kPage);
    if (!page.ok()) return page.status();
    if (page->empty()) break;
    for (const bus::RecordPtr& copy : *page) {
      const absl::StatusOr<bus::RecordPtr> original = originals.Next();
      if (!original.ok()) return original.status();
      if (*original == nullptr) {
        return Foreign(partition, copy->offset, "more events than the log");
      }
      if (copy->event != (*original)->event) {
        return Foreign(partition, copy->offset,
                       absl::StrCat("another event than the log at ", (*original)->offset));
      }
      AddEvent(copy, content);
      if (offsets != nullptr) offsets->Add(partition, (*original)->offset, copy->offset);
    }
    next = page->back()->offset + 1;
  }
  if (offsets != nullptr) offsets->End(partition, source.bounds(partition).end, bounds->end);
  return content;
}

absl::StatusOr<Content> ReadOriginal(Source& source, int partition) {
  Records originals = source.ReadLog(partition, source.bounds(partition).first);
  Content content;
  for (;;) {
    const absl::StatusOr<bus::RecordPtr> original = originals.Next();
    if (!original.ok()) return original.status();
    if (*original == nullptr) return content;
    AddEvent(*original, content);
  }
}

absl::Status AppendRest(Source& source, bus::KafkaLogWriter& topic, int partition, int64_t there) {
  // The local log has no holes.
  Records originals = source.ReadLog(partition, source.bounds(partition).first + there);
  for (;;) {
    const absl::StatusOr<bus::RecordPtr> original = originals.Next();
    if (!original.ok()) return original.status();
    if (*original == nullptr) return absl::OkStatus();
    if (absl::Status s = topic.Append(partition, (*original)->event); !s.ok()) return s;
  }
}

}  // namespace tandem::transfer
