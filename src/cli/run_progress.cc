#include "cli/run_progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "base/bytes.h"
#include "base/quote.h"

namespace headrace::cli {

namespace {

std::string name_of(const journal::ImageId& image) { return image.host + ":" + base::quote(image.disk); }

// One line for each thing that an operator would want to know while it happens.
std::string line_of(const journal::Body& body) {
  if (const auto* e = std::get_if<journal::LeftoverFound>(&body)) return e->what;
  if (const auto* e = std::get_if<journal::DlePlanned>(&body)) {
    return fmt::format("{} level {}, about {}: {}", name_of(e->image), e->image.level,
                       base::human_bytes(e->est_stored_kib * base::kKiB), e->reason);
  }
  if (const auto* e = std::get_if<journal::PlanFailed>(&body))
    return fmt::format("{} FAILED: {}", name_of(e->image), e->message);
  if (const auto* e = std::get_if<journal::DumpFinished>(&body)) {
    return fmt::format("{} level {} dumped: {} in {:.1f} s{}", name_of(e->image), e->image.level,
                       base::human_bytes(e->stored_kib * base::kKiB), e->seconds,
                       e->strange ? ", with strange messages" : "");
  }
  if (const auto* e = std::get_if<journal::DumpFailed>(&body)) {
    return fmt::format("{} FAILED: {}{}", name_of(e->image), e->message,
                       e->will_retry ? " (will be tried again)" : "");
  }
  if (const auto* e = std::get_if<journal::DumpGivenUp>(&body))
    return fmt::format("{} given up: {}", name_of(e->image), e->reason);
  if (const auto* e = std::get_if<journal::VolumeStarted>(&body))
    return fmt::format("writing volume {} in slot {}", e->label, e->slot);
  if (const auto* e = std::get_if<journal::ImageWritten>(&body)) {
    return fmt::format("{} level {} on volume: {} in {}", name_of(e->image), e->image.level,
                       base::human_bytes(e->bytes),
                       e->parts == 1 ? "1 part" : fmt::format("{} parts", e->parts));
  }
  if (const auto* e = std::get_if<journal::ImageWriteFailed>(&body))
    return fmt::format("{} NOT WRITTEN: {}", name_of(e->image), e->reason);
  if (const auto* e = std::get_if<journal::ImageLeftOnHolding>(&body))
    return fmt::format("{} stays on holding disk: {}", name_of(e->image), e->reason);
  if (const auto* e = std::get_if<journal::NoVolume>(&body)) return "no volume: " + e->reason;
  return {};
}

class Lines : public RunProgress {
 public:
  explicit Lines(bool shown) : shown_(shown) {}
  void event(const journal::Body& body) override {
    if (!shown_) return;
    if (auto line = line_of(body); !line.empty()) fmt::print(stderr, "{}\n", line);
  }
  void say(const std::string& text) override { fmt::print(stderr, "{}\n", text); }
  void finish() override {}

 private:
  bool shown_;
};

}  // namespace

std::unique_ptr<RunProgress> make_progress(loop::Loop&, drive::Runner&, bool shown) {
  return std::make_unique<Lines>(shown);
}

}  // namespace headrace::cli
