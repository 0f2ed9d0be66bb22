#include "common/program/program.h"

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/config/pairs.h"
#include "common/config/text_file.h"
#include "common/config/yaml.h"
#include "common/corridor/local_peer.h"
#include "common/executor/threaded.h"
#include "common/host/ask.h"
#include "common/host/host.h"
#include "common/host/version.h"
#include "common/id/id.h"
#include "common/id/system_entropy.h"
#include "common/kafka/kafka_bus.h"
#include "common/kafka/kafka_flags.h"
#include "common/kafka/kafka_log_reader.h"
#include "common/lane/migrations.h"
#include "common/metrics/disk.h"
#include "common/policy/declared.h"
#include "common/policy/policy_file.h"
#include "common/policy/standing.h"
#include "common/postgres/postgres.h"
#include "common/program/addresses.h"
#include "common/program/engine_metrics.h"
#include "common/rpc/call_metrics.h"
#include "common/rpc/channel.h"
#include "common/rpc/peer_health.h"
#include "common/runtime/admin.h"
#include "common/runtime/service_runtime.h"
#include "common/store/sqlite.h"
#include "common/time/system_clock.h"
#include "common/time/zones.h"
#include "google/protobuf/stubs/logging.h"

namespace tandem::program {
namespace {

struct StoreOptions {
  std::string store;
  std::string schema;
};

struct ServeOptions {
  host::Options host;
  StoreOptions store;
  int64_t lanes = 4;
  int64_t readers = 2;
  std::string bus;
  std::string topic = "tandem.lifecycle.v1";
  bool create_topic = false;
  int64_t topic_partitions = 12;
  int64_t topic_replication = 3;
  bool allow_unsafe_topic = false;
  absl::Duration session_timeout = absl::Seconds(10);
  std::vector<std::string> kafka_properties, kafka_secrets;
  std::vector<std::string> peers;
  std::string peer_ca, peer_certificate, peer_key;
  std::string policies;
  absl::Duration settle = absl::Seconds(1);
};

// No broker for this long is more than an election.
constexpr absl::Duration kBrokerPatience = absl::Seconds(10);
// A peer that does not answer for this long does not only restart.
constexpr absl::Duration kPeerPatience = absl::Seconds(20);
// One attempt to find the topic at the start; /readyz says why it failed after each.
constexpr absl::Duration kFindTopicWithin = absl::Seconds(5);

class Process {
 public:
  Process(const Program& program, ServeOptions options)
      : program_(program), options_(std::move(options)) {}

  int Serve();

 private:
  // In this order. Those of servers are attempted until they succeed, and begin anew each time.
  absl::Status ReadOptions();
  absl::Status OpenPeers();
  absl::Status OpenStores();
  absl::Status OpenBus();
  absl::Status OpenRuntime();
  absl::Status StartPolicy();
  int Run();
  int Fail(const absl::Status& status) const;
  absl::Status AskKafka() const;
  absl::Status AskAccess() const;
  metrics::Scope Metrics() { return host_->registry().In({{"service", program_.name}}); }
  std::unique_ptr<executor::Executor> NewExecutor(const std::string& name) {
    return std::make_unique<executor::ThreadedExecutor>(name, &clock_);
  }

