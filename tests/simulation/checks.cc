#include "checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "base/crc32c.h"
#include "server/recover/image_source.h"

namespace headrace::simulation {

namespace {

std::string text_of(const Checks::Dle& dle) { return dle.first + ":" + dle.second; }

// All stored bytes of an image, as a restore reads them.
base::Result<std::string> read_image(recover::Volumes& volumes, const catalog::Image& image) {
  auto source = recover::open_image(volumes, image, [](const std::string&) {});
  if (auto header = source->header(); !header) return std::unexpected(std::move(header).error());
  std::string data;
  std::string piece(65536, '\0');
  for (;;) {
    auto got = source->read(std::as_writable_bytes(std::span(piece)));
    if (!got) return std::unexpected(std::move(got).error());
    if (*got == 0) break;
    data.append(piece, 0, *got);
  }
  base::Crc32c crc;
  crc.add(base::as_bytes(data));
  if (image.server_crc.crc != 0 && crc.value() != image.server_crc)
    return base::fail(base::ErrorKind::corrupt, image.text() + " does not have the checksum of its dump");
  return data;
}

std::string from_where(const catalog::Image& image) {
  std::string text = image.text() + image.holding_file.native();
  for (const auto& part : image.parts)
    if (part.ok) text += fmt::format(" {} {} {}", part.label, part.write_timestamp, part.fileno);
  return text;
}

}  // namespace

void Checks::fault(std::string text) { faults_.push_back(fmt::format("night {}: {}", night_, text)); }

void Checks::event(const journal::Body& body) {
  if (const auto* started = std::get_if<journal::DumpStarted>(&body)) {
    running_.insert({started->image.host, started->image.disk});
    const auto of_host =
        std::ranges::count_if(running_, [&](const Dle& dle) { return dle.first == started->image.host; });
    if (std::cmp_greater(running_.size(), scenario_.in_parallel))
      fault(fmt::format("{} dumps run at once; inparallel is {}", running_.size(), scenario_.in_parallel));
    if (of_host > scenario_.max_dumps)
      fault(fmt::format("{} dumps of {} run at once; maxdumps is {}", of_host, started->image.host,
                        scenario_.max_dumps));
  } else if (const auto* finished = std::get_if<journal::DumpFinished>(&body)) {
    running_.erase({finished->image.host, finished->image.disk});
  } else if (const auto* failed = std::get_if<journal::DumpFailed>(&body)) {
    running_.erase({failed->image.host, failed->image.disk});
  } else if (const auto* volume = std::get_if<journal::VolumeStarted>(&body)) {
    wrote(volume->label);
  }
}

void Checks::wrote(const std::string& label) {
  const auto last = std::ranges::find(written_.rbegin(), written_.rend(), label, &Written::label);
  if (last != written_.rend()) {
    // Among the volumes of one run none is older than the other.
    std::set<std::string> since;
    for (const auto& other : written_)
      if (other.night >= last->night && other.label != label) since.insert(other.label);
    if (std::cmp_less(since.size() + 1, scenario_.tapecycle))
      fault(fmt::format("volume {} is written over after {} others; tapecycle is {}", label, since.size(),
                        scenario_.tapecycle));
  }
  written_.push_back({label, night_});
}

void Checks::outcomes(const journal::RunState& state, const std::vector<config::DiskListEntry>& listed,
                      bool ended) {
  running_.clear();
  short_of_volumes_ = short_of_volumes_ || !state.no_volume.empty();
  for (const auto& leftover : state.leftovers)
    if (!leftover.host.empty()) left_.insert(holding_ / leftover.timestamp / leftover.host);
  std::map<Dle, const journal::DumpState*> tonight;
  for (const auto& dump : state.dumps) {
    // Without autoflush, what a run has left stays until somebody flushes it.
    if (dump.phase == journal::Phase::left) left_.insert(dump.holding_file);
    if (dump.flush) continue;
    const Dle dle{dump.image.host, dump.image.disk};
    if (!tonight.emplace(dle, &dump).second) fault(text_of(dle) + " has more than one outcome");
  }
  for (const auto& entry : listed) {
    const Dle dle{entry.host, entry.disk};
    const auto found = tonight.find(dle);
    if (found == tonight.end()) {
      if (ended) fault(text_of(dle) + " has no outcome");
      continue;
    }
    const auto& dump = *found->second;
    if (ended && !dump.ended())
      fault(fmt::format("{} ends the night as \"{}\"", text_of(dle), name_of(dump.phase)));
    if (!dump.has_image()) continue;
    Good& good = good_[dle];
    good.timestamp = dump.image.timestamp;
    good.level = dump.image.level;
    if (dump.image.level == 0) good.night_of_full = night_;
  }
}

void Checks::holding() {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(holding_)) {
    if (!entry.is_regular_file() || entry.path().filename() == "pid") continue;
    const std::string file = entry.path().native();
    // Chunks of an image that was left begin with the name of its first.
    if (std::ranges::none_of(left_, [&](const std::string& it) { return file.starts_with(it); }))
      fault(file + " is left on holding disk, and nothing in the journal says why");
  }
}

