#include "tests/integration/cutting_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

namespace tandem::store {
namespace {

void Must(bool holds, const char* what) {
  if (holds) return;
  std::perror(what);
  std::abort();
}

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

// Whether all was passed on.
bool SendAll(int to, const char* bytes, ssize_t count) {
  while (count > 0) {
    const ssize_t sent = send(to, bytes, static_cast<size_t>(count), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes += sent;
    count -= sent;
  }
  return true;
}

}  // namespace

CuttingProxy::CuttingProxy(int server_port) : server_port_(server_port) {
  listening_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  Must(bind(listening_, reinterpret_cast<sockaddr*>(&address), size) == 0, "bind");
  Must(listen(listening_, 16) == 0, "listen");
  Must(getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
  port_ = ntohs(address.sin_port);
  Must(pipe(wake_) == 0, "pipe");
  thread_ = std::thread([this] { Pass(); });
}

CuttingProxy::~CuttingProxy() {
  close(wake_[1]);  // which ends the thread
  thread_.join();
  close(wake_[0]);
  close(listening_);
}

void CuttingProxy::Pass() {
  std::vector<std::pair<int, int>> pairs;  // client, server
  std::vector<char> bytes(1 << 16);
  bool answered = true;
  for (;;) {
    std::vector<pollfd> files = {{wake_[0], POLLIN, 0}, {listening_, POLLIN, 0}};
    for (const auto& [client, server] : pairs) {
      files.push_back({client, POLLIN, 0});
      files.push_back({server, POLLIN, 0});
    }
    Must(poll(files.data(), files.size(), -1) > 0, "poll");
    if (files[0].revents != 0) break;
    std::vector<std::pair<int, int>> kept;
    for (size_t i = 0; i < pairs.size(); ++i) {
      bool ends = false;
      for (const bool from_client : {true, false}) {
        if (ends || files[2 + 2 * i + (from_client ? 0 : 1)].revents == 0) continue;
        const int from = from_client ? pairs[i].first : pairs[i].second;
        const int to = from_client ? pairs[i].second : pairs[i].first;
        const ssize_t count = recv(from, bytes.data(), bytes.size(), 0);
        if (from_client && answered) ++round_trips_;
        answered = !from_client;
        Cut wanted = from_client ? Cut::kRequest : Cut::kAnswer;
        ends = count <= 0 || cut_.compare_exchange_strong(wanted, Cut::kNever) ||
               !SendAll(to, bytes.data(), count);
      }
      if (ends) {
        close(pairs[i].first);
        close(pairs[i].second);
      } else {
        kept.push_back(pairs[i]);
      }
    }
    pairs = std::move(kept);
    if (files[1].revents != 0) {
      const int client = accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
      const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in address = Loopback(server_port_);
      const int at_once = 1;
      setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once));
      setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once));
      if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
        pairs.emplace_back(client, server);
      } else {
        close(client);
        close(server);
      }
    }
  }
  for (const auto& [client, server] : pairs) {
    close(client);
    close(server);
  }
}

}  // namespace tandem::store
