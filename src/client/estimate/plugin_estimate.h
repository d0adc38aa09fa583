// Estimates made by an application: all levels in one run where it can, else a run a level.
#pragma once

#include <deque>
#include <filesystem>
#include <memory>
#include <vector>

#include "client/archive/application_api.h"
#include "client/archive/child_text.h"
#include "client/estimate/estimator.h"

namespace headrace::client {

class PluginEstimate : public Estimator {
 public:
  struct Setup {
    std::filesystem::path program;
    wire::Dle dle;
    std::vector<wire::Property> properties;
    std::vector<int> levels;
    bool calcsize = false;
  };
  // The request outlives this.
  PluginEstimate(loop::Loop& loop, const ClientRequest& request, Setup setup);
  void start(Each each, std::move_only_function<void()> done) override;

 private:
  void supported(base::Result<ChildTalk> talk);
  void next();
  void estimated(const std::vector<int>& levels, base::Result<ChildTalk> talk);
  void report_all(const std::vector<int>& levels, const std::string& why);

  loop::Loop& loop_;
  const ClientRequest& request_;
  Setup setup_;
  Each each_;
  std::move_only_function<void()> done_;
  Support support_;
  std::deque<std::vector<int>> runs_;  // the levels of each run to come
  std::unique_ptr<ChildText> child_;
};

}  // namespace headrace::client
