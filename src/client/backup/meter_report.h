// What a dump's joints and programs on this side have measured so far, as the line a Headrace server asks for
// (wire/meter_line.h). Samples and returns; keeps nothing. Loop thread.
#pragma once

#include "base/clock.h"
#include "client/archive/archiver.h"
#include "flow/filter_chain.h"
#include "wire/meter_line.h"

namespace headrace::client {

// `data_fd`: the socket beneath the DATA stream, -1 when there is none. `age`: of the dump.
wire::MeterLine meters_of(const flow::FilterChain& path, const Archiver& archiver, int data_fd,
                          base::Duration age);

}  // namespace headrace::client
