#include "common/config/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/config/utf8.h"
#include "common/config/views.h"

namespace tandem::config {
namespace {

// Builds the tree from yaml-cpp's events rather than from its Node: only events show duplicate
// keys, aliases and the line of a key, and an alias can't blow up memory.
// Throws YAML::ParserException to stop the parser; ParseYaml catches it.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::string_view file, ErrorList* errors) : file_(file), errors_(errors) {}

  YamlNode Take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    RefuseAnchor(mark, anchor);
    if (TakesKey()) throw YAML::ParserException(mark, "a key is missing");
    Place(Node(YamlNode::Kind::kNull, mark));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw YAML::ParserException(mark, "aliases (*name) are not supported");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    RefuseAnchor(mark, anchor);
    RefuseTag(mark, tag);
    if (TakesKey()) {
      TakeKey(mark, value);
      return;
    }
    YamlNode node = Node(YamlNode::Kind::kScalar, mark);
    node.is_quoted = tag == "!";
    node.text = value;
    Place(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Frame {
    YamlNode node;
    bool takes_key = false;     // of a map: a key comes next, not a value
    bool is_duplicate = false;  // the value that comes belongs to a key seen before
  };

  static int Line(const YAML::Mark& mark) { return mark.line + 1; }

  YamlNode Node(YamlNode::Kind kind, const YAML::Mark& mark) {
    if (++nodes_ > kMaxYamlNodes) {
      throw YAML::ParserException(mark, absl::StrCat("more than ", kMaxYamlNodes, " values"));
    }
    YamlNode node;
    node.kind = kind;
    node.line = Line(mark);
    return node;
  }

  void RefuseAnchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) {
      errors_->AddAt(file_, Line(mark), "anchors (&name) are not supported");
    }
  }

  void RefuseTag(const YAML::Mark& mark, const std::string& tag) {
    // yaml-cpp gives "?" for plain and "!" for quoted scalars without a tag.
    if (!tag.empty() && tag != "?" && tag != "!") {
      errors_->AddAt(file_, Line(mark),
                     absl::StrCat("tags are not supported, found ", Quoted(tag)));
    }
  }

  bool TakesKey() const { return !stack_.empty() && stack_.back().takes_key; }

  void TakeKey(const YAML::Mark& mark, const std::string& text) {
    Frame& frame = stack_.back();
    auto& keys = frame.node.keys;
    const auto first = std::find_if(keys.begin(), keys.end(),
                                    [&](const YamlNode::Key& key) { return key.text == text; });
    frame.is_duplicate = first != keys.end();
    if (frame.is_duplicate) {
      errors_->AddAt(
          file_, Line(mark),
          absl::StrCat("key ", Quoted(text), " stands twice, first in line ", first->line));
    } else {
      if (keys.size() >= kMaxKeys) {
        throw YAML::ParserException(mark, absl::StrCat("more than ", kMaxKeys, " keys in one map"));
      }
      keys.push_back({text, Line(mark)});
    }
    frame.takes_key = false;
  }

  void Open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor) {
    RefuseAnchor(mark, anchor);
    RefuseTag(mark, tag);
    if (TakesKey()) throw YAML::ParserException(mark, "a key must be plain text");
    if (stack_.size() >= static_cast<size_t>(kMaxYamlDepth)) {
      throw YAML::ParserException(mark, absl::StrCat("nested deeper than ", kMaxYamlDepth));
    }
    stack_.push_back({Node(kind, mark), kind == YamlNode::Kind::kMap, false});
  }

  void Close() {
    YamlNode node = std::move(stack_.back().node);
    stack_.pop_back();
    Place(std::move(node));
  }

  void Place(YamlNode node) {
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = stack_.back();
    if (!frame.is_duplicate) frame.node.items.push_back(std::move(node));
    frame.is_duplicate = false;
    frame.takes_key = frame.node.kind == YamlNode::Kind::kMap;
  }

  // Keys are searched one after another, so their number is bounded.
  static constexpr size_t kMaxKeys = 1000;

  const std::string_view file_;
  ErrorList* const errors_;
  size_t nodes_ = 0;
  std::vector<Frame> stack_;
  YamlNode root_;
};

int LineOfInvalidUtf8(std::string_view text) {
  int line = 1;
  while (!text.empty()) {
    if (text.front() == '\n') ++line;
    if (TakeCodePoint(&text) < 0) break;
  }
  return line;
}

}  // namespace

std::string YamlNode::Described() const {
  switch (kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kScalar:
      return Quoted(text);
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a map";
  }
  return "nothing";
}

std::optional<YamlNode> ParseYaml(std::string_view text, std::string_view file, ErrorList* errors) {
  if (text.size() > kMaxYamlBytes) {
    errors->Add(absl::StrCat(Absl(file), ": ", text.size(), " bytes, more than ", kMaxYamlBytes));
    return std::nullopt;
  }
  if (!IsValidUtf8(text)) {
    errors->AddAt(file, LineOfInvalidUtf8(text), "not valid UTF-8");
    return std::nullopt;
  }
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    const auto line =
        1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(nul), '\n');
    errors->AddAt(file, static_cast<int>(line), "a zero byte");
    return std::nullopt;
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder(file, errors);
    if (!parser.HandleNextDocument(builder)) {
      errors->Add(absl::StrCat(Absl(file), ": the file is empty"));
      return std::nullopt;
    }
    YamlNode root = builder.Take();
    if (root.kind == YamlNode::Kind::kNull) {
      errors->Add(absl::StrCat(Absl(file), ": the file is empty"));
      return std::nullopt;
    }
    TreeBuilder rest(file, errors);
    if (parser.HandleNextDocument(rest)) {
      errors->AddAt(file, std::max(1, rest.Take().line), "a second document; only one is read");
      return std::nullopt;
    }
    return root;
  } catch (const YAML::Exception& e) {
    errors->AddAt(file, e.mark.is_null() ? 1 : e.mark.line + 1, e.msg);
  } catch (const std::exception& e) {
    errors->Add(absl::StrCat(Absl(file), ": cannot be read as YAML: ", e.what()));
  }
  return std::nullopt;
}

}  // namespace tandem::config
