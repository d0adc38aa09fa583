// CRC-32C (Castagnoli) of a byte stream with its length, in Amanda's text form "%08x:%d". A value of 0 means
// "unknown": whoever compares must skip the check then. Source: Amanda 3.5's NATIVE-CRC, CLIENT-CRC and
// SERVER-CRC header lines and sendbackup messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace headrace::base {

struct CrcAndSize {
  uint32_t crc = 0;
  uint64_t size = 0;

  // 0 is Amanda's "not computed"; nothing may be concluded from it.
  bool known() const { return crc != 0; }
  std::string text() const;
  // Unparsable text gives 0:0, as Amanda reads it.
  static CrcAndSize parse(std::string_view text);
  bool operator==(const CrcAndSize&) const = default;
};

class Crc32c {
 public:
  void add(Bytes bytes);
  CrcAndSize value() const { return {state_ ^ 0xFFFFFFFFU, size_}; }

 private:
  uint32_t state_ = 0xFFFFFFFFU;
  uint64_t size_ = 0;
};

}  // namespace headrace::base
