#include "services/tandemctl/cells.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/cli/human.h"
#include "common/cli/table.h"
#include "services/tandemctl/fields.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::tandemctl {
namespace {

namespace pb = google::protobuf;
using pb::Descriptor;
using pb::FieldDescriptor;
using pb::Message;

absl::Duration SecondsAndNanos(const Message& message) {
  const Descriptor& type = *message.GetDescriptor();
  const pb::Reflection& reflection = *message.GetReflection();
  return absl::Seconds(reflection.GetInt64(message, type.FindFieldByName("seconds"))) +
         absl::Nanoseconds(reflection.GetInt32(message, type.FindFieldByName("nanos")));
}

std::string Element(const Message& message, const FieldDescriptor& field, int index, Form form,
                    const Looks& looks);

std::string MessageText(const Message& message, const Looks& looks) {
  const Descriptor& type = *message.GetDescriptor();
  if (type.well_known_type() == Descriptor::WELLKNOWNTYPE_TIMESTAMP) {
    return InstantText(absl::UnixEpoch() + SecondsAndNanos(message), looks);
  }
  if (type.well_known_type() == Descriptor::WELLKNOWNTYPE_DURATION) {
    return cli::HumanDuration(SecondsAndNanos(message));
  }
  if (&type == type::v1::PolicyRef::descriptor()) {
    const auto& policy = static_cast<const type::v1::PolicyRef&>(message);
    if (policy.kind().empty()) return "";
    return absl::StrCat(policy.kind(), " v", policy.version(), policy.rule().empty() ? "" : ", ",
                        policy.rule());
  }
  if (IsPair(type)) {
    return absl::StrCat(Element(message, *type.field(0), -1, Form::kPlain, looks), "=",
                        Element(message, *type.field(1), -1, Form::kPlain, looks));
  }
  return message.ShortDebugString();
}

std::string IntegerText(int64_t value, Form form) {
  switch (form) {
    case Form::kHundredths:
      if (value < 0) return "-";
      return absl::StrFormat("%d.%02d", value / 100, value % 100);
    case Form::kMicros:
      return cli::HumanDuration(absl::Microseconds(value));
    default:
      return absl::StrCat(value);
  }
}

// One value; `index` -1 for a field that is not repeated.
std::string Element(const Message& message, const FieldDescriptor& field, int index, Form form,
                    const Looks& looks) {
  const pb::Reflection& reflection = *message.GetReflection();
  const bool repeated = index >= 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return IntegerText(repeated ? reflection.GetRepeatedInt32(message, &field, index)
                                  : reflection.GetInt32(message, &field),
                         form);
    case FieldDescriptor::CPPTYPE_INT64:
      return IntegerText(repeated ? reflection.GetRepeatedInt64(message, &field, index)
                                  : reflection.GetInt64(message, &field),
                         form);
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      const double value = repeated ? reflection.GetRepeatedDouble(message, &field, index)
                                    : reflection.GetDouble(message, &field);
      return form == Form::kShare ? absl::StrFormat("%.1f %%", 100 * value)
                                  : absl::StrFormat("%.2f", value);
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      return (repeated ? reflection.GetRepeatedBool(message, &field, index)
                       : reflection.GetBool(message, &field))
                 ? "yes"
                 : "no";
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int number = repeated ? reflection.GetRepeatedEnumValue(message, &field, index)
                                  : reflection.GetEnumValue(message, &field);
      const pb::EnumValueDescriptor* value = field.enum_type()->FindValueByNumber(number);
      // A newer server may know more values than this program.
      if (value == nullptr) return absl::StrCat(number);
      return number == 0 ? "" : EnumWord(*value);
    }
    case FieldDescriptor::CPPTYPE_STRING:
      if (field.type() == FieldDescriptor::TYPE_BYTES) return "(bytes)";
      return repeated ? reflection.GetRepeatedString(message, &field, index)
                      : reflection.GetString(message, &field);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return MessageText(repeated ? reflection.GetRepeatedMessage(message, &field, index)
                                  : reflection.GetMessage(message, &field),
                         looks);
    default:
      return "";
  }
}

