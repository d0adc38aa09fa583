#include "server/dump/dump.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/alive.h"
#include "base/bytes.h"
#include "flow/filter_chain.h"
#include "flow/lines.h"
#include "flow/pump.h"
#include "server/dump/index_sink.h"
#include "server/dump/message_log.h"
#include "server/dump/server_filters.h"
#include "wire/dle_request.h"
#include "wire/packet.h"
#include "wire/sendbackup.h"

namespace headrace::dump {

using base::Error;
using base::ErrorKind;
using base::Result;

namespace {

// How often a dump looks whether its client has gone silent: at least, at most.
constexpr base::Duration kSilenceCheckLeast = std::chrono::milliseconds(10);
constexpr base::Duration kSilenceCheck = std::chrono::seconds(1);
// More than this of messages is no dump any more.
constexpr uint64_t kMaxMesgBytes = uint64_t{256} << 20U;
// DATA that comes before the header is described waits in its stream's own queue.
enum StreamIndex : size_t { kData, kMesg, kIndex, kState };

}  // namespace

std::string sendbackup_request(const DumpRequest& dump, bool names_user) {
  wire::DleRequest dle_request;
  dle_request.options.features = wire::FeatureSet::ours_to(dump.client_features);
  dle_request.options.maxdumps = 1;
  dle_request.options.hostname = dump.host;
  dle_request.options.config = dump.config;
  dle_request.options.timestamp = dump.timestamp;
  dle_request.dles = {dump.dle};
  wire::Request request;
  if (names_user) request.security_user = dump.dump_user;
  request.service = "sendbackup";
  request.arguments = wire::encode_dle_request(dle_request, wire::DleFor::sendbackup, dump.client_features);
  return wire::encode_request(request);
}

class Dump::Impl {
 public:
  Impl(loop::Loop& loop, auth::Connector& connector, DumpRequest request, Target& target)
      : loop_(loop),
        connector_(connector),
        request_(std::move(request)),
        target_(target),
        messages_(request_.max_messages),
        index_lane_(loop.new_lane()) {}

  ~Impl() {
    if (!over_) let_go();
  }

  void start(Done done) {
    done_ = std::move(done);
    began_ = loop_.clock().now();
    connecting_ = connector_.connect(request_.peer,
                                     [this, alive = alive_.ref()](Result<std::unique_ptr<auth::Path>> path) {
                                       if (alive.expired()) return;
                                       if (!path) return fail(std::move(path).error());
                                       path_ = std::move(*path);
                                       ask();
                                     });
  }

  void set_throttle(flow::Throttle& throttle) {
    throttle_ = &throttle;
    if (data_) data_->set_throttle(throttle);
  }

  flow::Gate gate_;
  bool image_safe() const { return image_safe_; }
  uint64_t bytes() const { return data_ ? data_->entry_meter().snapshot().bytes : 0; }
  std::vector<const flow::Meter*> meters() const {
    return data_ ? data_->meters() : std::vector<const flow::Meter*>();
  }
  const std::optional<ClientMeters>& client_meters() const { return client_meters_; }
  int data_fd() const { return data_ && !streams_.empty() ? streams_[kData]->native_fd() : -1; }

 private:
  int level() const { return request_.dle.levels.front().level; }

  void ask() {
    requester_ = std::make_unique<exchange::Requester>(
        loop_, path_->begin(), sendbackup_request(request_, path_->names_user()), request_.times);
    requester_->start(nullptr, [this](Result<std::string> body) {
      if (!body) return fail(std::move(body).error().during("asking for the dump"));
      replied(*body);
    });
  }

  void replied(const std::string& body) {
    auto reply = wire::parse_sendbackup_reply(body);
    if (!reply) return fail(std::move(reply).error());
    if (!reply->errors.empty())
      return fail(Error(ErrorKind::refused, "the client refuses: " + reply->errors.front()));
    if (reply->retry) {
      outcome_.retry = reply->retry;
      return fail(
          Error(ErrorKind::again, "the client asks to be called again later: " + reply->retry->message));
    }
    if (!reply->streams) return fail(Error(ErrorKind::corrupt, "the client's reply names no streams"));
    std::vector<int64_t> numbers;
    for (const char* name : {"DATA", "MESG", "INDEX", "STATE"})
      numbers.push_back(reply->streams->id_of(name));
    requester_->open_streams(std::move(numbers), [this](Result<exchange_streams> streams) {
      if (!streams) return fail(std::move(streams).error().during("opening the client's streams"));
      streams_ = std::move(*streams);
      stream();
    });
  }

