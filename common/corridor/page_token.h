// Page tokens, the same for every list. What a list calls its token is only the position where a
// page ended, in words of its own; outside it is sealed with the question that it belongs to, for
// with another list, or with another filter, pages would repeat or skip entries and nobody would
// see it. Pure; any thread.
#ifndef TANDEM_COMMON_CORRIDOR_PAGE_TOKEN_H_
#define TANDEM_COMMON_CORRIDOR_PAGE_TOKEN_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"

namespace tandem::corridor {

// A request for a page: it has the field page_token.
template <typename Req>
concept AsksForPage = requires(Req& request) {
  request.set_page_token(std::string());
};

// The token that answers `question`, whose page ended at `position`. A client may ask for the next
// page with another page_size, with nothing else changed.
std::string SealPosition(const google::protobuf::Message& question, std::string_view position);

// The position in the page_token of `question`; empty for the first page. INVALID_ARGUMENT for a
// token that this question was not answered with. What it says may still be made up: it guards
// against mistakes, and holds nothing that a caller may not see.
absl::StatusOr<std::string> OpenPosition(const google::protobuf::Message& question);

}  // namespace tandem::corridor

#endif  // TANDEM_COMMON_CORRIDOR_PAGE_TOKEN_H_
