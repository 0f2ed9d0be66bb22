#include "common/plant/plant.h"

#include <array>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tandem::plant {
namespace {

constexpr std::array<std::pair<Mistake, std::string_view>, 24> kNames = {{
    {Mistake::kNoDedupe, "no_dedupe"},
    {Mistake::kNoEpoch, "no_epoch"},
    {Mistake::kRelayCursor, "relay_cursor"},
    {Mistake::kOffsetFirst, "offset_first"},
    {Mistake::kTimerFirst, "timer_first"},
    {Mistake::kReplyFirst, "reply_first"},
    {Mistake::kPauseOffCalendar, "pause_off_calendar"},
    {Mistake::kStaleClearance, "stale_clearance"},
    {Mistake::kHoldKept, "hold_kept"},
    {Mistake::kRemindAnswered, "remind_answered"},
    {Mistake::kWallClockOrder, "wall_clock_order"},
    {Mistake::kRetryWithoutId, "retry_without_id"},
    {Mistake::kStrangerSpeaks, "stranger_speaks"},
    {Mistake::kStrangerReopens, "stranger_reopens"},
    {Mistake::kAddressKept, "address_kept"},
    {Mistake::kUnsettled, "unsettled"},
    {Mistake::kSuspectMissed, "suspect_missed"},
    {Mistake::kAsksLeftOut, "asks_left_out"},
    {Mistake::kSuspectCounts, "suspect_counts"},
    {Mistake::kExceptionKept, "exception_kept"},
    {Mistake::kSpecialDayKept, "special_day_kept"},
    {Mistake::kOlderPolicy, "older_policy"},
    {Mistake::kDropsInUse, "drops_in_use"},
    {Mistake::kBuiltInAgain, "built_in_again"},
}};

}  // namespace

namespace internal {
std::atomic<uint32_t> planted{0};
}  // namespace internal

const std::vector<Mistake>& AllMistakes() {
  static const auto* const all = [] {
    auto* mistakes = new std::vector<Mistake>;
    for (const auto& [mistake, name] : kNames) mistakes->push_back(mistake);
    return mistakes;
  }();
  return *all;
}

std::string_view NameOf(Mistake mistake) {
  for (const auto& [known, name] : kNames) {
    if (known == mistake) return name;
  }
  return "unknown";
}

absl::StatusOr<Mistake> MistakeOf(std::string_view name) {
  std::string names;
  for (const auto& [mistake, known] : kNames) {
    if (known == name) return mistake;
    absl::StrAppend(&names, names.empty() ? "" : ", ", std::string(known));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", std::string(name), "\" is no mistake to plant; these are: ", names));
}

void Set(const std::vector<Mistake>& mistakes) {
  uint32_t planted = 0;
  for (const Mistake mistake : mistakes) planted |= 1U << static_cast<unsigned>(mistake);
  internal::planted.store(planted, std::memory_order_relaxed);
}

}  // namespace tandem::plant
