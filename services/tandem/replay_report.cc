#include "services/tandem/replay_report.h"

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/cli/human.h"
#include "common/cli/table.h"

namespace tandem::programs {
namespace {

namespace ty = type::v1;
using cli::Align;
using cli::HumanCount;
using cli::Table;

constexpr int kAccountsShown = 10;

// SEVERITY_URGENT → URGENT; the unspecified value → `none`.
template <typename E>
std::string Name(E value, const char* none) {
  if (value == 0) return none;
  const auto* type = google::protobuf::GetEnumDescriptor<E>();
  const auto* found = type->FindValueByNumber(value);
  if (found == nullptr) return absl::StrCat(static_cast<int>(value));
  // All values begin like the unspecified one.
  const std::string& zero = type->FindValueByNumber(0)->name();
  return found->name().substr(zero.size() - std::string_view("UNSPECIFIED").size());
}

std::string Hours(double hours) { return absl::StrFormat("%.0f", hours); }

class Page {
 public:
  explicit Page(const cli::Screen& screen) : screen_(screen) {}
  void Head(const std::string& title) { absl::StrAppend(&text_, "\n", title, "\n"); }
  void Line(const std::string& line) { absl::StrAppend(&text_, "  ", line, "\n"); }
  void Add(const Table& table) {
    if (table.size() > 0) absl::StrAppend(&text_, table.Text(screen_));
  }
  std::string text_;

