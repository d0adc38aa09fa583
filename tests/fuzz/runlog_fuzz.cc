// Any text parses as a run log; each line understood is written the same way ever after.
#include "compat/run_log.h"
#include "fuzz.h"

using namespace headrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto log = compat::parse_run_log(fuzz::as_text(data, size), "input");
  for (const compat::NumberedLine& numbered : log.lines) {
    const std::string text = compat::format(numbered.line);
    const auto again = compat::parse_run_log(text, "text");
    fuzz::require(again.lines.size() == 1 && again.complaints.empty());
    fuzz::require(compat::format(again.lines[0].line) == text);
  }
  return 0;
}
