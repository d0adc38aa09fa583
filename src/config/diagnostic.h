// One mistake or warning in a configuration file, with its place. A value; collected, never printed here.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace headrace::config {

// Where something stands in a file. Lines and columns count from 1; 0 means "not in a file" (a built-in
// default, or the command line, whose `file` is "command line").
struct Position {
  std::string file{};
  int line = 0;
  int column = 0;

  // "FILE:LINE", or just FILE without a line.
  std::string text() const;
  bool operator==(const Position&) const = default;
};

struct Diagnostic {
  std::string file{};
  int line = 0;
  int column = 0;
  bool warning = false;
  std::string message{};  // says what was expected

  // "FILE:LINE:COLUMN: [warning: ]MESSAGE"
  std::string text() const;
  bool operator==(const Diagnostic&) const = default;
};

// A value and everything that is to be said about its files. No value when any diagnostic is an error.
template <class T>
struct Loaded {
  std::optional<T> value;
  std::vector<Diagnostic> diagnostics{};

  bool ok() const { return value.has_value(); }
  const T& operator*() const { return *value; }
  T& operator*() { return *value; }
  const T* operator->() const { return &*value; }
};

bool has_errors(const std::vector<Diagnostic>& diagnostics);
// The errors, one a line: for a base::Error's text.
std::string errors_text(const std::vector<Diagnostic>& diagnostics);

}  // namespace headrace::config
