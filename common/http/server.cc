#include "common/http/server.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <system_error>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "common/config/host_port.h"
#include "common/http/origin.h"

namespace tandem::http {
namespace {

using SteadyClock = std::chrono::steady_clock;

// A line of a request and its headers; beyond it the library answers 431.
constexpr size_t kMaxHeadBytes = 16 << 10;
constexpr int kBacklog = 512;
// How late a deadline may be noticed.
constexpr int kLookEveryMs = 250;
// Connections that were told to end are counted by the library until it has looked at them.
constexpr unsigned int kEnding = 64;

Response Plain(int status, std::string body) {
  Response response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

Response Stopped() { return Plain(503, "the service stops\n"); }

// A socket that listens, or why there is none.
absl::StatusOr<int> Listen(const config::HostPort& where) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(where.port);
  if (const int error = getaddrinfo(where.host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return absl::UnavailableError(gai_strerror(error));
  }
  std::string why = "it has no address";
  int listening = -1;
  for (const addrinfo* one = found; one != nullptr && listening < 0; one = one->ai_next) {
    const int fd =
        socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, one->ai_protocol);
    const int yes = 1;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
        bind(fd, one->ai_addr, one->ai_addrlen) == 0 && listen(fd, kBacklog) == 0) {
      listening = fd;
      break;
    }
    why = errno == EADDRINUSE ? "the port is in use" : std::generic_category().message(errno);
    if (fd >= 0) close(fd);
  }
  freeaddrinfo(found);
  if (listening < 0) return absl::UnavailableError(why);
  return listening;
}

int PortOf(int fd) {
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return 0;
  return ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port
                                           : reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
}

template <typename Map>
MHD_Result Collect(Map& map, const char* key, const char* value, bool is_header) {
  std::string name = key == nullptr ? "" : key;
  if (is_header) absl::AsciiStrToLower(&name);
  map[std::move(name)] = value == nullptr ? "" : value;
  return MHD_YES;
}

}  // namespace

