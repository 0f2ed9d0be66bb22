#include "common/bus/segment.h"

#include <cstdint>

#include "common/time/micros.h"

namespace tandem::bus {
namespace {

constexpr char kLayout = 1;

void PutNumber(std::string& out, uint64_t number) {
  while (number >= 0x80) {
    out.push_back(static_cast<char>(number | 0x80));
    number >>= 7;
  }
  out.push_back(static_cast<char>(number));
}

void PutText(std::string& out, std::string_view text) {
  PutNumber(out, text.size());
  out.append(text);
}

// Takes what was put from the left; once something does not fit, ok() stays false and all is empty.
class Input {
 public:
  explicit Input(std::string_view bytes) : rest_(bytes) {}

  unsigned char Byte() {
    if (rest_.empty()) {
      ok_ = false;
      return 0;
    }
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }

  uint64_t Number() {
    uint64_t number = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const unsigned char byte = Byte();
      number |= uint64_t{byte & 0x7fU} << shift;
      if ((byte & 0x80) == 0) return number;
    }
    ok_ = false;
    return 0;
  }

  std::string Text() {
    const uint64_t size = Number();
    if (size > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return std::string(text);
  }

  uint64_t Fixed() {
    uint64_t number = 0;
    for (int shift = 0; shift < 64; shift += 8) number |= uint64_t{Byte()} << shift;
    return number;
  }

  bool ok() const { return ok_; }
  size_t left() const { return rest_.size(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace

std::string EncodeSegment(absl::Span<const RecordPtr> records) {
  std::string out;
  out.push_back(kLayout);
  PutNumber(out, records.size());
  for (const RecordPtr& record : records) {
    const Event& event = record->event;
    for (const std::string* text : {&event.id, &event.source, &event.type, &event.subject,
                                    &event.key, &event.cause, &event.traceparent, &event.body}) {
      PutText(out, *text);
    }
    const auto micros = static_cast<uint64_t>(time::ToMicros(event.time));
    for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<char>(micros >> shift));
    PutNumber(out, static_cast<uint64_t>(event.sequence));
  }
  return out;
}

absl::StatusOr<std::vector<Event>> DecodeSegment(std::string_view bytes) {
  Input input(bytes);
  if (input.Byte() != kLayout) return absl::DataLossError("a segment of an unknown layout");
  const uint64_t count = input.Number();
  std::vector<Event> events;
  for (uint64_t i = 0; i < count && input.ok(); ++i) {
    Event& event = events.emplace_back();
    for (std::string* text : {&event.id, &event.source, &event.type, &event.subject, &event.key,
                              &event.cause, &event.traceparent, &event.body}) {
      *text = input.Text();
    }
    event.time = time::FromMicros(static_cast<int64_t>(input.Fixed()));
    event.sequence = static_cast<int64_t>(input.Number());
  }
  if (!input.ok() || input.left() > 0) return absl::DataLossError("a segment that does not add up");
  return events;
}

}  // namespace tandem::bus
