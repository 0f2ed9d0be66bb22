#include "common/postgres/server_text.h"

#include <algorithm>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace tandem::store {
namespace {

constexpr size_t kMostParameters = 65535;  // the protocol counts them in 16 bits
constexpr char kMiss[] = "SELECT 1/(count(*)=1)::int FROM ";

// Quoted parts and comments left out: words in upper case, "$n" as "$", any other mark as it is.
struct Token {
  std::string_view word;  // of `upper`
  char mark = 0;          // '$', ';', '(' …; 0 for a word
  int depth = 0;          // of brackets around it
};

struct Scan {
  std::string upper;
  std::vector<Token> tokens;
  std::set<size_t> parameters;
  size_t end = 0;  // where the last token ends: behind it only blanks, comments and semicolons
  bool whole = true;
};

bool IsWordStart(char c) { return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool IsWord(char c) { return IsWordStart(c) || absl::ascii_isdigit(static_cast<unsigned char>(c)); }

Scan ScanSql(std::string_view sql) {
  Scan scan;
  scan.upper = absl::AsciiStrToUpper(absl::string_view(sql.data(), sql.size()));
  const std::string_view text = scan.upper;
  const auto past = [&](size_t from, std::string_view what) {
    const size_t at = text.find(what, from);
    if (at == std::string_view::npos) scan.whole = false;
    return at == std::string_view::npos ? text.size() : at + what.size();
  };
  int depth = 0;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (absl::ascii_isspace(static_cast<unsigned char>(c))) {
      ++i;
      continue;
    }
    if (text.substr(i, 2) == "--") {
      const size_t end = text.find('\n', i);
      i = end == std::string_view::npos ? text.size() : end;
      continue;
    }
    if (text.substr(i, 2) == "/*") {
      i = past(i + 2, "*/");
      continue;
    }
    Token token{{}, c, depth};
    size_t next = i + 1;
    if (c == '\'' || c == '"') {
      next = past(i + 1, std::string_view(&c, 1));  // a doubled quote is two literals side by side
    } else if (IsWordStart(c)) {
      while (next < text.size() && IsWord(text[next])) ++next;
      token.word = text.substr(i, next - i);
      token.mark = 0;
    } else if (c == '$') {
      size_t number = 0;
      while (next < text.size() && absl::ascii_isdigit(static_cast<unsigned char>(text[next]))) {
        number =
            std::min(number * 10 + static_cast<size_t>(text[next++] - '0'), kMostParameters + 1);
      }
      scan.parameters.insert(number);
    } else if (c == '(') {
      ++depth;
    } else if (c == ')') {
      token.depth = --depth;
    }
    scan.tokens.push_back(token);
    if (c != ';') scan.end = next;
    i = next;
  }
  scan.whole = scan.whole && depth == 0;
  while (!scan.tokens.empty() && scan.tokens.back().mark == ';') scan.tokens.pop_back();
  return scan;
}

bool HasWord(const Scan& scan, std::string_view word) {
  return std::any_of(scan.tokens.begin(), scan.tokens.end(),
                     [&](const Token& token) { return token.word == word; });
}

// A statement that changes something, or takes part in one that does. FOR UPDATE locks only.
bool Writes(const Scan& scan) {
  for (size_t i = 0; i < scan.tokens.size(); ++i) {
    const std::string_view word = scan.tokens[i].word;
    const std::string_view before = i == 0 ? std::string_view() : scan.tokens[i - 1].word;
    if (word == "INSERT" || word == "DELETE" || word == "MERGE" || word == "INTO") return true;
    if (word == "UPDATE" && before != "FOR" && before != "KEY") return true;
  }
  return false;
}

// INSERT INTO t (…) VALUES (…): one row or an error, so that no frame is needed.
bool InsertsJustOneRow(const Scan& scan) {
  int rows = -1;
  for (const Token& token : scan.tokens) {
    if (token.word == "SELECT" || token.word == "ON" || token.word == "RETURNING") return false;
    if (token.word == "VALUES" && token.depth == 0) rows = 0;
    if (rows >= 0 && token.mark == '(' && token.depth == 0) ++rows;
  }
  return rows == 1;
}

bool HasFrom(const Scan& scan) {
  return std::any_of(scan.tokens.begin(), scan.tokens.end(),
                     [](const Token& token) { return token.word == "FROM" && token.depth == 0; });
}

absl::Status Wrong(std::string_view what, std::string_view sql) {
  return absl::InternalError(absl::StrCat(std::string(what), ": ", std::string(sql)));
}

}  // namespace

absl::StatusOr<ServerText> MakeServerText(std::string_view sql, Use use) {
  const Scan scan = ScanSql(sql);
  const bool several = std::any_of(scan.tokens.begin(), scan.tokens.end(),
                                   [](const Token& token) { return token.mark == ';'; });
  if (scan.tokens.empty() || several || !scan.whole) return Wrong("not one statement", sql);

  ServerText made;
  made.parameters = scan.parameters.size();
  const bool without_holes =
      scan.parameters.empty() ||
      (*scan.parameters.begin() == 1 && *scan.parameters.rbegin() == scan.parameters.size());
  if (!without_holes || made.parameters > kMostParameters) {
    return Wrong(absl::StrCat("parameters are not just $1 to $", made.parameters), sql);
  }

  const std::string text(sql.substr(0, scan.end));
  const std::string_view first = scan.tokens.front().word;
  const bool reads = (first == "SELECT" || first == "VALUES" || first == "WITH") && !Writes(scan);
  const bool writes = first == "INSERT" || first == "UPDATE" || first == "DELETE" ||
                      (first == "WITH" && Writes(scan));
  made.inserts = writes && HasWord(scan, "INSERT");
  switch (use) {
    case Use::kQuery:
      if (!reads) return Wrong("not a query", sql);
      made.sql = text;
      break;
    case Use::kFinds:
      if (!reads) return Wrong("not a check", sql);
      made.checks_absence = !HasFrom(scan) || HasWord(scan, "EXISTS");
      made.sql =
          absl::StrCat(kMiss, "(", text, HasFrom(scan) ? " FOR NO KEY UPDATE" : "", ") AS line");
      break;
    case Use::kAnyRows:
      if (!writes) return Wrong("not a write", sql);
      made.sql = text;
      break;
    case Use::kOneRow:
      if (!writes) return Wrong("not a write", sql);
      made.sql = InsertsJustOneRow(scan)
                     ? text
                     : absl::StrCat("WITH line AS (", text, " RETURNING 1) ", kMiss, "line");
      break;
  }
  return made;
}

}  // namespace tandem::store
