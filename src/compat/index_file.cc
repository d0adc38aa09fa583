#include "compat/index_file.h"

#include <fcntl.h>
#include <zlib.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/file.h"
#include "base/quote.h"
#include "compat/line_sorter.h"
#include "compat/text_file_writer.h"

namespace headrace::compat {
namespace {

using base::ErrorKind;
using base::Result;

constexpr size_t kMaxLineBytes = size_t{64} << 10U;
constexpr size_t kSortPieceBytes = size_t{8} << 20U;

class PlainWriter : public IndexWriter {
 public:
  explicit PlainWriter(std::unique_ptr<TextFileWriter> file) : file_(std::move(file)) {}
  Result<> add(base::Bytes bytes) override { return file_->add(bytes); }
  Result<> finish() override { return file_->finish(); }
  void abandon() override { file_->abandon(); }

 private:
  std::unique_ptr<TextFileWriter> file_;
};

class SortingWriter : public IndexWriter {
 public:
  SortingWriter(std::unique_ptr<TextFileWriter> file, std::filesystem::path directory)
      : file_(std::move(file)), sorter_(std::move(directory), kSortPieceBytes) {}

  Result<> add(base::Bytes bytes) override {
    std::string_view text = base::as_text(bytes);
    while (!text.empty()) {
      const size_t end = text.find('\n');
      rest_ += text.substr(0, end);
      if (rest_.size() > kMaxLineBytes)
        return base::fail(ErrorKind::corrupt, "an index line is absurdly long");
      if (end == std::string_view::npos) return {};
      text.remove_prefix(end + 1);
      if (auto added = sorter_.add(std::exchange(rest_, {})); !added) return added;
    }
    return {};
  }
  Result<> finish() override {
    if (!rest_.empty()) {
      if (auto added = sorter_.add(std::exchange(rest_, {})); !added) return added;
    }
    auto drained = sorter_.drain([this](std::string_view line) -> Result<> {
      if (auto added = file_->add(base::as_bytes(line)); !added) return added;
      return file_->add(base::as_bytes("\n"));
    });
    return drained ? file_->finish() : drained;
  }
  void abandon() override { file_->abandon(); }

 private:
  std::unique_ptr<TextFileWriter> file_;
  LineSorter sorter_;
  std::string rest_;
};

std::filesystem::path with_suffix(std::filesystem::path stem, std::string_view suffix) {
  stem += suffix;
  return stem;
}

}  // namespace

std::filesystem::path IndexKey::stem() const {
  return indexdir / base::mangle(host) / base::mangle(disk) / (timestamp + '_' + std::to_string(level));
}

std::string IndexForm::suffix() const {
  return std::string(sort ? "-sorted" : "-unsorted") + (compress ? ".gz" : "");
}

Result<std::unique_ptr<IndexWriter>> IndexWriter::open(const IndexKey& key, IndexForm form) {
  const auto path = with_suffix(key.stem(), form.suffix());
  auto file = TextFileWriter::open(path, form.compress);
  if (!file) return std::unexpected(std::move(file.error()));
  if (form.sort) return std::make_unique<SortingWriter>(std::move(*file), path.parent_path());
  return std::make_unique<PlainWriter>(std::move(*file));
}

Result<std::unique_ptr<IndexWriter>> open_state_writer(const IndexKey& key) {
  auto file = TextFileWriter::open(with_suffix(key.stem(), ".state.gz"), true);
  if (!file) return std::unexpected(std::move(file.error()));
  return std::make_unique<PlainWriter>(std::move(*file));
}

Result<> write_index_header(const IndexKey& key, std::string_view header_text) {
  const auto path = with_suffix(key.stem(), ".header");
  if (auto made = base::make_directories(path.parent_path(), 0700); !made) return made;
  return base::replace_file(path, header_text, 0600, ".tmp");
}

std::string unescape_tar_name(std::string_view name) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] != '\\' || i + 1 == name.size()) {
      out += name[i];
      continue;
    }
    if (i + 3 < name.size() && is_octal(name[i + 1]) && is_octal(name[i + 2]) && is_octal(name[i + 3])) {
      const int value = (name[i + 1] - '0') * 64 + (name[i + 2] - '0') * 8 + (name[i + 3] - '0');
      out += static_cast<char>(value & 0xFF);
      i += 3;
      continue;
    }
    ++i;
    constexpr std::string_view kLetters = "abfnrtv";
    constexpr std::string_view kControls = "\a\b\f\n\r\t\v";
    const size_t letter = kLetters.find(name[i]);
    out += letter == std::string_view::npos ? name[i] : kControls[letter];
  }
  return out;
}

class IndexReader::Impl {
 public:
  Impl(std::filesystem::path path, gzFile file) : path_(std::move(path)), file_(file) {}
  ~Impl() { gzclose(file_); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Result<std::optional<std::string>> next() {
    for (;;) {
      const size_t end = buffer_.find('\n', at_);
      if (end != std::string::npos) {
        std::string line = unescape_tar_name(std::string_view(buffer_).substr(at_, end - at_));
        at_ = end + 1;
        return line;
      }
      buffer_.erase(0, at_);
      at_ = 0;
      if (buffer_.size() > kMaxLineBytes) return damaged("has a line that is absurdly long");
      const int n = gzread(file_, piece_.data(), static_cast<unsigned>(piece_.size()));
      // A cut file gives its bytes first and says so only at its end.
      int code = Z_OK;
      const char* why = gzerror(file_, &code);
      if (n < 0 || (n == 0 && code != Z_OK && code != Z_STREAM_END)) {
        return damaged(code == Z_BUF_ERROR ? "ends too early" : why);
      }
      if (n == 0 && buffer_.empty()) return std::nullopt;
      if (n == 0) return unescape_tar_name(std::exchange(buffer_, {}));
      buffer_.append(piece_.data(), static_cast<size_t>(n));
    }
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::unexpected<base::Error> damaged(std::string_view why) const {
    return base::fail(ErrorKind::corrupt, "the index " + path_.string() + ' ' + std::string(why));
  }
  std::filesystem::path path_;
  gzFile file_;
  std::string buffer_;
  size_t at_ = 0;
  std::array<char, 65536> piece_;
};

IndexReader::IndexReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
IndexReader::IndexReader(IndexReader&&) noexcept = default;
IndexReader& IndexReader::operator=(IndexReader&&) noexcept = default;
IndexReader::~IndexReader() = default;

Result<std::optional<IndexReader>> IndexReader::open(const IndexKey& key) {
  constexpr std::array<std::string_view, 6> kSuffixes{"-sorted.gz", "-sorted", "-unsorted.gz",
                                                      "-unsorted",  ".gz",     ""};
  for (const std::string_view suffix : kSuffixes) {
    auto path = with_suffix(key.stem(), suffix);
    auto fd = base::open_file(path, O_RDONLY);
    if (!fd) {
      if (fd.error().sys_errno() == ENOENT) continue;
      return std::unexpected(std::move(fd.error()));
    }
    gzFile file = gzdopen(fd->get(), "rb");
    if (file == nullptr) return base::fail(ErrorKind::again, "no memory to read " + path.string());
    [[maybe_unused]] const int owned_by_zlib_now = fd->release();
    return IndexReader(std::make_unique<Impl>(std::move(path), file));
  }
  return std::nullopt;
}

Result<std::optional<std::string>> IndexReader::next() { return impl_->next(); }
const std::filesystem::path& IndexReader::path() const { return impl_->path(); }

}  // namespace headrace::compat
