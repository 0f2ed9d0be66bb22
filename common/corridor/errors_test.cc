#include "common/corridor/errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/rpc/echo.pb.h"
#include "google/rpc/error_details.pb.h"

namespace tandem::corridor {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

template <typename Detail>
Detail DetailOf(const absl::Status& status) {
  Detail detail;
  const auto payload =
      status.GetPayload("type.googleapis.com/" + std::string(Detail::descriptor()->full_name()));
  EXPECT_TRUE(payload.has_value()) << status;
  if (payload.has_value()) {
    EXPECT_TRUE(detail.ParseFromString(std::string(*payload)));
  }
  return detail;
}

TEST(Errors, CarryAReasonInTandemsDomain) {
  const absl::Status status =
      FailedPrecondition("TICKET_CLOSED", "ticket t_1 is closed; open a new one");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  const auto info = DetailOf<google::rpc::ErrorInfo>(status);
  EXPECT_EQ(info.reason(), "TICKET_CLOSED");
  EXPECT_EQ(info.domain(), "tandem");
}

TEST(Errors, SayWhenToTryAgain) {
  const absl::Status status =
      WithRetryAfter(absl::ResourceExhaustedError("full"), absl::Milliseconds(1250));
  const auto info = DetailOf<google::rpc::RetryInfo>(status);
  EXPECT_EQ(info.retry_delay().seconds(), 1);
  EXPECT_EQ(info.retry_delay().nanos(), 250'000'000);
}

TEST(Errors, NameWhatDoesNotExist) {
  const absl::Status status = NotFound("escalation policy", "p1");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "escalation policy p1 does not exist");
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(status).reason(), "ESCALATION_POLICY_NOT_FOUND");
}

TEST(Errors, NeverRepeatWhatIsNoId) {
  EXPECT_EQ(NotFound("ticket", "Dear Sir, my password is").message(), "ticket does not exist");
}

TEST(Violations, WhatTwoChecksSawIsToldOnce) {
  Violations first, second;
  first.Id("request_id", "");
  second.Id("request_id", "");
  second.Id("ticket_id", "");
  first.Absorb(second.status());
  EXPECT_EQ(first.status().message(), "request_id: is required; ticket_id: is required");
}

TEST(Violations, ALineIsNotBlankAndHoldsNoControlCharacter) {
  Violations good;
  good.Line("name", "Ada Lovelace \xC3\xA9", 200);
  good.Line("name", "", 200, /*optional=*/true);
  EXPECT_EQ(good.status(), absl::OkStatus());
  for (const std::string_view text : {"ada@acme.example\r\nBcc: eve@evil.example", "a\tb", "a\x7f",
                                      "a\xC2\x85z", "a\xE2\x80\xA8z"}) {
    Violations bad;
    bad.Line("name", text, 200);
    EXPECT_EQ(bad.status().message(), "name: holds a control character") << text;
  }
  Violations others;  // and what every text must be
  others.Line("blank", "  ", 200, /*optional=*/true);
  others.Line("empty", "", 200);
  others.Line("long", "abc", 2);
  EXPECT_EQ(others.status().message(),
            "blank: is blank; empty: is required; long: 3 bytes, at most 2");
}

TEST(Violations, ATextShowsSomething) {
  for (const std::string_view text :
       {" ", "\r\n\t", "\xC2\xA0", "\xE2\x80\x8B", "\xEF\xBB\xBF \xE3\x80\x80"}) {
    Violations bad;
    bad.Text("text", text, 200);
    bad.Line("line", text, 200, /*optional=*/true);
    EXPECT_THAT(bad.status().message(), HasSubstr("text: is blank; line: is blank"))
        << ::testing::PrintToString(std::string(text));
  }
}

TEST(Violations, ALanguageIsATagByItsForm) {
  Violations good;
  for (const char* tag : {"en", "pt-BR", "zh-Hant-TW"}) good.Language("language", tag);
  good.Language("language", "", /*optional=*/true);
  EXPECT_EQ(good.status(), absl::OkStatus());
  for (const std::string& tag :
       {std::string("e n"), std::string("en_US"), std::string("'; DROP"), std::string(36, 'a')}) {
    Violations bad;
    bad.Language("language", tag);
    EXPECT_THAT(bad.status().message(), HasSubstr("language: must be a BCP 47 tag")) << tag;
  }
}

TEST(Errors, TellTheCurrentVersion) {
  const absl::Status status = VersionConflict("ticket", "t_1", 3, 5);
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(status.message(), "ticket t_1 has version 5, not 3; read it again");
}

TEST(Violations, OfNothingAreOk) {
  Violations violations;
  EXPECT_TRUE(violations.Id("ticket_id", "t_1"));
  EXPECT_TRUE(violations.Text("subject", "Grüße 👋", 100));
  EXPECT_TRUE(violations.Text("note", "", 100, /*optional=*/true));
  EXPECT_TRUE(violations.Key("product", "mail-server.v2"));
  EXPECT_TRUE(violations.Count("tags", 3, 3));
  EXPECT_TRUE(violations.Range("score", 5, 1, 5));
  EXPECT_TRUE(violations.PageSize(0, 100));
  EXPECT_TRUE(violations.ok());
  EXPECT_TRUE(violations.status().ok());
}

