#include "config/match.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headrace::config {
namespace {

using testing::ElementsAre;

struct Case {
  std::string_view expression, name;
  bool fits;
};

// Rows marked by Amanda's manual and by trying Amanda 3.5.1 with the same names.
TEST(Match, Hosts) {
  for (const Case& c : {
           Case{"hosta", "hosta", true},
           Case{"hosta", "foo.hosta.org", true},
           Case{"hosta", "hoSTA.dOMAIna.ORG", true},
           Case{"hosta", "hostb", false},
           Case{"host", "host", true},
           Case{"host", "hosta", false},
           Case{"host?", "hosta", true},
           Case{"host?", "host", false},
           Case{"host?", "hostabc", false},
           Case{"ho*na", "hoina", true},
           Case{"ho*na", "ho.aina.org", false},
           Case{"ho**na", "hoina", true},
           Case{"ho**na", "ho.aina.org", true},
           Case{"^hosta", "hosta", true},
           Case{"^hosta", "foo.hosta.org", false},
           Case{"^hosta", "hosta.org", true},
           Case{"hosta$", "foo.hosta", true},
           Case{"hosta$", "hosta.org", false},
           Case{".hosta.", "foo.hosta.org", true},
           Case{"foo.hosta", "foo.hosta.org", true},
           Case{"foo.org", "foo.hosta.org", false},
           Case{"foo.*.org", "foo.hosta.org", true},
           Case{"host[ab]", "HOSTB", true},
           Case{"host[!a]", "hosta", false},
           Case{"host[a-c]", "hostb", true},
           Case{"*", "x", true},
           Case{"*", "a.b", true},
           Case{"?", "ab", false},
           Case{"=hosta", "hosta", true},
           Case{"=hosta", "HOSTA", false},
           Case{"=foo", "foo.hosta.org", false},
           Case{"/hosta", "hosta", false},
           Case{"host[a", "hosta", false},
           Case{"", "hosta", false},
       })
    EXPECT_EQ(match_host(c.expression, c.name), c.fits) << c.expression << " " << c.name;
}

TEST(Match, Disks) {
  for (const Case& c : {
           Case{"/", "/", true},
           Case{"/", "/usr", false},
           Case{"/usr", "/usr", true},
           Case{"/usr", "/usr/local", true},
           Case{"/usr", "/opt/usr", true},
           Case{"/usr", "/usrx", false},
           Case{"/usr$", "/usr/local", false},
           Case{"/usr$", "/opt/usr", true},
           Case{"^/usr", "/opt/usr", false},
           Case{"^usr", "/usr", false},
           Case{"usr/", "/usr", true},
           Case{"USR", "/usr", false},
           Case{"sda*", "/dev/sda12", true},
           Case{"opt", "opt", true},
           Case{"/opt", "opt", true},
           Case{"/*", "/usr", true},
           Case{"u?r", "/usr", true},
           Case{"u[!s]r", "/usr", false},
           Case{"**/local", "/usr/local", true},
           Case{"/a b", "/a b", true},
           Case{"a\\[b\\]", "a[b]", true},
           Case{"a[b]", "a[b]", false},
           Case{"=/usr", "/usr", true},
           Case{"=usr", "/usr", false},
           Case{"share", "\\\\win\\share", true},
           Case{"//win/share", "\\\\win\\share", true},
           Case{"\\\\\\\\win\\\\share", "\\\\win\\share", true},
           Case{"share*", "\\\\win\\share1", true},
           Case{"//win/share", "//win/share", true},
           Case{"C:", "C:/", true},
           Case{"*", "/", true},
       })
    EXPECT_EQ(match_disk(c.expression, c.name), c.fits) << c.expression << " " << c.name;
}

TEST(Match, Dates) {
  for (const Case& c : {
           Case{"20001212-14", "20001212", true},
           Case{"20001212-14", "20001214", true},
           Case{"20001212-14", "20001215", false},
           Case{"20001212-4", "20001213", true},
           Case{"20001212-24", "20001224235959", true},
           Case{"2000121", "20001210", true},
           Case{"2000121", "20001220", false},
           Case{"2", "20991231", true},
           Case{"2000-10", "20101231", true},
           Case{"2000-10", "20111231", false},
           Case{"200010$", "200010", true},
           Case{"200010$", "20001010", false},
           Case{"^2000", "20001010", true},
           Case{"=20001010", "20001010", true},
           Case{"*", "20001010", true},
           Case{"", "20001010", true},
           Case{"x", "20001010", false},
           Case{"2000-x", "20001010", false},
           Case{"20001010", "2000", false},
       })
    EXPECT_EQ(match_date(c.expression, c.name), c.fits) << c.expression << " " << c.name;
}

TEST(Match, Levels) {
  for (const Case& c : {Case{"1", "1", true}, Case{"1", "10", true}, Case{"3$", "3", true},
                        Case{"3$", "30", false}, Case{"3-5", "4", true}, Case{"3-5", "6", false},
                        Case{"3-5", "35", false}, Case{"8-10", "10", true}, Case{"*", "0", true}})
    EXPECT_EQ(match_level(c.expression, c.name), c.fits) << c.expression << " " << c.name;
}

TEST(Match, ExpressionsAreChecked) {
  EXPECT_TRUE(check_host_expression("a[b]"));
  EXPECT_FALSE(check_host_expression(""));
  EXPECT_FALSE(check_host_expression("a["));
  EXPECT_TRUE(check_host_expression("=a["));
  EXPECT_FALSE(check_disk_expression(std::string(5000, 'x')));
  for (const auto* good : {"", "*", "2010", "^2010$", "20101110-15", "=20101110"})
    EXPECT_TRUE(check_date_expression(good));
  for (const auto* bad : {"x", "2010-", "-", "2010-1x"}) EXPECT_FALSE(check_date_expression(bad)) << bad;
}

TEST(Match, ManyStarsTakeLittleTime) {
  std::string expression;
  for (int i = 0; i < 100; ++i) expression += "**a";
  EXPECT_FALSE(match_disk(expression + "b", "/" + std::string(1000, 'a')));
}

TEST(DumpSpec, EmptyPartsMatchAnything) {
  EXPECT_TRUE(DumpSpec{}.matches("h", "/d", "20201010101010", 3));
  EXPECT_TRUE((DumpSpec{"h", "/d", "2020", "3"}.matches("h", "/d", "20201010101010", 3)));
  EXPECT_FALSE((DumpSpec{"h", "/d", "2020", "2"}.matches("h", "/d", "20201010101010", 3)));
}

class Select : public testing::Test {
 protected:
  static std::vector<DiskListEntry> dles() {
    std::vector<DiskListEntry> list;
    for (const auto& [host, disk] : std::vector<std::pair<std::string, std::string>>{
             {"alpha", "/"}, {"alpha", "/usr"}, {"beta.org", "/usr"}, {"beta.org", "/var"}, {"/var", "/q"}}) {
      DiskListEntry entry;
      entry.host = host;
      entry.disk = disk;
      list.push_back(std::move(entry));
    }
    return list;
  }
  static std::string run(const std::vector<std::string>& words, bool exact = false) {
    const auto list = dles();
    const auto chosen = select(list, words, exact);
    if (!chosen) return chosen.error().what();
    std::string text;
    for (const size_t index : *chosen) text += std::to_string(index);
    return text;
  }
};

TEST_F(Select, ByWords) {
  EXPECT_EQ(run({}), "01234");
  EXPECT_EQ(run({"alpha"}), "01");
  EXPECT_EQ(run({"alpha", "/usr"}), "1");
  EXPECT_EQ(run({"alpha", "/usr", "/"}), "01");
  EXPECT_EQ(run({"alpha", "beta"}), "0123");
  EXPECT_EQ(run({"alpha", "/usr", "beta", "=/usr"}), "12");
  EXPECT_EQ(run({"*", "usr"}), "12");
  EXPECT_EQ(run({"beta", "beta", "usr"}), "23");
  EXPECT_EQ(run({"beta.org", "/usr"}, true), "2");
}

TEST_F(Select, RefusesWhatMatchesNothing) {
  EXPECT_EQ(run({"gamma"}), "'gamma' matches neither a host nor a disk");
  EXPECT_EQ(run({"alpha", "/nope"}), "'/nope' matches neither a host nor a disk of host 'alpha'");
  EXPECT_EQ(run({"beta"}, true), "'beta' matches neither a host nor a disk");
  EXPECT_EQ(run({"beta", "/var"}), "'/var' could be a host or a disk of host 'beta': say which, with ^ or =");
  EXPECT_EQ(run({"["}), "'[' has a '[' without ']'");
}

}  // namespace
}  // namespace headrace::config
