#include "common/host/liveness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace tandem::host {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kPatience = 10;

void Pass(Liveness& liveness, int ticks) {
  for (int i = 0; i < ticks; ++i) liveness.Tick();
}

// A part that is told when to be silent.
struct Part {
  Liveness::Ask Ask() {
    return [this](absl::AnyInvocable<void()> answered) {
      ++asked;
      if (is_silent) {
        owed.push_back(std::move(answered));
      } else {
        answered();
      }
    };
  }
  bool is_silent = false;
  int asked = 0;
  std::vector<absl::AnyInvocable<void()>> owed;
};

TEST(Liveness, HoldsWhileEveryPartAnswers) {
  Liveness liveness(kPatience);
  EXPECT_TRUE(liveness.status().ok());
  Part part;
  liveness.Watch("executor", part.Ask());
  Pass(liveness, 100);
  EXPECT_EQ(part.asked, 100);
  EXPECT_TRUE(liveness.status().ok());
}

TEST(Liveness, EndsWhenAPartIsSilentForAsLongAsThePatience) {
  Liveness liveness(kPatience);
  Part executor;
  Part call;
  liveness.Watch("executor", executor.Ask());
  liveness.Watch("call", call.Ask());
  executor.is_silent = true;
  Pass(liveness, kPatience);
  EXPECT_TRUE(liveness.status().ok());
  Pass(liveness, 1);
  EXPECT_THAT(std::string(liveness.status().message()),
              AllOf(HasSubstr("executor"), Not(HasSubstr("call"))));
  // Asked once, not once a tick: a part that hangs is not buried in questions.
  EXPECT_EQ(executor.asked, 1);
}

TEST(Liveness, ComesBackWithTheAnswer) {
  Liveness liveness(kPatience);
  Part part;
  part.is_silent = true;
  liveness.Watch("executor", part.Ask());
  Pass(liveness, 100);
  EXPECT_FALSE(liveness.status().ok());
  part.owed.front()();
  EXPECT_TRUE(liveness.status().ok());
  part.is_silent = false;
  Pass(liveness, 100);
  EXPECT_TRUE(liveness.status().ok());
}

TEST(Liveness, TakesADroppedQuestionForAnAnswer) {
  Liveness liveness(kPatience);
  Part part;
  part.is_silent = true;
  liveness.Watch("executor", part.Ask());
  Pass(liveness, 1);
  part.owed.clear();
  part.is_silent = false;
  Pass(liveness, 100);
  EXPECT_TRUE(liveness.status().ok());
}

}  // namespace
}  // namespace tandem::host
