#include "common/corridor/errors.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/config/utf8.h"
#include "common/id/id.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "google/rpc/error_details.pb.h"

namespace tandem::corridor {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// An answer's details travel in HTTP/2 trailers, of which clients read 8 KiB by default, message
// and details together. A list of bad fields that would not fit is cut and says by how much.
constexpr size_t kMaxListedBytes = 900;

// Stays inside the process: the runtime takes it for a question to the owner.
constexpr char kUnheard[] = "tandem/not_heard_of";

constexpr int64_t kLastSecondOfYear9999 = 253402300799;
constexpr int64_t kHundredYearsSeconds = 3155760000;
constexpr int32_t kMaxNanos = 999'999'999;
constexpr int kMaxListEntries = 1000;
constexpr size_t kMaxStringBytes = size_t{1} << 20;

constexpr char kTypeUrl[] = "type.googleapis.com/";

template <typename Detail>
void Attach(absl::Status& status, const Detail& detail) {
  status.SetPayload(absl::StrCat(kTypeUrl, Detail::descriptor()->full_name()),
                    absl::Cord(detail.SerializeAsString()));
}

std::string Named(std::string_view what, std::string_view id) {
  // What is no id may be anything, a customer's text included: it is not repeated.
  std::string named(what);
  if (id::IsWellFormed(id)) named.append(" ").append(id);
  return named;
}

// Control characters of ASCII and Latin-1, and the separators of lines and paragraphs: each may
// begin a new line, or do worse, where the text is shown.
bool IsControl(int32_t point) {
  return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0x2028 || point == 0x2029;
}

// Where the walk stands; the path is only spelled when something is wrong.
struct Place {
  const Place* above = nullptr;
  const FieldDescriptor* field = nullptr;
  int index = -1;
};

std::string PathOf(const Place& place) {
  std::string path = place.above == nullptr ? "" : absl::StrCat(PathOf(*place.above), ".");
  absl::StrAppend(&path, place.field->name());
  if (place.index >= 0) absl::StrAppend(&path, "[", place.index, "]");
  return path;
}

void CheckMessage(const Message& message, const Place* above, Violations& violations);

void CheckValue(const Message& message, const Place& place, Violations& violations) {
  const Reflection* reflection = message.GetReflection();
  const FieldDescriptor* field = place.field;
  const bool repeated = place.index >= 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int number = repeated ? reflection->GetRepeatedEnumValue(message, field, place.index)
                                  : reflection->GetEnumValue(message, field);
      if (field->enum_type()->FindValueByNumber(number) == nullptr) {
        violations.Require(false, PathOf(place),
                           absl::StrCat(number, " is no ", field->enum_type()->name()));
      }
      return;
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string scratch;
      const std::string& value =
          repeated ? reflection->GetRepeatedStringReference(message, field, place.index, &scratch)
                   : reflection->GetStringReference(message, field, &scratch);
      if (value.size() > kMaxStringBytes) {
        violations.Require(false, PathOf(place),
                           absl::StrCat(value.size(), " bytes, at most ", kMaxStringBytes));
      }
      return;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      CheckMessage(repeated ? reflection->GetRepeatedMessage(message, field, place.index)
                            : reflection->GetMessage(message, field),
                   &place, violations);
      return;
    default:
      return;
  }
}

void CheckMessage(const Message& message, const Place* above, Violations& violations) {
  const auto complain = [&](std::string_view problem) {
    violations.Require(false, above == nullptr ? "request" : PathOf(*above), problem);
  };
  const Descriptor* descriptor = message.GetDescriptor();
  const Reflection* reflection = message.GetReflection();
  const auto number = [&](int tag) {
    const FieldDescriptor* field = descriptor->FindFieldByNumber(tag);
    return field->cpp_type() == FieldDescriptor::CPPTYPE_INT64
               ? reflection->GetInt64(message, field)
               : int64_t{reflection->GetInt32(message, field)};
  };
  switch (descriptor->well_known_type()) {
    case Descriptor::WELLKNOWNTYPE_TIMESTAMP: {
      const int64_t seconds = number(google::protobuf::Timestamp::kSecondsFieldNumber);
      const int64_t nanos = number(google::protobuf::Timestamp::kNanosFieldNumber);
      if (seconds < 0 || seconds > kLastSecondOfYear9999) {
        complain("must lie in the years 1970 to 9999");
      } else if (nanos < 0 || nanos > kMaxNanos) {
        complain("nanos must be 0 to 999999999");
      }
      return;
    }
    case Descriptor::WELLKNOWNTYPE_DURATION: {
      const int64_t seconds = number(google::protobuf::Duration::kSecondsFieldNumber);
      const int64_t nanos = number(google::protobuf::Duration::kNanosFieldNumber);
      if (seconds < -kHundredYearsSeconds || seconds > kHundredYearsSeconds) {
        complain("must be within 100 years");
      } else if (nanos < -kMaxNanos || nanos > kMaxNanos || (seconds > 0 && nanos < 0) ||
                 (seconds < 0 && nanos > 0)) {
        complain("nanos must be within 999999999 and have the sign of the seconds");
      }
      return;
    }
    default:
      break;
  }
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (!field->is_repeated()) {
      CheckValue(message, Place{above, field, -1}, violations);
      continue;
    }
    const int size = reflection->FieldSize(message, field);
    if (size > kMaxListEntries) {
      violations.Require(false, PathOf(Place{above, field, -1}),
                         absl::StrCat(size, " entries, at most ", kMaxListEntries));
      continue;
    }
    const FieldDescriptor::CppType type = field->cpp_type();
    if (type != FieldDescriptor::CPPTYPE_ENUM && type != FieldDescriptor::CPPTYPE_STRING &&
        type != FieldDescriptor::CPPTYPE_MESSAGE) {
      continue;  // any number of the right type has a good shape
    }
    for (int i = 0; i < size; ++i) CheckValue(message, Place{above, field, i}, violations);
  }
}

}  // namespace