void Checks::cycle(const std::vector<config::DiskListEntry>& listed) {
  if (short_of_volumes_) return;
  for (const auto& entry : listed) {
    const Dle dle{entry.host, entry.disk};
    const auto good = good_.find(dle);
    const int64_t since = good == good_.end() ? night_ + 1 : night_ - good->second.night_of_full;
    if (since > scenario_.dumpcycle_days)
      fault(fmt::format("{} has had no full for {} nights; dumpcycle is {}", text_of(dle), since,
                        scenario_.dumpcycle_days));
  }
}

void Checks::restore_all(const config::ServerConfig& config, const std::vector<config::DiskListEntry>& listed,
                         bool whole) {
  if (whole) restored_.clear();
  auto catalog = catalog::load(catalog::Sources::of(config));
  if (!catalog) return fault("the catalog cannot be loaded: " + catalog.error().what());
  recover::Volumes volumes(config);
  for (const auto& entry : listed)
    if (good_.contains({entry.host, entry.disk})) restore(volumes, *catalog, {entry.host, entry.disk});
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
    if (!sim::SimDisk::restore(*data, files)) {
      fault(chain[i].text() + " is called good and is damaged");
      return false;
    }
    known.push_back({from, std::move(files)});
  }
  known.resize(chain.size());
  return true;
}

void Checks::restore(recover::Volumes& volumes, const catalog::Catalog& catalog, const Dle& dle) {
  const Good& good = good_.at(dle);
  // A later one that is known to be incomplete hides it from who asks for the newest.
  auto chain = catalog.chain(dle.first, dle.second, good.timestamp);
  if (!chain) {
    // A full whose turn it was to be written over is gone, if no later one could be made.
    const int64_t age = night_ - good.night_of_full;
    if (good.night_of_full < 0 || age * scenario_.runtapes >= scenario_.tapecycle - scenario_.runtapes)
      return;
    return fault(fmt::format("{} cannot be had back: {}", text_of(dle), chain.error().what()));
  }
  if (!read_chain(volumes, *chain, dle)) return;
  const auto& newest = chain->back();
  if (newest.timestamp != good.timestamp)
    return fault(fmt::format("{}: the newest good dump is of {}, the catalog has {}", text_of(dle),
                             good.timestamp, newest.text()));
  ++restores_;
  const auto& sent = sent_[dle];
  const auto expected = sent.find({newest.timestamp, newest.level});
  if (expected == sent.end()) return fault(newest.text() + " was never sent by its machine");
  if (restored_[dle].back().files != expected->second) {
    std::string what;
    for (const auto& image : *chain) what += (what.empty() ? "" : ", ") + image.text();
    fault(fmt::format("{}: what comes back is not what was dumped (from {})", text_of(dle), what));
  }
}

}  // namespace headrace::simulation
