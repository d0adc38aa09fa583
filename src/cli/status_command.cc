#include "cli/status_command.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <ranges>
#include <utility>

#include "cli/journals.h"
#include "cli/server_context.h"
#include "journal/codec.h"
#include "journal/file.h"
#include "journal/state.h"
#include "loop/loop.h"
#include "server/observe/progress.h"
#include "server/observe/status.h"
#include "server/observe/text.h"

namespace headrace::cli {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(500);

int64_t wall_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void complain(const std::string& what) { fmt::print(stderr, "headrace: {}\n", what); }

// Of a run that goes on, missing results and a missing end are no trouble yet.
int exit_status(const journal::RunState& state, observe::Life life) {
  constexpr unsigned kEarly = 2U | 4U | 16U;
  const auto bits = static_cast<unsigned>(observe::status_bits_of(state));
  return static_cast<int>(life == observe::Life::running ? bits & kEarly : bits);
}

observe::Screen terminal_size() {
  winsize size = {};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

int show(const journal::RunState& state, const observe::StatusOptions& options, bool json) {
  const auto text = json ? observe::status_json(state, options) : observe::status_text(state, options);
  fmt::print("{}", text);
  std::fflush(stdout);
  return exit_status(state, options.life);
}

class Follower {
 public:
  Follower(loop::Loop& loop, FoundRun run, journal::Reader reader, bool json)
      : loop_(loop),
        run_(std::move(run)),
        reader_(std::move(reader)),
        json_(json),
        draws_(!json && ::isatty(STDOUT_FILENO) == 1) {}

  // Until the run ends.
  int run() {
    look();
    loop_.run();
    return exit_;
  }

 private:
  void look() {
    if (const auto status = look_once()) {
      exit_ = *status;
      return loop_.stop();
    }
    timer_ = loop_.after(kLookEvery, [this] { look(); });
  }

  // The exit status, when there is no more to come.
  std::optional<int> look_once() {
    // First whether it lives, then what it wrote: its last words are not missed.
    auto alive = journal::is_being_written(run_.path);
    if (!alive) return fail(alive.error());
    if (auto read = catch_up(); !read) return fail(read.error());
    const auto life = observe::life_of(reduction_.state(), *alive);
    if (draws_) draw(life);
    if (life != observe::Life::running) return end(life);
    return std::nullopt;
  }

  static int fail(const base::Error& error) {
    complain(error.what());
    return kExitUsage;
  }

  base::Result<> catch_up() {
    while (true) {
      auto some = reader_.next();
      if (!some) return std::unexpected(std::move(some.error()));
      for (const auto& problem : some->problems) complain(problem);
      if (some->events.empty() && some->problems.empty()) return {};
      for (const auto& event : some->events) {
        reduction_.apply(event);
        if (!draws_) print(event);
      }
    }
  }

  void print(const journal::Event& event) const {
    if (json_)
      fmt::print("{}\n", journal::encode(event));
    else if (const auto line = observe::progress_line(event.body))
      fmt::print("{} {}\n", observe::clock_time(event.wall_us), *line);
    std::fflush(stdout);
  }

  void draw(observe::Life life) const {
    if (life != observe::Life::running) return;
    auto screen = terminal_size();
    screen.height -= 1;  // the cursor's line
    std::string picture = "\033[H\033[J";
    for (const auto& line : observe::progress_screen(reduction_.state(), wall_us(), screen))
      picture += line + "\n";
    fmt::print("{}", picture);
    std::fflush(stdout);
  }

  int end(observe::Life life) const {
    if (draws_) {
      fmt::print("\033[H\033[J");
      return show(reduction_.state(), {life, wall_us()}, false);
    }
    if (life == observe::Life::died) complain("the run did not finish: its process is gone");
    return exit_status(reduction_.state(), life);
  }

  loop::Loop& loop_;
  FoundRun run_;
  journal::Reader reader_;
  bool json_;
  bool draws_;
  journal::Reduction reduction_;
  std::unique_ptr<loop::Timer> timer_;
  int exit_ = kExitUsage;
};

// As long as it goes on.
int follow_run(FoundRun run, bool json) {
  auto reader = journal::Reader::open(run.path);
  if (!reader) {
    complain(reader.error().what());
    return kExitUsage;
  }
  // The loop ignores SIGPIPE, but nothing here is a socket: "| head" ends us.
  const auto at_broken_pipe = std::signal(SIGPIPE, SIG_DFL);
  const auto loop = loop::make_loop(1);
  std::signal(SIGPIPE, at_broken_pipe);
  return Follower(*loop, std::move(run), std::move(*reader), json).run();
}

// As it stands. `others`: the names of further runs that go on.
int show_run(const FoundRun& run, bool json, std::vector<std::string> others) {
  const auto contents = journal::read_all(run.path);
  if (!contents) {
    complain(contents.error().what());
    return kExitUsage;
  }
  // While it is being written, a half line is no trouble.
  const auto state = journal::reduce(contents->events);
  const auto life = observe::life_of(state, run.alive);
  if (life != observe::Life::running)
    for (const auto& problem : contents->problems) complain(problem);
  return show(state, {life, wall_us(), std::move(others)}, json);
}

std::vector<std::string> names_but_the_newest(const std::vector<FoundRun>& alive) {
  std::vector<std::string> names;
  for (const auto& run : alive | std::views::drop(1)) names.push_back(run.timestamp);
  return names;
}

// Every run that goes on, the newest last, where the eye is; for programs the newest, with the others' names.
int show_all(const std::vector<FoundRun>& alive, bool json) {
  if (json) return show_run(alive.front(), true, names_but_the_newest(alive));
  int status = 0;
  for (const auto& run : alive | std::views::reverse) {
    status |= show_run(run, false, {});
    if (&run != &alive.front()) fmt::print("\n");
  }
  return status;
}

}  // namespace

int status(const std::string& config, bool follow, bool json, const std::vector<std::string>& overrides,
           const std::string& wanted) {
  const auto context = load_context(config, overrides, false);
  if (!context) return kExitUsage;
  const auto& logdir = context->config.globals.logdir;
  auto run = find_run(logdir, wanted);
  if (!run) {
    complain(run.error().what());
    return kExitUsage;
  }
  if (!run->alive && wanted.empty())
    if (const auto newer = newer_amanda_run(logdir, run->timestamp); !newer.empty())
      complain("note: " + newer);
  const auto alive = wanted.empty() ? living_runs(logdir) : std::vector<FoundRun>{};
  const bool several = alive && alive->size() > 1;
  if (!follow) return several ? show_all(*alive, json) : show_run(*run, json, {});
  if (several)
    complain(fmt::format("following the newest of {} runs that go on; --run follows another: {}",
                         alive->size(), fmt::join(names_but_the_newest(*alive), ", ")));
  return follow_run(std::move(*run), json);
}

}  // namespace headrace::cli
