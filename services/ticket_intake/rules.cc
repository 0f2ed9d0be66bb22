#include "services/ticket_intake/rules.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/utf8.h"
#include "common/config/views.h"
#include "common/time/stamp.h"

namespace tandem::ticket_intake {

using config::Absl;

namespace {

using intake::v1::IntakePolicy;
using intake::v1::TextPattern;
using intake::v1::Ticket;

constexpr std::string_view kEveryCategory = "*";
constexpr absl::Duration kLongestRetry = absl::Minutes(10);
constexpr int kMaxSpamClosures = 1000;

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

// Blanks and punctuation between thank-yous. No "?": a question asks for an answer. No brackets:
// ":(" is none of thanks.
constexpr std::string_view kBetween = R"([\s\p{Z}\x{200B}-\x{200D}\x{FE0F}.,;:!…'"„“”«»*_~\-–—])";

std::string OneOf(const google::protobuf::RepeatedPtrField<TextPattern>& patterns) {
  std::string joined;
  for (const TextPattern& pattern : patterns) {
    absl::StrAppend(&joined, joined.empty() ? "" : "|", "(?:", pattern.pattern(), ")");
  }
  return absl::StrCat("(?:", joined, ")");
}

// A text that consists of matches of `parts` with gaps between them.
std::string NothingBut(const std::string& parts) {
  const std::string gap(kBetween);
  return absl::StrCat(gap, "*", parts, "(?:", gap, "+", parts, ")*", gap, "*");
}

std::unique_ptr<const re2::RE2> Joined(const std::string& parts) {
  re2::RE2::Options options = PatternOptions();
  options.set_max_mem(int64_t{32} << 20);  // of up to 100 patterns
  return std::make_unique<const re2::RE2>(NothingBut(parts), options);
}

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
  check.Patterns("courtesies", policy.courtesies());
  check.Range("thank_you_max_bytes", policy.thank_you_max_bytes(), 4096);
  check.Require(policy.spam_closures() >= -1 && policy.spam_closures() <= kMaxSpamClosures,
                "spam_closures", absl::StrCat("must be -1 to ", kMaxSpamClosures));
  check.Span("spam_window", policy.has_spam_window(), policy.spam_window(), absl::Hours(1),
             absl::Hours(24 * 366));
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

std::string OwnWords(std::string_view text) {
  std::vector<std::string_view> lines;
  const auto drop_blank_end = [&lines] {
    while (!lines.empty() && !config::HasVisible(lines.back())) lines.pop_back();
  };
  bool in_quote = false;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line == "-- ") break;
    const bool is_quoted = line.substr(0, 1) == ">";
    if (is_quoted && !in_quote) {
      // "On Monday, Anna wrote:" belongs to the quotation.
      drop_blank_end();
      if (!lines.empty() && lines.back().back() == ':') lines.pop_back();
    }
    in_quote = is_quoted;
    if (!is_quoted) lines.push_back(line);
  }
  drop_blank_end();
  return absl::StrJoin(lines, "\n", [](std::string* out, std::string_view line) {
    out->append(line.data(), line.size());
  });
}

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
  if (!policy.thank_you().empty()) {
    const std::string thanks = OneOf(policy.thank_you());
    const std::string courtesies = OneOf(policy.courtesies());
    rules->polite_ = Joined(
        policy.courtesies().empty() ? thanks : absl::StrCat("(?:", thanks, "|", courtesies, ")"));
    if (!policy.courtesies().empty()) rules->courteous_ = Joined(courtesies);
    if (!violations.Require(
            rules->polite_->ok(), "thank_you",
            absl::StrCat("and courtesies cannot be used together: ", rules->polite_->error()))) {
      return nullptr;
    }
  }
  rules->thank_you_max_bytes_ =
      static_cast<size_t>(policy.thank_you_max_bytes() == 0 ? 400 : policy.thank_you_max_bytes());
  rules->spam_closures_ = policy.spam_closures() == 0 ? 2 : std::max(policy.spam_closures(), 0);
  rules->spam_window_ =
      policy.has_spam_window() ? time::Span(policy.spam_window()) : absl::Hours(24 * 30);
  rules->third_party_reopens_ = policy.third_party_reopens();
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
  const std::string own = OwnWords(text);
  for (const Pattern& pattern : frustration_) {
    if (re2::RE2::PartialMatch(own, *pattern.pattern)) return pattern.name;
  }
  return {};
}

bool Rules::IsThankYou(std::string_view text) const {
  if (polite_ == nullptr) return false;
  const std::string own = OwnWords(text);
  return own.size() <= thank_you_max_bytes_ && re2::RE2::FullMatch(own, *polite_) &&
         (courteous_ == nullptr || !re2::RE2::FullMatch(own, *courteous_));
}

bool Rules::IsSuspected(
    const google::protobuf::RepeatedPtrField<google::protobuf::Timestamp>& closures,
    int64_t resolved, absl::Time now) const {
  if (spam_closures_ == 0 || resolved > 0) return false;
  return std::count_if(closures.begin(), closures.end(), [&](const auto& closed_at) {
           return time::Instant(closed_at) > now - spam_window_;
         }) >= spam_closures_;
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
