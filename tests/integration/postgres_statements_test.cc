// Every statement of the services' tables on PostgreSQL, and its schemas beside SQLite's: one SQL
// text serves both engines, and this is where it shows whether it does.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/corridor/definition.h"
#include "common/corridor/view.h"
#include "common/lane/migrations.h"
#include "common/postgres/postgres.h"
#include "common/store/record.h"
#include "common/store/sqlite.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"
#include "services/account_health/migrations.h"
#include "services/account_health/records.h"
#include "services/sla_timer/migrations.h"
#include "services/sla_timer/records.h"
#include "services/survey/migrations.h"
#include "services/survey/records.h"
#include "services/ticket_intake/migrations.h"
#include "services/ticket_intake/records.h"
#include "services/triage/migrations.h"
#include "services/triage/records.h"
#include "tests/integration/postgres_server.h"

namespace tandem::store {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// A value in every field, to some depth: messages may hold themselves.
void Fill(Message& message, int depth = 4) {
  const google::protobuf::Reflection& is = *message.GetReflection();
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* const field = type.field(i);
    // A further field of a choice would undo the one before.
    if (field->real_containing_oneof() != nullptr && field->index_in_oneof() > 0) continue;
    const bool many = field->is_repeated();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        many ? is.AddInt32(&message, field, 1) : is.SetInt32(&message, field, 1);
        break;
      case FieldDescriptor::CPPTYPE_INT64:
        many ? is.AddInt64(&message, field, 1) : is.SetInt64(&message, field, 1);
        break;
      case FieldDescriptor::CPPTYPE_UINT32:
        many ? is.AddUInt32(&message, field, 1) : is.SetUInt32(&message, field, 1);
        break;
      case FieldDescriptor::CPPTYPE_UINT64:
        many ? is.AddUInt64(&message, field, 1) : is.SetUInt64(&message, field, 1);
        break;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        many ? is.AddDouble(&message, field, 1) : is.SetDouble(&message, field, 1);
        break;
      case FieldDescriptor::CPPTYPE_FLOAT:
        many ? is.AddFloat(&message, field, 1) : is.SetFloat(&message, field, 1);
        break;
      case FieldDescriptor::CPPTYPE_BOOL:
        many ? is.AddBool(&message, field, true) : is.SetBool(&message, field, true);
        break;
      case FieldDescriptor::CPPTYPE_ENUM:
        many ? is.AddEnumValue(&message, field, 1) : is.SetEnumValue(&message, field, 1);
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        many ? is.AddString(&message, field, "text") : is.SetString(&message, field, "text");
        break;
      case FieldDescriptor::CPPTYPE_MESSAGE:
        if (depth == 0) break;
        Fill(many ? *is.AddMessage(&message, field) : *is.MutableMessage(&message, field),
             depth - 1);
        break;
    }
  }
}

template <typename M>
M Filled() {
  M message;
  Fill(message);
  return message;
}

// A rule's view of one reader, as a service's queries have it.
class PlainView final : public corridor::View {
 public:
  explicit PlainView(Reader* reader) : reader_(reader) {}
  absl::Status Query(const Statement& statement,
                     absl::FunctionRef<void(const RowView&)> on_row) override {
    return reader_->Query(statement, on_row);
  }

 protected:
  absl::StatusOr<Raw> LoadRaw(const RecordTable& table, std::string_view key) override {
    Raw raw{std::string(key), 0, nullptr};
    const absl::Status status = reader_->Query(
        table.SelectByKey(key), [&](const RowView& row) { raw.version = row.Int(0); });
    if (!status.ok()) return status;
    return raw;
  }
  absl::StatusOr<std::vector<Raw>> SelectRaw(const RecordTable& table, std::string_view tail,
                                             std::vector<Value> params) override {
    std::vector<Raw> raws;
    const absl::Status status =
        reader_->Query(table.SelectWhere(tail, std::move(params)), [&](const RowView& row) {
          std::shared_ptr<Message> body = table.New();
          EXPECT_TRUE(body->ParseFromString(std::string(row.Text(2))));
          raws.push_back({std::string(row.Text(0)), row.Int(1), std::move(body)});
        });
    if (!status.ok()) return status;
    return raws;
  }

