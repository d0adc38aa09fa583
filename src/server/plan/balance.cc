#include "server/plan/balance.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>
#include <tuple>

#include "base/quote.h"

namespace headrace::plan {
namespace {

// How far the fulls of a night may be from their share before any of them is moved.
constexpr double kTolerance = 0.05;

class Balancer {
 public:
  Balancer(const PlanInputs& inputs, std::vector<Candidate> candidates)
      : inputs_(inputs), limit_(static_cast<uint64_t>(capacity_of_run(inputs.capacity))) {
    slots_.reserve(candidates.size());
    for (auto& candidate : candidates) {
      auto planned = candidate.dump.as;
      slots_.push_back({std::move(candidate), std::move(planned)});
    }
  }

  Balanced run() {
    recount();
    if (limit_ > 0) fit();
    out_.balanced_kib = static_cast<uint64_t>(share_of_a_night());
    make_fulls_early();
    for (auto& slot : slots_) {
      if (slot.state != State::dropped) out_.dumps.push_back(std::move(slot.candidate));
    }
    sort_by_start(out_.dumps);
    return std::move(out_);
  }

 private:
  enum class State : unsigned char { planned, delayed, dropped };
  struct Slot {
    Candidate candidate;
    PlannedLevel planned;  // before anything was moved
    State state = State::planned;
    std::string dropped_because = {};
    int64_t* fulls_of_host = nullptr;  // these three: see count_days()
    int64_t* due_of_host = nullptr;
    int64_t* due = nullptr;
  };

  const PlanDle& dle(const Slot& slot) const { return inputs_.dles[slot.candidate.dump.dle]; }
  std::string name(const Slot& slot) const { return dle(slot).host + ":" + base::quote(dle(slot).disk); }
  static bool is_full(const Slot& slot) {
    return slot.state != State::dropped && slot.candidate.dump.as.level == 0;
  }

  void recount() {
    dumps_ = 0;
    stored_kib_ = fulls_kib_ = 0;
    for (const auto& slot : slots_) count(slot, 1);
  }
  void count(const Slot& slot, int sign) {
    if (slot.state == State::dropped) return;
    const auto& as = slot.candidate.dump.as;
    const uint64_t kib = sign > 0 ? as.stored_kib : ~as.stored_kib + 1;
    dumps_ += static_cast<size_t>(sign);
    stored_kib_ += kib;
    if (as.level == 0) fulls_kib_ += kib;
  }
  uint64_t total() const { return written_kib(inputs_.capacity, dumps_, stored_kib_); }
  bool too_much() const { return total() > limit_; }

  // ---- less ----

  void fit() {
    spare_volumes();
    delay_fulls();
    for (size_t i = slots_.size(); i-- > 0 && too_much();) {
      if (slots_[i].state != State::dropped && slots_[i].candidate.dump.as.level > 0) drop(i, {});
    }
    reinstate();
  }

  // What no volume, or all of a run's, could take alone.
  void spare_volumes() {
    for (size_t i = 0; i < slots_.size(); ++i) {
      auto& slot = slots_[i];
      const uint64_t most = reach(slot);
      if (most == 0 || slot.candidate.dump.as.stored_kib <= most) continue;
      const auto& degraded = slot.candidate.dump.degraded;
      if (slot.candidate.dump.as.level == 0 && degraded && degraded->stored_kib <= most) {
        delay(i);
      } else {
        drop(i, fmt::format(
                    "dump larger than available tape space, {} KB, {}", slot.candidate.dump.as.stored_kib,
                    slot.candidate.dump.as.level == 0 ? "full dump cannot be made" : "cannot be made"));
      }
    }
  }
  uint64_t reach(const Slot& slot) const {
    const auto& capacity = inputs_.capacity;
    const int64_t volumes = dle(slot).splits ? std::max<int64_t>(capacity.volumes, 1) : 1;
    return static_cast<uint64_t>(std::max<int64_t>(capacity.volume_kib, 0)) * static_cast<uint64_t>(volumes);
  }

