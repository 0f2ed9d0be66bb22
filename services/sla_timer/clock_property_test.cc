// Laws of the clocks over random histories. The seed is fixed; a failure names the history.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/id/id.h"
#include "services/sla_timer/answers.h"
#include "services/sla_timer/clock_testing.h"
#include "services/sla_timer/explain.h"
#include "services/sla_timer/judge.h"
#include "services/sla_timer/ticket_clocks.h"
#include "tandem/events/v1/sla.pb.h"

namespace tandem::sla_timer {
namespace {

using type::v1::SlaMetric;

constexpr int kHistories = 400;

class Dice {
 public:
  explicit Dice(uint32_t seed) : engine_(seed) {}
  int Below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(engine_); }
  bool OneIn(int n) { return Below(n) == 0; }

 private:
  std::mt19937 engine_;
};

absl::Time Start() { return At("2026-10-22T07:00Z"); }  // summer time ends in the days after

// ---- policies

constexpr char kCalendars[] = R"(
  calendars { name: "always" zone: "UTC" always_open: true }
  calendars { name: "london" zone: "Europe/London"
    weekly { days: [DAY_OF_WEEK_MONDAY, DAY_OF_WEEK_TUESDAY, DAY_OF_WEEK_WEDNESDAY,
                    DAY_OF_WEEK_THURSDAY] start: "08:00" end: "17:00"
             breaks { start: "12:00" end: "13:00" } }
    weekly { days: DAY_OF_WEEK_FRIDAY start: "08:00" end: "16:00" } }
  calendars { name: "kathmandu" zone: "Asia/Kathmandu"
    weekly { days: [DAY_OF_WEEK_MONDAY, DAY_OF_WEEK_TUESDAY, DAY_OF_WEEK_WEDNESDAY,
                    DAY_OF_WEEK_THURSDAY, DAY_OF_WEEK_FRIDAY, DAY_OF_WEEK_SATURDAY,
                    DAY_OF_WEEK_SUNDAY] start: "22:00" end: "06:00" } })";

constexpr const char* kCalendarNames[] = {"always", "london", "kathmandu"};

sla::v1::SlaPolicy RandomPolicy(Dice& dice, bool ordinary) {
  sla::v1::SlaPolicy policy = PolicyOf(kCalendars);
  if (!ordinary) {
    for (const SlaMetric metric : kMetrics) {
      sla::v1::MetricBehaviour& behaviour = *policy.add_metrics();
      behaviour.set_metric(metric);
      behaviour.set_on_reopen(static_cast<sla::v1::OnChange>(dice.Below(4)));
      behaviour.set_on_change(static_cast<sla::v1::OnChange>(dice.Below(4)));
      if (dice.OneIn(2)) behaviour.add_paused_in(type::v1::TICKET_STATE_PENDING);
      if (dice.OneIn(3)) behaviour.add_paused_in(type::v1::TICKET_STATE_ON_HOLD);
    }
  }
  for (int severity = 0; severity <= 4; ++severity) {
    sla::v1::SlaRule& rule = *policy.add_rules();
    rule.set_name(absl::StrCat("severity-", severity));
    if (severity == 0) {
      rule.mutable_when()->set_unclassified(true);
    } else {
      rule.mutable_when()->add_severities(static_cast<type::v1::Severity>(severity));
    }
    if (dice.OneIn(4)) rule.mutable_when()->add_segments(type::v1::SEGMENT_MID);
    for (const SlaMetric metric : kMetrics) {
      if (!ordinary && dice.OneIn(5)) continue;
      sla::v1::SlaTarget& target = *rule.add_targets();
      target.set_metric(metric);
      target.mutable_budget()->set_seconds(60 * (1 + dice.Below(dice.OneIn(2) ? 120 : 3000)));
      target.set_calendar(kCalendarNames[dice.Below(3)]);
      if (dice.OneIn(2)) target.add_warnings()->set_percent(50);
      if (dice.OneIn(2)) target.add_warnings()->set_percent(75);
      if (dice.OneIn(2)) target.add_warnings()->mutable_before_due()->set_seconds(1800);
    }
  }
  // What no rule above takes; an ordinary policy leaves nobody out.
  sla::v1::SlaRule& rest = *policy.add_rules();
  rest.set_name("rest");
  if (ordinary) {
    for (const SlaMetric metric : kMetrics) {
      sla::v1::SlaTarget& target = *rest.add_targets();
      target.set_metric(metric);
      target.mutable_budget()->set_seconds(60 * (1 + dice.Below(600)));
      target.set_calendar(kCalendarNames[dice.Below(3)]);
    }
  }
  return policy;
}

