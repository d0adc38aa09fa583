// The inside of a framed connection: what its sources share and nobody else includes. Mux is the connection,
// split over mux_connection.cc (its life and its conversations), mux_receive.cc and mux_send.cc; Channel is
// one stream's state, Talk one conversation's. Rules and bounds: mux_connection.h.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "auth/mux/mux_connection.h"
#include "wire/frame.h"

namespace headrace::auth {

// The receiving and sending state of one stream handle. The stream object the user holds refers to it.
struct Channel {
  uint32_t handle = 0;
  // What the reader has offered while it waits; filled from the front.
  base::MutableBytes offer;
  size_t offer_filled = 0;
  // What came while nothing was offered.
  std::vector<std::byte> queue;
  size_t queue_taken = 0;
  bool remote_ended = false;  // N=0 arrived
  bool local_ended = false;   // N=0 sent
  bool reader_gone = false;   // drop what arrives
  loop::Ready readable;
  loop::Ready writable;
  bool taken = false;  // a stream object refers to this
  bool user_gone = false;
  uint64_t last_write = 0;  // the connection's count of writes then

  bool unwanted() const { return reader_gone || remote_ended; }

  size_t queued() const { return queue.size() - queue_taken; }
  bool has_data() const { return offer_filled > 0 || queued() > 0; }
};

struct Talk {
  uint32_t handle = 0;
  std::vector<std::byte> assembling;
  std::deque<base::Result<wire::Packet>> arrived;
  Conversation::Received received;
  bool delivering = false;
  bool owned = false;       // begun here, or announced to the responder
  bool peer_ended = false;  // and its owner is told
};

// What a packet that waits for its receiver counts beside its text.
inline constexpr size_t kPacketCost = 256;
inline size_t cost_of(const base::Result<wire::Packet>& packet) {
  return kPacketCost + (packet ? packet->body.size() : 0);
}

class Mux : public MuxConnection, public std::enable_shared_from_this<Mux> {
 public:
  Mux(loop::Loop& loop, std::unique_ptr<loop::Duplex> transport, End end)
      : loop_(loop), transport_(std::move(transport)), end_(end) {}

  ~Mux() override {
    // Whatever of our last frames the kernel takes at once still goes out.
    flush();
  }

  std::unique_ptr<Conversation> begin() override;
  void serve(Opened opened, Closed closed) override;
  void send_refusal(std::string_view text) override;

  // Conversations.
  base::Result<> send_packet(uint32_t handle, const wire::Packet& packet);
  void on_packet(uint32_t handle, Conversation::Received received);
  void end_conversation(uint32_t handle);
  base::Result<uint32_t> offer_stream();
  base::Result<std::unique_ptr<loop::Duplex>> take_stream(uint32_t handle) override;
  // From now on every handle is a stream's, and these are known.
  void carry_streams_alone(const std::vector<uint32_t>& handles);

  // Streams.
  loop::IoResult read(Channel& channel, base::MutableBytes into);
  loop::IoResult write(Channel& channel, std::span<const iovec> pieces);
  void send_end(Channel& channel);
  void release(Channel& channel);
  void when_flushed(std::move_only_function<void(base::Result<>)> done);
  void kick();
  void wake_reader(Channel& channel);
  void await_room(Channel& channel);
  const std::optional<base::Error>& failure() const { return failure_; }
  int native_fd() const { return transport_->native_fd(); }

 private:
  void schedule_read();
  void read_frames(size_t budget);
  // False when nothing more can be read now.
  bool read_piece(size_t& budget);
  void check_pause_is_allowed() const;
  bool read_header();
  void await_readable();
  base::MutableBytes destination_of_payload();
  void took(size_t n);
  void handle_closed(uint32_t handle);
  void conversation_closed(uint32_t handle);
  void add_arrived(Talk& talk, base::Result<wire::Packet> packet);
  void packet_complete(Talk& talk);
  void deliver(uint32_t handle);
  void expect_request();
  void wake_writer(uint32_t handle);
  void lost(base::Error error, bool proper_end = false);
  void over(base::Result<> outcome);
  bool append_control(std::string frame);
  void flush();
  void await_transport();
  void transport_writable();
  void tell_flushed();
  Channel& channel_for(uint32_t handle);

  loop::Loop& loop_;
  std::unique_ptr<loop::Duplex> transport_;
  End end_;
  Opened opened_;
  Closed closed_;
  wire::FrameDecoder decoder_;
  std::array<std::byte, wire::kFrameHeaderBytes> header_{};
  std::map<uint32_t, std::unique_ptr<Channel>> channels_;
  std::map<uint32_t, std::unique_ptr<Talk>> talks_;
  std::vector<std::byte> discard_;
  // Of the frame whose payload is due: none of it was read yet; it goes to nobody, to its end.
  bool frame_is_new_ = false;
  bool frame_is_dropped_ = false;
  size_t waiting_cost_ = 0;  // of the packets not yet delivered
  size_t enlarged_ = 0;      // by how much destination_of_payload() made room in a queue or packet
  uint32_t first_stream_ = kFirstNonControlHandle;  // handles below are conversations
  uint32_t next_talk_ = 1;
  uint32_t next_stream_ = kFirstStreamHandle;
  std::unique_ptr<loop::Timer> deadline_;  // while a responder's peer has to ask
  bool replied_ = false;                   // a peer that was given a reply is no stranger
  bool started_ = false;
  bool read_scheduled_ = false;
  bool awaiting_read_ = false;
  bool ended_ = false;
  std::optional<base::Error> failure_;

  std::string tail_;  // bytes of frames begun or queued that must go before any other
  size_t tail_sent_ = 0;
  bool awaiting_write_ = false;
  std::vector<uint32_t> writers_;  // streams that wait for room
  uint64_t writes_ = 0;
  std::vector<std::move_only_function<void(base::Result<>)>> flushed_;
};

// The object that holds the conversation of this handle.
std::unique_ptr<Conversation> make_conversation(std::shared_ptr<Mux> mux, uint32_t handle);

}  // namespace headrace::auth
