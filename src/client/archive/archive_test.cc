#include <gtest/gtest.h>

#include "client/archive/amgtar_options.h"
#include "client/archive/name_listing.h"
#include "client/archive/tar_command.h"

namespace headrace::client {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += out.empty() ? word : " " + word;
  return out;
}

TarCommand command(compat::TarDialect dialect) {
  TarCommand out;
  out.dialect = dialect;
  out.tar = "/bin/tar";
  out.directory = "/home/a b";
  out.snapshot = "/lists/h_home_0.new";
  return out;
}

TEST(TarCommandLine, GnutarIsAmandas) {
  TarCommand c = command(compat::TarDialect::gnutar);
  EXPECT_EQ(joined(tar_arguments(c)),
            "/bin/tar --create --file - --directory /home/a b --one-file-system --listed-incremental "
            "/lists/h_home_0.new --sparse --ignore-failed-read --totals .");
  c.name_members = true;
  c.exclude_from = "/tmp/x";
  c.files_from = "/tmp/i";
  EXPECT_EQ(joined(tar_arguments(c)),
            "/bin/tar --create --verbose --file - --directory /home/a b --one-file-system "
            "--listed-incremental /lists/h_home_0.new --sparse --ignore-failed-read --totals "
            "--exclude-from /tmp/x --files-from /tmp/i");
}

TEST(TarCommandLine, GnutarEstimate) {
  TarCommand c = command(compat::TarDialect::gnutar);
  c.estimate = true;
  EXPECT_EQ(joined(tar_arguments(c)),
            "/bin/tar --create --file /dev/null --numeric-owner --directory /home/a b --one-file-system "
            "--listed-incremental /lists/h_home_0.new --sparse --ignore-failed-read --totals .");
}

TEST(TarCommandLine, AmgtarIsAmandas) {
  TarCommand c = command(compat::TarDialect::amgtar);
  c.name_members = true;
  EXPECT_EQ(joined(tar_arguments(c)),
            "/bin/tar --create --verbose --block-number --file - --directory /home/a b --one-file-system "
            "--atime-preserve=system --listed-incremental /lists/h_home_0.new --sparse "
            "--ignore-failed-read --totals .");
  c.options = {.one_file_system = false,
               .sparse = false,
               .atime_preserve = false,
               .check_device = false,
               .unquote = false,
               .acls = true,
               .selinux = true,
               .xattrs = true,
               .blocking_factor = "32",
               .extra = {"--mode=644", "x y"}};
  c.name_members = false;
  EXPECT_EQ(joined(tar_arguments(c)),
            "/bin/tar --create --file - --no-unquote --directory /home/a b --no-check-device --acls "
            "--selinux --xattrs --listed-incremental /lists/h_home_0.new --blocking-factor 32 "
            "--ignore-failed-read --totals --mode=644 x y .");
}

TEST(TarLaunch, GoesThroughRuntarOnlyWhereThatHelps) {
  const TarCommand gnutar = command(compat::TarDialect::gnutar);
  const TarCommand amgtar = command(compat::TarDialect::amgtar);
  struct {
    const TarCommand& command;
    TarRights rights;
    const char* program;
    const char* first;
  } cases[] = {
      {gnutar, {.root = true, .runtar_usable = true}, "/bin/tar", "/bin/tar --create"},
      {gnutar, {.root = false, .runtar_usable = false}, "/bin/tar", "/bin/tar --create"},
      {gnutar, {.root = false, .runtar_usable = true}, "/x/runtar", "/x/runtar lab /bin/tar --create"},
      {amgtar, {.root = false, .runtar_usable = true}, "/bin/tar", "/bin/tar --create"},
  };
  for (const auto& c : cases) {
    const TarLaunch launch = tar_launch(c.command, "/x/runtar", c.rights, "lab");
    EXPECT_EQ(launch.program, c.program);
    EXPECT_TRUE(joined(launch.arguments).starts_with(c.first)) << joined(launch.arguments);
  }
  EXPECT_EQ(tar_launch(gnutar, "/x/runtar", {.runtar_usable = true}, "").arguments[1], "NOCONFIG");
}

wire::Property property(std::string name, std::vector<std::string> values) {
  wire::Property out;
  out.name = std::move(name);
  out.values = std::move(values);
  return out;
}

