#include "services/ticket_intake/records.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/config/views.h"
#include "common/id/id.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "services/ticket_intake/fields.h"
#include "services/ticket_intake/lifecycle.h"

namespace tandem::ticket_intake {

using config::Absl;

namespace {

using records::TicketRecord;
using store::Value;

constexpr char kTagEdge = '\x1f';

Value Text(std::string text) { return Value(std::move(text)); }
Value Number(int64_t number) { return Value(number); }

bool MayBlock(const intake::v1::Ticket& ticket) {
  return !ticket.internal() && !ticket.suspected_spam() &&
         ticket.close_reason() != type::v1::CLOSE_REASON_SPAM &&
         ticket.state() != type::v1::TICKET_STATE_MERGED;
}

std::string TagColumn(const intake::v1::Ticket& ticket) {
  std::string column;
  for (const std::string& tag : ticket.tags()) {
    absl::StrAppend(&column, std::string(1, kTagEdge), tag, std::string(1, kTagEdge));
  }
  return column;
}

// Builds "WHERE a AND b …" with its parameters.
class Filter {
 public:
  std::string Parameter(Value value) {
    params_.push_back(std::move(value));
    return absl::StrCat("$", params_.size());
  }
  void Require(std::string condition) { conditions_.push_back(std::move(condition)); }
  std::string Where() const {
    return conditions_.empty() ? "" : absl::StrCat("WHERE ", absl::StrJoin(conditions_, " AND "));
  }
  std::vector<Value> TakeParams() { return std::move(params_); }

