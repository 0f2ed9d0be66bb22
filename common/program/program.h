// One service as a process of its own: the main of the five single-service programs, which differ
// only in what stands in Program. Here, as in a main.cc, real parts are named: the system's clock,
// threads, PostgreSQL or SQLite, Kafka, gRPC.
//
//   int main(int argc, char** argv) {
//     program::Program program;
//     program.name = "survey";
//     …
//     return program::Main(argc, argv, program);
//   }
#ifndef TANDEM_COMMON_PROGRAM_PROGRAM_H_
#define TANDEM_COMMON_PROGRAM_PROGRAM_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/options.h"
#include "common/corridor/definition.h"
#include "common/policy/policy_file.h"
#include "common/store/migration.h"

namespace tandem::program {

struct Program {
  std::string name;         // the service: also its consumer group and its schema's name
  std::string binary;       // as it is called on a command line
  std::string description;  // one sentence
  std::string version;
  // The services that it asks: --peer NAME=HOST:PORT each. Required.
  struct Peer {
    std::string name;
    std::string package;  // of its protos
  };
  std::vector<Peer> peers;
  store::Schema sqlite, postgres;  // the service's own tables
  // Applied at the first start; the file of that name in --policies is in its place.
  policy::PolicyFile built_in_policy;
  std::string policy_file;
  // Options of the service alone; what they set is read by `make`. May be empty.
  std::function<void(config::OptionSet& serve)> add_options;
  // Also for `migrate`, which applies a policy: then without any option of add_options.
  std::function<absl::StatusOr<std::unique_ptr<corridor::ServiceDefinition>>()> make;
};

// Parses the command line and does what it says: `serve`, until it is told to stop, or `migrate`.
// Returns the exit code: 0, 1 after an error, which is on stderr, 2 for a wrong command line.
int Main(int argc, char** argv, const Program& program);

}  // namespace tandem::program

#endif  // TANDEM_COMMON_PROGRAM_PROGRAM_H_
