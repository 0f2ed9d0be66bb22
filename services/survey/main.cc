// tandem-survey: the service survey as a process of its own.
#include <memory>
#include <string>
#include <utility>

#include "common/host/version.h"
#include "common/program/program.h"
#include "deploy/policies/built_in.h"
#include "services/survey/mailbox.h"
#include "services/survey/migrations.h"
#include "services/survey/service.h"

int main(int argc, char** argv) {
  tandem::program::Program program;
  program.name = "survey";
  program.binary = "tandem-survey";
  program.description = "Survey invitations, answers, scores and follow-ups.";
  program.version = tandem::host::kVersion;
  program.peers = {{"account_health", "tandem.account.v1"}};
  program.sqlite = tandem::survey::SqliteSchema();
  program.postgres = tandem::survey::PostgresSchema();
  program.policy_file = "survey.yaml";
  program.built_in_policy = {"tandem.survey.v1.PolicyService", "survey", "built-in survey.yaml",
                             tandem::deploy::BuiltInPolicy("survey.yaml")};
  std::string mailbox;
  program.add_options = [&mailbox](tandem::config::OptionSet& serve) {
    serve.Add("mailbox", &mailbox, "Folder where letters to contacts are handed over.");
    serve.Require("mailbox");
  };
  program.make =
      [&mailbox]() -> absl::StatusOr<std::unique_ptr<tandem::corridor::ServiceDefinition>> {
    using tandem::survey::FileMailbox;
    auto opened = FileMailbox::Open(mailbox, FileMailbox::Durability::kFull);
    if (!opened.ok()) return opened.status();
    tandem::survey::Options options;
    options.mailer = *std::move(opened);
    return tandem::survey::Make(options);
  };
  return tandem::program::Main(argc, argv, program);
}
