// A flow that rewrites what it carries: source, one Transform, one or two sinks. For small streams such as an
// archiver's name list, which becomes INDEX (and STATE) lines. Each sink has its own bound; when either is
// full the source is not read. Borrows all parts. Loop thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "flow/pump.h"

namespace headrace::flow {

class Transform {
 public:
  virtual ~Transform() = default;
  // Consumes `input` wholly and appends what follows from it to the outputs.
  virtual void feed(base::Bytes input, std::string& first, std::string& second) = 0;
  // The source has ended: appends what is left.
  virtual void end(std::string& first, std::string& second) = 0;
};

class TransformPump {
 public:
  // `second` may be null. Both sinks are finished at the end of the source, and abandoned when it fails.
  TransformPump(loop::Loop& loop, loop::Readable& source, Transform& transform, loop::Writable& first,
                loop::Writable* second);
  ~TransformPump();  // cancels silently
  TransformPump(const TransformPump&) = delete;
  TransformPump& operator=(const TransformPump&) = delete;

  // `done` is called once, later. A failed sink does not stop the source from being read to its end (the
  // archiver must not stall); the outcome then carries that failure.
  void start(Pump::Done done);
  uint64_t bytes_in() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::flow
