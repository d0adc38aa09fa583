// The value a parameter has: as set, or its default, or the global's. Pure.
#pragma once

#include <string>
#include <string_view>

#include "config/option_table.h"
#include "config/settings.h"

namespace headrace::config {

// The value of `option` in `block`, which may be settings.global. Corrections that need other parameters
// (readblocksize, for instance) are made here too.
// `option` is a row of options().
Data effective(const Settings& settings, const Block& block, const Option& option);

// The same by name; the parameter must exist in the block's section and be of the type.
template <class T>
T effective_as(const Settings& settings, const Block& block, std::string_view name) {
  return std::get<T>(effective(settings, block, *find_option(block.section, name)));
}

// The option's default as a value, without regard to other parameters.
Data default_of(const Option& option, Section section);

// The largest chunk size, which stands for none: what Amanda makes of 0.
inline constexpr int64_t kUnlimitedChunkKib = 9007199254740896;

}  // namespace headrace::config
