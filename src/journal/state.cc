#include "journal/state.h"

#include <algorithm>
#include <array>

namespace headrace::journal {

// Gates that move so close to each other count as one turn.
constexpr int64_t kOneTurnUs = 200'000;

std::string_view name_of(Phase phase) {
  constexpr std::array<std::string_view, 9> kNames = {"chosen",  "skipped", "planned", "dumping", "held",
                                                      "writing", "written", "left",    "failed"};
  return kNames[static_cast<size_t>(phase)];
}

bool DumpState::ended() const {
  return phase == Phase::skipped || phase == Phase::written || phase == Phase::left || phase == Phase::failed;
}

bool DumpState::has_image() const {
  return phase == Phase::written || phase == Phase::left || flush || (dumped && !holding_file.empty());
}

const WritingState& DumpState::writing() const {
  static const WritingState kNone;
  const auto active = std::ranges::find(writings, true, &WritingState::active);
  if (active != writings.end()) return *active;
  return writings.empty() ? kNone : writings.front();
}

double DumpState::recent_bytes_per_second() const {
  if (samples.size() < 2) return -1;
  const auto us = samples.back().at_us - samples.front().at_us;
  if (us <= 0) return -1;
  return static_cast<double>(samples.back().bytes - samples.front().bytes) * 1e6 / static_cast<double>(us);
}

// One overload an event. Events that come in an order no run produces still leave a state that makes sense.
struct Applier {
  RunState& state;
  std::map<Reduction::Key, size_t>& index;
  int64_t now_us;

  DumpState& dump(const ImageId& image) {
    const auto [found, fresh] =
        index.try_emplace({image.host, image.disk, image.timestamp}, state.dumps.size());
    if (fresh) state.dumps.emplace_back();
    DumpState& it = state.dumps[found->second];
    it.image = image;
    return it;
  }
  DumpState& tonight(const std::string& host, const std::string& disk) {
    const auto found = index.find({host, disk, state.run.timestamp});
    if (found != index.end()) return state.dumps[found->second];
    return dump({host, disk, state.run.timestamp, 0});
  }
  VolumeState* volume(const std::string& label) {
    const auto found =
        std::ranges::find(state.volumes.rbegin(), state.volumes.rend(), label, &VolumeState::label);
    return found == state.volumes.rend() ? nullptr : &*found;
  }
  // The last try; made when a journal lost its start.
  static Attempt& attempt(DumpState& dump, int number) {
    if (dump.attempts.empty() || dump.attempts.back().number != number)
      dump.attempts.push_back({.number = number});
    return dump.attempts.back();
  }
  void name_storage(const std::string& storage) const {
    if (!storage.empty()) state.storages.insert(storage);
  }
  WritingState& writing(DumpState& dump, const std::string& storage) const {
    name_storage(storage);
    const auto found = std::ranges::find(dump.writings, storage, &WritingState::storage);
    if (found != dump.writings.end()) return *found;
    return dump.writings.emplace_back(WritingState{.storage = storage});
  }
  // Of a held image, by what its storages have.
  void settle(DumpState& dump) const {
    size_t over = 0;
    bool active = false;
    bool left = false;
    for (const auto& it : dump.writings) {
      over += it.written || it.left ? 1 : 0;
      active = active || it.active;
      left = left || it.left;
    }
    const Phase phase = active                                             ? Phase::writing
                        : over < std::max<size_t>(dump.storages.size(), 1) ? Phase::held
                        : left                                             ? Phase::left
                                                                           : Phase::written;
    if (phase != dump.phase) move_to(dump, phase);
    if (phase != Phase::left) return;
    const auto why = std::ranges::find(dump.writings, true, &WritingState::left);
    dump.code = why->left_code;
    dump.parameters = why->left_parameters;
  }
  void move_to(DumpState& dump, Phase phase) const {
    dump.verdicts.end(now_us);
    dump.phase = phase;
    dump.waits_for.clear();
    dump.code.clear();
    dump.parameters.clear();
    // With nothing left to dump, nothing is held.
    if (dump.flush || phase == Phase::chosen || phase == Phase::planned || phase == Phase::dumping) return;
    dump.paused = false;
    std::erase_if(state.pauses, [&dump](const PauseState& p) {
      return p.host == dump.image.host && p.disk == dump.image.disk;
    });
  }

