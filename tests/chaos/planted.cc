// Linked into the programs that tests/chaos plants mistakes in, and into no other: the mistake that
// PLANTED_MISTAKE names is made from the start.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "common/plant/plant.h"

namespace {

const bool kPlanted = [] {
  const char* const name = std::getenv("PLANTED_MISTAKE");
  if (name == nullptr) return false;
  const auto mistake = tandem::plant::MistakeOf(name);
  if (!mistake.ok()) {
    std::fprintf(stderr, "PLANTED_MISTAKE: %s\n", std::string(mistake.status().message()).c_str());
    std::exit(2);
  }
  tandem::plant::Set({*mistake});
  return true;
}();

}  // namespace
