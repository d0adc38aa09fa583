// Any night: what must hold whatever happens, by a runner that lets random things happen.
#include <random>
#include <set>

#include "server/drive/drive_bench.h"

namespace headrace::drive {
namespace {

// A runner that carries out commands and lets a random one of the things under way come to its end. It keeps
// its own books and compares: they share no code with the drive.
class AnyNight {
 public:
  // Which kinds of commands came.
  const std::set<size_t>& seen() const { return seen_; }

  explicit AnyNight(unsigned seed) : random_(seed), drive_(make_limits()) {
    holding_.total_kib = holding_.free_kib = one_in(5) ? 0 : 100 + pick(2000);
    for (unsigned n = pick(4); n > 0; --n) images_.insert(next_++);
    for (unsigned n = pick(14); n > 0; --n) jobs_.emplace(next_, make_job(next_)), ++next_;
  }

  void play() {
    Flush flush;
    for (const JobId id : images_) {
      flush.images.push_back(id);
      flush.stored_kib.push_back(pick(700));
      expected_.insert(id);
      held_[id] = 0;
    }
    Schedule schedule;
    for (const auto& [id, job] : jobs_) schedule.dumps.push_back(job);
    if (one_in(2)) feed(LookForVolume{});
    feed(flush);
    const bool cancels = one_in(6);
    bool scheduled = false;
    for (int step = 0; step < 5000 && !finished_; ++step) {
      if (testing::Test::HasFatalFailure()) return;
      if (!scheduled && (one_in(3) || !something_runs())) {
        scheduled = true;
        for (const auto& [id, job] : jobs_) {
          expected_.insert(id);
          if (job.postponed) postponed_.insert(id);
        }
        feed(schedule);
      } else if (scheduled && !jobs_.empty() && one_in(8)) {
        change_something();
      } else if (cancels && scheduled && one_in(10)) {
        feed(Cancel{"cancelled"});
      } else {
        ASSERT_TRUE(something_runs()) << "it waits for nothing";
        end_something();
      }
    }
    ASSERT_TRUE(finished_);
    EXPECT_EQ(outcomes_, expected_) << "some job has no outcome";
    EXPECT_TRUE(dumping_.empty() &&
                std::ranges::all_of(writers_, [](const auto& it) { return !it.job && !it.loading; }));
  }

 private:
  Limits make_limits() {
    limits_ = {.in_parallel = static_cast<int64_t>(pick(5)),
               .volumes = static_cast<int64_t>(pick(4)),
               .write_tries = 2,
               .parallel_writes = static_cast<int64_t>(pick(4)),
               .dumps_on_volume = one_in(3) ? static_cast<int64_t>(pick(4)) : INT64_MAX,
               .held_threshold_kib = one_in(2) ? pick(900) : 0,
               .scheduled_threshold_kib = one_in(2) ? pick(2000) : 0,
               .flush_kib = one_in(3) ? pick(900) : 0,
               .algorithm = static_cast<config::TaperAlgorithm>(pick(8)),
               .volume_kib = one_in(2) ? pick(900) : 0,
               .reserve_percent = pick(3) * 50,
               .dump_order = one_in(2) ? "sTB" : ""};
    return limits_;
  }
  Job make_job(JobId id) {
    return {.id = id,
            .host = one_in(2) ? "a" : "b",
            .est_stored_kib = pick(700),
            .max_dumps = static_cast<int64_t>(pick(4)),
            .spindle = static_cast<int>(pick(3)) - 1,
            .holding = static_cast<Holding>(pick(4)),
            .tries = static_cast<int64_t>(pick(4)),
            .postponed = one_in(6),
            .interface = one_in(2) ? "lan" : "wan",
            .est_kps = pick(3) * 100,
            .full = one_in(2),
            .degraded = one_in(2) ? std::optional(Job::Incremental{pick(300), pick(3) * 100}) : std::nullopt};
  }
  unsigned pick(unsigned below) { return static_cast<unsigned>(random_() % below); }
  bool one_in(unsigned n) { return pick(n) == 0; }
  bool something_runs() const {
    return looking_ || !dumping_.empty() || !postponed_.empty() || !paused_.empty() ||
           std::ranges::any_of(writers_, [](const auto& it) { return it.job || it.loading; });
  }

