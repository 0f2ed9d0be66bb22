#include "services/survey/invitation.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/address/address.h"
#include "common/id/id.h"
#include "common/time/stamp.h"

namespace tandem::survey {
namespace {

using Kind = Judgement::Kind;
namespace av = account::v1;

Judgement Never(std::string reason) {
  Judgement judgement;
  judgement.kind = Kind::kNever;
  judgement.reason = std::move(reason);
  return judgement;
}

Judgement Wait(Kind kind, std::string reason) {
  Judgement judgement;
  judgement.kind = kind;
  judgement.reason = std::move(reason);
  return judgement;
}

// A contact or account that account_health does not have is nobody to write to; every other failure
// is a peer that cannot be asked now.
Judgement Failed(const absl::Status& status) {
  return absl::IsNotFound(status) ? Never(kNoContact) : Wait(Kind::kWaitLost, kUnreachable);
}

bool Blocks(const av::CheckOutreachResponse& answer, std::string_view rule) {
  return std::any_of(answer.blocks().begin(), answer.blocks().end(),
                     [&](const av::OutreachBlock& block) { return block.rule() == rule; });
}

}  // namespace

std::string SurveyId(std::string_view ticket_id, int64_t resolution) {
  return id::Derive("svy", {"survey", ticket_id, absl::StrCat(resolution)});
}

std::string ContactQuestion(const std::string& contact_id) {
  return absl::StrCat("contact:", contact_id);
}

corridor::Question AskContact(const std::string& contact_id) {
  auto request = std::make_shared<av::GetContactRequest>();
  request->set_contact_id(contact_id);
  return {ContactQuestion(contact_id), "tandem.account.v1.AccountService/GetContact",
          std::move(request)};
}

Judgement JudgeContact(const absl::Status& status, const av::GetContactResponse* answer) {
  if (!status.ok()) return Failed(status);
  for (const std::string& stored : answer->contact().addresses()) {
    // What mail cannot reach, a phone number above all, is passed over. What parses has no line
    // break, so that it cannot write lines of its own into a letter's head.
    absl::StatusOr<address::Address> mail = address::ParseMail(stored);
    if (!mail.ok()) continue;
    Judgement judgement;
    judgement.address = std::move(mail->deliverable);
    return judgement;
  }
  return Never(kNoContact);
}

Judgement JudgeInvitation(const absl::Status& status, const av::CheckOutreachResponse* answer,
                          absl::Time now) {
  if (!status.ok()) return Failed(status);
  if (answer->verdict() == av::OUTREACH_VERDICT_ALLOW) {
    Judgement judgement;
    judgement.clearance_id = answer->clearance_id();
    if (answer->has_expires_at() && time::Instant(answer->expires_at()) <= now) {
      judgement.kind = Kind::kAskAnew;
    }
    return judgement;
  }
  // Asked again under its request id, the question finds a clearance that has ended since.
  if (answer->clearance_state() != av::CLEARANCE_STATE_UNSPECIFIED &&
      answer->clearance_state() != av::CLEARANCE_STATE_STANDING) {
    Judgement judgement;
    judgement.kind = Kind::kAskAnew;
    return judgement;
  }
  // The contact's own word stands before the ledger's.
  if (Blocks(*answer, kOptOut)) return Never(kOptOut);
  if (Blocks(*answer, kFatigue)) return Never(kFatigue);
  return Wait(Kind::kWait, answer->blocks_size() > 0 ? answer->blocks(0).rule() : "hold");
}

Judgement JudgeReminder(const absl::Status& status, const av::CheckOutreachResponse* answer) {
  if (!status.ok()) return Failed(status);
  if (answer->verdict() == av::OUTREACH_VERDICT_ALLOW) return Judgement();
  for (const av::OutreachBlock& block : answer->blocks()) {
    if (block.rule() != kFatigue) return Never(block.rule());
  }
  return answer->blocks_size() > 0 ? Judgement() : Never("hold");
}

absl::Time NextTry(absl::Time first_try, absl::Time due, absl::Time now, absl::Duration retry_for,
                   absl::Duration retry_every) {
  const absl::Time last = first_try + retry_for;
  if (due >= last) return absl::InfiniteFuture();
  return std::min(last, std::max(due, now) + retry_every);
}

}  // namespace tandem::survey
