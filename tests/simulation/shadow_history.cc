#include "tests/simulation/shadow_history.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/time/stamp.h"
#include "google/protobuf/text_format.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/triage.pb.h"

namespace tandem::simulation {
namespace {

using google::protobuf::TextFormat;
using type::v1::TicketState;

constexpr const char* kWeekdays =
    "days: [DAY_OF_WEEK_MONDAY, DAY_OF_WEEK_TUESDAY, DAY_OF_WEEK_WEDNESDAY, DAY_OF_WEEK_THURSDAY, "
    "DAY_OF_WEEK_FRIDAY]";
constexpr const char* kEveryDay =
    "days: [DAY_OF_WEEK_MONDAY, DAY_OF_WEEK_TUESDAY, DAY_OF_WEEK_WEDNESDAY, DAY_OF_WEEK_THURSDAY, "
    "DAY_OF_WEEK_FRIDAY, DAY_OF_WEEK_SATURDAY, DAY_OF_WEEK_SUNDAY]";

std::vector<std::string> Calendars() {
  return {
      R"(name: "around-the-clock" zone: "UTC" always_open: true)",
      absl::StrCat(R"(name: "new-york" zone: "America/New_York" weekly {)", kWeekdays,
                   R"( start: "09:00" end: "17:30" } holidays { date: "2026-11-26" name: "T" })"),
      absl::StrCat(R"(name: "london" zone: "Europe/London" weekly {)", kWeekdays,
                   R"( start: "08:00" end: "17:00" breaks { start: "12:00" end: "13:00" } }
                       holidays { annual: "12-25" name: "C" }
                 overrides { date: "2026-11-24" intervals { start: "10:00" end: "12:00" } })"),
      absl::StrCat(R"(name: "night" zone: "Asia/Kathmandu" weekly {)", kEveryDay,
                   R"( start: "22:00" end: "06:00" breaks { start: "00:30" end: "01:15" } })"),
      absl::StrCat(R"(name: "lord-howe" zone: "Australia/Lord_Howe" weekly {)", kEveryDay,
                   R"( start: "01:30" end: "24:00" })"),
      absl::StrCat(R"(name: "tight" zone: "America/New_York" weekly {)", kEveryDay,
                   R"( start: "01:15" end: "02:45" } weekly {)", kWeekdays,
                   R"( start: "10:00" end: "11:00" })"),
  };
}

// Mostly short against the openings, now and then exactly a multiple of them.
absl::Duration DrawBudget(Dice& dice) {
  const std::vector<absl::Duration> round = {absl::Minutes(30),   absl::Hours(1),
                                             absl::Hours(4),      absl::Hours(8),
                                             absl::Hours(17) / 2, absl::Hours(24)};
  if (dice.Percent(60)) return dice.Of(round);
  return absl::Seconds(60 + dice.Below(40 * 3600)) + absl::Microseconds(dice.Below(1'000'000));
}

void DrawTarget(Dice& dice, type::v1::SlaMetric metric, const sla::v1::SlaPolicy& policy,
                sla::v1::SlaTarget* target) {
  target->set_metric(metric);
  if (dice.Percent(25)) {
    const int64_t days = 1 + dice.Below(3);
    target->set_budget_text(absl::StrCat(days, days == 1 ? " working day" : " working days"));
  } else {
    *target->mutable_budget() = time::StampSpan(DrawBudget(dice));
  }
  target->set_calendar(
      policy.calendars(static_cast<int>(dice.Below(policy.calendars_size()))).name());
  for (const int percent : {50, 75, 90}) {
    if (dice.Percent(40)) target->add_warnings()->set_percent(percent);
  }
  if (dice.Percent(40)) {
    *target->add_warnings()->mutable_before_due() = time::StampSpan(absl::Minutes(20));
  }
}

template <typename E>
E About(const DrawnTicket& ticket, absl::Time at) {
  E body;
  body.set_ticket_id(ticket.ticket_id);
  body.set_account_id(ticket.account_id);
  *body.mutable_occurred_at() = time::Stamp(at);
  return body;
}

// The life of one ticket as the product allows it.
class Life {
 public:
  Life(Dice& dice, DrawnTicket& ticket, absl::Time from, bool late)
      : dice_(dice), ticket_(ticket), now_(from), late_(late) {}

