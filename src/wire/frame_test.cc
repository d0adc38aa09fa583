#include "wire/frame.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace headrace::wire {
namespace {

using base::as_bytes;
using base::as_text;
using base::Bytes;

struct Frame {
  uint32_t handle = 0;
  std::string payload;
  bool operator==(const Frame&) const = default;
};

// Feeds the pieces of `wire` cut at `cuts`, and puts frames together again.
std::vector<Frame> decode(std::string_view wire, const std::vector<size_t>& cuts) {
  FrameDecoder decoder;
  std::vector<Frame> out;
  size_t begin = 0;
  for (size_t i = 0; i <= cuts.size(); ++i) {
    const size_t end = i < cuts.size() ? cuts[i] : wire.size();
    Bytes input = as_bytes(wire.substr(begin, end - begin));
    begin = end;
    while (true) {
      const auto piece = decoder.next(input);
      EXPECT_TRUE(piece);
      if (!*piece) break;
      if ((*piece)->first) out.push_back({(*piece)->handle, ""});
      out.back().payload += as_text((*piece)->payload);
      EXPECT_EQ((*piece)->handle, out.back().handle);
      EXPECT_EQ((*piece)->last, out.back().payload.size() == (*piece)->frame_length);
    }
    EXPECT_TRUE(input.empty());
  }
  EXPECT_TRUE(decoder.at_boundary());
  return out;
}

TEST(FrameHeader, is_two_numbers_in_network_order) {
  EXPECT_EQ(as_text(encode_frame_header({.length = 0x01020304, .handle = 499999})),
            std::string_view("\1\2\3\4\0\7\xa1\x1f", 8));
  EXPECT_EQ(encode_frame(1, "ab"), std::string_view("\0\0\0\2\0\0\0\1ab", 10));
}

TEST(FrameDecoder, gives_the_same_frames_however_the_bytes_are_cut) {
  const std::vector<Frame> frames = {{1, std::string("\0SERVICE noop\n\0", 15)},
                                     {499999, std::string(70000, 'd')},
                                     {1, ""},
                                     {499998, "x"},
                                     {7, ""}};
  std::string wire;
  for (const Frame& frame : frames) wire += encode_frame(frame.handle, frame.payload);
  EXPECT_EQ(decode(wire, {}), frames);
  for (size_t cut = 0; cut < 60; ++cut) EXPECT_EQ(decode(wire, {cut}), frames);
  std::mt19937 random(20261123);
  for (int round = 0; round < 200; ++round) {
    std::vector<size_t> cuts;
    for (int k = 0; k < 12; ++k) cuts.push_back(random() % wire.size());
    std::sort(cuts.begin(), cuts.end());
    EXPECT_EQ(decode(wire, cuts), frames) << "round " << round;
  }
  std::vector<size_t> everywhere(wire.size());
  for (size_t i = 0; i < everywhere.size(); ++i) everywhere[i] = i;
  EXPECT_EQ(decode(wire, everywhere), frames);
}

TEST(FrameDecoder, any_prefix_says_more) {
  const std::string wire = encode_frame(3, "hello");
  for (size_t size = 0; size < wire.size(); ++size) {
    FrameDecoder decoder;
    Bytes input = as_bytes(std::string_view(wire).substr(0, size));
    while (true) {
      const auto piece = decoder.next(input);
      ASSERT_TRUE(piece);
      if (!*piece) break;
      EXPECT_FALSE((*piece)->last);
    }
    EXPECT_EQ(decoder.at_boundary(), size == 0);
    EXPECT_EQ(decoder.header_bytes_missing(), size < kFrameHeaderBytes ? kFrameHeaderBytes - size : 0);
    EXPECT_EQ(decoder.payload_left(), size < kFrameHeaderBytes ? 0 : wire.size() - size);
  }
}

TEST(FrameDecoder, lets_the_caller_read_payload_from_the_wire) {
  FrameDecoder decoder;
  const auto header = encode_frame_header({.length = 100, .handle = 9});
  Bytes input = header;
  ASSERT_FALSE(decoder.next(input)->has_value());
  EXPECT_EQ(decoder.handle(), 9U);
  EXPECT_EQ(decoder.payload_left(), 100U);
  decoder.took_payload(60);
  input = as_bytes("0123456789012345678901234567890123456789");
  const auto rest = decoder.next(input);
  ASSERT_TRUE(rest && *rest);
  EXPECT_FALSE((*rest)->first);
  EXPECT_TRUE((*rest)->last);
  EXPECT_EQ((*rest)->payload.size(), 40U);
  EXPECT_TRUE(decoder.at_boundary());
}

TEST(FrameDecoder, takes_the_longest_frame_and_no_longer_one) {
  const auto longest = encode_frame_header({.length = kMaxFrameBytes, .handle = 1});
  FrameDecoder decoder;
  Bytes input = longest;
  EXPECT_TRUE(decoder.next(input));
  EXPECT_EQ(decoder.payload_left(), kMaxFrameBytes);
  for (uint32_t length : {kMaxFrameBytes + 1, 0x80000000U, 0xFFFFFFFFU}) {
    FrameDecoder other;
    const auto header = encode_frame_header({.length = length, .handle = 1});
    input = header;
    const auto piece = other.next(input);
    ASSERT_FALSE(piece);
    EXPECT_EQ(piece.error().kind(), base::ErrorKind::corrupt);
    EXPECT_NE(piece.error().what().find(std::to_string(length)), std::string::npos);
    // It stays dead.
    input = as_bytes("more");
    EXPECT_FALSE(other.next(input));
  }
}

// What Amanda 2.5.2 does when its configuration is broken: text into the connection.
TEST(FrameDecoder, shows_text_that_comes_instead_of_a_frame) {
  FrameDecoder decoder;
  Bytes input = as_bytes("\"/etc/amanda/amanda-client.conf\", line 5: configuration keyword expected\n");
  const auto piece = decoder.next(input);
  ASSERT_FALSE(piece);
  EXPECT_NE(piece.error().what().find("amanda-client.conf\", line 5"), std::string::npos)
      << piece.error().what();
}

}  // namespace
}  // namespace headrace::wire
