#include "common/calendar/calendar.h"

#include <string>
#include <thread>
#include <vector>

#include "common/time/micros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::calendar {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using enum absl::Weekday;

const std::vector<absl::Weekday> kWorkdays = {monday, tuesday, wednesday, thursday, friday};
const std::vector<absl::Weekday> kEveryDay = {monday, tuesday,  wednesday, thursday,
                                              friday, saturday, sunday};

absl::Time At(std::string_view text) { return time::ParseInstant(text).value(); }

LocalSpan Span(std::string_view start, std::string_view end) {
  return {.start_s = ParseLocalTime(start).value(), .end_s = ParseLocalTime(end).value()};
}

WeeklyInterval On(std::vector<absl::Weekday> days, std::string_view start, std::string_view end,
                  std::vector<LocalSpan> breaks = {}) {
  return {.days = std::move(days),
          .hours = {.span = Span(start, end), .breaks = std::move(breaks)}};
}

Calendar Make(CalendarSpec spec) {
  absl::StatusOr<Calendar> calendar = Calendar::Create(std::move(spec));
  EXPECT_TRUE(calendar.ok()) << calendar.status();
  return *std::move(calendar);
}

CalendarSpec NewYorkSpec() {
  return {.name = "new-york",
          .zone = "America/New_York",
          .weekly = {On(kWorkdays, "09:00", "17:30")},
          .holidays = {{.year = 2026, .month = 11, .day = 26, .name = "Thanksgiving"}}};
}

CalendarSpec LondonSpec() {
  const std::vector<absl::Weekday> long_days = {monday, tuesday, wednesday, thursday};
  return {.name = "london",
          .zone = "Europe/London",
          .weekly = {On(long_days, "08:00", "12:00"), On(long_days, "13:00", "17:00"),
                     On({friday}, "08:00", "12:00"), On({friday}, "13:00", "16:00")}};
}

CalendarSpec KathmanduSpec() {
  return {
      .name = "kathmandu", .zone = "Asia/Kathmandu", .weekly = {On(kEveryDay, "22:00", "06:00")}};
}

CalendarSpec Daily(std::string zone, std::string_view start, std::string_view end) {
  return {.name = "daily", .zone = std::move(zone), .weekly = {On(kEveryDay, start, end)}};
}

CalendarSpec AlwaysOpen(std::string zone) {
  return {.name = "always", .zone = std::move(zone), .always_open = true};
}

// Short forms, so that a table reads as text.
std::string Plus(const Calendar& calendar, std::string_view from, absl::Duration budget) {
  const absl::StatusOr<absl::Time> due = calendar.Add(At(from), budget);
  return due.ok() ? time::FormatInstant(*due) : due.status().ToString();
}
std::string Minus(const Calendar& calendar, std::string_view from, absl::Duration budget) {
  const absl::StatusOr<absl::Time> begin = calendar.Subtract(At(from), budget);
  return begin.ok() ? time::FormatInstant(*begin) : begin.status().ToString();
}
absl::Duration Open(const Calendar& calendar, std::string_view from, std::string_view to) {
  return calendar.Between(At(from), At(to)).value();
}
std::string Opening(const Calendar& calendar, std::string_view from) {
  const absl::StatusOr<absl::Time> opening = calendar.NextOpening(At(from));
  return opening.ok() ? time::FormatInstant(*opening) : opening.status().ToString();
}
std::vector<std::string> Lines(const std::vector<Segment>& segments) {
  std::vector<std::string> lines;
  for (const Segment& segment : segments) {
    lines.push_back(time::FormatInstant(segment.from) + " " + time::FormatInstant(segment.to) +
                    (segment.is_open ? " open: " : " closed: ") + segment.rule);
  }
  return lines;
}
std::vector<std::string> Explain(const Calendar& calendar, std::string_view from,
                                 std::string_view to) {
  return Lines(calendar.Segments(At(from), At(to)).value());
}

// ---- the worked examples of product §3

TEST(WorkedExamples, ComeOutToTheMicrosecond) {
  struct Example {
    CalendarSpec spec;
    const char* from;
    absl::Duration budget;
    const char* answer;
  };
  const std::vector<Example> examples = {
      {NewYorkSpec(), "2026-11-25T20:00Z", absl::Hours(10), "2026-11-27T21:30:00Z"},
      {NewYorkSpec(), "2026-11-23T18:30Z", absl::Hours(4), "2026-11-23T22:30:00Z"},
      {LondonSpec(), "2026-10-23T12:30Z", absl::Hours(9), "2026-10-26T15:30:00Z"},
      {KathmanduSpec(), "2026-03-01T15:00Z", absl::Hours(7), "2026-03-01T23:15:00Z"},
      {AlwaysOpen("Australia/Lord_Howe"), "2026-10-03T14:00Z", absl::Hours(24),
       "2026-10-04T14:00:00Z"},
  };
  for (const Example& example : examples) {
    const Calendar calendar = Make(example.spec);
    EXPECT_EQ(Plus(calendar, example.from, example.budget), example.answer) << calendar.name();
  }
}

TEST(WorkedExamples, SubtractGoesBackOverTheHoliday) {
  EXPECT_EQ(Minus(Make(NewYorkSpec()), "2026-11-27T15:00Z", absl::Hours(3)),
            "2026-11-25T20:30:00Z");
}

