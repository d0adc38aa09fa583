// A Loop on virtual time: nothing waits, the clock jumps to the next event, and the same program runs the
// same way every time. Events of one moment run in the order they were asked for. Single thread: post() may
// not be called from another one. There are no descriptors here: watch() answers `unsupported`.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "loop/loop.h"

namespace headrace::sim {

class SimLoop : public loop::Loop {
 public:
  // 2026-01-01 00:00:00 UTC.
  static constexpr int64_t kDefaultWallStart = 1767225600;

  explicit SimLoop(int64_t wall_start_seconds = kDefaultWallStart) : clock_(wall_start_seconds) {}

  // Callbacks not yet called are dropped.
  ~SimLoop() override;

  const base::Clock& clock() const override { return clock_; }
  void post(loop::Callback callback) override;
  [[nodiscard]] std::unique_ptr<loop::Timer> after(base::Duration delay, loop::Callback callback) override;
  [[nodiscard]] base::Result<std::unique_ptr<loop::Watch>> watch(int fd) override;
  // Runs `work` on this thread, in an event of its own, once set_work_duration() has passed since it was
  // offered or since the lane's work before it.
  void offload(uint64_t lane, loop::Callback work, loop::Callback done) override;
  uint64_t new_lane() override { return next_lane_++; }
  // Until stop(), or until nothing is left that could ever happen; see ran_dry().
  void run() override;
  void stop() override { stopping_ = true; }

  // Whether the last run() ended for want of events: in a test that waited for something, a hang.
  bool ran_dry() const { return ran_dry_; }
  // Everything that is due now; time stands still.
  void run_due() { advance(base::Duration::zero()); }
  // Lets time go on until nothing is left to happen, at most for `limit`. False when that was not enough.
  bool run_until_idle(base::Duration limit = std::chrono::hours(24));
  // Lets `span` pass, with all that falls due in it. stop() is not heeded.
  void advance(base::Duration span);
  // As run(), but returns after `span` at the latest. True when stopped.
  bool run_for(base::Duration span);
  // As run_for(), but returns once `condition` holds, looking after each event. True when it holds.
  bool run_until(const std::function<bool()>& condition, base::Duration span = std::chrono::hours(24));

  // The wall clock is set forward or back; the monotonic one goes on.
  void step_wall_clock(int64_t seconds) { clock_.stepped += seconds; }
  void set_work_duration(base::Duration duration) { work_duration_ = duration; }
  // Callbacks not yet called are dropped, with what they own: before something goes that they borrow.
  void drop_events();
  // How many events have run: two runs of one seed agree in it.
  uint64_t events_run() const { return events_run_; }
  size_t events_waiting() const { return events_.size(); }

 private:
  struct SimClock : base::Clock {
    explicit SimClock(int64_t start) : wall_start(start) {}
    base::Instant now() const override { return time; }
    int64_t wall_seconds() const override {
      const auto since = std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch());
      return wall_start + since.count() + stepped;
    }
    base::Instant time{};
    int64_t wall_start;
    int64_t stepped = 0;
  };
  using Key = std::pair<base::Instant, uint64_t>;  // when, and the order of asking
  class SimTimer;

  Key add(base::Instant when, loop::Callback callback);
  // Runs the next event if it is due by `limit`.
  bool run_next(base::Instant limit);
  base::Instant after_span(base::Duration span) const;

  SimClock clock_;
  std::map<Key, loop::Callback> events_;
  std::map<uint64_t, base::Instant> lane_free_;
  base::Duration work_duration_{};
  uint64_t next_event_ = 0;
  uint64_t next_lane_ = loop::kNameLanes;
  uint64_t events_run_ = 0;
  uint64_t events_at_this_moment_ = 0;
  bool stopping_ = false;
  bool ran_dry_ = false;
};

}  // namespace headrace::sim
