// What a run answers on its control socket: puts requests (observe/) to the runner (drive/), neither of which
// knows the other. Owned by the command that runs it; loop thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "loop/loop.h"
#include "server/drive/runner.h"
#include "server/observe/control.h"

namespace headrace::cli {

class RunControl : public observe::ControlHandler {
 public:
  // Borrows both.
  RunControl(loop::Loop& loop, drive::Runner& runner) : loop_(loop), runner_(runner) {}

  observe::ControlReply handle(const observe::ControlRequest& request, uint64_t client) override;
  void gone(uint64_t client) override;

 private:
  observe::ControlReply show(const observe::ControlRequest& request) const;
  observe::ControlReply pause_or_resume(const observe::ControlRequest& request);
  observe::ControlReply only(const observe::ControlRequest& request, uint64_t client);
  observe::ControlReply limit(const observe::ControlRequest& request);
  observe::ControlDump dump_of(const drive::DiskStand& stand) const;
  observe::ControlReply begin_reply() const;

  loop::Loop& loop_;
  drive::Runner& runner_;
  std::optional<uint64_t> experimenter_;  // whose gates are an experiment's; one at a time
};

}  // namespace headrace::cli
