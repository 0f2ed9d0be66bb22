#include "tests/simulation/ledger.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/time/micros.h"

namespace tandem::simulation {

void Ledger::Fail(std::string message, Witness witness) {
  if (failure_.has_value()) return;
  if (witness == Witness::kInvariants && !believes_invariants_) return;
  failure_ = absl::StrCat(time::FormatInstant(clock_->Now()), " ", message);
}

void Ledger::Tell(const std::string& line, std::string_view about) {
  if (traced_.empty()) return;
  if (!Contains(about, traced_) && !Contains(line, traced_)) return;
  story_.push_back(absl::StrCat(time::FormatInstant(clock_->Now()), " ", line));
}

}  // namespace tandem::simulation
