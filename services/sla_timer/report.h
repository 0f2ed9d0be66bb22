// Attainment and durations over many tickets (product §3.11). Pure.
#ifndef TANDEM_SERVICES_SLA_TIMER_REPORT_H_
#define TANDEM_SERVICES_SLA_TIMER_REPORT_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/time/time.h"
#include "services/sla_timer/clock.h"
#include "tandem/sla/v1/sla_service.pb.h"

namespace tandem::sla_timer {

// Adds up tickets one by one; memory grows with rows and stopped clocks, not with facts.
class Report {
 public:
  Report(const sla::v1::GetSlaReportRequest& request, absl::Time now);

  // One ticket: its facts in their own order and its clocks as they were judged, by kMetrics.
  void Add(const std::string& account_id, const std::vector<Fact>& facts,
           const std::array<Evaluation, kMetrics.size()>& clocks);
  sla::v1::GetSlaReportResponse Take();

 private:
  using RowKey = std::tuple<int64_t, int, int, std::string, std::string>;
  struct Row {
    int64_t met = 0, missed = 0, running = 0, cancelled = 0;
  };
  struct Spread {
    std::vector<absl::Duration> elapsed, business;
  };

  void AddClock(type::v1::SlaMetric metric, const std::string& account_id, const std::string& month,
                const Evaluation& clock);
  void AddDrivers(const std::vector<Fact>& facts);

  const absl::Time now_;
  bool by_policy_ = false, by_severity_ = false, by_account_ = false, by_month_ = false;
  std::map<RowKey, Row> rows_;
  std::map<int, Spread> spreads_;  // by metric
  int64_t opened_ = 0, excluded_ = 0, resolved_ = 0, reopened_ = 0;
  absl::Duration total_, customer_, third_party_, queueing_;
};

}  // namespace tandem::sla_timer

#endif  // TANDEM_SERVICES_SLA_TIMER_REPORT_H_
