#include "common/postgres/postgres_connection.h"

#include <endian.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>
#include <variant>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/postgres/big_endian.h"

namespace tandem::store {
namespace {

// A service has a few dozen texts; the bound is for a text that is composed anew each time.
constexpr size_t kMaxPrepared = 256;

// Types as the server numbers them (pg_type.dat); they never change.
constexpr Oid kBool = 16, kBytea = 17, kName = 19, kInt8 = 20, kInt2 = 21, kInt4 = 23, kText = 25,
              kVarchar = 1043, kNumeric = 1700;

// Absence is guarded by this many advisory locks a schema. More of them make two rows share one
// less often; all of them together must fit into the server's lock table beside 100 connections
// (max_locks_per_transaction 64 gives 6400 locks).
constexpr uint64_t kGuards = 512;
constexpr std::string_view kTakeGuards =
    "SELECT count(CASE WHEN guard % 2 = 1 "
    "THEN CAST(pg_advisory_xact_lock(CAST($1 AS int), guard / 2) AS text) "
    "ELSE CAST(pg_advisory_xact_lock_shared(CAST($1 AS int), guard / 2) AS text) END) "
    "FROM unnest(CAST(CAST($2 AS text) AS int[])) AS guard";

// The same in every process and version: what they lock must be the same thing.
uint64_t Fnv1a(std::string_view bytes, uint64_t hash = 0xcbf29ce484222325u) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

std::string Millis(absl::Duration span) { return absl::StrCat(absl::ToInt64Milliseconds(span)); }

// A NUMERIC, which is what a sum of BIGINTs is, if it is whole and fits: digits to the base of
// 10000, the first of them times 10000 to the power of the weight.
std::optional<int64_t> WholeNumber(const char* bytes, int length) {
  constexpr int kHead = 8;
  constexpr uint16_t kPositive = 0, kNegative = 0x4000;
  if (length < kHead) return std::nullopt;
  const int digits = Load16(bytes), weight = Load16(bytes + 2);
  const auto sign = static_cast<uint16_t>(Load16(bytes + 4));
  if (sign != kPositive && sign != kNegative) return std::nullopt;  // not a number, infinite
  if (digits > weight + 1 || length < kHead + 2 * digits) {
    return digits == 0 ? std::optional<int64_t>(0) : std::nullopt;
  }
  int64_t number = 0;  // below zero: there is one more on that side
  for (int i = 0; i <= weight; ++i) {
    const int64_t digit = i < digits ? Load16(bytes + kHead + 2 * i) : 0;
    if (__builtin_mul_overflow(number, int64_t{10000}, &number) ||
        __builtin_sub_overflow(number, digit, &number)) {
      return std::nullopt;
    }
  }
  if (sign == kNegative) return number;
  return number == std::numeric_limits<int64_t>::min() ? std::nullopt
                                                       : std::optional<int64_t>(-number);
}

Oid TypeOf(const Value& value) {
  if (std::holds_alternative<int64_t>(value)) return kInt8;
  if (std::holds_alternative<std::string>(value)) return kText;
  if (std::holds_alternative<Blob>(value)) return kBytea;
  return 0;  // NULL: the server finds the type in the text
}

bool IsNumber(Oid type) {
  return type == kInt8 || type == kInt4 || type == kInt2 || type == kBool || type == kNumeric;
}
bool IsText(Oid type) {
  return type == kText || type == kBytea || type == kVarchar || type == kName;
}

// A row of a result in binary format. Reading a column as what it is not is noted, not guessed at.
class PostgresRow final : public RowView {
 public:
  explicit PostgresRow(const PGresult& result) : result_(result) {}
  void Set(int row) { row_ = row; }
  // The first column that was read as what it is not; -1 = none.
  int misread() const { return misread_; }

  bool IsNull(int column) const override { return PQgetisnull(&result_, row_, column) != 0; }
  int64_t Int(int column) const override {
    if (IsNull(column)) return 0;
    const char* const bytes = PQgetvalue(&result_, row_, column);
    switch (PQftype(&result_, column)) {
      case kInt8:
        return Load64(bytes);
      case kInt4:
        return Load32(bytes);
      case kInt2:
        return Load16(bytes);
      case kBool:
        return bytes[0] != 0 ? 1 : 0;
      case kNumeric:
        if (const auto whole = WholeNumber(bytes, PQgetlength(&result_, row_, column))) {
          return *whole;
        }
        [[fallthrough]];
      default:
        misread_ = column;
        return 0;
    }
  }
  std::string_view Text(int column) const override {
    if (IsNull(column)) return {};
    if (!IsText(PQftype(&result_, column))) {
      misread_ = column;
      return {};
    }
    return {PQgetvalue(&result_, row_, column),
            static_cast<size_t>(PQgetlength(&result_, row_, column))};
  }

