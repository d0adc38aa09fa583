#include "client/access/peer_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace headrace::client {

using base::ErrorKind;
using base::Result;

void PeerNames::ask(const loop::Address& peer, Named named) {
  const std::string host = peer.host_text();
  const bool stranger = std::ranges::find(known_, host) == known_.end();
  auto found = lookups_.find(host);
  const bool crowded = found != lookups_.end() ? found->second.waiting.size() >= kMaxWaitingForName
                                               : stranger && strangers_ >= kMaxStrangers;
  if (crowded) {
    loop_.post([host, named = std::move(named)]() mutable {
      named(base::fail(ErrorKind::again,
                       fmt::format("the name of {} cannot be looked up now: too many hosts ask", host)));
    });
    return;
  }
  if (found != lookups_.end()) return found->second.waiting.push_back(std::move(named));
  if (stranger) ++strangers_;
  Lookup& lookup = lookups_[host];
  lookup.stranger = stranger;
  lookup.waiting.push_back(std::move(named));
  lookup.operation = check_(peer, stranger ? loop::LookupFor::strangers : loop::LookupFor::ourselves,
                            [this, host](Result<std::string> name) { answer(host, std::move(name)); });
}

void PeerNames::answer(const std::string& host, Result<std::string> name) {
  // Its operation is what called us: it goes later.
  auto spent = std::make_shared<Lookup>(std::move(lookups_.extract(host).mapped()));
  loop_.post([spent] { spent->operation.reset(); });
  if (spent->stranger) --strangers_;
  for (Named& named : std::exchange(spent->waiting, {})) named(name);
}

void PeerNames::remember(const loop::Address& peer) {
  std::string host = peer.host_text();
  std::erase(known_, host);
  known_.push_front(std::move(host));
  if (known_.size() > kMaxKnownHosts) known_.pop_back();
}

}  // namespace headrace::client
