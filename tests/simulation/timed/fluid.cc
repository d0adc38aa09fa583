#include "fluid.h"

#include <algorithm>

namespace headrace::timed {

// Every flow's rate rises alike; what reaches its own limit, or whose joint is full, stays where it is.
std::vector<Share> share(const std::vector<double>& capacities, const std::vector<Flow>& flows) {
  std::vector<Share> shares(flows.size());
  std::vector<double> left = capacities;
  std::vector<size_t> users(capacities.size(), 0);
  for (const auto& flow : flows)
    for (const size_t joint : flow.joints) ++users[joint];
  std::vector<size_t> used;
  for (size_t joint = 0; joint < users.size(); ++joint)
    if (users[joint] > 0) used.push_back(joint);
  std::vector<size_t> rising;
  for (size_t i = 0; i < flows.size(); ++i) rising.push_back(i);
  double level = 0;
  while (!rising.empty()) {
    // The first to stop: a flow at its own limit, or a joint that is full.
    double next = flows[rising.front()].most;
    size_t full = kAlone;
    for (const size_t i : rising) {
      if (flows[i].most <= next) next = flows[i].most, full = kAlone;
    }
    std::erase_if(used, [&](size_t joint) { return users[joint] == 0; });
    for (const size_t joint : used) {
      const double reached = level + std::max(left[joint], 0.0) / static_cast<double>(users[joint]);
      if (reached < next) next = reached, full = joint;
    }
    for (const size_t joint : used) left[joint] -= (next - level) * static_cast<double>(users[joint]);
    level = next;
    std::erase_if(rising, [&](size_t i) {
      const bool stops = full == kAlone ? flows[i].most <= level
                                        : std::ranges::find(flows[i].joints, full) != flows[i].joints.end();
      if (!stops) return false;
      shares[i] = {level, full};
      for (const size_t joint : flows[i].joints) --users[joint];
      return true;
    });
  }
  return shares;
}

}  // namespace headrace::timed