  // The operator pauses, resumes, raises or lowers.
  void change_something() {
    const JobId id = std::next(jobs_.begin(), pick(static_cast<unsigned>(jobs_.size())))->first;
    if (outcomes_.contains(id)) return;
    if (one_in(2)) {
      limits_.in_parallel = pick(5);
      limits_.interface_kps["lan"] = pick(1500);
      const int64_t most = pick(4);
      for (auto& [other, job] : jobs_)
        if (job.host == "a") job.max_dumps = most;
      return feed(ChangeLimits{limits_.in_parallel, limits_.interface_kps, {{"a", most}}});
    }
    if (paused_.erase(id) > 0) return feed(Resume{id});
    paused_.insert(id);
    feed(Pause{id});
  }

  void feed(const Input& input) {
    for (const auto& command : drive_.on(input, holding_)) {
      ASSERT_FALSE(finished_) << "after FinishRun: " << text(command);
      seen_.insert(command.index());
      std::visit([this](const auto& c) { obey(c); }, command);
    }
  }

  void obey(const FindVolume&) {
    ASSERT_GT(limits_.volumes, 0);
    looking_ = true;
  }
  void obey(const StartDump& c) {
    ASSERT_FALSE(looking_ && limits_.reserve_percent > 0);
    const auto& job = jobs_.at(c.id);
    ASSERT_FALSE(outcomes_.contains(c.id));
    ASSERT_FALSE(postponed_.contains(c.id));
    ASSERT_FALSE(paused_.contains(c.id));
    const auto kps_of = [](const Job& it) { return it.est_kps == 0 ? 1024 : it.est_kps; };
    uint64_t kps = 0;
    for (const auto& [id, to] : dumping_)
      if (jobs_.at(id).interface == job.interface) kps += kps_of(jobs_.at(id));
    const auto use = limits_.interface_kps.find(job.interface);
    if (use != limits_.interface_kps.end() && kps > 0)
      ASSERT_LE(static_cast<int64_t>(kps + kps_of(job)), use->second);
    int64_t of_host = 1;
    for (const auto& [id, to] : dumping_) {
      if (jobs_.at(id).host != job.host) continue;
      ++of_host;
      ASSERT_TRUE(job.spindle == -1 || jobs_.at(id).spindle != job.spindle);
    }
    ASSERT_LE(of_host, std::max<int64_t>(job.max_dumps, 1));
    ASSERT_TRUE(dumping_.emplace(c.id, c.to).second);
    ASSERT_LE(static_cast<int64_t>(dumping_.size()), std::max<int64_t>(limits_.in_parallel, 1));
    if (c.to == Destination::volume) {
      ASSERT_NE(job.holding, Holding::required);
      take_writer(c.writer, c.id);
    } else {
      ASSERT_NE(job.holding, Holding::never);
      ASSERT_TRUE(job.holding != Holding::when_degraded || degraded_);
      ASSERT_LE(job.est_stored_kib, holding_.free_kib);
      holding_.free_kib -= job.est_stored_kib;
    }
  }
  void obey(const WriteImage& c) {
    ASSERT_TRUE(held_.contains(c.id));
    take_writer(c.writer, c.id);
  }
  void obey(const LoadVolume& c) {
    auto& writer = writer_at(c.writer);
    ASSERT_FALSE(looking_);
    ASSERT_FALSE(writer.loading || writer.loaded || writer.denied || degraded_ || none_left_);
    ASSERT_EQ(c.sequence, ++loads_);
    ASSERT_LE(loads_, limits_.volumes);
    writer.loading = true;
    writer.dumps = writer.job ? 1 : 0;
  }
  void obey(const EndVolume& c) {
    auto& writer = writer_at(c.writer);
    ASSERT_TRUE(writer.loaded && !writer.job);
    ASSERT_EQ(writer.dumps, std::max<int64_t>(limits_.dumps_on_volume, 1));
    writer.loaded = false;
  }
  void obey(const DenyVolume& c) {
    auto& writer = writer_at(c.writer);
    ASSERT_TRUE(writer.job && !writer.loaded && !writer.loading && !writer.denied);
    writer.denied = true;
  }
  void obey(const HandOverVolume& c) {
    auto& from = writer_at(c.from);
    auto& to = writer_at(c.writer);
    ASSERT_TRUE(from.loaded && !from.job);
    ASSERT_TRUE(to.job && !to.loaded && !to.loading && !to.denied);
    from.loaded = false;
    to.loaded = true;
    to.dumps = from.dumps + 1;
    ASSERT_LE(to.dumps, std::max<int64_t>(limits_.dumps_on_volume, 1));
  }
  void obey(const Degraded&) {
    ASSERT_FALSE(degraded_);
    for (const auto& writer : writers_) ASSERT_FALSE(writer.loaded || writer.loading) << "it has a volume";
    degraded_ = true;
  }
  void obey(const TakeDegraded& c) {
    auto& job = jobs_.at(c.id);
    ASSERT_TRUE(degraded_ && job.full && job.degraded);
    ASSERT_FALSE(dumping_.contains(c.id) || held_.contains(c.id) || outcomes_.contains(c.id));
    job.full = false;
    job.est_stored_kib = job.degraded->est_stored_kib;
    job.est_kps = job.degraded->est_kps;
  }
  void obey(const GiveUp& c) {
    ASSERT_TRUE(jobs_.contains(c.id) && !dumping_.contains(c.id) && !held_.contains(c.id));
    ended(c.id);
  }
  void obey(const LeaveOnHolding& c) {
    ASSERT_TRUE(held_.contains(c.id) && !writes(c.id));
    ended(c.id);
  }
  void obey(const AbortDump& c) { ASSERT_TRUE(dumping_.contains(c.id)); }
  void obey(const AbortWrite& c) { ASSERT_TRUE(writes(c.id)); }
  void obey(const NowWaits& c) { ASSERT_FALSE(dumping_.contains(c.id) || writes(c.id)); }
  void obey(const FinishRun&) { finished_ = true; }

