// Index files: the list of the paths in a dump, for those who look for one file. IndexWriter makes them from
// the lines a client sends, IndexReader reads any of the forms. All calls block on file work (and compress):
// use them on a worker thread. Memory is bounded whatever the size of the index. Format: one path a line from
// the disk's root, "/" first, directories end in "/", names escaped as GNU tar prints them;
// `<indexdir>/<host>/<disk>/<timestamp>_<level>-unsorted.gz` and three more forms. Source: observed with
// Amanda 3.5.1.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace headrace::compat {

// Which dump's index.
struct IndexKey {
  std::filesystem::path indexdir;
  std::string host, disk;
  std::string timestamp;
  int level = 0;

  // `<indexdir>/<mangled host>/<mangled disk>/<timestamp>_<level>`, to which a suffix is added.
  std::filesystem::path stem() const;
};

struct IndexForm {
  bool compress = true;        // compress-index
  bool sort = false;           // sort-index
  std::string suffix() const;  // "-unsorted.gz", "-sorted", …
};

class IndexWriter {
 public:
  // Makes the directories and opens `<stem><suffix>.tmp`.
  static base::Result<std::unique_ptr<IndexWriter>> open(const IndexKey& key, IndexForm form);
  virtual ~IndexWriter() = default;  // without finish(): abandons

  // Pieces in any split. After an error every further call fails alike.
  virtual base::Result<> add(base::Bytes bytes) = 0;
  // All is written: synced and renamed to its name. Only then does it count.
  virtual base::Result<> finish() = 0;
  // Removes what was written.
  virtual void abandon() = 0;
};

// `<stem>.state.gz`, where an application keeps what it needs for restoring; same life as an index.
base::Result<std::unique_ptr<IndexWriter>> open_state_writer(const IndexKey& key);
// `<stem>.header`: the dump's header text without padding.
base::Result<> write_index_header(const IndexKey& key, std::string_view header_text);

class IndexReader {
 public:
  // The first of the forms that exists; nothing when there is none.
  static base::Result<std::optional<IndexReader>> open(const IndexKey& key);
  IndexReader(IndexReader&&) noexcept;
  IndexReader& operator=(IndexReader&&) noexcept;
  ~IndexReader();

  // The next line as a real path ("/sub/é"): escapes resolved. Nothing at the end. A cut or damaged file is
  // an error, as is a line of more than 64 KiB.
  base::Result<std::optional<std::string>> next();
  const std::filesystem::path& path() const;

 private:
  class Impl;
  explicit IndexReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A name as GNU tar prints it (\\, \n, \t, \303 …) as the bytes it stands for.
std::string unescape_tar_name(std::string_view name);

}  // namespace headrace::compat
