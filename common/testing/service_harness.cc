#include "common/testing/service_harness.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/id/id.h"
#include "common/id/seeded_entropy.h"
#include "common/lane/migrations.h"
#include "common/store/sqlite.h"

namespace tandem::testing {
namespace {

// A harness that cannot do what the test says would only confuse: it ends the program, loudly.
void MustBeOk(const absl::Status& status, const char* what) {
  if (status.ok()) return;
  std::fprintf(stderr, "harness: %s: %s\n", what, status.ToString().c_str());
  std::abort();
}

}  // namespace

int ScriptedPeer::Asked(const std::string& method) const {
  const auto it = asked_.find(method);
  return it == asked_.end() ? 0 : it->second;
}

void ScriptedPeer::Ask(const corridor::CallContext&, std::string_view method,
                       corridor::MessagePtr request, corridor::ReplyCallback done) {
  ++asked_[std::string(method)];
  auto answer = [this, name = std::string(method), request = std::move(request),
                 done = std::move(done)]() mutable {
    const auto it = scripts_.find(name);
    done(it == scripts_.end() ? absl::UnavailableError("the other side is down")
                              : it->second(*request));
  };
  if (held_.contains(method)) {
    waiting_.push_back(std::move(answer));
  } else {
    answer();
  }
}

void ScriptedPeer::Release() {
  for (absl::AnyInvocable<void()>& answer : std::exchange(waiting_, {})) answer();
}

ServiceHarness::ServiceHarness(std::function<std::unique_ptr<corridor::ServiceDefinition>()> make,
                               const HarnessOptions& options)
    : make_(std::move(make)),
      options_(options),
      scheduler_({.start = options_.start}),
      bus_executor_(scheduler_.NewExecutor("bus")),
      lane_executor_(scheduler_.NewExecutor("lane")),
      background_(scheduler_.NewExecutor("background")),
      reader_executor_(scheduler_.NewExecutor("reader")),
      entropy_(std::make_unique<id::SeededEntropy>(1)),
      bus_(std::make_unique<bus::MemoryBus>(bus_executor_.get())) {
  const std::unique_ptr<corridor::ServiceDefinition> definition = make_();
  store::SqliteOptions store_options;
  store_options.path = options_.path;
  store_options.durability = store::Durability::kOff;
  store_options.schemas = {lane::SqliteSchema(), definition->schema()};
  absl::StatusOr<std::unique_ptr<store::Store>> store = store::OpenSqlite(std::move(store_options));
  MustBeOk(store.status(), "opening the store");
  store_ = *std::move(store);
  if (options_.in_front_of_store) store_ = options_.in_front_of_store(std::move(store_));
  Start();
}

ServiceHarness::~ServiceHarness() = default;

void ServiceHarness::Start() {
  runtime::RuntimeOptions runtime_options = options_.runtime;
  if (!options_.takes_samples) runtime_options.sample_every = absl::ZeroDuration();
  runtime::ServiceRuntime::Ports ports;
  ports.clock = scheduler_.clock();
  ports.lanes = {lane_executor_.get()};
  ports.background = background_.get();
  ports.readers = {reader_executor_.get()};
  ports.stores = {store_.get()};
  ports.bus = options_.in_front_of_bus ? options_.in_front_of_bus(bus_.get()) : bus_.get();
  ports.peer = &peer_;
  ports.entropy = entropy_.get();
  ports.metrics = &metrics_;
  ports.logger = &logger_;
  auto runtime = runtime::ServiceRuntime::Create(make_(), ports, runtime_options);
  MustBeOk(runtime.status(), "making the service");
  runtime_ = *std::move(runtime);
  MustBeOk(runtime_->Start(), "starting the service");
  Settle();
}

void ServiceHarness::Restart() {
  runtime_.reset();
  Start();
}

void ServiceHarness::Advance(absl::Duration duration) {
  MustBeOk(scheduler_.RunUntil(Now() + duration), "moving time");
}

void ServiceHarness::BeginRaw(const std::string& method, corridor::MessagePtr request,
                              const std::string& caller, corridor::ReplyCallback done) {
  const google::protobuf::MethodDescriptor* descriptor = corridor::FindMethod(method);
  if (descriptor == nullptr) {
    done(absl::UnimplementedError(absl::StrCat("no method ", method)));
    return;
  }
  corridor::CallContext context;
  context.caller = caller;
  context.deadline = Now() + absl::Seconds(30);
  runtime_->Call(context, descriptor, std::move(request), std::move(done));
}

absl::StatusOr<corridor::MessagePtr> ServiceHarness::CallRaw(const std::string& method,
                                                             corridor::MessagePtr request,
                                                             const std::string& caller) {
  std::optional<absl::StatusOr<corridor::MessagePtr>> answer;
  BeginRaw(method, std::move(request), caller,
           [&](absl::StatusOr<corridor::MessagePtr> reply) { answer = std::move(reply); });
  while (!answer.has_value()) {
    if (!scheduler_.Step()) MustBeOk(absl::InternalError("nothing left to do"), "awaiting a reply");
  }
  Settle();
  return *std::move(answer);
}

void ServiceHarness::Append(bus::Event event) {
  bool appended = false;
  bus_->Append({std::move(event)}, [&](absl::Status status) {
    MustBeOk(status, "delivering an event");
    appended = true;
  });
  Settle();
  if (!appended) MustBeOk(absl::InternalError("no answer"), "delivering an event");
}

std::string ServiceHarness::DeliverRaw(const std::string& source, const std::string& subject,
                                       const std::string& key,
                                       const google::protobuf::Message& body, absl::Time time) {
  bus::Event event;
  event.id = id::Derive("ev", {"harness", absl::StrCat(delivered_++)});
  event.source = source;
  event.type = body.GetDescriptor()->full_name();
  event.subject = subject;
  event.key = key;
  event.time = time;
  event.sequence = ++sequences_[absl::StrCat(source, "|", subject, "|", key)];
  event.cause = "harness";
  body.SerializeToString(&event.body);
  last_delivered_ = event;
  Append(std::move(event));
  return last_delivered_.id;
}

void ServiceHarness::DeliverAgain() { Append(last_delivered_); }

void ServiceHarness::DeliverBroken(const std::string& source, const std::string& subject,
                                   const std::string& key, const std::string& type) {
  bus::Event event;
  event.id = id::Derive("ev", {"harness", absl::StrCat(delivered_++)});
  event.source = source;
  event.type = type;
  event.subject = subject;
  event.key = key;
  event.time = Now();
  event.sequence = ++sequences_[absl::StrCat(source, "|", subject, "|", key)];
  event.cause = "harness";
  event.body = "\xff\xff\xff";
  last_delivered_ = event;
  Append(std::move(event));
}

std::vector<bus::Event> ServiceHarness::PublishedEvents() const {
  std::vector<bus::Event> events;
  for (int partition = 0; partition < bus_->partitions(); ++partition) {
    const bus::Bounds bounds = bus_->BoundsOf(partition);
    int64_t offset = bounds.first;
    while (offset < bounds.end) {
      auto records = bus_->ReadRange(partition, offset, 1000);
      MustBeOk(records.status(), "reading the bus");
      if (records->empty()) break;
      for (const bus::RecordPtr& record : *records) {
        if (record->event.source == runtime_->definition().name()) events.push_back(record->event);
        offset = record->offset + 1;
      }
    }
  }
  return events;
}

std::string ServiceHarness::Metrics() {
  runtime_->Sample([](const absl::StatusOr<runtime::ServiceSample>& sample) {
    MustBeOk(sample.status(), "taking a sample");
  });
  Settle();
  return metrics_.Text();
}

int64_t ServiceHarness::Number(const std::string& sql) {
  int64_t number = 0;
  MustBeOk(
      store_->reader().Query({sql, {}}, [&](const store::RowView& row) { number = row.Int(0); }),
      "reading a number");
  return number;
}

}  // namespace tandem::testing
