#include "common/config/yaml_to_proto.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/config/yaml.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::config {
namespace {

namespace pb = google::protobuf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

using Field = pb::FieldDescriptorProto;

Field& AddField(pb::DescriptorProto& message, const std::string& name, Field::Type type,
                const std::string& type_name = "") {
  Field& field = *message.add_field();
  field.set_name(name);
  field.set_number(message.field_size());
  field.set_label(Field::LABEL_OPTIONAL);
  field.set_type(type);
  if (!type_name.empty()) field.set_type_name(type_name);
  return field;
}

void AddMap(pb::DescriptorProto& message, const std::string& name, const std::string& entry_name,
            Field::Type key, const std::string& value_type) {
  AddField(message, name, Field::TYPE_MESSAGE, ".sample.Policy." + entry_name)
      .set_label(Field::LABEL_REPEATED);
  pb::DescriptorProto& entry = *message.add_nested_type();
  entry.set_name(entry_name);
  entry.mutable_options()->set_map_entry(true);
  AddField(entry, "key", key);
  AddField(entry, "value", Field::TYPE_MESSAGE, value_type);
}

void AddEnum(pb::FileDescriptorProto& file, const std::string& name,
             const std::vector<std::string>& values) {
  pb::EnumDescriptorProto& type = *file.add_enum_type();
  type.set_name(name);
  for (const std::string& value : values) {
    auto& added = *type.add_value();
    added.set_name(value);
    added.set_number(type.value_size() - 1);
  }
}

// A policy that has every kind of field, built here so that no real policy's change breaks a test.
pb::FileDescriptorProto Schema() {
  pb::FileDescriptorProto file;
  file.set_name("sample.proto");
  file.set_package("sample");
  file.set_syntax("proto3");
  // Asking for a descriptor also links the file in, so that the import resolves.
  for (const pb::Descriptor* imported : {pb::Duration::descriptor(), pb::Timestamp::descriptor(),
                                         pb::Int32Value::descriptor(), pb::Struct::descriptor()}) {
    file.add_dependency(imported->file()->name());
  }
  AddEnum(file, "Severity", {"SEVERITY_UNSPECIFIED", "SEVERITY_LOW", "SEVERITY_CRITICAL"});
  AddEnum(file, "TicketState", {"TICKET_STATE_UNSPECIFIED", "TICKET_STATE_ON_HOLD"});

  pb::DescriptorProto& target = *file.add_message_type();
  target.set_name("Target");
  AddField(target, "severity", Field::TYPE_ENUM, ".sample.Severity");
  AddField(target, "respond", Field::TYPE_MESSAGE, ".google.protobuf.Duration");
  target.add_oneof_decl()->set_name("counting");
  AddField(target, "calendar", Field::TYPE_STRING).set_oneof_index(0);
  AddField(target, "around_the_clock", Field::TYPE_BOOL).set_oneof_index(0);

  pb::DescriptorProto& policy = *file.add_message_type();
  policy.set_name("Policy");
  AddField(policy, "name", Field::TYPE_STRING);
  AddField(policy, "version", Field::TYPE_INT32);
  AddField(policy, "limit", Field::TYPE_UINT32);
  AddField(policy, "big", Field::TYPE_INT64);
  AddField(policy, "weight", Field::TYPE_DOUBLE);
  AddField(policy, "ratio", Field::TYPE_FLOAT);
  AddField(policy, "enabled", Field::TYPE_BOOL);
  AddField(policy, "targets", Field::TYPE_MESSAGE, ".sample.Target")
      .set_label(Field::LABEL_REPEATED);
  AddMap(policy, "grace", "GraceEntry", Field::TYPE_STRING, ".google.protobuf.Duration");
  AddField(policy, "from", Field::TYPE_MESSAGE, ".google.protobuf.Timestamp");
  AddField(policy, "pausing", Field::TYPE_ENUM, ".sample.TicketState")
      .set_label(Field::LABEL_REPEATED);
  AddMap(policy, "by_level", "ByLevelEntry", Field::TYPE_INT32, ".sample.Target");
  AddField(policy, "seed", Field::TYPE_BYTES);
  AddField(policy, "cap", Field::TYPE_MESSAGE, ".google.protobuf.Int32Value");
  AddField(policy, "anything", Field::TYPE_MESSAGE, ".google.protobuf.Struct");
  Field& depth = AddField(policy, "depth", Field::TYPE_INT32);
  depth.set_proto3_optional(true);
  depth.set_oneof_index(0);
  policy.add_oneof_decl()->set_name("_depth");
  AddField(policy, "steps", Field::TYPE_INT32).set_label(Field::LABEL_REPEATED);
  AddField(policy, "inner", Field::TYPE_MESSAGE, ".sample.Policy");
  AddField(policy, "huge", Field::TYPE_UINT64);
  return file;
}

class YamlToProtoTest : public testing::Test {
 protected:
  YamlToProtoTest() : pool_(pb::DescriptorPool::generated_pool()) {
    const pb::FileDescriptor* built = pool_.BuildFile(Schema());
    EXPECT_NE(built, nullptr);
    factory_ = std::make_unique<pb::DynamicMessageFactory>(&pool_);
    factory_->SetDelegateToGeneratedFactory(true);
    policy_.reset(factory_->GetPrototype(built->FindMessageTypeByName("Policy"))->New());
  }

