// One disk list entry as it travels: in requests (XML, or one old-style line per disk and level for peers
// without feature req_xml) and in dump headers (XML). Pure. Format: as Amanda 3.5.1 writes it, byte for byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "wire/features.h"

namespace headrace::wire {

struct Property {
  std::string name;
  bool priority = false;  // the server's value wins over the client's
  std::vector<std::string> values;
  bool operator==(const Property&) const = default;
};

struct Application {
  std::string plugin;  // empty: the DLE has no application
  std::vector<Property> properties;
  std::string client_name;
  bool operator==(const Application&) const = default;
};

struct Script {
  std::string plugin;
  std::string execute_where;  // "CLIENT" or "SERVER"
  std::string execute_on;     // comma list as configured: "PRE-DLE-BACKUP,POST-DLE-BACKUP"
  std::vector<Property> properties;
  std::string client_name;
  bool operator==(const Script&) const = default;
};

enum class EstimateMethod { client, calcsize, server };
enum class Compress { none, fast, best, custom, server_fast, server_best, server_custom };
enum class Encrypt { none, custom, server_custom };
enum class DataPath { amanda, directtcp };

inline constexpr int kMaxLevel = 399;
// What an old-style line says for "everything since ever"; level 0.
inline constexpr std::string_view kDumpdateOfLevel0 = "1970:1:1:0:0:0";

struct DleLevel {
  int level = 0;
  bool server = false;  // the server can estimate this level itself
  std::string
      dumpdate;  // old-style lines only: date of the base, "Y:M:D:h:m:s" GMT; empty = kDumpdateOfLevel0
  bool operator==(const DleLevel&) const = default;
};

// What to leave out of, or restrict a dump to.
struct Selection {
  std::vector<std::string> files;  // patterns
  std::vector<std::string> lists;  // files of patterns
  bool optional = false;           // a list that is missing is no error
  bool empty() const { return files.empty() && lists.empty(); }
  bool operator==(const Selection&) const = default;
};

struct Dle {
  std::string program;  // "GNUTAR", "DUMP", "APPLICATION"
  Application application;
  std::vector<EstimateMethod> estimates;  // in order of preference; empty = client
  std::string disk;
  std::string device;  // empty: the same as disk (see device_or_disk)
  std::vector<DleLevel> levels;
  int spindle = -1;  // DLEs of one spindle other than -1 are never read at the same time
  std::string auth;
  Compress compress = Compress::none;
  std::string compress_program;
  Encrypt encrypt = Encrypt::none;
  std::string encrypt_program;
  std::string decrypt_option;
  bool record = true;
  // Where the client throws the data away instead of sending it: "source", "client" (behind its filters);
  // empty: nowhere. An extension of ours, between Headrace and Headrace alone (doc/discarded-dumps.md).
  std::string discard;
  bool index = false;
  bool kencrypt = false;
  DataPath datapath = DataPath::amanda;
  std::vector<std::string> directtcp;  // "ip:port"
  Selection exclude;
  Selection include;
  std::vector<Script> scripts;
  std::vector<Property> properties;  // of the dumptype
  std::string dumpdate;              // accepted in XML, never sent

  const std::string& device_or_disk() const { return device.empty() ? disk : device; }
  bool operator==(const Dle&) const = default;
};

// Decides which elements are written, and in which order.
enum class DleFor { selfcheck, sendsize, sendbackup, header };

// "<dle>…</dle>\n". Server-side encryption is left out unless for a header.
std::string encode_dle_xml(const Dle& dle, DleFor purpose, const FeatureSet& peer);

inline constexpr size_t kMaxDleXmlBytes = 4U << 20U;  // as much as a frame carries

// All elements of a text. Errors (refused): text beyond kMaxDleXmlBytes, or Amanda's own sentence ("XML: …"),
// to be wrapped as FORMAT ERROR (see dle_request.h).
base::Result<std::vector<Dle>> parse_dles_xml(std::string_view text);

// Old style: one line per disk (selfcheck), per disk and level (sendsize), or exactly one (sendbackup, first
// level). Each ends with a newline. What old peers cannot express (applications, scripts) is not written.
std::string encode_dle_lines(const Dle& dle, DleFor purpose, const FeatureSet& peer);
// Lines after OPTIONS; several lines of one disk become one Dle with several levels. Errors (refused) quote
// the line.
base::Result<std::vector<Dle>> parse_dle_lines(std::string_view text, DleFor purpose);

}  // namespace headrace::wire
