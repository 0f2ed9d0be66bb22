#include "common/corridor/page_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "tandem/admin/v1/admin_service.pb.h"

namespace tandem::corridor {
namespace {

using admin::v1::ListDeadLettersRequest;
using admin::v1::ListOutboxRequest;
using admin::v1::ListTimersRequest;

ListTimersRequest Question(const std::string& key) {
  ListTimersRequest question;
  question.set_service("triage");
  question.set_key(key);
  return question;
}

TEST(PageToken, IsEmptyForTheFirstPage) {
  const auto position = OpenPosition(Question("k"));
  ASSERT_TRUE(position.ok());
  EXPECT_EQ(*position, "");
}

TEST(PageToken, GoesOnAtItsPositionWhateverThePageSize) {
  ListTimersRequest question = Question("k");
  question.set_page_size(7);
  question.set_page_token(SealPosition(question, "17|t|\n\xff"));
  question.set_page_size(300);
  const auto position = OpenPosition(question);
  ASSERT_TRUE(position.ok()) << position.status();
  EXPECT_EQ(*position, "17|t|\n\xff");
  // The token of the page after it is made from a question that carries one.
  EXPECT_EQ(SealPosition(question, "18"), SealPosition(Question("k"), "18"));
}

TEST(PageToken, IsRefusedByAnotherFilter) {
  ListTimersRequest question = Question("other");
  question.set_page_token(SealPosition(Question("k"), "17"));
  const absl::Status refused = OpenPosition(question).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.message(), ::testing::HasSubstr("page_token: is not one that this question"));
}

TEST(PageToken, IsRefusedByAnotherListOfTheSameShape) {
  ListTimersRequest timers;
  timers.set_service("triage");
  ListOutboxRequest outbox;
  outbox.set_service("triage");
  ListDeadLettersRequest letters;
  letters.set_service("triage");
  ASSERT_EQ(timers.SerializeAsString(), letters.SerializeAsString());
  letters.set_page_token(SealPosition(timers, "1"));
  EXPECT_EQ(OpenPosition(letters).status().code(), absl::StatusCode::kInvalidArgument);
  outbox.set_page_token(SealPosition(timers, "1"));
  EXPECT_EQ(OpenPosition(outbox).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(PageToken, IsRefusedWhenNobodyMadeIt) {
  ListTimersRequest question = Question("k");
  std::string sealed;
  ASSERT_TRUE(absl::WebSafeBase64Unescape(SealPosition(question, "1"), &sealed));
  for (const std::string& token :
       {std::string(" "), std::string("1"), std::string("!"), std::string("YWNtZQ"),
        absl::WebSafeBase64Escape(sealed.substr(0, 8)), std::string(100'000, 'x')}) {
    question.set_page_token(token);
    EXPECT_EQ(OpenPosition(question).status().code(), absl::StatusCode::kInvalidArgument)
        << token.substr(0, 20);
  }
}

}  // namespace
}  // namespace tandem::corridor
