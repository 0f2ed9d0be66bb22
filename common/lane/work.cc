#include "common/lane/work.h"

#include <utility>

namespace tandem::lane {

RunEvent Parsed(const corridor::ServiceDefinition& definition, bus::RecordPtr record) {
  RunEvent event;
  const auto reaction = definition.events().find(record->event.type);
  if (reaction != definition.events().end()) {
    event.reaction = &reaction->second;
    std::shared_ptr<google::protobuf::Message> body(event.reaction->prototype->New());
    if (body->ParseFromString(record->event.body)) event.body = std::move(body);
  }
  event.record = std::move(record);
  return event;
}

}  // namespace tandem::lane
