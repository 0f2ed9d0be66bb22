#include "common/transfer/transfer.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/id/id.h"
#include "common/kafka/kafka_log_reader.h"
#include "common/kafka/kafka_log_writer.h"
#include "common/transfer/log_copy.h"
#include "common/transfer/offset_map.h"
#include "common/transfer/source.h"
#include "common/transfer/table_plan.h"
#include "common/transfer/target.h"

namespace tandem::transfer {
namespace {

constexpr char kWayOut[] =
    "Run the move again: it goes on where it stopped. To begin without the data instead, drop the "
    "schema and make it anew.";

std::string Hex(const std::string& hash) { return absl::BytesToHexString(hash); }

class Move {
 public:
  Move(const TransferOptions& options, Source source, Target target)
      : options_(options), source_(std::move(source)), target_(std::move(target)) {}

  absl::StatusOr<TransferReport> Run();

 private:
  struct Planned {
    size_t service = 0;
    TablePlan table;
  };

  void Say(const std::string& line) const {
    if (options_.say) options_.say(line);
  }
  absl::Status Plan();
  // Whether this very data was moved before; FAILED_PRECONDITION if the schemas hold anything else.
  absl::StatusOr<bool> LookAtTarget();
  absl::StatusOr<std::unique_ptr<bus::KafkaLogReader>> OpenTopic() const;
  absl::Status LookAtTopic(bool may_be_missing);
  absl::Status FillTopic();
  absl::Status CheckTopic();
  absl::Status FillDatabase();
  absl::Status CountRows();
  absl::StatusOr<Content> ReadSource(const Planned& planned, const OffsetMap* offsets);
  absl::StatusOr<std::string> Identity();
  // Where to, as people are told.
  std::string Place() const {
    return absl::StrCat(target_.name(), " and topic ", options_.topic.name);
  }
  absl::Status MarkMoved(const std::string& moved_at) {
    return source_.SetMark(Moved(options_.folder, Place(), moved_at));
  }
  const std::string& NameOf(const Planned& planned) const {
    return source_.services()[planned.service].name;
  }

  const TransferOptions& options_;
  Source source_;
  Target target_;
  std::vector<Planned> plan_;
  std::optional<OffsetMap> offsets_;
  TransferReport report_;
};

absl::Status Move::Plan() {
  for (size_t i = 0; i < source_.services().size(); ++i) {
    const Source::Service& from = source_.services()[i];
    const Target::Schema& to = target_.schemas()[i];
    absl::Status same = CompareSteps(from.name, from.steps, to.steps, options_.source_command,
                                     options_.target_command(from.name));
    if (!same.ok()) return same;
    absl::StatusOr<std::vector<TablePlan>> tables = PlanTables(from.tables, to.tables);
    if (!tables.ok()) {
      return absl::Status(tables.status().code(),
                          absl::StrCat(from.name, ": ", tables.status().message()));
    }
    for (TablePlan& table : *tables) plan_.push_back({i, std::move(table)});
  }
  return absl::OkStatus();
}

absl::StatusOr<Content> Move::ReadSource(const Planned& planned, const OffsetMap* offsets) {
  Content content;
  absl::Status read = source_.ReadRows(planned.service, planned.table, offsets,
                                       [&](std::string_view row) -> absl::Status {
                                         content.Add(row);
                                         return absl::OkStatus();
                                       });
  if (!read.ok()) return read;
  return content;
}

// What tells this folder at this time from any other, whatever the topic's offsets.
absl::StatusOr<std::string> Move::Identity() {
  std::string identity;
  for (const Planned& planned : plan_) {
    if (!planned.table.keeps_offsets()) continue;
    const absl::StatusOr<Content> content = ReadSource(planned, nullptr);
    if (!content.ok()) return content.status();
    identity = id::Hash({identity, NameOf(planned), planned.table.name, content->hash});
  }
  for (int p = 0; p < source_.partitions(); ++p) {
    const absl::StatusOr<Content> content = ReadOriginal(source_, p);
    if (!content.ok()) return content.status();
    identity = id::Hash({identity, absl::StrCat(p), content->hash});
  }
  return Hex(identity);
}

absl::StatusOr<bool> Move::LookAtTarget() {
  size_t moved = 0;
  for (const Target::Schema& schema : target_.schemas()) moved += schema.moved.has_value() ? 1 : 0;
  for (const Target::Schema& schema : target_.schemas()) {
    if (moved == target_.schemas().size() || schema.first_filled.empty()) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(target_.name(), ": ", NotEmpty(schema.name, schema.first_filled)));
  }
  if (moved == 0) return false;
  const Target::Schema& first = target_.schemas().front();
  const absl::StatusOr<std::string> identity = Identity();
  if (!identity.ok()) return identity.status();
  for (const Target::Schema& schema : target_.schemas()) {
    if (schema.moved == *identity) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        target_.name(), ": into schema ", schema.name,
        schema.moved.has_value()
            ? absl::StrCat(" other data was moved at ", schema.moved_at,
                           ": of another folder, or of this one before it was used again")
            : " nothing was moved, but into others",
        ". Moving again would need all schemas and the topic to be dropped and made anew, with "
        "all that was stored there since"));
  }
  report_.was_moved_before = true;
  report_.moved_at = first.moved_at;
  return true;
}

