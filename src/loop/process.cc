#include "loop/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <map>
#include <optional>
#include <utility>

#include "loop/child_exec.h"
#include "loop/signals.h"

namespace headrace::loop {
namespace {

using base::Fd;

// For a child whose status somebody else took.
constexpr int kUnknownExit = 127;

// The child until it is reaped. Shared by its Process and, once that is destroyed while the child runs, by
// the callback that waits for the child's end: a circle that reaping or the loop's destruction opens.
struct Child : std::enable_shared_from_this<Child> {
  Child(Loop& on, pid_t id) : loop(on), pid(id) {}

  base::Result<> observe(ReapBy how) {
    if (how == ReapBy::pidfd) pidfd = Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (pidfd) {
      auto made = loop.watch(pidfd.get());
      if (!made) return std::unexpected(std::move(made.error()));
      watch = std::move(*made);
    }
    arm(weak_from_this());
    return {};
  }

  // `reference`: weak or, to keep the child until then, strong.
  template <class Reference>
  void arm(Reference reference) {
    auto check = [reference = std::move(reference)] {
      if (const auto self = std::weak_ptr<Child>(reference).lock(); self && !self->try_reap()) {
        if (self->watch != nullptr) self->arm(reference);
      }
    };
    if (watch != nullptr) {
      watch->await_readable(std::move(check));
    } else {
      child_signals = on_signals(loop, {SIGCHLD}, [check](int) { check(); });
      loop.post(std::move(check));  // the signal may have come before we listened for it
    }
  }

  bool try_reap() {
    if (reaped) return true;
    int status = 0;
    const pid_t got = waitpid(pid, &status, WNOHANG);
    if (got == 0) return false;
    // An error means that somebody else reaped it, which nothing of ours does; the child is gone either way.
    reaped = true;
    if (got == pid && WIFSIGNALED(status)) {
      exit = {.signalled = true, .code = WTERMSIG(status)};
    } else {
      exit = {.signalled = false, .code = got == pid ? WEXITSTATUS(status) : kUnknownExit};
    }
    if (exec_report) exit.never_ran = late_failure(exec_report.get());
    exec_report.reset();
    child_signals.reset();
    patience.reset();
    watch.reset();
    pidfd.reset();
    if (auto call = std::exchange(on_exit, nullptr)) call(exit);
    return true;
  }

  void forget() {
    if (reaped) return;
    on_exit = nullptr;
    if (grace > base::Duration::zero()) {
      patience = loop.after(grace, [this] { kill(pid, SIGKILL); });  // ours; gone once reaped
    } else {
      kill(pid, SIGKILL);
    }
    arm(shared_from_this());
  }

  Loop& loop;
  const pid_t pid;
  Fd exec_report;  // of a child that was not waited for
  std::move_only_function<std::string(int report)> late_failure;
  Fd pidfd;
  std::unique_ptr<Watch> watch;
  std::unique_ptr<Signals> child_signals;
  base::Duration grace{};           // before it is killed when nobody wants it any more
  std::unique_ptr<Timer> patience;  // until then
  bool reaped = false;
  ExitStatus exit = {};
  std::move_only_function<void(ExitStatus)> on_exit;
};

class RealProcess : public Process {
 public:
  RealProcess(std::shared_ptr<Child> child, std::map<int, Fd> pipes)
      : child_(std::move(child)), pipes_(std::move(pipes)) {}
  ~RealProcess() override { child_->forget(); }

  pid_t pid() const override { return child_->pid; }
  Fd take_pipe(int number) override {
    const auto found = pipes_.find(number);
    return found == pipes_.end() ? Fd() : std::move(found->second);
  }
  void on_exit(std::move_only_function<void(ExitStatus)> callback) override {
    child_->on_exit = std::move(callback);
    if (!child_->reaped) return;
    child_->loop.post([weak = std::weak_ptr(child_)] {
      const auto child = weak.lock();
      if (child == nullptr) return;
      if (auto call = std::exchange(child->on_exit, nullptr)) call(child->exit);
    });
  }
  void signal(int number) override {
    if (!child_->reaped) kill(child_->pid, number);
  }
  void let_end(base::Duration grace) override { child_->grace = grace; }

 private:
  std::shared_ptr<Child> child_;
  std::map<int, Fd> pipes_;
};

// Everything the child needs, made before fork.
class Launch {
 public:
  explicit Launch(const Spawn& what) : what_(what) {
    for (const std::string& text : what.arguments) arguments_.push_back(const_cast<char*>(text.c_str()));
    for (const std::string& text : what.environment) environment_.push_back(const_cast<char*>(text.c_str()));
    arguments_.push_back(nullptr);
    environment_.push_back(nullptr);
  }

  base::Result<> connect_descriptors() {
    null_ = Fd(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null_) return base::fail_errno("open /dev/null");
    for (int number = 0; number <= 2; ++number) sources_[number] = null_.get();
    for (const ChildFd& one : what_.descriptors) {
      HEADRACE_CHECK(one.number >= 0);
      auto source = source_of(one);
      if (!source) return std::unexpected(std::move(source.error()));
      sources_[one.number] = *source;
    }
    for (const auto& [number, source] : sources_) plan_.push_back({.source = source, .number = number});
    return {};
  }

