// The cases of the stream contract; included by stream_contract.h alone.
#pragma once

#include "loop/stream_contract.h"

namespace headrace::loop {

TEST_P(StreamContract, MovesAFewBytes) { expect_passes("hello", 1); }
TEST_P(StreamContract, MovesNothing) { expect_passes("", 2); }
TEST_P(StreamContract, MovesMegabytesInOddPieces) { expect_passes(noise(3'000'001), 3); }
TEST_P(StreamContract, MovesManySmallPieces) { expect_passes(noise(5'000), 4); }

TEST_P(StreamContract, CallbacksComeLaterAndOnce) {
  int calls = 0;
  bool inside = true;
  pair_->writer().await_writable([&] {
    EXPECT_FALSE(inside);
    ++calls;
    loop().stop();
  });
  inside = false;
  run();
  run_on();
  EXPECT_EQ(calls, 1);
  inside = true;
  pair_->writer().finish([&](base::Result<> outcome) {
    EXPECT_FALSE(inside);
    EXPECT_TRUE(outcome);
    loop().stop();
  });
  inside = false;
  run();
  inside = true;
  pair_->reader().await_readable([&] {
    EXPECT_FALSE(inside);
    ++calls;
    loop().stop();
  });
  inside = false;
  run();
  run_on();
  EXPECT_EQ(calls, 2);
}

TEST_P(StreamContract, ALaterAwaitReplacesAnEarlier) {
  std::string calls;
  pair_->writer().await_writable([&] { calls += 'a'; });
  pair_->writer().await_writable([&] {
    calls += 'b';
    loop().stop();
  });
  run();
  run_on();
  EXPECT_EQ(calls, "b");
  pair_->writer().finish([&](base::Result<>) { loop().stop(); });
  run();
  pair_->reader().await_readable([&] { calls += 'c'; });
  pair_->reader().await_readable([&] {
    calls += 'd';
    loop().stop();
  });
  run();
  run_on();
  EXPECT_EQ(calls, "bd");
}

TEST_P(StreamContract, CloseReadDropsTheCallback) {
  pair_->writer().finish([&](base::Result<>) { loop().stop(); });
  run();
  bool called = false;
  pair_->reader().await_readable([&] { called = true; });
  pair_->reader().close_read();
  pair_->reader().close_read();
  run_on();
  EXPECT_FALSE(called);
}

TEST_P(StreamContract, AbandonDropsCallbacks) {
  bool called = false;
  pair_->writer().await_writable([&] { called = true; });
  pair_->writer().abandon();
  pair_->writer().abandon();
  run_on();
  EXPECT_FALSE(called);
}

TEST_P(StreamContract, AbandonAfterFinishDropsTheOutcome) {
  bool called = false;
  pair_->writer().finish([&](base::Result<>) { called = true; });
  pair_->writer().abandon();
  run_on();
  EXPECT_FALSE(called);
}

TEST_P(StreamContract, DestroyingDropsCallbacks) {
  bool called = false;
  if (pair_->concurrent()) pair_->reader().await_readable([&] { called = true; });
  pair_->writer().await_writable([&] { called = true; });
  if (pair_->concurrent()) pair_->drop_reader();
  pair_->drop_writer();
  run_on();
  EXPECT_FALSE(called);
}

TEST_P(StreamContract, DestroyingAfterFinishDropsTheOutcome) {
  bool called = false;
  pair_->writer().finish([&](base::Result<>) { called = true; });
  pair_->drop_writer();
  run_on();
  EXPECT_FALSE(called);
}

TEST_P(StreamContract, TheReaderHearsOfBytesWithoutTheEnd) {
  if (!pair_->concurrent()) GTEST_SKIP() << "is read after its end only";
  std::byte buffer[16];
  ASSERT_EQ(pair_->reader().read(buffer).state, IoState::wait);
  std::string got;
  // The same memory again, as the contract asks; a wake without bytes is allowed.
  Callback look = [&] {
    const IoResult result = pair_->reader().read(buffer);
    ASSERT_NE(result.state, IoState::failed);
    if (result.state == IoState::moved) got += base::as_text(std::span(buffer).first(result.bytes));
    if (got.size() == 4) return loop().stop();
    pair_->reader().await_readable([&] { look(); });
  };
  pair_->reader().await_readable([&] { look(); });
  write_all("ping");
  run();
  EXPECT_EQ(got, "ping");
}

TEST_P(StreamContract, TheWriterWaitsForTheReader) {
  if (!pair_->concurrent() || !pair_->bounded()) GTEST_SKIP() << "does not push back";
  fill();
  bool writable = false;
  pair_->writer().await_writable([&] { writable = true; });
  std::vector<std::byte> buffer(100000);
  size_t got = 0;
  Callback read_some = [&] {
    while (!writable && got < filled_) {
      const IoResult result = pair_->reader().read(buffer);
      ASSERT_NE(result.state, IoState::failed);
      ASSERT_NE(result.state, IoState::end);
      if (result.state == IoState::wait) return pair_->reader().await_readable([&] { read_some(); });
      got += result.bytes;
    }
    // Whether it is writable now shows when the loop goes round.
    turn_loop(loop(), 20, [&] { loop().stop(); });
  };
  read_some();
  run();
  EXPECT_TRUE(writable);
}

TEST_P(StreamContract, TheWriterFailsWithoutReader) {
  if (!pair_->concurrent() || !pair_->writer_sees_lost_reader()) GTEST_SKIP() << "cannot know";
  pair_->drop_reader();
  const iovec piece{const_cast<char*>(block_.data()), block_.size()};
  Callback write_on = [&] {
    while (true) {
      const IoResult put = pair_->writer().write(std::span(&piece, 1));
      if (put.state == IoState::failed) return loop().stop();
      if (put.state == IoState::wait) return pair_->writer().await_writable([&] { write_on(); });
    }
  };
  write_on();
  run();
  EXPECT_EQ(pair_->writer().write(std::span(&piece, 1)).state, IoState::failed)
      << "the failure does not stay";
  EXPECT_EQ(pair_->writer().error().kind(), base::ErrorKind::gone);
  EXPECT_FALSE(pair_->writer().error().what().empty());
  bool finished = false;
  pair_->writer().finish([&](base::Result<> outcome) {
    EXPECT_FALSE(outcome);
    finished = true;
    loop().stop();
  });
  run();
  EXPECT_TRUE(finished);
}

TEST_P(StreamContract, AWaitingWriterHearsThatTheReaderIsGone) {
  if (!pair_->concurrent() || !pair_->bounded() || !pair_->writer_sees_lost_reader())
    GTEST_SKIP() << "cannot know";
  fill();
  bool called = false;
  pair_->writer().await_writable([&] {
    called = true;
    loop().stop();
  });
  pair_->drop_reader();
  run();
  EXPECT_TRUE(called);
}

TEST_P(StreamContract, TheSpliceDescriptorIsOpenOrNone) {
  for (const int fd : {pair_->writer().splice_fd(), pair_->concurrent() ? pair_->reader().splice_fd() : -1}) {
    EXPECT_TRUE(fd == -1 || fcntl(fd, F_GETFD) != -1);
  }
}

}  // namespace headrace::loop
