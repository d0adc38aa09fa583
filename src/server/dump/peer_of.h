// How to reach a disklist entry's client, and with which patience. Pure.
#pragma once

#include "auth/connect.h"
#include "config/disklist.h"
#include "config/server_config.h"
#include "exchange/requester.h"

namespace headrace::dump {

// Error refused: a client-port that is neither a number nor a known service.
base::Result<auth::Peer> peer_of(const config::ServerConfig& config, const config::DiskListEntry& entry);
// Resends as req-tries says; the reply awaited as long as given.
exchange::RequestTimes times_of(const config::ServerConfig& config, base::Duration reply_timeout);
// Two entries of one host can share a conversation when they are reached alike.
bool same_way(const auth::Peer& a, const auth::Peer& b);

}  // namespace headrace::dump
