// The subset of Perl in which Amanda's changers keep their state: a scalar assigned one literal of nested
// hashes, arrays, strings, numbers and undef. Pure. Parsed, never evaluated; what is written here Perl can
// evaluate. Example: `$STATE = { 'current' => 'slot1', 'meta' => undef };`
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace headrace::vtape {

class PerlValue {
 public:
  enum class Type : unsigned char { undef, text, number, array, hash };

  PerlValue() = default;
  static PerlValue text(std::string value);
  static PerlValue number(int64_t value);
  static PerlValue hash();

  Type type() const { return type_; }
  // The characters of a text or number; empty for others.
  const std::string& scalar() const { return scalar_; }
  // A member of a hash, or nullptr.
  const PerlValue* find(std::string_view key) const;
  // A member made when missing; this becomes a hash if it is none.
  PerlValue& at(const std::string& key);
  void erase(const std::string& key);
  const std::map<std::string, PerlValue, std::less<>>& members() const { return members_; }

  bool operator==(const PerlValue&) const = default;

 private:
  friend class PerlParser;
  friend void write_perl(const PerlValue& value, size_t depth, std::string& out);
  Type type_ = Type::undef;
  std::string scalar_;
  std::vector<PerlValue> items_;
  std::map<std::string, PerlValue, std::less<>> members_;
};

// Reads `$NAME = VALUE;`. Error corrupt: anything else, or nested deeper than 32.
base::Result<PerlValue> parse_perl_assignment(std::string_view text);
// `$NAME = VALUE;` and a newline.
std::string perl_assignment(std::string_view name, const PerlValue& value);

}  // namespace headrace::vtape
