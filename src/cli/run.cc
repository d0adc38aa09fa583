#include "cli/run.h"

#include <cstdio>

namespace headrace::cli {

int run(int, char**) {
  std::fputs("headrace " HEADRACE_VERSION "\n", stdout);
  return 0;
}

}  // namespace headrace::cli
