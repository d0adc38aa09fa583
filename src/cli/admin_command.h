// `headrace admin`: what the operator wishes of the next plan. Counterpart: amadmin's force, unforce,
// force-level-1, force-bump, force-no-bump; the wishes stand in the same info files. What Amanda has no wish
// for, skip and its end unskip, stands beside them (server/drive/skip_mark.h). Exit status: 0 done, 1 usage,
// configuration, or a record that could not be read or written.
#pragma once

#include <string>
#include <vector>

namespace headrace::cli {

struct WishOptions {
  std::string config;
  std::string wish;                // one of wish_words()
  std::vector<std::string> disks;  // HOST [DISK…] …
  std::vector<std::string> overrides;
  bool json = false;
};

std::vector<std::string> wish_words();
int wish(const WishOptions& options);

}  // namespace headrace::cli