 private:
  const PGresult& result_;
  int row_ = 0;
  mutable int misread_ = -1;
};

std::string_view Field(const PGresult& result, int field) {
  const char* const value = PQresultErrorField(&result, field);
  return value == nullptr ? std::string_view() : value;
}

bool EndsTheConnection(const PGresult& result) {
  const std::string_view severity = Field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  return severity == "FATAL" || severity == "PANIC";
}

// PostgreSQL's error codes, appendix A of its manual.
absl::StatusCode CodeOf(std::string_view state) {
  const std::string_view category = state.substr(0, 2);
  if (state == "53300" || state == "57014") return absl::StatusCode::kUnavailable;
  if (category == "53" || state == "54000") return absl::StatusCode::kResourceExhausted;
  if (category == "XX") {
    return state == "XX000" ? absl::StatusCode::kInternal : absl::StatusCode::kDataLoss;
  }
  if (state == "42501" || category == "28") return absl::StatusCode::kPermissionDenied;
  if (state == "3D000") return absl::StatusCode::kFailedPrecondition;
  // 25006 is a server that became a standby, 25P0x a transaction that stood still for too long.
  if (category == "08" || category == "57" || category == "58" || category == "40" ||
      state == "55P03" || state == "25006" || state == "25P03" || state == "25P04") {
    return absl::StatusCode::kUnavailable;
  }
  return absl::StatusCode::kInternal;
}

}  // namespace

absl::StatusOr<std::string> NameOfDatabase(const PostgresOptions& options) {
  char* error = nullptr;
  PQconninfoOption* const read = PQconninfoParse(options.uri.c_str(), &error);
  PQfreemem(error);  // not shown: it quotes the URI
  if (read == nullptr || options.uri.empty()) {
    PQconninfoFree(read);
    return absl::InvalidArgumentError(
        "the store's URI cannot be read; it looks like postgresql://user@host:5432/database");
  }
  std::string host, port, database;
  for (const PQconninfoOption* option = read; option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    const std::string_view keyword = option->keyword;
    if (keyword == "host" || (keyword == "hostaddr" && host.empty())) host = option->val;
    if (keyword == "port") port = absl::StrCat(":", option->val);
    if (keyword == "dbname") database = option->val;
  }
  PQconninfoFree(read);
  return absl::StrCat("postgresql://", host, port, "/", database,
                      options.schema.empty() ? "" : ", schema ", options.schema);
}

PostgresConnection::PostgresConnection(const PostgresOptions& options, std::string database)
    : options_(options), database_(std::move(database)) {}

PostgresConnection::~PostgresConnection() {
  if (db_ != nullptr) PQfinish(db_);
}

absl::StatusOr<std::unique_ptr<PostgresConnection>> PostgresConnection::Open(
    const PostgresOptions& options, Purpose purpose) {
  absl::StatusOr<std::string> database = NameOfDatabase(options);
  if (!database.ok()) return database.status();
  std::unique_ptr<PostgresConnection> connection(
      new PostgresConnection(options, *std::move(database)));
  if (absl::Status s = connection->Connect(purpose); !s.ok()) return s;
  return connection;
}

absl::Status PostgresConnection::Connect(Purpose purpose) {
  const std::string tcp_user_timeout = Millis(options_.tcp_user_timeout);
  // The URI comes behind the defaults and wins over them.
  const char* const keywords[] = {"fallback_application_name", "tcp_user_timeout", "dbname",
                                  "client_encoding", nullptr};
  const char* const values[] = {options_.application_name.c_str(), tcp_user_timeout.c_str(),
                                options_.uri.c_str(), "UTF8", nullptr};
  deadline_.Start(options_.connect_timeout);
  db_ = PQconnectStartParams(keywords, values, /*expand_dbname=*/1);
  if (db_ == nullptr) return absl::ResourceExhaustedError(database_ + ": out of memory");
  // Verbose, because the error's code stands only in the text; ConnectError takes it out again.
  PQsetErrorVerbosity(db_, PQERRORS_VERBOSE);
  PQsetNoticeReceiver(db_, HearNotice, this);
  PostgresPollingStatusType step = PGRES_POLLING_WRITING;
  while (step != PGRES_POLLING_OK) {
    if (PQstatus(db_) == CONNECTION_BAD || step == PGRES_POLLING_FAILED) return ConnectError();
    const Wait wait = AwaitSocket(step == PGRES_POLLING_READING ? POLLIN : POLLOUT);
    if (wait == Wait::kTimeout) {
      return absl::UnavailableError(absl::StrCat(database_, ": no server answered within ",
                                                 absl::FormatDuration(options_.connect_timeout)));
    }
    step = PQconnectPoll(db_);
  }
  PQsetErrorVerbosity(db_, PQERRORS_DEFAULT);
  if (PQsetnonblocking(db_, 1) != 0) return LostStatus("while it was set up");
  return Configure(purpose);
}

void PostgresConnection::HearNotice(void* connection, const PGresult* notice) {
  if (EndsTheConnection(*notice)) static_cast<PostgresConnection*>(connection)->lost_ = true;
}

absl::Status PostgresConnection::ConnectError() const {
  // "connection to server at "db" (10.0.0.1), port 5432 failed: FATAL:  28P01: password …", a line
  // a host that was tried, with lines of detail between them.
  std::string state, said;
  std::string_view rest = PQerrorMessage(db_);
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string line(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (absl::StartsWith(line, "LOCATION:") || absl::StartsWith(line, "DETAIL:") || line.empty()) {
      continue;
    }
    for (size_t at = line.find(":  "); at != std::string::npos; at = line.find(":  ", at + 1)) {
      if (line.size() < at + 10 || line.compare(at + 8, 2, ": ") != 0) continue;
      state = line.substr(at + 3, 5);
      line = absl::StrCat(line.substr(0, at), ": ", line.substr(at + 10), " [", state, "]");
      break;
    }
    absl::StrAppend(&said, said.empty() ? "" : "; ", std::string(absl::StripAsciiWhitespace(line)));
  }
  const absl::StatusCode code = state.empty() ? absl::StatusCode::kUnavailable : CodeOf(state);
  return absl::Status(code == absl::StatusCode::kInternal ? absl::StatusCode::kUnavailable : code,
                      absl::StrCat(database_, ": cannot connect: ", said));
}

absl::Status PostgresConnection::Configure(Purpose purpose) {
  const bool migrates = purpose == Purpose::kMigrates;
  read_only_ = purpose == Purpose::kReads && options_.readers_are_read_only;
  const std::string settings =
      "SELECT pg_is_in_recovery(), current_setting('server_encoding'), "
      "set_config('search_path', quote_ident($1), false), "
      "set_config('idle_in_transaction_session_timeout', $2, false), "
      "set_config('lock_timeout', $3, false), set_config('statement_timeout', $4, false), "
      "set_config('tcp_user_timeout', $5, false), "
      "set_config('default_transaction_isolation', 'read committed', false), "
      "set_config('default_transaction_read_only', $6, false)";
  absl::StatusOr<Result> set =
      Execute(settings,
              {options_.schema, Millis(options_.idle_in_transaction_timeout),
               Millis(migrates ? options_.migrate_timeout : options_.lock_timeout),
               Millis(migrates ? options_.migrate_timeout : options_.statement_timeout),
               Millis(options_.tcp_user_timeout), read_only_ ? "on" : "off"},
              options_.connect_timeout);
  if (!set.ok()) return set.status();
  // A standby has not seen each commit that returned, and takes none.
  if (PQgetvalue(set->get(), 0, 0)[0] == 't') {
    return absl::UnavailableError(
        absl::StrCat(database_,
                     ": this server is a standby; name all servers in the URI and add "
                     "target_session_attrs=read-write to it"));
  }
  if (std::string_view(PQgetvalue(set->get(), 0, 1)) != "UTF8") {
    return absl::FailedPreconditionError(absl::StrCat(database_, ": the database's encoding is ",
                                                      PQgetvalue(set->get(), 0, 1),
                                                      "; make one with ENCODING UTF8"));
  }
  set->reset();
  if (!migrates && PQenterPipelineMode(db_) != 1) return LostStatus("while it was set up");
  return absl::OkStatus();
}

PostgresConnection::Wait PostgresConnection::AwaitSocket(short events) {
  pollfd files[2] = {{PQsocket(db_), events, 0}, {deadline_.fd(), POLLIN, 0}};
  if (files[0].fd < 0) return Wait::kLost;
  if (deadline_.fd() < 0) return Wait::kTimeout;
  while (poll(files, 2, -1) < 0) {
    if (errno != EINTR) return Wait::kLost;
  }
  return files[0].revents != 0 ? Wait::kReady : Wait::kTimeout;
}

PostgresConnection::Wait PostgresConnection::AwaitResult() {
  bool ended = false;
  for (;;) {
    if (unsent_ && !ended) {
      const int left = PQflush(db_);
      if (left < 0) ended = true;
      unsent_ = left != 0;
    }
    if (PQisBusy(db_) == 0) return Wait::kReady;
    if (ended) return Wait::kLost;
    const Wait wait = AwaitSocket(static_cast<short>(POLLIN | (unsent_ ? POLLOUT : 0)));
    if (wait != Wait::kReady) return wait;
    // What had come before the end is still read.
    if (PQconsumeInput(db_) == 0) ended = true;
  }
}

bool PostgresConnection::Stands() {
  // Nothing has been asked: what comes is a notice, a parameter that changed, or the end. The end
  // may come in two parts, the server's last words (HearNotice) and the closing.
  for (int part = 0; part < 2 && !lost_; ++part) {
    pollfd file{PQsocket(db_), POLLIN, 0};
    if (file.fd >= 0 && poll(&file, 1, 0) == 0) break;
    if (file.fd < 0 || PQconsumeInput(db_) == 0) lost_ = true;
    PQisBusy(db_);  // takes in what came
    if (PQstatus(db_) == CONNECTION_BAD) lost_ = true;
  }
  return !lost_;
}

absl::StatusOr<PostgresConnection::Prepared*> PostgresConnection::Find(std::string_view sql,
                                                                       Use use) {
  auto& index = by_sql_[static_cast<size_t>(use)];
  if (auto found = index.find(absl::string_view(sql.data(), sql.size())); found != index.end()) {
    prepared_.splice(prepared_.begin(), prepared_, found->second);
    return &prepared_.front();
  }
  absl::StatusOr<ServerText> server = MakeServerText(sql, use);
  if (!server.ok()) {
    return absl::InternalError(
        absl::StrCat(database_, ": ", std::string(server.status().message())));
  }
  Prepared& prepared = prepared_.emplace_front();
  prepared.text = sql;
  prepared.types.resize(server->parameters);
  prepared.server = *std::move(server);
  prepared.use = use;
  index.emplace(prepared.text, prepared_.begin());
  return &prepared;
}

void PostgresConnection::Trim() {
  while (prepared_.size() > kMaxPrepared) {
    Prepared& last = prepared_.back();
    if (last.is_sent) to_close_.push_back(last.name);
    by_sql_[static_cast<size_t>(last.use)].erase(last.text);
    prepared_.pop_back();
  }
}

bool PostgresConnection::PutValues(const char* name, const std::vector<Value>& params) {
  const size_t count = params.size();
  values_.resize(count);
  lengths_.resize(count);
  formats_.assign(count, 1);
  numbers_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    values_[i] = nullptr;
    lengths_[i] = 0;
    const std::string* bytes = std::get_if<std::string>(&params[i]);
    if (const auto* blob = std::get_if<Blob>(&params[i])) bytes = &blob->bytes;
    if (bytes != nullptr) {
      values_[i] = bytes->data();
      lengths_[i] = static_cast<int>(bytes->size());
    } else if (const auto* number = std::get_if<int64_t>(&params[i])) {
      const uint64_t big = htobe64(static_cast<uint64_t>(*number));
      std::memcpy(numbers_[i].data(), &big, sizeof(big));
      values_[i] = numbers_[i].data();
      lengths_[i] = static_cast<int>(numbers_[i].size());
    }
  }
  return PQsendQueryPrepared(db_, name, static_cast<int>(count), values_.data(), lengths_.data(),
                             formats_.data(), /*resultFormat=*/1) == 1;
}

