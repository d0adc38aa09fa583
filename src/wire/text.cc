#include "wire/text.h"

#include <fmt/format.h>

namespace headrace::wire {

std::string printable(std::string_view text, size_t limit_bytes) {
  std::string out;
  for (char c : text.substr(0, limit_bytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", byte);
    }
  }
  if (text.size() > limit_bytes) out += "...";
  return out;
}

std::string one_line(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c == '\n' || c == '\r' || c == '\0') c = ' ';
  }
  return out;
}

}  // namespace headrace::wire
