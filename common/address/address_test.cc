#include "common/address/address.h"

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::address {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string CanonicalOf(std::string_view text) {
  const auto address = Parse(text);
  return address.ok() ? address->canonical : std::string(address.status().message());
}

std::string ProblemOf(std::string_view text) {
  const auto address = Parse(text);
  if (address.ok()) return "accepted as " + address->canonical;
  EXPECT_TRUE(absl::IsInvalidArgument(address.status()));
  return std::string(address.status().message());
}

TEST(MailAddress, IsReadOutOfWhateverAFromLineMayHold) {
  const std::pair<std::string, std::string> cases[] = {
      {"c@k4.example", "c@k4.example"},
      {"Carl C <c@k4.example>", "c@k4.example"},
      {"<c@k4.example>", "c@k4.example"},
      {"  c@k4.example\t", "c@k4.example"},
      {"\"C, Carl\" <c@k4.example>", "c@k4.example"},
      {"\"c@other.example\" <c@k4.example>", "c@k4.example"},
      {"Carl \"the \\\"C\\\"\" C <c@k4.example>", "c@k4.example"},
      {"Carl C. <c@k4.example>", "c@k4.example"},
      {"=?utf-8?q?Carl_=C3=9C?= <c@k4.example>", "c@k4.example"},
      {"Jürgen Groß <j@k4.example>", "j@k4.example"},
      {"c@k4.example (Carl C)", "c@k4.example"},
      {"(a (nested \\) one)) c (here) @ (there) k4.example", "c@k4.example"},
      {"Carl (C) < c@k4.example >", "c@k4.example"},
      {"c . d@k4 . example", "c.d@k4.example"},
      {"first.last+tag@mail.k4.example", "first.last+tag@mail.k4.example"},
      {"o'neil@k4.example", "o'neil@k4.example"},
  };
  for (const auto& [text, canonical] : cases) EXPECT_EQ(CanonicalOf(text), canonical) << text;
}

TEST(MailAddress, HasOneSpellingForWhatIsTheSame) {
  const std::pair<std::string, std::string> cases[] = {
      {"C@K4.Example", "c@k4.example"},
      {"c@k4.example.", "c@k4.example"},
      {"c@K4.EXAMPLE.", "c@k4.example"},
      {"\"c\"@k4.example", "c@k4.example"},
      {"\"c.d\"@k4.example", "c.d@k4.example"},
      {"\"c d\"@k4.example", "\"c d\"@k4.example"},
      {"\"c\\ d\"@k4.example", "\"c d\"@k4.example"},
      {"\"c@d\"@k4.example", "\"c@d\"@k4.example"},
      {"\"c..d\"@k4.example", "\"c..d\"@k4.example"},
      {"\"c\\\"d\"@k4.example", "\"c\\\"d\"@k4.example"},
  };
  for (const auto& [text, canonical] : cases) EXPECT_EQ(CanonicalOf(text), canonical) << text;
}

TEST(MailAddress, HasAnInternationalDomainAsALabels) {
  const std::pair<std::string, std::string> cases[] = {
      {"c@müller.example", "c@xn--mller-kva.example"},
      {"c@MÜLLER.example", "c@xn--mller-kva.example"},
      {"c@mu\xCC\x88ller.example", "c@xn--mller-kva.example"},  // u and a combining diaeresis
      {"c@xn--mller-kva.example", "c@xn--mller-kva.example"},
      {"c@XN--MLLER-KVA.example.", "c@xn--mller-kva.example"},
      {"c@straße.example", "c@xn--strae-oqa.example"},  // non-transitional: not strasse
      {"c@例え.テスト", "c@xn--r8jz45g.xn--zckzah"},
      {"c@k4。example", "c@k4.example"},  // U+3002 is a dot by UTS #46
      {"c@r3---a.example", "c@r3---a.example"},
  };
  for (const auto& [text, canonical] : cases) EXPECT_EQ(CanonicalOf(text), canonical) << text;
}

TEST(MailAddress, BeyondAsciiKeepsItsLocalPartAsWritten) {
  EXPECT_EQ(CanonicalOf("jürgen@k4.example"), "jürgen@k4.example");
  EXPECT_EQ(CanonicalOf("用户@例え.テスト"), "用户@xn--r8jz45g.xn--zckzah");
}

TEST(MailAddress, IsSentToAsItWasWritten) {
  const auto address = ParseMail("Carl <Carl.C@K4.Example.>");
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(address->canonical, "carl.c@k4.example");
  EXPECT_EQ(address->deliverable, "Carl.C@k4.example");
  EXPECT_EQ(address->domain, "k4.example");
  EXPECT_TRUE(address->is_mail());
}

TEST(MailAddress, ThatIsMalformedSaysWhatIsWrong) {
  const std::string long_label(64, 'a');
  std::string long_domain = "example";
  while (long_domain.size() < 240) long_domain = "aaaaaaaaa." + long_domain;
  const std::pair<std::string, const char*> cases[] = {
      {"c@d@k4.example", "has two '@'"},
      {"c@@k4.example", "has two '@'"},
      {"c@k4.example@", "has two '@'"},
      {"Carl <c@d@k4.example>", "has two '@'"},
      {"@k4.example", "has nothing before the '@'"},
      {"c@", "has nothing after the '@'"},
      {"c@.", "domain"},
      {"<@k4.example>", "has nothing before the '@'"},
      {"<@a.example,@b.example:c@k4.example>", "names a route"},
      {"Carl <>@", "is empty between"},
      {"Carl <c@k4.example", "has no '>'"},
      {"Carl <c@k4.example> C", "has text after the address"},
      {"c@k4.example d", "text after"},
      {"c@k4.example, d@k4.example", "names more than one address"},
      {"C, Carl <c@k4.example>", "names more than one address"},
      {"team: c@k4.example;", "is a group"},
      {"carl c@k4.example", "has a blank before the '@'"},
      {".c@k4.example", "has a dot"},
      {"c.@k4.example", "has a dot"},
      {"c..d@k4.example", "has a dot"},
      {"\"c\"d@k4.example", "has quotes around only a part"},
      {"\"\"@k4.example", "has nothing before the '@'"},
      {"\"c@k4.example", "has a quoted string that does not end"},
      {"c(d@k4.example", "has a comment that does not end"},
      {"c@k4 .example x", "text after"},
      {"c@[192.0.2.1]", "has an IP address"},
      {"c@192.0.2.1", "has an IP address"},
      {"c@localhost", "has a domain without a dot"},
      {"c@k4..example", "two dots"},
      {"c@.k4.example", "domain"},
      {"c@-k4.example", "begins or ends with '-'"},
      {"c@k4-.example", "begins or ends with '-'"},
      {"c@k_4.example", "other than letters"},
      {"c@k4!.example", "other than letters"},
      {"c@" + long_label + ".example", "has a domain label of more than 63 bytes"},
      {"c@aaaaaaaaaaaa." + long_domain, "has a domain of more than 253 bytes"},
      {std::string(65, 'c') + "@k4.example", "has more than 64 bytes before"},
      {"cccccccccccc@" + long_domain, "has more than 254 bytes"},
      {"c@xn--.example", "no internationalized domain name"},
      {"c@xn--99999999.example", "no internationalized domain name"},
      {"c\xE2\x80\x8B@k4.example", "has an invisible character"},  // zero-width space
      {"c\xC2\xA0@k4.example", "has an invisible character"},      // no-break space
      {"c@k4.example\r\nBcc: d@k4.example", "holds a control character"},
      {"c\xC2\x85@k4.example", "holds a control character"},
      {"c\xFF@k4.example", "is not UTF-8"},
      {"Carl @", "has nothing after"},
      {std::string(999, 'c') + "@k4.example", "has more than 998 bytes"},
      {std::string(40, '(') + "@", "nests comments too deeply"},
  };
  for (const auto& [text, problem] : cases)
    EXPECT_THAT(ProblemOf(text), HasSubstr(problem)) << text;
}

TEST(PhoneNumber, IsStrictlyE164) {
  const std::pair<std::string, std::string> cases[] = {
      {"+4930123456", "+4930123456"},           {" +49 30 123456 ", "+4930123456"},
      {"+49 (30) 123-456", "+4930123456"},      {"+1 202.555.0123", "+12025550123"},
      {"+49/30/123456", "+4930123456"},         {"+6834002", "+6834002"},
      {"+123456789012345", "+123456789012345"},
  };
  for (const auto& [text, canonical] : cases) {
    const auto address = ParsePhone(text);
    ASSERT_TRUE(address.ok()) << text << ": " << address.status();
    EXPECT_EQ(address->canonical, canonical);
    EXPECT_EQ(address->deliverable, canonical);
    EXPECT_FALSE(address->is_mail());
  }
}

TEST(PhoneNumber, ThatIsMalformedSaysWhatIsWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "is empty"},
      {"  ", "is empty"},
      {"030 123456", "no '+' before a country code"},
      {"004930123456", "no '+' before a country code"},
      {"carl", "is neither a mail address"},
      {"+", "without a country code"},
      {"+030123456", "without a country code"},
      {"+49 (0)30 123456", "trunk prefix"},
      {"+123456", "of 6 digits, not 7 to 15"},
      {"+1234567890123456", "of 16 digits, not 7 to 15"},
      {"+49 30 123456 ext. 7", "other than digits"},
      {"+49+30123456", "other than digits"},
      {"+٤٩٣٠١٢٣٤٥٦", "other than digits"},
      {"tel:+4930123456", "is neither a mail address"},
  };
  for (const auto& [text, problem] : cases)
    EXPECT_THAT(ProblemOf(text), HasSubstr(problem)) << text;
}

