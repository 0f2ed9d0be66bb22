// Creates access rules of a Kafka broker, as an operator that watches KafkaUsers would, or deletes
// them.
//
// usage: kafka_acls BROKERS [--delete] < RULES
//   RULES  a line each: PRINCIPAL TYPE NAME OPERATION, for example
//          "User:CN=ada topic tandem.lifecycle.v1 Read"; TYPE is topic, group or cluster; patterns
//          are literal
#include <librdkafka/rdkafka.h>

#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr int kTimeoutMs = 30'000;
constexpr size_t kErrorBytes = 512;

const std::map<std::string, rd_kafka_ResourceType_t> kTypes = {
    {"topic", RD_KAFKA_RESOURCE_TOPIC},
    {"group", RD_KAFKA_RESOURCE_GROUP},
    {"cluster", RD_KAFKA_RESOURCE_BROKER},
};
const std::map<std::string, rd_kafka_AclOperation_t> kOperations = {
    {"Read", RD_KAFKA_ACL_OPERATION_READ},
    {"Write", RD_KAFKA_ACL_OPERATION_WRITE},
    {"Describe", RD_KAFKA_ACL_OPERATION_DESCRIBE},
    {"DescribeConfigs", RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS},
    {"IdempotentWrite", RD_KAFKA_ACL_OPERATION_IDEMPOTENT_WRITE},
    {"Create", RD_KAFKA_ACL_OPERATION_CREATE},
};

constexpr char kDelete[] = "--delete";

int Fail(const std::string& problem) {
  std::cerr << "kafka_acls: " << problem << "\n";
  return 1;
}

using Binding = std::unique_ptr<rd_kafka_AclBinding_t, decltype(&rd_kafka_AclBinding_destroy)>;
using Queue = std::unique_ptr<rd_kafka_queue_t, decltype(&rd_kafka_queue_destroy)>;
using Event = std::unique_ptr<rd_kafka_event_t, decltype(&rd_kafka_event_destroy)>;
using Client = std::unique_ptr<rd_kafka_t, decltype(&rd_kafka_destroy)>;

// Why the broker did not do it; empty if it did.
std::string RefusalOf(const rd_kafka_event_t& event, bool deletes) {
  size_t count = 0;
  const rd_kafka_error_t* refused = nullptr;
  if (deletes) {
    const rd_kafka_DeleteAcls_result_response_t** const results =
        rd_kafka_DeleteAcls_result_responses(
            rd_kafka_event_DeleteAcls_result(const_cast<rd_kafka_event_t*>(&event)), &count);
    for (size_t i = 0; i < count && refused == nullptr; ++i) {
      refused = rd_kafka_DeleteAcls_result_response_error(results[i]);
    }
  } else {
    const rd_kafka_acl_result_t** const results = rd_kafka_CreateAcls_result_acls(
        rd_kafka_event_CreateAcls_result(const_cast<rd_kafka_event_t*>(&event)), &count);
    for (size_t i = 0; i < count && refused == nullptr; ++i) {
      refused = rd_kafka_acl_result_error(results[i]);
    }
  }
  return refused == nullptr ? "" : rd_kafka_error_string(refused);
}

}  // namespace

int main(int argc, char** argv) {
  const bool deletes = argc == 3 && std::string(argv[2]) == kDelete;
  if (argc != 2 && !deletes) return Fail("usage: kafka_acls BROKERS [--delete] < RULES");
  char error[kErrorBytes];
  std::vector<Binding> bindings;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string principal, type, name, operation;
    words >> principal >> type >> name >> operation;
    const auto known_type = kTypes.find(type);
    const auto known_operation = kOperations.find(operation);
    if (known_type == kTypes.end() || known_operation == kOperations.end()) {
      return Fail("not a rule: " + line);
    }
    const auto make = deletes ? rd_kafka_AclBindingFilter_new : rd_kafka_AclBinding_new;
    bindings.emplace_back(make(known_type->second, name.c_str(), RD_KAFKA_RESOURCE_PATTERN_LITERAL,
                               principal.c_str(), "*", known_operation->second,
                               RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, error, sizeof(error)),
                          rd_kafka_AclBinding_destroy);
    if (bindings.back() == nullptr) return Fail(line + ": " + error);
  }
  rd_kafka_conf_t* const settings = rd_kafka_conf_new();
  if (rd_kafka_conf_set(settings, "bootstrap.servers", argv[1], error, sizeof(error)) !=
      RD_KAFKA_CONF_OK) {
    return Fail(error);
  }
  const Client client(rd_kafka_new(RD_KAFKA_PRODUCER, settings, error, sizeof(error)),
                      rd_kafka_destroy);
  if (client == nullptr) return Fail(error);
  const Queue queue(rd_kafka_queue_new(client.get()), rd_kafka_queue_destroy);
  std::vector<rd_kafka_AclBinding_t*> asked;
  for (const Binding& binding : bindings) asked.push_back(binding.get());
  (deletes ? rd_kafka_DeleteAcls : rd_kafka_CreateAcls)(client.get(), asked.data(), asked.size(),
                                                        nullptr, queue.get());
  const Event event(rd_kafka_queue_poll(queue.get(), kTimeoutMs), rd_kafka_event_destroy);
  if (event == nullptr) return Fail("the broker does not answer");
  if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Fail(rd_kafka_event_error_string(event.get()));
  }
  if (const std::string refusal = RefusalOf(*event, deletes); !refusal.empty())
    return Fail(refusal);
  std::cout << bindings.size() << " rules\n";
  return 0;
}
