#include "cli/label_command.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;

class LabelCommand : public ::testing::Test {
 protected:
  LabelCommand() {
    std::string pattern = ::testing::TempDir() + "label.XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    for (const auto* slot : {"slot1", "slot2", "slot3"}) fs::create_directories(root_ / "vtapes" / slot);
    std::ofstream(root_ / "amanda.conf") << R"(
org "lab"
labelstr "^VOL-[0-9]+$"
autolabel "VOL-%%%" empty
tapelist "tapelist"
tpchanger "vtapes"
tapetype VTAPE
define changer vtapes {
    tpchanger "chg-disk:)" << (root_ / "vtapes").native()
                                         << R"("
}
define tapetype VTAPE {
    length 100 mbytes
}
)";
  }
  ~LabelCommand() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }

  int label(const std::string& name, std::optional<int> slot, bool force = false, bool json = false) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int status = label_volume(root_.native(), name, slot, force, json);
    std::fflush(stdout);
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return status;
  }
  std::string tapelist() const {
    std::ifstream in(root_ / "tapelist");
    return {std::istreambuf_iterator<char>(in), {}};
  }
  bool lists(const std::string& name) const { return tapelist().find(entry(name)) != std::string::npos; }
  std::string entry(const std::string& name) const {
    const std::string config = root_.filename();
    return "0 " + name + " reuse BLOCKSIZE:32 POOL:" + config + " STORAGE:" + config + " CONFIG:" + config +
           "\n";
  }

  fs::path root_;
  std::string out_, err_;
};

TEST_F(LabelCommand, LabelsAnEmptyVolume) {
  ASSERT_EQ(label("VOL-007", 2), 0) << err_;
  EXPECT_EQ(
      out_,
      "Reading label...\nFound an empty tape.\nWriting label 'VOL-007'...\nChecking label...\nSuccess!\n");
  EXPECT_EQ(err_, "");
  EXPECT_EQ(tapelist(), entry("VOL-007"));
  EXPECT_TRUE(fs::exists(root_ / "vtapes/slot2/00000.VOL-007"));
}

TEST_F(LabelCommand, TakesTheNextLabelAndTheCurrentSlot) {
  ASSERT_EQ(label("VOL-001", 2), 0);
  ASSERT_EQ(label("", std::nullopt), 0) << err_;
  EXPECT_TRUE(fs::exists(root_ / "vtapes/slot1/00000.VOL-002"));
  EXPECT_TRUE(lists("VOL-001") && lists("VOL-002"));
}

TEST_F(LabelCommand, RefusesWhatMightLoseData) {
  ASSERT_EQ(label("VOL-001", 1), 0);
  EXPECT_EQ(label("VOL-001", 2), 1);
  EXPECT_EQ(err_, "Label 'VOL-001' already on a volume\n");
  EXPECT_EQ(label("VOL-002", 1), 1);
  EXPECT_EQ(err_,
            "Volume with label 'VOL-001' is active and contains data from this configuration.\nNot writing "
            "label.\n");
  EXPECT_EQ(label("BAD", 2), 1);
  EXPECT_EQ(err_, "Label 'BAD' doesn't match the labelstr '^VOL-[0-9]+$'.\n");
  EXPECT_EQ(label("VOL-003", 9), 1);
  EXPECT_EQ(err_, "Slot 9 not found\n");
  std::ofstream(root_ / "vtapes/slot3/00000.JUNK") << "junk";
  EXPECT_EQ(label("VOL-003", 3), 1);
  EXPECT_EQ(
      err_,
      "Error reading volume label: Invalid amanda header while reading file header.\nNot writing label.\n");
  EXPECT_EQ(tapelist(), entry("VOL-001"));
}

TEST_F(LabelCommand, ForceOverwritesButNeverWritesAForeignLabel) {
  ASSERT_EQ(label("VOL-001", 1), 0);
  ASSERT_EQ(label("VOL-002", 1, true), 0) << err_;
  EXPECT_NE(out_.find("Consider using 'amrmtape' to remove volume 'VOL-001' from the catalog."),
            std::string::npos);
  EXPECT_TRUE(lists("VOL-001") && lists("VOL-002"));
  EXPECT_EQ(label("BAD", 1, true), 1);
  EXPECT_TRUE(fs::exists(root_ / "vtapes/slot1/00000.VOL-002"));
}

TEST_F(LabelCommand, SaysItInJson) {
  ASSERT_EQ(label("VOL-001", 1, false, true), 0);
  auto facts = nlohmann::json::parse(out_);
  EXPECT_EQ(facts["label"], "VOL-001");
  EXPECT_EQ(facts["slot"], "1");
  EXPECT_EQ(facts["found"]["state"], "blank");
  EXPECT_EQ(facts["written"], true);
  ASSERT_EQ(label("VOL-002", 1, false, true), 1);
  facts = nlohmann::json::parse(out_);
  EXPECT_EQ(facts["written"], false);
  EXPECT_EQ(facts["found"]["label"], "VOL-001");
  EXPECT_NE(facts["error"].get<std::string>().find("active"), std::string::npos);
}

TEST_F(LabelCommand, AConfigurationThatIsNotThereIsAnError) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(label_volume((root_ / "nowhere").native(), "", {}, false, false), 1);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("nowhere"), std::string::npos);
}

TEST_F(LabelCommand, AnotherStorageHasItsOwnLabels) {
  fs::create_directories(root_ / "far" / "slot1");
  std::ofstream(root_ / "amanda.conf", std::ios::app)
      << "define storage far {\n tpchanger \"chg-disk:" << (root_ / "far").native()
      << "\"\n tapepool \"away\"\n labelstr \"^FAR-\"\n}\n";
  const auto in_far = [this](const std::string& storage) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int status = label_volume(root_.native(), "FAR-1", 1, false, false, {}, storage);
    std::fflush(stdout);
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return status;
  };
  EXPECT_EQ(in_far(""), 1) << "the first one's labelstr does not match";
  EXPECT_EQ(in_far("nowhere"), 1);
  EXPECT_NE(err_.find("no storage 'nowhere'"), std::string::npos) << err_;
  EXPECT_EQ(in_far("FAR"), 0) << err_;
  EXPECT_NE(tapelist().find("FAR-1 reuse BLOCKSIZE:32 POOL:away STORAGE:far"), std::string::npos)
      << tapelist();
}

}  // namespace
}  // namespace headrace::cli
