#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/cli/human.h"
#include "common/cli/json.h"
#include "common/cli/table.h"
#include "common/cli/text_width.h"
#include "services/tandemctl/command.h"
#include "tandem/admin/v1/admin_service.pb.h"

namespace tandem::tandemctl {
namespace {

namespace v1 = admin::v1;
using google::protobuf::Message;

std::string AdminMethod(const char* name) {
  return std::string("tandem.admin.v1.AdminService/") + name;
}

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
                    {"HEALTHY"},
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
    for (const std::string& reason : service.not_ready()) {
      absl::StrAppend(&notes, service.service(), ": not ready: ", reason, "\n");
    }
    // A partition that stopped is among the reasons.
    for (const std::string& reason : service.unhealthy()) {
      absl::StrAppend(&notes, service.service(), ": not healthy: ", reason, "\n");
    }
    const bool is_ready = service.not_ready().empty();
    table.Add({service.service(), is_ready ? "yes" : "NO",
               is_ready && service.unhealthy().empty() ? "yes" : "NO", cli::HumanCount(lag),
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
  entry.help = "Shows the services of the processes: ready, healthy, behind, waiting, parked.";
  entry.flags = {"--ready"};
  entry.declare = [](config::OptionSet& options) -> Entry::Run {
    auto must_be_ready = std::make_shared<bool>(false);
    options.Add("ready", must_be_ready.get(),
                "Exit with 1 when a service is not ready to take calls.");
    return [must_be_ready](Context& context) {
      v1::GetStatusRequest request;
      std::vector<Answer> answers;
      int code = kOk;
      for (const Place& place : context.session->places()) {
        answers.push_back({place.address, context.session->CallAt(
                                              place.address, AdminMethod("GetStatus"), &request)});
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

// The parked subjects of a service, in the order of their oldest letters. A timer that could not be
// decided has a letter and no subject that could be retried.
absl::StatusOr<std::vector<std::string>> ParkedSubjects(Session& session,
                                                        const std::string& service) {
  v1::ListDeadLettersRequest request;
  request.set_service(service);
  auto reply = session.CallPages(AdminMethod("ListDeadLetters"), &request, "dead_letters", 0);
  if (!reply.ok()) return reply.status();
  std::vector<std::string> subjects;
  for (const v1::DeadLetter& letter :
       static_cast<const v1::ListDeadLettersResponse&>(**reply).dead_letters()) {
    const bool is_known =
        std::find(subjects.begin(), subjects.end(), letter.subject()) != subjects.end();
    if (!is_known && !absl::StartsWith(letter.subject(), "timer:")) {
      subjects.push_back(letter.subject());
    }
  }
  return subjects;
}

struct RetryWords {
  std::vector<std::string> words;
  std::string subject;
  bool all = false;
};

int RunRetry(const RetryWords& given, Context& context) {
  const std::string service = given.words.front();
  const std::string subject =
      given.words.size() == 2 && given.subject.empty() ? given.words.back() : given.subject;
  const bool is_once =
      given.words.size() <= 2 && (given.words.size() == 1 || given.subject.empty());
  if (!is_once || subject.empty() == !given.all) {
    return UsageError(context, "expected SERVICE and either --subject SUBJECT or --all");
  }
  std::vector<std::string> subjects = {subject};
  if (given.all) {
    auto parked = ParkedSubjects(*context.session, service);
    if (!parked.ok()) return Fail(context, parked.status());
    subjects = *std::move(parked);
  }
  v1::RetryDeadLettersResponse total;
  cli::Table table({{"SUBJECT", cli::Align::kLeft, true},
                    {"APPLIED", cli::Align::kRight, true},
                    {"STILL PARKED", cli::Align::kRight, true},
                    {"BECAUSE"}});
  for (const std::string& one : subjects) {
    v1::RetryDeadLettersRequest request;
    request.set_service(service);
    request.set_subject(one);
    const auto reply = context.session->Call(AdminMethod("RetryDeadLetters"), &request);
    // Somebody else may have retried it meanwhile.
    if (given.all && absl::IsNotFound(reply.status())) continue;
    if (!reply.ok()) return Fail(context, reply.status());
    const auto& result = static_cast<const v1::RetryDeadLettersResponse&>(**reply);
    total.set_applied(total.applied() + result.applied());
    total.set_remaining(total.remaining() + result.remaining());
    if (total.reason().empty()) total.set_reason(result.reason());
    table.Add({one, cli::HumanCount(result.applied()), cli::HumanCount(result.remaining()),
               cli::Printable(result.reason())});
  }
  const int printed = Print(context, total, [&] {
    return subjects.empty() ? absl::StrCat("no events of ", service, " are parked\n")
                            : table.Text(context.looks.screen);
  });
  if (printed != kOk) return printed;
  return total.remaining() > 0 ? kFailed : kOk;
}

Entry RetryEntry() {
  Entry entry;
  entry.path = "dead-letter retry";
  entry.help =
      "Applies the parked events of a subject again, in order. Exits with 1 while events of "
      "it stay parked.";
  entry.flags = {"--subject", "--all"};
  entry.declare = [](config::OptionSet& options) -> Entry::Run {
    auto given = std::make_shared<RetryWords>();
    options.AddArguments("service", &given->words,
                         "The service, and the subject unless --subject names it.");
    options.Add("subject", &given->subject, "Retry the events of this subject.");
    options.Add("all", &given->all, "Retry every parked subject of the service.");
    return [given](Context& context) {
      if (given->words.empty()) {
        return UsageError(context, "expected SERVICE and either --subject SUBJECT or --all");
      }
      return RunRetry(*given, context);
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
       .method = AdminMethod("ListDeadLetters"),
       .rows = "dead_letters",
       .columns = {{"ID", "dead_letter_id"},
                   {"SERVICE", "service"},
                   {"SUBJECT", "subject"},
                   {"KEY", "key"},
                   {"TYPE", "event_type"},
                   {"EVENT", "event_id"},
                   {"PARKED", "parked_at"},
                   {"REASON", "reason"}}});
  entries.push_back(RetryEntry());
  add({.path = "dead-letter drop",
       .help = "Discards one parked event for good.",
       .method = AdminMethod("DropDeadLetter"),
       .arguments = {"service", "dead_letter_id"}});
  add({.path = "timer list",
       .help = "Lists a service's pending timers, earliest first.",
       .method = AdminMethod("ListTimers"),
       .arguments = {"service"},
       .rows = "timers",
       .columns = {{"DUE", "due_at"}, {"KIND", "kind"}, {"KEY", "key"}, {"TIMER", "timer_id"}}});
  add({.path = "outbox list",
       .help = "Lists a service's events that wait to be published, oldest first.",
       .method = AdminMethod("ListOutbox"),
       .arguments = {"service"},
       .rows = "entries",
       .columns = {{"#", "outbox_id"},
                   {"TYPE", "event_type"},
                   {"SUBJECT", "subject"},
                   {"EVENT", "event_id"}}});
  add({.path = "drain",
       .help = "Lets the process finish what it took, and end.",
       .method = AdminMethod("Drain")});
  return entries;
}

}  // namespace tandem::tandemctl
