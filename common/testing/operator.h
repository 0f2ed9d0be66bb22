// What an operator does with a service, for tests of it.
#ifndef TANDEM_COMMON_TESTING_OPERATOR_H_
#define TANDEM_COMMON_TESTING_OPERATOR_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/corridor/definition.h"
#include "common/testing/service_harness.h"
#include "common/time/micros.h"

namespace tandem::testing {

// How the database answers a measure: the steps of its plan, a line each.
inline absl::StatusOr<std::string> PlanOf(ServiceHarness& harness,
                                          const corridor::ServiceDefinition::Measure& measure) {
  store::Statement statement{"EXPLAIN QUERY PLAN " + measure.sql, {}};
  if (measure.sql.find("$1") != std::string::npos) {
    statement.params.emplace_back(time::ToMicros(harness.Now()));
  }
  std::string plan;
  const absl::Status status = harness.store().reader().Query(
      statement, [&](const store::RowView& row) { plan.append(row.Text(3)).append("\n"); });
  if (!status.ok()) return status;
  return plan;
}

// Discards the oldest dead letter; how many of its subject are left.
inline absl::StatusOr<int64_t> DropOldestLetter(ServiceHarness& harness) {
  absl::StatusOr<int64_t> left = absl::UnavailableError("not answered");
  harness.runtime().Drop(harness.Number("SELECT MIN(id) FROM dead_letters"),
                         [&](absl::StatusOr<int64_t> answer) { left = std::move(answer); });
  harness.Settle();
  return left;
}

}  // namespace tandem::testing

#endif  // TANDEM_COMMON_TESTING_OPERATOR_H_
