#include "services/ticket_intake/fields.h"

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace tandem::ticket_intake {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

intake::v1::Ticket Ticket(const std::string& text) {
  intake::v1::Ticket ticket;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &ticket)) << text;
  return ticket;
}

google::protobuf::FieldMask Mask(std::initializer_list<const char*> paths) {
  google::protobuf::FieldMask mask;
  for (const char* path : paths) mask.add_paths(path);
  return mask;
}

std::string ProblemsOf(const intake::v1::Ticket& values, const google::protobuf::FieldMask& mask) {
  corridor::Violations violations;
  CheckUpdate(values, mask, violations);
  return std::string(violations.status().message());
}

TEST(FieldMask, ChangesWhatItNamesAndNothingElse) {
  intake::v1::Ticket ticket = Ticket(R"(subject: "a" product: "p" category: "c")");
  const auto changed =
      ApplyMask(Ticket(R"(subject: "b" product: "q" category: "d")"), Mask({"product"}), ticket);
  EXPECT_THAT(changed, ElementsAre("product"));
  EXPECT_EQ(ticket.subject(), "a");
  EXPECT_EQ(ticket.product(), "q");
  EXPECT_EQ(ticket.category(), "c");
}

TEST(FieldMask, ClearsAFieldThatIsNamedAndEmpty) {
  intake::v1::Ticket ticket = Ticket(R"(product: "p" context { steps: "1" environment: "e" })");
  EXPECT_THAT(ApplyMask(Ticket(""), Mask({"product", "context.steps"}), ticket),
              ElementsAre("context.steps", "product"));
  EXPECT_EQ(ticket.product(), "");
  EXPECT_EQ(ticket.context().steps(), "");
  EXPECT_EQ(ticket.context().environment(), "e");
}

TEST(FieldMask, ReplacesListsAndMapsWhole) {
  intake::v1::Ticket ticket =
      Ticket(R"(tags: "a" tags: "b" custom_fields { key: "x" value: "1" })");
  EXPECT_THAT(ApplyMask(Ticket(R"(tags: "c" custom_fields { key: "y" value: "2" })"),
                        Mask({"tags", "custom_fields"}), ticket),
              ElementsAre("custom_fields", "tags"));
  EXPECT_THAT(ticket.tags(), ElementsAre("c"));
  EXPECT_EQ(ticket.custom_fields().size(), 1u);
  EXPECT_EQ(ticket.custom_fields().at("y"), "2");
}

TEST(FieldMask, NamesNothingThatIsTheSame) {
  intake::v1::Ticket ticket =
      Ticket(R"(product: "p" tags: "a" impact: IMPACT_HIGH custom_fields { key: "x" value: "1" })");
  const intake::v1::Ticket same = ticket;
  EXPECT_THAT(ApplyMask(same, Mask({"product", "tags", "impact", "custom_fields"}), ticket),
              IsEmpty());
}

TEST(FieldMask, RefusesWhatTandemAloneSets) {
  for (const char* path : {"version", "ticket_id", "account_id", "severity", "assignee_id",
                           "opened_at", "bus_key", "resolutions", "nonsense", "context.colour"}) {
    EXPECT_THAT(ProblemsOf(Ticket(""), Mask({path})), HasSubstr("cannot be changed")) << path;
  }
  EXPECT_THAT(ProblemsOf(Ticket(""), Mask({})), HasSubstr("must name 1 to 20 fields"));
}

TEST(FieldMask, ChecksOnlyTheFieldsThatItNames) {
  const intake::v1::Ticket bad = Ticket(R"(subject: "" product: "No Key" affected_users: -1)");
  EXPECT_EQ(ProblemsOf(bad, Mask({"category"})), "");
  const std::string problems = ProblemsOf(bad, Mask({"subject", "product", "affected_users"}));
  EXPECT_THAT(problems, HasSubstr("ticket.subject"));
  EXPECT_THAT(problems, HasSubstr("ticket.product"));
  EXPECT_THAT(problems, HasSubstr("ticket.affected_users"));
}

TEST(FieldMask, NamesTheFieldThatCannotBeChanged) {
  EXPECT_THAT(ProblemsOf(Ticket(""), Mask({"bus_key"})), HasSubstr("bus_key"));
  EXPECT_THAT(ProblemsOf(Ticket(""), Mask({"My canary"})), Not(HasSubstr("canary")));
}

