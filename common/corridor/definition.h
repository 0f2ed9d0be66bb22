// What a service is made of: its name, its schema, and a plain function for each RPC, event and
// timer. Everything else (threads, lanes, retries, marks, metrics) is the corridor's and the same
// for all five.
#ifndef TANDEM_COMMON_CORRIDOR_DEFINITION_H_
#define TANDEM_COMMON_CORRIDOR_DEFINITION_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/event.h"
#include "common/corridor/decision.h"
#include "common/corridor/endpoint.h"
#include "common/corridor/errors.h"
#include "common/corridor/page_token.h"
#include "common/corridor/view.h"
#include "common/store/migration.h"
#include "google/protobuf/message.h"

namespace tandem::corridor {

// A timer that fell due.
struct FiredTimer {
  std::string id;
  absl::Time due;
  std::string key;                    // the bus key it was set with
  bool judged_while_lagging = false;  // its facts could not be read up to the due instant
};

// How a kind of timer becomes ready.
enum class Readiness {
  kWhenDue,    // at its due instant
  kFactBound,  // when every fact that was published up to the due instant has been applied
};

// Immutable once the runtime has it. The functions are called on the lane's thread, one at a time,
// and are pure but for what they load through the view: called again, they decide anew.
class ServiceDefinition {
 public:
  using Message = google::protobuf::Message;
  using CommandRule = std::function<absl::StatusOr<Decision>(const Message&, const Inputs&, View&)>;
  // Answers a repeated request: its first, remembered reply, and what has become of it since.
  using RepeatRule = std::function<absl::StatusOr<MessagePtr>(const Message&, const Message&,
                                                              const Inputs&, View&)>;
  using QueryRule = std::function<absl::StatusOr<MessagePtr>(const Message&, const Inputs&, View&)>;
  using EventRule = std::function<absl::StatusOr<Decision>(const Message&, const bus::Event&,
                                                           const Inputs&, View&)>;
  using TimerRule = std::function<absl::StatusOr<Decision>(const FiredTimer&, const Message&,
                                                           const Inputs&, View&)>;
  using Performer =
      std::function<void(const FiredTimer&, MessagePtr, absl::AnyInvocable<void(absl::Status)>)>;
  using EffectRule = std::function<absl::StatusOr<Decision>(
      const FiredTimer&, const Message&, const absl::Status&, const Inputs&, View&)>;
  using Validator = std::function<absl::Status(const Message&)>;
  // The subject (of bus events) whose facts something rests on; empty = none.
  using SubjectOf = std::function<std::string(const Message&)>;
  using ParkRule =
      std::function<absl::StatusOr<Decision>(const bus::Event&, bool parked, const Inputs&, View&)>;

  struct Method {
    const google::protobuf::MethodDescriptor* descriptor = nullptr;
    Validator validate;  // may be empty
    CommandRule decide;  // set for a command …
    QueryRule answer;    // … or this for a query
    // What the functions were written for: Check compares them with the descriptor.
    const google::protobuf::Descriptor* request_type = nullptr;
    const google::protobuf::Descriptor* reply_type = nullptr;  // queries only
    SubjectOf subject_of;                                      // may be empty
    RepeatRule repeat;  // commands only; empty = the remembered reply is the answer
  };
  struct EventReaction {
    const Message* prototype = nullptr;
    EventRule decide;
    // Questions that the event alone already tells, asked while earlier events are applied.
    std::function<std::vector<Question>(const Message&, const bus::Event&)> gather;
  };
  struct TimerKind {
    Readiness readiness = Readiness::kWhenDue;
    const Message* prototype = nullptr;
    TimerRule decide;   // a plain timer …
    Performer perform;  // … or an effect: carried out off the lane, at least once, then decided
    EffectRule decide_effect;
    SubjectOf subject_of;  // of the payload; may be empty
  };
  // Records of another service that events bring here.
  struct Followed {
    std::string method;                 // of their owner: reads one by its id
    const Message* question = nullptr;  // prototype of the method's request
    const google::protobuf::FieldDescriptor* id_field = nullptr;
  };
  // How much there is of something, told to the operators as a gauge.
  struct Measure {
    std::string name;  // of the metric
    std::string help;
    std::vector<std::string> labels;
    // Selects one column a label, as text of few values (never an id), and the value last. $1 is
    // the instant now in microseconds, if it is used. Runs every few seconds on a reader of its
    // own: it takes an index or a small table.
    std::string sql;
  };