 private:
  Reader* const reader_;
};

class PostgresStatements : public testing::Test {
 protected:
  void Open(Schema schema) {
    PostgresOptions options;
    options.uri = schema_.server().uri();
    options.schema = schema_.name();
    options.schemas = {lane::PostgresSchema(), std::move(schema)};
    options.migrate = true;
    auto opened = OpenPostgres(std::move(options));
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
    view_ = std::make_unique<PlainView>(&store_->reader());
  }
  void Committed(const Write& line) {
    const CommitResult result = store_->Commit({line});
    EXPECT_EQ(result.kind, CommitResult::Kind::kCommitted)
        << line.statement.sql << ": " << result.status;
  }
  // Everything that a record table does, all its columns changed at once.
  template <typename M>
  void Works(const Table<M>& table) {
    SCOPED_TRACE(table.name());
    worked_.insert(table.name());
    const M empty, full = Filled<M>();
    Committed(table.Check("k", 0));
    Committed(table.Insert("k", 1, empty));
    Committed(table.Check("k", 1));
    Committed(table.Update("k", 1, 2, empty, full));
    Committed(table.Update("k", 2, 3, full, empty));
    Committed(table.Insert("full", 1, full));
    EXPECT_EQ(view_->Load(table, "k")->version, 3);
    const auto all =
        view_->Select(table, "WHERE key>$1 ORDER BY key LIMIT $2", {std::string(), int64_t{10}});
    ASSERT_TRUE(all.ok()) << all.status();
    EXPECT_EQ(all->size(), 2u);
    Committed(table.Delete("k", 3));
  }
  // A range that the service reads; `status` of a StatusOr, or the status itself.
  template <typename T>
  static void Reads(const absl::StatusOr<T>& rows) {
    EXPECT_TRUE(rows.ok()) << rows.status();
  }
  void Measures(const std::vector<corridor::ServiceDefinition::Measure>& measures) {
    for (const auto& measure : measures) {
      Statement statement{measure.sql, {}};
      if (absl::StrContains(measure.sql, "$1")) statement.params.emplace_back(int64_t{1} << 50);
      const int labels = static_cast<int>(measure.labels.size());
      int rows = 0;
      const absl::Status status = store_->reader().Query(statement, [&](const RowView& row) {
        ++rows;
        for (int i = 0; i < labels; ++i) EXPECT_NE(row.Text(i), "") << measure.name;
        row.Int(labels);
      });
      EXPECT_TRUE(status.ok()) << measure.name << ": " << status;
    }
  }

  void TearDown() override {
    // A table that was forgotten above. The corridor's own are no record tables.
    std::set<std::string> all;
    for (std::string& table : schema_.NewSession()->Ask(
             "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename "
             "NOT IN ('schema_migrations', 'request_marks', 'event_marks', 'positions', 'outbox', "
             "'timers', 'dead_letters', 'parked_subjects', 'policies', 'leases', 'bus_shape', "
             "'abandoned_events')")) {
      all.insert(std::move(table));
    }
    EXPECT_THAT(worked_, testing::ContainerEq(all));
  }

  const SchemaOfTest schema_{PostgresServer::Shared()};
  std::unique_ptr<Store> store_;
  std::unique_ptr<PlainView> view_;
  std::set<std::string> worked_;
};

TEST_F(PostgresStatements, OfTicketIntakeWork) {
  namespace in = ticket_intake;
  Open(in::PostgresSchema());
  Works(in::Tickets());
  Works(in::Messages());
  Works(in::TriageViews());
  Works(in::Names());
  Works(in::KnownRequesters());
  Works(in::UnresolvedRequesters());
  Works(in::Staff());
  Works(in::Contacts());
  Works(in::Accounts());
  Works(in::AddressHistories());
  const in::TicketPosition after{absl::UnixEpoch() + absl::Hours(1), "t"};
  Reads(in::SelectTickets(*view_, {}, "", nullptr, 10));
  Reads(in::SelectTickets(*view_, Filled<intake::v1::ListTicketsRequest>(), "t", &after, 10));
  Reads(in::SelectMessages(*view_, "t", 0, 10));
  Measures(in::Measures());
}

