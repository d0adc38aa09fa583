#include "server/observe/experiment.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/alive.h"

namespace headrace::observe {

using base::Result;

namespace {

// Well below what a run takes for the end of an experiment (kControlIdle).
constexpr base::Duration kMostSilence = std::chrono::seconds(5);

}  // namespace

std::vector<std::vector<size_t>> phases_of(size_t dumps, bool pairs) {
  std::vector<std::vector<size_t>> out;
  std::vector<size_t> all;
  for (size_t i = 0; i < dumps; ++i) all.push_back(i);
  if (dumps > 1) out.push_back(all);
  for (size_t i = 0; i < dumps; ++i) out.push_back({i});
  // Two dumps together are the pair.
  if (!pairs || dumps < 3) return out;
  for (size_t a = 0; a < dumps; ++a)
    for (size_t b = a + 1; b < dumps; ++b) out.push_back({a, b});
  return out;
}

base::Duration duration_of(size_t dumps, const ExperimentOptions& options) {
  const auto phases = static_cast<int64_t>(phases_of(dumps, options.pairs).size());
  return (options.settle + options.measure) * phases * options.rounds;
}

class Experiment::Impl {
 public:
  Impl(loop::Loop& loop, Bench& bench, size_t dumps, ExperimentOptions options)
      : loop_(loop),
        bench_(bench),
        dumps_(dumps),
        options_(options),
        settle_(options.settle),
        ended_(dumps, false) {}

  void start(Phase phase, Done done) {
    phase_ = std::move(phase);
    done_ = std::move(done);
    begin_round(1);
  }

  void stop(base::Error why) {
    if (!done_ || closing_) return;
    if (outcome_.ended) outcome_.ended = std::unexpected(std::move(why));
    // The bench does one thing at a time.
    if (!asking_) open_all();
  }

 private:
  // Every other round runs backwards: what drifts with time then leans neither way.
  void begin_round(int round) {
    round_ = round;
    waiting_ = phases_of(dumps_, options_.pairs);
    if (round % 2 == 1) std::ranges::reverse(waiting_);
    next_phase();
  }

  bool can_be_measured(const std::vector<size_t>& open) const {
    return std::ranges::none_of(open, [this](size_t i) { return ended_[i]; });
  }

  void next_phase() {
    while (!waiting_.empty() && !can_be_measured(waiting_.back())) waiting_.pop_back();
    if (waiting_.empty()) {
      if (round_ >= options_.rounds || std::ranges::all_of(ended_, [](bool ended) { return ended; }))
        return open_all();
      return begin_round(round_ + 1);
    }
    open_ = std::move(waiting_.back());
    waiting_.pop_back();
    phase_(round_, open_);
    bench_.open_only(open_, guarded<Result<>>([this](Result<> set) {
                       if (!set) return stop(std::move(set).error());
                       pass(settle_, [this] { begin_counting(); });
                     }));
  }

  // Lets time pass, but never so long in silence that the bench might think we are gone.
  void pass(base::Duration span, std::move_only_function<void()> then) {
    if (span <= kMostSilence) {
      timer_ = loop_.after(span, std::move(then));
      return;
    }
    timer_ = loop_.after(kMostSilence, [this, span, then = std::move(then)]() mutable {
      bench_.count(guarded<Result<BenchCounts>>(
          [this, span, then = std::move(then)](Result<BenchCounts> counts) mutable {
            if (!counts) return stop(std::move(counts).error());
            pass(span - kMostSilence, std::move(then));
          }));
    });
  }

  void begin_counting() {
    bench_.count(guarded<Result<BenchCounts>>([this](Result<BenchCounts> counts) {
      if (!counts) return stop(std::move(counts).error());
      before_ = std::move(*counts);
      pass(options_.measure, [this] { end_counting(); });
    }));
  }

  void end_counting() {
    bench_.count(guarded<Result<BenchCounts>>([this](Result<BenchCounts> counts) {
      if (!counts) return stop(std::move(counts).error());
      take(*counts);
      next_phase();
    }));
  }