TEST(Problems, NeverRepeatTheText) {
  for (const std::string_view text :
       {"canary@d@k4.example", "canary", "a@canary", "a@canary_.example", "a@xn--canary-.example",
        "canary <a@k4.example"}) {
    EXPECT_THAT(ProblemOf(text), Not(HasSubstr("canary"))) << text;
  }
}

TEST(Domain, HasOneSpelling) {
  const std::pair<std::string, std::string> cases[] = {
      {"k4.example", "k4.example"},
      {"K4.Example.", "k4.example"},
      {"müller.example", "xn--mller-kva.example"},
      {"MÜLLER.example.", "xn--mller-kva.example"},
  };
  for (const auto& [text, domain] : cases) {
    const auto parsed = ParseDomain(text);
    ASSERT_TRUE(parsed.ok()) << text << ": " << parsed.status();
    EXPECT_EQ(*parsed, domain);
  }
  for (const std::string_view text :
       {"", ".", "k4", "k4..example", "c@k4.example", "k4.example:25"}) {
    EXPECT_FALSE(ParseDomain(text).ok()) << text;
  }
}

TEST(CanonicalAddress, TellsWhetherItIsMailAndItsDomain) {
  EXPECT_TRUE(IsMail("c@k4.example"));
  EXPECT_FALSE(IsMail("+4930123456"));
  EXPECT_FALSE(IsMail(""));
  EXPECT_EQ(DomainOf("c@k4.example"), "k4.example");
  EXPECT_EQ(DomainOf("\"c@d\"@k4.example"), "k4.example");
  EXPECT_EQ(DomainOf("+4930123456"), "");
}

TEST(CanonicalAddress, IsItsOwnCanonicalForm) {
  for (const std::string_view text :
       {"Carl C <C@K4.example.>", "\"c \\\" d\"@k4.example", "\"c@d\"@k4.example",
        "c@müller.example", "jürgen@k4.example", "+49 30 123456"}) {
    const std::string once = CanonicalOf(text);
    EXPECT_EQ(CanonicalOf(once), once) << text;
    const auto address = Parse(text);
    ASSERT_TRUE(address.ok()) << text;
    EXPECT_EQ(CanonicalOf(address->deliverable), once) << text;
    EXPECT_EQ(DomainOf(once), address->domain) << text;
  }
}

TEST(Address, IsReadByManyThreadsAtOnce) {
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&wrong] {
      for (int i = 0; i < 1000; ++i) {
        if (CanonicalOf("C <c@MÜLLER.example.>") != "c@xn--mller-kva.example") ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace tandem::address
