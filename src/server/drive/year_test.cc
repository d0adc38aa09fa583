// Years of nights of made-up sites: the real plan and the real drive, with machines, holding disk and volumes
// that exist only as figures, under a clock that jumps from event to event. What must hold each night is
// checked each night. A seed names a site and all that happens to it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <queue>
#include <random>
#include <set>

#include "server/drive/drive.h"
#include "server/plan/forecast.h"

namespace headrace::drive {
namespace {

using journal::Destination;

struct Site {
  size_t hosts = 4;
  size_t disks = 20;
  int64_t dumpcycle = 7;
  int64_t tapecycle = 20;
  int64_t runtapes = 2;
  int64_t parallel_writes = 1;
  int64_t dumps_on_volume = INT64_MAX;
  double volumes_for_fulls = 1.0;  // how many nights' shares of fulls a run's volumes take
  double holding_share = 0.5;      // of a run's volumes
  unsigned failures_in_100 = 0;    // of dumps
  unsigned nights_without_volume_in_100 = 0;
};

// What became of a dump: where it lies, and what it builds on.
struct Copy {
  int level = 0;
  std::string timestamp;
  size_t volume = 0;  // 0: on holding disk
};

struct Machine {
  plan::PlanDle dle;
  double full_kib = 0;
  double daily_change = 0;  // of the full, each night
  double growth = 0;        // of the full, each night
  double kps = 1000;
  std::map<int, int> changed_since;  // nights since the dump of each level
  std::vector<Copy> copies;          // newest last
  size_t night_of_full = 0;
};

class Years {
 public:
  Years(Site site, unsigned seed) : site_(site), random_(seed) {
    double fulls = 0;
    for (size_t i = 0; i < site.disks; ++i) {
      Machine machine;
      machine.full_kib = 10'000.0 * std::pow(100.0, share());
      machine.daily_change = 0.002 + 0.05 * share();
      machine.growth = 0.001 * share();
      machine.kps = 1000 + 20'000 * share();
      machine.dle.host = fmt::format("host{}", i % site.hosts);
      machine.dle.disk = fmt::format("/disk{}", i);
      machine.dle.dumpcycle_days = site.dumpcycle;
      machine.dle.bump_percent = 10;
      machine.dle.bump_days = 1;
      fulls += machine.full_kib;
      machines_.push_back(std::move(machine));
    }
    // Room for tonight's share and for incrementals beside it.
    capacity_.volume_kib =
        static_cast<int64_t>(fulls * (site.volumes_for_fulls / static_cast<double>(site.dumpcycle) + 0.2) /
                             static_cast<double>(site.runtapes));
    capacity_.volumes = site.runtapes;
    capacity_.dumpcycle_days = site.dumpcycle;
    capacity_.tapecycle = site.tapecycle;
    holding_.total_kib = holding_.free_kib =
        static_cast<uint64_t>(static_cast<double>(capacity_.volume_kib * site.runtapes) * site.holding_share);
  }

  void run(size_t nights) {
    for (night_ = 0; night_ < nights && !testing::Test::HasFatalFailure(); ++night_) one_night();
  }

  const std::string& trace() const { return trace_; }
  size_t longest_without_full() const { return longest_without_full_; }
  // On which more was made in full than twice a night's share, though no single disk is that large.
  size_t crowded_nights() const { return crowded_nights_; }
  // Of the writers, at one time.
  size_t most_writing() const { return most_writing_; }

