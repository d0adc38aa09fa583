// Streams over blocking calls: the contract of streams, failures, and being given up amid a call.
#include "server/dump/offload_sink.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/alive.h"
#include "loop/stream_contract.h"

namespace headrace {
namespace {

using base::Result;

// What a sink under test got; outlives it, since its last calls come on a worker.
struct Kept {
  std::mutex mutex;
  std::condition_variable changed;
  std::string bytes;
  bool inside = false;  // a write is on its way
  bool hold = false;    // and stays there
  bool abandoned = false;
  std::string fails;

  template <class Condition>
  void await(Condition condition) {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(10), condition));
  }
};

class KeepingSink : public dump::BlockingSink {
 public:
  explicit KeepingSink(std::shared_ptr<Kept> kept) : kept_(std::move(kept)) {}
  Result<> write(base::Bytes bytes) override {
    std::unique_lock lock(kept_->mutex);
    kept_->inside = true;
    kept_->changed.notify_all();
    kept_->changed.wait(lock, [this] { return !kept_->hold; });
    kept_->inside = false;
    if (!kept_->fails.empty()) return base::fail(base::ErrorKind::full, kept_->fails);
    kept_->bytes += base::as_text(bytes);
    return {};
  }
  Result<> finish() override {
    if (!kept_->fails.empty()) return base::fail(base::ErrorKind::full, kept_->fails);
    return {};
  }
  void abandon() override {
    const std::scoped_lock lock(kept_->mutex);
    kept_->abandoned = true;
    kept_->changed.notify_all();
  }

 private:
  std::shared_ptr<Kept> kept_;  // shared with the test
};

struct Sink {
  std::shared_ptr<Kept> kept = std::make_shared<Kept>();
  std::unique_ptr<loop::Loop> loop = loop::make_loop(2);
  std::unique_ptr<loop::Timer> deadline = loop::end_test_after_deadline(*loop);
  std::unique_ptr<loop::Writable> stream =
      dump::make_offload_sink(*loop, loop->new_lane(), std::make_unique<KeepingSink>(kept));
  std::string text = "some bytes";
  iovec piece{text.data(), text.size()};
};

TEST(OffloadSink, AFailedWriteStays) {
  Sink it;
  it.kept->fails = "no space";
  ASSERT_EQ(it.stream->write({&it.piece, 1}).state, loop::IoState::wait);
  it.stream->await_writable([&] { it.loop->stop(); });
  it.loop->run();
  EXPECT_EQ(it.stream->write({&it.piece, 1}).state, loop::IoState::failed);
  EXPECT_EQ(it.stream->write({&it.piece, 1}).state, loop::IoState::failed);
  EXPECT_EQ(it.stream->error().kind(), base::ErrorKind::full);
  bool told = false;
  it.stream->finish([&](const Result<>& outcome) {
    told = true;
    EXPECT_FALSE(outcome) << "what failed cannot be finished";
    it.loop->stop();
  });
  EXPECT_FALSE(told);
  it.loop->run();
  it.stream.reset();
  it.kept->await([&] { return it.kept->abandoned; });
}

TEST(OffloadSink, AFailedFinishIsTold) {
  Sink it;
  it.kept->fails = "cannot rename";
  Result<> got;
  it.stream->finish([&](Result<> outcome) {
    got = std::move(outcome);
    it.loop->stop();
  });
  it.loop->run();
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().what(), "cannot rename");
}

// The caller's memory must not be read once abandon() is back.
TEST(OffloadSink, AbandonWaitsForTheWriteUnderWay) {
  Sink it;
  it.kept->hold = true;
  ASSERT_EQ(it.stream->write({&it.piece, 1}).state, loop::IoState::wait);
  it.kept->await([&] { return it.kept->inside; });
  {
    // Lets the write go on only after the loop's thread has begun to wait for it, or shortly before.
    std::thread release([kept = it.kept] {
      const std::scoped_lock lock(kept->mutex);
      kept->hold = false;
      kept->changed.notify_all();
    });
    it.stream->abandon();
    release.join();
  }
  EXPECT_FALSE(it.kept->inside);
  EXPECT_EQ(it.stream->write({&it.piece, 1}).state, loop::IoState::failed);
  it.kept->await([&] { return it.kept->abandoned; });
}

TEST(OffloadSink, DestroyedWithoutFinishIsAbandoned) {
  Sink it;
  it.stream.reset();
  it.kept->await([&] { return it.kept->abandoned; });
}

}  // namespace

namespace loop {
namespace {

// Reads back what the sink kept.
class KeptReader : public Readable {
 public:
  KeptReader(Loop& loop, std::string text) : loop_(loop), text_(std::move(text)) {}
  IoResult read(base::MutableBytes into) override {
    const size_t n = std::min(into.size(), text_.size() - at_);
    if (n == 0) return {IoState::end, 0};
    std::copy_n(base::as_bytes(text_).begin() + static_cast<ptrdiff_t>(at_), n, into.begin());
    at_ += n;
    return {IoState::moved, n};
  }
  void await_readable(Ready ready) override {
    ready_ = std::move(ready);
    loop_.post([this, alive = alive_.ref()] {
      if (!alive.expired() && ready_) std::exchange(ready_, nullptr)();
    });
  }
  base::Error error() const override { return {base::ErrorKind::cancelled, "did not fail"}; }
  void close_read() override { ready_ = nullptr; }

 private:
  Loop& loop_;
  std::string text_;
  size_t at_ = 0;
  Ready ready_;
  base::Alive alive_;
};

class OffloadPair : public StreamPair {
 public:
  Loop& loop() override { return *loop_; }
  Writable& writer() override { return *writer_; }
  Readable& reader() override {
    if (!reader_) reader_ = std::make_unique<KeptReader>(*loop_, kept_->bytes);
    return *reader_;
  }
  void drop_writer() override { writer_.reset(); }
  void drop_reader() override { reader_.reset(); }
  bool concurrent() const override { return false; }
  bool bounded() const override { return false; }
  bool writer_sees_lost_reader() const override { return false; }

 private:
  std::shared_ptr<Kept> kept_ = std::make_shared<Kept>();  // shared with the sink
  std::unique_ptr<Loop> loop_ = make_loop(2);
  std::unique_ptr<Writable> writer_ =
      dump::make_offload_sink(*loop_, loop_->new_lane(), std::make_unique<KeepingSink>(kept_));
  std::unique_ptr<Readable> reader_;
};

INSTANTIATE_TEST_SUITE_P(OffloadSinks, StreamContract,
                         ::testing::Values(StreamCase{"offload",
                                                      [] { return std::make_unique<OffloadPair>(); }}),
                         name_of_case);

}  // namespace
}  // namespace loop
}  // namespace headrace