// ---- histories

struct Arrival {
  absl::Time at;  // when it arrives, not before its own instant
  records::Fact fact;
};

records::Fact MakeFact(FactKind kind, int minute, const std::string& id) {
  records::Fact fact;
  fact.set_kind(static_cast<int>(kind));
  fact.set_at_us(absl::ToUnixMicros(Start() + absl::Minutes(minute)));
  fact.set_event_id(id);
  return fact;
}

// Facts in the order of their arrival. Intake's arrive at once and in order; triage's may be late.
std::vector<Arrival> RandomHistory(Dice& dice, bool ordinary) {
  std::vector<Arrival> arrivals;
  auto arrive = [&](records::Fact fact, int late_minutes) {
    const absl::Time at = absl::FromUnixMicros(fact.at_us()) + absl::Minutes(late_minutes);
    arrivals.push_back({at, std::move(fact)});
  };
  int event = 0;
  auto id = [&] { return absl::StrCat("ev", ++event); };
  int64_t version = 1;
  records::Fact opened = MakeFact(FactKind::kOpened, 0, id());
  opened.set_ticket_version(version);
  opened.set_policy_version(1);
  arrive(opened, 0);
  // Clusters, so that facts often share an instant with each other.
  const int span = dice.OneIn(2) ? 300 : 9000;
  int minute = 0;
  auto later = [&] { return minute += dice.OneIn(4) ? 0 : dice.Below(span / 6); };
  using type::v1::TicketState;
  TicketState state = type::v1::TICKET_STATE_NEW;
  for (int i = dice.Below(12); i > 0; --i) {
    records::Fact fact;
    if (state == type::v1::TICKET_STATE_RESOLVED) {
      if (dice.OneIn(5)) {
        fact = MakeFact(FactKind::kClosed, later(), id());
        i = 1;
      } else {
        fact = MakeFact(FactKind::kReopened, later(), id());
        state = type::v1::TICKET_STATE_OPEN;
      }
    } else {
      const int choice = dice.Below(10);
      if (choice < 5) {
        state = static_cast<TicketState>(type::v1::TICKET_STATE_OPEN + dice.Below(3));
        fact = MakeFact(FactKind::kState, later(), id());
        fact.set_state(state);
      } else if (choice < 7) {
        fact = MakeFact(FactKind::kReply, later(), id());
      } else if (choice < 9 || ordinary) {
        fact = MakeFact(FactKind::kResolved, later(), id());
        state = type::v1::TICKET_STATE_RESOLVED;
      } else if (dice.OneIn(3)) {
        fact = MakeFact(FactKind::kSpam, later(), id());
        i = 1;
      } else if (dice.OneIn(2)) {
        fact = MakeFact(FactKind::kSelfServed, later(), id());
        state = type::v1::TICKET_STATE_RESOLVED;
      } else {
        fact = MakeFact(FactKind::kAttributes, later(), id());
        fact.set_segment(dice.OneIn(2) ? type::v1::SEGMENT_MID : type::v1::SEGMENT_SMALL);
      }
    }
    fact.set_ticket_version(++version);
    arrive(fact, 0);
  }
  minute = 0;
  const int lateness = dice.OneIn(2) ? 0 : dice.Below(3000);
  for (int i = dice.Below(5), first = 1; i > 0; --i, first = 0) {
    records::Fact fact = MakeFact(first != 0 ? FactKind::kTriaged : FactKind::kSeverity,
                                  first != 0 ? minute = dice.Below(90) : later(), id());
    fact.set_severity(static_cast<type::v1::Severity>(1 + dice.Below(4)));
    arrive(fact, lateness);
  }
  if (dice.OneIn(2)) arrive(MakeFact(FactKind::kOwned, dice.Below(span), id()), lateness);
  if (!ordinary && dice.OneIn(4)) {
    records::Fact fact = MakeFact(FactKind::kPolicy, dice.Below(span), "");
    fact.set_policy_version(2);
    arrive(fact, 0);
  }
  std::stable_sort(arrivals.begin(), arrivals.end(),
                   [](const Arrival& a, const Arrival& b) { return a.at < b.at; });
  return arrivals;
}

// The service without the service: a record, its timers, and what it published.
class Sim {
 public:
  explicit Sim(const PolicyVersions& policies) : policies_(policies) {
    record_.set_bus_key("acct_1");
  }

