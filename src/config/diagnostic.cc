#include "config/diagnostic.h"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::config {

std::string Position::text() const { return line == 0 ? file : fmt::format("{}:{}", file, line); }

std::string Diagnostic::text() const {
  std::string place = file;
  if (line > 0) place += fmt::format(":{}", line);
  if (line > 0 && column > 0) place += fmt::format(":{}", column);
  return fmt::format("{}: {}{}", place, warning ? "warning: " : "", message);
}

bool has_errors(const std::vector<Diagnostic>& diagnostics) {
  return std::any_of(diagnostics.begin(), diagnostics.end(), [](const Diagnostic& d) { return !d.warning; });
}

std::string errors_text(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) {
    if (diagnostic.warning) continue;
    if (!text.empty()) text += '\n';
    text += diagnostic.text();
  }
  return text;
}

}  // namespace headrace::config
