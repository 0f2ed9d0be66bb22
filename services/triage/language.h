// Languages of tickets and of people.
#ifndef TANDEM_SERVICES_TRIAGE_LANGUAGE_H_
#define TANDEM_SERVICES_TRIAGE_LANGUAGE_H_

#include <string_view>

#include "absl/strings/match.h"
#include "common/config/views.h"

namespace tandem::triage {

// Whether two BCP 47 tags name one language, whatever their regions: "de" and "DE-at" do.
inline bool IsSameLanguage(std::string_view a, std::string_view b) {
  const auto primary = [](std::string_view tag) {
    return config::Absl(tag.substr(0, tag.find('-')));
  };
  return absl::EqualsIgnoreCase(primary(a), primary(b));
}

}  // namespace tandem::triage

#endif  // TANDEM_SERVICES_TRIAGE_LANGUAGE_H_
