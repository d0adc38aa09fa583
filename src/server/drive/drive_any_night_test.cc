// Any night: what must hold whatever happens, by a runner that lets random things happen.
#include <random>
#include <set>

#include "server/drive/drive_bench.h"

namespace headrace::drive {
namespace {

// A runner that carries out commands and lets a random one of the things under way come to its end. It keeps
// its own books and compares: they share no code with the drive.
// Of so many nights one goes by measured rates: looking for its orders takes longest of all.
constexpr unsigned kOneMeasured = 16;

class AnyNight {
 public:
  // Which kinds of commands came.
  const std::set<size_t>& seen() const { return seen_; }

  explicit AnyNight(unsigned seed)
      : random_(seed), measured_(seed % kOneMeasured == 0), drive_(make_limits(), make_storages()) {
    holding_.total_kib = holding_.free_kib = one_in(5) ? 0 : 100 + pick(2000);
    for (unsigned n = pick(4); n > 0; --n) images_.insert(next_++);
    for (unsigned n = pick(14); n > 0; --n) jobs_.emplace(next_, make_job(next_)), ++next_;
  }

  void play() {
    Flush flush;
    for (const JobId id : images_) {
      flush.images.push_back(id);
      flush.stored_kib.push_back(pick(700));
      flush.storages.push_back(some_storages(1));
      expected_.insert(id);
      held_[id] = 0;
      pending_[id] = to_set(flush.storages.back());
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
               .write_tries = 2,
               .reserve_percent = pick(3) * 50,
               .dump_order = one_in(2) ? "sTB" : ""};
    if (measured_) {
      limits_.finish_soonest = true;
      limits_.together = {.host_kps = {{"a", 150}}, .kps = 250};
    }
    return limits_;
  }
  std::vector<StorageLimits> make_storages() {
    storages_.resize(one_in(2) ? 1 : 1 + pick(3));
    std::vector<StorageLimits> all;
    for (size_t number = 0; number < storages_.size(); ++number) {
      auto& limits = storages_[number].limits;
      limits = {.name = fmt::format("s{}", number),
                .volumes = static_cast<int64_t>(pick(4)),
                .parallel_writes = static_cast<int64_t>(pick(4)),
                .dumps_on_volume = one_in(3) ? static_cast<int64_t>(pick(4)) : INT64_MAX,
                .held_threshold_kib = one_in(2) ? pick(900) : 0,
                .scheduled_threshold_kib = one_in(2) ? pick(2000) : 0,
                .flush_kib = one_in(3) ? pick(900) : 0,
                .algorithm = static_cast<config::TaperAlgorithm>(pick(8)),
                .volume_kib = one_in(2) ? pick(900) : 0};
      const int64_t writers =
          std::clamp<int64_t>(limits.parallel_writes, 1, std::max<int64_t>(limits.volumes, 1));
      for (int64_t n = 0; n < writers; ++n) writers_.push_back({.storage = number});
      all.push_back(limits);
    }
    return all;
  }
  Storages some_storages(size_t least) {
    Storages some;
    for (size_t number = 0; number < storages_.size(); ++number)
      if (!one_in(4)) some.push_back(number);
    if (some.size() < least) some.push_back(pick(static_cast<unsigned>(storages_.size())));
    return some;
  }
  static std::set<size_t> to_set(const Storages& storages) { return {storages.begin(), storages.end()}; }
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
            .own_kps = measured_ ? 100 + id * 7 % 50 : 0,
            .full = one_in(2),
            .degraded = one_in(2)
                            ? std::optional(Job::Incremental{pick(300), pick(3) * 100, 0, some_storages(0)})
                            : std::nullopt,
            .storages = some_storages(0)};
  }
  unsigned pick(unsigned below) { return static_cast<unsigned>(random_() % below); }
  bool one_in(unsigned n) { return pick(n) == 0; }
  bool something_runs() const {
    return std::ranges::any_of(storages_, &Storage::looking) || !dumping_.empty() || !postponed_.empty() ||
           !paused_.empty() ||
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

  void obey(const FindVolume& c) {
    auto& storage = storages_.at(c.storage);
    ASSERT_FALSE(storage.looking);
    ASSERT_GT(storage.limits.volumes, 0);
    storage.looking = true;
  }
  void obey(const StartDump& c) {
    ASSERT_FALSE(limits_.reserve_percent > 0 && std::ranges::any_of(storages_, &Storage::looking));
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
      ASSERT_TRUE(to_set(job.storages).contains(writer_at(c.writer).storage)) << "it does not select it";
      take_writer(c.writer, c.id);
    } else {
      ASSERT_NE(job.holding, Holding::never);
      ASSERT_TRUE(job.holding != Holding::when_degraded ||
                  std::ranges::all_of(job.storages, [this](size_t it) { return storages_.at(it).degraded; }));
      ASSERT_LE(job.est_stored_kib, holding_.free_kib);
      holding_.free_kib -= job.est_stored_kib;
    }
  }
  void obey(const WriteImage& c) {
    ASSERT_TRUE(held_.contains(c.id));
    ASSERT_TRUE(pending_.at(c.id).contains(writer_at(c.writer).storage));
    ASSERT_FALSE(writes(c.id, writer_at(c.writer).storage)) << "it is being written there";
    take_writer(c.writer, c.id);
  }
  void obey(const LoadVolume& c) {
    auto& writer = writer_at(c.writer);
    auto& storage = storages_.at(writer.storage);
    ASSERT_FALSE(storage.looking || storage.degraded || storage.none_left);
    ASSERT_FALSE(writer.loading || writer.loaded || writer.denied);
    ASSERT_EQ(c.sequence, ++storage.loads);
    ASSERT_LE(storage.loads, storage.limits.volumes);
    writer.loading = true;
    writer.dumps = writer.job ? 1 : 0;
  }
  void obey(const EndVolume& c) {
    auto& writer = writer_at(c.writer);
    ASSERT_TRUE(writer.loaded && !writer.job);
    ASSERT_EQ(writer.dumps, most_dumps(writer));
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
    ASSERT_EQ(from.storage, to.storage);
    ASSERT_TRUE(from.loaded && !from.job);
    ASSERT_TRUE(to.job && !to.loaded && !to.loading && !to.denied);
    from.loaded = false;
    to.loaded = true;
    to.dumps = from.dumps + 1;
    ASSERT_LE(to.dumps, most_dumps(to));
  }
  void obey(const Degraded& c) {
    auto& storage = storages_.at(c.storage);
    ASSERT_FALSE(storage.degraded);
    for (const auto& writer : writers_)
      ASSERT_FALSE(writer.storage == c.storage && (writer.loaded || writer.loading)) << "it has a volume";
    storage.degraded = true;
  }
  void obey(const TakeDegraded& c) {
    auto& job = jobs_.at(c.id);
    ASSERT_TRUE(job.full && job.degraded);
    ASSERT_TRUE(std::ranges::any_of(job.storages, [this](size_t it) { return storages_.at(it).degraded; }));
    ASSERT_FALSE(dumping_.contains(c.id) || held_.contains(c.id) || outcomes_.contains(c.id));
    job.full = false;
    job.est_stored_kib = job.degraded->est_stored_kib;
    job.est_kps = job.degraded->est_kps;
    job.storages = job.degraded->storages;
  }
  void obey(const GiveUp& c) {
    ASSERT_TRUE(jobs_.contains(c.id) && !dumping_.contains(c.id) && !held_.contains(c.id));
    ended(c.id);
  }
  void obey(const LeaveOnHolding& c) {
    if (c.why == Left::not_selected) {
      ASSERT_TRUE(jobs_.at(c.id).storages.empty());
      return ended(c.id);
    }
    ASSERT_TRUE(held_.contains(c.id) && !writes(c.id, c.storage));
    stays_.insert(c.id);
    copy_ended(c.id, c.storage);
  }
  void obey(const AbortDump& c) { ASSERT_TRUE(dumping_.contains(c.id)); }
  void obey(const AbortWrite& c) { ASSERT_TRUE(writes(c.id, c.storage)); }
  void obey(const NowWaits& c) { ASSERT_FALSE(dumping_.contains(c.id) || writes(c.id)); }
  void obey(const FinishRun&) { finished_ = true; }

