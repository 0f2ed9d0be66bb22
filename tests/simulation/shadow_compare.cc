#include "tests/simulation/shadow_compare.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/sla.pb.h"

namespace tandem::simulation {
namespace {

using Verdict = ShadowVerdict::Kind;

std::string Said(absl::Time at) { return time::FormatInstant(at); }
std::string Said(absl::Duration span) { return absl::FormatDuration(span); }
std::string Said(const std::string& text) { return absl::StrCat("\"", text, "\""); }
std::string Said(int64_t number) { return absl::StrCat(number); }
std::string Said(sla::v1::ClockPhase phase) { return sla::v1::ClockPhase_Name(phase); }
std::string Said(sla::v1::SlaVerdict verdict) { return sla::v1::SlaVerdict_Name(verdict); }
std::string Said(const std::optional<absl::Time>& at) {
  return at.has_value() ? Said(*at) : "none";
}

std::string NameOf(type::v1::SlaMetric metric) {
  std::string name = type::v1::SlaMetric_Name(metric);
  return name.substr(absl::string_view("SLA_METRIC_").size());
}

std::string NameOf(const std::string& ticket, type::v1::SlaMetric metric, int cycle) {
  return absl::StrCat("ticket ", ticket, ", ", NameOf(metric), ", cycle ", cycle);
}

std::string NameOf(Verdict kind) {
  switch (kind) {
    case Verdict::kWarning:
      return "warning";
    case Verdict::kBreached:
      return "breached";
    case Verdict::kMet:
      return "met";
    case Verdict::kStopped:
      return "stopped";
    case Verdict::kCancelled:
      return "cancelled";
  }
  return "";
}

// "warning 75%", "breached".
template <typename V>
std::string KindOf(const V& verdict) {
  return absl::StrCat(NameOf(verdict.kind), verdict.threshold.empty() ? "" : " ",
                      verdict.threshold);
}

template <typename Value>
absl::Status Same(const std::string& clock, const char* what, const Value& service,
                  const Value& rules, const std::string& more = "") {
  if (service == rules) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(clock, ": ", what, ": the service says ",
                                                    Said(service), ", the rules give ", Said(rules),
                                                    more));
}

// Keeps the first difference.
class First {
 public:
  First& operator<<(absl::Status status) {
    if (first_.ok()) first_ = std::move(status);
    return *this;
  }
  bool ok() const { return first_.ok(); }
  const absl::Status& status() const { return first_; }

