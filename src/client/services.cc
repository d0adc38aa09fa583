#include "client/services.h"

#include <fmt/format.h>

#include "client/backup/sendbackup.h"
#include "client/check/noop.h"
#include "client/check/selfcheck.h"
#include "client/estimate/sendsize.h"

namespace headrace::client {

std::set<std::string> all_services() { return {"noop", "selfcheck", "sendsize", "sendbackup"}; }

exchange::ServiceFactory make_factory(const ClientContext& context, std::set<std::string> enabled) {
  if (enabled.empty() || enabled.contains("amdump")) enabled.merge(all_services());
  return [&context, enabled = std::move(enabled)](
             exchange::ServiceCall& call) -> base::Result<std::unique_ptr<exchange::Service>> {
    const std::string& service = call.request().service;
    if (enabled.contains(service)) {
      if (service == "noop") return make_noop(call);
      if (service == "selfcheck") return make_selfcheck(context, call);
      if (service == "sendsize") return make_sendsize(context, call);
      if (service == "sendbackup") return make_sendbackup(context, call);
    }
    return base::fail(base::ErrorKind::refused,
                      fmt::format("{0}: invalid service, add '{0}' as argument to amandad", service));
  };
}

}  // namespace headrace::client
