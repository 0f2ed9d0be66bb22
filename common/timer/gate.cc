#include "common/timer/gate.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/time/micros.h"

namespace tandem::timer {
namespace {

// The kinds that this binary knows, or those of them with an effect, as a list in SQL.
std::string Kinds(const corridor::ServiceDefinition& definition, bool with_effect) {
  std::vector<std::string> kinds = {"''"};
  for (const auto& [name, kind] : definition.timers()) {
    if (with_effect && !kind.perform) continue;
    kinds.push_back(absl::StrCat("'", absl::StrReplaceAll(name, {{"'", "''"}}), "'"));
  }
  return absl::StrJoin(kinds, ", ");
}

// Of a subject with parked events: held, and for the others of its key as if it were not there.
std::string IsHeld(std::string_view table) {
  return absl::StrCat("EXISTS (SELECT 1 FROM parked_subjects p WHERE p.subject = ",
                      std::string(table), ".subject)");
}

// Claims rows of bound $2 that are due at $1, $3 at most, for $4. Only a key's earliest row, so
// that two processes never have two of one key; and none that is claimed, unless by $4 itself for
// $7 or less, which renews what came back to be tried again. What is under way is passed by: each
// renewal is one more version of the row, in the table and in its indexes. $5 and $6: how long, $5
// to $7 in microseconds. The clock is asked once, not for every row.
std::string ClaimRows(const corridor::ServiceDefinition& definition, std::string_view skip_locked) {
  return absl::StrCat(
      "UPDATE timers SET claim = $4, claimed_until = (SELECT database_now()) + CASE WHEN kind IN (",
      Kinds(definition, true),
      ") THEN $6 ELSE $5 END WHERE id IN (SELECT id FROM timers t WHERE t.bound = $2 AND t.due <= "
      "$1 AND t.due <= (SELECT database_now()) AND (t.claimed_until <= (SELECT database_now()) OR "
      "(t.claim = $4 AND t.claimed_until <= (SELECT database_now()) + $7)) AND t.kind IN (",
      Kinds(definition, false), ") AND NOT ", IsHeld("t"),
      " AND NOT EXISTS (SELECT 1 FROM timers b WHERE b.key = t.key AND (b.due < t.due OR (b.due = "
      "t.due AND b.id < t.id)) AND NOT ",
      IsHeld("b"), ") ORDER BY t.due, t.id LIMIT $3 ", std::string(skip_locked), ")");
}

// Rows of `bound` that are due. Per key, timers fire in order of their due instants: those of one
// sort enter the lane in that order, and a row waits behind an earlier one of the other sort. Kinds
// that this binary does not know stay where they are, and stand in nobody's way: a newer one set
// them.
std::string DueRows(std::string_view bound, std::string_view other,
                    const corridor::ServiceDefinition& definition) {
  return absl::StrCat(
      "SELECT id, due, kind, key, payload, traceparent FROM timers WHERE bound = ",
      std::string(bound), " AND due <= $1 AND kind IN (", Kinds(definition, false), ") AND NOT ",
      IsHeld("timers"),
      " AND NOT EXISTS (SELECT 1 FROM timers b WHERE b.key = timers.key AND b.due < timers.due "
      "AND b.bound ",
      std::string(other), " AND NOT ", IsHeld("b"), ") ORDER BY due, id LIMIT $2");
}

constexpr std::string_view kNextDue =
    "SELECT due FROM timers WHERE bound = $1 AND due > $2 ORDER BY due LIMIT 1";
constexpr std::string_view kClaimable =
    "SELECT 1 FROM timers WHERE bound = $1 AND due <= $2 AND due <= (SELECT database_now()) AND "
    "(claimed_until <= (SELECT database_now()) OR claim = $3) AND NOT EXISTS (SELECT 1 FROM "
    "parked_subjects "
    "p WHERE p.subject = timers.subject) LIMIT 1";
constexpr std::string_view kClaimedRows =
    "SELECT id, due, kind, key, payload, traceparent, claimed_until - (SELECT database_now()) FROM "
    "timers WHERE bound = $1 AND due <= $2 AND claim = $3 AND claimed_until > (SELECT "
    "database_now()) ORDER BY due, id";

// Many firings end with one commit: they are asked for together, over a network once. A SELECT
// each, for of a list of keys PostgreSQL makes a condition that it looks at for every row.
constexpr size_t kKeysAtOnce = 16;

std::string DueOfKeys() {
  std::vector<std::string> selects;
  for (size_t i = 0; i < kKeysAtOnce; ++i) {
    selects.push_back(absl::StrCat("SELECT id FROM timers WHERE key = $", i + 2, " AND due <= $1"));
  }
  return absl::StrJoin(selects, " UNION ALL ");
}

}  // namespace

Gate::Gate(const corridor::ServiceDefinition* definition, Ports ports, GateOptions options,
           std::function<void(absl::Duration)> fired)
    : definition_(definition),
      ports_(ports),
      options_(options),
      fired_(std::move(fired)),
      plain_rows_(DueRows("-1", ">= 0", *definition)),
      bound_rows_(DueRows("$3", "= -1", *definition)),
      due_of_keys_(DueOfKeys()),
      bounds_(static_cast<size_t>(ports.bus->partitions())),
      wake_at_(absl::ToUnixMicros(absl::InfiniteFuture())),
      scope_(ports.executor) {
  if (ports_.store->is_shared()) claim_ = ClaimRows(*definition, ports_.store->SkipLocked());
}

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
  if (now < looked_at_) ClockWentBack(now);
  looked_at_ = now;
  more_ = false;
  absl::Time next = absl::InfiniteFuture();
  const auto consider = [&](int bound, absl::Time after) {
    const absl::Status status = ports_.reader->Query(
        {store::Sql::Lasting(kNextDue), {int64_t{bound}, time::ToMicros(after)}},
        [&](const store::RowView& row) { next = std::min(next, time::FromMicros(row.Int(0))); });
    // A store that cannot be read now is looked at again soon.
    if (!status.ok()) next = std::min(next, now + options_.ask_spacing);
  };
  // What was cancelled while it backed off is never seen again.
  absl::erase_if(backing_off_, [&](const auto& one) {
    return one.second.until + 2 * options_.last_back_off < now && !handed_out_.contains(one.first);
  });
  for (const auto& [id, back_off] : backing_off_) {
    if (back_off.until > now) next = std::min(next, back_off.until);
  }

