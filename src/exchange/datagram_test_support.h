// Streams that need no network, authorizers and services that only tell, as the tests of both ends of a
// request by datagrams need them. The tests bring loop and network, which are simulated. Tests only.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "auth/datagram/hub.h"
#include "exchange/requester.h"
#include "exchange/responder.h"

namespace headrace::exchange {

using base::ErrorKind;
using base::Result;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using wire::Datagram;
using wire::Packet;
using wire::PacketType;
using Texts = std::vector<std::string>;

inline loop::Address server_address(uint16_t port = 850) { return loop::Address::ipv4(0x0A4D0002, port); }
inline loop::Address client_address() { return loop::Address::ipv4(0x0A4D000A, 10080); }

inline std::string request(const std::string& service, const std::string& arguments = "OPTIONS ;\n") {
  return wire::encode_request({"backup", service, arguments});
}

// Streams that need no network: both ends meet in a table. What is opened before it is accepted counts as
// connected, as with TCP.
class Meeting {
 public:
  using Ends = std::pair<std::unique_ptr<loop::Duplex>, std::unique_ptr<loop::Duplex>>;
  explicit Meeting(std::function<Ends()> connect) : connect_(std::move(connect)) {}
  auth::MakeCarrier carriers() {
    return [this](const loop::Address&, loop::Callback connected) {
      return std::make_unique<Half>(*this, std::move(connected));
    };
  }
  bool ports_are_taken = false;

 private:
  struct Place {
    std::unique_ptr<loop::Duplex> far;
    auth::StreamReady waiting;
    loop::Callback* connected = nullptr;
  };
  class Half : public auth::Carrier {
   public:
    Half(Meeting& meeting, loop::Callback connected) : meeting_(meeting), connected_(std::move(connected)) {}
    ~Half() override {
      for (const uint32_t number : mine_) meeting_.places_.erase(number);
    }
    void offer(size_t count, auth::Conversation::Offered offered) override {
      if (meeting_.ports_are_taken) return offered(base::fail(ErrorKind::again, "all ports are in use"));
      for (size_t i = 0; i < count; ++i) {
        mine_.push_back(meeting_.next_++);
        meeting_.places_[mine_.back()].connected = &connected_;
      }
      offered(mine_);
    }
    void accept(uint32_t number, auth::StreamReady ready) override {
      Place& place = meeting_.places_.at(number);
      if (place.far) return ready(std::move(place.far));
      place.waiting = std::move(ready);
    }
    void open(uint32_t number, auth::StreamReady ready) override {
      const auto found = meeting_.places_.find(number);
      if (found == meeting_.places_.end()) {
        return ready(base::fail(ErrorKind::gone, "connection refused"));
      }
      auto [near, far] = meeting_.connect_();
      Place& place = found->second;
      if (place.waiting) {
        std::exchange(place.waiting, nullptr)(std::move(far));
      } else {
        place.far = std::move(far);
      }
      if (*place.connected) std::exchange(*place.connected, nullptr)();
      ready(std::move(near));
    }

   private:
    Meeting& meeting_;
    loop::Callback connected_;
    std::vector<uint32_t> mine_;
  };

  std::function<Ends()> connect_;
  std::map<uint32_t, Place> places_;
  uint32_t next_ = 50000;
};

// On the test's loop.
template <class Loop>
Meeting::Ends connection(Loop& loop) {
  auto ends = make_sim_connection(loop);
  return {std::move(ends.a), std::move(ends.b)};
}

class Judge : public auth::Authorizer {
 public:
  void ask(auth::Question question, auth::Answer answer) override {
    asked.push_back(std::move(question));
    if (hold) {
      held.push_back(std::move(answer));
    } else if (denial) {
      answer(std::unexpected(*denial));
    } else {
      answer(std::string("server.example"));
    }
  }
  bool hold = false;
  std::optional<auth::Denial> denial;
  std::vector<auth::Question> asked;
  std::vector<auth::Answer> held;
};

class Told : public Service {
 public:
  Told(ServiceCall& call, std::vector<Told*>& all) : call(call), all_(all) { all_.push_back(this); }
  ~Told() override { std::erase(all_, this); }
  void start() override {}
  ServiceCall& call;

 private:
  std::vector<Told*>& all_;
};

template <class Loop, class Network>
class DatagramTest : public ::testing::Test {
 protected:
  std::string stamp() const {
    return std::to_string(
        std::chrono::duration_cast<seconds>(loop_.clock().now().time_since_epoch()).count());
  }
  static std::string text_of(const Packet& packet) {
    return std::string(wire::name_of(packet.type)) + (packet.body.empty() ? "" : " " + packet.body);
  }

  Loop loop_;
  Network net_{loop_};
  Judge judge_;
  std::vector<Told*> services_;
};

}  // namespace headrace::exchange
