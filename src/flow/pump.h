// The pump: moves bytes from one Readable to one Writable through a bounded ring, shows them to taps on the
// way, and reports one outcome. It borrows source, sink, taps, gate and throttle; all outlive it. Loop
// thread. With no taps and descriptors on both sides it splices instead of copying. It has no policy: it does
// not know what it carries.
//
//            start            source end          all written, sink finished
//   idle ──────────▶ running ───────────▶ draining ───────────────────────▶ ended
//                      │ ▲                   │
// gate, throttle, wait │ │ ready             │ source or sink failed, cancel()
//                      ▼ │                   ▼
//                    waiting ─────────────▶ ended
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "flow/gate.h"
#include "flow/limits.h"
#include "flow/meter.h"
#include "flow/throttle.h"
#include "loop/loop.h"
#include "loop/stream.h"

namespace headrace::flow {

// Looks at bytes as they pass. see() must not block and must not keep the span.
class Tap {
 public:
  virtual ~Tap() = default;
  virtual void see(base::Bytes bytes) = 0;
};

struct PumpOptions {
  size_t budget_bytes = kDefaultBudgetBytes;
  bool allow_splice = true;
  // finish() the sink at the source's end. When false the outcome comes once the sink has taken every byte,
  // and the owner then finishes or abandons the sink.
  bool finish_sink = true;
  // By which probes tell it from others (doc/tracing.md).
  std::string name = {};
};

class Pump {
 public:
  using Done = std::move_only_function<void(base::Result<>)>;

  Pump(loop::Loop& loop, loop::Readable& source, loop::Writable& sink, PumpOptions options);
  ~Pump();  // cancels silently
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

  void add_tap(Tap& tap);     // before start()
  void set_gate(Gate& gate);  // before start()
  // At any time: from now on it is held by this one, and by no other.
  void set_throttle(Throttle& throttle);
  // `done` is called once, later, with the outcome. A failed source abandons the sink; a failed sink closes
  // the source.
  void start(Done done);
  // Ends now with `cancelled`; closes the source, abandons the sink; `done` is called later.
  void cancel();

  bool spliced() const;
  // Bytes the sink has taken, and where the flow's time went.
  const Meter& meter() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::flow
