// tandem-triage: the service triage as a process of its own.
#include "common/host/version.h"
#include "common/program/program.h"
#include "deploy/policies/built_in.h"
#include "services/triage/migrations.h"
#include "services/triage/service.h"

int main(int argc, char** argv) {
  tandem::program::Program program;
  program.name = "triage";
  program.binary = "tandem-triage";
  program.description = "Classification, queues, assignment, staff and escalations.";
  program.version = tandem::host::kVersion;
  program.peers = {{"ticket_intake", "tandem.intake.v1"}, {"account_health", "tandem.account.v1"}};
  program.sqlite = tandem::triage::SqliteSchema();
  program.postgres = tandem::triage::PostgresSchema();
  program.policy_file = "triage.yaml";
  program.built_in_policy = {"tandem.triage.v1.PolicyService", "triage", "built-in triage.yaml",
                             tandem::deploy::BuiltInPolicy("triage.yaml")};
  program.make = [] { return tandem::triage::Make({}); };
  return tandem::program::Main(argc, argv, program);
}
