#include "common/timer/gate.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/time/micros.h"

namespace tandem::timer {
namespace {

// Plain rows wait behind a fact-bound row of the same key that is due earlier: per key, timers fire
// in order of their due instants.
constexpr std::string_view kPlainRows =
    "SELECT id, due, kind, key, payload, traceparent FROM timers WHERE bound = -1 AND due <= $1 "
    "AND NOT EXISTS (SELECT 1 FROM timers b WHERE b.key = timers.key AND b.due < timers.due "
    "AND b.bound >= 0) ORDER BY due, id LIMIT $2";
constexpr std::string_view kBoundRows =
    "SELECT id, due, kind, key, payload, traceparent FROM timers WHERE bound = $3 AND due <= $1 "
    "ORDER BY due, id LIMIT $2";
constexpr std::string_view kNextDue =
    "SELECT due FROM timers WHERE bound = $1 AND due > $2 ORDER BY due LIMIT 1";

}  // namespace

Gate::Gate(const corridor::ServiceDefinition* definition, Ports ports, GateOptions options,
           std::function<void(absl::Duration)> fired)
    : definition_(definition),
      ports_(ports),
      options_(options),
      fired_(std::move(fired)),
      bounds_(static_cast<size_t>(ports.bus->partitions())),
      wake_at_(absl::ToUnixMicros(absl::InfiniteFuture())),
      scope_(ports.executor) {}

void Gate::Start() {
  scope_.Post([this] { Look(); });
}

void Gate::Stop() {
  scope_.Post([this] { stopped_ = true; });
}

void Gate::Wake(absl::Time earliest) {
  // Many commits set timers; only one that is earlier than every wake not yet seen needs a step.
  const int64_t micros = time::ToMicros(earliest);
  int64_t known = wake_at_.load();
  while (micros < known) {
    if (wake_at_.compare_exchange_weak(known, micros)) {
      scope_.Post([this] {
        const int64_t at = wake_at_.exchange(absl::ToUnixMicros(absl::InfiniteFuture()));
        Arm(time::FromMicros(at));
      });
      return;
    }
  }
}

void Gate::Arm(absl::Time instant) {
  if (instant >= armed_) return;
  armed_ = instant;
  scope_.PostAt(instant, [this, instant] {
    // A step for an instant that was overtaken by an earlier one finds nothing of its own to do.
    if (armed_ != instant) return;
    Look();
  });
}

void Gate::Look() {
  armed_ = absl::InfiniteFuture();
  if (stopped_) return;
  const absl::Time now = ports_.clock->Now();
  more_ = false;
  absl::Time next = absl::InfiniteFuture();
  const auto consider = [&](int bound, absl::Time after, absl::Duration wait) {
    const absl::Status status = ports_.reader->Query(
        {store::Sql::Lasting(kNextDue), {int64_t{bound}, time::ToMicros(after)}},
        [&](const store::RowView& row) {
          next = std::min(next, time::FromMicros(row.Int(0)) + wait);
        });
    // A store that cannot be read now is looked at again soon.
    if (!status.ok()) next = std::min(next, now + options_.ask_spacing);
  };

  HandOut(-1, now, /*lagging=*/false);
  consider(-1, now, absl::ZeroDuration());
  for (size_t i = 0; i < bounds_.size(); ++i) {
    const int partition = static_cast<int>(i);
    Bound& bound = bounds_[i];
    const absl::Time given_up = now - options_.lag_limit;
    if (bound.watermark > absl::InfinitePast()) HandOut(partition, bound.watermark, false);
    if (given_up > bound.watermark) HandOut(partition, given_up, /*lagging=*/true);

    absl::Time first_waiting = absl::InfiniteFuture();
    const absl::Time after = std::max(bound.watermark, given_up);
    const absl::Status status = ports_.reader->Query(
        {store::Sql::Lasting(kNextDue), {int64_t{partition}, time::ToMicros(after)}},
        [&](const store::RowView& row) { first_waiting = time::FromMicros(row.Int(0)); });
    if (!status.ok()) next = std::min(next, now + options_.ask_spacing);
    if (first_waiting == absl::InfiniteFuture()) continue;
    const absl::Time ask_at =
        std::max(first_waiting + options_.settle, bound.asked_at + options_.ask_spacing);
    if (bound.asking || bound.end_offset.has_value()) {
      // The answer, or the position's move, looks again; the limit of patience does too.
      next = std::min(next, first_waiting + options_.lag_limit);
    } else if (ask_at <= now) {
      Question(partition);
    } else {
      next = std::min(next, ask_at);
    }
  }
  if (next < absl::InfiniteFuture()) Arm(next);
}

void Gate::HandOut(int bound, absl::Time ready, bool lagging) {
  if (handed_out_.size() >= options_.max_handed_out) {
    more_ = true;
    return;
  }
  // Rows under way still stand in the table, so the page has room for all of them.
  const size_t limit = options_.max_scan + handed_out_.size();
  std::vector<Row> rows;
  store::Statement statement;
  if (bound < 0) {
    statement = {store::Sql::Lasting(kPlainRows),
                 {time::ToMicros(ready), static_cast<int64_t>(limit)}};
  } else {
    statement = {store::Sql::Lasting(kBoundRows),
                 {time::ToMicros(ready), static_cast<int64_t>(limit), int64_t{bound}}};
  }
  size_t seen = 0;
  const absl::Status status = ports_.reader->Query(statement, [&](const store::RowView& line) {
    ++seen;
    if (handed_out_.contains(std::string(line.Text(0)))) return;
    Row& row = rows.emplace_back();
    row.timer.id = line.Text(0);
    row.timer.due = time::FromMicros(line.Int(1));
    row.timer.key = line.Text(3);
    row.timer.judged_while_lagging = lagging;
    row.kind = line.Text(2);
    row.payload = line.Text(4);
    row.traceparent = line.Text(5);
  });
  if (!status.ok()) {
    Arm(ports_.clock->Now() + options_.ask_spacing);
    return;
  }
  if (seen == limit) more_ = true;
  for (Row& row : rows) Dispatch(std::move(row));
}

void Gate::Dispatch(Row row) {
  const auto kind = definition_->timers().find(row.kind);
  // A kind that this binary does not know stays where it is: a newer binary set it.
  if (kind == definition_->timers().end()) return;
  auto firing = std::make_unique<lane::TimerFiring>();
  firing->kind = &kind->second;
  firing->kind_name = row.kind;
  std::shared_ptr<google::protobuf::Message> payload(kind->second.prototype->New());
  payload->ParseFromString(row.payload);
  firing->payload = std::move(payload);
  firing->traceparent = std::move(row.traceparent);
  firing->timer = std::move(row.timer);
  handed_out_.insert(firing->timer.id);
  firing->done = scope_.Callback<lane::TimerOutcome>(
      [this, id = firing->timer.id, due = firing->timer.due,
       lagging = firing->timer.judged_while_lagging](lane::TimerOutcome outcome) {
        if (outcome == lane::TimerOutcome::kDecided && lagging) ++stats_.judged_while_lagging;
        Done(id, due, outcome);
      });
  if (kind->second.perform) {
    Perform(std::move(firing));
  } else {
    ports_.lane->Submit(std::move(firing));
  }
}

void Gate::Perform(std::unique_ptr<lane::TimerFiring> firing) {
  const corridor::ServiceDefinition::Performer& perform = firing->kind->perform;
  const corridor::FiredTimer timer = firing->timer;
  const corridor::MessagePtr payload = firing->payload;
  perform(timer, payload,
          scope_.Callback<absl::Status>(
              [this, firing = std::move(firing)](absl::Status result) mutable {
                if (absl::IsUnavailable(result)) {
                  firing->done(lane::TimerOutcome::kRetry);
                  return;
                }
                firing->effect = std::move(result);
                ports_.lane->Submit(std::move(firing));
              }));
}

void Gate::Done(const std::string& id, absl::Time due, lane::TimerOutcome outcome) {
  const absl::Time now = ports_.clock->Now();
  if (outcome == lane::TimerOutcome::kDecided) {
    handed_out_.erase(id);
    backing_off_.erase(id);
    ++stats_.fired;
    stats_.last_lateness = now - due;
    if (fired_) fired_(now - due);
    if (more_ && handed_out_.size() <= options_.max_handed_out / 2) Arm(now);
    return;
  }
  // It stays handed out, so that nothing hands it out again, until its back-off has passed.
  absl::Duration& back_off = backing_off_[id];
  back_off = back_off == absl::ZeroDuration() ? options_.first_back_off
                                              : std::min(back_off * 2, options_.last_back_off);
  scope_.PostAt(now + back_off, [this, id] {
    handed_out_.erase(id);
    Look();
  });
}

void Gate::Question(int partition) {
  Bound& bound = bounds_[static_cast<size_t>(partition)];
  bound.asking = true;
  bound.asked_at = ports_.clock->Now();
  ports_.bus->EndOffset(partition, scope_.Callback<absl::StatusOr<int64_t>>(
                                       [this, partition](const absl::StatusOr<int64_t>& end) {
                                         Bound& asked = bounds_[static_cast<size_t>(partition)];
                                         asked.asking = false;
                                         if (!end.ok()) {
                                           Arm(asked.asked_at + options_.ask_spacing);
                                           return;
                                         }
                                         asked.end_offset = *end;
                                         Advance(partition);
                                       }));
}

void Gate::Moved(int partition, int64_t next_offset) {
  (void)next_offset;
  const size_t index = static_cast<size_t>(partition);
  if (index < bounds_.size() && bounds_[index].end_offset.has_value()) Advance(partition);
}

void Gate::Advance(int partition) {
  Bound& bound = bounds_[static_cast<size_t>(partition)];
  if (ports_.consumer->NextOffset(partition) < *bound.end_offset) {
    ports_.consumer->MoveSkippedNow(partition);
    return;
  }
  bound.end_offset.reset();
  bound.watermark = std::max(bound.watermark, bound.asked_at - options_.settle);
  // In a step of its own: this one may be called from inside another look.
  Arm(ports_.clock->Now());
}

}  // namespace tandem::timer