absl::Status WithReason(absl::Status status, std::string_view reason, ErrorMetadata metadata) {
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain("tandem");
  for (const auto& [key, value] : metadata) (*info.mutable_metadata())[std::string(key)] = value;
  Attach(status, info);
  return status;
}

absl::Status WithRetryAfter(absl::Status status, absl::Duration after) {
  google::rpc::RetryInfo info;
  absl::Duration rest;
  const int64_t seconds =
      absl::IDivDuration(std::max(after, absl::ZeroDuration()), absl::Seconds(1), &rest);
  info.mutable_retry_delay()->set_seconds(seconds);
  info.mutable_retry_delay()->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  Attach(status, info);
  return status;
}

absl::Status NotFound(std::string_view what, std::string_view id) {
  const std::string name = absl::StrReplaceAll(std::string(what), {{" ", "_"}, {"-", "_"}});
  absl::Status status = absl::NotFoundError(absl::StrCat(Named(what, id), " does not exist"));
  const std::string reason = absl::StrCat(absl::AsciiStrToUpper(name), "_NOT_FOUND");
  if (!id::IsWellFormed(id)) return WithReason(std::move(status), reason);
  return WithReason(std::move(status), reason, {{absl::StrCat(name, "_id"), std::string(id)}});
}

absl::Status NotHeardOf(std::string_view kind, std::string_view id) {
  absl::Status status = NotFound(kind, id);
  // Ids hold no line feed, and kinds are ours.
  status.SetPayload(kUnheard, absl::Cord(absl::StrCat(std::string(kind), "\n", std::string(id))));
  return status;
}

absl::Status WithIdsOf(const Message& request, absl::Status status) {
  const auto payload =
      status.GetPayload(absl::StrCat(kTypeUrl, google::rpc::ErrorInfo::descriptor()->full_name()));
  google::rpc::ErrorInfo info;
  if (!payload.has_value() || !info.ParseFromString(std::string(*payload))) return status;
  const auto add = [&info](const Message& part) {
    std::vector<const FieldDescriptor*> fields;
    part.GetReflection()->ListFields(part, &fields);
    for (const FieldDescriptor* field : fields) {
      if (field->is_repeated() || field->type() != FieldDescriptor::TYPE_STRING ||
          !absl::EndsWith(field->name(), "_id") || field->name() == "request_id") {
        continue;
      }
      std::string value = part.GetReflection()->GetString(part, field);
      // What is no id may be a text that a person wrote.
      if (id::IsWellFormed(value))
        info.mutable_metadata()->insert({field->name(), std::move(value)});
    }
  };
  add(request);
  std::vector<const FieldDescriptor*> fields;
  request.GetReflection()->ListFields(request, &fields);
  for (const FieldDescriptor* field : fields) {
    if (!field->is_repeated() && field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      add(request.GetReflection()->GetMessage(request, field));
    }
  }
  Attach(status, info);
  return status;
}

std::optional<Unheard> UnheardIn(const absl::Status& status) {
  const auto payload = status.GetPayload(kUnheard);
  if (!payload.has_value()) return std::nullopt;
  std::pair<std::string, std::string> parts =
      absl::StrSplit(std::string(*payload), absl::MaxSplits('\n', 1));
  return Unheard{std::move(parts.first), std::move(parts.second)};
}

absl::Status SubjectParked(std::string_view subject) {
  return FailedPrecondition(
      "SUBJECT_PARKED",
      absl::StrCat("events of ", std::string(subject),
                   " wait among the dead letters, so its state here is not complete; see them with "
                   "tandemctl dead-letter list, then retry or drop them"),
      {{"subject", std::string(subject)}});
}

