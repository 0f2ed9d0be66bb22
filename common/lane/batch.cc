#include "common/lane/batch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/corridor/errors.h"
#include "common/id/id.h"
#include "common/plant/plant.h"
#include "common/store/params.h"
#include "common/time/micros.h"

namespace tandem::lane {
namespace {

using store::Blob;
using store::Expect;
using store::Value;

constexpr const char* kRequestMarks = "request_marks";

absl::Status NeedsFreshBatchStatus() {
  return absl::AbortedError("a range is read first in a batch");
}

// Of a row that may have been there before: no version that it had then, whoever erased it.
int64_t FirstVersion(const store::RecordTable& table, std::string_view key,
                     std::string_view cause) {
  if (table.rows() == store::Rows::kStay) return 1;
  const std::string hash = id::Hash({table.name(), key, cause});
  int64_t version = 0;
  for (size_t i = 0; i < 6; ++i) version = version << 8 | static_cast<unsigned char>(hash[i]);
  return version + 1;  // 0 means absent
}

std::vector<size_t> Unique(std::vector<size_t> members) {
  if (members.size() < 2) return members;
  std::sort(members.begin(), members.end());
  members.erase(std::unique(members.begin(), members.end()), members.end());
  return members;
}

}  // namespace

class Batch::LaneView : public corridor::View {
 public:
  explicit LaneView(Batch* batch) : batch_(batch) {}

  absl::Status Query(const store::Statement& statement,
                     absl::FunctionRef<void(const store::RowView&)> on_row) override {
    if (!MayReadRange()) return NeedsFreshBatchStatus();
    return batch_->reader_->Query(statement, on_row);
  }

  void Begin() {
    loaded_.clear();
    needs_fresh_batch_ = false;
  }
  bool needs_fresh_batch() const { return needs_fresh_batch_; }
  const std::vector<Row*>& loaded() const { return loaded_; }

 protected:
  absl::StatusOr<Raw> LoadRaw(const store::RecordTable& table, std::string_view key) override {
    absl::StatusOr<Row*> row = batch_->Find(table, key);
    if (!row.ok()) return row.status();
    loaded_.push_back(*row);
    return Raw{std::string(key), (*row)->version, (*row)->body};
  }

  absl::StatusOr<std::vector<Raw>> SelectRaw(const store::RecordTable& table, std::string_view tail,
                                             std::vector<Value> params) override {
    if (!MayReadRange()) return NeedsFreshBatchStatus();
    std::vector<Raw> found;
    bool parsed = true;
    absl::Status status = batch_->reader_->Query(
        table.SelectWhere(tail, std::move(params)), [&](const store::RowView& line) {
          std::shared_ptr<google::protobuf::Message> body = table.New();
          const std::string_view bytes = line.Text(2);
          parsed = parsed && body->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
          found.push_back({std::string(line.Text(0)), line.Int(1), std::move(body)});
        });
    if (!status.ok()) return status;
    if (!parsed)
      return absl::DataLossError(absl::StrCat("a record of ", table.name(), " is broken"));
    for (const Raw& raw : found) {
      const auto [row, is_new] = batch_->RowAt(table, raw.key);
      if (is_new) {
        row->base = row->version = raw.version;
        row->before = row->body = raw.body;
      }
      loaded_.push_back(row);
    }
    return found;
  }

 private:
  bool MayReadRange() {
    needs_fresh_batch_ = needs_fresh_batch_ || !batch_->empty();
    return !needs_fresh_batch_;
  }

