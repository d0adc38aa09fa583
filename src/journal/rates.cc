#include "journal/rates.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <tuple>
#include <utility>

#include "base/file.h"
#include "journal/fields.h"
#include "journal/json_values.h"

namespace headrace::journal {

namespace {

constexpr int kFormat = 1;
constexpr int kPatienceMs = 5000;
// What a run that brought less takes off TogetherRate: after a week without fulls nine tenths are left.
constexpr uint64_t kForgets = 64;

}  // namespace

template <class V, Is<JointRate> E>
void fields(V& v, E& it) {
  v("name", it.name);
  v("in_kps", it.in_kps);
  v("out_kps", it.out_kps);
}
template <class V, Is<DiskRate> E>
void fields(V& v, E& it) {
  v("host", it.host);
  v("disk", it.disk);
  v("full", it.full);
  v("run", it.run);
  v("own_kps", it.own_kps);
  v("joints", it.joints);
}
template <class V, Is<VolumeRate> E>
void fields(V& v, E& it) {
  v("storage", it.storage);
  v("run", it.run);
  v("kps", it.kps);
}
template <class V, Is<TogetherRate> E>
void fields(V& v, E& it) {
  v("host", it.host);
  v("run", it.run);
  v("kps", it.kps);
}

namespace {

// An unknown one does not count.
uint64_t mean(uint64_t a, uint64_t b) { return a == 0 || b == 0 ? a + b : std::midpoint(a, b); }

uint64_t kps_in(uint64_t bytes, uint64_t ms) { return ms == 0 ? 0 : bytes / 1024 * 1000 / ms; }
uint64_t elapsed_ms(const Joint& it) {
  return it.starved_ms + it.blocked_ms + it.gated_ms + it.throttled_ms + it.busy_ms;
}

auto place_of(const DiskRate& it) { return std::tie(it.host, it.disk, it.full); }

template <class List, class Same>
auto* find(List& list, Same same) {
  const auto found = std::ranges::find_if(list, same);
  return found == list.end() ? nullptr : &*found;
}

}  // namespace

const DiskRate* Rates::of(std::string_view host, std::string_view disk, bool full) const {
  const auto key = std::tie(host, disk, full);
  const auto found = std::ranges::lower_bound(disks, key, {}, [](const DiskRate& it) {
    return std::tuple(std::string_view(it.host), std::string_view(it.disk), it.full);
  });
  const bool there =
      found != disks.end() && found->host == host && found->disk == disk && found->full == full;
  return there ? &*found : nullptr;
}

const VolumeRate* Rates::of(std::string_view storage) const {
  return find(volumes, [storage](const VolumeRate& it) { return it.storage == storage; });
}

void Rates::add(const DiskRate& measured) {
  const auto at = std::ranges::lower_bound(disks, place_of(measured), {}, place_of);
  if (at == disks.end() || place_of(*at) != place_of(measured)) {
    disks.insert(at, measured);
    return;
  }
  at->run = measured.run;
  at->own_kps = mean(at->own_kps, measured.own_kps);
  std::vector<JointRate> joints;
  for (const auto& now : measured.joints) {
    const auto* before = find(at->joints, [&now](const JointRate& it) { return it.name == now.name; });
    joints.push_back(before == nullptr ? now
                                       : JointRate{now.name, mean(before->in_kps, now.in_kps),
                                                   mean(before->out_kps, now.out_kps)});
  }
  if (!joints.empty()) at->joints = std::move(joints);
}

void Rates::add(const VolumeRate& measured) {
  auto* known = find(volumes, [&measured](const VolumeRate& it) { return it.storage == measured.storage; });
  if (known == nullptr) {
    volumes.push_back(measured);
    return;
  }
  known->run = measured.run;
  known->kps = mean(known->kps, measured.kps);
}

void Rates::add(const TogetherRate& measured) {
  const auto at = std::ranges::lower_bound(together, measured.host, {}, &TogetherRate::host);
  if (at == together.end() || at->host != measured.host) {
    together.insert(at, measured);
    return;
  }
  at->run = measured.run;
  at->kps = std::max(measured.kps, at->kps - at->kps / kForgets);
}

void Rates::add(const Rates& measured) {
  for (const auto& it : measured.together) add(it);
  for (const auto& disk : measured.disks) add(disk);
  for (const auto& volume : measured.volumes) add(volume);
}

std::string Rates::text() const {
  Ordered object = Ordered::object();
  object["format"] = kFormat;
  object["disks"] = to_json(disks);
  object["volumes"] = to_json(volumes);
  object["together"] = to_json(together);
  return object.dump(1) + "\n";
}

base::Result<Rates> Rates::parse(std::string_view text, std::string_view name) {
  const auto bad = [name](std::string_view why) {
    return base::fail(base::ErrorKind::corrupt,
                      fmt::format("{}: {}; it may be removed, the next runs measure anew", name, why));
  };
  const auto object = json::parse(text, nullptr, false);
  if (!object.is_object()) return bad("this is no JSON object");
  const auto format = object.find("format");
  if (format == object.end() || *format != kFormat) return bad("this is of a format not known here");
  Rates read;
  Decoder decoder{object};
  decoder("disks", read.disks);
  decoder("volumes", read.volumes);
  decoder("together", read.together);
  if (!decoder.wrong.empty()) return bad(fmt::format("\"{}\" is not what it should be", decoder.wrong));
  Rates rates;
  rates.add(read);
  return rates;
}

DiskRate rate_of_dump(const ImageId& image, uint64_t stored_kib, double seconds,
                      std::span<const Joint> joints) {
  DiskRate rate{image.host, image.disk, image.level == 0, image.timestamp};
  for (const auto& joint : joints)
    rate.joints.push_back({joint.name, kps_in(joint.bytes, joint.starved_ms + joint.busy_ms),
                           kps_in(joint.bytes, joint.blocked_ms + joint.busy_ms)});
  if (joints.empty()) return rate;
  // The server's first: what is before it is the disk's own way, network included.
  auto first = std::ranges::find_if(joints, [](const Joint& it) { return it.name == "server receive"; });
  if (first == joints.end()) --first;
  const uint64_t ms = elapsed_ms(*first);
  if (ms == 0) return rate;
  const double own_seconds =
      seconds * static_cast<double>(first->starved_ms + first->busy_ms) / static_cast<double>(ms);
  if (own_seconds > 0) rate.own_kps = static_cast<uint64_t>(static_cast<double>(stored_kib) / own_seconds);
  return rate;
}

VolumeRate rate_of_write(std::string storage, std::string run, uint64_t bytes,
                         std::span<const Joint> joints) {
  VolumeRate rate{std::move(storage), std::move(run)};
  if (!joints.empty()) rate.kps = kps_in(bytes, joints.back().blocked_ms + joints.back().busy_ms);
  return rate;
}

std::filesystem::path rates_path(const std::filesystem::path& logdir) { return logdir / "rates"; }

base::Result<Rates> load_rates(const std::filesystem::path& logdir) {
  const auto path = rates_path(logdir);
  auto text = base::read_file(path);
  if (!text) {
    if (text.error().sys_errno() == ENOENT) return Rates{};
    return std::unexpected(std::move(text).error());
  }
  return Rates::parse(*text, path.native());
}

base::Result<> add_to_rates(const std::filesystem::path& logdir, const Rates& measured) {
  const auto path = rates_path(logdir);
  auto lock = base::FileLock::take(path.native() + ".lock", kPatienceMs);
  if (!lock) return std::unexpected(std::move(lock).error());
  auto rates = load_rates(logdir).value_or(Rates{});
  rates.add(measured);
  return base::replace_file(path, rates.text(), 0600);
}

}  // namespace headrace::journal