  void Take(const records::Fact& fact, absl::Time now) {
    const int before = record_.facts_size();
    const absl::StatusOr<bool> added = AddFact(record_, fact);
    ASSERT_TRUE(added.ok());
    if (*added) Step(before, std::nullopt, now);
  }
  // Fires what is due at or before `until`, in order; a late gate is `lag` behind.
  void FireUntil(absl::Time until, absl::Duration lag) {
    while (true) {
      auto earliest = timers_.end();
      for (auto it = timers_.begin(); it != timers_.end(); ++it) {
        if (it->second.due > until - lag) continue;
        if (earliest == timers_.end() || it->second.due < earliest->second.due) earliest = it;
      }
      if (earliest == timers_.end()) return;
      const Firing firing = earliest->second;
      timers_.erase(earliest);
      ++fired_;
      Step(record_.facts_size(), firing, std::max(until, firing.due));
    }
  }
  const records::TicketRecord& record() const { return record_; }
  const std::vector<std::string>& published() const { return published_; }
  int fired() const { return fired_; }

 private:
  void Step(int before, const std::optional<Firing>& firing, absl::Time now) {
    corridor::Decision decision;
    const std::string cause = absl::StrCat("cause", ++causes_);
    corridor::Inputs in;
    in.now = now;
    in.cause = cause;
    Judge("tkt_1", record_, before, firing, policies_, in, decision);
    for (const std::string& id : decision.cancelled_timers) timers_.erase(id);
    for (const auto& timer : decision.timers) {
      const auto& payload = static_cast<const records::ClockTimer&>(*timer.payload);
      timers_[timer.id] = {payload.metric(), timer.due, false};
    }
    for (const auto& event : decision.events) {
      published_.push_back(
          absl::StrCat(event.body->GetDescriptor()->name(), " ", Identity(*event.body)));
      EXPECT_GE(event.time, last_) << "events about a ticket never go back";
      last_ = event.time;
    }
  }
  // What may be published once: a breach a cycle, a warning a threshold and cycle.
  static std::string Identity(const google::protobuf::Message& body) {
    if (const auto* breach = dynamic_cast<const events::v1::SlaBreached*>(&body)) {
      return absl::StrCat(breach->clock().metric(), "/", breach->clock().cycle());
    }
    if (const auto* warning = dynamic_cast<const events::v1::SlaWarning*>(&body)) {
      return absl::StrCat(warning->clock().metric(), "/", warning->clock().cycle(), "/",
                          warning->threshold());
    }
    return "";
  }

  const PolicyVersions& policies_;
  records::TicketRecord record_;
  std::map<std::string, Firing> timers_;
  std::vector<std::string> published_;
  absl::Time last_ = absl::InfinitePast();
  int fired_ = 0;
  int causes_ = 0;
};

std::string Describe(const std::vector<Arrival>& arrivals, const sla::v1::SlaPolicy& policy) {
  std::string text = policy.ShortDebugString() + "\n";
  for (const Arrival& arrival : arrivals) {
    absl::StrAppend(&text, absl::FormatTime(arrival.at, absl::UTCTimeZone()), "  ",
                    arrival.fact.ShortDebugString(), "\n");
  }
  return text;
}