  ServiceDefinition(std::string name, store::Schema schema)
      : name_(std::move(name)), schema_(std::move(schema)) {}

  // A mutating RPC: Req has a request_id; decided once per (caller, method, request_id).
  template <typename Req>
  void OnCommand(std::string_view method, std::function<absl::Status(const Req&)> validate,
                 std::function<absl::StatusOr<Decision>(const Req&, const Inputs&, View&)> decide) {
    AddMethod(method,
              {nullptr, Checked<Req>(std::move(validate)),
               [decide = std::move(decide)](const Message& m, const Inputs& in, View& view) {
                 return decide(static_cast<const Req&>(m), in, view);
               },
               nullptr, Req::descriptor(), nullptr, nullptr, nullptr});
  }

  // A repeated call of the command `method`, which is bound already, is not answered by its
  // remembered reply but by what `answer` makes of it: a reply that gave something which may end
  // tells how that stands now. It may load what it needs, and it may ask nobody.
  template <typename Req, typename Rep>
  void OnRepeat(
      std::string_view method,
      std::function<absl::StatusOr<Rep>(const Req&, const Rep& remembered, const Inputs&, View&)>
          answer) {
    const auto found = methods_.find(method);
    if (found == methods_.end() || found->second.request_type != Req::descriptor() ||
        !found->second.decide) {
      problems_.push_back(std::string(method) +
                          " is repeated, and is no command bound with this type");
      return;
    }
    found->second.repeat = [answer = std::move(answer)](const Message& request,
                                                        const Message& remembered, const Inputs& in,
                                                        View& view) -> absl::StatusOr<MessagePtr> {
      absl::StatusOr<Rep> reply =
          answer(static_cast<const Req&>(request), static_cast<const Rep&>(remembered), in, view);
      if (!reply.ok()) return reply.status();
      return std::make_shared<const Rep>(*std::move(reply));
    };
  }

  // A reading RPC, answered from committed state by the reader pool. Where it pages, `validate` and
  // `answer` see and write positions; tokens are made of them, and read, here (page_token.h).
  template <typename Req, typename Rep>
  void OnQuery(std::string_view method, std::function<absl::Status(const Req&)> validate,
               std::function<absl::StatusOr<Rep>(const Req&, const Inputs&, View&)> answer) {
    if constexpr (AsksForPage<Req>) {
      validate = CheckedPage<Req>(std::move(validate));
      answer = AnsweredPage<Req, Rep>(std::move(answer));
    }
    AddMethod(method, {nullptr, Checked<Req>(std::move(validate)), nullptr,
                       [answer = std::move(answer)](const Message& m, const Inputs& in,
                                                    View& view) -> absl::StatusOr<MessagePtr> {
                         absl::StatusOr<Rep> reply = answer(static_cast<const Req&>(m), in, view);
                         if (!reply.ok()) return reply.status();
                         return std::make_shared<const Rep>(*std::move(reply));
                       },
                       Req::descriptor(), Rep::descriptor(), nullptr, nullptr});
  }

