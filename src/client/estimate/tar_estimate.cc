#include "client/estimate/tar_estimate.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "client/archive/tar_archiver.h"
#include "loop/fd_stream.h"

namespace headrace::client {

TarEstimate::TarEstimate(const ClientContext& context, TarPlan plan, std::vector<int> levels,
                         std::string config_name)
    : context_(context),
      plan_(std::make_shared<const TarPlan>(std::move(plan))),
      levels_(levels.begin(), levels.end()),
      config_name_(std::move(config_name)),
      messages_(plan_->command.dialect) {}

TarEstimate::~TarEstimate() = default;

void TarEstimate::start(Each each, std::move_only_function<void()> done) {
  each_ = std::move(each);
  done_ = std::move(done);
  next();
}

void TarEstimate::next() {
  if (levels_.empty()) {
    context_.loop.post([this, alive = alive_.ref()] {
      if (alive.expired()) return;
      // Its owner may destroy us in it.
      auto done = std::move(done_);
      done();
    });
    return;
  }
  auto made = std::make_shared<Prepared>();
  context_.loop.offload(
      context_.loop.new_lane(),
      [plan = plan_, level = levels_.front(), made] {
        auto files = TarFiles::make(*plan, level);
        if (files) {
          made->files = std::move(*files);
        } else {
          made->outcome = std::unexpected(std::move(files).error());
        }
      },
      [this, made, alive = alive_.ref()] {
        if (!alive.expired()) prepared(*made);
      });
}

void TarEstimate::prepared(Prepared& made) {
  if (!made.outcome) return report(std::unexpected(std::move(made.outcome).error()));
  files_ = std::move(made.files);
  exit_.reset();
  text_ended_ = false;
  size_bytes_.reset();
  last_strange_.clear();
  if (auto started = run(); !started) report(std::unexpected(std::move(started).error()));
}

base::Result<> TarEstimate::run() {
  using From = loop::ChildFd::From;
  const TarLaunch launch = tar_launch(files_->command(), context_.paths.runtar, plan_->rights, config_name_);
  loop::Spawn spawn;
  spawn.program = launch.program.native();
  spawn.arguments = launch.arguments;
  spawn.environment = child_environment();
  spawn.descriptors = {{0, From::null_device}, {1, From::null_device}, {2, From::pipe_to_parent}};
  auto process = loop::spawn(context_.loop, spawn);
  if (!process) return std::unexpected(std::move(process).error());
  auto text =
      loop::make_fd_stream(context_.loop, (*process)->take_pipe(2), loop::FdKind::pipe, "tar's messages");
  if (!text) return std::unexpected(std::move(text).error());
  process_ = std::move(*process);
  text_ = std::move(*text);
  process_->on_exit([this](loop::ExitStatus status) {
    exit_ = status;
    finish_if_all_ended();
  });
  reader_ = std::make_unique<flow::LineReader>(
      context_.loop, *text_, [this](std::string_view said, bool) { line(said); },
      [this](const base::Result<>& outcome) {
        // A text that cannot be read on must not leave tar waiting for its reader.
        if (!outcome) text_->close_read();
        text_ended_ = true;
        finish_if_all_ended();
      });
  reader_->start();
  return {};
}

void TarEstimate::line(std::string_view text) {
  const compat::TarMessage said = messages_.classify(text);
  if (said.what == compat::TarMessage::Class::size) size_bytes_ = said.bytes;
  if (said.what != compat::TarMessage::Class::strange) return;
  // The last line of a tar that fails says only that it failed.
  const bool epitaph = text.ends_with("exiting now") || text.ends_with("due to previous errors");
  if (!epitaph || last_strange_.empty()) last_strange_ = text;
}

base::Result<int64_t> TarEstimate::result() const {
  // What tar could not read it leaves out (status 2 as well); the estimate is still the best there is.
  if (size_bytes_ && !exit_->signalled) return static_cast<int64_t>(base::to_kib(*size_bytes_));
  const std::string tar = plan_->command.tar.native();
  std::string reason = exit_->signalled   ? fmt::format("{} got signal {}", tar, exit_->code)
                       : exit_->code != 0 ? fmt::format("{} exited with status {}", tar, exit_->code)
                                          : fmt::format("no size line match in {} output", tar);
  if (!last_strange_.empty()) reason = fmt::format("{}: {}", reason, last_strange_);
  return base::fail(base::ErrorKind::gone, std::move(reason));
}

void TarEstimate::finish_if_all_ended() {
  if (!exit_ || !text_ended_) return;
  // Not from inside the callbacks of what is about to be replaced.
  context_.loop.post([this, alive = alive_.ref()] {
    if (!alive.expired()) report(result());
  });
}

void TarEstimate::report(base::Result<int64_t> kib) {
  reader_.reset();
  text_.reset();
  process_.reset();
  files_.reset();
  const int level = levels_.front();
  levels_.pop_front();
  each_(level, std::move(kib));
  next();
}

}  // namespace headrace::client
