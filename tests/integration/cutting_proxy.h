// A stretch of network between a store and its server, which a test may cut at a chosen instant.
#ifndef TANDEM_TESTS_INTEGRATION_CUTTING_PROXY_H_
#define TANDEM_TESTS_INTEGRATION_CUTTING_PROXY_H_

#include <atomic>
#include <thread>

namespace tandem::store {

enum class Cut {
  kNever,
  kRequest,  // the next bytes for the server are lost, and the connection with them
  kAnswer,   // the server gets what is asked; the next bytes that it answers are lost
};

// Listens on a free port of 127.0.0.1 and passes each connection on to `server_port`. Any thread.
class CuttingProxy {
 public:
  explicit CuttingProxy(int server_port);
  ~CuttingProxy();
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;

  int port() const { return port_; }
  // Cuts one connection, then passes on as before.
  void CutNext(Cut cut) { cut_ = cut; }
  // How often a client has spoken after it was answered: round trips, as the network sees them.
  int round_trips() const { return round_trips_; }

 private:
  void Pass();

  const int server_port_;
  int listening_ = -1;
  int port_ = 0;
  int wake_[2] = {-1, -1};
  std::atomic<Cut> cut_{Cut::kNever};
  std::atomic<int> round_trips_{0};
  std::thread thread_;
};

}  // namespace tandem::store

#endif  // TANDEM_TESTS_INTEGRATION_CUTTING_PROXY_H_
