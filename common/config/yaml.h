// YAML as a plain tree that knows its lines. A strict subset: one document; no anchors, aliases or
// tags; keys are plain text and stand once.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/error_list.h"

namespace tandem::config {

inline constexpr size_t kMaxYamlBytes = size_t{1} << 20;
inline constexpr int kMaxYamlDepth = 32;
inline constexpr size_t kMaxYamlNodes = 100'000;

// A value type; nothing in it refers to the text it was read from.
struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  struct Key {
    std::string text;
    int line = 0;  // 1-based
  };

  Kind kind = Kind::kNull;
  int line = 0;                 // 1-based
  bool is_quoted = false;       // of a scalar: "12" rather than 12
  std::string text;             // of a scalar
  std::vector<YamlNode> items;  // of a list or a map
  std::vector<Key> keys;        // of a map: keys[i] names items[i], in the order of the file

  // "a list", "a map", "nothing" or the scalar's text quoted, for error messages.
  std::string Described() const;
};

// Reads `text`; `file` only names it in errors. A syntax error, a limit passed, an empty document
// or invalid UTF-8 adds one error and returns nothing; a duplicate key, anchor or tag adds an error
// and reading goes on, so that all of them are told. Never throws.
std::optional<YamlNode> ParseYaml(std::string_view text, std::string_view file, ErrorList* errors);

}  // namespace tandem::config