 private:
  absl::Status first_;
};

template <typename Message>
std::optional<absl::Time> InstantOr(bool has, const Message& stamp) {
  return has ? std::optional(time::Instant(stamp)) : std::nullopt;
}

// Pieces with their neighbours of one kind joined, whatever calendar rule stood behind each.
std::vector<ShadowSegment> Joined(const sla::v1::ExplainClockResponse& explained) {
  std::vector<ShadowSegment> joined;
  for (const sla::v1::ClockSegment& piece : explained.segments()) {
    const absl::Time from = time::Instant(piece.from()), to = time::Instant(piece.to());
    if (from == to) continue;
    if (!joined.empty() && joined.back().to == from && joined.back().why == piece.why() &&
        joined.back().counted == piece.counted()) {
      joined.back().to = to;
    } else {
      joined.push_back({from, to, piece.counted(), piece.why()});
    }
  }
  return joined;
}

std::string Told(const ShadowSegment* segment) {
  if (segment == nullptr) return "has no piece";
  return absl::StrCat(segment->counted ? "counts (" : "does not count (", segment->why, ")");
}

// The first stretch in which the two differ.
std::string PiecesApart(const std::vector<ShadowSegment>& service,
                        const std::vector<ShadowSegment>& rules) {
  std::set<absl::Time> edges;
  for (const auto* list : {&service, &rules}) {
    for (const ShadowSegment& segment : *list) edges.insert({segment.from, segment.to});
  }
  const auto at = [](const std::vector<ShadowSegment>& list,
                     absl::Time instant) -> const ShadowSegment* {
    for (const ShadowSegment& segment : list) {
      if (segment.from <= instant && instant < segment.to) return &segment;
    }
    return nullptr;
  };
  for (auto edge = edges.begin(); edge != edges.end(); ++edge) {
    const ShadowSegment* told = at(service, *edge);
    const ShadowSegment* given = at(rules, *edge);
    if (told == nullptr && given == nullptr) continue;
    if (told != nullptr && given != nullptr && told->counted == given->counted &&
        told->why == given->why) {
      continue;
    }
    const auto next = std::next(edge);
    return absl::StrCat("from ", Said(*edge), " to ", Said(next == edges.end() ? *edge : *next),
                        " the service ", Told(told), ", by the rules it ", Told(given));
  }
  return "";
}

absl::Status CompareStatus(const std::string& name, const sla::v1::ClockStatus& service,
                           const ShadowClock& rules) {
  First first;
  first << Same(name, "verdict", service.verdict(), rules.verdict)
        << Same(name, "phase", service.phase(), rules.phase)
        << Same(name, "cancel reason", service.cancel_reason(), rules.cancel_reason)
        << Same(name, "matched rule", service.policy().rule(), rules.rule)
        << Same(name, "policy version", service.policy().version(), rules.policy_version)
        << Same(name, "calendar", service.calendar(), rules.calendar)
        << Same(name, "target", time::Span(service.target()), rules.target)
        << Same(name, "started", time::Instant(service.started_at()), rules.started_at)
        << Same(name, "breached", InstantOr(service.has_breached_at(), service.breached_at()),
                rules.breached_at)
        << Same(name, "ended", InstantOr(service.has_ended_at(), service.ended_at()),
                rules.ended_at)
        << Same(name, "due", InstantOr(service.has_due_at(), service.due_at()), rules.due_at)
        << Same(name, "business time used", time::Span(service.used()), rules.used)
        << Same(name, "overshoot", time::Span(service.overshoot()), rules.overshoot);
  return first.status();
}

absl::Status CompareExplanation(const std::string& name,
                                const sla::v1::ExplainClockResponse& service,
                                const ShadowClock& rules) {
  const std::vector<ShadowSegment> told = Joined(service);
  const std::string apart = PiecesApart(told, rules.segments);
  if (!apart.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, ": explained, due ", Said(rules.due_at), ": ", apart));
  }
  absl::Duration counted;
  for (const ShadowSegment& segment : rules.segments) {
    if (segment.counted) counted += segment.to - segment.from;
  }
  return Same(name, "counted in all pieces", time::Span(service.counted()), counted);
}

// A verdict event as it was published.
struct Published {
  Verdict kind = Verdict::kWarning;
  bool correction = false;
  type::v1::SlaMetric metric = type::v1::SLA_METRIC_UNSPECIFIED;
  int cycle = 0;
  absl::Time at;
  std::string threshold;
  std::string from_verdict, to_verdict;  // correction
};

template <typename E>
bool Read(const bus::Event& event, Verdict kind, std::vector<Published>& told) {
  if (event.type != E::descriptor()->full_name()) return false;
  E body;
  if (!body.ParseFromString(event.body)) return false;
  Published verdict;
  verdict.kind = kind;
  verdict.metric = body.clock().metric();
  verdict.cycle = body.clock().cycle();
  verdict.at = time::Instant(body.occurred_at());
  if constexpr (std::is_same_v<E, events::v1::SlaWarning>) verdict.threshold = body.threshold();
  if constexpr (std::is_same_v<E, events::v1::SlaVerdictCorrected>) {
    verdict.correction = true;
    verdict.from_verdict = body.from_verdict();
    verdict.to_verdict = body.to_verdict();
  }
  told.push_back(std::move(verdict));
  return true;
}

std::vector<Published> ReadVerdicts(const std::vector<bus::Event>& published) {
  std::vector<Published> told;
  std::set<std::string> seen;
  for (const bus::Event& event : published) {
    if (!seen.insert(event.id).second) continue;
    Read<events::v1::SlaWarning>(event, Verdict::kWarning, told) ||
        Read<events::v1::SlaBreached>(event, Verdict::kBreached, told) ||
        Read<events::v1::SlaMet>(event, Verdict::kMet, told) ||
        Read<events::v1::SlaStopped>(event, Verdict::kStopped, told) ||
        Read<events::v1::SlaCancelled>(event, Verdict::kCancelled, told) ||
        Read<events::v1::SlaVerdictCorrected>(event, Verdict::kWarning, told);
  }
  return told;
}

bool SameCycle(const Published& told, type::v1::SlaMetric metric, int cycle) {
  return told.metric == metric && told.cycle == cycle;
}

