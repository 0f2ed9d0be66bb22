// What has to hold. At every commit and append: what one of them alone can break. At drawn points:
// what the committed state of the services says. When all is quiet, and when all is resolved: what
// has to have come of it.
#ifndef TANDEM_TESTS_SIMULATION_INVARIANTS_H_
#define TANDEM_TESTS_SIMULATION_INVARIANTS_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "common/bus/event.h"
#include "common/corridor/definition.h"
#include "common/store/store.h"
#include "common/time/clock.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/process.h"
#include "tests/simulation/shadow_calendar.h"

namespace tandem::simulation {

class World;

// Watches every commit, record and answer. One thread.
class Watch {
 public:
  struct Ports {
    const time::Clock* clock = nullptr;
    Ledger* ledger = nullptr;
    std::function<const std::vector<bus::RecordPtr>&(int partition)> log;
    // The committed state of a service, past all faults.
    std::function<store::Reader&(Service)> reader;
    bool is_shared = false;  // the databases, which then judge instants by the scheduler's clock
    absl::Duration largest_skew;  // of a process's clock
  };
  explicit Watch(Ports ports) : ports_(std::move(ports)) {}

  // Once for each service, before its first commit.
  void Knows(Service service, const corridor::ServiceDefinition& definition);

  void Committed(Service service, const Process& process, const std::vector<store::Write>& batch);
  void Appended(const bus::RecordPtr& record);
  void Answered(Service service, const corridor::CallContext& context,
                const google::protobuf::MethodDescriptor* method,
                const google::protobuf::Message& request,
                const absl::StatusOr<corridor::MessagePtr>& reply);
  // An operator has set a position back.
  void Rewound(Service service, int partition, int64_t next_offset);

  bool Uses(Service service, const std::string& type) const {
    return services_[service].used_types.contains(type);
  }
  // Whether the event was ever set aside.
  bool WasParked(Service service, const std::string& event_id) const {
    return services_[service].parked.contains(event_id);
  }
  // When the service committed what it made of the event; the infinite future = it has not yet, or
  // has parked it.
  absl::Time KnownSince(Service service, const bus::Event& event) const;
  // An event that it set aside, and until when any of its subject was.
  struct ParkedEvent {
    std::string event_id, subject, key;
    absl::Time from;
    absl::Time to = absl::InfiniteFuture();
  };
  const std::vector<ParkedEvent>& ParkedEvents(Service service) const {
    return services_[service].parked_events;
  }
  int64_t commits(Service service) const { return services_[service].commits; }
  const std::string& NameOf(Service service) const { return services_[service].name; }
  int64_t commits() const { return commits_; }
  int64_t events_applied() const { return events_applied_; }
  int64_t timers_fired() const { return timers_fired_; }

 private:
  struct Position {
    int64_t next_offset = 0;
    std::string owner;
  };
  struct PerService {
    std::string name;
    absl::flat_hash_set<std::string> used_types, commands;
    absl::flat_hash_map<std::string, int64_t> marks;  // by stream
    std::map<int, Position> positions;
    absl::flat_hash_map<std::string, int64_t> timers;  // id to due
    absl::flat_hash_set<std::string> requests;         // scopes
    absl::flat_hash_set<std::string> parked;           // events that were ever set aside
    // By stream: its marks, rising, and when each was committed.
    absl::flat_hash_map<std::string, std::vector<std::pair<int64_t, absl::Time>>> marked;
    std::vector<ParkedEvent> parked_events;
    int64_t commits = 0;
  };
  struct Move {
    int partition;
    int64_t from, to;
  };

  void MarkLine(Service service, const store::Write& line);
  void PositionLine(Service service, const Process& process, const store::Write& line,
                    std::vector<Move>& moves);
  void TimerLine(Service service, const Process& process, const store::Write& line);
  void OutboxLine(Service service, const store::Write& line);
  void ParkedLine(Service service, const store::Write& line);
  void UnparkedLine(Service service, const store::Write& line);
  void CheckMove(Service service, const Move& move);
  void CheckOwner(const CommittedEvent& event);
  void CheckRing(const CommittedEvent& event);
  void CheckSurvey(const CommittedEvent& event);
  void CheckClock(const CommittedEvent& event);
  // What the calendar of that version counts, or none where it cannot be told.
  std::optional<absl::Duration> BusinessTime(int64_t version, const std::string& calendar,
                                             absl::Time from, absl::Time to);
  // Whether two versions mean the same hours by the name.
  bool HaveSameHours(int64_t version, int64_t other, const std::string& calendar);
  const std::pair<std::string, ShadowCalendar>* CalendarOf(int64_t version,
                                                           const std::string& name);
  void CheckClearances(const std::vector<store::Write>& batch);
  void Fail(std::string message) { ports_.ledger->Fail(std::move(message), Witness::kInvariants); }

  const Ports ports_;
  std::array<PerService, kServices> services_;
  int64_t commits_ = 0, events_applied_ = 0, timers_fired_ = 0;
  // Of a version of the SLA policy, by name.
  std::map<int64_t, std::map<std::string, std::pair<std::string, ShadowCalendar>>> calendars_;

  struct Stream {
    int64_t sequence = 0;
    absl::Time time = absl::InfinitePast();
  };
  absl::flat_hash_map<std::string, Stream> streams_;      // on the bus, by source, subject and key
  absl::flat_hash_map<std::string, std::string> owners_;  // of tickets, by triage's commits
  struct Ring {
    int level = 0, repeat = 0;
    absl::Time at = absl::InfinitePast();
  };
  absl::flat_hash_map<std::string, Ring> rings_;  // the last one, by escalation
  struct SurveyLife {
    int revision = 0;
    bool is_withdrawn = false;
  };
  absl::flat_hash_map<std::string, SurveyLife> surveys_;
  // By contact: the invitations that count against the budget, by instant.
  std::map<std::string, std::map<std::string, absl::Time>> invited_;
  struct Clock {
    absl::Duration target, used;
    std::string calendar, rule;
    int64_t version = 0;  // of the policy
    bool is_paused = false, is_unclassified = false;
    absl::Time paused_at;
    int pauses = 0;
    absl::Time runs_from =
        absl::InfinitePast();  // since when it runs with `used`; InfinitePast = not known
  };
  std::map<std::string, Clock> clocks_;  // by ticket, metric and cycle
};

// What the committed state of all services says, at any instant between two steps.
void CheckState(World& world);
// After convergence, with tickets still open.
void CheckQuiet(World& world);
// After all tickets were resolved and everything has drained again.
void CheckEnd(World& world);

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_INVARIANTS_H_
