#include "config/disklist.h"

#include <fmt/core.h>

#include <charconv>
#include <map>
#include <set>

#include "base/quote.h"
#include "config/parser.h"
#include "config/resolve.h"

namespace headrace::config {
namespace {

// Reads lines of fields. An in-line dumptype goes over several lines in the grammar of amanda.conf.
class Reader {
 public:
  Reader(const ServerConfig& config, Loaded<std::vector<DiskListEntry>>& loaded)
      : config_(config),
        report_(loaded.diagnostics),
        settings_(config.settings),
        parser_(settings_, report_, config.directory, {}) {}

  void read_file(const std::filesystem::path& path, const Position& where);
  void read_text(std::string_view text, const std::string& file);
  std::vector<DiskListEntry> finish();
  size_t errors() const { return report_.errors(); }

 private:
  // A field as written, without leading blanks; empty at the end of the line and at a comment.
  struct Field {
    std::string_view raw;
    Position where;
    std::string text() const { return base::unquote(raw); }
  };

  void line();
  void entry(const Field& host);
  bool dumptype(DiskListEntry& entry);
  bool inline_dumptype(DiskListEntry& entry);
  void spindle_and_interface(DiskListEntry& entry);
  void add(DiskListEntry entry, const Position& where);
  bool makes_sense(const Dumptype& type, const Position& where);
  void include(const Field& keyword_field);
  Field field();
  Position here() const;
  void next_line();

  const ServerConfig& config_;
  Report report_;
  Settings settings_;  // ours, as in-line applications are added
  Parser parser_;
  std::vector<DiskListEntry> entries_;
  std::map<std::string, DiskListEntry> resolved_;     // dumptypes by name, as most entries share a few
  std::map<std::string, std::string> hosts_by_name_;  // folded to lower case
  std::map<std::string, std::string> hosts_by_mangled_;
  std::map<std::pair<std::string, std::string>, size_t> disks_;               // host and disk
  std::map<std::pair<std::string, std::string>, std::string> mangled_disks_;  // host and mangled disk

