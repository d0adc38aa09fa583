// Static probe points of the data plane, for bpftrace, perf and SystemTap; provider "headrace". Each is one
// instruction that does nothing until somebody attaches to it. What they tell: doc/tracing.md, which a test
// holds to what is in the program.
#pragma once

#define SDT_USE_VARIADIC
#include <sys/sdt.h>

// HEADRACE_PROBE(wait__sink, flow, name, bytes): pointers and integers only; names as C strings.
#define HEADRACE_PROBE(...) STAP_PROBEV(headrace, __VA_ARGS__)
