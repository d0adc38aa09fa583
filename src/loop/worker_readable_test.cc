#include "loop/worker_readable.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <semaphore>
#include <string>
#include <string_view>
#include <thread>

#include "loop/test_loop.h"

namespace headrace::loop {
namespace {

using base::ErrorKind;

// Gives a text, then the end or an error. Counts what is asked of it and tells where it ended.
class TextSource final : public BlockingSource {
 public:
  struct Trace {
    std::atomic<int> reads = 0;
    std::atomic<bool> ended = false;
    std::thread::id ended_on;
  };
  TextSource(std::string text, bool breaks, Trace& trace)
      : text_(std::move(text)), breaks_(breaks), trace_(trace) {}
  ~TextSource() override {
    trace_.ended_on = std::this_thread::get_id();
    trace_.ended = true;
  }

  base::Result<size_t> read(base::MutableBytes into) override {
    ++trace_.reads;
    if (text_.empty() && breaks_) return base::fail(ErrorKind::corrupt, "the text is torn");
    const size_t size = std::min(into.size(), text_.size());
    std::memcpy(into.data(), text_.data(), size);
    text_.erase(0, size);
    return size;
  }

 private:
  std::string text_;
  bool breaks_;
  Trace& trace_;
};

class OpenedStream final : public WorkerReadable {
 public:
  using WorkerReadable::fail;
  using WorkerReadable::run_first;
  using WorkerReadable::WorkerReadable;
};

class WorkerReadableTest : public ::testing::Test {
 protected:
  std::unique_ptr<OpenedStream> stream_of(std::string text, bool breaks = false,
                                          SourceEnds ends = SourceEnds::on_loop) {
    return std::make_unique<OpenedStream>(
        *loop_, lane_, std::make_shared<TextSource>(std::move(text), breaks, trace_), "the text", ends);
  }
  // Reads with a wait before each answer, as every read takes a worker.
  IoState read_on(Readable& from, std::string& text) {
    while (true) {
      std::byte buffer[4];
      EXPECT_EQ(from.read(buffer).state, IoState::wait);
      from.await_readable([&] { loop_->stop(); });
      loop_->run();
      const IoResult got = from.read(buffer);
      if (got.state != IoState::moved) return got.state;
      text += base::as_text(std::span(buffer).first(got.bytes));
    }
  }
  // Until everything offered to the lane before has been done.
  void drain() {
    Lane lane(*loop_, lane_);
    lane.run([] {}, [&] { loop_->stop(); });
    loop_->run();
  }

  std::unique_ptr<Loop> loop_ = make_loop(2);
  std::unique_ptr<Timer> deadline_ = end_test_after_deadline(*loop_);
  uint64_t lane_ = loop_->new_lane();
  TextSource::Trace trace_;
};

TEST_F(WorkerReadableTest, ReadsToTheEndAndNoFurther) {
  const auto stream = stream_of("hello world");
  std::string text;
  EXPECT_EQ(read_on(*stream, text), IoState::end);
  EXPECT_EQ(text, "hello world");
  std::byte buffer[4];
  EXPECT_EQ(stream->read(buffer).state, IoState::end);
  EXPECT_EQ(trace_.reads, 4);
  EXPECT_FALSE(stream->failure());
}

TEST_F(WorkerReadableTest, AFailureStaysAndOutlivesClosing) {
  const auto stream = stream_of("hello", true);
  std::string text;
  EXPECT_EQ(read_on(*stream, text), IoState::failed);
  EXPECT_EQ(text, "hello");
  std::byte buffer[4];
  EXPECT_EQ(stream->read(buffer).state, IoState::failed);
  stream->close_read();
  EXPECT_EQ(stream->read(buffer).state, IoState::failed);
  EXPECT_EQ(stream->error().what(), "the text is torn");
  ASSERT_TRUE(stream->failure());
  EXPECT_EQ(stream->failure()->kind(), ErrorKind::corrupt);
  EXPECT_EQ(trace_.reads, 3);
}

TEST_F(WorkerReadableTest, AClosedStreamIsNamed) {
  const auto stream = stream_of("hello");
  stream->close_read();
  std::byte buffer[4];
  EXPECT_EQ(stream->read(buffer).state, IoState::failed);
  EXPECT_EQ(stream->error().kind(), ErrorKind::cancelled);
  EXPECT_EQ(stream->error().what(), "the text was closed");
  EXPECT_FALSE(stream->failure());
  EXPECT_EQ(trace_.reads, 0);
}

TEST_F(WorkerReadableTest, ClosingTakesBackAReadThatHasNotBegun) {
  std::binary_semaphore gate(0);
  Lane other(*loop_, lane_);
  other.run_detached([&] { gate.acquire(); });
  auto stream = stream_of("hello");
  bool called = false;
  {
    std::byte lent[4];
    EXPECT_EQ(stream->read(lent).state, IoState::wait);
    stream->await_readable([&] { called = true; });
    stream.reset();
  }
  gate.release();
  drain();
  EXPECT_EQ(trace_.reads, 0);
  EXPECT_FALSE(called);
}

TEST_F(WorkerReadableTest, TheSourceEndsWhereItIsTold) {
  stream_of("hello")->close_read();
  EXPECT_TRUE(trace_.ended);
  EXPECT_EQ(trace_.ended_on, std::this_thread::get_id());
  trace_.ended = false;
  stream_of("hello", false, SourceEnds::on_lane)->close_read();
  drain();
  EXPECT_TRUE(trace_.ended);
  EXPECT_NE(trace_.ended_on, std::this_thread::get_id());
}

TEST_F(WorkerReadableTest, OpeningComesFirstAndMayFail) {
  const auto stream = stream_of("hello");
  stream->run_first([] {},
                    [&] {
                      stream->fail(base::Error(ErrorKind::refused, "no such text"));
                      loop_->stop();
                    });
  loop_->run();
  std::byte buffer[4];
  EXPECT_EQ(stream->read(buffer).state, IoState::failed);
  EXPECT_EQ(stream->error().what(), "no such text");
  EXPECT_EQ(trace_.reads, 0);
}

}  // namespace
}  // namespace headrace::loop
