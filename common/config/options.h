// A program's options: flags, environment and a file, with one meaning.
//
//   std::string listen = "127.0.0.1:7400";
//   int64_t lane_depth = 1024;
//   OptionSet options("tandem", "Support and customer success in step.");
//   OptionSet& serve = options.AddCommand("serve", "Runs the five services in one process.");
//   serve.Add("listen", &listen, "Address of the gRPC server.");
//   serve.Add("lane-depth", &lane_depth, "Commands that may wait.", {1, 1'000'000});
//   if (const auto exit_code = options.ParseMain(argc, argv)) return *exit_code;
//
// Every option is a flag (--lane-depth 64), an environment variable (TANDEM_LANE_DEPTH=64) and a
// key of the file that --config names (lane-depth: 64). A flag wins over the environment, that over
// the file, that over the default, which is what the variable holds when it is added.
//
// Unknown flags, keys and TANDEM_ variables are errors that name the nearest known one. Exempt are
// TANDEM_SOURCE_* (they belong to the build and its tests), what IgnoreEnvironment names, and the
// variables that Kubernetes sets for a Service called tandem-…: TANDEM_…_SERVICE_HOST,
// TANDEM_…_SERVICE_PORT…, TANDEM_…_PORT=tcp://… and TANDEM_…_PORT_7400_TCP….
// A key or variable of another command of the same program is known, and unused.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/config/error_list.h"

namespace tandem::config {

struct IntegerRange {
  int64_t min = 0;
  int64_t max = std::numeric_limits<int64_t>::max();
};

struct DurationRange {
  absl::Duration min = absl::ZeroDuration();
  absl::Duration max = absl::InfiniteDuration();
};

// The content of a secret file, without the line end. It can't be printed by accident: there is no
// conversion to text, only Reveal().
class Secret {
 public:
  const std::string& Reveal() const { return content_; }
  bool empty() const { return content_.empty(); }

 private:
  friend class OptionSet;
  std::string content_;
};

// What Parse found: either the program runs, or it prints `text` to stdout and exits 0.
struct Parsed {
  std::optional<std::string> text;   // help or version, when asked for
  std::vector<std::string> command;  // the commands chosen: {"ticket", "open"}
};

// The options of a program, or of one of its commands. The variables must outlive it. Names are
// lower case with dashes; a name that is given twice or breaks these rules ends the program, for it
// is a mistake in the code. Not thread-safe: for main(), before it starts anything.
class OptionSet {
 public:
  // `version` is what --version prints; without it there is no such flag.
  explicit OptionSet(std::string program, std::string description, std::string version = "");
  ~OptionSet();
  OptionSet(const OptionSet&) = delete;
  OptionSet& operator=(const OptionSet&) = delete;

  void Add(std::string name, std::string* value, std::string help);
  // Given once for each element, or as one text with commas; in the file also as a list.
  void Add(std::string name, std::vector<std::string>* value, std::string help);
  // Given once for each element, whatever commas are in it.
  void AddTexts(std::string name, std::vector<std::string>* values, std::string help);
  void Add(std::string name, int64_t* value, std::string help, IntegerRange range = {});
  // As in common/config/duration.h: 30m, 4h, 1h30m, 5d.
  void Add(std::string name, absl::Duration* value, std::string help, DurationRange range = {});
  // --name, --name=true or --name=false; elsewhere true or false.
  void Add(std::string name, bool* value, std::string help);
  void AddChoice(std::string name, std::string* value, std::vector<std::string> choices,
                 std::string help);
  // The option names a file and `secret` gets its content (at most 64 KiB). The name ends in -file:
  // a secret's value itself is never an option, or it would show in the process list.
  void AddSecretFile(std::string name, Secret* secret, std::string help);

  // The option `name` must come from somewhere; its default does not count.
  void Require(std::string_view name);

  // A word without a flag, only on the command line: required, in the order of adding.
  void AddArgument(std::string name, std::string* value, std::string help);
  // All words that are left; none is fine. Must be the last.
  void AddArguments(std::string name, std::vector<std::string>* values, std::string help);

  // A command such as the `serve` of `tandem serve`; a set with commands needs one to be given.
  // Options of the sets above are also accepted after the command.
  OptionSet& AddCommand(std::string name, std::string description);
  // Whether Parse met this command.
  bool is_chosen() const { return is_chosen_; }

  // The variables are called `prefix`LANE_DEPTH rather than TANDEM_LANE_DEPTH, and all other
  // TANDEM_ variables belong to somebody else: for a program that shares a shell with `tandem`.
  // `prefix` begins with TANDEM_. Of the program's set only, before its options are added.
  void SetEnvironmentPrefix(std::string prefix);

  // Variables whose names begin with `prefix` belong to somebody else. Of the program's set only.
  void IgnoreEnvironment(std::string prefix);

  // Sets the variables. `arguments` are those after the program's name. INVALID_ARGUMENT tells all
  // errors at once, one a line; a --config file that can't be read is NOT_FOUND or the like.
  // To be called once, on the program's set.
  absl::StatusOr<Parsed> Parse(const std::vector<std::string>& arguments,
                               const std::map<std::string, std::string>& environment);

  // Parse with the process's own environment. Prints help to stdout and errors to stderr, and gives
  // the code to exit with (0, or 2 for an error), or nothing if the program is to run.
  std::optional<int> ParseMain(int argc, const char* const* argv);

 private:
  struct Option;
  struct Argument;
  struct Parser;

  using Assign = std::function<absl::Status(const std::vector<std::string>& values)>;
  OptionSet(OptionSet* parent, std::string name, std::string description);
  Option& AddOption(std::string name, std::string help, std::string default_text, Assign assign);
  const Option* Find(std::string_view name) const;
  // Of this set and all commands under it.
  void CollectNames(std::vector<std::string>* names) const;
  // This set's options and those of the sets above it.
  std::vector<Option*> Reachable();
  std::vector<std::string> CommandNames() const;
  void CheckEnvironment(const std::map<std::string, std::string>& environment,
                        ErrorList* errors) const;
  bool IsForeign(const std::string& name, const std::string& value) const;
  std::string VariableOf(std::string_view option) const;

  const std::string name_;
  const std::string description_;
  const std::string version_;
  OptionSet* const parent_ = nullptr;
  bool is_chosen_ = false;
  std::string config_path_;
  std::vector<std::unique_ptr<Option>> options_;
  std::vector<std::unique_ptr<Argument>> arguments_;
  std::vector<std::unique_ptr<OptionSet>> commands_;
  std::vector<std::string> ignored_prefixes_;
  std::string environment_prefix_ = "TANDEM_";
};

// "lane-depth" → "TANDEM_LANE_DEPTH".
std::string EnvironmentName(std::string_view option);

}  // namespace tandem::config
