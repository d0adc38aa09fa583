// Sorts lines of any number within bounded memory: in pieces, which go to unnamed files and are merged at the
// end. Owned by a sorting index writer; blocking, for a worker thread. Order is that of bytes.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace headrace::compat {

class LineSorter {
 public:
  // Pieces are kept in `directory`.
  LineSorter(std::filesystem::path directory, size_t piece_bytes)
      : directory_(std::move(directory)), piece_bytes_(piece_bytes) {}

  // Without newline. Error `full`: more than kMaxPieces pieces.
  base::Result<> add(std::string line);
  // Hands all lines over in order; then the sorter is empty.
  base::Result<> drain(const std::function<base::Result<>(std::string_view line)>& each);

  static constexpr size_t kMaxPieces = 512;

 private:
  base::Result<> spill();

  std::filesystem::path directory_;
  size_t piece_bytes_;
  size_t held_bytes_ = 0;
  std::vector<std::string> lines_;
  std::vector<base::Fd> pieces_;
};

}  // namespace headrace::compat
