#include "common/outbox/relay.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/time/micros.h"

namespace tandem::outbox {

Relay::Relay(std::string source, Ports ports, RelayOptions options)
    : source_(std::move(source)),
      ports_(ports),
      options_(options),
      back_off_(options.first_back_off),
      scope_(ports.executor) {}

void Relay::Wake() {
  if (wake_posted_.exchange(true)) return;
  scope_.Post([this] {
    wake_posted_.store(false);
    Step();
  });
}

void Relay::Step() {
  if (appending_ || backing_off_) {
    again_ = true;
    return;
  }
  again_ = false;
  std::vector<int64_t> ids;
  std::vector<bus::Event> events;
  absl::Status status =
      ports_.reader->Query({"SELECT id, event_id, type, subject, key, time, cause, "
                            "traceparent, body FROM outbox "
                            "WHERE id > $1 ORDER BY id LIMIT $2",
                            {last_acknowledged_, static_cast<int64_t>(options_.max_events)}},
                           [&](const store::RowView& row) {
                             ids.push_back(row.Int(0));
                             bus::Event& event = events.emplace_back();
                             event.id = row.Text(1);
                             event.source = source_;
                             event.type = row.Text(2);
                             event.subject = row.Text(3);
                             event.key = row.Text(4);
                             event.time = time::FromMicros(row.Int(5));
                             // Rises with every event of the service, so also with those of one
                             // subject; holes are fine.
                             event.sequence = row.Int(0);
                             event.cause = row.Text(6);
                             event.traceparent = row.Text(7);
                             event.body = row.Text(8);
                           });
  if (!status.ok()) {
    Appended({}, status);
    return;
  }
  if (ids.empty()) return;
  appending_ = true;
  // A full page may have more behind it.
  again_ = ids.size() == options_.max_events;
  // The answer may come on the bus's own thread, and after this relay has ended.
  ports_.bus->Append(
      std::move(events),
      scope_.Callback<absl::Status>([this, ids = std::move(ids)](absl::Status result) mutable {
        Appended(std::move(ids), result);
      }));
}

void Relay::Appended(std::vector<int64_t> ids, const absl::Status& status) {
  appending_ = false;
  trouble_ = status;
  if (!status.ok()) {
    backing_off_ = true;
    scope_.PostAt(ports_.clock->Now() + back_off_, [this] {
      backing_off_ = false;
      Step();
    });
    back_off_ = std::min(back_off_ * 2, options_.last_back_off);
    return;
  }
  back_off_ = options_.first_back_off;
  last_acknowledged_ = ids.back();
  published_ += static_cast<int64_t>(ids.size());
  // By id, not "up to id": never a row that was not acknowledged.
  std::vector<store::Write> lines;
  lines.reserve(ids.size());
  for (const int64_t id : ids) {
    lines.push_back(
        {"outbox", "", {"DELETE FROM outbox WHERE id = $1", {id}}, store::Expect::kAnyRows});
  }
  ports_.lane->SubmitLazily(std::move(lines));
  if (again_) Step();
}

}  // namespace tandem::outbox
