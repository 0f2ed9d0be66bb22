#include "services/account_health/commands_work.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/plant/plant.h"
#include "common/time/stamp.h"
#include "services/account_health/budget.h"
#include "services/account_health/health.h"
#include "tandem/events/v1/account.pb.h"

namespace tandem::account_health {
namespace {

using records::HealthRecord;
using records::HoldRecord;
using records::Issue;

template <typename List>
void EraseClearance(List* list, std::string_view clearance_id) {
  for (int i = 0; i < list->size(); ++i) {
    if (list->Get(i).clearance_id() != clearance_id) continue;
    list->DeleteSubrange(i, 1);
    return;
  }
}

void EraseId(google::protobuf::RepeatedPtrField<std::string>* ids, const std::string& id) {
  const auto found = std::find(ids->begin(), ids->end(), id);
  if (found != ids->end()) ids->erase(found);
}

Work::Revocation BecauseOf(const Issue& issue, std::string_view cause_event_id) {
  if ((issue.flags() & kParked) != 0) {
    return {.reason = kParkedRule, .cause_event_id = cause_event_id};
  }
  if ((issue.flags() & kFollowUp) != 0) {
    return {.reason = "survey", .cause_event_id = cause_event_id};
  }
  return {.reason = "ticket", .ticket_id = issue.subject_id(), .cause_event_id = cause_event_id};
}

bool IsSame(const Issue& a, const Issue& b) {
  return a.severity() == b.severity() && a.flags() == b.flags() &&
         a.contact_id() == b.contact_id() &&
         std::equal(a.watcher_contact_ids().begin(), a.watcher_contact_ids().end(),
                    b.watcher_contact_ids().begin(), b.watcher_contact_ids().end());
}

}  // namespace

std::string ShortName(std::string_view event_type) {
  return std::string(event_type.substr(event_type.rfind('.') + 1));
}

absl::Status Work::LoadPolicy() {
  if (in_force_.made != nullptr) return absl::OkStatus();
  absl::StatusOr<Policies::InForce> current = policies_->Current(drafts.view());
  if (!current.ok()) return current.status();
  in_force_ = *std::move(current);
  return absl::OkStatus();
}

type::v1::PolicyRef Work::PolicyRef(std::string_view rule) const {
  type::v1::PolicyRef ref = in_force_.ref;
  ref.set_rule(std::string(rule));
  return ref;
}

absl::StatusOr<std::vector<account::v1::Counterpart>> Work::Team(std::string_view account_id) {
  absl::Status status = LoadPolicy();
  if (!status.ok()) return status;
  static const records::TeamRecord& nobody = *new records::TeamRecord();
  const records::TeamRecord* team = &nobody;
  if (!account_id.empty()) {
    auto draft = drafts.Open(Teams(), account_id);
    if (!draft.ok()) return draft.status();
    team = &***draft;
  }
  std::set<std::string> named, left;
  for (const account::v1::TeamMember& member : team->members()) named.insert(member.staff_id());
  for (const account::v1::TeamDefault& one : policy().team_defaults()) named.insert(one.staff_id());
  for (const std::string& staff_id : named) {
    auto staff = drafts.Open(Staff(), staff_id);
    if (!staff.ok()) return staff.status();
    if ((*staff)->exists() && !(**staff)->active()) left.insert(staff_id);
  }
  return FillTeam(*team, left, policy());
}

absl::StatusOr<absl::Time> Work::CommitInstant(std::string_view account_id) {
  auto journal = drafts.Open(Journals(), account_id);
  if (!journal.ok()) return journal.status();
  const int64_t instant = std::max((**journal)->last_us(), time::ToMicros(in_->now));
  (*journal)->Change().set_last_us(instant);
  return time::FromMicros(instant);
}

absl::StatusOr<int64_t> Work::Note(std::string_view account_id, records::EntryRecord entry) {
  auto journal = drafts.Open(Journals(), account_id);
  if (!journal.ok()) return journal.status();
  records::JournalRecord& changed = (*journal)->Change();
  changed.set_last_sequence(changed.last_sequence() + 1);
  changed.set_last_us(std::max(changed.last_us(), time::ToMicros(in_->now)));
  entry.set_sequence(changed.last_sequence());
  std::string key = SequenceKey(account_id, entry.sequence());
  decision.Insert(Timeline(), std::move(key), std::move(entry));
  return changed.last_sequence();
}

absl::StatusOr<int64_t> Work::NoteEvent(std::string_view account_id, const bus::Event& event) {
  records::EntryRecord entry;
  entry.set_occurred_us(time::ToMicros(event.time));
  entry.set_source(event.source);
  entry.set_type(ShortName(event.type));
  entry.set_subject_id(event.subject);
  entry.set_event_id(event.id);
  return Note(account_id, std::move(entry));
}

absl::StatusOr<int32_t> Work::End(std::string_view clearance_id,
                                  account::v1::ClearanceState state) {
  auto draft = drafts.Open(Clearances(), clearance_id);
  if (!draft.ok()) return draft.status();
  records::ClearanceRecord& record = (*draft)->Change();
  account::v1::Clearance& clearance = *record.mutable_clearance();
  absl::StatusOr<absl::Time> instant = CommitInstant(clearance.account_id());
  if (!instant.ok()) return instant.status();
  auto journal = drafts.Open(Journals(), clearance.account_id());
  if (!journal.ok()) return journal.status();
  auto holds = drafts.Open(HoldRecords(), clearance.account_id());
  if (!holds.ok()) return holds.status();
  clearance.set_state(state);
  *clearance.mutable_revoked_at() = time::Stamp(*instant);
  clearance.set_revoked_sequence((**journal)->last_sequence());
  EraseClearance((*holds)->Change().mutable_clearances(), clearance_id);
  int32_t units = 0;
  for (const std::string& contact_id : record.reserved_contact_ids()) {
    auto budget = drafts.Open(Budgets(), contact_id);
    if (!budget.ok()) return budget.status();
    if (GiveBackUnused((*budget)->Change(), clearance_id)) units += clearance.units();
  }
  return units;
}

absl::Status Work::Revoke(std::string_view clearance_id, const Revocation& why) {
  absl::Status status = LoadPolicy();
  if (!status.ok()) return status;
  auto draft = drafts.Open(Clearances(), clearance_id);
  if (!draft.ok()) return draft.status();
  const account::v1::Clearance clearance = (**draft)->clearance();
  if (StateAt(clearance, in_->now) != account::v1::CLEARANCE_STATE_STANDING) {
    return absl::OkStatus();
  }
  absl::StatusOr<absl::Time> instant = CommitInstant(clearance.account_id());
  if (!instant.ok()) return instant.status();
  absl::StatusOr<std::vector<account::v1::Counterpart>> team = Team(clearance.account_id());
  if (!team.ok()) return team.status();

  events::v1::ClearanceRevoked event;
  event.set_account_id(clearance.account_id());
  event.set_clearance_id(clearance.clearance_id());
  event.set_staff_id(clearance.staff_id());
  for (const account::v1::Counterpart& place : *team) {
    if (place.role() == type::v1::STAFF_ROLE_CSM) event.set_csm_staff_id(place.staff_id());
  }
  *event.mutable_occurred_at() = time::Stamp(*instant);
  event.set_cause_event_id(std::string(why.cause_event_id));
  event.set_ticket_id(std::string(why.ticket_id));
  event.set_reason(std::string(why.reason));
  status = Tell(clearance.account_id(), clearance_id, *instant, std::move(event));
  if (!status.ok()) return status;

  account::v1::Clearance& changed = *(*draft)->Change().mutable_clearance();
  changed.set_revoked_by_event_id(std::string(why.cause_event_id));
  changed.set_revoked_by_ticket_id(std::string(why.ticket_id));
  changed.set_revoked_reason(std::string(why.reason));
  return End(clearance_id, account::v1::CLEARANCE_STATE_REVOKED).status();
}

absl::StatusOr<int32_t> Work::Release(std::string_view clearance_id, std::string_view staff_id) {
  auto draft = drafts.Open(Clearances(), clearance_id);
  if (!draft.ok()) return draft.status();
  const account::v1::Clearance clearance = (**draft)->clearance();
  absl::StatusOr<absl::Time> instant = CommitInstant(clearance.account_id());
  if (!instant.ok()) return instant.status();
  absl::StatusOr<int32_t> units = End(clearance_id, account::v1::CLEARANCE_STATE_RELEASED);
  if (!units.ok()) return units.status();
  events::v1::ClearanceReleased event;
  event.set_account_id(clearance.account_id());
  event.set_clearance_id(clearance.clearance_id());
  *event.mutable_occurred_at() = time::Stamp(*instant);
  event.set_contact_id(clearance.contact_id());
  event.set_topic(clearance.topic());
  event.set_staff_id(std::string(staff_id));
  event.set_units(*units);
  absl::Status told = Tell(clearance.account_id(), clearance_id, *instant, std::move(event));
  if (!told.ok()) return told;
  auto journal = drafts.Open(Journals(), clearance.account_id());
  if (!journal.ok()) return journal.status();
  (*draft)->Change().mutable_clearance()->set_revoked_sequence((**journal)->last_sequence());
  return units;
}

absl::Status Work::Return(std::string_view clearance_id) {
  auto draft = drafts.Open(Clearances(), clearance_id);
  if (!draft.ok()) return draft.status();
  if (!(*draft)->exists() ||
      (**draft)->clearance().state() != account::v1::CLEARANCE_STATE_STANDING) {
    return absl::OkStatus();
  }
  return End(clearance_id, account::v1::CLEARANCE_STATE_RETURNED).status();
}

absl::Status Work::OptOut(std::string_view account_id, std::string_view contact_id, TopicSet topics,
                          std::string_view reason, std::string_view cause_event_id) {
  if (topics == 0) return absl::OkStatus();
  // Whoever read the account's contacts before must read them again.
  absl::Status status = RaiseHoldVersion(account_id);
  if (!status.ok()) return status;
  auto holds = drafts.Open(HoldRecords(), account_id);
  if (!holds.ok()) return holds.status();
  for (const records::StandingClearance& standing :
       FindReaching(***holds, contact_id, topics, in_->now)) {
    status = Revoke(standing.clearance_id(), {.reason = reason, .cause_event_id = cause_event_id});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Work::TellHolds(std::string_view account_id, HoldChanges changes) {
  for (events::v1::OutreachCleared& cleared : changes.cleared) {
    cleared.set_account_id(std::string(account_id));
    const absl::Time at = time::Instant(cleared.occurred_at());
    absl::Status told = Tell(account_id, account_id, at, std::move(cleared));
    if (!told.ok()) return told;
  }
  for (events::v1::OutreachHeld& held : changes.held) {
    held.set_account_id(std::string(account_id));
    *held.mutable_policy() = PolicyRef(held.rules_size() == 0 ? "" : held.rules(0));
    const absl::Time at = time::Instant(held.occurred_at());
    absl::Status told = Tell(account_id, account_id, at, std::move(held));
    if (!told.ok()) return told;
  }
  return absl::OkStatus();
}

absl::Status Work::CountIssue(std::string_view account_id, HoldRecord& holds, const Issue& issue,
                              int by, std::set<std::string>& contact_ids) {
  const HeldBy held = TopicsHeldBy(issue, policy().outreach());
  Count(*holds.mutable_account(), held.account, by);
  if (held.contact == 0) return absl::OkStatus();
  for (std::string& contact_id : ContactsOf(issue)) {
    auto draft = drafts.Open(ContactHolds(), PartKey(account_id, contact_id));
    if (!draft.ok()) return draft.status();
    records::ContactHoldRecord& record = (*draft)->Change();
    record.set_contact_id(contact_id);
    Count(*record.mutable_scope(), held.contact, by);
    contact_ids.insert(std::move(contact_id));
  }
  return absl::OkStatus();
}

absl::Status Work::SettleHolds(std::string_view account_id, HoldRecord& holds,
                               const std::set<std::string>& contact_ids,
                               absl::Span<const Issue> issues, absl::Time at) {
  const int64_t at_us = std::max(holds.last_us(), time::ToMicros(at));
  HoldChanges changes;
  const bool is_parked = !holds.parked().empty();
  if (!IsSettled(holds.account(), is_parked)) {
    holds.set_last_us(at_us);
    Settle(*holds.mutable_account(), {"", issues, is_parked}, policy().outreach(), at_us, changes);
  }
  for (const std::string& contact_id : contact_ids) {
    auto draft = drafts.Open(ContactHolds(), PartKey(account_id, contact_id));
    if (!draft.ok()) return draft.status();
    if (IsSettled((**draft)->scope(), false)) continue;
    holds.set_last_us(at_us);
    records::HeldScope& scope = *(*draft)->Change().mutable_scope();
    const TopicSet before = HeldTopicsOf(scope);
    Settle(scope, {contact_id, issues}, policy().outreach(), at_us, changes);
    const TopicSet after = HeldTopicsOf(scope);
    for (const auto topic : TopicsOf(before ^ after)) {
      while (holds.contacts_held_size() <= topic) holds.add_contacts_held(0);
      holds.set_contacts_held(topic, holds.contacts_held(topic) + (Holds(after, topic) ? 1 : -1));
    }
    holds.set_held_contacts(holds.held_contacts() + (after != 0) - (before != 0));
    if (after == 0) (*draft)->Erase();
  }
  return TellHolds(account_id, std::move(changes));
}

absl::Status Work::ChangeIssue(std::string_view account_id, const IssueChange& change) {
  absl::Status status = LoadPolicy();
  if (!status.ok()) return status;
  auto draft = drafts.Open(HoldRecords(), account_id);
  if (!draft.ok()) return draft.status();
  auto place = drafts.Open(Issues(), PartKey(account_id, change.subject_id));
  if (!place.ok()) return place.status();
  const bool is_known = (*place)->exists();
  if (change.after == nullptr && !is_known) return absl::OkStatus();
  if (change.after == nullptr && plant::Has(plant::Mistake::kHoldKept)) return absl::OkStatus();
  if (change.after != nullptr && is_known && !change.is_always_worse &&
      IsSame(*change.after, ***place)) {
    return absl::OkStatus();
  }
  // Counts of one policy are not changed by another.
  if ((**draft)->open_issues() > 0 && (**draft)->policy_version() != policy_version()) {
    status = Rejudge(account_id, change.at);
    if (!status.ok()) return status;
  }

  const Issue before = ***place;
  const account::v1::OutreachPolicy& rules = policy().outreach();
  HoldRecord& holds = (*draft)->Change();
  holds.set_policy_version(policy_version());
  DropExpired(holds, in_->now);
  std::set<std::string> contact_ids;
  if (is_known) {
    status = CountIssue(account_id, holds, before, -1, contact_ids);
    if (!status.ok()) return status;
  }
  if (change.after == nullptr) {
    (*place)->Erase();
    holds.set_open_issues(holds.open_issues() - 1);
    if ((before.flags() & kFollowUp) != 0)
      EraseId(holds.mutable_follow_up_ids(), before.subject_id());
    if ((before.flags() & kSuspected) != 0)
      EraseId(holds.mutable_suspected_ids(), before.subject_id());
    return SettleHolds(account_id, holds, contact_ids, {}, change.at);
  }

  auto journal = drafts.Open(Journals(), account_id);
  if (!journal.ok()) return journal.status();
  Issue& after = (*place)->Change();
  after = *change.after;
  after.set_known_sequence(is_known ? before.known_sequence() : (**journal)->last_sequence());
  if (!is_known) {
    holds.set_open_issues(holds.open_issues() + 1);
    if ((after.flags() & kFollowUp) != 0) holds.add_follow_up_ids(after.subject_id());
  }
  if ((before.flags() & kSuspected) != 0) {
    EraseId(holds.mutable_suspected_ids(), before.subject_id());
  }
  if ((after.flags() & kSuspected) != 0) holds.add_suspected_ids(after.subject_id());
  status = CountIssue(account_id, holds, after, 1, contact_ids);
  if (!status.ok()) return status;
  if (HoldsMore(is_known && !change.is_always_worse ? &before : nullptr, after, rules)) {
    holds.set_hold_version(holds.hold_version() + 1);
    for (const records::StandingClearance& standing :
         FindRevoked(holds, after, change.fact, change.at, in_->now, rules)) {
      status = Revoke(standing.clearance_id(), BecauseOf(after, change.cause_event_id));
      if (!status.ok()) return status;
    }
  }
  return SettleHolds(account_id, holds, contact_ids, absl::MakeConstSpan(&after, 1), change.at);
}

absl::Status Work::Park(std::string_view account_id, std::string_view subject_id,
                        std::string_view cause_event_id) {
  absl::Status loaded = LoadPolicy();
  if (!loaded.ok()) return loaded;
  auto draft = drafts.Open(HoldRecords(), account_id);
  if (!draft.ok()) return draft.status();
  if (FindParked(***draft, subject_id) != nullptr) return absl::OkStatus();
  auto journal = drafts.Open(Journals(), account_id);
  if (!journal.ok()) return journal.status();
  HoldRecord& holds = (*draft)->Change();
  DropExpired(holds, in_->now);
  PutParked(holds, subject_id, (**journal)->last_sequence(), in_->now);
  holds.set_hold_version(holds.hold_version() + 1);
  const Issue parked = *FindParked(holds, subject_id);
  for (const records::StandingClearance& standing :
       FindRevoked(holds, parked, IssueFact::kWorsened, in_->now, in_->now, policy().outreach())) {
    absl::Status revoked = Revoke(standing.clearance_id(), BecauseOf(parked, cause_event_id));
    if (!revoked.ok()) return revoked;
  }
  return SettleHolds(account_id, holds, {}, {}, in_->now);
}

absl::Status Work::Unpark(std::string_view account_id, std::string_view subject_id) {
  absl::Status loaded = LoadPolicy();
  if (!loaded.ok()) return loaded;
  auto draft = drafts.Open(HoldRecords(), account_id);
  if (!draft.ok()) return draft.status();
  if (FindParked(***draft, subject_id) == nullptr) return absl::OkStatus();
  HoldRecord& holds = (*draft)->Change();
  DropParked(holds, subject_id, in_->now);
  return SettleHolds(account_id, holds, {}, {}, in_->now);
}

absl::Status Work::RaiseHoldVersion(std::string_view account_id) {
  auto draft = drafts.Open(HoldRecords(), account_id);
  if (!draft.ok()) return draft.status();
  HoldRecord& holds = (*draft)->Change();
  holds.set_hold_version(holds.hold_version() + 1);
  return absl::OkStatus();
}

absl::Status Work::Rejudge(std::string_view account_id, absl::Time at) {
  absl::Status status = LoadPolicy();
  if (!status.ok()) return status;
  auto rows = SelectIssues(drafts.view(), account_id);
  if (!rows.ok()) return rows.status();
  auto contacts = SelectContactHolds(drafts.view(), account_id);
  if (!contacts.ok()) return contacts.status();
  auto draft = drafts.Open(HoldRecords(), account_id);
  if (!draft.ok()) return draft.status();
  HoldRecord& holds = (*draft)->Change();
  holds.set_hold_version(holds.hold_version() + 1);
  holds.set_policy_version(policy_version());
  DropExpired(holds, in_->now);

  holds.mutable_account()->clear_issues();
  std::set<std::string> contact_ids;
  for (const auto& row : *contacts) {
    auto contact = drafts.Open(ContactHolds(), row.key);
    if (!contact.ok()) return contact.status();
    (*contact)->Change().mutable_scope()->clear_issues();
    contact_ids.insert(row->contact_id());
  }
  std::vector<Issue> issues;
  for (const auto& row : *rows) {
    issues.push_back(*row);
    status = CountIssue(account_id, holds, issues.back(), 1, contact_ids);
    if (!status.ok()) return status;
  }
  for (const Issue& issue : issues) {
    for (const records::StandingClearance& one :
         FindRevoked(holds, issue, IssueFact::kWorsened, at, in_->now, policy().outreach())) {
      Revocation why = BecauseOf(issue, "");
      why.reason = "policy";
      status = Revoke(one.clearance_id(), why);
      if (!status.ok()) return status;
    }
  }
  return SettleHolds(account_id, holds, contact_ids, issues, at);
}

absl::Status Work::SettleHealth(std::string_view account_id, HealthRecord& health,
                                const Cause& cause) {
  const int32_t score = QuickScoreOf(health, policy().health());
  const type::v1::HealthBand band = BandOf(score, health.band(), health.stage(), policy().health());
  if (score == health.score() && band == health.band()) return absl::OkStatus();
  const int64_t at_us = std::max(health.moved_us(), time::ToMicros(cause.at));

  records::MoveRecord move;
  move.set_sequence(health.moves() + 1);
  move.set_cause_id(cause.id);
  move.set_cause_type(cause.type);
  move.set_subject_id(cause.subject_id);
  move.set_occurred_us(at_us);
  move.set_from_score(health.score());
  move.set_to_score(score);
  move.set_from_band(health.band());
  move.set_to_band(band);
  move.set_policy_version(policy_version());

  events::v1::HealthChanged event;
  event.set_account_id(std::string(account_id));
  *event.mutable_occurred_at() = time::StampOfMicros(at_us);
  event.set_from_score(health.score());
  event.set_to_score(score);
  event.set_from_band(health.band());
  event.set_to_band(band);
  event.set_cause_id(cause.id);
  event.set_cause_type(cause.type);
  *event.mutable_policy() = PolicyRef();

  if (band != health.band()) health.set_band_since_us(at_us);
  health.set_score(score);
  health.set_band(band);
  health.set_moved_us(at_us);
  health.set_moves(move.sequence());
  std::string key = SequenceKey(account_id, move.sequence());
  decision.Insert(Moves(), std::move(key), std::move(move));
  return Tell(account_id, account_id, time::FromMicros(at_us), std::move(event));
}

absl::Status Work::ChangeHealth(std::string_view account_id, const Cause& cause,
                                absl::FunctionRef<void(HealthRecord&)> change) {
  absl::Status status = LoadPolicy();
  if (!status.ok()) return status;
  auto draft = drafts.Open(HealthRecords(), account_id);
  if (!draft.ok()) return draft.status();
  const bool is_new = !(*draft)->exists();
  HealthRecord& health = (*draft)->Change();
  if (is_new) {
    health.set_score(kNoScore);
  } else if (health.policy_version() != policy_version()) {
    // The policy is a cause of its own, apart from whatever happens now.
    health.set_policy_version(policy_version());
    status = SettleHealth(
        account_id, health,
        {absl::StrCat("policy:", kPolicyKind, ":", policy_version()), "policy", "", cause.at});
    if (!status.ok()) return status;
  }
  health.set_policy_version(policy_version());
  change(health);
  status = CheckCounts(health);
  if (!status.ok()) return status;
  status = SettleHealth(account_id, health, cause);
  if (!status.ok()) return status;

  const absl::Time next = NextDecay(health, policy().health());
  const std::string timer = absl::StrCat("decay:", std::string(account_id));
  if (next == absl::InfiniteFuture()) {
    if (health.decay_us() != 0) decision.CancelTimer(timer);
    health.set_decay_us(0);
  } else if (time::ToMicros(next) != health.decay_us()) {
    records::AccountTimer payload;
    payload.set_account_id(std::string(account_id));
    decision.SetTimer(timer, next, "decay", std::string(account_id), std::move(payload));
    health.set_decay_us(time::ToMicros(next));
  }
  return absl::OkStatus();
}

}  // namespace tandem::account_health