  // A gate was closed or opened: from here on the rates of all that moves are others.
  void mark_turn() {
    for (auto& it : state.dumps) {
      if (it.phase != Phase::dumping) continue;
      if (it.turn && now_us - it.turn->at_us < kOneTurnUs) continue;
      const double before = it.recent_bytes_per_second();
      it.turn = {now_us, it.bytes, before < 0 ? 0 : before};
      it.samples = {{now_us, it.bytes}};
    }
  }
  void mark_paused(const std::string& host, const std::string& disk) {
    const auto found = index.find({host, disk, state.run.timestamp});
    if (found == index.end()) return;
    state.dumps[found->second].paused =
        std::ranges::any_of(state.pauses, [&](const auto& p) { return p.host == host && p.disk == disk; });
  }

  void operator()(const RunStarted& e) {
    state.run = e;
    state.started = true;
    state.started_us = now_us;
  }
  void operator()(const RunFinished& e) {
    state.finished = e;
    state.verdicts.end(now_us);
  }
  void operator()(const Note& e) { state.notes.push_back(e); }
  void operator()(const LeftoverFound& e) { state.leftovers.push_back(e); }
  void operator()(const DleChosen& e) { tonight(e.host, e.disk); }
  void operator()(const FlushPlanned& e) {
    auto& it = dump(e.image);
    it.flush = true;
    it.holding_file = e.holding_file;
    it.stored_kib = it.est_stored_kib = e.stored_kib;
    it.flush_code = e.code;
    it.storages = e.storages;
    for (const auto& storage : e.storages) name_storage(storage);
    move_to(it, Phase::held);
  }
  void operator()(const EstimateGot& e) { tonight(e.host, e.disk).estimates_kib[e.level] = e.native_kib; }
  void operator()(const DlePlanned& e) {
    auto& it = dump(e.image);
    it.plan_reason = e.reason;
    it.plan_code = e.code;
    it.plan_parameters = e.parameters;
    it.est_native_kib = e.est_native_kib;
    it.est_stored_kib = e.est_stored_kib;
    it.est_kps = e.est_kps;
    it.interface = e.interface;
    it.interface_kps = e.interface_kps;
    it.max_dumps = e.max_dumps;
    move_to(it, Phase::planned);
  }
  void operator()(const DleSkipped& e) {
    auto& it = dump(e.image);
    it.plan_reason = e.reason;
    it.plan_code = e.reason;
    it.plan_parameters.clear();
    move_to(it, Phase::skipped);
  }
  void operator()(const PlanFailed& e) {
    auto& it = dump(e.image);
    it.plan_failed = true;
    it.failure = e.message;
    move_to(it, Phase::failed);
  }
  void operator()(const PlanDone& e) {
    state.planned = true;
    state.plan_seconds = e.seconds;
  }
  void operator()(const Waiting& e) {
    auto& it = dump(e.image);
    it.waits_for = e.reason;
    it.code = e.code;
    it.parameters = e.parameters;
  }

