#include "common/lane/gatherer.h"

#include <utility>

#include "absl/synchronization/mutex.h"

namespace tandem::lane {
namespace {

constexpr int kMaxRounds = 3;

// The answers of one round; the last one to arrive calls `done`.
struct Round {
  absl::Mutex mutex;
  Gathered gathered ABSL_GUARDED_BY(mutex);
  size_t open ABSL_GUARDED_BY(mutex) = 0;
  absl::AnyInvocable<void(Gathered)> done;
};

}  // namespace

Gatherer::Gatherer(std::string caller, corridor::Peer* peer, const time::Clock* clock)
    : caller_(std::move(caller)), peer_(peer), clock_(clock) {}

void Gatherer::Ask(Gathered gathered, std::vector<corridor::Question> questions,
                   std::string traceparent, absl::AnyInvocable<void(Gathered)> done) {
  const absl::Time now = clock_->Now();
  ++gathered.rounds;
  if (peer_ == nullptr || gathered.rounds > kMaxRounds) {
    for (corridor::Question& question : questions) {
      gathered.answers.Put(std::move(question.name), absl::UnavailableError("not asked again"),
                           now);
    }
    done(std::move(gathered));
    return;
  }
  auto round = std::make_shared<Round>();
  {
    absl::MutexLock lock(&round->mutex);
    round->gathered = std::move(gathered);
    round->open = questions.size();
  }
  round->done = std::move(done);
  for (corridor::Question& question : questions) {
    corridor::CallContext context;
    context.caller = caller_;
    context.traceparent = traceparent;
    context.deadline = now + question.deadline;
    peer_->Ask(context, question.method, question.request,
               [round, name = question.name, now](absl::StatusOr<corridor::MessagePtr> reply) {
                 Gathered complete;
                 {
                   absl::MutexLock lock(&round->mutex);
                   round->gathered.answers.Put(name, std::move(reply), now);
                   if (--round->open > 0) return;
                   complete = std::move(round->gathered);
                 }
                 round->done(std::move(complete));
               });
  }
}

}  // namespace tandem::lane
