#include "server/observe/control_text.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "server/observe/changes.h"
#include "server/observe/facts.h"
#include "server/observe/text.h"

namespace headrace::observe {
namespace {

using Stand = ControlDump::Stand;
using Outcome = ControlDump::Outcome;

journal::LimitChanged as_change(const ControlLimit& limit) {
  return {limit.limit, limit.interface, limit.host, limit.disk, limit.configured, limit.value};
}

std::string paused_words(const ControlDump& dump) {
  const char* first = dump.outcome == Outcome::already ? "paused before" : "paused";
  if (dump.stand == Stand::dumping) return fmt::format("{}, at {}", first, base::human_bytes(dump.bytes));
  return fmt::format("{}: it will not start", first);
}

std::string resumed_words(const ControlDump& dump) {
  if (dump.outcome == Outcome::already) return dump.paused ? "still held by diagnose" : "was not paused";
  if (dump.paused) return "resumed, but still held by diagnose";
  if (dump.stand != Stand::dumping) return "may start";
  return dump.bytes == 0 ? "starts" : "goes on, at " + base::human_bytes(dump.bytes);
}

const char* stand_word(Stand stand) {
  constexpr const char* kWords[] = {"planning", "waiting", "dumping", "over"};
  return kWords[static_cast<size_t>(stand)];
}

const char* outcome_word(Outcome outcome) {
  constexpr const char* kWords[] = {"none", "done", "already", "over"};
  return kWords[static_cast<size_t>(outcome)];
}

}  // namespace

std::string pause_text(const ControlReply& reply, bool pauses) {
  Table table({Table::Align::left, Table::Align::left});
  for (const auto& dump : reply.dumps) {
    std::string words = "its dump is over";
    if (dump.outcome != Outcome::over) words = pauses ? paused_words(dump) : resumed_words(dump);
    table.row({dle_name({dump.host, dump.disk, {}, 0}), std::move(words)});
  }
  return table.text();
}

std::string limits_text(const ControlReply& reply) {
  Table table({Table::Align::left, Table::Align::right, Table::Align::left});
  for (const auto& limit : reply.limits)
    table.row({limit_name(as_change(limit)), limit_value(limit.limit, limit.value),
               limit.value == limit.configured
                   ? ""
                   : fmt::format("configured: {}", limit_value(limit.limit, limit.configured))});
  const std::string whose =
      reply.timestamp.empty()
          ? fmt::format("{}: no run goes on; limits of the next one\n", printable(reply.config))
          : fmt::format("{}: limits of the run of {}\n", printable(reply.config),
                        readable_timestamp(reply.timestamp));
  return whose + table.text("  ");
}

std::string changed_text(const ControlReply& reply) {
  std::string out;
  for (const auto& limit : reply.limits) out += limit_sentence(as_change(limit)) + "\n";
  return out;
}

std::string control_json(const ControlReply& reply) {
  Json out;
  out["config"] = reply.config;
  if (!reply.timestamp.empty()) out["timestamp"] = reply.timestamp;
  for (const auto& dump : reply.dumps) {
    Json it = {{"host", dump.host},     {"disk", dump.disk},
               {"level", dump.level},   {"state", stand_word(dump.stand)},
               {"paused", dump.paused}, {"bytes", dump.bytes}};
    if (dump.outcome != Outcome::none) it["outcome"] = outcome_word(dump.outcome);
    out["dumps"].push_back(std::move(it));
  }
  for (const auto& limit : reply.limits) {
    Json it = {{"limit", limit.limit}, {"value", limit.value}, {"before", limit.configured}};
    if (!limit.interface.empty()) it["interface"] = limit.interface;
    if (!limit.host.empty()) it["host"] = limit.host;
    if (!limit.disk.empty()) it["disk"] = limit.disk;
    out["limits"].push_back(std::move(it));
  }
  return text_of(out);
}

}  // namespace headrace::observe