bool PostgresConnection::PutLine(const Statement& statement, Prepared& prepared, size_t line) {
  // A type that is now known, or another one than before, makes it another statement for the
  // server.
  bool fits = prepared.is_sent;
  for (size_t i = 0; i < prepared.types.size(); ++i) {
    const Oid type = TypeOf(statement.params[i]);
    if (type == 0 || type == prepared.types[i]) continue;
    prepared.types[i] = type;
    fits = false;
  }
  if (!fits) {
    if (prepared.is_sent) to_close_.push_back(prepared.name);
    prepared.name = absl::StrCat("s", ++names_);
    prepared.is_sent = true;
    if (PQsendPrepare(db_, prepared.name.c_str(), prepared.server.sql.c_str(),
                      static_cast<int>(prepared.types.size()), prepared.types.data()) != 1) {
      return false;
    }
    steps_.push_back({Step::Kind::kPrepare, line, prepared.name, &prepared});
  }
  steps_.push_back({Step::Kind::kLine, line, {}, &prepared});
  return PutValues(prepared.name.c_str(), statement.params);
}

// A row that is to be absent cannot be locked, and an insert under way cannot be seen. So an insert
// takes its key's guard shared and a check of absence takes it alone, both until the transaction
// ends: whichever comes second waits for the first and then sees what it did. All guards of a batch
// are taken before its first line, in order, so that they wait for each other in no circle.
bool PostgresConnection::PutGuard(absl::Span<const Line> lines,
                                  const std::vector<Prepared*>& prepared) {
  std::vector<uint64_t> guards;  // twice the number, one more = alone
  for (size_t i = 0; i < lines.size(); ++i) {
    const Write* const place = lines[i].place;
    // A line without a key is no row that anybody could look for.
    if (place == nullptr || place->key.empty()) continue;
    const ServerText& server = prepared[i]->server;
    if (!server.inserts && !server.checks_absence) continue;
    // A zero byte parts the two: it is in no table's name.
    const uint64_t hash = Fnv1a(place->key, Fnv1a(std::string_view("\0", 1), Fnv1a(place->table)));
    guards.push_back((hash >> 32) % kGuards * 2 + (server.checks_absence ? 1 : 0));
  }
  if (guards.empty()) return true;
  std::sort(guards.begin(), guards.end(), std::greater<>());
  // Of one guard the stronger lock, which stands first here, is enough.
  guards.erase(std::unique(guards.begin(), guards.end(),
                           [](uint64_t a, uint64_t b) { return a / 2 == b / 2; }),
               guards.end());
  const Statement statement{
      Sql::Lasting(kTakeGuards),
      {static_cast<int64_t>(static_cast<int32_t>(Fnv1a(options_.schema) >> 32)),
       absl::StrCat("{", absl::StrJoin(guards, ","), "}")}};
  const absl::StatusOr<Prepared*> taking = Find(statement.sql.text(), Use::kQuery);
  if (!taking.ok()) return false;
  if (!PutLine(statement, **taking, Answer::kNoLine)) return false;
  steps_.back().kind = Step::Kind::kGuard;
  return true;
}

