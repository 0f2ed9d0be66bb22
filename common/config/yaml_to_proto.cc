#include "common/config/yaml_to_proto.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "common/config/duration.h"
#include "common/config/nearest_name.h"
#include "common/config/views.h"
#include "common/config/yaml.h"

namespace tandem::config {

namespace pb = google::protobuf;
using CppType = pb::FieldDescriptor;

namespace {

// "TicketState" → "TICKET_STATE_", the prefix that style guides give an enum's values.
std::string PrefixOf(const pb::EnumDescriptor& type) {
  std::string prefix;
  for (const char c : type.name()) {
    const bool is_upper = absl::ascii_isupper(static_cast<unsigned char>(c));
    if (is_upper && !prefix.empty()) prefix += '_';
    prefix += absl::ascii_toupper(static_cast<unsigned char>(c));
  }
  return prefix + "_";
}

std::string ShortName(const pb::EnumValueDescriptor& value) {
  return std::string(absl::StripPrefix(value.name(), PrefixOf(*value.type())));
}

bool IsUnspecified(const pb::EnumValueDescriptor& value) {
  return value.number() == 0 && absl::EndsWith(value.name(), "UNSPECIFIED");
}

std::optional<absl::Time> ParseTime(const std::string& text) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
    if (text.size() != 10 ||
        !absl::ParseTime("%Y-%m-%d", text, absl::UTCTimeZone(), &time, &error)) {
      return std::nullopt;
    }
  }
  // The range of google.protobuf.Timestamp; absl also reads "infinite-future".
  static const absl::Time first = absl::FromUnixSeconds(-62'135'596'800);
  static const absl::Time end = absl::FromUnixSeconds(253'402'300'800);
  if (time < first || time >= end) return std::nullopt;
  return time;
}

// Seconds and nanoseconds of Duration and Timestamp, by reflection so that dynamic messages work.
void SetSecondsAndNanos(int64_t seconds, int32_t nanos, pb::Message* message) {
  const pb::Descriptor& type = *message->GetDescriptor();
  message->GetReflection()->SetInt64(message, type.FindFieldByName("seconds"), seconds);
  message->GetReflection()->SetInt32(message, type.FindFieldByName("nanos"), nanos);
}

bool IsWrapper(const pb::Descriptor& type) {
  switch (type.well_known_type()) {
    case pb::Descriptor::WELLKNOWNTYPE_DOUBLEVALUE:
    case pb::Descriptor::WELLKNOWNTYPE_FLOATVALUE:
    case pb::Descriptor::WELLKNOWNTYPE_INT64VALUE:
    case pb::Descriptor::WELLKNOWNTYPE_UINT64VALUE:
    case pb::Descriptor::WELLKNOWNTYPE_INT32VALUE:
    case pb::Descriptor::WELLKNOWNTYPE_UINT32VALUE:
    case pb::Descriptor::WELLKNOWNTYPE_STRINGVALUE:
    case pb::Descriptor::WELLKNOWNTYPE_BYTESVALUE:
    case pb::Descriptor::WELLKNOWNTYPE_BOOLVALUE:
      return true;
    default:
      return false;
  }
}

}  // namespace

const pb::FieldDescriptor* TextBeside(const pb::FieldDescriptor& field) {
  if (field.cpp_type() != CppType::CPPTYPE_MESSAGE || field.is_repeated() ||
      field.message_type()->well_known_type() != pb::Descriptor::WELLKNOWNTYPE_DURATION) {
    return nullptr;
  }
  const pb::FieldDescriptor* const text =
      field.containing_type()->FindFieldByName(absl::StrCat(field.name(), "_text"));
  const bool is_text =
      text != nullptr && text->type() == CppType::TYPE_STRING && !text->is_repeated();
  return is_text ? text : nullptr;
}

std::string SourceLines::At(std::string_view path) const {
  for (;;) {
    if (const auto found = lines_.find(path); found != lines_.end()) {
      return absl::StrCat(file_, ":", found->second);
    }
    if (path.empty()) return file_;
    const size_t cut = path.find_last_of(".[");
    path = cut == std::string_view::npos ? std::string_view() : path.substr(0, cut);
  }
}

bool SourceLines::MayComeOfUnread(std::string_view path) const {
  const size_t cut = path.find_last_of(".[");
  const std::string_view above = cut == std::string_view::npos ? "" : path.substr(0, cut);
  const auto is_in = [](std::string_view inner, std::string_view outer) {
    return outer.empty() || inner == outer ||
           (inner.size() > outer.size() && inner.substr(0, outer.size()) == outer &&
            (inner[outer.size()] == '.' || inner[outer.size()] == '['));
  };
  for (const std::string& unread : unread_) {
    if (is_in(path, unread)) return true;
    // "Needs one of …" is said of the message whose value could not be read.
    const size_t last = unread.find_last_of(".[");
    if (last != std::string::npos && std::string_view(unread).substr(0, last) == path) return true;
  }
  if (with_unknown_.contains(std::string(path))) return true;
  return with_unknown_.contains(std::string(above)) && !lines_.contains(path);
}

class YamlMapper {
 public:
  YamlMapper(std::string_view file, ErrorList* errors, SourceLines* lines)
      : file_(file), errors_(errors), lines_(lines) {
    if (lines_ != nullptr) {
      lines_->file_ = std::string(file);
      lines_->lines_.clear();
      lines_->unread_.clear();
      lines_->with_unknown_.clear();
    }
  }

