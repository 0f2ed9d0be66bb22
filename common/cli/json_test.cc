#include "common/cli/json.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/api.pb.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <memory>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::cli {
namespace {

using ::testing::HasSubstr;

TEST(ToJson, KeepsTheNamesOfTheProtoAndShowsEmptyFields) {
  google::protobuf::Method method;
  method.set_request_type_url("x");
  const auto json = ToJson(method, JsonLayout::kOneLine);
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(*json,
            "{\"name\":\"\",\"request_type_url\":\"x\",\"request_streaming\":false,"
            "\"response_type_url\":\"\",\"response_streaming\":false,\"options\":[],"
            "\"syntax\":\"SYNTAX_PROTO2\"}\n");
}

TEST(ToJson, LeavesOutAnOptionalFieldThatIsNotSet) {
  google::protobuf::FileDescriptorProto file;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"(name: "sample.proto" syntax: "proto3"
         message_type {
           name: "Sample"
           field { name: "plain" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 }
           field { name: "depth" number: 2 label: LABEL_OPTIONAL type: TYPE_INT32
                   proto3_optional: true oneof_index: 0 }
           oneof_decl { name: "_depth" }
         })",
      &file));
  google::protobuf::DescriptorPool pool;
  const auto* built = pool.BuildFile(file);
  ASSERT_NE(built, nullptr);
  google::protobuf::DynamicMessageFactory factory(&pool);
  const std::unique_ptr<google::protobuf::Message> sample(
      factory.GetPrototype(built->message_type(0))->New());
  EXPECT_EQ(*ToJson(*sample, JsonLayout::kOneLine), "{\"plain\":0}\n");
  EXPECT_EQ(*ToJson(*sample, JsonLayout::kIndented), "{\n \"plain\": 0\n}\n");
}

TEST(ToJson, GivesTheSameBytesWhateverTheOrderOfAMap) {
  std::vector<int> keys(200);
  for (int i = 0; i < 200; ++i) keys[static_cast<size_t>(i)] = i;
  std::string first;
  std::mt19937 random(1);
  for (int round = 0; round < 20; ++round) {
    std::shuffle(keys.begin(), keys.end(), random);
    // Filled by the library, whose maps are laid out otherwise than those of a TSan build.
    const std::string text = absl::StrCat(
        "{",
        absl::StrJoin(
            keys, ",",
            [](std::string* out, int key) { absl::StrAppend(out, "\"k", key, "\":", key); }),
        "}");
    google::protobuf::Struct map;
    ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(text, &map).ok());
    const auto json = ToJson(map, JsonLayout::kOneLine);
    ASSERT_TRUE(json.ok()) << json.status();
    if (first.empty()) first = *json;
    ASSERT_EQ(*json, first);
  }
  EXPECT_THAT(first, HasSubstr("{\"k0\":0,\"k1\":1,\"k10\":10,\"k100\":100,"));
}

TEST(ToJson, RefusesWhatHasNoJsonForm) {
  google::protobuf::Any any;
  any.set_type_url("type.googleapis.com/no.such.Type");
  any.set_value("\x08\x01");
  EXPECT_EQ(ToJson(any, JsonLayout::kOneLine).status().code(), absl::StatusCode::kInternal);
  google::protobuf::Duration duration;
  duration.set_seconds(INT64_MAX);
  EXPECT_EQ(ToJson(duration, JsonLayout::kOneLine).status().code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace tandem::cli
