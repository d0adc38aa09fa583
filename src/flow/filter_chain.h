// The way of bytes through programs that change them (compression, encryption): source, child programs, sink,
// a pump at each joint, a checksum at either end. Borrows source, sink, gate and throttle. Loop thread. It
// does not know what the programs do. Gate and throttle hold the first joint: what has entered goes through.
//
//   source ─▶ [CRC entered] ─▶ filter ─▶ filter ─▶ [CRC left] ─▶ sink
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/crc32c.h"
#include "base/error.h"
#include "flow/crc_tap.h"
#include "flow/lines.h"
#include "flow/pump.h"
#include "loop/loop.h"
#include "loop/process.h"

namespace headrace::flow {

struct FilterCommand {
  std::string role;                    // "compress", "encrypt": what messages call it
  std::string program;                 // absolute path
  std::vector<std::string> arguments;  // argv, with argv[0]
  std::vector<std::string> environment = {};
  std::optional<loop::ChildUser> user = {};
};

struct ChainOptions {
  std::string name = {};  // as PumpOptions::name, of all its pumps
  // Without, nothing looks at the bytes, and what can be spliced is.
  bool checksums = true;
  // As PumpOptions::finish_sink, of the last joint.
  bool finish_sink = true;
};

// Unknown without checksums.
struct ChainOutcome {
  base::CrcAndSize entered;  // what the source gave
  base::CrcAndSize left;     // what the sink took
};

// After a filter has stopped reading: for its exit status, which says more than a broken pipe.
inline constexpr base::Duration kFilterExitGrace = std::chrono::seconds(2);

class FilterChain {
 public:
  // `role` of the filter that said it.
  using Message = std::move_only_function<void(std::string_view role, std::string_view line)>;
  using Done = std::move_only_function<void(base::Result<ChainOutcome>)>;

  // Destroying it ends the filters.
  FilterChain(loop::Loop& loop, loop::Readable& source, loop::Writable& sink, ChainOptions options = {});
  ~FilterChain();
  FilterChain(const FilterChain&) = delete;
  FilterChain& operator=(const FilterChain&) = delete;

  void set_gate(Gate& gate) { gate_ = &gate; }  // before start()
  // At any time; as Pump::set_throttle().
  void set_throttle(Throttle& throttle);
  // `message` gets each line a filter says on its standard error. `done` comes when the sink has everything
  // and the filters have ended, or at the first failure; it may destroy the chain. Error: a filter that
  // cannot be started.
  base::Result<> start(const std::vector<FilterCommand>& filters, Message message, Done done);
  // The sink has everything; filters may not have ended yet.
  bool delivered() const { return delivered_; }
  // Bytes the sink took, and where the time went; of the last joint.
  const Meter& meter() const { return pumps_.back()->meter(); }
  // Of the first joint: bytes that came from the source.
  const Meter& entry_meter() const { return pumps_.front()->meter(); }
  // Of all that has passed a joint; grows as long as anything moves.
  uint64_t moved_bytes() const;
  // Of all joints in order: from the source, then from each filter. Valid while this lives.
  std::vector<const Meter*> meters() const;
  // The filters in order, for asking what they do with their time.
  struct Program {
    std::string role;
    pid_t pid = -1;
  };
  std::vector<Program> programs() const;

 private:
  struct Filter;
  base::Result<> start_filter(const FilterCommand& command);
  void start_pumps();
  void pump_ended(size_t joint, base::Result<> outcome);
  void filter_ended(size_t which, loop::ExitStatus status);
  void part_ended(base::Result<> outcome);

  loop::Loop& loop_;
  loop::Readable& source_;
  loop::Writable& sink_;
  const ChainOptions options_;
  Gate* gate_ = nullptr;
  Throttle* throttle_ = nullptr;
  Message message_;
  Done done_;
  std::vector<std::unique_ptr<Filter>> filters_;
  CrcTap entered_;
  CrcTap left_;
  std::vector<std::unique_ptr<Pump>> pumps_;
  std::unique_ptr<loop::Timer> exit_grace_;
  size_t parts_left_ = 0;
  bool delivered_ = false;
};

}  // namespace headrace::flow
