// The copies of each image on a site of several storages: each image reaches each storage that selects it, or
// is held for that one alone, and every copy has the same bytes. Looked at from outside: the catalog, the
// command file, the volumes. Owned by the checks; blocking file work.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "compat/command_file.h"
#include "config/server_config.h"
#include "scenario.h"
#include "server/catalog/catalog.h"
#include "server/recover/volumes.h"

namespace headrace::simulation {

// All bytes of an image, as a restore reads them.
struct Stored {
  std::string bytes;
  bool gzipped = false;  // by its header
};
base::Result<Stored> read_image(recover::Volumes& volumes, const catalog::Image& image);

class Copies {
 public:
  using Dle = std::pair<std::string, std::string>;  // host, disk
  using Fault = std::function<void(std::string)>;
  // How many volumes of those with that prefix were written by that run and later ones.
  using LabelsSince = std::function<size_t(const std::string& prefix, const std::string& run)>;

  explicit Copies(const Scenario& scenario) : storages_(scenario.storages) {}

  bool several() const { return !storages_.empty(); }
  // A run made a good image. `held`: on holding disk; else it went straight to a volume, and one storage has
  // it. `died`: the run did, perhaps before it could order anything.
  void made(const Dle& dle, const std::string& timestamp, int level, bool held, bool died);
  // A run died: what it had under way may be done again.
  void run_died();
  // The disk stands in no disklist any more: nobody knows what selects it.
  void forgotten(const Dle& dle);
  // After each night.
  void look(const config::ServerConfig& config, const catalog::Catalog& catalog, recover::Volumes& volumes,
            int64_t tapecycle, const LabelsSince& labels_since, const Fault& fault);
  // Whether one of the disk's images from then on had its turn to be written over on every storage it was on.
  bool may_be_gone(const Dle& dle, const std::string& since, int64_t tapecycle,
                   const LabelsSince& labels_since) const;
  uint64_t compared() const { return compared_; }

 private:
  struct Key {
    Dle dle;
    std::string timestamp;
    int level = 0;
    auto operator<=>(const Key&) const = default;
  };
  struct Copy {
    std::set<size_t> pending = {};  // storages that are still to get it
    std::set<size_t> reached = {};
    bool held = false;       // it was on holding disk when it was made
    bool forgotten = false;  // …
    bool died = false;       // a run died while something was to be done with it
    base::CrcAndSize bytes = {};
  };
  struct Found;  // of an image, tonight
  Found find(const Key& key, const catalog::Catalog& catalog) const;
  void look_at(const Key& key, Copy& copy, const Found& found, recover::Volumes& volumes, const Fault& fault);
  void look_at_orders(const Key& key, const Copy& copy, const Found& found, const compat::CommandFile& orders,
                      const std::string& config, const Fault& fault) const;

  const std::vector<StorageSetup> storages_;
  std::map<Key, Copy> copies_;
  uint64_t compared_ = 0;  // copies with another
};

}  // namespace headrace::simulation