  void copy_ended(JobId id, size_t storage) {
    ASSERT_EQ(pending_.at(id).erase(storage), 1U) << id << " has an outcome for storage " << storage;
    if (pending_.at(id).empty()) ended(id);
  }
  void ended(JobId id) {
    postponed_.erase(id);
    paused_.erase(id);
    ASSERT_TRUE(outcomes_.insert(id).second) << "a second outcome of " << id;
  }

  struct Storage {
    StorageLimits limits = {};
    int loads = 0;
    bool looking = false, none_left = false, degraded = false;
  };
  struct Writer {
    size_t storage = 0;
    bool loading = false, loaded = false, denied = false;
    int64_t dumps = 0;  // on its volume
    std::optional<JobId> job = {};
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
  int64_t most_dumps(const Writer& writer) const {
    return std::max<int64_t>(storages_.at(writer.storage).limits.dumps_on_volume, 1);
  }
  bool writes(JobId id) { return writer_of(id) != nullptr; }
  bool writes(JobId id, size_t storage) {
    return std::ranges::any_of(writers_,
                               [&](const Writer& it) { return it.job == id && it.storage == storage; });
  }
  void take_writer(size_t number, JobId id) {
    auto& writer = writer_at(number);
    ASSERT_TRUE(writer.loaded && !writer.job && !writer.denied);
    writer.job = id;
    ASSERT_LE(++writer.dumps, most_dumps(writer));
  }

  void end_something() {
    while (true) {
      const size_t number = pick(static_cast<unsigned>(writers_.size()));
      auto& writer = writers_[number];
      auto& storage = storages_.at(writer.storage);
      if (storage.looking && one_in(3)) {
        storage.looking = false;
        storage.none_left = one_in(3);
        return feed(VolumeSought{storage.none_left ? "none there" : "", writer.storage});
      }
      switch (pick(6)) {
        case 0:
          if (!writer.loading) continue;
          writer.loading = false;
          writer.loaded = !one_in(6);
          if (writer.loaded) return feed(VolumeReady{number});
          storage.none_left = true;
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
      return feed(ImageFailed{
          .id = id, .message = "x", .volume_lost = lost, .unreadable = one_in(5), .storage = writer.storage});
    }
    copy_ended(id, writer.storage);
    if (outcomes_.contains(id) && !stays_.contains(id)) {
      holding_.free_kib += held_.at(id);
      held_.erase(id);
    }
    feed(ImageWritten{id, writer.storage});
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
    pending_[id] = to_set(jobs_.at(id).storages);
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
  bool measured_;  // starts by forecasts
  Limits limits_;
  std::vector<Storage> storages_;
  std::vector<Writer> writers_;
  Drive drive_;
  HoldingView holding_;
  JobId next_ = 1;
  std::set<JobId> images_;
  std::map<JobId, Job> jobs_;
  std::map<JobId, Destination> dumping_;
  std::map<JobId, uint64_t> held_;
  std::map<JobId, std::set<size_t>> pending_;  // storages that are still to have a held image
  std::set<JobId> stays_;
  std::set<JobId> postponed_, paused_, outcomes_, expected_;
  bool finished_ = false;
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
