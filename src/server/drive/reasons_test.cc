#include "server/drive/reasons.h"

#include <set>

#include "server/drive/night_bench.h"

namespace headrace::drive {
namespace {

using journal::Parameter;

class Reasons : public NightBench {};

TEST_F(Reasons, EveryReasonHasAWordOfItsOwn) {
  std::set<std::string_view> waits;
  constexpr int kWaits = static_cast<int>(Wait::thresholds) + 1;
  for (int i = 0; i < kWaits; ++i) waits.insert(code_of(static_cast<Wait>(i)));
  EXPECT_EQ(waits.size(), static_cast<size_t>(kWaits));
  EXPECT_FALSE(waits.contains(""));
  std::set<std::string_view> losses;
  constexpr int kLosses = static_cast<int>(Lost::reserved) + 1;
  for (int i = 0; i < kLosses; ++i) losses.insert(code_of(static_cast<Lost>(i)));
  EXPECT_EQ(losses.size(), static_cast<size_t>(kLosses));
  EXPECT_FALSE(losses.contains(""));
  EXPECT_EQ(code_of(Way::no_room), "no-room");
  EXPECT_EQ(code_of(Left::thresholds), "thresholds");
}

TEST_F(Reasons, ParametersAreThoseInForce) {
  globals = "holdingdisk never-used {\n directory \"/nowhere\"\n use 5 mbytes\n}";
  const auto config = configuration();
  const auto disks = entries(config);
  const InForce now{
      .config = config, .disk = &disks[0], .in_parallel = 7, .max_dumps = 2, .interface_kps = 500};
  EXPECT_EQ(parameters_of(Wait::parallel_limit, now), (std::vector<Parameter>{{"inparallel", "7", ""}}));
  EXPECT_EQ(parameters_of(Wait::host_limit, now), (std::vector<Parameter>{{"maxdumps", "2", kHost}}));
  EXPECT_EQ(parameters_of(Wait::network, now), (std::vector<Parameter>{{"netusage", "500", "default"}}));
  EXPECT_EQ(parameters_of(Wait::holding_space, now).size(), 2U);
  EXPECT_EQ(parameters_of(Wait::volume_writer, now)[0].name, "taper-parallel-write");
  EXPECT_EQ(parameters_of(Lost::failed, config, &disks[0]),
            (std::vector<Parameter>{{"retry-dump", "2", std::string(kHost) + ":" + disks[0].disk}}));
  EXPECT_EQ(parameters_of(Lost::reserved, config, &disks[0]), (std::vector<Parameter>{{"reserve", "0", ""}}));
  EXPECT_EQ(parameters_of(Lost::no_room, config, &disks[0]).size(), 2U);
  EXPECT_TRUE(parameters_of(Wait::resume, now).empty()) << "a command, no parameter";
  EXPECT_EQ(parameters_of(Left::thresholds, config.first_storage())[0].name, "taperflush");
  EXPECT_TRUE(parameters_of(Left::unreadable, config.first_storage()).empty());
}

}  // namespace
}  // namespace headrace::drive