// Whether the log says of that cycle that it is so, by an event of its own or by a correction.
bool Says(const std::vector<Published>& told, const ShadowVerdict& verdict) {
  return std::any_of(told.begin(), told.end(), [&](const Published& t) {
    if (!SameCycle(t, verdict.metric, verdict.cycle)) return false;
    return t.correction ? t.to_verdict == NameOf(verdict.kind) : t.kind == verdict.kind;
  });
}

// Whether the verdict is how its cycle stands judged now: a reopened one is not met any more.
bool StandsSo(const ShadowTicket& rules, const ShadowVerdict& verdict) {
  for (const ShadowClock& clock : rules.clocks) {
    if (clock.metric != verdict.metric || clock.cycle != verdict.cycle) continue;
    switch (verdict.kind) {
      case Verdict::kWarning:
        return true;
      case Verdict::kBreached:
        return clock.verdict == sla::v1::SLA_VERDICT_BREACHED;
      case Verdict::kMet:
        return clock.verdict == sla::v1::SLA_VERDICT_MET;
      case Verdict::kStopped:
        return clock.phase == sla::v1::CLOCK_PHASE_STOPPED;
      case Verdict::kCancelled:
        return clock.phase == sla::v1::CLOCK_PHASE_CANCELLED;
    }
  }
  return false;
}

// Each warning, breach and cancellation once a cycle, whatever the order of arrival (product §3.2,
// §3.9): a cycle that is cancelled never goes on.
absl::Status CompareOnce(const std::string& ticket, const std::vector<Published>& told) {
  std::set<std::tuple<Verdict, type::v1::SlaMetric, int, std::string>> once;
  for (const Published& verdict : told) {
    if (verdict.correction || verdict.kind == Verdict::kMet || verdict.kind == Verdict::kStopped) {
      continue;
    }
    if (!once.insert({verdict.kind, verdict.metric, verdict.cycle, verdict.threshold}).second) {
      return absl::FailedPreconditionError(absl::StrCat(
          NameOf(ticket, verdict.metric, verdict.cycle), ": ", KindOf(verdict),
          " was published again for ", Said(verdict.at), "; by the rules it is told once a cycle"));
    }
  }
  return absl::OkStatus();
}

// No fact was late: what was published is what the rules give, each once and at its own instant.
absl::Status CompareExactly(const ShadowTicket& rules, const std::vector<Published>& told,
                            absl::Time settled) {
  const auto fits = [](const Published& t, const ShadowVerdict& v) {
    return !t.correction && t.kind == v.kind && SameCycle(t, v.metric, v.cycle) && t.at == v.at &&
           t.threshold == v.threshold;
  };
  for (const ShadowVerdict& verdict : rules.verdicts) {
    if (verdict.at > settled) continue;
    const auto times = std::count_if(told.begin(), told.end(),
                                     [&](const Published& t) { return fits(t, verdict); });
    if (times == 1) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        NameOf(rules.ticket_id, verdict.metric, verdict.cycle), ": ", KindOf(verdict), " of ",
        Said(verdict.at), " was published ", times, " times, by the rules it is once"));
  }
  for (const Published& verdict : told) {
    if (std::any_of(rules.verdicts.begin(), rules.verdicts.end(),
                    [&](const ShadowVerdict& v) { return fits(verdict, v); })) {
      continue;
    }
    return absl::FailedPreconditionError(absl::StrCat(
        NameOf(rules.ticket_id, verdict.metric, verdict.cycle), ": the service published ",
        verdict.correction ? "a correction" : KindOf(verdict), " of ", Said(verdict.at),
        "; by the rules there is no such verdict"));
  }
  return absl::OkStatus();
}

