#include "tests/simulation/world.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/lane/migrations.h"
#include "common/store/sqlite.h"
#include "common/time/micros.h"
#include "services/survey/service.h"
#include "tandem/events/v1/intake.pb.h"

namespace tandem::simulation {
namespace {

std::string LineOf(std::string_view letter, std::string_view head) {
  const size_t at = letter.find(head);
  if (at == std::string_view::npos) return "";
  const size_t from = at + head.size();
  return std::string(letter.substr(from, letter.find('\n', from) - from));
}

}  // namespace

// ---- the mailbox

absl::Status Mailbox::Put(std::string_view name, std::string_view letter) {
  if (weather_->Strikes(Fault::kMailboxDown, 0.7))
    return absl::UnavailableError("the mailbox is full");
  std::string ticket_id = LineOf(letter, "Your request ");
  ticket_id = ticket_id.substr(0, ticket_id.find(' '));
  std::erase_if(letters_, [&](const Letter& one) { return one.name == name; });
  letters_.push_back({std::string(name), std::move(ticket_id), LineOf(letter, "X-Tandem-Token: ")});
  return absl::OkStatus();
}

absl::Status Mailbox::Remove(std::string_view name) {
  if (weather_->Strikes(Fault::kMailboxDown, 0.7))
    return absl::UnavailableError("the mailbox is full");
  std::erase_if(letters_, [&](const Letter& one) { return one.name == name; });
  return absl::OkStatus();
}

std::string Mailbox::TokenFor(const std::string& ticket_id) const {
  for (auto letter = letters_.rbegin(); letter != letters_.rend(); ++letter) {
    if (letter->ticket_id == ticket_id) return letter->token;
  }
  return "";
}

// ---- the world

// Nobody may find a person in the logs.
class World::LogSink : public log::LineSink {
 public:
  explicit LogSink(Ledger* ledger) : ledger_(ledger) {}
  void Write(std::string_view line) override {
    if (Contains(line, kCanary))
      ledger_->Fail(absl::StrCat("personal data in a log: ", std::string(line)));
  }
  void Flush() override {}

