#include "site.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/file.h"
#include "config/load.h"
#include "journal/codec.h"
#include "journal/file.h"
#include "server/drive/runner.h"
#include "sim/sim_loop.h"
#include "sim/sim_network.h"

namespace headrace::simulation {

namespace {

// A night that has not ended by then hangs.
constexpr auto kLongestNight = std::chrono::hours(60);

std::filesystem::path make_root() {
  std::string name =
      (std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp") + std::string("/headrace-site-XXXXXX");
  HEADRACE_CHECK(::mkdtemp(name.data()) != nullptr);
  return name;
}

// A process that is there no more: above the kernel's highest number.
constexpr const char* kDeadPid = "4194305";

// In the files by which processes claim slots and holding directories, this process becomes one that died.
void let_die(const std::filesystem::path& file) {
  auto text = base::read_file(file);
  if (!text) return;
  const std::string own = std::to_string(::getpid());
  for (size_t at = text->find(own); at != std::string::npos; at = text->find(own, at + 1))
    text->replace(at, own.size(), kDeadPid);
  HEADRACE_CHECK(base::replace_file(file, *text, 0600));
}

// What the real machine measures, or only it knows.
bool belongs_to_trace(const journal::Body& body) {
  return !std::holds_alternative<journal::RunStarted>(body) &&
         !std::holds_alternative<journal::DumpProgress>(body) &&
         !std::holds_alternative<journal::Verdict>(body) &&
         !std::holds_alternative<journal::RunVerdict>(body);
}

}  // namespace

Site::Site(Scenario scenario, uint64_t seed, Sabotage sabotage)
    : scenario_(std::move(scenario)),
      sabotage_(sabotage),
      random_(seed),
      root_(make_root()),
      checks_(scenario_, root_ / "holding") {
  for (const char* directory : {"holding", "config", "vtapes"})
    std::filesystem::create_directories(root_ / directory);
  // One volume more than the cycle, so that a night that needs one always finds one.
  const int64_t slots = scenario_.tapecycle + scenario_.runtapes;
  for (int64_t slot = 1; slot <= slots; ++slot)
    std::filesystem::create_directories(root_ / fmt::format("vtapes/slot{}", slot));
  std::string list;
  for (size_t host = 0; host < scenario_.hosts; ++host) {
    for (size_t disk = 0; disk < scenario_.disks; ++disk) {
      const std::string host_name = fmt::format("host{}", host);
      const std::string disk_name = fmt::format("/disk{}", disk);
      list += fmt::format("{} {} t\n", host_name, disk_name);
      content_[host_name].emplace(
          disk_name,
          sim::SimDisk(random_.next(), random_.between(1, 2 * scenario_.files), scenario_.file_bytes));
    }
  }
  config_ = load();
  auto disks = config::load_disklist_text(config_, list, "disklist");
  HEADRACE_CHECK(disks.ok());
  disks_ = *disks;
}

Site::~Site() {
  if (keep_files_) return;
  std::error_code ignored;  // left in memory, to be seen by whoever looks
  std::filesystem::remove_all(root_, ignored);
}

std::string Site::configuration_text() const {
  const bool more = sabotage_ == Sabotage::more_dumps;
  const bool late = sabotage_ == Sabotage::late_fulls;
  const bool early = sabotage_ == Sabotage::early_reuse;
  std::string text = fmt::format(
      "org \"sim\"\ninparallel {}\nmaxdumps {}\ndumpcycle {} days\nrunspercycle {}\ntapecycle {} tapes\n"
      "runtapes {}\nnetusage 1000000\netimeout 300\ndtimeout 1800\nconnect-tries 1\nreserve 0\n",
      more ? 50 : scenario_.in_parallel, more ? 50 : scenario_.max_dumps,
      late ? 60 : scenario_.dumpcycle_days, late ? 60 : scenario_.dumpcycle_days,
      early ? 2 : scenario_.tapecycle, scenario_.runtapes);
  text += fmt::format(
      "labelstr \"^V-[0-9]+$\"\nautolabel \"V-%%%\" empty\ntpchanger \"vt\"\ntapetype T\ncompress-index no\n"
      "infofile \"{0}/info\"\nlogdir \"{0}/log\"\nindexdir \"{0}/index\"\ntapelist \"{0}/config/tapelist\"\n"
      "{1}\ndefine changer vt {{\n tpchanger \"chg-disk:{0}/vtapes\"\n changerfile \"{0}/changer\"\n}}\n"
      "define tapetype T {{\n filemark 32 kbytes\n length {2} kbytes\n part-size 128 kbytes\n}}\n",
      root_.native(), scenario_.configuration, scenario_.volume_kib);
  if (scenario_.holding_kib > 0)
    text += fmt::format(
        "holdingdisk hd {{\n directory \"{}/holding\"\n use {} kbytes\n chunksize 256 kbytes\n}}\n",
        root_.native(), scenario_.holding_kib);
  text += "define dumptype t {\n program \"GNUTAR\"\n auth \"bsdtcp\"\n compress none\n index yes\n}\n";
  return text;
}

config::ServerConfig Site::load() const {
  auto loaded = config::load_server_text(configuration_text(), root_ / "config");
  if (!loaded.ok()) fmt::print(stderr, "{}\n", config::errors_text(loaded.diagnostics));
  HEADRACE_CHECK(loaded.ok());
  return *loaded;
}

void Site::play() {
  for (int64_t night = 0; night < scenario_.nights && faults().empty(); ++night) one_night(night);
  if (faults().empty() && scenario_.whole_restores_every > 1) checks_.restore_all(config_, disks_, true);
}

void Site::one_night(int64_t night) {
  checks_.night_begins(night);
  const bool holiday = random_.one_in(scenario_.holiday_one_in);
  for (auto& [host, disks] : content_) {
    for (auto& [name, disk] : disks) {
      if (!holiday) disk.change(random_, scenario_.changed_per_mille);
      if (scenario_.grows_every > 0 && night % scenario_.grows_every == 0) disk.grow(random_, 1);
    }
  }
  if (random_.one_in(scenario_.no_run_one_in)) {
    wall_ += 86400;
    return;
  }
  const auto outcome = run(night);
  sabotage(night);
  look_at(night, outcome);
  wall_ += 86400;
}

void Site::add_machines(sim::SimLoop& loop, sim::SimNetwork& network,
                        std::vector<std::unique_ptr<sim::SimMachine>>& machines, const std::string& timestamp,
                        uint64_t seed) {
  sim::Random random(seed);
  for (auto& [host, disks] : content_) {
    sim::SimFaults faults = scenario_.machines;
    if (sabotage_ == Sabotage::lying_client) {
      faults.damage_one_in = 3;
      faults.damage_keeps_checksum = true;
    }
    machines.push_back(std::make_unique<sim::SimMachine>(loop, disks, faults, random.next()));
    auto* machine = machines.back().get();
    machine->on_dump([this, host, timestamp](const std::string& disk, int level, const sim::SimFiles& files) {
      ++dumps_;
      checks_.sent({host, disk}, timestamp, level, files);
    });
    sim::SimWay way = scenario_.way;
    way.down = random.one_in(scenario_.machine_down_one_in);
    network.add(host, way, [machine](auto connection) { machine->serve(std::move(connection)); });
  }
}

Site::NightOutcome Site::run(int64_t night) {
  NightOutcome out;
  const uint64_t seed = random_.next();
  const bool crashes = random_.one_in(scenario_.crash_one_in);
  const uint64_t last_step = crashes ? random_.between(1, usual_steps_) : UINT64_MAX;
  const bool late = random_.one_in(scenario_.volumes_late_one_in);
  const auto late_by = std::chrono::minutes(random_.between(1, 600));
  const bool steps = random_.one_in(scenario_.clock_step_one_in);
  const int64_t step_seconds = static_cast<int64_t>(random_.below(7200)) - 3600;
  const auto step_after = std::chrono::seconds(random_.below(600));

  auto loop = std::make_unique<sim::SimLoop>(wall_);
  auto network = std::make_unique<sim::SimNetwork>(*loop, seed);
  std::vector<std::unique_ptr<sim::SimMachine>> machines;
  auto disks = disks_;
  if (sabotage_ == Sabotage::forgotten_disk && night > 1) disks.pop_back();
  auto runner =
      std::make_unique<drive::Runner>(*loop, *network, config_, drive::RunOptions{.disks = std::move(disks)});
  const auto vtapes = root_ / "vtapes";
  const auto away = root_ / "vtapes.away";
  if (late) std::filesystem::rename(vtapes, away);
  std::vector<std::unique_ptr<loop::Timer>> timers;
  const auto come_back = [&] {
    if (std::filesystem::exists(away)) std::filesystem::rename(away, vtapes);
  };
  timers.push_back(loop->after(late_by, come_back));
  if (steps)
    timers.push_back(loop->after(step_after, [&loop, step_seconds] { loop->step_wall_clock(step_seconds); }));

  bool done = false;
  auto begun = runner->begin();
  if (!begun) {
    checks_.fault("the run cannot begin: " + begun.error().what());
    come_back();
    return out;
  }
  out.timestamp = runner->timestamp();
  add_machines(*loop, *network, machines, out.timestamp, seed);
  runner->start([this](const journal::Body& body) { checks_.event(body); }, [&done](int) { done = true; });
  loop->run_until([&] { return done || loop->events_run() >= last_step; }, kLongestNight);
  out.ended = done;
  out.crashed = !done && loop->events_run() >= last_step;
  if (!out.ended && !out.crashed) checks_.fault("the run does not end");
  if (out.ended) usual_steps_ = loop->events_run();
  if (out.crashed) {
    ++crashes_;
    // What a dying program's objects would put in order must not be: they do not find it.
    std::filesystem::rename(root_, root_.native() + ".dead");
  }
  runner.reset();
  timers.clear();
  machines.clear();
  network.reset();
  loop.reset();
  if (out.crashed) {
    std::filesystem::remove_all(root_);
    std::filesystem::rename(root_.native() + ".dead", root_);
    let_die(root_ / "changer");
    for (const auto& entry : std::filesystem::directory_iterator(root_ / "holding"))
      let_die(entry.path() / "pid");
  }
  come_back();
  return out;
}

void Site::look_at(int64_t night, const NightOutcome& outcome) {
  if (outcome.timestamp.empty()) return;
  auto contents = journal::read_all(journal::path_of(root_ / "log", outcome.timestamp));
  if (!contents) return checks_.fault("no journal: " + contents.error().what());
  for (const auto& event : contents->events) {
    if (!belongs_to_trace(event.body)) continue;
    std::string line = journal::encode(event);
    // The site's directory and this process have other names each time.
    for (const std::string& own : {root_.native(), fmt::format("(process {})", ::getpid())})
      for (size_t at = line.find(own); at != std::string::npos; at = line.find(own))
        line.erase(at, own.size());
    for (const char c : line) trace_ = (trace_ ^ static_cast<unsigned char>(c)) * 1099511628211U;
  }
  const auto state = journal::reduce(contents->events);
  checks_.outcomes(state, disks_, outcome.ended);
  if (outcome.ended) checks_.holding();
  if (scenario_.is_calm() && outcome.ended) checks_.cycle(disks_);
  checks_.restore_all(config_, disks_, (night + 1) % scenario_.whole_restores_every == 0);
}

void Site::sabotage(int64_t night) {
  if (night < 1) return;
  if (sabotage_ == Sabotage::stray_holding) {
    std::filesystem::create_directories(root_ / "holding/20260101000000");
    std::filesystem::copy_file(root_ / "config/tapelist", root_ / "holding/20260101000000/stray");
  } else if (sabotage_ == Sabotage::lost_part) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_ / "vtapes"))
      if (entry.is_regular_file() && entry.path().filename().native().find("host0") != std::string::npos)
        files.push_back(entry.path());
    std::ranges::sort(files);
    for (const auto& file : files) std::filesystem::remove(file);
  }
}

}  // namespace headrace::simulation
