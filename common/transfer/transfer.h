// Moves all that the services of one process know, files and log, to PostgreSQL and Kafka.
#ifndef TANDEM_COMMON_TRANSFER_TRANSFER_H_
#define TANDEM_COMMON_TRANSFER_TRANSFER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/kafka/kafka_client.h"
#include "common/kafka/kafka_topic.h"
#include "common/postgres/postgres.h"
#include "common/time/clock.h"

namespace tandem::transfer {

struct TransferOptions {
  // FOLDER/SERVICE.db and FOLDER/log.db, used by nobody else now.
  std::string folder;
  std::vector<std::string> services;
  // One database with a schema a service; `schemas` and what concerns services is not looked at.
  store::PostgresOptions database;
  bus::KafkaClientOptions kafka;
  // Made if it is not there, with as many partitions as the log has.
  bus::KafkaTopicOptions topic;
  const time::Clock* clock = nullptr;  // outlives the call
  // Looks at everything and changes nothing.
  bool dry_run = false;
  // What brings the files, and a service's schema, up to date; for messages.
  std::string source_command;
  std::function<std::string(const std::string& service)> target_command;
  // Told what is done now, a line at a time. May be empty.
  std::function<void(const std::string& line)> say;
};

// Hashes are SHA-256 as hexadecimal digits, of what was read back from the target and is the same
// in the source; empty after a dry run.
struct TransferReport {
  struct Table {
    std::string service, name;
    int64_t rows = 0;
    std::string hash;
  };
  struct Partition {
    int partition = 0;
    int64_t events = 0;
    int64_t found = 0;  // of them, those that an earlier attempt had left in the topic
    int64_t source_end = 0, target_end = 0;  // the offsets behind the last one
    std::string hash;
  };
  bool is_dry_run = false;
  // The very same data was moved here before, at that time; nothing was done and nothing compared
  // with what the services have made of it since.
  bool was_moved_before = false;
  std::string moved_at;
  std::vector<Table> tables;
  std::vector<Partition> partitions;
};

// Blocks. First the topic gets the records, then one transaction fills all schemas, reads back what
// they hold and compares; until it commits, no program serves any of them (store::kUnfinished). So
// an attempt that ends early, however it ends, leaves a beginning of the log in the topic, empty
// tables and the marks, and the next one goes on from there. Source files are not changed but for
// a mark (folder_mark.h): set right before that commit and kept behind it, so that there is no
// instant in which both sides would be served.
//
//   FAILED_PRECONDITION  a file in use, a folder that was moved to another place, steps or tables
//   that differ, a target that holds something
//                        else: each with the way out
//   DATA_LOSS            what was read back is not what was written, or a file is damaged
//   UNAVAILABLE          a server does not answer: run it again
// and as OpenSqlite, PostgresSession and OpenKafkaLogWriter.
absl::StatusOr<TransferReport> Transfer(const TransferOptions& options);

}  // namespace tandem::transfer

#endif  // TANDEM_COMMON_TRANSFER_TRANSFER_H_
