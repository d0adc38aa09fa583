#include "client/backup/sendbackup.h"

#include <optional>

#include <fmt/format.h>

#include "base/alive.h"
#include "base/quote.h"
#include "client/backup/dump_job.h"
#include "client/backup/meter_report.h"
#include "client/backup/peer_watch.h"
#include "flow/discard.h"
#include "flow/filter_chain.h"
#include "flow/text_writer.h"
#include "wire/sendbackup.h"

namespace headrace::client {
namespace {

// Beyond this, messages of the archiver are counted instead of queued: the server does not read them.
constexpr size_t kMaxQueuedMessageBytes = size_t{1} << 20U;

constexpr auto kCloseGrace = std::chrono::seconds(1);
constexpr auto kMetersEvery = std::chrono::seconds(1);
// Of a dump whose data is thrown away: its meters are all that the server gets.
constexpr auto kDiscardMetersEvery = std::chrono::milliseconds(200);

enum StreamIndex : size_t { kData, kMesg, kIndex, kState, kStreamCount };

class Sendbackup : public exchange::Service {
 public:
  Sendbackup(const ClientContext& context, exchange::ServiceCall& call) : context_(context), call_(call) {}

  void start() override {
    auto request = read_request(context_, call_.request(), wire::DleFor::sendbackup);
    if (!request) return refuse(request.error().what());
    request_ = std::make_unique<ClientRequest>(std::move(*request));
    if (auto mismatch = auth_mismatch(call_.request(), dle())) return refuse(*mismatch);
    if (auto missing = unsupported(dle())) return refuse(fmt::format("[{}]", *missing));
    if (auto fault = fault_of_discard()) return refuse(fmt::format("[{}]", *fault));
    auto job = make_dump_job(context_, *request_);
    if (!job) return refuse(job.error().what());
    job_ = std::move(*job);
    job_->prepare([this](base::Result<> outcome) { prepared(std::move(outcome)); });
  }

 private:
  enum class State : unsigned char { preparing, replied, announcing, running, recording, closing };

  const wire::Dle& dle() const { return request_->wire.dles.front(); }
  bool peer_has(wire::Feature feature) const { return request_->peer.has(feature); }

  void refuse(const std::string& text) {
    call_.reply(fmt::format("ERROR {}\n", text));
    call_.finished();
  }

  void prepared(base::Result<> outcome) {
    if (!outcome) return refuse(fmt::format("[{}]", outcome.error().what()));
    state_ = State::replied;
    std::vector<exchange::ServiceCall::StreamName> names = {
        {"DATA", true}, {"MESG", true}, {"INDEX", dle().index}};
    if (peer_has(wire::Feature::sendbackup_stream_state)) names.push_back({"STATE", true});
    std::string text = wire::encode_reply_options(wire::FeatureSet::ours_as_client(), request_->peer);
    // Something must follow the CONNECT line, or it is not one to older readers.
    if (text.empty()) text = "\n";
    call_.reply_with_streams(std::move(names), std::move(text),
                             [this](base::Result<exchange::Streams> opened) {
                               if (!opened) return call_.finished();
                               announce(std::move(*opened));
                             });
  }

  void announce(exchange::Streams streams) {
    state_ = State::announcing;
    streams_ = std::move(streams);
    streams_.resize(kStreamCount);
    mesg_ = std::make_unique<flow::TextWriter>(context_.loop, *streams_[kMesg]);
    watch(kData);
    watch(kMesg);
    if (streams_[kState] && !state_wanted()) streams_[kState]->finish([](base::Result<>) {});
    put(job_->announcement());
    put("sendbackup: info end\n");
    for (const std::string& complaint : job_->complaints()) put(fmt::format("? {}\n", complaint));
    // No byte of DATA may leave before the header information has: the server would have no reader for it.
    mesg_->when_drained([this](base::Result<> outcome) {
      if (state_ != State::announcing) return;
      if (!outcome) return give_up();
      run();
    });
  }

