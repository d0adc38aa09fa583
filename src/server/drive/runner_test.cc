// Whole nights with the real Runner.
#include "server/drive/runner.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <set>

#include "journal/rates.h"
#include "server/drive/night_bench.h"

namespace headrace::drive {
namespace {

using dump::FakeClient;
using dump::FakeScript;
using dump::good_script;
using journal::Phase;

FakeScript failing() {
  FakeScript script;
  script.describe().data("some").end(dump::kToData).index("/\n").end(dump::kToIndex);
  script.mesg("sendbackup: error [/bin/tar exited with status 2]\n").end(dump::kToMesg);
  return script;
}

class RunnerTest : public NightBench {
 protected:
  void expect_written(const Ran& ran, const std::string& disk, const std::string& bytes) {
    SCOPED_TRACE(disk);
    EXPECT_EQ(ran.dump(disk).phase, Phase::written) << ran.dump(disk).failure;
    EXPECT_TRUE(on_volumes(disk) == bytes) << on_volumes(disk).size();
    EXPECT_EQ(catalog_says(disk), "ok");
    EXPECT_TRUE(has_index(disk));
    const auto record = info(disk);
    ASSERT_EQ(record.stats.size(), 1U);
    EXPECT_EQ(record.stats[0].native_kib, static_cast<int64_t>((bytes.size() + 1023) / 1024));
    EXPECT_FALSE(record.stats[0].label.empty());
    EXPECT_EQ(base::timestamp14(record.stats[0].unixtime), timestamp);
  }
  void expect_no_trace(const Ran& ran, const std::string& disk) {
    SCOPED_TRACE(disk);
    EXPECT_EQ(ran.dump(disk).phase, Phase::failed);
    EXPECT_FALSE(has_index(disk));
    EXPECT_TRUE(info(disk).stats.empty());
    EXPECT_EQ(catalog_says(disk), "none");
  }
  // Volumes, tapelist, logs and histories are as before the first run.
  void forget_all() {
    for (const char* slot : {"vtapes/slot1", "vtapes/slot2", "vtapes/slot3"}) {
      for (const auto& file : files_below(root / slot)) std::filesystem::remove(file);
    }
    std::filesystem::remove(root / "config/tapelist");
    std::filesystem::remove(root / "changer");
    std::filesystem::remove_all(root / "log");
    std::filesystem::remove_all(root / "info");
  }
  void flip(const std::filesystem::path& file, off_t at) {
    const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    char byte = 0;
    ASSERT_EQ(::pread(fd, &byte, 1, at), 1);
    byte = static_cast<char>(byte ^ 0x40);
    ASSERT_EQ(::pwrite(fd, &byte, 1, at), 1);
    ::close(fd);
  }
};

TEST_F(RunnerTest, AllGood) {
  const auto ran = run(all_good);
  EXPECT_EQ(ran.status, 0);
  expect_written(ran, "/d1", kOne);
  expect_written(ran, "/d2", kTwo);
  expect_written(ran, "/d3", kThree);
  EXPECT_TRUE(holding_is_empty());
  EXPECT_EQ(labels(), std::vector<std::string>{"V-001"});
  ASSERT_TRUE(ran.state.finished);
  EXPECT_EQ(ran.state.finished->exit_status, 0);
  EXPECT_EQ(ran.count<journal::VolumeFinished>(), 1U);
  const std::string log = log_text();
  EXPECT_NE(log.find("SUCCESS dumper 127.0.0.1 /d1 " + timestamp + " 0 "), std::string::npos) << log;
  EXPECT_NE(log.find("DONE taper \"ST:"), std::string::npos) << log;
  EXPECT_NE(log.find("FINISH driver date " + timestamp), std::string::npos) << log;
}

TEST_F(RunnerTest, WithoutHoldingDiskStraightToTheVolume) {
  holding_use = "";
  const auto ran = run(all_good);
  EXPECT_EQ(ran.status, 0);
  expect_written(ran, "/d1", kOne);
  expect_written(ran, "/d2", kTwo);
  expect_written(ran, "/d3", kThree);
}

TEST_F(RunnerTest, AFailureIsTriedAgain) {
  const auto ran = run([](FakeClient& client) {
    all_good(client);
    client.scripts["/d2"] = {failing(), good_script(kTwo)};
  });
  EXPECT_EQ(ran.status, 0);
  expect_written(ran, "/d2", kTwo);
  EXPECT_TRUE(ran.dump("/d2").retried());
  EXPECT_EQ(ran.dump("/d2").attempts.size(), 2U);
  EXPECT_TRUE(holding_is_empty());
}

TEST_F(RunnerTest, FailedTwiceIsFailed) {
  const auto ran = run([](FakeClient& client) {
    all_good(client);
    client.scripts["/d2"] = {failing()};
  });
  EXPECT_EQ(ran.status, 4);
  expect_no_trace(ran, "/d2");
  EXPECT_EQ(ran.dump("/d2").attempts.size(), 2U);
  EXPECT_EQ(ran.dump("/d2").code, "failed");
  ASSERT_EQ(ran.dump("/d2").parameters.size(), 1U);
  EXPECT_EQ(ran.dump("/d2").parameters[0].value, "2");
  expect_written(ran, "/d1", kOne);
  EXPECT_TRUE(holding_is_empty());
  const std::string log = log_text();
  EXPECT_NE(log.find("FAIL dumper 127.0.0.1 /d2 " + timestamp + " 0 [the client reports: /bin/tar"),
            std::string::npos)
      << log;
}

TEST_F(RunnerTest, AStrangeOneIsGoodAndSaidSo) {
  const auto ran = run([](FakeClient& client) {
    all_good(client);
    FakeScript script;
    script.describe().mesg("? tar: odd\n").data(kOne).end(dump::kToData).index("/\n").end(dump::kToIndex);
    script.close_with(kOne).end(dump::kToMesg);
    client.scripts["/d1"] = {script};
  });
  EXPECT_EQ(ran.status, 2);
  expect_written(ran, "/d1", kOne);
}

TEST_F(RunnerTest, DamagedOnTheWayIsNeverGood) {
  for (const char* holding : {"64 mbytes", ""}) {
    holding_use = holding;
    const auto ran = run([](FakeClient& client) {
      all_good(client);
      FakeScript script;
      script.describe().data(kOne).end(dump::kToData).index("/\n").end(dump::kToIndex);
      script.close_with(kTwo).end(dump::kToMesg);
      client.scripts["/d1"] = {script};
    });
    EXPECT_EQ(ran.status & 4, 4);
    EXPECT_EQ(ran.dump("/d1").phase, Phase::failed);
    EXPECT_NE(catalog_says("/d1"), "ok");
    EXPECT_TRUE(info("/d1").stats.empty());
    EXPECT_FALSE(has_index("/d1"));
  }
}

// Straight to two volumes: the first dump's bytes are held back until the second has begun.
TEST_F(RunnerTest, SeveralVolumesAtATime) {
  globals = "runtapes 3\ntaper-parallel-write 2";
  holding_use = "";
  const auto ran = run(all_good, [](Runner& runner, FakeClient&, const journal::Body& body) {
    const auto* started = std::get_if<journal::DumpStarted>(&body);
    if (started == nullptr || started->image.disk == "/d3") return;
    const bool first = runner.state().volumes.size() < 2;
    if (first) runner.pause(started->image.disk == "/d1" ? 0 : 1, "test");
    if (!first)
      for (const size_t disk : {0U, 1U}) runner.resume(disk, "test");
  });
  EXPECT_EQ(ran.status, 0);
  expect_written(ran, "/d1", kOne);
  expect_written(ran, "/d2", kTwo);
  expect_written(ran, "/d3", kThree);
  EXPECT_EQ(ran.count<journal::VolumeStarted>(), 2U);
  EXPECT_EQ(ran.count<journal::VolumeFinished>(), 2U);
  std::set<std::string> begun_on;
  uint64_t kib = 0;
  for (const char* disk : {"/d1", "/d2"}) begun_on.insert(ran.dump(disk).writing().begun_on);
  EXPECT_EQ(begun_on, (std::set<std::string>{"V-001", "V-002"}));
  for (const auto& volume : ran.state.volumes) kib += volume.kib;
  EXPECT_GE(kib, (kOne.size() + kTwo.size()) / 1024);
  const std::string log = log_text();
  for (const char* label : {"V-001 tape 1", "V-002 tape 2"})
    EXPECT_NE(log.find(std::string("label ") + label), std::string::npos) << log;
  for (const char* label : {"V-001", "V-002"})
    EXPECT_NE(log.find(fmt::format("INFO taper tape {} kb ", label)), std::string::npos) << log;
}

TEST_F(RunnerTest, FewDumpsOnAVolume) {
  globals = "runtapes 3\nmax-dle-by-volume 2";
  const auto ran = run(all_good);
  EXPECT_EQ(ran.status, 0);
  expect_written(ran, "/d1", kOne);
  expect_written(ran, "/d2", kTwo);
  expect_written(ran, "/d3", kThree);
  ASSERT_EQ(ran.state.volumes.size(), 2U);
  EXPECT_EQ(ran.state.volumes[0].parts, 2U);
  EXPECT_EQ(ran.state.volumes[1].parts, 1U);
  EXPECT_EQ(ran.count<journal::VolumeFinished>(), 2U);
}

// With each volume full, the image of one writer goes on on the next volume while the others write.
TEST_F(RunnerTest, SeveralWritersGoOnOnFurtherVolumes) {
  globals = "runtapes 3\ntaper-parallel-write 3";
  tapetype = "length 2 mbytes\npart-size 512 kbytes";
  for (const char* holding : {"64 mbytes", ""}) {
    SCOPED_TRACE(holding);
    holding_use = holding;
    const auto ran = run(all_good);
    EXPECT_EQ(ran.status, 0);
    for (const char* disk : {"/d1", "/d2", "/d3"}) EXPECT_EQ(catalog_says(disk), "ok") << disk;
    EXPECT_EQ(ran.count<journal::VolumeFinished>(), ran.count<journal::VolumeStarted>());
    EXPECT_LE(ran.count<journal::VolumeStarted>(), 3U);
    forget_all();
  }
}

// Parts of a dump that failed on its way straight to the volume belong to no image, also for Amanda's tools.
TEST_F(RunnerTest, PartsOfAFailedDirectDumpAreNoImage) {
  holding_use = "";
  tapetype = "length 100 mbytes\npart-size 512 kbytes";
  disk_names = {"/d2"};
  const auto ran = run([](FakeClient& client) {
    all_good(client);
    FakeScript script;
    script.describe().data(kTwo).end(dump::kToData).index("/\n").end(dump::kToIndex);
    script.mesg("sendbackup: error [tar died]\n").end(dump::kToMesg);
    client.scripts["/d2"] = {script, good_script(kTwo)};
  });
  EXPECT_EQ(ran.status, 0);
  const std::string log = log_text();
  EXPECT_NE(log.find("PARTIAL taper"), std::string::npos) << log;
  EXPECT_EQ(catalog_says("/d2"), "ok");
  EXPECT_EQ(ran.dump("/d2").phase, Phase::written);
}

TEST_F(RunnerTest, AnImageGoesOnOnTheNextVolume) {
  globals = "runtapes 3";
  tapetype = "length 2 mbytes\npart-size 512 kbytes";
  const auto ran = run(all_good);
  EXPECT_EQ(ran.status, 0);
  expect_written(ran, "/d1", kOne);
  expect_written(ran, "/d2", kTwo);
  expect_written(ran, "/d3", kThree);
  EXPECT_TRUE(holding_is_empty());
  EXPECT_EQ(ran.count<journal::VolumeStarted>(), 2U);
  EXPECT_EQ(ran.count<journal::VolumeFinished>(), 2U);
}

TEST_F(RunnerTest, AVolumeThatEndsWithoutWarning) {
  globals = "runtapes 3";
  tapetype = "length 2 mbytes\npart-size 512 kbytes";
  changer = "device-property \"LEOM\" \"FALSE\"";
  for (const char* holding : {"64 mbytes", ""}) {
    SCOPED_TRACE(holding);
    holding_use = holding;
    const auto ran = run(all_good);
    if (*holding == '\0') {
      // Without holding disk nothing can repeat the lost part: the dump begins again on the next volume.
      EXPECT_EQ(ran.dump("/d2").phase, Phase::written) << ran.dump("/d2").failure;
    } else {
      EXPECT_EQ(ran.status, 0);
    }
    EXPECT_EQ(catalog_says("/d2"), "ok");
    EXPECT_EQ(ran.count<journal::VolumeFinished>(), ran.count<journal::VolumeStarted>());
    forget_all();
  }
}

TEST_F(RunnerTest, NoMoreVolumesAndTheNextRunFlushes) {
  tapetype = "length 2 mbytes\npart-size 512 kbytes";
  globals = "runtapes 1\nautoflush yes";
  const auto ran = run([](FakeClient& client) {
    all_good(client);
    client.estimates["/d2"] = 1500;  // less than it turns out to be: what is known not to fit is not dumped
  });
  EXPECT_EQ(ran.status & 16, 16);
  ASSERT_FALSE(ran.state.no_volume.empty());
  EXPECT_EQ(ran.dump("/d2").phase, Phase::left) << ran.dump("/d2").failure;
  EXPECT_NE(ran.dump("/d2").left_reason.find("runtapes=1"), std::string::npos);
  EXPECT_FALSE(held().empty()) << "not safe on a volume";
  const std::string first = timestamp;

  tapetype = "length 100 mbytes";
  disk_names = {"/d1"};
  const auto next = run(all_good);
  EXPECT_EQ(next.status, 0);
  const auto flushed = std::ranges::find_if(
      next.state.dumps, [](const auto& it) { return it.image.disk == "/d2" && it.flush; });
  ASSERT_NE(flushed, next.state.dumps.end());
  EXPECT_EQ(flushed->image.timestamp, first);
  EXPECT_EQ(flushed->phase, Phase::written);
  EXPECT_TRUE(holding_is_empty());
  EXPECT_EQ(catalog_says("/d2"), "ok");
  EXPECT_EQ(info("/d2").stats.at(0).label, "V-002");
}

TEST_F(RunnerTest, WithoutAVolumeAllStaysHeld) {
  globals = "runtapes 0";
  const auto ran = run(all_good);
  EXPECT_EQ(ran.status, 16);
  for (const char* disk : {"/d1", "/d2", "/d3"}) {
    EXPECT_EQ(ran.dump(disk).phase, Phase::left);
    EXPECT_TRUE(has_index(disk));
    EXPECT_EQ(catalog_says(disk), "ok") << "it can be restored from holding disk";
  }
  EXPECT_TRUE(labels().empty());
}

TEST_F(RunnerTest, WithoutAVolumeFullsBecomeIncrementals) {
  globals = "dumpcycle 0 days";
  ASSERT_EQ(run(all_good).status, 0);
  globals = "dumpcycle 0 days\nruntapes 0\nreserve 100\ninparallel 1";
  const auto ran = run(all_good);
  EXPECT_EQ(ran.status, 16);
  for (const char* disk : {"/d1", "/d2", "/d3"}) {
    EXPECT_EQ(ran.dump(disk).image.level, 1) << disk;
    EXPECT_EQ(ran.dump(disk).phase, Phase::left) << disk;
    EXPECT_NE(ran.dump(disk).plan_reason.find("no volume"), std::string::npos) << ran.dump(disk).plan_reason;
  }
}

// The changer is empty: that is known before the first dump starts.
TEST_F(RunnerTest, AnEmptyChangerIsNoticedInTime) {
  globals = "dumpcycle 0 days\nautoflush no";
  ASSERT_EQ(run(all_good).status, 0);
  globals =
      "dumpcycle 0 days\nreserve 100\ninparallel 1\nlabelstr \"^OTHER-\"\nautolabel \"OTHER-%%\" "
      "volume-error";
  const auto ran = run(all_good);
  EXPECT_EQ(ran.status, 16);
  ASSERT_EQ(ran.state.no_volume.size(), 1U);
  const auto& why = ran.state.no_volume.front().reason;
  EXPECT_NE(why.find("No acceptable volumes found"), std::string::npos) << why;
  for (const char* disk : {"/d1", "/d2", "/d3"}) EXPECT_EQ(ran.dump(disk).image.level, 1) << disk;
  EXPECT_EQ(labels(), std::vector<std::string>{"V-001"});
}

TEST_F(RunnerTest, AnImageThatOutgrowsItsEstimate) {
  const auto ran = run([](FakeClient& client) {
    all_good(client);
    client.estimates["/d2"] = 1;
  });
  EXPECT_EQ(ran.status, 0);
  expect_written(ran, "/d2", kTwo);
}

// Too large for the holding disk after all: goes straight to the volume on its second try.
TEST_F(RunnerTest, WhatOutgrowsTheHoldingDiskGoesToTheVolume) {
  holding_use = "1 mbyte";
  disk_names = {"/d2"};
  const auto ran = run([](FakeClient& client) {
    all_good(client);
    client.estimates["/d2"] = 100;
  });
  EXPECT_EQ(ran.status, 0);
  expect_written(ran, "/d2", kTwo);
  ASSERT_EQ(ran.dump("/d2").attempts.size(), 2U);
  EXPECT_NE(ran.dump("/d2").attempts[0].failure.find("holding disks are full"), std::string::npos);
  EXPECT_EQ(ran.dump("/d2").attempts[1].to, journal::Destination::volume);
  EXPECT_TRUE(holding_is_empty());
}

// One bad holding file costs neither the volume nor the other images.
TEST_F(RunnerTest, ADamagedHoldingFileIsKeptAndTheNightGoesOn) {
  globals = "runtapes 0";
  (void)run(all_good);
  ASSERT_EQ(held().size(), 5U);
  // Of /d2's three chunks the second: one bit of its data.
  for (const auto& file : held()) {
    if (file.filename().native().ends_with("_d2.0.1")) flip(file, 40'000);
  }
  globals = "autoflush all";
  const auto next = run(all_good);
  const auto of = [&](const std::string& disk) {
    return *std::ranges::find_if(next.state.dumps,
                                 [&](const auto& it) { return it.flush && it.image.disk == disk; });
  };
  EXPECT_EQ(of("/d1").phase, Phase::written);
  EXPECT_EQ(of("/d3").phase, Phase::written);
  EXPECT_EQ(of("/d2").phase, Phase::left);
  EXPECT_NE(of("/d2").left_reason.find("is damaged"), std::string::npos) << of("/d2").left_reason;
  EXPECT_EQ(held().size(), 3U) << "what is damaged is kept as evidence";
  EXPECT_EQ(next.count<journal::VolumeStarted>(), 1U);
  EXPECT_TRUE(next.state.no_volume.empty());
  EXPECT_EQ(next.dump("/d1").phase, Phase::written);
}

// The chunk is gone: reading fails in the middle, and the volume is not to blame.
TEST_F(RunnerTest, AMissingChunkIsNotTheVolumesFault) {
  globals = "runtapes 1\nautoflush all";
  holding_use = "64 mbytes";
  disk_names = {"/d1", "/d2"};
  const auto ran = run(all_good, [this](Runner&, FakeClient&, const journal::Body& body) {
    const auto* started = std::get_if<journal::ImageWriteStarted>(&body);
    if (started == nullptr || started->image.disk != "/d2") return;
    for (const auto& file : held()) {
      if (file.filename().native().ends_with("_d2.0.2")) std::filesystem::remove(file);
    }
  });
  EXPECT_EQ(ran.dump("/d1").phase, Phase::written) << ran.dump("/d1").left_reason;
  EXPECT_EQ(ran.dump("/d2").phase, Phase::left);
  EXPECT_NE(ran.dump("/d2").left_reason.find("_d2.0.2"), std::string::npos) << ran.dump("/d2").left_reason;
  EXPECT_TRUE(ran.state.no_volume.empty()) << ran.state.no_volume.front().reason;
  EXPECT_EQ(ran.count<journal::VolumeStarted>(), 1U);
  EXPECT_EQ(ran.status & 16, 16);
}

TEST_F(RunnerTest, AClientThatIsDown) {
  const auto ran = run([](FakeClient& client) { client.stop_listening(); });
  EXPECT_EQ(ran.status & 4, 4);
  for (const char* disk : {"/d1", "/d2", "/d3"}) expect_no_trace(ran, disk);
  EXPECT_TRUE(labels().empty()) << "no volume is spent on nothing";
  EXPECT_TRUE(holding_is_empty());
}

TEST_F(RunnerTest, AClientThatHangsUpInTheMiddle) {
  disk_names = {"/d2"};
  const auto ran = run([](FakeClient& client) {
    all_good(client);
    FakeScript script;
    script.describe().index("/\n").data(kTwo.substr(0, 1'500'000)).hang_up();
    client.scripts["/d2"] = {script, good_script(kTwo)};
  });
  EXPECT_EQ(ran.status, 0);
  expect_written(ran, "/d2", kTwo);
  EXPECT_EQ(ran.dump("/d2").attempts.size(), 2U);
  EXPECT_TRUE(holding_is_empty());
}

TEST_F(RunnerTest, AClientThatAsksToComeLaterIsLeftAloneForThatLong) {
  disk_names = {"/d1"};
  const auto ran = run([](FakeClient& client) {
    all_good(client);
    FakeScript script;
    script.reply = "RETRY delay 1 level 0 message \"a snapshot is being made\"\n";
    client.scripts["/d1"] = {script, script, good_script(kOne)};
  });
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(asked.size(), 3U) << "more often than the tries after failures";
  expect_written(ran, "/d1", kOne);
}

TEST_F(RunnerTest, CancelledWhileDumping) {
  const auto ran = run(
      [](FakeClient& client) {
        all_good(client);
        FakeScript script;
        script.describe().index("/\n").data("some");
        client.scripts["/d2"] = {script};
      },
      [](Runner& runner, FakeClient&, const journal::Body& body) {
        const auto* written = std::get_if<journal::ImageWritten>(&body);
        if (written != nullptr) runner.cancel("interrupted by the operator");
      });
  EXPECT_EQ(ran.status & 1, 1);
  expect_no_trace(ran, "/d2");
  ASSERT_TRUE(ran.state.finished) << "the run ended in order";
  for (const auto& file : held())
    EXPECT_EQ(file.native().find("_d2."), std::string::npos) << file << " of a dump that was given up";
  EXPECT_NE(log_text().find("interrupted by the operator"), std::string::npos);
}

TEST_F(RunnerTest, CancelledWhileAsking) {
  const auto ran = run(all_good, [](Runner& runner, FakeClient&, const journal::Body& body) {
    if (std::holds_alternative<journal::DleChosen>(body)) runner.cancel("not tonight");
  });
  EXPECT_EQ(ran.status & 9, 9) << "an error, and no result";
  EXPECT_TRUE(asked.empty());
  EXPECT_TRUE(holding_is_empty());
  EXPECT_NE(log_text().find("not tonight"), std::string::npos);
}

// An image that was complete when the cancel came is a good one.
TEST_F(RunnerTest, CancelledWhenAnImageHasJustBecomeWhole) {
  disk_names = {"/d1"};
  const auto ran = run(all_good, [](Runner& runner, FakeClient&, const journal::Body& body) {
    if (std::holds_alternative<journal::ImageHeld>(body)) runner.cancel("enough");
  });
  EXPECT_EQ(ran.status & 1, 1);
  EXPECT_EQ(ran.dump("/d1").phase, Phase::left) << ran.dump("/d1").failure;
  EXPECT_EQ(catalog_says("/d1"), "ok");
  EXPECT_EQ(held().size(), 1U);
}

TEST_F(RunnerTest, AnIndexDirectoryThatCannotBeUsedIsABlemish) {
  ASSERT_TRUE(base::replace_file(root / "index", "a file", 0600));
  const auto ran = run(all_good);
  EXPECT_EQ(ran.status, 2);
  EXPECT_EQ(ran.dump("/d2").phase, Phase::written);
  EXPECT_TRUE(on_volumes("/d2") == kTwo);
}

// Two disks of one host reached in different ways: one that makes no sense does not hide the other.
TEST_F(RunnerTest, ADiskWhosePortMakesNoSenseFailsAlone) {
  disk_names = {"/d1", "/d2 {\n t\n client-port \"nonsense-port\"\n estimate server\n} #"};
  const auto ran = run(all_good);
  EXPECT_EQ(ran.status & 4, 4);
  EXPECT_EQ(ran.dump("/d1").phase, Phase::written);
  EXPECT_EQ(ran.dump("/d2").phase, Phase::failed);
  EXPECT_NE(ran.dump("/d2").failure.find("nonsense-port"), std::string::npos);
}

TEST_F(RunnerTest, ASecondRunIsIncrementalAndKeepsTheOldRecord) {
  disk_names = {"/d1"};
  (void)run(all_good);
  const auto next = run(all_good);
  EXPECT_EQ(next.status, 0);
  EXPECT_EQ(asked, std::vector<std::string>{"/d1 1"});
  const auto record = info("/d1");
  ASSERT_EQ(record.stats.size(), 2U);
  EXPECT_EQ(record.stats[0].label, "V-001");
  EXPECT_EQ(record.stats[1].label, "V-002");
  EXPECT_EQ(record.last_level, 1);
}

TEST_F(RunnerTest, KeepsTheRatesItMeasured) {
  const Ran ran = run(all_good);
  const auto rates = journal::load_rates(root / "log");
  ASSERT_TRUE(rates) << rates.error().what();
  EXPECT_EQ(rates->disks.size(), 3U);
  const auto* rate = rates->of(kHost, "/d2", true);
  ASSERT_NE(rate, nullptr);
  EXPECT_EQ(rate->run, timestamp);
  EXPECT_EQ(rate->joints.back().name, "holding write");
}

TEST_F(RunnerTest, RatesThatCannotBeReadAreToldOfAndMeasuredAnew) {
  std::filesystem::create_directories(root / "log");
  ASSERT_TRUE(base::replace_file(root / "log/rates", "no JSON", 0600));
  const Ran ran = run(all_good);
  EXPECT_EQ(ran.dump("/d1").phase, Phase::written);
  EXPECT_TRUE(std::ranges::any_of(ran.state.notes,
                                  [](const auto& it) { return it.text.contains("this is no JSON object"); }));
  EXPECT_TRUE(journal::load_rates(root / "log"));
}

}  // namespace
}  // namespace headrace::drive