bool PostgresConnection::Put(absl::Span<const Line> lines, const std::vector<Prepared*>& prepared) {
  steps_.clear();
  for (const std::string& name : std::exchange(to_close_, {})) {
    steps_.push_back({Step::Kind::kClose, Answer::kNoLine, name, nullptr});
    const std::string close = absl::StrCat("DEALLOCATE ", name);
    if (PQsendQueryParams(db_, close.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 1) != 1) {
      return false;
    }
  }
  if (!PutGuard(lines, prepared)) return false;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (!PutLine(*lines[i].statement, *prepared[i], i)) return false;
  }
  steps_.push_back({Step::Kind::kSync, Answer::kNoLine, {}, nullptr});
  return PQpipelineSync(db_) == 1;
}

PostgresConnection::Answer PostgresConnection::Run(absl::Span<const Line> lines) {
  std::vector<Prepared*> prepared;
  prepared.reserve(lines.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    const Statement& statement = *lines[i].statement;
    absl::StatusOr<Prepared*> found = Find(statement.sql.text(), lines[i].use);
    absl::Status status = found.status();
    if (status.ok() && (*found)->server.parameters != statement.params.size()) {
      status = absl::InternalError(absl::StrCat(
          database_, ": ", statement.params.size(), " values for ", (*found)->server.parameters,
          " parameters: ", std::string(statement.sql.text())));
    }
    if (!status.ok()) {
      Answer refused;
      refused.kind = Answer::Kind::kRefused;
      refused.line = i;
      refused.status = std::move(status);
      return refused;
    }
    prepared.push_back(*found);
  }
  deadline_.Start(options_.answer_timeout);
  const absl::Cleanup trim = [this] { Trim(); };
  if (!Put(lines, prepared)) {
    // The end of the pipeline was not sent, so the server commits nothing.
    lost_ = true;
    Answer lost;
    lost.kind = Answer::Kind::kLost;
    lost.status = LostStatus("before all was sent");
    return lost;
  }
  unsent_ = true;
  return Collect();
}