 private:
  const cli::Screen& screen_;
};

void Tickets(const ReplayReport& report, Page& page) {
  page.Head("Tickets by severity and state");
  std::vector<ty::TicketState> states;
  std::map<ty::Severity, std::map<ty::TicketState, int64_t>> rows;
  int64_t follow_ups = 0;
  for (const TicketCount& count : report.tickets()) {
    rows[count.severity()][count.state()] += count.tickets();
    follow_ups += count.follow_ups();
    if (std::find(states.begin(), states.end(), count.state()) == states.end()) {
      states.push_back(count.state());
    }
  }
  std::sort(states.begin(), states.end());
  std::vector<cli::Column> columns = {{"SEVERITY", Align::kLeft, true}};
  for (const ty::TicketState state : states) {
    columns.push_back({Name(state, "?"), Align::kRight, true});
  }
  Table table(columns);
  for (const auto& [severity, by_state] : rows) {
    std::vector<std::string> cells = {Name(severity, "not classified")};
    for (const ty::TicketState state : states) {
      const auto found = by_state.find(state);
      cells.push_back(HumanCount(found == by_state.end() ? 0 : found->second));
    }
    table.Add(std::move(cells));
  }
  page.Add(table);
  page.Line(absl::StrCat("and ", HumanCount(follow_ups), " follow-ups of closed tickets"));
}

void Clocks(const ReplayReport& report, Page& page) {
  page.Head("Clocks by policy rule");
  Table table({{"METRIC", Align::kLeft, true},
               {"RULE"},
               {"SEVERITY", Align::kLeft, true},
               {"MET", Align::kRight, true},
               {"BREACHED", Align::kRight, true},
               {"RUNNING", Align::kRight, true},
               {"CANCELLED", Align::kRight, true},
               {"MET %", Align::kRight, true}});
  bool has_proxy = false;
  for (const ClockCount& clock : report.clocks()) {
    has_proxy |= clock.is_proxy();
    table.Add({absl::StrCat(Name(clock.metric(), "?"), clock.is_proxy() ? " *" : ""), clock.rule(),
               Name(clock.severity(), "not classified"), HumanCount(clock.met()),
               HumanCount(clock.breached()), HumanCount(clock.running()),
               HumanCount(clock.cancelled()),
               cli::HumanShare(clock.met(), clock.met() + clock.breached())});
  }
  page.Add(table);
  if (has_proxy) {
    page.Line(
        "* a proxy: the log has no messages. Its first response is a synthetic one, at the first "
        "row that");
    page.Line("  names an agent or leaves New.");
  }
  for (const WarningCount& warning : report.warnings()) {
    page.Line(absl::StrCat(HumanCount(warning.count()), " warnings of ",
                           Name(warning.metric(), "?"), " at ", warning.threshold()));
  }
}

void Verdicts(const VerdictMatrix& matrix, Page& page) {
  page.Head("RESOLUTION beside the log's own verdict (incidents)");
  Table table({{"", Align::kLeft, true},
               {"MET HERE", Align::kRight, true},
               {"BREACHED HERE", Align::kRight, true}});
  table.Add({"met in the log", HumanCount(matrix.met_met()), HumanCount(matrix.met_breached())});
  table.Add(
      {"missed in the log", HumanCount(matrix.missed_met()), HumanCount(matrix.missed_breached())});
  page.Add(table);
  page.Line(absl::StrFormat("agreement %.2f %%; %s without a verdict, %s with a follow-up apart",
                            matrix.agreement_percent(), HumanCount(matrix.no_verdict()),
                            HumanCount(matrix.with_follow_up())));
}

void Escalations(const EscalationCounts& escalations, Page& page) {
  page.Head("Escalations");
  page.Line(absl::StrCat(HumanCount(escalations.raised()), " raised, ",
                         HumanCount(escalations.acknowledged()), " acknowledgements, ",
                         HumanCount(escalations.exhausted()), " exhausted, ",
                         HumanCount(escalations.closed()), " closed with their ticket"));
  for (const NamedCount& trigger : escalations.by_trigger()) {
    page.Line(absl::StrCat("started by ", trigger.name(), ": ", HumanCount(trigger.count())));
  }
  for (const LevelCount& level : escalations.by_level()) {
    page.Line(absl::StrCat("level ", level.level(), " rung: ", HumanCount(level.rings())));
  }
}

void Surveys(const SurveyCounts& surveys, Page& page) {
  page.Head("Surveys (nobody answers them in a replay)");
  page.Line(absl::StrCat(HumanCount(surveys.due()), " due, ", HumanCount(surveys.invited()),
                         " invited, ", HumanCount(surveys.reminded()), " reminded, ",
                         HumanCount(surveys.expired()), " expired, ",
                         HumanCount(surveys.withdrawn()), " withdrawn"));
  for (const NamedCount& reason : surveys.suppressed()) {
    page.Line(absl::StrCat("suppressed, ", reason.name(), ": ", HumanCount(reason.count())));
  }
}

void Health(const ReplayReport& report, Page& page) {
  page.Head("Accounts by health at the end (support alone)");
  for (const BandAccounts& band : report.health()) {
    page.Line(absl::StrCat(Name(band.band(), "no health"), ": ", HumanCount(band.accounts())));
  }
}

void Outreach(const HeldOutreach& outreach, Page& page) {
  page.Head(absl::StrFormat("Outreach held, hours out of %s an account",
                            Hours(outreach.hours_replayed())));
  Table topics({{"TOPIC", Align::kLeft, true},
                {"ACCOUNT HOURS", Align::kRight, true},
                {"ACCOUNTS", Align::kRight, true},
                {"CONTACT HOURS", Align::kRight, true},
                {"CONTACTS", Align::kRight, true}});
  for (const TopicHours& topic : outreach.topics()) {
    topics.Add({Name(topic.topic(), "?"), Hours(topic.account_hours()),
                HumanCount(topic.accounts()), Hours(topic.contact_hours()),
                HumanCount(topic.contacts())});
  }
  page.Add(topics);
  if (outreach.accounts_size() == 0) return;

  std::vector<cli::Column> columns = {{"LONGEST HELD", Align::kLeft, true}};
  for (const TopicHours& topic : outreach.topics()) {
    columns.push_back({Name(topic.topic(), "?"), Align::kRight});
  }
  Table accounts(columns);
  for (int i = 0; i < std::min(kAccountsShown, outreach.accounts_size()); ++i) {
    const AccountHours& account = outreach.accounts(i);
    std::vector<std::string> cells = {account.account_id()};
    for (const TopicHours& topic : outreach.topics()) {
      const auto found =
          std::find_if(account.topics().begin(), account.topics().end(),
                       [&](const TopicHours& own) { return own.topic() == topic.topic(); });
      cells.push_back(found == account.topics().end() ? "-" : Hours(found->account_hours()));
    }
    accounts.Add(std::move(cells));
  }
  page.Add(accounts);
}

// Every number of `message` that is not 0, its name as words.
void Numbers(const google::protobuf::Message& message, Page& page) {
  const auto* type = message.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const auto* field = type->field(i);
    if (field->is_repeated() ||
        field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_INT32) {
      continue;
    }
    const int32_t number = message.GetReflection()->GetInt32(message, field);
    if (number == 0) continue;
    page.Line(absl::StrFormat("%9s  %s", HumanCount(number),
                              absl::StrReplaceAll(field->name(), {{"_", " "}})));
  }
}

void Traps(const LogTraps& traps, Page& page) {
  page.Head("What is odd about the log (incidents unless said otherwise)");
  Numbers(traps, page);
  std::string missing;
  for (const MissingCount& column : traps.missing()) {
    absl::StrAppend(&missing, missing.empty() ? "" : ", ", column.column(), " ",
                    HumanCount(column.rows()));
  }
  if (!missing.empty()) page.Line(absl::StrCat("rows without a value: ", missing));
}

void Actions(const ReplayActions& actions, Page& page) {
  page.Head("What was done to replay it");
  Numbers(actions, page);
  for (const RefusalCount& refusal : actions.refusals()) {
    page.Line(absl::StrCat("refused: ", refusal.method(), " ", refusal.reason(), ": ",
                           HumanCount(refusal.count()), ", first in incident ",
                           refusal.first_incident()));
  }
}

void Events(const ReplayReport& report, Page& page) {
  page.Head("Events published");
  Table table({{"EVENT"}, {"SERVICE"}, {"COUNT", Align::kRight, true}});
  for (const EventCount& event : report.events()) {
    table.Add({event.type(), event.source(), HumanCount(event.count())});
  }
  page.Add(table);
  page.Line(absl::StrCat(HumanCount(report.work().events()), " events, ",
                         HumanCount(report.work().timers_fired()), " timers fired, ",
                         HumanCount(report.work().decisions()), " decisions, ",
                         HumanCount(report.work().dead_letters()), " dead letters"));
  Table services({{"SERVICE", Align::kLeft, true},
                  {"DECISIONS", Align::kRight, true},
                  {"COMMITS", Align::kRight, true},
                  {"LINES WRITTEN", Align::kRight, true},
                  {"TIMERS FIRED", Align::kRight, true}});
  for (const ServiceWork& own : report.work().services()) {
    services.Add({own.service(), HumanCount(own.decisions()), HumanCount(own.commits()),
                  HumanCount(own.lines()), HumanCount(own.timers_fired())});
  }
  page.Add(services);
}

}  // namespace

