#include "exchange/responder.h"

#include <fmt/format.h>

#include <list>
#include <map>
#include <set>
#include <utility>

#include "base/alive.h"
#include "wire/packet.h"

namespace headrace::exchange {

using base::ErrorKind;
using base::Result;
using wire::Packet;
using wire::PacketType;

namespace {

class Job;

// What the jobs share.
struct Shared {
  loop::Loop& loop;
  auth::Authorizer& authorizer;
  ServiceFactory factory;
  ResponderTimes times;
  // Arguments of the backups under way: the same dump must not run twice, whatever connection asks.
  std::set<std::string> backups;
};

// One request from its REQ to its end.
class Job : public ServiceCall {
 public:
  Job(Shared& shared, std::unique_ptr<auth::Conversation> conversation, auth::Origin origin,
      std::move_only_function<void(Job*)> over)
      : shared_(shared),
        conversation_(std::move(conversation)),
        origin_(std::move(origin)),
        over_(std::move(over)) {
    conversation_->on_packet([this](Result<Packet> packet) { received(std::move(packet)); });
  }

  ~Job() override {
    service_.reset();
    if (!backup_key_.empty()) shared_.backups.erase(backup_key_);
  }

  const ServiceRequest& request() const override { return request_; }

  void reply_partial(std::string text) override {
    // A lost PREP costs nothing: the REP repeats all of it.
    if (state_ == State::serving) (void)conversation_->send({PacketType::prep, std::move(text)}).has_value();
  }

  void reply(std::string text) override {
    if (state_ != State::serving) return;
    reply_ = {PacketType::rep, std::move(text)};
    send_reply();
  }

  void reply_with_streams(std::vector<StreamName> names, std::string text,
                          std::move_only_function<void(Result<Streams>)> opened) override {
    if (state_ != State::serving) return;
    std::string connect = "CONNECT";
    for (const auto& name : names) {
      if (!name.wanted) {
        numbers_.push_back(-1);
      } else if (auto number = conversation_->offer_stream()) {
        numbers_.push_back(*number);
      } else {
        return refuse(number.error().what());
      }
      connect += fmt::format(" {} {}", name.name, numbers_.back());
    }
    opened_ = std::move(opened);
    reply_ = {PacketType::rep, connect + "\n" + text};
    send_reply();
  }

  void refuse(std::string text) override {
    if (state_ == State::over) return;
    (void)conversation_->send({PacketType::nak, wire::nak_body(text)}).has_value();
    end();
  }

  void finished() override {
    finished_ = true;
    // The reply may still have to be acknowledged.
    if (state_ == State::streaming) end();
  }

 private:
  enum class State : unsigned char { fresh, asking, serving, replied, streaming, over };

  void received(Result<Packet> packet) {
    if (state_ == State::over) return;
    if (!packet) {
      // The conversation's path is gone: so are the streams, and nobody reads a reply.
      end();
      return;
    }
    switch (packet->type) {
      case PacketType::req:
        if (state_ == State::fresh) return begin(packet->body);
        if (state_ == State::asking || state_ == State::serving) return send_ack();
        if (state_ == State::replied) (void)conversation_->send(reply_).has_value();
        return;
      case PacketType::ack:
        if (state_ == State::replied) return acknowledged();
        if (state_ == State::fresh) end();
        return;
      case PacketType::rep:
      case PacketType::prep:
      case PacketType::nak:
        if (state_ == State::fresh) return end();
        refuse(fmt::format("unexpected packet type {}", wire::name_of(packet->type)));
        return;
    }
  }

  void send_ack() { (void)conversation_->send({PacketType::ack, {}}).has_value(); }

  void begin(const std::string& body) {
    auto request = wire::parse_request(body);
    if (!request) return refuse(request.error().what());
    const bool needs_user = origin_.address.has_value();
    if (needs_user && !request->security_user) return refuse(std::string(wire::kNoSecurityText));
    if (request->arguments.empty()) return refuse("invalid REQ");
    state_ = State::asking;
    request_ = {request->service, std::move(request->arguments), origin_.auth, ""};
    shared_.authorizer.ask({origin_, request->security_user.value_or(""), request->service},
                           [this, alive = alive_.ref()](Result<std::string> host) {
                             if (!alive.expired() && state_ == State::asking) answered(std::move(host));
                           });
  }

  void answered(Result<std::string> host) {
    if (!host) return refuse(host.error().what());
    request_.peer_host = std::move(*host);
    if (request_.service == "sendbackup") {
      if (!shared_.backups.insert(request_.arguments).second) {
        return refuse("this dump is already running on the client");
      }
      backup_key_ = request_.arguments;
    }
    state_ = State::serving;
    auto service = shared_.factory(*this);
    if (!service) return refuse(service.error().what());
    service_ = std::move(*service);
    send_ack();
    timer_ =
        shared_.loop.after(shared_.times.service_reply_timeout, [this] { refuse("timeout on reply pipe"); });
    service_->start();
  }

