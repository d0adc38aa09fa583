#include "config/option_table.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <numeric>
#include <vector>

#include "config/lexer.h"

namespace headrace::config {
namespace {

constexpr unsigned kGlobal = bit(Section::global);
constexpr unsigned kClient = bit(Section::client);
constexpr unsigned kStorage = bit(Section::storage);
constexpr unsigned kTapetype = bit(Section::tapetype);
constexpr unsigned kDumptype = bit(Section::dumptype);
constexpr unsigned kInterface = bit(Section::interface);
constexpr unsigned kHolding = bit(Section::holdingdisk);
constexpr unsigned kApplication = bit(Section::application);
constexpr unsigned kScript = bit(Section::script);
constexpr unsigned kDevice = bit(Section::device);
constexpr unsigned kChanger = bit(Section::changer);
constexpr unsigned kInteractivity = bit(Section::interactivity);
constexpr unsigned kTaperscan = bit(Section::taperscan);
constexpr unsigned kPolicy = bit(Section::policy);
constexpr unsigned kBlocks = kStorage | kTapetype | kDumptype | kInterface | kHolding | kApplication |
                             kScript | kDevice | kChanger | kInteractivity | kTaperscan | kPolicy;
constexpr unsigned kBoth = kGlobal | kClient;
constexpr unsigned kSt = kGlobal | kStorage;
constexpr unsigned kGlobalDumptype = kGlobal | kDumptype;

constexpr Support kYes = Support::yes;
constexpr Support kNo = Support::no;
constexpr Support kMoot = Support::moot;

constexpr Limits kPositive{.low = 1};
constexpr Limits kNotNegative{.low = 0};
constexpr Limits kPercent{.low = 0, .high = 100};
constexpr Limits kDebugLevel{.low = 0, .high = 9};
constexpr Limits kReservedPort{.low = 1, .high = 1023};
constexpr Limits kAnyPort{.low = 1, .high = 65535};
constexpr Limits kUnreservedPort{.low = 1024, .high = 65535};

using enum Type;

constexpr auto kOptions = std::to_array<Option>({
#include "config/options.inc"
});

size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row.back();
}

struct SectionName {
  Section section;
  std::string_view name;
};
constexpr auto kSectionNames = std::to_array<SectionName>({{Section::global, "global"},
                                                           {Section::tapetype, "tapetype"},
                                                           {Section::dumptype, "dumptype"},
                                                           {Section::interface, "interface"},
                                                           {Section::holdingdisk, "holdingdisk"},
                                                           {Section::application, "application"},
                                                           {Section::script, "script"},
                                                           {Section::device, "device"},
                                                           {Section::changer, "changer"},
                                                           {Section::interactivity, "interactivity"},
                                                           {Section::taperscan, "taperscan"},
                                                           {Section::policy, "policy"},
                                                           {Section::storage, "storage"},
                                                           {Section::client, "client"}});

}  // namespace

std::span<const Option> options() { return kOptions; }

const Option* find_option(Section section, std::string_view canonical) {
  // Asked for every parameter of every block, so by name and not row by row.
  using ByName = std::map<std::string_view, const Option*>;
  static const auto kIndex = [] {
    std::array<ByName, static_cast<size_t>(Section::client) + 1> index;
    for (const Option& option : kOptions)
      for (size_t s = 0; s < index.size(); ++s)
        if (option.in(static_cast<Section>(s))) index[s].emplace(option.name, &option);
    return index;
  }();
  const ByName& names = kIndex[static_cast<size_t>(section)];
  const auto found = names.find(canonical);
  return found == names.end() ? nullptr : found->second;
}

std::string sections_knowing(std::string_view canonical) {
  std::string list;
  for (const SectionName& entry : kSectionNames) {
    if (find_option(entry.section, canonical) == nullptr) continue;
    if (!list.empty()) list += ", ";
    list += entry.section == Section::client ? "amanda-client.conf" : entry.name;
  }
  return list;
}

std::string_view name_of(Section section) {
  return std::find_if(kSectionNames.begin(), kSectionNames.end(),
                      [&](const SectionName& entry) { return entry.section == section; })
      ->name;
}

std::optional<Section> section_of(std::string_view canonical) {
  if (canonical == "APPLICATION-TOOL") return Section::application;
  if (canonical == "SCRIPT-TOOL") return Section::script;
  for (const SectionName& entry : kSectionNames) {
    if (entry.section == Section::global || entry.section == Section::client) continue;
    std::string upper_name(entry.name);
    for (char& c : upper_name) c = static_cast<char>(c - 'a' + 'A');
    if (upper_name == canonical) return entry.section;
  }
  return std::nullopt;
}

bool is_removed(std::string_view canonical) {
  return canonical == "RAWTAPEDEV" || canonical == "TAPEBUFS" || canonical == "FILE-PAD";
}

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
  // A word much longer than any keyword resembles none, and comparing it would be slow.
  if (word.size() > 64) return {};
  std::string best;
  size_t best_distance = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t d = distance(upper(word), upper(candidate));
    if (d < best_distance) {
      best_distance = d;
      best = candidate;
    }
  }
  return best;
}

}  // namespace headrace::config
