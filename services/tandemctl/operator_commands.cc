#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/cli/human.h"
#include "common/cli/table.h"
#include "services/tandemctl/command.h"
#include "tandem/admin/v1/admin_service.pb.h"

namespace tandem::tandemctl {
namespace {

namespace v1 = admin::v1;
using google::protobuf::Message;

std::string Method(const char* name) { return std::string("tandem.admin.v1.AdminService/") + name; }

std::string ShowStatus(const v1::GetStatusResponse& status, const Looks& looks) {
  const absl::Duration age = looks.now - InstantIn(status, "started_at");
  std::string text = absl::StrCat(
      "tandem ", status.version(), ", started ", Cell(status, "started_at", Form::kPlain, looks),
      " (", cli::HumanDuration(std::max(age, absl::ZeroDuration())), " ago)\n\n");
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
  for (const v1::ServiceStatus& service : status.services()) {
    int64_t lag = 0;
    for (const v1::PartitionStatus& partition : service.partitions()) {
      lag += std::max<int64_t>(0, partition.end_offset() - partition.next_offset());
      if (partition.stopped().empty()) continue;
      absl::StrAppend(&notes, service.service(), ": partition ", partition.partition(),
                      " stopped at offset ", partition.next_offset(), ": ", partition.stopped(),
                      "\n");
    }
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
  entry.help = "Shows the services of a process: ready, behind, waiting, parked.";
  entry.flags = {"--ready"};
  entry.declare = [](config::OptionSet& options) -> Entry::Run {
    auto must_be_ready = std::make_shared<bool>(false);
    options.Add("ready", must_be_ready.get(), "Exit with 1 when a service is not ready.");
    return [must_be_ready](Context& context) {
      v1::GetStatusRequest request;
      auto reply = context.session->Call(Method("GetStatus"), &request);
      if (!reply.ok()) return Fail(context, reply.status());
      const auto& status = static_cast<const v1::GetStatusResponse&>(**reply);
      const int printed = Print(context, status, [&] { return ShowStatus(status, context.looks); });
      const bool is_ready =
          std::all_of(status.services().begin(), status.services().end(),
                      [](const auto& service) { return service.not_ready().empty(); });
      return printed != kOk ? printed : *must_be_ready && !is_ready ? kFailed : kOk;
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