TEST(AmgtarOptions, ReadsEveryProperty) {
  auto options = parse_amgtar_options(
      {property("gnutar-path", {"/usr/bin/tar"}), property("GNUTAR_LISTDIR", {"/lists"}),
       property("directory", {"/real"}), property("one-file-system", {"no"}), property("sparse", {"NO"}),
       property("atime-preserve", {"off"}), property("check-device", {"n"}), property("no-unquote", {"yes"}),
       property("acls", {"1"}), property("selinux", {"true"}), property("xattrs", {"Y"}),
       property("tar-blocksize", {"32"}), property("command-options", {"--mode=644", "-h"}),
       property("normal", {"a", "b"}), property("ignore", {"c"}), property("strange", {"d"}),
       property("exit-handling", {"1=BAD 2=good"}), property("verbose", {"yes"}), property("dar", {"yes"})});
  ASSERT_TRUE(options.has_value()) << options.error().what();
  EXPECT_EQ(options->tar, (TarOptions{.one_file_system = false,
                                      .sparse = false,
                                      .atime_preserve = false,
                                      .check_device = false,
                                      .unquote = false,
                                      .acls = true,
                                      .selinux = true,
                                      .xattrs = true,
                                      .blocking_factor = "32",
                                      .extra = {"--mode=644", "-h"}}));
  EXPECT_EQ(options->gnutar_path, "/usr/bin/tar");
  EXPECT_EQ(options->gnutar_list_dir, "/lists");
  EXPECT_EQ(options->directory, "/real");
  EXPECT_EQ(options->patterns.normal, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(options->verbose);
  EXPECT_TRUE(options->is_good_exit(0));
  EXPECT_FALSE(options->is_good_exit(1));
  EXPECT_TRUE(options->is_good_exit(2));
  EXPECT_FALSE(options->is_good_exit(3));
}

TEST(AmgtarOptions, RefusesWithAmgtarsWords) {
  struct {
    wire::Property property;
    const char* text;
  } cases[] = {
      {property("foo-bar", {"x"}), "amgtar: unrecognized option '--foo-bar'"},
      {property("sparse", {"maybe"}), "bad SPARSE property value 'maybe'"},
      {property("tar-blocksize", {"-1"}), "bad TAR-BLOCKSIZE property value '-1'"},
      {property("tar-blocksize", {"3x"}), "bad TAR-BLOCKSIZE property value '3x'"},
      {property("exit-handling", {"1=FINE"}),
       "bad EXIT-HANDLING property value '1=FINE': expected CODE=GOOD or CODE=BAD"},
      {property("exit-handling", {"GOOD"}),
       "bad EXIT-HANDLING property value 'GOOD': expected CODE=GOOD or CODE=BAD"},
      {property("command-options", {"--to-command=/bin/cat"}),
       "amgtar: Invalid '--to-command=/bin/cat' COMMAND-OPTIONS"},
  };
  for (const auto& c : cases) {
    auto options = parse_amgtar_options({c.property});
    ASSERT_FALSE(options.has_value()) << c.text;
    EXPECT_EQ(options.error().what(), c.text);
  }
}

TEST(AmgtarOptions, NoSpellingOfAnOptionThatRunsACommandPasses) {
  for (const char* option : {"--to-command=x",
                             "--to-c=x",
                             "--rsh-command",
                             "--rsh=x",
                             "--info-script=x",
                             "--info-s=x",
                             "--new-volume-script=x",
                             "--new-v=x",
                             "--rmt-command=x",
                             "--rmt=x",
                             "--use-compress-program=x",
                             "--use=x",
                             "--checkpoint-action=exec=x",
                             "--checkpoint-a=exec=x",
                             "-I",
                             "-Ix",
                             "-F",
                             "-Fx",
                             "-vI",
                             "-hF"}) {
    EXPECT_TRUE(is_rejected_tar_option(option)) << option;
  }
  for (const char* option : {"--mode=644", "--numeric-owner", "--totals", "-h", "-TI", "-XF", "name", "./I",
                             "--exclude=FI", "--", "-", ""}) {
    EXPECT_FALSE(is_rejected_tar_option(option)) << option;
  }
}

struct Listing {
  std::string index, state;
  std::vector<std::string> messages;
};

Listing listed(std::string_view text, size_t piece, NameListing::Wanted wanted) {
  Listing out;
  NameListing listing(wanted, [&out](std::string_view line) { out.messages.emplace_back(line); });
  while (!text.empty()) {
    listing.feed(base::as_bytes(text.substr(0, piece)), out.index, out.state);
    text.remove_prefix(std::min(piece, text.size()));
  }
  listing.end(out.index, out.state);
  return out;
}

TEST(NameListing, AnySplitGivesTheSame) {
  constexpr std::string_view kText =
      "tar: .: Directory is new\nblock 0: ./\nblock 2: ./block 3: .\n./plain\nblock x: ./no\nblock 7 ./no\n"
      "tar: ./sock: socket ignored\nblock 12: ./\\303\\244 x\nTotal bytes written: 10";
  for (size_t piece : {size_t{1}, size_t{2}, size_t{7}, kText.size()}) {
    const Listing out = listed(kText, piece, {.index = true, .state = true});
    EXPECT_EQ(out.index, "/\n/block 3: .\n/plain\n/\\303\\244 x\n");
    EXPECT_EQ(out.state, "0 /\n2 /block 3: .\n12 /\\303\\244 x\n");
    EXPECT_EQ(out.messages,
              (std::vector<std::string>{"tar: .: Directory is new", "block x: ./no", "block 7 ./no",
                                        "tar: ./sock: socket ignored", "Total bytes written: 10"}));
  }
}

TEST(NameListing, WritesOnlyWhatIsWanted) {
  const Listing out = listed("block 0: ./a\n", 100, {.index = true, .state = false});
  EXPECT_EQ(out.index, "/a\n");
  EXPECT_EQ(out.state, "");
}

TEST(NameListing, KeepsNoMoreThanALine) {
  const std::string endless(1U << 20U, 'x');
  const Listing out = listed(endless, 4096, {});
  ASSERT_EQ(out.messages.size(), 1U);
  EXPECT_LE(out.messages[0].size(), 65536U);
}

}  // namespace
}  // namespace headrace::client
