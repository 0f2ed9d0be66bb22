#include "services/account_health/contacts.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/corridor/errors.h"
#include "common/plant/plant.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "services/account_health/records.h"
#include "services/account_health/requesters.h"
#include "services/account_health/topics.h"
#include "tandem/events/v1/account.pb.h"

namespace tandem::account_health {
namespace {

using account::v1::Account;
using account::v1::Contact;
using google::protobuf::RepeatedPtrField;

// Entries that one commit settles, contacts that one commit indexes anew.
constexpr int64_t kSettlePage = 20;
constexpr int64_t kIndexPage = 100;
// The column of rows that were stored before it was there.
constexpr char kNotSaid[] = "?";

void AddId(RepeatedPtrField<std::string>* ids, const std::string& id) {
  const auto place = std::lower_bound(ids->begin(), ids->end(), id);
  if (place != ids->end() && *place == id) return;
  const int index = static_cast<int>(place - ids->begin());
  *ids->Add() = id;
  for (int i = ids->size() - 1; i > index; --i) ids->SwapElements(i, i - 1);
}

void DropId(RepeatedPtrField<std::string>* ids, const std::string& id) {
  const auto place = std::find(ids->begin(), ids->end(), id);
  if (place != ids->end()) ids->erase(place);
}

absl::Status TellContact(Work& work, const Contact& contact);

// A contact shares an address with another one now, or lost it to that: who remembers whose address
// it is must ask again.
absl::Status TellOthers(Work& work, const std::vector<std::string>& others,
                        const std::string& contact_id) {
  for (const std::string& other : others) {
    if (other == contact_id) continue;
    auto contact = work.drafts.Open(Contacts(), other);
    if (!contact.ok()) return contact.status();
    if (!(*contact)->exists()) continue;
    absl::Status told = TellContact(work, ***contact);
    if (!told.ok()) return told;
  }
  return absl::OkStatus();
}

absl::Status AddAddress(Work& work, const std::string& key, const std::string& contact_id) {
  auto draft = work.drafts.Open(Addresses(), key);
  if (!draft.ok()) return draft.status();
  const std::vector<std::string> before((**draft)->contact_ids().begin(),
                                        (**draft)->contact_ids().end());
  if (std::find(before.begin(), before.end(), contact_id) != before.end()) return absl::OkStatus();
  AddId((*draft)->Change().mutable_contact_ids(), contact_id);
  return TellOthers(work, before, contact_id);
}

absl::Status DropAddress(Work& work, const std::string& key, const std::string& contact_id) {
  auto draft = work.drafts.Open(Addresses(), key);
  if (!draft.ok()) return draft.status();
  DropId((*draft)->Change().mutable_contact_ids(), contact_id);
  if ((**draft)->contact_ids().empty() && (**draft)->requester_id().empty()) (*draft)->Erase();
  return absl::OkStatus();
}

absl::Status PutAddresses(Work& work, const Contact& before, const Contact& after) {
  std::set<std::string> kept;
  for (const std::string& address : after.addresses()) {
    const std::string key = AddressKey(CanonicalAddress(address));
    kept.insert(key);
    absl::Status status = AddAddress(work, key, after.contact_id());
    if (!status.ok()) return status;
  }
  for (const std::string& address : before.addresses()) {
    // It may still stand under the form that it was compared by when it was stored.
    for (const std::string& form : {CanonicalAddress(address), NormalAddress(address)}) {
      const std::string key = AddressKey(form);
      if (!kept.insert(key).second) continue;
      absl::Status status = DropAddress(work, key, after.contact_id());
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

TopicSet OptedOut(const Contact& contact) {
  TopicSet topics = 0;
  for (const int topic : contact.opted_out()) {
    topics |= SetOf(static_cast<type::v1::OutreachTopic>(topic));
  }
  return topics;
}

absl::Status TellContact(Work& work, const Contact& contact) {
  absl::StatusOr<absl::Time> at = work.CommitInstant(contact.account_id());
  if (!at.ok()) return at.status();
  events::v1::ContactChanged event;
  event.set_account_id(contact.account_id());
  event.set_contact_id(contact.contact_id());
  *event.mutable_occurred_at() = time::Stamp(*at);
  event.set_version(contact.version());
  event.set_level(contact.level());
  *event.mutable_opted_out() = contact.opted_out();
  return work.Tell(contact.account_id(), contact.contact_id(), *at, std::move(event));
}

// Whether the entry waits because a contact of that id did not exist, rather than for a name.
bool IsByContactId(const account::v1::UnresolvedRequester& entry) {
  return entry.address().empty() && entry.external_id().system() == "contact";
}

// Settles the entry if what is stored by now says who it is: a contact that has the address, or the
// one account of its mail domain.
absl::Status Rematch(Work& work, const corridor::Inputs& in, const std::string& requester_id) {
  absl::Status status = work.LoadPolicy();
  if (!status.ok()) return status;
  auto requester = work.drafts.Open(Requesters(), requester_id);
  if (!requester.ok()) return requester.status();
  if (!(*requester)->exists() || !(**requester)->contact_id().empty()) return absl::OkStatus();
  const account::v1::UnresolvedRequester entry = (**requester)->entry();
  const std::string canonical = CanonicalAddress(entry.address());
  auto address = work.drafts.Open(Addresses(), AddressKey(canonical));
  if (!address.ok()) return address.status();
  const std::string domain = DomainOf(canonical);
  records::DomainRecord owners;
  if (!domain.empty()) {
    auto draft = work.drafts.Open(Domains(), domain);
    if (!draft.ok()) return draft.status();
    owners = ***draft;
  }
  const Match match = FindRequester(
      canonical, &***address, owners.account_ids().empty() ? nullptr : &owners, work.policy());
  if (match.kind == Match::Kind::kContact) {
    auto contact = work.drafts.Open(Contacts(), match.id);
    if (!contact.ok()) return contact.status();
    if (!(*contact)->exists()) return absl::OkStatus();
    return SettleRequester(work, in, requester_id, ***contact, "");
  }
  if (match.kind == Match::Kind::kNewContact) {
    const Contact contact = NewMember(in.ids->Next("con"), match.id, entry.address(), {}, in.now);
    status = PutContact(work, contact);
    if (!status.ok()) return status;
    return SettleRequester(work, in, requester_id, contact, "");
  }
  return absl::OkStatus();
}

absl::Status SettleNamed(Work& work, const corridor::Inputs& in, const type::v1::ExternalId& name,
                         const Contact& contact) {
  auto by_name = work.drafts.Open(Names(), NameKey("requester", name));
  if (!by_name.ok()) return by_name.status();
  if (!(*by_name)->exists()) return absl::OkStatus();
  const std::string requester_id = (**by_name)->id();
  auto requester = work.drafts.Open(Requesters(), requester_id);
  if (!requester.ok()) return requester.status();
  if (!(*requester)->exists() || !(**requester)->contact_id().empty()) return absl::OkStatus();
  return SettleRequester(work, in, requester_id, contact, "");
}

}  // namespace

absl::Status PutNames(Work& work, std::string_view kind, const std::string& id,
                      const RepeatedPtrField<type::v1::ExternalId>& before,
                      const RepeatedPtrField<type::v1::ExternalId>& after) {
  std::set<std::string> kept;
  for (const type::v1::ExternalId& name : after) {
    const std::string key = NameKey(kind, name);
    kept.insert(key);
    auto draft = work.drafts.Open(Names(), key);
    if (!draft.ok()) return draft.status();
    if ((*draft)->exists() && (**draft)->id() != id) {
      return corridor::WithReason(absl::AlreadyExistsError(absl::StrCat(
                                      "an external id of system ", name.system(), " belongs to ",
                                      std::string(kind), " ", (**draft)->id())),
                                  "EXTERNAL_ID_TAKEN");
    }
    if (!(*draft)->exists()) (*draft)->Change().set_id(id);
  }
  for (const type::v1::ExternalId& name : before) {
    const std::string key = NameKey(kind, name);
    if (kept.contains(key)) continue;
    auto draft = work.drafts.Open(Names(), key);
    if (!draft.ok()) return draft.status();
    if ((**draft)->id() == id) (*draft)->Erase();
  }
  return absl::OkStatus();
}

absl::Status PutContact(Work& work, const Contact& after, std::string_view cause_event_id) {
  auto draft = work.drafts.Open(Contacts(), after.contact_id());
  if (!draft.ok()) return draft.status();
  const bool is_new = !(*draft)->exists();
  const Contact before = ***draft;
  (*draft)->Change() = after;
  absl::Status status =
      PutNames(work, "contact", after.contact_id(), before.external_ids(), after.external_ids());
  if (!status.ok()) return status;
  status = PutAddresses(work, before, after);
  if (!status.ok()) return status;
  status = TellContact(work, after);
  if (!status.ok()) return status;
  return work.OptOut(after.account_id(), after.contact_id(), OptedOut(after) & ~OptedOut(before),
                     is_new ? "contact_added" : "opt_out", cause_event_id);
}

Contact NewMember(std::string contact_id, const std::string& account_id, const std::string& address,
                  const type::v1::ExternalId& name, absl::Time now) {
  Contact contact;
  contact.set_contact_id(std::move(contact_id));
  contact.set_account_id(account_id);
  contact.set_version(1);
  contact.set_level(type::v1::CONTACT_LEVEL_MEMBER);
  if (!address.empty()) contact.add_addresses(address);
  if (!name.id().empty()) *contact.add_external_ids() = name;
  *contact.mutable_updated_at() = time::Stamp(now);
  return contact;
}

absl::Status SettleRequester(Work& work, const corridor::Inputs& in,
                             const std::string& requester_id, const Contact& contact,
                             const std::string& staff_id) {
  auto requester = work.drafts.Open(Requesters(), requester_id);
  if (!requester.ok()) return requester.status();
  const account::v1::UnresolvedRequester entry = (**requester)->entry();
  if (!entry.address().empty()) {
    for (const std::string& form :
         {CanonicalAddress(entry.address()), NormalAddress(entry.address())}) {
      auto address = work.drafts.Open(Addresses(), AddressKey(form));
      if (!address.ok()) return address.status();
      if ((**address)->requester_id() != requester_id) continue;
      const std::vector<std::string> others((**address)->contact_ids().begin(),
                                            (**address)->contact_ids().end());
      records::AddressRecord& record = (*address)->Change();
      record.clear_contact_ids();
      record.clear_requester_id();
      absl::Status told = TellOthers(work, others, contact.contact_id());
      if (!told.ok()) return told;
    }
    absl::Status status =
        AddAddress(work, AddressKey(CanonicalAddress(entry.address())), contact.contact_id());
    if (!status.ok()) return status;
  } else {
    auto by_name = work.drafts.Open(Names(), NameKey("requester", entry.external_id()));
    if (!by_name.ok()) return by_name.status();
    (*by_name)->Erase();
    if (!IsByContactId(entry)) {
      auto name = work.drafts.Open(Names(), NameKey("contact", entry.external_id()));
      if (!name.ok()) return name.status();
      (*name)->Change().set_id(contact.contact_id());
    }
  }
  records::RequesterRecord& record = (*requester)->Change();
  record.set_contact_id(contact.contact_id());
  record.set_account_id(contact.account_id());
  record.set_settled_us(time::ToMicros(in.now));
  record.set_staff_id(staff_id);

  auto account = work.drafts.Open(Accounts(), contact.account_id());
  if (!account.ok()) return account.status();
  absl::StatusOr<absl::Time> at = work.CommitInstant(contact.account_id());
  if (!at.ok()) return at.status();
  events::v1::RequesterAssigned event;
  event.set_account_id(contact.account_id());
  event.set_contact_id(contact.contact_id());
  *event.mutable_occurred_at() = time::Stamp(*at);
  event.set_requester_id(requester_id);
  event.set_contact_level(contact.level());
  event.set_segment((**account)->account().segment());
  event.set_stage((**account)->account().stage());
  *event.mutable_ticket_ids() = entry.ticket_ids();
  absl::Status status = work.Tell(contact.account_id(), requester_id, *at, std::move(event));
  if (!status.ok()) return status;
  // Its tickets are about to become this account's: whoever asked intake before must ask again.
  return work.RaiseHoldVersion(contact.account_id());
}

absl::Status SettleForContact(Work& work, const corridor::Inputs& in, const Contact& before,
                              const Contact& after) {
  if (plant::Has(plant::Mistake::kUnsettled)) return absl::OkStatus();
  std::set<std::string> forms;
  for (const Contact* side : {&before, &after}) {
    for (const std::string& address : side->addresses()) {
      forms.insert(CanonicalAddress(address));
      forms.insert(NormalAddress(address));
    }
  }
  for (const std::string& form : forms) {
    auto address = work.drafts.Open(Addresses(), AddressKey(form));
    if (!address.ok()) return address.status();
    const std::string requester_id = (**address)->requester_id();
    if (requester_id.empty()) continue;
    absl::Status status = Rematch(work, in, requester_id);
    if (!status.ok()) return status;
  }
  type::v1::ExternalId own;
  own.set_system("contact");
  own.set_id(after.contact_id());
  absl::Status status = SettleNamed(work, in, own, after);
  for (int i = 0; status.ok() && i < after.external_ids_size(); ++i) {
    status = SettleNamed(work, in, after.external_ids(i), after);
  }
  return status;
}

absl::Status PutDomains(Work& work, const corridor::Inputs& in, const Account& before,
                        const Account& after) {
  const std::set<std::string> had(before.domains().begin(), before.domains().end());
  const std::set<std::string> has(after.domains().begin(), after.domains().end());
  for (const std::string& domain : has) {
    if (had.contains(domain)) continue;
    auto draft = work.drafts.Open(Domains(), domain);
    if (!draft.ok()) return draft.status();
    AddId((*draft)->Change().mutable_account_ids(), after.account_id());
  }
  for (const std::string& domain : had) {
    if (has.contains(domain)) continue;
    auto draft = work.drafts.Open(Domains(), domain);
    if (!draft.ok()) return draft.status();
    DropId((*draft)->Change().mutable_account_ids(), after.account_id());
    if ((**draft)->account_ids().empty()) (*draft)->Erase();
  }
  // Whoever wrote from a domain that is one account's now, be it that the other one gave it up.
  for (const auto* side : {&had, &has}) {
    for (const std::string& domain : *side) {
      if (had.contains(domain) == has.contains(domain)) continue;
      records::DomainSettling page;
      page.set_domain(domain);
      page.set_column(domain);
      absl::Status status = SettleDomain(work, in, page);
      if (!status.ok()) return status;
      page.set_column(kNotSaid);
      status = SettleDomain(work, in, page);
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

absl::Status SettleDomain(Work& work, const corridor::Inputs& in,
                          const records::DomainSettling& page) {
  auto owners = work.drafts.Open(Domains(), page.domain());
  if (!owners.ok()) return owners.status();
  absl::Status status = work.LoadPolicy();
  if (!status.ok()) return status;
  if ((**owners)->account_ids_size() != 1 || IsPublicMail(page.domain(), work.policy())) {
    return absl::OkStatus();
  }
  auto open =
      SelectOpenByDomain(work.drafts.view(), page.column(), page.after_requester_id(), kSettlePage);
  if (!open.ok()) return open.status();
  for (const auto& row : *open) {
    if (DomainOf(CanonicalAddress(row->entry().address())) != page.domain()) continue;
    status = Rematch(work, in, row.key);
    if (!status.ok()) return status;
  }
  if (static_cast<int64_t>(open->size()) == kSettlePage) {
    records::DomainSettling next = page;
    next.set_after_requester_id(open->back().key);
    const std::string timer = absl::StrCat("settle_domain:", page.column(), ":", page.domain());
    work.decision.SetTimer(timer, in.now, "settle_domain", (**owners)->account_ids(0),
                           std::move(next));
  }
  return absl::OkStatus();
}

absl::Status IndexAddresses(Work& work, const corridor::Inputs& in,
                            const records::AddressIndexing& page) {
  records::AddressIndexing next = page;
  bool is_full = false;
  const auto differs = [](const std::string& address) {
    return CanonicalAddress(address) != NormalAddress(address);
  };
  if (!page.contacts_done()) {
    auto contacts = SelectAllContacts(work.drafts.view(), page.after(), kIndexPage);
    if (!contacts.ok()) return contacts.status();
    for (const auto& contact : *contacts) {
      for (const std::string& address : contact->addresses()) {
        if (!differs(address)) continue;
        absl::Status status = DropAddress(work, AddressKey(NormalAddress(address)), contact.key);
        if (status.ok()) {
          status = AddAddress(work, AddressKey(CanonicalAddress(address)), contact.key);
        }
        if (!status.ok()) return status;
      }
    }
    is_full = static_cast<int64_t>(contacts->size()) == kIndexPage;
    next.set_after(is_full ? contacts->back().key : "");
    next.set_contacts_done(!is_full);
    is_full = true;  // the entries come next
  } else {
    auto open = SelectOpenByDomain(work.drafts.view(), kNotSaid, page.after(), kSettlePage);
    if (!open.ok()) return open.status();
    for (const auto& row : *open) {
      const std::string& address = row->entry().address();
      if (!address.empty() && differs(address)) {
        auto now = work.drafts.Open(Addresses(), AddressKey(CanonicalAddress(address)));
        if (!now.ok()) return now.status();
        // A second entry of the same person waits for whoever settles by hand.
        if ((**now)->requester_id().empty()) {
          auto was = work.drafts.Open(Addresses(), AddressKey(NormalAddress(address)));
          if (!was.ok()) return was.status();
          (*was)->Change().clear_requester_id();
          if ((**was)->contact_ids().empty()) (*was)->Erase();
          (*now)->Change().set_requester_id(row.key);
        }
      }
      absl::Status status = address.empty() ? absl::OkStatus() : Rematch(work, in, row.key);
      if (!status.ok()) return status;
    }
    is_full = static_cast<int64_t>(open->size()) == kSettlePage;
    if (is_full) next.set_after(open->back().key);
  }
  if (is_full) {
    work.decision.SetTimer("index_addresses", in.now, "index_addresses", "index_addresses",
                           std::move(next));
  }
  return absl::OkStatus();
}

}  // namespace tandem::account_health