// The library is run by one thread, and by it alone; everything else is under the mutex.
class Server::Core : public std::enable_shared_from_this<Core> {
 public:
  static absl::StatusOr<std::shared_ptr<Core>> Start(Options options) {
    const auto where = config::ParseHostPort(options.listen);
    if (!where.ok()) return where.status();
    if (!options.allow_insecure && !config::IsLoopback(where->host)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "HTTP on ", options.listen,
          " would be open to other machines without TLS; allow it explicitly or listen on "
          "127.0.0.1"));
    }
    const absl::StatusOr<int> socket = Listen(*where);
    if (!socket.ok()) {
      return absl::UnavailableError(absl::StrCat("cannot listen on ", options.listen, ": ",
                                                 std::string(socket.status().message())));
    }
    auto core = std::make_shared<Core>(std::move(options));
    core->port_ = PortOf(*socket);
    core->address_ = config::JoinHostPort({where->host, core->port_});
    core->wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    core->daemon_ = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, nullptr, nullptr, &Core::Access, core.get(),
        MHD_OPTION_LISTEN_SOCKET, *socket, MHD_OPTION_CONNECTION_LIMIT,
        static_cast<unsigned int>(core->options_.max_connections) + kEnding,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, kMaxHeadBytes, MHD_OPTION_NOTIFY_CONNECTION,
        &Core::Notify, core.get(), MHD_OPTION_NOTIFY_COMPLETED, &Core::Completed, core.get(),
        MHD_OPTION_END);
    if (core->wake_ < 0 || core->daemon_ == nullptr) {
      return absl::UnavailableError(absl::StrCat("cannot serve HTTP on ", core->address_, ": ",
                                                 std::generic_category().message(errno)));
    }
    core->thread_ = std::thread([raw = core.get()] { raw->Run(); });
    return core;
  }

  explicit Core(Options options) : options_(std::move(options)) {}
  ~Core() {
    if (daemon_ != nullptr) MHD_stop_daemon(daemon_);
    if (wake_ >= 0) close(wake_);
  }

  void Stop() {
    {
      absl::MutexLock lock(&mutex_);
      is_ending_ = true;
    }
    Wake();
    thread_.join();
    // Afterwards: a `done` that is called late finds no library, and wakes nobody.
    MHD_stop_daemon(std::exchange(daemon_, nullptr));
  }

  void Handle(Route route) {
    absl::MutexLock lock(&mutex_);
    std::string path = route.path;
    std::string method = route.method;
    routes_[std::move(path)][std::move(method)] = std::make_shared<const Route>(std::move(route));
  }

  int port() const { return port_; }
  const std::string& address() const { return address_; }

 private:
  // A connection, from its beginning to its end.
  struct Connection {
    int fd = -1;
    std::string origin;
    uint64_t number = 0;  // in the order of their beginning
    SteadyClock::time_point deadline;
    SteadyClock::time_point since;  // when it began to keep the server waiting
    bool is_served = false;         // a request is complete and its answer not yet taken
    bool is_cut = false;
  };

  // A request and what becomes of it.
  struct Exchange {
    Connection* connection = nullptr;
    std::shared_ptr<const Route> route;
    Request request;
    bool is_too_long = false;
    uint64_t id = 0;  // once a handler was asked
    std::optional<Response> response;
  };

  // The handler's share of an exchange: dropped, it answers.
  class Answerer {
   public:
    Answerer(std::shared_ptr<Core> core, uint64_t id) : core_(std::move(core)), id_(id) {}
    Answerer(Answerer&&) = default;
    Answerer& operator=(Answerer&&) = delete;
    ~Answerer() {
      if (core_ != nullptr) core_->Answer(id_, Stopped());
    }
    void operator()(Response response) {
      if (core_ != nullptr) std::exchange(core_, nullptr)->Answer(id_, std::move(response));
    }

   private:
    std::shared_ptr<Core> core_;
    const uint64_t id_;
  };

  void Wake() const {
    const uint64_t one = 1;
    // It can only fail when it is already set.
    [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof(one));
  }

  void Answer(uint64_t id, Response response) {
    {
      absl::MutexLock lock(&mutex_);
      if (is_ending_) return;
      answers_.emplace(id, std::move(response));
    }
    Wake();
  }

  std::optional<Response> TakeAnswer(uint64_t id) {
    absl::MutexLock lock(&mutex_);
    const auto found = answers_.find(id);
    if (found == answers_.end()) return std::nullopt;
    Response response = std::move(found->second);
    answers_.erase(found);
    return response;
  }

  bool IsEnding() {
    absl::MutexLock lock(&mutex_);
    return is_ending_;
  }

  // ---- the thread

  void Run() {
    const int epoll = MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    while (true) {
      if (IsEnding()) break;
      MHD_UNSIGNED_LONG_LONG timeout_ms = kLookEveryMs;
      if (MHD_get_timeout(daemon_, &timeout_ms) != MHD_YES) timeout_ms = kLookEveryMs;
      pollfd waiting[] = {{epoll, POLLIN, 0}, {wake_, POLLIN, 0}};
      poll(waiting, 2,
           static_cast<int>(std::min<MHD_UNSIGNED_LONG_LONG>(timeout_ms, kLookEveryMs)));
      uint64_t count = 0;
      [[maybe_unused]] const ssize_t size = read(wake_, &count, sizeof(count));
      ResumeAnswered();
      MHD_run(daemon_);
      CutLate();
    }
    for (auto& [id, asked] : asked_) {
      asked.first->response = Stopped();
      MHD_resume_connection(asked.second);
    }
    asked_.clear();
    MHD_run(daemon_);
  }

  void ResumeAnswered() {
    std::map<uint64_t, Response> answers;
    {
      absl::MutexLock lock(&mutex_);
      answers.swap(answers_);
    }
    for (auto& [id, response] : answers) Resume(id, std::move(response));
  }

  void Resume(uint64_t id, Response response) {
    const auto found = asked_.find(id);
    if (found == asked_.end()) return;  // it took too long and was answered for
    Exchange& exchange = *found->second.first;
    exchange.response = std::move(response);
    exchange.connection->deadline = Deadline(options_.write_timeout);
    MHD_resume_connection(found->second.second);
    asked_.erase(found);
  }

  void CutLate() {
    const auto now = SteadyClock::now();
    std::vector<uint64_t> late;
    for (const auto& [id, asked] : asked_) {
      if (asked.first->connection->deadline <= now) late.push_back(id);
    }
    for (const uint64_t id : late) Resume(id, Plain(503, "the answer took too long\n"));
    for (auto& [connection, record] : connections_) {
      if (record->deadline <= now && !record->is_cut) Cut(*record);
    }
  }

  static SteadyClock::time_point Deadline(absl::Duration timeout) {
    return SteadyClock::now() + absl::ToChronoNanoseconds(timeout);
  }

  // The library notices it and ends the connection.
  static void Cut(Connection& connection) {
    connection.is_cut = true;
    shutdown(connection.fd, SHUT_RDWR);
  }

  // Called by the library at the beginning and the end of a connection.
  static void Notify(void* self, MHD_Connection* connection, void** context,
                     MHD_ConnectionNotificationCode what) {
    auto* core = static_cast<Core*>(self);
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
      core->connections_.erase(connection);
      *context = nullptr;
      return;
    }
    auto record = std::make_unique<Connection>();
    record->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    record->origin = Origin(
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    record->number = core->next_connection_++;
    record->since = SteadyClock::now();
    record->deadline = Deadline(core->options_.request_timeout);
    *context = record.get();
    const std::string origin = record->origin;
    core->connections_.emplace(connection, std::move(record));
    core->MakeRoom(origin);
  }

  // After a connection from `origin` has begun.
  void MakeRoom(const std::string& origin) {
    std::map<std::string, int> counts;
    int total = 0;
    for (const auto& [connection, record] : connections_) {
      if (record->is_cut) continue;
      ++counts[record->origin];
      ++total;
    }
    std::string crowded = origin;
    if (total > options_.max_connections) {
      // Whoever holds most gives way first.
      crowded = std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) {
                  return a.second < b.second;
                })->first;
    } else if (counts[origin] <= options_.max_connections_per_address) {
      return;
    }
    Connection* longest = nullptr;
    Connection* newest = nullptr;
    for (const auto& [connection, record] : connections_) {
      if (record->is_cut) continue;
      if (newest == nullptr || record->number > newest->number) newest = record.get();
      if (record->origin != crowded || record->is_served) continue;
      if (longest == nullptr || record->since < longest->since) longest = record.get();
    }
    if (longest == nullptr) longest = newest;
    if (longest != nullptr) Cut(*longest);
  }

  static void Completed(void* self, MHD_Connection*, void** context, MHD_RequestTerminationCode) {
    auto* exchange = static_cast<Exchange*>(*context);
    if (exchange == nullptr) return;
    Connection* connection = exchange->connection;
    connection->is_served = false;
    connection->since = SteadyClock::now();
    connection->deadline = Deadline(static_cast<Core*>(self)->options_.request_timeout);
    delete exchange;
    *context = nullptr;
  }

  // Called by the library when a request's head is there, for each piece of its body, at its end,
  // and again when it was resumed. MHD_NO closes the connection.
  static MHD_Result Access(void* self, MHD_Connection* connection, const char* url,
                           const char* method, const char* /*version*/, const char* data,
                           size_t* size, void** context) {
    auto* core = static_cast<Core*>(self);
    auto* exchange = static_cast<Exchange*>(*context);
    if (exchange == nullptr) {
      exchange = new Exchange();
      *context = exchange;
      exchange->connection = static_cast<Connection*>(
          MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context);
      return core->Begin(connection, url, method, *exchange);
    }
    if (exchange->response.has_value()) return core->Send(connection, *exchange);
    if (*size > 0) {
      std::string& body = exchange->request.body;
      // A body of unknown length is read to its end, so that its sender hears of the refusal.
      exchange->is_too_long |= body.size() + *size > exchange->route->max_body_bytes;
      if (!exchange->is_too_long) body.append(data, *size);
      *size = 0;
      return MHD_YES;
    }
    return core->Ask(connection, *exchange);
  }

  MHD_Result Begin(MHD_Connection* connection, const char* url, const char* method,
                   Exchange& exchange) {
    Request& request = exchange.request;
    request.method = std::strcmp(method, "HEAD") == 0 ? "GET" : method;
    request.path = url;
    MHD_get_connection_values(
        connection, MHD_GET_ARGUMENT_KIND,
        [](void* map, MHD_ValueKind, const char* key, const char* value) {
          return Collect(*static_cast<decltype(request.query)*>(map), key, value, false);
        },
        &request.query);
    MHD_get_connection_values(
        connection, MHD_HEADER_KIND,
        [](void* map, MHD_ValueKind, const char* key, const char* value) {
          return Collect(*static_cast<decltype(request.headers)*>(map), key, value, true);
        },
        &request.headers);
    if (std::optional<Response> refusal = FindRoute(exchange)) {
      exchange.response = std::move(*refusal);
      return Send(connection, exchange);
    }
    const auto length = request.headers.find("content-length");
    uint64_t bytes = 0;
    if (length != request.headers.end() && absl::SimpleAtoi(length->second, &bytes) &&
        bytes > exchange.route->max_body_bytes) {
      exchange.response = TooLong(*exchange.route);
      return Send(connection, exchange);
    }
    return MHD_YES;
  }

  static Response TooLong(const Route& route) {
    return Plain(
        413, absl::StrCat("a body of at most ", route.max_body_bytes, " bytes is taken here\n"));
  }

  // Why there is none.
  std::optional<Response> FindRoute(Exchange& exchange) {
    absl::MutexLock lock(&mutex_);
    auto found = routes_.find(exchange.request.path);
    // The longest path above it.
    for (std::string above = exchange.request.path; found == routes_.end() && !above.empty();) {
      const size_t slash = above.find_last_of('/', above.size() < 2 ? 0 : above.size() - 2);
      if (slash == std::string::npos) break;
      above.resize(slash + 1);
      found = routes_.find(above);
      if (slash == 0) break;
    }
    if (found == routes_.end()) {
      const auto path = [](std::string* out, const auto& route) { out->append(route.first); };
      return Plain(404, absl::StrCat("known: ", absl::StrJoin(routes_, " ", path), "\n"));
    }
    const auto route = found->second.find(exchange.request.method);
    if (route != found->second.end()) {
      exchange.route = route->second;
      return std::nullopt;
    }
    std::vector<std::string> methods;
    for (const auto& [method, served] : found->second) {
      methods.push_back(method);
      if (method == "GET") methods.push_back("HEAD");
    }
    const std::string allowed = absl::StrJoin(methods, ", ");
    Response refusal = Plain(405, absl::StrCat("only ", allowed, "\n"));
    refusal.headers.emplace_back("Allow", allowed);
    return refusal;
  }

  // The request is complete.
  MHD_Result Ask(MHD_Connection* connection, Exchange& exchange) {
    if (exchange.is_too_long || IsEnding()) {
      exchange.response = exchange.is_too_long ? TooLong(*exchange.route) : Stopped();
      return Send(connection, exchange);
    }
    exchange.id = next_exchange_++;
    exchange.connection->is_served = true;
    exchange.connection->deadline = Deadline(options_.answer_timeout);
    exchange.route->handler(std::move(exchange.request), Answerer(shared_from_this(), exchange.id));
    exchange.response = TakeAnswer(exchange.id);
    if (exchange.response.has_value()) return Send(connection, exchange);
    asked_[exchange.id] = {&exchange, connection};
    MHD_suspend_connection(connection);
    return MHD_YES;
  }

  MHD_Result Send(MHD_Connection* connection, Exchange& exchange) const {
    exchange.connection->is_served = true;
    exchange.connection->deadline = Deadline(options_.write_timeout);
    const Response& response = *exchange.response;
    // The library only reads from a buffer that it is to copy.
    MHD_Response* made = MHD_create_response_from_buffer(
        response.body.size(), const_cast<char*>(response.body.data()), MHD_RESPMEM_MUST_COPY);
    if (made == nullptr) return MHD_NO;
    MHD_add_response_header(made, "Content-Type", response.content_type.c_str());
    for (const auto& [name, value] : response.headers) {
      MHD_add_response_header(made, name.c_str(), value.c_str());
    }
    const MHD_Result queued =
        MHD_queue_response(connection, static_cast<unsigned int>(response.status), made);
    MHD_destroy_response(made);
    return queued;
  }

  const Options options_;
  int port_ = 0;
  std::string address_;
  int wake_ = -1;
  std::thread thread_;
  MHD_Daemon* daemon_ = nullptr;  // the thread's, from its start to its end

  // The thread's.
  std::map<MHD_Connection*, std::unique_ptr<Connection>> connections_;
  std::map<uint64_t, std::pair<Exchange*, MHD_Connection*>> asked_;  // suspended
  uint64_t next_connection_ = 0;
  uint64_t next_exchange_ = 1;

  absl::Mutex mutex_;
  bool is_ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, std::map<std::string, std::shared_ptr<const Route>>> routes_
      ABSL_GUARDED_BY(mutex_);  // by path and method
  std::map<uint64_t, Response> answers_ ABSL_GUARDED_BY(mutex_);
};

absl::StatusOr<std::unique_ptr<Server>> Server::Start(Options options) {
  absl::StatusOr<std::shared_ptr<Core>> core = Core::Start(std::move(options));
  if (!core.ok()) return core.status();
  return std::unique_ptr<Server>(new Server(*std::move(core)));
}

Server::Server(std::shared_ptr<Core> core) : core_(std::move(core)) {}

Server::~Server() { core_->Stop(); }

void Server::Handle(Route route) { core_->Handle(std::move(route)); }

int Server::port() const { return core_->port(); }

const std::string& Server::address() const { return core_->address(); }

}  // namespace tandem::http
