#include "server/volume/vtape/vtape_volume.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "base/file.h"
#include "base/quote.h"

namespace headrace::vtape {

namespace fs = std::filesystem;
using base::ErrorKind;
using base::Result;
using volume::FileOnVolume;
using volume::LabelState;
using volume::Medium;
using volume::VolumeLabel;
using volume::Written;
using wire::DumpHeader;
using wire::kHeaderBlockBytes;

static constexpr size_t kMaxNameBytes = 255;
// How the free space of the file system is watched: rarely while there is much of it.
static constexpr uint64_t kFreeCheckBytes = 100 * base::kMiB;
static constexpr uint64_t kFreeCheckBlocks = 128;
// How many blocks before the end the early warning comes.
static constexpr uint64_t kWarningBlocks = 4;

uint64_t statvfs_free_bytes(const fs::path& directory) {
  struct statvfs st{};
  // Unknown counts as plenty: the write itself says when there is none.
  if (::statvfs(directory.c_str(), &st) != 0) return std::numeric_limits<uint64_t>::max();
  return static_cast<uint64_t>(st.f_bavail) * st.f_frsize;
}

std::optional<int> file_number(std::string_view name) {
  const size_t digits =
      std::ranges::find_if_not(name, [](char c) { return c >= '0' && c <= '9'; }) - name.begin();
  if (digits == 0 || digits == name.size() || (name[digits] != '.' && name[digits] != '-'))
    return std::nullopt;
  int number = 0;
  const auto [_, error] = std::from_chars(name.data(), name.data() + digits, number);
  if (error != std::errc()) return std::nullopt;
  return number;
}

static std::string cut(std::string name) {
  if (name.size() > kMaxNameBytes) name.resize(kMaxNameBytes);
  return name;
}

std::string part_file_name(int number, const DumpHeader& header) {
  return cut(fmt::format("{:05d}.{}", number,
                         base::mangle(fmt::format("{}.{}.{}", header.host, header.disk, header.level))));
}

std::string label_file_name(std::string_view label) { return fmt::format("00000.{}", label); }

// A link to nothing is no file of the volume. The directory mostly says what is one.
static bool is_file(int directory, const dirent& entry) {
  if (entry.d_type != DT_LNK && entry.d_type != DT_UNKNOWN) return entry.d_type == DT_REG;
  struct stat st{};
  return ::fstatat(directory, entry.d_name, &st, 0) == 0 && S_ISREG(st.st_mode);
}

// By readdir(3): a volume may have thousands of files, and a std::filesystem::path of each costs more than
// all else.
Result<std::vector<FileOnVolume>> volume_files(const fs::path& directory) {
  std::vector<FileOnVolume> files;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
  if (!stream) return base::fail_errno(fmt::format("list {}", directory.native()));
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    const auto number = file_number(name);
    if (!number || name == "00000-lock") continue;
    if (is_file(::dirfd(stream.get()), *entry)) files.push_back({*number, std::string(name), 0});
  }
  if (errno != 0) return base::fail_errno(fmt::format("list {}", directory.native()));
  std::ranges::sort(files, [](const auto& a, const auto& b) {
    return std::tie(a.number, a.name) < std::tie(b.number, b.name);
  });
  return files;
}

// The same with their sizes, which cost a look at each file. One that has vanished meanwhile is left out.
static Result<std::vector<FileOnVolume>> measured_files(const fs::path& directory) {
  auto files = volume_files(directory);
  if (!files) return files;
  std::erase_if(*files, [&](FileOnVolume& file) {
    std::error_code gone;
    file.bytes = fs::file_size(directory / file.name, gone);
    return static_cast<bool>(gone);
  });
  return files;
}

static Result<> sync_directory(const fs::path& directory) {
  auto fd = base::open_file(directory, O_RDONLY | O_DIRECTORY);
  if (!fd) return std::unexpected(std::move(fd).error());
  if (::fsync(fd->get()) != 0 && errno != EINVAL)
    return base::fail_errno(fmt::format("fsync {}", directory.native()));
  return {};
}

