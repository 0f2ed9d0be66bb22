#include "services/tandemctl/fields.h"

#include <cmath>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/config/duration.h"
#include "common/config/nearest_name.h"
#include "common/config/yaml_to_proto.h"
#include "common/time/micros.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/util/json_util.h"
#include "services/tandemctl/proto_comments.h"

namespace tandem::tandemctl {
namespace {

namespace pb = google::protobuf;
using pb::Descriptor;
using pb::FieldDescriptor;
using pb::Message;

absl::Status Expected(const std::string& what, const std::string& found) {
  return absl::InvalidArgumentError(absl::StrCat("expected ", what, ", found '", found, "'"));
}

// SimpleAtoi alone would take blanks around the digits.
bool IsInteger(const std::string& text) {
  const size_t first = absl::StartsWith(text, "-") ? 1 : 0;
  return text.size() > first && text.find_first_not_of("0123456789", first) == std::string::npos;
}

template <typename T>
absl::Status ParseInteger(const std::string& text, T* value) {
  if (!IsInteger(text) || !absl::SimpleAtoi(text, value)) return Expected("a whole number", text);
  return absl::OkStatus();
}

absl::StatusOr<absl::Time> ParseMoment(const std::string& text, absl::Time now) {
  if (text == "now") return now;
  if (absl::StartsWith(text, "+") || absl::StartsWith(text, "-")) {
    const auto offset = config::ParseDuration(text.substr(1));
    if (offset.ok()) return text.front() == '+' ? now + *offset : now - *offset;
  }
  absl::CivilDay day;
  if (absl::ParseCivilTime(text, &day)) return absl::FromCivil(day, absl::UTCTimeZone());
  if (auto instant = time::ParseInstant(text); instant.ok()) return *instant;
  return Expected("an instant such as 2026-11-23T14:00Z, 2026-11-23, now, +2h or -7d", text);
}

// Duration and Timestamp alike.
void SetSecondsAndNanos(int64_t seconds, int64_t nanos, Message* message) {
  const Descriptor& type = *message->GetDescriptor();
  message->GetReflection()->SetInt64(message, type.FindFieldByName("seconds"), seconds);
  message->GetReflection()->SetInt32(message, type.FindFieldByName("nanos"),
                                     static_cast<int32_t>(nanos));
}

absl::Status SetEnum(Message* message, const FieldDescriptor& field, const std::string& text) {
  const std::string wanted = absl::StrReplaceAll(absl::AsciiStrToUpper(text), {{"-", "_"}});
  const pb::EnumDescriptor& type = *field.enum_type();
  const pb::EnumValueDescriptor* found = nullptr;
  if (wanted == "NONE") found = type.FindValueByNumber(0);
  for (int i = 0; i < type.value_count() && found == nullptr; ++i) {
    if (wanted == EnumWord(*type.value(i)) || wanted == type.value(i)->name()) {
      found = type.value(i);
    }
  }
  if (found == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown value '", text, "'", config::Suggestion(text, EnumWords(type))));
  }
  const pb::Reflection& reflection = *message->GetReflection();
  field.is_repeated() ? reflection.AddEnum(message, &field, found)
                      : reflection.SetEnum(message, &field, found);
  return absl::OkStatus();
}

absl::Status SetHere(Message* message, const FieldDescriptor& field, const std::string& text,
                     absl::Time now);

absl::Status FillMessage(Message* message, const std::string& text, absl::Time now) {
  const Descriptor& type = *message->GetDescriptor();
  switch (type.well_known_type()) {
    case Descriptor::WELLKNOWNTYPE_TIMESTAMP: {
      const auto moment = ParseMoment(text, now);
      if (!moment.ok()) return moment.status();
      const int64_t seconds = absl::ToUnixSeconds(*moment);
      SetSecondsAndNanos(
          seconds, absl::ToInt64Nanoseconds(*moment - absl::FromUnixSeconds(seconds)), message);
      return absl::OkStatus();
    }
    case Descriptor::WELLKNOWNTYPE_DURATION: {
      const auto duration = config::ParseDuration(text);
      if (!duration.ok()) return duration.status();
      absl::Duration rest;
      const int64_t seconds = absl::IDivDuration(*duration, absl::Seconds(1), &rest);
      SetSecondsAndNanos(seconds, absl::ToInt64Nanoseconds(rest), message);
      return absl::OkStatus();
    }
    case Descriptor::WELLKNOWNTYPE_FIELDMASK:
      for (absl::string_view path : absl::StrSplit(text, ',', absl::SkipEmpty())) {
        message->GetReflection()->AddString(message, type.FindFieldByName("paths"),
                                            std::string(absl::StripAsciiWhitespace(path)));
      }
      return absl::OkStatus();
    default:
      break;
  }
  if (IsPair(type) && !absl::StartsWith(text, "{")) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos) {
      return Expected(
          absl::AsciiStrToUpper(absl::StrCat(type.field(0)->name(), "=", type.field(1)->name())),
          text);
    }
    const absl::Status first = SetHere(message, *type.field(0), text.substr(0, equals), now);
    if (!first.ok()) return first;
    return SetHere(message, *type.field(1), text.substr(equals + 1), now);
  }
  const auto read = pb::util::JsonStringToMessage(text, message);
  if (!read.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected ", type.name(), " as JSON: ", std::string(read.message())));
  }
  return absl::OkStatus();
}

