#include "server/drive/volume_station.h"

#include <set>

#include "server/drive/night_bench.h"

namespace headrace::drive {
namespace {

class VolumeStationTest : public NightBench {
 protected:
  void open(size_t writers = 1) {
    config = configuration();
    auto changer = volume::make_changer(config, config.first_storage());
    ASSERT_TRUE(changer) << changer.error().what();
    station = std::make_unique<VolumeStation>(*loop, config, config.first_storage(), "20261123000000",
                                              std::move(*changer), writers);
  }
  VolumeStation::Loading load(size_t writer = 0) {
    VolumeStation::Loading got;
    station->load(writer, [&](VolumeStation::Loading loading) {
      got = std::move(loading);
      loop->stop();
    });
    loop->run();
    return got;
  }
  void fence(uint64_t lane) {
    loop->offload(lane, [] {}, [this] { loop->stop(); });
    loop->run();
  }
  // Slots that some process has loaded.
  size_t in_use() {
    auto changer = volume::make_changer(config, config.first_storage()).value();
    const auto slots = changer->inventory().value();
    return static_cast<size_t>(
        std::ranges::count_if(slots, [](const auto& slot) { return slot.in_use_by != 0; }));
  }

  std::unique_ptr<loop::Loop> loop = loop::make_loop(2);
  std::unique_ptr<loop::Timer> deadline = loop::end_test_after_deadline(*loop);
  config::ServerConfig config;
  std::unique_ptr<VolumeStation> station;
};

TEST_F(VolumeStationTest, LoadsEachVolumeOnceARun) {
  open();
  std::vector<std::string> got;
  for (int i = 0; i < 4; ++i) {
    const auto loading = load();
    got.push_back(loading.volume ? loading.volume->label : "none");
    EXPECT_EQ(station->loaded(0), loading.volume.has_value());
    station->unload(0);
    EXPECT_FALSE(station->loaded(0));
  }
  EXPECT_EQ(got, (std::vector<std::string>{"V-001", "V-002", "V-003", "none"}));
  EXPECT_EQ(labels(), (std::vector<std::string>{"V-001", "V-002", "V-003"}));
  fence(station->lane(0));
  EXPECT_EQ(in_use(), 0U);
}

TEST_F(VolumeStationTest, EachWriterHasItsOwn) {
  open(2);
  EXPECT_NE(station->lane(0), station->lane(1));
  (void)load(1);
  EXPECT_FALSE(station->loaded(0));
  EXPECT_EQ(station->current(1).label, "V-001");
  for (const auto& note : load(0).notes) EXPECT_EQ(note.find("in use"), std::string::npos) << note;
  EXPECT_EQ(station->current(0).label, "V-002");
  EXPECT_EQ(in_use(), 2U);
  station->unload(1);
  station->hand_over(0, 1);
  EXPECT_FALSE(station->loaded(0));
  EXPECT_EQ(station->current(1).label, "V-002");
  (void)load(0);
  EXPECT_EQ(station->current(0).label, "V-003");
  for (const size_t writer : {0U, 1U}) {
    station->unload(writer);
    fence(station->lane(writer));
  }
  EXPECT_EQ(in_use(), 0U);
}

TEST_F(VolumeStationTest, WritersThatLoadAtTheSameTimeGetDifferentVolumes) {
  open(3);
  std::set<std::string> labels;
  for (const size_t writer : {0U, 1U, 2U}) {
    station->load(writer, [&](const VolumeStation::Loading& loading) {
      ASSERT_TRUE(loading.volume) << loading.volume.error().what();
      labels.insert(loading.volume->label);
      if (labels.size() == 3) loop->stop();
    });
  }
  loop->run();
  EXPECT_EQ(labels, (std::set<std::string>{"V-001", "V-002", "V-003"}));
}

TEST_F(VolumeStationTest, WhatIsFoundIsLoadedAndNothingIsWrittenBefore) {
  open();
  VolumeStation::Finding found;
  const auto find = [&] {
    station->find([&](VolumeStation::Finding finding) {
      found = std::move(finding);
      loop->stop();
    });
    loop->run();
  };
  find();
  EXPECT_EQ(found.why_none, "");
  EXPECT_FALSE(found.notes.empty());
  EXPECT_TRUE(labels().empty()) << "not in the tapelist yet";
  EXPECT_TRUE(files_below(root / "vtapes/slot1").empty());
  EXPECT_EQ(in_use(), 1U) << "kept from others";
  EXPECT_FALSE(station->loaded(0));
  const auto loading = load();
  ASSERT_TRUE(loading.volume) << loading.volume.error().what();
  EXPECT_EQ(loading.volume->label, "V-001");
  EXPECT_TRUE(loading.notes.empty()) << "they were told";
  EXPECT_EQ(load(0).volume->label, "V-002") << "the next one is chosen anew";
  for (const char* slot : {"vtapes/slot1", "vtapes/slot2", "vtapes/slot3"})
    std::filesystem::remove_all(root / slot);
  find();
  EXPECT_NE(found.why_none, "");
}

TEST_F(VolumeStationTest, WhatIsFoundAndNotNeededIsGivenBack) {
  open();
  station->find([&](const VolumeStation::Finding&) { loop->stop(); });
  loop->run();
  EXPECT_EQ(in_use(), 1U);
  station.reset();
  deadline.reset();
  loop.reset();
  EXPECT_EQ(in_use(), 0U);
}

// As when the run is over while something on the lane still holds the volume.
TEST_F(VolumeStationTest, AVolumeMayOutliveTheStation) {
  open();
  (void)load();
  auto kept = station->current(0);
  EXPECT_EQ(in_use(), 1U);
  const uint64_t lane = station->lane(0);
  station.reset();
  fence(lane);
  EXPECT_EQ(in_use(), 1U);
  EXPECT_EQ(kept.volume->slot(), "1");
  kept = {};
  EXPECT_EQ(in_use(), 0U) << "given back to a changer that is still there";
}

TEST_F(VolumeStationTest, DestroyedWhileLoadingTellsNothing) {
  open();
  const uint64_t lane = station->lane(0);
  station->load(0, [](const VolumeStation::Loading&) { ADD_FAILURE() << "told"; });
  station.reset();
  fence(lane);
  loop::turn_loop(*loop, 5, [&] { loop->stop(); });
  loop->run();
  EXPECT_EQ(in_use(), 0U);
}

}  // namespace
}  // namespace headrace::drive
