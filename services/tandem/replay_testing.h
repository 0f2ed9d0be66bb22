// What the tests of the replay share: a small log in words, under the shipped mapping.
#ifndef TANDEM_SERVICES_TANDEM_REPLAY_TESTING_H_
#define TANDEM_SERVICES_TANDEM_REPLAY_TESTING_H_

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/tandem/incident_log.h"
#include "services/tandem/replay_mapping.h"

namespace tandem::programs {

inline std::string SourceFile(const std::string& path) {
  return absl::StrCat(TANDEM_SOURCE_DIR, "/", path);
}

inline std::string FileText(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline Mapping ShippedMapping() {
  return *ReadMapping(SourceFile("deploy/replay/servicenow.yaml"));
}

// A row of the shipped form: an ordinary one, changed by what a test says. "category" is the first
// column of that name.
using RowWords = std::map<std::string, std::string>;

inline const std::vector<std::string>& LogHeader() {
  static const auto* const header = new std::vector<std::string>{
      "number",           "ident_state",    "sys_mod_count",  "made_sla",     "caller_id",
      "opened_at",        "sys_created_at", "sys_updated_at", "contact_type", "location",
      "category",         "category",       "impact",         "urgency",      "priority",
      "assignment_group", "assigned_to",    "reopen_count",   "closed_code",  "resolved_at"};
  return *header;
}

inline std::string LogText(const std::vector<RowWords>& rows) {
  std::string text = absl::StrJoin(LogHeader(), ",") + "\n";
  for (const RowWords& row : rows) {
    RowWords words = {{"number", "1"},
                      {"ident_state", "New"},
                      {"sys_mod_count", "0"},
                      {"made_sla", "true"},
                      {"caller_id", "7"},
                      {"opened_at", "7/3/2016 09:00"},
                      {"sys_created_at", "?"},
                      {"sys_updated_at", "7/3/2016 09:00"},
                      {"contact_type", "Phone"},
                      {"location", "100"},
                      {"category", "20"},
                      {"impact", "2"},
                      {"urgency", "2"},
                      {"priority", "3"},
                      {"assignment_group", "70"},
                      {"assigned_to", "?"},
                      {"reopen_count", "0"},
                      {"closed_code", "6"},
                      {"resolved_at", "?"}};
    for (const auto& [column, value] : row) words[column] = value;
    std::vector<std::string> cells;
    bool second_category = false;
    for (const std::string& column : LogHeader()) {
      if (column == "category" && second_category) {
        cells.push_back(words.count("subcategory") > 0 ? words["subcategory"] : "?");
        continue;
      }
      second_category |= column == "category";
      cells.push_back(words[column]);
    }
    absl::StrAppend(&text, absl::StrJoin(cells, ","), "\n");
  }
  return text;
}

inline IncidentLog LogOf(const std::vector<RowWords>& rows) {
  return *ParseLog(LogText(rows), "log.csv", ShippedMapping());
}

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_REPLAY_TESTING_H_