  absl::Status Read(std::string_view text) {
    return YamlToProto(text, "sla.yaml", policy_.get(), &lines_);
  }

  // The errors one by one.
  std::vector<std::string> Errors(std::string_view text) {
    const absl::Status status = Read(text);
    if (status.ok()) return {};
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return absl::StrSplit(std::string(status.message()), '\n');
  }

  // What was read, in protobuf's text format, on one line.
  std::string Shown() const { return policy_->ShortDebugString(); }

  pb::DescriptorPool pool_;
  std::unique_ptr<pb::DynamicMessageFactory> factory_;
  std::unique_ptr<pb::Message> policy_;
  SourceLines lines_;
};

TEST_F(YamlToProtoTest, ReadsEveryKindOfField) {
  const absl::Status read = Read(R"(
# A policy.
name: Standard
version: -3
limit: 4000000000
big: -9223372036854775808
weight: 0.25
ratio: 1e3
enabled: true
targets:
  - severity: critical
    respond: 30m
    calendar: berlin
  - {severity: SEVERITY_LOW, respond: 1d12h, around_the_clock: false}
grace: {gold: 5d, silver: 4h}
from: 2026-11-23
pausing: [ON_HOLD, ticket_state_on_hold]
by_level:
  7: {severity: low}
seed: aGk=
cap: 12
depth: 0
steps: [1, 2]
inner: {name: "12"}
huge: 18446744073709551615
)");
  ASSERT_TRUE(read.ok()) << read;
  const std::string shown = Shown();
  EXPECT_THAT(shown, HasSubstr("name: \"Standard\" version: -3 limit: 4000000000 "
                               "big: -9223372036854775808 weight: 0.25 ratio: 1000 enabled: true "
                               "targets { severity: SEVERITY_CRITICAL respond { seconds: 1800 } "
                               "calendar: \"berlin\" } targets { severity: SEVERITY_LOW respond { "
                               "seconds: 129600 } around_the_clock: false }"));
  EXPECT_THAT(shown, HasSubstr("key: \"gold\" value { seconds: 432000 }"));
  EXPECT_THAT(shown, HasSubstr("from { seconds: 1795392000 }"));
  EXPECT_THAT(shown, HasSubstr("pausing: TICKET_STATE_ON_HOLD pausing: TICKET_STATE_ON_HOLD"));
  EXPECT_THAT(shown, HasSubstr("by_level { key: 7 value { severity: SEVERITY_LOW } }"));
  EXPECT_THAT(shown, HasSubstr("seed: \"hi\" cap { value: 12 } depth: 0 steps: 1 steps: 2 "
                               "inner { name: \"12\" } huge: 18446744073709551615"));
}

TEST_F(YamlToProtoTest, NamesTheNearestKeyOfAnUnknownOne) {
  EXPECT_THAT(Errors("name: a\ntargts: []\n"),
              ElementsAre("sla.yaml:2: unknown key 'targts'; did you mean 'targets'?"));
  EXPECT_THAT(Errors("targets:\n  - severity: low\n    respnd: 4h\n"),
              ElementsAre("sla.yaml:3: targets[0]: unknown key 'respnd'; did you mean 'respond'?"));
  EXPECT_THAT(
      Errors("targets: [{zzzzzzzz: 1}]"),
      ElementsAre("sla.yaml:1: targets[0]: unknown key 'zzzzzzzz'; known: severity, respond, "
                  "calendar, around_the_clock"));
}

TEST_F(YamlToProtoTest, TellsEveryErrorAtOnce) {
  EXPECT_THAT(Errors("nme: a\nversion: many\nenabled: yes\nsteps: 3\n"),
              ElementsAre("sla.yaml:1: unknown key 'nme'; did you mean 'name'?",
                          "sla.yaml:2: version: expected a whole number, found 'many'",
                          "sla.yaml:3: enabled: expected true or false, found 'yes'",
                          "sla.yaml:4: steps: expected a list, found '3'"));
}

TEST_F(YamlToProtoTest, TellsAtMostFiftyErrorsAndCountsTheRest) {
  std::string text = "steps:\n";
  for (int i = 0; i < 80; ++i) text += "  - x\n";
  const auto errors = Errors(text);
  ASSERT_THAT(errors, SizeIs(51));
  EXPECT_EQ(errors.back(), "and 30 more errors");
}

TEST_F(YamlToProtoTest, NamesTheRangeOfANumber) {
  EXPECT_THAT(Errors("version: 2147483648\nlimit: -1\n"),
              ElementsAre("sla.yaml:1: version: must be between -2147483648 and 2147483647, found "
                          "'2147483648'",
                          "sla.yaml:2: limit: must be between 0 and 4294967295, found '-1'"));
}

TEST_F(YamlToProtoTest, RefusesWrongTypesByNameAndLine) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"version: 1.5", "version: expected a whole number, found '1.5'"},
      {"version: \"1\"", "version: expected a whole number, found '1'"},
      {"version: 0x10", "version: expected a whole number, found '0x10'"},
      {"version: -5-", "version: expected a whole number, found '-5-'"},
      {"version: [1]", "version: expected a whole number, found a list"},
      {"weight: heavy", "weight: expected a number, found 'heavy'"},
      {"weight: .inf", "weight: expected a number, found '.inf'"},
      {"weight: inf", "weight: expected a number, found 'inf'"},
      {"weight: nan", "weight: expected a number, found 'nan'"},
      {"ratio: 1e300", "ratio: expected a number, found '1e300'"},
      {"enabled: \"true\"", "enabled: expected true or false, found 'true'"},
      {"name: {a: b}", "name: expected text, found a map"},
      {"name:", "name: has no value; leave the key out or write one"},
      {"name: ~", "name: has no value; leave the key out or write one"},
      {"targets: {a: b}", "targets: expected a list, found a map"},
      {"targets: [low]", "targets[0]: expected a map with the keys of Target, found 'low'"},
      {"targets: [{respond: 4 hours}]",
       "targets[0].respond: expected a duration such as 30m, 4h, "
       "1h30m or 5d, found '4 hours'"},
      {"targets: [{respond: [1]}]", "targets[0].respond: expected a duration"},
      {"targets: [{severity: urgent}]",
       "targets[0].severity: unknown value 'urgent'; known: LOW, CRITICAL"},
      {"pausing: [unspecified]", "pausing[0]: unknown value 'unspecified'; known: ON_HOLD"},
      {"from: 23.11.2026", "from: expected an instant such as"},
      {"from: infinite-future", "from: expected an instant such as"},
      {"grace: [1]", "grace: expected a map, found a list"},
      {"grace: {gold: soon}", "grace.gold: expected a duration"},
      {"by_level: {low: {}}", "by_level.low: expected a whole number, found 'low'"},
      {"seed: '*'", "seed: expected base64, found '*'"},
      {"anything: {a: 1}", "anything: a field of this type can't be written in a file"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_THAT(Errors(text),
                ElementsAre(testing::AllOf(HasSubstr("sla.yaml:1: "), HasSubstr(expected))))
        << text;
  }
}

