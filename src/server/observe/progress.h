// A run in the foreground, as it goes on: one screen for a terminal, or a line an event for a log. Pure; the
// command draws.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "journal/event.h"
#include "journal/state.h"

namespace headrace::observe {

struct Screen {
  size_t width = 80;   // columns; below 20 counts as 20
  size_t height = 24;  // rows; below 4 counts as 4
};

// The lines of the screen, without newlines; at most screen.height of at most screen.width characters.
std::vector<std::string> progress_screen(const journal::RunState& state, int64_t now_us,
                                         const Screen& screen);

// What an event is worth in a log, without time or newline; nothing for samples and such.
std::optional<std::string> progress_line(const journal::Body& body);

}  // namespace headrace::observe
