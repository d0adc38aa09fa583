#include "wire/streams.h"

#include <fmt/format.h>

#include "base/quote.h"
#include "wire/text.h"

namespace headrace::wire {

int64_t StreamIds::id_of(std::string_view name) const {
  for (const StreamId& stream : streams) {
    if (stream.name == name) return stream.id;
  }
  return kNoStream;
}

std::string encode_connect(const StreamIds& ids) {
  std::string out = "CONNECT";
  for (const StreamId& stream : ids.streams) out += fmt::format(" {} {}", stream.name, stream.id);
  return out + "\n";
}

base::Result<StreamIds> parse_connect(std::string_view line) {
  line = line.substr(0, line.find('\n'));
  const auto bad = [line](std::string_view why) {
    return base::fail(base::ErrorKind::corrupt, fmt::format("{} in \"{}\"", why, printable(line)));
  };
  std::string_view rest = line;
  if (!take_prefix(rest, "CONNECT ")) return bad("no CONNECT");
  StreamIds out;
  for (auto name = base::take_word(rest); !name.empty(); name = base::take_word(rest)) {
    const auto id = parse_number<int64_t>(base::take_word(rest));
    if (!id || *id < kNoStream || *id > UINT32_MAX) return bad("a stream without a proper number");
    if (out.streams.size() == kMaxStreams) return bad("too many streams");
    for (const StreamId& stream : out.streams) {
      if (stream.name == name) return bad("a stream named twice");
      if (stream.id == *id && *id != kNoStream) return bad("two streams of one number");
    }
    out.streams.push_back({std::string(name), *id});
  }
  if (out.streams.empty()) return bad("no streams");
  return out;
}

}  // namespace headrace::wire
