#include "copies.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <span>

#include "server/recover/image_source.h"
#include "several.h"

namespace headrace::simulation {

base::Result<Stored> read_image(recover::Volumes& volumes, const catalog::Image& image) {
  auto source = recover::open_image(volumes, image, [](const std::string&) {});
  const auto header = source->header();
  if (!header) return std::unexpected(header.error());
  constexpr size_t kPieceBytes = 65536;
  static const auto piece = std::make_unique_for_overwrite<char[]>(kPieceBytes);
  std::string data;
  for (;;) {
    auto got = source->read(std::as_writable_bytes(std::span(piece.get(), kPieceBytes)));
    if (!got) return std::unexpected(std::move(got).error());
    if (*got == 0) break;
    data.append(piece.get(), *got);
  }
  base::Crc32c crc;
  crc.add(base::as_bytes(data));
  if (image.server_crc.crc != 0 && crc.value() != image.server_crc)
    return base::fail(base::ErrorKind::corrupt, image.text() + " does not have the checksum of its dump");
  return Stored{std::move(data), header->compress_suffix == ".gz"};
}

namespace {

std::string text_of(const catalog::Image& image) {
  return image.text() + (image.held() ? " on holding disk" : " on storage " + image.storage);
}

}  // namespace

struct Copies::Found {
  std::string text;
  std::vector<std::pair<size_t, const catalog::Image*>> written = {};  // whole, by storage
  const catalog::Image* held = nullptr;
};

Copies::Found Copies::find(const Key& key, const catalog::Catalog& catalog) const {
  Found found;
  found.text = fmt::format("{}:{} of {} level {}", key.dle.first, key.dle.second, key.timestamp, key.level);
  for (const auto* image : catalog.images_of(key.dle.first, key.dle.second)) {
    if (image->timestamp != key.timestamp || image->level != key.level ||
        image->status != catalog::ImageStatus::ok)
      continue;
    if (image->held()) found.held = image;
    for (size_t storage = 0; storage < storages_.size(); ++storage)
      if (!image->held() && image->storage == storage_name(storage))
        found.written.emplace_back(storage, image);
  }
  return found;
}

void Copies::made(const Dle& dle, const std::string& timestamp, int level, bool held, bool died) {
  if (!several()) return;
  Copy& copy = copies_[{dle, timestamp, level}];
  copy.held = held;
  copy.died = died;
  if (!held) return;
  for (size_t storage = 0; storage < storages_.size(); ++storage)
    if (is_for(storages_[storage], tags_of(dle.second), level)) copy.pending.insert(storage);
}

void Copies::run_died() {
  for (auto& [key, copy] : copies_) copy.died = copy.died || !copy.pending.empty();
}

void Copies::forgotten(const Dle& dle) {
  for (auto& [key, copy] : copies_)
    if (key.dle == dle) copy.forgotten = true;
}

void Copies::look(const config::ServerConfig& config, const catalog::Catalog& catalog,
                  recover::Volumes& volumes, int64_t tapecycle, const LabelsSince& labels_since,
                  const Fault& fault) {
  if (!several()) return;
  const auto orders = compat::load_command_file(config.globals.command_file);
  if (!orders) return fault(orders.error().what());
  for (auto& [key, copy] : copies_) {
    const Found found = find(key, catalog);
    look_at(key, copy, found, volumes, fault);
    look_at_orders(key, copy, found, *orders, config.name, fault);
    for (const size_t storage : copy.reached) {
      const bool there =
          std::ranges::any_of(found.written, [&](const auto& it) { return it.first == storage; });
      const auto since = labels_since(label_prefix(storage), key.timestamp);
      if (!there && std::cmp_less(since, tapecycle))
        fault(fmt::format("{} is on storage {} no more, after {} volumes; tapecycle is {}", found.text,
                          storage_name(storage), since, tapecycle));
    }
  }
}

// What is new on volumes, compared with what there was.
void Copies::look_at(const Key& key, Copy& copy, const Found& found, recover::Volumes& volumes,
                     const Fault& fault) {
  for (const auto& [storage, image] : found.written) {
    if (!copy.forgotten && !is_for(storages_[storage], tags_of(key.dle.second), key.level))
      fault(text_of(*image) + ", which does not select it");
    copy.pending.erase(storage);
    if (!copy.reached.insert(storage).second) continue;
    const auto data = read_image(volumes, *image);
    if (!data) {
      fault(fmt::format("{} cannot be read: {}", text_of(*image), data.error().what()));
      continue;
    }
    base::Crc32c crc;
    crc.add(base::as_bytes(data->bytes));
    if (copy.bytes.known()) ++compared_;
    if (copy.bytes.known() && copy.bytes != crc.value())
      fault(text_of(*image) + " is not what it is elsewhere");
    copy.bytes = crc.value();
  }
  if (copy.held) return;
  if (copy.reached.empty()) fault(found.text + " went straight to a volume, and no storage has it");
}

void Copies::look_at_orders(const Key&, const Copy& copy, const Found& found,
                            const compat::CommandFile& orders, const std::string& config,
                            const Fault& fault) const {
  if (!copy.held) return;
  std::set<std::string> ordered;
  if (found.held != nullptr)
    for (const auto& order : orders.commands())
      if (order.kind == compat::CommandKind::flush && order.config == config && !order.done &&
          order.holding_file == found.held->holding_file.native())
        ordered.insert(order.dst_storage);
  for (const size_t storage : copy.pending) {
    const std::string name = storage_name(storage);
    if (found.held == nullptr)
      fault(fmt::format("{} has not reached storage {}, and is not held for it", found.text, name));
    // Without any order it is for all that select it: its run died before it could say so.
    else if (!ordered.contains(name) && !(ordered.empty() && copy.died))
      fault(fmt::format("{} is held, and not ordered for storage {}, which does not have it", found.text,
                        name));
  }
  // A disk that nobody knows has no tags, and is for all.
  if (copy.died || copy.forgotten) return;
  for (const auto& name : ordered) {
    const bool needed =
        std::ranges::any_of(copy.pending, [&name](size_t storage) { return storage_name(storage) == name; });
    if (!needed) fault(fmt::format("{} is ordered for storage {}, which has it", found.text, name));
  }
}

bool Copies::may_be_gone(const Dle& dle, const std::string& since, int64_t tapecycle,
                         const LabelsSince& labels_since) const {
  return std::ranges::any_of(copies_, [&](const auto& it) {
    const auto& [key, copy] = it;
    if (key.dle != dle || key.timestamp < since || copy.reached.empty()) return false;
    return std::ranges::all_of(copy.reached, [&](size_t storage) {
      return std::cmp_greater_equal(labels_since(label_prefix(storage), key.timestamp), tapecycle);
    });
  });
}

}  // namespace headrace::simulation
