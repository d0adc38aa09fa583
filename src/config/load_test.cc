#include "config/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "config/cases_for_test.h"
#include "config/option_table.h"
#include "config/value_reader.h"

namespace headrace::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::filesystem::path kData = std::filesystem::path(HEADRACE_TEST_DATA) / "config";
const std::filesystem::path kNowhere = "/nowhere/p";

Loaded<ServerConfig> load(std::string_view text, std::vector<Override> overrides = {}) {
  return load_server_text(text, kNowhere, overrides);
}

// The value of a parameter of a text without mistakes.
std::string value(std::string_view text, std::string_view key, std::vector<Override> overrides = {}) {
  const auto loaded = load(text, std::move(overrides));
  if (!loaded.ok()) return "mistakes: " + errors_text(loaded.diagnostics);
  return value_text(*loaded, key).value_or("(none)");
}

std::vector<std::string> mistakes(std::string_view text) {
  std::vector<std::string> texts;
  for (const Diagnostic& diagnostic : load(text).diagnostics) texts.push_back(diagnostic.text());
  return texts;
}

TEST(LoadServer, AgreesWithAmandaOnWhatIsAccepted) {
  const auto cases = read_cases(kData / "cases.txt");
  ASSERT_GT(cases.size(), 300U);
  for (const auto& [verdict, text] : cases) {
    const bool accepted = load(text + "\n").ok();
    EXPECT_EQ(accepted, verdict == "ok" || verdict == "lenient") << verdict << ": " << text;
  }
}

TEST(LoadServer, EveryMistakeHasItsPlace) {
  for (const auto& [verdict, text] : read_cases(kData / "cases.txt")) {
    const int lines = static_cast<int>(std::count(text.begin(), text.end(), '\n')) + 2;
    for (const Diagnostic& diagnostic : load(text + "\n").diagnostics) {
      if (diagnostic.line == 0)
        continue;  // of the whole file: a storage that is nowhere defined, for instance
      EXPECT_LE(diagnostic.line, lines) << text;
      EXPECT_GE(diagnostic.column, 1) << text;
      EXPECT_FALSE(diagnostic.message.empty());
    }
  }
}

