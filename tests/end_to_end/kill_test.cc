// kill -9 under load, twenty times in a row: what was acknowledged is there, once, and every timer
// fires once in effect.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/rpc/client.h"
#include "tandem/admin/v1/admin_service.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/sla.pb.h"
#include "tandem/events/v1/triage.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tests/contract/temp_folder.h"
#include "tests/end_to_end/program.h"

namespace tandem::end_to_end {
namespace {

constexpr int kKills = 20;
constexpr int kClients = 4;
constexpr char kOpenTicket[] = "tandem.intake.v1.TicketService/OpenTicket";

// A first response is due two seconds after opening, so that timers fall due between the kills.
constexpr char kHastyPolicy[] = R"yaml(
applies_to: new_tickets
calendars:
  - {name: always, zone: UTC, always_open: true}
rules:
  - name: hasty
    when: {}
    targets:
      - {metric: first_response, budget: 2s, calendar: always}
      - {metric: resolution, budget: 20h, calendar: always}
)yaml";

rpc::Client Connect(const Program& program) {
  rpc::ClientOptions options;
  options.target = program.address();
  options.caller = "kill-test";
  options.timeout = absl::Seconds(5);
  return *rpc::Client::Create(options);
}

// What the outside world was told: a request id and the ticket that was acknowledged for it.
class Ledger {
 public:
  // The next request, or one that was asked before and never answered.
  std::string Next() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!unanswered_.empty()) {
      const std::string request_id = *unanswered_.begin();
      unanswered_.erase(unanswered_.begin());
      return request_id;
    }
    return absl::StrCat("request-", ++asked_);
  }
  void Acknowledged(const std::string& request_id, const std::string& ticket_id) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto [it, is_new] = tickets_.emplace(request_id, ticket_id);
    EXPECT_TRUE(is_new || it->second == ticket_id) << "one request, two tickets";
  }
  void Unanswered(const std::string& request_id) {
    const std::lock_guard<std::mutex> lock(mutex_);
    unanswered_.insert(request_id);
  }
  size_t unanswered() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return unanswered_.size();
  }
  size_t acknowledged() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return tickets_.size();
  }
  std::set<std::string> tickets() {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::set<std::string> ids;
    for (const auto& [request_id, ticket_id] : tickets_) ids.insert(ticket_id);
    return ids;
  }

 private:
  std::mutex mutex_;
  int64_t asked_ = 0;
  std::set<std::string> unanswered_;
  std::map<std::string, std::string> tickets_;
};

intake::v1::OpenTicketRequest Request(const std::string& request_id) {
  intake::v1::OpenTicketRequest request;
  request.set_request_id(request_id);
  request.mutable_requester()->set_address("somebody@example.com");
  request.set_subject("The press stands still");
  request.set_text("It has stood still since this morning.");
  request.set_channel(type::v1::CHANNEL_API);
  request.set_product("press");
  request.set_category("outage");
  return request;
}

// Opens tickets until told to stop, or until the server is gone.
void Load(const Program& program, Ledger& ledger, const std::atomic<bool>& stop,
          bool only_unanswered) {
  const rpc::Client client = Connect(program);
  while (!stop.load() && (!only_unanswered || ledger.unanswered() > 0)) {
    const std::string request_id = ledger.Next();
    const auto reply =
        client.Call<intake::v1::OpenTicketResponse>(kOpenTicket, Request(request_id));
    if (reply.ok()) {
      ledger.Acknowledged(request_id, reply->ticket_id());
      continue;
    }
    ledger.Unanswered(request_id);
    EXPECT_TRUE(absl::IsUnavailable(reply.status()) || absl::IsDeadlineExceeded(reply.status()) ||
                absl::IsCancelled(reply.status()))
        << reply.status();
    if (absl::IsUnavailable(reply.status())) return;
  }
}

// The server's own word that nothing is under way: all published, all applied, nothing overdue, no
// clock of two seconds pending.
bool IsQuiet(const rpc::Client& client) {
  const auto status = client.Call<admin::v1::GetStatusResponse>(
      "tandem.admin.v1.AdminService/GetStatus", admin::v1::GetStatusRequest());
  if (!status.ok()) return false;
  for (const admin::v1::ServiceStatus& service : status->services()) {
    if (service.outbox_events() > 0 || service.timers_overdue() > 0) return false;
    for (const admin::v1::PartitionStatus& partition : service.partitions()) {
      if (partition.next_offset() < partition.end_offset()) return false;
    }
  }
  return true;
}

