// Where letters to contacts are handed over. The embedded default is a folder of files: whatever
// sends mail in a company takes them from there.
#ifndef TANDEM_SERVICES_SURVEY_MAILBOX_H_
#define TANDEM_SERVICES_SURVEY_MAILBOX_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tandem::survey {

// Called from one thread at a time, never from the lane's; may block on a disk. A call may be
// repeated after a crash, so both are idempotent by name.
class Mailer {
 public:
  virtual ~Mailer() = default;
  // Hands a letter over; one of the same name is replaced. UNAVAILABLE: try again later. Any other
  // error: this letter is refused for good. A status never quotes the letter.
  virtual absl::Status Put(std::string_view name, std::string_view letter) = 0;
  // Takes a letter back; one that is not there is no error. UNAVAILABLE: try again later.
  virtual absl::Status Remove(std::string_view name) = 0;
};

// Takes every letter and keeps none: for what plays a history, or decides without delivering.
class NoMailbox : public Mailer {
 public:
  absl::Status Put(std::string_view, std::string_view) override { return absl::OkStatus(); }
  absl::Status Remove(std::string_view) override { return absl::OkStatus(); }
};

// Letters as files of mode 0600. A reader of the folder sees a letter whole or not at all; names
// that begin with a dot are letters under way.
class FileMailbox : public Mailer {
 public:
  enum class Durability {
    kFull,  // a letter that was put is on disk
    kOff,   // it is when the system gets to it: for a replay that starts over after a crash
  };

  // Makes the folder (0700) if there is none; its parent has to exist. UNAVAILABLE with the reason.
  static absl::StatusOr<std::unique_ptr<FileMailbox>> Open(std::string folder,
                                                           Durability durability);

  // A name is 1 to 200 bytes of [A-Za-z0-9_.-] and does not begin with a dot, else
  // INVALID_ARGUMENT.
  absl::Status Put(std::string_view name, std::string_view letter) override;
  absl::Status Remove(std::string_view name) override;

 private:
  FileMailbox(std::string folder, Durability durability)
      : folder_(std::move(folder)), durability_(durability) {}
  // Makes what was renamed or removed in the folder last.
  absl::Status SyncFolder() const;

  const std::string folder_;
  const Durability durability_;
};

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_MAILBOX_H_
