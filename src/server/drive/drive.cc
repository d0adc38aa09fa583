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
// The order of starts is looked for again when so many of those waiting then have started.
constexpr size_t kOrderAgainPart = 2;

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

Drive::Drive(Limits limits, const std::vector<StorageLimits>& storages) : limits_(std::move(limits)) {
  size_t first = 0;
  for (const auto& storage : storages) {
    stores_.emplace_back(stores_.size(), first, storage);
    first += stores_.back().writers.size();
  }
}

std::vector<Command> Drive::on(const Input& input, const HoldingView& holding) {
  holding_ = holding;
  commands_.clear();
  if (finished_) return {};
  std::visit([this](const auto& it) { take(it); }, input);
  schedule();
  return std::move(commands_);
}

bool Drive::will_free_space() const {
  const auto goes = [this](JobId id) {
    const auto& it = jobs_.at(id);
    if (it.state != State::held || it.stays) return false;
    return std::ranges::all_of(stores_, [&it](const Store& store) {
      // Thresholds do not hold images back while space is wanted.
      return it.copies[store.storage].state != Copy::State::queued || !store.gone;
    });
  };
  return std::ranges::any_of(stores_, [&goes](const Store& store) {
    return std::ranges::any_of(store.writers.all(),
                               [&](const auto& it) { return it.job && goes(*it.job); }) ||
           std::ranges::any_of(store.images, goes);
  });
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
  HEADRACE_CHECK(jobs_.empty());
  for (auto& store : stores_) {
    HEADRACE_CHECK(store.look == Look::never);
    store.look = store.writers.may_load() ? Look::going_on : Look::done;
    if (store.look == Look::going_on) say(FindVolume{store.storage});
  }
}

void Drive::take(const VolumeSought& input) {
  auto& store = stores_.at(input.storage);
  HEADRACE_CHECK(store.look == Look::going_on);
  store.look = Look::done;
  if (!input.why_none.empty()) store.writers.no_more(input.why_none);
}

void Drive::take(const Flush& input) {
  for (size_t i = 0; i < input.images.size(); ++i) {
    const JobId id = input.images[i];
    const auto [it, fresh] = jobs_.try_emplace(id);
    HEADRACE_CHECK(fresh);
    it->second.job.id = id;
    it->second.held_kib = i < input.stored_kib.size() ? input.stored_kib[i] : 1;
    it->second.run = i < input.runs.size() ? input.runs[i] : 0;
    hold(it->second, i < input.storages.size() ? input.storages[i] : Storages{0});
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
    if (job.storages.empty() && (job.holding == Holding::never || holding_.total_kib == 0))
      give_up(it->second, "The tags matches none of the active storage", Lost::not_selected);
  }
  start_order_ = order_;
  ordered_.reset();
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
  it.held_kib = input.stored_kib;
  hold(it, Storages(it.job.storages));
}

void Drive::hold(JobState& it, const Storages& storages) {
  it.state = State::held;
  it.copies.assign(stores_.size(), {});
  for (const size_t storage : storages) {
    it.copies.at(storage).state = Copy::State::queued;
    stores_.at(storage).images.push_back(it.job.id);
  }
  if (!storages.empty()) return;
  it.stays = true;
  end(it);
  say(LeaveOnHolding{it.job.id, "no storage selects it (dump-selection)", Left::not_selected});
}

void Drive::take(const DumpWritten& input) {
  auto& it = job_in(input.id, State::dumping);
  HEADRACE_CHECK(it.to == Destination::volume);
  stop_dumping(it);
  stop_direct(it.job.id, true, false, {});
  end(it);
}

void Drive::take(const DumpFailed& input) {
  auto& it = job_in(input.id, State::dumping);
  stop_dumping(it);
  it.state = State::waiting;
  it.failure = input.message;
  stop_direct(it.job.id, false, input.volume_lost, input.message);
  if (cancelled_) return give_up(it, it.failure, Lost::ended_early);
  if (input.kind == DumpFailed::Kind::postpone && it.postponements < kMostPostponements) {
    ++it.postponements;
    --it.attempts;
    it.job.postponed = true;
    return;
  }
  if (input.kind == DumpFailed::Kind::no_space) it.prefers_volume = true;
  if (input.kind == DumpFailed::Kind::refused || it.attempts >= std::max<int64_t>(it.job.tries, 1))
    give_up(it, it.failure, Lost::failed);
}

void Drive::take(const ImageWritten& input) {
  auto& it = job_in(input.id, State::held);
  auto& store = stores_.at(input.storage);
  HEADRACE_CHECK(it.copies[input.storage].state == Copy::State::writing);
  stop_writing(store, it.job.id, true, false, {});
  end_copy(it, store);
  if (it.state == State::ended && !it.stays) space_wanted_ = false;
}

