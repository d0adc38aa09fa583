// Reads configuration files into Settings: blocks, inheritance, includes and command-line overrides. Goes on
// after a mistake at the end of its line, so that one run reports all. Checks one value at a time; what needs
// several (names that must exist, for instance) is resolve.h's.
#pragma once

#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/lexer.h"
#include "config/load.h"
#include "config/option_table.h"
#include "config/settings.h"
#include "config/value_reader.h"

namespace headrace::config {

inline constexpr int kIncludeDepthLimit = 16;
inline constexpr int kIncludeCountLimit = 1000;
inline constexpr size_t kFileLimitBytes = 16U << 20U;

// A configuration file's text. Refused unless it is a regular file of at most kFileLimitBytes.
base::Result<std::string> read_config_file(const std::filesystem::path& path);

class Parser {
 public:
  // `settings` gets the built-in blocks first. `directory` is where relative includes are looked up.
  Parser(Settings& settings, Report& report, std::filesystem::path directory,
         std::span<const Override> overrides);

  // Reads a file that may be missing only when `optional`; the site's file must not set a parameter twice.
  void read_file(const std::filesystem::path& path, bool optional, bool site);
  void read_text(std::string_view text, const std::string& file);
  // After the last file: reports overrides that named nothing.
  void finish();

  // A dumptype's in-line block of a disklist: the open brace has been taken before, the close brace is taken
  // here. Applications and scripts given in line are added to the settings.
  void read_inline_dumptype(Lexer& lexer, Block& block);

 private:
  void statements(Lexer& lexer);
  void statement(Lexer& lexer);
  void define(Lexer& lexer, Section section, const Position& where);
  void holdingdisk(Lexer& lexer);
  void include(Lexer& lexer, const Position& where);
  bool open_brace(Lexer& lexer);
  void block_body(Lexer& lexer, Block& block);
  void block_line(Lexer& lexer, Block& block);
  bool inherit(Lexer& lexer, Block& block, const Token& name);
  void parameter(Lexer& lexer, Block& block, const Option& option, const Position& where);
  void inline_block(Lexer& lexer, Block& block, const Option& option, const Position& where);
  void check_reference(const Option& option, const Data& data, const Position& where);
  void end_line(Lexer& lexer);
  void unknown(Section section, const Token& token);
  void begin_block(Block& block);
  void apply_global_overrides();
  void apply_overrides(Block& block);
  void apply_override(const Override& override_, Block& block, std::string_view name, size_t index);
  void check_name(const Token& token);

  Settings& settings_;
  Report& report_;
  std::filesystem::path directory_;
  std::span<const Override> overrides_;
  std::set<size_t> used_overrides_;
  std::set<std::string, std::less<>> pinned_;  // globals that the command line decides
  int depth_ = 0;
  int includes_ = 0;
  int inline_count_ = 0;
  bool site_ = false;
};

}  // namespace headrace::config
