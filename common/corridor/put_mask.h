// What a put changes: the fields that its update mask names, those that are present when there is
// no mask, or with "*" all of them. Pure; any thread.
#ifndef TANDEM_COMMON_CORRIDOR_PUT_MASK_H_
#define TANDEM_COMMON_CORRIDOR_PUT_MASK_H_

#include <set>
#include <string>
#include <string_view>

#include "common/corridor/errors.h"
#include "google/protobuf/field_mask.pb.h"
#include "google/protobuf/message.h"

namespace tandem::corridor {

// The fields of a message that a put does not change: its id, its version, what is set by the
// service.
using FixedFields = std::set<std::string, std::less<>>;

// Names each path that is not a field of the message, is fixed, is a duplicate, or comes with "*".
void CheckPutMask(const google::protobuf::FieldMask& mask,
                  const google::protobuf::Descriptor& message, const FixedFields& fixed,
                  Violations& violations);

// Whether a put of `values` changes the field. The mask has been checked.
bool Changes(const google::protobuf::FieldMask& mask, const google::protobuf::Message& values,
             std::string_view field);

// Carries over into `stored` what a put of `values` changes; lists and messages are replaced whole.
void ApplyPut(const google::protobuf::FieldMask& mask, const google::protobuf::Message& values,
              const FixedFields& fixed, google::protobuf::Message& stored);

}  // namespace tandem::corridor

#endif  // TANDEM_COMMON_CORRIDOR_PUT_MASK_H_
