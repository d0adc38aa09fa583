#include "cli/server_context.h"

#include <fmt/format.h>

#include <cstdio>

#include "config/load.h"
#include "config/match.h"

namespace headrace::cli {

static void print_all(const std::vector<config::Diagnostic>& diagnostics) {
  for (const auto& diagnostic : diagnostics) fmt::print(stderr, "{}\n", diagnostic.text());
}

std::optional<ServerContext> load_context(const std::string& name, const std::vector<std::string>& overrides,
                                          bool with_disklist) {
  auto directory = config::find_config(name);
  if (!directory) {
    fmt::print(stderr, "headrace: {}\n", directory.error().what());
    return std::nullopt;
  }
  auto parsed = config::parse_overrides(overrides);
  if (!parsed) {
    fmt::print(stderr, "headrace: {}\n", parsed.error().what());
    return std::nullopt;
  }
  auto loaded = config::load_server(*directory, *parsed);
  print_all(loaded.diagnostics);
  if (!loaded.ok()) return std::nullopt;
  ServerContext context{std::move(*loaded.value), {}};
  if (with_disklist) {
    auto disks = config::load_disklist(context.config);
    print_all(disks.diagnostics);
    if (!disks.ok()) return std::nullopt;
    context.disks = std::move(*disks.value);
  }
  return context;
}

std::optional<std::vector<config::DiskListEntry>> select_disks(
    const std::vector<config::DiskListEntry>& disks, const std::vector<std::string>& arguments) {
  auto chosen = config::select(disks, arguments);
  if (!chosen) {
    fmt::print(stderr, "headrace: {}\n", chosen.error().what());
    return std::nullopt;
  }
  std::vector<config::DiskListEntry> out;
  for (const size_t index : *chosen) out.push_back(disks[index]);
  return out;
}

std::string counted(size_t n, const char* noun) { return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s"); }

}  // namespace headrace::cli