  void operator()(const DumpStarted& e) {
    auto& it = dump(e.image);
    it.attempts.push_back({.number = e.attempt, .to = e.to, .why = e.why, .started_us = now_us});
    it.holding_file = e.path;
    it.bytes = 0;
    it.progress_us = it.moved_us = now_us;
    it.joints.clear();
    it.tcp.clear();
    it.samples = {{now_us, 0}};
    it.turn.reset();
    move_to(it, Phase::dumping);
  }
  void operator()(const DumpProgress& e) {
    auto& it = dump(e.image);
    const bool writes = it.phase == Phase::writing && !it.writings.empty();
    const std::string storage = writes && e.storage.empty() ? it.writing().storage : e.storage;
    uint64_t& bytes = writes ? writing(it, storage).sampled : it.bytes;
    if (e.bytes > bytes) it.moved_us = now_us;
    if (it.phase == Phase::dumping && e.bytes >= it.bytes) {
      it.samples.push_back({now_us, e.bytes});
      if (it.samples.size() > kRecentSamples + 1) it.samples.pop_front();
    }
    bytes = e.bytes;
    it.progress_us = now_us;
    it.joints = e.joints;
    it.tcp = e.tcp;
    it.waits_for = e.waits_for;
    it.code.clear();
    it.parameters.clear();
    it.verdicts.go_on(now_us);
  }
  void operator()(const Verdict& e) {
    auto& it = dump(e.image);
    it.verdicts.add({.verdict = e.verdict,
                     .phase = std::string(name_of(it.phase)),
                     .from_us = now_us,
                     .to_us = now_us,
                     .confidence = e.confidence,
                     .evidence = e.evidence,
                     .first_rate = e.rate,
                     .last_rate = e.rate});
  }
  void operator()(const RunVerdict& e) {
    state.verdicts.add({.verdict = e.verdict,
                        .from_us = now_us,
                        .to_us = now_us,
                        .confidence = e.confidence,
                        .evidence = e.evidence,
                        .first_rate = e.rate,
                        .last_rate = e.rate});
  }
  void operator()(const DumpFinished& e) {
    auto& it = dump(e.image);
    auto& last = attempt(it, e.attempt);
    last.ended_us = now_us;
    it.dumped = true;
    it.native_kib = e.native_kib;
    it.stored_kib = e.stored_kib;
    it.dump_seconds = e.seconds;
    it.native_crc = e.native_crc;
    it.client_crc = e.client_crc;
    it.server_crc = e.server_crc;
    it.strange = e.strange;
    it.messages = e.messages;
    if (it.phase != Phase::failed) it.failure.clear();
    if (!it.ended() && it.phase != Phase::held)
      move_to(it, last.to == Destination::volume ? Phase::writing : Phase::held);
  }
  void operator()(const DumpFailed& e) {
    auto& it = dump(e.image);
    auto& last = attempt(it, e.attempt);
    last.ended_us = now_us;
    last.failure = e.message;
    last.messages = e.messages;
    it.failure = e.message;
    it.holding_file.clear();
    move_to(it, e.will_retry ? Phase::planned : Phase::failed);
  }
  void operator()(const DumpGivenUp& e) {
    auto& it = dump(e.image);
    // The client's own words say more than that no try is left.
    if (it.failure.empty()) it.failure = e.reason;
    move_to(it, Phase::failed);
    it.code = e.code;
    it.parameters = e.parameters;
  }
  void operator()(const ImageHeld& e) {
    auto& it = dump(e.image);
    it.holding_file = e.holding_file;
    it.stored_kib = e.stored_kib;
    it.server_crc = e.server_crc;
    it.storages = e.storages;
    for (const auto& storage : e.storages) name_storage(storage);
    if (!it.ended()) move_to(it, Phase::held);
  }

  void operator()(const VolumeStarted& e) {
    name_storage(e.storage);
    state.volumes.push_back({.label = e.label,
                             .slot = e.slot,
                             .storage = e.storage,
                             .pool = e.pool,
                             .timestamp = e.timestamp,
                             .sequence = e.sequence,
                             .length_kib = e.length_kib,
                             .started_us = now_us});
  }
  void operator()(const ImageWriteStarted& e) {
    auto& it = dump(e.image);
    // A dump that goes straight to a volume, at each try perhaps of another storage.
    if (it.holding_file.empty()) it.writings.clear();
    writing(it, e.storage) = {
        .storage = e.storage, .pool = e.pool, .begun_on = e.label, .started_us = now_us, .active = true};
    it.moved_us = now_us;
    if (it.phase != Phase::dumping) move_to(it, Phase::writing);
  }
  void operator()(const PartWritten& e) {
    auto& it = dump(e.image);
    auto& to = writing(it, e.storage);
    if (to.started_us == 0) to.started_us = now_us;
    to.pool = e.pool;
    if (std::ranges::find(to.labels, e.label) == to.labels.end()) to.labels.push_back(e.label);
    to.parts += 1;
    to.bytes += e.bytes;
    it.moved_us = now_us;
    to.seconds += e.seconds;
    if (it.phase == Phase::held || it.phase == Phase::planned) {
      to.active = true;
      move_to(it, Phase::writing);
    }
    if (auto* on = volume(e.label)) {
      on->bytes += e.bytes;
      on->parts += 1;
      on->seconds += e.seconds;
    }
  }
  void operator()(const PartFailed& e) { state.failed_parts.push_back(e); }
  void operator()(const ImageWritten& e) {
    auto& it = dump(e.image);
    auto& to = writing(it, e.storage);
    to.pool = e.pool;
    to.parts = e.parts;
    to.bytes = e.bytes;
    to.seconds = e.seconds;
    to.failure.clear();
    to.partial = to.active = to.left = false;
    to.written = true;
    if (it.native_kib == 0) it.native_kib = e.orig_kib;
    if (it.stored_kib == 0) it.stored_kib = base::to_kib(e.bytes);
    it.failure.clear();
    settle(it);
  }
  void operator()(const ImageWriteFailed& e) {
    auto& it = dump(e.image);
    auto& to = writing(it, e.storage);
    to.pool = e.pool;
    to.failure = e.reason;
    to.partial = e.partial;
    to.active = false;
    const bool is_held = !it.holding_file.empty();
    if (!is_held) it.failure = e.reason;
    if (it.phase == Phase::dumping) return;  // the dump's own end follows and decides
    if (!is_held) return move_to(it, e.will_retry ? Phase::planned : Phase::failed);
    to.left = !e.will_retry;
    settle(it);
  }
  void operator()(const ImageLeftOnHolding& e) {
    auto& it = dump(e.image);
    it.holding_file = e.holding_file;
    it.stored_kib = e.stored_kib;
    it.left_reason = e.reason;
    if (!e.storage.empty()) {
      auto& to = writing(it, e.storage);
      to.active = false;
      to.left = true;
      to.left_code = e.code;
      to.left_parameters = e.parameters;
      return settle(it);
    }
    move_to(it, Phase::left);
    it.code = e.code;
    it.parameters = e.parameters;
  }
  void operator()(const VolumeFinished& e) {
    auto* it = volume(e.label);
    if (it == nullptr) return;
    it->finished = true;
    it->kib = e.kib;
    it->files = e.files;
    it->message = e.message;
  }
  void operator()(const NoVolume& e) {
    name_storage(e.storage);
    const auto known = std::ranges::find(state.no_volume, e.storage, &NoVolume::storage);
    if (known == state.no_volume.end())
      state.no_volume.push_back(e);
    else
      *known = e;
  }

