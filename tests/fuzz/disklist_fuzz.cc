// A disklist under a configuration with all that it may name; and match expressions on what was read.
#include "config/disklist.h"
#include "config/match.h"
#include "fuzz.h"

using namespace headrace;

namespace {

constexpr std::string_view kConfig =
    "define application tar {\n plugin \"amgtar\"\n}\n"
    "define dumptype a {\n program \"GNUTAR\"\n}\n"
    "define interface lo {\n use 5\n}\n";

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const config::ServerConfig config = *config::load_server_text(kConfig, "/nowhere/fuzz");
  const std::string_view text = fuzz::as_text(data, size);
  const auto list = config::load_disklist_text(config, text, "disklist");
  fuzz::require(list.ok() == !config::has_errors(list.diagnostics));
  const std::string_view expression = text.substr(0, text.find('\n'));
  (void)config::match_host(expression, "some.host.example.com");
  (void)config::match_disk(expression, "/some/disk");
  (void)config::match_date(expression, "20261123");
  if (!list.ok()) return 0;
  for (const auto& entry : *list) fuzz::require(!entry.disk.empty() && !entry.dumptype.name.empty());
  return 0;
}
