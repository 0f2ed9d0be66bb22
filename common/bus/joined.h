// A consumer that stands for a member which somebody else may still hold when the consumer ends.
#ifndef TANDEM_COMMON_BUS_JOINED_H_
#define TANDEM_COMMON_BUS_JOINED_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "common/bus/bus.h"

namespace tandem::bus {

// A member may be in a step's or a thread's hands when its consumer ends; only the consumer's end
// is the member's (Member::End). Threads as Consumer says.
template <typename Member>
class Joined : public Consumer {
 public:
  explicit Joined(std::shared_ptr<Member> member) : member_(std::move(member)) {}
  ~Joined() override { member_->End(); }
  void Seek(int partition, int64_t offset, int64_t generation) override {
    member_->Seek(partition, offset, generation);
  }
  void More(int partition, int max_records) override { member_->More(partition, max_records); }
  void ReportPosition(int partition, int64_t next_offset) override {
    member_->ReportPosition(partition, next_offset);
  }

 private:
  const std::shared_ptr<Member> member_;
};

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_BUS_JOINED_H_
