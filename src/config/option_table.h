// The one table of configuration parameters: name, where it may stand, type, default, limits, a sentence of
// documentation, and whether Headrace acts on it yet. Parser, defaults, printing and manual all read it.
// Source of names and defaults: amanda.conf(5), observed with Debian's Amanda 3.5.1.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/settings.h"

namespace headrace::config {

enum class Type {
  boolean,
  integer,   // with units; 32 bits, as in Amanda
  size_kib,  // with units; KiB when none is given
  real,
  text,             // a quoted string
  text_or_integer,  // kept as text
  name,             // a name, quoted or not
  names,            // several
  texts,            // several quoted strings
  choice,           // one of `words`
  choices,          // several of `words`, separated by blanks
  execute_on,       // several of `words`, separated by commas
  autoflush,        // boolean or ALL
  compress,
  holding,  // NEVER, AUTO, REQUIRED or boolean
  priority,
  display_unit,
  time_of_day,
  rates,
  port_range,
  properties,
  patterns,
  host_limit,
  dump_limit,  // a host limit without host names
  autolabel,
  labelstr,
  dump_selections,
  vaults,
  column_spec,
  reference,   // a name of another block, or such a block in line
  references,  // several
};

// Whether Headrace acts on a parameter. `moot`: there is nothing to act on (comments, parameters that Amanda
// itself ignores).
enum class Support { yes, no, moot };

constexpr unsigned bit(Section section) { return 1U << static_cast<unsigned>(section); }

struct Limits {
  int64_t low = std::numeric_limits<int64_t>::min();
  int64_t high = std::numeric_limits<int64_t>::max();
};

struct Option {
  std::string_view name;  // canonical: upper case, with `-`
  unsigned sections;      // bits
  Type type;
  std::string_view fallback;  // the default, as configuration text; empty: the type's empty value
  Support support;
  std::string_view doc;
  std::string_view words = {};  // of a choice, separated by blanks, canonical
  Limits limits = {};
  std::string_view supported =
      {};  // with Support::no: values that are acted on all the same, separated by `|`
  Section target = Section::global;  // of a reference
  bool deprecated = false;

  bool in(Section section) const { return (sections & bit(section)) != 0; }
  // A storage's parameter that is not set has the global's value.
  bool follows_global(Section section) const {
    return section == Section::storage && in(section) && in(Section::global);
  }
  // A dumptype takes the global's value at the place of its definition.
  bool copies_global(Section section) const {
    return section == Section::dumptype && in(section) && in(Section::global);
  }
};

std::span<const Option> options();
// By canonical name. nullptr: no such parameter there.
const Option* find_option(Section section, std::string_view canonical);
// Sections that know the parameter, for messages: "dumptype".
std::string sections_knowing(std::string_view canonical);

// "dumptype"; of global: "global".
std::string_view name_of(Section section);
// The keyword of `define` to its section; application-tool and script-tool are known too. Nothing for others.
std::optional<Section> section_of(std::string_view canonical);

// Parameters that Amanda had once and now refuses.
bool is_removed(std::string_view canonical);

// The candidate nearest to `word` but for case, if near enough to be what was meant; else empty.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace headrace::config
