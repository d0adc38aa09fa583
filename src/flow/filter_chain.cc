#include "flow/filter_chain.h"

#include <fmt/format.h>

#include <cerrno>
#include <csignal>

#include "flow/limits.h"
#include "loop/fd_stream.h"

namespace headrace::flow {

struct FilterChain::Filter {
  FilterCommand command;
  std::unique_ptr<loop::Process> process;
  std::unique_ptr<loop::Duplex> input;
  std::unique_ptr<loop::Duplex> output;
  std::unique_ptr<loop::Duplex> text;
  std::unique_ptr<LineReader> reader;
  bool stopped_reading = false;
  bool ended = false;  // well

  std::string name() const {
    return fmt::format("{} ({}) {}", command.role, process->pid(), command.program);
  }
  base::Result<> ended_too_early() const {
    return base::fail(base::ErrorKind::gone, name() + " ended before it had read everything");
  }
};

FilterChain::FilterChain(loop::Loop& loop, loop::Readable& source, loop::Writable& sink, ChainOptions options)
    : loop_(loop), source_(source), sink_(sink), options_(std::move(options)) {}

FilterChain::~FilterChain() { pumps_.clear(); }

base::Result<> FilterChain::start(const std::vector<FilterCommand>& filters, Message message, Done done) {
  message_ = std::move(message);
  for (const FilterCommand& command : filters) {
    if (auto started = start_filter(command); !started) return started;
  }
  done_ = std::move(done);
  start_pumps();
  return {};
}

base::Result<> FilterChain::start_filter(const FilterCommand& command) {
  using From = loop::ChildFd::From;
  loop::Spawn spawn;
  spawn.program = command.program;
  spawn.arguments = command.arguments;
  spawn.environment = command.environment;
  spawn.user = command.user;
  spawn.descriptors = {{0, From::pipe_from_parent}, {1, From::pipe_to_parent}, {2, From::pipe_to_parent}};
  spawn.pipe_bytes = kPipeBytes;
  auto process = loop::spawn(loop_, spawn);
  if (!process) return std::unexpected(std::move(process).error());
  auto filter = std::make_unique<Filter>();
  filter->command = command;
  filter->process = std::move(*process);
  struct End {
    int number;
    std::unique_ptr<loop::Duplex> Filter::* stream;
  };
  for (const End& end : {End{0, &Filter::input}, End{1, &Filter::output}, End{2, &Filter::text}}) {
    auto stream =
        loop::make_fd_stream(loop_, filter->process->take_pipe(end.number), loop::FdKind::pipe, command.role);
    if (!stream) return std::unexpected(std::move(stream).error());
    (*filter).*end.stream = std::move(*stream);
  }
  filters_.push_back(std::move(filter));
  return {};
}

void FilterChain::set_throttle(Throttle& throttle) {
  throttle_ = &throttle;
  if (!pumps_.empty()) pumps_.front()->set_throttle(throttle);
}

void FilterChain::start_pumps() {
  loop::Readable* from = &source_;
  PumpOptions joint;
  for (auto& filter : filters_) {
    joint.name = fmt::format("{} to {}", options_.name, filter->command.role);
    pumps_.push_back(std::make_unique<Pump>(loop_, *from, *filter->input, joint));
    from = filter->output.get();
  }
  joint.name = fmt::format("{} DATA", options_.name);
  joint.finish_sink = options_.finish_sink;
  pumps_.push_back(std::make_unique<Pump>(loop_, *from, sink_, joint));
  if (gate_ != nullptr) pumps_.front()->set_gate(*gate_);
  if (throttle_ != nullptr) pumps_.front()->set_throttle(*throttle_);
  if (options_.checksums) {
    pumps_.front()->add_tap(entered_);
    if (!filters_.empty()) pumps_.back()->add_tap(left_);
  }
  parts_left_ = pumps_.size() + 2 * filters_.size();
  for (size_t i = 0; i < pumps_.size(); ++i) {
    pumps_[i]->start([this, i](base::Result<> outcome) { pump_ended(i, std::move(outcome)); });
  }
  for (size_t which = 0; which < filters_.size(); ++which) {
    Filter& filter = *filters_[which];
    filter.reader = std::make_unique<LineReader>(
        loop_, *filter.text,
        [this, &filter](std::string_view line, bool) { message_(filter.command.role, line); },
        [this](base::Result<> outcome) { part_ended(std::move(outcome)); });
    filter.reader->start();
    filter.process->on_exit([this, which](loop::ExitStatus status) { filter_ended(which, status); });
  }
}

std::vector<const Meter*> FilterChain::meters() const {
  std::vector<const Meter*> out;
  for (const auto& pump : pumps_) out.push_back(&pump->meter());
  return out;
}

std::vector<FilterChain::Program> FilterChain::programs() const {
  std::vector<Program> out;
  for (const auto& filter : filters_) out.push_back({filter->command.role, filter->process->pid()});
  return out;
}

uint64_t FilterChain::moved_bytes() const {
  uint64_t bytes = 0;
  for (const auto& pump : pumps_) bytes += pump->meter().snapshot().bytes;
  return bytes;
}

// Joint i writes to filter i; the last one to the sink.
void FilterChain::pump_ended(size_t joint, base::Result<> outcome) {
  const bool last = joint + 1 == pumps_.size();
  delivered_ = delivered_ || (last && outcome);
  if (last || outcome || outcome.error().sys_errno() != EPIPE) return part_ended(std::move(outcome));
  if (filters_[joint]->ended) return part_ended(filters_[joint]->ended_too_early());
  filters_[joint]->stopped_reading = true;
  exit_grace_ = loop_.after(kFilterExitGrace,
                            [this, broken = std::move(outcome)]() mutable { part_ended(std::move(broken)); });
}

void FilterChain::filter_ended(size_t which, loop::ExitStatus status) {
  Filter& filter = *filters_[which];
  // Whoever does not read its output any more knows why, and is given the time to say it.
  if (status.signalled && status.code == SIGPIPE && exit_grace_) return;
  if (!status.good()) {
    const char* how = status.signalled ? "got signal" : "returned";
    return part_ended(
        base::fail(base::ErrorKind::gone, fmt::format("{} {} {}", filter.name(), how, status.code)));
  }
  filter.ended = true;
  if (filter.stopped_reading) return part_ended(filter.ended_too_early());
  part_ended({});
}

void FilterChain::part_ended(base::Result<> outcome) {
  if (parts_left_ == 0) return;
  if (!outcome) {
    parts_left_ = 0;
    exit_grace_.reset();
    // Which may destroy us.
    auto done = std::move(done_);
    return done(std::unexpected(std::move(outcome).error()));
  }
  if (--parts_left_ > 0) return;
  auto done = std::move(done_);
  if (!options_.checksums) return done(ChainOutcome{});
  const base::CrcAndSize entered = entered_.value();
  done(ChainOutcome{entered, filters_.empty() ? entered : left_.value()});
}

}  // namespace headrace::flow
