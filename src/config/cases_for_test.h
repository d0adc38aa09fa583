// For tests only: reads tests/data/config/*cases.txt, whose lines are a verdict, a tab and an escaped text.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"

namespace headrace::config {

inline std::vector<std::pair<std::string, std::string>> read_cases(const std::filesystem::path& path) {
  std::vector<std::pair<std::string, std::string>> cases;
  const std::string text = base::read_file(path).value_or("");
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    const size_t tab = line.find('\t');
    if (line.starts_with('#') || tab == std::string::npos) continue;
    std::string plain;
    for (size_t i = tab + 1; i < line.size(); ++i) {
      if (line[i] != '\\' || i + 1 == line.size()) {
        plain += line[i];
        continue;
      }
      const char c = line[++i];
      plain += c == 'n' ? '\n' : c == 't' ? '\t' : c;
    }
    cases.emplace_back(line.substr(0, tab), plain);
  }
  return cases;
}

}  // namespace headrace::config
