// The estimates of one DLE: one run of tar a level, one after the other. Owned by the service; destroying it
// ends the run under way. Loop thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/alive.h"
#include "base/error.h"
#include "client/archive/tar_plan.h"
#include "client/estimate/estimator.h"
#include "flow/lines.h"
#include "loop/process.h"

namespace headrace::client {

class TarEstimate : public Estimator {
 public:
  TarEstimate(const ClientContext& context, TarPlan plan, std::vector<int> levels, std::string config_name);
  ~TarEstimate() override;
  TarEstimate(const TarEstimate&) = delete;
  TarEstimate& operator=(const TarEstimate&) = delete;

  void start(Each each, std::move_only_function<void()> done) override;

 private:
  // What the worker makes; shared with it, since the estimate may be given up meanwhile.
  struct Prepared {
    std::unique_ptr<TarFiles> files;
    base::Result<> outcome;
  };
  void next();
  void prepared(Prepared& made);
  base::Result<> run();
  void line(std::string_view text);
  void finish_if_all_ended();
  base::Result<int64_t> result() const;
  void report(base::Result<int64_t> kib);

  const ClientContext& context_;
  std::shared_ptr<const TarPlan> plan_;  // shared with workers, as Prepared
  std::deque<int> levels_;
  std::string config_name_;
  compat::TarMessages messages_;
  Each each_;
  std::move_only_function<void()> done_;

  // Of the run under way.
  std::unique_ptr<TarFiles> files_;
  std::unique_ptr<loop::Process> process_;
  std::unique_ptr<loop::Duplex> text_;
  std::unique_ptr<flow::LineReader> reader_;
  std::optional<loop::ExitStatus> exit_;
  bool text_ended_ = false;
  std::optional<uint64_t> size_bytes_;
  std::string last_strange_;
  base::Alive alive_;
};

}  // namespace headrace::client
