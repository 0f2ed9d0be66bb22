// tandem-survey: the service survey as a process of its own.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/host/version.h"
#include "common/id/system_entropy.h"
#include "common/program/program.h"
#include "deploy/policies/built_in.h"
#include "services/survey/mailbox.h"
#include "services/survey/migrations.h"
#include "services/survey/service.h"
#include "services/survey/token_key_file.h"

int main(int argc, char** argv) {
  tandem::program::Program program;
  program.name = "survey";
  program.binary = "tandem-survey";
  program.description = "Survey invitations, answers, scores and follow-ups.";
  program.version = tandem::host::kVersion;
  program.peers = {{"account_health", "tandem.account.v1"}, {"triage", "tandem.triage.v1"}};
  program.sqlite = tandem::survey::SqliteSchema();
  program.postgres = tandem::survey::PostgresSchema();
  program.policy_file = "survey.yaml";
  program.built_in_policy = {"tandem.survey.v1.PolicyService", "survey", "built-in survey.yaml",
                             tandem::deploy::BuiltInPolicy("survey.yaml")};
  std::string mailbox;
  std::string token_key;
  program.add_options = [&mailbox, &token_key](tandem::config::OptionSet& serve) {
    serve.Add("mailbox", &mailbox, "Folder where letters to contacts are handed over.");
    serve.Require("mailbox");
    serve.Add(
        "token-key", &token_key,
        "File with the key of the survey tokens, the same for every replica; made if it does not "
        "exist. Default: the mailbox's path with \".key\" at its end.");
  };
  program.make =
      [&mailbox,
       &token_key]() -> absl::StatusOr<std::unique_ptr<tandem::corridor::ServiceDefinition>> {
    using tandem::survey::FileMailbox;
    tandem::survey::Options options;
    tandem::id::SystemEntropy entropy;
    if (mailbox.empty()) {  // nothing is delivered by `migrate`
      options.mailer = std::make_shared<tandem::survey::NoMailbox>();
      options.token_keys = std::make_shared<const tandem::survey::TokenKeys>(
          std::vector<std::string>{entropy.Bytes(tandem::survey::TokenKeys::kKeyBytes)});
      return tandem::survey::Make(options);
    }
    auto opened = FileMailbox::Open(mailbox, FileMailbox::Durability::kFull);
    if (!opened.ok()) return opened.status();
    options.mailer = *std::move(opened);
    auto keys = tandem::survey::OpenTokenKeyFile(
        token_key.empty() ? tandem::survey::TokenKeyBeside(mailbox) : token_key, entropy);
    if (!keys.ok()) return keys.status();
    options.token_keys = std::make_shared<const tandem::survey::TokenKeys>(*std::move(keys));
    return tandem::survey::Make(options);
  };
  return tandem::program::Main(argc, argv, program);
}
