#include "tests/integration/postgres_server.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"

namespace tandem::store {
namespace {

constexpr int kNotInstalled = 77;  // as the script says

[[noreturn]] void Fail(const std::string& why) {
  std::fprintf(stderr, "the PostgreSQL server of the tests: %s\n", why.c_str());
  std::abort();
}

// The script's exit status.
int RunScript(const std::string& command, const std::string& folder) {
  const std::string line = absl::StrCat(TANDEM_SOURCE_DIR "/tests/integration/postgres ", command,
                                        " ", folder, " ", getpid());
  const int status = std::system(line.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string NewFolder() {
  std::string folder = std::filesystem::temp_directory_path() / "tandem_postgres.XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) Fail("cannot make a folder like " + folder);
  return folder;
}

}  // namespace

PostgresServer::PostgresServer(std::string folder, bool owned)
    : folder_(std::move(folder)), owned_(owned) {
  std::ifstream env(folder_ + "/env");
  // Written for a shell: "NAME=value NAME=value", a backslash before what a shell would read.
  for (std::string word; env >> word;) {
    const size_t sign = word.find('=');
    const std::string name = word.substr(0, sign);
    const std::string value = absl::StrReplaceAll(word.substr(sign + 1), {{"\\", ""}});
    if (name == "URI") uri_ = value;
    if (name == "BIN") programs_ = value;
    if (name == "PORT" && !absl::SimpleAtoi(value, &port_)) Fail("no port in " + folder_);
  }
  if (uri_.empty() || port_ == 0) Fail("nothing about it in " + folder_ + "/env");
}

PostgresServer::~PostgresServer() {
  if (owned_) RunScript("stop", folder_);
}

PostgresServer* PostgresServer::Shared() {
  static const std::unique_ptr<PostgresServer> server = []() -> std::unique_ptr<PostgresServer> {
    const char* const folder = getenv("TANDEM_POSTGRES_FOLDER");
    if (folder != nullptr && std::filesystem::exists(absl::StrCat(folder, "/env"))) {
      return std::unique_ptr<PostgresServer>(new PostgresServer(folder, false));
    }
    const std::string own = NewFolder();
    const int status = RunScript("start", own);
    if (status == kNotInstalled) {
      std::filesystem::remove_all(own);
      return nullptr;
    }
    if (status != 0) Fail("it does not start");
    return std::unique_ptr<PostgresServer>(new PostgresServer(own, true));
  }();
  return server.get();
}

std::unique_ptr<PostgresServer> PostgresServer::Start() {
  const std::string folder = NewFolder();
  if (RunScript("start", folder) != 0) Fail("it does not start");
  return std::unique_ptr<PostgresServer>(new PostgresServer(folder, true));
}

std::string PostgresServer::UriOver(int port) const {
  return absl::StrReplaceAll(uri_, {{absl::StrCat(":", port_, "/"), absl::StrCat(":", port, "/")}});
}

std::string PostgresServer::UriWith(const std::string& setting) const {
  return absl::StrCat(uri_, "&options=-c%20", absl::StrReplaceAll(setting, {{"=", "%3D"}}));
}

std::string PostgresServer::UriAs(const std::string& role) const {
  return absl::StrReplaceAll(uri_, {{"//tandem@", absl::StrCat("//", role, "@")}});
}

std::string PostgresServer::password() const {
  std::ifstream file(folder_ + "/passfile");
  std::string line;
  std::getline(file, line);
  return line.substr(line.rfind(':') + 1);
}

void PostgresServer::Kill() {
  if (RunScript("kill", folder_) != 0) Fail("it does not stop");
}

void PostgresServer::Restart() {
  if (RunScript("restart", folder_) != 0) Fail("it does not start again");
}

Session::Session(const std::string& uri) : db_(PQconnectdb(uri.c_str())) {
  if (PQstatus(db_) != CONNECTION_OK) Fail(PQerrorMessage(db_));
  PQsetNoticeReceiver(
      db_, [](void*, const PGresult*) {}, nullptr);
}

Session::~Session() { PQfinish(db_); }

std::vector<std::string> Session::Ask(const std::string& sql) {
  PGresult* const result = PQexec(db_, sql.c_str());
  const ExecStatusType status = PQresultStatus(result);
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    Fail(absl::StrCat(sql, ": ", PQresultErrorMessage(result)));
  }
  std::vector<std::string> rows;
  for (int i = 0; i < PQntuples(result); ++i) rows.emplace_back(PQgetvalue(result, i, 0));
  PQclear(result);
  return rows;
}

std::string Session::AskOne(const std::string& sql) {
  const std::vector<std::string> rows = Ask(sql);
  return rows.empty() ? "" : rows.front();
}

bool Session::Try(const std::string& sql) {
  PGresult* const result = PQexec(db_, sql.c_str());
  const ExecStatusType status = PQresultStatus(result);
  PQclear(result);
  return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

void Session::Send(const std::string& sql) {
  if (PQsendQuery(db_, sql.c_str()) != 1) Fail(PQerrorMessage(db_));
}

namespace {
std::string NewSchemaName() {
  static std::atomic<int> made{0};
  return absl::StrCat("t_", getpid(), "_", ++made);
}
}  // namespace

SchemaOfTest::SchemaOfTest(const PostgresServer* server) : server_(server), name_(NewSchemaName()) {
  Session(server_->uri()).Ask(absl::StrCat("CREATE SCHEMA ", name_));
}

SchemaOfTest::~SchemaOfTest() {
  Session(server_->uri()).Ask(absl::StrCat("DROP SCHEMA ", name_, " CASCADE"));
}

std::unique_ptr<Session> SchemaOfTest::NewSession() const {
  auto session = std::make_unique<Session>(server_->uri());
  session->Ask(absl::StrCat("SET search_path = ", name_));
  return session;
}

bool AwaitAnswer(Session& session, const std::string& question, const std::string& wanted,
                 absl::Duration within) {
  const absl::Time deadline = absl::Now() + within;
  do {
    // A view of the activity is kept for a transaction; each statement here is one of its own.
    if (session.AskOne(question) == wanted) return true;
    session.Ask("SELECT pg_sleep(0.005)");
  } while (absl::Now() < deadline);
  return false;
}

}  // namespace tandem::store
