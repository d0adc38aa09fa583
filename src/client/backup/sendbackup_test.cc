#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <csignal>
#include <regex>

#include "base/crc32c.h"
#include "base/quote.h"
#include "client/test_bench.h"
#include "wire/sendbackup.h"

namespace headrace::client {
namespace {

using testing::amgtar;
using testing::Answer;
using testing::DleText;
using testing::kOptions;
using testing::Machine;
using testing::Requester;
namespace fs = std::filesystem;

// What differs from run to run, in the form of the recorded files.
std::string masked(std::string text, const std::string& disk) {
  for (size_t at = text.find(disk); at != std::string::npos; at = text.find(disk, at)) {
    text.replace(at, disk.size(), "DISK");
  }
  text = std::regex_replace(text, std::regex("written: [0-9]+ \\([^)]*\\)"), "written: N (N)");
  text = std::regex_replace(text, std::regex("CRC [0-9a-f]{8}:[0-9]+"), "CRC X:N");
  text = std::regex_replace(text, std::regex("size [0-9]+"), "size N");
  return std::regex_replace(text, std::regex("dump \\([0-9]+\\)"), "dump (N)");
}

std::string recorded(const std::string& name) {
  return base::read_file(std::string(HEADRACE_TEST_DATA) + "/client/" + name).value_or("missing");
}

base::CrcAndSize crc_of(std::string_view bytes) {
  base::Crc32c crc;
  crc.add(base::as_bytes(bytes));
  return crc.value();
}

std::string shell(const std::string& command) {
  std::string out;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return "cannot run";
  std::array<char, 4096> buffer{};
  while (size_t got = ::fread(buffer.data(), 1, buffer.size(), pipe)) out.append(buffer.data(), got);
  return ::pclose(pipe) == 0 ? out : out + "(failed)";
}

class Sendbackup : public ::testing::Test {
 protected:
  void SetUp() override {
    machine_.put("src/a", "alpha\n");
    machine_.put("src/d/b", std::string(100000, 'b'));
    fs::create_directories(machine_.at("src/empty"));
    fs::create_symlink("a", machine_.at("src/link"));
    fs::create_hard_link(machine_.at("src/a"), machine_.at("src/d/hard"));
  }
  void add_socket() {
    const base::Fd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    const std::string path = machine_.at("src/sock");
    ASSERT_LT(path.size(), sizeof name.sun_path);
    path.copy(name.sun_path, path.size());
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
  }
  DleText dle() const { return {.disk = machine_.src()}; }
  Answer dump(const DleText& dle) { return machine_.ask("sendbackup", kOptions + dle.text()); }
  std::string state_name(int level) const {
    return "lists/client.lab" + base::mangle(machine_.src().native()) + "_" + std::to_string(level);
  }
  // Extracts over what earlier levels left, as a restore does.
  void extract(const std::string& data) {
    machine_.put("image", data);
    fs::create_directories(machine_.at("restored"));
    EXPECT_EQ(shell("cd " + machine_.at("restored").native() + " && tar -xpGf ../image 2>&1"), "");
  }
  std::string difference() {
    return shell("cd " + machine_.at("").native() + " && diff -r --no-dereference src restored 2>&1");
  }