  void operator()(const DumpPaused& e) {
    mark_turn();
    const auto same = [&e](const PauseState& p) {
      return p.host == e.host && p.disk == e.disk && p.by == e.by;
    };
    if (std::ranges::none_of(state.pauses, same)) state.pauses.push_back({e.host, e.disk, e.by, now_us});
    mark_paused(e.host, e.disk);
  }
  void operator()(const DumpResumed& e) {
    mark_turn();
    std::erase_if(state.pauses,
                  [&e](const PauseState& p) { return p.host == e.host && p.disk == e.disk && p.by == e.by; });
    mark_paused(e.host, e.disk);
  }
  void operator()(const LimitChanged& e) {
    const auto known = std::ranges::find_if(state.limits, [&e](const LimitChanged& l) {
      return l.limit == e.limit && l.interface == e.interface && l.host == e.host && l.disk == e.disk;
    });
    if (known == state.limits.end())
      state.limits.push_back(e);
    else
      known->after = e.after;
  }

  void operator()(const Unknown&) { ++state.unknown_events; }
};

void Reduction::apply(const Event& event) {
  if (!state_.started && state_.started_us == 0) state_.started_us = event.wall_us;
  state_.last_us = std::max(state_.last_us, event.wall_us);
  std::visit(Applier{state_, index_, event.wall_us}, event.body);
}

RunState reduce(std::span<const Event> events) {
  Reduction reduction;
  for (const auto& event : events) reduction.apply(event);
  return reduction.state();
}

int exit_status_of(const RunState& state) {
  constexpr int kError = 1;
  constexpr int kStrange = 2;
  constexpr int kFailed = 4;
  constexpr int kMissing = 8;
  constexpr int kVolume = 16;
  int status = 0;
  if (!state.finished) status |= kError;
  for (const auto& note : state.notes)
    if (note.severity == Severity::error || note.severity == Severity::fatal) status |= kError;
  for (const auto& dump : state.dumps) {
    if (dump.strange) status |= kStrange;
    if (dump.phase == Phase::failed) status |= kFailed;
    if (!dump.ended() && !dump.has_image()) status |= kMissing;
    const auto failed = [](const WritingState& it) { return !it.failure.empty(); };
    if (dump.phase != Phase::written && std::ranges::any_of(dump.writings, failed)) status |= kVolume;
  }
  if (!state.no_volume.empty()) status |= kVolume;
  return status;
}

}  // namespace headrace::journal
