// The contract of stream.h as a test suite for any implementation. A test source defines how to make a pair
// and instantiates the suite, once a program:
//
//   INSTANTIATE_TEST_SUITE_P(Pipes, StreamContract, ::testing::Values(StreamCase{"pipe", make_pipe_pair}),
//                            name_of_case);
//
// Tests only.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "loop/loop.h"
#include "loop/stream.h"
#include "loop/test_loop.h"

namespace headrace::loop {

// A writer, and a reader of what it writes, on one loop.
class StreamPair {
 public:
  virtual ~StreamPair() = default;
  virtual Loop& loop() = 0;
  virtual Writable& writer() = 0;
  // Where the reader can only be opened afterwards (see concurrent()) it is asked for after finish() is done.
  virtual Readable& reader() = 0;
  // Destroys that end; it is not asked for again.
  virtual void drop_writer() = 0;
  virtual void drop_reader() = 0;
  // The reader gets bytes before finish(). False for files and volumes.
  virtual bool concurrent() const { return true; }
  // The writer has to wait when nobody reads.
  virtual bool bounded() const { return true; }
  // The writer fails when the reader is destroyed.
  virtual bool writer_sees_lost_reader() const { return true; }
};

struct StreamCase {
  std::string name;  // letters and digits
  std::function<std::unique_ptr<StreamPair>()> make;
};
// Tests are listed with their parameter: without this, with its bytes.
inline void PrintTo(const StreamCase& which, std::ostream* out) { *out << which.name; }
inline std::string name_of_case(const ::testing::TestParamInfo<StreamCase>& info) { return info.param.name; }

// Writes a text in pieces of sizes drawn from a seed, then finishes.
class ContractWriter {
 public:
  ContractWriter(Writable& to, std::string text, unsigned seed)
      : to_(to), text_(std::move(text)), random_(seed) {}

  void start(std::move_only_function<void(base::Result<>)> done) {
    done_ = std::move(done);
    go_on();
  }

 private:
  void cut_pieces() {
    pieces_.clear();
    const size_t count = 1 + random_() % 5;
    size_t from = at_;
    while (pieces_.size() < count && from < text_.size()) {
      const size_t size = std::min<size_t>(text_.size() - from, 1 + random_() % 70000);
      pieces_.push_back({text_.data() + from, size});
      from += size;
    }
  }
  void go_on() {
    while (at_ < text_.size()) {
      if (pieces_.empty()) cut_pieces();
      const IoResult put = to_.write(pieces_);
      ASSERT_EQ(put.bytes > 0, put.state == IoState::moved);
      if (put.state == IoState::wait)
        return to_.await_writable([this] { go_on(); });  // the same pieces again
      ASSERT_EQ(put.state, IoState::moved) << to_.error().what();
      at_ += put.bytes;
      pieces_.clear();
    }
    to_.finish(std::move(done_));
  }

  Writable& to_;
  std::string text_;
  size_t at_ = 0;
  std::vector<iovec> pieces_;
  std::mt19937 random_;
  std::move_only_function<void(base::Result<>)> done_;
};

// Reads to the end, with buffers of sizes drawn from a seed.
class ContractReader {
 public:
  ContractReader(Readable& from, unsigned seed) : from_(from), random_(seed), buffer_(100000) {}

  void start(Callback at_end) {
    at_end_ = std::move(at_end);
    go_on();
  }
  const std::string& text() const { return text_; }

 private:
  void go_on() {
    while (true) {
      if (size_ == 0) size_ = 1 + random_() % (random_() % 4 == 0 ? 7 : buffer_.size());
      const IoResult got = from_.read(std::span(buffer_).first(size_));
      ASSERT_EQ(got.bytes > 0, got.state == IoState::moved);
      ASSERT_LE(got.bytes, size_);
      if (got.state == IoState::wait)
        return from_.await_readable([this] { go_on(); });  // the same memory again
      ASSERT_NE(got.state, IoState::failed) << from_.error().what();
      if (got.state == IoState::end) break;
      text_ += base::as_text(std::span(buffer_).first(got.bytes));
      size_ = 0;
    }
    EXPECT_EQ(from_.read(buffer_).state, IoState::end) << "the end does not stay";
    at_end_();
  }

  Readable& from_;
  std::mt19937 random_;
  std::vector<std::byte> buffer_;
  size_t size_ = 0;
  std::string text_;
  Callback at_end_;
};

class StreamContract : public ::testing::TestWithParam<StreamCase> {
 protected:
  static std::string noise(size_t size) {
    std::mt19937 random(4711);
    std::string text(size, '\0');
    std::generate(text.begin(), text.end(), [&random] { return static_cast<char>(random()); });
    return text;
  }

  Loop& loop() { return pair_->loop(); }
  void run() { loop().run(); }
  // Runs on for some turns, for what must not happen.
  void run_on() {
    turn_loop(loop(), 20, [this] { loop().stop(); });
    run();
  }

  // Moves `text` from end to end and compares.
  void expect_passes(const std::string& text, unsigned seed) {
    ContractWriter writer(pair_->writer(), text, seed);
    std::unique_ptr<ContractReader> reader;
    int open = 2;
    const auto one_done = [&] {
      if (--open == 0) loop().stop();
    };
    const auto start_reading = [&] {
      reader = std::make_unique<ContractReader>(pair_->reader(), seed + 1);
      reader->start(one_done);
    };
    writer.start([&](base::Result<> outcome) {
      EXPECT_TRUE(outcome) << outcome.error().what();
      if (!pair_->concurrent()) start_reading();
      one_done();
    });
    if (pair_->concurrent()) start_reading();
    run();
    ASSERT_NE(reader, nullptr);
    EXPECT_TRUE(reader->text() == text) << reader->text().size() << " bytes came of " << text.size();
  }

  // Writes until the writer wants to wait.
  void fill() {
    const std::string& block = block_;
    const iovec piece{const_cast<char*>(block.data()), block.size()};
    while (true) {
      const IoResult put = pair_->writer().write(std::span(&piece, 1));
      if (put.state == IoState::wait) return;
      ASSERT_EQ(put.state, IoState::moved);
      filled_ += put.bytes;
      ASSERT_LT(filled_, 256U << 20U) << "takes without bound";
    }
  }
  // Goes on by itself while the loop runs; `text` outlives that.
  void write_all(std::string_view text) {
    while (!text.empty()) {
      const iovec piece{const_cast<char*>(text.data()), text.size()};
      const IoResult put = pair_->writer().write(std::span(&piece, 1));
      if (put.state == IoState::wait) {
        return pair_->writer().await_writable([this, text] { write_all(text); });
      }
      ASSERT_EQ(put.state, IoState::moved);
      text.remove_prefix(put.bytes);
    }
  }

  std::unique_ptr<StreamPair> pair_ = GetParam().make();
  std::unique_ptr<Timer> deadline_ = end_test_after_deadline(pair_->loop());
  const std::string block_ = std::string(65536, 'x');
  size_t filled_ = 0;
};

}  // namespace headrace::loop

#include "loop/stream_contract_cases.h"
