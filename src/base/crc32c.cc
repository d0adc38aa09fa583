#include "base/crc32c.h"

#include <fmt/format.h>
#include <isa-l/crc.h>

#include <charconv>

namespace headrace::base {

void Crc32c::add(Bytes bytes) {
  // ISA-L takes an int length and a non-const pointer that it only reads.
  size_ += bytes.size();
  while (!bytes.empty()) {
    const size_t piece = bytes.size() < (size_t{1} << 30) ? bytes.size() : (size_t{1} << 30);
    auto* data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
    state_ = crc32_iscsi(data, static_cast<int>(piece), state_);
    bytes = bytes.subspan(piece);
  }
}

std::string CrcAndSize::text() const { return fmt::format("{:08x}:{}", crc, size); }

CrcAndSize CrcAndSize::parse(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return {};
  CrcAndSize value;
  const char* begin = text.data();
  auto crc = std::from_chars(begin, begin + colon, value.crc, 16);
  auto size = std::from_chars(begin + colon + 1, begin + text.size(), value.size);
  if (crc.ec != std::errc() || crc.ptr != begin + colon || size.ec != std::errc()) return {};
  return value;
}

}  // namespace headrace::base