TEST(LoadServer, SaysWhatWasExpected) {
  struct Case {
    std::string_view text;
    std::string first;
  };
  for (const Case& c : {
           Case{"dumpcylce 5", "amanda.conf:1:1: 'dumpcylce' is not a parameter; did you mean 'dumpcycle'?"},
           Case{"xyzzy 5", "amanda.conf:1:1: 'xyzzy' is not a parameter"},
           Case{"length 5", "amanda.conf:1:1: 'length' is not a parameter (it is one of: tapetype)"},
           Case{"tapebufs 5", "amanda.conf:1:1: 'tapebufs' no longer exists: remove the line"},
           Case{"org abc", "amanda.conf:1:5: a quoted string is expected, not 'abc'"},
           Case{"org", "amanda.conf:1:4: a quoted string is expected, not the end of the file"},
           Case{"org\n", "amanda.conf:1:4: a quoted string is expected, not the end of the line"},
           Case{"org \"a\" 5", "amanda.conf:1:9: the end of the line is expected, not '5'"},
           Case{"org \"a",
                "amanda.conf:1:5: the string is not terminated: a closing '\"' is expected before the end "
                "of the line"},
           Case{"dumpcycle x", "amanda.conf:1:11: an integer is expected, not 'x'"},
           Case{"dumpcycle -1", "amanda.conf:1:11: DUMPCYCLE must be at least 0"},
           Case{"dumpcycle 3000000000",
                "amanda.conf:1:11: the value is too large: at most 2147483647 is possible"},
           Case{"reserve 101", "amanda.conf:1:9: RESERVE must be between 0 and 100"},
           Case{"etimeout 0", "amanda.conf:1:10: ETIMEOUT must not be 0"},
           Case{"eject-volume maybe", "amanda.conf:1:14: yes or no is expected, not 'maybe'"},
           Case{"taperalgo best",
                "amanda.conf:1:11: FIRST, FIRSTFIT, LARGEST, LARGESTFIT, SMALLEST, SMALLESTFIT, LAST or "
                "LASTFIT is "
                "expected, not 'best'"},
           Case{"displayunit \"x\"", R"(amanda.conf:1:13: "k", "m", "g" or "t" is expected, not "x")"},
           Case{"reserved-udp-port 900,800", "amanda.conf:1:19: the range must go from low to high"},
           Case{"reserved-udp-port 900,2000", "amanda.conf:1:19: ports must be between 1 and 1023"},
           Case{"columnspec \"a\"", "amanda.conf:1:12: NAME=INDENT:WIDTH[:PRECISION] is expected, not 'a'"},
           Case{"autolabel \"a b\"", "amanda.conf:1:11: AUTOLABEL must contain neither a space nor a quote"},
           Case{"property 5", "amanda.conf:1:10: the quoted name of the property is expected, not '5'"},
           Case{"recovery-limit x",
                "amanda.conf:1:16: same-host, server or a quoted host is expected, not 'x'"},
           Case{"tapetype t", "amanda.conf:1:1: tapetype 't' is not defined"},
           Case{"storage s", "amanda.conf:1:1: storage 's' is not defined"},
           Case{"holdingdisk h", "amanda.conf:1:13: holdingdisk 'h' is not defined"},
           Case{"labelstr match-autolabel",
                "amanda.conf:1:1: labelstr is match-autolabel, but autolabel is not set"},
           Case{"define thing x {\n}",
                "amanda.conf:1:8: a type is expected, not 'thing': dumptype, tapetype, interface, "
                "holdingdisk, application, script, device, changer, interactivity, taperscan, "
                "policy or storage"},
           Case{"define dumptype {\n}", "amanda.conf:1:17: the name of the dumptype is expected, not '{'"},
           Case{"define dumptype a\n{\n}", "amanda.conf:1:18: '{' is expected, not the end of the line"},
           Case{"define dumptype a {\n index",
                "amanda.conf:2:7: '}' is expected: dumptype a begins at amanda.conf:1"},
           Case{"define dumptype a {\n}\ndefine dumptype A {\n}",
                "amanda.conf:3:17: dumptype a is already defined at amanda.conf:1"},
           Case{"define dumptype no-hold {\n}",
                "amanda.conf:1:17: dumptype no-hold is built in and cannot be defined"},
           Case{"define dumptype a {\n indx\n}",
                "amanda.conf:2:2: 'indx' is not a dumptype parameter; did you mean 'index'?"},
           Case{"define dumptype a {\n includefile \"x\"\n}",
                "amanda.conf:2:2: a file cannot be included inside a block"},
           Case{"define dumptype a {\n compress slow\n}",
                "amanda.conf:2:11: none, or client or server with fast, best or custom is expected, not "
                "'slow'"},
           Case{"define dumptype a {\n program \"tar\"\n}",
                R"(amanda.conf:2:10: "DUMP", "GNUTAR", "STAR" or "APPLICATION" is expected, not "tar")"},
           Case{"define dumptype a {\n application \"x\"\n}",
                "amanda.conf:2:14: no application is named 'x' up to here"},
           Case{"define dumptype a {\n comprate -1\n}",
                "amanda.conf:2:11: a compression rate must be at least 0"},
           Case{"define dumptype a {\n starttime 2460\n}",
                "amanda.conf:2:12: warning: a time of day is expected: hours and minutes, as in 2130"},
           Case{"define script s {\n execute-on never\n}",
                "amanda.conf:2:13: PRE-AMCHECK, PRE-DLE-AMCHECK, "},
           Case{"define storage s {\n dump-selection x\n}",
                "amanda.conf:2:17: a quoted tag, all or other is expected, not 'x'"},
           Case{"define storage s {\n vault s x\n}", "amanda.conf:2:10: an integer is expected, not 'x'"},
           Case{"holdingdisk h {\n chunksize 63\n}",
                "amanda.conf:2:12: CHUNKSIZE must be 0 or at least 64 KiB"},
           Case{"holdingdisk h {\n}\nholdingdisk h", "amanda.conf:3:13: holding disk 'h' is already in use"},
           Case{"define dumptype \"a b\" {\n}",
                "amanda.conf:1:17: a name must not be empty and must contain neither a space nor a quote"},
           Case{"includefile \"no/such\"",
                "amanda.conf:1:13: open /nowhere/p/no/such: No such file or directory"},
           Case{"includefile \"/dev/zero\"", "amanda.conf:1:13: /dev/zero is not a regular file"},
           Case{"usetimestamps no", "amanda.conf:1:1: warning: 'usetimestamps' is deprecated"},
           Case{"}", "amanda.conf:1:1: a parameter is expected, not '}'"},
       }) {
    const auto found = mistakes(c.text);
    ASSERT_FALSE(found.empty()) << c.text;
    EXPECT_THAT(found[0], HasSubstr(c.first)) << c.text;
  }
}