void Drive::take(const ImageFailed& input) {
  auto& it = job_in(input.id, State::held);
  auto& store = stores_.at(input.storage);
  auto& copy = it.copies[input.storage];
  const auto writer = store.writers.of(it.job.id);
  HEADRACE_CHECK(writer.has_value());
  if (store.writers.at(*writer).denied) --copy.writes;
  copy.state = Copy::State::queued;
  stop_writing(store, it.job.id, false, input.volume_lost, input.message);
  const bool gone = store.gone;
  if (input.unreadable || cancelled_ || gone || copy.writes >= limits_.write_tries)
    leave(it, store, gone && !cancelled_ && !input.unreadable ? store.gone_reason : input.message,
          input.unreadable ? Left::unreadable
          : cancelled_     ? Left::ended_early
          : gone           ? Left::no_volume
                           : Left::write_failed);
  else
    store.images.push_back(input.id);
}

void Drive::take(const VolumeReady& input) {
  const auto [store, writer] = place_of(input.writer);
  store.writers.ready(writer);
}

void Drive::take(const NoVolume& input) {
  const auto [store, writer] = place_of(input.writer);
  HEADRACE_CHECK(store.writers.at(writer).volume == Volume::loading);
  store.writers.end_volume(writer);
  store.writers.no_more(input.reason);
  if (!store.writers.at(writer).idle()) return go_on(store, writer);
  if (!store.writers.any_volume()) degrade(store, journal::VolumeTrouble::error, input.reason);
}

void Drive::take(const VolumeEnded& input) {
  const auto [store, writer] = place_of(input.writer);
  HEADRACE_CHECK(store.writers.at(writer).volume == Volume::ready);
  store.writers.end_volume(writer);
  if (!store.writers.at(writer).idle()) go_on(store, writer);
}

void Drive::take(const SpaceFreed&) {}

void Drive::take(const SpaceWanted&) { space_wanted_ = true; }

void Drive::take(const ChangeLimits& input) {
  ordered_.reset();
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
    for (size_t storage = 0; storage < it.copies.size(); ++storage)
      if (it.copies[storage].state == Copy::State::writing) say(AbortWrite{id, storage});
  }
}

// --- ends
// ---------------------------------------------------------------------------------------------------

void Drive::end(JobState& it) {
  it.state = State::ended;
  ++ended_;
}

void Drive::give_up(JobState& it, std::string reason, Lost why) {
  end(it);
  say(GiveUp{it.job.id, std::move(reason), why});
}

void Drive::end_copy(JobState& it, const Store& store) {
  it.copies[store.storage].state = Copy::State::ended;
  const bool goes_on = std::ranges::any_of(it.copies, [](const Copy& copy) {
    return copy.state == Copy::State::queued || copy.state == Copy::State::writing;
  });
  if (!goes_on) end(it);
}

void Drive::leave(JobState& it, const Store& store, std::string reason, Left why) {
  it.stays = true;
  end_copy(it, store);
  say(LeaveOnHolding{it.job.id, std::move(reason), why, store.storage});
}

void Drive::leave_all(Store& store, const std::string& reason, Left why) {
  for (const JobId id : std::exchange(store.images, {})) leave(jobs_.at(id), store, reason, why);
}

void Drive::tell_wait(JobState& it, Wait why) {
  if (it.waits == why) return;
  it.waits = why;
  say(NowWaits{it.job.id, why});
}

// While it is being written elsewhere it does not wait.
void Drive::tell_wait(const Store& store, JobState& it, Wait why) {
  const auto writes = [](const Copy& copy) { return copy.state == Copy::State::writing; };
  if (std::ranges::any_of(it.copies, writes)) return;
  auto& copy = it.copies[store.storage];
  if (copy.waits == why) return;
  copy.waits = why;
  say(NowWaits{it.job.id, why, store.storage});
}

// --- what next
// ----------------------------------------------------------------------------------------------

void Drive::schedule() {
  if (cancelled_) {
    for (auto& [id, it] : jobs_)
      if (it.state == State::waiting) give_up(it, *cancelled_, Lost::ended_early);
  } else {
    for (auto& store : stores_) degrade_when_known(store);
    for (bool again = true; again;) {
      for (auto& store : stores_) write_next(store);
      again = false;
      for (auto& store : stores_) again = degrade_fulls(store) || again;
      start_dumps(false);
      start_dumps(true);
      again = end_what_cannot_start() || again;
    }
  }
  // Also those that a volume lost just now leaves behind.
  for (auto& store : stores_) {
    if (cancelled_)
      leave_all(store, *cancelled_, Left::ended_early);
    else if (store.gone)
      leave_all(store, store.gone_reason, Left::no_volume);
  }
  if ((scheduled_ || cancelled_) && ended_ == jobs_.size() && !any_loading() && !looks()) {
    finished_ = true;
    say(FinishRun{});
  }
}