  Batch* const batch_;
  std::vector<Row*> loaded_;
  bool needs_fresh_batch_ = false;
};

Batch::Batch(const corridor::ServiceDefinition* definition, store::Reader* reader, Cache* cache,
             int partitions, bool looks_before_inserting)
    : definition_(definition),
      reader_(reader),
      cache_(cache),
      partitions_(partitions),
      looks_before_inserting_(looks_before_inserting),
      view_(std::make_unique<LaneView>(this)) {}

Batch::~Batch() = default;

corridor::View& Batch::Begin() {
  view_->Begin();
  return *view_;
}

bool Batch::NeedsFreshBatch() const { return view_->needs_fresh_batch(); }

std::pair<Batch::Row*, bool> Batch::RowAt(const store::RecordTable& table, std::string_view key) {
  const RecordPlace place{table.name(), key};
  auto it = rows_.lower_bound(place);
  const bool is_new = it == rows_.end() || RecordPlace(it->first) != place;
  if (is_new) {
    it = rows_.emplace_hint(it, RecordKey(place), Row());
    it->second.table = &table;
    it->second.key = it->first.second;
  }
  return {&it->second, is_new};
}

Batch::Row* Batch::FindTouched(const store::RecordTable& table, std::string_view key) {
  const auto it = rows_.find(RecordPlace{table.name(), key});
  return it == rows_.end() ? nullptr : &it->second;
}

absl::StatusOr<Batch::Row*> Batch::Find(const store::RecordTable& table, std::string_view key) {
  if (Row* const row = FindTouched(table, key); row != nullptr) return row;
  Row read;
  if (const CachedRecord* cached = cache_->records.Find({table.name(), key})) {
    read.base = read.version = cached->version;
    read.before = read.body = cached->body;
    read.cached = true;
  } else {
    bool parsed = true;
    absl::Status status = reader_->Query(table.SelectByKey(key), [&](const store::RowView& line) {
      std::shared_ptr<google::protobuf::Message> body = table.New();
      const std::string_view bytes = line.Text(1);
      parsed = body->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
      read.base = read.version = line.Int(0);
      read.before = read.body = std::move(body);
    });
    if (!status.ok()) return status;
    if (!parsed) {
      return absl::DataLossError(
          absl::StrCat("record ", std::string(key), " of ", table.name(), " is broken"));
    }
  }
  Row* const row = RowAt(table, key).first;
  row->base = row->version = read.version;
  row->before = row->body = std::move(read.body);
  row->cached = read.cached;
  return row;
}

absl::StatusOr<bool> Batch::StillCurrent() {
  bool is_current = true;
  for (const Row* row : view_->loaded()) {
    int64_t version = 0;
    absl::Status status =
        reader_->Query(row->table->SelectByKey(row->key),
                       [&](const store::RowView& line) { version = line.Int(0); });
    if (!status.ok()) return status;
    if (version == row->base) continue;
    is_current = false;
    cache_->records.Drop({row->table->name(), row->key});
  }
  return is_current;
}

absl::Status Batch::Apply(size_t member, const corridor::Decision& decision, const Origin& origin) {
  // Everything that can be refused is refused before anything is changed.
  for (const corridor::Decision::Saved& saved : decision.saves) {
    if (saved.insert && looks_before_inserting_) {
      absl::StatusOr<Row*> row = Find(*saved.table, saved.key);
      if (!row.ok()) return row.status();
    }
    Row* const row = FindTouched(*saved.table, saved.key);
    if (saved.insert) {
      if (row != nullptr && row->version > 0) {
        return corridor::WithReason(
            absl::AlreadyExistsError(absl::StrCat(saved.key, " exists already")), "ID_EXISTS",
            {{"id", saved.key}});
      }
      continue;
    }
    const std::vector<Row*>& loaded = view_->loaded();
    if (std::find(loaded.begin(), loaded.end(), row) == loaded.end()) {
      return absl::InternalError(absl::StrCat("a rule saves ", saved.table->name(), " ", saved.key,
                                              " without loading it"));
    }
    if (saved.body == nullptr && saved.table->rows() == store::Rows::kStay) {
      return absl::InternalError(
          absl::StrCat("a rule erases ", saved.table->name(), " ", saved.key, ", whose rows stay"));
    }
  }
  for (const corridor::Decision::TimerSet& timer : decision.timers) {
    if (!definition_->timers().contains(timer.kind)) {
      return absl::InternalError(absl::StrCat("a rule sets a timer of unknown kind ", timer.kind));
    }
  }
  ++applied_;
  for (Row* row : view_->loaded()) {
    row->checked = true;
    row->members.push_back(member);
  }
  for (const corridor::Decision::Saved& saved : decision.saves) {
    const auto [row, is_new] = RowAt(*saved.table, saved.key);
    row->blind = row->blind || is_new;
    ++row->saves;
    const int64_t before = std::max(row->version, row->base);
    if (saved.body == nullptr) {
      row->version = 0;
    } else if (before > 0 || saved.insert) {
      row->version = before + 1;
    } else {
      row->version = FirstVersion(*saved.table, saved.key, origin.cause);
    }
    row->body = saved.body;
    row->members.push_back(member);
  }
  for (size_t i = 0; i < decision.events.size(); ++i) {
    const corridor::Decision::Published& published = decision.events[i];
    OutboxRow& row = outbox_.emplace_back();
    row.event.id = id::Derive("ev", {definition_->name(), origin.cause, "event", absl::StrCat(i)});
    row.event.source = definition_->name();
    row.event.type = published.body->GetDescriptor()->full_name();
    row.event.subject = published.subject;
    row.event.key = published.key;
    row.event.time = published.time;
    row.event.cause = std::string(origin.cause);
    row.event.traceparent = std::string(origin.traceparent);
    published.body->SerializeToString(&row.event.body);
    row.created_at = time::ToMicros(origin.now);
    row.member = member;
  }
  for (const std::string& timer_id : decision.cancelled_timers) {
    TimerRow& row = timers_[timer_id];
    row.set.reset();
    row.member = member;
  }
  for (const corridor::Decision::TimerSet& timer : decision.timers) {
    TimerRow& row = timers_[timer.id];
    row.set = timer;
    row.traceparent = std::string(origin.traceparent);
    row.member = member;
    earliest_timer_ = std::min(earliest_timer_, timer.due);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<RequestMark>> Batch::FindRequest(const std::string& scope) {
  const auto it = marks_by_scope_.find(scope);
  if (it != marks_by_scope_.end()) return marks_[it->second].mark;
  std::optional<RequestMark> mark;
  absl::Status status = reader_->Query(
      {"SELECT body_hash, reply FROM request_marks WHERE scope = $1", {scope}},
      [&](const store::RowView& line) {
        mark = RequestMark{std::string(line.Text(0)), std::string(line.Text(1)), std::nullopt};
      });
  if (!status.ok()) return status;
  return mark;
}

void Batch::MarkRequest(size_t member, const std::string& scope, RequestMark mark, absl::Time now) {
  mark.member = member;
  marks_by_scope_[scope] = marks_.size();
  marks_.push_back({scope, std::move(mark), time::ToMicros(now), member});
}

absl::StatusOr<int64_t> Batch::LastSequence(const std::string& stream) {
  const auto it = event_marks_.find(stream);
  if (it != event_marks_.end()) return it->second.now;
  Counter counter;
  if (const int64_t* cached = cache_->sequences.Find(stream)) {
    counter.base = counter.now = *cached;
  } else {
    absl::Status status = reader_->Query(
        {"SELECT sequence FROM event_marks WHERE stream = $1", {stream}},
        [&](const store::RowView& line) { counter.base = counter.now = line.Int(0); });
    if (!status.ok()) return status;
  }
  return event_marks_.emplace(stream, std::move(counter)).first->second.now;
}

void Batch::MarkEvent(size_t member, const std::string& stream, int64_t sequence) {
  Counter& counter = event_marks_[stream];  // LastSequence has loaded it
  counter.now = sequence;
  counter.touched = true;
  counter.members.push_back(member);
}

void Batch::DeleteTimer(size_t member, const std::string& id, absl::Time due, std::string claim) {
  TimerRow& row = timers_[id];
  row.fired = {time::ToMicros(due), std::move(claim), member};
}

void Batch::MovePosition(size_t member, int partition, int64_t from, int64_t to, int64_t epoch) {
  if (plant::Has(plant::Mistake::kNoEpoch)) {
    AddLine(member, {"positions",
                     absl::StrCat(partition),
                     {"UPDATE positions SET next_offset = $1 WHERE partition = $2",
                      {to, int64_t{partition}}},
                     Expect::kAnyRows});
    return;
  }
  AddLine(member,
          {"positions",
           absl::StrCat(partition),
           {"UPDATE positions SET next_offset = $1 WHERE partition = $2 AND next_offset = $3 "
            "AND epoch = $4",
            store::Params(to, int64_t{partition}, from, epoch)},
           Expect::kOneRow});
}

void Batch::AddLine(std::optional<size_t> member, store::Write line) {
  std::vector<size_t> members;
  if (member.has_value()) members.push_back(*member);
  extra_.emplace_back(std::move(line), std::move(members));
}

void Batch::Emit(std::vector<store::Write>& lines, store::Write line, std::vector<size_t> members) {
  lines.push_back(std::move(line));
  line_members_.push_back(Unique(std::move(members)));
}

std::vector<store::Write> Batch::TakeLines() {
  std::vector<store::Write> lines;
  const size_t most = rows_.size() + marks_.size() + event_marks_.size() + 2 * timers_.size() +
                      outbox_.size() + extra_.size();
  lines.reserve(most);
  line_members_.clear();
  line_members_.reserve(most);
  for (auto& [place, row] : rows_) {
    if (row.saves == 0) {
      if (row.checked) Emit(lines, row.table->Check(row.key, row.base), std::move(row.members));
    } else if (row.body == nullptr) {
      if (row.base > 0) Emit(lines, row.table->Delete(row.key, row.base), std::move(row.members));
    } else if (row.base == 0) {
      Emit(lines, row.table->Insert(row.key, row.version, *row.body), std::move(row.members));
    } else {
      Emit(lines, row.table->Update(row.key, row.base, row.version, *row.before, *row.body),
           std::move(row.members));
    }
  }
  for (MarkRow& row : marks_) {
    Emit(
        lines,
        {std::string(kRequestMarks),
         row.scope,
         {"INSERT INTO request_marks (scope, body_hash, reply, decided_at) VALUES ($1, $2, $3, $4)",
          store::Params(row.scope, Blob{std::move(row.mark.body_hash)},
                        Blob{std::move(row.mark.reply)}, row.decided_at)},
         Expect::kOneRow},
        {row.member});
  }
  for (auto& [stream, counter] : event_marks_) {
    if (!counter.touched) continue;
    store::Statement statement;
    if (counter.base == 0) {
      statement = {"INSERT INTO event_marks (stream, sequence) VALUES ($1, $2)",
                   store::Params(stream, counter.now)};
    } else {
      statement = {"UPDATE event_marks SET sequence = $2 WHERE stream = $1 AND sequence = $3",
                   store::Params(stream, counter.now, counter.base)};
    }
    Emit(lines, {"event_marks", stream, std::move(statement), Expect::kOneRow},
         std::move(counter.members));
  }
  for (const auto& [timer_id, row] : timers_) {
    if (row.fired.has_value()) {
      Emit(lines,
           {"timers",
            timer_id,
            {"DELETE FROM timers WHERE id = $1 AND due = $2 AND claim = $3",
             store::Params(timer_id, row.fired->due, row.fired->claim)},
            Expect::kOneRow},
           {row.fired->member});
    }
    std::vector<size_t> members;
    if (row.member.has_value()) members.push_back(*row.member);
    if (row.set.has_value()) {
      const corridor::ServiceDefinition::TimerKind& kind =
          definition_->timers().find(row.set->kind)->second;
      const bool bound = kind.readiness == corridor::Readiness::kFactBound;
      const int64_t partition = bound ? bus::PartitionOf(row.set->key, partitions_) : -1;
      std::string payload, subject;
      if (row.set->payload != nullptr) row.set->payload->SerializeToString(&payload);
      if (row.set->payload != nullptr && kind.subject_of) {
        subject = kind.subject_of(*row.set->payload);
      }
      Emit(lines,
           {"timers",
            timer_id,
            {"INSERT INTO timers (id, due, kind, key, bound, payload, traceparent, subject) "
             "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO UPDATE SET due = $2, "
             "kind = $3, key = $4, bound = $5, payload = $6, traceparent = $7, subject = $8, "
             "claim = '', claimed_until = 0",
             store::Params(timer_id, time::ToMicros(row.set->due), row.set->kind, row.set->key,
                           partition, Blob{std::move(payload)}, row.traceparent,
                           std::move(subject))},
            Expect::kAnyRows},
           std::move(members));
    } else if (!row.fired.has_value()) {
      Emit(lines,
           {"timers",
            timer_id,
            {"DELETE FROM timers WHERE id = $1", store::Params(timer_id)},
            Expect::kAnyRows},
           std::move(members));
    }
  }
  for (OutboxRow& row : outbox_) {
    bus::Event& event = row.event;
    Emit(
        lines,
        {"outbox",
         "",  // one key for all: lines of one key keep their order, and ids are given in it
         {"INSERT INTO outbox (event_id, type, subject, key, time, cause, traceparent, created_at, "
          "body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
          store::Params(std::move(event.id), std::move(event.type), std::move(event.subject),
                        std::move(event.key), time::ToMicros(event.time), std::move(event.cause),
                        std::move(event.traceparent), row.created_at, Blob{std::move(event.body)})},
         Expect::kOneRow},
        {row.member});
  }
  for (auto& [line, members] : extra_) Emit(lines, std::move(line), std::move(members));
  return lines;
}

void Batch::Remember() {
  for (auto& [place, row] : rows_) {
    if (row.blind) {
      // Nobody has read it, and most of what is only added (a message, an entry of a timeline)
      // nobody here ever will: it would push out what is read.
      cache_->records.Drop(place);
    } else if (row.saves > 0 || !row.cached) {
      cache_->records.Put(place, {row.version, std::move(row.body)});
    }
  }
  for (const auto& [stream, counter] : event_marks_) cache_->sequences.Put(stream, counter.now);
}

void Batch::Forget() {
  for (const auto& [place, row] : rows_) cache_->records.Drop(place);
  for (const auto& [stream, counter] : event_marks_) cache_->sequences.Drop(stream);
}

}  // namespace tandem::lane
