#include "server/volume/labeling.h"

#include <gtest/gtest.h>

#include "server/volume/test_support.h"

namespace headrace::volume {
namespace {

using compat::TapelistEntry;

constexpr int64_t kNow = 1795395315;  // 2026-11-23

class LabelingTest : public ::testing::Test {
 protected:
  LabelingTest() {
    storage_.name = "daily";
    storage_.tapepool = "daily";
    storage_.labelstr.pattern = "^VOL-[0-9]+$";
    storage_.autolabel.pattern = "VOL-%%%";
    storage_.autolabel.empty = true;
    storage_.policy.retention_tapes = 2;
    rules_.config = "daily";
    rules_.storage = &storage_;
    rules_.tapelist = slots_ / "tapelist";
    rules_.now = kNow;
  }

  // Timestamps are days of November 2026; 0 is never used.
  static std::string stamp(int day) { return day == 0 ? "0" : fmt_stamp(day); }
  static std::string fmt_stamp(int day) {
    return "202611" + std::string(day < 10 ? "0" : "") + std::to_string(day) + "010000";
  }
  TapelistEntry entry(const std::string& label, int day) const {
    TapelistEntry e;
    e.timestamp = stamp(day);
    e.label = label;
    e.pool = e.storage = e.config = "daily";
    return e;
  }
  void list(const TapelistEntry& e) {
    ASSERT_TRUE(compat::update_tapelist(rules_.tapelist, [&](compat::Tapelist& l) { return l.put(e); }));
  }
  // A labelled volume in a slot, and in the tapelist.
  void volume(int slot, const std::string& label, int day, bool listed = true) {
    slots_.labelled(std::to_string(slot), label, day == 0 ? "X" : stamp(day)).reset();
    if (listed) list(entry(label, day));
  }
  VolumeChoice choose() {
    auto choice = choose_volume(slots_.changer(), rules_);
    EXPECT_TRUE(choice) << choice.error().what();
    return std::move(choice).value_or(VolumeChoice());
  }
  std::map<std::string, std::string> kept() const {
    return retention(rules_, compat::load_tapelist(rules_.tapelist).value());
  }
  static bool noted(const VolumeChoice& choice, const std::string& text) {
    return std::ranges::find(choice.notes, text) != choice.notes.end();
  }