TEST(WorkedExamples, APauseIsLeftOutByTheSameCalendar) {
  const Calendar calendar = Make(NewYorkSpec());
  const absl::Duration used = Open(calendar, "2026-11-24T14:30Z", "2026-11-24T15:00Z");
  EXPECT_EQ(used, absl::Minutes(30));
  EXPECT_EQ(Plus(calendar, "2026-11-24T18:10Z", absl::Hours(4) - used), "2026-11-24T21:40:00Z");
}

TEST(WorkedExamples, BetweenCountsBreaksAndTheEndOfSummerTime) {
  EXPECT_EQ(Open(Make(LondonSpec()), "2026-10-23T10:30Z", "2026-10-27T09:15Z"),
            absl::Seconds(45'900));
}

// ---- working days

struct WorkingDaysExample {
  CalendarSpec spec;
  const char* from;
  int days;
  const char* end;
  const char* why;
};

TEST(WorkingDays, EndAtTheSameLocalTimeOfAnOpenDayMovedIntoItsHours) {
  const CalendarSpec night = {
      .name = "night", .zone = "UTC", .weekly = {On(kWorkdays, "22:00", "06:00")}};
  const std::vector<WorkingDaysExample> examples = {
      {NewYorkSpec(), "2026-11-24T15:00Z", 1, "2026-11-25T15:00:00Z", "the next day"},
      {NewYorkSpec(), "2026-11-24T15:00Z", 2, "2026-11-27T15:00:00Z", "not the holiday"},
      {NewYorkSpec(), "2026-11-27T15:00Z", 1, "2026-11-30T15:00:00Z", "not the weekend"},
      {NewYorkSpec(), "2026-11-24T12:00Z", 1, "2026-11-25T14:00:00Z", "before opening: opening"},
      {NewYorkSpec(), "2026-11-24T23:30Z", 1, "2026-11-25T22:30:00Z", "after closing: closing"},
      {NewYorkSpec(), "2026-11-28T17:00Z", 1, "2026-11-30T17:00:00Z", "from a closed day"},
      {NewYorkSpec(), "2026-11-29T12:00Z", 1, "2026-12-01T14:00:00Z", "never nothing open"},
      {NewYorkSpec(), "2026-11-29T12:00Z", 2, "2026-12-01T14:00:00Z", "a day is between already"},
      {LondonSpec(), "2026-10-22T11:30Z", 1, "2026-10-23T12:00:00Z", "within a break: its end"},
      {LondonSpec(), "2026-10-22T15:30Z", 1, "2026-10-23T15:00:00Z", "Friday closes earlier"},
      {LondonSpec(), "2026-10-23T10:30Z", 1, "2026-10-26T11:30:00Z", "summer time ends"},
      {LondonSpec(), "2026-03-27T10:30Z", 1, "2026-03-30T09:30:00Z", "summer time begins"},
      {KathmanduSpec(), "2026-03-01T20:00Z", 1, "2026-03-02T20:00:00Z", "past midnight"},
      {night, "2026-11-28T02:00Z", 1, "2026-12-01T02:00:00Z", "Friday's shift, then Monday's"},
      {night, "2026-11-28T07:00Z", 1, "2026-12-01T22:00:00Z", "the whole of Monday's shift"},
      {Daily("America/New_York", "00:00", "24:00"), "2027-03-13T07:30Z", 1, "2027-03-14T07:00:00Z",
       "02:30 does not exist"},
      {Daily("America/New_York", "00:00", "24:00"), "2026-10-31T05:30Z", 1, "2026-11-01T05:30:00Z",
       "01:30 comes twice"},
      {AlwaysOpen("Europe/London"), "2026-10-24T12:00Z", 1, "2026-10-25T13:00:00Z",
       "a day of 25 hours"},
  };
  for (const WorkingDaysExample& example : examples) {
    const absl::StatusOr<absl::Time> end =
        Make(example.spec).AddWorkingDays(At(example.from), example.days);
    EXPECT_EQ(end.ok() ? time::FormatInstant(*end) : end.status().ToString(), example.end)
        << example.spec.name << ": " << example.why;
  }
}

TEST(WorkingDays, OfTenOpenHoursAreTenHoursEach) {
  const Calendar calendar =
      Make({.name = "ten", .zone = "UTC", .weekly = {On(kWorkdays, "08:00", "18:00")}});
  const absl::Time start = At("2026-11-23T09:00Z");
  const absl::Time end = calendar.AddWorkingDays(start, 5).value();
  EXPECT_EQ(calendar.Between(start, end).value(), absl::Hours(50));
}

TEST(WorkingDays, KeepTheMicrosecond) {
  const absl::Time start = At("2026-11-24T15:00Z") + absl::Microseconds(7);
  EXPECT_EQ(Make(NewYorkSpec()).AddWorkingDays(start, 1).value(),
            At("2026-11-25T15:00Z") + absl::Microseconds(7));
}

TEST(WorkingDays, AreRefusedWhereThereAreNone) {
  const Calendar calendar = Make(NewYorkSpec());
  EXPECT_TRUE(
      absl::IsInvalidArgument(calendar.AddWorkingDays(At("2026-11-24T15:00Z"), 0).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(calendar.AddWorkingDays(At("2026-11-24T15:00Z"), 3654).status()));
  EXPECT_TRUE(absl::IsOutOfRange(calendar.AddWorkingDays(At("2099-12-30T15:00Z"), 9).status()));
  const Calendar once = Make({.name = "once",
                              .zone = "UTC",
                              .overrides = {{.date = absl::CivilDay(2026, 1, 5),
                                             .intervals = {{.span = Span("09:00", "17:00")}}}}});
  EXPECT_EQ(once.AddWorkingDays(At("2026-01-01T10:00Z"), 1).value(), At("2026-01-05T10:00Z"));
  EXPECT_TRUE(absl::IsFailedPrecondition(once.AddWorkingDays(At("2026-01-01T10:00Z"), 2).status()));
}

// ---- single questions

TEST(Add, OfNothingIsTheInstantItselfAlsoWhenClosed) {
  EXPECT_EQ(Plus(Make(NewYorkSpec()), "2026-11-26T15:00Z", absl::ZeroDuration()),
            "2026-11-26T15:00:00Z");
}

TEST(Add, UsesUpABudgetAtClosingAndOneMicrosecondMoreAtTheNextOpening) {
  const Calendar calendar = Make(NewYorkSpec());
  EXPECT_EQ(Plus(calendar, "2026-11-25T14:00Z", absl::Minutes(510)), "2026-11-25T22:30:00Z");
  EXPECT_EQ(Plus(calendar, "2026-11-25T14:00Z", absl::Minutes(510) + absl::Microseconds(1)),
            "2026-11-27T14:00:00.000001Z");
}

TEST(Add, DropsWhatIsFinerThanAMicrosecond) {
  const Calendar calendar = Make(AlwaysOpen("UTC"));
  EXPECT_EQ(time::ToMicros(
                calendar.Add(time::FromMicros(10) + absl::Nanoseconds(999), absl::Nanoseconds(1999))
                    .value()),
            11);
}

TEST(Add, RefusesANegativeOrInfiniteBudgetAndNamesTheCalendar) {
  const Calendar calendar = Make(NewYorkSpec());
  for (const absl::Duration budget : {absl::Microseconds(-1), absl::InfiniteDuration(),
                                      -absl::InfiniteDuration(), absl::Nanoseconds(-1)}) {
    for (const absl::Status& status :
         {calendar.Add(At("2026-11-25T20:00Z"), budget).status(),
          calendar.Subtract(At("2026-11-25T20:00Z"), budget).status()}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(std::string(status.message()), HasSubstr("new-york"));
    }
  }
}

TEST(Subtract, OfAWholeDayIsTheOpeningInstant) {
  const Calendar calendar = Make(NewYorkSpec());
  EXPECT_EQ(Minus(calendar, "2026-11-25T22:30Z", absl::Minutes(510)), "2026-11-25T14:00:00Z");
  EXPECT_EQ(Minus(calendar, "2026-11-26T22:30Z", absl::Minutes(510)), "2026-11-25T14:00:00Z");
  EXPECT_EQ(Minus(calendar, "2026-11-25T22:30Z", absl::Minutes(510) + absl::Microseconds(1)),
            "2026-11-24T22:29:59.999999Z");
}

TEST(Between, IsNegativeBackwards) {
  const Calendar calendar = Make(NewYorkSpec());
  EXPECT_EQ(Open(calendar, "2026-11-24T15:00Z", "2026-11-24T14:30Z"), absl::Minutes(-30));
}

TEST(Between, SpansManyYears) {
  // 2001 to 2030 in Kathmandu, where no clock is changed: eight hours a day.
  const absl::Duration days = At("2030-12-31T18:00Z") - At("2000-12-31T18:00Z");
  EXPECT_EQ(Open(Make(KathmanduSpec()), "2000-12-31T18:00Z", "2030-12-31T18:00Z"), days / 3);
}

TEST(NextOpening, IsTheInstantItselfWhenOpen) {
  const Calendar calendar = Make(NewYorkSpec());
  EXPECT_EQ(Opening(calendar, "2026-11-25T15:00:00.000001Z"), "2026-11-25T15:00:00.000001Z");
  EXPECT_EQ(Opening(calendar, "2026-11-25T22:30Z"), "2026-11-27T14:00:00Z");
}

TEST(IsOpen, HoldsAtOpeningAndNotAtClosing) {
  const Calendar calendar = Make(NewYorkSpec());
  EXPECT_FALSE(calendar.IsOpen(At("2026-11-25T13:59:59.999999Z")));
  EXPECT_TRUE(calendar.IsOpen(At("2026-11-25T14:00Z")));
  EXPECT_TRUE(calendar.IsOpen(At("2026-11-25T22:29:59.999999Z")));
  EXPECT_FALSE(calendar.IsOpen(At("2026-11-25T22:30Z")));
  EXPECT_FALSE(calendar.IsOpen(At("2026-11-26T15:00Z")));
}

// ---- clocks that are changed

TEST(ALocalTimeThatDoesNotExist, IsTheInstantAfterTheGap) {
  // New York, 2026-03-08: 02:00 becomes 03:00 at 07:00Z.
  const Calendar from_gap = Make(Daily("America/New_York", "02:30", "04:00"));
  EXPECT_EQ(Opening(from_gap, "2026-03-08T06:00Z"), "2026-03-08T07:00:00Z");
  EXPECT_EQ(Open(from_gap, "2026-03-08T05:00Z", "2026-03-08T12:00Z"), absl::Hours(1));
  const Calendar into_gap = Make(Daily("America/New_York", "01:00", "02:30"));
  EXPECT_EQ(Open(into_gap, "2026-03-08T05:00Z", "2026-03-08T12:00Z"), absl::Hours(1));
  const Calendar swallowed = Make(Daily("America/New_York", "02:10", "02:50"));
  EXPECT_EQ(Open(swallowed, "2026-03-08T05:00Z", "2026-03-08T12:00Z"), absl::ZeroDuration());
  EXPECT_EQ(Opening(swallowed, "2026-03-08T05:00Z"), "2026-03-09T06:10:00Z");
}

TEST(ALocalTimeThatExistsTwice, IsTheFirst) {
  // New York, 2026-11-01: 02:00 EDT becomes 01:00 EST at 06:00Z.
  const Calendar from_twice = Make(Daily("America/New_York", "01:30", "03:00"));
  EXPECT_EQ(Opening(from_twice, "2026-11-01T04:00Z"), "2026-11-01T05:30:00Z");
  EXPECT_EQ(Open(from_twice, "2026-11-01T04:00Z", "2026-11-01T12:00Z"), absl::Minutes(150));
  const Calendar until_twice = Make(Daily("America/New_York", "00:00", "01:30"));
  EXPECT_EQ(Open(until_twice, "2026-11-01T04:00Z", "2026-11-01T12:00Z"), absl::Minutes(90));
}

TEST(LordHowe, ChangesByHalfAnHour) {
  // 2026-10-04: 02:00 becomes 02:30 at 15:30Z; 2026-04-05: 02:00 becomes 01:30 at 15:00Z.
  const Calendar night = Make(Daily("Australia/Lord_Howe", "00:00", "06:00"));
  EXPECT_EQ(Open(night, "2026-10-03T12:00Z", "2026-10-04T04:00Z"), absl::Minutes(330));
  EXPECT_EQ(Open(night, "2026-04-04T12:00Z", "2026-04-05T04:00Z"), absl::Minutes(390));
}

TEST(SaoPaulo, HasADayThatBeginsAtOne) {
  // 2018-11-04: 00:00 becomes 01:00 at 03:00Z.
  const Calendar calendar = Make(Daily("America/Sao_Paulo", "00:00", "24:00"));
  EXPECT_EQ(Open(calendar, "2018-11-03T03:00Z", "2018-11-05T02:00Z"), absl::Hours(47));
  EXPECT_THAT(
      Explain(calendar, "2018-11-03T03:00Z", "2018-11-05T02:00Z"),
      ElementsAre("2018-11-03T03:00:00Z 2018-11-04T03:00:00Z open: weekly SAT 00:00-24:00",
                  "2018-11-04T03:00:00Z 2018-11-05T02:00:00Z open: weekly SUN 00:00-24:00"));
}

TEST(Apia, SkipsAFriday) {
  // 2011-12-29 24:00 (10:00Z on the 30th) becomes 2011-12-31 00:00.
  CalendarSpec spec = Daily("Pacific/Apia", "09:00", "17:00");
  EXPECT_EQ(Open(Make(spec), "2011-12-29T10:00Z", "2011-12-31T10:00Z"), absl::Hours(16));
  EXPECT_THAT(
      Explain(Make(spec), "2011-12-30T02:00Z", "2011-12-30T20:00Z"),
      ElementsAre("2011-12-30T02:00:00Z 2011-12-30T03:00:00Z open: weekly THU 09:00-17:00",
                  "2011-12-30T03:00:00Z 2011-12-30T19:00:00Z closed: outside weekly hours",
                  "2011-12-30T19:00:00Z 2011-12-30T20:00:00Z open: weekly SAT 09:00-17:00"));
}

// ---- days

TEST(HoursPastMidnight, BelongToTheDayThatTheyBeginOn) {
  CalendarSpec spec{.name = "nights", .zone = "UTC", .weekly = {On({monday}, "22:00", "06:00")}};
  const Calendar calendar = Make(spec);
  EXPECT_FALSE(calendar.IsOpen(At("2026-11-23T03:00Z")));  // Monday morning
  EXPECT_TRUE(calendar.IsOpen(At("2026-11-23T22:00Z")));
  EXPECT_TRUE(calendar.IsOpen(At("2026-11-24T05:59Z")));
  EXPECT_FALSE(calendar.IsOpen(At("2026-11-24T22:00Z")));
}

TEST(HoursPastMidnight, GoOnIntoAHolidayButDoNotBeginOnIt) {
  CalendarSpec spec = Daily("UTC", "22:00", "06:00");
  spec.holidays = {{.year = 2026, .month = 11, .day = 26, .name = "Thanksgiving"}};
  EXPECT_THAT(
      Explain(Make(spec), "2026-11-25T20:00Z", "2026-11-27T23:00Z"),
      ElementsAre("2026-11-25T20:00:00Z 2026-11-25T22:00:00Z closed: outside weekly hours",
                  "2026-11-25T22:00:00Z 2026-11-26T06:00:00Z open: weekly WED 22:00-06:00",
                  "2026-11-26T06:00:00Z 2026-11-27T00:00:00Z closed: holiday 2026-11-26 "
                  "Thanksgiving",
                  "2026-11-27T00:00:00Z 2026-11-27T22:00:00Z closed: outside weekly hours",
                  "2026-11-27T22:00:00Z 2026-11-27T23:00:00Z open: weekly FRI 22:00-06:00"));
}

TEST(HoursPastMidnight, AreOnePieceAlsoAtNewYear) {
  EXPECT_THAT(
      Explain(Make(Daily("UTC", "22:00", "06:00")), "2026-12-31T21:00Z", "2027-01-01T07:00Z"),
      ElementsAre("2026-12-31T21:00:00Z 2026-12-31T22:00:00Z closed: outside weekly hours",
                  "2026-12-31T22:00:00Z 2027-01-01T06:00:00Z open: weekly THU 22:00-06:00",
                  "2027-01-01T06:00:00Z 2027-01-01T07:00:00Z closed: outside weekly hours"));
}

TEST(ABreak, ClosesAndMayLiePastMidnight) {
  CalendarSpec spec{
      .name = "nights",
      .zone = "UTC",
      .weekly = {On({monday}, "22:00", "06:00", {Span("23:50", "00:10"), Span("02:00", "02:30")})}};
  EXPECT_THAT(
      Explain(Make(spec), "2026-11-23T22:00Z", "2026-11-24T06:00Z"),
      ElementsAre("2026-11-23T22:00:00Z 2026-11-23T23:50:00Z open: weekly MON 22:00-06:00",
                  "2026-11-23T23:50:00Z 2026-11-24T00:10:00Z closed: break MON 23:50-00:10",
                  "2026-11-24T00:10:00Z 2026-11-24T02:00:00Z open: weekly MON 22:00-06:00",
                  "2026-11-24T02:00:00Z 2026-11-24T02:30:00Z closed: break MON 02:00-02:30",
                  "2026-11-24T02:30:00Z 2026-11-24T06:00:00Z open: weekly MON 22:00-06:00"));
}

TEST(AnAnnualHoliday, ComesEveryYearAndTheLeapDayInLeapYears) {
  CalendarSpec spec = Daily("UTC", "09:00", "17:00");
  spec.holidays = {{.month = 12, .day = 25, .name = "Christmas Day"}, {.month = 2, .day = 29}};
  const Calendar calendar = Make(spec);
  EXPECT_FALSE(calendar.IsOpen(At("2026-12-25T10:00Z")));
  EXPECT_FALSE(calendar.IsOpen(At("2041-12-25T10:00Z")));
  EXPECT_FALSE(calendar.IsOpen(At("2028-02-29T10:00Z")));
  EXPECT_TRUE(calendar.IsOpen(At("2027-03-01T10:00Z")));
  EXPECT_THAT(Explain(calendar, "2026-12-25T10:00Z", "2026-12-25T11:00Z"),
              ElementsAre("2026-12-25T10:00:00Z 2026-12-25T11:00:00Z closed: annual holiday 12-25 "
                          "Christmas Day"));
}

TEST(AnOverride, ReplacesTheWeeklyHoursAndAHoliday) {
  CalendarSpec spec = NewYorkSpec();
  spec.overrides = {
      {.date = absl::CivilDay(2026, 11, 26), .intervals = {{.span = Span("10:00", "12:00")}}},
      {.date = absl::CivilDay(2026, 11, 27), .name = "Inventory"},
      {.date = absl::CivilDay(2026, 11, 28),
       .intervals = {{.span = Span("10:00", "12:00"), .breaks = {Span("11:00", "11:15")}}},
       .name = "Catching up"}};
  EXPECT_THAT(
      Explain(Make(spec), "2026-11-26T14:00Z", "2026-11-28T18:00Z"),
      ElementsAre("2026-11-26T14:00:00Z 2026-11-26T15:00:00Z closed: outside override 2026-11-26",
                  "2026-11-26T15:00:00Z 2026-11-26T17:00:00Z open: override 2026-11-26 10:00-12:00",
                  "2026-11-26T17:00:00Z 2026-11-27T05:00:00Z closed: outside override 2026-11-26",
                  "2026-11-27T05:00:00Z 2026-11-28T05:00:00Z closed: override 2026-11-27 closed "
                  "Inventory",
                  "2026-11-28T05:00:00Z 2026-11-28T15:00:00Z closed: outside override 2026-11-28 "
                  "Catching up",
                  "2026-11-28T15:00:00Z 2026-11-28T16:00:00Z open: override 2026-11-28 10:00-12:00 "
                  "Catching up",
                  "2026-11-28T16:00:00Z 2026-11-28T16:15:00Z closed: break 2026-11-28 11:00-11:15",
                  "2026-11-28T16:15:00Z 2026-11-28T17:00:00Z open: override 2026-11-28 10:00-12:00 "
                  "Catching up",
                  "2026-11-28T17:00:00Z 2026-11-28T18:00:00Z closed: outside override 2026-11-28 "
                  "Catching up"));
}

TEST(OverlappingDays, CountNoTimeTwice) {
  // Monday's night runs until 06:00 with a break; the override of Tuesday begins at 01:00.
  CalendarSpec spec{.name = "nights",
                    .zone = "UTC",
                    .weekly = {On({monday}, "22:00", "06:00", {Span("02:00", "03:00")})},
                    .overrides = {{.date = absl::CivilDay(2026, 11, 24),
                                   .intervals = {{.span = Span("01:00", "08:00")}}}}};
  const Calendar calendar = Make(spec);
  EXPECT_EQ(Open(calendar, "2026-11-23T22:00Z", "2026-11-24T10:00Z"), absl::Hours(10));
  EXPECT_THAT(Explain(calendar, "2026-11-23T22:00Z", "2026-11-24T08:00Z"),
              ElementsAre("2026-11-23T22:00:00Z 2026-11-24T02:00:00Z open: weekly MON 22:00-06:00",
                          "2026-11-24T02:00:00Z 2026-11-24T08:00:00Z open: override 2026-11-24 "
                          "01:00-08:00"));
}

// ---- explanations

TEST(Segments, SayWhyEachPieceIsOpenOrClosed) {
  EXPECT_THAT(
      Explain(Make(NewYorkSpec()), "2026-11-25T22:00Z", "2026-11-30T15:00Z"),
      ElementsAre("2026-11-25T22:00:00Z 2026-11-25T22:30:00Z open: weekly WED 09:00-17:30",
                  "2026-11-25T22:30:00Z 2026-11-26T05:00:00Z closed: outside weekly hours",
                  "2026-11-26T05:00:00Z 2026-11-27T05:00:00Z closed: holiday 2026-11-26 "
                  "Thanksgiving",
                  "2026-11-27T05:00:00Z 2026-11-27T14:00:00Z closed: outside weekly hours",
                  "2026-11-27T14:00:00Z 2026-11-27T22:30:00Z open: weekly FRI 09:00-17:30",
                  "2026-11-27T22:30:00Z 2026-11-30T14:00:00Z closed: outside weekly hours",
                  "2026-11-30T14:00:00Z 2026-11-30T15:00:00Z open: weekly MON 09:00-17:30"));
}

TEST(Segments, OfARoundTheClockCalendarAreOne) {
  EXPECT_THAT(Explain(Make(AlwaysOpen("Europe/London")), "2025-11-25T22:00Z", "2027-11-30T15:00Z"),
              ElementsAre("2025-11-25T22:00:00Z 2027-11-30T15:00:00Z open: always open"));
}

TEST(Segments, OfNoTimeAreNone) {
  EXPECT_THAT(Explain(Make(NewYorkSpec()), "2026-11-25T22:00Z", "2026-11-25T22:00Z"),
              ElementsAre());
}

TEST(Intervals, StopAtTheLimitAndGoOnFromThere) {
  const Calendar calendar = Make(NewYorkSpec());
  const absl::Time end = At("2026-12-01T00:00Z");
  const auto first = calendar.Intervals(At("2026-11-24T15:00Z"), end, 2).value();
  EXPECT_THAT(
      Lines(first),
      ElementsAre("2026-11-24T15:00:00Z 2026-11-24T22:30:00Z open: weekly TUE 09:00-17:30",
                  "2026-11-25T14:00:00Z 2026-11-25T22:30:00Z open: weekly WED 09:00-17:30"));
  EXPECT_THAT(
      Lines(calendar.Intervals(first.back().to, end, 2).value()),
      ElementsAre("2026-11-27T14:00:00Z 2026-11-27T22:30:00Z open: weekly FRI 09:00-17:30",
                  "2026-11-30T14:00:00Z 2026-11-30T22:30:00Z open: weekly MON 09:00-17:30"));
}

TEST(Intervals, RefuseAnEndBeforeTheStart) {
  EXPECT_EQ(Make(NewYorkSpec())
                .Intervals(At("2026-11-25T22:00Z"), At("2026-11-25T21:00Z"))
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

// ---- no opening

CalendarSpec OnceOpen() {
  return {.name = "once",
          .zone = "UTC",
          .overrides = {{.date = absl::CivilDay(2026, 6, 1),
                         .intervals = {{.span = Span("09:00", "10:00")}}}}};
}

TEST(NoOpeningWithinTenYears, IsAnErrorThatNamesTheCalendar) {
  const Calendar calendar = Make(OnceOpen());
  for (const absl::Status& status :
       {calendar.Add(At("2026-06-01T10:00Z"), absl::Seconds(1)).status(),
        calendar.Add(At("2026-06-01T09:00Z"), absl::Minutes(61)).status(),
        calendar.Add(At("2016-05-30T09:00Z"), absl::Minutes(1)).status(),
        calendar.Subtract(At("2026-06-01T09:00Z"), absl::Seconds(1)).status(),
        calendar.Subtract(At("2036-06-02T10:00Z"), absl::Seconds(1)).status(),
        calendar.NextOpening(At("2026-06-01T10:00Z")).status(),
        calendar.NextOpening(At("2016-05-30T09:00Z")).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("\"once\""), HasSubstr("ten years")));
  }
}

TEST(AnOpeningInTenYears, IsFound) {
  const Calendar calendar = Make(OnceOpen());
  EXPECT_EQ(Opening(calendar, "2016-06-01T09:00Z"), "2026-06-01T09:00:00Z");
  EXPECT_EQ(Plus(calendar, "2016-06-01T09:00Z", absl::Hours(1)), "2026-06-01T10:00:00Z");
  EXPECT_EQ(Minus(calendar, "2036-06-01T10:00Z", absl::Hours(1)), "2026-06-01T09:00:00Z");
  EXPECT_EQ(Open(calendar, "2036-06-01T10:00Z", "2046-06-01T10:00Z"), absl::ZeroDuration());
}

TEST(Instants, OutsideTheYearsCoveredAreRefused) {
  const Calendar calendar = Make(NewYorkSpec());
  const absl::Time inside = At("2026-06-01T10:00Z");
  for (const absl::Time far : {absl::InfiniteFuture(), absl::InfinitePast(),
                               At("1949-12-31T00:00Z"), At("2100-01-01T00:00Z")}) {
    for (const absl::Status& status :
         {calendar.Add(far, absl::Seconds(1)).status(), calendar.NextOpening(far).status(),
          calendar.Subtract(far, absl::Seconds(1)).status(), calendar.Between(far, inside).status(),
          calendar.Between(inside, far).status(), calendar.Segments(far, far).status()}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange) << status;
      EXPECT_THAT(std::string(status.message()), HasSubstr("new-york"));
    }
    EXPECT_FALSE(calendar.IsOpen(far));
  }
  for (const absl::Status& status : {calendar.Add(inside, absl::Hours(24 * 365 * 60)).status(),
                                     calendar.Add(inside, absl::Hours(1e9)).status(),
                                     calendar.Subtract(inside, absl::Hours(24 * 365 * 60)).status(),
                                     calendar.Subtract(inside, absl::Hours(1e9)).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange) << status;
  }
}

TEST(Instants, AtTheEndsOfTheYearsCoveredAreAnswered) {
  for (const char* zone : {"Pacific/Kiritimati", "Etc/GMT+12", "UTC"}) {
    const Calendar calendar = Make(AlwaysOpen(zone));
    EXPECT_EQ(Open(calendar, "1950-01-02T00:00Z", "2099-12-31T00:00Z"),
              At("2099-12-31T00:00Z") - At("1950-01-02T00:00Z"));
    EXPECT_EQ(Plus(calendar, "2099-12-30T23:00Z", absl::Hours(1)), "2099-12-31T00:00:00Z");
    EXPECT_EQ(Minus(calendar, "1950-01-02T01:00Z", absl::Hours(1)), "1950-01-02T00:00:00Z");
  }
}

// ---- specs

std::vector<std::string> Problems(const CalendarSpec& spec) {
  std::vector<std::string> lines;
  for (const Problem& problem : Validate(spec)) lines.push_back(problem.path + ": " + problem.what);
  return lines;
}

TEST(Create, NamesEveryProblemAtOnce) {
  CalendarSpec spec{.name = "broken", .zone = "Mars/Phobos"};
  spec.weekly = {On({monday, monday}, "09:00", "09:00"),
                 On({}, "09:00", "10:00"),
                 On({tuesday}, "09:00", "17:00", {Span("08:00", "09:30"), Span("09:00", "17:00")}),
                 On({tuesday}, "16:00", "18:00"),
                 On({sunday}, "22:00", "06:00"),
                 On({monday}, "05:00", "07:00")};
  spec.weekly.push_back({.days = {friday}, .hours = {.span = {.start_s = -1, .end_s = 86'401}}});
  spec.holidays = {{.year = 2026, .month = 2, .day = 29},
                   {.month = 13, .day = 1},
                   {.month = 5, .day = 1},
                   {.month = 5, .day = 1},
                   {.year = 3000, .month = 1, .day = 1}};
  spec.overrides = {
      {.date = absl::CivilDay(2026, 1, 1),
       .intervals = {{.span = Span("09:00", "12:00")}, {.span = Span("11:00", "13:00")}}},
      {.date = absl::CivilDay(2026, 1, 1), .name = "two\nlines"}};
  EXPECT_THAT(
      Problems(spec),
      ElementsAre("zone: \"Mars/Phobos\" is not an IANA time zone known to this machine",
                  "weekly[0].days[1]: names MON twice",
                  "weekly[0].end: equals the start, 09:00; a whole day is 00:00-24:00",
                  "weekly[1].days: is empty",
                  "weekly[2].breaks[0]: 08:00-09:30 is not within the open hours 09:00-17:00",
                  "weekly[2].breaks[1]: 09:00-17:00 leaves nothing open",
                  "weekly[6].start: is not within 00:00 and 23:59:59",
                  "weekly[6].end: is not within 00:00 and 24:00",
                  "weekly[5]: MON 05:00-07:00 overlaps weekly[4] SUN 22:00-06:00",
                  "weekly[3]: TUE 16:00-18:00 overlaps weekly[2] TUE 09:00-17:00",
                  "holidays[0].date: is not a day of the calendar",
                  "holidays[1].annual: is not a day of the calendar",
                  "holidays[3].annual: repeats holidays[2]",
                  "holidays[4].date: is outside the years 1950 to 2099",
                  "overrides[0].intervals[1]: 11:00-13:00 overlaps overrides[0].intervals[0] "
                  "09:00-12:00",
                  "overrides[1].name: has a control character",
                  "overrides[1].date: repeats overrides[0]"));
  const absl::Status status = Calendar::Create(spec).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("calendar \"broken\""), HasSubstr("Mars/Phobos"),
                    HasSubstr("overrides[1].date: repeats overrides[0]")));
}

TEST(Create, TellsTheFirstProblemsAndHowManyMoreThereAre) {
  CalendarSpec spec = NewYorkSpec();
  spec.holidays.assign(45, {.month = 2, .day = 30});
  const std::string message(Calendar::Create(spec).status().message());
  EXPECT_THAT(message, AllOf(HasSubstr("holidays[39].annual"), HasSubstr("; and 5 more")));
  EXPECT_EQ(message.find("holidays[40]"), std::string::npos);
}

TEST(Create, RefusesACalendarThatNeverOpens) {
  EXPECT_THAT(
      Problems(
          {.name = "never", .zone = "UTC", .overrides = {{.date = absl::CivilDay(2026, 1, 1)}}}),
      ElementsAre("weekly: is empty, and no override has hours: the calendar never opens"));
}

TEST(Create, RefusesHoursBesideRoundTheClock) {
  CalendarSpec spec = NewYorkSpec();
  spec.always_open = true;
  EXPECT_THAT(Problems(spec), ElementsAre("weekly: does not go with always_open",
                                          "holidays: does not go with always_open"));
}

TEST(Create, RefusesZonesThatAreNotIana) {
  for (const char* zone :
       {"", "localtime", "posixrules", "Factory", "Fixed/UTC+01:00:00", "/etc/localtime",
        "/dev/ptmx", "../zoneinfo/UTC", "../../etc/passwd", "right/UTC", "posix/UTC",
        "Europe/Londonx", "Europe", "file:UTC", "UTC ", "europe/london", "utc"}) {
    CalendarSpec spec = NewYorkSpec();
    spec.zone = zone;
    ASSERT_EQ(Problems(spec).size(), 1u) << zone;
    EXPECT_THAT(Problems(spec).front(), HasSubstr("zone: ")) << zone;
  }
}

TEST(Create, RefusesMoreThanItsLimits) {
  CalendarSpec spec = NewYorkSpec();
  spec.name = std::string(kMaxNameBytes + 1, 'x');
  for (int i = 0; i < 24; ++i) {
    spec.weekly[0].hours.breaks.push_back({.start_s = 36'000 + 20 * i, .end_s = 36'010 + 20 * i});
  }
  spec.holidays.clear();
  for (size_t i = 0; i <= kMaxHolidays; ++i) {
    const absl::CivilDay day = absl::CivilDay(2026, 1, 1) + static_cast<int>(i);
    spec.holidays.push_back(
        {.year = static_cast<int>(day.year()), .month = day.month(), .day = day.day()});
  }
  for (size_t i = 0; i <= kMaxOverrides; ++i) {
    spec.overrides.push_back({.date = absl::CivilDay(2026, 1, 1) + static_cast<int>(i)});
  }
  EXPECT_THAT(Problems(spec), ElementsAre("name: has 129 bytes, at most 128",
                                          "weekly: MON has 25 open hours and breaks, at most 24",
                                          "weekly: TUE has 25 open hours and breaks, at most 24",
                                          "weekly: WED has 25 open hours and breaks, at most 24",
                                          "weekly: THU has 25 open hours and breaks, at most 24",
                                          "weekly: FRI has 25 open hours and breaks, at most 24",
                                          "holidays: has 1001 entries, at most 1000",
                                          "overrides: has 1001 entries, at most 1000"));
}

TEST(AWholeWeek, MayBeOpenWithoutOverlap) {
  const Calendar calendar = Make(Daily("UTC", "00:00", "24:00"));
  EXPECT_EQ(Open(calendar, "2026-01-01T00:00Z", "2028-01-01T00:00Z"), absl::Hours(24 * 730));
  EXPECT_EQ(Problems(Daily("UTC", "08:00", "07:59:59")).size(), 0u);
}

TEST(LocalTime, IsReadAsItIsWritten) {
  for (const int seconds : {0, 60, 61, 34'200, 86'399, 86'400}) {
    EXPECT_EQ(ParseLocalTime(FormatLocalTime(seconds)), seconds);
  }
  EXPECT_EQ(FormatLocalTime(34'200), "09:30");
  EXPECT_EQ(FormatLocalTime(34'201), "09:30:01");
  for (const char* text : {"", "9:00", "09:60", "24:01", "24:00:01", "25:00", "09:00:60", "09-00",
                           "09:0x", "09:00 ", "-9:00", "0900", "09:00:0", "99:99:99"}) {
    EXPECT_EQ(ParseLocalTime(text), std::nullopt) << text;
  }
}

// ---- sharing

TEST(Copies, AnswerTheSameFromManyThreads) {
  const Calendar calendar = Make(NewYorkSpec());
  const Calendar fresh = Make(NewYorkSpec());
  std::vector<std::vector<absl::Time>> answers(4);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < answers.size(); ++i) {
    threads.emplace_back([copy = calendar, &mine = answers[i]] {
      for (int year = 1960; year < 2090; ++year) {
        const absl::Time t = absl::FromCivil(absl::CivilDay(year, 6, 1), absl::UTCTimeZone());
        mine.push_back(copy.Add(t, absl::Hours(3000)).value());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 1; i < answers.size(); ++i) EXPECT_EQ(answers[i], answers[0]);
  EXPECT_EQ(answers[0][66], fresh.Add(At("2026-06-01T00:00Z"), absl::Hours(3000)).value());
}

}  // namespace
}  // namespace tandem::calendar
