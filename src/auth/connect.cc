#include "auth/connect.h"

#include <fmt/format.h>

#include <algorithm>

#include "auth/bsdtcp/bsdtcp.h"
#include "auth/local/local.h"

namespace headrace::auth {

std::unique_ptr<loop::Operation> connect(loop::Loop& loop, Peer peer, PathReady ready) {
  std::ranges::transform(peer.auth, peer.auth.begin(), [](unsigned char c) { return std::tolower(c); });
  if (peer.auth == "bsdtcp") return connect_bsdtcp(loop, std::move(peer), std::move(ready));
  if (peer.auth == "local") return connect_local(loop, std::move(peer), std::move(ready));
  loop.post([auth = peer.auth, ready = std::move(ready)]() mutable {
    ready(base::fail(base::ErrorKind::unsupported,
                     fmt::format("auth \"{}\" cannot be used yet; \"bsdtcp\" and \"local\" can", auth)));
  });
  return nullptr;
}

}  // namespace headrace::auth