  const Program& program_;
  const ServeOptions options_;
  time::SystemClock clock_;
  id::SystemEntropy entropy_;
  std::unique_ptr<host::Host> host_;
  StoreAddress store_address_;
  bus::KafkaOptions kafka_;
  // What counts outlives what is counted.
  std::unique_ptr<rpc::PeerMetrics> peer_metrics_;
  std::unique_ptr<rpc::PeerHealth> peer_health_;
  std::unique_ptr<BusMetrics> bus_metrics_;
  std::unique_ptr<StoreMetrics> store_metrics_;  // null on SQLite
  std::unique_ptr<policy::Standing> standing_;
  std::unique_ptr<metrics::DiskGauges> disk_;  // null on PostgreSQL
  std::vector<std::unique_ptr<store::Store>> stores_;
  std::unique_ptr<bus::KafkaBus> bus_;
  std::unique_ptr<bus::KafkaLogReader> log_reader_;
  std::unique_ptr<executor::Executor> background_, peer_executor_;
  std::vector<std::unique_ptr<executor::Executor>> lanes_, readers_;
  std::unique_ptr<rpc::ChannelPeer> peer_;
  std::unique_ptr<runtime::ServiceRuntime> runtime_;
};

int Process::Fail(const absl::Status& status) const {
  return host::CannotStart(program_.name, status, clock_);
}

store::PostgresOptions DatabaseOf(const Program& program, const StoreOptions& options,
                                  const std::string& uri) {
  store::PostgresOptions postgres;
  postgres.uri = uri;
  postgres.schema = options.schema.empty() ? program.name : options.schema;
  postgres.schemas = {lane::PostgresSchema(), program.postgres};
  postgres.application_name = program.binary;
  postgres.migrate_command = absl::StrCat(program.binary, " migrate --store postgresql://…");
  return postgres;
}

// What is wrong with the command line is found before any server is asked or waited for.
absl::Status Process::ReadOptions() {
  auto address = ParseStore(options_.store.store);
  if (!address.ok()) return address.status();
  store_address_ = *std::move(address);
  if (const auto brokers = ParseBus(options_.bus); !brokers.ok()) return brokers.status();
  auto client =
      bus::ParseKafkaFlags(options_.bus, options_.kafka_properties, options_.kafka_secrets);
  if (!client.ok()) return client.status();
  kafka_.client = *std::move(client);
  kafka_.client.log = [this](bus::KafkaLogLevel level, const std::string& line) {
    if (level == bus::KafkaLogLevel::kInfo) return;
    host_->logger().LogInternal("kafka", absl::UnavailableError(line), {});
  };
  kafka_.topic.name = options_.topic;
  kafka_.topic.create = options_.create_topic;
  kafka_.topic.partitions = static_cast<int>(options_.topic_partitions);
  kafka_.topic.replication_factor = static_cast<int>(options_.topic_replication);
  kafka_.topic.min_insync_replicas = options_.topic_replication > 1 ? 2 : 1;
  kafka_.topic.allow_unsafe = options_.allow_unsafe_topic;
  kafka_.session_timeout = options_.session_timeout;
  kafka_.open_within = kFindTopicWithin;
  kafka_.clock = &clock_;
  kafka_.fatal = [this](absl::Status why) { host_->Stop(why); };
  return bus::CheckKafkaOptions(kafka_);
}

absl::Status Process::OpenStores() {
  stores_.clear();
  if (store_address_.is_postgres) {
    store::PostgresOptions options = DatabaseOf(program_, options_.store, store_address_.place);
    store_metrics_ = std::make_unique<StoreMetrics>(Metrics());
    options.reconnected = [this](const absl::Status& status) {
      store_metrics_->Reconnected(status);
    };
    for (int64_t i = 0; i < options_.lanes; ++i) {
      auto store = store::OpenPostgres(options);
      if (!store.ok()) return store.status();
      stores_.push_back(*std::move(store));
    }
    return absl::OkStatus();
  }
  std::error_code error;
  std::filesystem::create_directories(store_address_.place, error);
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot make the data folder ", store_address_.place, ": ", error.message()));
  }
  store::SqliteOptions file;
  file.path = absl::StrCat(store_address_.place, "/", program_.name, ".db");
  file.schemas = {lane::SqliteSchema(), program_.sqlite};
  auto store = store::OpenSqlite(std::move(file));
  if (!store.ok()) return store.status();
  stores_.push_back(*std::move(store));
  disk_ = std::make_unique<metrics::DiskGauges>(Metrics(), store_address_.place);
  return absl::OkStatus();
}

absl::Status Process::OpenBus() {
  bus_.reset();
  auto bus = bus::OpenKafka(kafka_);
  if (!bus.ok()) return bus.status();
  bus_ = *std::move(bus);
  bus_metrics_ = std::make_unique<BusMetrics>(Metrics());

  bus::KafkaLogReaderOptions reader;
  reader.client = kafka_.client;
  reader.topic = options_.topic;
  reader.clock = &clock_;
  auto opened = bus::OpenKafkaLogReader(reader);
  if (!opened.ok()) return opened.status();
  log_reader_ = *std::move(opened);
  return absl::OkStatus();
}

absl::Status Process::OpenPeers() {
  const auto pairs = config::ParsePairs("peer", options_.peers);
  if (!pairs.ok()) return pairs.status();
  std::vector<KnownPeer> known;
  std::map<std::string, std::string, std::less<>> names;
  for (const Program::Peer& peer : program_.peers) {
    known.push_back({peer.name, peer.package});
    names.emplace(peer.package, peer.name);
  }
  auto targets = TargetsOf(*pairs, known);
  if (!targets.ok()) return targets.status();
  rpc::ChannelOptions channels;
  channels.caller = program_.name;
  channels.targets = *std::move(targets);
  channels.tls = {options_.peer_certificate, options_.peer_key, options_.peer_ca};
  peer_health_ = std::make_unique<rpc::PeerHealth>(names, kPeerPatience);
  peer_metrics_ = std::make_unique<rpc::PeerMetrics>(Metrics(), std::move(names));
  channels.answered = [this](std::string_view target, absl::StatusCode code, absl::Duration took) {
    peer_metrics_->Answered(target, code, took);
  };
  peer_executor_ = NewExecutor("peer");
  auto peer = rpc::ChannelPeer::Create(std::move(channels), peer_executor_.get(), &clock_);
  if (!peer.ok()) return peer.status();
  peer_ = *std::move(peer);
  return absl::OkStatus();
}

absl::Status Process::OpenRuntime() {
  auto definition = program_.make();
  if (!definition.ok()) return definition.status();
  if (standing_ == nullptr) standing_ = std::make_unique<policy::Standing>(Metrics());
  lanes_.clear();
  readers_.clear();
  background_ = NewExecutor("background");
  runtime::ServiceRuntime::Ports ports;
  for (size_t i = 0; i < stores_.size(); ++i) {
    lanes_.push_back(NewExecutor(absl::StrCat("lane", i)));
    ports.lanes.push_back(lanes_.back().get());
    ports.stores.push_back(stores_[i].get());
  }
  for (int64_t i = 0; i < options_.readers; ++i) {
    readers_.push_back(NewExecutor(absl::StrCat("reader", i)));
    ports.readers.push_back(readers_.back().get());
  }
  ports.clock = &clock_;
  ports.background = background_.get();
  ports.bus = bus_.get();
  ports.peer = peer_.get();
  ports.entropy = &entropy_;
  ports.logger = &host_->logger();
  ports.metrics = &host_->registry();
  ports.measure = [this](store::Reader& reader) {
    const absl::Time now = clock_.Now();
    bus_metrics_->Tell(bus_->Health(), bus_->Gauges(), now);
    if (store_metrics_ != nullptr) store_metrics_->Measure(reader, now);
    standing_->Look(reader);
    if (disk_ != nullptr) disk_->Measure();
    peer_->CheckHealth([this](std::string_view target, const absl::Status& status) {
      peer_health_->Answered(target, status, clock_.Now());
    });
  };
  runtime::RuntimeOptions runtime;
  // A start is an owner of its own: what an earlier one held is not this one's.
  runtime.owner = id::Derive("own", {program_.binary, entropy_.Bytes(16)});
  runtime.gate.settle = options_.settle;
  runtime.consumer.reclaim_after = options_.session_timeout;
  auto made = runtime::ServiceRuntime::Create(*std::move(definition), ports, runtime);
  if (!made.ok()) return made.status();
  runtime_ = *std::move(made);
  return absl::OkStatus();
}

// What `folder` declares for the program's service: its file, or why there is none to read.
absl::StatusOr<policy::PolicyFile> DeclaredPolicy(const Program& program,
                                                  const std::string& folder) {
  policy::PolicyFile file = program.built_in_policy;
  file.name = absl::StrCat(folder, "/", program.policy_file);
  absl::StatusOr<std::string> text = config::ReadTextFile(file.name, config::kMaxYamlBytes);
  if (!text.ok()) return text.status();
  file.text = *std::move(text);
  return file;
}

absl::Status Process::StartPolicy() {
  policy::PolicyStart start;
  start.built_in = program_.built_in_policy;
  if (!options_.policies.empty()) start.declared = DeclaredPolicy(program_, options_.policies);
  // On a shared database another process may be of the last rollout or of the next one: servers
  // that applied their own files would set the policy back and forth.
  start.compares_only = store_address_.is_postgres;
  corridor::LocalPeer self(peer_executor_.get());
  self.Add(runtime_.get());
  const auto started =
      policy::StartPolicy(start, host::AskThrough(&self, &clock_, policy::kFileCaller));
  if (!started.ok()) return started.status();
  standing_->Began(*started, host_->logger());
  return absl::OkStatus();
}

int Process::Serve() {
  if (absl::Status zones = time::LoadSystemZones(); !zones.ok()) return Fail(zones);
  auto host = host::Host::Create(program_.name, program_.version, options_.host, &clock_);
  if (!host.ok()) return Fail(host.status());
  host_ = *std::move(host);
  const absl::Status started =
      host_->Start({{"options", [this] { return ReadOptions(); }},
                    {"peers", [this] { return OpenPeers(); }},
                    {"the database", [this] { return OpenStores(); }},
                    {"Kafka", [this] { return OpenBus(); }},
                    {"the service's state", [this] { return OpenRuntime(); }},
                    {"its policy", [this] { return StartPolicy(); }}});
  const int code = started.ok() ? Run() : Fail(started);
  // First nothing runs any more, then the service ends, then what it stood on.
  if (runtime_ != nullptr) runtime_->Halt();
  lanes_.clear();
  background_.reset();
  readers_.clear();
  peer_.reset();
  peer_executor_.reset();
  runtime_.reset();
  return code;
}

absl::Status Process::AskKafka() const {
  const bus::KafkaHealth health = bus_->Health();
  if (!health.unreachable_since.has_value() ||
      clock_.Now() - *health.unreachable_since < kBrokerPatience) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(
      absl::StrCat("no broker has answered since ",
                   absl::FormatTime(*health.unreachable_since, absl::UTCTimeZone()), ": ",
                   health.trouble.message()));
}

absl::Status Process::AskAccess() const {
  std::vector<std::string> reasons;
  for (const bus::KafkaRefusal& refusal : bus_->Health().refusals) {
    reasons.push_back(absl::StrCat("refused since ",
                                   absl::FormatTime(refusal.since, absl::UTCTimeZone()), ": ",
                                   std::string(refusal.why.message())));
  }
  return host::Reasons(reasons);
}

int Process::Run() {
  host_->AddReadyCheck({program_.name, [this] { return host::Reasons(runtime_->NotReady()); }});
  host_->AddHealthCheck(
      {program_.name + "_work", [this] { return host::Reasons(runtime_->Unhealthy()); }});
  // Of the process and what it stands on. /healthz has them beside the service's own, and so has
  // its status.
  const std::vector<host::Check> checks = {
      {"policy", [this] { return standing_->status(); }},
      {"kafka", [this] { return AskKafka(); }},
      {"peers", [this] { return host::Reasons(peer_health_->Silent(clock_.Now())); }},
      {"kafka_access", [this] { return AskAccess(); }}};
  for (const host::Check& check : checks) host_->AddHealthCheck(check);
  host_->OnDrain(program_.name, [this](absl::Time deadline) {
    auto drained = std::make_shared<absl::Notification>();
    runtime_->Drain([drained] { drained->Notify(); });
    if (!drained->WaitForNotificationWithDeadline(deadline)) {
      return absl::DeadlineExceededError("the service still has work under way");
    }
    return absl::OkStatus();
  });
  auto log_executor = NewExecutor("log");
  runtime::Admin admin(program_.version,
                       {.clock = &clock_,
                        .executor = log_executor.get(),
                        .bus = bus_.get(),
                        .log = log_reader_.get(),
                        .logger = &host_->logger(),
                        .unhealthy = [&checks] { return host::Failing(checks); }},
                       {runtime_.get()}, [this] { host_->Stop(absl::OkStatus()); });
  policy::DeclaredEndpoint declared(runtime_.get());
  absl::Status status = runtime_->Start();
  if (status.ok()) {
    corridor::Endpoint* service = runtime_.get();
    if (standing_->is_declared()) service = &declared;
    status = host_->Serve({service, &admin});
  }
  int code = 0;
  if (!status.ok()) {
    code = Fail(status);
  } else {
    // Its steps start and answer questions to peers; they wait for nobody.
    host_->WatchExecutor("the executor of peers", peer_executor_.get());
    code = host_->Run();
  }
  log_executor.reset();
  return code;
}

// Stands where there is no bus: nothing is appended or read, for nothing is started.
class NoBus : public bus::Bus {
 public:
  explicit NoBus(int partitions) : partitions_(partitions) {}
  int partitions() const override { return partitions_; }
  void Append(std::vector<bus::Event>, absl::AnyInvocable<void(absl::Status)> done) override {
    std::move(done)(absl::UnavailableError("there is no bus here"));
  }
  void EndOffset(int, absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done) override {
    std::move(done)(absl::UnavailableError("there is no bus here"));
  }
  absl::StatusOr<std::unique_ptr<bus::Consumer>> Join(std::string, bus::Listener*) override {
    return absl::UnavailableError("there is no bus here");
  }

