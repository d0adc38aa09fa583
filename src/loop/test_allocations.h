// Counts what a test program allocates, on all its threads. Tests only; included by one source of a program,
// since it replaces the program's operator new.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace headrace::loop {

inline std::atomic<uint64_t> allocations_made{0};

}  // namespace headrace::loop

void* operator new(size_t size) {
  ++headrace::loop::allocations_made;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
