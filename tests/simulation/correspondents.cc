#include "tests/simulation/correspondents.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/id/id.h"
#include "common/time/micros.h"
#include "services/account_health/records.pb.h"
#include "services/ticket_intake/records.pb.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/events/v1/account.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tests/simulation/world.h"

namespace tandem::simulation {
namespace {

namespace ac = account::v1;
namespace ev = events::v1;
namespace in = intake::v1;
namespace ty = type::v1;

// The shipped policy's requester_valid_for, and what clocks may differ.
constexpr absl::Duration kRemembered = absl::Seconds(610);

// The actors' calls of that kind, by the cause that their commits name.
template <typename Request>
absl::flat_hash_map<std::string, const CallRecord*> CallsOf(const Ledger& ledger) {
  absl::flat_hash_map<std::string, const CallRecord*> calls;
  for (const CallRecord& call : ledger.calls()) {
    if (call.request->GetDescriptor() != Request::descriptor()) continue;
    calls[id::Derive("rq", {"actor", call.method, call.request_id})] = &call;
  }
  return calls;
}

// Whose address was whose.
class AddressBook {
 public:
  // As long as the same contacts had it. Several of them, or none, find nobody.
  struct Span {
    std::set<std::string> contacts;
    absl::Time from;
    absl::Time to = absl::InfiniteFuture();
    // When ticket_intake had heard of its end: what it was told before counts no longer.
    absl::Time heard_at = absl::InfiniteFuture();
  };

  explicit AddressBook(World& world) : world_(world) {
    ReadStored();
    for (const bus::RecordPtr& record : world.ledger().published) {
      if (record->event.source == world.watch().NameOf(kAccount)) {
        records_[record->event.id] = record.get();
      }
    }
    const auto puts = CallsOf<ac::PutContactRequest>(world.ledger());
    for (const CommittedEvent& event : world.ledger().committed) {
      if (event.service != kAccount) continue;
      if (!commit_.empty() && (commit_.front()->cause != event.cause ||
                               commit_.front()->committed_at != event.committed_at)) {
        EndCommit();
      }
      if (IsA<ev::ContactChanged>(event)) {
        Changed(event, puts);
      } else if (IsA<ev::RequesterAssigned>(event)) {
        const auto assigned = BodyAs<ev::RequesterAssigned>(event);
        const auto entry = entries_.find(assigned.requester_id());
        if (entry != entries_.end() && !entry->second.empty()) {
          now_[entry->second] = {assigned.contact_id()};
        }
        commit_.push_back(&event);
      }
    }
    EndCommit();
  }

  // By whatever of these ticket_intake may have gone in a decision that was asked for and committed
  // then; never none.
  std::vector<Span> Between(const std::string& address, absl::Time asked_at,
                            absl::Time decided_at) const {
    std::vector<Span> spans;
    const auto found = spans_.find(address);
    if (found == spans_.end() || found->second.front().from > asked_at) spans.emplace_back();
    if (found == spans_.end()) return spans;
    for (const Span& span : found->second) {
      const bool is_remembered = span.contacts.size() == 1 && span.heard_at >= decided_at &&
                                 decided_at < span.to + kRemembered;
      if (span.from <= decided_at && (span.to >= asked_at || is_remembered)) spans.push_back(span);
    }
    return spans;
  }
  // Whether it was ever that contact's alone before then.
  bool WasOf(const std::string& address, const std::string& contact, absl::Time before) const {
    const auto found = spans_.find(address);
    return found != spans_.end() &&
           std::any_of(found->second.begin(), found->second.end(), [&](const Span& span) {
             return span.from <= before && span.contacts == std::set<std::string>{contact};
           });
  }
  std::set<std::string> OwnersOf(const std::string& address) const {
    const auto found = spans_.find(address);
    return found == spans_.end() ? std::set<std::string>() : found->second.back().contacts;
  }
  std::string AccountOf(const std::string& contact) const {
    const auto found = accounts_.find(contact);
    return found == accounts_.end() ? "" : found->second;
  }

