// Estimates one DLE at several levels. Owned by sendsize; destroying it ends what runs. Loop thread.
#pragma once

#include <cstdint>
#include <functional>

#include "base/error.h"

namespace headrace::client {

class Estimator {
 public:
  virtual ~Estimator() = default;
  // The size in KiB (negative: see wire/sendsize.h), or why there is none: a sentence.
  using Each = std::move_only_function<void(int level, base::Result<int64_t> kib)>;
  // `each` comes once a level, later; then `done`, in which the estimator may be destroyed.
  virtual void start(Each each, std::move_only_function<void()> done) = 0;
};

}  // namespace headrace::client