 private:
  double share() { return static_cast<double>(random_() % 10'000) / 10'000; }
  bool one_of_100(unsigned percent) { return random_() % 100 < percent; }

  // ---- a night ----

  void one_night() {
    SCOPED_TRACE(fmt::format("night {}", night_));
    grow();
    const auto plan = make_tonights_plan();
    const StorageLimits storage{
        .volumes = capacity_.volumes,
        .parallel_writes = site_.parallel_writes,
        .dumps_on_volume = site_.dumps_on_volume,
        .volume_kib = site_.parallel_writes > 1 ? static_cast<uint64_t>(capacity_.volume_kib) : 0};
    drive_.emplace(Limits{.in_parallel = 5, .reserve_percent = 50}, std::vector{storage});
    writers_.assign(static_cast<size_t>(site_.parallel_writes), {});
    loads_ = 0;
    jobs_.clear();
    outcomes_.clear();
    events_ = {};
    volume_found_ = !one_of_100(site_.nights_without_volume_in_100);
    Flush flush;
    for (auto& [machine, image] : held_) {
      const JobId id = next_job_++;
      jobs_[id] = {machine, image, true};
      flush.images.push_back(id);
      flush.stored_kib.push_back(image.stored_kib);
    }
    held_.clear();
    std::set<JobId> expected(flush.images.begin(), flush.images.end());
    feed(LookForVolume{});
    if (!flush.images.empty()) feed(flush);
    Schedule schedule;
    for (const auto& planned : plan.dumps) {
      const JobId id = next_job_++;
      expected.insert(id);
      jobs_[id] = {planned.dle, planned.as, false, planned.degraded};
      schedule.dumps.push_back({.id = id,
                                .host = machines_[planned.dle].dle.host,
                                .est_stored_kib = planned.as.stored_kib,
                                .max_dumps = 2,
                                .est_kps = planned.as.kps,
                                .priority = planned.priority,
                                .full = planned.as.level == 0,
                                .not_degraded = planned.not_degraded});
      if (planned.degraded)
        schedule.dumps.back().degraded = {planned.degraded->stored_kib, planned.degraded->kps};
    }
    feed(schedule);
    while (!events_.empty() && !testing::Test::HasFatalFailure()) {
      const auto event = events_.top();
      events_.pop();
      now_s_ = event.at_s;
      happen(event);
    }
    ASSERT_TRUE(drive_->finished()) << "the run waits for nothing";
    ASSERT_EQ(outcomes_, expected) << "one outcome each";
    uint64_t held = 0;
    for (const auto& [_, image] : held_) held += image.stored_kib;
    ASSERT_EQ(holding_.free_kib + held, holding_.total_kib) << "holding space that belongs to nobody";
    check_after_the_night(plan);
    timestamp_ = plan::next_day(timestamp_);
  }

  void grow() {
    for (auto& machine : machines_) {
      machine.full_kib *= 1 + machine.growth;
      for (auto& [_, nights] : machine.changed_since) ++nights;
    }
  }

  uint64_t size_of(const Machine& machine, int level) const {
    if (level == 0) return static_cast<uint64_t>(machine.full_kib);
    const auto base = machine.changed_since.find(level - 1);
    const int nights = base == machine.changed_since.end() ? 1 : base->second;
    return static_cast<uint64_t>(machine.full_kib * std::min(1.0, machine.daily_change * nights)) + 1;
  }

  plan::Plan make_tonights_plan() {
    plan::PlanInputs inputs{timestamp_, {}, capacity_};
    inputs.capacity.holding_kib = static_cast<int64_t>(holding_.total_kib);
    std::vector<plan::Answer> answers;
    for (auto& machine : machines_) {
      for (auto& [level, record] : machine.dle.records) record.exists = is_there(machine, level);
      inputs.dles.push_back(machine.dle);
      plan::Answer answer;
      for (int level = 0; level < 10; ++level)
        answer.native_kib[level] = static_cast<int64_t>(size_of(machine, level));
      answers.push_back(std::move(answer));
    }
    const auto plan = plan::make_plan(inputs, answers);
    for (const auto& dump : plan.dumps) {
      trace_ += fmt::format("{} {} {}\n", night_, dump.dle, dump.as.level);
      const auto& dle = inputs.dles[dump.dle];
      for (int below = 0; below < dump.as.level; ++below)
        EXPECT_TRUE(dle.records.contains(below) && dle.records.at(below).exists)
            << "level " << dump.as.level << " of disk " << dump.dle << " could not be restored";
    }
    return plan;
  }

  static bool is_there(const Machine& machine, int level) {
    for (auto copy = machine.copies.rbegin(); copy != machine.copies.rend(); ++copy)
      if (copy->level == level) return copy->timestamp == machine.dle.records.at(level).timestamp;
    return false;
  }

  // ---- what the drive commands ----

  struct Image {
    size_t machine = 0;
    plan::PlannedLevel as;
    bool earlier = false;
    std::optional<plan::PlannedLevel> degraded = {};
    Destination to = Destination::holding;
    std::string timestamp = {};
  };
  struct Rest {
    uint64_t kib = 0;
    double seconds = 0;
    Input done;
  };
  struct Writer {
    size_t volume = 0;  // 0: none
    uint64_t left_kib = 0;
    int64_t dumps = 0;  // with parts on it
    std::optional<JobId> job;
    std::optional<Rest> interrupted;
  };
  struct Event {
    double at_s = 0;
    uint64_t order = 0;
    Input input;
    bool operator<(const Event& other) const {
      return std::tie(other.at_s, other.order) < std::tie(at_s, order);
    }
  };

  void after(double seconds, Input input) {
    events_.push({now_s_ + seconds, next_event_++, std::move(input)});
  }

  void happen(const Event& event) {
    if (const auto* held = std::get_if<DumpHeld>(&event.input)) {
      remember(held->id, 0);
    } else if (const auto* dumped = std::get_if<DumpWritten>(&event.input)) {
      remember(dumped->id, done_by(dumped->id));
      ended(dumped->id);
      running_.erase(dumped->id);
    } else if (const auto* written = std::get_if<ImageWritten>(&event.input)) {
      const auto& image = jobs_.at(written->id);
      move_copy(image, done_by(written->id));
      holding_.free_kib += image.as.stored_kib;
      ended(written->id);
    } else if (const auto* failed = std::get_if<DumpFailed>(&event.input)) {
      const auto& image = jobs_.at(failed->id);
      if (image.to == Destination::holding) holding_.free_kib += image.as.stored_kib;
      running_.erase(failed->id);
      if (image.to == Destination::volume) (void)done_by(failed->id);
    } else if (const auto* not_written = std::get_if<ImageFailed>(&event.input)) {
      (void)done_by(not_written->id);
    }
    if (const auto* held = std::get_if<DumpHeld>(&event.input)) running_.erase(held->id);
    feed(event.input);
  }

  void feed(const Input& input) {
    for (const auto& command : drive_->on(input, holding_)) {
      std::visit([this](const auto& it) { obey(it); }, command);
      if (testing::Test::HasFatalFailure()) return;
    }
  }

  void obey(const StartDump& c) {
    auto& image = jobs_.at(c.id);
    const auto& machine = machines_[image.machine];
    image.to = c.to;
    size_t of_host = 1;
    for (const JobId id : running_)
      of_host += machines_[jobs_.at(id).machine].dle.host == machine.dle.host ? 1 : 0;
    ASSERT_LE(of_host, 2U) << "maxdumps";
    running_.insert(c.id);
    ASSERT_LE(running_.size(), 5U) << "inparallel";
    const double seconds = static_cast<double>(image.as.stored_kib) / machine.kps;
    if (c.to == Destination::holding) {
      ASSERT_LE(image.as.stored_kib, holding_.free_kib);
      holding_.free_kib -= image.as.stored_kib;
    }
    if (c.to == Destination::volume) take_writer(c.writer, c.id);
    if (one_of_100(site_.failures_in_100))
      return after(seconds / 2, DumpFailed{c.id, DumpFailed::Kind::failed, "lost", false});
    if (c.to == Destination::holding) return after(seconds, DumpHeld{c.id, image.as.stored_kib});
    write(c.writer, seconds, DumpWritten{c.id});
  }
  void obey(const WriteImage& c) {
    take_writer(c.writer, c.id);
    write(c.writer, static_cast<double>(jobs_.at(c.id).as.stored_kib) / 50'000, ImageWritten{c.id});
  }
  void take_writer(size_t number, JobId id) {
    ASSERT_FALSE(writers_.at(number).job) << "two on one writer";
    ASSERT_NE(writers_.at(number).volume, 0U) << "a writer without a volume";
    writers_[number].job = id;
    ASSERT_LE(++writers_[number].dumps, site_.dumps_on_volume) << "max-dle-by-volume";
    size_t writing = 0;
    for (const auto& writer : writers_) writing += writer.job ? 1 : 0;
    most_writing_ = std::max(most_writing_, writing);
  }
  // The volume that the job ended on; its writer is idle.
  size_t done_by(JobId id) {
    for (auto& writer : writers_)
      if (writer.job == id) {
        writer.job.reset();
        return writer.volume;
      }
    ADD_FAILURE() << "nobody writes " << id;
    return 0;
  }
  void write(size_t number, double seconds, Input done) {
    auto& writer = writers_.at(number);
    const uint64_t kib = jobs_.at(*writer.job).as.stored_kib;
    if (kib <= writer.left_kib) {
      writer.left_kib -= kib;
      return after(seconds, std::move(done));
    }
    // It goes on on the next volume, when there is one; else it is not written.
    writer.interrupted = {kib - writer.left_kib, seconds, std::move(done)};
    writer.left_kib = 0;
    after(seconds / 2, VolumeEnded{number});
  }
  void go_on(Writer& writer, double wait_s) {
    auto rest = std::exchange(writer.interrupted, std::nullopt);
    if (!rest) return;
    writer.left_kib -= std::min(writer.left_kib, rest->kib);
    after(wait_s + rest->seconds, std::move(rest->done));
  }
  void obey(const FindVolume&) { after(5, VolumeSought{volume_found_ ? "" : "no volume in the changer"}); }
  void obey(const LoadVolume& c) {
    ASSERT_LE(++loads_, site_.runtapes) << "runtapes";
    auto& writer = writers_.at(c.writer);
    writer.volume = 0;
    ASSERT_TRUE(volume_found_);
    // Of those that are found, a further one may be missing.
    if (loads_ > 1 && one_of_100(site_.nights_without_volume_in_100))
      return after(1, NoVolume{"no further volume in the changer", c.writer});
    volume_ = volume_ % static_cast<size_t>(site_.tapecycle) + 1;
    // What it held is gone.
    for (auto& machine : machines_)
      std::erase_if(machine.copies, [this](const Copy& copy) { return copy.volume == volume_; });
    writer.volume = volume_;
    writer.left_kib = static_cast<uint64_t>(capacity_.volume_kib);
    writer.dumps = writer.job ? 1 : 0;
    after(10, VolumeReady{c.writer});
    go_on(writer, 10);
  }
  void obey(const EndVolume& c) {
    ASSERT_FALSE(writers_.at(c.writer).job) << "its volume is in use";
    ASSERT_EQ(writers_[c.writer].dumps, site_.dumps_on_volume);
    writers_[c.writer].volume = 0;
  }
  void obey(const HandOverVolume& c) {
    auto& from = writers_.at(c.from);
    auto& to = writers_.at(c.writer);
    ASSERT_FALSE(from.job) << "its volume is in use";
    to.volume = std::exchange(from.volume, 0);
    to.left_kib = std::exchange(from.left_kib, 0);
    to.dumps = from.dumps + 1;
    ASSERT_LE(to.dumps, site_.dumps_on_volume) << "max-dle-by-volume";
    go_on(to, 1);
  }
  void obey(const DenyVolume& c) {
    auto& writer = writers_.at(c.writer);
    auto rest = std::exchange(writer.interrupted, std::nullopt);
    if (!rest) return;
    const JobId id = *writer.job;
    if (jobs_.at(id).to == Destination::volume && running_.contains(id))
      return after(1, DumpFailed{id, DumpFailed::Kind::failed, c.reason, false});
    after(1, ImageFailed{id, c.reason, false, false});
  }
  void obey(const Degraded&) {}
  void obey(const TakeDegraded& c) {
    auto& image = jobs_.at(c.id);
    ASSERT_TRUE(image.degraded);
    image.as = *image.degraded;
    trace_ += fmt::format("{} {} {} without a volume\n", night_, image.machine, image.as.level);
  }
  void obey(const GiveUp& c) { ended(c.id); }
  void obey(const LeaveOnHolding& c) {
    auto& image = jobs_.at(c.id);
    held_.emplace_back(image.machine, image.as);
    held_stamps_[{image.machine, image.as.level}] = image.timestamp;
    ended(c.id);
  }
  void obey(const AbortDump&) {}
  void obey(const AbortWrite&) {}
  void obey(const NowWaits&) {}
  void obey(const FinishRun&) {}

  void ended(JobId id) { ASSERT_TRUE(outcomes_.insert(id).second) << "a second outcome"; }

  // ---- what is left of a dump ----

  void remember(JobId id, size_t volume) {
    auto& image = jobs_.at(id);
    image.timestamp = timestamp_;
    auto& machine = machines_[image.machine];
    const int level = image.as.level;
    std::erase_if(machine.dle.records, [level](const auto& record) { return record.first >= level; });
    std::erase_if(machine.changed_since, [level](const auto& since) { return since.first >= level; });
    machine.changed_since[level] = 0;
    machine.dle.records[level] = {
        .timestamp = timestamp_, .native_kib = image.as.native_kib, .stored_kib = image.as.stored_kib};
    machine.dle.last_level_runs = machine.dle.last_level == level ? machine.dle.last_level_runs + 1 : 1;
    machine.dle.last_level = level;
    machine.copies.push_back({level, timestamp_, volume});
    if (level == 0) machine.night_of_full = night_;
  }
  void move_copy(const Image& image, size_t volume) {
    const std::string stamp = image.earlier ? held_stamps_[{image.machine, image.as.level}] : image.timestamp;
    for (auto& copy : machines_[image.machine].copies)
      if (copy.timestamp == stamp && copy.level == image.as.level) copy.volume = volume;
  }

  void check_after_the_night(const plan::Plan& plan) {
    uint64_t largest = 0;
    for (const auto& dump : plan.dumps)
      if (dump.as.level == 0) largest = std::max(largest, dump.as.stored_kib);
    const bool settled = night_ > 2 * static_cast<size_t>(site_.dumpcycle);
    if (settled && plan.fulls_kib > 2 * std::max(plan.balanced_kib, largest)) ++crowded_nights_;
    for (const auto& machine : machines_) {
      // One that no run's volumes take is never made in full again, and the plan says so each night.
      if (machine.full_kib > static_cast<double>(capacity_.volume_kib * capacity_.volumes)) continue;
      longest_without_full_ = std::max(longest_without_full_, night_ - machine.night_of_full);
    }
  }

  const Site site_;
  std::mt19937 random_;
  std::vector<Machine> machines_;
  plan::Capacity capacity_;
  HoldingView holding_;
  std::string timestamp_ = "20260101010000";
  size_t night_ = 0;

  std::optional<Drive> drive_;
  std::map<JobId, Image> jobs_;
  JobId next_job_ = 1;
  std::set<JobId> outcomes_;
  std::set<JobId> running_;
  std::vector<std::pair<size_t, plan::PlannedLevel>> held_;
  std::map<std::pair<size_t, int>, std::string> held_stamps_;
  std::priority_queue<Event> events_;
  uint64_t next_event_ = 0;
  double now_s_ = 0;
  size_t volume_ = 0;  // the last one begun
  bool volume_found_ = true;
  std::vector<Writer> writers_;
  int64_t loads_ = 0;  // tonight
  size_t most_writing_ = 0;

  std::string trace_;
  size_t crowded_nights_ = 0;
  size_t longest_without_full_ = 0;
};

TEST(Years, no_disk_waits_longer_for_its_full_than_the_cycle) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Years years({.disks = 10 + seed, .volumes_for_fulls = 4}, seed);
    years.run(200);
    EXPECT_LE(years.longest_without_full(), 7U);
    // Two disks that are each larger than the share may meet once a cycle: neither is moved to a night that
    // has a full already.
    EXPECT_LE(years.crowded_nights(), 200U / 7) << "fulls come together";
  }
}

TEST(Years, a_site_with_failures_and_missing_volumes_carries_on) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Years years(
        {.disks = 15, .volumes_for_fulls = 3, .failures_in_100 = 10, .nights_without_volume_in_100 = 10},
        seed);
    years.run(200);
    EXPECT_LE(years.longest_without_full(), 30U);
  }
}

