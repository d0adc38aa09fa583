// The compound values: properties, patterns, host limits, labels, dump selections, vaults, columns.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "config/value_reader.h"

namespace headrace::config {
namespace {

template <class T>
T copy_of(const Data& current) {
  const T* value = std::get_if<T>(&current);
  return value != nullptr ? *value : T{};
}

bool is_integer(std::string_view text) {
  int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

}  // namespace

std::string property_name(std::string_view name) {
  std::string folded = lower(name);
  std::replace(folded.begin(), folded.end(), '_', '-');
  return folded;
}

std::optional<Data> ValueReader::properties(const Option& option, Section section, const Data& current) {
  auto list = copy_of<Properties>(current);
  Property property;
  // Those of the whole configuration and of a dumptype are shown to nobody unless asked for.
  const bool hidden =
      section == Section::global || section == Section::client || section == Section::dumptype;
  property.visible = !hidden || option.name == "DEVICE-PROPERTY";
  bool append = false;
  while (lexer_.peek().is(TokenKind::word)) {
    const std::string word = peek_keyword();
    if (word == "PRIORITY") {
      property.priority = true;
    } else if (word == "APPEND") {
      append = true;
    } else if (word == "HIDDEN" || word == "VISIBLE") {
      property.visible = word == "VISIBLE";
    } else {
      return expected("priority, append, hidden, visible or the quoted name of the property");
    }
    lexer_.take();
  }
  if (!lexer_.peek().is(TokenKind::text)) return expected("the quoted name of the property");
  property.name = property_name(lexer_.take().text);
  while (!lexer_.peek().ends_line()) {
    if (!lexer_.peek().is(TokenKind::text)) return expected("a quoted value of the property");
    property.values.push_back(lexer_.take().text);
  }
  const auto before = std::find_if(list.begin(), list.end(),
                                   [&](const Property& other) { return other.name == property.name; });
  if (property.values.empty()) {
    if (before != list.end()) list.erase(before);
  } else if (before == list.end()) {
    list.push_back(std::move(property));
  } else if (append) {
    before->values.insert(before->values.end(), property.values.begin(), property.values.end());
  } else {
    *before = std::move(property);
  }
  return Data(std::move(list));
}

std::optional<Data> ValueReader::patterns(const Data& current) {
  auto both = copy_of<PatternLists>(current);
  bool lists = false;
  bool append = false;
  both.optional = false;
  while (lexer_.peek().is(TokenKind::word)) {
    const std::string word = peek_keyword();
    if (word == "LIST" || word == "FILE") {
      lists = word == "LIST";
    } else if (word == "OPTIONAL") {
      both.optional = true;
    } else if (word == "APPEND") {
      append = true;
    } else {
      return expected("list, file, optional, append or a quoted string");
    }
    lexer_.take();
  }
  std::vector<std::string>& half = lists ? both.lists : both.files;
  if (!append || lexer_.peek().ends_line()) half.clear();
  while (!lexer_.peek().ends_line()) {
    if (!lexer_.peek().is(TokenKind::text)) return expected("a quoted string");
    half.push_back(lexer_.take().text);
  }
  return Data(std::move(both));
}

std::optional<Data> ValueReader::host_limit(bool names_allowed) {
  HostLimit limit;
  limit.set = true;
  while (!lexer_.peek().ends_line()) {
    if (take_keyword("SAME-HOST")) {
      limit.same_host = true;
    } else if (take_keyword("SERVER")) {
      limit.server = true;
    } else if (names_allowed && lexer_.peek().is(TokenKind::text)) {
      limit.hosts.push_back(lexer_.take().text);
    } else {
      return expected(names_allowed ? "same-host, server or a quoted host" : "same-host or server");
    }
  }
  return Data(std::move(limit));
}

bool ValueReader::label_is_plain(const Option& option, const Token& token) {
  if (token.text.find_first_of(" \"") == std::string::npos) return true;
  report_.error(token.where, fmt::format("{} must contain neither a space nor a quote", option.name));
  return false;
}

std::optional<Data> ValueReader::autolabel(const Option& option) {
  Autolabel label;
  const bool text_given = lexer_.peek().is(TokenKind::text);
  if (text_given) {
    if (!label_is_plain(option, lexer_.peek())) return std::nullopt;
    label.pattern = lexer_.take().text;
  }
  bool any_class = false;
  while (!lexer_.peek().ends_line()) {
    const std::string word = peek_keyword();
    if (word == "ANY") {
      label.other_config = label.non_amanda = label.volume_error = label.empty = true;
    } else if (word == "OTHER-CONFIG") {
      label.other_config = true;
    } else if (word == "NON-AMANDA") {
      label.non_amanda = true;
    } else if (word == "VOLUME-ERROR") {
      label.volume_error = true;
    } else if (word == "EMPTY") {
      label.empty = true;
    } else {
      return expected("any, other-config, non-amanda, volume-error or empty");
    }
    any_class = true;
    lexer_.take();
  }
  // Without a class, volumes that cannot be read are labelled too: Amanda's rule.
  if (!any_class && text_given) label.volume_error = label.empty = true;
  return Data(std::move(label));
}

std::optional<Data> ValueReader::labelstr(const Option& option) {
  Labelstr label;
  if (take_keyword("MATCH-AUTOLABEL")) {
    label.match_autolabel = true;
    label.pattern.clear();
    return Data(std::move(label));
  }
  if (!lexer_.peek().is(TokenKind::text)) return expected("a quoted string or match-autolabel");
  if (!label_is_plain(option, lexer_.peek())) return std::nullopt;
  label.pattern = lexer_.take().text;
  return Data(std::move(label));
}

std::optional<Data> ValueReader::dump_selections(const Data& current) {
  auto list = copy_of<std::vector<DumpSelection>>(current);
  DumpSelection selection;
  if (lexer_.peek().is(TokenKind::text)) {
    selection.kind = DumpSelection::Kind::tag;
    selection.tag = lexer_.take().text;
  } else if (take_keyword("OTHER")) {
    selection.kind = DumpSelection::Kind::other;
  } else if (!take_keyword("ALL")) {
    return expected("a quoted tag, all or other");
  }
  if (take_keyword("FULL")) {
    selection.level = DumpLevel::full;
  } else if (take_keyword("INCR")) {
    selection.level = DumpLevel::incr;
  } else if (!take_keyword("ALL")) {
    return expected("all, full or incr");
  }
  list.push_back(std::move(selection));
  return Data(std::move(list));
}

std::optional<Data> ValueReader::vaults(const Data& current) {
  auto list = copy_of<std::vector<Vault>>(current);
  do {
    if (!lexer_.peek().is(TokenKind::text) && !lexer_.peek().is(TokenKind::word))
      return expected("the name of a storage");
    Vault vault;
    vault.storage = lexer_.take().text;
    const auto days = number(false);
    if (!days) return std::nullopt;
    vault.days = *days;
    const auto before = std::find_if(list.begin(), list.end(),
                                     [&](const Vault& other) { return other.storage == vault.storage; });
    if (before != list.end()) list.erase(before);
    list.push_back(std::move(vault));
  } while (!lexer_.peek().ends_line());
  return Data(std::move(list));
}

std::optional<std::string> column_spec_mistake(std::string_view spec) {
  while (!spec.empty()) {
    std::string_view column = spec.substr(0, spec.find(','));
    spec.remove_prefix(std::min(spec.size(), column.size() + 1));
    const size_t equals = column.find('=');
    if (equals == std::string_view::npos)
      return fmt::format("NAME=INDENT:WIDTH[:PRECISION] is expected, not '{}'", column);
    std::string_view format = column.substr(equals + 1);
    for (int field = 0; !format.empty(); ++field) {
      const std::string_view number = format.substr(0, format.find(':'));
      format.remove_prefix(std::min(format.size(), number.size() + 1));
      if (field > 2 || !is_integer(number))
        return fmt::format("INDENT:WIDTH[:PRECISION] are integers; '{}' has others", column);
    }
  }
  return std::nullopt;
}

std::optional<Data> ValueReader::column_spec() {
  if (!lexer_.peek().is(TokenKind::text)) return expected("a quoted string");
  const Token token = lexer_.take();
  if (auto mistake = column_spec_mistake(token.text)) {
    report_.error(token.where, std::move(*mistake));
    return std::nullopt;
  }
  return Data(token.text);
}

}  // namespace headrace::config
