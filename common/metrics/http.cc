#include "common/metrics/http.h"

#include <arpa/inet.h>
#include <httplib.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

namespace tandem::metrics {
namespace {

constexpr int kThreads = 2;
constexpr size_t kMaxWaiting = 16;
constexpr int kTimeoutSeconds = 5;
constexpr int kBacklog = 64;

// httplib's own pool has no bound. When this one is full the accepting thread waits, and further
// connections stay in the system's backlog.
class BoundedPool : public httplib::TaskQueue {
 public:
  BoundedPool() {
    for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Work(); });
  }

  void enqueue(std::function<void()> task) override {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &BoundedPool::HasRoom));
    tasks_.push_back(std::move(task));
  }

  void shutdown() override {
    {
      absl::MutexLock lock(&mutex_);
      is_ending_ = true;
    }
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return tasks_.size() < kMaxWaiting || is_ending_;
  }
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !tasks_.empty() || is_ending_;
  }

  void Work() {
    for (;;) {
      std::function<void()> task;
      {
        absl::MutexLock lock(&mutex_);
        mutex_.Await(absl::Condition(this, &BoundedPool::HasWork));
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      task();
    }
  }

  absl::Mutex mutex_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  bool is_ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

struct Address {
  std::string host;
  int port = 0;
};

absl::StatusOr<Address> ParseAddress(const std::string& text) {
  const size_t colon = text.rfind(':');
  Address address;
  if (colon == std::string::npos || !absl::SimpleAtoi(text.substr(colon + 1), &address.port) ||
      address.port < 0 || address.port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected HOST:PORT with a port between 0 and 65535, found '",
                     absl::Utf8SafeCHexEscape(text), "'"));
  }
  address.host = text.substr(0, colon);
  if (address.host.size() > 2 && address.host.front() == '[' && address.host.back() == ']') {
    address.host = address.host.substr(1, address.host.size() - 2);
  } else if (address.host.empty() || address.host.find_first_of("[]:") != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected HOST:PORT, an IPv6 host in brackets, found '",
                     absl::Utf8SafeCHexEscape(text), "'"));
  }
  return address;
}

bool IsLoopback(const std::string& host) {
  in_addr v4 = {};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  return host == "::1" || host == "localhost";
}

// A reason stands on one line, whatever it was made of.
std::string OneLine(absl::string_view text) {
  std::string line(text.substr(0, 500));
  for (char& c : line) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return line;
}

void Probe(const std::vector<Check>& checks, httplib::Response* response) {
  std::string failing;
  for (const Check& check : checks) {
    const absl::Status status = check.ask();
    if (!status.ok()) {
      absl::StrAppend(&failing, check.name, ": ", OneLine(status.message()), "\n");
    }
  }
  response->status = failing.empty() ? 200 : 503;
  response->set_content(failing.empty() ? "ok\n" : failing, "text/plain; charset=utf-8");
}

}  // namespace

struct HttpServer::State {
  const Registry* registry = nullptr;
  HttpOptions options;
  std::string address;
  int port = 0;
  httplib::Server server;
  socket_t socket = INVALID_SOCKET;
  absl::Notification is_accepting;
  std::thread accepting;

  void Answer(const httplib::Request& request, httplib::Response* response) const {
    if (request.method != "GET" && request.method != "HEAD") {
      response->status = 405;
      response->set_header("Allow", "GET, HEAD");
      response->set_content("only GET and HEAD\n", "text/plain; charset=utf-8");
    } else if (request.path == "/metrics") {
      response->set_content(registry->Text(), "text/plain; version=0.0.4; charset=utf-8");
    } else if (request.path == "/livez") {
      Probe(options.live, response);
    } else if (request.path == "/readyz") {
      Probe(options.ready, response);
    } else {
      response->status = 404;
      response->set_content("known: /metrics /livez /readyz\n", "text/plain; charset=utf-8");
    }
  }
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const Registry* registry,
                                                              HttpOptions options) {
  const auto address = ParseAddress(options.listen);
  if (!address.ok()) return address.status();
  if (!options.allow_insecure && !IsLoopback(address->host)) {
    return absl::FailedPreconditionError(
        absl::StrCat("metrics on ", options.listen,
                     " would be open to other machines without TLS; allow it explicitly or listen "
                     "on 127.0.0.1"));
  }
  auto state = std::make_unique<State>();
  state->registry = registry;
  state->options = std::move(options);
  httplib::Server& server = state->server;
  // httplib's default sets SO_REUSEPORT, with which a second process would share the port in
  // silence.
  server.set_socket_options([bound = &state->socket](socket_t socket) {
    *bound = socket;
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  server.set_keep_alive_max_count(1);
  server.set_read_timeout(kTimeoutSeconds);
  server.set_write_timeout(kTimeoutSeconds);
  server.set_payload_max_length(1024);
  // httplib asks for its pool once it is running; before that, stop() would be lost.
  server.new_task_queue = [running = &state->is_accepting]() -> httplib::TaskQueue* {
    auto pool = std::make_unique<BoundedPool>();
    running->Notify();
    return pool.release();
  };
  // Before routing, so that no path of a stranger meets a regular expression.
  server.set_pre_routing_handler(
      [answering = state.get()](const httplib::Request& request, httplib::Response& response) {
        answering->Answer(request, &response);
        return httplib::Server::HandlerResponse::Handled;
      });

  errno = 0;
  const int port = address->port == 0
                       ? server.bind_to_any_port(address->host)
                       : (server.bind_to_port(address->host, address->port) ? address->port : -1);
  if (port <= 0) {
    const int error = errno;
    return absl::UnavailableError(absl::StrCat("cannot listen on ", state->options.listen, ": ",
                                               error == 0            ? "the address can't be had"
                                               : error == EADDRINUSE ? "the port is in use"
                                                                     : std::strerror(error)));
  }
  // httplib's backlog of 5 makes a sixth client wait a second for its retry.
  listen(state->socket, kBacklog);
  state->port = port;
  const bool is_v6 = absl::StrContains(address->host, ":");
  state->address = absl::StrCat(is_v6 ? "[" : "", address->host, is_v6 ? "]:" : ":", port);
  state->accepting = std::thread([&server] { server.listen_after_bind(); });
  state->is_accepting.WaitForNotification();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

HttpServer::~HttpServer() {
  state_->server.stop();
  state_->accepting.join();
}

int HttpServer::port() const { return state_->port; }

const std::string& HttpServer::address() const { return state_->address; }

}  // namespace tandem::metrics
