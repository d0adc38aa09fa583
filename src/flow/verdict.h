// Which part of a dump's path holds it up, judged from what its joints measured in a window of time. Pure:
// the rim samples meters, TCP_INFO and processor use, and this reads them.
//
//   source ─J─▶ client filters ─J─▶ network ─J─▶ server filters ─J─▶ holding disk (─J─▶ volume)
//
// The part in the way is the one before which everything is blocked and behind which everything is starved.
// So each part gets the share of time that was lost to it: for the last one, what its joint was blocked; for
// the first, what its joint was starved; for one between two joints, by how much the joint before it was
// blocked longer than the one behind it, and the one behind it starved longer than the one before. The shares
// add up to about one. Whatever has clearly more than half of the time is the verdict; when nothing has, it
// is `none`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flow/meter.h"

namespace headrace::flow {

enum class Verdict : unsigned char {
  none,          // nothing stands in the way most of the time
  source,        // the archiver has nothing to give: it waits for its disk
  client_cpu,    // a filter, the archiver or the client program is short of processor
  network,       // data is there on one side and wanted on the other
  server_cpu,    // likewise a filter or the program of the server
  holding_disk,  // it takes data too slowly
  volume,        // likewise, or the holding disk has no room until a volume takes some
  throttled,     // we hold it: a closed gate, a rate limit
  scheduled,     // it has not begun: its turn has not come
};
std::string_view name_of(Verdict verdict);

// Where the time of one joint went: shares, 0 to 1, of what it was measured.
struct JointShares {
  double starved = 0, blocked = 0, gated = 0, throttled = 0, busy = 0;
  // Share of the time in which its buffer was nearly full, so that reading was about to stop; unset when it
  // has no buffer. Tells a sink that is merely at work from one that holds things up.
  std::optional<double> full = {};
};
// nullopt: no time passed between the two.
std::optional<JointShares> shares_between(const MeterSnapshot& before, const MeterSnapshot& after);

// Shares of one processor in the window.
struct CpuShare {
  double ran = 0;
  double queued = 0;  // ready to run, without a processor
  double wanted() const { return ran + queued; }
};

enum class Part : unsigned char { source, client_filter, network, server_filter, holding_disk, volume };
struct Stage {
  Part part = Part::source;
  std::string name = {};             // what sentences call a program: "tar", "compress"
  std::optional<CpuShare> cpu = {};  // of that program
};

// Of the sending end of the connection: shares of the window.
struct SenderTcp {
  double busy = 0;          // data was on its way or waiting
  double rwnd_limited = 0;  // the receiver's window was full
  double sndbuf_limited = 0;
  uint64_t retransmits = 0;  // in the window
  double rtt_ms = 0;
};
// Of the receiving end, the only one that a foreign client leaves us.
struct ReceiverTcp {
  uint64_t segments = 0;      // in the window
  double segment_fill = 0;    // mean size of a segment, as a share of the largest
  uint64_t out_of_order = 0;  // in the window
};

struct Observation {
  double seconds = 0;  // length of the window
  std::vector<Stage> stages = {};
  // joints[i] lies between stages[i] and stages[i + 1]; unset where we cannot see (another program's client).
  std::vector<std::optional<JointShares>> joints = {};
  std::optional<CpuShare> client_thread = {}, server_thread = {};  // of the threads that move the data
  std::optional<SenderTcp> sender = {};
  std::optional<ReceiverTcp> receiver = {};
  // Share of the window in which the last part waited for room on the holding disks, not for the disks.
  double waited_for_room = 0;
};

struct Judgement {
  Verdict verdict = Verdict::none;
  double confidence = 0;  // 0 to 1
  std::string evidence;   // a sentence with the numbers it rests on
};
// Precondition: one joint fewer than stages.
Judgement judge(const Observation& seen);

// A dump that has not begun, or an image that is not being written: `waits_for` follows "waits for".
Judgement judge_waiting(Verdict verdict, std::string_view waits_for);

}  // namespace headrace::flow
