#include "services/ticket_intake/fields.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/address/address.h"
#include "common/config/views.h"
#include "google/protobuf/util/field_mask_util.h"
#include "google/protobuf/util/message_differencer.h"
#include "services/ticket_intake/rules.h"

namespace tandem::ticket_intake {

using config::Absl;

namespace {

using corridor::Violations;
using intake::v1::Ticket;

using FieldCheck = void (*)(const Ticket&, std::string_view at, Violations&);

void CheckTags(const Ticket& ticket, std::string_view at, Violations& violations) {
  violations.Count(at, static_cast<size_t>(ticket.tags_size()), kMaxTags);
  std::set<std::string_view> seen;
  for (const std::string& tag : ticket.tags()) {
    violations.Line(at, tag, 64);
    violations.Require(seen.insert(tag).second, at, "names a tag twice");
  }
}

void CheckCustomFields(const Ticket& ticket, std::string_view at, Violations& violations) {
  violations.Count(at, ticket.custom_fields().size(), kMaxCustomFields);
  // In the order of the keys: the answer to one request is always the same.
  const std::map<std::string, std::string> ordered(ticket.custom_fields().begin(),
                                                   ticket.custom_fields().end());
  for (const auto& [key, value] : ordered) {
    violations.Line(absl::StrCat(Absl(at), ".key"), key, 64);
    violations.Text(absl::StrCat(Absl(at), ".value"), value, 1024, true);
  }
}

void CheckWatchers(const Ticket& ticket, std::string_view at, Violations& violations) {
  violations.Count(at, static_cast<size_t>(ticket.watcher_contact_ids_size()), kMaxWatchers);
  std::set<std::string_view> seen;
  for (const std::string& watcher : ticket.watcher_contact_ids()) {
    violations.Id(at, watcher);
    violations.Require(seen.insert(watcher).second, at, "names a contact twice");
  }
}

void CheckExternalIds(const Ticket& ticket, std::string_view at, Violations& violations) {
  violations.Count(at, static_cast<size_t>(ticket.external_ids_size()), kMaxExternalIds);
  std::set<std::string_view> systems;
  for (const auto& external_id : ticket.external_ids()) {
    CheckExternalId(at, external_id, violations);
    violations.Require(systems.insert(external_id.system()).second, at, "names a system twice");
  }
}

struct Field {
  std::string_view path;
  FieldCheck check;
  bool at_opening;  // false = a part of a field that is checked whole at opening
};

constexpr Field kFields[] = {
    {"affected_users",
     [](const Ticket& t, std::string_view at, Violations& v) {
       v.Range(at, t.affected_users(), 0, kMaxAffectedUsers);
     },
     true},
    {"category",
     [](const Ticket& t, std::string_view at, Violations& v) { v.Key(at, t.category(), true); },
     true},
    {"context",
     [](const Ticket& t, std::string_view at, Violations& v) {
       v.Text(absl::StrCat(Absl(at), ".environment"), t.context().environment(), kMaxContextBytes,
              true);
       v.Text(absl::StrCat(Absl(at), ".steps"), t.context().steps(), kMaxContextBytes, true);
       v.Text(absl::StrCat(Absl(at), ".business_goal"), t.context().business_goal(),
              kMaxContextBytes, true);
     },
     true},
    {"context.business_goal",
     [](const Ticket& t, std::string_view at, Violations& v) {
       v.Text(at, t.context().business_goal(), kMaxContextBytes, true);
     },
     false},
    {"context.environment",
     [](const Ticket& t, std::string_view at, Violations& v) {
       v.Text(at, t.context().environment(), kMaxContextBytes, true);
     },
     false},
    {"context.steps",
     [](const Ticket& t, std::string_view at, Violations& v) {
       v.Text(at, t.context().steps(), kMaxContextBytes, true);
     },
     false},
    {"custom_fields", CheckCustomFields, true},
    {"external_ids", CheckExternalIds, true},
    {"goal_id",
     [](const Ticket& t, std::string_view at, Violations& v) { v.Id(at, t.goal_id(), true); },
     true},
    {"impact", [](const Ticket&, std::string_view, Violations&) {}, true},
    {"internal", [](const Ticket&, std::string_view, Violations&) {}, true},
    {"language",
     [](const Ticket& t, std::string_view at, Violations& v) {
       v.Language(at, t.language(), true);
     },
     true},
    {"product",
     [](const Ticket& t, std::string_view at, Violations& v) { v.Key(at, t.product(), true); },
     true},
    {"product_version",
     [](const Ticket& t, std::string_view at, Violations& v) {
       v.Line(at, t.product_version(), 64, true);
     },
     true},
    {"subject",
     [](const Ticket& t, std::string_view at, Violations& v) {
       v.Line(at, t.subject(), kMaxSubjectBytes);
     },
     true},
    {"suspected_spam",
     [](const Ticket& t, std::string_view at, Violations& v) {
       v.Require(
           !t.suspected_spam(), at,
           "can only be set to false; what makes an address suspected is its tickets' closures");
     },
     false},
    {"tags", CheckTags, true},
    {"urgency", [](const Ticket&, std::string_view, Violations&) {}, true},
    {"watcher_contact_ids", CheckWatchers, true},
};

// Paths of a mask that are rules of their own.
constexpr std::string_view kState = "state";
constexpr std::string_view kContact = "contact_id";

const Field* FindField(std::string_view path) {
  const auto found = std::find_if(std::begin(kFields), std::end(kFields),
                                  [&](const Field& field) { return field.path == path; });
  return found == std::end(kFields) ? nullptr : found;
}

// A host of letters, digits, dots and hyphens, of any script, or an IPv6 address in brackets; a
// port may follow. What browsers read differently from others ("\\" as "/", a user before "@") has
// no place in a link that agents follow.
bool IsHostAndPort(std::string_view authority) {
  std::string_view host = authority;
  std::string_view port;
  if (host.substr(0, 1) == "[") {
    const size_t end = host.find(']');
    if (end == std::string_view::npos) return false;
    port = host.substr(end + 1);
    host = host.substr(1, end - 1);
    if (host.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos) return false;
  } else {
    const size_t colon = host.find(':');
    if (colon != std::string_view::npos) {
      port = host.substr(colon);
      host = host.substr(0, colon);
    }
    bool is_ascii = true;
    for (const char c : host) {
      const auto byte = static_cast<unsigned char>(c);
      is_ascii = is_ascii && byte < 0x80;
      if (!absl::ascii_isalnum(byte) && c != '.' && c != '-' && c != '_' && byte < 0x80) {
        return false;
      }
    }
    if (!is_ascii && !address::ParseDomain(host).ok()) return false;
  }
  if (!port.empty()) {
    port.remove_prefix(port.front() == ':' ? 1 : 0);
    int number = 0;
    if (port.empty() || port.size() > 5 || !absl::SimpleAtoi(Absl(port), &number) || number < 1 ||
        number > 65535) {
      return false;
    }
  }
  return host.find_first_not_of(".:") != std::string_view::npos;
}

bool IsHttpsUrl(std::string_view url) {
  constexpr std::string_view kScheme = "https://";
  if (!absl::StartsWithIgnoreCase(Absl(url), Absl(kScheme))) return false;
  url.remove_prefix(kScheme.size());
  if (url.find_first_of(" \\") != std::string_view::npos) return false;
  return IsHostAndPort(url.substr(0, url.find_first_of("/?#")));
}

}  // namespace

Ticket TicketFrom(const intake::v1::OpenTicketRequest& request) {
  Ticket ticket;
  ticket.set_subject(request.subject());
  ticket.set_channel(request.channel());
  ticket.set_origin(request.origin());
  if (ticket.origin() == type::v1::ORIGIN_UNSPECIFIED) {
    ticket.set_origin(request.opened_by_staff_id().empty() ? type::v1::ORIGIN_CUSTOMER
                                                           : type::v1::ORIGIN_STAFF);
  }
  ticket.set_opened_by_staff_id(request.opened_by_staff_id());
  ticket.set_product(request.product());
  ticket.set_product_version(request.product_version());
  ticket.set_category(request.category());
  ticket.set_impact(request.impact());
  ticket.set_urgency(request.urgency());
  ticket.set_affected_users(request.affected_users());
  ticket.set_language(request.language());
  *ticket.mutable_tags() = request.tags();
  *ticket.mutable_custom_fields() = request.custom_fields();
  ticket.set_internal(request.internal());
  ticket.set_goal_id(request.goal_id());
  *ticket.mutable_watcher_contact_ids() = request.watcher_contact_ids();
  *ticket.mutable_external_ids() = request.external_ids();
  if (request.has_context()) *ticket.mutable_context() = request.context();
  return ticket;
}

void CheckOpeningFields(const Ticket& ticket, Violations& violations) {
  for (const Field& field : kFields) {
    if (field.at_opening) field.check(ticket, field.path, violations);
  }
}

void CheckUpdate(const Ticket& values, const google::protobuf::FieldMask& mask,
                 Violations& violations) {
  violations.Require(mask.paths_size() >= 1 && mask.paths_size() <= 20, "update_mask",
                     "must name 1 to 20 fields");
  if (mask.paths_size() > 20) return;
  std::set<std::string_view> seen;
  for (const std::string& path : mask.paths()) {
    violations.Require(seen.insert(path).second, "update_mask", "names a field twice");
    if (path == kState) {
      violations.Require(values.state() != type::v1::TICKET_STATE_UNSPECIFIED, "ticket.state",
                         "is missing");
    } else if (path == kContact) {
      violations.Id("ticket.contact_id", values.contact_id());
    } else if (const Field* field = FindField(path)) {
      field->check(values, absl::StrCat("ticket.", path), violations);
    } else {
      // What looks like no path may be anything, a customer's text included: it is not repeated.
      const bool is_path =
          path.size() <= 64 &&
          path.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.") == std::string::npos;
      violations.Require(false, "update_mask",
                         is_path ? absl::StrCat("names ", path, ", a field that cannot be changed")
                                 : "names a field that cannot be changed");
    }
  }
}

std::vector<std::string> ApplyMask(const Ticket& values, const google::protobuf::FieldMask& mask,
                                   Ticket& ticket) {
  google::protobuf::util::FieldMaskUtil::MergeOptions options;
  options.set_replace_message_fields(true);
  options.set_replace_repeated_fields(true);
  std::vector<std::string> changed;
  for (const std::string& path : mask.paths()) {
    if (path == kState || path == kContact) continue;
    google::protobuf::FieldMask one;
    one.add_paths(path);
    Ticket next = ticket;
    google::protobuf::util::FieldMaskUtil::MergeMessageTo(values, one, options, &next);
    if (google::protobuf::util::MessageDifferencer::Equals(next, ticket)) continue;
    ticket.Swap(&next);
    changed.push_back(path);
  }
  std::sort(changed.begin(), changed.end());
  return changed;
}

bool Names(const google::protobuf::FieldMask& mask, std::string_view path) {
  return std::find(mask.paths().begin(), mask.paths().end(), path) != mask.paths().end();
}

std::string NormalThreadRef(std::string_view thread_ref) {
  const auto trim = [](std::string_view& text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  };
  trim(thread_ref);
  if (thread_ref.size() > 2 && thread_ref.front() == '<' && thread_ref.back() == '>') {
    thread_ref = thread_ref.substr(1, thread_ref.size() - 2);
    trim(thread_ref);
  }
  if (thread_ref.find('@') == std::string_view::npos) return std::string(thread_ref);
  return absl::StrCat("<", Absl(thread_ref), ">");
}

std::string CanonicalAddress(std::string_view text) {
  const absl::StatusOr<address::Address> read = address::Parse(text);
  return read.ok() ? read->canonical : std::string(text);
}

void CheckAddress(std::string_view field, std::string_view text, Violations& violations) {
  if (!violations.Line(field, text, kMaxAddressBytes)) return;
  const absl::StatusOr<address::Address> read = address::Parse(text);
  violations.Require(read.ok(), field, std::string(read.status().message()));
}

void CheckExternalId(std::string_view field, const type::v1::ExternalId& external_id,
                     Violations& violations) {
  violations.Key(absl::StrCat(Absl(field), ".system"), external_id.system());
  violations.Line(absl::StrCat(Absl(field), ".id"), external_id.id(), 128);
}

void CheckAttachments(const google::protobuf::RepeatedPtrField<intake::v1::Attachment>& attachments,
                      Violations& violations) {
  violations.Count("attachments", static_cast<size_t>(attachments.size()), kMaxAttachments);
  for (int i = 0; i < attachments.size(); ++i) {
    const intake::v1::Attachment& attachment = attachments[i];
    const std::string at = absl::StrCat("attachments[", i, "]");
    violations.Line(at + ".name", attachment.name(), 255);
    violations.Line(at + ".media_type", attachment.media_type(), 127);
    violations.Range(at + ".size_bytes", attachment.size_bytes(), 0, kMaxAttachmentBytes);
    const std::string& sha256 = attachment.sha256();
    violations.Require(
        sha256.size() == 64 &&
            std::all_of(sha256.begin(), sha256.end(),
                        [](char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); }),
        at + ".sha256", "must be 64 hexadecimal digits");
    violations.Line(at + ".url", attachment.url(), 2048) &&
        violations.Require(IsHttpsUrl(attachment.url()), at + ".url",
                           "must be an https URL with a host and without a user");
  }
}

}  // namespace tandem::ticket_intake
