// What gRPC itself can do: bytes in, the same bytes out, through its callback API and nothing else.
#ifndef TANDEM_TESTS_BENCH_RAW_ECHO_H_
#define TANDEM_TESTS_BENCH_RAW_ECHO_H_

#include <memory>
#include <string>

namespace grpc {
class Server;
class Service;
}  // namespace grpc

namespace tandem::bench {

// Serves on a free loopback port until it is destroyed.
class RawEcho {
 public:
  // `method` is "package.Service/Method".
  explicit RawEcho(const std::string& method);
  ~RawEcho();
  RawEcho(const RawEcho&) = delete;
  RawEcho& operator=(const RawEcho&) = delete;
  int port() const { return port_; }

 private:
  const std::string path_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace tandem::bench

#endif  // TANDEM_TESTS_BENCH_RAW_ECHO_H_
