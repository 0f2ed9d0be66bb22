// account_health's tables and all of its SQL. Functions that read ranges propagate the view's
// status as it is; see common/corridor/view.h.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_RECORDS_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_RECORDS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/corridor/definition.h"
#include "common/corridor/view.h"
#include "common/store/record.h"
#include "services/account_health/records.pb.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/account/v1/health_service.pb.h"
#include "tandem/account/v1/outreach_service.pb.h"

namespace tandem::account_health {

const store::Table<records::AccountRecord>& Accounts();
const store::Table<account::v1::Contact>& Contacts();
const store::Table<records::TeamRecord>& Teams();
const store::Table<records::AddressRecord>& Addresses();
const store::Table<records::DomainRecord>& Domains();
const store::Table<records::NameRecord>& Names();
const store::Table<records::RequesterRecord>& Requesters();
const store::Table<records::StaffRecord>& Staff();
const store::Table<records::JournalRecord>& Journals();
const store::Table<records::EntryRecord>& Timeline();
const store::Table<records::TicketRecord>& Tickets();
const store::Table<records::HoldRecord>& HoldRecords();
const store::Table<records::Issue>& Issues();
const store::Table<records::ContactHoldRecord>& ContactHolds();
const store::Table<records::ParkedRecord>& ParkedSubjects();
const store::Table<records::HealthRecord>& HealthRecords();
const store::Table<records::MoveRecord>& Moves();
const store::Table<records::ClearanceRecord>& Clearances();
const store::Table<records::BudgetRecord>& Budgets();
const store::Table<records::TouchRecord>& Touches();
const store::Table<records::ExceptionRecord>& Exceptions();
const store::Table<records::SurveyRecord>& Surveys();
const store::Table<records::FollowUpRecord>& FollowUps();

// ---- keys. Neither an address nor an external id stands in one as it is: keys go into errors and
// logs.
std::string AddressKey(std::string_view canonical_address);
// `kind` is "account", "contact" or "requester".
std::string NameKey(std::string_view kind, const type::v1::ExternalId& name);
// Of an account's issue, or of what is held for one of its contacts.
std::string PartKey(std::string_view account_id, std::string_view part_id);
// Of an account's timeline entry, or of its move.
std::string SequenceKey(std::string_view account_id, int64_t sequence);
// Of a timeline entry that waits until its ticket has an account.
std::string WaitingKey(std::string_view ticket_id, int64_t sequence);
// Of the stretches of a ticket in an account that it left.
std::string LeftKey(std::string_view ticket_id, std::string_view account_id);

// ---- ranges, each at most `limit` rows
template <typename M>
using Rows = absl::StatusOr<std::vector<corridor::Loaded<M>>>;

// Accounts by id after `after`; empty filters let all through.
Rows<records::AccountRecord> SelectAccounts(corridor::View& view, const std::vector<int>& segments,
                                            const std::vector<int>& stages, std::string_view after,
                                            int64_t limit);
// Contacts of an account by id after `after`.
Rows<account::v1::Contact> SelectContacts(corridor::View& view, std::string_view account_id,
                                          std::string_view after, int64_t limit);
// All contacts by id after `after`.
Rows<account::v1::Contact> SelectAllContacts(corridor::View& view, std::string_view after,
                                             int64_t limit);
// Open entries of the unresolved list by id after `after`, of whose address the column says this
// domain.
Rows<records::RequesterRecord> SelectOpenByDomain(corridor::View& view, std::string_view column,
                                                  std::string_view after, int64_t limit);
// Open entries of the unresolved list, oldest first, after (first_seen_us, requester_id).
Rows<records::RequesterRecord> SelectOpenRequesters(corridor::View& view, int64_t after_us,
                                                    std::string_view after_id, int64_t limit);
// Timeline entries with after < sequence, ascending, or sequence < before, descending.
Rows<records::EntryRecord> SelectEntriesAfter(corridor::View& view, std::string_view account_id,
                                              int64_t after, int64_t limit);
Rows<records::EntryRecord> SelectEntriesBefore(corridor::View& view, std::string_view account_id,
                                               int64_t before, int64_t limit);
// Moves with sequence < before and from_us <= instant < to_us, newest first.
Rows<records::MoveRecord> SelectMoves(corridor::View& view, std::string_view account_id,
                                      int64_t before, int64_t from_us, int64_t to_us,
                                      int64_t limit);
// Health by (score, account id) after the given pair; accounts without a number last.
inline constexpr int64_t kSortsLast = 1'000'000;
Rows<records::HealthRecord> SelectHealth(corridor::View& view, const std::vector<int>& bands,
                                         const std::vector<int>& segments, int64_t after_score,
                                         std::string_view after_id, int64_t limit);
absl::StatusOr<std::vector<account::v1::BandCount>> CountBands(corridor::View& view);
// Accounts whose health and holds are kept.
absl::StatusOr<int64_t> CountScoredAccounts(corridor::View& view);
// Clearances that may be used at `now`.
absl::StatusOr<int64_t> CountStandingClearances(corridor::View& view, absl::Time now);
// Clearances of an account with given_sequence < before, newest first; with `standing_at_us` >= 0
// only those that stand then.
Rows<records::ClearanceRecord> SelectClearances(corridor::View& view, std::string_view account_id,
                                                int64_t before, int64_t standing_at_us,
                                                int64_t limit);
// Clearances of an account on a topic that were given at or before `at_us` and expire after it,
// newest first.
Rows<records::ClearanceRecord> SelectClearancesAt(corridor::View& view, std::string_view account_id,
                                                  type::v1::OutreachTopic topic, int64_t at_us,
                                                  int64_t limit);
// Clearances that stand at `now_us` by id after `after`, whose column names that holder.
Rows<records::ClearanceRecord> SelectClearancesOf(corridor::View& view, std::string_view column,
                                                  std::string_view after, int64_t now_us,
                                                  int64_t limit);
// Open tickets that nobody knows the account of, counted up to kMostUnattributed.
inline constexpr int64_t kMostUnattributed = 1000;
absl::StatusOr<int64_t> CountUnattributed(corridor::View& view);
// Touches of an account with sequence < before, newest first, that happened in [from_us, to_us).
Rows<records::TouchRecord> SelectTouchesBefore(corridor::View& view, std::string_view account_id,
                                               int64_t before, int64_t from_us, int64_t to_us,
                                               int64_t limit);
// Touches by (account, sequence) after the given pair that happened in [from_us, to_us); an empty
// `account_id` means all accounts.
Rows<records::TouchRecord> SelectTouchesAfter(corridor::View& view, std::string_view account_id,
                                              std::string_view after_account,
                                              int64_t after_sequence, int64_t from_us,
                                              int64_t to_us, int64_t limit);
absl::StatusOr<account::v1::TouchTotals> CountTouches(corridor::View& view,
                                                      std::string_view account_id, int64_t from_us,
                                                      int64_t to_us);
// An account's open issues by subject id, and its contacts for whom something is held. All of them.
Rows<records::Issue> SelectIssues(corridor::View& view, std::string_view account_id);
Rows<records::ContactHoldRecord> SelectContactHolds(corridor::View& view,
                                                    std::string_view account_id);
// Tickets that are or were the account's, and its follow-ups. All of them.
Rows<records::TicketRecord> SelectTickets(corridor::View& view, std::string_view account_id);
Rows<records::FollowUpRecord> SelectFollowUps(corridor::View& view, std::string_view account_id);

// What operators see (product §6). No measure walks a table that grows without end: each reads an
// index over what stands now or happened within the last hour.
std::vector<corridor::ServiceDefinition::Measure> Measures();

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_RECORDS_H_
