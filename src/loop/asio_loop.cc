#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "base/fd.h"
#include "loop/callback_queue.h"
#include "loop/lane_pool.h"
#include "loop/loop.h"
#include "loop/signals.h"

// The only source that includes Asio. Each object handed out is a small handle; what Asio's handlers hold is
// shared with it, since a handler may still be queued when the handle is gone.

namespace headrace::loop {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// Asio adds the delay to the current time; this keeps the sum in range.
constexpr base::Duration kLongestDelay = std::chrono::hours(24 * 365 * 20);
// Threads for name lookups, which may hang for long when a name server is dead.
constexpr unsigned kNameThreads = static_cast<unsigned>(kNameLanes);
// Turns taken before descriptors and timers are looked at again, and how many of those before the next turns.
constexpr int kTurnsPerRound = 4;
constexpr int kHandlersPerRound = 64;

// Memory for one operation of Asio at a time, so that waiting for a descriptor allocates nothing. An
// operation gives it back before its handler runs, and the handler may then begin the next one.
class OperationMemory {
 public:
  void* take(size_t bytes) {
    if (taken_ || bytes > memory_.size()) return ::operator new(bytes);
    taken_ = true;
    return memory_.data();
  }
  void give_back(void* memory) {
    if (memory != memory_.data()) return ::operator delete(memory);
    taken_ = false;
  }

 private:
  alignas(std::max_align_t) std::array<std::byte, 192> memory_;
  bool taken_ = false;
};

template <typename T>
class OperationAllocator {
 public:
  using value_type = T;
  explicit OperationAllocator(OperationMemory& memory) : memory_(&memory) {}
  template <typename U>
  OperationAllocator(const OperationAllocator<U>& other) : memory_(other.memory_) {}
  T* allocate(size_t count) { return static_cast<T*>(memory_->take(count * sizeof(T))); }
  void deallocate(T* memory, size_t) { memory_->give_back(memory); }
  bool operator==(const OperationAllocator&) const = default;

 private:
  template <typename U>
  friend class OperationAllocator;
  OperationMemory* memory_;
};

class AsioTimer : public Timer {
 public:
  // Shared with the handler in flight.
  struct State {
    explicit State(asio::io_context& context) : timer(context) {}
    asio::steady_timer timer;
    Callback callback;
  };

  AsioTimer(asio::io_context& context, base::Duration delay, Callback callback)
      : state_(std::make_shared<State>(context)) {
    state_->callback = std::move(callback);
    state_->timer.expires_after(std::clamp(delay, base::Duration::zero(), kLongestDelay));
    state_->timer.async_wait([state = state_](const error_code&) {
      // Empty when cancelled: an error code cannot tell, as the timer may expire before it is cancelled.
      if (Callback due = std::exchange(state->callback, nullptr)) due();
    });
  }
  ~AsioTimer() override {
    const Callback dropped = std::exchange(state_->callback, nullptr);
    state_->timer.cancel();
  }

 private:
  std::shared_ptr<State> state_;
};

// One direction is armed at most once with Asio; a later await only exchanges the callback.
struct WatchState : std::enable_shared_from_this<WatchState> {
  using Descriptor = asio::posix::basic_stream_descriptor<asio::io_context::executor_type>;
  explicit WatchState(asio::io_context& context) : descriptor(context) {}

  struct Direction {
    Callback callback;
    bool armed = false;
    OperationMemory memory;
  };

  void await(Direction& direction, Descriptor::wait_type type, Callback ready) {
    const Callback replaced = std::exchange(direction.callback, std::move(ready));
    if (direction.armed || !direction.callback) return;
    direction.armed = true;
    // The error code is dropped: whoever then reads or writes the descriptor sees what is wrong.
    auto handler = [self = shared_from_this(), &direction](const error_code&) {
      direction.armed = false;
      if (Callback due = std::exchange(direction.callback, nullptr)) due();
    };
    descriptor.async_wait(
        type, asio::bind_allocator(OperationAllocator<std::byte>(direction.memory), std::move(handler)));
  }
  void drop_callbacks() {
    const Callback dropped_read = std::exchange(read.callback, nullptr);
    const Callback dropped_write = std::exchange(write.callback, nullptr);
  }

  Descriptor descriptor;
  Direction read;
  Direction write;
};

class AsioWatch : public Watch {
 public:
  AsioWatch(std::shared_ptr<WatchState> state, std::set<WatchState*>& living)
      : state_(std::move(state)), living_(living) {
    living_.insert(state_.get());
  }
  ~AsioWatch() override {
    living_.erase(state_.get());
    state_->drop_callbacks();
    // Takes the descriptor from Asio without closing it; handlers in flight then do nothing.
    if (state_->descriptor.is_open()) state_->descriptor.release();
  }
  void await_readable(Callback ready) override {
    state_->await(state_->read, WatchState::Descriptor::wait_read, std::move(ready));
  }
  void await_writable(Callback ready) override {
    state_->await(state_->write, WatchState::Descriptor::wait_write, std::move(ready));
  }

 private:
  std::shared_ptr<WatchState> state_;
  std::set<WatchState*>& living_;
};

class AsioLoop : public Loop {
 public:
  explicit AsioLoop(unsigned workers)
      : owner_(std::this_thread::get_id()),
        context_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO),  // one thread runs it, others may post
        guard_(asio::make_work_guard(context_)),
        probe_(epoll_create1(EPOLL_CLOEXEC)),
        workers_(workers),
        name_workers_(kNameThreads) {}
  ~AsioLoop() override {
    workers_.end();
    name_workers_.end();
    // A callback may own its own watch (a child being reaped); nothing would ever end that circle.
    while (!living_watches_.empty()) {
      const std::shared_ptr<WatchState> state = (*living_watches_.begin())->shared_from_this();
      living_watches_.erase(living_watches_.begin());
      state->drop_callbacks();
    }
    while (!posted_.empty()) posted_.pop();
    while (!turns_.empty()) turns_.pop();
  }