TEST(Kill, UnderLoadLosesNothingAndDoublesNothing) {
  TempFolder folder;
  const std::string policies = folder.File("policies");
  std::filesystem::create_directory(policies);
  std::ofstream(policies + "/sla.yaml") << kHastyPolicy;
  const std::string data = folder.File("data");
  Ledger ledger;
  std::mt19937_64 random(20261122);

  for (int round = 0; round < kKills; ++round) {
    auto program = Program::Serve(TANDEM_BINARY, data, {"--policies", policies});
    ASSERT_TRUE(program.ok()) << program.status();
    std::atomic<bool> stop{false};
    const size_t before = ledger.acknowledged();
    const size_t enough = before + 20 + random() % 200;
    std::vector<std::thread> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.emplace_back([&] { Load(*program, ledger, stop, /*only_unanswered=*/false); });
    }
    // In the middle of the load: after a drawn number of answers, whatever time they took.
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (ledger.acknowledged() < enough && absl::Now() < deadline) std::this_thread::yield();
    program->Kill();
    stop.store(true);
    for (std::thread& client : clients) client.join();
    ASSERT_GT(ledger.acknowledged(), before) << "round " << round << " acknowledged nothing";
  }

  auto program = Program::Serve(TANDEM_BINARY, data, {"--policies", policies});
  ASSERT_TRUE(program.ok()) << program.status();
  std::atomic<bool> stop{false};
  Load(*program, ledger, stop, /*only_unanswered=*/true);
  ASSERT_EQ(ledger.unanswered(), 0u);
  const std::set<std::string> tickets = ledger.tickets();
  EXPECT_EQ(tickets.size(), ledger.acknowledged()) << "two requests, one ticket";

  // Each acknowledged ticket is there, and no other.
  const rpc::Client client = Connect(*program);
  std::set<std::string> listed;
  intake::v1::ListTicketsRequest list;
  list.set_page_size(500);
  do {
    const auto page = client.Call<intake::v1::ListTicketsResponse>(
        "tandem.intake.v1.TicketService/ListTickets", list);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const intake::v1::Ticket& ticket : page->tickets()) {
      EXPECT_TRUE(listed.insert(ticket.ticket_id()).second);
    }
    list.set_page_token(page->next_page_token());
  } while (!list.page_token().empty());
  EXPECT_EQ(listed, tickets);

  // Every timer of the two-second clocks fires: read the log until each ticket has its breach.
  std::map<std::string, std::set<std::string>> opened, breached, triaged;
  std::map<std::pair<std::string, std::string>, int64_t> last_sequence;
  admin::v1::ReadEventsRequest read;
  read.set_from_beginning(true);
  read.set_page_size(1000);
  read.set_wait_ms(1000);
  const absl::Time deadline = absl::Now() + absl::Seconds(90);
  bool is_quiet = false;
  while (absl::Now() < deadline) {
    const auto page =
        client.Call<admin::v1::ReadEventsResponse>("tandem.admin.v1.AdminService/ReadEvents", read);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const admin::v1::BusEvent& event : page->events()) {
      if (event.type() == events::v1::TicketOpened::descriptor()->full_name()) {
        events::v1::TicketOpened body;
        ASSERT_TRUE(body.ParseFromString(event.body()));
        opened[body.ticket_id()].insert(event.event_id());
      } else if (event.type() == events::v1::TicketTriaged::descriptor()->full_name()) {
        events::v1::TicketTriaged body;
        ASSERT_TRUE(body.ParseFromString(event.body()));
        EXPECT_TRUE(opened.contains(body.ticket_id())) << "effect before cause";
        triaged[body.ticket_id()].insert(event.event_id());
      } else if (event.type() == events::v1::SlaBreached::descriptor()->full_name()) {
        events::v1::SlaBreached body;
        ASSERT_TRUE(body.ParseFromString(event.body()));
        EXPECT_TRUE(opened.contains(body.clock().ticket_id())) << "effect before cause";
        breached[body.clock().ticket_id()].insert(event.event_id());
      }
    }
    *read.mutable_offsets() = page->next_offsets();
    if (breached.size() == tickets.size() && page->events_size() == 0 && IsQuiet(client)) {
      is_quiet = true;
      break;
    }
  }
  EXPECT_TRUE(is_quiet) << "not at rest within the deadline";

  EXPECT_EQ(opened.size(), tickets.size());
  EXPECT_EQ(triaged.size(), tickets.size());
  EXPECT_EQ(breached.size(), tickets.size());
  for (const std::string& ticket : tickets) {
    EXPECT_EQ(opened[ticket].size(), 1u) << ticket;
    EXPECT_EQ(triaged[ticket].size(), 1u) << ticket;
    EXPECT_EQ(breached[ticket].size(), 1u) << ticket;
  }
  const auto dead = client.Call<admin::v1::ListDeadLettersResponse>(
      "tandem.admin.v1.AdminService/ListDeadLetters", admin::v1::ListDeadLettersRequest());
  ASSERT_TRUE(dead.ok()) << dead.status();
  EXPECT_EQ(dead->dead_letters_size(), 0);
  const auto exit_code = program->Terminate(absl::Seconds(30));
  ASSERT_TRUE(exit_code.ok()) << exit_code.status();
  EXPECT_EQ(*exit_code, 0);
  RecordProperty("tickets", static_cast<int>(tickets.size()));
}

