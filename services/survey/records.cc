#include "services/survey/records.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/config/views.h"
#include "common/time/stamp.h"
#include "services/survey/scale.h"

namespace tandem::survey {

using config::Absl;

namespace {

using records::AnswerRecord;
using records::FollowUpRecord;
using records::SurveyRecord;
using store::Value;
namespace sv = survey::v1;

Value Text(std::string text) { return Value(std::move(text)); }
Value Number(int64_t number) { return Value(number); }

// Delivered: handed over, not bounced, not withdrawn (product §4.5).
bool Counts(const sv::Survey& survey) {
  return survey.has_delivered_at() && survey.state() != sv::SURVEY_STATE_WITHDRAWN &&
         survey.state() != sv::SURVEY_STATE_BOUNCED;
}

std::string DayOf(const sv::Survey& survey) {
  return survey.has_delivered_at()
             ? absl::FormatTime("%Y-%m-%d", time::Instant(survey.delivered_at()),
                                absl::UTCTimeZone())
             : "";
}

// Builds "WHERE a AND b …" with its parameters.
class Filter {
 public:
  std::string Parameter(Value value) {
    params_.push_back(std::move(value));
    return absl::StrCat("$", params_.size());
  }
  void Require(std::string condition) { conditions_.push_back(std::move(condition)); }
  // Only when a value is given.
  void Equals(std::string_view column, const std::string& value) {
    if (!value.empty()) Require(absl::StrCat(Absl(column), "=", Parameter(Text(value))));
  }
  void Equals(std::string_view column, int value) {
    if (value != 0) Require(absl::StrCat(Absl(column), "=", Parameter(Number(value))));
  }
  void Bound(std::string_view column, std::string_view sign, bool given,
             const google::protobuf::Timestamp& at) {
    if (given) {
      Require(absl::StrCat(Absl(column), Absl(sign), Parameter(Number(time::MicrosOf(at)))));
    }
  }
  // A page by (`column`, key), newest first.
  std::string Page(std::string_view column, const Position* after, int64_t limit) {
    if (after != nullptr) {
      const std::string at = Parameter(Number(after->at_us));
      const std::string key = Parameter(Text(after->key));
      Require(absl::StrCat("(", Absl(column), ", key) < (", at, ", ", key, ")"));
    }
    const std::string page = Parameter(Number(limit));
    return absl::StrCat(Where(), " ORDER BY ", Absl(column), " DESC, key DESC LIMIT ", page);
  }
  std::string Where() const {
    return conditions_.empty() ? "" : absl::StrCat("WHERE ", absl::StrJoin(conditions_, " AND "));
  }
  std::vector<Value> TakeParams() { return std::move(params_); }