  // The child's pid; -1 and errno when fork fails.
  pid_t fork_child(int report) {
    const ExecPlan plan{.program = what_.program.c_str(),
                        .arguments = arguments_.data(),
                        .environment = environment_.data(),
                        .directory = what_.directory.empty() ? nullptr : what_.directory.c_str(),
                        .user = what_.user ? &*what_.user : nullptr,
                        .descriptors = plan_,
                        .report = report};
    // Our own handlers must not run in the child: they would write to pipes it shares with us.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = fork();
    if (pid == 0) exec_child(plan);
    const int number = errno;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = number;
    return pid;
  }

  void close_child_ends() {
    child_ends_.clear();
    null_.reset();
  }
  std::map<int, Fd> take_pipes() { return std::move(pipes_); }

 private:
  base::Result<int> source_of(const ChildFd& one) {
    switch (one.from) {
      case ChildFd::From::null_device:
        return null_.get();
      case ChildFd::From::given:
        return one.given;
      case ChildFd::From::pipe_to_parent:
      case ChildFd::From::pipe_from_parent:
        break;
    }
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC) != 0) return base::fail_errno("make a pipe for " + what_.program);
    const bool child_writes = one.from == ChildFd::From::pipe_to_parent;
    Fd ours(ends[child_writes ? 0 : 1]);
    child_ends_.emplace_back(ends[child_writes ? 1 : 0]);
    if (fcntl(ours.get(), F_SETFL, O_NONBLOCK) != 0) return base::fail_errno("make a pipe nonblocking");
    // Refused beyond the user's quota of pipe pages; smaller pipes are only slower.
    if (what_.pipe_bytes > 0 && one.number != STDERR_FILENO)
      fcntl(ours.get(), F_SETPIPE_SZ, what_.pipe_bytes);
    pipes_[one.number] = std::move(ours);
    return child_ends_.back().get();
  }

  const Spawn& what_;
  std::vector<char*> arguments_;
  std::vector<char*> environment_;
  Fd null_;
  std::vector<Fd> child_ends_;
  std::map<int, Fd> pipes_;     // our ends, by the child's number
  std::map<int, int> sources_;  // by the child's number
  std::vector<ChildFdPlan> plan_;
};

// False: nobody knows yet.
bool is_decided(int report, std::chrono::milliseconds patience) {
  pollfd waited{report, POLLIN, 0};
  while (true) {
    const int ready = poll(&waited, 1, static_cast<int>(patience.count()));
    if (ready >= 0 || errno != EINTR) return ready != 0;
  }
}

// Empty when the program runs.
std::optional<ExecFailure> exec_failure(int report) {
  ExecFailure failure;
  while (true) {
    const ssize_t got = read(report, &failure, sizeof failure);
    if (got == sizeof failure) return failure;
    if (got >= 0 || errno != EINTR) return {};
  }
}

base::Error describe(const Spawn& what, const ExecFailure& failure) {
  switch (failure.stage) {
    case ExecStage::descriptors:
      return base::Error::system("connect the descriptors of " + what.program, failure.number);
    case ExecStage::directory:
      return base::Error::system("enter directory " + what.directory + " for " + what.program,
                                 failure.number);
    case ExecStage::user:
      return base::Error::system("run " + what.program + " as user " + std::to_string(what.user->uid),
                                 failure.number);
    case ExecStage::program:
      break;
  }
  return base::Error::system("run " + what.program, failure.number);
}

}  // namespace

std::string ExitStatus::text() const {
  if (!never_ran.empty()) return never_ran;
  return (signalled ? "was ended by signal " : "exited with code ") + std::to_string(code);
}

base::Result<std::unique_ptr<Process>> spawn(Loop& loop, const Spawn& what) {
  return spawn_reaped_by(loop, what, ReapBy::pidfd);
}

base::Result<std::unique_ptr<Process>> spawn_reaped_by(Loop& loop, const Spawn& what, ReapBy how,
                                                       std::chrono::milliseconds patience) {
  Launch launch(what);
  if (auto connected = launch.connect_descriptors(); !connected) {
    return std::unexpected(std::move(connected.error()));
  }
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0) return base::fail_errno("make a pipe for " + what.program);
  Fd report(ends[0]);
  Fd child_report(ends[1]);
  const pid_t pid = launch.fork_child(child_report.get());
  if (pid < 0) return base::fail_errno("fork for " + what.program);
  child_report.reset();
  launch.close_child_ends();
  const bool decided = is_decided(report.get(), patience);
  if (const auto failure = decided ? exec_failure(report.get()) : std::nullopt) {
    waitpid(pid, nullptr, 0);  // it is exiting already
    return std::unexpected(describe(what, *failure));
  }
  auto child = std::make_shared<Child>(loop, pid);
  if (!decided) {
    child->exec_report = std::move(report);
    // By then it has ended, and what it had to say is there.
    child->late_failure = [named = Spawn{.program = what.program,
                                         .arguments = {},
                                         .directory = what.directory,
                                         .user = what.user}](int late) {
      const auto failure = exec_failure(late);
      return failure ? describe(named, *failure).what() : std::string();
    };
  }
  if (auto observed = child->observe(how); !observed) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);  // just started and killed: at once
    return std::unexpected(std::move(observed.error()).during("starting " + what.program));
  }
  return std::make_unique<RealProcess>(std::move(child), launch.take_pipes());
}

}  // namespace headrace::loop