  void stream() {
    last_sign_of_life_ = loop_.clock().now();
    watch_silence();
    mesg_ = std::make_unique<flow::LineReader>(
        loop_, *streams_[kMesg], [this](std::string_view line, bool partial) { message(line, partial); },
        [this](Result<> end) {
          mesg_ended_ = true;
          if (!end && !stream_failure_) stream_failure_ = std::move(end).error();
          if (!messages_.header_complete()) {
            if (stream_failure_) return fail(*stream_failure_);
            auto verdict = messages_.verdict();
            return fail(verdict ? Error(ErrorKind::gone, "the client sent no header")
                                : std::move(verdict).error());
          }
          settle_when_all_ended();
        });
    mesg_->start();
    if (streams_[kIndex]) {
      index_ = make_sink(IndexPart::index);
      index_pump_ = drain(*streams_[kIndex], index_, index_ended_);
    }
    if (streams_[kState]) {
      state_ = make_sink(IndexPart::state);
      state_pump_ = drain(*streams_[kState], state_, state_ended_);
    }
    index_ended_ = !streams_[kIndex];
    state_ended_ = !streams_[kState];
  }

  std::unique_ptr<IndexSink> make_sink(IndexPart part) {
    return std::make_unique<IndexSink>(loop_, index_lane_, request_.index, request_.index_form, part);
  }

  // A pump that cannot write goes on discarding, so that an index without a place does not stop the dump.
  std::unique_ptr<flow::Pump> drain(loop::Duplex& source, std::unique_ptr<IndexSink>& sink, bool& ended) {
    flow::PumpOptions options;
    options.budget_bytes = flow::kTransformBudgetBytes;
    options.name = fmt::format("{}:{} INDEX", request_.host, request_.dle.disk);
    auto pump = std::make_unique<flow::Pump>(loop_, source, sink->stream(), options);
    pump->start([this, &sink, &ended](Result<> outcome) {
      ended = true;
      if (!outcome) {
        index_blemish(outcome.error());
        sink.reset();
      }
      settle_when_all_ended();
    });
    return pump;
  }

  void index_blemish(const Error& error) {
    outcome_.strange = true;
    outcome_.messages.push_back("? the index could not be kept: " + error.what());
  }

  void message(std::string_view line, bool partial) {
    // No sign of life: a client reports its meters while its archiver hangs.
    if (const auto meter = wire::classify_mesg(line); meter.kind == wire::MesgLine::Kind::meter) {
      if (auto read = wire::parse_meter(meter.text)) client_meters_ = {std::move(*read), loop_.clock().now()};
      return;
    }
    last_sign_of_life_ = loop_.clock().now();
    mesg_bytes_ += line.size() + 1;
    if (mesg_bytes_ > kMaxMesgBytes) {
      return fail(Error(ErrorKind::corrupt, fmt::format("the client sends messages without end: more than {}",
                                                        base::human_bytes(kMaxMesgBytes))));
    }
    messages_.add(line, partial);
    if (messages_.header_complete() && !data_ && !failing_) open_target();
  }

  void open_target() {
    wire::DumpHeader& header = outcome_.header;
    header.type = wire::DumpHeader::Type::file;
    header.timestamp = request_.timestamp;
    header.host = request_.host;
    header.disk = request_.dle.disk;
    header.level = level();
    header.dle_xml =
        wire::encode_dle_xml(request_.dle, wire::DleFor::header, wire::FeatureSet::ours_as_server());
    messages_.describe(header);
    if (auto sound = as_asked(request_.dle, header); !sound) return fail(std::move(sound).error());
    describe_server_filters(request_.dle, header);
    header.blocksize = wire::kHeaderBlockBytes;
    auto sink = target_.open(header);
    if (!sink) return fail(std::move(sink).error());
    data_ = std::make_unique<flow::FilterChain>(
        loop_, *streams_[kData], **sink,
        flow::ChainOptions{.name = fmt::format("{}:{}", request_.host, request_.dle.disk),
                           .finish_sink = false});
    data_->set_gate(gate_);
    if (throttle_ != nullptr) data_->set_throttle(*throttle_);
    auto flowing = data_->start(
        server_filters(request_.dle),
        [this](std::string_view role, std::string_view line) {
          messages_.add(fmt::format("? {}: {}", role, line), false);
        },
        [this](Result<flow::ChainOutcome> outcome) {
          if (!outcome) return fail(std::move(outcome).error().during("receiving the dump"));
          data_outcome_ = *outcome;
          settle_when_all_ended();
        });
    if (!flowing) fail(std::move(flowing).error());
  }