// Some facts were late: other verdicts may have been told on the way, but what the rules give has
// been told, and what they do not give was corrected.
absl::Status CompareInTheEnd(const ShadowTicket& rules, const std::vector<Published>& told,
                             absl::Time settled) {
  for (const ShadowVerdict& verdict : rules.verdicts) {
    if (verdict.at > settled || verdict.kind == Verdict::kWarning || Says(told, verdict)) continue;
    // How a cycle stood before it was reopened is not told when it becomes known late.
    if (!StandsSo(rules, verdict)) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        NameOf(rules.ticket_id, verdict.metric, verdict.cycle), ": ", NameOf(verdict.kind), " of ",
        Said(verdict.at), " was never published, neither by itself nor by a correction"));
  }
  for (const Published& verdict : told) {
    // A warning was given, and a stop was told, by what was known then; neither is a verdict.
    if (verdict.correction || verdict.kind == Verdict::kWarning ||
        verdict.kind == Verdict::kStopped) {
      continue;
    }
    const bool stands =
        std::any_of(rules.verdicts.begin(), rules.verdicts.end(), [&](const ShadowVerdict& v) {
          return v.kind == verdict.kind && SameCycle(verdict, v.metric, v.cycle);
        });
    // A correction names the verdict, or the correction before it that made the cycle so.
    const bool corrected = std::any_of(told.begin(), told.end(), [&](const Published& other) {
      return other.correction && SameCycle(other, verdict.metric, verdict.cycle) &&
             other.from_verdict == NameOf(verdict.kind);
    });
    // A cycle that was met, reopened and then breached or cancelled is judged so: only how it is
    // judged is corrected.
    const bool overtaken =
        verdict.kind == Verdict::kMet &&
        std::any_of(told.begin(), told.end(), [&](const Published& other) {
          return !other.correction && SameCycle(other, verdict.metric, verdict.cycle) &&
                 (other.kind == Verdict::kBreached || other.kind == Verdict::kCancelled) &&
                 other.at > verdict.at;
        });
    // A cycle was told of that, as a late fact says, never began.
    const bool never_was =
        verdict.kind == Verdict::kCancelled &&
        std::none_of(rules.clocks.begin(), rules.clocks.end(), [&](const ShadowClock& clock) {
          return SameCycle(verdict, clock.metric, clock.cycle);
        });
    if (stands || corrected || overtaken || never_was) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        NameOf(rules.ticket_id, verdict.metric, verdict.cycle), ": the service published ",
        NameOf(verdict.kind), " of ", Said(verdict.at),
        " and no correction; by the rules that cycle was never ", NameOf(verdict.kind)));
  }
  return absl::OkStatus();
}

// ---- clearance

std::string NameOf(type::v1::OutreachTopic topic) {
  return type::v1::OutreachTopic_Name(topic).substr(std::string("OUTREACH_TOPIC_").size());
}

std::string NameOf(const ShadowHold& hold) {
  return absl::StrCat(absl::StrJoin(hold.rules, " or "), hold.subject_id.empty() ? "" : " of ",
                      hold.subject_id);
}

std::string NameOf(const std::vector<ShadowHold>& holds) {
  std::vector<std::string> names;
  for (const ShadowHold& hold : holds) {
    names.push_back(absl::StrCat(NameOf(hold), hold.certain ? " (surely)" : " (perhaps)"));
  }
  return names.empty() ? "nothing" : absl::StrJoin(names, ", ");
}

std::string NameOf(const std::string& account, const OutreachCheck& check) {
  return absl::StrCat("account ", account, ", ", NameOf(check.request.topic()), " to ",
                      check.request.contact_id().empty() ? "all" : check.request.contact_id(),
                      " at ", Said(check.answered_at));
}

// The blocks of a HOLD: each one may hold by the rules, and what surely holds is among them.
absl::Status CompareBlocks(const std::string& name, const OutreachCheck& check,
                           const std::vector<ShadowHold>& holds) {
  const auto names = [&](const char* rule) {
    return std::any_of(
        check.response.blocks().begin(), check.response.blocks().end(),
        [&](const account::v1::OutreachBlock& block) { return block.rule() == rule; });
  };
  if (names("intake_unreachable")) {
    if (!check.intake_may_be_unreachable) {
      return absl::FailedPreconditionError(
          absl::StrCat(name, ": held by intake_unreachable, but intake could be asked"));
    }
    // The other blocks are then of account_health's own knowledge, which may be behind.
    return absl::OkStatus();
  }
  for (const account::v1::OutreachBlock& block : check.response.blocks()) {
    const bool known = std::any_of(holds.begin(), holds.end(), [&](const ShadowHold& hold) {
      return hold.rules.count(block.rule()) > 0 &&
             (hold.subject_id.empty() || hold.subject_id == block.subject_id());
    });
    if (known) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(name, ": held by ", block.rule(), " of ", Said(block.subject_id()),
                     ", by the rules it may be held by ", NameOf(holds)));
  }
  for (const ShadowHold& hold : holds) {
    if (!hold.certain || hold.subject_id.empty()) continue;
    const bool listed =
        std::any_of(check.response.blocks().begin(), check.response.blocks().end(),
                    [&](const auto& block) { return block.subject_id() == hold.subject_id; });
    if (!listed && !hold.may_be_excepted) {
      return absl::FailedPreconditionError(
          absl::StrCat(name, ": held, but ", NameOf(hold), " is not listed among the blocks"));
    }
  }
  return absl::OkStatus();
}

