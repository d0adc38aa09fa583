// What the client's services stand on: the loop and where things are on this machine. Made by main, outlives
// every service.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "loop/loop.h"
#include "loop/process.h"

namespace headrace::client {

// Debian's places, unless main says otherwise.
struct ClientPaths {
  std::filesystem::path config_dir = "/etc/amanda";
  std::filesystem::path gnutar = "/bin/tar";
  std::filesystem::path runtar = "/usr/lib/amanda/runtar";
  std::filesystem::path application_dir = "/usr/lib/amanda/application";
  std::filesystem::path gzip = "/bin/gzip";
  // Who programs that compress and encrypt run as; unset: who we are. The dump user, when root runs us.
  std::optional<loop::ChildUser> filters_as = {};
  // For exclude and include files, which are made there with unguessable names and removed after use.
  std::filesystem::path tmp_dir = "/tmp";
};

struct ClientContext {
  loop::Loop& loop;
  ClientPaths paths;
  std::string hostname;  // this machine's name, where a request gives none
};

}  // namespace headrace::client
