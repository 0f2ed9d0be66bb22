#include "services/tandemctl/command.h"

namespace tandem::tandemctl {
namespace {

std::string SurveyMethod(const char* name) {
  return std::string("tandem.survey.v1.SurveyService/") + name;
}

}  // namespace

std::vector<Entry> SurveyCommands() {
  std::vector<Entry> entries;
  const auto add = [&entries](Command command) { entries.push_back(EntryOf(std::move(command))); };

  add({.path = "survey list",
       .help = "Lists surveys and what became of them, newest first.",
       .method = SurveyMethod("ListSurveys"),
       .rows = "surveys",
       .columns = {{"SURVEY", "survey_id"},
                   {"KIND", "kind"},
                   {"STATE", "state"},
                   {"SCORE", "score"},
                   {"TICKET", "ticket_id"},
                   {"ACCOUNT", "account_id"},
                   {"INVITED", "invited_at"},
                   {"NEXT TRY", "next_try_at"},
                   {"WAITS FOR", "waiting_for"}}});
  add({.path = "survey answers",
       .help = "Lists answers with their texts, newest first.",
       .method = SurveyMethod("ListAnswers"),
       .rows = "answers",
       .columns = {{"ANSWERED", "answered_at"},
                   {"KIND", "kind"},
                   {"SCORE", "score"},
                   {"REASONS", "reasons"},
                   {"TICKET", "ticket_id"},
                   {"ACCOUNT", "account_id"},
                   {"ASSIGNEE", "assignee_id"},
                   {"TEXT", "text"}}});
  add({.path = "survey invitation",
       .help = "Shows what a token asks.",
       .method = SurveyMethod("GetInvitation"),
       .arguments = {"token"}});
  add({.path = "survey answer",
       .help = "Answers in a contact's name, by the token of the invitation.",
       .method = SurveyMethod("AnswerSurvey"),
       .arguments = {"token", "score"}});
  add({.path = "survey scores",
       .help = "Scores and response rates of the surveys delivered in a period.",
       .method = SurveyMethod("GetScores"),
       .flags = {{"kind", "", "CSAT"}},
       .rows = "groups"});
  add({.path = "survey opt-out",
       .help = "A contact wants no survey any more.",
       .method = SurveyMethod("OptOut"),
       .arguments = {"contact_id"},
       .only = {"take_back"}});
  add({.path = "survey follow-ups",
       .help = "Lists the follow-ups of bad answers, newest first.",
       .method = SurveyMethod("ListFollowUps"),
       .rows = "follow_ups",
       .columns = {{"FOLLOW-UP", "follow_up_id"},
                   {"REQUESTED", "requested_at"},
                   {"SCORE", "score"},
                   {"TICKET", "ticket_id"},
                   {"ACCOUNT", "account_id"},
                   {"ASSIGNEE", "assignee_id"},
                   {"OUTCOME", "outcome"}}});
  add({.path = "survey close-follow-up",
       .help = "Ends a follow-up.",
       .method = SurveyMethod("CloseFollowUp"),
       .arguments = {"follow_up_id", "outcome"}});
  return entries;
}

}  // namespace tandem::tandemctl