TEST_F(PostgresStatements, OfTriageWork) {
  Open(triage::PostgresSchema());
  Works(triage::Tickets());
  Works(triage::StaffTable());
  Works(triage::Loads());
  Works(triage::Rosters());
  Works(triage::Clocks());
  Works(triage::Escalations());
  const absl::Time now = absl::UnixEpoch() + absl::Hours(1);
  const triage::EscalationPosition after{now, "e"};
  Reads(triage::SelectWaiting(*view_, "text", now, 10));
  Reads(triage::CountAlike(*view_, now));
  Reads(triage::CountWaiting(*view_, now));
  Reads(triage::CountOwned(*view_, "text"));
  Reads(triage::CountOpenByQueue(*view_));
  Reads(triage::SelectLiveEscalations(*view_, "", 10));
  Reads(triage::SelectDue(*view_, "text"));
  Reads(triage::SelectOwned(*view_, "", 10));
  Reads(triage::SelectStaff(*view_, type::v1::STAFF_FUNCTION_UNSPECIFIED, "", 10));
  Reads(triage::SelectStaff(*view_, static_cast<type::v1::StaffFunction>(1), "", 10));
  Reads(triage::SelectEscalations(*view_, {}, nullptr, 10));
  Reads(
      triage::SelectEscalations(*view_, Filled<triage::v1::ListEscalationsRequest>(), &after, 10));
  Measures(triage::Measures());
}

TEST_F(PostgresStatements, OfSlaTimerWork) {
  namespace sla = sla_timer;
  Open(sla::PostgresSchema());
  Works(sla::Tickets());
  Works(sla::PolicyHistories());
  Works(sla::Verifications());
  for (const char* account : {"", "acme"}) {
    Reads(sla::SelectDue(*view_, 100, account, 0, "", 10));
    Reads(sla::SelectOpened(*view_, 0, 100, account, 0, "", 10));
  }
  Reads(sla::SelectAll(*view_, "", 10));
  Reads(sla::SelectLive(*view_, 10));
  Reads(sla::CountLive(*view_));
  Reads(sla::SelectOpenUnder(*view_, 3, "", 10));
  // Kept as earlier releases filled it; calendars come with the policy, and nothing reads it.
  worked_.insert("calendars");
  Measures(sla::Measures());
}

TEST_F(PostgresStatements, OfSurveyWork) {
  namespace v1 = survey::v1;
  Open(survey::PostgresSchema());
  Works(survey::Tickets());
  Works(survey::Surveys());
  Works(survey::Tokens());
  Works(survey::Answers());
  Works(survey::FollowUps());
  Works(survey::OptOuts());
  const survey::Position after{1, "k"};
  Reads(survey::SelectSurveys(*view_, {}, nullptr, 10));
  Reads(survey::SelectSurveys(*view_, Filled<v1::ListSurveysRequest>(), &after, 10));
  Reads(survey::SelectAnswers(*view_, {}, nullptr, 10));
  Reads(survey::SelectAnswers(*view_, Filled<v1::ListAnswersRequest>(), &after, 10));
  Reads(survey::CountUnderWay(*view_));
  Reads(survey::SelectFollowUps(*view_, {}, nullptr, 10));
  Reads(survey::SelectFollowUps(*view_, Filled<v1::ListFollowUpsRequest>(), &after, 10));
  v1::GetScoresRequest scores = Filled<v1::GetScoresRequest>();
  Reads(survey::CountAll(*view_, scores));
  const std::string last = "1";
  for (int grouping = v1::ScoreGrouping_MIN; grouping <= v1::ScoreGrouping_MAX; ++grouping) {
    scores.set_group_by(static_cast<v1::ScoreGrouping>(grouping));
    Reads(survey::CountGroups(*view_, scores, nullptr, 10));
    Reads(survey::CountGroups(*view_, scores, &last, 10));
  }
  Measures(survey::Measures());
}

