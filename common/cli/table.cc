#include "common/cli/table.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "common/cli/text_width.h"

namespace tandem::cli {
namespace {

constexpr size_t kGap = 2;
constexpr size_t kNarrowest = 4;

// Takes a column at a time from the widest that may still give, until all fit or none can.
void Shrink(const std::vector<Column>& columns, size_t room, std::vector<size_t>* widths) {
  const size_t gaps = kGap * (columns.size() - 1);
  size_t total = std::accumulate(widths->begin(), widths->end(), gaps);
  for (const bool also_kept_whole : {false, true}) {
    while (total > room) {
      std::optional<size_t> widest;
      for (size_t i = 0; i < columns.size(); ++i) {
        if (columns[i].is_kept_whole && !also_kept_whole) continue;
        if ((*widths)[i] <= kNarrowest) continue;
        if (!widest.has_value() || (*widths)[i] > (*widths)[*widest]) widest = i;
      }
      if (!widest.has_value()) break;
      --(*widths)[*widest];
      --total;
    }
  }
}

}  // namespace

void Table::Add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = Printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::Text(const Screen& screen) const {
  if (columns_.empty()) return "";
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = TextWidth(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, TextWidth(row[i]));
    widths.push_back(width);
  }
  if (screen.is_terminal) Shrink(columns_, static_cast<size_t>(screen.columns), &widths);

  std::string text;
  const auto append = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t i = 0; i < cells.size(); ++i) {
      const std::string cell = CutToWidth(cells[i], widths[i]);
      const std::string blanks(widths[i] - TextWidth(cell), ' ');
      line += columns_[i].align == Align::kRight ? blanks + cell : cell + blanks;
      line += std::string(kGap, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  append(titles);
  for (const auto& row : rows_) append(row);
  return text;
}

}  // namespace tandem::cli
