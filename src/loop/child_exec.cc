#include "loop/child_exec.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace headrace::loop {
namespace {

[[noreturn]] void give_up(int report, ExecStage stage) {
  const ExecFailure failure{.stage = stage, .number = errno};
  // Smaller than PIPE_BUF, so whole or not at all; if it fails the parent sees a child that exits with 127.
  [[maybe_unused]] const ssize_t ignored = write(report, &failure, sizeof failure);
  _exit(127);
}

// Marks first..last close-on-exec.
void close_on_exec(unsigned first, unsigned last) {
  if (first > last || syscall(SYS_close_range, first, last, CLOSE_RANGE_CLOEXEC) == 0) return;
  // Linux before 5.11.
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const auto end = static_cast<unsigned>(std::min<rlim_t>(limit.rlim_cur, 1U << 20U));
  for (unsigned fd = first; fd <= last && fd < end; ++fd) fcntl(static_cast<int>(fd), F_SETFD, FD_CLOEXEC);
}

// Returns where failures are reported from then on.
int arrange_descriptors(const ExecPlan& plan) {
  const int above = plan.descriptors.empty() ? 3 : plan.descriptors.back().number + 1;
  // Sources first go above all wanted numbers, lest one be overwritten before its turn.
  const int report = fcntl(plan.report, F_DUPFD_CLOEXEC, above);
  if (report < 0) give_up(plan.report, ExecStage::descriptors);
  for (ChildFdPlan& one : plan.descriptors) {
    one.source = fcntl(one.source, F_DUPFD_CLOEXEC, above);
    if (one.source < 0) give_up(report, ExecStage::descriptors);
  }
  unsigned next = 0;
  for (const ChildFdPlan& one : plan.descriptors) {
    const auto number = static_cast<unsigned>(one.number);
    if (number > 0) close_on_exec(next, number - 1);
    if (dup2(one.source, one.number) < 0) give_up(report, ExecStage::descriptors);
    next = number + 1;
  }
  close_on_exec(next, ~0U);
  return report;
}

}  // namespace

void exec_child(const ExecPlan& plan) {
  // Also what is ignored (SIGPIPE), which exec would keep. Numbers that cannot be set refuse, harmlessly.
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  const int report = arrange_descriptors(plan);
  if (plan.directory != nullptr && chdir(plan.directory) != 0) give_up(report, ExecStage::directory);
  // The bare calls: glibc's would tell all threads, of which this process has no more than one.
  if (plan.user != nullptr && (syscall(SYS_setgroups, 0, nullptr) != 0 ||
                               syscall(SYS_setresgid, plan.user->gid, plan.user->gid, plan.user->gid) != 0 ||
                               syscall(SYS_setresuid, plan.user->uid, plan.user->uid, plan.user->uid) != 0)) {
    give_up(report, ExecStage::user);
  }
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
  execve(plan.program, plan.arguments, plan.environment);
  give_up(report, ExecStage::program);
}

}  // namespace headrace::loop
