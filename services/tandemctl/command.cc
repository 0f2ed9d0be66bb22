#include "services/tandemctl/command.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/cli/json.h"
#include "common/cli/text_width.h"
#include "common/cli/yaml.h"
#include "common/config/error_list.h"
#include "common/config/text_file.h"
#include "common/config/yaml.h"
#include "common/config/yaml_to_proto.h"
#include "common/corridor/endpoint.h"
#include "common/time/micros.h"
#include "google/protobuf/timestamp.pb.h"
#include "services/tandemctl/error_text.h"
#include "services/tandemctl/fields.h"

namespace tandem::tandemctl {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int64_t kDefaultLimit = 100;

[[noreturn]] void Mistake(const Command& command, const std::string& what) {
  std::fprintf(stderr, "mistake in the command '%s': %s\n", command.path.c_str(), what.c_str());
  std::abort();
}

bool Contains(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

// "watcher_contact_ids" → "watcher-contact", "severities" → "severity", "version" → "if-version".
std::string FlagName(const FieldDescriptor& field) {
  std::string name = absl::StrReplaceAll(field.name(), {{"_", "-"}});
  if (name == "version") return "if-version";  // --version is the program's
  if (field.is_repeated()) {
    if (absl::EndsWith(name, "ies")) {
      name = name.substr(0, name.size() - 3) + "y";
    } else if (absl::EndsWith(name, "s")) {
      name.pop_back();
    }
  }
  if (name.size() > 3 && absl::EndsWith(name, "-id")) name.resize(name.size() - 3);
  return name;
}

// A field that a flag sets.
struct Slot {
  std::string path;
  std::string flag;
  const FieldDescriptor* field = nullptr;
  std::string otherwise;
  // What was given: the one for a bool, the other for the rest.
  bool is_set = false;
  std::vector<std::string> texts;
};

// What a command's options were read into; shared by declaring and running it.
struct State {
  Command command;
  const Descriptor* type = nullptr;
  std::vector<std::unique_ptr<Slot>> slots;
  std::vector<std::string> arguments;
  std::string file;
  bool replaces = false;
  std::vector<std::string> clear;
  int64_t limit = kDefaultLimit;
  std::string page_token;
  bool is_list = false;
};

void CollectSlots(const Command& command, const Descriptor& type, const std::string& prefix,
                  std::vector<std::unique_ptr<Slot>>* slots) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const std::string path = prefix + field.name();
    if (Contains(command.spread, path)) {
      CollectSlots(command, *field.message_type(), path + ".", slots);
      continue;
    }
    const bool is_argument =
        std::any_of(command.arguments.begin(), command.arguments.end(), [&](const auto& argument) {
          return argument == path || absl::StartsWith(argument, path + ".");
        });
    if (is_argument || path == command.mask || path == "request_id" || path == "page_size" ||
        path == "page_token" || (!command.only.empty() && !Contains(command.only, path))) {
      continue;
    }
    auto slot = std::make_unique<Slot>();
    slot->path = path;
    slot->flag = FlagName(field);
    slot->field = &field;
    for (const Flag& flag : command.flags) {
      if (flag.path != path) continue;
      if (!flag.name.empty()) slot->flag = flag.name;
      slot->otherwise = flag.otherwise;
    }
    slots->push_back(std::move(slot));
  }
}

std::shared_ptr<State> Prepare(Command command) {
  auto state = std::make_shared<State>();
  const google::protobuf::MethodDescriptor* method = corridor::FindMethod(command.method);
  if (method == nullptr) Mistake(command, absl::StrCat("there is no ", command.method));
  state->type = method->input_type();
  const auto require = [&](const std::string& path) {
    if (FindField(*state->type, path) == nullptr) Mistake(command, absl::StrCat("no field ", path));
  };
  for (const std::string& path : command.arguments) require(path);
  for (const std::string& path : command.spread) require(path);
  for (const std::string& path : command.only) require(path);
  for (const Flag& flag : command.flags) require(flag.path);
  if (!command.mask.empty()) require(command.mask);
  if (!command.rows.empty()) {
    const FieldDescriptor* rows = method->output_type()->FindFieldByName(command.rows);
    if (rows == nullptr) Mistake(command, absl::StrCat("no rows ", command.rows));
    for (const Column& column : command.columns) {
      if (FindField(*rows->message_type(), column.path) == nullptr) {
        Mistake(command, absl::StrCat("no column ", column.path));
      }
    }
    state->is_list = state->type->FindFieldByName("page_size") != nullptr;
  }
  CollectSlots(command, *state->type, "", &state->slots);
  state->arguments.resize(command.arguments.size());
  state->command = std::move(command);
  return state;
}

