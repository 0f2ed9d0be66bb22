// tandem-ticket-intake: the service ticket_intake as a process of its own.
#include "common/host/version.h"
#include "common/program/program.h"
#include "deploy/policies/built_in.h"
#include "services/ticket_intake/migrations.h"
#include "services/ticket_intake/service.h"

int main(int argc, char** argv) {
  tandem::program::Program program;
  program.name = "ticket_intake";
  program.binary = "tandem-ticket-intake";
  program.description = "Tickets, messages and requesters.";
  program.version = tandem::host::kVersion;
  program.peers = {{"account_health", "tandem.account.v1"}, {"triage", "tandem.triage.v1"}};
  program.sqlite = tandem::ticket_intake::SqliteSchema();
  program.postgres = tandem::ticket_intake::PostgresSchema();
  program.policy_file = "intake.yaml";
  program.built_in_policy = {"tandem.intake.v1.PolicyService", "intake", "built-in intake.yaml",
                             tandem::deploy::BuiltInPolicy("intake.yaml")};
  program.make = [] { return tandem::ticket_intake::Make({}); };
  return tandem::program::Main(argc, argv, program);
}