  Machine machine_{"sendbackup"};
};

TEST_F(Sendbackup, Level0SaysWhatTheRealOneSays) {
  add_socket();
  const Answer answer = dump(dle());
  ASSERT_TRUE(answer.finished);
  EXPECT_EQ(answer.reply, "OPTIONS features=" + wire::FeatureSet::ours_as_client().hex() + ";\n");
  EXPECT_EQ(answer.wanted, "DATA MESG INDEX STATE");
  EXPECT_EQ(masked(answer.streams.at("MESG"), machine_.src()), recorded("mesg-gnutar.txt"));
  EXPECT_EQ(answer.streams.at("STATE"), "");
}

TEST_F(Sendbackup, MetersGoToWhomAsksForThemAndTheRestStaysTheSame) {
  wire::FeatureSet asking = wire::FeatureSet::ours_to(wire::FeatureSet::ours_as_client());
  const std::string options =
      "OPTIONS features=" + asking.hex() + ";maxdumps=2;hostname=client.lab;timestamp=20261123011349;\n";
  const Answer plain = dump(dle());
  DleText compressed = dle();
  compressed.extra = "<compress>FAST</compress>\n";
  const Answer metered = machine_.ask("sendbackup", options + compressed.text());
  ASSERT_TRUE(metered.finished);
  EXPECT_EQ(plain.streams.at("MESG").find("meter"), std::string::npos);
  std::istringstream mesg(metered.streams.at("MESG"));
  std::optional<wire::MeterLine> meters;
  for (std::string line; std::getline(mesg, line);) {
    const auto parsed = wire::classify_mesg(line);
    EXPECT_NE(parsed.kind, wire::MesgLine::Kind::unknown) << line;
    if (parsed.kind == wire::MesgLine::Kind::meter) meters = wire::parse_meter(parsed.text);
  }
  ASSERT_TRUE(meters);
  ASSERT_EQ(meters->programs.size(), 2U);
  EXPECT_EQ(meters->programs[0].name, "tar");
  EXPECT_EQ(meters->programs[1].name, "compress");
  ASSERT_EQ(meters->joints.size(), 2U);
  EXPECT_EQ(meters->joints[0].name, "source");
  EXPECT_EQ(meters->joints[1].name, "network send");
  EXPECT_TRUE(meters->thread);
}

TEST_F(Sendbackup, DataThatIsThrownAwayIsMeasuredAndCountsForNothing) {
  const wire::FeatureSet asking = wire::FeatureSet::ours_to(wire::FeatureSet::ours_as_client());
  const std::string options = "OPTIONS features=" + asking.hex() + ";maxdumps=2;hostname=client.lab;\n";
  for (const char* joint : {"source", "client"}) {
    DleText thrown = dle();
    thrown.index = false;
    thrown.extra = std::string("<compress>FAST</compress><record>NO</record><headrace-discard>") + joint +
                   "</headrace-discard>\n";
    const Answer answer = machine_.ask("sendbackup", options + thrown.text());
    ASSERT_TRUE(answer.finished);
    EXPECT_EQ(answer.streams.at("DATA"), "") << joint;
    EXPECT_TRUE(answer.streams.at("MESG").ends_with("sendbackup: end\n")) << answer.streams.at("MESG");
    EXPECT_NE(answer.streams.at("MESG").find("sendbackup: meter 1 "), std::string::npos);
    EXPECT_EQ(answer.streams.at("MESG").find("program=compress") == std::string::npos,
              joint == std::string("source"));
    EXPECT_FALSE(machine_.has(state_name(0)));
    // Another's request is a dump like any other.
    EXPECT_NE(dump(thrown).streams.at("DATA"), "");
  }
}

TEST_F(Sendbackup, WhatIsThrownAwayIsNeverRecorded) {
  const wire::FeatureSet asking = wire::FeatureSet::ours_to(wire::FeatureSet::ours_as_client());
  const std::string options = "OPTIONS features=" + asking.hex() + ";maxdumps=2;hostname=client.lab;\n";
  DleText thrown = dle();
  thrown.extra = "<headrace-discard>source</headrace-discard>\n";
  EXPECT_NE(machine_.ask("sendbackup", options + thrown.text()).reply.find("must not be recorded"),
            std::string::npos);
  thrown.extra = "<record>NO</record><headrace-discard>moon</headrace-discard>\n";
  EXPECT_NE(machine_.ask("sendbackup", options + thrown.text()).reply.find("\"moon\""), std::string::npos);
}

TEST_F(Sendbackup, Level0CanBeRestoredAndIsRecorded) {
  const Answer answer = dump(dle());
  const std::string& data = answer.streams.at("DATA");
  extract(data);
  EXPECT_EQ(difference(), "");
  EXPECT_EQ(answer.streams.at("INDEX"),
            shell("LC_ALL=C tar -tf " + machine_.at("image").native() + " | sed -e 's/^\\.//'"));
  const std::string crc = crc_of(data).text();
  const std::string& mesg = answer.streams.at("MESG");
  EXPECT_NE(mesg.find("native-CRC " + crc + "\nsendbackup: client-CRC " + crc + "\n"), std::string::npos);
  EXPECT_NE(mesg.find("sendbackup: size " + std::to_string(data.size() / 1024) + "\n"), std::string::npos);
  EXPECT_TRUE(machine_.has(state_name(0)));
  EXPECT_EQ(machine_.names_in("lists").size(), 1U);
  EXPECT_EQ(machine_.get("amandates").find(machine_.src().native() + " 0 1"), 0U);
  EXPECT_TRUE(machine_.names_in("tmp").empty());
}

TEST_F(Sendbackup, ALevelHoldsWhatChangedSinceTheLowerOne) {
  extract(dump(dle()).streams.at("DATA"));
  machine_.put("src/new", "new");
  fs::remove(machine_.at("src/d/b"));
  DleText one = dle();
  one.levels = "<level>1</level>";
  const Answer answer = dump(one);
  EXPECT_EQ(answer.streams.at("INDEX"), "/\n/d/\n/empty/\n/new\n");
  EXPECT_NE(answer.streams.at("MESG").find(" level 1]\n"), std::string::npos);
  extract(answer.streams.at("DATA"));
  EXPECT_EQ(difference(), "");
  EXPECT_TRUE(machine_.has(state_name(1)));
  // Level 2 builds on level 1, not on 0.
  DleText two = dle();
  two.levels = "<level>2</level>";
  EXPECT_EQ(dump(two).streams.at("INDEX"), "/\n/d/\n/empty/\n");
}

TEST_F(Sendbackup, OddNames) {
  fs::remove_all(machine_.src());
  for (const std::string name : {"plain",
                                 "with blank",
                                 "q\"uote",
                                 "it's",
                                 "back\\slash",
                                 "new\nline",
                                 "tab\there",
                                 "\303\244\303\266\342\202\254",
                                 "\377\376invalid",
                                 "-dash",
                                 "*star",
                                 "\\n",
                                 "d/x",
                                 "ctl\001",
                                 " lead",
                                 "trail ",
                                 "cr\rx",
                                 "colon: x",
                                 "~tilde",
                                 "#hash",
                                 "block 3: ."}) {
    machine_.put("src/" + name, "data");
  }
  fs::create_directories(machine_.at("src/empty dir"));
  for (const char* program : {"GNUTAR", "APPLICATION"}) {
    DleText odd = dle();
    odd.program = program;
    if (odd.program == "APPLICATION") odd.extra = amgtar();
    const Answer answer = dump(odd);
    // The order is the file system's; the set is the recorded one.
    machine_.put("index", answer.streams.at("INDEX"));
    EXPECT_EQ(shell("LC_ALL=C sort " + machine_.at("index").native()), recorded("odd-names.index"))
        << program;
    machine_.put("image", answer.streams.at("DATA"));
    EXPECT_EQ(answer.streams.at("INDEX"),
              shell("LC_ALL=C tar -tf " + machine_.at("image").native() + " | sed -e 's/^\\.//'"));
  }
}

TEST_F(Sendbackup, AmgtarTellsWhereMembersAre) {
  add_socket();
  DleText application = dle();
  application.program = "APPLICATION";
  application.extra = amgtar();
  const Answer answer = dump(application);
  std::string mesg = masked(answer.streams.at("MESG"), machine_.src());
  const std::string apps = machine_.paths.application_dir;
  mesg.replace(mesg.find(apps), apps.size(), "/usr/lib/amanda/application");
  EXPECT_EQ(mesg, recorded("mesg-amgtar.txt"));
  machine_.put("image", answer.streams.at("DATA"));
  EXPECT_EQ(
      answer.streams.at("STATE"),
      shell("tar --verbose --block-number -tf " + machine_.at("image").native() +
            " | sed -n -e 's/^block \\([0-9]*\\): [^ ]* *[^ ]* *[^ ]* *[^ ]* *[^ ]* \\./\\1 /p' | sed -e "
            "'s/ -> .*//;s/ link to .*//'"));
  EXPECT_TRUE(machine_.has(state_name(0)));
}

TEST_F(Sendbackup, AmgtarWithoutIndexHasAnEmptyState) {
  DleText application = dle();
  application.program = "APPLICATION";
  application.extra = amgtar();
  application.index = false;
  const Answer answer = dump(application);
  EXPECT_EQ(answer.wanted, "DATA MESG STATE");
  EXPECT_EQ(answer.streams.at("STATE"), "");
  EXPECT_TRUE(answer.streams.at("MESG").ends_with("sendbackup: end\n"));
}

TEST_F(Sendbackup, AmgtarFollowsItsProperties) {
  fs::create_directories(machine_.at("lists2"));
  machine_.put("other/inside", "x");
  DleText application = dle();
  application.program = "APPLICATION";
  application.extra = amgtar(testing::property("directory", {machine_.at("other")}) +
                             testing::property("gnutar-listdir", {machine_.at("lists2")}) +
                             testing::property("tar-blocksize", {"40"}));
  const Answer answer = dump(application);
  EXPECT_EQ(answer.streams.at("INDEX"), "/\n/inside\n");
  EXPECT_EQ(answer.streams.at("DATA").size(), 40U * 512);
  EXPECT_TRUE(machine_.names_in("lists").empty());
  EXPECT_EQ(machine_.names_in("lists2").size(), 1U);
}

TEST_F(Sendbackup, AmgtarTakesTheClientsOwnApplication) {
  machine_.put("other/inside", "x");
  machine_.put("etc/amanda-client.conf",
               machine_.get("etc/amanda-client.conf") +
                   "define application here {\n plugin \"amgtar\"\n property \"directory\" \"" +
                   machine_.at("other").native() + "\"\n}\n");
  DleText application = dle();
  application.program = "APPLICATION";
  application.extra =
      "<backup-program><plugin>amgtar</plugin><client_name>here</client_name></backup-program>\n";
  EXPECT_EQ(dump(application).streams["INDEX"], "/\n/inside\n");
  application.extra =
      "<backup-program><plugin>amgtar</plugin><client_name>nosuch</client_name></backup-program>\n";
  EXPECT_EQ(dump(application).reply,
            "ERROR [application nosuch is not defined in this client's amanda-client.conf]\n");
}

TEST_F(Sendbackup, WithoutIndexOrStateStreamThereIsNone) {
  DleText plain = dle();
  plain.index = false;
  // A server of a time before the STATE stream and checksums.
  auto features = wire::FeatureSet::amanda_351();
  features.remove(wire::Feature::sendbackup_stream_state);
  features.remove(wire::Feature::sendbackup_crc);
  const Answer answer = machine_.ask(
      "sendbackup", "OPTIONS features=" + features.hex() + ";hostname=client.lab;\n" + plain.text());
  EXPECT_EQ(answer.wanted, "DATA MESG");
  EXPECT_EQ(answer.streams.at("MESG").find("CRC"), std::string::npos);
  EXPECT_TRUE(answer.streams.at("MESG").ends_with("sendbackup: end\n"));
}

TEST_F(Sendbackup, CompressesOnRequest) {
  DleText zipped = dle();
  zipped.extra = "<compress>FAST</compress>\n";
  const Answer answer = dump(zipped);
  EXPECT_EQ(masked(answer.streams.at("MESG"), machine_.src()), recorded("mesg-gnutar-gzip.txt"));
  const std::string& data = answer.streams.at("DATA");
  EXPECT_NE(answer.streams.at("MESG").find("client-CRC " + crc_of(data).text() + "\n"), std::string::npos);
  machine_.put("image.gz", data);
  const std::string plain = shell("gzip -dc " + machine_.at("image.gz").native());
  EXPECT_NE(answer.streams.at("MESG").find("native-CRC " + crc_of(plain).text() + "\n"), std::string::npos);
  extract(plain);
  EXPECT_EQ(difference(), "");
}

TEST_F(Sendbackup, RunsTheProgramsOfTheServersChoice) {
  machine_.put("rot", "#!/bin/sh\nexec tr 'a-z' 'n-za-m'\n");
  fs::permissions(machine_.at("rot"), fs::perms::owner_all);
  DleText filtered = dle();
  filtered.extra = "<compress>BEST</compress>\n<encrypt>CUSTOM<custom-encrypt-program>" +
                   machine_.at("rot").native() + "</custom-encrypt-program></encrypt>\n";
  const Answer answer = dump(filtered);
  machine_.put("image", answer.streams.at("DATA"));
  extract(shell("tr 'a-z' 'n-za-m' < " + machine_.at("image").native() + " | gzip -dc"));
  EXPECT_EQ(difference(), "");
}

TEST_F(Sendbackup, AFilterThatFailsFailsTheDump) {
  machine_.put("broken", "#!/bin/sh\necho no key >&2\nhead -c 10\nexit 3\n");
  fs::permissions(machine_.at("broken"), fs::perms::owner_all);
  DleText filtered = dle();
  filtered.extra = "<encrypt>CUSTOM<custom-encrypt-program>" + machine_.at("broken").native() +
                   "</custom-encrypt-program></encrypt>\n";
  const Answer answer = dump(filtered);
  EXPECT_NE(answer.streams.at("MESG").find("sendbackup: error ["), std::string::npos);
  EXPECT_EQ(answer.streams.at("MESG").find("sendbackup: end"), std::string::npos);
  EXPECT_FALSE(machine_.has(state_name(0)));
  filtered.extra = "<compress>CUSTOM<custom-compress-program>/no/such</custom-compress-program></compress>\n";
  const Answer missing = dump(filtered);
  EXPECT_NE(missing.streams.at("MESG").find("/no/such"), std::string::npos) << missing.streams.at("MESG");
  EXPECT_FALSE(machine_.has(state_name(0)));
}

TEST_F(Sendbackup, AMissingDirectoryIsSaidAsTheRealOneSaysIt) {
  DleText missing{.disk = machine_.at("nosuch")};
  const Answer answer = dump(missing);
  EXPECT_EQ(masked(answer.streams.at("MESG"), missing.disk), recorded("mesg-gnutar-missing.txt"));
  EXPECT_EQ(answer.streams.at("DATA"), "");
}

TEST_F(Sendbackup, AFailedDumpLeavesTheStateAsItWas) {
  dump(dle());
  const std::string before = machine_.get(state_name(0));
  const std::string dates = machine_.get("amandates");
  machine_.use_tar(
      "for last; do :; done\nwhile [ $# -gt 0 ]; do [ \"$1\" = --listed-incremental ] && echo bad > \"$2\"; "
      "shift; done\necho some data\necho 'Total bytes written: 10' >&2\nexit 2\n");
  const Answer answer = dump(dle());
  EXPECT_NE(answer.streams.at("MESG").find("tar returned 2]\n"), std::string::npos);
  EXPECT_EQ(answer.streams.at("MESG").find("sendbackup: end"), std::string::npos);
  EXPECT_EQ(machine_.get(state_name(0)), before);
  EXPECT_EQ(machine_.get(state_name(0) + ".new"), "bad\n");
  EXPECT_EQ(machine_.get("amandates"), dates);
}

TEST_F(Sendbackup, ATarThatIsKilledFailsTheDump) {
  machine_.use_tar("echo some data\nkill -9 $$\n");
  EXPECT_NE(dump(dle()).streams.at("MESG").find("tar got signal 9]\n"), std::string::npos);
}

TEST_F(Sendbackup, Exit1IsGoodAndNoSizeIsNot) {
  machine_.use_tar(
      "echo data\necho 'tar: ./x: file changed as we read it' >&2\necho 'Total bytes written: 5' "
      ">&2\nexit 1\n");
  const Answer changed = dump(dle());
  EXPECT_NE(changed.streams.at("MESG").find("? tar: ./x: file changed as we read it\n"), std::string::npos);
  EXPECT_TRUE(changed.streams.at("MESG").ends_with("sendbackup: size 1\nsendbackup: end\n"));
  machine_.use_tar("exit 0\n");
  EXPECT_NE(dump(dle()).streams.at("MESG").find("no size line match"), std::string::npos);
  machine_.paths.gnutar = machine_.at("nosuch-tar");
  EXPECT_NE(dump(dle()).streams.at("MESG").find("nosuch-tar"), std::string::npos);
}

TEST_F(Sendbackup, RecordNoKeepsTheLevel) {
  DleText unrecorded = dle();
  unrecorded.extra = "<record>NO</record>\n";
  const Answer answer = dump(unrecorded);
  EXPECT_TRUE(answer.streams.at("MESG").ends_with("sendbackup: end\n"));
  EXPECT_FALSE(machine_.has(state_name(0)));
  EXPECT_TRUE(machine_.has(state_name(0) + ".new"));
  EXPECT_EQ(machine_.get("amandates"), "(none)");
  unrecorded.program = "APPLICATION";
  unrecorded.extra += amgtar();
  EXPECT_TRUE(dump(unrecorded).streams.at("MESG").ends_with("sendbackup: end\n"));
  EXPECT_TRUE(machine_.names_in("lists").empty());
}

TEST_F(Sendbackup, AStateThatCannotBeKeptMakesTheDumpStrange) {
  fs::create_directories(machine_.at(state_name(0) + "/in the way"));
  const Answer answer = dump(dle());
  EXPECT_NE(answer.streams.at("MESG").find("? the dump is complete, but its state could not be kept ("),
            std::string::npos);
  EXPECT_TRUE(answer.streams.at("MESG").ends_with("sendbackup: end\n"));
}

TEST_F(Sendbackup, ExcludesAndIncludes) {
  machine_.put("src/x.o", "");
  machine_.put("src/d/y.o", "");
  machine_.put("src/skip", "");
  machine_.put("src/.lists", "./skip\n");
  DleText chosen = dle();
  chosen.extra = "<exclude><file>*.o</file><list>.lists</list></exclude>\n";
  EXPECT_EQ(dump(chosen).streams.at("INDEX").find(".o"), std::string::npos);
  EXPECT_EQ(dump(chosen).streams.at("INDEX").find("skip"), std::string::npos);
  chosen.extra = "<include><file>./d</file></include><exclude><file>*.o</file></exclude>\n";
  EXPECT_EQ(dump(chosen).streams.at("INDEX"), "/d/\n/d/b\n/d/hard\n");
  chosen.extra = "<include><file>./zz*</file></include>\n";
  const Answer nothing = dump(chosen);
  EXPECT_NE(nothing.streams.at("MESG").find("? include './zz*' matches nothing in"), std::string::npos);
  EXPECT_TRUE(machine_.names_in("tmp").empty());
}

TEST_F(Sendbackup, NamesAreUsedByteForByte) {
  const std::string request = kOptions +
                              "<dle><program>GNUTAR</program><disk encoding=\"raw\" "
                              "raw=\"bXkgImRpc2siIMOkXDo=\">x</disk><diskdevice>" +
                              machine_.src().native() + "</diskdevice><level>0</level></dle>";
  const Answer answer = machine_.ask("sendbackup", request);
  EXPECT_EQ(answer.streams.at("MESG").find(
                "sendbackup: start [client.lab:\"my \\\"disk\\\" \303\244\\\\:\" level 0]\n"),
            0U);
  EXPECT_TRUE(machine_.has("lists/client.labmy \"disk\" \303\244___0"));
}

TEST_F(Sendbackup, RefusesWhatItCannotDo) {
  DleText other = dle();
  other.auth = "bsd";
  EXPECT_EQ(dump(other).reply, "ERROR [client configured for auth=bsdtcp while server requested 'bsd']\n");
  other = dle();
  other.program = "FOO";
  EXPECT_EQ(dump(other).reply,
            "ERROR service sendbackup: sendbackup: ERROR [sendbackup: unknown program FOO]\n");
  other = dle();
  other.extra = "<bogus/>\n";
  EXPECT_EQ(dump(other).reply, "ERROR FORMAT ERROR IN REQUEST PACKET 'XML: Invalid bogus element'\n");
  other = dle();
  other.extra =
      "<script><plugin>snap</plugin><execute_where>CLIENT</execute_where>"
      "<execute_on>PRE-DLE-BACKUP</execute_on></script>\n";
  EXPECT_NE(dump(other).reply.find("ERROR [script snap is not supported"), std::string::npos);
  other = dle();
  other.program = "APPLICATION";
  other.extra = amgtar(testing::property("command-options", {"--to-command=/bin/sh"}));
  EXPECT_EQ(dump(other).reply, "ERROR [amgtar: Invalid '--to-command=/bin/sh' COMMAND-OPTIONS]\n");
  EXPECT_EQ(machine_.ask("sendbackup", "OPTIONS config=../x;\n" + dle().text()).reply,
            "ERROR [invalid character in config option]\n");
  EXPECT_EQ(
      machine_.ask("sendbackup", "OPTIONS hostname=../../x;\n" + dle().text()).reply.find("ERROR [host"), 0U);
  machine_.put("etc/amanda-client.conf", "gnutar-list-dir \"\"\n");
  EXPECT_EQ(dump(dle()).reply.find("ERROR [gnutar-list-dir is empty"), 0U);
  machine_.put("etc/amanda-client.conf", "nonsense yes\n");
  EXPECT_NE(dump(dle()).reply.find("amanda-client.conf"), std::string::npos);
}

TEST_F(Sendbackup, SaysWhichStateDirectoryIsMissing) {
  fs::remove_all(machine_.at("lists"));
  const Answer answer = dump(dle());
  EXPECT_EQ(answer.reply.find("ERROR [open "), 0U) << answer.reply;
  EXPECT_NE(answer.reply.find("/lists/"), std::string::npos);
}

// A tar without end, which leaves its process number behind.
class EndlessDump : public Sendbackup {
 protected:
  void SetUp() override {
    Sendbackup::SetUp();
    machine_.use_tar("echo $$ > " + machine_.at("pid").native() + "\nexec cat /dev/zero\n");
  }
  bool tar_is_gone() const {
    // It was killed before we came here; the kernel may still be tidying up.
    const pid_t pid = std::stoi(machine_.get("pid"));
    int status = 0;
    while (::waitpid(pid, &status, 0) == pid) {
    }
    return ::kill(pid, 0) != 0;
  }
};

TEST_F(EndlessDump, EndsWhenTheServerClosesDataOrMesg) {
  for (const char* stream : {"DATA", "MESG"}) {
    const Answer answer =
        machine_.ask("sendbackup", kOptions + dle().text(),
                     [stream](Requester& requester, const std::string& name, const std::string& so_far) {
                       if (name == "DATA" && so_far.size() > 1000000) {
                         for (const char* rest : {"INDEX", "STATE"}) requester.close_stream(rest);
                         requester.close_stream(stream);
                         if (std::string(stream) == "MESG") requester.close_stream("DATA");
                       }
                     });
    EXPECT_TRUE(answer.finished) << stream;
    EXPECT_FALSE(answer.timed_out) << stream;
    EXPECT_TRUE(tar_is_gone()) << stream;
    EXPECT_FALSE(machine_.has(state_name(0)));
    EXPECT_TRUE(machine_.has(state_name(0) + ".new"));
  }
}

TEST_F(EndlessDump, EndsWhenTheRequestIsCancelled) {
  const Answer answer =
      machine_.ask("sendbackup", kOptions + dle().text(),
                   [](Requester& requester, const std::string& name, const std::string& so_far) {
                     if (name == "DATA" && so_far.size() > 1000000) requester.cancel();
                   });
  EXPECT_FALSE(answer.timed_out);
  EXPECT_TRUE(tar_is_gone());
  EXPECT_EQ(machine_.names_in("lists").size(), 1U);
  EXPECT_TRUE(machine_.has(state_name(0) + ".new"));
}

}  // namespace
}  // namespace headrace::client
