// Sizes in KiB for people, as plans speak of them. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace headrace::base {

// "812 KiB", "40 MiB", "12 GiB": whole figures, rounded down, of the largest unit that leaves at least ten.
std::string human_kib(uint64_t kib);

}  // namespace headrace::base
