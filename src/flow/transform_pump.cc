#include "flow/transform_pump.h"

#include <array>
#include <optional>

#include "base/alive.h"

namespace headrace::flow {

using base::Error;
using base::Result;
using loop::IoState;

namespace {

// One output: text that gathers, text on offer to the sink, and how the sink ended.
struct Output {
  loop::Writable* sink = nullptr;
  std::string gathering;
  std::string offered;
  size_t taken = 0;
  bool awaiting = false;
  bool done = true;
  bool broken = false;

  size_t held() const { return gathering.size() + offered.size() - taken; }
  bool full() const { return !broken && held() >= kTransformBudgetBytes; }
};

}  // namespace

class TransformPump::Impl {
 public:
  Impl(loop::Loop& loop, loop::Readable& source, Transform& transform, loop::Writable& first,
       loop::Writable* second)
      : loop_(loop), source_(source), transform_(transform), input_(kQuantumBytes / 4) {
    outputs_[0].sink = &first;
    outputs_[1].sink = second;
  }

  ~Impl() {
    if (!started_ || reported_) return;
    if (!source_ended_) source_.close_read();
    for (auto& output : outputs_) {
      if (!output.done && !output.broken) output.sink->abandon();
    }
  }

  void start(Pump::Done done) {
    done_ = std::move(done);
    started_ = true;
    for (auto& output : outputs_) output.done = output.sink == nullptr;
    schedule();
  }

  uint64_t bytes_in() const { return bytes_in_; }

 private:
  void schedule() {
    if (scheduled_) return;
    scheduled_ = true;
    loop_.post_turn([this, alive = alive_.ref()] {
      if (alive.expired()) return;
      scheduled_ = false;
      turn();
    });
  }

  void turn() {
    size_t moved = 0;
    bool progress = true;
    while (progress) {
      progress = false;
      if (const size_t n = read_some(); n > 0) {
        moved += n;
        progress = true;
      }
      for (auto& output : outputs_) progress = write_some(output) || progress;
      if (moved >= kQuantumBytes) return schedule();
    }
    if (!source_ended_) return;
    for (auto& output : outputs_) finish_when_empty(output);
    report_when_done();
  }

  size_t read_some() {
    if (source_ended_ || awaiting_source_ || outputs_[0].full() || outputs_[1].full()) return 0;
    const auto result = source_.read({input_.data(), input_.size()});
    switch (result.state) {
      case IoState::wait:
        awaiting_source_ = true;
        source_.await_readable([this, alive = alive_.ref()] {
          if (alive.expired()) return;
          awaiting_source_ = false;
          turn();
        });
        return 0;
      case IoState::failed:
        source_ended_ = true;
        for (auto& output : outputs_) {
          if (!output.done) break_output(output, source_.error());
        }
        source_.close_read();
        return 1;
      case IoState::end:
        source_ended_ = true;
        source_.close_read();
        transform_.end(outputs_[0].gathering, outputs_[1].gathering);
        return 1;
      case IoState::moved:
        break;
    }
    bytes_in_ += result.bytes;
    transform_.feed({input_.data(), result.bytes}, outputs_[0].gathering, outputs_[1].gathering);
    for (auto& output : outputs_) {
      if (output.sink == nullptr || output.broken) output.gathering.clear();
    }
    return result.bytes;
  }

  bool write_some(Output& output) {
    if (output.sink == nullptr || output.broken || output.awaiting || output.held() == 0) return false;
    if (output.taken == output.offered.size()) {
      output.offered = std::exchange(output.gathering, {});
      output.taken = 0;
    }
    const iovec piece{output.offered.data() + output.taken, output.offered.size() - output.taken};
    const auto result = output.sink->write({&piece, 1});
    if (result.state == IoState::moved) {
      output.taken += result.bytes;
      return true;
    }
    if (result.state == IoState::wait) {
      output.awaiting = true;
      output.sink->await_writable([this, &output, alive = alive_.ref()] {
        if (alive.expired()) return;
        output.awaiting = false;
        turn();
      });
      return false;
    }
    break_output(output, output.sink->error());
    return true;  // the source may have waited for this one
  }

  void break_output(Output& output, Error error) {
    if (!failure_) failure_ = std::move(error);
    output.sink->abandon();
    output.broken = true;
    output.done = true;
    output.gathering.clear();
    output.offered.clear();
    output.taken = 0;
  }

  void finish_when_empty(Output& output) {
    if (output.done || output.awaiting || output.held() > 0) return;
    output.awaiting = true;  // for the outcome of finish()
    output.sink->finish([this, &output, alive = alive_.ref()](Result<> outcome) {
      if (alive.expired()) return;
      output.awaiting = false;
      output.done = true;
      if (!outcome && !failure_) failure_ = std::move(outcome).error();
      report_when_done();
    });
  }

  void report_when_done() {
    if (reported_ || !outputs_[0].done || !outputs_[1].done) return;
    reported_ = true;
    loop_.post([this, alive = alive_.ref()] {
      if (alive.expired()) return;
      auto done = std::exchange(done_, nullptr);
      done(failure_ ? Result<>(std::unexpected(*failure_)) : Result<>());
    });
  }

  loop::Loop& loop_;
  loop::Readable& source_;
  Transform& transform_;
  Pump::Done done_;
  std::vector<std::byte> input_;
  std::array<Output, 2> outputs_;
  std::optional<Error> failure_;
  uint64_t bytes_in_ = 0;
  bool started_ = false;
  bool scheduled_ = false;
  bool awaiting_source_ = false;
  bool source_ended_ = false;
  bool reported_ = false;
  base::Alive alive_;
};

TransformPump::TransformPump(loop::Loop& loop, loop::Readable& source, Transform& transform,
                             loop::Writable& first, loop::Writable* second)
    : impl_(std::make_unique<Impl>(loop, source, transform, first, second)) {}
TransformPump::~TransformPump() = default;
void TransformPump::start(Pump::Done done) { impl_->start(std::move(done)); }
uint64_t TransformPump::bytes_in() const { return impl_->bytes_in(); }

}  // namespace headrace::flow