PostgresConnection::Answer PostgresConnection::Collect() {
  Answer answer;
  size_t at = 0;
  bool answered = false;  // the step at `at`
  int nothing = 0;        // in a row, where something was due
  while (at < steps_.size()) {
    const Wait wait = AwaitResult();
    Result result(wait == Wait::kReady ? PQgetResult(db_) : nullptr);
    const ExecStatusType status =
        result == nullptr ? PGRES_EMPTY_QUERY : PQresultStatus(result.get());
    // An error without a code is libpq's own: the connection is gone.
    const bool gone = wait != Wait::kReady ||
                      (status == PGRES_FATAL_ERROR && Field(*result, PG_DIAG_SQLSTATE).empty()) ||
                      (result == nullptr && (!answered && ++nothing > 2));
    if (gone) {
      lost_ = true;
      if (answer.kind != Answer::Kind::kDone) return answer;  // it said why
      answer.kind = Answer::Kind::kLost;
      answer.perhaps_done = !unsent_;
      answer.status = wait == Wait::kTimeout
                          ? LostStatus(absl::StrCat("no answer within ",
                                                    absl::FormatDuration(options_.answer_timeout)))
                          : LostStatus("before the answer was whole");
      return answer;
    }
    if (result == nullptr) {
      if (answered) {
        ++at;
        answered = false;
      }
      continue;
    }
    nothing = 0;
    const Step& step = steps_[at];
    answered = true;
    switch (status) {
      case PGRES_PIPELINE_SYNC:
        ++at;
        answered = false;
        break;
      case PGRES_COMMAND_OK:
      case PGRES_TUPLES_OK:
        if (step.kind == Step::Kind::kLine) answer.rows = std::move(result);
        break;
      case PGRES_PIPELINE_ABORTED:
        if (step.kind == Step::Kind::kClose) to_close_.push_back(step.name);
        if (step.kind == Step::Kind::kPrepare) NotPrepared(step);
        break;
      default:  // PGRES_FATAL_ERROR
        Refused(step, *result, answer);
        break;
    }
  }
  if (answer.kind == Answer::Kind::kRefused) answer.rows = nullptr;
  return answer;
}

