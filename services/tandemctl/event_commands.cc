#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "common/cli/json.h"
#include "common/cli/text_width.h"
#include "common/config/nearest_name.h"
#include "common/kafka/kafka_flags.h"
#include "common/kafka/kafka_log_reader.h"
#include "common/runtime/event_page.h"
#include "services/tandemctl/command.h"
#include "services/tandemctl/event_line.h"
#include "services/tandemctl/linked_protos.h"
#include "tandem/admin/v1/admin_service.pb.h"

namespace tandem::tandemctl {
namespace {

namespace v1 = admin::v1;
using google::protobuf::Message;

constexpr char kReadEvents[] = "tandem.admin.v1.AdminService/ReadEvents";
constexpr int kPage = 500;
// Nobody rings when a topic grows: a few looks a second cost its brokers nothing.
constexpr absl::Duration kTailLooksAgain = absl::Milliseconds(300);

struct Tail {
  bool from_beginning = false;
  bool follow = false;
  std::string key;
  std::vector<std::string> types;
  int64_t last = 20;
  int64_t limit = 0;
  std::string from;    // "0=12,3=40"
  std::string resume;  // a file that holds such a text
  // Of the log itself; empty = a process is asked.
  std::string bus;
  std::string topic = "tandem.lifecycle.v1";
  std::vector<std::string> kafka_properties, kafka_secrets;
};

std::vector<std::string> KnownEvents() {
  std::vector<std::string> names;
  for (const google::protobuf::FileDescriptor* file : LinkedFiles()) {
    if (file->package() != "tandem.events.v1") continue;
    for (int i = 0; i < file->message_type_count(); ++i) {
      names.push_back(file->message_type(i)->name());
    }
  }
  return names;
}

bool IsWanted(const Tail& tail, const std::string& type) {
  if (tail.types.empty()) return true;
  return std::any_of(tail.types.begin(), tail.types.end(), [&](const std::string& wanted) {
    return wanted == type || absl::EndsWith(type, "." + wanted);
  });
}

// Where events are read from: a page of them, as ReadEvents answers.
using Source = std::function<absl::StatusOr<v1::ReadEventsResponse>(v1::ReadEventsRequest&)>;

Source ProcessSource(Context& context) {
  return [&context](v1::ReadEventsRequest& request) -> absl::StatusOr<v1::ReadEventsResponse> {
    auto reply = context.session->Call(kReadEvents, &request);
    if (!reply.ok()) return reply.status();
    return std::move(static_cast<v1::ReadEventsResponse&>(**reply));
  };
}

// What librdkafka said last of its own accord: the reason of a broker that "does not answer" (a
// wrong password, a certificate that nobody vouches for). Told from its threads.
class LastWord {
 public:
  void Say(const std::string& line) {
    const absl::MutexLock lock(&mutex_);
    line_ = line;
  }
  absl::Status Behind(const absl::Status& status) const {
    const absl::MutexLock lock(&mutex_);
    if (line_.empty() || status.ok()) return status;
    return absl::Status(status.code(),
                        absl::StrCat(std::string(status.message()), "; it said last: ", line_));
  }

