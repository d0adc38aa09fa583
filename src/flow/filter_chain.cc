#include "flow/filter_chain.h"

#include <fmt/format.h>

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

void FilterChain::start_pumps() {
  loop::Readable* from = &source_;
  PumpOptions joint;
  for (auto& filter : filters_) {
    joint.name = fmt::format("{} to {}", options_.name, filter->command.role);
    pumps_.push_back(std::make_unique<Pump>(loop_, *from, *filter->input, joint));
    from = filter->output.get();
  }
  joint.name = fmt::format("{} DATA", options_.name);
  pumps_.push_back(std::make_unique<Pump>(loop_, *from, sink_, joint));
  if (options_.checksums) {
    pumps_.front()->add_tap(entered_);
    if (!filters_.empty()) pumps_.back()->add_tap(left_);
  }
  parts_left_ = pumps_.size() + 2 * filters_.size();
  for (auto& pump : pumps_) {
    const bool last = pump == pumps_.back();
    pump->start([this, last](base::Result<> outcome) {
      delivered_ = delivered_ || (last && outcome);
      part_ended(std::move(outcome));
    });
  }
  for (auto& filter : filters_) {
    filter->reader = std::make_unique<LineReader>(
        loop_, *filter->text, [this](std::string_view line, bool) { message_(line); },
        [this](base::Result<> outcome) { part_ended(std::move(outcome)); });
    filter->reader->start();
    filter->process->on_exit([this, f = filter.get()](loop::ExitStatus status) { filter_ended(*f, status); });
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

void FilterChain::filter_ended(Filter& filter, loop::ExitStatus status) {
  if (status.good()) return part_ended({});
  const char* how = status.signalled ? "got signal" : "returned";
  part_ended(base::fail(base::ErrorKind::gone,
                        fmt::format("{} ({}) {} {} {}", filter.command.role, filter.process->pid(),
                                    filter.command.program, how, status.code)));
}

void FilterChain::part_ended(base::Result<> outcome) {
  if (parts_left_ == 0) return;
  if (!outcome) {
    parts_left_ = 0;
    done_(std::unexpected(std::move(outcome).error()));
    return;
  }
  if (--parts_left_ > 0) return;
  if (!options_.checksums) return done_(ChainOutcome{});
  const base::CrcAndSize entered = entered_.value();
  done_(ChainOutcome{entered, filters_.empty() ? entered : left_.value()});
}

}  // namespace headrace::flow
