#include "common/transfer/folder_mark.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/store/migration.h"
#include "common/store/migration_plan.h"

namespace tandem::transfer {
namespace {

constexpr char kTheMove[] = "the move of this folder to ";

std::string WayBack(const std::string& folder) {
  return absl::StrCat(
      "To give up what was done there since, and go on here: stop the services there, and run "
      "`tandemctl migrate --data ",
      folder, " --release`.");
}

// As store::PlanMigrations reads them.
std::string ComponentOf(const FolderMark& mark) {
  return mark.state == FolderMark::State::kBegun ? store::kUnfinished : store::kMovedAway;
}
std::string NameOf(const FolderMark& mark) {
  return mark.state == FolderMark::State::kBegun ? absl::StrCat(kTheMove, mark.place) : mark.place;
}

store::Write Line(store::Sql sql, std::vector<store::Value> params, store::Expect expect) {
  return {"schema_migrations", "", {std::move(sql), std::move(params)}, expect};
}

}  // namespace

FolderMark Begun(const std::string& folder, const std::string& place) {
  return {FolderMark::State::kBegun, place,
          absl::StrCat("Run the same move again: it finds out how far it came, and goes on. ",
                       WayBack(folder))};
}

FolderMark Moved(const std::string& folder, const std::string& place, const std::string& moved_at) {
  return {FolderMark::State::kMoved, place,
          absl::StrCat("at ", moved_at,
                       ". Serve it there: served on both sides, all work would be done twice. ",
                       WayBack(folder))};
}

absl::StatusOr<FolderMark> ReadMark(store::Reader& log) {
  FolderMark mark;
  absl::Status read =
      log.Query({"SELECT component, name, sql FROM schema_migrations WHERE component IN ($1, $2)",
                 {std::string(store::kUnfinished), std::string(store::kMovedAway)}},
                [&](const store::RowView& row) {
                  std::string place(row.Text(1));
                  if (place.starts_with(kTheMove)) place.erase(0, sizeof(kTheMove) - 1);
                  mark = {row.Text(0) == store::kUnfinished ? FolderMark::State::kBegun
                                                            : FolderMark::State::kMoved,
                          std::move(place), std::string(row.Text(2))};
                });
  if (!read.ok()) return read;
  return mark;
}

absl::Status WriteMark(store::Store& log, const FolderMark& mark) {
  std::vector<store::Write> lines;
  lines.push_back(Line("DELETE FROM schema_migrations WHERE component IN ($1, $2)",
                       {std::string(store::kUnfinished), std::string(store::kMovedAway)},
                       store::Expect::kAnyRows));
  if (mark.state != FolderMark::State::kNone) {
    // serves_from 1: a release that does not know the component refuses it, too.
    lines.push_back(Line(
        "INSERT INTO schema_migrations (component, number, serves_from, name, sql, applied_at) "
        "VALUES ($1, 1, 1, $2, $3, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER))",
        {ComponentOf(mark), NameOf(mark), mark.way_out}, store::Expect::kOneRow));
  }
  const store::CommitResult result = log.Commit(lines);
  if (result.kind == store::CommitResult::Kind::kCommitted) return absl::OkStatus();
  if (!result.status.ok()) return result.status;
  return absl::InternalError("log.db does not take a mark");
}

absl::Status CheckMark(const std::string& folder, const FolderMark& mark) {
  if (mark.state == FolderMark::State::kNone) return absl::OkStatus();
  return store::PlanMigrations(folder, {ComponentOf(mark), {}},
                               {{1, 1, NameOf(mark), mark.way_out}})
      .status();
}

}  // namespace tandem::transfer
