#include "timed_nights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"
#include "fluid.h"
#include "server/drive/drive.h"
#include "server/drive/pacer.h"
#include "server/drive/together_meter.h"
#include "server/plan/forecast.h"
#include "sim/random.h"

namespace headrace::timed {
namespace {

using namespace drive;
using journal::Destination;

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kSlackKib = 1e-3;
// What a drive's buffer holds, and what it takes to stop and start a tape.
constexpr double kDriveBufferKib = 512.0 * 1024;
constexpr double kSecondsTogether = 10;
// Amanda's info files keep so many rates.
constexpr size_t kRatesKept = 3;

// Dumps of this disk, as measured by the meters: how fast it went when nothing of the server held it back.
struct Measured {
  double full_kps = 0;
  double incr_kps = 0;
};

class Nights {
 public:
  Nights(const Site& site, Choice choice, unsigned seed) : site_(site), choice_(choice), random_(seed) {
    for (const auto& disk : site.disks) {
      plan::PlanDle dle;
      dle.host = fmt::format("host{}", disk.host);
      dle.disk = fmt::format("/disk{}", dles_.size());
      dle.dumpcycle_days = site.dumpcycle;
      dle.bump_percent = 10;
      dle.bump_days = 1;
      dles_.push_back(std::move(dle));
      full_kib_.push_back(disk.full_kib);
    }
    since_.resize(dles_.size());
    measured_.resize(dles_.size());
    const size_t hosts = site.hosts.size();
    for (const auto& host : site.hosts) capacities_.push_back(host.cpu_kps);
    for (const auto& host : site.hosts) capacities_.push_back(host.net_kps);
    first_server_joint_ = 2 * hosts;
    capacities_.push_back(site.server.net_kps);
    capacities_.push_back(site.server.holding_kps);
    for (int64_t i = 0; i < site.server.drives; ++i) capacities_.push_back(site.server.drive_kps);
    // First fulls are spread over the first cycle, as a site that grew would have them.
    for (size_t i = 0; i < dles_.size(); ++i) {
      const auto ago = random_.below(static_cast<uint64_t>(site.dumpcycle));
      std::string then = "20251224010000";
      for (uint64_t day = 0; day < ago; ++day) then = plan::next_day(then);
      remember(i, {.level = 0, .native_kib = kib(full_kib_[i]), .stored_kib = kib(full_kib_[i])}, then);
      dles_[i].full_rates = {own_kps(i, 0, 1)};
      since_[i][0] = static_cast<int>(7 - ago);
    }
  }

  NightResult night() {
    result_ = {};
    for (size_t i = 0; i < dles_.size(); ++i) {
      full_kib_[i] *= 1 + site_.disks[i].growth;
      for (auto& [_, nights] : since_[i]) ++nights;
    }
    plan_night();
    while (!drive_->finished()) step();
    for (const auto& [id, job] : jobs_)
      if (job.dumped) remember(job.disk, job.as, timestamp_);
    result_.seconds = now_;
    bound();
    timestamp_ = plan::next_day(timestamp_);
    return result_;
  }

 private:
  struct Work {
    size_t disk = 0;
    plan::PlannedLevel as;
    double actual_kib = 0;
    double own_kps = 0;  // tonight, alone
    Destination to = Destination::holding;
    size_t writer = 0;
    bool dumped = false;
    double began = 0;
    double unhindered = 0;  // seconds in which nothing of the server held it back
    double dump_seconds = 0;
    uint64_t reserved_kib = 0;
  };
  struct Moving {
    JobId id = 0;
    bool image = false;  // from holding disk to a volume; else a dump
    double left_kib = 0;
    Flow flow;
    Share share;
    double since_sample_kib = 0;
    double starved_seconds = 0;  // of an image: its holding disk was what held it back
    bool held = false;           // its gate is closed
  };
  struct Loading {
    size_t writer = 0;
    double at = 0;
  };

  static uint64_t kib(double value) { return static_cast<uint64_t>(std::max(value, 1.0)); }
  double noise(double width) {
    return 1 - width + 2 * width * static_cast<double>(random_.below(1000)) / 1000;
  }

  // A level's files are spread over the disk: reading them is slower than reading it whole.
  double own_kps(size_t disk, int level, double noisy) const {
    return site_.disks[disk].source_kps * (level == 0 ? 1.0 : 0.4) * noisy;
  }
  double size_of(size_t disk, int level) const {
    if (level == 0) return full_kib_[disk];
    const auto base = since_[disk].find(level - 1);
    const int nights = base == since_[disk].end() ? 1 : base->second;
    return full_kib_[disk] * std::min(1.0, site_.disks[disk].daily_change * nights) + 64;
  }