  static bool blocked(const flow::Meter& meter) { return meter.state() == flow::FlowState::blocked; }

  void watch_silence() {
    const auto interval = std::clamp(request_.data_timeout, kSilenceCheckLeast, kSilenceCheck);
    silence_ = loop_.after(interval, [this] {
      uint64_t now_bytes = data_ ? data_->moved_bytes() : 0;
      // A closed gate, a rate limit, or a file that takes nothing, is our own doing and no silence of the
      // client.
      bool ours =
          !gate_.open() ||
          (data_ && (blocked(data_->meter()) || data_->entry_meter().state() == flow::FlowState::throttled));
      for (const auto* pump : {index_pump_.get(), state_pump_.get()}) {
        if (pump == nullptr) continue;
        now_bytes += pump->meter().snapshot().bytes;
        ours = ours || blocked(pump->meter());
      }
      const auto now = loop_.clock().now();
      if (now_bytes != seen_bytes_ || ours) last_sign_of_life_ = now;
      seen_bytes_ = now_bytes;
      if (now - last_sign_of_life_ > request_.data_timeout) {
        const bool filter = data_ && blocked(data_->entry_meter());
        return fail(Error(
            ErrorKind::again,
            fmt::format("data timeout: {} for {} seconds (dtimeout)",
                        filter ? "the server's filters took nothing" : "the client sent nothing",
                        std::chrono::duration_cast<std::chrono::seconds>(request_.data_timeout).count())));
      }
      watch_silence();
    });
  }

  void settle_when_all_ended() {
    if (failing_ || !mesg_ended_ || !data_outcome_ || !index_ended_ || !state_ended_) return;
    silence_.reset();
    outcome_.native_crc = messages_.native_crc();
    outcome_.client_crc = messages_.client_crc();
    outcome_.server_crc = data_outcome_->left;
    outcome_.native_kib = messages_.native_kib();
    outcome_.stored_bytes = data_outcome_->left.size;
    if (auto verdict = messages_.verdict(); !verdict) return fail(std::move(verdict).error());
    if (stream_failure_) return fail(*stream_failure_);
    const base::CrcAndSize& received = data_outcome_->entered;
    if (received.size == 0 && outcome_.native_kib > 0) {
      return fail(
          Error(ErrorKind::corrupt,
                fmt::format("the client says that it dumped {} KiB, and none came", outcome_.native_kib)));
    }
    if (outcome_.client_crc.known() && outcome_.client_crc != received) {
      return fail(Error(ErrorKind::corrupt,
                        fmt::format("client CRC ({}) does not match that of the data received ({})",
                                    outcome_.client_crc.text(), received.text())));
    }
    wire::DumpHeader& header = outcome_.header;
    header.orig_size_kib = outcome_.native_kib;
    header.native_crc = outcome_.native_crc;
    header.client_crc = outcome_.client_crc;
    header.server_crc = outcome_.server_crc;
    target_.finish(header, [this, alive = alive_.ref()](Result<> done) {
      if (alive.expired()) return;
      if (!done) return fail(std::move(done).error());
      image_safe_ = true;
      keep_index();
    });
  }

  // The image is safe; an index that fails is a blemish the report names, not a lost dump.
  void keep_index() {
    auto kept = [this, alive = alive_.ref()](Result<> outcome) {
      if (alive.expired()) return;
      if (!outcome) index_blemish(outcome.error());
      if (--keeping_ == 0) succeed();
    };
    keeping_ = 1;
    if (index_) {
      keeping_ += 2;
      index_->keep(kept);
      auto header_written = std::make_shared<Result<>>();
      loop_.offload(
          index_lane_,
          [key = request_.index, header = outcome_.header, header_written] {
            // The header file is text for people and amrecover; the block size of a volume means nothing
            // there.
            auto plain = header;
            plain.blocksize = 0;
            auto text = wire::encode_header_text(plain);
            *header_written =
                text ? compat::write_index_header(key, *text) : Result<>(std::unexpected(text.error()));
          },
          [header_written, kept]() mutable { kept(std::move(*header_written)); });
    }
    if (state_) {
      ++keeping_;
      state_->keep(kept);
    }
    kept({});
  }

