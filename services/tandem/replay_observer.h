// Reads every event of a replay as a consumer group of its own, keeps what the driver has to know
// about a ticket, and counts what the report says.
#ifndef TANDEM_SERVICES_TANDEM_REPLAY_OBSERVER_H_
#define TANDEM_SERVICES_TANDEM_REPLAY_OBSERVER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/executor/executor.h"
#include "common/executor/scope.h"
#include "services/tandem/replay_report.pb.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::programs {

// A ticket as its events tell it.
struct TicketView {
  type::v1::TicketState state = type::v1::TICKET_STATE_NEW;
  type::v1::Severity severity = type::v1::SEVERITY_UNSPECIFIED;
  std::string account_id;  // empty = not known
  std::string owner;       // staff id; empty = nobody
  bool is_follow_up = false;
  // The escalation that rings, or was exhausted, and nobody acknowledged since; empty = none.
  std::string escalation_id;
  absl::Time rung_at;  // its last ring
};

// Lives on one thread, that of the deterministic scheduler.
class ReplayObserver : private bus::Listener {
 public:
  ReplayObserver(bus::Bus* bus, executor::Executor* executor);
  ~ReplayObserver() override;

  // Joins the bus as the group "report".
  absl::Status Start();

  // Null while nothing was heard of it.
  const TicketView* Find(const std::string& ticket_id) const;
  int64_t events() const { return events_; }
  // The bus could not be read, or an event not understood: the first reason.
  const absl::Status& trouble() const { return trouble_; }

  // Whether the RESOLUTION clock was used up; nothing while it is neither used up nor stopped.
  std::optional<bool> ResolutionMet(const std::string& ticket_id) const;
  // Adds what was counted: tickets, clocks, warnings, escalations, surveys, outreach, events. Holds
  // that stand are counted up to `end`.
  void Report(absl::Time begin, absl::Time end, ReplayReport* report) const;

 private:
  enum class Verdict { kRunning, kMet, kBreached, kCancelled };
  struct Clock {
    std::string rule;
    type::v1::Severity severity = type::v1::SEVERITY_UNSPECIFIED;
    Verdict verdict = Verdict::kRunning;
  };
  using ClockKey = std::tuple<std::string, type::v1::SlaMetric, int32_t>;  // ticket, metric, cycle
  // Account, contact (empty = the account itself), topic.
  using HoldKey = std::tuple<std::string, std::string, type::v1::OutreachTopic>;
  struct Hold {
    std::optional<absl::Time> since;
    absl::Duration held;
  };
  // Parses one type of event and applies it.
  using Apply = bool (*)(ReplayObserver&, const bus::Event&);

  // bus::Listener
  void Assigned(std::vector<int> partitions) override;
  void Revoked(std::vector<int>) override {}
  void Records(int partition, int64_t generation, std::vector<bus::RecordPtr> records) override;
  void Stopped(int partition, absl::Status why) override;

  static const std::map<std::string, Apply>& Applies();
  template <typename E>
  static bool Parse(ReplayObserver& observer, const bus::Event& event);
  // One overload an event that is more than counted; defined in the .cc.
  template <typename E>
  void On(const E& event);
  template <typename E>
  Clock& ClockOf(const E& event);

  bus::Bus* const bus_;
  std::unique_ptr<bus::Consumer> member_;
  absl::Status trouble_;
  int64_t events_ = 0;

  struct TypeCount {
    Apply apply = nullptr;
    std::string source;
    int64_t count = 0;
  };
  absl::flat_hash_map<std::string, TypeCount> types_;
  absl::flat_hash_map<std::string, TicketView> tickets_;
  absl::flat_hash_map<ClockKey, Clock> clocks_;
  absl::flat_hash_map<HoldKey, Hold> holds_;
  std::map<std::pair<type::v1::SlaMetric, std::string>, int32_t> warnings_;
  EscalationCounts escalations_;
  std::map<std::string, int32_t> triggers_;
  std::map<int32_t, int32_t> rings_;
  SurveyCounts surveys_;
  std::map<std::string, int32_t> suppressed_;
  executor::Scope scope_;
};

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_REPLAY_OBSERVER_H_
