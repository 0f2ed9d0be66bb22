#include <algorithm>
#include <deque>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/cli/json.h"
#include "common/cli/text_width.h"
#include "services/tandemctl/command.h"
#include "services/tandemctl/event_line.h"
#include "tandem/admin/v1/admin_service.pb.h"

namespace tandem::tandemctl {
namespace {

namespace v1 = admin::v1;
using google::protobuf::Message;

constexpr char kReadEvents[] = "tandem.admin.v1.AdminService/ReadEvents";
constexpr char kGetStatus[] = "tandem.admin.v1.AdminService/GetStatus";
constexpr int kPage = 500;

struct Tail {
  bool from_beginning = false;
  bool follow = false;
  std::string key;
  std::vector<std::string> types;
  int64_t last = 20;
  int64_t limit = 0;
};

bool IsWanted(const Tail& tail, const std::string& type) {
  if (tail.types.empty()) return true;
  return std::any_of(tail.types.begin(), tail.types.end(), [&](const std::string& wanted) {
    return wanted == type || absl::EndsWith(type, "." + wanted);
  });
}

// Where the last `count` events of each partition begin.
absl::Status StartAtLast(Context& context, int64_t count, v1::ReadEventsRequest* request) {
  v1::GetStatusRequest ask;
  auto reply = context.session->Call(kGetStatus, &ask);
  if (!reply.ok()) return reply.status();
  for (const auto& service : static_cast<const v1::GetStatusResponse&>(**reply).services()) {
    for (const auto& partition : service.partitions()) {
      (*request->mutable_offsets())[partition.partition()] =
          std::max<int64_t>(0, partition.end_offset() - count);
    }
  }
  // A process without services still has a log.
  if (request->offsets().empty()) request->set_from_beginning(true);
  return absl::OkStatus();
}

// "ticket_id=tkt_1 from_state=OPEN …": what is set, without the instant, which stands before it.
void Summarize(const Message& message, const std::string& prefix, const Looks& looks,
               std::string* text) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const auto* field : fields) {
    if (field->name() == "occurred_at" && prefix.empty()) continue;
    if (field->message_type() != nullptr && !field->is_repeated() &&
        !IsScalarMessage(*field->message_type())) {
      Summarize(message.GetReflection()->GetMessage(message, field),
                absl::StrCat(prefix, field->name(), "."), looks, text);
      continue;
    }
    absl::StrAppend(text, text->empty() ? "" : " ", prefix, field->name(), "=",
                    Cell(message, field->name(), Form::kPlain, looks));
  }
}

int Run(const Tail& tail, Context& context) {
  v1::ReadEventsRequest request;
  request.set_key(tail.key);
  request.set_page_size(kPage);
  // What stands in the log already is shown first: all of it, or its last events. With a filter
  // they may stand anywhere.
  const bool is_filtered = !tail.key.empty() || !tail.types.empty();
  const bool only_last = !tail.from_beginning;
  if (!only_last || is_filtered) {
    request.set_from_beginning(true);
  } else if (absl::Status start = StartAtLast(context, tail.last, &request); !start.ok()) {
    return Fail(context, start);
  }

  int64_t shown = 0;
  const auto show = [&](const v1::BusEvent& event) {
    *context.looks.screen.out << (context.json ? EventJson(event)
                                               : EventLine(event, context.looks));
    return ++shown == tail.limit;
  };
  std::deque<v1::BusEvent> kept;  // the last ones so far, until the end of the log is reached
  bool is_at_end = false;
  for (;;) {
    request.set_wait_ms(0);
    if (is_at_end) {
      // Less than the call may take, so that the answer comes in time.
      const absl::Duration wait = std::min(context.timeout / 2, absl::Seconds(10));
      request.set_wait_ms(static_cast<int32_t>(absl::ToInt64Milliseconds(wait)));
    }
    auto reply = context.session->Call(kReadEvents, &request);
    if (!reply.ok()) return Fail(context, reply.status());
    const auto& read = static_cast<const v1::ReadEventsResponse&>(**reply);
    for (const v1::BusEvent& event : read.events()) {
      if (!IsWanted(tail, event.type())) continue;
      if (only_last && !is_at_end) {
        kept.push_back(event);
      } else if (show(event)) {
        return kOk;
      }
    }
    // Partitions are read one after another: the last of all are the last by time.
    if (only_last && !is_at_end) {
      std::stable_sort(kept.begin(), kept.end(), [](const auto& a, const auto& b) {
        return std::pair(a.time().seconds(), a.time().nanos()) <
               std::pair(b.time().seconds(), b.time().nanos());
      });
      while (static_cast<int64_t>(kept.size()) > tail.last) kept.pop_front();
    }
    *request.mutable_offsets() = read.next_offsets();
    if (!is_at_end && read.events_size() == 0) {
      is_at_end = true;
      for (const v1::BusEvent& event : kept) {
        if (show(event)) return kOk;
      }
      kept.clear();
    }
    context.looks.screen.out->flush();
    if (!*context.looks.screen.out) return kFailed;  // whoever read it has gone
    if (is_at_end && !tail.follow) return kOk;
  }
}

}  // namespace

