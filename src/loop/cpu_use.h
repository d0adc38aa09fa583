// How much processor time a thread, a child process or the whole machine has had, and how long it was ready
// to run and had to wait for a processor: the difference between who works and who waits. One read of /proc
// each, which is memory and no disk. No state; two samples give a rate. Source: proc(5), and the kernel's
// Documentation/scheduler/sched-stats.rst for schedstat.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string_view>

#include "base/clock.h"

namespace headrace::loop {

struct CpuUse {
  base::Duration ran{};
  base::Duration queued{};  // ready, without a processor; zero on kernels that do not count it
  CpuUse operator+(const CpuUse& other) const { return {ran + other.ran, queued + other.queued}; }
  bool operator==(const CpuUse&) const = default;
};

// Of the calling thread.
CpuUse cpu_use_of_this_thread();
// Of a process (its first thread, when the kernel counts waiting; else all of it). nullopt: it is gone.
std::optional<CpuUse> cpu_use_of(pid_t pid);

struct MachineCpu {
  base::Duration busy{};  // of all processors together
  base::Duration idle{};  // likewise, waiting for disks included
  unsigned processors = 1;
};
std::optional<MachineCpu> machine_cpu();

// The contents of the two files; pure.
std::optional<CpuUse> parse_schedstat(std::string_view text);
std::optional<MachineCpu> parse_proc_stat(std::string_view text, long ticks_a_second);

}  // namespace headrace::loop
