#include "common/cli/yaml.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/cli/json.h"

namespace tandem::cli {
namespace {

// Whether the inside of a JSON string means the same without quotes in every YAML there is.
bool IsPlain(std::string_view text) {
  constexpr std::array<std::string_view, 10> kWords = {"true", "false", "null", "yes", "no",
                                                       "on",   "off",   "y",    "n",   "nan"};
  if (text.empty() || !absl::ascii_isalpha(static_cast<unsigned char>(text.front()))) return false;
  const bool is_simple = std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.' ||
           c == '/' || c == '@';
  });
  const std::string lower = absl::AsciiStrToLower(std::string(text));
  return is_simple && std::find(kWords.begin(), kWords.end(), lower) == kWords.end();
}

// JSON of one line, as protobuf writes it, turned into YAML as it is read: what a JSON string holds
// in quotes, YAML reads in quotes as well.
class Writer {
 public:
  explicit Writer(std::string_view json) : rest_(json) {}

  std::string Write() {
    Skip();
    if (rest_.front() == '{') {
      Map(0);
    } else {
      Value(0);
    }
    return std::move(yaml_);
  }

 private:
  void Skip() {
    while (!rest_.empty() && absl::ascii_isspace(static_cast<unsigned char>(rest_.front()))) {
      rest_.remove_prefix(1);
    }
  }
  // The next token up to its end, strings with their quotes.
  std::string_view Scalar() {
    size_t end = 1;
    if (rest_.front() == '"') {
      while (rest_[end] != '"') end += rest_[end] == '\\' ? 2 : 1;
      ++end;
    } else {
      end = std::min(rest_.find_first_of(",]} \n"), rest_.size());
    }
    const std::string_view token = rest_.substr(0, end);
    rest_.remove_prefix(end);
    Skip();
    return token;
  }
  void Text(std::string_view token) {
    const bool is_string = token.front() == '"';
    const std::string_view inside = is_string ? token.substr(1, token.size() - 2) : token;
    yaml_.append(is_string && IsPlain(inside) ? inside : token);
  }
  // Takes the sign if it is next.
  bool Take(char sign) {
    if (rest_.empty() || rest_.front() != sign) return false;
    rest_.remove_prefix(1);
    Skip();
    return true;
  }

  // The value after a key or a dash.
  void Value(size_t depth) {
    if (rest_.front() == '{' || rest_.front() == '[') {
      const char close = rest_.front() == '{' ? '}' : ']';
      const size_t inside = rest_.find_first_not_of(" \n", 1);
      if (inside != std::string_view::npos && rest_[inside] == close) {
        Take(rest_.front());
        Take(close);
        absl::StrAppend(&yaml_, " ", close == '}' ? "{}" : "[]", "\n");
        return;
      }
      yaml_ += "\n";
      rest_.front() == '{' ? Map(depth) : List(depth);
      return;
    }
    yaml_ += " ";
    Text(Scalar());
    yaml_ += "\n";
  }

  void Map(size_t depth) {
    Take('{');
    if (Take('}')) {
      yaml_ += "{}\n";
      return;
    }
    // The first key of a map in a list stands behind its dash.
    do {
      if (yaml_.empty() || yaml_.back() == '\n') yaml_.append(2 * depth, ' ');
      Text(Scalar());
      yaml_ += ":";
      Take(':');
      Value(depth + 1);
    } while (Take(','));
    Take('}');
  }

  void List(size_t depth) {
    Take('[');
    do {
      yaml_.append(2 * depth, ' ').append("-");
      const bool is_map = rest_.front() == '{' && rest_[rest_.find_first_not_of(" \n", 1)] != '}';
      if (is_map) {
        yaml_ += " ";
        Map(depth + 1);
      } else {
        Value(depth + 1);
      }
    } while (Take(','));
    Take(']');
  }

  std::string_view rest_;
  std::string yaml_;
};

}  // namespace

absl::StatusOr<std::string> ToYaml(const google::protobuf::Message& message) {
  const absl::StatusOr<std::string> json = ToJson(message, JsonLayout::kOneLine);
  if (!json.ok()) return json.status();
  return Writer(*json).Write();
}

}  // namespace tandem::cli
