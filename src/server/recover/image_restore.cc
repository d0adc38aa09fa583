#include "server/recover/image_restore.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "loop/fd_stream.h"

namespace headrace::recover {

using base::CrcAndSize;
using base::ErrorKind;
using base::Result;

namespace {

constexpr size_t kKeptLines = 5;
constexpr std::string_view kCat = "/bin/cat";
constexpr int kGzipWarning = 2;
// How long something a child left behind may hold its standard error open when all else has ended.
constexpr std::chrono::seconds kStragglers{1};

// Decoders are the site's own programs: they get what a login shell of the same user would give them.
std::vector<std::string> child_environment() {
  std::vector<std::string> environment{"LC_ALL=C"};
  bool has_path = false;
  for (const char* name : {"PATH", "HOME", "USER", "LOGNAME", "TZ", "TMPDIR"}) {
    const char* value = std::getenv(name);
    if (value == nullptr) continue;
    has_path = has_path || std::string_view(name) == "PATH";
    environment.push_back(fmt::format("{}={}", name, value));
  }
  if (!has_path)
    environment.emplace_back("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  return environment;
}

}  // namespace

// Tells the progress how far the stored bytes are.
class ImageRestore::CountingTap final : public flow::Tap {
 public:
  explicit CountingTap(ImageRestore& owner) : owner_(owner) {}
  void see(base::Bytes) override { owner_.progress_.moved(owner_.stored_bytes()); }

