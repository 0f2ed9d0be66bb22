// The small HTTP server beside every program: /metrics, /livez and /readyz.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/metrics/metrics.h"

namespace tandem::metrics {

// One question of a probe: OK, or why not, in words for operators. Called from the server's threads
// at each probe: thread-safe, quick, and it waits for nothing.
struct Check {
  std::string name;
  std::function<absl::Status()> ask;
};

struct HttpOptions {
  // "HOST:PORT"; an IPv6 host stands in brackets. With port 0 the system chooses one.
  std::string listen = "127.0.0.1:0";
  // An address that other machines reach is refused without it: there is no TLS here.
  bool allow_insecure = false;
  // /livez: is a restart needed? A live process may well be unready.
  std::vector<Check> live;
  // /readyz: should work be sent here?
  std::vector<Check> ready;
};

// GET and HEAD only. Answers text: /metrics as Registry::Text; the probes 200 "ok", or 503 with a
// line "NAME: reason" for each failing check. Two threads answer, one accepts; 16 connections wait,
// others stay with the system. Each connection is one request, with 5 s to send it: a client that
// holds a connection open would hold a thread.
class HttpServer {
 public:
  // Listens when it returns. INVALID_ARGUMENT for a bad address, FAILED_PRECONDITION for one that
  // is not loopback, UNAVAILABLE naming the address if its port can't be had. The registry and what
  // the checks refer to outlive the server.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const Registry* registry,
                                                           HttpOptions options);
  // Stops, after the requests under way. To be called by the thread that owns it.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // The port that is listened on, also when 0 was asked for.
  int port() const;
  // "127.0.0.1:9464".
  const std::string& address() const;

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tandem::metrics
