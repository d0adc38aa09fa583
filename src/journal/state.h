// What a run looks like after some of its events: the one reduction that status, report and recovery share,
// so that they cannot disagree. Pure; any events in any order give a state, never an error.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/bytes.h"
#include "journal/event.h"
#include "journal/verdict_spans.h"

namespace headrace::journal {

// Where a dump stands.
//   chosen → planned → dumping → (held →) writing → written
// A failed try goes back to planned (or held). skipped, left, failed and written are ends.
enum class Phase { chosen, skipped, planned, dumping, held, writing, written, left, failed };
std::string_view name_of(Phase phase);

// So many samples of a dump are kept; a run takes them a second apart.
inline constexpr size_t kRecentSamples = 10;

// One try to dump.
struct Attempt {
  int number = 1;
  Destination to = Destination::holding;
  std::string why = {};  // it goes there
  int64_t started_us = 0;
  int64_t ended_us = 0;      // 0: still running, or the run died
  std::string failure = {};  // empty unless it failed
  std::vector<std::string> messages = {};
};

// An image on its way to one storage.
struct WritingState {
  std::string storage = {}, pool = {};
  std::vector<std::string> labels = {};  // volumes with parts of it, in order
  std::string begun_on = {};             // the volume it began on
  int64_t started_us = 0;
  int parts = 0;
  uint64_t bytes = 0;    // in whole parts so far; of the image when it is written
  uint64_t sampled = 0;  // bytes by the newest sample of progress
  double seconds = 0;
  std::string failure = {};  // of the last try; empty unless it failed
  bool partial = false;
  bool active = false;   // it is being written
  bool written = false;  // it is there
  bool left = false;     // not in this run
  std::string left_code = {};
  std::vector<Parameter> left_parameters = {};
};

// A moment at which some gate was closed or opened, as a dump that moved saw it.
struct GateTurn {
  int64_t at_us = 0;
  uint64_t bytes = 0;                  // received until then
  double bytes_per_second_before = 0;  // of the seconds before
};

// A sample of a dump on its way.
struct Sample {
  int64_t at_us = 0;
  uint64_t bytes = 0;
};

// Tonight's dump of a disk, or an image of an earlier run that is flushed.
struct DumpState {
  ImageId image = {};
  bool flush = false;
  Phase phase = Phase::chosen;
  // The same for programs, with what would have to be another value; of what waits for its turn or was left.
  std::string code = {};
  std::vector<Parameter> parameters = {};
  std::string flush_code = {};   // why an image of an earlier run is written in this one
  std::string waits_for = {};    // why nothing moves; empty: something does, or it is over
  std::string plan_reason = {};  // why this level, or why it was skipped
  std::string plan_code = {};    // the same for programs, with what would have to be another value
  std::vector<Parameter> plan_parameters = {};
  std::map<int, int64_t> estimates_kib = {};  // by level; -1: asked without a value
  uint64_t est_native_kib = 0, est_stored_kib = 0, est_kps = 0;
  std::string interface = {};
  int64_t interface_kps = 0;  // 0 unknown
  int64_t max_dumps = 0;      // of its host at a time; 0 unknown

  std::vector<Attempt> attempts = {};
  uint64_t bytes = 0;              // received on the current or last attempt
  int64_t moved_us = 0;            // when bytes last grew, here or in `writings`
  int64_t progress_us = 0;         // when `bytes` was true
  std::vector<Joint> joints = {};  // newest sample
  std::vector<TcpEnd> tcp = {};    // likewise
  VerdictSpans verdicts = {};      // what stood in its way, over time
  std::deque<Sample> samples =
      {};  // the newest of this attempt, oldest first; since `turn`, if there was one
  std::optional<GateTurn> turn = {};  // the last gate that was closed or opened, this one's or another's
  bool paused = false;                // somebody holds its gate

  // Of the finished dump.
  bool dumped = false;
  uint64_t native_kib = 0, stored_kib = 0;
  double dump_seconds = 0;
  base::CrcAndSize native_crc = {}, client_crc = {}, server_crc = {};
  bool strange = false;
  std::vector<std::string> messages = {};

  std::string holding_file = {};
  bool plan_failed = false;
  std::string failure = {};                 // why it failed, in the words of the last event that said so
  std::string left_reason = {};             // why it stays on holding disk
  std::vector<std::string> storages = {};   // a held image is to be written to; empty: to one
  std::vector<WritingState> writings = {};  // in the order in which they were begun

  // The one that goes on, else the first; an empty one when there was none.
  const WritingState& writing() const;
  bool is_full() const { return image.level == 0; }
  // Over: no event is expected any more.
  bool ended() const;
  // Over or not: if nothing more happens, an image of it can be restored.
  bool has_image() const;
  // It failed at least once and the dump was completed all the same.
  bool retried() const { return dumped && attempts.size() > 1; }
  // By the newest samples, at most kRecentSamples seconds of them; negative: too few.
  double recent_bytes_per_second() const;
};

// Who holds a disk's dump by a gate, and since when.
struct PauseState {
  std::string host = {}, disk = {}, by = {};
  int64_t since_us = 0;
};

struct VolumeState {
  std::string label = {}, slot = {}, storage = {}, pool = {}, timestamp = {};
  int sequence = 1;
  uint64_t length_kib = 0;
  int64_t started_us = 0;
  uint64_t bytes = 0;  // in whole parts
  uint64_t parts = 0;
  double seconds = 0;  // spent on parts
  bool finished = false;
  uint64_t kib = 0, files = 0;  // as the volume's end said
  std::string message = {};
  uint64_t used_kib() const { return finished ? kib : base::to_kib(bytes); }
};

struct RunState {
  RunStarted run = {};
  bool started = false;
  int64_t started_us = 0;
  int64_t last_us = 0;  // of the newest event
  bool planned = false;
  double plan_seconds = 0;
  std::vector<NoVolume> no_volume = {};  // a storage each
  std::set<std::string> storages = {};   // that events named
  std::optional<RunFinished> finished = {};

  std::vector<DumpState> dumps = {};  // in order of first mention
  std::vector<VolumeState> volumes = {};
  std::vector<PauseState> pauses = {};    // in force
  std::vector<LimitChanged> limits = {};  // changed in this run: as configured, and in force
  std::vector<Note> notes = {};
  std::vector<LeftoverFound> leftovers = {};
  VerdictSpans verdicts = {};  // of the run
  std::vector<PartFailed> failed_parts = {};
  uint64_t unknown_events = 0;

  bool several_storages() const { return storages.size() > 1; }
  double elapsed_seconds() const { return static_cast<double>(last_us - started_us) / 1e6; }
};

// Feeds events one by one, for views that follow a run.
class Reduction {
 public:
  void apply(const Event& event);
  const RunState& state() const { return state_; }

 private:
  friend struct Applier;
  // Host, disk and dump timestamp; a retry may change the level.
  using Key = std::tuple<std::string, std::string, std::string>;
  RunState state_;
  std::map<Key, size_t> index_;
};

RunState reduce(std::span<const Event> events);

// The exit status a run with this outcome has: amreport's bits. 1: an error of the run itself, or it did not
// finish; 2: strange; 4: a dump failed; 8: a disk has no result; 16: an image could not be written to a
// volume, or there was none.
int exit_status_of(const RunState& state);

}  // namespace headrace::journal
