#include "client/archive/child_text.h"

#include <csignal>

#include <fmt/format.h>

#include "client/archive/tar_archiver.h"
#include "loop/fd_stream.h"

namespace headrace::client {

void ChildText::start(const std::string& program, std::vector<std::string> arguments, Done done) {
  done_ = std::move(done);
  if (auto running = run(program, std::move(arguments)); !running) {
    report(std::unexpected(std::move(running).error()));
  }
}

base::Result<> ChildText::run(const std::string& program, std::vector<std::string> arguments) {
  using From = loop::ChildFd::From;
  loop::Spawn spawn;
  spawn.program = program;
  spawn.arguments = std::move(arguments);
  spawn.environment = child_environment();
  spawn.descriptors = {{0, From::null_device}, {1, From::pipe_to_parent}, {2, From::pipe_to_parent}};
  auto process = loop::spawn(loop_, spawn);
  if (!process) return std::unexpected(std::move(process).error());
  process_ = std::move(*process);
  auto out = read(1, out_, out_reader_, [this](std::string_view line) {
    talk_.out += line;
    talk_.out += '\n';
  });
  if (!out) return out;
  auto err = read(2, err_, err_reader_, [this](std::string_view line) {
    if (!line.empty()) talk_.complaints.emplace_back(line);
  });
  if (!err) return err;
  out_reader_->start();
  err_reader_->start();
  process_->on_exit([this](loop::ExitStatus status) {
    if (!status.good()) {
      talk_.complaints.push_back(status.signalled ? fmt::format("got signal {}", status.code)
                                                  : fmt::format("exited with status {}", status.code));
    }
    part_ended({});
  });
  return {};
}

base::Result<> ChildText::read(int number, std::unique_ptr<loop::Duplex>& stream,
                               std::unique_ptr<flow::LineReader>& reader,
                               std::move_only_function<void(std::string_view)> line) {
  auto opened = loop::make_fd_stream(loop_, process_->take_pipe(number), loop::FdKind::pipe);
  if (!opened) return std::unexpected(std::move(opened).error());
  stream = std::move(*opened);
  reader = std::make_unique<flow::LineReader>(
      loop_, *stream,
      [this, line = std::move(line)](std::string_view text, bool) mutable {
        bytes_ += text.size() + 1;
        if (bytes_ <= kMaxChildTextBytes) return line(text);
        // The program is of no use any more; its end is reported as usual.
        if (!failure_) failure_ = base::Error(base::ErrorKind::corrupt, "it talks without end");
        process_->signal(SIGKILL);
      },
      [this, source = stream.get()](const base::Result<>& outcome) {
        if (!outcome) source->close_read();
        part_ended(outcome);
      });
  return {};
}

void ChildText::part_ended(const base::Result<>& outcome) {
  if (!outcome && !failure_) failure_ = outcome.error();
  if (--parts_left_ > 0) return;
  if (failure_) return report(std::unexpected(std::move(*failure_)));
  report(std::move(talk_));
}

void ChildText::report(base::Result<ChildTalk> talk) {
  // Not from inside start() or the callback of a part: the owner may destroy us.
  loop_.post([this, alive = alive_.ref(), talk = std::move(talk)]() mutable {
    if (alive.expired()) return;
    auto done = std::move(done_);
    done(std::move(talk));
  });
}

}  // namespace headrace::client
