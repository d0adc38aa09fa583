#include "checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "compat/tapelist.h"
#include "server/drive/recorder.h"

namespace headrace::simulation {

namespace {

std::string text_of(const Checks::Dle& dle) { return dle.first + ":" + dle.second; }

// Of a volume: what the labels of its storage begin with.
std::string prefix_of(const std::string& label) { return label.substr(0, label.find('-')); }

std::string from_where(const catalog::Image& image) {
  std::string text = image.text() + image.holding_file.native();
  for (const auto& part : image.parts)
    if (part.ok) text += fmt::format(" {} {} {}", part.label, part.write_timestamp, part.fileno);
  return text;
}

}  // namespace

void Checks::fault(std::string text) { faults_.push_back(fmt::format("night {}: {}", night_, text)); }

void Checks::night_begins(int64_t night, const Rules& rules) {
  night_ = night;
  if (rules == rules_) return;
  // Fulls come due by the new cycle, and what the old rules kept from being made is made up for.
  settled_ = night + std::max(rules.dumpcycle_days, rules_.dumpcycle_days);
  least_tapecycle_ = std::min(least_tapecycle_, rules.tapecycle);
  rules_ = rules;
}

void Checks::run_begins(const std::string& timestamp) {
  if (timestamp <= newest_run_)
    fault(fmt::format("a run is called {}, and the one before was {}", timestamp, newest_run_));
  newest_run_ = timestamp;
}

void Checks::run_refused(int64_t clock, const base::Error& why) {
  if (base::unix_of_timestamp(newest_run_) - clock <= drive::kMostPutBack.count())
    fault("the run cannot begin: " + why.what());
}

void Checks::sent(const Dle& dle, int level, const sim::SimFiles& files) {
  sent_[dle][{asked_by_[dle], level}] = files;
}

void Checks::event(const std::string& run, const journal::Body& body) {
  auto& running = running_[run];
  if (const auto* started = std::get_if<journal::DumpStarted>(&body)) {
    const Dle dle{started->image.host, started->image.disk};
    for (const auto& [other, disks] : running_)
      if (other != run && disks.contains(dle)) fault(text_of(dle) + " is dumped by two runs at once");
    running.insert(dle);
    asked_by_[dle] = run;
    const auto of_host = std::ranges::count(running, dle.first, &Dle::first);
    if (std::cmp_greater(running.size(), rules_.in_parallel))
      fault(fmt::format("{} dumps run at once; inparallel is {}", running.size(), rules_.in_parallel));
    if (of_host > rules_.max_dumps)
      fault(fmt::format("{} dumps of {} run at once; maxdumps is {}", of_host, dle.first, rules_.max_dumps));
  } else if (const auto* finished = std::get_if<journal::DumpFinished>(&body)) {
    running.erase({finished->image.host, finished->image.disk});
  } else if (const auto* failed = std::get_if<journal::DumpFailed>(&body)) {
    running.erase({failed->image.host, failed->image.disk});
  } else if (const auto* volume = std::get_if<journal::VolumeStarted>(&body)) {
    wrote(run, volume->label);
  }
}

// How many volumes were written by that run and later ones.
size_t Checks::labels_since(const std::string& prefix, const std::string& run) const {
  std::set<std::string> labels;
  for (const auto& it : written_)
    if (it.run >= run && prefix_of(it.label) == prefix) labels.insert(it.label);
  return labels.size();
}

void Checks::wrote(const std::string& run, const std::string& label) {
  const auto last = std::ranges::find(written_.rbegin(), written_.rend(), label, &Written::label);
  if (last != written_.rend()) {
    // Among the volumes of one run none is older than the other.
    const auto since = static_cast<int64_t>(labels_since(prefix_of(label), last->run));
    if (since < rules_.tapecycle)
      fault(fmt::format("volume {} is written over after {} others; tapecycle is {}", label, since - 1,
                        rules_.tapecycle));
  }
  written_.push_back({label, run});
}

void Checks::volumes(const config::ServerConfig& config) {
  const auto tapelist = compat::load_tapelist(config.globals.tapelist);
  if (!tapelist) return fault(tapelist.error().what());
  for (const auto& entry : tapelist->entries()) {
    const bool known = std::ranges::any_of(
        written_, [&](const Written& it) { return it.label == entry.label && it.run == entry.timestamp; });
    if (entry.used() && !known) written_.push_back({entry.label, entry.timestamp});
  }
}

void Checks::outcomes(const journal::RunState& state, const std::vector<config::DiskListEntry>& wanted,
                      bool ended) {
  running_.clear();
  if (!ended) copies_.run_died();
  short_of_volumes_ = short_of_volumes_ || !state.no_volume.empty();
  for (const auto& leftover : state.leftovers)
    for (const auto& holding : holding_)
      if (!leftover.host.empty()) left_.insert(holding / leftover.timestamp / leftover.host);
  std::map<Dle, const journal::DumpState*> tonight;
  for (const auto& dump : state.dumps) {
    // Without autoflush, what a run has left stays until somebody flushes it.
    if (dump.phase == journal::Phase::left) left_.insert(dump.holding_file);
    const Dle dle{dump.image.host, dump.image.disk};
    if (dump.flush) {
      const auto good = good_.find(dle);
      if (good != good_.end() && good->second.timestamp == dump.image.timestamp &&
          good->second.level == dump.image.level)
        good->second.add_copies(dump, state.run.timestamp);
      continue;
    }
    if (!tonight.emplace(dle, &dump).second) fault(text_of(dle) + " has more than one outcome");
  }
  for (const auto& entry : wanted) {
    const Dle dle{entry.host, entry.disk};
    const auto found = tonight.find(dle);
    // Such a disk belongs to no run.
    const bool skipped = rules_.strategy == "skip";
    if (found == tonight.end()) {
      if (ended && !skipped) fault(text_of(dle) + " has no outcome");
      continue;
    }
    if (skipped && !found->second->attempts.empty()) fault(text_of(dle) + " is dumped; its strategy is skip");
    const auto& dump = *found->second;
    if (ended && !dump.ended())
      fault(fmt::format("{} ends the night as \"{}\"", text_of(dle), name_of(dump.phase)));
    if (!dump.has_image()) continue;
    copies_.made(dle, dump.image.timestamp, dump.image.level, !dump.holding_file.empty(), !ended);
    Good& good = good_[dle];
    good.timestamp = dump.image.timestamp;
    good.level = dump.image.level;
    good.copies.clear();
    good.add_copies(dump, state.run.timestamp);
    const bool makes_fulls = rules_.strategy != "nofull" && rules_.strategy != "incronly";
    good.may_lack = !makes_fulls && dump.plan_reason.contains("may lack");
    if (dump.image.level > 0) continue;
    good.night_of_full = night_;
    good.full = dump.image.timestamp;
  }
}

void Checks::holding(const std::filesystem::path& unseen) {
  for (const auto& holding : holding_) {
    if (holding == unseen) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(holding)) {
      if (!entry.is_regular_file() || entry.path().filename() == "pid") continue;
      // Chunks of an image that was left begin with the name of its first, on whatever holding disk they are.
      const auto of_run = entry.path().lexically_relative(holding);
      const bool known = std::ranges::any_of(left_, [&](const std::string& left) {
        return std::ranges::any_of(
            holding_, [&](const auto& other) { return (other / of_run).native().starts_with(left); });
      });
      if (!known)
        fault(entry.path().native() + " is left on holding disk, and nothing in the journal says why");
    }
  }
}

