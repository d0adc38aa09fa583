// The sendbackup service: dumps one DLE at one level. Answers with the streams DATA, MESG, INDEX and STATE,
// then runs the archiver, sends what it writes and says, and records the dump once everything is delivered.
// Owned by the responder; destroying it ends the archiver and leaves the recorded state as it was.
//
//   start ─▶ preparing ─▶ replied ─▶ announcing ─▶ running ─▶ recording ─▶ closing ─▶ finished()
//     │          │           │           │             │           │
//     ▼          ▼           ▼           ▼             ▼           ▼
//   reply with ERROR     finished()    "sendbackup: error […]" on MESG, closing
#pragma once

#include <memory>

#include "client/context.h"
#include "exchange/service.h"

namespace headrace::client {

std::unique_ptr<exchange::Service> make_sendbackup(const ClientContext& context, exchange::ServiceCall& call);

}  // namespace headrace::client
