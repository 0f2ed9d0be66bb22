#include "common/bus/headers.h"

#include <array>
#include <charconv>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/time/micros.h"

namespace tandem::bus {
namespace {

constexpr std::string_view kContentType = "application/protobuf";

absl::Status Malformed(const char* header, const char* what) {
  return absl::InvalidArgumentError(absl::StrCat("event header ", header, " ", what));
}

// The years 1 to 9999, the ones that ce_time can name.
constexpr int64_t kFirstMicros = -62'135'596'800'000'000;
constexpr int64_t kEndMicros = 253'402'300'800'000'000;

bool IsRfc3339(absl::Time instant) {
  const int64_t micros = time::ToMicros(instant);
  return kFirstMicros <= micros && micros < kEndMicros;
}

}  // namespace

absl::Status Validate(const Event& event) {
  const auto refuse = [&](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("event \"", event.id, "\": ", what));
  };
  if (event.id.empty()) return refuse("has no id");
  if (event.source.empty()) return refuse("has no source");
  if (event.type.empty()) return refuse("has no type");
  if (event.subject.empty()) return refuse("has no subject");
  if (event.key.empty()) return refuse("has no key");
  if (event.cause.empty()) return refuse("has no cause");
  if (event.sequence < 1) return refuse("has no sequence");
  if (!IsRfc3339(event.time)) return refuse("has an instant outside the years 1 to 9999");
  if (event.body.size() > kMaxBodyBytes) return refuse("has too long a body");
  return absl::OkStatus();
}

std::vector<Header> ToHeaders(const Event& event) {
  std::vector<Header> headers = {
      {"ce_specversion", "1.0"},      {"ce_id", event.id},
      {"ce_source", event.source},    {"ce_type", event.type},
      {"ce_subject", event.subject},  {"ce_time", time::FormatInstant(event.time)},
      {"ce_partitionkey", event.key}, {"ce_sequence", std::to_string(event.sequence)},
      {"ce_cause", event.cause},      {"content-type", std::string(kContentType)},
  };
  if (!event.traceparent.empty()) headers.push_back({"traceparent", event.traceparent});
  return headers;
}

absl::StatusOr<Event> FromHeaders(const std::vector<Header>& headers, std::string_view body) {
  Event event;
  std::string version;
  std::string instant;
  std::string sequence;
  std::string content_type;
  struct Field {
    const char* name;
    std::string* value;
    bool required;
    bool found = false;
  };
  std::array<Field, 11> fields = {{
      {"ce_specversion", &version, true},
      {"ce_id", &event.id, true},
      {"ce_source", &event.source, true},
      {"ce_type", &event.type, true},
      {"ce_subject", &event.subject, true},
      {"ce_time", &instant, true},
      {"ce_partitionkey", &event.key, true},
      {"ce_sequence", &sequence, true},
      {"ce_cause", &event.cause, true},
      {"content-type", &content_type, true},
      {"traceparent", &event.traceparent, false},
  }};
  for (const Header& header : headers) {
    for (Field& field : fields) {
      if (header.name != field.name) continue;
      if (field.found) return Malformed(field.name, "is there twice");
      field.found = true;
      *field.value = header.value;
    }
  }
  for (const Field& field : fields) {
    if (field.required && field.value->empty()) return Malformed(field.name, "is missing");
  }
  if (version != "1.0") return Malformed("ce_specversion", "is not 1.0");
  if (content_type != kContentType) return Malformed("content-type", "is not application/protobuf");
  const absl::StatusOr<absl::Time> parsed = time::ParseInstant(instant);
  if (!parsed.ok()) return Malformed("ce_time", "is not an instant");
  event.time = *parsed;
  const char* const end = sequence.data() + sequence.size();
  const auto [rest, error] = std::from_chars(sequence.data(), end, event.sequence);
  if (error != std::errc() || rest != end || event.sequence < 1) {
    return Malformed("ce_sequence", "is not a number from 1");
  }
  event.body = body;
  return event;
}

}  // namespace tandem::bus
