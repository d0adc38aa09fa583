#include "server/drive/image_write.h"

#include <fmt/format.h>

namespace headrace::drive {

using base::Error;
using base::ErrorKind;
using base::Result;

ImageWrite::ImageWrite(loop::Loop& loop, VolumeDesk& desk, size_t writer, std::filesystem::path file,
                       wire::DumpHeader header, volume::PartOptions options, uint64_t lane)
    : loop_(loop),
      desk_(desk),
      number_(writer),
      file_(std::move(file)),
      header_(std::move(header)),
      options_(options),
      lane_(lane) {
  header_.cont_filename.clear();
}

ImageWrite::~ImageWrite() {
  pump_.reset();
  writer_.reset();
  reader_.reset();
}

void ImageWrite::start(LoadedVolume volume, std::move_only_function<void(WriteOutcome)> done) {
  done_ = std::move(done);
  began_ = loop_.clock().now();
  run({}, std::move(volume));
}

void ImageWrite::run(volume::PartPosition from, LoadedVolume volume) {
  pump_.reset();
  began_at_ = from.offset;
  reader_ = std::make_unique<hold::ImageReader>(loop_, file_, hold::key_of(header_), from.offset);
  writer_ = std::make_unique<volume::PartWriter>(loop_, lane_, header_, options_, *this, std::move(from));
  writer_->use(volume.volume, volume.label);
  flow::PumpOptions options;
  options.finish_sink = false;
  pump_ = std::make_unique<flow::Pump>(loop_, *reader_, *writer_, options);
  pump_->start([this](Result<> outcome) { pumped(std::move(outcome)); });
}

void ImageWrite::abort(std::string why) {
  end(base::fail(ErrorKind::cancelled, std::move(why)), false, false);
}

uint64_t ImageWrite::bytes() const { return began_at_ + (pump_ ? pump_->meter().snapshot().bytes : 0); }

void ImageWrite::volume_wanted() {
  desk_.next_volume(number_, [this, alive = alive_.ref()](Result<LoadedVolume> next) {
    if (alive.expired() || over_ || !writer_) return;
    if (!next) return writer_->refuse(std::move(next).error());
    writer_->use(next->volume, next->label);
  });
}

void ImageWrite::part_done(const volume::PartResult& part) { desk_.part_ended(number_, part); }

void ImageWrite::pumped(Result<> outcome) {
  if (over_) return;
  if (outcome) {
    writer_->finish([this, alive = alive_.ref()](Result<> finished) {
      if (alive.expired() || over_) return;
      if (!finished) return end(std::move(finished), true, false);
      settle();
    });
    return;
  }
  // A writer that was only given up, because the holding file could not be read, did not fail.
  const bool from_writer = writer_->error().kind() != ErrorKind::cancelled;
  // The volume ended without warning in the middle of a part: that part is written again on the next one.
  if (from_writer && outcome.error().kind() == ErrorKind::full && writer_->position().offset < bytes()) {
    return go_on(writer_->position());
  }
  end(std::move(outcome), from_writer, !from_writer);
}

void ImageWrite::go_on(volume::PartPosition from) {
  desk_.next_volume(number_,
                    [this, alive = alive_.ref(), from = std::move(from)](Result<LoadedVolume> next) mutable {
                      if (alive.expired() || over_) return;
                      if (!next) return end(std::unexpected(std::move(next).error()), false, false);
                      run(std::move(from), std::move(*next));
                    });
}

void ImageWrite::settle() {
  const auto crc = writer_->crc();
  if (header_.server_crc.known() && crc != header_.server_crc) {
    return end(
        base::fail(ErrorKind::corrupt, fmt::format("{} is damaged: its CRC is {} and should be {}",
                                                   file_.native(), crc.text(), header_.server_crc.text())),
        false, true);
  }
  end({}, false, false);
}

void ImageWrite::end(Result<> outcome, bool volume_lost, bool unreadable) {
  if (std::exchange(over_, true)) return;
  WriteOutcome report;
  report.result = std::move(outcome);
  report.volume_lost = volume_lost;
  report.unreadable = unreadable;
  report.seconds = std::chrono::duration<double>(loop_.clock().now() - began_).count();
  if (writer_) {
    report.parts = writer_->parts();
    report.crc = writer_->crc();
    report.bytes = report.result ? report.crc.size : writer_->position().offset;
  }
  // From here on nobody asks for volumes or tells of parts, and the volume is free.
  pump_.reset();
  writer_.reset();
  reader_.reset();
  loop_.post([this, alive = alive_.ref(), report = std::move(report)]() mutable {
    if (alive.expired()) return;
    auto done = std::move(done_);
    done(std::move(report));
  });
}

}  // namespace headrace::drive