TEST(Years, volumes_too_small_for_the_cycle_still_let_every_disk_have_fulls) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Years years({.disks = 12, .tapecycle = 80, .volumes_for_fulls = 0.7}, seed);
    years.run(200);
    EXPECT_LE(years.longest_without_full(), 60U);
  }
}

TEST(Years, several_writers_share_the_volumes_of_a_run) {
  size_t most = 0;
  for (unsigned seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Years years({.disks = 15,
                 .tapecycle = 40,
                 .runtapes = 4,
                 .parallel_writes = 3,
                 .volumes_for_fulls = 3,
                 .holding_share = 0.1,
                 .failures_in_100 = 5,
                 .nights_without_volume_in_100 = 5},
                seed);
    years.run(200);
    EXPECT_LE(years.longest_without_full(), 30U);
    most = std::max(most, years.most_writing());
  }
  EXPECT_EQ(most, 3U);
}

TEST(Years, few_dumps_on_a_volume_still_let_every_disk_have_fulls) {
  for (const int64_t writers : {1, 2}) {
    for (unsigned seed = 0; seed < 10; ++seed) {
      SCOPED_TRACE(fmt::format("{} writers, seed {}", writers, seed));
      Years years({.disks = 15,
                   .tapecycle = 80,
                   .runtapes = 4,
                   .parallel_writes = writers,
                   .dumps_on_volume = 5,
                   .volumes_for_fulls = 3,
                   .failures_in_100 = 5},
                  seed);
      years.run(100);
      EXPECT_LE(years.longest_without_full(), 30U);
    }
  }
}

TEST(Years, the_same_seed_gives_the_same_years) {
  const Site site{.disks = 12, .failures_in_100 = 10, .nights_without_volume_in_100 = 10};
  Years one(site, 3);
  Years again(site, 3);
  Years other(site, 4);
  for (auto* years : {&one, &again, &other}) years->run(60);
  EXPECT_EQ(one.trace(), again.trace());
  EXPECT_NE(one.trace(), other.trace());
}

}  // namespace
}  // namespace headrace::drive
