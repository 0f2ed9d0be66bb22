// For how long outreach was held, summed by topic and account.
#ifndef TANDEM_SERVICES_TANDEM_HELD_HOURS_H_
#define TANDEM_SERVICES_TANDEM_HELD_HOURS_H_

#include <map>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "services/tandem/replay_report.pb.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::programs {

// Hours with two decimals.
double RoundedHours(absl::Duration duration);

// A value type.
class HeldHours {
 public:
  // `contact` empty = the whole account.
  void Add(const std::string& account, const std::string& contact, type::v1::OutreachTopic topic,
           absl::Duration held);
  // Fills topics and accounts.
  void Report(HeldOutreach* outreach) const;

 private:
  struct Sum {
    absl::Duration account_held, contact_held;
    int accounts = 0, contacts = 0;  // held at some time
    void Fill(type::v1::OutreachTopic topic, TopicHours* hours) const;
  };
  std::map<type::v1::OutreachTopic, Sum> topics_;
  std::map<std::string, std::map<type::v1::OutreachTopic, Sum>> accounts_;
};

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_HELD_HOURS_H_
