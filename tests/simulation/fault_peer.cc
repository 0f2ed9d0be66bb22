#include "tests/simulation/fault_peer.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace tandem::simulation {

// A question under way: its answers and its deadline race, the first one wins.
struct Network::Call {
  std::weak_ptr<Process> asker;
  bool is_outside = false;
  corridor::CallContext context;
  const google::protobuf::MethodDescriptor* method = nullptr;
  Service service = kIntake;
  corridor::MessagePtr request;
  corridor::ReplyCallback done;
  bool is_answered = false;

  void Answer(absl::StatusOr<corridor::MessagePtr> reply) {
    if (std::exchange(is_answered, true)) return;
    corridor::ReplyCallback now = std::move(done);
    if (!is_outside) {
      const std::shared_ptr<Process> process = asker.lock();
      if (process == nullptr || process->is_doomed()) return;
    }
    std::move(now)(std::move(reply));
  }
};

Service ServiceOf(std::string_view method) {
  if (method.starts_with("tandem.intake.")) return kIntake;
  if (method.starts_with("tandem.triage.")) return kTriage;
  if (method.starts_with("tandem.sla.")) return kSla;
  if (method.starts_with("tandem.survey.")) return kSurvey;
  return kAccount;
}

void Network::Send(const std::shared_ptr<Process>& asker, const std::string& caller,
                   absl::Duration timeout, std::string_view method, corridor::MessagePtr request,
                   corridor::ReplyCallback done) {
  auto call = std::make_shared<Call>();
  call->asker = asker;
  call->is_outside = asker == nullptr;
  call->context.caller = caller;
  call->method = corridor::FindMethod(method);
  call->service = ServiceOf(method);
  call->request = std::move(request);
  call->done = std::move(done);
  const absl::Time deadline = ports_.clock->Now() + timeout;
  After(timeout, [call] {
    call->Answer(absl::DeadlineExceededError(
        absl::StrCat(call->method->name(), " was not answered in time")));
  });

  const std::vector<Seat> all = ports_.seats(call->service);
  std::vector<Seat> alive;
  for (const Seat& seat : all) {
    if (seat.process != nullptr && !seat.process->is_doomed() && !seat.process->is_paused()) {
      alive.push_back(seat);
    }
  }
  Weather& weather = *ports_.weather;
  const bool is_blind = alive.empty() || weather.Strikes(Fault::kDeadPeer, 0.5);
  const Seat seat = dice_.Pick(is_blind ? all : alive);
  if (weather.Strikes(Fault::kRequestLost, 0.25)) return;
  const int copies = weather.Strikes(Fault::kRequestTwice, 0.3) ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    absl::Duration way = Latency();
    if (copy > 0 || weather.Strikes(Fault::kRequestSlow, 0.3)) {
      way += weather.DiceOf(Fault::kRequestSlow).Between(absl::ZeroDuration(), timeout * 1.5);
    }
    After(way, [this, call, seat, deadline] { Deliver(call, seat, deadline); });
  }
}

void Network::Deliver(const std::shared_ptr<Call>& call, const Seat& seat, absl::Time deadline) {
  if (seat.process == nullptr || seat.process->is_doomed()) {
    call->Answer(absl::UnavailableError("connection refused"));
    return;
  }
  // A deadline travels as the time that is left, so that clocks may differ.
  corridor::CallContext context = call->context;
  context.deadline = seat.process->Now() + (deadline - ports_.clock->Now());
  seat.endpoint->Call(
      context, call->method, call->request,
      [this, call,
       process = std::weak_ptr<Process>(seat.process)](absl::StatusOr<corridor::MessagePtr> reply) {
        const std::shared_ptr<Process> answerer = process.lock();
        if (answerer == nullptr || answerer->is_doomed()) return;
        ports_.answered(call->service, call->context, call->method, *call->request, reply);
        Weather& weather = *ports_.weather;
        if (weather.Strikes(Fault::kReplyLost, 0.3)) return;
        absl::Duration way = Latency();
        if (weather.Strikes(Fault::kRequestSlow, 0.4)) {
          way += weather.DiceOf(Fault::kRequestSlow)
                     .Between(absl::ZeroDuration(), absl::Milliseconds(300));
        }
        After(way, [call, reply = std::move(reply)]() mutable { call->Answer(std::move(reply)); });
      });
}

void FaultPeer::Ask(const corridor::CallContext& context, std::string_view method,
                    corridor::MessagePtr request, corridor::ReplyCallback done) {
  const std::shared_ptr<Process> process = process_.lock();
  if (process == nullptr || process->is_doomed()) return;
  network_->Send(process, context.caller, context.deadline - process->Now(), method,
                 std::move(request), std::move(done));
}

}  // namespace tandem::simulation
