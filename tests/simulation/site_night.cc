// One night of a site: the runs, and what happens to them meanwhile.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <set>

#include "base/file.h"
#include "full_disk.h"
#include "server/drive/other_runs.h"
#include "sim/sim_loop.h"
#include "sim/sim_network.h"
#include "site.h"

namespace headrace::simulation {

namespace {

// A night that has not ended by then hangs.
constexpr auto kLongestNight = std::chrono::hours(60);

// A process that is there no more, above the kernel's highest number; and one that always is.
constexpr const char* kDeadPid = "4194305";
constexpr const char* kOtherPid = "1";

// In the file by which processes claim slots, this one becomes one that died.
void let_die(const std::filesystem::path& changer_state) {
  auto text = base::read_file(changer_state);
  if (!text) return;
  const std::string own = std::to_string(::getpid());
  const std::string_view dead = kDeadPid;
  for (size_t at = text->find(own); at != std::string::npos; at = text->find(own, at + dead.size()))
    text->replace(at, own.size(), dead);
  HEADRACE_CHECK(base::replace_file(changer_state, *text, 0600));
}

// A holding directory that `from` has claimed becomes another's.
void hand_over(const std::filesystem::path& claim, const std::string& from, const std::string& to) {
  const auto text = base::read_file(claim);
  if (text && *text == from) HEADRACE_CHECK(base::replace_file(claim, to, 0600));
}

std::set<std::filesystem::path> claims_in(const std::vector<std::filesystem::path>& holding) {
  std::set<std::filesystem::path> claims;
  for (const auto& directory : holding) {
    std::error_code gone;
    for (const auto& entry : std::filesystem::directory_iterator(directory, gone))
      if (std::filesystem::exists(entry.path() / "pid")) claims.insert(entry.path() / "pid");
  }
  return claims;
}

std::filesystem::path away_of(const std::filesystem::path& directory) { return directory.native() + ".away"; }

}  // namespace

struct Site::Run {
  std::vector<config::DiskListEntry> wanted;
  config::ServerConfig config;
  std::unique_ptr<drive::Runner> runner;
  bool done = false;
};

struct Site::Stage {
  std::unique_ptr<sim::SimLoop> loop;
  std::unique_ptr<sim::SimNetwork> network;
  std::vector<std::unique_ptr<sim::SimMachine>> machines;
  std::vector<std::unique_ptr<Run>> runs;
  bool second_due = false;
  std::vector<std::unique_ptr<loop::Timer>> timers;

