// Command-line overrides: globals are decided before the first file is read, so that dumptypes copy them; a
// block's parameters when the block ends, so that its heirs get them.
#include <fmt/core.h>

#include "base/quote.h"
#include "config/parser.h"

namespace headrace::config {
namespace {

constexpr std::string_view kCommandLine = "command line";

struct Key {
  std::optional<Section> section;  // nothing: global
  std::string name;
  std::string option;  // canonical
};

std::optional<Key> split_key(std::string_view key) {
  const size_t first = key.find(':');
  if (first == std::string_view::npos) return Key{std::nullopt, "", keyword(key)};
  const size_t last = key.rfind(':');
  if (last == first) return std::nullopt;
  const auto section = section_of(keyword(key.substr(0, first)));
  if (!section) return std::nullopt;
  return Key{section, std::string(key.substr(first + 1, last - first - 1)), keyword(key.substr(last + 1))};
}

// Strings are taken as they are, quotes included, as Amanda does.
std::string as_text(const Option& option, const std::string& value) {
  switch (option.type) {
    case Type::text:
    case Type::display_unit:
    case Type::column_spec:
    case Type::text_or_integer:
    case Type::name:
    case Type::reference:
      return base::quote_always(value);
    case Type::labelstr:
      return keyword(value) == "MATCH-AUTOLABEL" || value.starts_with('"') ? value
                                                                           : base::quote_always(value);
    default:
      return value;
  }
}

}  // namespace

void Parser::apply_override(const Override& override_, Block& block, std::string_view name, size_t index) {
  const Option* option = find_option(block.section, name);
  if (option == nullptr) return;
  used_overrides_.insert(index);
  const std::string text = as_text(*option, override_.value);
  const std::string file = fmt::format("{}, -o {}", kCommandLine, override_.key);
  Lexer lexer(text, file, report_);
  ValueReader reader(lexer, report_);
  auto data = reader.read(*option, block.section, {});
  if (!data) return;
  if (!lexer.peek().is(TokenKind::end)) {
    report_.error(lexer.peek().where,
                  fmt::format("the end of the value is expected, not {}", lexer.peek().shown()));
    return;
  }
  block.values[std::string(option->name)] = {.data = std::move(*data), .set = true, .where = {file, 0, 0}};
}

void Parser::apply_global_overrides() {
  for (size_t i = 0; i < overrides_.size(); ++i) {
    const auto key = split_key(overrides_[i].key);
    if (!key || key->section) continue;
    apply_override(overrides_[i], settings_.global, key->option, i);
    pinned_.insert(key->option);
  }
}

void Parser::apply_overrides(Block& block) {
  for (size_t i = 0; i < overrides_.size(); ++i) {
    const auto key = split_key(overrides_[i].key);
    if (key && key->section == block.section && same_name(key->name, block.name))
      apply_override(overrides_[i], block, key->option, i);
  }
}

void Parser::finish() {
  for (size_t i = 0; i < overrides_.size(); ++i)
    if (!used_overrides_.contains(i))
      report_.error({std::string(kCommandLine), 0, 0},
                    fmt::format("-o names an unknown parameter: '{}'", overrides_[i].key));
}

base::Result<Override> parse_override(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0)
    return base::fail(base::ErrorKind::refused, fmt::format("-o needs KEY=VALUE, not '{}'", text));
  return Override{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

base::Result<std::vector<Override>> parse_overrides(std::span<const std::string> texts) {
  std::vector<Override> overrides;
  for (const std::string& text : texts) {
    auto parsed = parse_override(text);
    if (!parsed) return std::unexpected(std::move(parsed.error()));
    overrides.push_back(std::move(*parsed));
  }
  return overrides;
}

}  // namespace headrace::config