// Sets a field of the message itself, or adds one element.
absl::Status SetHere(Message* message, const FieldDescriptor& field, const std::string& text,
                     absl::Time now) {
  const pb::Reflection& reflection = *message->GetReflection();
  // A duration that is kept as it is written may have another form: "5 working days".
  if (const FieldDescriptor* const kept = config::TextBeside(field)) {
    reflection.SetString(message, kept, text);
    if (!config::ParseDuration(text).ok()) return absl::OkStatus();
  }
  const bool adds = field.is_repeated();
  absl::Status status;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: {
      int32_t value = 0;
      status = ParseInteger(text, &value);
      if (!status.ok()) return status;
      adds ? reflection.AddInt32(message, &field, value)
           : reflection.SetInt32(message, &field, value);
      return status;
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      int64_t value = 0;
      status = ParseInteger(text, &value);
      if (!status.ok()) return status;
      adds ? reflection.AddInt64(message, &field, value)
           : reflection.SetInt64(message, &field, value);
      return status;
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double value = 0;
      if (!absl::SimpleAtod(text, &value) || !std::isfinite(value)) {
        return Expected("a number", text);
      }
      adds ? reflection.AddDouble(message, &field, value)
           : reflection.SetDouble(message, &field, value);
      return status;
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text != "true" && text != "false") return Expected("true or false", text);
      adds ? reflection.AddBool(message, &field, text == "true")
           : reflection.SetBool(message, &field, text == "true");
      return status;
    case FieldDescriptor::CPPTYPE_ENUM:
      return SetEnum(message, field, text);
    case FieldDescriptor::CPPTYPE_STRING:
      adds ? reflection.AddString(message, &field, text)
           : reflection.SetString(message, &field, text);
      return status;
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (field.is_map()) {
        const size_t equals = text.find('=');
        if (equals == std::string::npos) return Expected("KEY=VALUE", text);
        Message* const entry = reflection.AddMessage(message, &field);
        const Descriptor& type = *field.message_type();
        status = SetHere(entry, *type.map_key(), text.substr(0, equals), now);
        if (!status.ok()) return status;
        return SetHere(entry, *type.map_value(), text.substr(equals + 1), now);
      }
      return FillMessage(adds ? reflection.AddMessage(message, &field)
                              : reflection.MutableMessage(message, &field),
                         text, now);
    default:
      return absl::InvalidArgumentError(
          absl::StrCat(field.full_name(), " cannot be written as a word; use 'call'"));
  }
}

}  // namespace

const FieldDescriptor* FindField(const Descriptor& type, const std::string& path) {
  const Descriptor* here = &type;
  const FieldDescriptor* field = nullptr;
  for (absl::string_view part : absl::StrSplit(path, '.')) {
    if (here == nullptr || (field != nullptr && field->is_repeated())) return nullptr;
    field = here->FindFieldByName(std::string(part));
    if (field == nullptr) return nullptr;
    here = field->message_type();
  }
  return field;
}

std::string EnumWord(const pb::EnumValueDescriptor& value) {
  // Every enum's zero is <PREFIX>_UNSPECIFIED.
  const std::string& zero = value.type()->value(0)->name();
  const std::string prefix(absl::StripSuffix(zero, "UNSPECIFIED"));
  return std::string(absl::StripPrefix(value.name(), prefix));
}

std::vector<std::string> EnumWords(const pb::EnumDescriptor& type) {
  std::vector<std::string> words;
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() != 0) words.push_back(EnumWord(*type.value(i)));
  }
  return words;
}

bool IsPair(const Descriptor& type) {
  const auto is_word = [](const FieldDescriptor& field) {
    return !field.is_repeated() && (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING ||
                                    field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM);
  };
  return type.field_count() == 2 && type.real_oneof_decl_count() == 0 && is_word(*type.field(0)) &&
         is_word(*type.field(1)) && !type.options().map_entry();
}

std::string ValueHelp(const FieldDescriptor& field) {
  std::string help = CommentOf(field);
  const auto append = [&help](const auto&... parts) {
    if (!help.empty()) help += " ";
    absl::StrAppend(&help, parts...);
  };
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    append("One of ", absl::StrJoin(EnumWords(*field.enum_type()), ", "), ".");
  } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    const Descriptor& type = *field.message_type();
    if (field.is_map()) {
      append("As KEY=VALUE.");
    } else if (type.well_known_type() == Descriptor::WELLKNOWNTYPE_TIMESTAMP) {
      append("As 2026-11-23T14:00Z, 2026-11-23, now, +2h or -7d.");
    } else if (type.well_known_type() == Descriptor::WELLKNOWNTYPE_DURATION) {
      append("As 30m, 4h or 5d.");
    } else if (IsPair(type)) {
      append("As ",
             absl::AsciiStrToUpper(absl::StrCat(type.field(0)->name(), "=", type.field(1)->name())),
             ".");
    } else {
      append("As JSON (", type.name(), ").");
    }
  }
  if (field.is_repeated()) append("May be given several times.");
  return help;
}

absl::Status SetField(Message* message, const std::string& path, const std::string& text,
                      absl::Time now) {
  if (FindField(*message->GetDescriptor(), path) == nullptr) {
    return absl::InternalError(
        absl::StrCat(message->GetDescriptor()->full_name(), " has no field ", path));
  }
  const std::vector<std::string> parts = absl::StrSplit(path, '.');
  Message* here = message;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    here = here->GetReflection()->MutableMessage(here,
                                                 here->GetDescriptor()->FindFieldByName(parts[i]));
  }
  return SetHere(here, *here->GetDescriptor()->FindFieldByName(parts.back()), text, now);
}

}  // namespace tandem::tandemctl
