// How much of a committed batch survives.
#ifndef TANDEM_COMMON_STORE_DURABILITY_H_
#define TANDEM_COMMON_STORE_DURABILITY_H_

namespace tandem::store {

enum class Durability {
  kFull,  // a commit that returned survives kill -9 and a power cut
  kOff,   // a commit that returned survives kill -9; a power cut may corrupt the file
};

}  // namespace tandem::store

#endif  // TANDEM_COMMON_STORE_DURABILITY_H_
