#include "client/check/noop.h"

#include "wire/noop.h"

namespace headrace::client {
namespace {

class Noop : public exchange::Service {
 public:
  explicit Noop(exchange::ServiceCall& call) : call_(call) {}
  void start() override {
    call_.reply(wire::encode_noop_reply(wire::FeatureSet::ours_as_client()));
    call_.finished();
  }

 private:
  exchange::ServiceCall& call_;
};

}  // namespace

std::unique_ptr<exchange::Service> make_noop(exchange::ServiceCall& call) {
  return std::make_unique<Noop>(call);
}

}  // namespace headrace::client
