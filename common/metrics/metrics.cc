#include "common/metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

namespace tandem::metrics {
namespace {

[[noreturn]] void Mistake(const std::string& what) {
  std::fprintf(stderr, "mistake in the program's metrics: %s\n", what.c_str());
  std::abort();
}

bool IsSnakeCase(const std::string& name) {
  return !name.empty() && name.front() >= 'a' && name.front() <= 'z' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
}

void CheckName(const std::string& name, bool is_counter) {
  if (!IsSnakeCase(name) || !absl::StartsWith(name, "tandem_")) {
    Mistake(absl::StrCat("'", name, "' does not begin with tandem_ or is not snake_case"));
  }
  if (is_counter != absl::EndsWith(name, "_total")) {
    Mistake(absl::StrCat("'", name, "': counters, and only they, end in _total"));
  }
}

void CheckLabelName(const std::string& family, const std::string& label) {
  // "le" belongs to histograms.
  if (!IsSnakeCase(label) || label == "le" || absl::StartsWith(label, "__")) {
    Mistake(absl::StrCat("'", family, "' has a bad label name '", label, "'"));
  }
}

}  // namespace

const Label& StatusCodeLabel() {
  static const Label* const label = [] {
    auto* made = new Label{"code", {}};
    for (int code = 0; code <= 16; ++code) {
      made->values.push_back(absl::StatusCodeToString(static_cast<absl::StatusCode>(code)));
    }
    return made;
  }();
  return *label;
}

std::vector<double> LatencySeconds() {
  return {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
}

std::vector<double> LongSeconds() {
  return {0.001, 0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 21600, 86400};
}

std::vector<double> BatchSizes() { return {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}; }

void Counter::Increment(double by) const {
  if (series_ != nullptr) series_->Increment(by);
}

double Counter::Value() const { return series_ == nullptr ? 0 : series_->Value(); }

void Gauge::Set(double value) const {
  if (series_ != nullptr) series_->Set(value);
}

void Gauge::Add(double by) const {
  if (series_ != nullptr) series_->Increment(by);
}

double Gauge::Value() const { return series_ == nullptr ? 0 : series_->Value(); }

void Histogram::Observe(double value) const {
  if (series_ != nullptr) series_->Observe(value);
}

void Histogram::Observe(absl::Duration duration) const { Observe(absl::ToDoubleSeconds(duration)); }

template <typename Handle, typename Series>
struct Family<Handle, Series>::State {
  // Index of a value among the label's values; that of kOther is the last.
  struct Axis {
    std::string name;
    std::vector<std::string> values;
    absl::flat_hash_map<std::string, size_t> index;
  };

  // `lines`: of /metrics, that each series makes.
  State(std::string family_name, std::vector<Label> labels, size_t lines,
        std::function<Series&(const prometheus::Labels&)> add_series)
      : name(std::move(family_name)), add(std::move(add_series)) {
    size_t named = 1;
    size_t total = 1;
    for (Label& label : labels) {
      CheckLabelName(name, label.name);
      Axis axis;
      axis.name = std::move(label.name);
      for (std::string& value : label.values) {
        if (value == kOther) continue;
        if (!axis.index.emplace(value, axis.values.size()).second) {
          Mistake(absl::StrCat("'", name, "' names the value '", value, "' twice"));
        }
        axis.values.push_back(std::move(value));
      }
      axis.index.emplace(kOther, axis.values.size());
      axis.values.push_back(kOther);
      named *= axis.values.size() - 1;
      total *= axis.values.size();
      if (total > kMaxSeries) {
        Mistake(absl::StrCat("'", name, "' would have more than ", kMaxSeries, " series"));
      }
      axes.push_back(std::move(axis));
    }
    series.resize(total, nullptr);
    if (named * lines > kEagerSeries) return;
    for (size_t position = 0; position < total; ++position) {
      if (!IsOther(position)) Find(position);
    }
  }

  // Whether any label at `position` has the value kOther: such series appear when they are used.
  bool IsOther(size_t position) const {
    for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
      if (position % axis->values.size() == axis->values.size() - 1) return true;
      position /= axis->values.size();
    }
    return false;
  }

  Series* Find(size_t position) {
    absl::MutexLock lock(&mutex);
    if (series[position] == nullptr) {
      prometheus::Labels labels;
      size_t rest = position;
      for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
        labels[axis->name] = axis->values[rest % axis->values.size()];
        rest /= axis->values.size();
      }
      series[position] = &add(labels);
    }
    return series[position];
  }

