// A statement's parameters, each moved or made in its place; a braced list would copy each of them
// once more.
#ifndef TANDEM_COMMON_STORE_PARAMS_H_
#define TANDEM_COMMON_STORE_PARAMS_H_

#include <utility>
#include <vector>

#include "common/store/store.h"

namespace tandem::store {

template <typename... V>
std::vector<Value> Params(V&&... values) {
  std::vector<Value> params;
  params.reserve(sizeof...(values));
  (params.emplace_back(std::forward<V>(values)), ...);
  return params;
}

}  // namespace tandem::store

#endif  // TANDEM_COMMON_STORE_PARAMS_H_
