#include "server/dump/client_talk.h"

#include "base/alive.h"
#include "wire/noop.h"
#include "wire/packet.h"

namespace headrace::dump {

using base::Result;

class ClientTalk::Impl {
 public:
  Impl(loop::Loop& loop, auth::Connector& connector, auth::Peer peer, std::string dump_user,
       exchange::RequestTimes noop_times)
      : loop_(loop),
        connector_(connector),
        peer_(std::move(peer)),
        dump_user_(std::move(dump_user)),
        noop_times_(noop_times) {}

  void greet(Features features) {
    features_ = std::move(features);
    connecting_ = connector_.connect(peer_, [this,
                                             alive = alive_.ref()](Result<std::unique_ptr<auth::Path>> path) {
      if (alive.expired()) return;
      if (!path) return greeted(std::unexpected(std::move(path).error()));
      path_ = std::move(*path);
      const auto ours = wire::FeatureSet::ours_as_server();
      ask("noop", wire::encode_noop_request(ours), noop_times_, nullptr, [this](Result<std::string> body) {
        if (body) return greeted(wire::parse_noop_reply(*body));
        if (wire::nak_means_no_noop(wire::nak_body(body.error().what()))) {
          return greeted(wire::FeatureSet::assumed_default());
        }
        greeted(std::unexpected(std::move(body).error()));
      });
    });
  }

  void ask(std::string service, std::string arguments, exchange::RequestTimes times, Partial partial,
           Reply reply) {
    reply_ = std::move(reply);
    wire::Request request;
    if (path_->names_user()) request.security_user = dump_user_;
    request.service = std::move(service);
    request.arguments = std::move(arguments);
    // The one before may be what called us: it goes when this talk does.
    spent_ = std::move(requester_);
    requester_ =
        std::make_unique<exchange::Requester>(loop_, path_->begin(), wire::encode_request(request), times);
    requester_->start(std::move(partial), [this](Result<std::string> body) {
      auto waiting = std::move(reply_);
      waiting(std::move(body));
    });
  }

 private:
  void greeted(Result<wire::FeatureSet> outcome) {
    auto waiting = std::move(features_);
    waiting(std::move(outcome));
  }

  loop::Loop& loop_;
  auth::Connector& connector_;
  auth::Peer peer_;
  std::string dump_user_;
  exchange::RequestTimes noop_times_;
  std::unique_ptr<loop::Operation> connecting_;
  std::unique_ptr<auth::Path> path_;
  std::unique_ptr<exchange::Requester> spent_;
  std::unique_ptr<exchange::Requester> requester_;
  Features features_;
  Reply reply_;
  base::Alive alive_;
};

ClientTalk::ClientTalk(loop::Loop& loop, auth::Connector& connector, auth::Peer peer, std::string dump_user,
                       exchange::RequestTimes noop_times)
    : impl_(std::make_unique<Impl>(loop, connector, std::move(peer), std::move(dump_user), noop_times)) {}
ClientTalk::~ClientTalk() = default;
void ClientTalk::greet(Features features) { impl_->greet(std::move(features)); }
void ClientTalk::ask(std::string service, std::string arguments, exchange::RequestTimes times,
                     Partial partial, Reply reply) {
  impl_->ask(std::move(service), std::move(arguments), times, std::move(partial), std::move(reply));
}

}  // namespace headrace::dump
