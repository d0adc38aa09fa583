// Mux frames: how bsdtcp, bsdudp, ssh, rsh and local carry packets and streams over one connection. A frame
// is two 32-bit numbers in network order (length, handle) and `length` payload bytes; length 0 closes the
// handle. The decoder keeps at most the 8 header bytes; payload is handed out as views of the caller's
// buffer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace headrace::wire {

// Longest payload accepted; more is a fatal error of the connection.
inline constexpr uint32_t kMaxFrameBytes = 4194304;
// Longest payload sent: peers' shared-memory rings are sized for it.
inline constexpr uint32_t kNormalFrameBytes = 32768;
inline constexpr size_t kFrameHeaderBytes = 8;

struct FrameHeader {
  uint32_t length = 0;
  uint32_t handle = 0;
  bool operator==(const FrameHeader&) const = default;
};

std::array<std::byte, kFrameHeaderBytes> encode_frame_header(FrameHeader header);
// Header and payload in one string, for control packets.
std::string encode_frame(uint32_t handle, std::string_view payload);

class FrameDecoder {
 public:
  // A run of payload bytes of one frame. The view lives as long as the input it was cut from.
  struct Piece {
    uint32_t handle = 0;
    base::Bytes payload;
    bool first = false;         // begins its frame
    bool last = false;          // ends its frame
    uint32_t frame_length = 0;  // 0: the handle is closed
  };

  // Consumes from the front of `input` and returns the next piece; nullopt when more input is needed (then
  // input is empty). Error corrupt: the length is beyond kMaxFrameBytes; the text shows what came instead of
  // a frame, if printable. After an error every call gives it again.
  base::Result<std::optional<Piece>> next(base::Bytes& input);

  // Of the frame whose header was read last: payload bytes not yet taken, and its handle.
  uint32_t payload_left() const { return left_; }
  uint32_t handle() const { return current_.handle; }
  // The caller read n ≤ payload_left() payload bytes straight from the wire (splice).
  void took_payload(uint32_t n);

  // Bytes until the next header is whole; 0 while payload is due.
  size_t header_bytes_missing() const { return left_ > 0 ? 0 : kFrameHeaderBytes - header_fill_; }
  // Between two frames: the only place where the connection may end properly.
  bool at_boundary() const { return left_ == 0 && header_fill_ == 0; }

 private:
  base::Error too_long(base::Bytes rest) const;

  std::array<std::byte, kFrameHeaderBytes> header_{};
  size_t header_fill_ = 0;
  FrameHeader current_;
  uint32_t left_ = 0;
  bool first_ = false;
  std::optional<base::Error> failure_;
};

}  // namespace headrace::wire
