// A disklist entry as the request that goes to its client. Pure.
#pragma once

#include "config/disklist.h"
#include "wire/dle.h"

namespace headrace::dump {

wire::Dle dle_of(const config::DiskListEntry& entry);

// Why Headrace cannot dump this entry (direct TCP, a filter without a program …); empty when it can.
std::string why_not(const config::DiskListEntry& entry);

}  // namespace headrace::dump
