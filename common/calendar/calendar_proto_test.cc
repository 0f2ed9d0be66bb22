#include "common/calendar/calendar_proto.h"

#include <string>
#include <vector>

#include "common/time/micros.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace tandem::calendar {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

sla::v1::Calendar Written(const std::string& text) {
  sla::v1::Calendar message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message));
  return message;
}

std::vector<std::string> Problems(const std::string& text) {
  CalendarSpec spec;
  std::vector<std::string> lines;
  for (const Problem& problem : ReadCalendar(Written(text), spec)) {
    lines.push_back(problem.path + ": " + problem.what);
  }
  return lines;
}

constexpr char kDesk[] = R"pb(
  name: "desk"
  zone: "Europe/London"
  weekly {
    days: [ DAY_OF_WEEK_MONDAY, DAY_OF_WEEK_SUNDAY ]
    start: "22:00:30"
    end: "06:00"
    breaks { start: "23:50" end: "00:10" }
  }
  weekly { days: DAY_OF_WEEK_THURSDAY start: "00:00" end: "24:00" }
  holidays { date: "2026-11-26" name: "Thanksgiving" }
  holidays { annual: "02-29" }
  overrides {
    date: "2026-12-24"
    name: "Christmas Eve"
    intervals {
      start: "10:00"
      end: "12:00"
      breaks { start: "11:00" end: "11:15" }
    }
  }
  overrides { date: "2026-12-31" }
)pb";

TEST(ACalendarMessage, IsReadFieldByField) {
  CalendarSpec spec;
  ASSERT_TRUE(ReadCalendar(Written(kDesk), spec).empty());
  const CalendarSpec expected{
      .name = "desk",
      .zone = "Europe/London",
      .weekly = {{.days = {absl::Weekday::monday, absl::Weekday::sunday},
                  .hours = {.span = {79'230, 21'600}, .breaks = {{85'800, 600}}}},
                 {.days = {absl::Weekday::thursday}, .hours = {.span = {0, 86'400}}}},
      .holidays = {{.year = 2026, .month = 11, .day = 26, .name = "Thanksgiving"},
                   {.month = 2, .day = 29}},
      .overrides = {{.date = absl::CivilDay(2026, 12, 24),
                     .intervals = {{.span = {36'000, 43'200}, .breaks = {{39'600, 40'500}}}},
                     .name = "Christmas Eve"},
                    {.date = absl::CivilDay(2026, 12, 31)}}};
  EXPECT_EQ(spec, expected);
}

TEST(ACalendarMessage, ReadsBackAsItWasWritten) {
  CalendarSpec spec;
  ASSERT_TRUE(ReadCalendar(Written(kDesk), spec).empty());
  EXPECT_EQ(ToProto(spec).SerializeAsString(), Written(kDesk).SerializeAsString());
  const CalendarSpec always{.name = "always", .zone = "UTC", .always_open = true};
  CalendarSpec again;
  ASSERT_TRUE(ReadCalendar(ToProto(always), again).empty());
  EXPECT_EQ(again, always);
}

TEST(ACalendarMessage, BecomesACalendar) {
  const absl::StatusOr<Calendar> calendar = CalendarFromProto(Written(kDesk));
  ASSERT_TRUE(calendar.ok()) << calendar.status();
  EXPECT_TRUE(calendar->IsOpen(time::ParseInstant("2026-12-24T10:00Z").value()));
  EXPECT_FALSE(calendar->IsOpen(time::ParseInstant("2026-12-24T11:00Z").value()));
}

TEST(ACalendarMessage, HasEveryProblemNamedByItsField) {
  constexpr char kBroken[] = R"pb(
    name: "broken"
    zone: "Mars/Phobos"
    weekly { days: DAY_OF_WEEK_UNSPECIFIED start: "9:00" end: "25:00" }
    weekly {
      days: 9
      start: "09:00"
      end: "09:00"
      breaks { start: "" end: "10:00" }
    }
    weekly { start: "24:00" end: "10:00" }
    holidays { name: "never" }
    holidays { date: "2026-02-29" }
    holidays { annual: "02-30" }
    holidays { annual: "2-3" }
    overrides {
      date: "2026/01/01"
      intervals { start: "x" end: "10:00" }
    }
    overrides { date: "1949-01-01" }
  )pb";
  EXPECT_THAT(
      Problems(kBroken),
      ElementsAre("weekly[0].days[0]: is no day of the week",
                  "weekly[0].start: \"9:00\" is not a local time such as 09:00",
                  "weekly[0].end: \"25:00\" is not a local time such as 09:00",
                  "weekly[1].days[0]: is no day of the week",
                  "weekly[1].breaks[0].start: \"\" is not a local time such as 09:00",
                  "holidays[0]: has neither date nor annual",
                  "holidays[1].date: \"2026-02-29\" is not a date such as 2026-11-26",
                  "holidays[2].annual: \"02-30\" is not a day of the year such as 12-25",
                  "holidays[3].annual: \"2-3\" is not a day of the year such as 12-25",
                  "overrides[0].date: \"2026/01/01\" is not a date such as 2026-11-26",
                  "overrides[0].intervals[0].start: \"x\" is not a local time such as 09:00",
                  "zone: \"Mars/Phobos\" is not an IANA time zone known to this machine",
                  "weekly[1].end: equals the start, 09:00; a whole day is 00:00-24:00",
                  "weekly[2].days: is empty", "weekly[2].start: is not within 00:00 and 23:59:59",
                  "overrides[1].date: is outside the years 1950 to 2099"));
  const absl::Status status = CalendarFromProto(Written(kBroken)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr("\"broken\""), HasSubstr("Mars/Phobos"), HasSubstr("overrides[1].date")));
}

TEST(ACalendarMessage, MayBeHostile) {
  // Texts that no field may hold are refused by name; none of them crosses into the message raw.
  for (const std::string& text :
       {std::string(1 << 16, '9'), std::string("\0\x01\n", 3), std::string("-1:00"),
        std::string("2026-"), std::string("2026-12-"), std::string("2026-12-2"),
        std::string("2026-12-240"), std::string("12-"), std::string("1")}) {
    sla::v1::Calendar message = Written(kDesk);
    message.set_zone(text);
    message.mutable_weekly(0)->set_start(text);
    message.mutable_holidays(0)->set_date(text);
    message.mutable_holidays(1)->set_annual(text);
    message.mutable_overrides(0)->set_date(text);
    CalendarSpec spec;
    std::vector<std::string> paths;
    for (const Problem& problem : ReadCalendar(message, spec)) paths.push_back(problem.path);
    EXPECT_THAT(paths, ElementsAre("weekly[0].start", "holidays[0].date", "holidays[1].annual",
                                   "overrides[0].date", "zone"));
    const absl::Status status = CalendarFromProto(message).status();
    EXPECT_LT(status.message().size(), 1000u);
    EXPECT_EQ(status.message().find('\n'), absl::string_view::npos);
  }
}

TEST(ASegment, IsWrittenToTheMicrosecond) {
  const sla::v1::CalendarInterval message =
      ToProto(Segment{time::FromMicros(-1), time::FromMicros(1'000'002), true, "always open"});
  EXPECT_EQ(message.from().seconds(), -1);
  EXPECT_EQ(message.from().nanos(), 999'999'000);
  EXPECT_EQ(message.to().seconds(), 1);
  EXPECT_EQ(message.to().nanos(), 2'000);
  EXPECT_TRUE(message.is_open());
  EXPECT_EQ(message.rule(), "always open");
}

}  // namespace
}  // namespace tandem::calendar