  void remember(size_t i, const plan::PlannedLevel& as, const std::string& timestamp) {
    auto& dle = dles_[i];
    std::erase_if(dle.records, [&](const auto& record) { return record.first >= as.level; });
    std::erase_if(since_[i], [&](const auto& since) { return since.first >= as.level; });
    since_[i][as.level] = 0;
    dle.records[as.level] = {
        .timestamp = timestamp, .native_kib = as.native_kib, .stored_kib = as.stored_kib};
    dle.last_level_runs = dle.last_level == as.level ? dle.last_level_runs + 1 : 1;
    dle.last_level = as.level;
  }

  void plan_night() {
    const auto& server = site_.server;
    plan::PlanInputs inputs{timestamp_, dles_, {}};
    inputs.capacity.volume_kib = static_cast<int64_t>(server.volume_kib);
    inputs.capacity.volumes = server.volumes;
    inputs.capacity.dumpcycle_days = site_.dumpcycle;
    inputs.capacity.holding_kib = static_cast<int64_t>(server.holding_kib);
    std::vector<plan::Answer> answers(dles_.size());
    for (size_t i = 0; i < dles_.size(); ++i)
      for (int level = 0; level < 10; ++level)
        answers[i].native_kib[level] = static_cast<int64_t>(kib(size_of(i, level) * noise(0.05)));
    const auto plan = plan::make_plan(inputs, answers);

    jobs_.clear();
    moving_.clear();
    started_.clear();
    loading_.clear();
    room_.assign(static_cast<size_t>(server.drives), 0);
    now_ = sampled_ = next_sample_ = 0;
    pacer_ = {};
    Schedule schedule;
    for (const auto& planned : plan.dumps) {
      const JobId id = jobs_.size() + 1;
      const auto& disk = site_.disks[planned.dle];
      auto& work = jobs_[id];
      work.disk = planned.dle;
      work.as = planned.as;
      work.actual_kib = size_of(planned.dle, planned.as.level);
      work.own_kps = own_kps(planned.dle, planned.as.level, noise(0.2));
      const auto& measured = measured_[planned.dle];
      const double own = planned.as.level == 0 ? measured.full_kps : measured.incr_kps;
      schedule.dumps.push_back({.id = id,
                                .host = dles_[planned.dle].host,
                                .est_stored_kib = planned.as.stored_kib,
                                .max_dumps = site_.hosts[disk.host].max_dumps,
                                .spindle = disk.spindle,
                                .interface = server.netusage_kps > 0 ? "default" : "",
                                .est_kps = planned.as.kps,
                                .own_kps = static_cast<uint64_t>(own),
                                .priority = planned.priority,
                                .full = planned.as.level == 0});
    }
    result_.dumps = jobs_.size();
    if (choice_.order == Order::searched) search(schedule);
    begin(choice_.order, schedule);
  }

  void begin(Order order, const Schedule& schedule) {
    const auto& server = site_.server;
    holding_ = {server.holding_kib, server.holding_kib};
    Limits limits{.in_parallel = server.in_parallel};
    const StorageLimits storage{.volumes = server.volumes,
                                .parallel_writes = server.drives,
                                .volume_kib = server.volume_kib,
                                .kps = static_cast<uint64_t>(server.drive_kps)};
    if (server.netusage_kps > 0) limits.interface_kps["default"] = server.netusage_kps;
    if (order == Order::amanda) limits.dump_order = "tttTTTTTTTTT";
    limits.finish_soonest = order == Order::measured;
    limits.together = together_.most(0);
    drive_.emplace(limits, std::vector{storage});
    feed(LookForVolume{});
    if (std::exchange(sought_, false)) feed(VolumeSought{});
    feed(schedule);
  }

  // The night as it would be; `started`: in which order its dumps start.
  double tried(Order order, const Schedule& schedule, std::vector<JobId>& started) const {
    Nights night(*this);
    night.started_.clear();
    night.begin(order, schedule);
    while (!night.drive_->finished()) night.step();
    started = std::move(night.started_);
    return night.now_;
  }

