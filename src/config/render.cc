// Parameters as text, in the two forms of Amanda's tools: amgetconf's (bare) and amadmin's (quoted, with
// units).
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/quote.h"
#include "config/effective.h"
#include "config/lexer.h"
#include "config/load.h"

namespace headrace::config {
namespace {

enum class Style { bare, quoted };

std::string yes_no(bool value) { return value ? "yes" : "no"; }

std::string join(const std::vector<std::string>& list, std::string_view separator, bool quoted) {
  std::string text;
  for (const std::string& item : list) {
    if (&item != list.data()) text += separator;
    text += quoted ? base::quote_always(item) : item;
  }
  return text;
}

std::string lines(const std::vector<std::string>& list) { return join(list, "\n", false); }

std::string text_of(const Properties& properties) {
  std::vector<std::string> out;
  for (const Property& property : properties)
    out.push_back(fmt::format("{}{} {} {}", property.visible ? "visible" : "hidden",
                              property.priority ? " priority" : "", base::quote_always(property.name),
                              join(property.values, " ", true)));
  return lines(out);
}

std::string text_of(const PatternLists& patterns) {
  const auto half = [&](std::string_view kind, const std::vector<std::string>& entries) {
    return fmt::format("{}{}{}{}", kind, patterns.optional ? " OPTIONAL" : "", entries.empty() ? "" : " ",
                       join(entries, " ", true));
  };
  return half("LIST", patterns.lists) + "\n" + half("FILE", patterns.files);
}

std::string text_of(const HostLimit& limit) {
  std::string text = limit.same_host ? "SAME-HOST " : "";
  if (limit.server) text += "SERVER ";
  for (const std::string& host : limit.hosts) text += base::quote_always(host) + " ";
  return text;
}

std::string text_of(const Autolabel& label) {
  std::string text = base::quote_always(label.pattern);
  if (label.other_config) text += " OTHER-CONFIG";
  if (label.non_amanda) text += " NON-AMANDA";
  if (label.volume_error) text += " VOLUME-ERROR";
  if (label.empty) text += " EMPTY";
  return text;
}

std::string text_of(const std::vector<DumpSelection>& selections) {
  std::vector<std::string> out;
  for (const DumpSelection& selection : selections) {
    const std::string what = selection.kind == DumpSelection::Kind::tag   ? base::quote_always(selection.tag)
                             : selection.kind == DumpSelection::Kind::all ? "ALL"
                                                                          : "OTHER";
    const std::string_view level = selection.level == DumpLevel::full   ? "FULL"
                                   : selection.level == DumpLevel::incr ? "INCR"
                                                                        : "ALL";
    out.push_back(fmt::format("{} {}", what, level));
  }
  return lines(out);
}

std::string text_of(const std::vector<Vault>& vaults) {
  std::vector<std::string> out;
  for (const Vault& vault : vaults)
    out.push_back(fmt::format("{} {}", base::quote_always(vault.storage), vault.days));
  return lines(out);
}

std::string integer_text(const Option& option, int64_t value, Style style) {
  switch (option.type) {
    case Type::size_kib:
      return fmt::format("{}{}", value, style == Style::quoted ? "K" : "");
    case Type::time_of_day:
      return fmt::format("{:2}{:02}", value / 100, value % 100);
    case Type::priority:
      if (value >= 0 && value <= 2) return value == 0 ? "LOW" : value == 1 ? "MEDIUM" : "HIGH";
      break;
    default:
      break;
  }
  return fmt::format("{}", value);
}

bool prints_quoted(const Option& option) {
  switch (option.type) {
    case Type::text:
    case Type::text_or_integer:
    case Type::column_spec:
    case Type::display_unit:
    case Type::reference:
      return true;
    default:
      return false;
  }
}

std::string string_text(const Block& block, const Option& option, const std::string& value, Style style) {
  if (option.type == Type::autoflush) return lower(value);
  if (option.name == "APPLICATION") return value.empty() ? "" : base::quote_always(value);
  if (style == Style::bare) return value;
  // A storage's own tapetype is kept as a string, the global one as a name.
  const bool own_name =
      option.type == Type::name && block.section == Section::storage && block.find(option.name);
  return prints_quoted(option) || own_name ? base::quote_always(value) : value;
}

std::string list_text(const Option& option, const std::vector<std::string>& list) {
  switch (option.type) {
    case Type::texts:
      return join(list, " ", true);
    case Type::execute_on:
      return join(list, ", ", false);
    case Type::names:
    case Type::references:
      return list.empty() ? "\"\"" : join(list, " ", false);
    default:
      return join(list, " ", false);
  }
}

struct Renderer {
  const Block& block;
  const Option& option;
  Style style;