TEST(LoadServer, ReportsAllMistakesAtOnce) {
  const auto loaded = load_server(kData / "mistakes");
  EXPECT_FALSE(loaded.ok());
  std::vector<int> lines;
  for (const Diagnostic& diagnostic : loaded.diagnostics) lines.push_back(diagnostic.line);
  EXPECT_THAT(lines, ElementsAre(3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 15, 17, 20, 22, 23, 21))
      << errors_text(loaded.diagnostics);
}

TEST(LoadServer, GoesOnAfterAnUnknownBlock) {
  EXPECT_THAT(mistakes("define thing x {\n a\n b {\n }\n}\norg 5"),
              ElementsAre(HasSubstr(":1:8:"), HasSubstr(":6:5:")));
}

TEST(LoadServer, TheLastOneWins) {
  EXPECT_EQ(value("dumpcycle 5\nDumpCycle 6", "dumpcycle"), "6");
  EXPECT_EQ(value("label_new_tapes \"X%%\"", "autolabel"), "\"X%%\" VOLUME-ERROR EMPTY");
}

TEST(LoadServer, BooleansInEveryForm) {
  for (const auto* word : {"", "yes", "Y", "true", "t", "ON", "1", "2"})
    EXPECT_EQ(value(std::string("eject-volume ") + word, "eject-volume"), "yes") << word;
  for (const auto* word : {"no", "N", "false", "f", "Off", "0"})
    EXPECT_EQ(value(std::string("eject-volume ") + word, "eject-volume"), "no") << word;
}

TEST(LoadServer, SizesAreInKib) {
  struct Case {
    std::string_view written;
    std::string kib;
  };
  for (const Case& c :
       {Case{"100", "100"}, Case{"100 m", "102400"}, Case{"2048 b", "2"}, Case{"2047 bytes", "1"},
        Case{"1k", "1"}, Case{"1 GB", "1048576"}, Case{"3 tera", "3221225472"}, Case{"2 weeks", "14"},
        Case{"inf", "9223372036854775807"}})
    EXPECT_EQ(value(std::string("bumpsize ") + std::string(c.written), "bumpsize"), c.kib) << c.written;
}

TEST(LoadServer, InheritsInOrder) {
  const std::string parents =
      "define dumptype p {\n comment \"p\"\n index no\n exclude \"a\"\n comprate 0.2\n}\n";
  EXPECT_EQ(value(parents + "define dumptype c {\n p\n comment \"c\"\n}", "dumptype:c:comment"), "c");
  EXPECT_EQ(value(parents + "define dumptype c {\n comment \"c\"\n p\n}", "dumptype:C:comment"), "p");
  EXPECT_EQ(value(parents + "define dumptype c {\n P\n exclude append \"b\"\n}", "dumptype:c:exclude"),
            "LIST\nFILE \"a\" \"b\"");
  EXPECT_EQ(value(parents + "define dumptype c {\n p\n}", "dumptype:c:comprate"), "0.20000 0.20000");
  EXPECT_EQ(value(parents + "define dumptype c {\n p\n}", "dumptype:p:index"), "no");
}

TEST(LoadServer, ADumptypeCopiesTheGlobalsAtItsPlace) {
  const auto loaded = load_server(kData / "order");
  ASSERT_TRUE(loaded.ok()) << errors_text(loaded.diagnostics);
  EXPECT_EQ(loaded->dumptype("before")->dumpcycle_days, 10);
  EXPECT_EQ(loaded->dumptype("between")->dumpcycle_days, 4);
  EXPECT_EQ(loaded->dumptype("between")->maxdumps, 7);
  EXPECT_EQ(loaded->dumptype("after")->dumpcycle_days, 7);
  EXPECT_EQ(loaded->storage_named("ST")->runtapes, 5);
  EXPECT_EQ(loaded->first_storage().tapetype.blocksize_kib, 64);
}

