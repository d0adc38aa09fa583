// Turns are fair by bytes: equal flows get equal shares at any number, whatever pieces their ends like, and a
// fast flow neither starves a slow one nor waits for it. On virtual time, so the figures are always the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "flow/pump.h"
#include "sim/random.h"
#include "sim/sim_loop.h"

namespace headrace::flow {
namespace {

using loop::IoResult;
using loop::IoState;
using sim::SimLoop;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Always has something, `piece` bytes a read.
class Spring : public loop::Readable {
 public:
  explicit Spring(size_t piece) : piece_(piece) {}
  IoResult read(base::MutableBytes into) override { return {IoState::moved, std::min(into.size(), piece_)}; }
  void await_readable(loop::Ready) override { ADD_FAILURE() << "a spring never runs dry"; }
  base::Error error() const override { return {base::ErrorKind::cancelled, "closed"}; }
  void close_read() override {}

 private:
  const size_t piece_;
};

// Takes `piece` bytes a write. With a rate it takes no more than that, and is ready again every millisecond.
class Drain : public loop::Writable {
 public:
  Drain(SimLoop& loop, size_t piece, uint64_t bytes_per_second)
      : loop_(loop), piece_(piece), rate_(bytes_per_second) {}
  IoResult write(std::span<const iovec> pieces) override {
    size_t room = piece_;
    if (rate_ != 0) {
      const auto passed = loop_.clock().now().time_since_epoch();
      const auto allowed =
          static_cast<uint64_t>(std::chrono::duration<double>(passed).count() * static_cast<double>(rate_));
      room = std::min(room, static_cast<size_t>(allowed - std::min(allowed, taken)));
    }
    size_t offered = 0;
    for (const iovec& piece : pieces) offered += piece.iov_len;
    const size_t some = std::min(offered, room);
    taken += some;
    return some > 0 ? IoResult{IoState::moved, some} : IoResult{IoState::wait, 0};
  }
  void await_writable(loop::Ready ready) override { timer_ = loop_.after(milliseconds(1), std::move(ready)); }
  base::Error error() const override { return {base::ErrorKind::cancelled, "closed"}; }
  void finish(std::move_only_function<void(base::Result<>)>) override {}
  void abandon() override {}
  uint64_t taken = 0;

 private:
  SimLoop& loop_;
  const size_t piece_;
  const uint64_t rate_;
  std::unique_ptr<loop::Timer> timer_;
};

struct Flow {
  Flow(SimLoop& loop, size_t in_piece, size_t out_piece, uint64_t rate = 0)
      : spring(in_piece), drain(loop, out_piece, rate), pump(loop, spring, drain, small()) {
    pump.start([](const base::Result<>&) {});
  }
  static PumpOptions small() {
    PumpOptions options;
    options.budget_bytes = kQuantumBytes;
    return options;
  }
  Spring spring;
  Drain drain;
  Pump pump;
};

double jain(const std::vector<std::unique_ptr<Flow>>& flows) {
  double sum = 0;
  double squares = 0;
  for (const auto& flow : flows) {
    const auto taken = static_cast<double>(flow->drain.taken);
    sum += taken;
    squares += taken * taken;
  }
  return sum * sum / (static_cast<double>(flows.size()) * squares);
}

TEST(Fairness, EqualFlowsGetEqualShares) {
  for (const size_t count : {size_t{3}, size_t{512}}) {
    SimLoop loop;
    std::vector<std::unique_ptr<Flow>> flows;
    for (size_t i = 0; i < count; ++i) flows.push_back(std::make_unique<Flow>(loop, 100'000, 100'000));
    ASSERT_TRUE(loop.run_until([&] { return flows[count / 2]->drain.taken >= 10 * kQuantumBytes; }));
    EXPECT_GE(jain(flows), 0.99) << count;
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    for (const auto& flow : flows) {
      least = std::min(least, flow->drain.taken);
      most = std::max(most, flow->drain.taken);
    }
    EXPECT_LE(most - least, 2 * kQuantumBytes) << count;
  }
}

TEST(Fairness, WhatPiecesTheEndsLikeDoesNotMatter) {
  for (const size_t count : {size_t{3}, size_t{512}}) {
    SimLoop loop;
    sim::Random random(7);
    std::vector<std::unique_ptr<Flow>> flows;
    for (size_t i = 0; i < count; ++i) {
      flows.push_back(
          std::make_unique<Flow>(loop, random.between(3000, 1'000'000), random.between(3000, 1'000'000)));
    }
    ASSERT_TRUE(loop.run_until([&] { return flows[count / 2]->drain.taken >= 10 * kQuantumBytes; }));
    EXPECT_GE(jain(flows), 0.95) << count;
  }
}

TEST(Fairness, AFastFlowBesideSlowOnes) {
  // What the fast one moves in a time does not depend on how many slow ones there are, nor theirs on it.
  constexpr uint64_t kFast = 200'000'000;
  constexpr uint64_t kSlow = 100'000;
  for (const size_t slow_ones : {size_t{0}, size_t{2}, size_t{511}}) {
    SimLoop loop;
    Flow fast(loop, 1'000'000, 1'000'000, kFast);
    std::vector<std::unique_ptr<Flow>> flows;
    for (size_t i = 0; i < slow_ones; ++i)
      flows.push_back(std::make_unique<Flow>(loop, 10'000, 10'000, kSlow));
    loop.advance(seconds(2));
    EXPECT_NEAR(static_cast<double>(fast.drain.taken), 2.0 * kFast, kFast / 500.0) << slow_ones;
    for (const auto& flow : flows)
      EXPECT_NEAR(static_cast<double>(flow->drain.taken), 2.0 * kSlow, kSlow / 500.0);
    if (slow_ones > 0) EXPECT_GE(jain(flows), 0.999);
    EXPECT_GE(fast.pump.meter().snapshot().blocked, milliseconds(1900));
  }
}

}  // namespace
}  // namespace headrace::flow