  std::string operator()(std::monostate) const { return ""; }
  std::string operator()(bool value) const { return yes_no(value); }
  std::string operator()(int64_t value) const { return integer_text(option, value, style); }
  std::string operator()(double value) const { return fmt::format("{:.5f}", value); }
  std::string operator()(const std::string& value) const { return string_text(block, option, value, style); }
  std::string operator()(const std::vector<std::string>& value) const { return list_text(option, value); }
  std::string operator()(const Rates& value) const {
    return fmt::format("{:.5f} {:.5f}", value.full, value.incr);
  }
  std::string operator()(const PortRange& value) const { return fmt::format("{},{}", value.low, value.high); }
  std::string operator()(const Labelstr& value) const {
    return value.match_autolabel ? "MATCH-AUTOLABEL" : base::quote_always(value.pattern);
  }
  std::string operator()(const auto& value) const { return text_of(value); }
};

// Amanda does not print lists that are empty, and says that there is no such parameter.
bool is_absent(const Option& option, const Data& data) {
  switch (option.type) {
    case Type::properties:
      return std::get<Properties>(data).empty();
    case Type::dump_selections:
      return std::get<std::vector<DumpSelection>>(data).empty();
    case Type::vaults:
      return std::get<std::vector<Vault>>(data).empty();
    case Type::texts:
      return std::get<std::vector<std::string>>(data).empty();
    default:
      return false;
  }
}

std::optional<std::string> rendered(const Settings& settings, const Block& block, const Option& option,
                                    Style style) {
  const Data data = effective(settings, block, option);
  if (is_absent(option, data)) return std::nullopt;
  return std::visit(Renderer{block, option, style}, data);
}

void append_block(const Settings& settings, const Block& block, std::string_view indent, int width,
                  std::string& text) {
  for (const Option& option : options()) {
    if (!option.in(block.section)) continue;
    auto value = rendered(settings, block, option, Style::quoted);
    if (!value) continue;
    size_t begin = 0;
    while (begin <= value->size()) {
      const size_t end = std::min(value->find('\n', begin), value->size());
      text += fmt::format("{}{:<{}} {}\n", indent, option.name, width, value->substr(begin, end - begin));
      begin = end + 1;
    }
  }
}

bool is_supported(const Option& option, const std::string& value) {
  if (option.support != Support::no) return true;
  const bool can_be_empty =
      option.type == Type::text || option.type == Type::column_spec || option.type == Type::reference;
  if (value.empty() && can_be_empty) return true;
  std::string_view rest = option.supported;
  while (!rest.empty()) {
    const std::string_view one = rest.substr(0, rest.find('|'));
    if (one == value) return true;
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
  }
  return false;
}

}  // namespace

std::optional<std::string> value_text(const Settings& settings, std::string_view key) {
  const Block* block = &settings.global;
  std::string_view name = key;
  if (const size_t first = key.find(':'); first != std::string_view::npos) {
    const size_t last = key.rfind(':');
    const auto section = section_of(keyword(key.substr(0, first)));
    if (last == first || !section) return std::nullopt;
    block = settings.find(*section, key.substr(first + 1, last - first - 1));
    name = key.substr(last + 1);
  }
  if (block == nullptr) return std::nullopt;
  const Option* option = find_option(block->section, keyword(name));
  if (option == nullptr) return std::nullopt;
  return rendered(settings, *block, *option, Style::bare);
}

std::string config_text(const Settings& settings) {
  std::string text = fmt::format("# CONFIGURATION FROM FILE '{}':\n\n", settings.file);
  append_block(settings, settings.global, "", 21, text);
  // By type, each in order of definition.
  for (const Section section :
       {Section::holdingdisk, Section::tapetype, Section::dumptype, Section::interface, Section::application,
        Section::script, Section::device, Section::changer, Section::interactivity, Section::taperscan,
        Section::policy, Section::storage}) {
    for (const Block& block : settings.blocks) {
      if (block.section != section) continue;
      // What is built in cannot be defined again, so it is shown as a comment.
      const std::string_view mark = block.built_in ? "#" : "";
      text += fmt::format("\n{}DEFINE {} {} {{\n", mark, upper(name_of(section)), block.name);
      append_block(settings, block, std::string(mark) + "      ", 19, text);
      text += fmt::format("{}}}\n", mark);
    }
  }
  return text;
}

std::optional<std::vector<std::string>> block_names(const Settings& settings, std::string_view type) {
  const auto section = section_of(keyword(type));
  if (!section) return std::nullopt;
  std::vector<std::string> names;
  for (const Block& block : settings.blocks)
    if (block.section == *section) names.push_back(block.name);
  return names;
}

namespace {

// Gathers what is not acted on; a value inherited is reported once, where it is written.
class NotHonouredList {
 public:
  explicit NotHonouredList(const Settings& settings) : settings_(settings) {}

