#include "common/outbox/relay.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/plant/plant.h"
#include "common/time/micros.h"

namespace tandem::outbox {

Relay::Relay(std::string source, Ports ports, RelayOptions options, Observer observer)
    : source_(std::move(source)),
      ports_(ports),
      options_(options),
      observer_(std::move(observer)),
      back_off_(options.first_back_off),
      scope_(ports.executor) {
  if (!ports_.store->is_shared()) return;
  leads_ = false;
  leads_until_ = absl::InfinitePast();
}

void Relay::Start() {
  if (ports_.store->is_shared()) {
    scope_.Post([this] { AskForLease(); });
  } else {
    Wake();
  }
}

void Relay::Release() {
  if (!ports_.store->is_shared()) return;
  scope_.Post([this] {
    released_ = true;
    leads_ = false;
    leads_until_ = absl::InfinitePast();
    lane::Writes writes;
    writes.lines.push_back(
        {"leases",
         "relay",
         {"UPDATE leases SET held_until = 0 WHERE name = 'relay' AND owner = $1", {options_.owner}},
         store::Expect::kAnyRows});
    ports_.lane->Submit(std::move(writes));
  });
}

// Takes the lease, or keeps it, and comes back: in time to keep it, or when another's may have
// ended.
void Relay::AskForLease() {
  if (released_) return;
  const absl::Time now = ports_.clock->Now();
  lane::Writes writes;
  writes.lines.push_back(
      {"leases",
       "relay",
       {"INSERT INTO leases (name, owner, epoch, held_until) VALUES ('relay', $1, 1, "
        "database_now() + $2) ON CONFLICT (name) DO UPDATE SET epoch = leases.epoch + CASE WHEN "
        "leases.owner = $1 THEN 0 ELSE 1 END, owner = $1, held_until = database_now() + $2 WHERE "
        "leases.owner = $1 OR leases.held_until <= database_now()",
        {options_.owner, absl::ToInt64Microseconds(options_.lease)}},
       store::Expect::kAnyRows});
  writes.done = scope_.Callback<absl::Status>(
      [this, now](const absl::Status& status) { GotLease(now, status); });
  ports_.lane->Submit(std::move(writes));
  scope_.PostAt(now + options_.lease / 3, [this] { AskForLease(); });
}

void Relay::GotLease(absl::Time asked_at, const absl::Status& status) {
  bool is_ours = false;
  absl::Status read = status;
  if (read.ok()) {
    read = ports_.reader->Query(
        {"SELECT owner FROM leases WHERE name = 'relay'", {}},
        [&](const store::RowView& row) { is_ours = row.Text(0) == options_.owner; });
  }
  if (!read.ok() || released_) return;  // what is held is held until it ends
  const bool is_new = is_ours && !(leads_ && ports_.clock->Now() < leads_until_);
  leads_ = is_ours;
  leads_until_ = is_ours ? asked_at + options_.lease : absl::InfinitePast();
  // Whoever publishes now says what troubles it.
  if (!is_ours) trouble_ = absl::OkStatus();
  if (!is_new) return;
  poll_ = options_.first_poll;
  Step();
}

// Looks again for what other processes write.
void Relay::Poll() {
  if (!ports_.store->is_shared() || polling_) return;
  polling_ = true;
  scope_.PostAt(ports_.clock->Now() + poll_, [this] {
    polling_ = false;
    Step(/*has_polled=*/true);
  });
  poll_ = std::min(poll_ * 2, options_.last_poll);
}

void Relay::Wake() {
  if (wake_posted_.exchange(true)) return;
  scope_.Post([this] {
    wake_posted_.store(false);
    Step();
  });
}

void Relay::Step(bool has_polled) {
  if (appending_ || backing_off_) {
    again_ = true;
    return;
  }
  again_ = false;
  const absl::Time now = ports_.clock->Now();
  if (now >= leads_until_) {
    leads_ = false;
    return;
  }
  std::vector<int64_t> ids;
  std::vector<bus::Event> events;
  if (absl::Status status = ReadUnpublished(ids, events); !status.ok()) {
    Appended({}, status);
    return;
  }
  if (ids.empty()) {
    // Nothing waits for anybody: whatever the trouble was, it is over.
    trouble_ = absl::OkStatus();
    back_off_ = options_.first_back_off;
    Poll();
    return;
  }
  // Others are at work; of what this process writes itself it is told.
  if (has_polled) poll_ = options_.first_poll;
  appending_ = true;
  // A full page may have more behind it.
  again_ = ids.size() >= options_.max_events;
  // The answer may come on the bus's own thread, and after this relay has ended.
  ports_.bus->Append(
      std::move(events),
      scope_.Callback<absl::Status>([this, ids = std::move(ids)](absl::Status result) mutable {
        Appended(std::move(ids), result);
      }));
}

// The oldest rows that the bus does not have yet, in id order.
absl::Status Relay::ReadUnpublished(std::vector<int64_t>& ids, std::vector<bus::Event>& events) {
  const bool skips_seen = !ports_.store->is_shared() || plant::Has(plant::Mistake::kRelayCursor);
  int64_t first = skips_seen ? last_acknowledged_ + 1 : 0;
  int64_t last = std::numeric_limits<int64_t>::max();
  std::vector<int64_t> fresh;  // empty = any
  if (!skips_seen && !acknowledged_.empty()) {
    if (absl::Status status = ScanIds(fresh); !status.ok() || fresh.empty()) return status;
    first = fresh.front();
    last = fresh.back();
  }
  return ports_.reader->Query(
      {"SELECT id, event_id, type, subject, key, time, cause, traceparent, body FROM outbox "
       "WHERE id >= $1 AND id <= $2 ORDER BY id LIMIT $3",
       {first, last, static_cast<int64_t>(options_.max_events + acknowledged_.size())}},
      [&](const store::RowView& row) {
        const int64_t id = row.Int(0);
        // What became visible since the scan waits: something older may have with it.
        if (!fresh.empty() && !std::binary_search(fresh.begin(), fresh.end(), id)) return;
        ids.push_back(id);
        bus::Event& event = events.emplace_back();
        event.id = row.Text(1);
        event.source = source_;
        event.type = row.Text(2);
        event.subject = row.Text(3);
        event.key = row.Text(4);
        event.time = time::FromMicros(row.Int(5));
        // Rises with every event of the service, so also with those of one
        // subject; holes are fine.
        event.sequence = id;
        event.cause = row.Text(6);
        event.traceparent = row.Text(7);
        event.body = row.Text(8);
      });
}

// The ids of the oldest rows without those that the bus has; forgets the acknowledged ones that are
// deleted by now.
absl::Status Relay::ScanIds(std::vector<int64_t>& fresh) {
  const size_t limit = options_.max_events + acknowledged_.size();
  std::set<int64_t> undeleted;
  size_t rows = 0;
  int64_t end = 0;
  const absl::Status status = ports_.reader->Query(
      {"SELECT id FROM outbox ORDER BY id LIMIT $1", {static_cast<int64_t>(limit)}},
      [&](const store::RowView& row) {
        ++rows;
        end = row.Int(0);
        if (acknowledged_.contains(end)) {
          undeleted.insert(end);
        } else if (fresh.size() < options_.max_events) {
          fresh.push_back(end);
        }
      });
  if (!status.ok()) return status;
  // Beyond a full page nothing is known.
  if (rows == limit) undeleted.insert(acknowledged_.upper_bound(end), acknowledged_.end());
  acknowledged_ = std::move(undeleted);
  return absl::OkStatus();
}

void Relay::Appended(std::vector<int64_t> ids, const absl::Status& status) {
  appending_ = false;
  trouble_ = status;
  if (observer_) observer_(static_cast<int64_t>(status.ok() ? ids.size() : 0), status);
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
  last_acknowledged_ = std::max(last_acknowledged_, ids.back());
  if (ports_.store->is_shared()) acknowledged_.insert(ids.begin(), ids.end());
  published_ += static_cast<int64_t>(ids.size());
  std::vector<store::Write> lines;
  if (plant::Has(plant::Mistake::kRelayCursor)) {
    lines.push_back({"outbox",
                     "",
                     {"DELETE FROM outbox WHERE id <= $1", {ids.back()}},
                     store::Expect::kAnyRows});
  }
  // By id, not "up to id": never a row that was not acknowledged.
  lines.reserve(ids.size());
  for (const int64_t id : ids) {
    lines.push_back(
        {"outbox", "", {"DELETE FROM outbox WHERE id = $1", {id}}, store::Expect::kAnyRows});
  }
  ports_.lane->SubmitLazily(std::move(lines));
  if (again_) {
    Step();
  } else {
    Poll();
  }
}

}  // namespace tandem::outbox