 private:
  const int partitions_;
};

// Applies what the folder declares, decided and committed as any other command of the service.
// Nothing else runs: the event and the timers wait in the database for who serves.
absl::StatusOr<policy::StartedPolicy> ApplyDeclared(const Program& program,
                                                    const store::PostgresOptions& database,
                                                    const std::string& folder) {
  time::SystemClock clock;
  id::SystemEntropy entropy;
  auto store = store::OpenPostgres(database);
  if (!store.ok()) return store.status();
  auto definition = program.make();
  if (!definition.ok()) return definition.status();
  // None before the first server has met its bus; then no timer can be bound to a partition yet.
  int64_t partitions = 0;
  absl::Status read =
      (*store)->reader().Query({"SELECT partitions FROM bus_shape WHERE key = 'bus'", {}},
                               [&](const store::RowView& row) { partitions = row.Int(0); });
  if (!read.ok()) return read;
  NoBus bus(static_cast<int>(partitions));
  auto lane = std::make_unique<executor::ThreadedExecutor>("lane", &clock);
  auto background = std::make_unique<executor::ThreadedExecutor>("background", &clock);
  auto reader = std::make_unique<executor::ThreadedExecutor>("reader", &clock);
  auto peer = std::make_unique<executor::ThreadedExecutor>("peer", &clock);
  runtime::ServiceRuntime::Ports ports;
  ports.clock = &clock;
  ports.lanes = {lane.get()};
  ports.background = background.get();
  ports.readers = {reader.get()};
  ports.stores = {store->get()};
  ports.bus = &bus;
  ports.entropy = &entropy;
  auto runtime = runtime::ServiceRuntime::Create(*std::move(definition), ports, {});
  if (!runtime.ok()) return runtime.status();
  corridor::LocalPeer self(peer.get());
  self.Add(runtime->get());
  policy::PolicyStart start;
  start.built_in = program.built_in_policy;
  start.declared = DeclaredPolicy(program, folder);
  auto started = policy::StartPolicy(start, host::AskThrough(&self, &clock, policy::kFileCaller));
  (*runtime)->Halt();
  lane.reset();
  background.reset();
  reader.reset();
  peer.reset();
  return started;
}

struct MigrateOptions {
  StoreOptions store;
  std::string runtime_role;
  std::string policies;
};

int Migrate(const Program& program, const MigrateOptions& options) {
  const auto fail = [&](const absl::Status& status) {
    std::fprintf(stderr, "%s: %s\n", program.binary.c_str(), std::string(status.message()).c_str());
    return 1;
  };
  const absl::StatusOr<StoreAddress> address = ParseStore(options.store.store);
  if (!address.ok()) return fail(address.status());
  if (!address->is_postgres) {
    return fail(absl::InvalidArgumentError(
        "--store: only a PostgreSQL database is migrated beforehand; a file is at the start"));
  }
  store::PostgresOptions database = DatabaseOf(program, options.store, address->place);
  database.runtime_role = options.runtime_role;
  if (absl::Status status = store::MigratePostgres(database); !status.ok()) return fail(status);
  std::fprintf(stderr, "%s: schema %s is as this version wants it\n", program.binary.c_str(),
               database.schema.c_str());
  if (options.policies.empty()) return 0;
  const auto started = ApplyDeclared(program, database, options.policies);
  if (!started.ok()) return fail(started.status());
  if (!started->refused.ok()) return fail(started->refused);
  std::fprintf(stderr, "%s: policy %s version %lld %s\n", program.binary.c_str(),
               started->kind.c_str(), static_cast<long long>(started->version),
               started->is_new ? "is in force" : "was in force already");
  for (const type::v1::PolicyEffect& effect : started->effects) {
    std::fprintf(stderr, "%s: %s\n", program.binary.c_str(), effect.text().c_str());
  }
  return 0;
}

void AddStore(config::OptionSet& set, StoreOptions* options) {
  set.Add("store", &options->store,
          "sqlite:FOLDER or postgresql://USER@HOST:PORT/DATABASE; passwords by PGPASSFILE or "
          "?passfile=.");
  set.Require("store");
  set.Add("store-schema", &options->schema,
          "Schema of the tables in PostgreSQL (default: the service's name).");
}

}  // namespace

