#include "server/dump/message_log.h"

#include <fmt/format.h>

namespace headrace::dump {

using base::ErrorKind;
using base::Result;
using Kind = wire::MesgLine::Kind;

// Amanda's dumper keeps state lines in a file; ours come by STATE, so this is for older clients alone.
constexpr size_t kMaxStateBytes = size_t{4} << 20U;

void MessageLog::keep(std::string_view line) {
  if (lines_.size() < max_messages_) {
    lines_.emplace_back(line);
  } else if (++dropped_ == 1) {
    lines_.emplace_back("? more messages than are kept; the rest was dropped");
  }
}

void MessageLog::add(std::string_view line, bool partial) {
  if (partial) {
    cut_ = true;
    strange_ = true;
  }
  auto parsed = wire::classify_mesg(line);
  switch (parsed.kind) {
    case Kind::start:
      break;
    case Kind::info:
      take_info(parsed);
      break;
    case Kind::info_end:
      header_complete_ = true;
      return;
    case Kind::normal:
      break;
    case Kind::strange:
    case Kind::warning:
    case Kind::unknown:
      strange_ = true;
      break;
    case Kind::error:
      if (!error_) error_ = parsed.text;
      break;
    case Kind::size:
      native_kib_ = parsed.number > 0 ? static_cast<uint64_t>(parsed.number) : 0;
      break;
    case Kind::native_crc:
      native_crc_ = parsed.crc;
      return;
    case Kind::client_crc:
      client_crc_ = parsed.crc;
      return;
    case Kind::state:
      if (state_.size() + parsed.text.size() < kMaxStateBytes) state_ += parsed.text + "\n";
      return;
    case Kind::retry:
      retry_ = parsed.retry;
      if (!error_) error_ = "the client asks to be called again later: " + parsed.retry.message;
      break;
    case Kind::no_op:
    case Kind::statedone:
    case Kind::meter:
      return;
    case Kind::end:
      ended_ = true;
      break;
  }
  keep(line);
}

void MessageLog::take_info(const wire::MesgLine& line) {
  if (line.key == "BACKUP") fields_.program = line.value;
  if (line.key == "APPLICATION") fields_.application = line.value;
  if (line.key == "RECOVER_CMD") recover_command_ = line.value;
  if (line.key == "COMPRESS_SUFFIX") fields_.compress_suffix = line.value;
  if (line.key == "CLIENT_CUSTOM_COMPRESS") fields_.client_compress_program = line.value;
  if (line.key == "CLIENT_ENCRYPT") fields_.client_encrypt_program = line.value;
  if (line.key == "CLIENT_DECRYPT_OPTION") fields_.client_decrypt_option = line.value;
}

void MessageLog::describe(wire::DumpHeader& header) const {
  header.program = fields_.program;
  header.application = fields_.application;
  header.compress_suffix = fields_.compress_suffix;
  header.client_compress_program = fields_.client_compress_program;
  header.client_encrypt_program = fields_.client_encrypt_program;
  header.client_decrypt_option = fields_.client_decrypt_option;
  header.encrypted = !fields_.client_encrypt_program.empty();
  // The client gives the whole pipeline ("gzip -dc |tar -xpGf - ..."); it stands in the header as it came.
  header.recover_command = recover_command_;
}

Result<> MessageLog::verdict() const {
  if (error_) return base::fail(ErrorKind::gone, fmt::format("the client reports: {}", *error_));
  if (cut_) return base::fail(ErrorKind::gone, "the client's messages break off in the middle of a line");
  if (!header_complete_) return base::fail(ErrorKind::gone, "the client ended without describing its dump");
  if (!native_kib_)
    return base::fail(ErrorKind::gone, "missing size line from sendbackup: the client did not finish");
  if (!ended_)
    return base::fail(ErrorKind::gone, "missing end line from sendbackup: the client did not finish");
  return {};
}

}  // namespace headrace::dump
