#include "server/observe/lower_bound.h"

#include <gtest/gtest.h>

#include "journal/event.h"

namespace headrace::observe {
namespace {

using namespace journal;

constexpr const char* kRun = "20261123005515";

class LowerBounds : public testing::Test {
 protected:
  void at(double seconds, const Body& body) {
    reduction.apply({static_cast<int64_t>((1000 + seconds) * 1e6), body});
  }
  void begin(int64_t in_parallel) {
    at(0, RunStarted{"daily", "o", kRun, "vm", 1, "0", RunKind::dump, in_parallel});
    at(10, PlanDone{10});
  }
  static ImageId image(const std::string& disk) { return {"h", disk, kRun, 0}; }
  static DlePlanned planned(const std::string& disk, int64_t max_dumps) {
    DlePlanned it;
    it.image = image(disk);
    it.max_dumps = max_dumps;
    return it;
  }
  // Dumped to holding disk from `from` for `seconds`.
  void dump(const std::string& disk, double from, double seconds, uint64_t busy_ms = 0, uint64_t kps = 1) {
    at(from, DlePlanned{image(disk), "", 1, 1, kps, "lan", 1000});
    at(from, DumpStarted{image(disk), 1, Destination::holding, {}, {}});
    if (busy_ms > 0)
      at(from + seconds, DumpProgress{image(disk), 1, {}, {{.name = "holding write", .busy_ms = busy_ms}}});
    at(from + seconds, DumpFinished{.image = image(disk), .stored_kib = 1, .seconds = seconds});
    at(from + seconds, ImageHeld{image(disk), "f", 1, seconds, {}});
  }
  void write(const std::string& disk, double from, double seconds) {
    at(from, ImageWriteStarted{image(disk), "s", "p"});
    at(from + seconds, ImageWritten{image(disk), "s", "p", 1, 1024, seconds, 1});
  }
  LowerBound end(double seconds) {
    at(seconds, RunFinished{0, seconds});
    return lower_bound_of(reduction.state());
  }
  double seconds_of(const LowerBound& bound, const std::string& joint) {
    for (const auto& it : bound.bounds)
      if (it.joint == joint) return it.seconds;
    return -1;
  }

  Reduction reduction;
};

TEST_F(LowerBounds, NothingDoneNothingSaid) {
  begin(4);
  EXPECT_TRUE(end(20).bounds.empty());
  EXPECT_EQ(lower_bound_line(reduction.state()), "");
}

TEST_F(LowerBounds, TheSlowestDiskAlone) {
  begin(4);
  dump("/slow", 10, 60);
  dump("/quick", 10, 5);
  write("/slow", 70, 30);
  const auto bound = end(100);
  EXPECT_EQ(bound.bounds.front().of, "h:/slow");
  EXPECT_DOUBLE_EQ(bound.bounds.front().seconds, 100);
  EXPECT_DOUBLE_EQ(bound.efficiency(), 1);
  EXPECT_EQ(
      lower_bound_line(reduction.state()),
      "The run took 1:40; no order of the same work takes less than 1:40 (h:/slow alone): 100% of the best "
      "possible.\n");
}

TEST_F(LowerBounds, TooFewDumpersAtOnce) {
  begin(2);
  for (const char* disk : {"/a", "/b", "/c", "/d"}) dump(disk, 10, 50);
  const auto bound = end(220);
  EXPECT_EQ(bound.bounds.front().joint, "inparallel");
  EXPECT_DOUBLE_EQ(bound.bounds.front().seconds, 10 + 100);
  EXPECT_DOUBLE_EQ(bound.efficiency(), 0.5);
}

TEST_F(LowerBounds, AHostMakesSoManyAtOnce) {
  begin(10);
  for (const char* disk : {"/a", "/b", "/c"}) {
    dump(disk, 10, 50);
    at(60, planned(disk, 2));
  }
  const auto bound = end(110);
  EXPECT_DOUBLE_EQ(seconds_of(bound, "maxdumps"), 10 + 75);
  EXPECT_EQ(bound.bounds.front().of, "h");
  EXPECT_NE(lower_bound_line(reduction.state()).find("1:25 (maxdumps of h)"), std::string::npos);
}

TEST_F(LowerBounds, RaisedMaxdumpsCount) {
  begin(10);
  at(11, LimitChanged{"maxdumps", {}, "h", {}, 2, 3});
  for (const char* disk : {"/a", "/b", "/c"}) {
    dump(disk, 10, 50);
    at(60, planned(disk, 2));
  }
  EXPECT_DOUBLE_EQ(seconds_of(end(110), "maxdumps"), 10 + 50);
}

TEST_F(LowerBounds, RaisedInParallelCounts) {
  begin(2);
  at(11, LimitChanged{"inparallel", {}, {}, {}, 2, 4});
  for (const char* disk : {"/a", "/b", "/c", "/d"}) dump(disk, 10, 50);
  EXPECT_DOUBLE_EQ(seconds_of(end(220), "inparallel"), 10 + 50);
}

TEST_F(LowerBounds, OneWriterTakesOneImageAtATime) {
  begin(10);
  for (const char* disk : {"/a", "/b", "/c"}) dump(disk, 10, 1);
  write("/a", 20, 40);
  write("/b", 60, 40);
  write("/c", 100, 40);
  const auto bound = end(150);
  EXPECT_EQ(bound.bounds.front().joint, "volume writer");
  EXPECT_DOUBLE_EQ(bound.bounds.front().seconds, 10 + 1 + 120);
}

TEST_F(LowerBounds, TwoWritersTakeTwo) {
  begin(10);
  for (const char* disk : {"/a", "/b"}) dump(disk, 10, 1);
  write("/a", 20, 40);
  write("/b", 30, 40);
  EXPECT_DOUBLE_EQ(seconds_of(end(150), "volume writer"), 10 + 1 + 40);
}

TEST_F(LowerBounds, WhatComesLateIsWrittenLate) {
  begin(10);
  dump("/quick", 10, 1);
  dump("/late", 10, 60);
  dump("/later", 10, 70);
  write("/quick", 20, 20);
  write("/late", 70, 40);
  write("/later", 110, 40);
  EXPECT_DOUBLE_EQ(seconds_of(end(150), "volume writer"), 10 + 60 + 80);
}

TEST_F(LowerBounds, ImagesOfEarlierRunsAreThereFromTheBeginning) {
  begin(10);
  at(1, FlushPlanned{{"h", "/old", "20261122005515", 0}, "f", 1, {}, {}});
  at(1, ImageWriteStarted{{"h", "/old", "20261122005515", 0}, "s", "p"});
  at(41, ImageWritten{{"h", "/old", "20261122005515", 0}, "s", "p", 1, 1024, 40, 1});
  EXPECT_DOUBLE_EQ(seconds_of(end(150), "volume writer"), 40);
}

TEST_F(LowerBounds, AnInterfaceTakesWhatItMay) {
  begin(10);
  dump("/a", 10, 30, 0, 500);
  dump("/b", 10, 30, 0, 1000);
  dump("/c", 10, 30, 0, 9000);  // alone on it, it may exceed any limit
  EXPECT_DOUBLE_EQ(seconds_of(end(150), "interface"), 10 + 15 + 30 + 30);
}

TEST_F(LowerBounds, AHoldingDiskWritesForAllItsDumps) {
  begin(10);
  dump("/a", 10, 30, 20'000);
  dump("/b", 50, 30, 20'000);
  EXPECT_DOUBLE_EQ(seconds_of(end(150), "holding disk"), 10 + 40);
}

}  // namespace
}  // namespace headrace::observe
