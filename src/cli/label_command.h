// `headrace label`: writes a label onto a volume and enters it in the tapelist, as `amlabel` does. Prints
// what it does to standard output, what it refuses to standard error; with `json`, one object on standard
// output instead.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace headrace::cli {

// `storage`: whose changer and labels; empty: the first one that dumps go to. `label` empty: the next one of
// the storage's autolabel template. `slot` none: the changer's current one. Without `force` only an empty
// volume is labelled, and only with a label that no volume of the tapelist has. A label that the labelstr
// does not match is never written. Exit status: 0 written and read back, 1 anything else.
int label_volume(const std::string& config, const std::string& label, std::optional<int> slot, bool force,
                 bool json, const std::vector<std::string>& overrides = {}, const std::string& storage = {});

}  // namespace headrace::cli
