// Keeps the info files up to date while a run goes on: one change after the other, on a worker. Owned by the
// runner. Loop thread.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/alive.h"
#include "base/error.h"
#include "compat/curinfo.h"
#include "journal/event.h"
#include "loop/loop.h"

namespace headrace::drive {

class History {
 public:
  History(loop::Loop& loop, std::filesystem::path infofile,
          std::move_only_function<void(const base::Error&)> failed);

  // The dump is complete; wishes for this disk are fulfilled with it.
  void dumped(const journal::ImageId& image, compat::RecordedDump dump);
  // Its first part is in that file of that volume.
  void taped(const journal::ImageId& image, std::string label, int64_t fileno);
  // The disk was left out for its full to be made outside of this configuration (skip-full).
  void full_elsewhere(const journal::ImageId& image);
  // The image's dump rests on a full that the operator says was made so, at a time before it that nobody knows.
  void full_elsewhere_before(const journal::ImageId& image);
  // The disk was left out as the operator wished: the wish is fulfilled (skip_mark.h).
  void skipped_as_asked(const journal::ImageId& image);
  // Something else to be kept, in its turn; what goes wrong is told like the others.
  void later(std::move_only_function<base::Result<>()> work);
  // Called once, later, when all changes so far are written or have failed.
  void when_settled(std::move_only_function<void()> done);

 private:
  using Change = std::move_only_function<void(compat::Curinfo&)>;
  void change(const journal::ImageId& image, Change change);

  loop::Loop& loop_;
  std::filesystem::path infofile_;
  std::move_only_function<void(const base::Error&)> failed_;
  uint64_t lane_;
  base::Alive alive_;
};

}  // namespace headrace::drive
