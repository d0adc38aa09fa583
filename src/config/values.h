// The compound values of configuration parameters: properties, pattern lists, host limits, autolabel and the
// like. Plain values. Source of meaning: amanda.conf(5), observed with Amanda 3.5.1.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace headrace::config {

// `property [priority] [append] [hidden|visible] "name" "value"…`. The name is folded to lower case, with
// `-`.
struct Property {
  std::string name{};
  std::vector<std::string> values{};
  bool priority = false;
  bool visible = true;
  bool operator==(const Property&) const = default;
};
// In order of first appearance; names are unique.
using Properties = std::vector<Property>;

// exclude, include: patterns for the archiver, and names of files of patterns on the client.
struct PatternLists {
  std::vector<std::string> files{};  // the patterns themselves ("exclude file")
  std::vector<std::string> lists{};  // files of patterns ("exclude list")
  bool optional = false;  // a missing list file is no error; one flag for both, set by the last line
  bool empty() const { return files.empty() && lists.empty(); }
  bool operator==(const PatternLists&) const = default;
};

// recovery-limit, dump-limit.
struct HostLimit {
  bool set = false;  // false: no limit was given
  bool same_host = false;
  bool server = false;
  std::vector<std::string> hosts{};  // match expressions
  bool operator==(const HostLimit&) const = default;
};

// autolabel, with the volumes that may be (re)labelled. Off when the template is empty.
struct Autolabel {
  std::string pattern{};
  bool other_config = false;
  bool non_amanda = false;
  bool volume_error = false;
  bool empty = false;
  bool enabled() const { return !pattern.empty(); }
  bool operator==(const Autolabel&) const = default;
};

struct Labelstr {
  std::string pattern = ".*";
  bool match_autolabel = false;  // use the autolabel template, anchored
  bool operator==(const Labelstr&) const = default;
};

struct PortRange {
  int64_t low = 0;
  int64_t high = 0;
  bool operator==(const PortRange&) const = default;
};

enum class DumpLevel { all, full, incr };

// One `dump-selection TAG LEVEL` of a storage. Kind `other` never matches, as in 3.5.1.
struct DumpSelection {
  enum class Kind { tag, all, other };
  Kind kind = Kind::all;
  std::string tag{};
  DumpLevel level = DumpLevel::all;
  bool operator==(const DumpSelection&) const = default;
};

// One `vault STORAGE DAYS` pair.
struct Vault {
  std::string storage{};
  int64_t days = 0;
  bool operator==(const Vault&) const = default;
};

}  // namespace headrace::config
