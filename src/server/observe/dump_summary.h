// The report's table of all dumps. Pure; a part of report.h. Source of the form: amreport's default columns.
#pragma once

#include <string>

#include "journal/state.h"
#include "server/observe/report.h"

namespace headrace::observe {

// Lines with newlines; empty when the run had no dumps.
std::string dump_summary(const journal::RunState& state, const ReportOptions& options);

}  // namespace headrace::observe
