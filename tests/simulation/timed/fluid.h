// How fast flows move that share joints: as with TCP and disks that serve in turn, each gets as much as the
// others of its narrowest joint, and what one cannot use the others get (max-min fairness). Pure.
#pragma once

#include <cstddef>
#include <vector>

namespace headrace::timed {

// What one flow moves through; rates are KiB/s.
struct Flow {
  std::vector<size_t> joints = {};  // indices into the capacities; each at most once
  double most = 0;                  // what it could move alone, whatever the joints
};

struct Share {
  double kps = 0;
  // The joint that holds it back; kAlone: it moves as fast as it could alone.
  size_t held_by = 0;
};
inline constexpr size_t kAlone = static_cast<size_t>(-1);

// One for each flow.
std::vector<Share> share(const std::vector<double>& capacities, const std::vector<Flow>& flows);

}  // namespace headrace::timed
