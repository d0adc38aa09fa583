#include "flow/pump.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "base/alive.h"
#include "flow/probes.h"

namespace headrace::flow {

using base::Error;
using base::ErrorKind;
using base::Result;
using loop::IoState;

class Pump::Impl final : private Throttle::Waiter {
 public:
  Impl(loop::Loop& loop, loop::Readable& source, loop::Writable& sink, PumpOptions options)
      : loop_(loop), source_(source), sink_(sink), options_(std::move(options)), meter_(loop.clock()) {}

  ~Impl() { let_go(); }

  void start(Done done) {
    HEADRACE_CHECK(state_ == State::idle && options_.budget_bytes > 0);
    done_ = std::move(done);
    splicing_ = options_.allow_splice && taps_.empty() && source_.splice_fd() >= 0 && sink_.splice_fd() >= 0;
    meter_.note_splicing(splicing_);
    straight_ = source_.reads_at_once() && sink_.writes_at_once();
    if (!splicing_ && !straight_) make_ring();
    state_ = State::running;
    HEADRACE_PROBE(flow__start, this, options_.name.c_str(), splicing_ ? 1 : 0);
    meter_.enter(FlowState::moving);
    schedule();
  }

  void cancel() {
    if (state_ == State::idle || state_ == State::ended) return;
    end(base::fail(ErrorKind::cancelled, "cancelled"));
  }

  std::vector<Tap*> taps_;
  void set_throttle(Throttle& throttle) {
    if (throttle_ == &throttle) return;
    give_grant_back();
    throttle_ = &throttle;
    if (state_ == State::running) schedule();
  }

  Gate* gate_ = nullptr;
  Meter& meter() { return meter_; }
  bool splicing() const { return splicing_; }

 private:
  enum class State : unsigned char { idle, running, finishing, ended };

  void schedule() {
    if (scheduled_) return;
    scheduled_ = true;
    loop_.post_turn([this, alive = alive_.ref()] {
      if (alive.expired()) return;
      scheduled_ = false;
      if (state_ != State::running) return;
      HEADRACE_PROBE(turn__begin, this, options_.name.c_str());
      turn();
    });
  }

  // One turn: moves until both sides wait or the quantum is used up.
  void turn() {
    turn_bytes_ = 0;
    meter_.enter(FlowState::moving);
    while (state_ == State::running) {
      const bool moved = splicing_ ? splice_some() : copy_some();
      if (state_ != State::running) return;
      if (source_ended_ && filled_ == 0) {
        finish();
        return;
      }
      if (!moved) break;
      if (turn_bytes_ >= kQuantumBytes) {
        end_turn(FlowState::moving);
        schedule();
        return;
      }
    }
    end_turn(what_is_awaited());
  }

  bool gate_closed() {
    if (gate_ == nullptr || gate_->open()) return false;
    if (!awaiting_gate_) {
      awaiting_gate_ = true;
      gate_->await_open([this, alive = alive_.ref()] {
        if (alive.expired()) return;
        awaiting_gate_ = false;
        schedule();
      });
    }
    return true;
  }

  // Whether reading must wait for the rate limit; otherwise grant_ says how much may be read.
  bool held_by_throttle() {
    if (throttle_ == nullptr || grant_ > 0) return false;
    if (waiting()) return true;
    grant_ = throttle_->take(*this, kQuantumBytes);
    return grant_ == 0;
  }
  void granted(size_t bytes) override {
    grant_ = bytes;
    schedule();
  }
  void spend(size_t bytes) { grant_ -= std::min(grant_, bytes); }
  size_t allowed() const { return throttle_ == nullptr ? kQuantumBytes : std::min(grant_, kQuantumBytes); }

  void make_ring() { ring_ = std::make_unique_for_overwrite<std::byte[]>(options_.budget_bytes); }

  bool copy_some() {
    if (straight_ && filled_ == 0 && !awaiting_sink_) return copy_straight();
    const bool read = read_some();
    if (state_ != State::running) return false;
    const bool wrote = write_some();
    return read || wrote;
  }

  // The free bytes after the filled ones, up to the ring's end, at most what may be read.
  base::MutableBytes free_space() const {
    const size_t capacity = options_.budget_bytes;
    const size_t begin = (first_ + filled_) % capacity;
    const size_t until = begin >= first_ && filled_ < capacity ? capacity : first_;
    const size_t room = filled_ == capacity ? 0 : until - begin;
    return {ring_.get() + begin, std::min(room, allowed())};
  }

