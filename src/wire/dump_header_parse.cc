// The reading half of dump_header.h.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/quote.h"
#include "wire/dle.h"
#include "wire/dump_header.h"
#include "wire/text.h"

namespace headrace::wire {

using base::ErrorKind;
using base::Result;
using Type = DumpHeader::Type;

namespace {

class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : rest_(text) {}

  Result<DumpHeader> parse() {
    first_ = take_first_line();
    words_ = first_;
    const std::string_view magic = base::take_word(words_);
    if (magic != "AMANDA:" && magic != "NETDUMP:") return std::move(out_);
    auto known = first_line();
    if (!known) return std::unexpected(known.error());
    while (out_.is_dump() && !rest_.empty()) further_line(take_line(rest_));
    return std::move(out_);
  }

 private:
  std::unexpected<base::Error> bad(std::string_view why) const {
    return base::fail(ErrorKind::corrupt,
                      fmt::format("unreadable header ({}): \"{}\"", why, printable(first_)));
  }

  // A quoted disk name may hold newlines, and escaped quotes.
  std::string_view take_first_line() {
    bool quoted = false;
    size_t end = 0;
    for (; end < rest_.size() && (quoted || rest_[end] != '\n'); ++end) {
      if (rest_[end] == '"') quoted = !quoted;
      if (rest_[end] == '\\') ++end;
    }
    end = std::min(end, rest_.size());
    const std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(rest_.size(), end + 1));
    return line;
  }

  bool expect(std::string_view word) { return base::take_word(words_) == word; }

  bool stamp() {
    out_.timestamp = base::take_word(words_);
    return out_.timestamp == "X" ||
           (!out_.timestamp.empty() && out_.timestamp.find_first_not_of("0123456789") == std::string::npos);
  }

  Result<> first_line() {
    const std::string_view type = base::take_word(words_);
    if (type == "TAPESTART") {
      out_.type = Type::tapestart;
      if (!expect("DATE") || !stamp()) return bad("no date");
      if (!expect("TAPE")) return bad("no label");
      out_.label = base::take_word(words_);
      if (out_.label.empty()) return bad("no label");
      return {};
    }
    if (type == "TAPEEND") {
      out_.type = Type::tapeend;
      if (!expect("DATE") || !stamp()) return bad("no date");
      return {};
    }
    if (type == "NOOP") {
      out_.type = Type::noop;
      return {};
    }
    if (type == "FILE") {
      out_.type = Type::file;
    } else if (type == "CONT_FILE") {
      out_.type = Type::cont_file;
    } else if (type == "SPLIT_FILE") {
      out_.type = Type::split_file;
    } else {
      return bad("unknown type");
    }
    return dump_words();
  }

  Result<> dump_words() {
    if (!stamp()) return bad("no date");
    out_.host = base::take_word(words_);
    const std::string_view disk = base::take_word(words_);
    if (out_.host.empty() || disk.empty()) return bad("no host or disk");
    out_.disk = base::unquote(disk);
    if (out_.type == Type::split_file && !part()) return bad("no part number");
    if (out_.type == Type::file) out_.part = out_.total_parts = 1;
    if (!expect("lev")) return bad("no level");
    const auto level = parse_number<int>(base::take_word(words_));
    if (!level || *level < 0 || *level > kMaxLevel) return bad("no level");
    out_.level = *level;
    if (!expect("comp")) return bad("no compression");
    const std::string_view suffix = base::take_word(words_);
    if (suffix.empty()) return bad("no compression");
    // C is what compress(1) was called before suffixes were.
    out_.compress_suffix = suffix == "N" ? "" : suffix == "C" ? ".Z" : suffix;
    options();
    return {};
  }

  bool part() {
    if (!expect("part")) return false;
    const std::string_view word = base::take_word(words_);
    const size_t slash = word.find('/');
    if (slash == std::string_view::npos) return false;
    const auto part = parse_number<int>(word.substr(0, slash));
    const auto total = parse_number<int>(word.substr(slash + 1));
    if (!part || !total || *part < 1 || (*total != -1 && *total < *part)) return false;
    out_.part = *part;
    out_.total_parts = *total;
    return true;
  }

