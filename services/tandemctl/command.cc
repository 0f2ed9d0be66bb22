#include "services/tandemctl/command.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/cli/json.h"
#include "common/config/text_file.h"
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
constexpr size_t kMaxFileBytes = size_t{1} << 20;

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

// What is stored whole may be written in a file; a change of single fields may not.
bool TakesFile(const State& state) {
  return !state.command.spread.empty() && state.command.mask.empty();
}

std::vector<std::string> FlagWords(const State& state) {
  std::vector<std::string> flags;
  for (const auto& slot : state.slots) flags.push_back("--" + slot->flag);
  if (TakesFile(state)) flags.push_back("--file");
  if (!state.command.mask.empty()) flags.push_back("--clear");
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
    options.Add("file", &state.file,
                absl::StrCat("YAML file with the ",
                             spread.size() == 1 ? spread.front() : state.type->name(),
                             "; flags win over it."));
  }
  if (!state.command.mask.empty()) {
    options.AddTexts("clear", &state.clear, "A field to empty; may be given several times.");
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

absl::Status Fill(const State& state, absl::Time now, Message* request) {
  const Command& command = state.command;
  if (!state.file.empty()) {
    auto text = config::ReadTextFile(state.file, kMaxFileBytes);
    if (!text.ok()) return text.status();
    Message* body = request;
    if (command.spread.size() == 1) {
      const FieldDescriptor* field = state.type->FindFieldByName(command.spread.front());
      body = request->GetReflection()->MutableMessage(request, field);
    }
    if (absl::Status read = config::YamlToProto(*text, state.file, body); !read.ok()) return read;
  }
  for (size_t i = 0; i < state.arguments.size(); ++i) {
    const absl::Status set = SetField(request, command.arguments[i], state.arguments[i], now);
    if (!set.ok()) return Named(command.arguments[i], set);
  }
  std::vector<std::string> named;
  for (const auto& slot : state.slots) {
    const std::string flag = "--" + slot->flag;
    std::vector<std::string> texts = slot->texts;
    if (slot->is_set) texts = {"true"};
    if (texts.empty() && !slot->otherwise.empty() && state.file.empty()) {
      texts = {slot->otherwise};
    } else if (!texts.empty()) {
      named.push_back(slot->path);
    }
    if (texts.size() > 1 && !slot->field->is_repeated()) {
      return absl::InvalidArgumentError(absl::StrCat(flag, " is given more than once"));
    }
    for (const std::string& text : texts) {
      if (absl::Status set = SetField(request, slot->path, text, now); !set.ok()) {
        return Named(flag, set);
      }
    }
  }
  if (!command.mask.empty()) {
    std::vector<std::string> paths;
    const std::string prefix = command.spread.front() + ".";
    for (const std::string& path : named) {
      if (absl::StartsWith(path, prefix)) paths.push_back(path.substr(prefix.size()));
    }
    for (const std::string& path : state.clear) {
      const std::string field = absl::StrReplaceAll(path, {{"-", "_"}});
      if (FindField(*state.type, prefix + field) == nullptr) {
        return absl::InvalidArgumentError(absl::StrCat("--clear: there is no field '", path, "'"));
      }
      paths.push_back(field);
    }
    if (paths.empty()) return absl::InvalidArgumentError("nothing to change is given");
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
  auto request = NewRequest(state.command.method);
  if (!request.ok()) return Fail(context, request.status());
  if (absl::Status filled = Fill(state, context.looks.now, request->get()); !filled.ok()) {
    return UsageError(context, std::string(filled.message()));
  }
  auto reply = state.is_list ? context.session->CallPages(state.command.method, request->get(),
                                                          state.command.rows, state.limit)
                             : context.session->Call(state.command.method, request->get());
  if (!reply.ok()) {
    std::map<std::string, std::string> flags;
    for (const auto& slot : state.slots) flags[slot->path] = "--" + slot->flag;
    return Fail(context, reply.status(), flags);
  }
  const int printed = Print(context, **reply, [&] {
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
                        << SameInstants(state, **request) << " goes on\n";
    }
  }
  return printed;
}

}  // namespace

int Fail(Context& context, const absl::Status& status,
         const std::map<std::string, std::string>& flags) {
  if (!context.session->was_sent()) return UsageError(context, std::string(status.message()));
  // Whether it happened is not known: the same id makes a second try safe.
  const bool is_open = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
  const std::string id = is_open ? context.session->last_request_id() : "";
  if (context.json) {
    *context.messages << ErrorJson(status, id);
    return kFailed;
  }
  *context.messages << "tandemctl: " << ErrorText(status, context.session->address(), flags);
  if (!id.empty()) {
    *context.messages << "  to try again without doing it twice: --request-id " << id << "\n";
  }
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
  const auto json = cli::ToJson(reply, cli::JsonLayout::kIndented);
  if (!json.ok()) return Fail(context, json.status());
  *context.looks.screen.out << *json;
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
  for (auto group : {&TicketCommands, &TriageCommands, &SlaCommands, &SurveyCommands,
                     &AccountCommands, &OutreachCommands, &PolicyCommands, &OperatorCommands,
                     &EventCommands, &CallCommands, &SampleCommands, &MigrateCommands}) {
    for (Entry& entry : group()) all.push_back(std::move(entry));
  }
  return all;
}

}  // namespace tandem::tandemctl
