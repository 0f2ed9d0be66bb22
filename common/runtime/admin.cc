#include "common/runtime/admin.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "common/corridor/errors.h"
#include "common/corridor/page_token.h"
#include "common/runtime/event_page.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "tandem/admin/v1/admin_service.pb.h"

namespace tandem::runtime {
namespace {

namespace v1 = tandem::admin::v1;
using corridor::MessagePtr;
using corridor::ReplyCallback;
using corridor::Violations;

template <typename Message>
void Answer(ReplyCallback& done, Message message) {
  done(MessagePtr(std::make_shared<const Message>(std::move(message))));
}

int PageSize(int asked, int usual) { return asked == 0 ? usual : asked; }

constexpr size_t kMaxFilterBytes = 256;
constexpr size_t kMaxFolderBytes = 4095;

absl::Status NoBackup() {
  return absl::UnimplementedError(
      "the databases of this process are a server's: run `tandemctl backup --store "
      "postgresql://…`");
}

// Lists see and write positions; tokens are made of them, and read, here (page_token.h).
template <typename Req, typename Rep, typename List>
void Page(MessagePtr request, ReplyCallback done, List list) {
  absl::StatusOr<std::string> position = corridor::OpenPosition(*request);
  if (!position.ok()) {
    done(position.status());
    return;
  }
  auto opened = std::make_shared<Req>(static_cast<const Req&>(*request));
  opened->set_page_token(*std::move(position));
  list(MessagePtr(std::move(opened)), [request = std::move(request), done = std::move(done)](
                                          absl::StatusOr<MessagePtr> reply) mutable {
    if (!reply.ok() || static_cast<const Rep&>(**reply).next_page_token().empty()) {
      done(std::move(reply));
      return;
    }
    Rep page = static_cast<const Rep&>(**reply);
    page.set_next_page_token(corridor::SealPosition(*request, page.next_page_token()));
    Answer(done, std::move(page));
  });
}

// "DUE|ID" of the last timer of a page.
bool ReadTimerPosition(const std::string& text, int64_t& due_us, std::string& id) {
  const size_t bar = text.find('|');
  if (bar == std::string::npos || !absl::SimpleAtoi(text.substr(0, bar), &due_us)) return false;
  id = text.substr(bar + 1);
  return true;
}

}  // namespace

Admin::Admin(std::string version, Ports ports, std::vector<ServiceRuntime*> services,
             std::function<void()> drain)
    : version_(std::move(version)),
      ports_(ports),
      call_log_(ports.logger),
      runtimes_(std::move(services)),
      drain_(std::move(drain)),
      started_at_(ports.clock->Now()),
      scope_(ports.executor) {}

std::vector<const google::protobuf::ServiceDescriptor*> Admin::services() const {
  return {v1::GetStatusRequest::descriptor()->file()->FindServiceByName("AdminService")};
}

absl::StatusOr<ServiceRuntime*> Admin::Find(const std::string& name) const {
  std::vector<std::string> names;
  for (ServiceRuntime* runtime : runtimes_) {
    if (runtime->definition().name() == name) return runtime;
    names.push_back(runtime->definition().name());
  }
  return corridor::WithReason(absl::NotFoundError(absl::StrCat("no such service here; there are ",
                                                               absl::StrJoin(names, ", "))),
                              "SERVICE_NOT_FOUND", {{"services", absl::StrJoin(names, ",")}});
}

void Admin::Call(const corridor::CallContext& context,
                 const google::protobuf::MethodDescriptor* method, MessagePtr request,
                 ReplyCallback done) {
  Violations violations;
  corridor::CheckShape(*request, violations);
  const std::string& name = method->name();
  const bool is_change = name == "RetryDeadLetters" || name == "DropDeadLetter" ||
                         name == "Drain" || name == "BeginBackup";
  if (call_log_.Wants(is_change)) {
    done = [this, context, method, request, is_change, asked_at = ports_.clock->Now(),
            tell = std::move(done)](absl::StatusOr<MessagePtr> reply) mutable {
      call_log_.Answered(context, *method, *request, is_change, reply,
                         ports_.clock->Now() - asked_at);
      tell(std::move(reply));
    };
  }
  // What changes something says who asks, as everywhere.
  if (is_change) {
    violations.Require(!context.caller.empty(), "tandem-caller",
                       "name the caller in this metadata key: 1 to 128 bytes of [A-Za-z0-9_.:-]");
  }
  if (!violations.ok()) {
    done(violations.status());
  } else if (name == "GetStatus") {
    GetStatus(std::move(done));
  } else if (name == "ListDeadLetters") {
    Page<v1::ListDeadLettersRequest, v1::ListDeadLettersResponse>(
        std::move(request), std::move(done), [this](MessagePtr opened, ReplyCallback answered) {
          ListDeadLetters(std::move(opened), std::move(answered));
        });
  } else if (name == "RetryDeadLetters") {
    RetryDeadLetters(std::move(request), std::move(done));
  } else if (name == "DropDeadLetter") {
    DropDeadLetter(std::move(request), std::move(done));
  } else if (name == "ListTimers") {
    Page<v1::ListTimersRequest, v1::ListTimersResponse>(
        std::move(request), std::move(done), [this](MessagePtr opened, ReplyCallback answered) {
          ListTimers(std::move(opened), std::move(answered));
        });
  } else if (name == "ListOutbox") {
    Page<v1::ListOutboxRequest, v1::ListOutboxResponse>(
        std::move(request), std::move(done), [this](MessagePtr opened, ReplyCallback answered) {
          ListOutbox(std::move(opened), std::move(answered));
        });
  } else if (name == "BeginBackup") {
    BeginBackup(std::move(request), std::move(done));
  } else if (name == "GetBackup") {
    GetBackup(std::move(done));
  } else if (name == "ReadEvents") {
    const auto& read = static_cast<const v1::ReadEventsRequest&>(*request);
    violations.PageSize(read.page_size(), 1000);
    violations.Range("wait_ms", read.wait_ms(), 0, 30'000);
    violations.Text("key", read.key(), kMaxFilterBytes, true);
    for (const auto& [partition, offset] : read.offsets()) {
      violations.Range("offsets.key", partition, 0, ports_.bus->partitions() - 1);
      violations.Range("offsets.value", offset, 0, INT64_MAX);
    }
    if (!violations.ok()) {
      done(violations.status());
      return;
    }
    const absl::Time until =
        std::min(ports_.clock->Now() + absl::Milliseconds(read.wait_ms()), context.deadline);
    ReadEvents(std::move(request), until, std::move(done));
  } else if (name == "Drain") {
    Answer(done, v1::DrainResponse());
    drain_();
  } else {
    done(absl::UnimplementedError(absl::StrCat(method->full_name(), " is not served here")));
  }
}

void Admin::GetStatus(ReplyCallback done) {
  // One part a service, put together by the last that answers.
  struct Parts {
    absl::Mutex mutex;
    std::vector<v1::ServiceStatus> services ABSL_GUARDED_BY(mutex);
    size_t open ABSL_GUARDED_BY(mutex) = 0;
  };
  auto parts = std::make_shared<Parts>();
  auto answer = std::make_shared<ReplyCallback>(std::move(done));
  {
    absl::MutexLock lock(&parts->mutex);
    parts->services.resize(runtimes_.size());
    parts->open = runtimes_.size();
  }
  for (size_t i = 0; i < runtimes_.size(); ++i) {
    ServiceRuntime* const runtime = runtimes_[i];
    runtime->Sample([this, parts, answer, i, runtime](absl::StatusOr<ServiceSample> sample) {
      v1::ServiceStatus status;
      status.set_service(runtime->definition().name());
      if (sample.ok()) {
        for (size_t p = 0; p < sample->partitions.size(); ++p) {
          const inbox::PartitionState& state = sample->partitions[p];
          v1::PartitionStatus* partition = status.add_partitions();
          partition->set_partition(state.partition);
          partition->set_next_offset(std::max<int64_t>(0, state.next_offset));
          partition->set_end_offset(sample->ends[p]);
          partition->set_stopped(state.stopped);
        }
        status.set_outbox_events(sample->outbox_events);
        status.set_outbox_age_us(absl::ToInt64Microseconds(sample->outbox_age));
        status.set_timers(sample->timers);
        status.set_timers_overdue(sample->timers_overdue);
        status.set_dead_letters(sample->dead_letters);
        status.set_lane_depth(static_cast<int64_t>(sample->lane_depth));
        for (const std::string& reason : sample->not_ready) status.add_not_ready(reason);
        for (const std::string& reason : sample->unhealthy) status.add_unhealthy(reason);
      } else {
        status.add_not_ready("the store cannot be read");
      }
      if (ports_.unhealthy) {
        for (const std::string& reason : ports_.unhealthy()) status.add_unhealthy(reason);
      }
      v1::GetStatusResponse response;
      {
        absl::MutexLock lock(&parts->mutex);
        parts->services[i] = std::move(status);
        if (--parts->open > 0) return;
        for (v1::ServiceStatus& service : parts->services) {
          *response.add_services() = std::move(service);
        }
      }
      response.set_version(version_);
      *response.mutable_started_at() = time::Stamp(started_at_);
      Answer(*answer, std::move(response));
    });
  }
}

void Admin::ListDeadLetters(MessagePtr request, ReplyCallback done) {
  const auto& list = static_cast<const v1::ListDeadLettersRequest&>(*request);
  Violations violations;
  violations.PageSize(list.page_size(), 500);
  violations.Text("subject", list.subject(), kMaxFilterBytes, true);
  // The position is "SERVICE INDEX|LAST ID": services are read one after another.
  size_t service = 0;
  int64_t after = 0;
  if (!list.page_token().empty()) {
    const std::vector<std::string> parts = absl::StrSplit(list.page_token(), '|');
    violations.Require(parts.size() == 2 && absl::SimpleAtoi(parts[0], &service) &&
                           absl::SimpleAtoi(parts[1], &after) && service < runtimes_.size(),
                       "page_token", "is no token of this list");
  }
  if (!violations.ok()) {
    done(violations.status());
    return;
  }
  if (!list.service().empty()) {
    absl::StatusOr<ServiceRuntime*> found = Find(list.service());
    if (!found.ok()) {
      done(found.status());
      return;
    }
    service = static_cast<size_t>(std::find(runtimes_.begin(), runtimes_.end(), *found) -
                                  runtimes_.begin());
  }
  ServiceRuntime* const runtime = runtimes_[service];
  const bool more_services = list.service().empty() && service + 1 < runtimes_.size();
  const int size = PageSize(list.page_size(), 50);
  runtime->Read([this, service, after, size, more_services, subject = list.subject(), request,
                 runtime, done = std::move(done)](store::Reader& reader) mutable {
    v1::ListDeadLettersResponse response;
    bool full = false;
    absl::Status status =
        reader.Query({"SELECT id, parked_subject, event_id, type, partition, log_offset, reason, "
                      "parked_at, body, key "
                      "FROM dead_letters WHERE id > $1 AND ($2 = '' OR parked_subject = $2) ORDER "
                      "BY id LIMIT $3",
                      {after, subject, int64_t{size} + 1}},
                     [&](const store::RowView& row) {
                       if (response.dead_letters_size() == size) {
                         full = true;
                         return;
                       }
                       v1::DeadLetter* letter = response.add_dead_letters();
                       letter->set_dead_letter_id(row.Int(0));
                       letter->set_service(runtime->definition().name());
                       letter->set_subject(std::string(row.Text(1)));
                       letter->set_event_id(std::string(row.Text(2)));
                       letter->set_event_type(std::string(row.Text(3)));
                       letter->set_partition(static_cast<int32_t>(row.Int(4)));
                       letter->set_offset(row.Int(5));
                       letter->set_reason(std::string(row.Text(6)));
                       *letter->mutable_parked_at() = time::Stamp(time::FromMicros(row.Int(7)));
                       letter->set_body(std::string(row.Text(8)));
                       letter->set_key(std::string(row.Text(9)));
                     });
    if (!status.ok()) {
      done(status);
      return;
    }
    if (full) {
      response.set_next_page_token(absl::StrCat(
          service, "|", response.dead_letters(response.dead_letters_size() - 1).dead_letter_id()));
    } else if (more_services && response.dead_letters_size() > 0) {
      response.set_next_page_token(absl::StrCat(service + 1, "|0"));
    } else if (more_services) {
      // Nothing here: the next service answers instead, so that an empty page is the end.
      auto next = std::make_shared<v1::ListDeadLettersRequest>(
          static_cast<const v1::ListDeadLettersRequest&>(*request));
      next->set_page_token(absl::StrCat(service + 1, "|0"));
      ListDeadLetters(std::move(next), std::move(done));
      return;
    }
    Answer(done, std::move(response));
  });
}

void Admin::RetryDeadLetters(MessagePtr request, ReplyCallback done) {
  const auto& retry = static_cast<const v1::RetryDeadLettersRequest&>(*request);
  absl::StatusOr<ServiceRuntime*> runtime = Find(retry.service());
  if (!runtime.ok()) {
    done(runtime.status());
    return;
  }
  (*runtime)->Retry(retry.subject(),
                    [done = std::move(done)](absl::StatusOr<lane::RetryResult> result) mutable {
                      if (!result.ok()) {
                        done(result.status());
                        return;
                      }
                      v1::RetryDeadLettersResponse response;
                      response.set_applied(result->applied);
                      response.set_remaining(result->remaining);
                      response.set_reason(std::string(result->why.message()));
                      Answer(done, std::move(response));
                    });
}

void Admin::DropDeadLetter(MessagePtr request, ReplyCallback done) {
  const auto& drop = static_cast<const v1::DropDeadLetterRequest&>(*request);
  absl::StatusOr<ServiceRuntime*> runtime = Find(drop.service());
  if (!runtime.ok()) {
    done(runtime.status());
    return;
  }
  (*runtime)->Drop(drop.dead_letter_id(),
                   [done = std::move(done)](absl::StatusOr<int64_t> remaining) mutable {
                     if (!remaining.ok()) {
                       done(remaining.status());
                       return;
                     }
                     v1::DropDeadLetterResponse response;
                     response.set_remaining(static_cast<int32_t>(*remaining));
                     Answer(done, std::move(response));
                   });
}

void Admin::ListTimers(MessagePtr request, ReplyCallback done) {
  const auto& list = static_cast<const v1::ListTimersRequest&>(*request);
  Violations violations;
  violations.PageSize(list.page_size(), 500);
  violations.Text("key", list.key(), kMaxFilterBytes, true);
  int64_t after_due_us = INT64_MIN;
  std::string after_id;
  violations.Require(
      list.page_token().empty() || ReadTimerPosition(list.page_token(), after_due_us, after_id),
      "page_token", "is no token of this list");
  absl::StatusOr<ServiceRuntime*> runtime = Find(list.service());
  if (!violations.ok() || !runtime.ok()) {
    done(violations.ok() ? runtime.status() : violations.status());
    return;
  }
  (*runtime)->Read([size = PageSize(list.page_size(), 50), key = list.key(), after_due_us,
                    after_id = std::move(after_id),
                    done = std::move(done)](store::Reader& reader) mutable {
    v1::ListTimersResponse response;
    std::string last;
    absl::Status status = reader.Query({"SELECT id, due, kind, key FROM timers WHERE ($1 = '' OR "
                                        "key = $1) AND (due > $2 OR (due = "
                                        "$2 AND id > $3)) ORDER BY due, id LIMIT $4",
                                        {key, after_due_us, after_id, int64_t{size} + 1}},
                                       [&](const store::RowView& row) {
                                         if (response.timers_size() == size) {
                                           response.set_next_page_token(last);
                                           return;
                                         }
                                         v1::Timer* timer = response.add_timers();
                                         timer->set_timer_id(std::string(row.Text(0)));
                                         *timer->mutable_due_at() =
                                             time::Stamp(time::FromMicros(row.Int(1)));
                                         timer->set_kind(std::string(row.Text(2)));
                                         timer->set_key(std::string(row.Text(3)));
                                         last = absl::StrCat(row.Int(1), "|", timer->timer_id());
                                       });
    if (status.ok()) {
      Answer(done, std::move(response));
    } else {
      done(status);
    }
  });
}

void Admin::ListOutbox(MessagePtr request, ReplyCallback done) {
  const auto& list = static_cast<const v1::ListOutboxRequest&>(*request);
  Violations violations;
  violations.PageSize(list.page_size(), 500);
  int64_t after = 0;
  violations.Require(list.page_token().empty() || absl::SimpleAtoi(list.page_token(), &after),
                     "page_token", "is no token of this list");
  absl::StatusOr<ServiceRuntime*> runtime = Find(list.service());
  if (!violations.ok() || !runtime.ok()) {
    done(violations.ok() ? runtime.status() : violations.status());
    return;
  }
  (*runtime)->Read([size = PageSize(list.page_size(), 50), after,
                    done = std::move(done)](store::Reader& reader) mutable {
    v1::ListOutboxResponse response;
    absl::Status status = reader.Query(
        {"SELECT id, event_id, type, subject FROM outbox WHERE id > $1 ORDER BY id LIMIT $2",
         {after, int64_t{size} + 1}},
        [&](const store::RowView& row) {
          if (response.entries_size() == size) {
            response.set_next_page_token(
                absl::StrCat(response.entries(response.entries_size() - 1).outbox_id()));
            return;
          }
          v1::OutboxEntry* entry = response.add_entries();
          entry->set_outbox_id(row.Int(0));
          entry->set_event_id(std::string(row.Text(1)));
          entry->set_event_type(std::string(row.Text(2)));
          entry->set_subject(std::string(row.Text(3)));
        });
    if (status.ok()) {
      Answer(done, std::move(response));
    } else {
      done(status);
    }
  });
}

void Admin::BeginBackup(MessagePtr request, ReplyCallback done) {
  const auto& begin = static_cast<const v1::BeginBackupRequest&>(*request);
  Violations violations;
  violations.Line("folder", begin.folder(), kMaxFolderBytes);
  violations.Require(absl::StartsWith(begin.folder(), "/"), "folder", "must be an absolute path");
  if (!violations.ok()) {
    done(violations.status());
    return;
  }
  if (ports_.backup == nullptr) {
    done(NoBackup());
    return;
  }
  if (const absl::Status begun = ports_.backup->Begin(begin.folder()); !begun.ok()) {
    done(corridor::WithReason(begun, "BACKUP_UNDER_WAY"));
    return;
  }
  Answer(done, v1::BeginBackupResponse());
}

void Admin::GetBackup(ReplyCallback done) {
  if (ports_.backup == nullptr) {
    done(NoBackup());
    return;
  }
  const backup::BackupJob::Status status = ports_.backup->status();
  v1::GetBackupResponse response;
  switch (status.state) {
    case backup::BackupJob::State::kNone:
      response.set_state(v1::BACKUP_STATE_NONE);
      break;
    case backup::BackupJob::State::kUnderWay:
      response.set_state(v1::BACKUP_STATE_UNDER_WAY);
      break;
    case backup::BackupJob::State::kDone:
      response.set_state(v1::BACKUP_STATE_DONE);
      *response.mutable_taken_at() = status.manifest.taken_at();
      break;
    case backup::BackupJob::State::kFailed:
      response.set_state(v1::BACKUP_STATE_FAILED);
      response.set_failure(std::string(status.failure.message()));
      break;
  }
  response.set_folder(status.folder);
  response.set_bytes_done(status.progress.bytes_done);
  response.set_bytes_total(status.progress.bytes_total);
  response.set_stood_still_us(absl::ToInt64Microseconds(status.progress.stood_still));
  for (const backup::BackupFile& file : status.manifest.files()) {
    v1::BackedUpFile* one = response.add_files();
    one->set_name(file.name());
    one->set_bytes(file.bytes());
    one->set_sha256(file.sha256());
  }
  Answer(done, std::move(response));
}

void Admin::ReadEvents(MessagePtr request, absl::Time until, ReplyCallback done) {
  scope_.Post([this, request = std::move(request), until, done = std::move(done)]() mutable {
    const auto& read = static_cast<const v1::ReadEventsRequest&>(*request);
    absl::StatusOr<v1::ReadEventsResponse> page = ReadEventPage(
        *ports_.log, ports_.bus->partitions(),
        [this](int partition) { return ports_.log->BoundsOf(partition); }, read);
    if (!page.ok()) {
      done(page.status());
      return;
    }
    v1::ReadEventsResponse& response = *page;
    const absl::Time now = ports_.clock->Now();
    if (response.events_size() == 0 && now < until) {
      // Looks again soon, from where this look ended. A reader is a person or a script: a few looks
      // a second cost nothing and need no registration with the log.
      auto next = std::make_shared<v1::ReadEventsRequest>(read);
      *next->mutable_offsets() = response.next_offsets();
      scope_.PostAt(now + absl::Milliseconds(50),
                    [this, next = std::move(next), until, done = std::move(done)]() mutable {
                      ReadEvents(std::move(next), until, std::move(done));
                    });
      return;
    }
    Answer(done, std::move(response));
  });
}

}  // namespace tandem::runtime