// An ALLOW is committed only if nothing that blocks was consumed since intake was asked
// (architecture §3): so intake was asked after each such event that had been consumed.
absl::Status CompareConsumed(const std::string& name, const AccountFacts& facts,
                             const account::v1::AccountPolicy& policy, const OutreachCheck& check) {
  for (const KnownEvent& known : facts.events) {
    if (known.known_by >= check.given_at) continue;
    if (known.event.type != events::v1::TicketOpened::descriptor()->full_name() &&
        known.event.type != events::v1::TicketReopened::descriptor()->full_name()) {
      continue;
    }
    const absl::StatusOr<std::vector<ShadowHold>> holds = HoldsOn(
        facts, policy,
        {check.request.topic(), check.request.contact_id(),
         std::max(check.asked_at, known.known_by), check.given_at, check.request.staff_id()});
    if (!holds.ok()) return holds.status();
    for (const ShadowHold& hold : *holds) {
      if (hold.subject_id != known.event.subject || !hold.certain || hold.may_be_excepted) continue;
      return absl::FailedPreconditionError(
          absl::StrCat(name, ": was ALLOW (", check.response.clearance_id(), ") by a commit of ",
                       Said(check.given_at), ", by the rules HOLD: ", NameOf(hold),
                       ", which had been consumed at ", Said(known.known_by)));
    }
  }
  return absl::OkStatus();
}

absl::Status CompareCheck(const AccountFacts& facts, const account::v1::AccountPolicy& policy,
                          const OutreachCheck& check) {
  const std::string name = NameOf(facts.account_id, check);
  const absl::StatusOr<std::vector<ShadowHold>> holds =
      HoldsOn(facts, policy,
              {check.request.topic(), check.request.contact_id(), check.asked_at, check.answered_at,
               check.request.staff_id()});
  if (!holds.ok()) return holds.status();
  // Asked again under its request id, it is answered by what became of its clearance; that is
  // compared by itself.
  const account::v1::ClearanceState state = check.response.clearance_state();
  if (state != account::v1::CLEARANCE_STATE_UNSPECIFIED &&
      state != account::v1::CLEARANCE_STATE_STANDING) {
    return check.response.verdict() == account::v1::OUTREACH_VERDICT_HOLD
               ? absl::OkStatus()
               : absl::FailedPreconditionError(
                     absl::StrCat(name, ": was ALLOW by clearance ", check.response.clearance_id(),
                                  ", which is ", account::v1::ClearanceState_Name(state)));
  }
  if (check.response.verdict() == account::v1::OUTREACH_VERDICT_ALLOW) {
    if (MustHold(*holds)) {
      return absl::FailedPreconditionError(absl::StrCat(name, ": was ALLOW (",
                                                        check.response.clearance_id(),
                                                        "), by the rules HOLD: ", NameOf(*holds)));
    }
    if (check.response.exception_id().empty() &&
        std::any_of(holds->begin(), holds->end(),
                    [](const ShadowHold& hold) { return hold.certain; })) {
      return absl::FailedPreconditionError(absl::StrCat(
          name, ": was ALLOW without naming the exception that lets it through ", NameOf(*holds)));
    }
    const absl::Status consumed = CompareConsumed(name, facts, policy, check);
    if (!consumed.ok()) return consumed;
    return Same(name, "units", int64_t{check.response.units()},
                int64_t{UnitsOf(check.request.topic(), policy.contact_budget())});
  }
  if (!MayHold(*holds) && !check.intake_may_be_unreachable) {
    return absl::FailedPreconditionError(absl::StrCat(
        name, ": was HOLD by ",
        check.response.blocks().empty() ? "no rule" : check.response.blocks(0).rule(), " of ",
        check.response.blocks().empty() ? "" : check.response.blocks(0).subject_id(),
        ", by the rules ALLOW: ", holds->empty() ? "nothing holds" : "an exception stands"));
  }
  return CompareBlocks(name, check, *holds);
}

