// Every bound of the data plane, in one place.
#pragma once

#include <cstddef>
#include <cstdint>

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
// A Throttle grants in turns: so many a second to all flows together, none smaller than this unless the rate
// is so low, and none larger than a quantum.
inline constexpr uint64_t kThrottleTurnsPerSecond = 64;
inline constexpr size_t kLeastThrottleGrantBytes = size_t{16} << 10U;
// What a Throttle saves up while its flows have nothing to move: the rate's bytes of this part of a second.
inline constexpr uint64_t kThrottleBurstsPerSecond = 16;
// Above this a rate is no limit on any machine; keeps sums in range.
inline constexpr uint64_t kMaxThrottleRate = uint64_t{1} << 50U;

}  // namespace headrace::flow
