// A volume loaded from a changer's slot: its label and its numbered files. One interface for all media. Owned
// by whoever loaded it, on one thread at a time; every call may block (a tape takes minutes), so never on the
// loop. Writes what it is told: whether the volume may be written is labeling.h's question.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "wire/dump_header.h"

namespace headrace::volume {

enum class LabelState : unsigned char {
  labelled,
  blank,       // nothing at all is written
  foreign,     // data, but not behind a label
  unreadable,  // an error, or a label file that makes no sense
};

struct VolumeLabel {
  LabelState state = LabelState::blank;
  std::string label;
  std::string timestamp;  // of the run that wrote the volume, or "X": labelled, never used
  std::string name;       // the label by the medium's own directory, where it has one; else as `label`
  std::string why;        // for foreign and unreadable: what was found
};

// What a write met.
enum class Medium : unsigned char {
  good,
  early_warning,  // written, but the end is near: end this file and go to the next volume
  full,           // nothing was written: the volume is at its end
};

struct Written {
  uint64_t bytes = 0;
  Medium medium = Medium::good;
};

struct FileOnVolume {
  int number = 0;
  std::string name;
  uint64_t bytes = 0;  // header included
};

// A file of a volume being read. Lives no longer than its volume.
class PartFile {
 public:
  virtual ~PartFile() = default;
  virtual const wire::DumpHeader& header() const = 0;
  // Up to into.size() bytes of data; 0 at the end.
  virtual base::Result<size_t> read(base::MutableBytes into) = 0;
};

class Volume {
 public:
  // Unloads silently; call release() to hear about errors.
  virtual ~Volume() = default;

  virtual const std::string& slot() const = 0;
  virtual uint64_t block_bytes() const = 0;
  // Whether early_warning is ever given, so that a part can end without loss.
  virtual bool warns_early() const = 0;

  virtual base::Result<VolumeLabel> read_label() = 0;
  // Erases everything and writes the label (`timestamp` 14 digits or "X"). On error the volume's content is
  // undefined; never is an old label left before erased files. Refused: a label that cannot be a name.
  virtual base::Result<> write_label(const std::string& label, const std::string& timestamp) = 0;

  // Begins the file after the last; returns its number. One file at a time. Error full: no room for the
  // header and at least a block before the early warning (before the end, where none is given).
  virtual base::Result<int> start_file(const wire::DumpHeader& header) = 0;
  // Appends from the pieces; may take less than all. Errors: the medium failed, the file is in doubt.
  virtual base::Result<Written> write(std::span<const iovec> pieces) = 0;
  // Ends the file; with `sync` it is on the medium when this returns.
  virtual base::Result<> finish_file(bool sync) = 0;
  // Takes the file begun away again, where the medium can; else leaves it short.
  virtual base::Result<> drop_file() = 0;

  // Files 1… in order.
  virtual base::Result<std::vector<FileOnVolume>> list_files() = 0;
  // Error refused: there is no such file; corrupt: its header is none of a dump.
  virtual base::Result<std::unique_ptr<PartFile>> open_file(int number) = 0;

  virtual base::Result<> release() = 0;
};

}  // namespace headrace::volume
