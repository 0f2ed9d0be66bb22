// The fields of a ticket that people fill in: their limits, and how a field mask changes them.
// Pure.
#ifndef TANDEM_SERVICES_TICKET_INTAKE_FIELDS_H_
#define TANDEM_SERVICES_TICKET_INTAKE_FIELDS_H_

#include <string>
#include <string_view>
#include <vector>

#include "common/corridor/errors.h"
#include "google/protobuf/field_mask.pb.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "tandem/intake/v1/ticket_service.pb.h"

namespace tandem::ticket_intake {

// The ticket that `request` describes: what people filled in, nothing else.
intake::v1::Ticket TicketFrom(const intake::v1::OpenTicketRequest& request);

// Adds every problem of the fields that a request to open fills in.
void CheckOpeningFields(const intake::v1::Ticket& ticket, corridor::Violations& violations);

// Adds every problem of the mask, and of the fields of `values` that it names.
void CheckUpdate(const intake::v1::Ticket& values, const google::protobuf::FieldMask& mask,
                 corridor::Violations& violations);

// Copies what `mask` names from `values`, but for state and contact_id, which are rules of their
// own. The names of those that differed, sorted. `mask` has passed CheckUpdate.
std::vector<std::string> ApplyMask(const intake::v1::Ticket& values,
                                   const google::protobuf::FieldMask& mask,
                                   intake::v1::Ticket& ticket);

// Whether `mask` names `path`.
bool Names(const google::protobuf::FieldMask& mask, std::string_view path);

// The one form of a thread_ref: a Message-ID (RFC 5322 §3.6.4) with its angle brackets, whether the
// caller gave them or not; any other reference without.
std::string NormalThreadRef(std::string_view thread_ref);

// The canonical form of an address that passed validation (common/address); of one that an older
// version stored unread, the text itself.
std::string CanonicalAddress(std::string_view address);

// A mail address or phone number of at most kMaxAddressBytes.
void CheckAddress(std::string_view field, std::string_view address,
                  corridor::Violations& violations);

// An external id: system 1 to 64 bytes of [a-z0-9_.-], id 1 to 128 bytes of text.
void CheckExternalId(std::string_view field, const type::v1::ExternalId& external_id,
                     corridor::Violations& violations);

// Attachments of a message, by the product's own limits. Their URLs are followed by agents: https
// alone, in whatever case, with a host.
void CheckAttachments(const google::protobuf::RepeatedPtrField<intake::v1::Attachment>& attachments,
                      corridor::Violations& violations);

}  // namespace tandem::ticket_intake

#endif  // TANDEM_SERVICES_TICKET_INTAKE_FIELDS_H_