bool HasPages(const State& state) {
  return state.is_list && state.type->FindFieldByName("page_token") != nullptr;
}

// What is stored or opened may be written in a file; a change of single fields may not.
bool TakesFile(const State& state) {
  return state.command.is_put || (!state.command.spread.empty() && state.command.mask.empty());
}

// Changes what is stored, field by field.
bool Changes(const State& state) {
  return !state.command.mask.empty() || !state.command.stored.method.empty();
}

// What the command stores or changes: a part of the request, or all of it.
std::string BodyPath(const State& state) {
  return state.command.spread.empty() ? "" : state.command.spread.front();
}

Message* BodyOf(const State& state, Message* request) {
  const std::string path = BodyPath(state);
  if (path.empty()) return request;
  return request->GetReflection()->MutableMessage(request, state.type->FindFieldByName(path));
}

// "account.domains" → "domains", "ticket.context.steps" → "context.steps"; empty for a field beside
// the body.
std::string InBody(const State& state, const std::string& path) {
  const std::string body = BodyPath(state);
  if (body.empty()) return path;
  return absl::StartsWith(path, body + ".") ? path.substr(body.size() + 1) : "";
}

// Says which version is meant, not what is stored.
bool IsVersion(const Slot& slot) { return slot.field->name() == "version"; }

std::vector<std::string> FlagWords(const State& state) {
  std::vector<std::string> flags;
  for (const auto& slot : state.slots) flags.push_back("--" + slot->flag);
  if (TakesFile(state)) flags.push_back("--file");
  if (Changes(state)) flags.push_back("--clear");
  if (state.command.is_put) flags.push_back("--replace");
  if (state.is_list) flags.push_back("--limit");
  if (HasPages(state)) flags.push_back("--page-token");
  return flags;
}

void Declare(State& state, config::OptionSet& options) {
  for (size_t i = 0; i < state.arguments.size(); ++i) {
    const std::string& path = state.command.arguments[i];
    const FieldDescriptor& field = *FindField(*state.type, path);
    options.AddArgument(absl::StrReplaceAll(field.name(), {{"_", "-"}}), &state.arguments[i],
                        ValueHelp(field));
  }
  for (const auto& slot : state.slots) {
    std::string help = ValueHelp(*slot->field);
    if (Changes(state) && slot->field->is_repeated() && !InBody(state, slot->path).empty()) {
      absl::StrAppend(&help, " Adds to what is stored; with --clear ", InBody(state, slot->path),
                      " it takes its place.");
    }
    if (!slot->otherwise.empty()) absl::StrAppend(&help, " When left out: ", slot->otherwise, ".");
    // What is true when left out needs a word to become false.
    if (slot->field->cpp_type() == FieldDescriptor::CPPTYPE_BOOL && slot->otherwise.empty()) {
      options.Add(slot->flag, &slot->is_set, help);
    } else {
      options.AddTexts(slot->flag, &slot->texts, help);
    }
  }
  if (TakesFile(state)) {
    const std::vector<std::string>& spread = state.command.spread;
    const bool is_printed = !state.command.stored.method.empty();
    options.Add("file", &state.file,
                absl::StrCat("YAML or JSON file with the ",
                             spread.size() == 1 ? spread.front() : state.type->name(),
                             is_printed ? ", or what 'get --output yaml' prints" : "",
                             "; flags win over it."));
  }
  if (Changes(state)) {
    options.AddTexts("clear", &state.clear, "A field to empty; may be given several times.");
  }
  if (state.command.is_put) {
    options.Add("replace", &state.replaces,
                "Replace what is stored: a field that is not given is emptied.");
  }
  if (state.is_list) {
    options.Add("limit", &state.limit, "Entries at most; 0 = all.", {0, 1'000'000});
  }
  if (HasPages(state)) {
    options.Add("page-token", &state.page_token, "Goes on where another list ended.");
  }
}

