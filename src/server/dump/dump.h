// One dump from end to end, as the server sees it: asks the client for it, reads its streams side by side,
// hands the image to a Target, checks size and CRC, and reports one outcome. Owned by the run; destroying it
// cancels: the connection closes and the client ends its archiver. Loop thread. Knows nothing of other dumps.
//
//   connecting ─▶ asking ─▶ opening streams ─▶ streaming ─▶ settling ─▶ over
//        └───────────┴────────────┴──────────────┴────────────┘ error, deadline, cancel
//
// A dump is good only when the client said "size" and "end", reported no error, and the bytes that arrived
// have the length and CRC it named. An index that cannot be kept is a blemish (strange), no failure: the
// image can be restored without it. The connection carries DATA, MESG, INDEX and STATE of this dump alone,
// and each is drained into something that needs nothing of that connection, so none can hold up the others
// for ever.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/connect.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "compat/index_file.h"
#include "exchange/requester.h"
#include "flow/gate.h"
#include "flow/meter.h"
#include "flow/throttle.h"
#include "loop/loop.h"
#include "loop/stream.h"
#include "wire/dle.h"
#include "wire/dump_header.h"
#include "wire/features.h"
#include "wire/meter_line.h"
#include "wire/sendbackup.h"

namespace headrace::dump {

// Where an image goes. Called on the loop's thread; lives until the dump is over.
class Target {
 public:
  virtual ~Target() = default;
  // The header is known: gives the stream that takes the image. Called at most once.
  virtual base::Result<loop::Writable*> open(const wire::DumpHeader& header) = 0;
  // All bytes were taken and they are right: make it last. `header` has sizes and CRCs. Called at most once,
  // after open(); after it fails, abandon() follows.
  virtual void finish(const wire::DumpHeader& header, std::move_only_function<void(base::Result<>)> done) = 0;
  // The dump failed: nothing of it may look like a good image. May be called without open().
  virtual void abandon() = 0;
};

struct DumpRequest {
  auth::Peer peer;
  std::string host;       // as in the disklist
  wire::Dle dle;          // with exactly one level
  std::string timestamp;  // 14 digits
  std::string config;
  std::string dump_user;  // of the SECURITY line
  wire::FeatureSet client_features;
  exchange::RequestTimes times;
  base::Duration data_timeout = std::chrono::seconds(1800);  // dtimeout
  compat::IndexKey index;                                    // where the index goes, when the DLE wants one
  compat::IndexForm index_form;
  size_t max_messages = 1000;  // client messages kept for the report
};

struct DumpOutcome {
  // Success, or why not; kinds: gone and again may be retried, refused is the operator's.
  base::Result<> result;
  bool strange = false;
  std::optional<wire::Retry> retry;  // of a failed one: the client asks to be called again, then
  uint64_t native_kib = 0;           // the client's "size"
  base::CrcAndSize native_crc, client_crc, server_crc;
  uint64_t stored_bytes = 0;
  double seconds = 0;
  std::vector<std::string> messages;  // the client's MESG lines as received
  wire::DumpHeader header;            // complete when good
};

struct ClientMeters {
  wire::MeterLine line;
  base::Instant at;
};

// What is sent to the client. `names_user`: the way there wants the dump user named.
std::string sendbackup_request(const DumpRequest& dump, bool names_user);

class Dump {
 public:
  using Done = std::move_only_function<void(DumpOutcome)>;
  // Borrows loop, connector and target.
  Dump(loop::Loop& loop, auth::Connector& connector, DumpRequest request, Target& target);
  ~Dump();
  Dump(const Dump&) = delete;
  Dump& operator=(const Dump&) = delete;

  void start(Done done);
  // The target has the image for good and only the index is being put away: the dump ends well by itself
  // soon.
  bool image_safe() const;
  // Closing it stops DATA from being read; nothing times out meanwhile.
  flow::Gate& gate();
  // Holds DATA to a rate, together with all others that have the same one; at any time. Borrowed.
  void set_throttle(flow::Throttle& throttle);
  uint64_t bytes() const;
  // The joints of our side in the order of the path; empty before data flows. Valid until the dump is over.
  std::vector<const flow::Meter*> meters() const;
  // What a Headrace client last said of its side (wire/meter_line.h), and when it came; nullopt before, and
  // of other clients always.
  const std::optional<ClientMeters>& client_meters() const;
  // The socket that the data comes through, for asking the kernel about it; -1 when there is none.
  int data_fd() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::dump