 private:
  ImageRestore& owner_;
};

std::string ImageRestore::Child::what_happened() const {
  std::string text = fmt::format("\"{}\" {}", command.text(), exit ? exit->text() : "did not end");
  for (size_t i = 0; i < last_lines.size(); ++i) text += (i == 0 ? ": " : "; ") + last_lines[i];
  return text;
}

ImageRestore::ImageRestore(loop::Loop& loop, std::unique_ptr<ImageSource> source, catalog::Image image,
                           ImageTarget target, Progress& progress)
    : loop_(loop),
      image_(std::move(image)),
      target_(std::move(target)),
      progress_(progress),
      source_(loop, std::move(source)),
      counter_(std::make_unique<CountingTap>(*this)) {}

ImageRestore::~ImageRestore() = default;

void ImageRestore::start(Done done) {
  done_ = std::move(done);
  source_.open([this](Result<wire::DumpHeader> header) {
    auto begun = header ? judge_header(*header) : Result<>(std::unexpected(header.error()));
    copy_in_doubt_ = !begun;
    if (begun) begun = run(*header);
    if (begun) return;
    refusal_ = begun.error();
    end_soon();
  });
}

Result<> ImageRestore::judge_header(const wire::DumpHeader& header) {
  const auto agree = [&](std::string_view which, CrcAndSize& logged, const CrcAndSize& written) -> Result<> {
    if (logged.known() && written.known() && logged != written) {
      return base::fail(ErrorKind::corrupt,
                        fmt::format("{}: log and header disagree about the checksum of the {}: {} and {}",
                                    image_.text(), which, logged.text(), written.text()));
    }
    if (!logged.known()) logged = written;
    return {};
  };
  if (auto good = agree("stored bytes", image_.server_crc, header.server_crc); !good) return good;
  if (auto good = agree("archive", image_.native_crc, header.native_crc); !good) return good;
  if (auto good = agree("bytes sent", image_.client_crc, header.client_crc); !good) return good;
  if (header.partial) {
    return base::fail(ErrorKind::corrupt, image_.text() + ": its header says that the dump did not finish");
  }
  return {};
}

Result<> ImageRestore::run(const wire::DumpHeader& header) {
  auto commands = decoders(header);
  if (!commands)
    return std::unexpected(std::move(commands.error()).during("preparing to restore " + image_.text()));
  if (target_.directory.empty()) {
    commands->push_back({.program = std::string(kCat), .arguments = {"cat"}});
  } else {
    auto tar = extractor(header, target_.directory, target_.members);
    if (!tar) return std::unexpected(std::move(tar.error()).during("preparing to restore " + image_.text()));
    commands->push_back(*std::move(tar));
  }
  for (size_t i = 0; i < commands->size(); ++i) {
    if (auto spawned = spawn_child(std::move((*commands)[i]), i + 1 == commands->size()); !spawned)
      return spawned;
  }
  start_pumps();
  return {};
}

Result<> ImageRestore::spawn_child(Command command, bool last) {
  using From = loop::ChildFd::From;
  auto child = std::make_unique<Child>();
  child->command = std::move(command);
  const bool to_descriptor = last && target_.directory.empty();
  const loop::ChildFd output =
      to_descriptor ? loop::ChildFd{.number = 1, .from = From::given, .given = target_.descriptor}
                    : loop::ChildFd{.number = 1, .from = last ? From::null_device : From::pipe_to_parent};
  auto process = loop::spawn(loop_, {.program = child->command.program,
                                     .arguments = child->command.arguments,
                                     .environment = child_environment(),
                                     .directory = {},
                                     .descriptors = {{.number = 0, .from = From::pipe_from_parent},
                                                     output,
                                                     {.number = 2, .from = From::pipe_to_parent}},
                                     .pipe_bytes = flow::kPipeBytes});
  if (!process) return std::unexpected(std::move(process.error()));
  child->process = *std::move(process);
  const auto stream_of = [&](int number, std::unique_ptr<loop::Duplex>& into) -> Result<> {
    auto stream = loop::make_fd_stream(loop_, child->process->take_pipe(number), loop::FdKind::pipe,
                                       child->command.text());
    if (!stream) return std::unexpected(std::move(stream.error()));
    into = *std::move(stream);
    return {};
  };
  if (auto made = stream_of(0, child->input); !made) return made;
  if (auto made = stream_of(2, child->errors); !made) return made;
  if (!last) {
    if (auto made = stream_of(1, child->output); !made) return made;
  }
  children_.push_back(std::move(child));
  return {};
}

void ImageRestore::start_pumps() {
  pump_outcomes_.resize(children_.size());
  for (size_t i = 0; i < children_.size(); ++i) {
    Child& child = *children_[i];
    loop::Readable& from = i == 0 ? static_cast<loop::Readable&>(source_) : *children_[i - 1]->output;
    auto pump = std::make_unique<flow::Pump>(loop_, from, *child.input, flow::PumpOptions{});
    if (i == 0) {
      pump->add_tap(stored_);
      pump->add_tap(*counter_);
    }
    if (i + 1 == children_.size() && i > 0) pump->add_tap(native_);
    under_way_ += 2;
    ++errors_open_;
    child.lines = std::make_unique<flow::LineReader>(
        loop_, *child.errors, [this, &child](std::string_view line, bool) { take_line(child, line); },
        [this, &child](Result<> outcome) { errors_ended(child, outcome); });
    child.lines->start();
    child.process->on_exit([this, &child](loop::ExitStatus status) {
      child.exit = status;
      one_ended();
    });
    pumps_.push_back(std::move(pump));
  }
  for (size_t i = 0; i < pumps_.size(); ++i) {
    pumps_[i]->start([this, i](Result<> outcome) {
      pump_outcomes_[i] = std::move(outcome);
      one_ended();
    });
  }
}

void ImageRestore::take_line(Child& child, std::string_view line) {
  constexpr std::string_view kMissing = ": Not found in archive";
  constexpr std::string_view kTar = "tar: ";
  if (target_.may_be_missing && line.starts_with(kTar) && line.ends_with(kMissing)) {
    child.missing.emplace_back(line.substr(kTar.size(), line.size() - kTar.size() - kMissing.size()));
    return;
  }
  if (line == "tar: Exiting with failure status due to previous errors") return;
  child.other_complaints = true;
  if (child.last_lines.size() == kKeptLines) child.last_lines.erase(child.last_lines.begin());
  child.last_lines.emplace_back(line);
  progress_.message(std::string(line));
}

void ImageRestore::one_ended() {
  if (--under_way_ > 0) return;
  if (errors_open_ == 0) {
    end_soon();
  } else {
    stragglers_ = loop_.after(kStragglers, [this] { end(); });
  }
}

void ImageRestore::errors_ended(Child& child, const Result<>& outcome) {
  if (!outcome) {
    take_line(child, outcome.error().what());
    // Or it would wait for ever for us to read on.
    child.errors->close_read();
  }
  if (--errors_open_ == 0 && under_way_ == 0) {
    stragglers_.reset();
    end_soon();
  }
}

// Not from inside the callback of a part of us: whoever is told may destroy us and it.
void ImageRestore::end_soon() {
  loop_.post([this, alive = alive_.ref()] {
    if (!alive.expired()) end();
  });
}

void ImageRestore::end() {
  auto outcome = refusal_ ? Result<ImageOutcome>(std::unexpected(*std::move(refusal_))) : judge();
  auto done = std::move(done_);
  done(std::move(outcome));
}

// What was the first cause? A source that failed; bytes that are not those that were written; a decoder that
// could not make sense of them; tar. A failure further down closes pipes further up, so those say nothing by
// themselves.
Result<ImageOutcome> ImageRestore::judge() {
  ImageOutcome outcome;
  copy_in_doubt_ = true;
  if (source_.failure())
    return std::unexpected(base::Error(*source_.failure()).during("restoring " + image_.text()));
  outcome.stored = stored_.value();
  outcome.native = children_.size() > 1 ? native_.value() : stored_.value();
  if (*pump_outcomes_.front()) {
    if (auto good = judge_stored(outcome); !good) return std::unexpected(std::move(good.error()));
  }
  const bool all_passed =
      std::ranges::all_of(pump_outcomes_, [](const auto& passed) { return passed->has_value(); });
  Result<> native;
  if (all_passed) native = judge_native(outcome);
  const bool native_is_right = all_passed && native && image_.native_crc.known();
  if (auto good = judge_children(native_is_right, outcome.checked); !good) {
    return std::unexpected(std::move(good.error()));
  }
  if (!native) return std::unexpected(std::move(native.error()));
  if (auto good = judge_pumps(outcome.checked); !good) return std::unexpected(std::move(good.error()));
  outcome.missing = children_.back()->missing;
  return outcome;
}

Result<> ImageRestore::judge_pumps(bool checked) {
  copy_in_doubt_ = !checked;
  for (const auto& passed : pump_outcomes_) {
    if (!*passed) return std::unexpected(base::Error(passed->error()).during("restoring " + image_.text()));
  }
  return {};
}

std::unexpected<base::Error> ImageRestore::damaged(std::string_view what, const CrcAndSize& got,
                                                   const CrcAndSize& recorded) const {
  return base::fail(
      ErrorKind::corrupt,
      fmt::format("DAMAGED: {}: its {} has the checksum {}, but {} was recorded when it was dumped. "
                  "It was read from {}",
                  image_.text(), what, got.text(), recorded.text(), places_of(image_)));
}

Result<> ImageRestore::judge_stored(ImageOutcome& outcome) {
  const CrcAndSize& got = outcome.stored;
  if (got.size != image_.bytes) {
    return base::fail(ErrorKind::corrupt,
                      fmt::format("DAMAGED: {} has {} stored bytes instead of {}. It was read "
                                  "from {}",
                                  image_.text(), got.size, image_.bytes, places_of(image_)));
  }
  // Written past the server's own sum, what the client sent is what is stored, unless the server changed it;
  // then the sizes differ.
  const bool same_as_sent = image_.client_crc.known() && image_.client_crc.size == got.size;
  const CrcAndSize& recorded =
      image_.server_crc.known() || !same_as_sent ? image_.server_crc : image_.client_crc;
  if (!recorded.known()) return {};
  if (got != recorded) return damaged("stored stream", got, recorded);
  outcome.checked = true;
  return {};
}

Result<> ImageRestore::judge_native(ImageOutcome& outcome) {
  if (!image_.native_crc.known()) return {};
  if (outcome.native != image_.native_crc) return damaged("archive", outcome.native, image_.native_crc);
  outcome.checked = true;
  return {};
}

Result<> ImageRestore::judge_children(bool native_is_right, bool checked) {
  for (const auto& child : children_) {
    const bool last = child == children_.back();
    if (child->exit->good()) continue;
    // Ended because what came after it did; that one is to blame.
    if (!last && child->exit->signalled && child->exit->code == SIGPIPE) continue;
    if (!last && native_is_right && !child->exit->signalled && child->exit->code == kGzipWarning) continue;
    if (!last) {
      return base::fail(
          ErrorKind::corrupt,
          fmt::format("DAMAGED, or decoded with the wrong program or key: {}: {}. It was read from {}",
                      image_.text(), child->what_happened(), places_of(image_)));
    }
    const bool only_missing = !child->missing.empty() && !child->other_complaints && !child->exit->signalled;
    if (!only_missing) {
      // Right bytes are not to blame; and a signal, or what is behind a descriptor, has nothing to do with
      // them.
      copy_in_doubt_ = !checked && !child->exit->signalled && !target_.directory.empty();
      return base::fail(ErrorKind::refused,
                        fmt::format("{}, while restoring {}", child->what_happened(), image_.text()));
    }
  }
  return {};
}

}  // namespace headrace::recover
