// Sets of outreach topics, and what is true of each topic whatever the policy says. Pure; any
// thread.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_TOPICS_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_TOPICS_H_

#include <cstdint>
#include <vector>

#include "tandem/account/v1/account_policy.pb.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::account_health {

// Bit n = topic number n.
using TopicSet = uint32_t;

constexpr TopicSet SetOf(type::v1::OutreachTopic topic) {
  return topic > 0 && topic < 32 ? TopicSet{1} << topic : 0;
}
inline bool Holds(TopicSet set, type::v1::OutreachTopic topic) { return (set & SetOf(topic)) != 0; }
// The members, ascending.
std::vector<type::v1::OutreachTopic> TopicsOf(TopicSet set);

// RENEWAL, UPGRADE, UPSELL, CROSS_SELL, ADVOCACY and SURVEY_NPS.
TopicSet CommercialTopics();
// Never held, never counted against the budget.
inline bool IsFree(type::v1::OutreachTopic topic) {
  return topic == type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP;
}
// Every topic but the free ones.
TopicSet UnfreeTopics();
inline bool IsSurvey(type::v1::OutreachTopic topic) {
  return topic == type::v1::OUTREACH_TOPIC_SURVEY_TICKET ||
         topic == type::v1::OUTREACH_TOPIC_SURVEY_NPS;
}
// The topics of a rule: those that it names, or else the commercial ones; never a free one.
TopicSet TopicsOf(const account::v1::HoldRule& rule);
// The topics that at least one rule can hold: only for these is ticket_intake asked.
TopicSet HoldableTopics(const account::v1::OutreachPolicy& policy);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_TOPICS_H_
