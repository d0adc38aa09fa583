// Runs a program that only talks, and collects all it says: an application's support, estimate and selfcheck.
// Destroying it ends the program. Loop thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/alive.h"
#include "base/error.h"
#include "flow/lines.h"
#include "loop/loop.h"
#include "loop/process.h"

namespace headrace::client {

// More than this of a program's talk is an error.
inline constexpr size_t kMaxChildTextBytes = size_t{4} << 20U;

struct ChildTalk {
  std::string out;
  std::vector<std::string> complaints;  // lines of its standard error, and how it ended if not well
};

class ChildText {
 public:
  using Done = std::move_only_function<void(base::Result<ChildTalk>)>;
  explicit ChildText(loop::Loop& loop) : loop_(loop) {}
  ChildText(const ChildText&) = delete;
  ChildText& operator=(const ChildText&) = delete;

  // `done` comes once, later; this may be destroyed in it. Error: the program cannot be run, or talks without
  // end.
  void start(const std::string& program, std::vector<std::string> arguments, Done done);

 private:
  base::Result<> run(const std::string& program, std::vector<std::string> arguments);
  void report(base::Result<ChildTalk> talk);
  base::Result<> read(int number, std::unique_ptr<loop::Duplex>& stream,
                      std::unique_ptr<flow::LineReader>& reader,
                      std::move_only_function<void(std::string_view)> line);
  void part_ended(const base::Result<>& outcome);

  loop::Loop& loop_;
  Done done_;
  ChildTalk talk_;
  size_t bytes_ = 0;
  int parts_left_ = 3;
  std::optional<base::Error> failure_;
  std::unique_ptr<loop::Process> process_;
  std::unique_ptr<loop::Duplex> out_;
  std::unique_ptr<loop::Duplex> err_;
  std::unique_ptr<flow::LineReader> out_reader_;
  std::unique_ptr<flow::LineReader> err_reader_;
  base::Alive alive_;
};

}  // namespace headrace::client
