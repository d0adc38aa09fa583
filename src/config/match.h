// Amanda's match expressions for hosts, disks and dates, and the choice of disks by the words of a command
// line. Pure. Source: amanda-match(7), observed with Amanda 3.5.1.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "config/disklist.h"

namespace headrace::config {

// Words separated by `.`, no case. `?` one character, `*` any run within a word, `**` across words, `[…]`,
// `[!…]`, `^` and `$` anchor, a leading `=` means exactly.
bool match_host(std::string_view expression, std::string_view host);
// Words separated by `/`, with case. "/" alone matches only the disk "/".
bool match_disk(std::string_view expression, std::string_view disk);
// A prefix "201011", a range "20101110-15" (the last digits replaced), `$` at the end for exactly, "*" for
// any. Expressions that are no such thing match nothing; see check_date.
bool match_date(std::string_view expression, std::string_view date);
// A level, a prefix or a range "0-3", as match_date.
bool match_level(std::string_view expression, std::string_view level);

// Whether the text is an expression at all; the error says what is wrong.
base::Result<> check_host_expression(std::string_view expression);
base::Result<> check_disk_expression(std::string_view expression);
base::Result<> check_date_expression(std::string_view expression);

// One `host disk date level` of a command line; empty parts match anything.
struct DumpSpec {
  std::string host, disk, date, level;
  bool matches(std::string_view a_host, std::string_view a_disk, std::string_view a_date, int a_level) const;
};

// Indexes into `dles`, ascending, of those chosen by `[HOST [DISK…]]…`; all when `words` is empty.
// A word that matches a host of the list begins a new host; others are disks of it. `exact` takes every word
// as it is. Refused when a word matches nothing, naming it, or both a host and a disk
// of the host before.
base::Result<std::vector<size_t>> select(std::span<const DiskListEntry> dles,
                                         std::span<const std::string> words, bool exact = false);

}  // namespace headrace::config