TEST(Clocks, ComeOutTheSameEventByEventAsFromAllFactsAtOnce) {
  int corrections = 0, breaches = 0, fired = 0;
  for (uint32_t seed = 1; seed <= kHistories; ++seed) {
    Dice dice(seed);
    const sla::v1::SlaPolicy policy = RandomPolicy(dice, false);
    PolicyVersions policies;
    policies.Add(1, RulesOf(policy));
    policies.Add(2, RulesOf(RandomPolicy(dice, false)));
    const std::vector<Arrival> arrivals = RandomHistory(dice, false);
    SCOPED_TRACE(absl::StrCat("seed ", seed, "\n", Describe(arrivals, policy)));
    const absl::Duration lag = absl::Minutes(dice.OneIn(2) ? 0 : dice.Below(500));
    Sim sim(policies);
    for (const Arrival& arrival : arrivals) {
      sim.FireUntil(arrival.at - absl::Microseconds(1), lag);
      sim.Take(arrival.fact, arrival.at);
      if (dice.OneIn(3)) {
        const std::string before = sim.record().SerializeAsString();
        const size_t told = sim.published().size();
        if (!arrival.fact.event_id().empty()) sim.Take(arrival.fact, arrival.at);
        ASSERT_EQ(sim.record().SerializeAsString(), before) << "a duplicate changes nothing";
        ASSERT_EQ(sim.published().size(), told);
      }
    }
    const absl::Time end = Start() + absl::Hours(24 * 60);
    sim.FireUntil(end, absl::ZeroDuration());

    const std::vector<Fact> facts = FactsOf(sim.record());
    Authority full;
    full.fired_until = end;
    for (const SlaMetric metric : kMetrics) {
      SCOPED_TRACE(type::v1::SlaMetric_Name(metric));
      const Evaluation expected = Evaluate(facts, metric, policies, full);
      const Evaluation kept =
          Evaluate(facts, metric, policies, AuthorityOf(FindClock(sim.record(), metric)));
      ASSERT_EQ(kept.log, expected.log);
      for (const auto& drift : DriftsOf("tkt_1", sim.record(), metric, policies, end)) {
        ADD_FAILURE() << drift.ShortDebugString();
      }
      std::map<int, std::string> told;
      for (const records::Judged& judged : sim.record().judged()) {
        if (judged.metric() != metric) continue;
        told[judged.cycle()] = judged.verdict();
        if (judged.kind() == kJudgedBreached) ++breaches;
        if (judged.kind() == kJudgedCorrected) {
          ++corrections;
          ASSERT_NE(judged.corrected_event_id(), "");
        }
      }
      for (const Cycle& cycle : expected.cycles) {
        const std::string verdict = VerdictOf(expected.log, cycle.number);
        ASSERT_EQ(told.contains(cycle.number) ? told[cycle.number] : "running", verdict);
      }
    }
    std::set<std::string> once;
    for (const std::string& line : sim.published()) {
      if (line.find('/') == std::string::npos) continue;
      ASSERT_TRUE(once.insert(line).second) << line << " was published twice";
    }
    fired += sim.fired();
    if (HasFailure()) return;
  }
  // The histories are worth their name.
  EXPECT_GT(corrections, 20);
  EXPECT_GT(breaches, 200);
  EXPECT_GT(fired, 400);
}

