#include "services/account_health/holds.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "google/protobuf/timestamp.pb.h"

namespace tandem::account_health {
namespace {

using account::v1::HoldCondition;
using account::v1::HoldRule;
using account::v1::OutreachPolicy;
using records::HoldRecord;
using records::Issue;

// An event names at most so many tickets; the check names them all.
constexpr size_t kMaxNamedTickets = 100;
// Of the stretches in which an account was parked the last ones are kept.
constexpr int kMaxParkedSpans = 100;

using IssueList = google::protobuf::RepeatedPtrField<Issue>;

bool Fits(HoldCondition condition, const Issue& issue) {
  if ((issue.flags() & (kParked | kSuspected)) != 0) return false;
  const bool follow_up = (issue.flags() & kFollowUp) != 0;
  if (condition == account::v1::HOLD_CONDITION_BAD_SURVEY) return follow_up;
  if (follow_up) return false;
  const bool normal = issue.severity() == type::v1::SEVERITY_NORMAL;
  switch (condition) {
    case account::v1::HOLD_CONDITION_UNTRIAGED_TICKET:
      return issue.severity() == type::v1::SEVERITY_UNSPECIFIED;
    case account::v1::HOLD_CONDITION_CRITICAL_TICKET:
      return issue.severity() == type::v1::SEVERITY_CRITICAL;
    case account::v1::HOLD_CONDITION_URGENT_TICKET:
      return issue.severity() == type::v1::SEVERITY_URGENT;
    case account::v1::HOLD_CONDITION_NORMAL_TICKET_BREACHED:
      return normal && (issue.flags() & kBreached) != 0;
    case account::v1::HOLD_CONDITION_NORMAL_TICKET_REOPENED:
      return normal && (issue.flags() & kReopened) != 0;
    case account::v1::HOLD_CONDITION_NORMAL_TICKET_FRUSTRATED:
      return normal && (issue.flags() & kFrustrated) != 0;
    case account::v1::HOLD_CONDITION_NORMAL_TICKET:
      return normal;
    case account::v1::HOLD_CONDITION_GENERAL_TICKET:
      return issue.severity() == type::v1::SEVERITY_GENERAL;
    default:
      return false;
  }
}

account::v1::OutreachBlock BlockOf(const Issue& issue, std::string_view rule) {
  account::v1::OutreachBlock block;
  block.set_rule(std::string(rule));
  block.set_subject_id(issue.subject_id());
  block.set_severity(issue.severity());
  return block;
}

// What the issue is called where no rule of the policy holds the topic because of it.
std::string_view PlainName(const Issue& issue) {
  if ((issue.flags() & kParked) != 0) return kParkedRule;
  if ((issue.flags() & kSuspected) != 0) return kSuspectedName;
  if ((issue.flags() & kFollowUp) != 0) return RuleName(account::v1::HOLD_CONDITION_BAD_SURVEY);
  switch (issue.severity()) {
    case type::v1::SEVERITY_CRITICAL:
      return RuleName(account::v1::HOLD_CONDITION_CRITICAL_TICKET);
    case type::v1::SEVERITY_URGENT:
      return RuleName(account::v1::HOLD_CONDITION_URGENT_TICKET);
    case type::v1::SEVERITY_NORMAL:
      return RuleName(account::v1::HOLD_CONDITION_NORMAL_TICKET);
    case type::v1::SEVERITY_GENERAL:
      return RuleName(account::v1::HOLD_CONDITION_GENERAL_TICKET);
    default:
      return RuleName(account::v1::HOLD_CONDITION_UNTRIAGED_TICKET);
  }
}

// What holds in the scope by the issues' counts and by parked events.
TopicSet TopicsNow(const records::HeldScope& scope, bool is_parked) {
  return CountedTopics(scope) | (is_parked ? UnfreeTopics() : 0);
}

struct Reasons {
  std::set<std::string, std::less<>> rules;
  std::set<std::string, std::less<>> tickets;
  auto operator<=>(const Reasons&) const = default;
};

Reasons ReasonsOf(const ScopeCause& cause, type::v1::OutreachTopic topic,
                  const OutreachPolicy& policy) {
  Reasons reasons;
  if (cause.is_parked && !IsFree(topic)) reasons.rules.emplace(kParkedRule);
  for (const Issue& issue : cause.issues) {
    for (const HoldRule& rule : policy.rules()) {
      if (!Fits(rule.condition(), issue) || !Holds(TopicsOf(rule), topic)) continue;
      const bool for_account = rule.scope() == account::v1::HOLD_SCOPE_ACCOUNT;
      if (cause.contact_id.empty() ? !for_account
                                   : for_account || !Concerns(issue, cause.contact_id)) {
        continue;
      }
      reasons.rules.emplace(RuleName(rule.condition()));
      if ((issue.flags() & kFollowUp) == 0) reasons.tickets.insert(issue.subject_id());
      break;
    }
  }
  return reasons;
}

// Lists are in the order of the subjects' ids.
int PlaceOf(const IssueList& issues, std::string_view subject_id) {
  const auto at =
      std::lower_bound(issues.begin(), issues.end(), subject_id,
                       [](const Issue& one, std::string_view id) { return one.subject_id() < id; });
  return static_cast<int>(at - issues.begin());
}

const Issue* Find(const IssueList& issues, std::string_view subject_id) {
  const int place = PlaceOf(issues, subject_id);
  return place < issues.size() && issues[place].subject_id() == subject_id ? &issues[place]
                                                                           : nullptr;
}

void Insert(IssueList& issues, Issue issue) {
  const int place = PlaceOf(issues, issue.subject_id());
  *issues.Add() = std::move(issue);
  for (int i = issues.size() - 1; i > place; --i) issues.SwapElements(i, i - 1);
}

bool Drop(IssueList& issues, std::string_view subject_id) {
  if (Find(issues, subject_id) == nullptr) return false;
  issues.DeleteSubrange(PlaceOf(issues, subject_id), 1);
  return true;
}

}  // namespace

bool IsUnresolved(type::v1::TicketState state) {
  return state == type::v1::TICKET_STATE_NEW || state == type::v1::TICKET_STATE_OPEN ||
         state == type::v1::TICKET_STATE_PENDING || state == type::v1::TICKET_STATE_ON_HOLD;
}

bool Concerns(const Issue& issue, std::string_view contact_id) {
  if (contact_id.empty()) return false;
  if (issue.contact_id() == contact_id) return true;
  return std::find(issue.watcher_contact_ids().begin(), issue.watcher_contact_ids().end(),
                   contact_id) != issue.watcher_contact_ids().end();
}

std::string_view RuleName(HoldCondition condition) {
  switch (condition) {
    case account::v1::HOLD_CONDITION_UNTRIAGED_TICKET:
      return "untriaged_ticket";
    case account::v1::HOLD_CONDITION_CRITICAL_TICKET:
      return "critical_ticket";
    case account::v1::HOLD_CONDITION_URGENT_TICKET:
      return "urgent_ticket";
    case account::v1::HOLD_CONDITION_NORMAL_TICKET_BREACHED:
      return "normal_ticket_breached";
    case account::v1::HOLD_CONDITION_NORMAL_TICKET_REOPENED:
      return "normal_ticket_reopened";
    case account::v1::HOLD_CONDITION_NORMAL_TICKET_FRUSTRATED:
      return "normal_ticket_frustrated";
    case account::v1::HOLD_CONDITION_NORMAL_TICKET:
      return "normal_ticket_requester";
    case account::v1::HOLD_CONDITION_GENERAL_TICKET:
      return "general_ticket_requester";
    case account::v1::HOLD_CONDITION_BAD_SURVEY:
      return "bad_survey";
    default:
      return "";
  }
}

HeldBy TopicsHeldBy(const Issue& issue, const OutreachPolicy& policy) {
  HeldBy held;
  if ((issue.flags() & kParked) != 0) held.account = UnfreeTopics();
  for (const HoldRule& rule : policy.rules()) {
    if (!Fits(rule.condition(), issue)) continue;
    (rule.scope() == account::v1::HOLD_SCOPE_ACCOUNT ? held.account : held.contact) |=
        TopicsOf(rule);
  }
  return held;
}

std::string_view FindRule(const Issue& issue, type::v1::OutreachTopic topic,
                          std::string_view contact_id, const OutreachPolicy& policy) {
  if ((issue.flags() & kParked) != 0) return IsFree(topic) ? "" : kParkedRule;
  for (const HoldRule& rule : policy.rules()) {
    if (!Fits(rule.condition(), issue) || !Holds(TopicsOf(rule), topic)) continue;
    // To reach all contacts is to reach the one that it concerns too.
    if (rule.scope() == account::v1::HOLD_SCOPE_ACCOUNT || contact_id.empty() ||
        Concerns(issue, contact_id)) {
      return RuleName(rule.condition());
    }
  }
  return "";
}

Findings Judge(const std::vector<Issue>& issues, type::v1::OutreachTopic topic,
               std::string_view contact_id, const OutreachPolicy& policy) {
  Findings findings;
  for (const Issue& issue : issues) {
    const std::string_view rule = FindRule(issue, topic, contact_id, policy);
    if (!rule.empty()) {
      findings.blocks.push_back(BlockOf(issue, rule));
    } else {
      findings.advice.push_back(BlockOf(issue, PlainName(issue)));
    }
  }
  return findings;
}

void PutParked(HoldRecord& holds, std::string_view subject_id, int64_t known_sequence,
               absl::Time at) {
  if (FindParked(holds, subject_id) != nullptr) return;
  if (holds.parked().empty()) {
    holds.add_parked_spans()->set_from_us(time::ToMicros(at));
    if (holds.parked_spans_size() > kMaxParkedSpans) {
      holds.mutable_parked_spans()->DeleteSubrange(0, holds.parked_spans_size() - kMaxParkedSpans);
    }
  }
  Issue issue;
  issue.set_subject_id(std::string(subject_id));
  issue.set_flags(kParked);
  issue.set_known_sequence(known_sequence);
  Insert(*holds.mutable_parked(), std::move(issue));
}

void DropParked(HoldRecord& holds, std::string_view subject_id, absl::Time at) {
  if (!Drop(*holds.mutable_parked(), subject_id) || !holds.parked().empty()) return;
  records::ParkedSpan& last = *holds.mutable_parked_spans(holds.parked_spans_size() - 1);
  last.set_to_us(std::max(time::ToMicros(at), last.from_us() + 1));
}

const Issue* FindParked(const HoldRecord& holds, std::string_view subject_id) {
  return Find(holds.parked(), subject_id);
}

std::vector<std::string> ContactsOf(const Issue& issue) {
  std::set<std::string> contacts(issue.watcher_contact_ids().begin(),
                                 issue.watcher_contact_ids().end());
  contacts.insert(issue.contact_id());
  contacts.erase("");
  return {contacts.begin(), contacts.end()};
}

void Count(records::HeldScope& scope, TopicSet topics, int by) {
  for (const auto topic : TopicsOf(topics)) {
    while (scope.issues_size() <= topic) scope.add_issues(0);
    scope.set_issues(topic, scope.issues(topic) + by);
  }
}

TopicSet CountedTopics(const records::HeldScope& scope) {
  TopicSet topics = 0;
  for (int topic = 0; topic < scope.issues_size(); ++topic) {
    if (scope.issues(topic) > 0) topics |= TopicSet{1} << topic;
  }
  return topics;
}

TopicSet HeldTopicsOf(const records::HeldScope& scope) {
  TopicSet topics = 0;
  for (const records::HeldTopics& held : scope.held()) topics |= held.topics();
  return topics;
}

bool IsSettled(const records::HeldScope& scope, bool is_parked) {
  return TopicsNow(scope, is_parked) == HeldTopicsOf(scope);
}

void Settle(records::HeldScope& scope, const ScopeCause& cause, const OutreachPolicy& policy,
            int64_t at_us, HoldChanges& changes) {
  const TopicSet now = TopicsNow(scope, cause.is_parked);
  const TopicSet begun = now & ~HeldTopicsOf(scope);
  const google::protobuf::Timestamp instant = time::StampOfMicros(at_us);

  google::protobuf::RepeatedPtrField<records::HeldTopics> kept;
  for (records::HeldTopics& held : *scope.mutable_held()) {
    const TopicSet still = held.topics() & now;
    if (const TopicSet gone = held.topics() & ~still; gone != 0) {
      events::v1::OutreachCleared& cleared = changes.cleared.emplace_back();
      cleared.set_contact_id(std::string(cause.contact_id));
      *cleared.mutable_occurred_at() = instant;
      *cleared.mutable_held_since() = time::StampOfMicros(held.since_us());
      for (const auto topic : TopicsOf(gone)) cleared.add_topics(topic);
      if (cleared.topics_size() == 1) cleared.set_topic(cleared.topics(0));
    }
    if (still != 0) {
      held.set_topics(still);
      *kept.Add() = std::move(held);
    }
  }
  scope.mutable_held()->Swap(&kept);
  if (begun == 0) return;

  records::HeldTopics& held = *scope.add_held();
  held.set_topics(begun);
  held.set_since_us(at_us);
  std::map<Reasons, TopicSet> by_reason;
  for (const auto topic : TopicsOf(begun)) {
    by_reason[ReasonsOf(cause, topic, policy)] |= SetOf(topic);
  }
  for (const auto& [reasons, same] : by_reason) {
    events::v1::OutreachHeld& event = changes.held.emplace_back();
    event.set_contact_id(std::string(cause.contact_id));
    *event.mutable_occurred_at() = instant;
    for (const auto topic : TopicsOf(same)) event.add_topics(topic);
    if (event.topics_size() == 1) event.set_topic(event.topics(0));
    for (const std::string& rule : reasons.rules) event.add_rules(rule);
    for (const std::string& ticket : reasons.tickets) {
      if (static_cast<size_t>(event.ticket_ids_size()) == kMaxNamedTickets) break;
      event.add_ticket_ids(ticket);
    }
  }
}

int64_t LengthOfUnion(std::vector<Stretch> stretches, int64_t from_us, int64_t to_us) {
  std::sort(stretches.begin(), stretches.end(),
            [](const Stretch& a, const Stretch& b) { return a.from_us < b.from_us; });
  int64_t length = 0;
  int64_t covered_to = from_us;
  for (const Stretch& stretch : stretches) {
    const int64_t begin = std::max(stretch.from_us, covered_to);
    const int64_t end = std::min(stretch.to_us, to_us);
    if (begin >= end) continue;
    length += end - begin;
    covered_to = end;
  }
  return length;
}

}  // namespace tandem::account_health
