#include "wire/dle.h"

#include <gtest/gtest.h>

#include "wire/base64.h"
#include "wire/dle_request.h"

namespace headrace::wire {
namespace {

Dle plain() {
  Dle out;
  out.program = "GNUTAR";
  out.disk = "/tmp/data3";
  out.levels = {{.level = 0, .server = false, .dumpdate = {}}};
  out.auth = "bsdtcp";
  out.index = true;
  return out;
}

TEST(DleXml, of_an_estimate_is_what_a_planner_sends) {
  EXPECT_EQ(encode_dle_xml(plain(), DleFor::sendsize, FeatureSet::amanda_351()),
            "<dle>\n  <program>GNUTAR</program>\n  <estimate>CLIENT </estimate>\n  <disk>/tmp/data3</disk>\n"
            "  <level>0</level>\n    <spindle>-1</spindle>\n  <auth>bsdtcp</auth>\n  <record>YES</record>\n"
            "  <index>YES</index>\n  <datapath>AMANDA</datapath>\n</dle>\n");
}

TEST(DleXml, leaves_out_what_the_peer_does_not_know) {
  FeatureSet peer;
  Dle dle = plain();
  dle.estimates = {EstimateMethod::calcsize};
  dle.scripts.push_back(
      {.plugin = "p", .execute_where = {}, .execute_on = {}, .properties = {}, .client_name = {}});
  dle.levels[0].server = true;
  const auto text = [&] { return encode_dle_xml(dle, DleFor::sendsize, peer); };
  EXPECT_NE(text().find("<calcsize>YES</calcsize>"), std::string::npos);
  EXPECT_EQ(text().find("<datapath>"), std::string::npos);
  EXPECT_EQ(text().find("<script>"), std::string::npos);
  EXPECT_EQ(text().find("<server>"), std::string::npos);
  peer.add(Feature::xml_estimate);
  EXPECT_NE(text().find("<estimate>CALCSIZE</estimate>"), std::string::npos);
}

TEST(DleXml, asks_headrace_alone_to_throw_data_away) {
  Dle dle = plain();
  dle.discard = "source";
  for (const auto& amanda : {FeatureSet::amanda_351(), FeatureSet::assumed_default(), FeatureSet()})
    EXPECT_EQ(encode_dle_xml(dle, DleFor::sendbackup, amanda).find("discard"), std::string::npos);
  const auto ours = FeatureSet::ours_as_client();
  EXPECT_EQ(encode_dle_xml(dle, DleFor::header, ours).find("discard"), std::string::npos);
  EXPECT_EQ(parse_dles_xml(encode_dle_xml(dle, DleFor::sendbackup, ours))->at(0), dle);
}

TEST(DleXml, keeps_server_encryption_for_headers) {
  Dle dle = plain();
  dle.encrypt = Encrypt::server_custom;
  dle.encrypt_program = "/bin/crypt";
  EXPECT_EQ(encode_dle_xml(dle, DleFor::sendbackup, FeatureSet::amanda_351()).find("encrypt"),
            std::string::npos);
  const std::string header = encode_dle_xml(dle, DleFor::header, FeatureSet::amanda_351());
  EXPECT_EQ(parse_dles_xml(header)->at(0), dle);
}

TEST(DleXml, carries_any_bytes_in_names) {
  for (std::string disk : {"with blank", "quote\"d", "d'\xc3\xa9", "\xff\xfe", "a&b<c>", "back\\slash",
                           "tab\there", "trailing \n"}) {
    Dle dle = plain();
    dle.disk = disk;
    const auto read = parse_dles_xml(encode_dle_xml(dle, DleFor::header, FeatureSet::amanda_351()));
    ASSERT_TRUE(read) << read.error().what();
    EXPECT_EQ(read->at(0), dle);
  }
}

TEST(DleXml, reads_the_small_differences_of_other_writers) {
  const auto read = parse_dles_xml(
      "<dle><program>GNUTAR  \n</program><disk>/d</disk><diskdevice>/d</diskdevice><estimate>SERVER "
      "CLIENT</estimate>"
      "<level>1<server>yes</server></level><level>0</level><record>no</record></dle>\n\n<dle>"
      "<program>DUMP</program><disk>e</disk><calcsize>YES</calcsize></dle>");
  ASSERT_TRUE(read) << read.error().what();
  ASSERT_EQ(read->size(), 2U);
  const Dle& first = read->at(0);
  EXPECT_EQ(first.program, "GNUTAR");
  EXPECT_EQ(first.device, "");
  EXPECT_EQ(first.device_or_disk(), "/d");
  EXPECT_EQ(first.estimates, (std::vector{EstimateMethod::server, EstimateMethod::client}));
  EXPECT_EQ(first.levels.size(), 2U);
  EXPECT_TRUE(first.levels[0].server);
  EXPECT_FALSE(first.record);
  EXPECT_EQ(read->at(1).estimates, std::vector{EstimateMethod::calcsize});
}

TEST(DleXml, that_breaks_the_rules_is_refused_with_a_sentence) {
  const auto of = [](std::string_view inside) {
    return "<dle><program>GNUTAR</program><disk>d</disk>" + std::string(inside) + "</dle>";
  };
  const std::pair<std::string, std::string_view> cases[] = {
      {of("<disk>e</disk>"), "XML: Duplicate disk element"},
      {of("<auth>a</auth><auth>a</auth>"), "XML: Duplicate auth element"},
      {of("<colour>red</colour>"), "XML: Invalid colour element"},
      {"<dump></dump>", "XML: Invalid dump element"},
      {of("<auth kind=\"x\">a</auth>"), "XML: Invalid kind attribute in auth element"},
      {of("<exclude x=\"1\"/>"), "XML: Invalid x attribute in exclude element"},
      {of("<diskdevice encoding=\"raw\" raw=\"*\">x</diskdevice>"),
       "XML: Invalid raw attribute of diskdevice element"},
      {of("<diskdevice raw=\"eA==\">x</diskdevice>"), "XML: Incomplete raw text in diskdevice element"},
      {of("<level>400</level>"), "XML: Invalid level value '400'"},
      {of("<level>-1</level>"), "XML: Invalid level value '-1'"},
      {of("<spindle>x</spindle>"), "XML: Invalid spindle value 'x'"},
      {of("<record>MAYBE</record>"), "XML: Invalid record value 'MAYBE'"},
      {of("<estimate>GUESS</estimate>"), "XML: Invalid estimate value 'GUESS'"},
      {of("<compress>ZIP</compress>"), "XML: Invalid compress value 'ZIP'"},
      {of("<compress>CUSTOM</compress>"),
       "XML: custom-compress-program goes with CUSTOM compress, and only with it"},
      {of("<encrypt>CUSTOM</encrypt>"), "XML: Missing custom-encrypt-program element"},
      {of("<script></script>"), "XML: Missing plugin in script element"},
      {of("<property><value>v</value></property>"), "XML: Missing name in property element"},
      {of("<auth><b>x</b></auth>"), "XML: Invalid b element"},
      {of("<exclude>text</exclude>"), "XML: exclude element doesn't accept text"},
      {"<dle><program>APPLICATION</program><disk>d</disk></dle>", "XML: Missing backup-program element"},
      {"<dle><program>APPLICATION</program><backup-program/></dle>",
       "XML: Missing plugin in backup-program element"},
      {"<dle><disk>d</disk></dle>", "XML: Missing program element"},
      {"stray <dle></dle>", "XML: Invalid text 'stray ' outside of a dle element"},
  };
  for (const auto& [text, sentence] : cases) {
    const auto read = parse_dles_xml(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().what().substr(0, sentence.size()), sentence);
  }
}

TEST(DleXml, that_is_no_xml_is_refused) {
  for (std::string_view text :
       {"<dle>", "<dle", "</dle>", "<dle><a></b></dle>", "<", "<dle><disk x=></disk></dle>"}) {
    const auto read = parse_dles_xml(text);
    ASSERT_FALSE(read) << text;
    EXPECT_TRUE(read.error().what().starts_with("XML: ")) << read.error().what();
  }
  EXPECT_TRUE(parse_dles_xml("")->empty());
}

TEST(DleXml, that_is_huge_or_deep_is_refused) {
  EXPECT_FALSE(parse_dles_xml(std::string(kMaxDleXmlBytes + 1, ' ')));
  std::string deep;
  for (int i = 0; i < 300000; ++i) deep += "<dle>";
  EXPECT_FALSE(parse_dles_xml(deep));
  for (int i = 0; i < 300000; ++i) deep += "</dle>";
  EXPECT_FALSE(parse_dles_xml(deep));
}

TEST(DleLines, leave_blanks_for_a_device_that_is_not_named) {
  FeatureSet old = *FeatureSet::parse("ffffffff9ffeffffffff00");
  Dle dle = plain();
  dle.disk = "/home";
  dle.auth = "BSD";
  dle.exclude.lists = {".exclude"};
  EXPECT_EQ(encode_dle_lines(dle, DleFor::sendsize, old),
            "GNUTAR /home  0 1970:1:1:0:0:0 -1  OPTIONS |;auth=BSD;index;exclude-list=.exclude;\n");
  EXPECT_EQ(encode_dle_lines(dle, DleFor::selfcheck, old),
            "GNUTAR /home 0 OPTIONS |;auth=BSD;index;exclude-list=.exclude;\n");
  EXPECT_EQ(encode_dle_lines(dle, DleFor::sendsize, FeatureSet()),
            "GNUTAR /home  0 1970:1:1:0:0:0 -1  exclude-list=.exclude\n");
}

TEST(DleLines, say_everything_there_is_a_word_for) {
  Dle dle = plain();
  dle.disk = "mail spool";
  dle.device = "/var/mail spool";
  dle.levels = {{.level = 0, .server = false, .dumpdate = "1970:1:1:0:0:0"},
                {.level = 1, .server = false, .dumpdate = "2026:11:23:2:26:44"}};
  dle.estimates = {EstimateMethod::calcsize};
  dle.spindle = 4;
  dle.compress = Compress::custom;
  dle.compress_program = "/bin/zip";
  dle.encrypt = Encrypt::custom;
  dle.encrypt_program = "/bin/crypt";
  dle.decrypt_option = "-d";
  dle.record = false;
  dle.kencrypt = true;
  dle.exclude = {.files = {"./skip me", "a;b c"}, .lists = {"l"}, .optional = true};
  dle.include = {.files = {"./in"}, .lists = {"\"il"}, .optional = true};
  const std::string lines = encode_dle_lines(dle, DleFor::sendsize, FeatureSet::amanda_351());
  const auto read = parse_dle_lines(lines, DleFor::sendsize);
  ASSERT_TRUE(read) << read.error().what();
  ASSERT_EQ(read->size(), 1U);
  EXPECT_EQ(read->at(0), dle) << lines;
}

TEST(DleLines, of_a_server_that_forgets_a_blank_are_read) {
  const auto read =
      parse_dle_lines("CALCSIZEGNUTAR pics /p 0 1970:1:1:0:0:0 -1  OPTIONS |;index;\n", DleFor::sendsize);
  ASSERT_TRUE(read) << read.error().what();
  EXPECT_EQ(read->at(0).program, "GNUTAR");
  EXPECT_EQ(read->at(0).estimates, std::vector{EstimateMethod::calcsize});
}

TEST(DleLines, that_make_no_sense_are_refused_and_quoted) {
  for (std::string_view line :
       {"GNUTAR", "GNUTAR /d", "GNUTAR /d /e /f 0", "GNUTAR /d 400 1970:1:1:0:0:0 -1",
        "GNUTAR /d 0 yesterday -1", "GNUTAR /d 0 1970:1:1:0:0:0",
        "GNUTAR /d 0 1970:1:1:0:0:0 -1 OPTIONS |;fly;", "GNUTAR /d 0 1970:1:1:0:0:0 -1 nonsense=1",
        "GNUTAR /d 99999999999999999999 1970:1:1:0:0:0 -1"}) {
    const auto read = parse_dle_lines(line, DleFor::sendsize);
    ASSERT_FALSE(read) << line;
    EXPECT_NE(read.error().what().find(line), std::string::npos) << read.error().what();
  }
}

TEST(DleRequest, says_format_error_as_amanda_does) {
  const auto read =
      parse_dle_request("OPTIONS ;\n<dle><disk>x</disk><disk>y</disk></dle>", DleFor::selfcheck);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().what(), "FORMAT ERROR IN REQUEST PACKET 'XML: Duplicate disk element'");
}

TEST(DleRequest, of_a_dump_has_one_disk_and_one_level) {
  DleRequest request;
  request.dles = {plain()};
  const auto text = [&] { return encode_dle_request(request, DleFor::sendbackup, FeatureSet::amanda_351()); };
  EXPECT_EQ(*parse_dle_request(text(), DleFor::sendbackup), request);
  request.dles.push_back(plain());
  EXPECT_FALSE(parse_dle_request(text(), DleFor::sendbackup));
  request.dles = {plain()};
  request.dles[0].levels.push_back({.level = 1, .server = false, .dumpdate = {}});
  EXPECT_FALSE(parse_dle_request(text(), DleFor::sendbackup));
  EXPECT_FALSE(parse_dle_request("OPTIONS ;\n", DleFor::sendbackup));
}

TEST(DleRequest, of_estimates_joins_the_levels_of_a_disk_named_twice) {
  DleRequest request;
  request.dles = {plain(), plain()};
  request.dles[1].levels[0].level = 2;
  const auto read = parse_dle_request(encode_dle_request(request, DleFor::sendsize, FeatureSet::amanda_351()),
                                      DleFor::sendsize);
  ASSERT_TRUE(read) << read.error().what();
  ASSERT_EQ(read->dles.size(), 1U);
  ASSERT_EQ(read->dles[0].levels.size(), 2U);
  EXPECT_EQ(read->dles[0].levels[1].level, 2);
}

TEST(Base64, undoes_itself_and_refuses_other_things) {
  for (std::string_view text : {"", "a", "ab", "abc", "abcd"})
    EXPECT_EQ(decode_base64(encode_base64(text)), text);
  EXPECT_EQ(encode_base64("/home/my data"), "L2hvbWUvbXkgZGF0YQ==");
  EXPECT_EQ(decode_base64("YQ"), "a");
  for (std::string_view text : {"Y", "Y*==", "YQ==YQ=="})
    EXPECT_EQ(decode_base64(text), std::nullopt) << text;
}

}  // namespace
}  // namespace headrace::wire
