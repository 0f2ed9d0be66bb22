#include "services/tandem/house.h"

#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/inbox/positions.h"
#include "common/lane/migrations.h"
#include "common/outbox/counter.h"

namespace tandem::programs {

absl::StatusOr<std::unique_ptr<House>> House::Open(Options options,
                                                   const std::vector<Service>& services,
                                                   Environment environment) {
  auto house = std::unique_ptr<House>(new House());
  house->peer_executor_ = environment.new_executor("peer");
  house->peer_ = std::make_unique<corridor::LocalPeer>(house->peer_executor_.get());
  for (int i = 0; i < options.readers; ++i) {
    house->readers_.push_back(environment.new_executor(absl::StrCat("reader", i)));
  }
  for (const Service& service : services) {
    Room room;
    std::unique_ptr<corridor::ServiceDefinition> definition = service.make();
    store::SqliteOptions store_options;
    store_options.path = options.data == ":memory:"
                             ? options.data
                             : absl::StrCat(options.data, "/", service.name, ".db");
    store_options.durability = options.durability;
    store_options.barrier = options.barrier;
    store_options.schemas = {lane::SqliteSchema(), definition->schema()};
    absl::StatusOr<std::unique_ptr<store::Store>> store =
        store::OpenSqlite(std::move(store_options));
    if (!store.ok()) return store.status();
    room.store = *std::move(store);
    room.lane = environment.new_executor(absl::StrCat(service.name, ".lane"));
    room.background = environment.new_executor(absl::StrCat(service.name, ".background"));
    runtime::ServiceRuntime::Ports ports;
    ports.clock = environment.clock;
    ports.lanes = {room.lane.get()};
    ports.background = room.background.get();
    for (const auto& reader : house->readers_) ports.readers.push_back(reader.get());
    ports.stores = {room.store.get()};
    ports.bus = environment.bus;
    ports.peer = house->peer_.get();
    ports.entropy = environment.entropy;
    if (environment.logger_of) ports.logger = environment.logger_of(service.name);
    ports.metrics = environment.metrics;
    if (environment.measure && house->rooms_.empty()) {
      ports.measure = [measure = environment.measure](store::Reader&) { measure(); };
    }
    absl::StatusOr<std::unique_ptr<runtime::ServiceRuntime>> runtime =
        runtime::ServiceRuntime::Create(std::move(definition), ports, options.runtime);
    if (!runtime.ok()) return runtime.status();
    room.runtime = *std::move(runtime);
    house->peer_->Add(room.runtime.get());
    house->rooms_.push_back(std::move(room));
  }
  return house;
}

House::~House() {
  // First nothing runs any more, then the services end, then what they stood on.
  for (Room& room : rooms_) room.runtime->Halt();
  for (Room& room : rooms_) {
    room.lane.reset();
    room.background.reset();
  }
  readers_.clear();
  peer_executor_.reset();
  for (Room& room : rooms_) room.runtime.reset();
}

absl::Status House::CheckPositions(const bus::LogReader& log, int partitions) const {
  for (const Room& room : rooms_) {
    absl::Status checked = inbox::CheckPositions(room.runtime->definition().name(),
                                                 room.store->reader(), log, partitions);
    if (!checked.ok()) return checked;
    const auto last = outbox::LastSequence(room.store->reader());
    if (!last.ok()) return last.status();
    for (const Room& reader : rooms_) {
      checked = inbox::CheckApplied(reader.runtime->definition().name(), reader.store->reader(),
                                    room.runtime->definition().name(), last->value_or(0));
      if (!checked.ok()) return checked;
    }
  }
  return absl::OkStatus();
}

absl::Status House::Start() {
  for (Room& room : rooms_) {
    if (absl::Status status = room.runtime->Start(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void House::Drain(absl::AnyInvocable<void()> done) {
  auto open = std::make_shared<std::atomic<size_t>>(rooms_.size());
  auto all_done = std::make_shared<absl::AnyInvocable<void()>>(std::move(done));
  for (Room& room : rooms_) {
    room.runtime->Drain([open, all_done] {
      if (open->fetch_sub(1) == 1) (*all_done)();
    });
  }
}

std::vector<corridor::Endpoint*> House::endpoints() const {
  std::vector<corridor::Endpoint*> endpoints;
  for (const Room& room : rooms_) endpoints.push_back(room.runtime.get());
  return endpoints;
}

std::vector<runtime::ServiceRuntime*> House::runtimes() const {
  std::vector<runtime::ServiceRuntime*> runtimes;
  for (const Room& room : rooms_) runtimes.push_back(room.runtime.get());
  return runtimes;
}

}  // namespace tandem::programs
