#include "tests/simulation/shadow_testing.h"

#include <cstdlib>
#include <iostream>
#include <vector>

#include "absl/status/statusor.h"
#include "common/time/micros.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "gtest/gtest.h"
#include "services/tandem/services.h"

namespace tandem::simulation {

std::function<std::unique_ptr<corridor::ServiceDefinition>()> ServiceNamed(
    const std::string& name) {
  const absl::StatusOr<std::vector<programs::Service>> services = programs::FiveServices({});
  for (const programs::Service& service : services.value()) {
    if (service.name == name) return service.make;
  }
  ADD_FAILURE() << "no service " << name;
  return nullptr;
}

std::pair<uint64_t, uint64_t> Seeds(uint64_t count) {
  const char* one = std::getenv("SHADOW_SEED");
  if (one == nullptr) return {1, count + 1};
  const uint64_t seed = std::strtoull(one, nullptr, 10);
  return {seed, seed + 1};
}

bool WantsStory() { return std::getenv("SHADOW_STORY") != nullptr; }

void TellStory(const bus::Event& event, absl::Time from, absl::Time to) {
  const google::protobuf::Descriptor* type =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(event.type);
  if (type == nullptr) return;
  std::unique_ptr<google::protobuf::Message> body(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
  body->ParseFromString(event.body);
  std::cerr << time::FormatInstant(event.time) << " [" << time::FormatInstant(from) << " "
            << time::FormatInstant(to) << "] " << event.id << " " << type->name() << " "
            << body->ShortDebugString() << "\n";
}

}  // namespace tandem::simulation
