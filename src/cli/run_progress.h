// What `headrace dump` shows while it runs: a picture that is redrawn on a terminal, lines elsewhere. Loop
// thread.
#pragma once

#include <memory>
#include <string>

#include "journal/event.h"
#include "loop/loop.h"
#include "server/drive/runner.h"

namespace headrace::cli {

class RunProgress {
 public:
  virtual ~RunProgress() = default;
  virtual void event(const journal::Body& body) = 0;
  virtual void say(const std::string& text) = 0;
  // Leaves the terminal with the last picture.
  virtual void finish() = 0;
};

// On standard error. `shown` false: nothing but say().
std::unique_ptr<RunProgress> make_progress(loop::Loop& loop, drive::Runner& runner, bool shown);

}  // namespace headrace::cli
