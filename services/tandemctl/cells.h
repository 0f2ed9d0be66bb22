// Fields of a reply as cells of a table for people, by the reply's descriptor alone.
#ifndef TANDEM_SERVICES_TANDEMCTL_CELLS_H_
#define TANDEM_SERVICES_TANDEMCTL_CELLS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/cli/screen.h"
#include "google/protobuf/message.h"

namespace tandem::tandemctl {

// Where and when something is shown.
struct Looks {
  cli::Screen screen;
  absl::TimeZone zone;
  absl::Time now;
};

enum class Form {
  kPlain,
  kHundredths,  // 7525 as 75.25, -1 as "-"
  kMicros,      // whole microseconds as a duration
  kShare,       // 0.875 as 87.5 %
  kCount,       // how many entries a repeated field has
};

struct Column {
  std::string title;
  std::string path;  // such as "clock.due_at"
  Form form = Form::kPlain;
};

// "2026-11-23 14:00:05Z", in the zone of the looks; fractions of a second are cut unless
// `is_exact`.
std::string InstantText(absl::Time instant, const Looks& looks, bool is_exact = false);
// A message that is shown as one word or so: an instant, a duration, a policy's version, a pair.
bool IsScalarMessage(const google::protobuf::Descriptor& type);
// The instant or duration in a field; infinite past or zero when it is absent.
absl::Time InstantIn(const google::protobuf::Message& message, const std::string& field);
absl::Duration DurationIn(const google::protobuf::Message& message, const std::string& field);
std::string StringIn(const google::protobuf::Message& message, const std::string& field);
int64_t IntegerIn(const google::protobuf::Message& message, const std::string& field);
// The word of an enum's value; empty for the unspecified one.
std::string WordIn(const google::protobuf::Message& message, const std::string& field);

// The field at `path` on one line; empty when it is not set or has its default.
std::string Cell(const google::protobuf::Message& message, const std::string& path, Form form,
                 const Looks& looks);

// The repeated messages at `rows` as a table; a line that says so when there are none.
std::string Rows(const google::protobuf::Message& reply, const std::string& rows,
                 const std::vector<Column>& columns, const Looks& looks);

// Any message: its fields line by line, what is repeated as tables below.
std::string Details(const google::protobuf::Message& reply, const Looks& looks);

}  // namespace tandem::tandemctl

#endif  // TANDEM_SERVICES_TANDEMCTL_CELLS_H_
