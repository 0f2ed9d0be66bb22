#include "services/sla_timer/report.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/time/stamp.h"
#include "services/sla_timer/ticket_clocks.h"

namespace tandem::sla_timer {
namespace {

// Nearest rank: the smallest value that at least that share is not above.
absl::Duration Percentile(const std::vector<absl::Duration>& sorted, size_t percent) {
  const size_t rank = (sorted.size() * percent + 99) / 100;
  return sorted[std::max<size_t>(rank, 1) - 1];
}

}  // namespace

Report::Report(const sla::v1::GetSlaReportRequest& request, absl::Time now) : now_(now) {
  for (const int dimension : request.group_by()) {
    by_policy_ = by_policy_ || dimension == sla::v1::REPORT_DIMENSION_POLICY;
    by_severity_ = by_severity_ || dimension == sla::v1::REPORT_DIMENSION_SEVERITY;
    by_account_ = by_account_ || dimension == sla::v1::REPORT_DIMENSION_ACCOUNT;
    by_month_ = by_month_ || dimension == sla::v1::REPORT_DIMENSION_MONTH;
  }
}

// Missed if any cycle was; else as its last cycle that was not cancelled.
void Report::AddClock(type::v1::SlaMetric metric, const std::string& account_id,
                      const std::string& month, const Evaluation& clock) {
  if (clock.cycles.empty()) return;
  const Cycle* last = nullptr;
  bool is_missed = false;
  for (const Cycle& cycle : clock.cycles) {
    if (cycle.phase == Phase::kCancelled) continue;
    last = &cycle;
    is_missed = is_missed || cycle.breached_at.has_value() ||
                (cycle.phase == Phase::kRunning && cycle.Due(now_) < now_);
  }
  const Leg& leg = last != nullptr ? last->leg : clock.cycles.back().leg;
  Row& row = rows_[{by_policy_ ? leg.policy_version : -1, metric,
                    by_severity_ ? leg.severity : type::v1::SEVERITY_UNSPECIFIED,
                    by_account_ ? account_id : "", by_month_ ? month : ""}];
  if (last == nullptr) {
    ++row.cancelled;
  } else if (is_missed) {
    ++row.missed;
  } else if (last->phase == Phase::kStopped) {
    ++row.met;
  } else {
    ++row.running;
  }
  if (last != nullptr && last->phase == Phase::kStopped) {
    Spread& spread = spreads_[metric];
    spread.elapsed.push_back(*last->ended_at - last->started_at);
    spread.business.push_back(last->used);
  }
}

void Report::AddDrivers(const std::vector<Fact>& facts) {
  std::optional<absl::Time> last_resolved;
  bool is_reopened = false;
  for (const Fact& fact : facts) {
    if (fact.kind == FactKind::kResolved || fact.kind == FactKind::kSelfServed) {
      last_resolved = fact.at;
    }
    is_reopened = is_reopened || fact.kind == FactKind::kReopened;
  }
  if (is_reopened) ++reopened_;
  if (!last_resolved) return;
  ++resolved_;
  type::v1::TicketState state = type::v1::TICKET_STATE_NEW;
  bool is_owned = false;
  absl::Time since = facts.front().at;
  for (const Fact& fact : facts) {
    const absl::Duration passed = std::min(fact.at, *last_resolved) - since;
    if (state != type::v1::TICKET_STATE_RESOLVED) {
      total_ += passed;
      if (state == type::v1::TICKET_STATE_PENDING) {
        customer_ += passed;
      } else if (state == type::v1::TICKET_STATE_ON_HOLD) {
        third_party_ += passed;
      } else if (!is_owned) {
        queueing_ += passed;
      }
    }
    since = std::min(fact.at, *last_resolved);
    switch (fact.kind) {
      case FactKind::kState:
        state = fact.state;
        break;
      case FactKind::kResolved:
      case FactKind::kSelfServed:
        state = type::v1::TICKET_STATE_RESOLVED;
        break;
      case FactKind::kReopened:
        state = type::v1::TICKET_STATE_OPEN;
        break;
      case FactKind::kOwned:
        is_owned = true;
        break;
      default:
        break;
    }
  }
}

void Report::Add(const std::string& account_id, const std::vector<Fact>& facts,
                 const std::array<Evaluation, kMetrics.size()>& clocks) {
  if (facts.empty()) return;
  ++opened_;
  if (!ExclusionOf(facts).empty()) {
    ++excluded_;
    return;
  }
  const std::string month = absl::FormatTime("%Y-%m", facts.front().at, absl::UTCTimeZone());
  for (size_t i = 0; i < kMetrics.size(); ++i) {
    AddClock(kMetrics[i], account_id, month, clocks[i]);
  }
  AddDrivers(facts);
}

sla::v1::GetSlaReportResponse Report::Take() {
  sla::v1::GetSlaReportResponse response;
  for (const auto& [key, row] : rows_) {
    sla::v1::AttainmentRow& message = *response.add_rows();
    message.set_policy_version(std::get<0>(key));
    message.set_metric(static_cast<type::v1::SlaMetric>(std::get<1>(key)));
    message.set_severity(static_cast<type::v1::Severity>(std::get<2>(key)));
    message.set_account_id(std::get<3>(key));
    message.set_month(std::get<4>(key));
    message.set_met(row.met);
    message.set_missed(row.missed);
    message.set_running(row.running);
    message.set_cancelled(row.cancelled);
  }
  response.set_opened(opened_);
  response.set_excluded(excluded_);
  response.set_resolved(resolved_);
  response.set_reopened(reopened_);
  for (auto& [metric, spread] : spreads_) {
    std::sort(spread.elapsed.begin(), spread.elapsed.end());
    std::sort(spread.business.begin(), spread.business.end());
    sla::v1::DurationSpread& message = *response.add_spreads();
    message.set_metric(static_cast<type::v1::SlaMetric>(metric));
    message.set_tickets(static_cast<int64_t>(spread.elapsed.size()));
    *message.mutable_elapsed_p50() = time::StampSpan(Percentile(spread.elapsed, 50));
    *message.mutable_elapsed_p90() = time::StampSpan(Percentile(spread.elapsed, 90));
    *message.mutable_elapsed_p99() = time::StampSpan(Percentile(spread.elapsed, 99));
    *message.mutable_business_p50() = time::StampSpan(Percentile(spread.business, 50));
    *message.mutable_business_p90() = time::StampSpan(Percentile(spread.business, 90));
    *message.mutable_business_p99() = time::StampSpan(Percentile(spread.business, 99));
  }
  sla::v1::ResolutionDrivers& drivers = *response.mutable_drivers();
  drivers.set_tickets(resolved_);
  *drivers.mutable_total() = time::StampSpan(total_);
  *drivers.mutable_waiting_for_customer() = time::StampSpan(customer_);
  *drivers.mutable_waiting_for_third_party() = time::StampSpan(third_party_);
  *drivers.mutable_queueing() = time::StampSpan(queueing_);
  *response.mutable_as_of() = time::Stamp(now_);
  return response;
}

}  // namespace tandem::sla_timer