  void send_reply() {
    state_ = State::replied;
    sends_left_ = shared_.times.reply_tries;
    resend();
  }

  void resend() {
    if (sends_left_-- <= 0) return end();
    if (auto sent = conversation_->send(reply_); !sent) {
      if (sent.error().kind() == ErrorKind::unsupported) return refuse(sent.error().what());
      return end();
    }
    timer_ = shared_.loop.after(shared_.times.ack_timeout, [this] { resend(); });
  }

  void acknowledged() {
    state_ = State::streaming;
    timer_.reset();
    if (opened_) return accept_next();
    if (finished_) end();
  }

  void accept_next() {
    while (streams_.size() < numbers_.size()) {
      const int64_t number = numbers_[streams_.size()];
      if (number < 0) {
        streams_.push_back(nullptr);
        continue;
      }
      conversation_->accept_stream(
          static_cast<uint32_t>(number),
          [this, alive = alive_.ref()](Result<std::unique_ptr<loop::Duplex>> stream) {
            if (alive.expired() || state_ != State::streaming) return;
            if (!stream) {
              std::exchange(opened_, nullptr)(std::unexpected(std::move(stream).error()));
              return end();
            }
            streams_.push_back(std::move(*stream));
            shared_.loop.post([this, posted = alive_.ref()] {
              if (!posted.expired() && state_ == State::streaming) accept_next();
            });
          });
      return;
    }
    std::exchange(opened_, nullptr)(std::move(streams_));
  }

  // Deferred: the caller may be the service that is to be destroyed.
  void end() {
    if (state_ == State::over) return;
    state_ = State::over;
    timer_.reset();
    shared_.loop.post([this, alive = alive_.ref()] {
      if (!alive.expired()) std::exchange(over_, nullptr)(this);
    });
  }

  Shared& shared_;
  std::unique_ptr<auth::Conversation> conversation_;
  auth::Origin origin_;
  std::move_only_function<void(Job*)> over_;
  ServiceRequest request_;
  std::unique_ptr<Service> service_;
  State state_ = State::fresh;
  bool finished_ = false;
  std::string backup_key_;
  Packet reply_;
  int sends_left_ = 0;
  std::unique_ptr<loop::Timer> timer_;
  std::vector<int64_t> numbers_;
  Streams streams_;
  std::move_only_function<void(Result<Streams>)> opened_;
  base::Alive alive_;
};

}  // namespace

class Responder::Impl {
 public:
  Impl(loop::Loop& loop, auth::Authorizer& authorizer, ServiceFactory factory, ResponderTimes times)
      : shared_{loop, authorizer, std::move(factory), times, {}} {}

  ~Impl() {
    jobs_.clear();
    connections_.clear();
  }

  void serve(std::shared_ptr<auth::MuxConnection> connection, auth::Origin origin) {
    auto* raw = connection.get();
    connections_[raw] = std::move(connection);
    raw->serve(
        [this, origin](std::unique_ptr<auth::Conversation> conversation) {
          jobs_.push_back(std::make_unique<Job>(shared_, std::move(conversation), origin, [this](Job* job) {
            jobs_.remove_if([job](const auto& held) { return held.get() == job; });
            tell_if_idle();
          }));
        },
        [this, raw](const Result<>&) {
          // Jobs on it learn of the loss from their conversations and streams.
          connections_.erase(raw);
          tell_if_idle();
        });
  }

  void tell_if_idle() {
    if (idle_ && jobs_.empty() && connections_.empty()) idle_();
  }

  Shared shared_;
  std::map<auth::MuxConnection*, std::shared_ptr<auth::MuxConnection>> connections_;
  std::list<std::unique_ptr<Job>> jobs_;
  std::move_only_function<void()> idle_;
};

Responder::Responder(loop::Loop& loop, auth::Authorizer& authorizer, ServiceFactory factory,
                     ResponderTimes times)
    : impl_(std::make_unique<Impl>(loop, authorizer, std::move(factory), times)) {}
Responder::~Responder() = default;
void Responder::serve(std::shared_ptr<auth::MuxConnection> connection, auth::Origin origin) {
  impl_->serve(std::move(connection), std::move(origin));
}
size_t Responder::active() const { return impl_->jobs_.size(); }
size_t Responder::connections() const { return impl_->connections_.size(); }
void Responder::on_idle(std::move_only_function<void()> callback) { impl_->idle_ = std::move(callback); }

}  // namespace headrace::exchange
