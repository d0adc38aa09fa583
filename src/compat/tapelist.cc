#include "compat/tapelist.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <utility>

#include "base/file.h"
#include "compat/parse_words.h"

namespace headrace::compat {
namespace {

using base::ErrorKind;
using base::Result;

constexpr int kLockPatienceMs = 10000;

// The optional fields, in the order in which they stand in a line.
struct TextField {
  std::string_view key;
  std::string TapelistEntry::* member;
};
constexpr std::array kBeforeBlocksize{TextField{"BARCODE:", &TapelistEntry::barcode},
                                      TextField{"META:", &TapelistEntry::meta}};
constexpr std::array kAfterBlocksize{TextField{"POOL:", &TapelistEntry::pool},
                                     TextField{"STORAGE:", &TapelistEntry::storage},
                                     TextField{"CONFIG:", &TapelistEntry::config}};
constexpr std::string_view kBlocksize = "BLOCKSIZE:";

bool writable_value(std::string_view value) {
  return std::ranges::all_of(value, [](char c) { return static_cast<unsigned char>(c) > ' ' && c != 0x7F; });
}

Result<> check_writable(const TapelistEntry& entry) {
  if (!all_digits(entry.timestamp)) {
    return base::fail(ErrorKind::refused, "tapelist: \"" + entry.timestamp + "\" is not a timestamp");
  }
  if (entry.label.empty() || entry.label.starts_with('#') || !writable_value(entry.label)) {
    return base::fail(ErrorKind::refused,
                      "tapelist: a label is one word without blanks, not \"" + entry.label + "\"");
  }
  for (const std::string* value : {&entry.barcode, &entry.meta, &entry.pool, &entry.storage, &entry.config}) {
    if (!writable_value(*value)) {
      return base::fail(ErrorKind::refused, "tapelist: \"" + *value + "\" of volume " + entry.label +
                                                " has a blank, which the file cannot hold");
    }
  }
  if (entry.comment.find('\n') != std::string::npos) {
    return base::fail(ErrorKind::refused,
                      "tapelist: the comment of volume " + entry.label + " has more than one line");
  }
  return {};
}

// Parses one line; the error is the bare reason.
std::expected<TapelistEntry, std::string> parse_entry(std::string_view line) {
  TapelistEntry entry;
  std::string_view rest = line;
  if (const size_t comment = line.find(" #"); comment != std::string_view::npos) {
    entry.comment = line.substr(comment + 2);
    rest = line.substr(0, comment);
  }
  entry.timestamp = take_plain_word(rest);
  if (!all_digits(entry.timestamp)) return std::unexpected("expected a timestamp of digits");
  entry.label = take_plain_word(rest);
  if (entry.label.empty()) return std::unexpected("expected a label after the timestamp");
  std::string_view word = take_plain_word(rest);
  if (word == "reuse" || word == "no-reuse") {
    entry.reuse = word == "reuse";
    word = take_plain_word(rest);
  }
  const auto take_text = [&](const TextField& field) {
    if (!word.starts_with(field.key)) return;
    entry.*field.member = word.substr(field.key.size());
    word = take_plain_word(rest);
  };
  std::ranges::for_each(kBeforeBlocksize, take_text);
  if (word.starts_with(kBlocksize)) {
    const auto kib = number_of<int64_t>(word.substr(kBlocksize.size()));
    if (!kib || *kib < 0) return std::unexpected("expected a number of KiB after BLOCKSIZE:");
    entry.blocksize_kib = *kib;
    word = take_plain_word(rest);
  }
  std::ranges::for_each(kAfterBlocksize, take_text);
  if (!word.empty()) return std::unexpected("unexpected \"" + std::string(word) + "\"");
  return entry;
}

void append_text(std::string& line, const TapelistEntry& entry, const TextField& field) {
  if ((entry.*field.member).empty()) return;
  line += ' ';
  line += field.key;
  line += entry.*field.member;
}

void insert_sorted(std::vector<TapelistEntry>& entries, TapelistEntry entry) {
  const auto at =
      std::ranges::upper_bound(entries, entry.timestamp, std::ranges::greater{}, &TapelistEntry::timestamp);
  entries.insert(at, std::move(entry));
}

// A symlink that changes with every write: how other programs notice.
Result<> mark_write(const std::filesystem::path& file) {
  std::filesystem::path mark = file;
  mark += ".last_write";
  std::filesystem::path fresh = mark;
  fresh += ".new";
  if (::unlink(fresh.c_str()) != 0 && errno != ENOENT) return base::fail_errno("remove " + fresh.string());
  if (::symlink(std::to_string(::getpid()).c_str(), fresh.c_str()) != 0) {
    return base::fail_errno("make the link " + fresh.string());
  }
  return base::rename_file(fresh, mark);
}

}  // namespace

Result<Tapelist> Tapelist::parse(std::string_view text, std::string_view file) {
  Tapelist list;
  std::vector<std::pair<TapelistEntry, size_t>> parsed;
  int number = 0;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto entry = parse_entry(line);
    if (!entry) return bad_line(file, number, entry.error());
    parsed.emplace_back(std::move(*entry), parsed.size());
  }
  // Newest first; equals stay as they stood.
  std::ranges::sort(parsed, [](const auto& a, const auto& b) {
    return a.first.timestamp != b.first.timestamp ? a.first.timestamp > b.first.timestamp
                                                  : a.second < b.second;
  });
  for (auto& [entry, place] : parsed) list.entries_.push_back(std::move(entry));
  std::vector<std::string_view> labels;
  for (const TapelistEntry& entry : list.entries_) labels.push_back(entry.label);
  std::ranges::sort(labels);
  if (const auto twice = std::ranges::adjacent_find(labels); twice != labels.end()) {
    return base::fail(ErrorKind::corrupt,
                      std::string(file) + ": volume " + std::string(*twice) + " stands in it twice");
  }
  return list;
}

