#include "auth/child/child_transport.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/alive.h"
#include "loop/fd_stream.h"

namespace headrace::auth {

namespace {

using base::Error;
using base::ErrorKind;
using base::Result;
using loop::IoResult;
using loop::IoState;

constexpr size_t kWordLines = 3;

//              a direction ended          exit status and last words, or kLastWordsGrace
//   connected ───────────────────▶ ending ───────────────────────────────────────────────▶ settled
//       └──────────────────────────────── kAnswerDeadline ─────────────────────────────────────┘
// Until it is settled, a direction that ended answers `wait`: the mux shall learn of the end and its reason
// together.
class ChildTransport : public loop::Duplex {
 public:
  ChildTransport(loop::Loop& loop, ChildPeer peer, std::unique_ptr<loop::Process> child)
      : loop_(loop), peer_(std::move(peer)), child_(std::move(child)) {}
  ~ChildTransport() override { child_->let_end(kEndGrace); }

  Result<> start() {
    struct Pipe {
      int number;
      std::unique_ptr<loop::Duplex> ChildTransport::* stream;
    };
    for (const Pipe& pipe : {Pipe{0, &ChildTransport::input_}, Pipe{1, &ChildTransport::output_},
                             Pipe{2, &ChildTransport::error_output_}}) {
      auto stream =
          loop::make_fd_stream(loop_, child_->take_pipe(pipe.number), loop::FdKind::pipe, peer_.name);
      if (!stream) return std::unexpected(std::move(stream).error());
      this->*pipe.stream = std::move(*stream);
    }
    child_->on_exit([this](loop::ExitStatus status) {
      exit_ = status;
      settle_if_complete();
    });
    deadline_ = loop_.after(peer_.answer_deadline, [this] {
      read_over_ = write_over_ = true;
      settle();
    });
    read_words();
    return {};
  }

  IoResult read(base::MutableBytes into) override {
    if (!read_over_) {
      const auto result = output_->read(into);
      if (result.state == IoState::moved) {
        heard_ = true;
        deadline_.reset();
      }
      if (result.state == IoState::moved || result.state == IoState::wait) return result;
      read_over_ = true;
      expect_end();
    }
    if (!settled_) return {IoState::wait, 0};
    return {proper_end() ? IoState::end : IoState::failed, 0};
  }
  void await_readable(loop::Ready ready) override {
    readable_ = std::move(ready);
    if (settled_) return wake(&ChildTransport::readable_);
    if (!read_over_) output_->await_readable([this] { call(&ChildTransport::readable_); });
  }
  void close_read() override {
    readable_ = nullptr;
    output_->close_read();
  }

  IoResult write(std::span<const iovec> pieces) override {
    if (!write_over_) {
      const auto result = input_->write(pieces);
      if (result.state != IoState::failed) return result;
      write_over_ = true;
      expect_end();
    }
    return {settled_ ? IoState::failed : IoState::wait, 0};
  }
  void await_writable(loop::Ready ready) override {
    writable_ = std::move(ready);
    if (settled_) return wake(&ChildTransport::writable_);
    if (!write_over_) input_->await_writable([this] { call(&ChildTransport::writable_); });
  }
  void finish(std::move_only_function<void(Result<>)> done) override { input_->finish(std::move(done)); }
  void abandon() override {
    writable_ = nullptr;
    input_->abandon();
  }

  Error error() const override {
    const std::string words = last_words(words_);
    std::string text = peer_.name;
    Meaning meaning;
    if (exit_) {
      text += exit_->good() ? " ended" : " " + exit_->text();
      if (!heard_ && exit_->good()) text += " without an answer";
    } else if (!heard_) {
      meaning.kind = ErrorKind::again;
      text += fmt::format(" gave no answer within {} seconds",
                          std::chrono::duration_cast<std::chrono::seconds>(peer_.answer_deadline).count());
    } else {
      text += " closed the connection";
    }
    if (!words.empty()) text += ": " + words;
    if (peer_.explain != nullptr && !words.empty()) {
      const auto kind = meaning.kind;
      meaning = peer_.explain(words);
      if (!exit_ && !heard_) meaning.kind = kind;
    }
    if (!meaning.advice.empty()) text += "; " + meaning.advice;
    return Error(meaning.kind, text);
  }

 private:
  bool proper_end() const { return heard_ && exit_ && exit_->good(); }

