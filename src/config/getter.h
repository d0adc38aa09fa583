// Reads the parameters of one block as the types that the typed configuration wants. Borrows both; the names
// must exist in the block's section with that type (a test reads them all).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "config/effective.h"

namespace headrace::config {

class Getter {
 public:
  Getter(const Settings& settings, const Block& block) : settings_(settings), block_(block) {}

  std::string text(std::string_view name) const { return as<std::string>(name); }
  int64_t number(std::string_view name) const { return as<int64_t>(name); }
  double real(std::string_view name) const { return as<double>(name); }
  bool flag(std::string_view name) const { return as<bool>(name); }
  std::vector<std::string> list(std::string_view name) const { return as<std::vector<std::string>>(name); }
  bool is_set(std::string_view name) const {
    const Value* value = block_.find(name);
    return value != nullptr && value->set;
  }

  template <class T>
  T as(std::string_view name) const {
    return effective_as<T>(settings_, block_, name);
  }
  // The index of a choice's word is the enumeration's value.
  template <class Enum>
  Enum choice(std::string_view name, std::initializer_list<std::string_view> words) const {
    const std::string word = text(name);
    int index = 0;
    for (const std::string_view candidate : words) {
      if (candidate == word) return static_cast<Enum>(index);
      ++index;
    }
    HEADRACE_CHECK(false);
  }

 private:
  const Settings& settings_;
  const Block& block_;
};

}  // namespace headrace::config
