#include "client/archive/plugin_archiver.h"

#include <fmt/format.h>

#include "client/archive/tar_archiver.h"
#include "flow/limits.h"
#include "loop/fd_stream.h"

namespace headrace::client {
namespace {

constexpr int kData = 1;
constexpr int kErrors = 2;
constexpr int kMessages = 3;
constexpr int kIndex = 4;

}  // namespace

base::Result<> PluginArchiver::start(ArchiverSinks sinks, Done done) {
  sinks_ = std::move(sinks);
  if (auto spawned = spawn_with_pipes(); !spawned) return spawned;
  done_ = std::move(done);
  parts_left_ = 1;
  process_->on_exit([this](loop::ExitStatus status) {
    // 1 is what archivers say when files changed meanwhile.
    if ((status.signalled || status.code > 1) && outcome_.failure.empty()) {
      outcome_.failure = fmt::format("Application ({}) {} {} {}", process_->pid(), setup_.name,
                                     status.signalled ? "got signal" : "returned", status.code);
    }
    part_ended({}, "");
  });
  read_lines(kErrors, errors_, "sendbackup: error [", "]");
  read_lines(kMessages, messages_, "", "");
  carry(kIndex, index_, sinks_.index);
  carry(kPluginStateFd, state_, sinks_.state);
  return {};
}

base::Result<> PluginArchiver::spawn_with_pipes() {
  using From = loop::ChildFd::From;
  auto pipe_if = [](bool wanted) { return wanted ? From::pipe_to_parent : From::null_device; };
  loop::Spawn spawn;
  spawn.program = setup_.program;
  spawn.arguments = setup_.arguments;
  spawn.environment = child_environment();
  spawn.pipe_bytes = flow::kPipeBytes;
  spawn.descriptors = {{0, From::null_device},
                       {kData, From::pipe_to_parent},
                       {kErrors, From::pipe_to_parent},
                       {kMessages, From::pipe_to_parent},
                       {kIndex, pipe_if(sinks_.index != nullptr)},
                       {kPluginStateFd, pipe_if(sinks_.state != nullptr)}};
  auto process = loop::spawn(loop_, spawn);
  if (!process) return std::unexpected(std::move(process).error());
  process_ = std::move(*process);
  for (const loop::ChildFd& descriptor : spawn.descriptors) {
    if (descriptor.from != From::pipe_to_parent) continue;
    auto stream =
        loop::make_fd_stream(loop_, process_->take_pipe(descriptor.number), loop::FdKind::pipe, setup_.name);
    if (!stream) return std::unexpected(std::move(stream).error());
    pipes_[descriptor.number] = std::move(*stream);
  }
  return {};
}

void PluginArchiver::read_lines(int number, std::unique_ptr<flow::LineReader>& reader, std::string before,
                                std::string after) {
  ++parts_left_;
  reader = std::make_unique<flow::LineReader>(
      loop_, *pipes_[number],
      [this, before = std::move(before), after = std::move(after)](std::string_view line, bool) {
        if (!line.empty()) tell(fmt::format("{}{}{}", before, line, after));
      },
      [this, number](const base::Result<>& outcome) {
        if (!outcome) pipes_[number]->close_read();
        part_ended(outcome, "messages");
      });
  reader->start();
}

void PluginArchiver::carry(int number, std::unique_ptr<flow::Pump>& pump, loop::Writable* sink) {
  if (sink == nullptr) return;
  ++parts_left_;
  pump = std::make_unique<flow::Pump>(loop_, *pipes_[number], *sink, flow::PumpOptions{});
  pump->start([this, number](const base::Result<>& outcome) {
    part_ended(outcome, number == kIndex ? "index" : "state");
  });
}

void PluginArchiver::tell(const std::string& line) {
  sinks_.message(line);
  if (line.starts_with("sendbackup: error ") && outcome_.failure.empty()) {
    outcome_.failure = line;
    outcome_.failure_told = true;
  }
}

void PluginArchiver::part_ended(const base::Result<>& outcome, const char* part) {
  if (!outcome && outcome_.failure.empty()) {
    outcome_.failure = fmt::format("{}: {}", part, outcome.error().what());
  }
  if (--parts_left_ == 0) done_(std::move(outcome_));
}

}  // namespace headrace::client
