#include "server/drive/estimates.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <map>
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

using config::EstimateMethod;
using DiskLevel = std::pair<std::string, int>;

// One host reached in one way.
struct HostJob {
  auth::Peer peer;
  std::vector<EstimateWish> wishes;
  std::unique_ptr<dump::ClientTalk> talk;
  HostOutcome outcome;
  std::set<DiskLevel> answered;
  size_t round = 0;                         // asks for the methods of that place in each disk's list
  std::map<DiskLevel, std::string> before;  // why an earlier method gave no value
  bool over = false;
};

// The methods by which a client may be asked, in the disk's order.
std::vector<EstimateMethod> methods_of(const EstimateWish& wish) {
  std::vector<EstimateMethod> methods;
  for (const auto method : wish.entry.dumptype.estimate)
    if (method != EstimateMethod::server && std::ranges::count(methods, method) == 0)
      methods.push_back(method);
  if (methods.empty()) methods.push_back(EstimateMethod::client);
  return methods;
}

const char* word_of(EstimateMethod method) {
  return method == EstimateMethod::calcsize ? "calcsize" : "client";
}

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
      auto dle = dump::dle_of(wish.entry);
      for (const int level : open_levels(job, wish)) dle.levels.push_back({level, false, {}});
      if (dle.levels.empty()) continue;
      // At first the whole list, as Amanda sends it: a client takes the first that it can do. It does not go
      // on to the next when that one fails, so what is left is asked for anew.
      if (job.round > 0) {
        dle.estimates = {methods_of(wish)[job.round] == EstimateMethod::calcsize
                             ? wire::EstimateMethod::calcsize
                             : wire::EstimateMethod::client};
      } else if (!dle.estimates.empty() && dle.estimates.front() == wire::EstimateMethod::server) {
        // The levels asked for are those that the server knows nothing of.
        std::erase(dle.estimates, wire::EstimateMethod::server);
      }
      levels += dle.levels.size();
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

  // The levels of a disk that this round has to ask for.
  static std::vector<int> open_levels(const HostJob& job, const EstimateWish& wish) {
    if (job.round >= methods_of(wish).size()) return {};
    std::vector<int> levels;
    for (const int level : wish.levels)
      if (!job.answered.contains({wish.entry.disk, level})) levels.push_back(level);
    return levels;
  }

  // No value by this round's method: another follows, or this is the answer.
  void no_value(HostJob& job, const EstimateWish& wish, EstimateAnswer answer) {
    const auto methods = methods_of(wish);
    const DiskLevel key{wish.entry.disk, answer.level};
    if (job.round + 1 < methods.size()) {
      job.before[key] = fmt::format("estimate {}: {}", word_of(methods[job.round]),
                                    answer.problem.empty() ? "no value" : answer.problem);
      return;
    }
    if (!job.answered.insert(key).second) return;
    if (const auto earlier = job.before.find(key); earlier != job.before.end())
      answer.problem = fmt::format("{}; estimate {}: {}", earlier->second, word_of(methods[job.round]),
                                   answer.problem.empty() ? "no value" : answer.problem);
    answered_(answer);
  }

  // Passes on what is new in a reply; returns the host-wide error it names, if any.
  std::string take(HostJob& job, const std::string& body) {
    auto reply = wire::parse_sendsize_reply(body);
    if (!reply) return reply.error().what();
    for (const auto& estimate : reply->estimates) {
      const auto wish = std::ranges::find_if(job.wishes, [&](const EstimateWish& it) {
        return it.entry.disk == estimate.disk && std::ranges::count(it.levels, estimate.level) > 0;
      });
      if (wish == job.wishes.end() || (!estimate.kib && estimate.errors.empty())) continue;
      const auto methods = methods_of(*wish);
      const DiskLevel key{estimate.disk, estimate.level};
      if (job.round >= methods.size() || job.answered.contains(key)) continue;
      EstimateAnswer answer{.host = job.peer.host,
                            .disk = estimate.disk,
                            .level = estimate.level,
                            .kib = estimate.kib.value_or(wire::kNoEstimate)};
      if (!estimate.errors.empty()) {
        answer.problem = estimate.errors.front();
        answer.said_by_client = true;
      }
      if (!estimate.warnings.empty()) answer.warning = estimate.warnings.front();
      if (answer.kib < 0) {
        no_value(job, *wish, std::move(answer));
        continue;
      }
      job.answered.insert(key);
      answer.method = methods[job.round];
      if (const auto earlier = job.before.find(key); earlier != job.before.end())
        answer.before = earlier->second;
      answered_(answer);
    }
    return reply->errors.empty() ? std::string() : reply->errors.front();
  }

  // What has no value yet is asked for by the next method, if there is one. What then never was answered has
  // none; the host itself answered noop and can be tried.
  void finish(HostJob& job, const std::string& problem) {
    const std::string silence = problem.empty() ? "the client gave no estimate" : problem;
    for (const auto& wish : job.wishes) {
      for (const int level : open_levels(job, wish)) {
        if (job.round + 1 < methods_of(wish).size() && job.before.contains({wish.entry.disk, level}))
          continue;
        no_value(job, wish,
                 {.host = job.peer.host, .disk = wish.entry.disk, .level = level, .problem = silence});
      }
    }
    ++job.round;
    const bool more = std::ranges::any_of(
        job.wishes, [&job](const EstimateWish& wish) { return !open_levels(job, wish).empty(); });
    if (more) return ask(job);
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
