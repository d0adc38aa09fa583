#include "cli/run_progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "server/observe/progress.h"

namespace headrace::cli {

namespace {

// Often enough to look alive, seldom enough to cost nothing.
constexpr auto kRedrawEvery = std::chrono::milliseconds(250);

// A line an event, for logs and pipes.
class Lines : public RunProgress {
 public:
  explicit Lines(bool shown) : shown_(shown) {}
  void event(const journal::Body& body) override {
    if (!shown_) return;
    if (auto line = observe::progress_line(body)) fmt::print(stderr, "{}\n", *line);
  }
  void say(const std::string& text) override { fmt::print(stderr, "{}\n", text); }
  void finish() override {}

 private:
  bool shown_;
};

// A picture of the run, drawn over the last one.
class Picture : public RunProgress {
 public:
  Picture(loop::Loop& loop, drive::Runner& runner) : loop_(loop), runner_(runner) { tick(); }

  void event(const journal::Body& /*body*/) override {}
  void say(const std::string& text) override {
    erase();
    fmt::print(stderr, "{}\n", text);
    draw();
  }
  void finish() override {
    timer_.reset();
    draw();
  }

 private:
  void tick() {
    draw();
    timer_ = loop_.after(kRedrawEvery, [this] { tick(); });
  }

  static observe::Screen screen() {
    winsize size{};
    if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return {};
    return {size.ws_col, size.ws_row};
  }

  void erase() {
    if (drawn_ > 0) fmt::print(stderr, "\x1b[{}A\x1b[J", drawn_);
    drawn_ = 0;
  }

  void draw() {
    auto size = screen();
    // The cursor stands below the picture.
    if (size.height > 1) --size.height;
    const auto lines =
        observe::progress_screen(runner_.state(), loop_.clock().wall_seconds() * 1'000'000, size);
    std::string text = drawn_ > 0 ? fmt::format("\x1b[{}A", drawn_) : "";
    for (const auto& line : lines) text += line + "\x1b[K\n";
    text += "\x1b[J";
    std::fputs(text.c_str(), stderr);
    std::fflush(stderr);
    drawn_ = lines.size();
  }

  loop::Loop& loop_;
  drive::Runner& runner_;
  size_t drawn_ = 0;
  std::unique_ptr<loop::Timer> timer_;
};

}  // namespace

std::unique_ptr<RunProgress> make_progress(loop::Loop& loop, drive::Runner& runner, bool shown) {
  const char* terminal = std::getenv("TERM");
  const bool can_draw =
      ::isatty(STDERR_FILENO) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
  if (shown && can_draw) return std::make_unique<Picture>(loop, runner);
  return std::make_unique<Lines>(shown);
}

}  // namespace headrace::cli
