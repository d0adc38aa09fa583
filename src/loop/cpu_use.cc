#include "loop/cpu_use.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <ctime>
#include <string>

#include "base/fd.h"

namespace headrace::loop {
namespace {

// The first 4 KiB: what is wanted stands at the start. Empty: no such file.
std::string_view head_of(const std::string& path, std::array<char, 4096>& buffer) {
  const base::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return {};
  const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
  return {buffer.data(), got > 0 ? static_cast<size_t>(got) : 0};
}

std::optional<uint64_t> take_number(std::string_view& text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

base::Duration nanoseconds(uint64_t count) { return base::Duration(static_cast<int64_t>(count)); }

}  // namespace

std::optional<CpuUse> parse_schedstat(std::string_view text) {
  const auto ran = take_number(text);
  const auto queued = take_number(text);
  if (!ran || !queued) return std::nullopt;
  return CpuUse{nanoseconds(*ran), nanoseconds(*queued)};
}

// "cpu  user nice system idle iowait irq softirq steal …", then a line "cpuN …" a processor.
std::optional<MachineCpu> parse_proc_stat(std::string_view text, long ticks_a_second) {
  if (!text.starts_with("cpu ") || ticks_a_second <= 0) return std::nullopt;
  std::string_view line = text.substr(4, text.find('\n') - 4);
  constexpr size_t kIdle = 3;
  constexpr size_t kIoWait = 4;
  constexpr size_t kFields = 8;
  const auto tick = std::chrono::nanoseconds(1'000'000'000 / ticks_a_second);
  MachineCpu out;
  for (size_t i = 0; i < kFields; ++i) {
    const auto ticks = take_number(line);
    if (!ticks) return std::nullopt;
    (i == kIdle || i == kIoWait ? out.idle : out.busy) += tick * static_cast<int64_t>(*ticks);
  }
  out.processors = 0;
  for (size_t at = text.find("\ncpu"); at != std::string_view::npos; at = text.find("\ncpu", at + 1))
    ++out.processors;
  if (out.processors == 0) out.processors = 1;
  return out;
}

CpuUse cpu_use_of_this_thread() {
  std::array<char, 4096> buffer{};
  if (const auto use = parse_schedstat(head_of("/proc/thread-self/schedstat", buffer))) return *use;
  timespec spent{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return {std::chrono::seconds(spent.tv_sec) + std::chrono::nanoseconds(spent.tv_nsec), {}};
}

std::optional<CpuUse> cpu_use_of(pid_t pid) {
  std::array<char, 4096> buffer{};
  const std::string directory = "/proc/" + std::to_string(pid);
  if (const auto use = parse_schedstat(head_of(directory + "/schedstat", buffer))) return use;
  // "pid (name) state …", utime and stime being the 14th and 15th; a name may hold anything.
  std::string_view stat = head_of(directory + "/stat", buffer);
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  stat.remove_prefix(name_end + 1);
  constexpr int kFieldsBeforeTimes = 12;
  for (int i = 0; i < kFieldsBeforeTimes; ++i) {
    const size_t blank = stat.find(' ');
    if (blank == std::string_view::npos) return std::nullopt;
    stat.remove_prefix(blank + 1);
  }
  const auto user = take_number(stat);
  const auto system = take_number(stat);
  if (!user || !system) return std::nullopt;
  return CpuUse{std::chrono::nanoseconds(1'000'000'000 / ::sysconf(_SC_CLK_TCK)) *
                    static_cast<int64_t>(*user + *system),
                {}};
}

std::optional<MachineCpu> machine_cpu() {
  std::array<char, 4096> buffer{};
  return parse_proc_stat(head_of("/proc/stat", buffer), ::sysconf(_SC_CLK_TCK));
}

}  // namespace headrace::loop
