// Two ends of a framed connection over a simulated or a real one. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "auth/mux/copying_transport.h"
#include "auth/mux/mux_connection.h"

namespace headrace::auth {

// A conversation over frames answers at once.
inline base::Result<uint32_t> offer_stream(Conversation& conversation) {
  base::Result<uint32_t> number = base::fail(base::ErrorKind::cancelled, "no answer yet");
  conversation.offer_streams(1, [&](base::Result<std::vector<uint32_t>> offered) {
    if (offered) {
      number = offered->front();
    } else {
      number = std::unexpected(offered.error());
    }
  });
  return number;
}

// Initiator and responder with one conversation begun between them, from which both take streams.
class MuxEnds {
 public:
  MuxEnds(loop::Loop& loop, std::unique_ptr<loop::Duplex> near, std::unique_ptr<loop::Duplex> far)
      : initiator(make_mux(loop, std::move(near), End::initiator)),
        responder(make_mux(loop, std::move(far), End::responder)) {
    responder->serve(
        [this, &loop](std::unique_ptr<Conversation> conversation) {
          theirs = std::move(conversation);
          loop.stop();
        },
        [](const base::Result<>&) {});
    ours = initiator->begin();
    EXPECT_TRUE(ours->send({wire::PacketType::req, "SERVICE noop\n"}));
    loop.run();
    EXPECT_NE(theirs, nullptr);
  }

  struct Stream {
    std::unique_ptr<loop::Duplex> near;
    std::unique_ptr<loop::Duplex> far;
    uint32_t number = 0;
  };
  Stream open() {
    Stream stream;
    const auto number = offer_stream(*theirs);
    EXPECT_TRUE(number);
    stream.number = *number;
    theirs->accept_stream(*number, [&](auto opened) {
      EXPECT_TRUE(opened);
      stream.far = std::move(*opened);
    });
    ours->open_stream(*number, [&](auto opened) {
      EXPECT_TRUE(opened);
      stream.near = std::move(*opened);
    });
    return stream;
  }

  std::shared_ptr<MuxConnection> initiator;
  std::shared_ptr<MuxConnection> responder;
  std::unique_ptr<Conversation> ours;
  std::unique_ptr<Conversation> theirs;
};

}  // namespace headrace::auth
