#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/cli/json.h"
#include "common/cli/text_width.h"
#include "common/config/nearest_name.h"
#include "common/config/text_file.h"
#include "common/policy/outlook.h"
#include "common/policy/policy_file.h"
#include "services/tandemctl/command.h"
#include "services/tandemctl/fields.h"

namespace tandem::tandemctl {
namespace {

namespace fs = std::filesystem;
using google::protobuf::Message;

// The kinds of policy, each with a PolicyService of the same shape, in the order of applying.
const std::vector<std::string>& Kinds() {
  static const std::vector<std::string>* const kinds =
      new std::vector<std::string>{"intake", "triage", "sla", "survey", "account"};
  return *kinds;
}

std::string ServiceOf(const std::string& kind) {
  return absl::StrCat("tandem.", kind, ".v1.PolicyService");
}

std::string Method(const std::string& kind, const std::string& name) {
  return absl::StrCat(ServiceOf(kind), "/", name);
}

absl::Status CheckKind(const std::string& kind) {
  if (std::find(Kinds().begin(), Kinds().end(), kind) != Kinds().end()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("no kind of policy is called '", kind, "'", config::Suggestion(kind, Kinds())));
}

struct PolicyFile {
  std::string kind;
  std::string path;
};

// "KIND FILE", or a folder of files named after their kinds.
absl::StatusOr<std::vector<PolicyFile>> FilesOf(const std::vector<std::string>& words) {
  if (words.size() == 2) {
    if (absl::Status known = CheckKind(words[0]); !known.ok()) return known;
    return std::vector<PolicyFile>{{words[0], words[1]}};
  }
  std::error_code error;
  if (words.size() != 1 || !fs::is_directory(words[0], error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected KIND FILE, or a folder of ", absl::StrJoin(Kinds(), ".yaml, "),
                     ".yaml; the kinds are ", absl::StrJoin(Kinds(), ", ")));
  }
  std::vector<PolicyFile> files;
  for (const std::string& kind : Kinds()) {
    const fs::path path = fs::path(words[0]) / (kind + ".yaml");
    if (fs::exists(path, error)) files.push_back({kind, path.string()});
  }
  if (files.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(words[0], " holds none of ", absl::StrJoin(Kinds(), ".yaml, "), ".yaml"));
  }
  // A file that is passed over in silence would be found too late.
  for (const auto& entry : fs::directory_iterator(words[0], error)) {
    if (entry.path().extension() != ".yaml") continue;
    if (absl::Status known = CheckKind(entry.path().stem().string()); !known.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(entry.path().string(), ": ", std::string(known.message())));
    }
  }
  return files;
}

policy::CallMethod CallOf(Session& session) {
  return [&session](const std::string& method,
                    corridor::MessagePtr request) -> absl::StatusOr<corridor::MessagePtr> {
    const MessageOwner sent(request->New());
    sent->CopyFrom(*request);
    auto reply = session.Call(method, sent.get());
    if (!reply.ok()) return reply.status();
    return corridor::MessagePtr(*std::move(reply));
  };
}

// A file that its service would take.
struct Ready {
  policy::PolicyFile file;
  policy::CheckedPolicy checked;
};

absl::StatusOr<Ready> Check(const PolicyFile& file, Session& session) {
  auto text = config::ReadTextFile(file.path, kMaxFileBytes);
  if (!text.ok()) return text.status();
  Ready ready;
  ready.file = {ServiceOf(file.kind), file.kind, file.path, *std::move(text)};
  auto checked = policy::CheckPolicy(ready.file, CallOf(session));
  if (!checked.ok()) return checked.status();
  ready.checked = *std::move(checked);
  return ready;
}

// One line for each effect, below the line of its file.
std::string Effects(const Message& reply) {
  std::string lines;
  for (const type::v1::PolicyEffect& effect : policy::EffectsOf(reply)) {
    absl::StrAppend(&lines, policy::IsRefused(effect) ? "  refused: " : "  ",
                    cli::Printable(effect.text()), "\n");
  }
  return lines;
}

