// One dump asked of a client and received: the request, its streams, and a reader for each that can be
// stopped, slowed and paused. What comes is counted and thrown away. Owned by the tool; loop thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "auth/connect.h"
#include "exchange/requester.h"
#include "flow/crc_tap.h"
#include "flow/pump.h"
#include "wire/dle.h"
#include "wire/features.h"

namespace headrace::bench {

enum StreamIndex : size_t { kData, kMesg, kIndex, kState, kStreams };
inline constexpr std::array<const char*, kStreams> kStreamNames{"DATA", "MESG", "INDEX", "STATE"};

// What all dumps have in common.
struct DumpOptions {
  auth::Peer peer;
  std::string user;
  std::string config;
  wire::FeatureSet features;  // ours
  bool check_crc = true;
  size_t budget_bytes = flow::kDefaultBudgetBytes;  // what a DATA reader may hold
};

// Takes everything; MESG keeps its lines.
class Drain : public loop::Writable {
 public:
  explicit Drain(loop::Loop& loop, bool keep) : loop_(loop), keep_(keep) {}
  loop::IoResult write(std::span<const iovec> pieces) override;
  void await_writable(loop::Ready ready) override { loop_.post(std::move(ready)); }
  base::Error error() const override { return {base::ErrorKind::cancelled, "drained"}; }
  void finish(std::move_only_function<void(base::Result<>)> done) override;
  void abandon() override {}
  const std::string& kept() const { return kept_; }

 private:
  loop::Loop& loop_;
  const bool keep_;
  std::string kept_;
};

class RemoteDump {
 public:
  // Told once: empty when the dump is good, else what is wrong with it.
  using Ended = std::move_only_function<void(const std::string& fault)>;

  RemoteDump(loop::Loop& loop, auth::Connector& connector, const DumpOptions& options, wire::Dle dle);

  // `streaming` is called once the client has replied and the streams are open.
  void start(std::move_only_function<void()> streaming, Ended ended);

  const std::string& name() const { return dle_.disk; }
  // Bytes read of a stream so far.
  uint64_t bytes(StreamIndex which) const;
  bool over() const { return over_; }

  void stop(StreamIndex which);
  void go(StreamIndex which);
  // 0: no limit.
  void set_rate(StreamIndex which, uint64_t bytes_per_second);
  // Reads for `percent` of each `period`, and not for the rest of it.
  void set_duty(StreamIndex which, unsigned percent, base::Duration period);
  std::string client_crc() const;

 private:
  struct Reader {
    explicit Reader(loop::Loop& loop, bool keep) : throttle(loop), drain(loop, keep) {}
    flow::Gate gate;
    flow::Throttle throttle;
    Drain drain;
    std::unique_ptr<loop::Duplex> stream;
    std::unique_ptr<flow::Pump> pump;
    std::unique_ptr<loop::Timer> duty;
    unsigned percent = 100;
    base::Duration period{};
    bool ended = false;
  };

  void ask();
  void replied(const std::string& body);
  void receive(std::vector<std::unique_ptr<loop::Duplex>> streams);
  void beat(Reader& reader, bool reading);
  void end(std::string fault);
  std::string verdict() const;

  loop::Loop& loop_;
  auth::Connector& connector_;
  const DumpOptions& options_;
  const wire::Dle dle_;
  std::move_only_function<void()> streaming_;
  Ended ended_;
  std::unique_ptr<loop::Operation> connecting_;
  std::unique_ptr<auth::Path> path_;
  std::unique_ptr<exchange::Requester> requester_;
  flow::CrcTap crc_;
  std::array<std::unique_ptr<Reader>, kStreams> readers_;
  bool over_ = false;
};

}  // namespace headrace::bench
