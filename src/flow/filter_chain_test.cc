// Bytes through real programs: what arrives, what is told of those that fail.
#include "flow/filter_chain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "loop/test_loop.h"

namespace headrace::flow {
namespace {

using base::ErrorKind;
using base::Result;
using loop::IoState;

class TextSource : public loop::Readable {
 public:
  explicit TextSource(std::string text) : text_(std::move(text)) {}
  loop::IoResult read(base::MutableBytes into) override {
    if (fails && at_ == text_.size()) return {IoState::failed, 0};
    if (at_ == text_.size()) return {IoState::end, 0};
    const size_t n = std::min(into.size(), text_.size() - at_);
    std::memcpy(into.data(), text_.data() + at_, n);
    at_ += n;
    return {IoState::moved, n};
  }
  void await_readable(loop::Ready) override {}
  base::Error error() const override { return {ErrorKind::gone, "the source broke"}; }
  void close_read() override { closed = true; }
  bool fails = false;
  bool closed = false;

 private:
  std::string text_;
  size_t at_ = 0;
};

class TextSink : public loop::Writable {
 public:
  explicit TextSink(loop::Loop& loop) : loop_(loop) {}
  loop::IoResult write(std::span<const iovec> pieces) override {
    if (text.size() >= full_at) return {IoState::failed, 0};
    text.append(static_cast<const char*>(pieces[0].iov_base), pieces[0].iov_len);
    return {IoState::moved, pieces[0].iov_len};
  }
  void await_writable(loop::Ready ready) override { loop_.post(std::move(ready)); }
  base::Error error() const override { return {ErrorKind::full, "no room in the sink"}; }
  void finish(std::move_only_function<void(Result<>)> done) override {
    finished = true;
    loop_.post([done = std::move(done)]() mutable { done({}); });
  }
  void abandon() override {}
  std::string text;
  size_t full_at = SIZE_MAX;
  bool finished = false;

 private:
  loop::Loop& loop_;
};

FilterCommand shell(const std::string& role, const std::string& script) {
  return {role, "/bin/sh", {"sh", "-c", script}, {"PATH=/usr/bin:/bin"}, {}};
}

class FilterChainTest : public ::testing::Test {
 protected:
  Result<ChainOutcome> run(const std::vector<FilterCommand>& filters, ChainOptions options = {}) {
    auto chain = std::make_unique<FilterChain>(*loop_, source, sink, options);
    if (gate != nullptr) chain->set_gate(*gate);
    std::optional<Result<ChainOutcome>> outcome;
    const auto started = chain->start(
        filters,
        [this](std::string_view role, std::string_view line) {
          messages += std::string(role) + ": " + std::string(line) + "\n";
        },
        [&](Result<ChainOutcome> result) {
          EXPECT_FALSE(outcome) << "told twice";
          outcome = std::move(result);
          if (outcome->has_value()) moved = chain->moved_bytes();
          chain.reset();
          loop_->stop();
        });
    if (!started) return std::unexpected(started.error());
    loop_->run();
    return outcome ? *std::move(outcome) : base::fail(ErrorKind::cancelled, "nothing was told");
  }
  static base::CrcAndSize crc_of(const std::string& text) {
    base::Crc32c crc;
    crc.add(base::as_bytes(text));
    return crc.value();
  }

  std::unique_ptr<loop::Loop> loop_ = loop::make_loop(1);
  std::unique_ptr<loop::Timer> deadline_ = loop::end_test_after_deadline(*loop_);
  std::string input = std::string(3'000'000, 'a') + "z";
  TextSource source{input};
  TextSink sink{*loop_};
  Gate* gate = nullptr;
  std::string messages;
  uint64_t moved = 0;
};

TEST_F(FilterChainTest, WithoutFiltersIsAPump) {
  const auto outcome = run({});
  ASSERT_TRUE(outcome) << outcome.error().what();
  EXPECT_TRUE(sink.text == input);
  EXPECT_EQ(outcome->entered, crc_of(input));
  EXPECT_EQ(outcome->left, crc_of(input));
  EXPECT_TRUE(sink.finished);
  EXPECT_EQ(moved, input.size());
}

TEST_F(FilterChainTest, FiltersFollowEachOtherWithAChecksumAtEitherEnd) {
  const auto outcome = run({shell("first", "tr a b; echo one >&2"), shell("second", "tr b c; echo two >&2")},
                           {.finish_sink = false});
  ASSERT_TRUE(outcome) << outcome.error().what();
  std::string wanted(input);
  std::ranges::replace(wanted, 'a', 'c');
  EXPECT_TRUE(sink.text == wanted);
  EXPECT_EQ(outcome->entered, crc_of(input));
  EXPECT_EQ(outcome->left, crc_of(wanted));
  EXPECT_FALSE(sink.finished) << "the owner's";
  EXPECT_NE(messages.find("first: one\n"), std::string::npos) << messages;
  EXPECT_NE(messages.find("second: two\n"), std::string::npos) << messages;
  EXPECT_EQ(moved, 3 * input.size());
}

// A broken pipe alone says nothing, and who died of it is not to blame.
TEST_F(FilterChainTest, AFilterThatFailsIsNamed) {
  const auto outcome =
      run({shell("compress", "exec cat"), shell("encrypt", "head -c 10 >/dev/null; exit 3")});
  ASSERT_FALSE(outcome);
  EXPECT_TRUE(outcome.error().what().starts_with("encrypt (")) << outcome.error().what();
  EXPECT_TRUE(outcome.error().what().ends_with(") /bin/sh returned 3")) << outcome.error().what();
  EXPECT_TRUE(source.closed);
}

TEST_F(FilterChainTest, AFilterThatFailsAfterItHasWrittenAllFailsTheWhole) {
  const auto outcome = run({shell("compress", "cat; kill -9 $$")});
  ASSERT_FALSE(outcome);
  EXPECT_TRUE(outcome.error().what().ends_with(") /bin/sh got signal 9")) << outcome.error().what();
}

TEST_F(FilterChainTest, AFilterThatStopsReadingIsNoSuccess) {
  const auto outcome = run({shell("compress", "head -c 10")});
  ASSERT_FALSE(outcome);
  EXPECT_TRUE(outcome.error().what().ends_with("ended before it had read everything"))
      << outcome.error().what();
}

TEST_F(FilterChainTest, SourceAndSinkAreNotTheFiltersFault) {
  sink.full_at = 1'000'000;
  const auto outcome = run({shell("compress", "exec cat")});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind(), ErrorKind::full);
  TextSource broken("some");
  broken.fails = true;
  FilterChain chain(*loop_, broken, sink);
  std::optional<Result<ChainOutcome>> result;
  ASSERT_TRUE(chain.start({shell("compress", "exec cat")}, nullptr, [&](Result<ChainOutcome> got) {
    result = std::move(got);
    loop_->stop();
  }));
  loop_->run();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->error().what(), "the source broke");
}

TEST_F(FilterChainTest, AFilterThatIsNotThereIsSaidAtOnce) {
  const auto outcome = run({{"encrypt", "/nonexistent/crypt", {"crypt"}, {}, {}}});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind(), ErrorKind::refused);
  EXPECT_NE(outcome.error().what().find("/nonexistent/crypt"), std::string::npos);
}

TEST_F(FilterChainTest, AClosedGateLetsNothingIn) {
  Gate closed;
  closed.close();
  gate = &closed;
  loop::turn_loop(*loop_, 50, [&] {
    EXPECT_EQ(sink.text, "");
    closed.reopen();
  });
  const auto outcome = run({shell("compress", "exec cat")});
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(sink.text == input);
}

}  // namespace
}  // namespace headrace::flow
