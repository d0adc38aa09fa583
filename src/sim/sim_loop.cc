#include "sim/sim_loop.h"

#include <algorithm>
#include <string>

namespace headrace::sim {

using base::Duration;
using base::Instant;
using loop::Callback;

// So many events without time passing are two parties waking each other for ever.
static constexpr uint64_t kMostEventsOfAMoment = 20'000'000;

class SimLoop::SimTimer : public loop::Timer {
 public:
  SimTimer(SimLoop& loop, Key key) : loop_(loop), key_(key) {}
  // Once it has run, its key names nothing.
  ~SimTimer() override { loop_.events_.erase(key_); }

 private:
  SimLoop& loop_;
  const Key key_;
};

SimLoop::~SimLoop() { drop_events(); }

void SimLoop::drop_events() {
  // One by one, out of the map first: a callback may own timers, which look for themselves in it.
  while (!events_.empty()) events_.extract(events_.begin());
}

SimLoop::Key SimLoop::add(Instant when, Callback callback) {
  const Key key{when, next_event_++};
  events_.emplace(key, std::move(callback));
  return key;
}

Instant SimLoop::after_span(Duration span) const {
  span = std::max(span, Duration::zero());
  return span > Instant::max() - clock_.time ? Instant::max() : clock_.time + span;
}

void SimLoop::post(Callback callback) { add(clock_.time, std::move(callback)); }

std::unique_ptr<loop::Timer> SimLoop::after(Duration delay, Callback callback) {
  return std::make_unique<SimTimer>(*this, add(after_span(delay), std::move(callback)));
}

base::Result<std::unique_ptr<loop::Watch>> SimLoop::watch(int fd) {
  return base::fail(base::ErrorKind::unsupported,
                    "wait for descriptor " + std::to_string(fd) + ": the simulated loop has none");
}

void SimLoop::offload(uint64_t lane, Callback work, Callback done) {
  Instant& free = lane_free_[lane];
  free = std::max(free, clock_.time) + work_duration_;
  add(free, [this, work = std::move(work), done = std::move(done)]() mutable {
    work();
    post([work = std::move(work), done = std::move(done)]() mutable { done(); });
  });
}

bool SimLoop::run_next(Instant limit) {
  if (events_.empty() || events_.begin()->first.first > limit) return false;
  auto event = events_.extract(events_.begin());
  if (event.key().first > clock_.time) {
    clock_.time = event.key().first;
    events_at_this_moment_ = 0;
  }
  ++events_run_;
  HEADRACE_CHECK(++events_at_this_moment_ < kMostEventsOfAMoment);
  event.mapped()();
  return true;
}

void SimLoop::run() {
  while (!stopping_ && run_next(Instant::max())) {
  }
  ran_dry_ = !stopping_;
  stopping_ = false;
}

bool SimLoop::run_until_idle(Duration limit) {
  const Instant last = after_span(limit);
  while (run_next(last)) {
  }
  return events_.empty();
}

void SimLoop::advance(Duration span) {
  const Instant last = after_span(span);
  while (run_next(last)) {
  }
  clock_.time = std::max(clock_.time, last);
}

bool SimLoop::run_for(Duration span) {
  const Instant last = after_span(span);
  while (!stopping_ && run_next(last)) {
  }
  if (std::exchange(stopping_, false)) return true;
  clock_.time = std::max(clock_.time, last);
  return false;
}

bool SimLoop::run_until(const std::function<bool()>& condition, Duration span) {
  const Instant last = after_span(span);
  while (!condition()) {
    if (!run_next(last)) return false;
  }
  return true;
}

}  // namespace headrace::sim