  void add_set(const Block& block) {
    for (const auto& [name, value] : block.values) {
      const Option* option = find_option(block.section, name);
      if (value.set && !block.built_in && option != nullptr) add(block, *option, value.where);
    }
  }

  // Defaults that are not acted on either, of a dumptype in use.
  void add_defaults(const Block& block, const Position& where) {
    for (const Option& option : options()) {
      if (!option.in(block.section) || option.supported.empty()) continue;
      const Value* value = block.find(option.name);
      if (value == nullptr || !value->set || block.built_in) add(block, option, where);
    }
  }

  std::vector<NotHonoured> sorted() && {
    std::sort(list_.begin(), list_.end(), [](const NotHonoured& a, const NotHonoured& b) {
      return std::tie(a.where.file, a.where.line, a.parameter) <
             std::tie(b.where.file, b.where.line, b.parameter);
    });
    return std::move(list_);
  }

 private:
  void add(const Block& block, const Option& option, const Position& where) {
    const std::string text = rendered(settings_, block, option, Style::bare).value_or("");
    if (is_supported(option, text)) return;
    if (!seen_.insert(fmt::format("{}:{}:{}", where.text(), where.column, option.name)).second) return;
    std::string parameter = lower(option.name);
    if (block.section != Section::global && block.section != Section::client)
      parameter = fmt::format("{}:{}:{}", name_of(block.section), block.name, parameter);
    list_.push_back({where, std::move(parameter), text});
  }

  const Settings& settings_;
  std::vector<NotHonoured> list_;
  std::set<std::string> seen_;
};

}  // namespace

std::vector<NotHonoured> not_honoured(const Settings& settings) {
  NotHonouredList list(settings);
  list.add_set(settings.global);
  for (const Block& block : settings.blocks) list.add_set(block);
  return std::move(list).sorted();
}

std::vector<NotHonoured> not_honoured_in_use(const Settings& settings, const Block& dumptype, bool with_set,
                                             const Position& where) {
  NotHonouredList list(settings);
  if (with_set) list.add_set(dumptype);
  list.add_defaults(dumptype, where);
  return std::move(list).sorted();
}

}  // namespace headrace::config