absl::Status Named(const std::string& name, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(name, ": ", std::string(status.message())));
}

// What of the body a command line or its file names.
struct Given {
  std::set<std::string> named;  // fields, relative to the body
  std::set<std::string> adds;   // of them, lists that are added to
};

// The keys of the file's map; of the map under `inner` if that is not empty.
std::vector<std::string> KeysOf(const config::YamlNode& file, const std::string& inner) {
  std::vector<std::string> keys;
  for (size_t i = 0; i < file.keys.size(); ++i) {
    if (inner.empty()) {
      keys.push_back(file.keys[i].text);
    } else if (file.keys[i].text == inner) {
      return KeysOf(file.items[i], "");
    }
  }
  return keys;
}

// Reads the body from the file: the body itself, or the reply that shows it.
absl::Status FillFromFile(const State& state, Message* request, Given* given) {
  const Command& command = state.command;
  auto text = config::ReadTextFile(state.file, kMaxFileBytes);
  if (!text.ok()) return text.status();
  Message* const body = command.spread.size() > 1 ? request : BodyOf(state, request);
  const Stored& stored = command.stored;
  config::ErrorList errors;
  const auto file = config::ParseYaml(*text, state.file, &errors);
  const std::vector<std::string> keys =
      file.has_value() ? KeysOf(*file, "") : std::vector<std::string>();
  const bool is_reply = !stored.field.empty() && Contains(keys, stored.field) &&
                        body->GetDescriptor()->FindFieldByName(stored.field) == nullptr;
  if (!is_reply) {
    const absl::Status read = config::YamlToProto(*text, state.file, body);
    given->named.insert(keys.begin(), keys.end());
    return read;
  }
  const MessageOwner reply(google::protobuf::MessageFactory::generated_factory()
                               ->GetPrototype(corridor::FindMethod(stored.method)->output_type())
                               ->New());
  if (absl::Status read = config::YamlToProto(*text, state.file, reply.get()); !read.ok()) {
    return read;
  }
  if (stored.into != nullptr) {
    stored.into(*reply, request);
  } else {
    body->CopyFrom(reply->GetReflection()->GetMessage(
        *reply, reply->GetDescriptor()->FindFieldByName(stored.field)));
  }
  // What a reply shows beside what can be stored, an instant of its change, is nobody's to set.
  for (int i = 0; i < body->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = body->GetDescriptor()->field(i);
    const bool is_settable =
        std::any_of(state.slots.begin(), state.slots.end(),
                    [&](const auto& slot) { return InBody(state, slot->path) == field->name(); });
    if (!is_settable) {
      body->GetReflection()->ClearField(body, field);
    } else if (stored.into != nullptr || Contains(KeysOf(*file, stored.field), field->name())) {
      given->named.insert(field->name());
    }
  }
  return absl::OkStatus();
}

