// A command of tandemctl as a line of a table: most are one call, whose flags and output follow
// from the method's descriptor.
#ifndef TANDEM_SERVICES_TANDEMCTL_COMMAND_H_
#define TANDEM_SERVICES_TANDEMCTL_COMMAND_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <istream>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/cli/screen.h"
#include "common/config/options.h"
#include "common/time/clock.h"
#include "google/protobuf/message.h"
#include "services/tandemctl/cells.h"
#include "services/tandemctl/session.h"

namespace tandem::tandemctl {

// Exit codes.
inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;  // a call failed, or what was asked about is not so
inline constexpr int kUsage = 2;
inline constexpr int kNo = 3;  // the answer to what was asked is no: `check && call`

// Of a file that a command reads.
inline constexpr size_t kMaxFileBytes = size_t{1} << 20;

// What a command works with.
struct Context {
  Session* session = nullptr;
  Looks looks;  // its screen is standard output: data only
  std::ostream* messages = nullptr;
  std::istream* input = nullptr;
  bool json = false;  // for a program: JSON, or YAML if `yaml` is set as well
  bool yaml = false;
  absl::Duration timeout;                     // of one call
  const time::Clock* clock = nullptr;         // for what asks others than Tandem
  std::function<void(absl::Duration)> pause;  // waits
};

// Tells the person why, and gives the exit code. `again`: flags that a repetition needs beside the
// request id, each with its value.
int Fail(Context& context, const absl::Status& status,
         const std::map<std::string, std::string>& flags = {}, const std::string& again = "");
// Likewise, of a command that did its work by itself and asked no service.
int FailHere(Context& context, const absl::Status& status);
int UsageError(Context& context, const std::string& what);
// Prints the reply as JSON or YAML, or as `text` for people.
int Print(Context& context, const google::protobuf::Message& reply,
          const std::function<std::string()>& text);

// A command as the program and its shell completion know it.
struct Entry {
  using Run = std::function<int(Context&)>;

  std::string path;  // "ticket open"
  std::string help;
  std::vector<std::string> flags;                         // "--impact"
  std::map<std::string, std::vector<std::string>> words;  // what a flag may hold, where it is a few
  // Adds the command's options and gives what runs it after they were read.
  std::function<Run(config::OptionSet&)> declare;
};

// A flag that is called otherwise than its field, or holds something when it is not given.
struct Flag {
  std::string path = {};  // of the request's field
  std::string name = {};  // without the dashes; empty = as its field
  std::string otherwise = {};
};

// Where what a put changes is read.
struct Stored {
  std::string method = {};  // takes the id as the put does, and answers NOT_FOUND
  std::string field = {};   // of its reply: what the put stores; empty = the reply itself
  // Names what it is rather than what it is like: a contact's account. Never in the mask.
  std::string fixed = {};
  // Where the reply has another shape than the request; null = the same message.
  void (*into)(const google::protobuf::Message& reply,
               google::protobuf::Message* request) = nullptr;
};

// A command that is one call. A field of the request becomes a flag named after it, with dashes,
// without a final -id, and in the singular when it is repeated: external_ids is --external.
struct Command {
  std::string path = {};
  std::string help = {};
  std::string method = {};  // "tandem.intake.v1.TicketService/OpenTicket"
  // Fields given as plain words, in this order; all are needed.
  std::vector<std::string> arguments = {};
  // Message fields whose own fields are flags. A single one, or else the request, may also be read
  // from --file, as YAML or JSON.
  std::vector<std::string> spread = {};
  std::vector<Flag> flags = {};
  // Only these fields are flags; empty = all.
  std::vector<std::string> only = {};
  // A FieldMask that gets the names of the given fields, relative to the first `spread`.
  std::string mask = {};
  // Of a command that changes what is stored: only what is given changes, and a flag of a list adds
  // to it. A put without a mask in its request sends everything else as it is.
  Stored stored = {};
  // Creates as well, takes what `stored` prints from --file, and replaces whole with --replace.
  bool is_put = false;
  // For a list: its repeated field and columns.
  std::string rows = {};
  std::vector<Column> columns = {};
  // How people see the answer; null = the columns, or all fields.
  std::string (*show)(const google::protobuf::Message& reply, const Looks& looks) = nullptr;
  // The same, where it takes more calls.
  std::function<std::string(Context&, const google::protobuf::Message& request,
                            const google::protobuf::Message& reply)>
      tell = nullptr;
  // Puts the rows of a reply into the order in which they are shown.
  void (*sort)(google::protobuf::Message* reply) = nullptr;
  // The exit code that the reply stands for; null = kOk.
  int (*exit_code)(const google::protobuf::Message& reply) = nullptr;
  // Fills in what was not given.
  void (*complete)(google::protobuf::Message* request) = nullptr;
};

// Ends the program for a table line that its method does not fit: a mistake in the code.
Entry EntryOf(Command command);

// The commands, by group, in the order of the help.
std::vector<Entry> TicketCommands();
std::vector<Entry> TriageCommands();
std::vector<Entry> SlaCommands();
std::vector<Entry> SurveyCommands();
std::vector<Entry> AccountCommands();
std::vector<Entry> OutreachCommands();
std::vector<Entry> PolicyCommands();
std::vector<Entry> OperatorCommands();
std::vector<Entry> EventCommands();
std::vector<Entry> CallCommands();
std::vector<Entry> SampleCommands();
std::vector<Entry> BackupCommands();
std::vector<Entry> MigrateCommands();
// All of them but the completion itself.
std::vector<Entry> AllCommands();

}  // namespace tandem::tandemctl

#endif  // TANDEM_SERVICES_TANDEMCTL_COMMAND_H_