  // A reaction to the event type E. An event that changes nothing any more is an empty decision.
  // UNAVAILABLE and the like are retried; any other error parks the event as a dead letter.
  template <typename E>
  void OnEvent(
      std::function<absl::StatusOr<Decision>(const E&, const bus::Event&, const Inputs&, View&)>
          decide,
      std::function<std::vector<Question>(const E&, const bus::Event&)> gather = nullptr) {
    EventReaction reaction;
    reaction.prototype = &E::default_instance();
    reaction.decide = [decide = std::move(decide)](const Message& m, const bus::Event& event,
                                                   const Inputs& in, View& view) {
      return decide(static_cast<const E&>(m), event, in, view);
    };
    if (gather) {
      reaction.gather = [gather = std::move(gather)](const Message& m, const bus::Event& event) {
        return gather(static_cast<const E&>(m), event);
      };
    }
    events_[std::string(E::descriptor()->full_name())] = std::move(reaction);
  }

  // A kind of timer with a payload of type P. While events of the subject that `subject_of` names
  // are parked, a due timer waits: its verdict would rest on facts that are missing.
  template <typename P>
  void OnTimer(
      std::string kind, Readiness readiness,
      std::function<absl::StatusOr<Decision>(const FiredTimer&, const P&, const Inputs&, View&)>
          decide,
      std::function<std::string(const P&)> subject_of = nullptr) {
    timers_[std::move(kind)] = {
        readiness,
        &P::default_instance(),
        [decide = std::move(decide)](const FiredTimer& timer, const Message& m, const Inputs& in,
                                     View& view) {
          return decide(timer, static_cast<const P&>(m), in, view);
        },
        nullptr,
        nullptr,
        Subject<P>(std::move(subject_of))};
  }

  // Calls of `method`, which is bound already, rest on the facts of one subject: while events of it
  // are parked they are answered FAILED_PRECONDITION, SUBJECT_PARKED.
  template <typename Req>
  void RestsOn(std::string_view method, std::function<std::string(const Req&)> subject_of) {
    const auto found = methods_.find(method);
    if (found == methods_.end() || found->second.request_type != Req::descriptor()) {
      problems_.push_back(std::string(method) + " rests on facts, and is not bound with this type");
      return;
    }
    found->second.subject_of = Subject<Req>(std::move(subject_of));
  }

  // Records of `kind` belong to another service, whose events bring them here. A call may name one
  // before its event has arrived: the rule returns NotHeardOf(kind, id), and the runtime asks the
  // owner's `method` once, with the id in the request's field <kind>_id. NOT_FOUND there is
  // NOT_FOUND here; if the record exists, the call is decided again as soon as an event of it was
  // applied, and answered UNAVAILABLE with a RetryInfo when none comes in time.
  //
  //   definition.Follows<GetShelfRequest>("shelf", "warehouse.v1.ShelfService/GetShelf");
  //   …
  //   if (!*shelf) return corridor::NotHeardOf("shelf", request.shelf_id());
  //
  // A rule that needs no more than what the owner says (does it exist, is it active) and a command
  // that must not wait for events from before it followed them asks by itself: Decision::Ask.
  template <typename Question>
  void Follows(std::string kind, std::string method) {
    AddFollowed(std::move(kind), std::move(method), Question::default_instance());
  }

  // Decided in the commit that parks an event (`parked`), once for each event, and again with the
  // last one in the commit after which none of its subject is parked any more. It may ask nobody,
  // and it may not rely on the event's body: the first of a subject is parked because of it, those
  // behind are as good as any.
  void OnParking(ParkRule decide) { park_ = std::move(decide); }

  void Export(Measure measure) { measures_.push_back(std::move(measure)); }

  // A kind of timer whose firing does something outside the database: `perform` is called off the
  // lane with the payload, at least once; its result is then decided in the commit that deletes the
  // timer. UNAVAILABLE from `perform` is tried again with back-off and not decided.
  template <typename P>
  void OnEffect(std::string kind,
                std::function<void(const FiredTimer&, std::shared_ptr<const P>,
                                   absl::AnyInvocable<void(absl::Status)>)>
                    perform,
                std::function<absl::StatusOr<Decision>(const FiredTimer&, const P&,
                                                       const absl::Status&, const Inputs&, View&)>
                    decide) {
    timers_[std::move(kind)] = {
        Readiness::kWhenDue,
        &P::default_instance(),
        nullptr,
        [perform = std::move(perform)](const FiredTimer& timer, MessagePtr payload,
                                       absl::AnyInvocable<void(absl::Status)> done) {
          perform(timer, std::static_pointer_cast<const P>(payload), std::move(done));
        },
        [decide = std::move(decide)](const FiredTimer& timer, const Message& m,
                                     const absl::Status& result, const Inputs& in, View& view) {
          return decide(timer, static_cast<const P&>(m), result, in, view);
        },
        nullptr};
  }

