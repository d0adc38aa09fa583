// How fast a run could have been at best: what its slowest disk needed alone, and what each joint that all
// share needed at least, dumps and images taking as long as they did. No order of the same work is faster, so
// the distance is what scheduling lost. Pure.
#pragma once

#include <string>
#include <vector>

#include "journal/state.h"

namespace headrace::observe {

struct Bound {
  std::string joint;    // disk, maxdumps, inparallel, interface, holding disk, volume writer
  std::string of = {};  // which
  double seconds = 0;   // from the start of the run
};

struct LowerBound {
  double run_seconds = 0;
  std::vector<Bound> bounds;  // the largest first; none: nothing was dumped or written
  // Of the time that the run took, what was needed at least: 1 is the best possible.
  double efficiency() const;
};
LowerBound lower_bound_of(const journal::RunState& state);

// "The run took 12:31; no order of the same work takes less than 10:02 (wolke:/srv alone): 80 % of the best
// possible." with a newline; empty when there is nothing to say.
std::string lower_bound_line(const journal::RunState& state);

}  // namespace headrace::observe
