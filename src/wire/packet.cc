#include "wire/packet.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "wire/text.h"

namespace headrace::wire {

using base::ErrorKind;
using base::fail;

static constexpr std::array<std::string_view, 5> kTypeNames = {"REQ", "REP", "PREP", "ACK", "NAK"};

std::string_view name_of(PacketType type) { return kTypeNames.at(static_cast<size_t>(type)); }

static std::string_view until_nul(std::string_view text) { return text.substr(0, text.find('\0')); }

std::string encode_frame_packet(const Packet& packet) {
  std::string out;
  out.reserve(packet.body.size() + 2);
  out += static_cast<char>(packet.type);
  out += packet.body;
  out += '\0';
  return out;
}

Result<Packet> decode_frame_packet(Bytes payload) {
  if (payload.empty()) return fail(ErrorKind::corrupt, "a packet without a type");
  const auto type = std::to_integer<uint8_t>(payload[0]);
  const std::string_view body = until_nul(base::as_text(payload.subspan(1)));
  if (type >= kTypeNames.size()) {
    return fail(ErrorKind::corrupt,
                fmt::format("a packet of unknown type {}: \"{}\"", type, printable(body)));
  }
  return Packet{static_cast<PacketType>(type), std::string(body)};
}

static constexpr size_t kMaxHandleBytes = 13;

Result<std::string> encode_datagram(const Datagram& datagram) {
  std::string out = fmt::format("Amanda 3.5 {} HANDLE {} SEQ {}\n{}", name_of(datagram.packet.type),
                                datagram.handle, datagram.sequence, datagram.packet.body);
  if (out.size() > kMaxDatagramBytes) {
    return fail(ErrorKind::unsupported,
                fmt::format("a {} of {} bytes does not fit a datagram of {}: use auth bsdtcp, or fewer disks",
                            name_of(datagram.packet.type), out.size(), kMaxDatagramBytes));
  }
  return out;
}

Result<Datagram> decode_datagram(Bytes bytes) {
  std::string_view rest = base::as_text(bytes);
  const auto bad = [whole = rest](std::string_view why) {
    return fail(ErrorKind::corrupt, fmt::format("no Amanda datagram ({}): \"{}\"", why, printable(whole)));
  };
  if (rest.find('\n') == std::string_view::npos) return bad("no end of header");
  std::string_view header = take_line(rest);
  const auto word = [&header] {
    const std::string_view found = header.substr(0, header.find(' '));
    header.remove_prefix(std::min(header.size(), found.size() + 1));
    return found;
  };
  if (word() != "Amanda") return bad("another first word");
  if (word().find('.') == std::string_view::npos) return bad("no version");
  const auto type = std::ranges::find(kTypeNames, word());
  if (type == kTypeNames.end()) return bad("unknown packet type");
  if (word() != "HANDLE") return bad("no HANDLE");
  const std::string_view handle = word();
  if (handle.empty() || handle.size() > kMaxHandleBytes) return bad("bad handle");
  if (word() != "SEQ") return bad("no SEQ");
  const auto sequence = parse_number<int32_t>(word());
  if (!sequence || !header.empty()) return bad("bad sequence number");
  Datagram out;
  out.packet.type = static_cast<PacketType>(type - kTypeNames.begin());
  out.packet.body = until_nul(rest);
  out.handle = handle;
  out.sequence = *sequence;
  return out;
}

std::string encode_request(const Request& request) {
  std::string out;
  if (request.security_user) out += fmt::format("SECURITY USER {}\n", *request.security_user);
  out += fmt::format("SERVICE {}\n", request.service);
  return out + request.arguments;
}

Result<Request> parse_request(std::string_view body) {
  Request out;
  if (take_prefix(body, "SECURITY ")) {
    std::string_view line = take_line(body);
    const std::string_view word = line.substr(0, line.find(' '));
    if (word != "USER") {
      return fail(ErrorKind::refused,
                  fmt::format("REQ SECURITY line parse error, expecting USER, got {}", printable(word)));
    }
    line.remove_prefix(std::min(line.size(), word.size() + 1));
    if (line.empty()) return fail(ErrorKind::refused, "REQ SECURITY line parse error, expecting a user name");
    out.security_user = line;
  }
  std::string_view line = take_line(body);
  if (!take_prefix(line, "SERVICE ") || line.empty()) {
    return fail(ErrorKind::refused, "packet as no SERVICE line");
  }
  if (body.empty()) return fail(ErrorKind::refused, "invalid REQ");
  out.service = line;
  out.arguments = body;
  return out;
}

std::string nak_body(std::string_view text) { return "ERROR " + one_line(text) + "\n"; }

std::string nak_text(std::string_view body) {
  take_prefix(body, "ERROR ");
  while (body.ends_with('\n')) body.remove_suffix(1);
  return std::string(body);
}

}  // namespace headrace::wire
