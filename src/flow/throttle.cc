#include "flow/throttle.h"

#include <algorithm>

#include "flow/limits.h"

namespace headrace::flow {

namespace {

constexpr int64_t kNanosecond = 1'000'000'000;

}  // namespace

void Throttle::Waiter::leave_queue() {
  if (queue_ != nullptr) queue_->remove(*this);
}

Throttle::Throttle(loop::Loop& loop, uint64_t bytes_per_second)
    : loop_(loop), rate_(std::min(bytes_per_second, kMaxThrottleRate)), filled_at_(loop.clock().now()) {}

Throttle::~Throttle() {
  while (first_ != nullptr) remove(*first_);
}

int64_t Throttle::slice() const {
  const auto of_rate = static_cast<int64_t>(rate_ / kThrottleTurnsPerSecond);
  const auto share = of_rate / static_cast<int64_t>(std::max<size_t>(waiting_, 1));
  const auto least = std::min(of_rate, static_cast<int64_t>(kLeastThrottleGrantBytes));
  return std::clamp(share, std::max<int64_t>(least, 1), static_cast<int64_t>(kQuantumBytes));
}

int64_t Throttle::capacity() const {
  return std::max(static_cast<int64_t>(rate_ / kThrottleBurstsPerSecond), slice());
}

void Throttle::refill() {
  const base::Instant now = loop_.clock().now();
  const int64_t room = capacity() - tokens_;
  if (room <= 0) {
    filled_at_ = now;
    return;
  }
  // In whole tokens; the moment kept is that of the last whole one, so that slow rates lose nothing. 128
  // bits: a rate of gigabytes over a day in nanoseconds is beyond 64.
  const auto spent = (now - filled_at_).count();
  const auto rate = static_cast<__int128>(rate_);
  const __int128 earned = rate * spent / kNanosecond;
  if (earned >= room) {
    tokens_ += room;
    filled_at_ = now;
    return;
  }
  tokens_ += static_cast<int64_t>(earned);
  filled_at_ += base::Duration(static_cast<int64_t>(earned * kNanosecond / rate));
}

size_t Throttle::take(Waiter& waiter, size_t wanted) {
  HEADRACE_CHECK(waiter.queue_ == nullptr);
  if (rate_ == 0) return wanted;
  refill();
  if (first_ == nullptr && tokens_ >= slice()) {
    const auto taken = std::min({static_cast<int64_t>(wanted), tokens_, static_cast<int64_t>(kQuantumBytes)});
    tokens_ -= taken;
    return static_cast<size_t>(taken);
  }
  append(waiter);
  arm();
  return 0;
}

void Throttle::give_back(size_t bytes) {
  if (bytes == 0 || rate_ == 0) return;
  tokens_ = std::min(tokens_ + static_cast<int64_t>(bytes), capacity());
  serve();
}

void Throttle::set_rate(uint64_t bytes_per_second) {
  if (rate_ != 0) refill();
  rate_ = std::min(bytes_per_second, kMaxThrottleRate);
  filled_at_ = loop_.clock().now();
  tokens_ = rate_ == 0 ? 0 : std::min(tokens_, capacity());
  timer_.reset();
  serve();
}

void Throttle::serve() {
  if (rate_ != 0) refill();
  while (first_ != nullptr && (rate_ == 0 || tokens_ >= slice())) {
    Waiter& waiter = *first_;
    const int64_t grant = rate_ == 0 ? static_cast<int64_t>(kQuantumBytes) : slice();
    if (rate_ != 0) tokens_ -= grant;
    remove(waiter);
    waiter.granted(static_cast<size_t>(grant));
  }
  arm();
}

void Throttle::arm() {
  if (first_ == nullptr || timer_) return;
  const __int128 missing = std::max<int64_t>(slice() - tokens_, 1);
  const auto rate = static_cast<__int128>(rate_);
  const auto delay = static_cast<int64_t>((missing * kNanosecond + rate - 1) / rate);
  timer_ = loop_.after(base::Duration(delay), [this] {
    timer_.reset();
    serve();
  });
}

void Throttle::append(Waiter& waiter) {
  waiter.queue_ = this;
  waiter.before_ = last_;
  (last_ == nullptr ? first_ : last_->behind_) = &waiter;
  last_ = &waiter;
  ++waiting_;
}

void Throttle::remove(Waiter& waiter) {
  (waiter.before_ == nullptr ? first_ : waiter.before_->behind_) = waiter.behind_;
  (waiter.behind_ == nullptr ? last_ : waiter.behind_->before_) = waiter.before_;
  waiter.queue_ = nullptr;
  waiter.before_ = nullptr;
  waiter.behind_ = nullptr;
  --waiting_;
}

}  // namespace headrace::flow
