// Plays simulated sites and checks every night of them.
#include <fmt/format.h>
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <string>
#include <vector>

#include "site.h"

namespace headrace::simulation {
namespace {

struct Options {
  std::string scenario;  // a file; empty: drawn from the seed
  uint64_t first = 1;
  uint64_t count = 1;
  int64_t nights = 0;  // 0: as the scenario says
  std::string sabotage = "none";
  std::string kept;  // a file of seeds
  bool expect_faults = false;
  bool twice = false;
  bool verbose = false;
  bool keep = false;
};

struct Totals {
  uint64_t sites = 0, nights = 0, dumps = 0, restores = 0, copies = 0, lacking = 0, crashes = 0,
           with_faults = 0;
};

// Plays one site; says what is wrong with it.
bool play(const Scenario& scenario, uint64_t seed, Sabotage sabotage, const Options& options,
          Totals& totals) {
  Site site(scenario, seed, sabotage);
  site.play();
  if (options.keep) fmt::print("seed {}: {}\n", seed, site.keep_files().native());
  ++totals.sites;
  totals.nights += static_cast<uint64_t>(scenario.nights);
  totals.dumps += site.dumps();
  totals.restores += site.restores();
  totals.copies += site.copies();
  totals.lacking += site.lacking();
  totals.crashes += site.crashes();
  if (options.verbose)
    fmt::print("seed {}: {} nights, {} dumps, {} restores, {} crashes, trace {:016x}\n", seed,
               scenario.nights, site.dumps(), site.restores(), site.crashes(), site.trace());
  if (!site.faults().empty()) {
    ++totals.with_faults;
    if (!options.expect_faults || options.verbose)
      for (const auto& fault : site.faults())
        fmt::print("scenario {}, seed {}: {}\n", scenario.name, seed, fault);
    return false;
  }
  if (!options.twice) return true;
  Site again(scenario, seed, sabotage);
  again.play();
  if (again.trace() == site.trace()) return true;
  fmt::print("scenario {}, seed {}: played twice, two traces\n", scenario.name, seed);
  ++totals.with_faults;
  return false;
}

base::Result<Scenario> scenario_of(const std::string& file, uint64_t seed, int64_t nights) {
  auto scenario = file.empty() || file == "drawn" ? base::Result<Scenario>(draw_scenario(seed))
                  : file == "unrest"              ? base::Result<Scenario>(draw_unrest(seed))
                  : file == "wide"                ? base::Result<Scenario>(draw_wide(seed))
                  : file == "mixed"               ? base::Result<Scenario>(draw_mixed(seed))
                                                  : load_scenario(file);
  if (scenario && nights > 0) scenario->nights = nights;
  return scenario;
}

// Seeds that found something once: "SCENARIO SEED # what", the scenario "drawn", "unrest", "wide", "mixed" or
// a file beside.
base::Result<> play_kept(const Options& options, Totals& totals) {
  std::ifstream lines(options.kept);
  if (!lines) return base::fail(base::ErrorKind::refused, fmt::format("{} cannot be read", options.kept));
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string name;
    uint64_t seed = 0;
    if (!(words >> name)) continue;
    if (!(words >> seed))
      return base::fail(base::ErrorKind::corrupt,
                        fmt::format("{}:{}: SCENARIO SEED is wanted", options.kept, number));
    if (name != "drawn" && name != "unrest" && name != "wide" && name != "mixed")
      name = (std::filesystem::path(options.kept).parent_path() / "scenarios" / (name + ".json")).native();
    auto scenario = scenario_of(name, seed, options.nights);
    if (!scenario) return std::unexpected(std::move(scenario).error());
    play(*scenario, seed, Sabotage::none, options, totals);
  }
  return {};
}

base::Result<> play_all(const Options& options, Totals& totals) {
  auto sabotage = sabotage_named(options.sabotage);
  if (!sabotage) return std::unexpected(std::move(sabotage).error());
  if (!options.kept.empty()) return play_kept(options, totals);
  for (uint64_t seed = options.first; seed < options.first + options.count; ++seed) {
    auto scenario = scenario_of(options.scenario, seed, options.nights);
    if (!scenario) return std::unexpected(std::move(scenario).error());
    play(*scenario, seed, *sabotage, options, totals);
  }
  return {};
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app{"Plays simulated sites, night after night, and checks each night.", "simulation"};
  app.add_option(
      "--scenario", options.scenario,
      "A file of scenarios/, or drawn: \"unrest\", a site that changes; \"wide\", also with several "
      "storages; \"mixed\", also with compression, full disks and datagrams (default: drawn)");
  app.add_option("--seed", options.first, "The first seed")->capture_default_str();
  app.add_option("--seeds", options.count, "So many seeds")->capture_default_str();
  app.add_option("--nights", options.nights, "So many nights (default: as the scenario says)");
  app.add_option("--sabotage", options.sabotage, "A deliberate bug")->capture_default_str();
  app.add_option("--kept", options.kept, "Play the seeds of this file");
  app.add_flag("--expect-faults", options.expect_faults, "Succeed if, and only if, every seed has a fault");
  app.add_flag("--twice", options.twice, "Play each seed twice and compare");
  app.add_flag("--keep", options.keep, "Leave the site's files, and say where");
  app.add_flag("--verbose", options.verbose, "A line for each seed");
  app.footer(
      "Examples:\n  simulation --seeds 10000\n  simulation --seed 4711 --verbose\n"
      "  simulation --scenario tests/simulation/scenarios/site100.json\n"
      "  simulation --seeds 20 --sabotage lost-part --expect-faults\n"
      "Exit status: 0 all is well, 1 usage, 2 some check failed.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;
  }
  Totals totals;
  if (auto played = play_all(options, totals); !played) {
    fmt::print(stderr, "simulation: {}\n", played.error().what());
    return 1;
  }
  fmt::print(
      "{} sites, {} nights, {} dumps, {} crashes, {} disks restored and compared, {} copies compared, {} as "
      "lacking as warned: {} with a fault\n",
      totals.sites, totals.nights, totals.dumps, totals.crashes, totals.restores, totals.copies,
      totals.lacking, totals.with_faults);
  const bool well = options.expect_faults ? totals.with_faults == totals.sites : totals.with_faults == 0;
  return well && totals.sites > 0 ? 0 : 2;
}

}  // namespace
}  // namespace headrace::simulation

int main(int argc, char** argv) {
  // What is played must not depend on where the machine stands.
  if (::setenv("TZ", "UTC0", 1) != 0) return 1;
  return headrace::simulation::run(argc, argv);
}
