#include "exchange/responder.h"

#include <fmt/format.h>

#include <algorithm>
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
  size_t held_bytes = 0;  // of all requests' arguments
};

// One request from its REQ to its end.
class Job : public ServiceCall {
 public:
  Job(Shared& shared, std::unique_ptr<auth::Conversation> conversation, auth::Origin origin,
      loop::Callback over)
      : shared_(shared),
        conversation_(std::move(conversation)),
        origin_(std::move(origin)),
        over_(std::move(over)) {
    conversation_->on_packet([this](Result<Packet> packet) { received(std::move(packet)); });
  }

  ~Job() override {
    service_.reset();
    let_go_of_arguments();
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
    opened_ = std::move(opened);
    const auto wanted = static_cast<size_t>(std::ranges::count_if(names, &StreamName::wanted));
    // Streams may have to be waited for (ports); the conversation, and with it this callback, dies with the
    // job.
    conversation_->offer_streams(wanted, [this, names = std::move(names),
                                          text = std::move(text)](Result<std::vector<uint32_t>> offered) {
      if (state_ != State::serving) return;
      if (!offered) return refuse(offered.error().what());
      std::string connect = "CONNECT";
      for (size_t next = 0; const auto& name : names) {
        numbers_.push_back(name.wanted ? int64_t{(*offered)[next++]} : -1);
        connect += fmt::format(" {} {}", name.name, numbers_.back());
      }
      reply_ = {PacketType::rep, connect + "\n" + text};
      send_reply();
    });
  }

  void refuse(std::string text) override {
    if (state_ == State::over) return;
    (void)conversation_->send({PacketType::nak, wire::nak_body(text)}).has_value();
    end();
  }

  void finished() override {
    finished_ = true;
    // While the acknowledgement is awaited nobody reads them.
    let_go_of_arguments();
    // The reply may still have to be acknowledged.
    if (state_ == State::streaming) end();
  }

 private:
  enum class State : unsigned char { fresh, asking, serving, replied, streaming, over };