TEST_F(YamlToProtoTest, ReadsWhatProtobufPrintsAsJson) {
  ASSERT_TRUE(Read(R"json({
    "name": "sla",
    "limit": 7,
    "big": "-9007199254740993",
    "huge": "18446744073709551615",
    "enabled": false,
    "targets": [{"severity": "SEVERITY_UNSPECIFIED", "respond": "1800.500s", "calendar": ""},
                {"severity": "SEVERITY_LOW", "respond": "86400s"}],
    "pausing": [],
    "from": "2026-11-23T14:00:00Z",
    "by_level": {"3": {"severity": "unspecified"}}
  })json")
                  .ok());
  EXPECT_EQ(
      Shown(),
      "name: \"sla\" limit: 7 big: -9007199254740993 targets { respond { seconds: 1800 nanos: "
      "500000000 } calendar: \"\" } targets { severity: SEVERITY_LOW respond { seconds: 86400 } } "
      "from { seconds: 1795442400 } by_level { key: 3 value { } } huge: 18446744073709551615");
}

TEST_F(YamlToProtoTest, TakesAQuotedNumberOnlyWhereJsonHasOne) {
  EXPECT_TRUE(Read("big: \"5\"\nhuge: '6'\n").ok());
  EXPECT_THAT(Errors("big: \"five\"\n"),
              ElementsAre("sla.yaml:1: big: expected a whole number, found 'five'"));
}

