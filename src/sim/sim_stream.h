// Streams in memory on virtual time, which do to bytes what networks do: split, delay, throttle, stall, lose
// the peer. They also hold their users to the contract of loop/stream.h: a caller who offers other memory
// after `wait` ends the program. Loop thread; the SimLoop outlives them.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "loop/stream.h"
#include "sim/random.h"
#include "sim/sim_loop.h"

namespace headrace::sim {

struct SimLinkOptions {
  std::string name = "simulated stream";  // what errors call it
  size_t capacity_bytes = 65536;          // under way or not yet read; the writer then waits
  base::Duration latency{};
  uint64_t bytes_per_second = 0;  // 0: no limit
  size_t largest_move_bytes =
      0;  // each read and write moves 1 … this many, drawn from the seed; 0: all it can
  unsigned false_wait_one_in = 0;  // so often read and write answer `wait` for no reason; 0: never
  uint64_t seed = 1;
  std::optional<uint64_t> reset_after_bytes = {};  // the connection is reset once so many were read
};

// One direction: what is on its way, and the levers of a test.
class SimLink : public std::enable_shared_from_this<SimLink> {
 public:
  SimLink(SimLoop& loop, SimLinkOptions options);

  // The reading program does not get round to reading: read() answers `wait` until it resumes.
  void stop_reading();
  void resume_reading();
  // Nothing arrives any more, not even the end, and the writer hears nothing of its reader: a cable pulled.
  void go_silent();
  // What was held back is on its way again.
  void speak_again();
  // Both sides fail with `gone`; what was not read is lost. The other direction of a connection goes too.
  void reset();
  void set_bytes_per_second(uint64_t rate) { options_.bytes_per_second = rate; }

  uint64_t bytes_written() const { return bytes_written_; }
  uint64_t bytes_read() const { return bytes_read_; }
  size_t bytes_held() const { return static_cast<size_t>(bytes_written_ - bytes_read_); }
  bool writer_waits() const { return static_cast<bool>(writer_ready_); }
  bool reader_waits() const { return static_cast<bool>(reader_ready_); }

 private:
  friend class SimReader;
  friend class SimWriter;
  friend void bind_fates(SimLink& one, SimLink& other);

  struct Chunk {
    base::Instant arrives;
    std::string bytes;  // empty: the end
  };

  loop::IoResult read(base::MutableBytes into);
  loop::IoResult write(std::span<const iovec> pieces);
  void send_end();
  void close_reader();
  base::Error error(const char* doing) const;

  base::Instant arrival_of(size_t bytes);
  size_t drawn(size_t most);
  bool readable() const;
  bool writable() const { return failed_ || reader_closed_seen_ || bytes_held() < options_.capacity_bytes; }
  // Counts in what has arrived, wakes whom it concerns, and sets the timer for what is next.
  void settle();
  void wake(loop::Ready& waiting, bool& posted);

  SimLoop& loop_;
  SimLinkOptions options_;
  Random random_;
  std::deque<Chunk> chunks_;  // by time of arrival
  size_t arrived_ = 0;        // how many of them are there
  size_t taken_ = 0;          // bytes read of the first
  base::Instant wire_free_{};
  std::unique_ptr<loop::Timer> next_arrival_;
  uint64_t bytes_written_ = 0;
  uint64_t bytes_read_ = 0;
  bool reading_stopped_ = false;
  bool silent_ = false;
  bool failed_ = false;
  bool reader_closed_ = false;
  bool reader_closed_seen_ = false;
  bool end_sent_ = false;
  bool end_read_ = false;
  loop::Ready reader_ready_;
  loop::Ready writer_ready_;
  bool reader_wake_posted_ = false;
  bool writer_wake_posted_ = false;
  std::move_only_function<void(base::Result<>)> finish_done_;
  std::weak_ptr<SimLink> fate_;        // the connection's other direction
  const void* read_memory_ = nullptr;  // offered when read() last answered `wait`
  const void* write_memory_ = nullptr;
};

// Shared with the streams, so that a test can look at it after they are gone.
struct SimPipe {
  std::unique_ptr<loop::Writable> writer;
  std::unique_ptr<loop::Readable> reader;
  std::shared_ptr<SimLink> link;
};
SimPipe make_sim_pipe(SimLoop& loop, SimLinkOptions options = {});

struct SimConnection {
  std::unique_ptr<loop::Duplex> a;
  std::unique_ptr<loop::Duplex> b;
  std::shared_ptr<SimLink> a_to_b;
  std::shared_ptr<SimLink> b_to_a;
};
// Behaves as a socket: an end is closed for its peer once it has neither reader nor writer left.
SimConnection make_sim_connection(SimLoop& loop, SimLinkOptions a_to_b = {}, SimLinkOptions b_to_a = {});

}  // namespace headrace::sim
