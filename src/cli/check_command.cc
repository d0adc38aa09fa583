#include "cli/check_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "base/bytes.h"
#include "base/clock.h"
#include "cli/server_context.h"
#include "compat/tapelist.h"
#include "loop/loop.h"
#include "server/dump/dle_of.h"
#include "server/dump/host_checks.h"
#include "server/dump/server_filters.h"
#include "server/hold/holding_disks.h"
#include "server/volume/changer.h"
#include "server/volume/labeling.h"

namespace headrace::cli {

namespace {

constexpr unsigned kWorkers = 8;

enum class Kind { note, warning, error };

struct Finding {
  Kind kind;
  std::string where;  // "server", or the client's name
  std::string text;
};

class Findings {
 public:
  explicit Findings(bool print) : print_(print) {}
  void add(Kind kind, const std::string& where, const std::string& text) {
    all_.push_back({kind, where, text});
    if (!print_) return;
    const std::string name = where == "server" ? "" : where + ": ";
    fmt::print("{}: {}{}\n", word(kind), name, text);
  }
  size_t errors() const {
    return static_cast<size_t>(
        std::count_if(all_.begin(), all_.end(), [](const auto& f) { return f.kind == Kind::error; }));
  }
  size_t errors_of_clients() const {
    return static_cast<size_t>(std::count_if(all_.begin(), all_.end(), [](const auto& f) {
      return f.kind == Kind::error && f.where != "server";
    }));
  }
  const std::vector<Finding>& all() const { return all_; }
  static const char* word(Kind kind) {
    return kind == Kind::error ? "ERROR" : kind == Kind::warning ? "WARNING" : "NOTE";
  }