absl::Status Fill(const State& state, absl::Time now, Message* request, Given* given) {
  const Command& command = state.command;
  if (!state.file.empty()) {
    if (absl::Status read = FillFromFile(state, request, given); !read.ok()) return read;
  }
  for (size_t i = 0; i < state.arguments.size(); ++i) {
    const absl::Status set = SetField(request, command.arguments[i], state.arguments[i], now);
    if (!set.ok()) return Named(command.arguments[i], set);
  }
  std::set<std::string> cleared;
  for (const std::string& path : state.clear) {
    const std::string field = absl::StrReplaceAll(path, {{"-", "_"}});
    const bool is_known = std::any_of(
        state.slots.begin(), state.slots.end(),
        [&](const auto& slot) { return InBody(state, slot->path) == field && !IsVersion(*slot); });
    if (!is_known) {
      return absl::InvalidArgumentError(absl::StrCat("--clear: there is no field '", path, "'"));
    }
    cleared.insert(field);
    given->named.insert(field);
  }
  for (const auto& slot : state.slots) {
    const std::string flag = "--" + slot->flag;
    const std::string field = InBody(state, slot->path);
    std::vector<std::string> texts = slot->texts;
    if (slot->is_set) texts = {"true"};
    const bool is_given = !texts.empty();
    if (!is_given && !slot->otherwise.empty() && state.file.empty()) texts = {slot->otherwise};
    if (texts.size() > 1 && !slot->field->is_repeated()) {
      return absl::InvalidArgumentError(absl::StrCat(flag, " is given more than once"));
    }
    if (is_given && !field.empty() && !IsVersion(*slot)) {
      // A list that the file spells out, or that is emptied first, is not added to.
      const bool is_whole = given->named.contains(field);
      if (slot->field->is_repeated() && !is_whole) given->adds.insert(field);
      given->named.insert(field);
    }
    for (const std::string& text : texts) {
      if (absl::Status set = SetField(request, slot->path, text, now); !set.ok()) {
        return Named(flag, set);
      }
    }
  }
  given->named.erase("version");
  given->named.erase(command.stored.fixed);
  for (const std::string& path : command.arguments) given->named.erase(InBody(state, path));
  if (!command.mask.empty()) {
    std::vector<std::string> paths(given->named.begin(), given->named.end());
    if (state.replaces) paths = {"*"};
    if (BodyPath(state).empty() && !state.replaces) paths.clear();
    if (paths.empty() && !command.is_put) {
      return absl::InvalidArgumentError("nothing to change is given");
    }
    for (const std::string& path : paths) {
      if (absl::Status set = SetField(request, command.mask, path, now); !set.ok()) return set;
    }
  }
  if (!state.page_token.empty()) {
    if (absl::Status set = SetField(request, "page_token", state.page_token, now); !set.ok()) {
      return set;
    }
  }
  if (command.complete != nullptr) command.complete(request);
  return absl::OkStatus();
}

// The entry of a list of pairs, or a plain element, as far as a second one takes its place.
std::string PlaceIn(const Message& message, const FieldDescriptor& field, int index) {
  const auto& reflection = *message.GetReflection();
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    return reflection.GetRepeatedString(message, &field, index);
  }
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    return absl::StrCat(reflection.GetRepeatedEnumValue(message, &field, index));
  }
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return "";
  const Message& element = reflection.GetRepeatedMessage(message, &field, index);
  if (!IsPair(*element.GetDescriptor())) return element.SerializeAsString();
  const FieldDescriptor& first = *element.GetDescriptor()->field(0);
  return first.cpp_type() == FieldDescriptor::CPPTYPE_ENUM
             ? absl::StrCat(element.GetReflection()->GetEnumValue(element, &first))
             : element.GetReflection()->GetString(element, &first);
}

// Removes from the list what `given` holds as well.
void RemoveReplaced(const Message& given, const FieldDescriptor& field, Message* stored) {
  std::set<std::string> places;
  for (int i = 0; i < given.GetReflection()->FieldSize(given, &field); ++i) {
    places.insert(PlaceIn(given, field, i));
  }
  const auto& reflection = *stored->GetReflection();
  int kept = 0;
  for (int i = 0; i < reflection.FieldSize(*stored, &field); ++i) {
    if (places.contains(PlaceIn(*stored, field, i))) continue;
    reflection.SwapElements(stored, &field, kept++, i);
  }
  while (reflection.FieldSize(*stored, &field) > kept) reflection.RemoveLast(stored, &field);
}

const FieldDescriptor* VersionField(const State& state) {
  for (const auto& slot : state.slots) {
    if (IsVersion(*slot)) return slot->field;
  }
  return nullptr;
}

// The part of the request that holds the version.
Message* VersionHolder(const State& state, Message* request) {
  const bool is_beside = VersionField(state)->containing_type() == state.type;
  return is_beside ? request : BodyOf(state, request);
}

