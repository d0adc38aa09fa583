#include "cli/run_control.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "base/bytes.h"

namespace headrace::cli {

using observe::ControlDump;
using observe::ControlReply;
using observe::ControlRequest;

namespace {

constexpr const char* kOperator = "operator";
constexpr const char* kDiagnose = "diagnose";

ControlReply refusal(std::string sentence) {
  ControlReply reply;
  reply.error = std::move(sentence);
  return reply;
}

ControlDump::Outcome outcome_of(drive::PauseOutcome outcome) {
  switch (outcome) {
    case drive::PauseOutcome::done:
      return ControlDump::Outcome::done;
    case drive::PauseOutcome::already:
      return ControlDump::Outcome::already;
    case drive::PauseOutcome::over:
      break;
  }
  return ControlDump::Outcome::over;
}

std::vector<observe::ControlLimit> to_reply(const std::vector<drive::LimitInForce>& limits) {
  std::vector<observe::ControlLimit> out;
  for (const auto& it : limits)
    out.push_back({it.limit, it.interface, it.host, it.disk, it.value, it.configured});
  return out;
}

}  // namespace

ControlReply RunControl::begin_reply() const {
  ControlReply reply;
  reply.config = runner_.state().run.config;
  reply.timestamp = runner_.timestamp();
  reply.now_us =
      std::chrono::duration_cast<std::chrono::microseconds>(loop_.clock().now().time_since_epoch()).count();
  return reply;
}

ControlDump RunControl::dump_of(const drive::DiskStand& stand) const {
  ControlDump out;
  out.host = stand.disk->host;
  out.disk = stand.disk->disk;
  out.spindle = stand.disk->spindle;
  out.bytes = stand.bytes;
  if (stand.received) out.joints.push_back(*stand.received);
  out.verdict = stand.verdict;
  if (stand.dump == nullptr) {
    out.stand = ControlDump::Stand::over;  // not in this run
    return out;
  }
  const auto& dump = *stand.dump;
  out.level = dump.image.level;
  out.paused = dump.paused;
  out.est_bytes = dump.est_stored_kib * base::kKiB;
  switch (dump.phase) {
    case journal::Phase::chosen:
      out.stand = ControlDump::Stand::planning;
      break;
    case journal::Phase::planned:
      out.stand = ControlDump::Stand::waiting;
      break;
    case journal::Phase::dumping:
      out.stand = ControlDump::Stand::dumping;
      break;
    default:
      out.stand = ControlDump::Stand::over;
  }
  return out;
}

ControlReply RunControl::handle(const ControlRequest& request, uint64_t client) {
  switch (request.what) {
    case ControlRequest::Do::show:
      return show(request);
    case ControlRequest::Do::pause:
    case ControlRequest::Do::resume:
      return pause_or_resume(request);
    case ControlRequest::Do::only:
      return only(request, client);
    case ControlRequest::Do::limit:
      break;
  }
  return limit(request);
}

ControlReply RunControl::show(const ControlRequest& request) const {
  const auto chosen = runner_.select(request.words, request.exact);
  if (!chosen) return refusal(chosen.error().what());
  auto reply = begin_reply();
  const auto stands = runner_.disks();
  for (const size_t disk : *chosen) reply.dumps.push_back(dump_of(stands[disk]));
  reply.limits = to_reply(runner_.limits());
  return reply;
}

ControlReply RunControl::pause_or_resume(const ControlRequest& request) {
  const auto chosen = runner_.select(request.words, request.exact);
  if (!chosen) return refusal(chosen.error().what());
  const bool closes = request.what == ControlRequest::Do::pause;
  std::vector<drive::PauseOutcome> outcomes;
  for (const size_t disk : *chosen)
    outcomes.push_back(closes ? runner_.pause(disk, kOperator) : runner_.resume(disk, kOperator));
  auto reply = begin_reply();
  const auto stands = runner_.disks();
  for (size_t i = 0; i < chosen->size(); ++i) {
    reply.dumps.push_back(dump_of(stands[(*chosen)[i]]));
    reply.dumps.back().outcome = outcome_of(outcomes[i]);
  }
  return reply;
}

ControlReply RunControl::only(const ControlRequest& request, uint64_t client) {
  if (experimenter_ && *experimenter_ != client)
    return refusal("another \"headrace diagnose\" is at work on this run; one at a time");
  const auto chosen = runner_.select(request.words, request.exact);
  if (!chosen) return refusal(chosen.error().what());
  experimenter_ = client;
  const std::set<size_t> open(chosen->begin(), chosen->end());
  const size_t disks = runner_.disks().size();
  for (size_t disk = 0; disk < disks; ++disk)
    (void)(open.contains(disk) ? runner_.resume(disk, kDiagnose) : runner_.pause(disk, kDiagnose));
  return begin_reply();
}

ControlReply RunControl::limit(const ControlRequest& request) {
  drive::LimitChange change;
  const auto set = [](int64_t value) { return value < 0 ? std::nullopt : std::optional(value); };
  change.in_parallel = set(request.in_parallel);
  change.netusage_kps = set(request.netusage_kps);
  change.interface = request.interface;
  change.words = request.words;
  change.exact = request.exact;
  change.max_dumps = set(request.max_dumps);
  change.rate = set(request.rate);
  const auto changed = runner_.change_limits(change);
  if (!changed) return refusal(changed.error().what());
  auto reply = begin_reply();
  reply.limits = to_reply(*changed);
  return reply;
}

void RunControl::gone(uint64_t client) {
  if (experimenter_ != client) return;
  experimenter_.reset();
  const auto all = runner_.select({}, false);
  if (!all) return;
  for (const size_t disk : *all) (void)runner_.resume(disk, kDiagnose);
}

}  // namespace headrace::cli