  HandOut({-1, now, /*lagging=*/false});
  consider(-1, now);
  // Others set rows, and leave rows behind.
  const bool is_shared = ports_.store->is_shared();
  if (is_shared) next = std::min(next, now + options_.look_anyway);
  for (size_t i = 0; i < bounds_.size(); ++i) {
    const int partition = static_cast<int>(i);
    Bound& bound = bounds_[i];
    if (is_shared && ports_.consumer->NextOffset(partition) < 0) continue;
    // Patience begins when readiness is first tried, not when the timer was due: after a long stop
    // there has been no chance yet to read what came meanwhile.
    const absl::Time given_up = now - bound.trying_since >= options_.lag_limit
                                    ? now - options_.lag_limit
                                    : absl::InfinitePast();
    if (bound.watermark > absl::InfinitePast()) {
      HandOut({partition, std::min(bound.watermark, now), false});
    }
    if (given_up > bound.watermark) HandOut({partition, given_up, /*lagging=*/true});

    absl::Time first_waiting = absl::InfiniteFuture();
    const absl::Time after = std::max(bound.watermark, given_up);
    const absl::Status status = ports_.reader->Query(
        {store::Sql::Lasting(kNextDue), {int64_t{partition}, time::ToMicros(after)}},
        [&](const store::RowView& row) { first_waiting = time::FromMicros(row.Int(0)); });
    if (!status.ok()) next = std::min(next, now + options_.ask_spacing);
    if (first_waiting == absl::InfiniteFuture()) continue;
    if (first_waiting <= now) bound.trying_since = std::min(bound.trying_since, now);
    const absl::Time ask_at =
        std::max(first_waiting + options_.settle, bound.asked_at + options_.ask_spacing);
    if (bound.asking || bound.end_offset.has_value()) {
      // The answer, or the position's move, looks again; the limit of patience does too.
      next = std::min(next, std::max(first_waiting, bound.trying_since) + options_.lag_limit);
    } else if (ask_at <= now) {
      Question(partition);
    } else {
      next = std::min(next, ask_at);
    }
  }
  if (next < absl::InfiniteFuture()) Arm(next);
}

