#include "compat/tar_messages.h"

#include <regex.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace headrace::compat {
namespace {

constexpr std::string_view kSizeLine = "Total bytes written: ";

class Regex {
 public:
  static base::Result<Regex> compile(const std::string& pattern) {
    auto compiled = std::make_unique<regex_t>();
    const int fault = ::regcomp(compiled.get(), pattern.c_str(), REG_EXTENDED | REG_NOSUB | REG_NEWLINE);
    if (fault == 0) return Regex(std::move(compiled));
    std::array<char, 256> reason{};
    ::regerror(fault, compiled.get(), reason.data(), reason.size());
    return base::fail(base::ErrorKind::refused, fmt::format("regex \"{}\": {}", pattern, reason.data()));
  }
  Regex(Regex&&) noexcept = default;
  Regex& operator=(Regex&&) noexcept = default;
  ~Regex() {
    if (compiled_) ::regfree(compiled_.get());
  }

  bool matches(const std::string& line) const {
    return ::regexec(compiled_.get(), line.c_str(), 0, nullptr, 0) == 0;
  }

 private:
  explicit Regex(std::unique_ptr<regex_t> compiled) : compiled_(std::move(compiled)) {}
  std::unique_ptr<regex_t> compiled_;
};

using Regexes = std::vector<Regex>;

base::Result<Regexes> compile_all(const std::vector<std::string>& patterns) {
  Regexes out;
  for (const std::string& pattern : patterns) {
    auto regex = Regex::compile(pattern);
    if (!regex) return std::unexpected(std::move(regex).error());
    out.push_back(std::move(*regex));
  }
  return out;
}

bool any_matches(const Regexes& regexes, const std::string& line) {
  return std::ranges::any_of(regexes, [&line](const Regex& regex) { return regex.matches(line); });
}

// "^ *Total bytes written: [0-9][0-9]*"
std::optional<uint64_t> size_of(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  if (!line.starts_with(kSizeLine)) return std::nullopt;
  line.remove_prefix(kSizeLine.size());
  uint64_t bytes = 0;
  auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), bytes);
  if (error != std::errc() || stop == line.data()) return std::nullopt;
  return bytes;
}

bool ignored_by_all(std::string_view line) {
  // The last is said only by a tar that names its members, as ours does.
  return line.ends_with(": Directory is new") || line.find(": Directory has been renamed") != line.npos ||
         line.ends_with(": file is unchanged; not dumped");
}

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

// "tar: dumped N files", "tar: dumped N tar files"
bool is_count(std::string_view line) {
  if (!line.starts_with("tar: dumped ")) return false;
  line.remove_prefix(12);
  const size_t blank = line.find(' ');
  if (blank == line.npos || !all_digits(line.substr(0, blank))) return false;
  line.remove_prefix(blank + 1);
  return line.starts_with("files") || line.starts_with("tar files");
}

// ": File .* shrunk by N bytes, padding with zeros"
bool is_shrunk(std::string_view line) {
  const size_t end = line.find(" bytes, padding with zeros");
  if (end == line.npos) return false;
  const size_t by = line.rfind(" shrunk by ", end);
  return by != line.npos && all_digits(line.substr(by + 11, end - by - 11)) &&
         line.substr(0, by).find(": File ") != line.npos;
}

bool normal_by_all(std::string_view line) {
  // We always ask tar to name what it writes, which makes it tell about other file systems as well.
  return line.starts_with("Elapsed time:") || line.starts_with("Throughput") ||
         line.ends_with(": socket ignored") || is_count(line) ||
         line.ends_with(": directory is on a different filesystem; not dumped") ||
         line.ends_with(": file is on a different filesystem; not dumped");
}

bool normal_by_amgtar(std::string_view line) {
  return line.starts_with("could not open conf file") || is_shrunk(line) ||
         (line.find(": Cannot add file ") != line.npos && line.ends_with(": No such file or directory")) ||
         line.find(": Error exit delayed from previous errors") != line.npos;
}

}  // namespace

struct TarMessages::UserPatterns {
  Regexes ignore, normal;
};

TarMessages::TarMessages(TarDialect dialect) : dialect_(dialect) {}
TarMessages::TarMessages(TarMessages&&) noexcept = default;
TarMessages& TarMessages::operator=(TarMessages&&) noexcept = default;
TarMessages::~TarMessages() = default;

base::Result<TarMessages> TarMessages::make(TarDialect dialect, const MessagePatterns& patterns) {
  TarMessages messages(dialect);
  auto ignore = compile_all(patterns.ignore);
  if (!ignore) return std::unexpected(std::move(ignore).error());
  auto normal = compile_all(patterns.normal);
  if (!normal) return std::unexpected(std::move(normal).error());
  // What nobody classifies is strange already; these are only checked.
  auto strange = compile_all(patterns.strange);
  if (!strange) return std::unexpected(std::move(strange).error());
  if (ignore->empty() && normal->empty()) return messages;
  messages.user_ = std::make_unique<UserPatterns>();
  *messages.user_ = {std::move(*ignore), std::move(*normal)};
  return messages;
}

TarMessage TarMessages::classify(std::string_view line) const {
  using enum TarMessage::Class;
  if (auto bytes = size_of(line)) return {size, *bytes};
  // The user's classes of a kind come before the built-in ones of that kind.
  const std::string text = user_ ? std::string(line) : std::string();
  if (user_ && any_matches(user_->ignore, text)) return {ignored};
  if (ignored_by_all(line)) return {ignored};
  if (user_ && any_matches(user_->normal, text)) return {normal};
  if (normal_by_all(line) || (dialect_ == TarDialect::amgtar && normal_by_amgtar(line))) return {normal};
  return {strange};
}

}  // namespace headrace::compat
