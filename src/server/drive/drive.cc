#include "server/drive/drive.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "server/drive/finish_order.h"

namespace headrace::drive {
namespace {

using config::Holding;
using journal::Destination;

// A client that asks again and again to come later is not waited for for ever.
constexpr int64_t kMostPostponements = 20;

// Whether a dumper of that letter would rather have `a` than `b`.
bool preferred(char letter, const Job& a, const Job& b) {
  const auto kps = [](const Job& job) { return job.est_kps > 0 ? job.est_kps : kUnknownKps; };
  const auto seconds = [&kps](const Job& job) { return job.est_stored_kib / kps(job); };
  switch (letter) {
    case 'S':
      return a.est_stored_kib > b.est_stored_kib;
    case 't':
      return seconds(a) < seconds(b);
    case 'T':
      return seconds(a) > seconds(b);
    case 'b':
      return kps(a) < kps(b);
    case 'B':
      return kps(a) > kps(b);
    default:
      return a.est_stored_kib < b.est_stored_kib;
  }
}

}  // namespace

std::vector<Command> Drive::on(const Input& input, const HoldingView& holding) {
  holding_ = holding;
  commands_.clear();
  if (finished_) return {};
  std::visit([this](const auto& it) { take(it); }, input);
  schedule();
  return std::move(commands_);
}

bool Drive::will_free_space() const {
  const bool writes_image = std::ranges::any_of(writers_.all(), [this](const Writers::Writer& it) {
    return it.job && jobs_.at(*it.job).state == State::writing;
  });
  // Thresholds do not hold images back while space is wanted.
  return writes_image || (!images_.empty() && !gone_);
}

// --- inputs
// -------------------------------------------------------------------------------------------------

Drive::JobState& Drive::job_in(JobId id, State state) {
  const auto found = jobs_.find(id);
  HEADRACE_CHECK(found != jobs_.end());
  HEADRACE_CHECK(found->second.state == state);
  return found->second;
}

void Drive::take(const LookForVolume&) {
  HEADRACE_CHECK(look_ == Look::never && jobs_.empty());
  look_ = writers_.may_load() ? Look::going_on : Look::done;
  if (look_ == Look::going_on) say(FindVolume{});
}

void Drive::take(const VolumeSought& input) {
  HEADRACE_CHECK(look_ == Look::going_on);
  look_ = Look::done;
  if (!input.why_none.empty()) writers_.no_more(input.why_none);
}

void Drive::take(const Flush& input) {
  for (size_t i = 0; i < input.images.size(); ++i) {
    const JobId id = input.images[i];
    const auto [it, fresh] = jobs_.try_emplace(id);
    HEADRACE_CHECK(fresh);
    it->second.job.id = id;
    it->second.state = State::held;
    it->second.held_kib = i < input.stored_kib.size() ? input.stored_kib[i] : 1;
    it->second.run = i < input.runs.size() ? input.runs[i] : 0;
    images_.push_back(id);
  }
}

void Drive::take(const Schedule& input) {
  HEADRACE_CHECK(!scheduled_);
  scheduled_ = true;
  for (const auto& job : input.dumps) {
    const auto [it, fresh] = jobs_.try_emplace(job.id);
    HEADRACE_CHECK(fresh);
    it->second.job = job;
    order_.push_back(job.id);
  }
  start_order_ = order_;
}

void Drive::take(const Released& input) {
  const auto found = jobs_.find(input.id);
  HEADRACE_CHECK(found != jobs_.end());
  found->second.job.postponed = false;
}

void Drive::stop_dumping(JobState& it) { std::erase(dumping_, it.job.id); }

void Drive::take(const HoldingRefused& input) {
  auto& it = job_in(input.id, State::dumping);
  stop_dumping(it);
  --it.attempts;
  it.refused_at = holding_.free_kib;
  it.state = State::waiting;
}

void Drive::take(const DumpHeld& input) {
  auto& it = job_in(input.id, State::dumping);
  HEADRACE_CHECK(it.to == Destination::holding);
  stop_dumping(it);
  it.state = State::held;
  it.held_kib = input.stored_kib;
  images_.push_back(input.id);
}

void Drive::take(const DumpWritten& input) {
  auto& it = job_in(input.id, State::dumping);
  HEADRACE_CHECK(it.to == Destination::volume);
  stop_dumping(it);
  stop_writing(it.job.id, true, false, {});
  end(it);
}

void Drive::take(const DumpFailed& input) {
  auto& it = job_in(input.id, State::dumping);
  stop_dumping(it);
  it.state = State::waiting;
  it.failure = input.message;
  stop_writing(it.job.id, false, input.volume_lost, input.message);
  if (cancelled_) return give_up(it, it.failure);
  if (input.kind == DumpFailed::Kind::postpone && it.postponements < kMostPostponements) {
    ++it.postponements;
    --it.attempts;
    it.job.postponed = true;
    return;
  }
  if (input.kind == DumpFailed::Kind::no_space) it.prefers_volume = true;
  if (input.kind == DumpFailed::Kind::refused || it.attempts >= std::max<int64_t>(it.job.tries, 1))
    give_up(it, it.failure);
}

void Drive::take(const ImageWritten& input) {
  auto& it = job_in(input.id, State::writing);
  stop_writing(it.job.id, true, false, {});
  space_wanted_ = false;
  end(it);
}

void Drive::take(const ImageFailed& input) {
  auto& it = job_in(input.id, State::writing);
  const auto writer = writers_.of(it.job.id);
  HEADRACE_CHECK(writer.has_value());
  if (writers_.at(*writer).denied) --it.writes;
  it.state = State::held;
  stop_writing(it.job.id, false, input.volume_lost, input.message);
  if (input.unreadable || cancelled_ || gone_ || it.writes >= limits_.write_tries)
    leave(it, gone_ && !cancelled_ && !input.unreadable ? gone_reason_ : input.message,
          input.unreadable ? Left::unreadable
          : cancelled_     ? Left::ended_early
          : gone_          ? Left::no_volume
                           : Left::write_failed);
  else
    images_.push_back(input.id);
}

void Drive::take(const VolumeReady& input) { writers_.ready(input.writer); }

void Drive::take(const NoVolume& input) {
  HEADRACE_CHECK(writers_.at(input.writer).volume == Volume::loading);
  writers_.end_volume(input.writer);
  writers_.no_more(input.reason);
  if (!writers_.at(input.writer).idle()) return go_on(input.writer);
  if (!writers_.any_volume()) degrade(journal::VolumeTrouble::error, input.reason);
}

void Drive::take(const VolumeEnded& input) {
  HEADRACE_CHECK(writers_.at(input.writer).volume == Volume::ready);
  writers_.end_volume(input.writer);
  if (!writers_.at(input.writer).idle()) go_on(input.writer);
}

void Drive::take(const SpaceFreed&) {}

void Drive::take(const SpaceWanted&) { space_wanted_ = true; }

void Drive::take(const ChangeLimits& input) {
  if (input.in_parallel) limits_.in_parallel = *input.in_parallel;
  for (const auto& [name, kps] : input.interface_kps) limits_.interface_kps[name] = kps;
  for (auto& [id, it] : jobs_)
    if (const auto most = input.max_dumps.find(it.job.host); most != input.max_dumps.end())
      it.job.max_dumps = most->second;
}

void Drive::take(const Pause& input) {
  const auto found = jobs_.find(input.id);
  HEADRACE_CHECK(found != jobs_.end());
  found->second.job.paused = true;
}

void Drive::take(const Resume& input) {
  const auto found = jobs_.find(input.id);
  HEADRACE_CHECK(found != jobs_.end());
  found->second.job.paused = false;
}

void Drive::take(const Cancel& input) {
  if (cancelled_) return;
  cancelled_ = input.reason;
  for (auto& [id, it] : jobs_) {
    if (it.state == State::dumping) say(AbortDump{id});
    if (it.state == State::writing) say(AbortWrite{id});
  }
}

// --- ends
// ---------------------------------------------------------------------------------------------------

void Drive::end(JobState& it) {
  it.state = State::ended;
  ++ended_;
}

void Drive::give_up(JobState& it, std::string reason) {
  end(it);
  say(GiveUp{it.job.id, std::move(reason)});
}

void Drive::leave(JobState& it, std::string reason, Left why) {
  end(it);
  say(LeaveOnHolding{it.job.id, std::move(reason), why});
}

void Drive::tell_wait(JobState& it, Wait why) {
  if (it.waits == why) return;
  it.waits = why;
  say(NowWaits{it.job.id, why});
}

// --- what next
// ----------------------------------------------------------------------------------------------

void Drive::schedule() {
  if (cancelled_) {
    for (auto& [id, it] : jobs_)
      if (it.state == State::waiting) give_up(it, *cancelled_);
  } else {
    degrade_when_known();
    do {
      write_next();
      degrade_fulls();
      start_dumps(false);
      start_dumps(true);
    } while (end_what_cannot_start());
  }
  // Also those that a volume lost just now leaves behind.
  if (cancelled_ || gone_)
    for (const JobId id : std::exchange(images_, {}))
      leave(jobs_.at(id), cancelled_ ? *cancelled_ : gone_reason_,
            cancelled_ ? Left::ended_early : Left::no_volume);
  if ((scheduled_ || cancelled_) && ended_ == jobs_.size() && !writers_.any(Volume::loading) &&
      look_ != Look::going_on) {
    finished_ = true;
    say(FinishRun{});
  }
}

// No dump is under way to holding disk or will be.
bool Drive::nothing_comes() const {
  return scheduled_ && dumping_.empty() &&
         std::ranges::none_of(order_, [this](JobId id) { return jobs_.at(id).state == State::waiting; });
}

std::optional<size_t> Drive::idle_dumper() const {
  for (size_t dumper = 0; std::cmp_less(dumper, std::max<int64_t>(limits_.in_parallel, 1)); ++dumper) {
    const bool taken = std::ranges::any_of(dumping_, [&](JobId id) { return jobs_.at(id).dumper == dumper; });
    if (!taken) return dumper;
  }
  return std::nullopt;
}

bool Drive::first_try_waits() const {
  return std::ranges::any_of(order_, [this](JobId id) {
    const auto& it = jobs_.at(id);
    return it.state == State::waiting && it.attempts == 0 && !it.job.postponed && !it.job.paused;
  });
}

bool Drive::may_start(const JobState& it, bool retries) const {
  return it.state == State::waiting && (it.attempts > 0) == retries && !it.job.paused && !it.job.postponed;
}

// Each idle dumper takes what it likes best of what may go to holding disk now.
void Drive::start_preferred(bool retries) {
  if (limits_.dump_order.empty()) return;
  while (const auto dumper = idle_dumper()) {
    const char preference = *dumper < limits_.dump_order.size() ? limits_.dump_order[*dumper]
                            : *dumper < 3                       ? 't'
                                                                : 'T';
    JobState* best = nullptr;
    for (const JobId id : order_) {
      auto& it = jobs_.at(id);
      if (!may_start(it, retries) || !fits_holding(it) || obstacle(it)) continue;
      if (best == nullptr ||
          (it.job.priority >= best->job.priority && preferred(preference, it.job, best->job)))
        best = &it;
    }
    if (best == nullptr) return;
    best->to = Destination::holding;
    holding_.free_kib -= best->job.est_stored_kib;
    begin_dump(*best, 0);
  }
}

// What of its own, not of others, it waits for.
std::optional<Wait> Drive::own_wait(const JobState& it) {
  if (it.job.paused) return Wait::resume;
  if (it.job.postponed) return Wait::its_time;
  return std::nullopt;
}

bool Drive::dumps_wait_for_look() {
  if (look_ != Look::going_on || limits_.reserve_percent == 0) return false;
  for (const JobId id : order_) {
    auto& it = jobs_.at(id);
    if (it.state == State::waiting) tell_wait(it, own_wait(it).value_or(Wait::volume));
  }
  return true;
}

bool Drive::finishes_soonest() const { return limits_.finish_soonest && limits_.dump_order.empty(); }

// What starts, or ends, changes what has most behind it.
void Drive::order_starts() {
  NightRest rest{.in_parallel = limits_.in_parallel, .volume_kps = limits_.volume_kps};
  for (const JobId id : order_)
    if (jobs_.at(id).state == State::waiting) rest.waiting.push_back(&jobs_.at(id).job);
  for (const JobId id : dumping_) rest.running.push_back(&jobs_.at(id).job);
  for (const JobId id : images_) rest.held_kib += jobs_.at(id).held_kib;
  for (const auto& writer : writers_.all()) rest.held_kib += writer.job ? writer.job_kib : 0;
  start_order_ = finish_order(rest);
}

void Drive::start_dumps(bool retries) {
  if (dumps_wait_for_look()) return;
  if (finishes_soonest() && idle_dumper()) order_starts();
  const bool wait_for_others = retries && first_try_waits();
  if (!wait_for_others) start_preferred(retries);
  for (const JobId id : start_order_) {
    auto& it = jobs_.at(id);
    if (it.state != State::waiting || (it.attempts > 0) != retries) continue;
    const auto own = own_wait(it);
    auto wait = own.value_or(Wait::others);
    if (!own && !wait_for_others) {
      auto hindered = obstacle(it);
      if (!hindered) hindered = start(it);
      if (!hindered) continue;
      wait = *hindered;
    }
    tell_wait(it, wait);
  }
}

// A limit that forbids the dump now, wherever it would go.
std::optional<Wait> Drive::obstacle(const JobState& it) const {
  if (std::cmp_greater_equal(dumping_.size(), std::max<int64_t>(limits_.in_parallel, 1)))
    return Wait::parallel_limit;
  int64_t of_host = 0;
  for (const JobId id : dumping_) {
    const auto& other = jobs_.at(id);
    if (other.job.host != it.job.host) continue;
    ++of_host;
    if (it.job.spindle != -1 && other.job.spindle == it.job.spindle) return Wait::spindle;
  }
  if (of_host >= std::max<int64_t>(it.job.max_dumps, 1)) return Wait::host_limit;
  if (network_is_full(it.job)) return Wait::network;
  return std::nullopt;
}

// As Amanda counts: by estimated rates, and a dump that has its interface for itself may exceed any limit.
bool Drive::network_is_full(const Job& job) const {
  const auto use = limits_.interface_kps.find(job.interface);
  if (use == limits_.interface_kps.end()) return false;
  const auto kps_of = [](const Job& it) { return it.est_kps > 0 ? it.est_kps : kUnknownKps; };
  uint64_t taken = 0;
  bool idle = true;
  for (const JobId id : dumping_) {
    const Job& other = jobs_.at(id).job;
    if (other.interface != job.interface) continue;
    idle = false;
    taken += kps_of(other);
  }
  return !idle && std::cmp_greater(taken + kps_of(job), use->second);
}

bool Drive::fits_holding(const JobState& it) const {
  if (it.job.holding == Holding::never || holding_.total_kib == 0) return false;
  if (it.job.holding == Holding::when_degraded && !gone_) return false;
  if (it.prefers_volume && it.job.holding == Holding::automatic && !gone_) return false;
  if (it.refused_at && holding_.free_kib <= *it.refused_at) return false;
  return it.job.est_stored_kib <= holding_.free_kib;
}

bool Drive::may_use_volume(const JobState& it) const { return it.job.holding != Holding::required && !gone_; }

// Beside others that write, a dump goes only where it fits, as a held image does.
std::optional<size_t> Drive::writer_for(const JobState& it) const {
  for (size_t writer = 0; writer < writers_.size(); ++writer) {
    if (!writers_.at(writer).idle() || writers_.at(writer).volume != Volume::ready) continue;
    if (!writers_.others_write(writer) || it.job.est_stored_kib <= writers_.room_kib(writer, it.job.splits))
      return writer;
  }
  return std::nullopt;
}

// Starts the dump if it has somewhere to go; else says what it waits for.
std::optional<Wait> Drive::start(JobState& it) {
  size_t writer = 0;
  if (fits_holding(it)) {
    it.to = Destination::holding;
    holding_.free_kib -= it.job.est_stored_kib;
  } else if (!may_use_volume(it)) {
    return Wait::holding_space;
  } else if (const auto idle = writer_for(it)) {
    it.to = Destination::volume;
    writer = *idle;
    writers_.begin_job(writer, it.job.id, it.job.est_stored_kib);
  } else {
    switch (claim_volume()) {
      case Coming::yes:
        return Wait::volume;
      case Coming::no:
        return it.job.holding == Holding::never || it.job.holding == Holding::when_degraded ||
                       it.prefers_volume
                   ? Wait::volume_writer
                   : Wait::holding_space;
      case Coming::never:
        break;
    }
    // Without volumes a dump that would rather go there may do with holding disk.
    return start(it);
  }
  begin_dump(it, writer);
  return std::nullopt;
}

void Drive::begin_dump(JobState& it, size_t writer) {
  it.state = State::dumping;
  it.waits.reset();
  it.refused_at.reset();
  ++it.attempts;
  it.dumper = idle_dumper().value_or(0);
  dumping_.push_back(it.job.id);
  say(StartDump{it.job.id, static_cast<int>(it.attempts), it.to, writer, way_of(it)});
}

Way Drive::way_of(const JobState& it) const {
  const bool when_degraded = it.job.holding == Holding::when_degraded;
  if (it.to == Destination::holding)
    return it.prefers_volume || when_degraded ? Way::no_volume : Way::holding_has_room;
  if (it.job.holding == Holding::never) return Way::never_holding;
  if (when_degraded) return Way::only_when_degraded;
  if (holding_.total_kib == 0) return Way::no_holding_disk;
  return it.prefers_volume ? Way::failed_on_holding : Way::no_room;
}

// With nothing under way no room will come any more, and what waits for it would wait for ever. First tries
// end first: retries waited for them. Says whether anything ended.
bool Drive::end_what_cannot_start() {
  if (look_ == Look::going_on || writers_.any(Volume::loading) || !dumping_.empty() || writers_.any_job())
    return false;
  if (!gone_ && !images_.empty()) return false;
  const bool first_tries = first_try_waits();
  bool any = false;
  for (const JobId id : order_) {
    auto& it = jobs_.at(id);
    if (it.state != State::waiting || it.job.postponed || it.job.paused) continue;
    if ((it.attempts == 0) != first_tries) continue;
    any = true;
    const std::string no_volume = gone_ ? " and there is no volume: " + gone_reason_ : "";
    if (it.job.holding == Holding::never)
      give_up(it, fmt::format("it may not use holding disk{}", no_volume));
    else if (holding_.total_kib == 0)
      give_up(it, fmt::format("there is no holding disk{}", no_volume));
    else
      give_up(it, fmt::format("{} KiB are expected, but the holding disks have {} KiB free of {}{}",
                              it.job.est_stored_kib, holding_.free_kib, holding_.total_kib, no_volume));
  }
  return any;
}

}  // namespace headrace::drive
