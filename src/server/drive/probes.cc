#include "server/drive/probes.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/alive.h"
#include "flow/discard.h"
#include "server/drive/estimates.h"
#include "server/drive/holding_target.h"
#include "server/dump/discarded_dump.h"
#include "server/dump/dle_of.h"
#include "server/dump/peer_of.h"
#include "server/hold/date_directory.h"

namespace headrace::drive {

using base::ErrorKind;
using base::Result;

namespace {

constexpr auto kReplyTimeout = std::chrono::seconds(60);
constexpr auto kLookEvery = std::chrono::milliseconds(100);
constexpr size_t kMaxMessages = 50;

uint64_t ms(base::Duration duration) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

// Throws the image away, on its way to the holding disk or instead of it.
class ProbeTarget : public dump::Target {
 public:
  ProbeTarget(loop::Loop& loop, std::unique_ptr<HoldingTarget> holding)
      : loop_(loop), holding_(std::move(holding)), discard_(loop) {}

  Result<loop::Writable*> open(const wire::DumpHeader& header) override {
    if (holding_) return holding_->open(header);
    return &discard_;
  }
  void finish(const wire::DumpHeader&, std::move_only_function<void(Result<>)> done) override {
    abandon();
    loop_.post([done = std::move(done)]() mutable { done({}); });
  }
  void abandon() override {
    if (holding_) holding_->abandon();
  }

 private:
  loop::Loop& loop_;
  std::unique_ptr<HoldingTarget> holding_;
  flow::Discard discard_;
};

struct Probe {
  config::DiskListEntry entry;
  std::unique_ptr<ProbeTarget> target;
  std::unique_ptr<dump::Dump> dump;                // until network and holding
  std::unique_ptr<dump::DiscardedDump> discarded;  // until source and client
  bool over = false;
  std::string problem = {};
  uint64_t bytes = 0;  // when it was over
  bool open = true;
};

}  // namespace

class Probes::Impl {
 public:
  Impl(loop::Loop& loop, auth::Connector& connector, const config::ServerConfig& config,
       std::vector<config::DiskListEntry> disks, Until until, std::string timestamp)
      : loop_(loop),
        connector_(connector),
        config_(config),
        until_(until),
        timestamp_(std::move(timestamp)),
        space_(config.holding_disks) {
    for (auto& disk : disks) probes_.emplace_back().entry = std::move(disk);
  }

  ~Impl() {
    probes_.clear();
    for (const auto& directory : claimed_) (void)hold::leave(directory);
  }

  void start(std::move_only_function<void()> ready) {
    ready_ = std::move(ready);
    if (until_ == Until::holding) claim_holding();
    std::vector<EstimateWish> wishes;
    for (auto& probe : probes_) {
      probe.problem = dump::why_not(probe.entry);
      probe.over = !probe.problem.empty();
      if (!probe.over) wishes.push_back({probe.entry, {}});
    }
    features_ = std::make_unique<Estimates>(loop_, connector_, config_, timestamp_, std::move(wishes));
    features_->start([](const EstimateAnswer&) {}, [this](HostOutcomes hosts) { begin(hosts); });
    deadline_ = loop_.after(kMostWait, [this] { say_ready(); });
  }

  void open_only(const std::vector<size_t>& open) {
    for (size_t i = 0; i < probes_.size(); ++i) {
      auto& probe = probes_[i];
      probe.open = std::ranges::find(open, i) != open.end();
      if (probe.discarded) probe.discarded->set_open(probe.open);
      if (!probe.dump) continue;
      if (probe.open)
        probe.dump->gate().reopen();
      else
        probe.dump->gate().close();
    }
  }

  std::vector<Stand> stands() const {
    std::vector<Stand> out;
    for (const auto& probe : probes_) out.push_back(stand_of(probe));
    return out;
  }

 private:
  static Stand stand_of(const Probe& probe) {
    Stand stand{.runs = !probe.over, .problem = probe.problem, .bytes = probe.bytes};
    if (probe.dump) {
      stand.bytes = probe.dump->bytes();
      if (const auto meters = probe.dump->meters(); !meters.empty()) {
        const auto* meter = meters.front();
        stand.starved_ms = ms(meter->snapshot().starved);
        stand.blocked_ms = ms(meter->snapshot().blocked);
      }
    }
    if (probe.discarded && probe.discarded->meters() && !probe.discarded->meters()->joints.empty()) {
      const auto& joints = probe.discarded->meters()->joints;
      stand.bytes = joints.back().bytes;
      stand.starved_ms = joints.front().starved_ms;
      stand.blocked_ms = joints.front().blocked_ms;
      stand.at_ms = probe.discarded->meters()->at_ms;
    }
    stand.flows = stand.bytes > 0;
    return stand;
  }

  // What is over is what called us, or about to.
  template <class T>
  void let_go(std::unique_ptr<T> spent) {
    auto held = std::make_shared<std::unique_ptr<T>>(std::move(spent));
    loop_.post([held] { held->reset(); });
  }

