#include "server/drive/history.h"

#include "server/drive/skip_mark.h"

namespace headrace::drive {

using base::Result;

History::History(loop::Loop& loop, std::filesystem::path infofile,
                 std::move_only_function<void(const base::Error&)> failed)
    : loop_(loop), infofile_(std::move(infofile)), failed_(std::move(failed)), lane_(loop.new_lane()) {}

void History::later(std::move_only_function<Result<>()> work) {
  auto outcome = std::make_shared<Result<>>();
  loop_.offload(
      lane_, [work = std::move(work), outcome]() mutable { *outcome = work(); },
      [this, alive = alive_.ref(), outcome] {
        if (!alive.expired() && !*outcome) failed_(outcome->error());
      });
}

void History::change(const journal::ImageId& image, Change change) {
  later([file = infofile_, image, change = std::move(change)]() mutable -> Result<> {
    auto info = compat::load_curinfo(file, image.host, image.disk);
    if (!info) return std::unexpected(std::move(info).error());
    change(*info);
    return compat::save_curinfo(file, image.host, image.disk, *info);
  });
}

void History::dumped(const journal::ImageId& image, compat::RecordedDump dump) {
  change(image, [dump](compat::Curinfo& info) {
    info.record_dump(dump);
    info.command = 0;
  });
}

void History::taped(const journal::ImageId& image, std::string label, int64_t fileno) {
  change(image, [image, label = std::move(label), fileno](compat::Curinfo& info) {
    // False: a newer dump of that level has taken its place in the record, which is as it should be.
    (void)info.record_taped(image.level, base::unix_of_timestamp(image.timestamp), fileno, label);
  });
}

void History::full_elsewhere(const journal::ImageId& image) {
  change(image, [at = base::unix_of_timestamp(image.timestamp)](compat::Curinfo& info) {
    info.record_full_elsewhere(at);
  });
}

void History::full_elsewhere_before(const journal::ImageId& image) {
  // No volume written tonight is to be taken for that full's.
  change(image, [at = base::unix_of_timestamp(image.timestamp) - 1](compat::Curinfo& info) {
    info.record_full_elsewhere(at);
  });
}

void History::skipped_as_asked(const journal::ImageId& image) {
  later([file = infofile_, image] { return clear_skip_mark(file, image.host, image.disk); });
}

void History::when_settled(std::move_only_function<void()> done) {
  loop_.offload(lane_, [] {}, std::move(done));
}

}  // namespace headrace::drive
