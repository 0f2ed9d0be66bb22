#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/cli/table.h"
#include "common/config/yaml_to_proto.h"
#include "common/id/id.h"
#include "services/tandemctl/command.h"
#include "services/tandemctl/fields.h"
#include "services/tandemctl/sample.h"

namespace tandem::tandemctl {

// Staff before teams, accounts before contacts: what others name comes first.
const std::vector<SampleItem>& SampleItems() {
  static const std::vector<SampleItem>* const items = new std::vector<SampleItem>{
      {"staff", "agent-1", R"yaml(
staff:
  staff_id: agent-1
  function: support
  roles: [support_agent]
  display_name: Agent One
  languages: [en, de]
  queues: [support, incidents]
  capacity: 8
  active: true
)yaml"},
      {"staff", "agent-2", R"yaml(
staff:
  staff_id: agent-2
  function: support
  roles: [support_agent]
  display_name: Agent Two
  skills: [sql]
  support_level: l2
  queues: [incidents, support]
  capacity: 8
  active: true
)yaml"},
      {"staff", "lead-1", R"yaml(
staff:
  staff_id: lead-1
  function: support
  roles: [support_lead]
  display_name: Lead One
  support_level: l3
  queues: [incidents]
  active: true
)yaml"},
      {"staff", "csm-1", R"yaml(
staff:
  staff_id: csm-1
  function: csm
  roles: [csm]
  display_name: Success One
  active: true
)yaml"},
      {"staff", "pm-1", R"yaml(
staff:
  staff_id: pm-1
  function: project_management
  roles: [account_pm, delivery_pm]
  display_name: Projects One
  active: true
)yaml"},
      {"staff", "exec-1", R"yaml(
staff:
  staff_id: exec-1
  function: executive
  roles: [executive]
  display_name: Executive One
  active: true
)yaml"},
      {"account", "acme", R"yaml(
account:
  account_id: acme
  display_name: Acme Corporation
  segment: enterprise
  stage: loyalty
  domains: [acme.example]
  seats: 400
  arr_minor: 12000000
  currency: EUR
)yaml"},
      {"account", "globex", R"yaml(
account:
  account_id: globex
  display_name: Globex
  segment: mid
  stage: activation
  domains: [globex.example]
  seats: 40
)yaml"},
      {"account", "initech", R"yaml(
account:
  account_id: initech
  display_name: Initech
  segment: small
  stage: renewal
  domains: [initech.example]
  seats: 5
)yaml"},
      {"contact", "ada", R"yaml(
contact:
  contact_id: ada
  account_id: acme
  display_name: Ada
  addresses: [ada@acme.example]
  level: member
  language: en
)yaml"},
      {"contact", "olga", R"yaml(
contact:
  contact_id: olga
  account_id: acme
  display_name: Olga
  addresses: [olga@acme.example]
  level: owner
  language: en
  champion: true
)yaml"},
      {"contact", "carl", R"yaml(
contact:
  contact_id: carl
  account_id: acme
  display_name: Carl
  addresses: [carl@acme.example]
  level: executive
  language: en
)yaml"},
      {"contact", "gus", R"yaml(
contact:
  contact_id: gus
  account_id: globex
  display_name: Gus
  addresses: [gus@globex.example]
  level: owner
)yaml"},
      {"contact", "ines", R"yaml(
contact:
  contact_id: ines
  account_id: initech
  display_name: Ines
  addresses: [ines@initech.example]
  level: member
)yaml"},
      {"team", "acme", R"yaml(
account_id: acme
members:
  - {role: support_agent, staff_id: agent-1}
  - {role: support_lead, staff_id: lead-1}
  - {role: account_pm, staff_id: pm-1}
  - {role: csm, staff_id: csm-1}
  - {role: executive, staff_id: exec-1}
)yaml"},
      {"team", "globex", R"yaml(
account_id: globex
members:
  - {role: support_agent, staff_id: agent-2}
  - {role: support_lead, staff_id: lead-1}
  - {role: delivery_pm, staff_id: pm-1}
  - {role: csm, staff_id: csm-1}
)yaml"},
      {"team", "initech", R"yaml(
account_id: initech
members:
  - {role: support_lead, staff_id: lead-1}
  - {role: csm, staff_id: csm-1}
)yaml"},
  };
  return *items;
}

const SampleKind& KindOf(const SampleItem& item) {
  constexpr char kAccounts[] = "tandem.account.v1.AccountService/";
  constexpr char kStaff[] = "tandem.triage.v1.StaffService/";
  static const std::map<std::string, SampleKind>* const kinds =
      new std::map<std::string, SampleKind>{
          {"staff",
           {absl::StrCat(kStaff, "PutStaff"), absl::StrCat(kStaff, "GetStaff"), "staff_id"}},
          {"account",
           {absl::StrCat(kAccounts, "PutAccount"), absl::StrCat(kAccounts, "GetAccount"),
            "account_id"}},
          {"contact",
           {absl::StrCat(kAccounts, "PutContact"), absl::StrCat(kAccounts, "GetContact"),
            "contact_id"}},
          {"team",
           {absl::StrCat(kAccounts, "PutAccountTeam"), absl::StrCat(kAccounts, "GetAccountTeam"),
            "account_id"}}};
  return kinds->at(item.kind);
}

absl::StatusOr<MessageOwner> SampleRequest(const SampleItem& item) {
  auto request = NewRequest(KindOf(item).put);
  if (!request.ok()) return request;
  const absl::Status read = config::YamlToProto(
      item.yaml, absl::StrCat("sample ", item.kind, " ", item.id), request->get());
  if (!read.ok()) return read;
  // The same content is the same request, however often and by whomever it is sent.
  const std::string request_id =
      id::Derive(absl::StrCat("sample-", item.kind, "-", item.id), {item.yaml});
  const absl::Status set = SetField(request->get(), "request_id", request_id, absl::UnixEpoch());
  if (!set.ok()) return set;
  return request;
}

namespace {

using google::protobuf::Message;

// What somebody changed since stays as it is: only what is missing is stored.
absl::StatusOr<bool> Exists(Session& session, const SampleItem& item, absl::Time now) {
  const SampleKind& kind = KindOf(item);
  auto request = NewRequest(kind.get);
  if (!request.ok()) return request.status();
  if (absl::Status set = SetField(request->get(), kind.id_field, item.id, now); !set.ok())
    return set;
  auto reply = session.Call(kind.get, request->get());
  if (absl::IsNotFound(reply.status())) return false;
  if (!reply.ok()) return reply.status();
  // Every account has a team; version 0 = nobody put one yet.
  return item.kind != "team" || IntegerIn(**reply, "version") > 0;
}

int RunSample(Context& context) {
  cli::Table table({{"KIND"}, {"ID", cli::Align::kLeft, true}, {"RESULT"}});
  std::vector<std::string> json;
  for (const SampleItem& item : SampleItems()) {
    const auto exists = Exists(*context.session, item, context.looks.now);
    if (!exists.ok()) return Fail(context, exists.status());
    if (!*exists) {
      auto request = SampleRequest(item);
      if (!request.ok()) return Fail(context, request.status());
      auto reply = context.session->Call(KindOf(item).put, request->get());
      if (!reply.ok()) {
        *context.messages << "tandemctl: sample " << item.kind << " " << item.id << " is refused\n";
        return Fail(context, reply.status());
      }
    }
    table.Add({item.kind, item.id, *exists ? "was there" : "stored"});
    json.push_back(absl::StrCat("  {\"kind\": \"", item.kind, "\", \"id\": \"", item.id,
                                "\", \"stored\": ", *exists ? "false" : "true", "}"));
  }
  *context.looks.screen.out << (context.json
                                    ? absl::StrCat("[\n", absl::StrJoin(json, ",\n"), "\n]\n")
                                    : table.Text(context.looks.screen));
  return kOk;
}

}  // namespace

std::vector<Entry> SampleCommands() {
  Entry entry;
  entry.path = "sample";
  entry.help = "Stores sample accounts, contacts, staff and teams where they are missing.";
  entry.declare = [](config::OptionSet&) -> Entry::Run { return &RunSample; };
  return {entry};
}

}  // namespace tandem::tandemctl
