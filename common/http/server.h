// One event-driven HTTP server for everything that a process shows: probes, metrics, pages.
//
//   http::Options options;
//   options.listen = "127.0.0.1:9464";
//   auto server = http::Server::Start(std::move(options));
//   (*server)->Handle({"GET", "/metrics", 0, [&](http::Request, http::Done done) {
//     done({200, "text/plain; version=0.0.4; charset=utf-8", registry.Text(), {}});
//   }});
#ifndef TANDEM_COMMON_HTTP_SERVER_H_
#define TANDEM_COMMON_HTTP_SERVER_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tandem::http {

struct Request {
  std::string method;  // as routed: a HEAD arrives as the GET whose body is left out
  std::string path;    // without the query; percent signs are decoded
  std::map<std::string, std::string> query;    // decoded; of a repeated name the last
  std::map<std::string, std::string> headers;  // names in lower case; of a repeated one the last
  std::string body;
};

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

// Called once, from any thread, or dropped, which answers 503. After the server's end it does
// nothing.
using Done = absl::AnyInvocable<void(Response)>;
// Called on the server's one thread, which serves every connection: it returns at once and waits
// for nothing. What takes time is done elsewhere and answered by `done`.
using Handler = std::function<void(Request, Done)>;

struct Route {
  std::string method;         // "GET", which also answers HEAD, or "POST"
  std::string path;           // exactly this one; if it ends in '/', also everything below it
  size_t max_body_bytes = 0;  // a longer body is refused with 413
  Handler handler;
};

struct Options {
  // "HOST:PORT"; an IPv6 host stands in brackets. With port 0 the system chooses one.
  std::string listen = "127.0.0.1:0";
  // An address that other machines reach is refused without it: there is no TLS here.
  bool allow_insecure = false;
  // Beyond these the connection that has kept the server waiting longest is closed in favour of the
  // new one, so that those who only hold connections never keep out those who ask. A connection
  // whose request is being answered is never closed for another; when all are, the new one is.
  int max_connections = 256;
  int max_connections_per_address = 64;  // an IPv6 network of 64 bits counts as one address
  // Time for a whole request, however slowly its bytes arrive; also between two requests.
  absl::Duration request_timeout = absl::Seconds(10);
  absl::Duration answer_timeout = absl::Seconds(30);  // of a handler; then 503
  absl::Duration write_timeout = absl::Seconds(30);   // until the client has taken the answer
};

// Any thread may call it; it starts and ends on one that is not its own.
class Server {
 public:
  // Listens when it returns. INVALID_ARGUMENT for a bad address, FAILED_PRECONDITION for one that
  // is not loopback, UNAVAILABLE naming the address if its port can't be had.
  static absl::StatusOr<std::unique_ptr<Server>> Start(Options options);
  // What is under way is answered with 503, and no handler is called any more.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Serves a route from now on; one of the same method and path is replaced.
  void Handle(Route route);

  // The port that is listened on, also when 0 was asked for.
  int port() const;
  // "127.0.0.1:9464".
  const std::string& address() const;

 private:
  class Core;
  explicit Server(std::shared_ptr<Core> core);
  const std::shared_ptr<Core> core_;
};

}  // namespace tandem::http

#endif  // TANDEM_COMMON_HTTP_SERVER_H_
