// The invariant of mux_connection.h, against readers that do what they like: no window exists per stream, so
// what one of them leaves unread may stop its own connection, for as long as it leaves it; never another one,
// never for longer, and never at the cost of more memory than the queues are bounded to.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>

#include "auth/mux/mux_connection.h"
#include "auth/mux/mux_test_streams.h"
#include "sim/random.h"
#include "sim/sim_stream.h"

namespace headrace::auth {
namespace {

using loop::IoState;
using sim::SimLinkOptions;
using sim::SimLoop;
using std::chrono::milliseconds;
using std::chrono::seconds;

// DATA, MESG, INDEX and STATE, as far as a connection can tell.
constexpr size_t kStreams = 4;

// How a reader treats its stream.
enum class Habit : unsigned char {
  eager,     // reads all there is, at once
  crawling,  // a byte a read
  dripping,  // some bytes, then looks away for a while
  late,      // nothing at first, then all
  never,     // nothing, and closes the stream in the end
};

class HabitualReader {
 public:
  HabitualReader(SimLoop& loop, std::unique_ptr<loop::Duplex> from, Habit habit, base::Duration until)
      : loop_(loop), from_(std::move(from)), habit_(habit) {
    if (habit == Habit::crawling) buffer_.resize(1);
    if (habit == Habit::late || habit == Habit::never) {
      timer_ = loop.after(until, [this] { habit_ == Habit::late ? go_on() : give_up(); });
    } else {
      go_on();
    }
  }
  std::string text;
  IoState state = IoState::wait;

 private:
  void go_on() {
    while (true) {
      const auto got = from_->read(buffer_);
      state = got.state;
      if (got.state == IoState::wait) return from_->await_readable([this] { go_on(); });
      if (got.state != IoState::moved) return;
      text += base::as_text(std::span(buffer_).first(got.bytes));
      if (habit_ == Habit::dripping) {
        timer_ = loop_.after(milliseconds(3), [this] { go_on(); });
        return;
      }
    }
  }
  void give_up() {
    state = IoState::failed;
    from_.reset();
  }

  SimLoop& loop_;
  std::unique_ptr<loop::Duplex> from_;
  const Habit habit_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(20000);
  std::unique_ptr<loop::Timer> timer_;
};

// One dump's connection: its streams, who writes them and who reads them.
class Dump {
 public:
  Dump(SimLoop& loop, SimLinkOptions there, SimLinkOptions back)
      : Dump(loop, make_sim_connection(loop, std::move(there), std::move(back))) {}
  // In the order in which these are called.
  void begin(size_t stream, size_t total, Habit habit, base::Duration until = seconds(30)) {
    totals[stream] = total;
    habits[stream] = habit;
    readers[stream] = std::make_unique<HabitualReader>(loop_, std::move(streams_[stream].near), habit, until);
    writers[stream] =
        std::make_unique<Writer>(loop_, *streams_[stream].far, total, static_cast<char>('a' + stream));
    writers[stream]->go_on();
  }
  void expect_whole(const std::string& what) const {
    for (size_t i = 0; i < kStreams; ++i) {
      if (habits[i] == Habit::never) continue;
      ASSERT_EQ(readers[i]->state, IoState::end) << what << ", stream " << i;
      ASSERT_TRUE(readers[i]->text == pattern(totals[i], static_cast<char>('a' + i)))
          << what << ", stream " << i;
      ASSERT_TRUE(writers[i]->finished) << what << ", stream " << i;
    }
  }

  const std::shared_ptr<sim::SimLink> back;  // what the client sends
  std::array<size_t, kStreams> totals{};
  std::array<Habit, kStreams> habits{};
  std::array<std::unique_ptr<HabitualReader>, kStreams> readers;
  std::array<std::unique_ptr<Writer>, kStreams> writers;

