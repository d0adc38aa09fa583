// The report of a run, for people and as JSON: the counterpart of Amanda's amreport, with its sections, their
// headings and their order, so that who knows one reads the other. Pure. Source of the form: amreport's
// output, observed with Amanda 3.5.1.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "journal/state.h"
#include "server/observe/figures.h"

namespace headrace::observe {

struct ReportOptions {
  Life life = Life::finished;
  // Sizes in tables: KiB a unit and its letter (displayunit).
  int64_t unit_kib = 1;
  char unit = 'k';
  bool autoflush = false;  // what stays on holding disk is written by the next run
};

std::string report_text(const journal::RunState& state, const ReportOptions& options);
std::string report_json(const journal::RunState& state, const ReportOptions& options);

// Figures of all dumps, of the fulls or of the incrementals.
struct Figures {
  uint64_t dumped = 0;
  double dump_seconds = 0;
  uint64_t native_kib = 0, stored_kib = 0;
  std::map<int, uint64_t> dumped_by_level;
  uint64_t taped = 0, parts = 0;
  double tape_seconds = 0;
  uint64_t tape_kib = 0;
  std::map<int, uint64_t> taped_by_level, parts_by_level;

  double dump_kps() const;
  double tape_kps() const;
};
struct Statistics {
  Figures total, full, incremental;
  uint64_t volume_kib = 0;  // nominal, of the volumes used; 0 unknown
};
Statistics statistics_of(const journal::RunState& state);

}  // namespace headrace::observe