  // From the best of the other orders on, dumps change places, and what ends sooner stays.
  void search(Schedule& schedule) const {
    std::map<JobId, Job> jobs;
    for (const auto& job : schedule.dumps) jobs[job.id] = job;
    const auto in_order = [&jobs](const std::vector<JobId>& order) {
      Schedule out;
      for (const JobId id : order) out.dumps.push_back(jobs.at(id));
      return out;
    };
    double best = kNever;
    std::vector<JobId> order;
    std::vector<JobId> started;
    for (const auto from : {Order::schedule, Order::amanda, Order::measured}) {
      const double seconds = tried(from, schedule, started);
      if (seconds >= best || started.size() != jobs.size()) continue;
      best = seconds;
      order = started;
    }
    if (order.empty()) return;
    best = tried(Order::schedule, in_order(order), started);
    sim::Random random(1);
    for (size_t i = 0; i < choice_.tries; ++i) {
      auto changed = order;
      for (size_t changes = 1 + random.below(3); changes > 0; --changes) {
        const auto from = changed.begin() + static_cast<std::ptrdiff_t>(random.below(changed.size()));
        const auto to = changed.begin() + static_cast<std::ptrdiff_t>(random.below(changed.size()));
        if (random.below(2) == 0)
          std::iter_swap(from, to);
        else if (from < to)
          std::rotate(from, from + 1, to + 1);
        else
          std::rotate(to, from, from + 1);
      }
      const double seconds = tried(Order::schedule, in_order(changed), started);
      if (seconds > best) continue;
      best = seconds;
      order = std::move(changed);
    }
    schedule = in_order(order);
  }

  // To the next moment at which something ends.
  void step() {
    if (!paces())
      for (auto& it : moving_) it.held = false;
    set_rates();
    double next = kNever;
    for (const auto& it : moving_)
      if (it.share.kps > 0) next = std::min(next, now_ + it.left_kib / it.share.kps);
    for (const auto& it : moving_)
      if (it.image && it.share.kps > 0 && room_[jobs_.at(it.id).writer] < it.left_kib)
        next = std::min(next, now_ + room_[jobs_.at(it.id).writer] / it.share.kps);
    for (const auto& it : loading_) next = std::min(next, it.at);
    if (paces()) next = std::min(next, next_sample_);
    HEADRACE_CHECK(next < kNever);
    next = std::max(next, now_);
    move_on(next - now_);
    now_ = next;
    if (paces() && now_ >= next_sample_) pace();
    if (const auto loaded = std::ranges::find_if(loading_, [&](const auto& it) { return it.at <= now_; });
        loaded != loading_.end()) {
      const size_t writer = loaded->writer;
      loading_.erase(loaded);
      room_[writer] = static_cast<double>(site_.server.volume_kib);
      return feed(VolumeReady{writer});
    }
    for (size_t i = 0; i < moving_.size(); ++i) {
      const auto& it = moving_[i];
      if (it.left_kib <= kSlackKib) return ended(i);
      const auto& work = jobs_.at(it.id);
      if (writes(it) && room_[work.writer] <= kSlackKib && !waits_for_volume(work.writer)) {
        room_[work.writer] = 0;
        return feed(VolumeEnded{work.writer});
      }
    }
  }

  bool paces() const {
    return choice_.paced && site_.server.lowest_kps > 0 &&
           std::ranges::any_of(moving_, [](const Moving& it) { return it.image; });
  }

  // As the runner does, once a second.
  void pace() {
    const double seconds = now_ - sampled_;
    std::vector<Pacer::Writing> writing;
    std::vector<Pacer::Dumping> dumping;
    for (auto& it : moving_) {
      if (it.image && seconds > 0)
        writing.push_back({.kps = static_cast<uint64_t>(std::exchange(it.since_sample_kib, 0) / seconds),
                           .lowest_kps = static_cast<uint64_t>(site_.server.lowest_kps),
                           .starved = std::exchange(it.starved_seconds, 0) / seconds});
      if (!it.image && jobs_.at(it.id).to == Destination::holding) dumping.push_back({it.id, 0});
    }
    const auto held = pacer_.sample(writing, dumping);
    for (auto& it : moving_) it.held = held.contains(it.id) && !it.image;
    if (!held.empty()) result_.paced_seconds += 1;
    sampled_ = now_;
    next_sample_ = now_ + 1;
  }

  bool writes(const Moving& it) const { return it.image || jobs_.at(it.id).to == Destination::volume; }
  bool waits_for_volume(size_t writer) const {
    return std::ranges::any_of(loading_, [&](const auto& it) { return it.writer == writer; });
  }

