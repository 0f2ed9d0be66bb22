// PostgresConnection's COPY, in both directions.
#include <poll.h>

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "common/postgres/postgres_connection.h"

namespace tandem::store {

absl::Status PostgresConnection::CopyIn(const std::string& sql, absl::Duration patience,
                                        absl::FunctionRef<absl::Status(const Send&)> fill) {
  if (absl::Status s = BeginCopy(sql, PGRES_COPY_IN, patience); !s.ok()) return s;
  const absl::Status filled = fill([&](std::string_view bytes) -> absl::Status {
    deadline_.Start(patience);
    if (PQputCopyData(db_, bytes.data(), static_cast<int>(bytes.size())) != 1) {
      lost_ = true;
      return LostStatus("before all was sent");
    }
    return FlushCopy();
  });
  if (lost_) return filled.ok() ? LostStatus("before all was sent") : filled;
  deadline_.Start(patience);
  if (PQputCopyEnd(db_, filled.ok() ? nullptr : "given up by the client") != 1) {
    lost_ = true;
    return LostStatus("before all was sent");
  }
  if (absl::Status s = FlushCopy(); !s.ok()) return s;
  const absl::Status copied = EndCopy(sql, patience);
  return filled.ok() ? copied : filled;
}

absl::Status PostgresConnection::CopyOut(
    const std::string& sql, absl::Duration patience,
    absl::FunctionRef<absl::Status(std::string_view piece)> take) {
  if (absl::Status s = BeginCopy(sql, PGRES_COPY_OUT, patience); !s.ok()) return s;
  absl::Status taken;
  for (;;) {
    char* bytes = nullptr;
    const int size = PQgetCopyData(db_, &bytes, /*async=*/1);
    const absl::Cleanup free = [&] { PQfreemem(bytes); };
    if (size < 0) break;  // the end, or an error that EndCopy meets
    deadline_.Start(patience);
    if (size > 0) {
      // What comes after a refusal is dropped: the server cannot be told to stop.
      if (taken.ok()) taken = take({bytes, static_cast<size_t>(size)});
      continue;
    }
    const Wait wait = AwaitSocket(POLLIN);
    if (wait != Wait::kReady || PQconsumeInput(db_) == 0) {
      lost_ = true;
      return LostStatus(wait == Wait::kTimeout ? "no answer in time"
                                               : "before the answer was whole");
    }
  }
  const absl::Status copied = EndCopy(sql, patience);
  return copied.ok() ? taken : copied;
}

absl::Status PostgresConnection::BeginCopy(const std::string& sql, ExecStatusType expected,
                                           absl::Duration patience) {
  deadline_.Start(patience);
  if (lost_) return LostStatus("earlier");
  if (PQsendQuery(db_, sql.c_str()) != 1) {
    lost_ = true;
    return LostStatus("before all was sent");
  }
  unsent_ = true;
  const Wait wait = AwaitResult();
  const Result result(wait == Wait::kReady ? PQgetResult(db_) : nullptr);
  if (result == nullptr) {
    lost_ = true;
    return LostStatus(wait == Wait::kTimeout ? "no answer in time" : "before the answer was whole");
  }
  if (PQresultStatus(result.get()) == expected) return absl::OkStatus();
  const absl::Status refused = CopyError(*result, sql);
  EndCopy(sql, patience).IgnoreError();
  return refused;
}

absl::Status PostgresConnection::FlushCopy() {
  for (;;) {
    const int left = PQflush(db_);
    if (left == 0) return absl::OkStatus();
    const Wait wait = left < 0 ? Wait::kLost : AwaitSocket(static_cast<short>(POLLIN | POLLOUT));
    if (wait != Wait::kReady || PQconsumeInput(db_) == 0) {
      lost_ = true;
      return LostStatus(wait == Wait::kTimeout ? "the server takes no more"
                                               : "before all was sent");
    }
  }
}

absl::Status PostgresConnection::EndCopy(const std::string& sql, absl::Duration patience) {
  deadline_.Start(patience);
  absl::Status refused;
  for (;;) {
    const Wait wait = lost_ ? Wait::kLost : AwaitResult();
    if (wait != Wait::kReady) {
      lost_ = true;
      if (!refused.ok()) return refused;  // it said why
      return LostStatus(wait == Wait::kTimeout ? "no answer in time"
                                               : "before the answer was whole");
    }
    const Result result(PQgetResult(db_));
    if (result == nullptr) return refused;
    if (PQresultStatus(result.get()) == PGRES_COMMAND_OK) continue;
    if (refused.ok()) refused = CopyError(*result, sql);
  }
}

absl::Status PostgresConnection::CopyError(const PGresult& result, const std::string& sql) {
  // An error without a code is libpq's own: the connection is gone.
  if (PQresultErrorField(&result, PG_DIAG_SQLSTATE) == nullptr) {
    lost_ = true;
    return LostStatus("before the answer was whole");
  }
  return Error(result, sql);
}

}  // namespace tandem::store
