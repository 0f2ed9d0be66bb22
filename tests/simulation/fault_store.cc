#include "tests/simulation/fault_store.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace tandem::simulation {
namespace {

using store::CommitResult;

// "INSERT INTO outbox (event_id, …": the first parameter is the event's id.
bool AddsToOutbox(const store::Write& line) {
  return line.table == "outbox" && line.statement.sql.text().starts_with("INSERT");
}

bool TouchesARow(const store::Write& line) { return line.table != "outbox" && !line.key.empty(); }

// How the relay reads the outbox: the first column is the row's id.
bool ReadsOutbox(std::string_view sql) {
  return sql.starts_with("SELECT id") && sql.find("FROM outbox") != std::string_view::npos;
}

}  // namespace

void Veil::Hide(const std::vector<store::Write>& batch, store::Reader& reader, absl::Time until) {
  Hidden hidden{until, {}, {}};
  for (const store::Write& line : batch) {
    if (AddsToOutbox(line)) {
      reader
          .Query({"SELECT id FROM outbox WHERE event_id = $1", {line.statement.params.front()}},
                 [&](const store::RowView& row) { hidden.outbox_ids.insert(row.Int(0)); })
          .IgnoreError();
    } else if (TouchesARow(line)) {
      hidden.rows.insert({line.table, line.key});
    }
  }
  if (!hidden.outbox_ids.empty()) hidden_.push_back(std::move(hidden));
}

void Veil::Show(const std::vector<store::Write>& batch) {
  std::erase_if(hidden_, [&](const Hidden& hidden) {
    return hidden.until <= clock_->Now() ||
           std::any_of(batch.begin(), batch.end(), [&](const store::Write& line) {
             return TouchesARow(line) && hidden.rows.contains({line.table, line.key});
           });
  });
}

bool Veil::Hides(int64_t outbox_id) const {
  return std::any_of(hidden_.begin(), hidden_.end(), [&](const Hidden& hidden) {
    return hidden.until > clock_->Now() && hidden.outbox_ids.contains(outbox_id);
  });
}

class FaultStore::FaultReader : public store::Reader {
 public:
  FaultReader(const Ports* ports, std::unique_ptr<store::Reader> own)
      : ports_(*ports), own_(std::move(own)) {}

  absl::Status Query(const store::Statement& statement,
                     absl::FunctionRef<void(const store::RowView&)> on_row) override {
    if (ports_.process->is_doomed()) return absl::UnavailableError("the process is gone");
    if (ports_.weather->Strikes(Fault::kReadFails, 0.02)) {
      return absl::UnavailableError("the database cannot be read now");
    }
    store::Reader& reader = own_ != nullptr ? *own_ : ports_.database->store->reader();
    const Veil& veil = *ports_.database->veil;
    if (veil.empty() || !ReadsOutbox(statement.sql.text())) {
      return reader.Query(statement, on_row);
    }
    return reader.Query(statement, [&](const store::RowView& row) {
      if (!veil.Hides(row.Int(0))) on_row(row);
    });
  }

 private:
  const Ports ports_;
  const std::unique_ptr<store::Reader> own_;  // null = the committer's
};

FaultStore::FaultStore(Ports ports)
    : ports_(std::move(ports)), reader_(std::make_unique<FaultReader>(&ports_, nullptr)) {}

absl::StatusOr<std::unique_ptr<store::Reader>> FaultStore::OpenReader() {
  absl::StatusOr<std::unique_ptr<store::Reader>> own = ports_.database->store->OpenReader();
  if (!own.ok()) return own.status();
  return std::make_unique<FaultReader>(&ports_, *std::move(own));
}

CommitResult FaultStore::Commit(const std::vector<store::Write>& batch) {
  CommitResult result;
  Weather& weather = *ports_.weather;
  const auto nothing = [&](CommitResult::Kind kind) {
    result.kind = kind;
    return result;
  };
  if (ports_.process->is_doomed()) return nothing(CommitResult::Kind::kUnknown);
  if (weather.Strikes(Fault::kDiskFull, 0.1)) {
    result.status = absl::ResourceExhaustedError("the disk is full");
    return nothing(CommitResult::Kind::kFailed);
  }
  if (weather.Strikes(Fault::kConflict, 0.25)) return nothing(CommitResult::Kind::kConflict);
  if (weather.Strikes(Fault::kCommitUnknownLost, 0.15)) {
    return nothing(CommitResult::Kind::kUnknown);
  }
  const bool is_killed = weather.Strikes(Fault::kKillAtCommit, 0.01);
  if (is_killed && weather.DiceOf(Fault::kKillAtCommit).Chance(0.5)) {
    ports_.process->Doom();
    return nothing(CommitResult::Kind::kUnknown);
  }
  Veil& veil = *ports_.database->veil;
  if (!veil.empty()) veil.Show(batch);
  result = ports_.database->store->Commit(batch);
  if (result.kind != CommitResult::Kind::kCommitted) return result;
  if (is_shared() && weather.Strikes(Fault::kWithheldRows, 0.9)) {
    veil.Hide(
        batch, ports_.database->store->reader(),
        ports_.clock->Now() +
            weather.DiceOf(Fault::kWithheldRows).Between(absl::Milliseconds(1), absl::Seconds(20)));
  }
  ports_.committed(batch);
  if (is_killed) {
    ports_.process->Doom();
    return nothing(CommitResult::Kind::kUnknown);
  }
  if (weather.Strikes(Fault::kSlowStore, 0.1)) {
    ports_.executor->StandStillUntil(
        ports_.clock->Now() +
        weather.DiceOf(Fault::kSlowStore).Between(absl::Milliseconds(5), absl::Seconds(4)));
  }
  if (weather.Strikes(Fault::kCommitUnknownDone, 0.15))
    return nothing(CommitResult::Kind::kUnknown);
  return result;
}

}  // namespace tandem::simulation
