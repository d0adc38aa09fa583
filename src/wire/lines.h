// Cuts a byte stream that comes in pieces into lines. Owned by whoever reads a text stream (MESG, CTL,
// INDEX); keeps one unfinished line, never more than its limit.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace headrace::wire {

class LineSplitter {
 public:
  explicit LineSplitter(size_t limit_bytes = 65536) : limit_bytes_(limit_bytes) {}

  // Calls `each` for every line completed, without its newline; the view lives for the call. Error corrupt: a
  // line beyond the limit; nothing of it is kept.
  base::Result<> add(base::Bytes bytes, const std::function<void(std::string_view line)>& each);
  // What came after the last newline; at the end of a well-formed stream it is empty.
  std::string_view rest() const { return rest_; }

 private:
  size_t limit_bytes_;
  std::string rest_;
};

}  // namespace headrace::wire
