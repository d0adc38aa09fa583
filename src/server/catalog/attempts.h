// One run log's writing of images: gathers PART lines until the line that says how it ended, and makes images
// of them. Pure. Internal to the catalog's loader.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "compat/log_line.h"
#include "compat/tapelist.h"
#include "server/catalog/catalog.h"

namespace headrace::catalog {

class Attempts {
 public:
  // Both borrowed. `config_name` stands for storages that old logs do not name.
  Attempts(const compat::Tapelist& tapelist, std::string_view config_name)
      : tapelist_(tapelist), config_name_(config_name) {}

  void add(const compat::TapeStartLine& line);
  void add(const compat::PartLine& line);
  void add(const compat::TapedLine& line);
  void add(const compat::TaperFailLine& line);
  // The log has ended: what was still being written never ended well. Images of which no part is left on a
  // volume (all were written over since) are not given.
  std::vector<Image> take();

 private:
  // host, disk, timestamp, level, storage
  using Key = std::tuple<std::string, std::string, std::string, int, std::string>;
  using Open = std::map<Key, Image, std::less<>>;  // few at a time
  const std::string& storage_of(const std::string& logged) const {
    return logged.empty() ? config_name_ : logged;
  }
  // Of the image that the line is about.
  template <class Line>
  Open::iterator open_image(const Line& line);
  void close(Open::iterator image);

  const compat::Tapelist& tapelist_;
  std::string config_name_;
  // By label, of volumes this log wrote that still have it.
  std::map<std::string, std::string> write_timestamps_;
  Open open_;
  std::vector<Image> done_;
};

}  // namespace headrace::catalog
