#include "client/check/selfcheck.h"

#include "base/alive.h"
#include "client/archive/archiver_choice.h"
#include "client/check/checks.h"
#include "client/check/plugin_check.h"

namespace headrace::client {
namespace {

constexpr int kBadRequest = 3600007;

class Selfcheck : public exchange::Service {
 public:
  Selfcheck(const ClientContext& context, exchange::ServiceCall& call) : context_(context), call_(call) {}

  void start() override {
    auto request = read_request(context_, call_.request(), wire::DleFor::selfcheck);
    if (!request) return refuse(request.error().what());
    // Shared with the worker, which may outlive this service; the context outlives both.
    work_ = std::make_shared<Work>(std::move(*request), call_.request(), CheckMessages());
    context_.loop.offload(
        context_.loop.new_lane(), [work = work_, &context = context_] { check(context, *work); },
        [this, alive = alive_.ref()] {
          if (!alive.expired()) ask_next_plugin(0);
        });
  }

 private:
  struct Work {
    ClientRequest request;
    exchange::ServiceRequest call;
    CheckMessages messages;
  };

  static void check(const ClientContext& context, Work& work) {
    auto add = [&work](CheckMessages more) {
      work.messages.insert(work.messages.end(), std::make_move_iterator(more.begin()),
                           std::make_move_iterator(more.end()));
    };
    add(describe_host(work.request.hostname));
    for (const wire::Dle& dle : work.request.wire.dles) {
      add(check_auth(work.call, work.request, dle));
      add(check_dle(context, work.request, dle));
    }
    add(check_host(context, work.request));
  }

  // The applications of the DLEs from `at` on, one after the other.
  void ask_next_plugin(size_t at) {
    for (; at < work_->request.wire.dles.size(); ++at) {
      const wire::Dle& dle = work_->request.wire.dles[at];
      auto program = archiver_of(context_, dle);
      if (!program || !program->plugin) continue;
      plugin_ = std::make_unique<PluginCheck>(context_.loop, work_->request, dle, *program->plugin);
      return plugin_->start([this, at](CheckMessages messages) {
        work_->messages.insert(work_->messages.end(), messages.begin(), messages.end());
        ask_next_plugin(at + 1);
      });
    }
    answer(work_->messages, work_->request.peer, work_->request.hostname);
  }

  void refuse(std::string text) {
    if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
    CheckMessages messages = describe_host(context_.hostname);
    messages.push_back(wire::make_check_message(wire::Severity::error, kBadRequest, std::move(text)));
    answer(messages, peer_features(call_.request()), context_.hostname);
  }

  void answer(const CheckMessages& messages, const wire::FeatureSet& peer, const std::string& hostname) {
    call_.reply(wire::encode_selfcheck_reply(messages, wire::FeatureSet::ours_as_client(), peer, hostname));
    call_.finished();
  }

  const ClientContext& context_;
  exchange::ServiceCall& call_;
  std::shared_ptr<Work> work_;
  std::unique_ptr<PluginCheck> plugin_;
  base::Alive alive_;
};

}  // namespace

std::unique_ptr<exchange::Service> make_selfcheck(const ClientContext& context, exchange::ServiceCall& call) {
  return std::make_unique<Selfcheck>(context, call);
}

}  // namespace headrace::client
