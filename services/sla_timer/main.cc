// tandem-sla-timer: the service sla_timer as a process of its own.
#include "common/host/version.h"
#include "common/program/program.h"
#include "deploy/policies/built_in.h"
#include "services/sla_timer/migrations.h"
#include "services/sla_timer/service.h"

int main(int argc, char** argv) {
  tandem::program::Program program;
  program.name = "sla_timer";
  program.binary = "tandem-sla-timer";
  program.description = "SLA policies, calendars, clocks and verdicts.";
  program.version = tandem::host::kVersion;
  program.peers = {{"ticket_intake", "tandem.intake.v1"}};
  program.sqlite = tandem::sla_timer::SqliteSchema();
  program.postgres = tandem::sla_timer::PostgresSchema();
  program.policy_file = "sla.yaml";
  program.built_in_policy = {"tandem.sla.v1.PolicyService", "sla", "built-in sla.yaml",
                             tandem::deploy::BuiltInPolicy("sla.yaml")};
  program.make = [] { return tandem::sla_timer::Make({}); };
  return tandem::program::Main(argc, argv, program);
}
