// Child processes with pipes, without blocking and without a shell. A Process is owned by whoever spawned it;
// destroying a running one kills it (SIGKILL) and reaps it in the background.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "loop/loop.h"

namespace headrace::loop {

struct ExitStatus {
  bool signalled = false;
  int code = 0;                // exit code, or signal number when signalled
  std::string never_ran = {};  // why the program could not be run, when that came out too late for spawn()
  bool good() const { return !signalled && code == 0; }
  std::string text() const;  // "exited with code 2", "was ended by signal 9", or never_ran
};

// How a descriptor of the child is connected.
struct ChildFd {
  int number = 0;  // in the child
  enum class From { pipe_to_parent, pipe_from_parent, null_device, given } from = From::null_device;
  int given = -1;  // borrowed, for From::given
};

// Another user to run as. Only root may ask for one; no supplementary groups are kept.
struct ChildUser {
  uid_t uid = 0;
  gid_t gid = 0;
};

struct Spawn {
  std::string program;                        // absolute path
  std::vector<std::string> arguments;         // argv, including argv[0]
  std::vector<std::string> environment = {};  // "NAME=value"; nothing is inherited
  std::string directory = {};                 // empty: keep
  // All others are closed in the child, except that 0, 1 and 2 are the null device when not named here: a
  // program must not find a file it opens itself in their place.
  std::vector<ChildFd> descriptors = {};
  std::optional<ChildUser> user = {};  // unset: as we are
  // Asks the kernel for pipes of this size, but for standard error, which carries few bytes; 0 or refused:
  // its default.
  int pipe_bytes = 0;
};

class Process {
 public:
  virtual ~Process() = default;
  virtual pid_t pid() const = 0;
  // Our end of the child's descriptor `number`, nonblocking; ownership passes to the caller, once.
  // Empty when there is no such pipe or it was taken. Pipes not taken are closed with the Process.
  virtual base::Fd take_pipe(int number) = 0;
  // Called once, when the child has ended and been reaped (soon if it already has), never from inside.
  virtual void on_exit(std::move_only_function<void(ExitStatus)> callback) = 0;
  // Does nothing once the child was reaped.
  virtual void signal(int number) = 0;
  // Destroying it from now on gives the child this long to end by itself before it is killed.
  virtual void let_end(base::Duration grace) = 0;
};

// Returns once the program runs or could not be run; the error then names it. From a slow file system that
// may take long, and the loop does not wait for it beyond kExecPatience: then the exit status tells. The
// child has default signal actions, an empty signal mask, and stays in our process group.
inline constexpr std::chrono::milliseconds kExecPatience{50};
base::Result<std::unique_ptr<Process>> spawn(Loop& loop, const Spawn& what);

}  // namespace headrace::loop
