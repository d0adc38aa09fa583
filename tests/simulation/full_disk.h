// A file system that others fill: what the kernel answers to this program's writes below a directory, as if
// the room there had come to an end. By definitions of pwrite(2), pwritev(2) and statvfs(3) of the program's
// own, which pass everything else on; so only a program that plays, and is alone with its files, may have it.
// Single thread.
#pragma once

#include <cstdint>
#include <filesystem>

namespace headrace::simulation {

class FullDisk {
 public:
  // From now on so much more may be written below it; what is deleted there makes no room: others take it.
  static void fill(const std::filesystem::path& directory, uint64_t bytes_left);
  // Others have deleted their files. Nothing happens when none is filled.
  static void empty();
  // Writes take what does not fit, and say nothing: a bug of the file system, or of who writes.
  static void lie(bool lies);
  // Writes that were refused or cut short.
  static uint64_t refusals();
};

}  // namespace headrace::simulation
