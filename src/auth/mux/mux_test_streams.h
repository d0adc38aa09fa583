// Who writes and who reads the streams of a framed connection. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "auth/mux/mux_test_ends.h"

namespace headrace::auth {

// Reads a stream all the time, or when told, and remembers.
class Reader {
 public:
  explicit Reader(loop::Readable& from, bool reading = true) : from_(from) {
    if (reading) go_on();
  }
  void go_on() {
    while (true) {
      const auto got = from_.read(buffer_);
      state = got.state;
      if (got.state == loop::IoState::wait) return from_.await_readable([this] { go_on(); });
      if (got.state != loop::IoState::moved) return;
      text += base::as_text(std::span(buffer_).first(got.bytes));
    }
  }
  std::string text;
  loop::IoState state = loop::IoState::wait;

 private:
  loop::Readable& from_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(50000);
};

// The two ends of a connection made of two streams that hold their users to the contract of files.
class CopyingEnds : public MuxEnds {
 public:
  CopyingEnds(loop::Loop& loop, std::unique_ptr<loop::Duplex> near, std::unique_ptr<loop::Duplex> far)
      : MuxEnds(loop, std::make_unique<CopyingTransport>(std::move(near)),
                std::make_unique<CopyingTransport>(std::move(far))) {}
};

// Writes a text in pieces drawn from a seed, or as much as it can for ever.
class Writer {
 public:
  Writer(loop::Loop& loop, loop::Writable& to, size_t total, char first)
      : loop_(loop), to_(to), left_(total), next_(first) {}
  void go_on() {
    while (left_ > 0) {
      if (block_.empty()) {
        block_.resize(std::min<size_t>(left_, 60000));
        for (char& c : block_) c = next_++;
      }
      const iovec piece{block_.data(), block_.size()};
      const auto put = to_.write({&piece, 1});
      // As a pump does: what follows a wake comes in a turn of its own.
      if (put.state == loop::IoState::wait)
        return to_.await_writable([this] { loop_.post([this] { go_on(); }); });
      if (put.state != loop::IoState::moved) {
        refused = true;
        return;
      }
      block_.erase(0, put.bytes);
      left_ -= put.bytes;
      written += put.bytes;
    }
    to_.finish([this](const base::Result<>& outcome) { finished = outcome.has_value(); });
  }
  size_t written = 0;
  bool finished = false;
  bool refused = false;  // the reader closed the stream first

 private:
  loop::Loop& loop_;
  loop::Writable& to_;
  size_t left_;
  char next_;
  std::string block_;
};

inline std::string pattern(size_t total, char first) {
  std::string text(total, '\0');
  for (char& c : text) c = first++;
  return text;
}

}  // namespace headrace::auth
