#include "services/account_health/account_commands.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/address/address.h"
#include "common/corridor/errors.h"
#include "common/corridor/put_mask.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "common/time/zones.h"
#include "services/account_health/commands_work.h"
#include "services/account_health/contacts.h"
#include "services/account_health/health.h"
#include "services/account_health/journey.h"
#include "services/account_health/pages.h"
#include "services/account_health/records.h"
#include "services/account_health/requesters.h"
#include "services/account_health/staff_check.h"
#include "tandem/events/v1/account.pb.h"

namespace tandem::account_health {
namespace {

using account::v1::Account;
using account::v1::Contact;
using corridor::Decision;
using corridor::Violations;
using google::protobuf::RepeatedPtrField;

constexpr size_t kMaxDomains = 50;
constexpr int kMaxTicketsOfARequester = 1000;

// What a put of an account, of a contact does not change.
const corridor::FixedFields& FixedOfAccount() {
  static const auto& fields =
      *new corridor::FixedFields{"account_id", "version", "created_at", "updated_at"};
  return fields;
}
const corridor::FixedFields& FixedOfContact() {
  static const auto& fields =
      *new corridor::FixedFields{"contact_id", "account_id", "version", "updated_at"};
  return fields;
}

void CheckExternalId(Violations& violations, const std::string& field,
                     const type::v1::ExternalId& name) {
  violations.Key(absl::StrCat(field, ".system"), name.system());
  violations.Line(absl::StrCat(field, ".id"), name.id(), 128);
}

void CheckExternalIds(Violations& violations, const std::string& field,
                      const RepeatedPtrField<type::v1::ExternalId>& names) {
  violations.Count(field, static_cast<size_t>(names.size()), kMaxExternalIds);
  std::set<std::pair<std::string, std::string>> seen;
  for (int i = 0; i < names.size(); ++i) {
    const std::string at = absl::StrCat(field, "[", i, "]");
    CheckExternalId(violations, at, names[i]);
    violations.Require(seen.emplace(names[i].system(), names[i].id()).second, at, "stands twice");
  }
}

template <typename Enums, typename IsValid>
void CheckEnums(Violations& violations, const std::string& field, const Enums& values,
                IsValid is_valid) {
  violations.Count(field, static_cast<size_t>(values.size()), 50);
  for (int i = 0; i < values.size(); ++i) {
    violations.Require(values.Get(i) != 0 && is_valid(values.Get(i)),
                       absl::StrCat(field, "[", i, "]"), "is no known value");
  }
}

std::vector<int> Numbers(const google::protobuf::RepeatedField<int>& values) {
  return {values.begin(), values.end()};
}

// Fills what a requester's service wants to know of the contact and its account.
absl::StatusOr<account::v1::ResolveRequesterResponse> Describe(Work& work, const Contact& contact) {
  auto account = work.drafts.Open(Accounts(), contact.account_id());
  if (!account.ok()) return account.status();
  account::v1::ResolveRequesterResponse response;
  response.set_contact_id(contact.contact_id());
  response.set_account_id(contact.account_id());
  response.set_contact_level(contact.level());
  response.set_segment((**account)->account().segment());
  response.set_stage((**account)->account().stage());
  return response;
}

}  // namespace

// ---- accounts

absl::Status Validate(const account::v1::PutAccountRequest& request) {
  Violations violations;
  const Account& account = request.account();
  violations.Id("account.account_id", account.account_id());
  violations.Range("account.version", account.version(), 0, INT64_MAX);
  violations.Line("account.display_name", account.display_name(), 200, true);
  violations.Require(type::v1::Segment_IsValid(account.segment()), "account.segment",
                     "is no known value");
  violations.Require(type::v1::JourneyStage_IsValid(account.stage()), "account.stage",
                     "is no known value");
  violations.Count("account.domains", static_cast<size_t>(account.domains_size()), kMaxDomains);
  std::set<std::string> seen;
  for (int i = 0; i < account.domains_size(); ++i) {
    const std::string at = absl::StrCat("account.domains[", i, "]");
    const absl::StatusOr<std::string> domain = address::ParseDomain(account.domains(i));
    if (!violations.Require(domain.ok(), at, std::string(domain.status().message()))) continue;
    violations.Require(seen.insert(*domain).second, at, "stands twice");
  }
  CheckExternalIds(violations, "account.external_ids", account.external_ids());
  violations.Range("account.seats", account.seats(), 0, 1'000'000'000);
  violations.Range("account.arr_minor", account.arr_minor(), 0, 1'000'000'000'000'000);
  const std::string& currency = account.currency();
  const bool is_currency =
      currency.size() == 3 &&
      std::all_of(currency.begin(), currency.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  violations.Require(is_currency || currency.empty(), "account.currency",
                     "must be three capital letters of ISO 4217");
  corridor::CheckPutMask(request.update_mask(), *Account::descriptor(), FixedOfAccount(),
                         violations);
  return violations.status();
}

absl::StatusOr<Decision> PutAccount(const account::v1::PutAccountRequest& request,
                                    const Call& call) {
  const std::string& account_id = request.account().account_id();
  Work work(call.policies, call.in, call.view);
  auto draft = work.drafts.Open(Accounts(), account_id);
  if (!draft.ok()) return draft.status();
  const bool is_new = !(*draft)->exists();
  const Account before = (**draft)->account();
  if (request.account().version() != 0 && request.account().version() != before.version()) {
    return corridor::VersionConflict("account", account_id, request.account().version(),
                                     before.version());
  }
  const type::v1::JourneyStage stage =
      corridor::Changes(request.update_mask(), request.account(), "stage")
          ? request.account().stage()
          : type::v1::JOURNEY_STAGE_UNSPECIFIED;
  Account after = before;
  after.set_account_id(account_id);
  corridor::ApplyPut(request.update_mask(), request.account(), FixedOfAccount(), after);
  after.set_stage(before.stage());
  for (std::string& domain : *after.mutable_domains()) {
    absl::StatusOr<std::string> parsed = address::ParseDomain(domain);
    if (parsed.ok()) domain = *std::move(parsed);
  }
  Violations violations;
  violations.Require(!is_new || stage != type::v1::JOURNEY_STAGE_UNSPECIFIED, "account.stage",
                     "is needed by the first put");
  violations.Require(!after.currency().empty() || after.arr_minor() == 0, "account.currency",
                     "is needed with arr_minor: three capital letters of ISO 4217");
  if (!violations.ok()) return violations.status();
  if (!is_new && stage != type::v1::JOURNEY_STAGE_UNSPECIFIED && stage != before.stage()) {
    return corridor::FailedPrecondition(
        "STAGE_MOVES_BY_JOURNEY", "the stage of an account that exists is moved by AdvanceJourney");
  }
  absl::StatusOr<absl::Time> at = work.CommitInstant(account_id);
  if (!at.ok()) return at.status();

  records::AccountRecord& record = (*draft)->Change();
  Account& account = *record.mutable_account();
  account = std::move(after);
  account.set_version(before.version() + 1);
  *account.mutable_created_at() = is_new ? time::Stamp(*at) : before.created_at();
  *account.mutable_updated_at() = time::Stamp(*at);
  if (is_new) EnterStage(record, stage, *at, false, "", "");

  absl::Status status =
      PutNames(work, "account", account_id, before.external_ids(), account.external_ids());
  if (!status.ok()) return status;
  if (is_new) {
    events::v1::AccountRegistered event;
    event.set_account_id(account_id);
    *event.mutable_occurred_at() = time::Stamp(*at);
    event.set_segment(account.segment());
    event.set_stage(account.stage());
    status = work.Tell(account_id, account_id, *at, std::move(event));
    if (!status.ok()) return status;
  }
  if (is_new || before.segment() != account.segment()) {
    status = work.ChangeHealth(
        account_id, {std::string(call.in.cause), is_new ? "AccountRegistered" : "segment", "", *at},
        [&](records::HealthRecord& health) {
          health.set_stage(account.stage());
          health.set_segment(account.segment());
        });
    if (!status.ok()) return status;
  }
  status = PutDomains(work, call.in, before, account);
  if (!status.ok()) return status;
  account::v1::PutAccountResponse response;
  response.set_account_id(account_id);
  response.set_version(account.version());
  work.decision.Reply(std::move(response));
  return work.Finish();
}

absl::Status Validate(const account::v1::GetAccountRequest& request) {
  Violations violations;
  if (request.has_external_id()) {
    violations.Require(request.account_id().empty(), "account_id",
                       "must be empty beside an external id");
    CheckExternalId(violations, "external_id", request.external_id());
  } else {
    violations.Id("account_id", request.account_id());
  }
  return violations.status();
}

absl::StatusOr<account::v1::GetAccountResponse> GetAccount(
    const account::v1::GetAccountRequest& request, const Call& call) {
  std::string account_id = request.account_id();
  if (request.has_external_id()) {
    auto name = call.view.Load(Names(), NameKey("account", request.external_id()));
    if (!name.ok()) return name.status();
    if (!*name) return corridor::NotFound("account", request.external_id().system());
    account_id = (*name)->id();
  }
  auto account = call.view.Load(Accounts(), account_id);
  if (!account.ok()) return account.status();
  if (!*account) return corridor::NotFound("account", account_id);
  account::v1::GetAccountResponse response;
  *response.mutable_account() = (*account)->account();
  *response.mutable_journey() = (*account)->journey();
  for (const account::v1::TimeInStage& time : TimesInStages(**account, call.in.now)) {
    *response.add_times() = time;
  }
  return response;
}

absl::Status Validate(const account::v1::ListAccountsRequest& request) {
  Violations violations;
  CheckEnums(violations, "segments", request.segments(), type::v1::Segment_IsValid);
  CheckEnums(violations, "stages", request.stages(), type::v1::JourneyStage_IsValid);
  violations.PageSize(request.page_size(), kLargestPage);
  return violations.status();
}

absl::StatusOr<account::v1::ListAccountsResponse> ListAccounts(
    const account::v1::ListAccountsRequest& request, const Call& call) {
  auto parts = ReadPosition(request.page_token(), 1);
  if (!parts.ok()) return parts.status();
  const int64_t size = PageOf(request.page_size());
  auto rows = SelectAccounts(call.view, Numbers(request.segments()), Numbers(request.stages()),
                             (*parts)[0], size + 1);
  if (!rows.ok()) return rows.status();
  account::v1::ListAccountsResponse response;
  for (const auto& row : *rows) {
    if (response.accounts_size() == size) {
      response.set_next_page_token(
          WritePosition({response.accounts(response.accounts_size() - 1).account_id()}));
      break;
    }
    *response.add_accounts() = row->account();
  }
  return response;
}

// ---- contacts

absl::Status Validate(const account::v1::PutContactRequest& request) {
  Violations violations;
  const Contact& contact = request.contact();
  violations.Id("contact.contact_id", contact.contact_id());
  violations.Id("contact.account_id", contact.account_id());
  violations.Range("contact.version", contact.version(), 0, INT64_MAX);
  violations.Line("contact.display_name", contact.display_name(), 200, true);
  violations.Count("contact.addresses", static_cast<size_t>(contact.addresses_size()),
                   kMaxAddresses);
  std::set<std::string> seen;
  for (int i = 0; i < contact.addresses_size(); ++i) {
    const std::string at = absl::StrCat("contact.addresses[", i, "]");
    const absl::StatusOr<address::Address> parsed = address::Parse(contact.addresses(i));
    if (!violations.Require(parsed.ok(), at, std::string(parsed.status().message()))) continue;
    violations.Require(seen.insert(parsed->canonical).second, at, "stands twice");
  }
  violations.Require(type::v1::ContactLevel_IsValid(contact.level()), "contact.level",
                     "is no known value");
  violations.Line("contact.business_role", contact.business_role(), 200, true);
  violations.Language("contact.language", contact.language(), true);
  if (!contact.time_zone().empty()) {
    const std::string problem = time::ZoneProblem(contact.time_zone());
    violations.Require(problem.empty(), "contact.time_zone", problem);
  }
  violations.Require(type::v1::Channel_IsValid(contact.preferred_channel()),
                     "contact.preferred_channel", "is no known value");
  violations.Text("contact.communication_style", contact.communication_style(), 1024, true);
  violations.Text("contact.constraints", contact.constraints(), 1024, true);
  violations.Text("contact.goals", contact.goals(), 1024, true);
  CheckEnums(violations, "contact.opted_out", contact.opted_out(), type::v1::OutreachTopic_IsValid);
  CheckExternalIds(violations, "contact.external_ids", contact.external_ids());
  corridor::CheckPutMask(request.update_mask(), *Contact::descriptor(), FixedOfContact(),
                         violations);
  return violations.status();
}

absl::StatusOr<Decision> PutContact(const account::v1::PutContactRequest& request,
                                    const Call& call) {
  const std::string& contact_id = request.contact().contact_id();
  const std::string& account_id = request.contact().account_id();
  Work work(call.policies, call.in, call.view);
  auto account = work.drafts.Open(Accounts(), account_id);
  if (!account.ok()) return account.status();
  if (!(*account)->exists()) return corridor::NotFound("account", account_id);
  auto draft = work.drafts.Open(Contacts(), contact_id);
  if (!draft.ok()) return draft.status();
  const Contact before = ***draft;
  if (request.contact().version() != 0 && request.contact().version() != before.version()) {
    return corridor::VersionConflict("contact", contact_id, request.contact().version(),
                                     before.version());
  }
  if ((*draft)->exists() && before.account_id() != account_id) {
    return corridor::FailedPrecondition("CONTACT_DOES_NOT_MOVE",
                                        "the contact belongs to another account and does not move");
  }
  Contact values = request.contact();
  for (std::string& one : *values.mutable_addresses()) {
    absl::StatusOr<address::Address> parsed = address::Parse(one);
    if (parsed.ok()) one = std::move(parsed->deliverable);
  }
  Contact contact = before;
  contact.set_contact_id(contact_id);
  contact.set_account_id(account_id);
  corridor::ApplyPut(request.update_mask(), values, FixedOfContact(), contact);
  contact.set_version(before.version() + 1);
  *contact.mutable_updated_at() = time::Stamp(call.in.now);
  absl::Status status = PutContact(work, contact);
  if (!status.ok()) return status;
  status = SettleForContact(work, call.in, before, contact);
  if (!status.ok()) return status;
  account::v1::PutContactResponse response;
  response.set_contact_id(contact_id);
  response.set_version(contact.version());
  work.decision.Reply(std::move(response));
  return work.Finish();
}

absl::Status Validate(const account::v1::GetContactRequest& request) {
  Violations violations;
  if (request.has_external_id()) {
    violations.Require(request.contact_id().empty(), "contact_id",
                       "must be empty beside an external id");
    CheckExternalId(violations, "external_id", request.external_id());
  } else {
    violations.Id("contact_id", request.contact_id());
  }
  return violations.status();
}

absl::StatusOr<account::v1::GetContactResponse> GetContact(
    const account::v1::GetContactRequest& request, const Call& call) {
  std::string contact_id = request.contact_id();
  if (request.has_external_id()) {
    auto name = call.view.Load(Names(), NameKey("contact", request.external_id()));
    if (!name.ok()) return name.status();
    if (!*name) return corridor::NotFound("contact", request.external_id().system());
    contact_id = (*name)->id();
  }
  auto contact = call.view.Load(Contacts(), contact_id);
  if (!contact.ok()) return contact.status();
  if (!*contact) return corridor::NotFound("contact", contact_id);
  account::v1::GetContactResponse response;
  *response.mutable_contact() = **contact;
  return response;
}

absl::Status Validate(const account::v1::ListContactsRequest& request) {
  Violations violations;
  violations.Id("account_id", request.account_id());
  violations.PageSize(request.page_size(), kLargestPage);
  return violations.status();
}

absl::StatusOr<account::v1::ListContactsResponse> ListContacts(
    const account::v1::ListContactsRequest& request, const Call& call) {
  auto parts = ReadPosition(request.page_token(), 1);
  if (!parts.ok()) return parts.status();
  auto account = call.view.Load(Accounts(), request.account_id());
  if (!account.ok()) return account.status();
  if (!*account) return corridor::NotFound("account", request.account_id());
  const int64_t size = PageOf(request.page_size());
  auto rows = SelectContacts(call.view, request.account_id(), (*parts)[0], size + 1);
  if (!rows.ok()) return rows.status();
  account::v1::ListContactsResponse response;
  for (const auto& row : *rows) {
    if (response.contacts_size() == size) {
      response.set_next_page_token(
          WritePosition({response.contacts(response.contacts_size() - 1).contact_id()}));
      break;
    }
    *response.add_contacts() = *row;
  }
  return response;
}

// ---- requesters

absl::Status Validate(const account::v1::ResolveRequesterRequest& request) {
  Violations violations;
  const int given = (request.address().empty() ? 0 : 1) + (request.has_external_id() ? 1 : 0) +
                    (request.contact_id().empty() ? 0 : 1);
  violations.Require(given == 1, "address",
                     "exactly one of address, external_id and contact_id must be given");
  if (!request.address().empty()) {
    const absl::StatusOr<address::Address> parsed = address::Parse(request.address());
    violations.Require(parsed.ok(), "address", std::string(parsed.status().message()));
  }
  if (request.has_external_id()) CheckExternalId(violations, "external_id", request.external_id());
  violations.Id("contact_id", request.contact_id(), true);
  violations.Id("ticket_id", request.ticket_id(), true);
  return violations.status();
}

absl::StatusOr<Decision> ResolveRequester(const account::v1::ResolveRequesterRequest& request,
                                          const Call& call) {
  Work work(call.policies, call.in, call.view);
  absl::Status status = work.LoadPolicy();
  if (!status.ok()) return status;
  std::string address, deliverable;
  if (!request.address().empty()) {
    absl::StatusOr<address::Address> parsed = address::Parse(request.address());
    if (!parsed.ok()) return parsed.status();
    address = std::move(parsed->canonical);
    deliverable = std::move(parsed->deliverable);
  }
  // A contact that does not exist is remembered under its id, for a person to look at.
  type::v1::ExternalId name = request.external_id();
  if (!request.contact_id().empty()) {
    name.set_system("contact");
    name.set_id(request.contact_id());
  }

  Match match;
  if (!request.contact_id().empty()) {
    match = {Match::Kind::kContact, request.contact_id(), {}};
  } else if (request.has_external_id()) {
    auto named = work.drafts.Open(Names(), NameKey("contact", name));
    if (!named.ok()) return named.status();
    if ((*named)->exists()) match = {Match::Kind::kContact, (**named)->id(), {}};
  } else {
    auto known = work.drafts.Open(Addresses(), AddressKey(address));
    if (!known.ok()) return known.status();
    const std::string domain = DomainOf(address);
    const records::DomainRecord* domain_record = nullptr;
    if ((**known)->contact_ids().empty() && !domain.empty()) {
      auto draft = work.drafts.Open(Domains(), domain);
      if (!draft.ok()) return draft.status();
      if ((*draft)->exists()) domain_record = &***draft;
    }
    match = FindRequester(address, &***known, domain_record, work.policy());
  }

  if (match.kind == Match::Kind::kContact) {
    auto contact = work.drafts.Open(Contacts(), match.id);
    if (!contact.ok()) return contact.status();
    if ((*contact)->exists()) {
      auto response = Describe(work, ***contact);
      if (!response.ok()) return response.status();
      if (request.lookup_only()) {
        work.decision.ReplyForNow(*std::move(response));
      } else {
        work.decision.Reply(*std::move(response));
      }
      return work.Finish();
    }
  }
  if (request.lookup_only()) {
    if (!request.contact_id().empty()) return corridor::NotFound("contact", request.contact_id());
    work.decision.ReplyForNow(account::v1::ResolveRequesterResponse());
    return work.Finish();
  }
  if (match.kind == Match::Kind::kNewContact) {
    const Contact contact =
        NewMember(call.in.ids->Next("con"), match.id, deliverable, {}, call.in.now);
    status = PutContact(work, contact);
    if (!status.ok()) return status;
    status = SettleForContact(work, call.in, {}, contact);
    if (!status.ok()) return status;
    auto response = Describe(work, contact);
    if (!response.ok()) return response.status();
    work.decision.Reply(*std::move(response));
    return work.Finish();
  }

  // Nobody, or several: one entry an address or name, however often it is asked for.
  std::string requester_id;
  const bool by_address = !address.empty();
  auto by_name = work.drafts.Open(Names(), NameKey("requester", name));
  if (!by_name.ok()) return by_name.status();
  auto known = work.drafts.Open(Addresses(), AddressKey(address));
  if (!known.ok()) return known.status();
  requester_id = by_address ? (**known)->requester_id() : (**by_name)->id();
  const bool is_new = requester_id.empty();
  if (is_new) {
    requester_id = call.in.ids->Next("req");
    if (by_address) {
      (*known)->Change().set_requester_id(requester_id);
    } else {
      (*by_name)->Change().set_id(requester_id);
    }
  }
  auto requester = work.drafts.Open(Requesters(), requester_id);
  if (!requester.ok()) return requester.status();
  records::RequesterRecord& record = (*requester)->Change();
  account::v1::UnresolvedRequester& entry = *record.mutable_entry();
  if (is_new) {
    entry.set_requester_id(requester_id);
    entry.set_address(deliverable);
    if (!by_address) *entry.mutable_external_id() = name;
    record.set_first_seen_us(time::ToMicros(call.in.now));
    *entry.mutable_first_seen_at() = time::Stamp(call.in.now);
  }
  entry.clear_candidate_ids();
  for (const std::string& candidate : match.candidates) entry.add_candidate_ids(candidate);
  if (!request.ticket_id().empty() && entry.ticket_ids_size() < kMaxTicketsOfARequester &&
      std::find(entry.ticket_ids().begin(), entry.ticket_ids().end(), request.ticket_id()) ==
          entry.ticket_ids().end()) {
    entry.add_ticket_ids(request.ticket_id());
  }
  account::v1::ResolveRequesterResponse response;
  response.set_requester_id(requester_id);
  work.decision.Reply(std::move(response));
  return work.Finish();
}

absl::Status Validate(const account::v1::AssignRequesterRequest& request) {
  Violations violations;
  violations.Id("requester_id", request.requester_id());
  violations.Require(request.contact_id().empty() != request.account_id().empty(), "contact_id",
                     "exactly one of contact_id and account_id must be given");
  violations.Id("contact_id", request.contact_id(), true);
  violations.Id("account_id", request.account_id(), true);
  violations.Id("staff_id", request.staff_id(), true);
  return violations.status();
}

absl::StatusOr<Decision> AssignRequester(const account::v1::AssignRequesterRequest& request,
                                         const Call& call) {
  Work work(call.policies, call.in, call.view);
  auto requester = work.drafts.Open(Requesters(), request.requester_id());
  if (!requester.ok()) return requester.status();
  if (!(*requester)->exists()) return corridor::NotFound("requester", request.requester_id());
  if (!(**requester)->contact_id().empty()) {
    return corridor::FailedPrecondition("REQUESTER_SETTLED", "the requester is settled already");
  }
  auto staff = FindStaff(work, call.in, {request.staff_id()});
  if (!staff.ok()) return staff.status();
  if (staff->is_asking) return std::move(work.decision);
  for (const records::StaffRecord& one : staff->staff) {
    absl::Status active = CheckActive(one, request.staff_id());
    if (!active.ok()) return active;
  }
  const account::v1::UnresolvedRequester entry = (**requester)->entry();
  // A contact id that did not exist is a name of ours, not of another system.
  const bool is_named =
      !entry.external_id().id().empty() && entry.external_id().system() != "contact";
  Contact before, contact;
  if (!request.contact_id().empty()) {
    auto draft = work.drafts.Open(Contacts(), request.contact_id());
    if (!draft.ok()) return draft.status();
    if (!(*draft)->exists()) return corridor::NotFound("contact", request.contact_id());
    before = contact = ***draft;
    const std::string canonical = CanonicalAddress(entry.address());
    const bool has_address =
        std::any_of(contact.addresses().begin(), contact.addresses().end(),
                    [&](const std::string& one) { return CanonicalAddress(one) == canonical; });
    if (!entry.address().empty() && !has_address &&
        static_cast<size_t>(contact.addresses_size()) < kMaxAddresses) {
      contact.add_addresses(entry.address());
    }
    if (is_named && static_cast<size_t>(contact.external_ids_size()) < kMaxExternalIds) {
      *contact.add_external_ids() = entry.external_id();
    }
    contact.set_version(contact.version() + 1);
    *contact.mutable_updated_at() = time::Stamp(call.in.now);
  } else {
    auto account = work.drafts.Open(Accounts(), request.account_id());
    if (!account.ok()) return account.status();
    if (!(*account)->exists()) return corridor::NotFound("account", request.account_id());
    contact = NewMember(call.in.ids->Next("con"), request.account_id(), entry.address(),
                        is_named ? entry.external_id() : type::v1::ExternalId(), call.in.now);
  }
  absl::Status status = PutContact(work, contact);
  if (!status.ok()) return status;
  status = SettleRequester(work, call.in, request.requester_id(), contact, request.staff_id());
  if (!status.ok()) return status;
  status = SettleForContact(work, call.in, before, contact);
  if (!status.ok()) return status;

  account::v1::AssignRequesterResponse response;
  response.set_contact_id(contact.contact_id());
  response.set_account_id(contact.account_id());
  *response.mutable_ticket_ids() = entry.ticket_ids();
  work.decision.Reply(std::move(response));
  return work.Finish();
}

absl::Status Validate(const account::v1::ListUnresolvedRequestersRequest& request) {
  Violations violations;
  violations.PageSize(request.page_size(), kLargestPage);
  return violations.status();
}

absl::StatusOr<account::v1::ListUnresolvedRequestersResponse> ListUnresolvedRequesters(
    const account::v1::ListUnresolvedRequestersRequest& request, const Call& call) {
  auto parts = ReadPosition(request.page_token(), 2);
  if (!parts.ok()) return parts.status();
  auto after_us = ReadNumber((*parts)[0], INT64_MIN);
  if (!after_us.ok()) return after_us.status();
  const int64_t size = PageOf(request.page_size());
  auto rows = SelectOpenRequesters(call.view, *after_us, (*parts)[1], size + 1);
  if (!rows.ok()) return rows.status();
  account::v1::ListUnresolvedRequestersResponse response;
  for (size_t i = 0; i < rows->size(); ++i) {
    if (response.requesters_size() == size) {
      response.set_next_page_token(
          WritePosition({absl::StrCat((*rows)[i - 1]->first_seen_us()), (*rows)[i - 1].key}));
      break;
    }
    *response.add_requesters() = (*rows)[i]->entry();
  }
  return response;
}

// ---- teams

absl::Status Validate(const account::v1::PutAccountTeamRequest& request) {
  Violations violations;
  violations.Id("account_id", request.account_id());
  violations.Range("version", request.version(), 0, INT64_MAX);
  std::set<int> roles;
  for (int i = 0; i < request.members_size(); ++i) {
    const std::string at = absl::StrCat("members[", i, "]");
    const account::v1::TeamMember& member = request.members(i);
    violations.Require(member.role() != type::v1::STAFF_ROLE_UNSPECIFIED &&
                           type::v1::StaffRole_IsValid(member.role()) &&
                           roles.insert(member.role()).second,
                       absl::StrCat(at, ".role"), "must name a role, each once");
    violations.Id(absl::StrCat(at, ".staff_id"), member.staff_id(), true);
  }
  for (int i = 0; i < request.update_mask().paths_size(); ++i) {
    violations.Require(
        request.update_mask().paths(i) == "*" && request.update_mask().paths_size() == 1,
        absl::StrCat("update_mask.paths[", i, "]"),
        "must be \"*\" alone; without a mask the roles that members name change");
  }
  return violations.status();
}

absl::StatusOr<Decision> PutAccountTeam(const account::v1::PutAccountTeamRequest& request,
                                        const Call& call) {
  Work work(call.policies, call.in, call.view);
  auto account = work.drafts.Open(Accounts(), request.account_id());
  if (!account.ok()) return account.status();
  if (!(*account)->exists()) return corridor::NotFound("account", request.account_id());
  auto draft = work.drafts.Open(Teams(), request.account_id());
  if (!draft.ok()) return draft.status();
  if (request.version() != 0 && request.version() != (**draft)->version()) {
    return corridor::VersionConflict("account team", request.account_id(), request.version(),
                                     (**draft)->version());
  }
  std::vector<std::string> staff_ids;
  for (const account::v1::TeamMember& member : request.members()) {
    if (!member.staff_id().empty()) staff_ids.push_back(member.staff_id());
  }
  auto staff = FindStaff(work, call.in, staff_ids);
  if (!staff.ok()) return staff.status();
  if (staff->is_asking) return std::move(work.decision);
  for (size_t i = 0; i < staff_ids.size(); ++i) {
    absl::Status active = CheckActive(staff->staff[i], staff_ids[i]);
    if (!active.ok()) return active;
  }
  std::map<int, std::string> places;
  if (request.update_mask().paths().empty()) {
    for (const account::v1::TeamMember& member : (**draft)->members()) {
      places[member.role()] = member.staff_id();
    }
  }
  for (const account::v1::TeamMember& member : request.members()) {
    places[member.role()] = member.staff_id();
  }
  records::TeamRecord& team = (*draft)->Change();
  team.set_account_id(request.account_id());
  team.set_version(team.version() + 1);
  team.clear_members();
  for (const auto& [role, staff_id] : places) {
    if (staff_id.empty()) continue;
    account::v1::TeamMember& member = *team.add_members();
    member.set_role(static_cast<type::v1::StaffRole>(role));
    member.set_staff_id(staff_id);
  }
  absl::StatusOr<absl::Time> at = work.CommitInstant(request.account_id());
  if (!at.ok()) return at.status();
  events::v1::AccountTeamChanged event;
  event.set_account_id(request.account_id());
  *event.mutable_occurred_at() = time::Stamp(*at);
  event.set_version(team.version());
  absl::Status status =
      work.Tell(request.account_id(), request.account_id(), *at, std::move(event));
  if (!status.ok()) return status;
  account::v1::PutAccountTeamResponse response;
  response.set_version(team.version());
  work.decision.Reply(std::move(response));
  return work.Finish();
}

absl::Status Validate(const account::v1::GetAccountTeamRequest& request) {
  Violations violations;
  violations.Id("account_id", request.account_id());
  return violations.status();
}

absl::StatusOr<account::v1::GetAccountTeamResponse> GetAccountTeam(
    const account::v1::GetAccountTeamRequest& request, const Call& call) {
  Work work(call.policies, call.in, call.view);
  absl::Status status = work.LoadPolicy();
  if (!status.ok()) return status;
  auto account = call.view.Load(Accounts(), request.account_id());
  if (!account.ok()) return account.status();
  if (!*account) return corridor::NotFound("account", request.account_id());
  auto filled = work.Team(request.account_id());
  if (!filled.ok()) return filled.status();
  account::v1::GetAccountTeamResponse response;
  for (const account::v1::Counterpart& place : *filled) *response.add_team() = place;
  auto team = work.drafts.Open(Teams(), request.account_id());
  if (!team.ok()) return team.status();
  response.set_version((**team)->version());
  *response.mutable_policy() = work.PolicyRef();
  return response;
}

absl::Status Validate(const account::v1::ListCounterpartsRequest& request) {
  Violations violations;
  violations.Id("account_id", request.account_id(), true);
  violations.Require(type::v1::ContactLevel_IsValid(request.contact_level()), "contact_level",
                     "is no known value");
  return violations.status();
}

absl::StatusOr<account::v1::ListCounterpartsResponse> ListCounterparts(
    const account::v1::ListCounterpartsRequest& request, const Call& call) {
  Work work(call.policies, call.in, call.view);
  absl::Status status = work.LoadPolicy();
  if (!status.ok()) return status;
  if (!request.account_id().empty()) {
    auto account = call.view.Load(Accounts(), request.account_id());
    if (!account.ok()) return account.status();
    if (!*account) return corridor::NotFound("account", request.account_id());
  }
  auto filled = work.Team(request.account_id());
  if (!filled.ok()) return filled.status();
  account::v1::ListCounterpartsResponse response;
  for (const auto& place : CounterpartsOf(request.contact_level(), *filled, work.policy())) {
    *response.add_counterparts() = place;
  }
  for (const auto& place : *filled) *response.add_team() = place;
  *response.mutable_policy() = work.PolicyRef();
  return response;
}

// ---- journey and timeline

absl::Status Validate(const account::v1::AdvanceJourneyRequest& request) {
  Violations violations;
  violations.Id("account_id", request.account_id());
  violations.Require(request.to_stage() != type::v1::JOURNEY_STAGE_UNSPECIFIED &&
                         type::v1::JourneyStage_IsValid(request.to_stage()),
                     "to_stage", "must name a stage");
  violations.Text("reason", request.reason(), 1024, !request.correction());
  violations.Id("staff_id", request.staff_id(), true);
  violations.Range("version", request.version(), 0, INT64_MAX);
  return violations.status();
}

absl::StatusOr<Decision> AdvanceJourney(const account::v1::AdvanceJourneyRequest& request,
                                        const Call& call) {
  Work work(call.policies, call.in, call.view);
  auto draft = work.drafts.Open(Accounts(), request.account_id());
  if (!draft.ok()) return draft.status();
  if (!(*draft)->exists()) return corridor::NotFound("account", request.account_id());
  const Account before = (**draft)->account();
  if (request.version() != 0 && request.version() != before.version()) {
    return corridor::VersionConflict("account", request.account_id(), request.version(),
                                     before.version());
  }
  auto staff = FindStaff(work, call.in, {request.staff_id()});
  if (!staff.ok()) return staff.status();
  if (staff->is_asking) return std::move(work.decision);
  for (const records::StaffRecord& one : staff->staff) {
    absl::Status active = CheckActive(one, request.staff_id());
    if (!active.ok()) return active;
  }
  if (before.stage() == request.to_stage()) {
    return corridor::FailedPrecondition("STAGE_IS_THIS", "the account is in that stage already");
  }
  if (!request.correction() && !IsMove(before.stage(), request.to_stage())) {
    return corridor::FailedPrecondition(
        "NO_SUCH_MOVE",
        absl::StrCat("the journey has no move from ", type::v1::JourneyStage_Name(before.stage()),
                     " to ", type::v1::JourneyStage_Name(request.to_stage()),
                     "; a correction may make it, with a reason"));
  }
  absl::StatusOr<absl::Time> commit = work.CommitInstant(request.account_id());
  if (!commit.ok()) return commit.status();
  const absl::Time at = std::max(*commit, EnteredAt(***draft));
  records::AccountRecord& record = (*draft)->Change();
  EnterStage(record, request.to_stage(), at, request.correction(), request.reason(),
             request.staff_id());
  record.mutable_account()->set_version(before.version() + 1);
  *record.mutable_account()->mutable_updated_at() = time::Stamp(at);

  events::v1::JourneyAdvanced event;
  event.set_account_id(request.account_id());
  *event.mutable_occurred_at() = time::Stamp(at);
  event.set_from_stage(before.stage());
  event.set_to_stage(request.to_stage());
  event.set_correction(request.correction());
  absl::Status status = work.Tell(request.account_id(), request.account_id(), at, std::move(event));
  if (!status.ok()) return status;
  status = work.ChangeHealth(request.account_id(),
                             {std::string(call.in.cause), "JourneyAdvanced", "", at},
                             [&](records::HealthRecord& health) {
                               health.set_stage(request.to_stage());
                               health.set_segment(before.segment());
                             });
  if (!status.ok()) return status;
  account::v1::AdvanceJourneyResponse response;
  response.set_version(before.version() + 1);
  response.set_from_stage(before.stage());
  *response.mutable_entered_at() = time::Stamp(at);
  work.decision.Reply(std::move(response));
  return work.Finish();
}

absl::Status Validate(const account::v1::GetTimelineRequest& request) {
  Violations violations;
  violations.Id("account_id", request.account_id());
  violations.Require(account::v1::TimelineOrder_IsValid(request.order()), "order",
                     "is no known value");
  violations.PageSize(request.page_size(), kLargestPage);
  return violations.status();
}

absl::StatusOr<account::v1::GetTimelineResponse> GetTimeline(
    const account::v1::GetTimelineRequest& request, const Call& call) {
  const bool is_oldest_first = request.order() == account::v1::TIMELINE_ORDER_OLDEST_FIRST;
  auto parts = ReadPosition(request.page_token(), 1);
  if (!parts.ok()) return parts.status();
  auto position = ReadNumber((*parts)[0], is_oldest_first ? 0 : INT64_MAX);
  if (!position.ok()) return position.status();
  auto account = call.view.Load(Accounts(), request.account_id());
  if (!account.ok()) return account.status();
  if (!*account) return corridor::NotFound("account", request.account_id());
  const int64_t size = PageOf(request.page_size());
  auto rows = is_oldest_first
                  ? SelectEntriesAfter(call.view, request.account_id(), *position, size + 1)
                  : SelectEntriesBefore(call.view, request.account_id(), *position, size + 1);
  if (!rows.ok()) return rows.status();
  account::v1::GetTimelineResponse response;
  for (const auto& row : *rows) {
    if (response.entries_size() == size) {
      response.set_next_page_token(
          WritePosition({absl::StrCat(response.entries(response.entries_size() - 1).sequence())}));
      break;
    }
    account::v1::TimelineEntry& entry = *response.add_entries();
    entry.set_sequence(row->sequence());
    *entry.mutable_occurred_at() = time::StampOfMicros(row->occurred_us());
    entry.set_source(row->source());
    entry.set_type(row->type());
    entry.set_subject_id(row->subject_id());
    entry.set_event_id(row->event_id());
    entry.set_cause_id(row->cause_id());
  }
  return response;
}

}  // namespace tandem::account_health
