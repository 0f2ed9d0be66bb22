// Calendars to and from the messages of tandem.sla.v1, which policies and RPCs are written in.
// Pure functions: any thread may call them.
#ifndef TANDEM_COMMON_CALENDAR_CALENDAR_PROTO_H_
#define TANDEM_COMMON_CALENDAR_CALENDAR_PROTO_H_

#include <vector>

#include "absl/status/statusor.h"
#include "common/calendar/calendar.h"
#include "common/calendar/calendar_spec.h"
#include "tandem/sla/v1/calendar.pb.h"

namespace tandem::calendar {

// Reads `message` into `spec` and returns every problem at once: texts that are no times, dates or
// days of the week, and all that Validate finds in the rest. None = Calendar::Create accepts
// `spec`. Paths are those of the message's fields, "weekly[1].breaks[0].end". The message's version
// is not looked at.
std::vector<Problem> ReadCalendar(const sla::v1::Calendar& message, CalendarSpec& spec);

// The calendar that `message` describes; INVALID_ARGUMENT as ProblemsToStatus.
absl::StatusOr<Calendar> CalendarFromProto(const sla::v1::Calendar& message);

// The message that reads back as `spec`, which is valid; its version is 0.
sla::v1::Calendar ToProto(const CalendarSpec& spec);

// The message for one piece of time.
sla::v1::CalendarInterval ToProto(const Segment& segment);

}  // namespace tandem::calendar

#endif  // TANDEM_COMMON_CALENDAR_CALENDAR_PROTO_H_