  const std::string name;
  const std::function<Series&(const prometheus::Labels&)> add;
  std::vector<Axis> axes;
  absl::Mutex mutex;
  std::vector<Series*> series ABSL_GUARDED_BY(mutex);
};

template <typename Handle, typename Series>
Handle Family<Handle, Series>::At(std::initializer_list<std::string_view> values) const {
  if (state_ == nullptr) return Handle();
  if (values.size() != state_->axes.size()) {
    Mistake(absl::StrCat("'", state_->name, "' has ", state_->axes.size(), " labels, not ",
                         values.size()));
  }
  size_t position = 0;
  auto axis = state_->axes.begin();
  for (const std::string_view value : values) {
    const auto found = axis->index.find(absl::string_view(value.data(), value.size()));
    const size_t index = found == axis->index.end() ? axis->values.size() - 1 : found->second;
    position = position * axis->values.size() + index;
    ++axis;
  }
  return Handle(state_->Find(position));
}

template class Family<Counter, prometheus::Counter>;
template class Family<Gauge, prometheus::Gauge>;
template class Family<Histogram, prometheus::Histogram>;

namespace {

// What the kernel says of this process; what it does not say is left out.
std::vector<prometheus::MetricFamily> ProcessFamilies(absl::Time started_at) {
  std::vector<prometheus::MetricFamily> families;
  const auto add = [&](const char* name, const char* help, prometheus::MetricType type,
                       double value) {
    prometheus::ClientMetric metric;
    if (type == prometheus::MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    families.push_back({name, help, type, {std::move(metric)}});
  };
  using prometheus::MetricType;
  add("process_start_time_seconds", "Unix time at which the process started.", MetricType::Gauge,
      absl::ToDoubleSeconds(started_at - absl::UnixEpoch()));
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    add("process_cpu_seconds_total", "Processor time that the process has used.",
        MetricType::Counter,
        absl::ToDoubleSeconds(absl::DurationFromTimeval(usage.ru_utime) +
                              absl::DurationFromTimeval(usage.ru_stime)));
  }
  uint64_t virtual_pages = 0;
  uint64_t resident_pages = 0;
  if (std::ifstream("/proc/self/statm") >> virtual_pages >> resident_pages) {
    const auto page_bytes = static_cast<double>(sysconf(_SC_PAGESIZE));
    add("process_resident_memory_bytes", "Memory that the process has in use.", MetricType::Gauge,
        static_cast<double>(resident_pages) * page_bytes);
    add("process_virtual_memory_bytes", "Memory that the process has reserved.", MetricType::Gauge,
        static_cast<double>(virtual_pages) * page_bytes);
  }
  std::error_code error;
  double open_files = 0;
  for (std::filesystem::directory_iterator file("/proc/self/fd", error);
       !error && file != std::filesystem::directory_iterator(); file.increment(error)) {
    ++open_files;
  }
  if (!error) {
    // One of them was the looking itself.
    add("process_open_fds", "Files and connections that the process has open.", MetricType::Gauge,
        open_files - 1);
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    add("process_max_fds", "Files and connections that the process may have open.",
        MetricType::Gauge, static_cast<double>(limit.rlim_cur));
  }
  return families;
}

struct Asking {
  std::string name;
  std::string help;
  ConstantLabels labels;
  std::function<double()> ask;
};

}  // namespace

struct Registry::State {
  prometheus::Registry registry;
  std::optional<absl::Time> process_started_at ABSL_GUARDED_BY(mutex);
  absl::Mutex mutex;
  uint64_t next_asking ABSL_GUARDED_BY(mutex) = 0;
  // In the order of registration, so that nothing depends on addresses.
  std::map<uint64_t, Asking> askings ABSL_GUARDED_BY(mutex);
};

