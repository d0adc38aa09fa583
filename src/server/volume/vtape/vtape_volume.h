// One slot's directory as a volume: files `00000.<label>`, `00001.<host>.<disk>.<level>`, …, each a 32 KiB
// header and plain data. Owned by whoever loaded it. Accounts the volume's length and warns before its end.
// Blocking.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "base/fd.h"
#include "server/volume/volume.h"

namespace headrace::vtape {

struct VtapeLimits {
  uint64_t length_bytes = 0;  // of all files, headers included; 0: without limit
  uint64_t block_bytes = 32768;
  bool early_warning = true;       // property LEOM
  bool monitor_free_space = true;  // property MONITOR_FREE_SPACE
};

// Bytes an ordinary user may still write; a function so that tests can fill the file system.
using FreeBytes = std::function<uint64_t(const std::filesystem::path&)>;
uint64_t statvfs_free_bytes(const std::filesystem::path& directory);

class VtapeVolume final : public volume::Volume {
 public:
  // `directory` holds the files; `unload` gives the slot back and is called once.
  VtapeVolume(std::string slot, std::filesystem::path directory, VtapeLimits limits,
              std::function<base::Result<>()> unload, FreeBytes free_bytes = statvfs_free_bytes);
  ~VtapeVolume() override;
  VtapeVolume(const VtapeVolume&) = delete;
  VtapeVolume& operator=(const VtapeVolume&) = delete;

  const std::string& slot() const override { return slot_; }
  uint64_t block_bytes() const override { return limits_.block_bytes; }
  bool warns_early() const override { return limits_.early_warning; }
  base::Result<volume::VolumeLabel> read_label() override;
  base::Result<> write_label(const std::string& label, const std::string& timestamp) override;
  base::Result<int> start_file(const wire::DumpHeader& header) override;
  base::Result<volume::Written> write(std::span<const iovec> pieces) override;
  base::Result<> finish_file(bool sync) override;
  base::Result<> drop_file() override;
  base::Result<std::vector<volume::FileOnVolume>> list_files() override;
  base::Result<std::unique_ptr<volume::PartFile>> open_file(int number) override;
  base::Result<> release() override;

 private:
  base::Result<> count_usage();
  // Borrowed until the next call that changes them.
  base::Result<std::vector<volume::FileOnVolume>*> known_files();
  uint64_t room_before_warning() const;
  uint64_t room_before_end() const;
  bool file_system_nearly_full(uint64_t just_written);

  std::string slot_;
  std::filesystem::path directory_;
  VtapeLimits limits_;
  std::function<base::Result<>()> unload_;
  FreeBytes free_bytes_;
  base::Fd fd_;  // of the file being written
  std::filesystem::path file_;
  uint64_t file_bytes_ = 0;
  // As listed when first needed: nobody else writes here while the slot is ours.
  std::optional<std::vector<volume::FileOnVolume>> files_;
  std::optional<uint64_t> used_bytes_;  // by all files; counted when first needed
  bool warned_ = false;
  uint64_t since_free_check_ = 0;
  uint64_t last_free_ = 0;
};

// Names of a volume's files. Amanda takes all that match ^[0-9]+[.-]; others are left alone.
std::optional<int> file_number(std::string_view name);
// "00003.host._disk.0", cut to what a file system takes; readers go by the number.
std::string part_file_name(int number, const wire::DumpHeader& header);
std::string label_file_name(std::string_view label);

// All files of a volume, the label's included, by number; their sizes are not asked for (0).
base::Result<std::vector<volume::FileOnVolume>> volume_files(const std::filesystem::path& directory);

}  // namespace headrace::vtape
