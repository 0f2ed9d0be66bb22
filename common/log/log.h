// JSON logs, one object a line, that cannot print a message's body or a person's address.
//
//   logger.Log(Level::kWarning, "relay restarted",
//              {Field::Id("topic", topic), Field::Count("events", pending),
//               Field::Took("took", elapsed)});
//
//   {"time":"2026-11-23T14:00:00.000000Z","level":"warning","service":"triage",
//    "event":"relay restarted","topic":"tandem.lifecycle.v1","events":12,"took_us":1500}
//
// The event and the names of fields are literals, checked while compiling. There is no field for
// free text: ids and names are printed only if they have an id's form, the message of a Status goes
// through the scrubber (scrub.h) and always with a reference id.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/log/reference_id.h"
#include "common/log/sink.h"

namespace tandem::log {

enum class Level { kDebug, kInfo, kWarning, kError };

// "debug", "info", "warning" or "error"; INVALID_ARGUMENT otherwise.
absl::StatusOr<Level> ParseLevel(std::string_view text);

// What happened, as a literal: letters, digits, blanks and a little punctuation, at most 80
// characters. A std::string does not compile. It also takes note of where it is logged.
class EventText {
 public:
  template <size_t N>
  consteval EventText(  // NOLINT(google-explicit-constructor): literals are to be written plainly
      const char (&text)[N], std::source_location where = std::source_location::current())
      : text_(text, N - 1), where_(where) {
    if (text_.empty() || text_.size() > 80) throw "an event has 1 to 80 characters";
    for (const char c : text_) {
      const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == ' ' || c == '-' || c == '_' ||
                            c == ',' || c == ';' || c == ':' || c == '.' || c == '/' || c == '\'';
      if (!is_plain) throw "an event is plain text";
    }
  }

  constexpr std::string_view text() const { return text_; }
  constexpr const std::source_location& where() const { return where_; }

 private:
  std::string_view text_;
  std::source_location where_;
};

// The name of a field: a literal in snake_case, none of those that every line has.
class FieldName {
 public:
  template <size_t N>
  consteval FieldName(const char (&name)[N])  // NOLINT(google-explicit-constructor)
      : name_(name, N - 1) {
    if (name_.empty() || name_.size() > 40 || name_[0] < 'a' || name_[0] > 'z') {
      throw "a field name begins with a letter and has 1 to 40 characters";
    }
    for (const char c : name_) {
      if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_') throw "not snake_case";
    }
    for (const std::string_view taken :
         {"time", "level", "service", "event", "reference_id", "suppressed"}) {
      if (name_ == taken) throw "every line has a field of this name";
    }
  }

  constexpr std::string_view name() const { return name_; }

 private:
  std::string_view name_;
};

// One field of a line. It may refer to its arguments, so it is made where it is logged, and not
// kept.
class Field {
 public:
  // An id, key, topic or address of a host: 1 to 128 of [A-Za-z0-9_.:/-], else "<redacted>".
  static Field Id(FieldName name, std::string_view id);
  // The name of an enum's value: 1 to 64 of [A-Za-z0-9_], else "<redacted>".
  static Field Enum(FieldName name, std::string_view value_name);
  static Field Count(FieldName name, int64_t count);
  static Field Ratio(FieldName name, double ratio);  // null when not finite
  static Field Flag(FieldName name, bool flag);
  // Whole microseconds, under the name with _us appended.
  static Field Took(FieldName name, absl::Duration took);
  static Field At(FieldName name, absl::Time instant);  // RFC 3339, UTC
  static Field Code(FieldName name, absl::StatusCode code);
  // "code" and the scrubbed "error" of a status that must outlive the call of Log.
  static Field Error(const absl::Status& status);
  // A group of ids under their own names, each written as Id does: what a request was about.
  // Outlives the call of Log.
  static Field Ids(FieldName name, const std::map<std::string, std::string>& ids);
  // "code" and "error" as they are: only of what an operator has configured, before or while the
  // process starts. Never of a request, nor of what a peer, a database or a message says.
  static Field Unscrubbed(const absl::Status& status);
  // The reference id that a caller was given.
  static Field Reference(std::string_view reference_id);

 private:
  friend class Logger;
  enum class Kind {
    kId,
    kEnum,
    kCount,
    kRatio,
    kFlag,
    kTook,
    kAt,
    kCode,
    kError,
    kIds,
    kUnscrubbed,
    kReference,
  };

  void AppendTo(std::string* line) const;

  Field(Kind kind, std::string_view name) : kind_(kind), name_(name) {}

  Kind kind_;
  std::string_view name_;
  std::string_view text_;
  int64_t number_ = 0;
  double ratio_ = 0;
  absl::Time instant_;
  const absl::Status* status_ = nullptr;
  const std::map<std::string, std::string>* ids_ = nullptr;
};

struct LoggerOptions {
  std::string service;  // as for Field::Id
  Level level = Level::kInfo;
  // The clock for timestamps and the bound on repetition. Required; any thread may call it.
  std::function<absl::Time()> now;
  uint64_t reference_seed = 0;
  // One place in the code writes at most `burst` lines in each `window`; the first line of a later
  // window says how many were left out ("suppressed"), or the logger's end does.
  int64_t burst = 20;
  absl::Duration window = absl::Seconds(10);
};

// Thread-safe; any thread may call it. Blocks only as the sink does. A program makes one a service
// and hands it on by reference.
class Logger {
 public:
  Logger(LoggerOptions options, std::shared_ptr<LineSink> sink);
  // Tells what is still suppressed, and flushes.
  ~Logger();
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  bool IsEnabled(Level level) const { return level >= options_.level; }

  // Fields are written in their order, the first of those with one name, at most 24 of them. With
  // a Field::Error and no Field::Reference the line gets a new reference id.
  void Log(Level level, EventText event, std::initializer_list<Field> fields = {});

  // As Log, but none is left out, however many there are: who changed what has to be in the log.
  void Record(Level level, EventText event, std::initializer_list<Field> fields);

  // Logs an error whose text must not leave the process, and returns the reference id to give to
  // the caller instead. An id is returned also when the line itself is suppressed.
  std::string LogInternal(EventText event, const absl::Status& status,
                          std::initializer_list<Field> fields = {});

  std::string NewReferenceId() { return reference_ids_.Next(); }

 private:
  struct Site {
    std::string_view event;
    absl::Time window_start;
    int64_t written = 0;
    int64_t suppressed = 0;
  };
  // File and line: two places may share one literal.
  using SiteKey = std::pair<std::string_view, uint32_t>;

  // Whether the line may be written, and how many before it were not.
  std::optional<int64_t> Admit(const EventText& event, absl::Time now);
  std::string Head(absl::Time now, Level level, std::string_view event) const;
  void Write(Level level, const EventText& event, std::string_view reference_id,
             absl::Span<const Field> fields);
  void WriteLine(absl::Time now, Level level, const EventText& event, std::string_view reference_id,
                 int64_t suppressed, absl::Span<const Field> fields);

  const LoggerOptions options_;
  const std::shared_ptr<LineSink> sink_;
  ReferenceIds reference_ids_;
  absl::Mutex mutex_;
  // As many as there are calls of Log in the code.
  std::map<SiteKey, Site> sites_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tandem::log
