#include "services/survey/policy_effects.h"

#include "absl/strings/str_cat.h"
#include "services/survey/records.h"

namespace tandem::survey {

absl::Status WeighPolicy(const Policies::Proposal&, const corridor::Inputs&, corridor::View& view,
                         policy::Outlook& outlook) {
  const auto under_way = CountUnderWay(view);
  if (!under_way.ok()) return under_way.status();
  if (*under_way > 0) {
    outlook.Warn("survey_kept", "", *under_way,
                 absl::StrCat(*under_way, *under_way == 1 ? " survey" : " surveys",
                              " under way keep the rules that they were planned by"));
  }
  return absl::OkStatus();
}

}  // namespace tandem::survey
