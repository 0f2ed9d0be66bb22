#include "tests/simulation/plan.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/simulation/dice.h"

namespace tandem::simulation {
namespace {

constexpr std::string_view kFaultNames[] = {
    "append_refused",
    "append_delayed",
    "append_late",
    "append_done",
    "broker_down",
    "delivery_delayed",
    "rewind",
    "rebalance",
    "zombie",
    "commit_unknown_done",
    "commit_unknown_lost",
    "conflict",
    "disk_full",
    "slow_store",
    "read_fails",
    "withheld_rows",
    "request_lost",
    "request_slow",
    "request_twice",
    "reply_lost",
    "dead_peer",
    "kill",
    "kill_at_commit",
    "restart",
    "pause",
    "skew",
    "clock_jump",
    "poison",
    "mailbox_down",
};
static_assert(std::size(kFaultNames) == kFaultCount);

constexpr std::string_view kActNames[] = {
    "open",
    "open_by_stranger",
    "write",
    "open_nuisance",
    "write_from",
    "thank",
    "complain",
    "self_resolve",
    "answer_survey",
    "opt_out",
    "claim_next",
    "claim_together",
    "reply",
    "wait_for_customer",
    "reclassify",
    "confirm",
    "override",
    "reassign",
    "transfer",
    "escalate",
    "acknowledge",
    "resolve",
    "reopen",
    "close",
    "spam",
    "not_spam",
    "make_internal",
    "move_account",
    "away",
    "leave",
    "become_critical",
    "check",
    "check_while_opening",
    "check_while_reopening",
    "touch",
    "prove",
    "grant_exception",
    "use_exception",
    "advance_journey",
    "close_follow_up",
    "assign_requester",
    "put_contact",
    "move_address",
    "apply_policy",
    "apply_as_clock_goes_back",
    "drop_in_use",
    "retry_dead_letters",
};
static_assert(std::size(kActNames) == static_cast<size_t>(Act::kRetryDeadLetters) + 1);

// Swarm testing (Groce et al., 2012): a world with few faults, some of them high, finds what one
// with all of them a little hides.
Mix DrawMix(Dice dice) {
  Mix mix{};
  if (dice.Chance(0.05)) return mix;
  const double share = 0.15 + 0.6 * dice.Unit();
  for (double& rate : mix) {
    // Drawn whether or not it is used, so that one fault's rate does not hang on another's.
    const double kept = dice.Unit(), height = dice.Unit(), low = dice.Unit(), high = dice.Unit();
    if (kept < share) rate = height < 0.6 ? 0.02 + 0.2 * low : 0.3 + 0.7 * high;
  }
  return mix;
}

// A ticket's life after its opening: what usually follows what, and now and then something else.
void DrawStory(int ticket, absl::Duration opens_at, absl::Duration end, double asked, Dice& dice,
               std::vector<Action>& actions) {
  absl::Duration at = opens_at;
  const auto add = [&](Act act) { actions.push_back({at, act, ticket, dice.Next()}); };
  const auto later = [&](absl::Duration most) {
    at += dice.Between(absl::ZeroDuration(), std::min(most, (end - opens_at) / 3));
  };
  add(dice.Chance(0.1)     ? Act::kOpenByStranger
      : dice.Chance(asked) ? Act::kCheckWhileOpening
                           : Act::kOpen);
  if (dice.Chance(0.1)) {
    at += absl::Seconds(1);
    add(Act::kAssignRequester);
  }
  const int turns = dice.Int(1, 3);
  for (int turn = 0; turn < turns; ++turn) {
    later(absl::Hours(2));
    if (dice.Chance(0.2)) add(Act::kComplain);
    add(dice.Chance(0.25) ? Act::kClaimTogether : Act::kClaimNext);
    later(absl::Hours(1));
    constexpr Act kWork[] = {Act::kReply,           Act::kReply,           Act::kReply,
                             Act::kWaitForCustomer, Act::kWrite,           Act::kReclassify,
                             Act::kConfirm,         Act::kOverride,        Act::kReassign,
                             Act::kTransfer,        Act::kEscalate,        Act::kAcknowledge,
                             Act::kWrite,           Act::kWaitForCustomer, Act::kMoveAccount};
    const int steps = dice.Int(1, 4);
    for (int step = 0; step < steps; ++step) {
      add(kWork[dice.Below(std::size(kWork))]);
      later(dice.Chance(0.4)   ? absl::Milliseconds(300)
            : dice.Chance(0.5) ? absl::Minutes(1)
                               : absl::Minutes(90));
    }
    add(dice.Chance(0.05) ? Act::kSelfResolve : dice.Chance(0.03) ? Act::kSpam : Act::kResolve);
    later(absl::Hours(1));
    if (dice.Chance(0.2)) add(Act::kThank);
    if (dice.Chance(0.4)) add(Act::kClose);
    later(absl::Hours(3));
    if (dice.Chance(0.7)) {
      add(Act::kAnswerSurvey);
      if (dice.Chance(0.3)) add(Act::kAnswerSurvey);
    }
    if (dice.Chance(0.5)) {
      later(absl::Hours(1));
      add(Act::kCloseFollowUp);
    }
    if (!dice.Chance(0.35)) break;
    later(absl::Hours(1));
    add(dice.Chance(0.3)   ? Act::kCheckWhileReopening
        : dice.Chance(0.5) ? Act::kReopen
                           : Act::kWrite);
  }
}

// The last moments of the workload are as full as any other.
absl::Duration Somewhere(absl::Duration end, Dice& dice) {
  return dice.Between(absl::ZeroDuration(), end);
}

// Addresses that move, some of them just before somebody writes, and messages by mail.
void DrawLetters(Plan& plan, Dice dice) {
  std::vector<absl::Duration> openings;
  for (const Action& action : plan.actions) {
    if (action.act == Act::kOpen || action.act == Act::kOpenByStranger) {
      openings.push_back(action.at);
    }
  }
  const int moves = dice.Int(0, plan.accounts + plan.contacts);
  for (int i = 0; i < moves; ++i) {
    absl::Duration at = Somewhere(plan.length, dice);
    if (dice.Chance(0.6) && !openings.empty()) {
      at = std::max<absl::Duration>(absl::ZeroDuration(),
                                    dice.Pick(openings) - Somewhere(absl::Seconds(5), dice));
    }
    plan.actions.push_back({at, Act::kMoveAddress, -1, dice.Next()});
  }
  const int letters = dice.Int(0, plan.tickets);
  for (int i = 0; i < letters; ++i) {
    const int ticket = dice.Int(0, plan.tickets - 1);
    plan.actions.push_back({Somewhere(plan.length, dice), Act::kWriteFrom, ticket, dice.Next()});
  }
}

// Whoever sends spam twice is suspected the third time, and may be wronged; and tickets that turn
// out to be no customer's.
void DrawNuisances(Plan& plan, Dice dice) {
  plan.nuisances = dice.Chance(0.5) ? dice.Int(3, 5) : 0;
  absl::Duration at = Somewhere(plan.length / 2, dice);
  const absl::Duration most =
      std::min<absl::Duration>(absl::Hours(1), plan.length / 20) + absl::Seconds(2);
  for (int i = 0; i < plan.nuisances; ++i) {
    const int ticket = plan.tickets + i;
    const auto add = [&](Act act) { plan.actions.push_back({at, act, ticket, dice.Next()}); };
    const auto later = [&] { at += Somewhere(most, dice); };
    add(Act::kOpenNuisance);
    later();
    if (i < 2 && dice.Chance(0.9)) {
      add(Act::kSpam);
      later();
      continue;
    }
    // It waits for review meanwhile.
    const int steps = dice.Int(1, 3);
    for (int step = 0; step < steps; ++step) {
      constexpr Act kMeanwhile[] = {Act::kCheck, Act::kCheck, Act::kWrite,
                                    Act::kReply, Act::kTouch, Act::kClaimTogether};
      add(kMeanwhile[dice.Below(std::size(kMeanwhile))]);
      later();
    }
    constexpr Act kVerdicts[] = {Act::kNotSpam, Act::kNotSpam, Act::kSpam, Act::kResolve,
                                 Act::kSelfResolve};
    add(kVerdicts[dice.Below(std::size(kVerdicts))]);
    later();
    if (dice.Chance(0.5)) add(Act::kCheck);
    if (dice.Chance(0.3)) add(Act::kReopen);
    if (dice.Chance(0.4)) add(Act::kSpam);
    later();
  }
  const int changes = dice.Int(0, plan.tickets / 2);
  for (int i = 0; i < changes; ++i) {
    const int ticket = dice.Int(0, plan.tickets - 1);
    plan.actions.push_back({Somewhere(plan.length, dice), Act::kMakeInternal, ticket, dice.Next()});
  }
}

// Exceptions that end, and policies that change under what is there.
void DrawChanges(Plan& plan, Dice dice) {
  const auto add = [&](Act act, int ticket) {
    plan.actions.push_back({Somewhere(plan.length, dice), act, ticket, dice.Next()});
  };
  const int exceptions = dice.Int(0, 3);
  for (int i = 0; i < exceptions; ++i) add(Act::kUseException, -1);
  const int jumps = dice.Int(0, 2);
  for (int i = 0; i < jumps; ++i) {
    add(Act::kApplyAsClockGoesBack, dice.Int(0, plan.tickets - 1));
  }
  const int drops = dice.Int(0, 3);
  for (int i = 0; i < drops; ++i) add(Act::kDropInUse, -1);
}

void DrawActions(Plan& plan, Dice dice) {
  // Half of them come in crowds, as they do when something breaks.
  const absl::Duration crowds[] = {Somewhere(plan.length / 2, dice),
                                   Somewhere(plan.length * 3 / 4, dice)};
  for (int ticket = 0; ticket < plan.tickets; ++ticket) {
    absl::Duration opens_at = Somewhere(plan.length * 3 / 4, dice);
    if (dice.Chance(0.5)) opens_at = crowds[dice.Below(2)] + Somewhere(absl::Seconds(2), dice);
    DrawStory(ticket, opens_at, plan.length, plan.asked_while_opening, dice, plan.actions);
  }
  constexpr Act kBeside[] = {Act::kCheck,
                             Act::kCheck,
                             Act::kCheck,
                             Act::kTouch,
                             Act::kTouch,
                             Act::kProve,
                             Act::kGrantException,
                             Act::kAdvanceJourney,
                             Act::kAway,
                             Act::kOptOut,
                             Act::kPutContact,
                             Act::kApplyPolicy,
                             Act::kRetryDeadLetters,
                             Act::kCheck};
  const int beside = plan.tickets + dice.Int(0, plan.tickets);
  for (int i = 0; i < beside; ++i) {
    plan.actions.push_back(
        {Somewhere(plan.length, dice), kBeside[dice.Below(std::size(kBeside))], -1, dice.Next()});
  }
  // Drawn apart, so that everything else stays as it was drawn.
  Dice people(plan.seed, "people");
  const int changes = people.Int(0, plan.agents * 2);
  for (int i = 0; i < changes; ++i) {
    plan.actions.push_back({Somewhere(plan.length, people), Act::kLeave, -1, people.Next()});
  }
  const int rises = people.Int(0, plan.tickets);
  for (int i = 0; i < rises; ++i) {
    const int ticket = people.Int(0, plan.tickets - 1);
    plan.actions.push_back(
        {Somewhere(plan.length, people), Act::kBecomeCritical, ticket, people.Next()});
  }
  DrawLetters(plan, Dice(plan.seed, "letters"));
  DrawNuisances(plan, Dice(plan.seed, "nuisances"));
  DrawChanges(plan, Dice(plan.seed, "changes"));
  std::erase_if(plan.actions, [&](const Action& action) { return action.at >= plan.length; });
  std::stable_sort(plan.actions.begin(), plan.actions.end(),
                   [](const Action& a, const Action& b) { return a.at < b.at; });
}

template <size_t N>
absl::Duration OneOf(Dice& dice, const absl::Duration (&choices)[N]) {
  return choices[dice.Below(N)];
}

}  // namespace

std::string_view NameOf(Fault fault) { return kFaultNames[static_cast<size_t>(fault)]; }
std::string_view NameOf(Act act) { return kActNames[static_cast<size_t>(act)]; }

absl::StatusOr<Fault> FaultOf(std::string_view name) {
  for (size_t i = 0; i < kFaultCount; ++i) {
    if (kFaultNames[i] == name) return static_cast<Fault>(i);
  }
  std::string names;
  for (const std::string_view known : kFaultNames) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", std::string(known));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", std::string(name), "\" is no fault; these are: ", names));
}

