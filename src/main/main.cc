// The program's entry: hands argv to the command line and returns its exit status.
#include <malloc.h>

#include "cli/run.h"

// Buffers of flows are a megabyte and come and go by the hundred. They are mapped one by one, so that each
// goes back to the kernel with its dump; left to itself, glibc would raise this limit and keep them in the
// heap.
constexpr int kMapFromBytes = 128 << 10;

int main(int argc, char** argv) {
  mallopt(M_MMAP_THRESHOLD, kMapFromBytes);
  return headrace::cli::run(argc, argv);
}
