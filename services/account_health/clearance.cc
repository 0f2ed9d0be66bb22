#include "services/account_health/clearance.h"

#include <algorithm>

#include "common/time/micros.h"
#include "common/time/stamp.h"

namespace tandem::account_health {
namespace {

using account::v1::Clearance;
using account::v1::OutreachPolicy;
using records::HoldRecord;
using records::Issue;
using records::StandingClearance;

template <typename Field, typename Predicate>
void EraseIf(Field* field, Predicate predicate) {
  field->erase(std::remove_if(field->begin(), field->end(), predicate), field->end());
}

bool Contains(const google::protobuf::RepeatedPtrField<std::string>& ids, std::string_view id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

bool HoldsMore(const Issue* before, const Issue& after, const OutreachPolicy& policy) {
  const HeldBy now = TopicsHeldBy(after, policy);
  if (before == nullptr) return now.account != 0 || now.contact != 0;
  const HeldBy was = TopicsHeldBy(*before, policy);
  // What was held for everybody was held for each.
  const TopicSet for_each = now.contact & ~was.account;
  if ((now.account & ~was.account) != 0 || (for_each & ~was.contact) != 0) return true;
  if (for_each == 0) return false;
  // The same topics for further people.
  if (!after.contact_id().empty() && !Concerns(*before, after.contact_id())) return true;
  return std::any_of(after.watcher_contact_ids().begin(), after.watcher_contact_ids().end(),
                     [&](const std::string& watcher) { return !Concerns(*before, watcher); });
}

std::vector<StandingClearance> FindRevoked(const HoldRecord& holds, const Issue& issue,
                                           IssueFact fact, absl::Time fact_at, absl::Time now,
                                           const OutreachPolicy& policy) {
  std::vector<StandingClearance> revoked;
  const int64_t seen_up_to = time::ToMicros(fact_at) + time::MicrosOf(policy.allowed_skew());
  for (const StandingClearance& clearance : holds.clearances()) {
    if (clearance.expires_us() <= time::ToMicros(now)) continue;
    // Who granted the exception weighed what was known, not what is missing.
    if (!clearance.exception_id().empty() && (issue.flags() & kParked) == 0) continue;
    if (fact == IssueFact::kAppeared && seen_up_to < clearance.as_of_us()) continue;
    if (FindRule(issue, clearance.topic(), clearance.contact_id(), policy).empty()) continue;
    revoked.push_back(clearance);
  }
  return revoked;
}

std::vector<StandingClearance> FindReaching(const HoldRecord& holds, std::string_view contact_id,
                                            TopicSet topics, absl::Time now) {
  std::vector<StandingClearance> found;
  for (const StandingClearance& clearance : holds.clearances()) {
    if (clearance.expires_us() <= time::ToMicros(now)) continue;
    if (!clearance.contact_id().empty() && clearance.contact_id() != contact_id) continue;
    if (Holds(topics, clearance.topic())) found.push_back(clearance);
  }
  return found;
}

void DropExpired(HoldRecord& holds, absl::Time now) {
  const int64_t now_us = time::ToMicros(now);
  EraseIf(holds.mutable_clearances(),
          [&](const StandingClearance& one) { return one.expires_us() <= now_us; });
  EraseIf(holds.mutable_exceptions(),
          [&](const records::StandingException& one) { return one.until_us() <= now_us; });
}

const records::StandingException* FindException(const HoldRecord& holds,
                                                type::v1::OutreachTopic topic, absl::Time now) {
  for (const records::StandingException& one : holds.exceptions()) {
    if (one.topic() == topic && one.until_us() > time::ToMicros(now)) return &one;
  }
  return nullptr;
}

bool Covers(const Clearance& clearance, std::string_view contact_id,
            type::v1::OutreachTopic topic) {
  // A clearance for all covers each; one for a single contact does not cover a touch with several.
  return clearance.topic() == topic &&
         (clearance.contact_id().empty() || clearance.contact_id() == contact_id);
}

bool StoodAt(const Clearance& clearance, absl::Time at) {
  const int64_t at_us = time::ToMicros(at);
  if (at_us < time::MicrosOf(clearance.given_at()) ||
      at_us >= time::MicrosOf(clearance.expires_at())) {
    return false;
  }
  return !clearance.has_revoked_at() || at_us < time::MicrosOf(clearance.revoked_at());
}

account::v1::ClearanceState StateAt(const Clearance& clearance, absl::Time now) {
  if (clearance.state() != account::v1::CLEARANCE_STATE_STANDING) return clearance.state();
  return time::ToMicros(now) >= time::MicrosOf(clearance.expires_at())
             ? account::v1::CLEARANCE_STATE_EXPIRED
             : account::v1::CLEARANCE_STATE_STANDING;
}

bool IsUnusedFor(const records::ClearanceRecord& record, std::string_view contact_id) {
  const auto& used = record.used_contact_ids();
  // Before single contacts were noted a first use was all that there is to know.
  if (used.empty()) return !record.clearance().has_used_at();
  return !contact_id.empty() && !Contains(used, contact_id);
}

bool IsReservedFor(const records::ClearanceRecord& record, std::string_view contact_id) {
  const auto& reserved = record.reserved_contact_ids();
  return contact_id.empty() ? !reserved.empty() : Contains(reserved, contact_id);
}

void UseClearance(records::ClearanceRecord& record, std::string_view contact_id, absl::Time at) {
  std::vector<std::string> contact_ids{std::string(contact_id)};
  if (contact_id.empty()) {
    contact_ids.assign(record.reserved_contact_ids().begin(), record.reserved_contact_ids().end());
  }
  for (const std::string& id : contact_ids) {
    if (!Contains(record.used_contact_ids(), id)) record.add_used_contact_ids(id);
  }
  Clearance& clearance = *record.mutable_clearance();
  if (!clearance.has_used_at()) *clearance.mutable_used_at() = time::Stamp(at);
}

account::v1::TouchVerdict JudgeTouch(bool inbound, type::v1::OutreachTopic topic,
                                     const Clearance* clearance) {
  if (inbound) return account::v1::TOUCH_VERDICT_FREE;
  if (clearance != nullptr) {
    return clearance->exception_id().empty() ? account::v1::TOUCH_VERDICT_CLEARED
                                             : account::v1::TOUCH_VERDICT_EXCEPTION;
  }
  return IsFree(topic) ? account::v1::TOUCH_VERDICT_FREE : account::v1::TOUCH_VERDICT_VIOLATION;
}

}  // namespace tandem::account_health
