// The folder of a running `tandem serve`: taken away from under it, copied while it is served,
// brought back.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/rpc/client.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/account/v1/outreach_service.pb.h"
#include "tandem/admin/v1/admin_service.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tandem/sla/v1/sla_service.pb.h"
#include "tandem/triage/v1/staff_service.pb.h"
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

// An account with a domain, so that its tickets hold its outreach.
absl::Status PutAccount(const rpc::Client& client) {
  account::v1::PutAccountRequest request;
  request.set_request_id("put-acme");
  request.mutable_account()->set_account_id("acme");
  request.mutable_account()->set_display_name("Acme");
  request.mutable_account()->set_segment(type::v1::SEGMENT_ENTERPRISE);
  request.mutable_account()->set_stage(type::v1::JOURNEY_STAGE_LOYALTY);
  request.mutable_account()->add_domains("acme.example");
  return client
      .Call<account::v1::PutAccountResponse>("tandem.account.v1.AccountService/PutAccount", request)
      .status();
}

absl::Status PutStaff(const rpc::Client& client) {
  triage::v1::PutStaffRequest request;
  request.set_request_id("put-csm");
  request.mutable_staff()->set_staff_id("csm");
  request.mutable_staff()->set_display_name("Carla");
  request.mutable_staff()->set_function(type::v1::STAFF_FUNCTION_CSM);
  request.mutable_staff()->add_roles(type::v1::STAFF_ROLE_CSM);
  request.mutable_staff()->set_active(true);
  return client
      .Call<triage::v1::PutStaffResponse>("tandem.triage.v1.StaffService/PutStaff", request)
      .status();
}

bool HasClock(const rpc::Client& client, const std::string& ticket) {
  sla::v1::GetTicketSlaRequest request;
  request.set_ticket_id(ticket);
  const auto reply =
      client.Call<sla::v1::GetTicketSlaResponse>("tandem.sla.v1.SlaService/GetTicketSla", request);
  return reply.ok() && reply->clocks_size() > 0;
}

// The tickets that the timeline of the account names.
std::set<std::string> OnTimeline(const rpc::Client& client) {
  std::set<std::string> tickets;
  account::v1::GetTimelineRequest request;
  request.set_account_id("acme");
  request.set_page_size(200);
  for (;;) {
    const auto reply = client.Call<account::v1::GetTimelineResponse>(
        "tandem.account.v1.AccountService/GetTimeline", request);
    if (!reply.ok()) return tickets;
    for (const auto& entry : reply->entries()) tickets.insert(entry.subject_id());
    if (reply->next_page_token().empty()) return tickets;
    request.set_page_token(reply->next_page_token());
  }
}

std::string Binary() { return TANDEM_BINARY; }
std::string Ctl() { return TANDEMCTL_BINARY; }

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

TEST(TheFolder, CopiedFileByFileSaysThatItIsNoBackup) {
  const TempFolder folder;
  const std::string data = folder.File("data");
  {
    auto program = Program::Serve(Binary(), data);
    ASSERT_TRUE(program.ok()) << program.status();
    // What `cp` may do: the log first, the services when they have gone on.
    std::filesystem::create_directory(folder.File("early"));
    for (const char* suffix : {"", "-wal"}) {
      std::filesystem::copy_file(absl::StrCat(data, "/log.db", suffix),
                                 absl::StrCat(folder.File("early"), "/log.db", suffix));
    }
    const rpc::Client client = Connect(*program);
    const auto ticket = OpenTicket(client, "before");
    ASSERT_TRUE(ticket.ok());
    ASSERT_TRUE(Eventually([&] { return HasClock(client, *ticket); }));
    ASSERT_TRUE(program->Terminate(kPatience).ok());
  }
  std::filesystem::remove(data + "/log.db");
  for (const char* suffix : {"", "-wal"}) {
    std::filesystem::copy_file(absl::StrCat(folder.File("early"), "/log.db", suffix),
                               absl::StrCat(data, "/log.db", suffix));
  }
  const auto refused = Program::Serve(Binary(), data);
  EXPECT_THAT(std::string(refused.status().message()),
              AllOf(HasSubstr("do not belong together"), HasSubstr("tandemctl backup")));
}

// The other way round: intake's file first, the rest when the others have gone on.
TEST(TheFolder, CopiedWithAnOlderSourceIsRefusedBeforeItDropsWhatIsNew) {
  const TempFolder folder;
  const std::string data = folder.File("data");
  const std::string early = folder.File("early.db");
  {
    auto program = Program::Serve(Binary(), data);
    ASSERT_TRUE(program.ok()) << program.status();
    ASSERT_TRUE(program->Terminate(kPatience).ok());
  }
  std::filesystem::copy_file(data + "/ticket_intake.db", early);
  {
    auto program = Program::Serve(Binary(), data);
    ASSERT_TRUE(program.ok()) << program.status();
    const rpc::Client client = Connect(*program);
    const auto ticket = OpenTicket(client, "before");
    ASSERT_TRUE(ticket.ok());
    ASSERT_TRUE(Eventually([&] { return HasClock(client, *ticket); }));
    ASSERT_TRUE(program->Terminate(kPatience).ok());
  }
  std::filesystem::copy_file(early, data + "/ticket_intake.db",
                             std::filesystem::copy_options::overwrite_existing);
  const auto refused = Program::Serve(Binary(), data);
  EXPECT_THAT(std::string(refused.status().message()),
              AllOf(HasSubstr("do not belong together"), HasSubstr("of ticket_intake")));
}