  // Pairs of keyword and value; one that a later Amanda may add is passed over.
  void options() {
    for (auto key = base::take_word(words_); !key.empty(); key = base::take_word(words_)) {
      const std::string_view value = base::take_word(words_);
      if (key == "program")
        out_.program = value;
      else if (key == "crypt")
        out_.encrypted = value != "N";
      else if (key == "server_custom_compress")
        out_.server_compress_program = value;
      else if (key == "client_custom_compress")
        out_.client_compress_program = value;
      else if (key == "server_encrypt")
        out_.server_encrypt_program = value;
      else if (key == "client_encrypt")
        out_.client_encrypt_program = value;
      else if (key == "server_decrypt_option")
        out_.server_decrypt_option = value;
      else if (key == "client_decrypt_option")
        out_.client_decrypt_option = value;
    }
  }

  void further_line(std::string_view line) {
    if (take_prefix(line, "CONT_FILENAME="))
      out_.cont_filename = line;
    else if (take_prefix(line, "APPLICATION="))
      out_.application = line;
    else if (take_prefix(line, "PARTIAL="))
      out_.partial = is_yes(line);
    else if (take_prefix(line, "ORIGSIZE="))
      out_.orig_size_kib = parse_number<uint64_t>(line).value_or(0);
    else if (take_prefix(line, "NATIVE-CRC="))
      out_.native_crc = base::CrcAndSize::parse(line);
    else if (take_prefix(line, "CLIENT-CRC="))
      out_.client_crc = base::CrcAndSize::parse(line);
    else if (take_prefix(line, "SERVER-CRC="))
      out_.server_crc = base::CrcAndSize::parse(line);
    else if (take_prefix(line, "DLE="))
      dle(line);
    else if (take_prefix(line, "\tdd if=<tape> "))
      restore_command(line);
  }

  static bool is_yes(std::string_view value) {
    return value.size() == 3 && (value[0] | 0x20) == 'y' && (value[1] | 0x20) == 'e' &&
           (value[2] | 0x20) == 's';
  }

  void dle(std::string_view value) {
    if (!take_prefix(value, "<<")) {
      out_.dle_xml = value;
      return;
    }
    out_.dle_xml.clear();
    while (!rest_.empty()) {
      const std::string_view line = take_line(rest_);
      if (line == value) return;
      out_.dle_xml += line;
      out_.dle_xml += '\n';
    }
  }

  // "bs=32k skip=1 | decrypt | uncompress | recover ". The commands are separated as Amanda writes them; a
  // "|" inside the recover command, as clients that compress send it, stays there.
  void restore_command(std::string_view line) {
    if (take_prefix(line, "bs=")) {
      const std::string_view number = line.substr(0, line.find("k "));
      const auto kib = parse_number<uint32_t>(number);
      if (!kib) return;
      out_.blocksize = uint64_t{*kib} * 1024;
      line.remove_prefix(std::min(line.size(), number.size() + 2));
    }
    if (!take_prefix(line, "skip=1 | ")) return;
    if (line.ends_with(' ')) line.remove_suffix(1);
    std::array<std::string_view, 2> filters;
    size_t count = 0;
    for (; count < filters.size(); ++count) {
      const size_t bar = line.find(" | ");
      if (bar == std::string_view::npos) break;
      filters.at(count) = line.substr(0, bar);
      line.remove_prefix(bar + 3);
    }
    if (count == 2) out_.decrypt_command = filters[0];
    if (count > 0) out_.uncompress_command = filters.at(count - 1);
    out_.recover_command = line;
  }

  std::string_view rest_;
  std::string_view first_;
  std::string_view words_;
  DumpHeader out_;
};

}  // namespace

Result<DumpHeader> parse_header(base::Bytes block) {
  const std::string_view all = base::as_text(block);
  const std::string_view text = all.substr(0, all.find('\0'));
  if (text.empty()) {
    DumpHeader out;
    out.type = all.find_first_not_of('\0') == std::string_view::npos ? Type::empty : Type::weird;
    return out;
  }
  return HeaderParser(text.substr(0, text.find("\n\f\n"))).parse();
}

}  // namespace headrace::wire
