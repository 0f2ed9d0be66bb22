// What a seed draws before anything runs: how large the world is, which faults it has and how
// often, and who does what when. Pure; any thread.
#ifndef TANDEM_TESTS_SIMULATION_PLAN_H_
#define TANDEM_TESTS_SIMULATION_PLAN_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tandem::simulation {

// The five services, in the order of programs::FiveServices.
enum Service : size_t { kIntake, kTriage, kSla, kSurvey, kAccount, kServices };

// Each has a rate of its own: the chance of an operation, or how many there are in a run
// (episodes).
enum class Fault : uint8_t {
  kAppendRefused,      // the bus takes nothing and says so
  kAppendDelayed,      // it takes the events and says so late
  kAppendLate,         // the events lie somewhere and land later, whoever has died meanwhile
  kAppendDone,         // all of them or some are taken, and the answer is a failure
  kBrokerDown,         // episodes: no append, no delivery, no end offset
  kDeliveryDelayed,    // records come late
  kRewind,             // episodes: a position is set back, and what was applied comes again
  kRebalance,          // episodes: partitions change hands
  kZombie,             // who lost a partition goes on getting its records for a while
  kCommitUnknownDone,  // applied, and the answer lost
  kCommitUnknownLost,  // not applied, and the answer lost
  kConflict,           // nothing applied, nobody named
  kDiskFull,           // nothing applied
  kSlowStore,          // who commits stands still for a while
  kReadFails,          // the database cannot be read now
  kWithheldRows,       // the outbox shows a later commit's rows before an earlier one's
  kRequestLost,
  kRequestSlow,
  kRequestTwice,
  kReplyLost,     // after the commit
  kDeadPeer,      // the question goes to whoever is there, alive or not
  kKill,          // episodes: kill -9 after any step, and a restart
  kKillAtCommit,  // kill -9 just before or just after a commit
  kRestart,       // episodes: drained by an operator
  kPause,         // episodes: SIGSTOP, some longer than the bus's session
  kSkew,          // clocks differ
  kClockJump,     // episodes: a clock is set, within the same bounds
  kPoison,        // episodes: an event that nobody can parse
  kMailboxDown,   // the survey's mailbox takes no letter
  kFaults,
};
inline constexpr size_t kFaultCount = static_cast<size_t>(Fault::kFaults);

std::string_view NameOf(Fault fault);
absl::StatusOr<Fault> FaultOf(std::string_view name);

// Rates from 0 (off) to 1 (as often as this fault is bearable).
using Mix = std::array<double, kFaultCount>;
std::string Describe(const Mix& mix);

enum class Act : uint8_t {
  // customers
  kOpen,
  kOpenByStranger,
  kWrite,
  kOpenNuisance,  // from the address whose tickets are spam
  kWriteFrom,     // by mail: who wrote is told by the address alone
  kThank,
  kComplain,
  kSelfResolve,
  kAnswerSurvey,
  kOptOut,
  // agents
  kClaimNext,
  kClaimTogether,
  kReply,
  kWaitForCustomer,
  kReclassify,
  kConfirm,
  kOverride,
  kReassign,
  kTransfer,
  kEscalate,
  kAcknowledge,
  kResolve,
  kReopen,
  kClose,
  kSpam,
  kNotSpam,       // what is suspected to be spam is found to be none
  kMakeInternal,  // or a customer's again
  kMoveAccount,
  kAway,
  kLeave,           // or comes back, or claims from one queue less
  kBecomeCritical,  // a ticket that is escalated as something less
  // success managers
  kCheck,
  kCheckWhileOpening,
  kCheckWhileReopening,
  kTouch,
  kProve,
  kGrantException,
  kUseException,  // one of seconds: asks under it, and contacts before and after its end
  kAdvanceJourney,
  kCloseFollowUp,
  kAssignRequester,
  kPutContact,
  kMoveAddress,  // to another contact, a new one among them, or a stranger's to a contact
  // operators
  kApplyPolicy,
  kApplyAsClockGoesBack,  // and opens a ticket at once
  kDropInUse,             // from the triage policy
  kRetryDeadLetters,
};
std::string_view NameOf(Act act);

struct Action {
  absl::Duration at;  // since the workload began
  Act act = Act::kOpen;
  int ticket = -1;    // the story that it belongs to; -1 = none
  uint64_t seed = 0;  // of its own dice
};

struct Plan {
  uint64_t seed = 0;
  absl::Time start;
  absl::Duration length;  // of the workload
  // One process with all five and databases of its own (the embedded default), or replicas of each
  // service that share its database.
  bool embedded = true;
  std::array<int, kServices> replicas{};
  int lanes = 1;  // of each replica
  int partitions = 8;
  // How slowly replicas look for each other's work: the longer a world lasts, the more slowly, as a
  // step of an idle process costs as much as one of a busy one.
  absl::Duration pace;
  absl::Duration session;  // of the bus
  int accounts = 1;
  int contacts = 1;  // of each account
  int agents = 1;
  int tickets = 1;
  int nuisances = 0;  // stories behind those of `tickets`, all from one address
  // Of the policies.
  absl::Duration auto_close, survey_delay, reminder_after, expires_after, retry_every, retry_for;
  bool survey_at_resolution = false;
  // Of the openings that come while somebody asks for clearance.
  double asked_while_opening = 0.3;
  double severe = 0;  // beyond the log's own share of high impact and urgency
  Mix mix{};
  std::vector<Action> actions;  // by instant
};

Plan DrawPlan(uint64_t seed);
std::string Describe(const Plan& plan);

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_PLAN_H_
