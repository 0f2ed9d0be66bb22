// Turns the rows of a log into ordinary commands at their simulated instants. Every command goes
// through the services' own doors, with a request id that follows from its row: nothing here knows
// a service from inside.
//
// The actors (product §7): queues are PULL; a row that names an assignee is an accepted assignment;
// the first row after an escalation acknowledges it; nobody answers surveys. The log has no
// messages: the first row that names an assignee or leaves New brings a synthetic public message of
// an agent, a resolution a synthetic answer. What stands in a row from the future, such as
// resolved_at, is never read.
#ifndef TANDEM_SERVICES_TANDEM_REPLAY_DRIVER_H_
#define TANDEM_SERVICES_TANDEM_REPLAY_DRIVER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/corridor/endpoint.h"
#include "services/tandem/incident_log.h"
#include "services/tandem/replay_observer.h"
#include "services/tandem/replay_report.pb.h"
#include "tandem/triage/v1/staff_service.pb.h"

namespace tandem::programs {

// Staff beside those that the log names.
struct ReplayStaff {
  std::vector<std::string> queues;  // from which all staff take tickets
  // Whom the policies name for a role: staff id → roles.
  std::map<std::string, std::set<type::v1::StaffRole>> named;
};

//   while (driver.IssueSetUp() > 0) settle;
//   while (!driver.Done()) {
//     move time to driver.NextInstant();
//     while (driver.Issue() > 0) settle;
//   }
//
// Lives on one thread, that of the deterministic scheduler. All given outlive it.
class ReplayDriver {
 public:
  ReplayDriver(const IncidentLog* log, const std::string& system, ReplayStaff staff,
               corridor::Peer* peer, const ReplayObserver* observer);
  ReplayDriver(const ReplayDriver&) = delete;
  ReplayDriver& operator=(const ReplayDriver&) = delete;

  // Registers a part of the staff, accounts and contacts; the number of commands issued, 0 = all
  // are there.
  size_t IssueSetUp();

  // The next instant at which something is due; InfiniteFuture when nothing is.
  absl::Time NextInstant() const;
  bool Done() const { return next_moment_ == moments_.size() && active_.empty(); }
  // Issues what is due up to `now` and may be issued now: of each ticket what does not have to wait
  // for an answer. The number of commands issued; 0 = nothing more is due, or all that is waits for
  // answers.
  size_t Issue(absl::Time now);
  // Commands without an answer.
  size_t unanswered() const { return unanswered_; }
  int64_t rows_done() const { return rows_done_; }

  // Adds actions and verdicts.
  void Report(ReplayReport* report) const;

 private:
  // One command to come. `build` is called when it is issued.
  struct Step {
    const char* method;
    std::function<corridor::MessagePtr(const std::string& request_id)> build;
    std::function<void(const google::protobuf::Message& reply)> answered;
    // Not before everything before it was answered and the answer's events were read.
    bool waits = false;
  };
  // An incident on its way.
  struct Case {
    size_t index = 0;
    const Incident* incident = nullptr;
    std::string first_ticket_id;
    std::string ticket_id;  // takes the rows: a follow-up once there is one
    std::string requester_id;
    std::string_view location, caller;  // the first that a row named so far
    bool attributed = false;
    bool greeted = false;  // the synthetic first message was sent
    int follow_ups = 0;
    type::v1::Impact impact = type::v1::IMPACT_UNSPECIFIED;
    type::v1::Urgency urgency = type::v1::URGENCY_UNSPECIFIED;
    std::string_view category, subcategory;

    bool is_active = false;
    bool is_opened = false;
    bool plan_again = false;  // the row under way goes on with another ticket
    size_t due_moments = 0;
    size_t next_row = 0;
    int64_t requests = 0;
    std::deque<Step> steps;
    size_t in_flight = 0;
  };
  struct Moment {
    absl::Time at;
    size_t case_index;
  };

  void IssueFor(Case& c, size_t& issued);
  void Send(Case* c, Step step);
  void Count(const std::string& method, const Case* c, const absl::Status& status);

  void PlanOpening(Case& c);
  void PlanRow(Case& c, const LogRow& row);
  void NoteWho(Case& c, const LogRow& row);
  void PlanAttribution(Case& c);
  void PlanFollowUp(Case& c);
  void PlanWork(Case& c, const LogRow& row, const TicketView& view);

  void Acknowledge(Case& c, const std::string& escalation_id, const std::string& staff);
  void Assign(Case& c, const std::string& staff, bool is_owned, bool waits);
  void Greet(Case& c, const std::string& staff, type::v1::TicketState new_state);
  void Update(Case& c, const LogRow& row, type::v1::TicketState new_state,
              const std::string& staff);
  void Resolve(Case& c, const LogRow& row, const std::string& staff, bool waits);
  void Reopen(Case& c, const std::string& staff);
  void Close(Case& c);

  const IncidentLog& log_;
  const std::string system_;
  corridor::Peer* const peer_;
  const ReplayObserver* const observer_;

  std::vector<std::vector<Step>> set_up_;  // chunks
  size_t next_set_up_ = 0;
  int64_t set_up_requests_ = 0;
  std::vector<Case> cases_;
  std::vector<Moment> moments_;  // by instant
  size_t next_moment_ = 0;
  std::vector<size_t> active_;  // cases with something due, in the order in which it fell due
  size_t unanswered_ = 0;
  int64_t rows_done_ = 0;
  ReplayActions actions_;
  std::map<std::string, int32_t> commands_;
  std::map<std::pair<std::string, std::string>, RefusalCount> refusals_;
};

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_REPLAY_DRIVER_H_