void Checks::cycle(const std::vector<config::DiskListEntry>& listed) {
  if (short_of_volumes_ || night_ < settled_ || rules_.strategy != "standard") return;
  for (const auto& entry : listed) {
    const Dle dle{entry.host, entry.disk};
    const auto good = good_.find(dle);
    const auto from = listed_since_.find(dle);
    const int64_t before = (from == listed_since_.end() ? 0 : from->second) - 1;
    const int64_t since = night_ - (good == good_.end() ? before : good->second.night_of_full);
    if (since > rules_.dumpcycle_days)
      fault(fmt::format("{} has had no full for {} nights; dumpcycle is {}", text_of(dle), since,
                        rules_.dumpcycle_days));
  }
}

void Checks::restore_all(const config::ServerConfig& config, bool whole) {
  if (whole) {
    restored_.clear();
    logs_ = {};
  }
  auto catalog = catalog::load(catalog::Sources::of(config), &logs_);
  if (!catalog) return fault("the catalog cannot be loaded: " + catalog.error().what());
  recover::Volumes volumes(config);
  copies_.look(
      config, *catalog, volumes, least_tapecycle_,
      [this](const std::string& prefix, const std::string& run) { return labels_since(prefix, run); },
      [this](std::string what) { fault(std::move(what)); });
  for (const auto& [dle, good] : good_) restore(volumes, *catalog, dle);
}

// Something that its newest good dump needs, of all that was made since.
bool Checks::may_be_written_over(const Dle& dle, const std::string& since) const {
  const auto labels = [this](const std::string& prefix, const std::string& run) {
    return labels_since(prefix, run);
  };
  if (copies_.several()) return copies_.may_be_gone(dle, since, least_tapecycle_, labels);
  return std::cmp_greater_equal(labels_since("V", since), least_tapecycle_);
}

void Checks::Good::add_copies(const journal::DumpState& dump, const std::string& by) {
  for (const auto& writing : dump.writings)
    if (writing.written) copies.push_back({writing.labels, by});
}

