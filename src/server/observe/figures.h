// What the views count: sums and derived figures of a run's state. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "journal/state.h"

namespace headrace::observe {

// Whether the run goes on. `alive`: its journal is being written (journal::is_being_written).
enum class Life { running, finished, died };
Life life_of(const journal::RunState& state, bool alive);

// Bytes moved, of how many expected, in how many seconds; of a dump in progress or one that ended.
struct Movement {
  uint64_t bytes = 0;
  uint64_t expected = 0;  // 0 unknown
  double seconds = 0;
  double idle_seconds = 0;      // since bytes last grew; 0 when nothing is in progress
  double seconds_left() const;  // by the mean rate so far; negative: unknown
};
Movement movement_of(const journal::DumpState& dump, int64_t now_us);

struct Sum {
  uint64_t dumps = 0;
  uint64_t kib = 0;           // real
  uint64_t expected_kib = 0;  // estimated, of the same dumps
};
// Every dump counts in one of the first nine; the sums after them are subtotals.
struct Sums {
  Sum estimating, waiting, dumping, held, writing, written, left, failed, skipped, missing;
  Sum all;         // tonight's dumps and flushes that are to be done
  Sum dumped;      // complete dumps of tonight
  Sum flushes;     // images of earlier runs
  Sum on_volumes;  // written, of all
};
Sums sums_of(const journal::RunState& state, Life life);

// Where a dump stands, in a word for the operator.
std::string state_word(const journal::DumpState& dump, Life life);
// Without an outcome though the run is over.
bool is_missing(const journal::DumpState& dump, Life life);

// The run's own word, and everything the events say: bits as journal::exit_status_of.
int status_bits_of(const journal::RunState& state);
// "failed, strange" for 6; "all well" for 0.
std::string exit_status_text(int status);

// " of storage b" where a run has several; else empty.
std::string of_storage(const journal::RunState& state, const std::string& storage);
// The number of images with parts on this volume.
uint64_t images_on(const journal::RunState& state, const std::string& label);

}  // namespace headrace::observe