  SlotDirectory slots_{4};
  config::Storage storage_;
  LabelRules rules_;
};

TEST_F(LabelingTest, AFreshChangerGetsItsFirstLabel) {
  const auto choice = choose();
  ASSERT_TRUE(choice.chosen);
  EXPECT_EQ(choice.chosen->slot, "1");
  EXPECT_EQ(choice.chosen->label, "VOL-001");
  EXPECT_TRUE(choice.chosen->new_label);
  EXPECT_EQ(choice.notes, std::vector<std::string>{"Slot 1 without label can be labeled"});
  ASSERT_TRUE(begin_volume(*choice.chosen, rules_, kStamp));
  EXPECT_EQ(slurp(rules_.tapelist),
            "20261123013208 VOL-001 reuse BLOCKSIZE:32 POOL:daily STORAGE:daily CONFIG:daily\n");
  EXPECT_EQ(choice.chosen->volume->read_label().value().timestamp, kStamp);
  EXPECT_EQ(slots_.changer().current_slot().value(), "1");
}

TEST_F(LabelingTest, TheOldestReusableVolumeComesBeforeBlankOnes) {
  volume(2, "VOL-001", 20);
  volume(3, "VOL-002", 21);
  volume(4, "VOL-003", 19);
  const auto choice = choose();
  ASSERT_TRUE(choice.chosen);
  EXPECT_EQ(choice.chosen->label, "VOL-003");
  EXPECT_EQ(choice.chosen->slot, "4");
  EXPECT_FALSE(choice.chosen->new_label);
  ASSERT_TRUE(begin_volume(*choice.chosen, rules_, kStamp));
  EXPECT_EQ(kept().at("VOL-003"), "retention-tapes");
  EXPECT_EQ(kept().at("VOL-001"), "retention-no");
}

TEST_F(LabelingTest, WhatMayNotBeWrittenIsSkippedWithAReason) {
  volume(1, "VOL-001", 20);
  volume(2, "OTHER-1", 1, false);
  volume(3, "VOL-007", 1, false);
  volume(4, "VOL-003", 19);
  std::filesystem::rename(slots_ / "slot4/00000.VOL-003", slots_ / "slot4/00000.VOL-004");
  const auto choice = choose();
  EXPECT_FALSE(choice.chosen);
  EXPECT_EQ(choice.why_none,
            "No acceptable volumes found: 1 still needed (retention: tapecycle, the storage's policy), 3 not "
            "ours to write; label one more (headrace label), or keep fewer");
  EXPECT_EQ(choice.notes, (std::vector<std::string>{
                              "Slot 1 with label VOL-001 is not reusable",
                              "Slot 2 with label OTHER-1 do not match labelstr",
                              "Slot 3 with label VOL-007 is not in the tapelist",
                              "Slot 4 with label VOL-003 is named 'VOL-004': name and label must agree",
                              "all slots have been loaded",
                          }));
}

TEST_F(LabelingTest, TheScanBeginsAtTheCurrentSlot) {
  ASSERT_TRUE(slots_.changer().make_current("3"));
  EXPECT_EQ(choose().chosen->slot, "3");
}

TEST_F(LabelingTest, BlankForeignAndBrokenVolumesNeedTheirAutolabelClass) {
  spill(slots_ / "slot2/00001.host._disk.0", "dump without a label");
  spill(slots_ / "slot3/00000.JUNK", std::string(40000, 'x'));
  storage_.autolabel.empty = false;
  auto choice = choose();
  EXPECT_FALSE(choice.chosen);
  EXPECT_TRUE(noted(choice, "Slot 1 is empty, autolabel disabled"));
  EXPECT_TRUE(noted(choice, "Slot 2 is a non-amanda volume: 1 files but no label, autolabel disabled"));
  EXPECT_TRUE(noted(
      choice,
      "Slot 3 is a volume in error: Invalid amanda header while reading file header, autolabel disabled"));
  storage_.autolabel.volume_error = true;
  EXPECT_EQ(choose().chosen->slot, "3");
  storage_.autolabel.non_amanda = true;
  ASSERT_TRUE(slots_.changer().make_current("1"));
  EXPECT_EQ(choose().chosen->slot, "2");
  storage_.autolabel = {};
  choice = choose();
  EXPECT_TRUE(noted(choice, "Slot 1 is empty, autolabel not set"));
}

TEST_F(LabelingTest, ABrokenLabelOfAnActiveVolumeIsNotOverwritten) {
  volume(1, "VOL-001", 20);
  spill(slots_ / "slot1/00000.VOL-001", std::string(40000, 'x'));
  storage_.autolabel.volume_error = true;
  const auto choice = choose();
  ASSERT_TRUE(choice.chosen);
  EXPECT_EQ(choice.chosen->slot, "2");
  EXPECT_NE(choice.notes[0].find("named 'VOL-001', which is not reusable"), std::string::npos);
}

TEST_F(LabelingTest, AnotherConfigurationsVolumeIsTakenOnlyWhenToldAndUnlisted) {
  storage_.autolabel.empty = false;
  storage_.autolabel.other_config = true;
  volume(1, "OTHER-1", 1);
  volume(2, "OTHER-2", 1, false);
  const auto choice = choose();
  ASSERT_TRUE(choice.chosen);
  EXPECT_EQ(choice.chosen->slot, "2");
  EXPECT_EQ(choice.chosen->label, "VOL-001");
}

TEST_F(LabelingTest, AVolumeNewerThanTheTapelistIsLeftAlone) {
  volume(1, "VOL-001", 22, false);
  list(entry("VOL-001", 1));
  storage_.policy.retention_tapes = 0;
  storage_.autolabel.empty = false;
  const auto choice = choose();
  EXPECT_FALSE(choice.chosen);
  EXPECT_NE(choice.notes[0].find("later than the tapelist knows"), std::string::npos);
}

TEST_F(LabelingTest, AVolumeIsWrittenOnceARun) {
  storage_.policy.retention_tapes = 0;
  volume(1, "VOL-001", 20);
  rules_.written = {"VOL-001"};
  EXPECT_EQ(choose().chosen->slot, "2");
}

TEST_F(LabelingTest, ASlotInUseIsSkipped) {
  storage_.policy.retention_tapes = 0;
  volume(1, "VOL-001", 20);
  const auto held = slots_.changer().load("1");
  const auto choice = choose();
  EXPECT_EQ(choice.chosen->slot, "2");
  EXPECT_NE(choice.notes[0].find("in use by process"), std::string::npos);
  rules_.used_slots = {"1", "2"};
  EXPECT_EQ(choose().notes, std::vector<std::string>{"Slot 3 without label can be labeled"})
      << "that this run has it loaded is nothing to tell";
}

TEST_F(LabelingTest, RetentionGivesTheReasonOfEach) {
  storage_.policy.retention_days = 10;
  TapelistEntry no_reuse = entry("VOL-001", 22);
  no_reuse.reuse = false;
  TapelistEntry foreign = entry("VOL-002", 1);
  foreign.config = "weekly";
  TapelistEntry pool = entry("VOL-003", 1);
  pool.pool = "vault";
  for (const auto& e :
       {no_reuse, foreign, pool, entry("VOL-004", 21), entry("VOL-005", 20), entry("VOL-006", 18),
        entry("VOL-007", 3), entry("VOL-008", 2), entry("VOL-009", 0)}) {
    list(e);
  }
  rules_.kept = {{"VOL-007", "retention-full"}};
  EXPECT_EQ(kept(), (std::map<std::string, std::string>{{"VOL-001", "no-reuse"},
                                                        {"VOL-002", "other-config"},
                                                        {"VOL-003", "other-pool"},
                                                        {"VOL-004", "retention-tapes"},
                                                        {"VOL-005", "retention-tapes"},
                                                        {"VOL-006", "retention-days"},
                                                        {"VOL-007", "retention-full"},
                                                        {"VOL-008", "retention-no"},
                                                        {"VOL-009", "retention-no"}}));
}

TEST_F(LabelingTest, AnEntryThatChangedMeanwhileStopsTheLabel) {
  storage_.policy.retention_tapes = 0;
  volume(1, "VOL-001", 20);
  const auto choice = choose();
  list(entry("VOL-001", 22));
  const auto begun = begin_volume(*choice.chosen, rules_, kStamp);
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().kind(), base::ErrorKind::again);
  EXPECT_EQ(choice.chosen->volume->read_label().value().timestamp, stamp(20));
}

TEST_F(LabelingTest, ALabelThatCannotBeWrittenLeavesTheTapelistAsItWas) {
  storage_.policy.retention_tapes = 0;
  volume(1, "VOL-001", 20);
  const auto before = slurp(rules_.tapelist);
  const auto choice = choose();
  EXPECT_FALSE(begin_volume(*choice.chosen, rules_, "yesterday"));
  EXPECT_EQ(slurp(rules_.tapelist), before);
}

TEST_F(LabelingTest, NewLabelsAvoidThoseInTheTapelistAndInSlots) {
  volume(3, "VOL-002", 20, false);
  list(entry("VOL-001", 20));
  EXPECT_EQ(choose().chosen->label, "VOL-003");
}

}  // namespace
}  // namespace headrace::volume
