// The intake policy made ready to use: patterns compiled, defaults filled in, every problem named.
#ifndef TANDEM_SERVICES_TICKET_INTAKE_RULES_H_
#define TANDEM_SERVICES_TICKET_INTAKE_RULES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "common/corridor/errors.h"
#include "re2/re2.h"
#include "tandem/intake/v1/intake_policy.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"

namespace tandem::ticket_intake {

// The product's own limits (product §1.10); a policy may draw tighter ones.
inline constexpr size_t kMaxSubjectBytes = 500;
inline constexpr size_t kMaxMessageBytes = 64 * 1024;
inline constexpr size_t kMaxContextBytes = 16 * 1024;
inline constexpr size_t kMaxThreadRefBytes = 998;  // RFC 5322 §2.1.1: a line of mail
inline constexpr size_t kMaxAddressBytes = 320;
inline constexpr size_t kMaxTags = 50;
inline constexpr size_t kMaxCustomFields = 50;
inline constexpr size_t kMaxWatchers = 200;
inline constexpr size_t kMaxExternalIds = 20;
inline constexpr size_t kMaxAttachments = 20;
inline constexpr int64_t kMaxAttachmentBytes = int64_t{1} << 40;
inline constexpr int64_t kMaxMessages = 10'000;
inline constexpr int64_t kMaxAffectedUsers = 1'000'000'000;

// What the author of a message wrote: without lines quoted with ">", the line above them that says
// who is quoted, and the signature below "-- " (RFC 3676 §4.3).
std::string OwnWords(std::string_view text);

// Immutable; any thread.
class Rules {
 public:
  // Adds every problem of `policy`; null when there are any.
  static std::shared_ptr<const Rules> Make(const intake::v1::IntakePolicy& policy,
                                           corridor::Violations& violations);

  // The name of the first frustration pattern found in `text`; empty = none. Only what a requester
  // wrote is asked about (product §1.4).
  std::string_view FrustrationIn(std::string_view text) const;
  // A short text of thank-yous and courtesies and nothing else, at least one of them a thank-you.
  bool IsThankYou(std::string_view text) const;
  // The fields that `ticket` must carry by its category and lacks, sorted (product §1.3).
  std::vector<std::string> MissingFields(const intake::v1::Ticket& ticket) const;

  // Whether an address with this history is suspected (product §1.2): `closures` are the instants
  // of its SPAM closures, `resolved` counts its tickets that were resolved.
  bool IsSuspected(const google::protobuf::RepeatedPtrField<google::protobuf::Timestamp>& closures,
                   int64_t resolved, absl::Time now) const;
  // How long a SPAM closure counts.
  absl::Duration spam_window() const { return spam_window_; }
  // How many closures are looked at; 0 = nobody is ever suspected.
  int spam_closures() const { return spam_closures_; }
  // Whether a stranger's message reopens what a requester's would.
  bool third_party_reopens() const { return third_party_reopens_; }

  // InfiniteDuration = never.
  absl::Duration auto_close_after() const { return auto_close_after_; }
  // Zero = ask every time.
  absl::Duration requester_valid_for() const { return requester_valid_for_; }
  // The wait before account_health is asked again, after `attempt` failures, from 1.
  absl::Duration RequesterRetryAfter(int attempt) const;

  size_t message_bytes() const { return message_bytes_; }
  int64_t messages_per_ticket() const { return messages_per_ticket_; }
  size_t attachments() const { return attachments_; }
  int64_t attachment_bytes() const { return attachment_bytes_; }
  size_t watchers() const { return watchers_; }

 private:
  struct Pattern {
    std::string name;
    std::unique_ptr<const re2::RE2> pattern;
  };
  Rules() = default;
  static std::vector<Pattern> Compile(
      const google::protobuf::RepeatedPtrField<intake::v1::TextPattern>& patterns);

  std::map<std::string, std::vector<std::string>, std::less<>> required_;
  std::vector<Pattern> frustration_;
  // Nothing but thank-yous and courtesies; nothing but courtesies. Null = there is no such pattern.
  std::unique_ptr<const re2::RE2> polite_;
  std::unique_ptr<const re2::RE2> courteous_;
  size_t thank_you_max_bytes_ = 0;
  int spam_closures_ = 0;
  absl::Duration spam_window_;
  bool third_party_reopens_ = false;
  absl::Duration auto_close_after_;
  absl::Duration requester_valid_for_;
  absl::Duration requester_retry_after_;
  size_t message_bytes_ = 0;
  int64_t messages_per_ticket_ = 0;
  size_t attachments_ = 0;
  int64_t attachment_bytes_ = 0;
  size_t watchers_ = 0;
};

}  // namespace tandem::ticket_intake

#endif  // TANDEM_SERVICES_TICKET_INTAKE_RULES_H_
