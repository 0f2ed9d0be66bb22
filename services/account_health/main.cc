// tandem-account-health: the service account_health as a process of its own.
#include "common/host/version.h"
#include "common/program/program.h"
#include "deploy/policies/built_in.h"
#include "services/account_health/migrations.h"
#include "services/account_health/service.h"

int main(int argc, char** argv) {
  tandem::program::Program program;
  program.name = "account_health";
  program.binary = "tandem-account-health";
  program.description = "Accounts, contacts, health, outreach clearance and the shared timeline.";
  program.version = tandem::host::kVersion;
  program.peers = {{"ticket_intake", "tandem.intake.v1"}, {"triage", "tandem.triage.v1"}};
  program.sqlite = tandem::account_health::SqliteSchema();
  program.postgres = tandem::account_health::PostgresSchema();
  program.policy_file = "account.yaml";
  program.built_in_policy = {"tandem.account.v1.PolicyService", "account", "built-in account.yaml",
                             tandem::deploy::BuiltInPolicy("account.yaml")};
  program.make = [] { return tandem::account_health::Make({}); };
  return tandem::program::Main(argc, argv, program);
}
