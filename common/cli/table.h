// Tables for people.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/cli/screen.h"

namespace tandem::cli {

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
  // Cut last, and only if the others have been: ids and numbers are useless when cut.
  bool is_kept_whole = false;
};

//   Table table({{"TICKET", Align::kLeft, true}, {"SUBJECT"}, {"AGE", Align::kRight}});
//   table.Add({"t-17", subject, HumanDuration(age)});
//   table.Print(StdoutScreen());
//
// Columns are as wide as their widest cell, two blanks apart. On a terminal that is too narrow the
// widest columns are cut, with "…"; into a file or pipe everything is written. Cells are made
// Printable. A value type; not thread-safe.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // A row with fewer cells is filled up with empty ones; further cells are dropped.
  void Add(std::vector<std::string> cells);

  size_t size() const { return rows_.size(); }

  std::string Text(const Screen& screen) const;
  void Print(const Screen& screen) const { *screen.out << Text(screen); }

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace tandem::cli
