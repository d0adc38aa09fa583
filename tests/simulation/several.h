// The storages of a site that has several: how amanda.conf names them, which of them a night's run writes to,
// and what each is to get. Drawn from random numbers of its own. Values; pure.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "scenario.h"
#include "sim/random.h"

namespace headrace::simulation {

// "a", "b", …
std::string storage_name(size_t number);
// "vtapes", "vtapes2", …: the directory of its slots.
std::string vtapes_name(size_t number);
// The file of its changer's state.
std::string changer_name(size_t number);
// Volumes are called "V-1", "V2-1", …; what stands before the dash is the storage's own.
std::string label_prefix(size_t number);

// What is so in one night.
struct StorageNight {
  std::vector<bool> in_use = {};  // by storage; the others keep what is for them on holding disk
  std::vector<bool> away = {};    // its volumes are not there
};

class StorageSource {
 public:
  StorageSource(const Scenario& scenario, uint64_t seed);
  // In order of nights.
  StorageNight next();

 private:
  const Scenario& scenario_;
  sim::Random random_;
};

// The lines of amanda.conf that define them all; `known`: so many of them are named at all.
std::string storages_text(const Scenario& scenario, const StorageNight& night, const std::string& root,
                          size_t known);

// The tags of a disk, by its name; as the dumptype of that name has them (tagged_dumptypes()).
std::vector<std::string> tags_of(const std::string& disk);
std::string dumptype_of(const std::string& disk);
std::string tagged_dumptypes();

// Whether the storage is to get that dump: the manual's rule, in words of our own.
bool is_for(const StorageSetup& storage, const std::vector<std::string>& tags, int level);

}  // namespace headrace::simulation