Registry::Registry(std::string_view version) : state_(std::make_unique<State>()) {
  In({{"version", std::string(version)}, {"compiler", __VERSION__}})
      .OneGauge("tandem_build_info", "Always 1; the labels tell what was built.")
      .Set(1);
}

Registry::~Registry() = default;

Scope Registry::In(ConstantLabels labels) {
  for (const auto& [name, value] : labels) CheckLabelName("scope", name);
  return Scope(this, std::move(labels));
}

void Registry::ShowProcess(absl::Time started_at) {
  absl::MutexLock lock(&state_->mutex);
  state_->process_started_at = started_at;
}

std::string Registry::Text() const {
  std::vector<prometheus::MetricFamily> collected = state_->registry.Collect();
  {
    // Held while asking: when AskedGauge is gone, so is the last call.
    absl::MutexLock lock(&state_->mutex);
    for (const auto& [id, asking] : state_->askings) {
      prometheus::MetricFamily family{asking.name, asking.help, prometheus::MetricType::Gauge, {}};
      prometheus::ClientMetric metric;
      for (const auto& [name, value] : asking.labels) metric.label.push_back({name, value});
      metric.gauge.value = asking.ask();
      family.metric.push_back(std::move(metric));
      collected.push_back(std::move(family));
    }
    if (state_->process_started_at.has_value()) {
      for (prometheus::MetricFamily& family : ProcessFamilies(*state_->process_started_at)) {
        collected.push_back(std::move(family));
      }
    }
  }
  // An asked gauge may have its name from several scopes, but has to stand once in the text.
  // prometheus-cpp's own order is that of a hash.
  std::map<std::string, prometheus::MetricFamily> families;
  for (prometheus::MetricFamily& part : collected) {
    const auto [whole, is_first] = families.try_emplace(part.name, part);
    if (is_first) continue;
    auto& metrics = whole->second.metric;
    metrics.insert(metrics.end(), part.metric.begin(), part.metric.end());
  }
  std::vector<prometheus::MetricFamily> sorted;
  for (auto& [name, family] : families) {
    for (auto& metric : family.metric) std::sort(metric.label.begin(), metric.label.end());
    std::stable_sort(family.metric.begin(), family.metric.end(),
                     [](const auto& a, const auto& b) { return a.label < b.label; });
    sorted.push_back(std::move(family));
  }
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, sorted);
  return text.str();
}

namespace {

template <typename Series, typename Builder, typename... Arguments>
std::function<Series&(const prometheus::Labels&)> Adder(
    Builder builder, prometheus::Registry& registry, const std::string& name,
    const std::string& help, const ConstantLabels& constant, Arguments... arguments) {
  try {
    // The scope's labels go to each series: prometheus-cpp refuses one name with several constant
    // labels. They win, for a family's own label of the same name would hide the scope.
    auto& family = builder.Name(name).Help(help).Register(registry);
    return [&family, constant, arguments...](const prometheus::Labels& labels) -> Series& {
      prometheus::Labels all(constant.begin(), constant.end());
      all.insert(labels.begin(), labels.end());
      return family.Add(all, arguments...);
    };
  } catch (const std::exception& e) {
    // It throws for one name of two kinds.
    Mistake(absl::StrCat("'", name, "': ", e.what()));
  }
}

}  // namespace

CounterFamily Scope::Counters(const std::string& name, const std::string& help,
                              std::vector<Label> labels) const {
  CheckName(name, true);
  CounterFamily family;
  family.state_ = std::make_shared<CounterFamily::State>(
      name, std::move(labels), 1,
      Adder<prometheus::Counter>(prometheus::BuildCounter(), registry_->state_->registry, name,
                                 help, labels_));
  return family;
}

GaugeFamily Scope::Gauges(const std::string& name, const std::string& help,
                          std::vector<Label> labels) const {
  CheckName(name, false);
  GaugeFamily family;
  family.state_ = std::make_shared<GaugeFamily::State>(
      name, std::move(labels), 1,
      Adder<prometheus::Gauge>(prometheus::BuildGauge(), registry_->state_->registry, name, help,
                               labels_));
  return family;
}

