// Clocks as messages. Pure.
#ifndef TANDEM_SERVICES_SLA_TIMER_ANSWERS_H_
#define TANDEM_SERVICES_SLA_TIMER_ANSWERS_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "services/sla_timer/clock.h"
#include "services/sla_timer/records.pb.h"
#include "tandem/sla/v1/sla_service.pb.h"

namespace tandem::sla_timer {

// `clock` gives the warnings; it may be null.
sla::v1::ClockStatus StatusOf(type::v1::SlaMetric metric, const Cycle& cycle,
                              const records::Clock* clock, absl::Time now);
sla::v1::JudgedVerdict VerdictMessage(const records::Judged& judged);

// The facts with the classification of now from the opening on, under one version of the policy.
std::vector<Fact> AsIfKnown(const std::vector<Fact>& facts, int64_t policy_version);

// What is stored of a clock and its facts do not give, field by field. `metric` may have no clock.
std::vector<sla::v1::ClockDrift> DriftsOf(const std::string& ticket_id,
                                          const records::TicketRecord& record,
                                          type::v1::SlaMetric metric,
                                          const PolicyVersions& policies, absl::Time now);

}  // namespace tandem::sla_timer

#endif  // TANDEM_SERVICES_SLA_TIMER_ANSWERS_H_
