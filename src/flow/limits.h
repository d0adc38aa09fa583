// Every bound of the data plane, in one place.
#pragma once

#include <cstddef>

namespace headrace::flow {

// What one pump may hold in memory.
inline constexpr size_t kDefaultBudgetBytes = size_t{1} << 20U;
// What one pump may move before others get their turn.
inline constexpr size_t kQuantumBytes = size_t{256} << 10U;
// Asked of the kernel for pipes between a child and us (F_SETPIPE_SZ); refusals are harmless.
inline constexpr int kPipeBytes = 1 << 20;
// The longest line a LineReader takes before it calls the input bad.
inline constexpr size_t kMaxLineBytes = size_t{64} << 10U;
// What a TextWriter queues before it reports failure instead of growing.
inline constexpr size_t kMaxQueuedTextBytes = size_t{4} << 20U;
// What a TransformPump holds of its output.
inline constexpr size_t kTransformBudgetBytes = size_t{256} << 10U;

}  // namespace headrace::flow
