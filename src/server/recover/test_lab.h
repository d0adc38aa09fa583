// A copy of what real Amanda left after two runs (tests/data/compat/lab), its configuration pointing into the
// copy; gone with the object. Tests only.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "base/file.h"

namespace headrace::recover {

class LabCopy {
 public:
  // `data` is HEADRACE_TEST_DATA, which sources alone know.
  explicit LabCopy(const std::filesystem::path& data) {
    char name[] = "/tmp/headrace-lab-copy-XXXXXX";
    root_ = ::mkdtemp(name);
    using std::filesystem::copy_options;
    std::filesystem::copy(data / "compat/lab", root_,
                          copy_options::recursive | copy_options::overwrite_existing);
    configuration_ = base::read_file(root_ / "amanda.conf").value_or("");
    for (const auto& [from, to] :
         {std::pair<std::string, std::string>{"/tmp/lab/med/state/", root_.string() + "/"},
          {"/tmp/lab/med/", root_.string() + "/"},
          {"/etc/amanda/lab/", root_.string() + "/"}}) {
      for (size_t at; (at = configuration_.find(from)) != std::string::npos;)
        configuration_.replace(at, from.size(), to);
    }
    std::ofstream(root_ / "amanda.conf") << configuration_;
  }
  ~LabCopy() { std::filesystem::remove_all(root_); }
  LabCopy(const LabCopy&) = delete;
  LabCopy& operator=(const LabCopy&) = delete;

  const std::filesystem::path& root() const { return root_; }
  const std::string& configuration() const { return configuration_; }

 private:
  std::filesystem::path root_;
  std::string configuration_;
};

}  // namespace headrace::recover