absl::StatusOr<std::unique_ptr<bus::KafkaLogReader>> Move::OpenTopic() const {
  bus::KafkaLogReaderOptions reader;
  reader.client = options_.kafka;
  reader.topic = options_.topic.name;
  reader.clock = options_.clock;
  absl::StatusOr<std::unique_ptr<bus::KafkaLogReader>> topic = bus::OpenKafkaLogReader(reader);
  if (!topic.ok() || (*topic)->partitions() == source_.partitions()) return topic;
  return absl::FailedPreconditionError(
      absl::StrCat("topic ", options_.topic.name, " has ", (*topic)->partitions(),
                   " partitions, the log has ", source_.partitions(),
                   ", and events stay in theirs: delete the topic, which is made anew with "
                   "as many, or name another"));
}

absl::Status Move::LookAtTopic(bool may_be_missing) {
  for (int p = 0; p < source_.partitions(); ++p) {
    const bus::Bounds& bounds = source_.bounds(p);
    report_.partitions.push_back({p, bounds.end - bounds.first, 0, bounds.end, 0, ""});
  }
  const auto topic = OpenTopic();
  if (absl::IsNotFound(topic.status()) && may_be_missing) return absl::OkStatus();
  if (!topic.ok()) return topic.status();
  for (int p = 0; p < source_.partitions(); ++p) {
    const absl::StatusOr<Content> there = ReadCopy(source_, **topic, p, nullptr);
    if (!there.ok()) return there.status();
    report_.partitions[static_cast<size_t>(p)].found = there->count;
  }
  return absl::OkStatus();
}

absl::Status Move::FillTopic() {
  int64_t missing = 0;
  for (const TransferReport::Partition& one : report_.partitions) missing += one.events - one.found;
  Say(absl::StrCat("copying ", missing, " events into topic ", options_.topic.name));
  bus::KafkaLogWriterOptions options;
  options.client = options_.kafka;
  options.topic = options_.topic;
  options.topic.create = true;
  options.topic.partitions = source_.partitions();
  options.clock = options_.clock;
  const auto writer = bus::OpenKafkaLogWriter(options);
  if (!writer.ok()) return writer.status();
  for (const TransferReport::Partition& one : report_.partitions) {
    absl::Status appended = AppendRest(source_, **writer, one.partition, one.found);
    if (!appended.ok()) return appended;
  }
  return (*writer)->Flush();
}

absl::Status Move::CheckTopic() {
  Say("reading the topic back");
  const auto topic = OpenTopic();
  if (!topic.ok()) return topic.status();
  offsets_.emplace(source_.partitions());
  for (TransferReport::Partition& one : report_.partitions) {
    const absl::StatusOr<Content> copy = ReadCopy(source_, **topic, one.partition, &*offsets_);
    if (!copy.ok()) return copy.status();
    const absl::StatusOr<Content> original = ReadOriginal(source_, one.partition);
    if (!original.ok()) return original.status();
    if (*copy != *original) {
      return absl::DataLossError(absl::StrCat(
          "partition ", one.partition, " of topic ", options_.topic.name, " holds ", copy->count,
          " events of ", original->count, ". Delete the topic, and run this again"));
    }
    const absl::StatusOr<int64_t> end =
        offsets_->NextOffset(one.partition, source_.bounds(one.partition).end);
    if (!end.ok()) return end.status();
    one.target_end = *end;
    one.hash = Hex(copy->hash);
  }
  return absl::OkStatus();
}

