#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/cli/human.h"
#include "common/cli/json.h"
#include "common/cli/table.h"
#include "services/tandemctl/command.h"
#include "tandem/admin/v1/admin_service.pb.h"

namespace tandem::tandemctl {
namespace {

namespace v1 = admin::v1;
using google::protobuf::Message;

std::string Method(const char* name) { return std::string("tandem.admin.v1.AdminService/") + name; }

// What one process says of itself, or why it says nothing.
struct Answer {
  std::string address;
  absl::StatusOr<MessageOwner> reply;

  const v1::GetStatusResponse& status() const {
    return static_cast<const v1::GetStatusResponse&>(**reply);
  }
  bool is_ready() const {
    return reply.ok() &&
           std::all_of(status().services().begin(), status().services().end(),
                       [](const auto& service) { return service.not_ready().empty(); });
  }
};

// Several of them as one object; each status as it would be alone.
std::string StatusJson(const std::vector<Answer>& answers) {
  std::string text = "{\n  \"processes\": [";
  for (const Answer& answer : answers) {
    absl::StrAppend(&text, &answer == &answers.front() ? "" : ",", "\n    {\"address\": \"",
                    answer.address, "\", ");
    if (answer.reply.ok()) {
      const auto json = cli::ToJson(answer.status(), cli::JsonLayout::kOneLine);
      absl::StrAppend(&text, "\"status\": ",
                      json.ok() ? absl::StripSuffix(*json, "\n") : absl::string_view("null"), "}");
    } else {
      // The words are the messages'; here its name is enough, and needs no quoting.
      absl::StrAppend(&text, "\"error\": \"",
                      absl::StatusCodeToString(answer.reply.status().code()), "\"}");
    }
  }
  return text + "\n  ]\n}\n";
}

std::string ShowStatus(const std::vector<Answer>& answers, const Looks& looks) {
  std::string text;
  for (const Answer& answer : answers) {
    if (!answer.reply.ok()) continue;
    const absl::Duration age = looks.now - InstantIn(answer.status(), "started_at");
    absl::StrAppend(&text, "tandem ", answer.status().version(),
                    answers.size() == 1 ? "" : absl::StrCat(" at ", answer.address), ", started ",
                    Cell(answer.status(), "started_at", Form::kPlain, looks), " (",
                    cli::HumanDuration(std::max(age, absl::ZeroDuration())), " ago)\n");
  }
  text += "\n";
  cli::Table table({{"SERVICE", cli::Align::kLeft, true},
                    {"READY"},
                    {"LAG", cli::Align::kRight, true},
                    {"OUTBOX", cli::Align::kRight, true},
                    {"OLDEST", cli::Align::kRight, true},
                    {"TIMERS", cli::Align::kRight, true},
                    {"OVERDUE", cli::Align::kRight, true},
                    {"DEAD LETTERS", cli::Align::kRight, true},
                    {"LANE", cli::Align::kRight, true}});
  std::string notes;
  std::vector<const v1::ServiceStatus*> services;
  for (const Answer& answer : answers) {
    if (!answer.reply.ok()) continue;
    for (const v1::ServiceStatus& service : answer.status().services()) {
      services.push_back(&service);
    }
  }
  for (const v1::ServiceStatus* one : services) {
    const v1::ServiceStatus& service = *one;
    int64_t lag = 0;
    for (const v1::PartitionStatus& partition : service.partitions()) {
      lag += std::max<int64_t>(0, partition.end_offset() - partition.next_offset());
    }
    // A partition that stopped is among the reasons.
    for (const std::string& reason : service.not_ready()) {
      absl::StrAppend(&notes, service.service(), ": not ready: ", reason, "\n");
    }
    table.Add({service.service(), service.not_ready().empty() ? "yes" : "NO", cli::HumanCount(lag),
               cli::HumanCount(service.outbox_events()),
               service.outbox_events() == 0
                   ? ""
                   : cli::HumanDuration(absl::Microseconds(service.outbox_age_us())),
               cli::HumanCount(service.timers()), cli::HumanCount(service.timers_overdue()),
               cli::HumanCount(service.dead_letters()), cli::HumanCount(service.lane_depth())});
  }
  text += table.Text(looks.screen);
  return notes.empty() ? text : absl::StrCat(text, "\n", notes);
}

Entry Status() {
  Entry entry;
  entry.path = "status";
  entry.help = "Shows the services of the processes: ready, behind, waiting, parked.";
  entry.flags = {"--ready"};
  entry.declare = [](config::OptionSet& options) -> Entry::Run {
    auto must_be_ready = std::make_shared<bool>(false);
    options.Add("ready", must_be_ready.get(), "Exit with 1 when a service is not ready.");
    return [must_be_ready](Context& context) {
      v1::GetStatusRequest request;
      std::vector<Answer> answers;
      int code = kOk;
      for (const Place& place : context.session->places()) {
        answers.push_back(
            {place.address, context.session->CallAt(place.address, Method("GetStatus"), &request)});
        const Answer& answer = answers.back();
        // One that says nothing does not keep the others from being shown.
        if (!answer.reply.ok()) code = Fail(context, answer.reply.status());
        if (*must_be_ready && !answer.is_ready()) code = kFailed;
      }
      const bool says_something = std::any_of(
          answers.begin(), answers.end(), [](const Answer& answer) { return answer.reply.ok(); });
      if (context.json && answers.size() > 1) {
        *context.looks.screen.out << StatusJson(answers);
      } else if (says_something) {
        const int printed =
            Print(context,
                  answers.front().reply.ok() ? answers.front().status() : v1::GetStatusResponse(),
                  [&] { return ShowStatus(answers, context.looks); });
        if (printed != kOk) return printed;
      }
      return code;
    };
  };
  return entry;
}

}  // namespace

std::vector<Entry> OperatorCommands() {
  std::vector<Entry> entries;
  const auto add = [&entries](Command command) { entries.push_back(EntryOf(std::move(command))); };

  entries.push_back(Status());
  add({.path = "dead-letter list",
       .help = "Lists parked events, oldest first.",
       .method = Method("ListDeadLetters"),
       .rows = "dead_letters",
       .columns = {{"ID", "dead_letter_id"},
                   {"SERVICE", "service"},
                   {"SUBJECT", "subject"},
                   {"TYPE", "event_type"},
                   {"EVENT", "event_id"},
                   {"PARKED", "parked_at"},
                   {"REASON", "reason"}}});
  add({.path = "dead-letter retry",
       .help = "Applies the parked events of a subject again, in order.",
       .method = Method("RetryDeadLetters"),
       .arguments = {"service", "subject"}});
  add({.path = "dead-letter drop",
       .help = "Discards one parked event for good.",
       .method = Method("DropDeadLetter"),
       .arguments = {"service", "dead_letter_id"}});
  add({.path = "timer list",
       .help = "Lists a service's pending timers, earliest first.",
       .method = Method("ListTimers"),
       .arguments = {"service"},
       .rows = "timers",
       .columns = {{"DUE", "due_at"}, {"KIND", "kind"}, {"KEY", "key"}, {"TIMER", "timer_id"}}});
  add({.path = "outbox list",
       .help = "Lists a service's events that wait to be published, oldest first.",
       .method = Method("ListOutbox"),
       .arguments = {"service"},
       .rows = "entries",
       .columns = {{"#", "outbox_id"},
                   {"TYPE", "event_type"},
                   {"SUBJECT", "subject"},
                   {"EVENT", "event_id"}}});
  add({.path = "drain",
       .help = "Lets the process finish what it took, and end.",
       .method = Method("Drain")});
  return entries;
}

}  // namespace tandem::tandemctl
