#include "wire/sendbackup.h"

#include <gtest/gtest.h>

#include "wire/lines.h"

namespace headrace::wire {
namespace {

using Kind = MesgLine::Kind;

const FeatureSet kPeer = FeatureSet::amanda_351();

TEST(Connect, undoes_itself) {
  const StreamIds ids{{{"DATA", 499999}, {"MESG", 499998}, {"INDEX", kNoStream}, {"STATE", 499996}}};
  EXPECT_EQ(encode_connect(ids), "CONNECT DATA 499999 MESG 499998 INDEX -1 STATE 499996\n");
  EXPECT_EQ(*parse_connect(encode_connect(ids)), ids);
  EXPECT_EQ(ids.id_of("STATE"), 499996);
  EXPECT_EQ(ids.id_of("INDEX"), kNoStream);
  EXPECT_EQ(ids.id_of("CTL"), kNoStream);
}

TEST(Connect, that_makes_no_sense_is_corrupt) {
  for (std::string_view line :
       {"", "CONNECT", "CONNECT ", "CONNECTED DATA 1", "CONNECT DATA", "CONNECT DATA x", "CONNECT DATA -2",
        "CONNECT DATA 4294967296", "CONNECT DATA 1 DATA 2", "CONNECT DATA 1 MESG 1",
        "CONNECT A 1 B 2 C 3 D 4 E 5"}) {
    const auto ids = parse_connect(line);
    ASSERT_FALSE(ids) << line;
    EXPECT_EQ(ids.error().kind(), base::ErrorKind::corrupt);
  }
}

TEST(SendbackupReply, undoes_itself) {
  SendbackupReply reply;
  reply.streams = StreamIds{{{"DATA", 150}, {"MESG", 151}, {"INDEX", -1}}};
  reply.features = FeatureSet::ours_as_client();
  EXPECT_EQ(*parse_sendbackup_reply(encode_sendbackup_reply(reply, kPeer)), reply);
  reply = {};
  reply.errors = {"[client configured for auth=bsdtcp while server requested 'bsd']", "second"};
  EXPECT_EQ(*parse_sendbackup_reply(encode_sendbackup_reply(reply, kPeer)), reply);
  reply = {};
  reply.retry = Retry{.delay_seconds = 60, .level = 0, .message = "locked by \"x\""};
  EXPECT_EQ(*parse_sendbackup_reply(encode_sendbackup_reply(reply, kPeer)), reply);
}

TEST(SendbackupReply, follows_connect_by_something_in_any_case) {
  SendbackupReply reply;
  reply.streams = StreamIds{{{"DATA", 150}, {"MESG", 151}}};
  EXPECT_EQ(encode_sendbackup_reply(reply, FeatureSet()), "CONNECT DATA 150 MESG 151\nOPTIONS \n");
}

TEST(SendbackupReply, to_a_peer_without_retry_is_an_error) {
  SendbackupReply reply;
  reply.retry = Retry{.delay_seconds = 60, .level = -1, .message = "locked"};
  EXPECT_EQ(encode_sendbackup_reply(reply, FeatureSet()), "ERROR locked\n");
}

TEST(SendbackupReply, that_makes_no_sense_is_corrupt) {
  for (std::string_view body : {"hello\n", "CONNECT INDEX 1\n", "CONNECT DATA 1 MESG -1\n",
                                "CONNECT DATA 1 MESG 2\nCONNECT DATA 1 MESG 2\n", "RETRY when\n",
                                "RETRY level 400\n", "RETRY delay -1\n", "RETRYING\n", "CONNECT\n"}) {
    const auto reply = parse_sendbackup_reply(body);
    ASSERT_FALSE(reply) << body;
    EXPECT_EQ(reply.error().kind(), base::ErrorKind::corrupt);
  }
}

TEST(Mesg, lines_are_told_apart) {
  const std::pair<std::string_view, Kind> cases[] = {
      {"sendbackup: start [h:/d level 0]", Kind::start},
      {"sendbackup: info BACKUP=/bin/tar", Kind::info},
      {"sendbackup: info end", Kind::info_end},
      {"| Total bytes written: 215040 (210KiB, 111MiB/s)", Kind::normal},
      {"|", Kind::normal},
      {"? /bin/tar: /nosuch: Cannot open: No such file or directory", Kind::strange},
      {"sendbackup: warning low space", Kind::warning},
      {"sendbackup: error [dump (3206) /bin/tar returned 2]", Kind::error},
      {"sendbackup: error", Kind::error},
      {"sendbackup: size 210", Kind::size},
      {"sendbackup: native-CRC 4585951d:215040", Kind::native_crc},
      {"sendbackup: client-CRC 4585951d:215040", Kind::client_crc},
      {"sendbackup: state 2 /q", Kind::state},
      {"sendbackup: no-op", Kind::no_op},
      {"sendbackup: retry delay 5 level 1 message \"a b\"", Kind::retry},
      {"sendbackup: end", Kind::end},
      {"sendbackup: statedone", Kind::statedone},
      {"", Kind::unknown},
      {"sendbackup: ", Kind::unknown},
      {"sendbackup: info", Kind::unknown},
      {"sendbackup: info nothing", Kind::unknown},
      {"sendbackup: size much", Kind::unknown},
      {"sendbackup: size -1", Kind::unknown},
      {"sendbackup: retry soon", Kind::unknown},
      {"sendbackup: ended", Kind::unknown},
      {"gtar: hello", Kind::unknown},
  };
  for (const auto& [line, kind] : cases) EXPECT_EQ(classify_mesg(line).kind, kind) << line;
}

TEST(Mesg, lines_give_their_values) {
  const MesgLine info = classify_mesg("sendbackup: info RECOVER_CMD=/bin/gzip -dc |/bin/tar -xpGf - a=b");
  EXPECT_EQ(info.key, "RECOVER_CMD");
  EXPECT_EQ(info.value, "/bin/gzip -dc |/bin/tar -xpGf - a=b");
  EXPECT_EQ(classify_mesg("sendbackup: error [dump (3206) returned 2]").text, "dump (3206) returned 2");
  EXPECT_EQ(classify_mesg("sendbackup: size 210").number, 210);
  EXPECT_EQ(classify_mesg("sendbackup: native-CRC 4585951d:215040").crc,
            (base::CrcAndSize{0x4585951d, 215040}));
  EXPECT_FALSE(classify_mesg("sendbackup: client-CRC what").crc.known());
  EXPECT_EQ(classify_mesg("sendbackup: retry delay 5 level 1 message \"a b\"").retry, (Retry{5, 1, "a b"}));
  EXPECT_EQ(classify_mesg("? odd").text, "odd");
}

TEST(Mesg, lines_of_a_client_stay_lines) {
  EXPECT_EQ(mesg_start("h", "/d 1", 3), "sendbackup: start [h:\"/d 1\" level 3]\n");
  EXPECT_EQ(mesg_info("BACKUP", "/bin/tar"), "sendbackup: info BACKUP=/bin/tar\n");
  EXPECT_EQ(mesg_error("two\nlines"), "sendbackup: error [two lines]\n");
}

TEST(LineSplitter, gives_the_same_lines_however_the_bytes_are_cut) {
  const std::string text = "sendbackup: info RECOVER_CMD=/bin/gzip -dc |/bin/tar\n\nsendbackup: end\nrest";
  const std::vector<std::string> expected = {"sendbackup: info RECOVER_CMD=/bin/gzip -dc |/bin/tar", "",
                                             "sendbackup: end"};
  for (size_t first = 0; first <= text.size(); ++first) {
    for (size_t second = first; second <= text.size(); ++second) {
      LineSplitter splitter;
      std::vector<std::string> lines;
      const auto keep = [&lines](std::string_view line) { lines.emplace_back(line); };
      EXPECT_TRUE(splitter.add(base::as_bytes(text).first(first), keep));
      EXPECT_TRUE(splitter.add(base::as_bytes(text).subspan(first, second - first), keep));
      EXPECT_TRUE(splitter.add(base::as_bytes(text).subspan(second), keep));
      ASSERT_EQ(lines, expected);
      ASSERT_EQ(splitter.rest(), "rest");
    }
  }
}

TEST(LineSplitter, keeps_no_more_than_its_limit) {
  LineSplitter splitter(8);
  int lines = 0;
  const auto count = [&lines](std::string_view) { ++lines; };
  EXPECT_TRUE(splitter.add(base::as_bytes("12345678\n1234"), count));
  EXPECT_EQ(lines, 1);
  EXPECT_TRUE(splitter.add(base::as_bytes("5678"), count));
  const auto over = splitter.add(base::as_bytes("9"), count);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().kind(), base::ErrorKind::corrupt);
  EXPECT_EQ(splitter.rest(), "");
}

}  // namespace
}  // namespace headrace::wire
