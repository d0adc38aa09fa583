// Orders in a real command file, beside those of others.
#include "server/drive/flush_orders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>

#include "base/file.h"
#include "loop/test_loop.h"
#include "sim/sim_loop.h"

namespace headrace::drive {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

class FlushOrdersTest : public testing::Test {
 protected:
  FlushOrdersTest() {
    std::string pattern = "/tmp/headrace-orders-XXXXXX";
    root = ::mkdtemp(pattern.data());
    config.name = "daily";
    config.globals.command_file = root / "command_file";
    std::ofstream(root / "log") << "INFO\n";
    for (const char* name : {"one", "two"}) std::ofstream(root / name) << "image";
    orders.emplace(*loop, config, root / "log", [this](std::string what) { troubles.push_back(what); });
  }
  ~FlushOrdersTest() override { fs::remove_all(root); }

  void write(const std::string& lines) {
    std::ofstream(config.globals.command_file) << "VERSION 1\nID 9\n" << lines;
  }
  std::string order(int id, const std::string& file, const std::string& storage,
                    const std::string& of = "daily", int pid = 0) const {
    return std::to_string(id) + " FLUSH " + of + " " + (root / file).native() + " h /d 20261126143655 0 " +
           storage + " WORKING:" + std::to_string(pid) + " TODO\n";
  }
  void settle() {
    orders->let_go([this] { loop->stop(); });
    loop->run();
  }
  // "CONFIG FILE STORAGE PID" of each.
  std::vector<std::string> all() const {
    std::vector<std::string> out;
    const auto commands = compat::load_command_file(config.globals.command_file);
    EXPECT_TRUE(commands);
    for (const auto& it : commands->commands())
      out.push_back(it.config + " " + fs::path(it.holding_file).filename().native() + " " + it.dst_storage +
                    " " + std::to_string(it.working_pid));
    return out;
  }

  fs::path root;
  config::ServerConfig config;
  std::unique_ptr<loop::Loop> loop = loop::make_loop(2);
  std::unique_ptr<loop::Timer> deadline = loop::end_test_after_deadline(*loop);
  std::vector<std::string> troubles;
  std::optional<FlushOrders> orders;
  const journal::ImageId image{"h", "/d", "20261126143655", 1};
};

TEST_F(FlushOrdersTest, WhatIsStillMissingStaysOrdered) {
  orders->load();
  EXPECT_FALSE(orders->storages_of(root / "one").has_value());
  orders->add(image, root / "one", {"a", "b"});
  orders->add(image, root / "two", {"a"});
  orders->done(root / "one", "a");
  orders->done(root / "two", "a");
  orders->done(root / "two", "nowhere");
  settle();
  EXPECT_THAT(all(), ElementsAre("daily one b 0"));
  EXPECT_THAT(troubles, IsEmpty());
}

TEST_F(FlushOrdersTest, NothingIsWrittenWhereNothingIsOrdered) {
  orders->load();
  orders->done(root / "one", "a");
  settle();
  EXPECT_FALSE(fs::exists(config.globals.command_file));
}

TEST_F(FlushOrdersTest, OrdersOfOthersAreKept) {
  write(order(1, "one", "b", "daily", 4711) + order(2, "one", "c", "weekly", 12) +
        "3 COPY daily a near A-1 1 \" ;A-1\" 0 h /d 20261126143655 0 b WORKING:0 TODO\n");
  orders->load();
  EXPECT_THAT(*orders->storages_of(root / "one"), ElementsAre("b"));
  orders->add(image, root / "one", {"b"});
  settle();
  EXPECT_THAT(all(), ElementsAre("daily one b 0", "weekly one c 12", "daily  b 0")) << "no order twice";
  EXPECT_THAT(troubles, IsEmpty());
}

TEST_F(FlushOrdersTest, OrdersForFilesThatAreGoneAreDropped) {
  write(order(1, "gone", "a") + order(2, "one", "a") + order(3, "gone", "a", "weekly"));
  orders->load();
  EXPECT_THAT(all(), ElementsAre("daily one a 0", "weekly gone a 0"));
}

TEST_F(FlushOrdersTest, WithoutTheLogNoOrderGoes) {
  write(order(1, "one", "a"));
  orders->load();
  fs::remove(root / "log");
  orders->done(root / "one", "a");
  settle();
  EXPECT_THAT(all(), ElementsAre("daily one a 0"));
  EXPECT_EQ(troubles.size(), 1U);
}

TEST_F(FlushOrdersTest, AFileThatMakesNoSenseIsToldAndLeftAlone) {
  std::ofstream(config.globals.command_file) << "nonsense\n";
  orders->load();
  orders->add(image, root / "one", {"a"});
  settle();
  EXPECT_GE(troubles.size(), 1U);
  EXPECT_EQ(base::read_file(config.globals.command_file).value(), "nonsense\n");
}

TEST_F(FlushOrdersTest, OrdersOfAnImageAreThereAllAtOnce) {
  // Or a run that dies in between leaves an image of which the next one thinks that it is for one storage.
  sim::SimLoop virtual_time;
  FlushOrders at_once(virtual_time, config, root / "log", [](const std::string& what) { FAIL() << what; });
  at_once.load();
  at_once.add(image, root / "one", {"a", "b", "c"});
  ASSERT_TRUE(virtual_time.run_until([this] { return !all().empty(); }));
  EXPECT_EQ(all().size(), 3U);
}

TEST_F(FlushOrdersTest, OrdersForAHoldingDiskThatIsNotThereStay) {
  fs::create_directories(root / "holding/20260101220000");
  write(order(1, "holding/20260101220000/gone", "b") + order(2, "away/20260101220000/image", "b"));
  orders->load();
  EXPECT_THAT(orders->storages_of(root / "away/20260101220000/image"), Optional(ElementsAre("b")));
  settle();
  ASSERT_EQ(all().size(), 1U);
  EXPECT_NE(all().front().find(" image b 0"), std::string::npos);
}

}  // namespace
}  // namespace headrace::drive
