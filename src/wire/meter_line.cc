#include "wire/meter_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <span>

#include "base/quote.h"
#include "wire/text.h"

namespace headrace::wire {
namespace {

constexpr std::string_view kVersion = "1";
constexpr size_t kMaxNameBytes = 32;
constexpr size_t kJointNumbers = 6 + kMeterFillParts;

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// Blanks part the items of a line.
std::string name_out(std::string_view name) {
  std::string out(name.substr(0, kMaxNameBytes));
  std::ranges::replace_if(out, [](char c) { return (c < 'a' || c > 'z') && (c < '0' || c > '9'); }, '_');
  return out.empty() ? "_" : out;
}
std::string name_in(std::string_view name) {
  std::string out(name);
  std::ranges::replace(out, '_', ' ');
  return out;
}

// Exactly as many numbers as there is room for, parted by commas.
bool take_numbers(std::string_view text, std::span<uint64_t> into) {
  for (size_t i = 0; i < into.size(); ++i) {
    const size_t comma = text.find(',');
    if ((comma == std::string_view::npos) != (i + 1 == into.size())) return false;
    const auto number = parse_number<uint64_t>(text.substr(0, comma));
    if (!number) return false;
    into[i] = *number;
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return true;
}

bool take_cpu(std::string_view text, MeterCpu& out) {
  std::array<uint64_t, 2> numbers{};
  if (!take_numbers(text, numbers)) return false;
  out = {numbers[0], numbers[1]};
  return true;
}

// "name:numbers".
bool take_named(std::string_view text, std::string& name, std::string_view& numbers) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || !is_name(text.substr(0, colon))) return false;
  name = name_in(text.substr(0, colon));
  numbers = text.substr(colon + 1);
  return true;
}

bool take_joint(std::string_view text, MeterJoint& out) {
  std::string_view rest;
  std::array<uint64_t, kJointNumbers> n{};
  if (!take_named(text, out.name, rest) || !take_numbers(rest, n)) return false;
  out.bytes = n[0];
  out.starved_ms = n[1];
  out.blocked_ms = n[2];
  out.gated_ms = n[3];
  out.throttled_ms = n[4];
  out.busy_ms = n[5];
  std::copy_n(n.begin() + 6, kMeterFillParts, out.fill_ms.begin());
  return true;
}

bool take_tcp(std::string_view text, MeterTcp& out) {
  std::array<uint64_t, 6> n{};
  if (!take_numbers(text, n)) return false;
  out = {n[0], n[1], n[2], n[3], n[4], n[5]};
  return true;
}

bool take_item(std::string_view key, std::string_view value, MeterLine& out) {
  if (key == "at") {
    const auto at = parse_number<uint64_t>(value);
    out.at_ms = at.value_or(0);
    return at.has_value();
  }
  if (key == "thread") return take_cpu(value, out.thread.emplace());
  if (key == "tcp") return take_tcp(value, out.tcp.emplace());
  if (key == "program") {
    if (out.programs.size() == kMaxMeterItems) return false;
    auto& program = out.programs.emplace_back();
    std::string_view rest;
    return take_named(value, program.name, rest) && take_cpu(rest, program.cpu);
  }
  if (key == "joint") {
    return out.joints.size() < kMaxMeterItems && take_joint(value, out.joints.emplace_back());
  }
  return true;
}

}  // namespace

std::string encode_meter(const MeterLine& meter) {
  std::string out = fmt::format("{} at={}", kVersion, meter.at_ms);
  if (meter.thread) out += fmt::format(" thread={},{}", meter.thread->ran_ms, meter.thread->queued_ms);
  for (size_t i = 0; i < std::min(meter.programs.size(), kMaxMeterItems); ++i) {
    const auto& program = meter.programs[i];
    out +=
        fmt::format(" program={}:{},{}", name_out(program.name), program.cpu.ran_ms, program.cpu.queued_ms);
  }
  for (size_t i = 0; i < std::min(meter.joints.size(), kMaxMeterItems); ++i) {
    const auto& joint = meter.joints[i];
    out += fmt::format(" joint={}:{},{},{},{},{},{},{}", name_out(joint.name), joint.bytes, joint.starved_ms,
                       joint.blocked_ms, joint.gated_ms, joint.throttled_ms, joint.busy_ms,
                       fmt::join(joint.fill_ms, ","));
  }
  if (meter.tcp) {
    const auto& tcp = *meter.tcp;
    out += fmt::format(" tcp={},{},{},{},{},{}", tcp.busy_ms, tcp.rwnd_limited_ms, tcp.sndbuf_limited_ms,
                       tcp.retransmits, tcp.rtt_us, tcp.delivery_rate);
  }
  return out;
}

std::optional<MeterLine> parse_meter(std::string_view text) {
  if (text.size() > kMaxMeterLineBytes || base::take_word(text) != kVersion) return std::nullopt;
  MeterLine out;
  for (auto item = base::take_word(text); !item.empty(); item = base::take_word(text)) {
    const size_t equals = item.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    if (!take_item(item.substr(0, equals), item.substr(equals + 1), out)) return std::nullopt;
  }
  return out;
}

}  // namespace headrace::wire
