// An application of the Application API as an Archiver: data on descriptor 1, MESG lines on 3, index lines on
// 4, state on a descriptor of its own; what it says on 2 are errors.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/archive/archiver.h"
#include "flow/lines.h"
#include "flow/pump.h"
#include "loop/loop.h"
#include "loop/process.h"

namespace headrace::client {

// Where applications that support it are told to write their state.
inline constexpr int kPluginStateFd = 5;

class PluginArchiver : public Archiver {
 public:
  struct Setup {
    std::string name;
    std::string program;
    std::vector<std::string> arguments;  // of "backup", with --state-stream kPluginStateFd if it has one
  };
  PluginArchiver(loop::Loop& loop, Setup setup) : loop_(loop), setup_(std::move(setup)) {}
  base::Result<> start(ArchiverSinks sinks, Done done) override;
  loop::Readable& data() override { return *pipes_[1]; }
  pid_t pid() const override { return process_ ? process_->pid() : -1; }

 private:
  static constexpr int kDescriptors = kPluginStateFd + 1;
  base::Result<> spawn_with_pipes();
  void read_lines(int number, std::unique_ptr<flow::LineReader>& reader, std::string before,
                  std::string after);
  void carry(int number, std::unique_ptr<flow::Pump>& pump, loop::Writable* sink);
  void tell(const std::string& line);
  void part_ended(const base::Result<>& outcome, const char* part);

  loop::Loop& loop_;
  Setup setup_;
  ArchiverSinks sinks_;
  Done done_;
  std::unique_ptr<loop::Process> process_;
  std::unique_ptr<loop::Duplex> pipes_[kDescriptors];
  std::unique_ptr<flow::LineReader> errors_;
  std::unique_ptr<flow::LineReader> messages_;
  std::unique_ptr<flow::Pump> index_;
  std::unique_ptr<flow::Pump> state_;
  int parts_left_ = 0;
  ArchiverOutcome outcome_;
};

}  // namespace headrace::client
