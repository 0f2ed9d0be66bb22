#include "tests/bench/load.h"

#include <grpcpp/alarm.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tandem::bench {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr double kGrowth = 1.01;
constexpr double kMaxMicros = 100e6;

size_t BucketOf(double micros) {
  if (micros <= 1) return 0;
  return static_cast<size_t>(std::log(std::min(micros, kMaxMicros)) / std::log(kGrowth)) + 1;
}

// What all connections share.
struct Plan {
  const LoadOptions& options;
  std::string path;
  SteadyTime begin, measured_from, end;
  std::atomic<int64_t> next_index = 0;
};

// One outstanding call after another over one connection.
struct Slot {
  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<grpc::ClientAsyncResponseReader<grpc::ByteBuffer>> call;
  grpc::ByteBuffer reply;
  grpc::Status status;
  int64_t index = 0;
  SteadyTime due;  // from here its latency counts
  std::optional<grpc::Alarm> alarm;
  bool is_waiting = false;  // for its alarm
};

class Connection {
 public:
  Connection(Plan& plan, int number, int slots) : plan_(plan), slots_(static_cast<size_t>(slots)) {
    grpc::ChannelArguments arguments;
    // Else gRPC would share one connection among channels with equal arguments.
    arguments.SetInt("tandem.bench.connection", number);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    auto channel = grpc::CreateCustomChannel(plan.options.target,
                                             grpc::InsecureChannelCredentials(), arguments);
    stub_ = std::make_unique<grpc::GenericStub>(channel);
  }

  void Run() {
    int64_t busy = 0;
    for (Slot& slot : slots_) busy += Next(slot) ? 1 : 0;
    void* tag = nullptr;
    bool ok = false;
    while (busy > 0 && queue_.Next(&tag, &ok)) {
      Slot& slot = *static_cast<Slot*>(tag);
      if (slot.is_waiting) {
        slot.is_waiting = false;
        Send(slot);
        continue;
      }
      Count(slot);
      if (!Next(slot)) --busy;
    }
    queue_.Shutdown();
    while (queue_.Next(&tag, &ok)) {
    }
  }

  Histogram latencies;
  int64_t answered = 0;
  std::map<absl::StatusCode, int64_t> errors;
  std::string first_error;

 private:
  // Starts the slot's next call, or its wait for it; false when the time is over.
  bool Next(Slot& slot) {
    const SteadyTime now = std::chrono::steady_clock::now();
    if (now >= plan_.end) return false;
    slot.index = plan_.next_index.fetch_add(1, std::memory_order_relaxed);
    slot.due = now;
    if (plan_.options.rate > 0) {
      slot.due = plan_.begin + std::chrono::nanoseconds(static_cast<int64_t>(
                                   static_cast<double>(slot.index) / plan_.options.rate * 1e9));
      if (slot.due >= plan_.end) return false;
      if (slot.due > now) {
        slot.is_waiting = true;
        slot.alarm.emplace();
        slot.alarm->Set(&queue_, std::chrono::system_clock::now() + (slot.due - now), &slot);
        return true;
      }
    }
    Send(slot);
    return true;
  }

  void Send(Slot& slot) {
    slot.context = std::make_unique<grpc::ClientContext>();
    slot.context->set_deadline(std::chrono::system_clock::now() +
                               absl::ToChronoNanoseconds(plan_.options.timeout));
    if (!plan_.options.caller.empty()) {
      slot.context->AddMetadata("tandem-caller", plan_.options.caller);
    }
    const std::string request = plan_.options.request(slot.index);
    const grpc::Slice slice(request);
    slot.reply.Clear();
    slot.call = stub_->PrepareUnaryCall(slot.context.get(), plan_.path, grpc::ByteBuffer(&slice, 1),
                                        &queue_);
    slot.call->StartCall();
    slot.call->Finish(&slot.reply, &slot.status, &slot);
  }

  void Count(const Slot& slot) {
    const SteadyTime now = std::chrono::steady_clock::now();
    if (!slot.status.ok()) {
      ++errors[static_cast<absl::StatusCode>(slot.status.error_code())];
      if (first_error.empty()) first_error = slot.status.error_message();
      return;
    }
    ++answered;
    if (plan_.options.answered) {
      std::vector<grpc::Slice> slices;
      std::string reply;
      if (slot.reply.Dump(&slices).ok()) {
        for (const grpc::Slice& slice : slices) {
          reply.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
        }
      }
      plan_.options.answered(slot.index, absl::FromChrono(now - slot.due), reply);
    }
    if (now >= plan_.measured_from && now < plan_.end) {
      latencies.Add(absl::FromChrono(now - slot.due));
    }
  }

  Plan& plan_;
  std::unique_ptr<grpc::GenericStub> stub_;
  grpc::CompletionQueue queue_;
  std::vector<Slot> slots_;
};

}  // namespace

Histogram::Histogram() : buckets_(BucketOf(kMaxMicros) + 1) {}

void Histogram::Add(absl::Duration value) {
  ++buckets_[BucketOf(absl::ToDoubleMicroseconds(value))];
  ++count_;
  max_ = std::max(max_, value);
}

void Histogram::Merge(const Histogram& other) {
  for (size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

absl::Duration Histogram::At(double quantile) const {
  const auto wanted = static_cast<int64_t>(std::ceil(quantile * static_cast<double>(count_)));
  int64_t seen = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= wanted && seen > 0) {
      return std::min(max_, absl::Microseconds(std::pow(kGrowth, static_cast<double>(i))));
    }
  }
  return absl::ZeroDuration();
}

std::string LoadReport::ToString() const {
  std::string text = absl::StrFormat("%8.0f/s  p50 %7.3f ms  p99 %7.3f ms  max %7.3f ms", rate,
                                     absl::ToDoubleMilliseconds(latencies.At(0.5)),
                                     absl::ToDoubleMilliseconds(latencies.At(0.99)),
                                     absl::ToDoubleMilliseconds(latencies.max()));
  for (const auto& [code, count] : errors) {
    absl::StrAppend(&text, "  ", absl::StatusCodeToString(code), " ", count);
  }
  if (!first_error.empty()) absl::StrAppend(&text, " (", first_error, ")");
  return text;
}

LoadReport RunLoad(const LoadOptions& options) {
  Plan plan{options, absl::StrCat("/", options.method), {}, {}, {}};
  const int channels = std::clamp(options.channels, 1, options.outstanding);
  std::vector<std::unique_ptr<Connection>> connections;
  for (int i = 0; i < channels; ++i) {
    const int slots = options.outstanding / channels + (i < options.outstanding % channels ? 1 : 0);
    connections.push_back(std::make_unique<Connection>(plan, i, slots));
  }
  plan.begin = std::chrono::steady_clock::now();
  plan.measured_from = plan.begin + absl::ToChronoNanoseconds(options.warm_up);
  plan.end = plan.measured_from + absl::ToChronoNanoseconds(options.measured);
  {
    std::vector<std::jthread> threads;
    for (const auto& connection : connections) {
      threads.emplace_back([&connection] { connection->Run(); });
    }
  }
  LoadReport report;
  for (const auto& connection : connections) {
    report.latencies.Merge(connection->latencies);
    report.answered += connection->answered;
    for (const auto& [code, count] : connection->errors) report.errors[code] += count;
    if (report.first_error.empty()) report.first_error = connection->first_error;
  }
  report.rate =
      static_cast<double>(report.latencies.count()) / absl::ToDoubleSeconds(options.measured);
  return report;
}

}  // namespace tandem::bench
