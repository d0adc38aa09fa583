// Whatever an access file says, asking it for leave gives an answer.
#include "config/amandahosts.h"
#include "fuzz.h"

using namespace headrace;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto entries = config::parse_amandahosts(fuzz::as_text(data, size));
  config::AccessRequest request;
  request.peer_host = "server.example";
  request.user = "backup";
  request.service = "sendbackup";
  request.local_user = "backup";
  request.file = "/var/backups/.amandahosts";
  const auto answer = config::authorize(entries, request);
  fuzz::require(answer.has_value() || !answer.error().what().empty());
  return 0;
}