  void claim_holding() {
    (void)space_.disks().measure(hold::statvfs_free_kib);  // a disk that cannot be used has no room
    for (const auto& disk : config_.holding_disks)
      if (hold::claim(disk.directory / timestamp_)) claimed_.push_back(disk.directory / timestamp_);
  }

  std::unique_ptr<HoldingTarget> holding_target() {
    auto reservation = space_.disks().reserve(hold::kLeastKib);
    if (!reservation) return nullptr;
    return std::make_unique<HoldingTarget>(loop_, space_, std::move(*reservation), timestamp_, [this] {
      loop_.post([this, alive = alive_.ref()] {
        if (!alive.expired()) space_.settle_waiting(false);
      });
    });
  }

  void begin(const HostOutcomes& hosts) {
    for (auto& probe : probes_) {
      if (probe.over) continue;
      const auto found = hosts.find({probe.entry.host, probe.entry.disk});
      probe.problem = found == hosts.end() ? "its client was not asked" : found->second.problem;
      if (probe.problem.empty()) probe.problem = begin_dump(probe, found->second.features);
      probe.over = !probe.problem.empty();
    }
    look();
  }

  // Why it cannot be begun; empty when it was.
  std::string begin_dump(Probe& probe, const wire::FeatureSet& features) {
    auto peer = dump::peer_of(config_, probe.entry);
    if (!peer) return peer.error().what();
    const bool discards = until_ == Until::source || until_ == Until::client;
    if (discards && !features.of_headrace())
      return "its client is no Headrace client: only --until network and holding can be measured";
    std::unique_ptr<HoldingTarget> holding;
    if (until_ == Until::holding && !(holding = holding_target())) return "no holding disk has room";
    probe.target = std::make_unique<ProbeTarget>(loop_, std::move(holding));
    dump::DumpRequest request;
    request.peer = std::move(*peer);
    request.host = probe.entry.host;
    request.dle = dump::dle_of(probe.entry);
    request.dle.levels = {{0, false, {}}};
    request.dle.record = false;
    request.dle.index = false;
    if (discards) request.dle.discard = until_ == Until::source ? "source" : "client";
    request.timestamp = timestamp_;
    request.config = config_.name;
    request.dump_user = config_.globals.dumpuser;
    request.client_features = features;
    request.times = dump::times_of(config_, kReplyTimeout);
    request.data_timeout = config_.globals.dtimeout;
    request.max_messages = kMaxMessages;
    if (discards) {
      probe.discarded = std::make_unique<dump::DiscardedDump>(loop_, connector_, std::move(request));
      probe.discarded->set_open(probe.open);
      probe.discarded->start([this, &probe](Result<> outcome) {
        if (!outcome) probe.problem = outcome.error().what();
        probe.over = true;
        probe.bytes = stand_of(probe).bytes;
        let_go(std::move(probe.discarded));
      });
      return {};
    }
    probe.dump = std::make_unique<dump::Dump>(loop_, connector_, std::move(request), *probe.target);
    if (!probe.open) probe.dump->gate().close();
    probe.dump->start([this, &probe](dump::DumpOutcome outcome) { ended(probe, std::move(outcome)); });
    return {};
  }

  void ended(Probe& probe, dump::DumpOutcome outcome) {
    probe.over = true;
    probe.bytes = outcome.stored_bytes;
    if (!outcome.result) probe.problem = outcome.result.error().what();
    let_go(std::move(probe.dump));
  }

  void look() {
    const auto all = stands();
    if (std::ranges::all_of(all, [](const Stand& it) { return !it.runs || it.flows; })) return say_ready();
    look_ = loop_.after(kLookEvery, [this] { look(); });
  }

  void say_ready() {
    look_.reset();
    deadline_.reset();
    if (auto ready = std::exchange(ready_, nullptr)) ready();
  }

  loop::Loop& loop_;
  auth::Connector& connector_;
  const config::ServerConfig& config_;
  const Until until_;
  std::string timestamp_;
  HoldingSpace space_;
  std::vector<std::filesystem::path> claimed_;
  std::move_only_function<void()> ready_;
  std::unique_ptr<Estimates> features_;
  std::vector<Probe> probes_;  // none is added: callbacks keep references
  std::unique_ptr<loop::Timer> look_;
  std::unique_ptr<loop::Timer> deadline_;
  base::Alive alive_;
};

Probes::Probes(loop::Loop& loop, auth::Connector& connector, const config::ServerConfig& config,
               std::vector<config::DiskListEntry> disks, Until until, std::string timestamp)
    : impl_(std::make_unique<Impl>(loop, connector, config, std::move(disks), until, std::move(timestamp))) {}
Probes::~Probes() = default;
void Probes::start(std::move_only_function<void()> ready) { impl_->start(std::move(ready)); }
void Probes::open_only(const std::vector<size_t>& open) { impl_->open_only(open); }
std::vector<Probes::Stand> Probes::stands() const { return impl_->stands(); }

}  // namespace headrace::drive
