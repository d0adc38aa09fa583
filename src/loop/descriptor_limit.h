// How many descriptors this process may have. A client with hundreds of dumps needs thousands, and what it is
// given by default is 1024.
#pragma once

#include <cstdint>

namespace headrace::loop {

// Asks for as many as the system's administrator lets us have, at most kMostDescriptors. Returns how many it
// now is. For the start of a program that serves; started programs inherit it.
inline constexpr uint64_t kMostDescriptors = 65536;
uint64_t raise_descriptor_limit();

}  // namespace headrace::loop