absl::Status CompareFate(const AccountFacts& facts, const account::v1::AccountPolicy& policy,
                         const account::v1::Clearance& clearance, absl::Time as_of,
                         const ClearanceTolerance& tolerance) {
  const std::string name =
      absl::StrCat("account ", facts.account_id, ", clearance ", clearance.clearance_id(), " (",
                   NameOf(clearance.topic()), " to ",
                   clearance.contact_id().empty() ? "all" : clearance.contact_id(), ", given ",
                   Said(time::Instant(clearance.given_at())), ")");
  const absl::StatusOr<ShadowClearance> fate = FateOf(facts, policy, clearance, as_of);
  if (!fate.ok()) return fate.status();
  const absl::Status same =
      Same(name, "expiry", time::Instant(clearance.expires_at()), fate->expires_at);
  if (!same.ok()) return same;
  switch (clearance.state()) {
    case account::v1::CLEARANCE_STATE_REVOKED:
      if (clearance.revoked_reason() == "opt_out" ||
          clearance.revoked_reason() == "contact_added") {
        if (fate->may_be_opted_out) return absl::OkStatus();
        return absl::FailedPreconditionError(absl::StrCat(
            name, ": revoked by an opt-out, by the rules nobody whom it reaches opted out"));
      }
      if (fate->may_revoke.count(clearance.revoked_by_event_id()) > 0) return absl::OkStatus();
      if (tolerance.revokers_unknown) return absl::OkStatus();
      return absl::FailedPreconditionError(
          absl::StrCat(name, ": revoked by event ", clearance.revoked_by_event_id(), " of ticket ",
                       Said(clearance.revoked_by_ticket_id()),
                       "; by the rules that event blocks nothing that it covers"));
    case account::v1::CLEARANCE_STATE_STANDING:
      if (as_of >= fate->expires_at + facts.skew) {
        return absl::FailedPreconditionError(absl::StrCat(name, ": stands at ", Said(as_of),
                                                          ", by the rules it expired at ",
                                                          Said(fate->expires_at)));
      }
      [[fallthrough]];
    case account::v1::CLEARANCE_STATE_EXPIRED:
      if (fate->revoked_by.has_value()) {
        return absl::FailedPreconditionError(absl::StrCat(
            name, ": was not revoked, by the rules it was by ", Said(*fate->revoked_by), ": ",
            fate->reason, " (event ", fate->revoking_event_id, ")"));
      }
      if (clearance.state() == account::v1::CLEARANCE_STATE_EXPIRED &&
          as_of < fate->expires_at - facts.skew) {
        return absl::FailedPreconditionError(
            absl::StrCat(name, ": is called expired at ", Said(as_of),
                         ", by the rules it stands until ", Said(fate->expires_at)));
      }
      return absl::OkStatus();
    default:
      return absl::OkStatus();
  }
}

// Whether the clearance covers a touch, by the order of commits or, for an earlier instant, by the
// instants at which they were recorded (architecture §3).
bool Covers(const account::v1::Clearance& clearance, const account::v1::Touch& touch) {
  if (clearance.topic() != touch.topic()) return false;
  if (!clearance.contact_id().empty() && clearance.contact_id() != touch.contact_id()) return false;
  const absl::Time at = time::Instant(touch.occurred_at());
  if (at >= time::Instant(clearance.expires_at())) return false;
  if (at < time::Instant(touch.recorded_at())) {
    return time::Instant(clearance.given_at()) <= at &&
           (clearance.revoked_sequence() == 0 || at < time::Instant(clearance.revoked_at()));
  }
  return clearance.given_sequence() < touch.sequence() &&
         (clearance.revoked_sequence() == 0 || clearance.revoked_sequence() > touch.sequence());
}

// Whether one of the two touches was with a contact of the other.
bool Meet(const account::v1::Touch& a, const account::v1::Touch& b) {
  return a.contact_id().empty() || b.contact_id().empty() || a.contact_id() == b.contact_id();
}

// Whether an earlier touch surely used what the clearance gives the contact: it covers one touch
// with each (product §5.2).
bool IsUsedBefore(const account::v1::Clearance& clearance, const account::v1::Touch& touch,
                  const std::vector<account::v1::ProvenTouch>& touches) {
  return std::any_of(touches.begin(), touches.end(), [&](const auto& other) {
    return other.touch().clearance_id() == clearance.clearance_id() &&
           other.touch().sequence() < touch.sequence() && Meet(other.touch(), touch);
  });
}