  void ended(JobId id) {
    postponed_.erase(id);
    paused_.erase(id);
    ASSERT_TRUE(outcomes_.insert(id).second) << "a second outcome of " << id;
  }

  struct Writer {
    bool loading = false, loaded = false, denied = false;
    int64_t dumps = 0;  // on its volume
    std::optional<JobId> job;
    // With a volume, or with the answer that it gets none.
    bool may_end() const { return job && (loaded || denied); }
  };
  Writer& writer_at(size_t number) {
    EXPECT_LT(number, writers_.size());
    return writers_[number % writers_.size()];
  }
  Writer* writer_of(JobId id) {
    const auto found = std::ranges::find(writers_, std::optional(id), &Writer::job);
    return found == writers_.end() ? nullptr : &*found;
  }
  bool writes(JobId id) { return writer_of(id) != nullptr; }
  void take_writer(size_t number, JobId id) {
    auto& writer = writer_at(number);
    ASSERT_TRUE(writer.loaded && !writer.job && !writer.denied);
    writer.job = id;
    ASSERT_LE(++writer.dumps, std::max<int64_t>(limits_.dumps_on_volume, 1));
  }

  void end_something() {
    while (true) {
      const size_t number = pick(static_cast<unsigned>(writers_.size()));
      auto& writer = writers_[number];
      if (looking_ && one_in(3)) {
        looking_ = false;
        none_left_ = one_in(3);
        return feed(VolumeSought{none_left_ ? "none there" : ""});
      }
      switch (pick(6)) {
        case 0:
          if (!writer.loading) continue;
          writer.loading = false;
          writer.loaded = !one_in(6);
          if (writer.loaded) return feed(VolumeReady{number});
          none_left_ = true;
          return feed(NoVolume{"none there", number});
        case 1:
          if (postponed_.empty()) continue;
          return release();
        case 2:
          if (!writer.loaded || one_in(2)) continue;
          writer.loaded = false;
          return feed(VolumeEnded{number});
        case 4:
          if (paused_.empty()) continue;
          return feed(Resume{paused_.extract(paused_.begin()).value()});
        case 3:
          if (!writer.may_end() || dumping_.contains(*writer.job)) continue;
          return end_write(writer);
        default:
          if (dumping_.empty()) continue;
          return end_dump();
      }
    }
  }

