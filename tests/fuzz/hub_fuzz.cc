// Datagrams to both ends of a UDP conversation, in a row: what the hub makes of them, whatever they say.
// Bytes 0xFF separate them; one that begins with 'i' goes to the initiator, any other to the responder.
#include <algorithm>
#include <list>

#include "auth/datagram/hub.h"
#include "fuzz.h"
#include "sim/sim_datagram.h"

using namespace headrace;

namespace {

class NoStreams : public auth::Carrier {
 public:
  void offer(size_t, auth::Conversation::Offered offered) override { offered(std::vector<uint32_t>()); }
  void accept(uint32_t, auth::StreamReady ready) override {
    ready(base::fail(base::ErrorKind::gone, "none"));
  }
  void open(uint32_t, auth::StreamReady ready) override { ready(base::fail(base::ErrorKind::gone, "none")); }
};

auth::MakeCarrier carriers() {
  return [](const loop::Address&, const loop::Callback&) { return std::make_unique<NoStreams>(); };
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sim::SimLoop loop;
  sim::SimDatagramNet net(loop);
  const auto server_at = loop::Address::ipv4(0x0A000001, 850);
  const auto client_at = loop::Address::ipv4(0x0A000002, 10080);
  auto client = auth::DatagramHub::responder(loop, net.bind(client_at), carriers());
  auto server = auth::DatagramHub::initiator(loop, net.bind(server_at));
  std::list<std::unique_ptr<auth::Conversation>> held;
  client->serve(
      [&](std::unique_ptr<auth::Conversation> conversation) {
        auto* const raw = conversation.get();
        held.push_back(std::move(conversation));
        raw->on_packet([raw](base::Result<wire::Packet> packet) {
          fuzz::require(packet.has_value());
          // Whatever was asked is its own answer.
          (void)raw->send({wire::PacketType::rep, packet->body}).has_value();
        });
      },
      nullptr);
  auto asking = server->begin({client_at}, std::make_shared<auth::MakeCarrier>(carriers()));
  asking->on_packet([](base::Result<wire::Packet> packet) { fuzz::require(packet.has_value()); });
  (void)asking->send({wire::PacketType::req, "SERVICE noop\n"}).has_value();

  std::string_view rest = fuzz::as_text(data, size);
  for (int i = 0; !rest.empty() && i < 64; ++i) {
    const std::string_view one = rest.substr(0, rest.find('\xff'));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    // As if it came from the other one's address: each hub hears its own socket alone.
    net.inject(std::string(one.starts_with('i') ? one.substr(1) : one),
               one.starts_with('i') ? client_at : server_at, one.starts_with('i') ? server_at : client_at);
    loop.advance(std::chrono::milliseconds(2));
    if (held.size() > 4) held.pop_front();
  }
  asking.reset();
  held.clear();
  fuzz::require(loop.run_until_idle());
  fuzz::require(client->conversations() == 0 && server->conversations() == 0);
  return 0;
}
