#include "client/archive/tar_archiver.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "flow/limits.h"
#include "loop/fd_stream.h"

namespace headrace::client {

std::vector<std::string> child_environment() {
  return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "LANG=C"};
}

TarArchiver::TarArchiver(loop::Loop& loop, Setup setup) : loop_(loop), setup_(std::move(setup)) {}

TarArchiver::~TarArchiver() = default;

base::Result<> TarArchiver::start(ArchiverSinks sinks, Done done) {
  auto messages = compat::TarMessages::make(setup_.dialect, setup_.amgtar.patterns);
  if (!messages) return std::unexpected(std::move(messages).error());
  messages_ = std::make_unique<compat::TarMessages>(std::move(*messages));
  using From = loop::ChildFd::From;
  loop::Spawn spawn;
  spawn.program = setup_.launch.program.native();
  spawn.arguments = setup_.launch.arguments;
  spawn.environment = child_environment();
  spawn.descriptors = {{0, From::null_device}, {1, From::pipe_to_parent}, {2, From::pipe_to_parent}};
  spawn.pipe_bytes = flow::kPipeBytes;
  auto process = loop::spawn(loop_, spawn);
  if (!process) return std::unexpected(std::move(process).error());
  process_ = std::move(*process);
  pid_ = process_->pid();
  if (auto opened = open_pipes(); !opened) return opened;
  sinks_ = std::move(sinks);
  done_ = std::move(done);
  process_->on_exit([this](loop::ExitStatus status) {
    exit_ = status;
    finish_if_all_ended();
  });
  read_text();
  return {};
}

base::Result<> TarArchiver::open_pipes() {
  auto data = loop::make_fd_stream(loop_, process_->take_pipe(1), loop::FdKind::pipe, "tar's output");
  if (!data) return std::unexpected(std::move(data).error());
  auto text = loop::make_fd_stream(loop_, process_->take_pipe(2), loop::FdKind::pipe, "tar's messages");
  if (!text) return std::unexpected(std::move(text).error());
  data_ = std::move(*data);
  text_ = std::move(*text);
  return {};
}

void TarArchiver::read_text() {
  auto ended = [this](base::Result<> outcome) { text_ended(std::move(outcome)); };
  if (sinks_.index == nullptr) {
    reader_ = std::make_unique<flow::LineReader>(
        loop_, *text_, [this](std::string_view line, bool) { message(line); }, ended);
    reader_->start();
    return;
  }
  NameListing::Wanted wanted{.index = true, .state = sinks_.state != nullptr};
  listing_ = std::make_unique<NameListing>(wanted, [this](std::string_view line) { message(line); });
  naming_ = std::make_unique<flow::TransformPump>(loop_, *text_, *listing_, *sinks_.index, sinks_.state);
  naming_->start(ended);
}

void TarArchiver::message(std::string_view line) {
  if (line.empty()) return;
  using Class = compat::TarMessage::Class;
  const compat::TarMessage said = messages_->classify(line);
  if (said.what == Class::ignored) return;
  if (said.what == Class::size) size_bytes_ = said.bytes;
  const char mark = said.what == Class::strange ? '?' : '|';
  sinks_.message(fmt::format("{} {}", mark, line));
}

void TarArchiver::text_ended(base::Result<> outcome) {
  // A text that cannot be read on must not leave tar waiting for its reader.
  if (!outcome) text_->close_read();
  text_outcome_ = std::move(outcome);
  finish_if_all_ended();
}

std::string TarArchiver::failure() const {
  const bool gnutar = setup_.dialect == compat::TarDialect::gnutar;
  if (exit_->signalled) {
    return gnutar ? fmt::format("dump ({}) {} got signal {}", pid_, setup_.tar, exit_->code)
                  : fmt::format("{} got signal {}", setup_.tar, exit_->code);
  }
  if (!setup_.amgtar.is_good_exit(exit_->code)) {
    return gnutar ? fmt::format("dump ({}) {} returned {}", pid_, setup_.tar, exit_->code)
                  : fmt::format("{} exited with status {}", setup_.tar, exit_->code);
  }
  if (!*text_outcome_) return fmt::format("index: {}", text_outcome_->error().what());
  if (!size_bytes_) return fmt::format("no size line match in {} output", setup_.tar);
  return {};
}

void TarArchiver::finish_if_all_ended() {
  if (!exit_ || !text_outcome_) return;
  ArchiverOutcome outcome;
  if (size_bytes_) outcome.size_kib = base::to_kib(*size_bytes_);
  outcome.failure = failure();
  done_(std::move(outcome));
}

}  // namespace headrace::client
