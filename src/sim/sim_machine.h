// A client machine of a simulated site: disks whose content changes, full and incremental dumps of it, and
// the services noop, sendsize and sendbackup over the real responder. What a dump holds says by itself which
// state of the disk it gives back, so that a restore can be compared. Owned by the site; loop thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/authorize.h"
#include "auth/mux/mux_connection.h"
#include "exchange/responder.h"
#include "sim/random.h"
#include "sim/sim_loop.h"

namespace headrace::sim {

// The files of a disk, by number, and which version of each there is.
using SimFiles = std::map<uint64_t, uint64_t>;

// A disk, over all nights: what is on it, and what its machine has recorded of dumps.
class SimDisk {
 public:
  SimDisk(uint64_t seed, size_t files, uint64_t file_bytes);

  // A day passes: of a thousand files so many are changed, some new ones come, some go.
  void change(Random& random, unsigned per_mille);
  void grow(Random& random, size_t files);
  const SimFiles& files() const { return files_; }

  // A dump: the names of all files, and the content of those that the base of `level` does not have. The
  // base is the recorded dump of the highest lower level, as for GNU tar's lists; none: everything.
  std::string archive(int level) const;
  uint64_t archive_bytes(int level) const;
  // The archive has been taken to its end: later ones of a higher level build on the state it was made of.
  void record(int level, uint64_t version) { recorded_[level] = version; }
  uint64_t version() const { return version_; }
  // As after a change of its name: its machine knows of no dump of it.
  void forget_dumps() { recorded_.clear(); }

  // As a client stores an archive that it compresses; the same bytes for the same archive.
  static std::string gzip(std::string_view archive);
  // Nothing: it is none, or damaged.
  static std::optional<std::string> gunzip(std::string_view stored);

  // What restoring the archive over `files` makes of them. False when it is not an archive of ours.
  static bool restore(std::string_view archive, SimFiles& files);

 private:
  uint64_t base_of(int level) const;
  uint64_t bytes_of(uint64_t file) const;

  uint64_t seed_;
  uint64_t file_bytes_;
  SimFiles files_;
  uint64_t next_file_ = 1;
  uint64_t version_ = 1;  // of the newest change
  std::map<int, uint64_t> recorded_;
};

// What a machine does wrong.
struct SimFaults {
  unsigned error_one_in = 0;           // so many dumps end with an error; 0: never
  unsigned strange_one_in = 0;         // … with a strange line
  unsigned no_estimate_one_in = 0;     // so many estimates are missing
  unsigned absurd_one_in = 0;          // … or far off
  unsigned damage_one_in = 0;          // so many dumps have a byte changed after their checksum was made
  bool damage_keeps_checksum = false;  // … and say the checksum of the damaged bytes: nobody can notice
};

// One night of a machine. The disks outlive it.
class SimMachine {
 public:
  // Told when a dump's archive is made: what it gives back.
  using Dumped = std::function<void(const std::string& disk, int level, const SimFiles& files)>;

  SimMachine(SimLoop& loop, std::map<std::string, SimDisk>& disks, SimFaults faults, uint64_t seed);

  void serve(std::shared_ptr<auth::MuxConnection> connection);
  // All conversations by datagrams that come to that address.
  void serve_datagrams(std::shared_ptr<auth::Arrivals> arrivals, const loop::Address& address);
  void on_dump(Dumped dumped) { dumped_ = std::move(dumped); }

 private:
  class Everybody;
  class TextService;
  class DumpService;
  base::Result<std::unique_ptr<exchange::Service>> make(exchange::ServiceCall& call);
  std::string sizes(const std::string& arguments);

  SimLoop& loop_;
  std::map<std::string, SimDisk>& disks_;
  const SimFaults faults_;
  Random random_;
  Dumped dumped_;
  std::unique_ptr<auth::Authorizer> everybody_;
  std::unique_ptr<exchange::Responder> responder_;
};

}  // namespace headrace::sim