  // Asked by a Headrace server: the data is thrown away here, and only the meters tell of it.
  bool discards() const { return !dle().discard.empty() && peer_has(wire::Feature::headrace_meters); }

  std::optional<std::string> fault_of_discard() const {
    if (!discards()) return std::nullopt;
    if (dle().discard != "source" && dle().discard != "client")
      return fmt::format("data cannot be thrown away at \"{}\", only at source or client", dle().discard);
    // Later levels would build on what nobody has.
    if (dle().record) return "a dump that is thrown away must not be recorded";
    return std::nullopt;
  }

  // The server has no DATA by which to hold a dump that is thrown away: it says so.
  void obey(base::Bytes said) {
    for (const std::byte byte : said) {
      if (byte == std::byte{wire::kCloseGate})
        gate_.close();
      else if (byte == std::byte{wire::kOpenGate} && !gate_.open())
        gate_.reopen();
    }
  }

  bool state_wanted() const { return job_->has_state() && streams_[kState] && streams_[kIndex]; }

  void watch(StreamIndex which) {
    watches_[which] = std::make_unique<PeerWatch>(*streams_[which], [this, which] { peer_closed(which); });
    if (which == kMesg && discards()) watches_[which]->listen([this](base::Bytes said) { obey(said); });
    watches_[which]->start();
  }

  // The server closes a stream after we did, or to end the dump. MESG is ours to the end. Of DATA we may not
  // have been told yet that it is finished; where there is more to send, sending fails at once.
  void peer_closed(StreamIndex which) {
    if (which == kMesg) {
      if (state_ != State::closing) give_up();
      return;
    }
    close_grace_ = context_.loop.after(kCloseGrace, [this] {
      if (state_ != State::closing && !(data_path_ && data_path_->delivered())) give_up();
    });
  }

  void run() {
    state_ = State::running;
    archiver_ = job_->make_archiver();
    ArchiverSinks sinks;
    sinks.index = streams_[kIndex].get();
    sinks.state = state_wanted() ? streams_[kState].get() : nullptr;
    sinks.message = [this](std::string_view line) { message(line); };
    auto started = archiver_->start(std::move(sinks), [this](ArchiverOutcome outcome) {
      archiver_outcome_ = std::move(outcome);
      both_ended();
    });
    if (!started) {
      stop();
      return fail(started.error().what());
    }
    flow::ChainOptions options;
    options.name = dle().disk;
    // A server that would not ask for them gets its data spliced.
    options.checksums = peer_has(wire::Feature::sendbackup_crc);
    loop::Writable* sink = streams_[kData].get();
    if (discards()) sink = &discard_;
    data_path_ = std::make_unique<flow::FilterChain>(context_.loop, archiver_->data(), *sink, options);
    data_path_->set_gate(gate_);
    const bool at_source = discards() && dle().discard == "source";
    auto flowing = data_path_->start(
        at_source ? std::vector<flow::FilterCommand>() : filters_of(context_.paths, dle()),
        [this](std::string_view, std::string_view line) { message(fmt::format("? {}", line)); },
        [this](base::Result<flow::ChainOutcome> outcome) { data_ended(std::move(outcome)); });
    if (!flowing) {
      stop();
      fail(flowing.error().what());
      return;
    }
    if (!peer_has(wire::Feature::headrace_meters)) return;
    began_ = context_.loop.clock().now();
    report_meters();
  }

  // At once, so that the server knows that there will be more, and then once a second.
  void report_meters() {
    if (state_ != State::running || !data_path_) return;
    // What the server has not read yet goes first, and must not be kept waiting.
    if (mesg_->queued_bytes() == 0) {
      const auto meters = meters_of(*data_path_, *archiver_, streams_[kData]->native_fd(),
                                    context_.loop.clock().now() - began_);
      put(wire::mesg_meter(meters));
    }
    meter_timer_ = context_.loop.after(discards() ? base::Duration(kDiscardMetersEvery) : kMetersEvery,
                                       [this] { report_meters(); });
  }

