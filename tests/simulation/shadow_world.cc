#include "tests/simulation/shadow_world.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "tandem/account/v1/outreach_service.pb.h"
#include "tandem/account/v1/policy_service.pb.h"
#include "tandem/events/v1/account.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/policy.pb.h"
#include "tandem/sla/v1/policy_service.pb.h"
#include "tandem/sla/v1/sla_service.pb.h"
#include "tests/simulation/shadow_compare.h"

namespace tandem::simulation {
namespace {

namespace ac = account::v1;

const std::string kSlaService = "tandem.sla.v1.SlaService/";
const std::string kOutreachService = "tandem.account.v1.OutreachService/";

// Beyond what is left of it no clock is looked at.
// Somebody commits between the answers: asked so often before it is left at that.
constexpr int kAttempts = 4;
constexpr int kTicketsAtDrawnPoints = 2;

// Whether some clock of this world is not the true one.
bool HasSkew(const World& world) {
  const Mix& mix = world.plan().mix;
  return mix[static_cast<size_t>(Fault::kSkew)] > 0 ||
         mix[static_cast<size_t>(Fault::kClockJump)] > 0;
}

// How far two clocks of this world may be apart.
absl::Duration LargestGap(const World& world) {
  return HasSkew(world) ? kLargestSkew * 2 : absl::ZeroDuration();
}

// What both comparisons do: ask one service, and look at what is known of it meanwhile.
class Interview {
 public:
  Interview(World& world, Service service, bool at_rest)
      : world_(world),
        service_(service),
        at_rest_(at_rest),
        dice_(world.plan().seed, "interview") {}

 protected:
  // The answer of a replica that is alive; another status than OK is the service's, CANCELLED =
  // nobody has answered in time.
  template <typename Reply>
  absl::StatusOr<Reply> Ask(const std::string& method, corridor::MessagePtr request) {
    // One that is stopped, or dies, does not answer.
    constexpr int kReplicas = 3;
    struct Waiting {
      std::optional<absl::StatusOr<corridor::MessagePtr>> reply;
    };
    for (int replica = 0; replica < kReplicas; ++replica) {
      runtime::ServiceRuntime* const runtime = world_.AnyRuntime(service_, dice_);
      if (runtime == nullptr) continue;
      // May outlive this look.
      const auto waiting = std::make_shared<Waiting>();
      runtime->Call({}, corridor::FindMethod(method), request,
                    [waiting](absl::StatusOr<corridor::MessagePtr> reply) {
                      waiting->reply = std::move(reply);
                    });
      for (int i = 0; i < 50 && !waiting->reply.has_value() && !IsOver(); ++i) {
        world_.RunFor(absl::Milliseconds(1));
      }
      if (!waiting->reply.has_value()) continue;
      const absl::StatusOr<corridor::MessagePtr>& reply = *waiting->reply;
      if (!reply.ok()) return reply.status();
      return static_cast<const Reply&>(**reply);
    }
    return absl::CancelledError("nobody answers");
  }

  bool IsOver() const { return world_.ledger().failure().has_value(); }
  int64_t Commits() const { return world_.watch().commits(service_); }

  // Whether the service could not answer for a lawful reason: what is parked is not known, and
  // while there are faults whoever is asked may be unable to read or to answer at all.
  bool MayRefuse(const absl::Status& status, const std::string& subject) {
    if (IsOver()) return true;
    if (!at_rest_ && (absl::IsUnavailable(status) || absl::IsCancelled(status))) return true;
    return !subject.empty() && absl::IsFailedPrecondition(status) && IsParked(subject);
  }
  bool IsParked(const std::string& subject) {
    return world_.Number(service_, "SELECT COUNT(*) FROM parked_subjects WHERE subject = $1",
                         {subject}) > 0;
  }