  void release() {
    const JobId id = *postponed_.begin();
    postponed_.erase(postponed_.begin());
    feed(Released{id});
  }

  void end_write(Writer& writer) {
    const JobId id = *writer.job;
    writer.job.reset();
    if (writer.denied || one_in(4)) {
      const bool lost = writer.loaded && one_in(2);
      if (lost) writer.loaded = false;
      writer.denied = false;
      return feed(ImageFailed{.id = id, .message = "x", .volume_lost = lost, .unreadable = one_in(5)});
    }
    holding_.free_kib += held_.at(id);
    held_.erase(id);
    ended(id);
    feed(ImageWritten{id});
  }

  void end_dump() {
    auto it = dumping_.begin();
    std::advance(it, pick(static_cast<unsigned>(dumping_.size())));
    const auto [id, to] = *it;
    const bool direct = to == Destination::volume;
    Writer* writer = direct ? writer_of(id) : nullptr;
    if (direct && !writer->may_end()) return;  // it waits for a volume
    dumping_.erase(it);
    const uint64_t reserved = jobs_.at(id).est_stored_kib;
    if (direct) {
      writer->job.reset();
    } else {
      holding_.free_kib += reserved;
    }
    if ((direct && writer->denied) || one_in(3)) return fail_dump(id, writer);
    if (direct) {
      ended(id);
      return feed(DumpWritten{id});
    }
    const uint64_t kept = std::min<uint64_t>(pick(600), holding_.free_kib);
    holding_.free_kib -= kept;
    held_[id] = kept;
    feed(DumpHeld{id, kept});
  }

  void fail_dump(JobId id, Writer* writer) {
    const bool direct = writer != nullptr;
    using Kind = DumpFailed::Kind;
    if (!direct && one_in(4)) return feed(HoldingRefused{id});
    DumpFailed failed{.id = id, .message = "x"};
    failed.kind = one_in(5) ? Kind::refused : one_in(5) ? Kind::postpone : Kind::failed;
    if (!direct && one_in(4)) failed.kind = Kind::no_space;
    if (direct && writer->loaded && one_in(2)) {
      failed.volume_lost = true;
      writer->loaded = false;
    }
    if (direct) writer->denied = false;
    if (failed.kind == Kind::postpone) postponed_.insert(id);
    feed(failed);
  }

  std::set<size_t> seen_;
  std::mt19937 random_;
  Limits limits_;
  Drive drive_;
  HoldingView holding_;
  JobId next_ = 1;
  std::set<JobId> images_;
  std::map<JobId, Job> jobs_;
  std::map<JobId, Destination> dumping_;
  std::map<JobId, uint64_t> held_;
  std::set<JobId> postponed_, paused_, outcomes_, expected_;
  std::vector<Writer> writers_ = std::vector<Writer>(static_cast<size_t>(
      std::clamp<int64_t>(limits_.parallel_writes, 1, std::max<int64_t>(limits_.volumes, 1))));
  int loads_ = 0;
  bool looking_ = false, none_left_ = false, degraded_ = false, finished_ = false;
};

TEST(DriveProperty, any_night_ends_each_job_once_within_its_limits) {
  std::set<size_t> seen;
  for (unsigned seed = 0; seed < 4000; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    AnyNight night(seed);
    night.play();
    if (HasFailure()) return;
    seen.insert(night.seen().begin(), night.seen().end());
  }
  EXPECT_EQ(seen.size(), std::variant_size_v<Command>) << "some kind of command never came";
}

}  // namespace
}  // namespace headrace::drive
