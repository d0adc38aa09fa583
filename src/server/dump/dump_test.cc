// The real Dump against a scripted client over loopback TCP, into a target in memory.
#include "server/dump/dump.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "loop/test_loop.h"
#include "server/dump/fake_client.h"

namespace headrace::dump {
namespace {

namespace fs = std::filesystem;
using base::ErrorKind;
using base::Result;
using namespace std::chrono_literals;

// Takes an image into memory, and fails where told.
class MemoryTarget : public Target, public loop::Writable {
 public:
  explicit MemoryTarget(loop::Loop& loop) : loop_(loop) {}

  Result<loop::Writable*> open(const wire::DumpHeader& header) override {
    opened = header;
    if (!open_fails.empty()) return base::fail(ErrorKind::full, open_fails);
    return this;
  }
  void finish(const wire::DumpHeader& header, std::move_only_function<void(Result<>)> done) override {
    finished = header;
    loop_.post([this, done = std::move(done)]() mutable {
      if (finish_fails.empty()) return done({});
      done(base::fail(ErrorKind::full, finish_fails));
    });
  }
  void abandon() override { abandoned = true; }

  loop::IoResult write(std::span<const iovec> pieces) override {
    if (stalled) return {loop::IoState::wait, 0};
    if (bytes.size() >= full_at) return {loop::IoState::failed, 0};
    bytes.append(static_cast<const char*>(pieces[0].iov_base), pieces[0].iov_len);
    return {loop::IoState::moved, pieces[0].iov_len};
  }
  void await_writable(loop::Ready ready) override {
    if (!stalled) loop_.post(std::move(ready));
  }
  base::Error error() const override { return {ErrorKind::full, "no room in memory"}; }
  void finish(std::move_only_function<void(Result<>)>) override { ADD_FAILURE() << "not the stream's"; }

  std::string open_fails, finish_fails;
  size_t full_at = SIZE_MAX;
  bool stalled = false;
  std::optional<wire::DumpHeader> opened, finished;
  bool abandoned = false;
  std::string bytes;

 private:
  loop::Loop& loop_;
};

std::string pattern(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 251);
  return text;
}

class DumpTest : public ::testing::Test {
 protected:
  DumpTest() {
    char name[] = "/tmp/headrace-dump-XXXXXX";
    directory = ::mkdtemp(name);
    request.peer = {.host = "127.0.0.1",
                    .auth = "bsdtcp",
                    .port = client.port(),
                    .source_port_low = 0,
                    .source_port_high = 0,
                    .tries = 1,
                    .amandad_path = ""};
    request.host = "h";
    request.dle.program = "GNUTAR";
    request.dle.disk = "/d";
    request.dle.index = true;
    request.dle.levels = {{0, false, {}}};
    request.timestamp = "20261123013159";
    request.config = "daily";
    request.dump_user = "backup";
    request.client_features = wire::FeatureSet::ours_as_client();
    request.index = {directory / "index", "h", "/d", request.timestamp, 0};
    request.index_form = {false, false};
  }
  ~DumpTest() override {
    dump.reset();
    fs::remove_all(directory);
  }

  void start() {
    dump = std::make_unique<Dump>(*loop, connector, request, target);
    dump->start([this](DumpOutcome result) {
      EXPECT_FALSE(outcome) << "told twice";
      outcome = std::move(result);
      // As the runner does: gone from inside its own callback.
      dump.reset();
      loop->stop();
    });
  }
  DumpOutcome run(FakeScript script) {
    client.scripts["/d"] = {std::move(script)};
    start();
    loop->run();
    EXPECT_TRUE(outcome);
    return outcome ? std::move(*outcome) : DumpOutcome{};
  }
  void run_until(const std::function<bool()>& there) {
    std::function<void()> look = [&] {
      if (there()) {
        loop->stop();
      } else {
        loop->post([&] { look(); });
      }
    };
    loop->post([&] { look(); });
    loop->run();
  }
  std::string index_files() {
    std::string names;
    std::error_code none;
    for (const auto& entry : fs::recursive_directory_iterator(directory, none)) {
      if (!entry.is_directory()) names += entry.path().filename().native() + " ";
    }
    return names;
  }
  // A failure that left nothing behind, neither image nor index.
  void expect_failed(const DumpOutcome& result, ErrorKind kind, const std::string& words) {
    ASSERT_FALSE(result.result);
    EXPECT_EQ(result.result.error().kind(), kind) << result.result.error().what();
    EXPECT_NE(result.result.error().what().find(words), std::string::npos) << result.result.error().what();
    EXPECT_TRUE(target.abandoned);
    EXPECT_EQ(index_files(), "");
  }

