#include "services/sla_timer/calendars.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/calendar/calendar_proto.h"
#include "common/config/duration.h"
#include "common/config/nearest_name.h"
#include "common/corridor/errors.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"

namespace tandem::sla_timer {
namespace {

using corridor::Violations;
using sla::v1::CalendarSource;

constexpr int kDefaultPage = 50;
constexpr int kMostCalendars = 500;

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

void CheckVersion(int64_t version, const std::string& at, Violations& violations) {
  violations.Range(at, version, 0, INT64_MAX);
}

void CheckSource(const CalendarSource& source, Violations& violations) {
  switch (source.source_case()) {
    case CalendarSource::kName:
      CheckName(source.name(), "calendar.name", violations);
      CheckVersion(source.policy_version(), "calendar.policy_version", violations);
      return;
    case CalendarSource::kGiven:
      CheckCalendar(source.given(), "calendar.given", violations);
      return;
    case CalendarSource::SOURCE_NOT_SET:
      violations.Require(false, "calendar", "must name a calendar of the policy or give one");
  }
}

void CheckInstant(bool is_set, const google::protobuf::Timestamp& instant, const char* at,
                  Violations& violations) {
  violations.Require(is_set && instant.nanos() >= 0 && instant.nanos() < 1'000'000'000, at,
                     "must be an instant");
}

// Durations beyond the years that calendars cover are only out of range.
template <typename Request>
void CheckBudget(const Request& request, Violations& violations) {
  constexpr int64_t kCentury = int64_t{100} * 366 * 86400;
  if (!request.budget_text().empty()) {
    const absl::StatusOr<config::WrittenSpan> span = config::ParseSpan(request.budget_text());
    violations.Require(span.ok(), "budget", std::string(span.status().message()));
    if (!span.ok()) return;
    violations.Require(
        span->duration >= absl::ZeroDuration() && span->duration <= absl::Seconds(kCentury),
        "budget", "must be from 0 to 100 years");
    violations.Require(!request.has_budget() || time::Span(request.budget()) == span->duration,
                       "budget", "is not what its text says");
    return;
  }
  const google::protobuf::Duration& budget = request.budget();
  violations.Require(budget.seconds() >= 0 && budget.nanos() >= 0 &&
                         budget.nanos() < 1'000'000'000 && budget.seconds() <= kCentury,
                     "budget", "must be from 0 to 100 years");
}

// The checked budget of a question, in the words of its calendar.
template <typename Request>
absl::StatusOr<config::WrittenSpan> BudgetOf(const Request& request,
                                             const calendar::Calendar& calendar) {
  if (request.budget_text().empty()) {
    return config::WrittenSpan{.duration = time::Span(request.budget())};
  }
  absl::StatusOr<config::WrittenSpan> span = config::ParseSpan(request.budget_text());
  if (!span.ok()) return span.status();
  const std::string problem = DaysProblem(*span, request.budget_text(), calendar);
  Violations violations;
  violations.Require(problem.empty(), "budget", problem);
  if (!violations.ok()) return violations.status();
  return span;
}

// The version of the policy that a question is about.
absl::StatusOr<Policies::InForce> PolicyOf(std::optional<int64_t> version, const Policies& policies,
                                           corridor::View& view) {
  return version ? policies.At(view, *version) : policies.Current(view);
}

template <typename Request>
std::optional<int64_t> VersionOf(const Request& request) {
  if (!request.has_policy_version()) return std::nullopt;
  return request.policy_version();
}

absl::StatusOr<calendar::Calendar> FindCalendar(const Policies::InForce& policy,
                                                const std::string& name) {
  const auto found = policy.made->calendars().find(name);
  if (found != policy.made->calendars().end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [other, calendar] : policy.made->calendars()) known.push_back(other);
  return corridor::WithReason(
      absl::NotFoundError(absl::StrCat("policy sla version ", policy.ref.version(),
                                       " has no calendar \"", name, "\"",
                                       config::Suggestion(name, known))),
      "CALENDAR_NOT_FOUND",
      {{"calendar", name}, {"policy_version", absl::StrCat(policy.ref.version())}});
}

absl::StatusOr<calendar::Calendar> Resolve(const CalendarSource& source, const Policies& policies,
                                           corridor::View& view) {
  if (source.source_case() == CalendarSource::kGiven) {
    return calendar::CalendarFromProto(source.given());
  }
  const absl::StatusOr<Policies::InForce> policy = PolicyOf(VersionOf(source), policies, view);
  if (!policy.ok()) return policy.status();
  return FindCalendar(*policy, source.name());
}

sla::v1::Calendar MessageOf(const calendar::Calendar& calendar, const Policies::InForce& policy) {
  sla::v1::Calendar message = calendar::ToProto(calendar.spec());
  message.set_version(policy.ref.version());
  return message;
}

}  // namespace

absl::Status ValidateGetCalendar(const sla::v1::GetCalendarRequest& request) {
  Violations violations;
  CheckName(request.name(), "name", violations);
  CheckVersion(request.policy_version(), "policy_version", violations);
  return violations.status();
}

absl::StatusOr<sla::v1::GetCalendarResponse> GetCalendar(const sla::v1::GetCalendarRequest& request,
                                                         const Policies& policies,
                                                         const corridor::Inputs&,
                                                         corridor::View& view) {
  const absl::StatusOr<Policies::InForce> policy = PolicyOf(VersionOf(request), policies, view);
  if (!policy.ok()) return policy.status();
  const absl::StatusOr<calendar::Calendar> found = FindCalendar(*policy, request.name());
  if (!found.ok()) return found.status();
  sla::v1::GetCalendarResponse response;
  *response.mutable_calendar() = MessageOf(*found, *policy);
  return response;
}

absl::Status ValidateListCalendars(const sla::v1::ListCalendarsRequest& request) {
  Violations violations;
  violations.PageSize(request.page_size(), kMostCalendars);
  violations.Text("page_token", request.page_token(), calendar::kMaxNameBytes, true);
  CheckVersion(request.policy_version(), "policy_version", violations);
  return violations.status();
}

absl::StatusOr<sla::v1::ListCalendarsResponse> ListCalendars(
    const sla::v1::ListCalendarsRequest& request, const Policies& policies, const corridor::Inputs&,
    corridor::View& view) {
  const int size = request.page_size() == 0 ? kDefaultPage : request.page_size();
  const absl::StatusOr<Policies::InForce> policy = PolicyOf(VersionOf(request), policies, view);
  if (!policy.ok()) return policy.status();
  const auto& calendars = policy->made->calendars();
  sla::v1::ListCalendarsResponse response;
  for (auto it = calendars.upper_bound(request.page_token()); it != calendars.end(); ++it) {
    if (response.calendars_size() == size) {
      response.set_next_page_token(response.calendars(size - 1).name());
      break;
    }
    *response.add_calendars() = MessageOf(it->second, *policy);
  }
  return response;
}

absl::Status ValidateAddBusinessTime(const sla::v1::AddBusinessTimeRequest& request) {
  Violations violations;
  CheckSource(request.calendar(), violations);
  CheckInstant(request.has_from(), request.from(), "from", violations);
  CheckBudget(request, violations);
  return violations.status();
}

absl::StatusOr<sla::v1::AddBusinessTimeResponse> AddBusinessTime(
    const sla::v1::AddBusinessTimeRequest& request, const Policies& policies,
    const corridor::Inputs&, corridor::View& view) {
  const auto calendar = Resolve(request.calendar(), policies, view);
  if (!calendar.ok()) return calendar.status();
  const absl::StatusOr<config::WrittenSpan> budget = BudgetOf(request, *calendar);
  if (!budget.ok()) return budget.status();
  const absl::Time from = time::Instant(request.from());
  const auto due = budget->working_days > 0 ? calendar->AddWorkingDays(from, budget->working_days)
                                            : calendar->Add(from, budget->duration);
  if (!due.ok()) return due.status();
  sla::v1::AddBusinessTimeResponse response;
  *response.mutable_due_at() = time::Stamp(*due);
  return response;
}

absl::Status ValidateSubtractBusinessTime(const sla::v1::SubtractBusinessTimeRequest& request) {
  Violations violations;
  CheckSource(request.calendar(), violations);
  CheckInstant(request.has_to(), request.to(), "to", violations);
  CheckBudget(request, violations);
  return violations.status();
}

absl::StatusOr<sla::v1::SubtractBusinessTimeResponse> SubtractBusinessTime(
    const sla::v1::SubtractBusinessTimeRequest& request, const Policies& policies,
    const corridor::Inputs&, corridor::View& view) {
  const auto calendar = Resolve(request.calendar(), policies, view);
  if (!calendar.ok()) return calendar.status();
  const absl::StatusOr<config::WrittenSpan> budget = BudgetOf(request, *calendar);
  if (!budget.ok()) return budget.status();
  if (budget->working_days > 0) {
    Violations violations;
    violations.Require(false, "budget",
                       "must be hours of open time: working days lead forward alone");
    return violations.status();
  }
  const auto began = calendar->Subtract(time::Instant(request.to()), budget->duration);
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
    const sla::v1::BusinessTimeBetweenRequest& request, const Policies& policies,
    const corridor::Inputs&, corridor::View& view) {
  const auto calendar = Resolve(request.calendar(), policies, view);
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
                                                         const Policies& policies,
                                                         const corridor::Inputs&,
                                                         corridor::View& view) {
  const auto calendar = Resolve(request.calendar(), policies, view);
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
  violations.PageSize(request.page_size(), kMostCalendars);
  int64_t after = 0;
  violations.Require(request.page_token().empty() || absl::SimpleAtoi(request.page_token(), &after),
                     "page_token", "is no token of this list");
  return violations.status();
}

absl::StatusOr<sla::v1::ListIntervalsResponse> ListIntervals(
    const sla::v1::ListIntervalsRequest& request, const Policies& policies, const corridor::Inputs&,
    corridor::View& view) {
  const auto calendar = Resolve(request.calendar(), policies, view);
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