TEST(LoadServer, ResolvesEverything) {
  const auto loaded = load_server(kData / "everything");
  ASSERT_TRUE(loaded.ok()) << errors_text(loaded.diagnostics);
  const ServerConfig& config = *loaded;
  EXPECT_EQ(config.name, "everything");
  EXPECT_EQ(config.directory, kData / "everything");
  EXPECT_EQ(config.globals.org, "Ev \"q\" \\ \t x");
  EXPECT_EQ(config.globals.tapelist, kData / "everything/tapelist");
  EXPECT_EQ(config.globals.infofile, "/etc/amanda/curinfo");
  EXPECT_EQ(config.globals.etimeout, std::chrono::seconds(-600));
  EXPECT_EQ(config.globals.displayunit, "m");
  EXPECT_EQ(config.globals.displayunit_kib, 1024);
  EXPECT_EQ(config.globals.debug.at("auth"), 3);
  EXPECT_EQ(config.globals.reserved_tcp_port, (PortRange{600, 700}));
  ASSERT_EQ(config.holding_disks.size(), 3U);
  EXPECT_EQ(config.holding_disks[0].directory, "/tmp/h1");
  EXPECT_EQ(config.holding_disks[0].use_kib, -102400);
  EXPECT_EQ(config.holding_disks[0].chunksize_kib, 992);
  EXPECT_THAT(config.storage, ElementsAre("st1"));
  EXPECT_THAT(config.active_storage, ElementsAre("st1", "st2"));
  EXPECT_THAT(config.vault_storage, ElementsAre("st2"));
  const Storage& first = config.first_storage();
  EXPECT_EQ(first.changer.tpchanger, "chg-disk:/tmp/v");
  EXPECT_EQ(first.changer.properties[0].name, "num-slot");
  EXPECT_EQ(first.policy.retention_tapes, 3);
  EXPECT_EQ(first.tapepool, "pool-everything-st1");
  EXPECT_TRUE(first.labelstr.match_autolabel);
  EXPECT_EQ(first.autolabel.pattern, "S%%%");
  EXPECT_EQ(first.autoflush, Autoflush::yes);
  EXPECT_EQ(first.taperalgo, TaperAlgorithm::largestfit);
  EXPECT_EQ(config.storage_named("st2")->changer.tpchanger, "chg-disk:/x");
  EXPECT_EQ(config.storage_named("st2")->policy.retention_tapes, 19);
}

TEST(LoadServer, ResolvesDumptypes) {
  const auto loaded = load_server(kData / "everything");
  ASSERT_TRUE(loaded.ok()) << errors_text(loaded.diagnostics);
  const Dumptype& base = *loaded->dumptype("BASE");
  EXPECT_EQ(base.program, "GNUTAR");
  EXPECT_EQ(base.compress, Compress::server_best);
  EXPECT_EQ(base.encrypt, Encrypt::client);
  EXPECT_THAT(base.exclude.lists, ElementsAre(".ex", "b"));
  EXPECT_THAT(base.exclude.files, ElementsAre("./a", "./b c", "./d"));
  EXPECT_FALSE(base.exclude.optional);
  EXPECT_TRUE(base.include.optional);
  EXPECT_THAT(base.estimate, ElementsAre(EstimateMethod::server, EstimateMethod::calcsize));
  EXPECT_EQ(base.starttime, std::chrono::hours(21) + std::chrono::minutes(30));
  EXPECT_TRUE(base.has_starttime);
  EXPECT_EQ(base.holdingdisk, Holding::required);
  EXPECT_EQ(base.priority, 2);
  EXPECT_TRUE(base.dump_limit.same_host);
  EXPECT_THAT(base.tags, ElementsAre("t1", "t2"));
  ASSERT_EQ(base.scripts.size(), 2U);
  EXPECT_EQ(base.scripts[0].name, "scr");  // its order is lower
  EXPECT_THAT(base.scripts[0].execute_on,
              ElementsAre("pre-amcheck", "pre-dle-amcheck", "post-host-backup", "inter-level-recover"));
  const Dumptype& kid = *loaded->dumptype("kid");
  EXPECT_TRUE(kid.uses_application());
  EXPECT_EQ(kid.application.plugin, "amgtar");
  EXPECT_EQ(kid.application.client_name, "cn");
  EXPECT_EQ(kid.application.properties[0].name, "gnutar-path");
  EXPECT_EQ(kid.client_port, "123");
  const Dumptype& anon = *loaded->dumptype("anon");
  EXPECT_EQ(anon.application.name, "custom(DUMPTYPE:anon).1");
  EXPECT_EQ(anon.scripts[0].plugin, "ss");
  EXPECT_EQ(loaded->dumptype("no-hold")->holdingdisk, Holding::never);
  EXPECT_EQ(loaded->dumptype("nope"), nullptr);
}