TEST(Serve, RefusesASecondProcessOnTheSameData) {
  TempFolder folder;
  auto program = Program::Serve(TANDEM_BINARY, folder.File("data"));
  ASSERT_TRUE(program.ok()) << program.status();
  const auto second = RunToEnd({TANDEM_BINARY, "serve", "--data", folder.File("data"), "--listen",
                                "127.0.0.1:0", "--http-listen", "127.0.0.1:0"},
                               absl::Seconds(30));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_NE(second->exit_code, 0);
  EXPECT_THAT(second->errors, testing::HasSubstr("log.db"));
}

TEST(Serve, RefusesAPortThatIsInUse) {
  TempFolder folder;
  auto program = Program::Serve(TANDEM_BINARY, folder.File("data"));
  ASSERT_TRUE(program.ok()) << program.status();
  const auto second = RunToEnd({TANDEM_BINARY, "serve", "--data", folder.File("other"), "--listen",
                                program->address(), "--http-listen", "127.0.0.1:0"},
                               absl::Seconds(30));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_NE(second->exit_code, 0);
  EXPECT_THAT(second->errors, testing::HasSubstr(program->address()));
}

TEST(Serve, RefusesACorruptDatabaseAndNamesIt) {
  TempFolder folder;
  const std::string data = folder.File("data");
  std::filesystem::create_directory(data);
  std::ofstream(data + "/triage.db") << std::string(8192, 'x');
  const auto served = RunToEnd({TANDEM_BINARY, "serve", "--data", data, "--listen", "127.0.0.1:0",
                                "--http-listen", "127.0.0.1:0"},
                               absl::Seconds(30));
  ASSERT_TRUE(served.ok()) << served.status();
  EXPECT_NE(served->exit_code, 0);
  EXPECT_THAT(served->errors, testing::HasSubstr("triage.db"));
}

TEST(Serve, SaysAtHealthzWhichLineOfADeclaredPolicyIsBroken) {
  TempFolder folder;
  const std::string policies = folder.File("policies");
  std::filesystem::create_directory(policies);
  const auto health = [&](const std::string& policy) -> std::string {
    std::ofstream(policies + "/sla.yaml") << policy;
    auto served = Program::Serve(TANDEM_BINARY, folder.File("data"), {"--policies", policies});
    if (!served.ok()) return served.status().ToString();
    auto asked = RunToEnd(
        {"/usr/bin/curl", "-s", absl::StrCat("http://", served->http_address(), "/healthz")},
        absl::Seconds(30));
    return asked.ok() ? asked->output : asked.status().ToString();
  };
  const std::string unknown = health("applies_to: new_tickets\nrulse: []\n");
  EXPECT_THAT(unknown, testing::HasSubstr("sla.yaml:2"));
  EXPECT_THAT(unknown, testing::HasSubstr("rules"));
  // What only the service finds has its line as well.
  EXPECT_THAT(health("applies_to: new_tickets\ncalendars:\n  - name: desk\n    zone: Mars/Base\n"
                     "    always_open: true\n"),
              testing::HasSubstr("sla.yaml:4: calendars[0].zone: \"Mars/Base\""));
}

}  // namespace
}  // namespace tandem::end_to_end