 private:
  mutable absl::Mutex mutex_;
  std::string line_ ABSL_GUARDED_BY(mutex_);
};

// The topic itself, read by a client of no group, which commits nothing and leaves nothing there.
absl::StatusOr<Source> TopicSource(const Tail& tail, Context& context) {
  if (absl::StartsWith(tail.bus, "local:")) {
    return absl::InvalidArgumentError(
        "--bus: a local log belongs to its process; leave --bus out, and the process is asked");
  }
  auto client = bus::ParseKafkaFlags(tail.bus, tail.kafka_properties, tail.kafka_secrets);
  if (!client.ok()) return client.status();
  auto last_word = std::make_shared<LastWord>();
  client->log = [last_word](bus::KafkaLogLevel level, const std::string& line) {
    if (level != bus::KafkaLogLevel::kInfo) last_word->Say(line);
  };
  bus::KafkaLogReaderOptions options;
  options.client = *std::move(client);
  options.topic = tail.topic;
  options.clock = context.clock;
  options.read_timeout = context.timeout;
  options.ask_timeout = std::min(context.timeout, options.ask_timeout);
  auto opened = bus::OpenKafkaLogReader(options);
  if (!opened.ok()) return last_word->Behind(opened.status());
  std::shared_ptr<bus::KafkaLogReader> reader = *std::move(opened);
  return Source([reader, last_word, &context](
                    v1::ReadEventsRequest& request) -> absl::StatusOr<v1::ReadEventsResponse> {
    absl::Duration wait = absl::Milliseconds(request.wait_ms());
    for (;;) {
      auto page = runtime::ReadEventPage(
          *reader, reader->partitions(),
          [&](int partition) { return reader->AskBounds(partition); }, request);
      if (!page.ok()) return last_word->Behind(page.status());
      if (page->events_size() > 0 || wait <= absl::ZeroDuration()) return page;
      *request.mutable_offsets() = page->next_offsets();
      context.pause(std::min(wait, kTailLooksAgain));
      wait -= kTailLooksAgain;
    }
  });
}

using Offsets = std::map<int32_t, int64_t>;  // by partition: the next one to show

// "0=12,3=40"; nothing for a text that is no such list.
std::optional<Offsets> ParseOffsets(absl::string_view text) {
  Offsets offsets;
  for (const absl::string_view entry : absl::StrSplit(text, ',')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(entry, absl::MaxSplits('=', 1));
    int32_t partition = 0;
    int64_t offset = 0;
    if (!absl::SimpleAtoi(parts.first, &partition) || !absl::SimpleAtoi(parts.second, &offset) ||
        partition < 0 || offset < 0 || !offsets.emplace(partition, offset).second) {
      return std::nullopt;
    }
  }
  return offsets;
}

std::string OffsetsText(const Offsets& offsets) {
  return absl::StrJoin(offsets, ",", absl::PairFormatter("="));
}

// What --resume FILE holds; nothing if there is no such file yet.
absl::StatusOr<std::optional<Offsets>> ReadResume(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  std::optional<Offsets> offsets = ParseOffsets(absl::StripAsciiWhitespace(text.str()));
  if (offsets.has_value()) return offsets;
  return absl::InvalidArgumentError(absl::StrCat(
      "--resume: ", path, " does not hold offsets such as 0=12,3=40; name another file"));
}

// As a whole or not at all, so that an interrupted command leaves a place to go on from.
absl::Status WriteResume(const std::string& path, const Offsets& offsets) {
  const std::string draft = absl::StrCat(path, ".new");
  std::ofstream file(draft, std::ios::trunc);
  file << OffsetsText(offsets) << "\n";
  file.close();
  if (!file || std::rename(draft.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(absl::StrCat("--resume: cannot write ", path));
  }
  return absl::OkStatus();
}

// Where the last `count` events of each partition begin.
absl::Status StartAtLast(const Source& source, int64_t count, v1::ReadEventsRequest* request) {
  // From the end on there are none: only where it is.
  v1::ReadEventsRequest ends;
  ends.set_page_size(1);
  const auto reply = source(ends);
  if (!reply.ok()) return reply.status();
  for (const auto& [partition, end] : reply->next_offsets()) {
    const auto first = reply->first_offsets().find(partition);
    (*request->mutable_offsets())[partition] =
        std::max<int64_t>(first == reply->first_offsets().end() ? 0 : first->second, end - count);
  }
  return absl::OkStatus();
}

// Where events are shown from in each partition, if `reply` is the first answer to `request`.
Offsets BeginningOf(const v1::ReadEventsRequest& request, const v1::ReadEventsResponse& reply) {
  const auto& rest = request.from_beginning() ? reply.first_offsets() : reply.end_offsets();
  Offsets offsets(rest.begin(), rest.end());
  for (const auto& [partition, offset] : request.offsets()) offsets[partition] = offset;
  return offsets;
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

// What goes wrong with the topic is not the fault of a Tandem, nor is one there to be started.
int FailOf(const Tail& tail, Context& context, const absl::Status& status) {
  if (tail.bus.empty()) return Fail(context, status);
  if (absl::IsInvalidArgument(status)) return UsageError(context, std::string(status.message()));
  *context.messages << "tandemctl: " << absl::StatusCodeToString(status.code()) << ": "
                    << cli::Printable(std::string(status.message())) << "\n";
  return kFailed;
}

int Run(const Tail& tail, Context& context) {
  if (tail.bus.empty() && !(tail.kafka_properties.empty() && tail.kafka_secrets.empty())) {
    return UsageError(context, "--kafka-property and --kafka-secret need --bus kafka:HOST:PORT");
  }
  // Not refused: a process that is newer may have events that this program does not know.
  for (const std::string& type : tail.types) {
    const std::vector<std::string> known = KnownEvents();
    const std::string name = type.substr(type.rfind('.') + 1);
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    *context.messages << "tandemctl: --type: this program knows no event " << cli::Printable(type)
                      << config::Suggestion(name, known) << "\n";
  }
  const absl::StatusOr<Source> source = tail.bus.empty()
                                            ? absl::StatusOr<Source>(ProcessSource(context))
                                            : TopicSource(tail, context);
  if (!source.ok()) return FailOf(tail, context, source.status());
  v1::ReadEventsRequest request;
  request.set_key(tail.key);
  request.set_page_size(kPage);
  std::optional<Offsets> given;
  if (!tail.from.empty()) {
    given = ParseOffsets(tail.from);
    if (!given.has_value()) {
      return UsageError(context,
                        "--from: give PARTITION=OFFSET,PARTITION=OFFSET such as 0=12,3=40");
    }
  } else if (!tail.resume.empty()) {
    auto kept_place = ReadResume(tail.resume);
    if (!kept_place.ok()) return UsageError(context, std::string(kept_place.status().message()));
    given = *std::move(kept_place);
  }
  if (given.has_value()) request.mutable_offsets()->insert(given->begin(), given->end());
  // What stands in the log already is shown first: all of it, or its last events. With a filter
  // they may stand anywhere.
  const bool is_filtered = !tail.key.empty() || !tail.types.empty();
  const bool only_last = !tail.from_beginning && !given.has_value();
  if (given.has_value()) {
    // What it does not name begins at its end, as it does in ReadEvents.
  } else if (!only_last || is_filtered) {
    request.set_from_beginning(true);
  } else if (absl::Status start = StartAtLast(*source, tail.last, &request); !start.ok()) {
    return FailOf(tail, context, start);
  }

  int64_t shown = 0;
  const auto show = [&](const v1::BusEvent& event) {
    if (context.yaml) *context.looks.screen.out << "---\n";
    *context.looks.screen.out << (context.json ? EventJson(event)
                                               : EventLine(event, context.looks));
    return ++shown == tail.limit;
  };
  Offsets place;  // behind what was shown
  const auto keep_place = [&] {
    context.looks.screen.out->flush();
    if (!*context.looks.screen.out) return kFailed;  // whoever read it has gone
    if (tail.resume.empty()) return kOk;
    const absl::Status written = WriteResume(tail.resume, place);
    if (written.ok()) return kOk;
    *context.messages << "tandemctl: " << std::string(written.message()) << "\n";
    return kFailed;
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
    const auto reply = (*source)(request);
    if (!reply.ok()) {
      const int code = FailOf(tail, context, reply.status());
      if (absl::IsOutOfRange(reply.status()) && !tail.resume.empty()) {
        *context.messages << "tandemctl: the place is kept in " << cli::Printable(tail.resume)
                          << "; delete it to begin anew\n";
      }
      return code;
    }
    const v1::ReadEventsResponse& read = *reply;
    if (place.empty()) place = BeginningOf(request, read);
    for (const v1::BusEvent& event : read.events()) {
      const bool is_wanted = IsWanted(tail, event.type());
      if (only_last && !is_at_end) {
        if (is_wanted) kept.push_back(event);
        continue;
      }
      place[event.partition()] = event.offset() + 1;
      if (is_wanted && show(event)) return keep_place();
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
      place = Offsets(read.next_offsets().begin(), read.next_offsets().end());
      while (!kept.empty()) {
        const bool is_last = show(kept.front());
        kept.pop_front();
        if (!is_last) continue;
        // They are in the order of time: what is left may stand before what was shown.
        for (const v1::BusEvent& event : kept) {
          place[event.partition()] = std::min(place[event.partition()], event.offset());
        }
        return keep_place();
      }
    }
    if (!only_last || is_at_end) {
      place = Offsets(read.next_offsets().begin(), read.next_offsets().end());
    }
    if (const int kept_place = keep_place(); kept_place != kOk) return kept_place;
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
  // A type of a newer version, or bytes that are none: shown as they are, in base64, and not as an
  // object.
  const auto raw = cli::ToJson(event, cli::JsonLayout::kOneLine);
  return raw.ok() ? *raw : "";
}

std::string EventLine(const v1::BusEvent& event, const Looks& looks) {
  const size_t dot = event.type().rfind('.');
  std::string name = dot == std::string::npos ? event.type() : event.type().substr(dot + 1);
  name = name.empty() ? "(no type)" : cli::Printable(name);
  // Wide enough for all but a few names: lines that come one by one cannot be measured together.
  constexpr size_t kNameWidth = 24;
  if (name.size() < kNameWidth) name.resize(kNameWidth, ' ');
  const Message* prototype = PrototypeOfEvent(event.type());
  const std::unique_ptr<Message> body(prototype == nullptr ? nullptr : prototype->New());
  std::string text;
  if (body == nullptr) {
    text = absl::StrCat("(", event.body().size(), " bytes of an unknown type)");
  } else if (!body->ParseFromString(event.body())) {
    text = absl::StrCat("(", event.body().size(), " bytes that are no ",
                        prototype->GetDescriptor()->name(), ")");
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
  entry.flags = {"--from-beginning", "--from",        "--resume", "--follow", "--key",
                 "--type",           "--last",        "--limit",  "--bus",    "--topic",
                 "--kafka-property", "--kafka-secret"};
  entry.declare = [](config::OptionSet& options) -> Entry::Run {
    auto tail = std::make_shared<Tail>();
    options.Add("from-beginning", &tail->from_beginning, "Begin with the first event of the log.");
    options.Add("from", &tail->from,
                "Begin at PARTITION=OFFSET,PARTITION=OFFSET; a partition that is not named begins "
                "at its end.");
    options.Add("resume", &tail->resume,
                "FILE that keeps the place behind the last event shown; where it exists, begin "
                "there. An interrupted command shows the last events again, and misses none.");
    options.Add("follow", &tail->follow, "Go on with what comes, until Ctrl-C.");
    options.Add("key", &tail->key, "Only events of this bus key.");
    options.AddTexts("type", &tail->types,
                     "Only events of this type, such as TicketOpened; may be given several times.");
    options.Add("last", &tail->last, "Past events to begin with.", {0, 100'000});
    options.Add("limit", &tail->limit, "End after so many events; 0 = no limit.");
    options.Add("bus", &tail->bus,
                "kafka:HOST:PORT,HOST:PORT: reads the topic itself, whether or not a tandem runs.");
    options.Add("topic", &tail->topic, "With --bus: the topic of lifecycle events.");
    options.AddTexts("kafka-property", &tail->kafka_properties,
                     "With --bus: NAME=VALUE of librdkafka: security.protocol, ssl.*, sasl.*.");
    options.AddTexts("kafka-secret", &tail->kafka_secrets,
                     "With --bus: NAME=FILE: sasl.password, ssl.key.password.");
    return [tail](Context& context) { return Run(*tail, context); };
  };
  return {entry};
}

}  // namespace tandem::tandemctl
