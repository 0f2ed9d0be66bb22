#include "services/sla_timer/policy_effects.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/time/micros.h"
#include "services/sla_timer/clock.h"
#include "services/sla_timer/records.h"
#include "services/sla_timer/ticket_clocks.h"

namespace tandem::sla_timer {
namespace {

using type::v1::SlaMetric;

constexpr int64_t kExamined = 1000;

// What becomes of the clocks of one metric.
struct Fates {
  int64_t cancelled = 0, overdue = 0, sooner = 0, later = 0, started = 0;
};

void Count(const Cycle* before, const Cycle* after, absl::Time now, Fates& fates) {
  const bool lived = before != nullptr && before->IsLive();
  const bool lives = after != nullptr && after->IsLive();
  if (lived && !lives) {
    ++fates.cancelled;
  } else if (!lived && lives) {
    ++fates.started;
  } else if (lived && lives) {
    const absl::Time due_before = before->Due(now), due_after = after->Due(now);
    // The breach itself waits for its timer.
    const bool was_overdue = before->breached_at.has_value() || due_before <= now;
    const bool is_overdue = after->breached_at.has_value() || due_after <= now;
    if (is_overdue && !was_overdue) {
      ++fates.overdue;
      return;
    }
    if (due_after < due_before) ++fates.sooner;
    if (due_after > due_before) ++fates.later;
  }
}

std::string Clocks(int64_t count, const std::string& metric) {
  return absl::StrCat(count, " ", metric, count == 1 ? " clock" : " clocks");
}

void Tell(const std::string& metric, const Fates& fates, policy::Outlook& outlook) {
  if (fates.cancelled > 0) {
    outlook.Warn("clock_cancelled", metric, fates.cancelled,
                 absl::StrCat(Clocks(fates.cancelled, metric),
                              " have no target any more and are cancelled"));
  }
  if (fates.overdue > 0) {
    outlook.Warn("clock_breached", metric, fates.overdue,
                 absl::StrCat(Clocks(fates.overdue, metric), " are overdue at once"));
  }
  const int64_t moved = fates.sooner + fates.later;
  if (moved > 0) {
    outlook.Warn("clock_moved", metric, moved,
                 absl::StrCat(Clocks(moved, metric), " get another due instant: ", fates.sooner,
                              " sooner, ", fates.later, " later"));
  }
  if (fates.started > 0) {
    outlook.Warn("clock_started", metric, fates.started,
                 absl::StrCat(Clocks(fates.started, metric), " start"));
  }
}

}  // namespace

absl::Status WeighPolicy(const Policies::Proposal& proposal, const corridor::Inputs& in,
                         corridor::View& view, policy::Outlook& outlook) {
  if (!proposal.made_after.takes_open_tickets()) return absl::OkStatus();
  const auto rows = SelectLive(view, kExamined);
  if (!rows.ok()) return rows.status();
  int64_t more = 0;
  if (static_cast<int64_t>(rows->size()) == kExamined) {
    const auto live = CountLive(view);
    if (!live.ok()) return live.status();
    more = *live - kExamined;
  }
  // It outlives what is evaluated here.
  const std::shared_ptr<const SlaRules> proposed(std::shared_ptr<const SlaRules>(),
                                                 &proposal.made_after);
  std::array<Fates, type::v1::SlaMetric_ARRAYSIZE> fates;
  for (const auto& row : *rows) {
    absl::StatusOr<PolicyVersions> versions = LoadVersions(*row, proposal.book, view);
    if (!versions.ok()) return versions.status();
    records::TicketRecord taken = *row;
    records::PolicyHistory history;
    records::PolicyLine& line = *history.add_lines();
    line.set_version(proposal.version);
    line.set_applied_us(time::ToMicros(in.now));
    line.set_takes_open_tickets(true);
    // A ticket with too many facts keeps what it has.
    if (!TakePolicies(taken, history).ok()) continue;
    versions->Add(proposal.version, proposed);
    for (const SlaMetric metric : kMetrics) {
      const Authority authority = AuthorityOf(FindClock(*row, metric));
      const Evaluation before = Evaluate(FactsOf(*row), metric, *versions, authority);
      const Evaluation after = Evaluate(FactsOf(taken), metric, *versions, authority);
      Count(before.Latest(), after.Latest(), in.now, fates[static_cast<size_t>(metric)]);
    }
  }
  for (const SlaMetric metric : kMetrics) {
    const std::string& name = type::v1::SlaMetric_Name(metric);
    Tell(std::string(absl::StripPrefix(name, "SLA_METRIC_")), fates[static_cast<size_t>(metric)],
         outlook);
  }
  if (more > 0) {
    outlook.Warn("not_examined", "", more,
                 absl::StrCat("only ", kExamined,
                              " tickets with live clocks were examined; there "
                              "are ",
                              more, " more"));
  }
  return absl::OkStatus();
}

}  // namespace tandem::sla_timer
