#include "client/estimate/sendsize.h"

#include <algorithm>
#include <optional>

#include "base/alive.h"
#include "client/archive/archiver_choice.h"
#include "client/estimate/plugin_estimate.h"
#include "client/estimate/tar_estimate.h"
#include "wire/sendsize.h"

namespace headrace::client {
namespace {

constexpr auto kPartialInterval = std::chrono::seconds(2);

// A DLE's levels, told apart by who can say something about them.
struct Division {
  std::vector<int> ours;     // to be estimated here
  std::vector<int> servers;  // the server has figures of its own
};

Division divide(const wire::Dle& dle) {
  using Method = wire::EstimateMethod;
  const auto& methods = dle.estimates;
  const bool server_first = !methods.empty() && methods.front() == Method::server;
  const bool ours_possible =
      methods.empty() || std::ranges::any_of(methods, [](Method m) { return m != Method::server; });
  Division out;
  for (const wire::DleLevel& level : dle.levels) {
    const bool theirs = server_first && (level.server || !ours_possible);
    (theirs ? out.servers : out.ours).push_back(level.level);
  }
  return out;
}

bool first_is_calcsize(const wire::Dle& dle) {
  const auto ours = std::ranges::find_if(
      dle.estimates, [](wire::EstimateMethod m) { return m != wire::EstimateMethod::server; });
  return ours != dle.estimates.end() && *ours == wire::EstimateMethod::calcsize;
}

// One entry a disk: the levels of later entries of the same disk go to the first.
std::vector<wire::Dle> merged(std::vector<wire::Dle> dles) {
  std::vector<wire::Dle> out;
  for (wire::Dle& dle : dles) {
    auto same = std::ranges::find(out, dle.disk, &wire::Dle::disk);
    if (same == out.end()) {
      out.push_back(std::move(dle));
    } else {
      same->levels.insert(same->levels.end(), dle.levels.begin(), dle.levels.end());
    }
  }
  return out;
}

class Sendsize : public exchange::Service {
 public:
  Sendsize(const ClientContext& context, exchange::ServiceCall& call) : context_(context), call_(call) {}

  void start() override {
    reply_.features = wire::FeatureSet::ours_as_client();
    auto request = read_request(context_, call_.request(), wire::DleFor::sendsize);
    if (!request) {
      reply_.errors.push_back(request.error().what());
      peer_ = peer_features(call_.request());
      return answer();
    }
    request_ = std::make_unique<ClientRequest>(std::move(*request));
    peer_ = request_->peer;
    for (wire::Dle& dle : merged(std::move(request_->wire.dles))) add_job(dle);
    start_what_may();
  }

 private:
  struct Job {
    std::string disk;
    int spindle = -1;
    std::unique_ptr<Estimator> estimate;
    bool running = false;
  };

  void add_job(const wire::Dle& dle) {
    const Division levels = divide(dle);
    for (int level : levels.servers) note(dle.disk, level, wire::kNoEstimate);
    if (levels.ours.empty()) return;
    auto estimator = estimator_of(dle, levels.ours);
    if (!estimator) {
      for (int level : levels.ours) note(dle.disk, level, std::unexpected(estimator.error()));
      return;
    }
    auto job = std::make_unique<Job>();
    job->disk = dle.disk;
    job->spindle = dle.spindle;
    job->estimate = std::move(*estimator);
    jobs_.push_back(std::move(job));
  }

  base::Result<std::unique_ptr<Estimator>> estimator_of(const wire::Dle& dle,
                                                        const std::vector<int>& levels) {
    if (auto missing = unsupported(dle)) return base::fail(base::ErrorKind::unsupported, *missing);
    auto program = archiver_of(context_, dle);
    if (!program) return std::unexpected(std::move(program).error());
    if (program->plugin) {
      auto properties = application_properties(dle, request_->config);
      if (!properties) return std::unexpected(std::move(properties).error());
      PluginEstimate::Setup setup{*program->plugin, dle, std::move(*properties), levels,
                                  first_is_calcsize(dle)};
      return std::make_unique<PluginEstimate>(context_.loop, *request_, std::move(setup));
    }
    auto plan = plan_tar(context_, *request_, dle, TarPurpose::estimate);
    if (!plan) return std::unexpected(std::move(plan).error());
    return std::make_unique<TarEstimate>(context_, std::move(*plan), levels, request_->wire.options.config);
  }

  bool spindle_is_busy(int spindle) const {
    return spindle != -1 && std::ranges::any_of(jobs_, [spindle](const auto& job) {
             return job->running && job->spindle == spindle;
           });
  }

  void start_what_may() {
    const auto limit = static_cast<size_t>(std::max(1, request_->wire.options.maxdumps));
    for (auto& job : jobs_) {
      if (running_ >= limit) break;
      if (!job->running && !spindle_is_busy(job->spindle)) start_job(*job);
    }
    if (jobs_.empty()) answer();
  }

  void start_job(Job& job) {
    job.running = true;
    ++running_;
    job.estimate->start(
        [this, disk = job.disk](int level, base::Result<int64_t> kib) {
          note(disk, level, std::move(kib));
          tell_partial();
        },
        [this, ended = &job] {
          --running_;
          std::erase_if(jobs_, [ended](const auto& other) { return other.get() == ended; });
          start_what_may();
        });
  }

  void note(const std::string& disk, int level, base::Result<int64_t> kib) {
    wire::Estimate estimate;
    estimate.disk = disk;
    estimate.level = level;
    if (kib) {
      estimate.kib = *kib;
    } else {
      estimate.kib = wire::kNoEstimate;
      estimate.errors.push_back(kib.error().what());
    }
    reply_.estimates.push_back(std::move(estimate));
  }

  void tell_partial() {
    if (!peer_.has(wire::Feature::partial_estimate)) return;
    const base::Instant now = context_.loop.clock().now();
    if (last_partial_ && now - *last_partial_ < kPartialInterval) return;
    last_partial_ = now;
    call_.reply_partial(wire::encode_sendsize_reply(reply_, peer_));
  }

  void answer() {
    call_.reply(wire::encode_sendsize_reply(reply_, peer_));
    call_.finished();
  }

  const ClientContext& context_;
  exchange::ServiceCall& call_;
  std::unique_ptr<ClientRequest> request_;
  wire::FeatureSet peer_;
  wire::SendsizeReply reply_;
  std::vector<std::unique_ptr<Job>> jobs_;
  size_t running_ = 0;
  std::optional<base::Instant> last_partial_;
};

}  // namespace

std::unique_ptr<exchange::Service> make_sendsize(const ClientContext& context, exchange::ServiceCall& call) {
  return std::make_unique<Sendsize>(context, call);
}

}  // namespace headrace::client
