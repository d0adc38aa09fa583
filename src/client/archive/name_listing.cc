#include "client/archive/name_listing.h"

#include "flow/limits.h"

namespace headrace::client {
namespace {

struct Member {
  std::string_view block;  // empty: tar did not say
  std::string_view path;   // "/path"; empty: not a member's name
};

Member read_member(std::string_view line) {
  constexpr std::string_view kBlock = "block ";
  Member member;
  if (line.starts_with(kBlock)) {
    const size_t digits = line.find_first_not_of("0123456789", kBlock.size());
    if (digits == line.npos || digits == kBlock.size() || line.substr(digits, 2) != ": ") return {};
    member.block = line.substr(kBlock.size(), digits - kBlock.size());
    line.remove_prefix(digits + 2);
  }
  if (!line.starts_with("./")) return {};
  member.path = line.substr(1);
  return member;
}

void append_line(std::string& out, std::string_view text) {
  out.append(text);
  out.push_back('\n');
}

}  // namespace

void NameListing::line(std::string_view text, std::string& index, std::string& state) {
  const Member member = read_member(text);
  if (member.path.empty()) {
    message_(text);
    return;
  }
  if (wanted_.index) append_line(index, member.path);
  if (wanted_.state && !member.block.empty()) {
    state.append(member.block);
    state.push_back(' ');
    append_line(state, member.path);
  }
}

void NameListing::feed(base::Bytes input, std::string& index, std::string& state) {
  std::string_view rest = base::as_text(input);
  while (!rest.empty()) {
    const size_t newline = rest.find('\n');
    if (newline == rest.npos) {
      // Tar escapes names and keeps paths below the kernel's limit; what is longer is no line of its.
      const size_t room = flow::kMaxLineBytes - std::min(unfinished_.size(), flow::kMaxLineBytes);
      unfinished_.append(rest.substr(0, room));
      return;
    }
    if (unfinished_.empty()) {
      line(rest.substr(0, newline), index, state);
    } else {
      unfinished_.append(rest.substr(0, newline));
      line(unfinished_, index, state);
      unfinished_.clear();
    }
    rest.remove_prefix(newline + 1);
  }
}

void NameListing::end(std::string& index, std::string& state) {
  if (!unfinished_.empty()) line(unfinished_, index, state);
  unfinished_.clear();
}

}  // namespace headrace::client
