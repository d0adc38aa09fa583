#include <fmt/format.h>

#include <algorithm>

#include "config/getter.h"
#include "config/resolve.h"

namespace headrace::config {
namespace {

EstimateMethod estimate_method(const std::string& word) {
  if (word == "CALCSIZE") return EstimateMethod::calcsize;
  return word == "SERVER" ? EstimateMethod::server : EstimateMethod::client;
}

Ssl resolve_ssl(const Getter& get) {
  return {.fingerprint_file = get.text("SSL-FINGERPRINT-FILE"),
          .cert_file = get.text("SSL-CERT-FILE"),
          .key_file = get.text("SSL-KEY-FILE"),
          .ca_cert_file = get.text("SSL-CA-CERT-FILE"),
          .cipher_list = get.text("SSL-CIPHER-LIST"),
          .check_host = get.flag("SSL-CHECK-HOST"),
          .check_certificate_host = get.flag("SSL-CHECK-CERTIFICATE-HOST"),
          .check_fingerprint = get.flag("SSL-CHECK-FINGERPRINT")};
}

void resolve_schedule(const Getter& get, Dumptype& type) {
  type.strategy =
      get.choice<Strategy>("STRATEGY", {"STANDARD", "NOFULL", "NOINC", "SKIP", "INCRONLY", "HANOI"});
  type.skip_full = get.flag("SKIP-FULL");
  type.skip_incr = get.flag("SKIP-INCR");
  type.dumpcycle_days = get.number("DUMPCYCLE");
  type.bump_size_kib = get.number("BUMPSIZE");
  type.bump_percent = get.number("BUMPPERCENT");
  type.bump_mult = get.real("BUMPMULT");
  type.bump_days = get.number("BUMPDAYS");
  type.max_promote_days = get.number("MAXPROMOTEDAY");
  type.priority = get.number("PRIORITY");
  type.maxdumps = get.number("MAXDUMPS");
  const int64_t hhmm = get.number("STARTTIME");
  type.has_starttime = get.is_set("STARTTIME") && hhmm != 0;
  type.starttime = std::chrono::minutes(hhmm / 100 * 60 + hhmm % 100);
  for (const std::string& word : get.list("ESTIMATE")) type.estimate.push_back(estimate_method(word));
  type.retry_dump = get.number("RETRY-DUMP");
}

void resolve_data(const Getter& get, Dumptype& type) {
  type.compress = get.choice<Compress>("COMPRESS", {"NONE", "CLIENT FAST", "CLIENT BEST", "CLIENT CUSTOM",
                                                    "SERVER FAST", "SERVER BEST", "SERVER CUSTOM"});
  type.client_custom_compress = get.text("CLIENT-CUSTOM-COMPRESS");
  type.server_custom_compress = get.text("SERVER-CUSTOM-COMPRESS");
  const auto rates = get.as<Rates>("COMPRATE");
  type.comprate_full = rates.full;
  type.comprate_incr = rates.incr;
  type.encrypt = get.choice<Encrypt>("ENCRYPT", {"NONE", "CLIENT", "SERVER"});
  type.client_encrypt = get.text("CLIENT-ENCRYPT");
  type.server_encrypt = get.text("SERVER-ENCRYPT");
  type.client_decrypt_option = get.text("CLIENT-DECRYPT-OPTION");
  type.server_decrypt_option = get.text("SERVER-DECRYPT-OPTION");
  type.kencrypt = get.flag("KENCRYPT");
  type.holdingdisk = get.choice<Holding>("HOLDINGDISK", {"NEVER", "AUTO", "REQUIRED"});
  type.data_path = get.choice<DataPath>("DATA-PATH", {"AMANDA", "DIRECTTCP"});
  type.allow_split = get.flag("ALLOW-SPLIT");
  type.tape_splitsize_kib = get.number("TAPE-SPLITSIZE");
  type.split_diskbuffer = get.text("SPLIT-DISKBUFFER");
  type.fallback_splitsize_kib = get.number("FALLBACK-SPLITSIZE");
}

}  // namespace

Application resolve_application(const Settings& settings, const Block& block) {
  const Getter get(settings, block);
  return {.name = block.name,
          .comment = get.text("COMMENT"),
          .plugin = get.text("PLUGIN"),
          .properties = get.as<Properties>("PROPERTY"),
          .client_name = get.text("CLIENT-NAME")};
}

Script resolve_script(const Settings& settings, const Block& block) {
  const Getter get(settings, block);
  Script script{.name = block.name,
                .comment = get.text("COMMENT"),
                .plugin = get.text("PLUGIN"),
                .properties = get.as<Properties>("PROPERTY"),
                .execute_on = {},
                .execute_where = get.choice<ExecuteWhere>("EXECUTE-WHERE", {"CLIENT", "SERVER"}),
                .order = get.number("ORDER"),
                .single_execution = get.flag("SINGLE-EXECUTION"),
                .client_name = get.text("CLIENT-NAME")};
  for (const std::string& word : get.list("EXECUTE-ON")) script.execute_on.push_back(lower(word));
  return script;
}

namespace {

const Property* holding_property(const Dumptype& type) {
  const auto found = std::ranges::find(type.properties, kHoldingProperty, &Property::name);
  return found == type.properties.end() ? nullptr : &*found;
}
const std::vector<std::string> kOnlyDegraded = {"degraded"};

}  // namespace

std::string wrong_in_properties(const Dumptype& type) {
  const Property* property = holding_property(type);
  if (property == nullptr) return {};
  if (property->values != kOnlyDegraded)
    return fmt::format("dumptype \"{}\": property \"{}\" has one value, \"degraded\", or is left out",
                       type.name, kHoldingProperty);
  if (type.holdingdisk == Holding::when_degraded) return {};
  return fmt::format("dumptype \"{}\": property \"{}\" contradicts holdingdisk {}: it needs holdingdisk auto",
                     type.name, kHoldingProperty, type.holdingdisk == Holding::never ? "never" : "required");
}

Dumptype resolve_dumptype(const Settings& settings, const Block& block) {
  const Getter get(settings, block);
  Dumptype type;
  type.name = block.name;
  type.comment = get.text("COMMENT");
  type.program = get.text("PROGRAM");
  if (const Block* application = settings.find(Section::application, get.text("APPLICATION")))
    type.application = resolve_application(settings, *application);
  for (const std::string& name : get.list("SCRIPT"))
    if (const Block* script = settings.find(Section::script, name))
      type.scripts.push_back(resolve_script(settings, *script));
  type.properties = get.as<Properties>("PROPERTY");
  type.auth = get.text("AUTH");
  type.amandad_path = get.text("AMANDAD-PATH");
  type.client_username = get.text("CLIENT-USERNAME");
  type.client_port = get.text("CLIENT-PORT");
  type.ssh_keys = get.text("SSH-KEYS");
  type.ssl = resolve_ssl(get);
  type.record = get.flag("RECORD");
  type.index = get.flag("INDEX");
  type.ignore = get.flag("IGNORE");
  type.exclude = get.as<PatternLists>("EXCLUDE");
  type.include = get.as<PatternLists>("INCLUDE");
  resolve_schedule(get, type);
  resolve_data(get, type);
  const Property* held = holding_property(type);
  if (held != nullptr && held->values == kOnlyDegraded && type.holdingdisk == Holding::automatic)
    type.holdingdisk = Holding::when_degraded;
  type.max_warnings = get.number("MAX-WARNINGS");
  type.recovery_limit = get.as<HostLimit>("RECOVERY-LIMIT");
  type.dump_limit = get.as<HostLimit>("DUMP-LIMIT");
  type.tags = get.list("TAG");
  return type;
}

ClientConfig resolve_client(Settings settings) {
  const Getter get(settings, settings.global);
  ClientConfig client;
  client.conf = get.text("CONF");
  client.amdump_server = get.text("AMDUMP-SERVER");
  client.index_server = get.text("INDEX-SERVER");
  client.tape_server = get.text("TAPE-SERVER");
  client.tapedev = get.text("TAPEDEV");
  client.auth = get.text("AUTH");
  client.ssh_keys = get.text("SSH-KEYS");
  client.amandad_path = get.text("AMANDAD-PATH");
  client.client_username = get.text("CLIENT-USERNAME");
  client.client_port = get.text("CLIENT-PORT");
  client.gnutar_list_dir = get.text("GNUTAR-LIST-DIR");
  client.amandates = get.text("AMANDATES");
  client.mailer = get.text("MAILER");
  client.hostname = get.text("HOSTNAME");
  client.krb5keytab = get.text("KRB5KEYTAB");
  client.krb5principal = get.text("KRB5PRINCIPAL");
  client.ctimeout = std::chrono::seconds(get.number("CTIMEOUT"));
  client.connect_tries = get.number("CONNECT-TRIES");
  client.req_tries = get.number("REQ-TRIES");
  client.rep_tries = get.number("REP-TRIES");
  client.debug_days = get.number("DEBUG-DAYS");
  for (const Option& option : options())
    if (option.in(Section::client) && option.name.starts_with("DEBUG-") && option.name != "DEBUG-DAYS")
      client.debug[lower(option.name.substr(6))] = get.number(option.name);
  client.reserved_udp_port = get.as<PortRange>("RESERVED-UDP-PORT");
  client.reserved_tcp_port = get.as<PortRange>("RESERVED-TCP-PORT");
  client.unreserved_tcp_port = get.as<PortRange>("UNRESERVED-TCP-PORT");
  client.ssl_dir = get.text("SSL-DIR");
  client.ssl = resolve_ssl(get);
  client.properties = get.as<Properties>("PROPERTY");
  for (const Block& block : settings.blocks) {
    if (block.section == Section::application)
      client.applications[block.name] = resolve_application(settings, block);
    if (block.section == Section::script) client.scripts[block.name] = resolve_script(settings, block);
  }
  client.settings = std::move(settings);
  return client;
}

}  // namespace headrace::config
