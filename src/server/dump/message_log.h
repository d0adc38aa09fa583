// What a client's MESG stream adds up to: the header fields, the verdict, the numbers to check against. Pure:
// fed with lines, asked for the result.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/crc32c.h"
#include "base/error.h"
#include "wire/dump_header.h"
#include "wire/sendbackup.h"

namespace headrace::dump {

class MessageLog {
 public:
  explicit MessageLog(size_t max_messages) : max_messages_(max_messages) {}

  void add(std::string_view line, bool partial);
  bool header_complete() const { return header_complete_; }
  // Puts what the info lines said into a header whose host, disk, level and timestamp are set.
  void describe(wire::DumpHeader& header) const;

  // Whether the client called the dump good: an error line, a missing size or end line make it fail.
  base::Result<> verdict() const;
  const std::optional<wire::Retry>& retry() const { return retry_; }
  bool strange() const { return strange_; }
  uint64_t native_kib() const { return native_kib_.value_or(0); }
  base::CrcAndSize native_crc() const { return native_crc_; }
  base::CrcAndSize client_crc() const { return client_crc_; }
  const std::vector<std::string>& lines() const { return lines_; }
  // State lines of clients without a STATE stream.
  const std::string& state() const { return state_; }

 private:
  void keep(std::string_view line);
  void take_info(const wire::MesgLine& line);

  size_t max_messages_;
  std::vector<std::string> lines_;
  size_t dropped_ = 0;
  bool header_complete_ = false;
  bool ended_ = false;
  bool cut_ = false;
  bool strange_ = false;
  std::optional<std::string> error_;
  std::optional<wire::Retry> retry_;
  std::optional<uint64_t> native_kib_;
  base::CrcAndSize native_crc_, client_crc_;
  wire::DumpHeader fields_;
  std::string recover_command_;
  std::string state_;
};

}  // namespace headrace::dump