 private:
  std::vector<std::string> conditions_;
  std::vector<Value> params_;
};

}  // namespace

const store::Table<TicketRecord>& Tickets() {
  static const store::Table<TicketRecord> table(
      "tickets",
      {{"account_id", [](const TicketRecord& r) { return Text(r.ticket().account_id()); }},
       {"contact_id", [](const TicketRecord& r) { return Text(r.ticket().contact_id()); }},
       {"state", [](const TicketRecord& r) { return Number(r.ticket().state()); }},
       {"is_open",
        [](const TicketRecord& r) { return Number(IsUnresolved(r.ticket().state()) ? 1 : 0); }},
       {"may_block", [](const TicketRecord& r) { return Number(MayBlock(r.ticket()) ? 1 : 0); }},
       {"suspected_spam",
        [](const TicketRecord& r) { return Number(r.ticket().suspected_spam() ? 1 : 0); }},
       {"category", [](const TicketRecord& r) { return Text(r.ticket().category()); }},
       {"channel", [](const TicketRecord& r) { return Number(r.ticket().channel()); }},
       {"tags", [](const TicketRecord& r) { return Text(TagColumn(r.ticket())); }},
       {"opened_at",
        [](const TicketRecord& r) { return Number(time::MicrosOf(r.ticket().opened_at())); }},
       {"updated_at",
        [](const TicketRecord& r) { return Number(time::MicrosOf(r.ticket().updated_at())); }}});
  return table;
}

const store::Table<records::MessageRecord>& Messages() {
  static const store::Table<records::MessageRecord> table("messages", {});
  return table;
}

const store::Table<records::TriageViewRecord>& TriageViews() {
  using Record = records::TriageViewRecord;
  static const store::Table<Record> table(
      "triage_views", {{"severity", [](const Record& r) { return Number(r.severity()); }},
                       {"queue", [](const Record& r) { return Text(r.queue()); }},
                       {"assignee_id", [](const Record& r) { return Text(r.assignee_id()); }}});
  return table;
}

const store::Table<records::NameRecord>& Names() {
  static const store::Table<records::NameRecord> table("names", {}, store::Rows::kMayGo);
  return table;
}

const store::Table<records::KnownRequesterRecord>& KnownRequesters() {
  static const store::Table<records::KnownRequesterRecord> table("known_requesters", {});
  return table;
}

const store::Table<records::UnresolvedRequesterRecord>& UnresolvedRequesters() {
  static const store::Table<records::UnresolvedRequesterRecord> table("unresolved_requesters", {});
  return table;
}

const store::Table<records::StaffRecord>& Staff() {
  static const store::Table<records::StaffRecord> table("staff", {});
  return table;
}

const store::Table<records::ContactRecord>& Contacts() {
  static const store::Table<records::ContactRecord> table("contacts", {});
  return table;
}

const store::Table<records::AccountRecord>& Accounts() {
  static const store::Table<records::AccountRecord> table("accounts", {});
  return table;
}

const store::Table<records::AddressHistoryRecord>& AddressHistories() {
  static const store::Table<records::AddressHistoryRecord> table("address_histories", {},
                                                                 store::Rows::kMayGo);
  return table;
}

std::string MessageKey(std::string_view ticket_id, int64_t number) {
  return absl::StrFormat("%s/%010d", Absl(ticket_id), number);
}

std::string ExternalIdKey(const type::v1::ExternalId& external_id) {
  return absl::StrCat("external:", external_id.system(), ":", external_id.id());
}

std::string ThreadKey(std::string_view thread_ref) {
  return absl::StrCat("thread:",
                      absl::BytesToHexString(id::Hash({"thread", NormalThreadRef(thread_ref)})));
}

std::string AddressKey(std::string_view canonical) {
  return absl::StrCat("address:", absl::BytesToHexString(id::Hash({"address", canonical})));
}

std::string RequesterKey(const intake::v1::Requester& requester) {
  switch (requester.who_case()) {
    case intake::v1::Requester::kContactId:
      return absl::StrCat("contact:", requester.contact_id());
    case intake::v1::Requester::kExternalId:
      return ExternalIdKey(requester.external_id());
    case intake::v1::Requester::kAddress:
      return AddressKey(CanonicalAddress(requester.address()));
    case intake::v1::Requester::WHO_NOT_SET:
      break;
  }
  return {};
}

absl::StatusOr<std::vector<corridor::Loaded<TicketRecord>>> SelectTickets(
    corridor::View& view, const intake::v1::ListTicketsRequest& request, std::string_view only,
    const TicketPosition* after, int64_t limit) {
  Filter filter;
  const auto equals = [&](std::string_view column, Value value) {
    filter.Require(absl::StrCat(Absl(column), "=", filter.Parameter(std::move(value))));
  };
  if (!only.empty()) equals("key", Text(std::string(only)));
  if (!request.account_id().empty()) equals("account_id", Text(request.account_id()));
  if (!request.contact_id().empty()) equals("contact_id", Text(request.contact_id()));
  if (!request.category().empty()) equals("category", Text(request.category()));
  if (request.channel() != type::v1::CHANNEL_UNSPECIFIED) {
    equals("channel", Number(request.channel()));
  }
  if (request.states_size() > 0) {
    // Enum numbers stand in the text itself: both engines then see what a partial index offers.
    filter.Require(absl::StrCat(
        "state IN (",
        absl::StrJoin(std::vector<int>(request.states().begin(), request.states().end()), ","),
        ")"));
    if (std::all_of(request.states().begin(), request.states().end(), [](int state) {
          return IsUnresolved(static_cast<type::v1::TicketState>(state));
        })) {
      filter.Require("is_open=1");
    }
  }
  if (request.blocking_only()) filter.Require("may_block=1");
  if (request.suspected_spam_only()) filter.Require("suspected_spam=1");
  if (!request.tag().empty()) {
    // replace() because it means the same in both engines, whatever the letter case and the pattern
    // characters in a tag.
    const std::string edge(1, kTagEdge);
    const std::string tag = filter.Parameter(Text(edge + request.tag() + edge));
    filter.Require(absl::StrCat("replace(tags,", tag, ",'')<>tags"));
  }
  const auto bound = [&](std::string_view column, std::string_view sign, bool given,
                         const google::protobuf::Timestamp& at) {
    if (given)
      filter.Require(
          absl::StrCat(Absl(column), Absl(sign), filter.Parameter(Number(time::MicrosOf(at)))));
  };
  bound("opened_at", ">=", request.has_opened_from(), request.opened_from());
  bound("opened_at", "<", request.has_opened_to(), request.opened_to());
  bound("updated_at", ">=", request.has_updated_from(), request.updated_from());
  bound("updated_at", "<", request.has_updated_to(), request.updated_to());
  std::vector<std::string> seen_by_triage;
  if (request.severities_size() > 0) {
    std::vector<int> severities(request.severities().begin(), request.severities().end());
    seen_by_triage.push_back(absl::StrCat("severity IN (", absl::StrJoin(severities, ","), ")"));
  }
  if (!request.assignee_id().empty()) {
    seen_by_triage.push_back(
        absl::StrCat("assignee_id=", filter.Parameter(Text(request.assignee_id()))));
  }
  if (!request.queue().empty()) {
    seen_by_triage.push_back(absl::StrCat("queue=", filter.Parameter(Text(request.queue()))));
  }
  if (!seen_by_triage.empty()) {
    filter.Require(absl::StrCat("key IN (SELECT key FROM triage_views WHERE ",
                                absl::StrJoin(seen_by_triage, " AND "), ")"));
  }
  if (after != nullptr) {
    const std::string at = filter.Parameter(Number(time::ToMicros(after->opened_at)));
    const std::string key = filter.Parameter(Text(after->ticket_id));
    filter.Require(absl::StrCat("(opened_at, key) < (", at, ", ", key, ")"));
  }
  const std::string page = filter.Parameter(Number(limit));
  const std::string tail =
      absl::StrCat(filter.Where(), " ORDER BY opened_at DESC, key DESC LIMIT ", page);
  return view.Select(Tickets(), tail, filter.TakeParams());
}

absl::StatusOr<std::vector<corridor::Loaded<records::MessageRecord>>> SelectMessages(
    corridor::View& view, std::string_view ticket_id, int64_t after, int64_t limit) {
  // The key is "<ticket>/<number>", so a range of keys is a page of one ticket.
  return view.Select(Messages(), "WHERE key>$1 AND key<$2 ORDER BY key LIMIT $3",
                     {Text(MessageKey(ticket_id, after)), Text(absl::StrCat(Absl(ticket_id), "/:")),
                      Number(limit)});
}

std::vector<corridor::ServiceDefinition::Measure> Measures() {
  return {{"tandem_tickets_open",
           "Unresolved tickets by state and by the severity that triage published last.",
           {"severity", "state"},
           "SELECT CASE v.severity WHEN 1 THEN 'critical' WHEN 2 THEN 'urgent' WHEN 3 THEN 'normal'"
           " WHEN 4 THEN 'general' ELSE 'unclassified' END,"
           " CASE t.state WHEN 1 THEN 'new' WHEN 2 THEN 'open' WHEN 3 THEN 'pending'"
           " WHEN 4 THEN 'on_hold' ELSE 'unknown' END, COUNT(*)"
           " FROM tickets t LEFT JOIN triage_views v ON v.key = t.key"
           " WHERE t.is_open = 1 GROUP BY 1, 2"}};
}

}  // namespace tandem::ticket_intake
