// Numbers for Prometheus, a thin layer over prometheus-cpp that makes two mistakes impossible: a
// label that takes any value (an id), and a look-up of the series on each increment.
//
//   Registry registry("0.1.0");
//   Scope metrics = registry.In({{"service", "triage"}});
//   CounterFamily calls = metrics.Counters("tandem_rpc_calls_total", "Calls answered, by code.",
//                                          {{"method", {"Claim", "Transfer"}}, StatusCodeLabel()});
//   Counter claimed = calls.At({"Claim", "OK"});   // once, at start
//   claimed.Increment();                           // 15 ns, any thread
//
// Names begin with tandem_ (but for process_…, which Prometheus has for every program), counters
// end in _total, durations in _seconds, sizes in _bytes. A broken name or label is a mistake in the
// code and ends the program.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace tandem::metrics {

// What a label's value becomes when it is not one of those named at registration.
inline constexpr char kOther[] = "other";

// A label and all values that it can take, besides kOther.
struct Label {
  std::string name;
  std::vector<std::string> values;
};

// "code" with the names of all gRPC codes.
const Label& StatusCodeLabel();

// Upper bounds of buckets. Seconds from 0.5 ms to 10 s, for calls and commits.
std::vector<double> LatencySeconds();
// Seconds from 1 ms to a day, for ages and lateness.
std::vector<double> LongSeconds();
// Powers of two from 1 to 1024, for batches.
std::vector<double> BatchSizes();

// Handles to one series: cheap to copy, any thread may use them, and they live as long as the
// registry. A default-made handle goes nowhere, so that code can be tested without a registry.
class Counter {
 public:
  Counter() = default;
  void Increment(double by = 1) const;  // by >= 0; less is ignored
  double Value() const;

 private:
  template <typename, typename>
  friend class Family;
  explicit Counter(prometheus::Counter* series) : series_(series) {}
  prometheus::Counter* series_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  void Set(double value) const;
  void Add(double by) const;  // may be negative
  double Value() const;

 private:
  template <typename, typename>
  friend class Family;
  explicit Gauge(prometheus::Gauge* series) : series_(series) {}
  prometheus::Gauge* series_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  void Observe(double value) const;             // 150-260 ns, a short lock
  void Observe(absl::Duration duration) const;  // in seconds

 private:
  template <typename, typename>
  friend class Family;
  explicit Histogram(prometheus::Histogram* series) : series_(series) {}
  prometheus::Histogram* series_ = nullptr;
};

// The series of one name. At() finds a series by its labels' values, in the order of registration;
// it hashes and may lock: for start-up and rare events, keep the handle for others. All series
// exist from the start if they make at most kEagerSeries lines of /metrics (a histogram has one a
// bucket and two more), else each from its first At().
// Copies share their series; any thread may call them.
inline constexpr size_t kEagerSeries = 64;
inline constexpr size_t kMaxSeries = 10'000;

template <typename Handle, typename Series>
class Family {
 public:
  Family() = default;
  Handle At(std::initializer_list<std::string_view> values) const;

 private:
  friend class Scope;
  struct State;
  std::shared_ptr<State> state_;
};

using CounterFamily = Family<Counter, prometheus::Counter>;
using GaugeFamily = Family<Gauge, prometheus::Gauge>;
using HistogramFamily = Family<Histogram, prometheus::Histogram>;

// A gauge whose value is asked for at each scrape; it is gone when this is destroyed, which waits
// for an asking under way. Movable.
class AskedGauge {
 public:
  AskedGauge() = default;

 private:
  friend class Scope;
  std::shared_ptr<void> registration_;
};

// A gauge that is set as a whole from what is found in a database: one series a row. A row that is
// no longer found goes to 0. Of more than kMaxMeasured rows those that come last are added up in
// one whose labels are all kOther. Any thread; copies share their series.
inline constexpr size_t kMaxMeasured = 500;

class MeasuredGauge {
 public:
  struct Row {
    std::vector<std::string> labels;  // values, in the order of registration
    double value = 0;
  };
  MeasuredGauge() = default;
  void Set(const std::vector<Row>& rows) const;

 private:
  friend class Scope;
  struct State;
  std::shared_ptr<State> state_;
};

using ConstantLabels = std::map<std::string, std::string>;

class Registry;

// Registers families that all carry the same constant labels, such as service="triage". The same
// name may be registered from several scopes, and again in the same one (both then share their
// series), but always with one kind. Any thread may call it; cheap to copy; the registry outlives
// it.
class Scope {
 public:
  CounterFamily Counters(const std::string& name, const std::string& help,
                         std::vector<Label> labels) const;
  GaugeFamily Gauges(const std::string& name, const std::string& help,
                     std::vector<Label> labels) const;
  HistogramFamily Histograms(const std::string& name, const std::string& help,
                             std::vector<double> buckets, std::vector<Label> labels) const;

  // Without labels of their own.
  Counter OneCounter(const std::string& name, const std::string& help) const;
  Gauge OneGauge(const std::string& name, const std::string& help) const;
  Histogram OneHistogram(const std::string& name, const std::string& help,
                         std::vector<double> buckets) const;

  // The labels' values are those that are set; keep them few.
  MeasuredGauge Measured(const std::string& name, const std::string& help,
                         std::vector<std::string> labels) const;

  // `ask` is called from a thread of the HTTP server: it must be quick, thread-safe, and not touch
  // this registry.
  [[nodiscard]] AskedGauge Asked(const std::string& name, const std::string& help,
                                 std::function<double()> ask) const;

 private:
  friend class Registry;
  Scope(Registry* registry, ConstantLabels labels)
      : registry_(registry), labels_(std::move(labels)) {}

  Registry* registry_;
  ConstantLabels labels_;
};

// All metrics of a process. Outlives whatever counts in it. Any thread may call it.
class Registry {
 public:
  // With tandem_build_info{version=…,compiler=…} 1.
  explicit Registry(std::string_view version);
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  Scope In(ConstantLabels labels);

  // Shows what Prometheus has for every program, asked of the kernel at each scrape:
  // process_start_time_seconds, process_cpu_seconds_total, process_resident_memory_bytes,
  // process_virtual_memory_bytes, process_open_fds and process_max_fds.
  void ShowProcess(absl::Time started_at);

  // All metrics in Prometheus's text format 0.0.4, sorted by name and labels.
  std::string Text() const;

 private:
  friend class Scope;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tandem::metrics
