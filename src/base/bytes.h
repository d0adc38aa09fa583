// Byte spans and sizes. Views borrow; nothing here owns memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace headrace::base {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline constexpr uint64_t kKiB = 1024;
inline constexpr uint64_t kMiB = 1024 * kKiB;
inline constexpr uint64_t kGiB = 1024 * kMiB;

// KiB, rounded up: the unit of Amanda's sizes.
inline constexpr uint64_t to_kib(uint64_t bytes) { return (bytes + kKiB - 1) / kKiB; }

// "512 B", "3.4 MiB": for people, not for files.
std::string human_bytes(uint64_t bytes);

}  // namespace headrace::base