  void delay_fulls() {
    if (!too_much()) return;
    const auto preserved = preserved_full();
    // The full made last hurts least when it waits; of several of one time, the last to start.
    std::vector<size_t> latest_first;
    for (size_t i = slots_.size(); i-- > 0;) {
      const auto& candidate = slots_[i].candidate;
      if (is_full(slots_[i]) && !candidate.forced && i != preserved && !candidate.last_full.empty())
        latest_first.push_back(i);
    }
    std::ranges::stable_sort(latest_first, std::greater<>(), [this](size_t i) -> const std::string& {
      return slots_[i].candidate.last_full;
    });
    for (const size_t i : latest_first) {
      if (!too_much()) break;
      delay_or_drop(i);
    }
    const bool any_forced =
        std::ranges::any_of(slots_, [](const Slot& slot) { return is_full(slot) && slot.candidate.forced; });
    if (!any_forced) return;
    for (size_t i = slots_.size(); i-- > 0 && too_much();) {
      if (is_full(slots_[i]) && i != preserved) delay_or_drop(i);
    }
  }

  // One full is always made, or the cycle would never go on.
  std::optional<size_t> preserved_full() const {
    std::optional<size_t> best;
    for (size_t i = 0; i < slots_.size(); ++i) {
      const auto& slot = slots_[i];
      if (!is_full(slot)) continue;
      if (slot.candidate.forced) return i;
      const auto rank = [](const Slot& it) {
        return std::tuple(-it.candidate.dump.priority, it.candidate.last_full);
      };
      if (!best || rank(slot) < rank(slots_[*best])) best = i;
    }
    return best;
  }

  void delay_or_drop(size_t index) {
    if (slots_[index].candidate.dump.degraded) {
      delay(index);
    } else {
      drop(index, {});
    }
  }
  void delay(size_t index) {
    auto& slot = slots_[index];
    moves_.push_back({index, slot});
    count(slot, -1);
    slot.state = State::delayed;
    auto instead = *std::exchange(slot.candidate.dump.degraded, std::nullopt);
    instead.reason = {.why = Why::delayed,
                      .days = -slot.candidate.due_in,
                      .saves_kib = static_cast<int64_t>(slot.planned.stored_kib)};
    slot.candidate.dump.as = std::move(instead);
    count(slot, 1);
  }
  void drop(size_t index, std::string because) {
    auto& slot = slots_[index];
    moves_.push_back({index, slot});
    count(slot, -1);
    slot.state = State::dropped;
    slot.dropped_because = std::move(because);
  }

  // What made room for more than was needed is taken back, the last move first.
  void reinstate() {
    std::set<size_t> stays;  // with a later move that is not taken back
    for (auto move = moves_.rbegin(); move != moves_.rend(); ++move) {
      auto& slot = slots_[move->index];
      const uint64_t most = reach(slot);
      const bool tried =
          !stays.contains(move->index) && (most == 0 || move->before.candidate.dump.as.stored_kib < most);
      if (tried) {
        count(slot, -1);
        std::swap(slot, move->before);
        count(slot, 1);
        if (!too_much()) continue;
        count(slot, -1);
        std::swap(slot, move->before);
        count(slot, 1);
      }
      stays.insert(move->index);
    }
    for (const auto& move : moves_) {
      if (stays.erase(move.index) > 0) tell(slots_[move.index]);
    }
  }

