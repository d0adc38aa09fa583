#include "loop/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>

#include "loop/child_exec.h"
#include "loop/fd_stream.h"
#include "loop/test_loop.h"

namespace headrace::loop {
namespace {

using From = ChildFd::From;

Spawn shell(std::string script) {
  return {.program = "/bin/sh",
          .arguments = {"sh", "-c", std::move(script)},
          .environment = {"PATH=/usr/bin:/bin"},
          .directory = {},
          .descriptors = {}};
}

class ProcessTest : public ::testing::TestWithParam<ReapBy> {
 protected:
  ~ProcessTest() override {
    deadline_.reset();
    loop_.reset();
    // Those that were killed with the test's processes, so that the next test has no children.
    while (waitpid(-1, nullptr, 0) > 0) {
    }
  }

  std::unique_ptr<Process> start(const Spawn& what) {
    auto process = spawn_reaped_by(*loop_, what, GetParam());
    EXPECT_TRUE(process) << process.error().what();
    return process ? std::move(*process) : nullptr;
  }
  ExitStatus wait_for(Process& process) {
    ExitStatus status;
    process.on_exit([&](ExitStatus ended) {
      status = ended;
      loop_->stop();
    });
    loop_->run();
    return status;
  }
  // Everything that comes out of `fd` to its end.
  std::string read_all(base::Fd fd) {
    auto stream = make_fd_stream(*loop_, std::move(fd), FdKind::pipe);
    EXPECT_TRUE(stream);
    std::string text;
    Callback more = [&] {
      std::byte buffer[4096];
      while (true) {
        const IoResult got = (*stream)->read(buffer);
        if (got.state == IoState::wait) return (*stream)->await_readable([&] { more(); });
        if (got.state != IoState::moved) return loop_->stop();
        text += base::as_text(std::span(buffer).first(got.bytes));
      }
    };
    loop_->post([&] { more(); });
    loop_->run();
    return text;
  }
  std::string output_of(Spawn what) {
    what.descriptors.push_back({.number = 1, .from = From::pipe_to_parent, .given = -1});
    const auto process = start(what);
    return read_all(process->take_pipe(1));
  }