bool IsNumber(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return true;
    default:
      return field.message_type() != nullptr &&
             field.message_type()->well_known_type() == Descriptor::WELLKNOWNTYPE_DURATION;
  }
}

cli::Column TableColumn(const Descriptor& type, const Column& column) {
  const FieldDescriptor* field = FindField(type, column.path);
  cli::Column made{column.title};
  if (field == nullptr) return made;
  const bool is_number = column.form == Form::kCount || (!field->is_repeated() && IsNumber(*field));
  made.align = is_number ? cli::Align::kRight : cli::Align::kLeft;
  made.is_kept_whole =
      is_number || absl::EndsWith(field->name(), "_id") ||
      (field->message_type() != nullptr &&
       field->message_type()->well_known_type() == Descriptor::WELLKNOWNTYPE_TIMESTAMP);
  return made;
}

std::string Title(const std::string& name) {
  return absl::AsciiStrToUpper(absl::StrReplaceAll(name, {{"_", " "}, {".", " "}}));
}

// The lines of a message's own fields; its repeated messages are noted for later.
struct DetailLines {
  std::vector<std::pair<std::string, std::string>> lines;
  std::vector<std::pair<const Message*, const FieldDescriptor*>> tables;
};

void Collect(const Message& message, const std::string& prefix, const Looks& looks,
             DetailLines* out) {
  const Descriptor& type = *message.GetDescriptor();
  const pb::Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const Descriptor* inner = field.message_type();
    const std::string name = absl::StrCat(prefix, field.name());
    if (inner != nullptr && field.is_repeated() && !field.is_map() && !IsScalarMessage(*inner)) {
      if (reflection.FieldSize(message, &field) > 0) out->tables.emplace_back(&message, &field);
    } else if (inner != nullptr && !field.is_repeated() && !IsScalarMessage(*inner)) {
      if (!reflection.HasField(message, &field)) continue;
      // What an answer consists of needs no prefix; what is inside that does.
      const bool is_outermost =
          prefix.empty() && message.GetDescriptor()->name().find("Response") != std::string::npos;
      Collect(reflection.GetMessage(message, &field), is_outermost ? "" : absl::StrCat(name, "."),
              looks, out);
    } else {
      std::string text = Cell(message, field.name(), Form::kPlain, looks);
      if (!text.empty()) out->lines.emplace_back(Title(name), std::move(text));
    }
  }
}

}  // namespace

bool IsScalarMessage(const Descriptor& type) {
  return type.well_known_type() == Descriptor::WELLKNOWNTYPE_TIMESTAMP ||
         type.well_known_type() == Descriptor::WELLKNOWNTYPE_DURATION ||
         &type == type::v1::PolicyRef::descriptor() || IsPair(type);
}

std::string InstantText(absl::Time instant, const Looks& looks, bool is_exact) {
  return absl::FormatTime(is_exact ? "%Y-%m-%d %H:%M:%E*S" : "%Y-%m-%d %H:%M:%S", instant,
                          looks.zone) +
         (looks.zone.At(instant).offset == 0 ? "Z" : absl::FormatTime("%Ez", instant, looks.zone));
}

absl::Time InstantIn(const Message& message, const std::string& field) {
  const FieldDescriptor* found = message.GetDescriptor()->FindFieldByName(field);
  if (!message.GetReflection()->HasField(message, found)) return absl::InfinitePast();
  return absl::UnixEpoch() + SecondsAndNanos(message.GetReflection()->GetMessage(message, found));
}

absl::Duration DurationIn(const Message& message, const std::string& field) {
  const FieldDescriptor* found = message.GetDescriptor()->FindFieldByName(field);
  return SecondsAndNanos(message.GetReflection()->GetMessage(message, found));
}

std::string StringIn(const Message& message, const std::string& field) {
  return message.GetReflection()->GetString(message,
                                            message.GetDescriptor()->FindFieldByName(field));
}

int64_t IntegerIn(const Message& message, const std::string& field) {
  const FieldDescriptor* found = message.GetDescriptor()->FindFieldByName(field);
  return found->cpp_type() == FieldDescriptor::CPPTYPE_INT32
             ? message.GetReflection()->GetInt32(message, found)
             : message.GetReflection()->GetInt64(message, found);
}

