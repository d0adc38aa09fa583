#include "wire/options.h"

#include <gtest/gtest.h>

#include "wire/noop.h"

namespace headrace::wire {
namespace {

const std::string kHex = FeatureSet::amanda_351().hex();

RequestOptions full() {
  RequestOptions out;
  out.features = FeatureSet::amanda_351();
  out.maxdumps = 3;
  out.hostname = "client.lab";
  out.config = "lab";
  out.timestamp = "20261123011349";
  out.auth = "bsdtcp";
  return out;
}

TEST(Options, are_written_in_amandas_order_and_read_back) {
  const std::string line = encode_options(full(), FeatureSet::amanda_351());
  EXPECT_EQ(line, "OPTIONS features=" + kHex +
                      ";maxdumps=3;hostname=client.lab;config=lab;timestamp=20261123011349;auth=bsdtcp;\n");
  EXPECT_EQ(*parse_options_line(line), full());
  EXPECT_EQ(*parse_options_line(line.substr(0, line.size() - 1)), full());
}

TEST(Options, go_out_only_as_the_peer_allows) {
  RequestOptions options = full();
  options.auth.clear();
  EXPECT_EQ(encode_options(options, FeatureSet()), "OPTIONS \n");
  EXPECT_EQ(encode_options(options, FeatureSet::assumed_default()),
            "OPTIONS features=" + kHex + ";maxdumps=3;hostname=client.lab;\n");
}

TEST(Options, that_are_missing_have_their_defaults) {
  const auto options = parse_options_line("OPTIONS ;\n");
  ASSERT_TRUE(options);
  EXPECT_EQ(*options, RequestOptions());
  EXPECT_EQ(options->features_or_default(), FeatureSet::assumed_default());
  EXPECT_EQ(*parse_options_line("OPTIONS features=UNKNOWNFEATURE;"), RequestOptions());
}

TEST(Options, cut_maxdumps_and_keep_what_nobody_knows) {
  EXPECT_EQ(parse_options_line("OPTIONS maxdumps=99;")->maxdumps, kMaxMaxdumps);
  EXPECT_EQ(parse_options_line("OPTIONS |;foo;bar=1;")->unknown, (std::vector<std::string>{"foo", "bar=1"}));
}

TEST(Options, that_are_wrong_say_which) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"OPTIONS config=../x;", "[invalid character in config option]"},
      {"OPTIONS maxdumps=0;", "[bad maxdumps value '0']"},
      {"OPTIONS maxdumps=two;", "[bad maxdumps value 'two']"},
      {"OPTIONS features=xyz;", "[bad features value 'xyz']"},
      {"<dle>", "[request does not begin with OPTIONS: '<dle>']"},
  };
  for (const auto& [line, text] : cases) {
    const auto options = parse_options_line(line);
    ASSERT_FALSE(options) << line;
    EXPECT_EQ(options.error().what(), text);
  }
}

TEST(ReplyOptions, tell_what_the_initiator_asks_for) {
  const FeatureSet ours = FeatureSet::amanda_351();
  EXPECT_EQ(encode_reply_options(ours, FeatureSet::amanda_351(), 2, "h"), "OPTIONS features=" + kHex + ";\n");
  FeatureSet all;
  all.add(Feature::rep_options_features);
  all.add(Feature::rep_options_maxdumps);
  all.add(Feature::rep_options_hostname);
  EXPECT_EQ(encode_reply_options(ours, all, 2, "h"),
            "OPTIONS features=" + kHex + ";maxdumps=2;hostname=h;\n");
  EXPECT_EQ(encode_reply_options(ours, FeatureSet()), "OPTIONS \n");
}

TEST(ReplyOptions, are_found_wherever_they_stand) {
  EXPECT_EQ(features_of_reply("OK version 3.3.9\nOPTIONS maxdumps=1;features=" + kHex + ";\nOK x\n"),
            FeatureSet::amanda_351());
  EXPECT_EQ(features_of_reply("OK nothing\n"), std::nullopt);
  EXPECT_EQ(features_of_reply(""), std::nullopt);
}

TEST(Noop, tells_features_both_ways) {
  const FeatureSet ours = FeatureSet::ours_as_client();
  EXPECT_EQ(parse_noop_request(encode_noop_request(ours)), ours);
  EXPECT_EQ(*parse_noop_reply(encode_noop_reply(ours)), ours);
  EXPECT_EQ(parse_noop_request("OPTIONS ;\n"), FeatureSet::assumed_default());
  EXPECT_EQ(*parse_noop_reply(""), FeatureSet::assumed_default());
  const auto refused = parse_noop_reply("ERROR no room\n");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().what(), "no room");
}

TEST(Noop, that_is_unknown_means_an_old_client) {
  EXPECT_TRUE(nak_means_no_noop("ERROR unknown service: noop\n"));
  EXPECT_TRUE(nak_means_no_noop("ERROR noop: invalid service, add 'noop' as argument to amandad\n"));
  EXPECT_FALSE(nak_means_no_noop("ERROR user root from x is not allowed to execute the service noop: no\n"));
}

}  // namespace
}  // namespace headrace::wire
