#include "services/tandemctl/program.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/config/options.h"
#include "common/host/version.h"
#include "common/id/id.h"
#include "google/protobuf/stubs/logging.h"
#include "services/tandemctl/addresses.h"
#include "services/tandemctl/command.h"
#include "services/tandemctl/completion.h"
#include "services/tandemctl/session.h"

namespace tandem::tandemctl {
namespace {

constexpr size_t kMaxIdBytes = 128;

struct Options {
  std::vector<std::string> addresses = {"127.0.0.1:7400"};
  std::string caller;
  absl::Duration timeout = absl::Seconds(10);
  std::string output = "table";
  std::string request_id;
  std::string tls_ca, tls_certificate, tls_key;

  void AddTo(config::OptionSet& program) {
    program.Add(
        "address", &addresses,
        "HOST:PORT of a tandem, or NAME=HOST:PORT of one that answers for this service alone; "
        "may be given several times.");
    program.Add("caller", &caller, "Who asks, as the services note it.");
    program.Add("timeout", &timeout, "How long a call may take.",
                {absl::Milliseconds(1), absl::Hours(24)});
    program.AddChoice("output", &output, {"table", "json", "yaml"},
                      "A table for people, json or yaml for programs and files.");
    program.Add("request-id", &request_id,
                "Id of the change, so that asking twice changes once (default: a new one).");
    program.Add("tls-ca", &tls_ca, "PEM file: who vouches for the server; turns TLS on.");
    program.Add("tls-certificate", &tls_certificate, "PEM file: this side's certificate chain.");
    program.Add("tls-key", &tls_key, "PEM file: the certificate's private key.");
  }
};

const std::vector<std::string>& GlobalFlags() {
  static const std::vector<std::string>* const flags = new std::vector<std::string>{
      "--address",         "--caller",  "--timeout", "--output", "--request-id", "--tls-ca",
      "--tls-certificate", "--tls-key", "--config",  "--help",   "--version"};
  return *flags;
}

const std::map<std::string, std::string>& Groups() {
  static const std::map<std::string, std::string>* const groups =
      new std::map<std::string, std::string>{
          {"ticket", "Tickets and their messages."},
          {"triage", "Queues, assignment, escalations, staff."},
          {"triage staff", "Our people."},
          {"sla", "Clocks and business time."},
          {"sla calendar", "Business calendars and arithmetic in open time."},
          {"survey", "Invitations, answers, scores."},
          {"account", "Accounts, contacts, teams, timeline, health."},
          {"account contact", "The people of an account."},
          {"account team", "Who of our staff look after an account."},
          {"outreach", "May we contact this customer about this, now?"},
          {"policy", "Policies: intake, triage, sla, survey, account."},
          {"dead-letter", "Events that could not be applied."},
          {"timer", "Pending timers."},
          {"outbox", "Events that wait to be published."},
          {"event", "Events of the bus."},
      };
  return *groups;
}

// The option sets of a command's path, made where they are missing.
config::OptionSet& SetOf(const std::string& path, const std::string& help,
                         std::map<std::string, config::OptionSet*>* sets) {
  if (const auto found = sets->find(path); found != sets->end()) return *found->second;
  const size_t cut = path.rfind(' ');
  const std::string above = cut == std::string::npos ? "" : path.substr(0, cut);
  const auto group = Groups().find(above);
  config::OptionSet& parent = SetOf(above, group == Groups().end() ? "" : group->second, sets);
  config::OptionSet& made =
      parent.AddCommand(cut == std::string::npos ? path : path.substr(cut + 1), help);
  sets->emplace(path, &made);
  return made;
}

Entry Completion() {
  Entry entry;
  entry.path = "completion";
  entry.help = "Prints a script that teaches a shell the commands.";
  entry.declare = [](config::OptionSet& options) -> Entry::Run {
    auto shell = std::make_shared<std::string>();
    options.AddArgument("shell", shell.get(), "bash.");
    return [shell](Context& context) {
      if (*shell != "bash") {
        return UsageError(context, absl::StrCat("no completion for '", *shell, "'; known: bash"));
      }
      std::vector<Entry> entries = AllCommands();
      entries.push_back(Completion());
      *context.looks.screen.out << BashCompletion(entries, GlobalFlags());
      return kOk;
    };
  };
  return entry;
}

}  // namespace

std::string DefaultCaller(const std::string& user, const std::string& host) {
  std::string caller = absl::StrCat(user.empty() ? "unknown" : user, ":", host);
  for (char& c : caller) {
    if (!id::IsWellFormed(std::string(1, c))) c = '-';
  }
  caller.resize(std::min(caller.size(), kMaxIdBytes));
  return caller;
}

int Run(const std::vector<std::string>& arguments,
        const std::map<std::string, std::string>& environment, const World& world) {
  // The library's own lines would stand among ours, before an error that a script reads.
  google::protobuf::SetLogHandler(nullptr);
  config::OptionSet program("tandemctl", "Asks and steers Tandem from the command line.",
                            host::VersionText());
  program.SetEnvironmentPrefix("TANDEM_CTL_");
  Options options;
  options.caller = world.caller;
  options.AddTo(program);

  std::vector<Entry> entries = AllCommands();
  entries.push_back(Completion());
  std::map<std::string, config::OptionSet*> sets = {{"", &program}};
  std::vector<std::pair<config::OptionSet*, Entry::Run>> commands;
  for (const Entry& entry : entries) {
    config::OptionSet& set = SetOf(entry.path, entry.help, &sets);
    commands.emplace_back(&set, entry.declare(set));
  }

  const auto parsed = program.Parse(arguments, environment);
  if (!parsed.ok()) {
    for (absl::string_view line : absl::StrSplit(parsed.status().message(), '\n')) {
      *world.messages << "tandemctl: " << std::string(line) << "\n";
    }
    *world.messages << "Try 'tandemctl --help'.\n";
    return kUsage;
  }
  if (parsed->text.has_value()) {
    *world.output.out << *parsed->text;
    return kOk;
  }

  rpc::ClientOptions client;
  client.caller = options.caller;
  client.timeout = options.timeout;
  client.tls = {options.tls_certificate, options.tls_key, options.tls_ca};
  Session::Ports ports;
  ports.entropy = world.entropy;
  ports.pause = world.pause;
  ports.say = [&world](const std::string& line) {
    *world.messages << "tandemctl: " << line << std::endl;
  };
  auto addresses = Addresses::Parse(options.addresses);
  auto session = addresses.ok() ? Session::Open(client, *std::move(addresses), std::move(ports),
                                                options.request_id)
                                : absl::StatusOr<Session>(addresses.status());
  if (!session.ok()) {
    *world.messages << "tandemctl: " << std::string(session.status().message()) << "\n";
    return kUsage;
  }
  Context context;
  context.session = &*session;
  context.looks = {world.output, world.zone, world.clock->Now()};
  context.messages = world.messages;
  context.input = world.input;
  context.json = options.output != "table";
  context.yaml = options.output == "yaml";
  context.timeout = options.timeout;
  context.clock = world.clock;
  context.pause = world.pause;
  for (auto& [set, run] : commands) {
    if (!set->is_chosen()) continue;
    const std::string path = absl::StrJoin(parsed->command, " ");
    if (sets.at(path) != set) continue;
    const int code = run(context);
    world.output.out->flush();
    if (code == kOk && !*world.output.out) {
      *world.messages << "tandemctl: the output cannot be written\n";
      return kFailed;
    }
    return code;
  }
  *world.messages << "tandemctl: a command is missing. Try 'tandemctl --help'.\n";
  return kUsage;
}

}  // namespace tandem::tandemctl