 private:
  Dump(SimLoop& loop, sim::SimConnection connection)
      : back(connection.b_to_a), loop_(loop), ends_(loop, std::move(connection.a), std::move(connection.b)) {
    for (size_t i = 0; i < kStreams; ++i) streams_.push_back(ends_.open());
  }
  SimLoop& loop_;
  CopyingEnds ends_;
  std::vector<MuxEnds::Stream> streams_;
};

// When a dump of its own connection, beside nothing or beside another, is whole.
base::Duration time_of_a_plain_dump(SimLoop& loop) {
  Dump plain(loop, {}, {.latency = milliseconds(2), .bytes_per_second = 10'000'000});
  const auto began = loop.clock().now();
  plain.begin(0, 500'000, Habit::eager);
  plain.begin(1, 2000, Habit::eager);
  plain.begin(2, 50'000, Habit::eager);
  plain.begin(3, 500, Habit::eager);
  const bool whole = loop.run_until([&] {
    return std::ranges::all_of(plain.readers,
                               [](const auto& reader) { return reader->state == IoState::end; });
  });
  EXPECT_TRUE(whole);
  return loop.clock().now() - began;
}

TEST(MuxInvariant, AStreamNobodyReadsHoldsUpItsOwnConnectionOnly) {
  SimLoop alone;
  const base::Duration undisturbed = time_of_a_plain_dump(alone);
  // Each comes first once, and each stands once right before each other.
  constexpr std::array<std::array<size_t, kStreams>, 4> kOrders{
      {{0, 1, 2, 3}, {1, 3, 0, 2}, {2, 0, 3, 1}, {3, 2, 1, 0}}};
  for (const auto& order : kOrders) {
    for (size_t victim = 0; victim < kStreams; ++victim) {
      SimLoop loop;
      Dump dump(loop, {}, {.capacity_bytes = 100'000});
      const size_t held_before = dump.back->bytes_read();
      // More than its queue takes, so that its connection stands still in the end.
      for (const size_t stream : order) {
        dump.begin(stream, stream == victim ? 2 * kStreamQueueBytes : 300'000,
                   stream == victim ? Habit::never : Habit::eager);
      }
      EXPECT_EQ(time_of_a_plain_dump(loop), undisturbed);
      loop.advance(seconds(5));
      // What was taken of the victim's stream is what its queue holds.
      size_t others = 0;
      for (size_t i = 0; i < kStreams; ++i) others += i == victim ? 0 : dump.readers[i]->text.size();
      const size_t frames = (others + kStreamQueueBytes) / 1000;  // headers, and what ends streams
      EXPECT_LE(dump.back->bytes_read() - held_before, others + kStreamQueueBytes + frames);
      EXPECT_LE(dump.writers[victim]->written, kStreamQueueBytes + 100'000 + 2 * 65536);
      // Its owner gives it up: the rest comes.
      ASSERT_TRUE(loop.run_until_idle());
      dump.expect_whole(fmt::format("victim {}", victim));
      EXPECT_TRUE(dump.writers[victim]->refused);
    }
  }
}

TEST(MuxInvariant, WhatAQueueHoldsMayStayUnreadForEver) {
  for (size_t victim = 0; victim < kStreams; ++victim) {
    SimLoop loop;
    Dump dump(loop, {}, {});
    for (size_t stream = 0; stream < kStreams; ++stream) {
      dump.begin(stream, stream == victim ? kStreamQueueBytes : 700'000,
                 stream == victim ? Habit::never : Habit::eager, std::chrono::hours(10));
    }
    loop.advance(seconds(60));
    dump.expect_whole(fmt::format("victim {}", victim));
  }
}

TEST(MuxInvariant, AByteAtATimeIsEnough) {
  SimLoop alone;
  const base::Duration undisturbed = time_of_a_plain_dump(alone);
  std::array<size_t, kStreams> order{0, 1, 2, 3};
  do {
    SimLoop loop;
    Dump dump(loop, {}, {.capacity_bytes = 30'000, .largest_move_bytes = 7000, .seed = 3});
    // One reads byte by byte, one looks away between reads, two are as they should be.
    for (size_t i = 0; i < kStreams; ++i) {
      dump.begin(order[i], 40'000, i == 0 ? Habit::crawling : i == 1 ? Habit::dripping : Habit::eager);
    }
    EXPECT_EQ(time_of_a_plain_dump(loop), undisturbed);
    ASSERT_TRUE(loop.run_until_idle());
    dump.expect_whole(fmt::format("order {}{}{}{}", order[0], order[1], order[2], order[3]));
  } while (std::ranges::next_permutation(order).found);
}

TEST(MuxInvariant, ReadersOfAnyHabitNeverDeadlock) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    sim::Random random(seed);
    SimLoop loop;
    Dump dump(loop, {.capacity_bytes = random.between(100, 50'000)},
              {.capacity_bytes = random.between(1000, 200'000),
               .latency = milliseconds(random.below(10)),
               .largest_move_bytes = random.one_in(2) ? 0 : random.between(100, 40'000),
               .false_wait_one_in = static_cast<unsigned>(random.below(2) * 5),
               .seed = seed});
    for (size_t stream = 0; stream < kStreams; ++stream) {
      const auto habit = static_cast<Habit>(random.below(5));
      // Byte by byte is slow for the test as well.
      const size_t most = habit == Habit::crawling ? 20'000 : 400'000;
      dump.begin(stream, random.below(most), habit, milliseconds(random.below(20'000)));
    }
    ASSERT_TRUE(loop.run_until_idle()) << "seed " << seed;
    dump.expect_whole(fmt::format("seed {}", seed));
  }
}

// As long as each consumer drains by itself, all arrives, whichever of
// them stops for how long, and no queue exceeds its bound.
TEST(MuxInvariant, StopsOfOneReaderDelayButNeverDeadlock) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    sim::Random random(seed);
    const auto options = [&](uint64_t salt) {
      return SimLinkOptions{.capacity_bytes = random.between(100, 100000),
                            .latency = milliseconds(random.below(30)),
                            .largest_move_bytes = random.one_in(2) ? 0 : random.between(2000, 40000),
                            .false_wait_one_in = static_cast<unsigned>(random.below(2) * 4),
                            .seed = seed * 2 + salt};
    };
    SimLoop loop;
    auto connection = make_sim_connection(loop, options(0), options(1));
    CopyingEnds ends(loop, std::move(connection.a), std::move(connection.b));
    constexpr size_t kThree = 3;
    const std::array<size_t, kThree> totals{random.between(300000, 900000), random.between(0, 3000),
                                            random.between(0, 600000)};
    std::vector<MuxEnds::Stream> streams;
    std::vector<std::unique_ptr<Writer>> writers;
    std::vector<std::unique_ptr<Reader>> readers;
    std::vector<std::unique_ptr<loop::Timer>> timers;
    for (size_t i = 0; i < kThree; ++i) {
      streams.push_back(ends.open());
      writers.push_back(
          std::make_unique<Writer>(loop, *streams[i].far, totals[i], static_cast<char>('a' + i)));
      // Each comes to read at its own time: another's data may stand before its own until then.
      readers.push_back(std::make_unique<Reader>(*streams[i].near, false));
    }
    for (size_t i = 0; i < kThree; ++i) {
      writers[i]->go_on();
      timers.push_back(loop.after(milliseconds(random.below(20000)), [&readers, i] { readers[i]->go_on(); }));
    }
    ASSERT_TRUE(loop.run_until_idle());
    for (size_t i = 0; i < kThree; ++i) {
      ASSERT_EQ(readers[i]->state, IoState::end) << "seed " << seed << " stream " << i;
      ASSERT_TRUE(readers[i]->text == pattern(totals[i], static_cast<char>('a' + i))) << "seed " << seed;
      ASSERT_TRUE(writers[i]->finished);
    }
  }
}

TEST(MuxInvariant, AStoppedReaderLetsTheOthersThroughUpToItsQueue) {
  for (const bool data_stops : {true, false}) {
    SimLoop loop;
    auto connection = make_sim_connection(loop, {}, {});
    CopyingEnds ends(loop, std::move(connection.a), std::move(connection.b));
    auto data = ends.open();
    auto index = ends.open();
    auto& stopped = data_stops ? data : index;
    auto& running = data_stops ? index : data;
    Writer little(loop, *stopped.far, kStreamQueueBytes - 1000, 's');
    Writer much(loop, *running.far, 5'000'000, 'r');
    Reader reader(*running.near);
    little.go_on();
    much.go_on();
    ASSERT_TRUE(loop.run_until_idle());
    EXPECT_EQ(reader.text.size(), 5'000'000U);
    EXPECT_EQ(reader.state, IoState::end);
  }
}

TEST(MuxInvariant, WritersShareTheConnection) {
  SimLoop loop;
  auto connection = make_sim_connection(loop, {}, {.bytes_per_second = 10'000'000});
  CopyingEnds ends(loop, std::move(connection.a), std::move(connection.b));
  std::vector<MuxEnds::Stream> streams;
  std::vector<std::unique_ptr<Writer>> writers;
  std::vector<std::unique_ptr<Reader>> readers;
  for (size_t i = 0; i < 4; ++i) {
    streams.push_back(ends.open());
    writers.push_back(std::make_unique<Writer>(loop, *streams[i].far, size_t{1} << 30U, 'a'));
    readers.push_back(std::make_unique<Reader>(*streams[i].near));
    writers[i]->go_on();
  }
  loop.advance(milliseconds(500));
  size_t least = writers[0]->written;
  size_t most = least;
  for (const auto& writer : writers) {
    least = std::min(least, writer->written);
    most = std::max(most, writer->written);
  }
  EXPECT_GT(most, 1'000'000U);
  EXPECT_LT(most, 2 * least);
}

}  // namespace
}  // namespace headrace::auth
