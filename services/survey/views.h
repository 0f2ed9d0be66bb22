// Debian builds Abseil with a string_view of its own, which does not convert from the standard one.
#ifndef TANDEM_SERVICES_SURVEY_VIEWS_H_
#define TANDEM_SERVICES_SURVEY_VIEWS_H_

#include <string_view>

#include "absl/strings/string_view.h"

namespace tandem::survey {

inline absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_VIEWS_H_