  void ReadNothing() {
    if (lines_ != nullptr) lines_->unread_.emplace_back();
  }

  // Any message, in whichever form its type is written.
  void FillMessage(const YamlNode& node, const std::string& path, pb::Message* message) {
    Remember(path, node.line);
    const pb::Descriptor& type = *message->GetDescriptor();
    switch (type.well_known_type()) {
      case pb::Descriptor::WELLKNOWNTYPE_DURATION:
        return FillDuration(node, path, message);
      case pb::Descriptor::WELLKNOWNTYPE_TIMESTAMP:
        return FillTimestamp(node, path, message);
      case pb::Descriptor::WELLKNOWNTYPE_ANY:
      case pb::Descriptor::WELLKNOWNTYPE_STRUCT:
      case pb::Descriptor::WELLKNOWNTYPE_VALUE:
      case pb::Descriptor::WELLKNOWNTYPE_LISTVALUE:
        return Fail(node, path, "a field of this type can't be written in a file");
      default:
        break;
    }
    if (IsWrapper(type)) return FillSingle(node, path, *type.FindFieldByName("value"), message);
    if (node.kind != YamlNode::Kind::kMap) {
      return Fail(node, path,
                  absl::StrCat("expected a map with the keys of ", type.name(), ", found ",
                               node.Described()));
    }
    FillFields(node, path, message);
  }

 private:
  void FillFields(const YamlNode& node, const std::string& path, pb::Message* message) {
    const pb::Descriptor& type = *message->GetDescriptor();
    std::map<const pb::OneofDescriptor*, const YamlNode::Key*> chosen;
    for (size_t i = 0; i < node.keys.size(); ++i) {
      const YamlNode::Key& key = node.keys[i];
      const pb::FieldDescriptor* field = type.FindFieldByName(key.text);
      if (field == nullptr) {
        errors_->AddAt(file_, key.line,
                       absl::StrCat(path.empty() ? "" : path + ": ", "unknown key ",
                                    Quoted(key.text), Suggestion(key.text, FieldNames(type))));
        if (lines_ != nullptr) lines_->with_unknown_.insert(path);
        continue;
      }
      if (const pb::OneofDescriptor* oneof = field->real_containing_oneof()) {
        const auto [first, is_first] = chosen.emplace(oneof, &key);
        if (!is_first) {
          errors_->AddAt(
              file_, key.line,
              absl::StrCat(path.empty() ? "" : path + ": ", "only one of '", first->second->text,
                           "' (line ", first->second->line, ") and '", key.text, "' can be set"));
          continue;
        }
      }
      const std::string field_path = path.empty() ? key.text : absl::StrCat(path, ".", key.text);
      Remember(field_path, key.line);
      FillField(node.items[i], field_path, *field, message);
    }
  }