  // Before events are looked at: what has landed since.
  void LookAtTheBus() {
    const std::vector<bus::RecordPtr>& published = world_.ledger().published;
    for (; looked_at_ < published.size(); ++looked_at_) {
      records_[published[looked_at_]->event.id] = published[looked_at_].get();
    }
  }
  // The event with what its record on the bus says; without one it has not landed yet.
  bus::Event EventOf(const CommittedEvent& committed) const {
    bus::Event event;
    if (const auto record = records_.find(committed.id); record != records_.end()) {
      event = record->second->event;
    } else {
      event.id = committed.id;
      event.source = world_.watch().NameOf(committed.service);
      event.type = committed.type;
      event.subject = committed.subject;
      event.key = committed.key;
      event.time = committed.time;
      event.body = committed.body;
    }
    return event;
  }
  // When the service has committed what it made of it.
  absl::Time KnownSince(const bus::Event& event) const {
    return records_.contains(event.id) ? world_.watch().KnownSince(service_, event)
                                       : absl::InfiniteFuture();
  }

  // All versions of its policy, by number. None when it cannot be asked.
  template <typename List, typename Get, typename ListReply, typename GetReply>
  std::map<int64_t, GetReply> Policies(const std::string& method) {
    std::map<int64_t, GetReply> policies;
    const auto list = Ask<ListReply>(method + "ListPolicies", std::make_shared<List>());
    if (!list.ok()) return Unasked(list.status()), policies;
    for (const auto& version : list->versions()) {
      auto request = std::make_shared<Get>();
      request->set_version(version.version());
      const auto policy = Ask<GetReply>(method + "GetPolicy", request);
      if (!policy.ok()) return Unasked(policy.status()), std::map<int64_t, GetReply>();
      policies[version.version()] = *policy;
    }
    return policies;
  }

  void Count(bool is_compared) {
    ++(is_compared ? world_.ledger().comparisons : world_.ledger().omissions);
  }

  void Fail(const std::string& message) {
    world_.ledger().Fail(
        absl::StrCat("beside the shadow of ", world_.watch().NameOf(service_), ": ", message),
        Witness::kShadows);
  }

  World& world_;
  const Service service_;
  const bool at_rest_;

 private:
  void Unasked(const absl::Status& status) {
    if (!MayRefuse(status, "")) Fail(absl::StrCat("no policy: ", std::string(status.message())));
  }

  Dice dice_;
  absl::flat_hash_map<std::string, const bus::Record*> records_;  // on the bus, by event
  size_t looked_at_ = 0;
};

// ---- clocks

class Clocks : public Interview {
 public:
  Clocks(World& world, bool at_rest) : Interview(world, kSla, at_rest) {
    for (const CommittedEvent& event : world.ledger().committed) {
      if (event.type == events::v1::TicketOpened::descriptor()->full_name()) {
        tickets_.push_back(event.subject);
      }
    }
  }

  const std::vector<std::string>& tickets() const { return tickets_; }

  void Compare(const std::string& ticket_id) { Count(TryToCompare(ticket_id)); }

 private:
  // Whether there was a comparison.
  bool TryToCompare(const std::string& ticket_id) {
    for (int attempt = 0; attempt < kAttempts && !IsOver(); ++attempt) {
      const int64_t commits = Commits();
      if (policies_at_ != commits && !ReadPolicies()) return false;
      const std::optional<ClockAnswers> answers = AnswersAbout(ticket_id);
      if (!answers.has_value()) return false;
      // What was answered at several instants belongs together if nothing was decided meanwhile.
      if (Commits() != commits || IsOver()) continue;
      policies_at_ = commits;
      return AreCompared(ticket_id, *answers);
    }
    return false;
  }

  bool ReadPolicies() {
    policies_.clear();
    const auto told = Policies<sla::v1::ListPoliciesRequest, sla::v1::GetPolicyRequest,
                               sla::v1::ListPoliciesResponse, sla::v1::GetPolicyResponse>(
        "tandem.sla.v1.PolicyService/");
    for (const auto& [version, policy] : told) {
      // The first one was applied before there was a ticket, whatever the clocks said.
      policies_.push_back(
          {version,
           policies_.empty() ? absl::InfinitePast() : time::Instant(policy.version().applied_at()),
           policy.policy()});
    }
    committed_at_.clear();
    for (const CommittedEvent& committed : world_.ledger().committed) {
      events::v1::PolicyApplied applied;
      if (committed.service == kSla &&
          committed.type == events::v1::PolicyApplied::descriptor()->full_name() &&
          applied.ParseFromString(committed.body)) {
        committed_at_[applied.version()] = committed.committed_at;
      }
    }
    return !policies_.empty();
  }