std::string Tapelist::text() const {
  std::string text;
  for (const TapelistEntry& entry : entries_) {
    text += entry.timestamp + ' ' + entry.label + (entry.reuse ? " reuse" : " no-reuse");
    for (const TextField& field : kBeforeBlocksize) append_text(text, entry, field);
    if (entry.blocksize_kib > 0) text += " BLOCKSIZE:" + std::to_string(entry.blocksize_kib);
    for (const TextField& field : kAfterBlocksize) append_text(text, entry, field);
    if (!entry.comment.empty()) text += " #" + entry.comment;
    text += '\n';
  }
  return text;
}

const TapelistEntry* Tapelist::find(std::string_view label) const {
  const auto at = std::ranges::find(entries_, label, &TapelistEntry::label);
  return at == entries_.end() ? nullptr : &*at;
}

Result<> Tapelist::add(TapelistEntry entry) {
  if (find(entry.label) != nullptr) {
    return base::fail(ErrorKind::refused, "volume " + entry.label + " is in the tapelist already");
  }
  if (auto good = check_writable(entry); !good) return good;
  insert_sorted(entries_, std::move(entry));
  return {};
}

Result<> Tapelist::put(TapelistEntry entry) {
  if (auto good = check_writable(entry); !good) return good;
  remove(entry.label);
  insert_sorted(entries_, std::move(entry));
  return {};
}

bool Tapelist::remove(std::string_view label) {
  return std::erase_if(entries_, [&](const TapelistEntry& entry) { return entry.label == label; }) > 0;
}

Result<Tapelist> load_tapelist(const std::filesystem::path& file) {
  auto text = base::read_file(file);
  if (!text) {
    if (text.error().sys_errno() == ENOENT) return Tapelist{};
    return std::unexpected(std::move(text.error()));
  }
  return Tapelist::parse(*text, file.string());
}

Result<Tapelist> update_tapelist(const std::filesystem::path& file, const TapelistChange& change) {
  // The file's lock does not exclude this process from itself: the storages of a run load volumes side by
  // side.
  static std::mutex in_process;
  const std::lock_guard alone(in_process);
  std::filesystem::path lock_path = file;
  lock_path += ".lock";
  const auto lock = base::FileLock::take(lock_path, kLockPatienceMs);
  if (!lock) return std::unexpected(lock.error());
  auto list = load_tapelist(file);
  if (!list) return list;
  if (auto changed = change(*list); !changed) return std::unexpected(std::move(changed.error()));
  if (auto written = base::replace_file(file, list->text(), 0600); !written) {
    return std::unexpected(std::move(written.error()));
  }
  if (auto marked = mark_write(file); !marked) return std::unexpected(std::move(marked.error()));
  return list;
}

}  // namespace headrace::compat
