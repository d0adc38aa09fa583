// Vtapes against what Amanda wrote, and their files against what may happen to them.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "base/crc32c.h"
#include "compat/tapelist.h"
#include "server/volume/test_support.h"
#include "server/volume/vtape/perl_value.h"
#include "server/volume/vtape/state_file.h"

namespace headrace::vtape {
namespace {

namespace fs = std::filesystem;
using volume::LabelState;
using volume::SlotDirectory;
using volume::TempDir;

const fs::path kMedia = fs::path(HEADRACE_TEST_DATA) / "media";

TEST(PerlValue, ReadsWhatAmandaWrote) {
  for (const auto* name : {"chg-disk-state-idle", "chg-disk-state-loaded"}) {
    const auto value = parse_perl_assignment(volume::slurp(kMedia / name));
    ASSERT_TRUE(value) << value.error().what();
    const ChangerState state(*value);
    EXPECT_EQ(state.current({"lab", "lab", "vtapes"}), "slot1");
    EXPECT_EQ(state.current({"lab", "lab", "others"}), "slot1");
  }
  const auto loaded = parse_perl_assignment(volume::slurp(kMedia / "chg-disk-state-loaded"));
  EXPECT_EQ(loaded->find("drives")->find("drive0")->find("pid")->scalar(), "30224");
}

TEST(PerlValue, ComesBackAsWritten) {
  PerlValue value = PerlValue::hash();
  value.at("plain") = PerlValue::text("slot1");
  value.at("it's") = PerlValue::text("back\\slash ' and \" $x @y");
  value.at("number") = PerlValue::number(-17);
  value.at("none");
  value.at("deep").at("er").at("est") = PerlValue::text("");
  const auto again = parse_perl_assignment(perl_assignment("STATE", value));
  ASSERT_TRUE(again) << again.error().what();
  EXPECT_EQ(*again, value);
}

TEST(PerlValue, TakesOtherSpellingsOfTheSame) {
  const auto value = parse_perl_assignment("$VAR1={a=>\"x\\n\",b=>['1',2,undef,],};");
  ASSERT_TRUE(value) << value.error().what();
  EXPECT_EQ(value->find("a")->scalar(), "x\n");
  EXPECT_TRUE(parse_perl_assignment(perl_assignment("X", *value)) == *value);
}

TEST(PerlValue, RefusesAllElse) {
  std::string deep = "$S = ";
  for (int i = 0; i < 100000; ++i) deep += "{'a' => ";
  for (const std::string& bad :
       {std::string(), std::string("$STATE"), std::string("$STATE = {"), std::string("$STATE = {};x"),
        std::string("$STATE = {'a' => system('rm')};"), std::string("$S = {'a' => \"$x\"};"),
        std::string("$S = {'a' 'b'};"), std::string("$S = 'open"), std::string("$S = -;"),
        std::string("$S = {a => `id`};"), std::string("$S = \"\\x41\";"), deep}) {
    EXPECT_EQ(parse_perl_assignment(bad).error().kind(), base::ErrorKind::corrupt) << bad.substr(0, 60);
  }
}

TEST(PerlValue, PerlReadsIt) {
  if (::access("/usr/bin/perl", X_OK) != 0) GTEST_SKIP() << "no perl here";
  const TempDir dir;
  PerlValue value = PerlValue::hash();
  value.at("current") = PerlValue::text("it's a \\ slot");
  value.at("drives").at("drive0").at("pid") = PerlValue::number(42);
  volume::spill(dir / "state", perl_assignment("STATE", value));
  const std::string command = "/usr/bin/perl -e 'our $STATE; do \"" + (dir / "state").native() +
                              "\" or die; print $STATE->{current}, \"|\", $STATE->{drives}{drive0}{pid} + 1'";
  FILE* pipe = ::popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  char buffer[200] = {};
  const size_t n = std::fread(buffer, 1, sizeof buffer - 1, pipe);
  EXPECT_EQ(::pclose(pipe), 0);
  EXPECT_EQ(std::string(buffer, n), "it's a \\ slot|43");
}

TEST(StateFile, KeepsWhatItDoesNotKnowAndDropsTheDead) {
  const TempDir dir;
  const fs::path file = dir / "state";
  fs::copy_file(kMedia / "chg-disk-state-loaded", file);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  int status = 0;
  ::waitpid(child, &status, 0);
  std::string text = volume::slurp(file);
  text.replace(text.find("30224"), 5, std::to_string(child));
  text.replace(text.find("'meta' => undef"), 15, "'extra' => ['kept']");
  volume::spill(file, text);
  ASSERT_TRUE(with_state(file, std::chrono::milliseconds(10), [](ChangerState& state) -> base::Result<> {
    EXPECT_TRUE(state.loaded().empty());
    state.add_loaded("slot2", ::getpid());
    state.set_current({"weekly", "weekly", "vtapes"}, "slot2");
    return {};
  }));
  const auto value = parse_perl_assignment(volume::slurp(file)).value();
  EXPECT_NE(value.find("extra"), nullptr);
  EXPECT_EQ(value.find("drives")->members().size(), 1U);
  const ChangerState state(value);
  EXPECT_EQ(state.current({"lab", "lab", "vtapes"}), "slot1");
  EXPECT_EQ(state.current({"weekly", "weekly", "vtapes"}), "slot2");
}

TEST(StateFile, ABrokenOneIsEmptyAndMadeAnew) {
  const TempDir dir;
  volume::spill(dir / "state", "rubbish; system('x');");
  ASSERT_TRUE(
      with_state(dir / "state", std::chrono::milliseconds(10), [](ChangerState& state) -> base::Result<> {
        EXPECT_TRUE(state.value().members().empty());
        state.set_current({"c", "s", "v"}, "slot1");
        return {};
      }));
  EXPECT_TRUE(parse_perl_assignment(volume::slurp(dir / "state")));
}

TEST(StateFile, ALockOfAnotherProcessIsWaitedForInVain) {
  const TempDir dir;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    // Holds the lock until killed.
    [[maybe_unused]] const auto held =
        with_state(dir / "state", std::chrono::milliseconds(10), [&](ChangerState&) -> base::Result<> {
          [[maybe_unused]] const auto told = ::write(ready[1], "x", 1);
          ::pause();
          return {};
        });
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const auto outcome = with_state(dir / "state", std::chrono::milliseconds(5),
                                  [](ChangerState&) -> base::Result<> { return {}; });
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind(), base::ErrorKind::again);
  EXPECT_NE(outcome.error().what().find(std::to_string(child)), std::string::npos);
}

// A copy of Amanda's vtape, as a changer.
class RealVtape : public ::testing::Test {
 protected:
  RealVtape() {
    fs::copy(kMedia / "vtape", dir_.path(), fs::copy_options::recursive);
    VtapeSettings settings;
    settings.root = dir_.path();
    settings.user = {"lab", "lab", "vtapes"};
    changer_ = std::make_unique<VtapeChanger>(settings);
  }
  TempDir dir_;
  std::unique_ptr<VtapeChanger> changer_;
};

TEST_F(RealVtape, IsReadWithItsLabelAndFiles) {
  const auto slots = changer_->inventory().value();
  ASSERT_EQ(slots.size(), 1U);
  EXPECT_EQ(slots[0].label, "VTAPE-001");
  const auto tapelist = compat::load_tapelist(kMedia / "tapelist").value();
  auto volume = changer_->load("1").value();
  const auto label = volume->read_label().value();
  EXPECT_EQ(label.timestamp, tapelist.find("VTAPE-001")->timestamp);
  const auto files = volume->list_files().value();
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[1].name, part_file_name(2, volume->open_file(2).value()->header()));
}

