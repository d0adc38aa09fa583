#include "sim/sim_carrier.h"

#include <utility>
#include <vector>

namespace headrace::sim {

class SimMeeting::Half : public auth::Carrier {
 public:
  Half(SimMeeting& meeting, loop::Callback connected) : meeting_(meeting), connected_(std::move(connected)) {}
  ~Half() override {
    for (const uint32_t number : mine_) meeting_.places_.erase(number);
  }
  void offer(size_t count, auth::Conversation::Offered offered) override {
    for (size_t i = 0; i < count; ++i) {
      mine_.push_back(meeting_.next_++);
      meeting_.places_[mine_.back()].connected = &connected_;
    }
    offered(mine_);
  }
  void accept(uint32_t number, auth::StreamReady ready) override {
    const auto found = meeting_.places_.find(number);
    if (found == meeting_.places_.end())
      return ready(base::fail(base::ErrorKind::corrupt, "this stream was never offered"));
    if (found->second.far) return ready(std::move(found->second.far));
    found->second.waiting = std::move(ready);
  }
  void open(uint32_t number, auth::StreamReady ready) override {
    const auto found = meeting_.places_.find(number);
    if (found == meeting_.places_.end())
      return ready(base::fail(base::ErrorKind::gone, "connecting a stream: connection refused"));
    auto ends = meeting_.make_connection_();
    Place& place = found->second;
    auto waiting = std::exchange(place.waiting, nullptr);
    auto connected = std::exchange(*place.connected, nullptr);
    if (!waiting) place.far = std::move(ends.b);
    // From here on anybody may be gone, and the place with them.
    if (connected) connected();
    if (waiting) waiting(std::move(ends.b));
    ready(std::move(ends.a));
  }

 private:
  SimMeeting& meeting_;
  loop::Callback connected_;
  std::vector<uint32_t> mine_;
};

auth::MakeCarrier SimMeeting::carriers() {
  return [this](const loop::Address&, loop::Callback connected) {
    return std::make_unique<Half>(*this, std::move(connected));
  };
}

}  // namespace headrace::sim
