// Each event as the text of Amanda's log. The forms are those of logs that Debian's Amanda 3.5.1 wrote; where
// it rounds times we give what it would have given.
#include "server/drive/log_lines.h"

#include <gtest/gtest.h>

namespace headrace::drive {
namespace {

using journal::ImageId;

const ImageId kImage{"localhost", "/srv/d1", "20261123005515", 0};
const base::CrcAndSize kCrc{0x8a716bc9, 3010560};

class LogLines : public ::testing::Test {
 protected:
  LogLines() {
    take(journal::RunStarted{"t1", "org", "20261123005515", "vm", 22512, "0.1.0", journal::RunKind::dump});
  }
  // The lines of an event, which then counts as having happened.
  std::string take(const journal::Body& body) {
    std::string text;
    for (const auto& line : log_lines(body, reduction.state())) text += compat::format(line);
    reduction.apply({1, body});
    return text;
  }
  void plan() {
    take(journal::DlePlanned{kImage, "first full", 2972, 2976, 0});
    take(journal::PlanDone{0.1});
  }
  journal::Reduction reduction;
};

TEST_F(LogLines, TheRunItself) {
  journal::Reduction fresh;
  std::string text;
  const journal::RunStarted started{"t1",  "org",   "20261123005515",      "vm",
                                    22512, "0.1.0", journal::RunKind::dump};
  for (const auto& line : log_lines(started, fresh.state())) text += compat::format(line);
  EXPECT_EQ(text,
            "INFO amdump amdump pid 22512\n"
            "START planner date 20261123005515\n"
            "START driver date 20261123005515\n"
            "STATS driver hostname vm\n");
  EXPECT_EQ(take(journal::RunFinished{0, 3.269}),
            "FINISH driver date 20261123005515 time 3.269\nINFO amdump pid-done 22512\n");
}

TEST_F(LogLines, AFlushIsAmflushs) {
  take(journal::RunStarted{"t1", "org", "20261123005703", "vm", 7, "0.1.0", journal::RunKind::flush});
  EXPECT_EQ(take(journal::RunFinished{0, 1}),
            "FINISH driver date 20261123005703 time 1.000\nINFO amflush pid-done 7\n");
}

TEST_F(LogLines, Planning) {
  EXPECT_EQ(take(journal::DleChosen{"localhost", "/srv/d 3"}), "DISK planner localhost \"/srv/d 3\"\n");
  EXPECT_EQ(take(journal::FlushPlanned{kImage, "/h/x", 5}), "DISK planner localhost /srv/d1\n");
  EXPECT_EQ(take(journal::Note{"planner", journal::Severity::info, "Adding new disk localhost:/srv/d1."}),
            "INFO planner Adding new disk localhost:/srv/d1.\n");
  EXPECT_EQ(take(journal::Note{"planner", journal::Severity::warning, "tapecycle (3) <= runspercycle (7)"}),
            "WARNING planner tapecycle (3) <= runspercycle (7)\n");
  EXPECT_EQ(take(journal::Note{"driver", journal::Severity::error, "x"}), "ERROR driver x\n");
  EXPECT_EQ(take(journal::Note{"driver", journal::Severity::fatal, "x"}), "FATAL driver x\n");
  EXPECT_EQ(take(journal::LeftoverFound{"something was left"}), "WARNING driver something was left\n");
  EXPECT_EQ(take(journal::LeftoverFound{"its run was interrupted", "h", "/d", "20260101000000", 1}),
            "FAIL dumper h /d 20260101000000 1 [its run was interrupted]\n");
  EXPECT_EQ(take(journal::DleSkipped{kImage, "skip-incr"}),
            "SUCCESS planner localhost /srv/d1 20261123005515 0 [skipped: skip-incr]\n");
  EXPECT_EQ(take(journal::PlanFailed{{"localhost", "bad", "20261123005732", 0}, "no size line"}),
            "FAIL planner localhost bad 20261123005732 0 \"[no size line]\"\n");
  EXPECT_EQ(take(journal::PlanDone{0.002}),
            "FINISH planner date 20261123005515 time 0.002\nSTATS driver startup time 0.002\n");
}

TEST_F(LogLines, WhatOnlyTheJournalTells) {
  plan();
  EXPECT_EQ(take(journal::EstimateGot{"localhost", "/srv/d1", 0, 10, "client"}), "");
  EXPECT_EQ(take(journal::Waiting{kImage, "its time"}), "");
  EXPECT_EQ(take(journal::DumpStarted{kImage, 1, journal::Destination::holding, {}}), "");
  EXPECT_EQ(take(journal::DumpProgress{kImage, 10, {}, {}}), "");
  EXPECT_EQ(take(journal::ImageHeld{kImage, "/h/x", 1, 1, {}}), "");
  EXPECT_EQ(take(journal::ImageWriteStarted{kImage, "t1", "t1"}), "");
  EXPECT_EQ(take(journal::ImageLeftOnHolding{kImage, "/h/x", 1, "no volume"}), "");
}

TEST_F(LogLines, ADumpToHoldingDisk) {
  plan();
  take(journal::DumpStarted{kImage, 1, journal::Destination::holding, {}});
  journal::DumpFinished finished{kImage, 1, 2940, 2940, 0.156};
  finished.native_crc = finished.client_crc = finished.server_crc = kCrc;
  EXPECT_EQ(
      take(finished),
      "SUCCESS dumper localhost /srv/d1 20261123005515 0 8a716bc9:3010560 8a716bc9:3010560 [sec 0.156 kb "
      "2940 kps 18846.2 orig-kb 2940]\n"
      "SUCCESS chunker localhost /srv/d1 20261123005515 0 8a716bc9:3010560 [sec 0.156000 kb 2940 kps "
      "18846.153846]\n"
      "STATS driver estimate localhost /srv/d1 20261123005515 0 [sec 2 nkb 2972 ckb 2976 kps 1024]\n");
}

TEST_F(LogLines, WhatTheServerCompressedComesSmallerOutOfTheChunker) {
  plan();
  take(journal::DumpStarted{kImage, 1, journal::Destination::holding, {}});
  journal::DumpFinished finished{kImage, 1, 2160, 13, 2};
  finished.native_crc = finished.client_crc = {0x8fac65f4, 2211840};
  finished.server_crc = {0xdf9f3d25, 13039};
  const std::string text = take(finished);
  EXPECT_TRUE(text.starts_with(
      "SUCCESS dumper localhost /srv/d1 20261123005515 0 8fac65f4:2211840 8fac65f4:2211840 "
      "[sec 2.000 kb 2160 kps 1080.0 orig-kb 2160]\n"
      "SUCCESS chunker localhost /srv/d1 20261123005515 0 df9f3d25:13039 [sec 2.000000 kb 13 "
      "kps 6.500000]\n"))
      << text;
}

TEST_F(LogLines, ADumpToAVolumeHasNoChunker) {
  plan();
  take(journal::DumpStarted{kImage, 1, journal::Destination::volume, {}});
  const std::string text = take(journal::DumpFinished{kImage, 1, 2940, 2940, 0.1});
  EXPECT_EQ(text.find("chunker"), std::string::npos) << text;
  EXPECT_NE(text.find("SUCCESS dumper"), std::string::npos) << text;
}

TEST_F(LogLines, AStrangeDumpHasItsMessages) {
  plan();
  take(journal::DumpStarted{kImage, 1, journal::Destination::volume, {}});
  journal::DumpFinished finished{kImage, 1, 10, 10, 1};
  finished.strange = true;
  finished.messages = {"? /bin/tar: ./x: file changed as we read it"};
  EXPECT_TRUE(take(finished).starts_with(
      "STRANGE dumper localhost /srv/d1 0 00000000:0 00000000:0 [sec 1.000 kb 10 kps 10.0 orig-kb 10]\n"
      "  ? /bin/tar: ./x: file changed as we read it\n"));
}

TEST_F(LogLines, Failures) {
  plan();
  EXPECT_EQ(take(journal::DumpGivenUp{kImage, "there is no holding disk"}),
            "FAIL driver localhost /srv/d1 20261123005515 0 [there is no holding disk]\n");
  take(journal::DumpStarted{kImage, 1, journal::Destination::holding, {}});
  EXPECT_EQ(take(journal::DumpFailed{kImage, 1, "data timeout", {"? odd"}, false}),
            "FAIL dumper localhost /srv/d1 20261123005515 0 [data timeout]\n  ? odd\n");
  EXPECT_EQ(take(journal::DumpGivenUp{kImage, "data timeout"}), "") << "said already";
}

TEST_F(LogLines, Volumes) {
  EXPECT_EQ(take(journal::VolumeStarted{"T1-001", "1", 1, "t1", "t1", "20261123005515", 0}),
            "START taper datestamp 20261123005515 \"ST:t1\" \"POOL:t1\" label T1-001 tape 1\n");
  EXPECT_EQ(take(journal::PartWritten{kImage, "t1", "t1", "T1-001", 3, 1, -1, 1048576, 0.001130, 2940}),
            "PART taper \"ST:t1\" \"POOL:t1\" T1-001 3 localhost /srv/d1 20261123005515 1/-1 0 [sec 0.001130 "
            "bytes 1048576 kps 906194.690265 orig-kb 2940]\n");
  EXPECT_EQ(
      take(journal::PartFailed{kImage, "t1", "t1", "T1-001", 4, 2, 1024, 0.5, "No space left on volume"}),
      "PARTPARTIAL taper \"ST:t1\" \"POOL:t1\" T1-001 4 localhost /srv/d1 20261123005515 2/-1 0 [sec "
      "0.500000 "
      "bytes 1024 kps 2.000000] \"No space left on volume\"\n");
  EXPECT_EQ(take(journal::ImageWritten{kImage, "t1", "t1", 3, 3010560, 0.1, 2940, kCrc, kCrc, {}}),
            "DONE taper \"ST:t1\" \"POOL:t1\" localhost /srv/d1 20261123005515 3 0 8a716bc9:3010560 "
            "8a716bc9:3010560 00000000:0 [sec 0.100000 bytes 3010560 kps 29400.000000 orig-kb 2940]\n");
  EXPECT_EQ(take(journal::VolumeFinished{"T1-001", 3428, 5, "OK"}),
            "INFO taper tape T1-001 kb 3428 fm 5 [OK]\n");
  EXPECT_EQ(take(journal::NoVolume{journal::VolumeTrouble::config, "runtapes=1 does not allow more"}),
            "ERROR taper no-tape config [runtapes=1 does not allow more]\n");
  EXPECT_EQ(take(journal::NoVolume{journal::VolumeTrouble::error, "no slot"}),
            "ERROR taper no-tape error [no slot]\n");
}

TEST_F(LogLines, WritingThatFailed) {
  EXPECT_EQ(take(journal::ImageWriteFailed{kImage, "t1", "t1", false, 0, 0, 0, "damaged", false}),
            "FAIL taper \"ST:t1\" \"POOL:t1\" localhost /srv/d1 20261123005515 0 error \"damaged\"\n");
  EXPECT_EQ(take(journal::ImageWriteFailed{kImage, "t1", "t1", true, 1, 1024, 1, "no more volumes", false}),
            "PARTIAL taper \"ST:t1\" \"POOL:t1\" localhost /srv/d1 20261123005515 1 0 00000000:0 00000000:0 "
            "00000000:0 [sec 1.000000 bytes 1024 kps 1.000000] \"no more volumes\"\n");
}

}  // namespace
}  // namespace headrace::drive
