// Words for the tests of clocks: instants, facts and policies in a line each.
#ifndef TANDEM_SERVICES_SLA_TIMER_CLOCK_TESTING_H_
#define TANDEM_SERVICES_SLA_TIMER_CLOCK_TESTING_H_

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/time/micros.h"
#include "google/protobuf/text_format.h"
#include "services/sla_timer/clock.h"

namespace tandem::sla_timer {

inline absl::Time At(std::string_view text) {
  const absl::StatusOr<absl::Time> instant = time::ParseInstant(text);
  if (!instant.ok()) std::abort();
  return *instant;
}

inline sla::v1::SlaPolicy PolicyOf(const std::string& text) {
  sla::v1::SlaPolicy policy;
  if (!google::protobuf::TextFormat::ParseFromString(text, &policy)) std::abort();
  return policy;
}

inline std::shared_ptr<const SlaRules> RulesOf(const sla::v1::SlaPolicy& policy) {
  corridor::Violations violations;
  std::shared_ptr<const SlaRules> rules = SlaRules::Make(policy, violations);
  if (!violations.ok()) {
    std::fprintf(stderr, "%s\n", violations.status().ToString().c_str());
    std::abort();
  }
  return rules;
}

inline constexpr char kNewYork[] = R"(
  calendars { name: "always" zone: "UTC" always_open: true }
  calendars {
    name: "new-york" zone: "America/New_York"
    weekly { days: [DAY_OF_WEEK_MONDAY, DAY_OF_WEEK_TUESDAY, DAY_OF_WEEK_WEDNESDAY,
                    DAY_OF_WEEK_THURSDAY, DAY_OF_WEEK_FRIDAY] start: "09:00" end: "17:30" }
    holidays { date: "2026-11-26" name: "Thanksgiving" }
  })";

// The facts of one ticket, built in the order in which they arrive.
class History {
 public:
  explicit History(std::string_view opened_at, int64_t policy_version = 1) {
    Fact& fact = Add(FactKind::kOpened, At(opened_at));
    fact.policy_version = policy_version;
    fact.ticket_version = ++version_;
  }
  History& Triaged(std::string_view at, type::v1::Severity severity) {
    Add(FactKind::kTriaged, At(at)).attributes.severity = severity;
    return *this;
  }
  History& Severity(std::string_view at, type::v1::Severity severity) {
    Add(FactKind::kSeverity, At(at)).attributes.severity = severity;
    return *this;
  }
  History& State(std::string_view at, type::v1::TicketState state) {
    Fact& fact = Add(FactKind::kState, At(at));
    fact.state = state;
    fact.ticket_version = ++version_;
    return *this;
  }
  History& Policy(std::string_view at, int64_t version) {
    Add(FactKind::kPolicy, At(at)).policy_version = version;
    return *this;
  }
  // Any other fact of intake, or kOwned.
  History& Then(std::string_view at, FactKind kind) {
    Fact& fact = Add(kind, At(at));
    if (kind != FactKind::kOwned) fact.ticket_version = ++version_;
    return *this;
  }
  Fact& Add(FactKind kind, absl::Time at) {
    Fact fact;
    fact.kind = kind;
    fact.at = at;
    fact.arrival = static_cast<int>(facts_.size());
    facts_.push_back(fact);
    return facts_.back();
  }
  std::vector<Fact> Sorted() const {
    std::vector<Fact> sorted = facts_;
    SortFacts(sorted);
    return sorted;
  }

 private:
  std::vector<Fact> facts_;
  int64_t version_ = 0;
};

}  // namespace tandem::sla_timer

#endif  // TANDEM_SERVICES_SLA_TIMER_CLOCK_TESTING_H_