std::string PaceText(const ReplayReport& report, const ReplayPace& pace) {
  const double seconds = std::max(absl::ToDoubleSeconds(pace.took), 1e-3);
  const auto rate = [&](int32_t count) {
    return absl::StrCat(HumanCount(static_cast<int64_t>(count / seconds)), "/s");
  };
  std::string text = absl::StrCat(
      HumanCount(report.traps().incidents()), " incidents, ", HumanCount(report.traps().rows()),
      " rows in ", absl::StrFormat("%.1f s", seconds), ": ", rate(report.traps().incidents()),
      " incidents, ", rate(report.work().decisions()), " decisions, ", rate(report.work().events()),
      " events");
  if (pace.peak_memory_bytes > 0) {
    absl::StrAppend(&text, "; ", cli::HumanBytes(pace.peak_memory_bytes), " of memory at most");
  }
  return text;
}

std::string ReportText(const ReplayReport& report, const ReplayPace& pace,
                       const cli::Screen& screen) {
  Page page(screen);
  absl::StrAppend(&page.text_, "Replay of ", HumanCount(report.traps().incidents()), " incidents, ",
                  report.first_instant(), " to ", report.last_instant(), "\n");
  if (!report.source().title().empty()) {
    page.Line(absl::StrCat("Data: ", report.source().title(), ". ", report.source().authors(), ". ",
                           report.source().url()));
    page.Line(absl::StrCat("Licence: ", report.source().licence()));
  }
  Tickets(report, page);
  Clocks(report, page);
  Verdicts(report.verdicts(), page);
  Escalations(report.escalations(), page);
  Surveys(report.surveys(), page);
  Health(report, page);
  Outreach(report.outreach(), page);
  Traps(report.traps(), page);
  Actions(report.actions(), page);
  Events(report, page);
  page.Head(PaceText(report, pace));
  return std::move(page.text_);
}

std::string LostText(const ReplayReport& report) {
  std::vector<std::string> lost;
  int64_t refused = 0;
  for (const RefusalCount& refusal : report.actions().refusals()) refused += refusal.count();
  if (report.actions().has_lost_rows()) {
    lost.push_back(absl::StrCat(report.actions().lost_rows(), " rows of ",
                                report.actions().lost_incidents(),
                                " incidents belong to no account"));
  }
  if (refused > 0) lost.push_back(absl::StrCat(refused, " commands were refused"));
  if (report.work().dead_letters() > 0) {
    lost.push_back(absl::StrCat(report.work().dead_letters(), " events are dead letters"));
  }
  return lost.empty() ? "" : absl::StrCat(absl::StrJoin(lost, ", "), "; the report names them");
}

}  // namespace tandem::programs
