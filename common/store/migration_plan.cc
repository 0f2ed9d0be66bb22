#include "common/store/migration_plan.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"

namespace tandem::store {

absl::Status CheckSchemas(const std::vector<Schema>& schemas) {
  std::set<std::string> components;
  for (const Schema& schema : schemas) {
    if (schema.component.empty() || !components.insert(schema.component).second) {
      return absl::InternalError(
          absl::StrCat("schema component \"", schema.component, "\" is empty or given twice"));
    }
    int expected = 0;
    for (const Migration& step : schema.migrations) {
      ++expected;
      if (step.number != expected) {
        return absl::InternalError(absl::StrCat("schema ", schema.component, ": ", step.name,
                                                " has number ", step.number, " where ", expected,
                                                " was due; steps count from 1 without holes"));
      }
      if (step.serves_from < 0 || step.serves_from > step.number) {
        return absl::InternalError(absl::StrCat("schema ", schema.component, ": ", step.name,
                                                " has serves_from ", step.serves_from,
                                                ", outside 0 to ", step.number));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<const Migration*>> PlanMigrations(
    const std::string& database, const Schema& known, const std::vector<Migration>& recorded) {
  if (known.component == kUnfinished && !recorded.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        database, ": ", recorded.front().name, " has not come to its end. ", recorded.front().sql));
  }
  if (known.component == kMovedAway && !recorded.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(database, ": what it held was moved to ",
                                                      recorded.front().name, " ",
                                                      recorded.front().sql));
  }
  int serves_from = 0;
  for (size_t i = 0; i < recorded.size(); ++i) {
    if (recorded[i].number != static_cast<int>(i) + 1) {
      return absl::DataLossError(absl::StrCat(
          database, ": schema_migrations has no step ", i + 1, " of ", known.component,
          " but has step ", recorded[i].number, ". Restore the database from a backup."));
    }
    serves_from = std::max(serves_from, recorded[i].serves_from);
  }
  const int knows = static_cast<int>(known.migrations.size());
  if (serves_from > knows) {
    return absl::FailedPreconditionError(absl::StrCat(
        database, ": schema ", known.component, " is at step ", recorded.size(),
        ", which serves programs that know step ", serves_from, " or later; this program knows ",
        knows == 0 ? "none" : absl::StrCat("step ", knows),
        ". Start the newer program again, or restore the backup made before it first ran."));
  }
  std::vector<const Migration*> missing;
  for (size_t i = 0; i < known.migrations.size(); ++i) {
    const Migration& step = known.migrations[i];
    if (i >= recorded.size()) {
      missing.push_back(&step);
    } else if (recorded[i].sql != step.sql) {
      return absl::FailedPreconditionError(absl::StrCat(
          database, ": step ", step.number, " of schema ", known.component, " was applied as ",
          recorded[i].name, " with another text than this program's ", step.name,
          ". A step that was applied never changes: start the program that made this database, or "
          "give this one a data folder of its own."));
    }
  }
  return missing;
}

}  // namespace tandem::store