// Puts what is stored behind what was given: lists that are added to, and everything else where the
// request has no mask. The version that it was read at becomes the condition.
absl::StatusOr<bool> Complete(const State& state, const Given& given, Session& session,
                              Message* request) {
  const Stored& stored = state.command.stored;
  const bool is_needed = !state.replaces && !stored.method.empty() && stored.into == nullptr &&
                         (state.command.mask.empty() || !given.adds.empty());
  if (!is_needed) return false;
  auto question = NewRequest(stored.method);
  if (!question.ok()) return question.status();
  const std::vector<std::string> id = absl::StrSplit(state.command.arguments.front(), '.');
  if (absl::Status set =
          SetField(question->get(), id.back(), state.arguments.front(), absl::UnixEpoch());
      !set.ok()) {
    return set;
  }
  auto reply = session.Call(stored.method, question->get());
  if (absl::IsNotFound(reply.status())) return false;
  if (!reply.ok()) return reply.status();
  const FieldDescriptor* const field = (*reply)->GetDescriptor()->FindFieldByName(stored.field);
  Message* const current = (*reply)->GetReflection()->MutableMessage(reply->get(), field);
  const int64_t version = IntegerIn(*current, "version");
  Message* const body = BodyOf(state, request);
  const auto& reflection = *body->GetReflection();
  const bool has_mask = !state.command.mask.empty();
  for (int i = 0; i < body->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* const one = body->GetDescriptor()->field(i);
    const bool is_added_to = given.adds.contains(one->name());
    if (is_added_to) {
      RemoveReplaced(*body, *one, current);
    } else if (has_mask || given.named.contains(one->name())) {
      reflection.ClearField(current, one);
    } else {
      reflection.ClearField(body, one);
    }
  }
  current->MergeFrom(*body);
  reflection.Swap(current, body);
  // Whatever was filled in for a new one goes; the id and the version are the command's.
  for (size_t i = 0; i < state.arguments.size(); ++i) {
    const absl::Status set =
        SetField(request, state.command.arguments[i], state.arguments[i], absl::UnixEpoch());
    if (!set.ok()) return set;
  }
  const FieldDescriptor* const condition = VersionField(state);
  if (condition == nullptr) return false;
  Message* const holder = VersionHolder(state, request);
  const bool is_asked = std::any_of(state.slots.begin(), state.slots.end(), [](const auto& slot) {
    return IsVersion(*slot) && !slot->texts.empty();
  });
  if (is_asked) {
    for (const auto& slot : state.slots) {
      if (!IsVersion(*slot)) continue;
      if (absl::Status set = SetField(request, slot->path, slot->texts.front(), absl::UnixEpoch());
          !set.ok()) {
        return set;
      }
    }
    return false;
  }
  holder->GetReflection()->SetInt64(holder, condition, version);
  return true;
}

// A token belongs to its question, and "now" or -7d would be another one later: the flags with
// which the question stays the same.
std::string SameInstants(const State& state, const Message& request) {
  std::string flags;
  for (const auto& slot : state.slots) {
    if (slot->path != slot->field->name() || slot->field->is_repeated() ||
        slot->field->message_type() != google::protobuf::Timestamp::descriptor() ||
        !request.GetReflection()->HasField(request, slot->field)) {
      continue;
    }
    absl::StrAppend(&flags, " --", slot->flag, " ",
                    time::FormatInstant(InstantIn(request, slot->field->name())));
  }
  return flags;
}

