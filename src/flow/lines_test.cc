// Lines out of streams, and text into them.
#include "flow/lines.h"

#include <gtest/gtest.h>

#include <optional>

#include "flow/text_writer.h"
#include "sim/sim_stream.h"

namespace headrace::flow {
namespace {

using base::ErrorKind;
using base::Result;
using loop::IoState;
using sim::SimLoop;
using std::chrono::seconds;

class LinesTest : public ::testing::Test {
 protected:
  void make_reader(sim::SimLinkOptions options) {
    pipe_ = make_sim_pipe(loop_, std::move(options));
    reader_ = std::make_unique<LineReader>(
        loop_, *pipe_.reader,
        [this](std::string_view line, bool partial) {
          lines_.push_back(std::string(line) + (partial ? "|" : ""));
        },
        [this](Result<> outcome) { outcome_ = std::move(outcome); });
    reader_->start();
  }
  void send(std::string text, bool end) {
    while (!text.empty()) {
      held_.assign(text, 0, 4096);
      const iovec piece{held_.data(), held_.size()};
      const auto put = pipe_.writer->write({&piece, 1});
      if (put.state == IoState::failed) return;
      text.erase(0, put.bytes);
      ASSERT_TRUE(loop_.run_until_idle());
    }
    if (end) pipe_.writer->finish([](const Result<>&) {});
    ASSERT_TRUE(loop_.run_until_idle());
  }

