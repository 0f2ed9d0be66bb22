// Policies over the life of `tandem serve`: what a company set by hand or in a folder is what holds
// after every start, and nothing in a folder keeps the server from serving.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/rpc/client.h"
#include "tandem/survey/v1/policy_service.pb.h"
#include "tests/contract/temp_folder.h"
#include "tests/end_to_end/program.h"

namespace tandem::end_to_end {
namespace {

namespace sv = survey::v1;
using ::testing::HasSubstr;

constexpr char kPolicies[] = "tandem.survey.v1.PolicyService/";

class PolicyOverItsLife : public ::testing::Test {
 protected:
  void Serve(bool has_folder) {
    program_.reset();
    std::vector<std::string> more;
    if (has_folder) more = {"--policies", policies_};
    absl::StatusOr<Program> served = Program::Serve(TANDEM_BINARY, data_, more);
    ASSERT_TRUE(served.ok()) << served.status();
    program_.emplace(*std::move(served));
  }
  void Write(const std::string& text) {
    std::filesystem::create_directories(policies_);
    std::ofstream(policies_ + "/survey.yaml") << text;
  }
  rpc::Client Client() {
    rpc::ClientOptions options;
    options.target = program_->address();
    options.caller = "policy-test";
    return *rpc::Client::Create(options);
  }
  absl::StatusOr<sv::ApplyPolicyResponse> Apply(int few_answers_below) {
    sv::ApplyPolicyRequest request;
    request.set_request_id(absl::StrCat("request-", ++requests_));
    request.mutable_policy()->set_few_answers_below(few_answers_below);
    return Client().Call<sv::ApplyPolicyResponse>(absl::StrCat(kPolicies, "ApplyPolicy"), request);
  }
  // "VERSION: few_answers_below".
  std::string InForce() {
    const auto reply = Client().Call<sv::GetPolicyResponse>(absl::StrCat(kPolicies, "GetPolicy"),
                                                            sv::GetPolicyRequest());
    if (!reply.ok()) return reply.status().ToString();
    return absl::StrCat(reply->version().version(), ": ", reply->policy().few_answers_below());
  }

  const TempFolder folder_;
  const std::string data_ = folder_.File("data"), policies_ = folder_.File("policies");
  std::optional<Program> program_;
  int requests_ = 0;
};

TEST_F(PolicyOverItsLife, AppliedByHandOutlivesEveryStart) {
  Serve(/*has_folder=*/false);
  const auto applied = Apply(7);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(applied->version(), 2);  // after the built-in one
  for (int i = 0; i < 2; ++i) {
    Serve(/*has_folder=*/false);
    EXPECT_EQ(InForce(), "2: 7");
  }
}

TEST_F(PolicyOverItsLife, DeclaredByAFolderFollowsTheFolderAndNobodyElse) {
  Write("few_answers_below: 3\n");
  Serve(/*has_folder=*/true);
  EXPECT_EQ(InForce(), "1: 3");
  const absl::Status refused = Apply(7).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--policies"));

  Serve(/*has_folder=*/true);
  EXPECT_EQ(InForce(), "1: 3");
  Write("few_answers_below: 4\n");
  Serve(/*has_folder=*/true);
  EXPECT_EQ(InForce(), "2: 4");
  // What is refused keeps what is in force, and the server serves.
  for (const char* broken : {"few_answers: 5\n", "few_answers_below: 5000\n", "{"}) {
    Write(broken);
    Serve(/*has_folder=*/true);
    EXPECT_EQ(InForce(), "2: 4");
  }
  Write("few_answers_below: 5\n");
  Serve(/*has_folder=*/true);
  EXPECT_EQ(InForce(), "3: 5");

  // Without its folder a company applies by hand again.
  Serve(/*has_folder=*/false);
  EXPECT_EQ(InForce(), "3: 5");
  EXPECT_TRUE(Apply(7).ok());
}

}  // namespace
}  // namespace tandem::end_to_end