TEST_F(PostgresStatements, OfAccountHealthWork) {
  namespace ah = account_health;
  Open(ah::PostgresSchema());
  Works(ah::Accounts());
  Works(ah::Contacts());
  Works(ah::Teams());
  Works(ah::Addresses());
  Works(ah::Domains());
  Works(ah::Names());
  Works(ah::Requesters());
  Works(ah::Staff());
  Works(ah::Journals());
  Works(ah::Timeline());
  Works(ah::Tickets());
  Works(ah::HoldRecords());
  Works(ah::Issues());
  Works(ah::ContactHolds());
  Works(ah::ParkedSubjects());
  Works(ah::HealthRecords());
  Works(ah::Moves());
  Works(ah::Clearances());
  Works(ah::Budgets());
  Works(ah::Touches());
  Works(ah::Exceptions());
  Works(ah::Surveys());
  Works(ah::FollowUps());
  Reads(ah::SelectAccounts(*view_, {}, {}, "", 10));
  Reads(ah::SelectAccounts(*view_, {1, 2}, {1, 2}, "a", 10));
  Reads(ah::SelectContacts(*view_, "a", "", 10));
  Reads(ah::SelectOpenRequesters(*view_, 0, "", 10));
  Reads(ah::SelectEntriesAfter(*view_, "a", 1, 10));
  Reads(ah::SelectEntriesBefore(*view_, "a", 1, 10));
  Reads(ah::SelectMoves(*view_, "a", 1, 0, 100, 10));
  Reads(ah::SelectHealth(*view_, {}, {}, 0, "", 10));
  Reads(ah::SelectHealth(*view_, {1, 2}, {1, 2}, 0, "a", 10));
  Reads(ah::CountBands(*view_));
  Reads(ah::CountScoredAccounts(*view_));
  Reads(ah::CountStandingClearances(*view_, absl::UnixEpoch()));
  Reads(ah::SelectClearances(*view_, "a", 100, -1, 10));
  Reads(ah::SelectClearances(*view_, "a", 100, 5, 10));
  Reads(ah::SelectClearancesAt(*view_, "a", static_cast<type::v1::OutreachTopic>(1), 5, 10));
  Reads(ah::SelectTouchesBefore(*view_, "a", 100, 0, 100, 10));
  Reads(ah::SelectTouchesAfter(*view_, "", "a", 1, 0, 100, 10));
  Reads(ah::CountTouches(*view_, "", 0, 100));
  Reads(ah::SelectIssues(*view_, "a"));
  Reads(ah::SelectContactHolds(*view_, "a"));
  Reads(ah::SelectTickets(*view_, "a"));
  Reads(ah::SelectFollowUps(*view_, "a"));
  Reads(ah::SelectAllContacts(*view_, "", 10));
  Reads(ah::SelectOpenByDomain(*view_, "acme.example", "", 10));
  Reads(ah::SelectClearancesOf(*view_, "csm", "", 5, 10));
  Reads(ah::CountUnattributed(*view_));
  Measures(ah::Measures());
}

// ---- the two dialects

// "table.column type NOT NULL", and "index on table (columns)", as far as both engines can tell.
using Shape = std::set<std::string>;

