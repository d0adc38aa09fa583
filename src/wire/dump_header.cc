#include "wire/dump_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/quote.h"
#include "wire/dle.h"
#include "wire/text.h"

namespace headrace::wire {

using base::ErrorKind;
using base::Result;
using Type = DumpHeader::Type;

namespace {

// Options of the first line: Amanda writes them in this order and no other.
struct Option {
  std::string_view key;
  std::string DumpHeader::* value;
};
constexpr std::array<Option, 6> kOptions = {
    Option{"server_custom_compress", &DumpHeader::server_compress_program},
    {"client_custom_compress", &DumpHeader::client_compress_program},
    {"server_encrypt", &DumpHeader::server_encrypt_program},
    {"client_encrypt", &DumpHeader::client_encrypt_program},
    {"server_decrypt_option", &DumpHeader::server_decrypt_option},
    {"client_decrypt_option", &DumpHeader::client_decrypt_option}};

std::unexpected<base::Error> refuse(std::string_view field, std::string_view value, std::string_view why) {
  return base::fail(ErrorKind::refused,
                    fmt::format("cannot write a header: {} \"{}\" {}", field, printable(value), why));
}

bool is_stamp(std::string_view text) {
  if (text == "X") return true;
  return (text.size() == 8 || text.size() == 14) &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return c == '\0' || c == '\n' || c == '\f'; });
}

// A value that must stay one word of its line.
Result<> check_word(std::string_view field, std::string_view value) {
  if (value.size() > kMaxHeaderFieldBytes) return refuse(field, value, "is longer than 255 bytes");
  if (value.find_first_of(std::string_view(" \t\r\n\f\v\"\\\0", 9)) != std::string_view::npos) {
    return refuse(field, value, "holds a blank, a quote or a control character");
  }
  return {};
}

// A value that is the rest of its line.
Result<> check_line(std::string_view field, std::string_view value) {
  if (value.size() > kMaxHeaderFieldBytes) return refuse(field, value, "is longer than 255 bytes");
  if (has_control(value)) return refuse(field, value, "holds a control character");
  return {};
}

Result<> check_dump(const DumpHeader& header) {
  if (header.host.empty()) return refuse("host", header.host, "is empty");
  if (header.disk.size() > kMaxHeaderFieldBytes)
    return refuse("disk", header.disk, "is longer than 255 bytes");
  if (header.disk.find('\0') != std::string::npos) return refuse("disk", header.disk, "holds a NUL");
  if (header.level < 0 || header.level > kMaxLevel) {
    return refuse("level", std::to_string(header.level), "is not within 0 to 399");
  }
  if (header.type == Type::split_file &&
      (header.part < 1 || (header.total_parts != -1 && header.total_parts < header.part))) {
    return refuse("part", fmt::format("{}/{}", header.part, header.total_parts), "makes no sense");
  }
  if (header.compress_suffix == "N") return refuse("compress suffix", "N", "means no compression");
  for (const auto& [field, value] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"host", header.host}, {"compress suffix", header.compress_suffix}, {"program", header.program}}) {
    if (auto sound = check_word(field, value); !sound) return sound;
  }
  for (const Option& option : kOptions) {
    if (auto sound = check_word(option.key, header.*option.value); !sound) return sound;
  }
  for (const auto& [field, value] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"next chunk", header.cont_filename}, {"application", header.application}}) {
    if (auto sound = check_line(field, value); !sound) return sound;
  }
  for (const std::string* command :
       {&header.decrypt_command, &header.uncompress_command, &header.recover_command}) {
    if (has_control(*command)) return refuse("command", *command, "holds a control character");
  }
  if (header.dle_xml.find('\0') != std::string::npos) return refuse("DLE", header.dle_xml, "holds a NUL");
  return {};
}

std::string_view word_of(Type type) {
  switch (type) {
    case Type::file:
      return "FILE";
    case Type::cont_file:
      return "CONT_FILE";
    default:
      return "SPLIT_FILE";
  }
}

std::string first_line(const DumpHeader& header) {
  std::string out = fmt::format("AMANDA: {} {} {} {} ", word_of(header.type), header.timestamp, header.host,
                                base::quote(header.disk));
  if (header.type == Type::split_file) out += fmt::format(" part {}/{} ", header.part, header.total_parts);
  out += fmt::format(" lev {} comp {}", header.level,
                     header.compress_suffix.empty() ? "N" : header.compress_suffix);
  if (!header.program.empty()) {
    std::string_view program = header.program;
    if (program.ends_with(".exe")) program.remove_suffix(4);
    out += fmt::format(" program {}", program);
  }
  if (header.encrypted) out += " crypt enc";
  for (const Option& option : kOptions) {
    if (!(header.*option.value).empty()) out += fmt::format(" {} {}", option.key, header.*option.value);
  }
  return out + "\n";
}

