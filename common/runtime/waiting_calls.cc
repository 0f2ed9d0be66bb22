#include "common/runtime/waiting_calls.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/message.h"

namespace tandem::runtime {
namespace {

using corridor::MessagePtr;
using corridor::Unheard;

constexpr absl::Duration kRetryAfter = absl::Seconds(1);

std::string IdKey(const Unheard& missing) {
  return absl::StrCat(absl::StrReplaceAll(missing.kind, {{" ", "_"}}), "_id");
}

absl::Status Unavailable(const Unheard& missing, std::string_view reason,
                         std::string_view message) {
  return corridor::WithRetryAfter(
      corridor::WithReason(absl::UnavailableError(absl::StrCat(missing.kind, " ", missing.id, " ",
                                                               std::string(message))),
                           reason, {{IdKey(missing), missing.id}}),
      kRetryAfter);
}

absl::Status EventsBehind(const Unheard& missing) {
  return Unavailable(missing, "EVENTS_BEHIND",
                     "exists, but its events have not arrived here yet; repeat the request");
}

absl::Status OwnerUnavailable(const Unheard& missing) {
  return Unavailable(missing, "OWNER_UNAVAILABLE",
                     "is not known here yet, and the service that owns it does not answer; repeat "
                     "the request");
}

}  // namespace

WaitingCalls::WaitingCalls(const corridor::ServiceDefinition* definition, Ports ports,
                           WaitingOptions options, std::function<void(WaitingEnd)> ended)
    : definition_(definition),
      ports_(ports),
      options_(options),
      ended_(std::move(ended)),
      scope_(ports.executor) {}

void WaitingCalls::Add(Call call, Unheard missing) {
  scope_.Post([this, call = std::move(call), missing = std::move(missing)]() mutable {
    const auto refuse = [&](absl::Status status, WaitingEnd end) {
      call.done(std::move(status));
      ended_(end);
    };
    if (!definition_->followed().contains(missing.kind)) {
      refuse(corridor::NotFound(missing.kind, missing.id), WaitingEnd::kUnknown);
      return;
    }
    if (draining_) {
      refuse(EventsBehind(missing), WaitingEnd::kTimedOut);
      return;
    }
    if (calls_.size() >= options_.most) {
      refuse(corridor::WithRetryAfter(
                 corridor::WithReason(absl::ResourceExhaustedError(absl::StrCat(
                                          options_.most,
                                          " calls wait already for events that are on their way; "
                                          "repeat the request")),
                                      "TOO_MANY_WAITING", {{"limit", absl::StrCat(options_.most)}}),
                 kRetryAfter),
             WaitingEnd::kRefused);
      return;
    }
    const absl::Time now = ports_.clock->Now();
    const int64_t number = ++numbers_;
    Waiting& waiting = calls_[number];
    // The answer has to be there before the caller stops listening.
    const absl::Duration left = call.context.deadline - now;
    waiting.until =
        now + std::min(options_.longest, left - std::min(absl::Milliseconds(50), left / 4));
    waiting.next_look = options_.first_look;
    waiting.call = std::move(call);
    Await(number, std::move(missing));
    scope_.PostAt(waiting.until, [this, number] { Expire(number); });
    Ask(number);
  });
}

void WaitingCalls::Await(int64_t number, Unheard missing) {
  by_id_[missing.id].insert(number);
  calls_.at(number).missing = std::move(missing);
}

void WaitingCalls::Forget(int64_t number) {
  const auto found = by_id_.find(calls_.at(number).missing.id);
  found->second.erase(number);
  if (found->second.empty()) by_id_.erase(found);
}

void WaitingCalls::Ask(int64_t number) {
  Waiting& waiting = calls_.at(number);
  waiting.asked.emplace(waiting.missing.kind, waiting.missing.id);
  const corridor::ServiceDefinition::Followed& followed =
      definition_->followed().find(waiting.missing.kind)->second;
  if (ports_.peer == nullptr) {
    OwnerAnswered(number, waiting.missing, absl::UnavailableError("nobody can be asked"));
    return;
  }
  std::shared_ptr<google::protobuf::Message> question(followed.question->New());
  question->GetReflection()->SetString(question.get(), followed.id_field, waiting.missing.id);
  corridor::CallContext context;
  context.caller = definition_->name();
  context.traceparent = waiting.call.context.traceparent;
  context.deadline = std::min(waiting.until, ports_.clock->Now() + options_.owner_answers);
  ports_.peer->Ask(
      context, followed.method, std::move(question),
      scope_.Callback<absl::StatusOr<MessagePtr>>(
          [this, number, about = waiting.missing](const absl::StatusOr<MessagePtr>& reply) {
            OwnerAnswered(number, about, reply);
          }));
}

void WaitingCalls::OwnerAnswered(int64_t number, const Unheard& about,
                                 const absl::StatusOr<MessagePtr>& reply) {
  const auto it = calls_.find(number);
  if (it == calls_.end()) return;
  Waiting& waiting = it->second;
  if (reply.ok()) {
    waiting.known.emplace(about.kind, about.id);
    // Its event may have been applied between the decision and this call's arrival here.
    Decide(number);
    return;
  }
  if (about.kind != waiting.missing.kind || about.id != waiting.missing.id) return;
  const bool is_unknown =
      absl::IsNotFound(reply.status()) || absl::IsInvalidArgument(reply.status());
  absl::Status status =
      is_unknown ? corridor::NotFound(about.kind, about.id) : OwnerUnavailable(about);
  const WaitingEnd end = is_unknown ? WaitingEnd::kUnknown : WaitingEnd::kOwnerUnavailable;
  if (waiting.deciding) {
    waiting.verdict.emplace(std::move(status), end);
  } else {
    End(number, std::move(status), end);
  }
}

void WaitingCalls::Applied(const bus::Event& event) {
  if (calls_.empty()) return;
  std::set<int64_t> concerned;
  for (const std::string* id : {&event.subject, &event.key}) {
    if (const auto found = by_id_.find(*id); found != by_id_.end()) {
      concerned.insert(found->second.begin(), found->second.end());
    }
  }
  for (const int64_t number : concerned) Decide(number);
}

void WaitingCalls::Decide(int64_t number) {
  Waiting& waiting = calls_.at(number);
  if (waiting.deciding) {
    waiting.woken = true;
    return;
  }
  waiting.deciding = true;
  waiting.woken = false;
  waiting.call.decide(scope_.Callback<absl::StatusOr<MessagePtr>>(
      [this, number](absl::StatusOr<MessagePtr> reply) { Decided(number, std::move(reply)); }));
}

void WaitingCalls::Decided(int64_t number, absl::StatusOr<MessagePtr> reply) {
  Waiting& waiting = calls_.at(number);
  waiting.deciding = false;
  std::optional<Unheard> missing = reply.ok() ? std::nullopt : corridor::UnheardIn(reply.status());
  if (!missing.has_value()) {
    End(number, std::move(reply), WaitingEnd::kAnswered);
    return;
  }
  if (missing->kind != waiting.missing.kind || missing->id != waiting.missing.id) {
    // What it waited for is here; now it misses something else that it names.
    waiting.verdict.reset();
    Forget(number);
    Await(number, *std::move(missing));
  }
  const std::pair<std::string, std::string> key(waiting.missing.kind, waiting.missing.id);
  if (!definition_->followed().contains(waiting.missing.kind)) {
    End(number, corridor::NotFound(waiting.missing.kind, waiting.missing.id), WaitingEnd::kUnknown);
  } else if (waiting.expired) {
    Expire(number);
  } else if (waiting.woken) {
    Decide(number);
  } else if (waiting.verdict.has_value()) {
    auto [status, end] = *std::move(waiting.verdict);
    End(number, std::move(status), end);
  } else if (waiting.known.contains(key)) {
    LookLater(number);
  } else if (!waiting.asked.contains(key)) {
    Ask(number);
  }  // else its owner has not answered yet
}

void WaitingCalls::LookLater(int64_t number) {
  Waiting& waiting = calls_.at(number);
  const int64_t look = ++waiting.looks;
  scope_.PostAt(ports_.clock->Now() + waiting.next_look, [this, number, look] {
    const auto it = calls_.find(number);
    if (it != calls_.end() && it->second.looks == look) Decide(number);
  });
  waiting.next_look = std::min(waiting.next_look * 2, options_.last_look);
}

void WaitingCalls::Expire(int64_t number) {
  const auto it = calls_.find(number);
  if (it == calls_.end()) return;
  Waiting& waiting = it->second;
  waiting.expired = true;
  // What is being decided may go well in this moment: its answer is awaited, and is the last one.
  if (waiting.deciding) return;
  const bool exists = waiting.known.contains({waiting.missing.kind, waiting.missing.id});
  End(number, exists ? EventsBehind(waiting.missing) : OwnerUnavailable(waiting.missing),
      exists ? WaitingEnd::kTimedOut : WaitingEnd::kOwnerUnavailable);
}

void WaitingCalls::Drain() {
  scope_.Post([this] {
    draining_ = true;
    std::vector<int64_t> numbers;
    for (const auto& [number, waiting] : calls_) numbers.push_back(number);
    for (const int64_t number : numbers) Expire(number);
  });
}

void WaitingCalls::End(int64_t number, absl::StatusOr<MessagePtr> reply, WaitingEnd end) {
  Forget(number);
  corridor::ReplyCallback done = std::move(calls_.at(number).call.done);
  calls_.erase(number);
  done(std::move(reply));
  ended_(end);
}

}  // namespace tandem::runtime
