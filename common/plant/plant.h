// Classic mistakes of systems like this one, which tests plant to prove that they would be noticed.
// A place that a mistake concerns asks `Has` and then does the wrong thing. No program can be told
// to: `Set` is called by tests alone, and by the programs that tests/chaos makes for itself. Asking
// costs one load of a word that nobody writes.
#ifndef TANDEM_COMMON_PLANT_PLANT_H_
#define TANDEM_COMMON_PLANT_PLANT_H_

#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tandem::plant {

enum class Mistake : uint8_t {
  kNoDedupe,     // an event that was applied is applied again
  kNoEpoch,      // a partition's former owner may go on writing
  kRelayCursor,  // the relay reads and deletes behind a cursor: ids may become visible out of order
  kOffsetFirst,  // the position moves in a commit of its own, before the effects
  kTimerFirst,   // a timer is deleted in a commit of its own, before its decision
  kReplyFirst,   // the answer leaves before the commit
  kPauseOffCalendar,  // what a pause leaves of a budget is not counted by the calendar
  kStaleClearance,    // an old answer counts although facts came in since
  kHoldKept,          // what blocked and is over goes on holding
  kRemindAnswered,    // a reminder goes out after the answer
  kWallClockOrder,    // facts of one aggregate are dated by whichever clock is at hand
  kRetryWithoutId,    // a request is sent again as a new one
  kStrangerSpeaks,    // a stranger's message is stored as the requester's
  kStrangerReopens,   // a third party's message moves the ticket
  kAddressKept,       // who was behind an address is remembered although it has moved
  kUnsettled,         // a contact's new address finds the next tickets, not those that wait
  kSuspectMissed,     // nobody is suspected, whatever came from the address
  kAsksLeftOut,       // what is nobody's request is asked about like any other
  kExceptionKept,     // a clearance outlives the exception that it was given under
  kSpecialDayKept,    // a date's own opening hours hold on the day after, too
  kOlderPolicy,       // a new ticket goes by the policy that was in force by the clock
  kDropsInUse,        // a policy may drop what is in use
  kBuiltInAgain,      // a start without a folder applies what is built in
  kSuspectCounts,     // a ticket that waits for review lowers its account's health
};

// All of them, in order.
const std::vector<Mistake>& AllMistakes();
// "no_dedupe" for kNoDedupe.
std::string_view NameOf(Mistake mistake);
// INVALID_ARGUMENT names the known ones.
absl::StatusOr<Mistake> MistakeOf(std::string_view name);

namespace internal {
extern std::atomic<uint32_t> planted;
}  // namespace internal

inline bool Has(Mistake mistake) {
  return (internal::planted.load(std::memory_order_relaxed) >> static_cast<unsigned>(mistake) &
          1) != 0;
}

// From now on, in this process: these and no others. Any thread, while nothing runs that may ask.
void Set(const std::vector<Mistake>& mistakes);

}  // namespace tandem::plant

#endif  // TANDEM_COMMON_PLANT_PLANT_H_