// Opens a file of the volume and reads its header block; short blocks are what was read.
static Result<std::pair<base::Fd, DumpHeader>> open_with_header(const fs::path& path) {
  auto fd = base::open_file(path, O_RDONLY);
  if (!fd) return std::unexpected(std::move(fd).error());
  std::array<std::byte, kHeaderBlockBytes> block{};
  size_t filled = 0;
  while (filled < block.size()) {
    const ssize_t n =
        ::pread(fd->get(), block.data() + filled, block.size() - filled, static_cast<off_t>(filled));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::fail_errno(fmt::format("read {}", path.native()));
    if (n == 0) break;
    filled += static_cast<size_t>(n);
  }
  auto header = wire::parse_header({block.data(), filled});
  if (!header)
    return std::unexpected(std::move(header).error().during(fmt::format("reading {}", path.native())));
  return std::pair(std::move(*fd), std::move(*header));
}

VtapeVolume::VtapeVolume(std::string slot, fs::path directory, VtapeLimits limits,
                         std::function<Result<>()> unload, FreeBytes free_bytes)
    : slot_(std::move(slot)),
      directory_(std::move(directory)),
      limits_(limits),
      unload_(std::move(unload)),
      free_bytes_(std::move(free_bytes)) {}

VtapeVolume::~VtapeVolume() {
  // Nobody is left to tell; an entry that stays is dropped once this process has ended.
  [[maybe_unused]] const auto ignored = release();
}

Result<std::vector<FileOnVolume>*> VtapeVolume::known_files() {
  if (!files_) {
    auto files = volume_files(directory_);
    if (!files) return std::unexpected(std::move(files).error());
    files_ = *std::move(files);
  }
  return &*files_;
}

Result<VolumeLabel> VtapeVolume::read_label() {
  auto files = volume_files(directory_);
  if (!files) return std::unexpected(std::move(files).error());
  VolumeLabel label;
  if (files->empty()) return label;
  const FileOnVolume& first = files->front();
  if (first.number != 0) {
    label.state = LabelState::foreign;
    label.why = fmt::format("{} files but no label", files->size());
    return label;
  }
  label.name = first.name.substr(first.name.find_first_of(".-") + 1);
  auto opened = open_with_header(directory_ / first.name);
  if (!opened) {
    label.state = LabelState::unreadable;
    label.why = opened.error().what();
  } else if (opened->second.type != DumpHeader::Type::tapestart) {
    label.state = LabelState::unreadable;
    label.why = "Invalid amanda header while reading file header";
  } else {
    label.state = LabelState::labelled;
    label.label = opened->second.label;
    label.timestamp = opened->second.timestamp;
  }
  return label;
}

Result<> VtapeVolume::write_label(const std::string& label, const std::string& timestamp) {
  if (fd_) return base::fail(ErrorKind::refused, fmt::format("slot {} is being written", slot_));
  if (label.empty() || label.find('/') != std::string::npos) {
    return base::fail(ErrorKind::refused, fmt::format("'{}' cannot be the label of a vtape", label));
  }
  DumpHeader header;
  header.type = DumpHeader::Type::tapestart;
  header.label = label;
  header.timestamp = timestamp;
  auto block = wire::encode_header(header);
  if (!block) return std::unexpected(std::move(block).error());
  auto files = volume_files(directory_);
  if (!files) return std::unexpected(std::move(files).error());
  // The label first: without it nobody looks for the files that are still there.
  for (const FileOnVolume& file : *files) {
    if (auto removed = base::remove_file(directory_ / file.name); !removed) return removed;
  }
  used_bytes_.reset();
  files_.reset();
  warned_ = false;
  const fs::path path = directory_ / label_file_name(label);
  auto fd = base::create_file(path, 0600, true);
  if (!fd) return std::unexpected(std::move(fd).error());
  if (auto written = base::write_all(fd->get(), *block, path.native()); !written) return written;
  if (::fsync(fd->get()) != 0) return base::fail_errno(fmt::format("fsync {}", path.native()));
  return sync_directory(directory_);
}

Result<> VtapeVolume::count_usage() {
  if (used_bytes_) return {};
  auto files = measured_files(directory_);
  if (!files) return std::unexpected(std::move(files).error());
  uint64_t sum = 0;
  for (const FileOnVolume& file : *files) sum += file.bytes;
  used_bytes_ = sum;
  return {};
}