// It was on volumes, and later runs wrote over something of each copy.
bool Checks::is_written_over(const Good& good) const {
  return !good.copies.empty() && std::ranges::all_of(good.copies, [&](const Good::Copy& copy) {
    return std::ranges::any_of(written_, [&](const Written& it) {
      return it.run > copy.run && std::ranges::find(copy.labels, it.label) != copy.labels.end();
    });
  });
}

// What is known already stays only as far as the chain is the same image by image, each at the same place.
bool Checks::read_chain(recover::Volumes& volumes, const std::vector<catalog::Image>& chain, const Dle& dle) {
  auto& known = restored_[dle];
  for (size_t i = 0; i < chain.size(); ++i) {
    const std::string from = from_where(chain[i]);
    if (i < known.size() && known[i].from == from) continue;
    known.resize(i);
    ++images_read_;
    auto data = read_image(volumes, chain[i]);
    sim::SimFiles files = i > 0 ? known.back().files : sim::SimFiles();
    if (!data) {
      fault(fmt::format("{} cannot be read: {}", chain[i].text(), data.error().what()));
      return false;
    }
    const auto archive =
        data->gzipped ? sim::SimDisk::gunzip(data->bytes) : std::optional(std::move(data->bytes));
    if (!archive || !sim::SimDisk::restore(*archive, files)) {
      fault(chain[i].text() + " is called good and is damaged");
      return false;
    }
    known.push_back({from, std::move(files)});
  }
  known.resize(chain.size());
  return true;
}

// Without any full: the newest good dump that is there and what it builds on, lowest level first; empty: not
// all there.
std::vector<catalog::Image> Checks::increments(const catalog::Catalog& catalog, const Dle& dle) const {
  const Good& good = good_.at(dle);
  std::vector<catalog::Image> chain;
  std::string at = good.timestamp;
  for (int level = good.level; level > 0; --level) {
    auto image = catalog.newest(dle.first, dle.second, at, level);
    if (!image) return {};
    at = image->timestamp;
    chain.insert(chain.begin(), std::move(*image));
  }
  return chain;
}

// What comes back of a dump that the plan warned of lacks nothing but what a full had that failed after the
// last good one, and that was not changed since.
bool Checks::lacks_only_what_failed(const Dle& dle, const std::string& timestamp, const sim::SimFiles& files,
                                    const sim::SimFiles& expected) const {
  const Good& good = good_.at(dle);
  if (!good.may_lack) return false;
  return std::ranges::all_of(expected,
                             [&](const auto& file) {
                               const auto back = files.find(file.first);
                               if (back == files.end()) return false;
                               if (back->second == file.second) return true;
                               return std::ranges::any_of(sent_.at(dle), [&](const auto& sent) {
                                 const auto& [run, level] = sent.first;
                                 if (level != 0 || run <= good.full || run >= timestamp) return false;
                                 const auto had = sent.second.find(file.first);
                                 return had != sent.second.end() && had->second == file.second;
                               });
                             }) &&
         files.size() == expected.size();
}

void Checks::restore(recover::Volumes& volumes, const catalog::Catalog& catalog, const Dle& dle) {
  const Good& good = good_.at(dle);
  // A later one that is known to be incomplete hides it from who asks for the newest.
  auto chain = catalog.chain(dle.first, dle.second, good.timestamp);
  if (!chain) {
    // A dump whose turn it was to be written over is gone, if no later one could be made.
    const bool no_full = good.night_of_full < 0;
    auto increments = no_full ? this->increments(catalog, dle) : std::vector<catalog::Image>();
    if (increments.empty()) {
      const std::string& needed = no_full ? good.timestamp : good.full;
      if (may_be_written_over(dle, needed)) return;
      return fault(fmt::format("{} cannot be had back: {}", text_of(dle), chain.error().what()));
    }
    // By a strategy that makes no fulls the first incremental holds everything.
    chain = std::move(increments);
  }
  if (!read_chain(volumes, *chain, dle)) return;
  const auto& newest = chain->back();
  if (newest.timestamp != good.timestamp) {
    // An older one may outlast it on holding disk. It has to be right too, as far as it builds on no other.
    if (good.night_of_full >= 0 || !is_written_over(good))
      return fault(fmt::format("{}: the newest good dump is of {}, the catalog has {}", text_of(dle),
                               good.timestamp, newest.text()));
    if (newest.level > 1) return;
  }
  ++restores_;
  const auto& sent = sent_[dle];
  const auto expected = sent.find({newest.timestamp, newest.level});
  if (expected == sent.end()) return fault(newest.text() + " was never sent by its machine");
  const auto& files = restored_[dle].back().files;
  if (files == expected->second) return;
  if (lacks_only_what_failed(dle, newest.timestamp, files, expected->second)) {
    ++lacking_;
  } else {
    std::string what;
    for (const auto& image : *chain) what += (what.empty() ? "" : ", ") + image.text();
    fault(fmt::format("{}: what comes back is not what was dumped (from {})", text_of(dle), what));
  }
}

}  // namespace headrace::simulation
