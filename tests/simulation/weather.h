// The faults of a world as they are now: which of them strike, and how hard. One place switches all
// of them off.
#ifndef TANDEM_TESTS_SIMULATION_WEATHER_H_
#define TANDEM_TESTS_SIMULATION_WEATHER_H_

#include <algorithm>
#include <array>

#include "tests/simulation/dice.h"
#include "tests/simulation/plan.h"

namespace tandem::simulation {

// One thread. Each fault draws from dice of its own.
class Weather {
 public:
  Weather(uint64_t seed, const Mix& mix) : mix_(mix) {
    dice_.reserve(kFaultCount);
    for (size_t i = 0; i < kFaultCount; ++i) {
      dice_.emplace_back(seed, NameOf(static_cast<Fault>(i)));
    }
  }

  void SetOn(bool is_on) { is_on_ = is_on; }
  bool is_on() const { return is_on_; }
  // Whether no fault has any rate in this world.
  bool IsFairWorld() const {
    return std::all_of(mix_.begin(), mix_.end(), [](double rate) { return rate == 0; });
  }
  double rate(Fault fault) const { return is_on_ ? mix_[static_cast<size_t>(fault)] : 0; }
  // Whether it strikes this time: at rate 1 with the chance `most`.
  bool Strikes(Fault fault, double most) {
    if (!is_on_ || !DiceOf(fault).Chance(mix_[static_cast<size_t>(fault)] * most)) return false;
    ++strikes_[static_cast<size_t>(fault)];
    return true;
  }
  // Episodes are counted by those who make them.
  void Count(Fault fault) { ++strikes_[static_cast<size_t>(fault)]; }
  int64_t strikes(Fault fault) const { return strikes_[static_cast<size_t>(fault)]; }
  Dice& DiceOf(Fault fault) { return dice_[static_cast<size_t>(fault)]; }

 private:
  const Mix mix_;
  std::vector<Dice> dice_;
  std::array<int64_t, kFaultCount> strikes_{};
  bool is_on_ = false;
};

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_WEATHER_H_
