// The header block before every file on a volume and every holding chunk, which also travels to amrecover.
// Text, NUL padded to a block. Pure; who writes which header when is hold/'s and volume/'s business. Format:
// as Amanda 3.5.1 writes it, double blanks, heredoc and "dd" line included; a reader takes what 2.x and 3.x
// wrote.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/error.h"

namespace headrace::wire {

inline constexpr size_t kHeaderBlockBytes = 32768;
// Fields longer than this are cut by Amanda's readers; the writer refuses them.
inline constexpr size_t kMaxHeaderFieldBytes = 255;

struct DumpHeader {
  enum class Type {
    tapestart,   // label of a volume: timestamp, label
    tapeend,     // end of a volume: timestamp
    file,        // a whole dump, or a holding file's first chunk
    cont_file,   // further chunk of a holding file
    split_file,  // part of a dump on a volume
    noop,        // filler, to be skipped
    weird,       // no Amanda header
    empty,       // nothing but NUL: never written
  };
  Type type = Type::weird;
  std::string timestamp;  // 14 digits (8 from old writers), or "X": labelled, never used
  std::string label;      // tapestart
  std::string host;
  std::string disk;
  int level = 0;
  int part = 0;                 // split_file: from 1; a file header is read as part 1 of 1
  int total_parts = -1;         // split_file: -1 = unknown, as Amanda 3.5 always writes
  std::string compress_suffix;  // ".gz", "cust"; empty = not compressed
  std::string program;          // "/bin/tar", "APPLICATION"
  bool encrypted = false;
  std::string server_compress_program;
  std::string client_compress_program;
  std::string server_encrypt_program;
  std::string client_encrypt_program;
  std::string server_decrypt_option;
  std::string client_decrypt_option;
  std::string cont_filename;  // absolute path of the next chunk; empty in the last
  std::string application;
  bool partial = false;
  uint64_t orig_size_kib = 0;  // 0 = unknown
  base::CrcAndSize native_crc;
  base::CrcAndSize client_crc;
  base::CrcAndSize server_crc;
  std::string dle_xml;  // "<dle>…</dle>\n"; empty = none
  // The pipeline behind "dd …": each may be empty but recover_command, and is written as given, without " |".
  std::string decrypt_command;
  std::string uncompress_command;
  std::string recover_command;
  uint64_t blocksize = 0;  // bytes; in KiB as "bs=32k" on the dd line; 0 = not written

  bool is_dump() const { return type == Type::file || type == Type::cont_file || type == Type::split_file; }
  bool operator==(const DumpHeader&) const = default;
};

// The text up to and with "\f\n". Errors (refused): a field that cannot be read back (blank in a label,
// timestamp of another form, level beyond 399, too long). Weird and empty headers are never written.
base::Result<std::string> encode_header_text(const DumpHeader& header);
// The same, NUL padded to a block. The DLE is left out when longer than the block less 2048 bytes. Error
// refused: it does not fit all the same.
base::Result<std::string> encode_header(const DumpHeader& header, size_t block_bytes = kHeaderBlockBytes);

// Reads a block, or the bare text. No Amanda header is a type (weird, empty). Errors (corrupt): an Amanda
// header whose first line makes no sense.
base::Result<DumpHeader> parse_header(base::Bytes block);

}  // namespace headrace::wire
