#include "several.h"

#include <fmt/format.h>

#include <algorithm>

namespace headrace::simulation {

namespace {

constexpr uint64_t kOtherStream = 0xE7037ED1A0B428DBU;

std::string numbered(const char* name, size_t number) {
  return number == 0 ? name : fmt::format("{}{}", name, number + 1);
}

// Disks are called "/disk7".
size_t number_of(const std::string& disk) { return std::stoul(disk.substr(5)); }

}  // namespace

std::string storage_name(size_t number) { return std::string(1, static_cast<char>('a' + number)); }
std::string vtapes_name(size_t number) { return numbered("vtapes", number); }
std::string changer_name(size_t number) { return numbered("changer", number); }
std::string label_prefix(size_t number) { return numbered("V", number); }

StorageSource::StorageSource(const Scenario& scenario, uint64_t seed)
    : scenario_(scenario), random_(seed ^ kOtherStream) {}

StorageNight StorageSource::next() {
  StorageNight night;
  const size_t count = scenario_.storages.size();
  for (size_t storage = 0; storage < count; ++storage) {
    night.in_use.push_back(!random_.one_in(scenario_.storage_idle_one_in));
    night.away.push_back(storage > 0 && random_.one_in(scenario_.storage_away_one_in));
  }
  // Some storage every run has.
  if (count > 0 && std::ranges::none_of(night.in_use, [](bool used) { return used; }))
    night.in_use[random_.below(count)] = true;
  return night;
}

std::string storages_text(const Scenario& scenario, const StorageNight& night, const std::string& root,
                          size_t known) {
  std::string text, used, kept;
  for (size_t number = 0; number < known; ++number)
    (night.in_use[number] || known == 1 ? used : kept) += fmt::format(" \"{}\"", storage_name(number));
  text += "storage" + used + "\n";
  if (!kept.empty()) text += "active-storage" + kept + "\n";
  for (size_t number = 0; number < known; ++number) {
    const auto& setup = scenario.storages[number];
    text += fmt::format(
        "define changer vt{0} {{\n tpchanger \"chg-disk:{1}/{2}\"\n changerfile \"{1}/{3}\"\n}}\n"
        "define tapetype T{0} {{\n filemark 32 kbytes\n length {4} kbytes\n part-size 128 kbytes\n}}\n",
        number, root, vtapes_name(number), changer_name(number), setup.volume_kib);
    text += fmt::format(
        "define storage {0} {{\n tpchanger \"vt{1}\"\n tapepool \"pool{1}\"\n tapetype T{1}\n"
        " labelstr \"^{2}-[0-9]+$\"\n autolabel \"{2}-%%%\" empty\n runtapes {3}\n"
        " taper-parallel-write {4}\n",
        storage_name(number), number, label_prefix(number), setup.runtapes, setup.parallel_writes);
    if (!setup.tag.empty() || setup.levels != "ALL")
      text += fmt::format(" dump-selection {} {}\n", setup.tag.empty() ? "ALL" : '"' + setup.tag + '"',
                          setup.levels);
    text += "}\n";
  }
  return text;
}

std::vector<std::string> tags_of(const std::string& disk) {
  switch (number_of(disk) % 4) {
    case 0:
      return {"near"};
    case 1:
      return {"far"};
    case 2:
      return {"near", "far"};
    default:
      return {};
  }
}

std::string dumptype_of(const std::string& disk) { return fmt::format("t{}", number_of(disk) % 4); }

std::string tagged_dumptypes() {
  std::string text;
  for (size_t kind = 0; kind < 4; ++kind) {
    text += fmt::format("define dumptype t{} {{\n t\n", kind);
    const auto tags = tags_of(fmt::format("/disk{}", kind));
    if (!tags.empty()) text += fmt::format(" tag \"{}\"\n", fmt::join(tags, "\" \""));
    text += "}\n";
  }
  return text;
}

bool is_for(const StorageSetup& storage, const std::vector<std::string>& tags, int level) {
  if (storage.levels == "FULL" && level > 0) return false;
  if (storage.levels == "INCR" && level == 0) return false;
  return storage.tag.empty() || tags.empty() || std::ranges::find(tags, storage.tag) != tags.end();
}

}  // namespace headrace::simulation