  SimLoop loop_;
  sim::SimPipe pipe_;
  std::string held_ = std::string(4096, '\0');
  std::vector<std::string> lines_;
  std::optional<Result<>> outcome_;
  std::unique_ptr<LineReader> reader_;
};

TEST_F(LinesTest, AnySplitGivesTheSameLines) {
  const std::string longest(kMaxLineBytes, 'l');
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    lines_.clear();
    outcome_.reset();
    make_reader({.largest_move_bytes = seed < 5 ? seed : 1000 * seed, .false_wait_one_in = 4, .seed = seed});
    send("first\n\nthird with\ttab\r\n" + (seed < 5 ? "short" : longest) + "\nlast", true);
    ASSERT_TRUE(outcome_ && *outcome_);
    ASSERT_EQ(lines_, (std::vector<std::string>{"first", "", "third with\ttab\r",
                                                seed < 5 ? "short" : longest, "last|"}));
  }
}

TEST_F(LinesTest, AnOverlongLineIsAnErrorHoweverItCame) {
  for (const size_t pieces : {size_t{0}, size_t{1000}}) {
    for (const bool ended : {true, false}) {
      lines_.clear();
      outcome_.reset();
      make_reader({.capacity_bytes = 1U << 20U, .largest_move_bytes = pieces});
      // All of it is there before the reader's turn when it may take all at once.
      std::string text = "good\n" + std::string(kMaxLineBytes + 1, 'x') + (ended ? "\nnever\n" : "");
      if (pieces == 0) {
        const iovec piece{text.data(), text.size()};
        ASSERT_EQ(pipe_.writer->write({&piece, 1}).bytes, text.size());
        ASSERT_TRUE(loop_.run_until_idle());
      } else {
        send(text, false);
      }
      EXPECT_EQ(lines_, std::vector<std::string>{"good"});
      ASSERT_TRUE(outcome_ && !*outcome_);
      EXPECT_EQ(outcome_->error().kind(), ErrorKind::corrupt);
      EXPECT_EQ(outcome_->error().what(), "a line of more than 65536 bytes");
    }
  }
}

TEST_F(LinesTest, AFailedSourceIsTheOutcome) {
  make_reader({.reset_after_bytes = 9});
  send("whole\nhalf line\n", true);
  EXPECT_EQ(lines_, std::vector<std::string>{"whole"});
  ASSERT_TRUE(outcome_ && !*outcome_);
  EXPECT_EQ(outcome_->error().kind(), ErrorKind::gone);
}

TEST_F(LinesTest, MayBeDestroyedByALine) {
  for (const std::string text : {"one\ntwo\nthree\n", "partial"}) {
    pipe_ = make_sim_pipe(loop_, {});
    int lines = 0;
    bool ended = false;
    reader_ = std::make_unique<LineReader>(
        loop_, *pipe_.reader,
        [this, &lines](std::string_view, bool) {
          reader_.reset();
          ++lines;  // the callback itself still stands
        },
        [&](const Result<>&) { ended = true; });
    reader_->start();
    send(text, true);
    EXPECT_EQ(lines, 1);
    EXPECT_FALSE(ended);
  }
}

// ---- TextWriter ----

class TextWriterTest : public ::testing::Test {
 protected:
  std::string read() {
    std::string text;
    while (true) {
      const auto got = pipe_.reader->read(buffer_);
      state_ = got.state;
      if (got.state != IoState::moved) return text;
      text += base::as_text(std::span(buffer_).first(got.bytes));
      loop_.run_due();
    }
  }
  SimLoop loop_;
  sim::SimPipe pipe_ = make_sim_pipe(loop_, {.capacity_bytes = 100});
  TextWriter writer_{loop_, *pipe_.writer};
  std::vector<std::byte> buffer_ = std::vector<std::byte>(1000);
  IoState state_ = IoState::wait;
};

TEST_F(TextWriterTest, KeepsTheOrderAndTellsWhenAllIsTaken) {
  std::string expected;
  std::string told;
  for (int i = 0; i < 200; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    ASSERT_TRUE(writer_.put(line));
    expected += line;
    if (i % 7 == 0) loop_.run_due();
  }
  bool inside = true;
  writer_.when_drained([&](const Result<>& outcome) {
    EXPECT_FALSE(inside);
    EXPECT_TRUE(outcome);
    EXPECT_EQ(writer_.queued_bytes(), 0U);
    told += 'd';
  });
  inside = false;
  loop_.run_due();
  EXPECT_EQ(told, "");
  EXPECT_EQ(writer_.queued_bytes(), expected.size() - 100);
  const std::string got = read();
  EXPECT_EQ(told, "d");
  EXPECT_EQ(got, expected);
  ASSERT_TRUE(writer_.put("the end"));
  writer_.finish([&](const Result<>& outcome) {
    EXPECT_TRUE(outcome);
    told += 'f';
  });
  EXPECT_FALSE(writer_.put("too late"));
  loop_.run_due();
  EXPECT_EQ(read(), "the end");
  EXPECT_EQ(state_, IoState::end);
  loop_.run_due();
  EXPECT_EQ(told, "df");
}

TEST_F(TextWriterTest, WhatNobodyReadsIsBounded) {
  const std::string block(100'000, 'b');
  size_t put = 0;
  Result<> outcome;
  while ((outcome = writer_.put(block)) && put < 100) {
    ++put;
    loop_.run_due();
  }
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind(), ErrorKind::gone);
  EXPECT_LE(writer_.queued_bytes(), kMaxQueuedTextBytes);
  EXPECT_EQ(put, (kMaxQueuedTextBytes + 100) / block.size());
}

TEST_F(TextWriterTest, AFailedSinkIsToldToAll) {
  ASSERT_TRUE(writer_.put(std::string(500, 'x')));
  loop_.run_due();
  int told = 0;
  const auto expect_failure = [&](const Result<>& outcome) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().kind(), ErrorKind::gone);
    ++told;
  };
  writer_.when_drained(expect_failure);
  pipe_.link->reset();
  loop_.run_due();
  EXPECT_EQ(told, 1);
  EXPECT_FALSE(writer_.put("more"));
  writer_.when_drained(expect_failure);
  writer_.finish(expect_failure);
  loop_.run_due();
  EXPECT_EQ(told, 3);
}

TEST_F(TextWriterTest, MayBeDestroyedByItsCallbacks) {
  for (const bool at_finish : {true, false}) {
    auto pipe = make_sim_pipe(loop_, {});
    auto writer = std::make_unique<TextWriter>(loop_, *pipe.writer);
    bool told = false;
    const auto done = [&](const Result<>&) {
      writer.reset();
      told = true;
    };
    ASSERT_TRUE(writer->put("text"));
    if (at_finish) {
      writer->finish(done);
    } else {
      writer->when_drained(done);
    }
    loop_.run_due();
    std::byte four[8];
    (void)pipe.reader->read(four);
    (void)pipe.reader->read(four);
    loop_.run_due();
    EXPECT_TRUE(told);
  }
}

}  // namespace
}  // namespace headrace::flow
