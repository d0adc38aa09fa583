// In which order a night's dumps start so that the run ends soonest. Pure.
//
// Some orders are made by rules, and the one that the forecast (night_forecast.h) says ends soonest is taken:
//   - as scheduled;
//   - what has most still behind it first: a dump has its own time and that of its image on the way to a
//     volume; one of many disks of a host, or of a spindle, has theirs too, as far as they cannot go on
//     beside it. So no long dump, and no host with much to do, is left for the end of the night, when nothing
//     else could fill the time;
//   - what comes in fastest first, and a few short ones before the others: volumes that take longest of all
//     must not wait for their first image.
// Then dumps change places, by chance, and what ends sooner stays. The chance is the same in every run.
//
// The rules were chosen by playing simulated years (tests/simulation/timed).
#pragma once

#include <vector>

#include "server/drive/night_forecast.h"

namespace headrace::drive {

struct FinishOrder {
  std::vector<JobId> ids;  // of `rest.waiting`: by priority, then the order to start in, ties as given
  bool forecast = false;   // else too little is known, and what has most behind it goes first
};
FinishOrder finish_order(const NightRest& rest);

}  // namespace headrace::drive
