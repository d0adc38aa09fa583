#include "wire/selfcheck.h"

#include <gtest/gtest.h>

namespace headrace::wire {
namespace {

const FeatureSet kJson = FeatureSet::amanda_351();

FeatureSet lines_peer() {
  FeatureSet out = kJson;
  out.remove(Feature::selfcheck_message);
  return out;
}

std::vector<CheckMessage> some() {
  return {make_check_message(Severity::info, 3600052, "/data", {{"disk", "/data"}, {"hostname", "h"}}),
          make_check_message(Severity::error, 3600051, "Can't access \"d\xc3\xa9\\\" \n: No such file",
                             {{"errnocode", "ENOENT"}, {"device", "/d\xff"}})};
}

TEST(SelfcheckJson, undoes_itself) {
  const std::string body = encode_selfcheck_reply(some(), kJson, kJson);
  EXPECT_TRUE(body.starts_with("MESSAGE JSON\n  {\n    \"source_filename\" : \"headrace\",\n"));
  EXPECT_TRUE(body.ends_with("\n  }"));
  const auto read = parse_selfcheck_reply(body);
  ASSERT_TRUE(read) << read.error().what();
  EXPECT_EQ(read->messages, some());
  EXPECT_EQ(read->messages[1].field("errnocode"), "ENOENT");
  EXPECT_EQ(read->messages[1].field("nothing"), "");
}

TEST(SelfcheckJson, is_read_leniently) {
  const auto read = parse_selfcheck_reply(
      "MESSAGE JSON\n[{\"severity\":\"warning\",\"code\":5,\"message\":\"a\\u00e9\\ud83d\\ude00\\/\"},,]{}\n"
      "ERROR service selfcheck failed\n{\"severity\":\"odd\" \"message\" \"m\"}");
  ASSERT_TRUE(read) << read.error().what();
  ASSERT_EQ(read->messages.size(), 4U);
  EXPECT_EQ(read->messages[0].message, "a\xc3\xa9\xf0\x9f\x98\x80/");
  EXPECT_EQ(read->messages[0].code, 5);
  EXPECT_TRUE(read->messages[0].is_problem());
  EXPECT_EQ(read->messages[2].message, "service selfcheck failed");
  EXPECT_TRUE(read->messages[2].is_problem());
  EXPECT_EQ(read->messages[3].severity, Severity::error);
}

TEST(SelfcheckJson, that_is_broken_is_corrupt) {
  for (std::string_view text :
       {"{", "{\"a\"", "{\"a\" : ", "{\"a\" : {", "{\"a\" : [1]}", "{\"a\\", "{\"\\u12\":\"x\"}"}) {
    const auto read = parse_selfcheck_reply("MESSAGE JSON\n" + std::string(text));
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().kind(), base::ErrorKind::corrupt);
  }
}

TEST(SelfcheckJson, of_endless_messages_is_corrupt) {
  std::string body = "MESSAGE JSON\n";
  for (size_t i = 0; i < kMaxCheckMessages; ++i) body += "{}";
  EXPECT_TRUE(parse_selfcheck_reply(body));
  EXPECT_FALSE(parse_selfcheck_reply(body + "{}"));
}

TEST(SelfcheckLines, say_ok_or_error) {
  const std::string body = encode_selfcheck_reply(some(), FeatureSet::ours_as_client(), lines_peer(), "h");
  EXPECT_EQ(body, "OPTIONS features=" + FeatureSet::ours_as_client().hex() +
                      ";\nOK /data\nERROR [Can't access \"d\xc3\xa9\\\"  : No such file]\n");
  const auto read = parse_selfcheck_reply(body);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->features, FeatureSet::ours_as_client());
  ASSERT_EQ(read->messages.size(), 2U);
  EXPECT_FALSE(read->messages[0].is_problem());
  EXPECT_EQ(read->messages[1].message, "Can't access \"d\xc3\xa9\\\"  : No such file");
}

// An odd quote would make the peer take the next lines for the rest of a string.
TEST(SelfcheckLines, never_swallow_each_other) {
  const std::string body =
      encode_selfcheck_reply({make_check_message(Severity::info, 0, "one \" quote")}, kJson, lines_peer());
  EXPECT_NE(body.find("OK one ' quote\n"), std::string::npos);
}

TEST(SelfcheckLines, of_another_kind_are_errors) {
  const auto read =
      parse_selfcheck_reply("OK version '3.5.1\nsegmentation fault\nERROR [client configured]\n");
  ASSERT_TRUE(read);
  ASSERT_EQ(read->messages.size(), 3U);
  EXPECT_EQ(read->messages[1].severity, Severity::error);
  EXPECT_EQ(read->messages[1].message, "segmentation fault");
  EXPECT_EQ(read->messages[2].message, "client configured");
}

}  // namespace
}  // namespace headrace::wire
