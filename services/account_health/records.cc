#include "services/account_health/records.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/id/id.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "google/protobuf/descriptor.h"
#include "services/account_health/holds.h"
#include "services/account_health/requesters.h"
#include "services/account_health/tickets.h"
#include "services/account_health/topics.h"

namespace tandem::account_health {
namespace {

using corridor::View;
using store::Table;
using store::Value;

template <typename M>
const Table<M>& Plain(const char* name, store::Rows rows = store::Rows::kStay) {
  static const Table<M>& table = *new Table<M>(name, {}, rows);
  return table;
}

Value Number(int64_t number) { return Value(number); }
Value Text(std::string_view text) { return Value(std::string(text)); }

// "column IN (1, 2)", or what is always true; the numbers are enum values, so they stand in the
// text.
std::string In(const std::string& column, const std::vector<int>& numbers) {
  if (numbers.empty()) return "1=1";
  return absl::StrCat(column, " IN (", absl::StrJoin(numbers, ", "), ")");
}

// The topics held for some contact.
int64_t ContactTopicsHeld(const records::HoldRecord& holds) {
  TopicSet topics = 0;
  for (int topic = 0; topic < holds.contacts_held_size(); ++topic) {
    if (holds.contacts_held(topic) > 0) topics |= TopicSet{1} << topic;
  }
  return topics;
}

// An enumeration's value in lower case, without what its names begin with; "none" for 0.
std::string WordOf(const google::protobuf::EnumValueDescriptor& value, size_t prefix) {
  return value.number() == 0 ? "none" : absl::AsciiStrToLower(value.name().substr(prefix));
}

// The column's number as that word.
std::string WordBy(const std::string& column, const google::protobuf::EnumDescriptor* numbers,
                   std::string_view prefix) {
  std::string sql = absl::StrCat("CASE ", column);
  for (int i = 0; i < numbers->value_count(); ++i) {
    const google::protobuf::EnumValueDescriptor& value = *numbers->value(i);
    absl::StrAppend(&sql, " WHEN ", value.number(), " THEN '", WordOf(value, prefix.size()), "'");
  }
  return sql + " ELSE 'other' END";
}

constexpr std::string_view kTopicPrefix = "OUTREACH_TOPIC_";

// Keys of the form "<account>/<part>": '/' is in no id, '0' follows it.
std::string First(std::string_view account_id) { return std::string(account_id) + "/"; }
std::string Past(std::string_view account_id) { return std::string(account_id) + "0"; }

}  // namespace

const Table<records::AccountRecord>& Accounts() {
  static const auto& table = *new Table<records::AccountRecord>(
      "accounts", {{"segment", [](const auto& r) { return Number(r.account().segment()); }},
                   {"stage", [](const auto& r) { return Number(r.account().stage()); }}});
  return table;
}

const Table<account::v1::Contact>& Contacts() {
  static const auto& table = *new Table<account::v1::Contact>(
      "contacts", {{"account_id", [](const auto& r) { return Text(r.account_id()); }}});
  return table;
}

const Table<records::TeamRecord>& Teams() { return Plain<records::TeamRecord>("teams"); }
const Table<records::AddressRecord>& Addresses() {
  return Plain<records::AddressRecord>("addresses", store::Rows::kMayGo);
}
const Table<records::DomainRecord>& Domains() {
  return Plain<records::DomainRecord>("domains", store::Rows::kMayGo);
}
const Table<records::NameRecord>& Names() {
  return Plain<records::NameRecord>("names", store::Rows::kMayGo);
}

const Table<records::RequesterRecord>& Requesters() {
  static const auto& table = *new Table<records::RequesterRecord>(
      "requesters", {{"is_open", [](const auto& r) { return Number(r.contact_id().empty()); }},
                     {"first_seen_us", [](const auto& r) { return Number(r.first_seen_us()); }},
                     {"domain", [](const auto& r) {
                        return Text(DomainOf(CanonicalAddress(r.entry().address())));
                      }}});
  return table;
}

const Table<records::StaffRecord>& Staff() { return Plain<records::StaffRecord>("staff"); }
const Table<records::JournalRecord>& Journals() {
  return Plain<records::JournalRecord>("journals");
}
const Table<records::EntryRecord>& Timeline() {
  return Plain<records::EntryRecord>("timeline", store::Rows::kMayGo);
}

const Table<records::TicketRecord>& Tickets() {
  static const auto& table = *new Table<records::TicketRecord>(
      "tickets", {{"account_id", [](const auto& r) { return Text(r.account_id()); }},
                  {"is_unattributed", [](const auto& r) { return Number(IsUnattributed(r)); }}});
  return table;
}

const Table<records::HoldRecord>& HoldRecords() {
  static const auto& table = *new Table<records::HoldRecord>(
      "holds",
      {{"is_held",
        [](const auto& r) { return Number(r.account().held_size() > 0 || r.held_contacts() > 0); }},
       {"account_topics", [](const auto& r) { return Number(HeldTopicsOf(r.account())); }},
       {"contact_topics", [](const auto& r) { return Number(ContactTopicsHeld(r)); }},
       {"held_contacts", [](const auto& r) { return Number(r.held_contacts()); }},
       {"is_parked", [](const auto& r) { return Number(!r.parked().empty()); }}});
  return table;
}
const Table<records::Issue>& Issues() {
  return Plain<records::Issue>("issues", store::Rows::kMayGo);
}
const Table<records::ContactHoldRecord>& ContactHolds() {
  return Plain<records::ContactHoldRecord>("contact_holds", store::Rows::kMayGo);
}
const Table<records::ParkedRecord>& ParkedSubjects() {
  return Plain<records::ParkedRecord>("parked", store::Rows::kMayGo);
}

const Table<records::HealthRecord>& HealthRecords() {
  static const auto& table = *new Table<records::HealthRecord>(
      "health", {{"band", [](const auto& r) { return Number(r.band()); }},
                 {"segment", [](const auto& r) { return Number(r.segment()); }},
                 {"sort_score",
                  [](const auto& r) { return Number(r.score() < 0 ? kSortsLast : r.score()); }}});
  return table;
}

const Table<records::MoveRecord>& Moves() {
  static const auto& table = *new Table<records::MoveRecord>(
      "health_moves", {{"occurred_us", [](const auto& r) { return Number(r.occurred_us()); }}});
  return table;
}

const Table<records::ClearanceRecord>& Clearances() {
  static const auto& table = *new Table<records::ClearanceRecord>(
      "clearances",
      {{"account_id", [](const auto& r) { return Text(r.clearance().account_id()); }},
       {"topic", [](const auto& r) { return Number(r.clearance().topic()); }},
       {"given_us", [](const auto& r) { return Number(time::MicrosOf(r.clearance().given_at())); }},
       {"given_sequence", [](const auto& r) { return Number(r.clearance().given_sequence()); }},
       {"expires_us",
        [](const auto& r) { return Number(time::MicrosOf(r.clearance().expires_at())); }},
       {"state", [](const auto& r) { return Number(r.clearance().state()); }},
       {"staff_id", [](const auto& r) { return Text(r.clearance().staff_id()); }}});
  return table;
}

const Table<records::BudgetRecord>& Budgets() { return Plain<records::BudgetRecord>("budgets"); }

const Table<records::TouchRecord>& Touches() {
  static const auto& table = *new Table<records::TouchRecord>(
      "touches", {{"account_id", [](const auto& r) { return Text(r.touch().account_id()); }},
                  {"occurred_us",
                   [](const auto& r) { return Number(time::MicrosOf(r.touch().occurred_at())); }},
                  {"sequence", [](const auto& r) { return Number(r.touch().sequence()); }},
                  {"verdict", [](const auto& r) { return Number(r.touch().verdict()); }},
                  {"minutes", [](const auto& r) { return Number(r.touch().minutes()); }},
                  {"recorded_us",
                   [](const auto& r) { return Number(time::MicrosOf(r.touch().recorded_at())); }}});
  return table;
}

const Table<records::ExceptionRecord>& Exceptions() {
  return Plain<records::ExceptionRecord>("exceptions");
}
const Table<records::SurveyRecord>& Surveys() { return Plain<records::SurveyRecord>("surveys"); }

const Table<records::FollowUpRecord>& FollowUps() {
  static const auto& table = *new Table<records::FollowUpRecord>(
      "follow_ups", {{"account_id", [](const auto& r) { return Text(r.account_id()); }}});
  return table;
}

std::string AddressKey(std::string_view normal_address) {
  return id::Derive("address", {normal_address});
}

std::string NameKey(std::string_view kind, const type::v1::ExternalId& name) {
  return id::Derive("name", {kind, name.system(), name.id()});
}

std::string PartKey(std::string_view account_id, std::string_view part_id) {
  return absl::StrCat(std::string(account_id), "/", std::string(part_id));
}

std::string SequenceKey(std::string_view account_id, int64_t sequence) {
  return absl::StrFormat("%s/%012d", std::string(account_id), sequence);
}

std::string WaitingKey(std::string_view ticket_id, int64_t sequence) {
  return absl::StrFormat("~%s/%012d", std::string(ticket_id), sequence);
}

std::string LeftKey(std::string_view ticket_id, std::string_view account_id) {
  return absl::StrCat(std::string(ticket_id), "@", std::string(account_id));
}

Rows<records::AccountRecord> SelectAccounts(View& view, const std::vector<int>& segments,
                                            const std::vector<int>& stages, std::string_view after,
                                            int64_t limit) {
  return view.Select(Accounts(),
                     absl::StrCat("WHERE key > $1 AND ", In("segment", segments), " AND ",
                                  In("stage", stages), " ORDER BY key LIMIT $2"),
                     {Text(after), Number(limit)});
}

Rows<account::v1::Contact> SelectContacts(View& view, std::string_view account_id,
                                          std::string_view after, int64_t limit) {
  return view.Select(Contacts(), "WHERE account_id=$1 AND key > $2 ORDER BY key LIMIT $3",
                     {Text(account_id), Text(after), Number(limit)});
}

Rows<account::v1::Contact> SelectAllContacts(View& view, std::string_view after, int64_t limit) {
  return view.Select(Contacts(), "WHERE key > $1 ORDER BY key LIMIT $2",
                     {Text(after), Number(limit)});
}

Rows<records::RequesterRecord> SelectOpenByDomain(View& view, std::string_view column,
                                                  std::string_view after, int64_t limit) {
  return view.Select(Requesters(),
                     "WHERE is_open=1 AND domain=$1 AND key > $2 ORDER BY key LIMIT $3",
                     {Text(column), Text(after), Number(limit)});
}

Rows<records::RequesterRecord> SelectOpenRequesters(View& view, int64_t after_us,
                                                    std::string_view after_id, int64_t limit) {
  return view.Select(
      Requesters(),
      "WHERE is_open=1 AND (first_seen_us > $1 OR (first_seen_us = $1 AND key > $2)) "
      "ORDER BY first_seen_us, key LIMIT $3",
      {Number(after_us), Text(after_id), Number(limit)});
}

Rows<records::EntryRecord> SelectEntriesAfter(View& view, std::string_view account_id,
                                              int64_t after, int64_t limit) {
  return view.Select(Timeline(), "WHERE key > $1 AND key < $2 ORDER BY key LIMIT $3",
                     {SequenceKey(account_id, after), Past(account_id), Number(limit)});
}

Rows<records::EntryRecord> SelectEntriesBefore(View& view, std::string_view account_id,
                                               int64_t before, int64_t limit) {
  return view.Select(Timeline(), "WHERE key >= $1 AND key < $2 ORDER BY key DESC LIMIT $3",
                     {First(account_id), SequenceKey(account_id, before), Number(limit)});
}

Rows<records::MoveRecord> SelectMoves(View& view, std::string_view account_id, int64_t before,
                                      int64_t from_us, int64_t to_us, int64_t limit) {
  return view.Select(Moves(),
                     "WHERE key >= $1 AND key < $2 AND occurred_us >= $3 AND occurred_us < $4 "
                     "ORDER BY key DESC LIMIT $5",
                     {First(account_id), SequenceKey(account_id, before), Number(from_us),
                      Number(to_us), Number(limit)});
}

Rows<records::HealthRecord> SelectHealth(View& view, const std::vector<int>& bands,
                                         const std::vector<int>& segments, int64_t after_score,
                                         std::string_view after_id, int64_t limit) {
  // Without a band asked for, stages without health (band 0) are left out.
  return view.Select(HealthRecords(),
                     absl::StrCat("WHERE (sort_score > $1 OR (sort_score = $1 AND key > $2)) AND ",
                                  bands.empty() ? "band <> 0" : In("band", bands), " AND ",
                                  In("segment", segments), " ORDER BY sort_score, key LIMIT $3"),
                     {Number(after_score), Text(after_id), Number(limit)});
}

absl::StatusOr<std::vector<account::v1::BandCount>> CountBands(View& view) {
  std::vector<account::v1::BandCount> counts;
  for (const auto band :
       {type::v1::HEALTH_BAND_RED, type::v1::HEALTH_BAND_YELLOW, type::v1::HEALTH_BAND_GREEN,
        type::v1::HEALTH_BAND_UNKNOWN, type::v1::HEALTH_BAND_UNSPECIFIED}) {
    counts.emplace_back().set_band(band);
  }
  const absl::Status status = view.Query({"SELECT band, COUNT(*) FROM health GROUP BY band", {}},
                                         [&](const store::RowView& row) {
                                           for (account::v1::BandCount& count : counts) {
                                             if (count.band() == row.Int(0))
                                               count.set_accounts(row.Int(1));
                                           }
                                         });
  if (!status.ok()) return status;
  return counts;
}

absl::StatusOr<int64_t> CountScoredAccounts(corridor::View& view) {
  int64_t accounts = 0;
  const absl::Status status = view.Query({"SELECT count(*) FROM health", {}},
                                         [&](const store::RowView& row) { accounts = row.Int(0); });
  if (!status.ok()) return status;
  return accounts;
}

absl::StatusOr<int64_t> CountStandingClearances(corridor::View& view, absl::Time now) {
  int64_t standing = 0;
  const absl::Status status =
      view.Query({"SELECT count(*) FROM clearances WHERE expires_us > $1 AND state = $2",
                  {store::Value(time::ToMicros(now)),
                   store::Value(int64_t{account::v1::CLEARANCE_STATE_STANDING})}},
                 [&](const store::RowView& row) { standing = row.Int(0); });
  if (!status.ok()) return status;
  return standing;
}

Rows<records::ClearanceRecord> SelectClearances(View& view, std::string_view account_id,
                                                int64_t before, int64_t standing_at_us,
                                                int64_t limit) {
  return view.Select(Clearances(),
                     "WHERE account_id=$1 AND given_sequence < $2 "
                     "AND ($3 < 0 OR (state=1 AND expires_us > $3)) "  // 1 = STANDING
                     "ORDER BY given_sequence DESC LIMIT $4",
                     {Text(account_id), Number(before), Number(standing_at_us), Number(limit)});
}

Rows<records::ClearanceRecord> SelectClearancesAt(View& view, std::string_view account_id,
                                                  type::v1::OutreachTopic topic, int64_t at_us,
                                                  int64_t limit) {
  return view.Select(Clearances(),
                     "WHERE account_id=$1 AND topic=$2 AND given_us <= $3 AND expires_us > $3 "
                     "ORDER BY given_sequence DESC LIMIT $4",
                     {Text(account_id), Number(topic), Number(at_us), Number(limit)});
}

Rows<records::ClearanceRecord> SelectClearancesOf(View& view, std::string_view column,
                                                  std::string_view after, int64_t now_us,
                                                  int64_t limit) {
  // 1 = STANDING
  return view.Select(Clearances(),
                     "WHERE state=1 AND staff_id=$1 AND expires_us > $2 AND key > $3 "
                     "ORDER BY key LIMIT $4",
                     {Text(column), Number(now_us), Text(after), Number(limit)});
}

absl::StatusOr<int64_t> CountUnattributed(View& view) {
  int64_t count = 0;
  absl::Status status = view.Query(
      {absl::StrCat("SELECT COUNT(*) FROM (SELECT 1 FROM tickets WHERE account_id='' AND "
                    "is_unattributed=1 LIMIT ",
                    kMostUnattributed, ") AS open"),
       {}},
      [&](const store::RowView& row) { count = row.Int(0); });
  if (!status.ok()) return status;
  // 2 = last changed before the column was there.
  auto rows =
      view.Select(Tickets(), "WHERE account_id='' AND is_unattributed=2 ORDER BY key LIMIT $1",
                  {Number(kMostUnattributed)});
  if (!rows.ok()) return rows.status();
  for (const auto& row : *rows) count += IsUnattributed(*row) ? 1 : 0;
  return std::min(count, kMostUnattributed);
}

Rows<records::TouchRecord> SelectTouchesBefore(View& view, std::string_view account_id,
                                               int64_t before, int64_t from_us, int64_t to_us,
                                               int64_t limit) {
  return view.Select(
      Touches(),
      "WHERE account_id=$1 AND sequence < $2 AND occurred_us >= $3 AND "
      "occurred_us < $4 ORDER BY sequence DESC LIMIT $5",
      {Text(account_id), Number(before), Number(from_us), Number(to_us), Number(limit)});
}

Rows<records::TouchRecord> SelectTouchesAfter(View& view, std::string_view account_id,
                                              std::string_view after_account,
                                              int64_t after_sequence, int64_t from_us,
                                              int64_t to_us, int64_t limit) {
  return view.Select(Touches(),
                     "WHERE ($1 = '' OR account_id=$1) AND (account_id > $2 OR (account_id = $2 "
                     "AND sequence > $3)) AND occurred_us >= $4 AND occurred_us < $5 "
                     "ORDER BY account_id, sequence LIMIT $6",
                     {Text(account_id), Text(after_account), Number(after_sequence),
                      Number(from_us), Number(to_us), Number(limit)});
}

absl::StatusOr<account::v1::TouchTotals> CountTouches(View& view, std::string_view account_id,
                                                      int64_t from_us, int64_t to_us) {
  account::v1::TouchTotals totals;
  const absl::Status status = view.Query(
      {"SELECT verdict, COUNT(*), SUM(minutes) FROM touches WHERE ($1 = '' OR account_id=$1) AND "
       "occurred_us >= $2 AND occurred_us < $3 GROUP BY verdict",
       {Text(account_id), Number(from_us), Number(to_us)}},
      [&](const store::RowView& row) {
        totals.set_touches(totals.touches() + row.Int(1));
        totals.set_minutes(totals.minutes() + row.Int(2));
        switch (row.Int(0)) {
          case account::v1::TOUCH_VERDICT_CLEARED:
            totals.set_cleared(row.Int(1));
            break;
          case account::v1::TOUCH_VERDICT_EXCEPTION:
            totals.set_exceptions(row.Int(1));
            break;
          case account::v1::TOUCH_VERDICT_FREE:
            totals.set_free(row.Int(1));
            break;
          default:
            totals.set_violations(totals.violations() + row.Int(1));
        }
      });
  if (!status.ok()) return status;
  return totals;
}

Rows<records::Issue> SelectIssues(View& view, std::string_view account_id) {
  return view.Select(Issues(), "WHERE key > $1 AND key < $2 ORDER BY key",
                     {First(account_id), Past(account_id)});
}

Rows<records::ContactHoldRecord> SelectContactHolds(View& view, std::string_view account_id) {
  return view.Select(ContactHolds(), "WHERE key > $1 AND key < $2 ORDER BY key",
                     {First(account_id), Past(account_id)});
}

Rows<records::TicketRecord> SelectTickets(View& view, std::string_view account_id) {
  return view.Select(Tickets(), "WHERE account_id=$1 ORDER BY key", {Text(account_id)});
}

Rows<records::FollowUpRecord> SelectFollowUps(View& view, std::string_view account_id) {
  return view.Select(FollowUps(), "WHERE account_id=$1 ORDER BY key", {Text(account_id)});
}

std::vector<corridor::ServiceDefinition::Measure> Measures() {
  std::vector<std::string> bits;
  for (const type::v1::OutreachTopic topic : TopicsOf(UnfreeTopics())) {
    const google::protobuf::EnumValueDescriptor* value =
        type::v1::OutreachTopic_descriptor()->FindValueByNumber(topic);
    bits.push_back(
        absl::StrCat("(", SetOf(topic), ", '", WordOf(*value, kTopicPrefix.size()), "')"));
  }
  // The accounts held alike are counted first: they are many, what is held alike is little.
  const auto held_by_topic = [](const std::string& scope) {
    return absl::StrCat("SELECT '", scope,
                        "', word, CAST(SUM(accounts) AS BIGINT) FROM alike JOIN ", "topics ON (",
                        scope, "_topics & bit) <> 0 GROUP BY word");
  };
  const std::string lately = "$1 - 3600000000";
  return {
      {"tandem_accounts_by_band",
       "Accounts by health band and segment; band none: the stage has no health.",
       {"band", "segment"},
       absl::StrCat("SELECT ", WordBy("band", type::v1::HealthBand_descriptor(), "HEALTH_BAND_"),
                    ", ", WordBy("segment", type::v1::Segment_descriptor(), "SEGMENT_"),
                    ", COUNT(*) FROM health GROUP BY band, segment")},
      {"tandem_accounts_held",
       "Accounts in which outreach on the topic is held: for everybody (scope account), for some "
       "contacts (scope contact).",
       {"scope", "topic"},
       absl::StrCat("WITH topics(bit, word) AS (VALUES ", absl::StrJoin(bits, ", "),
                    "), alike AS (SELECT account_topics, contact_topics, COUNT(*) AS accounts "
                    "FROM holds WHERE is_held = 1 GROUP BY account_topics, contact_topics) ",
                    held_by_topic("account"), " UNION ALL ", held_by_topic("contact"))},
      {"tandem_contacts_held",
       "Contacts for whom some topic is held because of their own issues.",
       {},
       "SELECT CAST(COALESCE(SUM(held_contacts), 0) AS BIGINT) FROM holds WHERE is_held = 1"},
      {"tandem_accounts_parked",
       "Accounts held because events that may concern them are parked.",
       {},
       "SELECT COUNT(*) FROM holds WHERE is_held = 1 AND is_parked = 1"},
      {"tandem_clearances_standing",
       "Outreach clearances that may be used now.",
       {"topic"},
       absl::StrCat(
           "SELECT ", WordBy("topic", type::v1::OutreachTopic_descriptor(), kTopicPrefix),
           ", COUNT(*) FROM clearances WHERE expires_us > $1 AND state = 1 GROUP BY topic")},
      {"tandem_clearances_last_hour",
       "Outreach clearances given within the last hour, by what became of them: kept, revoked, "
       "returned, released.",
       {"outcome"},
       absl::StrCat("SELECT CASE state WHEN 1 THEN 'kept' ELSE ",
                    WordBy("state", account::v1::ClearanceState_descriptor(), "CLEARANCE_STATE_"),
                    " END, COUNT(*) FROM clearances WHERE given_us > ", lately, " GROUP BY state")},
      {"tandem_touches_last_hour",
       "Touches recorded within the last hour, by how they stand to the rules.",
       {"verdict"},
       absl::StrCat("SELECT ",
                    WordBy("verdict", account::v1::TouchVerdict_descriptor(), "TOUCH_VERDICT_"),
                    ", COUNT(*) FROM touches WHERE recorded_us > ", lately, " GROUP BY verdict")},
      {"tandem_requesters_unresolved",
       "Requesters that wait to be assigned to a contact.",
       {},
       "SELECT COUNT(*) FROM requesters WHERE is_open = 1"},
      {"tandem_requester_oldest_unresolved_seconds",
       "For how long the requester who waits longest has waited to be assigned to a contact.",
       {},
       "SELECT CAST(COALESCE(($1 - MIN(first_seen_us)) / 1000000, 0) AS BIGINT) FROM requesters "
       "WHERE is_open = 1"},
      {"tandem_tickets_unattributed",
       "Open tickets that belong to no account because nobody knows their requester.",
       {},
       "SELECT COUNT(*) FROM tickets WHERE account_id = '' AND is_unattributed = 1"},
  };
}

}  // namespace tandem::account_health
