#include "services/tandem/held_hours.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace tandem::programs {

double RoundedHours(absl::Duration duration) {
  // From whole seconds, so that the order of a sum does not show in the last digit.
  return std::round(static_cast<double>(absl::ToInt64Seconds(duration)) / 36.0) / 100.0;
}

void HeldHours::Sum::Fill(type::v1::OutreachTopic topic, TopicHours* hours) const {
  hours->set_topic(topic);
  hours->set_account_hours(RoundedHours(account_held));
  hours->set_accounts(accounts);
  hours->set_contact_hours(RoundedHours(contact_held));
  hours->set_contacts(contacts);
}

void HeldHours::Add(const std::string& account, const std::string& contact,
                    type::v1::OutreachTopic topic, absl::Duration held) {
  for (Sum* sum : {&topics_[topic], &accounts_[account][topic]}) {
    if (contact.empty()) {
      sum->account_held += held;
      ++sum->accounts;
    } else {
      sum->contact_held += held;
      ++sum->contacts;
    }
  }
}

void HeldHours::Report(HeldOutreach* outreach) const {
  for (const auto& [topic, sum] : topics_) sum.Fill(topic, outreach->add_topics());

  struct Ranked {
    absl::Duration longest;
    const std::string* account;
  };
  std::vector<Ranked> ranked;
  for (const auto& [account, topics] : accounts_) {
    absl::Duration longest;
    for (const auto& [topic, sum] : topics) longest = std::max(longest, sum.account_held);
    ranked.push_back({longest, &account});
  }
  // Equals keep the order of their ids.
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const Ranked& a, const Ranked& b) { return a.longest > b.longest; });
  for (const Ranked& entry : ranked) {
    AccountHours* const hours = outreach->add_accounts();
    hours->set_account_id(*entry.account);
    for (const auto& [topic, sum] : accounts_.at(*entry.account)) {
      sum.Fill(topic, hours->add_topics());
    }
  }
}

}  // namespace tandem::programs