  std::optional<ClockAnswers> AnswersAbout(const std::string& ticket_id) {
    ClockAnswers answers;
    auto ask = std::make_shared<sla::v1::GetTicketSlaRequest>();
    ask->set_ticket_id(ticket_id);
    auto told = Ask<sla::v1::GetTicketSlaResponse>(kSlaService + "GetTicketSla", ask);
    if (!told.ok()) return Refused("GetTicketSla", ticket_id, told.status());
    answers.ticket = *std::move(told);
    for (const sla::v1::ClockStatus& clock : answers.ticket.clocks()) {
      auto explain = std::make_shared<sla::v1::ExplainClockRequest>();
      explain->set_ticket_id(ticket_id);
      explain->set_metric(clock.metric());
      explain->set_cycle(clock.cycle());
      explain->set_page_size(500);  // more pieces than a clock of a few days has
      auto explained = Ask<sla::v1::ExplainClockResponse>(kSlaService + "ExplainClock", explain);
      if (!explained.ok()) return Refused("ExplainClock", ticket_id, explained.status());
      answers.explanations.push_back(*std::move(explained));
    }
    return answers;
  }

  std::optional<ClockAnswers> Refused(const std::string& method, const std::string& ticket_id,
                                      const absl::Status& status) {
    // At drawn points its opening may still be on its way.
    const bool is_unknown = !at_rest_ && absl::IsNotFound(status);
    if (!is_unknown && !MayRefuse(status, ticket_id)) {
      Fail(absl::StrCat(method, " of ticket ", ticket_id, ": ", std::string(status.message())));
    }
    return std::nullopt;
  }

  bool AreCompared(const std::string& ticket_id, ClockAnswers answers) {
    absl::Time first = time::Instant(answers.ticket.as_of()), last = first;
    for (const sla::v1::ExplainClockResponse& explained : answers.explanations) {
      first = std::min(first, time::Instant(explained.as_of()));
      last = std::max(last, time::Instant(explained.as_of()));
    }
    // A due instant that has passed by some replica's clock and was not judged yet.
    if (HasTimerUpTo(ticket_id, last)) return false;
    // An operator's version is taken by the tickets that are open one after another.
    if (world_.Number(kSla, "SELECT COUNT(*) FROM timers WHERE kind = 'policy_sweep'") > 0)
      return false;

    LookAtTheBus();
    ClockTolerance tolerance;
    tolerance.lag = absl::ZeroDuration();  // nothing is waiting, as the timers say
    // Which facts were late is told by comparing their instants with those of commits, which only
    // means something where all clocks are the true one.
    tolerance.arrivals_known = !HasSkew(world_);
    std::vector<ArrivedEvent> events;
    absl::Time opening_known = absl::InfiniteFuture();
    absl::Time closing_known = absl::InfiniteFuture(), closed_at = absl::InfiniteFuture();
    for (const CommittedEvent& committed : world_.ledger().committed) {
      if (committed.subject != ticket_id) continue;
      if (committed.service == kSla) {
        answers.published.push_back(EventOf(committed));
        continue;
      }
      if (!world_.watch().Uses(kSla, committed.type)) continue;
      ArrivedEvent event{EventOf(committed)};
      const absl::Time known_since = KnownSince(event.event);
      if (known_since == absl::InfiniteFuture()) continue;
      // Dated by a clock that is ahead of the one that is asked: it does not count there yet.
      if (committed.time > first) return false;
      if (committed.type == events::v1::TicketOpened::descriptor()->full_name()) {
        opening_known = known_since;
      } else if (committed.type == events::v1::TicketClosed::descriptor()->full_name()) {
        closing_known = known_since;
        closed_at = committed.time;
      }
      event.arrived_at = tolerance.arrivals_known ? known_since : committed.time;
      events.push_back(std::move(event));
    }
    const absl::Duration gap = LargestGap(world_);
    // A new ticket takes the version that is in force when its opening is applied: by the order of
    // commits, which clocks that differ do not show.
    std::vector<PolicyInForce> policies = policies_;
    for (PolicyInForce& policy : policies) {
      if (policy.version == policies.front().version) {
        policy.at_opening = true;
        continue;
      }
      const auto committed = committed_at_.find(policy.version);
      if (committed == committed_at_.end() || committed->second == opening_known) return false;
      policy.at_opening = committed->second < opening_known;
      // It takes tickets that are open, by the order of commits too: where the clocks tell another
      // one, whether it took this one they do not show.
      if ((committed->second < closing_known) != (policy.applied_at < closed_at)) return false;
      // Open tickets take it some time after its application, as facts that are late.
      if (!*policy.at_opening) tolerance.arrivals_known = false;
    }
    // Another clock may be at an instant that this one has not reached: what is judged there.
    const absl::StatusOr<ShadowTicket> now = EvaluateClocks(events, policies, first);
    const absl::StatusOr<ShadowTicket> soon = EvaluateClocks(events, policies, last + gap);
    if (now.ok() && soon.ok() && now->verdicts.size() != soon->verdicts.size()) return false;
    const absl::Status same = CompareClocks(events, policies, answers, tolerance);
    if (!same.ok()) Fail(std::string(same.message()));
    return true;
  }