  // A phase in which a dump ended says nothing.
  void take(const BenchCounts& now) {
    for (size_t i = 0; i < dumps_; ++i) ended_[i] = !now.dumps.at(i).runs || !before_.dumps.at(i).runs;
    if (!can_be_measured(open_)) return;
    Measured measured{.round = round_};
    for (const size_t i : open_) {
      const auto& then = before_.dumps[i];
      const auto& at_end = now.dumps[i];
      const double us = then.at_ms && at_end.at_ms
                            ? 1e3 * (static_cast<double>(*at_end.at_ms) - static_cast<double>(*then.at_ms))
                            : static_cast<double>(now.now_us - before_.now_us);
      if (us <= 0) return;  // nothing was heard of it
      // A dump that was begun again counts from 0.
      const auto grown = [](uint64_t from, uint64_t to) {
        return static_cast<double>(to < from ? 0 : to - from);
      };
      measured.rates.push_back({i, grown(then.bytes, at_end.bytes) * 1e6 / us,
                                std::min(1.0, grown(then.starved_ms, at_end.starved_ms) * 1e3 / us),
                                std::min(1.0, grown(then.blocked_ms, at_end.blocked_ms) * 1e3 / us),
                                at_end.verdict, now.starved_by, now.blocked_by,
                                std::min(1.0, grown(then.throttled_ms, at_end.throttled_ms) * 1e3 / us)});
    }
    for (const auto& rate : measured.rates) settle_longer(rate.bytes_per_second);
    outcome_.taken.push_back(std::move(measured));
  }

  void settle_longer(double bytes_per_second) {
    const double seconds = static_cast<double>(kInFlightBytes) / std::max(bytes_per_second, 1.0);
    const double most = std::chrono::duration<double>(kMostSettle).count();
    const auto wanted =
        std::chrono::duration_cast<base::Duration>(std::chrono::duration<double>(std::min(seconds, most)));
    settle_ = std::max(settle_, wanted);
  }

  void open_all() {
    closing_ = true;
    timer_.reset();
    std::vector<size_t> all;
    for (size_t i = 0; i < dumps_; ++i) all.push_back(i);
    bench_.open_only(all, [this, alive = alive_.ref()](Result<> opened) {
      if (alive.expired()) return;
      if (!opened && outcome_.ended) outcome_.ended = std::move(opened);
      auto done = std::exchange(done_, nullptr);
      done(std::move(outcome_));
    });
  }

  // For answers of the bench.
  template <class T, class F>
  std::move_only_function<void(T)> guarded(F then) {
    asking_ = true;
    return [this, alive = alive_.ref(), then = std::move(then)](T value) mutable {
      if (alive.expired()) return;
      asking_ = false;
      if (!outcome_.ended) return open_all();
      then(std::move(value));
    };
  }

  loop::Loop& loop_;
  Bench& bench_;
  const size_t dumps_;
  const ExperimentOptions options_;
  base::Duration settle_;
  Phase phase_;
  Done done_;
  std::vector<bool> ended_;
  int round_ = 0;
  std::vector<std::vector<size_t>> waiting_;  // phases of this round, the next one last
  std::vector<size_t> open_;
  BenchCounts before_;
  Outcome outcome_;
  bool asking_ = false;
  bool closing_ = false;
  std::unique_ptr<loop::Timer> timer_;
  base::Alive alive_;
};

Experiment::Experiment(loop::Loop& loop, Bench& bench, size_t dumps, ExperimentOptions options)
    : impl_(std::make_unique<Impl>(loop, bench, dumps, options)) {}
Experiment::~Experiment() = default;
void Experiment::start(Phase phase, Done done) { impl_->start(std::move(phase), std::move(done)); }
void Experiment::stop(base::Error why) { impl_->stop(std::move(why)); }

}  // namespace headrace::observe