// Tickets are opened before, while and after the backup is taken; the machine is lost; what was
// restored is whole, and goes on.
TEST(ABackup, TakenUnderLoadIsRestoredAsOneInstantThatGoesOn) {
  const TempFolder folder;
  const std::string data = folder.File("data");
  const std::string backup = folder.File("backup");
  std::set<std::string> before, after;
  {
    auto program = Program::Serve(Binary(), data);
    ASSERT_TRUE(program.ok()) << program.status();
    const rpc::Client client = Connect(*program);
    const absl::Status account = PutAccount(client);
    ASSERT_TRUE(account.ok()) << account;
    const absl::Status staff = PutStaff(client);
    ASSERT_TRUE(staff.ok()) << staff;
    std::mutex mutex;
    bool has_begun = false;
    std::atomic<bool> stop = false;
    std::atomic<int> opened = 0;
    std::vector<std::thread> load;
    for (int worker = 0; worker < 3; ++worker) {
      load.emplace_back([&, worker] {
        const rpc::Client own = Connect(*program);
        for (int i = 0; !stop.load(); ++i) {
          const auto ticket = OpenTicket(own, absl::StrCat("load-", worker, "-", i));
          if (!ticket.ok()) continue;
          const std::lock_guard<std::mutex> lock(mutex);
          (has_begun ? after : before).insert(*ticket);
          ++opened;
        }
      });
    }
    ASSERT_TRUE(Eventually([&] { return opened.load() >= 100; }));
    {
      const std::lock_guard<std::mutex> lock(mutex);
      has_begun = true;
    }
    const auto taken = RunToEnd({Ctl(), "backup", "--to", backup, "--address", program->address()},
                                absl::Minutes(2));
    ASSERT_TRUE(taken.ok()) << taken.status();
    EXPECT_EQ(taken->exit_code, 0) << taken->errors;
    EXPECT_THAT(taken->output, AllOf(HasSubstr("log.db"), HasSubstr("ticket_intake.db"),
                                     HasSubstr("Backed up the state of")));
    const int then = opened.load();
    ASSERT_TRUE(Eventually([&] { return opened.load() >= then + 100; }));
    stop.store(true);
    for (std::thread& worker : load) worker.join();
    program->Kill();
  }
  std::filesystem::remove_all(data);
  const auto restored =
      RunToEnd({Ctl(), "restore", "--from", backup, "--data", data}, absl::Minutes(2));
  ASSERT_TRUE(restored.ok()) << restored.status();
  ASSERT_EQ(restored->exit_code, 0) << restored->errors;
  EXPECT_THAT(restored->output, HasSubstr("history 1 begins"));

  auto program = Program::Serve(Binary(), data);
  ASSERT_TRUE(program.ok()) << program.status();
  const rpc::Client client = Connect(*program);
  // Nothing acknowledged before it began is missing.
  const auto is_known = [&client](const std::string& ticket) {
    intake::v1::GetTicketRequest request;
    request.set_ticket_id(ticket);
    return client
        .Call<intake::v1::GetTicketResponse>("tandem.intake.v1.TicketService/GetTicket", request)
        .ok();
  };
  for (const std::string& ticket : before) EXPECT_TRUE(is_known(ticket)) << ticket;
  // No service holds a ticket that intake does not know; and what intake knows reaches all.
  size_t known = 0;
  for (const std::string& ticket : after) {
    if (is_known(ticket)) {
      ++known;
      EXPECT_TRUE(Eventually([&] { return HasClock(client, ticket); })) << ticket;
    } else {
      EXPECT_FALSE(HasClock(client, ticket)) << ticket;
    }
  }
  EXPECT_LT(known, after.size()) << "the backup holds what came after its end";
  ASSERT_TRUE(Eventually([&] {
    const std::set<std::string> on_timeline = OnTimeline(client);
    return std::all_of(before.begin(), before.end(),
                       [&](const std::string& one) { return on_timeline.count(one) > 0; });
  }));
  const std::set<std::string> on_timeline = OnTimeline(client);
  for (const std::string& ticket : after) {
    if (is_known(ticket)) continue;
    EXPECT_EQ(on_timeline.count(ticket), 0u) << ticket;
  }
  // What is decided from now on is no duplicate of what was decided behind the backup.
  const auto next = OpenTicket(client, "next");
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_TRUE(Eventually([&] { return HasClock(client, *next); }));
  EXPECT_TRUE(Eventually([&] { return OnTimeline(client).count(*next) > 0; }));
  account::v1::CheckOutreachRequest check;
  check.set_request_id("check");
  check.set_account_id("acme");
  check.set_topic(type::v1::OUTREACH_TOPIC_RENEWAL);
  check.set_staff_id("csm");
  const auto outreach = client.Call<account::v1::CheckOutreachResponse>(
      "tandem.account.v1.OutreachService/CheckOutreach", check);
  ASSERT_TRUE(outreach.ok()) << outreach.status();
  EXPECT_EQ(outreach->verdict(), account::v1::OUTREACH_VERDICT_HOLD)
      << outreach->ShortDebugString();
}

TEST(ABackup, IntoAFolderThatHoldsSomethingFailsAndSaysSo) {
  const TempFolder folder;
  auto program = Program::Serve(Binary(), folder.File("data"));
  ASSERT_TRUE(program.ok()) << program.status();
  std::filesystem::create_directory(folder.File("backup"));
  std::ofstream(folder.File("backup") + "/other") << "x";
  const auto taken =
      RunToEnd({Ctl(), "backup", "--to", folder.File("backup"), "--address", program->address()},
               absl::Minutes(1));
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->exit_code, 1);
  EXPECT_THAT(taken->errors, AllOf(HasSubstr("empty or absent"), HasSubstr("is no backup")));
}

}  // namespace
}  // namespace tandem::end_to_end