  void tell(const Slot& slot) {
    const auto& planned = slot.planned;
    if (slot.state == State::delayed) {
      out_.notes.push_back(
          {false,
           fmt::format("{} {} {} 0 [dumps too big, {} KB, full dump delayed, doing incremental]",
                       dle(slot).host, base::quote(dle(slot).disk), inputs_.timestamp, planned.stored_kib)});
      return;
    }
    std::string why = slot.dropped_because;
    if (why.empty()) {
      why = planned.level == 0
                ? fmt::format("dumps too big, {} KB, but cannot incremental dump {}", planned.stored_kib,
                              slot.candidate.dump.not_degraded)
                : fmt::format("dumps way too big, {} KB, must skip incremental dumps", planned.stored_kib);
    }
    out_.dropped.push_back({slot.candidate.dump.dle, planned.level, std::move(why)});
  }

  // ---- more ----

  double share_of_a_night() const {
    const auto& capacity = inputs_.capacity;
    int64_t runs = capacity.runspercycle;
    if (runs == 0) runs = capacity.dumpcycle_days;
    if (runs < 0) runs = capacity.runs_in_last_cycle;
    runs = std::max<int64_t>(runs, 1);
    double sum = 0;
    for (const auto& slot : slots_) {
      const auto& candidate = slot.candidate;
      if (!candidate.takes_fulls) continue;
      const auto full = static_cast<double>(candidate.full_kib);
      const int64_t cycle = dle(slot).dumpcycle_days;
      if (candidate.only_fulls) {
        sum += full;
      } else if (cycle == 0) {
        sum += full * static_cast<double>(capacity.dumpcycle_days) / static_cast<double>(runs);
      } else if (cycle == capacity.dumpcycle_days) {
        sum += full / static_cast<double>(runs);
      } else {
        sum += full * static_cast<double>(capacity.dumpcycle_days / cycle) / static_cast<double>(runs);
      }
    }
    return sum;
  }

  // How many fulls a host makes tonight, how many of its incrementals are due in full on one day, how many
  // disks of all hosts. Each slot points to what counts for it.
  void count_days() {
    for (auto& slot : slots_) {
      if (slot.state == State::dropped) continue;
      const auto& host = dle(slot).host;
      const int64_t day = slot.candidate.due_in;
      slot.fulls_of_host = &fulls_of_host_[host];
      slot.due_of_host = &due_of_host_[{host, day}];
      slot.due = &due_[day];
      ++*slot.due;
      if (slot.candidate.dump.as.level == 0) {
        ++*slot.fulls_of_host;
        ++fulls_;
      } else {
        ++*slot.due_of_host;
      }
    }
  }

  bool may_be_early(const Slot& slot) const {
    const auto& candidate = slot.candidate;
    if (slot.state != State::planned || candidate.dump.as.level == 0 || !candidate.full) return false;
    if (candidate.due_in <= 0 || candidate.due_in > dle(slot).max_promote_days) return false;
    if (limit_ == 0) return true;
    return written_kib(inputs_.capacity, dumps_,
                       stored_kib_ - candidate.dump.as.stored_kib + candidate.full->stored_kib) <= limit_;
  }

  int64_t score(const Slot& slot) const {
    const int64_t fulls = *slot.fulls_of_host;
    int64_t same_day = *slot.due_of_host;
    if (fulls == 0 && same_day > 1) ++same_day;
    const int64_t squared = fulls * fulls;
    const int64_t crowd = same_day >= squared ? (same_day - squared) * (same_day - squared) : -squared;
    return crowd + inputs_.capacity.dumpcycle_days - slot.candidate.due_in;
  }

  void make_fulls_early() {
    const double share = static_cast<double>(out_.balanced_kib);
    count_days();
    while (share - static_cast<double>(fulls_kib_) > kTolerance * share) {
      std::optional<size_t> best;
      int64_t best_score = 0;
      for (size_t i = 0; i < slots_.size(); ++i) {
        const auto& slot = slots_[i];
        if (!may_be_early(slot)) continue;
        const double fulls = static_cast<double>(fulls_kib_ + slot.candidate.full->stored_kib);
        if (fulls > (1 + kTolerance) * share && fulls_ > 0) continue;
        if (fulls_ == 0 && *slot.due == 1) continue;
        const int64_t value = score(slot);
        if (best && value <= best_score) continue;
        best = i;
        best_score = value;
      }
      if (!best) break;
      promote(*best, Why::promoted);
    }
    if (fulls_ == 0) level_the_highest_hill();
  }

