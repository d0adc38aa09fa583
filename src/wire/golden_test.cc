// Sessions and headers recorded from real Amanda (tests/data/wire): everything is read, and what is written
// from what was read must be the same bytes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "wire/dle_request.h"
#include "wire/dump_header.h"
#include "wire/frame.h"
#include "wire/lines.h"
#include "wire/noop.h"
#include "wire/packet.h"
#include "wire/selfcheck.h"
#include "wire/sendbackup.h"
#include "wire/sendsize.h"

namespace headrace::wire {
namespace {

std::string read_all(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(HEADRACE_TEST_DATA "/wire/" + folder)) {
    out.push_back(entry.path().stem());
  }
  std::ranges::sort(out);
  return out;
}

// One recorded packet or piece of a MESG connection.
struct Recorded {
  bool asks = false;
  std::string kind;
  int port = 0;
  uint32_t handle = 0;
  size_t length = 0;
  bool has_payload = false;
  std::string payload;
};

std::string unescape(std::string_view line) {
  std::string out;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\') {
      out += line[i];
    } else if (line[i + 1] == 'x') {
      out += static_cast<char>(std::stoi(std::string(line.substr(i + 2, 2)), nullptr, 16));
      i += 3;
    } else {
      out += line[++i];
    }
  }
  return out;
}

std::vector<Recorded> read_transcript(const std::string& name) {
  std::vector<Recorded> out;
  std::istringstream in(read_all(HEADRACE_TEST_DATA "/wire/transcripts/" + name + ".txt"));
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("#")) continue;
    if (line.starts_with("--> ") || line.starts_with("<-- ")) {
      Recorded& next = out.emplace_back();
      next.asks = line.starts_with("-->");
      std::istringstream words(line.substr(4));
      words >> next.kind >> next.port >> next.handle >> next.length;
      continue;
    }
    Recorded& last = out.back();
    last.has_payload = true;
    if (line.ends_with("\\c")) {
      last.payload += unescape(std::string_view(line).substr(2, line.size() - 4));
    } else {
      last.payload += unescape(std::string_view(line).substr(2)) + "\n";
    }
  }
  return out;
}

class Replay {
 public:
  void run(const std::vector<Recorded>& session) {
    for (const Recorded& recorded : session) {
      SCOPED_TRACE(fmt::format("{} {} {} {}", recorded.asks ? "-->" : "<--", recorded.kind, recorded.port,
                               recorded.handle));
      take(recorded);
    }
    for (const auto& [key, splitter] : mesg_) EXPECT_EQ(splitter.rest(), "") << key;
  }
  int requests = 0;
  int replies = 0;
  int mesg_lines = 0;

 private:
  void take(const Recorded& recorded) {
    if (recorded.kind == "datagram") {
      const auto datagram = decode_datagram(base::as_bytes(recorded.payload));
      ASSERT_TRUE(datagram) << datagram.error().what();
      if (recorded.payload.starts_with("Amanda 3.5 "))
        EXPECT_EQ(*encode_datagram(*datagram), recorded.payload);
      packet(datagram->packet, fmt::format("{} {}", recorded.port, datagram->handle));
    } else if (recorded.kind == "mesg") {
      mesg("connection", recorded.payload);
    } else {
      frame(recorded);
    }
  }

  void frame(const Recorded& recorded) {
    if (!recorded.has_payload) return;
    ASSERT_EQ(recorded.payload.size(), recorded.length);
    constexpr uint32_t kFirstStream = 10000;
    if (recorded.handle < kFirstStream) {
      const auto packet_read = decode_frame_packet(base::as_bytes(recorded.payload));
      ASSERT_TRUE(packet_read) << packet_read.error().what();
      if (recorded.payload.ends_with('\0')) EXPECT_EQ(encode_frame_packet(*packet_read), recorded.payload);
      packet(*packet_read, fmt::format("{} {}", recorded.port, recorded.handle));
    } else if (std::ranges::count(mesg_handles_, recorded.handle) > 0) {
      mesg(fmt::format("{} {}", recorded.port, recorded.handle), recorded.payload);
    }
  }

