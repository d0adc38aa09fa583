// `headrace config check|get|show`: says what is wrong with a configuration, and prints its parameters as
// Amanda's amgetconf and amadmin do. Prints to standard output, mistakes to standard error.
#pragma once

#include <span>
#include <string>

namespace headrace::cli {

// Mistakes and warnings of amanda.conf and the disklist, then what is accepted but not acted on yet. Exit
// status: 0 nothing is wrong (warnings may be), 1 mistakes. Counterpart: the first part of `amcheck`.
int config_check(const std::string& config, bool json, std::span<const std::string> overrides);

// One parameter: "org", "tapetype:NAME:length". With `list`, `key` is a type and the names of its blocks are
// printed. Exit status: 0 printed, 1 no such parameter or a configuration with mistakes. Counterpart:
// `amgetconf`.
int config_get(const std::string& config, const std::string& key, bool list, bool json,
               std::span<const std::string> overrides);

// All parameters. Exit status as config_get. Counterpart: `amadmin CONF config`.
int config_show(const std::string& config, std::span<const std::string> overrides);

}  // namespace headrace::cli