// What may be written before a write makes the early warning due.
uint64_t VtapeVolume::room_before_warning() const {
  if (!limits_.early_warning || limits_.length_bytes == 0) return std::numeric_limits<uint64_t>::max();
  const uint64_t taken = *used_bytes_ + kWarningBlocks * limits_.block_bytes;
  return limits_.length_bytes > taken ? limits_.length_bytes - taken : 0;
}

uint64_t VtapeVolume::room_before_end() const {
  if (limits_.length_bytes == 0) return std::numeric_limits<uint64_t>::max();
  return limits_.length_bytes > *used_bytes_ ? limits_.length_bytes - *used_bytes_ : 0;
}

Result<int> VtapeVolume::start_file(const DumpHeader& header) {
  if (fd_) return base::fail(ErrorKind::refused, fmt::format("slot {}: a file is open already", slot_));
  if (auto counted = count_usage(); !counted) return std::unexpected(std::move(counted).error());
  const auto files = known_files();
  if (!files) return std::unexpected(files.error());
  if ((*files)->empty() || (*files)->front().number != 0) {
    return base::fail(ErrorKind::refused, fmt::format("slot {} has no label", slot_));
  }
  const uint64_t least = kHeaderBlockBytes + limits_.block_bytes;
  const bool near_end = warned_ || room_before_warning() < least || room_before_end() < least ||
                        (limits_.early_warning && limits_.monitor_free_space &&
                         free_bytes_(directory_) <= least + kWarningBlocks * limits_.block_bytes);
  if (near_end) return base::fail(ErrorKind::full, fmt::format("the volume in slot {} is full", slot_));
  auto block = wire::encode_header(header);
  if (!block) return std::unexpected(std::move(block).error());
  const int number = (*files)->back().number + 1;
  file_ = directory_ / part_file_name(number, header);
  auto fd = base::create_file(file_, 0600, true);
  if (!fd) return std::unexpected(std::move(fd).error());
  fd_ = std::move(*fd);
  file_bytes_ = 0;
  files_->push_back({number, file_.filename().native(), 0});
  if (auto written = base::write_all(fd_.get(), *block, file_.native()); !written) {
    if (auto dropped = drop_file(); !dropped) return std::unexpected(std::move(dropped).error());
    return std::unexpected(std::move(written).error());
  }
  file_bytes_ = block->size();
  *used_bytes_ += block->size();
  return number;
}

// As many of the pieces as fit into `limit` bytes.
static std::pair<std::array<iovec, 16>, size_t> clip(std::span<const iovec> pieces, uint64_t limit) {
  std::array<iovec, 16> out{};
  size_t count = 0;
  for (const iovec& piece : pieces) {
    if (limit == 0 || count == out.size()) break;
    out[count] = piece;
    out[count].iov_len = std::min<uint64_t>(piece.iov_len, limit);
    limit -= out[count++].iov_len;
  }
  return {out, count};
}

bool VtapeVolume::file_system_nearly_full(uint64_t just_written) {
  if (!limits_.monitor_free_space || !limits_.early_warning) return false;
  since_free_check_ += just_written;
  const uint64_t near = kFreeCheckBlocks * limits_.block_bytes;
  if (last_free_ > since_free_check_ + near && since_free_check_ < kFreeCheckBytes) return false;
  last_free_ = free_bytes_(directory_);
  since_free_check_ = 0;
  return last_free_ <= kWarningBlocks * limits_.block_bytes;
}

