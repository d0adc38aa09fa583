#include "server/drive/drive_messages.h"

#include <array>

namespace headrace::drive {

flow::Verdict verdict_of(Wait why) {
  switch (why) {
    case Wait::parallel_limit:
    case Wait::host_limit:
    case Wait::spindle:
    case Wait::network:
    case Wait::its_time:
    case Wait::others:
    case Wait::thresholds:
      return flow::Verdict::scheduled;
    case Wait::resume:
      return flow::Verdict::throttled;
    case Wait::holding_space:  // volumes make room
    case Wait::volume_writer:
    case Wait::volume:
      break;
  }
  return flow::Verdict::volume;
}

std::string_view text_of(Wait why) {
  constexpr std::array<std::string_view, 11> kTexts = {
      "another dump to end (inparallel)",
      "another dump of its host to end (maxdumps)",
      "another dump of its spindle to end",
      "its interface to have room for its rate (netusage, use)",
      "the holding disks to have room",
      "the volume writer",
      "a volume",
      "its time",
      "the first tries of the others",
      "\"headrace resume\": it is paused",
      "more to write (flush-threshold-dumped, flush-threshold-scheduled)",
  };
  return kTexts[static_cast<size_t>(why)];
}

}  // namespace headrace::drive
