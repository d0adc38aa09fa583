// Volume labels: the labelstr that says which labels are ours, and the autolabel template that makes new
// ones. Pure. Source: amanda.conf(5), observed with Amanda 3.5.1.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/error.h"
#include "config/server_config.h"

namespace headrace::config {

// What the codes of a template stand for: $c $o $b $m $r (and $s, the slot, as a number).
struct LabelContext {
  std::string config, org, barcode, meta, storage;
  std::optional<int> slot;
};

// A labelstr as POSIX extended regular expression: `$c`… expanded, `%` any digit, `!` any capital letter, a
// backslash dropped. With match_autolabel, the autolabel's template, anchored.
std::string label_regex(const Labelstr& labelstr, const Autolabel& autolabel, const LabelContext& context);
// Whether `label` is one of ours; refused when the expression is not valid.
base::Result<bool> label_matches(const Labelstr& labelstr, const Autolabel& autolabel,
                                 const LabelContext& context, std::string_view label);

// The lowest label of the template that is not in `used`; refused when all are used or the template names no
// counter and its one label is used.
base::Result<std::string> next_label(std::string_view pattern, const LabelContext& context,
                                     const std::set<std::string>& used);

// The expansion of tapepool and the like: $$ $c $o $r only.
std::string expand_codes(std::string_view pattern, const LabelContext& context);

}  // namespace headrace::config
