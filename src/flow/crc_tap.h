// CRC-32C and size of what a pump carries.
#pragma once

#include "base/crc32c.h"
#include "flow/pump.h"

namespace headrace::flow {

class CrcTap : public Tap {
 public:
  void see(base::Bytes bytes) override { crc_.add(bytes); }
  base::CrcAndSize value() const { return crc_.value(); }

 private:
  base::Crc32c crc_;
};

}  // namespace headrace::flow