  std::unique_ptr<loop::Loop> loop = loop::make_loop(3);
  auth::NetConnector connector{*loop};
  std::unique_ptr<loop::Timer> deadline = loop::end_test_after_deadline(*loop);
  FakeClient client{*loop};
  MemoryTarget target{*loop};
  DumpRequest request;
  std::unique_ptr<Dump> dump;
  std::optional<DumpOutcome> outcome;
  fs::path directory;
};

TEST_F(DumpTest, AGoodDumpIsWholeAndDescribed) {
  const std::string bytes = pattern(700'001);
  const auto result = run(good_script(bytes));
  ASSERT_TRUE(result.result) << result.result.error().what();
  EXPECT_TRUE(target.bytes == bytes);
  EXPECT_FALSE(target.abandoned);
  EXPECT_FALSE(result.strange);
  EXPECT_EQ(result.native_kib, 684U);
  EXPECT_EQ(result.stored_bytes, bytes.size());
  EXPECT_EQ(result.server_crc.text(), FakeScript::crc_text(bytes));
  EXPECT_EQ(result.client_crc, result.server_crc);
  EXPECT_EQ(target.opened->program, "/bin/tar");
  EXPECT_FALSE(target.opened->server_crc.known()) << "not known at the beginning";
  EXPECT_EQ(target.finished->orig_size_kib, 684U);
  EXPECT_EQ(target.finished->server_crc, result.server_crc);
  EXPECT_EQ(target.finished->recover_command, "/bin/tar -xpGf - ...");
  EXPECT_EQ(result.header.host, "h");
  EXPECT_EQ(base::read_file(directory / "index/h/_d/20261123013159_0-unsorted").value_or(""), "/\n/file\n");
  const std::string header = base::read_file(directory / "index/h/_d/20261123013159_0.header").value_or("");
  EXPECT_NE(header.find("To restore"), std::string::npos) << header;
  EXPECT_EQ(client.asked, std::vector<std::string>{"/d 0"});
}

TEST_F(DumpTest, FiltersOfTheServerChangeWhatIsStoredAndTheHeaderSaysHow) {
  const fs::path crypt = directory / "crypt";
  ASSERT_TRUE(base::replace_file(crypt, "#!/bin/sh\necho with $# arguments >&2\nprintf X\nexec cat\n", 0700));
  request.dle.compress = wire::Compress::server_fast;
  request.dle.encrypt = wire::Encrypt::server_custom;
  request.dle.encrypt_program = crypt;
  request.dle.decrypt_option = "-x";
  const std::string bytes = std::string(900'000, 'q');
  const auto result = run(good_script(bytes));
  ASSERT_TRUE(result.result) << result.result.error().what();
  EXPECT_EQ(result.client_crc.text(), FakeScript::crc_text(bytes));
  EXPECT_EQ(result.server_crc.text(), FakeScript::crc_text(target.bytes));
  EXPECT_EQ(result.stored_bytes, target.bytes.size());
  EXPECT_LT(target.bytes.size(), bytes.size() / 10) << "compressed, and then encrypted";
  EXPECT_EQ(target.bytes.substr(0, 4), "X\x1f\x8b\x08") << "encrypted last";
  const wire::DumpHeader& header = *target.finished;
  EXPECT_EQ(header.compress_suffix, ".gz");
  EXPECT_EQ(header.uncompress_command, "/bin/gzip -dc");
  EXPECT_EQ(header.decrypt_command, crypt.native() + " -x");
  EXPECT_TRUE(header.encrypted);
  EXPECT_EQ(header.server_encrypt_program, crypt.native());
  EXPECT_EQ(header.server_decrypt_option, "-x");
  EXPECT_EQ(header.server_crc, result.server_crc);
  EXPECT_EQ(target.opened->decrypt_command, header.decrypt_command) << "known from the beginning";
  EXPECT_TRUE(result.strange);
  EXPECT_NE(std::ranges::find(result.messages, "? server encrypt: with 0 arguments"), result.messages.end());
}

TEST_F(DumpTest, AFilterOfTheServerThatFailsFailsTheDump) {
  request.dle.compress = wire::Compress::server_custom;
  request.dle.compress_program = "/bin/false";
  expect_failed(run(good_script(pattern(3'000'000))), ErrorKind::gone, "/bin/false returned 1");
  request.dle.compress_program = "/nonexistent/zip";
  outcome.reset();
  expect_failed(run(good_script("some")), ErrorKind::refused, "/nonexistent/zip");
}

TEST_F(DumpTest, AFilterOfTheServerThatTakesNothingHasADeadline) {
  request.data_timeout = 50ms;
  const fs::path zip = directory / "zip";
  ASSERT_TRUE(base::replace_file(zip, "#!/bin/sh\nexec sleep 1000\n", 0700));
  request.dle.compress = wire::Compress::server_custom;
  request.dle.compress_program = zip;
  client.scripts["/d"] = {good_script(pattern(8'000'000))};
  start();
  loop->run();
  ASSERT_TRUE(outcome);
  ASSERT_FALSE(outcome->result);
  EXPECT_NE(outcome->result.error().what().find("the server's filters took nothing"), std::string::npos)
      << outcome->result.error().what();
}

// A header's programs are run, often as root, when the dump is restored.
TEST_F(DumpTest, AClientCannotNameProgramsThatNobodyAskedFor) {
  for (const char* info : {"CLIENT_CUSTOM_COMPRESS=/usr/bin/python3", "CLIENT_ENCRYPT=/usr/bin/python3",
                           "CLIENT_DECRYPT_OPTION=/usr/bin/python3"}) {
    outcome.reset();
    FakeScript script;
    script.mesg(std::string("sendbackup: start [h:/d level 0]\nsendbackup: info ") + info +
                "\nsendbackup: info COMPRESS_SUFFIX=cust\nsendbackup: info end\n");
    script.data("some").end(kToData).end(kToIndex).close_with("some").end(kToMesg);
    expect_failed(run(script), ErrorKind::refused, "/usr/bin/python3");
    EXPECT_FALSE(target.opened);
  }
  outcome.reset();
  FakeScript script;
  script.mesg(
      "sendbackup: start [h:/d level 0]\nsendbackup: info SERVER_ENCRYPT=/usr/bin/python3\n"
      "sendbackup: info SERVER_CUSTOM_COMPRESS=/usr/bin/python3\nsendbackup: info end\n");
  script.data("some").end(kToData).end(kToIndex).close_with("some").end(kToMesg);
  const auto result = run(script);
  ASSERT_TRUE(result.result) << result.result.error().what();
  EXPECT_EQ(target.finished->server_encrypt_program, "");
  EXPECT_EQ(target.finished->server_compress_program, "");
  EXPECT_FALSE(target.finished->encrypted);
}

TEST_F(DumpTest, WorksWithoutIndex) {
  FakeScript script;
  script.wants_index = false;
  script.describe().data("some").end(kToData).close_with("some").end(kToMesg);
  const auto result = run(script);
  ASSERT_TRUE(result.result) << result.result.error().what();
  EXPECT_EQ(index_files(), "");
}

TEST_F(DumpTest, KeepsTheStateStream) {
  FakeScript script;
  script.wants_state = true;
  script.describe().state("a state\n").end(kToState).index("/\n").end(kToIndex);
  script.data("some").end(kToData).close_with("some").end(kToMesg);
  const auto result = run(script);
  ASSERT_TRUE(result.result) << result.result.error().what();
  EXPECT_TRUE(fs::exists(directory / "index/h/_d/20261123013159_0.state.gz")) << index_files();
}

TEST_F(DumpTest, StrangeLinesMakeItStrangeOnly) {
  FakeScript script;
  script.describe().mesg("? /bin/tar: ./x: file changed\n| Total bytes written: 4\n");
  script.data("some").end(kToData).end(kToIndex).close_with("some").end(kToMesg);
  const auto result = run(script);
  ASSERT_TRUE(result.result) << result.result.error().what();
  EXPECT_TRUE(result.strange);
  EXPECT_NE(std::ranges::find(result.messages, "? /bin/tar: ./x: file changed"), result.messages.end());
}

TEST_F(DumpTest, DataBeforeTheHeaderIsNotLost) {
  FakeScript script;
  script.data("early bytes").end(kToData).describe().end(kToIndex).close_with("early bytes").end(kToMesg);
  const auto result = run(script);
  ASSERT_TRUE(result.result) << result.result.error().what();
  EXPECT_EQ(target.bytes, "early bytes");
}

TEST_F(DumpTest, AWrongChecksumIsNeverGood) {
  FakeScript script;
  script.describe().data("damaged").end(kToData).index("/\n").end(kToIndex).close_with("whole!!").end(
      kToMesg);
  expect_failed(run(script), ErrorKind::corrupt, "does not match");
}

TEST_F(DumpTest, FewerBytesThanTheChecksumSpeaksOf) {
  FakeScript script;
  script.describe().data("cut").end(kToData).end(kToIndex).close_with("cut short").end(kToMesg);
  expect_failed(run(script), ErrorKind::corrupt, "does not match");
}

TEST_F(DumpTest, NothingAtAllWithoutChecksums) {
  FakeScript script;
  script.describe().end(kToData).end(kToIndex).mesg("sendbackup: size 40\nsendbackup: end\n").end(kToMesg);
  expect_failed(run(script), ErrorKind::corrupt, "40 KiB");
}

TEST_F(DumpTest, AnErrorLineFails) {
  FakeScript script;
  script.describe().data("some").end(kToData).index("/\n").end(kToIndex);
  script.mesg("sendbackup: error [/bin/tar exited with status 2]\n").end(kToMesg);
  expect_failed(run(script), ErrorKind::gone, "/bin/tar exited with status 2");
}

TEST_F(DumpTest, MissingSizeOrEndFails) {
  for (const std::string lines : {"sendbackup: end\n", "sendbackup: size 1\n", ""}) {
    outcome.reset();
    FakeScript script;
    script.describe().data("some").end(kToData).end(kToIndex).mesg(lines).end(kToMesg);
    expect_failed(run(script), ErrorKind::gone,
                  lines == "sendbackup: size 1\n" ? "missing end line" : "missing size line");
  }
}

TEST_F(DumpTest, MessagesThatEndBeforeTheHeader) {
  FakeScript script;
  script.mesg("sendbackup: start [h:/d level 0]\nsendbackup: error [no such disk]\n").end(kToMesg);
  const auto result = run(script);
  EXPECT_FALSE(target.opened);
  expect_failed(result, ErrorKind::gone, "no such disk");
}

TEST_F(DumpTest, AConnectionLostInTheMiddle) {
  FakeScript script;
  script.describe().index("/\n").data(pattern(300'000)).hang_up();
  expect_failed(run(script), ErrorKind::gone, "");
}

TEST_F(DumpTest, AnIndexThatIsNotKeptIsNoSignOfLife) {
  request.data_timeout = 50ms;
  FakeScript script;
  script.describe().data("some").index("/" + std::string(1'000'000, 'n'));
  const auto result = run(script);
  expect_failed(result, ErrorKind::again, "data timeout");
  EXPECT_NE(
      std::ranges::find(result.messages, "? the index could not be kept: a name of more than 65536 bytes"),
      result.messages.end());
}

TEST_F(DumpTest, ASilentClientIsGivenUp) {
  request.data_timeout = 50ms;
  FakeScript script;
  script.describe().data("some");
  expect_failed(run(script), ErrorKind::again, "data timeout");
}

TEST_F(DumpTest, AClientSilentFromTheBeginningIsGivenUp) {
  request.data_timeout = 50ms;
  expect_failed(run(FakeScript{}), ErrorKind::again, "data timeout");
}

TEST_F(DumpTest, AClosedGateIsNoSilence) {
  // Also the time in which a busy machine has to bring the data once the gate is open.
  request.data_timeout = 1s;
  client.scripts["/d"] = {good_script("some")};
  start();
  dump->gate().close();
  auto wait = loop->after(1500ms, [&] {
    EXPECT_FALSE(outcome);
    if (dump) dump->gate().reopen();
  });
  loop->run();
  ASSERT_TRUE(outcome && outcome->result);
  EXPECT_EQ(target.bytes, "some");
}

TEST_F(DumpTest, TakesAHeadraceClientsMetersBesideItsMessages) {
  FakeScript script;
  script.describe()
      .mesg(
          "sendbackup: meter 1 at=7 joint=network_send:4,1,2,3,4,5,0,0,0,0,0,0,0,0\nsendbackup: meter 9 x\n")
      .data("some");
  client.scripts["/d"] = {script};
  start();
  run_until([&] { return outcome || (dump && dump->client_meters()); });
  ASSERT_TRUE(dump && dump->client_meters());
  EXPECT_EQ(dump->client_meters()->line.at_ms, 7U);
  EXPECT_EQ(dump->client_meters()->line.joints.front().name, "network send");
}

TEST_F(DumpTest, MetersAreNoMessages) {
  FakeScript script;
  script.describe()
      .mesg("sendbackup: meter 1 at=7\n")
      .data("some")
      .mesg("sendbackup: meter 9 of the future\n");
  script.index("/\n").end(kToData).end(kToIndex).close_with("some").end(kToMesg);
  const auto result = run(script);
  ASSERT_TRUE(result.result) << result.result.error().what();
  EXPECT_FALSE(result.strange);
  for (const auto& line : result.messages) EXPECT_EQ(line.find("meter"), std::string::npos) << line;
}

TEST_F(DumpTest, ATargetThatWaitsIsNoSilence) {
  request.data_timeout = 30ms;
  target.stalled = true;
  client.scripts["/d"] = {good_script("some")};
  start();
  auto wait = loop->after(300ms, [&] { loop->stop(); });
  loop->run();
  EXPECT_FALSE(outcome);
  dump.reset();
  EXPECT_TRUE(target.abandoned);
}

TEST_F(DumpTest, ATargetThatCannotOpen) {
  target.open_fails = "no holding disk";
  expect_failed(run(good_script("some")), ErrorKind::full, "no holding disk");
}

TEST_F(DumpTest, ATargetThatBecomesFull) {
  target.full_at = 100'000;
  expect_failed(run(good_script(pattern(3'000'000))), ErrorKind::full, "no room in memory");
}

TEST_F(DumpTest, ATargetThatCannotFinish) {
  target.finish_fails = "fsync failed";
  expect_failed(run(good_script("some")), ErrorKind::full, "fsync failed");
}

TEST_F(DumpTest, Refusals) {
  FakeScript script;
  script.refusal = "access denied";
  expect_failed(run(script), ErrorKind::refused, "access denied");
  outcome.reset();
  script = {};
  script.reply = "ERROR [no such disk]\n";
  expect_failed(run(script), ErrorKind::refused, "no such disk");
}

TEST_F(DumpTest, AClientThatAsksToComeLater) {
  FakeScript script;
  script.reply = "RETRY delay 30 level 1 message \"busy\"\n";
  const auto result = run(script);
  expect_failed(result, ErrorKind::again, "busy");
  ASSERT_TRUE(result.retry);
  EXPECT_EQ(result.retry->delay_seconds, 30);
  EXPECT_EQ(result.retry->level, 1);
}

TEST_F(DumpTest, NobodyListens) {
  client.stop_listening();
  start();
  loop->run();
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(outcome->result);
  EXPECT_TRUE(target.abandoned);
}

TEST_F(DumpTest, AnUnknownAuthIsSaidAndMayBeGivenUpAtOnce) {
  request.peer.auth = "carrierpigeon";
  start();
  dump.reset();
  loop::turn_loop(*loop, 10, [&] { loop->stop(); });
  loop->run();
  EXPECT_FALSE(outcome);
  start();
  loop->run();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->result.error().kind(), ErrorKind::unsupported);
}

// The image can be restored without it.
TEST_F(DumpTest, AnIndexWithoutAPlaceIsABlemish) {
  ASSERT_TRUE(base::replace_file(directory / "index", "no directory", 0600));
  const std::string bytes = pattern(700'000);
  const auto result = run(good_script(bytes, std::string(600'000, 'x') + "\n"));
  ASSERT_TRUE(result.result) << result.result.error().what();
  EXPECT_TRUE(result.strange);
  EXPECT_TRUE(target.bytes == bytes);
  ASSERT_FALSE(result.messages.empty());
  EXPECT_NE(result.messages.back().find("the index could not be kept"), std::string::npos);
  EXPECT_EQ(index_files(), "index ");
}

TEST_F(DumpTest, DestroyedInTheMiddleNothingStays) {
  FakeScript script;
  script.describe().index("/\n/file\n").data("some");
  client.scripts["/d"] = {script};
  start();
  run_until([&] { return target.bytes == "some" && !index_files().empty(); });
  EXPECT_EQ(client.active(), 1U);
  dump.reset();
  EXPECT_TRUE(target.abandoned);
  run_until([&] { return client.active() == 0 && index_files().empty(); });
  EXPECT_FALSE(outcome) << "a destroyed dump tells nothing";
}

}  // namespace
}  // namespace headrace::dump
