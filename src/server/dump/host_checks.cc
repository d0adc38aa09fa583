#include "server/dump/host_checks.h"

#include <algorithm>
#include <list>

#include "base/alive.h"
#include "server/dump/client_talk.h"
#include "server/dump/dle_of.h"
#include "server/dump/peer_of.h"
#include "wire/dle_request.h"

namespace headrace::dump {

using base::Result;

namespace {

struct HostJob {
  auth::Peer peer;
  std::vector<config::DiskListEntry> disks;
  std::unique_ptr<ClientTalk> talk;
  HostCheckResult result;
  bool over = false;
};

}  // namespace

class HostChecks::Impl {
 public:
  Impl(loop::Loop& loop, auth::Connector& connector, const config::ServerConfig& config,
       std::vector<config::DiskListEntry> disks)
      : loop_(loop), connector_(connector), config_(config) {
    for (auto& disk : disks) enlist(std::move(disk));
  }

  void start(Done done) {
    done_ = std::move(done);
    if (jobs_.empty()) return report_when_done();
    for (auto& job : jobs_) {
      if (!job.over) greet(job);
    }
    report_when_done();
  }

 private:
  void enlist(config::DiskListEntry disk) {
    auto peer = peer_of(config_, disk);
    if (peer) {
      for (auto& job : jobs_) {
        if (!job.over && same_way(job.peer, *peer)) {
          job.disks.push_back(std::move(disk));
          return;
        }
      }
    }
    auto& job = jobs_.emplace_back();
    job.result.host = disk.host;
    if (!peer) {
      job.result.problem = peer.error().what();
      job.over = true;
      return;
    }
    job.peer = std::move(*peer);
    job.disks.push_back(std::move(disk));
  }

  void greet(HostJob& job) {
    job.talk = std::make_unique<ClientTalk>(loop_, connector_, job.peer, config_.globals.dumpuser,
                                            times_of(config_, config_.globals.ctimeout));
    job.talk->greet([this, &job](Result<wire::FeatureSet> features) {
      if (!features) return over(job, features.error().what());
      ask(job, *features);
    });
  }

  void ask(HostJob& job, const wire::FeatureSet& features) {
    wire::DleRequest request;
    request.options.features = wire::FeatureSet::ours_as_server();
    request.options.maxdumps = static_cast<int>(job.disks.back().dumptype.maxdumps);
    request.options.hostname = job.result.host;
    request.options.config = config_.name;
    for (const auto& disk : job.disks) request.dles.push_back(dle_of(disk));
    job.talk->ask("selfcheck", wire::encode_dle_request(request, wire::DleFor::selfcheck, features),
                  times_of(config_, config_.globals.ctimeout), nullptr,
                  [this, &job](Result<std::string> body) {
                    if (!body) return over(job, body.error().what());
                    auto reply = wire::parse_selfcheck_reply(*body);
                    if (!reply) return over(job, reply.error().what());
                    job.result.messages = std::move(reply->messages);
                    over(job, {});
                  });
  }

  void over(HostJob& job, std::string problem) {
    job.over = true;
    job.result.problem = std::move(problem);
    report_when_done();
  }

  void report_when_done() {
    if (!std::ranges::all_of(jobs_, &HostJob::over) || reported_) return;
    reported_ = true;
    loop_.post([this, alive = alive_.ref()] {
      if (alive.expired()) return;
      std::vector<HostCheckResult> results;
      for (auto& job : jobs_) results.push_back(std::move(job.result));
      auto done = std::move(done_);
      done(std::move(results));
    });
  }

  loop::Loop& loop_;
  auth::Connector& connector_;
  const config::ServerConfig& config_;
  std::list<HostJob> jobs_;
  Done done_;
  bool reported_ = false;
  base::Alive alive_;
};

HostChecks::HostChecks(loop::Loop& loop, auth::Connector& connector, const config::ServerConfig& config,
                       std::vector<config::DiskListEntry> disks)
    : impl_(std::make_unique<Impl>(loop, connector, config, std::move(disks))) {}
HostChecks::~HostChecks() = default;
void HostChecks::start(Done done) { impl_->start(std::move(done)); }

}  // namespace headrace::dump
