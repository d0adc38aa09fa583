// Dumps that are dated in the future: a clock was wrong in the night they were made. Which dump builds on
// which is known by their dates alone, so with such a one among them it may not be known at all. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/catalog/catalog.h"

namespace headrace::catalog {

// A dump dated after this (14 digits) is from the future. A day and an hour ahead is another time zone or the
// end of summer time.
std::string latest_date(int64_t now_unix);

// A sentence when dumps of a chain may not belong together, since `misdated` of the same disk were made
// nobody knows when: one of the chain may build on one of them in truth, or one of them is in the chain. Else
// empty.
std::string doubt_about(const std::vector<Image>& chain, const std::vector<DumpFact>& misdated);

// "20270115010000 level 1, 20270116010000 level 0"
std::string text_of(const std::vector<DumpFact>& dumps);

}  // namespace headrace::catalog
