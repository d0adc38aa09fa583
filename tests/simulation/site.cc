#include "site.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "config/load.h"
#include "journal/codec.h"
#include "journal/file.h"

namespace headrace::simulation {

namespace {

std::filesystem::path make_root() {
  std::string name =
      (std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp") + std::string("/headrace-site-XXXXXX");
  HEADRACE_CHECK(::mkdtemp(name.data()) != nullptr);
  return name;
}

// Of random numbers that have nothing to do with the nights'.
constexpr uint64_t kOthersStream = 0x8EBC6AF09C88C6E3U;

std::vector<std::filesystem::path> holding_directories(const std::filesystem::path& root,
                                                       const Scenario& scenario) {
  std::vector<std::filesystem::path> out{root / "holding"};
  for (int64_t i = 2; i <= scenario.holding_disks; ++i) out.push_back(root / fmt::format("holding{}", i));
  return out;
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
      holding_(holding_directories(root_, scenario_)),
      unrest_(scenario_, seed),
      storage_source_(scenario_, seed),
      storage_night_(storage_source_.next()),
      others_(seed ^ kOthersStream),
      checks_(scenario_, holding_) {
  std::filesystem::create_directories(root_ / "config");
  for (const auto& directory : holding_) std::filesystem::create_directories(directory);
  // One volume more than the cycle, so that a night that needs one always finds one; as many for each run.
  const int64_t runs = scenario_.unrest.second_run_one_in > 0 ? 2 : 1;
  for (size_t storage = 0; storage < storages(); ++storage) {
    const int64_t runtapes =
        scenario_.storages.empty() ? scenario_.runtapes : scenario_.storages[storage].runtapes;
    for (int64_t slot = 1; slot <= scenario_.tapecycle + runtapes * runs; ++slot)
      std::filesystem::create_directories(vtapes()[storage] / fmt::format("slot{}", slot));
  }
  next_disk_ = scenario_.disks;
  for (size_t host = 0; host < scenario_.hosts; ++host) {
    for (size_t disk = 0; disk < scenario_.disks; ++disk) {
      const std::string host_name = fmt::format("host{}", host);
      const std::string disk_name = fmt::format("/disk{}", disk);
      listed_.emplace_back(host_name, disk_name);
      content_[host_name].emplace(
          disk_name,
          sim::SimDisk(random_.next(), random_.between(1, 2 * scenario_.files), scenario_.file_bytes));
    }
  }
  config_ = load(unrest_.rules());
  take_disklist();
}

Site::~Site() {
  if (keep_files_) return;
  std::error_code ignored;  // left in memory, to be seen by whoever looks
  std::filesystem::remove_all(root_, ignored);
}

std::vector<std::filesystem::path> Site::vtapes() const {
  std::vector<std::filesystem::path> all;
  for (size_t storage = 0; storage < storages(); ++storage) all.push_back(root_ / vtapes_name(storage));
  return all;
}

std::string Site::configuration_text(const Rules& rules) const {
  const bool more = sabotage_ == Sabotage::more_dumps;
  const bool late = sabotage_ == Sabotage::late_fulls;
  const bool early = sabotage_ == Sabotage::early_reuse;
  std::string text = fmt::format(
      "org \"sim\"\ninparallel {}\nmaxdumps {}\ndumpcycle {} days\nrunspercycle {}\ntapecycle {} tapes\n"
      "runtapes {}\nnetusage 1000000\netimeout 300\ndtimeout 1800\nconnect-tries 1\nreserve 0\n",
      more ? 50 : rules.in_parallel, more ? 50 : rules.max_dumps, late ? 60 : rules.dumpcycle_days,
      late ? 60 : rules.dumpcycle_days, early ? 2 : rules.tapecycle, rules.runtapes);
  text += fmt::format(
      "labelstr \"^V-[0-9]+$\"\nautolabel \"V-%%%\" empty\ntpchanger \"vt\"\ntapetype T\ncompress-index no\n"
      "infofile \"{0}/info\"\nlogdir \"{0}/log\"\nindexdir \"{0}/index\"\ntapelist \"{0}/config/tapelist\"\n"
      "{1}\ndefine changer vt {{\n tpchanger \"chg-disk:{0}/vtapes\"\n changerfile \"{0}/changer\"\n}}\n"
      "define tapetype T {{\n filemark 32 kbytes\n length {2} kbytes\n part-size 128 kbytes\n}}\n",
      root_.native(), scenario_.configuration, scenario_.volume_kib);
  if (scenario_.holding_kib > 0)
    for (const auto& directory : holding_)
      text += fmt::format("holdingdisk {} {{\n directory \"{}\"\n use {} kbytes\n chunksize 256 kbytes\n}}\n",
                          directory.filename().native(), directory.native(), scenario_.holding_kib);
  text += fmt::format("define dumptype t {{\n program \"GNUTAR\"\n auth \"{}\"\n index yes\n",
                      scenario_.by_datagrams ? "bsd" : "bsdtcp");
  text += scenario_.client_compresses ? " compress client fast\n" : " compress none\n";
  if (rules.strategy != "standard") text += fmt::format(" strategy {}\n", rules.strategy);
  if (rules.holdingdisk != "auto") text += fmt::format(" holdingdisk {}\n", rules.holdingdisk);
  text += "}\n";
  if (scenario_.storages.empty()) return text;
  const size_t known = sabotage_ == Sabotage::one_storage ? 1 : storages();
  return text + tagged_dumptypes() + storages_text(scenario_, storage_night_, root_.native(), known);
}

config::ServerConfig Site::load(const Rules& rules) const {
  auto loaded = config::load_server_text(configuration_text(rules), root_ / "config");
  if (!loaded.ok()) fmt::print(stderr, "{}\n", config::errors_text(loaded.diagnostics));
  HEADRACE_CHECK(loaded.ok());
  return *loaded;
}

void Site::take_disklist() {
  std::string list;
  for (const auto& [host, disk] : listed_)
    list += fmt::format("{} {} {}\n", host, disk, scenario_.storages.empty() ? "t" : dumptype_of(disk));
  auto disks = config::load_disklist_text(config_, list, "disklist");
  HEADRACE_CHECK(disks.ok());
  disks_ = *disks;
}

void Site::play() {
  for (int64_t night = 0; night < scenario_.nights && faults().empty(); ++night) one_night(night);
  if (faults().empty() && scenario_.whole_restores_every > 1) checks_.restore_all(config_, true);
}

void Site::one_night(int64_t night) {
  const NightUnrest unrest = unrest_.next();
  if (night > 0) storage_night_ = storage_source_.next();
  wall_ += unrest.days_before * 86400;
  checks_.night_begins(night, unrest_.rules());
  const bool holiday = random_.one_in(scenario_.holiday_one_in);
  for (auto& [host, disks] : content_) {
    for (auto& [name, disk] : disks) {
      if (!holiday) disk.change(random_, scenario_.changed_per_mille);
      if (scenario_.grows_every > 0 && night % scenario_.grows_every == 0) disk.grow(random_, 1);
    }
  }
  if (!random_.one_in(scenario_.no_run_one_in)) {
    change_site(unrest);
    look_at(night, run(night, unrest));
  }
  wall_ += 86400;
}

// What the operator does by day.
void Site::change_site(const NightUnrest& unrest) {
  const size_t which = unrest.choice % listed_.size();
  const auto [host, name] = listed_[which];
  if (unrest.renames) {
    // The machine has the same disk under another name, and no list of any dump of it.
    auto moved = content_.at(host).extract(name);
    moved.mapped().forget_dumps();
    checks_.unlisted({host, name});
    listed_.erase(listed_.begin() + static_cast<std::ptrdiff_t>(which));
    add_disk(host, std::move(moved.mapped()));
  } else if (unrest.leaves && listed_.size() > 1) {
    content_.at(host).erase(name);
    checks_.unlisted({host, name});
    listed_.erase(listed_.begin() + static_cast<std::ptrdiff_t>(which));
    if (sabotage_ == Sabotage::lost_history) remove_files_of(0, host, name);
  }
  if (unrest.comes) {
    sim::Random random(unrest.choice);
    add_disk(host, sim::SimDisk(random.next(), random.between(1, 2 * scenario_.files), scenario_.file_bytes));
  }
  config_ = load(unrest_.rules());
  take_disklist();
}

void Site::add_disk(const std::string& host, sim::SimDisk disk) {
  const std::string name = fmt::format("/disk{}", next_disk_++);
  content_.at(host).emplace(name, std::move(disk));
  listed_.emplace_back(host, name);
  checks_.listed({host, name});
}

void Site::look_at(int64_t night, const std::vector<Played>& played) {
  if (played.empty()) return;
  for (const auto& run : played) {
    auto contents = journal::read_all(journal::path_of(root_ / "log", run.timestamp));
    if (!contents) return checks_.fault("no journal: " + contents.error().what());
    for (const auto& event : contents->events) {
      if (!belongs_to_trace(event.body)) continue;
      std::string line = journal::encode(event);
      // The site's directory and this process have other names each time.
      for (const std::string& own : {root_.native(), fmt::format("process {}", ::getpid())})
        for (size_t at = line.find(own); at != std::string::npos; at = line.find(own))
          line.erase(at, own.size());
      for (const char c : line) trace_ = (trace_ ^ static_cast<unsigned char>(c)) * 1099511628211U;
    }
    checks_.outcomes(journal::reduce(contents->events), run.wanted, run.ended);
  }
  checks_.volumes(config_);
  const bool ended = std::ranges::all_of(played, &Played::ended);
  if (ended) checks_.holding(unseen_);
  if (scenario_.is_calm() && ended) checks_.cycle(disks_);
  checks_.restore_all(config_, (night + 1) % scenario_.whole_restores_every == 0);
}

}  // namespace headrace::simulation
