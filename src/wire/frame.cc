#include "wire/frame.h"

#include <fmt/format.h>

#include <algorithm>

#include "wire/text.h"

namespace headrace::wire {

static void put_number(std::byte* at, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) at[i] = static_cast<std::byte>(value >> (24 - 8 * i) & 0xFFU);
}

static uint32_t get_number(const std::byte* at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8U | std::to_integer<uint32_t>(at[i]);
  return value;
}

std::array<std::byte, kFrameHeaderBytes> encode_frame_header(FrameHeader header) {
  std::array<std::byte, kFrameHeaderBytes> out{};
  put_number(out.data(), header.length);
  put_number(out.data() + 4, header.handle);
  return out;
}

std::string encode_frame(uint32_t handle, std::string_view payload) {
  const auto header =
      encode_frame_header({.length = static_cast<uint32_t>(payload.size()), .handle = handle});
  std::string out(base::as_text(header));
  out += payload;
  return out;
}

// A shell's greeting or an HTTP client begins where a header should stand: show it, it names the cause.
base::Error FrameDecoder::too_long(base::Bytes rest) const {
  constexpr size_t kShownBytes = 100;
  const std::string_view header = base::as_text(header_);
  const bool is_text = std::ranges::all_of(
      header, [](char c) { return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\r' || c == '\t'; });
  if (!is_text) {
    return {base::ErrorKind::corrupt,
            fmt::format("a frame of {} bytes, more than the {} allowed", current_.length, kMaxFrameBytes)};
  }
  std::string shown(header);
  shown += base::as_text(rest).substr(0, kShownBytes - header.size());
  return {
      base::ErrorKind::corrupt,
      fmt::format("text where a frame should begin; what answers is no Amanda: \"{}\"", printable(shown))};
}

base::Result<std::optional<FrameDecoder::Piece>> FrameDecoder::next(base::Bytes& input) {
  if (failure_) return std::unexpected(*failure_);
  if (left_ == 0) {
    const size_t count = std::min(input.size(), kFrameHeaderBytes - header_fill_);
    std::ranges::copy(input.first(count), header_.begin() + static_cast<ptrdiff_t>(header_fill_));
    input = input.subspan(count);
    header_fill_ += count;
    if (header_fill_ < kFrameHeaderBytes) return std::nullopt;
    header_fill_ = 0;
    current_ = {.length = get_number(header_.data()), .handle = get_number(header_.data() + 4)};
    if (current_.length > kMaxFrameBytes) {
      failure_ = too_long(input);
      return std::unexpected(*failure_);
    }
    if (current_.length == 0)
      return Piece{.handle = current_.handle, .payload = {}, .first = true, .last = true};
    left_ = current_.length;
    first_ = true;
  }
  if (input.empty()) return std::nullopt;
  const auto count = static_cast<uint32_t>(std::min<size_t>(input.size(), left_));
  Piece piece{.handle = current_.handle,
              .payload = input.first(count),
              .first = first_,
              .last = count == left_,
              .frame_length = current_.length};
  input = input.subspan(count);
  took_payload(count);
  return piece;
}

void FrameDecoder::took_payload(uint32_t n) {
  HEADRACE_CHECK(n <= left_);
  if (n > 0) first_ = false;
  left_ -= n;
}

}  // namespace headrace::wire
