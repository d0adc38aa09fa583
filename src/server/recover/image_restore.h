// Restoring one image: its stream through decoders to the extractor, each a child process with a pump before
// it, and the judgement at the end. Owned by Restore; loop thread.
//
//   start ──▶ opening ──header──▶ running ──all pumps and children ended──▶ judged
//                │ cannot open       │ (a pump that fails closes its neighbours, so that all end)
//                └──────────────▶ judged
//
//   source ─pump(sum of what is stored)─▶ decoder ─pump─▶ … ─pump(sum of the archive)─▶ tar, or cat to a
//   descriptor
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/alive.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "flow/crc_tap.h"
#include "flow/lines.h"
#include "flow/pump.h"
#include "loop/loop.h"
#include "loop/process.h"
#include "server/recover/filters.h"
#include "server/recover/restore.h"
#include "server/recover/source_stream.h"

namespace headrace::recover {

struct ImageTarget {
  std::filesystem::path directory;  // empty: to `descriptor`
  int descriptor = -1;
  std::vector<std::string> members;
  bool may_be_missing = false;
};

struct ImageOutcome {
  base::CrcAndSize stored, native;
  bool checked = false;                // some recorded checksum was compared
  std::vector<std::string> missing{};  // members this dump did not have, where that is allowed
};

class ImageRestore {
 public:
  using Done = std::move_only_function<void(base::Result<ImageOutcome>)>;
  ImageRestore(loop::Loop& loop, std::unique_ptr<ImageSource> source, catalog::Image image,
               ImageTarget target, Progress& progress);
  ~ImageRestore();  // ends the children
  ImageRestore(const ImageRestore&) = delete;
  ImageRestore& operator=(const ImageRestore&) = delete;

  // `done` is called once, later; it may destroy this.
  void start(Done done);
  uint64_t stored_bytes() const { return stored_.value().size; }
  // In `done`, of a failure: whether this copy of the dump is to blame, so that another may be good.
  bool copy_in_doubt() const { return copy_in_doubt_; }
  // Whether the directory or descriptor may have got something.
  bool wrote() const { return !pumps_.empty() && pumps_.back()->meter().bytes() > 0; }

 private:
  struct Child {
    Command command;
    std::unique_ptr<loop::Process> process;
    std::unique_ptr<loop::Duplex> input, output, errors;
    std::unique_ptr<flow::LineReader> lines;
    std::vector<std::string> last_lines{};
    std::vector<std::string> missing{};  // members tar says are not there
    bool other_complaints = false;
    std::optional<loop::ExitStatus> exit;
    std::string what_happened() const;
  };
  class CountingTap;

  base::Result<> run(const wire::DumpHeader& header);
  base::Result<> spawn_child(Command command, bool last);
  void start_pumps();
  void take_line(Child& child, std::string_view line);
  void one_ended();
  void errors_ended(Child& child, const base::Result<>& outcome);
  void end_soon();
  void end();
  base::Result<ImageOutcome> judge();
  base::Result<> judge_header(const wire::DumpHeader& header);
  base::Result<> judge_stored(ImageOutcome& outcome);
  base::Result<> judge_native(ImageOutcome& outcome);
  base::Result<> judge_children(bool native_is_right, bool checked);
  base::Result<> judge_pumps(bool checked);
  std::unexpected<base::Error> damaged(std::string_view what, const base::CrcAndSize& got,
                                       const base::CrcAndSize& recorded) const;

  loop::Loop& loop_;
  catalog::Image image_;
  ImageTarget target_;
  Progress& progress_;
  Done done_;
  SourceStream source_;
  std::vector<std::unique_ptr<Child>> children_;
  flow::CrcTap stored_, native_;
  std::unique_ptr<CountingTap> counter_;
  std::vector<std::unique_ptr<flow::Pump>> pumps_;  // pumps_[i] feeds children_[i]
  std::vector<std::optional<base::Result<>>> pump_outcomes_;
  size_t under_way_ = 0;    // pumps and children
  size_t errors_open_ = 0;  // standard errors still being read
  std::unique_ptr<loop::Timer> stragglers_;
  std::optional<base::Error> refusal_;  // it never began
  bool copy_in_doubt_ = false;
  base::Alive alive_;
};

}  // namespace headrace::recover