TEST_F(YamlToProtoTest, ReadsAMessageOutOfWhatItIsWrappedIn) {
  const Wrapping reply{"policy", {"version"}};
  const auto read = [&](std::string_view text) {
    return YamlToProto(text, "sla.yaml", policy_.get(), &lines_, reply);
  };
  ASSERT_TRUE(
      read("version: {number: 7}\npolicy:\n  name: a\n  targets:\n    - calendar: x\n").ok());
  EXPECT_EQ(Shown(), "name: \"a\" targets { calendar: \"x\" }");
  EXPECT_EQ(lines_.At("targets[0].calendar"), "sla.yaml:5");
  // Anything else beside it, and it is the message itself that was meant.
  EXPECT_THAT(std::string(read("policy: {name: a}\nenabled: true\n").message()),
              HasSubstr("sla.yaml:1: unknown key 'policy'"));
  EXPECT_TRUE(read("version: 3\n").ok());
}

TEST_F(YamlToProtoTest, LeavesWhatCouldBeReadAndKnowsWhatCouldNot) {
  EXPECT_FALSE(Read("name: a\nversion: many\ntargets:\n  - sevrity: low\n  - calendar: x\n").ok());
  EXPECT_EQ(Shown(), "name: \"a\" targets { } targets { calendar: \"x\" }");
  EXPECT_TRUE(lines_.MayComeOfUnread("version"));
  EXPECT_TRUE(lines_.MayComeOfUnread("targets[0]"));
  EXPECT_TRUE(lines_.MayComeOfUnread("targets[0].severity"));
  EXPECT_FALSE(lines_.MayComeOfUnread("targets[1]"));
  EXPECT_FALSE(lines_.MayComeOfUnread("targets[1].severity"));
  EXPECT_FALSE(lines_.MayComeOfUnread("name"));
}

TEST_F(YamlToProtoTest, RefusesTwoOfAOneof) {
  EXPECT_THAT(Errors("targets:\n  - calendar: x\n    around_the_clock: true\n"),
              ElementsAre("sla.yaml:3: targets[0]: only one of 'calendar' (line 2) and "
                          "'around_the_clock' can be set"));
}

TEST_F(YamlToProtoTest, RefusesDuplicateKeys) {
  EXPECT_THAT(Errors("name: a\nversion: 1\nname: b\n"),
              ElementsAre("sla.yaml:3: key 'name' stands twice, first in line 1"));
  EXPECT_THAT(Errors("grace:\n  gold: 1h\n  gold: 2h\n"),
              ElementsAre("sla.yaml:3: key 'gold' stands twice, first in line 2"));
}

