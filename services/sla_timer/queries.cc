#include "services/sla_timer/queries.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/corridor/errors.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "common/time/zones.h"
#include "services/sla_timer/answers.h"
#include "services/sla_timer/explain.h"
#include "services/sla_timer/records.h"
#include "services/sla_timer/report.h"
#include "services/sla_timer/sla_rules.h"
#include "services/sla_timer/ticket_clocks.h"

namespace tandem::sla_timer {
namespace {

using corridor::Violations;
using records::TicketRecord;
using type::v1::SlaMetric;

constexpr int kMostPage = 500;
constexpr int kDefaultRiskPage = 50;
constexpr int64_t kDefaultHorizonSeconds = 4 * 3600;
constexpr int64_t kMostHorizonSeconds = 366 * 86400;
constexpr int64_t kMostReported = 200'000;

absl::Status CheckTicketId(const std::string& ticket_id) {
  Violations violations;
  violations.Id("ticket_id", ticket_id);
  return violations.status();
}

// A ticket with the rules of its policies, which its evaluations point into.
struct Known {
  corridor::Loaded<TicketRecord> record;
  PolicyVersions policies;

  Evaluation Judged(SlaMetric metric) const {
    return Evaluate(FactsOf(*record), metric, policies, AuthorityOf(FindClock(*record, metric)));
  }
};

absl::StatusOr<Known> Find(const std::string& ticket_id, const Policies& policies,
                           corridor::View& view) {
  auto loaded = view.Load(Tickets(), ticket_id);
  if (!loaded.ok()) return loaded.status();
  if (!*loaded) return corridor::NotHeardOf("ticket", ticket_id);
  absl::StatusOr<PolicyVersions> versions = LoadVersions(**loaded, policies, view);
  if (!versions.ok()) return versions.status();
  return Known{*std::move(loaded), *std::move(versions)};
}

template <typename Clocks>
void AddClocks(const Known& known, absl::Time now, Clocks* clocks) {
  for (const SlaMetric metric : kMetrics) {
    const Evaluation judged = known.Judged(metric);
    for (const Cycle& cycle : judged.cycles) {
      *clocks->Add() = StatusOf(metric, cycle, FindClock(*known.record, metric), now);
    }
  }
}

// "<microseconds>:<ticket id>".
struct Position {
  int64_t us = INT64_MIN;
  std::string key;
};

bool ReadPosition(const std::string& token, Position& position) {
  if (token.empty()) return true;
  const std::pair<std::string, std::string> parts = absl::StrSplit(token, absl::MaxSplits(':', 1));
  position.key = parts.second;
  return absl::SimpleAtoi(parts.first, &position.us) && !position.key.empty();
}

}  // namespace

absl::Status ValidateGetTicketSla(const sla::v1::GetTicketSlaRequest& request) {
  return CheckTicketId(request.ticket_id());
}

absl::StatusOr<sla::v1::GetTicketSlaResponse> GetTicketSla(
    const sla::v1::GetTicketSlaRequest& request, const Policies& policies,
    const corridor::Inputs& in, corridor::View& view) {
  const absl::StatusOr<Known> known = Find(request.ticket_id(), policies, view);
  if (!known.ok()) return known.status();
  sla::v1::GetTicketSlaResponse response;
  response.set_ticket_id(request.ticket_id());
  response.set_account_id(known->record->account_id());
  response.set_out_of_attainment(ExclusionOf(FactsOf(*known->record)));
  AddClocks(*known, in.now, response.mutable_clocks());
  for (const records::Judged& judged : known->record->judged()) {
    *response.add_verdicts() = VerdictMessage(judged);
  }
  *response.mutable_as_of() = time::Stamp(in.now);
  return response;
}

absl::Status ValidateListAtRisk(const sla::v1::ListAtRiskRequest& request) {
  Violations violations;
  violations.Range("horizon", request.horizon().seconds(), 0, kMostHorizonSeconds);
  violations.Require(request.horizon().nanos() >= 0, "horizon", "must not be negative");
  violations.Id("account_id", request.account_id(), true);
  violations.Require(
      request.metric() == type::v1::SLA_METRIC_UNSPECIFIED || HasClock(request.metric()), "metric",
      "must be FIRST_RESPONSE, RESOLUTION or TIME_TO_OWN");
  violations.PageSize(request.page_size(), kMostPage);
  Position position;
  violations.Require(ReadPosition(request.page_token(), position), "page_token",
                     "is no token of this list");
  return violations.status();
}

absl::StatusOr<sla::v1::ListAtRiskResponse> ListAtRisk(const sla::v1::ListAtRiskRequest& request,
                                                       const Policies& policies,
                                                       const corridor::Inputs& in,
                                                       corridor::View& view) {
  const absl::Duration horizon = time::Span(request.horizon());
  const absl::Time until =
      in.now + (horizon == absl::ZeroDuration() ? absl::Seconds(kDefaultHorizonSeconds) : horizon);
  Position after;
  ReadPosition(request.page_token(), after);
  const int size = request.page_size() == 0 ? kDefaultRiskPage : request.page_size();
  const auto rows =
      SelectDue(view, time::ToMicros(until), request.account_id(), after.us, after.key, size + 1);
  if (!rows.ok()) return rows.status();
  sla::v1::ListAtRiskResponse response;
  for (size_t i = 0; i < rows->size() && i < static_cast<size_t>(size); ++i) {
    absl::StatusOr<PolicyVersions> versions = LoadVersions(*(*rows)[i], policies, view);
    if (!versions.ok()) return versions.status();
    const Known known{(*rows)[i], *std::move(versions)};
    int64_t next_due = INT64_MAX;
    std::vector<std::pair<int64_t, sla::v1::ClockStatus>> due;
    for (const records::Clock& clock : known.record->clocks()) {
      if (clock.due_us() == 0) continue;
      next_due = std::min(next_due, clock.due_us());
      if (clock.due_us() > time::ToMicros(until)) continue;
      if (request.metric() != type::v1::SLA_METRIC_UNSPECIFIED &&
          request.metric() != clock.metric()) {
        continue;
      }
      const Evaluation judged = known.Judged(clock.metric());
      if (judged.Latest() == nullptr) continue;
      due.emplace_back(clock.due_us(), StatusOf(clock.metric(), *judged.Latest(), &clock, in.now));
    }
    std::stable_sort(due.begin(), due.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [us, status] : due) {
      sla::v1::ClockAtRisk& clock = *response.add_clocks();
      clock.set_ticket_id(known.record.key);
      clock.set_account_id(known.record->account_id());
      *clock.mutable_clock() = std::move(status);
    }
    if (i + 1 == static_cast<size_t>(size) && rows->size() > static_cast<size_t>(size)) {
      response.set_next_page_token(absl::StrCat(next_due, ":", known.record.key));
    }
  }
  return response;
}

absl::Status ValidateExplainClock(const sla::v1::ExplainClockRequest& request) {
  Violations violations;
  violations.Id("ticket_id", request.ticket_id());
  violations.Require(HasClock(request.metric()), "metric",
                     "must be FIRST_RESPONSE, RESOLUTION or TIME_TO_OWN");
  violations.Range("cycle", request.cycle(), 0, INT32_MAX);
  violations.PageSize(request.page_size(), kMostPage);
  int64_t from = 0;
  violations.Require(
      request.page_token().empty() || (absl::SimpleAtoi(request.page_token(), &from) && from >= 0),
      "page_token", "is no token of this list");
  return violations.status();
}

absl::StatusOr<sla::v1::ExplainClockResponse> ExplainClock(
    const sla::v1::ExplainClockRequest& request, const Policies& policies,
    const corridor::Inputs& in, corridor::View& view) {
  const absl::StatusOr<Known> known = Find(request.ticket_id(), policies, view);
  if (!known.ok()) return known.status();
  const Evaluation judged = known->Judged(request.metric());
  const Cycle* cycle = nullptr;
  for (const Cycle& each : judged.cycles) {
    if (request.cycle() == 0 || request.cycle() == each.number) cycle = &each;
  }
  if (cycle == nullptr) {
    return corridor::NotFound(
        "clock", absl::StrCat(request.ticket_id(), " ", type::v1::SlaMetric_Name(request.metric()),
                              " ", request.cycle()));
  }
  const absl::StatusOr<Explanation> explained = Explain(*cycle, in.now);
  if (!explained.ok()) return explained.status();
  sla::v1::ExplainClockResponse response;
  *response.mutable_clock() =
      StatusOf(request.metric(), *cycle, FindClock(*known->record, request.metric()), in.now);
  *response.mutable_counted() = time::StampSpan(explained->counted);
  *response.mutable_as_of() = time::Stamp(in.now);
  const size_t size =
      static_cast<size_t>(request.page_size() == 0 ? kMostPage : request.page_size());
  size_t first = 0;
  if (!absl::SimpleAtoi(request.page_token(), &first)) first = 0;
  const size_t end = std::min(explained->pieces.size(), std::max(first, first + size));
  for (size_t i = first; i < end; ++i) {
    const ClockPiece& piece = explained->pieces[i];
    sla::v1::ClockSegment& segment = *response.add_segments();
    *segment.mutable_from() = time::Stamp(piece.from);
    *segment.mutable_to() = time::Stamp(piece.to);
    segment.set_counted(piece.counted);
    segment.set_why(piece.why);
    segment.set_cause_event_id(known->record->facts(piece.fact).event_id());
    segment.set_calendar_rule(piece.calendar_rule);
    if (!piece.calendar_rule.empty()) segment.set_calendar(piece.leg.target->hours.name());
    Cite(piece.leg, segment.mutable_policy());
    segment.set_expected(piece.expected);
  }
  if (end < explained->pieces.size()) response.set_next_page_token(absl::StrCat(end));
  return response;
}

absl::Status ValidateRecomputeTicket(const sla::v1::RecomputeTicketRequest& request) {
  return CheckTicketId(request.ticket_id());
}

absl::StatusOr<sla::v1::RecomputeTicketResponse> RecomputeTicket(
    const sla::v1::RecomputeTicketRequest& request, const Policies& policies,
    const corridor::Inputs& in, corridor::View& view) {
  const absl::StatusOr<Known> known = Find(request.ticket_id(), policies, view);
  if (!known.ok()) return known.status();
  const absl::StatusOr<Policies::InForce> current = policies.Current(view);
  if (!current.ok()) return current.status();
  sla::v1::RecomputeTicketResponse response;
  response.set_ticket_id(request.ticket_id());
  AddClocks(*known, in.now, response.mutable_as_judged());
  for (const records::Judged& judged : known->record->judged()) {
    *response.add_verdicts() = VerdictMessage(judged);
  }
  PolicyVersions today;
  today.Add(current->ref.version(), current->made);
  const std::vector<Fact> facts = AsIfKnown(FactsOf(*known->record), current->ref.version());
  Authority full;
  full.fired_until = in.now;
  for (const SlaMetric metric : kMetrics) {
    const Evaluation evaluation = Evaluate(facts, metric, today, full);
    for (const Cycle& cycle : evaluation.cycles) {
      *response.add_recomputed() = StatusOf(metric, cycle, nullptr, in.now);
    }
  }
  *response.mutable_policy() = current->ref;
  *response.mutable_as_of() = time::Stamp(in.now);
  return response;
}

absl::Status ValidateVerifyClocks(const sla::v1::VerifyClocksRequest& request) {
  Violations violations;
  violations.PageSize(request.page_size(), kMostPage);
  violations.Id("page_token", request.page_token(), true);
  return violations.status();
}

absl::StatusOr<sla::v1::VerifyClocksResponse> VerifyClocks(
    const sla::v1::VerifyClocksRequest& request, const Policies& policies,
    const corridor::Inputs& in, corridor::View& view) {
  const int size = request.page_size() == 0 ? kMostPage : request.page_size();
  const auto rows = SelectAll(view, request.page_token(), size + 1);
  if (!rows.ok()) return rows.status();
  sla::v1::VerifyClocksResponse response;
  response.set_tzdata_version(time::TzdataVersion());
  for (const auto& row : *rows) {
    if (response.tickets() == size) {
      response.set_next_page_token((*rows)[static_cast<size_t>(size) - 1].key);
      break;
    }
    const absl::StatusOr<PolicyVersions> versions = LoadVersions(*row, policies, view);
    if (!versions.ok()) return versions.status();
    response.set_tickets(response.tickets() + 1);
    response.set_clocks(response.clocks() + row->clocks_size());
    for (const SlaMetric metric : kMetrics) {
      for (sla::v1::ClockDrift& drift : DriftsOf(row.key, *row, metric, *versions, in.now)) {
        *response.add_drifts() = std::move(drift);
      }
    }
  }
  return response;
}

absl::Status ValidateGetSlaReport(const sla::v1::GetSlaReportRequest& request) {
  Violations violations;
  violations.Require(request.has_from(), "from", "must be given");
  violations.Require(request.has_to(), "to", "must be given");
  if (request.has_from() && request.has_to()) {
    violations.Require(time::MicrosOf(request.from()) <= time::MicrosOf(request.to()), "to",
                       "is before `from`");
  }
  violations.Id("account_id", request.account_id(), true);
  std::set<int> dimensions;
  for (const int dimension : request.group_by()) {
    violations.Require(
        dimension != sla::v1::REPORT_DIMENSION_UNSPECIFIED && dimensions.insert(dimension).second,
        "group_by", "must hold each dimension at most once");
  }
  return violations.status();
}

absl::StatusOr<sla::v1::GetSlaReportResponse> GetSlaReport(
    const sla::v1::GetSlaReportRequest& request, const Policies& policies,
    const corridor::Inputs& in, corridor::View& view) {
  Report report(request, in.now);
  Position after;
  int64_t tickets = 0;
  while (true) {
    const auto rows =
        SelectOpened(view, time::MicrosOf(request.from()), time::MicrosOf(request.to()),
                     request.account_id(), after.us, after.key, kMostPage);
    if (!rows.ok()) return rows.status();
    for (const auto& row : *rows) {
      if (++tickets > kMostReported) {
        return absl::ResourceExhaustedError(absl::StrCat(
            "more than ", kMostReported, " tickets were opened in the period; ask for less"));
      }
      const absl::StatusOr<PolicyVersions> versions = LoadVersions(*row, policies, view);
      if (!versions.ok()) return versions.status();
      const std::vector<Fact> facts = FactsOf(*row);
      std::array<Evaluation, kMetrics.size()> clocks;
      for (size_t i = 0; i < kMetrics.size(); ++i) {
        clocks[i] =
            Evaluate(facts, kMetrics[i], *versions, AuthorityOf(FindClock(*row, kMetrics[i])));
      }
      report.Add(row->account_id(), facts, clocks);
    }
    if (rows->size() < kMostPage) return report.Take();
    after.us = rows->back()->facts(0).at_us();
    after.key = rows->back().key;
  }
}

}  // namespace tandem::sla_timer
