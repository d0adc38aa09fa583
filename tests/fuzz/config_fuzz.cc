// amanda.conf: any text is read or refused with reasons, and what is read can be printed.
#include "config/load.h"
#include "fuzz.h"

using namespace headrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto loaded = config::load_server_text(fuzz::as_text(data, size), "/nowhere/fuzz");
  fuzz::require(loaded.ok() == !config::has_errors(loaded.diagnostics));
  for (const auto& diagnostic : loaded.diagnostics) fuzz::require(!diagnostic.text().empty());
  if (!loaded.ok()) return 0;
  fuzz::require(!config::config_text(loaded->settings).empty());
  for (const auto& one : config::not_honoured(*loaded)) fuzz::require(!one.parameter.empty());
  (void)loaded->first_storage();
  return 0;
}
