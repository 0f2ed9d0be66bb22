#include "common/config/options.h"

#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <utility>

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
#include "common/config/text_file.h"
#include "common/config/views.h"
#include "common/config/yaml.h"

namespace tandem::config {
namespace {

constexpr size_t kMaxSecretBytes = 64 << 10;
constexpr char kPrefix[] = "TANDEM_";

[[noreturn]] void Mistake(const std::string& what) {
  std::fprintf(stderr, "mistake in the program's options: %s\n", what.c_str());
  std::abort();
}

bool IsOptionName(std::string_view name) {
  return !name.empty() && name.front() >= 'a' && name.front() <= 'z' && name.back() != '-' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

absl::Status Unexpected(std::string_view expected, const std::string& found) {
  return absl::InvalidArgumentError(
      absl::StrCat("expected ", Absl(expected), ", found ", Quoted(found)));
}

std::string RangeText(const IntegerRange& range) {
  if (range.max == std::numeric_limits<int64_t>::max()) {
    return absl::StrCat("a whole number of at least ", range.min);
  }
  return absl::StrCat("a whole number between ", range.min, " and ", range.max);
}

std::string RangeText(const DurationRange& range) {
  if (range.max == absl::InfiniteDuration()) {
    return absl::StrCat("a duration of at least ", DurationText(range.min));
  }
  return absl::StrCat("a duration between ", DurationText(range.min), " and ",
                      DurationText(range.max));
}

}  // namespace

std::string EnvironmentName(std::string_view option) {
  return absl::StrCat(kPrefix,
                      absl::AsciiStrToUpper(absl::StrReplaceAll(Absl(option), {{"-", "_"}})));
}

struct OptionSet::Option {
  std::string name;
  std::string help;
  std::string default_text;
  Assign assign;
  bool is_flag = false;  // may stand without a value
  bool is_list = false;  // may be given more than once
  bool is_comma_list = false;
  bool is_required = false;
  CLI::Option* flag = nullptr;
};

struct OptionSet::Argument {
  std::string name;
  std::string help;
  std::string* value = nullptr;
  std::vector<std::string>* values = nullptr;
  CLI::Option* flag = nullptr;
};

// CLI11 splits the command line and formats the help; values, sources and errors are judged here,
// so that a wrong value reads the same from whichever source it came.
struct OptionSet::Parser {
  static void Declare(OptionSet& set, CLI::App& app) {
    app.allow_extras();
    app.fallthrough();
    app.require_subcommand(0, 1);
    app.set_help_flag("--help,-h", "Print this help and exit.");
    for (auto& option : set.options_) {
      std::string help = absl::StrCat(option->help, " [", set.VariableOf(option->name), "]");
      if (!option->default_text.empty()) {
        absl::StrAppend(&help, " (default: ", option->default_text, ")");
      }
      const std::string flag = "--" + option->name;
      const CLI::callback_t ignore = [](const CLI::results_t&) { return true; };
      if (option->is_flag) {
        option->flag = app.add_flag_callback(
            flag, [] {}, help);
        option->flag->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
      } else {
        option->flag = app.add_option(flag, ignore, help);
        option->flag->type_size(1)->expected(1)->multi_option_policy(
            CLI::MultiOptionPolicy::TakeAll);
        option->flag->type_name(option->is_comma_list ? "TEXT,..." : "VALUE");
      }
      if (option->is_required) absl::StrAppend(&help, " Required.");
      option->flag->description(help);
    }
    for (auto& argument : set.arguments_) {
      const CLI::callback_t ignore = [](const CLI::results_t&) { return true; };
      argument->flag = app.add_option(argument->name, ignore, argument->help);
      argument->flag->type_size(1)->type_name("");
      if (argument->values != nullptr) {
        argument->flag->expected(0, CLI::detail::expected_max_vector_size)->allow_extra_args();
      } else {
        argument->flag->expected(1);
      }
    }
    for (auto& command : set.commands_) {
      Declare(*command, *app.add_subcommand(command->name_, command->description_));
    }
  }

  // Arguments are checked here rather than by CLI11, so that an unknown flag is told first; the
  // help still has to show them as required.
  static void MarkRequired(const OptionSet& set) {
    for (const auto& argument : set.arguments_)
      argument->flag->required(argument->value != nullptr);
    for (const auto& command : set.commands_) MarkRequired(*command);
  }

