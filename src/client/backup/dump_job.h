// One dump as sendbackup drives it, whatever program makes it: what to announce, what to prepare, what to
// run, what to record afterwards. Owned by the service; destroying it gives up whatever is under way. Loop
// thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "client/archive/archiver.h"
#include "client/request.h"
#include "flow/filter_chain.h"

namespace headrace::client {

class DumpJob {
 public:
  virtual ~DumpJob() = default;
  // Makes what the archiver needs on disk. Called once, first; `done` comes later.
  virtual void prepare(std::move_only_function<void(base::Result<>)> done) = 0;
  // MESG lines before "info end", with newlines.
  virtual std::string announcement() const = 0;
  // Things the operator should know before the dump runs; valid after prepare().
  virtual std::vector<std::string> complaints() const = 0;
  virtual std::unique_ptr<Archiver> make_archiver() = 0;
  // Whether the archiver writes a state stream.
  virtual bool has_state() const = 0;
  // Whether the size line goes before the checksums: applications say it themselves, while they run.
  virtual bool size_comes_first() const = 0;
  // Everything is delivered: later levels may build on this dump. `done` gets MESG lines, without newlines,
  // about what could not be recorded.
  virtual void record(std::move_only_function<void(std::vector<std::string>)> done) = 0;
};

// The programs between the archiver and DATA that the DLE asks for.
std::vector<flow::FilterCommand> filters_of(const ClientPaths& paths, const wire::Dle& dle);

// The request's DLE at its level. Refused: a program nobody here can run, properties that make no sense.
base::Result<std::unique_ptr<DumpJob>> make_dump_job(const ClientContext& context,
                                                     const ClientRequest& request);

}  // namespace headrace::client
