// A dump whose client throws the data away (wire::Dle::discard): nothing of it comes but messages, and of
// these the meters are what it is made for. For Headrace clients alone. Owned by who measures; destroying it
// cancels: the connection closes and the client ends its archiver. Loop thread. See doc/discarded-dumps.md.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "auth/connect.h"
#include "server/dump/dump.h"
#include "wire/meter_line.h"

namespace headrace::dump {

class DiscardedDump {
 public:
  using Done = std::move_only_function<void(base::Result<>)>;
  // Borrows loop and connector. The request's DLE says where to discard, and is neither recorded nor indexed.
  DiscardedDump(loop::Loop& loop, auth::Connector& connector, DumpRequest request);
  ~DiscardedDump();
  DiscardedDump(const DiscardedDump&) = delete;
  DiscardedDump& operator=(const DiscardedDump&) = delete;

  // `done` comes once, later: it has come to its end, or why not. Refused when the client sends data all the
  // same.
  void start(Done done);
  // Whether the client may read its source. At any time.
  void set_open(bool open);
  // As the client last said; nothing before it has.
  const std::optional<wire::MeterLine>& meters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::dump
