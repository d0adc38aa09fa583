// `headrace check`: whether tonight's run will find what it needs: server, volume, clients. Counterpart:
// amcheck. Exit status: 0 no problem, 1 at least one.
#pragma once

#include <string>
#include <vector>

namespace headrace::cli {

struct CheckOptions {
  std::string config;
  std::vector<std::string> disks;  // [HOST [DISK…]]…; empty: all
  std::vector<std::string> overrides;
  bool server = true;  // holding disks, directories, volume
  bool clients = true;
  bool verbose = false;  // also what is in order on the clients
  bool json = false;
};

int check(const CheckOptions& options);

}  // namespace headrace::cli