  static OptionSet& Chosen(OptionSet& set, CLI::App& app, std::vector<std::string>* command) {
    set.is_chosen_ = true;
    for (CLI::App* child : app.get_subcommands()) {
      for (auto& candidate : set.commands_) {
        if (candidate->name_ != child->get_name()) continue;
        command->push_back(candidate->name_);
        return Chosen(*candidate, *child, command);
      }
    }
    return set;
  }
};

OptionSet::OptionSet(std::string program, std::string description, std::string version)
    : name_(std::move(program)),
      description_(std::move(description)),
      version_(std::move(version)) {
  Add("config", &config_path_, "YAML file with options.");
}

OptionSet::OptionSet(OptionSet* parent, std::string name, std::string description)
    : name_(std::move(name)), description_(std::move(description)), parent_(parent) {}

OptionSet::~OptionSet() = default;

OptionSet::Option& OptionSet::AddOption(std::string name, std::string help,
                                        std::string default_text, Assign assign) {
  if (!IsOptionName(name)) Mistake(absl::StrCat("bad name '", name, "'"));
  if (name == "help" || name == "version") Mistake(absl::StrCat("'", name, "' is taken"));
  for (const OptionSet* set = this; set != nullptr; set = set->parent_) {
    if (set->Find(name) != nullptr) Mistake(absl::StrCat("'", name, "' is added twice"));
  }
  auto option = std::make_unique<Option>();
  option->name = std::move(name);
  option->help = std::move(help);
  option->default_text = std::move(default_text);
  option->assign = std::move(assign);
  options_.push_back(std::move(option));
  return *options_.back();
}

void OptionSet::Add(std::string name, std::string* value, std::string help) {
  for (const char* word : {"password", "secret", "private-key"}) {
    if (absl::StrContains(name, word) && !absl::EndsWith(name, "-file")) {
      Mistake(absl::StrCat("'", name, "' would hold a secret; use AddSecretFile"));
    }
  }
  AddOption(std::move(name), std::move(help), *value, [value](const auto& values) {
    *value = values.front();
    return absl::OkStatus();
  });
}

void OptionSet::Add(std::string name, std::vector<std::string>* value, std::string help) {
  Option& option = AddOption(
      std::move(name), std::move(help), absl::StrJoin(*value, ","), [value](const auto& values) {
        value->clear();
        for (const std::string& text : values) {
          for (absl::string_view part : absl::StrSplit(text, ',', absl::SkipEmpty())) {
            value->emplace_back(absl::StripAsciiWhitespace(part));
          }
        }
        return absl::OkStatus();
      });
  option.is_list = true;
  option.is_comma_list = true;
}

void OptionSet::AddTexts(std::string name, std::vector<std::string>* values, std::string help) {
  Option& option = AddOption(std::move(name), std::move(help), "", [values](const auto& given) {
    *values = given;
    return absl::OkStatus();
  });
  option.is_list = true;
}

void OptionSet::Add(std::string name, int64_t* value, std::string help, IntegerRange range) {
  AddOption(std::move(name), std::move(help), absl::StrCat(*value),
            [value, range](const auto& values) -> absl::Status {
              int64_t number = 0;
              if (!absl::SimpleAtoi(values.front(), &number) || number < range.min ||
                  number > range.max) {
                return Unexpected(RangeText(range), values.front());
              }
              *value = number;
              return absl::OkStatus();
            });
}

void OptionSet::Add(std::string name, absl::Duration* value, std::string help,
                    DurationRange range) {
  AddOption(std::move(name), std::move(help), DurationText(*value),
            [value, range](const auto& values) -> absl::Status {
              const auto duration = ParseDuration(values.front());
              if (!duration.ok()) return duration.status();
              if (*duration < range.min || *duration > range.max) {
                return Unexpected(RangeText(range), values.front());
              }
              *value = *duration;
              return absl::OkStatus();
            });
}

void OptionSet::Add(std::string name, bool* value, std::string help) {
  Option& option = AddOption(std::move(name), std::move(help), *value ? "true" : "false",
                             [value](const auto& values) -> absl::Status {
                               const std::string& text = values.front();
                               if (text != "true" && text != "false") {
                                 return Unexpected("true or false", text);
                               }
                               *value = text == "true";
                               return absl::OkStatus();
                             });
  option.is_flag = true;
}

void OptionSet::AddChoice(std::string name, std::string* value, std::vector<std::string> choices,
                          std::string help) {
  absl::StrAppend(&help, " One of: ", absl::StrJoin(choices, ", "), ".");
  AddOption(std::move(name), std::move(help), *value,
            [value, choices = std::move(choices)](const auto& values) -> absl::Status {
              const std::string& text = values.front();
              if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
                return Unexpected("one of " + absl::StrJoin(choices, ", "), text);
              }
              *value = text;
              return absl::OkStatus();
            });
}

void OptionSet::AddSecretFile(std::string name, Secret* secret, std::string help) {
  if (!absl::EndsWith(name, "-file")) Mistake(absl::StrCat("'", name, "' must end in -file"));
  AddOption(std::move(name), std::move(help), "", [secret](const auto& values) -> absl::Status {
    auto content = ReadTextFile(values.front(), kMaxSecretBytes);
    if (!content.ok()) return content.status();
    while (!content->empty() && (content->back() == '\n' || content->back() == '\r')) {
      content->pop_back();
    }
    if (content->empty()) {
      return absl::InvalidArgumentError(absl::StrCat(values.front(), " is empty"));
    }
    secret->content_ = *std::move(content);
    return absl::OkStatus();
  });
}

void OptionSet::Require(std::string_view name) {
  for (auto& option : options_) {
    if (option->name != name) continue;
    option->is_required = true;
    option->default_text.clear();
    return;
  }
  Mistake(absl::StrCat("'", Absl(name), "' is required but not added"));
}

void OptionSet::AddArgument(std::string name, std::string* value, std::string help) {
  if (!IsOptionName(name)) Mistake(absl::StrCat("bad name '", name, "'"));
  if (!arguments_.empty() && arguments_.back()->values != nullptr) {
    Mistake(absl::StrCat("argument '", name, "' stands behind the one that takes all words"));
  }
  arguments_.push_back(std::make_unique<Argument>(
      Argument{std::move(name), std::move(help), value, nullptr, nullptr}));
}

void OptionSet::AddArguments(std::string name, std::vector<std::string>* values, std::string help) {
  AddArgument(std::move(name), nullptr, std::move(help));
  arguments_.back()->values = values;
}

OptionSet& OptionSet::AddCommand(std::string name, std::string description) {
  if (!IsOptionName(name)) Mistake(absl::StrCat("bad name '", name, "'"));
  for (const auto& command : commands_) {
    if (command->name_ == name) Mistake(absl::StrCat("command '", name, "' is added twice"));
  }
  commands_.push_back(
      std::unique_ptr<OptionSet>(new OptionSet(this, std::move(name), std::move(description))));
  return *commands_.back();
}

void OptionSet::SetEnvironmentPrefix(std::string prefix) {
  if (!absl::StartsWith(prefix, kPrefix)) Mistake(absl::StrCat("bad prefix '", prefix, "'"));
  environment_prefix_ = std::move(prefix);
}

std::string OptionSet::VariableOf(std::string_view option) const {
  const OptionSet* program = this;
  while (program->parent_ != nullptr) program = program->parent_;
  return program->environment_prefix_ + EnvironmentName(option).substr(sizeof(kPrefix) - 1);
}

void OptionSet::IgnoreEnvironment(std::string prefix) {
  ignored_prefixes_.push_back(std::move(prefix));
}

const OptionSet::Option* OptionSet::Find(std::string_view name) const {
  for (const auto& option : options_) {
    if (option->name == name) return option.get();
  }
  return nullptr;
}

void OptionSet::CollectNames(std::vector<std::string>* names) const {
  for (const auto& option : options_) {
    if (std::find(names->begin(), names->end(), option->name) == names->end()) {
      names->push_back(option->name);
    }
  }
  for (const auto& command : commands_) command->CollectNames(names);
}

std::vector<OptionSet::Option*> OptionSet::Reachable() {
  std::vector<Option*> reachable;
  for (OptionSet* set = this; set != nullptr; set = set->parent_) {
    for (auto& option : set->options_) reachable.push_back(option.get());
  }
  return reachable;
}

std::vector<std::string> OptionSet::CommandNames() const {
  std::vector<std::string> names;
  for (const auto& command : commands_) names.push_back(command->name_);
  return names;
}

bool OptionSet::IsForeign(const std::string& name, const std::string& value) const {
  if (absl::StartsWith(name, "TANDEM_SOURCE_")) return true;
  for (const std::string& prefix : ignored_prefixes_) {
    if (absl::StartsWith(name, prefix)) return true;
  }
  // Kubernetes describes each Service of the namespace to each container in this form.
  return absl::EndsWith(name, "_SERVICE_HOST") || absl::EndsWith(name, "_SERVICE_PORT") ||
         absl::StrContains(name, "_SERVICE_PORT_") ||
         (absl::StrContains(name, "_PORT_") &&
          (absl::StrContains(name, "_TCP") || absl::StrContains(name, "_UDP"))) ||
         (absl::EndsWith(name, "_PORT") &&
          (absl::StartsWith(value, "tcp://") || absl::StartsWith(value, "udp://")));
}

void OptionSet::CheckEnvironment(const std::map<std::string, std::string>& environment,
                                 ErrorList* errors) const {
  std::vector<std::string> names;
  CollectNames(&names);
  for (std::string& name : names) name = VariableOf(name);
  for (const auto& [name, value] : environment) {
    if (!absl::StartsWith(name, environment_prefix_)) continue;
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    if (IsForeign(name, value)) continue;
    errors->Add(absl::StrCat("environment: unknown variable ", name, Suggestion(name, names)));
  }
}

absl::StatusOr<Parsed> OptionSet::Parse(const std::vector<std::string>& arguments,
                                        const std::map<std::string, std::string>& environment) {
  if (parent_ != nullptr) Mistake("Parse is called on a command");
  Parsed parsed;
  CLI::App app(description_, name_);
  Parser::Declare(*this, app);
  if (!version_.empty()) app.set_version_flag("--version", version_, "Print the version and exit.");
  // What follows "--" is words, whatever it looks like; CLI11 hands it to the wrong command.
  const auto mark = std::find(arguments.begin(), arguments.end(), "--");
  std::vector<std::string> rest(mark == arguments.end() ? mark : mark + 1, arguments.end());
  try {
    // CLI11 takes the words from the back.
    std::vector<std::string> words(std::make_reverse_iterator(mark), arguments.rend());
    app.parse(std::move(words));
  } catch (const CLI::CallForHelp&) {
    Parser::MarkRequired(*this);
    parsed.text = app.help();
    return parsed;
  } catch (const CLI::CallForVersion&) {
    parsed.text = absl::StrCat(name_, " ", version_, "\n");
    return parsed;
  } catch (const std::exception& e) {
    return absl::InvalidArgumentError(e.what());
  }
  OptionSet& chosen = Parser::Chosen(*this, app, &parsed.command);
  const std::vector<Option*> reachable = chosen.Reachable();
  ErrorList errors;

  std::vector<std::string> flags = {"--help"};
  for (const Option* option : reachable) flags.push_back("--" + option->name);
  bool is_command_unknown = false;
  for (const std::string& word : app.remaining(true)) {
    if (absl::StartsWith(word, "-") && word.size() > 1) {
      const std::string flag = word.substr(0, word.find('='));
      errors.Add(absl::StrCat("unknown flag ", flag, Suggestion(flag, flags)));
    } else if (!chosen.commands_.empty()) {
      // What follows an unknown command can't be judged.
      if (!is_command_unknown) {
        errors.Add(absl::StrCat("unknown command ", Quoted(word),
                                Suggestion(word, chosen.CommandNames())));
      }
      is_command_unknown = true;
    } else {
      errors.Add(absl::StrCat("unexpected argument ", Quoted(word)));
    }
  }
  if (!chosen.commands_.empty() && !is_command_unknown && errors.empty()) {
    errors.Add(
        absl::StrCat("a command is missing; known: ", absl::StrJoin(chosen.CommandNames(), ", ")));
  }
  for (const auto& argument : chosen.arguments_) {
    std::vector<std::string> words = argument->flag->results();
    if (argument->values != nullptr) {
      words.insert(words.end(), rest.begin(), rest.end());
      rest.clear();
      *argument->values = std::move(words);
      continue;
    }
    if (words.empty() && !rest.empty()) {
      words.push_back(rest.front());
      rest.erase(rest.begin());
    }
    if (words.empty()) {
      errors.Add(absl::StrCat("argument ", argument->name, " is missing: ", argument->help));
    } else {
      *argument->value = words.front();
    }
  }
  for (const std::string& word : rest) errors.Add("unexpected argument " + Quoted(word));
  // A flag of a command that was not chosen can't be given: CLI11 does not offer it there.
  CheckEnvironment(environment, &errors);

  const auto from_flag_or_environment =
      [&](const Option& option, std::string* source) -> std::optional<std::vector<std::string>> {
    if (option.flag->count() > 0) {
      *source = "--" + option.name;
      return option.flag->results();
    }
    *source = VariableOf(option.name);
    if (const auto found = environment.find(*source); found != environment.end()) {
      return std::vector<std::string>{found->second};
    }
    return std::nullopt;
  };

  std::string source;
  YamlNode file;
  std::string file_name;
  if (const auto path = from_flag_or_environment(*Find("config"), &source)) {
    file_name = path->back();
    const auto text = ReadTextFile(file_name, kMaxYamlBytes);
    if (!text.ok()) {
      return absl::Status(text.status().code(),
                          absl::StrCat(source, ": ", text.status().message()));
    }
    auto root = ParseYaml(*text, file_name, &errors);
    if (root.has_value() && root->kind != YamlNode::Kind::kMap) {
      errors.AddAt(file_name, root->line, "expected a map of options, found " + root->Described());
    } else if (root.has_value()) {
      file = *std::move(root);
    }
    std::vector<std::string> known;
    CollectNames(&known);
    known.erase(std::find(known.begin(), known.end(), "config"));
    for (const YamlNode::Key& key : file.keys) {
      if (std::find(known.begin(), known.end(), key.text) != known.end()) continue;
      errors.AddAt(file_name, key.line,
                   absl::StrCat("unknown key ", Quoted(key.text), Suggestion(key.text, known)));
    }
  }

  for (Option* option : reachable) {
    auto values = from_flag_or_environment(*option, &source);
    if (!values.has_value() && option->name != "config") {
      for (size_t i = 0; i < file.keys.size(); ++i) {
        if (file.keys[i].text != option->name) continue;
        const YamlNode& node = file.items[i];
        source = absl::StrCat(file_name, ":", file.keys[i].line, ": ", option->name);
        values.emplace();
        if (node.kind == YamlNode::Kind::kScalar) {
          values->push_back(node.text);
        } else if (node.kind == YamlNode::Kind::kList && option->is_list) {
          for (const YamlNode& item : node.items) {
            if (item.kind == YamlNode::Kind::kScalar) {
              values->push_back(item.text);
            } else {
              errors.AddAt(file_name, item.line, option->name + ": found " + item.Described());
            }
          }
        } else {
          errors.Add(source + ": expected a value, found " + node.Described());
        }
      }
      if (values.has_value() && values->empty() && !option->is_list) continue;
    }
    if (!values.has_value()) {
      if (option->is_required) {
        errors.Add(absl::StrCat("--", option->name, " is missing: ", option->help));
      }
      continue;
    }
    if (values->size() > 1 && !option->is_list) {
      errors.Add(source + " is given more than once");
      continue;
    }
    if (const absl::Status assigned = option->assign(*values); !assigned.ok()) {
      errors.Add(absl::StrCat(source, ": ", assigned.message()));
    }
  }
  if (const absl::Status status = errors.ToStatus(); !status.ok()) return status;
  return parsed;
}

std::optional<int> OptionSet::ParseMain(int argc, const char* const* argv) {
  std::map<std::string, std::string> environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  std::vector<std::string> arguments;
  for (int i = 1; i < argc; ++i) arguments.emplace_back(argv[i]);
  const auto parsed = Parse(arguments, environment);
  if (!parsed.ok()) {
    for (absl::string_view line : absl::StrSplit(parsed.status().message(), '\n')) {
      std::fprintf(stderr, "%s: %s\n", name_.c_str(), std::string(line).c_str());
    }
    std::fprintf(stderr, "Try '%s --help'.\n", name_.c_str());
    return 2;
  }
  if (!parsed->text.has_value()) return std::nullopt;
  std::fputs(parsed->text->c_str(), stdout);
  return 0;
}

}  // namespace tandem::config
