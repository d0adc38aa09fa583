#include "server/drive/reasons.h"

#include <fmt/format.h>

namespace headrace::drive {

namespace {

using journal::Parameter;
using Parameters = std::vector<Parameter>;

Parameter number(const char* name, int64_t value, std::string of = {}) {
  return {name, fmt::format("{}", value), std::move(of)};
}

Parameters holding_disks(const config::ServerConfig& config) {
  Parameters out;
  for (const auto& disk : config.holding_disks)
    out.push_back({"use", fmt::format("{} KiB", disk.use_kib), disk.name});
  return out;
}

}  // namespace

std::string_view code_of(Wait why) {
  switch (why) {
    case Wait::parallel_limit:
      return "parallel-limit";
    case Wait::host_limit:
      return "host-limit";
    case Wait::spindle:
      return "spindle";
    case Wait::network:
      return "network";
    case Wait::holding_space:
      return "holding-space";
    case Wait::volume_writer:
      return "volume-writer";
    case Wait::volume:
      return "volume";
    case Wait::its_time:
      return "its-time";
    case Wait::others:
      return "first-tries";
    case Wait::resume:
      return "paused";
    case Wait::thresholds:
      return "thresholds";
  }
  return "";
}

std::string_view code_of(Way way) {
  switch (way) {
    case Way::holding_has_room:
      return "holding-has-room";
    case Way::no_volume:
      return "no-volume";
    case Way::never_holding:
      return "never-holding";
    case Way::only_when_degraded:
      return "only-when-degraded";
    case Way::no_holding_disk:
      return "no-holding-disk";
    case Way::failed_on_holding:
      return "failed-on-holding";
    case Way::no_room:
      return "no-room";
  }
  return "";
}

std::string_view code_of(Left why) {
  switch (why) {
    case Left::ended_early:
      return "ended-early";
    case Left::no_volume:
      return "no-volume";
    case Left::thresholds:
      return "thresholds";
    case Left::write_failed:
      return "write-failed";
    case Left::unreadable:
      return "unreadable";
    case Left::not_selected:
      return "not-selected";
  }
  return "";
}

std::string_view code_of(Lost why) {
  switch (why) {
    case Lost::failed:
      return "failed";
    case Lost::ended_early:
      return "ended-early";
    case Lost::not_selected:
      return "not-selected";
    case Lost::never_holding:
      return "never-holding";
    case Lost::no_holding_disk:
      return "no-holding-disk";
    case Lost::no_room:
      return "no-room";
    case Lost::reserved:
      return "reserved";
  }
  return "";
}

Parameters parameters_of(Wait why, const InForce& now) {
  const std::string host = now.disk != nullptr ? now.disk->host : "";
  const auto& storage = now.storage != nullptr ? *now.storage : now.config.first_storage();
  switch (why) {
    case Wait::parallel_limit:
      return {number("inparallel", now.in_parallel)};
    case Wait::host_limit:
      return {number("maxdumps", now.max_dumps, host)};
    case Wait::spindle:
      return {number("spindle", now.disk != nullptr ? now.disk->spindle : -1, host)};
    case Wait::network: {
      const std::string interface = now.disk != nullptr ? now.disk->interface_name : "";
      return {number(interface == "default" ? "netusage" : "use", now.interface_kps, interface)};
    }
    case Wait::holding_space:
      return holding_disks(now.config);
    case Wait::volume:
      return {number("runtapes", storage.runtapes, storage.name)};
    case Wait::volume_writer:
      return {number("taper-parallel-write", storage.taper_parallel_write, storage.name),
              number("runtapes", storage.runtapes, storage.name)};
    case Wait::its_time:
      if (now.disk == nullptr || !now.disk->dumptype.has_starttime) return {};
      return {{"starttime",
               fmt::format("{:02}{:02}", now.disk->dumptype.starttime.count() / 60,
                           now.disk->dumptype.starttime.count() % 60),
               host}};
    case Wait::thresholds:
      return {number("flush-threshold-dumped", storage.flush_threshold_dumped, storage.name),
              number("flush-threshold-scheduled", storage.flush_threshold_scheduled, storage.name)};
    case Wait::others:
    case Wait::resume:
      break;
  }
  return {};
}

Parameters parameters_of(Left why, const config::Storage& storage) {
  if (why == Left::no_volume) return {number("runtapes", storage.runtapes, storage.name)};
  if (why == Left::thresholds) return {number("taperflush", storage.taperflush, storage.name)};
  return {};
}

Parameters parameters_of(Lost why, const config::ServerConfig& config, const config::DiskListEntry* disk) {
  const std::string whose = disk == nullptr ? "" : disk->host + ":" + disk->disk;
  switch (why) {
    case Lost::failed:
      return disk == nullptr ? Parameters{}
                             : Parameters{number("retry-dump", disk->dumptype.retry_dump, whose)};
    case Lost::never_holding:
      return {{"holdingdisk", "never", whose}};
    case Lost::no_room:
      return holding_disks(config);
    case Lost::reserved:
      return {number("reserve", config.globals.reserve_percent)};
    case Lost::ended_early:
    case Lost::not_selected:
    case Lost::no_holding_disk:
      break;
  }
  return {};
}

}  // namespace headrace::drive