  void Live() {
    Open();
    const int64_t steps = 3 + dice_.Below(14);
    for (int64_t i = 0; i < steps && state_ != type::v1::TICKET_STATE_CLOSED; ++i) {
      Wait();
      Step();
    }
    std::stable_sort(
        ticket_.facts.begin(), ticket_.facts.end(),
        [](const DrawnFact& a, const DrawnFact& b) { return a.arrives_at < b.arrives_at; });
  }

 private:
  template <typename E>
  void Tell(const std::string& source, const E& body) {
    DrawnFact fact;
    fact.source = source;
    fact.body = std::make_shared<E>(body);
    fact.at = now_;
    fact.arrives_at = now_;
    if (late_ && ticket_.facts.size() > 0 && dice_.Percent(20)) {
      fact.arrives_at += absl::Minutes(1 + dice_.Below(60 * 30));
    }
    // Cause before effect within a key: what one service publishes about a ticket keeps its order.
    for (const DrawnFact& before : ticket_.facts) {
      if (before.source == source) {
        fact.arrives_at = std::max(fact.arrives_at, before.arrives_at);
      }
    }
    fact.arrives_at =
        std::max(fact.arrives_at,
                 ticket_.facts.empty() ? fact.arrives_at : ticket_.facts.front().arrives_at);
    fact.twice = dice_.Percent(10);
    ticket_.facts.push_back(std::move(fact));
  }

  template <typename E>
  E Intake() {
    E body = About<E>(ticket_, now_);
    body.set_version(++version_);
    return body;
  }