void PostgresConnection::NotPrepared(const Step& step) {
  if (step.prepared->name == step.name) step.prepared->is_sent = false;
  // It was to be closed already, if a later line of the same pipeline had other types.
  std::erase(to_close_, step.name);
}

void PostgresConnection::Refused(const Step& step, const PGresult& result, Answer& answer) {
  const bool ends = EndsTheConnection(result);
  if (ends) lost_ = true;
  if (step.kind == Step::Kind::kSync && ends) {
    // The end came with or behind the commit, and nothing tells which.
    answer.kind = Answer::Kind::kLost;
    answer.perhaps_done = true;
    answer.status = Error(result, "commit");
    return;
  }
  if (answer.kind == Answer::Kind::kRefused) return;  // the first refusal is the reason
  answer.kind = Answer::Kind::kRefused;
  answer.line = step.line;
  answer.state = Field(result, PG_DIAG_SQLSTATE);
  answer.status = Error(result, step.prepared != nullptr
                                    ? std::string_view(step.prepared->text)
                                    : (step.kind == Step::Kind::kSync ? "commit" : "deallocate"));
  if (step.kind == Step::Kind::kPrepare) NotPrepared(step);
  if (step.kind == Step::Kind::kClose) answer.prepares_anew = true;  // it is gone, as was wanted
  // 0A000: a column's type changed under a prepared statement; 26000: somebody else has removed it.
  // Prepared anew it works, or is refused for what it is.
  if (step.prepared != nullptr && step.kind != Step::Kind::kPrepare &&
      (answer.state == "0A000" || answer.state == "26000")) {
    if (answer.state == "0A000") to_close_.push_back(step.prepared->name);
    step.prepared->is_sent = false;
    answer.prepares_anew = true;
  }
  // A standby now; the next connection finds the primary.
  if (answer.state == "25006" && !read_only_) lost_ = true;
}

