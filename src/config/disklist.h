// The disklist: which disks of which hosts are backed up, and how. Values; reads one file (and those it
// includes) and reports every mistake with its place.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.h"
#include "config/load.h"
#include "config/server_config.h"

namespace headrace::config {

struct DiskListEntry {
  std::string host;
  std::string disk;                        // the name used everywhere: commands, files, logs
  std::string device;                      // what the client dumps; equal to disk when none was given
  bool has_device = false;                 // a device was written, even one equal to the disk
  Dumptype dumptype;                       // the in-line block's parameters applied
  int spindle = -1;                        // -1: no restriction
  std::string interface_name = "default";  // of the host's last entry, as maxdumps is
  std::string file;
  int line = 0;
  // What this disk's dumptype asks for and Headrace does not do yet: its defaults, and what an in-line block
  // sets. What amanda.conf sets is in not_honoured(config).
  std::vector<NotHonoured> not_honoured;
};

// Reads globals.diskfile. Entries keep the file's order.
Loaded<std::vector<DiskListEntry>> load_disklist(const ServerConfig& config);
// The same from text, for tests and fuzzing; `file` is the name used in diagnostics.
Loaded<std::vector<DiskListEntry>> load_disklist_text(const ServerConfig& config, std::string_view text,
                                                      const std::filesystem::path& file);

}  // namespace headrace::config
