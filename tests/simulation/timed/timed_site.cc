#include "timed_site.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/random.h"

namespace headrace::timed {

namespace {

constexpr double kMib = 1024;
constexpr double kGib = 1024 * kMib;
constexpr double kNight = 4 * 3600;  // seconds; what an ordinary night is to take

}  // namespace

std::string_view name_of(Narrow narrow) {
  switch (narrow) {
    case Narrow::disks:
      return "disks";
    case Narrow::maxdumps:
      return "maxdumps";
    case Narrow::clients:
      return "clients";
    case Narrow::network:
      return "network";
    case Narrow::inparallel:
      return "inparallel";
    case Narrow::holding:
      return "holding disk";
    case Narrow::volume:
      return "volume";
    case Narrow::even:
      return "even";
  }
  return {};
}

Site draw_site(size_t hosts, size_t disks, Narrow narrow, double holding_nights, unsigned seed) {
  sim::Random random(seed);
  const auto share = [&random] { return static_cast<double>(random.below(10'000)) / 10'000; };
  Site site;
  site.name =
      fmt::format("{} clients, {} disks, {}, holding {}", hosts, disks, name_of(narrow), holding_nights);
  // How many times what a night needs of a joint it has.
  const auto plenty = [narrow](Narrow joint) {
    return narrow == joint || narrow == Narrow::even ? 1.1 : 4.0;
  };
  double night = 0;
  double seconds = 0;
  std::vector<double> of_host(hosts, 0);
  for (size_t i = 0; i < disks; ++i) {
    Disk disk;
    // Some machines have many disks, most have few.
    disk.host = i < hosts ? i : std::min(random.below(hosts), random.below(hosts));
    disk.spindle = share() < 0.3 ? static_cast<int>(random.below(2)) : -1;
    disk.full_kib = (2 * std::pow(40.0, share())) * kGib;
    disk.daily_change = 0.002 + 0.05 * share();
    disk.growth = 0.0005 * share();
    // Large disks are the faster ones; the largest would still take a third of the night or most of it.
    const double longest = kNight / (narrow == Narrow::disks ? 1.2 : 3);
    disk.source_kps = disk.full_kib / longest * (1 + 4 * share()) + 5 * kMib * share();
    const double tonight =
        disk.full_kib / static_cast<double>(site.dumpcycle) + disk.full_kib * disk.daily_change * 2;
    night += tonight;
    of_host[disk.host] += tonight;
    seconds += tonight / disk.source_kps;
    site.disks.push_back(disk);
  }
  for (size_t i = 0; i < hosts; ++i) {
    Host host;
    host.max_dumps = narrow == Narrow::maxdumps ? 1 : 3;
    host.cpu_kps = std::max(of_host[i] / kNight * plenty(Narrow::clients) * (1 + share()), 10 * kMib);
    host.net_kps = std::max(of_host[i] / kNight * 4, 100 * kMib);
    site.hosts.push_back(host);
  }
  auto& server = site.server;
  server.in_parallel = std::max<int64_t>(
      std::llround(seconds / kNight * (narrow == Narrow::inparallel || narrow == Narrow::even ? 1.1 : 3)), 2);
  server.net_kps = night / kNight * plenty(Narrow::network);
  server.holding_kps = 2 * night / kNight * plenty(Narrow::holding);
  server.holding_kib = static_cast<uint64_t>(holding_nights * night);
  server.drive_kps = night / kNight * plenty(Narrow::volume);
  server.volume_kib = static_cast<uint64_t>(2 * night);
  return site;
}

}  // namespace headrace::timed
