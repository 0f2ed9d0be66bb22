#include "services/account_health/health.h"

#include <algorithm>
#include <utility>

#include "common/time/micros.h"
#include "common/time/stamp.h"

namespace tandem::account_health {
namespace {

using account::v1::HealthGroup;
using account::v1::HealthMeasure;
using account::v1::HealthPolicy;
using account::v1::HealthProfile;
using records::HealthRecord;
using records::HourCount;
using Hours = google::protobuf::RepeatedPtrField<HourCount>;

constexpr int64_t kMicrosPerHour = 3'600'000'000;

int64_t DivideRoundingHalfUp(int64_t dividend, int64_t divisor) {
  return (2 * dividend + divisor) / (2 * divisor);
}

int64_t HalfLife(int64_t half_at, int64_t count) {
  return DivideRoundingHalfUp(10000 * half_at, half_at + count);
}

int64_t CountOf(const Hours& hours) {
  int64_t count = 0;
  for (const HourCount& hour : hours) count += hour.count();
  return count;
}

struct Measured {
  int32_t score = kNoScore;
  int64_t counted = 0;
  int64_t of = 0;
};

Measured Measure(const HealthRecord& health, const HealthMeasure& measure) {
  Measured measured;
  switch (measure.kind()) {
    case account::v1::MEASURE_KIND_UNRESOLVED:
      for (int severity = 0; severity < health.unresolved_size(); ++severity) {
        const int counts_as =
            severity == 0 ? static_cast<int>(type::v1::SEVERITY_NORMAL) : severity;
        for (const account::v1::SeverityPoints& points : measure.points()) {
          if (static_cast<int>(points.severity()) == counts_as) {
            measured.counted += int64_t{points.points()} * health.unresolved(severity);
          }
        }
      }
      measured.score = static_cast<int32_t>(HalfLife(measure.half_at(), measured.counted));
      break;
    case account::v1::MEASURE_KIND_MISSED_CYCLES:
      measured.counted = CountOf(health.missed());
      measured.score = static_cast<int32_t>(HalfLife(measure.half_at(), measured.counted));
      break;
    case account::v1::MEASURE_KIND_REOPENS:
      measured.counted = CountOf(health.reopened());
      measured.score = static_cast<int32_t>(HalfLife(measure.half_at(), measured.counted));
      break;
    case account::v1::MEASURE_KIND_CSAT:
      for (const HourCount& hour : health.csat()) {
        measured.counted += hour.good();
        measured.of += hour.count();
      }
      if (measured.of > 0) {
        measured.score =
            static_cast<int32_t>(DivideRoundingHalfUp(10000 * measured.counted, measured.of));
      }
      break;
    default:
      break;
  }
  return measured;
}

// The score from (weight, score) pairs; kNoScore when none has a number.
class WeightedMean {
 public:
  void Add(int64_t weight, int32_t score) {
    if (score == kNoScore) return;
    weights_ += weight;
    sum_ += weight * score;
  }
  int32_t Value() const {
    return weights_ == 0 ? kNoScore : static_cast<int32_t>(DivideRoundingHalfUp(sum_, weights_));
  }
  int64_t weights() const { return weights_; }