Result<Written> VtapeVolume::write(std::span<const iovec> pieces) {
  if (!fd_) return base::fail(ErrorKind::refused, fmt::format("slot {}: no file is open", slot_));
  uint64_t wanted = 0;
  for (const iovec& piece : pieces) wanted += piece.iov_len;
  const uint64_t block = limits_.block_bytes;
  // Up to the block whose writing makes the warning due, then block by block to the end.
  const uint64_t calm = room_before_warning() / block * block;
  const uint64_t allowed =
      std::min({wanted, warned_ || calm == 0 ? std::max(block, calm) : calm, room_before_end()});
  if (allowed == 0 || (allowed < std::min(wanted, block))) return Written{0, Medium::full};
  const bool warn = calm < block;
  const auto [vectors, count] = clip(pieces, allowed);
  ssize_t n = 0;
  do {
    n = ::pwritev(fd_.get(), vectors.data(), static_cast<int>(count), static_cast<off_t>(file_bytes_));
  } while (n < 0 && errno == EINTR);
  if (n <= 0) {
    const auto error = base::Error::system(fmt::format("write {}", file_.native()), n == 0 ? ENOSPC : errno);
    if (error.kind() != ErrorKind::full) return std::unexpected(error);
    warned_ = true;
    if (::ftruncate(fd_.get(), static_cast<off_t>(file_bytes_)) != 0) {
      return base::fail_errno(fmt::format("truncate {}", file_.native()));
    }
    return Written{0, Medium::full};
  }
  const auto bytes = static_cast<uint64_t>(n);
  file_bytes_ += bytes;
  *used_bytes_ += bytes;
  if (limits_.early_warning && (warn || file_system_nearly_full(bytes))) warned_ = true;
  return Written{bytes, warned_ ? Medium::early_warning : Medium::good};
}

Result<> VtapeVolume::finish_file(bool sync) {
  if (!fd_) return base::fail(ErrorKind::refused, fmt::format("slot {}: no file is open", slot_));
  if (sync && ::fsync(fd_.get()) != 0) {
    auto error = base::fail_errno(fmt::format("fsync {}", file_.native()));
    fd_.reset();
    return error;
  }
  fd_.reset();
  return sync ? sync_directory(directory_) : Result<>();
}

Result<> VtapeVolume::drop_file() {
  if (!fd_) return base::fail(ErrorKind::refused, fmt::format("slot {}: no file is open", slot_));
  fd_.reset();
  if (used_bytes_) *used_bytes_ -= file_bytes_;
  files_.reset();
  return base::remove_file(file_);
}

Result<std::vector<FileOnVolume>> VtapeVolume::list_files() {
  auto files = measured_files(directory_);
  if (files) std::erase_if(*files, [](const FileOnVolume& file) { return file.number == 0; });
  return files;
}

namespace {

class VtapeFile final : public volume::PartFile {
 public:
  VtapeFile(base::Fd fd, DumpHeader header, fs::path path)
      : fd_(std::move(fd)), header_(std::move(header)), path_(std::move(path)) {}

  const DumpHeader& header() const override { return header_; }

  Result<size_t> read(base::MutableBytes into) override {
    for (;;) {
      const ssize_t n = ::pread(fd_.get(), into.data(), into.size(), static_cast<off_t>(offset_));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return base::fail_errno(fmt::format("read {}", path_.native()));
      offset_ += static_cast<uint64_t>(n);
      return static_cast<size_t>(n);
    }
  }

 private:
  base::Fd fd_;
  DumpHeader header_;
  fs::path path_;
  uint64_t offset_ = kHeaderBlockBytes;
};

}  // namespace

Result<std::unique_ptr<volume::PartFile>> VtapeVolume::open_file(int number) {
  auto files = known_files();
  if (!files) return std::unexpected(files.error());
  const auto found = std::ranges::lower_bound(**files, number, {}, &FileOnVolume::number);
  if (number == 0 || found == (*files)->end() || found->number != number) {
    return base::fail(ErrorKind::refused, fmt::format("the volume in slot {} has no file {}", slot_, number));
  }
  const fs::path path = directory_ / found->name;
  auto opened = open_with_header(path);
  if (!opened) return std::unexpected(std::move(opened).error());
  if (!opened->second.is_dump()) {
    return base::fail(ErrorKind::corrupt, fmt::format("{} has no header of a dump", path.native()));
  }
  return std::make_unique<VtapeFile>(std::move(opened->first), std::move(opened->second), path);
}

Result<> VtapeVolume::release() {
  fd_.reset();
  files_.reset();
  if (!unload_) return {};
  const auto unload = std::exchange(unload_, nullptr);
  return unload();
}

}  // namespace headrace::vtape