int Main(int argc, char** argv, const Program& program) {
  // Deadlock detection of absl::Mutex costs 8 to 19 % of the echo rate on two cores.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // Whatever the library has to say comes back as a status too, and a line of its own is no JSON.
  google::protobuf::SetLogHandler(nullptr);
  config::OptionSet options(program.binary, program.description,
                            host::VersionText(program.version));
  options.IgnoreEnvironment("TANDEM_CTL_");

  ServeOptions serve_options;
  config::OptionSet& serve =
      options.AddCommand("serve", "Runs the service; several may run at once.");
  serve_options.host.AddTo(serve);
  AddStore(serve, &serve_options.store);
  serve.Add("lanes", &serve_options.lanes, "Connections to PostgreSQL that commit.", {1, 64});
  serve.Add("readers", &serve_options.readers, "Connections that answer queries.", {1, 64});
  serve.Add("bus", &serve_options.bus, "kafka:HOST:PORT,HOST:PORT.");
  serve.Require("bus");
  serve.Add("topic", &serve_options.topic, "The topic of lifecycle events.");
  serve.Add("create-topic", &serve_options.create_topic, "Makes the topic if there is none.");
  serve.Add("topic-partitions", &serve_options.topic_partitions, "Of a topic that is made.",
            {1, 10'000});
  serve.Add("topic-replication", &serve_options.topic_replication, "Of a topic that is made.",
            {1, 100});
  serve.Add("allow-unsafe-topic", &serve_options.allow_unsafe_topic,
            "Takes a topic that may lose acknowledged events: on a laptop.");
  serve.Add("session-timeout", &serve_options.session_timeout,
            "After which a silent process loses its partitions.",
            {absl::Seconds(6), absl::Minutes(30)});
  serve.AddTexts("kafka-property", &serve_options.kafka_properties,
                 "NAME=VALUE of librdkafka: security.protocol, ssl.*, sasl.*.");
  serve.AddTexts("kafka-secret", &serve_options.kafka_secrets,
                 "NAME=FILE: sasl.password, ssl.key.password.");
  serve.AddTexts("peer", &serve_options.peers, "NAME=HOST:PORT of a service that this one asks.");
  serve.Add("peer-ca", &serve_options.peer_ca, "PEM file: who vouches for peers; turns TLS on.");
  serve.Add("peer-certificate", &serve_options.peer_certificate,
            "PEM file that is shown to peers.");
  serve.Add("peer-key", &serve_options.peer_key, "PEM file: its key.");
  serve.Add("policies", &serve_options.policies,
            absl::StrCat("Folder whose ", program.policy_file,
                         " declares the policy; then nobody else applies one. On PostgreSQL "
                         "migrate --policies applies it, and this compares."));
  serve.Add("settle", &serve_options.settle,
            "How long after its instant a deadline waits for facts still under way.");
  if (program.add_options) program.add_options(serve);

  std::string access_topic = serve_options.topic;
  config::OptionSet& access = options.AddCommand(
      "kafka-access", "Prints what the service's user must be allowed in Kafka's access lists.");
  access.Add("topic", &access_topic, "The topic of lifecycle events.");

  MigrateOptions migrate_options;
  config::OptionSet& migrate = options.AddCommand(
      "migrate", "Brings the database to this version's schema, as the role that owns it.");
  AddStore(migrate, &migrate_options.store);
  migrate.Add("runtime-role", &migrate_options.runtime_role,
              "The role that serves; it gets the rights it needs.");
  migrate.Add("policies", &migrate_options.policies,
              absl::StrCat("Folder whose ", program.policy_file,
                           " is then applied, if its content is not in force."));

  if (const auto exit_code = options.ParseMain(argc, argv)) return *exit_code;
  if (access.is_chosen()) {
    std::printf("topic %s Read,Write,Describe,DescribeConfigs\ngroup %s%s Read,Describe\n",
                access_topic.c_str(), bus::KafkaOptions().group_prefix.c_str(),
                program.name.c_str());
    return 0;
  }
  if (migrate.is_chosen()) return Migrate(program, migrate_options);
  return Process(program, serve_options).Serve();
}

}  // namespace tandem::program