 private:
  // What nobody outside is told: the address of a contact that account_health made itself, and of
  // an entry of the unresolved list.
  void ReadStored() {
    const auto read = [this](const std::string& table, auto visit) {
      const absl::Status status =
          world_.reader(kAccount).Query({absl::StrCat("SELECT key, body FROM ", table), {}}, visit);
      if (!status.ok()) world_.ledger().Fail(std::string(status.message()));
    };
    read("contacts", [this](const store::RowView& row) {
      ac::Contact contact;
      const std::string_view bytes = row.Text(1);
      contact.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
      stored_[std::string(row.Text(0))] = {contact.addresses().begin(), contact.addresses().end()};
    });
    read("requesters", [this](const store::RowView& row) {
      account_health::records::RequesterRecord requester;
      const std::string_view bytes = row.Text(1);
      requester.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
      entries_[std::string(row.Text(0))] = requester.entry().address();
    });
  }

  void Changed(const CommittedEvent& event,
               const absl::flat_hash_map<std::string, const CallRecord*>& puts) {
    const auto changed = BodyAs<ev::ContactChanged>(event);
    const std::string& contact = changed.contact_id();
    const bool is_new = accounts_.insert_or_assign(contact, changed.account_id()).second;
    commit_.push_back(&event);
    const auto put = puts.find(event.cause);
    if (put != puts.end()) {
      const auto& request = static_cast<const ac::PutContactRequest&>(*put->second->request);
      // Without a mask what is absent stays.
      const bool keeps =
          request.contact().addresses().empty() && request.update_mask().paths().empty();
      if (request.contact().contact_id() == contact) {
        if (keeps) return;
        return Put(contact,
                   {request.contact().addresses().begin(), request.contact().addresses().end()});
      }
    }
    if (is_new && !put_.contains(contact)) Put(contact, stored_[contact]);
  }
  void Put(const std::string& contact, const std::set<std::string>& addresses) {
    std::set<std::string>& before = put_[contact];
    for (const std::string& address : before) {
      if (!addresses.contains(address)) now_[address].erase(contact);
    }
    for (const std::string& address : addresses) now_[address].insert(contact);
    before = addresses;
  }

  void EndCommit() {
    if (commit_.empty()) return;
    absl::Time heard_at = absl::InfinitePast();
    for (const CommittedEvent* event : commit_) {
      const auto record = records_.find(event->id);
      heard_at = std::max(heard_at, record == records_.end() ? absl::InfiniteFuture()
                                                             : world_.watch().KnownSince(
                                                                   kIntake, record->second->event));
    }
    const absl::Time at = commit_.front()->committed_at;
    commit_.clear();
    for (const auto& [address, contacts] : now_) {
      std::vector<Span>& spans = spans_[address];
      if (!spans.empty() && spans.back().contacts == contacts) continue;
      if (!spans.empty()) {
        spans.back().to = at;
        spans.back().heard_at = heard_at;
      }
      spans.push_back({contacts, at});
    }
  }

  World& world_;
  absl::flat_hash_map<std::string, const bus::Record*> records_;  // on the bus, by event
  std::map<std::string, std::set<std::string>> stored_;           // by contact
  std::map<std::string, std::string> entries_;                    // address by requester
  std::vector<const CommittedEvent*> commit_;                     // of people, in one commit
  std::map<std::string, std::set<std::string>> put_;              // by contact, as they were put
  std::map<std::string, std::set<std::string>> now_;              // contacts by address
  std::map<std::string, std::vector<Span>> spans_;                // by address
  std::map<std::string, std::string> accounts_;                   // by contact
};

// ticket_intake's commits from the first to the last, beside the book.
class Correspondence {
 public:
  explicit Correspondence(World& world) : world_(world), book_(world) {}

