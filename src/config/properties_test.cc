// Properties that hold for any input, tried with a few hundred made from a fixed seed.
#include <gtest/gtest.h>

#include <random>

#include "base/quote.h"
#include "config/disklist.h"
#include "config/load.h"
#include "config/match.h"

namespace headrace::config {
namespace {

const std::filesystem::path kNowhere = "/nowhere/p";
constexpr int kTries = 300;

class Properties : public testing::Test {
 protected:
  size_t below(size_t limit) { return std::uniform_int_distribution<size_t>(0, limit - 1)(random_); }
  template <class T>
  const T& one_of(const std::vector<T>& list) {
    return list[below(list.size())];
  }
  // Bytes, of which many have a meaning in the grammar. No NUL: an octal escape of it is dropped.
  std::string bytes(size_t most) {
    constexpr std::string_view kOften = "\"\\\n\t {}#,:'/a1%!$";
    std::string text;
    for (size_t i = below(most + 1); i > 0; --i)
      text += below(2) == 0 ? one_of(std::vector<char>(kOften.begin(), kOften.end()))
                            : static_cast<char>(1 + below(255));
    return text;
  }

  std::mt19937 random_{20261123};
};

TEST_F(Properties, AQuotedStringIsReadBack) {
  for (int i = 0; i < kTries; ++i) {
    const std::string text = bytes(40);
    const auto loaded = load_server_text("org " + base::quote_always(text) + "\n", kNowhere);
    ASSERT_TRUE(loaded.ok()) << errors_text(loaded.diagnostics) << ": " << text;
    EXPECT_EQ(loaded->globals.org, text);
  }
}

TEST_F(Properties, ADiskNameIsReadBack) {
  const auto config = load_server_text("", kNowhere);
  ASSERT_TRUE(config.ok());
  for (int i = 0; i < kTries; ++i) {
    const std::string disk = "/" + bytes(20);
    const auto list =
        load_disklist_text(*config, "host " + base::quote_always(disk) + " no-compress\n", "disklist");
    ASSERT_TRUE(list.ok()) << errors_text(list.diagnostics) << ": " << disk;
    EXPECT_EQ((*list)[0].disk, disk);
  }
}

TEST_F(Properties, UnitsMultiply) {
  const std::vector<std::pair<std::string, int64_t>> units{{"", 1},
                                                           {"k", 1},
                                                           {"KB", 1},
                                                           {"m", 1024},
                                                           {"mbytes", 1024},
                                                           {"G", 1024 * 1024},
                                                           {"gig", 1024 * 1024},
                                                           {"t", 1024 * 1024 * 1024},
                                                           {"weeks", 7}};
  for (int i = 0; i < kTries; ++i) {
    const auto& [unit, factor] = one_of(units);
    const auto number = static_cast<int64_t>(1 + below(1000000));
    const auto loaded = load_server_text("bumpsize " + std::to_string(number) + unit, kNowhere);
    ASSERT_TRUE(loaded.ok());
    EXPECT_EQ(value_text(*loaded, "bumpsize"), std::to_string(number * factor)) << number << unit;
  }
}

TEST_F(Properties, KeywordsIgnoreCaseAndDashes) {
  const std::vector<std::string> names{"flush-threshold-dumped", "max-dle-by-volume", "taper-parallel-write"};
  for (int i = 0; i < kTries; ++i) {
    std::string written = one_of(names);
    for (char& c : written) {
      if (below(2) == 0) continue;
      c = c == '-' ? '_' : static_cast<char>(c - 'a' + 'A');
    }
    EXPECT_TRUE(load_server_text(written + " 3\n", kNowhere).ok()) << written;
  }
}

TEST_F(Properties, AnyTextIsReadOrRefused) {
  const std::vector<std::string> words{"define ",   "dumptype ", "storage ", "x ",           "{\n", "}\n",
                                       "exclude ",  "list ",     "\"a\" ",   "5 ",           "k ",  ", ",
                                       "property ", "index ",    "append ",  "holdingdisk ", "#",   "\n",
                                       "org ",      "no-hold\n", "script "};
  const auto config = load_server_text("", kNowhere);
  ASSERT_TRUE(config.ok());
  for (int i = 0; i < kTries; ++i) {
    std::string text;
    for (size_t n = below(40); n > 0; --n) text += below(10) == 0 ? bytes(4) : one_of(words);
    const auto loaded = load_server_text(text, kNowhere);
    EXPECT_EQ(loaded.ok(), !has_errors(loaded.diagnostics)) << text;
    const auto list = load_disklist_text(*config, text, "disklist");
    EXPECT_EQ(list.ok(), !has_errors(list.diagnostics)) << text;
  }
}

TEST_F(Properties, ANameMatchesItselfAndItsParts) {
  for (int i = 0; i < kTries; ++i) {
    std::string name;
    for (size_t words = 1 + below(4); words > 0; --words) {
      name += '/';
      for (size_t letters = 1 + below(5); letters > 0; --letters) name += static_cast<char>('a' + below(26));
    }
    EXPECT_TRUE(match_disk("=" + name, name));
    EXPECT_TRUE(match_disk("^" + name + "$", name));
    EXPECT_TRUE(match_disk(name.substr(name.rfind('/') + 1), name));
    EXPECT_TRUE(match_disk("**", name));
    EXPECT_FALSE(match_disk(name + "?", name));
  }
}

}  // namespace
}  // namespace headrace::config
