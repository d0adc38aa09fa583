#include "server/drive/estimates.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <set>

#include "base/alive.h"
#include "server/dump/client_talk.h"
#include "server/dump/dle_of.h"
#include "server/dump/peer_of.h"
#include "wire/dle_request.h"
#include "wire/sendsize.h"

namespace headrace::drive {

using base::Result;

namespace {

// One host reached in one way.
struct HostJob {
  auth::Peer peer;
  std::vector<EstimateWish> wishes;
  std::unique_ptr<dump::ClientTalk> talk;
  HostOutcome outcome;
  std::set<std::pair<std::string, int>> answered;
  bool over = false;
};

}  // namespace

class Estimates::Impl {
 public:
  Impl(loop::Loop& loop, auth::Connector& connector, const config::ServerConfig& config,
       std::string timestamp, std::vector<EstimateWish> wishes)
      : loop_(loop),
        connector_(connector),
        config_(config),
        timestamp_(std::move(timestamp)),
        wishes_(std::move(wishes)) {}

  void start(Answered answered, Done done) {
    answered_ = std::move(answered);
    done_ = std::move(done);
    for (auto& wish : wishes_) enlist(std::move(wish));
    wishes_.clear();
    if (jobs_.empty()) return report_when_done();
    for (auto& job : jobs_) greet(job);
  }

 private:
  void enlist(EstimateWish wish) {
    auto peer = dump::peer_of(config_, wish.entry);
    if (!peer) {
      outcomes_[{wish.entry.host, wish.entry.disk}].problem = peer.error().what();
      return;
    }
    for (auto& job : jobs_) {
      if (dump::same_way(job.peer, *peer)) {
        job.wishes.push_back(std::move(wish));
        return;
      }
    }
    auto& job = jobs_.emplace_back();
    job.peer = std::move(*peer);
    job.wishes.push_back(std::move(wish));
  }

  void greet(HostJob& job) {
    job.talk = std::make_unique<dump::ClientTalk>(loop_, connector_, job.peer, config_.globals.dumpuser,
                                                  dump::times_of(config_, config_.globals.ctimeout));
    job.talk->greet([this, &job](Result<wire::FeatureSet> features) {
      if (!features) return over(job, features.error().what());
      job.outcome.features = *features;
      ask(job);
    });
  }

  void ask(HostJob& job) {
    wire::DleRequest request;
    request.options.features = wire::FeatureSet::ours_as_server();
    request.options.maxdumps = static_cast<int>(job.wishes.back().entry.dumptype.maxdumps);
    request.options.hostname = job.wishes.front().entry.host;
    request.options.config = config_.name;
    request.options.timestamp = timestamp_;
    size_t levels = 0;
    for (const auto& wish : job.wishes) {
      if (wish.levels.empty()) continue;
      auto dle = dump::dle_of(wish.entry);
      for (const int level : wish.levels) dle.levels.push_back({level, false, {}});
      levels += wish.levels.size();
      request.dles.push_back(std::move(dle));
    }
    if (request.dles.empty()) return over(job, {});
    // etimeout counts for each level asked, or, when negative, for the whole host.
    auto patience = config_.globals.etimeout;
    patience = patience.count() < 0 ? -patience : patience * static_cast<int64_t>(levels);
    auto arguments = wire::encode_dle_request(request, wire::DleFor::sendsize, job.outcome.features);
    job.talk->ask(
        "sendsize", std::move(arguments), dump::times_of(config_, patience),
        [this, &job](const std::string& body) { take(job, body); },
        [this, &job](Result<std::string> body) {
          if (!body) return finish(job, body.error().what());
          finish(job, take(job, *body));
        });
  }

  // Passes on what is new in a reply; returns the host-wide error it names, if any.
  std::string take(HostJob& job, const std::string& body) {
    auto reply = wire::parse_sendsize_reply(body);
    if (!reply) return reply.error().what();
    for (const auto& estimate : reply->estimates) {
      const bool wished = std::ranges::any_of(job.wishes, [&](const EstimateWish& wish) {
        return wish.entry.disk == estimate.disk && std::ranges::count(wish.levels, estimate.level) > 0;
      });
      if (!wished || (!estimate.kib && estimate.errors.empty())) continue;
      if (!job.answered.insert({estimate.disk, estimate.level}).second) continue;
      EstimateAnswer answer{job.peer.host,
                            estimate.disk,
                            estimate.level,
                            estimate.kib.value_or(wire::kNoEstimate),
                            {},
                            false,
                            {}};
      if (!estimate.errors.empty()) {
        answer.problem = estimate.errors.front();
        answer.said_by_client = true;
      }
      if (!estimate.warnings.empty()) answer.warning = estimate.warnings.front();
      answered_(answer);
    }
    return reply->errors.empty() ? std::string() : reply->errors.front();
  }

  // What was wished and never answered has no value; the host itself answered noop and can be tried.
  void finish(HostJob& job, const std::string& problem) {
    for (const auto& wish : job.wishes) {
      for (const int level : wish.levels) {
        if (!job.answered.insert({wish.entry.disk, level}).second) continue;
        answered_({job.peer.host,
                   wish.entry.disk,
                   level,
                   wire::kNoEstimate,
                   problem.empty() ? "the client gave no estimate" : problem,
                   false,
                   {}});
      }
    }
    over(job, {});
  }

  void over(HostJob& job, std::string problem) {
    job.over = true;
    job.outcome.problem = std::move(problem);
    for (const auto& wish : job.wishes) outcomes_[{wish.entry.host, wish.entry.disk}] = job.outcome;
    report_when_done();
  }

  void report_when_done() {
    if (!std::ranges::all_of(jobs_, &HostJob::over)) return;
    loop_.post([this, alive = alive_.ref()] {
      if (alive.expired() || !done_) return;
      auto done = std::move(done_);
      done(std::move(outcomes_));
    });
  }

  loop::Loop& loop_;
  auth::Connector& connector_;
  const config::ServerConfig& config_;
  std::string timestamp_;
  std::vector<EstimateWish> wishes_;
  Answered answered_;
  Done done_;
  std::list<HostJob> jobs_;
  HostOutcomes outcomes_;
  base::Alive alive_;
};

Estimates::Estimates(loop::Loop& loop, auth::Connector& connector, const config::ServerConfig& config,
                     std::string timestamp, std::vector<EstimateWish> wishes)
    : impl_(std::make_unique<Impl>(loop, connector, config, std::move(timestamp), std::move(wishes))) {}
Estimates::~Estimates() = default;
void Estimates::start(Answered answered, Done done) { impl_->start(std::move(answered), std::move(done)); }

}  // namespace headrace::drive
