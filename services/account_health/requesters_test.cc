#include "services/account_health/requesters.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/account_health/policy.h"

namespace tandem::account_health {
namespace {

using ::testing::ElementsAre;

TEST(Addresses, HaveOneSpelling) {
  const std::pair<const char*, const char*> cases[] = {
      {" Anna.Berg@Example.COM ", "anna.berg@example.com"},
      {"+49 (30) 123-45.67", "+49301234567"},
      {"030/1234", "0301234"},
      {"ext-44a", "ext-44a"},
      {"---", "---"},
      {"", ""},
  };
  for (const auto& [written, normal] : cases) EXPECT_EQ(NormalAddress(written), normal) << written;
}

TEST(Domains, AreReadFromMailAddressesOnly) {
  const std::pair<const char*, const char*> cases[] = {
      {"anna@example.com", "example.com"},
      {"\"a@b\"@mail.example.com", "mail.example.com"},
      {"+49301234567", ""},
      {"@example.com", ""},
      {"anna@", ""},
      {"anna@localhost", ""},
      {"anna@exa mple.com", ""},
      {"anna@-x.com", ""},
  };
  for (const auto& [address, domain] : cases) EXPECT_EQ(DomainOf(address), domain) << address;
}

records::AddressRecord Contacts(std::initializer_list<const char*> ids) {
  records::AddressRecord record;
  for (const char* id : ids) record.add_contact_ids(id);
  return record;
}

records::DomainRecord Accounts(std::initializer_list<const char*> ids) {
  records::DomainRecord record;
  for (const char* id : ids) record.add_account_ids(id);
  return record;
}

TEST(Requester, IsTheContactWithThatAddress) {
  const auto address = Contacts({"anna"});
  const auto domain = Accounts({"acme"});
  const Match match = FindRequester("a@acme.com", &address, &domain, DefaultPolicy());
  EXPECT_EQ(match.kind, Match::Kind::kContact);
  EXPECT_EQ(match.id, "anna");
}

TEST(Requester, OfAKnownDomainIsANewMemberOfThatAccount) {
  const auto domain = Accounts({"acme"});
  const Match match = FindRequester("new@acme.com", nullptr, &domain, DefaultPolicy());
  EXPECT_EQ(match.kind, Match::Kind::kNewContact);
  EXPECT_EQ(match.id, "acme");
}

TEST(Requester, OfAPublicMailDomainIsUnresolvedEvenIfAnAccountNamesIt) {
  const auto domain = Accounts({"acme"});
  EXPECT_EQ(FindRequester("somebody@gmail.com", nullptr, &domain, DefaultPolicy()).kind,
            Match::Kind::kUnresolved);
}

TEST(Requester, OfSeveralCandidatesIsUnresolvedAndNamesThem) {
  const auto domain = Accounts({"acme", "acme-labs"});
  const Match by_domain = FindRequester("x@acme.com", nullptr, &domain, DefaultPolicy());
  EXPECT_EQ(by_domain.kind, Match::Kind::kUnresolved);
  EXPECT_THAT(by_domain.candidates, ElementsAre("acme", "acme-labs"));
  const auto address = Contacts({"anna", "bert"});
  const auto one_account = Accounts({"acme"});
  const Match by_address = FindRequester("x@acme.com", &address, &one_account, DefaultPolicy());
  EXPECT_EQ(by_address.kind, Match::Kind::kUnresolved);
  EXPECT_THAT(by_address.candidates, ElementsAre("anna", "bert"));
}

TEST(Requester, WhomNobodyKnowsIsUnresolved) {
  EXPECT_EQ(FindRequester("x@nowhere.org", nullptr, nullptr, DefaultPolicy()).kind,
            Match::Kind::kUnresolved);
  EXPECT_EQ(FindRequester("+49301234567", nullptr, nullptr, DefaultPolicy()).kind,
            Match::Kind::kUnresolved);
}

}  // namespace
}  // namespace tandem::account_health
