// Everything that happens in one run, as values. Whoever makes something happen appends one of these to the
// run's journal (file.h); status, report, Amanda's run log and crash recovery are reductions of the same list
// (state.h). Values only: no file, no clock. The text form is in codec.h and doc/journal-format.md.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/crc32c.h"

namespace headrace::journal {

// One dump of one disk. `timestamp` is the dump's (14 digits), which is the run's for tonight's dumps and an
// earlier one for an image that is flushed.
struct ImageId {
  std::string host;
  std::string disk;
  std::string timestamp;
  int level = 0;
  auto operator<=>(const ImageId&) const = default;
};

// A parameter of the configuration that a decision hangs on, and what it says now.
struct Parameter {
  std::string name;
  std::string value;
  std::string of = {};  // whose: a host, an interface, a disk; empty: of all
  bool operator==(const Parameter&) const = default;
};

enum class RunKind { dump, flush };
enum class Destination { holding, volume };
enum class Severity { info, warning, error, fatal };
// What Amanda calls the origin of a taper's trouble: the device, or a limit that the configuration sets.
enum class VolumeTrouble { error, config };

// --- the run
// ------------------------------------------------------------------------------------------------

// Always the first event.
struct RunStarted {
  std::string config;
  std::string org;
  std::string timestamp;  // 14 digits; names the journal and the run log
  std::string hostname;
  int64_t pid = 0;
  std::string version;  // of Headrace
  RunKind kind = RunKind::dump;
  int64_t in_parallel = 0;  // dumps at a time, as configured; 0 unknown
  bool operator==(const RunStarted&) const = default;
};

// Always the last event; its absence means that the run goes on or died.
struct RunFinished {
  int exit_status = 0;  // amreport's bits: 1 error, 2 strange, 4 failed, 8 missing, 16 volume
  double seconds = 0;
  bool operator==(const RunFinished&) const = default;
};

// Something an operator should read. `program` is Amanda's name of the part: planner, driver, dumper, taper.
struct Note {
  std::string program;
  Severity severity = Severity::info;
  std::string text;
  bool operator==(const Note&) const = default;
};

// Something incomplete that an earlier run left, found and dealt with at the start of this one.
struct LeftoverFound {
  std::string what;                                  // a sentence: what was found and what was done with it
  std::string host = {}, disk = {}, timestamp = {};  // empty when it belongs to no image
  int cut_level = -1;  // of a dump that was under way when its run died; else -1
  bool operator==(const LeftoverFound&) const = default;
};

// --- planning
// -----------------------------------------------------------------------------------------------

// This disk belongs to the run: without a later outcome its result is missing.
struct DleChosen {
  std::string host, disk;
  bool operator==(const DleChosen&) const = default;
};

// An image of an earlier run waits on holding disk and is written in this one.
struct FlushPlanned {
  ImageId image;
  std::string holding_file;
  uint64_t stored_kib = 0;
  std::string code = {};                   // why: run-died, autoflush
  std::vector<std::string> storages = {};  // it is to be written to; empty in old journals: one
  bool operator==(const FlushPlanned&) const = default;
};

struct EstimateGot {
  std::string host, disk;
  int level = 0;
  int64_t native_kib = -1;  // -1: the client has no value for this level
  std::string method;       // client, calcsize, server
  bool operator==(const EstimateGot&) const = default;
};

struct DlePlanned {
  ImageId image;
  std::string reason;  // a sentence: why this level tonight
  uint64_t est_native_kib = 0;
  uint64_t est_stored_kib = 0;
  uint64_t est_kps = 0;  // KiB/s expected; 0 unknown
  std::string interface = {};
  int64_t interface_kps = 0;  // what all dumps of the interface may take together; 0 unknown
  // The reason for programs, and what would have to be another value.
  std::string code = {};
  std::vector<Parameter> parameters = {};
  int64_t max_dumps = 0;  // of its host at a time (maxdumps); 0 unknown
  bool operator==(const DlePlanned&) const = default;
};

// Left out on purpose, as the configuration says; `reason` is Amanda's word (skip-full, skip-incr) or a
// sentence.
struct DleSkipped {
  ImageId image;
  std::string reason;
  bool operator==(const DleSkipped&) const = default;
};

struct PlanFailed {
  ImageId image;
  std::string message;
  bool operator==(const PlanFailed&) const = default;
};

// The schedule is complete; nothing more will be planned.
struct PlanDone {
  double seconds = 0;
  bool operator==(const PlanDone&) const = default;
};

// --- dumping
// ------------------------------------------------------------------------------------------------

// Why a planned dump or a held image does not move. Written when the reason changes. For programs: a word
// that stays, and what would have to be another value.
struct Waiting {
  ImageId image;
  std::string reason;
  std::string code = {};
  std::vector<Parameter> parameters = {};
  bool operator==(const Waiting&) const = default;
};

struct DumpStarted {
  ImageId image;
  int attempt = 1;  // counts from 1
  Destination to = Destination::holding;
  std::string path = {};  // the holding file; empty for a volume
  std::string why = {};   // why it goes there, in a word that stays
  bool operator==(const DumpStarted&) const = default;
};

// One joint of the dump's path: bytes moved so far and where its time went. Named by what it takes from
// ("source", "client compress", "server receive"), the last of each end by where it puts ("network send",
// "holding write", "volume write").
struct Joint {
  std::string name;
  uint64_t bytes = 0;
  uint64_t starved_ms = 0;    // nothing to move: waited for its source
  uint64_t blocked_ms = 0;    // the sink would not take more
  uint64_t gated_ms = 0;      // paused
  uint64_t throttled_ms = 0;  // a rate limit held it
  uint64_t busy_ms = 0;       // moving
  // Time with its buffer so many eighths full; empty: it has none, or an older run did not count.
  std::vector<uint64_t> fill_ms = {};
  bool operator==(const Joint&) const = default;
};

// One end of the dump's TCP connection, as its kernel counted since the connection began.
struct TcpEnd {
  std::string end;  // client: it sends; server: it receives
  uint64_t busy_ms = 0, rwnd_limited_ms = 0, sndbuf_limited_ms = 0, retransmits = 0;  // of a sender
  uint64_t segments = 0, out_of_order = 0;                                            // of a receiver
  uint64_t rtt_us = 0;                                                                // of this moment
  bool operator==(const TcpEnd&) const = default;
};

// A sample of an image on its way; the newest one counts. While it is dumped: from the client; while it is
// written from holding disk: to the volume.
struct DumpProgress {
  ImageId image;
  uint64_t bytes = 0;          // moved on this attempt
  std::string waits_for = {};  // what holds it up at the moment; empty: nothing
  std::vector<Joint> joints = {};
  std::vector<TcpEnd> tcp = {};
  std::string storage = {};  // on the way to which; empty: from the client, or in old journals
  bool operator==(const DumpProgress&) const = default;
};

// What stands in the way of a dump, or of a held image's writing, from now on; again every few seconds while
// it stays the same. `verdict` is one of flow/verdict.h's words.
struct Verdict {
  ImageId image;
  std::string verdict;
  double confidence = 0;     // 0 to 1
  std::string evidence;      // a sentence with numbers
  uint64_t rate = 0;         // bytes a second, of the last seconds
  std::string storage = {};  // as in DumpProgress
  bool operator==(const Verdict&) const = default;
};

// Likewise of the run as a whole.
struct RunVerdict {
  std::string verdict;
  double confidence = 0;
  std::string evidence;
  uint64_t rate = 0;
  bool operator==(const RunVerdict&) const = default;
};

struct DumpFinished {
  ImageId image;
  int attempt = 1;
  uint64_t native_kib = 0;
  uint64_t stored_kib = 0;
  double seconds = 0;
  base::CrcAndSize native_crc = {}, client_crc = {}, server_crc = {};
  bool strange = false;
  // The client's, as received: "| normal", "? strange", "sendbackup: …".
  std::vector<std::string> messages = {};
  bool operator==(const DumpFinished&) const = default;
};

struct DumpFailed {
  ImageId image;
  int attempt = 1;
  std::string message;
  std::vector<std::string> messages = {};  // the client's
  bool will_retry = false;
  bool operator==(const DumpFailed&) const = default;
};

// The planned dump ends without an image: never started, or no try is left.
struct DumpGivenUp {
  ImageId image;
  std::string reason;
  // The reason for programs, and what would have to be another value.
  std::string code = {};
  std::vector<Parameter> parameters = {};
  bool operator==(const DumpGivenUp&) const = default;
};

// A complete image stands on holding disk under its final name.
struct ImageHeld {
  ImageId image;
  std::string holding_file;
  uint64_t stored_kib = 0;
  double seconds = 0;
  base::CrcAndSize server_crc = {};
  std::vector<std::string> storages = {};  // it is to be written to; empty in old journals: one
  bool operator==(const ImageHeld&) const = default;
};

// --- volumes
// ------------------------------------------------------------------------------------------------

struct VolumeStarted {
  std::string label;
  std::string slot;
  int sequence = 1;  // of the run's volumes of its storage, from 1
  std::string storage, pool;
  std::string timestamp;    // written into the label
  uint64_t length_kib = 0;  // nominal capacity; 0 unknown
  bool operator==(const VolumeStarted&) const = default;
};

struct ImageWriteStarted {
  ImageId image;
  std::string storage, pool;
  std::string label = {};  // of the volume it begins on; empty in old journals
  bool operator==(const ImageWriteStarted&) const = default;
};

struct PartWritten {
  ImageId image;
  std::string storage, pool, label;
  uint64_t fileno = 0;
  int part = 1;
  int parts = -1;  // -1: not known yet
  uint64_t bytes = 0;
  double seconds = 0;
  uint64_t orig_kib = 0;  // 0 unknown
  bool operator==(const PartWritten&) const = default;
};

// The part is not on the volume; it is written again on the next one, under the same number.
struct PartFailed {
  ImageId image;
  std::string storage, pool, label;
  uint64_t fileno = 0;
  int part = 1;
  uint64_t bytes = 0;
  double seconds = 0;
  std::string reason;
  bool operator==(const PartFailed&) const = default;
};

// All parts are on volumes: only now do they count.
struct ImageWritten {
  ImageId image;
  std::string storage, pool;
  int parts = 0;
  uint64_t bytes = 0;
  double seconds = 0;
  uint64_t orig_kib = 0;
  base::CrcAndSize native_crc = {}, client_crc = {}, server_crc = {};
  bool operator==(const ImageWritten&) const = default;
};

struct ImageWriteFailed {
  ImageId image;
  std::string storage, pool;
  bool partial = false;  // parts of it are on a volume
  int parts = 0;
  uint64_t bytes = 0;
  double seconds = 0;
  std::string reason;
  bool will_retry = false;
  bool operator==(const ImageWriteFailed&) const = default;
};

// The image stays on holding disk when the run ends; the next run or a flush writes it. Once for each storage
// that does not get it.
struct ImageLeftOnHolding {
  ImageId image;
  std::string holding_file;
  uint64_t stored_kib = 0;
  std::string reason;
  std::string code = {};  // the same in a word that stays
  std::vector<Parameter> parameters = {};
  std::string storage = {};  // that does not get it in this run; empty: none does, or in old journals
  bool operator==(const ImageLeftOnHolding&) const = default;
};

struct VolumeFinished {
  std::string label;
  uint64_t kib = 0;
  uint64_t files = 0;
  std::string message = "OK";  // "OK", or why the volume ended
  bool operator==(const VolumeFinished&) const = default;
};

// No volume of this storage to be had: from now on what it should get stays on holding disk.
struct NoVolume {
  VolumeTrouble trouble = VolumeTrouble::error;
  std::string reason;
  std::string storage = {};  // empty in old journals
  bool operator==(const NoVolume&) const = default;
};

// --- what the operator changes meanwhile
// ---------------------------------------------------------------------

// A gate holds this disk's dump from now on: its bytes stop, or it does not start. Several may hold it.
struct DumpPaused {
  std::string host, disk;
  std::string by;  // "operator" or "diagnose"
  bool operator==(const DumpPaused&) const = default;
};

// `by` no longer holds it.
struct DumpResumed {
  std::string host, disk;
  std::string by;
  bool operator==(const DumpResumed&) const = default;
};

// A limit is another one from now on.
struct LimitChanged {
  std::string limit;                                 // inparallel, netusage, maxdumps, rate
  std::string interface = {}, host = {}, disk = {};  // whose; all empty: the whole run's
  int64_t before = 0, after = 0;                     // dumps; KiB/s (netusage); bytes a second (rate), 0 none
  bool operator==(const LimitChanged&) const = default;
};

// --- the rest
// -----------------------------------------------------------------------------------------------

// Written by a newer Headrace; kept as it was read.
struct Unknown {
  std::string type;
  std::string json;  // the whole line, without the newline
  bool operator==(const Unknown&) const = default;
};

using Body =
    std::variant<RunStarted, RunFinished, Note, LeftoverFound, DleChosen, FlushPlanned, EstimateGot,
                 DlePlanned, DleSkipped, PlanFailed, PlanDone, Waiting, DumpStarted, DumpProgress,
                 DumpFinished, DumpFailed, DumpGivenUp, ImageHeld, VolumeStarted, ImageWriteStarted,
                 PartWritten, PartFailed, ImageWritten, ImageWriteFailed, ImageLeftOnHolding, VolumeFinished,
                 NoVolume, DumpPaused, DumpResumed, LimitChanged, Verdict, RunVerdict, Unknown>;

struct Event {
  int64_t wall_us = 0;  // microseconds since 1970
  Body body;
  bool operator==(const Event&) const = default;
};

}  // namespace headrace::journal