  void Check() {
    const auto openings = CallsOf<in::OpenTicketRequest>(world_.ledger());
    const auto messages = CallsOf<in::AddMessageRequest>(world_.ledger());
    for (const CommittedEvent& event : world_.ledger().committed) {
      if (event.service != kIntake) continue;
      if (IsA<ev::TicketOpened>(event)) {
        const auto call = openings.find(event.cause);
        Opened(event, call == openings.end() ? nullptr : call->second);
      } else if (IsA<ev::TicketRequesterResolved>(event)) {
        const auto resolved = BodyAs<ev::TicketRequesterResolved>(event);
        tickets_[resolved.ticket_id()].contact = resolved.contact_id();
      } else if (IsA<ev::TicketUpdated>(event)) {
        const auto updated = BodyAs<ev::TicketUpdated>(event);
        Ticket& ticket = tickets_[updated.ticket_id()];
        // The address was the other's; whether what became of the ticket still counts for it the
        // product does not say.
        if (!ticket.contact.empty() && ticket.contact != updated.contact_id()) {
          if (!ticket.address.empty()) histories_[ticket.address].is_known = false;
          ticket.address.clear();
        }
        ticket.contact = updated.contact_id();
      } else if (IsA<ev::TicketResolved>(event)) {
        if (History* history = HistoryOf(event.subject)) history->resolved.insert(event.subject);
      } else if (IsA<ev::TicketClosed>(event)) {
        Closed(event);
      } else if (IsA<ev::TicketMessageAdded>(event)) {
        const auto call = messages.find(event.cause);
        Added(event, call == messages.end() ? nullptr : call->second);
      } else {
        if (IsA<ev::TicketReopened>(event)) {
          if (History* history = HistoryOf(event.subject)) history->resolved.erase(event.subject);
        }
        if (!third_parties_.contains(event.cause)) continue;
        Fail(absl::StrCat("ticket ", event.subject, ": a third party's message made a ",
                          event.type.substr(event.type.rfind('.') + 1)));
      }
    }
    NobodyWaitsInVain();
  }

 private:
  struct Ticket {
    std::string address;  // its requester's; empty = it came from none
    std::string contact;  // empty = not resolved
  };
  // What became of an address's tickets.
  struct History {
    int spam = 0;
    std::set<std::string> resolved;
    bool is_known = true;
  };

  // Two of its tickets were closed as spam, the last 30 days are all that a world has, and none is
  // resolved (product §1.2).
  bool IsSuspected(const std::string& address) {
    const History& history = histories_[address];
    return !address.empty() && history.spam >= 2 && history.resolved.empty();
  }
  History* HistoryOf(const std::string& ticket_id) {
    const std::string& address = tickets_[ticket_id].address;
    return address.empty() ? nullptr : &histories_[address];
  }
  void Closed(const CommittedEvent& event) {
    History* const history = HistoryOf(event.subject);
    if (history == nullptr || BodyAs<ev::TicketClosed>(event).reason() != ty::CLOSE_REASON_SPAM) {
      return;
    }
    ++history->spam;
    history->resolved.erase(event.subject);
  }

  void Opened(const CommittedEvent& event, const CallRecord* call) {
    const auto opened = BodyAs<ev::TicketOpened>(event);
    Ticket& ticket = tickets_[opened.ticket_id()];
    ticket.contact = opened.contact_id();
    const bool goes_on = !opened.follow_up_of().empty();
    if (goes_on) {
      ticket.address = tickets_[opened.follow_up_of()].address;
    } else if (call != nullptr) {
      ticket.address =
          static_cast<const in::OpenTicketRequest&>(*call->request).requester().address();
    }
    if (ticket.address.empty()) return;
    if (histories_[ticket.address].is_known &&
        opened.suspected_spam() != IsSuspected(ticket.address)) {
      Fail(absl::StrCat("ticket ", opened.ticket_id(), " is ",
                        opened.suspected_spam() ? "suspected to be spam" : "not suspected",
                        "; of its address ", histories_[ticket.address].spam,
                        " tickets were closed as spam, and ",
                        histories_[ticket.address].resolved.size(), " are resolved"));
    }
    if (goes_on || ticket.contact.empty()) return;
    for (const AddressBook::Span& span :
         book_.Between(ticket.address, call->sent_at, event.committed_at)) {
      if (span.contacts == std::set<std::string>{ticket.contact}) return;
    }
    Fail(absl::StrCat("ticket ", opened.ticket_id(), " is opened for ", ticket.contact, " of ",
                      opened.account_id(), ", whose the address was not by then"));
  }