  void set_rates() {
    std::vector<Flow> flows;
    for (const auto& it : moving_) {
      flows.push_back(it.flow);
      if (it.held || (writes(it) && waits_for_volume(jobs_.at(it.id).writer))) flows.back() = {{}, 0};
    }
    const auto shares = share(capacities_, flows);
    for (size_t i = 0; i < moving_.size(); ++i) moving_[i].share = shares[i];
  }

  // As the runner's meter does; here rates stay for as long as a step.
  void measure_together(double seconds) {
    if (seconds < kSecondsTogether) return;
    std::map<std::string_view, TogetherSpans::Sum> hosts;
    TogetherSpans::Sum all;
    for (const auto& it : moving_) {
      if (it.image) continue;
      for (auto* sum : {&hosts[dles_[jobs_.at(it.id).disk].host], &all}) {
        sum->kps += it.share.kps;
        ++sum->dumps;
      }
    }
    together_.add(all, hosts);
  }

  void move_on(double seconds) {
    measure_together(seconds);
    for (auto& it : moving_) {
      const double moved = it.share.kps * seconds;
      it.left_kib -= moved;
      it.since_sample_kib += moved;
      if (it.share.held_by == first_server_joint_ + 1) it.starved_seconds += seconds;
      auto& work = jobs_.at(it.id);
      if (writes(it)) {
        room_[work.writer] -= moved;
        count_stops(it.share.kps, seconds);
      }
      if (it.image || it.share.kps <= 0) continue;
      // The server's meters see when its holding disk or drive would not take more, not what shares the
      // network.
      const bool server_holds = it.share.held_by != kAlone && it.share.held_by > first_server_joint_;
      work.unhindered += server_holds ? seconds * it.share.kps / alone_kps(work) : seconds;
    }
  }

  // A drive that gets less than it needs empties its buffer, stops, and starts again with a full one.
  void count_stops(double kps, double seconds) {
    const double lowest = site_.server.lowest_kps;
    if (lowest <= 0 || kps >= lowest || kps <= 0) return;
    result_.drive_stops += seconds / (kDriveBufferKib / (lowest - kps) + kDriveBufferKib / kps);
  }

  double alone_kps(const Work& work) const {
    const auto& host = site_.hosts[site_.disks[work.disk].host];
    return std::min({work.own_kps, host.cpu_kps, host.net_kps, site_.server.net_kps});
  }

  void ended(size_t index) {
    const auto it = moving_[index];
    moving_.erase(moving_.begin() + static_cast<std::ptrdiff_t>(index));
    auto& work = jobs_.at(it.id);
    if (it.image) {
      holding_.free_kib += work.reserved_kib;
      return feed(ImageWritten{it.id});
    }
    work.dumped = true;
    work.dump_seconds = now_ - work.began;
    auto& dle = dles_[work.disk];
    auto& rates = work.as.level == 0 ? dle.full_rates : dle.incr_rates;
    rates.insert(rates.begin(), work.actual_kib / std::max(work.dump_seconds, 1.0));
    rates.resize(std::min(rates.size(), kRatesKept));
    auto& measured = measured_[work.disk];
    (work.as.level == 0 ? measured.full_kps : measured.incr_kps) =
        work.actual_kib / std::max(work.unhindered, 1.0);
    work.as.native_kib = work.as.stored_kib = kib(work.actual_kib);
    if (work.to == Destination::volume) return feed(DumpWritten{it.id});
    feed(DumpHeld{it.id, work.as.stored_kib});
  }

  // ---- what the drive commands ----

  void feed(const Input& input) {
    for (const auto& command : drive_->on(input, holding_))
      std::visit([this](const auto& it) { obey(it); }, command);
  }

  void obey(const FindVolume&) { sought_ = true; }
  void obey(const StartDump& c) {
    started_.push_back(c.id);
    auto& work = jobs_.at(c.id);
    const auto host = site_.disks[work.disk].host;
    const size_t hosts = site_.hosts.size();
    work.to = c.to;
    work.writer = c.writer;
    work.began = now_;
    Flow flow{{host, hosts + host, first_server_joint_}, work.own_kps};
    if (c.to == Destination::holding) {
      work.reserved_kib = work.as.stored_kib;
      holding_.free_kib -= std::min(holding_.free_kib, work.reserved_kib);
      flow.joints.push_back(first_server_joint_ + 1);
    } else {
      flow.joints.push_back(first_server_joint_ + 2 + c.writer);
    }
    moving_.push_back({c.id, false, work.actual_kib, flow, {}});
  }
  void obey(const WriteImage& c) {
    auto& work = jobs_.at(c.id);
    work.writer = c.writer;
    moving_.push_back({c.id,
                       true,
                       work.actual_kib,
                       {{first_server_joint_ + 1, first_server_joint_ + 2 + c.writer}, kNever},
                       {}});
  }
  void obey(const LoadVolume& c) { loading_.push_back({c.writer, now_ + site_.server.load_seconds}); }
  void obey(const GiveUp&) { ++result_.not_dumped; }
  void obey(const LeaveOnHolding&) {}
  void obey(const NowWaits&) {}
  void obey(const FinishRun&) {}
  // These sites have volumes enough, and nobody ends a run.
  template <class C>
  void obey(const C&) {
    HEADRACE_CHECK(false);
  }