  void FillField(const YamlNode& node, const std::string& path, const pb::FieldDescriptor& field,
                 pb::Message* message) {
    if (field.is_map()) return FillMap(node, path, field, message);
    if (!field.is_repeated()) return FillSingle(node, path, field, message);
    if (node.kind != YamlNode::Kind::kList) {
      return Fail(node, path, absl::StrCat("expected a list, found ", node.Described()));
    }
    for (size_t i = 0; i < node.items.size(); ++i) {
      FillSingle(node.items[i], absl::StrCat(path, "[", i, "]"), field, message);
    }
  }

  void FillMap(const YamlNode& node, const std::string& path, const pb::FieldDescriptor& field,
               pb::Message* message) {
    if (node.kind != YamlNode::Kind::kMap) {
      return Fail(node, path, absl::StrCat("expected a map, found ", node.Described()));
    }
    const pb::Descriptor& entry_type = *field.message_type();
    for (size_t i = 0; i < node.keys.size(); ++i) {
      const std::string entry_path = absl::StrCat(path, ".", node.keys[i].text);
      pb::Message* entry = message->GetReflection()->AddMessage(message, &field);
      YamlNode key;
      key.kind = YamlNode::Kind::kScalar;
      key.line = node.keys[i].line;
      key.text = node.keys[i].text;
      FillSingle(key, entry_path, *entry_type.map_key(), entry);
      FillSingle(node.items[i], entry_path, *entry_type.map_value(), entry);
    }
  }

  // A duration whose message has a text beside it is kept as it is written; what is no duration is
  // then for the message's own check.
  bool KeepText(const YamlNode& node, const std::string& path, const pb::FieldDescriptor& field,
                pb::Message* message) {
    const pb::FieldDescriptor* const text = TextBeside(field);
    if (text == nullptr || node.kind != YamlNode::Kind::kScalar) return false;
    // What is printed has both: there the text is the one that was written.
    if (message->GetReflection()->GetString(*message, text).empty()) {
      message->GetReflection()->SetString(message, text, node.text);
    }
    Remember(path, node.line);
    return !ParseDuration(node.text).ok();
  }

  // Sets a field that is not repeated, or adds one element to a repeated one.
  void FillSingle(const YamlNode& node, const std::string& path, const pb::FieldDescriptor& field,
                  pb::Message* message) {
    if (node.kind == YamlNode::Kind::kNull) {
      return Fail(node, path, "has no value; leave the key out or write one");
    }
    const pb::Reflection& reflection = *message->GetReflection();
    if (field.cpp_type() == CppType::CPPTYPE_MESSAGE) {
      if (KeepText(node, path, field, message)) return;
      if (field.type() == CppType::TYPE_GROUP) return Fail(node, path, "groups are not supported");
      return FillMessage(node, path,
                         field.is_repeated() ? reflection.AddMessage(message, &field)
                                             : reflection.MutableMessage(message, &field));
    }
    Remember(path, node.line);
    if (node.kind != YamlNode::Kind::kScalar) {
      return Fail(node, path,
                  absl::StrCat("expected ", Expected(field), ", found ", node.Described()));
    }
    const bool adds = field.is_repeated();
    switch (field.cpp_type()) {
      case CppType::CPPTYPE_INT32:
        if (const auto value = Integer<int32_t>(node, path)) {
          adds ? reflection.AddInt32(message, &field, *value)
               : reflection.SetInt32(message, &field, *value);
        }
        return;
      case CppType::CPPTYPE_INT64:
        if (const auto value = Integer<int64_t>(node, path)) {
          adds ? reflection.AddInt64(message, &field, *value)
               : reflection.SetInt64(message, &field, *value);
        }
        return;
      case CppType::CPPTYPE_UINT32:
        if (const auto value = Integer<uint32_t>(node, path)) {
          adds ? reflection.AddUInt32(message, &field, *value)
               : reflection.SetUInt32(message, &field, *value);
        }
        return;
      case CppType::CPPTYPE_UINT64:
        if (const auto value = Integer<uint64_t>(node, path)) {
          adds ? reflection.AddUInt64(message, &field, *value)
               : reflection.SetUInt64(message, &field, *value);
        }
        return;
      case CppType::CPPTYPE_DOUBLE:
        if (const auto value = Number(node, path, std::numeric_limits<double>::max())) {
          adds ? reflection.AddDouble(message, &field, *value)
               : reflection.SetDouble(message, &field, *value);
        }
        return;
      case CppType::CPPTYPE_FLOAT:
        if (const auto value = Number(node, path, std::numeric_limits<float>::max())) {
          const float narrow = static_cast<float>(*value);
          adds ? reflection.AddFloat(message, &field, narrow)
               : reflection.SetFloat(message, &field, narrow);
        }
        return;
      case CppType::CPPTYPE_BOOL:
        if (node.is_quoted || (node.text != "true" && node.text != "false")) {
          return Fail(node, path, absl::StrCat("expected true or false, found ", node.Described()));
        }
        adds ? reflection.AddBool(message, &field, node.text == "true")
             : reflection.SetBool(message, &field, node.text == "true");
        return;
      case CppType::CPPTYPE_ENUM:
        if (!adds && SaysNothing(node, *field.enum_type())) return;
        if (const auto* value = EnumValue(node, path, *field.enum_type())) {
          adds ? reflection.AddEnum(message, &field, value)
               : reflection.SetEnum(message, &field, value);
        }
        return;
      case CppType::CPPTYPE_STRING: {
        std::string text = node.text;
        if (field.type() == CppType::TYPE_BYTES && !absl::Base64Unescape(node.text, &text)) {
          return Fail(node, path, absl::StrCat("expected base64, found ", node.Described()));
        }
        adds ? reflection.AddString(message, &field, std::move(text))
             : reflection.SetString(message, &field, std::move(text));
        return;
      }
      case CppType::CPPTYPE_MESSAGE:
        return;
    }
  }

