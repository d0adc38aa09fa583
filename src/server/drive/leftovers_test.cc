#include "server/drive/leftovers.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "server/drive/night_bench.h"
#include "server/hold/chunk_chain.h"

namespace headrace::drive {
namespace {

class LeftoversTest : public NightBench {
 protected:
  // An image on the holding disk, whole or as a crash leaves it.
  std::filesystem::path hold(const std::string& stamp, const std::string& disk, bool whole = true) {
    wire::DumpHeader header;
    header.type = wire::DumpHeader::Type::file;
    header.timestamp = stamp;
    header.host = kHost;
    header.disk = disk;
    header.program = "GNUTAR";
    hold::ChunkChain chain(header, stamp, false);
    chain.add_room({0, root / "holding", 0, 1 << 20U});
    std::string data = "data of " + disk;
    const iovec piece{data.data(), data.size()};
    EXPECT_EQ(chain.write({&piece, 1}).bytes, data.size());
    if (whole) EXPECT_TRUE(chain.finish({}));
    return chain.first_path();
  }
  // A journal whose writer is gone.
  void journal(const std::string& stamp, const std::vector<journal::Body>& events, bool finished) {
    std::filesystem::create_directories(root / "log");
    base::SystemClock clock;
    auto writer = journal::Writer::create(root / "log", stamp, clock);
    ASSERT_TRUE(writer) << writer.error().what();
    ASSERT_TRUE(
        (*writer)->append(journal::RunStarted{"t", "o", stamp, "vm", 4711, "0.1.0", journal::RunKind::dump}));
    for (const auto& event : events) ASSERT_TRUE((*writer)->append(event));
    if (finished) ASSERT_TRUE((*writer)->append(journal::RunFinished{0, 1}));
  }
  std::vector<std::string> to_flush(const std::string& autoflush) {
    globals = "autoflush " + autoflush;
    std::vector<std::string> disks;
    for (const auto& image : find_leftovers(configuration()).to_flush) disks.push_back(image.header.disk);
    std::ranges::sort(disks);
    return disks;
  }
};

TEST_F(LeftoversTest, NothingIsLeftOfNothing) {
  const auto found = find_leftovers(configuration());
  EXPECT_TRUE(found.found.empty());
  EXPECT_TRUE(found.to_flush.empty());
}

TEST_F(LeftoversTest, AutoflushDecidesAboutImagesOfOrderlyRuns) {
  journal("20261120000000", {}, true);
  hold("20261120000000", "/d1");
  EXPECT_EQ(to_flush("no"), std::vector<std::string>{});
  EXPECT_EQ(to_flush("yes"), std::vector<std::string>{"/d1"});
  EXPECT_EQ(to_flush("all"), std::vector<std::string>{"/d1"});
  EXPECT_TRUE(find_leftovers(configuration()).found.empty()) << "held on purpose";
}

TEST_F(LeftoversTest, ARunThatDiedIsToldOfAndItsImagesAreFlushed) {
  const std::string stamp = "20261120000000";
  const journal::ImageId held{kHost, "/d1", stamp, 0};
  const journal::ImageId lost{kHost, "/d 2", stamp, 0};
  const auto file = hold(stamp, "/d1");
  journal(stamp,
          {journal::DlePlanned{held, "", 1, 1, 1}, journal::DlePlanned{lost, "", 1, 1, 1},
           journal::DumpStarted{held, 1, journal::Destination::holding, {}},
           journal::DumpStarted{lost, 1, journal::Destination::holding, {}},
           journal::ImageHeld{held, file, 1, 1, {}}},
          false);
  const auto found = find_leftovers(configuration());
  ASSERT_EQ(found.found.size(), 2U);
  EXPECT_EQ(found.found[0].cut_level, -1);
  EXPECT_EQ(found.found[1].disk, "/d 2") << "its client may have recorded it";
  EXPECT_EQ(found.found[1].timestamp, stamp);
  EXPECT_EQ(found.found[1].cut_level, 0);
  EXPECT_EQ(found.found[0].what,
            "the run of 20261120000000 (process 4711) did not finish; not dumped: 127.0.0.1:\"/d 2\"");
  EXPECT_EQ(to_flush("no"), std::vector<std::string>{"/d1"});
}

TEST_F(LeftoversTest, ADeadRunIsToldOfOnce) {
  journal("20261120000000", {}, false);
  hold("20261120000000", "/d1");
  journal("20261121000000", {}, true);
  EXPECT_EQ(find_leftovers(configuration()).found.size(), 1U) << "the run of the 21st began before it died";
  journal("20261122000000", {journal::LeftoverFound{"did not finish", {}, {}, "20261120000000"}}, true);
  EXPECT_TRUE(find_leftovers(configuration()).found.empty()) << "the run of the 22nd told it";
  EXPECT_EQ(to_flush("no"), std::vector<std::string>{"/d1"}) << "but did not flush it";
}

TEST_F(LeftoversTest, ARunThatStillGoesOnIsNoneOfOurs) {
  std::filesystem::create_directories(root / "log");
  base::SystemClock clock;
  auto writer = journal::Writer::create(root / "log", "20261120000000", clock);
  ASSERT_TRUE(writer);
  ASSERT_TRUE((*writer)->append(
      journal::RunStarted{"t", "o", "20261120000000", "vm", 1, "0.1.0", journal::RunKind::dump}));
  // The writer's lock is the process's own, which it sees as free: another process asks.
  const pid_t child = ::fork();
  if (child == 0) {
    const auto config = configuration();
    ::_exit(find_leftovers(config).found.empty() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// The number of a dead run's process may be another one's by now.
TEST_F(LeftoversTest, ADeadRunsDirectoryIsTakenOverThoughItsPidIsInUse) {
  const std::string stamp = "20261120000000";
  hold(stamp, "/d1");
  const auto pid_file = root / "holding" / stamp / "pid";
  ASSERT_TRUE(base::replace_file(pid_file, "1", 0600));
  EXPECT_EQ(to_flush("all"), std::vector<std::string>{}) << "somebody's";
  std::filesystem::create_directories(root / "log");
  base::SystemClock clock;
  auto writer = journal::Writer::create(root / "log", stamp, clock);
  ASSERT_TRUE(writer);
  ASSERT_TRUE((*writer)->append(journal::RunStarted{"t", "o", stamp, "vm", 1, "0", journal::RunKind::dump}));
  writer->reset();
  EXPECT_EQ(to_flush("no"), std::vector<std::string>{"/d1"}) << "a dead run's";
  EXPECT_EQ(base::read_file(pid_file).value_or(""), std::to_string(::getpid())) << "and ours from now on";
}

TEST_F(LeftoversTest, ADirectoryThatAnotherFlushesIsLeftAlone) {
  const std::string stamp = "20261120000000";
  hold(stamp, "/d1");
  const pid_t other = ::fork();
  if (other == 0) {
    ::pause();
    ::_exit(0);
  }
  const auto pid_file = root / "holding" / stamp / "pid";
  ASSERT_TRUE(base::replace_file(pid_file, std::to_string(other), 0600));
  EXPECT_EQ(to_flush("all"), std::vector<std::string>{});
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
  EXPECT_EQ(to_flush("all"), std::vector<std::string>{"/d1"});
}

TEST_F(LeftoversTest, ACutOffImageIsKeptAsPartialAndNeverFlushed) {
  hold("20261120000000", "/d1", false);
  EXPECT_TRUE(held().front().native().ends_with(".tmp"));
  const auto found = find_leftovers(configuration());
  ASSERT_EQ(found.found.size(), 1U);
  EXPECT_EQ(found.found[0].disk, "/d1");
  EXPECT_EQ(found.found[0].timestamp, "20261120000000");
  EXPECT_NE(found.found[0].what.find("incomplete"), std::string::npos) << found.found[0].what;
  EXPECT_FALSE(held().front().native().ends_with(".tmp"));
  EXPECT_EQ(to_flush("all"), std::vector<std::string>{});
  EXPECT_TRUE(find_leftovers(configuration()).found.empty()) << "dealt with";
}

// The whole of it: killed in the middle, the next run says so, flushes, and dumps again.
TEST_F(LeftoversTest, TheNextRunPutsThingsRight) {
  const std::string stamp = "20261120000000";
  const auto file = hold(stamp, "/d1");
  hold(stamp, "/d2", false);
  journal(stamp, {journal::DlePlanned{{kHost, "/d2", stamp, 0}, "", 1, 1, 1}}, false);
  disk_names = {"/d2"};
  const auto ran = run([](dump::FakeClient& client) {
    client.estimates = {{"/d2", 1}};
    client.scripts["/d2"] = {dump::good_script("fresh")};
  });
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(ran.state.leftovers.size(), 2U);
  EXPECT_FALSE(std::filesystem::exists(file)) << "flushed";
  EXPECT_EQ(on_volumes("/d1"), "data of /d1");
  EXPECT_EQ(on_volumes("/d2"), "fresh");
}

}  // namespace
}  // namespace headrace::drive