  // ---- how soon it could have ended ----

  void bound() {
    const auto& server = site_.server;
    std::map<std::string, double> bounds;
    const auto at_least = [&](const std::string& joint, double seconds) {
      bounds[joint] = std::max(bounds[joint], seconds);
    };
    struct Sum {
      double seconds = 0, kib = 0;
    };
    std::map<size_t, Sum> hosts;
    std::map<std::pair<size_t, int>, double> spindles;
    Sum all;
    double held = 0;
    // What no drive can begin before its dump has ended, and what that then takes.
    std::vector<std::pair<double, double>> writes;
    for (const auto& [_, work] : jobs_) {
      if (!work.dumped) continue;
      const auto& disk = site_.disks[work.disk];
      const double alone = work.actual_kib / alone_kps(work);
      const double write = work.actual_kib / std::min(server.drive_kps, server.holding_kps);
      const bool direct = work.to == Destination::volume;
      at_least("disk", alone + (direct ? 0 : write));
      hosts[disk.host].seconds += alone;
      hosts[disk.host].kib += work.actual_kib;
      if (disk.spindle != -1) spindles[{disk.host, disk.spindle}] += alone;
      all.seconds += alone;
      all.kib += work.actual_kib;
      held += direct ? 0 : work.actual_kib;
      writes.emplace_back(direct ? server.load_seconds : alone, work.actual_kib / server.drive_kps);
    }
    for (const auto& [number, sum] : hosts) {
      const auto& host = site_.hosts[number];
      at_least("maxdumps", sum.seconds / static_cast<double>(host.max_dumps));
      at_least("client", sum.kib / std::min(host.cpu_kps, host.net_kps));
    }
    for (const auto& [_, seconds] : spindles) at_least("spindle", seconds);
    at_least("inparallel", all.seconds / static_cast<double>(server.in_parallel));
    at_least("network", all.kib / server.net_kps);
    at_least("holding disk", 2 * held / server.holding_kps);
    std::ranges::sort(writes, std::greater());
    double writing = 0;
    for (const auto& [from, seconds] : writes) {
      writing += seconds;
      at_least("volume", from + writing / static_cast<double>(server.drives));
    }
    for (const auto& [joint, seconds] : bounds) {
      if (seconds <= result_.bound_seconds) continue;
      result_.bound_seconds = seconds;
      result_.bound_by = joint;
    }
  }

  const Site& site_;
  const Choice choice_;
  sim::Random random_;
  std::vector<plan::PlanDle> dles_;
  std::vector<double> full_kib_;
  std::vector<std::map<int, int>> since_;  // nights since the dump of each level
  std::vector<Measured> measured_;
  TogetherSpans together_;
  std::vector<double> capacities_;
  size_t first_server_joint_ = 0;
  std::string timestamp_ = "20260101010000";

  std::optional<Drive> drive_;
  std::map<JobId, Work> jobs_;
  std::vector<Moving> moving_;
  std::vector<JobId> started_;
  std::vector<Loading> loading_;
  bool sought_ = false;
  std::vector<double> room_;  // on the volume of each drive
  HoldingView holding_;
  double now_ = 0;
  double sampled_ = 0, next_sample_ = 0;
  Pacer pacer_;
  NightResult result_;
};

}  // namespace

std::string_view name_of(Order order) {
  switch (order) {
    case Order::schedule:
      return "schedule";
    case Order::amanda:
      return "amanda";
    case Order::measured:
      return "measured";
    case Order::searched:
      return "searched";
  }
  return {};
}

std::vector<NightResult> play(const Site& site, Choice choice, size_t nights, unsigned seed) {
  Nights played(site, choice, seed);
  for (int64_t i = 0; i < site.dumpcycle; ++i) played.night();
  std::vector<NightResult> results;
  for (size_t i = 0; i < nights; ++i) results.push_back(played.night());
  return results;
}

}  // namespace headrace::timed
