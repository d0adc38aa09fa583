// The programs that a dump passes on the server, as its dumptype asks for them: compression, then encryption.
// Pure; whether a program exists is found out when it is started.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "flow/filter_chain.h"
#include "wire/dle.h"
#include "wire/dump_header.h"

namespace headrace::dump {

// In the order in which the bytes pass them. They run as the server does, and see of its environment what an
// encrypting program needs to find its keys.
std::vector<flow::FilterCommand> server_filters(const wire::Dle& dle);

// Whether the client's description names the programs it was asked for. A header's programs are run when the
// dump is restored: what the operator did not name never gets into one. Error refused.
base::Result<> as_asked(const wire::Dle& dle, const wire::DumpHeader& header);

// Says in the header what these programs do to the image, and how to undo it.
void describe_server_filters(const wire::Dle& dle, wire::DumpHeader& header);

}  // namespace headrace::dump
