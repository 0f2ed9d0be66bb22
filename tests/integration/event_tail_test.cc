// `tandemctl event tail --bus` over a real Kafka.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/id/system_entropy.h"
#include "common/kafka/kafka_bus.h"
#include "common/time/system_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/tandemctl/program.h"
#include "tandem/events/v1/intake.pb.h"
#include "tests/integration/kafka_broker.h"

namespace tandem {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

const time::SystemClock kClock;
const absl::Time kNoon = absl::FromUnixSeconds(1'795'442'400);

struct Ran {
  int code = -1;
  std::vector<std::string> lines;
  std::string messages;
};

// A topic of three partitions with a name of its own, as the services make it.
class Topic {
 public:
  explicit Topic(const bus::KafkaBroker& broker)
      : brokers_(broker.brokers()), name_(bus::NewName("tail")) {
    bus::KafkaOptions options;
    options.client.brokers = brokers_;
    options.topic.name = name_;
    options.topic.create = true;
    options.topic.partitions = 3;
    options.topic.replication_factor = options.topic.min_insync_replicas = 1;
    options.topic.allow_unsafe = true;
    options.clock = &kClock;
    auto opened = bus::OpenKafka(options);
    if (!opened.ok()) {
      ADD_FAILURE() << opened.status();
      std::abort();
    }
    bus_ = *std::move(opened);
  }

  const std::string& name() const { return name_; }

  void Open(const std::string& ticket, const std::string& key) {
    events::v1::TicketOpened body;
    body.set_ticket_id(ticket);
    Append(ticket, key, body.GetDescriptor()->full_name(), body.SerializeAsString());
  }
  void Append(const std::string& subject, const std::string& key, const std::string& type,
              const std::string& body) {
    bus::Event event;
    event.id = absl::StrCat("ev-", ++appended_);
    event.source = "ticket_intake";
    event.type = type;
    event.subject = subject;
    event.key = key;
    event.time = kNoon + absl::Seconds(appended_);
    event.sequence = appended_;
    event.cause = "a test";
    event.body = body;
    absl::Notification answered;
    absl::Status appended;
    bus_->Append({event}, [&](absl::Status status) {
      appended = std::move(status);
      answered.Notify();
    });
    ASSERT_TRUE(answered.WaitForNotificationWithTimeout(absl::Seconds(30)));
    ASSERT_TRUE(appended.ok()) << appended;
  }

  std::vector<std::string> Words(const std::vector<std::string>& more) const {
    std::vector<std::string> words = {"event",   "tail", "--bus", "kafka:" + brokers_,
                                      "--topic", name_};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

 private:
  const std::string brokers_;
  const std::string name_;
  std::unique_ptr<bus::KafkaBus> bus_;
  int appended_ = 0;
};

void Wait(absl::Duration duration) {
  absl::Notification().WaitForNotificationWithTimeout(duration);
}

// `pause`: what happens while it waits for more.
Ran RunProgram(const std::vector<std::string>& words,
               const std::function<void(absl::Duration)>& pause = &Wait) {
  id::SystemEntropy entropy;
  std::ostringstream output, messages;
  std::istringstream nothing;
  tandemctl::World world;
  world.clock = &kClock;
  world.entropy = &entropy;
  world.pause = pause;
  world.zone = absl::UTCTimeZone();
  world.caller = "test";
  world.output = {&output, false, 80};
  world.messages = &messages;
  world.input = &nothing;
  Ran ran;
  ran.code = tandemctl::Run(words, {}, world);
  ran.lines = absl::StrSplit(output.str(), '\n', absl::SkipEmpty());
  ran.messages = messages.str();
  return ran;
}

class EventTail : public ::testing::Test {
 protected:
  Ran Tail(const std::vector<std::string>& more) const { return RunProgram(topic_.Words(more)); }

  Topic topic_{*bus::KafkaBroker::Shared()};
};

TEST_F(EventTail, ShowsTheTopicFromItsBeginningWithDecodedBodies) {
  topic_.Open("tkt_1", "acme");
  topic_.Open("tkt_2", "globex");
  const Ran ran = Tail({"--from-beginning", "--output", "json"});
  EXPECT_EQ(ran.code, 0) << ran.messages;
  EXPECT_THAT(ran.messages, IsEmpty());
  ASSERT_THAT(ran.lines, SizeIs(2));
  EXPECT_THAT(ran.lines, ::testing::UnorderedElementsAre(
                             AllOf(HasSubstr("\"event_id\":\"ev-1\""),
                                   HasSubstr("\"source\":\"ticket_intake\""),
                                   HasSubstr("\"type\":\"tandem.events.v1.TicketOpened\""),
                                   HasSubstr("\"key\":\"acme\""), HasSubstr("\"sequence\":\"1\""),
                                   HasSubstr("\"body\":{\"ticket_id\":\"tkt_1\","),
                                   HasSubstr("\"time\":\"2026-11-23T14:00:01Z\"")),
                             HasSubstr("\"body\":{\"ticket_id\":\"tkt_2\",")));
}

TEST_F(EventTail, ShowsOnlyTheKeyAndTheTypesThatAreAskedFor) {
  for (int i = 1; i <= 6; ++i) {
    topic_.Open(absl::StrCat("tkt_", i), i % 2 == 0 ? "acme" : "globex");
  }
  topic_.Append("tkt_2", "acme", "tandem.events.v1.TicketResolved", "");
  Ran ran = Tail({"--from-beginning", "--key", "acme"});
  ASSERT_THAT(ran.lines, SizeIs(4));
  for (const std::string& line : ran.lines) EXPECT_THAT(line, HasSubstr("  acme  "));
  ran = Tail({"--from-beginning", "--key", "acme", "--type", "TicketResolved"});
  EXPECT_THAT(ran.lines, ElementsAre(HasSubstr("TicketResolved ")));
  ran = Tail({"--type", "TicketOpened", "--last", "2"});
  EXPECT_THAT(ran.lines, ElementsAre(HasSubstr("tkt_5"), HasSubstr("tkt_6")));
}

TEST_F(EventTail, ShowsTheLastOfManyWithoutReadingAll) {
  for (int i = 1; i <= 40; ++i) topic_.Open(absl::StrCat("tkt_", i), absl::StrCat("key-", i));
  const Ran ran = Tail({"--last", "3"});
  EXPECT_THAT(ran.lines,
              ElementsAre(HasSubstr("tkt_38"), HasSubstr("tkt_39"), HasSubstr("tkt_40")));
  EXPECT_THAT(Tail({}).lines, SizeIs(20));
}

TEST_F(EventTail, ShowsWhatItDoesNotKnowAsSuch) {
  topic_.Append("x", "acme", "tandem.events.v9.Strange", "abc");
  topic_.Append("y", "acme", "tandem.events.v1.TicketOpened", "\x7f");
  bus::ForeignClient stranger(RD_KAFKA_PRODUCER, bus::KafkaBroker::Shared()->brokers());
  stranger.Produce(topic_.name(), RD_KAFKA_PARTITION_UA, "acme", "no event");
  const Ran ran = Tail({"--from-beginning"});
  EXPECT_EQ(ran.code, 0) << ran.messages;
  EXPECT_THAT(
      ran.lines,
      ElementsAre(
          AllOf(HasSubstr("  Strange  "), HasSubstr("(3 bytes of an unknown type)")),
          AllOf(HasSubstr("  TicketOpened  "), HasSubstr("(1 bytes that are no TicketOpened)")),
          AllOf(HasSubstr("  (no type)  "), HasSubstr("(9 bytes of an unknown type)"))));
  const Ran json = Tail({"--from-beginning", "--output", "json"});
  ASSERT_THAT(json.lines, SizeIs(3));
  EXPECT_THAT(json.lines[0], HasSubstr("\"body\":\"YWJj\""));
  EXPECT_THAT(json.lines[1], HasSubstr("\"body\":\"fw==\""));
}

TEST_F(EventTail, BeginsWithTheFirstThatRetentionHasLeft) {
  for (int i = 1; i <= 5; ++i) topic_.Open(absl::StrCat("tkt_", i), "acme");
  const int partition = bus::PartitionOf("acme", 3);
  bus::ForeignClient(RD_KAFKA_PRODUCER, bus::KafkaBroker::Shared()->brokers())
      .DeleteBefore(topic_.name(), partition, 3);
  EXPECT_THAT(Tail({"--from-beginning"}).lines,
              ElementsAre(HasSubstr("tkt_4"), HasSubstr("tkt_5")));
  EXPECT_THAT(Tail({"--last", "4"}).lines, ElementsAre(HasSubstr("tkt_4"), HasSubstr("tkt_5")));
}

TEST_F(EventTail, GoesOnWhereItWasAndSaysWhenThatIsGone) {
  for (int i = 1; i <= 5; ++i) topic_.Open(absl::StrCat("tkt_", i), "acme");
  const std::string place = absl::StrCat(::testing::TempDir(), "/place-", topic_.name());
  EXPECT_THAT(Tail({"--from-beginning", "--resume", place, "--limit", "2"}).lines,
              ElementsAre(HasSubstr("tkt_1"), HasSubstr("tkt_2")));
  EXPECT_THAT(Tail({"--resume", place, "--limit", "1"}).lines, ElementsAre(HasSubstr("tkt_3")));
  const int partition = bus::PartitionOf("acme", 3);
  bus::ForeignClient(RD_KAFKA_PRODUCER, bus::KafkaBroker::Shared()->brokers())
      .DeleteBefore(topic_.name(), partition, 4);
  Ran ran = Tail({"--resume", place});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.lines, IsEmpty());
  EXPECT_THAT(ran.messages, AllOf(StartsWith("tandemctl: OUT_OF_RANGE: "),
                                  HasSubstr(absl::StrCat("begins at ", partition, "=4")),
                                  HasSubstr(absl::StrCat("ends before ", partition, "=5"))));
  ran = Tail({"--from", absl::StrCat(partition, "=6")});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.messages, HasSubstr("OUT_OF_RANGE"));
  EXPECT_THAT(Tail({"--from", absl::StrCat(partition, "=4")}).lines,
              ElementsAre(HasSubstr("tkt_5")));
  std::filesystem::remove(place);
}

TEST_F(EventTail, ATopicThatIsNotThereIsNamed) {
  const Ran ran =
      RunProgram({"event", "tail", "--bus", "kafka:" + bus::KafkaBroker::Shared()->brokers(),
                  "--topic", "no.such.topic"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.messages, AllOf(StartsWith("tandemctl: NOT_FOUND: "), HasSubstr("no.such.topic"),
                                  Not(HasSubstr("tandem serve"))));
}

TEST_F(EventTail, FollowsUntilItIsInterrupted) {
  topic_.Open("tkt_1", "acme");
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  std::vector<std::string> words = topic_.Words({"--follow"});
  words.insert(words.begin(), TANDEMCTL_BINARY);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t pid = -1;
  ASSERT_EQ(posix_spawn(&pid, TANDEMCTL_BINARY, &actions, nullptr, arguments.data(), environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string heard;
  const auto hear = [&](const std::string& what) {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (heard.find(what) == std::string::npos && absl::Now() < deadline) {
      pollfd waiting{ends[0], POLLIN, 0};
      if (poll(&waiting, 1, 1'000) <= 0) continue;
      char buffer[4096];
      const ssize_t size = read(ends[0], buffer, sizeof(buffer));
      if (size <= 0) break;
      heard.append(buffer, static_cast<size_t>(size));
    }
    return heard.find(what) != std::string::npos;
  };
  EXPECT_TRUE(hear("tkt_1")) << heard;
  topic_.Open("tkt_2", "globex");
  EXPECT_TRUE(hear("tkt_2")) << heard;
  kill(pid, SIGINT);
  pollfd ending{static_cast<int>(syscall(SYS_pidfd_open, pid, 0)), POLLIN, 0};
  EXPECT_EQ(poll(&ending, 1, 10'000), 1) << "it goes on";
  kill(pid, SIGKILL);
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
  close(ending.fd);
  close(ends[0]);
}

TEST(EventTailAlone, LeavesNoTraceAndSaysWhenTheBrokerIsGone) {
  const std::unique_ptr<bus::KafkaBroker> broker = bus::KafkaBroker::Start();
  Topic topic(*broker);
  topic.Open("tkt_1", "acme");
  const auto tail = [&](const std::vector<std::string>& more) {
    return RunProgram(topic.Words(more));
  };
  EXPECT_THAT(tail({"--from-beginning"}).lines, SizeIs(1));
  EXPECT_THAT(tail({"--from-beginning", "--follow", "--limit", "1"}).lines, SizeIs(1));
  {
    const bus::ForeignClient client(RD_KAFKA_PRODUCER, broker->brokers());
    const rd_kafka_group_list* groups = nullptr;
    ASSERT_EQ(rd_kafka_list_groups(client.get(), nullptr, &groups, 10'000),
              RD_KAFKA_RESP_ERR_NO_ERROR);
    EXPECT_EQ(groups->group_cnt, 0);
    rd_kafka_group_list_destroy(groups);
    // Nor has anybody ever asked for a group's coordinator: where committed offsets would be.
    const rd_kafka_metadata_t* metadata = nullptr;
    ASSERT_EQ(rd_kafka_metadata(client.get(), 1, nullptr, &metadata, 10'000),
              RD_KAFKA_RESP_ERR_NO_ERROR);
    std::vector<std::string> topics;
    for (int i = 0; i < metadata->topic_cnt; ++i) topics.emplace_back(metadata->topics[i].topic);
    rd_kafka_metadata_destroy(metadata);
    EXPECT_THAT(topics, ElementsAre(topic.name()));
  }
  // It dies while it is followed: that is not the end of the log.
  Ran ran = RunProgram(topic.Words({"--follow", "--from-beginning", "--timeout", "4s"}),
                       [&](absl::Duration) { broker->Kill(); });
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.lines, SizeIs(1));
  EXPECT_THAT(ran.messages, StartsWith("tandemctl: UNAVAILABLE: kafka: "));
  ran = tail({"--from-beginning", "--timeout", "2s"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.lines, IsEmpty());
  EXPECT_THAT(ran.messages, AllOf(StartsWith("tandemctl: UNAVAILABLE: kafka: "),
                                  HasSubstr("it said last: "), HasSubstr("onnect")));
}

}  // namespace
}  // namespace tandem
