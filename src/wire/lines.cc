#include "wire/lines.h"

#include <fmt/format.h>

#include "wire/text.h"

namespace headrace::wire {

base::Result<> LineSplitter::add(base::Bytes bytes, const std::function<void(std::string_view)>& each) {
  std::string_view text = base::as_text(bytes);
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view piece = text.substr(0, end);
    if (rest_.size() + piece.size() > limit_bytes_) {
      const std::string begin = printable(rest_.empty() ? piece : std::string_view(rest_));
      rest_.clear();
      return base::fail(base::ErrorKind::corrupt,
                        fmt::format("a line of more than {} bytes: \"{}\"", limit_bytes_, begin));
    }
    if (end == std::string_view::npos) {
      rest_ += piece;
      return {};
    }
    text.remove_prefix(end + 1);
    if (rest_.empty()) {
      each(piece);
      continue;
    }
    rest_ += piece;
    // Moved out first: `each` may look at rest().
    const std::string line = std::move(rest_);
    rest_.clear();
    each(line);
  }
  return {};
}

}  // namespace headrace::wire
