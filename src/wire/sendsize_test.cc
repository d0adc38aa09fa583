#include "wire/sendsize.h"

#include <gtest/gtest.h>

namespace headrace::wire {
namespace {

SendsizeReply some() {
  SendsizeReply out;
  out.features = FeatureSet::amanda_351();
  out.estimates = {
      {.disk = "/d 1", .level = 0, .kib = 210, .errors = {}, .warnings = {"slow \"disk\""}},
      {.disk = "/d 1", .level = 1, .kib = kImpossibleLevel, .errors = {}, .warnings = {}},
      {.disk = "e", .level = 0, .kib = std::nullopt, .errors = {"gone", "again"}, .warnings = {}}};
  out.errors = {"[host trouble]"};
  out.warnings = {"host warning"};
  return out;
}

TEST(SendsizeReply, undoes_itself) {
  const std::string body = encode_sendsize_reply(some(), FeatureSet::amanda_351());
  EXPECT_NE(body.find("\"/d 1\" 0 WARNING \"slow \\\"disk\\\"\"\n\"/d 1\" 0 SIZE 210\n"), std::string::npos)
      << body;
  const auto read = parse_sendsize_reply(body);
  ASSERT_TRUE(read) << read.error().what();
  EXPECT_EQ(*read, some());
}

TEST(SendsizeReply, is_found_by_disk_and_level) {
  const SendsizeReply reply = some();
  ASSERT_NE(reply.find("/d 1", 1), nullptr);
  EXPECT_EQ(reply.find("/d 1", 1)->kib, kImpossibleLevel);
  EXPECT_EQ(reply.find("/d 1", 2), nullptr);
  EXPECT_EQ(reply.find("x", 0), nullptr);
}

TEST(SendsizeReply, to_an_old_peer_has_no_texts) {
  const std::string body = encode_sendsize_reply(some(), FeatureSet::assumed_default());
  EXPECT_EQ(body,
            "OPTIONS \nWARNING host warning\nERROR [host trouble]\n\"/d 1\" 0 SIZE 210\n\"/d 1\" 1 SIZE -2\n"
            "e 0 SIZE -1\n");
}

TEST(SendsizeReply, repeated_by_a_later_packet_is_one_reply) {
  const auto first = parse_sendsize_reply("OPTIONS ;\nd 0 SIZE 1\n");
  const auto last = parse_sendsize_reply("OPTIONS ;\nd 0 SIZE 1\nd 1 SIZE 5\nd 0 SIZE 2\n");
  ASSERT_TRUE(first && last);
  EXPECT_EQ(first->estimates.size(), 1U);
  EXPECT_EQ(last->estimates.size(), 2U);
  EXPECT_EQ(last->find("d", 0)->kib, 2);
}

TEST(SendsizeReply, may_be_about_a_disk_with_a_bad_name) {
  SendsizeReply reply;
  for (std::string_view disk : {"ERROR", "OPTIONS", "WARNING", ""}) {
    reply.estimates.push_back(
        {.disk = std::string(disk), .level = 0, .kib = 5, .errors = {}, .warnings = {}});
  }
  const auto read = parse_sendsize_reply(encode_sendsize_reply(reply, FeatureSet::amanda_351()));
  ASSERT_TRUE(read) << read.error().what();
  EXPECT_EQ(*read, reply);
}

TEST(SendsizeReply, takes_texts_that_are_not_quoted) {
  const auto read = parse_sendsize_reply("d 0 ERROR no such disk\n");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->find("d", 0)->errors, std::vector<std::string>{"no such disk"});
}

TEST(SendsizeReply, that_makes_no_sense_is_corrupt_and_quoted) {
  for (std::string_view line :
       {"d", "d x SIZE 1", "d 400 SIZE 1", "d -1 SIZE 1", "d 0 SIZE", "d 0 SIZE many", "d 0 SIZE -3",
        "d 0 SIZE 1 2", "d 0 WEIGHT 1", "d 0 SIZE 99999999999999999999"}) {
    const auto read = parse_sendsize_reply(line);
    ASSERT_FALSE(read) << line;
    EXPECT_EQ(read.error().kind(), base::ErrorKind::corrupt);
    EXPECT_NE(read.error().what().find(line), std::string::npos);
  }
}

}  // namespace
}  // namespace headrace::wire
