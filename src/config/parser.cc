#include "config/parser.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/file.h"
#include "base/quote.h"
#include "config/effective.h"

namespace headrace::config {
namespace {

bool grows(Type type) {
  switch (type) {
    case Type::properties:
    case Type::patterns:
    case Type::dump_selections:
    case Type::vaults:
    case Type::references:
      return true;
    default:
      return false;
  }
}

// As Amanda names a block that is given in line.
std::string inline_name(const Block& block, const Option& option, int count) {
  if (block.section == Section::dumptype) return fmt::format("custom(DUMPTYPE:{}).{}", block.name, count);
  return fmt::format("custom({}).{}", option.target == Section::taperscan ? "ts" : "iv", count);
}

// After a mistake: what is left of the line, and the block that it begins.
void skip_line_and_block(Lexer& lexer) {
  while (!lexer.peek().ends_line() && !lexer.peek().is(TokenKind::open_brace)) lexer.take();
  if (lexer.peek().is(TokenKind::open_brace)) {
    lexer.take();
    lexer.skip_block();
  }
  lexer.skip_line();
}

}  // namespace

base::Result<std::string> read_config_file(const std::filesystem::path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return base::fail_errno(fmt::format("open {}", path.string()));
  // A pipe or device would block us, or never end.
  if (!S_ISREG(status.st_mode))
    return base::fail(base::ErrorKind::refused, fmt::format("{} is not a regular file", path.string()));
  return base::read_file(path, kFileLimitBytes);
}

Parser::Parser(Settings& settings, Report& report, std::filesystem::path directory,
               std::span<const Override> overrides)
    : settings_(settings), report_(report), directory_(std::move(directory)), overrides_(overrides) {
  apply_global_overrides();
}

void Parser::read_file(const std::filesystem::path& path, bool optional, bool site) {
  const Position where{path.string(), 0, 0};
  struct stat status{};
  if (optional && ::stat(path.c_str(), &status) != 0 && errno == ENOENT) return;
  auto text = read_config_file(path);
  if (!text) {
    report_.error(where, text.error().what());
    return;
  }
  site_ = site;
  read_text(*text, path.string());
  site_ = false;
}

void Parser::read_text(std::string_view text, const std::string& file) {
  Lexer lexer(text, file, report_);
  statements(lexer);
}

void Parser::statements(Lexer& lexer) {
  while (!lexer.peek().is(TokenKind::end)) statement(lexer);
}

void Parser::statement(Lexer& lexer) {
  if (lexer.peek().is(TokenKind::newline)) {
    lexer.take();
    return;
  }
  const Token first = lexer.take();
  const Section section = settings_.global.section;
  const std::string word = first.is(TokenKind::word) ? keyword(first.text) : "";
  if (word == "DEFINE") {
    const Token type = lexer.peek();
    const auto defined = type.is(TokenKind::word) ? section_of(keyword(type.text)) : std::nullopt;
    if (defined) {
      lexer.take();
      return define(lexer, *defined, first.where);
    }
    report_.error(
        type.where,
        fmt::format("a type is expected, not {}: dumptype, tapetype, interface, holdingdisk, application, "
                    "script, device, changer, interactivity, taperscan, policy or storage",
                    type.shown()));
    return skip_line_and_block(lexer);
  }
  if (word == "INCLUDEFILE") return include(lexer, first.where);
  if (word == "HOLDINGDISK" && section == Section::global) return holdingdisk(lexer);
  if (const Option* option = find_option(section, word)) {
    parameter(lexer, settings_.global, *option, first.where);
  } else {
    unknown(section, first);
    skip_line_and_block(lexer);
  }
}

void Parser::unknown(Section section, const Token& token) {
  if (token.is(TokenKind::bad) && token.raw.starts_with('"')) return;  // reported already
  const bool global = section == Section::global || section == Section::client;
  const std::string kind = global ? "parameter" : fmt::format("{} parameter", name_of(section));
  if (!token.is(TokenKind::word)) {
    report_.error(token.where, fmt::format("a {} is expected, not {}", kind, token.shown()));
    return;
  }
  const std::string word = keyword(token.text);
  if (is_removed(word)) {
    report_.error(token.where, fmt::format("'{}' no longer exists: remove the line", token.text));
    return;
  }
  std::string message = fmt::format("'{}' is not a {}", token.text, kind);
  if (const std::string elsewhere = sections_knowing(word); !elsewhere.empty()) {
    message += fmt::format(" (it is one of: {})", elsewhere);
  } else {
    std::vector<std::string> candidates;
    for (const Option& option : options())
      if (option.in(section)) candidates.emplace_back(option.name);
    if (global) candidates.insert(candidates.end(), {"DEFINE", "INCLUDEFILE"});
    for (const Block& block : settings_.blocks)
      if (block.section == section) candidates.push_back(keyword(block.name));
    if (const std::string near = nearest(word, candidates); !near.empty())
      message += fmt::format("; did you mean '{}'?", lower(near));
  }
  report_.error(token.where, std::move(message));
}

void Parser::end_line(Lexer& lexer) {
  if (!lexer.peek().ends_line())
    report_.error(lexer.peek().where,
                  fmt::format("the end of the line is expected, not {}", lexer.peek().shown()));
  lexer.skip_line();
}

void Parser::include(Lexer& lexer, const Position& where) {
  if (!lexer.peek().is(TokenKind::text)) {
    report_.error(lexer.peek().where,
                  fmt::format("the quoted name of a file is expected, not {}", lexer.peek().shown()));
    return lexer.skip_line();
  }
  const Token name = lexer.take();
  end_line(lexer);
  if (depth_ == kIncludeDepthLimit || includes_ == kIncludeCountLimit) {
    report_.error(where,
                  fmt::format("files are included more than {} deep or more than {} times: does {} include "
                              "itself?",
                              kIncludeDepthLimit, kIncludeCountLimit, base::quote_always(name.text)));
    return;
  }
  const std::filesystem::path path = directory_ / name.text;
  auto text = read_config_file(path);
  if (!text) {
    report_.error(name.where, text.error().what());
    return;
  }
  ++depth_;
  ++includes_;
  read_text(*text, path.string());
  --depth_;
}

void Parser::check_name(const Token& token) {
  if (token.text.empty() || token.text.find_first_of(" \"\t\n") != std::string::npos)
    report_.error(token.where, "a name must not be empty and must contain neither a space nor a quote");
}

bool Parser::open_brace(Lexer& lexer) {
  if (!lexer.peek().is(TokenKind::open_brace)) {
    report_.error(lexer.peek().where, fmt::format("'{{' is expected, not {}", lexer.peek().shown()));
    skip_line_and_block(lexer);
    return false;
  }
  lexer.take();
  end_line(lexer);
  return true;
}

void Parser::define(Lexer& lexer, Section section, const Position& where) {
  const Token name = lexer.peek();
  if (!name.is(TokenKind::word) && !name.is(TokenKind::text)) {
    report_.error(name.where,
                  fmt::format("the name of the {} is expected, not {}", name_of(section), name.shown()));
  } else {
    lexer.take();
    check_name(name);
  }
  if (!open_brace(lexer)) return;
  Block block{.section = section, .name = name.text, .where = where};
  const Block* before = settings_.find(section, name.text);
  if (before != nullptr)
    report_.error(name.where,
                  before->built_in
                      ? fmt::format("{} {} is built in and cannot be defined", name_of(section), name.text)
                      : fmt::format("{} {} is already defined at {}", name_of(section), before->name,
                                    before->where.text()));
  begin_block(block);
  block_body(lexer, block);
  end_line(lexer);
  apply_overrides(block);
  if (before == nullptr && (name.is(TokenKind::word) || name.is(TokenKind::text)))
    settings_.blocks.push_back(std::move(block));
}

void Parser::begin_block(Block& block) {
  if (block.section != Section::dumptype) return;
  // Later changes of the global parameter do not reach this dumptype.
  for (const Option& option : options())
    if (option.copies_global(Section::dumptype))
      block.values[std::string(option.name)] = {.data = effective(settings_, settings_.global, option)};
}

void Parser::holdingdisk(Lexer& lexer) {
  const Token name = lexer.peek();
  if (!name.is(TokenKind::word) && !name.is(TokenKind::text)) {
    report_.error(name.where, fmt::format("the name of a holding disk is expected, not {}", name.shown()));
    return lexer.skip_line();
  }
  lexer.take();
  std::vector<Token> names{name};
  if (lexer.peek().is(TokenKind::open_brace)) {
    const size_t before = settings_.blocks.size();
    check_name(name);
    Block block{.section = Section::holdingdisk, .name = name.text, .where = name.where};
    lexer.take();
    end_line(lexer);
    const Block* same = settings_.find(Section::holdingdisk, name.text);
    if (same != nullptr)
      report_.error(name.where,
                    fmt::format("holdingdisk {} is already defined at {}", name.text, same->where.text()));
    block_body(lexer, block);
    end_line(lexer);
    apply_overrides(block);
    if (same == nullptr) settings_.blocks.push_back(std::move(block));
    if (settings_.blocks.size() == before) return;
  } else {
    while (lexer.peek().is(TokenKind::word) || lexer.peek().is(TokenKind::text))
      names.push_back(lexer.take());
    end_line(lexer);
  }
  if (pinned_.contains("HOLDINGDISK")) return;
  Value& value = settings_.global.values["HOLDINGDISK"];
  if (!value.set) value.data = std::vector<std::string>{};
  auto& in_use = std::get<std::vector<std::string>>(value.data);
  for (const Token& token : names) {
    if (std::any_of(in_use.begin(), in_use.end(),
                    [&](const auto& other) { return same_name(other, token.text); })) {
      report_.error(token.where, fmt::format("holding disk '{}' is already in use", token.text));
    } else {
      in_use.push_back(token.text);
    }
  }
  value.set = true;
  value.where = name.where;
}

void Parser::block_body(Lexer& lexer, Block& block) {
  while (true) {
    if (lexer.peek().is(TokenKind::newline)) {
      lexer.take();
    } else if (lexer.peek().is(TokenKind::close_brace)) {
      lexer.take();
      return;
    } else if (lexer.peek().is(TokenKind::end)) {
      report_.error(lexer.peek().where, fmt::format("'}}' is expected: {} {} begins at {}",
                                                    name_of(block.section), block.name, block.where.text()));
      return;
    } else {
      block_line(lexer, block);
    }
  }
}

void Parser::block_line(Lexer& lexer, Block& block) {
  const Token first = lexer.take();
  if (first.is(TokenKind::word)) {
    if (const Option* option = find_option(block.section, keyword(first.text)))
      return parameter(lexer, block, *option, first.where);
  }
  if ((first.is(TokenKind::word) || first.is(TokenKind::text)) && inherit(lexer, block, first)) return;
  if (first.is(TokenKind::word) && keyword(first.text) == "INCLUDEFILE") {
    report_.error(first.where, "a file cannot be included inside a block");
  } else {
    unknown(block.section, first);
  }
  skip_line_and_block(lexer);
}

bool Parser::inherit(Lexer& lexer, Block& block, const Token& name) {
  const Block* parent = settings_.find(block.section, name.text);
  if (parent == nullptr) return false;
  for (const auto& [option, value] : parent->values)
    if (value.set) block.values[option] = value;
  end_line(lexer);
  return true;
}

void Parser::parameter(Lexer& lexer, Block& block, const Option& option, const Position& where) {
  const bool global = &block == &settings_.global;
  if (option.deprecated) report_.warning(where, fmt::format("'{}' is deprecated", lower(option.name)));
  if (global && option.name == "CHANGERFILE")
    report_.warning(where, "a global changerfile is deprecated: set it in a changer block");
  if ((option.type == Type::reference || option.type == Type::references) &&
      lexer.peek().is(TokenKind::open_brace))
    return inline_block(lexer, block, option, where);

  static const Value unset;
  const Value* before = block.find(option.name);
  ValueReader reader(lexer, report_);
  const Position value_where = lexer.peek().where;
  auto data = reader.read(option, block.section, before != nullptr ? before->data : unset.data);
  if (!data) {
    lexer.skip_line();
    return;
  }
  check_reference(option, *data, value_where);
  end_line(lexer);
  if (global && pinned_.contains(option.name)) return;
  if (global && site_ && before != nullptr && before->set && !grows(option.type))
    report_.error(where, fmt::format("'{}' is already set at {}", lower(option.name), before->where.text()));
  block.values[std::string(option.name)] = {.data = std::move(*data), .set = true, .where = where};
}

// A dumptype may only name applications and scripts that are already defined.
void Parser::check_reference(const Option& option, const Data& data, const Position& where) {
  std::vector<std::string> names;
  if (option.type == Type::reference) {
    names.push_back(std::get<std::string>(data));
  } else if (option.type == Type::references) {
    names = std::get<std::vector<std::string>>(data);
  }
  for (const std::string& name : names) {
    if (name.empty() || settings_.find(option.target, name) != nullptr) continue;
    report_.error(where, fmt::format("no {} is named '{}' up to here", name_of(option.target), name));
    return;
  }
}

void Parser::inline_block(Lexer& lexer, Block& block, const Option& option, const Position& where) {
  lexer.take();
  end_line(lexer);
  Block inner{.section = option.target, .where = where, .anonymous = true};
  inner.name = inline_name(block, option, ++inline_count_);
  block_body(lexer, inner);
  end_line(lexer);
  const bool list = option.type == Type::references;
  Value& value = block.values[std::string(option.name)];
  if (list) {
    if (!std::holds_alternative<std::vector<std::string>>(value.data))
      value.data = std::vector<std::string>{};
    std::get<std::vector<std::string>>(value.data).push_back(inner.name);
  } else if (&block != &settings_.global || !pinned_.contains(option.name)) {
    value.data = inner.name;
  }
  value.set = true;
  value.where = where;
  settings_.blocks.push_back(std::move(inner));
}

void Parser::read_inline_dumptype(Lexer& lexer, Block& block) {
  begin_block(block);
  block_body(lexer, block);
}

}  // namespace headrace::config