bool HasRefusal(const Message& reply) {
  const auto effects = policy::EffectsOf(reply);
  return std::any_of(effects.begin(), effects.end(), policy::IsRefused);
}

enum class Deed { kValidate, kDryRun, kApply };

int Do(Context& context, Deed deed, const Ready& ready) {
  const policy::PolicyFile& file = ready.file;
  if (deed == Deed::kValidate) {
    const Message& reply = *ready.checked.validated;
    const int printed = Print(context, reply, [&] {
      return absl::StrCat(file.name, HasRefusal(reply) ? ": would be refused\n" : ": sound\n",
                          Effects(reply));
    });
    return HasRefusal(reply) ? kFailed : printed;
  }
  const MessageOwner request(ready.checked.apply->New());
  request->CopyFrom(*ready.checked.apply);
  const auto* only = request->GetDescriptor()->FindFieldByName("validate_only");
  request->GetReflection()->SetBool(request.get(), only, deed == Deed::kDryRun);
  auto reply = context.session->Call(Method(file.kind, "ApplyPolicy"), request.get());
  if (!reply.ok()) return Fail(context, reply.status());
  const int printed = Print(context, **reply, [&] {
    const std::string version = absl::StrCat(file.kind, " version ", IntegerIn(**reply, "version"));
    const std::string effects = Effects(**reply);
    if (deed == Deed::kDryRun) {
      return absl::StrCat(file.name, ": not applied; ", version, " is in force\n",
                          effects.empty() ? "  nothing that is there changes\n" : effects);
    }
    const bool is_new = Cell(**reply, "is_new", Form::kPlain, context.looks) == "yes";
    return absl::StrCat(file.name, ": ", version,
                        is_new ? " is in force\n" : " was in force already\n", effects);
  });
  return HasRefusal(**reply) ? kFailed : printed;
}

// All files are read and checked before the first is applied, and all that is wrong is told at
// once.
int DoAll(Context& context, Deed deed, const std::vector<PolicyFile>& files) {
  std::vector<Ready> sound;
  int result = kOk;
  for (const PolicyFile& file : files) {
    auto ready = Check(file, *context.session);
    if (ready.ok()) {
      // One refusal keeps the other files from being applied as well.
      if (deed == Deed::kApply && HasRefusal(*ready->checked.validated)) {
        *context.messages << "tandemctl: " << file.path << ": refused\n"
                          << Effects(*ready->checked.validated);
        result = kFailed;
      }
      sound.push_back(*std::move(ready));
      continue;
    }
    // The places in the file say more than the fields of a request that nobody wrote.
    const bool is_told_by_lines =
        absl::IsInvalidArgument(ready.status()) || !context.session->was_sent();
    if (context.json || !is_told_by_lines) return Fail(context, ready.status());
    const std::string message(ready.status().message());
    bool is_first = true;
    for (const absl::string_view line : absl::StrSplit(message, '\n')) {
      *context.messages << (is_first ? "tandemctl: " : "") << cli::Printable(std::string(line))
                        << "\n";
      is_first = false;
    }
    result = kFailed;
  }
  if (result != kOk) return result;
  for (const Ready& ready : sound) {
    const int done = Do(context, deed, ready);
    if (done != kOk) result = done;
    if (done != kOk && deed == Deed::kApply) return result;
  }
  return result;
}

