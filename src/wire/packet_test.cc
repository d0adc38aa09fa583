#include "wire/packet.h"

#include <gtest/gtest.h>

namespace headrace::wire {
namespace {

using base::as_bytes;
using base::ErrorKind;

constexpr std::string_view kNoop = "SECURITY USER backup\nSERVICE noop\nOPTIONS features=ff;\n";

TEST(FramePacket, is_type_body_and_nul) {
  const std::string payload = encode_frame_packet({PacketType::ack, ""});
  EXPECT_EQ(payload, std::string_view("\x03\0", 2));
  EXPECT_EQ(encode_frame_packet({PacketType::req, "x\n"}), std::string_view("\0x\n\0", 4));
}

TEST(FramePacket, text_ends_at_the_first_nul_or_at_the_end) {
  for (std::string_view payload :
       {std::string_view("\4ERROR no\n\0", 11), std::string_view("\4ERROR no\n", 10),
        std::string_view("\4ERROR no\n\0tail", 15)}) {
    EXPECT_EQ(*decode_frame_packet(as_bytes(payload)), (Packet{PacketType::nak, "ERROR no\n"}));
  }
}

TEST(FramePacket, without_a_known_type_is_corrupt) {
  EXPECT_EQ(decode_frame_packet({}).error().kind(), ErrorKind::corrupt);
  const auto read = decode_frame_packet(as_bytes("\x05hello"));
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().what().find("hello"), std::string::npos);
}

TEST(Datagram, has_amandas_header) {
  const Datagram datagram{{PacketType::req, std::string(kNoop)}, "000-00000000", -7};
  const auto bytes = encode_datagram(datagram);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(*bytes, "Amanda 3.5 REQ HANDLE 000-00000000 SEQ -7\n" + std::string(kNoop));
  EXPECT_EQ(*decode_datagram(as_bytes(*bytes)), datagram);
}

TEST(Datagram, of_an_older_peer_is_read) {
  const auto read = decode_datagram(as_bytes("Amanda 2.5 ACK HANDLE 000-00000001 SEQ 1795319244\n"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->packet, (Packet{PacketType::ack, ""}));
  EXPECT_EQ(read->sequence, 1795319244);
}

TEST(Datagram, with_a_malformed_header_is_corrupt) {
  for (std::string_view text :
       {"", "\n", "Amanda", "Amanda 3.5 REQ HANDLE 000-00000000 SEQ 1", "Bacula 3.5 REQ HANDLE 0 SEQ 1\n",
        "Amanda 3 REQ HANDLE 0 SEQ 1\n", "Amanda 3.5 PUSH HANDLE 0 SEQ 1\n",
        "Amanda 3.5 REQ HANDEL 0 SEQ 1\n", "Amanda 3.5 REQ HANDLE  SEQ 1\n",
        "Amanda 3.5 REQ HANDLE 00000000000000 SEQ 1\n", "Amanda 3.5 REQ HANDLE 0 SEQ\n",
        "Amanda 3.5 REQ HANDLE 0 SEQ one\n", "Amanda 3.5 REQ HANDLE 0 SEQ 1 2\n",
        "Amanda 3.5 REQ HANDLE 0 SEQ 99999999999\n"}) {
    const auto read = decode_datagram(as_bytes(text));
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().kind(), ErrorKind::corrupt);
  }
}

TEST(Datagram, that_would_be_cut_is_refused_with_a_way_out) {
  Datagram datagram{{PacketType::rep, ""}, "000-00000000", 1};
  const size_t header = encode_datagram(datagram)->size();
  datagram.packet.body.assign(kMaxDatagramBytes - header, 'x');
  EXPECT_EQ(encode_datagram(datagram)->size(), kMaxDatagramBytes);
  datagram.packet.body += 'x';
  const auto bytes = encode_datagram(datagram);
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().kind(), ErrorKind::unsupported);
  EXPECT_NE(bytes.error().what().find("bsdtcp"), std::string::npos);
}

TEST(Request, is_read_with_and_without_security_line) {
  const auto with = parse_request(kNoop);
  ASSERT_TRUE(with);
  EXPECT_EQ(*with, (Request{"backup", "noop", "OPTIONS features=ff;\n"}));
  const auto without = parse_request("SERVICE noop\nOPTIONS ;\n");
  ASSERT_TRUE(without);
  EXPECT_EQ(*without, (Request{std::nullopt, "noop", "OPTIONS ;\n"}));
}

TEST(Request, that_is_wrong_gets_amandas_words) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", "packet as no SERVICE line"},
      {"SECURITY USER backup\nOPTIONS ;\n", "packet as no SERVICE line"},
      {"SERVICE \nOPTIONS ;\n", "packet as no SERVICE line"},
      {"SECURITY TICKET x\nSERVICE noop\nOPTIONS ;\n",
       "REQ SECURITY line parse error, expecting USER, got TICKET"},
      {"SECURITY USER backup\nSERVICE noop\n", "invalid REQ"},
  };
  for (const auto& [body, text] : cases) {
    const auto read = parse_request(body);
    ASSERT_FALSE(read) << body;
    EXPECT_EQ(read.error().what(), text);
  }
}

TEST(Nak, is_one_line_both_ways) {
  EXPECT_EQ(nak_body("two\nlines"), "ERROR two lines\n");
  EXPECT_EQ(nak_text("ERROR execute access to '/x' denied\n"), "execute access to '/x' denied");
  // 3.5.1 overwrites the first letter of this one.
  EXPECT_EQ(nak_text("ocalhost doesn't resolve"), "ocalhost doesn't resolve");
}

}  // namespace
}  // namespace headrace::wire
