#include "services/sla_timer/calendars.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/calendar/calendar_proto.h"
#include "common/corridor/errors.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "services/sla_timer/records.h"
#include "services/sla_timer/ticket_clocks.h"

namespace tandem::sla_timer {
namespace {

using corridor::Violations;
using sla::v1::CalendarSource;

constexpr int kDefaultPage = 50;
constexpr int kMostPage = 500;

void CheckCalendar(const sla::v1::Calendar& message, const std::string& at,
                   Violations& violations) {
  calendar::CalendarSpec spec;
  for (const calendar::Problem& problem : calendar::ReadCalendar(message, spec)) {
    violations.Require(false, absl::StrCat(at, ".", problem.path), problem.what);
  }
}

void CheckName(const std::string& name, const std::string& at, Violations& violations) {
  violations.Text(at, name, calendar::kMaxNameBytes);
}

void CheckSource(const CalendarSource& source, Violations& violations) {
  switch (source.source_case()) {
    case CalendarSource::kName:
      CheckName(source.name(), "calendar.name", violations);
      return;
    case CalendarSource::kGiven:
      CheckCalendar(source.given(), "calendar.given", violations);
      return;
    case CalendarSource::SOURCE_NOT_SET:
      violations.Require(false, "calendar", "must name a stored calendar or give one");
  }
}

void CheckInstant(bool is_set, const google::protobuf::Timestamp& instant, const char* at,
                  Violations& violations) {
  violations.Require(is_set && instant.nanos() >= 0 && instant.nanos() < 1'000'000'000, at,
                     "must be an instant");
}

// Durations beyond the years that calendars cover are only out of range.
void CheckBudget(const google::protobuf::Duration& budget, Violations& violations) {
  constexpr int64_t kCentury = int64_t{100} * 366 * 86400;
  violations.Require(budget.seconds() >= 0 && budget.nanos() >= 0 &&
                         budget.nanos() < 1'000'000'000 && budget.seconds() <= kCentury,
                     "budget", "must be from 0 to 100 years");
}

absl::StatusOr<calendar::Calendar> Resolve(const CalendarSource& source, corridor::View& view) {
  if (source.source_case() == CalendarSource::kGiven) {
    return calendar::CalendarFromProto(source.given());
  }
  auto stored = view.Load(Calendars(), source.name());
  if (!stored.ok()) return stored.status();
  if (!*stored) return corridor::NotFound("calendar", source.name());
  return calendar::CalendarFromProto((*stored)->calendar());
}

sla::v1::Calendar WithVersion(const corridor::Loaded<records::CalendarRecord>& stored) {
  sla::v1::Calendar calendar = stored->calendar();
  calendar.set_version(stored.version);
  return calendar;
}

}  // namespace

absl::Status ValidatePutCalendar(const sla::v1::PutCalendarRequest& request) {
  Violations violations;
  CheckCalendar(request.calendar(), "calendar", violations);
  violations.Range("calendar.version", request.calendar().version(), 0, INT64_MAX);
  return violations.status();
}

absl::StatusOr<corridor::Decision> PutCalendar(const sla::v1::PutCalendarRequest& request,
                                               const corridor::Inputs&, corridor::View& view) {
  const std::string& name = request.calendar().name();
  auto stored = view.Load(Calendars(), name);
  if (!stored.ok()) return stored.status();
  if (request.calendar().version() != stored->version) {
    return corridor::VersionConflict("calendar", name, request.calendar().version(),
                                     stored->version);
  }
  corridor::Decision decision;
  records::CalendarRecord record;
  *record.mutable_calendar() = request.calendar();
  record.mutable_calendar()->clear_version();
  decision.Save(Calendars(), name, std::move(record));
  sla::v1::PutCalendarResponse response;
  response.set_name(name);
  response.set_version(stored->version + 1);
  decision.Reply(std::move(response));
  return decision;
}

absl::Status ValidateGetCalendar(const sla::v1::GetCalendarRequest& request) {
  Violations violations;
  CheckName(request.name(), "name", violations);
  return violations.status();
}

absl::StatusOr<sla::v1::GetCalendarResponse> GetCalendar(const sla::v1::GetCalendarRequest& request,
                                                         const corridor::Inputs&,
                                                         corridor::View& view) {
  auto stored = view.Load(Calendars(), request.name());
  if (!stored.ok()) return stored.status();
  if (!*stored) return corridor::NotFound("calendar", request.name());
  sla::v1::GetCalendarResponse response;
  *response.mutable_calendar() = WithVersion(*stored);
  return response;
}

absl::Status ValidateListCalendars(const sla::v1::ListCalendarsRequest& request) {
  Violations violations;
  violations.PageSize(request.page_size(), kMostPage);
  violations.Text("page_token", request.page_token(), calendar::kMaxNameBytes, true);
  return violations.status();
}

absl::StatusOr<sla::v1::ListCalendarsResponse> ListCalendars(
    const sla::v1::ListCalendarsRequest& request, const corridor::Inputs&, corridor::View& view) {
  const int size = request.page_size() == 0 ? kDefaultPage : request.page_size();
  auto rows = SelectCalendars(view, request.page_token(), size + 1);
  if (!rows.ok()) return rows.status();
  sla::v1::ListCalendarsResponse response;
  for (const auto& row : *rows) {
    if (response.calendars_size() == size) {
      response.set_next_page_token(response.calendars(size - 1).name());
      break;
    }
    *response.add_calendars() = WithVersion(row);
  }
  return response;
}

absl::Status ValidateAddBusinessTime(const sla::v1::AddBusinessTimeRequest& request) {
  Violations violations;
  CheckSource(request.calendar(), violations);
  CheckInstant(request.has_from(), request.from(), "from", violations);
  CheckBudget(request.budget(), violations);
  return violations.status();
}

absl::StatusOr<sla::v1::AddBusinessTimeResponse> AddBusinessTime(
    const sla::v1::AddBusinessTimeRequest& request, const corridor::Inputs&, corridor::View& view) {
  const auto calendar = Resolve(request.calendar(), view);
  if (!calendar.ok()) return calendar.status();
  const auto due = calendar->Add(time::Instant(request.from()), time::Span(request.budget()));
  if (!due.ok()) return due.status();
  sla::v1::AddBusinessTimeResponse response;
  *response.mutable_due_at() = time::Stamp(*due);
  return response;
}

absl::Status ValidateSubtractBusinessTime(const sla::v1::SubtractBusinessTimeRequest& request) {
  Violations violations;
  CheckSource(request.calendar(), violations);
  CheckInstant(request.has_to(), request.to(), "to", violations);
  CheckBudget(request.budget(), violations);
  return violations.status();
}

absl::StatusOr<sla::v1::SubtractBusinessTimeResponse> SubtractBusinessTime(
    const sla::v1::SubtractBusinessTimeRequest& request, const corridor::Inputs&,
    corridor::View& view) {
  const auto calendar = Resolve(request.calendar(), view);
  if (!calendar.ok()) return calendar.status();
  const auto began = calendar->Subtract(time::Instant(request.to()), time::Span(request.budget()));
  if (!began.ok()) return began.status();
  sla::v1::SubtractBusinessTimeResponse response;
  *response.mutable_began_at() = time::Stamp(*began);
  return response;
}

absl::Status ValidateBusinessTimeBetween(const sla::v1::BusinessTimeBetweenRequest& request) {
  Violations violations;
  CheckSource(request.calendar(), violations);
  CheckInstant(request.has_from(), request.from(), "from", violations);
  CheckInstant(request.has_to(), request.to(), "to", violations);
  return violations.status();
}

absl::StatusOr<sla::v1::BusinessTimeBetweenResponse> BusinessTimeBetween(
    const sla::v1::BusinessTimeBetweenRequest& request, const corridor::Inputs&,
    corridor::View& view) {
  const auto calendar = Resolve(request.calendar(), view);
  if (!calendar.ok()) return calendar.status();
  const auto between =
      calendar->Between(time::Instant(request.from()), time::Instant(request.to()));
  if (!between.ok()) return between.status();
  sla::v1::BusinessTimeBetweenResponse response;
  *response.mutable_business_time() = time::StampSpan(*between);
  return response;
}

absl::Status ValidateNextOpening(const sla::v1::NextOpeningRequest& request) {
  Violations violations;
  CheckSource(request.calendar(), violations);
  CheckInstant(request.has_from(), request.from(), "from", violations);
  return violations.status();
}

absl::StatusOr<sla::v1::NextOpeningResponse> NextOpening(const sla::v1::NextOpeningRequest& request,
                                                         const corridor::Inputs&,
                                                         corridor::View& view) {
  const auto calendar = Resolve(request.calendar(), view);
  if (!calendar.ok()) return calendar.status();
  const auto opens = calendar->NextOpening(time::Instant(request.from()));
  if (!opens.ok()) return opens.status();
  sla::v1::NextOpeningResponse response;
  *response.mutable_opens_at() = time::Stamp(*opens);
  return response;
}

absl::Status ValidateListIntervals(const sla::v1::ListIntervalsRequest& request) {
  Violations violations;
  CheckSource(request.calendar(), violations);
  CheckInstant(request.has_from(), request.from(), "from", violations);
  CheckInstant(request.has_to(), request.to(), "to", violations);
  if (request.has_from() && request.has_to()) {
    violations.Require(time::Instant(request.from()) <= time::Instant(request.to()), "to",
                       "is before `from`");
  }
  violations.PageSize(request.page_size(), kMostPage);
  int64_t after = 0;
  violations.Require(request.page_token().empty() || absl::SimpleAtoi(request.page_token(), &after),
                     "page_token", "is no token of this list");
  return violations.status();
}

absl::StatusOr<sla::v1::ListIntervalsResponse> ListIntervals(
    const sla::v1::ListIntervalsRequest& request, const corridor::Inputs&, corridor::View& view) {
  const auto calendar = Resolve(request.calendar(), view);
  if (!calendar.ok()) return calendar.status();
  const size_t size =
      static_cast<size_t>(request.page_size() == 0 ? kDefaultPage : request.page_size());
  // A page goes on where the last one's final piece ended.
  absl::Time from = time::Instant(request.from());
  int64_t after_us = 0;
  if (absl::SimpleAtoi(request.page_token(), &after_us)) {
    from = std::max(from, time::FromMicros(after_us));
  }
  const absl::Time to = std::max(from, time::Instant(request.to()));
  const auto pieces = request.include_closed() ? calendar->Segments(from, to, size + 1)
                                               : calendar->Intervals(from, to, size + 1);
  if (!pieces.ok()) return pieces.status();
  sla::v1::ListIntervalsResponse response;
  for (size_t i = 0; i < pieces->size() && i < size; ++i) {
    *response.add_intervals() = calendar::ToProto((*pieces)[i]);
  }
  if (pieces->size() > size) {
    response.set_next_page_token(absl::StrCat(time::ToMicros((*pieces)[size - 1].to)));
  }
  return response;
}

}  // namespace tandem::sla_timer
