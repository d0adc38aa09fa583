// The chunk files of one image being written: opens them, fills them, links each to the next, and at the end
// gives them their names. Blocking file calls: used on one worker at a time, by ImageWriter. Decides nothing
// about space: it is told where it has room and says when that is used up.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <deque>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "server/hold/chunk_file.h"
#include "server/hold/holding_disks.h"
#include "wire/dump_header.h"

namespace headrace::hold {

// Leave to write on one holding disk. Bytes include 32 KiB for the header of each chunk.
struct Room {
  DiskIndex disk = 0;
  std::filesystem::path directory;  // of the holding disk
  uint64_t chunk_bytes = 0;         // largest chunk, header included; 0: without limit
  uint64_t bytes = 0;
};

// What is known of an image once it is whole; goes into its first header. Zero values are unknown.
struct ImageTotals {
  uint64_t orig_size_kib = 0;
  base::CrcAndSize native_crc;
  base::CrcAndSize client_crc;
  base::CrcAndSize server_crc;
};

class ChunkChain {
 public:
  // `date_directory` is the run's timestamp, the directory's name on every holding disk.
  ChunkChain(wire::DumpHeader header, std::string date_directory, bool sync);

  void add_room(Room room);

  struct Wrote {
    uint64_t bytes = 0;
    bool room_wanted = false;     // nothing was written and there is no more room
    std::vector<DiskIndex> full;  // disks that had less room in reality
    std::optional<base::Error> error;
  };
  // Writes of the pieces what goes into the open chunk and those that follow; rolls to the next chunk as
  // needed.
  Wrote write(std::span<const iovec> pieces);

  // Everything to the disk (when told to sync), then the headers, then the names without ".tmp", the first
  // chunk's last. An image without data gets its first chunk here.
  base::Result<> finish(const ImageTotals& totals);
  // The same with PARTIAL=YES in every header.
  base::Result<> keep_partial(const ImageTotals& totals);
  // Removes all chunks, under whatever name they have.
  void discard();

  // What the files take, by disk.
  std::vector<Piece> used() const;
  uint64_t used_kib(DiskIndex disk) const;
  uint64_t data_bytes() const { return data_bytes_; }
  // The final name of the first chunk; empty before there is one.
  std::filesystem::path first_path() const {
    return chunks_.empty() ? std::filesystem::path() : chunks_[0].path;
  }

 private:
  struct Chunk {
    DiskIndex disk = 0;
    std::filesystem::path path;  // final
    uint64_t limit_bytes = 0;
    uint64_t size = 0;  // of the file, header included
    bool tmp = true;    // still under its ".tmp" name
    std::filesystem::path name() const { return tmp ? with_tmp(path) : path; }
  };

  // Bytes that may go into the open chunk now, opening one when needed; 0 when there is no room.
  base::Result<uint64_t> space(Wrote& wrote);
  base::Result<> open_next(const Room& room);
  base::Result<> link_previous(const std::filesystem::path& next);
  void disk_full(DiskIndex disk, Wrote& wrote);
  base::Result<> drop_empty_chunk();
  wire::DumpHeader header_of(size_t index) const;
  base::Result<> settle(const ImageTotals& totals, bool partial);
  base::Result<> sync_chunk(const Chunk& chunk);
  base::Result<> rename_all();

  wire::DumpHeader header_;
  std::string date_directory_;
  bool sync_;
  std::deque<Room> rooms_;
  std::vector<Chunk> chunks_;
  base::Fd fd_;  // of the last chunk while it takes data
  uint64_t data_bytes_ = 0;
};

}  // namespace headrace::hold
