#include "services/account_health/health_commands.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/corridor/errors.h"
#include "common/time/stamp.h"
#include "services/account_health/commands_work.h"
#include "services/account_health/health.h"
#include "services/account_health/pages.h"
#include "services/account_health/records.h"

namespace tandem::account_health {

using corridor::Violations;

absl::Status Validate(const account::v1::GetHealthRequest& request) {
  Violations violations;
  violations.Id("account_id", request.account_id());
  return violations.status();
}

absl::StatusOr<account::v1::GetHealthResponse> GetHealth(
    const account::v1::GetHealthRequest& request, const Call& call) {
  auto account = call.view.Load(Accounts(), request.account_id());
  if (!account.ok()) return account.status();
  if (!*account) return corridor::NotFound("account", request.account_id());
  auto health = call.view.Load(HealthRecords(), request.account_id());
  if (!health.ok()) return health.status();
  if (!*health) return corridor::NotFound("account", request.account_id());
  // Told by the policy that scored it, so that the parts add up while a new one goes round.
  auto in_force = call.policies.At(call.view, (*health)->policy_version());
  if (!in_force.ok()) return in_force.status();
  const HealthScore score = ScoreOf(**health, in_force->made->health());

  account::v1::GetHealthResponse response;
  response.set_account_id(request.account_id());
  response.set_score((*health)->score());
  response.set_band((*health)->band());
  response.set_known_share(score.known_share);
  response.set_profile(score.profile);
  for (const account::v1::GroupScore& group : score.groups) *response.add_groups() = group;
  if ((*health)->moved_us() != 0)
    *response.mutable_moved_at() = time::StampOfMicros((*health)->moved_us());
  if ((*health)->decay_us() != 0) {
    *response.mutable_next_decay_at() = time::StampOfMicros((*health)->decay_us());
  }
  *response.mutable_policy() = in_force->ref;
  return response;
}

absl::Status Validate(const account::v1::ExplainHealthRequest& request) {
  Violations violations;
  violations.Id("account_id", request.account_id());
  violations.PageSize(request.page_size(), kLargestPage);
  return violations.status();
}

absl::StatusOr<account::v1::ExplainHealthResponse> ExplainHealth(
    const account::v1::ExplainHealthRequest& request, const Call& call) {
  auto parts = ReadPosition(request.page_token(), 1);
  if (!parts.ok()) return parts.status();
  auto before = ReadNumber((*parts)[0], INT64_MAX);
  if (!before.ok()) return before.status();
  auto account = call.view.Load(Accounts(), request.account_id());
  if (!account.ok()) return account.status();
  if (!*account) return corridor::NotFound("account", request.account_id());
  const int64_t size = PageOf(request.page_size());
  auto rows = SelectMoves(call.view, request.account_id(), *before,
                          request.has_from() ? time::MicrosOf(request.from()) : INT64_MIN,
                          request.has_to() ? time::MicrosOf(request.to()) : INT64_MAX, size + 1);
  if (!rows.ok()) return rows.status();
  account::v1::ExplainHealthResponse response;
  for (const auto& row : *rows) {
    if (response.moves_size() == size) {
      response.set_next_page_token(
          WritePosition({absl::StrCat(response.moves(response.moves_size() - 1).sequence())}));
      break;
    }
    account::v1::HealthMove& move = *response.add_moves();
    move.set_sequence(row->sequence());
    move.set_cause_id(row->cause_id());
    move.set_cause_type(row->cause_type());
    move.set_subject_id(row->subject_id());
    *move.mutable_occurred_at() = time::StampOfMicros(row->occurred_us());
    move.set_from_score(row->from_score());
    move.set_to_score(row->to_score());
    move.set_from_band(row->from_band());
    move.set_to_band(row->to_band());
    if (row->from_score() != kNoScore && row->to_score() != kNoScore) {
      move.set_share(row->to_score() - row->from_score());
    }
    move.mutable_policy()->set_kind(kPolicyKind);
    move.mutable_policy()->set_version(row->policy_version());
  }
  return response;
}

absl::Status Validate(const account::v1::ListHealthRequest& request) {
  Violations violations;
  for (int i = 0; i < request.bands_size(); ++i) {
    violations.Require(type::v1::HealthBand_IsValid(request.bands(i)),
                       absl::StrCat("bands[", i, "]"), "is no known value");
  }
  for (int i = 0; i < request.segments_size(); ++i) {
    violations.Require(type::v1::Segment_IsValid(request.segments(i)),
                       absl::StrCat("segments[", i, "]"), "is no known value");
  }
  violations.Count("bands", static_cast<size_t>(request.bands_size()), 50);
  violations.Count("segments", static_cast<size_t>(request.segments_size()), 50);
  violations.PageSize(request.page_size(), kLargestPage);
  return violations.status();
}

absl::StatusOr<account::v1::ListHealthResponse> ListHealth(
    const account::v1::ListHealthRequest& request, const Call& call) {
  auto parts = ReadPosition(request.page_token(), 2);
  if (!parts.ok()) return parts.status();
  auto after = ReadNumber((*parts)[0], INT64_MIN);
  if (!after.ok()) return after.status();
  const int64_t size = PageOf(request.page_size());
  auto rows = SelectHealth(call.view, {request.bands().begin(), request.bands().end()},
                           {request.segments().begin(), request.segments().end()}, *after,
                           (*parts)[1], size + 1);
  if (!rows.ok()) return rows.status();
  account::v1::ListHealthResponse response;
  for (size_t i = 0; i < rows->size(); ++i) {
    if (response.accounts_size() == size) {
      const auto& last = (*rows)[i - 1];
      response.set_next_page_token(WritePosition(
          {absl::StrCat(last->score() == kNoScore ? kSortsLast : last->score()), last.key}));
      break;
    }
    const auto& row = (*rows)[i];
    account::v1::AccountHealth& one = *response.add_accounts();
    one.set_account_id(row.key);
    one.set_score(row->score());
    one.set_band(row->band());
    one.set_segment(row->segment());
    one.set_stage(row->stage());
    if (row->band_since_us() != 0)
      *one.mutable_band_since() = time::StampOfMicros(row->band_since_us());
  }
  auto counts = CountBands(call.view);
  if (!counts.ok()) return counts.status();
  for (const account::v1::BandCount& count : *counts) *response.add_counts() = count;
  return response;
}

}  // namespace tandem::account_health