absl::Status Move::FillDatabase() {
  const absl::StatusOr<std::string> identity = Identity();
  if (!identity.ok()) return identity.status();
  bool is_marked = false;
  const absl::Status committed = target_.Commit(*identity, [&]() -> absl::Status {
    Say(absl::StrCat("copying ", plan_.size(), " tables into ", target_.name()));
    for (const Planned& planned : plan_) {
      absl::Status filled =
          target_.Fill(NameOf(planned), planned.table, [&](const Target::AddRow& add) {
            return source_.ReadRows(planned.service, planned.table, &*offsets_, add);
          });
      if (!filled.ok()) return filled;
    }
    Say("reading the tables back");
    for (const Planned& planned : plan_) {
      const absl::StatusOr<Content> from = ReadSource(planned, &*offsets_);
      if (!from.ok()) return from.status();
      const absl::StatusOr<Content> to = target_.Read(NameOf(planned), planned.table);
      if (!to.ok()) return to.status();
      if (*from != *to) {
        return absl::DataLossError(absl::StrCat(
            NameOf(planned), ", table ", planned.table.name, ": ", to->count,
            " rows were read back of ", from->count,
            to->count == from->count ? ", and they differ" : "", ". Nothing was kept"));
      }
      report_.tables.push_back({NameOf(planned), planned.table.name, to->count, Hex(to->hash)});
    }
    absl::Status begun = source_.SetMark(Begun(options_.folder, Place()));
    is_marked = begun.ok();
    return begun;
  });
  if (committed.ok())
    return MarkMoved(absl::FormatTime(options_.clock->Now(), absl::UTCTimeZone()));
  // The mark stays where it may have been done after all.
  if (is_marked && !absl::IsUnavailable(committed)) {
    if (absl::Status s = source_.SetMark({}); !s.ok()) return s;
  }
  return committed;
}

absl::Status Move::CountRows() {
  for (const Planned& planned : plan_) {
    // Offsets as they are: only the number counts.
    TablePlan table = planned.table;
    for (PlannedColumn& column : table.columns) column.rewrite = Rewrite::kNone;
    const absl::StatusOr<Content> content = ReadSource({planned.service, table}, nullptr);
    if (!content.ok()) return content.status();
    report_.tables.push_back({NameOf(planned), table.name, content->count, ""});
  }
  return absl::OkStatus();
}

absl::StatusOr<TransferReport> Move::Run() {
  report_.is_dry_run = options_.dry_run;
  if (absl::Status s = Plan(); !s.ok()) return s;
  const absl::StatusOr<bool> was_moved = LookAtTarget();
  if (!was_moved.ok()) return was_moved.status();
  if (*was_moved) {
    // That attempt may have been killed before it could say so in the folder.
    if (source_.mark().state != FolderMark::State::kMoved && !options_.dry_run) {
      if (absl::Status s = MarkMoved(report_.moved_at); !s.ok()) return s;
    }
    return report_;
  }
  // The one to this place did not commit, as we have just seen; of another place nothing is known.
  const FolderMark& mark = source_.mark();
  if (mark.state == FolderMark::State::kMoved || mark.place != Place()) {
    if (absl::Status s = CheckMark(options_.folder, mark); !s.ok()) return s;
  }
  if (absl::Status s = LookAtTopic(/*may_be_missing=*/true); !s.ok()) return s;
  if (options_.dry_run) {
    if (absl::Status s = CountRows(); !s.ok()) return s;
    return report_;
  }
  // From here on nobody serves the schemas before they are whole; and nobody reads the topic who
  // would take its beginning for all.
  if (absl::Status s = target_.Mark(kWayOut); !s.ok()) return s;
  if (absl::Status s = FillTopic(); !s.ok()) return s;
  if (absl::Status s = CheckTopic(); !s.ok()) return s;
  if (absl::Status s = FillDatabase(); !s.ok()) return s;
  return report_;
}

}  // namespace

absl::StatusOr<TransferReport> Transfer(const TransferOptions& options) {
  if (options.clock == nullptr) return absl::InvalidArgumentError("there is no clock");
  absl::StatusOr<Source> source = Source::Open(options.folder, options.services);
  if (!source.ok()) return source.status();
  absl::StatusOr<Target> target =
      Target::Open(options.database, options.services, options.target_command);
  if (!target.ok()) return target.status();
  return Move(options, *std::move(source), *std::move(target)).Run();
}

}  // namespace tandem::transfer
