#include "sim/sim_datagram.h"

namespace headrace::sim {

class SimDatagramNet::Socket : public loop::DatagramSocket {
 public:
  Socket(SimDatagramNet& net, const loop::Address& local) : net_(net), local_(local) {
    HEADRACE_CHECK(net_.sockets_.emplace(local_.text(), this).second);
  }
  ~Socket() override { net_.sockets_.erase(local_.text()); }

  void on_datagram(Received received) override { received_ = std::move(received); }
  base::Result<> send(std::string bytes, const loop::Address& to, const loop::Address&) override {
    net_.send(std::move(bytes), local_, to);
    return {};
  }
  loop::Address local() const override { return local_; }
  uint64_t dropped() const override { return 0; }

  void arrive(const std::string& bytes, const loop::Address& from) {
    if (received_) received_(base::as_bytes(bytes), from, local_);
  }

 private:
  SimDatagramNet& net_;
  const loop::Address local_;
  Received received_;
};

std::unique_ptr<loop::DatagramSocket> SimDatagramNet::bind(const loop::Address& local) {
  return std::make_unique<Socket>(*this, local);
}

void SimDatagramNet::send(std::string bytes, const loop::Address& from, const loop::Address& to) {
  ++sent_;
  for (const base::Duration delay : fate(bytes, from, to)) {
    // Shared by the timer and its callback: a datagram under way belongs to nobody.
    auto timer = std::make_shared<std::unique_ptr<loop::Timer>>();
    *timer = loop_.after(delay, [this, bytes, from, to, timer] {
      const auto spent = std::move(*timer);
      const auto found = sockets_.find(to.text());
      if (found != sockets_.end()) found->second->arrive(bytes, from);
    });
  }
}

void SimDatagramNet::inject(const std::string& bytes, const loop::Address& from, const loop::Address& to) {
  const auto found = sockets_.find(to.text());
  if (found != sockets_.end()) found->second->arrive(bytes, from);
}

SimDatagramNet::Fate SimDatagramNet::fate(const std::string& bytes, const loop::Address& from,
                                          const loop::Address& to) {
  if (judge_) return judge_(bytes, from, to);
  if (random_.one_in(options_.lose_one_in)) return {};
  const auto delay = [this] {
    const auto spread = static_cast<uint64_t>(options_.jitter.count());
    return options_.latency + (spread == 0 ? base::Duration() : base::Duration(random_.below(spread)));
  };
  Fate fate = {delay()};
  if (random_.one_in(options_.double_one_in)) fate.push_back(delay());
  return fate;
}

}  // namespace headrace::sim