TEST_F(YamlToProtoTest, RefusesAnEmptyFile) {
  for (const std::string text : {"", "\n\n", "# only a comment\n", "---\n", "~"}) {
    EXPECT_THAT(Errors(text), ElementsAre("sla.yaml: the file is empty")) << text;
  }
}

TEST_F(YamlToProtoTest, NamesTheLineOfASyntaxError) {
  EXPECT_THAT(Errors("name: a\nversion: [1, 2\n"), ElementsAre(HasSubstr("sla.yaml:3: ")));
  EXPECT_THAT(Errors("name: a\n\tversion: 1\n"), ElementsAre(HasSubstr("sla.yaml:2: ")));
}

TEST_F(YamlToProtoTest, RefusesWhatTheSubsetLeavesOut) {
  EXPECT_THAT(Errors("name: &a b\n"), ElementsAre("sla.yaml:1: anchors (&name) are not supported"));
  EXPECT_THAT(Errors("name: &a b\ngrace: *a\n"),
              testing::Contains("sla.yaml:2: aliases (*name) are not supported"));
  EXPECT_THAT(Errors("name: !!binary aGk=\n"), ElementsAre(HasSubstr("tags are not supported")));
  EXPECT_THAT(Errors("name: a\n---\nname: b\n"), ElementsAre(HasSubstr("a second document")));
  EXPECT_THAT(Errors("[a, b]: c\n"), ElementsAre("sla.yaml:1: a key must be plain text"));
  EXPECT_THAT(Errors("name: \xFF\n"), ElementsAre("sla.yaml:1: not valid UTF-8"));
}

TEST_F(YamlToProtoTest, IsBoundedInSizeDepthAndNumber) {
  EXPECT_THAT(Errors(std::string(kMaxYamlBytes + 1, ' ')),
              ElementsAre("sla.yaml: 1048577 bytes, more than 1048576"));
  std::string inner = "{}";
  for (int i = 0; i < kMaxYamlDepth; ++i) inner = "{inner: " + inner + "}";
  EXPECT_THAT(Errors(inner), ElementsAre("sla.yaml:1: nested deeper than 32"));
  std::string many = "steps: [1";
  for (size_t i = 0; i < kMaxYamlNodes; ++i) many += ",1";
  EXPECT_THAT(Errors(many + "]"), ElementsAre("sla.yaml:1: more than 100000 values"));
}

TEST_F(YamlToProtoTest, SurvivesHostileText) {
  // Each of these once brought some parser down: they must give an error, not a crash or a hang.
  for (const std::string unit : {"[", "{", "- ", "? ", "a: ", ": ", "&a ", "*a ", "!a ", "- [", "'",
                                 "\"", "|\n", ">\n ", "%YAML 1.2\n", "---\n", "\\", "<<: "}) {
    std::string text;
    while (text.size() < 60'000) text += unit;
    EXPECT_FALSE(Read(text).ok()) << unit;
  }
}

TEST_F(YamlToProtoTest, SurvivesRandomChangesToAGoodFile) {
  const std::string good =
      "name: a\nversion: 1\ntargets:\n  - {severity: low, respond: 4h}\ngrace: {x: 1d}\n";
  std::mt19937 random(20260229);
  int refused = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string text = good;
    for (int change = 0; change < 3; ++change) {
      text[random() % text.size()] = static_cast<char>(random() % 256);
    }
    if (!Read(text).ok()) ++refused;
  }
  EXPECT_GT(refused, 4000);
}

TEST_F(YamlToProtoTest, KnowsTheLineOfEachValueForLaterChecks) {
  ASSERT_TRUE(
      Read("name: a\ntargets:\n  - severity: low\n    respond: 4h\ngrace:\n  gold: 1h\n").ok());
  EXPECT_EQ(lines_.At("name"), "sla.yaml:1");
  EXPECT_EQ(lines_.At("targets[0].respond"), "sla.yaml:4");
  EXPECT_EQ(lines_.At("targets[0].calendar"), "sla.yaml:3");
  EXPECT_EQ(lines_.At("targets"), "sla.yaml:2");
  EXPECT_EQ(lines_.At("grace.gold"), "sla.yaml:6");
  EXPECT_EQ(lines_.At("version"), "sla.yaml:1");
}

}  // namespace
}  // namespace tandem::config
