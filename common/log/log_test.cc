#include "common/log/log.h"

#include <cmath>
#include <set>
#include <thread>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::log {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::SizeIs;

// No text that is known only at run time gets in.
static_assert(!std::is_constructible_v<EventText, std::string>);
static_assert(!std::is_constructible_v<EventText, std::string_view>);
static_assert(!std::is_constructible_v<EventText, const char*>);
static_assert(!std::is_constructible_v<FieldName, std::string>);
static_assert(!std::is_constructible_v<FieldName, const char*>);
static_assert(!std::is_default_constructible_v<Field>);
static_assert(!std::is_constructible_v<Field, FieldName, std::string>);

class LogTest : public testing::Test {
 protected:
  std::unique_ptr<Logger> Make(Level level = Level::kInfo, int64_t burst = 20) {
    LoggerOptions options;
    options.service = "triage";
    options.level = level;
    options.now = [this] { return now_; };
    options.reference_seed = 7;
    options.burst = burst;
    return std::make_unique<Logger>(options, sink_);
  }

  std::string Line(std::initializer_list<Field> fields) {
    Make()->Log(Level::kInfo, "tested", fields);
    return sink_->lines().back();
  }

  absl::Time now_ = absl::FromUnixMicros(1'795'442'400'000'123);
  std::shared_ptr<MemorySink> sink_ = std::make_shared<MemorySink>();
};

TEST_F(LogTest, ALineIsOneJsonObjectWithFieldsInOrder) {
  Make()->Log(
      Level::kWarning, "relay restarted",
      {Field::Id("topic", "tandem.lifecycle.v1"), Field::Count("events", -12),
       Field::Took("took", absl::Microseconds(1500)), Field::Enum("state", "ON_HOLD"),
       Field::Flag("leader", true), Field::Ratio("share", 0.25),
       Field::Code("answer", absl::StatusCode::kAborted), Field::At("due", absl::UnixEpoch())});
  EXPECT_THAT(
      sink_->lines(),
      ElementsAre(
          R"({"time":"2026-11-23T14:00:00.000123Z","level":"warning","service":"triage",)"
          R"("event":"relay restarted","topic":"tandem.lifecycle.v1","events":-12,)"
          R"("took_us":1500,"state":"ON_HOLD","leader":true,"share":0.25,"answer":"ABORTED",)"
          R"("due":"1970-01-01T00:00:00.000000Z"})"));
}

TEST_F(LogTest, AnIdThatIsNoneIsRedacted) {
  for (const std::string text : {"", "jane@example.com", "two words", "a\"b", "a\nb", "Zo\xC3\xAB",
                                 "a+b", "printer is on fire!"}) {
    const std::string line = Line({Field::Id("ticket_id", text)});
    EXPECT_THAT(line, HasSubstr(R"("ticket_id":"<redacted>")")) << text;
  }
  EXPECT_THAT(Line({Field::Id("ticket_id", std::string(129, 'a'))}), HasSubstr("<redacted>"));
  EXPECT_THAT(Line({Field::Id("ticket_id", std::string(128, 'a'))}), Not(HasSubstr("<redacted>")));
  EXPECT_THAT(Line({Field::Id("peer", "10.0.0.1:7400/a_B-c")}), HasSubstr("10.0.0.1:7400/a_B-c"));
}

TEST_F(LogTest, AnEnumNameThatIsNoneIsRedacted) {
  EXPECT_THAT(Line({Field::Enum("state", "on hold")}), HasSubstr(R"("state":"<redacted>")"));
  EXPECT_THAT(Line({Field::Enum("state", "a.b")}), HasSubstr(R"("state":"<redacted>")"));
}

TEST_F(LogTest, ANumberThatIsNotFiniteIsNull) {
  EXPECT_THAT(Line({Field::Ratio("share", std::nan(""))}), HasSubstr(R"("share":null})"));
}

TEST_F(LogTest, AnErrorIsScrubbedAndGetsAReferenceId) {
  const absl::Status status =
      absl::InvalidArgumentError("message \"my printer burns\" of jane@example.com is too long");
  EXPECT_THAT(
      Line({Field::Error(status)}),
      AllOf(MatchesRegex(R"(.*"reference_id":"ref-[0-9a-z]{13}","code":"INVALID_ARGUMENT",.*)"),
            HasSubstr(R"("error":"message \"<quoted>\" of <address> is too long"})"),
            Not(HasSubstr("printer")), Not(HasSubstr("jane"))));
}

TEST_F(LogTest, AGivenReferenceIdIsKept) {
  const absl::Status status = absl::InternalError("disk");
  EXPECT_THAT(Line({Field::Reference("ref-1"), Field::Error(status)}),
              HasSubstr(R"("reference_id":"ref-1")"));
  EXPECT_THAT(Line({Field::Reference("not an id")}), HasSubstr(R"("reference_id":"<redacted>")"));
}

TEST_F(LogTest, AnInternalErrorIsKnownToTheCallerByItsReferenceIdOnly) {
  const std::string id = Make()->LogInternal("commit failed", absl::DataLossError("page 7"),
                                             {Field::Id("file", "intake.db")});
  EXPECT_THAT(sink_->lines(),
              ElementsAre(AllOf(HasSubstr(R"("level":"error")"),
                                HasSubstr(absl::StrCat(R"("reference_id":")", id, R"(")")),
                                HasSubstr(R"("code":"DATA_LOSS","error":"page 7","file")"))));
}