const Message* PrototypeOfEvent(const std::string& type) {
  const auto* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(type);
  if (descriptor == nullptr) return nullptr;
  return google::protobuf::MessageFactory::generated_factory()->GetPrototype(descriptor);
}

std::string EventJson(const v1::BusEvent& event) {
  v1::BusEvent envelope = event;
  envelope.clear_body();
  const Message* prototype = PrototypeOfEvent(event.type());
  const std::unique_ptr<Message> body(prototype == nullptr ? nullptr : prototype->New());
  if (body != nullptr && body->ParseFromString(event.body())) {
    const auto outer = cli::ToJson(envelope, cli::JsonLayout::kOneLine);
    const auto inner = cli::ToJson(*body, cli::JsonLayout::kOneLine);
    // The empty place of the body; inside a text it would have other quotes.
    constexpr absl::string_view kPlace = "\"body\":\"\"";
    const size_t at = outer.ok() ? outer->find(kPlace.data()) : std::string::npos;
    if (inner.ok() && at != std::string::npos) {
      return absl::StrCat(outer->substr(0, at), "\"body\":", absl::StripSuffix(*inner, "\n"),
                          outer->substr(at + kPlace.size()));
    }
  }
  // A type of a newer version: its bytes are shown as they are.
  const auto raw = cli::ToJson(event, cli::JsonLayout::kOneLine);
  return raw.ok() ? *raw : "";
}

std::string EventLine(const v1::BusEvent& event, const Looks& looks) {
  const size_t dot = event.type().rfind('.');
  std::string name = dot == std::string::npos ? event.type() : event.type().substr(dot + 1);
  name = cli::Printable(name);
  // Wide enough for all but a few names: lines that come one by one cannot be measured together.
  constexpr size_t kNameWidth = 24;
  if (name.size() < kNameWidth) name.resize(kNameWidth, ' ');
  const Message* prototype = PrototypeOfEvent(event.type());
  const std::unique_ptr<Message> body(prototype == nullptr ? nullptr : prototype->New());
  std::string text;
  if (body == nullptr || !body->ParseFromString(event.body())) {
    text = absl::StrCat("(", event.body().size(), " bytes of an unknown type)");
  } else {
    Summarize(*body, "", looks, &text);
  }
  std::string line = absl::StrCat(Cell(event, "time", Form::kPlain, looks), "  ", name, "  ",
                                  cli::Printable(event.key()), "  ", cli::Printable(text));
  if (looks.screen.is_terminal) {
    line = cli::CutToWidth(line, static_cast<size_t>(looks.screen.columns));
  }
  return line + "\n";
}

std::vector<Entry> EventCommands() {
  Entry entry;
  entry.path = "event tail";
  entry.help = "Shows the last events of the bus, bodies decoded; one JSON object a line.";
  entry.flags = {"--from-beginning", "--follow", "--key", "--type", "--last", "--limit"};
  entry.declare = [](config::OptionSet& options) -> Entry::Run {
    auto tail = std::make_shared<Tail>();
    options.Add("from-beginning", &tail->from_beginning, "Begin with the first event of the log.");
    options.Add("follow", &tail->follow, "Go on with what comes, until Ctrl-C.");
    options.Add("key", &tail->key, "Only events of this bus key.");
    options.AddTexts("type", &tail->types,
                     "Only events of this type, such as TicketOpened; may be given several times.");
    options.Add("last", &tail->last, "Past events to begin with.", {0, 100'000});
    options.Add("limit", &tail->limit, "End after so many events; 0 = no limit.");
    return [tail](Context& context) { return Run(*tail, context); };
  };
  return {entry};
}

}  // namespace tandem::tandemctl
