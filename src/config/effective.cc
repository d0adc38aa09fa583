#include "config/effective.h"

#include <algorithm>

#include "base/error.h"
#include "config/lexer.h"
#include "config/value_reader.h"

namespace headrace::config {
namespace {

constexpr int64_t kHoldingUnitKib = 32;

Data empty_of(Type type) {
  switch (type) {
    case Type::names:
    case Type::references:
    case Type::texts:
    case Type::execute_on:
      return std::vector<std::string>{};
    case Type::properties:
      return Properties{};
    case Type::patterns:
      return PatternLists{};
    case Type::host_limit:
    case Type::dump_limit:
      return HostLimit{};
    case Type::autolabel:
      return Autolabel{};
    case Type::dump_selections:
      return std::vector<DumpSelection>{};
    case Type::vaults:
      return std::vector<Vault>{};
    default:
      return std::string();
  }
}

const Value* set_value(const Block& block, std::string_view name) {
  const Value* value = block.find(name);
  return value != nullptr && value->set ? value : nullptr;
}

// What a parameter is when nobody set it and its default is not a constant.
std::optional<Data> special_default(const Settings& settings, const Block& block, const Option& option) {
  const Block& global = settings.global;
  if (block.section == Section::global) {
    if (option.name == "LABELSTR" && set_value(global, "AUTOLABEL"))
      return Labelstr{.pattern = "", .match_autolabel = true};
    if (option.name == "AUTOLABEL") {
      if (const Value* old = set_value(global, "LABEL-NEW-TAPES"))
        return Autolabel{.pattern = std::get<std::string>(old->data), .volume_error = true, .empty = true};
    }
    if (option.name == "STORAGE") return std::vector<std::string>{settings.name};
    if (option.name == "ACTIVE-STORAGE")
      return effective_as<std::vector<std::string>>(settings, block, "STORAGE");
    if (option.name.starts_with("REPORT-") && option.type == Type::boolean)
      return !set_value(global, "MAX-DLE-BY-VOLUME");
  }
  if (option.name == "RETENTION-TAPES") return effective_as<int64_t>(settings, global, "TAPECYCLE") - 1;
  if (option.name == "POLICY" || option.name == "TAPEPOOL") return settings.name;
  if (block.section == Section::interface && block.built_in && option.name == "USE")
    return effective(settings, global, *find_option(Section::global, "NETUSAGE"));
  return std::nullopt;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// Amanda corrects some values when it reads them.
void correct(const Settings& settings, const Block& block, const Option& option, Data& data) {
  if (option.name == "ACTIVE-STORAGE") {
    auto& active = std::get<std::vector<std::string>>(data);
    for (const auto& name : effective_as<std::vector<std::string>>(settings, settings.global, "STORAGE"))
      if (std::none_of(active.begin(), active.end(),
                       [&](const auto& other) { return same_name(other, name); }))
        active.push_back(name);
  } else if (option.name == "USETIMESTAMPS") {
    data = true;
  } else if (block.section == Section::holdingdisk && option.name == "USE") {
    auto& use = std::get<int64_t>(data);
    use -= use % kHoldingUnitKib;
  } else if (block.section == Section::holdingdisk && option.name == "CHUNKSIZE") {
    auto& chunk = std::get<int64_t>(data);
    chunk = chunk == 0 ? kUnlimitedChunkKib : chunk - chunk % kHoldingUnitKib;
  } else if (option.name == "READBLOCKSIZE") {
    data = std::max(std::get<int64_t>(data), effective_as<int64_t>(settings, block, "BLOCKSIZE"));
  } else if (option.name == "TAPEPOOL") {
    auto& pool = std::get<std::string>(data);
    replace_all(pool, "$c", settings.name);
    replace_all(pool, "$r", block.name);
    replace_all(pool, "$o", effective_as<std::string>(settings, settings.global, "ORG"));
  } else if (block.section == Section::changer &&
             (option.name == "TPCHANGER" || option.name == "CHANGERFILE")) {
    replace_all(std::get<std::string>(data), "$t", block.name);
  } else if (option.name == "SCRIPT" && option.type == Type::references) {
    auto& names = std::get<std::vector<std::string>>(data);
    const auto order = [&](const std::string& name) {
      const Block* script = settings.find(Section::script, name);
      return script == nullptr ? int64_t{5000} : effective_as<int64_t>(settings, *script, "ORDER");
    };
    // By order, then as listed; the index keeps equal ones in place.
    std::vector<std::pair<int64_t, size_t>> keys;
    for (size_t i = 0; i < names.size(); ++i) keys.emplace_back(order(names[i]), i);
    std::sort(keys.begin(), keys.end());
    std::vector<std::string> sorted;
    for (const auto& key : keys) sorted.push_back(names[key.second]);
    names = std::move(sorted);
  }
}

}  // namespace

Data default_of(const Option& option, Section section) {
  if (option.fallback.empty()) return empty_of(option.type);
  std::vector<Diagnostic> diagnostics;
  Report report(diagnostics);
  Lexer lexer(option.fallback, "built in", report);
  ValueReader reader(lexer, report);
  auto data = reader.read(option, section, {});
  HEADRACE_CHECK(data.has_value());  // a mistake of the table; a test reads every row
  return std::move(*data);
}

namespace {

// Read once: a configuration asks for some thousand of them. No default depends on its section.
const Data& kept_default(const Option& option) {
  static const std::vector<Data> kept = [] {
    std::vector<Data> all;
    for (const Option& row : options()) all.push_back(default_of(row, Section::global));
    return all;
  }();
  return kept[static_cast<size_t>(&option - options().data())];
}

}  // namespace

Data effective(const Settings& settings, const Block& block, const Option& option) {
  Data data;
  const Value* value = block.find(option.name);
  if (value != nullptr && !std::holds_alternative<std::monostate>(value->data)) {
    data = value->data;
  } else if (option.follows_global(block.section)) {
    return effective(settings, settings.global, option);
  } else if (auto special = special_default(settings, block, option)) {
    data = std::move(*special);
  } else {
    data = kept_default(option);
  }
  correct(settings, block, option, data);
  return data;
}

}  // namespace headrace::config
