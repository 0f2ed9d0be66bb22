#include "common/log/scrub.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::log {
namespace {

TEST(Scrubbed, KeepsOurOwnWords) {
  for (const std::string text :
       {"", "targets[2].respond must be positive", "ticket 01HX-7 of acme/prod:7400 is CLOSED",
        "can't commit; it's locked", "a+b <= 3 (offset +7)", "moved by +12345 us"}) {
    EXPECT_EQ(Scrubbed(text), text);
  }
}

TEST(Scrubbed, TakesOutWhatCameFromPeople) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"subject \"Help me\" is long", "subject \"<quoted>\" is long"},
      {"subject 'Help me' is long", "subject \"<quoted>\" is long"},
      {"subject `Help me`", "subject \"<quoted>\""},
      {"subject \xE2\x80\x9CHelp me\xE2\x80\x9D", "subject \"<quoted>\""},
      {"subject \xC2\xABHelp me\xC2\xBB", "subject \"<quoted>\""},
      // Quotes inside of quotes end nothing.
      {"subject \"say \"hi\" to Bob\" is long", "subject \"<quoted>\" is long"},
      {"subject 'it's Bob's secret' is long", "subject \"<quoted>\" is long"},
      {"can't parse 'Help me'", "can't parse \"<quoted>\""},
      {"subject \"never closed by Bob", "subject \"<quoted>\""},
      {"no contact jane.doe@example.com", "no contact <address>"},
      {"no contact <jane@example.com>, sorry", "no contact <<address>>, sorry"},
      {"to=jane@example.com;cc=bob@example.com", "to=<address>;cc=<address>"},
      {"caller +49 30 1234-567 hung up", "caller <phone> hung up"},
      {"caller +123456 hung up", "caller <phone> hung up"},
      {"name Zo\xC3\xAB is taken", "name Zo<text> is taken"},
      {"\x1B[31mred", "<text>[31mred"},
      {"first\nsecond", "first second"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(Scrubbed(text), expected) << text;
}

TEST(Scrubbed, IsBounded) {
  const std::string scrubbed = Scrubbed(std::string(100'000'000, 'x'));
  EXPECT_EQ(scrubbed.size(), kMaxMessageBytes);
  EXPECT_TRUE(scrubbed.ends_with("..."));
  EXPECT_EQ(Scrubbed(std::string(kMaxMessageBytes, 'x')).size(), kMaxMessageBytes);
}

TEST(Scrubbed, DoesNotShowAQuoteThatTheCutHalved) {
  EXPECT_EQ(Scrubbed("subject \"" + std::string(100'000, 's') + "\" is long").find("ss"),
            std::string::npos);
}

}  // namespace
}  // namespace tandem::log
