#include "server/drive/level_reasons.h"

#include <gtest/gtest.h>

#include <set>

#include "config/load.h"

namespace headrace::drive {
namespace {

using plan::Why;

constexpr const char* kConfiguration = R"(
tapetype T
runtapes 2
reserve 30
maxdumpsize 100 mbytes
define tapetype T {
    length 10 mbytes
}
define dumptype usual {
    program "GNUTAR"
    dumpcycle 5 days
    strategy nofull
    bumpsize 3 mbytes
    bumpmult 1.5
    bumpdays 4
    maxpromoteday 2
    estimate calcsize server
}
define dumptype percent {
    usual
    bumppercent 20
}
)";

// "name=value, …" of the disk's parameters.
std::string parameters(Why why, const char* dumptype = "usual") {
  const auto config = config::load_server_text(kConfiguration, "/tmp/none");
  EXPECT_TRUE(config.ok()) << config::errors_text(config.diagnostics);
  const auto disks =
      config::load_disklist_text(*config, std::string("mill /home ") + dumptype + "\n", "disklist");
  EXPECT_TRUE(disks.ok()) << config::errors_text(disks.diagnostics);
  std::string text;
  for (const auto& it : parameters_of(why, disks->at(0), *config))
    text += (text.empty() ? "" : ", ") + it.name + "=" + it.value + " of " + it.of;
  return text;
}

TEST(LevelReasons, EachHasAWordOfItsOwn) {
  std::set<std::string_view> words;
  for (int why = 0; why <= static_cast<int>(Why::delayed); ++why) {
    const auto word = code_of(static_cast<Why>(why));
    EXPECT_FALSE(word.empty());
    EXPECT_TRUE(words.insert(word).second) << word;
  }
}

TEST(LevelReasons, NameWhatWouldChangeTheLevel) {
  EXPECT_EQ(parameters(Why::full_due), "dumpcycle=5 days of usual");
  EXPECT_EQ(parameters(Why::incremental), "dumpcycle=5 days of usual");
  EXPECT_EQ(parameters(Why::never_full), "strategy=nofull of usual");
  EXPECT_EQ(parameters(Why::on_failed), "strategy=nofull of usual");
  EXPECT_EQ(parameters(Why::not_bumped), "bumpsize=3072 KiB of usual, bumpmult=1.5 of usual");
  EXPECT_EQ(parameters(Why::bumped, "percent"), "bumppercent=20 of percent, bumpmult=1.5 of percent");
  EXPECT_EQ(parameters(Why::too_early), "bumpdays=4 of usual");
  EXPECT_EQ(parameters(Why::no_full_size), "estimate=calcsize server of usual");
  EXPECT_EQ(parameters(Why::promoted), "maxpromoteday=2 of usual");
  EXPECT_EQ(parameters(Why::delayed).substr(0, 11), "runtapes=2 ");
  EXPECT_NE(parameters(Why::delayed).find("length=10240 KiB of T, maxdumpsize=102400 KiB"),
            std::string::npos);
  EXPECT_NE(parameters(Why::no_volume).find("reserve=30"), std::string::npos);
}

TEST(LevelReasons, HaveNoneWhereNoParameterIsThere) {
  for (const Why why : {Why::first_full, Why::full_forced, Why::full_lost, Why::base_lost, Why::full_failed,
                        Why::base_failed, Why::level_1_forced})
    EXPECT_EQ(parameters(why), "");
}

}  // namespace
}  // namespace headrace::drive