 private:
  int64_t weights_ = 0;
  int64_t sum_ = 0;
};

// One pass for both forms of the score; `groups` is null for the quick one.
int32_t Compute(const HealthRecord& health, const HealthProfile& profile, int32_t* known_share,
                std::vector<account::v1::GroupScore>* groups) {
  WeightedMean whole;
  int64_t all_weights = 0;
  // The exact fraction has the product of the groups' sums below it, which overflows; billionths
  // are exact enough to tell one half from less.
  int64_t known_billionths = 0;
  for (const HealthGroup& group : profile.groups()) {
    WeightedMean mean;
    int64_t weights = 0;
    account::v1::GroupScore* part = groups == nullptr ? nullptr : &groups->emplace_back();
    for (const HealthMeasure& measure : group.measures()) {
      const Measured measured = Measure(health, measure);
      mean.Add(measure.weight(), measured.score);
      weights += measure.weight();
      if (part != nullptr) {
        account::v1::MeasureScore& line = *part->add_measures();
        line.set_kind(measure.kind());
        line.set_score(measured.score);
        line.set_counted(measured.counted);
        line.set_of(measured.of);
      }
    }
    all_weights += group.weight();
    if (weights > 0) {
      known_billionths +=
          DivideRoundingHalfUp(group.weight() * mean.weights() * 1'000'000'000, weights);
    }
    const int32_t score = mean.Value();
    whole.Add(group.weight(), score);
    if (part != nullptr) {
      part->set_name(group.name());
      part->set_weight(group.weight());
      part->set_score(score);
    }
  }
  if (all_weights == 0) return kNoScore;
  const int64_t share = DivideRoundingHalfUp(known_billionths, 100'000 * all_weights);
  const bool is_half_known =
      2 * known_billionths + profile.groups_size() >= 1'000'000'000 * all_weights;
  if (known_share != nullptr) *known_share = static_cast<int32_t>(share);
  if (groups != nullptr) {
    for (int g = 0; g < profile.groups_size(); ++g) {
      const HealthGroup& group = profile.groups(g);
      int64_t known = 0;
      account::v1::GroupScore& part = (*groups)[static_cast<size_t>(g)];
      for (int m = 0; m < group.measures_size(); ++m) {
        if (part.measures(m).score() != kNoScore) known += group.measures(m).weight();
      }
      for (int m = 0; m < group.measures_size(); ++m) {
        if (part.measures(m).score() == kNoScore) continue;
        part.mutable_measures(m)->set_share(static_cast<int32_t>(
            DivideRoundingHalfUp(int64_t{10000} * group.weight() * group.measures(m).weight(),
                                 known * whole.weights())));
      }
    }
  }
  return is_half_known ? whole.Value() : kNoScore;
}

// How long a fact counts for the account: as its profile says, or, where that has no such measure,
// as long as any profile does, so that a change of stage finds the fact.
int64_t WindowOf(account::v1::MeasureKind kind, const HealthRecord& health,
                 const HealthPolicy& policy) {
  const HealthProfile& profile = ProfileOf(health.stage(), health.segment(), policy);
  for (const HealthGroup& group : profile.groups()) {
    for (const HealthMeasure& measure : group.measures()) {
      if (measure.kind() == kind) return time::MicrosOf(measure.window());
    }
  }
  int64_t longest = 0;
  for (const HealthProfile& other : policy.profiles()) {
    for (const HealthGroup& group : other.groups()) {
      for (const HealthMeasure& measure : group.measures()) {
        if (measure.kind() == kind) longest = std::max(longest, time::MicrosOf(measure.window()));
      }
    }
  }
  return longest;
}

int64_t EdgeOf(int32_t hour, int64_t window_us) {
  return (int64_t{hour} + 1) * kMicrosPerHour + window_us;
}

void Count(Hours& hours, absl::Time at, int32_t by, int32_t good_by, int64_t window_us,
           int64_t decayed_us) {
  const auto hour = static_cast<int32_t>(time::ToMicros(at) / kMicrosPerHour);
  if (EdgeOf(hour, window_us) <= decayed_us) return;
  auto place =
      std::lower_bound(hours.begin(), hours.end(), hour,
                       [](const HourCount& one, int32_t wanted) { return one.hour() < wanted; });
  const int index = static_cast<int>(place - hours.begin());
  if (place == hours.end() || place->hour() != hour) {
    if (by <= 0) return;
    hours.Add()->set_hour(hour);
    for (int i = hours.size() - 1; i > index; --i) hours.SwapElements(i, i - 1);
  }
  HourCount& count = *hours.Mutable(index);
  count.set_count(count.count() + by);
  count.set_good(count.good() + good_by);
  if (count.count() <= 0) hours.DeleteSubrange(index, 1);
}

struct Window {
  Hours* hours;
  account::v1::MeasureKind kind;
};

std::vector<Window> WindowsOf(HealthRecord& health) {
  return {{health.mutable_missed(), account::v1::MEASURE_KIND_MISSED_CYCLES},
          {health.mutable_reopened(), account::v1::MEASURE_KIND_REOPENS},
          {health.mutable_csat(), account::v1::MEASURE_KIND_CSAT}};
}

}  // namespace

bool HasHealth(type::v1::JourneyStage stage) {
  return stage != type::v1::JOURNEY_STAGE_UNSPECIFIED &&
         stage != type::v1::JOURNEY_STAGE_PROSPECT && stage != type::v1::JOURNEY_STAGE_CHURNED &&
         stage != type::v1::JOURNEY_STAGE_WIN_BACK;
}

const HealthProfile& ProfileOf(type::v1::JourneyStage stage, type::v1::Segment segment,
                               const HealthPolicy& policy) {
  const auto names = [](const google::protobuf::RepeatedField<int>& list, int one) {
    return list.empty() || std::find(list.begin(), list.end(), one) != list.end();
  };
  for (const HealthProfile& profile : policy.profiles()) {
    if (names(profile.stages(), stage) && names(profile.segments(), segment)) return profile;
  }
  return policy.profiles_size() == 0 ? HealthProfile::default_instance()
                                     : policy.profiles(policy.profiles_size() - 1);
}

HealthScore ScoreOf(const HealthRecord& health, const HealthPolicy& policy) {
  HealthScore score;
  const HealthProfile& profile = ProfileOf(health.stage(), health.segment(), policy);
  score.profile = profile.name();
  score.score = Compute(health, profile, &score.known_share, &score.groups);
  if (!HasHealth(health.stage())) score.score = kNoScore;
  return score;
}

int32_t QuickScoreOf(const HealthRecord& health, const HealthPolicy& policy) {
  if (!HasHealth(health.stage())) return kNoScore;
  return Compute(health, ProfileOf(health.stage(), health.segment(), policy), nullptr, nullptr);
}

type::v1::HealthBand BandOf(int32_t score, type::v1::HealthBand before,
                            type::v1::JourneyStage stage, const HealthPolicy& policy) {
  if (!HasHealth(stage)) return type::v1::HEALTH_BAND_UNSPECIFIED;
  if (score == kNoScore) return type::v1::HEALTH_BAND_UNKNOWN;
  // A border counts as passed upwards from a lower band only `hysteresis` above it, and downwards
  // from a higher band only below it by as much.
  const auto is_above = [&](int32_t border, type::v1::HealthBand from_here) {
    switch (before) {
      case type::v1::HEALTH_BAND_RED:
      case type::v1::HEALTH_BAND_YELLOW:
      case type::v1::HEALTH_BAND_GREEN:
        return before >= from_here ? score >= border - policy.hysteresis()
                                   : score >= border + policy.hysteresis();
      default:
        return score >= border;
    }
  };
  // A border near the end of the scale can still be passed.
  const int32_t top = 10000;
  if (is_above(policy.green_from(), type::v1::HEALTH_BAND_GREEN) || score == top) {
    return type::v1::HEALTH_BAND_GREEN;
  }
  if (is_above(policy.yellow_from(), type::v1::HEALTH_BAND_YELLOW)) {
    return type::v1::HEALTH_BAND_YELLOW;
  }
  return type::v1::HEALTH_BAND_RED;
}

void CountUnresolved(HealthRecord& health, type::v1::Severity severity, int32_t by) {
  const int index = static_cast<int>(severity);
  while (health.unresolved_size() <= index) health.add_unresolved(0);
  health.set_unresolved(index, health.unresolved(index) + by);
}

absl::Status CheckCounts(const HealthRecord& health) {
  if (std::all_of(health.unresolved().begin(), health.unresolved().end(),
                  [](int64_t count) { return count >= 0; })) {
    return absl::OkStatus();
  }
  return absl::InternalError("the health record counts fewer than no unresolved tickets");
}

void CountMissed(HealthRecord& health, absl::Time at, int32_t by, const HealthPolicy& policy) {
  Count(*health.mutable_missed(), at, by, 0,
        WindowOf(account::v1::MEASURE_KIND_MISSED_CYCLES, health, policy), health.decayed_us());
}

void CountReopened(HealthRecord& health, absl::Time at, int32_t by, const HealthPolicy& policy) {
  Count(*health.mutable_reopened(), at, by, 0,
        WindowOf(account::v1::MEASURE_KIND_REOPENS, health, policy), health.decayed_us());
}

void CountCsat(HealthRecord& health, absl::Time at, bool good, int32_t by,
               const HealthPolicy& policy) {
  Count(*health.mutable_csat(), at, by, good ? by : 0,
        WindowOf(account::v1::MEASURE_KIND_CSAT, health, policy), health.decayed_us());
}

absl::Time NextDecay(const HealthRecord& health, const HealthPolicy& policy) {
  const auto first = [&](const Hours& hours, account::v1::MeasureKind kind) {
    return hours.empty()
               ? absl::InfiniteFuture()
               : time::FromMicros(EdgeOf(hours.Get(0).hour(), WindowOf(kind, health, policy)));
  };
  return std::min({first(health.missed(), account::v1::MEASURE_KIND_MISSED_CYCLES),
                   first(health.reopened(), account::v1::MEASURE_KIND_REOPENS),
                   first(health.csat(), account::v1::MEASURE_KIND_CSAT)});
}

void Decay(HealthRecord& health, absl::Time at, const HealthPolicy& policy) {
  const int64_t at_us = time::ToMicros(at);
  for (const Window& window : WindowsOf(health)) {
    const int64_t window_us = WindowOf(window.kind, health, policy);
    int gone = 0;
    while (gone < window.hours->size() &&
           EdgeOf(window.hours->Get(gone).hour(), window_us) <= at_us) {
      ++gone;
    }
    if (gone > 0) window.hours->DeleteSubrange(0, gone);
  }
  health.set_decayed_us(std::max(health.decayed_us(), at_us));
}

}  // namespace tandem::account_health
