// A thread that writes a descriptor full and one that reads another empty, with plain system calls and
// without allocating anything: what stands on both sides of a flow whose own costs a test counts. Tests only.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <thread>
#include <utility>

#include "base/fd.h"

namespace headrace::loop {

inline constexpr size_t kTrafficBlock = 16384;

// Writes so many blocks, then closes. `before_last`: called once, on the thread; the last one waits for it.
inline std::thread write_blocks(base::Fd to, size_t blocks, std::function<void()> before_last) {
  return std::thread([to = std::move(to), blocks, before_last = std::move(before_last)] {
    std::array<char, kTrafficBlock> block{};
    for (size_t i = 0; i < blocks; ++i) {
      if (i + 1 == blocks) before_last();
      for (size_t done = 0; done < block.size();) {
        const ssize_t put = ::write(to.get(), block.data() + done, block.size() - done);
        if (put <= 0) return;
        done += static_cast<size_t>(put);
      }
    }
  });
}

// Reads to the end; `passed` is called once, on the thread, when `bytes` have come.
inline std::thread read_blocks(base::Fd from, size_t bytes, std::function<void()> passed) {
  return std::thread([from = std::move(from), bytes, passed = std::move(passed)] {
    std::array<char, kTrafficBlock> block{};
    size_t seen = 0;
    while (true) {
      const ssize_t got = ::read(from.get(), block.data(), block.size());
      if (got <= 0) return;
      const bool before = seen < bytes;
      seen += static_cast<size_t>(got);
      if (before && seen >= bytes) passed();
    }
  });
}

}  // namespace headrace::loop