 private:
  Ledger* const ledger_;
};

World::World(const Plan& plan)
    : plan_(plan),
      scheduler_({.start = plan.start, .shuffle_seed = Dice(plan.seed, "order").Next()}),
      weather_(plan.seed, plan.mix),
      dice_(plan.seed, "world"),
      ledger_(scheduler_.clock()),
      entropy_(Dice(plan.seed, "entropy").Next()),
      metrics_("simulation"),
      log_sink_(std::make_shared<LogSink>(&ledger_)),
      mailbox_(std::make_shared<Mailbox>(&weather_)),
      bus_executor_(scheduler_.NewExecutor("bus")),
      network_executor_(scheduler_.NewExecutor("network")),
      outside_(scheduler_.NewExecutor("outside")),
      fate_(scheduler_.NewExecutor("fate")),
      watch_({scheduler_.clock(), &ledger_,
              [this](int partition) -> const std::vector<bus::RecordPtr>& {
                return broker_->Log(partition);
              },
              [this](Service service) -> store::Reader& { return reader(service); }, !plan.embedded,
              kLargestSkew}) {
  broker_ = std::make_unique<Broker>(
      Broker::Ports{scheduler_.clock(), bus_executor_.get(), &weather_,
                    [this](const bus::RecordPtr& record) { watch_.Appended(record); }},
      plan_.partitions, plan_.session, Dice(plan.seed, "bus"));
  Network::Ports ports;
  ports.clock = scheduler_.clock();
  ports.executor = network_executor_.get();
  ports.weather = &weather_;
  ports.seats = [this](Service service) {
    std::vector<Network::Seat> seats;
    for (const Place& place : places_) {
      if (std::find(place.services.begin(), place.services.end(), service) ==
          place.services.end()) {
        continue;
      }
      Network::Seat seat;
      for (const Instance& instance : place.instances) {
        if (instance.service == service) seat = {place.process, instance.runtime.get()};
      }
      seats.push_back(std::move(seat));
    }
    return seats;
  };
  ports.answered = [this](Service service, const corridor::CallContext& context,
                          const google::protobuf::MethodDescriptor* method,
                          const google::protobuf::Message& request,
                          const absl::StatusOr<corridor::MessagePtr>& reply) {
    watch_.Answered(service, context, method, request, reply);
  };
  network_ = std::make_unique<Network>(std::move(ports), Dice(plan.seed, "network"));
}

World::~World() {
  for (size_t place = 0; place < places_.size(); ++place) EndProcess(place);
}

absl::Status World::OpenDatabases() {
  absl::StatusOr<std::vector<programs::Service>> services = programs::FiveServices({});
  if (!services.ok()) return services.status();
  services_ = *std::move(services);
  survey::Options survey_options;
  survey_options.mailer = mailbox_;
  survey_options.token_keys = std::make_shared<const survey::TokenKeys>(
      std::vector<std::string>{std::string(survey::TokenKeys::kKeyBytes, 'k')});
  services_[kSurvey].make = [survey_options] { return survey::Make(survey_options); };
  for (size_t i = 0; i < kServices; ++i) {
    const auto service = static_cast<Service>(i);
    const std::unique_ptr<corridor::ServiceDefinition> definition = services_[i].make();
    watch_.Knows(service, *definition);
    store::SqliteOptions options;
    options.path = ":memory:";
    options.schemas = {lane::SqliteSchema(), definition->schema()};
    options.is_shared = !plan_.embedded;
    if (options.is_shared) options.now = [this] { return time::ToMicros(Now()); };
    absl::StatusOr<std::unique_ptr<store::Store>> store = store::OpenSqlite(std::move(options));
    if (!store.ok()) return store.status();
    databases_[i] = {service, *std::move(store), std::make_unique<Veil>(clock())};
  }
  return absl::OkStatus();
}

absl::Status World::Start() {
  if (absl::Status status = OpenDatabases(); !status.ok()) return status;
  if (plan_.embedded) {
    places_.emplace_back().services = {kIntake, kTriage, kSla, kSurvey, kAccount};
  } else {
    for (size_t i = 0; i < kServices; ++i) {
      for (int replica = 0; replica < plan_.replicas[i]; ++replica) {
        places_.emplace_back().services = {static_cast<Service>(i)};
      }
    }
  }
  for (size_t place = 0; place < places_.size(); ++place) {
    Dice dice(plan_.seed, absl::StrCat("skew ", place));
    if (plan_.mix[static_cast<size_t>(Fault::kSkew)] > 0) {
      places_[place].skew = dice.Between(-kLargestSkew, kLargestSkew);
      weather_.Count(Fault::kSkew);
    }
    if (absl::Status status = StartProcess(place); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<World::Instance> World::StartInstance(Service service,
                                                     const std::shared_ptr<Process>& process) {
  Instance instance;
  instance.service = service;
  const std::string name = absl::StrCat(process->name(), ".", services_[service].name);
  const auto new_executor = [&](const std::string& what) {
    return process->NewExecutor(scheduler_.NewExecutor(absl::StrCat(name, ".", what)));
  };
  instance.bus = broker_->PortOf(process.get());
  instance.peer = std::make_unique<FaultPeer>(network_.get(), process);
  log::LoggerOptions logger_options;
  logger_options.service = services_[service].name;
  logger_options.level = log::Level::kDebug;  // every request, so that each is looked at
  logger_options.now = [process = process.get()] { return process->Now(); };
  instance.logger = std::make_unique<log::Logger>(std::move(logger_options), log_sink_);
  runtime::ServiceRuntime::Ports ports;
  for (int lane = 0; lane < plan_.lanes; ++lane) {
    instance.lanes.push_back(new_executor(absl::StrCat("lane", lane)));
    FaultStore::Ports store_ports;
    store_ports.clock = clock();
    store_ports.database = &databases_[service];
    store_ports.process = process.get();
    store_ports.executor = static_cast<ProcessExecutor*>(instance.lanes.back().get());
    store_ports.weather = &weather_;
    store_ports.committed = [this, service,
                             process = process.get()](const std::vector<store::Write>& batch) {
      watch_.Committed(service, *process, batch);
    };
    instance.stores.push_back(std::make_unique<FaultStore>(std::move(store_ports)));
    ports.lanes.push_back(instance.lanes.back().get());
    ports.stores.push_back(instance.stores.back().get());
  }
  instance.background = new_executor("background");
  instance.reader = new_executor("reader");
  ports.clock = process.get();
  ports.background = instance.background.get();
  ports.readers = {instance.reader.get()};
  ports.bus = instance.bus.get();
  ports.peer = instance.peer.get();
  ports.entropy = &entropy_;
  ports.logger = instance.logger.get();
  ports.metrics = &metrics_;

  runtime::RuntimeOptions options;
  options.owner = process->name();
  options.sample_every = absl::ZeroDuration();
  options.prune_every = absl::Hours(6);
  options.consumer.reclaim_after = plan_.session;
  if (!plan_.embedded) {
    options.gate.look_anyway = plan_.pace;
    options.relay.lease = plan_.pace * 3;
    options.relay.last_poll = std::max<absl::Duration>(options.relay.last_poll, plan_.pace / 2);
  }
  absl::StatusOr<std::unique_ptr<runtime::ServiceRuntime>> runtime =
      runtime::ServiceRuntime::Create(services_[service].make(), ports, options);
  if (!runtime.ok()) return runtime.status();
  instance.runtime = *std::move(runtime);
  return instance;
}

absl::Status World::StartProcess(size_t number) {
  Place& place = places_[number];
  place.is_starting = place.is_draining = false;
  ++place.starts;
  place.process = std::make_shared<Process>(absl::StrCat("p", number, ".", place.starts), number,
                                            clock(), place.skew);
  absl::Status status;
  for (const Service service : place.services) {
    absl::StatusOr<Instance> instance = StartInstance(service, place.process);
    status.Update(instance.status());
    if (!status.ok()) break;
    place.instances.push_back(*std::move(instance));
  }
  for (const Instance& instance : place.instances) {
    if (status.ok()) status.Update(instance.runtime->Start());
  }
  if (!status.ok()) {
    // As a supervisor does: what cannot start now is started again.
    EndProcess(number);
    if (weather_.is_on()) StartLater(number, absl::Seconds(1));
    return status;
  }
  ledger_.Tell(absl::StrCat(place.process->name(), " starts"), place.process->name());
  return absl::OkStatus();
}

void World::StartLater(size_t number, absl::Duration delay) {
  if (std::exchange(places_[number].is_starting, true)) return;
  fate_->PostAt(Now() + delay, [this, number] {
    if (places_[number].process != nullptr || !places_[number].is_starting) return;
    // One that fails has another start on its way.
    StartProcess(number).IgnoreError();
  });
}

void World::EndProcess(size_t number) {
  Place& place = places_[number];
  if (place.process == nullptr) return;
  place.process->Doom();
  for (Instance& instance : place.instances) {
    if (instance.runtime != nullptr) instance.runtime->Halt();
  }
  for (Instance& instance : place.instances) {
    instance.runtime.reset();
    instance.lanes.clear();
    instance.background.reset();
    instance.reader.reset();
  }
  place.instances.clear();
  place.process.reset();
}

void World::EndDoomed() {
  for (size_t number = 0; number < places_.size(); ++number) {
    Place& place = places_[number];
    if (place.process == nullptr || !place.process->is_doomed()) continue;
    ledger_.Tell(absl::StrCat(place.process->name(), " is killed"), place.process->name());
    EndProcess(number);
    StartLater(number, weather_.is_on() ? weather_.DiceOf(Fault::kKill)
                                              .Between(absl::Milliseconds(10),
                                                       std::min<absl::Duration>(absl::Minutes(2),
                                                                                plan_.length / 20))
                                        : absl::ZeroDuration());
  }
}

void World::RunUntil(absl::Time instant) {
  // Far more than any seed takes: what goes on for ever while time moves.
  constexpr int64_t kMostSteps = 20'000'000;
  constexpr int64_t kMostStepsAtOnce = 200'000;
  int64_t at_once = 0;
  absl::Time last = Now();
  while (!ledger_.failure().has_value() && scheduler_.NextInstant() <= instant) {
    scheduler_.Step();
    EndDoomed();
    at_once = Now() == last ? at_once + 1 : 0;
    last = Now();
    if (at_once > kMostStepsAtOnce) ledger_.Fail("no end of steps while time stands still");
    if (scheduler_.steps() > kMostSteps) ledger_.Fail("no end of steps");
  }
  if (ledger_.failure().has_value()) return;
  if (absl::Status status = scheduler_.RunUntil(instant); !status.ok()) {
    ledger_.Fail(std::string(status.message()));
  }
}

int64_t World::Number(Service service, const std::string& sql, std::vector<store::Value> params) {
  int64_t number = 0;
  const absl::Status status = reader(service).Query(
      {sql, std::move(params)}, [&](const store::RowView& row) { number = row.Int(0); });
  if (!status.ok()) ledger_.Fail(absl::StrCat(sql, ": ", std::string(status.message())));
  return number;
}

runtime::ServiceRuntime* World::AnyRuntime(Service service, Dice& dice) {
  std::vector<runtime::ServiceRuntime*> runtimes;
  for (const Place& place : places_) {
    if (place.process == nullptr || place.process->is_doomed()) continue;
    for (const Instance& instance : place.instances) {
      if (instance.service == service) runtimes.push_back(instance.runtime.get());
    }
  }
  return runtimes.empty() ? nullptr : dice.Pick(runtimes);
}

// ---- faults that are episodes

absl::Duration World::DrawSkew(Fault fault) {
  return weather_.DiceOf(fault).Between(-kLargestSkew, kLargestSkew);
}

void World::Episodes(Fault fault, int most, std::function<void(Dice&)> strike) {
  const double rate = plan_.mix[static_cast<size_t>(fault)];
  if (rate == 0) return;
  Dice& dice = weather_.DiceOf(fault);
  const int count = 1 + static_cast<int>(dice.Below(1 + static_cast<uint64_t>(rate * most)));
  auto shared = std::make_shared<std::function<void(Dice&)>>(std::move(strike));
  for (int i = 0; i < count; ++i) {
    fate_->PostAt(Now() + dice.Between(absl::ZeroDuration(), plan_.length), [this, fault, shared] {
      if (!weather_.is_on()) return;
      weather_.Count(fault);
      (*shared)(weather_.DiceOf(fault));
    });
  }
}

void World::BeginFaults() {
  weather_.SetOn(true);
  Episodes(Fault::kBrokerDown, 5, [this](Dice& dice) {
    broker_->SetDown(true);
    fate_->PostAt(
        Now() + dice.Between(absl::Milliseconds(100),
                             std::min<absl::Duration>(absl::Minutes(2), plan_.length / 10)),
        [this] { broker_->SetDown(false); });
  });
  Episodes(Fault::kRewind, 8, [this](Dice& dice) { Rewind(dice); });
  Episodes(Fault::kRebalance, 15, [this](Dice&) { broker_->Shuffle(); });
  Episodes(Fault::kKill, 12, [this](Dice& dice) {
    const size_t place = dice.Below(places_.size());
    const auto steps = static_cast<int64_t>(dice.Below(300));
    if (places_[place].process != nullptr) places_[place].process->Doom(steps);
  });
  Episodes(Fault::kRestart, 4, [this](Dice& dice) { RestartGently(dice.Below(places_.size())); });
  Episodes(Fault::kPause, 12, [this](Dice& dice) {
    const size_t place = dice.Below(places_.size());
    const absl::Duration most = dice.Chance(0.5) ? plan_.session * 3 : absl::Seconds(3);
    PauseFor(place, dice.Between(absl::Milliseconds(50), most));
  });
  Episodes(Fault::kClockJump, 10, [this](Dice& dice) {
    Place& place = places_[dice.Below(places_.size())];
    place.skew = DrawSkew(Fault::kClockJump);
    if (place.process != nullptr) place.process->SetSkew(place.skew);
  });
  Episodes(Fault::kPoison, 3, [this](Dice& dice) { Poison(dice); });
}

void World::Restart(Service service) {
  for (Place& place : places_) {
    if (place.process == nullptr) continue;
    for (const Service served : place.services) {
      if (served == service) place.process->Doom();
    }
  }
}

void World::SetClocks(absl::Duration skew) {
  if (!weather_.is_on() || plan_.mix[static_cast<size_t>(Fault::kClockJump)] == 0) return;
  weather_.Count(Fault::kClockJump);
  for (Place& place : places_) {
    place.skew = skew;
    if (place.process != nullptr) place.process->SetSkew(skew);
  }
}

void World::EndFaults() {
  weather_.SetOn(false);
  broker_->SetDown(false);
  for (size_t number = 0; number < places_.size(); ++number) {
    Place& place = places_[number];
    if (place.process != nullptr && place.process->is_paused()) {
      place.process->Resume();
      broker_->WentOn(place.process.get());
    }
    if (place.process != nullptr) {
      place.process->Spare();
      // Nobody waits for the end of what is being drained.
      if (place.is_draining) place.process->Doom();
    } else {
      place.is_starting = false;
      StartLater(number, absl::ZeroDuration());
    }
  }
  for (Database& database : databases_) database.veil = std::make_unique<Veil>(clock());
}

// As an operator does who lets a service read part of the log again: nobody of it may be at work
// meanwhile.
void World::Rewind(Dice& dice) {
  const auto service = static_cast<Service>(dice.Below(kServices));
  const auto partition = static_cast<int64_t>(dice.Below(static_cast<uint64_t>(plan_.partitions)));
  const double share = dice.Unit();
  Restart(service);
  // Before any of them is started again.
  fate_->Post([this, service, partition, share] {
    const int64_t next =
        Number(service, "SELECT next_offset FROM positions WHERE partition = $1", {partition});
    const auto to = static_cast<int64_t>(static_cast<double>(next) * share);
    const store::CommitResult result = databases_[service].store->Commit(
        {{"positions",
          absl::StrCat(partition),
          {"UPDATE positions SET next_offset = $1, epoch = epoch + 1, owner = 'operator' WHERE "
           "partition = $2",
           {to, partition}},
          store::Expect::kAnyRows}});
    if (result.kind != store::CommitResult::Kind::kCommitted) return;
    ledger_.Tell(absl::StrCat(services_[service].name, " reads partition ", partition, " from ", to,
                              " again"));
    watch_.Rewound(service, static_cast<int>(partition), to);
  });
}

// An event of a ticket that nobody can parse, from somebody who publishes beside the services.
void World::Poison(Dice& dice) {
  std::vector<const CommittedEvent*> openings;
  for (const CommittedEvent& event : ledger_.committed) {
    if (event.type == events::v1::TicketOpened::descriptor()->full_name())
      openings.push_back(&event);
  }
  if (openings.empty()) return;
  const CommittedEvent& opening = *dice.Pick(openings);
  bus::Event event;
  event.id = absl::StrCat("poison-", ++poisons_);
  event.source = "elsewhere";
  event.type = events::v1::TicketUpdated::descriptor()->full_name();
  event.subject = opening.subject;
  event.key = opening.key;
  event.time = Now();
  event.sequence = poisons_;
  event.cause = "poison";
  event.body = "\xff\xff\xff";
  ledger_.poison_ids.insert(event.id);
  broker_->Land(std::move(event));
}

void World::RestartGently(size_t number) {
  Place& place = places_[number];
  if (place.process == nullptr || place.process->is_doomed()) return;
  place.is_draining = true;
  auto open = std::make_shared<size_t>(place.instances.size());
  const std::weak_ptr<Process> process = place.process;
  for (Instance& instance : place.instances) {
    instance.runtime->Drain([this, open, process] {
      if (--*open > 0) return;
      fate_->Post([process] {
        if (const auto alive = process.lock()) alive->Doom();
      });
    });
  }
  // What does not end is ended.
  fate_->PostAt(Now() + absl::Seconds(30), [process] {
    if (const auto alive = process.lock()) alive->Doom();
  });
}

void World::PauseFor(size_t number, absl::Duration duration) {
  const std::shared_ptr<Process> process = places_[number].process;
  if (process == nullptr || process->is_doomed() || process->is_paused()) return;
  process->Pause();
  broker_->Stopped(process.get());
  ledger_.Tell(absl::StrCat(process->name(), " stands still for ", absl::FormatDuration(duration)));
  fate_->PostAt(Now() + duration, [this, weak = std::weak_ptr<Process>(process)] {
    const auto alive = weak.lock();
    if (alive == nullptr || !alive->is_paused()) return;
    alive->Resume();
    broker_->WentOn(alive.get());
  });
}

// ---- the end

std::string World::WhatIsLeft() {
  if (open_calls > 0) return absl::StrCat(open_calls, " calls are not answered");
  for (const Place& place : places_) {
    if (place.process == nullptr || place.process->is_doomed()) return "a process is down";
  }
  for (const Database& database : databases_) {
    const Service service = database.service;
    const std::string& name = services_[service].name;
    if (const int64_t rows = Number(service, "SELECT COUNT(*) FROM outbox"); rows > 0) {
      return absl::StrCat(name, " has ", rows, " events in its outbox");
    }
    for (int partition = 0; partition < plan_.partitions; ++partition) {
      const int64_t next = Number(service, "SELECT next_offset FROM positions WHERE partition = $1",
                                  {int64_t{partition}});
      const auto end = static_cast<int64_t>(broker_->Log(partition).size());
      if (next < end) {
        return absl::StrCat(name, " stands at ", next, " of ", end, " in partition ", partition);
      }
    }
    // Those that wait for parked facts wait.
    std::string overdue;
    const absl::Time since = Now() - absl::Seconds(35) - plan_.pace * 2;
    reader(service)
        .Query(
            {"SELECT id FROM timers WHERE due < $1 AND NOT EXISTS (SELECT 1 FROM parked_subjects p "
             "WHERE p.subject = timers.subject) ORDER BY due LIMIT 1",
             {time::ToMicros(since)}},
            [&](const store::RowView& row) { overdue = row.Text(0); })
        .IgnoreError();
    if (!overdue.empty()) return absl::StrCat(name, " has not fired the timer ", overdue);
  }
  return "";
}

void World::Drain() {
  const absl::Time until = Now() + absl::Minutes(10) + plan_.session * 5 + plan_.pace * 30;
  std::string left = "not looked at yet";
  while (!ledger_.failure().has_value() && !left.empty() && Now() < until) {
    RunFor(absl::Seconds(5) + plan_.pace);
    left = WhatIsLeft();
  }
  if (!left.empty() && !ledger_.failure().has_value()) {
    ledger_.Fail(absl::StrCat("does not come to rest: ", left));
  }
}

}  // namespace tandem::simulation
