#include "services/tandem/replay_run.h"

#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/bus/memory_bus.h"
#include "common/executor/deterministic.h"
#include "common/id/seeded_entropy.h"
#include "services/tandem/house.h"
#include "services/tandem/log_traps.h"
#include "services/tandem/replay_observer.h"
#include "tandem/account/v1/health_service.pb.h"
#include "tandem/account/v1/policy_service.pb.h"
#include "tandem/triage/v1/policy_service.pb.h"

namespace tandem::programs {
namespace {

// Policies, staff and customers are there a day before the log begins.
constexpr absl::Duration kSetUpBefore = absl::Hours(24);

// A command is answered at its own instant unless a service waits for something; longer is a
// defect.
constexpr absl::Duration kPatience = absl::Minutes(2);

// The only secrets are survey tokens, which nobody here redeems.
constexpr uint64_t kSeed = 1;

std::string Text(absl::Time instant) {
  return absl::FormatTime(absl::RFC3339_sec, instant, absl::UTCTimeZone());
}

runtime::RuntimeOptions Options() {
  runtime::RuntimeOptions options;
  options.sample_every = absl::ZeroDuration();
  // What only keeps house waits for a commit to ride along with: a commit of its own at every
  // instant would be the largest part of the work.
  options.prune_every = absl::Hours(6);
  options.lane.lazy_writes_wait = absl::Hours(1);
  options.consumer.skipped_wait = absl::Hours(1);
  return options;
}

// The parts of a run, in the order in which they may end backwards.
struct Stage {
  explicit Stage(absl::Time start)
      : scheduler({.start = start,
                   .max_steps_per_instant = 100'000'000,
                   .max_steps_per_run = std::numeric_limits<int64_t>::max()}),
        entropy(kSeed),
        bus_executor(scheduler.NewExecutor("bus")),
        observer_executor(scheduler.NewExecutor("report")),
        bus(bus_executor.get(), {.keep_all = false}),
        observer(&bus, observer_executor.get()) {}

  absl::Time Now() const { return scheduler.clock()->Now(); }
  absl::Status Settle() { return scheduler.RunUntil(Now()); }

  // Calls a method of the house and lets it be answered.
  absl::StatusOr<corridor::MessagePtr> Call(const std::string& method,
                                            corridor::MessagePtr request) {
    std::optional<absl::StatusOr<corridor::MessagePtr>> answer;
    corridor::CallContext context;
    context.caller = "replay";
    house->peer().Ask(
        context, method, std::move(request),
        [&](absl::StatusOr<corridor::MessagePtr> reply) { answer = std::move(reply); });
    const absl::Time limit = Now() + kPatience;
    while (!answer.has_value() && scheduler.NextInstant() <= limit) scheduler.Step();
    if (!answer.has_value()) return absl::InternalError(absl::StrCat(method, " is not answered"));
    if (absl::Status status = Settle(); !status.ok()) return status;
    return *std::move(answer);
  }