HistogramFamily Scope::Histograms(const std::string& name, const std::string& help,
                                  std::vector<double> buckets, std::vector<Label> labels) const {
  CheckName(name, false);
  if (buckets.empty() ||
      std::adjacent_find(buckets.begin(), buckets.end(), std::greater_equal<>()) != buckets.end()) {
    Mistake(absl::StrCat("'", name, "' has buckets that do not rise"));
  }
  // Its buckets, the one without a bound, sum and count.
  const size_t lines = buckets.size() + 3;
  HistogramFamily family;
  family.state_ = std::make_shared<HistogramFamily::State>(
      name, std::move(labels), lines,
      Adder<prometheus::Histogram>(prometheus::BuildHistogram(), registry_->state_->registry, name,
                                   help, labels_, std::move(buckets)));
  return family;
}

Counter Scope::OneCounter(const std::string& name, const std::string& help) const {
  return Counters(name, help, {}).At({});
}

Gauge Scope::OneGauge(const std::string& name, const std::string& help) const {
  return Gauges(name, help, {}).At({});
}

Histogram Scope::OneHistogram(const std::string& name, const std::string& help,
                              std::vector<double> buckets) const {
  return Histograms(name, help, std::move(buckets), {}).At({});
}

struct MeasuredGauge::State {
  std::string name;
  std::vector<std::string> labels;
  std::function<prometheus::Gauge&(const prometheus::Labels&)> add;
  absl::Mutex mutex;
  std::map<std::vector<std::string>, prometheus::Gauge*> series ABSL_GUARDED_BY(mutex);
};

void MeasuredGauge::Set(const std::vector<Row>& rows) const {
  if (state_ == nullptr) return;
  absl::MutexLock lock(&state_->mutex);
  std::map<std::vector<std::string>, double> values;
  for (const auto& [labels, series] : state_->series) values[labels] = 0;
  for (const Row& row : rows) {
    if (row.labels.size() != state_->labels.size()) {
      Mistake(absl::StrCat("'", state_->name, "' has ", state_->labels.size(), " labels, not ",
                           row.labels.size()));
    }
    const bool has_room = values.contains(row.labels) || values.size() < kMaxMeasured;
    values[has_room ? row.labels : std::vector<std::string>(row.labels.size(), kOther)] +=
        row.value;
  }
  for (const auto& [labels, value] : values) {
    prometheus::Gauge*& series = state_->series[labels];
    if (series == nullptr) {
      prometheus::Labels named;
      for (size_t i = 0; i < labels.size(); ++i) named[state_->labels[i]] = labels[i];
      series = &state_->add(named);
    }
    series->Set(value);
  }
}

MeasuredGauge Scope::Measured(const std::string& name, const std::string& help,
                              std::vector<std::string> labels) const {
  CheckName(name, false);
  for (const std::string& label : labels) CheckLabelName(name, label);
  MeasuredGauge gauge;
  gauge.state_ = std::make_shared<MeasuredGauge::State>();
  gauge.state_->name = name;
  gauge.state_->labels = std::move(labels);
  gauge.state_->add = Adder<prometheus::Gauge>(prometheus::BuildGauge(),
                                               registry_->state_->registry, name, help, labels_);
  return gauge;
}

AskedGauge Scope::Asked(const std::string& name, const std::string& help,
                        std::function<double()> ask) const {
  CheckName(name, false);
  Registry::State* const state = registry_->state_.get();
  absl::MutexLock lock(&state->mutex);
  const uint64_t id = state->next_asking++;
  state->askings.emplace(id, Asking{name, help, labels_, std::move(ask)});
  AskedGauge asked;
  asked.registration_ = std::shared_ptr<void>(nullptr, [state, id](void*) {
    absl::MutexLock ending(&state->mutex);
    state->askings.erase(id);
  });
  return asked;
}

}  // namespace tandem::metrics
