#include "services/account_health/staff_check.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/corridor/errors.h"
#include "common/time/micros.h"
#include "services/account_health/records.h"
#include "tandem/triage/v1/staff_service.pb.h"

namespace tandem::account_health {

absl::StatusOr<StaffFound> FindStaff(Work& work, const corridor::Inputs& in,
                                     const std::vector<std::string>& staff_ids) {
  StaffFound found;
  for (const std::string& staff_id : staff_ids) {
    if (staff_id.empty()) continue;
    auto known = work.drafts.Open(Staff(), staff_id);
    if (!known.ok()) return known.status();
    if ((*known)->exists()) {
      found.staff.push_back(***known);
      continue;
    }
    const std::string name = absl::StrCat("staff@", staff_id);
    if (!in.answers->Has(name)) {
      auto request = std::make_shared<triage::v1::GetStaffRequest>();
      request->set_staff_id(staff_id);
      work.decision.Ask({.name = name,
                         .method = "tandem.triage.v1.StaffService/GetStaff",
                         .request = std::move(request)});
      found.is_asking = true;
      continue;
    }
    auto reply = in.answers->Get<triage::v1::GetStaffResponse>(name);
    if (absl::IsNotFound(reply.status())) return corridor::NotFound("staff", staff_id);
    if (!reply.ok()) {
      return corridor::WithRetryAfter(
          corridor::WithReason(
              absl::UnavailableError(
                  absl::StrCat("staff ", staff_id,
                               " is not known here yet, and triage cannot be asked; try again")),
              "TRIAGE_UNREACHABLE"),
          absl::Seconds(1));
    }
    records::StaffRecord& record = found.staff.emplace_back();
    record.set_version((*reply)->staff().version());
    *record.mutable_roles() = (*reply)->staff().roles();
    record.set_active((*reply)->staff().active());
  }
  return found;
}

absl::Status CheckActive(const records::StaffRecord& staff, const std::string& staff_id,
                         absl::Time at) {
  if (staff.active() || (staff.left_us() != 0 && time::ToMicros(at) < staff.left_us())) {
    return absl::OkStatus();
  }
  return corridor::FailedPrecondition(
      "STAFF_INACTIVE", absl::StrCat("staff ", staff_id, " does not work here any more"),
      {{"staff_id", staff_id}});
}

}  // namespace tandem::account_health
