#include "services/ticket_intake/people.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/corridor/errors.h"
#include "services/ticket_intake/requesters.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/triage/v1/staff_service.pb.h"

namespace tandem::ticket_intake {
namespace {

using corridor::Question;

absl::Status Inactive(const std::string& staff_id) {
  return corridor::FailedPrecondition(
      "STAFF_INACTIVE",
      absl::StrCat("staff ", staff_id, " does not work here any more; name somebody who does"),
      {{"staff_id", staff_id}});
}

absl::Status OfAnotherAccount(const std::string& contact_id, const std::string& account_id) {
  return corridor::FailedPrecondition(
      "CONTACT_OF_ANOTHER_ACCOUNT",
      absl::StrCat("contact ", contact_id, " does not belong to account ", account_id,
                   " of the ticket"),
      {{"contact_id", contact_id}, {"account_id", account_id}});
}

}  // namespace

absl::Status People::NameStaff(const std::string& staff_id) {
  if (staff_id.empty()) return absl::OkStatus();
  auto known = view_.Load(Staff(), staff_id);
  if (!known.ok()) return known.status();
  if (*known && (*known)->active()) return absl::OkStatus();

  const std::string name = absl::StrCat("staff:", staff_id);
  if (!in_.answers->Has(name)) {
    auto request = std::make_shared<triage::v1::GetStaffRequest>();
    request->set_staff_id(staff_id);
    Question question;
    question.name = name;
    question.method = "tandem.triage.v1.StaffService/GetStaff";
    question.request = std::move(request);
    questions_.push_back(std::move(question));
    return absl::OkStatus();
  }
  const auto reply = in_.answers->Get<triage::v1::GetStaffResponse>(name);
  if (reply.ok()) {
    const triage::v1::Staff& told = (*reply)->staff();
    if (!*known || (*known)->version() < told.version()) {
      records::StaffRecord record;
      record.set_version(told.version());
      record.set_active(told.active());
      staff_.emplace_back(staff_id, std::move(record));
    }
    if (!told.active()) Refuse(Inactive(staff_id));
  } else if (absl::IsNotFound(reply.status())) {
    Refuse(corridor::NotFound("staff", staff_id));
  } else if (*known) {
    Refuse(Inactive(staff_id));
  } else {
    unreachable_.Update(corridor::WithRetryAfter(
        corridor::WithReason(absl::UnavailableError(absl::StrCat(
                                 "triage cannot be asked about staff ", staff_id, " now")),
                             "TRIAGE_UNREACHABLE", {{"staff_id", staff_id}}),
        absl::Seconds(1)));
  }
  return absl::OkStatus();
}

absl::Status People::NameContact(const std::string& contact_id, const std::string& account_id) {
  if (contact_id.empty()) return absl::OkStatus();
  auto known = view_.Load(Contacts(), contact_id);
  if (!known.ok()) return known.status();
  const auto fits = [&](const std::string& of) { return account_id.empty() || of == account_id; };
  if (*known && fits((*known)->account_id())) return absl::OkStatus();

  const std::string name = absl::StrCat("contact:", contact_id);
  if (!in_.answers->Has(name)) {
    intake::v1::Requester requester;
    requester.set_contact_id(contact_id);
    questions_.push_back(LookUpRequester(name, requester, in_.cause));
    return absl::OkStatus();
  }
  const auto reply = in_.answers->Get<account::v1::ResolveRequesterResponse>(name);
  if (reply.ok() && !(*reply)->contact_id().empty()) {
    if (!*known) {
      records::ContactRecord record;
      record.set_account_id((*reply)->account_id());
      contacts_.emplace_back(contact_id, std::move(record));
    }
    if (!fits((*reply)->account_id())) Refuse(OfAnotherAccount(contact_id, account_id));
  } else if (reply.ok() || absl::IsNotFound(reply.status())) {
    Refuse(corridor::NotFound("contact", contact_id));
  } else if (*known) {
    Refuse(OfAnotherAccount(contact_id, account_id));
  } else {
    unreachable_.Update(AccountHealthUnreachable(absl::StrCat("contact ", contact_id)));
  }
  return absl::OkStatus();
}

corridor::Decision People::Ask() {
  corridor::Decision decision;
  for (Question& question : questions_) decision.Ask(std::move(question));
  return decision;
}

absl::Status People::Verdict() const { return refused_.ok() ? unreachable_ : refused_; }

void People::Remember(corridor::Decision& decision) {
  for (auto& [staff_id, record] : staff_) decision.Save(Staff(), staff_id, std::move(record));
  for (auto& [contact_id, record] : contacts_) {
    decision.Save(Contacts(), contact_id, std::move(record));
  }
}

void People::Refuse(absl::Status status) { refused_.Update(std::move(status)); }

}  // namespace tandem::ticket_intake
