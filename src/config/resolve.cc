#include "config/resolve.h"

#include <fmt/core.h>

#include <algorithm>

#include "config/getter.h"
#include "config/lowest_speed.h"

namespace headrace::config {
namespace {

void add_dumptype(Settings& settings, std::string_view name, std::string_view option, Data data) {
  Block block{.section = Section::dumptype, .name = std::string(name), .built_in = true};
  // These keep the built-in defaults whatever the globals are.
  for (const Option& row : options())
    if (row.copies_global(Section::dumptype))
      block.values[std::string(row.name)] = {.data = default_of(row, Section::dumptype)};
  block.values[std::string(option)] = {.data = std::move(data), .set = true, .where = {"built in", 0, 0}};
  settings.blocks.push_back(std::move(block));
}

void add_block(Settings& settings, Section section, const std::string& name, const std::string& comment) {
  if (settings.find(section, name) != nullptr) return;
  Block block{.section = section, .name = name, .built_in = true};
  if (!comment.empty()) block.values["COMMENT"] = {.data = comment};
  settings.blocks.push_back(std::move(block));
}

bool is_set(const Block& block, std::string_view name) {
  const Value* value = block.find(name);
  return value != nullptr && value->set;
}

Position place_of(const Settings& settings, const Block& block, std::string_view name) {
  if (const Value* value = block.find(name); value != nullptr && value->set) return value->where;
  if (block.section == Section::storage && &block != &settings.global)
    return place_of(settings, settings.global, name);
  return {settings.file, 0, 0};
}

void check_names(const Settings& settings, Report& report, std::string_view option, Section section) {
  const Getter get(settings, settings.global);
  for (const std::string& name : get.list(option))
    if (settings.find(section, name) == nullptr)
      report.error(place_of(settings, settings.global, option),
                   fmt::format("{} '{}' is not defined", name_of(section), name));
}

bool in_list(const std::vector<std::string>& list, std::string_view name) {
  return std::any_of(list.begin(), list.end(), [&](const auto& other) { return same_name(other, name); });
}

void check_storage(const Settings& settings, const Block& block, Report& report) {
  const Getter get(settings, block);
  const Getter global(settings, settings.global);
  const bool used =
      in_list(global.list("ACTIVE-STORAGE"), block.name) || in_list(global.list("VAULT-STORAGE"), block.name);
  const auto say = [&](std::string_view option, std::string message) {
    const Position where = place_of(settings, block, option);
    if (used) {
      report.error(where, std::move(message));
    } else {
      report.warning(where, std::move(message));
    }
  };
  if (const std::string tapetype = get.text("TAPETYPE"); !settings.find(Section::tapetype, tapetype))
    say("TAPETYPE", fmt::format("tapetype '{}' is not defined", tapetype));
  if (get.as<Labelstr>("LABELSTR").match_autolabel && !is_set(block, "AUTOLABEL") &&
      !is_set(settings.global, "AUTOLABEL") && !is_set(settings.global, "LABEL-NEW-TAPES"))
    say("LABELSTR", "labelstr is match-autolabel, but autolabel is not set");
  for (const Vault& vault : get.as<std::vector<Vault>>("VAULT"))
    if (settings.find(Section::storage, vault.storage) == nullptr)
      say("VAULT", fmt::format("storage '{}' is not defined", vault.storage));
}

std::filesystem::path absolute_in(const std::filesystem::path& directory, const std::string& text) {
  return text.empty() ? std::filesystem::path() : (directory / text).lexically_normal();
}

Tapetype resolve_tapetype(const Settings& settings, const Block& block) {
  const Getter get(settings, block);
  return {.name = block.name,
          .comment = get.text("COMMENT"),
          .lbl_templ = get.text("LBL-TEMPL"),
          .blocksize_kib = get.number("BLOCKSIZE"),
          .readblocksize_kib = get.number("READBLOCKSIZE"),
          .length_kib = get.number("LENGTH"),
          .filemark_kib = get.number("FILEMARK"),
          .speed_kps = get.number("SPEED"),
          .part_size_kib = get.number("PART-SIZE"),
          .part_cache_type = get.choice<PartCache>("PART-CACHE-TYPE", {"NONE", "MEMORY", "DISK"}),
          .part_cache_dir = get.text("PART-CACHE-DIR"),
          .part_cache_max_size_kib = get.number("PART-CACHE-MAX-SIZE")};
}

HoldingDisk resolve_holding(const Settings& settings, const Block& block,
                            const std::filesystem::path& directory) {
  const Getter get(settings, block);
  const int64_t chunk = get.number("CHUNKSIZE");
  return {.name = block.name,
          .comment = get.text("COMMENT"),
          .directory = absolute_in(directory, get.text("DIRECTORY")),
          .use_kib = get.number("USE"),
          .chunksize_kib = chunk == kUnlimitedChunkKib ? 0 : chunk};
}

Interface resolve_interface(const Settings& settings, const Block& block) {
  const Getter get(settings, block);
  const std::string source = get.text("SRC-IP");
  return {.name = block.name,
          .comment = get.text("COMMENT"),
          .use_kps = get.number("USE"),
          .src_ip = source == "NULL" ? "" : source};
}

Changer resolve_changer(const Settings& settings, const Block& block,
                        const std::filesystem::path& directory) {
  const Getter get(settings, block);
  Changer changer{.name = block.name,
                  .comment = get.text("COMMENT"),
                  .tpchanger = get.text("TPCHANGER"),
                  .tapedev = get.text("TAPEDEV"),
                  .changerdev = get.text("CHANGERDEV"),
                  .changerfile = absolute_in(directory, get.text("CHANGERFILE")),
                  .properties = get.as<Properties>("PROPERTY"),
                  .device_properties = get.as<Properties>("DEVICE-PROPERTY")};
  if (changer.tpchanger.empty() && !changer.tapedev.empty())
    changer.tpchanger = "chg-single:" + changer.tapedev;
  return changer;
}

Plugin resolve_plugin(const Settings& settings, const Block& block) {
  const Getter get(settings, block);
  return {.name = block.name,
          .comment = get.text("COMMENT"),
          .plugin = get.text("PLUGIN"),
          .properties = get.as<Properties>("PROPERTY")};
}

Policy resolve_policy(const Settings& settings, const Block& block) {
  const Getter get(settings, block);
  return {.name = block.name,
          .comment = get.text("COMMENT"),
          .retention_tapes = get.number("RETENTION-TAPES"),
          .retention_days = get.number("RETENTION-DAYS"),
          .retention_recover = get.number("RETENTION-RECOVER"),
          .retention_full = get.number("RETENTION-FULL")};
}

// The changer a storage uses: a changer block, a `chg-…` text, or a device, which may be an alias.
Changer changer_of(const ServerConfig& config, const Getter& get) {
  const std::string wanted = get.text("TPCHANGER");
  if (!wanted.empty()) {
    const auto& changers = config.changers;
    const auto found = std::find_if(changers.begin(), changers.end(),
                                    [&](const auto& entry) { return same_name(entry.first, wanted); });
    if (found != changers.end()) return found->second;
    Changer changer;
    changer.name = changer.tpchanger = wanted;
    return changer;
  }
  std::string device = get.text("TAPEDEV");
  Changer changer;
  changer.name = device;
  if (const Device* alias = config.device(device)) {
    device = alias->tapedev;
    changer.device_properties = alias->device_properties;
  }
  changer.tapedev = device;
  if (!device.empty()) changer.tpchanger = device.starts_with("chg-") ? device : "chg-single:" + device;
  return changer;
}

Storage resolve_storage(const ServerConfig& config, const Block& block) {
  const Settings& settings = config.settings;
  const Getter get(settings, block);
  Storage storage;
  storage.name = block.name;
  storage.comment = get.text("COMMENT");
  if (const Block* policy = settings.find(Section::policy, get.text("POLICY")))
    storage.policy = resolve_policy(settings, *policy);
  storage.tapepool = get.text("TAPEPOOL");
  storage.changer = changer_of(config, get);
  if (const Tapetype* tapetype = config.tapetype(get.text("TAPETYPE"))) storage.tapetype = *tapetype;
  storage.labelstr = get.as<Labelstr>("LABELSTR");
  storage.autolabel = get.as<Autolabel>("AUTOLABEL");
  storage.meta_autolabel = get.text("META-AUTOLABEL");
  storage.runtapes = get.number("RUNTAPES");
  storage.max_dle_by_volume = get.number("MAX-DLE-BY-VOLUME");
  storage.taperalgo = get.choice<TaperAlgorithm>("TAPERALGO", {"FIRST", "FIRSTFIT", "LARGEST", "LARGESTFIT",
                                                               "SMALLEST", "SMALLESTFIT", "LAST", "LASTFIT"});
  storage.taper_parallel_write = get.number("TAPER-PARALLEL-WRITE");
  storage.device_output_buffer_bytes = get.number("DEVICE-OUTPUT-BUFFER-SIZE");
  storage.flush_threshold_dumped = get.number("FLUSH-THRESHOLD-DUMPED");
  storage.flush_threshold_scheduled = get.number("FLUSH-THRESHOLD-SCHEDULED");
  storage.taperflush = get.number("TAPERFLUSH");
  storage.autoflush = get.choice<Autoflush>("AUTOFLUSH", {"NO", "YES", "ALL"});
  storage.eject_volume = get.flag("EJECT-VOLUME");
  storage.erase_volume = get.flag("ERASE-VOLUME");
  storage.erase_on_failure = get.flag("ERASE-ON-FAILURE");
  storage.erase_on_full = get.flag("ERASE-ON-FULL");
  storage.set_no_reuse = get.flag("SET-NO-REUSE");
  storage.report_use_media = get.flag("REPORT-USE-MEDIA");
  storage.report_next_media = get.flag("REPORT-NEXT-MEDIA");
  storage.taperscan = get.text("TAPERSCAN");
  storage.interactivity = get.text("INTERACTIVITY");
  storage.dump_selections = get.as<std::vector<DumpSelection>>("DUMP-SELECTION");
  storage.vaults = get.as<std::vector<Vault>>("VAULT");
  // What is no rate was reported by check_settings().
  storage.lowest_kps = lowest_kps(config.globals.properties, storage.tapetype.name).value_or(0);
  return storage;
}

int64_t kib_of_unit(const std::string& unit) {
  if (unit == "m") return 1024;
  if (unit == "g") return int64_t{1024} * 1024;
  return unit == "t" ? int64_t{1024} * 1024 * 1024 : 1;
}

Globals resolve_globals(const Settings& settings, const std::filesystem::path& directory) {
  const Getter get(settings, settings.global);
  const auto path = [&](std::string_view name) { return absolute_in(directory, get.text(name)); };
  const auto seconds = [&](std::string_view name) { return std::chrono::seconds(get.number(name)); };
  Globals globals;
  globals.org = get.text("ORG");
  globals.mailto = get.text("MAILTO");
  globals.mailer = get.text("MAILER");
  globals.printer = get.text("PRINTER");
  globals.dumpuser = get.text("DUMPUSER");
  globals.send_amreport_on = get.choice<SendReport>("SEND-AMREPORT-ON", {"ALL", "STRANGE", "ERROR", "NEVER"});
  globals.tapelist = path("TAPELIST");
  globals.diskfile = path("DISKFILE");
  globals.infofile = path("INFOFILE");
  globals.logdir = path("LOGDIR");
  globals.indexdir = path("INDEXDIR");
  globals.command_file = path("COMMAND-FILE");
  globals.tmpdir = path("TMPDIR");
  globals.ssl_dir = path("SSL-DIR");
  globals.dumpcycle_days = get.number("DUMPCYCLE");
  globals.runspercycle = get.number("RUNSPERCYCLE");
  globals.tapecycle = get.number("TAPECYCLE");
  globals.netusage_kps = get.number("NETUSAGE");
  globals.inparallel = get.number("INPARALLEL");
  if (is_set(settings.global, "DUMPORDER")) globals.dumporder = get.text("DUMPORDER");
  globals.maxdumps = get.number("MAXDUMPS");
  globals.etimeout = seconds("ETIMEOUT");
  globals.dtimeout = seconds("DTIMEOUT");
  globals.ctimeout = seconds("CTIMEOUT");
  globals.connect_tries = get.number("CONNECT-TRIES");
  globals.req_tries = get.number("REQ-TRIES");
  globals.rep_tries = get.number("REP-TRIES");
  globals.columnspec = get.text("COLUMNSPEC");
  globals.displayunit = lower(get.text("DISPLAYUNIT"));
  globals.displayunit_kib = kib_of_unit(globals.displayunit);
  globals.reserve_percent = get.number("RESERVE");
  globals.maxdumpsize_kib = get.number("MAXDUMPSIZE");
  globals.amrecover_changer = get.text("AMRECOVER-CHANGER");
  globals.compress_index = get.flag("COMPRESS-INDEX");
  globals.sort_index = get.flag("SORT-INDEX");
  globals.debug_days = get.number("DEBUG-DAYS");
  for (const Option& option : options())
    if (option.in(Section::global) && option.name.starts_with("DEBUG-") && option.name != "DEBUG-DAYS")
      globals.debug[lower(option.name.substr(6))] = get.number(option.name);
  globals.reserved_udp_port = get.as<PortRange>("RESERVED-UDP-PORT");
  globals.reserved_tcp_port = get.as<PortRange>("RESERVED-TCP-PORT");
  globals.unreserved_tcp_port = get.as<PortRange>("UNRESERVED-TCP-PORT");
  globals.recovery_limit = get.as<HostLimit>("RECOVERY-LIMIT");
  globals.report_formats = get.list("REPORT-FORMAT");
  globals.krb5keytab = get.text("KRB5KEYTAB");
  globals.krb5principal = get.text("KRB5PRINCIPAL");
  globals.properties = get.as<Properties>("PROPERTY");
  globals.device_properties = get.as<Properties>("DEVICE-PROPERTY");
  globals.rest_api_port = get.number("REST-API-PORT");
  globals.rest_ssl_cert = get.text("REST-SSL-CERT");
  globals.rest_ssl_key = get.text("REST-SSL-KEY");
  return globals;
}

}  // namespace

void add_built_in_dumptypes(Settings& settings) {
  const auto word = [](std::string_view text) { return Data(std::string(text)); };
  add_dumptype(settings, "NO-COMPRESS", "COMPRESS", word("NONE"));
  add_dumptype(settings, "COMPRESS-FAST", "COMPRESS", word("CLIENT FAST"));
  add_dumptype(settings, "COMPRESS-BEST", "COMPRESS", word("CLIENT BEST"));
  add_dumptype(settings, "COMPRESS-CUST", "COMPRESS", word("CLIENT CUSTOM"));
  add_dumptype(settings, "SRVCOMPRESS", "COMPRESS", word("SERVER FAST"));
  add_dumptype(settings, "BSD-AUTH", "AUTH", word("BSD"));
  add_dumptype(settings, "BSDTCP-AUTH", "AUTH", word("BSDTCP"));
  add_dumptype(settings, "NO-RECORD", "RECORD", false);
  add_dumptype(settings, "NO-HOLD", "HOLDINGDISK", word("NEVER"));
  add_dumptype(settings, "NO-FULL", "STRATEGY", word("NOFULL"));
}

void add_implicit_blocks(Settings& settings) {
  const std::string from_global = "implicit from global config";
  add_block(settings, Section::interface, "default", "implicit from NETUSAGE");
  if (!is_set(settings.global, "TAPETYPE")) add_block(settings, Section::tapetype, "DEFAULT_TAPE", "");
  add_block(settings, Section::policy, settings.name, from_global);
  if (!is_set(settings.global, "STORAGE")) add_block(settings, Section::storage, settings.name, from_global);
}

void check_settings(const Settings& settings, Report& report) {
  check_names(settings, report, "HOLDINGDISK", Section::holdingdisk);
  check_names(settings, report, "STORAGE", Section::storage);
  if (is_set(settings.global, "ACTIVE-STORAGE"))
    check_names(settings, report, "ACTIVE-STORAGE", Section::storage);
  check_names(settings, report, "VAULT-STORAGE", Section::storage);
  const Getter get(settings, settings.global);
  if (const auto lowest = lowest_kps(get.as<Properties>("PROPERTY"), ""); !lowest)
    report.error(place_of(settings, settings.global, "PROPERTY"), lowest.error().what());
  const std::string tapetype = get.text("TAPETYPE");
  const bool tapetype_known = settings.find(Section::tapetype, tapetype) != nullptr;
  if (!tapetype_known)
    report.error(place_of(settings, settings.global, "TAPETYPE"),
                 fmt::format("tapetype '{}' is not defined", tapetype));
  for (const Block& block : settings.blocks) {
    if (block.section == Section::storage && (tapetype_known || is_set(block, "TAPETYPE")))
      check_storage(settings, block, report);
  }
}

ServerConfig resolve_server(Settings settings, const std::filesystem::path& directory) {
  ServerConfig config;
  config.name = settings.name;
  config.directory = directory;
  config.settings = std::move(settings);
  const Settings& said = config.settings;
  config.globals = resolve_globals(said, directory);
  for (const Block& block : said.blocks) {
    switch (block.section) {
      case Section::tapetype:
        config.tapetypes[block.name] = resolve_tapetype(said, block);
        break;
      case Section::dumptype:
        config.dumptypes[block.name] = resolve_dumptype(said, block);
        break;
      case Section::interface:
        config.interfaces[block.name] = resolve_interface(said, block);
        break;
      case Section::changer:
        config.changers[block.name] = resolve_changer(said, block, directory);
        break;
      case Section::policy:
        config.policies[block.name] = resolve_policy(said, block);
        break;
      case Section::taperscan:
        config.taperscans[block.name] = resolve_plugin(said, block);
        break;
      case Section::interactivity:
        config.interactivities[block.name] = resolve_plugin(said, block);
        break;
      case Section::device: {
        const Getter get(said, block);
        config.devices[block.name] = {block.name, get.text("COMMENT"), get.text("TAPEDEV"),
                                      get.as<Properties>("DEVICE-PROPERTY")};
        break;
      }
      default:
        break;
    }
  }
  for (const Block& block : said.blocks)
    if (block.section == Section::storage) config.storages[block.name] = resolve_storage(config, block);
  const Getter get(said, said.global);
  for (const std::string& name : get.list("HOLDINGDISK"))
    if (const Block* block = said.find(Section::holdingdisk, name))
      config.holding_disks.push_back(resolve_holding(said, *block, directory));
  const auto defined_names = [&](std::string_view option) {
    std::vector<std::string> names;
    for (const std::string& name : get.list(option))
      if (const Block* block = said.find(Section::storage, name)) names.push_back(block->name);
    return names;
  };
  config.storage = defined_names("STORAGE");
  config.active_storage = defined_names("ACTIVE-STORAGE");
  config.vault_storage = defined_names("VAULT-STORAGE");
  return config;
}

}  // namespace headrace::config