std::string WordIn(const Message& message, const std::string& field) {
  return Element(message, *message.GetDescriptor()->FindFieldByName(field), -1, Form::kPlain, {});
}

std::string Cell(const Message& message, const std::string& path, Form form, const Looks& looks) {
  const std::vector<std::string> parts = absl::StrSplit(path, '.');
  const Message* here = &message;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    const FieldDescriptor* field = here->GetDescriptor()->FindFieldByName(parts[i]);
    if (field == nullptr || !here->GetReflection()->HasField(*here, field)) return "";
    here = &here->GetReflection()->GetMessage(*here, field);
  }
  const FieldDescriptor* field = here->GetDescriptor()->FindFieldByName(parts.back());
  if (field == nullptr) return "";
  const pb::Reflection& reflection = *here->GetReflection();
  if (field->is_repeated()) {
    const int size = reflection.FieldSize(*here, field);
    if (form == Form::kCount) return absl::StrCat(size);
    std::vector<std::string> elements;
    for (int i = 0; i < size; ++i) {
      if (field->is_map()) {
        const Message& entry = reflection.GetRepeatedMessage(*here, field, i);
        elements.push_back(absl::StrCat(Cell(entry, "key", Form::kPlain, looks), "=",
                                        Cell(entry, "value", Form::kPlain, looks)));
      } else {
        elements.push_back(Element(*here, *field, i, form, looks));
      }
    }
    // A map has no order of its own.
    if (field->is_map()) std::sort(elements.begin(), elements.end());
    return absl::StrJoin(elements, ", ");
  }
  // Numbers that are 0 say something in a table; what is absent or empty does not.
  const bool is_plain_number = IsNumber(*field) && !field->has_presence();
  if (!is_plain_number && !reflection.HasField(*here, field)) return "";
  return Element(*here, *field, -1, form, looks);
}

std::string Rows(const Message& reply, const std::string& rows, const std::vector<Column>& columns,
                 const Looks& looks) {
  const FieldDescriptor* field = reply.GetDescriptor()->FindFieldByName(rows);
  const int size = reply.GetReflection()->FieldSize(reply, field);
  if (size == 0) return absl::StrCat("no ", absl::StrReplaceAll(rows, {{"_", " "}}), "\n");
  std::vector<cli::Column> titles;
  for (const Column& column : columns) {
    titles.push_back(TableColumn(*field->message_type(), column));
  }
  cli::Table table(std::move(titles));
  for (int i = 0; i < size; ++i) {
    const Message& row = reply.GetReflection()->GetRepeatedMessage(reply, field, i);
    std::vector<std::string> cells;
    for (const Column& column : columns) {
      cells.push_back(Cell(row, column.path, column.form, looks));
    }
    table.Add(std::move(cells));
  }
  return table.Text(looks.screen);
}

std::string Details(const Message& reply, const Looks& looks) {
  DetailLines details;
  Collect(reply, "", looks, &details);
  size_t width = 0;
  for (const auto& [name, text] : details.lines) width = std::max(width, name.size());
  std::string text;
  cli::Table lines({{"", cli::Align::kLeft, true}, {""}});
  for (auto& [name, value] : details.lines) lines.Add({name, value});
  if (lines.size() > 0) {
    text = lines.Text(looks.screen);
    text.erase(0, text.find('\n') + 1);  // the empty titles
  }
  for (const auto& [message, field] : details.tables) {
    std::vector<Column> columns;
    const Descriptor& type = *field->message_type();
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor& column = *type.field(i);
      // A column that is empty in all rows tells nothing.
      bool is_used = false;
      for (int row = 0; row < message->GetReflection()->FieldSize(*message, field); ++row) {
        const std::string cell =
            Cell(message->GetReflection()->GetRepeatedMessage(*message, field, row), column.name(),
                 Form::kPlain, looks);
        is_used = is_used || !(cell.empty() || cell == "0");
      }
      if (is_used) columns.push_back({Title(column.name()), column.name()});
    }
    if (!text.empty()) text += "\n";
    absl::StrAppend(&text, Title(field->name()), ":\n",
                    Rows(*message, field->name(), columns, looks));
  }
  return text.empty() ? "done\n" : text;
}

}  // namespace tandem::tandemctl