  bool read_some() {
    if (source_ended_ || awaiting_source_) return false;
    // Also for what is on offer already: it stays with the source until the gate opens.
    if (gate_closed()) return false;
    if (filled_ == options_.budget_bytes || held_by_throttle()) return false;
    if (!read_offer_) {
      // Starting over at the front while empty keeps a fast flow in few cache lines.
      if (filled_ == 0 && write_offer_count_ == 0) first_ = 0;
      const auto space = free_space();
      if (space.empty()) return false;
      read_offer_ = space;
    }
    const size_t bytes = read_into(*read_offer_);
    if (bytes == 0 && !source_ended_) return false;
    read_offer_.reset();
    filled_ += bytes;
    return true;
  }

  // 0: nothing came; it ended, failed, or is waited for.
  size_t read_into(base::MutableBytes space) {
    const auto result = source_.read(space);
    switch (result.state) {
      case IoState::wait:
        await_source();
        return 0;
      case IoState::end:
        source_ended_ = true;
        return 0;
      case IoState::failed:
        end(std::unexpected(source_.error()));
        return 0;
      case IoState::moved:
        break;
    }
    for (Tap* tap : taps_) tap->see(space.first(result.bytes));
    spend(result.bytes);
    return result.bytes;
  }

  void await_source() {
    awaiting_source_ = true;
    source_.await_readable([this, alive = alive_.ref()] {
      if (alive.expired()) return;
      awaiting_source_ = false;
      schedule();
    });
  }

  // Through memory that all pumps of the thread share, and which therefore is in the cache; what the sink
  // does not take at once goes into the ring.
  bool copy_straight() {
    if (source_ended_ || awaiting_source_ || gate_closed() || held_by_throttle()) return false;
    thread_local const auto shared = std::make_unique_for_overwrite<std::byte[]>(kQuantumBytes);
    read_offer_.reset();
    const size_t bytes =
        read_into({shared.get(), std::min({kQuantumBytes, options_.budget_bytes, allowed()})});
    if (bytes == 0) return source_ended_;
    for (size_t put = 0; put < bytes;) {
      const iovec piece{shared.get() + put, bytes - put};
      const auto result = sink_.write({&piece, 1});
      if (result.state == IoState::moved) {
        put += result.bytes;
        turn_bytes_ += result.bytes;
        meter_.count(result.bytes);
        continue;
      }
      if (result.state != IoState::wait) {
        end(std::unexpected(sink_.error()));
        return false;
      }
      if (!ring_) make_ring();
      std::copy_n(shared.get() + put, bytes - put, ring_.get());
      first_ = 0;
      filled_ = bytes - put;
      await_sink();
      break;
    }
    return true;
  }

  void offer_to_sink() {
    const size_t straight = std::min(filled_, options_.budget_bytes - first_);
    write_offer_[0] = {ring_.get() + first_, straight};
    write_offer_count_ = 1;
    if (straight < filled_) write_offer_[write_offer_count_++] = {ring_.get(), filled_ - straight};
  }

  bool write_some() {
    if (filled_ == 0 || awaiting_sink_) return false;
    if (write_offer_count_ == 0) offer_to_sink();
    const auto result = sink_.write({write_offer_.data(), write_offer_count_});
    switch (result.state) {
      case IoState::wait:
        await_sink();
        return false;
      case IoState::end:
      case IoState::failed:
        end(std::unexpected(sink_.error()));
        return false;
      case IoState::moved:
        break;
    }
    write_offer_count_ = 0;
    first_ = (first_ + result.bytes) % options_.budget_bytes;
    filled_ -= result.bytes;
    turn_bytes_ += result.bytes;
    meter_.count(result.bytes);
    return true;
  }

  void await_sink() {
    awaiting_sink_ = true;
    sink_.await_writable([this, alive = alive_.ref()] {
      if (alive.expired()) return;
      awaiting_sink_ = false;
      schedule();
    });
  }