TEST(LoadServer, ADeviceStandsForAChanger) {
  auto loaded = load("tapedev \"file:/x\"");
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->first_storage().changer.tpchanger, "chg-single:file:/x");
  loaded = load("define device d {\n tapedev \"file:/y\"\n device-property \"A\" \"1\"\n}\ntapedev \"d\"");
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->first_storage().changer.tpchanger, "chg-single:file:/y");
  EXPECT_EQ(loaded->first_storage().changer.device_properties[0].name, "a");
  loaded = load("");
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->first_storage().changer.tpchanger, "");
}

TEST(LoadServer, HoldingDisks) {
  const auto loaded = load_server(kData / "holding");
  ASSERT_TRUE(loaded.ok()) << errors_text(loaded.diagnostics);
  const auto& disks = loaded->holding_disks;
  ASSERT_EQ(disks.size(), 3U);
  EXPECT_EQ(disks[0].name, "h2");
  EXPECT_EQ(disks[0].directory, kData / "holding/relative");
  EXPECT_EQ(disks[0].chunksize_kib, 0);
  EXPECT_EQ(disks[1].name, "h3");
  EXPECT_EQ(disks[1].use_kib, 992);
  EXPECT_EQ(disks[2].chunksize_kib, 96);
}

TEST(LoadServer, ReadsTheSiteFirst) {
  auto loaded = load_server(kData / "site/conf");
  ASSERT_TRUE(loaded.ok()) << errors_text(loaded.diagnostics);
  EXPECT_EQ(loaded->globals.org, "conf");
  EXPECT_EQ(loaded->globals.mailto, "site");
  EXPECT_FALSE(loaded->dumptype("conf")->index);
}

TEST(LoadServer, IncludesFiles) {
  const auto loaded = load_server(kData / "includefile");
  ASSERT_TRUE(loaded.ok()) << errors_text(loaded.diagnostics);
  EXPECT_EQ(loaded->globals.org, "from inside");
  EXPECT_EQ(loaded->globals.dumpcycle_days, 3);
  EXPECT_EQ(loaded->dumptype("here")->auth, "local");
}

class Directory : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "config-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(path_); }
  void write(const std::string& name, std::string_view text) { std::ofstream(path_ / name) << text; }
  std::filesystem::path path_;
};

TEST_F(Directory, AFileThatIncludesItselfIsAMistake) {
  write("amanda.conf", "includefile \"amanda.conf\"\n");
  const auto loaded = load_server(path_);
  EXPECT_FALSE(loaded.ok());
  EXPECT_THAT(loaded.diagnostics.at(0).message, HasSubstr("does \"amanda.conf\" include itself?"));
}

TEST_F(Directory, TheSiteMustNotSetAParameterTwice) {
  write("amanda.conf", "org \"a\"\norg \"b\"\n");
  std::filesystem::create_directory(path_ / "c");
  write("c/amanda.conf", "org \"c\"\norg \"d\"\n");
  const auto loaded = load_server(path_ / "c");
  ASSERT_EQ(loaded.diagnostics.size(), 1U) << errors_text(loaded.diagnostics);
  EXPECT_THAT(loaded.diagnostics[0].text(), HasSubstr("amanda.conf:2:1: 'org' is already set at"));
}

TEST_F(Directory, FindsAConfigurationByItsPath) {
  EXPECT_FALSE(find_config(path_.string()));
  write("amanda.conf", "");
  auto found = find_config(path_.string() + "/");
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, path_);
  EXPECT_FALSE(find_config(""));
  found = find_config("no-such-name");
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().what(), HasSubstr("/etc/headrace/no-such-name/amanda.conf"));
}

