// Whole nights with two storages, by the real Runner.
#include <fstream>

#include "compat/command_file.h"
#include "server/drive/night_bench.h"

namespace headrace::drive {
namespace {

using journal::Phase;

class RunnerStorages : public NightBench {
 protected:
  RunnerStorages() {
    globals = "storage \"a\" \"b\"";
    add_storages();
  }
  // `more`: lines of storage b.
  void add_storages(const std::string& more = "") {
    const std::string at = root.native();
    b_slots(3);
    globals +=
        "\ndefine storage a {\n tpchanger \"vt\"\n tapepool \"pa\"\n}\n"
        "define changer bvt {\n tpchanger \"chg-disk:" +
        at + "/bvtapes\"\n changerfile \"" + at +
        "/bchanger\"\n}\n"
        "define storage b {\n tpchanger \"bvt\"\n tapepool \"pb\"\n labelstr \"^B-[0-9]+$\"\n"
        " autolabel \"B-%%%\" empty\n" +
        more + "\n}\n";
  }
  void b_slots(int count) {
    std::filesystem::remove_all(root / "bvtapes");
    std::filesystem::create_directories(root / "bvtapes");
    for (int slot = 1; slot <= count; ++slot)
      std::filesystem::create_directories(root / "bvtapes" / ("slot" + std::to_string(slot)));
  }
  // Data of an image's parts in that changer's directory.
  std::string on(const char* changer, const std::string& disk) const {
    std::string name = disk, data;
    std::ranges::replace(name, '/', '_');
    for (const auto& file : files_below(root / changer))
      if (file.filename().native().find("." + name + ".") != std::string::npos)
        data += base::read_file(file).value_or("").substr(32768);
    return data;
  }
  // "DISK STORAGE" of each order.
  std::vector<std::string> orders() const {
    std::vector<std::string> all;
    const auto commands = compat::load_command_file(root / "config/command_file");
    EXPECT_TRUE(commands);
    for (const auto& it : commands->commands()) {
      EXPECT_EQ(it.working_pid, 0);
      EXPECT_TRUE(std::filesystem::exists(it.holding_file)) << it.holding_file;
      all.push_back(it.disk + " " + it.dst_storage);
    }
    std::ranges::sort(all);
    return all;
  }
};

TEST_F(RunnerStorages, EachGetsEveryDump) {
  const auto ran = run(all_good);
  EXPECT_EQ(ran.status, 0);
  for (const auto& [disk, bytes] :
       std::map<std::string, std::string>{{"/d1", kOne}, {"/d2", kTwo}, {"/d3", kThree}}) {
    SCOPED_TRACE(disk);
    EXPECT_EQ(ran.dump(disk).phase, Phase::written);
    EXPECT_EQ(ran.dump(disk).storages, (std::vector<std::string>{"a", "b"}));
    EXPECT_TRUE(on("vtapes", disk) == bytes);
    EXPECT_TRUE(on("bvtapes", disk) == bytes);
    EXPECT_EQ(catalog_says(disk), "ok");
  }
  EXPECT_EQ(labels(), (std::vector<std::string>{"B-001", "V-001"}));
  EXPECT_TRUE(holding_is_empty());
  EXPECT_THAT(orders(), testing::IsEmpty());
  const auto log = log_text();
  for (const char* line : {"START taper datestamp", "\"ST:a\" \"POOL:pa\" label V-001 tape 1",
                           "\"ST:b\" \"POOL:pb\" label B-001 tape 1"})
    EXPECT_NE(log.find(line), std::string::npos) << line << " in\n" << log;
}

TEST_F(RunnerStorages, WhatOneHasNoVolumeForStaysForItAlone) {
  b_slots(0);
  std::filesystem::create_directories(root / "bvtapes/slot1");
  std::ofstream(root / "bvtapes/slot1/00000.SOMEBODYS") << "no label of ours";
  const auto ran = run(all_good);
  EXPECT_EQ(ran.status, 16);
  ASSERT_EQ(ran.state.no_volume.size(), 1U);
  EXPECT_EQ(ran.state.no_volume.front().storage, "b");
  for (const char* disk : {"/d1", "/d2", "/d3"}) {
    EXPECT_EQ(ran.dump(disk).phase, Phase::left) << disk;
    EXPECT_EQ(ran.dump(disk).left_reason.find("storage b: "), 0U) << ran.dump(disk).left_reason;
  }
  EXPECT_EQ(held().size(), 5U) << "chunks of three images";
  EXPECT_THAT(orders(), testing::ElementsAre("/d1 b", "/d2 b", "/d3 b"));

  // The next run completes what is missing, and nothing else.
  b_slots(2);
  globals += "autoflush yes\n";
  disk_names.clear();
  EXPECT_EQ(run(all_good).status, 0);
  EXPECT_THAT(orders(), testing::IsEmpty());
  for (const auto& [disk, bytes] :
       std::map<std::string, std::string>{{"/d1", kOne}, {"/d2", kTwo}, {"/d3", kThree}}) {
    EXPECT_TRUE(on("bvtapes", disk) == bytes) << disk;
    EXPECT_TRUE(on("vtapes", disk) == bytes) << disk << " is written to a once";
  }
  EXPECT_TRUE(holding_is_empty());
}

TEST_F(RunnerStorages, DumpSelectionSaysWhoGetsWhat) {
  globals = "storage \"a\" \"b\"";
  add_storages(" dump-selection \"far\" FULL");
  dumptype = "tag \"near\"";
  const auto ran = run(all_good);
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(ran.dump("/d1").storages, std::vector<std::string>{"a"});
  EXPECT_TRUE(on("vtapes", "/d1") == kOne);
  EXPECT_EQ(on("bvtapes", "/d1"), "");
  EXPECT_EQ(labels(), std::vector<std::string>{"V-001"}) << "b needs no volume, and none is missed";
}

TEST_F(RunnerStorages, WithoutHoldingDiskTheFirstGetsIt) {
  holding_use.clear();
  disk_names = {"/d1"};
  const auto ran = run(all_good);
  EXPECT_EQ(ran.status, 0);
  EXPECT_TRUE(on("vtapes", "/d1") == kOne);
  EXPECT_EQ(on("bvtapes", "/d1"), "");
  EXPECT_TRUE(std::ranges::any_of(ran.state.notes, [](const journal::Note& note) {
    return note.text.find("went straight to storage a; b will not get it") != std::string::npos;
  }));
}

TEST_F(RunnerStorages, AnActiveStorageOutsideTheRunKeepsItsImages) {
  globals = "storage \"a\"\nactive-storage \"b\"";
  add_storages();
  const auto ran = run(all_good);
  EXPECT_EQ(ran.status, 0);
  EXPECT_TRUE(on("vtapes", "/d1") == kOne);
  EXPECT_EQ(ran.dump("/d1").phase, Phase::left);
  EXPECT_EQ(ran.dump("/d1").code, "not-in-run");
  EXPECT_THAT(orders(), testing::ElementsAre("/d1 b", "/d2 b", "/d3 b"));
  EXPECT_EQ(labels(), std::vector<std::string>{"V-001"});
}

TEST_F(RunnerStorages, WhatOnlyAnActiveStorageSelectsIsNotSaidToBeForNone) {
  globals = "storage \"b\"\nactive-storage \"a\"";
  add_storages(" dump-selection \"far\" ALL");
  dumptype = "tag \"near\"";
  const auto ran = run(all_good);
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(ran.dump("/d1").phase, Phase::left);
  EXPECT_EQ(ran.dump("/d1").code, "not-in-run") << ran.dump("/d1").left_reason;
  EXPECT_THAT(orders(), testing::ElementsAre("/d1 a", "/d2 a", "/d3 a"));
}

TEST_F(RunnerStorages, ARunOfSomeDisksKnowsTheTagsOfTheOthers) {
  globals = "storage \"b\"\nautoflush all";
  add_storages(" dump-selection \"far\" ALL");
  dumptype = "tag \"near\"";
  listed_names = disk_names;
  ASSERT_EQ(run(all_good).dump("/d1").code, "not-selected");
  disk_names = {"/d2"};
  const auto ran = run(all_good, nullptr, true);
  EXPECT_EQ(ran.dump("/d1").code, "not-selected") << "a disk without any tag would be for all storages";
  EXPECT_EQ(on("bvtapes", "/d1"), "");
}

TEST_F(RunnerStorages, OneChangerMayServeBoth) {
  globals =
      "storage \"a\" \"b\"\ndefine storage a {\n tpchanger \"vt\"\n}\n"
      "define storage b {\n tpchanger \"vt\"\n labelstr \"^B-[0-9]+$\"\n autolabel \"B-%%%\" empty\n}\n";
  const auto ran = run(all_good);
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(labels(), (std::vector<std::string>{"B-001", "V-001"}));
  EXPECT_EQ(on("vtapes", "/d1").size(), 2 * kOne.size());
  EXPECT_TRUE(holding_is_empty());
}

}  // namespace
}  // namespace headrace::drive