  bool over() const {
    return !second_due && std::ranges::all_of(runs, [](const auto& run) { return run->done; });
  }
};

void Site::add_machines(Stage& stage, uint64_t seed) {
  sim::Random random(seed);
  for (auto& [host, disks] : content_) {
    sim::SimFaults faults = scenario_.machines;
    if (sabotage_ == Sabotage::lying_client) {
      faults.damage_one_in = 3;
      faults.damage_keeps_checksum = true;
    }
    stage.machines.push_back(std::make_unique<sim::SimMachine>(*stage.loop, disks, faults, random.next()));
    auto* machine = stage.machines.back().get();
    machine->on_dump([this, host](const std::string& disk, int level, const sim::SimFiles& files) {
      ++dumps_;
      checks_.sent({host, disk}, level, files);
    });
    sim::SimWay way = scenario_.way;
    way.down = random.one_in(scenario_.machine_down_one_in);
    if (scenario_.by_datagrams)
      stage.network->add_by_datagrams(host, way, [machine](auto arrivals, const auto& address) {
        machine->serve_datagrams(std::move(arrivals), address);
      });
    else
      stage.network->add(host, way, [machine](auto connection) { machine->serve(std::move(connection)); });
  }
}

// False: it was refused, as it should be; or there is a fault.
bool Site::begin_run(Stage& stage, std::unique_ptr<Run> run, drive::RunOptions options) {
  run->runner = std::make_unique<drive::Runner>(*stage.loop, *stage.network, run->config, std::move(options));
  if (auto begun = run->runner->begin(); !begun) {
    checks_.run_refused(stage.loop->clock().wall_seconds(), begun.error());
    return false;
  }
  checks_.run_begins(run->runner->timestamp());
  stage.runs.push_back(std::move(run));
  return true;
}

// As "headrace dump CONFIG HOST DISK…" beside the night's run.
void Site::begin_second_run(Stage& stage, uint64_t choice) {
  stage.second_due = false;
  auto others = drive::find_other_runs(config_, 0);
  if (!others) return checks_.fault("other runs cannot be looked for: " + others.error().what());
  sim::Random random(choice);
  auto run = std::make_unique<Run>();
  run->config = config_;
  for (const auto& disk : disks_)
    if (random.one_in(2)) run->wanted.push_back(disk);
  drive::RunOptions options{.disks = run->wanted, .selected = true, .listed = disks_};
  if (sabotage_ != Sabotage::double_run) options.taken = others->taken(run->wanted);
  std::erase_if(options.disks, [&](const auto& disk) {
    return std::ranges::any_of(options.taken,
                               [&](const auto& it) { return it.host == disk.host && it.disk == disk.disk; });
  });
  if (options.disks.empty()) return;
  // Two processes they would be: what the first has claimed must not seem to be the second's own.
  const std::string own = std::to_string(::getpid());
  const auto claimed = claims_in(holding_);
  for (const auto& claim : claimed) hand_over(claim, own, kOtherPid);
  Run& second = *run;
  const bool begun = begin_run(stage, std::move(run), std::move(options));
  for (const auto& claim : claimed) hand_over(claim, kOtherPid, own);
  if (!begun) return;
  second.runner->start(
      [this, name = second.runner->timestamp()](const journal::Body& body) { checks_.event(name, body); },
      [&second](int) { second.done = true; });
}

void Site::holding_goes(const std::filesystem::path& directory) {
  if (std::filesystem::exists(directory)) std::filesystem::rename(directory, away_of(directory));
}

void Site::holding_comes(const std::filesystem::path& directory) {
  const auto away = away_of(directory);
  if (!std::filesystem::exists(away)) return;
  if (std::filesystem::exists(directory)) {
    checks_.fault(directory.native() + " was made anew while it was not there: what is in it now gets lost");
    std::filesystem::remove_all(directory);
  }
  std::filesystem::rename(away, directory);
}

void Site::plan_unrest(Stage& stage, const NightUnrest& unrest) {
  const auto after = [&](int64_t seconds, loop::Callback callback) {
    stage.timers.push_back(stage.loop->after(std::chrono::seconds(seconds), std::move(callback)));
  };
  if (unrest.second_run) {
    stage.second_due = true;
    after(unrest.second_when, [this, &stage, choice = unrest.choice] { begin_second_run(stage, choice); });
  }
  unseen_.clear();
  if (!unrest.holding_gone) return;
  const auto directory = holding_[unrest.choice % holding_.size()];
  if (unrest.gone_when < 0) {
    unseen_ = directory;
    holding_goes(directory);
  } else {
    after(unrest.gone_when, [this, directory] { holding_goes(directory); });
  }
  after(std::max<int64_t>(unrest.gone_when, 0) + unrest.back_when,
        [this, directory] { holding_comes(directory); });
}

// Others write to the file system of a holding disk until little or nothing is left of it.
void Site::plan_others(Stage& stage) {
  if (!others_.one_in(scenario_.others_fill_one_in)) return;
  const auto directory = holding_[others_.below(holding_.size())];
  const uint64_t bytes_left = others_.one_in(3) ? 0 : others_.below(400 * 1024);
  const bool before = others_.one_in(3);
  // Most nights are over in seconds.
  const auto when = std::chrono::milliseconds(others_.below(others_.one_in(2) ? 900'000 : 100));
  const auto until = when + std::chrono::seconds(others_.between(1, 4 * 3600));
  if (before)
    FullDisk::fill(directory, bytes_left);
  else
    stage.timers.push_back(
        stage.loop->after(when, [directory, bytes_left] { FullDisk::fill(directory, bytes_left); }));
  stage.timers.push_back(stage.loop->after(until, [] { FullDisk::empty(); }));
  FullDisk::lie(sabotage_ == Sabotage::deaf_disk);
}

// The server's programs are killed, all at one moment.
void Site::die(Stage& stage) {
  ++crashes_;
  // What a dying program's objects would put in order must not be: they do not find it.
  const std::string dead = root_.native() + ".dead";
  std::filesystem::rename(root_, dead);
  stage.runs.clear();
  stage.timers.clear();
  stage.loop->drop_events();
  stage.machines.clear();
  stage.network.reset();
  stage.loop.reset();
  std::filesystem::remove_all(root_);
  std::filesystem::rename(dead, root_);
  for (size_t storage = 0; storage < storages(); ++storage) let_die(root_ / changer_name(storage));
  for (const auto& directory : holding_) holding_comes(directory);
  for (const auto& claim : claims_in(holding_)) hand_over(claim, std::to_string(::getpid()), kDeadPid);
}

std::vector<Site::Played> Site::run(int64_t night, const NightUnrest& unrest) {
  const uint64_t seed = random_.next();
  const bool crashes = random_.one_in(scenario_.crash_one_in);
  const uint64_t last_step = crashes ? random_.between(1, usual_steps_) : UINT64_MAX;
  const bool late = random_.one_in(scenario_.volumes_late_one_in);
  const auto late_by = std::chrono::minutes(random_.between(1, 600));
  const bool steps = random_.one_in(scenario_.clock_step_one_in);
  const int64_t step_seconds = static_cast<int64_t>(random_.below(7200)) - 3600;
  const auto step_after = std::chrono::seconds(random_.below(600));

  int64_t clock = wall_ + unrest.clock_off;
  if (sabotage_ == Sabotage::falling_names && night > 0) {
    std::filesystem::remove_all(root_ / "log");
    clock -= 3 * 86400;
  }
  Stage stage;
  stage.loop = std::make_unique<sim::SimLoop>(clock);
  stage.network = std::make_unique<sim::SimNetwork>(
      *stage.loop, seed,
      sim::SimNetOptions{.jitter = std::chrono::milliseconds(scenario_.by_datagrams ? 20 : 0),
                         .lose_one_in = scenario_.datagrams_lost_one_in,
                         .double_one_in = scenario_.datagrams_doubled_one_in,
                         .seed = seed});
  const auto vtapes = this->vtapes();
  const auto go = [](const std::filesystem::path& from) { std::filesystem::rename(from, away_of(from)); };
  const auto come_back = [](const std::filesystem::path& to) {
    if (std::filesystem::exists(away_of(to))) std::filesystem::rename(away_of(to), to);
  };
  if (late || unrest.volumes_away) go(vtapes.front());
  for (size_t storage = 1; storage < vtapes.size(); ++storage)
    if (storage_night_.away[storage]) go(vtapes[storage]);
  if (!unrest.volumes_away)
    stage.timers.push_back(
        stage.loop->after(late_by, [come_back, first = vtapes.front()] { come_back(first); }));
  if (steps)
    stage.timers.push_back(
        stage.loop->after(step_after, [&stage, step_seconds] { stage.loop->step_wall_clock(step_seconds); }));
  plan_unrest(stage, unrest);
  plan_others(stage);

  auto first = std::make_unique<Run>();
  Run& run = *first;
  run.wanted = disks_;
  if (!first_config_) {
    first_config_ = config_;
    first_dumptype_ = disks_.front().dumptype;
  }
  run.config = sabotage_ == Sabotage::stale_rules ? *first_config_ : config_;
  drive::RunOptions options{.disks = disks_};
  if (sabotage_ == Sabotage::forgotten_disk && night > 1) options.disks.pop_back();
  if (sabotage_ == Sabotage::stale_rules)
    for (auto& disk : options.disks) disk.dumptype = first_dumptype_;
  bool died = false;
  if (begin_run(stage, std::move(first), std::move(options))) {
    add_machines(stage, seed);
    run.runner->start(
        [this, name = run.runner->timestamp()](const journal::Body& body) { checks_.event(name, body); },
        [&run](int) { run.done = true; });
    stage.loop->run_until([&] { return stage.over() || stage.loop->events_run() >= last_step; },
                          kLongestNight);
    died = !stage.over() && stage.loop->events_run() >= last_step;
    if (!stage.over() && !died) checks_.fault("the run does not end");
    if (stage.over()) usual_steps_ = stage.loop->events_run();
  }
  std::vector<Played> played;
  for (const auto& it : stage.runs) played.push_back({it->runner->timestamp(), it->wanted, it->done});
  FullDisk::empty();
  if (died) {
    die(stage);
  } else {
    stage.timers.clear();
    stage.runs.clear();
    stage.loop->drop_events();
    for (const auto& directory : holding_) holding_comes(directory);
  }
  std::ranges::for_each(vtapes, come_back);
  damage(night);
  return played;
}

// What a bug would do, or a deliberate one that is no matter of the configuration.
void Site::damage(int64_t night) {
  if (night < 1) return;
  if (sabotage_ == Sabotage::stray_holding) {
    std::filesystem::create_directories(root_ / "holding/20260101000000");
    std::filesystem::copy_file(root_ / "config/tapelist", root_ / "holding/20260101000000/stray");
  } else if (sabotage_ == Sabotage::lost_holding) {
    for (const auto& entry : std::filesystem::directory_iterator(holding_.front()))
      std::filesystem::remove_all(entry.path());
  } else if (sabotage_ == Sabotage::lost_part) {
    remove_files_of(0, "host0", "");
  } else if (sabotage_ == Sabotage::lost_copy) {
    remove_files_of(storages() - 1, "host0", "");
  }
}

void Site::remove_files_of(size_t storage, const std::string& host, const std::string& disk) {
  const std::string name = "." + host + "." + (disk.empty() ? "" : "_" + disk.substr(1) + ".");
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(vtapes()[storage]))
    if (entry.is_regular_file() && entry.path().filename().native().find(name) != std::string::npos)
      files.push_back(entry.path());
  for (const auto& file : files) std::filesystem::remove(file);
}

}  // namespace headrace::simulation
