#include "services/ticket_intake/rules.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/time/stamp.h"
#include "services/ticket_intake/views.h"

namespace tandem::ticket_intake {
namespace {

using intake::v1::IntakePolicy;
using intake::v1::TextPattern;
using intake::v1::Ticket;

constexpr std::string_view kEveryCategory = "*";
constexpr absl::Duration kLongestRetry = absl::Minutes(10);

bool IsKey(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_islower(static_cast<unsigned char>(c)) ||
           absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
  });
}

re2::RE2::Options PatternOptions() {
  re2::RE2::Options options;
  options.set_log_errors(false);
  // Bounds what one pattern may cost to compile and to run: policies come from outside.
  options.set_max_mem(int64_t{1} << 20);
  return options;
}

// Which fields a policy may require, and whether a ticket lacks each.
struct ContextField {
  std::string_view name;
  bool (*is_missing)(const Ticket&);
};
constexpr ContextField kContextFields[] = {
    {"business_goal", [](const Ticket& t) { return t.context().business_goal().empty(); }},
    {"environment", [](const Ticket& t) { return t.context().environment().empty(); }},
    {"impact", [](const Ticket& t) { return t.impact() == type::v1::IMPACT_UNSPECIFIED; }},
    {"product", [](const Ticket& t) { return t.product().empty(); }},
    {"product_version", [](const Ticket& t) { return t.product_version().empty(); }},
    {"steps", [](const Ticket& t) { return t.context().steps().empty(); }},
};

bool IsContextField(std::string_view name) {
  return std::any_of(std::begin(kContextFields), std::end(kContextFields),
                     [&](const ContextField& field) { return field.name == name; });
}

class Checker {
 public:
  explicit Checker(corridor::Violations& violations) : violations_(violations) {}

  void Require(bool good, std::string_view field, std::string_view problem) {
    all_good_ = violations_.Require(good, field, problem) && all_good_;
  }
  bool all_good() const { return all_good_; }

  void Patterns(std::string_view field,
                const google::protobuf::RepeatedPtrField<TextPattern>& patterns) {
    Require(patterns.size() <= 50, field, "has more than 50 entries");
    std::set<std::string> names;
    for (int i = 0; i < patterns.size(); ++i) {
      const TextPattern& pattern = patterns[i];
      const std::string at = absl::StrCat(Absl(field), "[", i, "]");
      Require(IsKey(pattern.name()), at + ".name", "must be 1 to 64 bytes of [a-z0-9_.-]");
      Require(names.insert(pattern.name()).second, at + ".name",
              absl::StrCat("'", pattern.name(), "' stands there twice"));
      if (pattern.pattern().empty() || pattern.pattern().size() > 1024) {
        Require(false, at + ".pattern", "must be 1 to 1024 bytes");
        continue;
      }
      const re2::RE2 compiled(pattern.pattern(), PatternOptions());
      Require(compiled.ok(), at + ".pattern", compiled.error());
    }
  }

  void Span(std::string_view field, bool given, const google::protobuf::Duration& duration,
            absl::Duration least, absl::Duration most) {
    if (!given) return;
    const absl::Duration value = time::Span(duration);
    Require(
        value >= least && value <= most, field,
        absl::StrCat("must be ", absl::FormatDuration(least), " to ", absl::FormatDuration(most)));
  }

  void Range(std::string_view field, int64_t value, int64_t most) {
    Require(value >= 0 && value <= most, field, absl::StrCat("must be 0 to ", most));
  }

 private:
  corridor::Violations& violations_;
  bool all_good_ = true;
};

// Whether `policy` is sound; adds every problem.
bool Check(const IntakePolicy& policy, corridor::Violations& violations) {
  Checker check(violations);
  check.Require(policy.required_context_size() <= 200, "required_context",
                "has more than 200 entries");
  std::set<std::string> categories;
  for (int i = 0; i < policy.required_context_size(); ++i) {
    const auto& line = policy.required_context(i);
    const std::string at = absl::StrCat("required_context[", i, "]");
    check.Require(line.category() == kEveryCategory || IsKey(line.category()), at + ".category",
                  "must be '*' or 1 to 64 bytes of [a-z0-9_.-]");
    check.Require(categories.insert(line.category()).second, at + ".category",
                  absl::StrCat("'", line.category(), "' stands there twice"));
    check.Require(line.fields_size() > 0, at + ".fields", "is empty");
    std::set<std::string> fields;
    for (const std::string& field : line.fields()) {
      check.Require(IsContextField(field), at + ".fields",
                    absl::StrCat("'", field,
                                 "' is none of business_goal, environment, impact, "
                                 "product, product_version, steps"));
      check.Require(fields.insert(field).second, at + ".fields",
                    absl::StrCat("'", field, "' stands there twice"));
    }
  }
  check.Patterns("frustration", policy.frustration());
  check.Patterns("thank_you", policy.thank_you());
  check.Range("thank_you_max_bytes", policy.thank_you_max_bytes(), 4096);
  check.Span("auto_close_after", policy.has_auto_close_after(), policy.auto_close_after(),
             absl::ZeroDuration(), absl::Hours(24 * 3653));
  check.Span("requester_valid_for", policy.has_requester_valid_for(), policy.requester_valid_for(),
             absl::ZeroDuration(), absl::Hours(24));
  check.Span("requester_retry_after", policy.has_requester_retry_after(),
             policy.requester_retry_after(), absl::Seconds(1), kLongestRetry);
  const auto& limits = policy.limits();
  check.Range("limits.message_bytes", limits.message_bytes(), kMaxMessageBytes);
  check.Range("limits.messages_per_ticket", limits.messages_per_ticket(), kMaxMessages);
  check.Range("limits.attachments", limits.attachments(), kMaxAttachments);
  check.Range("limits.attachment_bytes", limits.attachment_bytes(), kMaxAttachmentBytes);
  check.Range("limits.watchers", limits.watchers(), kMaxWatchers);
  return check.all_good();
}

}  // namespace