TEST(Subject, HasToBeSeen) {
  const auto problems_of = [](const std::string& subject) {
    intake::v1::Ticket values;
    values.set_subject(subject);
    return ProblemsOf(values, Mask({"subject"}));
  };
  // Blanks of several scripts, zero-width characters, a mark that turns the direction, a filler,
  // the braille blank, and mixtures of them.
  for (const char* subject :
       {" ", "\xC2\xA0", "\xE3\x80\x80", "\xE2\x80\x8B", "\xEF\xBB\xBF", "\xE2\x80\xAE",
        "\xE3\x85\xA4", "\xE2\xA0\x80", " \xE2\x80\x8B\xC2\xAD ", "\xE2\x81\xA0\xE2\x80\x8D"}) {
    EXPECT_THAT(problems_of(subject), HasSubstr("ticket.subject: is blank"))
        << ::testing::PrintToString(std::string(subject));
  }
  for (const char* subject : {"\n", "a\nb", "a\tb", "a\x7F",
                              "a\xC2\x85"
                              "b",
                              "a\xE2\x80\xA8"
                              "b"}) {
    EXPECT_THAT(problems_of(subject), HasSubstr("ticket.subject: "))
        << ::testing::PrintToString(std::string(subject));
  }
  for (const char* subject : {"!", "\xF0\x9F\x94\xA5", "\xE2\x80\x8FPrinter", "Drucker brennt"}) {
    EXPECT_EQ(problems_of(subject), "") << subject;
  }
}

TEST(ThreadRef, OfAMailIsTheSameWithAndWithoutItsBrackets) {
  for (const char* ref :
       {"<1.a@mail.example>", "1.a@mail.example", " <1.a@mail.example> ", "< 1.a@mail.example >"}) {
    EXPECT_EQ(NormalThreadRef(ref), "<1.a@mail.example>") << ref;
  }
  for (const char* ref : {"room-5", "<room-5>"}) EXPECT_EQ(NormalThreadRef(ref), "room-5");
  EXPECT_NE(NormalThreadRef("<A@mail.example>"), NormalThreadRef("<a@mail.example>"));
  EXPECT_EQ(NormalThreadRef("<>"), "<>");
}

TEST(Attachment, IsMetadataWithinLimits) {
  google::protobuf::RepeatedPtrField<intake::v1::Attachment> attachments;
  auto* good = attachments.Add();
  good->set_name("log.txt");
  good->set_media_type("text/plain");
  good->set_size_bytes(10);
  good->set_sha256(std::string(64, 'a'));
  good->set_url("https://files.example/log.txt");
  corridor::Violations none;
  CheckAttachments(attachments, none);
  EXPECT_TRUE(none.ok()) << none.status();

  good->set_sha256("abc");
  good->set_url("file:///etc/passwd");
  good->set_size_bytes(-1);
  corridor::Violations violations;
  CheckAttachments(attachments, violations);
  const std::string problems(violations.status().message());
  EXPECT_THAT(problems, HasSubstr("attachments[0].sha256"));
  EXPECT_THAT(problems, HasSubstr("attachments[0].url"));
  EXPECT_THAT(problems, HasSubstr("attachments[0].size_bytes"));
}

TEST(Attachment, IsFetchedByHttpsFromAHost) {
  const auto is_accepted = [](const std::string& url) {
    google::protobuf::RepeatedPtrField<intake::v1::Attachment> attachments;
    auto* attachment = attachments.Add();
    attachment->set_name("log.txt");
    attachment->set_media_type("text/plain");
    attachment->set_sha256(std::string(64, 'a'));
    attachment->set_url(url);
    corridor::Violations violations;
    CheckAttachments(attachments, violations);
    return violations.ok();
  };
  for (const char* url :
       {"https://files.example", "HTTPS://Files.example/a b", "javascript:alert(1)", "", " "}) {
    EXPECT_EQ(is_accepted(url), std::string(url) == "https://files.example") << url;
  }
  for (const char* url : {"https://files.example/log.txt", "HttpS://files.example:8443/x?y#z",
                          "https://[2001:db8::1]/x", "https://[2001:db8::1]:443/x", "https://files",
                          "https://müller.example/x"}) {
    EXPECT_TRUE(is_accepted(url)) << url;
  }
  for (const char* url : {"http://files.example/x",
                          "HTTP://files.example/x",
                          "hTTp://files.example",
                          "ftp://files.example/x",
                          "JavaScript:alert(1)",
                          "data:text/plain,x",
                          "file:///etc/passwd",
                          "//files.example/x",
                          "https:files.example",
                          "https:/files.example",
                          "https://",
                          "HTTPS://",
                          "https:///x",
                          "https://?x",
                          "https://#x",
                          "https://:443/x",
                          "https://.",
                          "https://..:443",
                          "https://user@files.example/",
                          "https://user:secret@files.example/",
                          "https://@/x",
                          "https://files.example:/x",
                          "https://files.example:0/",
                          "https://files.example:65536/",
                          "https://files.example:x/",
                          "https://files.example\\@evil.example/",
                          "https:\\\\files.example\\x",
                          "https://[::1/x",
                          "https://[]/x",
                          "https://[::1]x/",
                          "https://\xE2\x80\x8B/",
                          "https://fi les.example/",
                          "https://\xC2\xA0.example/"}) {
    EXPECT_FALSE(is_accepted(url)) << url;
  }
}

}  // namespace
}  // namespace tandem::ticket_intake