  // The day on which most fulls come together gives one of them to tonight, which has none.
  void level_the_highest_hill() {
    struct Hill {
      uint64_t kib = 0;
      std::vector<size_t> slots;
    };
    std::map<int64_t, Hill> hills;
    for (size_t i = 0; i < slots_.size(); ++i) {
      const auto& slot = slots_[i];
      if (slot.state == State::dropped || !slot.candidate.takes_fulls || slot.candidate.due_in <= 0) continue;
      auto& hill = hills[slot.candidate.due_in];
      hill.kib += slot.candidate.full_kib;
      hill.slots.push_back(i);
    }
    std::vector<const Hill*> tallest;
    for (const auto& [_, hill] : hills) {
      if (hill.slots.size() > 1) tallest.push_back(&hill);
    }
    std::ranges::stable_sort(tallest, [](const Hill* a, const Hill* b) { return a->kib > b->kib; });
    for (const auto* hill : tallest) {
      for (const size_t i : hill->slots) {
        if (!may_be_early(slots_[i])) continue;
        return promote(i, Why::promoted_from_hill);
      }
    }
  }

  void promote(size_t index, Why why) {
    auto& slot = slots_[index];
    auto& candidate = slot.candidate;
    count(slot, -1);
    auto full = *std::exchange(candidate.full, std::nullopt);
    full.reason = {.why = why, .days = candidate.due_in};
    candidate.dump.degraded = std::exchange(candidate.dump.as, std::move(full));
    count(slot, 1);
    ++fulls_;
    ++*slot.fulls_of_host;
    --*slot.due_of_host;
    out_.notes.push_back({false, fmt::format("Full dump of {} {} from {} {} ahead.", name(slot),
                                             why == Why::promoted ? "promoted" : "specially promoted",
                                             candidate.due_in, candidate.due_in == 1 ? "day" : "days")});
  }

  const PlanInputs& inputs_;
  const uint64_t limit_;
  std::vector<Slot> slots_;
  struct Move {
    size_t index = 0;
    Slot before;
  };
  std::vector<Move> moves_;  // in that order
  std::map<std::string, int64_t> fulls_of_host_;
  std::map<std::pair<std::string, int64_t>, int64_t> due_of_host_;
  std::map<int64_t, int64_t> due_;
  int64_t fulls_ = 0;
  size_t dumps_ = 0;
  uint64_t stored_kib_ = 0;
  uint64_t fulls_kib_ = 0;
  Balanced out_;
};

}  // namespace

void sort_by_start(std::vector<Candidate>& candidates) {
  std::ranges::stable_sort(candidates, [](const Candidate& a, const Candidate& b) {
    return std::tuple(-a.dump.priority, b.dump.as.stored_kib) <
           std::tuple(-b.dump.priority, a.dump.as.stored_kib);
  });
}

int64_t capacity_of_run(const Capacity& capacity) {
  if (capacity.limit_kib > 0) return capacity.limit_kib;
  return std::max<int64_t>(capacity.volume_kib, 0) * std::max<int64_t>(capacity.volumes, 1);
}

uint64_t written_kib(const Capacity& capacity, size_t dumps, uint64_t stored_kib) {
  const auto block = static_cast<uint64_t>(std::max<int64_t>(capacity.blocksize_kib, 0));
  const auto mark = static_cast<uint64_t>(std::max<int64_t>(capacity.filemark_kib, 0));
  return (2 + dumps) * (block + mark) + stored_kib;
}

Balanced balance(const PlanInputs& inputs, std::vector<Candidate> candidates) {
  return Balancer(inputs, std::move(candidates)).run();
}

}  // namespace headrace::plan
