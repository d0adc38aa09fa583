// Child processes with pipes, without blocking and without a shell. A Process is owned by whoever spawned it;
// destroying a running one kills it (SIGKILL) and reaps it in the background.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "loop/loop.h"

namespace headrace::loop {

struct ExitStatus {
  bool signalled = false;
  int code = 0;  // exit code, or signal number when signalled
  bool good() const { return !signalled && code == 0; }
  std::string text() const;  // "exited with code 2", "was ended by signal 9"
};

// How a descriptor of the child is connected.
struct ChildFd {
  int number = 0;  // in the child
  enum class From { pipe_to_parent, pipe_from_parent, null_device, given } from = From::null_device;
  int given = -1;  // borrowed, for From::given
};

struct Spawn {
  std::string program;                    // absolute path
  std::vector<std::string> arguments;     // argv, including argv[0]
  std::vector<std::string> environment;   // "NAME=value"; nothing is inherited
  std::string directory;                  // empty: keep
  std::vector<ChildFd> descriptors;       // all others are closed in the child
};

class Process {
 public:
  virtual ~Process() = default;
  virtual pid_t pid() const = 0;
  // Our end of the child's descriptor `number`, nonblocking; ownership passes to the caller, once.
  virtual base::Fd take_pipe(int number) = 0;
  // Called once, when the child has ended and been reaped (at once if it already has).
  virtual void on_exit(std::move_only_function<void(ExitStatus)> callback) = 0;
  virtual void signal(int number) = 0;
};

base::Result<std::unique_ptr<Process>> spawn(Loop& loop, const Spawn& what);

}  // namespace headrace::loop
