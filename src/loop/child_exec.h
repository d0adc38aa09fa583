// What happens between fork and exec, inside of process.cc: descriptors, signals, directory, exec. Everything
// here may only call what is safe after fork in a program with threads: no memory, no locks, no library.
#pragma once

#include <span>

#include "base/error.h"
#include "loop/process.h"

namespace headrace::loop {

// One descriptor of the child; `source` is ours, and is moved out of the way first.
struct ChildFdPlan {
  int source = -1;
  int number = -1;
};

struct ExecPlan {
  const char* program = nullptr;
  char* const* arguments = nullptr;    // ends with null
  char* const* environment = nullptr;  // ends with null
  const char* directory = nullptr;     // null: keep
  const ChildUser* user = nullptr;     // null: stay who we are
  std::span<ChildFdPlan> descriptors;  // ascending by number
  int report = -1;  // a close-on-exec pipe that gets an ExecFailure if exec does not happen
};

enum class ExecStage : int { descriptors, directory, user, program };
struct ExecFailure {
  ExecStage stage = ExecStage::program;
  int number = 0;  // errno
};

// In the child, with all signals blocked.
[[noreturn]] void exec_child(const ExecPlan& plan);

// How the end of a child is noticed; sigchld is for kernels without pidfd_open(2).
enum class ReapBy { pidfd, sigchld };
base::Result<std::unique_ptr<Process>> spawn_reaped_by(Loop& loop, const Spawn& what, ReapBy how,
                                                       std::chrono::milliseconds patience = kExecPatience);

}  // namespace headrace::loop