Entry FilesCommand(const std::string& path, const std::string& help, bool applies) {
  Entry entry;
  entry.path = path;
  entry.help = help;
  if (applies) entry.flags = {"--dry-run"};
  entry.declare = [applies](config::OptionSet& options) -> Entry::Run {
    struct State {
      std::vector<std::string> words;
      bool dry_run = false;
    };
    auto state = std::make_shared<State>();
    options.AddArguments(
        "what", &state->words,
        absl::StrCat("KIND FILE, or a folder; kinds: ", absl::StrJoin(Kinds(), ", "), "."));
    if (applies) {
      options.Add("dry-run", &state->dry_run, "Shows what would change, and applies nothing.");
    }
    return [state, applies](Context& context) {
      const auto files = FilesOf(state->words);
      if (!files.ok()) return UsageError(context, std::string(files.status().message()));
      const Deed deed = !applies ? Deed::kValidate : state->dry_run ? Deed::kDryRun : Deed::kApply;
      return DoAll(context, deed, *files);
    };
  };
  return entry;
}

Entry Get() {
  Entry entry;
  entry.path = "policy get";
  entry.help = "Shows a policy: the one in force, or a version.";
  entry.flags = {"--number"};
  struct State {
    std::string kind;
    int64_t number = 0;
  };
  entry.declare = [](config::OptionSet& options) -> Entry::Run {
    auto state = std::make_shared<State>();
    options.AddArgument("kind", &state->kind, absl::StrJoin(Kinds(), ", ") + ".");
    options.Add("number", &state->number, "The version; 0 = the one in force.");
    return [state](Context& context) {
      if (absl::Status known = CheckKind(state->kind); !known.ok()) {
        return UsageError(context, std::string(known.message()));
      }
      auto request = NewRequest(Method(state->kind, "GetPolicy"));
      if (!request.ok()) return Fail(context, request.status());
      absl::Status set =
          SetField(request->get(), "version", absl::StrCat(state->number), context.looks.now);
      if (!set.ok()) return Fail(context, set);
      auto reply = context.session->Call(Method(state->kind, "GetPolicy"), request->get());
      if (!reply.ok()) return Fail(context, reply.status());
      return Print(context, **reply, [&] {
        const auto* policy = (*reply)->GetDescriptor()->FindFieldByName("policy");
        const auto json = cli::ToJson((*reply)->GetReflection()->GetMessage(**reply, policy),
                                      cli::JsonLayout::kIndented);
        const auto cell = [&](const char* path) {
          return Cell(**reply, path, Form::kPlain, context.looks);
        };
        const std::string applied = cell("version.applied_at");
        return absl::StrCat(state->kind, " version ", cell("version.version"),
                            applied.empty() ? ", built in"
                                            : absl::StrCat(", applied ", applied, " by ",
                                                           cell("version.applied_by")),
                            "\n", json.ok() ? *json : std::string(json.status().message()));
      });
    };
  };
  return entry;
}

Entry List() {
  Entry entry;
  entry.path = "policy list";
  entry.help = "Lists the versions of a policy, newest first.";
  entry.declare = [](config::OptionSet& options) -> Entry::Run {
    auto kind = std::make_shared<std::string>();
    options.AddArgument("kind", kind.get(), absl::StrJoin(Kinds(), ", ") + ".");
    return [kind](Context& context) {
      if (absl::Status known = CheckKind(*kind); !known.ok()) {
        return UsageError(context, std::string(known.message()));
      }
      const std::string method = Method(*kind, "ListPolicies");
      auto request = NewRequest(method);
      if (!request.ok()) return Fail(context, request.status());
      auto reply = context.session->CallPages(method, request->get(), "versions", 0);
      if (!reply.ok()) return Fail(context, reply.status());
      return Print(context, **reply, [&] {
        return Rows(**reply, "versions",
                    {{"VERSION", "version"},
                     {"APPLIED", "applied_at"},
                     {"BY", "applied_by"},
                     {"CONTENT", "content_hash"}},
                    context.looks);
      });
    };
  };
  return entry;
}

}  // namespace

std::vector<Entry> PolicyCommands() {
  return {
      FilesCommand("policy validate", "Checks policy files and applies none.", /*applies=*/false),
      FilesCommand("policy apply", "Puts policy files in force.", /*applies=*/true), Get(), List()};
}

}  // namespace tandem::tandemctl