TEST_F(RealVtape, ItsDumpsComeBackWhole) {
  volume::LoopRunner run;
  const auto lane = run.loop().new_lane();
  std::map<int, base::CrcAndSize> expected;
  {
    auto volume = changer_->load("1").value();
    for (const int file : {1, 2}) expected[file] = volume->open_file(file).value()->header().server_crc;
  }
  for (const auto& [file, disk] : {std::pair(1, "/tmp/lab/med/data2"), std::pair(2, "/tmp/lab/med/data1")}) {
    volume::PartReader reader(run.loop(), lane, volume::volumes_of(*changer_),
                              {"client.lab", disk, 0, "20261123013159"}, {{"VTAPE-001", file, 1}});
    const auto text = run.read(reader);
    ASSERT_TRUE(text) << text.error().what();
    base::Crc32c crc;
    crc.add(base::as_bytes(*text));
    EXPECT_EQ(crc.value(), expected[file]);
  }
}

TEST(VtapeVolume, NamesFilesAsAmandaDoes) {
  EXPECT_EQ(file_number("00012.host._disk.0"), 12);
  EXPECT_EQ(file_number("00000-lock"), 0);
  EXPECT_EQ(file_number("123456.x"), 123456);
  for (const auto* other : {"data", "12", "x.1", "", ".1", "99999999999999999999.x"}) {
    EXPECT_FALSE(file_number(other)) << other;
  }
  EXPECT_EQ(part_file_name(3, volume::sample_header("/srv/d:\\ 3")), "00003.client.lab._srv_d__ 3.1");
  EXPECT_EQ(part_file_name(1, volume::sample_header("/" + std::string(250, 'x'))).size(), 255U);
}