std::string Describe(const Mix& mix) {
  std::string text;
  for (size_t i = 0; i < kFaultCount; ++i) {
    if (mix[i] == 0) continue;
    absl::StrAppend(&text, text.empty() ? "" : " ", std::string(kFaultNames[i]), "=",
                    absl::StrFormat("%.2f", mix[i]));
  }
  return text.empty() ? "none" : text;
}

Plan DrawPlan(uint64_t seed) {
  Plan plan;
  plan.seed = seed;
  Dice dice(seed, "plan");
  // Some working days and a week-end within reach of every start, in November and across New Year.
  plan.start = absl::FromUnixSeconds(1'795'000'000) +
               dice.Between(absl::ZeroDuration(), absl::Hours(24 * 60));
  plan.embedded = dice.Chance(0.35);
  const double size = dice.Unit();
  plan.partitions = 1 << dice.Int(0, 3);
  plan.replicas.fill(1);
  if (plan.embedded) {
    // From hours to a week: nothing polls here, so time is cheap.
    plan.length = size < 0.5   ? dice.Between(absl::Hours(1), absl::Hours(12))
                  : size < 0.9 ? dice.Between(absl::Hours(12), absl::Hours(72))
                               : dice.Between(absl::Hours(72), absl::Hours(24 * 7));
    plan.tickets = dice.Int(3, 14);
  } else {
    for (int& replicas : plan.replicas) replicas = dice.Int(1, dice.Chance(0.15) ? 4 : 2);
    plan.lanes = dice.Int(1, 3);
    plan.length = size < 0.6   ? dice.Between(absl::Minutes(2), absl::Minutes(30))
                  : size < 0.9 ? dice.Between(absl::Minutes(30), absl::Hours(6))
                               : dice.Between(absl::Hours(6), absl::Hours(48));
    plan.tickets = dice.Int(2, 9);
  }
  plan.pace = std::max<absl::Duration>(absl::Seconds(1), plan.length / 150);
  plan.session = plan.embedded ? absl::Seconds(10)
                               : std::max<absl::Duration>(absl::Seconds(10), plan.length / 200);
  plan.accounts = dice.Int(1, 3);
  plan.contacts = dice.Int(1, 3);
  plan.agents = dice.Int(2, 4);
  plan.auto_close =
      OneOf(dice, {absl::Minutes(1), absl::Minutes(30), absl::Hours(6), absl::Hours(120)});
  plan.survey_delay = OneOf(dice, {absl::Minutes(1), absl::Minutes(5), absl::Hours(1)});
  plan.reminder_after = OneOf(dice, {absl::Minutes(10), absl::Hours(1), absl::Hours(24)});
  plan.expires_after =
      std::max<absl::Duration>(absl::Hours(1), plan.reminder_after * dice.Int(2, 5));
  plan.retry_every = OneOf(dice, {absl::Minutes(2), absl::Minutes(20), absl::Hours(1)});
  plan.retry_for = plan.retry_every * dice.Int(5, 50);
  plan.survey_at_resolution = dice.Chance(0.4);
  plan.severe = dice.Chance(0.5) ? 0.0 : dice.Unit() * 0.6;
  plan.mix = DrawMix(Dice(seed, "mix"));
  // The race that clearance is about is lost in a busy world, where everything is held already.
  if (dice.Chance(0.2)) {
    plan.asked_while_opening = 0.9;
    plan.accounts = 3;
    plan.tickets = dice.Int(2, 5);
    plan.mix[static_cast<size_t>(Fault::kRequestSlow)] = 0.4 + 0.6 * dice.Unit();
  }
  DrawActions(plan, Dice(seed, "actions"));
  return plan;
}

std::string Describe(const Plan& plan) {
  std::string replicas;
  for (const int count : plan.replicas)
    absl::StrAppend(&replicas, replicas.empty() ? "" : "+", count);
  return absl::StrCat(
      plan.embedded ? "one process" : absl::StrCat("replicas ", replicas, ", lanes ", plan.lanes),
      ", ", plan.partitions, " partitions, ",
      absl::FormatDuration(absl::Trunc(plan.length, absl::Seconds(1))), ", ", plan.tickets,
      " tickets, ", plan.actions.size(), " actions, ", plan.accounts, " accounts of ",
      plan.contacts, " contacts, ", plan.agents, " agents");
}

}  // namespace tandem::simulation