  void Open() {
    auto body = Intake<events::v1::TicketOpened>();
    body.set_contact_id("cont_1");
    contact_level_ = dice_.Of<type::v1::ContactLevel>({type::v1::CONTACT_LEVEL_UNSPECIFIED,
                                                       type::v1::CONTACT_LEVEL_EXECUTIVE,
                                                       type::v1::CONTACT_LEVEL_MEMBER});
    segment_ = dice_.Of<type::v1::Segment>(
        {type::v1::SEGMENT_UNSPECIFIED, type::v1::SEGMENT_ENTERPRISE, type::v1::SEGMENT_SMALL});
    category_ = dice_.Of<std::string>({"", "network", "mail"});
    body.set_contact_level(contact_level_);
    body.set_segment(segment_);
    body.set_stage(type::v1::JOURNEY_STAGE_LOYALTY);
    body.set_channel(
        dice_.Of<type::v1::Channel>({type::v1::CHANNEL_EMAIL, type::v1::CHANNEL_PHONE}));
    body.set_category(category_);
    state_ = type::v1::TICKET_STATE_NEW;
    Tell("ticket_intake", body);
    if (dice_.Percent(85)) {
      now_ += absl::Milliseconds(1 + dice_.Below(dice_.Percent(20) ? 7'200'000 : 3'000));
      Triage();
    }
  }

  void Triage() {
    severity_ = DrawSeverity();
    auto body = About<events::v1::TicketTriaged>(ticket_, now_);
    body.set_severity(severity_);
    Tell("triage", body);
  }

  type::v1::Severity DrawSeverity() {
    return dice_.Of<type::v1::Severity>({type::v1::SEVERITY_CRITICAL, type::v1::SEVERITY_URGENT,
                                         type::v1::SEVERITY_NORMAL, type::v1::SEVERITY_GENERAL});
  }

  // Seconds to days, so that steps fall into one opening, across nights and across weekends.
  void Wait() {
    const std::vector<int64_t> scales = {90, 3'600, 6 * 3'600, 30 * 3'600};
    if (dice_.Percent(12)) {
      // On the hour, as people's budgets and openings are: exactly at closing, exactly at due.
      now_ = absl::FromUnixSeconds(absl::ToUnixSeconds(now_) / 1'800 * 1'800 + 1'800);
    } else {
      now_ += absl::Microseconds(1 + dice_.Below(dice_.Of(scales) * 1'000'000));
    }
  }

  void Step() {
    const bool resolved = state_ == type::v1::TICKET_STATE_RESOLVED;
    const int64_t what = dice_.Below(100);
    if (severity_ == type::v1::SEVERITY_UNSPECIFIED && dice_.Percent(30)) return Triage();
    if (resolved) {
      if (what < 45) return Reopen();
      if (what < 65) return Close(type::v1::CLOSE_REASON_CONFIRMED);
      if (what < 75) return Say(type::v1::AUTHOR_KIND_AGENT, type::v1::VISIBILITY_PUBLIC);
      if (what < 90) return Reclassify();
      return Accept();
    }
    if (what < 30) return Move();
    if (what < 45) return Say(type::v1::AUTHOR_KIND_AGENT, type::v1::VISIBILITY_PUBLIC);
    if (what < 50) return Say(type::v1::AUTHOR_KIND_AGENT, type::v1::VISIBILITY_INTERNAL);
    if (what < 54) return Say(type::v1::AUTHOR_KIND_BOT, type::v1::VISIBILITY_PUBLIC);
    if (what < 72) return Reclassify();
    if (what < 80) return Update();
    if (what < 86) return Accept();
    if (what < 97) return Resolve();
    return Close(type::v1::CLOSE_REASON_SPAM);
  }

  void Move() {
    const std::vector<TicketState> to = {type::v1::TICKET_STATE_OPEN,
                                         type::v1::TICKET_STATE_PENDING,
                                         type::v1::TICKET_STATE_ON_HOLD};
    auto body = Intake<events::v1::TicketStateChanged>();
    body.set_from_state(state_);
    do {
      body.set_to_state(dice_.Of(to));
    } while (body.to_state() == state_);
    state_ = body.to_state();
    Tell("ticket_intake", body);
  }

  void Say(type::v1::AuthorKind author, type::v1::Visibility visibility) {
    auto body = Intake<events::v1::TicketMessageAdded>();
    body.set_message_id(absl::StrCat("msg_", version_));
    body.set_author_kind(author);
    body.set_visibility(visibility);
    Tell("ticket_intake", body);
  }

  void Reclassify() {
    if (severity_ == type::v1::SEVERITY_UNSPECIFIED) return Triage();
    auto body = About<events::v1::SeverityChanged>(ticket_, now_);
    body.set_from_severity(severity_);
    do {
      severity_ = DrawSeverity();
    } while (severity_ == body.from_severity());
    body.set_to_severity(severity_);
    Tell("triage", body);
  }

  void Update() {
    auto body = Intake<events::v1::TicketUpdated>();
    category_ = dice_.Of<std::string>({"", "network", "mail"});
    body.add_changed_fields("category");
    body.set_category(category_);
    body.set_contact_id("cont_1");
    body.set_contact_level(contact_level_);
    body.set_segment(segment_);
    body.set_stage(type::v1::JOURNEY_STAGE_LOYALTY);
    Tell("ticket_intake", body);
  }

  void Accept() {
    auto body = About<events::v1::AssignmentAccepted>(ticket_, now_);
    body.set_staff_id("staff_1");
    Tell("triage", body);
  }

  void Resolve() {
    const bool by_article = dice_.Percent(15);
    if (!by_article && dice_.Percent(80)) {
      Say(type::v1::AUTHOR_KIND_AGENT, type::v1::VISIBILITY_PUBLIC);
      now_ += absl::Microseconds(dice_.Below(2) * 700'000);
    }
    auto body = Intake<events::v1::TicketResolved>();
    body.set_from_state(state_);
    body.set_resolved_by(by_article ? type::v1::RESOLVED_BY_SELF_SERVICE
                                    : type::v1::RESOLVED_BY_AGENT);
    body.set_resolution(++resolutions_);
    resolved_at_ = now_;
    state_ = type::v1::TICKET_STATE_RESOLVED;
    Tell("ticket_intake", body);
  }

  void Reopen() {
    auto body = Intake<events::v1::TicketReopened>();
    body.set_to_state(type::v1::TICKET_STATE_OPEN);
    body.set_reopening(++reopenings_);
    *body.mutable_resolved_at() = time::Stamp(resolved_at_);
    state_ = type::v1::TICKET_STATE_OPEN;
    Tell("ticket_intake", body);
  }

  void Close(type::v1::CloseReason reason) {
    auto body = Intake<events::v1::TicketClosed>();
    body.set_from_state(state_);
    body.set_reason(reason);
    body.set_resolution(resolutions_);
    state_ = type::v1::TICKET_STATE_CLOSED;
    Tell("ticket_intake", body);
  }

  Dice& dice_;
  DrawnTicket& ticket_;
  absl::Time now_;
  const bool late_;
  int64_t version_ = 0;
  int64_t resolutions_ = 0, reopenings_ = 0;
  absl::Time resolved_at_;
  TicketState state_ = type::v1::TICKET_STATE_NEW;
  type::v1::Severity severity_ = type::v1::SEVERITY_UNSPECIFIED;
  type::v1::ContactLevel contact_level_ = type::v1::CONTACT_LEVEL_UNSPECIFIED;
  type::v1::Segment segment_ = type::v1::SEGMENT_UNSPECIFIED;
  std::string category_;
};

}  // namespace

sla::v1::SlaPolicy DrawSlaPolicy(Dice& dice) {
  sla::v1::SlaPolicy policy;
  policy.set_applies_to(dice.Percent(50) ? sla::v1::POLICY_SCOPE_NEW_TICKETS
                                         : sla::v1::POLICY_SCOPE_OPEN_TICKETS);
  policy.mutable_verification()->set_tickets(
      0);  // its timer would fire every minute of the days simulated
  for (const std::string& calendar : Calendars()) {
    TextFormat::ParseFromString(calendar, policy.add_calendars());
  }
  const std::vector<type::v1::SlaMetric> metrics = {type::v1::SLA_METRIC_FIRST_RESPONSE,
                                                    type::v1::SLA_METRIC_RESOLUTION,
                                                    type::v1::SLA_METRIC_TIME_TO_OWN};
  for (const type::v1::SlaMetric metric : metrics) {
    if (dice.Percent(40)) continue;  // as the product says
    sla::v1::MetricBehaviour* behaviour = policy.add_metrics();
    behaviour->set_metric(metric);
    if (dice.Percent(60)) {
      behaviour->set_on_reopen(dice.Of<sla::v1::OnChange>(
          {sla::v1::ON_CHANGE_KEEP, sla::v1::ON_CHANGE_RESTART, sla::v1::ON_CHANGE_CARRY_OVER}));
    }
    if (dice.Percent(60)) {
      behaviour->set_on_change(dice.Of<sla::v1::OnChange>(
          {sla::v1::ON_CHANGE_KEEP, sla::v1::ON_CHANGE_RESTART, sla::v1::ON_CHANGE_CARRY_OVER}));
    }
    if (dice.Percent(20)) {
      behaviour->set_never_paused(true);
    } else if (dice.Percent(50)) {
      behaviour->add_paused_in(type::v1::TICKET_STATE_PENDING);
      if (dice.Percent(50)) behaviour->add_paused_in(type::v1::TICKET_STATE_ON_HOLD);
    }
  }
  const std::vector<type::v1::Severity> severities = {
      type::v1::SEVERITY_UNSPECIFIED, type::v1::SEVERITY_CRITICAL, type::v1::SEVERITY_URGENT,
      type::v1::SEVERITY_NORMAL, type::v1::SEVERITY_GENERAL};
  for (const type::v1::Severity severity : severities) {
    const int variants = dice.Percent(30) ? 2 : 1;
    for (int variant = 0; variant < variants; ++variant) {
      sla::v1::SlaRule* rule = policy.add_rules();
      rule->set_name(absl::StrCat("rule-", static_cast<int>(severity), "-", variant));
      if (severity == type::v1::SEVERITY_UNSPECIFIED) {
        rule->mutable_when()->set_unclassified(true);
      } else {
        rule->mutable_when()->add_severities(severity);
      }
      if (variant == 0 && variants == 2) {
        switch (dice.Below(4)) {
          case 0:
            rule->mutable_when()->add_categories("network");
            break;
          case 1:
            rule->mutable_when()->add_segments(type::v1::SEGMENT_ENTERPRISE);
            break;
          case 2:
            rule->mutable_when()->add_contact_levels(type::v1::CONTACT_LEVEL_MEMBER);
            break;
          default:
            rule->mutable_when()->add_channels(type::v1::CHANNEL_PHONE);
        }
      }
      for (const type::v1::SlaMetric metric : metrics) {
        if (dice.Percent(92)) DrawTarget(dice, metric, policy, rule->add_targets());
      }
      if (rule->targets().empty()) {
        DrawTarget(dice, type::v1::SLA_METRIC_RESOLUTION, policy, rule->add_targets());
      }
    }
  }
  return policy;
}

DrawnTicket DrawTicket(Dice& dice, const std::string& ticket_id, absl::Time from, bool late) {
  DrawnTicket ticket;
  ticket.ticket_id = ticket_id;
  ticket.account_id = "acct_1";
  Life(dice, ticket, from + absl::Microseconds(1 + dice.Below(40LL * 3600 * 1'000'000)), late)
      .Live();
  return ticket;
}

}  // namespace tandem::simulation