TEST(Explanations, AddUpAndLeaveNoGap) {
  int explained = 0;
  for (uint32_t seed = 1; seed <= kHistories; ++seed) {
    Dice dice(seed + 100'000);
    const sla::v1::SlaPolicy policy = RandomPolicy(dice, false);
    PolicyVersions policies;
    policies.Add(1, RulesOf(policy));
    policies.Add(2, RulesOf(RandomPolicy(dice, false)));
    const std::vector<Arrival> arrivals = RandomHistory(dice, false);
    SCOPED_TRACE(absl::StrCat("seed ", seed, "\n", Describe(arrivals, policy)));
    records::TicketRecord record;
    const absl::Time now = Start() + absl::Minutes(dice.Below(9000));
    for (const Arrival& arrival : arrivals) {
      if (absl::FromUnixMicros(arrival.fact.at_us()) <= now) *record.add_facts() = arrival.fact;
    }
    Authority full;
    full.fired_until = now;
    for (const SlaMetric metric : kMetrics) {
      const Evaluation judged = Evaluate(FactsOf(record), metric, policies, full);
      for (const Cycle& cycle : judged.cycles) {
        const absl::StatusOr<Explanation> explanation = Explain(cycle, now);
        ASSERT_TRUE(explanation.ok()) << explanation.status();
        ++explained;
        const absl::Duration budget = cycle.leg.budget;
        const bool runs_on = cycle.IsLive() && !cycle.breached_at;
        const absl::Duration used = cycle.UsedAt(now);
        ASSERT_EQ(explanation->counted, runs_on ? budget : std::min(used, budget));
        if (cycle.breached_at && cycle.breach_cause.empty()) {
          ASSERT_EQ(explanation->counted, budget);
        }
        absl::Duration sum;
        absl::Time at = cycle.started_at;
        for (const ClockPiece& piece : explanation->pieces) {
          ASSERT_EQ(piece.from, at);
          ASSERT_LT(piece.from, piece.to);
          at = piece.to;
          if (piece.counted) sum += piece.to - piece.from;
          ASSERT_EQ(piece.expected, piece.from >= now);
        }
        ASSERT_EQ(sum, explanation->counted);
        if (runs_on) {
          ASSERT_EQ(at, cycle.Due(now));
        }
      }
    }
  }
  EXPECT_GT(explained, kHistories);
}

// ---- an oracle that shares nothing with the rules but the calendars: minute by minute

struct Truth {
  std::optional<int> breached;  // minute of it
  bool is_stopped = false;
};

// The product's default behaviours (§3), for histories whose instants are whole minutes.
Truth Walk(const std::vector<Fact>& facts, SlaMetric metric, const SlaRules& rules, int minutes) {
  const bool resolution = metric == type::v1::SLA_METRIC_RESOLUTION;
  Truth truth;
  Attributes attributes;
  bool paused = false, dead = false;
  int64_t used = 0;
  // The first classification counts from creation on.
  const Fact* first = nullptr;
  bool is_closed = false;
  for (const Fact& fact : facts) {
    is_closed = is_closed || fact.kind == FactKind::kClosed;
    if (fact.kind == FactKind::kSeverity && !is_closed) break;
    if (fact.kind != FactKind::kTriaged) continue;
    first = &fact;
    attributes.severity = fact.attributes.severity;
    break;
  }
  const Target* target = rules.Match(attributes)->TargetOf(metric);
  auto open = [&](int minute) {
    return target->hours.IsOpen(Start() + absl::Minutes(minute)) ? 1 : 0;
  };
  auto budget = [&] { return absl::ToInt64Minutes(target->budget); };
  size_t next = 0;
  for (int minute = 0; minute <= minutes && !dead; ++minute) {
    const absl::Time now = Start() + absl::Minutes(minute);
    // What stops, pauses or resumes comes before what changes the target, and both before a breach.
    for (; next < facts.size() && facts[next].at == now; ++next) {
      const Fact& fact = facts[next];
      switch (fact.kind) {
        case FactKind::kReply:
          if (metric == type::v1::SLA_METRIC_FIRST_RESPONSE) truth.is_stopped = true;
          break;
        case FactKind::kOwned:
          if (metric == type::v1::SLA_METRIC_TIME_TO_OWN) truth.is_stopped = true;
          break;
        case FactKind::kState:
          paused = resolution && fact.state == type::v1::TICKET_STATE_PENDING;
          break;
        case FactKind::kResolved:
          if (resolution) truth.is_stopped = true;
          paused = false;
          break;
        case FactKind::kReopened:
          if (resolution) truth.is_stopped = false;
          break;
        case FactKind::kClosed:
          dead = true;
          break;
        case FactKind::kTriaged:
        case FactKind::kSeverity: {
          if (&fact == first) break;
          attributes.severity = fact.attributes.severity;
          if (truth.breached) break;
          target = rules.Match(attributes)->TargetOf(metric);
          break;
        }
        default:
          break;
      }
    }
    const bool runs = !truth.is_stopped && !paused && !dead;
    if (!truth.breached && runs && used >= budget()) truth.breached = minute;
    if (runs) used += open(minute);
  }
  return truth;
}

TEST(Clocks, AgreeWithAWalkFromMinuteToMinute) {
  int breached = 0, met = 0;
  for (uint32_t seed = 1; seed <= kHistories / 5; ++seed) {
    Dice dice(seed + 200'000);
    sla::v1::SlaPolicy policy = RandomPolicy(dice, true);
    const std::shared_ptr<const SlaRules> rules = RulesOf(policy);
    PolicyVersions policies;
    policies.Add(1, rules);
    const std::vector<Arrival> arrivals = RandomHistory(dice, true);
    SCOPED_TRACE(absl::StrCat("seed ", seed, "\n", Describe(arrivals, policy)));
    records::TicketRecord record;
    for (const Arrival& arrival : arrivals) *record.add_facts() = arrival.fact;
    const std::vector<Fact> facts = FactsOf(record);
    const int minutes = 12'000;
    Authority full;
    full.fired_until = Start() + absl::Minutes(minutes);
    for (const SlaMetric metric : kMetrics) {
      SCOPED_TRACE(type::v1::SlaMetric_Name(metric));
      const Evaluation judged = Evaluate(facts, metric, policies, full);
      const Truth truth = Walk(facts, metric, *rules, minutes);
      ASSERT_EQ(judged.cycles.size(), 1u);
      const Cycle& cycle = judged.cycles[0];
      ASSERT_EQ(cycle.breached_at.has_value(), truth.breached.has_value());
      if (truth.breached) {
        ++breached;
        ASSERT_EQ(*cycle.breached_at, Start() + absl::Minutes(*truth.breached));
      }
      if (truth.is_stopped) {
        ++met;
        ASSERT_EQ(cycle.phase, Phase::kStopped);
      }
    }
  }
  EXPECT_GT(breached, 40);
  EXPECT_GT(met, 40);
}

}  // namespace
}  // namespace tandem::sla_timer
