// A text file written under a temporary name, plain or as fast gzip, and renamed when complete. Owned by one
// index or state writer; blocking, for a worker thread.
#pragma once

#include <zlib.h>

#include <array>
#include <filesystem>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fd.h"

namespace headrace::compat {

class TextFileWriter {
 public:
  // Opens `<path>.tmp`, making the directories.
  static base::Result<std::unique_ptr<TextFileWriter>> open(std::filesystem::path path, bool compress);
  ~TextFileWriter();  // without finish(): abandons
  TextFileWriter(const TextFileWriter&) = delete;
  TextFileWriter& operator=(const TextFileWriter&) = delete;

  // After an error, further calls are refused.
  base::Result<> add(base::Bytes bytes);
  // Synced and renamed to its name.
  base::Result<> finish();
  void abandon();

 private:
  TextFileWriter(std::filesystem::path path, std::filesystem::path temporary, base::Fd fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(std::move(fd)) {}
  base::Result<> start_deflate();
  base::Result<> deflate_all(base::Bytes bytes, int flush);
  base::Result<> write_out();

  std::filesystem::path path_, temporary_;
  base::Fd fd_;
  bool compress_ = false;
  bool broken_ = false;
  z_stream deflate_{};
  size_t filled_ = 0;
  std::array<char, 65536> buffer_;
};

}  // namespace headrace::compat
