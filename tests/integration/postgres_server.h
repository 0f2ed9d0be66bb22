// The PostgreSQL server of the integration tests (tests/integration/postgres), and what tests do
// with it beside the store: schemas of their own, sessions over plain libpq.
#ifndef TANDEM_TESTS_INTEGRATION_POSTGRES_SERVER_H_
#define TANDEM_TESTS_INTEGRATION_POSTGRES_SERVER_H_

#include <libpq-fe.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace tandem::store {

// A running server. A failure to start, stop or answer ends the program with a message: a test
// without its server has nothing to say.
class PostgresServer {
 public:
  // The server that ctest has started for all its tests, else one that this process starts at the
  // first call and stops at its end; nullptr where PostgreSQL is not installed.
  static PostgresServer* Shared();
  // One that a test may kill. PostgreSQL is installed.
  static std::unique_ptr<PostgresServer> Start();
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // The superuser's; its password is in a file that the URI names.
  const std::string& uri() const { return uri_; }
  int port() const { return port_; }
  const std::string& programs() const { return programs_; }
  // The same over another port of this machine.
  std::string UriOver(int port) const;
  // The same for another role; all roles of the tests have one password, made at the start.
  std::string UriAs(const std::string& role) const;
  std::string password() const;
  // With `setting` ("deadlock_timeout=100ms") for each session.
  std::string UriWith(const std::string& setting) const;

  // Stops at once, without writing out what memory holds, and starts again on the same port.
  void Kill();
  void Restart();

 private:
  PostgresServer(std::string folder, bool owned);

  const std::string folder_;
  const bool owned_;
  std::string uri_, programs_;
  int port_ = 0;
};

// A session of somebody else. A statement that fails ends the program.
class Session {
 public:
  explicit Session(const std::string& uri);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // The first column of the last statement's rows.
  std::vector<std::string> Ask(const std::string& sql);
  std::string AskOne(const std::string& sql);
  // Whether it succeeds.
  bool Try(const std::string& sql);
  // Does not wait for the answer.
  void Send(const std::string& sql);
  int backend() const { return PQbackendPID(db_); }

 private:
  PGconn* const db_;
};

// An empty schema of one test's own, dropped with it.
class SchemaOfTest {
 public:
  explicit SchemaOfTest(const PostgresServer* server);
  ~SchemaOfTest();
  SchemaOfTest(const SchemaOfTest&) = delete;
  SchemaOfTest& operator=(const SchemaOfTest&) = delete;

  const std::string& name() const { return name_; }
  const PostgresServer& server() const { return *server_; }
  // A session that looks into this schema first.
  std::unique_ptr<Session> NewSession() const;

 private:
  const PostgresServer* const server_;
  const std::string name_;
};

// Asks until `question` has the answer `wanted`, at most for a while; false if it never had. Each
// question is asked inside the server and waits there, so that nothing spins.
bool AwaitAnswer(Session& session, const std::string& question, const std::string& wanted,
                 absl::Duration within = absl::Seconds(20));

}  // namespace tandem::store

#endif  // TANDEM_TESTS_INTEGRATION_POSTGRES_SERVER_H_