  void Added(const CommittedEvent& event, const CallRecord* call) {
    const auto added = BodyAs<ev::TicketMessageAdded>(event);
    const bool is_third_party = added.author_kind() == ty::AUTHOR_KIND_THIRD_PARTY;
    if (is_third_party) third_parties_.insert(event.cause);
    // What is asked for beside it is SYSTEM's.
    if (call == nullptr || (!is_third_party && added.author_kind() != ty::AUTHOR_KIND_REQUESTER)) {
      return;
    }
    const std::string& address =
        static_cast<const in::AddMessageRequest&>(*call->request).sender_address();
    if (address.empty()) return;
    const Ticket& ticket = tickets_[added.ticket_id()];
    const bool opened_it = ticket.address == address;
    // Whoever was found behind the address decides, and where nobody was, whether the ticket came
    // from it.
    bool may_be_third_party = false, may_be_author = false;
    const bool is_unresolved = opened_it && ticket.contact.empty();
    for (const AddressBook::Span& span :
         book_.Between(address, call->sent_at, event.committed_at)) {
      const bool is_found = span.contacts.size() == 1 && !is_unresolved;
      const bool is_of_account = is_found && !added.account_id().empty() &&
                                 book_.AccountOf(*span.contacts.begin()) == added.account_id();
      if (is_of_account) {
        may_be_author = may_be_author || added.author_id() == *span.contacts.begin();
      } else if (is_found || !opened_it) {
        may_be_third_party = true;
      } else {
        may_be_author = may_be_author || added.author_id() == ticket.contact;
      }
    }
    // What was told last counts while account_health cannot be asked.
    const bool may_be_unreachable = !world_.weather().IsFairWorld();
    if (may_be_unreachable && added.author_id() == ticket.contact &&
        (opened_it || book_.WasOf(address, ticket.contact, event.committed_at))) {
      may_be_author = true;
    }
    if (is_third_party ? !may_be_third_party : !may_be_author) {
      Fail(absl::StrCat("ticket ", added.ticket_id(), ": message ", added.message_id(),
                        " is stored as ", ty::AuthorKind_Name(added.author_kind()), " \"",
                        added.author_id(), "\", whose the sender's address was not"));
    }
  }

  // A change applies to what has arrived already as it does to what arrives next.
  void NobodyWaitsInVain() {
    const absl::Status status = world_.reader(kIntake).Query(
        {"SELECT key, body FROM tickets t WHERE NOT EXISTS (SELECT 1 FROM timers WHERE id = "
         "'requester:' || t.key)",
         {}},
        [&](const store::RowView& row) {
          ticket_intake::records::TicketRecord record;
          const std::string_view bytes = row.Text(1);
          record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
          // Who sends spam is not asked about any more.
          if (!record.ticket().contact_id().empty() ||
              record.ticket().close_reason() == ty::CLOSE_REASON_SPAM) {
            return;
          }
          const std::string& address = tickets_[record.ticket().ticket_id()].address;
          const std::set<std::string> owners = book_.OwnersOf(address);
          if (address.empty() || owners.size() != 1) return;
          waiting_.emplace_back(record.ticket().ticket_id(), *owners.begin());
        });
    if (!status.ok()) Fail(std::string(status.message()));
    for (const auto& [ticket_id, contact] : waiting_) {
      // What says so may be parked.
      if (world_.Number(kIntake, "SELECT COUNT(*) FROM dead_letters") > 0) return;
      Fail(absl::StrCat("ticket ", ticket_id, " has no requester although its address is ", contact,
                        "'s alone"));
    }
  }

  void Fail(std::string message) { world_.ledger().Fail(std::move(message), Witness::kInvariants); }

  World& world_;
  const AddressBook book_;
  std::map<std::string, History> histories_;  // by address
  std::map<std::string, Ticket> tickets_;
  absl::flat_hash_set<std::string> third_parties_;  // causes
  std::vector<std::pair<std::string, std::string>> waiting_;
};

}  // namespace

void CheckCorrespondents(World& world) { Correspondence(world).Check(); }

}  // namespace tandem::simulation
