// The people whom a request names: staff who must be ours and at work, contacts who must exist
// (product §1, §2: every staff id in a request names active staff).
#ifndef TANDEM_SERVICES_TICKET_INTAKE_PEOPLE_H_
#define TANDEM_SERVICES_TICKET_INTAKE_PEOPLE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "services/ticket_intake/records.h"

namespace tandem::ticket_intake {

// One thread; lives within one call of a rule:
//
//   People people(in, view);
//   absl::Status named = people.NameStaff(request.staff_id());
//   if (named.ok()) named = people.NameContact(request.author_id(), ticket.account_id());
//   if (!named.ok()) return named;             // they could not be looked up
//   if (people.MustAsk()) return people.Ask();  // the rule is decided again with the answers
//   if (absl::Status known = people.Verdict(); !known.ok()) return known;
//   …
//   people.Remember(decision);
//
// Who is known from StaffChanged and ContactChanged, and fits, costs no question. Whoever is
// missing here, not active or of another account is asked about: events may still be under way.
class People {
 public:
  People(const corridor::Inputs& in, corridor::View& view) : in_(in), view_(view) {}

  // Staff who must exist and be active; empty = nobody is named.
  absl::Status NameStaff(const std::string& staff_id);
  // A contact who must exist and, unless `account_id` is empty, belong to that account.
  absl::Status NameContact(const std::string& contact_id, const std::string& account_id = "");

  bool MustAsk() const { return !questions_.empty(); }
  corridor::Decision Ask();
  // NOT_FOUND, FAILED_PRECONDITION STAFF_INACTIVE or CONTACT_OF_ANOTHER_ACCOUNT; else UNAVAILABLE
  // when an owner cannot be asked about somebody unknown; else OK.
  absl::Status Verdict() const;
  // Saves what the owners told about people who were missing here.
  void Remember(corridor::Decision& decision);

 private:
  void Refuse(absl::Status status);

  const corridor::Inputs& in_;
  corridor::View& view_;
  std::vector<corridor::Question> questions_;
  absl::Status refused_;
  absl::Status unreachable_;
  std::vector<std::pair<std::string, records::StaffRecord>> staff_;
  std::vector<std::pair<std::string, records::ContactRecord>> contacts_;
};

}  // namespace tandem::ticket_intake

#endif  // TANDEM_SERVICES_TICKET_INTAKE_PEOPLE_H_
