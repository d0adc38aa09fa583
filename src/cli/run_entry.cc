#include "cli/run_entry.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cstdio>

namespace headrace::cli {

namespace {

// A run that begins may have to read what a crash left on its holding disks, to the last byte.
constexpr int kBeginningMs = 30 * 60 * 1000;
constexpr int kLookAgainMs = 1000;

std::optional<drive::OtherRuns> ask(const ServerContext& context) {
  auto others = drive::find_other_runs(context.config, 0);
  if (!others && others.error().kind() == base::ErrorKind::again) {
    fmt::print(stderr, "headrace: another run of {} is just beginning; waiting for it\n",
               context.config.name);
    others = drive::find_other_runs(context.config, kBeginningMs);
  }
  if (!others) {
    fmt::print(stderr, "headrace: {}\n", others.error().what());
    return std::nullopt;
  }
  return std::move(*others);
}

void tell(const std::vector<drive::TakenDisk>& taken) {
  constexpr size_t kNamed = 5;
  for (size_t i = 0; i < std::min(taken.size(), kNamed); ++i)
    fmt::print(stderr, "headrace: {} {}: {}\n", taken[i].host, taken[i].disk, taken[i].reason);
  if (taken.size() > kNamed) fmt::print(stderr, "headrace: and {} more\n", taken.size() - kNamed);
}

}  // namespace

std::optional<RunEntry> enter_run(const ServerContext& context,
                                  const std::vector<config::DiskListEntry>& disks, bool wait) {
  bool told = false;
  while (true) {
    auto others = ask(context);
    if (!others) return std::nullopt;
    auto taken = others->taken(disks);
    if (taken.empty() || (!wait && taken.size() < disks.size())) {
      auto free = disks;
      std::erase_if(free, [&taken](const auto& disk) {
        return std::ranges::any_of(taken, [&disk](const drive::TakenDisk& it) {
          return it.host == disk.host && it.disk == disk.disk;
        });
      });
      return RunEntry{std::move(*others), std::move(free), std::move(taken)};
    }
    if (!std::exchange(told, true)) tell(taken);
    if (!wait) {
      fmt::print(
          stderr,
          "headrace: no disk is left for this run, and none is dumped twice at once. \"headrace status "
          "{}\" shows how far the other run is; with --wait this one begins when that has done with "
          "them\n",
          context.config.name);
      return std::nullopt;
    }
    others.reset();
    ::poll(nullptr, 0, kLookAgainMs);
  }
}

}  // namespace headrace::cli