TEST_F(LogTest, LevelsBelowTheOneSetAreLeftOut) {
  const auto logger = Make(Level::kWarning);
  EXPECT_FALSE(logger->IsEnabled(Level::kInfo));
  logger->Log(Level::kDebug, "one");
  logger->Log(Level::kInfo, "two");
  logger->Log(Level::kWarning, "three");
  logger->Log(Level::kError, "four");
  EXPECT_THAT(sink_->lines(), ElementsAre(HasSubstr("three"), HasSubstr("four")));
}

TEST_F(LogTest, APlaceThatRepeatsItselfIsBounded) {
  auto logger = Make(Level::kInfo, 3);
  const auto repeat = [&] { logger->Log(Level::kInfo, "peer is down"); };
  for (int i = 0; i < 10; ++i) repeat();
  EXPECT_THAT(sink_->lines(), SizeIs(3));
  logger->Log(Level::kInfo, "peer is down");  // another place
  EXPECT_THAT(sink_->lines(), SizeIs(4));
  now_ += absl::Seconds(10);
  repeat();
  EXPECT_THAT(sink_->lines().back(), HasSubstr(R"("event":"peer is down","suppressed":7})"));
  repeat();
  EXPECT_THAT(sink_->lines().back(), Not(HasSubstr("suppressed")));
}

TEST_F(LogTest, WhatIsStillSuppressedIsToldAtTheEnd) {
  auto logger = Make(Level::kInfo, 1);
  for (int i = 0; i < 5; ++i) logger->Log(Level::kInfo, "peer is down");
  logger.reset();
  EXPECT_THAT(sink_->lines(), ElementsAre(Not(HasSubstr("suppressed")),
                                          HasSubstr(R"("event":"peer is down","suppressed":4})")));
}

TEST_F(LogTest, AClockThatJumpsBackDoesNotSilenceAPlace) {
  auto logger = Make(Level::kInfo, 1);
  const auto repeat = [&] { logger->Log(Level::kInfo, "peer is down"); };
  repeat();
  now_ -= absl::Hours(5);
  repeat();
  EXPECT_THAT(sink_->lines(), SizeIs(2));
}

TEST_F(LogTest, TheFirstOfFieldsWithOneNameCounts) {
  EXPECT_THAT(Line({Field::Count("n", 1), Field::Count("n", 2)}), HasSubstr(R"("tested","n":1})"));
}

TEST_F(LogTest, ManyThreadsWriteWholeLines) {
  auto logger = Make(Level::kInfo, 1'000'000);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        logger->Log(Level::kInfo, "counted", {Field::Count("i", i)});
        logger->NewReferenceId();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(sink_->lines(), SizeIs(2000));
  EXPECT_THAT(sink_->lines(), testing::Each(MatchesRegex(R"(\{"time":.*"i":[0-9]+\})")));
}

TEST(StderrSink, WritesOneLineForEach) {
  testing::internal::CaptureStderr();
  {
    const auto sink = StderrSink();
    sink->Write(R"({"event":"100% {} done"})");
    sink->Write("{}");
    sink->Flush();
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "{\"event\":\"100% {} done\"}\n{}\n");
}

TEST(ParseLevel, KnowsTheFour) {
  EXPECT_EQ(*ParseLevel("debug"), Level::kDebug);
  EXPECT_EQ(*ParseLevel("error"), Level::kError);
  EXPECT_EQ(ParseLevel("loud").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ReferenceIds, AreDifferentAndRepeatableBySeed) {
  ReferenceIds one(1), same(1), other(2);
  std::set<std::string> seen;
  for (int i = 0; i < 10'000; ++i) seen.insert(one.Next());
  EXPECT_THAT(seen, SizeIs(10'000));
  const std::string first = same.Next();
  EXPECT_EQ(seen.count(first), 1u);
  EXPECT_NE(first, other.Next());
}

TEST_F(LogTest, IdsStandUnderTheirOwnNamesAndOnlyIfTheyAreIds) {
  const std::map<std::string, std::string> ids = {
      {"box_id", "box:1"}, {"contact_id", "ada@example.com"}, {"not a name", "x"}};
  EXPECT_THAT(Line({Field::Ids("ids", ids)}),
              HasSubstr("\"ids\":{\"box_id\":\"box:1\",\"contact_id\":\"<redacted>\","
                        "\"<redacted>\":\"x\"}"));
  EXPECT_THAT(Line({Field::Ids("ids", {})}), HasSubstr("\"ids\":{}"));
}

TEST_F(LogTest, WhatAnOperatorConfiguredIsToldAsItIsOnOneLine) {
  const absl::Status why =
      absl::InvalidArgumentError("kafka: \"acks\" is no property:\nuser@broker C:\\x \xC3\xBC");
  EXPECT_THAT(
      Line({Field::Unscrubbed(why)}),
      HasSubstr("\"code\":\"INVALID_ARGUMENT\",\"error\":\"kafka: \\\"acks\\\" is no property: "
                "user@broker C:\\\\x ??\""));
}

TEST_F(LogTest, RecordLeavesOutNoneHoweverManyThereAre) {
  const auto logger = Make(Level::kInfo, /*burst=*/3);
  for (int i = 0; i < 100; ++i) logger->Record(Level::kInfo, "change", {Field::Count("number", i)});
  logger->Record(Level::kDebug, "request", {});
  EXPECT_THAT(sink_->lines(), SizeIs(100));
}

}  // namespace
}  // namespace tandem::log
