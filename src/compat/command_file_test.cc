#include "compat/command_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/file.h"

namespace headrace::compat {
namespace {

namespace fs = std::filesystem;

TEST(CommandFile, RealFileComesBackAsItWas) {
  const std::string text =
      base::read_file(fs::path(HEADRACE_TEST_DATA) / "compat/lab/command_file").value_or("");
  const auto file = CommandFile::parse(text, "command_file");
  ASSERT_TRUE(file) << file.error().what();
  ASSERT_EQ(file->commands().size(), 2U);
  EXPECT_EQ(file->commands()[0].id, 4);
  EXPECT_EQ(file->commands()[0].host, "client.lab");
  EXPECT_EQ(file->commands()[0].dst_storage, "lab");
  EXPECT_EQ(file->text(), text);
}

TEST(CommandFile, EveryKindAndState) {
  const std::string text =
      "VERSION 1\n"
      "ID 9\n"
      "4 FLUSH CONF \"/hold/a b\" h \"/a b\" 20261123013208 0 st WORKING:12 TODO\n"
      "7 COPY CONF src pool L-1 3 \";L-1;L-2\" 1795397528 h / 20261123013208 1 dst WORKING:0 PARTIAL:77\n"
      "8 RESTORE CONF src pool L-1 3 1795397528 h / 20261123013208 1 WORKING:0 TODO\n"
      "9 RESTORE CONF src pool /hold/x 0 1795397528 h / 20261123013208 1 WORKING:3 DONE\n";
  auto file = CommandFile::parse(text, "f");
  ASSERT_TRUE(file) << file.error().what();
  EXPECT_EQ(file->text(), text);
  EXPECT_EQ(file->commands()[1].partial_bytes, 77);
  EXPECT_EQ(file->commands()[1].src_labels, ";L-1;L-2");
  EXPECT_EQ(file->commands()[3].holding_file, "/hold/x");
  file->commands()[3].working_pid = 0;
  EXPECT_EQ(file->text().find("\n9 "), std::string::npos) << "done, and nobody works on it";
  EXPECT_EQ(file->add({}), 10);
}

TEST(CommandFile, MistakesAreNamedByLine) {
  for (const char* bad : {"ID x\n", "ID 99999999999999999999\n", "4 EAT CONF\n", "4 FLUSH CONF /h h d\n",
                          "x FLUSH C f h d 1 0 s WORKING:0 TODO\n", "4 FLUSH C f h d 1 0 s WORKING:0 LATER\n",
                          "4 FLUSH C f h d 1 0 s WORKING: TODO\n"}) {
    const auto file = CommandFile::parse(bad, "f");
    ASSERT_FALSE(file) << bad;
    EXPECT_NE(file.error().what().find("f:1: "), std::string::npos);
  }
}

TEST(CommandFile, UpdateInPlaceShrinksToo) {
  char name[] = "/tmp/headrace-command-XXXXXX";
  const fs::path directory = ::mkdtemp(name);
  const fs::path path = directory / "command_file";
  EXPECT_TRUE(load_command_file(path)->commands().empty());
  const auto grown = update_command_file(path, [](CommandFile& file) -> base::Result<> {
    file.add({.id = 0,
              .kind = CommandKind::flush,
              .config = "c",
              .holding_file = "/h/1",
              .host = "h",
              .disk = "/",
              .timestamp = "20261123013208",
              .dst_storage = "s"});
    return {};
  });
  ASSERT_TRUE(grown) << grown.error().what();
  EXPECT_EQ(base::read_file(path).value(),
            "VERSION 1\nID 1\n1 FLUSH c /h/1 h / 20261123013208 0 s WORKING:0 TODO\n");
  ASSERT_TRUE(update_command_file(path, [](CommandFile& file) -> base::Result<> {
    file.commands()[0].done = true;
    return {};
  }));
  EXPECT_EQ(base::read_file(path).value(), "VERSION 1\nID 1\n");
  fs::remove_all(directory);
}

}  // namespace
}  // namespace headrace::compat
