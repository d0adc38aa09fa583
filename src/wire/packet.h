// Control packets of Amanda's protocol: what one end asks (REQ) and the other answers (ACK, PREP, REP, NAK),
// as a frame's payload (bsdtcp, ssh, local) or as a UDP datagram with a text header (bsd, bsdudp). Pure: no
// sockets, no timers (see exchange/). Format: what Amanda 3.5.1 sends; readers accept what 2.5 to 3.5 send.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace headrace::wire {

using base::Bytes;
using base::Result;

// The values are those of the first payload byte of a frame.
enum class PacketType : uint8_t { req = 0, rep = 1, prep = 2, ack = 3, nak = 4 };

// "REQ", "REP", …: the word of the UDP header and of messages.
std::string_view name_of(PacketType type);

struct Packet {
  PacketType type = PacketType::req;
  std::string body;  // text, without the frame's closing NUL
  bool operator==(const Packet&) const = default;
};

// Payload of a frame: type byte, body, NUL.
std::string encode_frame_packet(const Packet& packet);
// Text ends at the first NUL; a missing NUL is tolerated. Errors: corrupt (empty payload, unknown type).
Result<Packet> decode_frame_packet(Bytes payload);

// Largest UDP payload that Amanda builds or reads.
inline constexpr size_t kMaxDatagramBytes = 65503;

struct Datagram {
  Packet packet;
  std::string handle;  // no blanks, at most 13 bytes: "000-00000001"
  int32_t sequence = 0;
  bool operator==(const Datagram&) const = default;
};

// Error unsupported when the datagram would exceed kMaxDatagramBytes: the peer would cut it silently.
Result<std::string> encode_datagram(const Datagram& datagram);
// Errors: corrupt. The version number in the header is not looked at.
Result<Datagram> decode_datagram(Bytes bytes);

// Body of a REQ.
struct Request {
  std::optional<std::string> security_user;  // of "SECURITY USER x"; absent with ssh, rsh and local
  std::string service;
  std::string arguments;  // all after the SERVICE line, begins with the OPTIONS line
  bool operator==(const Request&) const = default;
};

std::string encode_request(const Request& request);
// The error's text is what belongs after "ERROR " in the NAK. A missing SECURITY line is no error here: an
// auth that needs one refuses with kNoSecurityText.
Result<Request> parse_request(std::string_view body);

inline constexpr std::string_view kNoSecurityText = "no bsd SECURITY for P_REQ";

// "ERROR text\n", as NAK body or as a line of a REP. Newlines inside become blanks.
std::string nak_body(std::string_view text);
// The text of a NAK body, for people: without "ERROR " and the trailing newline.
std::string nak_text(std::string_view body);

}  // namespace headrace::wire