  void packet(const Packet& read, const std::string& conversation) {
    switch (read.type) {
      case PacketType::req:
        return request(read.body, conversation);
      case PacketType::prep:
      case PacketType::rep:
        return reply(read.body, service_[conversation]);
      case PacketType::ack:
        EXPECT_EQ(read.body, "");
        return;
      case PacketType::nak:
        EXPECT_TRUE(read.body.starts_with("ERROR ")) << read.body;
        return;
    }
  }

  void request(const std::string& body, const std::string& conversation) {
    const auto read = parse_request(body);
    ASSERT_TRUE(read) << read.error().what();
    EXPECT_EQ(read->security_user, "backup");
    EXPECT_EQ(encode_request(*read), body);
    service_[conversation] = read->service;
    ++requests;
    if (read->service == "noop") {
      EXPECT_EQ(parse_noop_request(read->arguments), FeatureSet::amanda_351());
      EXPECT_EQ(encode_noop_request(FeatureSet::amanda_351()), read->arguments);
      return;
    }
    const DleFor purpose = read->service == "selfcheck"  ? DleFor::selfcheck
                           : read->service == "sendsize" ? DleFor::sendsize
                                                         : DleFor::sendbackup;
    const auto dles = parse_dle_request(read->arguments, purpose);
    ASSERT_TRUE(dles) << dles.error().what();
    EXPECT_EQ(dles->options.features, FeatureSet::amanda_351());
    EXPECT_TRUE(dles->options.unknown.empty());
    EXPECT_EQ(encode_dle_request(*dles, purpose, client_), read->arguments);
  }

  void reply(const std::string& body, const std::string& service) {
    ++replies;
    if (service == "noop") {
      const auto features = parse_noop_reply(body);
      ASSERT_TRUE(features) << features.error().what();
      client_ = *features;
      // Older sets print fewer digits.
      const std::string digits = body.substr(17, body.find(';') - 17);
      EXPECT_TRUE(client_.hex().starts_with(digits) ||
                  client_.hex().starts_with(digits.substr(0, digits.size() - 2)));
    } else if (service == "selfcheck") {
      selfcheck(body);
    } else if (service == "sendsize") {
      const auto sizes = parse_sendsize_reply(body);
      ASSERT_TRUE(sizes) << sizes.error().what();
      EXPECT_EQ(without_options(encode_sendsize_reply(*sizes, FeatureSet::amanda_351())),
                without_options(body));
    } else {
      const auto streams = parse_sendbackup_reply(body);
      ASSERT_TRUE(streams) << streams.error().what();
      ASSERT_TRUE(streams->streams);
      EXPECT_GE(streams->streams->streams.size(), 3U);
      mesg_handles_.push_back(static_cast<uint32_t>(streams->streams->id_of("MESG")));
      EXPECT_EQ(without_options(encode_sendbackup_reply(*streams, FeatureSet::amanda_351())),
                without_options(body));
    }
  }

  void selfcheck(const std::string& body) {
    const auto read = parse_selfcheck_reply(body);
    ASSERT_TRUE(read) << read.error().what();
    EXPECT_GE(read->messages.size(), 4U);
    for (const CheckMessage& message : read->messages) EXPECT_FALSE(message.message.empty());
    // An amandad that adds a line of its own behind the service's is read but never imitated.
    if (body.starts_with("MESSAGE JSON") && body.ends_with("}")) {
      EXPECT_EQ(encode_selfcheck_reply(read->messages, client_, FeatureSet::amanda_351()), body);
    }
  }

  // Peers of other ages print sets of other lengths; the sets themselves are compared with noop.
  std::string without_options(std::string text) const {
    const size_t at = text.find("OPTIONS ");
    if (at == std::string::npos || client_ == FeatureSet::amanda_351()) return text;
    return text.erase(at, text.find('\n', at) - at);
  }

  void mesg(const std::string& stream, const std::string& payload) {
    const auto added = mesg_[stream].add(base::as_bytes(payload), [this](std::string_view line) {
      const MesgLine read = classify_mesg(line);
      EXPECT_NE(read.kind, MesgLine::Kind::unknown) << line;
      EXPECT_EQ(encode_mesg(read), std::string(line) + "\n");
      ++mesg_lines;
    });
    EXPECT_TRUE(added);
  }

