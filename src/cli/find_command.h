// `headrace find`: lists the dumps of a configuration and where they are, as `amadmin CONF find` does. Exit
// status: 0 listed, 1 usage or configuration.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace headrace::cli {

struct FindOptions {
  std::string config;
  std::string host;                // empty: all
  std::vector<std::string> disks;  // empty: all
  bool json = false;
  std::vector<std::string> overrides = {};
  int64_t now = 0;  // seconds since 1970; 0: as the clock says
};

int find(const FindOptions& options);

}  // namespace headrace::cli