 private:
  std::vector<std::string> conditions_;
  std::vector<Value> params_;
};

Filter ScoreFilter(const sv::GetScoresRequest& request) {
  Filter filter;
  filter.Require(absl::StrCat("kind=", filter.Parameter(Number(request.kind()))));
  filter.Require("counts=1");
  filter.Bound("delivered_at", ">=", request.has_from(), request.from());
  filter.Bound("delivered_at", "<", request.has_to(), request.to());
  filter.Equals("account_id", request.account_id());
  filter.Equals("severity", request.severity());
  filter.Equals("category", request.category());
  filter.Equals("segment", request.segment());
  filter.Equals("assignee_id", request.assignee_id());
  filter.Equals("team", request.team());
  filter.Equals("channel", request.channel());
  return filter;
}

struct Grouping {
  std::string_view expression;
  bool is_number = false;
};

Grouping GroupingOf(sv::ScoreGrouping grouping) {
  switch (grouping) {
    case sv::SCORE_GROUPING_ACCOUNT:
      return {"account_id"};
    case sv::SCORE_GROUPING_SEVERITY:
      return {"severity", true};
    case sv::SCORE_GROUPING_CATEGORY:
      return {"category"};
    case sv::SCORE_GROUPING_SEGMENT:
      return {"segment", true};
    case sv::SCORE_GROUPING_ASSIGNEE:
      return {"assignee_id"};
    case sv::SCORE_GROUPING_TEAM:
      return {"team"};
    case sv::SCORE_GROUPING_CHANNEL:
      return {"channel", true};
    case sv::SCORE_GROUPING_MONTH:
      return {"substr(delivered_day, 1, 7)"};
    case sv::SCORE_GROUPING_DAY:
      return {"delivered_day"};
    default:
      return {};
  }
}

constexpr char kSums[] = "COUNT(*), SUM(answered), SUM(is_good), SUM(score) FROM surveys ";

ScoreCounts ReadCounts(const store::RowView& row, int first) {
  ScoreCounts counts;
  counts.delivered = row.Int(first);
  counts.answered = row.Int(first + 1);
  counts.good = row.Int(first + 2);
  counts.score_sum = row.Int(first + 3);
  return counts;
}

}  // namespace

const store::Table<records::TicketRecord>& Tickets() {
  static const store::Table<records::TicketRecord> table("tickets", {});
  return table;
}

const store::Table<SurveyRecord>& Surveys() {
  using R = SurveyRecord;
  static const store::Table<R> table(
      "surveys",
      {{"account_id", [](const R& r) { return Text(r.survey().account_id()); }},
       {"contact_id", [](const R& r) { return Text(r.survey().contact_id()); }},
       {"ticket_id", [](const R& r) { return Text(r.survey().ticket_id()); }},
       {"kind", [](const R& r) { return Number(r.survey().kind()); }},
       {"state", [](const R& r) { return Number(r.survey().state()); }},
       {"severity", [](const R& r) { return Number(r.survey().severity()); }},
       {"category", [](const R& r) { return Text(r.survey().category()); }},
       {"segment", [](const R& r) { return Number(r.survey().segment()); }},
       {"channel", [](const R& r) { return Number(r.survey().channel()); }},
       {"assignee_id", [](const R& r) { return Text(r.survey().assignee_id()); }},
       {"team", [](const R& r) { return Text(r.survey().team()); }},
       {"planned_at", [](const R& r) { return Number(time::MicrosOf(r.survey().planned_at())); }},
       {"counts", [](const R& r) { return Number(Counts(r.survey()) ? 1 : 0); }},
       {"delivered_at",
        [](const R& r) { return Number(time::MicrosOf(r.survey().delivered_at())); }},
       {"delivered_day", [](const R& r) { return Text(DayOf(r.survey())); }},
       {"answered", [](const R& r) { return Number(r.survey().has_score() ? 1 : 0); }},
       {"score", [](const R& r) { return Number(r.survey().score()); }},
       {"is_good",
        [](const R& r) { return Number(IsGood(r.survey().kind(), r.survey().score()) ? 1 : 0); }}});
  return table;
}

const store::Table<records::TokenRecord>& Tokens() {
  static const store::Table<records::TokenRecord> table("tokens", {});
  return table;
}

const store::Table<AnswerRecord>& Answers() {
  using R = AnswerRecord;
  static const store::Table<R> table(
      "answers", {{"survey_id", [](const R& r) { return Text(r.answer().survey_id()); }},
                  {"account_id", [](const R& r) { return Text(r.answer().account_id()); }},
                  {"contact_id", [](const R& r) { return Text(r.answer().contact_id()); }},
                  {"ticket_id", [](const R& r) { return Text(r.answer().ticket_id()); }},
                  {"assignee_id", [](const R& r) { return Text(r.answer().assignee_id()); }},
                  {"kind", [](const R& r) { return Number(r.answer().kind()); }},
                  {"is_bad", [](const R& r) { return Number(r.answer().bad() ? 1 : 0); }},
                  {"counts", [](const R& r) { return Number(r.answer().counts() ? 1 : 0); }},
                  {"answered_at",
                   [](const R& r) { return Number(time::MicrosOf(r.answer().answered_at())); }}});
  return table;
}

const store::Table<FollowUpRecord>& FollowUps() {
  using R = FollowUpRecord;
  static const store::Table<R> table(
      "follow_ups",
      {{"account_id", [](const R& r) { return Text(r.follow_up().account_id()); }},
       {"assignee_id", [](const R& r) { return Text(r.follow_up().assignee_id()); }},
       {"is_open", [](const R& r) { return Number(r.follow_up().has_closed_at() ? 0 : 1); }},
       {"requested_at",
        [](const R& r) { return Number(time::MicrosOf(r.follow_up().requested_at())); }}});
  return table;
}

const store::Table<records::OptOutRecord>& OptOuts() {
  static const store::Table<records::OptOutRecord> table("opt_outs", {}, store::Rows::kMayGo);
  return table;
}

std::string AnswerKey(std::string_view survey_id, int32_t revision) {
  return absl::StrFormat("%s/%010d", Absl(survey_id), revision);
}

Rows<SurveyRecord> SelectSurveys(corridor::View& view, const sv::ListSurveysRequest& request,
                                 const Position* after, int64_t limit) {
  Filter filter;
  filter.Equals("account_id", request.account_id());
  filter.Equals("contact_id", request.contact_id());
  filter.Equals("ticket_id", request.ticket_id());
  if (request.states_size() > 0) {
    filter.Require(absl::StrCat(
        "state IN (",
        absl::StrJoin(std::vector<int>(request.states().begin(), request.states().end()), ","),
        ")"));
  }
  const std::string tail = filter.Page("planned_at", after, limit);
  return view.Select(Surveys(), tail, filter.TakeParams());
}

Rows<AnswerRecord> SelectAnswers(corridor::View& view, const sv::ListAnswersRequest& request,
                                 const Position* after, int64_t limit) {
  Filter filter;
  filter.Equals("survey_id", request.survey_id());
  filter.Equals("account_id", request.account_id());
  filter.Equals("contact_id", request.contact_id());
  filter.Equals("ticket_id", request.ticket_id());
  filter.Equals("assignee_id", request.assignee_id());
  filter.Equals("kind", request.kind());
  if (request.bad_only()) filter.Require("is_bad=1");
  if (!request.include_history()) filter.Require("counts=1");
  filter.Bound("answered_at", ">=", request.has_from(), request.from());
  filter.Bound("answered_at", "<", request.has_to(), request.to());
  const std::string tail = filter.Page("answered_at", after, limit);
  return view.Select(Answers(), tail, filter.TakeParams());
}

Rows<FollowUpRecord> SelectFollowUps(corridor::View& view, const sv::ListFollowUpsRequest& request,
                                     const Position* after, int64_t limit) {
  Filter filter;
  filter.Equals("account_id", request.account_id());
  filter.Equals("assignee_id", request.assignee_id());
  if (request.open_only()) filter.Require("is_open=1");
  const std::string tail = filter.Page("requested_at", after, limit);
  return view.Select(FollowUps(), tail, filter.TakeParams());
}

absl::StatusOr<ScoreCounts> CountAll(corridor::View& view, const sv::GetScoresRequest& request) {
  Filter filter = ScoreFilter(request);
  ScoreCounts counts;
  const std::string sql = absl::StrCat("SELECT ", kSums, filter.Where());
  const absl::Status status = view.Query(
      {sql, filter.TakeParams()}, [&](const store::RowView& row) { counts = ReadCounts(row, 0); });
  if (!status.ok()) return status;
  return counts;
}

absl::StatusOr<std::vector<ScoreCounts>> CountGroups(corridor::View& view,
                                                     const sv::GetScoresRequest& request,
                                                     const std::string* after, int64_t limit) {
  const Grouping grouping = GroupingOf(request.group_by());
  std::vector<ScoreCounts> groups;
  if (grouping.expression.empty()) return groups;
  Filter filter = ScoreFilter(request);
  if (after != nullptr) {
    int64_t number = 0;
    if (grouping.is_number && !absl::SimpleAtoi(*after, &number)) return groups;
    filter.Require(
        absl::StrCat(Absl(grouping.expression), ">",
                     filter.Parameter(grouping.is_number ? Number(number) : Text(*after))));
  }
  const std::string where = filter.Where();
  const std::string page = filter.Parameter(Number(limit));
  const std::string expression(grouping.expression);
  const std::string sql = absl::StrCat("SELECT ", expression, ", ", kSums, where, " GROUP BY ",
                                       expression, " ORDER BY ", expression, " LIMIT ", page);
  const absl::Status status =
      view.Query({sql, filter.TakeParams()}, [&](const store::RowView& row) {
        ScoreCounts& counts = groups.emplace_back(ReadCounts(row, 1));
        counts.group = grouping.is_number ? absl::StrCat(row.Int(0)) : std::string(row.Text(0));
      });
  if (!status.ok()) return status;
  return groups;
}

absl::StatusOr<int64_t> CountUnderWay(corridor::View& view) {
  int64_t under_way = 0;
  const absl::Status status =
      view.Query({"SELECT count(*) FROM surveys WHERE state <= 2", {}},
                 [&](const store::RowView& row) { under_way = row.Int(0); });
  if (!status.ok()) return status;
  return under_way;
}

std::vector<corridor::ServiceDefinition::Measure> Measures() {
  return {{"tandem_surveys_under_way",
           "Surveys that wait to be sent, or that were sent and are not answered or expired.",
           {"state"},
           "SELECT CASE state WHEN 1 THEN 'waiting' WHEN 2 THEN 'invited' ELSE 'unknown' END,"
           " COUNT(*) FROM surveys WHERE state <= 2 GROUP BY 1"},
          {"tandem_survey_results_30d",
           "Surveys delivered in the last 30 days by what came of them.",
           {"kind", "result"},
           "SELECT CASE kind WHEN 1 THEN 'csat' WHEN 2 THEN 'ces' ELSE 'unknown' END,"
           " CASE WHEN answered = 0 THEN 'unanswered' WHEN is_good = 1 THEN 'good'"
           " ELSE 'not_good' END, COUNT(*) FROM surveys"
           " WHERE counts = 1 AND kind IN (1, 2) AND delivered_at >= $1 - 2592000000000"
           " GROUP BY 1, 2"},
          {"tandem_survey_follow_ups_due",
           "Follow-ups of bad answers that nobody has closed.",
           {},
           "SELECT COUNT(*) FROM follow_ups WHERE is_open = 1"}};
}

}  // namespace tandem::survey
