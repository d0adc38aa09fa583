// The parts of one image being written to volumes, call by call: begins a file, fills it, ends it where a
// part or a volume ends. Blocking: used on one worker at a time, by PartWriter. Chooses no volume: it says
// when it needs one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "config/dumptype.h"
#include "config/server_config.h"
#include "server/volume/volume.h"
#include "wire/dump_header.h"

namespace headrace::volume {

struct PartOptions {
  uint64_t part_bytes = 0;  // of data in a part; 0: parts end only where a volume does
  bool may_split = true;    // false: the whole image in one part
  bool sync = true;         // a part counts as written when it is on the medium
};
// By a tapetype's part-size and a dumptype's allow-split and older splitting parameters.
PartOptions part_options(const config::Tapetype& tapetype, const config::Dumptype& dumptype);

// A file of the image on a volume, as PART and PARTPARTIAL lines of the log tell it.
struct PartResult {
  std::string label;
  int file = 0;
  int part = 0;
  uint64_t offset = 0;  // of its first byte in the image
  uint64_t bytes = 0;
  base::Duration duration{};
  bool good = false;
  std::string why;  // when not good
};

// Where an image goes on when its last part failed: everything before is on volumes, in good parts.
struct PartPosition {
  int part = 1;
  uint64_t offset = 0;
  base::Crc32c crc;  // of what is before
};

class PartFiller {
 public:
  PartFiller(const base::Clock& clock, wire::DumpHeader header, PartOptions options, PartPosition start);

  // Precondition: no volume, or wanted() was said.
  void use(std::shared_ptr<Volume> volume, std::string label);

  struct Filled {
    uint64_t bytes = 0;
    bool volume_wanted = false;  // nothing was written, and there is no volume to write to
    std::vector<PartResult> parts;
    std::optional<base::Error> error;
    PartPosition position;  // where to go on when what follows fails
    base::CrcAndSize crc;   // of all that was written
  };
  // Writes of the pieces what goes into the open part, ending it when it is full; the next call goes on.
  // `pieces_done` is called when their memory is needed no more, at the latest before a part is ended, which
  // takes its time. An error of kind full means that the volume ended in the middle of a part; go on at
  // the position, on another.
  Filled write(std::span<const iovec> pieces, const std::function<void()>& pieces_done);
  // Ends the last part. An image without data gets an empty one.
  Filled finish();
  // Takes the part begun off the volume, where the medium can.
  void drop();

 private:
  Filled told(Filled filled) const;
  bool begin_part(Filled& filled);
  void end_part(Filled& filled);
  void fail_part(base::Error error, Filled& filled);
  void medium_full(Filled& filled);
  void write_some(std::span<const iovec> pieces, Filled& filled, const std::function<void()>& pieces_done);

  const base::Clock& clock_;
  wire::DumpHeader header_;
  PartOptions options_;
  PartPosition position_;
  base::Crc32c crc_;
  std::shared_ptr<Volume> volume_;  // shared with its owner: works on a lane may outlive the writer
  std::string label_;
  bool open_ = false;
  int file_ = 0;
  uint64_t part_bytes_ = 0;
  base::Instant begun_;
};

}  // namespace headrace::volume
