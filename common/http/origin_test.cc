#include "common/http/origin.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "gtest/gtest.h"

namespace tandem::http {
namespace {

std::string OriginOf(const char* text) {
  sockaddr_in v4 = {};
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    return Origin(reinterpret_cast<const sockaddr*>(&v4));
  }
  sockaddr_in6 v6 = {};
  EXPECT_EQ(inet_pton(AF_INET6, text, &v6.sin6_addr), 1) << text;
  v6.sin6_family = AF_INET6;
  return Origin(reinterpret_cast<const sockaddr*>(&v6));
}

TEST(Origin, OfAnIpv4AddressIsTheSameWrittenAsIpv6) {
  EXPECT_EQ(OriginOf("192.0.2.1"), OriginOf("::ffff:192.0.2.1"));
  EXPECT_NE(OriginOf("192.0.2.1"), OriginOf("192.0.2.2"));
  EXPECT_NE(OriginOf("::ffff:192.0.2.1"), OriginOf("::ffff:192.0.2.2"));
}

TEST(Origin, OfAnIpv6AddressIsItsNetwork) {
  EXPECT_EQ(OriginOf("2001:db8:1:2::1"), OriginOf("2001:db8:1:2:3:4:5:6"));
  EXPECT_NE(OriginOf("2001:db8:1:2::1"), OriginOf("2001:db8:1:3::1"));
  EXPECT_NE(OriginOf("::1"), "");
}

TEST(Origin, OfNoAddressIsNone) {
  EXPECT_EQ(Origin(nullptr), "");
  sockaddr local = {};
  local.sa_family = AF_UNIX;
  EXPECT_EQ(Origin(&local), "");
}

}  // namespace
}  // namespace tandem::http