// Units that the contact's touches before this one have surely taken by its commit.
int UnitsBefore(const account::v1::Touch& touch, const account::v1::ContactBudget& budget,
                absl::Duration skew, const std::vector<account::v1::ProvenTouch>& touches) {
  const absl::Time from = time::Instant(touch.recorded_at()) - time::Span(budget.window()) + skew;
  int units = 0;
  for (const account::v1::ProvenTouch& other : touches) {
    if (other.touch().inbound() || other.touch().sequence() >= touch.sequence() ||
        other.touch().contact_id() != touch.contact_id() ||
        time::Instant(other.touch().occurred_at()) <= from) {
      continue;
    }
    units += UnitsOf(other.touch().topic(), budget);
  }
  return units;
}

absl::Status CompareTouch(const std::string& account, const account::v1::Touch& touch,
                          const account::v1::ContactBudget& budget, absl::Duration skew,
                          const std::vector<account::v1::ProvenTouch>& touches,
                          const std::vector<account::v1::Clearance>& clearances) {
  const std::string name =
      absl::StrCat("account ", account, ", touch ", touch.touch_id(), " (", NameOf(touch.topic()),
                   " to ", touch.contact_id().empty() ? "several" : touch.contact_id(), " at ",
                   Said(time::Instant(touch.occurred_at())), ")");
  // One that needs none may have one all the same: RESOLUTION_FOLLOW_UP can be asked for.
  const bool is_free =
      touch.inbound() || (touch.topic() == type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP &&
                          touch.clearance_id().empty());
  if (is_free != (touch.verdict() == account::v1::TOUCH_VERDICT_FREE)) {
    return absl::FailedPreconditionError(absl::StrCat(
        name, ": is ", account::v1::TouchVerdict_Name(touch.verdict()),
        is_free ? ", by the rules it needs no clearance" : ", by the rules it needs a clearance"));
  }
  if (is_free) return absl::OkStatus();
  const account::v1::Clearance* named = nullptr;
  const account::v1::Clearance* covering = nullptr;
  for (const account::v1::Clearance& clearance : clearances) {
    if (clearance.clearance_id() == touch.clearance_id()) named = &clearance;
    // A service's may have been used by the invitation that it was given for.
    const bool may_be_used = clearance.staff_id().empty() && clearance.has_used_at();
    if (Covers(clearance, touch) && !may_be_used && !IsUsedBefore(clearance, touch, touches)) {
      covering = &clearance;
    }
  }
  if (touch.verdict() == account::v1::TOUCH_VERDICT_VIOLATION) {
    if (covering == nullptr) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(
        name, ": is called a violation, but clearance ", covering->clearance_id(), " covered it"));
  }
  if (named == nullptr || !Covers(*named, touch)) {
    return absl::FailedPreconditionError(absl::StrCat(name, ": is called cleared by ",
                                                      Said(touch.clearance_id()),
                                                      ", by the rules that did not cover it"));
  }
  if (IsUsedBefore(*named, touch, touches) && !touch.contact_id().empty() &&
      touch.topic() != type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP) {
    const int needed = UnitsOf(touch.topic(), budget);
    const int before = UnitsBefore(touch, budget, skew, touches);
    if (needed > 0 && before + needed > budget.units()) {
      return absl::FailedPreconditionError(
          absl::StrCat(name, ": is called cleared by ", Said(touch.clearance_id()),
                       ", which had covered its touch with this contact, and of ", budget.units(),
                       " units ", before, " were taken"));
    }
  }
  return Same(name, "exception", touch.exception_id(), named->exception_id());
}

}  // namespace