  FeatureSet client_ = FeatureSet::assumed_default();
  std::map<std::string, std::string> service_;
  std::vector<uint32_t> mesg_handles_;
  std::map<std::string, LineSplitter> mesg_;
};

class Transcript : public testing::TestWithParam<std::string> {};

TEST_P(Transcript, is_read_and_written_back) {
  Replay replay;
  replay.run(read_transcript(GetParam()));
  EXPECT_GE(replay.requests, 1);
  if (GetParam().find("level") != std::string::npos || GetParam().find("dump") != std::string::npos) {
    EXPECT_GE(replay.replies, 3);
    EXPECT_GE(replay.mesg_lines, 7);
  }
}

std::string as_test_name(const testing::TestParamInfo<std::string>& info) {
  std::string out = info.param;
  std::ranges::replace(out, '-', '_');
  return out;
}

INSTANTIATE_TEST_SUITE_P(recorded, Transcript, testing::ValuesIn(names_in("transcripts")), as_test_name);

class RecordedHeader : public testing::TestWithParam<std::string> {};

TEST_P(RecordedHeader, is_read_and_written_back) {
  const std::string text = read_all(HEADRACE_TEST_DATA "/wire/headers/" + GetParam() + ".txt");
  std::string block = text;
  block.resize(kHeaderBlockBytes, '\0');
  const auto bare = parse_header(base::as_bytes(text));
  ASSERT_TRUE(bare) << bare.error().what();
  EXPECT_EQ(*parse_header(base::as_bytes(block)), *bare);
  EXPECT_EQ(encode_header_text(*bare).value_or(""), text);
  EXPECT_EQ(encode_header(*bare).value_or(""), block);
}

TEST_P(RecordedHeader, holds_a_disk_entry_that_is_written_back) {
  const std::string text = read_all(HEADRACE_TEST_DATA "/wire/headers/" + GetParam() + ".txt");
  const auto header = parse_header(base::as_bytes(text));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->is_dump(), !header->dle_xml.empty());
  const auto dles = parse_dles_xml(header->dle_xml);
  ASSERT_TRUE(dles) << dles.error().what();
  for (const Dle& dle : *dles) {
    EXPECT_EQ(dle.disk, header->disk);
    EXPECT_EQ(encode_dle_xml(dle, DleFor::header, FeatureSet::amanda_351()), header->dle_xml);
  }
}

// Any beginning of a header gives a value or an error, and is read in no more than its own bytes.
TEST_P(RecordedHeader, cut_anywhere_is_harmless) {
  const std::string text = read_all(HEADRACE_TEST_DATA "/wire/headers/" + GetParam() + ".txt");
  int dumps = 0;
  for (size_t size = 0; size < text.size(); ++size) {
    const std::string cut = text.substr(0, size);
    const auto header = parse_header(base::as_bytes(cut));
    if (header && header->is_dump()) ++dumps;
  }
  EXPECT_EQ(dumps > 0, GetParam() != "tapestart");
}

INSTANTIATE_TEST_SUITE_P(recorded, RecordedHeader, testing::ValuesIn(names_in("headers")), as_test_name);

// Every set that a real Amanda showed, in either role: it is never taken for one of ours, and shown none of
// ours.
TEST(Recorded, PeersAreShownNothingOfOurs) {
  int sets = 0;
  for (const auto& name : names_in("transcripts")) {
    for (const Recorded& recorded : read_transcript(name)) {
      const std::string& text = recorded.payload;
      for (size_t at = text.find("features="); at != std::string::npos; at = text.find("features=", at + 1)) {
        const size_t begin = at + std::string_view("features=").size();
        const auto peer = FeatureSet::parse(text.substr(begin, text.find(';', begin) - begin));
        ASSERT_TRUE(peer) << name;
        EXPECT_FALSE(peer->of_headrace()) << name;
        EXPECT_EQ(FeatureSet::ours_to(*peer).hex(), FeatureSet::ours_as_client().hex()) << name;
        ++sets;
      }
    }
  }
  EXPECT_GT(sets, 10);
}

}  // namespace
}  // namespace headrace::wire
