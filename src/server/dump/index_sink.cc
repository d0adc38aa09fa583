#include "server/dump/index_sink.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "server/dump/offload_sink.h"

namespace headrace::dump {

using base::Result;

// Blocking; one worker at a time, since all calls are made on one lane.
class IndexSink::File {
 public:
  File(compat::IndexKey key, compat::IndexForm form, IndexPart part)
      : key_(std::move(key)), form_(form), part_(part) {}

  Result<> write(base::Bytes bytes) {
    if (auto opened = open(); !opened) return opened;
    if (part_ == IndexPart::index) {
      if (auto sound = judge(bytes); !sound) return sound;
    }
    return writer_->add(bytes);
  }

  Result<> keep() {
    if (part_ == IndexPart::state && !writer_) return {};
    if (auto opened = open(); !opened) return opened;
    return writer_->finish();
  }

  void abandon() {
    if (writer_) writer_->abandon();
    writer_.reset();
  }

 private:
  Result<> judge(base::Bytes bytes) {
    total_bytes_ += bytes.size();
    if (total_bytes_ > kMaxIndexBytes) {
      return base::fail(base::ErrorKind::full,
                        fmt::format("more than {} of names", base::human_bytes(kMaxIndexBytes)));
    }
    for (std::string_view rest = base::as_text(bytes); !rest.empty();) {
      const size_t newline = rest.find('\n');
      name_bytes_ += std::min(newline, rest.size());
      if (name_bytes_ > kMaxIndexNameBytes) {
        return base::fail(base::ErrorKind::corrupt,
                          fmt::format("a name of more than {} bytes", kMaxIndexNameBytes));
      }
      if (newline == rest.npos) break;
      name_bytes_ = 0;
      rest.remove_prefix(newline + 1);
    }
    return {};
  }

  Result<> open() {
    if (writer_) return {};
    auto writer =
        part_ == IndexPart::index ? compat::IndexWriter::open(key_, form_) : compat::open_state_writer(key_);
    if (!writer) return std::unexpected(std::move(writer).error());
    writer_ = std::move(*writer);
    return {};
  }

  compat::IndexKey key_;
  compat::IndexForm form_;
  IndexPart part_;
  std::unique_ptr<compat::IndexWriter> writer_;
  uint64_t total_bytes_ = 0;
  size_t name_bytes_ = 0;  // of the name under way
};

namespace {

// The stream's side: finishing it proves only that all lines have arrived; the name comes with keep().
template <class File>
class Feed : public BlockingSink {
 public:
  explicit Feed(std::shared_ptr<File> file) : file_(std::move(file)) {}
  Result<> write(base::Bytes bytes) override { return file_->write(bytes); }
  Result<> finish() override { return {}; }
  void abandon() override { file_->abandon(); }

 private:
  std::shared_ptr<File> file_;
};

}  // namespace

IndexSink::IndexSink(loop::Loop& loop, uint64_t lane, compat::IndexKey key, compat::IndexForm form,
                     IndexPart part)
    : loop_(loop), lane_(lane), file_(std::make_shared<File>(std::move(key), form, part)) {
  stream_ = make_offload_sink(loop_, lane_, std::make_unique<Feed<File>>(file_));
}

IndexSink::~IndexSink() {
  // Abandoned unless keep() has run; a kept file's writer ignores it.
  stream_.reset();
  loop_.offload_surely(lane_, [file = file_] { file->abandon(); });
}

loop::Writable& IndexSink::stream() { return *stream_; }

void IndexSink::keep(std::move_only_function<void(Result<>)> done) {
  auto outcome = std::make_shared<Result<>>();
  loop_.offload(
      lane_, [file = file_, outcome] { *outcome = file->keep(); },
      [outcome, done = std::move(done)]() mutable { done(std::move(*outcome)); });
}

}  // namespace headrace::dump