TEST(Overrides, OfGlobalsAndBlocks) {
  EXPECT_EQ(value("org \"a\"", "org", {{"org", "b \"c"}}), "b \"c");
  EXPECT_EQ(value("", "dumpcycle", {{"DumpCycle", "2 weeks"}}), "14");
  EXPECT_EQ(value("define dumptype d {\n}\ndumpcycle 9", "dumptype:d:dumpcycle", {{"dumpcycle", "3"}}), "3");
  EXPECT_EQ(value("define tapetype t {\n length 1\n}\ntapetype t", "tapetype:t:length",
                  {{"tapetype:T:length", "7g"}}),
            "7340032");
  EXPECT_EQ(value("define dumptype p {\n}\ndefine dumptype c {\n p\n}", "dumptype:c:index",
                  {{"dumptype:p:index", "no"}}),
            "no");
  EXPECT_EQ(value("", "autolabel", {{"autolabel", "\"X%\" empty"}}), "\"X%\" EMPTY");
  EXPECT_EQ(value("", "labelstr", {{"labelstr", "X[0-9]"}}), "\"X[0-9]\"");
  EXPECT_EQ(value("", "org", {{"org", "a"}, {"org", "b"}}), "b");
}

TEST(Overrides, MistakesAreReported) {
  const auto message = [](std::string_view key, std::string_view text) {
    const auto loaded = load("", {{std::string(key), std::string(text)}});
    return loaded.ok() ? std::string() : loaded.diagnostics.at(0).text();
  };
  EXPECT_EQ(message("nonsense", "1"), "command line: -o names an unknown parameter: 'nonsense'");
  EXPECT_EQ(message("tapetype:none:length", "1"),
            "command line: -o names an unknown parameter: 'tapetype:none:length'");
  EXPECT_EQ(message("tapetype:length", "1"),
            "command line: -o names an unknown parameter: 'tapetype:length'");
  EXPECT_THAT(message("dumpcycle", "x"), HasSubstr("command line, -o dumpcycle:1:1: an integer is expected"));
  EXPECT_THAT(message("dumpcycle", "1 2"), HasSubstr("the end of the value is expected"));
  EXPECT_FALSE(parse_override("org"));
  EXPECT_FALSE(parse_override("=x"));
  EXPECT_EQ(parse_override("a=b=c")->value, "b=c");
}

TEST(LoadServer, TheLowestSpeedOfDrives) {
  const auto of_storage = [](const std::string& property) {
    const auto loaded = load(property + "\ntapetype LTO\ndefine tapetype LTO {\n length 1 tb\n}\n");
    EXPECT_TRUE(loaded.ok()) << errors_text(loaded.diagnostics);
    return loaded.ok() ? loaded->first_storage().lowest_kps : -1;
  };
  EXPECT_EQ(of_storage(""), 0);
  EXPECT_EQ(of_storage("property \"headrace-lowest-speed\" \"60 MB/s\""), 60 * 1024);
  EXPECT_EQ(of_storage("property \"headrace-lowest-speed\" \"800\" \"DLT\" \"LTO\""), 800);
  EXPECT_EQ(of_storage("property \"headrace-lowest-speed\" \"800\" \"DLT\""), 0);
  const auto wrong = load("org \"x\"\nproperty \"headrace-lowest-speed\" \"fast\"\n");
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(wrong.diagnostics.at(0).text(), HasSubstr(":2:1: property \"headrace-lowest-speed\": "));
  EXPECT_THAT(wrong.diagnostics.at(0).text(), HasSubstr("a rate is "));
}

TEST(ValueText, IsEmptyForUnknownParameters) {
  const auto loaded = load("property \"a\" \"b\"");
  ASSERT_TRUE(loaded.ok());
  for (const auto* key : {"nonsense", "tapetype:none:length", "tapetype:DEFAULT_TAPE:org", "a:b", "a:b:c", "",
                          "::", "device-property", "includefile"})
    EXPECT_FALSE(value_text(*loaded, key)) << key;
  EXPECT_EQ(value_text(*loaded, "property"), "hidden \"a\" \"b\"");
}

TEST(BlockNames, OfEachType) {
  const auto loaded = load("define script-tool s {\n}\ndefine application a {\n}");
  ASSERT_TRUE(loaded.ok());
  EXPECT_THAT(*block_names(loaded->settings, "script"), ElementsAre("s"));
  EXPECT_THAT(*block_names(loaded->settings, "Application-Tool"), ElementsAre("a"));
  EXPECT_THAT(*block_names(loaded->settings, "storage"), ElementsAre("p"));
  EXPECT_FALSE(block_names(loaded->settings, "global"));
}

