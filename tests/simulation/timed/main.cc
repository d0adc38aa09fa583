// How soon simulated nights end, by the order of dumps; see README.md. Prints a page of Markdown.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "timed_nights.h"

namespace {

using namespace headrace::timed;

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values.empty() ? 0 : values[values.size() / 2];
}

bool wanted(const std::vector<std::string>& names, std::string_view name) {
  return names.empty() || std::ranges::find(names, name) != names.end();
}

struct Played {
  double hours = 0;  // the mean
  double median = 0, worst = 0;
  size_t within_ten = 0;
  size_t nights = 0;
  size_t not_dumped = 0;
  std::string bound_by = {};
};

Played sum_up(const std::vector<NightResult>& nights) {
  Played played{.nights = nights.size()};
  std::vector<double> efficiencies;
  std::map<std::string, size_t> bounds;
  for (const auto& night : nights) {
    efficiencies.push_back(night.efficiency());
    played.hours += night.seconds / 3600 / static_cast<double>(nights.size());
    played.not_dumped += night.not_dumped;
    played.within_ten += night.efficiency() >= 0.9 ? 1 : 0;
    ++bounds[night.bound_by];
  }
  played.median = median(efficiencies);
  played.worst = *std::ranges::min_element(efficiencies);
  played.bound_by = std::ranges::max_element(bounds, {}, [](const auto& it) { return it.second; })->first;
  return played;
}

// Of sites whose holding disk is too slow for all dumps and the drive together, when they come together.
void tell_drives(const std::vector<size_t>& sites, size_t nights, unsigned seeds) {
  fmt::print("| site | lowest speed | pacing | stops a night | hours | dumps held back, hours |\n");
  fmt::print("| --- | ---: | --- | ---: | ---: | ---: |\n");
  for (const size_t hosts : sites) {
    for (const double share : {0.3, 0.5, 0.7}) {
      for (const bool paced : {false, true}) {
        double stops = 0;
        double hours = 0;
        double held = 0;
        const double all = static_cast<double>(nights * seeds);
        for (unsigned seed = 1; seed <= seeds; ++seed) {
          auto site = draw_site(hosts, hosts * 5, Narrow::holding, 2, seed);
          // A drive that could take all that the holding disk gives.
          site.server.drive_kps = site.server.holding_kps;
          site.server.lowest_kps = site.server.holding_kps * share;
          for (const auto& night : play(site, {.order = Order::measured, .paced = paced}, nights, seed)) {
            stops += night.drive_stops / all;
            hours += night.seconds / 3600 / all;
            held += night.paced_seconds / 3600 / all;
          }
        }
        fmt::print("| {} clients | {:.0f} % of the holding disk's | {} | {:.1f} | {:.2f} | {:.2f} |\n", hosts,
                   100 * share, paced ? "on" : "off", stops, hours, held);
        std::fflush(stdout);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Plays nights of simulated sites in virtual time.\n"
      "Example: timed --nights 365 --sites 10,100 --narrow volume,even"};
  std::vector<size_t> sites{3, 10, 100};
  size_t nights = 60;
  unsigned seeds = 1;
  std::vector<std::string> narrow_names;
  std::vector<double> holdings{2};
  app.add_option("--sites", sites, "Sites of so many clients")->delimiter(',');
  app.add_option("--nights", nights, "Of each, after a first cycle")->check(CLI::Range(1, 100'000));
  app.add_option("--narrow", narrow_names, "Of these joints alone")->delimiter(',');
  app.add_option("--holding", holdings, "Holding disk for so many nights")->delimiter(',');
  app.add_option("--seeds", seeds, "So many sites of each kind")->check(CLI::Range(1, 1000));
  size_t tries = 0;
  app.add_option("--search", tries,
                 "Also the best order found by playing each night so often, knowing all of it");
  bool drives = false;
  app.add_flag("--drives", drives,
               "Instead: how often drives with a lowest speed stop, with pacing and without");
  CLI11_PARSE(app, argc, argv);
  if (drives) return tell_drives(sites, nights, seeds), 0;

  std::vector<Order> orders(std::begin(kOrders), std::end(kOrders));
  if (tries > 0) orders.push_back(Order::searched);
  fmt::print("| site | bound by |");
  for (const auto order : orders)
    fmt::print(" {}: hours | of the best, median | worst | within 10 % |", name_of(order));
  fmt::print("\n| --- | --- |");
  for (size_t i = 0; i < orders.size(); ++i) fmt::print(" ---: | ---: | ---: | ---: |");
  fmt::print("\n");
  std::map<Order, Played> all;
  for (const size_t hosts : sites) {
    const size_t disks = hosts * (hosts < 100 ? 3 : 5);
    for (const double holding : holdings) {
      for (const auto narrow : kNarrows) {
        if (!wanted(narrow_names, name_of(narrow))) continue;
        std::map<Order, std::vector<NightResult>> results;
        std::string name;
        for (unsigned seed = 1; seed <= seeds; ++seed) {
          const auto site = draw_site(hosts, disks, narrow, holding, seed);
          name = site.name;
          for (const auto order : orders) {
            const auto played = play(site, {.order = order, .tries = tries}, nights, seed);
            results[order].insert(results[order].end(), played.begin(), played.end());
          }
        }
        fmt::print("| {} | {} |", name, sum_up(results[Order::measured]).bound_by);
        for (const auto order : orders) {
          const auto played = sum_up(results[order]);
          fmt::print(" {:.2f} | {:.1f} % | {:.1f} % | {:.0f} % |", played.hours, 100 * played.median,
                     100 * played.worst,
                     100.0 * static_cast<double>(played.within_ten) / static_cast<double>(played.nights));
          all[order].hours += played.hours;
          all[order].within_ten += played.within_ten;
          all[order].nights += played.nights;
          all[order].not_dumped += played.not_dumped;
        }
        fmt::print("\n");
        std::fflush(stdout);
      }
    }
  }
  fmt::print("\n");
  for (const auto order : orders)
    fmt::print(
        "{}: {:.1f} % of the hours of amanda's order; {:.0f} % of {} nights within 10 % of the bound; {} not "
        "dumped.\n",
        name_of(order), 100 * all[order].hours / all[Order::amanda].hours,
        100.0 * static_cast<double>(all[order].within_ten) / static_cast<double>(all[order].nights),
        all[order].nights, all[order].not_dumped);
}
