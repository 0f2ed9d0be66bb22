// The bus port: one log of some partitions, each a total order with rising offsets (holes allowed).
#ifndef TANDEM_COMMON_BUS_BUS_H_
#define TANDEM_COMMON_BUS_BUS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/event.h"

namespace tandem::bus {

// Told about a consumer's partitions and records. The bus calls it on whatever thread it has; an
// implementation posts to its own executor and returns at once.
class Listener {
 public:
  virtual ~Listener() = default;
  // This consumer may read these partitions from now on; it says where by Consumer::Seek.
  virtual void Assigned(std::vector<int> partitions) = 0;
  // It must not apply records of these any more.
  virtual void Revoked(std::vector<int> partitions) = 0;
  // The next records of one partition, in offset order, for the latest Seek numbered `generation`;
  // at least one. They are shared with other groups.
  virtual void Records(int partition, int64_t generation, std::vector<RecordPtr> records) = 0;
  // The partition cannot be read: OUT_OF_RANGE (the stored offset is not in the log), DATA_LOSS, …
  // Nothing more of it is delivered before the next Seek.
  virtual void Stopped(int partition, absl::Status why) = 0;
};

// One member of a consumer group. Callable from any thread, also inside a call of its listener. Its
// end stops all calls to the listener and waits for the one under way, so it may not end inside
// one. Calls for a partition that it does not have are ignored: it was revoked meanwhile.
class Consumer {
 public:
  virtual ~Consumer() = default;
  // Delivery of a partition (re)starts at `offset`; records of older generations are not delivered
  // after this returns (but may be under way). Credit that was not used is forgotten: nothing is
  // delivered before the first More that follows.
  virtual void Seek(int partition, int64_t offset, int64_t generation) = 0;
  // Asks for one more delivery of at most `max_records`: it comes when there is at least one.
  virtual void More(int partition, int max_records) = 0;
  // Tells the bus how far the service's own database is, so that lag can be seen; never read back.
  virtual void ReportPosition(int partition, int64_t next_offset) = 0;
};

// Callable from any thread.
class Bus {
 public:
  virtual ~Bus() = default;
  virtual int partitions() const = 0;
  // Appends in the order given, each event to PartitionOf(key); `done` is called once, when all of
  // them are durable, or with the reason why at least one is not (the caller then appends all of
  // them again: consumers drop duplicates by sequence).
  virtual void Append(std::vector<Event> events, absl::AnyInvocable<void(absl::Status)> done) = 0;
  // The offset after the last durable record, asked of the log itself at some instant after the
  // call.
  virtual void EndOffset(int partition, absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done) = 0;
  // Joins the group; `listener` outlives the result.
  virtual absl::StatusOr<std::unique_ptr<Consumer>> Join(std::string group, Listener* listener) = 0;
};

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_BUS_BUS_H_