// Of a clock that was set back nothing is known that was published before the instants that come
// now a second time.
void Gate::ClockWentBack(absl::Time now) {
  for (Bound& bound : bounds_) {
    bound.watermark = absl::InfinitePast();
    bound.asked_at = std::min(bound.asked_at, now);
    if (bound.trying_since < absl::InfiniteFuture()) {
      bound.trying_since = std::min(bound.trying_since, now);
    }
  }
  for (auto& [id, back_off] : backing_off_) {
    back_off.until = std::min(back_off.until, now + back_off.wait);
  }
}

void Gate::HandOut(const Page& page) {
  if (handed_out_.size() >= options_.max_handed_out) {
    more_ = true;
    return;
  }
  if (ports_.store->is_shared()) {
    Claim(page);
    return;
  }
  const size_t room = std::min(options_.max_scan, options_.max_handed_out - handed_out_.size());
  // Rows under way and rows that back off still stand in the table, so there is room for all of
  // them, and one more that tells whether there are more.
  const size_t limit = room + handed_out_.size() + backing_off_.size() + 1;
  store::Statement statement;
  if (page.bound < 0) {
    statement = {store::Sql::Lasting(plain_rows_),
                 {time::ToMicros(page.ready), static_cast<int64_t>(limit)}};
  } else {
    statement = {store::Sql::Lasting(bound_rows_),
                 {time::ToMicros(page.ready), static_cast<int64_t>(limit), int64_t{page.bound}}};
  }
  HandOutRows(page, statement, room, /*are_claimed=*/false);
}

void Gate::Claim(const Page& page) {
  if (claiming_.contains(page.bound)) {
    more_ = true;
    return;
  }
  bool is_any = false;
  const absl::Time now = ports_.clock->Now();
  const absl::Status status =
      ports_.reader->Query({store::Sql::Lasting(kClaimable),
                            {int64_t{page.bound}, time::ToMicros(page.ready), options_.owner}},
                           [&](const store::RowView&) { is_any = true; });
  if (!status.ok()) Arm(now + options_.ask_spacing);
  if (!is_any) return;
  const size_t room = std::min(options_.max_scan, options_.max_handed_out - handed_out_.size());
  claiming_.insert(page.bound);
  lane::Writes writes;
  writes.lines.push_back(
      {"timers",
       "",
       {store::Sql::Lasting(claim_),
        {time::ToMicros(page.ready), int64_t{page.bound}, static_cast<int64_t>(room),
         options_.owner, absl::ToInt64Microseconds(options_.claim),
         absl::ToInt64Microseconds(options_.effect_claim),
         absl::ToInt64Microseconds(options_.claim / 2)}},
       store::Expect::kAnyRows});
  writes.done = scope_.Callback<absl::Status>([this, page, room](const absl::Status& claimed) {
    claiming_.erase(page.bound);
    if (!claimed.ok()) {
      Arm(ports_.clock->Now() + options_.ask_spacing);
    } else if (!stopped_) {
      HandOutClaimed(page, room);
    }
  });
  ports_.lanes->OfPartition(std::max(page.bound, 0)).Submit(std::move(writes));
}

void Gate::HandOutClaimed(const Page& page, size_t asked_for) {
  // What was handed out before stands among the rows and is passed over.
  const size_t found =
      HandOutRows(page,
                  {store::Sql::Lasting(kClaimedRows),
                   {int64_t{page.bound}, time::ToMicros(page.ready), options_.owner}},
                  options_.max_scan, /*are_claimed=*/true);
  more_ = more_ || found >= asked_for;
  // Others of the same page, and what was asked for while the claim was under way.
  if (more_ && handed_out_.size() <= options_.max_handed_out / 2) Arm(ports_.clock->Now());
}