  const base::Clock& clock() const override { return clock_; }

  void post(Callback callback) override {
    if (std::this_thread::get_id() == owner_) return posted_.push(std::move(callback));
    asio::post(context_, [due = std::move(callback)]() mutable { due(); });
  }
  void post_turn(Callback turn) override { turns_.push(std::move(turn)); }

  std::unique_ptr<Timer> after(base::Duration delay, Callback callback) override {
    return std::make_unique<AsioTimer>(context_, delay, std::move(callback));
  }

  base::Result<std::unique_ptr<Watch>> watch(int fd) override {
    // Asio takes descriptors that epoll refuses, and then fails silently.
    epoll_event event{};
    if (epoll_ctl(probe_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      return base::fail_errno("wait for descriptor " + std::to_string(fd));
    }
    epoll_ctl(probe_.get(), EPOLL_CTL_DEL, fd, &event);
    // Asio would do so with the first wait only, and a caller may read or write before.
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
      return base::fail_errno("make descriptor " + std::to_string(fd) + " nonblocking");
    }
    auto state = std::make_shared<WatchState>(context_);
    error_code error;
    state->descriptor.assign(fd, error);
    if (error) return base::fail_errno("wait for descriptor " + std::to_string(fd), error.value());
    return std::make_unique<AsioWatch>(std::move(state), living_watches_);
  }

  void offload(uint64_t lane, Callback work, Callback done) override {
    LanePool& pool = lane < kNameLanes ? name_workers_ : workers_;
    pool.add(
        lane,
        [this, work = std::move(work), done = std::move(done)]() mutable {
          work();
          // `work` goes along, so that what it holds dies on the loop's thread.
          post([work = std::move(work), done = std::move(done)]() mutable { done(); });
        },
        LanePool::Fate::may_be_dropped);
  }
  void offload_surely(uint64_t lane, Callback work) override {
    workers_.add(lane, std::move(work), LanePool::Fate::must_run);
  }
  uint64_t new_lane() override { return next_lane_++; }

  void run() override {
    owner_ = std::this_thread::get_id();
    while (!context_.stopped()) {
      if (posted_.empty() && turns_.empty()) context_.run_one();
      for (int i = 0; i < kHandlersPerRound && context_.poll_one() > 0; ++i) {
      }
      for (int i = 0; i < kTurnsPerRound && !turns_.empty() && !context_.stopped(); ++i) {
        turns_.pop()();
      }
      // What is posted meanwhile waits for the next round, behind what descriptors and timers have to say.
      for (size_t left = posted_.size(); left > 0 && !context_.stopped(); --left) posted_.pop()();
    }
    context_.restart();
  }
  void stop() override { context_.stop(); }

  asio::io_context& context() { return context_; }

 private:
  base::SystemClock clock_;
  std::atomic<std::thread::id> owner_;  // the loop's thread
  std::set<WatchState*> living_watches_;
  CallbackQueue posted_;
  CallbackQueue turns_;
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  base::Fd probe_;  // an epoll instance that only says whether a descriptor can be waited for
  std::atomic<uint64_t> next_lane_ = kNameLanes;
  LanePool workers_;
  LanePool name_workers_;
};

class AsioSignals : public Signals {
 public:
  struct State : std::enable_shared_from_this<State> {
    explicit State(asio::io_context& context) : set(context) {}

    // The callback travels in the handler: it may own the Signals, and the context's end must open that
    // circle.
    void arm(std::move_only_function<void(int)> callback) {
      set.async_wait([self = shared_from_this(), callback = std::move(callback)](const error_code& error,
                                                                                 int number) mutable {
        if (error || self->dropped) return;
        callback(number);
        if (!self->dropped) self->arm(std::move(callback));
      });
    }

    asio::signal_set set;
    bool dropped = false;
  };

  explicit AsioSignals(std::shared_ptr<State> state) : state_(std::move(state)) {}
  ~AsioSignals() override {
    state_->dropped = true;
    error_code ignored;           // neither can fail for a set that was filled
    state_->set.clear(ignored);   // gives the signals back, but leaves the handler waiting
    state_->set.cancel(ignored);  // ends it, and with it its hold on the state
  }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace

std::unique_ptr<Loop> make_loop(unsigned workers) {
  // A peer that closes is an error of one stream, not the end of the process.
  signal(SIGPIPE, SIG_IGN);
  return std::make_unique<AsioLoop>(workers);
}

std::unique_ptr<Signals> on_signals(Loop& loop, std::initializer_list<int> numbers,
                                    std::move_only_function<void(int)> callback) {
  auto* real = dynamic_cast<AsioLoop*>(&loop);
  HEADRACE_CHECK(real != nullptr);
  auto state = std::make_shared<AsioSignals::State>(real->context());
  for (const int number : numbers) {
    error_code error;
    state->set.add(number, error);
    HEADRACE_CHECK(!error);  // only a number that is no signal
  }
  state->arm(std::move(callback));
  return std::make_unique<AsioSignals>(std::move(state));
}

}  // namespace headrace::loop
