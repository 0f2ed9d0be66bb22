// The real services beside the shadows, over random histories: as black boxes, through events and
// RPCs alone.
#include "tests/simulation/shadow_compare.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/plant/plant.h"
#include "common/testing/service_harness.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tandem/sla/v1/policy_service.pb.h"
#include "tests/simulation/shadow_history.h"
#include "tests/simulation/shadow_testing.h"

namespace tandem::simulation {
namespace {

using testing::ServiceHarness;

// What the service published, a ticket's events by its id.
std::vector<bus::Event> PublishedAbout(const ServiceHarness& harness, const std::string& subject) {
  std::vector<bus::Event> about;
  for (const bus::Event& event : harness.PublishedEvents()) {
    if (event.subject == subject) about.push_back(event);
  }
  return about;
}

// Some starts lie just before a change of clocks of one of the calendars, or before holidays.
absl::Time DrawStart(Dice& dice) {
  const std::vector<absl::CivilHour> starts = {
      absl::CivilHour(2026, 11, 23, 14), absl::CivilHour(2026, 10, 1, 20),
      absl::CivilHour(2026, 10, 23, 9),  absl::CivilHour(2026, 10, 30, 16),
      absl::CivilHour(2027, 3, 12, 12),  absl::CivilHour(2026, 12, 23, 7)};
  return absl::FromCivil(absl::CivilSecond(dice.Of(starts)), absl::UTCTimeZone());
}

testing::HarnessOptions StartingAt(absl::Time start) {
  testing::HarnessOptions options;
  options.start = start;
  return options;
}

// sla_timer and the lives of two tickets that a seed draws.
class ClockRun {
 public:
  ClockRun(uint64_t seed, bool late)
      : dice_(seed),
        late_(late),
        harness_(ServiceNamed("sla_timer"), StartingAt(DrawStart(dice_))) {}

  absl::Status Run() {
    absl::Status applied = Apply(DrawSlaPolicy(dice_));
    if (!applied.ok()) return applied;
    const absl::Time from = harness_.Now() + absl::Minutes(1);
    for (int i = 0; i < 2; ++i) {
      tickets_.push_back({DrawTicket(dice_, absl::StrCat("tkt_", i), from, late_), {}});
    }
    struct Stop {
      absl::Time at;
      size_t ticket;
      size_t fact;
    };
    std::vector<Stop> agenda;
    for (size_t i = 0; i < tickets_.size(); ++i) {
      for (size_t j = 0; j < tickets_[i].drawn.facts.size(); ++j) {
        agenda.push_back({tickets_[i].drawn.facts[j].arrives_at, i, j});
      }
    }
    std::stable_sort(agenda.begin(), agenda.end(),
                     [](const Stop& a, const Stop& b) { return a.at < b.at; });
    const bool changes_policy = dice_.Percent(25);
    for (size_t i = 0; i < agenda.size(); ++i) {
      harness_.AdvanceTo(std::max(agenda[i].at, harness_.Now()));
      Deliver(tickets_[agenda[i].ticket], agenda[i].fact);
      if (changes_policy && i == agenda.size() / 2) {
        harness_.Advance(absl::Microseconds(1 + dice_.Below(3'000'000)));
        applied = Apply(DrawSlaPolicy(dice_));
        if (!applied.ok()) return applied;
      }
      if (dice_.Percent(25)) {
        const absl::Status same = Compare(agenda[i].ticket);
        if (!same.ok()) return same;
      }
    }
    for (const absl::Duration later : {absl::Seconds(3), absl::Hours(11), absl::Hours(24 * 12)}) {
      harness_.Advance(later);
      for (size_t i = 0; i < tickets_.size(); ++i) {
        const absl::Status same = Compare(i);
        if (!same.ok()) return same;
      }
    }
    return absl::OkStatus();
  }

  int compared() const { return compared_; }

 private:
  struct Ticket {
    DrawnTicket drawn;
    std::vector<ArrivedEvent> events;
  };

  absl::Status Apply(const sla::v1::SlaPolicy& policy) {
    sla::v1::ApplyPolicyRequest request;
    request.set_request_id(absl::StrCat("apply-", policies_.size()));
    *request.mutable_policy() = policy;
    const auto reply = harness_.Call<sla::v1::ApplyPolicyResponse>(
        "tandem.sla.v1.PolicyService/ApplyPolicy", request);
    if (!reply.ok()) return reply.status();
    // The first one holds for all that follows.
    policies_.push_back(
        {reply->version(), policies_.empty() ? absl::InfinitePast() : harness_.Now(), policy});
    return absl::OkStatus();
  }

