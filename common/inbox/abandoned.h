// Events on the bus that their source does not know any more.
//
// A source that was restored from a backup goes on from an earlier state. What it had published
// behind that state still stands in the topic, and must not be applied: nobody would ever take it
// back. A restore therefore notes, in the database of every consumer, which sequences of a source
// belong to no history that goes on; they are skipped as if they were not there.
#ifndef TANDEM_COMMON_INBOX_ABANDONED_H_
#define TANDEM_COMMON_INBOX_ABANDONED_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/bus/event.h"
#include "common/store/store.h"

namespace tandem::inbox {

// A value type.
class Abandoned {
 public:
  // What the database notes. Errors as Reader::Query.
  static absl::StatusOr<Abandoned> Read(store::Reader& reader);

  // Of `source`: those above `after` up to and including `until`.
  void Add(const std::string& source, int64_t after, int64_t until);
  bool Contains(const bus::Event& event) const;

 private:
  struct Range {
    int64_t after = 0, until = 0;
  };
  std::map<std::string, std::vector<Range>, std::less<>> ranges_;
};

// The line that notes a range, in the schema of common/lane; repeated, it changes nothing.
store::Write NoteAbandoned(const std::string& source, int64_t after, int64_t until,
                           int64_t restored_at_us);

}  // namespace tandem::inbox

#endif  // TANDEM_COMMON_INBOX_ABANDONED_H_
