#include "common/cli/yaml.h"

#include <google/protobuf/api.pb.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::cli {
namespace {

std::string YamlOf(const std::string& json) {
  google::protobuf::Struct message;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &message).ok());
  const auto yaml = ToYaml(message);
  EXPECT_TRUE(yaml.ok()) << yaml.status();
  return yaml.value_or("");
}

TEST(ToYaml, StandsInBlocksInTheOrderOfTheProto) {
  google::protobuf::Api api;
  api.set_name("tickets");
  api.add_methods()->set_name("Open");
  api.add_methods()->set_name("Close");
  const auto yaml = ToYaml(api);
  ASSERT_TRUE(yaml.ok()) << yaml.status();
  EXPECT_EQ(*yaml,
            "name: tickets\n"
            "methods:\n"
            "  - name: Open\n"
            "    request_type_url: \"\"\n"
            "    request_streaming: false\n"
            "    response_type_url: \"\"\n"
            "    response_streaming: false\n"
            "    options: []\n"
            "    syntax: SYNTAX_PROTO2\n"
            "  - name: Close\n"
            "    request_type_url: \"\"\n"
            "    request_streaming: false\n"
            "    response_type_url: \"\"\n"
            "    response_streaming: false\n"
            "    options: []\n"
            "    syntax: SYNTAX_PROTO2\n"
            "options: []\n"
            "version: \"\"\n"
            "mixins: []\n"
            "syntax: SYNTAX_PROTO2\n");
}

TEST(ToYaml, QuotesWhatAReaderCouldTakeForSomethingElse) {
  EXPECT_EQ(YamlOf(R"({"a": "true", "b": "12", "c": "x: y", "d": "plain", "e": "No", "f": "- x"})"),
            "a: \"true\"\nb: \"12\"\nc: \"x: y\"\nd: plain\ne: \"No\"\nf: \"- x\"\n");
  EXPECT_EQ(YamlOf(R"({"a": "one\ntwo \"three\""})"), "a: \"one\\ntwo \\\"three\\\"\"\n");
}

TEST(ToYaml, WritesListsInListsAndWhatIsEmpty) {
  EXPECT_EQ(YamlOf(R"({"a": [[1, 2], [], {}], "b": {}})"),
            "a:\n  -\n    - 1\n    - 2\n  - []\n  - {}\nb: {}\n");
  EXPECT_EQ(YamlOf("{}"), "{}\n");
}

}  // namespace
}  // namespace tandem::cli
