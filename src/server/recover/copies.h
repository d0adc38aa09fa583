// The copies of one dump while it is restored: which one is read, which were given up, and why. Owned by the
// restore; touches no volume but through look(), which blocks, on a worker.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/server_config.h"
#include "server/catalog/catalog.h"
#include "server/recover/volumes.h"

namespace headrace::recover {

class Copies {
 public:
  struct GivenUp {
    catalog::Image copy;
    base::Error why;
  };

  // Not empty, all of one dump. In order: those in `preferred` ("HOLDING" too), held ones, then as the
  // configuration lists the storages. Those that are not complete are given up from the beginning.
  Copies(std::vector<catalog::Image> copies, const config::ServerConfig& config,
         const std::string& preferred);

  // Gives up those of which a volume is in no changer. The slots are as `volumes` remembers them.
  void look(Volumes& volumes);
  // The first that was not given up; the error, when none is left, names each and what is wrong with it.
  base::Result<const catalog::Image*> current() const;
  // The current one is not to be tried again.
  void give_up(base::Error why);
  // Complete ones that were given up though they came before the current one.
  std::vector<GivenUp> passed_over() const;

 private:
  struct Copy {
    catalog::Image image;
    std::optional<base::Error> trouble{};
  };
  std::vector<Copy> copies_;
};

// The volumes that a copy needs; none when it is held.
std::vector<VolumeWanted> volumes_of(const catalog::Image& copy);

}  // namespace headrace::recover