  void data_ended(base::Result<flow::ChainOutcome> outcome) {
    data_outcome_ = std::move(outcome);
    if (discards()) streams_[kData]->finish([](base::Result<>) {});
    if (*data_outcome_) return both_ended();
    // Not from inside the path that reports it.
    context_.loop.post([this, alive = alive_.ref()] {
      if (alive.expired() || state_ == State::closing) return;
      stop();
      fail(data_outcome_->error().what());
    });
  }

  void both_ended() {
    if (!archiver_outcome_ || !data_outcome_ || !*data_outcome_) return;
    if (!archiver_outcome_->failure.empty()) {
      if (!archiver_outcome_->failure_told) return fail(archiver_outcome_->failure);
      tell_suppressed();
      return close();
    }
    state_ = State::recording;
    job_->record([this](const std::vector<std::string>& notes) {
      if (state_ != State::recording) return;
      for (const std::string& note : notes) put(note + "\n");
      conclude();
    });
  }

  void conclude() {
    const auto& size_kib = archiver_outcome_->size_kib;
    const std::string size = size_kib ? fmt::format("sendbackup: size {}\n", *size_kib) : "";
    const flow::ChainOutcome& data = **data_outcome_;
    tell_suppressed();
    if (job_->size_comes_first()) put(size);
    if (peer_has(wire::Feature::sendbackup_crc)) {
      put(fmt::format("sendbackup: native-CRC {}\nsendbackup: client-CRC {}\n", data.entered.text(),
                      data.left.text()));
    }
    if (!job_->size_comes_first()) put(size);
    put("sendbackup: end\n");
    close();
  }

  // The dump failed and the server is told why. What is recorded of earlier dumps stays as it is.
  void fail(const std::string& reason) {
    tell_suppressed();
    put(wire::mesg_error(reason));
    close();
  }

  // Ends what runs. Never from inside its own callbacks.
  void stop() {
    data_path_.reset();
    archiver_.reset();
  }

  void close() {
    state_ = State::closing;
    mesg_->finish([this](base::Result<>) { call_.finished(); });
  }

  // Nobody is there to be told.
  void give_up() {
    state_ = State::closing;
    stop();
    call_.finished();
  }

  void message(std::string_view line) {
    if (mesg_->queued_bytes() > kMaxQueuedMessageBytes) {
      ++suppressed_;
      return;
    }
    put(fmt::format("{}\n", line));
  }

  void tell_suppressed() {
    if (suppressed_ == 0) return;
    put(fmt::format("? {} more messages were left out: the server did not read them in time\n", suppressed_));
    suppressed_ = 0;
  }

  // The queue has room beyond kMaxQueuedMessageBytes for all that is not a message. If it should not, or the
  // stream is gone, finishing MESG or the watch on it says so.
  void put(std::string_view text) { [[maybe_unused]] auto queued = mesg_->put(text); }

  const ClientContext& context_;
  exchange::ServiceCall& call_;
  State state_ = State::preparing;
  std::unique_ptr<ClientRequest> request_;
  std::unique_ptr<DumpJob> job_;
  exchange::Streams streams_;
  std::unique_ptr<flow::TextWriter> mesg_;
  std::unique_ptr<PeerWatch> watches_[kStreamCount];
  flow::Gate gate_;
  flow::Discard discard_{context_.loop};
  std::unique_ptr<Archiver> archiver_;
  std::unique_ptr<flow::FilterChain> data_path_;
  std::optional<ArchiverOutcome> archiver_outcome_;
  std::optional<base::Result<flow::ChainOutcome>> data_outcome_;
  std::unique_ptr<loop::Timer> close_grace_;
  std::unique_ptr<loop::Timer> meter_timer_;
  base::Instant began_;
  uint64_t suppressed_ = 0;
  base::Alive alive_;
};

}  // namespace

std::unique_ptr<exchange::Service> make_sendbackup(const ClientContext& context,
                                                   exchange::ServiceCall& call) {
  return std::make_unique<Sendbackup>(context, call);
}

}  // namespace headrace::client