  void read_words() {
    while (true) {
      const auto result = error_output_->read(piece_);
      if (result.state == IoState::wait) return error_output_->await_readable([this] { read_words(); });
      if (result.state != IoState::moved) break;
      words_ += base::as_text(base::Bytes(piece_).first(result.bytes));
      if (words_.size() > kMaxWordsBytes) words_.erase(0, words_.size() - kMaxWordsBytes);
      // A program that chatters without end gets its turns as everybody else.
      return loop_.post([this, alive = alive_.ref()] {
        if (!alive.expired()) read_words();
      });
    }
    words_over_ = true;
    settle_if_complete();
  }

  void expect_end() {
    if (settled_ || grace_) return;
    grace_ = loop_.after(kLastWordsGrace, [this] { settle(); });
    // Not from inside read() or write().
    loop_.post([this, alive = alive_.ref()] {
      if (!alive.expired()) settle_if_complete();
    });
  }
  void settle_if_complete() {
    if (exit_ && words_over_ && (read_over_ || write_over_)) settle();
  }
  void settle() {
    if (std::exchange(settled_, true)) return;
    deadline_.reset();
    wake(&ChildTransport::readable_);
    wake(&ChildTransport::writable_);
  }
  // Whoever waits may have been woken already, by the program or by its end.
  void call(loop::Ready ChildTransport::* waiting) {
    if (this->*waiting) std::exchange(this->*waiting, nullptr)();
  }
  void wake(loop::Ready ChildTransport::* waiting) {
    loop_.post([this, waiting, alive = alive_.ref()] {
      if (!alive.expired()) call(waiting);
    });
  }

  loop::Loop& loop_;
  const ChildPeer peer_;
  std::unique_ptr<loop::Process> child_;
  std::unique_ptr<loop::Duplex> input_;
  std::unique_ptr<loop::Duplex> output_;
  std::unique_ptr<loop::Duplex> error_output_;
  std::unique_ptr<loop::Timer> deadline_;
  std::unique_ptr<loop::Timer> grace_;
  loop::Ready readable_;
  loop::Ready writable_;
  std::array<std::byte, 1024> piece_{};
  std::string words_;
  std::optional<loop::ExitStatus> exit_;
  bool heard_ = false;  // a byte has come
  bool read_over_ = false;
  bool write_over_ = false;
  bool words_over_ = false;
  bool settled_ = false;
  base::Alive alive_;
};

}  // namespace

Result<std::unique_ptr<loop::Duplex>> run_as_transport(loop::Loop& loop, ChildPeer peer) {
  using From = loop::ChildFd::From;
  loop::Spawn what;
  what.program = peer.program;
  what.arguments = peer.arguments;
  what.environment = peer.environment;
  what.descriptors = {{0, From::pipe_from_parent}, {1, From::pipe_to_parent}, {2, From::pipe_to_parent}};
  auto child = loop::spawn(loop, what);
  if (!child) return std::unexpected(std::move(child).error());
  auto transport = std::make_unique<ChildTransport>(loop, std::move(peer), std::move(*child));
  if (auto started = transport->start(); !started) return std::unexpected(std::move(started).error());
  return transport;
}

std::vector<std::string> environment_with(std::initializer_list<const char*> names) {
  std::vector<std::string> environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  for (const char* name : names) {
    if (const char* value = std::getenv(name)) environment.push_back(fmt::format("{}={}", name, value));
  }
  return environment;
}

std::string last_words(std::string_view text) {
  std::vector<std::string> lines(1);
  for (const char c : text) {
    if (c == '\n') {
      lines.emplace_back();
    } else if (c != '\r') {
      const auto code = static_cast<unsigned char>(c);
      lines.back() += code < 0x20 || code == 0x7F ? '?' : c;
    }
  }
  std::erase_if(lines, [](const std::string& line) { return line.find_first_not_of(' ') == line.npos; });
  for (std::string& line : lines) line.erase(0, line.find_first_not_of(' '));
  if (!lines.empty() && lines.back().ends_with('.')) lines.back().pop_back();
  const size_t first = lines.size() > kWordLines ? lines.size() - kWordLines : 0;
  return fmt::format("{}", fmt::join(lines.begin() + static_cast<ptrdiff_t>(first), lines.end(), "; "));
}

}  // namespace headrace::auth
