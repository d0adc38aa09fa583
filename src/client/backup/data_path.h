// The way of a dump's bytes on the client: from the archiver through the programs that compress or encrypt
// them, if any, to the DATA stream, with a checksum at either end. Borrows source and sink. Loop thread.
//
//   archiver ─▶ [native CRC] ─▶ filter ─▶ filter ─▶ [client CRC] ─▶ DATA
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

namespace headrace::client {

struct FilterCommand {
  std::string role;  // "compress", "encrypt": what messages call it
  std::string program;
  std::vector<std::string> arguments;  // argv, with argv[0]
  std::optional<loop::ChildUser> user = {};
};

struct DataOutcome {
  base::CrcAndSize native;  // what the archiver wrote
  base::CrcAndSize client;  // what went out
};

class DataPath {
 public:
  using Message = std::move_only_function<void(std::string_view line)>;
  using Done = std::move_only_function<void(base::Result<DataOutcome>)>;

  // Destroying it ends the filters.
  DataPath(loop::Loop& loop, loop::Readable& source, loop::Writable& sink);
  ~DataPath();
  DataPath(const DataPath&) = delete;
  DataPath& operator=(const DataPath&) = delete;

  // `message` gets each line a filter says on its standard error. `done` comes when the sink has everything
  // and the filters have ended, or at the first failure. Error: a filter that cannot be started.
  base::Result<> start(const std::vector<FilterCommand>& filters, Message message, Done done);
  // The sink has everything; filters may not have ended yet.
  bool delivered() const { return delivered_; }
  // Bytes sent, and where the time went; of the last joint.
  const flow::Meter& meter() const { return pumps_.back()->meter(); }

 private:
  struct Filter;
  base::Result<> start_filter(const FilterCommand& command);
  void start_pumps();
  void filter_ended(Filter& filter, loop::ExitStatus status);
  void part_ended(base::Result<> outcome);

  loop::Loop& loop_;
  loop::Readable& source_;
  loop::Writable& sink_;
  Message message_;
  Done done_;
  std::vector<std::unique_ptr<Filter>> filters_;
  flow::CrcTap native_;
  flow::CrcTap client_;
  std::vector<std::unique_ptr<flow::Pump>> pumps_;
  size_t parts_left_ = 0;
  bool delivered_ = false;
};

}  // namespace headrace::client