  const std::string& name() const { return name_; }
  const store::Schema& schema() const { return schema_; }
  const std::map<std::string, Method, std::less<>>& methods() const { return methods_; }
  const std::map<std::string, EventReaction, std::less<>>& events() const { return events_; }
  const std::map<std::string, TimerKind, std::less<>>& timers() const { return timers_; }
  const std::map<std::string, Followed, std::less<>>& followed() const { return followed_; }
  const ParkRule& park() const { return park_; }
  const std::vector<Measure>& measures() const { return measures_; }
  // OK, or all that is wrong: a method of a served protobuf service without a function, a name that
  // is no method or is bound twice, a function for another message, a command without a request_id,
  // an owner's method that does not take the id of what is followed.
  absl::Status Check() const;

 private:
  template <typename Req>
  static Validator Checked(std::function<absl::Status(const Req&)> validate) {
    if (!validate) return nullptr;
    return [validate = std::move(validate)](const Message& m) {
      return validate(static_cast<const Req&>(m));
    };
  }
  template <typename Req>
  static std::function<absl::Status(const Req&)> CheckedPage(
      std::function<absl::Status(const Req&)> validate) {
    return [validate = std::move(validate)](const Req& question) {
      const absl::StatusOr<std::string> position = OpenPosition(question);
      Req opened = question;
      opened.set_page_token(position.ok() ? *position : "");
      absl::Status status = validate ? validate(opened) : absl::OkStatus();
      if (position.ok()) return status;
      Violations violations;
      violations.Absorb(status);
      violations.Absorb(position.status());
      return violations.status();
    };
  }
  template <typename Req, typename Rep>
  static std::function<absl::StatusOr<Rep>(const Req&, const Inputs&, View&)> AnsweredPage(
      std::function<absl::StatusOr<Rep>(const Req&, const Inputs&, View&)> answer) {
    return [answer = std::move(answer)](const Req& question, const Inputs& in,
                                        View& view) -> absl::StatusOr<Rep> {
      absl::StatusOr<std::string> position = OpenPosition(question);
      if (!position.ok()) return position.status();
      Req opened = question;
      opened.set_page_token(*std::move(position));
      absl::StatusOr<Rep> reply = answer(opened, in, view);
      if (reply.ok() && !reply->next_page_token().empty()) {
        reply->set_next_page_token(SealPosition(question, reply->next_page_token()));
      }
      return reply;
    };
  }
  template <typename M>
  static SubjectOf Subject(std::function<std::string(const M&)> subject_of) {
    if (!subject_of) return nullptr;
    return [subject_of = std::move(subject_of)](const Message& m) {
      return subject_of(static_cast<const M&>(m));
    };
  }
  void AddMethod(std::string_view method, Method handler);
  void AddFollowed(std::string kind, std::string method, const Message& question);

  std::string name_;
  store::Schema schema_;
  std::map<std::string, Method, std::less<>> methods_;  // by "package.Service/Method"
  std::map<std::string, EventReaction, std::less<>> events_;
  std::map<std::string, TimerKind, std::less<>> timers_;
  std::map<std::string, Followed, std::less<>> followed_;  // by kind
  ParkRule park_;
  std::vector<Measure> measures_;
  std::vector<std::string> problems_;  // unknown names, names bound twice, owners' methods
};

}  // namespace tandem::corridor

#endif  // TANDEM_COMMON_CORRIDOR_DEFINITION_H_
