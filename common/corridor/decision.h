// What a rule decides: rows to save, timers, events, effects and the reply, or the questions that
// it has to ask first. A value; nothing has happened until the lane commits it.
#ifndef TANDEM_COMMON_CORRIDOR_DECISION_H_
#define TANDEM_COMMON_CORRIDOR_DECISION_H_

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/corridor/endpoint.h"
#include "common/id/entropy.h"
#include "common/id/id.h"
#include "common/store/record.h"

namespace tandem::corridor {

// A question to a peer. Its answer comes back under `name` when the rule is decided again.
struct Question {
  // Unique within one command. Decided again on other state, a rule takes the answer of the same
  // name for its own: what the question is about, as far as it comes of that state, is in the name.
  std::string name;
  std::string method;  // "package.Service/Method"
  MessagePtr request;
  absl::Duration deadline = absl::Milliseconds(500);
};

// The answers gathered so far. UNAVAILABLE stands for "the other side is down".
class Answers {
 public:
  bool Has(std::string_view name) const { return answers_.find(name) != answers_.end(); }
  // The answer to an asked question; the reply is of type M.
  template <typename M>
  absl::StatusOr<std::shared_ptr<const M>> Get(std::string_view name) const {
    const auto it = answers_.find(name);
    if (it == answers_.end()) return absl::InternalError("question was not asked");
    if (!it->second.reply.ok()) return it->second.reply.status();
    return std::static_pointer_cast<const M>(*it->second.reply);
  }
  // When the question was put: what the answer tells is at least as new as this. InfinitePast when
  // it was not put.
  absl::Time AskedAt(std::string_view name) const {
    const auto it = answers_.find(name);
    return it == answers_.end() ? absl::InfinitePast() : it->second.asked_at;
  }
  void Put(std::string name, absl::StatusOr<MessagePtr> reply, absl::Time asked_at) {
    answers_.insert_or_assign(std::move(name), Answer{std::move(reply), asked_at});
  }
  // The instant of the oldest answer; InfiniteFuture when there is none.
  absl::Time Oldest() const {
    absl::Time oldest = absl::InfiniteFuture();
    for (const auto& [name, answer] : answers_) oldest = std::min(oldest, answer.asked_at);
    return oldest;
  }
  void Clear() { answers_.clear(); }

 private:
  struct Answer {
    absl::StatusOr<MessagePtr> reply;
    absl::Time asked_at;
  };
  std::map<std::string, Answer, std::less<>> answers_;
};

// 32 unguessable bytes, drawn when they are first read: few decisions need them.
class Secret {
 public:
  Secret() = default;
  explicit Secret(id::Entropy* entropy) : entropy_(entropy) {}
  operator std::string_view() const {  // NOLINT: read like the text that it is
    if (bytes_.empty() && entropy_ != nullptr) bytes_ = entropy_->Bytes(32);
    return bytes_;
  }

 private:
  id::Entropy* entropy_ = nullptr;
  mutable std::string bytes_;
};

// Everything a rule may use beside the state that it loads. Valid during one call.
struct Inputs {
  absl::Time now;           // the service's clock when the decision began
  std::string_view caller;  // an RPC's caller, else empty
  std::string_view cause;   // id of the request, event or timer
  id::Ids* ids = nullptr;   // ids that come out the same when the same cause is decided again
  const Answers* answers = nullptr;
  Secret secret;  // differs at every attempt
};

class Decision {
 public:
  struct Saved {
    const store::RecordTable* table;
    std::string key;
    std::shared_ptr<const google::protobuf::Message> body;  // null = erase
    bool insert = false;  // the key is new (a derived id) and was not loaded
  };
  struct Published {
    std::string subject;
    std::string key;
    absl::Time time;
    MessagePtr body;
  };
  struct TimerSet {
    std::string id;
    absl::Time due;
    std::string kind;
    std::string key;
    MessagePtr payload;  // may be null
  };

  // Saves a record that this decision loaded (present or absent). The version rises by one, or is
  // the first one.
  template <typename M>
  void Save(const store::Table<M>& table, std::string key, M body) {
    saves.push_back({&table, std::move(key), std::make_shared<const M>(std::move(body)), false});
  }
  // Adds a record under a new derived id, which never was and, once erased, never is another's,
  // without loading it; if the id exists the command is answered ALREADY_EXISTS with that id.
  template <typename M>
  void Insert(const store::Table<M>& table, std::string key, M body) {
    saves.push_back({&table, std::move(key), std::make_shared<const M>(std::move(body)), true});
  }
  // Erases a record that this decision loaded, of a table whose rows may go.
  void Erase(const store::RecordTable& table, std::string key) {
    saves.push_back({&table, std::move(key), nullptr, false});
  }
  // Publishes a fact about `subject` under the bus key `key`.
  template <typename M>
  void Publish(std::string subject, std::string key, absl::Time time, M body) {
    events.push_back(
        {std::move(subject), std::move(key), time, std::make_shared<const M>(std::move(body))});
  }
  // Sets the timer `id` (chosen by the service, unique within it; setting it again replaces it).
  // Its kind was declared by ServiceDefinition::OnTimer. `key` is the bus key whose facts it
  // depends on and whose timers fire in order of their due instants.
  template <typename M>
  void SetTimer(std::string id, absl::Time due, std::string kind, std::string key, M payload) {
    timers.push_back({std::move(id), due, std::move(kind), std::move(key),
                      std::make_shared<const M>(std::move(payload))});
  }
  // Cancelling what is not set does nothing.
  void CancelTimer(std::string id) { cancelled_timers.push_back(std::move(id)); }
  // The reply of an RPC: ids, versions and instants, never a text, for it is kept with the request.
  template <typename M>
  void Reply(M message) {
    reply = std::make_shared<const M>(std::move(message));
  }
  // The reply of an RPC that changed nothing and holds only for now: it is not kept, so that a
  // repeated request is decided again. Only for a decision without rows, timers and events.
  template <typename M>
  void ReplyForNow(M message) {
    Reply(std::move(message));
    is_reply_kept = false;
  }
  // Puts a question; the rest of this decision is dropped and the rule is decided again with the
  // answer. After three rounds the answer is UNAVAILABLE.
  void Ask(Question question) { questions.push_back(std::move(question)); }

  std::vector<Saved> saves;
  std::vector<Published> events;
  std::vector<TimerSet> timers;
  std::vector<std::string> cancelled_timers;
  std::vector<Question> questions;
  MessagePtr reply;
  bool is_reply_kept = true;
};

}  // namespace tandem::corridor

#endif  // TANDEM_COMMON_CORRIDOR_DECISION_H_
