#include "exchange/requester.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/alive.h"
#include "wire/packet.h"

namespace headrace::exchange {

using base::Error;
using base::ErrorKind;
using base::Result;
using wire::Packet;
using wire::PacketType;

class Requester::Impl {
 public:
  Impl(loop::Loop& loop, std::unique_ptr<auth::Conversation> conversation, std::string body,
       RequestTimes times)
      : loop_(loop), conversation_(std::move(conversation)), body_(std::move(body)), times_(times) {}

  void start(Partial partial, Done done) {
    partial_ = std::move(partial);
    done_ = std::move(done);
    began_ = loop_.clock().now();
    listen();
    // Later: a path that is gone already answers send() at once, and `done` is never called from inside.
    loop_.post([this, alive = alive_.ref()] {
      if (!alive.expired() && state_ == State::idle) ask();
    });
  }

  void open_streams(std::vector<int64_t> numbers, Opened opened) {
    numbers_ = std::move(numbers);
    opened_ = std::move(opened);
    streams_.clear();
    open_next();
  }

 private:
  enum class State : unsigned char { idle, asked, accepted, done };
  static constexpr auto kNoRestartAfter = std::chrono::hours(1);

  void listen() {
    conversation_->on_packet([this](Result<Packet> packet) { received(std::move(packet)); });
  }

  void ask() {
    state_ = State::asked;
    sends_left_ = std::max(times_.request_tries, 1);
    send_request();
  }

  void send_request() {
    --sends_left_;
    if (auto sent = conversation_->send({PacketType::req, body_}); !sent)
      return end(std::unexpected(sent.error()));
    timer_ = loop_.after(times_.ack_timeout, [this] { no_ack(); });
  }

  void no_ack() {
    if (sends_left_ > 0) return send_request();
    end(base::fail(ErrorKind::again, "timeout waiting for ACK"));
  }

  void no_reply() {
    if (restarts_++ < times_.restarts && loop_.clock().now() - began_ < kNoRestartAfter) return ask();
    end(base::fail(ErrorKind::again, "timeout waiting for REP"));
  }

  void await_reply() {
    if (state_ != State::asked) return;
    state_ = State::accepted;
    timer_ = loop_.after(times_.reply_timeout, [this] { no_reply(); });
  }

  void received(Result<Packet> packet) {
    if (!packet) {
      if (state_ != State::done) end(std::unexpected(std::move(packet).error()));
      return;
    }
    switch (packet->type) {
      case PacketType::ack:
        await_reply();
        return;
      case PacketType::prep:
        if (state_ == State::done) return;
        await_reply();
        if (partial_) partial_(packet->body);
        return;
      case PacketType::rep:
        reply(std::move(packet->body));
        return;
      case PacketType::nak:
        if (state_ != State::done) end(base::fail(ErrorKind::refused, wire::nak_text(packet->body)));
        return;
      case PacketType::req:
        return;  // not for an initiator
    }
  }

  void reply(std::string body) {
    // A repeated REP means that our ACK was lost; without another one the responder gives the service up.
    // Another REP than we took, or one that comes when nobody waits any more, is of a service that must not
    // go on: a late copy of the request has started it.
    if (state_ == State::done && body != taken_) return;
    auto acknowledged = conversation_->send({PacketType::ack, {}});
    if (state_ == State::done) return;
    taken_ = body;
    if (!acknowledged) return end(std::unexpected(std::move(acknowledged).error()));
    end(std::move(body));
  }

  void end(Result<std::string> outcome) {
    state_ = State::done;
    timer_.reset();
    auto done = std::move(done_);
    done(std::move(outcome));
  }

  void open_next() {
    while (streams_.size() < numbers_.size()) {
      const int64_t number = numbers_[streams_.size()];
      if (number < 0) {
        streams_.push_back(nullptr);
        continue;
      }
      if (number > UINT32_MAX) {
        return std::exchange(opened_, nullptr)(
            base::fail(ErrorKind::corrupt, fmt::format("the peer named stream {}, which is none", number)));
      }
      conversation_->open_stream(static_cast<uint32_t>(number),
                                 [this](Result<std::unique_ptr<loop::Duplex>> stream) {
                                   if (!stream) {
                                     auto opened = std::move(opened_);
                                     opened(std::unexpected(std::move(stream).error()));
                                     return;
                                   }
                                   streams_.push_back(std::move(*stream));
                                   loop_.post([this, alive = alive_.ref()] {
                                     if (!alive.expired()) open_next();
                                   });
                                 });
      return;
    }
    auto opened = std::move(opened_);
    opened(std::move(streams_));
  }

  loop::Loop& loop_;
  std::unique_ptr<auth::Conversation> conversation_;
  std::string body_;
  RequestTimes times_;
  std::optional<std::string> taken_;  // the reply
  Partial partial_;
  Done done_;
  State state_ = State::idle;
  int sends_left_ = 0;
  int restarts_ = 0;
  base::Instant began_;
  std::unique_ptr<loop::Timer> timer_;
  std::vector<int64_t> numbers_;
  std::vector<std::unique_ptr<loop::Duplex>> streams_;
  Opened opened_;
  base::Alive alive_;
};

Requester::Requester(loop::Loop& loop, std::unique_ptr<auth::Conversation> conversation, std::string body,
                     RequestTimes times)
    : impl_(std::make_unique<Impl>(loop, std::move(conversation), std::move(body), times)) {}
Requester::~Requester() = default;
void Requester::start(Partial partial, Done done) { impl_->start(std::move(partial), std::move(done)); }
void Requester::open_streams(std::vector<int64_t> numbers, Opened opened) {
  impl_->open_streams(std::move(numbers), std::move(opened));
}

}  // namespace headrace::exchange