bool Drive::any_loading() const {
  return std::ranges::any_of(stores_, [](const Store& it) { return it.writers.any(Volume::loading); });
}

bool Drive::looks() const {
  return std::ranges::any_of(stores_, [](const Store& it) { return it.look == Look::going_on; });
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
  if (!looks() || limits_.reserve_percent == 0) return false;
  for (const JobId id : order_) {
    auto& it = jobs_.at(id);
    if (it.state == State::waiting) tell_wait(it, own_wait(it).value_or(Wait::volume));
  }
  return true;
}

bool Drive::finishes_soonest() const { return limits_.finish_soonest && limits_.dump_order.empty(); }

// Anew as the night goes on: what was expected of it grows old.
void Drive::order_starts() {
  NightRest rest{.in_parallel = limits_.in_parallel, .together = &limits_.together};
  rest.has_holding = holding_.total_kib > 0;
  for (const JobId id : order_)
    if (jobs_.at(id).state == State::waiting) rest.waiting.push_back(&jobs_.at(id).job);
  if (ordered_ && rest.waiting.size() * kOrderAgainPart > *ordered_) return;
  for (const JobId id : dumping_) rest.running.push_back(&jobs_.at(id).job);
  // The slowest of the storages is the one that the others wait for.
  for (const auto& store : stores_) {
    if (rest.volume_kps > 0 && (store.limits.kps == 0 || store.limits.kps >= rest.volume_kps)) continue;
    rest.volume_kps = store.limits.kps;
    rest.writers = store.writers.size();
    rest.held_kib = 0;
    for (const JobId id : store.images) rest.held_kib += jobs_.at(id).held_kib;
    for (const auto& writer : store.writers.all()) rest.held_kib += writer.job ? writer.job_kib : 0;
  }
  rest.order_so_far = std::move(start_order_);
  auto found = finish_order(rest);
  start_order_ = std::move(found.ids);
  // Those under way may have to start once more.
  start_order_.insert(start_order_.end(), dumping_.begin(), dumping_.end());
  // What was made by a rule alone goes by what runs: it is made again each time.
  ordered_ = found.forecast ? std::optional(rest.waiting.size()) : std::nullopt;
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
  if (it.job.holding == Holding::when_degraded && !gone_for(it)) return false;
  if (it.prefers_volume && it.job.holding == Holding::automatic && !gone_for(it)) return false;
  if (it.refused_at && holding_.free_kib <= *it.refused_at) return false;
  return it.job.est_stored_kib <= holding_.free_kib;
}

bool Drive::may_use_volume(const JobState& it) const {
  return it.job.holding != Holding::required && !gone_for(it);
}

// Starts the dump if it has somewhere to go; else says what it waits for.
std::optional<Wait> Drive::start(JobState& it) {
  if (!fits_holding(it)) return may_use_volume(it) ? start_on_volume(it) : Wait::holding_space;
  it.to = Destination::holding;
  holding_.free_kib -= it.job.est_stored_kib;
  begin_dump(it, 0);
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
  if (looks() || any_loading() || !dumping_.empty()) return false;
  if (std::ranges::any_of(stores_, [](const Store& it) { return it.writers.any_job(); })) return false;
  // What has ended since it was looked at may have made it worth a volume.
  for (const auto& store : stores_)
    if (!store.gone && !store.images.empty() && worth_a_volume(store)) return true;
  const bool first_tries = first_try_waits();
  bool any = false;
  for (const JobId id : order_) {
    auto& it = jobs_.at(id);
    if (it.state != State::waiting || it.job.postponed || it.job.paused) continue;
    if ((it.attempts == 0) != first_tries) continue;
    any = true;
    const std::string no_volume =
        gone_for(it) && !it.job.storages.empty() ? " and there is no volume: " + why_gone(it) : "";
    if (it.job.holding == Holding::never)
      give_up(it, fmt::format("it may not use holding disk{}", no_volume), Lost::never_holding);
    else if (holding_.total_kib == 0)
      give_up(it, fmt::format("there is no holding disk{}", no_volume), Lost::no_holding_disk);
    else
      give_up(it,
              fmt::format("{} KiB are expected, but the holding disks have {} KiB free of {}{}",
                          it.job.est_stored_kib, holding_.free_kib, holding_.total_kib, no_volume),
              Lost::no_room);
  }
  return any;
}

}  // namespace headrace::drive
