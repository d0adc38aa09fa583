#include "client/estimate/plugin_estimate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "wire/sendsize.h"

namespace headrace::client {
namespace {

std::string why_unusable(const std::string& name, const base::Result<ChildTalk>& talk) {
  const std::string reason = talk ? talk->complaints.front() : talk.error().what();
  return fmt::format("Application '{}': {}", name, reason);
}

}  // namespace

PluginEstimate::PluginEstimate(loop::Loop& loop, const ClientRequest& request, Setup setup)
    : loop_(loop), request_(request), setup_(std::move(setup)) {}

void PluginEstimate::start(Each each, std::move_only_function<void()> done) {
  each_ = std::move(each);
  done_ = std::move(done);
  child_ = std::make_unique<ChildText>(loop_);
  child_->start(setup_.program, {setup_.dle.application.plugin, "support"},
                [this](base::Result<ChildTalk> talk) { supported(std::move(talk)); });
}

void PluginEstimate::supported(base::Result<ChildTalk> talk) {
  if (!talk || !talk->complaints.empty()) {
    report_all(setup_.levels, why_unusable(setup_.dle.application.plugin, talk));
    return next();
  }
  support_ = Support::parse(talk->out);
  if (support_.has("MULTI-ESTIMATE")) {
    runs_.push_back(setup_.levels);
  } else {
    for (int level : setup_.levels) runs_.push_back({level});
  }
  next();
}

void PluginEstimate::next() {
  if (runs_.empty()) {
    // Its owner may destroy us in it.
    auto done = std::move(done_);
    return done();
  }
  const std::vector<int> levels = runs_.front();
  runs_.pop_front();
  auto arguments = plugin_arguments(PluginCommand::estimate,
                                    {.dle = setup_.dle,
                                     .properties = setup_.properties,
                                     .request = request_,
                                     .levels = levels,
                                     .calcsize = setup_.calcsize},
                                    support_);
  if (!arguments) {
    report_all(levels, arguments.error().what());
    return next();
  }
  child_ = std::make_unique<ChildText>(loop_);
  child_->start(setup_.program, std::move(*arguments),
                [this, levels](base::Result<ChildTalk> talk) { estimated(levels, std::move(talk)); });
}

void PluginEstimate::estimated(const std::vector<int>& levels, base::Result<ChildTalk> talk) {
  const std::string& name = setup_.dle.application.plugin;
  if (!talk) {
    report_all(levels, why_unusable(name, talk));
    return next();
  }
  const PluginEstimates said = parse_plugin_estimates(talk->out, levels.front());
  std::vector<std::string> reasons = said.errors;
  reasons.insert(reasons.end(), talk->complaints.begin(), talk->complaints.end());
  const std::string why =
      fmt::format("Application '{}': {}", name,
                  reasons.empty() ? "it gave no size" : fmt::format("{}", fmt::join(reasons, "; ")));
  for (int level : levels) {
    auto kib = said.kib.find(level);
    const bool known = kib != said.kib.end() && kib->second != wire::kNoEstimate;
    each_(level, known ? base::Result<int64_t>(kib->second) : base::fail(base::ErrorKind::gone, why));
  }
  next();
}

void PluginEstimate::report_all(const std::vector<int>& levels, const std::string& why) {
  for (int level : levels) each_(level, base::fail(base::ErrorKind::gone, why));
}

}  // namespace headrace::client