  void Deliver(Ticket& ticket, size_t place) {
    const DrawnFact& fact = ticket.drawn.facts[place];
    ArrivedEvent arrived;
    arrived.arrived_at = harness_.Now();
    bus::Event& event = arrived.event;
    event.id = harness_.Deliver(fact.source, ticket.drawn.ticket_id, ticket.drawn.account_id,
                                *fact.body, fact.at);
    event.source = fact.source;
    event.type = fact.body->GetDescriptor()->full_name();
    event.subject = ticket.drawn.ticket_id;
    event.time = fact.at;
    event.sequence = static_cast<int64_t>(ticket.events.size());
    fact.body->SerializeToString(&event.body);
    if (fact.twice) {
      harness_.DeliverAgain();
      ticket.events.push_back(arrived);
    }
    ticket.events.push_back(std::move(arrived));
  }

  absl::Status Compare(size_t place) {
    const Ticket& ticket = tickets_[place];
    if (ticket.events.empty()) return absl::OkStatus();
    ClockAnswers answers;
    sla::v1::GetTicketSlaRequest ask;
    ask.set_ticket_id(ticket.drawn.ticket_id);
    auto told =
        harness_.Call<sla::v1::GetTicketSlaResponse>("tandem.sla.v1.SlaService/GetTicketSla", ask);
    if (!told.ok()) return told.status();
    answers.ticket = *std::move(told);
    for (const sla::v1::ClockStatus& clock : answers.ticket.clocks()) {
      sla::v1::ExplainClockRequest explain;
      explain.set_ticket_id(ticket.drawn.ticket_id);
      explain.set_metric(clock.metric());
      explain.set_cycle(clock.cycle());
      auto explained = harness_.Call<sla::v1::ExplainClockResponse>(
          "tandem.sla.v1.SlaService/ExplainClock", explain);
      if (!explained.ok()) return explained.status();
      answers.explanations.push_back(*std::move(explained));
    }
    answers.published = PublishedAbout(harness_, ticket.drawn.ticket_id);
    ++compared_;
    const absl::Status same = CompareClocks(ticket.events, policies_, answers);
    if (same.ok() || !WantsStory()) return same;
    for (const ArrivedEvent& event : ticket.events) {
      TellStory(event.event, event.event.time, event.arrived_at);
    }
    for (const PolicyInForce& policy : policies_) {
      std::cerr << "policy " << policy.version << " of " << time::FormatInstant(policy.applied_at)
                << "\n"
                << policy.policy.DebugString() << "\n";
    }
    for (const bus::Event& event : answers.published) TellStory(event, event.time, event.time);
    std::cerr << answers.ticket.DebugString() << "\n";
    return same;
  }

  Dice dice_;
  const bool late_;
  ServiceHarness harness_;
  std::vector<PolicyInForce> policies_;
  std::vector<Ticket> tickets_;
  int compared_ = 0;
};

void CompareClocksOver(uint64_t count, bool late) {
  const auto [from, to] = Seeds(count);
  int compared = 0, differing = 0;
  for (uint64_t seed = from; seed < to && differing < 10; ++seed) {
    ClockRun run(seed, late);
    const absl::Status same = run.Run();
    compared += run.compared();
    if (!same.ok()) {
      ++differing;
      ADD_FAILURE() << "seed " << seed << ": " << same.message();
    }
  }
  std::cout << compared << " comparisons\n";
  EXPECT_GT(compared, 0);
}

TEST(SlaTimer, KeepsClocksAsTheShadowDoes) { CompareClocksOver(300, false); }

TEST(SlaTimer, ComesToTheSameClocksWhenFactsAreLate) { CompareClocksOver(120, true); }

// A comparison that finds nothing proves nothing: with a mistake planted it has to.
TEST(SlaTimer, IsCaughtCountingTimeOffTheCalendarBeforeAPause) {
  plant::Set({plant::Mistake::kPauseOffCalendar});
  const absl::Cleanup restore = [] { plant::Set({}); };
  int differing = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    if (!ClockRun(seed, false).Run().ok()) ++differing;
  }
  EXPECT_GE(differing, 10);
}

}  // namespace
}  // namespace tandem::simulation
