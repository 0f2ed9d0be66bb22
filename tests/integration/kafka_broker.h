// The Kafka broker of the integration tests (tests/integration/kafka), and clients of librdkafka
// beside the bus: what another program would do with the topic.
#ifndef TANDEM_TESTS_INTEGRATION_KAFKA_BROKER_H_
#define TANDEM_TESTS_INTEGRATION_KAFKA_BROKER_H_

#include <librdkafka/rdkafka.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tandem::bus {

// A running broker. A failure to start or stop ends the program with a message: a test without its
// broker has nothing to say.
class KafkaBroker {
 public:
  // The broker that ctest has started for all its tests, else one that this process starts at the
  // first call and stops at its end; nullptr where Kafka is not installed.
  static KafkaBroker* Shared();
  // One that a test may kill. Kafka is installed.
  static std::unique_ptr<KafkaBroker> Start();
  ~KafkaBroker();
  KafkaBroker(const KafkaBroker&) = delete;
  KafkaBroker& operator=(const KafkaBroker&) = delete;

  const std::string& brokers() const { return brokers_; }
  void Kill();  // -9
  void Restart();
  void Pause();  // SIGSTOP
  void Resume();

 private:
  KafkaBroker(std::string folder, bool owned);

  const std::string folder_;
  const bool owned_;
  std::string brokers_;
};

// A name that no other topic or group of the broker has.
std::string NewName(const std::string& prefix);

// Another program's client of the broker. A call that fails ends the program with its reason,
// unless the test asks for it.
class ForeignClient {
 public:
  using Settings = std::map<std::string, std::string>;
  ForeignClient(rd_kafka_type_t type, const std::string& brokers, const Settings& settings = {});
  ~ForeignClient();
  ForeignClient(const ForeignClient&) = delete;
  ForeignClient& operator=(const ForeignClient&) = delete;

  rd_kafka_t* get() const { return handle_; }

  // Appends and waits; RD_KAFKA_PARTITION_UA lets the client's partitioner choose. The partition.
  int Produce(const std::string& topic, int partition, const std::string& key,
              const std::string& value,
              const std::vector<std::pair<std::string, std::string>>& headers = {});
  void CreateTopic(const std::string& topic, int partitions,
                   const std::map<std::string, std::string>& configuration = {});
  void GrowTopic(const std::string& topic, int partitions);
  // Drops the records before `offset`, as retention would.
  void DeleteBefore(const std::string& topic, int partition, int64_t offset);
  // What a group committed; -1001 if nothing. A consumer of that group.
  int64_t Committed(const std::string& topic, int partition);
  // Of a transactional producer: a transaction that leaves nothing in the partition but its end
  // mark.
  void LeaveHole(const std::string& topic, int partition);

 private:
  static void Delivered(rd_kafka_t* handle, const rd_kafka_message_t* message, void* opaque);

  rd_kafka_t* handle_ = nullptr;
  rd_kafka_resp_err_t delivered_code_ = RD_KAFKA_RESP_ERR_NO_ERROR;
  int delivered_partition_ = -1;
};

}  // namespace tandem::bus

#endif  // TANDEM_TESTS_INTEGRATION_KAFKA_BROKER_H_
