#include "flow/text_writer.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

#include "base/alive.h"

namespace headrace::flow {

using base::Error;
using base::ErrorKind;
using base::Result;
using loop::IoState;

class TextWriter::Impl {
 public:
  Impl(loop::Loop& loop, loop::Writable& sink) : loop_(loop), sink_(sink) {}
  ~Impl() {
    if (!finished_) sink_.abandon();
  }

  Result<> put(std::string_view text) {
    if (failure_) return std::unexpected(*failure_);
    if (finishing_) return base::fail(ErrorKind::cancelled, "write after the end of a text stream");
    if (queued() + text.size() > kMaxQueuedTextBytes) {
      return base::fail(ErrorKind::gone,
                        fmt::format("the peer does not read its messages: {} bytes wait", queued()));
    }
    waiting_.append(text);
    schedule();
    return {};
  }

  void when_drained(std::move_only_function<void(Result<>)> done) {
    drained_.push_back(std::move(done));
    schedule();
  }

  void finish(std::move_only_function<void(Result<>)> done) {
    finishing_ = true;
    finish_done_ = std::move(done);
    schedule();
  }

  size_t queued() const { return waiting_.size() + (sending_.size() - sent_); }

 private:
  void schedule() {
    if (scheduled_) return;
    scheduled_ = true;
    loop_.post([this, alive = alive_.ref()] {
      if (alive.expired()) return;
      scheduled_ = false;
      turn();
    });
  }

  void turn() {
    while (!failure_ && !awaiting_ && queued() > 0) {
      // What a sink was offered must not move; new text gathers beside it.
      if (sent_ == sending_.size()) {
        sending_ = std::exchange(waiting_, {});
        sent_ = 0;
      }
      const iovec piece{sending_.data() + sent_, sending_.size() - sent_};
      const auto result = sink_.write({&piece, 1});
      if (result.state == IoState::moved) {
        sent_ += result.bytes;
      } else if (result.state == IoState::wait) {
        awaiting_ = true;
        sink_.await_writable([this, alive = alive_.ref()] {
          if (alive.expired()) return;
          awaiting_ = false;
          turn();
        });
      } else {
        failure_ = sink_.error();
      }
    }
    if (awaiting_) return;
    auto drained = std::exchange(drained_, {});
    const auto alive = alive_.ref();
    for (auto& done : drained) {
      done(outcome());
      if (alive.expired()) return;
    }
    if (finishing_ && !finished_ && queued_or_failed()) finish_now();
  }

  bool queued_or_failed() const { return failure_ || queued() == 0; }
  Result<> outcome() const { return failure_ ? Result<>(std::unexpected(*failure_)) : Result<>(); }

  void finish_now() {
    finished_ = true;
    if (failure_) {
      sink_.abandon();
      std::exchange(finish_done_, nullptr)(std::unexpected(*failure_));
      return;
    }
    sink_.finish([this, alive = alive_.ref()](Result<> result) {
      if (!alive.expired()) std::exchange(finish_done_, nullptr)(std::move(result));
    });
  }

  loop::Loop& loop_;
  loop::Writable& sink_;
  std::string waiting_;
  std::string sending_;
  size_t sent_ = 0;
  bool awaiting_ = false;
  bool scheduled_ = false;
  bool finishing_ = false;
  bool finished_ = false;
  std::optional<Error> failure_;
  std::vector<std::move_only_function<void(Result<>)>> drained_;
  std::move_only_function<void(Result<>)> finish_done_;
  base::Alive alive_;
};

TextWriter::TextWriter(loop::Loop& loop, loop::Writable& sink) : impl_(std::make_unique<Impl>(loop, sink)) {}
TextWriter::~TextWriter() = default;
Result<> TextWriter::put(std::string_view text) { return impl_->put(text); }
void TextWriter::when_drained(std::move_only_function<void(Result<>)> done) {
  impl_->when_drained(std::move(done));
}
void TextWriter::finish(std::move_only_function<void(Result<>)> done) { impl_->finish(std::move(done)); }
size_t TextWriter::queued_bytes() const { return impl_->queued(); }

}  // namespace headrace::flow
