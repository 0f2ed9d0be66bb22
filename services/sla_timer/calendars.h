// CalendarService: the calendars of the policy, and questions about them or about given ones.
#ifndef TANDEM_SERVICES_SLA_TIMER_CALENDARS_H_
#define TANDEM_SERVICES_SLA_TIMER_CALENDARS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "services/sla_timer/reactions.h"
#include "tandem/sla/v1/calendar.pb.h"

namespace tandem::sla_timer {

absl::Status ValidateGetCalendar(const sla::v1::GetCalendarRequest& request);
absl::StatusOr<sla::v1::GetCalendarResponse> GetCalendar(const sla::v1::GetCalendarRequest& request,
                                                         const Policies& policies,
                                                         const corridor::Inputs& in,
                                                         corridor::View& view);

absl::Status ValidateListCalendars(const sla::v1::ListCalendarsRequest& request);
absl::StatusOr<sla::v1::ListCalendarsResponse> ListCalendars(
    const sla::v1::ListCalendarsRequest& request, const Policies& policies,
    const corridor::Inputs& in, corridor::View& view);

absl::Status ValidateAddBusinessTime(const sla::v1::AddBusinessTimeRequest& request);
absl::StatusOr<sla::v1::AddBusinessTimeResponse> AddBusinessTime(
    const sla::v1::AddBusinessTimeRequest& request, const Policies& policies,
    const corridor::Inputs& in, corridor::View& view);

absl::Status ValidateSubtractBusinessTime(const sla::v1::SubtractBusinessTimeRequest& request);
absl::StatusOr<sla::v1::SubtractBusinessTimeResponse> SubtractBusinessTime(
    const sla::v1::SubtractBusinessTimeRequest& request, const Policies& policies,
    const corridor::Inputs& in, corridor::View& view);

absl::Status ValidateBusinessTimeBetween(const sla::v1::BusinessTimeBetweenRequest& request);
absl::StatusOr<sla::v1::BusinessTimeBetweenResponse> BusinessTimeBetween(
    const sla::v1::BusinessTimeBetweenRequest& request, const Policies& policies,
    const corridor::Inputs& in, corridor::View& view);

absl::Status ValidateNextOpening(const sla::v1::NextOpeningRequest& request);
absl::StatusOr<sla::v1::NextOpeningResponse> NextOpening(const sla::v1::NextOpeningRequest& request,
                                                         const Policies& policies,
                                                         const corridor::Inputs& in,
                                                         corridor::View& view);

absl::Status ValidateListIntervals(const sla::v1::ListIntervalsRequest& request);
absl::StatusOr<sla::v1::ListIntervalsResponse> ListIntervals(
    const sla::v1::ListIntervalsRequest& request, const Policies& policies,
    const corridor::Inputs& in, corridor::View& view);

}  // namespace tandem::sla_timer

#endif  // TANDEM_SERVICES_SLA_TIMER_CALENDARS_H_