  // The text being read; include() saves and restores them.
  std::string_view text_;
  std::string file_;
  size_t at_ = 0;
  size_t line_start_ = 0;
  int line_ = 1;
  int depth_ = 0;
  int includes_ = 0;
};

// Columns count characters, as the lexer's do.
Position Reader::here() const {
  int column = 1;
  for (const char c : text_.substr(line_start_, at_ - line_start_))
    if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80U) ++column;
  return {file_, line_, column};
}

void Reader::next_line() {
  const size_t end = text_.find('\n', at_);
  at_ = end == std::string_view::npos ? text_.size() : end + 1;
  line_start_ = at_;
  ++line_;
}

Reader::Field Reader::field() {
  const size_t end = std::min(text_.find('\n', at_), text_.size());
  std::string_view rest = text_.substr(at_, end - at_);
  if (rest.ends_with('\r')) rest.remove_suffix(1);
  const std::string_view word = base::take_word(rest);
  if (word.empty() || word.front() == '#') {
    if (!word.empty()) at_ = static_cast<size_t>(word.data() - text_.data());
    const Position where = here();
    at_ = end;
    return {{}, where};
  }
  at_ = static_cast<size_t>(word.data() - text_.data());
  const Position where = here();
  at_ += word.size();
  return {word, where};
}

void Reader::read_file(const std::filesystem::path& path, const Position& where) {
  auto text = read_config_file(path);
  if (!text) {
    report_.error(where, text.error().what());
    return;
  }
  read_text(*text, path.string());
}

void Reader::read_text(std::string_view text, const std::string& file) {
  text_ = text;
  file_ = file;
  at_ = line_start_ = 0;
  line_ = 1;
  while (at_ < text_.size()) {
    line();
    next_line();
  }
}

void Reader::line() {
  const Field first = field();
  if (first.raw.empty()) return;
  if (keyword(first.raw) == "INCLUDEFILE") return include(first);
  entry(first);
}

void Reader::include(const Field& keyword_field) {
  const Field name = field();
  if (name.raw.empty()) return report_.error(name.where, "the name of a file is expected");
  if (depth_ == kIncludeDepthLimit || includes_ == kIncludeCountLimit)
    return report_.error(keyword_field.where,
                         fmt::format("files are included more than {} deep or more than {} "
                                     "times: does {} include itself?",
                                     kIncludeDepthLimit, kIncludeCountLimit, name.raw));
  const auto saved = std::tuple(text_, file_, at_, line_start_, line_);
  ++depth_;
  ++includes_;
  read_file(config_.directory / name.text(), name.where);
  --depth_;
  std::tie(text_, file_, at_, line_start_, line_) = saved;
}

void Reader::entry(const Field& host) {
  DiskListEntry entry;
  entry.host = host.raw;
  entry.file = file_;
  entry.line = line_;
  const Field disk = field();
  if (disk.raw.empty()) return report_.error(disk.where, "the name of the disk is expected");
  entry.disk = entry.device = disk.text();
  if (entry.disk.empty()) return report_.error(disk.where, "the name of the disk is empty");
  if (!dumptype(entry)) return;
  spindle_and_interface(entry);
  add(std::move(entry), host.where);
}

bool Reader::dumptype(DiskListEntry& entry) {
  Field name = field();
  if (name.raw.empty()) {
    report_.error(name.where, "a dumptype, a device or '{' is expected");
    return false;
  }
  const bool is_block = name.raw.front() == '{';
  const Block* block = is_block ? nullptr : settings_.find(Section::dumptype, name.text());
  if (!is_block && block == nullptr) {
    const Field device = name;
    name = field();
    if (name.raw.empty()) {
      std::vector<std::string> known;
      for (const Block& other : settings_.blocks)
        if (other.section == Section::dumptype) known.push_back(other.name);
      const std::string near = nearest(device.text(), known);
      report_.error(device.where,
                    fmt::format("dumptype {} is not defined{}", base::quote_always(device.text()),
                                near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
      return false;
    }
    entry.device = device.text();
    entry.has_device = true;
    if (entry.device.empty()) {
      report_.error(device.where, "the name of the device is empty");
      return false;
    }
  }
  if (name.raw.front() == '{') {
    // Only a comment may follow the brace on its line.
    at_ = static_cast<size_t>(name.raw.data() - text_.data()) + 1;
    return inline_dumptype(entry);
  }
  block = settings_.find(Section::dumptype, name.text());
  if (block == nullptr) {
    report_.error(name.where, fmt::format("dumptype {} is not defined", base::quote_always(name.text())));
    return false;
  }
  const auto [known, fresh] = resolved_.try_emplace(block->name);
  if (fresh) {
    known->second.dumptype = resolve_dumptype(settings_, *block);
    known->second.not_honoured = not_honoured_in_use(settings_, *block, false, {file_, entry.line, 1});
  }
  entry.dumptype = known->second.dumptype;
  entry.not_honoured = known->second.not_honoured;
  return makes_sense(entry.dumptype, name.where);
}

bool Reader::inline_dumptype(DiskListEntry& entry) {
  const Position where = here();
  Block block{.section = Section::dumptype,
              .name = fmt::format("custom({}:{})", entry.host, entry.disk),
              .where = where,
              .anonymous = true};
  const size_t errors = report_.errors();
  const std::string_view rest = text_.substr(at_);
  Lexer lexer(rest, file_, report_, line_);
  if (!lexer.peek().ends_line()) {
    report_.error({file_, line_, where.column},
                  fmt::format("the end of the line is expected after '{{', not {}", lexer.peek().shown()));
    if (lexer.rest_of_line().find('}') == std::string_view::npos) lexer.skip_block();
    lexer.skip_line();
  } else {
    parser_.read_inline_dumptype(lexer, block);
  }
  // Goes on behind the close brace, on its line.
  line_ = lexer.line();
  at_ += lexer.offset();
  line_start_ = text_.rfind('\n', at_ == 0 ? 0 : at_ - 1);
  line_start_ = line_start_ == std::string_view::npos || at_ == 0 ? 0 : line_start_ + 1;
  if (report_.errors() != errors) {
    field();
    return false;
  }
  entry.dumptype = resolve_dumptype(settings_, block);
  entry.not_honoured = not_honoured_in_use(settings_, block, true, {file_, entry.line, 1});
  return makes_sense(entry.dumptype, {file_, entry.line, 1});
}

bool Reader::makes_sense(const Dumptype& type, const Position& where) {
  if (std::string wrong = wrong_in_properties(type); !wrong.empty()) {
    report_.error(where, std::move(wrong));
    return false;
  }
  const bool wants = type.uses_application();
  if (!wants && !type.application.name.empty()) {
    report_.error(where, fmt::format("dumptype {} has program \"{}\" and an application: one of them only",
                                     type.name, type.program));
    return false;
  }
  if (wants && type.application.name.empty()) {
    report_.error(where,
                  fmt::format("dumptype {} has program \"APPLICATION\" but no application", type.name));
    return false;
  }
  if (wants && type.application.plugin.empty()) {
    report_.error(where, fmt::format("application {} has no plugin", type.application.name));
    return false;
  }
  for (const Script& script : type.scripts) {
    if (!script.plugin.empty()) continue;
    report_.error(where, fmt::format("script {} has no plugin", script.name));
    return false;
  }
  return true;
}

void Reader::spindle_and_interface(DiskListEntry& entry) {
  const Field spindle = field();
  if (spindle.raw.empty()) return;
  const std::string number(spindle.raw);
  const char* end = number.data() + number.size();
  const auto parsed = std::from_chars(number.data(), end, entry.spindle);
  if (parsed.ec != std::errc() || parsed.ptr != end)
    report_.error(spindle.where, fmt::format("a spindle is an integer, not '{}'", spindle.raw));
  const Field interface = field();
  if (interface.raw.empty()) return;
  if (const Interface* known = config_.interface_named(interface.text())) {
    entry.interface_name = known->name;
  } else {
    report_.error(interface.where, fmt::format("interface '{}' is not defined", interface.raw));
  }
  const Field more = field();
  if (!more.raw.empty())
    report_.error(more.where, fmt::format("the end of the line is expected, not '{}'", more.raw));
}

void Reader::add(DiskListEntry entry, const Position& where) {
  const auto key = std::pair(entry.host, entry.disk);
  if (const auto before = disks_.find(key); before != disks_.end()) {
    const DiskListEntry& other = entries_[before->second];
    return report_.error(where, fmt::format("{}:{} is already in the list at {}:{}", entry.host, entry.disk,
                                            other.file, other.line));
  }
  const auto [host, fresh] = hosts_by_name_.emplace(lower(entry.host), entry.host);
  if (!fresh && host->second != entry.host)
    return report_.error(
        where, fmt::format("host '{}' is written '{}' before: one of them only", entry.host, host->second));
  const auto [mangled, fresh_mangled] = hosts_by_mangled_.emplace(base::mangle(entry.host), entry.host);
  if (!fresh_mangled && mangled->second != entry.host)
    return report_.error(where, fmt::format("hosts '{}' and '{}' would have the same file names", entry.host,
                                            mangled->second));
  const auto [disk, fresh_disk] =
      mangled_disks_.emplace(std::pair(entry.host, base::mangle(entry.disk)), entry.disk);
  if (!fresh_disk)
    return report_.error(where,
                         fmt::format("disks '{}' and '{}' of {} would have the same file names: name one "
                                     "differently and give its path as device",
                                     entry.disk, disk->second, entry.host));
  disks_.emplace(key, entries_.size());
  entries_.push_back(std::move(entry));
}

std::vector<DiskListEntry> Reader::finish() {
  // A host has the interface and maxdumps of its last entry.
  std::map<std::string, const DiskListEntry*> last;
  for (const DiskListEntry& entry : entries_) last[entry.host] = &entry;
  std::vector<DiskListEntry> entries = entries_;
  for (DiskListEntry& entry : entries) {
    entry.interface_name = last[entry.host]->interface_name;
    entry.dumptype.maxdumps = last[entry.host]->dumptype.maxdumps;
  }
  return entries;
}

template <class Read>
Loaded<std::vector<DiskListEntry>> load(const ServerConfig& config, Read read) {
  Loaded<std::vector<DiskListEntry>> loaded;
  Reader reader(config, loaded);
  read(reader);
  if (reader.errors() == 0) loaded.value = reader.finish();
  return loaded;
}

}  // namespace

Loaded<std::vector<DiskListEntry>> load_disklist(const ServerConfig& config) {
  return load(config, [&](Reader& reader) {
    reader.read_file(config.globals.diskfile, {config.globals.diskfile.string(), 0, 0});
  });
}

Loaded<std::vector<DiskListEntry>> load_disklist_text(const ServerConfig& config, std::string_view text,
                                                      const std::filesystem::path& file) {
  return load(config, [&](Reader& reader) { reader.read_text(text, file.string()); });
}

}  // namespace headrace::config