TEST(VtapeVolume, LeavesOtherFilesAlone) {
  SlotDirectory slots(1);
  volume::spill(slots / "slot1/README", "mine");
  auto volume = slots.labelled("1", "VOL-1");
  EXPECT_EQ(volume::slurp(slots / "slot1/README"), "mine");
  EXPECT_TRUE(volume->list_files().value().empty());
}

TEST(VtapeVolume, GapsInTheNumbersAreKept) {
  SlotDirectory slots(1);
  auto volume = slots.labelled("1", "VOL-1");
  fs::copy_file(kMedia / "vtape/slot1/00001.client.lab._tmp_lab_med_data2.0",
                slots / "slot1/00007.client.lab._x.0");
  EXPECT_EQ(volume->start_file(volume::sample_header()).value(), 8);
}

TEST(VtapeVolume, AHeaderThatIsNoneIsCorrupt) {
  SlotDirectory slots(1);
  auto volume = slots.labelled("1", "VOL-1");
  volume::spill(slots / "slot1/00001.x", std::string(40000, '\0'));
  volume::spill(slots / "slot1/00002.x", "short");
  volume::spill(slots / "slot1/00003.x", "AMANDA: TAPEEND DATE 20261123013208\n\f\n");
  for (const int number : {1, 2, 3}) {
    EXPECT_EQ(volume->open_file(number).error().kind(), base::ErrorKind::corrupt) << number;
  }
}

TEST(VtapeVolume, WarnsWhenTheFileSystemIsNearlyFull) {
  SlotDirectory slots(1);
  slots.labelled("1", "VOL-1").reset();
  uint64_t free_bytes = 1 << 20;
  VtapeVolume volume("1", slots / "slot1", {}, nullptr, [&](const fs::path&) { return free_bytes; });
  ASSERT_TRUE(volume.start_file(volume::sample_header()));
  const std::string text(65536, 'x');
  const iovec piece = volume::piece_of(text);
  EXPECT_EQ(volume.write({&piece, 1}).value().medium, volume::Medium::good);
  free_bytes = 4 * 32768;
  EXPECT_EQ(volume.write({&piece, 1}).value().medium, volume::Medium::early_warning);
  ASSERT_TRUE(volume.finish_file(false));
  EXPECT_EQ(volume.start_file(volume::sample_header()).error().kind(), base::ErrorKind::full);
}

