#include "services/account_health/policy_effects.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/corridor/canonical.h"
#include "services/account_health/records.h"

namespace tandem::account_health {
namespace {

bool Differ(const google::protobuf::Message& a, const google::protobuf::Message& b) {
  return corridor::CanonicalBytes(a) != corridor::CanonicalBytes(b);
}

std::string Accounts(int64_t count) {
  return absl::StrCat(count, count == 1 ? " account" : " accounts");
}

}  // namespace

absl::Status WeighPolicy(const Policies::Proposal& proposal, const corridor::Inputs& in,
                         corridor::View& view, policy::Outlook& outlook) {
  const auto accounts = CountScoredAccounts(view);
  if (!accounts.ok()) return accounts.status();
  if (*accounts == 0) return absl::OkStatus();
  if (Differ(proposal.before.outreach(), proposal.after.outreach())) {
    outlook.Warn("holds_judged_anew", "", *accounts,
                 absl::StrCat("outreach to ", Accounts(*accounts), " is judged anew"));
    const auto standing = CountStandingClearances(view, in.now);
    if (!standing.ok()) return standing.status();
    if (*standing > 0) {
      outlook.Warn(
          "clearance_judged_anew", "", *standing,
          absl::StrCat(*standing,
                       *standing == 1 ? " clearance that stands" : " clearances that stand",
                       " may end, where a hold comes up"));
    }
  }
  if (Differ(proposal.before.health(), proposal.after.health())) {
    outlook.Warn("health_scored_anew", "", *accounts,
                 absl::StrCat("the health of ", Accounts(*accounts), " is scored anew"));
  }
  std::set<int> roles;
  for (const account::v1::TeamDefault& place : proposal.after.team_defaults()) {
    roles.insert(place.role());
  }
  for (const account::v1::TeamDefault& place : proposal.before.team_defaults()) {
    if (roles.contains(place.role())) continue;
    const std::string role(
        absl::StripPrefix(type::v1::StaffRole_Name(place.role()), "STAFF_ROLE_"));
    outlook.Warn("role_without_default", role, *accounts,
                 absl::StrCat("an account whose team has no ", role, " has nobody for it: ",
                              place.staff_id(), " does not stand in any more"));
  }
  return absl::OkStatus();
}

}  // namespace tandem::account_health
