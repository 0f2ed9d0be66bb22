#include "common/store/lock_order.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::store {
namespace {

using ::testing::ElementsAre;

TEST(LockOrder, IsByTableAndKeyAndWhatHasNoKeyComesLast) {
  std::vector<Write> batch;
  for (const auto& [table, key] : std::vector<std::pair<std::string, std::string>>{
           {"outbox", ""}, {"tickets", "b"}, {"outbox", ""}, {"tickets", "a"}, {"accounts", "z"}}) {
    batch.push_back({table, key, {}, Expect::kAnyRows});
  }
  batch.push_back({"tickets", "a", {}, Expect::kOneRow});
  std::vector<size_t> order;
  SortForLocking(batch, order);
  EXPECT_THAT(order, ElementsAre(4, 3, 5, 1, 0, 2));
}

}  // namespace
}  // namespace tandem::store