int Run(const State& state, Context& context) {
  MessageOwner request;
  absl::StatusOr<MessageOwner> reply = absl::InternalError("not called");
  std::string again;
  // Somebody who was faster costs another look, not the command.
  constexpr int kTries = 3;
  for (int tried = 1; tried <= kTries; ++tried) {
    auto made = NewRequest(state.command.method);
    if (!made.ok()) return Fail(context, made.status());
    request = *std::move(made);
    Given given;
    if (absl::Status filled = Fill(state, context.looks.now, request.get(), &given); !filled.ok()) {
      return UsageError(context, std::string(filled.message()));
    }
    const auto is_ours = Complete(state, given, *context.session, request.get());
    if (!is_ours.ok()) return Fail(context, is_ours.status());
    if (*is_ours) {
      const Message* const holder = VersionHolder(state, request.get());
      again = absl::StrCat("--if-version ", IntegerIn(*holder, "version"));
    }
    reply = state.is_list ? context.session->CallPages(state.command.method, request.get(),
                                                       state.command.rows, state.limit)
                          : context.session->Call(state.command.method, request.get());
    if (!*is_ours || !absl::IsAborted(reply.status())) break;
  }
  if (!reply.ok()) {
    std::map<std::string, std::string> flags;
    for (const auto& slot : state.slots) flags[slot->path] = "--" + slot->flag;
    return Fail(context, reply.status(), flags, again);
  }
  if (state.command.sort != nullptr) state.command.sort(reply->get());
  const int printed = Print(context, **reply, [&] {
    if (state.command.tell != nullptr) return state.command.tell(context, *request, **reply);
    if (state.command.show != nullptr) return state.command.show(**reply, context.looks);
    if (!state.command.columns.empty()) {
      return Rows(**reply, state.command.rows, state.command.columns, context.looks);
    }
    return Details(**reply, context.looks);
  });
  if (HasPages(state)) {
    const std::string next = StringIn(**reply, "next_page_token");
    if (!next.empty()) {
      *context.messages << "tandemctl: there is more; --limit 0 shows all, --page-token " << next
                        << SameInstants(state, *request) << " goes on\n";
    }
  }
  if (printed != kOk || state.command.exit_code == nullptr) return printed;
  return state.command.exit_code(**reply);
}

}  // namespace

int Fail(Context& context, const absl::Status& status,
         const std::map<std::string, std::string>& flags, const std::string& again) {
  if (!context.session->was_sent()) return UsageError(context, std::string(status.message()));
  // Whether it happened is not known: the same id makes a second try safe.
  const bool is_open = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
  const std::string id = is_open ? context.session->last_request_id() : "";
  if (context.json) {
    *context.messages << ErrorJson(status, id, id.empty() ? "" : again);
    return kFailed;
  }
  *context.messages << "tandemctl: " << ErrorText(status, context.session->address(), flags);
  if (!id.empty()) {
    *context.messages << "  to try again without doing it twice: --request-id " << id
                      << (again.empty() ? "" : " ") << again << "\n";
  }
  return kFailed;
}

int FailHere(Context& context, const absl::Status& status) {
  if (absl::IsInvalidArgument(status)) return UsageError(context, std::string(status.message()));
  if (context.json) {
    *context.messages << ErrorJson(status, "", "");
    return kFailed;
  }
  *context.messages << "tandemctl: " << absl::StatusCodeToString(status.code()) << ": "
                    << cli::Printable(std::string(status.message())) << "\n";
  return kFailed;
}

int UsageError(Context& context, const std::string& what) {
  *context.messages << "tandemctl: " << what << "\n";
  return kUsage;
}

int Print(Context& context, const Message& reply, const std::function<std::string()>& text) {
  if (!context.json) {
    *context.looks.screen.out << text();
    return kOk;
  }
  const auto text_for_programs =
      context.yaml ? cli::ToYaml(reply) : cli::ToJson(reply, cli::JsonLayout::kIndented);
  if (!text_for_programs.ok()) return Fail(context, text_for_programs.status());
  *context.looks.screen.out << *text_for_programs;
  return kOk;
}

Entry EntryOf(Command command) {
  // Prepared once here, so that a broken line ends any test, and shared with what runs it.
  std::shared_ptr<State> state = Prepare(std::move(command));
  Entry entry;
  entry.path = state->command.path;
  entry.help = state->command.help;
  entry.flags = FlagWords(*state);
  for (const auto& slot : state->slots) {
    if (slot->field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      entry.words["--" + slot->flag] = EnumWords(*slot->field->enum_type());
    }
  }
  entry.declare = [state](config::OptionSet& options) -> Entry::Run {
    Declare(*state, options);
    return [state](Context& context) { return Run(*state, context); };
  };
  return entry;
}

std::vector<Entry> AllCommands() {
  std::vector<Entry> all;
  for (auto group :
       {&TicketCommands, &TriageCommands, &SlaCommands, &SurveyCommands, &AccountCommands,
        &OutreachCommands, &PolicyCommands, &OperatorCommands, &EventCommands, &CallCommands,
        &SampleCommands, &BackupCommands, &MigrateCommands}) {
    for (Entry& entry : group()) all.push_back(std::move(entry));
  }
  return all;
}

}  // namespace tandem::tandemctl
