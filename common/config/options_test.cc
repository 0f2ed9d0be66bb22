#include "common/config/options.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using Arguments = std::vector<std::string>;
using Environment = std::map<std::string, std::string>;

// A file that ends with the test.
class TemporaryFile {
 public:
  TemporaryFile(const std::string& name, const std::string& content)
      : path_(absl::StrCat(testing::TempDir(), "/", ::getpid(), "_", name)) {
    std::ofstream(path_) << content;
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

// A program with one option of each kind.
struct Program {
  Program() : options("tandem", "Keeps them in step.", "0.1.0") {
    options.Add("verbose", &verbose, "Say more.");
    serve = &options.AddCommand("serve", "Runs the services.");
    serve->Add("listen", &listen, "Address of the server.");
    serve->Add("lane-depth", &lane_depth, "Commands that may wait.", {1, 1000});
    serve->Add("settle", &settle, "Time to settle.", {absl::ZeroDuration(), absl::Hours(1)});
    serve->Add("peers", &peers, "Other services.");
    serve->AddChoice("output", &output, {"table", "json"}, "Form of the output.");
    serve->AddSecretFile("tls-key-file", &key, "Private key.");
    replay = &options.AddCommand("replay", "Replays a log.");
    replay->Add("log", &log, "File to read.");
    replay->Require("log");
    OptionSet& ticket = options.AddCommand("ticket", "Tickets.");
    show = &ticket.AddCommand("show", "Shows tickets.");
    show->AddArgument("ticket-id", &ticket_id, "Which one.");
    show->AddArguments("more", &more, "Further ones.");
  }

  absl::Status Parse(const Arguments& arguments, const Environment& environment = {}) {
    const auto parsed = options.Parse(arguments, environment);
    if (!parsed.ok()) return parsed.status();
    command = parsed->command;
    text = parsed->text;
    return absl::OkStatus();
  }

  std::vector<std::string> Errors(const Arguments& arguments, const Environment& environment = {}) {
    const absl::Status status = Parse(arguments, environment);
    if (status.ok()) return {};
    return absl::StrSplit(std::string(status.message()), '\n');
  }

  bool verbose = false;
  std::string listen = "127.0.0.1:7400";
  int64_t lane_depth = 100;
  absl::Duration settle = absl::Seconds(1);
  std::vector<std::string> peers;
  std::string output = "table";
  Secret key;
  std::string log;
  std::string ticket_id;
  std::vector<std::string> more;
  std::vector<std::string> command;
  std::optional<std::string> text;
  OptionSet options;
  OptionSet* serve = nullptr;
  OptionSet* replay = nullptr;
  OptionSet* show = nullptr;
};

TEST(Options, KeepTheirDefaults) {
  Program program;
  ASSERT_TRUE(program.Parse({"serve"}).ok());
  EXPECT_EQ(program.listen, "127.0.0.1:7400");
  EXPECT_EQ(program.lane_depth, 100);
  EXPECT_EQ(program.settle, absl::Seconds(1));
  EXPECT_FALSE(program.verbose);
  EXPECT_TRUE(program.serve->is_chosen());
  EXPECT_FALSE(program.replay->is_chosen());
}

TEST(Options, AreReadFromFlags) {
  Program program;
  const absl::Status parsed =
      program.Parse({"--verbose", "serve", "--listen", "[::1]:1", "--lane-depth=7", "--settle",
                     "1m30s", "--peers", "a:1,b:2", "--peers", "c:3", "--output", "json"});
  ASSERT_TRUE(parsed.ok()) << parsed;
  EXPECT_TRUE(program.verbose);
  EXPECT_EQ(program.listen, "[::1]:1");
  EXPECT_EQ(program.lane_depth, 7);
  EXPECT_EQ(program.settle, absl::Seconds(90));
  EXPECT_THAT(program.peers, ElementsAre("a:1", "b:2", "c:3"));
  EXPECT_EQ(program.output, "json");
}

TEST(Options, OfTheProgramAreAcceptedAfterTheCommand) {
  Program program;
  ASSERT_TRUE(program.Parse({"serve", "--verbose"}).ok());
  EXPECT_TRUE(program.verbose);
}

TEST(Options, ASwitchCanBeTurnedOff) {
  Program program;
  program.verbose = true;
  ASSERT_TRUE(program.Parse({"serve", "--verbose=false"}).ok());
  EXPECT_FALSE(program.verbose);
}

TEST(Options, AFlagWinsOverTheEnvironmentThatOverTheFileThatOverTheDefault) {
  const TemporaryFile file("precedence.yaml",
                           "lane-depth: 3\nlisten: file:1\nsettle: 3s\npeers: [x, y]\n");
  Program program;
  const absl::Status parsed =
      program.Parse({"serve", "--config", file.path(), "--lane-depth", "5"},
                    {{"TANDEM_LANE_DEPTH", "4"}, {"TANDEM_LISTEN", "environment:1"}});
  ASSERT_TRUE(parsed.ok()) << parsed;
  EXPECT_EQ(program.lane_depth, 5);
  EXPECT_EQ(program.listen, "environment:1");
  EXPECT_EQ(program.settle, absl::Seconds(3));
  EXPECT_THAT(program.peers, ElementsAre("x", "y"));
  EXPECT_EQ(program.output, "table");
}

TEST(Options, TheFileCanBeNamedByTheEnvironment) {
  const TemporaryFile file("named.yaml", "lane-depth: 3\n");
  Program program;
  ASSERT_TRUE(program.Parse({"serve"}, {{"TANDEM_CONFIG", file.path()}}).ok());
  EXPECT_EQ(program.lane_depth, 3);
}

TEST(Options, UnknownFlagsNameTheNearest) {
  EXPECT_THAT(Program().Errors({"serve", "--lisen", "x"}),
              testing::Contains("unknown flag --lisen; did you mean '--listen'?"));
  EXPECT_THAT(Program().Errors({"serve", "--lisen=x"}),
              ElementsAre("unknown flag --lisen; did you mean '--listen'?"));
}

TEST(Options, UnknownCommandsNameTheNearest) {
  EXPECT_THAT(Program().Errors({"sevre"}),
              ElementsAre("unknown command 'sevre'; did you mean 'serve'?"));
  EXPECT_THAT(Program().Errors({"ticket", "shwo", "x"}),
              ElementsAre("unknown command 'shwo'; did you mean 'show'?"));
  EXPECT_THAT(Program().Errors({}),
              ElementsAre("a command is missing; known: serve, replay, ticket"));
  EXPECT_THAT(Program().Errors({"serve", "again"}), ElementsAre("unexpected argument 'again'"));
}

TEST(Options, UnknownKeysOfTheFileNameFileLineAndTheNearest) {
  const TemporaryFile file("unknown.yaml", "listen: a\nlane_dept: 3\n");
  EXPECT_THAT(Program().Errors({"serve", "--config", file.path()}),
              ElementsAre(file.path() + ":2: unknown key 'lane_dept'; did you mean 'lane-depth'?"));
}

TEST(Options, AKeyOfAnotherCommandIsKnownAndUnused) {
  const TemporaryFile file("shared.yaml", "log: incidents.csv\nlane-depth: 9\n");
  Program program;
  ASSERT_TRUE(program.Parse({"serve", "--config", file.path()}).ok());
  EXPECT_EQ(program.lane_depth, 9);
  EXPECT_THAT(program.log, IsEmpty());
}

TEST(Options, UnknownVariablesNameTheNearest) {
  EXPECT_THAT(Program().Errors({"serve"}, {{"TANDEM_LISTN", "x"}, {"HOME", "/"}}),
              ElementsAre("environment: unknown variable TANDEM_LISTN; did you mean "
                          "'TANDEM_LISTEN'?"));
}

TEST(Options, VariablesOfOthersAreLeftAlone) {
  Program program;
  program.options.IgnoreEnvironment("TANDEM_CTL_");
  EXPECT_THAT(program.Errors({"serve"}, {{"TANDEM_SOURCE_DIR", "x"},
                                         {"TANDEM_CTL_SERVER", "x"},
                                         {"TANDEM_TRIAGE_SERVICE_HOST", "10.0.0.1"},
                                         {"TANDEM_TRIAGE_SERVICE_PORT", "7400"},
                                         {"TANDEM_TRIAGE_SERVICE_PORT_GRPC", "7400"},
                                         {"TANDEM_TRIAGE_PORT", "tcp://10.0.0.1:7400"},
                                         {"TANDEM_TRIAGE_PORT_7400_TCP_ADDR", "10.0.0.1"}}),
              IsEmpty());
  EXPECT_THAT(Program().Errors({"serve"}, {{"TANDEM_METRICS_PORT", "9100"}}), Not(IsEmpty()));
}

TEST(Options, AWrongValueNamesItsSource) {
  const TemporaryFile file("wrong.yaml", "output: xml\n\nlisten: [a]\n");
  EXPECT_THAT(Program().Errors({"serve", "--config", file.path(), "--settle", "2h"},
                               {{"TANDEM_LANE_DEPTH", "0"}}),
              testing::UnorderedElementsAre(
                  "TANDEM_LANE_DEPTH: expected a whole number between 1 and 1000, found '0'",
                  "--settle: expected a duration between 0 and 1h, found '2h'",
                  file.path() + ":3: listen: expected a value, found a list",
                  file.path() + ":1: output: expected one of table, json, found 'xml'"));
}

TEST(Options, AScalarGivenTwiceIsAnError) {
  EXPECT_THAT(Program().Errors({"serve", "--listen", "a", "--listen", "b"}),
              ElementsAre("--listen is given more than once"));
}

TEST(Options, AFlagWithoutItsValueIsAnError) {
  EXPECT_THAT(Program().Errors({"serve", "--listen"}), ElementsAre(HasSubstr("--listen")));
}

TEST(Options, ARequiredOneMustComeFromSomewhere) {
  EXPECT_THAT(Program().Errors({"replay"}), ElementsAre("--log is missing: File to read."));
  Program program;
  ASSERT_TRUE(program.Parse({"replay"}, {{"TANDEM_LOG", "x.csv"}}).ok());
  EXPECT_EQ(program.log, "x.csv");
}

TEST(Options, ArgumentsAreTakenInOrder) {
  Program program;
  const absl::Status parsed = program.Parse({"ticket", "show", "t1", "serve", "--", "-t3"});
  ASSERT_TRUE(parsed.ok()) << parsed;
  EXPECT_THAT(program.command, ElementsAre("ticket", "show"));
  EXPECT_EQ(program.ticket_id, "t1");
  EXPECT_THAT(program.more, ElementsAre("serve", "-t3"));
  EXPECT_THAT(Program().Errors({"ticket", "show"}),
              ElementsAre("argument ticket-id is missing: Which one."));
}

TEST(Options, ASecretIsReadFromItsFile) {
  const TemporaryFile file("key", "s3cr3t\n");
  Program program;
  ASSERT_TRUE(program.Parse({"serve", "--tls-key-file", file.path()}).ok());
  EXPECT_EQ(program.key.Reveal(), "s3cr3t");
  EXPECT_THAT(Program().Errors({"serve", "--tls-key-file", "/nowhere"}),
              ElementsAre(HasSubstr("--tls-key-file: cannot read /nowhere: No such file")));
  EXPECT_THAT(Program().Errors({"serve", "--tls-key-file", "/tmp"}),
              ElementsAre(HasSubstr("not a regular file")));
}

TEST(OptionsDeathTest, ASecretIsNeverAnOptionItself) {
  std::string password;
  OptionSet options("tandem", "");
  EXPECT_DEATH(options.Add("password", &password, ""), "would hold a secret");
}

TEST(OptionsDeathTest, ANameCannotBeTakenTwice) {
  std::string value;
  OptionSet options("tandem", "");
  options.Add("listen", &value, "");
  OptionSet& command = options.AddCommand("serve", "");
  EXPECT_DEATH(command.Add("listen", &value, ""), "added twice");
}

TEST(Options, AFileThatCannotBeReadIsNamed) {
  const absl::Status status = Program().Parse({"serve", "--config", "/nowhere.yaml"});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("--config: cannot read /nowhere.yaml: No such file or directory"));
}

TEST(Options, ABrokenFileIsNamedWithItsLine) {
  const TemporaryFile file("broken.yaml", "listen: a\nlanes: [\n");
  EXPECT_THAT(Program().Errors({"serve", "--config", file.path()}),
              testing::Contains(HasSubstr(file.path() + ":3: ")));
  const TemporaryFile list("list.yaml", "- a\n");
  EXPECT_THAT(Program().Errors({"serve", "--config", list.path()}),
              ElementsAre(list.path() + ":1: expected a map of options, found a list"));
}

TEST(Options, HelpShowsOptionsDefaultsAndVariables) {
  Program program;
  ASSERT_TRUE(program.Parse({"serve", "--help"}).ok());
  ASSERT_TRUE(program.text.has_value());
  EXPECT_THAT(*program.text, AllOf(HasSubstr("--lane-depth"), HasSubstr("[TANDEM_LANE_DEPTH]"),
                                   HasSubstr("(default: 100)"), HasSubstr("Runs the services."),
                                   Not(HasSubstr("Replays"))));
  Program other;
  ASSERT_TRUE(other.Parse({"--help"}).ok());
  EXPECT_THAT(*other.text, AllOf(HasSubstr("serve"), HasSubstr("replay"), HasSubstr("--config")));
  Program shown;
  ASSERT_TRUE(shown.Parse({"ticket", "show", "--help"}).ok());
  EXPECT_THAT(*shown.text, HasSubstr("ticket-id"));
}

TEST(Options, AProgramWithAPrefixOfItsOwnLeavesTheOthersVariablesAlone) {
  OptionSet options("tandemctl", "");
  options.SetEnvironmentPrefix("TANDEM_CTL_");
  std::string address = "a";
  options.Add("address", &address, "");
  const auto parsed = options.Parse(
      {}, {{"TANDEM_CTL_ADDRESS", "b"}, {"TANDEM_ADDRESS", "c"}, {"TANDEM_LANE_DEPTH", "many"}});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(address, "b");

  OptionSet strict("tandemctl", "");
  strict.SetEnvironmentPrefix("TANDEM_CTL_");
  strict.Add("address", &address, "");
  const absl::Status status = strict.Parse({}, {{"TANDEM_CTL_ADRESS", "b"}}).status();
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("unknown variable TANDEM_CTL_ADRESS; did you mean 'TANDEM_CTL_ADDRESS'?"));
}

TEST(Options, TextsKeepTheirCommas) {
  OptionSet options("tandemctl", "");
  std::vector<std::string> texts;
  options.AddTexts("text", &texts, "");
  ASSERT_TRUE(options.Parse({"--text", "one, two", "--text", "three"}, {}).ok());
  EXPECT_THAT(texts, ElementsAre("one, two", "three"));
}

TEST(Options, VersionIsPrinted) {
  Program program;
  ASSERT_TRUE(program.Parse({"--version"}).ok());
  EXPECT_EQ(program.text, "tandem 0.1.0\n");
}

TEST(Options, HostileArgumentsAreErrors) {
  for (const Arguments& arguments :
       {Arguments{"serve", std::string(1 << 20, 'x')}, Arguments{"serve", "--="},
        Arguments{"serve", "-"}, Arguments{"serve", "-Wall"}, Arguments{""},
        Arguments{"serve", "--lane-depth", "99999999999999999999"},
        Arguments{"serve", "--lane-depth", ""}, Arguments{"serve", "--verbose=maybe"}}) {
    EXPECT_THAT(Program().Errors(arguments), Not(IsEmpty()));
  }
}

}  // namespace
}  // namespace tandem::config