  void succeed() {
    outcome_.result = {};
    report();
  }

  void fail(Error error) {
    if (failing_ || over_) return;
    failing_ = true;
    let_go();
    outcome_.result = std::unexpected(std::move(error));
    // Behind what removes this try's index: the next try finds its names free.
    loop_.offload(
        index_lane_, [] {},
        [this, alive = alive_.ref()] {
          if (!alive.expired()) report();
        });
  }

  // Everything towards the client and the target is given up, in the order of who uses whom.
  void let_go() {
    silence_.reset();
    data_.reset();
    if (!image_safe_) target_.abandon();
    index_pump_.reset();
    state_pump_.reset();
    index_.reset();
    state_.reset();
    mesg_.reset();
    streams_.clear();
    retired_.push_back(std::move(requester_));
    connecting_.reset();
    path_.reset();
  }

  void report() {
    loop_.post([this, alive = alive_.ref()] {
      if (alive.expired()) return;
      over_ = true;
      outcome_.strange = outcome_.strange || messages_.strange();
      if (!outcome_.retry) outcome_.retry = messages_.retry();
      outcome_.seconds = std::chrono::duration<double>(loop_.clock().now() - began_).count();
      outcome_.messages.insert(outcome_.messages.begin(), messages_.lines().begin(), messages_.lines().end());
      auto done = std::move(done_);
      done(std::move(outcome_));
    });
  }

  using exchange_streams = std::vector<std::unique_ptr<loop::Duplex>>;

  loop::Loop& loop_;
  auth::Connector& connector_;
  DumpRequest request_;
  Target& target_;
  MessageLog messages_;
  Done done_;
  base::Instant began_;
  base::Instant last_sign_of_life_;
  uint64_t seen_bytes_ = 0;
  DumpOutcome outcome_;
  std::optional<ClientMeters> client_meters_;
  std::optional<Error> stream_failure_;
  uint64_t mesg_bytes_ = 0;
  bool mesg_ended_ = false;
  std::optional<flow::ChainOutcome> data_outcome_;
  bool index_ended_ = false;
  bool state_ended_ = false;
  bool failing_ = false;
  bool over_ = false;
  bool image_safe_ = false;
  int keeping_ = 0;

  std::unique_ptr<loop::Operation> connecting_;
  std::unique_ptr<auth::Path> path_;
  std::unique_ptr<exchange::Requester> requester_;
  std::vector<std::unique_ptr<exchange::Requester>> retired_;  // may be on the stack above us
  exchange_streams streams_;
  flow::Throttle* throttle_ = nullptr;
  uint64_t index_lane_;
  std::unique_ptr<IndexSink> index_;
  std::unique_ptr<IndexSink> state_;
  std::unique_ptr<flow::LineReader> mesg_;
  std::unique_ptr<flow::Pump> index_pump_;
  std::unique_ptr<flow::Pump> state_pump_;
  std::unique_ptr<flow::FilterChain> data_;
  std::unique_ptr<loop::Timer> silence_;
  base::Alive alive_;
};

Dump::Dump(loop::Loop& loop, auth::Connector& connector, DumpRequest request, Target& target)
    : impl_(std::make_unique<Impl>(loop, connector, std::move(request), target)) {}
Dump::~Dump() = default;
void Dump::start(Done done) { impl_->start(std::move(done)); }
bool Dump::image_safe() const { return impl_->image_safe(); }
flow::Gate& Dump::gate() { return impl_->gate_; }
void Dump::set_throttle(flow::Throttle& throttle) { impl_->set_throttle(throttle); }
uint64_t Dump::bytes() const { return impl_->bytes(); }
std::vector<const flow::Meter*> Dump::meters() const { return impl_->meters(); }
const std::optional<ClientMeters>& Dump::client_meters() const { return impl_->client_meters(); }
int Dump::data_fd() const { return impl_->data_fd(); }

}  // namespace headrace::dump
