#include "services/account_health/topics.h"

namespace tandem::account_health {

std::vector<type::v1::OutreachTopic> TopicsOf(TopicSet set) {
  std::vector<type::v1::OutreachTopic> topics;
  for (int number = 1; number < 32; ++number) {
    if ((set & (TopicSet{1} << number)) != 0) {
      topics.push_back(static_cast<type::v1::OutreachTopic>(number));
    }
  }
  return topics;
}

TopicSet CommercialTopics() {
  return SetOf(type::v1::OUTREACH_TOPIC_RENEWAL) | SetOf(type::v1::OUTREACH_TOPIC_UPGRADE) |
         SetOf(type::v1::OUTREACH_TOPIC_UPSELL) | SetOf(type::v1::OUTREACH_TOPIC_CROSS_SELL) |
         SetOf(type::v1::OUTREACH_TOPIC_ADVOCACY) | SetOf(type::v1::OUTREACH_TOPIC_SURVEY_NPS);
}

TopicSet UnfreeTopics() {
  TopicSet set = 0;
  for (int number = 1; number < type::v1::OutreachTopic_ARRAYSIZE; ++number) {
    const auto topic = static_cast<type::v1::OutreachTopic>(number);
    if (type::v1::OutreachTopic_IsValid(number) && !IsFree(topic)) set |= SetOf(topic);
  }
  return set;
}

TopicSet TopicsOf(const account::v1::HoldRule& rule) {
  if (rule.topics().empty()) return CommercialTopics();
  TopicSet set = 0;
  for (const int topic : rule.topics()) {
    if (!IsFree(static_cast<type::v1::OutreachTopic>(topic))) {
      set |= SetOf(static_cast<type::v1::OutreachTopic>(topic));
    }
  }
  return set;
}

TopicSet HoldableTopics(const account::v1::OutreachPolicy& policy) {
  TopicSet set = 0;
  for (const account::v1::HoldRule& rule : policy.rules()) set |= TopicsOf(rule);
  return set;
}

}  // namespace tandem::account_health
