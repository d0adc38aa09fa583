// A site as figures: its machines and what each of their joints moves a second, the disks and how they grow,
// the server with its holding disk and drives. Drawn from a seed. Values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/plan/plan.h"

namespace headrace::timed {

struct Disk {
  size_t host = 0;
  int spindle = -1;
  double full_kib = 0;
  double daily_change = 0;  // of the full
  double growth = 0;        // of the full, each night
  double source_kps = 0;    // what its archiver reads alone, full dumps
};

struct Host {
  double cpu_kps = 0;  // what all its dumps together can be packed
  double net_kps = 0;
  int64_t max_dumps = 3;
};

struct Server {
  int64_t in_parallel = 10;
  double net_kps = 0;
  double holding_kps = 0;  // read and written together
  uint64_t holding_kib = 0;
  double drive_kps = 0;   // of each drive
  double lowest_kps = 0;  // below which a drive stops and starts again; 0: it never does
  int64_t drives = 1;
  int64_t volumes = 4;  // runtapes
  uint64_t volume_kib = 0;
  double load_seconds = 30;
  int64_t netusage_kps = 0;  // 0: no limit
};

struct Site {
  std::string name;
  std::vector<Host> hosts;
  std::vector<Disk> disks;
  Server server;
  int64_t dumpcycle = 7;
};

// What a site is short of; `even`: of all alike.
enum class Narrow { disks, maxdumps, clients, network, inparallel, holding, volume, even };
inline constexpr Narrow kNarrows[] = {Narrow::disks,      Narrow::maxdumps, Narrow::clients, Narrow::network,
                                      Narrow::inparallel, Narrow::holding,  Narrow::volume,  Narrow::even};
std::string_view name_of(Narrow narrow);

// `hosts` machines with `disks` disks in all, some with many, most with few, and what `narrow` says as the
// joint that an ordinary night waits for. Holding disk takes `holding_nights` ordinary nights.
Site draw_site(size_t hosts, size_t disks, Narrow narrow, double holding_nights, unsigned seed);

}  // namespace headrace::timed