  executor::DeterministicScheduler scheduler;
  id::SeededEntropy entropy;
  std::unique_ptr<executor::Executor> bus_executor, observer_executor;
  bus::MemoryBus bus;
  ReplayObserver observer;
  std::unique_ptr<House> house;
};

absl::Status PlayRows(Stage& stage, ReplayDriver& driver,
                      const std::function<void(int64_t)>& progress) {
  absl::Time waiting_since = absl::InfiniteFuture();
  while (!driver.Done()) {
    const absl::Time next = driver.unanswered() > 0
                                ? std::min(stage.Now() + absl::Seconds(1), driver.NextInstant())
                                : driver.NextInstant();
    if (next < absl::InfiniteFuture()) {
      if (absl::Status status = stage.scheduler.RunUntil(next); !status.ok()) return status;
    }
    while (driver.Issue(stage.Now()) > 0) {
      if (absl::Status status = stage.Settle(); !status.ok()) return status;
    }
    if (!stage.observer.trouble().ok()) return stage.observer.trouble();
    if (driver.unanswered() == 0) {
      waiting_since = absl::InfiniteFuture();
    } else if (waiting_since == absl::InfiniteFuture()) {
      waiting_since = stage.Now();
    } else if (stage.Now() - waiting_since > kPatience) {
      return absl::InternalError(absl::StrCat(driver.unanswered(), " commands are not answered"));
    }
    progress(driver.rows_done());
  }
  return absl::OkStatus();
}

absl::Status ReportHealth(Stage& stage, ReplayReport* report) {
  auto request = std::make_shared<account::v1::ListHealthRequest>();
  request->set_page_size(1);
  absl::StatusOr<corridor::MessagePtr> reply =
      stage.Call("tandem.account.v1.HealthService/ListHealth", request);
  if (!reply.ok()) return reply.status();
  for (const account::v1::BandCount& count :
       static_cast<const account::v1::ListHealthResponse&>(**reply).counts()) {
    BandAccounts* const entry = report->add_health();
    entry->set_band(count.band());
    entry->set_accounts(static_cast<int32_t>(count.accounts()));
  }
  return absl::OkStatus();
}

void ReportWork(const House& house, WorkCounts* work) {
  for (const runtime::ServiceRuntime* service : house.runtimes()) {
    const runtime::ServiceRuntime::Totals totals = service->totals();
    work->set_timers_fired(work->timers_fired() + static_cast<int32_t>(totals.timers));
    work->set_decisions(work->decisions() + static_cast<int32_t>(totals.decisions));
    work->set_dead_letters(work->dead_letters() + static_cast<int32_t>(totals.dead_letters));
    ServiceWork* const own = work->add_services();
    own->set_service(service->definition().name());
    own->set_decisions(static_cast<int32_t>(totals.decisions));
    own->set_commits(static_cast<int32_t>(totals.commits));
    own->set_lines(static_cast<int32_t>(totals.lines));
    own->set_timers_fired(static_cast<int32_t>(totals.timers));
  }
}

}  // namespace

absl::StatusOr<ReplayStaff> StaffOfPolicies(const std::vector<policy::PolicyFile>& policies) {
  ReplayStaff staff;
  for (const policy::PolicyFile& file : policies) {
    if (file.kind != "triage" && file.kind != "account") continue;
    config::SourceLines lines;
    absl::StatusOr<std::unique_ptr<google::protobuf::Message>> request =
        policy::PolicyRequest(file, "ApplyPolicy", &lines);
    if (!request.ok()) return request.status();
    if (file.kind == "account") {
      const auto& policy = static_cast<const account::v1::ApplyPolicyRequest&>(**request).policy();
      for (const account::v1::TeamDefault& place : policy.team_defaults()) {
        staff.named[place.staff_id()].insert(place.role());
      }
      continue;
    }
    const auto& policy = static_cast<const triage::v1::ApplyPolicyRequest&>(**request).policy();
    for (const triage::v1::QueueSpec& queue : policy.queues()) {
      staff.queues.push_back(queue.name());
    }
    for (const triage::v1::RoleDefault& place : policy.role_defaults()) {
      staff.named[place.staff_id()].insert(place.role());
    }
    for (const triage::v1::EscalationPolicy& escalation : policy.escalations()) {
      for (const triage::v1::EscalationLevel& level : escalation.levels()) {
        for (const triage::v1::EscalationTarget& target : level.targets()) {
          if (target.has_staff_id()) staff.named[target.staff_id()];
        }
      }
    }
  }
  // The product's own queue, where the policy names none.
  if (staff.queues.empty()) staff.queues.push_back("support");
  for (auto& [id, roles] : staff.named) {
    if (roles.empty()) roles.insert(type::v1::STAFF_ROLE_SUPPORT_AGENT);
  }
  return staff;
}

absl::StatusOr<ReplayReport> RunReplay(const IncidentLog& log, const Mapping& mapping,
                                       const std::vector<policy::PolicyFile>& policies,
                                       const std::string& data,
                                       const std::function<void(int64_t rows_done)>& progress) {
  absl::StatusOr<ReplayStaff> staff = StaffOfPolicies(policies);
  if (!staff.ok()) return staff.status();
  Stage stage(log.first_instant() - kSetUpBefore);
  // First of all: what was published before a group joined is not kept for it.
  if (absl::Status status = stage.observer.Start(); !status.ok()) return status;

  House::Options options;
  options.data = data;
  options.durability = store::Durability::kOff;
  options.readers = 1;
  options.runtime = Options();
  House::Environment environment;
  environment.clock = stage.scheduler.clock();
  environment.new_executor = [&stage](const std::string& name) {
    return stage.scheduler.NewExecutor(name);
  };
  environment.bus = &stage.bus;
  environment.entropy = &stage.entropy;
  absl::StatusOr<std::vector<Service>> services = FiveServices({});
  if (!services.ok()) return services.status();
  absl::StatusOr<std::unique_ptr<House>> house =
      House::Open(std::move(options), *services, environment);
  if (!house.ok()) return house.status();
  stage.house = *std::move(house);
  if (absl::Status status = stage.house->Start(); !status.ok()) return status;
  if (absl::Status status = stage.Settle(); !status.ok()) return status;

  ReplayReport report;
  absl::StatusOr<std::vector<policy::AppliedPolicy>> applied = policy::ApplyPolicies(
      policies, [&stage](const std::string& method, corridor::MessagePtr request) {
        return stage.Call(method, std::move(request));
      });
  if (!applied.ok()) return applied.status();
  for (const policy::AppliedPolicy& policy : *applied) {
    PolicyUsed* const entry = report.add_policies();
    entry->set_kind(policy.kind);
    entry->set_version(policy.version);
  }

  ReplayDriver driver(&log, mapping.values.system(), *std::move(staff), &stage.house->peer(),
                      &stage.observer);
  while (driver.IssueSetUp() > 0) {
    if (absl::Status status = stage.Settle(); !status.ok()) return status;
  }
  if (absl::Status status = PlayRows(stage, driver, progress); !status.ok()) return status;
  const absl::Time end = log.last_instant() + absl::Seconds(mapping.values.run_on().seconds());
  if (absl::Status status = stage.scheduler.RunUntil(end); !status.ok()) return status;
  if (!stage.observer.trouble().ok()) return stage.observer.trouble();

  *report.mutable_source() = mapping.values.source();
  report.set_first_instant(Text(log.first_instant()));
  report.set_last_instant(Text(log.last_instant()));
  report.set_end_instant(Text(end));
  *report.mutable_traps() = CountTraps(log);
  driver.Report(&report);
  stage.observer.Report(log.first_instant(), end, &report);
  if (absl::Status status = ReportHealth(stage, &report); !status.ok()) return status;
  ReportWork(*stage.house, report.mutable_work());
  return report;
}

}  // namespace tandem::programs
