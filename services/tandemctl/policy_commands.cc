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
#include "common/policy/policy_file.h"
#include "services/tandemctl/command.h"
#include "services/tandemctl/fields.h"

namespace tandem::tandemctl {
namespace {

namespace fs = std::filesystem;
using google::protobuf::Message;

constexpr size_t kMaxFileBytes = size_t{1} << 20;

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

// What is known of a file between reading and sending it.
struct Ready {
  policy::PolicyFile file;
  config::SourceLines lines;
  MessageOwner request;
};

absl::StatusOr<Ready> Read(const PolicyFile& file, const std::string& name) {
  auto text = config::ReadTextFile(file.path, kMaxFileBytes);
  if (!text.ok()) return text.status();
  Ready ready;
  ready.file = {ServiceOf(file.kind), file.kind, file.path, *std::move(text)};
  auto request = policy::PolicyRequest(ready.file, name, &ready.lines);
  if (!request.ok()) return request.status();
  ready.request = *std::move(request);
  return ready;
}

// `name` is ValidatePolicy or ApplyPolicy. All files are read before the first is sent.
Entry FilesCommand(const std::string& path, const std::string& help, const std::string& name) {
  Entry entry;
  entry.path = path;
  entry.help = help;
  entry.declare = [name](config::OptionSet& options) -> Entry::Run {
    auto words = std::make_shared<std::vector<std::string>>();
    options.AddArguments(
        "what", words.get(),
        absl::StrCat("KIND FILE, or a folder; kinds: ", absl::StrJoin(Kinds(), ", "), "."));
    return [words, name](Context& context) {
      const auto files = FilesOf(*words);
      if (!files.ok()) return UsageError(context, std::string(files.status().message()));
      std::vector<Ready> read;
      int result = kOk;
      for (const PolicyFile& file : *files) {
        auto ready = Read(file, name);
        if (!ready.ok()) {
          *context.messages << "tandemctl: " << std::string(ready.status().message()) << "\n";
          result = kFailed;
        } else {
          read.push_back(*std::move(ready));
        }
      }
      for (size_t i = 0; result == kOk && i < read.size(); ++i) {
        const policy::PolicyFile& file = read[i].file;
        auto reply = context.session->Call(Method(file.kind, name), read[i].request.get());
        if (!reply.ok()) {
          // The places in the file say more than the fields of a request that nobody wrote.
          if (context.json || !context.session->was_sent() ||
              !absl::IsInvalidArgument(reply.status())) {
            return Fail(context, reply.status());
          }
          const std::string refusal = policy::Refusal(file, reply.status(), read[i].lines);
          for (const absl::string_view line : absl::StrSplit(refusal, '\n')) {
            *context.messages << (line.data() == refusal.data() ? "tandemctl: " : "")
                              << cli::Printable(std::string(line)) << "\n";
          }
          return kFailed;
        }
        result = Print(context, **reply, [&] {
          if (name == "ValidatePolicy") return absl::StrCat(file.name, ": sound\n");
          const bool is_new = Cell(**reply, "is_new", Form::kPlain, context.looks) == "yes";
          return absl::StrCat(file.name, ": ", file.kind, " version ",
                              IntegerIn(**reply, "version"),
                              is_new ? " is in force\n" : " was in force already\n");
        });
      }
      return result;
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
      FilesCommand("policy validate", "Checks policy files and applies none.", "ValidatePolicy"),
      FilesCommand("policy apply", "Puts policy files in force.", "ApplyPolicy"), Get(), List()};
}

}  // namespace tandem::tandemctl