// A limit on the size of files is what a full disk looks like, without needing one.
TEST(VtapeVolume, NoSpaceInRealityIsTheEndOfTheVolume) {
  SlotDirectory slots(1);
  auto volume = slots.labelled("1", "VOL-1");
  ASSERT_TRUE(volume->start_file(volume::sample_header()));
  const std::string text = volume::noise(200000);
  const iovec piece = volume::piece_of(text);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto action = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{100000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto first = volume->write({&piece, 1});
  const auto second = volume->write({&piece, 1});
  EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, action);
  EXPECT_EQ(first.value().bytes, 100000U - 32768U);
  EXPECT_EQ(second.value().medium, volume::Medium::full);
  ASSERT_TRUE(volume->finish_file(false));
  EXPECT_EQ(volume->list_files().value()[0].bytes, 100000U);
  EXPECT_EQ(volume->start_file(volume::sample_header()).error().kind(), base::ErrorKind::full);
}

TEST(VtapeVolume, AVolumeOfAnotherLengthEndsFourBlocksEarly) {
  VtapeLimits limits;
  limits.length_bytes = 4 << 20;
  SlotDirectory slots(1, limits);
  auto volume = slots.labelled("1", "VOL-1");
  ASSERT_TRUE(volume->start_file(volume::sample_header()));
  const std::string text(8 << 20, 'x');
  uint64_t total = 0;
  volume::Medium medium = volume::Medium::good;
  while (medium == volume::Medium::good) {
    const iovec piece{const_cast<char*>(text.data()), text.size() - total};
    const auto written = volume->write({&piece, 1}).value();
    total += written.bytes;
    medium = written.medium;
  }
  // Label, header and data: the block that is begun with less than five left is the last.
  EXPECT_EQ(total + 2 * 32768, limits.length_bytes - 3 * 32768);
}

TEST(VtapeChanger, SlotsAreSortedByNumberAndOthersIgnored) {
  const TempDir dir;
  for (const auto* name : {"slot10", "slot2", "slot1", "slotX", "slot", "other"})
    fs::create_directories(dir / name);
  volume::spill(dir / "slot3", "a file");
  VtapeSettings settings;
  settings.root = dir.path();
  VtapeChanger changer(settings);
  std::string names;
  for (const auto& slot : changer.inventory().value()) names += slot.name + " ";
  EXPECT_EQ(names, "1 2 10 ");
  EXPECT_TRUE(fs::exists(dir / "state"));
}

TEST(VtapeChanger, WithoutSlotsItSaysWhatToDo) {
  const TempDir dir;
  VtapeSettings settings;
  settings.root = dir.path();
  EXPECT_NE(VtapeChanger(settings).inventory().error().what().find("slot1"), std::string::npos);
  settings.root = dir / "nowhere";
  EXPECT_NE(VtapeChanger(settings).inventory().error().what().find("nowhere"), std::string::npos);
}

TEST(VtapeChanger, TheCurrentSlotFollowsTheLinkWhenNothingIsRemembered) {
  SlotDirectory slots(3);
  fs::create_directory_symlink("slot2", slots / "data");
  EXPECT_EQ(slots.changer().current_slot().value(), "2");
  ASSERT_TRUE(slots.changer().make_current("3"));
  EXPECT_EQ(fs::read_symlink(slots / "data"), "slot3");
  fs::remove(slots / "slot3");
  auto settings = slots.settings();
  settings.make_slots = 0;
  EXPECT_EQ(VtapeChanger(settings).current_slot().value(), "1");
}

TEST(VtapeChanger, UsesTheDataDirectoryOfASlotWhenThereIsOne) {
  SlotDirectory slots(1);
  fs::create_directory(slots / "slot1/data");
  slots.labelled("1", "VOL-1").reset();
  EXPECT_TRUE(fs::exists(slots / "slot1/data/00000.VOL-1"));
}

}  // namespace
}  // namespace headrace::vtape
