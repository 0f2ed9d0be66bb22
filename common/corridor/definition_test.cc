#include "common/corridor/definition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/rpc/echo.pb.h"

namespace tandem::corridor {
namespace {

using rpc::testing::EchoRequest;
using rpc::testing::EchoResponse;
using rpc::testing::LookRequest;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kEchoMethod = "tandem.rpc.testing.EchoService/Echo";
constexpr std::string_view kShout = "tandem.rpc.testing.EchoService/Shout";
constexpr std::string_view kLook = "tandem.rpc.testing.OtherService/Look";

ServiceDefinition Empty() { return ServiceDefinition("echo", store::Schema{}); }

template <typename Req>
void Command(ServiceDefinition& definition, std::string_view method) {
  definition.OnCommand<Req>(
      method, nullptr,
      [](const Req&, const Inputs&, View&) -> absl::StatusOr<Decision> { return Decision(); });
}

template <typename Req, typename Rep>
void Query(ServiceDefinition& definition, std::string_view method) {
  definition.OnQuery<Req, Rep>(
      method, nullptr,
      [](const Req&, const Inputs&, View&) -> absl::StatusOr<Rep> { return Rep(); });
}

TEST(FindMethod, KnowsTheProtosLinkedIn) {
  const auto* method = FindMethod(kEchoMethod);
  ASSERT_NE(method, nullptr);
  EXPECT_EQ(method->input_type(), EchoRequest::descriptor());
  EXPECT_EQ(MethodName(method), kEchoMethod);
}

TEST(FindMethod, FindsNothingUnderABrokenName) {
  for (const std::string_view name :
       {"", "/", "Echo", "/tandem.rpc.testing.EchoService/Echo", "tandem.rpc.testing.EchoService/",
        "tandem.rpc.testing.EchoService.Echo", "tandem.rpc.testing.EchoService/Sing",
        "tandem.rpc.testing.NoService/Echo", "tandem.rpc.testing.EchoRequest/Echo"}) {
    EXPECT_EQ(FindMethod(name), nullptr) << name;
  }
}

TEST(Definition, IsGoodWhenEveryMethodIsBound) {
  ServiceDefinition definition = Empty();
  Command<EchoRequest>(definition, kEchoMethod);
  Query<EchoRequest, EchoResponse>(definition, kShout);
  EXPECT_EQ(definition.Check(), absl::OkStatus());
}

TEST(Definition, NamesTheMethodsOfItsServicesThatAreNotBound) {
  ServiceDefinition definition = Empty();
  Command<EchoRequest>(definition, kEchoMethod);
  const absl::Status status = definition.Check();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("service echo: tandem.rpc.testing.EchoService/Shout has no function"),
                    Not(HasSubstr("OtherService"))));
}

TEST(Definition, NamesWhatIsNoMethodOrBoundTwice) {
  ServiceDefinition definition = Empty();
  Command<EchoRequest>(definition, "tandem.rpc.testing.EchoService/Sing");
  Command<EchoRequest>(definition, kEchoMethod);
  Command<EchoRequest>(definition, kEchoMethod);
  EXPECT_THAT(definition.Check().message(), AllOf(HasSubstr("EchoService/Sing is no method"),
                                                  HasSubstr("EchoService/Echo is bound twice")));
}

TEST(Definition, RefusesAFunctionForAnotherMessage) {
  ServiceDefinition definition = Empty();
  Query<LookRequest, EchoResponse>(definition, kEchoMethod);
  Query<EchoRequest, EchoRequest>(definition, kShout);
  EXPECT_THAT(definition.Check().message(),
              AllOf(HasSubstr("EchoService/Echo takes tandem.rpc.testing.EchoRequest"),
                    HasSubstr("EchoService/Shout answers tandem.rpc.testing.EchoResponse")));
}

TEST(Definition, RefusesACommandThatCannotBeRepeated) {
  ServiceDefinition definition = Empty();
  Command<LookRequest>(definition, kLook);
  EXPECT_THAT(definition.Check().message(), HasSubstr("request has no request_id"));
}

TEST(Definition, CallsNoValidatorThatIsNotThere) {
  ServiceDefinition definition = Empty();
  Command<EchoRequest>(definition, kEchoMethod);
  EXPECT_EQ(definition.methods().at(std::string(kEchoMethod)).validate, nullptr);
}

}  // namespace
}  // namespace tandem::corridor
