#include "common/corridor/put_mask.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

#include "tandem/account/v1/account_service.pb.h"

namespace tandem::corridor {
namespace {

using account::v1::Contact;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const FixedFields kFixed = {"contact_id", "version"};

google::protobuf::FieldMask Mask(std::initializer_list<const char*> paths) {
  google::protobuf::FieldMask mask;
  for (const char* path : paths) mask.add_paths(path);
  return mask;
}

Contact Stored() {
  Contact contact;
  contact.set_contact_id("anna");
  contact.set_version(3);
  contact.set_display_name("Anna");
  contact.add_addresses("anna@acme.example");
  contact.add_opted_out(type::v1::OUTREACH_TOPIC_RENEWAL);
  contact.set_champion(true);
  contact.mutable_updated_at()->set_seconds(7);
  return contact;
}

Contact After(const google::protobuf::FieldMask& mask, const Contact& values) {
  Contact stored = Stored();
  ApplyPut(mask, values, kFixed, stored);
  return stored;
}

std::string ProblemsOf(const google::protobuf::FieldMask& mask) {
  Violations violations;
  CheckPutMask(mask, *Contact::descriptor(), kFixed, violations);
  return std::string(violations.status().message());
}

TEST(APut, WithoutAMaskChangesTheFieldsThatArePresent) {
  Contact values;
  values.set_display_name("Anna B.");
  const Contact after = After({}, values);
  EXPECT_EQ(after.display_name(), "Anna B.");
  EXPECT_THAT(after.addresses(), ElementsAre("anna@acme.example"));
  EXPECT_THAT(after.opted_out(), ElementsAre(type::v1::OUTREACH_TOPIC_RENEWAL));
  EXPECT_TRUE(after.champion());
}

TEST(APut, ChangesWhatItsMaskNamesAndNothingElse) {
  Contact values;
  values.set_display_name("somebody else");
  values.add_addresses("new@acme.example");
  const Contact after = After(Mask({"addresses", "champion", "updated_at"}), values);
  EXPECT_EQ(after.display_name(), "Anna");
  EXPECT_THAT(after.addresses(), ElementsAre("new@acme.example")) << "lists are replaced whole";
  EXPECT_FALSE(after.champion()) << "named and empty: cleared";
  EXPECT_FALSE(after.has_updated_at());
}

TEST(APut, OfTheWholeReplacesAllButWhatIsFixed) {
  Contact values;
  values.set_version(9);
  values.set_business_role("buyer");
  const Contact after = After(Mask({"*"}), values);
  EXPECT_EQ(after.contact_id(), "anna");
  EXPECT_EQ(after.version(), 3);
  EXPECT_EQ(after.business_role(), "buyer");
  EXPECT_EQ(after.display_name(), "");
  EXPECT_THAT(after.opted_out(), IsEmpty());
}

TEST(APutMask, NamesEachBadPath) {
  EXPECT_EQ(ProblemsOf({}), "");
  EXPECT_EQ(ProblemsOf(Mask({"*"})), "");
  EXPECT_EQ(ProblemsOf(Mask({"champion", "addresses"})), "");
  const std::string problems = ProblemsOf(Mask({"champ", "version", "champion", "champion", "*"}));
  EXPECT_THAT(problems, HasSubstr("update_mask.paths[0]: names no field of Contact"));
  EXPECT_THAT(problems, HasSubstr("update_mask.paths[1]: names version"));
  EXPECT_THAT(problems, HasSubstr("update_mask.paths[3]: names champion twice"));
  EXPECT_THAT(problems, HasSubstr("update_mask.paths[4]: \"*\" stands alone"));
}

}  // namespace
}  // namespace tandem::corridor