size_t Gate::HandOutRows(const Page& page, const store::Statement& statement, size_t room,
                         bool are_claimed) {
  const absl::Time now = ports_.clock->Now();
  std::vector<Row> rows;
  const absl::Status status = ports_.reader->Query(statement, [&](const store::RowView& line) {
    const std::string id(line.Text(0));
    if (handed_out_.contains(id)) return;
    const auto back_off = backing_off_.find(id);
    if (back_off != backing_off_.end() && back_off->second.until > now) return;
    if (rows.size() == room) {
      more_ = true;
      return;
    }
    Row& row = rows.emplace_back();
    row.timer.id = id;
    row.timer.due = time::FromMicros(line.Int(1));
    row.timer.key = line.Text(3);
    row.timer.judged_while_lagging = page.lagging;
    row.kind = line.Text(2);
    row.payload = line.Text(4);
    row.traceparent = line.Text(5);
    // By the database's clock it is later than `now`, at which it was asked.
    if (are_claimed) row.claimed_until = now + absl::Microseconds(line.Int(6));
  });
  if (!status.ok()) {
    Arm(now + options_.ask_spacing);
    return 0;
  }
  for (Row& row : rows) Dispatch(std::move(row));
  return rows.size();
}

void Gate::Dispatch(Row row) {
  const auto kind = definition_->timers().find(row.kind);
  auto firing = std::make_unique<lane::TimerFiring>();
  firing->kind = &kind->second;
  firing->kind_name = row.kind;
  std::shared_ptr<google::protobuf::Message> payload(kind->second.prototype->New());
  payload->ParseFromString(row.payload);
  firing->payload = std::move(payload);
  firing->traceparent = std::move(row.traceparent);
  firing->timer = std::move(row.timer);
  if (row.claimed_until < absl::InfiniteFuture()) {
    firing->claim = options_.owner;
    firing->claimed_until = row.claimed_until;
  }
  handed_out_.insert(firing->timer.id);
  firing->done = scope_.Callback<lane::TimerOutcome>(
      [this, timer = firing->timer](lane::TimerOutcome outcome) { Done(timer, outcome); });
  if (kind->second.perform) {
    Perform(std::move(firing));
  } else {
    lane::Lane& lane = ports_.lanes->OfKey(firing->timer.key);
    lane.Submit(std::move(firing));
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
                lane::Lane& lane = ports_.lanes->OfKey(firing->timer.key);
                lane.Submit(std::move(firing));
              }));
}

void Gate::Done(const corridor::FiredTimer& timer, lane::TimerOutcome outcome) {
  const absl::Time now = ports_.clock->Now();
  handed_out_.erase(timer.id);
  if (outcome == lane::TimerOutcome::kDecided) {
    backing_off_.erase(timer.id);
    ++stats_.fired;
    if (timer.judged_while_lagging) ++stats_.judged_while_lagging;
    stats_.last_lateness = now - timer.due;
    if (fired_) fired_(now - timer.due);
    fired_keys_.push_back(timer.key);
    if (fired_keys_.size() == 1) scope_.Post([this] { LookBehindFired(); });
  } else {
    // It makes room for others meanwhile, and its turn comes again.
    BackOff& back_off = backing_off_[timer.id];
    back_off.wait = back_off.wait == absl::ZeroDuration()
                        ? options_.first_back_off
                        : std::min(back_off.wait * 2, options_.last_back_off);
    // Many that back off together come back together, in one look.
    back_off.until =
        absl::FromUnixMicros(0) +
        absl::Ceil(now + back_off.wait - absl::FromUnixMicros(0), options_.first_back_off);
    Arm(back_off.until);
  }
  if (more_ && handed_out_.size() <= options_.max_handed_out / 2) Arm(now);
}

void Gate::LookBehindFired() {
  const absl::Time now = ports_.clock->Now();
  bool wait = false;
  for (size_t from = 0; from < fired_keys_.size() && !wait; from += kKeysAtOnce) {
    store::Statement statement{store::Sql::Lasting(due_of_keys_), {time::ToMicros(now)}};
    for (size_t i = from; i < from + kKeysAtOnce; ++i) {
      // Fewer are filled up with the last.
      statement.params.emplace_back(fired_keys_[std::min(i, fired_keys_.size() - 1)]);
    }
    const absl::Status status = ports_.reader->Query(statement, [&](const store::RowView& row) {
      const std::string id(row.Text(0));
      wait = wait || (!handed_out_.contains(id) && !backing_off_.contains(id));
    });
    wait = wait || !status.ok();
  }
  fired_keys_.clear();
  if (wait) Arm(now);
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
  bound.trying_since = absl::InfiniteFuture();
  // In a step of its own: this one may be called from inside another look.
  Arm(ports_.clock->Now());
}

}  // namespace tandem::timer
