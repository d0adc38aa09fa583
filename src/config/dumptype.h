// How one disk is dumped: the dumptype with every default filled in and its application and scripts resolved.
// Plain values, made by load_server and load_disklist.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "config/values.h"

namespace headrace::config {

enum class Compress {
  none,
  client_fast,
  client_best,
  client_custom,
  server_fast,
  server_best,
  server_custom
};
enum class Encrypt { none, client, server };
enum class EstimateMethod { client, calcsize, server };
enum class Strategy { standard, nofull, noinc, skip, incronly, hanoi };
// The last is Headrace's alone, and not a word of `holdingdisk`: see kHoldingProperty.
enum class Holding { never, automatic, required, when_degraded };
// A dumptype's property by which its dumps go straight to volumes, and to holding disk only when there is no
// volume: `property "headrace-holdingdisk" "degraded"`. Amanda takes properties of dumptypes as information
// for other programs, so both read such a configuration; it then uses holding disk as `holdingdisk auto`
// says.
inline constexpr const char* kHoldingProperty = "headrace-holdingdisk";
enum class DataPath { amanda, directtcp };
enum class ExecuteWhere { client, server };

inline bool is_client(Compress c) {
  return c == Compress::client_fast || c == Compress::client_best || c == Compress::client_custom;
}
inline bool is_server(Compress c) {
  return c == Compress::server_fast || c == Compress::server_best || c == Compress::server_custom;
}

struct Application {
  std::string name{};
  std::string comment{};
  std::string plugin{};
  Properties properties{};
  std::string client_name{};  // the name of the definition in the client's own configuration, or empty
  bool operator==(const Application&) const = default;
};

struct Script {
  std::string name{};
  std::string comment{};
  std::string plugin{};
  Properties properties{};
  std::vector<std::string> execute_on{};  // "pre-dle-backup", … in Amanda's order
  ExecuteWhere execute_where = ExecuteWhere::client;
  int64_t order = 5000;
  bool single_execution = false;
  std::string client_name{};
  bool operator==(const Script&) const = default;
};

struct Ssl {
  std::string fingerprint_file, cert_file, key_file, ca_cert_file, cipher_list;
  bool check_host = true;
  bool check_certificate_host = true;
  bool check_fingerprint = true;
  bool operator==(const Ssl&) const = default;
};

struct Dumptype {
  std::string name{};  // of an in-line block of a disklist: "custom(HOST:DISK)"
  std::string comment{};

  std::string program = "DUMP";   // DUMP, GNUTAR, STAR or APPLICATION
  Application application;        // meaningful when program is APPLICATION
  std::vector<Script> scripts{};  // by order, then as listed
  Properties properties{};
  bool uses_application() const { return program == "APPLICATION"; }

  std::string auth = "BSDTCP";  // as written; compare without case
  std::string amandad_path, client_username, client_port, ssh_keys;
  Ssl ssl;

  Compress compress = Compress::client_fast;
  std::string client_custom_compress, server_custom_compress;
  double comprate_full = 0.5;
  double comprate_incr = 0.5;
  Encrypt encrypt = Encrypt::none;
  std::string client_encrypt, server_encrypt;
  std::string client_decrypt_option = "-d";
  std::string server_decrypt_option = "-d";
  bool kencrypt = false;

  bool record = true;
  bool index = true;
  bool ignore = false;
  PatternLists exclude, include;
  std::vector<EstimateMethod> estimate{};  // in order of preference, never empty
  Strategy strategy = Strategy::standard;
  bool skip_full = false;
  bool skip_incr = false;
  int64_t dumpcycle_days = 10;
  int64_t bump_size_kib = 10240;
  int64_t bump_percent = 0;
  double bump_mult = 1.5;
  int64_t bump_days = 2;
  int64_t max_promote_days = 10000;
  int64_t priority = 1;  // 0 low, 1 medium, 2 high, or any number given
  int64_t maxdumps = 1;
  bool has_starttime = false;
  std::chrono::minutes starttime{0};  // since midnight, local time
  Holding holdingdisk = Holding::automatic;
  int64_t retry_dump = 2;  // tries a run
  int64_t max_warnings = 20;
  DataPath data_path = DataPath::amanda;

  bool allow_split = true;
  int64_t tape_splitsize_kib = 0;
  std::string split_diskbuffer{};
  int64_t fallback_splitsize_kib = 10240;

  HostLimit recovery_limit;
  HostLimit dump_limit;
  std::vector<std::string> tags{};

  bool operator==(const Dumptype&) const = default;
};

}  // namespace headrace::config