  void FillDuration(const YamlNode& node, const std::string& path, pb::Message* message) {
    if (node.kind != YamlNode::Kind::kScalar) {
      return Fail(node, path,
                  absl::StrCat("expected a duration such as 30m, 4h, 1h30m or 5d, found ",
                               node.Described()));
    }
    const auto duration = ParseDuration(node.text);
    if (!duration.ok()) return Fail(node, path, Std(duration.status().message()));
    absl::Duration rest;
    const int64_t seconds = absl::IDivDuration(*duration, absl::Seconds(1), &rest);
    SetSecondsAndNanos(seconds, static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)), message);
  }

  void FillTimestamp(const YamlNode& node, const std::string& path, pb::Message* message) {
    const auto time = node.kind == YamlNode::Kind::kScalar ? ParseTime(node.text) : std::nullopt;
    if (!time.has_value()) {
      return Fail(node, path,
                  absl::StrCat("expected an instant such as 2026-11-23T14:00:00Z or a date such as "
                               "2026-11-23, found ",
                               node.Described()));
    }
    const int64_t seconds = absl::ToUnixSeconds(*time);
    const absl::Duration rest = *time - absl::FromUnixSeconds(seconds);
    SetSecondsAndNanos(seconds, static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)), message);
  }

  template <typename T>
  std::optional<T> Integer(const YamlNode& node, const std::string& path) {
    T value = 0;
    // SimpleAtoi alone would take blanks around the digits.
    const bool may_be_quoted = sizeof(T) == sizeof(int64_t);
    const bool is_number =
        (!node.is_quoted || may_be_quoted) && !node.text.empty() &&
        node.text.find_first_not_of("0123456789", node.text.front() == '-' ? 1 : 0) ==
            std::string::npos &&
        node.text != "-";
    if (!is_number) {
      Fail(node, path, absl::StrCat("expected a whole number, found ", node.Described()));
      return std::nullopt;
    }
    if (!absl::SimpleAtoi(node.text, &value)) {
      Fail(node, path,
           absl::StrCat("must be between ", std::numeric_limits<T>::min(), " and ",
                        std::numeric_limits<T>::max(), ", found ", node.Described()));
      return std::nullopt;
    }
    return value;
  }

  std::optional<double> Number(const YamlNode& node, const std::string& path, double largest) {
    double value = 0;
    const bool is_number = !node.is_quoted && !node.text.empty() &&
                           !absl::ascii_isspace(static_cast<unsigned char>(node.text.front())) &&
                           absl::SimpleAtod(node.text, &value) && std::isfinite(value) &&
                           std::fabs(value) <= largest;
    if (is_number) return value;
    Fail(node, path, absl::StrCat("expected a number, found ", node.Described()));
    return std::nullopt;
  }

  // What printed messages say where nothing was said.
  static bool SaysNothing(const YamlNode& node, const pb::EnumDescriptor& type) {
    const pb::EnumValueDescriptor* const none = type.FindValueByNumber(0);
    return none != nullptr && IsUnspecified(*none) &&
           (absl::EqualsIgnoreCase(node.text, none->name()) ||
            absl::EqualsIgnoreCase(node.text, ShortName(*none)));
  }

  const pb::EnumValueDescriptor* EnumValue(const YamlNode& node, const std::string& path,
                                           const pb::EnumDescriptor& type) {
    std::vector<std::string> known;
    for (int i = 0; i < type.value_count(); ++i) {
      const pb::EnumValueDescriptor& value = *type.value(i);
      if (IsUnspecified(value)) continue;
      if (absl::EqualsIgnoreCase(node.text, ShortName(value)) ||
          absl::EqualsIgnoreCase(node.text, value.name())) {
        return &value;
      }
      known.push_back(ShortName(value));
    }
    Fail(
        node, path,
        absl::StrCat("unknown value ", Quoted(node.text), "; known: ", absl::StrJoin(known, ", ")));
    return nullptr;
  }

  static std::string Expected(const pb::FieldDescriptor& field) {
    switch (field.cpp_type()) {
      case CppType::CPPTYPE_INT32:
      case CppType::CPPTYPE_INT64:
      case CppType::CPPTYPE_UINT32:
      case CppType::CPPTYPE_UINT64:
        return "a whole number";
      case CppType::CPPTYPE_DOUBLE:
      case CppType::CPPTYPE_FLOAT:
        return "a number";
      case CppType::CPPTYPE_BOOL:
        return "true or false";
      case CppType::CPPTYPE_ENUM:
        return absl::StrCat("a value of ", field.enum_type()->name());
      default:
        return "text";
    }
  }

  static std::vector<std::string> FieldNames(const pb::Descriptor& type) {
    std::vector<std::string> names;
    for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->name());
    return names;
  }

  void Fail(const YamlNode& node, const std::string& path, std::string_view what) {
    if (lines_ != nullptr) lines_->unread_.push_back(path);
    errors_->AddAt(file_, node.line, absl::StrCat(path.empty() ? "" : path + ": ", Absl(what)));
  }

  void Remember(const std::string& path, int line) {
    // The line of the key, which comes first, is where people look.
    if (lines_ != nullptr) lines_->lines_.emplace(path, line);
  }

  const std::string_view file_;
  ErrorList* const errors_;
  SourceLines* const lines_;
};

namespace {

// What stands under the wrapping's key, or the root itself.
const YamlNode& Unwrapped(const YamlNode& root, const Wrapping& wrapping) {
  const YamlNode* inside = nullptr;
  if (wrapping.key.empty() || root.kind != YamlNode::Kind::kMap) return root;
  for (size_t i = 0; i < root.keys.size(); ++i) {
    const std::string_view key = root.keys[i].text;
    if (key == wrapping.key) {
      inside = &root.items[i];
    } else if (std::find(wrapping.beside.begin(), wrapping.beside.end(), key) ==
               wrapping.beside.end()) {
      return root;
    }
  }
  return inside == nullptr ? root : *inside;
}

}  // namespace

absl::Status YamlToProto(std::string_view text, std::string_view file, pb::Message* message,
                         SourceLines* lines, const Wrapping& wrapping) {
  message->Clear();
  ErrorList errors;
  YamlMapper mapper(file, &errors, lines);
  if (const auto root = ParseYaml(text, file, &errors)) {
    mapper.FillMessage(Unwrapped(*root, wrapping), "", message);
  } else {
    mapper.ReadNothing();
  }
  return errors.ToStatus();
}

}  // namespace tandem::config