  std::unique_ptr<Loop> loop_ = make_loop(1);
  std::unique_ptr<Timer> deadline_ = end_test_after_deadline(*loop_);
};

INSTANTIATE_TEST_SUITE_P(Reaped, ProcessTest, ::testing::Values(ReapBy::pidfd, ReapBy::sigchld),
                         [](const auto& info) { return info.param == ReapBy::pidfd ? "pidfd" : "sigchld"; });

TEST_P(ProcessTest, TellsExitCodes) {
  const auto good = start(shell("exit 0"));
  EXPECT_TRUE(wait_for(*good).good());
  const auto bad = start(shell("exit 2"));
  const ExitStatus status = wait_for(*bad);
  EXPECT_FALSE(status.good());
  EXPECT_EQ(status.text(), "exited with code 2");
}

TEST_P(ProcessTest, TellsSignals) {
  const auto process = start(shell("kill -9 $$"));
  EXPECT_EQ(wait_for(*process).text(), "was ended by signal 9");
}

TEST_P(ProcessTest, TellsTheEndToWhoAsksLate) {
  const auto process = start(shell("exit 3"));
  EXPECT_EQ(wait_for(*process).code, 3);
  EXPECT_EQ(wait_for(*process).code, 3);
}

TEST_P(ProcessTest, RunsAsAnotherUser) {
  Spawn what = shell("echo $(id -u):$(id -g):$(id -G)");
  what.user = ChildUser{34, 34};
  if (geteuid() == 0) {
    EXPECT_EQ(output_of(what), "34:34:34\n");
    return;
  }
  const auto refused = spawn_reaped_by(*loop_, what, GetParam());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().what(), "run /bin/sh as user 34: Operation not permitted");
}

// The loop does not wait for a slow file system. Without patience at all either may be first, the failure or
// us.
TEST_P(ProcessTest, AProgramThatCannotBeRunIsNamedHoweverLate) {
  auto what = shell("");
  what.program = "/nonexistent/program";
  const auto process = spawn_reaped_by(*loop_, what, GetParam(), std::chrono::milliseconds(0));
  const std::string said = process ? wait_for(**process).text() : process.error().what();
  EXPECT_NE(said.find("run /nonexistent/program: No such file"), std::string::npos) << said;
}

TEST_P(ProcessTest, AProgramThatIsNotWaitedForRuns) {
  auto what = shell("exit 3");
  const auto process = spawn_reaped_by(*loop_, what, GetParam(), std::chrono::milliseconds(0));
  ASSERT_TRUE(process);
  const auto status = wait_for(**process);
  EXPECT_EQ(status.code, 3);
  EXPECT_EQ(status.text(), "exited with code 3");
}

TEST_P(ProcessTest, SendsSignals) {
  const auto process = start(shell("kill -STOP $$; exit 1"));
  process->signal(SIGTERM);
  process->signal(SIGCONT);
  EXPECT_EQ(wait_for(*process).text(), "was ended by signal 15");
  process->signal(SIGKILL);  // to nobody
}

TEST_P(ProcessTest, ConnectsPipesOnAnyNumbers) {
  Spawn what = {.program = "/bin/bash",
                .arguments = {"bash", "-c", "cat <&150 >&3; echo four >&4"},
                .environment = {"PATH=/usr/bin:/bin"},
                .directory = {},
                .descriptors = {{.number = 150, .from = From::pipe_from_parent, .given = -1},
                                {.number = 3, .from = From::pipe_to_parent, .given = -1},
                                {.number = 4, .from = From::pipe_to_parent, .given = -1}}};
  const auto process = start(what);
  {
    const base::Fd to = process->take_pipe(150);
    ASSERT_EQ(write(to.get(), "through", 7), 7);
    EXPECT_NE(fcntl(to.get(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(fcntl(to.get(), F_GETFD) & FD_CLOEXEC, 0);
  }
  EXPECT_EQ(read_all(process->take_pipe(3)), "through");
  EXPECT_EQ(read_all(process->take_pipe(4)), "four\n");
  EXPECT_FALSE(process->take_pipe(3)) << "a pipe is given once";
  EXPECT_FALSE(process->take_pipe(77));
  EXPECT_TRUE(wait_for(*process).good());
}

TEST_P(ProcessTest, GivenDescriptorsMayCrossOver) {
  // 3 is to become 4 and 4 is to become 3, whatever our own 3 and 4 are.
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const base::Fd from(ends[0]);
  base::Fd to(ends[1]);
  Spawn what = shell("readlink /proc/self/fd/3; readlink /proc/self/fd/4");
  const base::Fd null(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  const int low = std::min(null.get(), to.get());
  const int high = std::max(null.get(), to.get());
  what.descriptors = {{.number = low, .from = From::given, .given = high},
                      {.number = high, .from = From::given, .given = low}};
  what.arguments[2] = "readlink /proc/self/fd/" + std::to_string(null.get()) + "; readlink /proc/self/fd/" +
                      std::to_string(to.get());
  const std::string text = output_of(what);
  EXPECT_EQ(text.substr(0, 5), "pipe:");
  EXPECT_NE(text.find("/dev/zero"), std::string::npos);
}

TEST_P(ProcessTest, ClosesEverythingElse) {
  const base::Fd leaked(open("/dev/null", O_RDONLY));  // not close-on-exec
  const base::Fd high(fcntl(leaked.get(), F_DUPFD, 500));
  Spawn what = {.program = "/bin/ls",
                .arguments = {"ls", "/proc/self/fd"},
                .environment = {},
                .directory = {},
                .descriptors = {{.number = 7, .from = From::null_device, .given = -1}}};
  // ls itself opens the directory as the lowest free number.
  EXPECT_EQ(output_of(what), "0\n1\n2\n3\n7\n");
}

TEST_P(ProcessTest, StandardDescriptorsNotNamedAreTheNullDevice) {
  EXPECT_EQ(output_of(shell("readlink /proc/self/fd/0; readlink /proc/self/fd/2")), "/dev/null\n/dev/null\n");
}

TEST_P(ProcessTest, PassesTheEnvironmentGivenAndNoOther) {
  setenv("HEADRACE_TEST_LEAK", "1", 1);
  EXPECT_EQ(output_of({.program = "/usr/bin/env",
                       .arguments = {"env"},
                       .environment = {"A=1", "B=two words"},
                       .directory = {},
                       .descriptors = {}}),
            "A=1\nB=two words\n");
  unsetenv("HEADRACE_TEST_LEAK");
}

TEST_P(ProcessTest, ChangesTheDirectory) {
  Spawn what = shell("pwd");
  what.directory = "/usr/share";
  EXPECT_EQ(output_of(what), "/usr/share\n");
}

TEST_P(ProcessTest, ResetsSignals) {
  // SIGPIPE is ignored here; the child must not inherit that, nor our mask.
  sigset_t some;
  sigset_t before;
  sigemptyset(&some);
  sigaddset(&some, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &some, &before);
  const std::string text = output_of({.program = "/bin/grep",
                                      .arguments = {"grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"},
                                      .environment = {},
                                      .directory = {},
                                      .descriptors = {}});
  sigset_t after;
  pthread_sigmask(SIG_SETMASK, &before, &after);
  EXPECT_EQ(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  EXPECT_EQ(sigismember(&after, SIGTERM), 1) << "our own mask has changed";
}

TEST_P(ProcessTest, EnlargesPipesOnRequest) {
  Spawn what = shell("exit 0");
  what.descriptors = {{.number = 1, .from = From::pipe_to_parent, .given = -1}};
  what.pipe_bytes = 256 * 1024;
  const auto process = start(what);
  EXPECT_EQ(fcntl(process->take_pipe(1).get(), F_GETPIPE_SZ), 256 * 1024);
  what.pipe_bytes = 1 << 30;  // refused, or at least not harmful
  EXPECT_TRUE(wait_for(*start(what)).good());
}

TEST_P(ProcessTest, AMissingProgramIsAnErrorThatNamesIt) {
  Spawn what = shell("");
  what.program = "/nonexistent/tar";
  const auto process = spawn(*loop_, what);
  ASSERT_FALSE(process);
  EXPECT_EQ(process.error().what(), "run /nonexistent/tar: No such file or directory");
  EXPECT_EQ(process.error().kind(), base::ErrorKind::refused);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
}

TEST_P(ProcessTest, AMissingDirectoryIsAnErrorThatNamesIt) {
  Spawn what = shell("");
  what.directory = "/nonexistent";
  const auto process = spawn(*loop_, what);
  ASSERT_FALSE(process);
  EXPECT_EQ(process.error().what(), "enter directory /nonexistent for /bin/sh: No such file or directory");
}

TEST_P(ProcessTest, DestroyingKillsAndLeavesNoZombie) {
  auto process = start(shell("exec sleep 1000"));
  process->on_exit([](ExitStatus) { FAIL() << "called after its process was destroyed"; });
  const pid_t pid = process->pid();
  process.reset();
  Callback until_reaped = [&] {
    if (kill(pid, 0) != 0 && errno == ESRCH) return loop_->stop();
    loop_->post([&] { until_reaped(); });
  };
  loop_->post([&] { until_reaped(); });
  loop_->run();
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
}

TEST_P(ProcessTest, AnUnwantedOneMayBeGivenTimeToEnd) {
  // The first ends by itself, the second has to be ended.
  for (const char* script : {"trap '' HUP; read line; exit 0", "read line; exec sleep 1000"}) {
    const bool obeys = script[0] == 't';
    auto what = shell(script);
    what.descriptors = {{0, ChildFd::From::pipe_from_parent}};
    auto process = start(what);
    const pid_t pid = process->pid();
    process->let_end(obeys ? std::chrono::hours(1) : std::chrono::milliseconds(1));
    process.reset();
    Callback until_reaped = [&] {
      if (kill(pid, 0) != 0 && errno == ESRCH) return loop_->stop();
      loop_->post([&] { until_reaped(); });
    };
    loop_->post([&] { until_reaped(); });
    loop_->run();
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << script;
  }
}

TEST_P(ProcessTest, AProcessMayBeDestroyedFromOnExit) {
  auto process = start(shell("exit 0"));
  process->on_exit([&](ExitStatus) {
    process.reset();
    loop_->stop();
  });
  loop_->run();
  EXPECT_EQ(process, nullptr);
}

TEST_P(ProcessTest, TheLoopMayEndBeforeAKilledChildIsReaped) {
  auto process = start(shell("exec sleep 1000"));
  const pid_t pid = process->pid();
  process.reset();
  deadline_.reset();
  loop_.reset();
  EXPECT_EQ(waitpid(pid, nullptr, 0), pid);
}

}  // namespace
}  // namespace headrace::loop
