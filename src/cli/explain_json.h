// What `headrace explain --json` prints: the facts of the text, one object a disk. Pure.
#pragma once

#include <string>
#include <vector>

#include "cli/night_context.h"
#include "journal/rates.h"
#include "server/plan/plan.h"

namespace headrace::cli {

// `named`: indexes into the night's disks.
std::string explain_json(const NightContext& context, const plan::Plan& plan, const journal::Rates& rates,
                         const std::vector<size_t>& named);

// The plan's notes that speak of one of its disks.
std::vector<plan::PlanNote> notes_about(const plan::Plan& plan, const plan::PlanDle& dle);

}  // namespace headrace::cli
