#include "server/recover/source_stream.h"

#include <optional>
#include <utility>

namespace headrace::recover {

using base::Result;

SourceStream::SourceStream(loop::Loop& loop, std::unique_ptr<ImageSource> source)
    : SourceStream(loop, std::shared_ptr<ImageSource>(std::move(source))) {}

// Its volumes are borrowed and may go when the stream is closed: so must the source.
SourceStream::SourceStream(loop::Loop& loop, std::shared_ptr<ImageSource> source)
    : WorkerReadable(loop, loop.new_lane(), source, "the image", loop::SourceEnds::on_loop),
      source_(source) {}

void SourceStream::open(std::move_only_function<void(Result<wire::DumpHeader>)> done) {
  auto outcome = std::make_shared<std::optional<Result<wire::DumpHeader>>>();
  run_first([source = source_.lock(), outcome] { *outcome = source->header(); },
            [this, outcome, done = std::move(done)]() mutable {
              if (!**outcome) fail((*outcome)->error());
              done(**std::move(outcome));
            });
}

}  // namespace headrace::recover
