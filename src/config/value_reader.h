// Reads the value of one parameter from the rest of a line and says what was expected where it does not fit.
// Borrows the lexer and the report; knows the option table, not the blocks.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/lexer.h"
#include "config/option_table.h"
#include "config/settings.h"

namespace headrace::config {

class ValueReader {
 public:
  ValueReader(Lexer& lexer, Report& report) : lexer_(lexer), report_(report) {}

  // `current` is the value so far: lists grow, `append` adds to it. Nothing after a mistake, which has been
  // reported; the rest of the line is then left untaken.
  std::optional<Data> read(const Option& option, Section section, const Data& current);

 private:
  std::optional<Data> boolean();
  std::optional<Data> integer(const Option& option, bool kib);
  std::optional<Data> real(const Option& option);
  std::optional<Data> text(const Option& option);
  std::optional<Data> choice(const Option& option);
  std::optional<Data> choices(const Option& option, bool commas);
  std::optional<Data> autoflush();
  std::optional<Data> compress();
  std::optional<Data> holding();
  std::optional<Data> priority();
  std::optional<Data> display_unit();
  std::optional<Data> rates();
  std::optional<Data> port_range(const Option& option);
  std::optional<Data> properties(const Option& option, Section section, const Data& current);
  std::optional<Data> patterns(const Data& current);
  std::optional<Data> host_limit(bool names_allowed);
  std::optional<Data> autolabel(const Option& option);
  std::optional<Data> labelstr(const Option& option);
  std::optional<Data> dump_selections(const Data& current);
  std::optional<Data> vaults(const Data& current);
  std::optional<Data> column_spec();
  std::optional<Data> names(const Data& current, bool grows);
  std::optional<Data> texts();

  // Reports "EXPECTED is expected, not TOKEN" at the next token.
  std::nullopt_t expected(std::string_view what);
  // The next token's keyword when it is a word, else empty.
  std::string peek_keyword() const;
  bool take_keyword(std::string_view wanted);
  std::optional<int64_t> number(bool kib);
  std::optional<double> decimal();
  bool label_is_plain(const Option& option, const Token& token);

  Lexer& lexer_;
  Report& report_;
};

// Whether a columnspec is one, as amreport reads it; else what is wrong.
std::optional<std::string> column_spec_mistake(std::string_view spec);

// Folds a property's name: lower case, `_` is `-`.
std::string property_name(std::string_view name);

}  // namespace headrace::config
