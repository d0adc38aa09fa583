// Makes a night of dumps fit: delays fulls and drops incrementals until the volumes can take what is left,
// then makes fulls early so that each night of the cycle has its share. Pure; a part of the plan (plan.h).
// Source of the rules: observed with Amanda 3.5.1.
#pragma once

#include "server/plan/plan.h"

namespace headrace::plan {

// A planned dump with what moves it. All of them in the order to start.
struct Candidate {
  PlannedDump dump;
  int64_t due_in = 0;
  bool forced = false;                    // a full that the operator asked for
  bool takes_fulls = true;                // by its strategy
  bool only_fulls = false;                // noinc
  std::optional<PlannedLevel> full = {};  // of an incremental: the full to make instead, if it is to be early
  uint64_t full_kib = 0;                  // stored size of a full, expected or the last; 0: unknown
  std::string last_full = {};             // timestamp; empty: there was none
};

struct Balanced {
  std::vector<Candidate> dumps;  // in the order to start
  std::vector<NotDumped> dropped;
  std::vector<PlanNote> notes;
  uint64_t balanced_kib = 0;
};

Balanced balance(const PlanInputs& inputs, std::vector<Candidate> candidates);

// In the order to start: priority, then size, large first; for equals the order of the disklist.
void sort_by_start(std::vector<Candidate>& candidates);

// What a run can write, KiB; 0: not known.
int64_t capacity_of_run(const Capacity& capacity);
// What so many dumps of so much take on volumes, labels and filemarks included, KiB.
uint64_t written_kib(const Capacity& capacity, size_t dumps, uint64_t stored_kib);

}  // namespace headrace::plan