// A word that no line of the text equals.
std::string heredoc_word(std::string_view text) {
  for (int attempt = 0;; ++attempt) {
    std::string word = attempt == 0 ? "ENDDLE" : fmt::format("ENDDLE{}", attempt);
    bool taken = false;
    for (std::string_view rest = text; !rest.empty() && !taken;) taken = take_line(rest) == word;
    if (!taken) return word;
  }
}

std::string dle_lines(const std::string& dle_xml) {
  const std::string word = heredoc_word(dle_xml);
  return fmt::format("DLE=<<{}\n{}{}{}\n", word, dle_xml, dle_xml.ends_with('\n') ? "" : "\n", word);
}

constexpr std::string_view kRestoreLine = "To restore, position tape at start of file and run:\n";

std::string restore_lines(const DumpHeader& header) {
  if (header.recover_command.empty()) return {};
  std::string out(kRestoreLine);
  out += "\tdd if=<tape> ";
  if (header.blocksize > 0) out += fmt::format("bs={}k ", header.blocksize / 1024);
  out += "skip=1 |";
  for (const std::string* filter : {&header.decrypt_command, &header.uncompress_command}) {
    if (!filter->empty()) out += fmt::format(" {} |", *filter);
  }
  return out + fmt::format(" {} \n", header.recover_command);
}

std::string dump_text(const DumpHeader& header, bool with_dle) {
  std::string out = first_line(header);
  if (!header.cont_filename.empty()) out += fmt::format("CONT_FILENAME={}\n", header.cont_filename);
  if (!header.application.empty()) out += fmt::format("APPLICATION={}\n", header.application);
  if (header.partial) out += "PARTIAL=YES\n";
  if (header.orig_size_kib > 0) out += fmt::format("ORIGSIZE={}\n", header.orig_size_kib);
  if (header.native_crc.known()) out += fmt::format("NATIVE-CRC={}\n", header.native_crc.text());
  if (header.client_crc.known()) out += fmt::format("CLIENT-CRC={}\n", header.client_crc.text());
  if (header.server_crc.known()) out += fmt::format("SERVER-CRC={}\n", header.server_crc.text());
  if (with_dle && !header.dle_xml.empty()) out += dle_lines(header.dle_xml);
  return out + restore_lines(header) + "\f\n";
}

Result<std::string> header_text(const DumpHeader& header, bool with_dle) {
  if (header.type == Type::weird || header.type == Type::empty) {
    return refuse("type", header.type == Type::weird ? "weird" : "empty", "is never written");
  }
  if (header.type == Type::noop) return std::string("AMANDA: NOOP\n\f\n");
  if (!is_stamp(header.timestamp))
    return refuse("timestamp", header.timestamp, "is neither 14 nor 8 digits nor X");
  if (header.type == Type::tapeend) return fmt::format("AMANDA: TAPEEND DATE {}\n\f\n", header.timestamp);
  if (header.type == Type::tapestart) {
    if (header.label.empty()) return refuse("label", header.label, "is empty");
    if (auto sound = check_word("label", header.label); !sound) return std::unexpected(sound.error());
    return fmt::format("AMANDA: TAPESTART DATE {} TAPE {}\n\f\n", header.timestamp, header.label);
  }
  if (auto sound = check_dump(header); !sound) return std::unexpected(sound.error());
  return dump_text(header, with_dle);
}

}  // namespace

Result<std::string> encode_header_text(const DumpHeader& header) { return header_text(header, true); }

Result<std::string> encode_header(const DumpHeader& header, size_t block_bytes) {
  // Amanda's own margin for what else the block must hold.
  constexpr size_t kRestBytes = 2048;
  auto text = header_text(header, header.dle_xml.size() + kRestBytes <= block_bytes);
  if (!text) return text;
  if (text->size() > block_bytes) {
    return refuse("block", header.host + ":" + header.disk,
                  fmt::format("needs more than {} bytes", block_bytes));
  }
  text->resize(block_bytes, '\0');
  return text;
}

}  // namespace headrace::wire