 private:
  bool print_;
  std::vector<Finding> all_;
};

void check_holding(const config::ServerConfig& config, Findings& findings) {
  if (config.holding_disks.empty()) {
    findings.add(Kind::note, "server",
                 "no holding disk is used: dumps go straight to volumes, one at a time to each "
                 "(taper-parallel-write)");
  }
  for (const auto& disk : config.holding_disks) {
    const auto free_kib = hold::statvfs_free_kib(disk.directory);
    if (!free_kib) {
      findings.add(Kind::error, "server",
                   fmt::format("holding disk {}: {}", disk.name, free_kib.error().what()));
      continue;
    }
    const uint64_t usable = hold::usable_kib(disk.use_kib, *free_kib);
    if (disk.use_kib > 0 && *free_kib < static_cast<uint64_t>(disk.use_kib)) {
      findings.add(Kind::warning, "server",
                   fmt::format("holding disk {}: {} free, but \"use\" asks for {}", disk.directory.native(),
                               base::human_bytes(*free_kib * base::kKiB),
                               base::human_bytes(static_cast<uint64_t>(disk.use_kib) * base::kKiB)));
    } else if (usable == 0) {
      findings.add(
          Kind::error, "server",
          fmt::format("holding disk {}: nothing of its {} may be used (\"use\" {} KiB)",
                      disk.directory.native(), base::human_bytes(*free_kib * base::kKiB), disk.use_kib));
    } else {
      findings.add(Kind::note, "server",
                   fmt::format("holding disk {}: {} may be used", disk.directory.native(),
                               base::human_bytes(usable * base::kKiB)));
    }
  }
}

void check_directory(const char* what, const std::filesystem::path& directory, Findings& findings) {
  std::error_code ignored;
  if (!std::filesystem::exists(directory, ignored)) {
    findings.add(Kind::note, "server",
                 fmt::format("{} {} does not exist; it will be made", what, directory.native()));
  } else if (!std::filesystem::is_directory(directory, ignored) ||
             ::access(directory.c_str(), R_OK | W_OK | X_OK) != 0) {
    findings.add(Kind::error, "server",
                 fmt::format("{} {} cannot be written: give it to the user that runs the server", what,
                             directory.native()));
  }
}

void check_volume(const config::ServerConfig& config, const config::Storage& storage, Findings& findings) {
  const std::string of = config.storages_in_use().size() > 1 ? fmt::format("storage {}: ", storage.name) : "";
  auto changer = volume::make_changer(config, storage);
  if (!changer) return findings.add(Kind::error, "server", of + changer.error().what());
  const auto rules = volume::label_rules(config, storage, base::SystemClock().wall_seconds());
  auto choice = volume::choose_volume(**changer, rules);
  if (!choice) return findings.add(Kind::error, "server", of + choice.error().what());
  for (const auto& line : choice->notes) findings.add(Kind::note, "server", of + line);
  if (!choice->chosen) return findings.add(Kind::error, "server", of + choice->why_none);
  findings.add(
      Kind::note, "server",
      fmt::format("{}will write to {}volume '{}' in slot {}", of, choice->chosen->new_label ? "new " : "",
                  choice->chosen->label, choice->chosen->slot));
}

void check_server(const ServerContext& context, const std::vector<config::DiskListEntry>& disks,
                  Findings& findings) {
  const auto& globals = context.config.globals;
  check_directory("logdir", globals.logdir, findings);
  check_directory("infofile", globals.infofile, findings);
  check_directory("indexdir", globals.indexdir, findings);
  if (auto tapelist = compat::load_tapelist(globals.tapelist); !tapelist) {
    findings.add(Kind::error, "server", tapelist.error().what());
  }
  check_holding(context.config, findings);
  for (const auto* storage : context.config.storages_in_use())
    check_volume(context.config, *storage, findings);
  std::set<std::string> programs;  // that cannot be run
  for (const auto& disk : disks) {
    if (auto why = dump::why_not(disk); !why.empty()) {
      findings.add(Kind::error, "server",
                   fmt::format("{}:{}: {}:{}: {}", disk.file, disk.line, disk.host, disk.disk, why));
      continue;
    }
    for (const auto& filter : dump::server_filters(dump::dle_of(disk))) {
      if (::access(filter.program.c_str(), X_OK) != 0) programs.insert(filter.program);
    }
  }
  for (const auto& program : programs) {
    findings.add(Kind::error, "server",
                 fmt::format("{}, by which the server is to compress or encrypt, cannot be run: {}", program,
                             std::filesystem::exists(program) ? "no right to" : "no such file"));
  }
}

void check_clients(const ServerContext& context, std::vector<config::DiskListEntry> disks, bool verbose,
                   Findings& findings) {
  auto loop = loop::make_loop(kWorkers);
  auth::NetConnector connector(*loop);
  dump::HostChecks checks(*loop, connector, context.config, std::move(disks));
  std::vector<dump::HostCheckResult> results;
  checks.start([&](std::vector<dump::HostCheckResult> all) {
    results = std::move(all);
    loop->stop();
  });
  loop->run();
  for (const auto& result : results) {
    if (!result.problem.empty()) findings.add(Kind::error, result.host, result.problem);
    for (const auto& message : result.messages) {
      if (message.is_problem()) {
        findings.add(message.severity == wire::Severity::warning ? Kind::warning : Kind::error, result.host,
                     message.message);
      } else if (verbose) {
        findings.add(Kind::note, result.host, message.message);
      }
    }
  }
}

double seconds_since(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

std::string to_json(const Findings& findings, size_t hosts) {
  nlohmann::json out;
  out["hosts"] = hosts;
  out["problems"] = findings.errors();
  out["findings"] = nlohmann::json::array();
  for (const auto& finding : findings.all()) {
    out["findings"].push_back(
        {{"kind", Findings::word(finding.kind)}, {"where", finding.where}, {"text", finding.text}});
  }
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

int check(const CheckOptions& options) {
  auto context = load_context(options.config, options.overrides, true);
  if (!context) return kExitUsage;
  auto disks = select_disks(context->disks, options.disks);
  if (!disks) return kExitUsage;
  std::erase_if(*disks, [](const auto& disk) {
    return disk.dumptype.ignore || disk.dumptype.strategy == config::Strategy::skip;
  });
  Findings findings(!options.json);
  std::set<std::string> hosts;
  for (const auto& disk : *disks) hosts.insert(disk.host);

  auto began = std::chrono::steady_clock::now();
  if (options.server) {
    if (!options.json) fmt::print("Server check\n------------\n");
    check_server(*context, *disks, findings);
    if (!options.json) fmt::print("Server check took {:.3f} seconds\n", seconds_since(began));
  }
  if (options.clients) {
    if (!options.json) fmt::print("{}Client check\n------------\n", options.server ? "\n" : "");
    std::fflush(stdout);
    began = std::chrono::steady_clock::now();
    check_clients(*context, std::move(*disks), options.verbose, findings);
    if (!options.json) {
      fmt::print("Client check: {} checked in {:.3f} seconds.  {} found.\n", counted(hosts.size(), "host"),
                 seconds_since(began), counted(findings.errors_of_clients(), "problem"));
    }
  }
  if (options.json) fmt::print("{}\n", to_json(findings, hosts.size()));
  return findings.errors() == 0 ? 0 : 1;
}

}  // namespace headrace::cli