  void received(Result<Packet> packet) {
    if (state_ == State::over) return;
    if (!packet) {
      // Ended by a peer that has its reply: the streams go on. Else nobody reads a reply, and when the path
      // is gone, so are the streams.
      if (packet.error().kind() != ErrorKind::cancelled || state_ != State::streaming) end();
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

  void let_go_of_arguments() {
    shared_.held_bytes -= std::exchange(held_bytes_, 0);
    if (finished_) std::string().swap(request_.arguments);
  }

  void send_ack() { (void)conversation_->send({PacketType::ack, {}}).has_value(); }

  void begin(const std::string& body) {
    auto request = wire::parse_request(body);
    if (!request) return refuse(request.error().what());
    const bool needs_user = origin_.address.has_value();
    if (needs_user && !request->security_user) return refuse(std::string(wire::kNoSecurityText));
    if (request->arguments.empty()) return refuse("invalid REQ");
    if (shared_.held_bytes + request->arguments.size() > kMaxHeldRequestBytes) {
      return refuse("too much is asked of this client at once: try again later");
    }
    held_bytes_ = request->arguments.size();
    shared_.held_bytes += held_bytes_;
    state_ = State::asking;
    request_ = {request->service, std::move(request->arguments), origin_.auth, ""};
    shared_.authorizer.ask({origin_, request->security_user.value_or(""), request->service},
                           [this, alive = alive_.ref()](std::expected<std::string, auth::Denial> host) {
                             if (!alive.expired() && state_ == State::asking) answered(std::move(host));
                           });
  }

  void answered(std::expected<std::string, auth::Denial> host) {
    if (!host && host.error().silent) return end();
    if (!host) return refuse(host.error().why.what());
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
    if (opened_) return accept_streams();
    if (finished_) end();
  }

  // All at once: the peer connects them in whatever order it likes.
  void accept_streams() {
    streams_.resize(numbers_.size());
    streams_missing_ = 1;  // this loop's own, since a stream may be there at once
    for (size_t i = 0; i < numbers_.size(); ++i) {
      if (numbers_[i] < 0) continue;
      ++streams_missing_;
      conversation_->accept_stream(static_cast<uint32_t>(numbers_[i]),
                                   [this, i](Result<std::unique_ptr<loop::Duplex>> stream) {
                                     if (state_ != State::streaming || !opened_) return;
                                     if (!stream) return no_streams(std::move(stream).error());
                                     streams_[i] = std::move(*stream);
                                     stream_is_there();
                                   });
    }
    stream_is_there();
  }

  void stream_is_there() {
    if (state_ != State::streaming || !opened_ || --streams_missing_ > 0) return;
    std::exchange(opened_, nullptr)(std::move(streams_));
  }

  void no_streams(base::Error error) {
    std::exchange(opened_, nullptr)(std::unexpected(std::move(error)));
    end();
  }

  // Deferred: the caller may be the service that is to be destroyed.
  void end() {
    if (state_ == State::over) return;
    state_ = State::over;
    timer_.reset();
    shared_.loop.post([this, alive = alive_.ref()] {
      if (!alive.expired()) std::exchange(over_, nullptr)();
    });
  }

  Shared& shared_;
  std::unique_ptr<auth::Conversation> conversation_;
  auth::Origin origin_;
  loop::Callback over_;
  ServiceRequest request_;
  std::unique_ptr<Service> service_;
  State state_ = State::fresh;
  bool finished_ = false;
  size_t held_bytes_ = 0;  // counted in Shared
  std::string backup_key_;
  Packet reply_;
  int sends_left_ = 0;
  std::unique_ptr<loop::Timer> timer_;
  std::vector<int64_t> numbers_;
  Streams streams_;
  size_t streams_missing_ = 0;
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
    lasting_.clear();
  }

  void serve(std::shared_ptr<auth::Arrivals> arrivals, auth::Origin origin) {
    auto* raw = arrivals.get();
    auto& held = raw->is_lasting() ? lasting_ : connections_;
    held[raw] = std::move(arrivals);
    raw->serve(
        [this, origin = std::move(origin)](std::unique_ptr<auth::Conversation> conversation) {
          begin(std::move(conversation), origin);
        },
        [this, raw](const Result<>&) {
          // Jobs on it learn of the loss from their conversations and streams.
          connections_.erase(raw);
          tell_if_idle();
        });
  }

  void begin(std::unique_ptr<auth::Conversation> conversation, auth::Origin origin) {
    if (const auto peer = conversation->peer()) origin.address = peer;
    const auto place = jobs_.emplace(jobs_.end());
    *place = std::make_unique<Job>(shared_, std::move(conversation), std::move(origin), [this, place] {
      jobs_.erase(place);
      tell_if_idle();
    });
  }

  void tell_if_idle() {
    if (idle_ && jobs_.empty() && connections_.empty()) idle_();
  }

  Shared shared_;
  using Ways = std::map<auth::Arrivals*, std::shared_ptr<auth::Arrivals>>;
  Ways connections_;
  Ways lasting_;
  std::list<std::unique_ptr<Job>> jobs_;
  std::move_only_function<void()> idle_;
};

Responder::Responder(loop::Loop& loop, auth::Authorizer& authorizer, ServiceFactory factory,
                     ResponderTimes times)
    : impl_(std::make_unique<Impl>(loop, authorizer, std::move(factory), times)) {}
Responder::~Responder() = default;
void Responder::serve(std::shared_ptr<auth::Arrivals> arrivals, auth::Origin origin) {
  impl_->serve(std::move(arrivals), std::move(origin));
}
size_t Responder::active() const { return impl_->jobs_.size(); }
size_t Responder::connections() const { return impl_->connections_.size(); }
void Responder::on_idle(std::move_only_function<void()> callback) { impl_->idle_ = std::move(callback); }

}  // namespace headrace::exchange
