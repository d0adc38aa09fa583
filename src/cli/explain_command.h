// `headrace explain`: why tonight's plan does with a disk what it does: what there is of it, when a full is
// due, the sizes that decide, the rule that decided, and the parameters that would change it. Writes nothing.
// Exit status: 0 explained, 1 usage or configuration.
#pragma once

#include <string>
#include <vector>

namespace headrace::cli {

struct ExplainOptions {
  std::string config;
  std::vector<std::string> disks;  // HOST [DISK…] …
  std::vector<std::string> overrides;
  std::string at;
  bool clients = true;
  bool json = false;
};

int explain(const ExplainOptions& options);

}  // namespace headrace::cli
