#include "client/request.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "base/quote.h"
#include "compat/gnutar_state.h"

namespace headrace::client {
namespace {

// Names of properties and auths compare without case; of properties, "-" and "_" are one.
std::string folded(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string bracketed(std::string_view text) { return fmt::format("[{}]", text); }

void merge(std::vector<wire::Property>& into, const config::Property& ours) {
  auto same = std::ranges::find_if(
      into, [&ours](const wire::Property& p) { return folded(p.name) == folded(ours.name); });
  if (same == into.end()) {
    into.push_back({.name = ours.name, .priority = ours.priority, .values = ours.values});
  } else if (!same->priority) {
    same->values = ours.values;
  }
}

}  // namespace

base::Result<ClientRequest> read_request(const ClientContext& context,
                                         const exchange::ServiceRequest& request, wire::DleFor purpose) {
  auto parsed = wire::parse_dle_request(request.arguments, purpose);
  if (!parsed) return std::unexpected(std::move(parsed).error());
  const std::string& config_name = parsed->options.config;
  if (config_name.find('/') != std::string::npos || config_name == "..") {
    return base::fail(base::ErrorKind::refused, "[invalid character in config option]");
  }
  std::string hostname = parsed->options.hostname.empty() ? context.hostname : parsed->options.hostname;
  if (auto checked = compat::GnutarState::check_host(hostname); !checked) {
    return base::fail(base::ErrorKind::refused, bracketed(checked.error().what()));
  }
  auto config = config::load_client(context.paths.config_dir, config_name);
  if (!config.ok()) {
    std::string errors = config::errors_text(config.diagnostics);
    while (errors.ends_with('\n')) errors.pop_back();
    std::ranges::replace(errors, '\n', ';');
    return base::fail(base::ErrorKind::refused, bracketed(errors));
  }
  wire::FeatureSet peer = parsed->options.features_or_default();
  return ClientRequest{std::move(*parsed), peer, std::move(hostname), std::move(*config.value)};
}

wire::FeatureSet peer_features(const exchange::ServiceRequest& request) {
  const std::string_view text = request.arguments;
  auto options = wire::parse_options_line(text.substr(0, text.find('\n')));
  return options ? options->features_or_default() : wire::FeatureSet::assumed_default();
}

std::optional<std::string> auth_mismatch(const exchange::ServiceRequest& request, const wire::Dle& dle) {
  if (dle.auth.empty() || folded(dle.auth) == folded(request.auth)) return std::nullopt;
  return fmt::format("[client configured for auth={} while server requested '{}']", request.auth, dle.auth);
}

std::optional<std::string> unsupported(const wire::Dle& dle) {
  if (dle.datapath == wire::DataPath::directtcp) return "data path DIRECTTCP is not supported by this client";
  for (const wire::Script& script : dle.scripts) {
    if (folded(script.execute_where) == "client") {
      return fmt::format("script {} is not supported by this client: it would have to run before or after {}",
                         base::quote(script.plugin), base::quote(dle.disk));
    }
  }
  return std::nullopt;
}

base::Result<std::vector<wire::Property>> application_properties(const wire::Dle& dle,
                                                                 const config::ClientConfig& config) {
  std::vector<wire::Property> merged = dle.application.properties;
  if (dle.application.client_name.empty()) return merged;
  const config::Application* ours = config.application(dle.application.client_name);
  if (ours == nullptr) {
    return base::fail(base::ErrorKind::refused,
                      fmt::format("application {} is not defined in this client's amanda-client.conf",
                                  base::quote(dle.application.client_name)));
  }
  for (const config::Property& property : ours->properties) merge(merged, property);
  return merged;
}

}  // namespace headrace::client
