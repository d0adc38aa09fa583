#include "client/archive/archiver_choice.h"

#include <unistd.h>

#include <fmt/format.h>

#include "client/archive/application_api.h"

namespace headrace::client {

base::Result<ArchiverChoice> archiver_of(const ClientContext& context, const wire::Dle& dle) {
  if (dle.program == "GNUTAR") return ArchiverChoice{};
  if (dle.program == "APPLICATION") {
    auto plugin = plugin_path(context.paths, dle, ::geteuid() == 0);
    if (!plugin) return std::unexpected(std::move(plugin).error());
    return ArchiverChoice{std::move(*plugin)};
  }
  return base::fail(base::ErrorKind::unsupported,
                    fmt::format("program {} is not supported by this client", dle.program));
}

}  // namespace headrace::client
