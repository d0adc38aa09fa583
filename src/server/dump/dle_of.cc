#include "server/dump/dle_of.h"

#include <algorithm>

namespace headrace::dump {

static wire::Compress compress_of(config::Compress compress) {
  switch (compress) {
    case config::Compress::none:
      return wire::Compress::none;
    case config::Compress::client_fast:
      return wire::Compress::fast;
    case config::Compress::client_best:
      return wire::Compress::best;
    case config::Compress::client_custom:
      return wire::Compress::custom;
    case config::Compress::server_fast:
      return wire::Compress::server_fast;
    case config::Compress::server_best:
      return wire::Compress::server_best;
    case config::Compress::server_custom:
      return wire::Compress::server_custom;
  }
  return wire::Compress::none;
}

static wire::EstimateMethod method_of(config::EstimateMethod method) {
  switch (method) {
    case config::EstimateMethod::client:
      return wire::EstimateMethod::client;
    case config::EstimateMethod::calcsize:
      return wire::EstimateMethod::calcsize;
    case config::EstimateMethod::server:
      return wire::EstimateMethod::server;
  }
  return wire::EstimateMethod::client;
}

static std::vector<wire::Property> properties_of(const config::Properties& properties) {
  std::vector<wire::Property> out;
  for (const auto& property : properties) {
    out.push_back({property.name, property.priority, property.values});
  }
  return out;
}

static wire::Selection selection_of(const config::PatternLists& lists) {
  return {lists.files, lists.lists, lists.optional};
}

wire::Dle dle_of(const config::DiskListEntry& entry) {
  const config::Dumptype& type = entry.dumptype;
  wire::Dle dle;
  dle.program = type.program;
  if (type.uses_application()) {
    dle.application = {type.application.plugin, properties_of(type.application.properties),
                       type.application.client_name};
  }
  for (const auto method : type.estimate) dle.estimates.push_back(method_of(method));
  dle.disk = entry.disk;
  if (entry.device != entry.disk) dle.device = entry.device;
  dle.spindle = entry.spindle;
  dle.auth = type.auth;
  dle.compress = compress_of(type.compress);
  dle.compress_program =
      config::is_server(type.compress) ? type.server_custom_compress : type.client_custom_compress;
  if (type.encrypt == config::Encrypt::client) {
    dle.encrypt = wire::Encrypt::custom;
    dle.encrypt_program = type.client_encrypt;
    dle.decrypt_option = type.client_decrypt_option;
  }
  if (type.encrypt == config::Encrypt::server) {
    dle.encrypt = wire::Encrypt::server_custom;
    dle.encrypt_program = type.server_encrypt;
    dle.decrypt_option = type.server_decrypt_option;
  }
  dle.record = type.record;
  dle.index = type.index;
  dle.kencrypt = type.kencrypt;
  dle.exclude = selection_of(type.exclude);
  dle.include = selection_of(type.include);
  for (const auto& script : type.scripts) {
    std::string when;
    for (const auto& point : script.execute_on) {
      std::string upper = point;
      std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
      when += (when.empty() ? "" : ",") + upper;
    }
    dle.scripts.push_back({script.plugin,
                           script.execute_where == config::ExecuteWhere::client ? "CLIENT" : "SERVER", when,
                           properties_of(script.properties), script.client_name});
  }
  dle.properties = properties_of(type.properties);
  return dle;
}

std::string why_not(const config::DiskListEntry& entry) {
  const config::Dumptype& type = entry.dumptype;
  const std::string change = ": change dumptype \"" + type.name + "\"";
  const auto names_no_program = [&](const std::string& what, const std::string& parameter) {
    return what + " needs the absolute path of a program in " + parameter + change;
  };
  if (type.compress == config::Compress::server_custom && !type.server_custom_compress.starts_with('/')) {
    return names_no_program("compress server custom", "server-custom-compress");
  }
  if (type.encrypt == config::Encrypt::server && !type.server_encrypt.starts_with('/')) {
    return names_no_program("encrypt server", "server-encrypt");
  }
  if (type.data_path == config::DataPath::directtcp) return "data-path directtcp is not available" + change;
  if (type.program != "GNUTAR" && !type.uses_application()) {
    return "program \"" + type.program + "\" is not available" + change + " to \"GNUTAR\" or an application";
  }
  return {};
}

}  // namespace headrace::dump