TEST(NotHonoured, NamesEachOnceWhereItIsWritten) {
  const auto loaded = load(
      "eject-volume no\neject-volume yes\ncolumnspec \"\"\n"
      "define dumptype a {\n kencrypt\n comment \"x\"\n}\ndefine dumptype b {\n a\n}");
  ASSERT_TRUE(loaded.ok());
  std::vector<std::string> said;
  for (const NotHonoured& one : not_honoured(*loaded))
    said.push_back(one.where.text() + " " + one.parameter + " " + one.value);
  EXPECT_THAT(said, ElementsAre("amanda.conf:2 eject-volume yes", "amanda.conf:5 dumptype:a:kencrypt yes"));
}

TEST(OptionTable, EveryDefaultIsAValueOfItsType) {
  for (const Option& option : options()) {
    EXPECT_FALSE(option.doc.empty()) << option.name;
    EXPECT_TRUE(option.doc.ends_with('.') || option.doc.ends_with("…")) << option.name;
    if (option.fallback.empty()) continue;
    std::vector<Diagnostic> diagnostics;
    Report report(diagnostics);
    Lexer lexer(option.fallback, "default", report);
    ValueReader reader(lexer, report);
    EXPECT_TRUE(reader.read(option, Section::global, {})) << option.name << ": " << errors_text(diagnostics);
    EXPECT_TRUE(lexer.peek().is(TokenKind::end)) << option.name;
  }
}

TEST(OptionTable, NoParameterStandsTwiceInASection) {
  std::set<std::pair<Section, std::string_view>> seen;
  for (const Option& option : options())
    for (int s = 0; s <= static_cast<int>(Section::client); ++s)
      if (option.in(static_cast<Section>(s)))
        EXPECT_TRUE(seen.emplace(static_cast<Section>(s), option.name).second) << option.name;
}

TEST(OptionTable, FindsWhatWasMeant) {
  const std::vector<std::string> known{"DUMPCYCLE", "DUMPORDER", "TAPECYCLE"};
  EXPECT_EQ(nearest("DUMPCYCL", known), "DUMPCYCLE");
  EXPECT_EQ(nearest("TAPE-CYCLE", known), "TAPECYCLE");
  EXPECT_EQ(nearest("ZZZZZ", known), "");
  EXPECT_EQ(nearest(std::string(5000, 'A'), known), "");
}

}  // namespace
TEST(Storages, DumpSelectionTakesByTagAndLevel) {
  const auto of = [](const std::string& lines) {
    auto loaded = load_server_text("storage \"s\"\ndefine storage s {\n" + lines + "\n}\n", kNowhere);
    EXPECT_TRUE(loaded.ok()) << errors_text(loaded.diagnostics);
    return loaded->first_storage();
  };
  EXPECT_TRUE(selects(of(""), {}, 0));
  const auto fulls = of("dump-selection ALL FULL");
  EXPECT_TRUE(selects(fulls, {"x"}, 0));
  EXPECT_FALSE(selects(fulls, {"x"}, 1));
  const auto two = of("dump-selection \"x\" FULL\ndump-selection \"y\" INCR");
  EXPECT_TRUE(selects(two, {"x"}, 0));
  EXPECT_FALSE(selects(two, {"x"}, 2));
  EXPECT_TRUE(selects(two, {"z", "y"}, 2));
  EXPECT_FALSE(selects(two, {"z"}, 0));
  EXPECT_TRUE(selects(two, {}, 0)) << "without a tag it counts as having every one";
  EXPECT_FALSE(selects(of("dump-selection OTHER ALL"), {"z"}, 0));
}

TEST(Storages, InUseAndActiveOnesAreInOrderAndOnce) {
  auto loaded = load_server_text(
      "storage \"b\" \"a\" \"b\"\nactive-storage \"c\" \"a\"\n"
      "define storage a {\n}\ndefine storage b {\n}\ndefine storage c {\n}\n",
      kNowhere);
  ASSERT_TRUE(loaded.ok()) << errors_text(loaded.diagnostics);
  const auto names = [](const std::vector<const Storage*>& storages) {
    std::string all;
    for (const auto* it : storages) all += it->name;
    return all;
  };
  EXPECT_EQ(names(loaded->storages_in_use()), "ba");
  EXPECT_EQ(names(loaded->storages_with_active()), "bac");
  EXPECT_EQ(loaded->first_storage().name, "b");
}

}  // namespace headrace::config
