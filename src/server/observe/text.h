// Words, figures and tables for people: what all views of a run share. Pure. Widths are in characters as a
// terminal counts them for plain UTF-8; wide and combining characters are not told apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "journal/event.h"

namespace headrace::observe {

// Names and messages come from clients: control characters, and bytes that are no UTF-8, become \ooo, so that
// nobody's file name can steer the operator's terminal.
std::string printable(std::string_view text);
// The first line of a message, printable.
std::string first_line(std::string_view text);
// "host:disk", the disk quoted where needed.
std::string dle_name(const journal::ImageId& image);

// Characters in UTF-8 text.
size_t width_of(std::string_view text);
// Cut to `width`, the end marked with "…".
std::string cut(std::string_view text, size_t width);
// Filled with blanks, or cut, to exactly `width`.
std::string fit(std::string_view text, size_t width);

// "0:47", "12:31", "1:02:03".
std::string duration(double seconds);
// "00:55:15", local time, of microseconds since 1970.
std::string clock_time(int64_t wall_us);
// "2026-11-23 00:55:15" of a timestamp of 14 digits; as it is when it is none.
std::string readable_timestamp(const std::string& timestamp);
// "48.2 MiB/s"; empty when nothing can be said.
std::string rate(uint64_t bytes, double seconds);
// "35%"; empty when `whole` is 0.
std::string percent(uint64_t part, uint64_t whole);
// "1 dump", "2 dumps".
std::string count_of(uint64_t number, std::string_view noun);

// Columns as wide as their widest cell, two blanks between them, none at the end of a line.
class Table {
 public:
  enum class Align { left, right };
  explicit Table(std::vector<Align> columns) : columns_(std::move(columns)) {}
  // At most one cell a column; missing ones are empty.
  void row(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  std::string text(std::string_view indent = "") const;

 private:
  std::vector<Align> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace headrace::observe