absl::Status CompareClocks(const std::vector<ArrivedEvent>& events,
                           const std::vector<PolicyInForce>& policies, const ClockAnswers& answers,
                           const ClockTolerance& tolerance) {
  const absl::Time as_of = time::Instant(answers.ticket.as_of());
  absl::StatusOr<ShadowTicket> rules = EvaluateClocks(events, policies, as_of);
  if (!rules.ok()) return rules.status();
  const absl::Time settled = as_of - tolerance.lag;
  absl::Time last_fact = absl::InfinitePast();
  for (const ArrivedEvent& event : events) {
    last_fact = std::max({last_fact, event.arrived_at, event.event.time});
  }
  for (const PolicyInForce& policy : policies) {
    if (policy.applied_at <= as_of) last_fact = std::max(last_fact, policy.applied_at);
  }
  // A clock whose time ran out just now, or by what became known just now, may not be judged yet.
  const auto in_flight = [&](const ShadowClock& clock) {
    return clock.breached_at.has_value() && std::max(*clock.breached_at, last_fact) > settled;
  };
  const auto rules_for = [](const ShadowTicket& ticket,
                            const sla::v1::ClockStatus& status) -> const ShadowClock* {
    for (const ShadowClock& clock : ticket.clocks) {
      if (clock.metric == status.metric() && clock.cycle == status.cycle()) return &clock;
    }
    return nullptr;
  };

  for (const sla::v1::ClockStatus& service : answers.ticket.clocks()) {
    const std::string name = NameOf(rules->ticket_id, service.metric(), service.cycle());
    const ShadowClock* clock = rules_for(*rules, service);
    if (clock == nullptr) {
      return absl::FailedPreconditionError(absl::StrCat(name, ": the service has it, started ",
                                                        Said(time::Instant(service.started_at())),
                                                        "; by the rules there is no such cycle"));
    }
    if (in_flight(*clock)) continue;
    const absl::Status same = CompareStatus(name, service, *clock);
    if (!same.ok()) return same;
  }
  for (const ShadowClock& clock : rules->clocks) {
    const bool known =
        std::any_of(answers.ticket.clocks().begin(), answers.ticket.clocks().end(),
                    [&](const sla::v1::ClockStatus& service) {
                      return service.metric() == clock.metric && service.cycle() == clock.cycle;
                    });
    if (!known && clock.started_at <= settled) {
      return absl::FailedPreconditionError(absl::StrCat(
          NameOf(rules->ticket_id, clock.metric, clock.cycle), ": the rules give it, started ",
          Said(clock.started_at), "; the service has no such cycle"));
    }
  }
  absl::StatusOr<ShadowTicket> then = rules;
  absl::Time then_at = as_of;
  for (const sla::v1::ExplainClockResponse& explained : answers.explanations) {
    if (then_at != time::Instant(explained.as_of())) {
      then_at = time::Instant(explained.as_of());
      then = EvaluateClocks(events, policies, then_at);
      if (!then.ok()) return then.status();
    }
    const ShadowClock* clock = rules_for(*then, explained.clock());
    const std::string name =
        NameOf(rules->ticket_id, explained.clock().metric(), explained.clock().cycle());
    if (clock == nullptr) {
      return absl::FailedPreconditionError(
          absl::StrCat(name, ": the service explains it; by the rules there is no such cycle"));
    }
    if (in_flight(*clock)) continue;
    const absl::Status same = CompareExplanation(name, explained, *clock);
    if (!same.ok()) return same;
  }
  const std::vector<Published> told = ReadVerdicts(answers.published);
  First first;
  first << CompareOnce(rules->ticket_id, told);
  // What became known just now may still be judged.
  if (last_fact > settled) return first.status();
  bool had_late_facts = !tolerance.arrivals_known || rules->judged_anew;
  for (const ArrivedEvent& event : events) {
    had_late_facts = had_late_facts || event.arrived_at > event.event.time + tolerance.settle;
    // A version of the policy that took the ticket in between was judged without it.
    for (const PolicyInForce& policy : policies) {
      had_late_facts = had_late_facts || (event.event.time < policy.applied_at &&
                                          policy.applied_at <= event.arrived_at);
    }
  }
  first << (had_late_facts ? CompareInTheEnd(*rules, told, settled)
                           : CompareExactly(*rules, told, settled));
  return first.status();
}

absl::Status CompareClearance(const AccountFacts& facts, const account::v1::AccountPolicy& policy,
                              const ClearanceAnswers& answers,
                              const ClearanceTolerance& tolerance) {
  First first;
  for (const OutreachCheck& check : answers.checks) {
    if (!first.ok()) break;
    first << CompareCheck(facts, policy, check);
  }
  for (const account::v1::Clearance& clearance : answers.clearances) {
    if (!first.ok()) break;
    first << CompareFate(facts, policy, clearance, answers.as_of, tolerance);
  }
  if (first.ok()) {
    first << CompareTouches(facts.account_id, policy.contact_budget(), facts.skew, answers.touches,
                            answers.clearances);
  }
  return first.status();
}

absl::Status CompareTouches(const std::string& account_id, const account::v1::ContactBudget& budget,
                            absl::Duration skew,
                            const std::vector<account::v1::ProvenTouch>& touches,
                            const std::vector<account::v1::Clearance>& clearances) {
  First first;
  for (const account::v1::ProvenTouch& proven : touches) {
    if (!first.ok()) break;
    first << CompareTouch(account_id, proven.touch(), budget, skew, touches, clearances);
  }
  return first.status();
}

}  // namespace tandem::simulation