  bool splice_some() {
    if (source_ended_ || awaiting_source_ || awaiting_sink_ || gate_closed() || held_by_throttle())
      return false;
    const ssize_t n = ::splice(source_.splice_fd(), nullptr, sink_.splice_fd(), nullptr, allowed(),
                               SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (n > 0) {
      turn_bytes_ += static_cast<size_t>(n);
      spend(static_cast<size_t>(n));
      meter_.count(static_cast<uint64_t>(n));
      return true;
    }
    if (n == 0) {
      source_ended_ = true;
      return true;
    }
    if (errno == EINTR) return true;
    if (errno == EINVAL) {
      // Neither end is a pipe, or the file system cannot: copy from here on.
      splicing_ = false;
      meter_.note_splicing(false);
      if (!straight_) make_ring();
      return true;
    }
    if (errno != EAGAIN) {
      end(base::fail_errno("splice"));
      return false;
    }
    await_the_unready_side();
    return false;
  }

  // EAGAIN does not say which side it was.
  void await_the_unready_side() {
    pollfd side{source_.splice_fd(), POLLIN, 0};
    if (::poll(&side, 1, 0) == 0) return await_source();
    await_sink();
  }

  void enter(FlowState state) {
    if (splicing_) {
      meter_.enter(state);
    } else {
      meter_.enter(state, filled_, options_.budget_bytes);
    }
  }

  // What it waits for from here on.
  void end_turn(FlowState state) {
    enter(state);
    [[maybe_unused]] const char* name = options_.name.c_str();
    [[maybe_unused]] const uint64_t bytes = meter_.bytes();
    HEADRACE_PROBE(turn__end, this, name, turn_bytes_);
    switch (state) {
      case FlowState::blocked:
        HEADRACE_PROBE(wait__sink, this, name, bytes);
        break;
      case FlowState::gated:
        HEADRACE_PROBE(wait__gate, this, name, bytes, gate_);
        break;
      case FlowState::throttled:
        HEADRACE_PROBE(wait__throttle, this, name, bytes, throttle_);
        break;
      case FlowState::starved:
        HEADRACE_PROBE(wait__source, this, name, bytes);
        break;
      case FlowState::moving:
        HEADRACE_PROBE(wait__turn, this, name, bytes);
        break;
      case FlowState::idle:
      case FlowState::ended:
        break;
    }
  }

  FlowState what_is_awaited() const {
    if (awaiting_sink_) return FlowState::blocked;
    if (awaiting_gate_ && !awaiting_source_) return FlowState::gated;
    if (waiting() && !awaiting_source_) return FlowState::throttled;
    return FlowState::starved;
  }

  void finish() {
    state_ = State::finishing;
    source_.close_read();
    give_grant_back();
    if (!options_.finish_sink) {
      state_ = State::ended;
      report({});
      return;
    }
    end_turn(FlowState::blocked);
    sink_.finish([this, alive = alive_.ref()](Result<> outcome) {
      if (alive.expired() || state_ != State::finishing) return;
      state_ = State::ended;
      report(std::move(outcome));
    });
  }

  void let_go() {
    give_grant_back();
    if (state_ == State::running) source_.close_read();
    if (state_ == State::running || state_ == State::finishing) sink_.abandon();
    state_ = State::ended;
  }

  void give_grant_back() {
    leave_queue();
    if (grant_ > 0) throttle_->give_back(std::exchange(grant_, 0));
  }

  void end(Result<> outcome) {
    let_go();
    report(std::move(outcome));
  }

  void report(Result<> outcome) {
    meter_.enter(FlowState::ended);
    HEADRACE_PROBE(flow__end, this, options_.name.c_str(), meter_.bytes(), outcome ? 1 : 0);
    loop_.post([this, alive = alive_.ref(), outcome = std::move(outcome)]() mutable {
      if (alive.expired()) return;
      auto done = std::move(done_);
      done(std::move(outcome));
    });
  }

  loop::Loop& loop_;
  loop::Readable& source_;
  loop::Writable& sink_;
  PumpOptions options_;
  Meter meter_;
  Done done_;
  State state_ = State::idle;
  bool splicing_ = false;
  bool straight_ = false;  // neither side uses memory once it has answered
  bool scheduled_ = false;
  bool source_ended_ = false;
  bool awaiting_source_ = false;
  bool awaiting_sink_ = false;
  bool awaiting_gate_ = false;
  size_t turn_bytes_ = 0;
  Throttle* throttle_ = nullptr;
  size_t grant_ = 0;  // what the throttle lets it read

  std::unique_ptr<std::byte[]> ring_;  // made when first needed
  size_t first_ = 0;
  size_t filled_ = 0;
  // Memory a stream was offered and may still be using; offered again unchanged until it moves.
  std::optional<base::MutableBytes> read_offer_;
  std::array<iovec, 2> write_offer_{};
  size_t write_offer_count_ = 0;
  base::Alive alive_;
};

Pump::Pump(loop::Loop& loop, loop::Readable& source, loop::Writable& sink, PumpOptions options)
    : impl_(std::make_unique<Impl>(loop, source, sink, std::move(options))) {}
Pump::~Pump() = default;
void Pump::add_tap(Tap& tap) { impl_->taps_.push_back(&tap); }
void Pump::set_gate(Gate& gate) { impl_->gate_ = &gate; }
void Pump::set_throttle(Throttle& throttle) { impl_->set_throttle(throttle); }
void Pump::start(Done done) { impl_->start(std::move(done)); }
void Pump::cancel() { impl_->cancel(); }
bool Pump::spliced() const { return impl_->splicing(); }
const Meter& Pump::meter() const { return impl_->meter(); }

}  // namespace headrace::flow