PostgresConnection::QueryAnswer PostgresConnection::Query(
    const Statement& statement, absl::FunctionRef<void(const RowView&)> on_row) {
  const Line line{&statement, Use::kQuery, nullptr};
  const Answer answer = Run(absl::MakeConstSpan(&line, 1));
  if (answer.kind != Answer::Kind::kDone) {
    return {answer.status, lost_, lost_ || answer.prepares_anew};
  }
  const PGresult& rows = *answer.rows;
  const auto wrong = [&](int column) {
    return absl::InternalError(absl::StrCat(
        database_, ": column ", column, " (", PQfname(&rows, column), ") has PostgreSQL's type ",
        PQftype(&rows, column),
        ", which is not read so; CAST it AS BIGINT or TEXT: ", std::string(statement.sql.text())));
  };
  for (int column = 0; column < PQnfields(&rows); ++column) {
    const Oid type = PQftype(&rows, column);
    if (!IsNumber(type) && !IsText(type)) return {wrong(column)};
  }
  PostgresRow row(rows);
  for (int i = 0; i < PQntuples(&rows); ++i) {
    row.Set(i);
    on_row(row);
  }
  if (row.misread() >= 0) return {wrong(row.misread())};
  return {absl::OkStatus()};
}

absl::StatusOr<PostgresConnection::Result> PostgresConnection::Execute(
    const std::string& sql, const std::vector<std::string>& params, absl::Duration within) {
  deadline_.Start(within);
  if (lost_) return LostStatus("earlier");
  std::vector<const char*> values;
  for (const std::string& param : params) values.push_back(param.c_str());
  const int sent =
      params.empty() ? PQsendQuery(db_, sql.c_str())
                     : PQsendQueryParams(db_, sql.c_str(), static_cast<int>(values.size()), nullptr,
                                         values.data(), nullptr, nullptr, /*resultFormat=*/0);
  if (sent != 1) {
    lost_ = true;
    return LostStatus("before all was sent");
  }
  unsent_ = true;
  Result last;
  absl::Status refused;
  for (;;) {
    const Wait wait = AwaitResult();
    if (wait != Wait::kReady) {
      lost_ = true;
      return LostStatus(wait == Wait::kTimeout ? "no answer in time"
                                               : "before the answer was whole");
    }
    Result result(PQgetResult(db_));
    if (result == nullptr) break;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
      if (Field(*result, PG_DIAG_SQLSTATE).empty()) {
        lost_ = true;
        return LostStatus("before the answer was whole");
      }
      if (EndsTheConnection(*result)) lost_ = true;
      if (refused.ok()) refused = Error(*result, sql.substr(0, sql.find('\n')));
    }
    last = std::move(result);
  }
  if (!refused.ok()) return refused;
  if (last == nullptr) {
    lost_ = true;
    return LostStatus("before the answer was whole");
  }
  return last;
}

std::string PostgresConnection::Quoted(const std::string& name) const {
  char* const quoted = PQescapeIdentifier(db_, name.data(), name.size());
  std::string copy = quoted == nullptr ? "" : quoted;
  PQfreemem(quoted);
  return copy;
}

absl::Status PostgresConnection::LostStatus(std::string_view how) const {
  return absl::UnavailableError(
      absl::StrCat(database_, ": the connection was lost: ", std::string(how)));
}

absl::Status PostgresConnection::Error(const PGresult& result, std::string_view doing) const {
  const std::string_view state = Field(result, PG_DIAG_SQLSTATE);
  // The detail of an error holds values of rows and is left out. So are the messages of class 22
  // (data exception) and of a trigger's own errors, which quote values as well.
  const bool quotes = absl::StartsWith(absl::string_view(state.data(), state.size()), "22") ||
                      absl::StartsWith(absl::string_view(state.data(), state.size()), "P0");
  const std::string_view message =
      quotes ? "a value does not fit" : Field(result, PG_DIAG_MESSAGE_PRIMARY);
  const bool own_fault = state == "25006" && read_only_;  // a query that writes after all
  return absl::Status(own_fault ? absl::StatusCode::kInternal : CodeOf(state),
                      absl::StrCat(database_, ": ", std::string(message), " [PostgreSQL ",
                                   std::string(state), "] in: ", std::string(doing)));
}

}  // namespace tandem::store