  bool HasTimerUpTo(const std::string& ticket_id, absl::Time instant) {
    return world_.Number(kSla,
                         "SELECT COUNT(*) FROM timers WHERE due <= $2 AND id IN ('first_response:' "
                         "|| $1, 'resolution:' || $1, 'time_to_own:' || $1)",
                         {ticket_id, time::ToMicros(instant)}) > 0;
  }

  std::vector<std::string> tickets_;
  std::vector<PolicyInForce> policies_;
  std::map<int64_t, absl::Time> committed_at_;  // by version
  int64_t policies_at_ = -1;                    // commits of sla_timer when they were read
};

// ---- clearance

// The accounts that the event says it is about; with `is_former_too` also the one that it left.
std::vector<std::string> AccountsNamedBy(const CommittedEvent& event, bool is_former_too) {
  const auto* type =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(event.type);
  if (type == nullptr) return {};
  const std::unique_ptr<google::protobuf::Message> body(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
  if (!body->ParseFromString(event.body)) return {};
  std::vector<std::string> accounts;
  const auto read = [&](const google::protobuf::Message& message, const char* name) {
    const auto* field = message.GetDescriptor()->FindFieldByName(name);
    if (field == nullptr) return;
    std::string account = message.GetReflection()->GetString(message, field);
    if (!account.empty()) accounts.push_back(std::move(account));
  };
  read(*body, "account_id");
  if (is_former_too) read(*body, "previous_account_id");
  for (const char* part : {"clock", "survey"}) {
    if (const auto* field = type->FindFieldByName(part)) {
      read(body->GetReflection()->GetMessage(*body, field), "account_id");
    }
  }
  return accounts;
}

class Clearances : public Interview {
 public:
  Clearances(World& world, bool at_rest) : Interview(world, kAccount, at_rest) {}

  void Compare(const std::string& account_id) { Count(TryToCompare(account_id)); }

 private:
  bool TryToCompare(const std::string& account_id) {
    for (int attempt = 0; attempt < kAttempts && !IsOver(); ++attempt) {
      const int64_t commits = Commits();
      if (policies_at_ != commits) {
        policies_ =
            Policies<ac::ListPoliciesRequest, ac::GetPolicyRequest, ac::ListPoliciesResponse,
                     ac::GetPolicyResponse>("tandem.account.v1.PolicyService/");
        if (policies_.empty()) return false;
      }
      const std::optional<ClearanceAnswers> answers = AnswersAbout(account_id);
      if (!answers.has_value()) return false;
      if (Commits() != commits || IsOver()) continue;
      policies_at_ = commits;
      CompareAll(account_id, *answers);
      return true;
    }
    return false;
  }

  template <typename Request, typename Reply, typename Part>
  absl::Status AskAll(const std::string& method, const std::string& account_id, Part part) {
    std::string page_token;
    do {
      auto request = std::make_shared<Request>();
      request->set_account_id(account_id);
      request->set_page_size(500);
      request->set_page_token(page_token);
      const absl::StatusOr<Reply> reply = Ask<Reply>(kOutreachService + method, request);
      if (!reply.ok()) return reply.status();
      part(*reply);
      page_token = reply->next_page_token();
    } while (!page_token.empty());
    return absl::OkStatus();
  }

  std::optional<ClearanceAnswers> AnswersAbout(const std::string& account_id) {
    ClearanceAnswers answers;
    absl::Status status = AskAll<ac::ListClearancesRequest, ac::ListClearancesResponse>(
        "ListClearances", account_id, [&](const ac::ListClearancesResponse& page) {
          answers.clearances.insert(answers.clearances.end(), page.clearances().begin(),
                                    page.clearances().end());
        });
    if (status.ok()) {
      status = AskAll<ac::ProveOutreachRequest, ac::ProveOutreachResponse>(
          "ProveOutreach", account_id, [&](const ac::ProveOutreachResponse& page) {
            answers.touches.insert(answers.touches.end(), page.touches().begin(),
                                   page.touches().end());
          });
    }
    if (!status.ok()) {
      if (!MayRefuse(status, "")) {
        Fail(absl::StrCat("account ", account_id, ": ", std::string(status.message())));
      }
      return std::nullopt;
    }
    answers.as_of = world_.Now();
    return answers;
  }

  void CompareAll(const std::string& account_id, const ClearanceAnswers& answers) {
    AccountFacts facts = FactsOf(account_id);
    // Intake answers by its commits, so for questions facts stand in the order of those …
    std::stable_sort(
        facts.events.begin(), facts.events.end(),
        [](const KnownEvent& a, const KnownEvent& b) { return a.told_at < b.told_at; });
    // The operators change how long a clearance stands, not what holds: any version will do here.
    ClearanceAnswers checks;
    checks.checks = ChecksOf(account_id);
    const absl::Status rightly =
        CompareClearance(facts, policies_.rbegin()->second.policy(), checks);
    if (!rightly.ok()) return Fail(std::string(rightly.message()));
    // … and what a clearance becomes is decided in the order in which they are consumed.
    std::stable_sort(
        facts.events.begin(), facts.events.end(),
        [](const KnownEvent& a, const KnownEvent& b) { return a.known_by < b.known_by; });
    for (const ac::Clearance& clearance : answers.clearances) {
      const auto policy = policies_.find(clearance.policy().version());
      if (policy == policies_.end()) {
        return Fail(absl::StrCat("clearance ", clearance.clearance_id(), " rests on version ",
                                 clearance.policy().version(),
                                 " of the policy, which is not there"));
      }
      ClearanceAnswers one;
      one.clearances = {clearance};
      one.as_of = answers.as_of;
      const absl::Status fate = CompareClearance(facts, policy->second.policy(), one);
      if (!fate.ok()) return Fail(std::string(fate.message()));
    }
    const absl::Status proven =
        CompareTouches(account_id, policies_.rbegin()->second.policy().contact_budget(), facts.skew,
                       answers.touches, answers.clearances);
    if (!proven.ok()) Fail(std::string(proven.message()));
  }

  AccountFacts FactsOf(const std::string& account_id) {
    LookAtTheBus();
    AccountFacts facts;
    facts.account_id = account_id;
    if (HasSkew(world_)) facts.skew = kLargestSkew;
    for (const CommittedEvent& committed : world_.ledger().committed) {
      KnownEvent known{EventOf(committed), committed.committed_at};
      // Its own events are known by the commits that decide them.
      if (committed.service == kAccount) {
        known.known_by = committed.committed_at;
      } else if (!world_.watch().Uses(kAccount, committed.type)) {
        continue;
      } else {
        known.known_by = KnownSince(known.event);
      }
      facts.events.push_back(std::move(known));
    }
    // An event that is set aside holds the account of its key and the one that it names; it may
    // hold whom any event names that is of its subject, or of the ticket that keeps its own key.
    for (const Watch::ParkedEvent& parked : world_.watch().ParkedEvents(kAccount)) {
      const auto place = world_.ledger().committed_by_id.find(parked.event_id);
      bool is_certain = parked.key == account_id;
      if (place != world_.ledger().committed_by_id.end()) {
        const std::vector<std::string> named =
            AccountsNamedBy(world_.ledger().committed[place->second], /*is_former_too=*/false);
        is_certain = is_certain || std::find(named.begin(), named.end(), account_id) != named.end();
      }
      const bool is_possible =
          is_certain ||
          std::any_of(world_.ledger().committed.begin(), world_.ledger().committed.end(),
                      [&](const CommittedEvent& event) {
                        if (event.subject != parked.subject && event.subject != parked.key) {
                          return false;
                        }
                        const std::vector<std::string> named = AccountsNamedBy(event, true);
                        return std::find(named.begin(), named.end(), account_id) != named.end();
                      });
      if (!is_possible) continue;
      facts.parked.push_back({parked.event_id, parked.from, parked.to, is_certain});
    }
    for (const CallRecord& call : world_.ledger().calls()) {
      const auto* request =
          dynamic_cast<const ac::GrantOutreachExceptionRequest*>(call.request.get());
      if (request == nullptr || request->account_id() != account_id) continue;
      // One whose caller has given up may stand all the same.
      if (!call.is_acknowledged() && !absl::IsUnknown(call.status)) continue;
      GrantedException granted;
      granted.topic = request->topic();
      granted.granted_at = call.sent_at;
      granted.granted_by = call.is_acknowledged() ? call.answered_at : absl::InfiniteFuture();
      granted.until = time::Instant(request->until());
      if (call.is_acknowledged()) {
        granted.exception_id =
            static_cast<const ac::GrantOutreachExceptionResponse&>(*call.reply).exception_id();
      }
      facts.exceptions.push_back(std::move(granted));
    }
    return facts;
  }

  std::vector<OutreachCheck> ChecksOf(const std::string& account_id) {
    std::map<std::string, absl::Time> given_at;  // clearance
    for (const CommittedEvent& event : world_.ledger().committed) {
      if (event.type != events::v1::ClearanceGiven::descriptor()->full_name()) continue;
      events::v1::ClearanceGiven given;
      given.ParseFromString(event.body);
      given_at[given.clearance_id()] = event.committed_at;
    }
    std::vector<OutreachCheck> checks;
    for (const CallRecord& call : world_.ledger().calls()) {
      const auto* reply = call.is_acknowledged()
                              ? dynamic_cast<const ac::CheckOutreachResponse*>(call.reply.get())
                              : nullptr;
      if (reply == nullptr) continue;
      OutreachCheck check;
      check.request = static_cast<const ac::CheckOutreachRequest&>(*call.request);
      if (check.request.account_id() != account_id) continue;
      check.response = *reply;
      check.asked_at = call.sent_at;
      check.answered_at = call.answered_at;
      // A clearance that was given before is given again.
      if (const auto given = given_at.find(reply->clearance_id());
          given != given_at.end() && given->second >= call.sent_at) {
        check.given_at = given->second;
      }
      // Questions among services are lost as others are, and their processes die: a HOLD by
      // intake_unreachable is lawful in every world that has faults; what else such a HOLD names is
      // not compared then.
      check.intake_may_be_unreachable = !world_.weather().IsFairWorld();
      checks.push_back(std::move(check));
    }
    return checks;
  }

  std::map<int64_t, ac::GetPolicyResponse> policies_;
  int64_t policies_at_ = -1;  // commits of account_health when they were read
};

std::string AccountOf(int number) { return absl::StrCat("acct", number); }

}  // namespace

void CompareWithShadows(World& world) {
  Clocks clocks(world, true);
  for (const std::string& ticket_id : clocks.tickets()) clocks.Compare(ticket_id);
  Clearances clearances(world, true);
  for (int i = 0; i < world.plan().accounts; ++i) clearances.Compare(AccountOf(i));
}

void CompareSomeWithShadows(World& world, Dice& dice) {
  Clocks clocks(world, false);
  for (int i = 0; i < kTicketsAtDrawnPoints && !clocks.tickets().empty(); ++i) {
    clocks.Compare(dice.Pick(clocks.tickets()));
  }
  Clearances clearances(world, false);
  clearances.Compare(AccountOf(dice.Int(0, world.plan().accounts - 1)));
}

}  // namespace tandem::simulation
