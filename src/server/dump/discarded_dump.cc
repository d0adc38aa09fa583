#include "server/dump/discarded_dump.h"

#include <array>
#include <utility>

#include "base/alive.h"
#include "flow/lines.h"
#include "flow/text_writer.h"
#include "server/dump/message_log.h"

namespace headrace::dump {

using base::Error;
using base::ErrorKind;
using base::Result;

class DiscardedDump::Impl {
 public:
  Impl(loop::Loop& loop, auth::Connector& connector, DumpRequest request)
      : loop_(loop), connector_(connector), request_(std::move(request)), messages_(request_.max_messages) {}

  void start(Done done) {
    done_ = std::move(done);
    connecting_ = connector_.connect(request_.peer, [this](Result<std::unique_ptr<auth::Path>> path) {
      if (!path) return end(std::unexpected(std::move(path).error()));
      path_ = std::move(*path);
      ask();
    });
  }

  void set_open(bool open) {
    if (open == open_) return;
    open_ = open;
    tell_gate();
  }

  std::optional<wire::MeterLine> meters_;

 private:
  enum Stream : size_t { kData, kMesg, kState };

  void ask() {
    requester_ = std::make_unique<exchange::Requester>(
        loop_, path_->begin(), sendbackup_request(request_, path_->names_user()), request_.times);
    requester_->start(nullptr, [this](Result<std::string> body) {
      if (!body) return end(std::unexpected(std::move(body).error().during("asking for the dump")));
      auto reply = wire::parse_sendbackup_reply(*body);
      if (!reply) return end(std::unexpected(std::move(reply).error()));
      if (!reply->errors.empty())
        return end(base::fail(ErrorKind::refused, "the client refuses: " + reply->errors.front()));
      if (!reply->streams) return end(base::fail(ErrorKind::again, "the client's reply names no streams"));
      std::vector<int64_t> numbers;
      for (const char* name : {"DATA", "MESG", "STATE"}) numbers.push_back(reply->streams->id_of(name));
      requester_->open_streams(std::move(numbers), [this](Result<Streams> streams) {
        if (!streams) return end(std::unexpected(std::move(streams).error()));
        streams_ = std::move(*streams);
        listen();
      });
    });
  }

  void listen() {
    gate_ = std::make_unique<flow::TextWriter>(loop_, *streams_[kMesg]);
    mesg_ = std::make_unique<flow::LineReader>(
        loop_, *streams_[kMesg], [this](std::string_view line, bool partial) { heard(line, partial); },
        [this](Result<> ended) { end(ended ? messages_.verdict() : std::move(ended)); });
    mesg_->start();
    expect_no_data();
    tell_gate();
  }

  void heard(std::string_view line, bool partial) {
    const auto parsed = wire::classify_mesg(line);
    if (parsed.kind != wire::MesgLine::Kind::meter) return messages_.add(line, partial);
    if (auto meters = wire::parse_meter(parsed.text)) meters_ = std::move(meters);
  }

  void expect_no_data() {
    const auto result = streams_[kData]->read(scrap_);
    if (result.state == loop::IoState::moved)
      return end(base::fail(ErrorKind::refused, "its client does not know how to throw data away"));
    if (result.state != loop::IoState::wait) return;  // MESG says how it ended
    streams_[kData]->await_readable([this] { expect_no_data(); });
  }

  // The client begins with an open gate.
  void tell_gate() {
    if (!gate_ || open_ == told_open_) return;
    told_open_ = open_;
    const char word = open_ ? wire::kOpenGate : wire::kCloseGate;
    // A client that is gone is noticed by its messages.
    (void)gate_->put({&word, 1});
  }

  void end(Result<> outcome) {
    if (!done_) return;
    // Later: what called us may be what is to go.
    loop_.post(
        [alive = alive_.ref(), done = std::exchange(done_, nullptr), outcome = std::move(outcome)]() mutable {
          if (!alive.expired()) done(std::move(outcome));
        });
  }

  using Streams = std::vector<std::unique_ptr<loop::Duplex>>;

  loop::Loop& loop_;
  auth::Connector& connector_;
  DumpRequest request_;
  MessageLog messages_;
  Done done_;
  bool open_ = true;
  bool told_open_ = true;
  std::unique_ptr<loop::Operation> connecting_;
  std::unique_ptr<auth::Path> path_;
  std::unique_ptr<exchange::Requester> requester_;
  Streams streams_;
  std::array<std::byte, 4096> scrap_{};
  std::unique_ptr<flow::TextWriter> gate_;
  std::unique_ptr<flow::LineReader> mesg_;
  base::Alive alive_;
};

DiscardedDump::DiscardedDump(loop::Loop& loop, auth::Connector& connector, DumpRequest request)
    : impl_(std::make_unique<Impl>(loop, connector, std::move(request))) {}
DiscardedDump::~DiscardedDump() = default;
void DiscardedDump::start(Done done) { impl_->start(std::move(done)); }
void DiscardedDump::set_open(bool open) { impl_->set_open(open); }
const std::optional<wire::MeterLine>& DiscardedDump::meters() const { return impl_->meters_; }

}  // namespace headrace::dump