absl::Status FailedPrecondition(std::string_view reason, std::string_view message,
                                ErrorMetadata metadata) {
  return WithReason(absl::FailedPreconditionError(std::string(message)), reason, metadata);
}

absl::Status VersionConflict(std::string_view what, std::string_view id, int64_t expected,
                             int64_t current) {
  return WithReason(
      absl::AbortedError(absl::StrCat(Named(what, id), " has version ", current, ", not ", expected,
                                      "; read it again")),
      "VERSION_CONFLICT",
      {{"expected_version", absl::StrCat(expected)}, {"current_version", absl::StrCat(current)}});
}

bool Violations::Require(bool good, std::string_view field, std::string_view problem) {
  if (!good) violations_.push_back({std::string(field), std::string(problem)});
  return good;
}

bool Violations::Id(std::string_view field, std::string_view value, bool optional) {
  if (value.empty()) return Require(optional, field, "is required");
  return Require(id::IsWellFormed(value), field, "must be 1 to 128 bytes of A-Z a-z 0-9 _ . : -");
}

bool Violations::Text(std::string_view field, std::string_view value, size_t max_bytes,
                      bool optional) {
  if (value.empty()) return Require(optional, field, "is required");
  if (value.size() > max_bytes) {
    return Require(false, field, absl::StrCat(value.size(), " bytes, at most ", max_bytes));
  }
  if (value.find('\0') != std::string_view::npos) return Require(false, field, "holds a NUL");
  return Require(config::IsValidUtf8(value), field, "is not UTF-8") &&
         Require(value.empty() || config::HasVisible(value), field, "is blank");
}

bool Violations::Line(std::string_view field, std::string_view value, size_t max_bytes,
                      bool optional) {
  if (!Text(field, value, max_bytes, optional)) return false;
  bool has_control = false;
  while (!value.empty()) has_control |= IsControl(config::TakeCodePoint(&value));
  return Require(!has_control, field, "holds a control character");
}

bool Violations::Language(std::string_view field, std::string_view value, bool optional) {
  if (value.empty()) return Require(optional, field, "is required");
  const bool is_tag = std::all_of(value.begin(), value.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-';
  });
  return Require(value.size() <= 35 && is_tag, field,
                 "must be a BCP 47 tag: 1 to 35 bytes of A-Z a-z 0-9 -");
}

bool Violations::Key(std::string_view field, std::string_view value, bool optional) {
  if (value.empty()) return Require(optional, field, "is required");
  const auto is_key_char = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
  };
  return Require(value.size() <= 64 && std::all_of(value.begin(), value.end(), is_key_char), field,
                 "must be 1 to 64 bytes of a-z 0-9 _ . -");
}

bool Violations::Count(std::string_view field, size_t size, size_t max) {
  if (size <= max) return true;
  return Require(false, field, absl::StrCat(size, " entries, at most ", max));
}

bool Violations::Range(std::string_view field, int64_t value, int64_t min, int64_t max) {
  if (value >= min && value <= max) return true;
  return Require(false, field, absl::StrCat(value, " is not within ", min, " to ", max));
}

bool Violations::PageSize(int64_t value, int64_t max) { return Range("page_size", value, 0, max); }

void Violations::Absorb(const absl::Status& status) {
  const auto payload = status.GetPayload("type.googleapis.com/google.rpc.BadRequest");
  google::rpc::BadRequest bad;
  if (!payload.has_value() || !bad.ParseFromString(std::string(*payload))) return;
  for (const google::rpc::BadRequest::FieldViolation& violation : bad.field_violations()) {
    const bool is_known = std::any_of(violations_.begin(), violations_.end(), [&](const auto& one) {
      return one.field == violation.field() && one.problem == violation.description();
    });
    if (!is_known) violations_.push_back({violation.field(), violation.description()});
  }
}

absl::Status Violations::status() const {
  if (violations_.empty()) return absl::OkStatus();
  google::rpc::BadRequest details;
  std::string message;
  for (size_t i = 0; i < violations_.size(); ++i) {
    const Violation& violation = violations_[i];
    if (message.size() + violation.field.size() + violation.problem.size() > kMaxListedBytes) {
      absl::StrAppend(&message, i == 0 ? "" : "; ", violations_.size() - i,
                      i == 0 ? " bad fields" : " more bad fields");
      break;
    }
    absl::StrAppend(&message, i == 0 ? "" : "; ", violation.field, ": ", violation.problem);
    auto* entry = details.add_field_violations();
    entry->set_field(violation.field);
    entry->set_description(violation.problem);
  }
  absl::Status status = absl::InvalidArgumentError(message);
  Attach(status, details);
  return status;
}

void CheckShape(const Message& message, Violations& violations) {
  CheckMessage(message, nullptr, violations);
}

}  // namespace tandem::corridor