std::vector<Rules::Pattern> Rules::Compile(
    const google::protobuf::RepeatedPtrField<TextPattern>& patterns) {
  std::vector<Pattern> compiled;
  for (const TextPattern& pattern : patterns) {
    compiled.push_back(
        {pattern.name(), std::make_unique<const re2::RE2>(pattern.pattern(), PatternOptions())});
  }
  return compiled;
}

std::shared_ptr<const Rules> Rules::Make(const IntakePolicy& policy,
                                         corridor::Violations& violations) {
  if (!Check(policy, violations)) return nullptr;
  std::shared_ptr<Rules> rules(new Rules);
  for (const auto& line : policy.required_context()) {
    std::vector<std::string> fields(line.fields().begin(), line.fields().end());
    std::sort(fields.begin(), fields.end());
    rules->required_.emplace(line.category(), std::move(fields));
  }
  rules->frustration_ = Compile(policy.frustration());
  rules->thank_you_ = Compile(policy.thank_you());
  rules->thank_you_max_bytes_ =
      static_cast<size_t>(policy.thank_you_max_bytes() == 0 ? 400 : policy.thank_you_max_bytes());
  rules->auto_close_after_ =
      policy.has_auto_close_after() ? time::Span(policy.auto_close_after()) : absl::Hours(24 * 5);
  if (rules->auto_close_after_ == absl::ZeroDuration()) {
    rules->auto_close_after_ = absl::InfiniteDuration();
  }
  rules->requester_valid_for_ = policy.has_requester_valid_for()
                                    ? time::Span(policy.requester_valid_for())
                                    : absl::Minutes(10);
  rules->requester_retry_after_ = policy.has_requester_retry_after()
                                      ? time::Span(policy.requester_retry_after())
                                      : absl::Seconds(30);
  const auto& limits = policy.limits();
  const auto limit = [](int64_t given, int64_t own) { return given == 0 ? own : given; };
  rules->message_bytes_ =
      static_cast<size_t>(limit(limits.message_bytes(), static_cast<int64_t>(kMaxMessageBytes)));
  rules->messages_per_ticket_ = limit(limits.messages_per_ticket(), kMaxMessages);
  rules->attachments_ =
      static_cast<size_t>(limit(limits.attachments(), static_cast<int64_t>(kMaxAttachments)));
  rules->attachment_bytes_ = limit(limits.attachment_bytes(), kMaxAttachmentBytes);
  rules->watchers_ =
      static_cast<size_t>(limit(limits.watchers(), static_cast<int64_t>(kMaxWatchers)));
  return rules;
}

std::string_view Rules::FrustrationIn(std::string_view text) const {
  for (const Pattern& pattern : frustration_) {
    if (re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *pattern.pattern)) {
      return pattern.name;
    }
  }
  return {};
}

bool Rules::IsThankYou(std::string_view text) const {
  if (text.size() > thank_you_max_bytes_) return false;
  return std::any_of(thank_you_.begin(), thank_you_.end(), [&](const Pattern& pattern) {
    return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *pattern.pattern);
  });
}

std::vector<std::string> Rules::MissingFields(const Ticket& ticket) const {
  auto line = required_.find(ticket.category());
  if (line == required_.end()) line = required_.find(kEveryCategory);
  if (line == required_.end()) return {};
  std::vector<std::string> missing;
  for (const std::string& name : line->second) {
    for (const ContextField& field : kContextFields) {
      if (field.name == name && field.is_missing(ticket)) missing.push_back(name);
    }
  }
  return missing;
}

absl::Duration Rules::RequesterRetryAfter(int attempt) const {
  absl::Duration wait = requester_retry_after_;
  for (int i = 1; i < attempt && wait < kLongestRetry; ++i) wait *= 2;
  return std::min(wait, kLongestRetry);
}

}  // namespace tandem::ticket_intake