Shape ShapeOfSqlite(std::vector<Schema> schemas) {
  SqliteOptions options;
  options.path = ":memory:";
  options.schemas = std::move(schemas);
  auto store = OpenSqlite(std::move(options));
  EXPECT_TRUE(store.ok()) << store.status();
  Shape shape;
  const std::map<std::string, std::string> types = {
      {"INTEGER", "bigint"}, {"TEXT", "text"}, {"BLOB", "bytea"}};
  absl::Status status = (*store)->reader().Query(
      {"SELECT t.name, c.name, c.type, c.\"notnull\" OR c.pk > 0 FROM sqlite_schema t JOIN "
       "pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%'",
       {}},
      [&](const RowView& row) {
        shape.insert(absl::StrCat(std::string(row.Text(0)), ".", std::string(row.Text(1)), " ",
                                  types.at(std::string(row.Text(2))),
                                  row.Int(3) != 0 ? " NOT NULL" : ""));
      });
  EXPECT_TRUE(status.ok()) << status;
  status = (*store)->reader().Query(
      {"SELECT i.name, i.tbl_name, (SELECT group_concat(c.name) FROM pragma_index_info(i.name) c), "
       "i.sql LIKE '%WHERE%' FROM sqlite_schema i WHERE i.type = 'index' AND i.sql IS NOT NULL",
       {}},
      [&](const RowView& row) {
        shape.insert(absl::StrCat(std::string(row.Text(0)), " on ", std::string(row.Text(1)), " (",
                                  std::string(row.Text(2)), row.Int(3) != 0 ? ") partly" : ")"));
      });
  EXPECT_TRUE(status.ok()) << status;
  // PostgreSQL spells out what SQLite has by itself.
  shape.insert(
      {"request_marks.rowid bigint NOT NULL", "request_marks_rowid on request_marks (rowid)"});
  shape.erase(shape.lower_bound("schema_migrations."), shape.lower_bound("schema_migrations/"));
  return shape;
}

Shape ShapeOfPostgres(Session& session) {
  Shape shape;
  for (const std::string& column :
       session.Ask("SELECT table_name || '.' || column_name || ' ' || data_type || "
                   "CASE WHEN is_nullable = 'NO' THEN ' NOT NULL' ELSE '' END "
                   "FROM information_schema.columns WHERE table_schema = current_schema() "
                   "AND table_name <> 'schema_migrations'")) {
    shape.insert(column);
  }
  for (const std::string& index : session.Ask(
           "SELECT c.relname || ' on ' || t.relname || ' (' || (SELECT string_agg(a.attname, ',' "
           "ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid) || "
           "CASE WHEN i.indpred IS NULL THEN ')' ELSE ') partly' END "
           "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
           "JOIN pg_class t ON t.oid = i.indrelid "
           "WHERE t.relnamespace = current_schema()::regnamespace AND NOT EXISTS "
           "(SELECT 1 FROM pg_constraint o WHERE o.conindid = c.oid)")) {
    shape.insert(index);
  }
  return shape;
}

TEST(PostgresSchemas, HaveTheTablesColumnsAndIndexesOfSqlite) {
  const std::vector<std::pair<Schema, Schema>> dialects = {
      {lane::SqliteSchema(), lane::PostgresSchema()},
      {account_health::SqliteSchema(), account_health::PostgresSchema()},
      {sla_timer::SqliteSchema(), sla_timer::PostgresSchema()},
      {survey::SqliteSchema(), survey::PostgresSchema()},
      {ticket_intake::SqliteSchema(), ticket_intake::PostgresSchema()},
      {triage::SqliteSchema(), triage::PostgresSchema()}};
  for (const auto& [sqlite, postgres] : dialects) {
    SCOPED_TRACE(sqlite.component);
    // A service's steps may rest on the mechanism's tables, which every program makes first.
    const bool is_mechanism = sqlite.component == lane::SqliteSchema().component;
    const SchemaOfTest schema(PostgresServer::Shared());
    PostgresOptions options;
    options.uri = schema.server().uri();
    options.schema = schema.name();
    options.schemas =
        is_mechanism ? std::vector{postgres} : std::vector{lane::PostgresSchema(), postgres};
    const absl::Status migrated = MigratePostgres(options);
    ASSERT_TRUE(migrated.ok()) << migrated;
    const std::unique_ptr<Session> session = schema.NewSession();
    EXPECT_THAT(
        ShapeOfPostgres(*session),
        testing::ContainerEq(ShapeOfSqlite(
            is_mechanism ? std::vector{sqlite} : std::vector{lane::SqliteSchema(), sqlite})));
    // Ordered and compared by bytes, whatever the database's own language.
    EXPECT_THAT(session->Ask("SELECT table_name || '.' || column_name FROM "
                             "information_schema.columns WHERE table_schema = current_schema() AND "
                             "table_name <> 'schema_migrations' AND data_type = 'text' AND "
                             "collation_name IS DISTINCT FROM 'C'"),
                testing::IsEmpty());
  }
}

}  // namespace
}  // namespace tandem::store
