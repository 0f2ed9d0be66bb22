#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/cli/human.h"
#include "common/cli/table.h"
#include "common/cli/text_width.h"
#include "common/config/duration.h"
#include "services/tandemctl/command.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tandem/sla/v1/sla_service.pb.h"

namespace tandem::tandemctl {
namespace {

using google::protobuf::Message;

std::string Sla(const char* name) { return std::string("tandem.sla.v1.SlaService/") + name; }
std::string Calendar(const char* name) {
  return std::string("tandem.sla.v1.CalendarService/") + name;
}

// Exact, unlike elsewhere, as are the instants: what is shown must add up to the sum below it.
std::string ExactLength(absl::Duration duration) { return config::DurationText(duration); }

// Open time has hours and no days: a day at a desk is shorter than 24 hours.
std::string OpenTime(absl::Duration duration) { return absl::FormatDuration(duration); }

// As the policy writes it; working days with what they come to for this clock.
std::string TargetOf(const sla::v1::ClockStatus& clock, const Looks& looks) {
  const std::string length = OpenTime(DurationIn(clock, "target"));
  if (clock.target_text().empty()) return clock.has_target() ? length : "-";
  if (!clock.has_working_days_end_at()) return clock.target_text();
  return absl::StrCat(clock.target_text(), " (", length, ", to ",
                      Cell(clock, "working_days_end_at", Form::kPlain, looks), ")");
}

// A clock as a sentence, its time piece by piece, and the sum of what was counted.
std::string ShowExplanation(const Message& reply, const Looks& looks) {
  const auto& explained = static_cast<const sla::v1::ExplainClockResponse&>(reply);
  const sla::v1::ClockStatus& clock = explained.clock();
  const auto cell = [&](const char* path) { return Cell(clock, path, Form::kPlain, looks); };
  std::string text = absl::StrCat(WordIn(clock, "metric"), ", cycle ", clock.cycle(), ": ",
                                  WordIn(clock, "phase"));
  if (const std::string verdict = WordIn(clock, "verdict"); !verdict.empty()) {
    absl::StrAppend(&text, ", ", verdict);
  }
  absl::StrAppend(&text, "\ntarget ", TargetOf(clock, looks), ", used ",
                  OpenTime(DurationIn(clock, "used")));
  if (clock.has_due_at()) absl::StrAppend(&text, ", due ", cell("due_at"));
  if (clock.has_ended_at()) absl::StrAppend(&text, ", ended ", cell("ended_at"));
  absl::StrAppend(&text, "\ncalendar ", clock.calendar().empty() ? "-" : clock.calendar(),
                  ", severity ", cell("severity"), ", policy ", cell("policy"), "\n");
  if (!clock.cancel_reason().empty()) {
    absl::StrAppend(&text, "cancelled: ", clock.cancel_reason(), "\n");
  }

  cli::Table table({{"FROM", cli::Align::kLeft, true},
                    {"TO", cli::Align::kLeft, true},
                    {"LENGTH", cli::Align::kRight, true},
                    {"COUNTED"},
                    {"WHY"},
                    {"RULE"},
                    {"EVENT"}});
  absl::Duration sum;
  for (const sla::v1::ClockSegment& segment : explained.segments()) {
    const absl::Duration length = InstantIn(segment, "to") - InstantIn(segment, "from");
    if (segment.counted()) sum += length;
    table.Add(
        {InstantText(InstantIn(segment, "from"), looks, true),
         InstantText(InstantIn(segment, "to"), looks, true), ExactLength(length),
         absl::StrCat(segment.counted() ? "yes" : "no", segment.expected() ? ", expected" : ""),
         segment.why(), segment.calendar_rule(), segment.cause_event_id()});
  }
  absl::StrAppend(&text, "\n", table.Text(looks.screen));
  const absl::Duration counted = DurationIn(explained, "counted");
  absl::StrAppend(&text, "\ncounted: ", ExactLength(counted));
  // Pages that are not shown, or a server that adds up wrongly: both are worth knowing.
  if (sum != counted) absl::StrAppend(&text, " (in the pieces shown: ", ExactLength(sum), ")");
  absl::StrAppend(&text, ", as of ", Cell(reply, "as_of", Form::kPlain, looks), "\n");
  return text;
}

std::string ShowReport(const Message& reply, const Looks& looks) {
  const auto& report = static_cast<const sla::v1::GetSlaReportResponse&>(reply);
  std::string text = absl::StrCat(cli::HumanCount(report.opened()), " opened, ",
                                  cli::HumanCount(report.resolved()), " resolved, ",
                                  cli::HumanCount(report.reopened()), " reopened, as of ",
                                  Cell(reply, "as_of", Form::kPlain, looks), "\n\n");
  cli::Table table({{"METRIC"},
                    {"POLICY", cli::Align::kRight},
                    {"SEVERITY"},
                    {"ACCOUNT"},
                    {"MONTH"},
                    {"MET", cli::Align::kRight, true},
                    {"MISSED", cli::Align::kRight, true},
                    {"KEPT", cli::Align::kRight, true},
                    {"RUNNING", cli::Align::kRight, true},
                    {"CANCELLED", cli::Align::kRight, true}});
  for (const sla::v1::AttainmentRow& row : report.rows()) {
    table.Add({WordIn(row, "metric"),
               row.policy_version() < 0 ? "" : absl::StrCat("v", row.policy_version()),
               WordIn(row, "severity"), row.account_id(), row.month(), cli::HumanCount(row.met()),
               cli::HumanCount(row.missed()), cli::HumanShare(row.met(), row.met() + row.missed()),
               cli::HumanCount(row.running()), cli::HumanCount(row.cancelled())});
  }
  absl::StrAppend(&text, table.Text(looks.screen), "\n",
                  Rows(reply, "spreads",
                       {{"METRIC", "metric"},
                        {"TICKETS", "tickets"},
                        {"ELAPSED P50", "elapsed_p50"},
                        {"P90", "elapsed_p90"},
                        {"P99", "elapsed_p99"},
                        {"BUSINESS P50", "business_p50"},
                        {"P90", "business_p90"},
                        {"P99", "business_p99"}},
                       looks));
  const sla::v1::ResolutionDrivers& drivers = report.drivers();
  const auto driver = [&](const char* field) {
    return cli::HumanDuration(DurationIn(drivers, field));
  };
  if (drivers.tickets() > 0) {
    absl::StrAppend(&text, "\nresolution of ", cli::HumanCount(drivers.tickets()), " tickets took ",
                    driver("total"), ": ", driver("waiting_for_customer"),
                    " waiting for the customer, ", driver("waiting_for_third_party"),
                    " for third parties, ", driver("queueing"), " queueing\n");
  }
  return text;
}

void SortByDue(Message* reply) {
  auto& list = static_cast<sla::v1::ListAtRiskResponse&>(*reply);
  std::stable_sort(list.mutable_clocks()->begin(), list.mutable_clocks()->end(),
                   [](const auto& a, const auto& b) {
                     return InstantIn(a.clock(), "due_at") < InstantIn(b.clock(), "due_at");
                   });
}

// sla_timer knows no subjects and no assignees: intake is asked for each ticket that is shown. What
// it does not know has empty places, and once it does not answer it is not asked again.
std::string TellAtRisk(Context& context, const Message&, const Message& reply) {
  constexpr char kGetTicket[] = "tandem.intake.v1.TicketService/GetTicket";
  const auto& list = static_cast<const sla::v1::ListAtRiskResponse&>(reply);
  if (list.clocks_size() == 0) return "nothing\n";
  cli::Table table({{"DUE", cli::Align::kLeft, true},
                    {"TICKET", cli::Align::kLeft, true},
                    {"METRIC"},
                    {"PHASE"},
                    {"SEVERITY", cli::Align::kLeft, true},
                    {"USED", cli::Align::kRight},
                    {"TARGET", cli::Align::kRight},
                    {"ASSIGNEE", cli::Align::kLeft, true},
                    {"QUEUE"},
                    {"ACCOUNT"},
                    {"SUBJECT"}});
  std::map<std::string, intake::v1::Ticket> tickets;
  bool answers = true;
  for (const sla::v1::ClockAtRisk& risk : list.clocks()) {
    const auto [known, is_new] = tickets.try_emplace(risk.ticket_id());
    if (is_new && answers) {
      intake::v1::GetTicketRequest question;
      question.set_ticket_id(risk.ticket_id());
      question.set_page_size(-1);  // none of its messages
      const auto answer = context.session->Call(kGetTicket, &question);
      answers = answer.ok() || absl::IsNotFound(answer.status());
      if (answer.ok()) {
        known->second = static_cast<const intake::v1::GetTicketResponse&>(**answer).ticket();
      }
    }
    const intake::v1::Ticket& ticket = known->second;
    const auto cell = [&](const char* path) {
      return Cell(risk, path, Form::kPlain, context.looks);
    };
    table.Add(
        {cell("clock.due_at"), risk.ticket_id(), cell("clock.metric"), cell("clock.phase"),
         cell("clock.severity"), cell("clock.used"),
         risk.clock().target_text().empty() ? cell("clock.target") : risk.clock().target_text(),
         ticket.assignee_id(), ticket.queue(), risk.account_id(),
         cli::Printable(ticket.subject())});
  }
  return table.Text(context.looks.screen);
}

}  // namespace

std::vector<Entry> SlaCommands() {
  std::vector<Entry> entries;
  const auto add = [&entries](Command command) { entries.push_back(EntryOf(std::move(command))); };

  add({.path = "sla get",
       .help = "Shows a ticket's clocks and the verdicts on them.",
       .method = Sla("GetTicketSla"),
       .arguments = {"ticket_id"}});
  add({.path = "sla explain",
       .help = "Shows a clock piece by piece: what was counted, and why.",
       .method = Sla("ExplainClock"),
       .arguments = {"ticket_id"},
       .flags = {{"metric", "", "RESOLUTION"}},
       .rows = "segments",
       .show = &ShowExplanation});
  add({.path = "sla at-risk",
       .help = "Lists clocks that are overdue or will soon be, in the order of their due instants, "
               "with the ticket's subject, queue and assignee.",
       .method = Sla("ListAtRisk"),
       .rows = "clocks",
       .tell = &TellAtRisk,
       .sort = &SortByDue});
  add({.path = "sla report",
       .help = "How well promises were kept for the tickets opened in a period.",
       .method = Sla("GetSlaReport"),
       .flags = {{"from", "", "-30d"}, {"to", "", "now"}},
       .show = &ShowReport});
  add({.path = "sla recompute",
       .help = "Shows the clocks as judged beside what today's policy would say.",
       .method = Sla("RecomputeTicket"),
       .arguments = {"ticket_id"}});
  add({.path = "sla verify",
       .help = "Compares stored clocks with a recomputation from their facts.",
       .method = Sla("VerifyClocks"),
       .rows = "drifts"});
  add({.path = "sla calendar get",
       .help = "Shows a calendar of the policy.",
       .method = Calendar("GetCalendar"),
       .arguments = {"name"}});
  add({.path = "sla calendar list",
       .help = "Lists the calendars of the policy.",
       .method = Calendar("ListCalendars"),
       .rows = "calendars",
       .columns = {{"CALENDAR", "name"},
                   {"ZONE", "zone"},
                   {"ALWAYS OPEN", "always_open"},
                   {"WEEKLY", "weekly", Form::kCount},
                   {"HOLIDAYS", "holidays", Form::kCount},
                   {"OVERRIDES", "overrides", Form::kCount},
                   {"VERSION", "version"}}});
  add({.path = "sla calendar add",
       .help = "When a budget of business time, counted from an instant, is used up.",
       .method = Calendar("AddBusinessTime"),
       .arguments = {"calendar.name", "from", "budget"}});
  add({.path = "sla calendar subtract",
       .help = "From when on a budget of business time has been used up at an instant.",
       .method = Calendar("SubtractBusinessTime"),
       .arguments = {"calendar.name", "to", "budget"}});
  add({.path = "sla calendar between",
       .help = "The business time between two instants.",
       .method = Calendar("BusinessTimeBetween"),
       .arguments = {"calendar.name", "from", "to"}});
  add({.path = "sla calendar next-opening",
       .help = "The first open instant at or after an instant.",
       .method = Calendar("NextOpening"),
       .arguments = {"calendar.name", "from"}});
  add({.path = "sla calendar intervals",
       .help = "The open time of a period, piece by piece.",
       .method = Calendar("ListIntervals"),
       .arguments = {"calendar.name", "from", "to"},
       .rows = "intervals",
       .columns = {{"FROM", "from"}, {"TO", "to"}, {"OPEN", "is_open"}, {"RULE", "rule"}}});
  return entries;
}

}  // namespace tandem::tandemctl
