// A program that writes a dump: where its data comes from, and what it says meanwhile. Owned by the dump; its
// end is reported once. Destroying a running one ends the program. Loop thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "loop/stream.h"

namespace headrace::client {

struct ArchiverSinks {
  loop::Writable* index = nullptr;  // null: not wanted. Finished when the archiver has ended.
  loop::Writable* state = nullptr;  // as index
  // Gets lines for MESG, without newlines: "| …", "? …", "sendbackup: …".
  std::move_only_function<void(std::string_view line)> message;
};

struct ArchiverOutcome {
  std::optional<uint64_t>
      size_kib;               // of the dump, before compression; nothing when the program told MESG itself
  std::string failure;        // empty: the dump is good as far as the program knows
  bool failure_told = false;  // the program told MESG itself
};

class Archiver {
 public:
  using Done = std::move_only_function<void(ArchiverOutcome)>;
  virtual ~Archiver() = default;
  // Starts the program. `done` comes when it has ended and all that it said has been passed on; data() may
  // still hold bytes then. Without an error, data() is there.
  virtual base::Result<> start(ArchiverSinks sinks, Done done) = 0;
  virtual loop::Readable& data() = 0;
  // The running program, for asking what it does with its time; -1 before start().
  virtual pid_t pid() const = 0;
};

}  // namespace headrace::client
