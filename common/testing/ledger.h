// A small service for tests of the mechanism, with one of everything: commands, a range reader, a
// question to a peer, reactions, plain and fact-bound timers, an effect.
#ifndef TANDEM_COMMON_TESTING_LEDGER_H_
#define TANDEM_COMMON_TESTING_LEDGER_H_

#include <functional>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "common/corridor/definition.h"
#include "common/testing/ledger.pb.h"

namespace tandem::testing {

struct LedgerOptions {
  // Carries out the effect of a box; default: at once and well.
  std::function<absl::Status(const std::string& box_id)> perform;
};

std::unique_ptr<corridor::ServiceDefinition> MakeLedger(const LedgerOptions& options = {});

}  // namespace tandem::testing

#endif  // TANDEM_COMMON_TESTING_LEDGER_H_
