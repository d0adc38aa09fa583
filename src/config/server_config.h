// A server's configuration, complete: every parameter with its default filled in, names resolved to what they
// name, files as absolute paths. Plain values made by load_server (load.h); knows nothing of files' syntax.
// Sizes are in KiB (`_kib`); a size of -1 is "none" or "without limit" where said.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/dumptype.h"
#include "config/settings.h"
#include "config/values.h"

namespace headrace::config {

enum class PartCache { none, memory, disk };
enum class TaperAlgorithm { first, firstfit, largest, largestfit, smallest, smallestfit, last, lastfit };
enum class Autoflush { no, yes, all };
enum class SendReport { all, strange, error, never };

struct Tapetype {
  std::string name, comment, lbl_templ;
  int64_t blocksize_kib = 32;
  int64_t readblocksize_kib = 32;  // at least blocksize_kib
  int64_t length_kib = 2000;
  int64_t filemark_kib = 1;
  int64_t speed_kps = 200;
  int64_t part_size_kib = 0;  // 0: dumps are not split
  PartCache part_cache_type = PartCache::none;
  std::string part_cache_dir{};
  int64_t part_cache_max_size_kib = 0;
};

struct HoldingDisk {
  std::string name, comment;
  std::filesystem::path directory;
  int64_t use_kib = 0;              // 0: all free space; negative: all free space but that much
  int64_t chunksize_kib = 1048576;  // 0: without limit
};

struct Interface {
  std::string name, comment;
  int64_t use_kps = 80000;
  std::string src_ip{};  // empty: any
};

struct Device {
  std::string name, comment, tapedev;
  Properties device_properties{};
};

// A defined changer, or one made from a bare `chg-…:…` or device name (then `name` is that text).
struct Changer {
  std::string name, comment;
  std::string tpchanger{};  // "chg-disk:/dir", …; "chg-single:DEVICE" when only a tapedev was given
  std::string tapedev, changerdev;
  std::filesystem::path changerfile;
  Properties properties{};
  Properties device_properties{};
};

// interactivity and taperscan.
struct Plugin {
  std::string name, comment, plugin;
  Properties properties{};
};

struct Policy {
  std::string name, comment;
  int64_t retention_tapes = 14;
  int64_t retention_days = 0;
  int64_t retention_recover = 0;
  int64_t retention_full = 0;
};

struct Storage {
  std::string name, comment;
  Policy policy;
  std::string tapepool{};  // template expanded
  Changer changer;         // resolved from tpchanger, else tapedev; tpchanger empty when neither is set
  Tapetype tapetype;
  Labelstr labelstr;
  Autolabel autolabel;
  std::string meta_autolabel{};
  int64_t runtapes = 1;
  int64_t max_dle_by_volume = 1000000000;
  TaperAlgorithm taperalgo = TaperAlgorithm::first;
  int64_t taper_parallel_write = 1;
  int64_t device_output_buffer_bytes = 1310720;
  int64_t flush_threshold_dumped = 0;     // per cent
  int64_t flush_threshold_scheduled = 0;  // per cent
  int64_t taperflush = 0;                 // per cent
  Autoflush autoflush = Autoflush::no;
  int64_t lowest_kps = 0;  // below which its drives stop (lowest_speed.h); 0: not said
  bool eject_volume = false;
  bool erase_volume = false;
  bool erase_on_failure = false;
  bool erase_on_full = false;
  bool set_no_reuse = false;
  bool report_use_media = true;
  bool report_next_media = true;
  std::string taperscan, interactivity;  // names in ServerConfig::taperscans, interactivities; or empty
  std::vector<DumpSelection> dump_selections{};
  std::vector<Vault> vaults{};
};

// Whether the storage's dump-selection takes a dump of that level of a disk with those tags. As Amanda 3.5.1
// has it, a disk without any tag counts as having every one.
bool selects(const Storage& storage, const std::vector<std::string>& tags, int level);

struct Globals {
  std::string org{};
  std::string mailto, mailer, printer, dumpuser;
  SendReport send_amreport_on = SendReport::all;
  std::filesystem::path tapelist, diskfile, infofile, logdir, indexdir, command_file, tmpdir;
  int64_t dumpcycle_days = 10;
  int64_t runspercycle = 0;  // 0: dumpcycle_days; -1: guess from the tapelist
  int64_t tapecycle = 15;
  int64_t netusage_kps = 80000;
  int64_t inparallel = 10;
  std::string dumporder{};  // empty: not set
  int64_t maxdumps = 1;
  std::chrono::seconds etimeout{300};  // negative: for the whole host
  std::chrono::seconds dtimeout{1800};
  std::chrono::seconds ctimeout{30};
  int64_t connect_tries = 3;
  int64_t req_tries = 3;
  int64_t rep_tries = 5;
  std::string columnspec{};
  std::string displayunit{};  // k, m, g or t
  int64_t displayunit_kib = 1;
  int64_t reserve_percent = 100;
  int64_t maxdumpsize_kib = -1;  // negative: runtapes × length
  std::string amrecover_changer{};
  bool compress_index = true;
  bool sort_index = false;
  int64_t debug_days = 4;
  std::map<std::string, int64_t> debug{};  // "amandad" → level 0…9
  PortRange reserved_udp_port, reserved_tcp_port, unreserved_tcp_port;
  HostLimit recovery_limit;
  std::vector<std::string> report_formats{};
  std::string krb5keytab, krb5principal;
  std::filesystem::path ssl_dir;
  Properties properties, device_properties;
  int64_t rest_api_port = 0;
  std::string rest_ssl_cert, rest_ssl_key;
};

struct ServerConfig {
  std::string name{};               // the configuration's: the directory's last element
  std::filesystem::path directory;  // CONFIG_DIR/CONF, absolute; ends without a slash
  Globals globals;
  // Keyed as written; look up with the functions below, which compare as Amanda does.
  std::map<std::string, Dumptype> dumptypes{};
  std::map<std::string, Tapetype> tapetypes{};
  std::map<std::string, Interface> interfaces{};
  std::map<std::string, Storage> storages{};  // all that are defined
  std::map<std::string, Changer> changers{};
  std::map<std::string, Device> devices{};
  std::map<std::string, Policy> policies{};
  std::map<std::string, Plugin> taperscans, interactivities;
  std::vector<HoldingDisk> holding_disks{};  // in use, in order of use
  // Names in `storages`, in order: those dumps go to, those that flush orders are made for, those of the
  // vault phase. `storage` is never empty.
  std::vector<std::string> storage, active_storage, vault_storage;

  // What the files said, for value_text, not_honoured and the disklist's in-line dumptypes.
  Settings settings;

  // The names of blocks compare without case, but `-` differs from `_`. nullptr: no such block.
  const Dumptype* dumptype(std::string_view wanted) const;
  const Tapetype* tapetype(std::string_view wanted) const;
  const Interface* interface_named(std::string_view wanted) const;
  const Storage* storage_named(std::string_view wanted) const;
  const Device* device(std::string_view wanted) const;
  // The first storage in use: where volumes are looked for by default.
  const Storage& first_storage() const;
  // Those dumps go to, in order, each once; never empty.
  std::vector<const Storage*> storages_in_use() const;
  // And behind them those of active-storage that are not among them: what is held is kept for these too.
  std::vector<const Storage*> storages_with_active() const;
};

}  // namespace headrace::config
