// The folder of a running `tandem serve`, taken away from under it.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/rpc/client.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tests/contract/temp_folder.h"
#include "tests/end_to_end/program.h"

namespace tandem::end_to_end {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(60);

rpc::Client Connect(const Program& program) {
  rpc::ClientOptions options;
  options.target = program.address();
  options.caller = "folder-test";
  options.timeout = absl::Seconds(10);
  return *rpc::Client::Create(options);
}

// Asks until it is so.
bool Eventually(const std::function<bool()>& is_so) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (absl::Now() < deadline) {
    if (is_so()) return true;
    std::this_thread::yield();
  }
  return false;
}

// The status line and body of GET /readyz.
std::string Readiness(const Program& program) {
  const std::string address = program.http_address();
  const size_t colon = address.rfind(':');
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::atoi(address.substr(colon + 1).c_str())));
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  std::string answer;
  const std::string request = "GET /readyz HTTP/1.0\r\nHost: x\r\nConnection: close\r\n\r\n";
  if (connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0 &&
      send(socket, request.data(), request.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(request.size())) {
    char buffer[4096];
    ssize_t size = 0;
    while ((size = read(socket, buffer, sizeof(buffer))) > 0) {
      answer.append(buffer, static_cast<size_t>(size));
    }
  }
  close(socket);
  return answer;
}
bool IsReady(const Program& program) {
  return Readiness(program).substr(0, 12).find("200") != std::string::npos;
}

absl::StatusOr<std::string> OpenTicket(const rpc::Client& client, const std::string& request_id) {
  intake::v1::OpenTicketRequest request;
  request.set_request_id(request_id);
  request.mutable_requester()->set_address("ada@acme.example");
  request.set_subject("Nobody can sign in");
  request.set_text("Since this morning.");
  request.set_channel(type::v1::CHANNEL_PORTAL);
  request.set_impact(type::v1::IMPACT_HIGH);
  request.set_urgency(type::v1::URGENCY_HIGH);
  const auto reply = client.Call<intake::v1::OpenTicketResponse>(
      "tandem.intake.v1.TicketService/OpenTicket", request);
  if (!reply.ok()) return reply.status();
  return reply->ticket_id();
}

std::string Binary() { return TANDEM_BINARY; }

TEST(TheFolder, DeletedUnderAServerEndsItsReadinessAndItsAcknowledgements) {
  const TempFolder folder;
  const std::string data = folder.File("data");
  auto program = Program::Serve(Binary(), data);
  ASSERT_TRUE(program.ok()) << program.status();
  const rpc::Client client = Connect(*program);
  ASSERT_TRUE(OpenTicket(client, "before").ok());
  ASSERT_TRUE(Eventually([&] { return IsReady(*program); }));

  std::filesystem::remove_all(data);
  const auto refused = OpenTicket(client, "after");
  EXPECT_TRUE(absl::IsUnavailable(refused.status())) << refused.status();
  EXPECT_TRUE(Eventually([&] { return !IsReady(*program); }));
  EXPECT_THAT(Readiness(*program), HasSubstr("deleted or moved"));
}

TEST(TheFolder, ReplacedUnderAServerIsNotWrittenAndPutBackItIs) {
  const TempFolder folder;
  const std::string data = folder.File("data");
  auto program = Program::Serve(Binary(), data);
  ASSERT_TRUE(program.ok()) << program.status();
  const rpc::Client client = Connect(*program);
  ASSERT_TRUE(OpenTicket(client, "before").ok());

  std::filesystem::rename(data, data + ".old");
  std::filesystem::copy(data + ".old", data, std::filesystem::copy_options::recursive);
  for (int again = 0; again < 2; ++again) {
    const absl::Status refused = OpenTicket(client, "meanwhile").status();
    EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
  }
  EXPECT_TRUE(Eventually([&] { return !IsReady(*program); }));

  std::filesystem::remove_all(data);
  std::filesystem::rename(data + ".old", data);
  EXPECT_TRUE(Eventually([&] { return IsReady(*program); }));
  EXPECT_TRUE(Eventually([&] { return OpenTicket(client, "meanwhile").ok(); }));
}

TEST(TheFolder, OfWhichADatabaseWasLostIsRefusedWithTheWayOut) {
  const TempFolder folder;
  const std::string data = folder.File("data");
  {
    auto program = Program::Serve(Binary(), data);
    ASSERT_TRUE(program.ok()) << program.status();
    ASSERT_TRUE(OpenTicket(Connect(*program), "before").ok());
    ASSERT_TRUE(program->Terminate(kPatience).ok());
  }
  std::filesystem::resize_file(data + "/sla_timer.db", 0);
  const auto emptied = Program::Serve(Binary(), data);
  EXPECT_THAT(std::string(emptied.status().message()),
              AllOf(HasSubstr("sla_timer.db is empty"), HasSubstr("tandemctl restore")));
  std::filesystem::remove(data + "/sla_timer.db");
  const auto missing = Program::Serve(Binary(), data);
  EXPECT_THAT(std::string(missing.status().message()),
              AllOf(HasSubstr("sla_timer.db is not there"), HasSubstr("tandemctl restore")));
}

TEST(TheFolder, OfAReplayIsNotServed) {
  const TempFolder folder;
  const std::string data = folder.File("data");
  const auto replayed =
      RunToEnd({Binary(), "replay", "--log",
                absl::StrCat(TANDEM_SOURCE_DIR, "/tests/data/incidents.csv"), "--mapping",
                absl::StrCat(TANDEM_SOURCE_DIR, "/deploy/replay/servicenow.yaml"), "--data", data},
               absl::Minutes(2));
  ASSERT_TRUE(replayed.ok()) << replayed.status();
  ASSERT_EQ(replayed->exit_code, 0) << replayed->errors;
  const auto refused = Program::Serve(Binary(), data);
  EXPECT_THAT(std::string(refused.status().message()),
              AllOf(HasSubstr("holds a replay"), HasSubstr("another folder")));
  EXPECT_FALSE(std::filesystem::exists(data + "/log.db"));
}

}  // namespace
}  // namespace tandem::end_to_end
