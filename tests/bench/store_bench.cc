// What the embedded store costs: rows a second and latency of a commit, by rows a commit,
// durability and table shape, beside the raw limit of the disk (write + fdatasync of as many
// bytes). Prints a table; never passes or fails on time.
//
//   store_bench [DIR]      DIR: where its files go, default a new folder under the current one
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/store/sqlite.h"

namespace tandem::store {
namespace {

using std::chrono::steady_clock;

constexpr int kBodyBytes = 200;
constexpr double kSecondsPerLine = 2;

Schema BenchSchema() {
  return {
      "bench",
      {{1, 1, "001_bench.sqlite.sql",
        "CREATE TABLE records (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL, "
        "  due INTEGER) STRICT;"
        "CREATE TABLE clustered (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT "
        "NULL,"
        "  due INTEGER) STRICT, WITHOUT ROWID;"
        "CREATE TABLE log (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL) STRICT;"}}};
}

// Ids in Tandem are hashes, so keys arrive in no order.
std::string Key(uint64_t n) {
  n *= 0x9e3779b97f4a7c15u;
  n ^= n >> 32;
  return absl::StrFormat("key_%016x_0123456789", n * 0xd6e8feb86659fd93u);
}

void Fail(const absl::Status& status) {
  std::fprintf(stderr, "store_bench: %s\n", status.ToString().c_str());
  std::exit(1);
}

std::unique_ptr<Store> Open(const std::string& path, Durability durability) {
  SqliteOptions options;
  options.path = path;
  options.durability = durability;
  options.schemas = {BenchSchema()};
  auto store = OpenSqlite(std::move(options));
  if (!store.ok()) Fail(store.status());
  return *std::move(store);
}

Write Line(const std::string& table, uint64_t n) {
  if (table == "log") {
    return {
        table, "", {"INSERT INTO log (body) VALUES ($1)", {Blob{std::string(kBodyBytes, 'x')}}}};
  }
  std::string key = Key(n);
  return {
      table,
      key,
      {absl::StrCat("INSERT INTO ", table, " (key, version, body, due) VALUES ($1, $2, $3, $4)"),
       {key, int64_t{1}, Blob{std::string(kBodyBytes, 'x')}, static_cast<int64_t>(n)}}};
}

double Micros(steady_clock::duration d) {
  return std::chrono::duration<double, std::micro>(d).count();
}

void Report(const std::string& what, int rows, std::vector<double> micros) {
  double total = 0;
  for (const double m : micros) total += m;
  std::sort(micros.begin(), micros.end());
  const auto at = [&](double share) {
    return micros[std::min(micros.size() - 1,
                           static_cast<size_t>(share * static_cast<double>(micros.size())))];
  };
  std::printf("%-34s %6d %10.0f %10.0f %9.0f %9.0f %9.0f\n", what.c_str(), rows,
              static_cast<double>(micros.size()) * rows / total * 1e6,
              static_cast<double>(micros.size()) / total * 1e6, at(0.5), at(0.99), micros.back());
  std::fflush(stdout);
}

// Commits `rows` inserts at a time. The batches are built outside the measured time.
void MeasureCommits(const std::string& what, Store& store, const std::string& table, int rows) {
  static uint64_t n = 0;
  std::vector<double> micros;
  double total = 0;
  while (total < kSecondsPerLine * 1e6) {
    std::vector<Write> batch;
    for (int i = 0; i < rows; ++i) batch.push_back(Line(table, ++n));
    const auto start = steady_clock::now();
    const CommitResult result = store.Commit(batch);
    micros.push_back(Micros(steady_clock::now() - start));
    total += micros.back();
    if (result.kind != CommitResult::Kind::kCommitted) Fail(result.status);
  }
  Report(what, rows, std::move(micros));
}

void MeasureReads(const std::string& what, Store& store, Reader& reader) {
  static uint64_t base = uint64_t{1} << 40;
  base += 10000;
  std::vector<Write> batch;
  for (uint64_t i = 0; i < 10000; ++i) batch.push_back(Line("records", base + i));
  const CommitResult result = store.Commit(batch);
  if (result.kind != CommitResult::Kind::kCommitted) Fail(result.status);
  std::vector<double> micros;
  for (uint64_t i = 0; i < 200000; ++i) {
    const Statement select{"SELECT version, body FROM records WHERE key=$1",
                           {batch[i % 10000].key}};
    int found = 0;
    const auto start = steady_clock::now();
    const absl::Status status = reader.Query(
        select, [&](const RowView& row) { found += row.Text(1).size() == kBodyBytes; });
    micros.push_back(Micros(steady_clock::now() - start));
    if (!status.ok()) Fail(status);
    if (found != 1) Fail(absl::DataLossError("a row that was committed is not found"));
  }
  Report(what, 1, std::move(micros));
}

void MeasureDisk(const std::string& dir, int bytes) {
  const std::string path = dir + "/raw";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) Fail(absl::ErrnoToStatus(errno, path));
  const std::string block(static_cast<size_t>(bytes), 'x');
  std::vector<double> micros;
  double total = 0;
  for (int i = 0; total < kSecondsPerLine * 1e6; ++i) {
    const auto start = steady_clock::now();
    // As a WAL does, it writes over the same few megabytes.
    const off_t at = static_cast<off_t>(i % 16) * bytes;
    if (pwrite(fd, block.data(), block.size(), at) != static_cast<ssize_t>(block.size()) ||
        fdatasync(fd) != 0) {
      Fail(absl::ErrnoToStatus(errno, path));
    }
    micros.push_back(Micros(steady_clock::now() - start));
    total += micros.back();
  }
  close(fd);
  Report(absl::StrCat("raw write + fdatasync, ", bytes / 1024, " KiB"), 1, std::move(micros));
}

int Main(int argc, char** argv) {
  std::string dir = argc > 1 ? argv[1] : "store_bench.XXXXXX";
  if (argc <= 1 && mkdtemp(dir.data()) == nullptr) Fail(absl::ErrnoToStatus(errno, dir));
  std::printf("%-34s %6s %10s %10s %9s %9s %9s\n", "", "rows", "rows/s", "commits/s", "p50 us",
              "p99 us", "max us");
  MeasureDisk(dir, 8 << 10);
  MeasureDisk(dir, 512 << 10);
  for (const char* table : {"log", "records", "clustered"}) {
    const auto store = Open(absl::StrCat(dir, "/full_", table, ".db"), Durability::kFull);
    for (const int rows : {1, 10, 100, 1000}) {
      MeasureCommits(absl::StrCat("file, FULL, ", table), *store, table, rows);
    }
  }
  {
    const auto store = Open(dir + "/off.db", Durability::kOff);
    for (const int rows : {5, 100}) MeasureCommits("file, OFF, records", *store, "records", rows);
    MeasureReads("file, read by key, committer", *store, store->reader());
    const auto reader = store->OpenReader();
    if (!reader.ok()) Fail(reader.status());
    MeasureReads("file, read by key, reader", *store, **reader);
  }
  {
    const auto store = Open(":memory:", Durability::kOff);
    for (const int rows : {1, 5}) MeasureCommits("memory, records", *store, "records", rows);
    MeasureReads("memory, read by key", *store, store->reader());
  }
  if (argc <= 1) std::filesystem::remove_all(dir);
  return 0;
}

}  // namespace
}  // namespace tandem::store

int main(int argc, char** argv) { return tandem::store::Main(argc, argv); }