TEST(Violations, NameEveryBadFieldAtOnce) {
  Violations violations;
  EXPECT_FALSE(violations.Id("ticket_id", ""));
  EXPECT_FALSE(violations.Id("contact_id", "a b"));
  EXPECT_FALSE(violations.Text("subject", std::string(501, 'x'), 500));
  EXPECT_FALSE(violations.Key("product", "Mail"));
  EXPECT_FALSE(violations.Count("tags", 4, 3));
  EXPECT_FALSE(violations.Range("score", 6, 1, 5));
  EXPECT_FALSE(violations.PageSize(-1, 100));
  const absl::Status status = violations.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("ticket_id: is required"), HasSubstr("contact_id: "),
                    HasSubstr("subject: 501 bytes, at most 500"), HasSubstr("product: "),
                    HasSubstr("tags: 4 entries, at most 3"),
                    HasSubstr("score: 6 is not within 1 to 5"), HasSubstr("page_size: ")));
  const auto details = DetailOf<google::rpc::BadRequest>(status);
  ASSERT_THAT(details.field_violations(), SizeIs(7));
  EXPECT_EQ(details.field_violations(2).field(), "subject");
  EXPECT_EQ(details.field_violations(2).description(), "501 bytes, at most 500");
}

TEST(Violations, AreCutToWhatATrailerHolds) {
  Violations violations;
  for (int i = 0; i < 1000; ++i) violations.Id("watchers[" + std::to_string(i) + "]", "no id");
  const absl::Status status = violations.status();
  EXPECT_THAT(status.message(), HasSubstr(" more bad fields"));
  EXPECT_LT(status.message().size(), 1024u);
  EXPECT_LT(DetailOf<google::rpc::BadRequest>(status).ByteSizeLong(), 2048u);
}

class BrokenUtf8 : public ::testing::TestWithParam<std::string> {};

TEST_P(BrokenUtf8, IsNoText) {
  Violations violations;
  EXPECT_FALSE(violations.Text("subject", "ab" + GetParam(), 100));
  EXPECT_FALSE(violations.Text("subject", GetParam() + "ab", 100));
}

INSTANTIATE_TEST_SUITE_P(Sequences, BrokenUtf8,
                         ::testing::Values("\xff", "\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf",
                                           "\xed\xa0\x80", "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80",
                                           "\xf5\x80\x80\x80", "\xe2\x82", std::string(1, '\0')));

std::string ShapeOf(const google::protobuf::Message& message) {
  Violations violations;
  CheckShape(message, violations);
  return std::string(violations.status().message());
}

TEST(Shape, OfAnOrdinaryMessageIsGood) {
  rpc::testing::EchoRequest request;
  request.set_text("hello");
  request.mutable_at()->set_seconds(1'700'000'000);
  request.mutable_lasting()->set_seconds(-3);
  request.mutable_lasting()->set_nanos(-5);
  request.add_parts()->set_colour(rpc::testing::COLOUR_RED);
  EXPECT_EQ(ShapeOf(request), "");
}

TEST(Shape, KnowsEveryEnumNumber) {
  rpc::testing::EchoRequest request;
  request.mutable_part()->set_colour(static_cast<rpc::testing::Colour>(77));
  request.add_parts();
  request.add_parts()->set_colour(static_cast<rpc::testing::Colour>(-1));
  request.add_colours(static_cast<rpc::testing::Colour>(9));
  EXPECT_EQ(ShapeOf(request),
            "part.colour: 77 is no Colour; parts[1].colour: -1 is no Colour; "
            "colours[0]: 9 is no Colour");
}

TEST(Shape, LooksIntoMaps) {
  // {"secret": a NullValue that there is not}. Parsed and not set: protobuf's own maps are laid out
  // otherwise in a build with ThreadSanitizer, and only the library may touch them there.
  rpc::testing::EchoRequest request;
  ASSERT_TRUE(request.mutable_extra()->ParseFromString("\x0a\x0c\x0a\x06secret\x12\x02\x08\x4d"));
  EXPECT_EQ(ShapeOf(request), "extra.fields[0].value.null_value: 77 is no NullValue");
}

TEST(Shape, BoundsInstantsAndDurations) {
  rpc::testing::EchoRequest request;
  request.mutable_at()->set_seconds(-1);
  EXPECT_EQ(ShapeOf(request), "at: must lie in the years 1970 to 9999");
  request.mutable_at()->set_seconds(253402300799);
  EXPECT_EQ(ShapeOf(request), "");
  request.mutable_at()->set_seconds(253402300800);
  EXPECT_EQ(ShapeOf(request), "at: must lie in the years 1970 to 9999");
  request.mutable_at()->set_seconds(1);
  request.mutable_at()->set_nanos(1'000'000'000);
  EXPECT_EQ(ShapeOf(request), "at: nanos must be 0 to 999999999");
  request.clear_at();
  request.mutable_lasting()->set_seconds(-3155760001);
  EXPECT_EQ(ShapeOf(request), "lasting: must be within 100 years");
  request.mutable_lasting()->set_seconds(1);
  request.mutable_lasting()->set_nanos(-1);
  EXPECT_THAT(ShapeOf(request), HasSubstr("have the sign of the seconds"));
}

TEST(Shape, BoundsListsAndTexts) {
  rpc::testing::EchoRequest request;
  for (int i = 0; i < 1001; ++i) request.add_numbers(i);
  request.mutable_part()->set_name(std::string((1 << 20) + 1, 'x'));
  request.set_blob(std::string((1 << 20) + 1, 'x'));
  EXPECT_EQ(ShapeOf(request),
            "part.name: 1048577 bytes, at most 1048576; numbers: 1001 entries, at most 1000; "
            "blob: 1048577 bytes, at most 1048576");
}

}  // namespace
}  // namespace tandem::corridor
